"""What `serve` answers, seen from outside."""

from __future__ import annotations

import io
import json
import shutil
import threading
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it has no stubs
import numpy as np
import pytest
from PIL import Image

from tests.trainer.conftest import Finished
from tests.trainer.drawing import draw_part
from tests.trainer.running import Server, serving

OUTCOME_SCHEMA = {
    "type": "object",
    "required": ["score"],
    "properties": {
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "label": {"type": "string", "maxLength": 64},
        "detections": {
            "type": "array",
            "maxItems": 500,
            "items": {
                "type": "object",
                "required": ["id", "label", "score", "box"],
                "properties": {
                    "score": {"type": "number", "minimum": 0, "maximum": 1},
                    "box": {
                        "type": "array",
                        "minItems": 4,
                        "maxItems": 4,
                        "items": {"type": "number", "minimum": 0},
                    },
                },
            },
        },
    },
}


def test_ping_answers_with_the_model(server: Server) -> None:
    reply = server.ask("GET", "/ping")
    assert reply.status == 200
    assert reply.headers["x-loupe-model-name"] == "drawn"
    assert reply.headers["x-loupe-model-version"] == "7"


@pytest.mark.parametrize(("image_format", "kind"), [("PNG", "image/png"), ("JPEG", "image/jpeg")])
def test_an_image_gets_an_outcome(server: Server, image_format: str, kind: str) -> None:
    reply = server.invoke(draw_part(5001, "scratch", image_format=image_format).content, kind)
    assert reply.status == 200
    assert reply.headers["x-loupe-model-version"] == "7"
    outcome = json.loads(reply.body)
    jsonschema.validate(outcome, OUTCOME_SCHEMA)
    assert outcome["score"] > 0.5
    assert outcome["label"] in ("pit", "scratch")


def test_a_good_part_has_no_label(server: Server) -> None:
    outcome = json.loads(server.invoke(draw_part(5002, "good").content).body)
    assert outcome["score"] < 0.5
    assert "label" not in outcome


def test_the_hottest_box_lies_on_the_defect(server: Server) -> None:
    part = draw_part(5003, "pit")
    outcome = json.loads(server.invoke(part.content).body)
    assert part.box is not None
    x, y, width, height = part.box
    left, top, wide, high = outcome["detections"][0]["box"]
    assert left < x + width
    assert x < left + wide
    assert top < y + height
    assert y < top + high
    assert wide * high < 0.5 * 96 * 96


def test_serving_gives_the_scores_of_the_evaluation(server: Server, finished: Finished) -> None:
    row = finished.job.evaluation["test"][0]
    content = (finished.job.root / "input" / "data" / "test" / row["image"]).read_bytes()
    assert json.loads(server.invoke(content).body)["score"] == row["score"]


def _encoded(mode: str, image_format: str) -> bytes:
    part = draw_part(5004, "pit")
    grey = Image.open(io.BytesIO(part.content))
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert(mode)
    stream = io.BytesIO()
    image.save(stream, format=image_format)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "image_format", "kind"),
    [
        ("I;16", "PNG", "image/png"),
        ("I;16", "TIFF", "image/tiff"),
        ("RGB", "PNG", "image/png"),
        ("RGBA", "PNG", "image/png"),
        ("P", "PNG", "image/png"),
        ("L", "BMP", "image/bmp"),
    ],
)
def test_the_kind_of_file_does_not_change_the_score(
    server: Server, mode: str, image_format: str, kind: str
) -> None:
    plain = json.loads(server.invoke(draw_part(5004, "pit").content).body)["score"]
    reply = server.invoke(_encoded(mode, image_format), kind)
    assert reply.status == 200
    assert json.loads(reply.body)["score"] == pytest.approx(plain, abs=0.05)


def test_boxes_are_in_pixels_after_the_exif_turn(server: Server) -> None:
    part = draw_part(5003, "pit")
    upright = Image.open(io.BytesIO(part.content)).resize((192, 96))
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stream, format="PNG", exif=exif)
    turned = json.loads(server.invoke(stream.getvalue()).body)
    stream = io.BytesIO()
    upright.save(stream, format="PNG")
    assert turned == json.loads(server.invoke(stream.getvalue()).body)


