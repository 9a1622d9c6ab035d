"""What the operating system says about a process that is not our child."""

import subprocess
import sys
from pathlib import Path


def command_line(pid: int) -> str:
    """The arguments of a process; empty when there is none (or only its remains)."""
    if sys.platform.startswith("linux"):
        # Slim containers come without `ps`.
        try:
            raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return ""
        return raw.replace(b"\0", b" ").decode(errors="replace").strip()
    listing = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return listing.stdout.strip()
