"""`make bench-ui`: what an inspector waits for, in a real browser with 150 ms of network delay."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from types import ModuleType

import django

from benchmarks import place
from benchmarks.figures import Figure, percentile, show

PRESSES = 64
# No inspector is faster: the next unit is looked at for a second.
PACE_MS = 1000
FIRST_VIEWS = 5
PANS = 3
WEIGHTS = Path(__file__).resolve().parents[1] / "static" / "built" / "weights.json"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ui")
    parser.add_argument("--only", choices=["first", "pan", "keys"], help="one part only")
    only = parser.parse_args().only
    show(_weights())
    server = place.prepare()
    # Playwright's own loop runs in this thread.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    django.setup()
    collect = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(collect, check=True)
    # Django's modules can be imported from here on only.
    from benchmarks import ui_measures  # noqa: PLC0415

    try:
        with place.gunicorn("config.wsgi") as address:
            for name, measure in PARTS.items():
                if only in (None, name):
                    show(measure(ui_measures, address))
    finally:
        server.stop()


def _first(measures: ModuleType, address: str) -> list[Figure]:
    seconds, moved = measures.first_views(address, FIRST_VIEWS)
    return [
        Figure("bench.first_view_400mp", median(seconds), "s"),
        Figure("bench.first_view_400mp_worst", max(seconds), "s"),
        Figure("bench.first_view_400mp_moved", moved, "MB"),
    ]


def _pan(measures: ModuleType, address: str) -> list[Figure]:
    frames, by_clock, by_processor = measures.pans(address, 500, PANS)
    return [
        Figure("bench.pan_500_regions", frames, "frames/s"),
        Figure("bench.pan_500_regions_longest_task", by_clock, "ms"),
        Figure("bench.pan_500_regions_longest_task_cpu", by_processor, "ms"),
    ]


def _keys(measures: ModuleType, address: str) -> list[Figure]:
    waits = measures.key_to_paint(address, PRESSES, PACE_MS)
    return [
        Figure("bench.key_to_paint_p95", percentile(waits, 0.95), "ms"),
        Figure("bench.key_to_paint_p50", percentile(waits, 0.5), "ms"),
        Figure("bench.key_to_paint_worst", max(waits), "ms"),
        Figure("bench.key_to_paint_presses", len(waits), "presses"),
    ]


PARTS = {"first": _first, "pan": _pan, "keys": _keys}


def _weights() -> list[Figure]:
    """What the bundled scripts weigh, in all and by part."""
    scripts = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    figures = [Figure("bench.script_gzip", sum(s["gzip_kb"] for s in scripts.values()), "kB")]
    for name, script in scripts.items():
        figures += [
            Figure(f"bench.script_gzip.{name}.{part}", kilobytes, "kB")
            for part, kilobytes in script["parts"].items()
        ]
    return figures


if __name__ == "__main__":
    main()
