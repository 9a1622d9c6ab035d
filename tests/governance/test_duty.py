"""Who answers for held units, and that there is always somebody."""

from __future__ import annotations

import io
import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from governance import duty, rights
from governance.access import system
from governance.models import AuditEntry, Duty, Grant, User
from governance.people import Right
from governance.roles import Role
from tests import factories
from tests.factories import NOW
from traceability.models import Site
from traceability.refusals import Conflict, Invalid, Refusal, Unknown

ANYBODY = system("test")


def take_over(person: User, *, minutes: int = 0, site: Site | None = None) -> Duty:
    """This person has the duty from then on."""
    began = NOW + timedelta(minutes=minutes)
    return Duty.objects.create(site=site or factories.site(), user=person, began_at=began)


def owner(site: Site | None = None) -> User | None:
    where = site or factories.site()
    return duty.owner_of(site_id=where.pk, at=NOW + timedelta(hours=1))


@pytest.mark.django_db
def test_whoever_took_over_last_answers() -> None:
    first, second = factories.user(Role.LEAD), factories.user(Role.LEAD)
    take_over(second)
    take_over(first, minutes=1)
    assert owner() == first
    found = duty.owners_of([factories.site().pk], at=NOW + timedelta(hours=1))
    assert found[factories.site().pk].since == NOW + timedelta(minutes=1)


@pytest.mark.django_db
def test_a_duty_that_has_not_begun_is_nobodys_yet() -> None:
    first, second = factories.user(Role.LEAD), factories.user(Role.LEAD)
    take_over(first)
    take_over(second, minutes=120)
    assert owner() == first


@pytest.mark.django_db
def test_the_duty_falls_back_on_who_had_it_before_when_its_person_is_gone() -> None:
    never, before, last = (factories.user(Role.LEAD) for _ in range(3))
    take_over(before)
    take_over(last, minutes=1)
    rights.deactivate(actor=ANYBODY, username=last.username, at=NOW)
    assert owner() == before
    rights.take(
        actor=ANYBODY,
        username=before.username,
        right=Right(Role.LEAD, factories.site()),
        at=NOW,
    )
    assert owner() == never
    rights.reactivate(actor=ANYBODY, username=last.username, at=NOW)
    assert owner() == last


@pytest.mark.django_db
def test_who_is_left_with_one_line_has_lost_the_duty_of_the_site() -> None:
    lead, other = factories.user(Role.LEAD), factories.user(Role.LEAD)
    take_over(lead)
    Grant.objects.filter(user=lead).update(line=factories.line())
    assert owner() == other


@pytest.mark.django_db
def test_without_a_duty_the_order_is_leads_engineers_leads_of_lines_admins() -> None:
    people = [
        factories.user(Role.ADMIN),
        factories.user(Role.LEAD, on=factories.line()),
        factories.user(Role.QUALITY_ENGINEER),
        factories.user(Role.LEAD),
        factories.user(Role.LEAD),
    ]
    for role in (Role.OPERATOR, Role.INSPECTOR, Role.AUDITOR, Role.MACHINE):
        factories.user(role)
    order = [people[3], people[4], people[2], people[1], people[0]]
    for expected in order:
        assert owner() == expected
        User.objects.filter(pk=expected.pk).update(is_active=False)
    assert owner() is None


@pytest.mark.django_db
def test_an_admin_does_not_keep_a_duty_over_a_lead() -> None:
    admin = factories.user(Role.ADMIN)
    take_over(admin)
    lead = factories.user(Role.LEAD)
    assert owner() == lead


@pytest.mark.django_db
def test_the_demos_people_answer_in_the_demo_only(settings: Settings) -> None:
    lead = factories.user(Role.LEAD)
    User.objects.filter(pk=lead.pk).update(is_demo=True)
    assert owner() is None
    settings.LOUPE = settings.LOUPE.model_copy(update={"demo": True})
    assert owner() == lead


