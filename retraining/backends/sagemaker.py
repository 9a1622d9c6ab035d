"""Training and serving on Amazon SageMaker."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from django.utils.translation import gettext as _

from retraining.backends import requests, shapes
from retraining.backends.materials import EVALUATION, told_apart
from retraining.backends.protocol import (
    BackendRefused,
    BackendUnavailable,
    JobSpec,
    JobState,
    JobStatus,
    Release,
    Service,
)
from retraining.backends.requests import Account
from traceability.gateways.contract import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient

LARGEST_FILE = 512 * 1024 * 1024
MOST_FILES = 200
# What passes by itself; everything else is a mistake or a missing right and stays one.
PASSING: Final = frozenset(
    {
        "ThrottlingException",
        "Throttling",
        "RequestLimitExceeded",
        "ResourceLimitExceeded",
        "ServiceUnavailable",
        "InternalFailure",
        "InternalServerError",
        "ExpiredTokenException",
    }
)
STATES: Final = {
    "InProgress": JobState.RUNNING,
    "Stopping": JobState.RUNNING,
    "Completed": JobState.COMPLETED,
    "Failed": JobState.FAILED,
    "Stopped": JobState.STOPPED,
    "Deleting": JobState.STOPPED,
}
# SageMaker tells stages, no percentage: how far each usually is.
FRACTIONS: Final = {
    "Pending": 0.02,
    "Starting": 0.02,
    "LaunchingMLInstances": 0.05,
    "PreparingTrainingStack": 0.1,
    "DownloadingTrainingImage": 0.15,
    "Downloading": 0.2,
    "Training": 0.3,
    "Uploading": 0.95,
    "Completed": 1.0,
}


class SageMaker:
    """The client's calls, each checked before it is sent and each failure told apart."""

    def __init__(self, client: SageMakerClient) -> None:
        self._client = client

    def call(self, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """BackendRefused or BackendUnavailable with the service's own words."""
        wrong = shapes.faults("sagemaker", shapes.operation_of("sagemaker", method), request)
        if wrong:
            raise BackendRefused(
                _("The request to SageMaker is wrong: %(what)s") % {"what": "; ".join(wrong)}
            )
        try:
            answer: dict[str, Any] = getattr(self._client, method)(**request)
        except ClientError as error:
            raise _told(error) from error
        except BotoCoreError as error:
            raise BackendUnavailable(
                _("SageMaker does not answer: %(why)s") % {"why": error}
            ) from error
        return answer

    def make(self, method: str, request: dict[str, Any]) -> dict[str, Any] | None:
        """`call`, where "there is one already" is success (None)."""
        try:
            return self.call(method, request)
        except BackendRefused as error:
            if _is_there_already(error):
                return None
            raise


def _told(error: ClientError) -> BackendRefused | BackendUnavailable:
    code = error.response.get("Error", {}).get("Code", "")
    words = error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    sentence = _("SageMaker: %(words)s (%(code)s)") % {"words": words[:600], "code": code}
    return (BackendUnavailable if code in PASSING or status >= 500 else BackendRefused)(sentence)


def _code(error: BackendRefused) -> tuple[str, str]:
    cause = error.__cause__
    if not isinstance(cause, ClientError):
        return "", ""
    told = cause.response.get("Error", {})
    return told.get("Code", ""), told.get("Message", "").lower()


def _is_there_already(error: BackendRefused) -> bool:
    code, words = _code(error)
    return code == "ResourceInUse" or (
        code == "ValidationException" and ("already exist" in words or "existing" in words)
    )


class SageMakerBackend:
    """One SageMaker training job a run; the handle is the job's name."""

    name = "sagemaker"

    def __init__(self, client: SageMakerClient, account: Account) -> None:
        self._sagemaker = SageMaker(client)
        self._account = account

    def start(self, spec: JobSpec) -> str:
        self._sagemaker.make("create_training_job", requests.training_job(spec, self._account))
        return spec.job_name

    def status(self, handle: str) -> JobStatus:
        """By asking: the event that tells of the end may be lost."""
        job = self._sagemaker.call("describe_training_job", requests.describe_training_job(handle))
        secondary = str(job.get("SecondaryStatus", ""))
        state = STATES.get(str(job["TrainingJobStatus"]), JobState.RUNNING)
        if secondary in ("MaxRuntimeExceeded", "MaxWaitTimeExceeded"):
            return JobStatus(
                JobState.FAILED, failure=_("The training took too long and was ended.")
            )
        failure = ""
        if state is JobState.FAILED:
            failure = str(job.get("FailureReason") or _("SageMaker gave no reason."))
        return JobStatus(state, FRACTIONS.get(secondary, 0.3), secondary, failure)

    def stop(self, handle: str) -> None:
        try:
            self._sagemaker.call("stop_training_job", requests.stop_training_job(handle))
        except BackendRefused as error:
            # One that has ended cannot be stopped, and need not be.
            if _code(error)[0] != "ValidationException":
                raise

    def collect(self, handle: str, spec: JobSpec, store: ObjectStore) -> None:
        """Unpack what SageMaker packed: the model as files, the evaluation where it belongs."""
        output = f"training/{handle}/output"
        with told_apart():
            for name, content in unpacked(store, f"{output}/model.tar.gz"):
                store.put(f"{spec.artifact_prefix}/{name}", content)
            found = dict(unpacked(store, f"{output}/output.tar.gz"))
            evaluation = found.get(EVALUATION) or found.get(f"data/{EVALUATION}")
            if evaluation is None:
                raise BackendRefused(_("The training left no model, or no evaluation of it."))
            store.put(spec.evaluation_key, evaluation, content_type="application/json")

    def forget(self, handle: str) -> None:
        """Nothing to remove: SageMaker keeps its jobs, the bucket's life-cycle rule the rest."""


def unpacked(store: ObjectStore, key: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each plain file of a tar.gz; whatever could do harm is refused."""
    with closing(store.open(key)) as packed:
        try:
            with tarfile.open(fileobj=packed, mode="r|gz") as archive:
                for number, member in enumerate(archive, start=1):
                    if number > MOST_FILES:
                        raise BackendRefused(_("The archive of the training has too many files."))
                    name = _safe_name(member)
                    if name:
                        yield name, _content(archive.extractfile(member))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise BackendRefused(_("The archive of the training cannot be read.")) from error


def _safe_name(member: tarfile.TarInfo) -> str:
    """Empty for a folder, which needs no bytes."""
    path = PurePosixPath(member.name)
    if member.isdir():
        return ""
    sound = member.isfile() and not path.is_absolute() and ".." not in path.parts
    if not sound or member.size > LARGEST_FILE:
        raise BackendRefused(
            _("The archive of the training holds %(name)r, which is not a plain file of its own.")
            % {"name": member.name[:200]}
        )
    return path.as_posix()


def _content(stream: IO[bytes] | None) -> bytes:
    return stream.read() if stream is not None else b""


class SageMakerServing:
    """An endpoint that serves the model in force, changed behind guardrails."""

    name = "sagemaker"

    def __init__(self, client: SageMakerClient, account: Account) -> None:
        self._sagemaker = SageMaker(client)
        self._account = account

    def put(self, release: Release) -> Service:
        """One step nearer to serving the release; called again until it serves."""
        name, title = requests.endpoint_name(release), requests.title(release)
        there = self._describe(name)
        if there.get("EndpointConfigName") == title:
            return Service(is_serving=there.get("EndpointStatus") == "InService")
        if there and there.get("EndpointStatus") != "InService":
            # A change is under way, and SageMaker takes one at a time.
            return Service(is_serving=False)
        package = self._package(release)
        self._sagemaker.make("create_model", requests.model(package, release, self._account))
        config = requests.endpoint_config(release, self._account)
        is_new = self._sagemaker.make("create_endpoint_config", config) is not None
        if not there:
            self._sagemaker.make("create_endpoint", requests.endpoint(release))
        elif not is_new and there.get("FailureReason"):
            raise BackendRefused(
                _("SageMaker took the deployment back: %(why)s") % {"why": there["FailureReason"]}
            )
        else:
            change = requests.endpoint_update(release, self._account)
            self._sagemaker.call("update_endpoint", change)
        return Service(is_serving=False, package_arn=package)

    def holds(self, release: Release) -> bool:
        """An endpoint keeps what it was given: nothing to look after."""
        del release
        return True

    def _package(self, release: Release) -> str:
        self._sagemaker.make("create_model_package_group", requests.model_package_group(release))
        made = self._sagemaker.call(
            "create_model_package", requests.model_package(release, self._account)
        )
        arn = str(made["ModelPackageArn"])
        self._sagemaker.call("update_model_package", requests.approval(arn, release))
        return arn

    def _describe(self, name: str) -> dict[str, Any]:
        try:
            return self._sagemaker.call("describe_endpoint", {"EndpointName": name})
        except BackendRefused as error:
            code, words = _code(error)
            if code == "ValidationException" and "could not find" in words:
                return {}
            raise
