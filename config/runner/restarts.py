"""When a crashed process is started again, and when that is given up."""

WINDOW_SECONDS = 60.0
ENOUGH = 5
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 8.0


def pause_before_restart(crashes: list[float]) -> float | None:
    """Seconds to wait after the last of these crash times (seconds, rising); None: give up."""
    recent = [crash for crash in crashes if crash > crashes[-1] - WINDOW_SECONDS]
    if len(recent) >= ENOUGH:
        return None
    doubled: float = FIRST_PAUSE * 2 ** (len(recent) - 1)
    return min(doubled, LONGEST_PAUSE)
