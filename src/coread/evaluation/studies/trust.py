"""Studies of trust: agreement, segmentation, subgroups, drift, double reading."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coread.core import Mask
from coread.errors import AnalysisError, InputError
from coread.evaluation import agreement as ag
from coread.evaluation.double_reading import simulate
from coread.evaluation.drift import shift_of_labels, shift_of_numbers
from coread.evaluation.roc import areas, check_truth
from coread.evaluation.segmentation import lesion_detection, mask_surfaces, overlap
from coread.evaluation.studies.report import Options, StudyReport, Table
from coread.evaluation.subgroups import subgroup_report
from coread.evaluation.tables import binary, need, numbers, score_columns, with_standard_names


def agreement_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return ICC, kappa or limits of agreement of a table reader, case, rating."""
    table = with_standard_names(frame, ("reader", "case", "rating"))
    need(table, ("reader", "case", "rating"))
    table = table.assign(rating=numbers(table, "rating"))
    twice = table.duplicated(["reader", "case"], keep=False)
    if twice.any():
        rows = (np.flatnonzero(twice) + 1)[:10].tolist()
        raise InputError(
            f"reader and case occur twice in rows {rows}", "expected one rating a reader and case"
        )
    wide = table.pivot(index="case", columns="reader", values="rating")
    full = wide.dropna()
    report = StudyReport("agreement", f"Agreement of {wide.shape[1]} readers")
    report.checks.append(
        f"{len(wide)} cases, {len(wide) - len(full)} with a missing rating (left out of all but alpha)"
    )
    rows = []
    for form in ag.ICC_FORMS:
        found = ag.icc(full.to_numpy(), form, level=options.level)
        report.results[form] = found
        rows.append((form, found.value, found.interval.low, found.interval.high))
        report.metrics[form] = (found.value, found.interval.low, found.interval.high)
    for metric in ("nominal", "ordinal", "interval"):
        alpha = ag.krippendorff_alpha(wide.to_numpy().T, metric=metric)
        report.results[f"krippendorff {metric}"] = alpha
        rows.append((f"Krippendorff's alpha, {metric}", alpha, None, None))
    if wide.shape[1] == 2:
        a, b = full.to_numpy().T
        limits = ag.bland_altman(a, b, level=options.level)
        report.results["bland_altman"] = limits
        rows.append(("Bland-Altman bias and limits", limits.bias, limits.lower, limits.upper))
        try:
            for weights in ("none", "linear", "quadratic"):
                kappa = ag.cohen_kappa(a, b, weights=weights, level=options.level)
                report.results[f"kappa {weights}"] = kappa
                rows.append(
                    (
                        f"Cohen's kappa, weights {weights}",
                        kappa.value,
                        kappa.interval.low,
                        kappa.interval.high,
                    )
                )
        except AnalysisError as error:
            report.checks.append(f"no kappa: {error}")
    report.tables.append(Table("Agreement", ("", "value", "low", "high"), tuple(rows)))
    report.methods.append(
        "ICC of Shrout and Fleiss with F limits; alpha of Krippendorff, missing ratings allowed"
    )
    return report


def segmentation_study(frame: pd.DataFrame, options: Options, load: Callable[[str], Mask]) -> StudyReport:
    """Return overlap and distances of pairs of mask files, columns case, truth, mask.

    Args:
        frame: One row a case.
        options: `tolerance_mm` of the surface Dice.
        load: Reads a mask from the name in the table.
    """
    need(frame, ("case", "truth", "mask"))
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
    dice = np.array([r[1] for r in rows])
    report.metrics["dice_mean"] = (float(dice.mean()), None, None)
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


def _scored(
    frame: pd.DataFrame, options: Options
) -> tuple[pd.DataFrame, NDArray[np.bool_], NDArray[np.float64], str, float]:
    table = with_standard_names(frame, ("truth",))
    need(table, ("truth",))
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
    report.checks.append(f"{truth.size} cases in {len(found.groups)} subgroups")
    rows = tuple(
        (
            g.name,
            g.cases,
            g.diseased,
            *(
                None if g.area is None else v
                for v in (
                    g.area and g.area.value,
                    g.area and g.area.interval.low,
                    g.area and g.area.interval.high,
                )
            ),
            g.sensitivity and g.sensitivity.value,
            g.specificity and g.specificity.value,
            g.p,
        )
        for g in found.groups
    )
    report.tables.append(
        Table(
            f"At the threshold {threshold:g}",
            (
                options.group,
                "cases",
                "diseased",
                "AUC",
                "low",
                "high",
                "sensitivity",
                "specificity",
                "p (Holm)",
            ),
            rows,
        )
    )
    report.tables.append(
        Table(
            "Gaps (equalised odds)",
            ("sensitivity", "false positive rate"),
            ((found.sensitivity_gap, found.false_positive_gap),),
        )
    )
    report.methods.append(
        "Area of each subgroup against all others, DeLong (clustered where a column patient is there), Holm"
    )
    return report


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
            if column == options.group or frame[column].isna().any():
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
    if "truth" in with_standard_names(frame, ("truth",)).columns and options.scores:
        _, truth, score, _, _ = _scored(frame, options)
        for window in sorted(set(windows)):
            inside = (windows == window).to_numpy()
            area = areas(truth[inside], score[inside])
            report.results[f"AUC in {window}"] = {
                "auc": area.area[0],
                "interval": area.interval(level=options.level),
            }
    return report


def double_reading_study(frame: pd.DataFrame, options: Options) -> StudyReport:
    """Return the pathways of double reading; columns truth, first, second, arbitration, model or score."""
    table = with_standard_names(frame, ("truth",))
    need(table, ("truth", "first", "second", "arbitration"))
    calls = {n: binary(table[n], n) for n in ("truth", "first", "second", "arbitration")}
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
    report.tables.append(
        Table(
            "Pathways",
            (
                "",
                "sensitivity",
                "low",
                "high",
                "specificity",
                "low",
                "high",
                "recall rate",
                "reads",
                "saved",
                "p sens.",
                "p spec.",
            ),
            tuple(
                (
                    p.name,
                    p.sensitivity.value,
                    p.sensitivity.interval.low,
                    p.sensitivity.interval.high,
                    p.specificity.value,
                    p.specificity.interval.low,
                    p.specificity.interval.high,
                    p.recall_rate,
                    p.reads,
                    p.saved,
                    p.sensitivity_p,
                    p.specificity_p,
                )
                for p in found
            ),
        )
    )
    report.methods.append(f"After McKinney 2020; one-sided paired non-inferiority, margin {options.margin:g}")
    return report
