"""Agreement of readers and repeated measurements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import AnalysisError, InputError

Floats = NDArray[np.float64]
IccForm = Literal["ICC(1,1)", "ICC(2,1)", "ICC(3,1)", "ICC(1,k)", "ICC(2,k)", "ICC(3,k)"]
ICC_FORMS: tuple[IccForm, ...] = get_args(IccForm)


@dataclass(frozen=True, slots=True)
class Icc:
    """An intraclass correlation with its F test against 0."""

    form: IccForm
    value: float
    interval: Interval
    f: float
    df1: float
    df2: float
    p: float


def icc(ratings: ArrayLike, form: IccForm = "ICC(2,1)", *, level: float = 0.95) -> Icc:
    """Return an intraclass correlation coefficient.

    Args:
        ratings: (subjects, raters), complete.
        form: Model (1 one-way, 2 two-way random and absolute agreement, 3 two-way mixed and consistency) and
            unit (1 a single rater, k the mean of all).
        level: Of the interval.

    References:
        Shrout, Fleiss, Psychological Bulletin 86:420 (1979); McGraw, Wong, Psychological Methods 1:30 (1996).
    """
    if form not in ICC_FORMS:
        raise InputError(f"form {form!r}", f"expected one of {', '.join(ICC_FORMS)}")
    x = _complete(ratings)
    n, k = x.shape
    if n < 2 or k < 2:
        raise InputError(f"{n} subjects and {k} raters", "expected two or more of each")
    grand = x.mean()
    rows, columns = x.mean(axis=1), x.mean(axis=0)
    ms_rows = float(k * ((rows - grand) ** 2).sum() / (n - 1))
    ms_columns = float(n * ((columns - grand) ** 2).sum() / (k - 1))
    ms_within = float(((x - rows[:, None]) ** 2).sum() / (n * (k - 1)))
    ms_error = float(((x - rows[:, None] - columns + grand) ** 2).sum() / ((n - 1) * (k - 1)))
    if ms_rows == 0:
        raise AnalysisError("the subjects do not differ", "expected subjects that differ")
    single = form.endswith(",1)")
    a = 0.5 - level / 2
    if form[4] == "1":
        f, df1, df2 = ms_rows / ms_within if ms_within else np.inf, n - 1, n * (k - 1)
    else:
        f, df1, df2 = ms_rows / ms_error if ms_error else np.inf, n - 1, (n - 1) * (k - 1)
    p = float(stats.f.sf(f, df1, df2))
    if form[4] == "2":
        value = (ms_rows - ms_error) / (ms_rows + (k - 1) * ms_error + k * (ms_columns - ms_error) / n)
        low, high = _icc2_limits(value, ms_rows, ms_columns, ms_error, n, k, a)
        mean = (ms_rows - ms_error) / (ms_rows + (ms_columns - ms_error) / n)
    else:
        value = (f - 1) / (f + k - 1) if np.isfinite(f) else 1.0
        mean = 1 - 1 / f if np.isfinite(f) else 1.0
        limits = f / stats.f.ppf(1 - a, df1, df2), f * stats.f.ppf(1 - a, df2, df1)
        low, high = ((x - 1) / (x + k - 1) if np.isfinite(x) else 1.0 for x in limits)
    if not single:
        value = mean
        low, high = (k * r / (1 + (k - 1) * r) for r in (low, high))
    interval = Interval(float(low), float(high), level, "F distribution")
    return Icc(form, float(value), interval, float(f), float(df1), float(df2), p)


def _icc2_limits(
    value: float, ms_rows: float, ms_columns: float, ms_error: float, n: int, k: int, a: float
) -> tuple[float, float]:
    """Return the limits of ICC(2,1) with Satterthwaite's degrees of freedom (McGraw and Wong, table 7)."""
    if value >= 1:
        return 1.0, 1.0
    c = k * value / (n * (1 - value))
    d = 1 + k * value * (n - 1) / (n * (1 - value))
    v = (c * ms_columns + d * ms_error) ** 2 / (
        (c * ms_columns) ** 2 / (k - 1) + (d * ms_error) ** 2 / ((n - 1) * (k - 1))
    )
    lower, upper = stats.f.ppf(1 - a, n - 1, v), stats.f.ppf(1 - a, v, n - 1)
    rest = k * ms_columns + (k * n - k - n) * ms_error
    low = n * (ms_rows - lower * ms_error) / (lower * rest + n * ms_rows)
    high = n * (upper * ms_rows - ms_error) / (rest + n * upper * ms_rows)
    return float(low), float(high)


