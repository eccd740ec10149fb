"""Planning a reader study: power and sample size from a pilot, and the simulation of Roe and Metz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from coread.errors import InputError
from coread.evaluation.mrmc.obuchowski_rockette import Analysis
from coread.evaluation.mrmc.study import ReaderStudy
from coread.evaluation.roc import Areas


@dataclass(frozen=True, slots=True)
class Power:
    """Power of a planned study of two modalities."""

    readers: int
    cases: int
    effect: float
    df2: float
    noncentrality: float
    power: float


def power(
    pilot: Analysis,
    pilot_cases: int,
    *,
    readers: int,
    cases: int,
    effect: float | None = None,
    alpha: float = 0.05,
) -> Power:
    """Return the power of a study from the variance components of a pilot.

    Args:
        pilot: Two modalities, generalising to readers and cases.
        pilot_cases: How many cases it had; covariances shrink with the number of cases.
        readers: Of the planned study.
        cases: Of the planned study, in the same mix of classes.
        effect: Difference to detect; the observed one unless given.
        alpha: Two-sided.

    References:
        Hillis, Obuchowski, Berbaum, Academic Radiology 18:129 (2011).
    """
    if pilot.components is None or len(pilot.figures) != 2 or readers < 2 or cases < 2:
        raise InputError("the pilot or the plan", "expected two modalities, covariances, two readers or more")
    if pilot.components.cov1 is None or pilot.components.interaction is None:
        raise InputError("readers nested in modalities", "expected a pilot with every reader in both")
    c, scale = pilot.components, pilot_cases / cases
    wanted = pilot.differences[0].estimate if effect is None else effect
    extra = scale * max(c.cov2 - c.cov3, 0.0)
    alone = scale * (c.variance - pilot.components.cov1) - extra
    ms_tr = max(pilot.components.interaction, 0.0) + alone
    denominator = ms_tr + readers * extra
    noncentrality = (readers * wanted**2 / 2) / denominator
    df2 = denominator**2 / (ms_tr**2 / (readers - 1))
    limit = float(stats.f.ppf(1 - alpha, 1, df2))
    reached = float(stats.ncf.sf(limit, 1, df2, noncentrality)) if noncentrality > 0 else alpha
    return Power(readers, cases, float(wanted), float(df2), float(noncentrality), reached)


def cases_needed(
    pilot: Analysis,
    pilot_cases: int,
    *,
    readers: int,
    target: float = 0.8,
    effect: float | None = None,
    alpha: float = 0.05,
    most: int = 100_000,
) -> Power | None:
    """Return the smallest number of cases that reaches the target, or None where `most` don't."""
    low, high = 4, most

    def at(cases: int) -> Power:
        return power(pilot, pilot_cases, readers=readers, cases=cases, effect=effect, alpha=alpha)

    if at(high).power < target:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle).power >= target else (middle + 1, high)
    return at(low)


@dataclass(frozen=True, slots=True)
class RoeMetz:
    """Variances of Roe and Metz's model; the four of error and case sum to 1.

    Attributes:
        separation: Mean of diseased minus healthy in each modality.
        reader: Of readers; also within truth.
        modality_reader: Of modality by reader.
        case: Of cases.
        modality_case: Of modality by case.
        reader_case: Of reader by case.
        error: The rest.
    """

    separation: tuple[float, ...]
    reader: float = 0.0055
    modality_reader: float = 0.0055
    case: float = 0.3
    modality_case: float = 0.3
    reader_case: float = 0.2
    error: float = 0.2

    def __post_init__(self) -> None:
        total = self.case + self.modality_case + self.reader_case + self.error
        if abs(total - 1) > 1e-9:
            raise InputError(f"case and error variances sum to {total:g}", "expected 1, as Roe and Metz do")

    def area(self, modality: int) -> float:
        """Return the expected area of a modality."""
        spread = 1 + self.reader + self.modality_reader
        return float(stats.norm.cdf(self.separation[modality] / np.sqrt(2 * spread)))


