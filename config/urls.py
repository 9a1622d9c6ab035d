"""Every address of Loupe, app by app."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("governance.urls")),
]
