"""Where on the image: 8 x 8-pixel cells, their measurements, labels and the heat map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from trainer.calibration import sigmoid
from trainer.features import Level, block_max, block_mean
from trainer.samples import Region

CELL = 8
COVERED = 0.12
MAX_DETECTIONS = 20
HEAT_FEATURES = 9
ORIENTED = 2

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Detection:
    """A place that stands out; the box is x, y, width, height in pixels of the image."""

    box: tuple[float, float, float, float]
    peak: float


def cell_features(levels: list[Level]) -> NDArray[np.float16]:
    """(cells, features): kept at half precision, in training and in serving alike."""
    side = levels[0].smooth.shape[0]
    cells = side // CELL
    columns: list[Array] = []
    for level in levels:
        size = level.smooth.shape[0] // cells
        columns.extend(_pooled(level, size, cells))
    columns.extend(_against_lines(columns[2], cells))
    stacked = np.stack([column.ravel() for column in columns], axis=1)
    return np.clip(np.nan_to_num(stacked), -60000, 60000).astype(np.float16)


def _pooled(level: Level, size: int, cells: int) -> list[Array]:
    if size == 0:
        repeat = cells // level.smooth.shape[0]
        grow = np.ones((repeat, repeat), dtype=np.float32)
        return [np.kron(values, grow) for values in _pooled(level, 1, level.smooth.shape[0])]
    xx = block_mean(level.dx * level.dx, size)
    yy = block_mean(level.dy * level.dy, size)
    xy = block_mean(level.dx * level.dy, size)
    tensor = np.sqrt((xx - yy) ** 2 + 4 * xy * xy)
    return [
        block_max(level.blob, size),
        -block_max(-level.blob, size),
        block_mean(level.smooth, size),
        block_max(level.gradient, size),
        np.sqrt(xx + yy),
        block_max(level.valley, size),
        -block_max(-level.ridge, size),
        tensor / (xx + yy + np.float32(1e-8)),
    ]


def _against_lines(brightness: Array, cells: int) -> list[Array]:
    """Each cell against its row and its column, and its distance from the border."""
    grid = brightness.reshape(cells, cells)
    place = np.minimum(np.arange(cells), np.arange(cells)[::-1]).astype(np.float32)
    border = np.minimum(place[:, None], place[None, :])
    return [
        grid - np.median(grid, axis=1, keepdims=True),
        grid - np.median(grid, axis=0, keepdims=True),
        np.broadcast_to(place[:, None], grid.shape),
        np.broadcast_to(place[None, :], grid.shape),
        border,
    ]


def cell_rows(features: NDArray[np.float16]) -> Array:
    """The measurements, the same against the rest of the image, and the neighbours' strongest."""
    own = features.astype(np.float32)
    count = len(own)
    cells = round(count**0.5)
    ordered = np.sort(own, axis=0)
    middle = ordered[count // 2]
    spread = ordered[(3 * count) // 4] - ordered[count // 4]
    against = (own - middle) / (spread + np.float32(1e-4))
    measured = against[:, :-3].reshape(cells, cells, -1)
    around = ndimage.uniform_filter(measured, size=(3, 3, 1), mode="nearest")
    return np.concatenate([own, against[:, :-3], around.reshape(count, -1)], axis=1)


def cell_labels(
    regions: tuple[Region, ...], *, width: int, height: int, side: int
) -> NDArray[np.float32]:
    """(cells * cells,): the share of each cell inside a region, at least one cell per region."""
    cells = side // CELL
    share = np.zeros((cells, cells), dtype=np.float32)
    for region in regions:
        mask = Image.new("L", (side, side))
        points = [(x * side / width, y * side / height) for x, y in region]
        ImageDraw.Draw(mask).polygon(points, fill=1, outline=1)
        covered = block_mean(np.asarray(mask, dtype=np.float32), CELL)
        if 0 < covered.max() < COVERED:
            covered = covered * np.float32(COVERED / covered.max())
        share = np.maximum(share, covered)
    return share.ravel()


def heat_features(heat: NDArray[np.float64]) -> NDArray[np.float64]:
    """What an image's heat map (cells of log odds) says of the whole image."""
    count = len(heat)
    cells = round(count**0.5)
    ordered = np.sort(heat)[::-1]
    smooth = ndimage.uniform_filter(heat.reshape(cells, cells), size=3, mode="nearest").ravel()
    tops = [ordered[:top].mean() for top in (1, 3, 8, 24, 80)]
    spread = float(np.log(sigmoid(heat).mean() + 1e-6))
    return np.asarray([*tops, smooth.max(), np.sort(smooth)[-8:].mean(), spread, heat.mean()])


def find_detections(
    heat: NDArray[np.float64], *, threshold: float, width: int, height: int
) -> list[Detection]:
    """Connected cells above the threshold, the strongest first."""
    cells = round(len(heat) ** 0.5)
    grid = heat.reshape(cells, cells)
    labelled, _ = ndimage.label(grid >= threshold, structure=np.ones((3, 3)))
    found = []
    for number, place in enumerate(ndimage.find_objects(labelled), start=1):
        if place is None:
            continue
        rows, columns = place
        peak = float(grid[place][labelled[place] == number].max())
        left, top = columns.start * width / cells, rows.start * height / cells
        right, bottom = columns.stop * width / cells, rows.stop * height / cells
        box = (left, top, right - left, bottom - top)
        found.append(Detection(tuple(round(value, 1) for value in box), peak))
    found.sort(key=lambda detection: -detection.peak)
    return found[:MAX_DETECTIONS]
