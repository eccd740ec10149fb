"""Write the reference figures beside ours, and the worked study of CheXNet, from the shared data."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from coread.core import Interval
from coread.evaluation import roc, survival
from coread.evaluation.agreement import icc, krippendorff_alpha, repeatability
from coread.evaluation.calibration import calibration
from coread.evaluation.drift import shift_of_labels, shift_of_numbers
from coread.evaluation.froc import FIGURES, analyse_froc, figures, froc_study
from coread.evaluation.mrmc import analyse, study_from_frame
from coread.evaluation.mrmc.designs import area_pseudovalues, dbm
from coread.evaluation.mrmc.planning import roc_cases, roc_pair_cases
from coread.evaluation.mrmc.ustatistics import mean_area
from coread.evaluation.recalibration import fit_recalibration
from coread.evaluation.smooth import smooth_calibration
from coread.evaluation.subgroups import subgroup_report
from coread.evaluation.tables import reader_table
from coread.evaluation.utility import decision_curve

OUT = Path(os.environ["COREAD_DOCS"])
DATA = Path(os.environ.get("COREAD_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
Row = tuple[str, float, float]
SHOWN = ("Effusion", "Cardiomegaly", "Pneumothorax")


def load(name: str) -> Any:
    path = DATA / "predict" / name
    return json.loads(path.read_text()) if path.suffix == ".json" else pd.read_csv(path, dtype=str)


def reader_studies() -> Iterator[Row]:
    study = study_from_frame(reader_table(load("mrmc/mrmcaov_VanDyke.csv")))
    for want in load("mrmc/mrmcaov_VanDyke.json"):
        if want["case_column"] != "case":
            continue
        fixed = {"none": "none", "reader": "readers", "case": "cases"}[want["fixed"]]
        found, test = analyse(study, method=want["cov"].lower(), fixed=fixed), want["test_equality"]
        name = f"MRMCaov, Van Dyke, {want['cov']}, fixed {want['fixed']}"
        yield f"{name}: statistic", test.get("F", test.get("X2")), found.test.statistic
        yield f"{name}: p", test["p-value"], found.test.p
        yield f"{name}: SE", want["test_diffs"][0]["StdErr"], found.differences[0].se
    theirs = load("mrmc/rjafroc_02_VANDYKE.json")["sig"]["Wilcoxon_DBM"]["RRRC"]["FTests"]
    ours = dbm(area_pseudovalues(study))
    yield "RJafroc, Van Dyke, DBM: F", theirs[0]["FStat"], ours.f
    yield "RJafroc, Van Dyke, DBM: df2", theirs[1]["DF"], ours.df2
    for name in ("imrmc_dfMRMC_example", "imrmc_roemetz_full"):
        study = study_from_frame(reader_table(load(f"mrmc/{name}.csv")))
        found, want = mean_area(study, *study.modalities), load(f"mrmc/{name}.json")["Ustat"][2]
        yield f"iMRMC, {name}: variance", want["varAUCAminusAUCB"], found.variance
        yield f"iMRMC, {name}: df", want["dfBDG"], found.df
        yield f"iMRMC, {name}: p", want["pValueBDG"], found.p


def free_response() -> Iterator[Row]:
    marks, truth = (load(f"froc/rjafroc_05_THOMPSON_{p}.csv") for p in ("marks", "truth"))
    study, want = froc_study(marks, truth), load("froc/rjafroc_05_THOMPSON.json")
    for name in FIGURES:
        theirs = np.mean([[r[f"rdr{k}"] for k in range(1, 10)] for r in want["foms"][name]])
        yield f"RJafroc, Thompson, {name}: mean", float(theirs), float(figures(study, name).mean())
    test = analyse_froc(study).test
    yield "RJafroc, Thompson, wAFROC: p", want["sig"]["wAFROC_OR"]["RRRC"]["FTests"][0]["p"], test.p


def scores() -> Iterator[Row]:
    table, want = load("roc/proc_aSAH.csv"), load("roc/proc_aSAH.json")
    truth = (table["outcome"] == "Poor").to_numpy()
    found = roc.areas(truth, table[["s100b", "ndka", "wfns"]].astype(float).to_numpy())
    for k, name in enumerate(("s100b", "ndka", "wfns")):
        yield f"pROC, {name}: AUC", want[name]["auc"], float(found.area[k])
        yield f"pROC, {name}: variance", want[name]["delong_var"], float(found.covariance[k, k])
    yield "pROC, s100b - ndka: p", want["paired"]["s100b_ndka"]["p"], roc.compare_paired(found, 0, 1).p
    planned = want["power"]
    ours = roc_cases(0.7, power=0.95)
    yield "pROC, cases for an area of 0.7, power 0.95", planned["n_for_power_0.95"]["ncases"], ours
    ours = roc_pair_cases(found, int(truth.sum()), power=0.9, first=2, second=1)
    yield "pROC, cases for wfns - ndka, power 0.9", planned["two_roc"]["ncases"], ours
    rms = load("decision/rms_calibration.json")
    cal, smooth = calibration(rms["y"], rms["pred"]), smooth_calibration(rms["y"], rms["pred"])
    yield "rms: slope", rms["cox_slope"], cal.slope.value
    yield "rms: calibration in the large", rms["citl"], cal.in_the_large.value
    yield "rms: E-max", rms["val_prob"]["Emax"], smooth.largest
    yield "rms: E-avg", rms["val_prob"]["Eavg"], smooth.mean
    table = load("decision/dcurves_df_binary.csv")
    for row in load("decision/dcurves_reference.json")["binary_dca"]:
        if row["variable"] == "cancerpredmarker" and row["threshold"] in (0.1, 0.3, 0.5):
            p = table["cancerpredmarker"].astype(float)
            net = decision_curve(table["cancer"] == "TRUE", p, [row["threshold"]]).net_benefit[0]
            yield f"dcurves, net benefit at {row['threshold']}", row["net_benefit"], float(net)
    for name, want in load("survival/r_survival_metrics.json").items():
        table = load(f"survival/surv_{name}_predictions.csv").astype(float)
        t, e, lp = (table[c].to_numpy() for c in ("time", "status", "lp"))
        yield f"survival, {name}: Harrell", want["harrell"], survival.harrell(t, e, lp).value
        yield f"survival, {name}: Harrell, SE", want["harrell_se"], survival.concordance_se(t, e, lp)
        yield f"survival, {name}: Uno", want["uno_full_ipcw_n_over_G2"], survival.uno(t, e, lp).value
        for row in want["auc"]:
            h = [row["times"]]
            area, se = survival.time_dependent_auc(t, e, lp, h), survival.time_dependent_auc_se(t, e, lp, h)
            yield f"survival, {name}: AUC at {h[0]}", row["AUC"], float(area[0])
            yield f"survival, {name}: AUC at {h[0]}, SE", row["se"], float(se[0])
        for row in (r for r in want["brier"] if r["model"] == "cox"):
            h, s = [row["times"]], table[f"S_{row['times']}"].to_numpy()
            yield f"survival, {name}: Brier at {h[0]}", row["Brier"], float(survival.brier(t, e, s, h)[0])
            yield f"survival, {name}: Brier at {h[0]}, SE", row["se"], float(survival.brier_se(t, e, s, h)[0])


def references() -> str:
    lines = ["| reference | theirs | ours | relative difference |", "|---|---|---|---|"]
    for part in (reader_studies, free_response, scores):
        for name, theirs, ours in part():
            gap = abs(ours - theirs) / abs(theirs)
            lines.append(f"| {name} | {theirs:.12g} | {ours:.12g} | {gap:.1e} |")
    return "\n".join(lines)


def line(*cells: object) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def head(*names: str) -> list[str]:
    return [line(*names), line(*("---" for _ in names))]


def span(area: float, interval: Interval) -> str:
    return f"{area:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def chexnet() -> str:
    table = pd.read_csv(DATA / "images/nih_cxr/chexnet_predictions.csv.gz")
    names = [c.removeprefix("prob_") for c in table.columns if c.startswith("prob_")]
    found = table["findings"].fillna("").str.split("|")
    patients = table["patient"].to_numpy()
    drawn = np.random.default_rng(1).permutation(np.unique(patients))
    fit = np.isin(patients, drawn[: drawn.size // 2])
    areas = head("finding", "films", "AUC (95 %)", "slope before", "after", "ECE before", "after")
    groups = head("finding", "by", "subgroup", "films", "AUC (95 %)", "p (Holm)")
    shifts = head("score", "PA mean", "AP mean", "PSI", "AUC in PA", "AUC in AP")
    bands = pd.cut(table["age"], [0, 40, 60, 120], labels=["to 40", "41 to 60", "over 60"]).astype(str)
    columns = {"sex": table["sex"], "age": bands, "view": table["view"]}
    pa = (table["view"] == "PA").to_numpy()
    for name in names:
        truth = found.map(lambda labels, n=name: n in labels).to_numpy()
        p = table[f"prob_{name}"].to_numpy()
        if min(truth[fit].sum(), truth[~fit].sum()) < 10:
            areas.append(line(name, truth.sum(), "too few", "", "", "", ""))
            continue
        whole = roc.areas(truth, p, clusters=patients)
        before = calibration(truth[~fit], p[~fit])
        after = calibration(truth[~fit], fit_recalibration(truth[fit], p[fit], "platt").apply(p[~fit]))
        slopes = f"{before.slope.value:.2f}", f"{after.slope.value:.2f}"
        errors = f"{before.ece:.4f}", f"{after.ece:.4f}"
        areas.append(line(name, truth.sum(), span(whole.area[0], whole.interval()), *slopes, *errors))
        for by, values in columns.items() if name in SHOWN else ():
            for g in subgroup_report(truth, p, values.to_numpy(), 0.5, clusters=patients).groups:
                if g.area is not None:
                    where = span(g.area.value, g.area.interval)
                    groups.append(line(name, by, g.name, g.cases, where, f"{g.p:.3g}"))
        shift = shift_of_numbers(p[pa], p[~pa], name)
        means = f"{shift.reference_mean:.4f}", f"{shift.current_mean:.4f}"
        inside = (f"{roc.auc(truth[w], p[w]):.3f}" for w in (pa, ~pa))
        shifts.append(line(name, *means, f"{shift.psi:.2f}", *inside))
    sex = shift_of_labels(table["sex"][pa], table["sex"][~pa], "sex")
    parts = [
        f"{len(table):,} films of {drawn.size:,} patients, NIH ChestX-ray14 (Wang et al. 2017), predictions",
        "of a retrained CheXNet (Zech); labels mined from reports, so noisy. Intervals take the films of one",
        "patient as a cluster. Recalibration (Platt) is fitted on half of the patients; slopes",
        "and errors before and after are of the other half.",
        "",
        *areas,
        "\n## Subgroups\n\nArea against all other films, Holm over the subgroups of one column.",
        "A patient may have films in several subgroups; the covariance of the two areas is taken in by sums",
        "over patients (Obuchowski 1997).\n",
        *groups,
        f"\n## From PA to AP\n\nThe mix of sexes differs too (chi-square, p {sex.p:.2g}). A population",
        "stability index (PSI) above 0.25 is a large shift.\n",
        *shifts,
    ]
    return "\n".join(parts) + "\n"


def lidc() -> str:
    table = pd.read_csv(DATA / "predict/cohorts/lidc_annotations_train.csv")
    nodules = table.groupby(["scan_id", "nodule"])
    four = nodules.filter(lambda g: len(g) == 4)
    size = len(four) // 4
    rows = head("measured by four readings", "nodules", "ICC(1,1) (95 %)", "ICC(1,k) (95 %)")
    for name, column, change in (
        ("diameter", "diameter_mm", np.asarray),
        ("volume", "volume_mm3", np.asarray),
        ("logarithm of the volume", "volume_mm3", np.log),
    ):
        x = change(four[column].to_numpy(dtype=float)).reshape(size, 4)
        found = [icc(x, form) for form in ("ICC(1,1)", "ICC(1,k)")]
        rows.append(line(name, size, *(span(f.value, f.interval) for f in found)))
    logs = np.log(four["volume_mm3"].to_numpy(dtype=float)).reshape(size, 4)
    again = repeatability(logs)
    factor, low, high = (np.exp(v) for v in (again.rc, again.rc_interval.low, again.rc_interval.high))
    scores = head("scored from 1 to 5", "nodules", "Krippendorff's alpha, ordinal")
    some = nodules.filter(lambda g: 2 <= len(g) <= 4)
    place = some.groupby(["scan_id", "nodule"]).cumcount()
    for name in ("malignancy", "subtlety", "spiculation", "texture"):
        wide = some.assign(place=place).pivot(index=["scan_id", "nodule"], columns="place", values=name)
        alpha = krippendorff_alpha(wide.to_numpy(dtype=float).T, metric="ordinal")
        scores.append(line(name, len(wide), f"{alpha:.3f}"))
    parts = [
        "LIDC-IDRI: Armato et al., Medical Physics 38:915 (2011), The Cancer Imaging Archive,",
        "doi 10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0. Up to four radiologists outlined and scored each",
        "nodule; who drew which outline is not told, so that the one-way ICC(1,1) and ICC(1,k) fit.",
        "",
        *rows,
        "",
        f"Two readings of one nodule differ by less than a factor of {factor:.2f} in volume ({low:.2f} to",
        f"{high:.2f}) in 95 of 100 nodules: the reproducibility coefficient between readers, of the",
        "logarithm, turned back.",
        "",
        *scores,
    ]
    return "\n".join(parts) + "\n"


def main() -> None:
    """Write `evaluation-references.md`, `evaluation-chexnet.md` and `evaluation-lidc.md`."""
    absent = "The test data were absent when this page was built.\n"
    text = "# Evaluation: reference figures beside ours\n\nComputed while this page was built.\n\n"
    (OUT / "evaluation-references.md").write_text(
        text + (references() if (DATA / "predict").is_dir() else absent) + "\n"
    )
    text = "# A worked study: CheXNet on chest films\n\n"
    present = (DATA / "images/nih_cxr/chexnet_predictions.csv.gz").is_file()
    (OUT / "evaluation-chexnet.md").write_text(text + (chexnet() if present else absent))
    text = "# A worked study: four readers and lung nodules\n\n"
    present = (DATA / "predict/cohorts/lidc_annotations_train.csv").is_file()
    (OUT / "evaluation-lidc.md").write_text(text + (lidc() if present else absent))


if __name__ == "__main__":
    main()
