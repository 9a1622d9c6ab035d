"""What `train` leaves behind, seen from outside."""

from __future__ import annotations

import json
import re
import shutil
import signal
import statistics
import time
from pathlib import Path

import pytest

from config.demo.pictures import story
from tests.trainer.conftest import KINDS, Finished
from tests.trainer.drawing import Job, Part, draw_parts
from tests.trainer.running import run_train, start_train, wait_until


def test_a_run_leaves_a_model_an_evaluation_and_full_progress(finished: Finished) -> None:
    assert finished.run.returncode == 0, finished.run.stderr
    job = finished.job
    assert (job.model["name"], job.model["version"]) == ("drawn", "7")
    assert job.model["classes"] == ["pit", "scratch"]
    assert job.progress["fraction"] == 1
    assert not (job.root / "output" / "failure").exists()
    assert len(job.evaluation["test"]) == 32
    assert job.evaluation["champion"] is None


def test_obvious_defects_are_told_from_good_parts(finished: Finished) -> None:
    evaluation = finished.job.evaluation
    assert evaluation["metrics"]["auroc"] >= 0.95
    assert evaluation["metrics"]["samples"] == 32
    assert evaluation["metrics"]["defects"] == 16
    assert evaluation["metrics"]["class_accuracy"] >= 0.75
    named = {row["predicted_class"] for row in evaluation["test"]}
    assert named <= {"good", "pit", "scratch"}


def test_scores_are_sane_probabilities(finished: Finished) -> None:
    rows = finished.job.evaluation["test"]
    assert all(0 < row["score"] < 1 for row in rows)
    expected = sum(row["score"] for row in rows)
    assert expected == pytest.approx(sum(row["label"] == "defect" for row in rows), abs=5)
    assert finished.job.evaluation["metrics"]["ece"] <= 0.2


def test_metric_lines_can_be_read_by_a_regular_expression(finished: Finished) -> None:
    found = re.search(r"^loupe:auroc=([0-9.]+)$", finished.run.stdout, re.MULTILINE)
    assert found is not None
    assert float(found[1]) == finished.job.evaluation["metrics"]["auroc"]


def test_nothing_in_the_model_directory_needs_code_to_load(finished: Finished) -> None:
    files = sorted(path.name for path in (finished.job.root / "model").iterdir())
    assert files == ["model.json", "weights.npz"]
    assert sum(path.stat().st_size for path in (finished.job.root / "model").iterdir()) < 5_000_000


def test_the_same_inputs_and_seed_give_the_same_scores(finished: Finished, tmp_path: Path) -> None:
    again = Job(tmp_path, dict(finished.job.hyperparameters))
    again.lay_out(
        train=list(reversed(draw_parts(64, KINDS))), test=draw_parts(32, KINDS, start=1000)
    )
    shutil.copytree(finished.job.root / "model", tmp_path / "input" / "data" / "champion")
    assert run_train(tmp_path).returncode == 0
    assert again.evaluation["test"] == finished.job.evaluation["test"]
    champion = again.evaluation["champion"]
    assert champion["model"] == {"name": "drawn", "version": "7"}
    assert champion["test"] == finished.job.evaluation["test"]


def test_twenty_labels_without_regions_are_enough(tmp_path: Path) -> None:
    job = Job(tmp_path)
    parts = draw_parts(20, ("good", "scratch"))
    job.add("train", parts, [part.line(regions=False) for part in parts])
    job.configure()
    done = run_train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert job.evaluation["test"] == []
    assert job.evaluation["metrics"]["auroc"] is None
    assert job.evaluation["oof_metrics"]["samples"] > 0


def _first_rings(each: int, *, seed: int) -> list[tuple[Part, str]]:
    """The first good and defective rings of a line, with their lots."""
    found: list[tuple[Part, str]] = []
    left = {"good": each, "defect": each}
    for number, made in enumerate(story(seed)):
        label = "good" if made.defect is None else "defect"
        if made.quality.verdict == "ok" and left[label]:
            left[label] -= 1
            picture = made.photograph()
            classes = () if picture.defect is None else (picture.defect,)
            part = Part(picture.jpeg, label, classes, picture.box, f"{seed}-{number}")
            found.append((part, f"{seed}-{made.lot}"))
        if not any(left.values()):
            break
    return found


