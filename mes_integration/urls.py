"""Addresses of the write-backs."""

from __future__ import annotations

from django.urls import path

from mes_integration import (
    api,
    attention_api,
    b2mml_api,
    conflict_api,
    conflict_views,
    inbound_api,
    mapping_api,
    mapping_views,
    nonconformance_api,
    one_view,
    reconciliation_views,
    views,
)

app_name = "mes_integration"

urlpatterns = [
    path("write-backs/", views.write_backs, name="write_backs"),
    path("write-backs/rows/", views.write_back_rows, name="write_back_rows"),
    path("write-backs/conflicts/", conflict_views.conflicts, name="conflicts"),
    path("write-backs/conflicts/<uuid:uuid>/", conflict_views.conflict, name="conflict"),
    path("write-backs/undelivered/", views.undelivered, name="undelivered"),
    path("write-backs/send-again/", views.send_again, name="send_again"),
    path("write-backs/mappings/", mapping_views.mappings, name="mappings"),
    path(
        "write-backs/mappings/<path:site>/<slug:target>/edit/",
        mapping_views.edit,
        name="edit_mapping",
    ),
    path(
        "write-backs/mappings/<path:site>/<slug:target>/roll-back/",
        mapping_views.roll_back,
        name="roll_back_mapping",
    ),
    path(
        "write-backs/mappings/<path:site>/<slug:target>/send-blocked/",
        mapping_views.send_blocked,
        name="send_blocked",
    ),
    path("write-backs/mappings/<path:site>/<slug:target>/", mapping_views.mapping, name="mapping"),
    path("write-backs/reconciliation/", reconciliation_views.report, name="reconciliation"),
    path("write-backs/reconciliation/runs/", reconciliation_views.live, name="runs_live"),
    path("write-backs/reconciliation/run/", reconciliation_views.run_now, name="reconcile"),
    path(
        "write-backs/reconciliation/send-missing/",
        reconciliation_views.send_missing,
        name="send_missing",
    ),
    path(
        "write-backs/reconciliation/<uuid:exception>/send/",
        reconciliation_views.send,
        name="send_exception",
    ),
    path(
        "write-backs/reconciliation/<uuid:exception>/close/",
        reconciliation_views.close,
        name="close_exception",
    ),
    path("write-backs/<uuid:uuid>/", one_view.write_back, name="write_back"),
    path("write-backs/<uuid:uuid>/resend/", views.resend, name="resend"),
    path("write-backs/<uuid:uuid>/settle/", views.settle, name="settle"),
]

api_urls = [
    path("write-backs", api.WriteBacks.as_view(), name="api_write_backs"),
    path("write-backs/undelivered", attention_api.Undelivered.as_view()),
    path("write-backs/<uuid:uuid>", attention_api.OneWriteBack.as_view()),
    path("write-backs/<uuid:uuid>/send-again", attention_api.WriteBackSentAgain.as_view()),
    path("conflicts", conflict_api.Conflicts.as_view()),
    path("nonconformances", nonconformance_api.Nonconformances.as_view()),
    path("nonconformances/<uuid:uuid>", nonconformance_api.Nonconformance.as_view()),
    path("nonconformances/<uuid:uuid>/close", nonconformance_api.NonconformanceClosure.as_view()),
    path("mes/mappings", mapping_api.Mappings.as_view()),
    path("mes/mappings/dry-run", mapping_api.DryRun.as_view()),
    path("mes/suppliers/<path:code>", inbound_api.Suppliers.as_view()),
    path("mes/lots/<path:code>", inbound_api.Lots.as_view()),
    path("mes/part-revisions/<path:number>/<str:revision>", inbound_api.PartRevisions.as_view()),
    path("mes/orders/<path:number>", inbound_api.Orders.as_view()),
    path("mes/units/<path:serial>", inbound_api.Units.as_view()),
    path("mes/master-data", inbound_api.MasterData.as_view()),
    path("mes/acknowledgements", inbound_api.Acknowledgements.as_view()),
    path("mes/b2mml", b2mml_api.B2mml.as_view()),
    path("mes/changes", inbound_api.MesChanges.as_view()),
]
