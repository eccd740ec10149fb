"""Studies of predicted risks: calibration, utility, survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from coread.errors import AnalysisError, InputError
from coread.evaluation import survival as sv
from coread.evaluation.calibration import calibration, equal_count_bins
from coread.evaluation.reclassification import integrated_discrimination, net_reclassification
from coread.evaluation.roc import check_truth
from coread.evaluation.smooth import smooth_calibration
from coread.evaluation.studies.report import Options, StudyReport, Table, curves
from coread.evaluation.tables import binary, need, numbers, score_columns, with_standard_names
from coread.evaluation.utility import check_probabilities, decision_curve, survival_decision_curve

TAKEN = ("truth", "outcome", "cancer", "label", "time", "event", "status", "case", "row", "ttcancer")
THRESHOLDS = np.arange(1, 100) / 100


def _truth_and_names(
    frame: pd.DataFrame, options: Options
) -> tuple[pd.DataFrame, np.ndarray, tuple[str, ...]]:
    table = with_standard_names(frame, ("truth",))
    need(table, ("truth",))
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
    rows, lines, errors = [], [], []
    for name in names:
        p = check_probabilities(numbers(table, name), truth.size)
        found = calibration(truth, p, level=options.level)
        rows.append(
            (
                name,
                found.slope.value,
                found.slope.interval.low,
                found.slope.interval.high,
                found.intercept.value,
                found.in_the_large.value,
                found.brier.score,
                found.ece,
            )
        )
        smooth = smooth_calibration(truth, p)
        report.results[name] = {
            "calibration": found,
            "e_max": smooth.largest,
            "e_90": smooth.ninetieth,
            "e_avg": smooth.mean,
        }
        errors.append((name, smooth.largest, smooth.ninetieth, smooth.mean))
        lines.append((f"{name}, smooth", smooth.predicted, smooth.observed))
        report.metrics[f"calibration_slope_{name}"] = (
            found.slope.value,
            found.slope.interval.low,
            found.slope.interval.high,
        )
        report.metrics[f"brier_{name}"] = (found.brier.score, None, None)
        bins = equal_count_bins(p, 10)
        kept = np.unique(bins)
        lines.append(
            (
                name,
                np.array([p[bins == b].mean() for b in kept]),
                np.array([truth[bins == b].mean() for b in kept]),
            )
        )
    report.tables.append(
        Table(
            "Calibration",
            ("", "slope", "low", "high", "intercept", "in the large", "Brier", "ECE"),
            tuple(rows),
        )
    )
    report.plots.append(
        ("Observed by predicted, tenths", curves(lines, "predicted", "observed", diagonal=True))
    )
    return report


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
        lines.append((name, found.thresholds[shown], found.net_benefit[shown]))
        rows.append((name, *(found.net_benefit[int(t * 100) - 1] for t in (0.05, 0.1, 0.2, 0.3, 0.5))))
    report.tables.append(
        Table("Net benefit", ("acting on", "5 %", "10 %", "20 %", "30 %", "50 %"), tuple(rows))
    )
    report.plots.append(("Decision curves", curves(lines, "threshold probability", "net benefit")))
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
    table = with_standard_names(frame, ("time", "event", "risk"))
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
    report.checks.append(f"{time.size} cases, {int(event.sum())} events")
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
            lines.append((f"at {h:g}", 1 - expected, 1 - observed))
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
        report.plots.append(("Calibration at each horizon, groups of equal count", plot))
    known = [b for b in scores if b is not None]
    if len(known) == len(horizons) > 1:
        report.results["integrated_brier_left_step"] = sv.integrated_brier(horizons, known)
        report.results["integrated_brier_trapezium"] = sv.integrated_brier(horizons, known, rule="trapezium")
    km = sv.kaplan_meier(time, event)
    report.plots.append(
        (
            "Kaplan-Meier estimate of all cases",
            curves([("observed", km.times, km.values)], "time", "survival"),
        )
    )
    return report


def _with_limits(value: float, se: float, z: float) -> dict[str, float]:
    low, high = max(value - z * se, 0.0), min(value + z * se, 1.0)
    return {"value": value, "se": se, "low": low, "high": high}
