"""The rules inside: folds, calibration, measures, trees, and files nobody vouches for."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from tests.trainer.conftest import Finished
from tests.trainer.drawing import Job, draw_part
from trainer.calibration import fit_platt, sigmoid
from trainer.errors import ModelError, TrainerError
from trainer.folds import divided_groups, grouped_folds
from trainer.forest import pack_bagged, pack_boosted
from trainer.hyperparameters import parse_hyperparameters
from trainer.layout import Layout
from trainer.measures import auroc, average_precision, expected_calibration_error
from trainer.samples import read_samples
from trainer.storage import load_model

members = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 15)), min_size=4, max_size=120)


@given(members, st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_group_is_never_split_between_folds(pairs: list[tuple[int, int]], seed: int) -> None:
    labels = [label for label, _ in pairs]
    groups = [f"unit-{group}" for _, group in pairs]
    try:
        folds = grouped_folds(labels, groups, seed=seed)
    except TrainerError:
        spread = [{g for y, g in pairs if y == kind} for kind in set(labels)]
        assert min(len(found) for found in spread) < 2
        return
    for group in set(groups):
        assert len({int(folds[i]) for i, name in enumerate(groups) if name == group}) == 1
    assert len(set(folds.tolist())) >= 2


def test_defects_are_spread_over_the_folds() -> None:
    labels = [1 if number < 20 else 0 for number in range(100)]
    groups = [f"unit-{number}" for number in range(100)]
    folds = grouped_folds(labels, groups, seed=0)
    assert [int((folds[:20] == fold).sum()) for fold in range(5)] == [4] * 5


def test_defects_of_one_unit_only_are_refused() -> None:
    with pytest.raises(TrainerError, match="two units"):
        grouped_folds([1, 1, 0, 0], ["a", "a", "b", "c"], seed=0)


@pytest.mark.parametrize("value", ["-1", "1.5", "many", "", "99999999999", "٣"])
def test_a_bad_seed_is_refused(value: str) -> None:
    with pytest.raises(TrainerError, match="seed"):
        parse_hyperparameters({"model_name": "drawn", "model_version": "7", "seed": value})


def test_a_lot_with_nearly_all_good_parts_is_divided_into_units() -> None:
    labels = [0] * 20 + [1] * 20
    groups = ["lot-1"] * 19 + ["lot-2"] + [f"lot-{number % 5}" for number in range(20)]
    units = [f"unit-{number // 2}" for number in range(40)]
    names, divided = divided_groups(labels, groups, units)
    assert divided == 1
    assert all(
        ("/" in name) == (group == "lot-1") for name, group in zip(names, groups, strict=True)
    )
    folds = grouped_folds(labels, names, seed=0)
    for fold in set(folds):
        left = [label for label, own in zip(labels, folds, strict=True) if own != fold]
        assert min(left.count(0), left.count(1)) >= 14
    for unit in set(units[:19]):
        assert len({f for f, u in zip(folds[:19], units[:19], strict=True) if u == unit}) == 1


def test_lots_that_leave_enough_to_learn_from_stay_whole() -> None:
    labels = [0, 1] * 40
    groups = [f"lot-{number // 20}" for number in range(80)]
    assert divided_groups(labels, groups, groups) == (groups, 0)


def test_boxes_and_polygons_of_one_image_are_both_learnt_from(tmp_path: Path) -> None:
    part = draw_part(1, "pit")
    triangle = [{"label": "pit", "points": [[1, 1], [9, 1], [1, 9]]}]
    Job(tmp_path).add("train", [part], [part.line(polygons=triangle)])
    (sample,) = read_samples(Layout(tmp_path), "train")
    assert len(sample.regions) == 2


def test_calibration_turns_scores_into_frequencies() -> None:
    random = np.random.default_rng(1)
    scores = random.normal(0, 4, 4000)
    truth = random.random(4000) < sigmoid(0.5 * scores - 1)
    platt = fit_platt(scores, truth, np.ones(4000))
    assert platt.slope == pytest.approx(0.5, abs=0.05)
    error = expected_calibration_error(truth, sigmoid(platt.logits(scores)))
    assert error is not None
    assert error < 0.03


def test_weights_undo_a_biased_selection() -> None:
    random = np.random.default_rng(2)
    scores = random.normal(0, 2, 20_000)
    truth = random.random(20_000) < sigmoid(scores)
    chance = np.where(truth, 1.0, 0.2)
    kept = random.random(20_000) < chance
    platt = fit_platt(scores[kept], truth[kept], 1 / chance[kept])
    assert platt.intercept == pytest.approx(0, abs=0.15)


def test_scores_that_say_the_opposite_are_not_believed() -> None:
    platt = fit_platt(np.arange(40.0), np.arange(40) < 20, np.ones(40))
    assert platt.slope == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=2, max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_measures_agree_with_scikit_learn(pairs: list[tuple[bool, int]]) -> None:
    truth = np.asarray([label for label, _ in pairs])
    scores = np.asarray([score / 7 for _, score in pairs])
    if truth.all() or not truth.any():
        assert auroc(truth, scores) is None
        return
    assert auroc(truth, scores) == pytest.approx(roc_auc_score(truth, scores))
    expected = average_precision_score(truth, scores)
    assert average_precision(truth, scores) == pytest.approx(expected)


def test_packed_trees_answer_as_scikit_learn_does() -> None:
    random = np.random.default_rng(3)
    rows = random.normal(size=(300, 12)).astype(np.float32)
    labels = (rows[:, 0] * rows[:, 1] > 0).astype(int)
    bagged = ExtraTreesClassifier(20, random_state=0).fit(rows, labels)
    packed = pack_bagged(bagged.estimators_, outputs=2, columns=np.arange(2))
    np.testing.assert_allclose(packed.predict(rows), bagged.predict_proba(rows), atol=1e-5)
    boosted = HistGradientBoostingClassifier(max_iter=20, early_stopping=False).fit(rows, labels)
    trees = pack_boosted(boosted._predictors, boosted._baseline_prediction.ravel())
    expected = boosted.decision_function(rows)
    np.testing.assert_allclose(trees.predict(rows)[:, 0], expected, atol=1e-4)


@pytest.fixture
def model_folder(finished: Finished, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished.job.root / "model", tmp_path / "model"))


def _store(folder: Path, arrays: dict[str, Any]) -> None:
    np.savez_compressed(folder / "weights.npz", allow_pickle=True, **arrays)


def _arrays(folder: Path) -> dict[str, Any]:
    with np.load(folder / "weights.npz") as stored:
        return {name: stored[name] for name in stored.files}


@pytest.mark.parametrize("name", ["child", "feature", "roots"])
@pytest.mark.parametrize("value", [-1, 32_000])
def test_a_tree_that_points_outside_is_refused(model_folder: Path, name: str, value: int) -> None:
    arrays = _arrays(model_folder)
    arrays[f"defect/hand_bagged.0/{name}"][0] = value if name == "feature" else value * 10_000
    _store(model_folder, arrays)
    with pytest.raises(ModelError):
        load_model(model_folder)


def test_a_pickle_in_the_weights_is_refused(model_folder: Path) -> None:
    arrays = _arrays(model_folder) | {"defect/all_linear.0/scale": np.asarray([{}], dtype=object)}
    _store(model_folder, arrays)
    with pytest.raises(ModelError):
        load_model(model_folder)


def test_weights_that_unpack_to_too_much_are_refused(model_folder: Path) -> None:
    zeros = np.zeros(300 * 1024 * 1024, dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, zeros=zeros)
    (model_folder / "weights.npz").write_bytes(buffer.getvalue())
    with pytest.raises(ModelError, match="too large"):
        load_model(model_folder)


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 100_000},
        {"classes": []},
        {"classes": ["a", "b", "c"]},
        {"temperature": float("nan")},
        {"defect_heads": [{}]},
        {"format": "other"},
        {"features_version": 999},
        {"cells": {"platt": None, "log_odds_from": 0}},
        {"cells": None},
        {"cells": {"sources": ["heat.0"], "platt": [1, 0], "log_odds_from": 0}},
        {"cells": {"sources": [], "platt": [1, 0], "log_odds_from": 0}},
    ],
)
def test_a_damaged_description_is_refused(model_folder: Path, change: dict[str, object]) -> None:
    path = model_folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError):
        load_model(model_folder)
