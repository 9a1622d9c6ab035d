"""The demo part's pictures and the story of its units."""

import io
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from config.demo.marks import DEFECTS
from config.demo.pictures import DEFECTIVE, LOT_SIZE, Picture, picture, story, unit


def pixels(shown: Picture) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(Image.open(io.BytesIO(shown.jpeg)), dtype=np.float32)


def sharpness(shown: Picture) -> float:
    return float(np.abs(np.diff(pixels(shown), axis=1)).mean())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first = picture(seed=7, defect="scratch", contrast=0.5)
    assert picture(seed=7, defect="scratch", contrast=0.5) == first
    assert picture(seed=8, defect="scratch", contrast=0.5).sha256 != first.sha256


def test_a_picture_is_a_grey_jpeg_of_the_size_it_says() -> None:
    shown = picture(seed=1, defect=None)
    image = Image.open(io.BytesIO(shown.jpeg))
    assert (image.format, image.mode, image.size) == ("JPEG", "L", (480, 360))
    assert (shown.width, shown.height, shown.box) == (480, 360, None)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_changes_the_picture_inside_its_box_and_nowhere_else(defect: str) -> None:
    for seed in range(12):
        clean = pixels(picture(seed=seed, defect=None))
        shown = picture(seed=seed, defect=defect, contrast=1.0)
        assert shown.box is not None
        x, y, width, height = shown.box
        assert 0 <= x < x + width <= 480
        assert 0 <= y < y + height <= 360
        change = np.abs(pixels(shown) - clean)
        assert change[y : y + height, x : x + width].max() > 40
        change[max(0, y - 9) : y + height + 9, max(0, x - 9) : x + width + 9] = 0
        assert change.max() < 12


@pytest.mark.parametrize("defect", DEFECTS)
def test_more_contrast_is_easier_to_see_and_the_faintest_drowns_in_the_grain(defect: str) -> None:
    def seen(contrast: float) -> float:
        clean = pixels(picture(seed=3, defect=None))
        return float(
            np.abs(pixels(picture(seed=3, defect=defect, contrast=contrast)) - clean).max()
        )

    steps = [seen(contrast) for contrast in (0.0, 0.2, 0.5, 1.0)]
    assert steps == sorted(steps)
    assert steps[0] < 16 < steps[2]


def test_a_blurred_picture_is_plainly_less_sharp() -> None:
    sharp = picture(seed=4, defect=None)
    assert sharpness(picture(seed=4, defect=None, blurred=True)) < sharpness(sharp) / 2


def test_an_unknown_defect_and_an_impossible_contrast_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"rust.*scratch, pore, dent"):
        picture(seed=1, defect="rust", contrast=0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        picture(seed=1, defect="pore", contrast=1.5)


def test_the_story_numbers_units_and_lots_without_a_gap() -> None:
    units = list(islice(story(1), LOT_SIZE + 1))
    assert [units[0].serial, units[LOT_SIZE].serial] == ["SN-000001", f"SN-{LOT_SIZE + 1:06d}"]
    assert {each.lot for each in units[:LOT_SIZE]} == {"L-0001"}
    assert units[LOT_SIZE].lot == "L-0002"
    assert len({each.supplier for each in units[:LOT_SIZE]}) == 1


def test_the_story_goes_on_where_it_was_left() -> None:
    whole = list(islice(story(5), 60))
    assert list(islice(story(5, first=31), 30)) == whole[30:]
    assert unit(5, 31) == whole[30]
    assert unit(6, 31) != whole[30]


def test_the_story_holds_its_mix_of_good_defective_borderline_and_unfit() -> None:
    units = list(islice(story(2), 3000))
    defective = [each for each in units if each.defect]
    assert abs(len(defective) / len(units) - DEFECTIVE) < 0.03
    assert {each.defect for each in defective} == set(DEFECTS)
    borderline = [each for each in defective if each.contrast < 0.47]
    assert 0.25 < len(borderline) / len(defective) < 0.45
    unfit = [each for each in units if each.quality.verdict == "unfit"]
    assert 10 < len(unfit) < 60
    assert {each.supplier for each in units} == {"S1", "S2", "S3"}


def test_an_unfit_unit_is_photographed_blurred() -> None:
    unfit = next(each for each in story(2) if each.quality.verdict == "unfit")
    sharp = picture(seed=unfit.picture_seed, defect=unfit.defect, contrast=unfit.contrast)
    assert sharpness(unfit.photograph()) < sharpness(sharp) / 2
    assert unfit.quality.as_dict()["sharpness"] == unfit.quality.sharpness < 0.3
