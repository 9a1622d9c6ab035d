"""The processes of a whole plant on one machine, and the environment they share."""

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from config.runner import layout as state
from config.runner import ports
from config.runner.language import in_language as _
from config.runner.layout import Layout
from config.runner.postgres import running_url
from config.runner.readiness import FreshFile, Http, LogLine, Port, StaysUp
from config.runner.table import Database, Service, Step, Task
from config.settings.environment import ENVIRONMENT

PYTHON = sys.executable
PEERS = ["emulator", "mes", "model"]
CLOUD_VARIABLES = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ENDPOINT_URL")


@dataclass(frozen=True)
class Choice:
    """What the person asked for."""

    port: int = 8000
    demo: bool = False
    images: Path | None = None


@dataclass(frozen=True)
class Peers:
    """Which servers we bring along because no address was given, and on which port."""

    database: bool
    emulator: int | None
    mes: int | None
    model: int | None


def peers(choice: Choice, layout: Layout) -> Peers:
    """For a start: on the ports of the last one where they are free."""
    return _peers(choice, state.kept_ports(layout, PEERS))


def running_peers(choice: Choice, layout: Layout) -> Peers:
    """For a second process beside a plant that runs."""
    return _peers(choice, state.running_ports(layout, PEERS))


def _peers(choice: Choice, given: Mapping[str, int | None]) -> Peers:
    emulator = None if os.environ.get("LOUPE_AWS_ENDPOINT_URL") else given["emulator"]
    mes = given["mes"] if choice.demo and not os.environ.get("LOUPE_MES_URL") else None
    model = None if os.environ.get("LOUPE_MODEL_SERVER_URL") else given["model"]
    database = not os.environ.get("DATABASE_URL")
    return Peers(database=database, emulator=emulator, mes=mes, model=model)


def environment(choice: Choice, layout: Layout, brought: Peers) -> dict[str, str]:
    """What every child gets; DATABASE_URL is added when the embedded server is up."""
    shared = dict(os.environ)
    shared |= {
        "DJANGO_SETTINGS_MODULE": "config.settings.local",
        "LOUPE_DEMO": "true" if choice.demo else "false",
        "LOUPE_HEARTBEAT_FILE": str(layout.heartbeat),
        "LOUPE_ML_ROOT": str(layout.root / "serving"),
        "LOUPE_PORT": str(choice.port),
        "LOUPE_STATE": str(layout.root),
        "NO_PROXY": join_hosts(shared.get("NO_PROXY", ""), "127.0.0.1,localhost"),
        # Two cores are shared by all: a numeric library must not start a thread per core each.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
    }
    shared["no_proxy"] = shared["NO_PROXY"]
    shared.setdefault("LOUPE_SECRET_KEY", state.secret_key(layout))
    if brought.emulator:
        # Real credentials have no business with an emulator.
        for name in CLOUD_VARIABLES:
            shared.pop(name, None)
        shared["LOUPE_AWS_ENDPOINT_URL"] = address(brought.emulator)
        shared |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "emulator")
        shared["AWS_DEFAULT_REGION"] = os.environ.get("LOUPE_AWS_REGION", "eu-central-1")
    if brought.mes:
        shared["LOUPE_MES_URL"] = address(brought.mes)
        shared.setdefault("LOUPE_MES_SECRET", state.kept_secret(layout.root / "mes_secret"))
    if brought.model:
        shared["LOUPE_MODEL_SERVER_URL"] = address(brought.model)
    return shared


def environment_beside(running: str, layout: Layout) -> dict[str, str]:
    """What a further process needs beside the plant that runs at this address."""
    choice = Choice(port=urlsplit(running).port or 8000, demo=layout.logins.exists())
    shared = environment(choice, layout, running_peers(choice, layout))
    if (url := running_url(layout.postgres)) is not None:
        shared["DATABASE_URL"] = url
    return shared


def steps(choice: Choice, layout: Layout, brought: Peers) -> list[Step]:
    """In the order in which they are shown; what a step needs decides when it starts."""
    table: list[Step] = [Database(doing=_("starting PostgreSQL"))] if brought.database else []
    table += emulator(brought)
    table.append(
        Task(
            "migrate",
            _("migrating the database"),
            manage("migrate", "--no-input", "--verbosity", "1"),
            needs=("postgres",),
        )
    )
    table.append(
        Task("prepare", _("creating queues and topics"), manage("prepare"), ("migrate", "emulator"))
    )
    table.append(
        Task("static", _("collecting styles and scripts"), manage("collectstatic", "--no-input"))
    )
    if choice.demo:
        table += demo_plant(choice, layout, brought)
    table += model_server(brought)
    table += application(choice, layout)
    if choice.demo:
        table.append(
            Service(
                "line",
                _("starting the demo line"),
                manage("demo_line"),
                StaysUp(1.0),
                needs=("seed", "model", "worker", "web"),
            )
        )
    return only_known_needs(table)


