"""The files of a dataset version, from its samples alone: the same samples give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from labeling.models import Split
from labeling.splits import Count, assign, joined

OBJECTS: Final = "objects/sha256/"
ANNOTATIONS: Final = "annotations/sha256/"
# An image that two groups with different pins share stays where it must not be learnt from.
_STRONGEST: Final = (Split.TEST, Split.VALIDATION, Split.TRAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A region of an image; `drawn` by a person, else proposed by the model."""

    drawn: bool
    shape: str
    defect_class: str
    geometry: Sequence[Any]
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A labelled image. `labels` are the ids of all labels that speak of these bytes."""

    label_id: int
    labels: tuple[str, ...]
    capture_id: int
    sha256: str
    width: int
    height: int
    is_defect: bool
    defect_class: str
    disposition: str
    group: str
    unit: str
    lot: str | None
    supplier: str | None
    part_number: str | None
    part_revision: str | None
    captured_at: datetime
    inclusion_probability: float
    marks: tuple[Mark, ...] = ()

    @property
    def classes(self) -> list[str]:
        """The defect classes on it, the judged one first; none when good."""
        if not self.is_defect:
            return []
        drawn = sorted({mark.defect_class for mark in self.marks if mark.drawn})
        return list(dict.fromkeys([c for c in (self.defect_class, *drawn) if c]))


@dataclass(frozen=True, slots=True)
class Plan:
    """Which image goes where, and what each group was given."""

    samples: Mapping[Split, Sequence[Sample]]
    groups: Mapping[str, Split]

    def counts(self) -> dict[str, dict[str, int]]:
        """Per split: samples, good, defect."""
        return {
            split.value: {
                "samples": len(samples),
                "good": sum(not s.is_defect for s in samples),
                "defect": sum(s.is_defect for s in samples),
            }
            for split, samples in self.samples.items()
        }


def fanned(sha256: str) -> str:
    """ab/cd/<64 hex>: no folder and no S3 prefix grows without end."""
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def canonical(value: Any) -> bytes:
    """One spelling for one value."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def plan(*, labelled: Sequence[Sample], pinned: Mapping[str, Split], seed: int) -> Plan:
    """One sample for each image, in one split. Lots and units are never divided, nor are those
    that share an image; of several labels of the same bytes the newest holds.
    """
    together = joined((s.group, s.sha256) for s in labelled)
    images = {(together[s.group], s.sha256): s for s in labelled}
    clusters: dict[str, Count] = {}
    for (cluster, _sha), sample in images.items():
        one = Count(defect=1) if sample.is_defect else Count(good=1)
        clusters[cluster] = clusters.get(cluster, Count()) + one
    held: dict[str, Split] = {}
    for group, cluster in together.items():
        if group in pinned:
            held[cluster] = _stronger(held.get(cluster), pinned[group])
    given = assign(groups=clusters, pinned=held, seed=seed)
    groups = {group: pinned.get(group, given[cluster]) for group, cluster in together.items()}
    return Plan(samples=_one_each(labelled, groups), groups=groups)


def _one_each(labelled: Sequence[Sample], groups: Mapping[str, Split]) -> dict[Split, list[Sample]]:
    by_image: dict[str, list[Sample]] = {}
    for sample in labelled:
        by_image.setdefault(sample.sha256, []).append(sample)
    chosen: dict[Split, list[Sample]] = {split: [] for split in Split}
    for sha256 in sorted(by_image):
        same = by_image[sha256]
        split = min((groups[s.group] for s in same), key=_STRONGEST.index)
        newest = max((s for s in same if groups[s.group] == split), key=lambda s: s.label_id)
        labels = tuple(sorted(uuid for s in same for uuid in s.labels))
        chosen[split].append(replace(newest, labels=labels))
    return chosen


def _stronger(one: Split | None, other: Split) -> Split:
    return other if one is None else min(one, other, key=_STRONGEST.index)


