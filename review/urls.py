"""The bench's page and the supervisor's; the bench's calls are in api_urls."""

from __future__ import annotations

from django.urls import path

from review import approval_views, conflict_views, control_api, lot_views, mine_views, views
from review import supervision_views as supervision

app_name = "review"

urlpatterns = [
    path("", views.bench, name="bench"),
    path("lots/", lot_views.lot_list, name="lots"),
    path("lots/<int:lot>/<int:part>/<path:suspicion>/", lot_views.lot, name="lot"),
    path("controls/<uuid:inspection>/", control_api.add_control, name="add_control"),
    path("conflicts/<uuid:uuid>/ours/", conflict_views.ours, name="conflict_ours"),
    path("conflicts/<uuid:uuid>/theirs/", conflict_views.theirs, name="conflict_theirs"),
    path("mine/", mine_views.mine, name="mine"),
    path("approvals/", approval_views.approval_list, name="approvals"),
    path("approvals/<uuid:approval_id>/", approval_views.approval, name="approval"),
    path("approvals/<uuid:approval_id>/approve/", approval_views.approve, name="approve"),
    path("approvals/<uuid:approval_id>/refuse/", approval_views.refuse, name="refuse"),
    path("approvals/lots/<uuid:lot_verdict>/", approval_views.lot, name="approval_lot"),
    path(
        "approvals/lots/<uuid:lot_verdict>/approve/", approval_views.approve_lot, name="approve_lot"
    ),
    path("approvals/lots/<uuid:lot_verdict>/refuse/", approval_views.refuse_lot, name="refuse_lot"),
    path("queue/", supervision.supervisor, name="supervisor"),
    path("queue/live/", supervision.live, name="supervisor_live"),
    path("queue/<uuid:task_id>/", supervision.task, name="supervised_task"),
    path("queue/<uuid:task_id>/release/", supervision.release, name="release"),
    path("queue/<uuid:task_id>/reassign/", supervision.reassign, name="reassign"),
    path("queue/<uuid:task_id>/front/", supervision.to_the_front, name="to_the_front"),
]
