"""The image at the bench: moved, turned, lit, compared; on a desk, a tablet and a phone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.utils import timezone
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import CDPSession, FloatRect, Page, expect

from governance.models import User
from review.models import ReviewTask
from tests import factories, pictures
from tests.functional.conftest import Enter
from tests.functional.test_bench import SIZES, next_after, ready
from traceability import images, pyramids, references
from traceability.gateways import object_store
from traceability.models import Capture

SCREENS = ["desk", "tablet", "phone"]
Waiting = Callable[..., ReviewTask]


def put(
    capture: Capture, data: bytes, *, media_type: str = "image/png", is_cut: bool = True
) -> Capture:
    """The image behind a capture, with its preview and, where it needs them, its tiles."""
    with Image.open(io.BytesIO(data)) as image:
        turned = image.getexif().get(0x0112, 1) > 4
        width, height = image.size[::-1] if turned else image.size
    object_store.store(capture.bucket).put(capture.key, data)
    sha256 = hashlib.sha256(data).hexdigest()
    facts = {"sha256": sha256, "width": width, "height": height, "media_type": media_type}
    Capture.objects.filter(pk=capture.pk).update(**facts)
    images.make_preview(capture_id=capture.pk, at=timezone.now())
    if is_cut:
        pyramids.make_tiles(capture_id=capture.pk, at=timezone.now())
    capture.refresh_from_db()
    assert capture.preview == Capture.Preview.READY, capture.preview_refusal
    return capture


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def noise(width: int = 480, height: int = 360) -> bytes:
    """No two neighbours alike, as far as chance goes."""
    values = np.random.default_rng(3).integers(0, 256, (height, width), dtype=np.uint8)
    return encoded(Image.fromarray(values))


@pytest.fixture
def waiting() -> Waiting:
    """Makes one waiting unit with this image and what belongs to it."""

    def make(
        data: bytes,
        *,
        golden: bytes | None = None,
        is_heated: bool = False,
        is_cut: bool = True,
        **fields: Any,
    ) -> ReviewTask:
        seen = factories.inspection()
        capture = put(factories.capture(seen), data, is_cut=is_cut)
        factories.prediction(capture, **fields)
        if is_heated:
            factories.heat_map(capture)
        if golden is not None:
            model = put(factories.capture(factories.inspection(seen.unit)), golden)
            references.set_reference(capture=model, by="qe", at=timezone.now())
        return factories.task(seen, at=timezone.now())

    return make


def sheet(page: Page, selector: str = "#sheet") -> FloatRect:
    """Where the image lies on the page, once nothing moves any more."""
    settle(page)
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box


def settle(page: Page) -> None:
    """Let what was asked for be painted."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def middle(page: Page) -> tuple[float, float]:
    box = page.locator("#stage").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def seen(page: Page, x: float, y: float, width: int = 1, height: int = 1) -> NDArray[np.uint8]:
    """Pixels of the screen, grey."""
    settle(page)
    clip: FloatRect = {"x": x, "y": y, "width": width, "height": height}
    with Image.open(io.BytesIO(page.screenshot(clip=clip, scale="css"))) as shot:
        return np.asarray(shot.convert("L"))


@pytest.mark.parametrize("screen", SCREENS)
def test_the_image_fits_goes_one_to_one_and_turns(
    enter: Enter, waiting: Waiting, inspector: User, screen: str
) -> None:
    waiting(noise())
    page = enter(inspector, device_scale_factor=2, **SIZES[screen])
    ready(page)
    stage = page.locator("#stage").bounding_box()
    assert stage is not None
    fitted = sheet(page)
    assert fitted["x"] >= stage["x"]
    assert fitted["y"] >= stage["y"]
    assert fitted["width"] <= stage["width"]
    page.keyboard.press("1")
    actual = sheet(page)
    assert (actual["width"] * 2, actual["height"] * 2) == pytest.approx((480, 360))
    assert actual["x"] * 2 == pytest.approx(round(actual["x"] * 2))
    page.keyboard.press("BracketRight")
    turned = sheet(page)
    assert (turned["width"] * 2, turned["height"] * 2) == pytest.approx((360, 480))
    page.keyboard.press("BracketLeft")
    assert sheet(page) == pytest.approx(actual)
    page.keyboard.press("0")
    assert sheet(page) == pytest.approx(fitted)


