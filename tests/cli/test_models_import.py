"""`coread models import` from the outside, with a network that needs no torch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from coread.cli.models import app
from coread.core import Acquisition, Image, ImagePlane, Inputs
from coread.errors import DataError
from coread.recognition import cxr_pneumonia
from coread.recognition.importing import load_imported
from coread.recognition.runtime import load_card, read_weights

CARD = """
name = "Pneumonia once more"
version = "1.0.0"
kind = "classify"
mode = "second-reader"
needs = { images = { modality = "DX" } }
intended_use = "Tests."
not_for = "Anything else."
evidence_level = 1
training_data = "as cxr_pneumonia"
licence = "CC-BY-NC-4.0"

[import]
task = "classify"
channels = ["film"]
intensities = [{ scale = "min-max" }]
outputs = ["Pneumonia"]
activation = "sigmoid"
window = [28, 28]
"""


def call(tmp_path: Path, text: str) -> tuple[int, str]:
    weights = tmp_path / "net.onnx"
    weights.write_bytes(read_weights("cxr_pneumonia.onnx", load_card("cxr_pneumonia").weights or ""))
    card = tmp_path / "card.toml"
    card.write_text(text, encoding="utf-8")
    arguments = ["import", str(weights), "--name", "again", "--card", str(card)]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "models"), "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_an_imported_network_answers_as_the_same_network_does(tmp_path: Path) -> None:
    code, out = call(tmp_path, CARD)
    document = json.loads(out)
    assert code == 0
    assert document["weights"] == load_card("cxr_pneumonia").weights
    assert document["licence"] == "CC-BY-NC-4.0"
    model = load_imported(Path(document["folder"]))
    film = np.random.default_rng(0).random((28, 28)).astype(np.float32)
    film[0, 0], film[0, 1] = 0, 1
    image = Image(film, ImagePlane((28, 28)), "stored", Acquisition("DX"))
    reading = cxr_pneumonia.read_films(film[None], cxr_pneumonia.network())[0]
    got = model.classify(image)["Pneumonia"]
    assert got == pytest.approx(1 / (1 + np.exp(-reading.logit)), abs=1e-6)
    result = model.analyze(Inputs(images={"a": image}))
    (finding,) = result.findings
    assert finding.status == "no_opinion"
    assert finding.concept.value == "233604007"
    assert {note.code for note in result.notes} == {"imported", "not-calibrated"}


def test_a_card_that_contradicts_the_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="whose input is"):
        call(tmp_path, CARD.replace("[28, 28]", "[32, 32]"))
    with pytest.raises(DataError, match="1 outputs"):
        call(tmp_path, CARD.replace('["Pneumonia"]', '["Normal", "Pneumonia"]'))
    assert not (tmp_path / "models").exists()