def _complete(values: ArrayLike) -> Floats:
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        rows = (np.flatnonzero(~np.isfinite(x).all(axis=1))[:10] + 1).tolist() if x.ndim == 2 else []
        raise InputError(
            f"ratings of shape {x.shape}, missing in rows {rows}",
            "expected a complete table of subjects by raters",
            "leave incomplete subjects out",
        )
    return x


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """Limits of agreement of two methods.

    Attributes:
        bias: Mean difference, first minus second, with its interval.
        bias_interval: Of the bias.
        sd: Standard deviation of one difference of single measurements.
        lower: Lower limit of agreement.
        upper: Upper limit.
        lower_interval: Of the lower limit.
        upper_interval: Of the upper limit.
    """

    bias: float
    bias_interval: Interval
    sd: float
    lower: float
    upper: float
    lower_interval: Interval
    upper_interval: Interval


def bland_altman(
    first: ArrayLike, second: ArrayLike, subjects: ArrayLike | None = None, *, level: float = 0.95
) -> BlandAltman:
    """Return Bland-Altman limits of agreement.

    Args:
        first: (pairs,) of one method.
        second: (pairs,) of the other.
        subjects: (pairs,) which subject each pair belongs to, where subjects were measured repeatedly and the
            true value may vary between the pairs; None for one pair a subject.
        level: Of the intervals; the limits themselves are bias -+ 1.96 SD.

    References:
        Bland, Altman, Statistical Methods in Medical Research 8:135 (1999), sections 3 and 5.3.
    """
    d = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    if d.ndim != 1 or d.size < 2 or not np.isfinite(d).all():
        raise InputError(f"{d.size} pairs", "expected two or more pairs of finite numbers")
    if subjects is None:
        groups, count = np.arange(d.size), np.ones(d.size)
        variance, means = float(d.var(ddof=1)), d
    else:
        groups = np.unique(np.asarray(subjects), return_inverse=True)[1].ravel()
        count = np.bincount(groups).astype(np.float64)
        means = np.bincount(groups, weights=d) / count
        if count.size < 2 or count.size == d.size:
            raise InputError(f"{count.size} subjects in {d.size} pairs", "expected repeated subjects")
        within = float(((d - means[groups]) ** 2).sum() / (d.size - count.size))
        between_ms = float((count * (means - d.mean()) ** 2).sum() / (count.size - 1))
        size = (d.size**2 - (count**2).sum()) / ((count.size - 1) * d.size)
        variance = max((between_ms - within) / size, 0.0) + within
    n = means.size
    bias, sd = float(d.mean()), float(np.sqrt(variance))
    t = float(stats.t.ppf(0.5 + level / 2, n - 1))
    se_bias = float(means.std(ddof=1) / np.sqrt(n))
    se_limit = sd * float(np.sqrt(1 / n + 1.96**2 / (2 * (n - 1))))

    def around(x: float, se: float) -> Interval:
        return Interval(x - t * se, x + t * se, level, "t")

    low, high = bias - 1.96 * sd, bias + 1.96 * sd
    return BlandAltman(
        bias, around(bias, se_bias), sd, low, high, around(low, se_limit), around(high, se_limit)
    )


@dataclass(frozen=True, slots=True)
class Kappa:
    """A chance-corrected agreement with its standard error and interval."""

    value: float
    se: float
    interval: Interval


