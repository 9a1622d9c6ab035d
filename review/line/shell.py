"""What a tablet keeps to show its page without network, and which version of it this is."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.contrib.staticfiles.storage import staticfiles_storage

WORKER: Final = "built/line/worker.js"
# What the station's page names.
SHELL: Final = (
    "built/line/station.js",
    "built/line/start.js",
    "built/line.css",
    "built/loupe.css",
    "django_htmx/htmx-2.min.js",
    "js/shell.js",
    "js/theme.js",
    "img/loupe.svg",
    "img/icon-192.png",
)
_SHOWN: Final = 16


def app_version() -> str:
    """Another one as soon as anything of the page is another."""
    return _version(tuple(_stamp(name) for name in (*SHELL, WORKER)))


def worker_script() -> str:
    """The service worker's script; raises FileNotFoundError where nothing was bundled yet."""
    with staticfiles_storage.open(WORKER) as script:
        return str(script.read().decode())


def assets() -> list[str]:
    """The addresses of the page's static files."""
    return [staticfiles_storage.url(name) for name in SHELL]


def _stamp(name: str) -> tuple[str, int, int]:
    """Name, time and size: enough to know that a file is the one that was read before."""
    try:
        found = Path(staticfiles_storage.path(name)).stat()
    except FileNotFoundError:
        return name, 0, 0
    return name, found.st_mtime_ns, found.st_size


@lru_cache(maxsize=2)
def _version(stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, changed, _size in stamps:
        content = Path(staticfiles_storage.path(name)).read_bytes() if changed else b""
        digest.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(content).digest())
    return digest.hexdigest()[:_SHOWN]
