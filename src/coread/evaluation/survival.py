"""Discrimination and accuracy of survival predictions under censoring, with the conventions of R.

At equal times deaths come before censorings: the censoring distribution G is estimated with the deaths of
that moment taken out of its risk set, and a death at t is weighted by G just before t (G(t-)). Packages that
take G(t) instead differ where times are tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def check_survival(time: ArrayLike, event: ArrayLike) -> tuple[Floats, Bools]:
    """Return times and events as arrays.

    Raises:
        InputError: Times that are negative or missing, or events that are not 0 or 1 (rows are named).
    """
    t = np.asarray(time, dtype=np.float64)
    e = np.asarray(event)
    if t.ndim != 1 or e.shape != t.shape or not t.size:
        raise InputError(f"times of shape {t.shape} and events of {e.shape}", "expected one of each a case")
    wrong = np.flatnonzero(~np.isfinite(t) | (t < 0)) + 1
    if wrong.size:
        raise InputError(f"times in rows {wrong[:10].tolist()}", "expected finite times from 0 on")
    numbers = e.astype(np.float64)
    wrong = np.flatnonzero((numbers != 0) & (numbers != 1)) + 1
    if wrong.size:
        raise InputError(f"events in rows {wrong[:10].tolist()}", "expected 0 (censored) or 1 (event)")
    return t, np.asarray(numbers == 1, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class StepFunction:
    """A function that starts at `start` and steps at `times` to `values`."""

    times: Floats
    values: Floats
    start: float = 1.0

    def at(self, t: ArrayLike) -> Floats:
        """Return the value at each time, steps at that time included."""
        return self._value(np.searchsorted(self.times, np.asarray(t, dtype=np.float64), side="right"))

    def before(self, t: ArrayLike) -> Floats:
        """Return the value just before each time."""
        return self._value(np.searchsorted(self.times, np.asarray(t, dtype=np.float64), side="left"))

    def _value(self, index: NDArray[np.intp]) -> Floats:
        return np.asarray(np.r_[self.start, self.values][index], dtype=np.float64)


def kaplan_meier(time: ArrayLike, event: ArrayLike) -> StepFunction:
    """Return the Kaplan-Meier estimate of survival."""
    t, e = check_survival(time, event)
    return _product_limit(t, e, e * 0)


def kaplan_meier_limits(
    time: ArrayLike, event: ArrayLike, *, level: float = 0.95
) -> tuple[StepFunction, StepFunction]:
    """Return the pointwise lower and upper limit of the Kaplan-Meier estimate, on the logarithm as in R.

    References:
        Greenwood, Reports on Public Health and Medical Subjects 33:1 (1926); Kalbfleisch, Prentice (2002).
    """
    t, e = check_survival(time, event)
    times, index, count = np.unique(t, return_inverse=True, return_counts=True)
    deaths = np.bincount(index, weights=e, minlength=times.size)
    at_risk = t.size - np.r_[0, np.cumsum(count)[:-1]]
    left = at_risk - deaths
    terms = np.divide(deaths, at_risk * left, out=np.full(times.size, np.inf), where=left > 0)
    half = float(stats.norm.ppf(0.5 + level / 2)) * np.sqrt(np.cumsum(np.where(deaths > 0, terms, 0.0)))
    values = kaplan_meier(t, e).values
    with np.errstate(invalid="ignore"):
        low, high = (np.nan_to_num(values * np.exp(sign * half)) for sign in (-1, 1))
    return StepFunction(times, low), StepFunction(times, np.minimum(np.where(values > 0, high, 0.0), 1.0))


def censoring_distribution(time: ArrayLike, event: ArrayLike) -> StepFunction:
    """Return the Kaplan-Meier estimate of being uncensored, deaths before censorings at equal times."""
    t, e = check_survival(time, event)
    return _product_limit(t, ~e, e)


def _product_limit(t: Floats, steps: Bools, leave_first: Bools | NDArray[np.int_]) -> StepFunction:
    times, index = np.unique(t, return_inverse=True)
    count = np.bincount(index, minlength=times.size)
    stepping = np.bincount(index, weights=steps, minlength=times.size)
    leaving = np.bincount(index, weights=np.asarray(leave_first, dtype=np.float64), minlength=times.size)
    at_risk = t.size - np.r_[0, np.cumsum(count)[:-1]] - leaving
    kept = np.divide(stepping, at_risk, out=np.zeros(times.size), where=at_risk > 0)
    return StepFunction(times, np.cumprod(1.0 - kept))


@dataclass(frozen=True, slots=True)
class Concordance:
    """A concordance index: (concordant + half of the tied) / comparable."""

    value: float
    concordant: float
    discordant: float
    tied: float


def harrell(time: ArrayLike, event: ArrayLike, risk: ArrayLike) -> Concordance:
    """Return Harrell's C: a higher risk should die earlier.

    A death is compared with everyone who lives longer and with those censored at the same time; tied risks
    count half.

    References:
        Harrell et al., Statistics in Medicine 15:361 (1996).
    """
    t, e = check_survival(time, event)
    return _concordance(t, e, _check_risk(risk, t), np.ones(t.size))


def uno(time: ArrayLike, event: ArrayLike, risk: ArrayLike, *, horizon: float | None = None) -> Concordance:
    """Return Uno's C: pairs of a death at t weigh 1 / G(t-)^2.

    Args:
        time: (cases,).
        event: (cases,) of 0 and 1.
        risk: (cases,); higher dies earlier.
        horizon: Deaths at or after it don't count; None for no limit (R's default).

    References:
        Uno et al., Statistics in Medicine 30:1105 (2011).
    """
    t, e = check_survival(time, event)
    g = censoring_distribution(t, e).before(t)
    weight = np.divide(1.0, g**2, out=np.zeros(t.size), where=g > 0)
    if horizon is not None:
        weight = np.where(t < horizon, weight, 0.0)
    return _concordance(t, e, _check_risk(risk, t), weight)


def _check_risk(risk: ArrayLike, t: Floats) -> Floats:
    r = np.asarray(risk, dtype=np.float64)
    if r.shape != t.shape or not np.isfinite(r).all():
        raise InputError(f"risks of shape {r.shape}", f"expected {t.size} finite numbers, one a case")
    return r


def _concordance(t: Floats, e: Bools, risk: Floats, weight: Floats) -> Concordance:
    """Count pairs in O(n log n)."""
    below, same, alive = _outlived(t, e, risk)
    concordant, tied = float(weight @ below), float(weight @ same)
    discordant = float(weight @ (alive - below - same))
    total = concordant + discordant + tied
    if total == 0:
        raise InputError("no two cases can be compared", "expected a death with somebody who lived longer")
    return Concordance((concordant + 0.5 * tied) / total, concordant, discordant, tied)


def _outlived(t: Floats, e: Bools, risk: Floats) -> tuple[Floats, Floats, Floats]:
    """Return for every death who lived longer: with less risk, with the same, in all; 0 for the censored."""
    ranks = np.unique(risk, return_inverse=True)[1].tolist()
    below, same, alive = np.zeros((3, t.size))
    tree = _Sums(max(ranks) + 1)
    dead = e.tolist()
    for group in _times(t)[::-1]:
        for c in group:
            if not dead[c]:
                tree.add(ranks[c], 1.0)
        for c in group:
            if dead[c]:
                below[c], same[c], alive[c] = tree.below(ranks[c]), tree.single[ranks[c]], tree.total
        for c in group:
            if dead[c]:
                tree.add(ranks[c], 1.0)
    return below, same, alive


def _died_before(t: Floats, e: Bools, risk: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Return for every case the weight of earlier deaths: with less risk, with the same, in all."""
    ranks = np.unique(risk, return_inverse=True)[1].tolist()
    below, same, every = np.zeros((3, t.size))
    tree = _Sums(max(ranks) + 1)
    dead, weights = e.tolist(), weight.tolist()

    def look(c: int) -> None:
        below[c], same[c], every[c] = tree.below(ranks[c]), tree.single[ranks[c]], tree.total

    for group in _times(t):
        for c in group:
            if dead[c]:
                look(c)
        for c in group:
            if dead[c]:
                tree.add(ranks[c], weights[c])
        for c in group:  # a censoring comes after the deaths of its moment
            if not dead[c]:
                look(c)
    return below, same, every


