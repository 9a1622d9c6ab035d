"""One contract for every object store, held against files and against an S3 endpoint."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import boto3
import pytest
from django.conf import settings

from traceability.gateways.files import FileStore
from traceability.gateways.object_store import (
    KeyRefused,
    ObjectMissing,
    ObjectStore,
    StoreUnavailable,
    datasets,
    images,
    store,
)
from traceability.gateways.s3 import S3Store
from traceability.refusals import Unknown

WRITERS = 8


@pytest.fixture(params=["files", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "files":
        return FileStore("bucket", tmp_path / "bucket")
    name = request.getfixturevalue("s3_bucket")
    return S3Store(name, region="eu-central-1", endpoint=request.getfixturevalue("s3_endpoint"))


def race(writers: int, write: Callable[[int], bool]) -> list[int]:
    """Numbers of the writers that won, all let loose at once."""
    start = threading.Barrier(writers)
    won: list[int] = []

    def run(number: int) -> None:
        start.wait()
        if write(number):
            won.append(number)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won


def test_what_was_put_is_read_back(bucket: ObjectStore) -> None:
    bucket.put("a/b/c.bin", b"\x00\x01", content_type="image/png")
    with bucket.open("a/b/c.bin") as stream:
        assert stream.read() == b"\x00\x01"
    assert bucket.read("a/b/c.bin") == b"\x00\x01"
    assert bucket.size("a/b/c.bin") == 2
    assert bucket.exists("a/b/c.bin")


def test_a_missing_object_is_named(bucket: ObjectStore) -> None:
    assert not bucket.exists("not/there")
    assert bucket.read_tagged("not/there") is None
    for asked in (bucket.read, bucket.open, bucket.size):
        with pytest.raises(ObjectMissing, match=r"not/there"):
            asked("not/there")


def test_put_if_absent_never_replaces(bucket: ObjectStore) -> None:
    assert bucket.put_if_absent("key", b"first")
    assert not bucket.put_if_absent("key", b"second")
    assert bucket.read("key") == b"first"


def test_put_replaces(bucket: ObjectStore) -> None:
    bucket.put("key", b"first")
    bucket.put("key", b"second")
    assert bucket.read("key") == b"second"


def test_of_racing_writers_one_wins_and_its_bytes_stay(bucket: ObjectStore) -> None:
    won = race(WRITERS, lambda number: bucket.put_if_absent("race", bytes([number]) * 5000))
    assert len(won) == 1
    assert bucket.read("race") == bytes([won[0]]) * 5000


def test_compare_and_swap_takes_only_the_tag_that_was_read(bucket: ObjectStore) -> None:
    assert bucket.replace_if("ref", b"1", tag=None)
    assert not bucket.replace_if("ref", b"other", tag=None)
    found = bucket.read_tagged("ref")
    assert found is not None
    assert found[0] == b"1"
    assert bucket.replace_if("ref", b"2", tag=found[1])
    assert not bucket.replace_if("ref", b"3", tag=found[1])
    assert bucket.read("ref") == b"2"


def test_compare_and_swap_of_a_missing_object_fails(bucket: ObjectStore) -> None:
    assert not bucket.replace_if("nothing", b"1", tag='"abc"')
    assert not bucket.exists("nothing")


def test_no_increment_is_lost_by_racing_swaps(bucket: ObjectStore) -> None:
    bucket.put("counter", b"0")

    def increment(_number: int) -> bool:
        while True:
            found = bucket.read_tagged("counter")
            assert found is not None
            if bucket.replace_if("counter", str(int(found[0]) + 1).encode(), tag=found[1]):
                return True

    race(4, increment)
    assert bucket.read("counter") == b"4"


ESCAPES = (
    "",
    "/etc/passwd",
    "../outside",
    "a/../../outside",
    "a/./b",
    "a//b",
    "a/",
    "..",
    "a\\..\\b",
    "a\x00b",
    "a\nb",
    "x" * 1025,
    "x" * 256,
    ".loupe/locks/000",
)


def test_a_key_that_could_leave_its_bucket_is_refused(bucket: ObjectStore) -> None:
    asked: tuple[Callable[[str], object], ...] = (
        bucket.read,
        bucket.open,
        bucket.size,
        bucket.exists,
        bucket.read_tagged,
        bucket.path,
        lambda key: bucket.put(key, b"x"),
        lambda key: bucket.put_if_absent(key, b"x"),
        lambda key: bucket.replace_if(key, b"x", tag=None),
    )
    for key in ESCAPES:
        for ask in asked:
            with pytest.raises(KeyRefused, match="refused"):
                ask(key)


def test_keys_are_listed_by_prefix_in_order(bucket: ObjectStore) -> None:
    for key in ("a/2", "a/10", "a/b/c", "ab", "b/1"):
        bucket.put(key, b"x")
    assert list(bucket.list("a/")) == ["a/10", "a/2", "a/b/c"]
    assert list(bucket.list("a/b")) == ["a/b/c"]
    assert set(bucket.list("")) == {"a/2", "a/10", "a/b/c", "ab", "b/1"}
    assert list(bucket.list("none/")) == []


def test_a_large_object_survives_the_way_there_and_back(bucket: ObjectStore) -> None:
    data = os.urandom(1024) * 20 * 1024
    assert bucket.put_if_absent("large", data)
    with bucket.open("large") as stream:
        assert stream.read() == data


def test_s3_signs_an_address_and_keeps_the_content_type(s3_bucket: str, s3_endpoint: str) -> None:
    bucket = S3Store(s3_bucket, region="eu-central-1", endpoint=s3_endpoint)
    bucket.put("image.png", b"pixels", content_type="image/png")
    address = bucket.address("image.png", seconds=60)
    assert address is not None
    with urlopen(address) as answer:  # noqa: S310  # the emulator's own address
        assert answer.read() == b"pixels"
        assert answer.headers["Content-Type"] == "image/png"
    assert bucket.path("image.png") is None


def test_a_bucket_that_does_not_exist_is_a_fault_of_the_store(s3_endpoint: str) -> None:
    bucket = S3Store("no-such-bucket", region="eu-central-1", endpoint=s3_endpoint)
    with pytest.raises(StoreUnavailable, match="no-such-bucket"):
        bucket.read("key")


def test_an_endpoint_that_does_not_answer_is_a_fault_of_the_store() -> None:
    bucket = S3Store("bucket", region="eu-central-1", endpoint="http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable, match="bucket"):
        bucket.put("key", b"x")


def test_files_lie_under_their_key_and_leave_nothing_else(tmp_path: Path) -> None:
    bucket = FileStore("bucket", tmp_path / "bucket")
    bucket.put_if_absent("a/b", b"1")
    bucket.put_if_absent("a/b", b"2")
    bucket.put("a/c", b"3")
    path = bucket.path("a/b")
    assert path is not None
    assert path.read_bytes() == b"1"
    assert bucket.address("a/b", seconds=60) is None
    assert list((tmp_path / "bucket" / ".loupe" / "writing").iterdir()) == []
    assert list(bucket.list("")) == ["a/b", "a/c"]


def test_a_key_that_is_a_folder_is_no_object_and_cannot_become_one(tmp_path: Path) -> None:
    bucket = FileStore("bucket", tmp_path / "bucket")
    bucket.put("a/b", b"1")
    assert not bucket.exists("a")
    with pytest.raises(ObjectMissing):
        bucket.read("a")
    with pytest.raises(ObjectMissing):
        bucket.read("a/b/c")
    for key in ("a", "a/b/c"):
        with pytest.raises(KeyRefused):
            bucket.put_if_absent(key, b"2")
        with pytest.raises(KeyRefused):
            bucket.put(key, b"2")


def test_a_disc_that_refuses_is_a_fault_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_bytes(b"not a folder")
    with pytest.raises((StoreUnavailable, KeyRefused)):
        FileStore("bucket", tmp_path / "bucket").put("a", b"1")


@pytest.fixture
def environment() -> Iterator[dict[str, object]]:
    """What the test changes in the environment's settings, put back afterwards."""
    before = settings.LOUPE.model_dump()
    yield before
    for name, value in before.items():
        setattr(settings.LOUPE, name, value)


def test_only_configured_buckets_are_opened(tmp_path: Path, environment: dict[str, object]) -> None:
    settings.LOUPE.state = tmp_path
    settings.LOUPE.image_buckets = ["plant-images", "plant-more"]
    settings.LOUPE.dataset_bucket = "plant-data"
    assert store("plant-more").bucket == "plant-more"
    assert images().bucket == "plant-images"
    datasets().put("key", json.dumps({}).encode())
    assert (tmp_path / "buckets" / "plant-data" / "key").is_file()
    with pytest.raises(Unknown, match="LOUPE_IMAGE_BUCKETS"):
        store("foreign")


def test_the_settings_choose_s3(
    s3_bucket: str, s3_endpoint: str, environment: dict[str, object]
) -> None:
    settings.LOUPE.storage = "s3"
    settings.LOUPE.aws_endpoint_url = s3_endpoint
    settings.LOUPE.image_buckets = [s3_bucket]
    images().put("key", b"x")
    client = boto3.client("s3", endpoint_url=s3_endpoint, region_name="eu-central-1")
    assert client.get_object(Bucket=s3_bucket, Key="key")["Body"].read() == b"x"
