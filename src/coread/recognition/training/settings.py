"""Settings of a training: what to train, on what, how; a TOML file in, a TOML file out."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self, TypeVar

from coread.errors import InputError

KINDS = ("classify", "segment")
CARD_WORDS = (
    "title",
    "version",
    "mode",
    "needs",
    "intended_use",
    "not_for",
    "training_data",
    "licence",
    "references",
)
P = TypeVar("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What a training is told.

    Attributes:
        model: ``classify`` or ``segment`` for a model of one's own, or the name of one of CoRead's.
        name: What the new model is called: letters, digits, ``-`` and ``_``.
        data: Table of the cohort, or the data that a named model's card names; None if not said.
        folds: Of the cross-validation by patient; 0 for a single division.
        classes: Order of the classes, the one that is looked for last.
        plan: Fields of the plan.
        columns: Standard names of the table's columns to those that it has.
        labels: Names of the values in masks.
        intensity: Fields of `coread.recognition.importing.Intensity`.
        card: What no data tells: ``intended_use``, ``licence`` and the other words of a card.
    """

    model: str
    name: str = ""
    data: Path | None = None
    folds: int = 0
    classes: tuple[str, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[int, str] = field(default_factory=dict)
    intensity: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.model)
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise InputError(f"the name {self.name!r}", "letters, digits, - and _")
        unknown = sorted(set(self.card) - set(CARD_WORDS))
        if unknown:
            raise InputError(f"[card] with {', '.join(unknown)}", f"some of {', '.join(CARD_WORDS)}")
        own = ("folds", "classes", "columns", "labels", "intensity", "card")
        given = [name for name in own if getattr(self, name)]
        if self.model not in KINDS and given:
            raise InputError(
                f"{', '.join(given)} for {self.model!r}",
                "data and [plan] alone for a model of CoRead; the rest is for classify and segment",
            )

    @classmethod
    def from_table(cls, table: Mapping[str, Any], folder: Path) -> Self:
        """Return settings from the table of a TOML file.

        Args:
            table: Of the file.
            folder: Of the file: a relative ``data`` is looked for there.

        Raises:
            InputError: A key is unknown or a value is not of its kind.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(table) - known)
        if unknown or "model" not in table:
            raise InputError(
                f"settings with {', '.join(unknown)}" if unknown else "settings without model",
                f"model, and some of {', '.join(sorted(known - {'model'}))}",
            )
        for name, kind in {
            **dict.fromkeys(("model", "name", "data"), str),
            "folds": int,
            "classes": list,
            **dict.fromkeys(("plan", "columns", "labels", "intensity", "card"), dict),
        }.items():
            if name in table and (not isinstance(table[name], kind) or isinstance(table[name], bool)):
                raise InputError(f"{name} = {table[name]!r}", _WORDS[kind])
        values = dict(table)
        if "data" in values:
            values["data"] = folder / values["data"]
        if "classes" in values:
            values["classes"] = tuple(str(name) for name in values["classes"])
        try:
            values["labels"] = {int(value): str(name) for value, name in values.get("labels", {}).items()}
        except ValueError as error:
            raise InputError(f"[labels] {error}", 'values of masks to names, such as 1 = "liver"') from error
        return cls(**values)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return settings from a TOML file.

        Raises:
            InputError: It can't be read, is no TOML, or says what settings don't have.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path.name} can't be read: {error}", "settings of a training as TOML"
            ) from error
        return cls.from_table(
            {"name": path.stem, **table} if table.get("model") in KINDS else table, path.parent
        )

    def to_toml(self) -> str:
        """Return a TOML text that `read` takes; a relative path of the data stays as it is."""
        plain: dict[str, Any] = {"model": self.model, "name": self.name}
        if self.data is not None:
            plain["data"] = self.data.as_posix()
        if self.folds:
            plain["folds"] = self.folds
        if self.classes:
            plain["classes"] = list(self.classes)
        tables = {name: getattr(self, name) for name in ("plan", "columns", "labels", "intensity", "card")}
        return toml_text(plain, {name: table for name, table in tables.items() if table})


_WORDS = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}


def changed_plan(plan: P, changes: Mapping[str, Any]) -> P:
    """Return a plan with other values in some of its fields.

    Raises:
        InputError: The plan has no such field, or the value is of another kind.
    """
    known = {item.name: getattr(plan, item.name) for item in fields(plan)}  # type: ignore[arg-type]
    plain = {name for name, value in known.items() if isinstance(value, int | float | tuple | str)}
    values = dict(changes)
    for name, value in changes.items():
        if name not in plain:
            raise InputError(f"no setting {name!r} of this training", f"one of {', '.join(sorted(plain))}")
        old = known[name]
        if isinstance(old, tuple):
            if not isinstance(value, list | tuple) or not all(_is_number(n) for n in value):
                raise InputError(f"{name}={value!r}", "a list of numbers")
            values[name] = tuple(value)
        elif isinstance(old, str):
            if not isinstance(value, str):
                raise InputError(f"{name}={value!r}", "a text")
        elif isinstance(old, bool):
            if not isinstance(value, bool):
                raise InputError(f"{name}={value!r}", "true or false")
        elif not _is_number(value) or (isinstance(old, int) and not isinstance(value, int)):
            raise InputError(f"{name}={value!r}", "a whole number" if isinstance(old, int) else "a number")
    return replace(plan, **values)  # type: ignore[type-var]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def toml_text(plain: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a TOML text: plain keys, then tables, tables in them on one line each."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in plain.items()]
    for name, table in tables.items():
        lines += ["", f"[{_key(name)}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _key(name: Any) -> str:
    text = str(name)
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _value(text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return repr(value)
