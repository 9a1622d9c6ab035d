"""Cases by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.mes_integration.contract.world import World

CASES: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    """One thing that holds for every adapter."""

    name: str
    run: Callable[[World], None]
    threads: bool
    """Threads of its own take part: it really commits."""

    def __str__(self) -> str:
        return self.name


def case(run: Callable[[World], None]) -> Callable[[World], None]:
    """List the function as a case."""
    CASES[run.__name__] = Case(run.__name__, run, threads=False)
    return run


def threaded(run: Callable[[World], None]) -> Callable[[World], None]:
    """List the function as a case in which threads take part."""
    CASES[run.__name__] = Case(run.__name__, run, threads=True)
    return run
