"""Studies of predicted risks: calibration, utility, survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from coread.errors import AnalysisError, InputError
from coread.evaluation import survival as sv
from coread.evaluation.calibration import brier_score, calibration, equal_count_bins
from coread.evaluation.operating import wilson
from coread.evaluation.reclassification import integrated_discrimination, net_reclassification
from coread.evaluation.roc import check_truth
from coread.evaluation.smooth import smooth_calibration
from coread.evaluation.studies.report import Line, Options, StudyReport, Table, curves
from coread.evaluation.tables import (
    binary,
    need,
    numbers,
    refuse_twice,
    score_columns,
    with_standard_names,
)
from coread.evaluation.utility import check_probabilities, decision_curve, survival_decision_curve

TAKEN = ("truth", "outcome", "cancer", "label", "time", "event", "status", "case", "row", "ttcancer")
THRESHOLDS = np.arange(1, 100) / 100


def _truth_and_names(
    frame: pd.DataFrame, options: Options
) -> tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]:
    table = with_standard_names(frame, ("truth", "case"))
    need(table, ("truth",))
    if "case" in table.columns:
        refuse_twice(table, ("case",))
    truth = check_truth(binary(table["truth"], "truth", options.positive))
    return table, truth, options.scores or score_columns(frame, taken=TAKEN)


def calibration_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return slope, intercepts, Brier score and ECE of predicted probabilities."""
    table, truth, names = _truth_and_names(frame, options)
    report = StudyReport("calibration", f"Calibration of {', '.join(names)}")
    report.checks.append(
        f"{truth.size} cases, {int(truth.sum())} with the outcome; probabilities from 0 to 1"
    )
    report.methods.append(
        "Slope and intercept of logit(outcome) on logit(p), jointly; calibration in the large with the "
        "slope fixed at 1; ECE over 10 bins of equal count; Wald intervals"
    )
    rows, scores, lines, errors = [], [], [], []
    for k, name in enumerate(names):
        p = check_probabilities(numbers(table, name), truth.size)
        found = calibration(truth, p, level=options.level)
        estimates = (found.slope, found.intercept, found.in_the_large)
        rows.append((name, *(v for e in estimates for v in (e.value, e.interval.low, e.interval.high))))
        parts = brier_score(truth, p, bins=10)
        scores.append(
            (
                name,
                parts.score,
                parts.reliability,
                parts.resolution,
                parts.uncertainty,
                parts.within,
                found.ece,
            )
        )
        smooth = smooth_calibration(truth, p)
        report.results[name] = {
            "calibration": found,
            "brier_10_bins": parts,
            "e_max": smooth.largest,
            "e_90": smooth.ninetieth,
            "e_avg": smooth.mean,
        }
        errors.append((name, smooth.largest, smooth.ninetieth, smooth.mean))
        lines.append(Line(f"{name}, smooth", smooth.predicted, smooth.observed, colour=k))
        report.metrics[f"calibration_slope_{name}"] = (
            found.slope.value,
            found.slope.interval.low,
            found.slope.interval.high,
        )
        report.metrics[f"brier_{name}"] = (found.brier.score, None, None)
        lines.append(_tenths(name, truth, p, k, options.level))
    limits = ("low", "high")
    heads: tuple[str, ...] = ("", "slope", *limits, "intercept", *limits, "in the large", *limits)
    report.tables.append(Table("Calibration", heads, tuple(rows)))
    heads = ("", "Brier", "reliability", "resolution", "uncertainty", "within bins", "ECE")
    report.tables.append(
        Table("Brier score and its parts, calibration error; 10 bins of equal count", heads, tuple(scores))
    )
    heads = ("", "E-max", "E90", "E-avg (ICI)")
    report.tables.append(Table("Distance of the smooth curve from the diagonal", heads, tuple(errors)))
    report.methods.append(
        "Smooth curve: lowess of outcome on prediction, span 2/3, no robustness iterations, as in rms"
    )
    title = (
        f"Observed by predicted, {truth.size} cases, {int(truth.sum())} with the outcome; smooth curve, and "
        f"tenths of equal count with {options.level:.0%} Wilson intervals"
    )
    plot = curves(lines, "predicted probability", "observed share", diagonal=True)
    report.plots.append((title, plot))
    return report


