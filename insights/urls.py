"""The plant in one look."""

from __future__ import annotations

from django.urls import path

from insights import unit_urls, views

app_name = "insights"

urlpatterns = [
    path("", views.home, name="home"),
    path("live/", views.live, name="live"),
    *unit_urls.urlpatterns,
]
