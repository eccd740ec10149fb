"""Studies of readers and scores: ROC, multi-reader multi-case, free response."""

from __future__ import annotations

from itertools import combinations
from typing import Any, cast

import pandas as pd

from coread.errors import CoreadError, InputError
from coread.evaluation import froc, roc
from coread.evaluation.mrmc import Analysis, ReaderStudy, analyse, study_from_frame
from coread.evaluation.mrmc.covariance import Method
from coread.evaluation.mrmc.designs import area_pseudovalues, dbm
from coread.evaluation.mrmc.obuchowski_rockette import Fixed
from coread.evaluation.mrmc.ustatistics import mean_area
from coread.evaluation.operating import average_precision, operating_point, precision_recall
from coread.evaluation.studies.report import Options, StudyReport, Table, curves
from coread.evaluation.tables import (
    binary,
    missing_cells,
    need,
    numbers,
    reader_table,
    score_columns,
    with_standard_names,
)

Frame = pd.DataFrame


def roc_study(frame: Frame, options: Options) -> StudyReport:
    """Return areas with tests, curves and operating points of one or several scores over the same cases."""
    table = with_standard_names(frame, ("truth",))
    need(table, ("truth",))
    truth = roc.check_truth(binary(table["truth"], "truth", options.positive))
    names = options.scores or score_columns(frame, taken=("truth", "outcome", "cancer", "label"))
    signs = {n: -1.0 if n in options.lower else 1.0 for n in names}
    scores = pd.DataFrame({n: signs[n] * numbers(table, n) for n in names}).to_numpy()
    clusters = table["patient"].to_numpy() if "patient" in table.columns else None
    found = roc.areas(truth, scores, clusters=clusters)
    report = StudyReport("roc", f"ROC analysis of {', '.join(names)}")
    report.checks.append(f"{truth.size} cases, {int(truth.sum())} diseased, no gaps, both classes present")
    report.methods.append(
        f"Area under the empirical curve, ties half; variance: {found.method}; higher scores speak "
        f"for disease{', but not of ' + ', '.join(options.lower) if options.lower else ''}"
    )
    report.methods.append(
        "Operating points at the largest Youden index unless a threshold is given: optimistic when "
        "chosen on the cases it is measured on; Wilson's intervals"
    )
    rows, points, lines, precisions = [], [], [], []
    for k, name in enumerate(names):
        x, interval = scores[:, k], found.interval(k, level=options.level)
        at = options.threshold if options.threshold is not None else signs[name] * roc.youden(truth, x)[0]
        point = operating_point(
            truth, x, signs[name] * at, prevalence=options.prevalence, level=options.level
        )
        precision = average_precision(truth, x)
        rows.append((name, found.area[k], interval.low, interval.high, precision))
        points.append(
            (
                name,
                at,
                point.sensitivity.value,
                point.specificity.value,
                point.ppv,
                point.npv,
                point.positive_ratio.value,
                point.negative_ratio.value,
            )
        )
        curve = roc.curve(truth, x)
        lines.append((f"{name} {found.area[k]:.3f}", 1 - curve.specificity, curve.sensitivity))
        exact, recall = precision_recall(truth, x)
        precisions.append((f"{name} {precision:.3f}", recall, exact))
        report.results[name] = {
            "auc": found.area[k],
            "variance": found.covariance[k, k],
            "interval": interval,
            "average_precision": precision,
            "operating_point": point,
        }
        report.metrics[f"auc_{name}"] = (float(found.area[k]), interval.low, interval.high)
    report.tables.append(Table("Areas", ("score", "AUC", "low", "high", "average precision"), tuple(rows)))
    report.tables.append(
        Table(
            "Operating points",
            ("score", "threshold", "sensitivity", "specificity", "PPV", "NPV", "LR+", "LR-"),
            tuple(points),
        )
    )
    tests = []
    for a, b in combinations(range(len(names)), 2):
        test = roc.compare_paired(found, a, b, level=options.level)
        report.results[f"{names[a]} - {names[b]}"] = test
        tests.append(
            (
                f"{names[a]} - {names[b]}",
                test.difference,
                test.interval.low,
                test.interval.high,
                test.statistic,
                test.p,
            )
        )
    if tests:
        report.tables.append(
            Table("Paired differences", ("scores", "difference", "low", "high", "z", "p"), tuple(tests))
        )
    report.plots.append(("ROC curves", curves(lines, "1 - specificity", "sensitivity", diagonal=True)))
    title = f"Precision and recall at a prevalence of {truth.mean():.3f}, with average precision"
    report.plots.append((title, curves(precisions, "recall (sensitivity)", "precision (PPV)")))
    return report


