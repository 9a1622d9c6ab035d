"""The model the embedded server answers for: a folder, and a link that is turned to it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from pathlib import Path

from django.utils.translation import gettext as _

from retraining.backends.materials import bring_folder, told_apart
from retraining.backends.protocol import BackendRefused, Release, Service
from retraining.gateways.model_server import model_of
from traceability.gateways.object_store import store

LINK = "model"
KEPT_MODELS = 3
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class LocalServing:
    """`folder`/model is the link; the server looks at it before every answer."""

    name = "local"

    def __init__(self, *, folder: Path, server: str = "") -> None:
        self._folder = folder
        self._server = server

    def put(self, release: Release) -> Service:
        """Turn the link to the release, at once and never to half a model, and ask the server.

        Without a server's address the link is all there is to know.
        """
        with told_apart():
            name = f"{release.model_name}-{release.model_version}"
            if not _PLAIN.fullmatch(name):
                raise BackendRefused(_("%(name)r cannot name a folder.") % {"name": name})
            target = self._folder / "models" / name
            link = self._folder / LINK
            if not (target / "model.json").is_file():
                self._fetch(release, target)
            if not self.holds(release):
                self._turn(link, target)
                self._clear(target)
        hindrance = self._asked(release) if self._server else ""
        return Service(is_serving=not hindrance, hindrance=hindrance)

    def _asked(self, release: Release) -> str:
        """Empty when the server answers for the release, else what is wrong."""
        found = model_of(self._server)
        if found is None:
            return _(
                "The model server does not answer. Check that it runs, and that "
                "LOUPE_MODEL_SERVER_URL is its address."
            )
        if found == (release.model_name, release.model_version):
            return ""
        return _(
            "The model server answers for %(model)s. Check that it serves the folder %(folder)s."
        ) % {"model": " ".join(found)[:100], "folder": self._folder / LINK}

    def holds(self, release: Release) -> bool:
        """Whether the link points to the whole release: the folder may be new on this machine."""
        target = self._folder / "models" / f"{release.model_name}-{release.model_version}"
        link = self._folder / LINK
        return (target / "model.json").is_file() and link.resolve() == target.resolve()

    def _fetch(self, release: Release, target: Path) -> None:
        """Appears under its name only when complete."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".unfinished-") as draft:
            new = Path(draft) / "model"
            if not bring_folder(store(release.bucket), release.artifact_prefix, new):
                raise BackendRefused(
                    _("The files of the model are gone: %(prefix)s.")
                    % {"prefix": release.artifact_prefix}
                )
            shutil.rmtree(target, ignore_errors=True)
            try:
                new.rename(target)
            except OSError:
                # Somebody else was quicker, with the same files.
                if not (target / "model.json").is_file():
                    raise

    def _turn(self, link: Path, target: Path) -> None:
        # Of this thread alone: a web server promotes in several.
        draft = link.with_name(f".{LINK}.{os.getpid()}.{threading.get_ident()}")
        draft.unlink(missing_ok=True)
        try:
            draft.symlink_to(target.relative_to(link.parent))
            draft.replace(link)
        finally:
            # A link that could not be turned is nobody's: no other thread would clear it away.
            draft.unlink(missing_ok=True)

    def _clear(self, current: Path) -> None:
        """Old folders go; whatever is needed again is fetched again."""
        folders = [path for path in current.parent.iterdir() if not path.name.startswith(".")]
        folders.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        for old in folders[KEPT_MODELS:]:
            if old != current:
                shutil.rmtree(old, ignore_errors=True)
