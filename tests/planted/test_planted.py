"""The suite is held to account: each planted bug must turn the tests red that are there for it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import psycopg
import pytest

from tests.embedded import restore_template
from tests.planted.approval_bugs import APPROVAL_BUGS
from tests.planted.bugs import BUGS as OF_THE_PRODUCT
from tests.planted.bugs import Bug
from tests.planted.ledger_bugs import LEDGER_BUGS

BUGS = (*OF_THE_PRODUCT, *LEDGER_BUGS, *APPROVAL_BUGS)

REPOSITORY = Path(__file__).resolve().parents[2]
AT_ONCE = 2
# Far beyond what a run takes: it stands still, or the machine does.
HUNG_S = 900

# The copies share the running server, each with a database of its own.
_EMBEDDED = """
import os


class Shared:
    url = os.environ["PLANTED_DATABASE_URL"]

    def stop(self):
        pass


def start_for_tests(folder):
    return Shared()


def restore_template(url):
    return None


def keep_schema(url):
    pass
"""


@dataclass(frozen=True)
class Ran:
    """How a selection of tests ended."""

    code: int
    output: str

    @property
    def failed(self) -> list[str]:
        """Ids of tests that failed, those that never ran left out."""
        return re.findall(r"(?m)^FAILED (\S+)", self.output)


@dataclass
class Copy:
    """A working copy in which one bug at a time is planted."""

    root: Path
    number: int

    @property
    def database(self) -> str:
        """Kept between the runs of this copy."""
        return f"planted_{self.number}"

    def run(self, tests: Sequence[str], *more: str, database: str) -> Ran:
        """Run these tests here, with more arguments for pytest."""
        url = os.environ["DATABASE_URL"].rpartition("/")[0]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LOUPE_", "PYTEST_", "COV_", "DATABASE_", "DJANGO_"))
        }
        environment["PLANTED_DATABASE_URL"] = f"{url}/{database}"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", *tests, "--reuse-db", "--tb=line", "-q", "-rf"),
                *("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:playwright"),
                *more,
            ],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=HUNG_S,
        )
        return Ran(done.returncode, f"{done.stdout}\n{done.stderr}")

    def run_with(self, bug: Bug) -> Ran:
        """Plant the bug, run its tests, take it out again."""
        file = self.root / bug.file
        file.write_text(planted(bug, file.read_text()))
        database = own_database(bug) if bug.changes_schema else self.database
        try:
            return self.run(bug.tests, "-p", "no:rerunfailures", database=database)
        finally:
            # With the time of the original: compiled code of the bug is not taken for it.
            shutil.copy2(REPOSITORY / bug.file, file)


def own_database(bug: Bug) -> str:
    """Where a faulty schema lives."""
    return f"planted_schema_{BUGS.index(bug)}"


def planted(bug: Bug, text: str) -> str:
    """The file's text with the bug; refuses when the place is not found exactly once."""
    found = text.count(bug.before)
    assert found == 1, f"{bug.file} has {found} places for “{bug.name}”: mend tests/planted/bugs.py"
    return text.replace(bug.before, bug.after)


@dataclass
class Garden:
    """Copies of the working tree, and the runs that were started in them."""

    folder: Path
    copies: SimpleQueue[Copy] = field(default_factory=SimpleQueue)

    def __post_init__(self) -> None:
        empty = [own_database(bug) for bug in BUGS if bug.changes_schema]
        migrated = []
        for number in range(AT_ONCE):
            root = self.folder / f"copy-{number}"
            copy_tree(root)
            copy = Copy(root, number)
            self.copies.put(copy)
            migrated.append(copy.database)
        # Made here, one after the other: two that create one at once get in each other's way.
        url = os.environ["DATABASE_URL"]
        template = restore_template(url) or "template1"
        with psycopg.connect(url, autocommit=True) as connection:
            for name in empty:
                connection.execute(f"CREATE DATABASE test_{name}".encode())
            for name in migrated:
                connection.execute(f"CREATE DATABASE test_{name} TEMPLATE {template}".encode())

    def healthy(self, tests: Sequence[str]) -> Ran:
        copy = self.copies.get()
        try:
            return copy.run(tests, database=copy.database)
        finally:
            self.copies.put(copy)

    def sick(self, bug: Bug) -> Ran:
        copy = self.copies.get()
        try:
            return copy.run_with(bug)
        finally:
            self.copies.put(copy)


def copy_tree(root: Path) -> None:
    """What git keeps or would keep, as it lies here now."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        source, target = REPOSITORY / name, root / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    (root / "tests" / "embedded.py").write_text(_EMBEDDED)


@dataclass(frozen=True)
class Runs:
    """The healthy run, and one for each bug asked for."""

    healthy: Future[Ran]
    sick: dict[str, Future[Ran]]


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runs]:
    """Everything is started at once, two runs at a time; each test waits for its own."""
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    asked = {call.params["bug"].name for call in calls if call and "bug" in call.params}
    bugs = [bug for bug in BUGS if bug.name in asked]
    garden = Garden(tmp_path_factory.mktemp("planted"))
    tests = sorted({name for bug in bugs or BUGS for name in bug.tests})
    pool = ThreadPoolExecutor(AT_ONCE)
    yield Runs(
        healthy=pool.submit(garden.healthy, tests),
        sick={bug.name: pool.submit(garden.sick, bug) for bug in bugs},
    )
    pool.shutdown(cancel_futures=True)


@pytest.mark.timeout(2 * HUNG_S)
def test_without_a_bug_these_tests_are_green(runs: Runs) -> None:
    ran = runs.healthy.result()
    assert ran.code == 0, ran.output[-6000:]


@pytest.mark.timeout(2 * HUNG_S)
@pytest.mark.parametrize(
    "bug",
    [
        pytest.param(
            bug,
            id=bug.name.replace(" ", "-"),
            marks=[pytest.mark.thorough] if bug.is_thorough else [],
        )
        for bug in BUGS
    ],
)
def test_the_suite_catches(bug: Bug, runs: Runs) -> None:
    assert runs.healthy.result().code == 0, "see test_without_a_bug_these_tests_are_green"
    ran = runs.sick[bug.name].result()
    assert ran.code == 1, ran.output[-3000:]
    caught = {name.partition("[")[0] for name in ran.failed}
    missed = [name for name in bug.tests if not any(found.startswith(name) for found in caught)]
    assert not missed, f"{missed} stay green with this bug\n{ran.output[-2000:]}"
