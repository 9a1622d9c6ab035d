"""Opens a plant that runs on loopback to tablets on the plant network, with TLS."""

import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import segno

from config.runner import first_page, host_names, launch, lock, plant, ports, tls
from config.runner import layout as state
from config.runner.certificates import fingerprint
from config.runner.failures import CannotStart
from config.runner.guard import signal_group
from config.runner.language import in_language as _
from config.runner.layout import Layout
from config.runner.processes import holder_of_port
from config.runner.tls import Served

EVERYWHERE = "0.0.0.0"  # noqa: S104  # the plant network, TLS on it
START = "/line/"
READY_SECONDS = 60.0
STOP_SECONDS = 8.0
SECONDS_BETWEEN_LOOKS = 0.25
LAST_LINES = 8


@dataclass(frozen=True)
class Wish:
    """What the person asked for; a certificate and its key where the plant has its own."""

    port: int = 8443
    host: str = ""
    certificate: Path | None = None
    key: Path | None = None


def open_to_tablets(wish: Wish) -> int:
    """Until Ctrl-C, or until the plant behind it is stopped; CannotStart when it breaks."""
    layout = state.chosen()
    holder = lock.who_runs(layout.lock)
    if holder is None:
        raise CannotStart(lock.nobody_runs())
    served = certificate(wish, layout)
    refuse_taken_ports(wish, served)
    environment = settings(holder.address, layout, served, wish.port)
    address = address_of(served.names[0], wish.port)
    keep_code(layout, f"{address}{START}")
    try:
        with stoppable(), web_server(wish, served, environment, layout) as web:
            wait_until_it_answers(web, wish.port, layout)
            with helper(served, address, wish.port):
                for line in greeting(wish, served, address, is_demo=layout.logins.exists()):
                    print(line, flush=True)
                return watch(web, layout)
    except Stopped:
        ended = _("Tablets cannot reach Loupe any more. Loupe itself goes on.")
        print(f"\n{ended}", flush=True)
        return 0


# --- before anything is started ---


def certificate(wish: Wish, layout: Layout) -> Served:
    """The plant's certificate where one was given, else by the own authority."""
    at = datetime.now(UTC)
    host = host_names.checked_name(wish.host) if wish.host else ""
    if wish.certificate and wish.key:
        return tls.given(wish.certificate, wish.key, host, at=at)
    if wish.certificate or wish.key:
        raise CannotStart(
            _("Give both, the certificate and its key: make tablets CERT=... KEY=...")
        )
    here = host_names.names_here()
    first = host or tls.last_host(layout.tls) or next(iter(here), "")
    if not first:
        raise CannotStart(
            _(
                "This machine has no address on a network. Connect it, or say under which name "
                "tablets reach it: make tablets HOST=..."
            )
        )
    if not host and host_names.as_address(first) and first not in here:
        raise CannotStart(
            _(
                "Tablets know this machine as %(name)s, but that is not its address any more "
                "(%(here)s). Give it that address back, or name the new one: make tablets HOST=..."
            )
            % {"name": first, "here": ", ".join(here)}
        )
    return tls.own(layout.tls, list(dict.fromkeys([first, *here])), at=at)


def refuse_taken_ports(wish: Wish, served: Served) -> None:
    wanted = [wish.port, wish.port - 1] if served.authority else [wish.port]
    if not all(0 < port < 65536 for port in wanted):
        raise CannotStart(
            _("PORT=%(port)d is no port. Choose one between 1025 and 65535.") % {"port": wish.port}
        )
    for port in wanted:
        if ports.is_free(port, EVERYWHERE):
            continue
        if port < 1024 and os.geteuid() != 0:
            raise CannotStart(
                _("Port %(port)d is for root alone. Take one from 1025 on: PORT=8443")
                % {"port": port}
            )
        raise CannotStart(
            _(
                "Port %(port)d is taken by %(holder)s. Stop it, or choose another port: "
                "make tablets PORT=%(other)d"
            )
            % {"port": port, "holder": holder_of_port(port), "other": free_pair(wish.port)}
        )


def free_pair(above: int) -> int:
    """A port that is free like the one below it."""
    return next(
        port
        for port in range(above + 2, 65536)
        if ports.is_free(port, EVERYWHERE) and ports.is_free(port - 1, EVERYWHERE)
    )


