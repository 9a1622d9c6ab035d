"""A user's own images: folders named after defect classes, or an index.csv beside the images.

`read` says what is there, `split` parts it into what the first model learns from and what is sent
down the line. Everything wrong with a folder is a FolderError whose text says how to mend it.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from config.demo.images import (
    DEFECT,
    FORMATS,
    GOOD,
    INDEX,
    Box,
    Facts,
    FolderError,
    FolderImage,
    header,
    unreadable_note,
)
from config.demo.index import read_index

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"})

_GOOD_NAMES = frozenset({"good", "ok", "normal"})
_SPLIT_NAMES = frozenset({"train", "test", "val", "valid", "validation"})
_TRUTH_NAMES = frozenset({"ground_truth", "mask", "masks"})


@dataclass(frozen=True)
class ImageFolder:
    """The usable images of a folder, by name, and sentences the user should read."""

    root: Path
    images: tuple[FolderImage, ...]
    notes: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        """The defect classes that occur, by name."""
        return tuple(sorted({name for image in self.images for name in image.classes}))

    def summary(self) -> str:
        """One line: how many images of which kind."""
        kinds = Counter(name for image in self.images for name in image.classes or (GOOD,))
        counted = ", ".join(f"{kinds[name]} {name}" for name in sorted(kinds, key=_good_first))
        return f"{len(self.images)} images: {counted}"


@dataclass(frozen=True)
class Split:
    """What the first model learns from, and what goes down the line; no group in both."""

    first_model: tuple[FolderImage, ...]
    line: tuple[FolderImage, ...]


def _good_first(name: str) -> tuple[bool, str]:
    return name != GOOD, name


def read(folder: str | Path) -> ImageFolder:
    """The images of a folder, by its index.csv if it has one, else by its class folders."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise FolderError(f"{root} {what}. Give the folder that holds the images.")
    images, notes = read_index(root) if (root / INDEX).exists() else list_class_folders(root)
    if not images:
        raise FolderError(
            f"{root} holds no images. Put good parts into {root / GOOD} and each defect into a "
            f"folder of its name ({', '.join(sorted(ENDINGS))}), or add an {INDEX}."
        )
    return ImageFolder(root, images, notes + _kinds_note(root, images))


def _kinds_note(root: Path, images: Sequence[FolderImage]) -> tuple[str, ...]:
    """Refuses a folder with only one kind of image; a sentence when no part is good."""
    kinds = {name for image in images for name in image.classes or (GOOD,)}
    if kinds == {GOOD}:
        raise FolderError(
            f"{root} holds only good parts, so there is no defect to learn. Add a folder of "
            "images for each defect class."
        )
    if len(kinds) == 1:
        raise FolderError(
            f"{root} holds only {next(iter(kinds))}, so there is nothing to tell it from. Add good "
            f"parts in {root / GOOD} or a second defect class."
        )
    if GOOD not in kinds:
        return ("No good parts here: the model can tell the defect classes apart, but not good.",)
    return ()


def is_good(name: str) -> bool:
    """Whether a folder's name means good parts."""
    return name.lower() in _GOOD_NAMES


def list_class_folders(root: Path) -> tuple[tuple[FolderImage, ...], tuple[str, ...]]:
    """The images below folders named after their class, and notes on what was left out."""
    found = sorted(_image_paths(root))
    good_beside = {
        path.relative_to(root).parts[:depth]
        for path in found
        for depth, name in enumerate(path.relative_to(root).parts[:-1])
        if is_good(name)
    }
    images, unreadable = [], []
    for path in found:
        name = _class_of(path.relative_to(root).parts, good_beside)
        if name is None:
            raise FolderError(
                f"{path} lies in no class folder. Put good parts into {root / GOOD} and each "
                f"defect into a folder of its name, or add an {INDEX}."
            )
        facts = header(path)
        if facts is None:
            unreadable.append(path)
        else:
            images.append(_of_folder(root, path, name, facts))
    return tuple(images), unreadable_note(unreadable)


