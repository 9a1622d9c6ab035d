"""Sorts a batch into events to record, repetitions, and what is refused with its reason."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from governance.access import Actor
from governance.roles import Capability
from inference_bridge import facts, policy, references
from inference_bridge.envelopes import Unreadable
from inference_bridge.events import PredictionEvent
from inference_bridge.facts import Sighting
from inference_bridge.references import Key
from inference_bridge.routing import route
from traceability.models import Inspection, Site

Numbered = tuple[int, PredictionEvent]

_REUSED: Final = (
    "An event with this source and id was taken before and said something else. "
    "Give each event an id of its own."
)
_SOURCE_TAKEN: Final = (
    "Another site has sent an event with this source and id. "
    "Name the site in the source, as in urn:loupe:edge:plant-1:st-4."
)


class Sieve:
    """One batch of events, by their number in it. Runs within the transaction that records them."""

    def __init__(self, *, actor: Actor, needs: Capability | None, at: datetime) -> None:
        self._actor = actor
        self._needs = needs
        self._at = at
        self._sites: dict[str, Site] = {}
        self._lines: dict[Key, int] = {}
        self.repeated: set[int] = set()
        self.refused: dict[int, Unreadable] = {}
        self.sightings: dict[int, Sighting] = {}
        self.earlier: dict[tuple[int, str], Inspection] = {}

    def sort(self, events: Sequence[Numbered]) -> None:
        """Fill `repeated`, `refused` and `sightings`; every event is in exactly one of them."""
        if not events:
            return
        facts.lock(event for _number, event in events)
        self._find_sites(events)
        # Site and line first: to whom they are closed, nothing else is said.
        placed = [(n, event) for n, event in events if self._has_site(n, event)]
        for number, event in self._without_repetitions(placed):
            self.sightings[number] = self._sighting(event)
        if self.sightings:
            self._refuse_foreign_inspections()

    def site_of(self, code: str) -> Site | None:
        """The site an event names, when it is there."""
        return self._sites.get(code)

    def _without_repetitions(self, events: Sequence[Numbered]) -> list[Numbered]:
        known = facts.taken_before([event for _number, event in events])
        self._find_lines([event for _number, event in events], known)
        fresh = []
        for number, event in events:
            if not self._has_line(number, event):
                continue
            mine = (self._sites[event.place.site].pk, event.body_sha256)
            before = known.get((event.source, event.event_id))
            if before is None:
                known[event.source, event.event_id] = mine
                fresh.append((number, event))
            elif before == mine:
                self.repeated.add(number)
            elif before[0] == mine[0]:
                self._refuse(number, "id_reused", _REUSED)
            else:
                self._refuse(number, "source_taken", _SOURCE_TAKEN)
        return fresh

    def _refuse(self, number: int, code: str, sentence: str) -> None:
        self.refused[number] = Unreadable(code, sentence)

    def _find_sites(self, events: Sequence[Numbered]) -> None:
        codes = {event.place.site for _number, event in events}
        self._sites = {site.code: site for site in Site.objects.filter(code__in=codes)}

    def _has_site(self, number: int, event: PredictionEvent) -> bool:
        site = self._sites.get(event.place.site)
        if site is not None and self._covers(site, None, anywhere=True):
            return True
        # The same answer whether the site is not there or not the sender's.
        self._refuse(
            number,
            "unknown_site",
            f"There is no site {event.place.site}. Mend data.site.site, or have an admin add it.",
        )
        return False

    def _covers(self, site: Site, line_id: int | None, *, anywhere: bool = False) -> bool:
        if self._needs is None:
            return True
        return any(
            scope.site_id == site.pk and (anywhere or scope.line_id in (None, line_id))
            for scope in self._actor.scopes_for(self._needs)
        )

    def _find_lines(
        self, events: Sequence[PredictionEvent], known: Collection[tuple[str, str]]
    ) -> None:
        """Look lines up; where a site registers by itself, make them for events not `known`."""
        makes: dict[Key, Key] = {}
        areas: dict[Key, Key] = {}
        there: dict[Key, Key] = {}
        for event in events:
            site = self._sites[event.place.site]
            key = (site.pk, event.place.line)
            is_known = (event.source, event.event_id) in known
            if is_known or not (site.self_registration and self._covers(site, None)):
                there[key] = ()
                continue
            makes.setdefault(key, (site.pk, event.place.area))
            if event.place.area:
                areas[site.pk, event.place.area] = ()
        area_ids = references.ids(references.AREA, areas)
        self._lines = references.ids(references.LINE, there, makes=False) | references.ids(
            references.LINE, {key: (area_ids.get(area),) for key, area in makes.items()}
        )

    def _has_line(self, number: int, event: PredictionEvent) -> bool:
        site = self._sites[event.place.site]
        line_id = self._lines.get((site.pk, event.place.line))
        if line_id is not None and self._covers(site, line_id):
            return True
        self._refuse(
            number,
            "unknown_line",
            f"There is no line {event.place.line} at {site.code}. Mend data.site.line, "
            "have the line added, or let the site register lines by itself.",
        )
        return False

    def _sighting(self, event: PredictionEvent) -> Sighting:
        """The event with its place and its route: the rule in force decides, not the sender."""
        site = self._sites[event.place.site]
        in_force = policy.in_force(site_id=site.pk, at=self._at)
        rule = in_force.rule_for(
            line=event.place.line,
            part_number=event.shot.part_number,
            defect_class=event.defect_class,
        )
        goes = route(score=event.score, rule=rule, is_fit=event.shot.is_fit)
        return Sighting(
            event=event,
            site=site,
            line_id=self._lines[site.pk, event.place.line],
            rule=rule,
            policy_version=in_force.version,
            route=goes,
        )

    def _refuse_foreign_inspections(self) -> None:
        """Views join an inspection only at the place and of the unit it was opened for."""
        self.earlier = facts.find_inspections(list(self.sightings.values()))
        opened = {key: _Opened.of(inspection) for key, inspection in self.earlier.items()}
        for number, s in list(self.sightings.items()):
            shot, place = s.event.shot, s.event.place
            there = opened.get(s.inspection_key)
            if there is None:
                opened[s.inspection_key] = _Opened(shot.serial, place.line, place.station)
            elif not shot.names_its_inspection:
                self._refuse(number, "inspection_taken", _TAKEN)
            elif not there.is_at(place.line, place.station):
                # Says nothing of the other place, which may not be the sender's.
                self._refuse(
                    number,
                    "inspection_elsewhere",
                    f"The inspection {shot.inspection_id} was opened at another line or station. "
                    "Give each station's inspection an id of its own.",
                )
            elif there.serial != shot.serial:
                self._refuse(
                    number,
                    "inspection_of_another_unit",
                    f"The inspection {shot.inspection_id} belongs to unit {there.serial}, not "
                    f"{shot.serial}. Give each unit's inspection an id of its own.",
                )
            if number in self.refused:
                del self.sightings[number]


@dataclass(frozen=True, slots=True)
class _Opened:
    """What an inspection was opened for: unit, line, and the station where it is known."""

    serial: str
    line: str
    station: str

    @classmethod
    def of(cls, inspection: Inspection) -> _Opened:
        station = inspection.station.code if inspection.station else ""
        return cls(inspection.unit.serial, inspection.line.code, station)

    def is_at(self, line: str, station: str) -> bool:
        """Whether a view from there may join; one that names no station may."""
        return self.line == line and (not station or self.station in ("", station))


_TAKEN: Final = (
    "Another inspection of this site already has the event's id. "
    "Send data.capture.inspection_id, or ids that are unique at the site."
)
