"""The analysis of Obuchowski and Rockette with the degrees of freedom of Hillis."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import AnalysisError, InputError
from coread.evaluation.mrmc.covariance import Method, covariance
from coread.evaluation.mrmc.study import ReaderStudy

Floats = NDArray[np.float64]
Fixed = Literal["none", "readers", "cases"]
Design = Literal["every reader in every modality", "readers nested in modalities"]


@dataclass(frozen=True, slots=True)
class Components:
    """Covariances of the figures of merit over cases, and variance components of readers.

    Attributes:
        variance: Mean variance of a reader in a modality.
        cov1: Same reader, other modality; None where readers are nested in modalities.
        cov2: Other reader, same modality.
        cov3: Other reader, other modality.
        reader: Variance component of readers (within modalities where nested); may be negative.
        interaction: Of reader by modality; may be negative. None where nested.
    """

    variance: float
    cov1: float | None
    cov2: float
    cov3: float
    reader: float
    interaction: float | None


@dataclass(frozen=True, slots=True)
class Test:
    """The test that all modalities are equal: ``F``, or ``chi-square`` where `df2` is None."""

    name: str
    statistic: float
    df1: float
    df2: float | None
    p: float
    denominator: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """One modality against another, or one modality alone (`second` is None).

    Attributes:
        first: Name of a modality.
        second: Name of the other, or None.
        reader: Name of a reader for the contrasts of fixed readers, or None.
        estimate: Difference, or the mean figure of merit.
        se: Standard error.
        df: Degrees of freedom, or None for the normal.
        p: Two-sided, of the difference; None for a mean.
        interval: Of the estimate.
    """

    first: str
    second: str | None
    reader: str | None
    estimate: float
    se: float
    df: float | None
    p: float | None
    interval: Interval


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What the analysis says.

    Attributes:
        design: How readers and modalities are crossed.
        figures: (modalities, readers) figures of merit; NaN where nested readers did not read.
        method: Of the covariance.
        fixed: What the conclusion is limited to: these readers, these cases, or nothing.
        components: None where cases are fixed.
        mean_squares: ``T``, ``R``, ``TR``; or ``T``, ``R(T)`` where readers are nested.
        test: That all modalities are equal.
        differences: Every pair of modalities.
        means: Every modality alone.
        by_reader: For fixed readers, every pair of modalities within each reader.
    """

    design: Design
    figures: Floats
    method: str
    fixed: Fixed
    components: Components | None
    mean_squares: dict[str, float]
    test: Test
    differences: tuple[Contrast, ...]
    means: tuple[Contrast, ...]
    by_reader: tuple[Contrast, ...]


def analyse(
    study: ReaderStudy, *, method: Method = "delong", fixed: Fixed = "none", level: float = 0.95
) -> Analysis:
    """Return the analysis of the areas under the curves.

    Args:
        study: Every reader in every modality, or every reader in one of them (readers nested in modalities);
            readings of single cases may be missing, and cases may be nested in readers, groups of readers or
            modalities.
        method: How the covariance over cases is estimated.
        fixed: ``none`` generalises to readers and cases, ``readers`` to cases only, ``cases`` to readers
            only.
        level: Of the intervals.

    References:
        Obuchowski, Rockette, Communications in Statistics 24:285 (1995); Hillis, Statistics in Medicine
        26:596 (2007); readers nested in modalities: Hillis, Statistics in Medicine 33:330 (2014).
    """
    figures, cov = covariance(study, method)
    return analyse_figures(
        figures, cov, study.modalities, study.readers, method=method, fixed=fixed, level=level
    )


def analyse_figures(
    figures: Floats,
    cov: Floats,
    modalities: tuple[str, ...],
    readers: tuple[str, ...],
    *,
    method: str,
    fixed: Fixed = "none",
    level: float = 0.95,
) -> Analysis:
    """Return the analysis of any figure of merit.

    Args:
        figures: (modalities, readers).
        cov: (modalities x readers, modalities x readers) covariance over cases.
        modalities: Names.
        readers: Names.
        method: Words for the covariance.
        fixed: As in `analyse`.
        level: Of the intervals.
    """
    i, j = figures.shape
    if i < 2:
        raise InputError(f"{i} modality", "a comparison needs two or more", "look at the modality alone")
    read = ~np.isnan(figures)
    if not read.all():
        _check_nested(read, modalities, readers)
        return _analyse_nested(figures, cov, modalities, method=method, fixed=fixed, level=level)
    if j < 2 and fixed != "readers":
        raise InputError(f"{j} reader", "readers can't be a sample of one", "give --fixed readers")
    squares = mean_squares(figures)
    comps = components(figures, cov)
    extra = max(comps.cov2 - comps.cov3, 0.0)
    if fixed == "none":
        denominator = squares["TR"] + j * extra
        test = _f_test(squares["T"], denominator, i - 1, _hillis_df(denominator, squares["TR"], i, j))
    elif fixed == "cases":
        denominator = squares["TR"]
        test = _f_test(squares["T"], denominator, i - 1, (i - 1) * (j - 1))
    else:
        denominator = comps.variance - (comps.cov1 or 0.0) + (j - 1) * extra
        test = _chi_test((i - 1) * squares["T"], denominator, i - 1)
    se = float(np.sqrt(2 * test.denominator / j))
    means = figures.mean(axis=1)
    differences = tuple(
        _contrast(modalities[a], modalities[b], None, means[a] - means[b], se, test.df2, level)
        for a, b in combinations(range(i), 2)
    )
    return Analysis(
        design="every reader in every modality",
        figures=figures,
        method=method,
        fixed=fixed,
        components=None if fixed == "cases" else comps,
        mean_squares=squares,
        test=test,
        differences=differences,
        means=tuple(mean_figure(figures, cov, k, modalities[k], fixed, level) for k in range(i)),
        by_reader=_by_reader(figures, cov, modalities, readers, level) if fixed == "readers" else (),
    )


