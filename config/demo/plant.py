"""The demo plant: site, people, policy, first labels and first model. Safe to repeat."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from config.demo import tablets, xray
from config.demo.line import LINE, SITE, STATION
from config.demo.source import Shot, Source
from governance.access import Actor, actor_of, system
from governance.models import User
from governance.people import Right, add_person
from governance.reference_images import make_reference
from governance.roles import Role
from inference_bridge.models import RoutingPolicy
from inference_bridge.policy import set_policy
from inference_bridge.routing import Rule
from labeling.imports import ImportedImage, import_labelled
from labeling.models import Dataset, DefectClass, Label, Severity
from labeling.regions import Region
from retraining import deployments, registry, runs
from retraining.models import (
    GatePolicy,
    GateReport,
    RegisteredModel,
    RetrainTrigger,
    RunState,
    TrainingRun,
)
from traceability import images
from traceability.models import DispositionKind, Line, Site, Station

REVIEW_FROM, CONTAIN_FROM = 0.1, 0.85
AUDIT_RATE = 0.02
REVIEW_WITHIN_S = 900
OPERATORS_WITHIN_S = 30
LABELS_TO_RETRAIN = 20
PASSWORD = "loupe-demo-tour"  # noqa: S105 - printed on the demo's own login page
PEOPLE = {
    "inspector": ("Ines Prüfer", (Role.INSPECTOR,), _("judges units on the bench")),
    "engineer": (
        "Emil Kern",
        (Role.QUALITY_ENGINEER,),
        _("judges, retrains, promotes models"),
    ),
    "lead": ("Lena Voss", (Role.LEAD,), _("judges escalated units, resolves write-backs")),
    "admin": ("Ada Amin", (Role.ADMIN,), _("owns thresholds and models")),
    "auditor": ("Aurel Rohr", (Role.AUDITOR,), _("reads everything, changes nothing")),
    "operator": ("Olga Band", (Role.OPERATOR,), _("works at the line's tablet")),
}
_DEFAULTS = {
    "scratch": (Severity.MINOR, DispositionKind.REWORK),
    "pore": (Severity.MAJOR, DispositionKind.SCRAP),
    "dent": (Severity.MAJOR, DispositionKind.REWORK),
}
_UNKNOWN = (Severity.MAJOR, DispositionKind.REWORK)
Tell = Callable[[str], None]


class FirstModelRefused(RuntimeError):
    """The demo has no model to start with; the message says why."""


@dataclass(frozen=True)
class Plant:
    """What the demo's other parts need of it."""

    site: Site
    station: Station
    dataset: Dataset


def seed(*, source: Source, state: Path, tell: Tell) -> None:
    """Bring the demo plant to the point where its line can start."""
    actor = system("seed_demo")
    plant = _places(source)
    laboratory = xray.places()
    _people(actor, [plant.site, laboratory], state)
    tablets.seed(plant.station, state, at=timezone.now())
    _catalogue(plant.site, source)
    _policy(actor, plant.site, source)
    xray.policy(actor, laboratory, at=timezone.now())
    xray.criteria(actor, laboratory, at=timezone.now())
    _retraining(plant, has_good=any(not shot.classes for shot in source.labelled()))
    if registry.in_force(plant.site) is not None:
        return
    if not Label.objects.filter(site=plant.site).exists():
        tell(f"bringing in the first labelled images of {source.name}")
        _first_labels(actor, plant, source)
        _reference(plant)
    run = _train(actor, plant, tell)
    model = RegisteredModel.objects.get(run=run)
    deployments.promote(
        actor=actor, model=model, reason="First model of the demo", at=timezone.now()
    )


def _places(source: Source) -> Plant:
    site, _new = Site.objects.get_or_create(
        code=SITE, defaults={"name": "Demo plant", "self_registration": True}
    )
    line, _new = Line.objects.get_or_create(site=site, code=LINE)
    station, _new = Station.objects.get_or_create(site=site, line=line, code=STATION)
    dataset, _new = Dataset.objects.get_or_create(
        slug="demo", defaults={"site": site, "name": source.name.replace("_", " ").capitalize()}
    )
    return Plant(site=site, station=station, dataset=dataset)


def _people(actor: Actor, sites: Sequence[Site], state: Path) -> None:
    for username, (full_name, roles, _what) in PEOPLE.items():
        if not User.objects.filter(username=username).exists():
            add_person(
                actor=actor,
                username=username,
                password=PASSWORD,
                rights=[Right(role, site) for site in sites for role in roles],
                at=timezone.now(),
                full_name=full_name,
                badge=f"B-{username}",
                is_demo=True,
            )
    file = state / "demo" / "logins.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        f"{name}\t{PASSWORD}\t{roles[0].label}: {what}"
        for name, (_full, roles, what) in PEOPLE.items()
    ]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _catalogue(site: Site, source: Source) -> None:
    for position, code in enumerate(source.classes, start=1):
        severity, disposition = _DEFAULTS.get(code, _UNKNOWN)
        DefectClass.objects.get_or_create(
            site=site,
            code=code,
            defaults={
                "name": code.replace("_", " ").capitalize(),
                "severity": severity,
                "default_disposition": disposition,
                "position": position,
            },
        )


