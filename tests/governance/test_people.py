"""People and machines, and where their roles hold."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from governance.access import actor_of, check_covers, site_for, system
from governance.models import AuditEntry, Grant, User
from governance.people import Right, add_machine, add_person
from governance.roles import CAPABILITIES, Capability, Role, roles_with
from tests import factories
from tests.factories import NOW
from traceability.refusals import Conflict, Invalid, NotAllowed, Unknown


def add(username: str = "ines", password: str = factories.PASSWORD) -> User:
    right = Right(Role.INSPECTOR, factories.site())
    return add_person(
        actor=system("test"), username=username, password=password, rights=[right], at=NOW
    )


@pytest.mark.django_db
def test_a_new_person_has_the_rights_named_and_it_is_on_record() -> None:
    actor = actor_of(add())
    assert actor.can(Capability.REVIEW)
    assert not actor.can(Capability.PROMOTE_MODELS)
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions == {"person.add", "person.grant"}


@pytest.mark.django_db
def test_a_name_is_given_once() -> None:
    add()
    with pytest.raises(Conflict, match="ines"):
        add()


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["short", "1234567890", "qwertyuiop"])
def test_a_weak_password_is_refused_with_the_reason(password: str) -> None:
    with pytest.raises(Invalid, match="password"):
        add(password=password)
    assert not User.objects.exists()


@pytest.mark.django_db
def test_who_is_switched_off_may_nothing() -> None:
    user = add()
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert actor_of(User.objects.get(pk=user.pk)).scopes == ()


@pytest.mark.django_db
def test_a_role_that_is_taken_away_is_gone_with_the_next_request() -> None:
    client = Client()
    user = add()
    client.force_login(user)
    assert client.get("/api/v1/review/queue").status_code == 200
    Grant.objects.filter(user=user).delete()
    assert client.get("/api/v1/review/queue").status_code == 403


@pytest.mark.django_db
def test_a_right_on_one_line_is_no_right_on_another_nor_on_the_whole_site() -> None:
    here, there = factories.line(code="line-1"), factories.line(code="line-2")
    actor = factories.actor(on=here)
    check_covers(actor, Capability.REVIEW, site=here.site, line=here)
    for line in (there, None):
        with pytest.raises(Unknown):
            check_covers(actor, Capability.REVIEW, site=here.site, line=line)


@pytest.mark.django_db
def test_a_site_that_is_not_ones_own_does_not_exist() -> None:
    factories.site("plant-2")
    with pytest.raises(Unknown):
        site_for(factories.actor(), Capability.REVIEW, "plant-2")


@pytest.mark.django_db
def test_a_refusal_says_what_may_not_be_done() -> None:
    with pytest.raises(NotAllowed, match="judge units"):
        site_for(factories.actor(Role.AUDITOR), Capability.REVIEW)


def test_every_role_is_in_the_table_and_nobody_but_machines_sends_predictions() -> None:
    assert set(CAPABILITIES) == set(Role)
    assert roles_with(Capability.SEND_PREDICTIONS) == {Role.MACHINE}


def test_the_auditor_changes_nothing() -> None:
    changing = {
        Capability.REVIEW,
        Capability.REVIEW_ESCALATED,
        Capability.RESOLVE_WRITE_BACKS,
        Capability.REDRIVE_DEAD_LETTERS,
        Capability.PUBLISH_DATASETS,
        Capability.TRAIN_MODELS,
        Capability.PROMOTE_MODELS,
        Capability.SEND_PREDICTIONS,
    }
    assert not CAPABILITIES[Role.AUDITOR] & changing


@pytest.mark.django_db
def test_the_first_admin_is_made_by_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUPE_ADMIN_PASSWORD", factories.PASSWORD)
    call_command("create_admin", "ada", "--site", "plant-7", stdout=io.StringIO())
    admin = User.objects.get(username="ada")
    assert admin.check_password(factories.PASSWORD)
    assert actor_of(admin).can(Capability.PROMOTE_MODELS)
    with pytest.raises(CommandError, match="ada"):
        call_command("create_admin", "ada", "--site", "plant-7", stdout=io.StringIO())


@pytest.mark.django_db
def test_a_machines_token_opens_the_intake_of_its_sites_only() -> None:
    _machine, token = add_machine(
        actor=system("test"), username="edge-1", sites=[factories.site()], at=NOW
    )
    client = Client(headers={"Authorization": f"Bearer {token}"})
    answer = client.post("/api/v1/predictions", [], content_type="application/json")
    assert answer.status_code < 500
    assert answer.status_code not in {401, 403}
    assert client.get("/api/v1/review/queue").status_code == 403


@pytest.mark.django_db
def test_a_machine_for_an_unknown_site_is_refused_by_name() -> None:
    with pytest.raises(CommandError, match="plant-99"):
        call_command("create_machine", "edge-1", "--site", "plant-99", stdout=io.StringIO())
