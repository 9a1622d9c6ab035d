"""What tablets call, below /api/v1/."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from review.line import api
from review.line.call_views import call_api_urls

urlpatterns: list[URLPattern | URLResolver] = [
    path("line/board", api.Board.as_view()),
    path("line/claim", api.Claims.as_view()),
    path("line/outbox", api.Outbox.as_view()),
    path("line/sign-out", api.SignOut.as_view(), name="line_sign_out"),
    *call_api_urls,
]
