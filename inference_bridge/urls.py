"""Addresses of the dead letters, the policies and the intake."""

from __future__ import annotations

from django.urls import path

from inference_bridge import api, views

app_name = "inference_bridge"

urlpatterns = [
    path("dead-letters/", views.dead_letter_list, name="dead_letters"),
    path("dead-letters/<uuid:letter_id>/redrive/", views.redrive_letter, name="redrive"),
    path("policies/", views.policies, name="policies"),
]

api_urls = [
    path("predictions", api.Predictions.as_view(), name="api_predictions"),
]
