"""Addresses of models and training runs."""

from __future__ import annotations

from django.urls import path

from retraining import api, views

app_name = "retraining"

urlpatterns = [
    path("models/", views.models, name="models"),
    path("models/live/", views.live, name="live"),
    path("models/tables/", views.tables, name="tables"),
    path("models/retrain/", views.retrain, name="retrain"),
    path("models/roll-back/", views.roll_back, name="roll_back"),
    path("models/<uuid:uuid>/promote/", views.promote, name="promote"),
    path("models/runs/<uuid:uuid>/", views.run, name="run"),
    path("models/runs/<uuid:uuid>/live/", views.run_live, name="run_live"),
]

api_urls = [
    path("models", api.Models.as_view(), name="api_models"),
    path("models/<uuid:uuid>/promotion", api.Promotion.as_view(), name="api_promotion"),
    path("training-runs", api.TrainingRuns.as_view(), name="api_training_runs"),
    path("business-events", api.BusinessEvents.as_view(), name="api_business_events"),
]