@pytest.mark.django_db
def test_many_sites_cost_one_statement() -> None:
    sites = [factories.site(f"plant-{n}") for n in range(6)]
    leads = [factories.user(Role.LEAD, at=site) for site in sites[:-1]]
    for site, lead in zip(sites[1:], leads[1:], strict=False):
        take_over(lead, site=site)
    with CaptureQueriesContext(connection) as asked:
        found = duty.owners_of([site.pk for site in sites], at=NOW + timedelta(hours=1))
    assert len(asked) == 1
    assert {pk: each.user for pk, each in found.items()} == {
        site.pk: lead for site, lead in zip(sites, leads, strict=False)
    }


@pytest.mark.django_db
def test_the_last_who_could_answer_is_neither_shut_out_nor_loses_his_right() -> None:
    lead = factories.user(Role.LEAD, name="leo")
    factories.user(Role.INSPECTOR)
    sentence = "leo is the last who answers for held units at plant-1; name another first"
    with pytest.raises(CommandError, match=sentence):
        call_command("deactivate_person", "leo", stdout=io.StringIO())
    with pytest.raises(CommandError, match=sentence):
        call_command(
            "take_right", "leo", "--site", "plant-1", "--role", "lead", stdout=io.StringIO()
        )
    assert owner() == lead
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_once_another_is_named_the_last_may_go() -> None:
    factories.user(Role.LEAD, name="leo")
    factories.user(Role.INSPECTOR, name="ines")
    said = io.StringIO()
    call_command("give_right", "ines", "--site", "plant-1", "--role", "lead", stdout=said)
    call_command("deactivate_person", "leo", stdout=said)
    call_command("take_right", "ines", "--site", "plant-1", "--role", "inspector", stdout=said)
    assert said.getvalue().splitlines() == [
        "ines is Lead at plant-1.",
        "leo is shut out.",
        "ines is no longer Inspector at plant-1.",
    ]
    assert str(owner()) == "ines"
    actions = AuditEntry.objects.order_by("pk").values_list("action", "subject", "site__code")
    assert list(actions) == [
        ("person.grant", "ines", "plant-1"),
        ("person.deactivate", "leo", None),
        ("person.revoke", "ines", "plant-1"),
    ]
    call_command("deactivate_person", "leo", "--back", stdout=said)
    assert User.objects.get(username="leo").is_active


@pytest.mark.django_db
def test_a_site_that_had_nobody_keeps_nobody_from_leaving() -> None:
    person = factories.user(Role.INSPECTOR)
    rights.deactivate(actor=ANYBODY, username=person.username, at=NOW)
    assert not User.objects.get(pk=person.pk).is_active


@pytest.mark.django_db
def test_what_cannot_be_given_or_taken_is_said() -> None:
    site = factories.site()
    factories.user(Role.LEAD, name="leo")
    given = {"actor": ANYBODY, "at": NOW}
    for name, role, refusal, sentence in (
        ("leo", Role.LEAD, Conflict, "already"),
        ("leo", Role.MACHINE, Invalid, "Machines"),
        ("lea", Role.LEAD, Unknown, "no person lea"),
    ):
        with pytest.raises(refusal, match=sentence):
            rights.give(username=name, right=Right(role, site), **given)  # type: ignore[arg-type]  # a table of cases
    with pytest.raises(Unknown, match="does not have"):
        rights.take(username="leo", right=Right(Role.ADMIN, site), **given)  # type: ignore[arg-type]  # as above
    with pytest.raises(Conflict, match="not shut out"):
        rights.reactivate(username="leo", **given)  # type: ignore[arg-type]  # as above
    factories.user(Role.LEAD)
    rights.deactivate(username="leo", **given)  # type: ignore[arg-type]  # as above
    with pytest.raises(Conflict, match="already"):
        rights.deactivate(username="leo", **given)  # type: ignore[arg-type]  # as above


@pytest.mark.django_db(transaction=True)
def test_the_last_two_do_not_leave_at_the_same_time() -> None:
    people = [factories.user(Role.LEAD) for _ in range(2)]
    refused: list[str] = []
    begin = threading.Barrier(2)

    def leave(person: User) -> None:
        begin.wait()
        try:
            rights.deactivate(actor=ANYBODY, username=person.username, at=NOW)
        except Refusal as refusal:
            refused.append(refusal.reason)
        finally:
            connection.close()

    threads = [threading.Thread(target=leave, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["last_owner"]
    assert owner() in people
