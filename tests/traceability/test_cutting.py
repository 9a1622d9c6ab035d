"""Large and deep images: every level right, every grey kept, nothing hostile let through."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
import pyvips
from django.conf import settings
from numpy.typing import NDArray
from PIL import Image

from tests.pictures import grey16_ramp, grey16_values, grey16_xray, large_tiff
from tests.traceability.pictures import lying, many_frames, png_bomb, quarters, written
from traceability import pyramids, rasters
from traceability.previews import Unfit

Cut = dict[tuple[int, int, int], bytes]


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Any]:
    """Bytes or a path as an open file."""
    opened: list[IO[bytes]] = []

    def give(content: bytes | Path) -> IO[bytes]:
        if isinstance(content, bytes):
            path = tmp_path / f"{len(opened)}"
            path.write_bytes(content)
        else:
            path = content
        opened.append(path.open("rb"))
        return opened[-1]

    yield give
    for file in opened:
        file.close()


def cut(file: IO[bytes], width: int, height: int) -> Cut:
    with rasters.cut(file, width=width, height=height) as tiles:
        return {(tile.level, tile.column, tile.row): tile.data for tile in tiles}


def whole(tiles: Cut, level: int) -> NDArray[Any]:
    """One level put together again."""
    parts = {place[1:]: data for place, data in tiles.items() if place[0] == level}
    columns, rows = (max(place[axis] for place in parts) + 1 for axis in (0, 1))
    decoded = {place: np.asarray(Image.open(io.BytesIO(data))) for place, data in parts.items()}
    return np.vstack(
        [np.hstack([decoded[column, row] for column in range(columns)]) for row in range(rows)]
    )


def greys(packed: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The values a browser reads out of red and green."""
    assert not packed[..., 2].any()
    return packed[..., 0].astype(np.int64) * 256 + packed[..., 1]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("side", [256, 1024])
def test_all_65536_greys_come_back_from_the_tiles(stored: Any, kind: str, side: int) -> None:
    tiles = cut(stored(grey16_ramp(kind, side)), side, side)
    packed = {place: rasters.grey16(data) for place, data in tiles.items()}
    values = greys(whole(packed, pyramids.levels_of(side, side) - 1))
    assert (values == grey16_values(side)).all()
    assert len(np.unique(values)) == 65536


def test_a_coarse_level_of_a_deep_image_is_the_mean(stored: Any) -> None:
    tiles = cut(stored(grey16_ramp("PNG", 1024)), 1024, 1024)
    coarse = greys(whole({place: rasters.grey16(data) for place, data in tiles.items()}, 0))
    assert coarse.shape == (512, 512)
    assert np.abs(coarse - grey16_values(512).astype(np.int64)).max() <= 1


def test_the_window_is_the_1st_to_the_99th_percentile_and_12_bits_are_seen(stored: Any) -> None:
    ramp = rasters.look(stored(grey16_ramp()), width=256, height=256)
    assert (ramp.depth, ramp.low, ramp.high) == (16, 655, 64880)
    plate = rasters.look(stored(grey16_xray()), width=900, height=700)
    assert plate.depth == 12
    assert 800 < plate.low < plate.high < 4096


def test_a_flat_deep_image_has_a_window_all_the_same(stored: Any) -> None:
    for value in (0, 700, 65535):
        flat = written(Image.fromarray(np.full((40, 60), value, dtype=np.uint16)))
        look = rasters.look(stored(flat), width=60, height=40)
        assert 0 <= look.low < look.high <= 65535


def test_white_is_zero_is_shown_as_it_is_meant(stored: Any, tmp_path: Path) -> None:
    large_tiff(tmp_path / "plain.tif", 300, height=200, bits=16)
    raw = bytearray((tmp_path / "plain.tif").read_bytes())
    at = raw.index(struct.pack("<HHI", 262, 3, 1))
    raw[at + 8 : at + 12] = struct.pack("<I", 0)
    plain = rasters.look(stored(tmp_path / "plain.tif"), width=300, height=200)
    turned = rasters.look(stored(bytes(raw)), width=300, height=200)
    assert turned.low == 65535 - plain.high


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "TIFF", "PNG", "WEBP"])
def test_an_image_on_its_side_is_upright_in_preview_and_tiles(
    stored: Any, kind: str, orientation: int
) -> None:
    upright = quarters()
    data = lying(upright, kind, orientation)
    height, width = upright.shape
    file = stored(data)
    look = rasters.look(file, width=width, height=height)
    shown = np.asarray(Image.open(io.BytesIO(look.preview)).convert("L"), dtype=int)
    tiles = cut(file, width, height)
    full = np.asarray(Image.fromarray(whole(tiles, 2)).convert("L"), dtype=int)
    for got in (shown, full):
        assert got.shape == upright.shape
        assert np.abs(got - upright.astype(int)).mean() < 3
    assert (height, width) == (1100, 700)
    with pytest.raises(Unfit, match="the event says 1100 x 700"):
        rasters.look(file, width=height, height=width)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_image_on_its_side_keeps_its_greys(stored: Any, orientation: int) -> None:
    upright = (np.arange(300 * 500) % 65536).astype(np.uint16).reshape(500, 300)
    file = stored(lying(upright, "TIFF", orientation))
    tiles = {place: rasters.grey16(data) for place, data in cut(file, 300, 500).items()}
    assert (greys(whole(tiles, 0)) == upright).all()


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "lzw", "tile": True, "tile_width": 256, "tile_height": 256},
        {"compression": "deflate", "tile": False},
        {"compression": "lzw", "bigtiff": True},
        {"compression": "jpeg", "tile": True, "Q": 95},
        {"compression": "deflate", "predictor": "horizontal", "rgb": True},
        {"tile": True, "bigtiff": True, "rgb": True},
    ],
)
def test_tiff_in_all_its_layouts_is_cut(
    stored: Any, tmp_path: Path, options: dict[str, Any]
) -> None:
    large_tiff(tmp_path / "plain.tif", 1500, height=1300)
    image = pyvips.Image.new_from_file(str(tmp_path / "plain.tif"))
    if options.pop("rgb", False):
        image = image.bandjoin([image, image]).copy(interpretation="srgb")
    image.tiffsave(str(tmp_path / "made.tif"), **options)
    tiles = cut(stored(tmp_path / "made.tif"), 1500, 1300)
    full = np.asarray(Image.fromarray(whole(tiles, 2)).convert("L"), dtype=int)
    there = np.asarray(Image.open(tmp_path / "plain.tif"), dtype=int)
    assert full.shape == (1300, 1500)
    assert np.abs(full - there).mean() < 4
    assert len([place for place in tiles if place[0] == 0]) == 1


