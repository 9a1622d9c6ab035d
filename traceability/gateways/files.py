"""A bucket as a folder: complete objects only, whatever is killed and whoever writes beside."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from django.utils.translation import gettext as _

from traceability.gateways.contract import (
    BINARY,
    RESERVED,
    KeyRefused,
    ObjectMissing,
    StoreUnavailable,
    check_key,
)

# Any number of keys shares these locks; they only ever make a writer wait.
LOCKS = 256


class FileStore:
    """Objects are files below `root`; a new one appears under its name complete and synced."""

    def __init__(self, bucket: str, root: Path) -> None:
        self.bucket = bucket
        self._root = root
        self._own = root / RESERVED

    def read(self, key: str) -> bytes:
        with self.open(key) as stream, self._reading(key):
            return stream.read()

    def open(self, key: str) -> BinaryIO:
        path = self._file(key)
        with self._reading(key):
            return path.open("rb")

    def size(self, key: str) -> int:
        path = self._file(key)
        if not path.is_file():
            raise ObjectMissing(self.bucket, key)
        with self._reading(key):
            return path.stat().st_size

    def exists(self, key: str) -> bool:
        return self._file(key).is_file()

    def put_if_absent(self, key: str, data: bytes, *, content_type: str = BINARY) -> bool:
        del content_type  # a file has none: whoever serves it knows what it put there
        path = self._file(key)
        if path.is_file():
            return False
        with self._written(key, data) as finished:
            try:
                path.hardlink_to(finished)
            except FileExistsError:
                if not path.is_file():
                    raise
                return False
            _sync_folder(path.parent)
        return True

    def put(self, key: str, data: bytes, *, content_type: str = BINARY) -> None:
        del content_type
        with self._written(key, data) as finished, self._locked(key):
            self._replace(key, finished)

    def read_tagged(self, key: str) -> tuple[bytes, str] | None:
        try:
            data = self.read(key)
        except ObjectMissing:
            return None
        return data, _tag(data)

    def replace_if(
        self, key: str, data: bytes, *, tag: str | None, content_type: str = BINARY
    ) -> bool:
        if tag is None:
            return self.put_if_absent(key, data, content_type=content_type)
        with self._written(key, data) as finished, self._locked(key):
            there = self.read_tagged(key)
            if there is None or there[1] != tag:
                return False
            self._replace(key, finished)
        return True

    def list(self, prefix: str) -> Iterator[str]:
        folder = self._root / prefix.rpartition("/")[0]
        if prefix:
            check_key(prefix.rstrip("/") or prefix)
        for where, folders, names in os.walk(folder):
            inside = Path(where).relative_to(self._root).as_posix()
            lead = "" if inside == "." else f"{inside}/"
            folders[:] = sorted(f for f in folders if lead or f != RESERVED)
            yield from (lead + name for name in sorted(names) if (lead + name).startswith(prefix))

    def path(self, key: str) -> Path | None:
        return self._file(key)

    def address(self, key: str, *, seconds: int) -> str | None:
        del key, seconds
        return None

    def _file(self, key: str) -> Path:
        return self._root / check_key(key)

    def _replace(self, key: str, finished: Path) -> None:
        path = self._file(key)
        with self._writing(key):
            finished.replace(path)
            _sync_folder(path.parent)

    @contextmanager
    def _written(self, key: str, data: bytes) -> Iterator[Path]:
        """A synced temporary file on the same file system, removed afterwards if still there."""
        with self._writing(key):
            self._file(key).parent.mkdir(parents=True, exist_ok=True)
            folder = self._own / "writing"
            folder.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=folder)
            temporary = Path(name)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                temporary.chmod(0o644)
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Only one process at a time; the lock goes with its holder, however that one ends."""
        with self._writing(key):
            folder = self._own / "locks"
            folder.mkdir(parents=True, exist_ok=True)
            number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % LOCKS
            with (folder / f"{number:03d}").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise ObjectMissing(self.bucket, key) from error
        except OSError as error:
            raise StoreUnavailable(self.bucket, error) from error

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            yield
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            raise KeyRefused(key, _("it names a folder, or lies below an object.")) from error
        except OSError as error:
            raise StoreUnavailable(self.bucket, error) from error


def _tag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
