"""Zones and severity rules: read with every mistake named, put in force in versions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from governance.models import AuditEntry
from governance.roles import Role
from labeling import criteria
from labeling.models import AcceptanceCriteria
from labeling.zones import corners, touch
from tests import factories
from traceability.refusals import Invalid

GOOD = """
[[zone]]
name = "sealing face"
view = "top"
part_number = "P-4711"
surface = "A"
polygon = [[100, 100], [200, 100], [200, 200], [100, 200]]

[[zone]]
name = "back"
view = "left"
part_number = "P-4711"
part_revision = "D"
severity = "minor"
polygon = [[0, 0], [480, 0], [480, 360]]

[[rule]]
severity = "critical"
most = 0
disposition = "SCRAP"

[[rule]]
defect_class = "scratch"
largest = 40
disposition = "REWORK"
"""


def set_rules(path: Path, text: str = GOOD, **options: object) -> None:
    path.write_text(text, encoding="utf-8")
    options = {"reason": "drawing 12, issue C", **options}
    call_command("set_zones", site="plant-1", file=path, **options)


@pytest.mark.django_db
def test_a_file_is_put_in_force_as_the_next_version_and_audited(tmp_path: Path) -> None:
    site = factories.site()
    set_rules(tmp_path / "rules.toml")
    set_rules(tmp_path / "rules.json", json.dumps({"rule": [{"most": 1, "disposition": "HOLD"}]}))
    assert sorted(AcceptanceCriteria.objects.values_list("version", flat=True)) == [1, 2]
    first = criteria.version(site_id=site.pk, number=1)
    assert [zone.severity for zone in first.zones] == ["critical", "minor"]
    assert [zone.name for zone in first.zones_on(part_number="P-4711", part_revision="C")] == [
        "sealing face"
    ]
    assert first.rules[1].largest == 40
    assert criteria.version(site_id=site.pk, number=2).rules[0].disposition == "HOLD"
    entry = AuditEntry.objects.filter(action="criteria.set").latest("pk")
    assert (entry.subject, entry.reason) == ("plant-1/2", "drawing 12, issue C")


@pytest.mark.django_db
def test_a_version_is_never_changed(tmp_path: Path) -> None:
    factories.site()
    set_rules(tmp_path / "rules.toml")
    for change in (
        lambda: AcceptanceCriteria.objects.update(rules=[]),
        lambda: AcceptanceCriteria.objects.all().delete(),
    ):
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            change()


@pytest.mark.django_db
def test_a_file_that_is_only_checked_sets_nothing(tmp_path: Path) -> None:
    factories.site()
    set_rules(tmp_path / "rules.toml", check=True)
    assert not AcceptanceCriteria.objects.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[zone", "cannot be read"),
        ('[[zones]]\nname = "x"', "zones is not known; write zone and rule"),
        ('[[rule]]\nmost = 1\ndisposition = "ACCEPT"', "rule 1: disposition must be one of"),
        ('[[rule]]\ndisposition = "HOLD"', "rule 1: Set at least one limit"),
        ('[[rule]]\nmost = 1.5\ndisposition = "HOLD"', "rule 1: most must be a whole number"),
        ('[[rule]]\nlargest = -1\ndisposition = "HOLD"', "rule 1: largest must be a number from 0"),
        ('[[rule]]\nlargest = "4"\ndisposition = "HOLD"', "largest must be a number"),
        ('[[rule]]\nmost = 1\ncolour = 2\ndisposition = "HOLD"', "colour is not known"),
        ('[[rule]]\nseverity = "bad"\nmost = 1\ndisposition = "HOLD"', "severity must be one of"),
        (2 * '[[rule]]\nmost = 1\ndisposition = "HOLD"\n', "Rule 2 is for the same as an earlier"),
        (
            '[[zone]]\nname = "a"\npart_number = "P"\nsurface = "D"',
            "surface must be one of A, B, C",
        ),
        ('[[zone]]\nname = "a"\npart_number = "P"', "Write either severity or surface"),
        ('[[zone]]\nname = "a"\nsurface = "A"', "zone 1: part_number is missing"),
        ('[[zone]]\nname = "a"\npart_number = "P"\nsurface = "A"', "polygon must be a list"),
        (
            '[[zone]]\nname="a"\npart_number="P"\nsurface="A"\npolygon=[[0, 0], [1, 1], [2, 2]]',
            "encloses nothing",
        ),
        ('rule = "none"', "rule must be a list of tables"),
    ],
)
def test_each_mistake_has_its_sentence(text: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refusal:
        criteria.read(text, is_json=False)
    assert sentence in str(refusal.value.sentence)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(Invalid) as refusal:
        criteria.read('[[rule]]\nmost = -1\ndisposition = "HOLD"\n[[zone]]\n', is_json=False)
    assert len(str(refusal.value.sentence).splitlines()) >= 4


@pytest.mark.django_db
def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    factories.site()
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("set_zones", site="plant-1", file=tmp_path / "none.toml", reason="x")
    with pytest.raises(CommandError, match="Say why"):
        set_rules(tmp_path / "rules.toml", reason=" ")
    with pytest.raises(CommandError, match="not known"):
        set_rules(tmp_path / "rules.toml", "colour = 1")


@pytest.mark.django_db
def test_the_page_shows_what_is_in_force_and_nothing_of_another_site(
    tmp_path: Path, client: Client
) -> None:
    factories.site()
    set_rules(tmp_path / "rules.toml")
    client.force_login(factories.user(Role.LEAD))
    shown = client.get("/criteria/").content.decode()
    assert "sealing face" in shown
    assert "drawing 12, issue C" in shown
    assert "40" in shown
    client.force_login(factories.user(Role.LEAD, at=factories.site("plant-2")))
    assert "sealing face" not in client.get("/criteria/").content.decode()


NUMBER = st.integers(0, 30)
BOX = st.tuples(NUMBER, NUMBER, st.integers(1, 20), st.integers(1, 20))


@given(BOX, BOX)
def test_boxes_touch_when_they_overlap_or_share_an_edge(
    a: tuple[int, int, int, int], b: tuple[int, int, int, int]
) -> None:
    expected = (
        a[0] <= b[0] + b[2] and b[0] <= a[0] + a[2] and a[1] <= b[1] + b[3] and b[1] <= a[1] + a[3]
    )
    assert touch(corners(a), corners(b)) is expected
    assert touch(corners(b), corners(a)) is expected
