"""Addresses of pictures; `images`, `pyramids` and `heat_maps` of traceability make them."""

from __future__ import annotations

from django.urls import path

from governance import image_views

app_name = "images"

urlpatterns = [
    path("images/<str:token>", image_views.image, name="image"),
    path("images/<str:token>/about", image_views.about, name="about"),
    path("images/<str:heatmap>/heatmap", image_views.heat_map, name="heat_map"),
    path("tiles/<str:pyramid>/<int:level>/<int:column>_<int:row>", image_views.tile, name="tile"),
]
