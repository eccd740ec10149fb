"""What a model that was imported, or trained on a cohort of one's own, reaches on another table of cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError, InputError
from coread.recognition.importing import ImportedModel, load_imported
from coread.recognition.labelled import Part
from coread.recognition.metrics import Estimate
from coread.recognition.registry import Evaluation
from coread.recognition.training.cases import Cases, Reader, no_reader, told_with_row
from coread.recognition.training.cohort import Cohort, read_cohort
from coread.recognition.training.figures import class_figures, dice_figures, label_dice

SEED = 0


def evaluate_on_table(
    folder: Path,
    table: Path,
    *,
    part: Part | None = None,
    columns: Mapping[str, str] | None = None,
    read: Reader = no_reader,
    threads: int = 1,
) -> Evaluation:
    """Return figures of an imported model on a table of cases, with intervals over patients.

    Args:
        folder: That `coread.recognition.importing.import_model` wrote.
        table: As for training: columns ``image``, ``label`` or ``mask``, ``patient``.
        part: Of the table's column ``split``; all rows where none is named.
        columns: Standard names of the table's columns to those that it has.
        read: Of DICOM and NIfTI files.
        threads: Of ONNX Runtime.

    Raises:
        InputError: There is no table, no such part, or the model answers several questions about a picture.
        DataError: The cases can't be used, or are of other classes.
    """
    model = load_imported(folder, threads=threads)
    said = model.specification
    if len(said.outputs) < 2 or said.activation == "sigmoid":
        raise InputError(
            f"{model.name}, which answers for {', '.join(said.outputs[:3])} ... apart",
            "a model with one class a picture, or one label a place",
        )
    cohort = read_cohort(table, "classify" if said.task == "classify" else "segment", columns=columns)
    if part is not None:
        cohort = _of_part(cohort, part)
    cases, notes = Cases(read), [f"Trained on: {model.card.training_data}"]
    metrics: Mapping[str, Estimate]
    if said.task == "segment":
        scores = _dice(model, cohort, cases)
        metrics = dice_figures(scores, cohort.patients, said.outputs[1:], seed=SEED)
    else:
        labels, chances = _labels(cohort, said.outputs), []
        for row in cohort.rows:
            with told_with_row(cohort, row):
                chances.append(list(model.classify(cases.scan(row.image).picture()).values()))
        cuts = None
        if len(said.outputs) == 2:
            cuts = np.full(len(labels), 0.5 if model.card.threshold is None else model.card.threshold)
            notes += (
                ["No operating point on the card: figures at 0.5."] if model.card.threshold is None else []
            )
        metrics = class_figures(labels, np.array(chances), cohort.patients, said.outputs, cuts, seed=SEED)
    return Evaluation(
        model.name,
        model.card.version,
        model.digest,
        cohort.name,
        len(cohort.rows),
        len(set(cohort.patients)),
        {name: figure for name, figure in metrics.items() if np.isfinite(figure.value)},
        (),
        tuple(notes),
    )


def _of_part(cohort: Cohort, part: Part) -> Cohort:
    rows = tuple(row for row in cohort.rows if row.part == part)
    if not rows:
        raise InputError(f"{cohort.name} without a {part} part", "rows with it in the column split")
    return Cohort(f"{cohort.name}, {part} part", cohort.kind, rows)


def _labels(cohort: Cohort, classes: Sequence[str]) -> NDArray[np.int64]:
    for row in cohort.rows:
        if row.label not in classes:
            raise DataError(
                f"{cohort.name}, row {row.number}: label {row.label!r}", f"one of {', '.join(classes)}"
            )
    return np.array([classes.index(row.label or "") for row in cohort.rows], dtype=np.int64)


def _dice(model: ImportedModel, cohort: Cohort, cases: Cases) -> NDArray[np.float64]:
    outputs = model.specification.outputs
    scores = []
    for row in cohort.rows:
        with told_with_row(cohort, row):
            assert row.mask is not None
            scan = cases.scan(row.image)
            truth, (values, geometry) = cases.labels(row.mask, scan), scan.volume()
            if truth.max() >= len(outputs) > 2:
                raise DataError(f"the label {truth.max()} in a mask", f"labels from 0 to {len(outputs) - 1}")
            numbers = (truth > 0).astype(np.int64) if len(outputs) == 2 else truth
            said = model.probabilities([values], geometry).argmax(axis=0)
            scores.append(label_dice(said, numbers.reshape(values.shape), len(outputs)))
    return np.array(scores)
