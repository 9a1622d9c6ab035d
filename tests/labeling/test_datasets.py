"""Dataset versions: complete or not there, the same for the same labels, never leaking."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.db import connection, transaction

from governance.audit import recorded
from governance.models import AuditEntry
from labeling import datasets, versions
from labeling.annotations import record, withdraw
from labeling.datasets import NothingToTrain, diff, new_labels, publish
from labeling.imports import import_labelled
from labeling.models import (
    Dataset,
    DatasetSample,
    DatasetVersion,
    Label,
    Split,
    SplitAssignment,
)
from tests import factories
from tests.labeling.plants import PLANT, bring, image, mixed, sha
from traceability.gateways import object_store
from traceability.gateways.files import FileStore
from traceability.gateways.object_store import StoreUnavailable
from traceability.models import Capture, Inspection, Unit
from traceability.refusals import Conflict

SPLITS = ("train", "validation", "test")


def published(dataset: Dataset, at: datetime, reason: str = "test") -> DatasetVersion:
    return publish(actor=PLANT, dataset=dataset, reason=reason, at=at)


def read(version: DatasetVersion, name: str) -> bytes:
    return object_store.datasets().read(f"{version.prefix}/{name}")


def label_lines(version: DatasetVersion) -> dict[str, list[dict[str, Any]]]:
    return {
        split: [json.loads(line) for line in read(version, f"labels/{split}.jsonl").splitlines()]
        for split in SPLITS
    }


def judge(unit: Unit, verdict: Label.Verdict, at: datetime) -> Any:
    """An inspector's decision on the unit's first inspection."""
    inspection = Inspection.objects.filter(unit=unit).order_by("id").first()
    assert inspection is not None
    decision = uuid4()
    with recorded(actor=PLANT, at=at) as trail:
        record(
            trail=trail,
            decision=decision,
            inspection=inspection,
            verdict=verdict,
            defect_class="scratch" if verdict == Label.Verdict.DEFECT else "",
            disposition="HOLD",
            labelled_by="ina",
            inclusion_probability=0.25,
        )
    return decision


def test_a_version_lies_in_the_store_as_the_contract_says(dataset: Dataset, now: datetime) -> None:
    bring(mixed(24, lots=8), now)
    version = published(dataset, now, "first labels")
    store = object_store.datasets()
    assert version.prefix == "datasets/castings/versions/000001"
    assert set(store.list(f"{version.prefix}/")) == {
        f"{version.prefix}/{name}"
        for name in (
            "manifest.jsonl.gz",
            "version.json",
            "_PUBLISHED",
            *(f"{split}.images.manifest" for split in SPLITS),
            *(f"labels/{split}.jsonl" for split in SPLITS),
        )
    }
    lines = gzip.decompress(read(version, "manifest.jsonl.gz"))
    assert hashlib.sha256(lines).hexdigest() == version.content_sha256
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len(rows) == 24
    for row in rows:
        digest = row["image"]
        assert store.read(f"objects/sha256/{digest[:2]}/{digest[2:4]}/{digest}").startswith(
            b"image "
        )
        mark = row["annotation"]
        said = store.read(f"annotations/sha256/{mark[:2]}/{mark[2:4]}/{mark}.json")
        assert hashlib.sha256(said).hexdigest() == mark
        assert json.loads(said)["image"] == digest
    described = json.loads(read(version, "version.json"))
    assert described["content_sha256"] == version.content_sha256
    assert (
        described["manifest_sha256"]
        == hashlib.sha256(read(version, "manifest.jsonl.gz")).hexdigest()
    )
    assert described["reason"] == "first labels"
    assert described["counts"] == version.counts
    assert described["class_map"] == {"scratch": 0}
    assert described["parents"] == []
    latest = json.loads(store.read("datasets/castings/refs/latest.json"))
    assert (latest["number"], latest["prefix"]) == (1, version.prefix)


def test_the_trainer_reads_what_the_contract_promises(dataset: Dataset, now: datetime) -> None:
    bring(mixed(24, lots=8), now)
    version = published(dataset, now)
    for split, rows in label_lines(version).items():
        head, *names = json.loads(read(version, f"{split}.images.manifest"))
        assert head == {"prefix": "s3://loupe-datasets/objects/sha256/"}
        assert names == [row["image"] for row in rows]
        assert len(rows) == version.counts[split]["samples"]
        for row in rows:
            assert row["image"] == f"{row['sha256'][:2]}/{row['sha256'][2:4]}/{row['sha256']}"
            assert row["weight"] == 1
            assert row["group"] == f"lot:{row['lot']}"
            boxes = [{"label": "scratch", "x": 1, "y": 2, "width": 3, "height": 4}]
            defect = row["label"] == "defect"
            assert row["classes"] == (["scratch"] if defect else [])
            assert row["boxes"] == (boxes if defect else [])
            assert row["polygons"] == []


def test_the_weight_is_the_inverse_of_the_chance_to_be_judged(
    dataset: Dataset, now: datetime
) -> None:
    bring(mixed(12), now)
    judge(Unit.objects.get(serial="SN-1"), Label.Verdict.DEFECT, now)
    rows = [r for rows in label_lines(published(dataset, now)).values() for r in rows]
    assert {r["unit"]: r["weight"] for r in rows}["SN-1"] == 4
    assert {r["lot"] for r in rows} == {None}


def test_what_the_model_proposed_is_kept_but_not_learnt_from(
    dataset: Dataset, now: datetime
) -> None:
    bring(mixed(12), now)
    capture = Capture.objects.get(inspection__unit__serial="SN-1")
    factories.prediction(capture, detections=[{"label": "scratch", "score": 0.5, "box": [1] * 4}])
    judge(Unit.objects.get(serial="SN-1"), Label.Verdict.DEFECT, now)
    version = published(dataset, now)
    [row] = [r for rows in label_lines(version).values() for r in rows if r["unit"] == "SN-1"]
    assert (row["label"], row["boxes"]) == ("defect", [])
    lines = gzip.decompress(read(version, "manifest.jsonl.gz")).splitlines()
    [mark] = [r["annotation"] for r in map(json.loads, lines) if r["unit"] == "SN-1"]
    said = object_store.datasets().read(f"annotations/sha256/{mark[:2]}/{mark[2:4]}/{mark}.json")
    assert [r["origin"] for r in json.loads(said)["regions"]] == ["proposed"]


def test_the_same_labels_are_published_once(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    first = published(dataset, now)
    entries = AuditEntry.objects.count()
    again = published(dataset, now + timedelta(days=1), "another reason")
    assert again == first
    assert DatasetVersion.objects.count() == 1
    assert AuditEntry.objects.count() == entries


def test_the_same_labels_give_the_same_bytes_whenever_and_by_whomever(
    dataset: Dataset, now: datetime, state: Path
) -> None:
    bring(mixed(12), now)
    other = Dataset.objects.create(site=dataset.site, slug="copy", name="Copy", seed=dataset.seed)
    one = published(dataset, now)
    two = published(other, now + timedelta(days=3), "later")
    assert one.content_sha256 == two.content_sha256
    for name in ("manifest.jsonl.gz", "test.images.manifest", "labels/train.jsonl"):
        assert read(one, name) == read(two, name)


def test_a_new_label_makes_a_new_version_and_old_members_stay(
    dataset: Dataset, now: datetime
) -> None:
    bring(mixed(24, lots=6), now)
    first = published(dataset, now)
    bring(mixed(24, first=24, lots=9), now)
    second = published(dataset, now)
    assert (second.number, second.parent) == (2, first)
    before, after = (
        {r["sha256"]: split for split, rows in label_lines(v).items() for r in rows}
        for v in (first, second)
    )
    assert len(after) == 48
    assert all(after[image] == split for image, split in before.items())
    assert diff(first, second) == datasets.Diff(added=24, removed=0, relabelled=0)
    assert json.loads(read(second, "version.json"))["parents"][0]["number"] == 1


def test_no_lot_or_unit_is_in_two_splits(dataset: Dataset, now: datetime) -> None:
    bring(mixed(40, lots=7), now)
    bring([image(n, serial=f"S{n % 5}") for n in range(100, 120)], now)
    seen: dict[str, set[str]] = {}
    for split, rows in label_lines(published(dataset, now)).items():
        for row in rows:
            seen.setdefault(row["group"], set()).add(split)
    assert len(seen) == 12
    assert all(len(where) == 1 for where in seen.values())


def test_lots_that_share_an_image_are_not_parted(dataset: Dataset, now: datetime) -> None:
    images = mixed(30, lots=10)
    twins = [image(500, serial=f"T{n}", lot=lot) for n, lot in enumerate(["L0", "L1", "L2"])]
    bring([*images, *twins], now)
    version = published(dataset, now)
    lines = label_lines(version)
    rows = [(split, r) for split, found in lines.items() for r in found]
    assert len({split for split, r in rows if r["lot"] in ("L0", "L1", "L2")}) == 1
    assert sum(r["sha256"] == sha(500) for _split, r in rows) == 1
    assert new_labels(dataset=dataset) == 0


def test_an_image_that_turns_up_in_a_test_lot_and_a_train_lot_is_only_tested_on(
    dataset: Dataset, now: datetime
) -> None:
    bring(mixed(30, lots=10), now)
    first = published(dataset, now)
    lots = {split: rows[0]["lot"] for split, rows in label_lines(first).items() if rows}
    bring(
        [
            image(500, serial="T1", lot=lots["train"]),
            image(500, serial="T2", lot=lots["test"]),
            image(501, serial="T3", lot=lots["train"]),
            image(501, serial="T4", lot="L99"),
        ],
        now,
    )
    second = published(dataset, now)
    where = {r["sha256"]: split for split, rows in label_lines(second).items() for r in rows}
    assert where[sha(500)] == "test"
    assert where[sha(501)] == "test"
    assert SplitAssignment.objects.get(group="lot:L99").split == "test"
    assert set(
        DatasetSample.objects.filter(version=second, label__capture__sha256=sha(500)).values_list(
            "split", flat=True
        )
    ) == {"test"}
    assert new_labels(dataset=dataset) == 0
    assert published(dataset, now) == second


def test_a_label_taken_back_or_overruled_no_longer_counts(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    first = published(dataset, now)
    unit = Unit.objects.get(serial="SN-1")
    decision = judge(unit, Label.Verdict.DEFECT, now)
    assert new_labels(dataset=dataset) == 1
    second = published(dataset, now)
    assert (
        second.counts["train"]["defect"]
        + second.counts["test"]["defect"]
        + second.counts["validation"]["defect"]
        == 5
    )
    assert diff(first, second) == datasets.Diff(added=0, removed=0, relabelled=1)
    with recorded(actor=PLANT, at=now) as trail:
        withdraw(trail=trail, decision=decision)
    third = published(dataset, now)
    assert third.number == 3
    assert third.content_sha256 == first.content_sha256


def test_a_later_decision_speaks_for_all_views_of_the_unit(dataset: Dataset, now: datetime) -> None:
    inspection = factories.inspection(views=2)
    factories.defect_class("scratch")
    for view in ("a", "b"):
        factories.prediction(factories.capture(inspection, view=view), score=0.5)
    judge(inspection.unit, Label.Verdict.GOOD, now)
    assert datasets.current_labels(site=inspection.site).count() == 2
    decision = judge(inspection.unit, Label.Verdict.DEFECT, now)
    [left] = datasets.current_labels(site=inspection.site)
    assert left.verdict == "defect"
    with recorded(actor=PLANT, at=now) as trail:
        withdraw(trail=trail, decision=decision)
    assert {x.verdict for x in datasets.current_labels(site=inspection.site)} == {"good"}
    assert datasets.current_labels(site=inspection.site).count() == 2


def test_labels_of_another_site_do_not_count(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    elsewhere = factories.station(factories.line(factories.site("plant-2")))
    bring(mixed(9, first=50), now, elsewhere)
    assert new_labels(dataset=dataset) == 12
    assert sum(c["samples"] for c in published(dataset, now).counts.values()) == 12


def test_an_image_that_is_gone_or_changed_is_left_out_and_says_so(
    dataset: Dataset, now: datetime
) -> None:
    bring(mixed(12), now)
    gone, changed = (Capture.objects.get(sha256=sha(n)) for n in (1, 2))
    store = object_store.images()
    path = store.path(gone.key)
    assert path is not None
    path.unlink()
    store.put(changed.key, b"something else")
    version = published(dataset, now)
    assert sum(c["samples"] for c in version.counts.values()) == 10
    for capture in (gone, changed):
        capture.refresh_from_db()
        assert capture.preview == Capture.Preview.REFUSED
    assert "never stored" in gone.preview_refusal
    assert "SHA-256" in changed.preview_refusal
    entries = AuditEntry.objects.filter(action="capture.refuse").order_by("pk")
    assert {entry.subject for entry in entries} == {str(gone.uuid), str(changed.uuid)}
    assert {entry.reason for entry in entries} == {gone.preview_refusal, changed.preview_refusal}
    assert new_labels(dataset=dataset) == 0
    assert published(dataset, now) == version


def test_an_image_too_large_to_learn_from_is_left_out_and_still_shown(
    dataset: Dataset, now: datetime
) -> None:
    bring(mixed(12), now)
    wide = Capture.objects.get(sha256=sha(1))
    Capture.objects.filter(pk=wide.pk).update(preview="READY", width=10_000, height=10_000)
    version = published(dataset, now)
    assert sum(c["samples"] for c in version.counts.values()) == 11
    wide.refresh_from_db()
    assert (wide.preview, wide.learnable) == ("READY", False)
    assert "50 megapixels" in AuditEntry.objects.get(action="capture.leave_out").reason
    assert new_labels(dataset=dataset) == 0
    assert published(dataset, now) == version


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        ([], "no labels yet"),
        ([image(n) for n in range(5)], "All 5 labels say the same"),
        ([image(n, defect="pore") for n in range(5)], "All 5 labels say the same"),
        (mixed(6, lots=1), "one lot or unit"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(
    dataset: Dataset, now: datetime, images: list[Any], sentence: str
) -> None:
    bring(images, now) if images else None
    with pytest.raises(NothingToTrain, match=sentence):
        published(dataset, now)
    assert not DatasetVersion.objects.exists()
    assert not list(object_store.datasets().list("datasets/"))


def test_two_defect_classes_without_a_good_part_can_be_told_apart(
    dataset: Dataset, now: datetime
) -> None:
    bring([image(n, defect="pore" if n % 2 else "crack") for n in range(12)], now)
    assert published(dataset, now).class_map == {"crack": 0, "pore": 1}


def test_a_class_keeps_its_number(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    published(dataset, now)
    bring([image(50, defect="blister"), image(51, defect="crack")], now)
    assert published(dataset, now).class_map == {"scratch": 0, "blister": 1, "crack": 2}


class Crash(BaseException):
    """A killed process."""


@pytest.mark.parametrize("after", [0, 1, 5, 7])
def test_a_crash_while_writing_leaves_no_version_and_the_next_publication_mends_it(
    dataset: Dataset, now: datetime, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    bring(mixed(12), now)
    whole, left = FileStore.put, [after]

    def put(store: FileStore, key: str, data: bytes, **options: Any) -> None:
        if not left[0]:
            raise Crash
        left[0] -= 1
        whole(store, key, data, **options)

    with monkeypatch.context() as patch:
        patch.setattr(FileStore, "put", put)
        with pytest.raises(Crash):
            published(dataset, now)
    assert not DatasetVersion.objects.exists()
    assert not object_store.datasets().exists("datasets/castings/versions/000001/_PUBLISHED")
    bring(mixed(3, first=90), now)
    version = published(dataset, now)
    assert version.number == 1
    assert sum(c["samples"] for c in version.counts.values()) == 15
    assert sum(len(rows) for rows in label_lines(version).values()) == 15


def test_a_crash_after_recording_is_finished_by_the_next_publication(
    dataset: Dataset, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise Crash

    bring(mixed(12), now)
    with monkeypatch.context() as patch:
        patch.setattr(datasets, "finish", crash)
        with pytest.raises(Crash):
            published(dataset, now)
    version = DatasetVersion.objects.get()
    store = object_store.datasets()
    assert not store.exists(f"{version.prefix}/_PUBLISHED")
    assert published(dataset, now) == version
    assert store.exists(f"{version.prefix}/_PUBLISHED")
    assert json.loads(store.read("datasets/castings/refs/latest.json"))["number"] == 1


def test_the_name_latest_never_goes_back(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    first = published(dataset, now)
    bring(mixed(3, first=90), now)
    published(dataset, now)
    store = object_store.datasets()
    versions.finish(store, first)
    assert json.loads(store.read("datasets/castings/refs/latest.json"))["number"] == 2


def test_no_transaction_is_open_while_objects_are_written(
    transactional_db: None, state: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset.objects.create(site=factories.site(), slug="castings", name="Castings")
    bring(mixed(12), now)
    whole, seen = FileStore.put, []

    def put(store: FileStore, key: str, data: bytes, **options: Any) -> None:
        seen.append(connection.in_atomic_block)
        whole(store, key, data, **options)

    monkeypatch.setattr(FileStore, "put", put)
    published(dataset, now)
    assert len(seen) == 8
    assert not any(seen)


def test_a_dataset_is_published_by_one_at_a_time(
    transactional_db: None, state: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = Dataset.objects.create(site=factories.site(), slug="castings", name="Castings")
    bring(mixed(12), now)
    inside, go = threading.Event(), threading.Event()
    whole = versions.finish

    def finish(*args: Any) -> None:
        inside.set()
        assert go.wait(120)
        whole(*args)

    monkeypatch.setattr(datasets, "finish", finish)

    def run() -> None:
        try:
            published(dataset, now)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert inside.wait(120)
    with pytest.raises(Conflict, match="being published right now"):
        published(dataset, now)
    go.set()
    thread.join()
    assert published(dataset, now).number == 1


def test_what_was_published_cannot_be_changed(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    version = published(dataset, now)
    for change in (
        lambda: DatasetVersion.objects.filter(pk=version.pk).update(reason="other"),
        lambda: DatasetSample.objects.filter(version=version).delete(),
        lambda: SplitAssignment.objects.filter(dataset=dataset).update(split=Split.TRAIN),
    ):
        _refused(change)


def _refused(change: Callable[[], object]) -> None:
    with pytest.raises(Exception, match="only superseded"), transaction.atomic():
        change()


def test_a_store_that_fails_fails_the_publication(
    dataset: Dataset, now: datetime, state: Path
) -> None:
    bring(mixed(12), now)
    (state / "buckets" / "loupe-datasets").write_bytes(b"not a folder")
    with pytest.raises((StoreUnavailable, object_store.KeyRefused)):
        published(dataset, now)
    assert not DatasetVersion.objects.exists()


def test_the_publication_is_in_the_audit_trail(dataset: Dataset, now: datetime) -> None:
    bring(mixed(12), now)
    version = published(dataset, now, "weekly")
    entry = AuditEntry.objects.get(action="dataset.publish")
    assert (entry.subject, entry.reason) == ("castings/000001", "weekly")
    assert entry.detail["content_sha256"] == version.content_sha256


def test_images_are_imported_once_with_their_facts(state: Path, now: datetime, db: None) -> None:
    images = [
        image(1, part_number="P-1", part_revision="B", lot="L1", supplier="S1"),
        image(2, defect="cold_shut", part_number="P-1", part_revision="B"),
        image(3, serial="SN-1"),
    ]
    bring(images, now)
    bring([*images, image(4)], now)
    assert Label.objects.count() == 4
    unit = Unit.objects.get(serial="SN-1")
    assert unit.lot is not None
    assert unit.supplier is not None
    assert (str(unit.part_revision), unit.lot.code, unit.supplier.code) == ("P-1 B", "L1", "S1")
    assert unit.inspection_set.count() == 2
    label = Label.objects.get(unit__serial="SN-2")
    assert (label.verdict, label.origin, label.decision) == ("defect", "import", None)
    assert label.defect_class is not None
    assert label.defect_class.name == "Cold shut"
    assert [a.origin for a in label.annotations.all()] == ["drawn"]
    assert object_store.images().read(label.capture.key) == b"image 2"
    assert AuditEntry.objects.filter(action="label.import").count() == 2


def test_importing_nothing_new_changes_nothing(state: Path, now: datetime, db: None) -> None:
    bring(mixed(3), now)
    entries = AuditEntry.objects.count()
    labels = import_labelled(actor=PLANT, station=factories.station(), images=mixed(3), at=now)
    assert labels == []
    assert AuditEntry.objects.count() == entries


def test_a_version_is_published_on_s3_as_well(
    dataset: Dataset, now: datetime, s3_bucket: str, s3_endpoint: str
) -> None:
    before = settings.LOUPE.model_dump()
    settings.LOUPE.storage = "s3"
    settings.LOUPE.aws_endpoint_url = s3_endpoint
    settings.LOUPE.dataset_bucket = s3_bucket
    settings.LOUPE.image_buckets = [s3_bucket]
    try:
        bring(mixed(9), now)
        version = published(dataset, now)
        again = published(dataset, now)
        head, *names = json.loads(read(version, "test.images.manifest"))
        store = object_store.datasets()
        assert store.exists(f"{version.prefix}/_PUBLISHED")
        assert json.loads(store.read("datasets/castings/refs/latest.json"))["number"] == 1
        assert all(store.exists(f"objects/sha256/{name}") for name in names)
    finally:
        for name, value in before.items():
            setattr(settings.LOUPE, name, value)
    assert again == version
    assert head == {"prefix": f"s3://{s3_bucket}/objects/sha256/"}
