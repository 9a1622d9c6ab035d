from __future__ import annotations

import copy
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber
from mypy_boto3_sagemaker import SageMakerClient

from retraining.backends import requests, shapes
from retraining.backends.protocol import (
    BackendRefused,
    BackendUnavailable,
    JobSpec,
    JobState,
    Release,
)
from retraining.backends.requests import Account
from retraining.backends.sagemaker import SageMakerBackend, SageMakerServing
from traceability.gateways.files import FileStore

IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/loupe-trainer@sha256:" + "a" * 64
ACCOUNT = Account(role_arn="arn:aws:iam::123456789012:role/loupe-training", image=IMAGE)
FLEET = Account(
    role_arn=ACCOUNT.role_arn,
    image=IMAGE,
    serving_count=5,
    subnets=("subnet-0a1b2c3d",),
    security_groups=("sg-0a1b2c3d",),
    kms_key="alias/loupe",
    alarms=("loupe-5xx", "loupe-p95"),
)
SPEC = JobSpec(
    job_name="loupe-casting-2-0123456789",
    bucket="loupe-datasets",
    dataset_prefix="datasets/casting/versions/000042",
    dataset_label="casting/000042",
    splits=("train", "validation", "test"),
    hyperparameters={"model_name": "casting", "model_version": "2", "seed": "0"},
    artifact_prefix="models/plant-1/casting/2",
    evaluation_key="evaluations/plant-1/casting/2.json",
    champion_prefix="models/plant-1/casting/1",
    tags={"loupe:dataset-version": "casting/000042", "loupe:site": "plant-1"},
)
RELEASE = Release(
    deployment=7,
    site="plant-1",
    model_name="casting",
    model_version="2",
    bucket="loupe-datasets",
    artifact_prefix=SPEC.artifact_prefix,
    job_name=SPEC.job_name,
    dataset_label="casting/000042",
    content_sha256="b" * 64,
    approved_by="olga",
)
PACKAGE = "arn:aws:sagemaker:eu-central-1:123456789012:model-package/loupe-casting/3"
TRAINING_JOB = "arn:aws:sagemaker:eu-central-1:123456789012:training-job/x"
ENDPOINT = "arn:aws:sagemaker:eu-central-1:123456789012:endpoint/loupe-casting"

BUILT: dict[str, Callable[[Account], dict[str, Any]]] = {
    "CreateTrainingJob": lambda a: requests.training_job(SPEC, a),
    "DescribeTrainingJob": lambda _a: requests.describe_training_job(SPEC.job_name),
    "StopTrainingJob": lambda _a: requests.stop_training_job(SPEC.job_name),
    "CreateModelPackageGroup": lambda _a: requests.model_package_group(RELEASE),
    "CreateModelPackage": lambda a: requests.model_package(RELEASE, a),
    "UpdateModelPackage": lambda _a: requests.approval(PACKAGE, RELEASE),
    "CreateModel": lambda a: requests.model(PACKAGE, RELEASE, a),
    "CreateEndpointConfig": lambda a: requests.endpoint_config(RELEASE, a),
    "CreateEndpoint": lambda _a: requests.endpoint(RELEASE),
    "UpdateEndpoint": lambda a: requests.endpoint_update(RELEASE, a),
}


@pytest.fixture
def sagemaker() -> Iterator[tuple[SageMakerClient, Stubber]]:
    client = boto3.client("sagemaker", region_name="eu-central-1")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


@pytest.mark.parametrize("account", [ACCOUNT, FLEET], ids=["small", "fleet"])
@pytest.mark.parametrize("operation", BUILT)
def test_every_request_fits_the_service_description(operation: str, account: Account) -> None:
    assert shapes.faults("sagemaker", operation, BUILT[operation](account)) == []