def _tenths(name: str, truth: NDArray[np.bool_], p: NDArray[np.float64], k: int, level: float) -> Line:
    bins = equal_count_bins(p, 10)
    parts = [bins == b for b in np.unique(bins)]
    rates = [wilson(int(truth[part].sum()), int(part.sum()), level=level) for part in parts]
    return Line(
        f"{name}, tenths",
        np.array([p[part].mean() for part in parts]),
        np.array([r.value for r in rates]),
        band=(np.array([r.interval.low for r in rates]), np.array([r.interval.high for r in rates])),
        colour=k,
        markers=True,
    )


def utility_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return decision curves; with times, at a horizon under censoring."""
    timed = with_standard_names(frame, ("time", "event")) if options.horizon else frame
    report = StudyReport("utility", "Decision curves")
    if options.horizon:
        need(timed, ("time", "event"))
        time, event = numbers(timed, "time"), binary(timed["event"], "event", options.positive)
        names = options.scores or score_columns(frame, taken=TAKEN)
        count, horizon = time.size, options.horizon[0]
        report.methods.append(
            f"Net benefit at {horizon:g}: Kaplan-Meier risk of those acted on (Vickers 2008)"
        )
    else:
        timed, truth, names = _truth_and_names(frame, options)
        count = truth.size
        report.methods.append("Net benefit: true positives - false positives x odds of the threshold, a case")
    report.checks.append(f"{count} cases, probabilities from 0 to 1")
    every = {n: check_probabilities(numbers(timed, n), count) for n in names}
    every |= {"treat all": np.ones(count), "treat none": np.zeros(count)}
    lines, rows = [], []
    for name, p in every.items():
        if options.horizon:
            found = survival_decision_curve(time, event, p, THRESHOLDS, horizon)
        else:
            found = decision_curve(truth, p, THRESHOLDS)
        report.results[name] = found
        shown = found.net_benefit > -0.05
        lines.append(Line(name, found.thresholds[shown], found.net_benefit[shown]))
        rows.append((name, *(found.net_benefit[int(t * 100) - 1] for t in (0.05, 0.1, 0.2, 0.3, 0.5))))
    report.tables.append(
        Table("Net benefit", ("acting on", "5 %", "10 %", "20 %", "30 %", "50 %"), tuple(rows))
    )
    title = f"Decision curves, {count} cases; not shown below -0.05"
    plot = curves(lines, "threshold probability", "net benefit a case")
    report.plots.append((title, plot))
    if not options.horizon and len(names) > 1:
        _add_reclassification(report, truth, {n: every[n] for n in names})
    return report


def _add_reclassification(
    report: StudyReport, truth: NDArray[np.bool_], scores: dict[str, NDArray[np.float64]]
) -> None:
    """Add how every later score moves cases against the first."""
    (base, before), *others = scores.items()
    rows = []
    for name, after in others:
        for title, measure in (("NRI", net_reclassification), ("IDI", integrated_discrimination)):
            try:
                found = measure(truth, before, after)
            except AnalysisError as error:
                report.checks.append(f"{title} of {name} against {base} left out: {error}")
                continue
            report.results[f"{title} {name} - {base}"] = found
            limits = found.interval
            rows.append((f"{title}, {name}", found.value, limits.low, limits.high, found.p))
    if rows:
        columns = (f"against {base}", "value", "low", "high", "p")
        report.tables.append(Table("Reclassification", columns, tuple(rows)))
        report.methods.append(
            "Category-free NRI and IDI (Pencina 2008, 2011); the NRI also rises for badly calibrated scores"
        )


def survival_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return concordance, areas over time and Brier scores; S_<t> columns hold survival predicted at t."""
    table = with_standard_names(frame, ("time", "event", "risk", "case"))
    if "case" in table.columns:
        refuse_twice(table, ("case",))
    need(table, ("time", "event"))
    time, event = numbers(table, "time"), binary(table["event"], "event", options.positive)
    columns = {
        float(c[2:]): c for c in table.columns if c.startswith("S_") and c[2:].replace(".", "", 1).isdigit()
    }
    horizons = sorted(options.horizon or columns)
    if "risk" not in table.columns and not columns:
        raise InputError(
            "no column risk, lp or S_<time>", "expected a prediction", "give --column risk=theirs"
        )
    risk = numbers(table, "risk") if "risk" in table.columns else 1 - numbers(table, columns[horizons[-1]])
    report = StudyReport("survival", "Survival predictions")
    size = f"{time.size} cases, {int(event.sum())} events"
    report.checks.append(size)
    report.methods.append(
        "Conventions of R: deaths before censorings at equal times, weights 1/G(t-); Uno without truncation"
    )
    z = float(stats.norm.ppf(0.5 + options.level / 2))
    indices = []
    for name, found in (("harrell", sv.harrell(time, event, risk)), ("uno", sv.uno(time, event, risk))):
        se = sv.concordance_se(time, event, risk, index="uno" if name == "uno" else "harrell")
        low, high = max(found.value - z * se, 0.0), min(found.value + z * se, 1.0)
        report.results[name] = {"concordance": found, "se": se, "low": low, "high": high}
        report.metrics[f"{name}_c"] = (found.value, low, high)
        indices.append((name.capitalize(), found.value, se, low, high))
    report.methods.append("Standard errors of concordance by the infinitesimal jackknife, normal intervals")
    report.tables.append(Table("Concordance", ("index", "value", "SE", "low", "high"), tuple(indices)))
    rows, scores, lines = [], [], []
    for h in horizons:
        s = numbers(table, columns[h]) if h in columns else None
        said = risk if s is None else 1 - s
        area = _with_limits(
            float(sv.time_dependent_auc(time, event, said, [h])[0]),
            float(sv.time_dependent_auc_se(time, event, said, [h])[0]),
            z,
        )
        score = None
        if s is not None:
            score = _with_limits(
                float(sv.brier(time, event, s[:, None], [h])[0]),
                float(sv.brier_se(time, event, s[:, None], [h])[0]),
                z,
            )
            expected, observed = sv.calibration_at(time, event, s, h)
            lines.append(Line(f"at {h:g}", 1 - expected, 1 - observed))
        rows.append((f"{h:g}", *area.values(), *(score or dict.fromkeys(area)).values()))
        scores.append(None if score is None else score["value"])
        report.results[f"at {h:g}"] = {"auc": area, "brier": score}
    names = ("value", "SE", "low", "high")
    heads = ("time", *(f"AUC {n}" for n in names), *(f"Brier {n}" for n in names))
    report.tables.append(Table("At each horizon", heads, tuple(rows)))
    report.methods.append(
        "Standard errors of areas and Brier scores by influence functions, with the estimated censoring; "
        "calibration in ten groups of equal count against Kaplan-Meier"
    )
    if lines:
        plot = curves(lines, "predicted risk", "observed risk (Kaplan-Meier)", diagonal=True)
        report.plots.append((f"Calibration at each horizon, groups of equal count; {size}", plot))
    known = [b for b in scores if b is not None]
    if len(known) == len(horizons) > 1:
        report.results["integrated_brier_left_step"] = sv.integrated_brier(horizons, known)
        report.results["integrated_brier_trapezium"] = sv.integrated_brier(horizons, known, rule="trapezium")
    km = sv.kaplan_meier(time, event)

    def steps(of: sv.StepFunction) -> NDArray[np.float64]:
        return np.repeat(np.r_[1.0, of.values], 2)[:-1]

    limits = sv.kaplan_meier_limits(time, event, level=options.level)
    line = Line(
        "observed",
        np.repeat(np.r_[0.0, km.times], 2)[1:],
        steps(km),
        band=(steps(limits[0]), steps(limits[1])),
    )
    plot = curves([line], "time (unit of the table)", "survival", from_zero=True)
    title = f"Kaplan-Meier estimate of all cases; {size}; pointwise {options.level:.0%} Greenwood limits"
    report.plots.append((title, plot))
    return report


def _with_limits(value: float, se: float, z: float) -> dict[str, float]:
    low, high = max(value - z * se, 0.0), min(value + z * se, 1.0)
    return {"value": value, "se": se, "low": low, "high": high}
