"""The bench's API addresses, and those of a conflict's answers, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from review import (
    api,
    approval_api,
    bench_api,
    conflict_api,
    control_api,
    looking_api,
    lot_api,
)

urlpatterns = [
    path("review/claims", api.Claims.as_view()),
    path("review/queue", api.Queue.as_view()),
    path("review/heartbeat", api.Heartbeat.as_view()),
    path("review/token", bench_api.Token.as_view()),
    path("review/preferences", bench_api.Preferences.as_view()),
    path("review/answers", bench_api.LeadAnswers.as_view()),
    path("review/tasks/<uuid:task_id>/comments", bench_api.TaskComments.as_view()),
    path("review/tasks/<uuid:task_id>", looking_api.HeldTask.as_view()),
    path("review/tasks/<uuid:task_id>/decision", api.TaskDecision.as_view()),
    path("review/tasks/<uuid:task_id>/skip", api.TaskSkip.as_view()),
    path("review/tasks/<uuid:task_id>/escalate", api.TaskEscalation.as_view()),
    path("review/tasks/<uuid:task_id>/release", api.TaskRelease.as_view()),
    path("review/decisions/<uuid:decision_id>/undo", api.DecisionUndo.as_view()),
    path("review/inspections/<uuid:inspection>/control", control_api.Controls.as_view()),
    path("review/approvals", approval_api.OpenApprovals.as_view()),
    path("review/approvals/<uuid:approval_id>/approve", approval_api.ApprovalApproval.as_view()),
    path("review/approvals/<uuid:approval_id>/refuse", approval_api.ApprovalRefusal.as_view()),
    path("review/approvals/lots/<uuid:lot_verdict>/approve", approval_api.LotApproval.as_view()),
    path("review/approvals/lots/<uuid:lot_verdict>/refuse", approval_api.LotRefusal.as_view()),
    path("review/lots/<int:lot>/<int:part>", lot_api.Lots.as_view()),
    path("review/lots/<uuid:review_id>/sample", lot_api.LotSample.as_view()),
    path("review/lots/<uuid:review_id>/decision", lot_api.LotDecision.as_view()),
    path("review/lots/<uuid:review_id>/undo", lot_api.LotUndo.as_view()),
    path("review/lots/<uuid:review_id>/lease", lot_api.LotLease.as_view()),
    path("review/lots/<uuid:review_id>/release", lot_api.LotRelease.as_view()),
    path("conflicts/<uuid:uuid>", conflict_api.OneConflict.as_view()),
    path("conflicts/<uuid:uuid>/answer", conflict_api.ConflictAnswer.as_view()),
]
