"""Reclassification: how a second prediction moves people up or down against a first one (NRI, IDI)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import AnalysisError, InputError
from coread.evaluation.roc import check_truth
from coread.evaluation.utility import check_probabilities

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Improvement:
    """An improvement, its parts, and the test against none.

    Attributes:
        value: Sum of both parts.
        events: Part of those with the outcome; positive is better.
        nonevents: Part of those without; positive is better.
        se: Standard error of the value, not assuming that there is no improvement; the interval uses it.
        statistic: z; for the NRI with the standard error under no improvement, as Pencina defines it.
        p: Two-sided.
        interval: Of the value, normal.
    """

    value: float
    events: float
    nonevents: float
    se: float
    statistic: float
    p: float
    interval: Interval


def net_reclassification(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    *,
    cutoffs: ArrayLike | None = None,
    level: float = 0.95,
) -> Improvement:
    """Return the net reclassification improvement (NRI) of a second prediction over a first.

    The NRI also rises when a useless but badly calibrated prediction is added; report it beside calibration
    and net benefit, never alone.

    Args:
        truth: (cases,) of 0 and 1.
        first: (cases,) probabilities of the present prediction.
        second: (cases,) probabilities of the new one.
        cutoffs: Borders between risk categories, between 0 and 1 and rising; a probability at a border
            belongs above it. None for the category-free NRI, where any change of probability counts.
        level: Of the interval.

    Raises:
        InputError: Probabilities outside 0 to 1, or cut-offs that don't rise between 0 and 1.
        AnalysisError: Nobody is moved, so that there is nothing to test.

    References:
        Pencina et al., Statistics in Medicine 27:157 (2008) and 30:11 (2011); Pepe et al., Statistics in
        Biopharmaceutical Research 7:76 (2015), on its faults.
    """
    sick, before, after = _checked(truth, first, second)
    if cutoffs is not None:
        borders = np.atleast_1d(np.asarray(cutoffs, dtype=np.float64))
        if borders.size == 0 or ((borders <= 0) | (borders >= 1)).any() or (np.diff(borders) <= 0).any():
            raise InputError(f"cut-offs {borders.tolist()}", "expected between 0 and 1, each above the last")
        before, after = (np.searchsorted(borders, p, side="right").astype(float) for p in (before, after))
    move = np.sign(after - before)
    if not move.any():
        raise AnalysisError("nobody is in another category", "expected predictions that differ")
    parts = (move[sick], -move[~sick])
    null = float(sum(np.mean(part != 0) / part.size for part in parts))
    variance = float(sum((np.mean(part != 0) - part.mean() ** 2) / part.size for part in parts))
    return _improvement(parts, variance, null, level, "normal, multinomial variance")


def integrated_discrimination(
    truth: ArrayLike, first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> Improvement:
    """Return the integrated discrimination improvement (IDI): the gain in mean difference of probability.

    Raises:
        InputError: Probabilities outside 0 to 1.
        AnalysisError: All differences are alike, or there are fewer than two cases of a class.

    References:
        Pencina et al., Statistics in Medicine 27:157 (2008).
    """
    sick, before, after = _checked(truth, first, second)
    change = after - before
    parts = (change[sick], -change[~sick])
    if min(part.size for part in parts) < 2:
        raise AnalysisError("fewer than two cases of a class", "a variance needs two of each")
    variance = float(sum(part.var(ddof=1) / part.size for part in parts))
    if variance <= 0:
        raise AnalysisError("every probability changes alike", "expected predictions that differ")
    return _improvement(parts, variance, variance, level, "normal, paired differences")


def _checked(
    truth: ArrayLike, first: ArrayLike, second: ArrayLike
) -> tuple[NDArray[np.bool_], Floats, Floats]:
    sick = check_truth(truth)
    return sick, check_probabilities(first, sick.size), check_probabilities(second, sick.size)


def _improvement(
    parts: tuple[Floats, Floats], variance: float, null: float, level: float, method: str
) -> Improvement:
    events, nonevents = (float(part.mean()) for part in parts)
    value, se = events + nonevents, float(np.sqrt(variance))
    z = value / float(np.sqrt(null))
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    interval = Interval(value - half, value + half, level, method)
    return Improvement(value, events, nonevents, se, z, float(2 * stats.norm.sf(abs(z))), interval)
