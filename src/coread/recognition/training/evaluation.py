"""What a model that was imported, or trained on a cohort of one's own, reaches on other cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coread.errors import CoreadError, DataError, InputError
from coread.recognition.importing import ImportedModel
from coread.recognition.labelled import Part
from coread.recognition.registry import Evaluation
from coread.recognition.training.cases import Cases, Reader, no_reader
from coread.recognition.training.cohort import Cohort, Row, read_cohort
from coread.recognition.training.figures import class_figures, dice_figures, label_hausdorff, overlaps
from coread.recognition.training.outlined import Wanted, read_outlined

SEED = 0


def evaluate_outlines(
    model: ImportedModel, data: Path, *, part: Part | None = None, read: Reader = no_reader
) -> Evaluation:
    """Return Dice and surface distance of an imported segmentation, with intervals over patients.

    ``dice`` counts a label that only one side has with 0 and leaves one out that neither has. ``hd95_mm`` is
    over labels that both have, in cases whose spacing is known. With several labels both are told for each
    too, as ``dice_<label>`` and ``hd95_mm_<label>``.

    Args:
        model: That segments.
        data: A layout of `coread.recognition.training.outlined.read_outlined`.
        part: Of data with parts.
        read: Of DICOM and NIfTI files.

    Raises:
        InputError: No data, or no such part.
        DataError: The data are of no such layout, or no case can be used.
    """
    said = model.specification
    found = read_outlined(data, Wanted(said.channels, said.labels), Cases(read), part=part)
    left_out, names, patients = list(found.left_out), list[str](), list[str]()
    dices, distances = list[NDArray[np.float64]](), list[NDArray[np.float64]]()
    for case in found.cases:
        try:
            given = case.open()
            drawn = said.regions(model.probabilities(given.channels, given.geometry))
        except CoreadError as error:
            left_out.append((case.name, _why(error)))
            last = error
            continue
        pair = [drawn[name] for name in said.labels], [given.truth[name] for name in said.labels]
        dices.append(overlaps(*pair))
        distances.append(label_hausdorff(*pair, given.spacing_mm))
        names.append(case.name)
        patients.append(case.patient)
    if not names:
        raise DataError(
            f"no case of {found.name} can be used: {left_out[-1][0]}: {last.came}", last.expected, last.todo
        ) from last
    scores, away = np.array(dices), np.array(distances)
    figures = dice_figures(scores, patients, said.labels, seed=SEED)
    figures |= dice_figures(away, patients, said.labels, seed=SEED, figure="hd95_mm")
    return Evaluation(
        model.name,
        model.card.version,
        model.digest,
        found.name,
        len(names),
        len(set(patients)),
        {name: figure for name, figure in figures.items() if np.isfinite(figure.value)},
        tuple(left_out),
        (*found.notes, *_on_distances(scores, away), f"Trained on: {model.card.training_data}"),
    )


def _on_distances(scores: NDArray[np.float64], away: NDArray[np.float64]) -> tuple[str, ...]:
    unknown = np.count_nonzero(np.isfinite(scores) & ~np.isfinite(away))
    if not unknown:
        return ()
    of = np.count_nonzero(np.isfinite(scores))
    return (f"hd95_mm leaves out {unknown} of {of} outlines: spacing not known, or one side lacks the label",)


def _why(error: CoreadError) -> str:
    """What came and what was expected; what to do is told where nothing is left to measure."""
    return "; ".join(filter(None, (error.came, error.expected)))


def evaluate_on_table(
    model: ImportedModel,
    table: Path,
    *,
    part: Part | None = None,
    columns: Mapping[str, str] | None = None,
    read: Reader = no_reader,
) -> Evaluation:
    """Return figures of an imported model on a table of cases, with intervals over patients.

    Args:
        model: At the threshold in use.
        table: As for training: columns ``image``, ``label`` or ``mask``, ``patient``.
        part: Of the table's column ``split``; all rows where none is named.
        columns: Standard names of the table's columns to those that it has.
        read: Of DICOM and NIfTI files.

    Raises:
        InputError: There is no table, no such part, or the model answers several questions about a picture.
        DataError: The cases can't be used, or are of other classes.
    """
    said = model.specification
    if said.task == "segment":
        if columns:
            raise InputError("other columns for a segmentation", "image, mask, patient", "rename them")
        return evaluate_outlines(model, table, part=part, read=read)
    if len(said.outputs) < 2 or said.activation == "sigmoid":
        raise InputError(
            f"{model.name}, which answers for {', '.join(said.outputs[:3])} ... apart",
            "a model with one class a picture, or one label a place",
            "give folders negative and the finding, and name it with --finding",
        )
    cohort = read_cohort(table, "classify", columns=columns)
    if part is not None:
        cohort = _of_part(cohort, part)
    cases, notes = Cases(read), [f"Trained on: {model.card.training_data}"]
    chances: list[list[float]] = []
    rows: list[Row] = []
    left_out: list[tuple[str, str]] = []
    for row in cohort.rows:
        try:
            if row.label not in said.outputs:
                raise DataError(f"label {row.label!r}", f"one of {', '.join(said.outputs)}")
            chances.append(list(model.classify(cases.scan(row.image).picture()).values()))
        except DataError as error:
            left_out.append((f"row {row.number}: {row.name}", _why(error)))
            if len(left_out) == len(cohort.rows):
                raise DataError(
                    f"{cohort.name}, row {row.number}: {error.came}", error.expected, error.todo
                ) from error
            continue
        rows.append(row)
    patients = [row.patient for row in rows]
    labels = np.array([said.outputs.index(row.label or "") for row in rows], dtype=np.int64)
    cuts = None
    if len(said.outputs) == 2:
        cut = model.thresholds.get(said.outputs[1])
        cuts = np.full(len(labels), 0.5 if cut is None else cut)
        notes += ["No operating point on the card: figures at 0.5."] if cut is None else []
    metrics = class_figures(labels, np.array(chances), patients, said.outputs, cuts, seed=SEED)
    return Evaluation(
        model.name,
        model.card.version,
        model.digest,
        cohort.name,
        len(rows),
        len(set(patients)),
        {name: figure for name, figure in metrics.items() if np.isfinite(figure.value)},
        tuple(left_out),
        tuple(notes),
    )


def _of_part(cohort: Cohort, part: Part) -> Cohort:
    rows = tuple(row for row in cohort.rows if row.part == part)
    if not rows:
        raise InputError(f"{cohort.name} without a {part} part", "rows with it in the column split")
    return Cohort(f"{cohort.name}, {part} part", cohort.kind, rows)
