"""`make bench`: the review loop and the intake, each beside its limits, in one run."""

from __future__ import annotations

import argparse

import django

from benchmarks import place
from benchmarks.figures import Figure, show

PEOPLE = (12, 32)
FIRST = PEOPLE[0]
THIN_SIZE = 300_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--large", action="store_true", help="also a backlog of a million tasks")
    parser.add_argument("--only", choices=["review", "ingest"], help="one part only")
    chosen = parser.parse_args()
    server = place.prepare()
    django.setup()
    # Django's modules can be imported from here on only.
    from benchmarks import floor, ingest, review  # noqa: PLC0415

    try:
        if chosen.only != "ingest":
            floor.fill(THIN_SIZE, max(PEOPLE))
            figures = review.measure(size=10_000, people=PEOPLE)
            figures += review.measure_sql(server, people=PEOPLE)
            show([*_short(figures), *figures, *_ratios(figures)])
            if chosen.large:
                small = review.measure(size=10_000, people=(FIRST,), names=("review",))
                large = review.measure(size=1_000_000, people=(FIRST,), names=("review",))
                show(_compared(small, large))
        if chosen.only != "review":
            show([Figure(*figure) for figure in ingest.measure()])
    finally:
        server.stop()


def _short(figures: list[Figure]) -> list[Figure]:
    """The figures at the first number of inspectors, under their plain names."""
    ending = f".{FIRST}"
    first = [figure for figure in figures if figure.name.endswith(ending)]
    return [figure._replace(name=figure.name.removesuffix(ending)) for figure in first]


def _ratios(figures: list[Figure]) -> list[Figure]:
    loops = {f.name: f.value for f in figures}
    return [
        Figure(
            f"review.loops_to_{floor}_floor.{count}",
            loops[f"review.loops_per_s.{count}"] / loops[f"floor.{floor}.loops_per_s.{count}"],
            "ratio",
        )
        for count in PEOPLE
        for floor in ("django", "django_thin")
    ]


def _compared(small: list[Figure], large: list[Figure]) -> list[Figure]:
    name = f"review.loops_per_s.{FIRST}"
    [before], [after] = ([f.value for f in figures if f.name == name] for figures in (small, large))
    renamed = [f._replace(name=f"{f.name}.backlog_1m") for f in large]
    return [*renamed, Figure("review.loops_1m_to_10k", after / before, "ratio")]


if __name__ == "__main__":
    main()
