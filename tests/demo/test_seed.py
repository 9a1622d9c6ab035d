"""The demo's people belong to the demo."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from governance.models import User


@pytest.mark.django_db
def test_demo_logins_are_not_made_outside_the_demo(settings: Settings) -> None:
    settings.LOUPE = settings.LOUPE.model_copy(update={"demo": False})
    with pytest.raises(CommandError, match="create_admin"):
        call_command("seed_demo")
    assert not User.objects.exists()
