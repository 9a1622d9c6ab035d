"""A RabbitMQ with AMQP 1.0 in its own folder, under its own Erlang name: never the system's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from tests.mes_integration.contract.peer import wait_until

USER, SECRET = "guest", "guest"
_PATHS = ("/usr/lib/rabbitmq/bin", "/usr/sbin")


def why_missing() -> str:
    """Why there is none on this machine; empty when there is."""
    if shutil.which("erl") is None:
        return "Erlang is not installed"
    if _server() is None:
        return "rabbitmq-server is not installed"
    return ""


def _server() -> str | None:
    return shutil.which("rabbitmq-server", path=os.pathsep.join(_PATHS))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RabbitMq:
    """Started with `up()`; `kill()` is kill -9 of all that belongs to it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="loupe-rabbitmq-"))
        self.port, self._epmd, self._dist = _free_port(), _free_port(), _free_port()
        self.url = f"amqp://127.0.0.1:{self.port}"
        self._names: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "enabled_plugins").write_text("[rabbitmq_amqp1_0].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{self.port}\n"
            "amqp1_0.default_user = none\n"
            "log.file.level = warning\n"
        )
        (self.folder / ".erlang.cookie").write_text("LOUPETESTS")
        (self.folder / ".erlang.cookie").chmod(0o400)

    def _environment(self) -> dict[str, str]:
        at = str(self.folder)
        return os.environ | {
            "HOME": at,
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"loupe{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_MNESIA_BASE": f"{at}/mnesia",
            "RABBITMQ_LOG_BASE": f"{at}/log",
            "RABBITMQ_CONFIG_FILE": f"{at}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{at}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{at}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }

    def up(self) -> None:
        """Answers when this returns."""
        server, names = _server(), shutil.which("epmd")
        assert server is not None
        assert names is not None
        if self._names is None:
            # Ours, so that it does not stay behind when the test is over.
            self._names = subprocess.Popen(
                [names, "-address", "127.0.0.1", "-port", str(self._epmd)]
            )
        with (self.folder / "out").open("ab") as out:
            self._process = subprocess.Popen(
                [server],
                env=self._environment(),
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_until(self._answers, seconds=120, what="RabbitMQ does not answer")

    def _answers(self) -> bool:
        process = self._process
        assert process is not None
        assert process.poll() is None, (self.folder / "out").read_text()[-2000:]
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
            probe.sendall(b"AMQP\x03\x01\x00\x00")
            try:
                return probe.recv(8) == b"AMQP\x03\x01\x00\x00"
            except OSError:
                return False

    def kill(self) -> None:
        """As if the machine had lost its power."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """Gone, and its folder with it."""
        self.kill()
        if self._names is not None:
            self._names.kill()
            self._names.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
