"""Uncertainty has its closed forms: coins, certainty, contradiction; equal cases go by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import entropy as scipy_entropy

from coread.errors import InputError
from coread.recognition.training.ordering import (
    Uncertainty,
    class_uncertainty,
    entropy,
    looking_order,
    mask_uncertainty,
)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([[0.5, 0.5]], (1.0, 0.0)),  # a coin
        ([[1.0, 0.0]], (0.0, 0.0)),  # certainty
        ([[0.5, 0.5], [0.5, 0.5]], (1.0, 0.0)),  # nobody knows
        ([[1.0, 0.0], [0.0, 1.0]], (1.0, 1.0)),  # both certain, and of the opposite
        ([[0.25] * 4], (1.0, 0.0)),
        ([[0.5, 0.5, 0.0, 0.0]], (0.5, 0.0)),  # one bit of two
        ([[1, 0, 0, 0], [0, 1, 0, 0]], (0.5, 0.5)),
    ],
)
def test_closed_forms(answers: list, expected: tuple[float, float]) -> None:
    found = class_uncertainty(answers)
    assert (found.entropy, found.disagreement) == pytest.approx(expected, abs=1e-12)


@given(arrays.arrays(np.float64, (4, 3, 5), elements=st.floats(1e-6, 1)))
def test_entropy_is_that_of_scipy_and_disagreement_is_a_part_of_it(values: np.ndarray) -> None:
    chances = values / values.sum(axis=2, keepdims=True)
    np.testing.assert_allclose(entropy(chances), scipy_entropy(chances, axis=2, base=5), atol=1e-9)
    for case in range(3):
        found = class_uncertainty(chances[:, case])
        assert -1e-12 <= found.disagreement <= found.entropy + 1e-12 <= 1 + 1e-9
        twice = class_uncertainty(np.repeat(chances[:1, case], 3, axis=0))
        assert twice.disagreement == pytest.approx(0.0, abs=1e-9)


def test_the_air_around_a_patient_does_not_count() -> None:
    answers = np.zeros((1, 2, 4, 10, 10))
    answers[:, 0] = 1.0
    assert mask_uncertainty(answers) == Uncertainty(0.0, 0.0)
    answers[:, :, 1, :2, :2] = 0.5
    assert mask_uncertainty(answers).entropy == pytest.approx(1.0)
    wider = np.zeros((1, 2, 4, 30, 30))
    wider[:, 0] = 1.0
    wider[..., :10, :10] = answers
    assert mask_uncertainty(wider) == mask_uncertainty(answers)


def test_contradiction_about_a_border_counts_more_than_doubt_about_all_of_it() -> None:
    one, two = np.zeros((2, 8, 8)), np.zeros((2, 8, 8))
    one[1, :4], two[1, 4:] = 1.0, 1.0
    one[0], two[0] = 1 - one[1], 1 - two[1]
    doubt = np.full((2, 2, 8, 8), 0.5)
    assert mask_uncertainty(np.stack([one, two])).disagreement == pytest.approx(1.0)
    assert mask_uncertainty(doubt).disagreement == pytest.approx(0.0)


def test_least_sure_first_and_ties_by_name() -> None:
    names = ["b", "c", "a", "d"]
    found = [
        Uncertainty(0.5, 0.1),
        Uncertainty(0.9, 0.0),
        Uncertainty(0.5 + 1e-13, 0.1),  # a rounding is no reason
        Uncertainty(0.5, 0.4),
    ]
    assert [names[n] for n in looking_order(names, found, "entropy")] == ["c", "a", "b", "d"]
    assert [names[n] for n in looking_order(names, found, "disagreement")] == ["d", "a", "b", "c"]
    with pytest.raises(InputError, match="entropy or disagreement"):
        looking_order(names, found, "luck")  # type: ignore[arg-type]
