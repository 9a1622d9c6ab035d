"""From a request to a judged model: publish, train, collect, gate, register.

Nothing is remembered outside the row. Every step can be repeated, and a row is moved on only from
the state it was read in, so that whoever comes next finishes what a crash left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.db import IntegrityError, connection
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from governance.access import Actor, check_can, check_covers, system
from governance.audit import recorded
from governance.roles import Capability
from labeling import datasets
from labeling.models import Dataset, DatasetVersion, Split
from retraining import deployments, evaluation, gate, registry
from retraining.backends import choice
from retraining.backends.protocol import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    JobSpec,
    JobState,
    job_name,
)
from retraining.models import GatePolicy, GateReport, RunState, TrainingRun
from retraining.transitions import OPEN, check_run
from traceability.gateways.object_store import datasets as dataset_store
from traceability.refusals import Conflict, Invalid, Refusal, Unavailable

log = logging.getLogger(__name__)

ACTOR: Final = system("retraining")
ONE_AT_A_TIME: Final = frozenset({"training_run_one_at_a_time", "training_run_names_its_model"})
# The first half of the advisory lock's number; the second is the run's.
LOCK_FAMILY: Final = 0x4C52
MOST_ATTEMPTS = 3
MOST_SECONDS = 3600
MOST_STEPS = 6
REASON_LIMIT = 300


def request(
    *, actor: Actor, dataset: Dataset, trigger: str, reason: str, at: datetime
) -> TrainingRun:
    """Ask for a training on the labels there are; Conflict while one is open for the dataset."""
    if actor.kind != "system":
        check_can(actor, Capability.TRAIN_MODELS)
        check_covers(actor, Capability.TRAIN_MODELS, site=dataset.site, line=None)
    reason = reason.strip()
    if not reason or len(reason) > REASON_LIMIT:
        raise Invalid(_("Say why, in at most %(most)d characters.") % {"most": REASON_LIMIT})
    try:
        with recorded(actor=actor, at=at) as trail:
            run = TrainingRun.objects.create(
                site=dataset.site,
                dataset=dataset,
                trigger=trigger,
                reason=reason,
                requested_by=actor.name,
                backend=settings.LOUPE.training_backend,
                model_name=dataset.slug,
                model_version=registry.next_version(site=dataset.site, name=dataset.slug),
                requested_at=at,
            )
            trail.add(
                "training_run.request",
                subject_kind="training_run",
                subject=run.uuid,
                site_id=run.site_id,
                detail={"dataset": dataset.slug, "trigger": trigger},
                reason=reason,
            )
    except IntegrityError as error:
        if _constraint(error) not in ONE_AT_A_TIME:
            raise
        raise Conflict(
            _("A training run for %(dataset)s is under way. Wait until it has ended.")
            % {"dataset": dataset.name},
            code="run_open",
        ) from error
    return run


def _constraint(error: IntegrityError) -> str:
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


def advance_all(*, at: datetime) -> None:
    """Take every open run as far as it goes now, and every deployment before the line."""
    open_runs = TrainingRun.objects.filter(state__in=OPEN).order_by("pk")
    for pk in list(open_runs.values_list("pk", flat=True)):
        try:
            with _alone(pk) as is_ours:
                if is_ours:
                    _advance(pk, at)
        except Exception:
            # A fault on one run must not keep the others, and what serves the line, waiting.
            log.exception("training run %d cannot be taken further", pk)
    deployments.sweep(at=at)


@contextmanager
def _alone(pk: int) -> Iterator[bool]:
    """Whether this worker alone works on the run; a lock of the session, gone with a crash.

    No transaction is open while it is held.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_FAMILY, pk])
        (is_ours,) = cursor.fetchone()
    try:
        yield is_ours
    finally:
        if is_ours:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK_FAMILY, pk])


