"""B2MML documents from the MES: taken whole, or entry by entry with what is refused named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from governance.access import Actor, check_can
from governance.audit import recorded
from governance.roles import Capability
from mes_integration import changes, inbound, mappings, master_data
from mes_integration.adapters.b2mml import Word
from mes_integration.adapters.b2mml_xml import schemas_in
from mes_integration.b2mml_answers import Result, answer
from mes_integration.b2mml_documents import Change, Document, Entry, opened
from mes_integration.master_data import Status
from mes_integration.models import B2mmlDocument
from mes_integration.resolution import LINE
from mes_integration.targets import target
from traceability import locks
from traceability.models import Site, Unit
from traceability.refusals import Conflict, Invalid, Refusal, Unavailable, Unknown

REPEATED: Final = "repeated"


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a document, and what its sender is told."""

    document: Document
    results: tuple[Result, ...]
    answer: bytes

    @property
    def refused(self) -> int:
        """How many entries were refused."""
        return sum(not result.is_taken for result in self.results)


def take(*, actor: Actor, site: Site, target_name: str, payload: bytes, at: datetime) -> Taken:
    """Take a document; Invalid when it cannot be looked into, Conflict for a BODID used before.

    Every entry is a transaction of its own; what is refused is named in the answer. The same
    document again changes nothing.
    """
    document = opened(payload, schemas=schemas_in(settings.LOUPE.b2mml_schemas))
    _check_may(actor, document)
    if document.word is not None:
        results = [_acknowledged(actor, site, target_name, document.word, at=at)]
    elif _is_known(site, target_name, document):
        results = [Result(entry.place, is_taken=True, code=REPEATED) for entry in document.entries]
    else:
        results = _taken(actor, site, target_name, document, at=at)
        if all(result.is_taken for result in results):
            _remember(actor, site, target_name, document, at=at)
    return Taken(document, tuple(results), answer(document, results, at=at))


def _check_may(actor: Actor, document: Document) -> None:
    if actor.kind != "system":
        is_master = document.word is None and document.verb != "Change"
        check_can(actor, Capability.SUPPLY_MASTER_DATA if is_master else Capability.REPORT_FROM_MES)


def _acknowledged(
    actor: Actor, site: Site, target_name: str, word: Word, *, at: datetime
) -> Result:
    within = Q(site=site)
    if actor.kind != "system":
        within &= actor.within(Capability.REPORT_FROM_MES, line=LINE)
    place = f"BODID {word.key}"
    try:
        inbound.acknowledge(
            actor=actor,
            within=within,
            target=target_name,
            key=word.key,
            state="applied" if word.is_taken else "rejected",
            reference=word.reference,
            reason=word.reason or _("The MES rejected it without saying why."),
            at=at,
        )
    except Unavailable:
        raise
    except Refusal as refused:
        return Result(place, is_taken=False, code=refused.reason, sentence=refused.sentence)
    return Result(place, is_taken=True, code="recorded")


def _is_known(site: Site, target_name: str, document: Document) -> bool:
    """Whether exactly this was taken before; Conflict when its BODID was, for something else."""
    if not document.bodid:
        return False
    known = B2mmlDocument.objects.filter(
        site=site, target=target_name, bodid=document.bodid
    ).first()
    if known is None:
        return False
    if (known.name, known.digest) != (document.name, document.digest):
        raise Conflict(
            _("The BODID %(bodid)s was used before for another document; give each its own.")
            % {"bodid": document.bodid},
            code="id_reused",
        )
    return True


def _remember(
    actor: Actor, site: Site, target_name: str, document: Document, *, at: datetime
) -> None:
    if not document.bodid:
        return
    with recorded(actor=actor, at=at) as trail:
        locks.take([f"b2mml document {site.pk} {target_name} {document.bodid}"])
        _row, is_new = B2mmlDocument.objects.get_or_create(
            site=site,
            target=target_name,
            bodid=document.bodid,
            defaults={
                "name": document.name,
                "digest": document.digest,
                "entries": len(document.entries),
                "at": at,
            },
        )
        if not is_new:
            trail.nothing_changed()
            return
        trail.add(
            "b2mml.take",
            subject_kind="b2mml",
            subject=document.bodid,
            site_id=site.pk,
            detail={
                "document": document.name,
                "target": target_name,
                "digest": document.digest,
                "entries": len(document.entries),
            },
        )


