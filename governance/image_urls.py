"""Addresses of images; `traceability.images.address` makes them."""

from __future__ import annotations

from django.urls import path

from governance import image_views

app_name = "images"

urlpatterns = [path("images/<str:token>", image_views.image, name="image")]
