"""Which features are stable: intraclass correlation with limits, redundancy, the list to go on with.

References:
    Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420; McGraw and Wong 1996 for the limits,
    doi:10.1037/1082-989X.1.1.30.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from coread.core import Interval
from coread.errors import InputError
from coread.quant.radiomics._typing import Floats

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Agreement:
    """An intraclass correlation with its confidence limits."""

    value: float
    interval: Interval


def _mean_squares(ratings: Floats) -> tuple[float, float, float]:
    """Return mean squares between subjects, within subjects, and residual of (subjects, repeats)."""
    n, k = ratings.shape
    grand = ratings.mean()
    rows = ratings.mean(axis=1)
    columns = ratings.mean(axis=0)
    between = k * float(((rows - grand) ** 2).sum())
    within = float(((ratings - rows[:, None]) ** 2).sum())
    residual = within - n * float(((columns - grand) ** 2).sum())
    return between / (n - 1), within / (n * (k - 1)), residual / ((n - 1) * (k - 1))


def intraclass_correlation(ratings: Floats, *, consistency: bool = False, level: float = 0.95) -> Agreement:
    """Return ICC(1,1), or ICC(3,1) with ``consistency``, with exact limits of the F distribution.

    Args:
        ratings: (subjects, repeats), two of each or more, without NaN.
        consistency: ICC(3,1): repeats are the same for every subject, and their offsets don't count.
        level: Coverage of the limits.

    Raises:
        InputError: Fewer than two subjects or repeats.

    Examples:
        >>> ratings = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
        >>> round(intraclass_correlation(np.array(ratings, dtype=float)).value, 2)
        0.17
    """
    n, k = ratings.shape if ratings.ndim == 2 else (0, 0)
    if n < 2 or k < 2:
        raise InputError(f"ratings of shape {ratings.shape}", "expected two subjects and two repeats or more")
    between, within, residual = _mean_squares(ratings)
    error = residual if consistency else within
    freedom = (n - 1) * (k - 1) if consistency else n * (k - 1)
    method = f"{'ICC(3,1)' if consistency else 'ICC(1,1)'}, F distribution"
    scale = max(float(np.abs(ratings).max()), 1e-300) ** 2
    if error <= 1e-24 * scale:  # equal repeats: perfect where subjects differ, undefined where they don't
        if between > 1e-24 * scale:
            return Agreement(1.0, Interval(1.0, 1.0, level, method))
        return Agreement(np.nan, Interval(-1.0, 1.0, level, method))
    ratio = between / error
    tail = (1 + level) / 2
    low = ratio / stats.f.ppf(tail, n - 1, freedom)
    high = ratio * stats.f.ppf(tail, freedom, n - 1)

    def share(f: float) -> float:
        return float((f - 1) / (f + k - 1))

    return Agreement(share(ratio), Interval(share(low), share(high), level, method))


def redundancy_clusters(values: Floats, *, limit: float = 0.9) -> Floats:
    """Return a cluster number for each feature; those in one are rank-correlated beyond ``limit``.

    Args:
        values: (subjects, features), three subjects or more.
        limit: Absolute Spearman correlation, mean over a cluster (average linkage).
    """
    n = values.shape[1]
    if n < 2 or values.shape[0] < 3:
        return np.arange(1, n + 1, dtype=np.float64)
    ranks = stats.rankdata(values, axis=0)
    centred = ranks - ranks.mean(axis=0)
    norm = np.sqrt((centred**2).sum(axis=0))
    norm[norm == 0] = np.inf  # a constant feature resembles none
    correlation = np.abs((centred / norm).T @ (centred / norm))
    distance = np.clip(1 - correlation, 0, 1)
    np.fill_diagonal(distance, 0)
    tree = hierarchy.linkage(squareform(distance, checks=False), "average")
    return np.asarray(hierarchy.fcluster(tree, 1 - limit, "distance"), dtype=np.float64)


def stability_table(
    frame: pd.DataFrame, *, repeat: str = "repeat", threshold: float = 0.75, limit: float = 0.9
) -> pd.DataFrame:
    """Return for each feature ICC(1,1) and ICC(3,1) with limits, its cluster, and whether it is stable.

    Args:
        frame: A long table of features with columns ``case``, ``label``, ``column``, ``value`` and the
            repeat: perturbation, or session of a test-retest study.
        repeat: Name of the column of repeats.
        threshold: Stable from this lower confidence limit of ICC(1,1) on.
        limit: Correlation from which features are redundant.

    Returns:
        One row a feature: ``feature``, ``subjects``, ``repeats``, ``icc_1_1`` and ``icc_3_1`` with ``_low``
        and ``_high``, ``stable``, ``cluster``, and ``kept``: the most stable of its cluster. A subject
        without a value in any repeat is left out of that feature.

    Raises:
        InputError: A column is missing, or there are fewer than two subjects or repeats.
    """
    import pandas as pd

    missing = {"case", "label", "column", "value", repeat} - set(frame.columns)
    if missing:
        raise InputError(
            f"the table has no column {', '.join(sorted(missing))}", "expected a long table with repeats"
        )
    rows = []
    means = {}
    for name, part in frame.groupby("column", sort=False):
        ratings = part.pivot_table(index=["case", "label"], columns=repeat, values="value", dropna=False)
        complete = ratings.dropna()
        row: dict[str, object] = {"feature": name, "subjects": len(complete), "repeats": ratings.shape[1]}
        if len(complete) >= 2 and ratings.shape[1] >= 2:
            table = complete.to_numpy(dtype=np.float64)
            for key, consistency in (("icc_1_1", False), ("icc_3_1", True)):
                found = intraclass_correlation(table, consistency=consistency)
                row |= {
                    key: found.value,
                    f"{key}_low": found.interval.low,
                    f"{key}_high": found.interval.high,
                }
        means[name] = ratings.mean(axis=1)
        rows.append(row)
    result = pd.DataFrame(rows)
    if "icc_1_1" not in result:
        raise InputError(
            "fewer than two subjects or repeats", "expected several of both", "add cases or perturbations"
        )
    result["stable"] = result["icc_1_1_low"] >= threshold
    values = pd.DataFrame(means)
    values = values.fillna(values.mean()).fillna(0.0)
    result["cluster"] = redundancy_clusters(values.to_numpy(dtype=np.float64), limit=limit).astype(int)
    best = result[result["stable"]].groupby("cluster")["icc_1_1_low"].idxmax()
    result["kept"] = False
    result.loc[best, "kept"] = True
    return result
