"""How far the site is on the way from verdicts to the next model."""

from __future__ import annotations

from dataclasses import dataclass

from labeling.models import Dataset
from retraining import triggers
from retraining.models import RegisteredModel, TrainingRun
from traceability.models import Site


@dataclass(frozen=True, slots=True)
class Learning:
    """Labels towards the next dataset version, the latest run, and the model that waits."""

    dataset: Dataset
    new_labels: int
    threshold: int | None
    run: TrainingRun | None
    candidate: RegisteredModel | None

    @property
    def percent(self) -> float:
        """Labels towards the threshold, 0-100."""
        return min(100.0, 100.0 * self.new_labels / self.threshold) if self.threshold else 0.0


def learning(*, site: Site) -> Learning | None:
    """The site's first dataset on its way to the next model; None while there is no dataset."""
    dataset = Dataset.objects.filter(site=site).order_by("pk").first()
    if dataset is None:
        return None
    new, threshold = triggers.labels_to_go(dataset)
    return Learning(
        dataset=dataset,
        new_labels=new,
        threshold=threshold,
        run=dataset.runs.order_by("-pk").first(),
        candidate=_waiting(site),
    )


def _waiting(site: Site) -> RegisteredModel | None:
    """The newest model, when it waits for a person to promote it."""
    newest = (
        RegisteredModel.objects.filter(site=site)
        .select_related("model_version")
        .order_by("-pk")
        .first()
    )
    waits = newest is not None and newest.state == RegisteredModel.State.CANDIDATE
    return newest if waits else None
