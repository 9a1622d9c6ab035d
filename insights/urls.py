"""The plant in one look."""

from __future__ import annotations

from django.urls import path

from insights import handover_views, unit_urls, views

app_name = "insights"

urlpatterns = [
    path("", views.home, name="home"),
    path("live/", views.live, name="live"),
    path("handover/", handover_views.current, name="handover"),
    path("handover/sign/", handover_views.sign, name="sign_handover"),
    path("handover/<uuid:uuid>/", handover_views.signed, name="signed_handover"),
    *unit_urls.urlpatterns,
]
