"""What import-linter cannot see: a foreign key that points to a higher floor, or to a neighbour."""

from __future__ import annotations

import tomllib
from pathlib import Path

from django.apps import apps

ROOT = Path(__file__).resolve().parents[2]


def floors() -> dict[str, int]:
    """App -> depth, from the layers contract; the highest floor is 0."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [c for c in config["tool"]["importlinter"]["contracts"] if c["type"] == "layers"]
    return {
        app.strip(): depth
        for depth, layer in enumerate(contract["layers"])
        for app in layer.split("|")
    }


def test_no_relation_points_up_or_sideways() -> None:
    floor = floors()
    wrong = [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in floor
        for field in model._meta.get_fields()
        if field.is_relation and not field.auto_created and field.related_model
        if (other := field.related_model._meta.app_label) != model._meta.app_label
        if other in floor and floor[other] <= floor[model._meta.app_label]
    ]
    assert wrong == []


def test_every_app_of_ours_has_a_floor() -> None:
    ours = {
        config.label
        for config in apps.get_app_configs()
        if Path(config.path).is_relative_to(ROOT) and ".venv" not in config.path
    }
    assert ours == set(floors())


def test_site_is_on_every_row_a_site_owns() -> None:
    without = [
        model._meta.label
        for model in apps.get_models()
        if model._meta.app_label in floors()
        and model._meta.label
        not in {
            "traceability.Site",
            "governance.User",
            "governance.Pin",
            "governance.SignInFailure",
            "review.Preference",
        }
        and "site" not in {f.name for f in model._meta.get_fields()}
    ]
    assert without == []
