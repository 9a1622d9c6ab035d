"""The demo's X-ray laboratory: deep grey levels, four views of a unit, an image cut into tiles.

A site of its own, so that its few parts teach the ring's model nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from PIL import Image

from governance.access import Actor
from inference_bridge.gateways.sqs import PredictionQueue
from inference_bridge.models import RoutingPolicy
from inference_bridge.policy import set_policy
from inference_bridge.routing import Rule
from labeling.criteria import read, set_criteria
from labeling.models import AcceptanceCriteria, DefectClass, Severity
from traceability.gateways.object_store import store
from traceability.identifiers import new_id
from traceability.models import DispositionKind, Inspection, Line, Site, Station

SITE, LINE, STATION = "demo-xray", "cell-1", "xray-1"
BUCKET = "loupe-images"
MODEL = {"name": "xray", "version": "3"}
VIEWS = ("front", "back", "left", "right")
_LEVELS: Final = 65_535
_CLASSES: Final = (
    ("pore", "Pore", Severity.MAJOR, DispositionKind.SCRAP),
    ("inclusion", "Inclusion", Severity.MAJOR, DispositionKind.SCRAP),
    ("shrinkage", "Shrinkage", Severity.MINOR, DispositionKind.REWORK),
)
_CRITERIA: Final = """
[[zone]]
name = "left rib"
view = "front"
part_number = "X-200"
severity = "critical"
polygon = [[300, 0], [420, 0], [420, 1200], [300, 1200]]

[[zone]]
name = "right rib"
view = "front"
part_number = "X-200"
severity = "critical"
polygon = [[1180, 0], [1300, 0], [1300, 1200], [1180, 1200]]

[[rule]]
severity = "critical"
most = 0
disposition = "SCRAP"

[[rule]]
defect_class = "pore"
largest = 45
most = 3
disposition = "REWORK"
"""
Grey = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class View:
    """One image of a unit, with what the model saw in it."""

    name: str
    data: bytes
    media_type: str
    width: int
    height: int
    heatmap: bytes
    found: tuple[tuple[str, float, Box], ...]

    @property
    def score(self) -> float:
        """The surest finding's; a clean view has a low one."""
        return max((score for _code, score, _box in self.found), default=0.04)


@dataclass(frozen=True)
class Unit:
    """A casting in all its views."""

    serial: str
    part_number: str
    views: tuple[View, ...]
    lot: str = "X-L1"


def places() -> Site:
    """The laboratory with its catalogue."""
    site, _new = Site.objects.get_or_create(code=SITE, defaults={"name": "Demo X-ray laboratory"})
    line, _new = Line.objects.get_or_create(site=site, code=LINE)
    Station.objects.get_or_create(site=site, line=line, code=STATION)
    for position, (code, name, severity, disposition) in enumerate(_CLASSES, start=1):
        DefectClass.objects.get_or_create(
            site=site,
            code=code,
            defaults={
                "name": name,
                "severity": severity,
                "default_disposition": disposition,
                "position": position,
            },
        )
    return site


def policy(actor: Actor, site: Site, *, at: datetime) -> None:
    """Everything above a tenth goes before a person; nothing here is urgent."""
    if not RoutingPolicy.objects.filter(site=site).exists():
        rule = Rule(review_from=0.1, contain_from=0.9, review_within_s=7 * 24 * 3600)
        set_policy(actor=actor, site=site, rules=[rule], reason="First policy", at=at)


def criteria(actor: Actor, site: Site, *, at: datetime) -> None:
    """On the ribs nothing is allowed; elsewhere a few small pores are."""
    if AcceptanceCriteria.objects.filter(site=site).exists():
        return
    zones, rules = read(_CRITERIA, is_json=False)
    set_criteria(actor=actor, site=site, zones=zones, rules=rules, reason="First criteria", at=at)


def send_once(queue: PredictionQueue, *, at: datetime) -> bool:
    """Send the laboratory's units, unless they are there already; whether it did."""
    if Inspection.objects.filter(site__code=SITE).exists():
        return False
    for unit in units():
        for view in unit.views:
            _send(queue, unit, view, at=at)
    return True


def units() -> Iterator[Unit]:
    """A 16-bit radiograph, a unit of four views, a large stitched image, and a lot of covers."""
    yield Unit("XR-0001", "X-200", (_radiograph("front", 11, size=(1600, 1200), pores=3),))
    sides = tuple(
        _radiograph(name, 20 + number, size=(1000, 800), pores=number % 2)
        for number, name in enumerate(VIEWS)
    )
    yield Unit("XR-0002", "X-200", sides)
    yield Unit("XR-0003", "X-900", (_stitched(),))
    yield Unit("XR-0004", "X-200", (_radiograph("front", 31, size=(1600, 1200), pores=1),))
    for number in range(5, 11):
        cover = _radiograph("front", 40 + number, size=(640, 480), pores=1)
        yield Unit(f"XR-{number:04d}", "X-300", (cover,), lot="X-L2")


