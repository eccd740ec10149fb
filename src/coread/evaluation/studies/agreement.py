"""Studies of agreement: of readers, of repeated measurements, of masks."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coread.core import Mask
from coread.errors import AnalysisError, InputError
from coread.evaluation import agreement as ag
from coread.evaluation.segmentation import lesion_detection, mask_surfaces, overlap
from coread.evaluation.studies.report import Line, Options, StudyReport, Table, curves
from coread.evaluation.tables import (
    need,
    numbers,
    refuse_twice,
    with_standard_names,
)


def agreement_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return ICC, kappa, alpha and limits of agreement of a table reader, case, rating.

    Ratings that are no numbers are categories: kappa and nominal alpha only. A reader's repeated rating of a
    case needs a column ``replicate``; the repeatability of each reader is told then, and the first replicate
    stands for the reader elsewhere.
    """
    table = with_standard_names(frame, ("reader", "case", "rating"))
    need(table, ("reader", "case", "rating"))
    given = table[table["rating"].notna()]
    values = pd.to_numeric(given["rating"], errors="coerce")
    categories = bool(values.isna().all()) and len(values) > 0
    table = given.assign(rating=given["rating"] if categories else numbers(given, "rating"))
    repeated = "replicate" in table.columns
    refuse_twice(table, ("reader", "case", "replicate") if repeated else ("reader", "case"))
    report = StudyReport("agreement", "")
    if repeated:
        _repeatability(report, table, options)
        table = table.sort_values("replicate", kind="stable").drop_duplicates(["reader", "case"])
    wide = table.pivot(index="case", columns="reader", values="rating")
    full = wide.dropna()
    readers, size = list(map(str, wide.columns)), f"{len(full)} cases rated by all"
    report.title = f"Agreement of {len(readers)} readers"
    report.checks.append(
        f"{len(wide)} cases, {len(wide) - len(full)} with a missing rating (left out of all but alpha)"
    )
    if len(readers) < 2 or len(full) < 2:
        raise InputError(
            f"{len(readers)} readers, {size}",
            "expected two or more of each",
            "a column named reader tells them",
        )
    rows: list[tuple[Any, ...]] = []
    if not categories:
        _measured(report, full, wide, rows, options)
    _kappas(report, full, wide, rows, options, categories=categories)
    report.tables.append(Table(f"Agreement, {size}", ("", "value", "low", "high"), tuple(rows)))
    report.methods.append(
        "ICC of Shrout and Fleiss with F limits; Krippendorff's alpha, missing ratings allowed; kappa of "
        "Cohen by pairs of readers (where they use 10 values or fewer) and of Fleiss over all"
    )
    return report


def _measured(
    report: StudyReport, full: pd.DataFrame, wide: pd.DataFrame, rows: list[tuple[Any, ...]], options: Options
) -> None:
    """Add ICC, alpha and limits of agreement of numbers."""
    x = full.to_numpy(dtype=np.float64)
    for form in ag.ICC_FORMS:
        try:
            found = ag.icc(x, form, level=options.level)
        except AnalysisError as error:
            report.checks.append(f"no {form}: {error}")
            continue
        report.results[form] = found
        rows.append((form, found.value, found.interval.low, found.interval.high))
        report.metrics[form] = (found.value, found.interval.low, found.interval.high)
    for metric in ("nominal", "ordinal", "interval"):
        _alpha(report, wide.to_numpy(dtype=np.float64), metric, rows)
    limits, bars = [], []
    for a, b in combinations(full.columns, 2):
        name = f"{a} - {b}"
        first, second = full[a].to_numpy(dtype=np.float64), full[b].to_numpy(dtype=np.float64)
        found_limits = ag.bland_altman(first, second, level=options.level)
        report.results["bland_altman" if len(full.columns) == 2 else f"bland_altman {name}"] = found_limits
        ends = found_limits
        limits.append(
            (name, ends.bias, ends.bias_interval.low, ends.bias_interval.high, ends.sd)
            + (ends.lower, ends.lower_interval.low, ends.lower_interval.high)
            + (ends.upper, ends.upper_interval.low, ends.upper_interval.high)
        )
        if len(full.columns) == 2:
            bars = [Line("cases", (first + second) / 2, first - second, markers=True)]
            span = np.array([(first + second).min() / 2, (first + second).max() / 2])
            for title, at in (("bias", ends.bias), ("lower limit", ends.lower), ("upper limit", ends.upper)):
                bars.append(Line(title, span, np.full(2, at), style=0 if title == "bias" else 1))
    low_high = ("low", "high")
    heads = ("", "bias", *low_high, "SD", "lower limit", *low_high, "upper limit", *low_high)
    report.tables.append(Table("Bland-Altman limits of agreement (1.96 SD)", heads, tuple(limits)))
    if bars:
        a, b = full.columns
        plot = curves(bars, "mean of both (unit of the rating)", f"{a} - {b} (unit of the rating)")
        report.plots.append((f"Bland-Altman plot of {len(full)} cases", plot))


def _alpha(
    report: StudyReport, ratings: NDArray[np.float64], metric: Any, rows: list[tuple[Any, ...]]
) -> None:
    try:
        alpha = ag.krippendorff_alpha(ratings.T, metric=metric)
    except AnalysisError as error:
        report.checks.append(f"no alpha, {metric}: {error}")
        return
    report.results[f"krippendorff {metric}"] = alpha
    rows.append((f"Krippendorff's alpha, {metric}", alpha, None, None))


