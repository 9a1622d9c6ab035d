"""Where things lie in the state folder, and whether we may keep them there."""

import json
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config.runner import ports
from config.runner.failures import CannotStart
from config.runner.language import in_language as _

REPOSITORY = Path(__file__).resolve().parents[2]
MARK = ".loupe-state"


@dataclass(frozen=True)
class Layout:
    """Every path of one plant on this machine."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def lock(self) -> Path:
        return self.root / "runner.lock"

    @property
    def health(self) -> Path:
        return self.root / "health.json"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def tls(self) -> Path:
        return self.root / "tls"

    @property
    def heartbeat(self) -> Path:
        return self.root / "worker.heartbeat"

    @property
    def logins(self) -> Path:
        return self.root / "demo" / "logins.txt"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"


def chosen() -> Layout:
    return Layout(Path(os.environ.get("LOUPE_STATE") or REPOSITORY / "var").absolute())


def make(layout: Layout) -> None:
    """Creates the folder; raises CannotStart when it is not ours to write in."""
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        refuse_foreign(layout)
        layout.logs.mkdir(exist_ok=True)
        for folder in (layout.root, layout.logs):
            with tempfile.TemporaryFile(dir=folder):
                pass
        (layout.root / MARK).touch()
    except OSError as reason:
        raise CannotStart(
            _(
                "Loupe cannot write to its state folder %(folder)s (%(why)s). Give it to the user "
                "who starts Loupe (chown -R), or name another one: "
                "LOUPE_STATE=/some/folder make run"
            )
            % {"folder": layout.root, "why": reason.strerror}
        ) from reason


def refuse_foreign(layout: Layout) -> None:
    """A folder with somebody's files in it must never be emptied by `make reset`."""
    if layout.root == REPOSITORY / "var" or (layout.root / MARK).exists():
        return
    if any(layout.root.iterdir()):
        raise CannotStart(
            _("%(folder)s holds files that are not Loupe's. Set LOUPE_STATE to an empty folder.")
            % {"folder": layout.root}
        )


def empty(layout: Layout) -> None:
    """Everything in the folder goes, the folder itself stays (it may be a mount)."""
    if not layout.root.exists():
        return
    refuse_foreign(layout)
    try:
        for path in layout.root.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as reason:
        raise CannotStart(
            _(
                "%(file)s cannot be deleted (%(why)s). Run `make reset` as the user who started "
                "Loupe."
            )
            % {"file": reason.filename, "why": reason.strerror}
        ) from reason


def rotate_logs(layout: Layout) -> None:
    """The last run's log stays readable beside this one's."""
    for log in layout.logs.glob("*.log"):
        log.replace(log.with_suffix(".log.1"))


def secret_key(layout: Layout) -> str:
    return kept_secret(layout.root / "secret_key")


def kept_secret(path: Path) -> str:
    """Made once, whole, and readable by its owner alone."""
    if not path.exists():
        draft = path.with_name(path.name + ".unfinished")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(f"{secrets.token_hex(32)}\n")
        draft.replace(path)
    return path.read_text().strip()


def running_ports(layout: Layout, names: list[str]) -> dict[str, int | None]:
    """The ports as the start that is running has given them out."""
    file = layout.root / "ports.json"
    given: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    return {name: given.get(name) for name in names}


def kept_ports(layout: Layout, names: list[str]) -> dict[str, int]:
    """The ports of the last start where they are still free, others where not."""
    file = layout.root / "ports.json"
    last: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    given: dict[str, int] = {}
    for name in names:
        port = last.get(name)
        while port is None or port in given.values() or not ports.is_free(port):
            port = ports.any_free()
        given[name] = port
    draft = file.with_suffix(".unfinished")
    draft.write_text(json.dumps(last | given))
    draft.replace(file)
    return given
