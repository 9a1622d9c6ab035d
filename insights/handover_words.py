"""A handover document in the reader's words: the same for one being read and one signed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from insights.handover import Document
from insights.open_items import MOST
from mes_integration.models import WriteBack
from review.line.checks import steps_of
from review.models import AndonCall, Approval, SecondOpinion
from traceability.models import DispositionKind

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: a text, a unit to look up, an age, or something abnormal."""

    text: str
    unit: str = ""
    since: datetime | None = None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a list; `is_new` since the reader looked before."""

    cells: Sequence[Cell]
    is_new: bool


@dataclass(frozen=True, slots=True)
class Block:
    """One list of the document."""

    name: str
    title: str
    columns: Sequence[str]
    lines: Sequence[Line]
    others: Sequence[str]
    count: str
    none: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The whole document in words."""

    site: str
    at: datetime
    since: datetime
    owner: str
    owner_since: datetime | None
    blocks: Sequence[Block]
    figures: Sequence[tuple[str, int]]
    tablets: Sequence[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one list is told: its title, its columns (the age comes first), and its rows. `says`:
    that a unit stands in it tells what somebody has said of the unit."""

    name: str
    title: str
    columns: Sequence[str]
    cells: Callable[[Row], list[Cell]]
    none: str = field(default="")
    says: bool = field(default=False)


def shown(document: Document, *, unseen: Mapping[str, str], new: Collection[str] = ()) -> Shown:
    """The document in words. `unseen`: units of which the reader is told nothing, and why."""
    content = document.content
    owner = content["owner"] or {}
    return Shown(
        site=content["site"],
        at=datetime.fromisoformat(content["at"]),
        since=datetime.fromisoformat(content["since"]),
        owner=owner.get("name", ""),
        owner_since=_moment(owner.get("since")),
        blocks=[_block(kind, document.listed(kind.name), unseen, new) for kind in _kinds()],
        figures=_figures(content),
        tablets=[
            [
                Cell(each["name"]),
                Cell(each["station"]),
                Cell(str(each["unsent"])),
                Cell("", since=_moment(each["seen"])),
            ]
            for each in content["tablets"]
        ],
    )


def _block(
    kind: _Kind, listed: dict[str, Any], unseen: Mapping[str, str], new: Collection[str]
) -> Block:
    keys, rows = listed["keys"], listed["rows"]
    count = f"{len(keys)}+" if len(keys) == MOST else str(len(keys))
    return Block(
        name=kind.name,
        title=kind.title,
        columns=[_("Age"), *kind.columns],
        lines=[
            Line(
                [Cell("", since=_moment(row["since"])), *_cells(kind, row, unseen)],
                is_new=f"{kind.name} {key}" in new,
            )
            for key, row in zip(keys, rows, strict=False)
        ],
        others=[_name(kind, key, unseen) for key in keys[len(rows) :]],
        count=count,
        none=kind.none or _("None."),
    )


def _cells(kind: _Kind, row: Row, unseen: Mapping[str, str]) -> list[Cell]:
    unit = row.get("unit", "")
    if unit not in unseen:
        return kind.cells(row)
    # How it stands tells what a model or a colleague has said of it.
    named = Cell("–") if kind.says else Cell(unit, unit=unit)
    return [named, Cell(unseen[unit], tone="quiet"), *(Cell("–") for _column in kind.columns[2:])]


def _name(kind: _Kind, key: str, unseen: Mapping[str, str]) -> str:
    """Of what stands below a long list: the key without its moment."""
    name = key.rpartition(" ")[0]
    return "–" if kind.says and name.rpartition(" ")[0] in unseen else name


def _kinds() -> list[_Kind]:
    return [
        _Kind(
            "holds",
            _("Units on hold"),
            [_("Unit"), _("Why"), _("Station"), _("Put away"), _("Answers for it")],
            _hold,
        ),
        _Kind("for_leads", _("Waiting for a lead"), [_("Unit"), _("What"), _("Line")], _for_lead),
        _Kind(
            "approvals",
            _("Waiting for a second person"),
            [_("Unit"), _("What"), _("Reason"), _("Line"), _("Asked by")],
            _approval,
            says=True,
        ),
        _Kind(
            "questions",
            _("Held by the model, nobody has looked"),
            [_("Unit"), _("Line"), _("Deadline")],
            _question,
        ),
        _Kind("stuck", _("Stuck"), [_("Unit"), _("Why"), _("Line")], _stuck),
        _Kind(
            "calls",
            _("Calls from the line"),
            [_("Call"), _("Station"), _("By"), _("Answered by")],
            _call,
        ),
        _Kind(
            "checks",
            _("Images not fit to judge"),
            [_("Station"), _("To do"), _("Unfit images"), _("Done by")],
            _check,
        ),
        _Kind(
            "opinions",
            _("Late verdicts from tablets, not seen by a lead"),
            [_("Unit"), _("Why"), _("Station"), _("By")],
            _opinion,
        ),
        _Kind(
            "refused",
            _("Write-backs that need a person"),
            [_("Unit"), _("State"), _("Last error"), _("Attempts")],
            _write_back,
        ),
        _Kind(
            "unsent",
            _("Write-backs not at the MES yet"),
            [_("Unit"), _("State"), _("Last error"), _("Attempts")],
            _write_back,
        ),
        _Kind(
            "changes",
            _("Changed in this shift"),
            [_("What"), _("Version"), _("By"), _("Reason")],
            _change,
            _("Neither policy nor criteria nor model."),
        ),
    ]


def _unit(row: Row) -> Cell:
    return Cell(row["unit"] or "–", unit=row["unit"])


def _hold(row: Row) -> list[Cell]:
    put = (
        Cell(_("%(place)s, %(who)s") % {"place": row["place"], "who": row["put_by"]})
        if row["put_by"]
        else Cell(_("not acknowledged"), tone="warn")
    )
    owner = Cell(row["owner"]) if row["owner"] else Cell(_("nobody"), tone="hold")
    return [_unit(row), Cell(row["reason"] or "–"), Cell(row["station"] or "–"), put, owner]


def _for_lead(row: Row) -> list[Cell]:
    what = _("Adjudication") if row["what"] == "adjudication" else _("Escalated")
    return [_unit(row), Cell(what), Cell(row["line"])]


def _approval(row: Row) -> list[Cell]:
    kind = str(Approval.Kind(row["kind"]).label)
    return [
        _unit(row),
        Cell(kind),
        Cell(row["reason"] or "–"),
        Cell(row["line"]),
        Cell(row["by"]),
    ]


def _question(row: Row) -> list[Cell]:
    return [_unit(row), Cell(row["line"]), Cell(_clock(row["deadline"]))]


def _stuck(row: Row) -> list[Cell]:
    return [_unit(row), Cell(row["why"], tone="warn"), Cell(row["line"])]


def _call(row: Row) -> list[Cell]:
    answered = Cell(row["answered_by"]) if row["answered_by"] else Cell(_("nobody"), tone="warn")
    kind = str(AndonCall.Kind(row["kind"]).label)
    return [Cell(kind), Cell(row["station"]), Cell(row["by"] or "–"), answered]


def _check(row: Row) -> list[Cell]:
    done = Cell(row["done_by"]) if row["done_by"] else Cell(_("nobody"), tone="warn")
    steps = " ".join(steps_of(row["causes"]))
    return [Cell(row["station"]), Cell(steps), Cell(str(row["unfit"])), done]


def _opinion(row: Row) -> list[Cell]:
    why = str(SecondOpinion.Why(row["why"]).label)
    return [_unit(row), Cell(why), Cell(row["station"]), Cell(row["by"])]


def _write_back(row: Row) -> list[Cell]:
    state = WriteBack.State(row["state"])
    needs = state in (WriteBack.State.REJECTED, WriteBack.State.NEEDS_PERSON)
    return [
        _unit(row),
        Cell(str(state.label), tone="hold" if needs else ""),
        Cell(row["reason"] or "–"),
        Cell(str(row["attempts"])),
    ]


def _change(row: Row) -> list[Cell]:
    words: dict[str, str] = {
        "policy.set": _("Policy"),
        "criteria.set": _("Acceptance criteria"),
        "model.promotion": _("Model promoted"),
        "model.rollback": _("Model rolled back"),
    }
    action = str(row["action"])
    return [
        Cell(words.get(action, action)),
        Cell(row["what"]),
        Cell(row["by"]),
        Cell(row["reason"] or "–"),
    ]


def _figures(content: dict[str, Any]) -> list[tuple[str, int]]:
    figures, controls = content["figures"], content["controls"]
    by = [(str(kind.label), figures["by"][kind.value]) for kind in DispositionKind]
    return [
        (_("Verdicts"), figures["decided"]),
        *by,
        (_("Units put on hold"), figures["held"]),
        (_("Controls judged"), controls["shown"]),
        (_("Controls missed"), controls["missed"]),
    ]


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _clock(text: str | None) -> str:
    at = _moment(text)
    return f"{at:%H:%M} UTC" if at else "–"
