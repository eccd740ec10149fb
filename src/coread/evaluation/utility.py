"""Decision curves: net benefit of acting on a prediction, for a binary outcome or a survival time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coread.errors import InputError
from coread.evaluation.roc import check_scores, check_truth
from coread.evaluation.survival import check_survival, kaplan_meier

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class DecisionCurve:
    """Net benefit at each threshold probability.

    Attributes:
        thresholds: (n,).
        positive_rate: (n,) part of all cases in whom one acts.
        true_rate: (n,) part of all cases acted on that have the outcome.
        false_rate: (n,) part of all cases acted on that do not.
        net_benefit: (n,) true_rate - false_rate * odds of the threshold.
    """

    thresholds: Floats
    positive_rate: Floats
    true_rate: Floats
    false_rate: Floats
    net_benefit: Floats

    def avoided(self, treat_all: DecisionCurve) -> Floats:
        """Return interventions avoided a case against treating all, without missing one more."""
        odds = self.thresholds / (1 - self.thresholds)
        return np.asarray((self.net_benefit - treat_all.net_benefit) / odds, dtype=np.float64)


def decision_curve(truth: ArrayLike, probability: ArrayLike, thresholds: ArrayLike) -> DecisionCurve:
    """Return the decision curve of a prediction of a binary outcome; one acts at or above the threshold.

    A probability of 1 for everybody gives "treat all", 0 "treat none".

    References:
        Vickers, Elkin, Medical Decision Making 26:565 (2006).
    """
    sick = check_truth(truth)
    p = check_probabilities(probability, sick.size)
    t = _check_thresholds(thresholds)
    act = p[None, :] >= t[:, None]
    return _curve(t, (act & sick).mean(axis=1), (act & ~sick).mean(axis=1), act.mean(axis=1))


def survival_decision_curve(
    time: ArrayLike, event: ArrayLike, probability: ArrayLike, thresholds: ArrayLike, horizon: float
) -> DecisionCurve:
    """Return the decision curve of a predicted risk by a horizon, under censoring.

    Among those in whom one acts the risk is the Kaplan-Meier estimate at the horizon.

    References:
        Vickers et al., BMC Medical Informatics and Decision Making 8:53 (2008).
    """
    times, events = check_survival(time, event)
    p = check_probabilities(probability, times.size)
    t = _check_thresholds(thresholds)
    positive, true = np.zeros(t.size), np.zeros(t.size)
    for k, threshold in enumerate(t):
        act = p >= threshold
        positive[k] = act.mean()
        if act.any():
            true[k] = (1.0 - float(kaplan_meier(times[act], events[act]).at(horizon))) * positive[k]
    return _curve(t, true, positive - true, positive)


def check_probabilities(probability: ArrayLike, count: int) -> Floats:
    """Return probabilities as (cases,) float64.

    Raises:
        InputError: Another number of cases, or values outside 0 to 1 (rows are named).
    """
    p = check_scores(probability, count)[:, 0]
    wrong = np.flatnonzero((p < 0) | (p > 1)) + 1
    if wrong.size:
        raise InputError(f"probabilities outside 0 to 1 in rows {wrong[:10].tolist()}", "expected 0 to 1")
    return p


def _check_thresholds(thresholds: ArrayLike) -> Floats:
    t = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if ((t <= 0) | (t >= 1)).any():
        raise InputError(f"thresholds {t[(t <= 0) | (t >= 1)].tolist()}", "expected between 0 and 1")
    return t


def _curve(t: Floats, true: Floats, false: Floats, positive: Floats) -> DecisionCurve:
    return DecisionCurve(t, positive, true, false, true - false * t / (1 - t))
