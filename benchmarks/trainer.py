"""Trains on a folder with an index.csv, fold by fold, and prints what was reached.

Each fold is tested once by a model that saw none of its groups; figures are over all folds.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import http.client
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from trainer.measures import class_summary, summary  # noqa: E402  # the project is not installed

INVOCATIONS = 60
START_SECONDS = 30.0

Row = dict[str, str]


def read_index(folder: Path) -> list[Row]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def label_line(row: Row, digest: str, *, regions: bool) -> dict[str, Any]:
    return {
        "image": f"{digest[:2]}/{digest[2:4]}/{digest}",
        "sha256": digest,
        "label": row["label"],
        "classes": [name for name in row["classes"].split(";") if name],
        "boxes": json.loads(row["boxes"] or "[]") if regions else [],
        "polygons": json.loads(row["polygons"] or "[]") if regions else [],
        "group": row["group"],
        "unit": row["part_id"],
        "lot": None,
    }


def choose(rows: list[Row], labels: int, seed: int) -> list[Row]:
    """At most `labels` rows, at random; all for 0."""
    if not labels or labels >= len(rows):
        return rows
    picked = np.random.default_rng(seed).permutation(len(rows))[:labels]
    return [rows[index] for index in sorted(picked)]


def lay_out(root: Path, data: Path, parts: dict[str, list[Row]], *, regions: bool) -> None:
    for split, rows in parts.items():
        lines = io.StringIO()
        for row in rows:
            content = (data / row["file"]).read_bytes()
            line = label_line(row, hashlib.sha256(content).hexdigest(), regions=regions)
            target = root / "input" / "data" / split / line["image"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            lines.write(json.dumps(line) + "\n")
        labels = root / "input" / "data" / "labels" / f"{split}.jsonl"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text(lines.getvalue(), encoding="utf-8")


def run_train(root: Path, seed: int) -> tuple[dict[str, Any], float]:
    """The evaluation and the seconds taken; raises RuntimeError with the failure text."""
    config = root / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    values = {"model_name": "benchmark", "model_version": "1", "seed": str(seed)}
    (config / "hyperparameters.json").write_text(json.dumps(values), encoding="utf-8")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "train"],
        cwd=ROOT,
        env=os.environ | {"LOUPE_ML_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode:
        raise RuntimeError((root / "output" / "failure").read_text() + done.stderr)
    return json.loads((root / "output" / "data" / "evaluation.json").read_text()), seconds


def invoke_seconds(root: Path, images: list[Path]) -> list[float]:
    """How long each of a number of calls to a real server took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "trainer", "serve", "--port", str(port)],
        cwd=ROOT,
        env=os.environ | {"LOUPE_ML_ROOT": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        return [_invoke(port, images[number % len(images)]) for number in range(INVOCATIONS)]
    finally:
        server.terminate()
        server.wait(timeout=30)


def _ask(port: int, method: str, path: str, body: bytes = b"", kind: str = "") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if _ask(port, "GET", "/ping") == 200:
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def _invoke(port: int, image: Path) -> float:
    kind = "image/png" if image.suffix == ".png" else "image/jpeg"
    content = image.read_bytes()
    started = time.perf_counter()
    status = _ask(port, "POST", "/invocations", content, kind)
    taken = time.perf_counter() - started
    if status != 200:
        raise RuntimeError(f"{image.name} was answered with {status}")
    return taken


def figures(tests: list[dict[str, Any]]) -> dict[str, float | int | None]:
    truth = np.asarray([row["label"] == "defect" for row in tests])
    values = summary(truth, np.asarray([row["score"] for row in tests], dtype=np.float64))
    names = sorted({row["classes"][0] for row in tests if row["classes"]})
    named = [row for row in tests if row["classes"]]
    if len(names) > 1:
        numbers = np.asarray([names.index(row["classes"][0]) for row in named])
        chances = np.asarray(
            [[row["class_probabilities"].get(name, 0.0) for name in names] for row in named]
        )
        values |= class_summary(numbers, chances)
    return values


def measure(arguments: argparse.Namespace) -> None:
    rows = read_index(arguments.data)
    tests: list[dict[str, Any]] = []
    areas, seconds, images, calls = [], [], 0, []
    folds = sorted({row["fold"] for row in rows})[: arguments.folds]
    for fold in folds:
        parts = {
            "train": choose(
                [row for row in rows if row["fold"] != fold], arguments.labels, arguments.seed
            ),
            "test": [row for row in rows if row["fold"] == fold],
        }
        root = Path(tempfile.mkdtemp(prefix="loupe-benchmark-"))
        try:
            lay_out(root, arguments.data, parts, regions=not arguments.no_regions)
            evaluation, taken = run_train(root, arguments.seed)
            tests.extend(evaluation["test"])
            seconds.append(taken)
            images = max(images, sum(len(part) for part in parts.values()))
            areas.append(evaluation["metrics"]["auroc"])
            if fold == folds[-1]:
                files = [arguments.data / row["file"] for row in parts["test"][:20]]
                calls = invoke_seconds(root, files)
        finally:
            shutil.rmtree(root)
    report(figures(tests), areas, seconds, images, calls)


def report(
    values: dict[str, Any],
    areas: list[float | None],
    seconds: list[float],
    images: int,
    calls: list[float],
) -> None:
    known = [area for area in areas if area is not None]
    lines: list[tuple[str, float | None, str]] = [
        ("trainer.auroc", values["auroc"] or values.get("class_auroc"), "ratio"),
        ("trainer.auroc_mean_of_folds", statistics.mean(known) if known else None, "ratio"),
        ("trainer.average_precision", values["average_precision"], "ratio"),
        ("trainer.ece", values["ece"], "ratio"),
        ("trainer.class_auroc", values.get("class_auroc"), "ratio"),
        ("trainer.class_ece", values.get("class_ece"), "ratio"),
        ("trainer.class_accuracy", values.get("class_accuracy"), "ratio"),
        ("trainer.seconds", max(seconds), "s"),
        ("trainer.images", images, "images"),
    ]
    if calls:
        lines.append(("trainer.invoke_p50", statistics.median(calls) * 1000, "ms"))
        ordered = sorted(calls)
        lines.append(("trainer.invoke_p95", ordered[int(0.95 * len(ordered))] * 1000, "ms"))
    for name, value, unit in lines:
        if value is not None:
            print(f"{name}\t{value:.4g}\t{unit}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv")
    parser.add_argument("--labels", type=int, default=0, help="labelled images per fold; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--no-regions", action="store_true", help="image labels only")
    measure(parser.parse_args())
