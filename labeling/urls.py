"""Addresses of datasets."""

from __future__ import annotations

from django.urls import path

from labeling import api, views

app_name = "labeling"

urlpatterns = [
    path("datasets/", views.datasets, name="datasets"),
    path("datasets/<slug:slug>/publish/", views.publish, name="publish"),
    path("criteria/", views.acceptance_criteria, name="criteria"),
]

api_urls = [
    path("datasets", api.Datasets.as_view(), name="api_datasets"),
    path("datasets/<slug:slug>/versions", api.Versions.as_view(), name="api_dataset_versions"),
]