def _policy(actor: Actor, site: Site, source: Source) -> None:
    """Everything doubtful goes to the bench; what can be reworked goes to operators first."""
    if RoutingPolicy.objects.filter(site=site).exists():
        return
    rule = Rule(
        review_from=REVIEW_FROM,
        contain_from=CONTAIN_FROM,
        audit_rate=AUDIT_RATE,
        review_within_s=REVIEW_WITHIN_S,
    )
    at_line = [
        replace(rule, defect_class=code, operators_within_s=OPERATORS_WITHIN_S)
        for code in source.classes
        if _disposition(code) is DispositionKind.REWORK
    ]
    set_policy(
        actor=actor,
        site=site,
        rules=[rule, *at_line],
        reason="First policy of the demo",
        at=timezone.now(),
    )


def _disposition(code: str) -> DispositionKind:
    return _DEFAULTS.get(code, _UNKNOWN)[1]


def _retraining(plant: Plant, *, has_good: bool) -> None:
    RetrainTrigger.objects.get_or_create(
        site=plant.site,
        dataset=plant.dataset,
        kind=RetrainTrigger.Kind.NEW_LABELS,
        defaults={"threshold": LABELS_TO_RETRAIN},
    )
    # A demo has few images: its gate asks for less evidence than a plant should.
    GatePolicy.objects.get_or_create(
        site=plant.site,
        dataset=plant.dataset,
        defaults={
            "review_from": REVIEW_FROM,
            "contain_from": CONTAIN_FROM,
            "recall_floor": 0.5,
            "recall_margin": 0.05,
            "max_ece": 0.25,
            "min_defects": 5,
            "min_good": 5 if has_good else 0,
        },
    )


def _first_labels(actor: Actor, plant: Plant, source: Source) -> None:
    import_labelled(
        actor=actor,
        station=plant.station,
        images=[_imported(shot) for shot in source.labelled()],
        at=timezone.now(),
    )


def _reference(plant: Plant) -> None:
    """The first good part is what the others are held against."""
    good = (
        Label.objects.filter(site=plant.site, verdict=Label.Verdict.GOOD)
        .order_by("pk")
        .select_related("capture")
        .first()
    )
    if good is not None:
        images.make_preview(capture_id=good.capture_id, at=timezone.now())
        engineer = actor_of(User.objects.get(username="engineer"))
        make_reference(actor=engineer, capture=good.capture.uuid, at=timezone.now())


def _imported(shot: Shot) -> ImportedImage:
    code = shot.classes[0] if shot.classes else ""
    regions = [
        Region.read(defect_class=box.label, box=(box.x, box.y, box.width, box.height))
        for box in shot.boxes
    ] + [Region.read(defect_class=shape.label, polygon=shape.points) for shape in shot.polygons]
    return ImportedImage(
        data=shot.image,
        media_type=shot.media_type,
        width=shot.width,
        height=shot.height,
        serial=shot.serial,
        lot=shot.lot or "",
        supplier=shot.supplier or "",
        part_number=shot.part_number,
        part_revision=shot.part_revision,
        verdict=Label.Verdict.DEFECT if code else Label.Verdict.GOOD,
        defect_class=code,
        regions=tuple(regions) if code else (),
    )


def _train(actor: Actor, plant: Plant, tell: Tell) -> TrainingRun:
    """The first run, followed to its end; a run a crash left open is taken up again."""
    open_states = [RunState.REQUESTED, RunState.RUNNING, RunState.TRAINED]
    run = TrainingRun.objects.filter(dataset=plant.dataset, state__in=open_states).first()
    if run is None:
        run = runs.request(
            actor=actor,
            dataset=plant.dataset,
            trigger="manual",
            reason="First model of the demo",
            at=timezone.now(),
        )
    told = ""
    while run.state in open_states:
        runs.advance_all(at=timezone.now())
        run.refresh_from_db()
        stage = f"training the first model: {run.stage} {run.fraction:.0%}"
        if stage != told:
            tell(stage)
            told = stage
        time.sleep(0.2)  # the run moves in a process of its own; this only follows it
    if run.state != RunState.PASSED:
        raise FirstModelRefused(_why(run))
    return run


def _why(run: TrainingRun) -> str:
    if run.state == RunState.FAILED:
        return f"The first training failed: {run.failure}"
    report = GateReport.objects.get(run=run)
    reasons = [check["sentence"] for check in report.checks if not check["passed"]]
    return (
        "The gate refused the first model: "
        + " ".join(reasons)
        + " Bring more labelled images, then `make reset` and start again."
    )