def test_few_labels_mostly_of_one_lot_still_give_probabilities(tmp_path: Path) -> None:
    """Nearly all good parts come from the first lot, the defects from many."""
    job = Job(tmp_path)
    first = _first_rings(23, seed=20261122)
    lines = [part.line(group=f"lot:{lot}", lot=lot) for part, lot in first]
    job.add("train", [part for part, _ in first], lines)
    held = [part for part, _ in _first_rings(16, seed=7)]
    job.add("test", held, [part.line() for part in held])
    job.configure()
    done = run_train(tmp_path)
    assert done.returncode == 0, done.stderr
    scores = [row["score"] for row in job.evaluation["test"]]
    assert sum(scores) / len(scores) == pytest.approx(0.5, abs=0.15)
    assert job.evaluation["metrics"]["ece"] <= 0.2


def test_defects_of_several_classes_without_one_good_part_are_told_apart(tmp_path: Path) -> None:
    job = Job(tmp_path).lay_out(
        train=draw_parts(32, ("scratch", "pit")), test=draw_parts(8, ("scratch", "pit"), start=900)
    )
    assert run_train(tmp_path).returncode == 0
    rows = job.evaluation["test"]
    assert all(row["score"] > 0.9 for row in rows)
    assert sum(row["predicted_class"] == row["classes"][0] for row in rows) >= 6


@pytest.mark.parametrize(("kinds", "reason"), [(("good",), "good"), (("pit",), "pit")])
def test_one_kind_of_label_fails_with_a_sentence(
    tmp_path: Path, kinds: tuple[str, ...], reason: str
) -> None:
    job = Job(tmp_path).lay_out(train=draw_parts(20, kinds))
    assert run_train(tmp_path).returncode != 0
    assert job.failure.startswith("All 20 training images")
    assert reason in job.failure


def test_an_unknown_hyperparameter_is_named(tmp_path: Path) -> None:
    values = {"model_name": "drawn", "model_version": "7", "learning_rate": "0.1"}
    job = Job(tmp_path, values).lay_out(train=draw_parts(20, KINDS))
    assert run_train(tmp_path).returncode != 0
    assert "learning_rate" in job.failure


def test_no_training_channel_fails_with_a_sentence(tmp_path: Path) -> None:
    job = Job(tmp_path).configure()
    assert run_train(tmp_path).returncode != 0
    assert "no labelled training images" in job.failure


def test_a_labelled_image_that_is_missing_is_named(tmp_path: Path) -> None:
    job = Job(tmp_path)
    parts = draw_parts(20, KINDS)
    job.add("train", parts[1:], [part.line() for part in parts])
    job.configure()
    assert run_train(tmp_path).returncode != 0
    assert parts[0].image in job.failure


def test_a_path_out_of_the_channel_is_refused(tmp_path: Path) -> None:
    job = Job(tmp_path)
    parts = draw_parts(20, KINDS)
    job.add(
        "train", parts, [part.line(image="../../config/hyperparameters.json") for part in parts]
    )
    job.configure()
    assert run_train(tmp_path).returncode != 0
    assert "train.jsonl line 1" in job.failure


def test_a_failure_text_is_at_most_1024_characters(tmp_path: Path) -> None:
    values = {"model_name": "drawn", "model_version": "7", "x" * 3000: "1"}
    job = Job(tmp_path, values).configure()
    assert run_train(tmp_path).returncode != 0
    assert len(job.failure) == 1024


def test_a_stopped_run_ends_within_seconds_and_says_so(tmp_path: Path) -> None:
    # A machine that stands still for a moment is late once, not twice of three times.
    took: list[float] = []
    while len(took) < 3 and sum(each < 5 for each in took) < 2:
        took.append(_stopped(tmp_path / str(len(took))))
    assert statistics.median(took) < 5, took


def _stopped(root: Path) -> float:
    """Seconds from being told to stop to the end."""
    job = Job(root).lay_out(train=draw_parts(400, KINDS))
    process = start_train(root)
    wait_until(root / "output" / "progress.json")
    process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    assert process.wait(timeout=120) != 0
    took = time.monotonic() - told
    assert job.failure == "stopped"
    assert not (root / "model" / "model.json").exists()
    return took


def test_a_run_over_its_time_says_so(tmp_path: Path) -> None:
    values = {"model_name": "drawn", "model_version": "7", "max_seconds": "1"}
    job = Job(tmp_path, values).lay_out(train=draw_parts(600, KINDS))
    assert run_train(tmp_path).returncode != 0
    assert "max_seconds (1)" in job.failure


def test_a_damaged_champion_is_a_failure_and_not_a_skipped_comparison(tmp_path: Path) -> None:
    job = Job(tmp_path).lay_out(train=draw_parts(20, KINDS))
    champion = tmp_path / "input" / "data" / "champion"
    champion.mkdir(parents=True)
    (champion / "model.json").write_text(json.dumps({"format": "something-else"}))
    assert run_train(tmp_path).returncode != 0
    assert "model in force" in job.failure
