"""No held unit without somebody who answers for it, whatever happens in whatever order."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from governance import duty, rights
from governance.access import actor_of, system
from governance.models import Duty, Grant, User
from governance.people import Right
from governance.roles import Role
from insights import handover
from insights.models import Handover
from review import deadlines, decisions, queue
from review.decisions import Recorded
from review.models import Answer
from review.queue import Lease
from review.verdicts import Verdict
from tests import factories
from tests.factories import NOW
from traceability.models import DispositionKind, Site, Unit
from traceability.refusals import Conflict, NotAllowed, Refusal, Unknown

LEASE = timedelta(seconds=90)
VERDICTS = (
    Verdict(answer=Answer.FALSE_CALL, disposition=DispositionKind.ACCEPT),
    Verdict(answer=Answer.CONFIRMED, disposition=DispositionKind.REWORK),
    Verdict(answer=Answer.INCONCLUSIVE, disposition=DispositionKind.HOLD),
)
PEOPLE = ("leo", "lena", "lara", "luis", "lisa")
ROLES = (Role.LEAD, Role.QUALITY_ENGINEER, Role.ADMIN, Role.INSPECTOR)
SITES = ("plant-1", "plant-2")
_keys = itertools.count(1)
who = st.sampled_from(PEOPLE)
where = st.sampled_from(SITES)


class Plant(RuleBasedStateMachine):
    """Two sites and five people; runs in one transaction that is rolled back at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.at = NOW
        self.decided: list[tuple[Any, Recorded]] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    @initialize()
    def start(self) -> None:
        self.sites = {code: factories.site(code) for code in SITES}
        for name in PEOPLE:
            factories.user(None, name=name)
        self.inspectors = {
            code: actor_of(factories.user(Role.INSPECTOR, at=site, name=f"ines-{code}"))
            for code, site in self.sites.items()
        }
        for site in self.sites.values():
            Grant.objects.create(user=self.person("leo"), role=Role.LEAD, site=site)
            factories.hold(factories.inspection(on=factories.line(site)), at=NOW)

    def person(self, name: str) -> User:
        return User.objects.get(username=name)

    def right(self, site: str, role: Role, of_line: bool) -> Right:
        line = factories.line(self.sites[site]) if of_line else None
        return Right(role, self.sites[site], line)

    @rule(site=where)
    def a_part_is_in_doubt(self, site: str) -> None:
        factories.task(on=factories.line(self.sites[site]), at=self.at)

    @rule()
    def deadlines_pass(self) -> None:
        self.at += timedelta(minutes=20)
        deadlines.hold_overdue(at=self.at)

    @rule(site=where, verdict=st.sampled_from(VERDICTS))
    def somebody_judges(self, site: str, verdict: Verdict) -> None:
        actor = self.inspectors[site]
        for task in queue.claim(
            actor=actor, site=self.sites[site], count=1, lease=LEASE, at=self.at
        ):
            recorded = decisions.decide(
                actor=actor,
                held=Lease(task.uuid, task.fence),
                verdict=verdict,
                key=f"key-{next(_keys):08d}",
                undo_window=timedelta(seconds=8),
                at=self.at,
            )
            self.decided.append((actor, recorded))

    @rule()
    def the_last_verdict_is_taken_back(self) -> None:
        if self.decided:
            actor, recorded = self.decided.pop()
            try:
                decisions.undo(
                    actor=actor, decision_id=recorded.decision.uuid, lease=LEASE, at=self.at
                )
            except Conflict:
                # Its time is over, or somebody else has judged the unit since.
                return

    @rule(name=who, site=where)
    def somebody_takes_over(self, name: str, site: str) -> None:
        self.at += timedelta(minutes=1)
        here, actor = self.sites[site], actor_of(self.person(name))
        seen = handover.document(actor=actor, site=here, at=self.at).sealed()
        before = Handover.objects.count()
        try:
            handover.sign(
                actor=actor,
                site=here,
                seen=seen,
                password=factories.PASSWORD,
                remark="",
                at=self.at,
            )
        except NotAllowed:
            assert Handover.objects.count() == before
        else:
            assert duty.owner_of(site_id=here.pk, at=self.at) == self.person(name)

    @rule(name=who, site=where, role=st.sampled_from(ROLES), of_line=st.booleans())
    def a_right_is_given(self, name: str, site: str, role: Role, of_line: bool) -> None:
        right = self.right(site, role, of_line)
        self.tried(rights.give, name, Conflict, right=right)

    @rule(name=who, site=where, role=st.sampled_from(ROLES), of_line=st.booleans())
    def a_right_is_taken(self, name: str, site: str, role: Role, of_line: bool) -> None:
        right = self.right(site, role, of_line)
        self.tried(rights.take, name, Conflict, Unknown, right=right)

    @rule(name=who)
    def somebody_leaves(self, name: str) -> None:
        self.tried(rights.deactivate, name, Conflict)

    @rule(name=who)
    def somebody_comes_back(self, name: str) -> None:
        self.tried(rights.reactivate, name, Conflict)

    def tried(self, what: Any, name: str, *refusals: type[Refusal], **given: Any) -> None:
        try:
            what(actor=system("test"), username=name, at=self.at, **given)
        except refusals:
            return

    @invariant()
    def every_held_unit_has_exactly_one_owner_who_may_answer(self) -> None:
        held = set(
            Unit.objects.filter(disposition=DispositionKind.HOLD).values_list("site", flat=True)
        )
        owners = duty.owners_of(held, at=self.at)
        assert set(owners) == held
        for site_id, owner in owners.items():
            assert owner.user.is_active
            assert owner.user.grants.filter(
                site=site_id, role__in=[Role.LEAD, Role.QUALITY_ENGINEER, Role.ADMIN]
            ).exists()
            assert owner.user == expected(Site.objects.get(pk=site_id))


def expected(site: Site) -> User | None:
    """The rule once more, in plain steps."""
    grants = list(Grant.objects.filter(site=site, user__is_active=True).order_by("pk"))
    whole = [grant for grant in grants if grant.line_id is None]
    may_sign = {g.user_id for g in whole if g.role in {Role.LEAD, Role.QUALITY_ENGINEER}}
    for each in Duty.objects.filter(site=site).order_by("-pk"):
        if each.user_id in may_sign:
            return each.user
    in_turn = [
        *(grant for grant in whole if grant.role == Role.LEAD),
        *(grant for grant in grants if grant.role == Role.QUALITY_ENGINEER),
        *(grant for grant in grants if grant.role == Role.LEAD and grant.line_id is not None),
        *(grant for grant in grants if grant.role == Role.ADMIN),
    ]
    return in_turn[0].user if in_turn else None


@pytest.mark.django_db(transaction=True)
def test_no_hold_is_without_an_owner_at_any_moment() -> None:
    run_state_machine_as_test(
        Plant,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
