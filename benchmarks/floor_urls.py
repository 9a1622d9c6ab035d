"""The addresses of the bare Django floor."""

from __future__ import annotations

from django.urls import path

from benchmarks.floor import FloorClaim, FloorDecide
from config.health import health

urlpatterns = [
    path("health/", health),
    path("claim", FloorClaim.as_view()),
    path("decide/<int:task>", FloorDecide.as_view()),
]
