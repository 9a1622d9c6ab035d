"""Dataset versions: which labels count, and how they become an immutable version."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.conf import settings
from django.db import connection
from django.db.models import Exists, Max, OuterRef, Prefetch, Q, QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.audit import recorded
from labeling import manifest, splits
from labeling.manifest import Mark, Plan, Sample, fanned
from labeling.models import (
    Annotation,
    Dataset,
    DatasetSample,
    DatasetVersion,
    Label,
    Split,
    SplitAssignment,
)
from labeling.versions import finish, version_prefix
from traceability import images
from traceability.gateways import object_store
from traceability.gateways.object_store import ObjectMissing, ObjectStore
from traceability.models import Capture, Site
from traceability.previews import TooLarge, Unfit
from traceability.refusals import Conflict, Invalid

WRITERS: Final = 8
# Any number that nothing else in this database locks under.
_LOCKS: Final = 7101


class NothingToTrain(Invalid):
    """The labels do not make a dataset yet; the sentence says what is missing."""

    code = "nothing_to_train"


@dataclass(frozen=True, slots=True)
class Diff:
    """What changed from one version to another, in images."""

    added: int
    removed: int
    relabelled: int


def current_labels(*, site: Site) -> QuerySet[Label]:
    """The labels that hold: not taken back, not superseded, and of an image that can be used."""
    # By the image, not only by the inspection: the same one may have been sent or imported twice.
    excluded = Capture.objects.filter(
        site=site, sha256=OuterRef("capture__sha256"), inspection__exclusion__isnull=False
    )
    newer = Label.objects.filter(id__gt=OuterRef("id"), withdrawal__isnull=True)
    relabelled = newer.filter(capture=OuterRef("capture"))
    # A later decision on the unit speaks for all its views, those it left unlabelled too.
    overruled = newer.filter(inspection=OuterRef("inspection")).filter(
        Q(decision__lt=OuterRef("decision")) | Q(decision__gt=OuterRef("decision"))
    )
    return (
        Label.objects.filter(site=site, withdrawal__isnull=True, capture__learnable=True)
        .exclude(capture__preview=Capture.Preview.REFUSED)
        .filter(~Exists(relabelled), ~Exists(overruled), ~Exists(excluded))
    )


def latest(dataset: Dataset) -> DatasetVersion | None:
    """The newest version, if there is one."""
    return dataset.versions.order_by("-number").first()


def new_labels(*, dataset: Dataset) -> int:
    """How many labels that hold came after those of the latest version."""
    last = latest(dataset)
    labels = current_labels(site=dataset.site)
    if last is not None:
        seen = last.samples.aggregate(last=Max("label_id"))["last"] or 0
        labels = labels.filter(id__gt=seen)
    return labels.count()


def diff(a: DatasetVersion, b: DatasetVersion) -> Diff:
    """Images added, removed and labelled anew from `a` to `b`."""
    return _compared(_labels_of(a), _labels_of(b))


def _labels_of(version: DatasetVersion | None) -> dict[str, int]:
    """Each image's newest label, by the image's hash."""
    if version is None:
        return {}
    rows = version.samples.order_by("label_id")
    return dict(rows.values_list("label__capture__sha256", "label_id"))


def _compared(before: Mapping[str, int], after: Mapping[str, int]) -> Diff:
    return Diff(
        added=len(after.keys() - before.keys()),
        removed=len(before.keys() - after.keys()),
        relabelled=sum(before.get(image, label) != label for image, label in after.items()),
    )


def publish(*, actor: Actor, dataset: Dataset, reason: str, at: datetime) -> DatasetVersion:
    """Publish the labels that hold as the next version; the latest one when nothing changed.

    The objects are written first, outside any transaction, and the version is recorded last: a
    crash in between leaves files that the next publication writes over. Raises NothingToTrain,
    Conflict while another publication of this dataset runs, StoreUnavailable.
    """
    store = object_store.datasets()
    with _alone(dataset):
        parent = latest(dataset)
        before = _labels_of(parent)
        labelled, refused = _stored(store, _labelled(dataset), before.keys())
        _refuse(refused, actor=actor, at=at)
        planned = manifest.plan(labelled=labelled, pinned=_pins(dataset), seed=dataset.seed)
        _check_trainable(planned)
        lines = manifest.lines(planned)
        content = manifest.content_sha256(lines)
        if parent is not None and parent.content_sha256 == content:
            finish(store, parent)
            return parent
        version = DatasetVersion(
            site_id=dataset.site_id,
            dataset=dataset,
            number=parent.number + 1 if parent else 1,
            parent=parent,
            content_sha256=content,
            counts=planned.counts(),
            class_map=manifest.class_map(
                (c for s in labelled for c in s.classes), earlier=parent.class_map if parent else {}
            ),
            changes=asdict(_compared(before, {s.sha256: s.label_id for s in labelled})),
            reason=reason[:300],
            published_by=actor.name,
            published_at=at,
        )
        version.prefix = version_prefix(dataset.slug, version.number)
        _write(store, version, planned, lines)
        _record(actor, version, planned, labelled)
        finish(store, version)
        return version


@contextmanager
def _alone(dataset: Dataset) -> Iterator[None]:
    """One publication of a dataset at a time; the lock goes with the connection that holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [_LOCKS, dataset.pk])
        if not cursor.fetchone()[0]:
            raise Conflict(
                _("%(dataset)s is being published right now. Try again in a moment.")
                % {"dataset": dataset.name},
                code="being_published",
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [_LOCKS, dataset.pk])


