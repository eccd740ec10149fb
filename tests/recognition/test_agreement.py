"""Limits of agreement hold for further patients as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.errors import InputError
from coread.recognition.agreement import Agreement


@pytest.mark.parametrize("quotient", [False, True])
@pytest.mark.parametrize("patients", [5, 30])
def test_a_further_patient_lies_within_as_often_as_told(quotient: bool, patients: int) -> None:
    """Experts' numbers drawn around the model's: 95 % of 4,000 lie inside, within three standard errors."""
    rng, inside = np.random.default_rng(7), 0
    for _ in range(4000):
        true = rng.uniform(20, 90, patients + 1)
        said = (
            true * np.exp(rng.normal(0.1, 0.2, patients + 1))
            if quotient
            else true + rng.normal(-2, 5, patients + 1)
        )
        limits = Agreement.of(said[1:], true[1:], quotient=quotient)
        interval = limits.around(said[0])
        inside += interval.low <= true[0] <= interval.high
    assert inside / 4000 == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / 4000))


@given(st.floats(0, 100))
def test_a_fraction_stays_between_0_and_100(value: float) -> None:
    interval = Agreement(-12.0, 9.0, 29).around(value, at_most=100.0)
    assert 0 <= interval.low <= value <= interval.high <= 100


def test_it_comes_back_from_plain_values() -> None:
    limits = Agreement.of([1.0, 2.2, 2.9], [1.1, 2.0, 3.0], quotient=True)
    assert Agreement.from_settings(limits.settings()) == limits


@pytest.mark.parametrize(("said", "true"), [([1.0, 2.0], [1.0, 2.0]), ([1.0, 2.0, 3.0], [1.0, 2.0])])
def test_too_few_are_refused(said: list[float], true: list[float]) -> None:
    with pytest.raises(InputError):
        Agreement.of(said, true)


def test_a_quotient_of_nothing_is_refused() -> None:
    with pytest.raises(InputError):
        Agreement.of([1.0, 2.0, 3.0], [1.0, 0.0, 3.0], quotient=True)