def _kappas(
    report: StudyReport,
    full: pd.DataFrame,
    wide: pd.DataFrame,
    rows: list[tuple[Any, ...]],
    options: Options,
    *,
    categories: bool,
) -> None:
    """Add kappas of Cohen and Fleiss, where there are few values."""
    names = sorted({v for column in wide for v in wide[column].dropna()})
    if len(names) > 10:
        return
    code = {name: k for k, name in enumerate(names)}
    codes = full.apply(lambda column: column.map(code)).to_numpy(dtype=np.intp)
    if categories:
        coded = wide.apply(lambda column: column.map(code)).to_numpy(dtype=np.float64)
        _alpha(report, coded, "nominal", rows)
    weights: tuple[Any, ...] = ("none",) if categories else ("none", "linear", "quadratic")
    readers = list(map(str, full.columns))
    for (a, first), (b, second) in combinations(enumerate(readers), 2):
        for weight in weights:
            of = "" if len(readers) == 2 else f" {first} - {second}"
            try:
                kappa = ag.cohen_kappa(
                    codes[:, a],
                    codes[:, b],
                    weights=weight,
                    categories=range(len(names)),
                    level=options.level,
                )
            except AnalysisError as error:
                report.checks.append(f"no kappa{of}: {error}")
                break
            report.results[f"kappa {weight}{of}"] = kappa
            limits = kappa.interval.low, kappa.interval.high
            rows.append((f"Cohen's kappa, weights {weight}{of}", kappa.value, *limits))
    counts = np.stack([(codes == k).sum(axis=1) for k in range(len(names))], axis=1)
    try:
        fleiss = ag.fleiss_kappa(counts, level=options.level)
    except AnalysisError as error:
        report.checks.append(f"no kappa of Fleiss: {error}")
        return
    report.results["fleiss kappa"] = fleiss
    rows.append(("Fleiss' kappa", fleiss.value, fleiss.interval.low, fleiss.interval.high))


def _repeatability(report: StudyReport, table: pd.DataFrame, options: Options) -> None:
    rows = []
    for reader, own in table.groupby("reader"):
        wide = own.pivot(index="case", columns="replicate", values="rating").astype(float)
        wide = wide[wide.notna().sum(axis=1) > 1]
        if wide.empty:
            report.checks.append(f"no case repeated by reader {reader}")
            continue
        found = ag.repeatability(wide.to_numpy(), level=options.level)
        report.results[f"repeatability {reader}"] = found
        limits = found.rc_interval
        rows.append((reader, len(wide), found.wsd, found.rc, limits.low, limits.high, found.percent_rc))
    heads = ("reader", "cases", "wSD", "RC", "low", "high", "%RC")
    report.tables.append(Table("Repeatability, unit of the rating", heads, tuple(rows)))


def segmentation_study(frame: pd.DataFrame, options: Options, load: Callable[[str], Mask]) -> StudyReport:
    """Return overlap and distances of pairs of mask files, columns case, truth, mask.

    Args:
        frame: One row a case.
        options: `tolerance_mm` of the surface Dice.
        load: Reads a mask from the name in the table.
    """
    need(frame, ("case", "truth", "mask"))
    refuse_twice(frame, ("case",))
    report = StudyReport("segmentation", f"Segmentation of {len(frame)} cases")
    rows = []
    for row in frame.itertuples():
        truth, mask = load(str(row.truth)), load(str(row.mask))
        far = mask_surfaces(truth, mask)
        shared, lesions = overlap(truth.voxels, mask.voxels), lesion_detection(truth.voxels, mask.voxels)
        hd, asd, nsd = far.hausdorff(95), far.average(), far.surface_dice(options.tolerance_mm)
        rows.append(
            (
                str(row.case),
                shared.dice,
                hd,
                asd,
                nsd,
                shared.volumetric_similarity,
                f"{lesions.found}/{lesions.lesions}",
                lesions.false,
            )
        )
        report.results[str(row.case)] = {
            "overlap": shared,
            "hd95_mm": hd,
            "assd_mm": asd,
            "nsd": nsd,
            "lesions": lesions,
        }
    summary = []
    for k, name in enumerate(("Dice", "HD95 mm", "ASSD mm", "NSD", "volumetric similarity"), start=1):
        values = np.array([float(r[k]) for r in rows])
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        summary.append((name, len(values), float(values.mean()), float(middle), float(low), float(high)))
    heads = ("", "cases", "mean", "median", "lower quartile", "upper quartile")
    report.tables.append(Table("Over all cases", heads, tuple(summary)))
    report.results["over all cases"] = {r[0]: dict(zip(heads[1:], r[1:], strict=True)) for r in summary}
    report.metrics["dice_mean"] = (summary[0][2], None, None)
    report.checks.append(f"{len(rows)} pairs, each on one grid")
    report.methods.append(
        f"Surface elements by marching cubes; surface Dice at {options.tolerance_mm:g} mm; lesions by "
        "26-connected components, any overlap"
    )
    report.tables.append(
        Table(
            "Cases",
            ("case", "Dice", "HD95 mm", "ASSD mm", "NSD", "volumetric similarity", "lesions found", "false"),
            tuple(rows),
        )
    )
    return report
