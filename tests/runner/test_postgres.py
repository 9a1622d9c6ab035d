"""The embedded server: whoever runs it, however it ends."""

import os
import shutil
import signal
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.runner import launch, postgres
from config.runner.failures import CannotStart
from config.runner.postgres import EmbeddedPostgres, binaries, nobody_id
from tests.runner.waiting import living, wait_until

REPOSITORY = Path(__file__).resolve().parents[2]
START_AND_WAIT = """
import sys, time
from pathlib import Path
from config.runner.postgres import EmbeddedPostgres
folder = Path(sys.argv[1])
server = EmbeddedPostgres(folder, None, folder / "log", durable=False)
server.start()
print(server.url, flush=True)
sys.stdin.read()
server.stop()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """Not started yet; stopped in any case."""
    embedded = EmbeddedPostgres(tmp_path / "pg", None, tmp_path / "log", durable=False)
    yield embedded
    embedded.stop()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder every user can reach; pytest's own is closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="loupe-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def rows(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_a_restart_keeps_rows_password_and_port(server: EmbeddedPostgres) -> None:
    server.start()
    first = server.url
    rows(first, "CREATE TABLE part AS SELECT 7 AS number")
    server.stop()
    server.start()
    assert server.url == first
    assert rows(server.url, "SELECT number FROM part") == [(7,)]


def test_nobody_comes_in_without_the_password(server: EmbeddedPostgres) -> None:
    server.start()
    assert (server.data_dir / "password").stat().st_mode & 0o077 == 0
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(f"postgresql://loupe:guess@127.0.0.1:{server.port}/loupe")
    assert rows(server.url, "SHOW listen_addresses") == [("127.0.0.1",)]


def test_another_port_is_taken_when_the_last_one_is_not_free(server: EmbeddedPostgres) -> None:
    server.start()
    last = server.port
    server.stop()
    beside = EmbeddedPostgres(server.data_dir.with_name("beside"), last, server.log, durable=False)
    beside.start()
    try:
        server.start()
        assert server.port != last
        assert rows(server.url, "SELECT 1") == [(1,)]
    finally:
        beside.stop()


def test_a_half_finished_first_start_is_redone(server: EmbeddedPostgres) -> None:
    unfinished = server.data_dir / "cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server.start()
    assert rows(server.url, "SELECT 1") == [(1,)]
    assert not unfinished.exists()


def test_data_of_another_major_version_is_refused_with_the_way_out(
    server: EmbeddedPostgres,
) -> None:
    server.cluster.mkdir(parents=True)
    (server.cluster / "PG_VERSION").write_text("17\n")
    with pytest.raises(CannotStart, match=r"written by PostgreSQL 17.*pg_dump.*make reset"):
        server.start()


def test_a_stale_pid_file_naming_a_stranger_does_not_keep_it_from_starting(
    server: EmbeddedPostgres,
) -> None:
    server.start()
    pid_file = server.cluster / "postmaster.pid"
    left_behind = pid_file.read_text().split("\n", 1)[1]
    server.stop()
    pid_file.write_text(f"{os.getpid()}\n{left_behind}")
    server.start()
    assert rows(server.url, "SELECT 1") == [(1,)]


def test_it_stops_when_its_owner_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(tmp_path)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline().startswith("postgresql://")
        cluster = str(tmp_path / "cluster")
        assert living(cluster)
        owner.kill()
        assert wait_until(lambda: not living(cluster))
    # A clean shutdown, not a crash: the pid file is gone.
    assert not (tmp_path / "cluster" / "postmaster.pid").exists()


def test_a_start_waits_for_the_server_of_a_killed_owner(tmp_path: Path) -> None:
    folder = tmp_path / "pg"
    owner = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(folder)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with owner:
        assert owner.stdout is not None
        rows(owner.stdout.readline().strip(), "CREATE TABLE part AS SELECT 7 AS number")
        owner.send_signal(signal.SIGKILL)
    server = EmbeddedPostgres(folder, None, tmp_path / "log", durable=False)
    server.start()
    try:
        assert rows(server.url, "SELECT number FROM part") == [(7,)]
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_without_namespaces_falls_back_to_nobody(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDENTITIES_OF_ROOT", (launch.NOBODY,))
    if not reachable_by_nobody(binaries() / "postgres"):
        pytest.skip(f"{binaries()} is closed to other users")
    server = EmbeddedPostgres(open_folder / "pg", None, open_folder / "log", durable=False)
    server.start()
    try:
        assert rows(server.url, "SELECT 1") == [(1,)]
        assert server.cluster.stat().st_uid == nobody_id()
    finally:
        server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_root_with_no_way_at_all_is_told_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "IDENTITIES_OF_ROOT", (launch.NOBODY,))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed / "pg", None, tmp_path / "log", durable=False)
    with pytest.raises(CannotStart, match=r"ordinary user.*LOUPE_STATE.*DATABASE_URL"):
        server.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests ran as an ordinary user already")
def test_an_ordinary_user_starts_it_too(open_folder: Path) -> None:
    python = python_for_nobody()
    state = open_folder / "state"
    state.mkdir()
    os.chown(state, nobody_id(), -1)
    run = subprocess.run(
        as_nobody([python, "-c", START_AND_WAIT, str(state)]),
        cwd=REPOSITORY,
        env={"PYTHONPATH": import_path(), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("postgresql://")
    assert (state / "cluster").stat().st_uid == nobody_id()


def python_for_nobody() -> str:
    """The interpreter of this run may lie in root's home; the system's will do as well."""
    if not reachable_by_nobody(REPOSITORY / "config"):
        pytest.skip(f"{REPOSITORY} is closed to other users")
    for python in (sys.executable, "/usr/bin/python3"):
        trial = subprocess.run(
            as_nobody([python, "-c", "import config.runner.postgres"]),
            cwd=REPOSITORY,
            env={"PYTHONPATH": import_path(), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            check=False,
        )
        if trial.returncode == 0:
            return python
    pytest.skip("no Python that the user nobody can run has what Loupe needs")


def import_path() -> str:
    return os.pathsep.join([str(REPOSITORY), *site.getsitepackages()])


def as_nobody(program: list[str]) -> list[str]:
    return launch.command(program, death_signal=signal.SIGKILL, identity=launch.NOBODY)


def reachable_by_nobody(path: Path) -> bool:
    trial = subprocess.run(as_nobody(["test", "-r", str(path)]), capture_output=True, check=False)
    return trial.returncode == 0