def _taken(
    actor: Actor, site: Site, target_name: str, document: Document, *, at: datetime
) -> list[Result]:
    if document.verb != "Change":
        return _supplied(actor, site, document.entries, at=at)
    return [
        _changed(actor, site, target_name, document, number, entry, at=at)
        for number, entry in enumerate(document.entries, start=1)
    ]


def _supplied(actor: Actor, site: Site, entries: Sequence[Entry], *, at: datetime) -> list[Result]:
    outcomes = [
        outcome
        for start in range(0, len(entries), master_data.MOST_ITEMS)
        for outcome in master_data.supply(
            actor=actor,
            site=site,
            items=[entry.item for entry in entries[start : start + master_data.MOST_ITEMS]],
            at=at,
        )
    ]
    return [
        Result(
            entry.place,
            is_taken=outcome.status is not Status.REFUSED,
            code=outcome.code or outcome.status.value,
            sentence=outcome.sentence,
        )
        for entry, outcome in zip(entries, outcomes, strict=True)
    ]


def _changed(
    actor: Actor,
    site: Site,
    target_name: str,
    document: Document,
    number: int,
    entry: Entry,
    *,
    at: datetime,
) -> Result:
    """One change, kept under the document's BODID and its place in it."""
    try:
        change, is_new = changes.record(
            actor=actor,
            site=site,
            target_name=target_name,
            said=_said(site, target_name, document, number, entry.change),
            at=at,
        )
    except Unavailable:
        raise
    except Refusal as refused:
        return Result(entry.place, is_taken=False, code=refused.reason, sentence=refused.sentence)
    code = change.state.lower() if is_new else REPEATED
    return Result(entry.place, is_taken=True, code=code)


def _said(
    site: Site, target_name: str, document: Document, number: int, change: Change | None
) -> changes.Said:
    changed_at = parse_datetime(document.created)
    if changed_at is None or changed_at.tzinfo is None:
        raise Invalid(_("CreationDateTime is no time with its zone; write it as …Z or …+01:00."))
    if change is None or not change.word:
        raise Invalid(_("It says no Status, Disposition or EvaluatedCriterionResult."))
    return changes.Said(
        event_id=f"{document.bodid or document.digest} {number}",
        serial=change.serial or _only_unit(site, change.lot),
        word=_word(site, target_name, change.word),
        changed_at=changed_at,
        reference=document.bodid,
        by=document.by[:150],
        remark=change.remark[:500],
    )


def _only_unit(site: Site, lot: str) -> str:
    """The unit a lot consists of."""
    serials = list(
        Unit.objects.filter(site=site, lot__code=lot).values_list("serial", flat=True)[:2]
    )
    if not serials:
        raise Unknown(_("There is no unit of lot %(lot)s here.") % {"lot": lot[:128]})
    if len(serials) > 1:
        raise Invalid(
            _(
                "Lot %(lot)s has several units here. Say which: ChangeMaterialSubLot for each, or "
                "a property Serial."
            )
            % {"lot": lot[:128]}
        )
    return serials[0]


def _word(site: Site, target_name: str, said: Any) -> Any:
    """The mapping's own word for what was said in part, where that can be only one."""
    found = target(target_name)
    if found is None or not isinstance(said, Mapping):
        return said
    verdicts = mappings.in_force(site_id=site.pk, target=found)[1].verdicts
    fitting = {
        verdict: word
        for verdict, word in verdicts.items()
        if isinstance(word, Mapping) and all(word.get(name) == said[name] for name in said)
    }
    kinds = {"ACCEPT" if verdict == "CONCESSION" else verdict for verdict in fitting}
    return next(iter(fitting.values())) if len(kinds) == 1 else said
