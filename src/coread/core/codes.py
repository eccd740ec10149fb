"""Coded concepts, quantities and intervals: what a number or a name means."""

from __future__ import annotations

import math
from dataclasses import dataclass

from coread.errors import InputError


@dataclass(frozen=True, slots=True)
class CodedConcept:
    """A meaning with its code.

    Two concepts are equal when value and scheme are; the meaning is for people.

    Attributes:
        value: The code, such as ``60046008``.
        scheme: The coding scheme designator of DICOM: ``SCT``, ``DCM``, ``LN``, ``RADLEX``, ``99COREAD``.
        meaning: Words for people, in English.
    """

    value: str
    scheme: str
    meaning: str

    def __post_init__(self) -> None:
        if not (self.value and self.scheme and self.meaning):
            raise InputError(f"a code needs value, scheme and meaning, got {self!r}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CodedConcept):
            return NotImplemented
        return (self.value, self.scheme) == (other.value, other.scheme)

    def __hash__(self) -> int:
        return hash((self.value, self.scheme))

    def __str__(self) -> str:
        return self.meaning


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its UCUM unit; ``1`` for a pure number, ``%`` for percent."""

    value: float
    unit: str

    def __post_init__(self) -> None:
        if not self.unit:
            raise InputError("a quantity needs a unit; 1 for a pure number")

    def __str__(self) -> str:
        return f"{self.value:g}" if self.unit == "1" else f"{self.value:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval of a number.

    Attributes:
        low: Lower end, in the unit of the number.
        high: Upper end.
        level: Coverage between 0 and 1, such as 0.95.
        method: How it was made, such as ``bootstrap over patients``.
    """

    low: float
    high: float
    level: float
    method: str

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high) or self.low > self.high:
            raise InputError(f"an interval runs from low to high, got {self.low} to {self.high}")
        if not 0 < self.level < 1:
            raise InputError(f"a level lies between 0 and 1, got {self.level}")


@dataclass(frozen=True, slots=True)
class Probability:
    """A probability in its context.

    Attributes:
        value: Between 0 and 1.
        interval: Its uncertainty, or None where none was measured.
        threshold: The model acts at or above this value.
        calibrated: Whether the value was calibrated on data that the model was not fitted to.
    """

    value: float
    interval: Interval | None
    threshold: float
    calibrated: bool

    def __post_init__(self) -> None:
        if not (0 <= self.value <= 1 and 0 <= self.threshold <= 1):
            raise InputError(
                f"probability and threshold lie from 0 to 1, got {self.value} and {self.threshold}"
            )