def emulator(brought: Peers) -> list[Step]:
    if not brought.emulator:
        return []
    arguments = (PYTHON, "-m", "moto.server", "-H", ports.LOOPBACK, "-p", str(brought.emulator))
    return [
        Service(
            "emulator",
            _("starting the SQS and SNS emulator"),
            arguments,
            Port(brought.emulator),
            address=address(brought.emulator),
            # It keeps nothing: after a crash its queues have to be made again.
            repeat="prepare",
        )
    ]


def demo_plant(choice: Choice, layout: Layout, brought: Peers) -> list[Step]:
    images = ("--images", str(choice.images)) if choice.images else ()
    demo: list[Step] = []
    if brought.mes:
        folder = str(layout.root / "mes")
        arguments = ("config.demo.mes", "--port", str(brought.mes), "--state", folder)
        demo.append(
            Service(
                "mes",
                _("starting the demo MES"),
                (PYTHON, "-m", *arguments),
                Port(brought.mes),
                address=address(brought.mes),
            )
        )
    seed = Task(
        "seed",
        _("preparing the demo plant and its first model"),
        manage("seed_demo", *images),
        needs=("migrate",),
        told=True,
    )
    return [*demo, seed]


def model_server(brought: Peers) -> list[Step]:
    if not brought.model:
        return []
    return [
        Service(
            "model",
            _("starting the model server"),
            (PYTHON, "-m", "trainer", "serve", "--port", str(brought.model)),
            Port(brought.model),
            needs=("seed",),
            address=address(brought.model),
        )
    ]


def application(choice: Choice, layout: Layout) -> list[Step]:
    celery = (PYTHON, "-m", "celery", "--app", "config")
    # PGMQ knows no broadcast with headers: without gossip, mingle and heartbeat nothing sends one.
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    worker = ("worker", "--concurrency", "2", *quiet)
    schedule = ("beat", "--schedule", str(layout.root / "beat" / "schedule"), "--pidfile=")
    bind = f"{ports.LOOPBACK}:{choice.port}"
    return [
        Service(
            "worker",
            _("starting the worker"),
            (*celery, *worker, "--loglevel", "INFO"),
            FreshFile(layout.heartbeat),
            needs=("prepare", "mes"),
            # Celery's own loops take 3 to 5 s to end even when there is nothing to do, and more
            # on a machine that is busy with other things.
            stop_seconds=20.0,
            # Without the runner there is no database either: do not wait for running tasks.
            death_signal=signal.SIGQUIT,
        ),
        Service(
            "beat",
            _("starting the scheduler"),
            (*celery, *schedule, "--loglevel", "INFO"),
            LogLine("beat: Starting"),
            needs=("prepare",),
        ),
        Service(
            "web",
            _("starting the web server"),
            web_server("--bind", bind),
            Http(choice.port, "/health/"),
            needs=("prepare", "static"),
            address=address(choice.port),
        ),
    ]


def web_server(*bind: str) -> tuple[str, ...]:
    """gunicorn serving Loupe: most of its threads sleep, each for a tablet that waits for news."""
    threads = ENVIRONMENT.request_threads + ENVIRONMENT.line_waiting
    gunicorn = ("gunicorn", "config.wsgi", *bind, "--no-control-socket")
    workers = ("--workers", "2", "--worker-class", "gthread", "--threads", str(threads))
    return (PYTHON, "-m", *gunicorn, *workers, "--graceful-timeout", "3")


def only_known_needs(table: list[Step]) -> list[Step]:
    """A server that is brought by somebody else is not waited for."""
    names = {step.name for step in table}
    return [
        type(step)(**{**vars(step), "needs": tuple(n for n in step.needs if n in names)})
        for step in table
    ]


def manage(*arguments: str) -> tuple[str, ...]:
    return (PYTHON, str(state.REPOSITORY / "manage.py"), *arguments)


def address(port: int) -> str:
    return f"http://{ports.LOOPBACK}:{port}"


def join_hosts(hosts: str, more: str) -> str:
    return f"{hosts},{more}" if hosts else more
