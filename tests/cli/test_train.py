"""`coread train` from the outside: settings, resuming after a kill, the order of what to label next."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from typer.testing import CliRunner

from coread.cli.train import app
from coread.errors import CancelledError, DataError, InputError
from coread.recognition.training import trainers

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="needs the extra `train` (torch)")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = [["datei", "label", "patient"]]
    for n in range(30):
        picture = rng.normal(90, 20, (30, 30))
        picture[: 15 if n % 2 else 30, :15] += 80
        Picture.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(tmp_path / f"{n:02}.png")
        rows.append([f"{n:02}.png", ["half", "quarter"][n % 2], f"p{n}"])
    with (tmp_path / "cohort.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    (tmp_path / "pool.csv").write_text("datei\n03.png\n04.png\n05.png\n")
    (tmp_path / "shapes.toml").write_text(
        'model = "classify"\ndata = "cohort.csv"\n[columns]\nimage = "datei"\n'
        "[plan]\nepochs = 4\nside = 28\nwidth = 4\nbatch = 6\npatience = 0\n"
        '[card]\nlicence = "Apache-2.0"\n'
    )
    return tmp_path


def test_settings_are_shown_with_options_on_top(cohort: Path) -> None:
    shown = tomllib.loads(
        run(str(cohort / "shapes.toml"), "--set", "rate=0.01", "--folds", "5", "--show-settings")
    )
    assert (shown["model"], shown["name"], shown["folds"]) == ("classify", "shapes", 5)
    assert (shown["plan"]["rate"], shown["plan"]["epochs"], shown["plan"]["mirror"]) == (0.01, 4, True)
    (cohort / "again.toml").write_text(run(str(cohort / "shapes.toml"), "--show-settings"))
    assert tomllib.loads(run(str(cohort / "again.toml"), "--show-settings"))["plan"]["epochs"] == 4
    named = tomllib.loads(run("hippocampus", "--set", "epochs=2", "--show-settings"))
    assert (named["model"], named["plan"]["epochs"]) == ("hippocampus", 2)


def test_what_it_cannot_do_is_said(cohort: Path) -> None:
    table, out = str(cohort / "cohort.csv"), str(cohort / "out")
    for arguments, word in (
        (["classify", "--data", table], "no --out"),
        (["classify", "--out", out], "no data"),
        (["classify", "--data", table, "--out", out, "--device", "tpu"], "auto, cpu, cuda"),
        (["classify", "--data", table, "--out", out, "--column", "image"], "standard=yours"),
        (["classify", "--data", table, "--out", out, "--set", "epochs"], "key=value"),
        (["classify", "--data", table, "--out", out, "--set", "epoch=3"], "no setting"),
        (["nothing", "--data", table, "--out", out], "classify, segment, settings as TOML"),
        (["body_part", "--data", table, "--out", out, "--resume"], "from its beginning"),
        (["hippocampus", "--data", table, "--out", out, "--device", "cuda"], "a CPU"),
        (["hippocampus", "--data", table, "--out", out, "--folds", "5"], "for a model of CoRead"),
        ([str(cohort), "--order", str(cohort / "pool.csv"), "--by", "luck"], "entropy, disagreement"),
        ([str(cohort), "--order", str(cohort / "pool.csv")], "no finished training"),
        (["classify", "--data", table, "--out", str(cohort)], "there already"),
    ):
        with pytest.raises(InputError, match=word):
            run(*arguments)
    assert not (cohort / "out").exists()


@needs_torch
@pytest.mark.train
def test_faults_of_the_table_come_before_anything_is_made(cohort: Path) -> None:
    with pytest.raises(DataError, match="--column"):
        run("classify", "--data", str(cohort / "cohort.csv"), "--out", str(cohort / "out"))
    assert not (cohort / "out").exists()


def test_a_keystroke_leaves_a_training_that_can_be_taken_up(
    cohort: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(trainers, "train_with", stopped)
    with pytest.raises(CancelledError, match="--resume"):
        run(str(cohort / "shapes.toml"), "--out", str(cohort / "out"))


@needs_torch
@pytest.mark.train
def test_killed_and_resumed_it_gives_the_same_weights(cohort: Path) -> None:
    """The first process is killed while it trains; the second one ends where one without a break ends."""
    whole = json.loads(run(str(cohort / "shapes.toml"), "--out", str(cohort / "whole"), "--json", "--quiet"))
    command = [sys.executable, "-c", "from coread.cli.app import main; main()"]
    command += ["train", str(cohort / "shapes.toml"), "--out", str(cohort / "cut")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "epoch 2 of 4" in line:
                process.kill()
                break
    assert process.returncode != 0
    assert not (cohort / "cut" / "shapes.onnx").exists()
    with pytest.raises(InputError, match="there already"):
        run(str(cohort / "shapes.toml"), "--out", str(cohort / "cut"))
    arguments = ["--out", str(cohort / "cut"), "--resume", "--json", "--order", str(cohort / "pool.csv")]
    record = json.loads(run(str(cohort / "shapes.toml"), *arguments))
    assert record["weights"] == whole["weights"]
    assert record["metrics"] == whole["metrics"]
    assert (cohort / "cut" / "log.csv").read_text().count("\n") == 5
    with (cohort / "cut" / "order.csv").open(newline="") as file:
        order = list(csv.DictReader(file))
    assert sorted(row["image"] for row in order) == ["03.png", "04.png", "05.png"]
    target = cohort / "order.json"
    run(
        str(cohort / "cut"),
        "--order",
        str(cohort / "pool.csv"),
        "--out",
        str(target),
        "--column",
        "image=datei",
    )
    document = json.loads(target.read_text())
    assert [row["image"] for row in document["cases"]] == [row["image"] for row in order]
    assert document["schema"] == "coread-looking-order"
