"""What every guideline shares: inputs that are checked, the answer, the register."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from coread.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidelineAnswer:
    """What a guideline says of given inputs.

    Attributes:
        system: Name of the guideline.
        version: Edition.
        source: Where its table or formula was published.
        result: Output keys with values; empty where it cannot answer.
        row: The row of the table that fired, or the formula.
        missing: Inputs that are needed and were not given; no input is guessed.
        not_applicable: Why the guideline does not cover this case, or None.
        notes: What limits the answer.
    """

    system: str
    version: str
    source: str
    result: Mapping[str, Any] = field(default_factory=dict)
    row: str = ""
    missing: tuple[str, ...] = ()
    not_applicable: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "result", MappingProxyType(dict(self.result)))

    def document(self) -> dict[str, Any]:
        """Return the answer as a JSON object, the result's keys beside the rest."""
        return {
            "system": self.system,
            "version": self.version,
            "source": self.source,
            **self.result,
            "row": self.row,
            "missing": list(self.missing),
            "not_applicable": self.not_applicable,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Fired:
    """What a rule returns: result and row."""

    result: Mapping[str, Any]
    row: str
    notes: tuple[str, ...] = ()


class Missing(Exception):  # noqa: N818  (never leaves this package)
    """Inputs that the rule needs and does not have."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.names = names


class Outside(Exception):  # noqa: N818  (never leaves this package)
    """The guideline does not cover the case."""


class Given:
    """The inputs of one question; each is checked when the rule asks for it."""

    def __init__(self, system: str, known: Collection[str], inputs: Mapping[str, Any]) -> None:
        self.system = system
        self.inputs = {name: value for name, value in inputs.items() if value is not None}
        unknown = sorted(set(inputs) - set(known))
        if unknown:
            raise InputError(
                f"{system} has no input {', '.join(unknown)}",
                f"expected some of {', '.join(known)}",
                "check the names",
            )

    def need(self, *names: str) -> None:
        """Say which inputs the rule cannot do without.

        Raises:
            Missing: Some are not given.
        """
        absent = [name for name in names if name not in self.inputs]
        if absent:
            raise Missing(*absent)

    def has(self, name: str) -> bool:
        """Return whether an input is given."""
        return name in self.inputs

    def number(self, name: str, *, low: float = 0.0, high: float = float("inf")) -> float:
        """Return a number within its range."""
        self.need(name)
        value = self.inputs[name]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise InputError(
                f"{name} is {value!r}", f"expected a number from {low:g} to {high:g}", "correct it"
            )
        return float(value)

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Return one of a closed set of words."""
        self.need(name)
        value = str(self.inputs[name])
        if value not in choices:
            raise InputError(
                f"{name} is {value!r}", f"expected one of {', '.join(sorted(choices))}", "correct it"
            )
        return value

    def flag(self, name: str, *, default: bool | None = None) -> bool:
        """Return a truth value; without a default it has to be given."""
        if default is not None and name not in self.inputs:
            return default
        self.need(name)
        value = self.inputs[name]
        if value not in (True, False, 0, 1):
            raise InputError(f"{name} is {value!r}", "expected true or false", "correct it")
        return bool(value)

    def words(self, name: str, choices: Collection[str]) -> tuple[str, ...]:
        """Return a list of words of a closed set."""
        self.need(name)
        value = self.inputs[name]
        listed = (value,) if isinstance(value, str) else tuple(value)
        wrong = [word for word in listed if word not in choices]
        if wrong:
            raise InputError(
                f"{name} has {', '.join(map(repr, wrong))}",
                f"expected some of {', '.join(sorted(choices))}",
                "correct it",
            )
        return tuple(map(str, listed))


Rule = Callable[[Given], Fired]


@dataclass(frozen=True, slots=True)
class Guideline:
    """A registered guideline."""

    name: str
    version: str
    source: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rule: Rule


REGISTER: dict[str, Guideline] = {}


def guideline(name: str, version: str, source: str, *, inputs: str, outputs: str) -> Callable[[Rule], Rule]:
    """Register a rule under the name of its guideline; names of inputs and outputs are split at spaces."""

    def add(rule: Rule) -> Rule:
        REGISTER[name] = Guideline(name, version, source, tuple(inputs.split()), tuple(outputs.split()), rule)
        return rule

    return add


def apply(name: str, inputs: Mapping[str, Any]) -> GuidelineAnswer:
    """Return what a guideline says.

    Args:
        name: As `systems()` lists it.
        inputs: By name; None counts as not given.

    Raises:
        InputError: There is no such guideline, or an input has another name or range.

    Examples:
        >>> from coread.decision import guidelines
        >>> answer = guidelines.apply("fleischner", {"type": "solid", "mean_diameter_mm": 7,
        ...                                          "count": "single", "risk": "low"})
        >>> answer.result["action"], answer.result["first_months"]
        ('ct', [6, 12])
        >>> guidelines.apply("fleischner", {"type": "solid"}).missing
        ('mean_diameter_mm', 'count')
    """
    found = REGISTER.get(name)
    if found is None:
        raise InputError(
            f"no guideline {name!r}", f"expected one of {', '.join(sorted(REGISTER))}", "check the name"
        )
    given = Given(name, found.inputs, inputs)
    blank = GuidelineAnswer(system=found.name, version=found.version, source=found.source)
    try:
        fired = found.rule(given)
    except Missing as missing:
        return replace(blank, missing=missing.names)
    except Outside as outside:
        return replace(blank, not_applicable=str(outside))
    return replace(blank, result=fired.result, row=fired.row, notes=fired.notes)