def _advance(pk: int, at: datetime) -> None:
    for _step in range(MOST_STEPS):
        run = _runs().get(pk=pk)
        step = _STEPS.get(RunState(run.state))
        if step is None:
            return
        try:
            if not step(run, at):
                return
        except (BackendUnavailable, Unavailable) as error:
            # Nobody's fault: said on the page, and tried again at the next beat.
            TrainingRun.objects.filter(pk=pk, state=run.state).update(stage=_said(error)[:120])
            return
        except (BackendRefused, Refusal) as error:
            _fail(run, at, _said(error))
            return


def _runs() -> QuerySet[TrainingRun]:
    return TrainingRun.objects.select_related(
        "site", "dataset", "dataset_version__parent", "champion__model_version"
    )


def _said(error: BackendError | Refusal) -> str:
    return error.sentence if isinstance(error, Refusal) else str(error)


def _begin(run: TrainingRun, at: datetime) -> bool:
    """Publish, pin what is compared with what, start the job."""
    if not run.job_name:
        version = run.dataset_version or _published(run, at)
        name = job_name(
            slug=run.model_name,
            model_version=run.model_version,
            content_sha256=version.content_sha256,
            run=str(run.uuid),
            attempt=run.attempt,
        )
        champion = registry.in_force(run.site)
        return _change(
            run, at, "prepare", dataset_version=version, job_name=name, champion=champion
        )
    handle = choice.training(run.backend).start(_spec(run))
    return _change(run, at, "start", state=RunState.RUNNING, handle=handle, started_at=at)


def _published(run: TrainingRun, at: datetime) -> DatasetVersion:
    """The dataset version of this run; BackendUnavailable while somebody else publishes one."""
    try:
        return datasets.publish(actor=ACTOR, dataset=run.dataset, reason=run.reason, at=at)
    except Conflict as error:
        raise BackendUnavailable(error.sentence) from error


def _follow(run: TrainingRun, at: datetime) -> bool:
    status = choice.training(run.backend).status(run.handle)
    match status.state:
        case JobState.RUNNING:
            told = {"fraction": max(run.fraction, status.fraction), "stage": status.stage[:120]}
            if told != {"fraction": run.fraction, "stage": run.stage}:
                # How far it is decides nothing: shown, not audited.
                TrainingRun.objects.filter(pk=run.pk, state=RunState.RUNNING).update(**told)
            return False
        case JobState.COMPLETED:
            return _change(run, at, "trained", state=RunState.TRAINED, fraction=1.0, stage="")
        case JobState.STOPPED if run.attempt < MOST_ATTEMPTS:
            return _change(
                run,
                at,
                "restart",
                state=RunState.REQUESTED,
                attempt=run.attempt + 1,
                job_name="",
                handle="",
                fraction=0.0,
                stage=_("Interrupted, starting again"),
            )
        case JobState.STOPPED:
            _fail(run, at, _("The training was interrupted %(n)d times.") % {"n": run.attempt})
        case JobState.FAILED:
            _fail(run, at, status.failure)
    return False


def _judge(run: TrainingRun, at: datetime) -> bool:
    """Fetch the result, hold it to the gate, enter the model; all of it or nothing of it."""
    backend, spec, store = choice.training(run.backend), _spec(run), dataset_store()
    backend.collect(run.handle, spec, store)
    found = evaluation.read(store, spec.evaluation_key)
    _check_models(run, found)
    policy = policy_of(run.dataset)
    held_out = evaluation.held_out(store, _version_of(run))
    verdict = gate.judge(found.challenger, found.champion, held_out, policy)
    sha256 = registry.digest(store, spec.artifact_prefix)
    after = RunState.PASSED if verdict.passed else RunState.REFUSED
    with recorded(actor=ACTOR, at=at) as trail:
        row = TrainingRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        if row.state != run.state:
            trail.nothing_changed()
            return False
        check_run(RunState(row.state), after)
        row.state, row.ended_at, row.metrics = after, at, found.metrics
        row.artifact_prefix = spec.artifact_prefix
        row.save(update_fields=["state", "ended_at", "metrics", "artifact_prefix"])
        GateReport.objects.create(
            site_id=row.site_id,
            run=row,
            passed=verdict.passed,
            checks=verdict.rows(),
            policy=gate.plain(policy),
            figures=verdict.figures,
            at=at,
        )
        trail.add(
            "training_run.judged",
            subject_kind="training_run",
            subject=row.uuid,
            site_id=row.site_id,
            detail={
                "passed": verdict.passed,
                "not_met": [check.name for check in verdict.checks if not check.passed],
            },
        )
        registry.register(
            trail=trail,
            site=run.site,
            name=run.model_name,
            version=run.model_version,
            prefix=spec.artifact_prefix,
            sha256=sha256,
            run=row,
            passed=verdict.passed,
        )
    _forget(run)
    return True


