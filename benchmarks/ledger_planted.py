"""The fault programme held to account: with a defect planted it has to find a violation."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.figures import Figure
from benchmarks.ledger_crashing import FREQUENT
from benchmarks.ledger_defects import DEFECTS, Defect
from benchmarks.ledger_leads import PRESSES
from benchmarks.ledger_plant import Ground, Seats
from benchmarks.ledger_run import LEADS, PEOPLE, Run, Tier
from benchmarks.ledger_seen import Violation
from benchmarks.ledger_voice import SPEAKS
from tests.faults.plant import ROOT

MESSAGES: Final = 150
SETTLES_S: Final = 25.0
AGAIN, WINDOW = 0.5, 8


def copy_tree(to: Path) -> None:
    """What git keeps or would keep, as it lies here now."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        source, target = ROOT / name, to / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def plant(defect: Defect, tree: Path) -> Iterator[str]:
    """Put it into a copy; names the places that are not found exactly once."""
    for file, before, after in defect.changes:
        text = (tree / file).read_text()
        if text.count(before) != 1:
            yield f"{file} has {text.count(before)} places for “{defect.name}”: {before!r}"
        (tree / file).write_text(text.replace(before, after))


def take_out(defect: Defect, tree: Path) -> None:
    """The files as they were, with the time of the original: what was compiled is made anew."""
    for file, _before, _after in defect.changes:
        shutil.copy2(ROOT / file, tree / file)


def measure(folder: Path, seed: int, name: str) -> Iterator[Figure | Violation]:
    """Plant each defect into a copy and run the programme on it; those it has not found."""
    tree = folder / "tree"
    copy_tree(tree)
    kept = _made_ready(folder, tree, seed)
    chosen = [each for each in DEFECTS if name in each.name]
    found_all = 0
    for defect in chosen:
        places = list(plant(defect, tree))
        found = _found(defect, tree, kept, seed)
        take_out(defect, tree)
        print(f"# {defect.name}: {', '.join(found) or 'not found'}", flush=True)
        if places or not found:
            yield Violation("planted", f"{defect.name}: {places or 'not found'}")
        else:
            found_all += 1
    yield Figure("faults.planted", len(chosen), "1")
    yield Figure("faults.planted_found", found_all, "1")


def _found(defect: Defect, tree: Path, kept: tuple[Path, Seats], seed: int) -> list[str]:
    """Of the invariants it is to be found by, those that were seen broken."""
    run = Run(
        Tier(MESSAGES, defect.plan, only=FREQUENT),
        seed,
        tree,
        kept=kept,
        settles_s=SETTLES_S,
        peer=defect.peer,
        acts=defect.acts,
        presses={**PRESSES, **defect.presses},
        speaks={**SPEAKS, **defect.speaks},
        again=AGAIN,
        window=WINDOW,
        backlog=8,
        is_whole=False,
        wanted=defect.breaks,
    )
    run.everything()
    return sorted({each.invariant for each in run.violations} & set(defect.breaks))


def _made_ready(folder: Path, tree: Path, seed: int) -> tuple[Path, Seats]:
    """A cluster to begin with, so that the schema is made only once."""
    (folder / "first").mkdir()
    ground = Ground(folder / "first", tree, seed, may_mount=False)
    try:
        ground.surround()
        people = ground.make_ready(PEOPLE + 1, LEADS)
        ground.keep(folder / "kept")
    finally:
        ground.stop()
    return folder / "kept", people
