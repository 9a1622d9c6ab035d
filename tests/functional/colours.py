"""What a screen's colours are: how much of it is colour at all, and what is left of them to eyes
that see fewer.
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image
from playwright.sync_api import Locator, Page

Pixels = npt.NDArray[np.float64]

SATURATED: Final = 0.35
NOT_BLACK: Final = 0.25
# Complete loss of one kind of cone, on linear RGB: Machado, Oliveira and Fernandes 2009.
VISIONS: Final = {
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def pixels(of: Page | Locator) -> Pixels:
    """A picture of it, as red, green and blue from 0 to 1."""
    picture = Image.open(io.BytesIO(of.screenshot(animations="disabled"))).convert("RGB")
    return np.asarray(picture, dtype=np.float64) / 255


def saturated(shown: Pixels) -> float:
    """The share of pixels that are a colour rather than a grey."""
    most, least = shown.max(axis=2), shown.min(axis=2)
    saturation = np.where(most > 0, (most - least) / np.maximum(most, 1e-9), 0)
    return float(((saturation > SATURATED) & (most > NOT_BLACK)).mean())


def linear(shown: Pixels) -> Pixels:
    """Without the screen's gamma."""
    curved: Pixels = np.power((shown + 0.055) / 1.055, 2.4)
    found: Pixels = np.where(shown <= 0.04045, shown / 12.92, curved)
    return found


def seen_by(shown: Pixels, vision: str) -> Pixels:
    """What somebody with this vision sees of it, linear."""
    found: Pixels = np.clip(linear(shown) @ np.array(VISIONS[vision]).T, 0, 1)
    return found


def luminance(light: Pixels) -> npt.NDArray[np.float64]:
    """How bright linear light is, without its hue."""
    found: Pixels = light @ np.array((0.2126, 0.7152, 0.0722))
    return found


def outline(light: Pixels) -> npt.NDArray[np.bool_]:
    """Where a sign is, told from its ground by brightness alone."""
    bright = luminance(light)
    ground = float(np.median(np.concatenate([bright[0], bright[-1]])))
    # 3:1 is what a sign needs to be told from its ground.
    lighter = np.maximum(bright, ground) + 0.05
    darker = np.minimum(bright, ground) + 0.05
    found: npt.NDArray[np.bool_] = lighter / darker >= 3
    return found


def apart(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    """How different two signs are by their shapes: 0 the same, 1 nothing in common."""
    either = float((one | other).sum())
    return float((one ^ other).sum()) / either if either else 0.0