def cohen_kappa(
    first: ArrayLike,
    second: ArrayLike,
    *,
    weights: Literal["none", "linear", "quadratic"] = "none",
    categories: ArrayLike | None = None,
    level: float = 0.95,
) -> Kappa:
    """Return Cohen's kappa of two readers, weighted for ordered categories.

    Args:
        first: (cases,) categories by one reader.
        second: (cases,) by the other.
        weights: Of disagreement: none, by distance, by its square.
        categories: In their order; those that occur, sorted, unless given.
        level: Of the interval.

    References:
        Cohen, Educational and Psychological Measurement 20:37 (1960); variance: Fleiss, Cohen, Everitt,
        Psychological Bulletin 72:323 (1969).
    """
    a, b = np.asarray(first).ravel(), np.asarray(second).ravel()
    if a.size != b.size or a.size < 2:
        raise InputError(f"{a.size} and {b.size} ratings", "expected as many of each, two or more")
    names = np.unique(np.concatenate([a, b])) if categories is None else np.asarray(categories)
    index = {value: k for k, value in enumerate(names.tolist())}
    unknown = sorted({v for v in (*a.tolist(), *b.tolist()) if v not in index}, key=str)
    if unknown:
        raise InputError(f"categories {unknown[:5]}", f"expected {names.tolist()}")
    q = names.size
    table = np.zeros((q, q))
    np.add.at(table, ([index[v] for v in a.tolist()], [index[v] for v in b.tolist()]), 1)
    p = table / a.size
    steps = np.abs(np.subtract.outer(np.arange(q), np.arange(q))) / max(q - 1, 1)
    w = {"none": np.eye(q), "linear": 1 - steps, "quadratic": 1 - steps**2}[weights]
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, expected = float((w * p).sum()), float((w * np.outer(rows, columns)).sum())
    if expected >= 1:
        raise AnalysisError("both readers gave everybody the same category", "expected varied ratings")
    kappa = (observed - expected) / (1 - expected)
    mean_w = (w @ columns)[:, None] + (rows @ w)[None, :]
    inner = float((p * (w - mean_w * (1 - kappa)) ** 2).sum())
    variance = (inner - (kappa - expected * (1 - kappa)) ** 2) / (a.size * (1 - expected) ** 2)
    return _kappa(kappa, variance, level)


def fleiss_kappa(counts: ArrayLike, *, level: float = 0.95) -> Kappa:
    """Return Fleiss' kappa of any number of readers.

    Args:
        counts: (cases, categories): how many readers chose each category; the same number for every case.
        level: Of the interval.

    References:
        Fleiss, Psychological Bulletin 76:378 (1971); variance under no agreement: Fleiss, Nee, Landis (1979).
    """
    x = np.asarray(counts, dtype=np.float64)
    readers = x.sum(axis=1) if x.ndim == 2 else np.zeros(0)
    if x.ndim != 2 or not x.size or (readers != readers[0]).any() or readers[0] < 2 or (x < 0).any():
        raise InputError(f"counts of shape {x.shape}", "expected the same number of readers, 2+, a case")
    n, m = x.shape[0], readers[0]
    share = x.sum(axis=0) / (n * m)
    observed = float(((x * (x - 1)).sum(axis=1) / (m * (m - 1))).mean())
    expected = float((share**2).sum())
    if expected >= 1:
        raise AnalysisError("everybody got the same category", "expected varied ratings")
    q = share * (1 - share)
    variance = 2 / (n * m * (m - 1)) * (q.sum() ** 2 - (q * (1 - 2 * share)).sum()) / q.sum() ** 2
    return _kappa((observed - expected) / (1 - expected), float(variance), level)


def _kappa(value: float, variance: float, level: float) -> Kappa:
    se = float(np.sqrt(max(variance, 0.0)))
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    return Kappa(float(value), se, Interval(float(value) - half, float(value) + half, level, "normal"))


