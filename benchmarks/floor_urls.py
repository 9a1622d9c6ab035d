"""The addresses of the bare Django floor."""

from __future__ import annotations

from django.urls import path

from benchmarks.floor import FloorClaim, FloorDecide
from benchmarks.floor_views import LiteralClaim, LiteralDecision
from config.health import health

urlpatterns = [
    path("health/", health),
    path("claim", FloorClaim.as_view()),
    path("decide/<int:task>", FloorDecide.as_view()),
    path("literal/claim", LiteralClaim.as_view()),
    path("literal/decide/<str:task>", LiteralDecision.as_view()),
]
