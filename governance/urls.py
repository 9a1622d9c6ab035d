"""Signing in and out, and the audit trail."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path

from governance import views

app_name = "governance"

urlpatterns = [
    path("login/", views.SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("audit/", views.audit_trail, name="audit"),
]
