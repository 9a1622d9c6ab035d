"""An MES to deliver to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from django.conf import settings as django_settings
from pydantic import SecretStr
from pytest_django.fixtures import Settings

from mes_integration import delivery
from tests.mes_integration.plant import SECRET, DemoMes, ScriptedMes

Configure = Callable[..., None]

# The adapters' libraries are a group of their own, which not everybody has.
collect_ignore_glob = [] if find_spec("paho") else ["*test_mqtt*", "*test_sparkplug*"]


@pytest.fixture(autouse=True, scope="session")
def _static_folder() -> None:
    """Whitenoise warns of a folder that is not there, and a warning fails the run."""
    django_settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def configure(settings: Settings) -> Configure:
    """Set LOUPE_MES_*; whoever answers is waited for, however slow the machine is."""

    def set_mes(url: str, **more: Any) -> None:
        values = {"mes_timeout_s": 60.0, "mes_quarantine_s": 30.0, **more}
        settings.LOUPE = settings.LOUPE.model_copy(
            update={"mes_url": url, "mes_secret": SecretStr(SECRET), **values}
        )

    set_mes("")
    return set_mes


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time stands while something is delivered: what a slow machine needs for it does not count."""
    monkeypatch.setattr(delivery, "_running_from", lambda at: lambda: at)


@pytest.fixture(scope="session")
def _demo_mes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoMes]:
    mes = DemoMes(tmp_path_factory.mktemp("mes"))
    yield mes
    mes.stop()


@pytest.fixture
def demo(_demo_mes: DemoMes, configure: Configure) -> Iterator[DemoMes]:
    """The demo MES, without faults, set as the one to deliver to."""
    _demo_mes.fault("ok")
    configure(_demo_mes.url)
    yield _demo_mes
    _demo_mes.fault("ok")


@pytest.fixture
def scripted(configure: Configure) -> Iterator[ScriptedMes]:
    """An MES that answers as the test says, set as the one to deliver to."""
    mes = ScriptedMes()
    configure(mes.url)
    yield mes
    mes.stop()
