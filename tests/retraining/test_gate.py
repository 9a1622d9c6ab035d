from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retraining import gate
from retraining.gate import (
    Check,
    HeldOut,
    Policy,
    Scored,
    Verdict,
    calibration,
    figures,
    judge,
    wilson,
)

POLICY = Policy()
scores = st.floats(0, 1, allow_nan=False)


def samples(defects: list[float], good: list[float]) -> list[Scored]:
    """Samples named by their place, defects first."""
    truths = [(True, score) for score in defects] + [(False, score) for score in good]
    return [Scored(f"i{n}", truth, score) for n, (truth, score) in enumerate(truths)]


def held_out(found: list[Scored], *, shared: int = 0, dropped: int = 0) -> HeldOut:
    return HeldOut(frozenset(s.image for s in found), shared=shared, dropped=dropped)


def check(verdict: Verdict, name: str) -> Check:
    return next(one for one in verdict.checks if one.name == name)


def failed(verdict: Verdict) -> list[str]:
    return [one.name for one in verdict.checks if not one.passed]


@st.composite
def answers(draw: st.DrawFn, *, least: int = 8) -> list[Scored]:
    return samples(
        draw(st.lists(scores, min_size=least, max_size=40)),
        draw(st.lists(scores, min_size=least, max_size=40)),
    )


GOOD_MODEL = samples([0.97] * 19 + [0.5], [0.02] * 38 + [0.45] * 2)


def test_a_sound_first_model_passes() -> None:
    verdict = judge(GOOD_MODEL, None, held_out(GOOD_MODEL), POLICY)
    assert failed(verdict) == []
    assert verdict.passed


@given(answers())
def test_a_model_is_never_worse_than_itself(found: list[Scored]) -> None:
    assert failed(judge(found, found, held_out(found), POLICY)) == []


@given(answers(), st.integers(1, 5))
def test_a_leak_is_refused_however_good_the_scores(found: list[Scored], shared: int) -> None:
    verdict = judge(found, found, held_out(found, shared=shared), POLICY)
    assert failed(verdict) == ["leakage"]


def test_a_test_set_that_lost_members_is_refused() -> None:
    verdict = judge(GOOD_MODEL, GOOD_MODEL, held_out(GOOD_MODEL, dropped=1), POLICY)
    assert failed(verdict) == ["test_pinned"]


@pytest.mark.parametrize("asked", [GOOD_MODEL[:-1], [*GOOD_MODEL, Scored("new", False, 0.1)]])
def test_a_model_that_was_asked_other_images_is_refused(asked: list[Scored]) -> None:
    assert "test_complete" in failed(judge(asked, GOOD_MODEL, held_out(GOOD_MODEL), POLICY))
    assert "test_complete" in failed(judge(GOOD_MODEL, asked, held_out(GOOD_MODEL), POLICY))


def test_two_models_judged_on_different_truths_are_refused() -> None:
    other = [replace(GOOD_MODEL[0], is_defect=False), *GOOD_MODEL[1:]]
    assert "test_complete" in failed(judge(GOOD_MODEL, other, held_out(GOOD_MODEL), POLICY))


@given(defects=st.integers(0, 20), good=st.integers(0, 20))
def test_too_little_evidence_never_passes(defects: int, good: int) -> None:
    perfect = samples([1.0] * defects, [0.0] * good)
    verdict = judge(perfect, None, held_out(perfect), POLICY)
    assert verdict.passed == (defects >= POLICY.min_defects and good >= POLICY.min_good)


def test_too_little_evidence_says_how_much_is_needed() -> None:
    perfect = samples([1.0] * 3, [0.0] * 20)
    sentence = check(judge(perfect, None, held_out(perfect), POLICY), "evidence").sentence
    assert sentence.startswith("Insufficient evidence: 3 defects and 20 good parts")
    assert "8 and 8" in sentence


@given(answers(), st.data())
def test_one_more_escape_never_turns_a_refusal_into_a_pass(
    found: list[Scored], data: st.DataObject
) -> None:
    number = data.draw(st.sampled_from([n for n, s in enumerate(found) if s.is_defect]))
    worse = [replace(s, score=0.0) if n == number else s for n, s in enumerate(found)]
    before = check(judge(found, GOOD_MODEL, held_out(found), POLICY), "recall")
    after = check(judge(worse, GOOD_MODEL, held_out(found), POLICY), "recall")
    assert after.value <= before.value
    assert before.passed or not after.passed


@given(defects=st.integers(8, 400), found=st.integers(0, 400), lost=st.integers(0, 400))
def test_recall_passes_only_within_the_margin_of_the_lower_bound(
    defects: int, found: int, lost: int
) -> None:
    found = min(found, defects)
    lost = min(lost, found)
    champion = samples([0.9] * found + [0.1] * (defects - found), [0.0] * 8)
    challenger = samples([0.9] * (found - lost) + [0.1] * (defects - found + lost), [0.0] * 8)
    recall = check(judge(challenger, champion, held_out(champion), POLICY), "recall")
    fell = wilson(found, defects)[0] - wilson(found - lost, defects)[0]
    assert recall.passed == (fell <= POLICY.recall_margin or math.isclose(fell, 0.02))
    assert recall.passed or lost > 0


