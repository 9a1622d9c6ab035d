"""B2MML by file drop: a document appears in `out` whole, its acknowledgement in `ack`.

Beside those two, which the other side owns with us, lie `work` (documents being written), `sent` (a
mark for each document, set before it can be seen), `done` and `bad`. Marks and documents together
tell after any crash whether a document was dropped: it is renamed out of `work`, so one that still
lies there was not, and one that has a mark and lies nowhere was fetched.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mes_integration import document_faults
from mes_integration.adapters import b2mml
from mes_integration.adapters.b2mml import Unsayable, Word
from mes_integration.adapters.b2mml_acknowledgements import Acknowledgements, archived, word_at
from mes_integration.adapters.b2mml_xml import Schemas, schemas_fault, schemas_in
from mes_integration.adapters.protocol import (
    Answer,
    Applied,
    Handed,
    MesAdapter,
    Message,
    Refused,
    TryLater,
    Uncertain,
)
from mes_integration.targets import Target

LATEST_S: Final = 60.0
_KEY: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_CLOSED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EHOSTDOWN})


class Options(BaseModel):
    """A target's “options”: what its folders are called below its “url”, and when it is asked.

    `look_after_s`: seconds until an acknowledgement is looked for the first time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: str = "out"
    ack: str = "ack"
    work: str = "work"
    sent: str = "sent"
    done: str = "done"
    bad: str = "bad"
    look_after_s: float = Field(default=1.0, gt=0, le=60)


class Folders:
    """A target's folders."""

    def __init__(self, target: Target) -> None:
        try:
            names = Options.model_validate(target.options)
        except ValidationError as error:
            faults = document_faults.said(error, under="options")
            message = f"The options of the target {target.name} cannot be used. {faults}"
            raise ImproperlyConfigured(message) from error
        self.base = Path(target.url.removeprefix("file://"))
        self.out, self.ack = self.base / names.out, self.base / names.ack
        self.work, self.sent = self.base / names.work, self.base / names.sent
        self.done, self.bad = self.base / names.done, self.base / names.bad
        self.look_after_s = names.look_after_s

    def ready(self) -> None:
        """Raise OSError unless the other side's two folders are there; make our own.

        Those two are never made: on a share that is not mounted they would be of no use to anybody.
        """
        for theirs in (self.out, self.ack):
            if not theirs.is_dir():
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(theirs))
        for ours in (self.work, self.sent, self.done, self.bad):
            ours.mkdir(exist_ok=True)