def test_garbage_is_refused_with_a_sentence(server: Server) -> None:
    for body in (b"", b"garbage", draw_part(1, "good").content[:300]):
        reply = server.invoke(body)
        assert reply.status == 400
        assert json.loads(reply.body)["error"].endswith(".")


def test_more_than_six_megabytes_are_refused(server: Server) -> None:
    reply = server.invoke(b"\xff" * (6 * 1024 * 1024 + 1), "image/jpeg")
    assert reply.status == 413
    assert "6 MB" in json.loads(reply.body)["error"]


@pytest.mark.parametrize("side", [7200, 20_000])
def test_more_than_fifty_million_pixels_are_refused(server: Server, side: int) -> None:
    stream = io.BytesIO()
    Image.new("1", (side, side)).save(stream, format="PNG")
    reply = server.invoke(stream.getvalue())
    assert reply.status == 413
    assert "million pixels" in json.loads(reply.body)["error"]


def test_another_media_type_is_refused(server: Server) -> None:
    assert server.invoke(b"{}", "application/json").status == 415
    assert server.invoke(b"GIF89a", "image/gif").status == 415


def test_another_image_format_under_a_known_type_is_refused(server: Server) -> None:
    stream = io.BytesIO()
    Image.new("L", (50, 50)).save(stream, format="GIF")
    assert server.invoke(stream.getvalue()).status == 400


def test_without_a_model_ping_says_so_until_there_is_one(
    finished: Finished, tmp_path: Path
) -> None:
    with serving(tmp_path) as server:
        reply = server.ask("GET", "/ping")
        assert reply.status == 503
        assert "no model" in json.loads(reply.body)["error"]
        assert server.invoke(draw_part(1, "good").content).status == 503
        shutil.copytree(finished.job.root / "model", tmp_path / "model")
        assert server.ask("GET", "/ping").status == 200


def _version(source: Path, target: Path, version: str) -> None:
    shutil.copytree(source, target)
    description = json.loads((target / "model.json").read_text()) | {"version": version}
    (target / "model.json").write_text(json.dumps(description))


def _turn_link(link: Path, target: Path) -> None:
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


def test_a_turned_link_serves_the_new_model_and_no_request_fails(
    finished: Finished, tmp_path: Path
) -> None:
    for version in ("1", "2"):
        _version(finished.job.root / "model", tmp_path / f"model-{version}", version)
    _turn_link(tmp_path / "model", tmp_path / "model-1")
    content = draw_part(1, "good").content
    statuses: list[int] = []
    done = threading.Event()
    with serving(tmp_path) as server:
        assert server.invoke(content).headers["x-loupe-model-version"] == "1"

        def keep_asking() -> None:
            while not done.is_set():
                statuses.append(server.invoke(content).status)

        asking = threading.Thread(target=keep_asking)
        asking.start()
        for version in ("2", "1", "2"):
            _turn_link(tmp_path / "model", tmp_path / f"model-{version}")
            assert server.invoke(content).headers["x-loupe-model-version"] == version
        done.set()
        asking.join()
    assert statuses
    assert set(statuses) == {200}


def test_a_damaged_new_model_leaves_the_old_one_in_force(
    finished: Finished, tmp_path: Path
) -> None:
    _version(finished.job.root / "model", tmp_path / "good", "1")
    _version(finished.job.root / "model", tmp_path / "bad", "2")
    (tmp_path / "bad" / "weights.npz").write_bytes(b"not a model")
    _turn_link(tmp_path / "model", tmp_path / "good")
    with serving(tmp_path) as server:
        assert server.ask("GET", "/ping").status == 200
        _turn_link(tmp_path / "model", tmp_path / "bad")
        reply = server.invoke(draw_part(1, "good").content)
        assert reply.status == 200
        assert reply.headers["x-loupe-model-version"] == "1"