def _pins(dataset: Dataset) -> dict[str, Split]:
    given = SplitAssignment.objects.filter(dataset=dataset).values_list("group", "split")
    return {group: Split(split) for group, split in given}


def _labelled(dataset: Dataset) -> list[Label]:
    return list(
        current_labels(site=dataset.site)
        .select_related(
            "capture",
            "defect_class",
            "unit__lot__supplier",
            "unit__supplier",
            "unit__part_revision__part_number",
        )
        .prefetch_related(
            Prefetch("annotations", queryset=Annotation.objects.order_by("id"), to_attr="marks")
        )
        .order_by("id")
    )


def _sample(label: Label, annotations: Sequence[Annotation]) -> Sample:
    unit, capture = label.unit, label.capture
    lot = unit.lot
    supplier = unit.supplier or (lot.supplier if lot else None)
    part = unit.part_revision
    code = lot.code if lot else None
    return Sample(
        label_id=label.pk,
        labels=(str(label.uuid),),
        capture_id=capture.pk,
        sha256=capture.sha256,
        width=capture.width,
        height=capture.height,
        is_defect=label.verdict == Label.Verdict.DEFECT,
        defect_class=label.defect_class.code if label.defect_class else "",
        disposition=label.disposition,
        group=splits.group_of(serial=unit.serial, lot=code),
        unit=unit.serial,
        lot=code,
        supplier=supplier.code if supplier else None,
        part_number=part.part_number.number if part else None,
        part_revision=part.revision if part else None,
        captured_at=capture.captured_at,
        inclusion_probability=label.inclusion_probability,
        marks=tuple(
            Mark(
                drawn=mark.origin == Annotation.Origin.DRAWN,
                shape=mark.shape,
                defect_class=mark.defect_class,
                geometry=mark.geometry,
                score=mark.score,
            )
            for mark in annotations
        ),
    )


Why = ObjectMissing | Unfit


def _stored(
    store: ObjectStore, labels: Sequence[Label], known: Collection[str]
) -> tuple[list[Sample], list[tuple[Capture, Why]]]:
    """The labels as samples, once their images lie in the dataset bucket; the known ones do.

    Beside them the captures left out, and why: the image is gone, is not the one that was
    labelled, or is too large to learn from.
    """
    fresh = {label.capture_id: label.capture for label in labels}
    fresh = {pk: capture for pk, capture in fresh.items() if capture.sha256 not in known}
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="publish") as pool:
        said = dict(zip(fresh, pool.map(partial(_keep, store), fresh.values()), strict=True))
    refused = {pk: why for pk, why in said.items() if why}
    samples = [
        _sample(label, label.marks)  # type: ignore[attr-defined]  # prefetched to this name
        for label in labels
        if label.capture_id not in refused
    ]
    return samples, [(fresh[pk], why) for pk, why in refused.items()]


def _refuse(refused: Sequence[tuple[Capture, Why]], *, actor: Actor, at: datetime) -> None:
    """Mark them: they are not asked for again, whatever becomes of this publication."""
    if not refused:
        return
    with recorded(actor=actor, at=at) as trail:
        for capture, why in refused:
            is_shown = isinstance(why, TooLarge)
            if is_shown:
                images.leave_out(capture_id=capture.pk)
            else:
                images.refuse(capture_id=capture.pk, sentence=why.sentence)
            trail.add(
                "capture.leave_out" if is_shown else "capture.refuse",
                subject_kind="capture",
                subject=capture.uuid,
                site_id=capture.site_id,
                reason=why.sentence,
            )


