"""Acknowledgements as files: found by the key they answer."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final

from mes_integration.adapters.b2mml import Word, word_in
from mes_integration.adapters.b2mml_xml import Unreadable, read

LARGEST: Final = 1024 * 1024
_HIDDEN: Final = (".", "~")
_UNFINISHED: Final = (".tmp", ".part", ".partial", ".filepart")


def waiting_in(folder: Path) -> list[Path]:
    """The files that are there to be read, oldest first; what is still being written is not."""
    with os.scandir(folder) as entries:
        found = [
            (entry.stat().st_mtime_ns, entry.name)
            for entry in entries
            if entry.is_file(follow_symlinks=False)
            and not entry.name.startswith(_HIDDEN)
            and not entry.name.lower().endswith(_UNFINISHED)
        ]
    return [folder / name for _written, name in sorted(found)]


def word_at(path: Path) -> Word | None:
    """What an acknowledging file says; None where there is none, or one that says nothing."""
    try:
        return word_in(read(limited(path, LARGEST), largest=LARGEST))
    except (FileNotFoundError, Unreadable):
        return None


def limited(path: Path, largest: int) -> bytes:
    """A file's bytes, one more than `largest` at most."""
    with path.open("rb") as file:
        return file.read(largest + 1)


def archived(folder: Path, key: str, *, spare: bool = False) -> Path:
    """Where an acknowledgement is put away: under its key; `spare`, or a second one, beside it."""
    path, number = folder / f"{key}.xml", 1
    while spare or path.exists():
        number += 1
        path, spare = folder / f"{key}.{number}.xml", False
    return path


class Acknowledgements:
    """What lies in a folder, each file read once; looked at again after a moment."""

    def __init__(self, folder: Path, *, every_s: float) -> None:
        self._folder = folder
        self._every_s = every_s
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._read: dict[tuple[str, int, int], Word | None] = {}
        self._files: dict[str, list[tuple[Path, Word]]] = {}

    def of(self, key: str) -> Word | None:
        """The last word on a key."""
        found = self._look().get(key, [])
        return found[-1][1] if found else None

    def files_of(self, key: str) -> list[Path]:
        """The files that speak of a key and are still there."""
        return [path for path, _word in self._look().get(key, []) if path.exists()]

    def look_again(self) -> None:
        """Forget what was seen: files were moved."""
        with self._lock:
            self._looked_at = float("-inf")

    def _look(self) -> dict[str, list[tuple[Path, Word]]]:
        with self._lock:
            if time.monotonic() >= self._looked_at + self._every_s:
                self._files = self._by_key()
                self._looked_at = time.monotonic()
            return self._files

    def _by_key(self) -> dict[str, list[tuple[Path, Word]]]:
        known, self._read = self._read, {}
        by_key: dict[str, list[tuple[Path, Word]]] = {}
        for path in waiting_in(self._folder):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue
            identity = (path.name, facts.st_mtime_ns, facts.st_size)
            word = known[identity] if identity in known else word_at(path)
            self._read[identity] = word
            if word is not None:
                by_key.setdefault(word.key, []).append((path, word))
        return by_key
