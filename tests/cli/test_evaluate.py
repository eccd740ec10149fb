"""`coread evaluate` as people call it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coread.cli.app import main
from coread.core import Geometry, Mask
from coread.interop import nifti


def _run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(["evaluate", *map(str, arguments)]))
    return int(ended.value.code or 0)


def _results(out: Path) -> dict:
    page = (out / "report.html").read_text()
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )
    tomllib.loads((out / "card.toml").read_text())
    document = json.loads((out / "results.json").read_text())
    assert document["guideline_items"]
    return document["results"]


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    truth = rng.random(300) < 0.4
    p = 1 / (1 + np.exp(-(rng.normal(size=300) + 1.5 * truth - 0.9)))
    frame = pd.DataFrame(
        {
            "case": np.arange(300),
            "truth": truth.astype(int),
            "prob_a": p,
            "sex": rng.choice(["F", "M"], 300),
            "first": (p > 0.5).astype(int),
            "second": (p + rng.normal(0, 0.1, 300) > 0.5).astype(int),
            "arbitration": truth.astype(int),
        }
    )
    frame.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("roc", ()),
        ("calibration", ()),
        ("utility", ()),
        ("subgroup", ("--group", "sex", "--score", "prob_a")),
        ("drift", ("--group", "sex", "--reference", "F")),
        ("double-reading", ("--score", "prob_a", "--threshold", 0.5)),
    ],
)
def test_every_kind_writes_results_a_page_and_a_card(kind, more, scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert _run(kind, scores, *more, "--out", out, "--quiet") == 0
    assert _results(out)
    assert _run(kind, scores, *more, "--out", out, "--quiet") == 3  # it is there already


def test_layouts_as_they_are(shared: Path, tmp_path: Path) -> None:
    folder = shared / "predict"
    assert _run("roc", folder / "roc/proc_aSAH.csv", "--out", tmp_path / "a", "--quiet") == 0
    assert _results(tmp_path / "a")["wfns"]["auc"] == pytest.approx(0.823678861788618, rel=1e-12)
    assert _run("mrmc", folder / "mrmc/mrmcaov_VanDyke.csv", "--out", tmp_path / "b", "--quiet") == 0
    found = _results(tmp_path / "b")["Obuchowski-Rockette"]["test"]
    assert found["statistic"] == pytest.approx(4.484854322, rel=1e-9)
    want = json.loads((folder / "mrmc/rjafroc_02_VANDYKE.json").read_text())["sig"]["Wilcoxon_DBM"]
    assert _results(tmp_path / "b")["Dorfman-Berbaum-Metz"]["p"] == pytest.approx(
        want["RRRC"]["FTests"][0]["p"], rel=1e-8
    )
    assert _run("mrmc", folder / "mrmc/imrmc_dfMRMC_example.csv", "--out", tmp_path / "c", "--quiet") == 0
    found = _results(tmp_path / "c")["U-statistic testA - testB"]
    assert found["variance"] == pytest.approx(0.00161032219756743, rel=1e-8)
    marks, truth = (folder / f"froc/rjafroc_05_THOMPSON_{p}.csv" for p in ("marks", "truth"))
    assert _run("froc", marks, truth, "--out", tmp_path / "d", "--quiet") == 0
    assert _results(tmp_path / "d")["wAFROC"]["test"]["p"] == pytest.approx(0.01157058, abs=1e-8)
    cox = folder / "survival/surv_gbsg2_predictions.csv"
    assert _run("survival", cox, "--out", tmp_path / "e", "--quiet") == 0
    assert _results(tmp_path / "e")["harrell"]["concordance"]["value"] == pytest.approx(
        0.687654507845215, rel=1e-10
    )
    binary, timed = (folder / f"decision/dcurves_df_{k}.csv" for k in ("binary", "surv"))
    assert _run("utility", binary, "--out", tmp_path / "f", "--quiet") == 0
    all_ = _results(tmp_path / "f")["treat all"]["net_benefit"]
    assert all_[4] == pytest.approx(0.0947368421052632, rel=1e-12)
    assert _run("utility", timed, "--horizon", 1.5, "--out", tmp_path / "g", "--quiet") == 0
    all_ = _results(tmp_path / "g")["treat all"]["net_benefit"]
    assert all_[4] == pytest.approx(0.179066057574345, rel=1e-10)


def test_survival_tells_errors_at_each_horizon_as_r(shared: Path, tmp_path: Path) -> None:
    table = shared / "predict/survival/surv_veteran_predictions.csv"
    want = json.loads((shared / "predict/survival/r_survival_metrics.json").read_text())["veteran"]
    assert _run("survival", table, "--out", tmp_path / "o", "--quiet") == 0
    found = _results(tmp_path / "o")
    for row in want["auc"]:
        got = found[f"at {row['times']}"]["auc"]
        for ours, theirs in (("value", "AUC"), ("se", "se"), ("low", "lower"), ("high", "upper")):
            assert got[ours] == pytest.approx(row[theirs], rel=1e-6)


def test_utility_of_two_scores_tells_how_the_second_moves_cases(tmp_path: Path) -> None:
    rows = [(1, 0.2, 0.6), (1, 0.5, 0.4), (1, 0.4, 0.7), (0, 0.5, 0.3), (0, 0.3, 0.3), (0, 0.2, 0.1)]
    table = tmp_path / "t.csv"
    table.write_text("truth,old,new\n" + "\n".join(",".join(map(str, row)) for row in rows))
    assert _run("utility", table, "--out", tmp_path / "o", "--quiet") == 0
    found = _results(tmp_path / "o")
    assert found["NRI new - old"]["value"] == pytest.approx(1 / 3 + 2 / 3)
    assert found["IDI new - old"]["value"] == pytest.approx(0.6 / 3 + 0.3 / 3)


def test_other_names_and_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "t.csv"
    rows = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    lines = [f"{c},{r},{v}" for c, row in enumerate(rows) for r, v in enumerate(row)]
    table.write_text("bild,arzt,note\n" + "\n".join(lines))
    names = [w for pair in ("case=bild", "reader=arzt", "rating=note") for w in ("--column", pair)]
    assert _run("agreement", table, *names, "--json", "--quiet") == 0
    found = json.loads(capsys.readouterr().out)["results"]
    assert found["ICC(2,1)"]["value"] == pytest.approx(0.289764, abs=5e-7)


def test_segmentation_reads_the_masks_of_the_table(tmp_path: Path) -> None:
    grid = Geometry.axial((6, 10, 10), (2.0, 1.0, 1.0))
    a, b = np.zeros(grid.shape, bool), np.zeros(grid.shape, bool)
    a[1:5, 2:8, 2:8], b[1:5, 2:8, 2:6] = True, True
    for name, mask in (("a", a), ("b", b)):
        nifti.write_volume(Mask(mask, grid), tmp_path / f"{name}.nii.gz")
    (tmp_path / "t.csv").write_text("case,truth,mask\n1,a.nii.gz,b.nii.gz\n")
    assert _run("segmentation", tmp_path / "t.csv", "--out", tmp_path / "o", "--quiet") == 0
    assert _results(tmp_path / "o")["1"]["overlap"]["dice"] == pytest.approx(2 * 4 / 10)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("r1,A,c1,1,3", "rows 1, 5"),
        ("r1,A,c9,2,3", "rows 5"),
        ("r2,A,c1,0,3", "rows 1, 3, 5"),
        ("r1,A,c9,1,x", "rows 5"),
    ],
)
def test_tables_are_checked_by_row(row, words, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "reader,modality,case,truth,rating",
        "r1,A,c1,1,3",
        "r1,A,c2,0,1",
        "r1,B,c1,1,3",
        "r1,B,c2,0,2",
        row,
    ]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    assert _run("mrmc", tmp_path / "t.csv", "--json") == 3
    assert words in capsys.readouterr().err


def test_probabilities_outside_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("truth,prob\n0,0.2\n1,1.7\n1,0.4\n")
    assert _run("calibration", tmp_path / "t.csv", "--json") == 3
    assert "rows [2]" in capsys.readouterr().err
    assert _run("calibration", tmp_path / "t.csv") == 2


def test_agreement_of_words_leaves_out_the_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two readers, 10 cases: they agree in 7 of the 9 both rated."""
    pairs = [
        *[("mild", "mild")] * 4,
        *[("none", "none")] * 3,
        ("mild", "none"),
        ("none", "mild"),
        ("mild", ""),
    ]
    rows = [f"{r};{c};{words[r == 'B']}" for c, words in enumerate(pairs) for r in "AB"]
    (tmp_path / "t.csv").write_text("\n".join(["reader;case;rating", *rows]))
    assert _run("agreement", tmp_path / "t.csv", "--json", "--quiet") == 0
    found = json.loads(capsys.readouterr().out)["results"]
    observed, expected = 7 / 9, (5 / 9) ** 2 + (4 / 9) ** 2
    assert found["kappa none"]["value"] == pytest.approx((observed - expected) / (1 - expected))
    assert "ICC(2,1)" not in found
