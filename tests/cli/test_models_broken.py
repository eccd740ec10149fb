"""Broken input to `coread models`: three lines, the right exit code, no trace, and nothing half-written."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from tests.cli.test_models_site import OUTLINE, bar, bright_network, brightness_network, fill

from coread.cli.app import main
from coread.recognition.importing import importer
from coread.workflow import models as site

tools: Any = nibabel
Call = Callable[..., tuple[int, list[str]]]
VOLUME = np.full((6, 16, 20), -900, np.float32)
VOLUME[2:4, 5:9, 6:12] = 40
MASK = (VOLUME > 0).astype(np.uint8)
FILMS = np.stack([bar(level) for level in (0.1, 0.2, 0.8, 0.9)]).astype(np.float32)


@pytest.fixture
def there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with `models`: bright (it outlines) and film (it classifies, without an operating point)."""
    (tmp_path / "bright.onnx").write_bytes(bright_network())
    (tmp_path / "film.onnx").write_bytes(brightness_network(8.0))
    (tmp_path / "card.toml").write_text(OUTLINE)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("words")
    out = ["--out", str(tmp_path / "models")]
    for words in (
        [str(tmp_path / "bright.onnx"), "--name", "bright", "--card", str(tmp_path / "card.toml"), *out],
        [str(tmp_path / "film.onnx"), "--name", "film", *out],
    ):
        with pytest.raises(SystemExit) as ended:
            main(["models", "import", *words])
        assert ended.value.code == 0
    fill(tmp_path / "models/film/card.toml")
    capsys.readouterr()
    return tmp_path


