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
