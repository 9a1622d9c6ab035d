"""The two routes of the container: is a model there, and what does it say of this image."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from trainer.errors import ImageError, ImageTooLarge, ModelError
from trainer.model import Model
from trainer.storage import load_model

MAX_BODY = 6 * 1024 * 1024
DRAIN_LIMIT = 64 * 1024 * 1024
DRAIN_STEP = 256 * 1024
MEDIA_TYPES = {
    "image/jpeg",
    "image/png",
    "image/tiff",
    "image/bmp",
    "image/webp",
    "application/octet-stream",
}

log = logging.getLogger("trainer")

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


@dataclass(frozen=True)
class Reply:
    status: HTTPStatus
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class CurrentModel:
    """The model the folder holds now; the folder may be a link that is turned at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: object = None
        self._model: Model | None = None
        self._reason = "No model is loaded yet."

    def get(self) -> tuple[Model | None, str]:
        """The model, or None and why; one that cannot be loaded leaves the old one in force."""
        with self._lock:
            folder, stamp = self._stamp()
            if stamp != self._seen:
                self._load(folder)
                self._seen = stamp
            return self._model, self._reason

    def _stamp(self) -> tuple[Path, object]:
        folder = Path(os.path.realpath(self._folder))
        try:
            state = (folder / "model.json").stat()
        except OSError:
            return folder, (str(folder), None)
        return folder, (str(folder), state.st_ino, state.st_mtime_ns, state.st_size)

    def _load(self, folder: Path) -> None:
        try:
            self._model, self._reason = load_model(folder), ""
        except ModelError as error:
            self._reason = str(error)
            log.warning("model not loaded from %s: %s", folder, error)


class Service:
    """A WSGI application."""

    def __init__(self, folder: Path) -> None:
        self._current = CurrentModel(folder)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reply = self._route(environ)
        content = json.dumps(reply.body, ensure_ascii=False).encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
        start_response(f"{reply.status.value} {reply.status.phrase}", [*headers, *reply.headers])
        return [content]

    def _route(self, environ: Environ) -> Reply:
        route = (environ["REQUEST_METHOD"], environ.get("PATH_INFO", ""))
        if route in (("GET", "/ping"), ("HEAD", "/ping")):
            return self._ping()
        if route == ("POST", "/invocations"):
            return self._invoke(environ)
        if route[1] in ("/ping", "/invocations"):
            return _refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Use GET /ping or POST /invocations.")
        return _refusal(HTTPStatus.NOT_FOUND, "There are GET /ping and POST /invocations.")

    def _ping(self) -> Reply:
        model, reason = self._current.get()
        if model is None:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        return Reply(HTTPStatus.OK, {"model": model.name, "version": model.version}, _named(model))

    def _invoke(self, environ: Environ) -> Reply:
        kind = environ.get("CONTENT_TYPE", "").split(";")[0].strip().lower()
        content = _read_body(environ)
        if content is None:
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The image is over 6 MB.")
        if kind not in MEDIA_TYPES:
            return _refusal(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"Content-Type must be an image type such as image/jpeg, not {kind[:100]!r}.",
            )
        model, reason = self._current.get()
        if model is None:
            return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, reason)
        try:
            answer = model.answer(content)
        except ImageTooLarge as error:
            return _refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        except ImageError as error:
            return _refusal(HTTPStatus.BAD_REQUEST, str(error))
        return Reply(HTTPStatus.OK, answer.outcome(), _named(model))


def _named(model: Model) -> tuple[tuple[str, str], ...]:
    return (
        ("X-Loupe-Model-Name", _header(model.name)),
        ("X-Loupe-Model-Version", _header(model.version)),
    )


def _header(text: str) -> str:
    return "".join(letter if " " <= letter <= "~" else "?" for letter in text)


def _refusal(status: HTTPStatus, sentence: str) -> Reply:
    return Reply(status, {"error": sentence})


def _read_body(environ: Environ) -> bytes | None:
    """None when it is too large; the rest is read away so that the sender hears the answer."""
    stream = environ["wsgi.input"]
    parts, size = [], 0
    while size <= DRAIN_LIMIT:
        part = stream.read(DRAIN_STEP)
        if not part:
            break
        size += len(part)
        if size <= MAX_BODY:
            parts.append(part)
    return b"".join(parts) if size <= MAX_BODY else None
