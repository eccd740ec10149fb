"""Whether today's cases are like those of the validation: tests of shift and control charts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.errors import InputError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shift:
    """A test that two windows have one distribution.

    Attributes:
        name: Of what was compared.
        test: Kolmogorov-Smirnov, chi-square or energy distance by permutation.
        statistic: Of the test.
        p: Its probability.
        psi: Population stability index over tenths of the reference, or None.
        reference_mean: Or None.
        current_mean: Or None.
    """

    name: str
    test: str
    statistic: float
    p: float
    psi: float | None = None
    reference_mean: float | None = None
    current_mean: float | None = None


def shift_of_numbers(reference: ArrayLike, current: ArrayLike, name: str) -> Shift:
    """Return the two-sample Kolmogorov-Smirnov test with the population stability index."""
    a, b = (_finite(x, name) for x in (reference, current))
    found = stats.ks_2samp(a, b)
    edges = np.unique(np.quantile(a, np.linspace(0.1, 0.9, 9)))
    shares = [
        np.maximum(
            np.bincount(np.searchsorted(edges, x, side="left"), minlength=edges.size + 1) / x.size, 1e-6
        )
        for x in (a, b)
    ]
    psi = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    return Shift(
        name,
        "Kolmogorov-Smirnov",
        float(found.statistic),
        float(found.pvalue),
        psi,
        float(a.mean()),
        float(b.mean()),
    )


def shift_of_labels(reference: ArrayLike, current: ArrayLike, name: str) -> Shift:
    """Return the chi-square test of the shares of categories."""
    a, b = np.asarray(reference).astype(str), np.asarray(current).astype(str)
    if not a.size or not b.size:
        raise InputError(f"{name}: {a.size} and {b.size} cases", "expected cases in both windows")
    kinds = np.unique(np.r_[a, b])
    if kinds.size == 1:
        return Shift(name, "chi-square", 0.0, 1.0)
    table = np.array([[(x == k).sum() for k in kinds] for x in (a, b)])
    found = stats.chi2_contingency(table, correction=False)
    return Shift(name, "chi-square", float(found.statistic), float(found.pvalue))


def shift_of_embeddings(
    reference: ArrayLike, current: ArrayLike, name: str, *, rng: np.random.Generator, draws: int = 499
) -> Shift:
    """Return the permutation test of the energy distance of two clouds (cases, dimensions).

    References:
        Szekely, Rizzo, Journal of Statistical Planning and Inference 143:1249 (2013).
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (reference, current))
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise InputError(f"embeddings of shape {a.shape} and {b.shape}", "expected cases by dimensions")
    both = np.vstack([a, b])
    square = (both**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * both @ both.T, 0.0))
    first = np.arange(len(both)) < len(a)

    def energy(inside: NDArray[np.bool_]) -> float:
        cross = distance[np.ix_(inside, ~inside)].mean()
        return float(
            2 * cross - distance[np.ix_(inside, inside)].mean() - distance[np.ix_(~inside, ~inside)].mean()
        )

    observed = energy(first)
    more = sum(energy(rng.permutation(first)) >= observed for _ in range(draws))
    return Shift(name, "energy distance, permutation", observed, (more + 1) / (draws + 1))


def _finite(values: ArrayLike, name: str) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise InputError(f"{name}: {x.size} values", "expected finite numbers in both windows")
    return x


@dataclass(frozen=True, slots=True, eq=False)
class ControlChart:
    """An exponentially weighted moving average with its limits.

    Attributes:
        centre: Mean of the reference.
        values: (windows,) smoothed.
        lower: (windows,) limit.
        upper: (windows,) limit.
        alarms: (windows,) whether a value lies outside.
    """

    centre: float
    values: Floats
    lower: Floats
    upper: Floats
    alarms: NDArray[np.bool_]


def control_chart(
    reference: ArrayLike, windows: ArrayLike, sizes: ArrayLike, *, weight: float = 0.2, width: float = 3.0
) -> ControlChart:
    """Return the EWMA chart of the means of successive windows.

    Args:
        reference: (cases,) values while all was well.
        windows: (windows,) means in the order of time.
        sizes: (windows,) cases in each.
        weight: Of the newest window.
        width: Of the limits in standard errors.

    References:
        Lucas, Saccucci, Technometrics 32:1 (1990).
    """
    base = _finite(reference, "reference")
    means, n = _finite(windows, "windows"), np.asarray(sizes, dtype=np.float64)
    if base.size < 2 or n.shape != means.shape or (n < 1).any() or not 0 < weight <= 1:
        raise InputError(
            "the chart", "expected two or more reference values, a size a window, weight in (0, 1]"
        )
    sd, centre = float(base.std(ddof=1)), float(base.mean())
    smooth, variance = np.empty(means.size), np.empty(means.size)
    value, spread = centre, 0.0
    for k, mean in enumerate(means):
        value = weight * mean + (1 - weight) * value
        spread = weight**2 * sd**2 / n[k] + (1 - weight) ** 2 * spread
        smooth[k], variance[k] = value, spread
    half = width * np.sqrt(variance)
    low, high = centre - half, centre + half
    return ControlChart(centre, smooth, low, high, (smooth < low) | (smooth > high))
