"""ROC analysis: areas with DeLong's covariance, tests, parts of areas, sample size.

The direction is an argument and never guessed: a higher score speaks for disease unless it is negated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import AnalysisError, InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def check_truth(truth: ArrayLike) -> Bools:
    """Return truth as booleans, both classes present.

    Raises:
        InputError: Values other than 0 and 1 (row numbers from 1 are named), or one class only.
    """
    array = np.asarray(truth)
    if array.ndim != 1:
        raise InputError(f"truth has {array.ndim} dimensions", "expected one value a case")
    numbers = array.astype(np.float64)
    wrong = np.flatnonzero((numbers != 0) & (numbers != 1)) + 1
    if wrong.size:
        raise InputError(
            f"truth is neither 0 nor 1 in rows {_rows(wrong)}", "expected 0 (healthy) or 1 (diseased)"
        )
    truth_bool = np.asarray(numbers == 1, dtype=np.bool_)
    if truth_bool.all() or not truth_bool.any():
        raise InputError(
            f"all {array.size} cases are {'diseased' if truth_bool.any() else 'healthy'}",
            "an ROC curve needs cases of both classes",
        )
    return truth_bool


def check_scores(scores: ArrayLike, count: int) -> Floats:
    """Return scores as (cases, curves) float64, all finite.

    Raises:
        InputError: Another number of cases, or values that are not finite (rows are named).
    """
    array = np.asarray(scores, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[0] != count:
        raise InputError(f"scores have shape {array.shape}", f"expected {count} cases, as truth has")
    wrong = np.flatnonzero(~np.isfinite(array).all(axis=1)) + 1
    if wrong.size:
        raise InputError(f"scores are missing or infinite in rows {_rows(wrong)}", "expected numbers")
    return array


def _rows(rows: NDArray[np.int64]) -> str:
    shown = ", ".join(str(r) for r in rows[:10])
    return shown if rows.size <= 10 else f"{shown} and {rows.size - 10} more"


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Structural components of areas under curves (DeLong 1988).

    Attributes:
        diseased: (diseased cases, curves): part of the healthy cases that score lower, ties half.
        healthy: (healthy cases, curves): part of the diseased cases that score higher, ties half.
        area: (curves,) areas.
    """

    diseased: Floats
    healthy: Floats
    area: Floats


def components(truth: ArrayLike, scores: ArrayLike) -> Components:
    """Return the structural components of one or several curves over the same cases.

    Midranks make it O(n log n) a curve (Sun and Xu 2014).

    Args:
        truth: (cases,) of 0 and 1.
        scores: (cases,) or (cases, curves).
    """
    sick = check_truth(truth)
    array = check_scores(scores, sick.size)
    m, n = int(sick.sum()), int((~sick).sum())
    diseased = np.empty((m, array.shape[1]))
    healthy = np.empty((n, array.shape[1]))
    for c in range(array.shape[1]):
        x, y = array[sick, c], array[~sick, c]
        pooled = _midranks(np.concatenate([x, y]))
        diseased[:, c] = (pooled[:m] - _midranks(x)) / n
        healthy[:, c] = 1.0 - (pooled[m:] - _midranks(y)) / m
    return Components(diseased, healthy, diseased.mean(axis=0))


def _midranks(x: Floats) -> Floats:
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ends = np.r_[starts[1:], x.size]
    ranks = np.empty(x.size)
    ranks[order] = np.repeat((starts + 1 + ends) / 2.0, ends - starts)
    return ranks


def auc(truth: ArrayLike, score: ArrayLike) -> float:
    """Return the area under the ROC curve; ties count half.

    Examples:
        >>> auc([0, 0, 1, 1], [1, 2, 2, 3])
        0.875
    """
    return float(components(truth, score).area[0])


