"""Smooth calibration curves and the errors read from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coread.errors import InputError
from coread.evaluation.roc import check_truth
from coread.evaluation.utility import check_probabilities

Floats = NDArray[np.float64]


def lowess(x: ArrayLike, y: ArrayLike, *, span: float = 2 / 3, step: float = 0.01) -> tuple[Floats, Floats]:
    """Return sorted x and the locally weighted straight line through y, without robustness iterations.

    Args:
        x: (points,).
        y: (points,).
        span: Part of the points in each window.
        step: Fit anew after this part of the range and interpolate between, as R does; 0 fits everywhere.

    References:
        Cleveland, JASA 74:829 (1979); the conventions of R's `lowess(iter = 0)`.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.ndim != 1 or xs.shape != ys.shape or xs.size < 3:
        raise InputError(f"points of shape {xs.shape} and {ys.shape}", "expected three or more of each")
    order = np.argsort(xs, kind="stable")
    xs, ys = xs[order], ys[order]
    count = max(min(int(span * xs.size + 1e-7), xs.size), 2)
    reach, smooth = step * (xs[-1] - xs[0]), np.empty(xs.size)
    left, last, i = 0, -1, 0
    while last < xs.size - 1:
        while left + count < xs.size and xs[i] - xs[left] > xs[left + count] - xs[i]:
            left += 1
        smooth[i] = _fit(xs, ys, i, left, left + count - 1)
        if last < i - 1:
            between = slice(last + 1, i)
            smooth[between] = np.interp(xs[between], [xs[last], xs[i]], [smooth[last], smooth[i]])
        same = int(np.searchsorted(xs, xs[i], side="right"))
        smooth[i:same] = smooth[i]
        last = same - 1
        i = max(last + 1, int(np.searchsorted(xs, xs[last] + reach, side="right")) - 1)
    return xs, smooth


def _fit(x: Floats, y: Floats, i: int, left: int, right: int) -> float:
    """Return the tricube-weighted line at x[i] from the window and what ties with its end."""
    wide = max(x[i] - x[left], x[right] - x[i])
    end = int(np.searchsorted(x, x[i] + 0.999 * wide, side="right"))
    part = slice(left, max(end, left + 1))
    far = np.abs(x[part] - x[i])
    if wide <= 0:
        return float(y[part].mean())
    weight = np.where(
        far <= 0.001 * wide, 1.0, np.where(far <= 0.999 * wide, (1 - (far / wide) ** 3) ** 3, 0.0)
    )
    weight /= weight.sum()
    centre = float(weight @ x[part])
    spread = float(weight @ (x[part] - centre) ** 2)
    if np.sqrt(spread) > 0.001 * (x[-1] - x[0]):
        weight = weight * (1 + (x[i] - centre) / spread * (x[part] - centre))
    return float(weight @ y[part])


@dataclass(frozen=True, slots=True, eq=False)
class SmoothCalibration:
    """Distance of a smooth calibration curve from the diagonal over the cases.

    Attributes:
        predicted: (cases,) rising.
        observed: (cases,) of the curve.
        largest: E-max.
        ninetieth: E90.
        mean: E-avg, also called ICI.
    """

    predicted: Floats
    observed: Floats
    largest: float
    ninetieth: float
    mean: float


def smooth_calibration(truth: ArrayLike, probability: ArrayLike) -> SmoothCalibration:
    """Return E-max, E90 and E-avg as rms' `val.prob` does.

    References:
        Harrell, Regression Modeling Strategies, 2nd edition; Austin, Steyerberg, Statistics in Medicine
        38:4051 (2019).
    """
    sick = check_truth(truth)
    p = check_probabilities(probability, sick.size)
    predicted, observed = lowess(p, sick.astype(np.float64))
    error = np.abs(predicted - observed)
    return SmoothCalibration(
        predicted, observed, float(error.max()), float(np.quantile(error, 0.9)), float(error.mean())
    )
