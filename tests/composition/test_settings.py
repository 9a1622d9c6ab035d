"""Which settings production refuses to start with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
        ("LOUPE_DEMO", "true"),
    ],
)
def test_production_refuses_an_unsafe_setting_by_name(name: str, value: str) -> None:
    done = check(**{name: value})
    assert done.returncode != 0
    assert name in done.stderr


def test_a_value_of_the_wrong_kind_is_refused_by_name() -> None:
    done = check(LOUPE_LEASE_S="121")
    assert done.returncode != 0
    assert "lease_s" in done.stderr.lower()
