"""May a trained model replace the one in force? Arithmetic on scores; no database, no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.translation import gettext as _

BINS = 10
Z = 1.96
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked. `review_from` and `contain_from` are the routing thresholds the line uses."""

    review_from: float = 0.3
    contain_from: float = 0.8
    recall_margin: float = 0.02
    recall_floor: float = 0.8
    max_overkill: float = 0.1
    max_ece: float = 0.12
    min_defects: int = 8
    min_good: int = 8
    review_load_margin: float = 0.05
    max_review_load: float | None = None


def plain(policy: Policy) -> dict[str, float | int | None]:
    """The policy as plain values, for the report."""
    return asdict(policy)


@dataclass(frozen=True, slots=True)
class Scored:
    """One test image: is it a defect, and the probability of one a model gave it."""

    image: str
    is_defect: bool
    score: float


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Facts of the test set that no score shows.

    `shared`: images and groups it shares with training. `dropped`: members of the previous
    version's test set that are gone or moved. `images`: what the models had to be asked.
    """

    images: frozenset[str]
    shared: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `total`, with its Wilson interval at 95 %."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.total)


@dataclass(frozen=True, slots=True)
class Check:
    """One condition. Figures are shares 0-1 or counts; `unit` says which."""

    name: str
    passed: bool
    sentence: str
    unit: str
    value: float
    limit: float | None
    interval: tuple[float, float] | None = None
    champion: float | None = None
    champion_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks; passed only when every one did."""

    checks: tuple[Check, ...]
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return bool(self.checks) and all(check.passed for check in self.checks)

    def rows(self) -> list[dict[str, Any]]:
        """The checks as plain values, for the report."""
        return [asdict(check) for check in self.checks]


@dataclass(frozen=True, slots=True)
class Figures:
    """How one model does on the test set, at the policy's thresholds."""

    recall: Share
    overkill: Share
    review_load: Share
    ece: float
    ece_by_chance: float

    def plain(self) -> dict[str, Any]:
        """Counts and shares as plain values."""
        return {
            "defects": self.recall.total,
            "good": self.overkill.total,
            "escapes": self.recall.total - self.recall.hits,
            "recall": self.recall.value,
            "overkill": self.overkill.value,
            "review_load": self.review_load.value,
            "ece": self.ece,
            "ece_by_chance": self.ece_by_chance,
        }