def test_the_levels_are_those_the_addresses_are_made_from(stored: Any, tmp_path: Path) -> None:
    for width, height in ((513, 1), (512, 512), (1025, 700), (3000, 2047)):
        large_tiff(tmp_path / "x.tif", width, height=height)
        tiles = cut(stored(tmp_path / "x.tif"), width, height)
        levels = pyramids.levels_of(width, height)
        assert {place[0] for place in tiles} == set(range(levels))
        for level in range(levels):
            scale = 2 ** (levels - 1 - level)
            assert whole(tiles, level).shape[:2] == (-(-height // scale), -(-width // scale))


def test_an_image_of_20_megapixels_has_a_small_preview(stored: Any, tmp_path: Path) -> None:
    large_tiff(tmp_path / "x.tif", 5000, height=4000)
    look = rasters.look(stored(tmp_path / "x.tif"), width=5000, height=4000)
    preview = Image.open(io.BytesIO(look.preview))
    assert preview.size == (2048, 1638)
    assert look.depth == 8
    mark = np.asarray(preview)[819:835, 1024:1040]
    assert mark.mean() > 230


def hostile_tiff(width: int, height: int, *, tile: int = 0) -> bytes:
    """A directory that promises pixels, without any of them."""
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (277, 3, 1)]
    if tile:
        tags += [(322, 4, tile), (323, 4, tile), (324, 4, 8), (325, 4, 8)]
    else:
        tags += [(273, 4, 8), (278, 4, height), (279, 4, 8)]
    body = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    for tag, kind, value in sorted(tags):
        body += struct.pack("<HHII", tag, kind, 1, value)
    return body + bytes(64)


@pytest.mark.parametrize(
    ("data", "size", "sentence"),
    [
        (png_bomb(100_000, 100_000), (100_000, 100_000), "more than 500 megapixels"),
        (hostile_tiff(100_000, 100_000), (100_000, 100_000), "more than 500 megapixels"),
        (hostile_tiff(20_000, 20_000), (20_000, 20_000), "damaged"),
        (hostile_tiff(20_000, 20_000, tile=20_000), (20_000, 20_000), "smaller tiles"),
        (png_bomb(20_000, 20_000), (20_000, 20_000), "damaged"),
        (many_frames("TIFF"), (64, 48), "several images"),
        (grey16_ramp()[:400], (256, 256), "damaged"),
        (grey16_ramp("TIFF")[:90_000], (256, 256), "damaged"),
        (grey16_ramp(), (256, 255), "the event says 256 x 255"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", (10, 10), "no image of a kind"),
        (b"%PDF-1.4\n", (10, 10), "no image of a kind"),
        (b"", (10, 10), "no image of a kind"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hostile_file_is_refused_with_a_sentence(
    stored: Any, data: bytes, size: tuple[int, int], sentence: str
) -> None:
    for ask in (rasters.look, cut):
        with pytest.raises(Unfit, match=sentence):
            ask(stored(data), width=size[0], height=size[1])


def test_a_cut_jpeg_is_refused(stored: Any) -> None:
    data = written(Image.fromarray(quarters()), "JPEG")
    for ask in (rasters.look, cut):
        with pytest.raises(Unfit, match="damaged"):
            ask(stored(data[: len(data) // 2]), width=700, height=1100)


def test_what_must_be_decoded_whole_may_not_be_large(
    stored: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    progressive = Image.new("L", (8000, 7000), 90)
    data = written(progressive, "JPEG", progressive=True)
    with pytest.raises(Unfit, match="50 megapixels"):
        rasters.look(stored(data), width=8000, height=7000)
    assert rasters.look(stored(written(progressive, "JPEG")), width=8000, height=7000).preview


def test_too_little_memory_is_a_refusal_not_a_crash(
    stored: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(settings.LOUPE, "image_memory_mb", 48)
    large_tiff(tmp_path / "x.tif", 4000)
    with pytest.raises(Unfit):
        rasters.look(stored(tmp_path / "x.tif"), width=4000, height=4000)


def test_what_takes_too_long_is_refused(stored: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(rasters, "LOOK_S", 0.01)
    with pytest.raises(Unfit, match="longer than"):
        rasters.look(stored(grey16_ramp()), width=256, height=256)


def test_the_decoder_is_told_none_of_our_secrets(
    stored: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOUPE_SECRET_KEY", "s3cret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    # Wherever the decoder runs it writes down what it was told.
    witness = tmp_path / "sitecustomize.py"
    witness.write_text(
        "import os, pathlib\n"
        f"pathlib.Path({str(tmp_path / 'told')!r}).write_text(repr(dict(os.environ)))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rasters.look(stored(grey16_ramp()), width=256, height=256)
    told = (tmp_path / "told").read_text()
    assert "TMPDIR" in told
    assert "s3cret" not in told