def spoil(request: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one value set, or removed when it is None."""
    spoiled = copy.deepcopy(request)
    *way, last = path.split(".")
    where: Any = spoiled
    for step in way:
        where = where[int(step)] if step.isdigit() else where[step]
    if value is None:
        del where[last]
    else:
        where[last] = value
    return spoiled


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("RoleArn", None, "is required"),
        ("RoleArn", "nonsense", "does not match"),
        ("TrainingJobName", "loupe_casting", "does not match"),
        ("TrainingJobName", "x" * 64, "is over 63"),
        ("Typo", "x", "is not known"),
        ("ResourceConfig.InstanceType", "ml.huge", "is none of"),
        ("ResourceConfig.InstanceCount", "1", "integer is expected"),
        ("ResourceConfig.InstanceCount", -1, "is under"),
        ("EnableNetworkIsolation", "yes", "boolean is expected"),
        ("InputDataConfig", {}, "a list is expected"),
        ("InputDataConfig.0.DataSource.S3DataSource.S3DataType", "Folder", "is none of"),
        ("HyperParameters.seed", 7, "string is expected"),
        ("HyperParameters", ["seed"], "a map is expected"),
        ("Tags.0.Key", "!!!", "does not match"),
        ("AlgorithmSpecification", "x", "an object is expected"),
        ("AlgorithmSpecification.ContainerArguments", [], "is under 1"),
    ],
)
def test_the_check_names_each_kind_of_mistake(path: str, value: Any, fault: str) -> None:
    wrong = spoil(requests.training_job(SPEC, ACCOUNT), path, value)
    found = shapes.faults("sagemaker", "CreateTrainingJob", wrong)
    assert any(fault in one for one in found)
    assert all(path.rpartition(".")[2] in one or "Typo" in one for one in found)


def test_the_job_reads_the_version_where_it_lies_without_copying() -> None:
    channels = {
        c["ChannelName"]: c for c in requests.training_job(SPEC, ACCOUNT)["InputDataConfig"]
    }
    assert set(channels) == {"train", "validation", "test", "labels", "champion"}
    source = channels["test"]["DataSource"]["S3DataSource"]
    assert source["S3DataType"] == "ManifestFile"
    assert source["S3Uri"].endswith("/versions/000042/test.images.manifest")
    champion = channels["champion"]["DataSource"]["S3DataSource"]["S3Uri"]
    assert champion == "s3://loupe-datasets/models/plant-1/casting/1/"


def test_a_wrong_request_is_refused_before_it_is_sent(
    sagemaker: tuple[SageMakerClient, Stubber],
) -> None:
    client, _stubber = sagemaker
    backend = SageMakerBackend(client, Account(role_arn="me", image=IMAGE))
    with pytest.raises(BackendRefused, match="RoleArn"):
        backend.start(SPEC)


def test_starting_twice_is_starting_once(sagemaker: tuple[SageMakerClient, Stubber]) -> None:
    client, stubber = sagemaker
    backend = SageMakerBackend(client, ACCOUNT)
    expected = requests.training_job(SPEC, ACCOUNT)
    stubber.add_response("create_training_job", {"TrainingJobArn": TRAINING_JOB}, expected)
    stubber.add_client_error("create_training_job", "ResourceInUse", "exists", 400)
    assert backend.start(SPEC) == backend.start(SPEC) == SPEC.job_name


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, BackendUnavailable),
        ("ResourceLimitExceeded", 400, BackendUnavailable),
        ("Whatever", 503, BackendUnavailable),
        ("ValidationException", 400, BackendRefused),
        ("AccessDeniedException", 403, BackendRefused),
    ],
)
def test_a_failure_is_told_apart(
    sagemaker: tuple[SageMakerClient, Stubber], code: str, status: int, kind: type[Exception]
) -> None:
    client, stubber = sagemaker
    stubber.add_client_error("create_training_job", code, "the service's words", status)
    with pytest.raises(kind, match="the service's words"):
        SageMakerBackend(client, ACCOUNT).start(SPEC)


def test_no_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("sagemaker", region_name="eu-central-1")

    def silent(**_request: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://sagemaker")

    monkeypatch.setattr(client, "describe_training_job", silent)
    with pytest.raises(BackendUnavailable):
        SageMakerBackend(client, ACCOUNT).status("x")


def described(status: str, secondary: str, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": SPEC.job_name,
        "TrainingJobArn": TRAINING_JOB,
        "ModelArtifacts": {"S3ModelArtifacts": "s3://x/y"},
        "TrainingJobStatus": status,
        "SecondaryStatus": secondary,
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        "CreationTime": 0,
        **more,
    }


@pytest.mark.parametrize(
    ("status", "secondary", "state", "failure"),
    [
        ("InProgress", "Training", JobState.RUNNING, ""),
        ("Stopping", "Stopping", JobState.RUNNING, ""),
        ("Completed", "Completed", JobState.COMPLETED, ""),
        ("Stopped", "Stopped", JobState.STOPPED, ""),
        ("Stopped", "MaxRuntimeExceeded", JobState.FAILED, "too long"),
        ("Failed", "Failed", JobState.FAILED, "AlgorithmError"),
    ],
)
def test_completion_is_found_by_asking(
    sagemaker: tuple[SageMakerClient, Stubber],
    status: str,
    secondary: str,
    state: JobState,
    failure: str,
) -> None:
    client, stubber = sagemaker
    answer = described(status, secondary, FailureReason="AlgorithmError: no defects")
    asked = {"TrainingJobName": SPEC.job_name}
    stubber.add_response("describe_training_job", answer, asked)
    found = SageMakerBackend(client, ACCOUNT).status(SPEC.job_name)
    assert found.state is state
    assert failure in found.failure
    assert bool(found.failure) == bool(failure)


def test_stopping_an_ended_job_is_no_news(sagemaker: tuple[SageMakerClient, Stubber]) -> None:
    client, stubber = sagemaker
    stubber.add_client_error("stop_training_job", "ValidationException", "not InProgress", 400)
    SageMakerBackend(client, ACCOUNT).stop(SPEC.job_name)


def packed(files: dict[str, bytes], *, kind: bytes = tarfile.REGTYPE) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            member.size = len(content) if kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def collected(store: FileStore, model: bytes, output: bytes) -> None:
    store.put(f"training/{SPEC.job_name}/output/model.tar.gz", model)
    store.put(f"training/{SPEC.job_name}/output/output.tar.gz", output)
    client = boto3.client("sagemaker", region_name="eu-central-1")
    SageMakerBackend(client, ACCOUNT).collect(SPEC.job_name, SPEC, store)


EVALUATION = packed({"evaluation.json": json.dumps({"test": []}).encode()})


def test_what_sagemaker_packed_lies_unpacked_in_the_bucket(tmp_path: Path) -> None:
    store = FileStore("loupe-datasets", tmp_path)
    model = packed({"model.json": b"{}", "./weights.npz": b"w"})
    collected(store, model, EVALUATION)
    collected(store, model, EVALUATION)
    assert list(store.list("models/")) == [
        "models/plant-1/casting/2/model.json",
        "models/plant-1/casting/2/weights.npz",
    ]
    assert json.loads(store.read(SPEC.evaluation_key)) == {"test": []}


@pytest.mark.parametrize(
    "model",
    [
        packed({"../../escape": b"x"}),
        packed({"/absolute": b"x"}),
        packed({"link": b""}, kind=tarfile.SYMTYPE),
        packed({"hard": b""}, kind=tarfile.LNKTYPE),
        packed({"device": b""}, kind=tarfile.CHRTYPE),
        packed({f"f{n}": b"" for n in range(201)}),
        b"not an archive",
        packed({"model.json": b"x" * 5000})[:-40],
    ],
    ids=["above", "absolute", "symlink", "hardlink", "device", "many", "garbage", "cut"],
)
def test_an_archive_that_could_do_harm_is_refused(tmp_path: Path, model: bytes) -> None:
    store = FileStore("loupe-datasets", tmp_path / "bucket")
    with pytest.raises(BackendRefused):
        collected(store, model, EVALUATION)
    assert list(tmp_path.rglob("escape")) == []


def test_an_output_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    store = FileStore("loupe-datasets", tmp_path)
    with pytest.raises(BackendRefused, match="evaluation"):
        collected(store, packed({"model.json": b"{}"}), packed({"other.txt": b""}))


def endpoint(config: str, status: str, **more: Any) -> dict[str, Any]:
    return {
        "EndpointName": "loupe-casting",
        "EndpointArn": ENDPOINT,
        "EndpointConfigName": config,
        "EndpointStatus": status,
        "CreationTime": 0,
        "LastModifiedTime": 0,
        **more,
    }


def add_package(stubber: Stubber, *, is_repeated: bool = False) -> None:
    """The calls up to a model made from an approved package."""
    if is_repeated:
        stubber.add_client_error(
            "create_model_package_group", "ValidationException", "Group already exists", 400
        )
    else:
        arn = PACKAGE.replace("model-package", "model-package-group").rpartition("/")[0]
        stubber.add_response("create_model_package_group", {"ModelPackageGroupArn": arn})
    package = requests.model_package(RELEASE, ACCOUNT)
    stubber.add_response("create_model_package", {"ModelPackageArn": PACKAGE}, package)
    approval = requests.approval(PACKAGE, RELEASE)
    stubber.add_response("update_model_package", {"ModelPackageArn": PACKAGE}, approval)
    if is_repeated:
        words = "Cannot create already existing model"
        stubber.add_client_error("create_model", "ValidationException", words, 400)
    else:
        arn = "arn:aws:sagemaker:eu-central-1:123456789012:model/x"
        stubber.add_response("create_model", {"ModelArn": arn})


CONFIG = {"EndpointConfigArn": "arn:aws:sagemaker:eu-central-1:123456789012:endpoint-config/x"}
TITLE = requests.title(RELEASE)


def test_the_first_model_makes_the_endpoint(sagemaker: tuple[SageMakerClient, Stubber]) -> None:
    client, stubber = sagemaker
    words = 'Could not find endpoint "loupe-casting".'
    stubber.add_client_error("describe_endpoint", "ValidationException", words, 400)
    add_package(stubber)
    stubber.add_response("create_endpoint_config", CONFIG)
    stubber.add_response("create_endpoint", {"EndpointArn": ENDPOINT}, requests.endpoint(RELEASE))
    stubber.add_response("describe_endpoint", endpoint(TITLE, "Creating"))
    stubber.add_response("describe_endpoint", endpoint(TITLE, "InService"))
    serving = SageMakerServing(client, ACCOUNT)
    assert serving.put(RELEASE).package_arn == PACKAGE
    assert not serving.put(RELEASE).is_serving
    assert serving.put(RELEASE).is_serving


def test_a_later_model_updates_it_and_a_crash_in_between_is_no_harm(
    sagemaker: tuple[SageMakerClient, Stubber],
) -> None:
    client, stubber = sagemaker
    stubber.add_response("describe_endpoint", endpoint("loupe-casting-1-3", "InService"))
    add_package(stubber, is_repeated=True)
    words = "Cannot create already existing endpoint configuration"
    stubber.add_client_error("create_endpoint_config", "ValidationException", words, 400)
    update = requests.endpoint_update(RELEASE, ACCOUNT)
    stubber.add_response("update_endpoint", {"EndpointArn": ENDPOINT}, update)
    assert not SageMakerServing(client, ACCOUNT).put(RELEASE).is_serving


def test_a_change_under_way_is_waited_for(sagemaker: tuple[SageMakerClient, Stubber]) -> None:
    client, stubber = sagemaker
    stubber.add_response("describe_endpoint", endpoint("loupe-casting-1-3", "Updating"))
    assert not SageMakerServing(client, ACCOUNT).put(RELEASE).is_serving


def test_a_deployment_that_sagemaker_took_back_is_not_tried_for_ever(
    sagemaker: tuple[SageMakerClient, Stubber],
) -> None:
    client, stubber = sagemaker
    back = endpoint("loupe-casting-1-3", "InService", FailureReason="alarm loupe-5xx")
    stubber.add_response("describe_endpoint", back)
    add_package(stubber, is_repeated=True)
    words = "Cannot create already existing endpoint configuration"
    stubber.add_client_error("create_endpoint_config", "ValidationException", words, 400)
    with pytest.raises(BackendRefused, match="alarm loupe-5xx"):
        SageMakerServing(client, ACCOUNT).put(RELEASE)
