"""A PostgreSQL server that can be struck: ended at once, its disk full, restored from a backup."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from config.runner.postgres import EmbeddedPostgres, binaries

_CLONE_NEWNS: Final = 0x00020000
_DISK: Final = "3g"


def own_mounts() -> bool:
    """Give this process file systems of its own, where it may; the small disk goes with it."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return False
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS) != 0:
        return False
    private = ["mount", "--make-rprivate", "/"]
    return subprocess.run(private, capture_output=True, check=False).returncode == 0


@dataclass
class Database:
    """PostgreSQL on a disk of its own, where one can be had."""

    folder: Path
    may_mount: bool
    kept: Path | None = None
    is_small: bool = False

    def __post_init__(self) -> None:
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        if self.may_mount:
            mounts = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "loupe", str(self.disk)]
            self.is_small = subprocess.run(mounts, capture_output=True, check=False).returncode == 0
        if self.kept is not None:
            shutil.copytree(self.kept, self.disk / "postgres", symlinks=True)
            (self.disk / "postgres" / "port").unlink()
        self.server = EmbeddedPostgres(
            self.disk / "postgres", port=None, log=self.folder / "postgres.log"
        )
        self.server.start()

    @property
    def url(self) -> str:
        return self.server.url

    def restart_at_once(self) -> None:
        """As after a power cut: nothing is said goodbye to, the log is replayed."""
        process = self.server.process
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            process.wait(20)
        self.server.process = None
        self.server.start()

    def fill_disk(self) -> None:
        """Not a page more can be written."""
        while True:
            used = os.statvfs(self.disk)
            pages = (used.f_blocks - used.f_bfree) * used.f_frsize
            try:
                self._resize(str(pages))
            except subprocess.CalledProcessError:
                # More was written between the look and the order: a disk is not made smaller than
                # what lies on it. Anything else that is wrong with it shows in the looking.
                if os.statvfs(self.disk).f_bfree == used.f_bfree:
                    raise
            else:
                return

    def free_disk(self) -> None:
        """There is room again; a server that gave up meanwhile is started, as its host would."""
        self._resize(_DISK)
        process = self.server.process
        if process is None or process.poll() is not None:
            self.server.process = None
            self.server.start()

    def _resize(self, size: str) -> None:
        again = ["mount", "-o", f"remount,size={size}", str(self.disk)]
        subprocess.run(again, capture_output=True, check=True)

    def stop(self) -> None:
        """Server and disk."""
        self.server.stop()
        if self.is_small:
            subprocess.run(["umount", str(self.disk)], capture_output=True, check=False)

    def dump(self, file: Path) -> None:
        """A backup of everything as it is at this moment."""
        command = [str(binaries() / "pg_dump"), "--format=custom", f"--file={file}", self.url]
        subprocess.run(command, check=True, capture_output=True)

    def restore(self, file: Path) -> None:
        """What the backup holds, and nothing else."""
        name = self.url.rpartition("/")[2]
        with psycopg.connect(f"{self.url.rpartition('/')[0]}/postgres", autocommit=True) as hand:
            hand.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            hand.execute(f"CREATE DATABASE {name}".encode())
        command = [str(binaries() / "pg_restore"), "--no-owner", f"--dbname={self.url}", str(file)]
        subprocess.run(command, check=True, capture_output=True)
