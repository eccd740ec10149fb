"""What a test does at one threshold: rates, predictive values, likelihood ratios; precision and recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import InputError
from coread.evaluation.roc import check_scores, check_truth, curve

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """A number with its interval; NaN never occurs, an unbounded ratio is infinite."""

    value: float
    interval: Interval


def wilson(successes: int, total: int, *, level: float = 0.95) -> Rate:
    """Return a proportion with Wilson's score interval.

    References:
        Wilson, JASA 22:209 (1927).

    Examples:
        >>> rate = wilson(81, 263)
        >>> round(rate.interval.low, 4), round(rate.interval.high, 4)
        (0.2553, 0.3662)
    """
    if not 0 <= successes <= total or total < 1:
        raise InputError(f"{successes} of {total}", "expected a count out of one or more")
    return _wilson(successes / total, float(total), level, "Wilson")


def clustered_proportion(hits: ArrayLike, clusters: ArrayLike, *, level: float = 0.95) -> Rate:
    """Return a proportion of dependent cases, such as several images of a patient.

    Wilson's interval with the effective number of cases p (1 - p) / v, where v is the variance of a ratio
    over clusters, at most the number of cases; where all cases are alike, the number of clusters.

    Args:
        hits: (cases,) bool.
        clusters: (cases,) what is independent.
        level: Of the interval.

    References:
        Rao, Scott, Biometrics 48:577 (1992); Korn, Graubard, Survey Methodology 24:193 (1998).
    """
    x = np.asarray(hits, dtype=np.bool_)
    groups = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    if groups.shape != x.shape or not x.size:
        raise InputError(f"{x.size} cases and {groups.size} clusters", "expected one cluster a case")
    p, count = float(x.mean()), int(groups.max()) + 1
    sums = np.bincount(groups, weights=x - p)
    variance = count / max(count - 1, 1) * float(sums @ sums) / x.size**2
    effective = min(p * (1 - p) / variance, float(x.size)) if variance > 1e-15 else float(count)
    return _wilson(p, effective, level, "Wilson, effective number of clustered cases")


def _wilson(p: float, total: float, level: float, method: str) -> Rate:
    z = float(stats.norm.ppf(0.5 + level / 2))
    centre = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * float(np.sqrt(p * (1 - p) / total + z**2 / (4 * total**2)))
    low = 0.0 if p == 0 else centre - half
    high = 1.0 if p == 1 else centre + half
    return Rate(p, Interval(low, high, level, method))


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a test does at one threshold; predictive values hold at `prevalence`."""

    threshold: float
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    sensitivity: Rate
    specificity: Rate
    prevalence: float
    ppv: float
    npv: float
    positive_ratio: Rate
    negative_ratio: Rate


def operating_point(
    truth: ArrayLike,
    score: ArrayLike,
    threshold: float,
    *,
    prevalence: float | None = None,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> OperatingPoint:
    """Return what a test does; a score at or above the threshold is positive.

    Args:
        truth: (cases,) of 0 and 1.
        score: (cases,).
        threshold: In the score's unit.
        prevalence: At which predictive values are stated; the one of the table unless given.
        clusters: (cases,) patient of each image, for the intervals of sensitivity and specificity.
        level: Of the intervals.

    References:
        Likelihood ratios: Simel, Samsa, Matchar, Journal of Clinical Epidemiology 44:763 (1991).
    """
    sick = check_truth(truth)
    called = check_scores(score, sick.size)[:, 0] >= threshold
    tp, fn = int((called & sick).sum()), int((~called & sick).sum())
    fp, tn = int((called & ~sick).sum()), int((~called & ~sick).sum())
    if clusters is None:
        sens, spec = wilson(tp, tp + fn, level=level), wilson(tn, tn + fp, level=level)
    else:
        of = np.asarray(clusters)
        sens = clustered_proportion(called[sick], of[sick], level=level)
        spec = clustered_proportion(~called[~sick], of[~sick], level=level)
    at = (tp + fn) / sick.size if prevalence is None else prevalence
    if not 0 < at < 1:
        raise InputError(f"prevalence {at:g}", "expected between 0 and 1")
    se, sp = sens.value, spec.value
    called_share = se * at + (1 - sp) * (1 - at)
    return OperatingPoint(
        threshold,
        tp,
        fp,
        tn,
        fn,
        sens,
        spec,
        at,
        se * at / called_share if called_share > 0 else 0.0,
        sp * (1 - at) / (1 - called_share) if called_share < 1 else 0.0,
        _ratio(tp, tp + fn, fp, fp + tn, level),
        _ratio(fn, tp + fn, tn, fp + tn, level),
    )


def _ratio(a: int, m: int, b: int, n: int, level: float) -> Rate:
    """Return (a/m)/(b/n) with the log-normal interval; counts of 0 give the open interval."""
    if b == 0 or a == 0:
        value = float("inf") if b == 0 else 0.0
        return Rate(value, Interval(0.0, float("inf"), level, "open: a count is 0"))
    value = (a / m) / (b / n)
    se = float(np.sqrt(1 / a - 1 / m + 1 / b - 1 / n))
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    return Rate(value, Interval(value * np.exp(-half), value * np.exp(half), level, "log-normal"))


def bootstrap_interval(
    truth: ArrayLike,
    score: ArrayLike,
    threshold: float,
    *,
    rng: np.random.Generator,
    clusters: ArrayLike | None = None,
    draws: int = 2000,
    level: float = 0.95,
) -> tuple[Interval, Interval]:
    """Return percentile intervals of sensitivity and specificity; whole clusters (patients) are drawn."""
    sick = check_truth(truth)
    called = check_scores(score, sick.size)[:, 0] >= threshold
    groups = np.arange(sick.size)
    if clusters is not None:
        groups = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    count = int(groups.max()) + 1
    parts = np.array(
        [
            np.bincount(groups, weights=w, minlength=count)
            for w in (called & sick, sick, ~called & ~sick, ~sick)
        ]
    )
    # clusters of equal counts are drawn together: the same distribution, and little memory
    parts, times = np.unique(parts, axis=1, return_counts=True)
    weight = rng.multinomial(count, times / count, size=draws)
    tp, m, tn, n = parts @ weight.T
    a = 0.5 - level / 2
    limits = [np.quantile(x[t > 0] / t[t > 0], [a, 1 - a]) for x, t in ((tp, m), (tn, n))]
    sens, spec = (Interval(float(lo), float(hi), level, f"bootstrap, {draws} draws") for lo, hi in limits)
    return sens, spec


def average_precision(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the mean precision over the cases found, the step-wise area under precision and recall."""
    precision, recall = precision_recall(truth, score)
    return float((np.diff(np.r_[0.0, recall]) * precision).sum())


def precision_recall(truth: ArrayLike, score: ArrayLike) -> tuple[Floats, Floats]:
    """Return precision and recall at each threshold, highest first."""
    sick = check_truth(truth)
    found = curve(sick, score)
    tp = found.sensitivity[1:] * sick.sum()
    fp = (1 - found.specificity[1:]) * (~sick).sum()
    return tp / (tp + fp), found.sensitivity[1:]