def roe_metz(
    model: RoeMetz, *, readers: int, diseased: int, healthy: int, rng: np.random.Generator
) -> ReaderStudy:
    """Return a simulated study; every reader reads every case in every modality.

    References:
        Roe, Metz, Academic Radiology 4:298 (1997).
    """
    i, cases = len(model.separation), diseased + healthy
    truth: NDArray[np.bool_] = np.arange(cases) < diseased
    ratings = truth * np.asarray(model.separation)[:, None, None] + np.zeros((i, readers, cases))
    for variance, shape in (
        (model.case, (1, 1, cases)),
        (model.modality_case, (i, 1, cases)),
        (model.reader_case, (1, readers, cases)),
        (model.error, (i, readers, cases)),
    ):
        ratings = ratings + np.sqrt(variance) * rng.normal(size=shape)
    for variance, shape in ((model.reader, (1, readers, 2)), (model.modality_reader, (i, readers, 2))):
        ratings = ratings + (np.sqrt(variance) * rng.normal(size=shape))[:, :, truth.astype(np.intp)]
    names = [tuple(str(k + 1) for k in range(n)) for n in (i, readers, cases)]
    return ReaderStudy(names[0], names[1], names[2], truth, ratings)


def roc_power(area: float, *, cases: int, controls: int, alpha: float = 0.05) -> float:
    """Return the power of the two-sided test of an area against 0.5, with the variance pROC uses.

    References:
        Obuchowski, McClish, Statistics in Medicine 16:1529 (1997).
    """
    return _roc_power(area, float(cases), controls / cases, alpha)


def roc_cases(area: float, *, power: float, ratio: float = 1.0, alpha: float = 0.05) -> float:
    """Return the number of cases for a power; controls are `ratio` times as many."""
    if not 0.5 < area < 1:
        raise InputError(f"area {area:g}", "expected above 0.5 and below 1")
    return float(optimize.brentq(lambda n: _roc_power(area, n, ratio, alpha) - power, 1e-6, 1e9, xtol=1e-10))


def roc_pair_power(
    pilot: Areas, cases: float, pilot_cases: int, *, first: int = 0, second: int = 1, alpha: float = 0.05
) -> float:
    """Return the power of the two-sided test of two curves over the same cases, from a pilot.

    Args:
        pilot: Areas of a pilot with the planned ratio of diseased to healthy cases.
        cases: Planned number of diseased cases.
        pilot_cases: Number of diseased cases in the pilot.
        first: Curve whose variance both have under the null hypothesis.
        second: The other curve.
        alpha: Two-sided.

    References:
        Obuchowski, McClish, Statistics in Medicine 16:1529 (1997), with DeLong's variances as pROC does.
    """
    effect, null, other = _pair(pilot, pilot_cases, first, second)
    limit = float(stats.norm.ppf(1 - alpha / 2)) * null
    return float(stats.norm.cdf((np.sqrt(cases) * effect - limit) / other))


def roc_pair_cases(
    pilot: Areas,
    pilot_cases: int,
    *,
    power: float,
    first: int = 0,
    second: int = 1,
    alpha: float = 0.05,
) -> float:
    """Return the number of diseased cases for a power; arguments as `roc_pair_power`.

    Raises:
        InputError: The power is not between 0 and 1, or the areas are equal.
    """
    if not 0 < power < 1:
        raise InputError(f"power {power:g}", "expected between 0 and 1")
    effect, null, other = _pair(pilot, pilot_cases, first, second)
    z_alpha, z_beta = float(stats.norm.ppf(1 - alpha / 2)), float(stats.norm.ppf(power))
    return float(((z_alpha * null + z_beta * other) / effect) ** 2)


def _pair(pilot: Areas, cases: int, first: int, second: int) -> tuple[float, float, float]:
    """Return the difference, and the deviations a case under the null and the alternative hypothesis."""
    c = pilot.covariance * cases
    effect = abs(float(pilot.area[first] - pilot.area[second]))
    null = 2 * float(c[first, first] - c[first, second])
    other = float(c[first, first] + c[second, second] - 2 * c[first, second])
    if effect == 0 or min(null, other) <= 0:
        raise InputError("two curves that do not differ", "expected areas that differ in the pilot")
    return effect, float(np.sqrt(null)), float(np.sqrt(other))


def _roc_power(area: float, cases: float, ratio: float, alpha: float) -> float:
    limit = float(stats.norm.ppf(1 - alpha / 2)) * np.sqrt(_variance_function(0.5, ratio))
    z = (np.sqrt(cases) * (area - 0.5) - limit) / np.sqrt(_variance_function(area, ratio))
    return float(stats.norm.cdf(z))


def _variance_function(area: float, ratio: float) -> float:
    a = float(stats.norm.ppf(area)) * 1.414
    return float(0.0099 * np.exp(-(a**2) / 2) * ((5 * a**2 + 8) + (a**2 + 8) / ratio))
