"""How each process shows that it is ready for work."""

import http.client
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config.runner import ports


@dataclass(frozen=True)
class Start:
    """When a process was started (epoch seconds) and where in its log its words begin."""

    at: float
    log: Path
    offset: int


class Readiness(Protocol):
    def holds(self, start: Start) -> bool: ...


@dataclass(frozen=True)
class Port:
    number: int

    def holds(self, start: Start) -> bool:
        return ports.answers(self.number)


@dataclass(frozen=True)
class Http:
    """Any answer but a server error: what the page says is not the runner's business."""

    port: int
    path: str

    def holds(self, start: Start) -> bool:
        connection = http.client.HTTPConnection(ports.LOOPBACK, self.port, timeout=5)
        try:
            connection.request("GET", self.path)
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@dataclass(frozen=True)
class FreshFile:
    """A heartbeat touched since this very process was started."""

    path: Path

    def holds(self, start: Start) -> bool:
        try:
            return self.path.stat().st_mtime >= start.at
        except FileNotFoundError:
            return False


@dataclass(frozen=True)
class LogLine:
    text: str

    def holds(self, start: Start) -> bool:
        return self.text in words_since(start)


@dataclass(frozen=True)
class StaysUp:
    """For a process that says nothing: it has not ended within these seconds."""

    seconds: float

    def holds(self, start: Start) -> bool:
        return time.time() - start.at >= self.seconds


def words_since(start: Start) -> str:
    with start.log.open("rb") as log:
        log.seek(start.offset)
        return log.read().decode(errors="replace")
