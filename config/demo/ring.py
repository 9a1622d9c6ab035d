"""The demo part as a camera sees it: a cast flange ring with a turned face, under a bar light.

Everything the camera sees is a function of the distance from the ring's centre, so the picture is
put together from one-dimensional tables looked up per pixel: that keeps a picture under 10 ms.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 480, 360

BORE, FACE, FLANGE, RIM = 44.0, 52.0, 124.0, 167.0
"""Radii in pixels: bore, inner and outer edge of the turned face, outer rim."""

HOLES, HOLE_CIRCLE, HOLE_RADIUS = 6, 145.5, 9.0

_STEPS = 8  # table entries a pixel
_TABLE = 400 * _STEPS
_TILE = 1024

Grey = NDArray[np.float32]


@dataclass(frozen=True)
class Pose:
    """How the part lies under the camera: centre in pixels, turn and light in radians."""

    x: float
    y: float
    turn: float
    light: float
    exposure: float


def pose(rng: np.random.Generator) -> Pose:
    """A slight shift, any turn, and lighting as it varies over a day."""
    return Pose(
        x=WIDTH / 2 + rng.uniform(-6, 6),
        y=HEIGHT / 2 + rng.uniform(-5, 5),
        turn=rng.uniform(0, 2 * np.pi),
        light=-2.2 + rng.normal(0, 0.14),
        exposure=1 + rng.normal(0, 0.04),
    )


@cache
def _pixels() -> tuple[Grey, Grey]:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    return columns.astype(np.float32), rows.astype(np.float32)


@cache
def _grain() -> tuple[Grey, Grey]:
    """Two noise tiles, zero mean and unit spread: fine (sensor) and coarse (cast skin)."""
    rng = np.random.default_rng(20_000)
    fine = rng.standard_normal((_TILE, _TILE), dtype=np.float32)
    spectrum = np.fft.rfft2(rng.standard_normal((_TILE, _TILE)))
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None, :])
    band = np.exp(-((frequency / 0.24) ** 2)) * (1 - np.exp(-((frequency / 0.03) ** 2)))
    coarse = np.fft.irfft2(spectrum * band, s=(_TILE, _TILE)).astype(np.float32)
    return fine, coarse / coarse.std()


def _cut(tile: Grey, rng: np.random.Generator) -> Grey:
    row = int(rng.integers(0, _TILE - HEIGHT))
    column = int(rng.integers(0, _TILE - WIDTH))
    return tile[row : row + HEIGHT, column : column + WIDTH]


def _radii() -> Grey:
    return (np.arange(_TABLE) / _STEPS).astype(np.float32)


def _step(radius: Grey, at: float, width: float) -> Grey:
    """0 inside `at`, 1 outside, with an edge `width` pixels wide."""
    edge: Grey = np.clip((radius - at) / width + 0.5, 0, 1)
    return edge


def on_face(dx: Grey, dy: Grey) -> Grey:
    """1 on the turned face, 0 elsewhere, for offsets in pixels from the ring's centre."""
    radius = np.sqrt(dx * dx + dy * dy)
    face: Grey = _step(radius, FACE, 2.0) * (1 - _step(radius, FLANGE, 2.0))
    return face


def _ridge(radius: Grey, at: float, width: float) -> Grey:
    ridge: Grey = np.exp(-(((radius - at) / width) ** 2))
    return ridge


@dataclass(frozen=True)
class _Tables:
    base: Grey
    turned: Grey
    skin: Grey
    edge: Grey
    shadow: Grey


@cache
def _tables() -> _Tables:
    """Grey level, turned share, cast share, edge light and shadow against the radius."""
    radius = _radii()
    bore, face = _step(radius, BORE, 1.6), _step(radius, FACE, 1.4)
    flange, rim = _step(radius, FLANGE, 1.6), _step(radius, RIM, 1.8)
    base = 15 + 5 * (radius / BORE) * (1 - bore)
    base = base + bore * 108 + face * 18 - flange * 44 - rim * 52
    base = base - 22 * _ridge(radius, FLANGE + 3.5, 3.0) - 14 * _ridge(radius, RIM - 5, 7)
    edge = 46 * _ridge(radius, (BORE + FACE) / 2, 3.6) - 34 * _ridge(radius, FLANGE + 2.5, 2.4)
    edge = edge - 30 * _ridge(radius, BORE - 6, 5.0) * (1 - bore)
    edge = edge + 30 * _ridge(radius, RIM - 3, 3.2) + 16 * _ridge(radius, FLANGE - 1, 1.2)
    shadow = rim * np.exp(-np.maximum(radius - RIM, 0) / 16)
    return _Tables(
        base=base,
        turned=face * (1 - flange),
        skin=flange * (1 - rim),
        edge=edge,
        shadow=shadow.astype(np.float32),
    )


