"""Setting a plant up from the command line; all of it is on record."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from governance.access import actor_of, system
from governance.models import AuditEntry, User
from governance.people import add_machine
from governance.roles import Capability
from inference_bridge import policy
from labeling.models import Dataset
from tests import factories
from tests.factories import NOW
from traceability.models import Line, Site, Station

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def recorded() -> list[tuple[str, str, str | None]]:
    rows = AuditEntry.objects.order_by("pk").values_list("action", "subject", "site__code")
    return list(rows)


def test_a_site_is_made_on_record_with_its_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUPE_ADMIN_PASSWORD", factories.PASSWORD)
    assert "ada is admin of plant-7" in run("create_admin", "ada", "--site", "plant-7")
    assert recorded() == [
        ("site.add", "plant-7", "plant-7"),
        ("person.grant", "ada", "plant-7"),
        ("person.add", "ada", None),
    ]


@pytest.mark.parametrize(("name", "password"), [("ada", "short"), ("a b", factories.PASSWORD)])
def test_an_admin_who_is_refused_leaves_no_site_behind(
    monkeypatch: pytest.MonkeyPatch, name: str, password: str
) -> None:
    monkeypatch.setenv("LOUPE_ADMIN_PASSWORD", password)
    with pytest.raises(CommandError):
        run("create_admin", name, "--site", "plant-7")
    assert not Site.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_person_is_added_for_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUPE_PERSON_PASSWORD", factories.PASSWORD)
    line = factories.line()
    place = ("--site", "plant-1", "--line", line.code)
    run("add_person", "ines", *place, "--role", "inspector", "--full-name", "Ines Berg")
    person = User.objects.get(username="ines")
    assert person.check_password(factories.PASSWORD)
    assert person.get_full_name() == "Ines Berg"
    (scope,) = actor_of(person).scopes_for(Capability.REVIEW)
    assert (scope.site_id, scope.line_id) == (line.site_id, line.pk)
    for wrong in (["--site", "plant-9"], ["--site", "plant-1", "--line", "line-9"]):
        with pytest.raises(CommandError, match="There is no"):
            run("add_person", "lena", *wrong, "--role", "lead")
    with pytest.raises(CommandError, match="machine"):
        run("add_person", "lena", "--site", "plant-1", "--role", "machine")


def test_a_revoked_machine_is_shut_out() -> None:
    site = factories.site()
    _user, token = add_machine(actor=system("test"), username="edge-1", sites=[site], at=NOW)
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.post("/api/v1/predictions", [], content_type="application/json").status_code < 500
    run("revoke_machine", "edge-1")
    answer = client.post("/api/v1/predictions", [], content_type="application/json")
    assert answer.status_code == 401
    assert recorded()[-1] == ("person.token_revoke", "edge-1", "plant-1")
    with pytest.raises(CommandError, match="no token"):
        run("revoke_machine", "edge-1")


def test_a_person_is_no_machine_to_revoke() -> None:
    factories.user(name="ines")
    with pytest.raises(CommandError, match="no machine ines"):
        run("revoke_machine", "ines")


def test_lines_and_stations_are_added_once_and_on_record() -> None:
    factories.site()
    run("add_line", "--site", "plant-1", "--line", "line-1")
    run("add_line", "--site", "plant-1", "--line", "line-1", "--station", "st-4")
    assert Line.objects.get().code == "line-1"
    assert Station.objects.get().code == "st-4"
    assert recorded() == [("line.add", "line-1", "plant-1"), ("station.add", "st-4", "plant-1")]
    with pytest.raises(CommandError, match="st-4 is there already"):
        run("add_line", "--site", "plant-1", "--line", "line-1", "--station", "st-4")
    with pytest.raises(CommandError, match="cannot be used"):
        run("add_line", "--site", "plant-1", "--line", " ")


def test_a_policy_is_put_in_force_with_its_reason() -> None:
    site = factories.site()
    limits = ("--review-from", "0.2", "--contain-from", "0.9", "--audit-rate", "0.05")
    run("set_policy", "--site", "plant-1", *limits, "--reason", "First policy")
    entry = AuditEntry.objects.get(action="policy.set")
    assert (entry.reason, entry.site) == ("First policy", site)
    found = policy.in_force(site_id=site.pk, at=entry.at)
    rule = found.rule_for(line="line-1", part_number="", defect_class="")
    assert (rule.review_from, rule.contain_from, rule.audit_rate) == (0.2, 0.9, 0.05)
    for limits in (
        ("--review-from", "0.9", "--contain-from", "0.2", "--reason", "turned round"),
        ("--review-from", "0.1", "--contain-from", "0.2", "--reason", " "),
    ):
        with pytest.raises(CommandError):
            run("set_policy", "--site", "plant-1", *limits)
    assert found.version == 1


def test_a_dataset_is_founded_once_and_on_record() -> None:
    factories.site()
    run("add_dataset", "plant-1", "--site", "plant-1", "--name", "Plant 1")
    dataset = Dataset.objects.get()
    assert (dataset.slug, dataset.name, dataset.site.code) == ("plant-1", "Plant 1", "plant-1")
    assert recorded() == [("dataset.add", "plant-1", "plant-1")]
    for slug in ("plant-1", "no/slug"):
        with pytest.raises(CommandError):
            run("add_dataset", slug, "--site", "plant-1")
    assert Dataset.objects.count() == 1
