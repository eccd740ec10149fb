"""Studies of scores over the same cases: ROC, operating points, precision and recall."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from coread.errors import AnalysisError
from coread.evaluation import roc
from coread.evaluation.operating import (
    average_precision,
    bootstrap_interval,
    operating_point,
    precision_recall,
    wilson,
)
from coread.evaluation.studies.report import Line, Options, StudyReport, Table, curves
from coread.evaluation.tables import (
    binary,
    need,
    numbers,
    refuse_twice,
    score_columns,
    with_standard_names,
)

SEED = 2026  # of the bootstrap, so that the same table gives the same report


def roc_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return areas with tests, curves and operating points of one or several scores over the same cases."""
    table = with_standard_names(frame, ("truth", "case"))
    need(table, ("truth",))
    if "case" in table.columns:
        refuse_twice(table, ("case",))
    truth = roc.check_truth(binary(table["truth"], "truth", options.positive))
    names = options.scores or score_columns(frame, taken=("truth", "outcome", "cancer", "label"))
    signs = {n: -1.0 if n in options.lower else 1.0 for n in names}
    scores = pd.DataFrame({n: signs[n] * numbers(table, n) for n in names}).to_numpy()
    clusters = table["patient"].to_numpy() if "patient" in table.columns else None
    found = roc.areas(truth, scores, clusters=clusters)
    report = StudyReport("roc", f"ROC analysis of {', '.join(names)}")
    many = "" if clusters is None else f" of {np.unique(clusters.astype(str)).size} patients"
    size = f"{truth.size} cases{many}, {int(truth.sum())} diseased"
    report.checks.append(f"{size}, no gaps, both classes present")
    report.methods.append(
        f"Area under the empirical curve, ties half; variance: {found.method}, normal intervals; higher "
        f"scores speak for disease{', but not of ' + ', '.join(options.lower) if options.lower else ''}"
    )
    report.methods.append(
        "Operating points at the largest Youden index unless a threshold is given: optimistic when "
        "chosen on the cases it is measured on; Wilson's intervals, with the effective number of cases where "
        f"a patient has several; bootstrap intervals with 2,000 draws, seed {SEED}"
    )
    lines, precisions, areas, points = [], [], [], []
    for k, name in enumerate(names):
        x, interval = scores[:, k], found.interval(k, level=options.level)
        at = options.threshold if options.threshold is not None else signs[name] * roc.youden(truth, x)[0]
        point = operating_point(
            truth,
            x,
            signs[name] * at,
            prevalence=options.prevalence,
            clusters=clusters,
            level=options.level,
        )
        boot = bootstrap_interval(
            truth,
            x,
            signs[name] * at,
            rng=np.random.default_rng(SEED),
            clusters=clusters,
            level=options.level,
        )
        precision, se = average_precision(truth, x), float(np.sqrt(found.covariance[k, k]))
        areas.append((name, found.area[k], se, interval.low, interval.high, precision))
        points.append(_point_row(name, at, point))
        curve = roc.curve(truth, x)
        band = None if clusters is not None else _band(curve.sensitivity, int(truth.sum()), options.level)
        lines.append(
            Line(f"{name}, AUC {found.area[k]:.3f}", 1 - curve.specificity, curve.sensitivity, band=band)
        )
        exact, recall = precision_recall(truth, x)
        precisions.append(Line(f"{name}, AP {precision:.3f}", recall, exact))
        report.results[name] = {
            "auc": found.area[k],
            "variance": found.covariance[k, k],
            "se": se,
            "interval": interval,
            "partial_auc": _partial(truth, x),
            "average_precision": precision,
            "threshold": at,
            "operating_point": point,
            "bootstrap": {"sensitivity": boot[0], "specificity": boot[1]},
        }
        report.metrics[f"auc_{name}"] = (float(found.area[k]), interval.low, interval.high)
    report.results["covariance"] = {"scores": names, "matrix": found.covariance, "method": found.method}
    heads = ("score", "AUC", "SE", "low", "high", "average precision")
    report.tables.append(Table("Areas", heads, tuple(areas)))
    limits = ("sensitivity", "low", "high", "specificity", "low", "high")
    report.tables.append(
        Table("Operating points", ("score", "threshold", *limits, "PPV", "NPV", "LR+", "LR-"), tuple(points))
    )
    _tests(report, found, names, options.level)
    shade = (
        f"; band: pointwise {options.level:.0%} Wilson interval of sensitivity" if clusters is None else ""
    )
    report.plots.append(
        (f"ROC curves, {size}{shade}", curves(lines, "1 - specificity", "sensitivity", diagonal=True))
    )
    title = f"Precision and recall at a prevalence of {truth.mean():.3f}, {size}"
    report.plots.append(
        (title, curves(precisions, "recall (sensitivity)", "precision (PPV)", level_line=float(truth.mean())))
    )
    return report


def _point_row(name: str, at: float, point: Any) -> tuple[Any, ...]:
    se, sp = point.sensitivity, point.specificity
    limits = (se.value, se.interval.low, se.interval.high, sp.value, sp.interval.low, sp.interval.high)
    ratios = (point.positive_ratio.value, point.negative_ratio.value)
    return (name, at, *limits, point.ppv, point.npv, *ratios)


def _partial(truth: Any, x: Any) -> dict[str, float]:
    found = {}
    for over in ("specificity", "sensitivity"):
        for corrected in (False, True):
            name = f"{over} 0.9 to 1{', corrected' if corrected else ''}"
            kind: Any = over
            found[name] = roc.partial_auc(truth, x, 0.9, 1.0, over=kind, corrected=corrected)
    return found


def _band(sensitivity: Any, diseased: int, level: float) -> tuple[Any, Any]:
    values, back = np.unique(np.rint(sensitivity * diseased).astype(int), return_inverse=True)
    limits = [wilson(int(v), diseased, level=level).interval for v in values]
    low, high = (np.array([getattr(i, end) for i in limits])[back] for end in ("low", "high"))
    return low, high


def _tests(report: StudyReport, found: roc.Areas, names: tuple[str, ...], level: float) -> None:
    rows = []
    for a, b in combinations(range(len(names)), 2):
        pair = f"{names[a]} - {names[b]}"
        try:
            test = roc.compare_paired(found, a, b, level=level)
        except AnalysisError as error:
            report.checks.append(f"no test of {pair}: {error.came}")
            continue
        report.results[pair] = test
        limits = test.interval
        rows.append((pair, test.difference, test.se, limits.low, limits.high, test.statistic, test.p))
    if rows:
        heads = ("scores", "difference", "SE", "low", "high", "z", "p")
        report.tables.append(Table("Paired differences", heads, tuple(rows)))
        report.methods.append("Paired differences: z with the covariance of both areas; p not corrected")
