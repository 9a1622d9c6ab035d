"""`make faults-ui`: verdicts at a tablet under every fault, none of them lost, none doubled."""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Sequence

import django

from benchmarks import place
from benchmarks.figures import Figure, show

DECISIONS = 2000
LONG_OFFLINE = 200
PRESSES = (8, 24)
MUST_BE_NONE = (
    "line.lost",
    "line.doubled",
    "line.out_of_order",
    "line.other_name",
    "line.saved_too_early",
)


def main() -> None:
    """Press, measure, print; 1 when anything was lost, doubled or out of order."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.line_faults")
    parser.add_argument("--decisions", type=int, default=DECISIONS)
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--only", choices=["faults", "idle"], help="one part only")
    parser.add_argument("--round", action="append", default=[], help="these faults only")
    chosen = parser.parse_args()
    server = place.prepare()
    # Playwright's own loop runs in this thread.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    django.setup()
    collect = [sys.executable, "manage.py", "collectstatic", "--no-input", "--verbosity", "0"]
    subprocess.run(collect, check=True)
    # Django's modules can be imported from here on only.
    from benchmarks import line_idle  # noqa: PLC0415

    figures: list[Figure] = []
    try:
        if chosen.only != "idle":
            figures += faults(chosen.decisions, chosen.seed, chosen.round)
            show(figures)
        if chosen.only != "faults":
            show(line_idle.idle_200_tablets(server))
    finally:
        server.stop()
    if any(figure.value for figure in figures if figure.name in MUST_BE_NONE):
        raise SystemExit(1)


def faults(decisions: int, seed: int, only: Sequence[str] = ()) -> list[Figure]:
    """Every fault at least once, then again in random order until there are so many verdicts."""
    from benchmarks import line_book, line_idle, line_rounds, ui_page, ui_pictures  # noqa: PLC0415

    chance = random.Random(seed)
    print(f"# seed {seed}; pauses between presses, and the ten minutes, by the page's clock alone")
    ui_pictures.for_operators(decisions + 3 * LONG_OFFLINE)
    every = [*line_rounds.ROUNDS, line_rounds.ten_minutes]
    every = [fault for fault in every if not only or fault.__name__ in only]
    waiting = chance.sample(every, len(every))
    rounds = 0
    began = time.monotonic()
    with (
        line_idle.web() as (port, web),
        ui_page.chromium() as browser,
        line_rounds.at_line(browser, f"http://localhost:{port}", web, chance) as line,
    ):
        while len(line.book.decisions) < decisions or waiting:
            fault = waiting.pop() if waiting else chance.choice(every)
            long = fault is line_rounds.ten_minutes
            fault(line, LONG_OFFLINE if long else chance.randint(*PRESSES))
            line.settle()
            rounds += 1
            print(f"# {fault.__name__}: {len(line.book.decisions)} verdicts", flush=True)
        figures = line_book.compare(line.book)
        figures += [
            Figure(name, value, "s" if name.endswith("_s") else "rounds")
            for name, value in line.drains.items()
        ]
    return [
        *figures,
        Figure("line.fault_rounds", rounds, "rounds"),
        Figure("line.faults_took", time.monotonic() - began, "s"),
    ]


if __name__ == "__main__":
    main()