def wilson(hits: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share; (0, 1) when nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    share, square = hits / total, Z * Z
    centre = share + square / (2 * total)
    spread = Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    scale = 1 + square / total
    low, high = (centre - spread) / scale, (centre + spread) / scale
    return (0.0 if hits == 0 else max(0.0, low)), (1.0 if hits == total else min(1.0, high))


def calibration(samples: Sequence[Scored]) -> tuple[float, float]:
    """Expected calibration error over ten bins of equal mass, and what chance alone makes of it.

    The second figure is the error a perfectly calibrated model with these very scores would be
    expected to show on so few images.
    """
    if not samples:
        return 1.0, 0.0
    ordered = sorted(samples, key=lambda sample: (sample.score, sample.image))
    count = min(BINS, len(ordered))
    error = chance = 0.0
    for number in range(count):
        inside = ordered[number * len(ordered) // count : (number + 1) * len(ordered) // count]
        gap = sum(sample.is_defect - sample.score for sample in inside)
        spread = sum(sample.score * (1 - sample.score) for sample in inside)
        error += abs(gap)
        # The mean of |normal| is sqrt(2/pi) of its deviation.
        chance += math.sqrt(2 / math.pi * spread)
    return error / len(ordered), chance / len(ordered)


def figures(samples: Sequence[Scored], policy: Policy) -> Figures:
    """The figures of one model."""
    defects = [sample.score for sample in samples if sample.is_defect]
    good = [sample.score for sample in samples if not sample.is_defect]
    band = [s for s in samples if policy.review_from <= s.score < policy.contain_from]
    ece, chance = calibration(samples)
    return Figures(
        recall=Share(sum(score >= policy.review_from for score in defects), len(defects)),
        overkill=Share(sum(score >= policy.contain_from for score in good), len(good)),
        review_load=Share(len(band), len(samples)),
        ece=ece,
        ece_by_chance=chance,
    )


def judge(
    challenger: Sequence[Scored],
    champion: Sequence[Scored] | None,
    test_set: HeldOut,
    policy: Policy,
) -> Verdict:
    """Hold the challenger to the policy; `champion` is None for a first model."""
    new = figures(challenger, policy)
    old = None if champion is None else figures(champion, policy)
    checks = (
        _leakage(test_set),
        _pinned(test_set),
        _complete(challenger, champion, test_set),
        _evidence(new, policy),
        _recall(new, old, policy),
        _overkill(new, old, policy),
        _calibration(new, old, policy),
        _review_load(new, old, policy),
    )
    found = {"challenger": new.plain(), "champion": None if old is None else old.plain()}
    return Verdict(checks=checks, figures=found)


def _count(name: str, value: int, right: str, wrong: str) -> Check:
    """A count that must be nought."""
    return Check(
        name=name,
        passed=value == 0,
        sentence=right if value == 0 else wrong % {"count": value},
        unit="count",
        value=value,
        limit=0,
    )


def _leakage(test_set: HeldOut) -> Check:
    return _count(
        "leakage",
        test_set.shared,
        _("No image, unit or lot is in both training and test."),
        _("%(count)d images, units or lots are in both training and test. Publish again."),
    )


def _pinned(test_set: HeldOut) -> Check:
    return _count(
        "test_pinned",
        test_set.dropped,
        _("Every earlier test image is still a test image."),
        _("%(count)d earlier test images are gone or are trained on now."),
    )


def _complete(
    challenger: Sequence[Scored], champion: Sequence[Scored] | None, test_set: HeldOut
) -> Check:
    models = [challenger] if champion is None else [challenger, champion]
    wrong = sum(len(test_set.images ^ {sample.image for sample in model}) for model in models)
    truths = [{s.image: s.is_defect for s in model} for model in models]
    wrong += sum(truths[0].get(image) != truth for image, truth in truths[-1].items())
    return _count(
        "test_complete",
        wrong,
        _("Every test image was asked of every model."),
        _("%(count)d answers on the test set are missing or too many."),
    )


def _evidence(new: Figures, policy: Policy) -> Check:
    defects, good = new.recall.total, new.overkill.total
    enough = defects >= policy.min_defects and good >= policy.min_good
    values = {
        "defects": defects,
        "good": good,
        "min_defects": policy.min_defects,
        "min_good": policy.min_good,
    }
    sentence = _("%(defects)d defects and %(good)d good parts in the test set.") % values
    if not enough:
        sentence = (
            _(
                "Insufficient evidence: %(defects)d defects and %(good)d good parts in the test "
                "set, %(min_defects)d and %(min_good)d are needed. Label more parts."
            )
            % values
        )
    return Check(
        name="evidence",
        passed=enough,
        sentence=sentence,
        unit="count",
        value=min(defects, good),
        limit=min(policy.min_defects, policy.min_good),
    )


def _recall(new: Figures, old: Figures | None, policy: Policy) -> Check:
    """The lower bound may not fall by more than the margin; a first model meets the floor."""
    low = new.recall.interval[0]
    if old is None:
        limit, passed = policy.recall_floor, new.recall.value >= policy.recall_floor
        rule = _("at least %(limit)s of the defects must be found")
    else:
        limit = max(0.0, old.recall.interval[0] - policy.recall_margin)
        passed = low >= limit
        rule = _("the lower bound must reach %(limit)s, the model in force's less the margin")
    return Check(
        name="recall",
        passed=passed and new.recall.total > 0,
        sentence=_("%(value)s of the defects found, at least %(low)s at 95 %%; %(rule)s.")
        % {
            "value": percent(new.recall.value),
            "low": percent(low),
            "rule": rule % {"limit": percent(limit)},
        },
        unit="share",
        value=new.recall.value,
        limit=limit,
        interval=new.recall.interval,
        champion=None if old is None else old.recall.value,
        champion_interval=None if old is None else old.recall.interval,
    )


def _overkill(new: Figures, old: Figures | None, policy: Policy) -> Check:
    limit = max(policy.max_overkill, old.overkill.value if old else 0.0)
    # A dataset of defects alone, as its policy says, has no good part to contain.
    is_known = new.overkill.total > 0 or policy.min_good == 0
    return Check(
        name="overkill",
        passed=new.overkill.value <= limit and is_known,
        sentence=_("%(value)s of the good parts would be contained; at most %(limit)s may be.")
        % {"value": percent(new.overkill.value), "limit": percent(limit)},
        unit="share",
        value=new.overkill.value,
        limit=limit,
        interval=new.overkill.interval,
        champion=None if old is None else old.overkill.value,
        champion_interval=None if old is None else old.overkill.interval,
    )


def _calibration(new: Figures, old: Figures | None, policy: Policy) -> Check:
    """What chance explains on so few images is not held against the model."""
    value = max(0.0, new.ece - new.ece_by_chance)
    before = None if old is None else max(0.0, old.ece - old.ece_by_chance)
    limit = max(policy.max_ece, before or 0.0)
    return Check(
        name="calibration",
        passed=value <= limit,
        sentence=_(
            "Scores are off by %(ece)s, of which chance explains %(chance)s; the rest may be at "
            "most %(limit)s."
        )
        % {
            "ece": percent(new.ece),
            "chance": percent(min(new.ece, new.ece_by_chance)),
            "limit": percent(limit),
        },
        unit="share",
        value=value,
        limit=limit,
        champion=before,
    )


def _review_load(new: Figures, old: Figures | None, policy: Policy) -> Check:
    limit = policy.max_review_load
    if old is not None:
        before = old.review_load.value
        # A plant over its budget may still take a model that asks for less.
        budget = math.inf if limit is None else max(limit, before)
        limit = min(before + policy.review_load_margin, budget)
    sentence = _("%(value)s of the parts would go to a person.")
    if limit is not None:
        sentence = _("%(value)s of the parts would go to a person; at most %(limit)s may.")
    return Check(
        name="review_load",
        passed=limit is None or new.review_load.value <= limit + ROUNDING,
        sentence=sentence
        % {"value": percent(new.review_load.value), "limit": percent(limit or 0.0)},
        unit="share",
        value=new.review_load.value,
        limit=limit,
        interval=new.review_load.interval,
        champion=None if old is None else old.review_load.value,
        champion_interval=None if old is None else old.review_load.interval,
    )


def percent(share: float) -> str:
    """0.124 -> `12.4 %`."""
    return f"{100 * share:.1f} %"
