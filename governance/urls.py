"""Signing in and out, the audit trail, and the tablets."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from governance import tablet_views, views

app_name = "governance"

urlpatterns = [
    path("login/", views.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("audit/", views.audit_trail, name="audit"),
    path("tablets/", tablet_views.tablet_list, name="tablets"),
    path("tablets/<uuid:device>/", tablet_views.tablet, name="tablet"),
    path("tablets/<uuid:device>/code/", tablet_views.new_code, name="tablet_code"),
    path("tablets/<uuid:device>/here/", tablet_views.use_here, name="tablet_here"),
    path("tablets/<uuid:device>/revoke/", tablet_views.revoke, name="tablet_revoke"),
    path("tablets/<uuid:device>/ahead/", tablet_views.ahead, name="tablet_ahead"),
    path("tablets/stations/<int:station_id>/make/", tablet_views.make, name="tablet_make"),
    path("tablets/stations/<int:station_id>/place/", tablet_views.hold_place, name="hold_place"),
    path("tablets/people/<str:person>/", tablet_views.person_page, name="tablet_person"),
    path("tablets/people/<str:person>/pin/", tablet_views.set_pin, name="set_pin"),
    path("tablets/people/<str:person>/badge/", tablet_views.set_badge, name="set_badge"),
    path("line/register/", tablet_views.register, name="register"),
]
