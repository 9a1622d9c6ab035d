"""The bench's page; its calls are in api_urls."""

from __future__ import annotations

from django.urls import path

from review import views

app_name = "review"

urlpatterns = [path("", views.bench, name="bench")]
