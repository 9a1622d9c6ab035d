"""What is wrong with a target's settings or a mapping's “wire” is said where people look."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from django.test import Client

from config.settings.environment import MesTarget
from governance.roles import Role
from mes_integration import mapping_versions, mappings
from mes_integration.targets import PROFILES, Target, fault_of
from tests import factories
from traceability.refusals import Invalid

SOUND: dict[str, dict[str, Any]] = {
    "http": {"url": "https://mes.example/api"},
    "mqtt": {"url": "mqtts://broker.example"},
    "cfx": {"url": "amqps://broker.example", "options": {"address": "q"}},
    "b2mml-http": {"url": "http://mes.example"},
    "b2mml-files": {"url": "/srv/drop"},
}


def target(adapter: str, **more: Any) -> Target:
    given = {"name": "plm", "profile": PROFILES[adapter], **SOUND[adapter], **more}
    return Target(adapter=adapter, **given)


@pytest.fixture(autouse=True)
def _with_the_adapters_libraries() -> None:
    for name in ("paho.mqtt.client", "proton", "lxml"):
        pytest.importorskip(name)


@pytest.mark.parametrize("adapter", SOUND)
def test_a_target_that_is_set_as_it_should_be_has_no_fault(adapter: str) -> None:
    assert fault_of(target(adapter)) == ""


@pytest.mark.parametrize(
    ("adapter", "more", "words"),
    [
        ("http", {"url": "mes.example/api"}, "http://host"),
        ("http", {"url": "http://[mes"}, "http://host"),
        ("mqtt", {"url": "http://broker.example"}, "mqtt://host"),
        ("mqtt", {"options": {"colour": "red"}}, "colour"),
        ("cfx", {"url": "http://broker.example"}, "amqp://"),
        ("cfx", {"options": {}}, "address"),
        ("b2mml-http", {"url": "/srv/drop"}, "http://host"),
        ("b2mml-files", {"options": {"colour": "red"}}, "colour"),
    ],
)
def test_what_is_wrong_is_named_with_where_to_mend_it(
    adapter: str, more: dict[str, Any], words: str
) -> None:
    fault = fault_of(target(adapter, **more))
    assert words in fault
    assert "Mend the target plm in the settings and start Loupe again." in fault


def test_a_library_that_is_not_there_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "mes_integration.adapters.mqtt", raising=False)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    fault = fault_of(target("mqtt"))
    assert "paho" in fault
    assert "pip install -r requirements-adapters.txt" in fault


@pytest.mark.django_db
def test_the_page_says_why_nothing_can_go_to_a_target(settings: Any, client: Client) -> None:
    bad = MesTarget.model_validate(
        {
            "name": "line-bus",
            "adapter": "mqtt",
            "url": "mqtt://broker.example",
            "secret": "never-shown",
            "options": {"colour": "red"},
        }
    )
    settings.LOUPE = settings.LOUPE.model_copy(update={"mes_targets": [bad], "mes_url": ""})
    client.force_login(factories.user(Role.LEAD))
    page = client.get("/write-backs/").content.decode()
    assert "Cannot be used" in page
    assert "“options.colour” is not known here; take it out." in page
    assert "never-shown" not in page


@pytest.mark.parametrize("adapter", SOUND)
def test_every_adapter_checks_its_own_wire_when_a_mapping_is_saved(adapter: str) -> None:
    document = mappings.shipped_document(PROFILES[adapter])
    mapping_versions.checked(document, target=target(adapter))
    wrong = {**document, "wire": {**document.get("wire", {}), "colour": "red"}}
    with pytest.raises(Invalid, match="colour"):
        mapping_versions.checked(wrong, target=target(adapter))
