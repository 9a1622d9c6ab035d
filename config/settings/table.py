"""The table of settings in the docs, made from the settings themselves."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from config.settings.environment import ROOT, Environment

HEAD = """# Settings

Every setting comes from the environment. This table is made from
`config/settings/environment.py` by `manage.py write_references`; a test fails when it is stale.

| variable | default | what it is |
|---|---|---|
"""


def settings_table() -> str:
    """The page as Markdown."""
    rows = [
        f"| `{_variable(name, field)}` | {_default(field)} | {field.description} |"
        for name, field in Environment.model_fields.items()
    ]
    return HEAD + "\n".join(rows) + "\n"


def _variable(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"LOUPE_{name.upper()}"


def _default(field: FieldInfo) -> str:
    """As it is written in the environment."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, SecretStr):
        return "*unsafe, for local use only*"
    if value is None or value in ("", []):
        return "*empty*"
    if isinstance(value, Path):
        return f"`{value.relative_to(ROOT)}`"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"
