"""Whether a model does as well for everybody: areas and rates by subgroup, with multiplicity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import InputError
from coread.evaluation.operating import Rate, wilson
from coread.evaluation.roc import areas, check_scores, check_truth


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
        p: Of the area against everybody else, corrected by Holm over the subgroups, or None.
    """

    name: str
    cases: int
    diseased: int
    area: Rate | None
    sensitivity: Rate | None
    specificity: Rate | None
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

    Args:
        truth: (cases,) of 0 and 1.
        score: (cases,).
        group: (cases,) names.
        threshold: Scores at or above are called diseased.
        clusters: (cases,) patient of each image, for the variance of areas.
        level: Of the intervals.

    References:
        Hardt, Price, Srebro, NeurIPS 2016 (equalised odds); Holm, Scandinavian Journal of Statistics 6:65.
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
        area = _area(sick, x, inside, of, level)
        rest = _area(sick, x, ~inside, of, level)
        p = None
        if area is not None and rest is not None and area[1] + rest[1] > 0:
            z = abs(area[0].value - rest[0].value) / np.sqrt(area[1] + rest[1])
            p = float(2 * stats.norm.sf(z))
        sens = wilson(int((called & sick & inside).sum()), m, level=level) if m else None
        spec = wilson(int((~called & ~sick & inside).sum()), n, level=level) if n else None
        rows.append((str(name), m + n, m, None if area is None else area[0], sens, spec, p))
    adjusted = holm([r[6] for r in rows])
    groups = tuple(Subgroup(*r[:6], p) for r, p in zip(rows, adjusted, strict=True))
    sens_all = [g.sensitivity.value for g in groups if g.sensitivity]
    spec_all = [g.specificity.value for g in groups if g.specificity]
    return SubgroupReport(
        groups,
        max(sens_all) - min(sens_all) if len(sens_all) > 1 else None,
        max(spec_all) - min(spec_all) if len(spec_all) > 1 else None,
    )


def _area(
    sick: NDArray[np.bool_],
    x: NDArray[np.float64],
    inside: NDArray[np.bool_],
    clusters: NDArray[np.generic] | None,
    level: float,
) -> tuple[Rate, float] | None:
    if min(int((sick & inside).sum()), int((~sick & inside).sum())) < 2:
        return None
    found = areas(sick[inside], x[inside], clusters=None if clusters is None else clusters[inside])
    interval: Interval = found.interval(level=level)
    return Rate(float(found.area[0]), interval), float(found.covariance[0, 0])


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
