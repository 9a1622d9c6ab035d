"""What a training is given: the very bytes of the version, in the container's places."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retraining.backends.materials import bring_back, lay_out
from retraining.backends.protocol import BackendRefused, JobSpec, job_name
from traceability.gateways.files import FileStore

NAMES = ["ab/cd/one", "ab/ef/two"]
PREFIX = "datasets/casting/versions/000001"
SPEC = JobSpec(
    job_name="loupe-casting-1-x",
    bucket="loupe-datasets",
    dataset_prefix=PREFIX,
    dataset_label="casting/000001",
    splits=("train",),
    hyperparameters={"model_name": "casting", "model_version": "2", "seed": "0"},
    artifact_prefix="models/plant-1/casting/2",
    evaluation_key="evaluations/plant-1/casting/2.json",
    champion_prefix="models/plant-1/casting/1",
)


class Remote(FileStore):
    """A store whose objects are no files of this machine."""

    def path(self, key: str) -> Path | None:
        del key
        return None


@pytest.fixture(params=[FileStore, Remote], ids=["files", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    made: FileStore = request.param("loupe-datasets", tmp_path / "bucket")
    for name in NAMES:
        made.put(f"objects/sha256/{name}", name.encode())
    write_manifest(made, "s3://loupe-datasets/objects/sha256/", NAMES)
    made.put(f"{PREFIX}/labels/train.jsonl", b"{}\n")
    made.put("models/plant-1/casting/1/model.json", b"champion")
    return made


def write_manifest(store: FileStore, prefix: str, names: list[str]) -> None:
    listed = json.dumps([{"prefix": prefix}, *names]).encode()
    store.put(f"{PREFIX}/train.images.manifest", listed)


def test_everything_lies_where_the_container_looks(store: FileStore, tmp_path: Path) -> None:
    root = tmp_path / "job"
    (root / "output" / "data").mkdir(parents=True)
    (root / "output" / "data" / "evaluation.json").write_text("from an earlier try")
    lay_out(SPEC, store, root)
    data = root / "input" / "data"
    assert [(data / "train" / name).read_text() for name in NAMES] == NAMES
    assert (data / "labels" / "train.jsonl").read_bytes() == b"{}\n"
    assert (data / "champion" / "model.json").read_bytes() == b"champion"
    config = root / "input" / "config"
    assert json.loads((config / "hyperparameters.json").read_text()) == SPEC.hyperparameters
    channels = json.loads((config / "inputdataconfig.json").read_text())
    assert set(channels) == {"train", "labels", "champion"}
    assert not (root / "output" / "data" / "evaluation.json").exists()


def test_images_are_linked_and_models_are_copied_where_files_back_the_store(
    tmp_path: Path, store: FileStore
) -> None:
    lay_out(SPEC, store, tmp_path / "job")
    image = tmp_path / "job/input/data/train" / NAMES[0]
    champion = tmp_path / "job/input/data/champion/model.json"
    is_local = store.path("x") is not None
    assert image.stat().st_nlink == (2 if is_local else 1)
    assert champion.stat().st_nlink == 1


@pytest.mark.parametrize(
    ("prefix", "names", "sentence"),
    [
        ("s3://elsewhere/objects/", ["ab"], "in another bucket"),
        ("s3://loupe-datasets/objects/sha256/", ["../../../escape"], "leaves its folder"),
        ("s3://loupe-datasets/objects/sha256/", ["/etc/passwd"], "leaves its folder"),
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(
    store: FileStore, tmp_path: Path, prefix: str, names: list[str], sentence: str
) -> None:
    write_manifest(store, prefix, names)
    with pytest.raises(BackendRefused, match=sentence):
        lay_out(SPEC, store, tmp_path / "job")


@pytest.mark.parametrize("manifest", [b"", b"[]", b"{}", b"[1, 2]", b"\xff"])
def test_a_manifest_that_is_none_is_refused(
    store: FileStore, tmp_path: Path, manifest: bytes
) -> None:
    store.put(f"{PREFIX}/train.images.manifest", manifest)
    with pytest.raises(BackendRefused, match="cannot be read"):
        lay_out(SPEC, store, tmp_path / "job")


def test_a_training_without_a_result_is_not_collected(store: FileStore, tmp_path: Path) -> None:
    root = tmp_path / "job"
    (root / "model").mkdir(parents=True)
    (root / "model" / "model.json").write_text("{}")
    with pytest.raises(BackendRefused, match="evaluation"):
        bring_back(root, SPEC, store)
    assert list(store.list(f"{SPEC.artifact_prefix}/")) == []


def test_a_job_s_name_follows_from_what_it_does() -> None:
    what = {"slug": "c" * 63, "model_version": "12", "content_sha256": "a" * 64, "run": "r"}
    names = [
        job_name(**{**what, **change}, attempt=attempt)
        for change in ({}, {"content_sha256": "b" * 64}, {"run": "s"}, {"model_version": "13"})
        for attempt in (1, 2)
    ]
    assert len(set(names)) == len(names)
    assert names[0] == job_name(**what, attempt=1)
    for name in names:
        assert len(name) <= 63
        assert name.replace("-", "").isalnum()
