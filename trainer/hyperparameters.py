"""The hyperparameters of a run; SageMaker hands every value over as a string."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from trainer.errors import TrainerError

RECIPES = ("auto",)
KNOWN = ("model_name", "model_version", "seed", "recipe", "max_seconds")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SEED_LIMIT = 2**31
SECONDS_LIMIT = 7 * 86_400


@dataclass(frozen=True)
class Hyperparameters:
    model_name: str
    model_version: str
    seed: int = 0
    recipe: str = "auto"
    max_seconds: int | None = None


def read_hyperparameters(path: Path) -> Hyperparameters:
    """Raises TrainerError naming the value that is wrong."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise TrainerError(f"{path} is missing: the run has no hyperparameters.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TrainerError(f"{path.name} is not valid JSON: {error}.") from error
    if not isinstance(raw, dict):
        raise TrainerError(f"{path.name} must hold an object of names and values.")
    return parse_hyperparameters({str(key): str(value) for key, value in raw.items()})


def parse_hyperparameters(raw: dict[str, str]) -> Hyperparameters:
    unknown = sorted(set(raw) - set(KNOWN))
    if unknown:
        raise TrainerError(
            f"Unknown hyperparameter {', '.join(unknown)}. Known are {', '.join(KNOWN)}."
        )
    recipe = raw.get("recipe", "auto")
    if recipe not in RECIPES:
        raise TrainerError(f"recipe is {recipe!r}; it must be one of {', '.join(RECIPES)}.")
    seconds = raw.get("max_seconds")
    return Hyperparameters(
        model_name=_text(raw, "model_name", NAME),
        model_version=_text(raw, "model_version", VERSION),
        seed=_whole(raw.get("seed", "0"), "seed", 0, SEED_LIMIT - 1),
        recipe=recipe,
        max_seconds=None if seconds is None else _whole(seconds, "max_seconds", 1, SECONDS_LIMIT),
    )


def _text(raw: dict[str, str], name: str, pattern: re.Pattern[str]) -> str:
    value = raw.get(name, "")
    if not pattern.fullmatch(value):
        raise TrainerError(
            f"{name} is {value!r}; it must be letters, digits, dots, dashes or underscores."
        )
    return value


def _whole(value: str, name: str, low: int, high: int) -> int:
    if not re.fullmatch(r"\d{1,10}", value, re.ASCII) or not low <= int(value) <= high:
        raise TrainerError(f"{name} is {value!r}; it must be a whole number, {low} to {high}.")
    return int(value)
