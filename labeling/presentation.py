"""Datasets as people and programs see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor
from governance.roles import Capability
from labeling import criteria
from labeling.datasets import new_labels
from labeling.models import AcceptanceCriteria, Dataset, DatasetVersion, Split
from traceability.refusals import Unknown

VERSIONS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version with its counts in the order of the splits: (split, samples, good, defect)."""

    version: DatasetVersion
    splits: list[tuple[str, int, int, int]]


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset, its versions from the newest on, and what waits for the next one."""

    dataset: Dataset
    waiting: int
    versions: list[VersionRow]
    is_published_by_me: bool

    @property
    def latest(self) -> DatasetVersion | None:
        """The newest version."""
        return self.versions[0].version if self.versions else None


def datasets_of(actor: Actor, capability: Capability) -> QuerySet[Dataset]:
    """The datasets on which the actor holds the capability."""
    return (
        Dataset.objects.filter(actor.within(capability, line=None))
        .select_related("site")
        .order_by("site__code", "slug")
    )


def find(actor: Actor, capability: Capability, slug: str) -> Dataset:
    """The dataset of this name; Unknown when it is not the actor's."""
    dataset = datasets_of(actor, capability).filter(slug=slug).first()
    if dataset is None:
        raise Unknown(_("There is no dataset %(slug)s for you.") % {"slug": slug})
    return dataset


def overview(actor: Actor) -> list[DatasetRow]:
    """Every dataset the actor may see."""
    mine = set(datasets_of(actor, Capability.PUBLISH_DATASETS).values_list("pk", flat=True))
    return [
        DatasetRow(
            dataset=dataset,
            waiting=new_labels(dataset=dataset),
            versions=[_row(version) for version in versions_of(dataset)[:VERSIONS_SHOWN]],
            is_published_by_me=dataset.pk in mine,
        )
        for dataset in datasets_of(actor, Capability.SEE_DATASETS)
    ]


def versions_of(dataset: Dataset) -> QuerySet[DatasetVersion]:
    """The dataset's versions, the newest first."""
    return dataset.versions.select_related("parent").order_by("-number")


def _row(version: DatasetVersion) -> VersionRow:
    rows = []
    for split in Split:
        of = version.counts.get(split.value, {})
        rows.append((split.value, of.get("samples", 0), of.get("good", 0), of.get("defect", 0)))
    return VersionRow(version=version, splits=rows)


def criteria_of(actor: Actor) -> list[dict[str, Any]]:
    """Every version of the criteria of the actor's sites, the newest first."""
    rows = AcceptanceCriteria.objects.filter(actor.within(Capability.SEE_POLICIES, line=None))
    shown: list[dict[str, Any]] = []
    in_force: set[int] = set()
    for row in rows.select_related("site").order_by("site__code", "-version"):
        is_in_force = row.site_id not in in_force
        in_force.add(row.site_id)
        held = criteria.of_row(row) if is_in_force else None
        shown.append({"row": row, "is_in_force": is_in_force, "criteria": held})
    return shown