class FileMes:
    """An MES that fetches documents from a folder."""

    def __init__(
        self,
        folders: Folders,
        *,
        schemas: Schemas | None = None,
        rename: Callable[[Path, Path], None] = os.rename,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._at = folders
        self._schemas = schemas
        self._rename = rename
        self._clock = clock
        self._acknowledgements = Acknowledgements(folders.ack, every_s=folders.look_after_s / 3)

    def close(self) -> None:
        """Nothing is kept open."""

    def post(self, message: Message) -> Answer:
        """Drop the document, unless it lies there or was fetched a moment ago."""
        try:
            payload = b2mml.document(message, self._schemas)
            name = _name(message.key)
        except Unsayable as unsayable:
            return Refused(None, unsayable.sentence)
        try:
            self._at.ready()
            known = self._word(message.key)
            if known is not None and known.is_taken:
                return Applied(known.reference)
            if known is not None:
                self._put_away_refusals(message.key)
            if answer := self._on_its_way(message, payload):
                return answer
            return self._drop(name, message.key, payload)
        except OSError as error:
            return TryLater(_why(error, self._at.base))

    def read_back(self, message: Message) -> Answer | None:
        """What the acknowledgement says, else where the document is; None: it was never dropped."""
        key = message.key
        try:
            self._at.ready()
            known = self._word(key)
            if known is not None:
                return Applied(known.reference) if known.is_taken else _refused(known)
            return self._where(message)
        except OSError as error:
            return TryLater(_why(error, self._at.base))

    def _word(self, key: str) -> Word | None:
        """The acknowledgement of a key, fresh or put away."""
        return self._acknowledgements.of(key) or word_at(self._at.done / _name(key))

    def _where(self, message: Message) -> Answer | None:
        key, can = message.key, message.profile.capabilities
        lying, mark = self._at.out / _name(key), self._at.sent / _name(key)
        if _lies(lying):
            return self._waits(self._age(lying))
        if self._unfinished(key) or not _lies(mark):
            return None
        age = self._age(mark)
        if age < can.max_processing_s:
            return Handed(
                _("The MES has fetched it; its acknowledgement has not come yet."),
                again_s=self._rest(age),
            )
        if can.key:
            return None
        return Uncertain(
            _(
                "The MES fetched it and has not acknowledged it. Look there, then settle it or "
                "send it again."
            )
        )

    def _on_its_way(self, message: Message, payload: bytes) -> Handed | None:
        """What keeps it from being dropped a second time; clears what an ended writer left."""
        name = _name(message.key)
        stale = self._unfinished(message.key)
        for unfinished in stale:
            # Whoever wrote it and wakes again can no longer drop it.
            unfinished.unlink(missing_ok=True)
        lying = self._at.out / name
        if _lies(lying) and lying.read_bytes() == payload:
            return self._waits(0)
        mark = self._at.sent / name
        if stale or _lies(lying) or not _lies(mark):
            return None
        age = self._age(mark)
        if age < message.profile.capabilities.max_processing_s:
            return Handed(
                _("The MES fetched it a moment ago; its acknowledgement may still come."),
                again_s=self._rest(age),
            )
        return None

    def _drop(self, name: str, key: str, payload: bytes) -> Answer:
        writing = self._at.work / f"{key}.{secrets.token_hex(4)}.part"
        mark, final = self._at.sent / name, _free(self._at.out, key)
        try:
            _write(writing, payload)
            _write(mark, b"")
            os.utime(mark)
            _sync(self._at.sent)
        except OSError as error:
            _clear(mark, writing)
            return TryLater(_why(error, self._at.base))
        try:
            self._rename(writing, final)
        except OSError as error:
            return self._after_rename(error, writing, final, mark)
        _settle_down(self._at.out)
        return self._waits(0)

    def _put_away_refusals(self, key: str) -> None:
        """What was refused before is sent anew: the refusal is not the answer to this one."""
        (self._at.sent / _name(key)).unlink(missing_ok=True)
        put_away = self._at.done / _name(key)
        answers = self._acknowledgements.files_of(key)
        for path in [*answers, *([put_away] if _lies(put_away) else [])]:
            path.replace(archived(self._at.done, key, spare=True))
        self._acknowledgements.look_again()

    def _after_rename(self, error: OSError, writing: Path, final: Path, mark: Path) -> Answer:
        """A share may do the rename and then say that it failed; so look."""
        sentence = _why(error, self._at.base)
        try:
            if _lies(final) or not _lies(writing):
                return self._waits(0)
        except OSError:
            return TryLater(sentence, may_have_arrived=True)
        _clear(mark, writing)
        return TryLater(sentence)

    def _unfinished(self, key: str) -> list[Path]:
        return [path for path in self._at.work.iterdir() if path.name.startswith(f"{key}.")]

    def _waits(self, age: float) -> Handed:
        return Handed(
            _("It lies in the folder; the MES has not fetched it yet."), again_s=self._rest(age)
        )

    def _rest(self, age: float) -> float:
        """Seconds until it is looked at again: often at first, then each minute."""
        return min(LATEST_S, max(self._at.look_after_s, age / 2))

    def _age(self, path: Path) -> float:
        """Seconds since; none where the share's clock is ahead."""
        try:
            return max(0.0, self._clock() - path.stat().st_mtime)
        except FileNotFoundError:
            return 0.0


def _refused(word: Word) -> Refused:
    return Refused(None, word.reason or _("The MES rejected it without saying why."))


def _name(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise Unsayable(_("The key %(key)s cannot be part of a file's name.") % {"key": key[:64]})
    return f"{key}.xml"


def _free(folder: Path, key: str) -> Path:
    """Where nothing lies: what was dropped before is never written over."""
    path, number = folder / f"{key}.xml", 1
    while _lies(path):
        number += 1
        path = folder / f"{key}.{number}.xml"
    return path


def _lies(path: Path) -> bool:
    """Whether it is there; unlike Path.exists it does not take a fault for an absence."""
    try:
        path.stat()
    except FileNotFoundError:
        return False
    return True


def _write(path: Path, payload: bytes) -> None:
    """The whole file, on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(payload)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(mark: Path, writing: Path) -> None:
    """The mark goes first: without it nothing counts as dropped."""
    try:
        mark.unlink(missing_ok=True)
        writing.unlink(missing_ok=True)
    except OSError:
        # Both stay: what lies unfinished was not dropped either.
        return


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle_down(folder: Path) -> None:
    """The name on the disk, where the file system can; it is visible all the same."""
    try:
        _sync(folder)
    except OSError:
        return


def _why(error: OSError, base: Path) -> str:
    """What is wrong with the folders and how it is mended."""
    where = {"folder": error.filename or str(base), "why": os.strerror(error.errno or errno.EIO)}
    if error.errno in _FULL:
        return _("There is no room left in %(folder)s; make some.") % where
    if error.errno in _CLOSED:
        return _("Loupe may not write in %(folder)s (%(why)s); give it the right to.") % where
    if error.errno in _GONE:
        return _("%(folder)s is not there; mount the share or make the folder.") % where
    if error.errno == errno.EXDEV:
        return _("The folders of this target lie on different file systems; put them on one.")
    return _("The folder %(folder)s cannot be used: %(why)s.") % where


check_wire: Final = b2mml.check_wire


def fault_of(target: Target) -> str:
    """What is wrong with a target's settings; empty when nothing is."""
    try:
        Options.model_validate(target.options)
    except ValidationError as error:
        faults = document_faults.said(error, under="options")
        return _("Its options cannot be used. %(faults)s") % {"faults": faults}
    return schemas_fault(settings.LOUPE.b2mml_schemas)


def open_target(target: Target) -> MesAdapter:
    """The adapter of a target in the settings; its “url” is the folder."""
    return FileMes(Folders(target), schemas=schemas_in(settings.LOUPE.b2mml_schemas))


def folders_of(targets: tuple[Target, ...]) -> Mapping[str, Folders]:
    """Where each file target's acknowledgements come in, by its name."""
    return {found.name: Folders(found) for found in targets if found.adapter == "b2mml-files"}