@pytest.fixture
def call(there: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in the folder (names with / or . are its files) that must leave everything as it was."""

    def run(*words: str, models: bool = True) -> tuple[int, list[str]]:
        before = {p: p.read_bytes() if p.is_file() else b"" for p in sorted(there.rglob("*"))}
        given = [word.replace("@", f"{there}/") for word in words]
        if models:
            given += ["--models", str(there / "models")]
        with pytest.raises(SystemExit) as ended:
            main(["models", *given])
        after = {p: p.read_bytes() if p.is_file() else b"" for p in sorted(there.rglob("*"))}
        assert after == before
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert not out
        return int(ended.value.code or 0), err.strip().splitlines()

    return run


def nifti(path: Path, values: np.ndarray, steps: tuple[float, ...] = (2.0, 0.8, 0.9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    turned = np.ascontiguousarray(values.transpose(2, 1, 0))
    tools.save(tools.Nifti1Image(turned, np.diag([*steps[::-1], 1.0])), path)


def pair(
    there: Path, image: np.ndarray, mask: np.ndarray, steps: tuple[float, ...] = (2.0, 0.8, 0.9)
) -> None:
    nifti(there / "data/images/a.nii.gz", image)
    nifti(there / "data/labels/a.nii.gz", mask, steps)


IMPORTS = {
    "a name that is taken": ("@bright.onnx --name bright --card @card.toml", 3, "is there already"),
    "a name of the package": ("@bright.onnx --name hippocampus", 3, "the name 'hippocampus'"),
    "a name that leads elsewhere": ("@bright.onnx --name ../up", 3, "the name '../up'"),
    "a network that is none": ("@bad.onnx --name new --card @card.toml", 3, "ONNX Runtime can't load"),
    "nothing": ("@none.onnx --name new", 3, "nothing at"),
    "an empty folder": ("@empty --name new", 3, "unknown layout"),
    "the digest of other weights": (
        "@bright.onnx --name new --card @digest.toml",
        3,
        "a card for weights 000",
    ),
    "another window": ("@bright.onnx --name new --card @window.toml", 3, "whose input is"),
    "another task": ("@bright.onnx --name new --card @task.toml", 3, "that is to classify"),
    "gaps in the card": ("@bright.onnx --name new --card @gaps.toml", 3, "the card does not say"),
    "no card": ("@bright.onnx --name new --card @none.toml", 3, "none.toml can't be read"),
    "no folder to write to": ("@bright.onnx --name new --card @card.toml --out @file", 6, "is a file"),
    "no folder for a draft": ("@bright.onnx --name new --out @file", 6, "is a file"),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_what_can_not_be_imported_leaves_nothing(there: Path, call: Call, case: str) -> None:
    (there / "bad.onnx").write_bytes(b"nothing")
    (there / "digest.toml").write_text(OUTLINE.replace("licence =", f'weights = "{"0" * 64}"\nlicence ='))
    (there / "window.toml").write_text(OUTLINE.replace("[4, 8, 8]", "[4, 8, 9]"))
    (there / "task.toml").write_text(OUTLINE.replace('task = "segment"', 'task = "classify"'))
    (there / "gaps.toml").write_text('name = "x"\n')
    words, code, came = IMPORTS[case]
    out = [] if "--out" in words else ["--out", "@models"]
    found, lines = call("import", *words.split(), *out, models=False)
    assert (found, len(lines)) == (code, 3)
    assert came in " ".join(lines)


@pytest.mark.parametrize("name", ["pickle.pkl", "pickle.pth"])
def test_pickles_are_not_run(there: Path, call: Call, name: str) -> None:
    pytest.importorskip("torch", reason="needs torch: pip install 'coread[train]'")

    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (there / "harm",))

    (there / name).write_bytes(pickle.dumps(Harm()))
    code, lines = call("import", f"@{name}", "--name", "new", "--out", "@models", models=False)
    assert (code, len(lines)) == (3, 3)


def test_an_import_that_is_cancelled_leaves_the_old_model(
    there: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importer, "load_imported", stop)
    words = (
        "import",
        "@bright.onnx",
        "--name",
        "bright",
        "--card",
        "@card.toml",
        "--out",
        "@models",
        "--force",
    )
    assert call(*words, models=False)[0] == 130


SEGMENTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another shape": (lambda t: pair(t, VOLUME, MASK[:3]), "a mask of (3, 16, 20)"),
    "another spacing": (lambda t: pair(t, VOLUME, MASK, (2.0, 0.8, 1.9)), "another grid"),
    "no numbers": (lambda t: pair(t, np.where(MASK, np.nan, 0).astype(np.float32), MASK), "no numbers"),
    "a label below 0": (lambda t: pair(t, VOLUME, MASK.astype(np.int16) - 1), "holds no labels"),
    "an empty file": (
        lambda t: (pair(t, VOLUME, MASK), (t / "data/labels/a.nii.gz").write_bytes(b"")),
        "can't be read",
    ),
    "a broken dataset.json": (
        lambda t: (pair(t, VOLUME, MASK), (t / "data/dataset.json").write_text("{")),
        "dataset.json can't be used",
    ),
    "a patients.csv of other columns": (
        lambda t: (pair(t, VOLUME, MASK), (t / "data/patients.csv").write_text("a,b\n1,2\n")),
        "without the columns case and patient",
    ),
    "a patients.csv that is no text": (
        lambda t: (pair(t, VOLUME, MASK), (t / "data/patients.csv").write_bytes(b"\xff\xfe\x00")),
        "patients.csv can't be read",
    ),
    "nothing": (lambda t: (t / "data").mkdir(), "nothing in it"),
    "no pairs": (lambda t: nifti(t / "data/images/a.nii.gz", VOLUME), "folders images and labels"),
}


@pytest.mark.parametrize("case", SEGMENTS)
def test_data_that_no_outline_can_be_judged_on_are_refused(there: Path, call: Call, case: str) -> None:
    make, words = SEGMENTS[case]
    make(there)
    code, lines = call("evaluate", "bright", "--data", "@data")
    assert (code, len(lines)) == (3, 3)
    assert words in " ".join(lines)


PICTURES: dict[str, tuple[dict[str, Any], str]] = {
    "one class": ({"labels": np.ones(4, int)}, "4 cases and 0 controls"),
    "a label outside": ({"labels": np.array([0, 1, 7, 1])}, "the label 7"),
    "half a label": ({"labels": np.array([0, 1, 0.5, 1])}, "the label 0.5"),
    "labels of text": ({"labels": np.array(["a", "b", "a", "b"])}, "the label a, b"),
    "too few labels": ({"labels": np.zeros(3, int)}, "4 pictures and 3 labels"),
    "lines": ({"images": FILMS[:, :, 0]}, "images of shape (4, 8)"),
    "volumes": ({"images": np.repeat(FILMS[:, None], 8, 1)}, "images of shape (4, 8, 8, 8)"),
    "no numbers": ({"images": FILMS * np.nan}, "values that are no numbers"),
    "no pictures": ({"images": FILMS[:0], "labels": np.zeros(0, int)}, "without a picture"),
    "pickles": ({"images": np.array([{"a": 1}], dtype=object), "labels": np.zeros(1)}, "holds pickles"),
}


@pytest.mark.parametrize("verb", ["evaluate", "threshold"])
@pytest.mark.parametrize("case", PICTURES)
def test_pictures_that_no_classifier_can_be_judged_on_are_refused(
    there: Path, call: Call, case: str, verb: str
) -> None:
    arrays, words = PICTURES[case]
    np.savez(there / "a.npz", **({"images": FILMS, "labels": np.array([0, 0, 1, 1])} | arrays))
    more = ["--sensitivity", "0.9"] if verb == "threshold" else []
    code, lines = call(verb, "film", "--data", "@a.npz", *more)
    assert (code, len(lines)) == (3, 3)
    if not (case == "one class" and verb == "threshold"):  # which needs both in words of its own
        assert words in " ".join(lines)


OTHERS = {
    "evaluate brigth --data @empty": (3, "no model 'brigth'"),
    "evaluate bright --data @none": (3, "nothing at"),
    "evaluate bright --data @empty --part all": (3, "part 'all'"),
    "evaluate bright --data @empty --device tpu": (3, "--device tpu"),
    "evaluate bright --data @data --out @file/a.json": (6, "is a file"),
    "evaluate bright --data @data --out @card.toml": (3, "is there already"),
    "evaluate bright --data @data --faithfulness": (4, "a model that classifies"),
    "evaluate hippocampus --data @empty --device cuda": (3, "a CPU"),
    "enable film": (3, "no operating point"),
    "enable brigth": (3, "no model 'brigth'"),
    "threshold bright --data @data --sensitivity 0.9": (4, "a model that classifies"),
    "threshold film --data @ok.npz --sensitivity 1.7": (3, "a rate of 1.7"),
    "threshold film --data @ok.npz --sensitivity 0.9 --value 0.3": (3, "sensitivity and value"),
    "threshold film --sensitivity 0.9": (3, "no data"),
    "threshold film --card": (3, "no threshold for these weights"),
    "verify bright --data @data": (3, "which was imported"),
    "verify --data @data": (3, "data without a model"),
}


@pytest.mark.parametrize("words", OTHERS)
def test_wrong_use_is_told_in_three_lines(there: Path, call: Call, words: str) -> None:
    pair(there, VOLUME, MASK)
    np.savez(there / "ok.npz", images=FILMS, labels=np.array([0, 0, 1, 1]))
    code, came = OTHERS[words]
    found, lines = call(*words.split())
    assert (found, len(lines)) == (code, 3)
    assert came in " ".join(lines)


def test_weights_that_were_changed_run_nowhere(there: Path, call: Call) -> None:
    pair(there, VOLUME, MASK)
    file = there / "models/bright/model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    for words in (("enable", "bright"), ("evaluate", "bright", "--data", "@data")):
        code, lines = call(*words)
        assert (code, len(lines)) == (3, 3)
        assert "as the card says" in lines[1]
    (there / "models/bright/model.json").write_text("{")
    assert call("enable", "bright")[0] == 3


def test_a_file_in_place_of_the_folder_of_models_is_refused(there: Path, call: Call) -> None:
    code, lines = call("disable", "lv_cine", "--models", "@file", models=False)
    assert (code, len(lines)) == (3, 3)


def test_an_evaluation_that_is_cancelled_writes_nothing(
    there: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(site, "evaluate", stop)
    assert call("evaluate", "bright", "--data", "@data", "--record", "--out", "@new/figures.json")[0] == 130
