"""`train`: one run from the input folders to the output folders."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from trainer.errors import ModelError, TrainerError
from trainer.evaluation import ask_models, shared_with_training, test_metrics, test_rows
from trainer.hyperparameters import Hyperparameters, read_hyperparameters
from trainer.layout import Layout, write_failure, write_json
from trainer.model import Model
from trainer.progress import Progress
from trainer.samples import Sample, read_samples
from trainer.storage import load_model, save_model
from trainer.training import Trained, train

FAILED = 1
STOPPED = 143


def run_train(layout: Layout) -> int:
    """The exit code; on failure the reason is in the failure file."""
    layout.failure.unlink(missing_ok=True)
    _stop_on(signal.SIGTERM, layout, "stopped", STOPPED)
    try:
        parameters = read_hyperparameters(layout.hyperparameters)
        if parameters.max_seconds is not None:
            late = f"The training took longer than max_seconds ({parameters.max_seconds})."
            _stop_on(signal.SIGALRM, layout, late, FAILED)
            signal.alarm(parameters.max_seconds)
        _train(layout, parameters)
    except TrainerError as error:
        return _fail(layout, str(error))
    except (ArithmeticError, LookupError, ValueError, TypeError, RuntimeError, OSError) as error:
        traceback.print_exc()
        return _fail(layout, f"The training broke off: {type(error).__name__}: {error}")
    except MemoryError:
        return _fail(layout, "The training ran out of memory: use a larger machine.")
    return 0


def _stop_on(number: signal.Signals, layout: Layout, reason: str, code: int) -> None:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        # Nothing above may swallow this: the reason is written here and the process ends here.
        write_failure(layout.failure, reason)
        for child in multiprocessing.active_children():
            child.kill()
        sys.stdout.flush()
        os._exit(code)

    signal.signal(number, stop)


def _fail(layout: Layout, reason: str) -> int:
    write_failure(layout.failure, reason)
    print(f"loupe:failure={reason}", file=sys.stderr, flush=True)
    return FAILED


def _train(layout: Layout, parameters: Hyperparameters) -> None:
    started = time.monotonic()
    progress = Progress(layout.progress)
    progress.report(0.0, "reading", "labels")
    samples = read_samples(layout, "train")
    if not samples:
        raise TrainerError(f"There are no labelled training images: {layout.labels('train')}.")
    champion = _champion(layout)
    trained = train(samples, parameters, progress, at=datetime.now(UTC))
    model, evaluation = _evaluate(layout, trained, champion, samples, progress)
    save_model(model, layout.model)
    write_json(layout.evaluation, evaluation)
    _print_metrics(evaluation, time.monotonic() - started, len(samples))
    progress.report(1.0, "done", f"{len(samples)} images")


def _champion(layout: Layout) -> Model | None:
    if not (layout.champion / "model.json").exists():
        return None
    try:
        return load_model(layout.champion)
    except ModelError as error:
        raise TrainerError(f"The model in force cannot be evaluated: {error}") from error


def _evaluate(
    layout: Layout,
    trained: Trained,
    champion: Model | None,
    samples: list[Sample],
    progress: Progress,
) -> tuple[Model, dict[str, Any]]:
    test, validation = read_samples(layout, "test"), read_samples(layout, "validation")

    def told(done: int, total: int) -> None:
        progress.report(0.88 + 0.12 * done / total, "evaluation", f"{done} of {total} images")

    models = (trained.model,) if champion is None else (trained.model, champion)
    answers = ask_models(models, test, told)
    checked = ask_models((trained.model,), validation, told)
    metrics = test_metrics(trained.model, test, answers[0])
    kept = {**trained.model.metrics, "test": metrics}
    evaluation = {
        "model": _reference(trained.model),
        "test": test_rows(test, answers[0]),
        "champion": None
        if champion is None
        else {
            "model": _reference(champion),
            "test": test_rows(test, answers[1]),
            "metrics": test_metrics(champion, test, answers[1]),
        },
        "metrics": metrics,
        "oof_metrics": trained.oof_metrics,
        "validation_metrics": test_metrics(trained.model, validation, checked[0]),
        "shared_with_training": shared_with_training(samples, test),
    }
    return replace(trained.model, metrics=kept), evaluation


def _reference(model: Model) -> dict[str, str]:
    return {"name": model.name, "version": model.version}


def _print_metrics(evaluation: dict[str, Any], seconds: float, images: int) -> None:
    """Lines that a SageMaker MetricDefinitions regex can read."""
    for prefix, part in (("", "metrics"), ("oof_", "oof_metrics")):
        for name, value in evaluation[part].items():
            if value is not None:
                print(f"loupe:{prefix}{name}={value}")
    print(f"loupe:seconds={seconds:.2f}")
    print(f"loupe:images={images}", flush=True)
