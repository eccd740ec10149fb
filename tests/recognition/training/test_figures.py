"""Figures of models of one's own, against scikit-learn and closed forms; intervals over patients."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, recall_score, roc_auc_score

from coread.recognition.training.figures import (
    best_threshold,
    class_figures,
    dice_figures,
    label_dice,
    over_patients,
)


def cases(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    logits = rng.normal(size=(count, classes)) + 1.2 * np.eye(classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_two_classes_as_scikit_learn() -> None:
    labels, chances = cases(200, 2)
    patients = [f"p{n}" for n in range(200)]
    cuts = np.where(np.arange(200) < 100, 0.4, 0.6)  # two folds, two thresholds
    found = class_figures(labels, chances, patients, ("a", "b"), cuts, seed=0)
    said = chances[:, 1] >= cuts
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, chances[:, 1]))
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, said))
    assert found["sensitivity"].value == pytest.approx(recall_score(labels, said))
    assert found["specificity"].value == pytest.approx(recall_score(labels, said, pos_label=0))
    assert found["brier"].value == pytest.approx(brier_score_loss(labels, chances[:, 1]))
    assert all(e.low <= e.value <= e.high for name, e in found.items() if name != "ece")


def test_patients_with_both_classes_and_parts_with_one_are_no_trouble() -> None:
    """Every patient has a case of each class, so strata by the first one know of one class only."""
    labels = np.tile([0, 1], 6)
    chances = np.column_stack([1 - labels, labels]) * 0.8 + 0.1
    patients = np.repeat(list("abcdef"), 2).tolist()
    found = class_figures(labels, chances, patients, ("x", "y"), np.full(12, 0.5), seed=0)
    assert (found["auc"].value, found["auc"].low, found["sensitivity"].value) == (1.0, 1.0, 1.0)
    alone = class_figures(labels[1::2], chances[1::2], patients[::2], ("x", "y"), np.full(6, 0.5), seed=0)
    assert np.isnan([alone["auc"].value, alone["auc"].low, alone["specificity"].value]).all()
    assert alone["sensitivity"].value == 1.0


def test_three_classes_as_scikit_learn() -> None:
    labels, chances = cases(300, 3)
    found = class_figures(
        labels, chances, [f"p{n}" for n in range(300)], ("a", "b", "No Finding"), None, seed=0
    )
    assert set(found) == {"accuracy", "auc", "auc_a", "auc_b", "auc_no_finding", "brier"}
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, chances, multi_class="ovr"))
    assert found["auc_b"].value == pytest.approx(roc_auc_score(labels == 1, chances[:, 1]))
    assert found["accuracy"].value == pytest.approx(accuracy_score(labels, chances.argmax(1)))
    assert found["brier"].value == pytest.approx(((chances - np.eye(3)[labels]) ** 2).sum(1).mean())


def test_the_interval_of_a_mean_is_that_of_patients_and_not_of_images() -> None:
    """Ten images of one patient are alike: the standard error is that of 40 patients, not of 400 images."""
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=40), 10)
    patients = np.repeat([f"p{n}" for n in range(40)], 10).tolist()
    found = over_patients(lambda rows: float(values[rows].mean()), patients, rng=rng, draws=2000)
    error = values[::10].std() / np.sqrt(40)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert found.value == pytest.approx(values.mean())


def test_strata_keep_their_share() -> None:
    labels = np.repeat([0, 1], [37, 3])
    found = over_patients(
        lambda rows: float(labels[rows].mean()),
        [str(n) for n in range(40)],
        rng=np.random.default_rng(0),
        strata=labels,
    )
    assert found.low == found.value == found.high == pytest.approx(3 / 40)


def test_dice_of_shifted_boxes_by_label() -> None:
    said, truth = np.zeros((10, 10), int), np.zeros((10, 10), int)
    said[2:6, 2:6], truth[2:6, 4:8] = 1, 1
    truth[9, 9] = 2
    scores = label_dice(said, truth, 4)
    assert scores[:2].tolist() == [0.5, 0.0]
    assert np.isnan(scores[2])  # neither has it: it says nothing
    found = dice_figures(np.array([scores, [1.0, 1.0, np.nan]]), ["a", "b"], ("x", "y", "z"), seed=0)
    assert found["dice_x"].value == 0.75
    assert found["dice"].value == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert np.isnan(found["dice_z"].value)


def test_the_threshold_balances_both_rates() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [3000, 500])
    assert best_threshold(labels, rng.normal(2.0 * labels - 1, 1.0)) == pytest.approx(0.0, abs=0.1)
    assert best_threshold(np.zeros(5, int), np.arange(5.0)) == 0.5
