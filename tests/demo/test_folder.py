"""A user's own images: class folders, or an index.csv, and how they are parted."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from config.demo.folder import read, split
from config.demo.images import Box, FolderError, Polygon

COLUMNS = [
    *("file", "part_id", "label", "classes", "probability", "variant", "group", "capture"),
    *("taken_at", "fold", "width", "height", "boxes", "polygons", "mask"),
]


def draw(path: Path, *, size: tuple[int, int] = (24, 16)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 120).save(path)
    return path


def write_index(root: Path, rows: Sequence[dict[str, str]]) -> Path:
    with (root / "index.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return root


@pytest.fixture
def indexed(tmp_path: Path) -> Path:
    """A good and a cracked part, as rows with everything a row can say."""
    draw(tmp_path / "images/a.png")
    draw(tmp_path / "images/b.png")
    return write_index(
        tmp_path,
        [
            {"file": "images/a.png", "part_id": "P-1", "label": "good", "group": "g1"},
            {
                "file": "images/b.png",
                "part_id": "P-2",
                "label": "defect",
                "classes": "crack",
                "probability": "0.67",
                "variant": "mono",
                "group": "g2",
                "capture": "exposure-1",
                "taken_at": "2020-08-28T19:55:30",
                "fold": "3",
                "boxes": '[{"label":"crack","x":1,"y":2,"width":3,"height":4}]',
                "polygons": '[{"label":"crack","points":[[1,2],[3,2],[3.5,4]]}]',
            },
        ],
    )


def test_an_index_row_is_read_with_all_it_says(indexed: Path) -> None:
    good, cracked = read(indexed).images
    assert (good.label, good.classes, good.boxes, good.fold, good.taken_at) == (
        "good", (), (), None, None,
    )  # fmt: skip
    assert (cracked.part_id, cracked.group, cracked.variant) == ("P-2", "g2", "mono")
    assert (cracked.label, cracked.classes, cracked.probability) == ("defect", ("crack",), 0.67)
    assert cracked.boxes == (Box("crack", 1, 2, 3, 4),)
    assert cracked.polygons == (Polygon("crack", ((1, 2), (3, 2), (3.5, 4))),)
    assert cracked.taken_at == datetime(2020, 8, 28, 19, 55, 30, tzinfo=UTC)
    assert (cracked.fold, cracked.capture) == (3, "exposure-1")
    assert (cracked.media_type, cracked.width, cracked.height) == ("image/png", 24, 16)


@pytest.mark.parametrize(
    ("column", "value", "complaint"),
    [
        ("label", "bad", "line 3, column label.*neither good nor defect"),
        ("label", "good", "line 3, column classes.*called good and crack"),
        ("file", "images/none.png", "line 3, column file.*there is no"),
        ("file", "../outside.png", "line 3, column file.*outside the folder"),
        ("file", "images/a.png", "line 3, column file.*already on line 2"),
        ("fold", "three", "line 3, column fold.*whole number"),
        ("probability", "1.7", "line 3, column probability.*between 0 and 1"),
        ("taken_at", "yesterday", "line 3, column taken_at"),
        ("boxes", "[1, 2", "line 3, column boxes.*not JSON"),
        ("boxes", '[{"label":"crack"}]', "line 3, column boxes.*must look like"),
        ("polygons", '[{"label":"c","points":[[1,2]]}]', "line 3, column polygons.*three points"),
    ],
)
def test_a_bad_cell_is_named_by_line_and_column(
    indexed: Path, column: str, value: str, complaint: str
) -> None:
    with (indexed / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[1][column] = value
    write_index(indexed, rows)
    with pytest.raises(FolderError, match=complaint):
        read(indexed)


def test_an_index_without_a_needed_column_or_with_a_torn_row_is_refused(indexed: Path) -> None:
    (indexed / "index.csv").write_text("file,classes\nimages/a.png,\n", encoding="utf-8")
    with pytest.raises(FolderError, match="line 1: column label is missing"):
        read(indexed)
    (indexed / "index.csv").write_text("file,label\nimages/a.png\n", encoding="utf-8")
    with pytest.raises(FolderError, match="line 2: the row has more or fewer cells"):
        read(indexed)
    (indexed / "index.csv").write_bytes(b"file,label\nimages/\xff.png,good\n")
    with pytest.raises(FolderError, match="not UTF-8"):
        read(indexed)


def test_class_folders_name_the_classes(tmp_path: Path) -> None:
    for name in ("good/1.png", "good/2.jpg", "crack/1.png", "dent/night/1.png"):
        draw(tmp_path / name)
    draw(tmp_path / ".cache/x.png")
    (tmp_path / "notes.txt").write_text("not an image", encoding="utf-8")
    found = read(tmp_path)
    assert [(image.name, image.classes) for image in found.images] == [
        ("crack/1.png", ("crack",)),
        ("dent/night/1.png", ("dent",)),
        ("good/1.png", ()),
        ("good/2.jpg", ()),
    ]
    assert found.summary() == "4 images: 2 good, 1 crack, 1 dent"
    assert found.notes == ()


@pytest.mark.parametrize("wrapper", ["", "bottle/", "line 3/bottle/"])
def test_train_and_test_folders_are_looked_through_at_any_depth(
    tmp_path: Path, wrapper: str
) -> None:
    for name in ("train/good/0.png", "test/good/0.png", "test/crack/0.png"):
        draw(tmp_path / wrapper / name)
    mask = Image.new("L", (24, 16))
    mask.paste(255, (2, 3, 7, 9))
    mask.paste(255, (15, 10, 20, 12))
    (tmp_path / wrapper / "ground_truth/crack").mkdir(parents=True)
    mask.save(tmp_path / wrapper / "ground_truth/crack/0_mask.png")
    images = {image.name.removeprefix(wrapper): image for image in read(tmp_path).images}
    assert {name: image.classes for name, image in images.items()} == {
        "train/good/0.png": (),
        "test/good/0.png": (),
        "test/crack/0.png": ("crack",),
    }
    assert images["test/crack/0.png"].boxes == (
        Box("crack", 2, 3, 5, 6),
        Box("crack", 15, 10, 5, 2),
    )
    assert len({image.part_id for image in images.values()}) == 3


def test_an_unreadable_image_is_left_out_and_said(tmp_path: Path) -> None:
    draw(tmp_path / "good/1.png")
    draw(tmp_path / "crack/1.png")
    (tmp_path / "crack/2.png").write_bytes(b"\x89PNG no more")
    found = read(tmp_path)
    assert len(found.images) == 2
    assert "1 unreadable" in found.notes[0]
    assert "crack/2.png" in found.notes[0]


def test_width_and_height_are_those_of_the_upright_image(tmp_path: Path) -> None:
    draw(tmp_path / "good/1.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    (tmp_path / "crack").mkdir()
    Image.new("L", (30, 10)).save(tmp_path / "crack/1.jpg", exif=turned)
    sizes = {image.name: (image.width, image.height) for image in read(tmp_path).images}
    assert sizes == {"crack/1.jpg": (10, 30), "good/1.png": (24, 16)}


def test_each_unusable_folder_gets_its_own_sentence(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(FolderError, match="is a file, not a folder"):
        read(draw(tmp_path / "single.png"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FolderError, match="holds no images"):
        read(tmp_path / "empty")
    draw(tmp_path / "fine/good/1.png")
    with pytest.raises(FolderError, match="only good parts"):
        read(tmp_path / "fine")
    draw(tmp_path / "worn/pitting/1.png")
    with pytest.raises(FolderError, match=r"only pitting.*second defect class"):
        read(tmp_path / "worn")
    draw(tmp_path / "fine/loose.png")
    with pytest.raises(FolderError, match=r"loose\.png lies in no class folder"):
        read(tmp_path / "fine")


def test_defect_classes_without_good_parts_are_allowed_with_a_sentence(tmp_path: Path) -> None:
    draw(tmp_path / "scale/1.png")
    draw(tmp_path / "slag/1.png")
    found = read(tmp_path)
    assert found.classes == ("scale", "slag")
    assert "No good parts" in found.notes[0]


def grouped(root: Path, groups: int) -> Path:
    """`groups` groups of three exposures; every fourth group is cracked."""
    rows = []
    for number in range(groups * 3):
        group = number // 3
        draw(root / f"{number}.png")
        label = {"label": "defect", "classes": "crack"} if group % 4 == 0 else {"label": "good"}
        rows.append({"file": f"{number}.png", "group": f"g{group}"} | label)
    return write_index(root, rows)


def test_a_split_keeps_groups_whole_and_gives_the_first_model_two_in_five(tmp_path: Path) -> None:
    images = read(grouped(tmp_path, 40)).images
    parts = split(images)
    first = {image.group for image in parts.first_model}
    assert first.isdisjoint(image.group for image in parts.line)
    assert len(parts.first_model) + len(parts.line) == len(images)
    assert len(first) == 16
    cracked = {image.group for image in parts.first_model if image.label == "defect"}
    assert len(cracked) == 4


def test_a_split_is_always_the_same_and_another_with_another_seed(tmp_path: Path) -> None:
    images = read(grouped(tmp_path, 40)).images
    assert split(images) == split(images)
    assert {image.name for image in split(images).first_model} == {
        image.name for image in split(tuple(reversed(images))).first_model
    }
    assert split(images, seed=1).line != split(images).line


@pytest.mark.parametrize("groups", [5, 6, 9])
def test_the_first_model_gets_both_labels_even_from_few_groups(tmp_path: Path, groups: int) -> None:
    for seed in range(8):
        parts = split(read(grouped(tmp_path, groups)).images, seed=seed)
        assert {image.label for image in parts.first_model} == {"good", "defect"}
        assert parts.line


def test_a_single_group_cannot_be_split(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    draw(tmp_path / "b.png")
    rows = [
        {"file": "a.png", "label": "good", "group": "one"},
        {"file": "b.png", "label": "defect", "group": "one"},
    ]
    with pytest.raises(FolderError, match="one group"):
        split(read(write_index(tmp_path, rows)).images)
