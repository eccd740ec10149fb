"""Recalibration: fitted on one split, applied to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from coread.errors import InputError
from coread.evaluation.calibration import CLIP, expit, logistic_fit, logit
from coread.evaluation.roc import check_truth
from coread.evaluation.utility import check_probabilities

Floats = NDArray[np.float64]
Kind = Literal["temperature", "platt", "isotonic", "beta"]


@dataclass(frozen=True, slots=True, eq=False)
class Recalibration:
    """A map of probabilities to probabilities.

    Attributes:
        kind: Of the map.
        values: Temperature; intercept and slope of the log odds; intercept and slopes of log p and
            -log(1 - p); or the fitted steps.
        knots: Of the isotonic map, else empty.
    """

    kind: Kind
    values: Floats
    knots: Floats

    def apply(self, probability: ArrayLike) -> Floats:
        """Return recalibrated probabilities."""
        p = np.asarray(probability, dtype=np.float64)
        check_probabilities(p, p.size)
        match self.kind:
            case "temperature":
                return expit(logit(p) / self.values[0])
            case "platt":
                return expit(self.values[0] + self.values[1] * logit(p))
            case "beta":
                return expit(_beta_design(p) @ self.values)
            case "isotonic":
                return np.asarray(np.interp(p, self.knots, self.values), dtype=np.float64)


def fit_recalibration(truth: ArrayLike, probability: ArrayLike, kind: Kind = "platt") -> Recalibration:
    """Return the map that calibrates these probabilities best.

    References:
        Temperature: Guo et al., ICML 2017. Platt 1999. Isotonic: Zadrozny, Elkan, KDD 2002. Beta: Kull, Silva
        Filho, Flach, AISTATS 2017.
    """
    sick = check_truth(truth)
    p = check_probabilities(probability, sick.size)
    none = np.zeros(0)
    match kind:
        case "temperature":
            x = logit(p)

            def slope(s: float) -> float:
                return float((x * (sick - expit(s * x))).sum())

            if slope(0.0) <= 0 or slope(1e3) >= 0:
                raise InputError("no positive temperature fits", "expected predictions that rank and overlap")
            return Recalibration(kind, np.array([1 / optimize.brentq(slope, 0.0, 1e3, xtol=1e-14)]), none)
        case "platt":
            beta, _ = logistic_fit(np.column_stack([np.ones(p.size), logit(p)]), sick)
            return Recalibration(kind, beta, none)
        case "beta":
            beta, _ = logistic_fit(_beta_design(p), sick)
            return Recalibration(kind, beta, none)
        case "isotonic":
            knots, index = np.unique(p, return_inverse=True)
            count = np.bincount(index).astype(np.float64)
            mean = np.bincount(index, weights=sick) / count
            fitted = optimize.isotonic_regression(mean, weights=count).x
            return Recalibration(kind, np.asarray(fitted, dtype=np.float64), knots)
    raise InputError(f"kind {kind!r}", "expected temperature, platt, isotonic or beta")


def _beta_design(p: Floats) -> Floats:
    q = np.clip(p, CLIP, 1 - CLIP)
    return np.column_stack([np.ones(q.size), np.log(q), -np.log1p(-q)])