_STEPS: Final[dict[RunState, Callable[[TrainingRun, datetime], bool]]] = {
    RunState.REQUESTED: _begin,
    RunState.RUNNING: _follow,
    RunState.TRAINED: _judge,
}


def _check_models(run: TrainingRun, found: evaluation.Evaluation) -> None:
    """Invalid unless the evaluation compares the very models the run was to compare."""
    champion = str(run.champion.model_version) if run.champion else None
    expected = (f"{run.model_name} {run.model_version}", champion)
    if (found.model, found.champion_model) != expected:
        raise Invalid(_("The training's evaluation is of other models than this run's."))


def policy_of(dataset: Dataset) -> gate.Policy:
    """What the gate asks of this dataset's models."""
    row = GatePolicy.objects.filter(dataset=dataset).first()
    if row is None:
        return gate.Policy()
    return gate.Policy(**{name: getattr(row, name) for name in gate.plain(gate.Policy())})


def _change(run: TrainingRun, at: datetime, verb: str, **fields: Any) -> bool:
    """Write the fields if the run is still in the state it was read in; whether it was."""
    with recorded(actor=ACTOR, at=at) as trail:
        row = TrainingRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        if row.state != run.state:
            trail.nothing_changed()
            return False
        if "state" in fields:
            check_run(RunState(row.state), fields["state"])
        for name, value in fields.items():
            setattr(row, name, value)
        row.save(update_fields=list(fields))
        trail.add(
            f"training_run.{verb}",
            subject_kind="training_run",
            subject=row.uuid,
            site_id=row.site_id,
            detail={
                "state": row.state,
                "job": row.job_name,
                "dataset_version": str(row.dataset_version) if row.dataset_version else None,
            },
            reason=row.failure,
        )
    return True


def _fail(run: TrainingRun, at: datetime, sentence: str) -> None:
    log.warning("training run %s failed: %s", run.uuid, sentence)
    _change(run, at, "fail", state=RunState.FAILED, failure=sentence[:1024], ended_at=at)
    _forget(run)


def _forget(run: TrainingRun) -> None:
    """The run has ended; what its job left lying about is only tidiness."""
    with suppress(BackendError):
        choice.training(run.backend).forget(run.handle)


def _version_of(run: TrainingRun) -> DatasetVersion:
    if run.dataset_version is None:
        raise Invalid(_("The training run names no dataset version."))
    return run.dataset_version


def _spec(run: TrainingRun) -> JobSpec:
    """The same for the same row, so that a job can be started and collected again."""
    version = _version_of(run)
    name, number = run.model_name, run.model_version
    return JobSpec(
        job_name=run.job_name,
        bucket=settings.LOUPE.dataset_bucket,
        dataset_prefix=version.prefix.rstrip("/"),
        dataset_label=str(version),
        splits=tuple(s for s in Split.values if version.counts.get(s, {}).get("samples")),
        hyperparameters={
            "model_name": name,
            "model_version": number,
            "seed": str(run.dataset.seed),
            "max_seconds": str(MOST_SECONDS),
        },
        artifact_prefix=registry.artifact_prefix(site=run.site, name=name, version=number),
        evaluation_key=registry.evaluation_key(site=run.site, name=name, version=number),
        champion_prefix=run.champion.artifact_prefix if run.champion else None,
        max_seconds=MOST_SECONDS,
        tags={
            "loupe:dataset-version": str(version),
            "loupe:site": run.site.code,
            "loupe:run": str(run.uuid),
        },
    )
