"""What goes into a training and what comes out of it, as files in folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from django.utils.translation import gettext as _

from retraining.backends.protocol import BackendRefused, BackendUnavailable, JobSpec
from traceability.gateways.contract import ObjectStore
from traceability.refusals import Refusal, Unavailable

EVALUATION = "evaluation.json"


@contextmanager
def told_apart() -> Iterator[None]:
    """The store's and the disk's troubles, as the two kinds a run knows."""
    try:
        yield
    except Unavailable as error:
        raise BackendUnavailable(error.sentence) from error
    except Refusal as error:
        raise BackendRefused(error.sentence) from error
    except OSError as error:
        raise BackendUnavailable(
            _("The training folder cannot be used: %(why)s.") % {"why": error}
        ) from error


def lay_out(spec: JobSpec, store: ObjectStore, root: Path) -> None:
    """Fill `root` the way the trainer container finds it; what was there before goes."""
    for name in ("input", "output", "model"):
        shutil.rmtree(root / name, ignore_errors=True)
    data = root / "input" / "data"
    for split in spec.splits:
        manifest = f"{spec.dataset_prefix}/{split}.images.manifest"
        for key, name in listed(store.read(manifest), spec.bucket):
            bring(store, key, inside(data / split, name))
        bring(store, f"{spec.dataset_prefix}/labels/{split}.jsonl", data / f"labels/{split}.jsonl")
    if spec.champion_prefix is not None:
        bring_folder(store, spec.champion_prefix, data / "champion")
    config = root / "input" / "config"
    config.mkdir(parents=True)
    for name, content in configuration(spec).items():
        (config / name).write_text(json.dumps(content), encoding="utf-8")
    for made in ("model", "output/data"):
        (root / made).mkdir(parents=True)


def configuration(spec: JobSpec) -> dict[str, dict[str, Any]]:
    """The three files SageMaker lays beside the data, by name."""
    channels = [*spec.splits, "labels", *(["champion"] if spec.champion_prefix else [])]
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}
    return {
        "hyperparameters.json": dict(spec.hyperparameters),
        "inputdataconfig.json": dict.fromkeys(channels, channel),
        "resourceconfig.json": {"current_host": "algo-1", "hosts": ["algo-1"]},
    }


def listed(manifest: bytes, bucket: str) -> list[tuple[str, str]]:
    """Key in the bucket and name in the channel, of everything a ManifestFile lists."""
    try:
        head, *names = json.loads(manifest)
        prefix = str(head["prefix"]).removeprefix(f"s3://{bucket}/")
    except (ValueError, TypeError, KeyError) as error:
        raise BackendRefused(_("The dataset version's image manifest cannot be read.")) from error
    if "://" in prefix:
        raise BackendRefused(
            _("The dataset version's images lie in another bucket than %(bucket)s.")
            % {"bucket": bucket}
        )
    return [(f"{prefix}{name}", str(name)) for name in names]


def bring(store: ObjectStore, key: str, target: Path) -> None:
    """One object as a file: a link where the store is files on the same disk, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    local = store.path(key)
    if local is not None:
        try:
            target.hardlink_to(local)
        except FileExistsError:
            return
        except OSError:
            # Another file system, or one without links: the copy below does it.
            pass
        else:
            return
    with store.open(key) as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink)


def bring_folder(store: ObjectStore, prefix: str, target: Path) -> int:
    """Every object below the prefix as a copy; how many there were."""
    count = 0
    for key in store.list(f"{prefix}/"):
        name = key.removeprefix(f"{prefix}/")
        path = inside(target, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # A copy, never a link: a served model must not change with a file elsewhere.
        with store.open(key) as source, path.open("wb") as sink:
            shutil.copyfileobj(source, sink)
        count += 1
    return count


def inside(folder: Path, name: str) -> Path:
    """The path of `name` below `folder`; BackendRefused when it would leave it."""
    parts = PurePosixPath(name)
    if parts.is_absolute() or not parts.parts or ".." in parts.parts or "\\" in name:
        raise BackendRefused(_("The file name %(name)r leaves its folder.") % {"name": name[:200]})
    return folder.joinpath(*parts.parts)


def bring_back(root: Path, spec: JobSpec, store: ObjectStore) -> None:
    """Store the trained model and its evaluation; a second time changes nothing."""
    files = sorted(path for path in (root / "model").rglob("*") if path.is_file())
    evaluation = root / "output" / "data" / EVALUATION
    if not files or not evaluation.is_file():
        raise BackendRefused(_("The training left no model, or no evaluation of it."))
    for path in files:
        name = path.relative_to(root / "model").as_posix()
        store.put(f"{spec.artifact_prefix}/{name}", path.read_bytes())
    store.put(spec.evaluation_key, evaluation.read_bytes(), content_type="application/json")
