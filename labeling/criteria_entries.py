"""One zone or rule as a file has it, read with a sentence for each mistake."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext as _

from labeling.models import Severity
from labeling.regions import Region
from labeling.severity_rules import LIMITS, SeverityRule
from labeling.zones import SURFACES, Zone
from traceability.models import DispositionKind
from traceability.refusals import Invalid

Entry = Mapping[str, Any]

_ZONE: Final = {"name", "view", "part_number", "part_revision", "severity", "surface", "polygon"}
_RULE: Final = {"defect_class", "severity", "part_number", "disposition", *LIMITS}
BEYOND: Final = (DispositionKind.REWORK, DispositionKind.SCRAP, DispositionKind.HOLD)


def zone_of(entry: Entry, wrong: list[str]) -> Zone | None:
    """The zone; what is wrong with it is appended to `wrong`."""
    _unknown(entry, _ZONE, wrong)
    texts = {key: _text(entry, key, wrong) for key in ("name", "part_number", "part_revision")}
    view = _text(entry, "view", wrong) or "main"
    wrong += [
        _("%(key)s is missing.") % {"key": key}
        for key in ("name", "part_number")
        if key not in entry
    ]
    severity = _zone_severity(entry, wrong)
    try:
        region = Region.read(defect_class="-", view=view, polygon=_points(entry.get("polygon")))
    except Invalid as refusal:
        wrong.append(str(refusal.sentence))
        return None
    if severity is None or wrong:
        return None
    return Zone(**texts, view=view, severity=severity, polygon=region.polygon or ())


def rule_of(entry: Entry, wrong: list[str]) -> SeverityRule | None:
    """The rule; what is wrong with it is appended to `wrong`."""
    _unknown(entry, _RULE, wrong)
    texts = {key: _text(entry, key, wrong) for key in ("defect_class", "severity", "part_number")}
    if texts["severity"] and texts["severity"] not in Severity.values:
        wrong.append(_one_of("severity", Severity.values))
    limits = {key: _limit(entry, key, wrong) for key in LIMITS}
    if all(value is None for value in limits.values()):
        wrong.append(_("Set at least one limit: %(limits)s.") % {"limits": ", ".join(LIMITS)})
    kind = entry.get("disposition")
    if kind not in [str(each) for each in BEYOND]:
        wrong.append(_one_of("disposition", [str(each) for each in BEYOND]))
    if wrong:
        return None
    most = limits["most"]
    return SeverityRule(
        defect_class=texts["defect_class"],
        severity=texts["severity"],
        part_number=texts["part_number"],
        largest=limits["largest"],
        most=None if most is None else int(most),
        spacing=limits["spacing"],
        area=limits["area"],
        disposition=DispositionKind(str(kind)),
    )


def _unknown(entry: Entry, known: set[str], wrong: list[str]) -> None:
    wrong += [
        _("%(key)s is not known; write one of %(known)s.")
        % {"key": key, "known": ", ".join(sorted(known))}
        for key in sorted(entry.keys() - known)
    ]


def _text(entry: Entry, key: str, wrong: list[str]) -> str:
    value = entry.get(key, "")
    if not isinstance(value, str) or len(value) > 64:
        wrong.append(_("%(key)s must be a text of at most 64 characters.") % {"key": key})
        return ""
    return value.strip()


def _zone_severity(entry: Entry, wrong: list[str]) -> Severity | None:
    severity, surface = entry.get("severity"), entry.get("surface")
    if (severity is None) == (surface is None):
        wrong.append(_("Write either severity or surface."))
    elif severity is not None and severity not in Severity.values:
        wrong.append(_one_of("severity", Severity.values))
    elif surface is not None and surface not in SURFACES:
        wrong.append(_one_of("surface", list(SURFACES)))
    else:
        return SURFACES[surface] if surface is not None else Severity(str(severity))
    return None


def _points(value: object) -> list[list[float]]:
    if not isinstance(value, list) or not all(isinstance(point, list) for point in value):
        raise Invalid(_("polygon must be a list of points, each [x, y] in pixels."))
    return value


def _limit(entry: Entry, key: str, wrong: list[str]) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value < 0:
        wrong.append(_("%(key)s must be a number from 0 on.") % {"key": key})
        return None
    if key == "most" and value != int(value):
        wrong.append(_("most must be a whole number."))
        return None
    return float(value)


def _one_of(key: str, values: list[str]) -> str:
    return _("%(key)s must be one of %(values)s.") % {"key": key, "values": ", ".join(values)}
