"""`coread radiomics` as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coread.cli.app import main
from coread.core import Acquisition, Geometry, Mask, Volume
from coread.interop import nifti


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main(list(arguments)))
    return int(ended.value.code or 0)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    rng = np.random.default_rng(0)
    geometry = Geometry.axial((8, 12, 12), (2.0, 1.0, 1.0))
    mask = np.zeros(geometry.shape, bool)
    mask[2:6, 3:9, 3:9] = True
    values = rng.normal(40, 30, geometry.shape).astype(np.float32)
    nifti.write_volume(Volume(values, geometry, "HU", Acquisition("CT")), tmp_path / "ct.nii.gz")
    nifti.write_volume(Mask(mask, geometry), tmp_path / "tumour.nii.gz")
    return str(tmp_path / "ct.nii.gz"), str(tmp_path / "tumour.nii.gz")


@pytest.mark.parametrize("ending", ["csv", "parquet", "json"])
def test_extract_writes_a_table_and_where_it_comes_from(
    ending: str, files: tuple[str, str], tmp_path: Path
) -> None:
    out = tmp_path / f"features.{ending}"
    assert _run("radiomics", "extract", *files, "--set", "spacing_mm=null", "--out", str(out), "--quiet") == 0
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}
    table = readers[ending](out)
    volume = table.loc[table["feature"] == "morph_approx_vol", "value"].item()
    assert len(table) == 210
    assert set(table["label"]) == {"tumour"}
    assert volume == 4 * 6 * 6 * 2
    document = json.loads((tmp_path / f"features.{ending}.provenance.json").read_text())
    assert document["documents"][0]["settings"]["name"] == "ct-default"
    assert _run("radiomics", "extract", *files, "--out", str(out)) == 3  # it is there already


def test_extract_prints_json_and_takes_single_settings(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (
        "--json",
        "--wide",
        "--quiet",
        "--set",
        'families=["statistics"]',
        "--set",
        "spacing_mm=null",
    )
    assert _run("radiomics", "extract", *files, *arguments) == 0
    (row,) = json.loads(capsys.readouterr().out)["features"]
    values = nifti.read_volume(files[0]).values[nifti.read_volume(files[1]).values > 0]
    assert row["stat_max"] == pytest.approx(np.rint(values.max()))


def test_settings_can_be_shown_and_used_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("radiomics", "extract", "--show-settings", "--settings", "ibsi-c") == 0
    shown = capsys.readouterr().out
    (tmp_path / "mine.toml").write_text(shown)
    assert _run("radiomics", "extract", "--show-settings", "--settings", str(tmp_path / "mine.toml")) == 0
    assert capsys.readouterr().out == shown


def test_a_batch_reports_the_cases_it_could_not_measure(files: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text(
        "case,image,mask\na,ct.nii.gz,tumour.nii.gz\nb,no.nii.gz,tumour.nii.gz\n"
    )
    out = tmp_path / "all.csv"
    assert (
        _run("radiomics", "extract", "--cases", str(tmp_path / "cases.csv"), "--out", str(out), "--quiet")
        == 1
    )
    assert set(pd.read_csv(out)["case"]) == {"a"}


def test_verify_runs_the_phantom_shipped(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert _run("radiomics", "verify", "--quiet", "--out", str(tmp_path / "c.md")) == 0
    assert "482 of   482" in capsys.readouterr().out
    assert "482 of 482 values reached" in (tmp_path / "c.md").read_text()


def test_wrong_use_ends_with_its_code(files: tuple[str, str], tmp_path: Path) -> None:
    assert _run("radiomics", "extract", files[0], files[1]) == 2
    assert (
        _run("radiomics", "extract", *files, "--settings", "nothing", "--out", str(tmp_path / "t.csv")) == 3
    )
    assert _run("radiomics", "extract", *files, "--out", str(tmp_path / "t.xlsx")) == 3
    assert (
        _run("radiomics", "extract", str(tmp_path / "no.nii"), files[1], "--out", str(tmp_path / "t.csv"))
        == 3
    )


@pytest.mark.parametrize("retest", [False, True])
def test_stability_writes_its_folder(retest: bool, tmp_path: Path) -> None:
    geometry = Geometry.axial((6, 14, 14), (2.0, 1.0, 1.0))
    mask = np.zeros(geometry.shape, bool)
    mask[1:5, 3:11, 3:11] = True
    nifti.write_volume(Mask(mask, geometry), tmp_path / "m.nii.gz")
    lines = ["case,repeat,image,mask" if retest else "case,image,mask"]
    for case in range(4):
        rng = np.random.default_rng(case)
        base = rng.normal(40 + 30 * case, 30, geometry.shape)
        for repeat in range(2 if retest else 1):
            values = (base + rng.normal(0, 3, base.shape)).astype(np.float32)
            name = f"c{case}_{repeat}.nii.gz"
            nifti.write_volume(Volume(values, geometry, "HU", Acquisition("CT")), tmp_path / name)
            lines.append(f"c{case},{repeat},{name},m.nii.gz" if retest else f"c{case},{name},m.nii.gz")
    (tmp_path / "cases.csv").write_text("\n".join(lines))
    out = tmp_path / "out"
    fast = ("--set", "spacing_mm=null", "--set", 'families=["statistics"]', "--quiet")
    assert _run("radiomics", "stability", str(tmp_path / "cases.csv"), "--out", str(out), *fast) == 0
    table = pd.read_csv(out / "stability.csv").set_index("feature")
    assert bool(table.loc["stat_mean", "stable"])
    assert table.loc["stat_mean", "repeats"] == (2 if retest else 8)
    assert (out / "stability.png").stat().st_size > 1000
    assert (out / "stable_features.txt").read_text().split()