def settings(running: str, layout: Layout, served: Served, port: int) -> dict[str, str]:
    """The environment of the web server: as the plant's own, with the names tablets use."""
    environment = plant.environment_beside(running, layout)
    hosts = json.loads(environment.get("LOUPE_ALLOWED_HOSTS") or "[]")
    origins = json.loads(environment.get("LOUPE_CSRF_TRUSTED_ORIGINS") or "[]")
    names = [*served.names, "localhost", ports.LOOPBACK]
    mine = [address_of(name, port) for name in served.names]
    return environment | {
        "DJANGO_SETTINGS_MODULE": "config.settings.tablets",
        "LOUPE_ALLOWED_HOSTS": json.dumps(list(dict.fromkeys([*hosts, *names]))),
        "LOUPE_CSRF_TRUSTED_ORIGINS": json.dumps(list(dict.fromkeys([*origins, *mine]))),
    }


def address_of(name: str, port: int) -> str:
    return f"https://{name}" if port == 443 else f"https://{name}:{port}"


# --- what runs ---


class Stopped(Exception):
    """Somebody asked it to stop."""


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and a kill raise Stopped, so that what was started is put away."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    kinds = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {kind: signal.signal(kind, stop) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextmanager
def web_server(
    wish: Wish, served: Served, environment: dict[str, str], layout: Layout
) -> Iterator[subprocess.Popen[bytes]]:
    """gunicorn with TLS, ended with the block and with this process."""
    shown = ("--certfile", str(served.certificate), "--keyfile", str(served.key))
    program = plant.web_server("--bind", f"{EVERYWHERE}:{wish.port}", *shown)
    with layout.log("tablets").open("ab") as log:
        process = subprocess.Popen(
            launch.command(list(program), death_signal=signal.SIGTERM),
            cwd=state.REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        try:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        finally:
            signal_group(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_it_answers(web: subprocess.Popen[bytes], port: int, layout: Layout) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not shakes_hands(port):
        if web.poll() is not None or time.monotonic() > deadline:
            failed = _("The web server for tablets did not start.")
            raise CannotStart(f"{failed}\n{last_words(layout)}")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def shakes_hands(port: int) -> bool:
    """Whether somebody speaks TLS there; who it is was looked at before."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with socket.create_connection((ports.LOOPBACK, port), timeout=5) as plain:
            context.wrap_socket(plain).close()
    except OSError:
        return False
    return True


def last_words(layout: Layout) -> str:
    log = layout.log("tablets")
    lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join([*lines, _("The whole of it: %(log)s") % {"log": log}])


def helper(served: Served, address: str, port: int) -> AbstractContextManager[None]:
    """The first page, where there is a certificate to install."""
    if served.authority is None:
        return nullcontext()
    page = first_page.FirstPage(served.authority, f"{address}{START}")
    return first_page.served(page, host=EVERYWHERE, port=port - 1)


def watch(web: subprocess.Popen[bytes], layout: Layout) -> int:
    """Until one of the two is gone; Stopped ends it before."""
    while web.poll() is None:
        if lock.who_runs(layout.lock) is None:
            print(_("Loupe was stopped; there is nothing left to open."), flush=True)
            return 0
        time.sleep(SECONDS_BETWEEN_LOOKS)
    raise CannotStart(f"{_('The web server for tablets has ended.')}\n{last_words(layout)}")


# --- what is shown ---


def keep_code(layout: Layout, address: str) -> None:
    """The address, and as a QR code for the guide that is printed."""
    tls.make_folder(layout.tls)
    drawn = io.BytesIO()
    segno.make(address).save(drawn, kind="svg", scale=4)
    draft = layout.tls / "address.svg.unfinished"
    draft.write_bytes(drawn.getvalue())
    draft.replace(layout.tls / "address.svg")
    (layout.tls / "address").write_text(address)


def greeting(wish: Wish, served: Served, address: str, *, is_demo: bool) -> list[str]:
    """What the person at the terminal does next."""
    first = f"{address}{START}"
    lines = [
        "",
        _("Tablets open %(address)s") % {"address": first},
        _("It holds for: %(names)s") % {"names": ", ".join(served.names)},
    ]
    if served.authority is not None:
        first = f"http://{served.names[0]}:{wish.port - 1}/"
        lines += [
            _("Before that, once for each tablet: %(address)s") % {"address": first},
            _("The certificate it installs there has this SHA-256 fingerprint:"),
            f"  {fingerprint(served.authority)}",
        ]
    lines += ["", *drawn_code(first)]
    if is_demo:
        lines += [
            _(
                "This is the demo: its logins stand on the login page, for everybody who can "
                "reach this machine. Show it to nobody you would not give them to."
            ),
            "",
        ]
    return [*lines, _("Stop it with Ctrl-C; Loupe itself goes on.")]


def drawn_code(address: str) -> list[str]:
    """A QR code in characters, half as high where the terminal knows the blocks."""
    drawn = io.StringIO()
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    segno.make(address).terminal(out=drawn, border=2, compact=encoding == "utf8")
    return drawn.getvalue().splitlines()