def _keep(store: ObjectStore, capture: Capture) -> Why | None:
    """Copy the capture's bytes to their place; None, or why they cannot be used."""
    key = manifest.OBJECTS + fanned(capture.sha256)
    try:
        if not store.exists(key):
            data = images.original(capture)
            store.put_if_absent(key, data, content_type=capture.media_type)
    except (ObjectMissing, Unfit) as error:
        return error
    return None


def _check_trainable(planned: Plan) -> None:
    samples = [s for of_split in planned.samples.values() for s in of_split]
    kinds = {s.defect_class if s.is_defect else None for s in samples}
    if not samples:
        raise NothingToTrain(_("There are no labels yet. Judge some parts, or import labels."))
    if len(kinds) < 2:
        raise NothingToTrain(
            _("All %(count)d labels say the same, so there is nothing to tell apart. Judge more.")
            % {"count": len(samples)}
        )
    for split in (Split.TRAIN, Split.TEST):
        if not planned.samples[split]:
            raise NothingToTrain(
                _("All labels are of one lot or unit: none is left for the test. Label others.")
            )


def _write(store: ObjectStore, version: DatasetVersion, planned: Plan, lines: bytes) -> None:
    """All files of the version but the marker that makes it one."""
    samples = [s for of_split in planned.samples.values() for s in of_split]
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="publish") as pool:
        # Draining the iterator raises what a writer raised.
        for _done in pool.map(partial(_keep_annotation, store), samples):
            pass
    made = manifest.files(planned=planned, manifest=lines, bucket=store.bucket)
    described = _description(version, made["manifest.jsonl.gz"])
    for name, data in [*made.items(), ("version.json", manifest.canonical(described))]:
        store.put(f"{version.prefix}/{name}", data, content_type=_content_type(name))


def _keep_annotation(store: ObjectStore, sample: Sample) -> None:
    data = manifest.annotation(sample)
    key = f"{manifest.ANNOTATIONS}{fanned(manifest.content_sha256(data))}.json"
    if not store.exists(key):
        store.put_if_absent(key, data, content_type="application/json")


def _content_type(name: str) -> str:
    return "application/gzip" if name.endswith(".gz") else "application/json"


def _description(version: DatasetVersion, packed: bytes) -> Mapping[str, Any]:
    parent = version.parent
    return {
        "dataset": version.dataset.slug,
        "number": version.number,
        "site": version.dataset.site.code,
        "parents": [{"number": parent.number, "content_sha256": parent.content_sha256}]
        if parent
        else [],
        "content_sha256": version.content_sha256,
        "manifest_sha256": manifest.content_sha256(packed),
        "counts": version.counts,
        "changes": version.changes,
        "class_map": version.class_map,
        "split": {
            "policy": "lot, else unit; a member keeps its split",
            "seed": version.dataset.seed,
            "targets": {split.value: share for split, share in splits.TARGETS.items()},
        },
        "selection": "every label of the site that holds",
        "reason": version.reason,
        "author": version.published_by,
        "published_at": version.published_at.isoformat(),
        "bucket": settings.LOUPE.dataset_bucket,
    }


def _record(
    actor: Actor, version: DatasetVersion, planned: Plan, labelled: Sequence[Sample]
) -> None:
    """The version, its samples and its splits, in one transaction with the audit entry."""
    placed = {s.sha256: split for split, samples in planned.samples.items() for s in samples}
    with recorded(actor=actor, at=version.published_at) as trail:
        version.save(force_insert=True)
        SplitAssignment.objects.bulk_create(
            [
                SplitAssignment(
                    site_id=version.site_id, dataset=version.dataset, group=group, split=split
                )
                for group, split in sorted(planned.groups.items())
            ],
            ignore_conflicts=True,
            batch_size=2000,
        )
        DatasetSample.objects.bulk_create(
            [
                DatasetSample(
                    site_id=version.site_id,
                    version=version,
                    label_id=sample.label_id,
                    split=placed[sample.sha256],
                )
                for sample in labelled
            ],
            batch_size=2000,
        )
        trail.add(
            "dataset.publish",
            subject_kind="dataset_version",
            subject=version,
            site_id=version.site_id,
            detail={
                "content_sha256": version.content_sha256,
                "counts": version.counts,
                "parent": version.parent.number if version.parent else None,
            },
            reason=version.reason,
        )