def krippendorff_alpha(
    ratings: ArrayLike, *, metric: Literal["nominal", "ordinal", "interval", "ratio"] = "nominal"
) -> float:
    """Return Krippendorff's alpha; ratings may be missing.

    Args:
        ratings: (readers, cases), NaN where missing.
        metric: Of the difference of two values.

    References:
        Krippendorff, Content Analysis, 4th edition, chapter 12.
    """
    x = np.asarray(ratings, dtype=np.float64)
    if x.ndim != 2:
        raise InputError(f"ratings of shape {x.shape}", "expected readers by cases")
    x = x[:, (~np.isnan(x)).sum(axis=0) >= 2]
    values, margin = np.unique(x[~np.isnan(x)], return_counts=True)
    if values.size < 2:
        raise AnalysisError("all ratings are the same", "expected varied ratings of two or more readers")
    count = (~np.isnan(x)).sum(axis=0)
    total = int(margin.sum())
    if metric in ("ordinal", "interval"):
        if metric == "ordinal":  # the difference of two ranks is that of their middle places
            middle = np.cumsum(margin) - margin / 2
            x = np.where(
                np.isnan(x), np.nan, middle[np.searchsorted(values, np.nan_to_num(x, nan=values[0]))]
            )
        squares = np.nansum((x - np.nanmean(x, axis=0)) ** 2, axis=0)
        observed = float((2 * count * squares / (count - 1)).sum())
        expected = 2 * total * float(np.nansum((x - np.nanmean(x)) ** 2)) / (total - 1)
        return 1 - observed / expected
    if metric not in ("nominal", "ratio"):
        raise InputError(f"metric {metric!r}", "expected nominal, ordinal, interval or ratio")
    different = _unequal if metric == "nominal" else _by_sum
    observed = sum(
        float(different(v[:, None], v[None]).sum()) / (v.size - 1)
        for v in (column[~np.isnan(column)] for column in x.T)
    )
    expected = sum(
        float(m * (different(np.asarray(v), values) @ margin)) for v, m in zip(values, margin, strict=True)
    )
    return float(1 - observed / (expected / (total - 1)))


def _unequal(a: Floats, b: Floats) -> Floats:
    return np.asarray(a != b, dtype=np.float64)


def _by_sum(a: Floats, b: Floats) -> Floats:
    total = a + b
    part = np.divide(a - b, total, out=np.zeros_like(total), where=total != 0)
    return np.asarray(part**2, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Repeatability:
    """Repeatability of a measurement (QIBA).

    Attributes:
        wsd: Within-subject standard deviation.
        rc: Repeatability coefficient, 1.96 sqrt(2) wSD: two measurements differ by less in 95 of 100.
        rc_interval: By the chi-square distribution.
        wcv: Within-subject coefficient of variation (root mean square), a fraction; None for means of 0.
        percent_rc: 1.96 sqrt(2) wCV x 100, or None.
    """

    wsd: float
    rc: float
    rc_interval: Interval
    wcv: float | None
    percent_rc: float | None


def repeatability(values: ArrayLike, *, level: float = 0.95) -> Repeatability:
    """Return the repeatability of a measurement.

    Args:
        values: (subjects, replicates), NaN where a replicate is missing; two or more a subject.
        level: Of the interval.

    References:
        Obuchowski, Bullen, Academic Radiology 25:1 (2018); Raunig et al., Statistical Methods in Medical
        Research 24:27 (2015).
    """
    x = np.asarray(values, dtype=np.float64)
    count = (~np.isnan(x)).sum(axis=1) if x.ndim == 2 else np.zeros(0)
    if x.ndim != 2 or not x.size or (count < 2).any():
        raise InputError(f"values of shape {x.shape}", "expected two or more replicates a subject")
    variance, mean = np.nanvar(x, axis=1, ddof=1), np.nanmean(x, axis=1)
    df = int((count - 1).sum())
    within = float(((count - 1) * variance).sum() / df)
    wsd, factor = float(np.sqrt(within)), 1.96 * float(np.sqrt(2))
    low, high = (df / stats.chi2.ppf(q, df) for q in (0.5 + level / 2, 0.5 - level / 2))
    interval = Interval(
        factor * wsd * float(np.sqrt(low)), factor * wsd * float(np.sqrt(high)), level, "chi-square"
    )
    wcv = None
    if (mean != 0).all():
        wcv = float(np.sqrt(((count - 1) * variance / mean**2).sum() / df))
    return Repeatability(wsd, factor * wsd, interval, wcv, None if wcv is None else 100 * factor * wcv)
