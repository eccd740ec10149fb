"""What a model that was imported, or trained on a cohort of one's own, reaches on other labelled data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError, InputError
from coread.recognition.importing import ImportedModel, load_imported
from coread.recognition.labelled import Part, read_labelled
from coread.recognition.registry import Evaluation
from coread.recognition.training.cases import Cases, Reader, Scan, no_reader, told_with_row
from coread.recognition.training.cohort import Cohort, Kind, read_cohort
from coread.recognition.training.figures import class_figures, dice_figures, label_dice

SEED = 0


def evaluate_imported(
    folder: Path,
    data: Path,
    *,
    part: Part | None = None,
    columns: Mapping[str, str] | None = None,
    read: Reader = no_reader,
    threads: int = 1,
) -> Evaluation:
    """Return figures of an imported model on labelled data, with intervals over patients.

    Args:
        folder: That `coread.recognition.importing.import_model` wrote.
        data: A table of cases as for training; for a classifier also what
            `coread.recognition.labelled.read_labelled` takes.
        part: Of the data; all rows of a table where none is named.
        columns: Standard names of the table's columns to those that it has.
        read: Of DICOM and NIfTI files.
        threads: Of ONNX Runtime.

    Raises:
        InputError: There is no data, no such part, or the model answers several questions about a picture.
        DataError: The data can't be used, or are of other classes.
    """
    model = load_imported(folder, threads=threads)
    said = model.specification
    table = data.suffix.lower() in (".csv", ".tsv")
    if len(said.outputs) < 2 or said.activation == "sigmoid":
        raise InputError(
            f"{model.name}, which answers for {', '.join(said.outputs[:3])} ... apart",
            "a model with one class a picture, or one label a place",
            "take its numbers and compare them by `coread evaluate`",
        )
    if not table and said.task == "segment":
        raise InputError(f"{data.name}", "a table of cases with columns image, mask and patient")
    kind: Kind = "classify" if said.task == "classify" else "segment"
    cohort = _of_part(read_cohort(data, kind, columns=columns), part) if table else None
    cases = Cases(read)
    if said.task == "segment":
        assert cohort is not None
        scores = _dice(model, cohort, cases)
        metrics = dice_figures(scores, cohort.patients, said.outputs[1:], seed=SEED)
        return _evaluation(model, cohort.name, cohort.patients, metrics, (), ())
    left_out: Sequence[tuple[str, str]] = ()
    if cohort is not None:
        name, patients = cohort.name, cohort.patients
        labels, scans = _labels(cohort, said.outputs), []
        for row in cohort.rows:
            with told_with_row(cohort, row):
                scans.append(cases.scan(row.image))
    else:
        given = read_labelled(data, said.outputs, part=part)
        name, patients, labels, left_out = given.name, given.patients, given.labels, given.left_out
        scans = [Scan(np.asarray(picture, dtype=np.float32)) for picture in given.pictures]
    chances = np.array([list(model.classify(scan.picture()).values()) for scan in scans])
    cut = 0.5 if model.card.threshold is None else model.card.threshold
    cuts = np.full(len(labels), cut) if len(said.outputs) == 2 else None
    metrics = class_figures(labels, chances, patients, said.outputs, cuts, seed=SEED)
    notes = (
        () if model.card.threshold is not None or cuts is None else ("no operating point: figures at 0.5",)
    )
    return _evaluation(model, name, patients, metrics, left_out, notes)


def _of_part(cohort: Cohort, part: Part | None) -> Cohort:
    if part is None:
        return cohort
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
            values, geometry = cases.scan(row.image).volume()
            truth = cases.labels(row.mask)
            found = np.unique(truth[truth > 0])
            if truth.size != values.size or (len(found) and found.max() >= len(outputs) and len(outputs) > 2):
                raise DataError(
                    f"a mask of {truth.shape} with {found.tolist()} for an image of {values.shape}",
                    f"its shape, and labels from 0 to {len(outputs) - 1}",
                )
            numbers = (truth > 0).astype(np.int64) if len(outputs) == 2 else truth
            said = model.probabilities([values], geometry).argmax(axis=0)
            scores.append(label_dice(said, numbers.reshape(values.shape), len(outputs)))
    return np.array(scores)


def _evaluation(
    model: ImportedModel,
    data: str,
    patients: Sequence[str],
    metrics: Mapping[str, Any],
    left_out: Sequence[tuple[str, str]],
    notes: Sequence[str],
) -> Evaluation:
    return Evaluation(
        model.name,
        model.card.version,
        model.digest,
        data,
        len(patients),
        len(set(patients)),
        metrics,
        tuple(left_out),
        (*notes, f"Trained on: {model.card.training_data}"),
    )
