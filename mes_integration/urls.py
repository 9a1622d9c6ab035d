"""Addresses of the write-backs."""

from __future__ import annotations

from django.urls import path

from mes_integration import api, views

app_name = "mes_integration"

urlpatterns = [
    path("write-backs/", views.write_backs, name="write_backs"),
    path("write-backs/rows/", views.write_back_rows, name="write_back_rows"),
    path("write-backs/<uuid:uuid>/", views.write_back, name="write_back"),
    path("write-backs/<uuid:uuid>/resend/", views.resend, name="resend"),
    path("write-backs/<uuid:uuid>/settle/", views.settle, name="settle"),
]

api_urls = [
    path("write-backs", api.WriteBacks.as_view(), name="api_write_backs"),
]
