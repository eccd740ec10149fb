"""What a training of one's own rests on: each case judged by networks that have not seen its patient."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from coread.recognition.importing import ImportedModel, Specification
from coread.recognition.metrics import Estimate
from coread.recognition.training.cohort import Cohort, Division
from coread.recognition.training.loop import Task

Module = Any


class Recipe(Protocol):
    """What is particular to classifying or segmenting."""

    specification: Specification

    def check(self, division: Division) -> None:
        """Check that a division has what is needed."""
        ...

    def task(self, division: Division) -> Task:
        """Return what is learnt in a division."""
        ...

    def temperature(self, network: Module, rows: NDArray[np.int64]) -> float:
        """Return what logits are divided by, from rows to choose with."""
        ...

    def judged(self, model: ImportedModel, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what a finished model says, or reaches, on some rows."""
        ...

    def threshold(self, judged: NDArray[np.float64], rows: NDArray[np.int64]) -> float | None:
        """Return the operating point, from rows to choose with."""
        ...

    def figures(
        self, judged: NDArray[np.float64], rows: NDArray[np.int64], thresholds: Sequence[float | None]
    ) -> dict[str, Estimate]:
        """Return figures of some rows, each with its threshold."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A trained network, what was chosen for it, and what it said about cases that it didn't learn from.

    Attributes:
        division: Who taught it, who chose, who was judged.
        network: In torch.
        content: ONNX file of it alone.
        temperature: Its logits are divided by this.
        threshold: Operating point, or None.
        chosen_with: What it said about the rows to choose with.
        judged: What it said about the rows to be judged.
        epoch: The best.
        epochs: How many there were.
    """

    division: Division
    network: Module
    content: bytes
    temperature: float
    threshold: float | None
    chosen_with: NDArray[np.float64]
    judged: NDArray[np.float64]
    epoch: int
    epochs: int


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Networks and what they said about patients that they don't know.

    Attributes:
        cohort: The cases.
        recipe: What is done with them.
        members: One network, or one a fold.
        apart: Rows of the table's test part, where there are folds as well; may be empty.
        of_all: What all networks together said about these.
        threshold: Operating point of all networks together, or None.
    """

    cohort: Cohort
    recipe: Recipe
    members: tuple[Member, ...]
    apart: NDArray[np.int64]
    of_all: NDArray[np.float64]
    threshold: float | None


def measured(evidence: Evidence) -> dict[str, tuple[Estimate, str]]:
    """Return figures with intervals, and on which cases; their names end in what kind of cases these are.

    ``_test``: kept apart from learning and choosing. ``_cross_validation``: by the one network that knows
    nothing of the patient. ``_validation``: used to choose, told only where there is nothing better.
    """
    found: dict[str, tuple[Estimate, str]] = {}
    cohort, members = evidence.cohort, evidence.members

    def add(
        kind: str,
        judged: NDArray[np.float64],
        rows: NDArray[np.int64],
        cuts: Sequence[float | None],
        on: str,
    ) -> None:
        if not len(rows):
            return
        patients = len({cohort.rows[n].patient for n in rows})
        words = f"{len(rows)} images of {patients} patients of {cohort.name}, {on}; interval by bootstrap"
        for name, estimate in evidence.recipe.figures(judged, rows, cuts).items():
            if all(np.isfinite([estimate.value, estimate.low, estimate.high])):
                found[f"{name}_{kind}"] = (estimate, f"{words} over patients")

    if len(members) == 1:
        (one,) = members
        test, val = one.division.test, one.division.val
        add("test", one.judged, test, [one.threshold] * len(test), "kept apart from learning and choosing")
        if not len(test):
            on = "used for early stopping, calibration and threshold, and so too good"
            add("validation", one.chosen_with, val, [one.threshold] * len(val), on)
        return found
    rows = np.concatenate([member.division.test for member in members])
    cuts = [member.threshold for member in members for _ in member.division.test]
    on = f"each judged by the one of {len(members)} networks that neither learnt nor chose with its patient"
    add("cross_validation", np.concatenate([member.judged for member in members]), rows, cuts, on)
    all_cuts = [evidence.threshold] * len(evidence.apart)
    add("test", evidence.of_all, evidence.apart, all_cuts, "kept apart, judged by all networks together")
    return found


def training_data(evidence: Evidence, *, seed: int, digest: str, software: Mapping[str, str]) -> str:
    """Return what the card says of the data: table, numbers, division, digest, seed, versions."""
    cohort, members = evidence.cohort, evidence.members
    one = members[0].division
    how = (
        f"{len(members)} networks in a cross-validation by patient"
        if len(members) > 1
        else f"{len(one.train)} to learn, {len(one.val)} to choose, {len(one.test)} judged, patients apart"
    )
    versions = ", ".join(f"{name} {number}" for name, number in software.items())
    patients = len(set(cohort.patients))
    return (
        f"{cohort.name}: {len(cohort.rows)} images of {patients} patients ({how}); SHA-256 of table "
        f"and files {digest}; seed {seed}; {versions}."
    )


def calibration(evidence: Evidence) -> str | None:
    """Return what the card says of calibration and threshold; None for a segmentation."""
    specification = evidence.recipe.specification
    if specification.task != "classify":
        return None
    values = ", ".join(f"{member.temperature:.3f}" for member in evidence.members)
    said = f"logits divided by {values}, from validation cases"
    if evidence.threshold is None:
        return said
    return (
        f"{said}; the threshold on {specification.outputs[1]!r} makes the smaller of sensitivity and "
        "specificity as large as it can be on the same cases"
    )


def write_predictions(path: Path, evidence: Evidence) -> None:
    """Write a CSV with what was said of each case by a network that doesn't know its patient."""
    specification = evidence.recipe.specification
    names = (
        [f"p_{name}" for name in specification.outputs]
        if specification.task == "classify"
        else [f"dice_{name}" for name in specification.outputs[1:]]
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["row", "image", "judged_by", "label", *names])
        judged = [(m.division.name or "network", m.division.test, m.judged) for m in evidence.members]
        for who, rows, values in [*judged, ("all", evidence.apart, evidence.of_all)]:
            for n, said in zip(rows, values, strict=True):
                row = evidence.cohort.rows[n]
                cells = [f"{value:.6g}" for value in said]
                table.writerow([row.number, row.name, who, row.label or "", *cells])