def _times(t: Floats) -> list[list[int]]:
    """Return the cases of each time, times rising."""
    order = np.argsort(t, kind="stable")
    cuts = np.flatnonzero(np.diff(t[order])) + 1
    return [part.tolist() for part in np.split(order, cuts)]


class _Sums:
    """Sums by rank that grow: adding and summing up to a rank take logarithmic time (Fenwick 1994)."""

    def __init__(self, size: int) -> None:
        self.tree = [0.0] * (size + 1)
        self.single = [0.0] * size
        self.total = 0.0

    def add(self, rank: int, value: float) -> None:
        self.single[rank] += value
        self.total += value
        tree, size, i = self.tree, len(self.tree), rank + 1
        while i < size:
            tree[i] += value
            i += i & -i

    def below(self, rank: int) -> float:
        """Return the sum of lower ranks."""
        tree, total, i = self.tree, 0.0, rank
        while i:
            total += tree[i]
            i &= i - 1
        return total


def time_dependent_auc(time: ArrayLike, event: ArrayLike, risk: ArrayLike, horizons: ArrayLike) -> Floats:
    """Return the cumulative/dynamic area at each horizon.

    Cases are deaths by the horizon, weighing 1 / G(t-); controls live longer.

    References:
        Blanche, Dartigues, Jacqmin-Gadda, Statistics in Medicine 32:5381 (2013).
    """
    t, e = check_survival(time, event)
    pairs = _pairs(t, e, _check_risk(risk, t), horizons)
    return np.asarray([p.area for p in pairs])


