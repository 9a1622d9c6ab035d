"""Foreign images: what is shown is written anew, what is hostile is refused with a sentence."""

from __future__ import annotations

import io
import random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.traceability import pictures
from tests.traceability.pictures import HEIGHT, SECRET, WIDTH, gradient, written
from traceability import previews
from traceability.previews import Unfit, render

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\nshowpage\n%%EOF\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><script/></svg>'


def shown(data: bytes, width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    image = Image.open(io.BytesIO(render(data, width=width, height=height)), formats=["JPEG"])
    image.load()
    return image


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_the_pixels_of_every_format_are_shown(kind: str) -> None:
    got = np.asarray(shown(written(gradient(), kind)).convert("RGB"), dtype=int)
    assert np.abs(got - np.asarray(gradient(), dtype=int)).mean() < 4


def test_a_large_image_is_shown_with_2048_pixels_at_most() -> None:
    for kind in ("JPEG", "PNG"):
        assert shown(written(gradient(4400, 300), kind), 4400, 300).size == (2048, 140)


@pytest.mark.parametrize(("orientation", "corner"), [(3, (63, 47)), (6, (47, 0)), (8, (0, 63))])
def test_an_image_on_its_side_is_shown_upright(orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.paste((255, 255, 255), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = (WIDTH, HEIGHT) if orientation == 3 else (HEIGHT, WIDTH)
    got = shown(written(image, "JPEG", exif=exif), *size)
    assert got.size == size
    assert np.asarray(got.convert("L"))[corner[1], corner[0]] > 200


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_every_way_a_camera_can_be_held_ends_upright(kind: str, orientation: int) -> None:
    upright = pictures.quarters(WIDTH, 2 * HEIGHT)
    got = shown(pictures.lying(upright, kind, orientation), WIDTH, 2 * HEIGHT)
    assert np.abs(np.asarray(got.convert("L"), dtype=int) - upright).mean() < 6


def test_the_size_is_that_of_the_upright_image() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = written(gradient(), "JPEG", exif=exif)
    with pytest.raises(Unfit, match="48 x 64 pixels, the event says 64 x 48"):
        render(data, width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_kind_of_pixel_is_shown(mode: str) -> None:
    image = gradient().convert("L").convert(mode) if mode == "I;16" else gradient().convert(mode)
    got = shown(written(image, "TIFF"))
    assert got.mode in ("L", "RGB")
    assert np.asarray(got).std() > 10


def test_a_dim_16_bit_grey_is_stretched_so_that_it_can_be_seen() -> None:
    dim = np.linspace(1000, 1400, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        pixels = np.asarray(shown(written(Image.fromarray(dim), kind)))
        assert pixels.min() < 10
        assert pixels.max() > 245


def test_a_flat_16_bit_grey_is_shown_all_the_same() -> None:
    flat = Image.fromarray(np.full((HEIGHT, WIDTH), 5000, np.uint16))
    assert shown(written(flat, "PNG")).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "data",
    [
        pictures.with_gps_and_comment(),
        pictures.png_with_text(),
        written(gradient(), "JPEG") + b"PK\x03\x04" + SECRET,
        written(gradient(), "PNG") + SECRET,
        written(gradient(), "BMP") + SECRET,
    ],
    ids=["jpeg with exif, comment and icc", "png with text", "jpeg+zip", "png tail", "bmp tail"],
)
def test_nothing_but_the_pixels_survives(data: bytes) -> None:
    assert SECRET in data
    preview = render(data, width=WIDTH, height=HEIGHT)
    assert SECRET not in preview
    image = Image.open(io.BytesIO(preview))
    assert not image.getexif()
    assert "comment" not in image.info
    assert "icc_profile" not in image.info


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (EPS, "no image of a kind"),
        (SVG, "no image of a kind"),
        (written(gradient(), "GIF"), "no image of a kind"),
        (written(gradient(), "ICO"), "no image of a kind"),
        (b"", "no image of a kind"),
        (b"\xff\xd8\xff\xe0" + bytes(50), "no image of a kind|damaged"),
        (written(gradient(), "JPEG")[:400], "damaged|no image"),
        (written(gradient(), "PNG")[:120], "damaged"),
        (written(gradient(), "TIFF")[:60], "damaged|no image"),
        (pictures.many_frames("TIFF"), "several images"),
        (pictures.many_frames("WEBP"), "several images"),
        (pictures.many_frames("PNG"), "several images"),
        (pictures.many_frames("MPO"), "several images|no image"),
        (written(gradient(65, 48), "PNG"), "65 x 48 pixels, the event says 64 x 48"),
    ],
)
def test_what_is_no_single_whole_image_is_refused(data: bytes, sentence: str) -> None:
    with pytest.raises(Unfit, match=sentence):
        render(data, width=WIDTH, height=HEIGHT)
    if "damaged" not in sentence:
        with pytest.raises(Unfit, match=sentence):
            previews.check_header(data, width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize("side", [7100, 10_000, 14_000, 30_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int, monkeypatch: Any) -> None:
    bomb = pictures.png_bomb(side, side)
    assert len(bomb) < 10_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(Unfit, match="50 megapixels"):
        render(bomb, width=side, height=side)


def test_more_bytes_than_a_camera_sends_are_refused(monkeypatch: Any) -> None:
    monkeypatch.setattr(previews, "MOST_BYTES", 1000)
    with pytest.raises(Unfit, match="MB"):
        render(written(gradient(), "BMP"), width=WIDTH, height=HEIGHT)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_a_file_broken_anywhere_is_shown_or_refused_but_never_a_fault(kind: str) -> None:
    whole = written(gradient(), kind)
    dice = random.Random(kind)
    for _turn in range(120):
        broken = bytearray(whole)
        for _hit in range(dice.randint(1, 6)):
            broken[dice.randrange(min(len(broken), 400))] = dice.randrange(256)
        del broken[dice.randrange(len(broken) // 2, len(broken) + 1) :]
        try:
            preview = render(bytes(broken), width=WIDTH, height=HEIGHT)
        except Unfit:
            continue
        assert preview.startswith(b"\xff\xd8\xff")
