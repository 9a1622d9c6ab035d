"""Which unit or lot is learnt from and which is kept for the test: a pure rule, never by image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from labeling.models import Split

TARGETS: Final[Mapping[Split, float]] = MappingProxyType(
    {Split.TRAIN: 0.70, Split.VALIDATION: 0.05, Split.TEST: 0.25}
)


@dataclass(frozen=True, slots=True)
class Count:
    """Images of one group, or of one split."""

    good: int = 0
    defect: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.good + other.good, self.defect + other.defect)


def group_of(*, serial: str, lot: str | None) -> str:
    """What must not be divided: the lot, or the unit when it has none."""
    return f"lot:{lot}" if lot else f"unit:{serial}"


def assign(
    *,
    groups: Mapping[str, Count],
    pinned: Mapping[str, Split],
    seed: int,
    targets: Mapping[Split, float] = TARGETS,
) -> dict[str, Split]:
    """A split for every group. Pinned groups keep theirs; the rest go one by one, in an order
    drawn by `seed`, to where good and defective images are furthest below the targets' shares.
    """
    total = _sum(groups.values())
    given = {name: pinned[name] for name in groups if name in pinned}
    have = {
        split: _sum(groups[name] for name, its in given.items() if its is split)
        for split in targets
    }
    for name in sorted(groups.keys() - given.keys(), key=lambda name: _drawn(seed, name)):
        group = groups[name]
        # The first of equals: the order of `targets` decides.
        best = max(targets, key=lambda s: _need(group, have[s], total, targets[s]))
        given[name] = best
        have[best] += group
    return given


def joined(members: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Groups that share a member, as one: (group, member) pairs in, group -> its first group out.

    The same image under two lots would otherwise be learnt from and tested on.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    first: dict[str, str] = {}
    for group, member in members:
        one, other = root(group), root(first.setdefault(member, group))
        parent[max(one, other)] = min(one, other)
    return {name: root(name) for name in list(parent)}


def _need(group: Count, have: Count, total: Count, target: float) -> float:
    """How much this group brings a split nearer to its share of each kind it holds."""
    need = 0.0
    for amount, there, of in (
        (group.good, have.good, total.good),
        (group.defect, have.defect, total.defect),
    ):
        if amount:
            need += amount / of * (target - there / of)
    return need


def _drawn(seed: int, name: str) -> tuple[bytes, str]:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest(), name


def _sum(counts: Iterable[Count]) -> Count:
    return sum(counts, start=Count())
