"""Pages of the line; what tablets call is in api_urls."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from review.line import views
from review.line.call_views import call_urls
from review.line.pwa_views import pwa_urls

app_name = "line"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.station_list, name="stations"),
    path("second-opinions/", views.second_opinions, name="second_opinions"),
    path("second-opinions/<uuid:opinion>/", views.see_opinion, name="see_opinion"),
    path("guide/", views.guide, name="guide"),
    *call_urls,
    *pwa_urls,
    path("<str:station>/", views.screen, name="station"),
]