@dataclass(frozen=True, slots=True, eq=False)
class Areas:
    """Areas under curves over the same cases.

    Attributes:
        area: (curves,).
        covariance: (curves, curves).
        method: ``DeLong`` or ``Obuchowski (clustered)``.
    """

    area: Floats
    covariance: Floats
    method: str

    def interval(self, curve: int = 0, *, level: float = 0.95) -> Interval:
        """Return the normal interval of one area, cut at 0 and 1."""
        z = float(stats.norm.ppf(0.5 + level / 2))
        half = z * float(np.sqrt(self.covariance[curve, curve]))
        centre = float(self.area[curve])
        return Interval(max(centre - half, 0.0), min(centre + half, 1.0), level, f"{self.method}, normal")


def areas(truth: ArrayLike, scores: ArrayLike, *, clusters: ArrayLike | None = None) -> Areas:
    """Return areas with their covariance.

    Args:
        truth: (cases,) of 0 and 1.
        scores: (cases,) or (cases, curves).
        clusters: (cases,) of what is independent, such as the patient of each image; None where every
            case is. A cluster may hold cases of both classes.

    References:
        DeLong, DeLong, Clarke-Pearson, Biometrics 44:837 (1988); Sun, Xu, IEEE SPL 21:1389 (2014);
        clusters: Obuchowski, Biometrics 53:567 (1997).
    """
    parts = components(truth, scores)
    m, n = len(parts.diseased), len(parts.healthy)
    if clusters is None:
        if min(m, n) < 2:
            raise InputError(
                f"{m} diseased and {n} healthy cases", "a variance needs two of each", "add cases"
            )
        covariance = _cov(parts.diseased) / m + _cov(parts.healthy) / n
        return Areas(parts.area, covariance, "DeLong")
    sick = check_truth(truth)
    groups = np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    if groups.shape != sick.shape:
        raise InputError(f"{groups.size} clusters for {sick.size} cases", "expected one a case")
    count = int(groups.max()) + 1
    d = _group_sums(parts.diseased - parts.area, groups[sick], count) / m
    h = _group_sums(parts.healthy - parts.area, groups[~sick], count) / n
    i10 = np.unique(groups[sick]).size
    i01 = np.unique(groups[~sick]).size
    if min(i10, i01, count) < 2:
        raise InputError(f"{count} clusters", "a variance needs two of each class", "add patients")
    covariance = i10 / (i10 - 1) * d.T @ d + i01 / (i01 - 1) * h.T @ h
    cross = count / (count - 1) * d.T @ h
    return Areas(parts.area, covariance + cross + cross.T, "Obuchowski (clustered)")


def areas_of_parts(
    truth: ArrayLike, score: ArrayLike, parts: ArrayLike, *, clusters: ArrayLike | None = None
) -> Areas:
    """Return the area of one score in several parts of the cases, with their covariance.

    Parts that share cases, or cases of one patient, are correlated: Obuchowski's sums over clusters are taken
    across parts too. Parts without a common cluster have covariance 0.

    Args:
        truth: (cases,) of 0 and 1.
        score: (cases,).
        parts: (parts, cases) bool; each needs two diseased and two healthy clusters.
        clusters: (cases,) of what is independent; None where every case is.

    References:
        Obuchowski, Biometrics 53:567 (1997).
    """
    sick = check_truth(truth)
    x = check_scores(score, sick.size)[:, 0]
    inside = np.atleast_2d(np.asarray(parts, dtype=np.bool_))
    names = np.arange(sick.size) if clusters is None else np.asarray(clusters)
    groups = np.unique(names, return_inverse=True)[1].ravel()
    if inside.shape[1] != sick.size or groups.size != sick.size:
        raise InputError(
            f"parts of shape {inside.shape}", f"expected {sick.size} cases and a cluster of each"
        )
    count, areas_found = int(groups.max()) + 1, np.empty(len(inside))
    d, h = np.zeros((2, count, len(inside)))
    for k, part in enumerate(inside):
        if min((sick & part).sum(), (~sick & part).sum()) < 2:
            raise InputError(f"part {k + 1} has too few cases", "a variance needs two of each class")
        own = components(sick[part], x[part])
        areas_found[k] = own.area[0]
        d[:, k] = np.bincount(groups[part & sick], (own.diseased - own.area)[:, 0], count) / len(own.diseased)
        h[:, k] = np.bincount(groups[part & ~sick], (own.healthy - own.area)[:, 0], count) / len(own.healthy)

    def common(chosen: Bools) -> Floats:
        """Return n / (n - 1) for the clusters with such cases in either of two parts."""
        there = np.array([np.bincount(groups[part & chosen], minlength=count) > 0 for part in inside])
        n = (there[:, None] | there[None]).sum(axis=2).astype(np.float64)
        return np.asarray(n / np.maximum(n - 1, 1))

    cross = common(np.ones(sick.size, dtype=np.bool_)) * (d.T @ h)
    covariance = common(sick) * (d.T @ d) + common(~sick) * (h.T @ h) + cross + cross.T
    return Areas(areas_found, covariance, "DeLong" if clusters is None else "Obuchowski (clustered)")


