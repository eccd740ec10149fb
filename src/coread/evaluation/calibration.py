"""Calibration of probabilities: how far they are from what happens, and how to mend them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import AnalysisError, InputError
from coread.evaluation.roc import check_truth
from coread.evaluation.utility import check_probabilities

Floats = NDArray[np.float64]
CLIP = 1e-12


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error and interval."""

    value: float
    se: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class BrierScore:
    """Brier score and Murphy's decomposition over equal probabilities (or bins of them).

    score = reliability - resolution + uncertainty, plus what varies within bins where there are bins.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def logit(p: ArrayLike) -> Floats:
    """Return log odds; 0 and 1 are moved in by 1e-12."""
    clipped = np.clip(np.asarray(p, dtype=np.float64), CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped / (1 - clipped)), dtype=np.float64)


def expit(x: ArrayLike) -> Floats:
    """Return the probability of log odds."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * np.asarray(x, dtype=np.float64))), dtype=np.float64)


def logistic_fit(
    design: ArrayLike, truth: ArrayLike, offset: ArrayLike | None = None, *, tolerance: float = 1e-12
) -> tuple[Floats, Floats]:
    """Return the maximum-likelihood coefficients of a logistic regression and their covariance.

    Args:
        design: (cases, columns), a column of ones for the intercept included.
        truth: (cases,) of 0 and 1.
        offset: (cases,) added to the log odds.
        tolerance: Of the largest step of Newton's method.

    Raises:
        AnalysisError: The classes are separated, so that no finite fit exists.
    """
    x = np.asarray(design, dtype=np.float64)
    y = check_truth(truth).astype(np.float64)
    base = np.zeros(y.size) if offset is None else np.asarray(offset, dtype=np.float64)
    beta = np.zeros(x.shape[1])
    for _ in range(100):
        p = expit(x @ beta + base)
        information = (x * (p * (1 - p))[:, None]).T @ x
        try:
            step = np.linalg.solve(information, x.T @ (y - p))
        except np.linalg.LinAlgError:
            break
        beta = beta + step
        if not np.isfinite(beta).all() or np.abs(beta).max() > 1e4:
            break
        if np.abs(step).max() < tolerance * max(1.0, np.abs(beta).max()):
            p = expit(x @ beta + base)
            information = (x * (p * (1 - p))[:, None]).T @ x
            return beta, np.asarray(np.linalg.inv(information), dtype=np.float64)
    raise AnalysisError("the two classes are separated", "expected overlapping predictions", "add cases")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of predicted probabilities.

    Attributes:
        slope: Of logit(y) on logit(p), intercept free; 1 is right, below 1 is overconfident.
        intercept: Of the same fit (joint).
        in_the_large: Intercept with the slope fixed at 1; 0 is right, above 0 is too low on average.
        brier: Brier score with its decomposition.
        ece: Expected calibration error over `bins` bins.
        bins: How many, of equal count.
    """

    slope: Estimate
    intercept: Estimate
    in_the_large: Estimate
    brier: BrierScore
    ece: float
    bins: int


def calibration(
    truth: ArrayLike, probability: ArrayLike, *, bins: int = 10, level: float = 0.95
) -> Calibration:
    """Return how well probabilities are calibrated.

    References:
        Cox, Biometrika 45:562 (1958); Van Calster et al., BMC Medicine 17:230 (2019).
    """
    sick = check_truth(truth)
    p = check_probabilities(probability, sick.size)
    x = logit(p)
    if np.ptp(x) == 0:
        raise AnalysisError("all predictions are the same", "a slope needs predictions that differ")
    joint, cov = logistic_fit(np.column_stack([np.ones(x.size), x]), sick)
    large, large_cov = logistic_fit(np.ones((x.size, 1)), sick, x)
    return Calibration(
        slope=_estimate(joint[1], cov[1, 1], level),
        intercept=_estimate(joint[0], cov[0, 0], level),
        in_the_large=_estimate(large[0], large_cov[0, 0], level),
        brier=brier_score(sick, p),
        ece=expected_calibration_error(sick, p, bins=bins),
        bins=bins,
    )


def _estimate(value: float, variance: float, level: float) -> Estimate:
    se = float(np.sqrt(variance))
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    return Estimate(float(value), se, Interval(float(value) - half, float(value) + half, level, "Wald"))


def brier_score(truth: ArrayLike, probability: ArrayLike, *, bins: int | None = None) -> BrierScore:
    """Return the Brier score with Murphy's decomposition.

    Args:
        truth: (cases,) of 0 and 1.
        probability: (cases,).
        bins: Decompose over this many bins of equal count; None for equal probabilities, where nothing
            varies within.

    References:
        Murphy, Journal of Applied Meteorology 12:595 (1973).
    """
    y = check_truth(truth).astype(np.float64)
    p = check_probabilities(probability, y.size)
    groups = np.unique(p, return_inverse=True)[1] if bins is None else equal_count_bins(p, bins)
    count = np.bincount(groups).astype(np.float64)
    kept = count > 0
    mean_p = np.bincount(groups, weights=p)[kept] / count[kept]
    mean_y = np.bincount(groups, weights=y)[kept] / count[kept]
    share = count[kept] / y.size
    reliability = float((share * (mean_p - mean_y) ** 2).sum())
    resolution = float((share * (mean_y - y.mean()) ** 2).sum())
    uncertainty = float(y.mean() * (1 - y.mean()))
    score = float(((p - y) ** 2).mean())
    return BrierScore(
        score, reliability, resolution, uncertainty, score - (reliability - resolution + uncertainty)
    )


def equal_count_bins(values: Floats, bins: int) -> NDArray[np.intp]:
    """Return the bin of each value, bins of equal count; equal values share a bin."""
    if bins < 1:
        raise InputError(f"{bins} bins", "expected one or more")
    edges = np.quantile(values, np.arange(1, bins) / bins)
    return np.searchsorted(edges, values, side="left")


def expected_calibration_error(
    truth: ArrayLike,
    probability: ArrayLike,
    *,
    bins: int = 10,
    binning: Literal["equal-count", "equal-width"] = "equal-count",
) -> float:
    """Return the mean absolute difference of predicted and observed over bins, weighted by their counts."""
    y = check_truth(truth).astype(np.float64)
    p = check_probabilities(probability, y.size)
    if binning == "equal-count":
        groups = equal_count_bins(p, bins)
    else:
        groups = np.minimum((p * bins).astype(np.intp), bins - 1)
    difference = np.bincount(groups, weights=p, minlength=bins) - np.bincount(
        groups, weights=y, minlength=bins
    )
    return float(np.abs(difference).sum() / y.size)


@dataclass(frozen=True, slots=True)
class HosmerLemeshow:
    """The test of Hosmer and Lemeshow; it depends on the groups, so prefer slope and intercept."""

    statistic: float
    df: int
    p: float


def hosmer_lemeshow(
    truth: ArrayLike, probability: ArrayLike, *, groups: int = 10, external: bool = True
) -> HosmerLemeshow:
    """Return the Hosmer-Lemeshow test over groups of equal count.

    Args:
        truth: (cases,) of 0 and 1.
        probability: (cases,).
        groups: How many.
        external: Whether the model was fitted on other data (df = groups, else groups - 2).
    """
    y = check_truth(truth).astype(np.float64)
    p = check_probabilities(probability, y.size)
    bins = equal_count_bins(p, groups)
    count = np.bincount(bins).astype(np.float64)
    kept = count > 0
    expected = np.bincount(bins, weights=p)[kept]
    observed = np.bincount(bins, weights=y)[kept]
    variance = expected * (1 - expected / count[kept])
    if (variance <= 0).any():
        raise AnalysisError("a group has an expected count of 0 or all", "expected fewer groups")
    statistic = float(((observed - expected) ** 2 / variance).sum())
    df = int(kept.sum()) - (0 if external else 2)
    return HosmerLemeshow(statistic, df, float(stats.chi2.sf(statistic, df)))