def test_on_few_defects_one_more_escape_is_refused() -> None:
    champion = samples([0.9] * 12, [0.0] * 20)
    challenger = samples([0.9] * 11 + [0.1], [0.0] * 20)
    assert "recall" in failed(judge(challenger, champion, held_out(champion), POLICY))


def test_less_review_at_unchanged_escapes_passes() -> None:
    champion = samples([0.9] * 10 + [0.5] * 10, [0.1] * 20 + [0.5] * 20)
    challenger = samples([0.9] * 18 + [0.5] * 2, [0.1] * 36 + [0.5] * 4)
    verdict = judge(challenger, champion, held_out(champion), POLICY)
    assert verdict.passed
    load = check(verdict, "review_load")
    assert load.champion is not None
    assert load.value < load.champion


def test_much_more_review_is_refused() -> None:
    champion = samples([0.9] * 20, [0.1] * 40)
    challenger = samples([0.9] * 20, [0.1] * 30 + [0.35] * 10)
    assert failed(judge(challenger, champion, held_out(champion), POLICY)) == ["review_load"]


def test_a_model_that_contains_good_parts_is_refused() -> None:
    wild = samples([0.9] * 20, [0.1] * 20 + [0.85] * 5)
    assert "overkill" in failed(judge(wild, None, held_out(wild), POLICY))


def test_a_better_model_than_a_bad_one_passes_though_neither_meets_the_caps() -> None:
    bad = samples([0.9] * 20, [0.1] * 10 + [0.85] * 10)
    better = samples([0.9] * 20, [0.1] * 14 + [0.85] * 6)
    assert judge(better, bad, held_out(bad), POLICY).passed
    assert not judge(bad, better, held_out(bad), POLICY).passed


@given(answers())
def test_a_model_with_its_labels_turned_round_is_refused(champion: list[Scored]) -> None:
    turned = [replace(s, score=0.05 if s.is_defect else 0.95) for s in champion]
    sound = [replace(s, score=0.95 if s.is_defect else 0.05) for s in champion]
    assert {"recall", "overkill"} <= set(failed(judge(turned, sound, held_out(sound), POLICY)))
    assert {"recall", "overkill"} <= set(failed(judge(turned, None, held_out(sound), POLICY)))


@given(st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=60))
def test_the_figures_do_not_depend_on_the_order(rows: list[tuple[float, bool]]) -> None:
    found = [Scored(f"i{n}", truth, score) for n, (score, truth) in enumerate(rows)]
    mixed = random.Random(3).sample(found, len(found))
    assert figures(found, POLICY) == figures(mixed, POLICY)


@given(st.lists(st.tuples(scores, st.booleans()), min_size=1, max_size=60))
def test_the_calibration_error_is_a_share(rows: list[tuple[float, bool]]) -> None:
    error, chance = calibration([Scored(f"i{n}", t, s) for n, (s, t) in enumerate(rows)])
    assert 0 <= error <= 1
    assert 0 <= chance <= 1


def test_chance_explains_the_error_of_a_calibrated_model() -> None:
    dice = random.Random(7)
    found = [
        Scored(f"i{n}", dice.random() < score, score)
        for n, score in enumerate(dice.random() for _ in range(60))
    ]
    error, chance = calibration(found)
    assert error > 0.05
    assert error - chance < 0.05


def test_overconfidence_is_not_explained_by_chance() -> None:
    sure = samples([0.99] * 30 + [0.01] * 15, [0.01] * 30 + [0.99] * 15)
    error, chance = calibration(sure)
    assert error - chance > 0.25


@given(total=st.integers(0, 500), hits=st.integers(0, 500))
def test_the_interval_holds_the_share(total: int, hits: int) -> None:
    hits = min(hits, total)
    low, high = wilson(hits, total)
    assert 0 <= low <= high <= 1
    if total:
        assert low - 1e-12 <= hits / total <= high + 1e-12


@settings(max_examples=200)
@given(answers(least=1), answers(least=1))
def test_a_report_is_plain_values(found: list[Scored], champion: list[Scored]) -> None:
    verdict = judge(found, champion, held_out(found), POLICY)
    for row in verdict.rows():
        assert row["sentence"]
        assert "%(" not in row["sentence"]
        assert all(math.isfinite(row[key]) for key in ("value", "limit") if row[key] is not None)


def test_a_dataset_of_defects_alone_passes_when_its_policy_asks_for_no_good_part() -> None:
    samples = [Scored(image=f"{n}", is_defect=True, score=0.97) for n in range(40)]
    lenient = replace(Policy(), min_good=0)
    assert gate._overkill(gate.figures(samples, lenient), None, lenient).passed
    assert not gate._overkill(gate.figures(samples, Policy()), None, Policy()).passed
