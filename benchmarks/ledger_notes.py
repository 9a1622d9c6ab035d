"""What people and the MES were told by the plant, kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Claimed:
    """A task that was given with a fence: when it was asked for, and when it came."""

    who: int
    task: str
    fence: int
    asked: float
    told: float


@dataclass(frozen=True)
class Said:
    """One verdict under one key and the answer to it; `asked`: when it was sent at first."""

    who: int
    key: str
    task: str
    fence: int
    body: Mapping[str, Any]
    asked: float
    status: int
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """A second person's press on what waits: `act` is approve or refuse."""

    who: str
    approval: str
    act: str
    status: int
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Settled:
    """A lead's choice between two systems: `act` is ours or theirs, `reason` his alone.

    `is_once`: it was sent once; what is sent again after a cut may meet its own success.
    """

    change: str
    act: str
    reason: str
    status: int
    is_once: bool
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Word:
    """An acknowledgement that came by itself; `is_true`: it says what the MES's book says."""

    target: str
    key: str
    state: str
    reference: str
    is_true: bool
    status: int
    answer: Mapping[str, Any]


@dataclass(frozen=True)
class Changed:
    """What somebody did with a unit in the MES, `at` the time of its book."""

    target: str
    event: str
    serial: str
    kind: str
    at: float
    status: int
    answer: Mapping[str, Any]


@dataclass
class Notes:
    """What all of them asked for and were told."""

    claimed: list[Claimed] = field(default_factory=list)
    # When a person gave a task back by himself: (task, fence).
    given_back: set[tuple[str, int]] = field(default_factory=set)
    said: list[Said] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    cut: int = 0
    # Answers that say the database is away, and those that say nothing: method and path.
    away: int = 0
    broken: list[str] = field(default_factory=list)
