"""Reading from Python and from the command line: results, tables, files, what became of every input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

import coread
from coread.cli.app import main
from coread.errors import DataError, InputError
from coread.workflow.read import open_studies


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(arguments))
    return int(caught.value.code or 0)


def test_a_study_is_opened_read_and_looked_at(plugin: Path, small_ct: tuple[Path, np.ndarray]) -> None:
    study = coread.open_study(small_ct[0])
    (volume,) = study.volumes().values()
    np.testing.assert_array_equal(volume.values, small_ct[1])
    results = coread.read(study)
    assert [f.concept.meaning for f in results.findings] == ["Lung nodule"]
    frame = results.measurements_frame()
    row = frame[frame.analyzer == "t_good"].iloc[0]
    assert (row.unit, row.version) == ("mL", "1.2.3")
    assert row.value == pytest.approx(small_ct[1].mean())
    assert "Lung nodule" in results._repr_html_()


def test_exports_hold_what_was_found(plugin: Path, small_ct: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    results = coread.read(coread.open_study(small_ct[0]))
    files = {path.name: path for path in results.export(tmp_path / "out")}
    report = pydicom.dcmread(next(p for n, p in files.items() if n.endswith("sr.dcm")))
    assert report.VerificationFlag == "UNVERIFIED"
    segmentations = [pydicom.dcmread(p) for n, p in files.items() if n.startswith("seg-")]
    assert any("Lung" in str(s.SegmentSequence[0].SegmentedPropertyTypeCodeSequence) for s in segmentations)
    bundle = json.loads(next(p for n, p in files.items() if n.endswith("fhir.json")).read_text())
    assert bundle["resourceType"] == "Bundle"


def test_what_is_no_study_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not DICOM")
    with pytest.raises(DataError, match="no study"):
        coread.open_study(tmp_path)
    with pytest.raises(InputError):
        coread.open_study(tmp_path / "nowhere")


def test_the_command_writes_a_folder_a_study_and_a_summary(
    plugin: Path, small_ct: tuple[Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (small_ct[0] / "zz.txt").write_text("not DICOM")
    out = tmp_path / "out"
    assert run("read", str(small_ct[0]), "--out", str(out), "--json", "--quiet") == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "summary.json").read_text())
    assert [f["role"] for f in printed["files"]] == ["image"] * 6 + ["refused"]
    (study,) = printed["studies"]
    states = {a["name"]: a["state"] for a in study["analyzers"]}
    assert states["t_good"] == "done"
    assert states["t_unfit"] == "not applicable"
    assert states["t_stuck"] == "failed"
    assert all((out / study["folder"] / name).is_file() for name in study["exports"])
    assert run("read", str(small_ct[0]), "--out", str(out)) == 3, "what is there is not written over"


def test_the_command_keeps_a_library_for_the_server(
    plugin: Path, small_ct: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    from coread.storage import Library

    folder = tmp_path / "library"
    assert run("read", str(small_ct[0]), "--library", str(folder), "--quiet") == 0
    with Library.open(folder) as library:
        (row,) = library.instances.studies().items
        assert library.results.of(row.uid)
    assert run("audit", "verify", "--library", str(folder)) == 0


def test_looking_at_a_library_that_is_not_there_makes_none(tmp_path: Path) -> None:
    for verb in ("verify", "show"):
        assert run("audit", verb, "--library", str(tmp_path / "nowhere")) == 3
    assert not (tmp_path / "nowhere").exists()


def test_wrong_words_end_with_their_codes(small_ct: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    assert run("read") == 2
    assert run("read", str(small_ct[0])) == 3
    assert run("read", str(tmp_path / "nowhere"), "--json") == 3
    (tmp_path / "empty").mkdir()
    assert run("read", str(tmp_path / "empty"), "--json") == 3
    assert run("read", str(small_ct[0]), "--out", str(tmp_path / "x"), "--formats", "sr,docx") == 3


def test_every_file_of_the_test_data_is_accounted_for(shared: Path, tmp_path: Path) -> None:
    folder = shared / "dicom"
    out = tmp_path / "out"
    assert run("read", str(folder), "--out", str(out), "--quiet") == 1
    summary = json.loads((out / "summary.json").read_text())
    accounted = sorted(entry["path"] for entry in summary["files"])
    assert accounted == sorted(str(p) for p in folder.rglob("*") if p.is_file())
    assert all(e["reason"] for e in summary["files"] if e["role"] in ("duplicate", "quarantined", "refused"))
    assert len(open_studies(folder / "ct_philips_notilt")) == 1