def _cov(parts: Floats) -> Floats:
    return np.atleast_2d(np.cov(parts, rowvar=False, ddof=1))


def _group_sums(values: Floats, groups: NDArray[np.int64], count: int) -> Floats:
    sums = np.zeros((count, values.shape[1]))
    np.add.at(sums, groups, values)
    return sums


@dataclass(frozen=True, slots=True)
class Comparison:
    """A test of two areas.

    Attributes:
        difference: First minus second.
        se: Its standard error.
        statistic: z, or t where `df` is given.
        df: Degrees of freedom, or None for the normal.
        p: Two-sided.
        interval: Of the difference.
    """

    difference: float
    se: float
    statistic: float
    df: float | None
    p: float
    interval: Interval


def compare_paired(found: Areas, first: int = 0, second: int = 1, *, level: float = 0.95) -> Comparison:
    """Return DeLong's test of two curves over the same cases.

    Raises:
        AnalysisError: The variance of the difference is 0, so that there is nothing to test.
    """
    c = found.covariance
    variance = float(c[first, first] + c[second, second] - 2 * c[first, second])
    if variance <= 0:
        raise AnalysisError("the two curves do not differ in any case", "expected curves that differ")
    difference, se = float(found.area[first] - found.area[second]), float(np.sqrt(variance))
    z = difference / se
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    interval = Interval(difference - half, difference + half, level, f"{found.method}, paired")
    return Comparison(difference, se, z, None, float(2 * stats.norm.sf(abs(z))), interval)


