"""The demo MES's one page: where each unit stands, refreshed every two seconds."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from config.demo.mes_store import STATES, Held, Outcome

SHOWN = 40
"""Units on the page at most."""

_WORDS = {"HOLD": "On hold", "SCRAP": "Scrapped", "REWORK": "Rework", "ACCEPT": "Released"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="2">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="stylesheet" href="/mes.css">
</head>
<body>
<header><h1>Demo MES</h1><p>Stands for the plant's own system. {clock} UTC</p></header>
<main>
<nav class="states" aria-label="Units by state">{states}</nav>
{body}
</main>
<footer>{footer}</footer>
</body>
</html>
"""

_TABLE = """<table>
<thead><tr><th>State</th><th>Unit</th><th>Part</th><th>Finding</th><th>Decided by</th>
<th class="number">Revision</th><th class="code">Reference</th><th class="number">Arrived</th>
</tr></thead>
<tbody>
{rows}
</tbody>
</table>"""

_EMPTY = """<p class="empty">Nothing has arrived yet. A unit shows here as soon as Loupe holds or
releases it.</p>"""


def page(
    units: Sequence[Held],
    counts: Mapping[str, int],
    deliveries: Mapping[str, int],
    *,
    chosen: str | None,
    at: datetime,
) -> str:
    """The page as HTML: counts by disposition, then the units of the chosen one or of all."""
    rows = "\n".join(_row(held, at) for held in units)
    body = _TABLE.format(rows=rows) if units else _EMPTY
    if chosen and not units:
        body = f'<p class="empty">No unit is {STATES[chosen].lower()} now.</p>'
    total = counts[chosen] if chosen else sum(counts.values())
    if len(units) < total:
        body += f'<p class="more">The last {len(units)} of {total} units.</p>'
    return _PAGE.format(
        title=f"{counts['HOLD']} on hold · Demo MES" if counts["HOLD"] else "Demo MES",
        clock=f"{at:%H:%M:%S}",
        states="".join(_count(name, counts[name], chosen=chosen) for name in _WORDS),
        body=body,
        footer=_footer(deliveries),
    )


def _count(disposition: str, count: int, *, chosen: str | None) -> str:
    """A count that narrows the list to its units, and widens it again when pressed twice."""
    kind = STATES[disposition].lower() + ("" if count else " none")
    current = ' aria-current="true"' if disposition == chosen else ""
    target = "/" if disposition == chosen else f"/?disposition={disposition}"
    words = _WORDS[disposition]
    return f'<a class="{kind}" href="{target}"{current}>{words} <b>{count}</b></a>'


def _row(held: Held, at: datetime) -> str:
    data = held.event["data"]
    unit = data["unit"]
    part = " ".join(str(unit[key]) for key in ("part_number", "part_revision") if unit.get(key))
    cells = (
        f'<td><strong class="{held.state.lower()}">{held.state}</strong></td>'
        f'<th scope="row">{escape(held.serial)}</th>'
        f"<td>{escape(part)}</td><td>{escape(_finding(data))}</td>"
        f'<td>{escape(_decider(data))}</td><td class="number">{held.revision}</td>'
        f'<td class="code">{held.reference}</td>'
        f'<td class="number">{_age(held.received_at, at)}</td>'
    )
    return f'<tr data-serial="{escape(held.serial)}" data-state="{held.state}">{cells}</tr>'


def _finding(data: Mapping[str, Any]) -> str:
    found = data.get("nonconformities")
    items = found if isinstance(found, list) else []
    names = [str(item.get("defect_class", "")) for item in items if isinstance(item, dict)]
    return ", ".join(name.replace("_", " ") for name in names if name) or "none"


def _decider(data: Mapping[str, Any]) -> str:
    decided = data.get("decided_by")
    if not isinstance(decided, dict):
        return ""
    return " ".join(str(decided[key]) for key in ("kind", "badge") if decided.get(key))


def _age(then: datetime, now: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    if seconds < 60:
        return f"{seconds} s ago"
    if seconds < 3600:
        return f"{seconds // 60} min ago"
    return f"{then:%d %b %H:%M}"


def _footer(deliveries: Mapping[str, int]) -> str:
    refused = sum(
        deliveries[outcome.value] for outcome in (Outcome.KEY_CONFLICT, Outcome.REVISION_CONFLICT)
    )
    return (
        f"Deliveries: {deliveries[Outcome.APPLIED.value]} applied, "
        f"{deliveries[Outcome.REPEATED.value]} repeated (held once), "
        f"{deliveries[Outcome.STALE.value]} out of order (not applied), {refused} in conflict."
    )
