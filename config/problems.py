"""Refusals as answers: the one place that turns a sentence into an HTTP status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from traceability.refusals import Conflict, Invalid, NotAllowed, Refusal, Unavailable, Unknown

STATUS: dict[type[Refusal], int] = {
    Invalid: 422,
    Conflict: 409,
    NotAllowed: 403,
    Unknown: 404,
    Unavailable: 503,
    Refusal: 400,
}


def status_of(refusal: Refusal) -> int:
    """The HTTP status of a refusal's nearest kind."""
    return next(STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS)


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's handler: every refusal is {"code", "detail"}; anything unknown stays a 500."""
    if isinstance(error, Refusal):
        return Response({"code": error.reason, "detail": error.sentence}, status=status_of(error))
    if isinstance(error, exceptions.ValidationError):
        return Response(
            {"code": "invalid", "detail": _first_sentence(error.detail), "fields": error.detail},
            status=422,
        )
    if isinstance(error, RecursionError):
        # Of the reading: what is nested without end is the sender's fault.
        refusal = Invalid(_("The body is nested too deeply."))
        return problem_response(refusal, context)
    response = exception_handler(error, context)
    if response is not None and isinstance(error, exceptions.APIException):
        response.data = {"code": error.default_code, "detail": str(error.detail)}
    return response


def _first_sentence(detail: Any, path: str = "") -> str:
    if isinstance(detail, dict):
        name, inner = next(iter(detail.items()))
        return _first_sentence(inner, f"{path}.{name}".strip("."))
    if isinstance(detail, list):
        return _first_sentence(detail[0], path) if detail else path
    return f"{path}: {detail}" if path else str(detail)


def _values(given: QueryDict) -> list[str]:
    return [str(value) for _name, values in given.lists() for value in values]


class RefusalMiddleware:
    """Pages: a refusal becomes a short page (or a fragment's JSON) with its sentence."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], *_arguments: Any
    ) -> HttpResponse | None:
        """Refuse NUL in addresses and forms once for all: PostgreSQL's text cannot hold it."""
        given = [request.path_info, *_values(request.GET)]
        if request.method == "POST" and not getattr(view, "csrf_exempt", False):
            given += _values(request.POST)
        if any("\0" in text for text in given):
            return self.process_exception(
                request, Invalid(_("The request holds a NUL character; send it without."))
            )
        return None

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer refusals; leave faults to Django."""
        if not isinstance(error, Refusal):
            return None
        status = status_of(error)
        if request.headers.get("Accept", "").startswith("application/json"):
            return JsonResponse({"code": error.reason, "detail": error.sentence}, status=status)
        shown = {"refusal": error, "back": _page_before(request)}
        return render(request, "refusal.html", shown, status=status)


def _page_before(request: HttpRequest) -> str:
    """The page whose form was refused, when it is one of ours."""
    before = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(
        before, {request.get_host()}, require_https=request.is_secure()
    )
    return before if is_ours and request.method == "POST" else ""
