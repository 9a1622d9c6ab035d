"""An index.csv beside the images: one row an image, with label, classes, regions and group."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from config.demo.images import (
    DEFECT,
    GOOD,
    INDEX,
    Box,
    Facts,
    FolderError,
    FolderImage,
    Polygon,
    header,
    unreadable_note,
)

_REQUIRED = ("file", "label")


@dataclass(frozen=True)
class _Row:
    """A row that knows its line, so that a complaint can name line and column."""

    line: int
    cells: dict[str, str]

    def text(self, column: str) -> str:
        return self.cells.get(column, "").strip()

    def refuse(self, column: str, why: str) -> NoReturn:
        raise FolderError(f"{INDEX} line {self.line}, column {column}: {why}")


def read_index(root: Path) -> tuple[tuple[FolderImage, ...], tuple[str, ...]]:
    """The images of root/index.csv in its order, and notes on what was left out."""
    images: list[FolderImage] = []
    unreadable: list[Path] = []
    seen: dict[str, int] = {}
    for row in _rows(root / INDEX):
        path = _path(root, row)
        if row.text("file") in seen:
            row.refuse("file", f"{row.text('file')} is already on line {seen[row.text('file')]}.")
        seen[row.text("file")] = row.line
        facts = header(path)
        if facts is None:
            unreadable.append(path)
        else:
            images.append(_image(row, path, facts))
    return tuple(images), unreadable_note(unreadable)


def _rows(path: Path) -> Iterator[_Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [name for name in _REQUIRED if name not in (reader.fieldnames or ())]
            if missing:
                raise FolderError(
                    f"{path} line 1: column {missing[0]} is missing. The first line must name the "
                    f"columns; {' and '.join(_REQUIRED)} are needed."
                )
            for cells in reader:
                if None in cells or None in cells.values():
                    raise FolderError(
                        f"{INDEX} line {reader.line_num}: the row has more or fewer cells than the "
                        "first line names. Put cells that hold a comma into quotes."
                    )
                yield _Row(reader.line_num, {key: str(cell) for key, cell in cells.items()})
    except UnicodeDecodeError as error:
        raise FolderError(f"{path} is not UTF-8 text. Save it as CSV UTF-8.") from error
    except csv.Error as error:
        raise FolderError(f"{path} is not readable as CSV: {error}.") from error
    except OSError as error:
        raise FolderError(f"{path} cannot be opened: {error.strerror}.") from error


def _path(root: Path, row: _Row) -> Path:
    path = root / row.text("file")
    if not row.text("file"):
        row.refuse("file", "empty; write the image's path relative to the folder.")
    if not path.resolve().is_relative_to(root.resolve()):
        row.refuse("file", f"{row.text('file')} lies outside the folder; move the image into it.")
    if not path.is_file():
        row.refuse("file", f"there is no {path}; add the image or remove the row.")
    return path


def _image(row: _Row, path: Path, facts: Facts) -> FolderImage:
    classes = _classes(row)
    part = row.text("part_id") or Path(row.text("file")).with_suffix("").as_posix()
    return FolderImage(
        path=path,
        name=row.text("file"),
        label=DEFECT if classes else GOOD,
        classes=classes,
        boxes=_boxes(row),
        polygons=_polygons(row),
        part_id=part,
        group=row.text("group") or part,
        variant=row.text("variant") or None,
        capture=row.text("capture") or None,
        taken_at=_moment(row),
        fold=_whole(row, "fold"),
        probability=_share(row, "probability"),
        media_type=facts.media_type,
        width=facts.width,
        height=facts.height,
    )


def _classes(row: _Row) -> tuple[str, ...]:
    """Empty for a good part; a defect without a named class is of the class `defect`."""
    label = row.text("label").lower()
    text = row.text("classes").replace("|", ";").replace(",", ";")
    names = tuple(dict.fromkeys(name.strip() for name in text.split(";") if name.strip()))
    if label not in (GOOD, DEFECT):
        row.refuse("label", f"{row.text('label')!r} is neither {GOOD} nor {DEFECT}.")
    if label == GOOD and names:
        row.refuse("classes", f"the part is called {GOOD} and {names[0]}; keep one of them.")
    return names or ((DEFECT,) if label == DEFECT else ())


def _moment(row: _Row) -> datetime | None:
    """A time without a zone is read as UTC."""
    text = row.text("taken_at")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        row.refuse("taken_at", f"{text!r} is no time like 2026-01-31T13:45:00; mend or empty it.")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _whole(row: _Row, column: str) -> int | None:
    text = row.text(column)
    if text and not text.isdecimal():
        row.refuse(column, f"{text!r} is no whole number; mend or empty it.")
    return int(text) if text else None


def _share(row: _Row, column: str) -> float | None:
    text = row.text(column)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        row.refuse(column, f"{text!r} is no number between 0 and 1; mend or empty it.")
    return value


def _boxes(row: _Row) -> tuple[Box, ...]:
    items = _regions(row, "boxes")
    try:
        return tuple(
            Box(
                str(item["label"]),
                float(item["x"]),
                float(item["y"]),
                float(item["width"]),
                float(item["height"]),
            )
            for item in items
        )
    except (KeyError, TypeError, ValueError):
        row.refuse("boxes", 'a box must look like {"label":"crack","x":1,"y":2,"width":3,...}.')


def _polygons(row: _Row) -> tuple[Polygon, ...]:
    items = _regions(row, "polygons")
    try:
        polygons = tuple(
            Polygon(str(item["label"]), tuple((float(x), float(y)) for x, y in item["points"]))
            for item in items
        )
    except (KeyError, TypeError, ValueError):
        row.refuse("polygons", 'an outline must look like {"label":"crack","points":[[1,2],...]}.')
    if any(len(polygon.points) < 3 for polygon in polygons):
        row.refuse("polygons", "an outline needs at least three points.")
    return polygons


def _regions(row: _Row, column: str) -> list[dict[str, Any]]:
    """The cell's JSON list; what is in each item is checked where it is used."""
    text = row.text(column)
    try:
        items = json.loads(text) if text else []
    except json.JSONDecodeError as error:
        row.refuse(column, f"not JSON ({error.msg} at character {error.pos + 1}).")
    if not isinstance(items, list):
        row.refuse(column, "not a JSON list; write [] or leave it empty.")
    return items