def test_keys_and_wheel_move_the_image(enter: Enter, waiting: Waiting, inspector: User) -> None:
    waiting(noise())
    page = enter(inspector)
    ready(page)
    before = sheet(page)
    page.keyboard.press("+")
    larger = sheet(page)
    assert larger["width"] == pytest.approx(before["width"] * 1.25, rel=0.001)
    page.keyboard.press("ArrowLeft")
    assert sheet(page)["x"] == pytest.approx(larger["x"] + 60)
    page.keyboard.press("0")
    x, y = before["x"] + before["width"] * 0.25, before["y"] + before["height"] * 0.5
    page.mouse.move(x, y)
    page.mouse.wheel(0, -400)
    zoomed = sheet(page)
    # What is under the pointer stays under it.
    assert (x - zoomed["x"]) / zoomed["width"] == pytest.approx(0.25, abs=0.001)
    page.mouse.down()
    page.mouse.move(x + 37, y - 21)
    page.mouse.up()
    moved = sheet(page)
    assert (moved["x"], moved["y"]) == pytest.approx((zoomed["x"] + 37, zoomed["y"] - 21), abs=1)


def test_a_large_zoom_shows_the_pixels_as_they_are(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    waiting(noise())
    page = enter(inspector)
    ready(page)
    page.locator("#stage").focus()
    assert alike(page) < 0.5
    for _time in range(9):
        page.keyboard.press("+")
    assert sheet(page)["width"] > 480 * 5
    assert alike(page) > 0.75


def alike(page: Page) -> float:
    """Share of neighbouring pixels on the screen that are exactly the same."""
    x, y = middle(page)
    pixels = seen(page, x - 60, y - 40, 120, 80)
    return float((pixels[:, 1:] == pixels[:, :-1]).mean())


def test_an_image_that_says_how_it_was_held_stands_upright(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    picture = Image.new("L", (480, 360), 40)
    picture.paste(220, (0, 0, 240, 360))
    exif = Image.Exif()
    # To be turned clockwise by 90 degrees: what is left in the file is above on the screen.
    exif[0x0112] = 6
    task = waiting(encoded(picture, "JPEG", exif=exif, quality=95))
    assert task.inspection.captures.get().width == 360
    page = enter(inspector)
    ready(page)
    box = sheet(page)
    assert box["width"] / box["height"] == pytest.approx(0.75, abs=0.01)
    x = box["x"] + box["width"] / 2
    assert seen(page, x, box["y"] + box["height"] * 0.25)[0, 0] > 200
    assert seen(page, x, box["y"] + box["height"] * 0.75)[0, 0] < 60


def test_light_changes_an_8_bit_image_and_is_remembered_for_the_defect(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    flat = encoded(Image.new("L", (480, 360), 100))
    first = waiting(flat)
    waiting(encoded(Image.new("L", (480, 360), 101)))
    page = enter(inspector)
    ready(page)
    x, y = middle(page)
    assert int(seen(page, x, y)[0, 0]) == pytest.approx(100, abs=1)
    page.keyboard.press("i")
    assert int(seen(page, x, y)[0, 0]) == pytest.approx(155, abs=1)
    expect(page.locator("#light-changed")).to_be_visible()
    page.keyboard.press("i")
    page.keyboard.press("l")
    # By keyboard alone: the first slider has the focus, each arrow is one step.
    for _time in range(20):
        page.keyboard.press("ArrowRight")
    assert int(seen(page, x, y)[0, 0]) == pytest.approx(151, abs=2)
    expect(page.get_by_label("Brightness as a number")).to_have_value("20")
    page.keyboard.press("Escape")
    expect(page.locator("#light-panel")).to_be_hidden()
    page.keyboard.press("a")
    next_after(page, str(first.uuid))
    assert int(seen(page, x, y)[0, 0]) == pytest.approx(152, abs=2)
    page.keyboard.press("l")
    page.get_by_role("button", name="As it came").click()
    assert int(seen(page, x, y)[0, 0]) == pytest.approx(101, abs=1)


def test_window_and_level_reach_every_single_level_of_16_bits(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    waiting(pictures.grey16_ramp())
    page = enter(inspector)
    ready(page)
    page.keyboard.press("l")
    expect(page.get_by_label("Level as a number")).to_be_visible()
    page.get_by_label("Window as a number").fill("1")
    box = sheet(page)
    for level in (1, 254, 256, 257, 4095, 32_768, 51_234, 65_534):
        page.get_by_label("Level as a number").fill(str(level))
        expect(page.get_by_label("Level", exact=True)).to_have_value(str(level))
        assert [grey(page, box, value) for value in (level - 1, level, level + 1)] == [0, 128, 255]
    page.locator("[data-light-invert]").check()
    assert [grey(page, box, value) for value in (65_533, 65_534, 65_535)] == [255, 128, 0]


def grey(page: Page, box: FloatRect, value: int) -> int:
    """What the ramp's pixel of this value is on the screen."""
    scale = box["width"] / 256
    at = {"x": (value % 256 + 0.5) * scale + box["x"], "y": (value // 256 + 0.5) * scale + box["y"]}
    is_tiled(page, (at["x"], at["y"]))
    found: int = page.evaluate(
        """({x, y}) => { const canvas = document.querySelector("#stage .tiles canvas");
          const box = canvas.getBoundingClientRect();
          return canvas.getContext("2d").getImageData(x - box.x, y - box.y, 1, 1).data[0]; }""",
        at,
    )
    return found


def is_tiled(page: Page, *places: tuple[float, float]) -> None:
    """Wait until tiles lie over these places of the screen."""
    page.wait_for_function("() => document.querySelector('#stage .tiles canvas')?.width > 0")
    page.wait_for_function(
        """(places) => new Promise(done => requestAnimationFrame(() => {
          const canvas = document.querySelector("#stage .tiles canvas");
          const box = canvas.getBoundingClientRect();
          done(places.every(([x, y]) =>
            canvas.getContext("2d").getImageData(x - box.x, y - box.y, 1, 1).data[3] === 255));
        }))""",
        arg=[list(place) for place in places],
    )
    settle(page)


def test_the_preview_of_a_16_bit_image_and_its_tiles_look_alike(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    waiting(pictures.grey16_xray())
    page = enter(inspector)
    ready(page)
    box = sheet(page)
    area = (box["x"] + 40, box["y"] + 40, 300, 200)
    preview = seen(page, *area).astype(int)
    expect(page.locator("#stage .picture .tiles").first).to_be_hidden()
    # Twice inverted is as before, but a step of the level asks for the tiles.
    page.keyboard.press("l")
    page.get_by_label("Level", exact=True).press("ArrowRight")
    expect(page.locator("#stage .picture .tiles").first).to_be_visible()
    page.keyboard.press("Escape")
    x, y, width, height = area
    is_tiled(page, (x, y), (x + width, y), (x, y + height), (x + width, y + height))
    tiles = seen(page, *area).astype(int)
    assert np.abs(preview - tiles).mean() < 4


def test_tiles_that_are_still_being_cut_come_to_the_unit_on_the_screen(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    # Of a size no other test cuts: tiles are kept by the image's hash, beyond one test.
    task = waiting(pictures.grey16_xray(880, 690), is_cut=False)
    page = enter(inspector)
    ready(page)
    page.keyboard.press("l")
    expect(page.get_by_label("Brightness", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    capture = Capture.objects.get(inspection=task.inspection_id)
    pyramids.make_tiles(capture_id=capture.pk, at=timezone.now())
    page.keyboard.press("l")
    expect(page.get_by_label("Level", exact=True)).to_be_visible()


def test_a_closer_look_than_the_preview_allows_cuts_the_image(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    task = waiting(noise(2600, 1900))
    capture = Capture.objects.get(inspection=task.inspection_id)
    assert capture.tiles == Capture.Tiles.NONE
    page = enter(inspector, device_scale_factor=1)
    ready(page)
    sheet(page)
    assert Capture.objects.get(pk=capture.pk).tiles == Capture.Tiles.NONE
    with page.expect_response("**/tiles/**"):
        page.keyboard.press("1")
    expect(page.locator("#stage .picture .tiles").first).to_be_visible()
    assert Capture.objects.get(pk=capture.pk).tiles == Capture.Tiles.READY


def test_tiles_sharpen_what_the_preview_cannot_show(
    enter: Enter, waiting: Waiting, inspector: User, tmp_path: Any
) -> None:
    path = tmp_path / "plate.tif"
    pictures.large_tiff(path, 4200)
    waiting(path.read_bytes())
    page = enter(inspector, device_scale_factor=1)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    ready(page)
    sheet(page)
    assert not [url for url in asked if "/tiles/" in url]
    page.keyboard.press("1")
    box = sheet(page)
    assert box["width"] == pytest.approx(4200)
    # The mark's first corner lies in the very middle of the image.
    x, y = round(box["x"] + 2100), round(box["y"] + 2100)
    is_tiled(page, (x - 6, y - 6), (x + 6, y - 6), (x - 6, y + 6), (x + 6, y + 6))
    tiles = [url for url in asked if "/tiles/" in url]
    assert 0 < len(tiles) <= 16
    around = seen(page, x - 6, y - 6, 12, 12)
    assert around[7:, 7:].min() > 225
    assert around[:5, :].max() < 225
    assert around[:, :5].max() < 225


@pytest.mark.parametrize("screen", SCREENS)
def test_the_golden_image_stays_in_step_from_both_sides(
    enter: Enter, waiting: Waiting, inspector: User, screen: str
) -> None:
    waiting(noise(), golden=noise(960, 720))
    page = enter(inspector, **SIZES[screen])
    ready(page)
    page.keyboard.press("g")
    golden = page.locator("#golden")
    expect(golden.locator("img")).to_be_visible()
    in_step(page)
    place = golden.bounding_box()
    assert place is not None
    for x, y in ((place["x"] + 60, place["y"] + 70), (middle(page)[0] / 2, place["y"] + 50)):
        page.mouse.move(x, y)
        page.mouse.wheel(0, -300)
        in_step(page)
        page.mouse.down()
        page.mouse.move(x - 23, y + 31)
        page.mouse.up()
        in_step(page)
    page.keyboard.press("BracketRight")
    in_step(page)
    page.keyboard.press("1")
    in_step(page)
    page.keyboard.press("g")
    expect(golden).to_be_hidden()


def in_step(page: Page) -> None:
    """The same share of both images lies at the same place, to one CSS pixel."""
    one, two = sheet(page), sheet(page, "#golden .sheet")
    stage, place = page.locator("#stage").bounding_box(), page.locator("#golden").bounding_box()
    assert stage is not None
    assert place is not None
    border = page.evaluate("() => { const {clientLeft: x, clientTop: y} = golden; return [x, y]; }")
    for edge, size, index in (("x", "width", 0), ("y", "height", 1)):
        here = (one[edge] - stage[edge], one[size])  # type: ignore[literal-required]
        there = (two[edge] - place[edge] - border[index], two[size])  # type: ignore[literal-required]
        assert there == pytest.approx(here, abs=1)


def test_the_heat_map_lies_on_the_image_and_hides_with_the_models_opinion(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    waiting(noise(), is_heated=True)
    page = enter(inspector)
    ready(page)
    expect(page.locator("#heat")).to_be_hidden()
    page.keyboard.press("h")
    expect(page.locator("#heat img")).to_be_visible()
    page.keyboard.press("+")
    assert sheet(page, "#heat") == pytest.approx(sheet(page))
    page.keyboard.press("m")
    expect(page.locator("#heat")).to_be_hidden()


def test_what_a_unit_does_not_have_has_no_button(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    waiting(noise())
    page = enter(inspector)
    ready(page)
    for name in ("golden", "heatmap", "zones"):
        expect(page.locator(f"#{name}-toggle")).to_be_hidden()
    page.keyboard.press("g")
    expect(page.locator("#golden")).to_be_hidden()


@pytest.mark.parametrize("screen", ["tablet", "phone"])
def test_two_fingers_zoom_about_what_lies_between_them(
    enter: Enter, waiting: Waiting, inspector: User, screen: str
) -> None:
    waiting(noise())
    page = enter(inspector, **SIZES[screen])
    ready(page)
    before = sheet(page)
    x, y = before["x"] + before["width"] * 0.4, before["y"] + before["height"] * 0.4
    cdp = page.context.new_cdp_session(page)
    touch(cdp, "touchStart", [(x - 30, y), (x + 30, y)])
    for step in range(1, 7):
        touch(cdp, "touchMove", [(x - 30 - step * 5, y), (x + 30 + step * 5, y)])
        settle(page)
    touch(cdp, "touchEnd", [])
    after = sheet(page)
    assert after["width"] / before["width"] == pytest.approx(2, rel=0.02)
    assert (x - after["x"]) / after["width"] == pytest.approx(0.4, abs=0.01)
    assert (y - after["y"]) / after["height"] == pytest.approx(0.4, abs=0.01)


def touch(cdp: CDPSession, kind: str, points: list[tuple[float, float]]) -> None:
    fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
    cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})


def test_a_tablet_that_is_turned_shows_the_image_whole_again(
    enter: Enter, waiting: Waiting, inspector: User
) -> None:
    waiting(noise(), golden=noise(960, 720))
    page = enter(inspector, **SIZES["tablet"])
    ready(page)
    page.keyboard.press("g")
    expect(page.locator("#golden img")).to_be_visible()
    page.set_viewport_size({"width": 768, "height": 1024})
    settle(page)
    in_step(page)
    stage, box = page.locator("#stage").bounding_box(), sheet(page)
    assert stage is not None
    assert box["x"] >= stage["x"]
    assert box["x"] + box["width"] <= stage["x"] + stage["width"]