def _radiograph(name: str, seed: int, *, size: tuple[int, int], pores: int) -> View:
    """A casting of uneven thickness in 16 bits; a pore differs from its surroundings by some
    hundred levels, which 8 bits would drown."""
    rng = np.random.default_rng(seed)
    level = _thickness(size) + rng.normal(0, 90, size[::-1]).astype(np.float32)
    found = []
    for _ in range(pores):
        box = _pore(
            level, rng, radius=float(rng.uniform(10, 26)), depth=float(rng.uniform(700, 1500))
        )
        found.append(("pore", round(float(rng.uniform(0.35, 0.8)), 2), box))
    pixels = np.clip(level, 0, _LEVELS).astype(np.uint16)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG", compress_level=3)
    return _view(name, data.getvalue(), "image/png", size, found)


def _stitched() -> View:
    """24 megapixels of sheet in 8 bits, larger than what is sent to a browser whole."""
    size = (6000, 4000)
    rng = np.random.default_rng(41)
    noise = rng.integers(-6, 7, size[::-1], dtype=np.int8).astype(np.float32)
    level = _thickness(size) / np.float32(257) + noise
    found = []
    for _ in range(5):
        box = _pore(level, rng, radius=float(rng.uniform(8, 40)), depth=38)
        found.append(("inclusion", round(float(rng.uniform(0.3, 0.7)), 2), box))
    data = io.BytesIO()
    Image.fromarray(np.clip(level, 0, 255).astype(np.uint8)).save(data, "JPEG", quality=88)
    return _view("sheet", data.getvalue(), "image/jpeg", size, found)


def _thickness(size: tuple[int, int]) -> Grey:
    """A wall that grows thicker towards its ribs."""
    x = np.linspace(-1, 1, size[0], dtype=np.float32)
    y = np.linspace(-1, 1, size[1], dtype=np.float32)[:, None]
    ribs = np.exp(-((np.abs(x) - 0.55) ** 2) / 0.006) + np.exp(-((np.abs(y) - 0.6) ** 2) / 0.01)
    wall: Grey = 22_000 + 9_000 * x * y + 6_000 * np.cos(2.2 * x) + 11_000 * ribs
    return wall


def _pore(level: Grey, rng: np.random.Generator, *, radius: float, depth: float) -> Box:
    """Lighten a round place; its box."""
    height, width = level.shape
    reach = int(2 * radius)
    x, y = int(rng.integers(reach, width - reach)), int(rng.integers(reach, height - reach))
    around = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    bump = np.exp(-((around[0] ** 2 + around[1] ** 2) / (2 * (radius / 2) ** 2)))
    level[y - reach : y + reach + 1, x - reach : x + reach + 1] += (depth * bump).astype(
        level.dtype
    )
    side = int(2 * radius)
    return (x - side // 2, y - side // 2, side, side)


def _view(
    name: str,
    data: bytes,
    media_type: str,
    size: tuple[int, int],
    found: list[tuple[str, float, Box]],
) -> View:
    heat = _heatmap(size, found) if found else b""
    return View(name, data, media_type, *size, heat, tuple(found))


def _heatmap(size: tuple[int, int], found: list[tuple[str, float, Box]]) -> bytes:
    """Where the model looked, on a grid sixteen times as coarse as the image."""
    width, height = size[0] // 16, size[1] // 16
    heat = np.zeros((height, width), np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    for _code, score, (left, top, wide, high) in found:
        middle = ((left + wide / 2) / 16, (top + high / 2) / 16)
        reach = max(wide, high) / 16 + 2
        around = (x - middle[0]) ** 2 + (y - middle[1]) ** 2
        heat = np.maximum(heat, score * np.exp(-around / (2 * reach**2)))
    data = io.BytesIO()
    Image.fromarray((heat * 255).astype(np.uint8)).save(data, "PNG")
    return data.getvalue()


def _send(queue: PredictionQueue, unit: Unit, view: View, *, at: datetime) -> None:
    shelf, key = store(BUCKET), f"{SITE}/{LINE}/{unit.serial}/{view.name}"
    shelf.put_if_absent(key, view.data, content_type=view.media_type)
    image: dict[str, Any] = {
        "uri": f"s3://{BUCKET}/{key}",
        "sha256": hashlib.sha256(view.data).hexdigest(),
        "media_type": view.media_type,
        "width": view.width,
        "height": view.height,
    }
    if view.heatmap:
        shelf.put_if_absent(f"{key}.heat", view.heatmap, content_type="image/png")
        image["heatmap_uri"] = f"s3://{BUCKET}/{key}.heat"
    queue.send(json.dumps(_event(unit, view, image, at=at)))


def _event(unit: Unit, view: View, image: dict[str, Any], *, at: datetime) -> dict[str, Any]:
    moment = at.astimezone(UTC).isoformat()
    outcome: dict[str, Any] = {"score": view.score}
    if view.found:
        outcome["label"] = view.found[0][0]
        outcome["detections"] = [
            {"id": str(number), "label": code, "score": score, "box": list(box)}
            for number, (code, score, box) in enumerate(view.found, start=1)
        ]
    return {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": f"urn:loupe:edge:{SITE}:{STATION}",
        "type": "com.loupe.prediction.v1",
        "time": moment,
        "data": {
            "image": image,
            "site": {"site": SITE, "line": LINE, "station": STATION, "camera": "detector-1"},
            "capture": {
                "captured_at": moment,
                "inspection_id": f"{unit.serial}/{STATION}/1",
                "view": view.name,
                "views_expected": len(unit.views),
                "serial": unit.serial,
                "lot": unit.lot,
                "part_number": unit.part_number,
                "part_revision": "A",
            },
            "model": MODEL,
            "outcome": outcome,
        },
    }
