"""How far a model's numbers lie from the experts' in patients it had not seen, told beside each new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from coread.core import Interval
from coread.errors import InputError

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Agreement:
    """Between which limits the difference from the expert lies in 95 % of further patients.

    Attributes:
        low: Of the model's number minus the expert's, or of their quotient.
        high: The upper limit.
        patients: From how many the limits come.
        quotient: Whether the limits are of quotients, for amounts whose error grows with their size.
    """

    low: float
    high: float
    patients: int
    quotient: bool = False

    @classmethod
    def of(cls, said: ArrayLike, true: ArrayLike, *, quotient: bool = False) -> Self:
        """Return the limits for one further patient.

        Differences, of logarithms for quotients, are taken as normally distributed. The limits are wider
        than mean ± 1.96 deviations because mean and deviation come from few patients.

        Args:
            said: The model's number for each patient.
            true: The expert's.
            quotient: See `Agreement`.

        Raises:
            InputError: Fewer than three patients, or an amount that is not above 0 where quotients are taken.

        References:
            Bland and Altman, Lancet 327 (1986) 307-310; prediction interval of one normal observation.

        Examples:
            >>> found = Agreement.of([1.0, 2.0, 3.0], [0.0, 2.0, 4.0])
            >>> round(found.low, 3), round(found.high, 3)
            (-4.968, 4.968)
        """
        model, expert = np.asarray(said, dtype=np.float64), np.asarray(true, dtype=np.float64)
        if model.shape != expert.shape or model.ndim != 1 or len(model) < 3:
            raise InputError(f"numbers of shape {model.shape} and {expert.shape}", "three pairs or more")
        if quotient and min(model.min(), expert.min()) <= 0:
            raise InputError("an amount of 0 or less", "amounts above 0, whose quotient is told")
        away = np.log(model / expert) if quotient else model - expert
        count = len(away)
        half = student.ppf((1 + LEVEL) / 2, count - 1) * away.std(ddof=1) * np.sqrt(1 + 1 / count)
        low, high = away.mean() - half, away.mean() + half
        if quotient:
            low, high = np.exp(low), np.exp(high)
        return cls(float(low), float(high), count, quotient)

    def around(self, value: float, *, at_most: float = np.inf) -> Interval:
        """Return between which limits the expert's number would lie, given the model's.

        Args:
            value: What the model says; neither it nor the expert's is below 0.
            at_most: The largest number that there can be, such as 100 of a percentage.
        """
        ends = (
            (value / self.high, value / self.low) if self.quotient else (value - self.high, value - self.low)
        )
        low, high = (float(np.clip(end, 0.0, at_most)) for end in ends)
        return Interval(low, high, LEVEL, f"agreement with the expert in {self.patients} unseen cases")

    def settings(self) -> dict[str, Any]:
        """Return the same as plain values, to be kept with the weights."""
        return {
            "low": self.low,
            "high": self.high,
            "patients": self.patients,
            "quotient": self.quotient,
        }

    @classmethod
    def from_settings(cls, values: Mapping[str, Any]) -> Self:
        """Return what `settings` gave."""
        return cls(**values)
