"""The life of a training run and of a registered model, each as one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext as _

from retraining.models import RegisteredModel, RunState
from traceability.refusals import Conflict

_S = RunState
_M = RegisteredModel.State

RUN_STEPS: Final[Mapping[RunState, frozenset[RunState]]] = {
    _S.REQUESTED: frozenset({_S.RUNNING, _S.FAILED}),
    # Back to requested: the machine stopped under the training, which starts again.
    _S.RUNNING: frozenset({_S.TRAINED, _S.FAILED, _S.REQUESTED}),
    _S.TRAINED: frozenset({_S.PASSED, _S.REFUSED, _S.FAILED}),
    _S.PASSED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.FAILED: frozenset(),
}
MODEL_STEPS: Final[Mapping[RegisteredModel.State, frozenset[RegisteredModel.State]]] = {
    _M.CANDIDATE: frozenset({_M.IN_FORCE}),
    _M.REFUSED: frozenset(),
    _M.IN_FORCE: frozenset({_M.RETIRED}),
    _M.RETIRED: frozenset({_M.IN_FORCE}),
}
OPEN: Final = frozenset(state for state, following in RUN_STEPS.items() if following)


def check_run(before: RunState, after: RunState) -> None:
    """Raise Conflict unless a run may go from `before` to `after`."""
    if after not in RUN_STEPS[before]:
        raise Conflict(
            _("A training run that is “%(before)s” cannot become “%(after)s”.")
            % {"before": before.label, "after": after.label}
        )


def check_model(before: RegisteredModel.State, after: RegisteredModel.State) -> None:
    """Raise Conflict unless a model may go from `before` to `after`."""
    if after not in MODEL_STEPS[before]:
        raise Conflict(
            _("A model that is “%(before)s” cannot become “%(after)s”.")
            % {"before": before.label, "after": after.label}
        )
