"""Dispositions a second on each way to the MES: `python -m benchmarks.ledger_rates mqtt`.

A kind is the module `benchmarks.ledger_rates_<kind>`, whose `measure()` gives the figures; its
`SETTINGS` are the environment that Loupe starts with.
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

import django

from benchmarks import place
from benchmarks.figures import show


def main() -> None:
    """Measure one kind and print."""
    kinds = sorted(
        path.stem.removeprefix("ledger_rates_")
        for path in Path(__file__).parent.glob("ledger_rates_*.py")
    )
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger_rates")
    parser.add_argument("kind", choices=kinds)
    chosen = parser.parse_args()
    server = place.prepare()
    try:
        rates = importlib.import_module(f"benchmarks.ledger_rates_{chosen.kind}")
        os.environ.update(rates.SETTINGS)
        django.setup()
        show(rates.measure())
    finally:
        server.stop()


if __name__ == "__main__":
    main()
