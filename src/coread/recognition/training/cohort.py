"""A researcher's own cases as a table: one row an image, with label or mask, patient and part.

Columns are ``image``, ``label`` (a class) or ``mask`` (a file), ``patient``, and ``split`` (train, val or
test) where the division is given. Every fault of the table is told with the number of its row, the header
being row 1, as a spreadsheet counts.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError, InputError
from coread.recognition.labelled import PARTS, Part

Kind = Literal["classify", "segment", "unlabelled"]
TARGETS: Mapping[Kind, str] = {"classify": "label", "segment": "mask"}
LEAST_FOLDS = 3
PARTS_OF_FIVE = 5
TOLD = 8
_PLACE = re.compile(r"(?P<file>.+?\.npz)(?:#(?P<name>[^\[\]]+)(?:\[(?P<index>\d+)\])?)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image or a mask lies: a file, or an array of a ``.npz``, or one case of such an array.

    Attributes:
        path: Of the file.
        name: Of the array; None where the file has only one, or is no ``.npz``.
        index: Of the case in the array, or None for the whole array.
    """

    path: Path
    name: str | None = None
    index: int | None = None

    @classmethod
    def of(cls, text: str, folder: Path) -> Place:
        """Return the place that a cell names, such as ``scan.png`` or ``films.npz#images[12]``."""
        found = _PLACE.fullmatch(text)
        if found is None:
            return cls(folder / text)
        index = found["index"]
        return cls(folder / found["file"], found["name"], None if index is None else int(index))


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a cohort.

    Attributes:
        number: Of the row in the table; the header is row 1.
        name: Of the image, as the table writes it.
        image: Where it lies.
        patient: Whose it is.
        label: Its class, or None.
        mask: Where its mask lies, or None.
        part: train, val, test, or None where the table doesn't divide.
        more: Further channels of the image.
    """

    number: int
    name: str
    image: Place
    patient: str
    label: str | None = None
    mask: Place | None = None
    part: Part | None = None
    more: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Cohort:
    """The cases of a table.

    Attributes:
        name: Of the table's file.
        kind: Whether they have labels, masks, or neither.
        rows: In the order of the table.
    """

    name: str
    kind: Kind
    rows: tuple[Row, ...]

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient of each row."""
        return tuple(row.patient for row in self.rows)

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels in the order of their names; whole numbers in the order of their size."""
        return in_order({row.label for row in self.rows if row.label is not None})

    def digest(self) -> str:
        """Return the SHA-256 of table and files: it changes when any case does."""
        total, seen = hashlib.sha256(), dict[Path, str]()
        for row in self.rows:
            total.update(repr((row.name, row.patient, row.label, row.part)).encode())
            for place in (row.image, row.mask):
                if place is not None:
                    if place.path not in seen:
                        with place.path.open("rb") as file:
                            seen[place.path] = hashlib.file_digest(file, "sha256").hexdigest()
                    total.update(repr((seen[place.path], place.name, place.index)).encode())
        return total.hexdigest()


def in_order(labels: set[str]) -> tuple[str, ...]:
    """Return labels in the order of their names; whole numbers in the order of their size.

    Examples:
        >>> in_order({"10", "9"}), in_order({"b", "a", "10"})
        (('9', '10'), ('10', 'a', 'b'))
    """
    if all(label.isdecimal() for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))


def read_cohort(
    path: Path, kind: Kind, *, columns: Mapping[str, str] | None = None, channels: bool = False
) -> Cohort:
    """Return the cases of a table (CSV with comma, semicolon or tab; UTF-8).

    Args:
        path: Of the table; files that it names are looked for beside it.
        kind: ``classify`` needs a column ``label``, ``segment`` a column ``mask``; ``unlabelled`` neither,
            and takes the image's name for the patient where the table names none.
        columns: Standard name of a column to the one it has here.
        channels: Whether an image may be several files, joined by a vertical bar, or a folder.

    Raises:
        InputError: There is nothing at the path.
        DataError: Columns or cells are missing, files are not there, an image is named twice, or a patient is
            in two parts; the rows are told.
    """
    if not path.is_file():
        raise InputError(f"nothing at {path}", "a table of cases as CSV")
    table, lines = _table(path)
    own = {standard: (columns or {}).get(standard, standard) for standard in ("image", "label", "mask")}
    own |= {standard: (columns or {}).get(standard, standard) for standard in ("patient", "split")}
    unknown = sorted(set(columns or {}) - set(own))
    if unknown:
        raise InputError(f"columns {', '.join(unknown)}", f"some of {', '.join(own)}")
    target = TARGETS.get(kind)
    needed = ["image", "patient", target] if target else ["image"]
    missing = [own[name] for name in needed if own[name] not in table]
    if missing:
        raise DataError(
            f"{path.name} without the column {', '.join(missing)} (it has {', '.join(table)})",
            f"columns {', '.join(own[name] for name in needed)}, and split where the division is given",
            "rename it, or name it with --column STANDARD=YOURS; where patients are not known, put the "
            "image's name as patient",
        )
    divided = own["split"] in table and any(line.get(own["split"]) for _, line in lines)
    rows: list[Row] = []
    faults: list[tuple[int, str]] = []
    for number, line in lines:
        cells = {standard: line.get(name, "") for standard, name in own.items()}
        empty = [own[name] for name in needed if not cells[name]]
        part = cells["split"].lower()
        if empty:
            faults.append((number, f"{', '.join(empty)} is empty"))
            continue
        if divided and part not in PARTS:
            faults.append((number, f"split is {part!r}, not train, val or test"))
            continue
        names = cells["image"].split("|") if channels else [cells["image"]]
        image, *more = [Place.of(name.strip(), path.parent) for name in names]
        row = Row(
            number,
            cells["image"],
            image,
            cells["patient"] or cells["image"],
            cells["label"] if kind == "classify" else None,
            Place.of(cells["mask"], path.parent) if kind == "segment" else None,
            cast(Part, part) if divided else None,
            tuple(more),
        )
        places = [place for place in (row.image, *row.more, row.mask) if place is not None]
        faults += [
            (number, f"no file {place.path.name}")
            for place in places
            if not (place.path.is_file() or (channels and place.path.is_dir()))
        ]
        rows.append(row)
    faults += _contradictions(rows)
    if faults:
        raise DataError(
            f"{path.name}: {_told(faults)}",
            "every row with its files, each image once, each patient in one part",
        )
    if not rows:
        raise DataError(f"{path.name} has no rows", "one row an image")
    return Cohort(path.name, kind, tuple(rows))


def _table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            mark = max(",;\t", key=head.count)
            file.seek(0)
            names, *lines = [
                [cell.strip() for cell in line] for line in csv.reader(file, delimiter=mark)
            ] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} can't be read ({error})", "a table as CSV in UTF-8") from error
    # lines without anything are passed over, but they count, as in a spreadsheet
    numbered = [(number, cells) for number, cells in enumerate(lines, start=2) if any(cells)]
    return names, [(number, dict(zip(names, cells, strict=False))) for number, cells in numbered]


def _contradictions(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Images named twice, and patients in two parts."""
    faults: list[tuple[int, str]] = []
    images: dict[Place, int] = {}
    parts: dict[str, Row] = {}
    for row in rows:
        if row.image in images:
            faults.append((row.number, f"image {row.name} is in row {images[row.image]} too"))
        images.setdefault(row.image, row.number)
        first = parts.setdefault(row.patient, row)
        if first.part != row.part:
            faults.append(
                (row.number, f"its patient is in {row.part}, and in {first.part} in row {first.number}")
            )
    return faults


