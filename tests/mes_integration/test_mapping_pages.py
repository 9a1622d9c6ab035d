"""Mappings over HTTP: what is in force, the dry run, a new version, the way back."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from governance.models import AuditEntry
from governance.roles import Role
from mes_integration import delivery, mapping_form, mappings
from mes_integration.models import MappingProfile, WriteBack
from tests import factories
from tests.mes_integration.plant import NOW, DemoMes, enqueued, state_of
from tests.mes_integration.test_pages import signed_in

pytestmark = pytest.mark.django_db

LIST = "/write-backs/mappings/"
ONE = "/write-backs/mappings/plant-1/mes/"
EDIT = f"{ONE}edit/"
API = "/api/v1/mes/mappings"


@pytest.fixture
def engineer() -> Client:
    return signed_in(factories.user(Role.QUALITY_ENGINEER))


def document(**changes: Any) -> dict[str, Any]:
    return {**mappings.shipped_document("generic"), **changes}


def version(number: int = 1, **changes: Any) -> MappingProfile:
    return MappingProfile.objects.create(
        site=factories.site(),
        target="mes",
        version=number,
        document=document(**changes),
        author="ada",
        at=NOW,
        reason="Their words.",
    )


def form(**changes: str) -> dict[str, Any]:
    """The form as the page shows it for the mapping that is shipped."""
    shown = mapping_form.form_of(document(), codes=[])
    return {
        **{f"verdict-{word.ours}": word.theirs for word in shown.verdicts},
        "defects": "own",
        "rest": shown.rest,
        "base": "0",
        "reason": "Asked for by the plant.",
        **changes,
    }


def tried(client: Client, **changes: str) -> str:
    answer = client.post(EDIT, form(do="try", **changes))
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def seen(text: str) -> str:
    found = re.search(r'name="seen" value="(\w+)"', text)
    assert found is not None
    return found.group(1)


def figure(text: str, name: str) -> int:
    found = re.search(rf'id="tried-{name}">(?:<span[^>]*>)?(\d+)', text)
    assert found is not None
    return int(found.group(1))


def test_the_list_says_which_version_is_in_force_who_and_why(
    demo: DemoMes, engineer: Client
) -> None:
    assert "as shipped" in engineer.get(LIST).content.decode()
    version()
    text = engineer.get(LIST).content.decode()
    for words in ("version 1", "ada", "Their words."):
        assert words in text


def test_one_mapping_is_a_table_with_what_has_no_word(demo: DemoMes, engineer: Client) -> None:
    enqueued()
    version(defects={"crack": "NC-17"}, verdicts={"ACCEPT": "OK"})
    text = engineer.get(ONE).content.decode()
    assert "<code>NC-17</code>" in text
    assert '<th scope="row">porosity</th><td><span class="state state--warn">' in text
    assert text.count("no word: not sent") == 5
    assert "As shipped" not in text
    assert "not in force" in engineer.get(ONE, {"version": "0"}).content.decode()
    assert engineer.get(ONE, {"version": "7"}).status_code == 404


def test_the_dry_run_tells_what_changes_and_saves_nothing(demo: DemoMes, engineer: Client) -> None:
    for _ in range(2):
        enqueued(kind="HOLD")
    enqueued(kind="SCRAP")
    text = tried(engineer, **{"verdict-HOLD": "QUARANTINE", "verdict-SCRAP": ""})
    assert [figure(text, name) for name in ("blocked", "changed", "freed", "same")] == [1, 2, 0, 0]
    assert "no word for the verdict SCRAP" in text
    assert '<ins class="mapping__changed">' in text
    assert "QUARANTINE" in text
    assert "Save as version 1" in text
    assert not MappingProfile.objects.exists()


def test_the_dry_run_shows_what_changes_with_a_few_lines_around_it(
    demo: DemoMes, engineer: Client
) -> None:
    row = enqueued(kind="HOLD")
    text = tried(engineer, **{"verdict-HOLD": "QUARANTINE"})
    shown = re.findall(r'<pre class="write-backs__said"[^>]*>(.*?)</pre>', text, re.DOTALL)
    assert len(shown) == 2
    for each in shown:
        assert len(each.strip().splitlines()) <= 8
        assert "mapping__changed" in each
    assert str(row.uuid) not in shown[0]


def test_what_was_seen_is_saved_with_its_reason_and_audited(
    demo: DemoMes, engineer: Client
) -> None:
    change = {"verdict-HOLD": "QUARANTINE"}
    mark = seen(tried(engineer, **change))
    answer = engineer.post(EDIT, form(do="save", seen=mark, **change))
    assert (answer.status_code, answer["Location"]) == (302, ONE)
    row = MappingProfile.objects.get()
    assert (row.version, row.reason) == (1, "Asked for by the plant.")
    assert row.document["verdicts"]["HOLD"] == "QUARANTINE"
    entry = AuditEntry.objects.get(action="mapping.save")
    assert entry.detail["before"]["verdicts"]["HOLD"] == "HOLD"
    assert entry.detail["after"] == row.document


def test_what_was_not_seen_is_tried_first(demo: DemoMes, engineer: Client) -> None:
    mark = seen(tried(engineer, **{"verdict-HOLD": "QUARANTINE"}))
    answer = engineer.post(EDIT, form(do="save", seen=mark, **{"verdict-HOLD": "OTHER"}))
    assert answer.status_code == 200
    text = answer.content.decode()
    assert 'id="save"' in text
    assert not MappingProfile.objects.exists()
    said = "You changed something since the last try. It was tried again; nothing is saved yet."
    [notice] = re.findall(r'<p [^>]*id="tried-again"[^>]*>(.*?)</p>', text)
    assert said in notice
    assert re.search(r'id="tried-again" role="alert" tabindex="-1" autofocus', text)
    assert said not in tried(engineer)


def test_a_version_saved_meanwhile_is_not_overwritten(demo: DemoMes, engineer: Client) -> None:
    mark = seen(tried(engineer))
    version()
    answer = engineer.post(EDIT, form(do="save", seen=mark))
    assert answer.status_code == 409
    assert "Version 1 was put in force meanwhile" in answer.content.decode()
    assert MappingProfile.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rest": "{"}, "is not JSON: line 1, column 2 cannot be read."),
        ({"rest": '{"x": 1,\n "y": }'}, "is not JSON: line 2, column 7 cannot be read."),
        ({"rest": "[]"}, "is a JSON object"),
        ({"rest": "{}"}, "“capabilities” is missing."),
        ({"rest": '{"verdicts": {}}'}, "stands in the tables above"),
        ({"rest": '{"x": NaN}'}, "is not JSON: NaN is no number."),
        ({"verdict-HOLD": '"\\u0000"'}, "NUL"),
        ({"verdict-HOLD": '"\\ud800"'}, "cannot be kept"),
        ({"verdict-HOLD": "1e999"}, "cannot be kept"),
        ({"rest": "[" * 100_000}, "characters"),
    ],
)
def test_a_mapping_that_is_none_is_refused_with_what_to_mend(
    demo: DemoMes, engineer: Client, changes: dict[str, str], words: str
) -> None:
    answer = engineer.post(EDIT, form(do="try", **changes))
    assert answer.status_code == 422
    assert words in answer.content.decode()


def test_an_expression_that_is_none_is_named(demo: DemoMes, engineer: Client) -> None:
    rest = json.loads(form()["rest"])
    rest["body"]["id"] = "=event."
    answer = engineer.post(EDIT, form(do="try", rest=json.dumps(rest)))
    assert answer.status_code == 422
    text = answer.content.decode()
    assert "The expression at “body.id” cannot be read, from character 8 on." in text
    assert "Value error" not in text
    assert "quoted_identifier" not in text


def test_another_adapters_mapping_is_refused(demo: DemoMes, engineer: Client) -> None:
    rest = {**json.loads(form()["rest"]), "adapter": "mqtt"}
    answer = engineer.post(EDIT, form(do="try", rest=json.dumps(rest)))
    assert answer.status_code == 422
    assert "reached by http" in answer.content.decode()


@pytest.mark.parametrize(
    "value", ["OK", "12", 12, 1.5, True, None, "true", "", " x", ["a"], {"a": 1}, "NaN", '"']
)
def test_what_is_shown_in_the_form_is_read_back_as_it_was(value: object) -> None:
    assert mapping_form.read(mapping_form.typed(value)) == value


def test_codes_that_occurred_wait_for_a_word(demo: DemoMes, engineer: Client) -> None:
    enqueued()
    factories.prediction(defect_class="crack")
    text = engineer.get(EDIT).content.decode()
    for code in ("porosity", "crack"):
        assert f'id="defect-{code}"' in text


def test_blocked_then_mapped_then_sent_again_in_one_press(demo: DemoMes, engineer: Client) -> None:
    version(defects={"crack": "NC-17"})
    rows = [enqueued() for _ in range(3)]
    delivery.deliver_due(at=NOW, limit=5)
    assert [state_of(row) for row in rows] == ["NEEDS_PERSON"] * 3
    page = engineer.get(f"/write-backs/{rows[0].uuid}/").content.decode()
    assert f'href="{EDIT}#defect-porosity"' in page
    change = {"defects": "table", "code": "porosity", "word": "NC-18", "base": "1"}
    text = tried(engineer, **change)
    assert figure(text, "freed") == 3
    engineer.post(EDIT, form(do="save", seen=seen(text), **change))
    assert "Send all 3 again" in engineer.get(ONE).content.decode()
    answer = engineer.post(f"{ONE}send-blocked/", follow=True)
    assert "3 are sent again." in answer.content.decode()
    delivery.deliver_due(at=datetime.now(UTC), limit=5)
    assert [state_of(row) for row in rows] == ["ACKNOWLEDGED"] * 3
    held = demo.held(rows[0])
    assert held is not None
    sent = WriteBack.objects.get(pk=rows[0].pk)
    assert sent.profile_version == 2
    assert "NC-18" in json.dumps(sent.message)


def test_rolling_back_is_a_new_version_with_the_old_words(demo: DemoMes, engineer: Client) -> None:
    version(verdicts={**document()["verdicts"], "HOLD": "QUARANTINE"})
    press = {"version": "0", "base": "1", "reason": "They took it back."}
    assert engineer.post(f"{ONE}roll-back/", press).status_code == 302
    newest = MappingProfile.objects.order_by("-version").first()
    assert newest is not None
    assert (newest.version, newest.document) == (2, document())
    assert engineer.post(f"{ONE}roll-back/", press).status_code == 409


def test_the_dry_run_costs_the_same_statements_for_any_number(
    demo: DemoMes, engineer: Client
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            tried(engineer, **{"verdict-HOLD": "QUARANTINE"})
        return len(queries)

    enqueued()
    few = statements()
    for _ in range(20):
        enqueued()
    assert statements() == few


# --- who ---


@pytest.mark.parametrize("role", [Role.LEAD, Role.INSPECTOR, Role.AUDITOR])
def test_who_sees_write_backs_sees_mappings_and_does_not_change_them(
    demo: DemoMes, role: Role
) -> None:
    client = signed_in(factories.user(role))
    assert client.get(LIST).status_code == 200
    assert 'id="edit"' not in client.get(ONE).content.decode()
    assert client.get(EDIT).status_code == 403
    assert client.post(f"{ONE}roll-back/", {}).status_code == 403


def test_another_sites_mapping_is_not_there(demo: DemoMes) -> None:
    foreign = signed_in(factories.user(Role.ADMIN, at=factories.site("plant-2")))
    for path in (ONE, EDIT):
        assert foreign.get(path).status_code == 404
    assert foreign.post(f"{ONE}roll-back/", {"version": "0"}).status_code == 404


# --- the API ---


def posted(client: Client, path: str, **body: Any) -> Any:
    given = {"site": "plant-1", "target": "mes", "document": document(), **body}
    return client.post(path, json.dumps(given), content_type="application/json")


def test_the_api_lists_tries_and_saves(demo: DemoMes, engineer: Client) -> None:
    enqueued()
    [item] = engineer.get(API).json()["items"]
    assert (item["target"], item["version"], item["document"]) == ("mes", 0, document())
    other = document(verdicts={**document()["verdicts"], "HOLD": "QUARANTINE"})
    answer = posted(engineer, f"{API}/dry-run", document=other)
    assert answer.json() == {"of": 1, "blocked": [], "changed": 1, "freed": 0, "same": 0}
    made = posted(engineer, API, document=other, reason="Theirs.", base=0)
    assert (made.status_code, made.json()["version"]) == (201, 1)
    again = posted(engineer, API, document=other, reason="Theirs.", base=0)
    assert again.status_code == 409


@pytest.mark.parametrize(
    "body", [{"document": []}, {"document": {}}, {"site": "plant-1", "reason": ""}, {"base": "x"}]
)
def test_the_api_refuses_what_is_no_mapping(
    demo: DemoMes, engineer: Client, body: dict[str, Any]
) -> None:
    answer = posted(engineer, API, **{"reason": "Theirs.", "base": 0, **body})
    assert answer.status_code == 422
    assert not MappingProfile.objects.exists()


def test_the_api_lets_only_those_change_it_who_may(demo: DemoMes) -> None:
    lead = signed_in(factories.user(Role.LEAD))
    assert lead.get(API).status_code == 200
    assert posted(lead, API, reason="Theirs.", base=0).status_code == 403
    assert posted(lead, f"{API}/dry-run").status_code == 403
    foreign = signed_in(factories.user(Role.ADMIN, at=factories.site("plant-2")))
    assert posted(foreign, API, reason="Theirs.", base=0).status_code == 404