def time_dependent_auc_se(time: ArrayLike, event: ArrayLike, risk: ArrayLike, horizons: ArrayLike) -> Floats:
    """Return the standard error of each time-dependent area, by its influence function.

    That the censoring distribution was estimated is taken into account.

    References:
        Blanche, Dartigues, Jacqmin-Gadda, Statistics in Medicine 32:5381 (2013).
    """
    t, e = check_survival(time, event)
    found = []
    for p in _pairs(t, e, _check_risk(risk, t), horizons):
        scale = t.size / (p.weight.sum() * p.control.sum())
        cases = scale * p.weight * (p.below - p.area * p.control.sum())
        influence = cases + scale * p.control * (p.above - p.area * p.weight.sum())
        influence += _censoring_influence(t, e, p.horizon, cases)
        found.append(_standard_error(influence))
    return np.asarray(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Cases and controls at a horizon: (cases,) each."""

    horizon: float
    weight: Floats  # of a case, 0 for others
    control: Bools
    below: Floats  # controls with less risk than a case, ties counting half
    above: Floats  # weight of cases with more risk than a control
    area: float


def _pairs(t: Floats, e: Bools, r: Floats, horizons: ArrayLike) -> list[_Pairs]:
    g = censoring_distribution(t, e).before(t)
    found = []
    for horizon in np.atleast_1d(np.asarray(horizons, dtype=np.float64)):
        case, control = e & (t <= horizon), t > horizon
        if not case.any() or not control.any():
            raise InputError(f"horizon {horizon:g}", "expected deaths before and survivors after it")
        weight = np.divide(1.0, g, out=np.zeros(t.size), where=case)
        others = np.sort(r[control])
        below = (
            case * (np.searchsorted(others, r, side="left") + np.searchsorted(others, r, side="right")) / 2
        )
        order = np.argsort(r[case], kind="stable")
        sums = np.r_[0.0, np.cumsum(weight[case][order])]
        ranked = r[case][order]
        least, most = np.searchsorted(ranked, r, side="left"), np.searchsorted(ranked, r, side="right")
        above = control * (sums[-1] - (sums[least] + sums[most]) / 2)
        area = float((weight * below).sum() / (weight.sum() * others.size))
        found.append(_Pairs(float(horizon), weight, control, below, above, area))
    return found


def _censoring_influence(t: Floats, e: Bools, horizon: float, weighted: Floats) -> Floats:
    """Return what each case adds to a weighted mean by its part in the estimated censoring distribution.

    Args:
        t: (cases,) times.
        e: (cases,) events.
        horizon: Censorings after it don't matter.
        weighted: (cases,) terms of the mean, each with its weight.
    """
    times, censored = np.unique(t[~e & (t <= horizon)], return_counts=True)
    by_time = np.argsort(t, kind="stable")
    later = np.r_[np.cumsum(weighted[by_time][::-1])[::-1], 0.0]
    beyond = later[np.searchsorted(t[by_time], times, side="right")]
    at_risk = t.size - np.searchsorted(t[by_time], times, side="left")
    share = beyond / at_risk
    expected = np.r_[0.0, np.cumsum(share * censored / at_risk)]
    influence = -expected[np.searchsorted(times, t, side="right")]
    own = ~e & (t <= horizon)
    influence[own] += share[np.searchsorted(times, t[own])]
    return np.asarray(influence)


def _standard_error(influence: Floats) -> float:
    return float(influence.std(ddof=1) / np.sqrt(influence.size))


def brier(time: ArrayLike, event: ArrayLike, survival: ArrayLike, horizons: ArrayLike) -> Floats:
    """Return the Brier score at each horizon with inverse-probability-of-censoring weights.

    Args:
        time: (cases,).
        event: (cases,) of 0 and 1.
        survival: (cases, horizons) predicted probabilities of living beyond each horizon.
        horizons: (horizons,).

    References:
        Graf et al., Statistics in Medicine 18:2529 (1999).
    """
    t, e = check_survival(time, event)
    return np.asarray(_losses(t, e, survival, horizons).mean(axis=0))


def brier_se(time: ArrayLike, event: ArrayLike, survival: ArrayLike, horizons: ArrayLike) -> Floats:
    """Return the standard error of each Brier score by its influence function, arguments as `brier`.

    That the censoring distribution was estimated is taken into account; the prediction is taken as given.

    References:
        Gerds, Schumacher, Biometrical Journal 48:1029 (2006).
    """
    t, e = check_survival(time, event)
    times = np.atleast_1d(np.asarray(horizons, dtype=np.float64))
    losses = _losses(t, e, survival, times)
    return np.asarray(
        [
            _standard_error(loss + _censoring_influence(t, e, float(horizon), loss))
            for horizon, loss in zip(times, losses.T, strict=True)
        ]
    )


def _losses(t: Floats, e: Bools, survival: ArrayLike, horizons: ArrayLike) -> Floats:
    """Return (cases, horizons) weighted squared errors."""
    times = np.atleast_1d(np.asarray(horizons, dtype=np.float64))
    s = np.asarray(survival, dtype=np.float64).reshape(t.size, -1)
    if s.shape[1] != times.size or ((s < 0) | (s > 1)).any():
        raise InputError(f"survival of shape {s.shape}", f"expected probabilities, {times.size} a case")
    g = censoring_distribution(t, e)
    before, at = g.before(t), g.at(times)
    found = np.empty(s.shape)
    for k, horizon in enumerate(times):
        if at[k] <= 0:
            raise InputError(f"nobody is followed up to {horizon:g}", "expected an earlier horizon")
        dead, alive = e & (t <= horizon), t > horizon
        weight = np.divide(1.0, before, out=np.zeros(t.size), where=dead)
        found[:, k] = dead * weight * s[:, k] ** 2 + alive * (1 - s[:, k]) ** 2 / at[k]
    return found


def integrated_brier(horizons: ArrayLike, scores: ArrayLike, *, rule: str = "left-step") -> float:
    """Return the integral of Brier scores over the horizons, divided by the last one.

    Args:
        horizons: (times,), rising.
        scores: (times,).
        rule: ``left-step``: each score holds from its time to the next, 0 before the first (riskRegression's
            rule); ``trapezium``: straight lines between the times, divided by their span.
    """
    t, b = np.asarray(horizons, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if t.shape != b.shape or t.ndim != 1 or (np.diff(t) <= 0).any():
        raise InputError("horizons and scores", "expected as many scores as rising horizons")
    match rule:
        case "left-step":
            return float((b[:-1] * np.diff(t)).sum() / t[-1])
        case "trapezium":
            return float(np.trapezoid(b, t) / (t[-1] - t[0]))
    raise InputError(f"rule {rule!r}", "expected left-step or trapezium")


def concordance_se(
    time: ArrayLike, event: ArrayLike, risk: ArrayLike, *, index: Literal["harrell", "uno"] = "harrell"
) -> float:
    """Return the standard error of a concordance index by the infinitesimal jackknife, as R does.

    The weights of Uno's index are taken as known.

    References:
        Therneau, Watson, The concordance statistic and the Cox model, Mayo Clinic report 85 (2015).
    """
    t, e = check_survival(time, event)
    r, n = _check_risk(risk, t), t.size
    weight = np.ones(n)
    if index == "uno":
        g = censoring_distribution(t, e).before(t)
        weight = np.divide(1.0, g**2, out=np.zeros(n), where=g > 0)
    below, same, alive = _outlived(t, e, r)
    less, equal, every = _died_before(t, e, r, weight)
    good = weight * (below + same / 2) + every - less - equal / 2
    pairs = weight * alive + every
    if pairs.sum() == 0:
        raise InputError("no two cases can be compared", "expected a death with somebody who lived longer")
    value = good.sum() / pairs.sum()
    influence = (good - value * pairs) / (pairs.sum() / 2)
    return float(np.sqrt((influence**2).sum()))


def calibration_at(
    time: ArrayLike, event: ArrayLike, survival: ArrayLike, horizon: float, *, groups: int = 10
) -> tuple[Floats, Floats]:
    """Return mean predicted and Kaplan-Meier survival at a horizon, in groups of equal count by prediction.

    Raises:
        InputError: Predictions are no probabilities, or there are fewer than two groups.
    """
    t, e = check_survival(time, event)
    s = _check_risk(survival, t)
    if ((s < 0) | (s > 1)).any() or groups < 2:
        raise InputError("survival or groups", "expected probabilities from 0 to 1 and two groups or more")
    bins = np.searchsorted(np.quantile(s, np.arange(1, groups) / groups), s, side="left")
    kept = np.unique(bins)
    observed = [float(kaplan_meier(t[bins == b], e[bins == b]).at(horizon)) for b in kept]
    return np.array([s[bins == b].mean() for b in kept]), np.array(observed)
