"""The real process table and its environment, without starting anything."""

from pathlib import Path

import pytest

from config.runner import plant
from config.runner.layout import Layout, make
from config.runner.plant import Choice
from config.runner.table import Database, Service, Step

DEMO = Choice(port=8123, demo=True)
OWN = {
    "DATABASE_URL": "postgresql://plant/loupe",
    "LOUPE_AWS_ENDPOINT_URL": "http://aws",
    "LOUPE_MES_URL": "http://mes",
    "LOUPE_MODEL_SERVER_URL": "http://model",
}


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    made = Layout(tmp_path / "var")
    make(made)
    return made


def table(choice: Choice, layout: Layout) -> list[Step]:
    return plant.steps(choice, layout, plant.peers(choice, layout))


def test_every_need_stands_earlier_in_the_table(layout: Layout) -> None:
    seen: set[str] = set()
    for step in table(DEMO, layout):
        assert seen.issuperset(step.needs), step.name
        seen.add(step.name)


def test_the_demo_brings_its_mes_and_line_and_the_plain_start_does_not(layout: Layout) -> None:
    demo = {step.name for step in table(DEMO, layout)}
    plain = {step.name for step in table(Choice(), layout)}
    assert demo - plain == {"mes", "seed", "line"}
    assert {"postgres", "migrate", "emulator", "prepare", "worker", "beat", "web"} <= plain


def test_servers_of_ones_own_are_not_brought_along(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)
    steps = table(DEMO, layout)
    assert not {"postgres", "emulator", "mes", "model"} & {step.name for step in steps}
    assert not any(isinstance(step, Database) for step in steps)
    shared = plant.environment(DEMO, layout, plant.peers(DEMO, layout))
    assert OWN.items() <= shared.items()


def test_an_emulator_never_sees_real_credentials(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "plant")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    shared = plant.environment(DEMO, layout, plant.peers(DEMO, layout))
    assert "AWS_PROFILE" not in shared
    assert shared["AWS_ACCESS_KEY_ID"] == "emulator"


def test_the_secret_key_is_made_once_for_its_owner_alone(layout: Layout) -> None:
    brought = plant.peers(DEMO, layout)
    first = plant.environment(DEMO, layout, brought)["LOUPE_SECRET_KEY"]
    assert len(first) >= 50
    assert plant.environment(DEMO, layout, brought)["LOUPE_SECRET_KEY"] == first
    assert (layout.root / "secret_key").stat().st_mode & 0o077 == 0


def test_ports_stay_the_same_between_starts(layout: Layout) -> None:
    assert plant.peers(DEMO, layout) == plant.peers(DEMO, layout)


def test_only_the_web_server_is_reachable_at_the_chosen_port(layout: Layout) -> None:
    at_port = [
        step.name
        for step in table(DEMO, layout)
        if isinstance(step, Service) and any("8123" in word for word in step.arguments)
    ]
    assert at_port == ["web"]
