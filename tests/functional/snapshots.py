"""Pictures of the screens: taken by the tests, kept for the documentation when asked for.

`make pictures` writes them to docs/images; an ordinary run takes them all the same, and holds that
none of them is an empty page.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

FOLDER = os.environ.get("LOUPE_PICTURES", "")
QUIET = """() => document.readyState === 'complete' && !document.querySelector('.htmx-request')
  && [...document.images].every((image) => image.complete)"""
LEAST_COLOURS = 12


def snap(page: Page, name: str) -> None:
    """Take the picture `name` of what the page shows now."""
    page.wait_for_function(QUIET)
    picture = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    colours = picture.getcolors(maxcolors=2**24) or []
    assert len(colours) >= LEAST_COLOURS, f"{name} is an empty page"
    if FOLDER:
        picture.save(Path(FOLDER) / f"{name}.webp", quality=82, method=6)