def _told(faults: Sequence[tuple[int, str]]) -> str:
    words = [f"row {number}: {fault}" for number, fault in sorted(faults)[:TOLD]]
    more = len(faults) - len(words)
    return "; ".join([*words, *([f"and {more} more"] if more else [])])


@dataclass(frozen=True, slots=True, eq=False)
class Division:
    """Which rows teach, which choose, which are judged.

    Attributes:
        name: Of the fold; empty where there is only one division.
        train: Positions of rows that the network learns from.
        val: Of those for early stopping, calibration and threshold.
        test: Of those that are only judged; may be empty.
    """

    name: str
    train: NDArray[np.int64]
    val: NDArray[np.int64]
    test: NDArray[np.int64]


def divisions(cohort: Cohort, folds: int, seed: int) -> tuple[Division, ...]:
    """Return the divisions of a cohort; no patient is on two sides of one.

    Without folds the table's own division holds; where it has none, patients are dealt into five parts,
    one to be judged, one to choose, three to learn. With folds, patients that the table doesn't keep for
    the test are dealt out: each fold is judged once, chosen with once, and learnt from otherwise. Classes
    are spread evenly.

    Args:
        cohort: The cases.
        folds: 0, or at least 3.
        seed: Of the deal.

    Raises:
        InputError: Fewer than three folds, or fewer patients of a class than folds.
        DataError: The table's division has no train or no val part.
    """
    if folds in range(1, LEAST_FOLDS) or folds < 0:
        raise InputError(
            f"{folds} folds", "0 for none, or 3 and more: one is judged, one chooses, others learn"
        )
    parts = np.array([row.part or "" for row in cohort.rows])
    if not folds and parts.any():
        division = Division("", *(np.flatnonzero(parts == part) for part in ("train", "val", "test")))
        if not len(division.train) or not len(division.val):
            raise DataError(
                f"{cohort.name} with {len(division.train)} rows for train and {len(division.val)} for val",
                "some of both",
                "fill the column split, leave it out, or ask for folds",
            )
        return (division,)
    rows = np.flatnonzero(parts != "test")
    count = folds or PARTS_OF_FIVE
    of = dealt(
        [cohort.rows[n].patient for n in rows], [cohort.rows[n].label or "" for n in rows], count, seed
    )

    def division_of(fold: int, name: str) -> Division:
        judged, chooses = of == fold, of == (fold + 1) % count
        return Division(name, rows[~judged & ~chooses], rows[chooses], rows[judged])

    if not folds:
        return (division_of(0, ""),)
    return tuple(division_of(fold, f"fold_{fold + 1}") for fold in range(count))


def dealt(patients: Sequence[str], labels: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row; a patient's rows share one, classes are spread evenly.

    A patient counts for the label that most of its rows have (the first by name of equals).

    Raises:
        InputError: A class has fewer patients than there are folds.
    """
    seen: dict[str, Counter[str]] = {}
    for patient, label in zip(patients, labels, strict=True):
        seen.setdefault(patient, Counter())[label] += 1
    of_label: dict[str, list[str]] = {}
    for patient in sorted(seen):
        label = min(seen[patient], key=lambda name: (-seen[patient][name], name))
        of_label.setdefault(label, []).append(patient)
    few = {label: len(names) for label, names in of_label.items() if len(names) < folds}
    if few:
        told = ", ".join(f"{number} of {label!r}" if label else str(number) for label, number in few.items())
        raise InputError(
            f"{told} patients for {folds} parts", "at least one patient of each class in each part"
        )
    rng = np.random.default_rng(seed)
    fold: dict[str, int] = {}
    for label in sorted(of_label):
        names = of_label[label]
        for place in rng.permutation(len(names)):
            fold[names[place]] = len(fold) % folds
    return np.array([fold[patient] for patient in patients], dtype=np.int64)
