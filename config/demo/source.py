"""What the demo plant makes: drawn rings, or the user's own images, one interface for both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from config.demo import folder, pictures
from config.demo.images import Box, FolderImage, Polygon
from config.demo.marks import DEFECTS

FIRST_LABELS = 96
FIRST_LABELS_SEED = 20_261_122
STORY_SEED = 7


@dataclass(frozen=True)
class Shot:
    """One unit in front of the camera, with what is true about it; `classes` empty is good."""

    serial: str
    lot: str | None
    supplier: str | None
    part_number: str
    part_revision: str
    image: bytes
    media_type: str
    width: int
    height: int
    quality: dict[str, float | str]
    classes: tuple[str, ...]
    boxes: tuple[Box, ...]
    polygons: tuple[Polygon, ...]

    @property
    def sha256(self) -> str:
        """Hash of the image's bytes."""
        return hashlib.sha256(self.image).hexdigest()


class Source(Protocol):
    """Where the demo's images come from."""

    name: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Defect classes that occur."""

    def labelled(self) -> Iterator[Shot]:
        """What the first model learns from."""

    def line(self, first: int) -> Iterator[Shot]:
        """What comes down the line, from unit number `first` (1, 2, ...) on."""


class Rings:
    """The drawn demo part; the line never ends."""

    name = "demo rings"
    classes = DEFECTS

    def labelled(self) -> Iterator[Shot]:
        """A mix richer in defects than the line, as a plant would collect it to start with."""
        seed = FIRST_LABELS_SEED
        found = {True: 0, False: 0}
        for unit in pictures.story(seed):
            is_defect = unit.defect is not None
            if unit.quality.verdict != "ok" or found[is_defect] >= FIRST_LABELS // 2:
                continue
            found[is_defect] += 1
            yield _drawn(unit, serial=f"FIRST-{unit.number:05d}", lot=f"F-{unit.lot}")
            if sum(found.values()) == FIRST_LABELS:
                return

    def line(self, first: int) -> Iterator[Shot]:
        """The story of units with its defects and its borderline cases."""
        for unit in pictures.story(STORY_SEED, first=first):
            yield _drawn(unit, serial=unit.serial, lot=unit.lot)


def _drawn(unit: pictures.DemoUnit, *, serial: str, lot: str) -> Shot:
    picture = unit.photograph()
    box = (Box(unit.defect, *map(float, picture.box)),) if unit.defect and picture.box else ()
    return Shot(
        serial=serial,
        lot=lot,
        supplier=unit.supplier,
        part_number=unit.part_number,
        part_revision=unit.part_revision,
        image=picture.jpeg,
        media_type="image/jpeg",
        width=picture.width,
        height=picture.height,
        quality=unit.quality.as_dict(),
        classes=(unit.defect,) if unit.defect else (),
        boxes=box,
        polygons=(),
    )


class Folder:
    """The user's own images: a part teaches the first model, the rest comes down the line once."""

    def __init__(self, path: Path) -> None:
        self._folder = folder.read(path)
        self._split = folder.split(self._folder.images)
        self.name = path.name
        self.notes = (self._folder.summary(), *self._folder.notes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Defect classes that occur in the folder."""
        return self._folder.classes

    def labelled(self) -> Iterator[Shot]:
        """The first model's part, by group."""
        for number, image in enumerate(self._split.first_model, start=1):
            yield _own(image, number=number, kind="FIRST")

    def line(self, first: int) -> Iterator[Shot]:
        """The line's part, once."""
        for number, image in enumerate(self._split.line, start=1):
            if number >= first:
                yield _own(image, number=number, kind="SN")


def _own(image: FolderImage, *, number: int, kind: str) -> Shot:
    return Shot(
        serial=f"{kind}-{number:05d}-{image.part_id}"[:128],
        lot=image.group[:128],
        supplier=image.variant[:64] if image.variant else None,
        part_number=(image.variant or "part")[:64],
        part_revision="A",
        image=image.path.read_bytes(),
        media_type=image.media_type,
        width=image.width,
        height=image.height,
        quality={"verdict": "ok"},
        classes=image.classes,
        boxes=image.boxes,
        polygons=image.polygons,
    )


class OtherSource(ValueError):
    """The state folder was filled from other images; its message says what to do."""


def remember(state: Path, images: Path | None) -> Source:
    """The source of this state folder: chosen at the first start, the same ever after."""
    note = state / "demo" / "source.json"
    chosen = str(images.resolve()) if images else None
    if note.exists():
        kept: str | None = json.loads(note.read_text(encoding="utf-8"))["images"]
        if chosen is not None and kept != chosen:
            held = f"the images of {kept}" if kept else "the drawn demo part"
            raise OtherSource(
                f"This Loupe already runs on {held}. Empty it with `make reset`, then start again "
                f"with IMAGES={images}."
            )
        return _source(kept)
    source = _source(chosen)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"images": chosen}), encoding="utf-8")
    return source


def _source(images: str | None) -> Source:
    return Folder(Path(images)) if images else Rings()
