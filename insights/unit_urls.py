"""Addresses of units."""

from __future__ import annotations

from django.urls import path

from insights import unit_views

urlpatterns = [
    path("units/", unit_views.units, name="units"),
    path("captures/<uuid:capture>/reference/", unit_views.reference, name="reference"),
    path("units/<path:serial>/", unit_views.unit, name="unit"),
]