def compare_unpaired(
    first: Areas, second: Areas, sizes: tuple[int, int], *, level: float = 0.95
) -> Comparison:
    """Return the test of two curves over different cases, with Welch's degrees of freedom.

    Args:
        first: One curve.
        second: The other.
        sizes: Number of cases of each.
        level: Of the interval.
    """
    v1, v2 = float(first.covariance[0, 0]), float(second.covariance[0, 0])
    se = float(np.sqrt(v1 + v2))
    if se == 0:
        raise AnalysisError("both areas are without variance", "expected areas below 1")
    difference = float(first.area[0] - second.area[0])
    df = (v1 + v2) ** 2 / (v1**2 / (sizes[0] - 1) + v2**2 / (sizes[1] - 1))
    t = difference / se
    half = float(stats.t.ppf(0.5 + level / 2, df)) * se
    interval = Interval(difference - half, difference + half, level, "DeLong, unpaired")
    return Comparison(difference, se, t, df, float(2 * stats.t.sf(abs(t), df)), interval)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The empirical ROC curve: (1 - specificity, sensitivity) at each threshold, highest first.

    A case is called diseased when its score is at or above the threshold; the first threshold is
    infinite.
    """

    thresholds: Floats
    sensitivity: Floats
    specificity: Floats


def curve(truth: ArrayLike, score: ArrayLike) -> Curve:
    """Return the empirical ROC curve."""
    sick = check_truth(truth)
    x = check_scores(score, sick.size)[:, 0]
    order = np.argsort(-x, kind="stable")
    ordered, hits = x[order], sick[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])
    tp, fp = np.cumsum(hits)[last], np.cumsum(~hits)[last]
    m, n = int(sick.sum()), int((~sick).sum())
    return Curve(np.r_[np.inf, ordered[last]], np.r_[0, tp] / m, 1.0 - np.r_[0, fp] / n)


def partial_auc(
    truth: ArrayLike,
    score: ArrayLike,
    low: float,
    high: float,
    *,
    over: Literal["specificity", "sensitivity"] = "specificity",
    corrected: bool = False,
) -> float:
    """Return the area under a part of the curve.

    Args:
        truth: (cases,) of 0 and 1.
        score: (cases,).
        low: Lower end of the specificity or sensitivity.
        high: Upper end.
        over: Which of the two is limited.
        corrected: McClish's correction, 0.5 for chance and 1 for a perfect test.

    References:
        McClish, Medical Decision Making 9:190 (1989).
    """
    if not 0 <= low < high <= 1:
        raise InputError(f"the part runs from {low} to {high}", "expected 0 <= low < high <= 1")
    found = curve(truth, score)
    if over == "specificity":
        x, y = 1.0 - found.specificity, found.sensitivity
    else:
        x, y = (1.0 - found.sensitivity)[::-1], found.specificity[::-1]
    area = _area_between(x, y, 1 - high, 1 - low)
    if not corrected:
        return area
    largest = high - low
    smallest = ((1 - low) ** 2 - (1 - high) ** 2) / 2
    return 0.5 * (1 + (area - smallest) / (largest - smallest))


def _area_between(x: Floats, y: Floats, low: float, high: float) -> float:
    """Return the area under a line through points with rising x, ends interpolated."""

    def at(place: float, side: Literal["left", "right"]) -> float:
        # a vertical step at an end counts at its upper end on the left and its lower end on the right
        i = int(np.searchsorted(x, place, side="right" if side == "left" else "left"))
        if side == "left" and i > 0 and x[i - 1] == place:
            return float(y[i - 1])
        if side == "right" and i < x.size and x[i] == place:
            return float(y[i])
        slope = (y[i] - y[i - 1]) / (x[i] - x[i - 1])
        return float(y[i - 1] + slope * (place - x[i - 1]))

    inside = (x > low) & (x < high)
    xs = np.r_[low, x[inside], high]
    ys = np.r_[at(low, "left"), y[inside], at(high, "right")]
    return float(np.trapezoid(ys, xs))


def youden(truth: ArrayLike, score: ArrayLike) -> tuple[float, float, float]:
    """Return the threshold of the largest Youden index with its sensitivity and specificity.

    The threshold lies halfway to the next lower score; of several, the highest is taken.
    """
    found = curve(truth, score)
    best = int(np.argmax(found.sensitivity + found.specificity))
    upper = found.thresholds[best]
    lower = found.thresholds[best + 1] if best + 1 < found.thresholds.size else -np.inf
    middle = upper if not np.isfinite(lower) else (upper + lower) / 2
    return float(middle), float(found.sensitivity[best]), float(found.specificity[best])


def hand_till(truth: ArrayLike, score: ArrayLike) -> float:
    """Return Hand and Till's multi-class area of one score: the mean area over all pairs of classes.

    References:
        Hand, Till, Machine Learning 45:171 (2001).
    """
    labels = np.asarray(truth)
    x = check_scores(score, labels.size)[:, 0]
    kinds = np.unique(labels)
    if kinds.size < 2:
        raise InputError(f"one class only: {kinds.tolist()}", "expected two or more")
    pairs = [
        auc(labels[np.isin(labels, (a, b))] == b, x[np.isin(labels, (a, b))])
        for i, a in enumerate(kinds)
        for b in kinds[i + 1 :]
    ]
    return float(np.mean([max(p, 1 - p) for p in pairs]))
