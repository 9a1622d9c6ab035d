"""Which settings production refuses to start with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
SAFE = {
    "DJANGO_SETTINGS_MODULE": "config.settings.production",
    "LOUPE_SECRET_KEY": "k" * 20 + "".join(map(chr, range(65, 105))),
    "DATABASE_URL": "postgresql://loupe:x@127.0.0.1:1/loupe",
    "LOUPE_ALLOWED_HOSTS": '["loupe.plant-17.example"]',
    "LOUPE_MES_URL": "https://mes.plant-17.example",
    "LOUPE_MES_SECRET": "a-shared-secret-of-this-plant",
}


def check(**changed: str) -> subprocess.CompletedProcess[str]:
    """What `manage.py check --deploy` says, any warning being a failure."""
    kept = {
        n: v for n, v in os.environ.items() if not n.startswith(("LOUPE_", "DATABASE", "DJANGO"))
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**kept, **SAFE, **changed},
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_starts_with_safe_settings_and_no_warning() -> None:
    done = check()
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOUPE_SECRET_KEY", "unsafe-key-for-local-use-only"),
        ("LOUPE_SECRET_KEY", "short"),
        ("DATABASE_URL", ""),
        ("LOUPE_ALLOWED_HOSTS", '["*"]'),
        ("LOUPE_MES_SECRET", "demo-mes-secret"),
        ("LOUPE_MES_URL", "https://loupe:hush@mes.plant-17.example"),
        ("LOUPE_DEMO", "true"),
    ],
)
def test_production_refuses_an_unsafe_setting_by_name(name: str, value: str) -> None:
    done = check(**{name: value})
    assert done.returncode != 0
    assert name in done.stderr
    assert "hush" not in done.stderr


@pytest.mark.parametrize("module", ["config.wsgi", "config.asgi", "config.celery"])
def test_what_serves_without_a_word_on_settings_takes_those_of_production(module: str) -> None:
    kept = {
        n: v for n, v in os.environ.items() if not n.startswith(("LOUPE_", "DATABASE", "DJANGO"))
    }
    done = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        cwd=ROOT,
        env=kept,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "LOUPE_SECRET_KEY" in done.stderr


def test_a_task_is_not_handed_out_again_while_it_may_still_run() -> None:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    assert settings.CELERY_TASK_TIME_LIMIT < options["visibility_timeout"] < 900


def test_a_value_of_the_wrong_kind_is_refused_by_name() -> None:
    done = check(LOUPE_LEASE_S="121")
    assert done.returncode != 0
    assert "lease_s" in done.stderr.lower()


_SAYS = """
import django; django.setup()
from django.utils.translation import gettext, override
said = "The training took too long and was ended."
print(gettext(said))
with override("en"):
    print(gettext(said))
with override("de"):
    print(gettext(said))
"""


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_worker_writes_in_the_plants_language_and_pages_in_each_persons(language: str) -> None:
    kept = {n: v for n, v in os.environ.items() if not n.startswith("LOUPE_")}
    done = subprocess.run(
        [sys.executable, "-c", _SAYS],
        cwd=ROOT,
        env={**kept, **SAFE, "LOUPE_LANGUAGE": language},
        capture_output=True,
        text=True,
        check=True,
    )
    own, english, german = done.stdout.splitlines()
    assert english == "The training took too long and was ended."
    assert german != english
    assert own == {"en": english, "de": german}[language]
