"""Tiles of large and deep images: made once beside the requests, shown to those it concerns."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from PIL import Image

from governance.roles import Role
from tests import factories
from tests.pictures import grey16_ramp, grey16_values, large_tiff
from tests.traceability.pictures import gradient, png_bomb, written
from tests.traceability.s3 import REGION
from traceability import images, originals, pyramids, rasters
from traceability.addresses import TILES
from traceability.gateways import object_store
from traceability.gateways.contract import StoreUnavailable
from traceability.gateways.files import FileStore
from traceability.models import Capture
from traceability.previews import Unfit
from traceability.refusals import Unknown
from traceability.tasks import make_large, make_previews, sweep_previews

pytestmark = pytest.mark.django_db

RAMP = grey16_ramp("PNG", 1024)


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(settings.LOUPE, "state", tmp_path / "state")


@pytest.fixture(params=["files", "s3"])
def _stores(request: Any, monkeypatch: Any) -> Iterator[None]:
    """Both kinds of store behind the seam."""
    if request.param == "files":
        yield
        return
    names = {"image_buckets": request.getfixturevalue("s3_bucket")}
    monkeypatch.setattr(settings.LOUPE, "storage", "s3")
    monkeypatch.setattr(settings.LOUPE, "aws_endpoint_url", request.getfixturevalue("s3_endpoint"))
    monkeypatch.setattr(settings.LOUPE, "aws_region", REGION)
    monkeypatch.setattr(settings.LOUPE, "image_buckets", list(names.values()))
    monkeypatch.setattr(settings.LOUPE, "dataset_bucket", names["image_buckets"])
    yield


def capture(data: bytes, width: int, height: int, **fields: Any) -> Capture:
    """A capture with these bytes in the store behind it."""
    values = {
        "width": width,
        "height": height,
        "sha256": hashlib.sha256(data).hexdigest(),
        "bucket": object_store.images().bucket,
        **fields,
    }
    made = factories.capture(**values)
    object_store.store(made.bucket).put(made.key, data)
    return made


def ramp(**fields: Any) -> Capture:
    return capture(RAMP, 1024, 1024, **fields)


def large(tmp_path: Path, **fields: Any) -> Capture:
    path = tmp_path / "large.tif"
    large_tiff(path, 4200, height=4000)
    return capture(path.read_bytes(), 4200, 4000, **fields)


def made(of: Capture) -> Capture:
    make_previews.delay([of.pk])
    of.refresh_from_db()
    return of


def client(role: Role | None = Role.OPERATOR, **where: Any) -> Client:
    signed_in = Client()
    signed_in.force_login(factories.user(role, **where))
    return signed_in


def url(of: Capture, rest: str = "0/0_0") -> str:
    return f"/tiles/{TILES.token(of.uuid, at=timezone.now())}/{rest}"


@pytest.mark.usefixtures("_stores")
def test_every_grey_of_a_deep_image_reaches_the_browser() -> None:
    seen = made(ramp())
    assert (seen.preview, seen.tiles) == ("READY", "READY")
    assert (seen.depth, seen.window_low, seen.window_high, seen.tile_levels) == (16, 655, 64880, 2)
    shown = pyramids.shown_of(seen, at=timezone.now())
    assert shown is not None
    assert {name: shown[name] for name in ("size", "levels", "format", "bits", "low", "high")} == {
        "size": 512,
        "levels": 2,
        "format": "grey16",
        "bits": 16,
        "low": 655,
        "high": 64880,
    }
    viewer, values = client(), np.zeros((1024, 1024), dtype=np.int64)
    for column in range(2):
        for row in range(2):
            answer = viewer.get(f"{shown['url']}/1/{column}_{row}")
            assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
            assert answer["Cache-Control"] == "private, max-age=43200, immutable"
            packed = np.asarray(Image.open(io.BytesIO(answer.content)), dtype=np.int64)
            part = packed[..., 0] * 256 + packed[..., 1]
            values[row * 512 : row * 512 + 512, column * 512 : column * 512 + 512] = part
    assert (values == grey16_values(1024)).all()


@pytest.mark.usefixtures("_stores")
def test_a_large_image_is_cut_into_jpeg_tiles(tmp_path: Path) -> None:
    seen = made(large(tmp_path))
    assert (seen.preview, seen.tiles, seen.depth, seen.tile_levels) == ("READY", "READY", 8, 5)
    answer = client().get(url(seen, "4/8_7"))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.content)).size == (4200 - 8 * 512, 4000 - 7 * 512)
    about = pyramids.about(seen.sha256)
    assert about is not None
    assert (about.width, about.height, about.levels, about.format) == (4200, 4000, 5, "jpeg")


def test_an_ordinary_image_needs_no_tiles() -> None:
    seen = made(capture(written(gradient()), 64, 48))
    assert (seen.preview, seen.tiles, seen.depth) == ("READY", "NONE", 8)
    assert pyramids.shown_of(seen, at=timezone.now()) is None
    assert client().get(url(seen)).status_code == 404


def test_the_same_image_is_cut_once(monkeypatch: Any) -> None:
    made(ramp())
    monkeypatch.setattr(rasters, "_asked", lambda *a, **k: pytest.fail("decoded again"))
    again = made(ramp())
    assert (again.preview, again.tiles, again.tile_levels, again.depth) == ("READY", "READY", 2, 16)


def test_a_pyramid_without_its_last_note_is_not_there(now: datetime) -> None:
    seen = ramp()
    images.make_preview(capture_id=seen.pk, at=now)
    seen.refresh_from_db()
    assert seen.tiles == "PENDING"
    folder = f"pyramids/1/{seen.sha256[:2]}/{seen.sha256[2:4]}/{seen.sha256}"
    object_store.datasets().put(f"{folder}/0/0_0.png", b"half")
    assert pyramids.about(seen.sha256) is None
    pyramids.make_tiles(capture_id=seen.pk, at=now)
    assert object_store.datasets().read(f"{folder}/0/0_0.png") != b"half"
    assert pyramids.about(seen.sha256) is not None


def test_other_bytes_than_the_named_ones_make_neither_preview_nor_tiles() -> None:
    known = made(ramp())
    other = made(capture(grey16_ramp("TIFF", 1024), 1024, 1024, sha256=known.sha256))
    assert (other.preview, other.tiles, other.tile_levels) == ("REFUSED", "NONE", 0)
    assert "SHA-256" in other.preview_refusal


def test_a_large_file_that_is_another_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(rasters, "_asked", lambda *a, **k: pytest.fail("decoded"))
    seen = made(large(tmp_path, sha256="0" * 64))
    assert (seen.preview, seen.tiles) == ("REFUSED", "NONE")
    assert "SHA-256" in seen.preview_refusal


def test_the_size_is_checked_even_when_the_pyramid_is_known() -> None:
    made(ramp())
    other = made(capture(RAMP, 1024, 1023))
    assert other.preview == "REFUSED"
    assert "1024 x 1023" in other.preview_refusal


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    seen = made(capture(png_bomb(100_000, 100_000), 100_000, 100_000))
    assert (seen.preview, seen.tiles) == ("REFUSED", "NONE")
    assert "500 megapixels" in seen.preview_refusal


def test_a_file_larger_than_may_be_is_not_read(monkeypatch: Any, tmp_path: Path) -> None:
    seen = large(tmp_path)
    monkeypatch.setattr(settings.LOUPE, "largest_image_mb", 1)
    monkeypatch.setattr(FileStore, "open", lambda *a: pytest.fail("read"))
    assert "at most 1 MB" in made(seen).preview_refusal


def test_small_images_do_not_wait_behind_large_ones(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(make_large, "delay", lambda: None)
    big, small = large(tmp_path), capture(written(gradient()), 64, 48)
    make_previews.delay([big.pk, small.pk])
    big.refresh_from_db()
    small.refresh_from_db()
    assert (big.preview, big.tiles) == ("PENDING", "PENDING")
    assert small.preview == "READY"


def test_no_more_large_images_are_cut_at_once_than_there_may(now: datetime) -> None:
    first, second = ramp(), ramp()
    for one in (first, second):
        pyramids.want(capture_id=one.pk)
    assert pyramids.begin(capture_id=first.pk, at=now)
    assert not pyramids.begin(capture_id=second.pk, at=now)
    assert not pyramids.begin(capture_id=first.pk, at=now)
    pyramids.end(capture_id=first.pk)
    assert pyramids.begin(capture_id=second.pk, at=now)
    # A worker that was killed does not stand in the way for ever.
    assert pyramids.begin(capture_id=first.pk, at=now + pyramids.GIVEN_UP)


def test_an_image_that_outlives_its_workers_is_told_and_left(now: datetime) -> None:
    one = ramp()
    pyramids.want(capture_id=one.pk)
    Capture.objects.filter(pk=one.pk).update(preview="PENDING")
    for number in range(pyramids.MOST_KILLED):
        assert pyramids.begin(capture_id=one.pk, at=now + number * pyramids.GIVEN_UP)
    assert not pyramids.begin(capture_id=one.pk, at=now + pyramids.MOST_KILLED * pyramids.GIVEN_UP)
    one.refresh_from_db()
    assert (one.tiles, one.preview) == ("REFUSED", "REFUSED")
    assert "longer" in one.preview_refusal


def test_what_a_killed_worker_left_is_swept(now: datetime, monkeypatch: Any) -> None:
    seen = ramp()
    images.make_preview(capture_id=seen.pk, at=now)
    Capture.objects.filter(pk=seen.pk).update(making_since=timezone.now() - timedelta(minutes=12))
    sweep_previews.delay()
    seen.refresh_from_db()
    assert (seen.tiles, seen.making_since) == ("READY", None)


def test_a_store_that_is_away_leaves_the_tiles_for_later(monkeypatch: Any) -> None:
    seen = ramp()
    with monkeypatch.context() as patch:

        def away(*_arguments: Any, **_options: Any) -> None:
            raise StoreUnavailable("loupe-datasets", "no answer")

        patch.setattr(pyramids, "_kept", away)
        assert made(seen).tiles == "PENDING"
        assert (seen.preview, seen.making_since) == ("READY", None)
    sweep_previews.delay()
    seen.refresh_from_db()
    assert seen.tiles == "READY"


def test_an_image_that_cannot_be_cut_keeps_its_preview(monkeypatch: Any) -> None:
    def unfit(*_arguments: Any, **_options: Any) -> None:
        raise Unfit("too much")

    monkeypatch.setattr(rasters, "cut", unfit)
    seen = made(ramp())
    assert (seen.preview, seen.tiles) == ("READY", "REFUSED")


def test_the_original_is_streamed_in_pieces(tmp_path: Path, monkeypatch: Any) -> None:
    seen = large(tmp_path)
    monkeypatch.setattr(FileStore, "read", lambda *a: pytest.fail("read whole"))
    with originals.streamed(seen) as file:
        assert hashlib.sha256(file.read()).hexdigest() == seen.sha256


def test_tiles_that_are_not_there_are_asked_for_again_or_unknown() -> None:
    seen = made(ramp())
    viewer = client()
    for rest in ("2/0_0", "1/2_0", "1/0_2", "0/1_0", "99999999999999999999/0_0"):
        assert viewer.get(url(seen, rest)).status_code == 404, rest
    Capture.objects.filter(pk=seen.pk).update(tiles="PENDING", tile_levels=0)
    assert viewer.get(url(seen)).status_code == 503
    assert viewer.get(url(seen)).status_code == 200


def test_tiles_that_were_deleted_are_cut_again() -> None:
    seen = made(ramp())
    viewer = client()
    before = viewer.get(url(seen)).content
    folder = f"pyramids/1/{seen.sha256[:2]}/{seen.sha256[2:4]}/{seen.sha256}"
    path = object_store.datasets().path(f"{folder}/0/0_0.png")
    assert path is not None
    path.unlink()
    assert viewer.get(url(seen)).status_code == 503
    assert viewer.get(url(seen)).content == before


def test_strangers_and_others_do_not_see_tiles() -> None:
    seen = made(ramp())
    assert Client().get(url(seen)).status_code == 302
    assert client(None).get(url(seen)).status_code == 403
    assert client(at=factories.site("plant-2")).get(url(seen)).status_code == 404
    assert client(on=factories.line(code="line-2")).get(url(seen)).status_code == 404
    token = url(seen).split("/")[2]
    assert client().get(f"/tiles/{token[:-1]}x/0/0_0").status_code == 404
    image = images.address(seen, at=timezone.now()).rpartition("/")[2]
    assert client().get(f"/tiles/{image}/0/0_0").status_code == 404
    assert client().post(url(seen)).status_code == 405


def test_an_address_of_tiles_holds_for_half_a_day(now: datetime) -> None:
    token = TILES.token(factories.capture().uuid, at=now)
    assert TILES.token(TILES.read(token, at=now), at=now + timedelta(minutes=59)) == token
    TILES.read(token, at=now + timedelta(hours=11))
    with pytest.raises(Unknown, match="run out"):
        TILES.read(token, at=now + timedelta(hours=12))


def test_who_came_too_early_is_told_when_the_pictures_are_there() -> None:
    seen = ramp()
    viewer, address = client(), images.address(seen, at=timezone.now()) + "/about"
    early = viewer.get(address)
    assert (early.status_code, early["Cache-Control"]) == (200, "no-store")
    assert early.json() == {
        "preview": "PENDING",
        "width": 1024,
        "height": 1024,
        "tiles": None,
        "tiles_state": "NONE",
    }
    images.make_preview(capture_id=seen.pk, at=timezone.now())
    meanwhile = viewer.get(address).json()
    assert [meanwhile[k] for k in ("preview", "tiles", "tiles_state")] == ["READY", None, "PENDING"]
    made(seen)
    late = viewer.get(address).json()
    assert (late["tiles_state"], late["tiles"]["bits"]) == ("READY", 16)
    assert client(at=factories.site("plant-2")).get(address).status_code == 404
    refused = made(ramp(sha256="0" * 64))
    about = viewer.get(images.address(refused, at=timezone.now()) + "/about")
    assert (about.status_code, about.json()["preview"]) == (200, "REFUSED")


@pytest.mark.slow
def test_an_image_of_400_megapixels_is_cut_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "400.tif"
    large_tiff(path, 20_000)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(2**22):
            digest.update(piece)
    seen = factories.capture(width=20_000, height=20_000, sha256=digest.hexdigest())
    there = object_store.store(seen.bucket).path(seen.key)
    assert there is not None
    there.parent.mkdir(parents=True)
    path.rename(there)
    make_previews.delay([seen.pk])
    seen.refresh_from_db()
    assert (seen.preview, seen.tiles, seen.tile_levels) == ("READY", "READY", 7)
    assert not seen.learnable
    viewer = client()
    # What a stage of 1440 x 900 asks for first.
    answers = [viewer.get(url(seen, f"2/{c}_{r}")) for c in range(3) for r in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    moved = sum(len(answer.content) for answer in answers)
    assert moved < 3_000_000
