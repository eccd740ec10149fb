"""Sets of answers that hold the truth as often as promised, and the gain of abstaining."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coread.errors import InputError

Floats = NDArray[np.float64]
Per = Literal["all", "class", "group"]


@dataclass(frozen=True, slots=True, eq=False)
class Conformal:
    """Limits of nonconformity 1 - p(class), by key: all, a class, or a group."""

    per: Per
    alpha: float
    limits: dict[str, float]

    def sets(self, probability: ArrayLike, groups: ArrayLike | None = None) -> NDArray[np.bool_]:
        """Return which classes are in the set of each case (cases, classes).

        Raises:
            InputError: A group was not there when the limits were made.
        """
        p = _probabilities(probability)
        if self.per == "class":
            limit = np.array([self.limits[str(k)] for k in range(p.shape[1])])[None, :]
        elif self.per == "group":
            names = np.asarray(groups).astype(str)
            unknown = sorted(set(names) - set(self.limits))
            if unknown:
                raise InputError(f"groups {unknown[:5]}", "expected groups of the calibration cases")
            limit = np.array([self.limits[n] for n in names])[:, None]
        else:
            limit = np.array([[self.limits["all"]]])
        return np.asarray(1 - p <= limit + 1e-12, dtype=np.bool_)


def fit_conformal(
    truth: ArrayLike,
    probability: ArrayLike,
    *,
    alpha: float = 0.1,
    per: Per = "all",
    groups: ArrayLike | None = None,
) -> Conformal:
    """Return split-conformal limits from calibration cases; sets hold the truth in 1 - alpha or more.

    Args:
        truth: (cases,) class numbers from 0.
        probability: (cases, classes).
        alpha: Part that may miss.
        per: One limit for all, for each class, or for each group.
        groups: (cases,) names, for `per="group"`.

    References:
        Vovk, Gammerman, Shafer, Algorithmic Learning in a Random World, 2005; class-conditional: Vovk 2012.
    """
    p, y = _probabilities(probability), np.asarray(truth, dtype=np.intp)
    if y.shape != p.shape[:1] or y.size < 1 or y.min() < 0 or y.max() >= p.shape[1] or not 0 < alpha < 1:
        raise InputError("truth or alpha", "expected class numbers, one a case, and alpha between 0 and 1")
    score = 1 - p[np.arange(y.size), y]
    if per == "all":
        keys = np.full(y.size, "all")
        names = ["all"]
    elif per == "class":
        keys, names = y.astype(str), [str(k) for k in range(p.shape[1])]
    else:
        if groups is None:
            raise InputError("no groups", "limits per group need them")
        keys = np.asarray(groups).astype(str)
        names = sorted(set(keys))
    return Conformal(per, alpha, {name: _limit(score[keys == name], alpha) for name in names})


def _limit(score: Floats, alpha: float) -> float:
    rank = int(np.ceil((score.size + 1) * (1 - alpha)))
    return float("inf") if rank > score.size else float(np.sort(score)[rank - 1])


def _probabilities(probability: ArrayLike) -> Floats:
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim == 1:
        p = np.column_stack([1 - p, p])
    if p.ndim != 2 or not np.isfinite(p).all() or ((p < 0) | (p > 1)).any():
        raise InputError(f"probabilities of shape {p.shape}", "expected (cases, classes) from 0 to 1")
    return p


def coverage(truth: ArrayLike, sets: NDArray[np.bool_]) -> tuple[float, float]:
    """Return the part of sets that hold the truth and their mean size."""
    y = np.asarray(truth, dtype=np.intp)
    return float(sets[np.arange(y.size), y].mean()), float(sets.sum(axis=1).mean())


def selective_risk(wrong: ArrayLike, confidence: ArrayLike) -> tuple[Floats, Floats]:
    """Return coverage and error among the most confident cases, one point a distinct confidence.

    References:
        Geifman, El-Yaniv, NeurIPS 2017.
    """
    bad, sure = np.asarray(wrong, dtype=np.float64), np.asarray(confidence, dtype=np.float64)
    if bad.shape != sure.shape or not bad.size:
        raise InputError(f"{bad.size} errors and {sure.size} confidences", "expected one of each a case")
    order = np.argsort(-sure, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(sure[order]) != 0, True])
    kept = last + 1.0
    return kept / bad.size, np.cumsum(bad[order])[last] / kept


def suspect_labels(truth: ArrayLike, probability: ArrayLike) -> NDArray[np.intp]:
    """Return the cases whose label is likely wrong, worst first (confident learning).

    A case is suspect when its probability of another class reaches the mean probability that cases labelled
    so get, and its own class does not lead. Predictions must come from cases the model was not trained on.

    References:
        Northcutt, Jiang, Chuang, JAIR 70:1373 (2021).
    """
    p, y = _probabilities(probability), np.asarray(truth, dtype=np.intp)
    kinds = np.arange(p.shape[1])
    if y.shape != p.shape[:1] or any(not (y == k).any() for k in kinds):
        raise InputError("labels", "expected one a case, every class present")
    limits = np.array([p[y == k, k].mean() for k in kinds])
    sure = np.where(p >= limits, p, -1.0)
    guess = sure.argmax(axis=1)
    suspect = np.flatnonzero((sure.max(axis=1) > 0) & (guess != y))
    margin = p[suspect, y[suspect]] - p[suspect, guess[suspect]]
    return suspect[np.argsort(margin, kind="stable")]
