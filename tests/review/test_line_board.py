"""A station's board: its state, what is to be done, and when it has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from config.long_polls import BOARD, LongPolls
from governance import devices
from governance.models import Device
from governance.roles import Role
from review.line import board, calls, holds, overview, tickets
from review.line import watch as line_watch
from review.line.versions import versions_of
from review.line.watch import LOOKED_EVERY_S, WATCH, Watch
from review.models import AndonCall, CaptureCheck, ReviewTask
from tests import factories
from tests.factories import NOW
from tests.runner.waiting import wait_until
from traceability.models import Station

LONG = {"seconds": 90}

pytestmark = pytest.mark.django_db


@pytest.fixture
def station() -> Station:
    """Station st-1 of line-1."""
    return factories.station()


def shown(station: Station) -> dict[str, Any]:
    at = timezone.now()
    return board.as_json(board.board(station=station, at=at), at=at)


def version(station: Station) -> str:
    return versions_of([station.pk])[station.pk]


def left(station: Station) -> Any:
    at = timezone.now()
    return factories.task(on=station.line, at=at, operators_until=at + timedelta(minutes=5))


def stop(station: Station) -> AndonCall:
    device, _token = factories.tablet(station)
    factories.arrive(device, factories.user(Role.OPERATOR))
    at = timezone.now()
    return calls.call(
        actor=devices.operator_of(device, attendance=None, at=at),
        device=device,
        kind="STOP",
        key=uuid4(),
        made_at=at,
        at=at,
    )


def check(station: Station) -> CaptureCheck:
    capture = factories.capture(factories.inspection(on=station.line))
    return CaptureCheck.objects.create(
        site=station.site,
        line=station.line,
        station=station,
        capture=capture,
        causes=["sharpness"],
        opened_at=timezone.now(),
    )


def hold(station: Station, **fields: Any) -> Any:
    seen = factories.inspection(on=station.line)
    factories.capture(seen)
    factories.hold(seen, **fields)
    seen.unit.refresh_from_db()
    return seen.unit


def test_the_gravest_thing_at_a_station_is_its_state(station: Station) -> None:
    states = [shown(station)["state"]]
    for make in (left, check, hold, stop):
        make(station)
        states.append(shown(station)["state"])
    assert states == ["RUNNING", "DECIDE", "CAPTURE_CHECK", "HOLD", "STOPPED"]


def test_a_held_unit_is_told_where_to_put_until_somebody_has(station: Station) -> None:
    lead = factories.user(Role.LEAD, at=station.site)
    first, second = hold(station, by_model=True), hold(station)
    told = shown(station)
    assert told["holds"] == 2
    assert told["hold"]["instruction"] == f"Put {first.serial} on the red rack."
    assert (told["hold"]["kind"], told["hold"]["owner"]) == ("CONTAIN", str(lead))
    assert told["hold"]["image_url"].startswith("/images/")
    assert [each["unit"]["serial"] for each in told["next_holds"]] == [second.serial]
    acknowledge(station, first)
    told = shown(station)
    assert (told["holds"], told["hold"]["unit"]["serial"]) == (1, second.serial)
    Station.objects.filter(pk=station.pk).update(hold_place="cage 4")
    station.refresh_from_db()
    assert shown(station)["hold"]["instruction"].endswith("on the cage 4.")


def acknowledge(station: Station, unit: Any) -> None:
    at = timezone.now()
    put = holds.Putting(
        serial=unit.serial, held_since=unit.held_since, place="", key=uuid4(), made_at=at
    )
    holds.acknowledge(
        actor=factories.actor(Role.OPERATOR), device=None, station=station, put=put, at=at
    )


def test_a_hold_is_as_old_as_when_it_began_and_anew_once_it_was_lifted(station: Station) -> None:
    began = timezone.now() - timedelta(hours=2)
    seen = factories.inspection(on=station.line)
    factories.hold(seen, at=began)
    factories.hold(seen, at=began + timedelta(hours=1))
    seen.unit.refresh_from_db()
    assert seen.unit.held_since == began
    assert seen.unit.held_at_station == station
    acknowledge(station, seen.unit)
    assert shown(station)["state"] == "RUNNING"
    factories.release(seen, at=began + timedelta(minutes=90))
    seen.unit.refresh_from_db()
    lifted = type(seen.unit).objects.get(pk=seen.unit.pk)
    assert (lifted.held_since, lifted.held_at_station) == (None, None)
    factories.hold(seen, at=timezone.now())
    assert shown(station)["state"] == "HOLD"


def test_an_undone_release_is_the_hold_of_before(station: Station) -> None:
    began = timezone.now() - timedelta(hours=2)
    seen = factories.inspection(on=station.line)
    factories.hold(seen, at=began)
    released = factories.release(seen, at=began + timedelta(minutes=90))
    factories.withdraw(released)
    seen.unit.refresh_from_db()
    assert (seen.unit.disposition, seen.unit.held_since) == ("HOLD", began)
    assert seen.unit.held_at_station == station


def test_the_board_costs_the_same_whatever_waits(station: Station) -> None:
    factories.user(Role.LEAD, at=station.site)
    for make in (left, check, hold, stop):
        make(station)

    def cost() -> int:
        with CaptureQueriesContext(connection) as ran:
            shown(station)
        return len(ran)

    few = cost()
    for _ in range(5):
        left(station)
        hold(station)
    assert cost() == few


def test_whatever_changes_a_board_changes_the_stations_version(station: Station) -> None:
    factories.user(Role.LEAD, at=station.site)
    seen = [version(station)]

    def changed(what: str) -> None:
        seen.append(version(station))
        assert len(set(seen)) == len(seen), what

    task = left(station)
    changed("a task was left to operators")
    task.state, task.holder_id = "LEASED", factories.user().pk
    task.lease_expires_at, task.fence = timezone.now(), 1
    task.save()
    changed("it was leased")
    unit = hold(station)
    changed("a unit was held")
    acknowledge(station, unit)
    changed("it was put away")
    call = stop(station)
    changed("the station was stopped")
    calls.answer(actor=factories.actor(Role.LEAD), call_id=call.uuid, at=timezone.now())
    changed("somebody comes")
    opened = check(station)
    changed("the images are unfit")
    CaptureCheck.objects.filter(pk=opened.pk).update(fit=1)
    changed("a fit one came")
    device, _token = factories.tablet(station)
    changed("a tablet was registered")
    factories.arrive(device, factories.user(Role.OPERATOR))
    changed("an operator came")
    Device.objects.filter(pk=device.pk).update(px_per_mm=5.0)
    changed("it was calibrated")
    factories.hold(factories.inspection(on=factories.line(code="line-9")))
    assert version(station) == seen[-1]


def test_two_stations_of_one_name_are_told_apart_by_their_lines(station: Station) -> None:
    factories.station(factories.line(code="line-2"))
    client = Client()
    client.force_login(factories.user(Role.INSPECTOR))
    said = client.get("/api/v1/line/board?station=st-1")
    assert said.status_code == 409
    assert "line-2:st-1" in said.json()["detail"]
    assert client.get("/api/v1/line/board?station=line-2:st-1").status_code == 200
    assert client.get("/api/v1/line/board?station=line-3:st-1").status_code == 404


def test_an_unchanged_board_is_not_sent_again(station: Station) -> None:
    device, token = factories.tablet(station)
    factories.arrive(device, factories.user(Role.OPERATOR, name="otto"))
    client = Client()
    client.cookies["loupe_device"] = token
    first = client.get("/api/v1/line/board")
    assert first.json()["operator"]["name"] == "otto"
    tag = first["ETag"]
    for kept in (tag, f"W/{tag}"):
        again = client.get("/api/v1/line/board", headers={"If-None-Match": kept})
        assert again.status_code == 304
        assert tickets.read(kept, at=timezone.now()) is not None
    hold(station)
    news = client.get("/api/v1/line/board", headers={"If-None-Match": tag})
    assert (news.status_code, news.json()["state"]) == (200, "HOLD")


def test_a_tag_somebody_made_up_waits_for_nothing(station: Station) -> None:
    tag = tickets.tag(station.pk, version(station), "x", at=NOW)
    assert tickets.read(tag, at=NOW) == tickets.Ticket(station.pk, version(station))
    assert tickets.read(tag.replace(str(station.pk), "9", 1), at=NOW) is None
    assert tickets.read('"nonsense"', at=NOW) is None


def test_a_tag_of_long_ago_waits_for_nothing(station: Station) -> None:
    tag = tickets.tag(station.pk, version(station), "x", at=NOW)
    holds = timedelta(seconds=tickets.HOLDS_S)
    assert tickets.read(tag, at=NOW + holds) is not None
    assert tickets.read(tag, at=NOW + 2 * holds) is None


def test_a_revoked_tablet_does_not_wait_on_with_the_tag_it_has(station: Station) -> None:
    device, token = factories.tablet(station)
    client = Client()
    client.cookies["loupe_device"] = token
    tag = client.get("/api/v1/line/board")["ETag"]
    devices.revoke(actor=factories.actor(Role.LEAD), device=device.uuid, at=timezone.now())
    later = timezone.now() + timedelta(seconds=2 * tickets.HOLDS_S)
    assert tickets.read(tag, at=later) is None, "it has to ask, and is told"
    assert client.get("/api/v1/line/board", headers={"If-None-Match": tag}).status_code == 401


@pytest.mark.parametrize("minutes", [0, 60])
def test_an_unchanged_board_is_sent_with_a_new_tag_when_its_own_is_old(
    station: Station, minutes: int
) -> None:
    device, token = factories.tablet(station)
    client = Client()
    client.cookies["loupe_device"] = token
    at = timezone.now() - timedelta(minutes=minutes)
    old = tickets.tag(station.pk, version(station), f"{device.pk}.en", at=at)
    answer = client.get("/api/v1/line/board", headers={"If-None-Match": old})
    assert answer.status_code == (200 if minutes else 304)
    assert tickets.read(answer["ETag"], at=timezone.now()) is not None


@pytest.mark.django_db(transaction=True)
def test_who_waits_hears_of_a_change_within_a_second(station: Station) -> None:
    # The look that finds the change may begin one pause after it, and no second one is needed.
    assert 2 * LOOKED_EVERY_S < 1
    # A machine that stands still for a moment is late once, not every time.
    took: list[float] = []
    while not took or (min(took) >= 1 and len(took) < 5):
        took.append(heard_after(hold, station))
    assert min(took) < 1
    assert not Watch().wait(station.pk, version(station), seconds=0.5)


def heard_after(change: Callable[[Station], object], station: Station) -> float:
    """Seconds from a change to the moment at which the last of five who wait has heard of it."""
    watch = Watch()
    heard: list[float] = []
    before = version(station)

    def wait() -> None:
        assert watch.wait(station.pk, before, seconds=90)
        heard.append(time.monotonic())

    waiting = [threading.Thread(target=wait) for _ in range(5)]
    for each in waiting:
        each.start()
    assert wait_until(lambda: sum(watch._waiting.values()) == len(waiting))
    change(station)
    changed = time.monotonic()
    for each in waiting:
        each.join()
    assert len(heard) == len(waiting)
    return max(heard) - changed


@pytest.mark.django_db(transaction=True)
def test_nobody_is_woken_to_find_that_nothing_changed(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    woken: list[int] = []

    def look(stations: Collection[int]) -> dict[int, str]:
        looks.append(1)
        return versions_of(stations)

    def told() -> None:
        woken.append(1)
        wake()

    watch = Watch()
    wake = watch._changed.notify_all
    monkeypatch.setattr(line_watch, "versions_of", look)
    monkeypatch.setattr(watch._changed, "notify_all", told)
    waiting = threading.Thread(target=watch.wait, args=(station.pk, version(station)), kwargs=LONG)
    waiting.start()
    assert wait_until(lambda: len(looks) > 2)
    assert woken == []
    hold(station)
    waiting.join()
    assert woken == [1]


@pytest.mark.django_db(transaction=True)
def test_waiting_takes_none_of_the_threads_that_work(station: Station) -> None:
    def django(_environ: dict[str, Any], start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"news"]

    front = LongPolls(django, working=1, waiting=2)
    said: list[str] = []

    def tagged() -> str:
        return tickets.tag(station.pk, version(station), "x", at=timezone.now())

    def ask(path: str, wait: int, known: str) -> bytes:
        environ = {
            "PATH_INFO": path,
            "QUERY_STRING": f"wait={wait}",
            "HTTP_IF_NONE_MATCH": known,
        }
        return b"".join(front(environ, lambda status, _headers: said.append(status)))

    known = tagged()
    waiting = [threading.Thread(target=ask, args=(BOARD, 25, known)) for _ in range(2)]
    for each in waiting:
        each.start()
    assert wait_until(lambda: sum(WATCH._waiting.values()) == 2)
    assert ask("/", 0, known) == b"news"
    assert said == ["200 OK"], "both others wait still"
    hold(station)
    for each in waiting:
        each.join()
    assert said == ["200 OK"] * 3
    assert ask(BOARD, 1, tagged()) == b""
    assert said[-1] == "304 Not Modified"


def test_what_was_handed_to_a_lead_waits_for_no_operator(station: Station) -> None:
    at = timezone.now()
    factories.task(on=station.line, at=at, operators_until=at)
    assert board.board(station=station, at=at).state == "DECIDE"
    ReviewTask.objects.update(is_escalated=True)
    found = board.board(station=station, at=at)
    assert (found.state, found.for_operators, found.for_bench) == ("RUNNING", 0, 1)
    [row] = overview.of([station], at=at)
    assert (row.state, row.to_decide, row.at_bench) == ("RUNNING", 0, 1)
    [waits] = board.as_json(found, at=at)["waiting"]
    assert waits["for"] == "bench"
