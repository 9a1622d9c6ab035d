"""Who may call what: one row for each route and method, every role told apart.

`may` names the roles that are let in; everybody else is refused (403), strangers are asked to sign
in (302 on pages, 401 on the API). `scope` says what a person of another site meets: `object` a 404,
`personal` a 404 for everybody but the one whose it is, `list` the page without anything of this
site, `none` a route that belongs to no site.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["object", "personal", "list", "none"]

ROLES = (
    "operator",
    "inspector",
    "lead",
    "quality_engineer",
    "admin",
    "auditor",
    "machine",
    "nobody",
)
_EVERY = frozenset(ROLES)
_ENGINEERS = frozenset({"quality_engineer", "admin"})
_JUDGES = frozenset({"inspector", "lead", "quality_engineer"})
_LEADS = frozenset({"lead", "quality_engineer", "admin"})
_STAFF = frozenset({"inspector", "lead", "quality_engineer", "admin", "auditor"})
_PEOPLE = _STAFF | {"operator"}
_AUDIT = _ENGINEERS | {"auditor"}
_SEE_LETTERS = _LEADS | {"auditor"}


@dataclass(frozen=True)
class Row:
    """One route and method."""

    route: str
    method: str
    may: frozenset[str]
    scope: Scope
    body: str = ""


# Open to everybody by design; each with the reason.
OPEN = {
    "login/": "where strangers sign in",
    "logout/": "ends whatever session there is",
    "health/": "asked by load balancers; says nothing but that the database answers",
    "language/": "sets a cookie",
}

TABLE = (
    Row("", "GET", _PEOPLE, "list"),
    Row("live/", "GET", _PEOPLE, "list"),
    Row("units/", "GET", _PEOPLE, "list"),
    Row("units/<path:serial>/", "GET", _PEOPLE, "object"),
    Row("images/<str:token>", "GET", _PEOPLE, "object"),
    Row("audit/", "GET", _AUDIT, "list"),
    Row("review/", "GET", _JUDGES, "list"),
    Row("write-backs/", "GET", _STAFF, "list"),
    Row("write-backs/rows/", "GET", _STAFF, "list"),
    Row("write-backs/<uuid:uuid>/", "GET", _STAFF, "object"),
    Row("write-backs/<uuid:uuid>/resend/", "POST", _LEADS, "object"),
    Row("write-backs/<uuid:uuid>/settle/", "POST", _LEADS, "object", body="settle"),
    Row("dead-letters/", "GET", _SEE_LETTERS, "list"),
    Row("dead-letters/<uuid:letter_id>/redrive/", "POST", _ENGINEERS, "object"),
    Row("policies/", "GET", _SEE_LETTERS, "list"),
    Row("datasets/", "GET", _STAFF, "list"),
    Row("datasets/<slug:slug>/publish/", "POST", _ENGINEERS, "object", body="reason"),
    Row("models/", "GET", _STAFF, "list"),
    Row("models/live/", "GET", _STAFF, "list"),
    Row("models/tables/", "GET", _STAFF, "list"),
    Row("models/retrain/", "POST", _ENGINEERS, "object", body="retrain"),
    Row("models/roll-back/", "POST", _ENGINEERS, "object", body="roll_back"),
    Row("models/<uuid:uuid>/promote/", "POST", _ENGINEERS, "object", body="reason"),
    Row("models/runs/<uuid:uuid>/", "GET", _STAFF, "object"),
    Row("models/runs/<uuid:uuid>/live/", "GET", _STAFF, "object"),
    Row("api/schema/", "GET", _STAFF | {"machine"}, "none"),
    Row("api/v1/review/claims", "POST", _JUDGES, "object", body="claims"),
    Row("api/v1/review/queue", "GET", _JUDGES, "list"),
    Row("api/v1/review/heartbeat", "POST", _JUDGES, "list", body="leases"),
    Row("api/v1/review/tasks/<uuid:task_id>/decision", "POST", _JUDGES, "object", body="decision"),
    Row("api/v1/review/tasks/<uuid:task_id>/skip", "POST", _JUDGES, "object", body="skip"),
    Row("api/v1/review/tasks/<uuid:task_id>/escalate", "POST", _JUDGES, "object", body="fence"),
    Row("api/v1/review/tasks/<uuid:task_id>/release", "POST", _JUDGES, "object", body="fence"),
    Row("api/v1/review/decisions/<uuid:decision_id>/undo", "POST", _JUDGES, "personal"),
    Row("api/v1/predictions", "POST", frozenset({"machine"}), "list", body="prediction"),
    Row("api/v1/write-backs", "GET", _STAFF, "list"),
    Row("api/v1/datasets", "GET", _STAFF, "list"),
    Row("api/v1/datasets/<slug:slug>/versions", "GET", _STAFF, "object"),
    Row("api/v1/models", "GET", _STAFF, "list"),
    Row("api/v1/models/<uuid:uuid>/promotion", "POST", _ENGINEERS, "object", body="reason"),
    Row("api/v1/training-runs", "GET", _STAFF, "list"),
    Row("api/v1/training-runs", "POST", _ENGINEERS, "object", body="training_run"),
    Row("api/v1/business-events", "POST", _ENGINEERS, "object", body="business_event"),
)
