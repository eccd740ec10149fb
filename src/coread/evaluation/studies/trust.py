"""Studies of trust: subgroups, drift, double reading."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coread.errors import InputError
from coread.evaluation.double_reading import simulate
from coread.evaluation.drift import control_chart, shift_of_labels, shift_of_numbers
from coread.evaluation.operating import Rate
from coread.evaluation.roc import areas, check_truth
from coread.evaluation.studies.report import Line, Options, StudyReport, Table, curves, plot
from coread.evaluation.subgroups import Subgroup, subgroup_report
from coread.evaluation.tables import (
    binary,
    need,
    numbers,
    refuse_twice,
    score_columns,
    with_standard_names,
)

IDENTIFIERS = ("case", "caseID", "patient", "patientid", "id", "image", "row", "study")  # no distribution


def _scored(
    frame: pd.DataFrame, options: Options
) -> tuple[pd.DataFrame, NDArray[np.bool_], NDArray[np.float64], str, float]:
    table = with_standard_names(frame, ("truth", "case"))
    need(table, ("truth",))
    if "case" in table.columns:
        refuse_twice(table, ("case",))
    truth = check_truth(binary(table["truth"], "truth", options.positive))
    taken = ("truth", "outcome", "cancer", "label", options.group or "")
    names = options.scores or score_columns(frame, taken=taken)
    if len(names) != 1:
        raise InputError(f"scores {', '.join(names)}", "expected one", "give --score NAME")
    threshold = 0.5 if options.threshold is None else options.threshold
    return table, truth, numbers(table, names[0]), names[0], threshold


def subgroup_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return the figures of a score by the values of a column."""
    if options.group is None:
        raise InputError(
            "no column of subgroups", "expected one such as sex, site or view", "give --group NAME"
        )
    table, truth, score, name, threshold = _scored(frame, options)
    need(table, (options.group,))
    groups = table[options.group].fillna("(missing)").astype(str)
    if groups.nunique() > 20:
        raise InputError(
            f"{options.group} has {groups.nunique()} values", "expected 20 or fewer", "make bands of it"
        )
    clusters = table["patient"].to_numpy() if "patient" in table.columns else None
    found = subgroup_report(
        truth, score, groups.to_numpy(), threshold, clusters=clusters, level=options.level
    )
    report = StudyReport("subgroup", f"{name} by {options.group}", results={"subgroups": found})
    of = "" if clusters is None else f" of {pd.Series(clusters).nunique()} patients"
    report.checks.append(f"{truth.size} cases{of} in {len(found.groups)} subgroups")

    rows = [(g.name, g.cases, g.diseased, *_three(g.area), *_three(g.difference), g.p) for g in found.groups]
    limits = ("low", "high")
    heads = (options.group, "cases", "diseased", "AUC", *limits, "AUC less others", *limits, "p (Holm)")
    report.tables.append(Table("Areas", heads, tuple(rows)))
    rates = [(g.name, *_three(g.sensitivity), *_three(g.specificity)) for g in found.groups]
    names: tuple[str, ...] = (options.group, "sensitivity", *limits, "specificity", *limits)
    report.tables.append(Table(f"At the threshold {threshold:g}", names, tuple(rates)))
    gaps = ((found.sensitivity_gap, found.false_positive_gap),)
    names = ("largest gap of sensitivity", "of the false positive rate")
    report.tables.append(Table("Gaps (equalised odds)", names, gaps))
    report.methods.append(
        "Area of each subgroup against that of all other cases, Holm over the subgroups; "
        + (
            "cases are taken as independent: name the patient in a column patient where one has several"
            if clusters is None
            else "variances and covariance by Obuchowski's sums over patients, so that a patient may have "
            "cases in both; rates with Wilson's interval for the effective number of cases"
        )
    )
    _forest(report, found.groups, options.group, truth.size)
    return report


