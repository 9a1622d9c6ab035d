"""Datasets: the page and its API."""

from __future__ import annotations

from django.urls import URLPattern

app_name = "labeling"

urlpatterns: list[URLPattern] = []
api_urls: list[URLPattern] = []
