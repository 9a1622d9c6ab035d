"""What can be wrong with the demo part, drawn onto its picture: scratch, pore, dent.

Each mark is a patch of grey-level change with unit amplitude; the caller's contrast scales it, so
the same seed gives the same mark from obvious down to barely there.
"""

from dataclasses import dataclass

import numpy as np

from config.demo.ring import FACE, FLANGE, HEIGHT, WIDTH, Grey, Pose, on_face

DEFECTS = ("scratch", "pore", "dent")

_SHOWN = 0.14  # share of a mark's own strength that still belongs to its box


@dataclass(frozen=True)
class Mark:
    """Grey-level change of a patch whose top left corner lies at (left, top)."""

    left: int
    top: int
    change: Grey

    def box(self) -> tuple[int, int, int, int]:
        """[x, y, width, height] in pixels around what can be seen of the mark."""
        strength = np.abs(self.change)
        seen = strength > _SHOWN * float(strength.max())
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        return (
            self.left + int(columns[0]),
            self.top + int(rows[0]),
            int(columns[-1] - columns[0]) + 1,
            int(rows[-1] - rows[0]) + 1,
        )

    def apply(self, level: Grey, amount: float) -> None:
        """Add the mark to the picture, `amount` grey levels strong."""
        rows, columns = self.change.shape
        patch = level[self.top : self.top + rows, self.left : self.left + columns]
        patch += np.float32(amount) * self.change


def mark(kind: str, rng: np.random.Generator, at: Pose, *, size: float) -> Mark:
    """One mark of `kind` on the turned face; `size` 0..1 from small to large."""
    makers = {"scratch": _scratch, "pore": _pore, "dent": _dent}
    if kind not in makers:
        raise ValueError(f"no such defect: {kind!r}; the demo part has {', '.join(DEFECTS)}")
    return _kept_to_face(makers[kind](rng, at, size), at)


def speck(rng: np.random.Generator, at: Pose) -> Mark:
    """A harmless mark (a hair's breadth of tool chatter or a crumb of dust) on a good part."""
    if rng.random() < 0.6:
        return _kept_to_face(_scratch(rng, at, 0.0), at)
    return _pit(rng, at, [(0.0, 0.0, float(rng.uniform(1.6, 2.4)))])


def _kept_to_face(found: Mark, at: Pose) -> Mark:
    """The mark without what would hang over the bore or run onto the cast flange."""
    rows, columns = np.mgrid[0 : found.change.shape[0], 0 : found.change.shape[1]].astype(
        np.float32
    )
    face = on_face(columns + np.float32(found.left - at.x), rows + np.float32(found.top - at.y))
    return Mark(found.left, found.top, found.change * face)


def _place(rng: np.random.Generator, at: Pose, margin: float) -> tuple[float, float]:
    angle = float(rng.uniform(0, 2 * np.pi))
    radius = float(rng.uniform(FACE + margin, FLANGE - margin))
    return at.x + radius * float(np.cos(angle)), at.y + radius * float(np.sin(angle))


def _patch(x: float, y: float, reach: float) -> tuple[int, int, Grey, Grey]:
    """Left and top of a square patch around (x, y) and each pixel's offset from that point."""
    left, top = max(0, int(x - reach)), max(0, int(y - reach))
    right, bottom = min(WIDTH, int(x + reach) + 2), min(HEIGHT, int(y + reach) + 2)
    rows, columns = np.mgrid[top:bottom, left:right].astype(np.float32)
    return left, top, columns - np.float32(x), rows - np.float32(y)


def _scratch(rng: np.random.Generator, at: Pose, size: float) -> Mark:
    """A slightly bowed line, bright where metal is bare, with a dark burr along one side."""
    x, y = _place(rng, at, 16)
    length = 30 + 74 * size * float(rng.uniform(0.6, 1.0)) + float(rng.uniform(0, 10))
    width = 1.0 + 1.3 * size * float(rng.uniform(0.5, 1.0))
    angle, bow = float(rng.uniform(0, np.pi)), float(rng.uniform(-0.12, 0.12))
    left, top, dx, dy = _patch(x, y, length / 2 + 6)
    along = dx * np.float32(np.cos(angle)) + dy * np.float32(np.sin(angle))
    across = dy * np.float32(np.cos(angle)) - dx * np.float32(np.sin(angle))
    half = np.float32(length / 2)
    across = across - np.float32(bow) * half * (1 - (along / half) ** 2)
    ends = np.clip((half - np.abs(along)) / 5, 0, 1)
    # Pressure is uneven: the line fades and comes back along its length.
    pressure = 0.78 + 0.22 * np.sin(along * np.float32(rng.uniform(0.12, 0.3)) + rng.uniform(0, 6))
    line = np.exp(-((across / np.float32(width)) ** 2))
    burr = np.exp(-(((across - np.float32(width + 1.1)) / np.float32(width)) ** 2))
    return Mark(left, top, (ends * pressure * (line - 0.55 * burr)).astype(np.float32))


def _pore(rng: np.random.Generator, at: Pose, size: float) -> Mark:
    """A nest of one to six gas pores."""
    count = 1 + int(rng.integers(0, 2 + round(4 * size)))
    pits = [(0.0, 0.0, 2.4 + 3.2 * size * float(rng.uniform(0.6, 1.0)))]
    for _ in range(count - 1):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(7, 17)
        pit_size = float(rng.uniform(1.5, 2.2 + 2.0 * size))
        pits.append((float(away * np.cos(angle)), float(away * np.sin(angle)), pit_size))
    return _pit(rng, at, pits)


def _pit(rng: np.random.Generator, at: Pose, pits: list[tuple[float, float, float]]) -> Mark:
    """Dark pits (offset x, y and radius each) with light caught on the far lip."""
    x, y = _place(rng, at, 14)
    left, top, dx, dy = _patch(x, y, 30)
    change = np.zeros_like(dx)
    cosine, sine = np.float32(np.cos(at.light)), np.float32(np.sin(at.light))
    for pit_x, pit_y, radius in pits:
        near_x, near_y = dx - np.float32(pit_x), dy - np.float32(pit_y)
        stretch = np.float32(rng.uniform(-0.3, 0.3))
        distance = np.sqrt(near_x**2 * (1 + stretch) + near_y**2 * (1 - stretch) + 0.01)
        hollow = np.clip((np.float32(radius) - distance) / 1.6 + 0.5, 0, 1)
        lip = np.exp(-(((distance - np.float32(radius + 0.9)) / 0.9) ** 2))
        away = -(near_x * cosine + near_y * sine) / distance
        change = np.minimum(change, -1.35 * hollow) + 0.45 * lip * np.maximum(away, 0) * (
            1 - hollow
        )
    return Mark(left, top, change.astype(np.float32))


def _dent(rng: np.random.Generator, at: Pose, size: float) -> Mark:
    """A shallow hollow: shaded on the lamp's side, bright on the far slope."""
    x, y = _place(rng, at, 20)
    radius = np.float32(9 + 9 * size * rng.uniform(0.6, 1.0))
    left, top, dx, dy = _patch(x, y, float(radius) * 2.4)
    turn, stretch = rng.uniform(0, np.pi), np.float32(rng.uniform(0.7, 1.0))
    along = dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))
    across = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / stretch
    toward = (dx * np.float32(np.cos(at.light)) + dy * np.float32(np.sin(at.light))) / radius
    bowl = np.exp(-((along**2 + across**2) / radius**2))
    slope = -toward * bowl
    return Mark(left, top, (slope / np.abs(slope).max() - 0.25 * bowl).astype(np.float32))
