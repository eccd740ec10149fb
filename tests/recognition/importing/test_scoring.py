"""Which output of an imported classifier is judged, and against which label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coread.core import card_from_table
from coread.errors import DataError, InputError, NotApplicableError
from coread.recognition.importing import ImportedModel, Intensity, Specification
from coread.recognition.importing.imported import card_thresholds
from coread.recognition.importing.scoring import evaluate_scored, scored_imported
from coread.recognition.training.evaluation import evaluate_on_table

CARD = {
    "name": "Corners",
    "version": "1",
    "kind": "classify",
    "mode": "second-reader",
    "needs": {"images": "any"},
    "intended_use": "Tests.",
    "not_for": "Anything else.",
    "evidence_level": 1,
    "training_data": "none",
    "licence": "Apache-2.0",
    "weights": "a" * 64,
    "threshold": 0.6,
}


def model(outputs: tuple[str, ...], activation: str, task: str = "classify") -> ImportedModel:
    """Answers with the values of the picture's first row, one for each output."""
    said = Specification(
        task=task,
        channels=("film",),
        intensities=(Intensity(),),
        outputs=outputs,
        activation=activation,
        window=(4, 4),
    )

    def predict(batch: np.ndarray) -> np.ndarray:
        return batch[:, 0, 0, : len(outputs)]

    card = card_from_table(CARD)
    return ImportedModel("corners", card, "a" * 64, said, predict, thresholds=card_thresholds(card, said))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    images = np.zeros((6, 4, 4), np.float32)
    images[:, 0, :3] = np.eye(3, dtype=np.float32).repeat(2, axis=0)
    path = tmp_path / "three.npz"
    np.savez(path, test_images=images, test_labels=np.array([[0], [0], [1], [1], [2], [2]]))
    return path


@pytest.fixture
def two(data: Path) -> Path:
    """The same pictures, the last pair labelled as the first."""
    with np.load(data) as file:
        images = file["test_images"]
    path = data.with_name("two.npz")
    np.savez(path, test_images=images, test_labels=np.array([[0], [0], [1], [1], [0], [0]]))
    return path


def test_one_of_several_classes_is_judged_against_all_others(data: Path) -> None:
    three = model(("normal", "bacterial", "viral"), "none")
    found = scored_imported(three, data, finding="viral")
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.scores.tolist() == [0, 0, 0, 0, 1, 1]
    assert found.threshold is None, "the card's one threshold is for none of three"
    assert evaluate_scored(three, found).metrics["auc"].value == 1.0
    with pytest.raises(InputError, match="normal, bacterial, viral"):
        scored_imported(three, data)


def test_of_two_classes_the_second_is_judged_at_the_card_s_threshold(data: Path, two: Path) -> None:
    found = scored_imported(model(("normal", "ill"), "softmax"), two)
    assert (found.finding, found.threshold) == ("ill", 0.6)
    assert found.labels.tolist() == [0, 0, 1, 1, 0, 0]
    e = np.e
    assert found.scores == pytest.approx([1 / (1 + e)] * 2 + [e / (1 + e)] * 2 + [0.5] * 2)
    with pytest.raises(DataError, match="label 2"):
        scored_imported(model(("normal", "ill"), "softmax"), data)


def test_a_table_is_judged_at_the_threshold_in_use(two: Path) -> None:
    table = two.with_name("cases.csv")
    rows = [f"two.npz#test_images[{n}],{n},{'ill' if n in (2, 3) else 'normal'}" for n in range(6)]
    table.write_text("\n".join(["image,patient,label", *rows]))
    said = model(("normal", "ill"), "softmax")
    at_card = evaluate_on_table(said, table).metrics
    assert (at_card["sensitivity"].value, at_card["specificity"].value) == (1.0, 1.0)
    at_site = evaluate_on_table(said.with_thresholds({"ill": 0.2}), table).metrics
    assert (at_site["sensitivity"].value, at_site["specificity"].value) == (1.0, 0.0)


def test_findings_that_may_come_together_are_judged_alone(two: Path) -> None:
    both = model(("mass", "effusion"), "sigmoid")
    found = scored_imported(both, two, finding="effusion")
    assert found.labels.tolist() == [0, 0, 1, 1, 0, 0]
    assert found.scores == pytest.approx([0.5] * 2 + [1 / (1 + np.exp(-1))] * 2 + [0.5] * 2)
    with pytest.raises(InputError, match="mass, effusion"):
        both.with_thresholds({"nodule": 0.5})


def test_what_outlines_has_no_probability_to_judge(data: Path) -> None:
    with pytest.raises(NotApplicableError, match="outlines"):
        scored_imported(model(("background", "lung"), "softmax", "segment"), data)
