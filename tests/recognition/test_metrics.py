"""Figures equal closed forms and scikit-learn's; intervals cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import brier_score_loss, roc_auc_score

from coread.errors import InputError
from coread.recognition.metrics import (
    auc,
    bootstrap,
    brier,
    classifier_figures,
    expected_calibration_error,
    hausdorff_95,
)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=4, max_size=40))
def test_auc_and_brier_equal_scikit_learn(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([r[0] for r in rows] + [True, False], dtype=int)
    scores = np.array([r[1] for r in rows] + [2, 3]) / 5
    assert auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))
    assert brier(labels, scores) == pytest.approx(brier_score_loss(labels, scores))


def test_auc_of_two_normal_distributions() -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([rng.normal(0, 1, 20000), rng.normal(1, 1, 20000)])
    labels = np.repeat([0, 1], 20000)
    assert auc(labels, scores) == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=0.01)


def test_one_class_has_no_curve() -> None:
    with pytest.raises(InputError, match="controls"):
        auc([1, 1], [0.2, 0.3])


def test_calibration_error_of_known_gaps() -> None:
    # 10 cases said 0.9 of which 5 are true, 10 said 0.1 of which 1 is true: gaps 0.4 and 0
    labels = [1] * 5 + [0] * 5 + [1] + [0] * 9
    assert expected_calibration_error(labels, [0.9] * 10 + [0.1] * 10) == pytest.approx(0.2)


def test_figures_at_a_threshold() -> None:
    figures = classifier_figures(0.5)
    labels, scores = np.array([1, 1, 1, 0, 0]), np.array([0.9, 0.5, 0.4, 0.6, 0.1])
    assert figures["sensitivity"](labels, scores) == pytest.approx(2 / 3)
    assert figures["specificity"](labels, scores) == pytest.approx(1 / 2)
    assert figures["accuracy"](labels, scores) == pytest.approx(3 / 5)


def test_bootstrap_interval_of_a_proportion_is_the_normal_one() -> None:
    labels = np.repeat([1, 0], [400, 400])
    scores = np.where(np.arange(800) % 400 < 320, labels, 1 - labels).astype(float)
    got = bootstrap(classifier_figures(0.5), labels, scores, rng=np.random.default_rng(1))["sensitivity"]
    half = 1.96 * np.sqrt(0.8 * 0.2 / 400)
    assert got.value == pytest.approx(0.8)
    assert (got.low, got.high) == (pytest.approx(0.8 - half, abs=0.008), pytest.approx(0.8 + half, abs=0.008))


def test_rows_of_one_patient_are_drawn_together() -> None:
    """Ten copies of each row are no more evidence than one."""
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 50)
    scores = np.clip(rng.normal(labels * 0.3 + 0.35, 0.3), 0, 1)
    figures = {"auc": auc}
    once = bootstrap(figures, labels, scores, rng=np.random.default_rng(3))["auc"]
    copies = bootstrap(
        figures,
        np.repeat(labels, 10),
        np.repeat(scores, 10),
        rng=np.random.default_rng(3),
        groups=np.repeat(np.arange(100), 10),
    )["auc"]
    assert copies.value == pytest.approx(once.value)
    assert copies.high - copies.low == pytest.approx(once.high - once.low, rel=0.1)


def test_hausdorff_of_shifted_boxes() -> None:
    a = np.zeros((30, 30, 30), bool)
    a[10:20, 10:20, 10:20] = True
    assert hausdorff_95(a, a) == 0.0
    assert hausdorff_95(a, np.roll(a, 4, axis=2)) == 4.0
    assert hausdorff_95(a, np.roll(a, 4, axis=2), (1.0, 1.0, 0.5)) == 2.0
    assert hausdorff_95(a, np.zeros_like(a)) == float("inf")
