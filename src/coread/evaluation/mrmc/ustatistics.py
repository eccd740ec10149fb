"""U-statistics of reader studies: variances of mean areas for any design, missing readings included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import InputError
from coread.evaluation.mrmc.study import ReaderStudy

Floats = NDArray[np.float64]
_BLOCK = 4_000_000
COMPONENTS = ("N", "D", "ND", "R", "NR", "DR", "RND")


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """The eight moments of products of success scores of two modalities.

    A product joins two success scores; the moments tell what the two share. 1: reader, healthy and
    diseased case; 2: reader and diseased case; 3: reader and healthy case; 4: the reader; 5 to 8 the same
    with two readers.

    Attributes:
        unbiased: (8,) means over pairs of different cases and readers; 0 where there is no such pair.
        biased: (8,) means in which the different may also be the same (plug-in, maximum likelihood).
        coefficients: (8,) shares of the pairs; the last one less 1.
    """

    unbiased: Floats
    biased: Floats
    coefficients: Floats

    def variance(self, *, biased: bool = False) -> float:
        """Return the covariance of the two mean areas."""
        return float(self.coefficients @ (self.biased if biased else self.unbiased))

    def components(self, *, biased: bool = False) -> dict[str, float]:
        """Return the components of Barrett, Clarkson and Kupinski: N healthy, D diseased, R readers."""
        m1, m2, m3, m4, m5, m6, m7, m8 = self.biased if biased else self.unbiased
        return {
            "N": float(m7 - m8),
            "D": float(m6 - m8),
            "ND": float(m5 - m6 - m7 + m8),
            "R": float(m4 - m8),
            "NR": float(m3 - m4 - m7 + m8),
            "DR": float(m2 - m4 - m6 + m8),
            "RND": float(m1 - m2 - m3 + m4 - m5 + m6 + m7 - m8),
        }


@dataclass(frozen=True, slots=True)
class MeanArea:
    """A mean area, or the difference of two, over readers and cases.

    Attributes:
        first: Name of the modality.
        second: Name of the other, or None.
        estimate: Area, or difference.
        variance: The one the test uses.
        unbiased: U-statistic estimate; may be negative.
        biased: Maximum-likelihood estimate; never negative.
        method: ``U-statistic``, or ``maximum likelihood (the unbiased variance is negative)``.
        df: Degrees of freedom; the test and the interval use its whole part, as iMRMC does.
        p: Two-sided; of an area against 0.5.
        p_normal: The same with the normal distribution.
        interval: By t with `df`.
        interval_normal: By the normal distribution.
    """

    first: str
    second: str | None
    estimate: float
    variance: float
    unbiased: float
    biased: float
    method: str
    df: float
    p: float
    p_normal: float
    interval: Interval
    interval_normal: Interval


def mean_area(
    study: ReaderStudy,
    first: str,
    second: str | None = None,
    *,
    estimator: Literal["unbiased", "biased"] = "unbiased",
    level: float = 0.95,
) -> MeanArea:
    """Return the mean area of a modality, or its difference from another, with its variance.

    Readers and cases are random. Every pair of a healthy and a diseased case that a reader read counts
    once, so that readers who read more weigh more.

    Args:
        study: Of any design.
        first: A modality.
        second: Another, or None.
        estimator: Of the variance; a negative unbiased one falls back to the biased one, by name.
        level: Of the intervals.

    References:
        Gallas, Academic Radiology 13:353 (2006); Gallas et al., JOSA A 24:B70 (2007); degrees of freedom
        after Gaylor and Hopper as in iMRMC.
    """
    one = _scores(study, first)
    parts = [(1.0, moments(one, one))]
    estimate = one.area
    if second is not None:
        two = _scores(study, second)
        parts += [(1.0, moments(two, two)), (-2.0, moments(one, two))]
        estimate = one.area - two.area
    unbiased = sum(w * m.variance() for w, m in parts)
    biased = sum(w * m.variance(biased=True) for w, m in parts)
    variance, method = unbiased, "U-statistic"
    if estimator == "biased":
        variance, method = biased, "maximum likelihood"
    elif unbiased <= 0:
        variance, method = biased, "maximum likelihood (the unbiased variance is negative)"
    df = _degrees_of_freedom(variance, parts, one)
    null = 0.5 if second is None else 0.0
    se = float(np.sqrt(max(variance, 0.0)))
    t = (estimate - null) / se if se > 0 else float("inf") * np.sign(estimate - null)
    whole = float(np.floor(df))  # as iMRMC does: quantiles at whole degrees of freedom
    half = float(stats.t.ppf(0.5 + level / 2, whole)) * se
    half_normal = float(stats.norm.ppf(0.5 + level / 2)) * se
    return MeanArea(
        first,
        second,
        estimate,
        variance,
        unbiased,
        biased,
        method,
        df,
        float(2 * stats.t.sf(abs(t), whole)) if np.isfinite(t) else 0.0,
        float(2 * stats.norm.sf(abs(t))) if np.isfinite(t) else 0.0,
        Interval(estimate - half, estimate + half, level, f"{method}, t"),
        Interval(estimate - half_normal, estimate + half_normal, level, f"{method}, normal"),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """Ratings of one modality: (readers, cases), NaN where not read, and the mean area."""

    diseased: Floats
    healthy: Floats
    area: float
    pairs: float


def _scores(study: ReaderStudy, modality: str) -> _Scores:
    if modality not in study.modalities:
        raise InputError(f"no modality {modality!r}", f"the study has {', '.join(study.modalities)}")
    ratings = study.ratings[study.modalities.index(modality)]
    diseased, healthy = ratings[:, study.truth], ratings[:, ~study.truth]
    pairs = float(((~np.isnan(diseased)).sum(axis=1) * (~np.isnan(healthy)).sum(axis=1)).sum())
    if pairs == 0:
        raise InputError(f"nobody read a healthy and a diseased case in {modality}", "expected readings")
    total = sum(float(_success(d, healthy[r])[0].sum()) for r, d in enumerate(diseased))
    return _Scores(diseased, healthy, total / pairs, pairs)


def _success(diseased: Floats, healthy: Floats) -> tuple[Floats, Floats]:
    """Return success scores (diseased, healthy) with 0 where a case was not read, and where both were."""
    x, y = diseased[:, None], healthy[None, :]
    read = ~(np.isnan(x) | np.isnan(y))
    return np.where(x > y, 1.0, 0.5 * (x == y)), read.astype(np.float64)


def moments(one: _Scores, two: _Scores) -> Moments:
    """Return the moments of two modalities over the same readers and cases."""
    readers, m = one.diseased.shape
    n = one.healthy.shape[1]
    sums = np.zeros((2, 8))  # success scores, then the design; see `_join`
    rows = np.zeros((2, 2, readers, n))  # what each healthy case sums to, by reader
    totals = np.zeros((2, 2, readers))
    block = max(1, _BLOCK // n)
    for start in range(0, m, block):
        part = slice(start, start + block)
        pooled: list[list[Floats]] = [[np.zeros((0, 0))] * 2 for _ in range(2)]
        columns = [np.zeros(()), np.zeros(())]
        for r in range(readers):
            pairs = (
                _success(one.diseased[r, part], one.healthy[r]),
                _success(two.diseased[r, part], two.healthy[r]),
            )
            for kind in range(2):
                a, b = pairs[0][kind], pairs[1][kind]
                by_column = np.array([a.sum(axis=1), b.sum(axis=1)])
                rows[kind, :, r] += np.array([a.sum(axis=0), b.sum(axis=0)])
                totals[kind, :, r] += by_column.sum(axis=1)
                sums[kind, 0] += np.vdot(a, b)
                sums[kind, 1] += by_column[0] @ by_column[1]
                if r == 0:
                    pooled[kind] = [a.copy(), b.copy()]
                    columns[kind] = by_column
                else:
                    pooled[kind][0] += a
                    pooled[kind][1] += b
                    columns[kind] = columns[kind] + by_column
        for kind in range(2):
            sums[kind, 4] += np.vdot(pooled[kind][0], pooled[kind][1])
            sums[kind, 5] += columns[kind][0] @ columns[kind][1]
    for kind in range(2):
        sums[kind, 2] = np.vdot(rows[kind, 0], rows[kind, 1])
        sums[kind, 3] = totals[kind, 0] @ totals[kind, 1]
        pooled_rows = rows[kind].sum(axis=1)
        sums[kind, 6] = pooled_rows[0] @ pooled_rows[1]
        sums[kind, 7] = totals[kind, 0].sum() * totals[kind, 1].sum()
    apart = _apart(sums[0]), _apart(sums[1])
    coefficients = apart[1] / (one.pairs * two.pairs)
    coefficients[7] -= 1.0
    return Moments(_ratio(apart[0], apart[1]), _ratio(sums[0], sums[1]), coefficients)


def _apart(sums: Floats) -> Floats:
    """Return sums over pairs that differ where they may, from sums in which they may also be the same."""
    q1, q2, q3, q4, t1, t2, t3, t4 = sums
    same = np.array([q1, q2 - q1, q3 - q1, q4 - q2 - q3 + q1])
    both = np.array([t1, t2 - t1, t3 - t1, t4 - t2 - t3 + t1])
    return np.asarray(np.r_[same, both - same], dtype=np.float64)


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.divide(a, b, out=np.zeros_like(a), where=b > 0.5), dtype=np.float64)


def _degrees_of_freedom(variance: float, parts: list[tuple[float, Moments]], scores: _Scores) -> float:
    shares = {
        "N": scores.healthy.shape[1],
        "D": scores.diseased.shape[1],
        "R": scores.diseased.shape[0],
    }
    own = {name: max(round(1 / _share(parts[0][1], name, count) - 1), 1) for name, count in shares.items()}
    biased = {name: sum(w * m.components(biased=True)[name] for w, m in parts) for name in shares}
    denominator = sum(biased[name] ** 2 / own[name] ** 3 for name in shares)
    smallest = float(min(own.values()))
    return smallest if denominator <= 0 else max(variance**2 / denominator, smallest)


def _share(found: Moments, name: str, count: int) -> float:
    """Return the coefficient of a component: the share of pairs that have the case or reader in common."""
    c = found.coefficients.copy()
    c[7] += 1.0
    members = {"N": (0, 2, 4, 6), "D": (0, 1, 4, 5), "R": (0, 1, 2, 3)}[name]
    share = float(c[list(members)].sum())
    return share if share > 0 else 1.0 / count
