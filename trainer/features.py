"""What is measured on an image: filter responses, texture, shape, random kernels.

All filters are separable and applied as matrix products, so that one image takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from trainer.pictures import Picture

FEATURES_VERSION = 1
LEVELS = 5
SCALE_RATIO = 1.6
QUANTILES = (0.002, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.998)
KERNEL_LEVELS = (1, 2, 3)
KERNELS_PER_LEVEL = 96
KERNEL_SIDE = 7
KERNEL_SEED = 20_240_501
PROFILE_POINTS = 32
HOG_CELLS = 8
HOG_BINS = 8
TINY = np.float32(1e-6)

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Level:
    """Responses at one scale; each map is (side / 2**k) square."""

    smooth: Array
    blob: Array
    gradient: Array
    dx: Array
    dy: Array
    ridge: Array
    valley: Array
    lines: tuple[Array, Array, Array, Array]

    @property
    def maps(self) -> tuple[Array, ...]:
        return (self.blob, self.gradient, self.ridge, self.valley, *self.lines)


@lru_cache(maxsize=64)
def _blur_matrix(side: int, step: int, sigma: float) -> Array:
    """(side / step, side): a Gaussian with mirrored borders, sampled every `step` pixels."""
    reach = int(4 * sigma + step) + 1
    inside = np.arange(-reach, side + reach)
    mirrored = np.abs(inside)
    period = 2 * side - 2
    mirrored = np.minimum(mirrored % period, period - mirrored % period)
    centres = (np.arange(side // step) + 0.5) * step - 0.5
    values = np.exp(-0.5 * ((inside[None, :] - centres[:, None]) / sigma) ** 2)
    matrix = np.zeros((side // step, side))
    for column, target in enumerate(mirrored):
        matrix[:, target] += values[:, column]
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def filter_levels(picture: Picture) -> list[Level]:
    """The scale space of the mean-normalised image, finest first."""
    grey = picture.grey
    mean = np.float32(grey.mean())
    normalised = (grey - mean) / (mean + np.float32(8.0))
    return [_level(normalised, index) for index in range(LEVELS)]


def _level(image: Array, index: int) -> Level:
    step = 2**index
    side = image.shape[0]
    inner = _blur_matrix(side, step, float(step))
    outer = _blur_matrix(side, step, step * SCALE_RATIO)
    smooth = np.asarray(inner @ image @ inner.T, dtype=np.float32)
    blob = np.asarray(smooth - outer @ image @ outer.T, dtype=np.float32)
    padded: Array = np.pad(smooth, 1, mode="edge")
    right, left = padded[1:-1, 2:], padded[1:-1, :-2]
    below, above = padded[2:, 1:-1], padded[:-2, 1:-1]
    dx, dy = (right - left) * np.float32(0.5), (below - above) * np.float32(0.5)
    dxx, dyy = right + left - 2 * smooth, below + above - 2 * smooth
    corners = padded[2:, 2:] + padded[:-2, :-2] - padded[2:, :-2] - padded[:-2, 2:]
    dxy = corners * np.float32(0.25)
    middle = (dxx + dyy) * np.float32(0.5)
    spread = np.sqrt(((dxx - dyy) * np.float32(0.5)) ** 2 + dxy**2)
    return Level(
        smooth=smooth,
        blob=blob,
        gradient=np.sqrt(dx * dx + dy * dy),
        dx=dx,
        dy=dy,
        ridge=middle - spread,
        valley=middle + spread,
        lines=(dxx, dyy, middle + dxy, middle - dxy),
    )


def hand_features(picture: Picture, levels: list[Level]) -> Array:
    """About 1,500 values, in a fixed order."""
    parts: list[Array] = [_brightness(picture)]
    for level in levels:
        parts.extend(_pooled(values) for values in level.maps)
        grid = 8 if level.blob.shape[0] >= 32 else 4
        parts.append(_grid_extreme(level.blob, 4, largest=True))
        parts.append(_grid_extreme(level.blob, 4, largest=False))
        parts.append(_grid_extreme(level.gradient, 4, largest=True))
        parts.append(_grid_extreme(level.valley, min(grid, 4), largest=True))
    parts.extend(_binary_patterns(levels[index].smooth) for index in (0, 1, 2))
    parts.append(_oriented_histogram(levels[1]))
    parts.append(_profiles(levels[0].smooth))
    return np.nan_to_num(np.concatenate(parts).astype(np.float32))


def _brightness(picture: Picture) -> Array:
    grey, chroma = picture.grey, picture.chroma
    spread = float(grey.std())
    flat = [float(grey.mean()), spread, spread / (float(grey.mean()) + 8.0)]
    flat.append(picture.width / max(1, picture.height))
    flat.extend(chroma.mean(axis=(0, 1)).tolist() + chroma.std(axis=(0, 1)).tolist())
    flat.extend(chroma.max(axis=(0, 1)).tolist() + chroma.min(axis=(0, 1)).tolist())
    return np.asarray(flat, dtype=np.float32)


def _pooled(values: Array) -> Array:
    flat = values.ravel()
    ordered = np.sort(flat)
    last = ordered.size - 1
    picks = [ordered[round(share * last)] for share in QUANTILES]
    extremes = [ordered[0], ordered[-1], flat.std(), np.abs(flat).mean()]
    return np.asarray(picks + extremes, dtype=np.float32)


def blocks(values: Array, size: int) -> Array:
    """(rows, columns, size * size): the pixels of each block."""
    rows, columns = values.shape[0] // size, values.shape[1] // size
    cut = values[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return cut.transpose(0, 2, 1, 3).reshape(rows, columns, size * size)


def _grid_extreme(values: Array, grid: int, *, largest: bool) -> Array:
    """Sorted extremes of a coarse grid: how many places stand out, not which."""
    pooled = block_max(values if largest else -values, values.shape[0] // grid)
    return np.sort(pooled.ravel())


def block_max(values: Array, size: int) -> Array:
    rows, columns = values.shape[0] // size, values.shape[1] // size
    shaped = values.reshape(rows, size, columns, size)
    return np.asarray(shaped.max(axis=1).max(axis=2))


def block_mean(values: Array, size: int) -> Array:
    rows, columns = values.shape[0] // size, values.shape[1] // size
    shaped = values.reshape(rows, size, columns, size)
    return np.asarray(shaped.mean(axis=1).mean(axis=2))


@lru_cache(maxsize=1)
def _uniform_patterns() -> NDArray[np.int64]:
    """256 binary patterns to 59 bins: 58 with at most two changes, one for the rest."""
    table = np.full(256, 58, dtype=np.int64)
    number = 0
    for code in range(256):
        turned = ((code << 1) | (code >> 7)) & 255
        if (code ^ turned).bit_count() <= 2:
            table[code] = number
            number += 1
    return table


def _binary_patterns(image: Array) -> Array:
    centre = image[1:-1, 1:-1]
    side = image.shape[0]
    code = np.zeros(centre.shape, dtype=np.uint8)
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    for bit, (row, column) in enumerate(ring):
        around = image[row : side - 2 + row, column : side - 2 + column]
        code |= (around > centre).view(np.uint8) << np.uint8(bit)
    counts = np.bincount(code.ravel(), minlength=256)
    merged = np.bincount(_uniform_patterns(), weights=counts, minlength=59)
    return np.asarray(merged / centre.size, dtype=np.float32)


def _oriented_histogram(level: Level) -> Array:
    side = level.gradient.shape[0]
    angle = np.arctan2(level.dy, level.dx) % np.float32(np.pi)
    bins = np.minimum((angle * np.float32(HOG_BINS / np.pi)).astype(np.int64), HOG_BINS - 1)
    cell = (np.arange(side) * HOG_CELLS) // side
    index = (cell[:, None] * HOG_CELLS + cell[None, :]) * HOG_BINS + bins
    total = HOG_CELLS * HOG_CELLS * HOG_BINS
    sums = np.bincount(index.ravel(), weights=level.gradient.ravel(), minlength=total)
    return np.asarray(sums / (sums.mean() + 1e-6), dtype=np.float32)


def _profiles(image: Array) -> Array:
    size = image.shape[0] // PROFILE_POINTS
    parts: list[Array] = []
    for axis in (0, 1):
        mean = image.mean(axis=axis).reshape(PROFILE_POINTS, size).mean(axis=1)
        spread = image.std(axis=axis).reshape(PROFILE_POINTS, size).max(axis=1)
        parts.extend((mean, spread))
    return np.concatenate(parts)


@lru_cache(maxsize=1)
def _kernels() -> tuple[Array, Array]:
    """(49, kernels) zero-mean unit-norm kernels at mixed smoothness, and their biases."""
    random = np.random.default_rng(KERNEL_SEED)
    raw = random.standard_normal((KERNELS_PER_LEVEL, KERNEL_SIDE, KERNEL_SIDE))
    # A third each keep 3 x 3, 5 x 5 and 7 x 7 taps: small and large structure alike.
    for index in range(KERNELS_PER_LEVEL):
        margin = (2, 1, 0)[index % 3]
        mask = np.zeros((KERNEL_SIDE, KERNEL_SIDE))
        mask[margin : KERNEL_SIDE - margin, margin : KERNEL_SIDE - margin] = 1.0
        raw[index] = (raw[index] - (raw[index] * mask).sum() / mask.sum()) * mask
    flat = raw.reshape(KERNELS_PER_LEVEL, -1)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    biases = random.uniform(-1.0, 1.0, KERNELS_PER_LEVEL)
    return flat.T.astype(np.float32), biases.astype(np.float32)


def kernel_features(levels: list[Level]) -> Array:
    """Maxima, spread and proportion above a bias for fixed random kernels at three scales."""
    weights, biases = _kernels()
    parts: list[Array] = []
    for index in KERNEL_LEVELS:
        image = levels[index].smooth
        stride = 2 if image.shape[0] > 96 else 1
        windows = np.lib.stride_tricks.sliding_window_view(image, (KERNEL_SIDE, KERNEL_SIDE))
        patches = windows[::stride, ::stride].reshape(-1, KERNEL_SIDE * KERNEL_SIDE)
        responses = patches @ weights
        spread = responses.std(axis=0)
        scaled = biases * spread
        parts.append(np.log(np.maximum(responses.max(axis=0), TINY)))
        parts.append(np.log(np.maximum(-responses.min(axis=0), TINY)))
        parts.append(np.log(spread + TINY))
        parts.append((responses > scaled).mean(axis=0, dtype=np.float32))
    return np.nan_to_num(np.concatenate(parts).astype(np.float32))
