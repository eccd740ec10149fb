"""`coread report`: text, tables and folders in, JSON out, errors in three lines."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    code = "from coread.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "report", *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def test_text_from_standard_input() -> None:
    done = run("structure", "-", "--json", text="No pneumothorax.")
    document = json.loads(done.stdout)
    assert done.returncode == 0
    assert document["findings"][0]["status"] == "absent"
    assert document["findings"][0]["cues"][1]["text"] == "No"


def test_a_table_gives_one_line_each(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "text": "Plevral efüzyon saptanmadı."},
        {"id": "b", "sentence": "She denies chest pain.", "phrase": "chest pain"},
    ]
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = run("structure", str(source), "--jsonl", "--quiet")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["id"], first["lang"]) == ("a", "tr")
    assert second["assertion"]["negation"] == "Negated"
    assert second["assertion"]["cues"][0]["text"] == "denies"


def test_labels_of_a_folder_and_a_csv(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("Cardiomegaly.", encoding="utf-8")
    (tmp_path / "two.txt").write_text("Normal.", encoding="utf-8")
    done = run("labels", str(tmp_path), "--json", "--quiet")
    reports = json.loads(done.stdout)["reports"]
    assert [r["labels"]["Cardiomegaly"] for r in reports] == [1, 0]
    table = tmp_path / "in.csv"
    table.write_text('id,words\n1,"Small effusion, left."\n', encoding="utf-8")
    out = tmp_path / "out.jsonl"
    done = run("labels", str(table), "--column", "words", "--out", str(out), "--quiet")
    assert json.loads(out.read_text("utf-8"))["labels"]["Effusion"] == 1
    again = run("labels", str(table), "--column", "words", "--out", str(out), "--quiet")
    assert again.returncode == 3


@pytest.mark.parametrize("arguments", [("structure", "missing.txt"), ("structure", "-", "--lang", "xx")])
def test_errors_are_three_lines(arguments: tuple[str, ...]) -> None:
    done = run(*arguments, text="x")
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) == 3


def test_structure_of_a_sentence_needs_no_heavy_package() -> None:
    code = "import sys, coread.language; print([m for m in ('numpy', 'scipy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    """Six simulated slices."""
    from datetime import date

    import numpy as np

    from coread.core import Geometry
    from coread.testing.demo.dicom import SimulatedStudy, write_ct

    grid = Geometry.axial((6, 16, 16), spacing_mm=(3.0, 1.0, 1.0))
    study = SimulatedStudy(
        seed=1, key="ct", patient_id="P1", patient_name="SIMULATED^Ayşe", birth=date(1960, 1, 1), sex="F",
        day=date(2026, 3, 1), time="070000", description="CT chest",
    )  # fmt: skip
    write_ct(np.zeros(grid.shape, np.int16), grid, study, tmp_path / "ct", description="lung", kernel="s")
    return tmp_path / "ct"


def test_a_text_becomes_structured_reports_and_fhir_of_its_study(tmp_path: Path, ct: Path) -> None:
    import pydicom
    from fhir.resources.R4B.bundle import Bundle

    text = tmp_path / "old.txt"
    words = "8 x 6 mm nodule in the right upper lobe."
    text.write_text(f"Findings: {words} No pleural effusion.\nImpression: Nodule.", encoding="utf-8")
    out = {name: tmp_path / f"{name}.out" for name in ("sr", "narrative", "fhir")}
    arguments = [x for name, path in out.items() for x in (f"--{name}", str(path))]
    done = run("structure", str(text), "--study", str(ct), *arguments, "--quiet")
    assert done.returncode == 0, done.stderr
    for name in ("sr", "narrative"):
        dataset = pydicom.dcmread(out[name])
        assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
        assert "not signed" in dataset.SeriesDescription
        assert str(dataset.PatientID) == "P1"
        assert {words, "old.txt"} <= {str(e.value) for e in dataset.iterall() if e.keyword == "TextValue"}
    sizes = [float(e.value) for e in pydicom.dcmread(out["sr"]).iterall() if e.keyword == "NumericValue"]
    assert sizes == [8.0, 6.0]
    document = json.loads(out["fhir"].read_text("utf-8"))
    Bundle.model_validate(document)
    report = next(
        e["resource"] for e in document["entry"] if e["resource"]["resourceType"] == "DiagnosticReport"
    )
    assert report["status"] == "preliminary"
    assert report["conclusion"] == "Nodule."
    again = run("structure", str(text), "--study", str(ct), *arguments, "--quiet")
    assert again.returncode == 3  # nothing is written over


def test_objects_need_a_study_and_one_text(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("Normal.", encoding="utf-8")
    done = run("structure", str(text), "--sr", str(tmp_path / "a.dcm"))
    assert done.returncode == 2
    assert "--study" in done.stderr
    done = run("structure", "-", "--study", str(tmp_path), "--sr", str(tmp_path / "a.dcm"), text="Normal.")
    assert done.returncode == 2


def test_what_reports_ask_for_is_listed(tmp_path: Path, ct: Path) -> None:
    from datetime import date

    from coread.storage import Asked, Library
    from coread.workflow.intake import ingest

    folder = tmp_path / "library"
    with Library.open(folder, durable=False) as library:
        ingest(library, [ct])
        study = library.instances.studies().items[0].uid
        asked = Asked("CT chest", date(2020, 1, 1), date(2020, 4, 1), date(2020, 7, 1))
        library.follow_up.replace(study, "ada", [asked])
    done = run("followup", "--library", str(folder), "--state", "overdue")
    assert done.returncode == 0
    assert "overdue: CT chest, 2020-04-01 to 2020-07-01" in done.stdout
    done = run("followup", "--library", str(folder), "--json")
    (task,) = json.loads(done.stdout)["tasks"]
    assert (task["what"], task["state"], task["latest"]) == ("CT chest", "overdue", "2020-07-01")
    assert "nothing" in run("followup", "--library", str(folder), "--state", "done").stdout
    assert run("followup", "--library", str(tmp_path)).returncode == 3
    assert run("followup", "--library", str(folder), "--state", "late").returncode == 2