def _grooves(rng: np.random.Generator) -> Grey:
    """The lathe's grooves over the radius: a steady feed with some wander, unit spread."""
    radius = _radii()
    wander = np.cumsum(rng.normal(0, 0.02, _TABLE))
    feed = np.sin(radius * (2 * np.pi / rng.uniform(3.4, 4.2)) + wander)
    rough = np.convolve(rng.normal(0, 1, _TABLE), np.hanning(13) / 2.3, mode="same")
    return (0.7 * feed + 0.6 * rough).astype(np.float32)


def surface(rng: np.random.Generator, at: Pose) -> Grey:
    """The unblemished part in grey levels (not yet clipped), HEIGHT x WIDTH."""
    columns, rows = _pixels()
    dx, dy = columns - np.float32(at.x), rows - np.float32(at.y)
    squared = dx * dx + dy * dy + np.float32(1e-3)
    radius = np.sqrt(squared)
    index = (radius * _STEPS).astype(np.intp)
    tables, (fine, coarse) = _tables(), _grain()
    grooves = _grooves(rng) * tables.turned

    toward = (dx * np.float32(np.cos(at.light)) + dy * np.float32(np.sin(at.light))) / radius
    # A turned face under a bar light shines in two opposite sectors, across the grooves.
    gleam = toward * toward
    gleam *= gleam * gleam
    level = (tables.base + 5 * grooves)[index]
    level += (tables.turned * 66 + 9 * grooves)[index] * gleam
    level += tables.edge[index] * toward
    level += tables.skin[index] * (8 * _cut(coarse, rng) + 12 * toward)
    level -= tables.shadow[index] * (14 - 12 * toward)
    _drill(level, at)
    level *= np.float32(at.exposure) + _falloff(at) * np.float32(rng.uniform(0.06, 0.16))
    level += np.float32(rng.uniform(1.4, 2.4)) * _cut(fine, rng)
    return level


def _falloff(at: Pose) -> Grey:
    """The light's fall-off over the field, brightest towards the lamp."""
    columns, rows = _pixels()
    along = (columns - WIDTH / 2) * np.float32(np.cos(at.light) / WIDTH)
    return along + (rows - HEIGHT / 2) * np.float32(np.sin(at.light) / HEIGHT)


def _drill(level: Grey, at: Pose) -> None:
    """Bolt holes on their circle and one small dowel hole, so that a turn can be seen."""
    for number in range(HOLES):
        _hole(level, at, at.turn + number * 2 * np.pi / HOLES, HOLE_RADIUS)
    _hole(level, at, at.turn + np.pi / HOLES, 3.6)


def _hole(level: Grey, at: Pose, angle: float, size: float) -> None:
    x = at.x + HOLE_CIRCLE * float(np.cos(angle))
    y = at.y + HOLE_CIRCLE * float(np.sin(angle))
    reach = int(size + 6)
    top, left = max(0, int(y) - reach), max(0, int(x) - reach)
    bottom, right = min(HEIGHT, int(y) + reach + 1), min(WIDTH, int(x) + reach + 1)
    columns, rows = _pixels()
    dx = columns[top:bottom, left:right] - np.float32(x)
    dy = rows[top:bottom, left:right] - np.float32(y)
    radius = np.sqrt(dx * dx + dy * dy + np.float32(1e-3))
    toward = (dx * np.float32(np.cos(at.light)) + dy * np.float32(np.sin(at.light))) / radius
    inside = 1 - _step(radius, size, 1.5)
    patch = level[top:bottom, left:right]
    floor = 20 - 9 * toward * radius / np.float32(size)
    patch += inside * (floor - patch)
    patch -= _ridge(radius, size + 1.2, 1.3) * toward * 30
