"""One's own figures: right, and of nobody else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client

from governance.access import actor_of
from governance.models import User
from governance.roles import Role
from review.agreement import Share
from review.models import Decision, ReviewTask
from review.own_figures import OwnFigures, own_figures
from tests import factories
from tests.factories import NOW
from tests.review.test_adjudication import BAD, GOOD, drawn, judge, undo
from tests.review.test_controls import Bench, control, waiting

pytestmark = pytest.mark.django_db


def figures(person: User) -> OwnFigures:
    return own_figures(actor=actor_of(person), at=NOW + timedelta(hours=1))


def page(person: User, query: str = "") -> str:
    client = Client()
    client.force_login(person)
    answer = client.get(f"/review/mine/{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_verdicts_are_counted_by_day_without_those_taken_back() -> None:
    mine = factories.user()
    factories.tasks(3)
    for _ in range(2):
        judge(actor_of(mine), GOOD)
    undo(actor_of(mine), judge(actor_of(mine), GOOD))
    found = figures(mine)
    assert found.total == 2
    assert [count for _day, count in found.per_day] == [0] * 13 + [2]


def test_the_median_is_of_ones_own_seconds() -> None:
    mine = factories.user()
    factories.tasks(4)
    for seconds in (1.0, 2.5, 9.0):
        judge(actor_of(mine), replace(GOOD, seconds=seconds))
    judge(factories.actor(), replace(GOOD, seconds=60.0))
    assert figures(mine).median_seconds == 2.5


def test_agreement_counts_for_both_and_an_adjudication_for_who_was_overturned() -> None:
    first, second = factories.user(), factories.user()
    drawn()
    judge(actor_of(first), GOOD)
    judge(actor_of(second), BAD)
    judge(factories.actor(Role.LEAD), BAD)
    drawn()
    judge(actor_of(first), BAD)
    judge(actor_of(second), BAD)
    assert figures(first).agreement.share == figures(second).agreement.share == Share(1, 2)
    assert figures(first).overturned == Share(1, 1)
    assert figures(second).overturned == Share(0, 1)


def test_controls_are_hits_misses_and_false_alarms_of_who_judged_them() -> None:
    control(BAD)
    control(BAD)
    control(GOOD)
    waiting(3)
    bench = Bench()
    for _ in range(3):
        [task] = bench.claim()
        truth = ReviewTask.objects.get(uuid=task["id"]).inspection.controlsample.truth
        # The good one is called bad; of the bad ones the first is missed.
        missed = Decision.objects.filter(decided_by=bench.person, answer="FALSE_CALL").exists()
        bench.decide(task, BAD if truth == "FALSE_CALL" or missed else GOOD)
    found = own_figures(
        actor=actor_of(bench.person), at=Decision.objects.latest("decided_at").decided_at
    ).controls
    assert (found.hits, found.misses) == (Share(1, 2), Share(1, 2))
    assert found.false_alarms == Share(1, 1)
    assert figures(factories.user()).controls.hits == Share(0, 0)


@pytest.mark.parametrize("role", [Role.INSPECTOR, Role.LEAD, Role.QUALITY_ENGINEER])
def test_nobody_sees_anothers_figures_whatever_he_asks(role: Role) -> None:
    other = factories.user(name="olga-the-other")
    factories.tasks(3)
    theirs = Bench(other)
    for _ in range(3):
        theirs.decide(theirs.claim()[0], GOOD)
    me = factories.user(role)
    for query in ("", *(f"?{urlencode({name: value})}" for name, value in asked(other))):
        assert figure(page(me, query), "mine-total") == "0"
    assert "olga" not in page(me)
    assert figure(page(other), "mine-total") == "3"


def asked(other: User) -> list[tuple[str, str]]:
    names = ("user", "person", "inspector", "by", "id", "decided_by", "username")
    return [(name, value) for name in names for value in (other.username, str(other.pk))]


def figure(text: str, name: str) -> str:
    """The value of one figure of the page."""
    after = text.split(f'id="{name}"', 1)[1]
    return after.split('figure__value">', 1)[1].split("<", 1)[0]


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AUDITOR, Role.OPERATOR])
def test_who_judges_nothing_has_no_such_page_and_no_way_to_anothers(role: Role) -> None:
    client = Client()
    client.force_login(factories.user(role))
    assert client.get("/review/mine/").status_code == 403


@pytest.mark.parametrize("path", ["/", "/live/"])
def test_the_plants_pages_name_no_inspector(path: str) -> None:
    factories.task()
    judge(actor_of(factories.user(name="ines-the-inspector")), GOOD)
    client = Client()
    client.force_login(factories.user(Role.ADMIN))
    assert "ines-the-inspector" not in client.get(path).content.decode()
