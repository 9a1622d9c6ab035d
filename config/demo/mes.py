"""The demo MES as a process of its own.

python -m config.demo.mes --port 8099 --state var/mes --secret-env LOUPE_MES_SECRET
"""

import argparse
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import (  # type: ignore[import-untyped]  # gunicorn carries no types
    BaseApplication,
)

from config.demo.mes_app import Mes
from config.demo.mes_store import Store


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn carries no types
    """gunicorn with one worker on the loopback address; threads as many as may wait at once."""

    def __init__(self, *, port: int, state: Path, secret: str, allow_faults: bool) -> None:
        self._state = state
        self._secret = secret
        self._allow_faults = allow_faults
        self._settings: dict[str, Any] = {
            "bind": f"127.0.0.1:{port}",
            "workers": 1,
            "worker_class": "gthread",
            # A fault may keep requests waiting; the page must still answer meanwhile.
            "threads": 32 if allow_faults else 4,
            "graceful_timeout": 2,
            "umask": 0o077,
            "control_socket_disable": True,
            "loglevel": "warning",
            "proc_name": "loupe-demo-mes",
        }
        super().__init__()

    def load_config(self) -> None:
        """Called by gunicorn."""
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Mes:
        """Called by gunicorn in the worker."""
        return Mes(store=Store(self._state), secret=self._secret, allow_faults=self._allow_faults)


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; 2 when it cannot start, with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="python -m config.demo.mes", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder of its database")
    parser.add_argument("--secret-env", default="LOUPE_MES_SECRET", help="variable with the secret")
    parser.add_argument("--allow-faults", action="store_true", help="open POST /faults (for tests)")
    given = parser.parse_args(arguments)
    secret = os.environ.get(given.secret_env, "")
    if not secret:
        print(
            f"{given.secret_env} is not set. Set it to the secret that Loupe signs with.",
            file=sys.stderr,
        )
        return 2
    try:
        Store(given.state).close()
    except (OSError, sqlite3.Error) as error:
        print(
            f"{given.state} cannot hold the database: {error}. Choose another --state.",
            file=sys.stderr,
        )
        return 2
    Server(port=given.port, state=given.state, secret=secret, allow_faults=given.allow_faults).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
