"""Mappings that promise what their adapter cannot keep, or lead elsewhere, are not put in force."""

from __future__ import annotations

from typing import Any

import pytest

from mes_integration import mapping_versions, mappings
from mes_integration.targets import Target
from traceability.refusals import Invalid


def of(adapter: str, profile: str) -> tuple[Target, dict[str, Any]]:
    return Target("t", adapter, "x://y", profile), mappings.shipped_document(profile)


@pytest.mark.parametrize(("adapter", "profile"), [("mqtt", "mqtt"), ("cfx", "cfx")])
def test_who_cannot_be_asked_is_not_said_to_be(adapter: str, profile: str) -> None:
    """Its silence would be taken for “not held”, and what it holds be sent once more."""
    target, document = of(adapter, profile)
    mapping_versions.checked(document, target=target)
    document["capabilities"]["read_back"] = True
    with pytest.raises(Invalid, match="read_back"):
        mapping_versions.checked(document, target=target)


@pytest.mark.parametrize(
    "path", ["/%2e%2e/admin", "/a/%2E%2e/b", "/a/.%2e/b", "/a%2f..%2fb", "/%00"]
)
def test_a_path_does_not_climb_by_percent_signs(path: str) -> None:
    target, document = of("http", "generic")
    document["wire"]["create"] = {"path": path}
    with pytest.raises(Invalid, match="stays under"):
        mapping_versions.checked(document, target=target)
