"""A capture's preview: made once, refused with a reason, and shown to those it concerns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone

from governance.models import User
from governance.roles import Role
from tests import factories
from tests.traceability.pictures import HEIGHT, WIDTH, gradient, written
from traceability import images, previews
from traceability.gateways import object_store
from traceability.gateways.contract import StoreUnavailable
from traceability.gateways.files import FileStore
from traceability.gateways.object_store import ObjectMissing
from traceability.models import Capture
from traceability.refusals import Conflict, Unknown
from traceability.tasks import make_previews, sweep_previews

pytestmark = pytest.mark.django_db

PNG = written(gradient())


@pytest.fixture(autouse=True)
def _state(tmp_path: Path) -> Iterator[None]:
    before = settings.LOUPE.state
    settings.LOUPE.state = tmp_path
    yield
    settings.LOUPE.state = before


def capture(data: bytes | None = PNG, **fields: Any) -> Capture:
    """A capture with these bytes in the store behind it."""
    values = {
        "width": WIDTH,
        "height": HEIGHT,
        "sha256": hashlib.sha256(data or b"").hexdigest(),
        "media_type": "image/png",
        **fields,
    }
    made = factories.capture(**values)
    if data is not None:
        object_store.store(made.bucket).put(made.key, data)
    return made


def made(of: Capture, at: datetime) -> Capture:
    images.make_preview(capture_id=of.pk, at=at)
    of.refresh_from_db()
    return of


def signed_in(role: Role | None, **where: Any) -> Client:
    return client_of(factories.user(role, **where))


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_preview_is_made_and_can_be_made_again(now: datetime) -> None:
    seen = made(capture(), now)
    assert seen.preview == Capture.Preview.READY
    first = images.preview(seen)
    assert first.startswith(b"\xff\xd8\xff")
    assert images.preview(made(seen, now)) == first


def test_the_same_image_is_decoded_once(now: datetime, monkeypatch: Any) -> None:
    made(capture(), now)
    monkeypatch.setattr(previews, "render", lambda *a, **k: pytest.fail("decoded again"))
    assert made(capture(), now).preview == Capture.Preview.READY


@pytest.mark.parametrize(
    ("data", "fields", "sentence"),
    [
        (PNG, {"sha256": "0" * 64}, "SHA-256"),
        (PNG, {"width": 65}, "the event says 65 x 48"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", {}, "no image of a kind"),
        (PNG[:120], {}, "damaged"),
    ],
)
def test_an_unfit_image_is_refused_with_a_sentence(
    now: datetime, data: bytes, fields: dict[str, Any], sentence: str
) -> None:
    seen = made(capture(data, **fields), now)
    assert seen.preview == Capture.Preview.REFUSED
    assert sentence in seen.preview_refusal
    with pytest.raises(Conflict, match=sentence):
        images.preview(seen)


def test_other_bytes_are_refused_even_when_the_named_image_is_known(now: datetime) -> None:
    known = made(capture(), now)
    other = made(capture(written(gradient().rotate(90)), sha256=known.sha256), now)
    assert other.preview == Capture.Preview.REFUSED
    assert made(known, now).preview == Capture.Preview.READY


def test_the_size_is_checked_even_when_the_image_is_known(now: datetime) -> None:
    made(capture(), now)
    assert made(capture(height=47), now).preview == Capture.Preview.REFUSED


def test_a_late_image_is_waited_for_but_not_for_ever(now: datetime) -> None:
    seen = capture(None, sha256=hashlib.sha256(PNG).hexdigest())
    assert made(seen, now + timedelta(minutes=9)).preview == Capture.Preview.PENDING
    assert made(seen, now + timedelta(minutes=10)).preview == Capture.Preview.REFUSED
    assert seen.key in seen.preview_refusal


def test_an_image_that_comes_late_is_shown(now: datetime) -> None:
    seen = capture(None, sha256=hashlib.sha256(PNG).hexdigest())
    made(seen, now)
    object_store.store(seen.bucket).put(seen.key, PNG)
    assert made(seen, now).preview == Capture.Preview.READY


def test_the_original_is_proven_or_refused() -> None:
    assert images.original(capture()) == PNG
    with pytest.raises(ObjectMissing):
        images.original(capture(None))
    with pytest.raises(previews.Unfit):
        images.original(capture(sha256="1" * 64))


def test_an_original_that_is_too_large_is_not_even_read(monkeypatch: Any) -> None:
    seen = capture()
    monkeypatch.setattr(previews, "MOST_BYTES", 10)
    monkeypatch.setattr(
        "traceability.gateways.files.FileStore.read", lambda *a: pytest.fail("read")
    )
    with pytest.raises(previews.Unfit, match="MB"):
        images.original(seen)


def test_the_tasks_make_what_is_asked_and_sweep_what_was_left(now: datetime) -> None:
    asked, left, fresh = capture(), capture(), capture(captured_at=timezone.now())
    make_previews.delay([asked.pk])
    asked.refresh_from_db()
    assert asked.preview == Capture.Preview.READY
    sweep_previews.delay()
    left.refresh_from_db()
    fresh.refresh_from_db()
    assert left.preview == Capture.Preview.READY
    assert fresh.preview == Capture.Preview.PENDING


def test_one_image_that_cannot_be_had_holds_up_no_other(monkeypatch: Any) -> None:
    foreign = capture(None, bucket="nobody-knows-it")
    away, fine = capture(key="away.png"), capture()
    plain = FileStore.size

    def size(store: FileStore, key: str) -> int:
        if key == away.key:
            raise StoreUnavailable("loupe-images", "no answer")
        return plain(store, key)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "size", size)
        make_previews.delay([foreign.pk, away.pk, fine.pk])
    for seen in (foreign, away, fine):
        seen.refresh_from_db()
    assert foreign.preview == Capture.Preview.REFUSED
    assert "nobody-knows-it" in foreign.preview_refusal
    assert (away.preview, fine.preview) == (Capture.Preview.PENDING, Capture.Preview.READY)
    sweep_previews.delay()
    away.refresh_from_db()
    assert away.preview == Capture.Preview.READY


def test_an_address_is_the_same_for_an_hour_and_holds_for_a_shift(now: datetime) -> None:
    seen = capture()
    address = images.address(seen, at=now)
    assert images.address(seen, at=now + timedelta(minutes=59)) == address
    assert images.address(seen, at=now + timedelta(minutes=60)) != address
    token = address.rpartition("/")[2]
    assert images.read_token(token, at=now + timedelta(hours=11, minutes=59)) == seen.uuid
    with pytest.raises(Unknown, match="run out"):
        images.read_token(token, at=now + timedelta(hours=12))


def test_a_forged_address_is_unknown(now: datetime) -> None:
    mine, other = capture(), capture()
    name, until, signature = images.address(mine, at=now).rpartition("/")[2].split(".")
    for token in (
        f"{other.uuid.hex}.{until}.{signature}",
        f"{name}.{int(until, 16) + 60:x}.{signature}",
        f"{name}.{until}.{signature[:-1]}",
        f"{name}.{until}",
        "nonsense",
    ):
        with pytest.raises(Unknown, match="not one of"):
            images.read_token(token, at=now)


def test_those_who_see_units_see_their_images() -> None:
    seen = made(capture(), timezone.now())
    answer = signed_in(Role.OPERATOR).get(images.address(seen, at=timezone.now()))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "image/jpeg"
    assert answer["Cache-Control"] == "private, max-age=300, immutable"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer.content == images.preview(seen)


def test_an_image_that_is_not_ready_is_made_and_asked_for_again() -> None:
    seen = capture()
    client = signed_in(Role.OPERATOR)
    answer = client.get(images.address(seen, at=timezone.now()))
    assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert client.get(images.address(seen, at=timezone.now())).status_code == 200


def test_a_preview_that_was_lost_is_made_again(tmp_path: Path) -> None:
    seen = made(capture(), timezone.now())
    path = object_store.datasets().path(images.preview_key(seen.sha256))
    assert path is not None
    path.unlink()
    client = signed_in(Role.OPERATOR)
    assert client.get(images.address(seen, at=timezone.now())).status_code == 503
    assert client.get(images.address(seen, at=timezone.now())).status_code == 200


def test_a_refused_image_says_why() -> None:
    seen = made(capture(sha256="0" * 64), timezone.now())
    answer = signed_in(Role.OPERATOR).get(
        images.address(seen, at=timezone.now()), headers={"accept": "application/json"}
    )
    assert answer.status_code == 409
    assert "SHA-256" in answer.json()["detail"]


def test_strangers_and_others_do_not_see_an_image() -> None:
    seen = made(capture(), timezone.now())
    address = images.address(seen, at=timezone.now())
    assert Client().get(address).status_code == 302
    assert signed_in(None).get(address).status_code == 403
    assert signed_in(Role.MACHINE).get(address).status_code == 403
    elsewhere = factories.site("plant-2")
    assert signed_in(Role.OPERATOR, at=elsewhere).get(address).status_code == 404
    beside = factories.line(code="line-2")
    assert signed_in(Role.OPERATOR, on=beside).get(address).status_code == 404
    assert signed_in(Role.OPERATOR, on=factories.line()).get(address).status_code == 200


def test_an_image_is_only_read() -> None:
    address = images.address(capture(), at=timezone.now())
    client = signed_in(Role.OPERATOR)
    for send in (client.post, client.put, client.delete):
        assert send(address).status_code == 405
