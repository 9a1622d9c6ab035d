"""Who may call what: one row for each route and method, every role told apart.

`may` names the roles that are let in; everybody else is refused (403), strangers are asked to sign
in (302 on pages, 401 on the API). `scope` says what a person of another site meets: `object` a 404,
`personal` a 404 for everybody but the one whose it is, `list` the page without anything of this
site, `none` a route that belongs to no site, `tablet` one for registered tablets only: all others
are strangers there.

`tablet` says which registered tablets are let in: `manned` with an operator at it, `alone` with
nobody. Where it is left out the tablet makes no difference: who is at it is an operator like any
other, and nobody at it is a stranger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["object", "personal", "list", "none", "tablet"]
Tablet = Literal["manned", "alone"]

ROLES = (
    "operator",
    "inspector",
    "lead",
    "quality_engineer",
    "admin",
    "auditor",
    "machine",
    "mes",
    "nobody",
)
_EVERY = frozenset(ROLES)
_NONE: frozenset[str] = frozenset()
_ENGINEERS = frozenset({"quality_engineer", "admin"})
_JUDGES = frozenset({"inspector", "lead", "quality_engineer"})
_ARBITERS = frozenset({"lead", "quality_engineer"})
_LEADS = frozenset({"lead", "quality_engineer", "admin"})
_STAFF = frozenset({"inspector", "lead", "quality_engineer", "admin", "auditor"})
_PEOPLE = _STAFF | {"operator"}
_AUDIT = _ENGINEERS | {"auditor"}
_MACHINE = frozenset({"machine"})
_MES = frozenset({"mes"})
_PROGRAMS = _MACHINE | _MES
_SEE_LETTERS = _LEADS | {"auditor"}
_MANNED: frozenset[Tablet] = frozenset({"manned"})
_ANY_TABLET: frozenset[Tablet] = _MANNED | {"alone"}


@dataclass(frozen=True)
class Row:
    """One route and method."""

    route: str
    method: str
    may: frozenset[str]
    scope: Scope
    body: str = ""
    tablet: frozenset[Tablet] | None = None


# Open to everybody by design; each with the reason.
OPEN = {
    "login/": "where strangers sign in",
    "logout/": "ends whatever session there is",
    "health/": "asked by load balancers; says nothing but that the database answers",
    "language/": "sets a cookie",
    "line/register/": "where a tablet shows the code that a lead has given it",
    "line/worker.js": "a script, the same for everybody",
    "line/app.webmanifest": "browsers ask for it without saying who they are",
}

TABLE = (
    Row("", "GET", _PEOPLE, "list"),
    Row("live/", "GET", _PEOPLE, "list"),
    Row("handover/", "GET", _LEADS | {"auditor"}, "list"),
    Row("handover/sign/", "POST", _ARBITERS, "object", body="handover"),
    Row("handover/<uuid:uuid>/", "GET", _LEADS | {"auditor"}, "object"),
    Row("units/", "GET", _PEOPLE, "list"),
    Row("units/<path:serial>/", "GET", _PEOPLE, "object"),
    Row("images/<str:token>", "GET", _PEOPLE, "object"),
    Row("images/<str:token>/about", "GET", _PEOPLE, "object"),
    Row("images/<str:heatmap>/heatmap", "GET", _PEOPLE, "object"),
    Row("tiles/<str:pyramid>/<int:level>/<int:column>_<int:row>", "GET", _PEOPLE, "object"),
    Row("captures/<uuid:capture>/reference/", "POST", _LEADS, "object"),
    Row("audit/", "GET", _AUDIT, "list"),
    Row("tablets/", "GET", _SEE_LETTERS, "list"),
    Row("tablets/<uuid:device>/", "GET", _SEE_LETTERS, "object"),
    Row("tablets/<uuid:device>/code/", "POST", _LEADS, "object"),
    Row("tablets/<uuid:device>/here/", "POST", _LEADS, "object"),
    Row("tablets/<uuid:device>/revoke/", "POST", _LEADS, "object"),
    Row("tablets/<uuid:device>/ahead/", "POST", _LEADS, "object", body="ahead"),
    Row("tablets/stations/<int:station_id>/make/", "POST", _LEADS, "object", body="tablet"),
    Row("tablets/stations/<int:station_id>/place/", "POST", _LEADS, "object", body="place"),
    Row("tablets/people/<str:person>/", "GET", _LEADS, "object"),
    Row("tablets/people/<str:person>/pin/", "POST", _LEADS, "object", body="pin"),
    Row("tablets/people/<str:person>/badge/", "POST", _LEADS, "object", body="new_badge"),
    Row("review/", "GET", _JUDGES, "list"),
    Row("review/lots/", "GET", _JUDGES, "list"),
    Row("review/lots/<int:lot>/<int:part>/<path:suspicion>/", "GET", _JUDGES, "object"),
    Row("review/controls/<uuid:inspection>/", "POST", _ARBITERS, "object"),
    Row("review/mine/", "GET", _JUDGES, "list"),
    Row("review/approvals/", "GET", _ARBITERS, "list"),
    Row("review/approvals/<uuid:approval_id>/", "GET", _ARBITERS, "object"),
    Row("review/approvals/<uuid:approval_id>/approve/", "POST", _ARBITERS, "object"),
    Row("review/approvals/<uuid:approval_id>/refuse/", "POST", _ARBITERS, "object", body="words"),
    Row("review/approvals/lots/<uuid:lot_verdict>/", "GET", _ARBITERS, "object"),
    Row("review/approvals/lots/<uuid:lot_verdict>/approve/", "POST", _ARBITERS, "object"),
    Row(
        "review/approvals/lots/<uuid:lot_verdict>/refuse/",
        "POST",
        _ARBITERS,
        "object",
        body="words",
    ),
    Row("review/queue/", "GET", _LEADS, "list"),
    Row("review/queue/live/", "GET", _LEADS, "list"),
    Row("review/queue/<uuid:task_id>/", "GET", _LEADS, "object"),
    Row("review/queue/<uuid:task_id>/release/", "POST", _LEADS, "object"),
    Row("review/queue/<uuid:task_id>/reassign/", "POST", _LEADS, "object", body="person"),
    Row("review/queue/<uuid:task_id>/front/", "POST", _LEADS, "object"),
    Row("write-backs/", "GET", _STAFF, "list"),
    Row("write-backs/rows/", "GET", _STAFF, "list"),
    Row("write-backs/conflicts/", "GET", _STAFF, "list"),
    Row("write-backs/conflicts/<uuid:uuid>/", "GET", _STAFF, "object"),
    Row("review/conflicts/<uuid:uuid>/ours/", "POST", _LEADS, "object", body="conflict"),
    Row("review/conflicts/<uuid:uuid>/theirs/", "POST", _LEADS, "object", body="conflict"),
    Row("write-backs/undelivered/", "GET", _STAFF, "list"),
    Row("write-backs/send-again/", "POST", _LEADS, "list", body="send_again"),
    Row("write-backs/mappings/", "GET", _STAFF, "list"),
    Row("write-backs/mappings/<path:site>/<slug:target>/", "GET", _STAFF, "object"),
    Row("write-backs/mappings/<path:site>/<slug:target>/edit/", "GET", _ENGINEERS, "object"),
    Row("write-backs/mappings/<path:site>/<slug:target>/edit/", "POST", _ENGINEERS, "object"),
    Row("write-backs/mappings/<path:site>/<slug:target>/roll-back/", "POST", _ENGINEERS, "object"),
    Row("write-backs/mappings/<path:site>/<slug:target>/send-blocked/", "POST", _LEADS, "object"),
    Row("write-backs/reconciliation/", "GET", _STAFF, "list"),
    Row("write-backs/reconciliation/runs/", "GET", _STAFF, "list"),
    Row("write-backs/reconciliation/run/", "POST", _LEADS, "object", body="at_target"),
    Row("write-backs/reconciliation/send-missing/", "POST", _LEADS, "object", body="at_target"),
    Row("write-backs/reconciliation/<uuid:exception>/send/", "POST", _LEADS, "object"),
    Row(
        "write-backs/reconciliation/<uuid:exception>/close/",
        "POST",
        _LEADS,
        "object",
        body="reason",
    ),
    Row("write-backs/<uuid:uuid>/", "GET", _STAFF, "object"),
    Row("write-backs/<uuid:uuid>/resend/", "POST", _LEADS, "object"),
    Row("write-backs/<uuid:uuid>/settle/", "POST", _LEADS, "object", body="settle"),
    Row("nonconformances/", "GET", _STAFF, "list"),
    Row("nonconformances/<uuid:uuid>/", "GET", _STAFF, "object"),
    Row("nonconformances/<uuid:uuid>/close/", "POST", _LEADS, "object", body="reason"),
    Row("nonconformances/<uuid:uuid>/send-again/", "POST", _LEADS, "object"),
    Row("nonconformances/rules/", "GET", _STAFF, "list"),
    Row("nonconformances/rules/new/", "GET", _ENGINEERS, "list"),
    Row("nonconformances/rules/new/", "POST", _ENGINEERS, "object", body="ncr_rule"),
    Row("nonconformances/rules/<uuid:rule_id>/", "GET", _ENGINEERS, "object"),
    Row("nonconformances/rules/<uuid:rule_id>/", "POST", _ENGINEERS, "object", body="ncr_rule"),
    Row("dead-letters/", "GET", _SEE_LETTERS, "list"),
    Row("dead-letters/<uuid:letter_id>/redrive/", "POST", _ENGINEERS, "object"),
    Row("policies/", "GET", _SEE_LETTERS, "list"),
    Row("criteria/", "GET", _SEE_LETTERS, "list"),
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
    Row("api/schema/", "GET", _STAFF | _PROGRAMS, "none"),
    Row("api/v1/review/claims", "POST", _JUDGES, "object", body="claims"),
    Row("api/v1/review/queue", "GET", _JUDGES, "list"),
    Row("api/v1/review/heartbeat", "POST", _JUDGES, "list", body="leases"),
    Row("api/v1/review/token", "GET", _JUDGES, "list"),
    Row("api/v1/review/preferences", "GET", _JUDGES, "list"),
    Row("api/v1/review/preferences", "PUT", _JUDGES, "list", body="preferences"),
    Row("api/v1/review/answers", "GET", _JUDGES, "list"),
    Row("api/v1/review/answers", "POST", _JUDGES, "list", body="seen"),
    Row("api/v1/review/tasks/<uuid:task_id>/comments", "POST", _JUDGES, "object", body="text"),
    Row("api/v1/review/tasks/<uuid:task_id>", "GET", _JUDGES, "object"),
    Row("api/v1/review/tasks/<uuid:task_id>/decision", "POST", _JUDGES, "object", body="decision"),
    Row("api/v1/review/tasks/<uuid:task_id>/skip", "POST", _JUDGES, "object", body="skip"),
    Row("api/v1/review/tasks/<uuid:task_id>/escalate", "POST", _JUDGES, "object", body="fence"),
    Row("api/v1/review/tasks/<uuid:task_id>/release", "POST", _JUDGES, "object", body="fence"),
    Row("api/v1/review/decisions/<uuid:decision_id>/undo", "POST", _JUDGES, "personal"),
    Row("api/v1/review/inspections/<uuid:inspection>/control", "POST", _ARBITERS, "object"),
    Row("api/v1/review/approvals", "GET", _ARBITERS, "list"),
    Row("api/v1/review/approvals/<uuid:approval_id>/approve", "POST", _ARBITERS, "object"),
    Row(
        "api/v1/review/approvals/<uuid:approval_id>/refuse",
        "POST",
        _ARBITERS,
        "object",
        body="words",
    ),
    Row("api/v1/review/approvals/lots/<uuid:lot_verdict>/approve", "POST", _ARBITERS, "object"),
    Row(
        "api/v1/review/approvals/lots/<uuid:lot_verdict>/refuse",
        "POST",
        _ARBITERS,
        "object",
        body="words",
    ),
    Row("api/v1/review/lots/<int:lot>/<int:part>", "POST", _JUDGES, "object", body="lot"),
    Row("api/v1/review/lots/<uuid:review_id>/sample", "POST", _JUDGES, "personal", body="sample"),
    Row(
        "api/v1/review/lots/<uuid:review_id>/decision",
        "POST",
        _JUDGES,
        "personal",
        body="lot_decision",
    ),
    Row("api/v1/review/lots/<uuid:review_id>/undo", "POST", _JUDGES, "personal"),
    Row("api/v1/review/lots/<uuid:review_id>/lease", "POST", _JUDGES, "personal"),
    Row("api/v1/review/lots/<uuid:review_id>/release", "POST", _JUDGES, "personal"),
    Row("line/", "GET", _PEOPLE, "list"),
    Row("line/<str:station>/", "GET", _PEOPLE, "object"),
    Row("line/guide/", "GET", _PEOPLE, "none"),
    Row("line/second-opinions/", "GET", _LEADS, "list"),
    Row("line/second-opinions/<uuid:opinion>/", "POST", _LEADS, "object"),
    Row("line/calls/", "GET", _PEOPLE, "list"),
    Row("line/calls/live/", "GET", _PEOPLE, "list"),
    Row("line/calls/<uuid:call_id>/answer/", "POST", _JUDGES, "object"),
    Row("line/calls/<uuid:call_id>/close/", "POST", _JUDGES, "object"),
    Row("api/v1/calls", "GET", _PEOPLE, "list"),
    Row("api/v1/calls/<uuid:call_id>/answer", "POST", _JUDGES, "object"),
    Row("api/v1/calls/<uuid:call_id>/close", "POST", _JUDGES, "object"),
    Row("api/v1/line/board", "GET", _PEOPLE, "list", tablet=_ANY_TABLET),
    Row("api/v1/line/claim", "POST", _NONE, "tablet", body="claim", tablet=_MANNED),
    Row("api/v1/line/outbox", "POST", _NONE, "tablet", body="rows", tablet=_ANY_TABLET),
    Row("api/v1/line/sign-in", "POST", _NONE, "tablet", body="badge", tablet=_ANY_TABLET),
    Row("api/v1/line/sign-out", "POST", _NONE, "tablet", tablet=_ANY_TABLET),
    Row("api/v1/line/calibration", "PUT", _NONE, "tablet", body="scale", tablet=_ANY_TABLET),
    Row("api/v1/line/unsent", "POST", _NONE, "tablet", body="count", tablet=_ANY_TABLET),
    Row("api/v1/predictions", "POST", _MACHINE, "list", body="prediction"),
    Row("api/v1/write-backs", "GET", _STAFF, "list"),
    Row("api/v1/write-backs/undelivered", "GET", _STAFF, "list"),
    Row("api/v1/write-backs/<uuid:uuid>", "GET", _STAFF, "object"),
    Row("api/v1/write-backs/<uuid:uuid>/send-again", "POST", _LEADS, "object", body="attempts"),
    Row("api/v1/conflicts", "GET", _STAFF, "list"),
    Row("api/v1/conflicts/<uuid:uuid>", "GET", _STAFF, "object"),
    Row("api/v1/conflicts/<uuid:uuid>/answer", "POST", _LEADS, "object", body="answer"),
    Row("api/v1/nonconformances", "GET", _STAFF, "list"),
    Row("api/v1/nonconformances/<uuid:uuid>", "GET", _STAFF, "object"),
    Row("api/v1/nonconformances/<uuid:uuid>/close", "POST", _LEADS, "object", body="reason"),
    Row("api/v1/mes/mappings", "GET", _STAFF, "list"),
    Row("api/v1/mes/mappings", "POST", _ENGINEERS, "object", body="mapping"),
    Row("api/v1/mes/mappings/dry-run", "POST", _ENGINEERS, "object", body="mapping"),
    Row("api/v1/mes/suppliers/<path:code>", "PUT", _MES, "object", body="supplied"),
    Row("api/v1/mes/lots/<path:code>", "PUT", _MES, "object", body="supplied"),
    Row(
        "api/v1/mes/part-revisions/<path:number>/<str:revision>",
        "PUT",
        _MES,
        "object",
        body="supplied",
    ),
    Row("api/v1/mes/orders/<path:number>", "PUT", _MES, "object", body="supplied"),
    Row("api/v1/mes/units/<path:serial>", "PUT", _MES, "object", body="supplied"),
    Row("api/v1/mes/master-data", "POST", _MES, "object", body="master_data"),
    Row("api/v1/mes/acknowledgements", "POST", _MES, "object", body="acknowledgement"),
    Row("api/v1/mes/b2mml", "POST", _MES, "object", body="b2mml"),
    Row("api/v1/mes/changes", "POST", _MES, "object", body="mes_change"),
    Row("api/v1/datasets", "GET", _STAFF, "list"),
    Row("api/v1/datasets/<slug:slug>/versions", "GET", _STAFF, "object"),
    Row("api/v1/models", "GET", _STAFF, "list"),
    Row("api/v1/models/<uuid:uuid>/promotion", "POST", _ENGINEERS, "object", body="reason"),
    Row("api/v1/training-runs", "GET", _STAFF, "list"),
    Row("api/v1/training-runs", "POST", _ENGINEERS, "object", body="training_run"),
    Row("api/v1/business-events", "POST", _ENGINEERS, "object", body="business_event"),
)
