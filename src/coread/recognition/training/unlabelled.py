"""Unlabelled cases in the order in which they are worth a look, as a finished training sees them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from coread.errors import DataError, InputError
from coread.recognition.importing.specification import specification_from_table
from coread.recognition.training import classify, segment
from coread.recognition.training.card import card_table, finished_model
from coread.recognition.training.cases import Cases, Reader, no_reader, told_with_row
from coread.recognition.training.cohort import read_cohort
from coread.recognition.training.ordering import By, Uncertainty, looking_order

Progress = Callable[[float, str], None]
SCHEMA, VERSION = "coread-training", 2


def order_unlabelled(
    folder: Path,
    table: Path,
    *,
    by: By | None = None,
    columns: Mapping[str, str] | None = None,
    read: Reader = no_reader,
    threads: int = 1,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Return unlabelled cases in the order in which to look at them, least sure first; needs no torch.

    Args:
        folder: That a training of one's own wrote.
        table: CSV with a column ``image``.
        by: ``entropy``, or ``disagreement`` of the networks of a cross-validation, which is taken where there
            are several if nothing is said.
        columns: Standard names of the table's columns to those that it has.
        read: Of DICOM and NIfTI files.
        threads: Of ONNX Runtime.
        progress: Told which part is done, and so in words.

    Returns:
        One row a case: ``rank``, ``row``, ``image``, ``patient``, ``entropy``, ``disagreement``, ``says``.

    Raises:
        InputError: There is no finished training, or disagreement is asked of one network.
        DataError: The table or an image can't be used.
    """
    record = finished(folder)
    specification = specification_from_table(record["specification"])
    names = [network["name"] for network in record["networks"]]
    files = [folder / name / "model.onnx" for name in names if name] or [folder / f"{record['model']}.onnx"]
    wanted: By = by or ("disagreement" if len(files) > 1 else "entropy")
    if wanted == "disagreement" and len(files) == 1:
        raise InputError(
            "disagreement of a single network", "several", "train with folds, or order by entropy"
        )
    draft = card_table(record["model"], specification, {}, training_data=record["data"]["table"])
    models = []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DataError(f"no {file.name} in {file.parent.name}", "a finished training") from error
        models.append(finished_model(record["model"], specification, draft, content, threads=threads))
    cohort, cases = read_cohort(table, "unlabelled", columns=columns), Cases(read)
    task = classify if specification.task == "classify" else segment
    found: list[Uncertainty] = []
    says: list[str] = []
    for number, row in enumerate(cohort.rows, start=1):
        with told_with_row(cohort, row):
            unsure, said = task.uncertainty(models, cases.scan(row.image))
        found.append(unsure)
        says.append(said)
        progress(number / len(cohort.rows), f"{number} of {len(cohort.rows)} cases")
    order = looking_order([row.name for row in cohort.rows], found, wanted)
    return [
        {
            "rank": rank,
            "row": cohort.rows[n].number,
            "image": cohort.rows[n].name,
            "patient": cohort.rows[n].patient,
            "entropy": round(found[n].entropy, 6),
            "disagreement": round(found[n].disagreement, 6),
            "says": says[n],
        }
        for rank, n in enumerate(order, start=1)
    ]


def finished(folder: Path) -> dict[str, Any]:
    """Return the record of the training in a folder.

    Raises:
        InputError: There is no finished one.
    """
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else []:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(record, dict) and (record.get("schema"), record.get("version")) == (SCHEMA, VERSION):
            return record
    raise InputError(
        f"no finished training in {folder}", "the folder of `coread train classify` or `segment`"
    )
