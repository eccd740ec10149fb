"""Where a training is kept, so that it can be stopped at any moment and taken up again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coread.errors import DataError, InputError
from coread.extras import require

Tensor = Any
Generator = Any
SCHEMA, VERSION = "coread-checkpoint", 1
EVERY = 25


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training is kept, and what it is.

    Attributes:
        path: Of the file.
        identity: Of plan, data and division; a checkpoint of another one is refused.
        resume: Whether to go on from what is there; else it is written over.
    """

    path: Path
    identity: str
    resume: bool = False

    def read(self) -> dict[str, Any] | None:
        """Return what is kept, or None where there is nothing to go on from.

        Raises:
            DataError: The file is none of ours or damaged.
            InputError: It is of another training.
        """
        if not self.resume or not self.path.is_file():
            return None
        torch = require("torch", extra="train")
        try:
            state = torch.load(self.path, weights_only=True, map_location="cpu")
            known = state["schema"] == SCHEMA and state["version"] == VERSION
        except Exception as error:  # torch raises classes of its own for every kind of damage
            raise DataError(
                f"{self.path.name} can't be read ({str(error)[:200]})",
                "a checkpoint of this command",
                "remove it and train anew",
            ) from error
        if not known:
            raise DataError(f"{self.path.name} of another schema", f"{SCHEMA} of version {VERSION}")
        if state["identity"] != self.identity:
            raise InputError(
                f"{self.path.name} belongs to a training with another plan or other data",
                "the same plan and data",
                "choose another folder, or leave --resume out and add --force to train anew",
            )
        return dict(state)

    def write(self, state: Mapping[str, Any]) -> None:
        """Keep a state; what was there before stays whole until the new one is."""
        torch = require("torch", extra="train")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".part")
        torch.save({"schema": SCHEMA, "version": VERSION, "identity": self.identity, **state}, beside)
        os.replace(beside, self.path)

    def named(self, name: str) -> Checkpoint:
        """Return the checkpoint beside this one for a network of this name."""
        return replace(self, path=self.path.with_name(f"{name}.pt"), identity=f"{self.identity} {name}")


class Deal:
    """Deals the numbers of cases out in hands, each case once before any comes again.

    Args:
        cases: Number of them.
        hand: Number dealt at once.
        generator: Of torch.
    """

    def __init__(self, cases: int, hand: int, generator: Generator) -> None:
        torch = require("torch", extra="train")
        self._cases, self._hand, self._generator = cases, hand, generator
        self._left: Tensor = torch.zeros(0, dtype=torch.long)

    def next(self) -> Tensor:
        """Return the numbers of the next hand; what is left of a deal but no full hand is dropped."""
        torch = require("torch", extra="train")
        if len(self._left) < self._hand:
            self._left = torch.randperm(self._cases, generator=self._generator)
        chosen, self._left = self._left[: self._hand], self._left[self._hand :]
        return chosen

    def state_dict(self) -> dict[str, Any]:
        """Return what is needed to go on; the generator is kept by who made it."""
        return {"left": self._left.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self._left = state["left"]


class NumpyState:
    """The state of a numpy generator, as text, which a checkpoint may hold."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def state_dict(self) -> dict[str, str]:
        """Return what is needed to go on."""
        return {"state": json.dumps(self._rng.bit_generator.state)}

    def load_state_dict(self, state: Mapping[str, str]) -> None:
        """Go on where `state_dict` was taken."""
        self._rng.bit_generator.state = json.loads(state["state"])


def kept_steps(
    count: int,
    parts: Mapping[str, Any],
    generator: Generator,
    checkpoint: Checkpoint | None,
    *,
    every: int = EVERY,
) -> Iterator[int]:
    """Yield the numbers of the steps still to be taken, and keep the state after some of them.

    Args:
        count: Of all steps.
        parts: What changes from step to step, by name; each has ``state_dict`` and ``load_state_dict``.
        generator: Of torch.
        checkpoint: None keeps nothing.
        every: Steps between two states.
    """
    torch = require("torch", extra="train")
    state = checkpoint.read() if checkpoint else None
    first = 0
    if state is not None:
        for name, part in parts.items():
            part.load_state_dict(state["parts"][name])
        generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        first = state["step"]
    for step in range(first, count):
        yield step
        if checkpoint is not None and ((step + 1) % every == 0 or step + 1 == count):
            checkpoint.write(
                {
                    "parts": {name: part.state_dict() for name, part in parts.items()},
                    "generator": generator.get_state(),
                    "random": torch.get_rng_state(),
                    "step": step + 1,
                }
            )
