"""What the operating system says about processes that are not our children."""

import platform
import shutil
import subprocess
from pathlib import Path

from config.runner.language import in_language as _

LINUX = platform.system() == "Linux"


def command_line(pid: int) -> str:
    """The arguments of a process; empty when there is none (or only its remains)."""
    if LINUX:
        # Slim containers come without `ps`.
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace").strip()
    return output_of("ps", "-ww", "-o", "args=", "-p", str(pid))


def holder_of_port(port: int) -> str:
    """For a sentence: which process listens there, as far as we may see it."""
    pid = listener(port) if LINUX else asked_listener(port)
    if pid is None:
        return _("another program")
    return _("process %(pid)d (%(command)s)") % {"pid": pid, "command": command_line(pid)[:80]}


def listener(port: int) -> int | None:
    sockets = listening_sockets(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) in sockets for fd in (process / "fd").iterdir()):
                return int(process.name)
        except OSError:
            # Gone meanwhile, or somebody else's.
            continue
    return None


def listening_sockets(port: int) -> set[str]:
    """Names as /proc/<pid>/fd shows them."""
    rows = [
        row.split()
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        if Path(table).exists()
        for row in Path(table).read_text().splitlines()[1:]
    ]
    return {
        f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"
    }


def asked_listener(port: int) -> int | None:
    if shutil.which("lsof") is None:
        return None
    found = output_of("lsof", "-t", "-sTCP:LISTEN", f"-iTCP:{port}").split()
    return int(found[0]) if found else None


def output_of(*arguments: str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=False).stdout.strip()