def _check_nested(read: NDArray[np.bool_], modalities: tuple[str, ...], readers: tuple[str, ...]) -> None:
    if (read.sum(axis=0) == 1).all():
        return
    lacking = [
        f"reader {readers[r]} read nothing in {modalities[m]}"
        for r in range(len(readers))
        for m in range(len(modalities))
        if not read[m, r]
    ]
    raise InputError(
        "; ".join(lacking[:5]) + (f"; and {len(lacking) - 5} more" if len(lacking) > 5 else ""),
        "the Obuchowski-Rockette analysis needs every reader in every modality, or every reader in one",
        "leave these readers out, or use U-statistics",
    )


def _analyse_nested(
    figures: Floats, cov: Floats, modalities: tuple[str, ...], *, method: str, fixed: Fixed, level: float
) -> Analysis:
    """Return the analysis of readers nested in modalities.

    With unequal numbers of readers their harmonic mean stands for the number; for two modalities that is
    the variance of the difference itself.
    """
    read = ~np.isnan(figures)
    count = read.sum(axis=1).astype(np.float64)
    i, rest = len(modalities), float(count.sum()) - len(modalities)
    if rest < 1 and fixed != "readers":
        raise InputError(
            "one reader in each modality", "readers can't be a sample of one", "say fixed readers"
        )
    means = np.nanmean(figures, axis=1)
    within = float(np.nansum((figures - means[:, None]) ** 2) / rest) if rest else float("nan")
    modality = np.nonzero(read)[0]
    c = cov[np.ix_(read.ravel(), read.ravel())]
    same = modality[:, None] == modality[None, :]
    other = ~np.eye(len(modality), dtype=bool)
    variance, cov3 = float(np.diag(c).mean()), float(c[~same].mean())
    cov2 = float(c[same & other].mean()) if (same & other).any() else 0.0
    extra = max(cov2 - cov3, 0.0)

    def denominator(readers: float) -> float:
        if fixed == "readers":
            return variance - cov3 + (readers - 1) * extra
        return within + (readers * extra if fixed == "none" else 0.0)

    def df(value: float) -> float | None:
        return None if fixed == "readers" else value**2 / (within**2 / rest) if within > 0 else float("inf")

    everyone = float(i / (1 / count).sum())
    ms_t = float(everyone * ((means - means.mean()) ** 2).sum() / (i - 1))
    total = denominator(everyone)
    if fixed == "readers":
        test = _chi_test((i - 1) * ms_t, total, i - 1)
    else:
        test = _f_test(ms_t, total, i - 1, df(total) or float("inf"))
    differences = []
    for a, b in combinations(range(i), 2):
        pair = float(2 / (1 / count[a] + 1 / count[b]))
        value = denominator(pair)
        se = float(np.sqrt(2 * value / pair))
        differences.append(
            _contrast(modalities[a], modalities[b], None, means[a] - means[b], se, df(value), level)
        )
    return Analysis(
        design="readers nested in modalities",
        figures=figures,
        method=method,
        fixed=fixed,
        components=None
        if fixed == "cases"
        else Components(variance, None, cov2, cov3, within - variance + cov2, None),
        mean_squares={"T": ms_t, "R(T)": within},
        test=test,
        differences=tuple(differences),
        means=tuple(mean_figure(figures, cov, k, modalities[k], fixed, level) for k in range(i)),
        by_reader=(),
    )


def mean_squares(figures: Floats) -> dict[str, float]:
    """Return the mean squares of modalities (T), readers (R) and their interaction (TR)."""
    i, j = figures.shape
    by_modality = figures.mean(axis=1, keepdims=True)
    by_reader = figures.mean(axis=0, keepdims=True)
    grand = figures.mean()
    rest = figures - by_modality - by_reader + grand
    return {
        "T": float(j * ((by_modality - grand) ** 2).sum() / (i - 1)),
        "R": float(i * ((by_reader - grand) ** 2).sum() / (j - 1)) if j > 1 else float("nan"),
        "TR": float((rest**2).sum() / ((i - 1) * (j - 1))) if j > 1 else float("nan"),
    }


