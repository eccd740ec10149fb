"""Operating points of a model: a threshold chosen on labelled cases, its figures, and a calibration curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from coread.errors import InputError
from coread.recognition.metrics import Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Labelled cases with what a model says of one finding.

    Attributes:
        finding: The output that is judged.
        data: Name of the data.
        labels: (n,) 0 or 1.
        scores: (n,) probabilities, as they are compared with the threshold.
        patients: One text each.
        threshold: That these weights came with, or None.
        left_out: Rows that were not used, with the reason.
        notes: What a reader of the figures should know.
    """

    finding: str
    data: str
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]
    patients: tuple[str, ...]
    threshold: float | None
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointFigures:
    """What a threshold does on cases: sensitivity and specificity, and how many cases these rest on."""

    threshold: float
    cases: int
    positives: int
    patients: int
    sensitivity: Estimate
    specificity: Estimate


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Cases whose probability lies in one range.

    Attributes:
        said: Mean probability.
        seen: Part of them that were positive, with Wilson's interval.
        cases: How many.
    """

    said: float
    seen: Estimate
    cases: int


def chosen_threshold(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    sensitivity: float | None = None,
    specificity: float | None = None,
) -> float:
    """Return the threshold that reaches a sensitivity (or specificity) at the best of the other.

    It lies half-way between the scores of two cases, so that no rounding decides on one.

    Args:
        labels: (n,) 0 or 1.
        scores: (n,) from 0 to 1; a case is called positive at and above the threshold.
        sensitivity: At least this part of the positive cases; the highest such threshold is taken.
        specificity: At least this part of the negative cases; the lowest such threshold is taken.

    Raises:
        InputError: Not one of the two is given, it is not within 0 to 1, a class is absent, or only a
            threshold beyond all cases would reach it.

    Examples:
        >>> chosen_threshold([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.8], sensitivity=1.0)
        0.5
        >>> round(chosen_threshold([0, 1, 0, 1], [0.1, 0.3, 0.4, 0.8], specificity=1.0), 3)
        0.6
    """
    if (sensitivity is None) == (specificity is None):
        raise InputError("a sensitivity and a specificity, or none", "one of the two")
    wanted = sensitivity if sensitivity is not None else specificity
    assert wanted is not None
    if not 0 < wanted <= 1:
        raise InputError(f"a rate of {wanted}", "above 0, at most 1")
    truth, values = _checked(labels, scores)
    ordered = np.unique(values)
    cuts = (ordered[1:] + ordered[:-1]) / 2
    positive, negative = np.sort(values[truth]), np.sort(values[~truth])
    if sensitivity is not None:
        rates = 1 - np.searchsorted(positive, cuts) / len(positive)
    else:
        rates = np.searchsorted(negative, cuts) / len(negative)
    reached = cuts[rates >= wanted - 1e-12]
    if not len(reached):
        word = "sensitivity" if sensitivity is not None else "specificity"
        raise InputError(
            f"no threshold between these cases reaches a {word} of {wanted:g}",
            "a rate that the model reaches without calling all cases the same",
            "ask for a lower one",
        )
    return float(reached.max() if sensitivity is not None else reached.min())


def figures_at(
    threshold: float, labels: ArrayLike, scores: ArrayLike, patients: Sequence[str]
) -> PointFigures:
    """Return what a threshold does on cases.

    Intervals are Wilson's with the number of patients, not of cases, as sample: several images of a patient
    are no independent evidence.

    Raises:
        InputError: A class is absent.

    Examples:
        >>> found = figures_at(0.5, [0, 0, 1, 1], [0.1, 0.7, 0.6, 0.8], ["a", "b", "c", "d"])
        >>> found.sensitivity.value, found.specificity.value
        (1.0, 0.5)
    """
    truth, values = _checked(labels, scores)
    names = np.asarray(patients)
    called = values >= threshold
    return PointFigures(
        threshold,
        len(truth),
        int(truth.sum()),
        len(set(patients)),
        wilson(float(called[truth].mean()), len(set(names[truth]))),
        wilson(float((~called[~truth]).mean()), len(set(names[~truth]))),
    )


def wilson(part: float, total: int) -> Estimate:
    """Return a proportion of a sample with Wilson's 95 % score interval.

    References:
        Wilson, JASA 22 (1927) 209-212.

    Examples:
        >>> found = wilson(81 / 263, 263)
        >>> round(found.low, 4), round(found.high, 4)
        (0.2553, 0.3662)
    """
    interval = binomtest(round(part * total), total).proportion_ci(method="wilson")
    return Estimate(part, min(float(interval.low), part), max(float(interval.high), part))


def calibration_curve(labels: ArrayLike, scores: ArrayLike, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Return how often cases were positive by the probability said, in bins of equal width; empty ones not.

    References:
        DeGroot and Fienberg, The Statistician 32 (1983) 12-22 (reliability diagram).

    Examples:
        >>> [(b.said, b.seen.value, b.cases) for b in calibration_curve([0, 1, 1], [0.25, 0.75, 0.75], 2)]
        [(0.25, 0.0, 1), (0.75, 1.0, 2)]
    """
    truth = np.asarray(labels).reshape(-1) == 1
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    places = np.minimum((values * bins).astype(int), bins - 1)
    return tuple(
        CalibrationBin(
            float(values[places == n].mean()),
            wilson(float(truth[places == n].mean()), int(np.count_nonzero(places == n))),
            int(np.count_nonzero(places == n)),
        )
        for n in range(bins)
        if (places == n).any()
    )


def settings_at(settings: Mapping[str, Any], threshold: float | None) -> Mapping[str, Any]:
    """Return a network's settings with another threshold; the zone of abstention keeps its width in logits.

    Args:
        settings: With ``threshold``, ``abstain_low`` and ``abstain_high``.
        threshold: Of the site; None leaves the settings as they are.

    Examples:
        >>> own = {"threshold": 0.5, "abstain_low": 0.4, "abstain_high": 0.6}
        >>> moved = settings_at(own, 0.3)
        >>> round(moved["abstain_low"], 3), round(moved["abstain_high"], 3)
        (0.222, 0.391)
    """
    if threshold is None:
        return settings
    shift = _logit(threshold) - _logit(float(settings["threshold"]))
    moved = {
        name: float(1 / (1 + np.exp(-(_logit(float(settings[name])) + shift))))
        for name in ("abstain_low", "abstain_high")
    }
    return {**settings, **moved, "threshold": threshold}


def _logit(value: float) -> float:
    inside = min(max(value, 1e-9), 1 - 1e-9)
    return float(np.log(inside / (1 - inside)))


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth = np.asarray(labels).reshape(-1) == 1
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    if not truth.any() or truth.all():
        raise InputError(
            f"{int(truth.sum())} positive and {int((~truth).sum())} negative cases",
            "some of each to choose a threshold on",
        )
    return truth, values