def _forest(report: StudyReport, groups: tuple[Subgroup, ...], name: str, cases: int) -> None:
    shown = [g for g in groups if g.area is not None]
    if not shown:
        return

    def draw(axes: Any) -> None:
        for k, g in enumerate(shown):
            if g.area is not None:
                limits = g.area.interval
                axes.plot([limits.low, limits.high], [k, k], color="#0072B2", lw=1.4)
                axes.plot(g.area.value, k, "o", color="#0072B2", ms=5)
        axes.set_yticks(range(len(shown)), [f"{g.name} (n = {g.cases}, {g.diseased} +)" for g in shown])
        axes.set(xlabel="area under the ROC curve, with interval", ylim=(len(shown) - 0.5, -0.5))
        axes.grid(axis="x", color="0.92", lw=0.6)

    height = 1.2 + 0.32 * len(shown)
    report.plots.append((f"Area by {name}; {cases} cases", plot(draw, width=6.0, height=height)))


def drift_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return tests of every column between the reference window and each other window."""
    if options.group is None or options.reference is None:
        raise InputError(
            "no windows", "expected a column and its reference value", "give --group NAME --reference VALUE"
        )
    need(frame, (options.group,))
    windows = frame[options.group].astype(str)
    if options.reference not in set(windows) or windows.nunique() < 2:
        raise InputError(f"windows {sorted(set(windows))[:8]}", f"expected {options.reference!r} and another")
    report = StudyReport("drift", f"Drift from {options.group} = {options.reference}")
    base = frame[windows == options.reference]
    rows = []
    for window in sorted(set(windows) - {options.reference}):
        now = frame[windows == window]
        report.checks.append(f"{len(base)} cases of reference, {len(now)} of {window}")
        for column in frame.columns:
            values = pd.to_numeric(frame[column], errors="coerce")
            if column == options.group or column in IDENTIFIERS or frame[column].isna().any():
                continue
            if values.notna().all():
                found = shift_of_numbers(values[base.index], values[now.index], column)
            elif frame[column].nunique() <= 20:
                found = shift_of_labels(base[column], now[column], column)
            else:
                continue
            report.results[f"{window}: {column}"] = found
            rows.append(
                (
                    window,
                    column,
                    found.test,
                    found.statistic,
                    found.p,
                    found.psi,
                    found.reference_mean,
                    found.current_mean,
                )
            )
    report.tables.append(
        Table(
            "Shift",
            ("window", "column", "test", "statistic", "p", "PSI", "reference mean", "mean"),
            tuple(rows),
        )
    )
    report.methods.append(
        "Kolmogorov-Smirnov for numbers with the population stability index, chi-square for categories; "
        "p not corrected; with many cases small shifts are significant, look at the PSI"
    )
    if options.scores:
        _watch(report, frame, windows, options)
    return report


def _watch(report: StudyReport, frame: pd.DataFrame, windows: pd.Series[str], options: Options) -> None:
    """Add the area of the score in each window, and the control chart of its mean."""
    name = options.scores[0]
    score = numbers(frame, name)
    order = [w for w in dict.fromkeys(windows) if w != options.reference]
    patients = frame["patient"].to_numpy() if "patient" in frame.columns else None
    if "truth" in with_standard_names(frame, ("truth",)).columns:
        _, truth, _, _, _ = _scored(frame, options)
        rows = []
        for window in (str(options.reference), *order):
            inside = (windows == window).to_numpy()
            try:
                of = None if patients is None else patients[inside]
                area = areas(truth[inside], score[inside], clusters=of)
            except InputError as error:
                report.checks.append(f"no area in {window}: {error.came}")
                continue
            limits = area.interval(level=options.level)
            report.results[f"AUC in {window}"] = {"auc": area.area[0], "interval": limits}
            size = int(inside.sum()), int(truth[inside].sum())
            rows.append((window, *size, area.area[0], limits.low, limits.high))
        heads = ("window", "cases", "diseased", "AUC", "low", "high")
        report.tables.append(Table(f"Area of {name} in each window", heads, tuple(rows)))
    parts = [(windows == w).to_numpy() for w in order]
    base = score[(windows == options.reference).to_numpy()]
    if base.size < 2 or base.std() == 0:
        return
    chart = control_chart(base, [score[i].mean() for i in parts], [i.sum() for i in parts])
    report.results[f"control chart of {name}"] = {"windows": order, "chart": chart}
    if len(order) < 2:
        return
    at = np.arange(1, len(order) + 1)
    lines = [
        Line("smoothed mean", at, chart.values),
        Line("limits (3 errors)", at, chart.lower, colour=1, style=1),
        Line("", at, chart.upper, colour=1, style=1),
        Line("mean of the reference", at, np.full(at.size, chart.centre), colour=2),
    ]
    title = (
        f"Control chart (EWMA, weight 0.2) of the mean of {name} in {len(order)} windows in the order of the "
        f"table, {base.size} cases of reference; {int(chart.alarms.sum())} outside the limits"
    )
    report.plots.append((title, curves(lines, "window", f"mean of {name}")))


def double_reading_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return the pathways of double reading; columns truth, first, second, arbitration, model or score."""
    table = with_standard_names(frame, ("truth",))
    need(table, ("truth", "first", "second", "arbitration"))
    calls = {
        n: binary(table[n], n, options.positive if n == "truth" else None)
        for n in ("truth", "first", "second", "arbitration")
    }
    if "model" in table.columns:
        model = binary(table["model"], "model")
    elif options.scores and options.threshold is not None:
        model = numbers(table, options.scores[0]) >= options.threshold
    else:
        raise InputError(
            "no calls of the model", "expected a column model", "or give --score NAME --threshold X"
        )
    rule_out = binary(table["rule_out"], "rule_out") if "rule_out" in table.columns else None
    truth, first, second, judge = calls.values()
    found = simulate(
        truth, first, second, judge, model, rule_out=rule_out, margin=options.margin, level=options.level
    )
    report = StudyReport(
        "double-reading", "Double reading with a model, simulated", results={p.name: p for p in found}
    )
    report.checks.append(
        f"{len(table)} cases, {int(calls['truth'].sum())} diseased; the arbitration of cases that nobody "
        "arbitrated is an assumption of the table"
    )
    limits = ("low", "high")
    report.tables.append(
        Table(
            "Pathways",
            ("", "sensitivity", *limits, "specificity", *limits, "recall rate", "reads", "reads saved"),
            tuple(
                (p.name, *_three(p.sensitivity), *_three(p.specificity), p.recall_rate, p.reads, p.saved)
                for p in found
            ),
        )
    )
    changes = []
    for p in found[1:]:
        changes.append((f"{p.name}: sensitivity", *_three(p.sensitivity_difference), p.sensitivity_p))
        changes.append((f"{p.name}: specificity", *_three(p.specificity_difference), p.specificity_p))
    heads = ("", "difference", *limits, "one-sided p of non-inferiority")
    title = f"Against plain double reading, margin {options.margin:g}"
    report.tables.append(Table(title, heads, tuple(changes)))
    for p in found:
        for name, rate in (("sensitivity", p.sensitivity), ("specificity", p.specificity)):
            report.metrics[f"{name}_{p.name}"] = (rate.value, rate.interval.low, rate.interval.high)
    report.methods.append(
        "After McKinney 2020; Wilson's intervals; paired differences with Wald intervals and one-sided tests "
        f"of non-inferiority, margin {options.margin:g}; simulated: readers' decisions are taken as they "
        "would be without the model"
    )
    return report


def _three(rate: Rate | None) -> tuple[float | None, ...]:
    """Return a rate and its limits for a table."""
    return (None,) * 3 if rate is None else (rate.value, rate.interval.low, rate.interval.high)
