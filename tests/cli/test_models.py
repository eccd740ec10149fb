"""`coread models` and `coread train` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from coread.cli.models import app
from coread.cli.train import app as train_app
from coread.errors import DataError, InputError, MissingExtraError
from coread.recognition import registry
from coread.recognition.runtime import load_card


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def test_every_model_is_listed_with_its_evidence() -> None:
    code, out = run("list", "--json")
    rows = json.loads(out)["models"]
    assert code == 0
    assert [row["name"] for row in rows] == list(registry.MODELS)
    assert all(1 <= row["evidence_level"] <= 6 and row["evidence"] and row["not_for"] for row in rows)


def test_a_card_is_shown_with_its_figures_and_their_limits() -> None:
    document = json.loads(run("show", "cxr_pneumonia", "--json")[1])
    card = load_card("cxr_pneumonia")
    assert document["weights"] == card.weights
    assert set(document["metrics"]) == {m.name for m in card.metrics}
    assert "auc_validation" in run("show", "cxr_pneumonia")[1]


def test_an_unknown_model_is_refused_with_the_names_that_are_there() -> None:
    with pytest.raises(InputError, match="cxr_pneumonia"):
        run("show", "cxr_pneumonie")


def test_weights_are_verified_against_their_cards() -> None:
    document = json.loads(run("verify", "--json")[1])
    assert document["equal"] is True
    assert [row["name"] for row in document["models"]] == list(registry.MODELS)


def test_changed_weights_make_the_answer_no(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: str) -> int:
        raise DataError(f"weights {model} with another SHA-256")

    monkeypatch.setattr(registry, "check_weights", refuse)
    result = CliRunner().invoke(app, ["verify", "--json"], standalone_mode=False)
    assert result.return_value == 1
    assert json.loads(result.stdout)["equal"] is False


def test_figures_of_the_card_are_measured_again(shared: Path) -> None:
    data = shared / "images/pneumoniamnist/pneumoniamnist_trainval.npz"
    row = json.loads(run("verify", "cxr_pneumonia", "--data", str(data), "--json")[1])["models"][0]
    assert {f["metric"] for f in row["figures"]} >= {"auc_validation", "accuracy_validation"}
    assert all(f["equal"] for f in row["figures"]), row


def test_evaluation_is_one_object_with_every_figure(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    data = tmp_path / "films.npz"
    images = rng.integers(0, 255, (12, 28, 28), dtype=np.uint8)
    np.savez(data, test_images=images, test_labels=np.arange(12).reshape(-1, 1) % 2)
    out = tmp_path / "figures.json"
    code, printed = run("evaluate", "cxr_pneumonia", "--data", str(data), "--json", "--out", str(out))
    document = json.loads(printed)
    assert code == 0
    assert (document["cases"], document["patients"]) == (12, 12)
    assert set(document["metrics"]) == {"auc", "accuracy", "sensitivity", "specificity", "ece", "brier"}
    for figure in document["metrics"].values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert document == json.loads(out.read_text())
    with pytest.raises(InputError, match="there already"):
        run("evaluate", "cxr_pneumonia", "--data", str(data), "--out", str(out))


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train, val, test"):
        run("evaluate", "cxr_pneumonia", "--data", str(tmp_path), "--part", "all")


def train(*arguments: str) -> None:
    result = CliRunner().invoke(train_app, list(arguments))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception


def test_training_says_what_is_missing(tmp_path: Path) -> None:
    data = tmp_path / "films.npz"
    images = np.random.default_rng(0).integers(0, 255, (8, 28, 28), dtype=np.uint8)
    labels = np.arange(8).reshape(-1, 1) % 2
    np.savez(data, train_images=images, train_labels=labels, val_images=images, val_labels=labels)
    out = str(tmp_path / "out")
    with pytest.raises(InputError, match="no training for"):
        train("nothing", "--data", str(data), "--out", out)
    with pytest.raises(InputError, match="nothing at"):
        train("cxr_pneumonia", "--data", str(tmp_path / "absent.npz"), "--out", out)
    with pytest.raises(InputError, match="no setting"):
        train("cxr_pneumonia", "--data", str(data), "--out", out, "--set", "speed=3")
    with pytest.raises(InputError, match="whole number"):
        train("cxr_pneumonia", "--data", str(data), "--out", out, "--set", "steps=many")
    try:
        import torch  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtraError, match=r"coread\[train\]"):
            train("cxr_pneumonia", "--data", str(data), "--out", out)


@pytest.mark.parametrize("model", ["cxr_pneumonia", "lv_cine"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x93NUMPY no archive"])
def test_a_file_that_is_empty_or_broken_is_refused_by_its_name(
    model: str, content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "given.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"given\.npz"):
        run("evaluate", model, "--data", str(path))


def test_figures_on_the_models_own_training_data_say_so(shared: Path) -> None:
    data = shared / "images/pneumoniamnist"
    document = json.loads(run("evaluate", "cxr_pneumonia", "--data", str(data), "--json")[1])
    assert any("Trained on: PneumoniaMNIST" in note and "too good" in note for note in document["notes"])


@pytest.mark.parametrize(
    ("model", "folder", "patients"),
    [("lung_fields", "chest/montgomery_lungs", 97), ("lv_cine", "sunnybrook_cine", 29)],
)
def test_figures_of_cross_validation_are_measured_again(
    model: str, folder: str, patients: int, shared: Path
) -> None:
    """Each patient by the network that never saw it; as strangers, whom all speak of, they fare better."""
    data = shared / "images" / folder
    row = json.loads(run("verify", model, "--data", str(data), "--json")[1])["models"][0]
    assert row["equal"]
    figures = {f["metric"]: f["measured"] for f in row["figures"]}
    document = json.loads(run("evaluate", model, "--data", str(data), "--json")[1])
    assert document["metrics"]["dice"]["value"] == pytest.approx(figures["dice_cross_validation"])
    assert document["notes"][0].startswith(f"{patients} of {patients} patients took part in training")
    assert not any("too good" in note for note in document["notes"])
