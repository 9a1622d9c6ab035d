"""Addresses of the nonconformances."""

from __future__ import annotations

from django.urls import path

from mes_integration import nonconformance_views as views

app_name = "nonconformances"

urlpatterns = [
    path("", views.ncr_list, name="list"),
    path("rules/", views.rules, name="rules"),
    path("rules/new/", views.new_rule, name="new_rule"),
    path("rules/<uuid:rule_id>/", views.rule, name="rule"),
    path("<uuid:uuid>/", views.ncr, name="one"),
    path("<uuid:uuid>/close/", views.close, name="close"),
    path("<uuid:uuid>/send-again/", views.send_again, name="send_again"),
]