def mrmc_study(frame: Frame, options: Options) -> StudyReport:
    """Return the Obuchowski-Rockette analysis and the U-statistics of a reader study."""
    table = reader_table(frame)
    study = study_from_frame(table)
    report = StudyReport("mrmc", f"Reader study: {' against '.join(study.modalities)}")
    gone, which = missing_cells(table)
    report.checks.append(
        f"{len(study.readers)} readers, {len(study.modalities)} modalities, {len(study.cases)} cases, "
        f"{int(study.truth.sum())} diseased"
    )
    report.checks.append(
        f"{gone} reader-modality-case cells without a reading"
        + (f": {'; '.join(which[:5])}, ..." if gone else "")
    )
    if len(study.modalities) > 1:
        method, fixed = cast("Method", options.method), cast("Fixed", options.fixed)
        found = analyse(study, method=method, fixed=fixed, level=options.level)
        _analysis(report, found, study, "Obuchowski-Rockette")
        _dorfman_berbaum_metz(report, study)
    _u_statistics(report, study, options.level)
    lines = []
    for i, modality in enumerate(study.modalities):
        for j, reader in enumerate(study.readers):
            read = study.ratings[i, j] == study.ratings[i, j]
            if 0 < study.truth[read].sum() < read.sum():
                curve = roc.curve(study.truth[read], study.ratings[i, j][read])
                lines.append((f"{modality}, reader {reader}", 1 - curve.specificity, curve.sensitivity))
    report.plots.append(("Every reader", curves(lines, "1 - specificity", "sensitivity", diagonal=True)))
    return report


def _analysis(report: StudyReport, found: Analysis, study: ReaderStudy | froc.FrocStudy, name: str) -> None:
    report.results[name] = found
    report.methods.append(
        f"{name}, covariance by {found.method}, fixed: {found.fixed}, degrees of freedom of Hillis"
    )
    report.tables.append(
        Table(
            "Figures of merit",
            ("modality", *(f"reader {r}" for r in study.readers)),
            tuple((m, *found.figures[i].tolist()) for i, m in enumerate(study.modalities)),
        )
    )
    test = found.test
    report.tables.append(
        Table(
            f"{name}: all modalities equal",
            ("statistic", "df1", "df2", "p"),
            ((test.statistic, test.df1, test.df2, test.p),),
        )
    )
    rows = [
        (
            f"{c.first} - {c.second}" if c.second else c.first,
            c.estimate,
            c.se,
            c.df,
            c.interval.low,
            c.interval.high,
            c.p,
        )
        for c in (*found.differences, *found.means, *found.by_reader)
    ]
    report.tables.append(
        Table(f"{name}: differences and means", ("", "estimate", "SE", "df", "low", "high", "p"), tuple(rows))
    )
    for c in found.means:
        report.metrics[f"figure_{c.first}"] = (c.estimate, c.interval.low, c.interval.high)
    for c in found.differences:
        report.metrics[f"difference_{c.first}_{c.second}"] = (c.estimate, c.interval.low, c.interval.high)


def _dorfman_berbaum_metz(report: StudyReport, study: ReaderStudy) -> None:
    try:
        found = dbm(area_pseudovalues(study))
    except CoreadError as error:
        report.checks.append(f"no analysis of Dorfman, Berbaum and Metz: {error}")
        return
    report.results["Dorfman-Berbaum-Metz"] = found
    report.methods.append(
        "Dorfman-Berbaum-Metz: pseudovalues of the area, readers and cases random (Hillis 2008)"
    )
    title = "Dorfman-Berbaum-Metz: all modalities equal"
    heads = ("statistic", "df1", "df2", "p")
    report.tables.append(Table(title, heads, ((found.f, found.df1, found.df2, found.p),)))
    parts = tuple(found.components.items())
    report.tables.append(Table("Dorfman-Berbaum-Metz: variance components", ("of", "variance"), parts))


def _u_statistics(report: StudyReport, study: ReaderStudy, level: float) -> None:
    rows: list[tuple[Any, ...]] = []
    pairs = [(m, None) for m in study.modalities] + list(combinations(study.modalities, 2))
    for first, second in pairs:
        try:
            u = mean_area(study, first, second, level=level)
        except InputError as error:
            report.checks.append(f"no U-statistic of {first}: {error.came}")
            continue
        name = first if second is None else f"{first} - {second}"
        report.results[f"U-statistic {name}"] = u
        rows.append((name, u.estimate, u.variance, u.df, u.interval.low, u.interval.high, u.p, u.method))
    report.methods.append(
        "U-statistics of Gallas, readers and cases random, degrees of freedom after Gaylor and Hopper"
    )
    report.tables.append(
        Table(
            "U-statistics", ("", "estimate", "variance", "df", "low", "high", "p", "variance by"), tuple(rows)
        )
    )


def froc_study_report(marks: Frame, truth: Frame, options: Options) -> StudyReport:
    """Return the ten figures of merit of a free-response study and the test of wAFROC."""
    marks = with_standard_names(marks, ("reader", "modality", "case", "rating"))
    truth = with_standard_names(truth, ("case",))
    if "diseased" not in truth.columns and "diseased" in marks.columns:
        raise InputError("the second table has no column diseased", "expected marks first, then truth")
    study = froc.froc_study(marks, truth)
    report = StudyReport("froc", f"Free-response study: {' against '.join(study.modalities)}")
    report.checks.append(
        f"{len(study.readers)} readers, {len(study.cases)} cases, {int(study.diseased.sum())} diseased, "
        f"{len(study.weight)} lesions, {len(marks)} marks"
    )
    report.results["figures"] = {f: froc.figures(study, f) for f in froc.FIGURES}
    for f in froc.FIGURES:
        report.tables.append(
            Table(
                f,
                ("modality", *study.readers),
                tuple(
                    (m, *row.tolist())
                    for m, row in zip(study.modalities, report.results["figures"][f], strict=True)
                ),
            )
        )
    _analysis(
        report,
        froc.analyse_froc(study, fixed=cast("Fixed", options.fixed), level=options.level),
        study,
        "wAFROC",
    )
    return report
