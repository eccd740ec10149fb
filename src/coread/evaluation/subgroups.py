"""Whether a model does as well for everybody: areas and rates by subgroup, with multiplicity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import InputError
from coread.evaluation.operating import Rate, clustered_proportion, wilson
from coread.evaluation.roc import areas_of_parts, check_scores, check_truth


@dataclass(frozen=True, slots=True)
class Subgroup:
    """One subgroup.

    Attributes:
        name: Of the subgroup.
        cases: How many.
        diseased: How many of them.
        area: With DeLong's interval, or None where a class has fewer than two cases.
        sensitivity: At the threshold, or None without diseased cases.
        specificity: Or None.
        difference: Area less that of everybody else, with its interval, or None.
        p: That the difference is 0, corrected by Holm over the subgroups, or None.
    """

    name: str
    cases: int
    diseased: int
    area: Rate | None
    sensitivity: Rate | None
    specificity: Rate | None
    difference: Rate | None
    p: float | None


@dataclass(frozen=True, slots=True)
class SubgroupReport:
    """Subgroups with the largest gaps between them (equalised odds)."""

    groups: tuple[Subgroup, ...]
    sensitivity_gap: float | None
    false_positive_gap: float | None


def subgroup_report(
    truth: ArrayLike,
    score: ArrayLike,
    group: ArrayLike,
    threshold: float,
    *,
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> SubgroupReport:
    """Return the figures of every subgroup.

    Each area is tested against that of all other cases. Where a patient has cases in both, the covariance of
    the two areas is taken in by sums over patients; without clusters the two are independent. Intervals of
    rates use the effective number of cases where there are clusters.

    Args:
        truth: (cases,) of 0 and 1.
        score: (cases,).
        group: (cases,) names.
        threshold: Scores at or above are called diseased.
        clusters: (cases,) patient of each image, for all intervals and tests.
        level: Of the intervals.

    References:
        Hardt, Price, Srebro, NeurIPS 2016 (equalised odds); Holm, Scandinavian Journal of Statistics 6:65;
        Obuchowski, Biometrics 53:567 (1997).
    """
    sick = check_truth(truth)
    x = check_scores(score, sick.size)[:, 0]
    names = np.asarray(group).astype(str)
    of = None if clusters is None else np.asarray(clusters)
    if names.shape != sick.shape:
        raise InputError(f"{names.size} names for {sick.size} cases", "expected one a case")
    rows = []
    for name in sorted(set(names)):
        inside = names == name
        m, n = int((sick & inside).sum()), int((~sick & inside).sum())
        called = x >= threshold
        area, difference, p = _areas(sick, x, inside, of, level)
        sens = _rate(called[sick & inside], of, sick & inside, level) if m else None
        spec = _rate(~called[~sick & inside], of, ~sick & inside, level) if n else None
        rows.append((str(name), m + n, m, area, sens, spec, difference, p))
    adjusted = holm([r[7] for r in rows])
    groups = tuple(Subgroup(*r[:7], p) for r, p in zip(rows, adjusted, strict=True))
    sens_all = [g.sensitivity.value for g in groups if g.sensitivity]
    spec_all = [g.specificity.value for g in groups if g.specificity]
    return SubgroupReport(
        groups,
        max(sens_all) - min(sens_all) if len(sens_all) > 1 else None,
        max(spec_all) - min(spec_all) if len(spec_all) > 1 else None,
    )


def _rate(
    right: NDArray[np.bool_], clusters: NDArray[np.generic] | None, inside: NDArray[np.bool_], level: float
) -> Rate:
    if clusters is None:
        return wilson(int(right.sum()), right.size, level=level)
    return clustered_proportion(right, clusters[inside], level=level)


def _areas(
    sick: NDArray[np.bool_],
    x: NDArray[np.float64],
    inside: NDArray[np.bool_],
    clusters: NDArray[np.generic] | None,
    level: float,
) -> tuple[Rate | None, Rate | None, float | None]:
    """Return the area inside, its difference from outside, and the p of that."""
    enough = [min((sick & part).sum(), (~sick & part).sum()) >= 2 for part in (inside, ~inside)]
    if not enough[0]:
        return None, None, None
    parts = [inside, ~inside] if enough[1] else [inside]
    found = areas_of_parts(sick, x, parts, clusters=clusters)
    area = Rate(float(found.area[0]), found.interval(level=level))
    if not enough[1]:
        return area, None, None
    c = found.covariance
    variance = float(c[0, 0] + c[1, 1] - 2 * c[0, 1])
    if variance <= 0:
        return area, None, None
    estimate, se = float(found.area[0] - found.area[1]), float(np.sqrt(variance))
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    interval = Interval(estimate - half, estimate + half, level, f"{found.method}, normal")
    return area, Rate(estimate, interval), float(2 * stats.norm.sf(abs(estimate) / se))


def holm(p_values: list[float | None]) -> list[float | None]:
    """Return p-values corrected by Holm; None stays None.

    Examples:
        >>> holm([0.01, None, 0.04, 0.03])
        [0.03, None, 0.06, 0.06]
    """
    known = sorted((p, k) for k, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, k) in enumerate(known):
        largest = max(largest, min(1.0, p * (len(known) - rank)))
        corrected[k] = largest
    return corrected