def components(figures: Floats, cov: Floats) -> Components:
    """Return the four mean covariances and the variance components of readers."""
    i, j = figures.shape
    c = cov.reshape(i, j, i, j)
    same_modality = np.eye(i, dtype=bool)[:, None, :, None]
    same_reader = np.eye(j, dtype=bool)[None, :, None, :]

    def mean(which: NDArray[np.bool_]) -> float:
        chosen = np.broadcast_to(which, c.shape)
        return float(c[chosen].mean()) if chosen.any() else 0.0

    variance, cov1 = mean(same_modality & same_reader), mean(~same_modality & same_reader)
    cov2, cov3 = mean(same_modality & ~same_reader), mean(~same_modality & ~same_reader)
    squares = mean_squares(figures)
    return Components(
        variance,
        cov1,
        cov2,
        cov3,
        reader=(squares["R"] - squares["TR"]) / i - cov1 + cov3,
        interaction=squares["TR"] - variance + cov1 + max(cov2 - cov3, 0.0),
    )


def _hillis_df(denominator: float, ms_tr: float, i: int, j: int) -> float:
    if ms_tr <= 0:
        raise AnalysisError("readers do not vary at all", "expected readers that differ")
    return denominator**2 / (ms_tr**2 / ((i - 1) * (j - 1)))


def _f_test(ms_t: float, denominator: float, df1: float, df2: float) -> Test:
    if denominator <= 0:
        raise AnalysisError("the variance of the difference is 0", "expected readings that differ")
    f = ms_t / denominator
    return Test("F", f, df1, df2, float(stats.f.sf(f, df1, df2)), denominator)


def _chi_test(numerator: float, denominator: float, df: float) -> Test:
    if denominator <= 0:
        raise AnalysisError("the variance of the difference is 0 or less", "expected readings that differ")
    x2 = numerator / denominator
    return Test("chi-square", x2, df, None, float(stats.chi2.sf(x2, df)), denominator)


def _contrast(
    first: str,
    second: str | None,
    reader: str | None,
    estimate: float,
    se: float,
    df: float | None,
    level: float,
) -> Contrast:
    spread = stats.norm if df is None else stats.t(df)
    half = float(spread.ppf(0.5 + level / 2)) * se
    p = None
    if second is not None:
        p = float(2 * spread.sf(abs(estimate) / se)) if se > 0 else float(estimate == 0)
    interval = Interval(
        float(estimate) - half, float(estimate) + half, level, "normal" if df is None else "t"
    )
    return Contrast(first, second, reader, float(estimate), se, df, p, interval)


def mean_figure(figures: Floats, cov: Floats, k: int, name: str, fixed: Fixed, level: float) -> Contrast:
    """Return one modality alone, from its own readers and their covariance."""
    i, j = figures.shape
    read = ~np.isnan(figures[k])
    own = cov.reshape(i, j, i, j)[k, :, k, :][np.ix_(read, read)]
    mine, j = figures[k][read], int(read.sum())
    cov2 = float((own.sum() - np.trace(own)) / (j * (j - 1))) if j > 1 else 0.0
    estimate = float(mine.mean())
    ms_r = float(mine.var(ddof=1)) if j > 1 else float("nan")
    if j < 2 and fixed != "readers":
        raise InputError(f"{j} reader in {name}", "readers can't be a sample of one", "say fixed readers")
    if fixed == "cases":
        return _contrast(name, None, None, estimate, float(np.sqrt(ms_r / j)), j - 1, level)
    if fixed == "readers":
        return _contrast(name, None, None, estimate, float(np.sqrt(own.mean())), None, level)
    total = ms_r + max(j * cov2, 0.0)
    df = total**2 / (ms_r**2 / (j - 1)) if ms_r > 0 else float("inf")
    return _contrast(name, None, None, estimate, float(np.sqrt(total / j)), df, level)


def _by_reader(
    figures: Floats, cov: Floats, modalities: tuple[str, ...], readers: tuple[str, ...], level: float
) -> tuple[Contrast, ...]:
    i, j = figures.shape
    c = cov.reshape(i, j, i, j)
    found = []
    for r in range(j):
        for a, b in combinations(range(i), 2):
            variance = c[a, r, a, r] + c[b, r, b, r] - 2 * c[a, r, b, r]
            se = float(np.sqrt(max(variance, 0.0)))
            estimate = figures[a, r] - figures[b, r]
            found.append(_contrast(modalities[a], modalities[b], readers[r], estimate, se, None, level))
    return tuple(found)
