"""Reader studies of other designs and figures: one modality, DBM, split-plot, sensitivity and specificity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import AnalysisError, InputError
from coread.evaluation.mrmc.covariance import Method, covariance
from coread.evaluation.mrmc.obuchowski_rockette import Analysis, Contrast, Fixed, analyse_figures, mean_figure
from coread.evaluation.mrmc.study import ReaderStudy

Floats = NDArray[np.float64]
CaseFigure = Literal["sensitivity", "specificity"]


def one_modality(
    study: ReaderStudy,
    modality: str,
    *,
    method: Method = "delong",
    fixed: Fixed = "none",
    level: float = 0.95,
) -> Contrast:
    """Return the mean area of one modality, from its own readers alone.

    References:
        Hillis, Statistics in Medicine 33:330 (2014).
    """
    if modality not in study.modalities:
        raise InputError(f"no modality {modality!r}", f"the study has {', '.join(study.modalities)}")
    figures, cov = covariance(study, method)
    return mean_figure(figures, cov, study.modalities.index(modality), modality, fixed, level)


def analyse_case_means(
    study: ReaderStudy,
    figure: CaseFigure,
    threshold: float,
    *,
    fixed: Fixed = "none",
    level: float = 0.95,
) -> Analysis:
    """Return the analysis of sensitivity or specificity at a threshold of the rating.

    A rating at or above the threshold is a call. The covariance over cases is that of means over the cases
    both readings have in common.

    References:
        Chen, Petrick, Sahiner, Academic Radiology 19:1158 (2012).
    """
    chosen = study.truth if figure == "sensitivity" else ~study.truth
    ratings = study.ratings.reshape(-1, len(study.cases))[:, chosen]
    read = ~np.isnan(ratings)
    own = read.sum(axis=1).astype(np.float64)
    if (own < 2).any():
        cell = int(np.flatnonzero(own < 2)[0])
        who = f"reader {study.readers[cell % len(study.readers)]}"
        where = study.modalities[cell // len(study.readers)]
        raise InputError(
            f"{who} read {int(own[cell])} cases of the class in {where}", f"{figure} needs two or more"
        )
    right = (ratings >= threshold) == (figure == "sensitivity")
    means = (right & read).sum(axis=1) / own
    deviations = np.where(read, right - means[:, None], 0.0)
    common = read.astype(np.float64) @ read.T
    pairs = np.outer(own, own) - own[:, None] - own[None, :] + common
    cov = np.divide(deviations @ deviations.T, pairs, out=np.zeros_like(common), where=common > 0)
    return analyse_figures(
        means.reshape(study.ratings.shape[:2]),
        cov,
        study.modalities,
        study.readers,
        method=f"case means ({figure} at {threshold:g})",
        fixed=fixed,
        level=level,
    )


@dataclass(frozen=True, slots=True)
class Dbm:
    """Analysis of variance of jackknife pseudovalues (Dorfman, Berbaum, Metz).

    Attributes:
        mean_squares: T, R, C, TR, TC, RC, TRC.
        components: Variance components of R, C, TR, TC, RC and error.
        f: Of modalities.
        df1: Of the numerator.
        df2: Hillis' degrees of freedom.
        p: Of the test.
    """

    mean_squares: dict[str, float]
    components: dict[str, float]
    f: float
    df1: float
    df2: float
    p: float


def dbm(pseudovalues: Floats) -> Dbm:
    """Return the analysis of pseudovalues with random readers and cases.

    Args:
        pseudovalues: (modalities, readers, cases), complete.

    References:
        Dorfman, Berbaum, Metz, Investigative Radiology 27:723 (1992); Hillis, Berbaum, Metz, Academic
        Radiology 15:647 (2008).
    """
    y = np.asarray(pseudovalues, dtype=np.float64)
    if y.ndim != 3 or min(y.shape) < 2 or not np.isfinite(y).all():
        raise InputError(f"pseudovalues of shape {y.shape}", "expected two or more of everything, complete")
    i, j, k = y.shape
    grand = y.mean()
    t = y.mean(axis=(1, 2), keepdims=True) - grand
    r = y.mean(axis=(0, 2), keepdims=True) - grand
    c = y.mean(axis=(0, 1), keepdims=True) - grand
    tr = y.mean(axis=2, keepdims=True) - grand - t - r
    tc = y.mean(axis=1, keepdims=True) - grand - t - c
    rc = y.mean(axis=0, keepdims=True) - grand - r - c
    rest = y - grand - t - r - c - tr - tc - rc
    df = {"T": i - 1, "R": j - 1, "C": k - 1}
    df |= {"TR": df["T"] * df["R"], "TC": df["T"] * df["C"], "RC": df["R"] * df["C"]}
    df["TRC"] = df["TR"] * df["C"]
    effects = {"T": t, "R": r, "C": c, "TR": tr, "TC": tc, "RC": rc, "TRC": rest}
    ms = {name: float((e**2).sum() * (y.size / e.size) / df[name]) for name, e in effects.items()}
    parts = {
        "R": (ms["R"] - ms["TR"] - ms["RC"] + ms["TRC"]) / (i * k),
        "C": (ms["C"] - ms["TC"] - ms["RC"] + ms["TRC"]) / (i * j),
        "TR": (ms["TR"] - ms["TRC"]) / k,
        "TC": (ms["TC"] - ms["TRC"]) / j,
        "RC": (ms["RC"] - ms["TRC"]) / i,
        "error": ms["TRC"],
    }
    denominator = ms["TR"] + max(ms["TC"] - ms["TRC"], 0.0)
    if ms["TR"] <= 0:
        raise AnalysisError("readers do not vary at all", "expected readers that differ")
    df2 = denominator**2 / (ms["TR"] ** 2 / df["TR"])
    f = ms["T"] / denominator
    return Dbm(ms, parts, f, df["T"], df2, float(stats.f.sf(f, df["T"], df2)))


def area_pseudovalues(study: ReaderStudy) -> Floats:
    """Return jackknife pseudovalues (modalities, readers, cases) of areas, each cell centred on its area."""
    from coread.evaluation.mrmc.covariance import cell_areas

    if not study.complete:
        raise InputError("readings are missing", "DBM needs a complete design", "use Obuchowski-Rockette")
    areas, parts = cell_areas(study)
    k = len(study.cases)
    size = np.where(study.truth, study.truth.sum(), (~study.truth).sum()).astype(np.float64)
    flat = areas.reshape(-1, 1)
    left_out = (size * flat - parts) / (size - 1)
    values = k * flat - (k - 1) * left_out
    values += flat - values.mean(axis=1, keepdims=True)
    return np.asarray(values.reshape(study.ratings.shape), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Margin:
    """A test of a difference against a margin.

    Attributes:
        kind: ``non-inferiority`` or ``superiority``.
        margin: How much worse is still acceptable (0 or more), or how much better is wanted.
        statistic: t, or z.
        p: One-sided.
        bound: Lower one-sided limit of the difference first - second.
        holds: Whether `bound` clears the margin.
    """

    kind: str
    margin: float
    statistic: float
    p: float
    bound: float
    holds: bool


def margin_test(
    contrast: Contrast,
    margin: float,
    *,
    kind: Literal["non-inferiority", "superiority"] = "non-inferiority",
    alpha: float = 0.025,
) -> Margin:
    """Return whether the first modality is not worse than the second by the margin, or better by it.

    Args:
        contrast: Difference first - second of a figure where more is better.
        margin: 0 or more.
        kind: What is to be shown.
        alpha: One-sided.

    References:
        Chen, Petrick, Sahiner, Academic Radiology 19:1158 (2012).
    """
    if margin < 0:
        raise InputError(f"margin {margin:g}", "expected 0 or more")
    if contrast.se <= 0:
        raise AnalysisError("the difference has no variance", "expected readings that differ")
    null = -margin if kind == "non-inferiority" else margin
    spread = stats.norm if contrast.df is None else stats.t(contrast.df)
    statistic = (contrast.estimate - null) / contrast.se
    bound = contrast.estimate - float(spread.ppf(1 - alpha)) * contrast.se
    return Margin(kind, margin, statistic, float(spread.sf(statistic)), bound, bool(bound > null))


def split_plot(groups: list[ReaderStudy], *, method: Method = "delong", level: float = 0.95) -> Contrast:
    """Return the difference of two modalities when every group of readers reads cases of its own.

    The groups are independent; their differences are averaged and their squared errors too.

    Args:
        groups: Studies of the same two modalities.
        method: Of the covariance.
        level: Of the interval.

    References:
        Obuchowski, Gallas, Hillis, Academic Radiology 19:1508 (2012).
    """
    if len(groups) < 2 or any(len(g.modalities) != 2 for g in groups):
        raise InputError(f"{len(groups)} groups", "expected two or more, each with two modalities")
    if len({g.modalities for g in groups}) != 1:
        raise InputError("the groups have different modalities", "expected the same two in each")
    found = []
    for group in groups:
        figures, cov = covariance(group, method)
        found.append(
            analyse_figures(
                figures, cov, group.modalities, group.readers, method=method, level=level
            ).differences[0]
        )
    n = len(found)
    estimate = float(np.mean([d.estimate for d in found]))
    variances = np.array([d.se**2 for d in found])
    se = float(np.sqrt(variances.sum())) / n
    df = float(variances.sum() ** 2 / (variances**2 / np.array([d.df for d in found])).sum())
    half = float(stats.t.ppf(0.5 + level / 2, df)) * se
    p = float(2 * stats.t.sf(abs(estimate) / se, df))
    interval = Interval(estimate - half, estimate + half, level, "split-plot, t")
    first, second = groups[0].modalities
    return Contrast(first, second, None, estimate, se, df, p, interval)
