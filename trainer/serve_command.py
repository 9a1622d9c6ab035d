"""`serve`: the model over HTTP, under gunicorn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gunicorn.app.base import (  # type: ignore[import-untyped]  # it has no stubs
    BaseApplication,
)

from trainer.layout import Layout
from trainer.service import Service

DEFAULT_PORT = 8080
REQUEST_SECONDS = 60
STOP_SECONDS = 20
# The worker shows that it lives by touching a file; on a busy disk that can take too long.
MEMORY_FOLDER = Path("/dev") / "shm"


class _Application(BaseApplication):  # type: ignore[misc]  # untyped, as above
    def __init__(self, service: Service, settings: dict[str, Any]) -> None:
        self._service = service
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._settings.items():
            self.cfg.set(name, value)

    def load(self) -> Service:
        return self._service


def run_serve(layout: Layout, port: int | None) -> int:
    if port is None:
        port = int(os.environ.get("SAGEMAKER_BIND_TO_PORT") or DEFAULT_PORT)
    host = os.environ.get("LOUPE_ML_BIND") or "127.0.0.1"
    settings: dict[str, Any] = {
        "bind": f"{host}:{port}",
        "workers": 1,
        "threads": 2,
        "worker_class": "gthread",
        "timeout": REQUEST_SECONDS,
        "graceful_timeout": STOP_SECONDS,
        "keepalive": 65,
        "proc_name": "loupe-trainer",
        "control_socket_disable": True,
    }
    if MEMORY_FOLDER.is_dir():
        settings["worker_tmp_dir"] = str(MEMORY_FOLDER)
    _Application(Service(layout.model), settings).run()
    return 0
