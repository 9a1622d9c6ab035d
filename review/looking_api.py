"""The API's address of one held task."""

from __future__ import annotations

from uuid import UUID

from django.conf import settings
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from review import looking
from review.api import BenchView
from review.api_shapes import OneTask
from review.presentation import tasks_as_json
from review.queue import Lease

FENCE = OpenApiParameter("fence", int, required=True, description="Of the claim.")
LONGEST = 18


class HeldTask(BenchView):
    """A task one holds, as it is by now; its lease is not renewed."""

    @extend_schema(parameters=[FENCE], responses=OneTask, operation_id="held_task")
    def get(self, request: Request, task_id: UUID) -> Response:
        said = request.query_params.get("fence", "")
        is_number = said.isascii() and said.isdecimal() and len(said) <= LONGEST
        # No claim has fence 0: it is answered as a lost one.
        fence = int(said) if is_number else 0
        at = timezone.now()
        task = looking.again(actor=self.actor(request), held=Lease(task_id, fence))
        [shown] = tasks_as_json([task], lease_s=settings.LOUPE.lease_s, at=at)
        return Response({"task": shown})
