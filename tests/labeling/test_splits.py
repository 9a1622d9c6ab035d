"""Splits: nothing is divided, nothing pinned moves, the order of the input says nothing."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.models import Split
from labeling.splits import TARGETS, Count, assign, group_of, joined

NAMES = st.text("abcdef0123", min_size=1, max_size=6)
COUNTS = st.builds(Count, st.integers(0, 9), st.integers(0, 9))
GROUPS = st.dictionaries(NAMES, COUNTS, max_size=40)
PINS = st.dictionaries(NAMES, st.sampled_from(Split), max_size=20)
SEEDS = st.integers(0, 2**31 - 1)


@settings(deadline=None)
@given(GROUPS, PINS, SEEDS)
def test_every_group_has_one_split_and_pinned_ones_keep_theirs(
    groups: dict[str, Count], pinned: dict[str, Split], seed: int
) -> None:
    given_out = assign(groups=groups, pinned=pinned, seed=seed)
    assert given_out.keys() == groups.keys()
    assert all(given_out[name] == pinned[name] for name in groups if name in pinned)


@settings(deadline=None)
@given(GROUPS, PINS, SEEDS, st.randoms())
def test_the_order_of_the_input_says_nothing(
    groups: dict[str, Count], pinned: dict[str, Split], seed: int, dice: random.Random
) -> None:
    shuffled = list(groups.items())
    dice.shuffle(shuffled)
    again = assign(groups=dict(shuffled), pinned=pinned, seed=seed)
    assert again == assign(groups=groups, pinned=pinned, seed=seed)


@settings(deadline=None)
@given(st.lists(GROUPS, min_size=2, max_size=4), SEEDS)
def test_members_stay_where_they_are_however_many_versions_follow(
    steps: list[dict[str, Count]], seed: int
) -> None:
    pinned: dict[str, Split] = {}
    groups: dict[str, Count] = {}
    for step in steps:
        groups |= step
        given_out = assign(groups=groups, pinned=pinned, seed=seed)
        assert all(given_out[name] == split for name, split in pinned.items())
        pinned |= given_out


@settings(max_examples=30, deadline=None)
@given(st.lists(COUNTS, min_size=200, max_size=400), SEEDS)
def test_shares_are_near_the_targets_when_there_are_many_groups(
    counts: list[Count], seed: int
) -> None:
    groups = {f"unit:{number}": count for number, count in enumerate(counts)}
    given_out = assign(groups=groups, pinned={}, seed=seed)
    for kind in ("good", "defect"):
        total = sum(getattr(c, kind) for c in counts)
        largest = max(getattr(c, kind) for c in counts)
        for split, target in TARGETS.items():
            there = sum(getattr(groups[n], kind) for n, s in given_out.items() if s == split)
            assert abs(there - target * total) <= max(0.05 * total, 3 * largest)


@settings(deadline=None)
@given(st.integers(2, 8), st.integers(1, 9), st.integers(1, 9), SEEDS)
def test_a_few_mixed_lots_give_both_kinds_to_train_and_test(
    lots: int, good: int, defect: int, seed: int
) -> None:
    groups = {f"lot:{number}": Count(good, defect) for number in range(lots)}
    given_out = assign(groups=groups, pinned={}, seed=seed)
    assert {Split.TRAIN, Split.TEST} <= set(given_out.values())


@settings(deadline=None)
@given(st.integers(3, 30), SEEDS)
def test_two_defective_units_among_good_ones_go_to_train_and_test(good: int, seed: int) -> None:
    groups = {f"unit:{number}": Count(good=1) for number in range(good)}
    groups |= {"unit:bad-1": Count(defect=1), "unit:bad-2": Count(defect=1)}
    given_out = assign(groups=groups, pinned={}, seed=seed)
    assert {given_out["unit:bad-1"], given_out["unit:bad-2"]} == {Split.TRAIN, Split.TEST}


def test_another_seed_gives_another_split() -> None:
    groups = {f"unit:{number}": Count(good=1) for number in range(50)}
    splits = [assign(groups=groups, pinned={}, seed=seed) for seed in (1, 2)]
    assert splits[0] != splits[1]


def test_a_unit_goes_with_its_lot() -> None:
    assert group_of(serial="SN-1", lot="L9") == "lot:L9"
    assert group_of(serial="SN-1", lot=None) == group_of(serial="SN-1", lot="") == "unit:SN-1"


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, NAMES), max_size=40), st.randoms())
def test_groups_that_share_an_image_are_one(
    pairs: list[tuple[str, str]], dice: random.Random
) -> None:
    together = joined(pairs)
    first: dict[str, str] = {}
    for group, member in pairs:
        assert together[group] == together[first.setdefault(member, group)]
    assert all(together[together[name]] == together[name] for name in together)
    dice.shuffle(pairs)
    assert joined(pairs) == together


def test_groups_that_share_nothing_stay_apart() -> None:
    assert joined([("a", "1"), ("b", "2"), ("c", "2")]) == {"a": "a", "b": "b", "c": "b"}