def annotation(sample: Sample) -> bytes:
    """What is on the image and where, by person and by model, as canonical JSON."""
    marks = [
        {
            "origin": "drawn" if mark.drawn else "proposed",
            "label": mark.defect_class,
            mark.shape: list(mark.geometry),
            **({} if mark.score is None else {"score": mark.score}),
        }
        for mark in sample.marks
    ]
    return canonical(
        {
            "image": sample.sha256,
            "width": sample.width,
            "height": sample.height,
            "label": _verdict(sample),
            "classes": sample.classes,
            "regions": sorted(marks, key=canonical),
        }
    )


def lines(planned: Plan) -> bytes:
    """The manifest, uncompressed: a line for each sample, in the order of their hashes."""
    rows = [(s, split) for split, samples in planned.samples.items() for s in samples]
    rows.sort(key=lambda row: row[0].sha256)
    return b"".join(canonical(_line(sample, split)) + b"\n" for sample, split in rows)


def content_sha256(manifest: bytes) -> str:
    """The version's identity: the hash of its manifest's lines."""
    return hashlib.sha256(manifest).hexdigest()


def files(*, planned: Plan, manifest: bytes, bucket: str) -> dict[str, bytes]:
    """Everything of a version that follows from its samples, by name within its prefix."""
    made = {"manifest.jsonl.gz": gzip.compress(manifest, mtime=0)}
    for split, samples in planned.samples.items():
        made[f"{split.value}.images.manifest"] = canonical(
            [{"prefix": f"s3://{bucket}/{OBJECTS}"}, *(fanned(s.sha256) for s in samples)]
        )
        made[f"labels/{split.value}.jsonl"] = b"".join(
            canonical(_label(sample)) + b"\n" for sample in samples
        )
    return made


def class_map(codes: Iterable[str], *, earlier: Mapping[str, int]) -> dict[str, int]:
    """A number for each class; a class keeps the number it had in the parent."""
    numbered = dict(earlier)
    for code in sorted(set(codes) - numbered.keys()):
        numbered[code] = max(numbered.values(), default=-1) + 1
    return numbered


def _verdict(sample: Sample) -> str:
    return "defect" if sample.is_defect else "good"


def _line(sample: Sample, split: Split) -> dict[str, Any]:
    return {
        "image": sample.sha256,
        "annotation": hashlib.sha256(annotation(sample)).hexdigest(),
        "split": split.value,
        "label": _verdict(sample),
        "classes": sample.classes,
        "disposition": sample.disposition or None,
        "labels": list(sample.labels),
        "group": sample.group,
        "unit": sample.unit,
        "lot": sample.lot,
        "supplier": sample.supplier,
        "part_number": sample.part_number,
        "part_revision": sample.part_revision,
        "captured_at": sample.captured_at.astimezone(UTC).isoformat(),
        "inclusion_probability": sample.inclusion_probability,
    }


def _box(geometry: Sequence[Any]) -> dict[str, float]:
    x, y, width, height = geometry
    return {"x": x, "y": y, "width": width, "height": height}


def _label(sample: Sample) -> dict[str, Any]:
    """What the trainer reads. Only what a person drew is learnt from: a model that learns from
    its own proposals confirms itself."""
    drawn = [mark for mark in sample.marks if mark.drawn and sample.is_defect]
    return {
        "image": fanned(sample.sha256),
        "sha256": sample.sha256,
        "label": _verdict(sample),
        "classes": sample.classes,
        "boxes": [{"label": m.defect_class, **_box(m.geometry)} for m in drawn if m.shape == "box"],
        "polygons": [
            {"label": m.defect_class, "points": list(m.geometry)}
            for m in drawn
            if m.shape == "polygon"
        ],
        "group": sample.group,
        "unit": sample.unit,
        "lot": sample.lot,
        "weight": 1 / sample.inclusion_probability,
    }
