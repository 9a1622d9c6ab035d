"""The bench's API addresses, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from review import api

urlpatterns = [
    path("review/claims", api.Claims.as_view()),
    path("review/queue", api.Queue.as_view()),
    path("review/heartbeat", api.Heartbeat.as_view()),
    path("review/tasks/<uuid:task_id>/decision", api.TaskDecision.as_view()),
    path("review/tasks/<uuid:task_id>/skip", api.TaskSkip.as_view()),
    path("review/tasks/<uuid:task_id>/escalate", api.TaskEscalation.as_view()),
    path("review/tasks/<uuid:task_id>/release", api.TaskRelease.as_view()),
    path("review/decisions/<uuid:decision_id>/undo", api.DecisionUndo.as_view()),
]
