"""The pages with which leads make tablets, and give people badges and PINs."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from config.demo import tablets as demo_tablets
from governance import devices, pins
from governance.access import actor_of
from governance.models import Device, Pin, User
from governance.roles import Role
from tests import factories

pytestmark = pytest.mark.django_db
TABLETS = "/tablets/"


@pytest.fixture
def lead() -> Client:
    client = Client()
    client.force_login(factories.user(Role.LEAD, name="lena"))
    return client


def text(answer: Any) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", answer.content.decode()).split())


def make(lead: Client, name: str = "Tablet 1") -> tuple[Device, str]:
    station = factories.station()
    answer = lead.post(f"{TABLETS}stations/{station.pk}/make/", {"name": name, "ahead": "30"})
    assert answer.status_code == 200
    shown = re.search(r"\b(\d{4}) (\d{4})\b", text(answer))
    assert shown is not None
    return Device.objects.get(name=name), "".join(shown.groups())


def test_a_new_tablet_shows_its_code_large_and_as_an_address_and_nowhere_else(
    lead: Client,
) -> None:
    factories.station()
    assert "No tablet here yet." in text(lead.get(TABLETS))
    device, code = make(lead)
    assert device.ahead == 30
    answer = lead.post(f"{TABLETS}{device.uuid}/code/")
    assert "no-store" in answer.headers["Cache-Control"]
    assert re.search(r"http://testserver/line/register/\?code=\d{8}", text(answer))
    for path in (TABLETS, f"{TABLETS}{device.uuid}/"):
        assert code not in lead.get(path).content.decode()
        assert "waits for its code" in text(lead.get(path))


def test_a_code_made_on_the_machine_itself_names_the_address_tablets_open(
    lead: Client, tmp_path: Path, settings: Any
) -> None:
    factories.station()
    device, _code = make(lead)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "address").write_text("https://192.0.2.7:8443/line/")
    settings.LOUPE = settings.LOUPE.model_copy(update={"state": tmp_path})
    path = f"{TABLETS}{device.uuid}/code/"
    local = lead.post(path, headers={"Host": "127.0.0.1:8000"})
    assert re.search(r"https://192.0.2.7:8443/line/register/\?code=\d{8}", text(local))
    assert re.search(r"http://testserver/line/register/\?code=\d{8}", text(lead.post(path)))


def test_a_browser_that_is_no_tablet_is_led_from_the_line_to_where_it_becomes_one() -> None:
    assert "Register this tablet" in text(Client().get("/line/", follow=True))
    assert "Register this tablet" not in text(Client().get("/", follow=True))


def test_the_tablets_browser_shows_the_code_and_keeps_the_token_to_itself(lead: Client) -> None:
    device, code = make(lead)
    tablet = Client()
    page = tablet.get(f"/line/register/?code={code}")
    assert f'value="{code}"' in page.content.decode()
    assert devices.COOKIE not in page.cookies
    answer = tablet.post("/line/register/", {"code": code})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/line/")
    cookie = answer.cookies[devices.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert cookie["max-age"] == 400 * 24 * 3600
    assert not cookie["secure"]
    found = devices.by_token(cookie.value)
    assert found == device
    assert "This browser is Tablet 1 already" in text(tablet.get("/line/register/"))


def test_the_cookie_is_sent_over_tls_alone_where_sessions_are(lead: Client, settings: Any) -> None:
    settings.SESSION_COOKIE_SECURE = True
    _device, code = make(lead)
    answer = Client().post("/line/register/", {"code": code})
    assert answer.cookies[devices.COOKIE]["secure"]


def test_a_wrong_code_says_what_to_do(lead: Client) -> None:
    make(lead)
    answer = Client().post("/line/register/", {"code": "00000000"})
    assert answer.status_code == 422
    assert "Ask a lead for a new one" in text(answer)
    assert devices.COOKIE not in answer.cookies


def test_a_lead_makes_his_own_browser_the_tablet(lead: Client) -> None:
    device, _code = make(lead)
    answer = lead.post(f"{TABLETS}{device.uuid}/here/")
    assert answer.headers["Location"] == "/line/line-1:st-1/"
    assert devices.by_token(answer.cookies[devices.COOKIE].value) == device
    page = text(lead.get(TABLETS))
    assert "This browser is Tablet 1" in page
    assert "this browser" in page


def test_the_list_tells_who_is_at_it_and_when_it_was_seen(lead: Client) -> None:
    device, _token = factories.tablet()
    factories.arrive(device, factories.user(Role.OPERATOR, name="olga"))
    page = text(lead.get(TABLETS))
    assert "registered olga" in page
    assert "s ago" in page
    assert "Bring it into the network" not in page


@pytest.mark.parametrize(("minutes", "warned"), [(9, False), (11, True)])
def test_a_tablet_that_keeps_rows_and_is_not_seen_is_named(
    lead: Client, minutes: int, warned: bool
) -> None:
    device, _token = factories.tablet()
    seen = timezone.now() - timedelta(minutes=minutes)
    Device.objects.filter(pk=device.pk).update(unsent=4, seen_at=seen)
    for path in (TABLETS, f"{TABLETS}{device.uuid}/"):
        assert ("Bring it into the network before it is wiped." in text(lead.get(path))) is warned


def test_revoking_and_changing_what_it_keeps_ready(lead: Client) -> None:
    device, token = factories.tablet()
    path = f"{TABLETS}{device.uuid}/"
    assert "It keeps 40 units ready." in text(
        lead.post(f"{path}ahead/", {"ahead": "40"}, follow=True)
    )
    for wrong in ("", "many", "0", "-1", "1" * 12):
        assert lead.post(f"{path}ahead/", {"ahead": wrong}).status_code == 422
    page = text(lead.post(f"{path}revoke/", follow=True))
    assert "is revoked." in page
    assert "Lost or stolen" not in page
    assert devices.by_token(token) is None


def test_the_place_of_held_parts_is_the_stations(lead: Client) -> None:
    station = factories.station()
    assert "Held parts go to: red rack" in text(lead.get(TABLETS))
    path = f"{TABLETS}stations/{station.pk}/place/"
    assert lead.post(path, {"place": " cage 4 "}).status_code == 302
    assert "Held parts go to: cage 4" in text(lead.get(TABLETS))
    assert lead.post(path, {"place": "x" * 65}).status_code == 422


def test_a_persons_pin_is_set_and_never_shown(lead: Client) -> None:
    olga = factories.user(Role.OPERATOR, name="olga")
    assert "olga B-olga no PIN" in text(lead.get(TABLETS))
    path = f"{TABLETS}people/olga/"
    refused = lead.post(f"{path}pin/", {"pin": "1234"})
    assert refused.status_code == 422
    assert 'id="pin-refused"' in refused.text
    taken = factories.user(Role.OPERATOR, name="somebody-else")
    refused = lead.post(f"{path}badge/", {"badge": taken.badge})
    assert refused.status_code in {409, 422}
    assert 'id="badge-refused"' in refused.text
    page = text(lead.post(f"{path}pin/", {"pin": "2580"}, follow=True))
    assert "PIN: set" in page
    assert "2580" not in page
    pin = Pin.objects.get(user=olga)
    at = timezone.now()
    Pin.objects.update(locked_at=at)
    assert f"olga B-olga locked {at:%Y-%m-%d}" in text(lead.get(TABLETS))
    lead.post(f"{path}pin/", {"pin": "8642"})
    pin.refresh_from_db()
    assert pin.locked_at is None


def test_a_persons_badge_is_set_and_people_are_found_by_it(lead: Client) -> None:
    factories.user(Role.OPERATOR, name="olga")
    factories.user(Role.OPERATOR, name="otto")
    page = text(lead.post(f"{TABLETS}people/otto/badge/", {"badge": "0815"}, follow=True))
    assert "The badge is set." in page
    found = text(lead.get(TABLETS, {"who": "0815"}))
    assert "otto" in found
    assert "olga" not in found
    assert "Nobody of this name or badge" in text(lead.get(TABLETS, {"who": "x\u00df%"}))


def test_an_auditor_sees_and_changes_nothing() -> None:
    device, _token = factories.tablet()
    factories.user(Role.OPERATOR, name="olga")
    client = Client()
    client.force_login(factories.user(Role.AUDITOR))
    for path in (TABLETS, f"{TABLETS}{device.uuid}/"):
        page = client.get(path)
        assert page.status_code == 200
        assert b'method="post" action="/tablets/' not in page.content


def test_a_lead_of_one_line_sees_that_line() -> None:
    his = factories.station(factories.line(code="line-7"), "st-7")
    other, _token = factories.tablet(factories.station(code="st-9"))
    client = Client()
    client.force_login(factories.user(Role.LEAD, on=his.line))
    page = text(client.get(TABLETS))
    assert "Station st-7" in page
    assert "st-9" not in page
    assert other.name not in page
    assert client.get(f"{TABLETS}{other.uuid}/").status_code == 404


def test_whoever_is_at_a_tablet_by_badge_may_still_log_in(lead: Client) -> None:
    device, token = factories.tablet()
    factories.arrive(device, factories.user(Role.OPERATOR, name="olga"))
    client = Client()
    client.cookies[devices.COOKIE] = token
    page = client.get("/units/")
    assert "To the station" in text(page)
    assert "Log out" not in text(page)
    assert client.get("/login/").status_code == 200
    given = {"username": "lena", "password": factories.PASSWORD}
    lead.get("/")
    assert client.post("/login/", given).status_code == 302
    assert client.get(TABLETS).status_code == 200
    assert client.get("/login/").status_code == 302


def test_the_demos_badges_stand_on_the_page_of_the_demo_and_nowhere_else(
    lead: Client, settings: Any, tmp_path: Path
) -> None:
    station = factories.station()
    for name in demo_tablets.PINS.keys() - {"lead"}:
        factories.user(Role.OPERATOR, name=name)
    factories.user(Role.LEAD, name="lead")
    settings.LOUPE = settings.LOUPE.model_copy(update={"state": tmp_path})
    for _start in range(2):
        demo_tablets.seed(station, tmp_path, at=timezone.now())
    assert Device.objects.filter(station=station).count() == 1
    said = f"badge B-operator, PIN {demo_tablets.PINS['operator']}"
    assert said not in text(lead.get(TABLETS))
    settings.LOUPE = settings.LOUPE.model_copy(update={"demo": True})
    assert said in text(lead.get(TABLETS))
    device, _token = factories.tablet(station)
    person = User.objects.get(username="operator")
    proven = pins.check(
        person,
        demo_tablets.PINS["operator"],
        by=actor_of(person),
        site_id=device.site_id,
        at=timezone.now(),
    )
    assert proven.user == person


@pytest.mark.parametrize("pin", sorted(demo_tablets.PINS.values()))
def test_the_demos_pins_are_pins(pin: str) -> None:
    assert pins.fault_of(pin, badge="B-operator") == ""