def _image_paths(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        inside = path.relative_to(root).parts
        if any(part.startswith(".") or part.lower() in _TRUTH_NAMES for part in inside):
            continue
        if path.suffix.lower() in ENDINGS and path.is_file():
            yield path


def _class_of(parts: tuple[str, ...], good_beside: set[tuple[str, ...]]) -> str | None:
    """The folder that names the class: after train/test, beside a good folder, or the topmost."""
    folders = parts[:-1]
    for depth, name in enumerate(folders[:-1]):
        if name.lower() in _SPLIT_NAMES:
            return folders[depth + 1]
    for depth in range(len(folders)):
        if folders[:depth] in good_beside:
            return folders[depth]
    if not folders or folders[0].lower() in _SPLIT_NAMES:
        return None
    return folders[0]


def _of_folder(root: Path, path: Path, name: str, facts: Facts) -> FolderImage:
    inside = path.relative_to(root)
    classes = () if is_good(name) else (name,)
    part = "-".join(inside.with_suffix("").parts)[-120:]
    return FolderImage(
        path=path,
        name=inside.as_posix(),
        label=DEFECT if classes else GOOD,
        classes=classes,
        boxes=_mask_boxes(root, inside, name) if classes else (),
        polygons=(),
        part_id=part,
        group=part,
        variant=None,
        capture=None,
        taken_at=None,
        fold=None,
        probability=None,
        media_type=facts.media_type,
        width=facts.width,
        height=facts.height,
    )


def _mask_boxes(root: Path, inside: Path, name: str) -> tuple[Box, ...]:
    """Boxes around the white spots of ground_truth/<class>/<image>_mask.png, where it exists."""
    parts = inside.parts
    below = next((i for i, part in enumerate(parts) if part.lower() in _SPLIT_NAMES), None)
    base = root.joinpath(*parts[: below if below is not None else parts.index(name)])
    for ending in ("_mask.png", ".png"):
        mask = base / "ground_truth" / name / f"{inside.stem}{ending}"
        if mask.is_file() and header(mask) is not None:
            with Image.open(mask, formats=FORMATS) as image:
                spots, _count = ndimage.label(np.asarray(image.convert("L")) > 127)
            return tuple(
                Box(name, across.start, down.start, across.stop - across.start,
                    down.stop - down.start)
                for down, across in ndimage.find_objects(spots)
            )  # fmt: skip
    return ()


def split(images: Sequence[FolderImage], *, seed: int = 0, share: float = 0.4) -> Split:
    """Part the images by group, `share` of the groups to the first model; always the same way.

    Groups are drawn alike from every mix of classes, and the first model gets every kind (good,
    and at least one defect) that more than one group can give.
    """
    groups: dict[str, list[FolderImage]] = {}
    for image in images:
        groups.setdefault(image.group, []).append(image)
    if len(groups) < 2:
        raise FolderError(
            "All images belong to one group, so none would be left for the line. Give images of "
            f"different parts different values in the column group of {INDEX}."
        )
    ordered = sorted(groups, key=lambda name: (_mix(groups[name]), _shuffled(seed, name)))
    chosen = {
        name
        for place, name in enumerate(ordered)
        if int((place + 1) * share + 0.5) > int(place * share + 0.5)
    }
    _complete(chosen, ordered, groups)
    return Split(
        first_model=tuple(image for image in images if image.group in chosen),
        line=tuple(
            sorted(
                (image for image in images if image.group not in chosen),
                key=lambda image: _shuffled(seed, image.name),
            )
        ),
    )


def _mix(members: Sequence[FolderImage]) -> tuple[str, ...]:
    return tuple(sorted({name for image in members for name in image.classes or ("",)}))


def _shuffled(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _complete(
    chosen: set[str], ordered: Sequence[str], groups: dict[str, list[FolderImage]]
) -> None:
    """Add to `chosen` one group for each label it lacks, while the line keeps at least one."""
    for label in (GOOD, DEFECT):
        having = [n for n in ordered if any(image.label == label for image in groups[n])]
        if having and not chosen.intersection(having) and len(chosen) + 1 < len(ordered):
            chosen.add(having[0])
