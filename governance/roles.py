"""Which role may do what. Deny by default: what is not in the table is refused."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person or machine is at a site or line."""

    OPERATOR = "operator", _("Operator")
    INSPECTOR = "inspector", _("Inspector")
    LEAD = "lead", _("Lead")
    QUALITY_ENGINEER = "quality_engineer", _("Quality engineer")
    ADMIN = "admin", _("Admin")
    AUDITOR = "auditor", _("Auditor")
    MACHINE = "machine", _("Machine")
    MES = "mes", _("MES")


class Capability(models.TextChoices):
    """One thing that can be allowed."""

    SEE_PLANT = "see_plant", _("see the plant's figures")
    SEE_UNITS = "see_units", _("see units and their images")
    REVIEW = "review", _("judge units")
    REVIEW_ESCALATED = "review_escalated", _("judge escalated units")
    ASK_CONCESSION = "ask_concession", _("ask for a concession")
    APPROVE_DISPOSITIONS = (
        "approve_dispositions",
        _("approve what waits for a second person"),
    )
    SUPERVISE = "supervise", _("direct the queue")
    SET_REFERENCES = "set_references", _("choose reference images")
    JUDGE_AT_LINE = "judge_at_line", _("judge at the line what the policy leaves to it")
    ANSWER_CALLS = "answer_calls", _("answer calls from the line")
    SEE_TABLETS = "see_tablets", _("see tablets and who uses them")
    REGISTER_TABLETS = "register_tablets", _("register tablets and set PINs")
    SEE_HANDOVERS = "see_handovers", _("see shift handovers")
    SIGN_HANDOVERS = "sign_handovers", _("take over a shift")
    SEE_WRITE_BACKS = "see_write_backs", _("see write-backs")
    RESOLVE_WRITE_BACKS = "resolve_write_backs", _("resend or settle write-backs")
    MANAGE_MAPPINGS = "manage_mappings", _("change how dispositions are said to the MES")
    SET_NCR_RULES = "set_ncr_rules", _("set the rules that raise nonconformances")
    SEE_DEAD_LETTERS = "see_dead_letters", _("see dead letters")
    REDRIVE_DEAD_LETTERS = "redrive_dead_letters", _("redrive dead letters")
    SEE_POLICIES = "see_policies", _("see routing policies")
    SEE_DATASETS = "see_datasets", _("see datasets and labels")
    PUBLISH_DATASETS = "publish_datasets", _("publish dataset versions")
    SEE_MODELS = "see_models", _("see models and training runs")
    TRAIN_MODELS = "train_models", _("start a training run")
    PROMOTE_MODELS = "promote_models", _("promote models and roll back")
    SEE_AUDIT = "see_audit", _("read the audit trail")
    SEND_PREDICTIONS = "send_predictions", _("send predictions")
    SUPPLY_MASTER_DATA = "supply_master_data", _("supply master data")
    REPORT_FROM_MES = "report_from_mes", _("acknowledge write-backs and report changes in the MES")
    USE_API_SCHEMA = "use_api_schema", _("read the API's description")


_C = Capability
_SEE: Final = frozenset({_C.SEE_PLANT, _C.SEE_UNITS, _C.USE_API_SCHEMA})
_LEAD: Final = _SEE | {
    _C.REVIEW,
    _C.REVIEW_ESCALATED,
    _C.ASK_CONCESSION,
    _C.APPROVE_DISPOSITIONS,
    _C.SUPERVISE,
    _C.SET_REFERENCES,
    _C.JUDGE_AT_LINE,
    _C.ANSWER_CALLS,
    _C.SEE_TABLETS,
    _C.REGISTER_TABLETS,
    _C.SEE_HANDOVERS,
    _C.SIGN_HANDOVERS,
    _C.SEE_WRITE_BACKS,
    _C.RESOLVE_WRITE_BACKS,
    _C.SEE_DEAD_LETTERS,
    _C.SEE_POLICIES,
    _C.SEE_DATASETS,
    _C.SEE_MODELS,
}
_ENGINEER: Final = _LEAD | {
    _C.SET_NCR_RULES,
    _C.MANAGE_MAPPINGS,
    _C.REDRIVE_DEAD_LETTERS,
    _C.PUBLISH_DATASETS,
    _C.TRAIN_MODELS,
    _C.PROMOTE_MODELS,
    _C.SEE_AUDIT,
}

CAPABILITIES: Final[dict[Role, frozenset[Capability]]] = {
    Role.OPERATOR: frozenset({_C.SEE_PLANT, _C.SEE_UNITS, _C.JUDGE_AT_LINE}),
    Role.INSPECTOR: _SEE
    | {
        _C.REVIEW,
        _C.JUDGE_AT_LINE,
        _C.ANSWER_CALLS,
        _C.SEE_WRITE_BACKS,
        _C.SEE_DATASETS,
        _C.SEE_MODELS,
    },
    Role.LEAD: _LEAD,
    Role.QUALITY_ENGINEER: _ENGINEER,
    Role.ADMIN: _ENGINEER
    - {
        _C.REVIEW,
        _C.REVIEW_ESCALATED,
        _C.ASK_CONCESSION,
        _C.APPROVE_DISPOSITIONS,
        _C.JUDGE_AT_LINE,
        _C.ANSWER_CALLS,
        _C.SIGN_HANDOVERS,
    },
    Role.AUDITOR: _SEE
    | {
        _C.SEE_WRITE_BACKS,
        _C.SEE_DEAD_LETTERS,
        _C.SEE_POLICIES,
        _C.SEE_DATASETS,
        _C.SEE_MODELS,
        _C.SEE_AUDIT,
        _C.SEE_TABLETS,
        _C.SEE_HANDOVERS,
    },
    Role.MACHINE: frozenset(
        {
            _C.SEND_PREDICTIONS,
            _C.USE_API_SCHEMA,
        }
    ),
    Role.MES: frozenset({_C.SUPPLY_MASTER_DATA, _C.REPORT_FROM_MES, _C.USE_API_SCHEMA}),
}

MACHINES: Final = frozenset({Role.MACHINE, Role.MES})
"""Roles of programs: they come with a token and are never given to a person. One for each, so that
a camera's token cannot acknowledge what the MES was told."""


def roles_with(capability: Capability) -> frozenset[Role]:
    """Every role the table grants `capability` to."""
    return frozenset(role for role, granted in CAPABILITIES.items() if capability in granted)
