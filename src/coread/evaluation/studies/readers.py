"""Studies of readers: multi-reader multi-case, free response."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import combinations
from typing import Any, cast

import numpy as np
import pandas as pd

from coread.errors import AnalysisError, CoreadError, InputError
from coread.evaluation import froc, roc
from coread.evaluation.mrmc import Analysis, ReaderStudy, analyse_figures, study_from_frame
from coread.evaluation.mrmc.covariance import Method, covariance
from coread.evaluation.mrmc.designs import area_pseudovalues, dbm, margin_test
from coread.evaluation.mrmc.obuchowski_rockette import Contrast, Fixed, mean_figure
from coread.evaluation.mrmc.ustatistics import mean_area
from coread.evaluation.studies.report import Line, Options, StudyReport, Table, curves
from coread.evaluation.tables import missing_cells, reader_table, with_standard_names

Frame = pd.DataFrame
NAMES: dict[Fixed, str] = {
    "none": "random readers and cases",
    "readers": "fixed readers",
    "cases": "fixed cases",
}
WORDS = {"delong": "DeLong", "jackknife": "the jackknife", "unbiased": "unbiased moments"}
CONTRASTS = ("", "estimate", "SE", "df", "low", "high", "p")


def mrmc_study(frame: Frame, options: Options) -> StudyReport:
    """Return the Obuchowski-Rockette analyses and the U-statistics of a reader study.

    Raises:
        InputError: The table is at fault (rows are named), or neither analysis can be made of this design.
    """
    table = reader_table(frame, options.positive)
    study = study_from_frame(table)
    report = StudyReport("mrmc", f"Reader study: {' against '.join(study.modalities)}")
    gone, which = missing_cells(table)
    size = (
        f"{len(study.readers)} readers, {len(study.modalities)} modalities, {len(study.cases)} cases, "
        f"{int(study.truth.sum())} diseased"
    )
    report.checks.append(size)
    shown = f": {'; '.join(which[:5])}{', ...' if gone > 5 else ''}" if gone else ""
    report.checks.append(f"{gone} reader-modality-case cells without a reading{shown}")
    report.results["design"] = {
        "readers": study.readers,
        "modalities": study.modalities,
        "cases": len(study.cases),
        "diseased": int(study.truth.sum()),
        "missing_cells": gone,
    }
    refused = _obuchowski_rockette(report, study, options)
    _u_statistics(report, study, options.level)
    if refused is not None:
        if not any(name.startswith("U-statistic") for name in report.results):
            raise refused
        report.checks.append(f"no Obuchowski-Rockette analysis: {refused}")
    report.plots.append((f"Empirical ROC curve of every reader; {size}", _reader_curves(study)))
    return report


def _reader_curves(study: ReaderStudy) -> str:
    lines = []
    for i, modality in enumerate(study.modalities):
        for j, reader in enumerate(study.readers):
            read = ~np.isnan(study.ratings[i, j])
            if 0 < study.truth[read].sum() < read.sum():
                curve = roc.curve(study.truth[read], study.ratings[i, j][read])
                x, y = 1 - curve.specificity, curve.sensitivity
                lines.append(Line(f"{modality}, reader {reader}", x, y, colour=i, style=j))
    return curves(lines, "1 - specificity", "sensitivity", diagonal=True)


def _obuchowski_rockette(report: StudyReport, study: ReaderStudy, options: Options) -> InputError | None:
    """Add every analysis of the areas; return why there is none, if so."""
    method, fixed = cast("Method", options.method), cast("Fixed", options.fixed)
    try:
        figures, cov = covariance(study, method)
    except InputError as error:
        return error
    _single_readers(report, study, figures, cov, options.level)
    try:
        if len(study.modalities) == 1:
            _one_modality(report, study, figures, cov, options)
            return None
        found = _analyses(report, figures, cov, study, options, method)
    except InputError as error:
        return error
    _show(report, found, study, f"Obuchowski-Rockette, {NAMES[fixed]}")
    report.results["Obuchowski-Rockette"] = found
    _margins(report, found, options.margin)
    _dorfman_berbaum_metz(report, study)
    return None


def _analyses(
    report: StudyReport,
    figures: froc.Floats,
    cov: froc.Floats,
    study: ReaderStudy | froc.FrocStudy,
    options: Options,
    method: str,
    into: str = "analyses",
) -> Analysis:
    """Add the analyses with random and fixed readers and cases; return the one that was asked for.

    Raises:
        InputError: That one can't be made.
    """
    every: dict[str, Any] = {}
    chosen: Analysis | CoreadError | None = None
    for fixed, name in NAMES.items():
        found: Analysis | CoreadError
        try:
            found = analyse_figures(
                figures,
                cov,
                study.modalities,
                study.readers,
                method=method,
                fixed=fixed,
                level=options.level,
            )
        except (InputError, AnalysisError) as error:
            found = error
        every[name] = found if isinstance(found, Analysis) else {"not_estimable": str(found)}
        if fixed == options.fixed:
            chosen = found
    report.results[into] = every
    if isinstance(chosen, Analysis):
        return chosen
    raise chosen or InputError(f"fixed {options.fixed}", "expected none, readers or cases")


def _single_readers(
    report: StudyReport, study: ReaderStudy, figures: froc.Floats, cov: froc.Floats, level: float
) -> None:
    """Add the area of every reader in every modality, and their covariance over cases."""
    cells = [(m, r) for m in study.modalities for r in study.readers]
    areas = roc.Areas(figures.ravel(), cov, "covariance over cases")
    rows, found = [], []
    for k, (modality, reader) in enumerate(cells):
        if np.isnan(areas.area[k]):
            continue
        i, j = divmod(k, len(study.readers))
        read = ~np.isnan(study.ratings[i, j])
        sick, se = int(study.truth[read].sum()), float(np.sqrt(max(cov[k, k], 0.0)))
        half = areas.interval(k, level=level) if cov[k, k] >= 0 else None
        limits = (None, None) if half is None else (half.low, half.high)
        found.append(
            {
                "modality": modality,
                "reader": reader,
                "auc": areas.area[k],
                "se": se,
                "interval": {"low": limits[0], "high": limits[1], "level": level, "method": "normal"},
                "cases": int(read.sum()),
                "diseased": sick,
            }
        )
        rows.append((modality, reader, sick, int(read.sum()) - sick, areas.area[k], se, *limits))
    report.results["readers"] = found
    report.results["covariance"] = {"cells": [list(c) for c in cells], "matrix": cov}
    heads = ("modality", "reader", "diseased", "healthy", "AUC", "SE", "low", "high")
    report.tables.append(Table("Every reader", heads, tuple(rows)))


def _one_modality(
    report: StudyReport, study: ReaderStudy, figures: froc.Floats, cov: froc.Floats, options: Options
) -> None:
    found: dict[str, Any] = {}
    rows = []
    for fixed, name in NAMES.items():
        try:
            mean = mean_figure(figures, cov, 0, study.modalities[0], fixed, options.level)
        except InputError as error:
            found[name] = {"not_estimable": str(error)}
            continue
        found[name] = {"means": [mean]}
        rows.append((name, *_numbers_of(mean)))
        if fixed == options.fixed:
            report.metrics[f"figure_{mean.first}"] = (mean.estimate, mean.interval.low, mean.interval.high)
    report.results["analyses"] = found
    report.methods.append(
        f"One modality from its own readers, covariance by {WORDS[options.method]}, degrees of freedom of "
        "Hillis"
    )
    report.tables.append(Table("Mean area, Obuchowski-Rockette", CONTRASTS, tuple(rows)))


def _numbers_of(c: Contrast) -> tuple[Any, ...]:
    return c.estimate, c.se, c.df, c.interval.low, c.interval.high, c.p


def _show(report: StudyReport, found: Analysis, study: ReaderStudy | froc.FrocStudy, name: str) -> None:
    words = WORDS.get(found.method, found.method)
    report.methods.append(
        f"{name}: covariance by {words}; {found.design}; degrees of freedom of "
        "Hillis; p of pairs of modalities not corrected"
    )
    test = found.test
    report.tables.append(
        Table(
            f"{name}: all modalities equal",
            (test.name, "df1", "df2", "p"),
            ((test.statistic, test.df1, test.df2, test.p),),
        )
    )
    rows = [
        (
            (f"{c.first} - {c.second}" if c.second else c.first)
            + (f", reader {c.reader}" if c.reader else ""),
            *_numbers_of(c),
        )
        for c in (*found.differences, *found.means, *found.by_reader)
    ]
    report.tables.append(Table(f"{name}: differences and means", CONTRASTS, tuple(rows)))
    if found.components is not None:
        parts = {
            "variance (error)": found.components.variance,
            "Cov1, same reader": found.components.cov1,
            "Cov2, same modality": found.components.cov2,
            "Cov3, neither": found.components.cov3,
            "variance of readers": found.components.reader,
            "variance of reader by modality": found.components.interaction,
        }
        report.tables.append(Table(f"{name}: covariances and variances", ("of", "value"), (*parts.items(),)))
    for c in found.means:
        report.metrics[f"figure_{c.first}"] = (c.estimate, c.interval.low, c.interval.high)
    for c in found.differences:
        report.metrics[f"difference_{c.first}_{c.second}"] = (c.estimate, c.interval.low, c.interval.high)


def _margins(report: StudyReport, found: Analysis, margin: float) -> None:
    rows, tests = [], {}
    for c in found.differences:
        for new, old, estimate in ((c.first, c.second, c.estimate), (c.second, c.first, -c.estimate)):
            name = f"{new} not worse than {old}"
            try:
                test = margin_test(replace(c, estimate=estimate), margin)
            except AnalysisError as error:
                report.checks.append(f"no test of {name}: {error.came}")
                continue
            tests[name] = test
            rows.append((name, test.margin, estimate, test.bound, test.p, test.holds))
    if rows:
        report.results["non_inferiority"] = tests
        heads = ("claim", "margin", "difference", "lower 97.5 % limit", "one-sided p", "shown")
        report.tables.append(Table("Non-inferiority", heads, tuple(rows)))
        report.methods.append(
            f"Non-inferiority with the margin {margin:g} (--margin), one-sided at 2.5 %; a margin must be "
            "set before the data are seen"
        )


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
    report.tables.append(Table(title, ("F", "df1", "df2", "p"), ((found.f, found.df1, found.df2, found.p),)))
    parts = tuple(found.components.items())
    report.tables.append(Table("Dorfman-Berbaum-Metz: variance components", ("of", "variance"), parts))


def _u_statistics(report: StudyReport, study: ReaderStudy, level: float) -> None:
    rows: list[tuple[Any, ...]] = []
    pairs = [(m, None) for m in study.modalities] + list(combinations(study.modalities, 2))
    for first, second in pairs:
        name = first if second is None else f"{first} - {second}"
        try:
            u = mean_area(study, first, second, level=level)
        except InputError as error:
            report.checks.append(f"no U-statistic of {name}: {error.came}")
            continue
        se = float(np.sqrt(max(u.variance, 0.0)))
        report.results[f"U-statistic {name}"] = {**asdict(u), "se": se}
        rows.append((name, u.estimate, se, u.df, u.interval.low, u.interval.high, u.p, u.method))
    report.methods.append(
        "U-statistics of Gallas, readers and cases random, degrees of freedom after Gaylor and Hopper; "
        "p of a single modality against an area of 0.5"
    )
    report.tables.append(Table("U-statistics", (*CONTRASTS, "variance by"), tuple(rows)))


def froc_study_report(marks: Frame, truth: Frame, options: Options) -> StudyReport:
    """Return the ten figures of merit of a free-response study, their analyses, and the test of wAFROC."""
    marks = with_standard_names(marks, ("reader", "modality", "case", "rating", "kind", "lesion"))
    truth = with_standard_names(truth, ("case", "lesion", "weight"))
    if "diseased" not in truth.columns:
        truth = with_standard_names(truth.rename(columns={"truth": "diseased"}), ("diseased",))
    if "diseased" not in truth.columns and "diseased" in marks.columns:
        raise InputError("the second table has no column diseased", "expected marks first, then truth")
    study = froc.froc_study(marks, truth, positive=options.positive)
    report = StudyReport("froc", f"Free-response study: {' against '.join(study.modalities)}")
    size = (
        f"{len(study.readers)} readers, {len(study.cases)} cases, {int(study.diseased.sum())} diseased, "
        f"{len(study.weight)} lesions"
    )
    report.checks.append(f"{size}, {len(marks)} marks")
    none = ~((study.lesion_rating > froc.NONE).any(axis=2) | (study.false_marks > 0).any(axis=2))
    for m, r in np.argwhere(none):
        report.checks.append(f"reader {study.readers[r]} made no mark in {study.modalities[m]}")
    found: dict[froc.Figure, Any] = {}
    rows = []
    for figure in froc.FIGURES:
        try:
            values = froc.figures(study, figure)
        except InputError as error:
            report.checks.append(f"no {figure}: {error}")
            continue
        found[figure] = values
        rows += [(figure, m, *row.tolist()) for m, row in zip(study.modalities, values, strict=True)]
    report.results["figures"] = found
    heads = ("figure", "modality", *(f"reader {r}" for r in study.readers))
    report.tables.append(Table("Figures of merit", heads, tuple(rows)))
    report.methods.append(
        "A mark is a true one where the table says so (kind LL); unmarked cases and lesions rank below "
        "every mark and tie among themselves"
    )
    _froc_analyses(report, study, options, tuple(found))
    _froc_plots(report, study, marks, size)
    return report


def _froc_plots(report: StudyReport, study: froc.FrocStudy, marks: Frame, size: str) -> None:
    false = marks[marks["kind"].astype(str).str.strip().str.upper() == "NL"]
    keys = false["modality"].astype(str), false["reader"].astype(str)
    ratings = pd.to_numeric(false["rating"]).groupby([*keys]).apply(np.asarray).to_dict()
    lines, afroc = [], []
    for i, modality in enumerate(study.modalities):
        for j, reader in enumerate(study.readers):
            name = f"{modality}, reader {reader}"
            mine = ratings.get((modality, reader), np.zeros(0))
            points = froc.froc_curve(mine, study.lesion_rating[i, j], len(study.cases))
            lines.append(Line(name, *points, colour=i, style=j))
            if (~study.diseased).any():
                afroc.append(Line(name, *froc.afroc_curve(study, i, j), colour=i, style=j))
    found = "share of lesions found"
    report.plots.append((f"FROC curve of every reader; {size}", curves(lines, "false marks a case", found)))
    if afroc:
        draw = curves(afroc, "share of healthy cases with a false mark", found)
        report.plots.append((f"AFROC curve of every reader; {size}", draw))


def _froc_analyses(
    report: StudyReport, study: froc.FrocStudy, options: Options, names: tuple[froc.Figure, ...]
) -> None:
    if len(study.modalities) < 2:
        report.checks.append("one modality: figures of merit without a comparison")
        return
    every: dict[str, Any] = {}
    refused: CoreadError | None = None
    for figure in names:
        figures, cov = froc.jackknife(study, figure)
        part = StudyReport("froc", figure)
        try:
            analysis = _analyses(part, figures, cov, study, options, "jackknife")
        except (InputError, AnalysisError) as error:
            every[figure] = part.results["analyses"]
            refused = error if figure == "wAFROC" else refused
            continue
        every[figure] = part.results["analyses"]
        if figure == "wAFROC":
            _show(report, analysis, study, f"wAFROC, {NAMES[cast('Fixed', options.fixed)]}")
        if figure in ("wAFROC", "AFROC", "HrAuc"):
            report.results[figure] = analysis
    report.results["analyses"] = every
    if refused is not None:
        raise refused
