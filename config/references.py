"""Reference pages made from the code: settings, roles, life cycles, the API."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiYamlRenderer

from config.settings.table import settings_table
from governance.roles import CAPABILITIES, Capability, Role
from mes_integration import transitions as write_back
from retraining import transitions as training
from review import transitions as bench


def pages() -> dict[str, str]:
    """File name below docs/reference -> its text."""
    return {
        "settings.md": settings_table(),
        "roles.md": roles_table(),
        "life-cycles.md": life_cycles(),
        "openapi.yaml": api(),
    }


def roles_table() -> str:
    """Who may do what, as Markdown."""
    roles = list(Role)
    lines = [
        "# Roles",
        "",
        "A role holds at a site, or at one line of it. What is not in the table is refused;",
        "anything of another site answers as if it did not exist.",
        "Made from `governance/roles.py` by `manage.py write_references`.",
        "",
        "| may | " + " | ".join(str(role.value).replace("_", " ") for role in roles) + " |",
        "|---|" + "---|" * len(roles),
    ]
    for capability in Capability:
        marks = ["yes" if capability in CAPABILITIES[role] else "" for role in roles]
        lines.append(f"| {capability.value.replace('_', ' ')} | " + " | ".join(marks) + " |")
    return "\n".join(lines) + "\n"


def life_cycles() -> str:
    """The transition tables as diagrams."""
    tables: dict[str, Mapping[Any, Iterable[str]]] = {
        "Review task": bench.ALLOWED,
        "Write-back": write_back.TRANSITIONS,
        "Training run": training.RUN_STEPS,
        "Model": training.MODEL_STEPS,
    }
    lines = [
        "# Life cycles",
        "",
        "Each is one table in the code; what is not drawn is refused with a sentence.",
        "Made by `manage.py write_references`.",
    ]
    for name, table in tables.items():
        lines += ["", f"## {name}", "", "```mermaid", "stateDiagram-v2"]
        for before, after in table.items():
            lines += [f"    {before} --> {state}" for state in sorted(after)]
        lines.append("```")
    return "\n".join(lines) + "\n"


def api() -> str:
    """The OpenAPI description."""
    generator: Any = SchemaGenerator
    renderer: Any = OpenApiYamlRenderer()
    schema = generator().get_schema(request=None, public=True)
    text: bytes = renderer.render(schema, renderer_context={})
    return text.decode()
