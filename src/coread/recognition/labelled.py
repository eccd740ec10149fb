"""Labelled pictures as people keep them: MedMNIST files, folders by class, folders with a table."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from coread.errors import DataError, InputError

Part = Literal["train", "val", "test"]
PARTS: tuple[Part, ...] = ("test", "val", "train")
ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Pictures with labels and patients.

    Attributes:
        name: What was read, such as ``pneumoniamnist.npz, test part``.
        pictures: (rows, columns) arrays.
        labels: One class number each.
        patients: One text each; pictures of one patient are no independent evidence.
        rows: Place of each picture in its source: a number or a file name.
        left_out: Rows that were not taken, with the reason.
    """

    name: str
    pictures: tuple[NDArray[Any], ...]
    labels: NDArray[np.int64]
    patients: tuple[str, ...]
    rows: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    def without(self, reasons: Mapping[int, str]) -> Labelled:
        """Return the same without some pictures, by position, each with its reason."""
        keep = [n for n in range(len(self.pictures)) if n not in reasons]
        return Labelled(
            self.name,
            tuple(self.pictures[n] for n in keep),
            self.labels[keep],
            tuple(self.patients[n] for n in keep),
            tuple(self.rows[n] for n in keep),
            (*self.left_out, *((self.rows[n], reason) for n, reason in sorted(reasons.items()))),
        )


def read_labelled(
    path: Path, classes: Sequence[str], *, part: Part | None = None, volumes: bool = False
) -> Labelled:
    """Return labelled pictures of a file or a folder.

    Args:
        path: A ``.npz`` with ``<part>_images`` and ``<part>_labels``, or with ``images`` and ``labels``
            where it has no parts; a folder that holds just one such file; a folder with one folder a class;
            or a folder with ``labels.csv`` (columns ``file`` or ``image``, ``label``, and ``patient`` where
            it is known) beside the pictures or above a folder ``images``.
        classes: Names of the classes in the order of their numbers.
        part: Which part of a ``.npz``; the first there of test, val, train where none is given. Pictures
            that also occur in the file's train part are left out of the others.
        volumes: Whether a ``.npz`` holds volumes (slices, rows, columns) in place of pictures.

    Raises:
        InputError: There is nothing at the path.
        DataError: The layout is none of these, a label is none of the classes, or no picture can be used.
    """
    file = array_file(path)
    if file.is_dir():
        table = path / "labels.csv"
        return _usable(_from_table(table, classes) if table.is_file() else _from_folders(path, classes))
    if not file.is_file():
        raise InputError(f"nothing at {path}", "a .npz file or a folder of labelled pictures")
    return _usable(_from_npz(file, part, classes, volumes=volumes))


def _usable(read: Labelled) -> Labelled:
    """Leave out pictures with values that are no numbers."""
    reasons = {
        n: "values that are no numbers"
        for n, picture in enumerate(read.pictures)
        if picture.dtype.kind == "f" and not np.isfinite(picture).all()
    }
    kept = read.without(reasons) if reasons else read
    if not kept.pictures:
        why = f": {kept.left_out[-1][0]}, {kept.left_out[-1][1]}" if kept.left_out else ""
        raise DataError(f"{read.name} without a picture that can be used{why}", "one or more")
    return kept


def array_file(path: Path) -> Path:
    """Return the ``.npz`` of a folder that holds just one and nothing labelled beside it, else the path."""
    if not path.is_dir():
        return path
    inside = [p for p in path.iterdir() if p.name[:1] != "."]
    arrays = [p for p in inside if p.suffix.lower() == ".npz"]
    others = any(p.is_dir() or p.suffix.lower() in ENDINGS | {".csv"} for p in inside)
    return arrays[0] if len(arrays) == 1 and not others else path


@contextmanager
def arrays_of(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Give the arrays of a ``.npz`` file, or of a folder that holds just one, loaded when they are asked for.

    Raises:
        DataError: It is no such file, is damaged, or holds pickles.
    """
    where = array_file(path)
    if where.is_dir():
        raise DataError(
            f"{path.name} is a folder", "a .npz file with named arrays, or a folder with just one"
        )
    try:
        file = np.load(where, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(f"{path.name} holds a single array", "a .npz file with named arrays")
        with file:
            yield file
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        # numpy takes what is no archive for a pickle, and says how to open one
        words = (
            "it is no archive, or holds pickles" if "pickle" in str(error) else str(error) or "it is empty"
        )
        raise DataError(f"{path.name} can't be read: {words}", "a .npz file without pickles") from error


def _from_npz(path: Path, part: Part | None, classes: Sequence[str], *, volumes: bool) -> Labelled:
    with arrays_of(path) as file:
        there = [p for p in PARTS if f"{p}_images" in file and f"{p}_labels" in file]
        wanted = part or (there[0] if there else None)
        whole = wanted is None and "images" in file and "labels" in file
        if wanted not in there and not whole:
            raise DataError(
                f"{path.name} with {', '.join(sorted(file)) or 'no array'}",
                f"arrays {wanted or 'test'}_images and {wanted or 'test'}_labels, or images and labels",
            )
        prefix = "" if whole else f"{wanted}_"
        images, labels = file[f"{prefix}images"], file[f"{prefix}labels"]
        train = file["train_images"] if wanted != "train" and "train_images" in file else images[:0]
    if len(images) != labels.size:
        raise DataError(f"{len(images)} pictures and {labels.size} labels", "one label for each picture")
    _check_arrays(images, labels, classes, volumes=volumes)
    seen = {picture.tobytes() for picture in train}
    reasons = {n: "also in the train part" for n, p in enumerate(images) if p.tobytes() in seen}
    rows = tuple(str(n) for n in range(len(images)))
    everything = Labelled(
        path.name if whole else f"{path.name}, {wanted} part",
        tuple(images),
        labels.reshape(-1).astype(np.int64),
        rows,
        rows,
    )
    return everything.without(reasons)


def _check_arrays(
    images: NDArray[Any], labels: NDArray[Any], classes: Sequence[str], *, volumes: bool
) -> None:
    colours = images.ndim == 4 and images.shape[-1] in (3, 4)
    if images.dtype.kind not in "biuf" or not (images.ndim == 4 if volumes else images.ndim == 3 or colours):
        raise DataError(
            f"images of shape {images.shape} and type {images.dtype}",
            "volumes (cases, slices, rows, columns)" if volumes else "pictures (cases, rows, columns)",
        )
    numbers = labels.dtype.kind in "biuf" and bool(np.isin(labels, np.arange(len(classes))).all())
    if not numbers:
        strange = [value for value in np.unique(labels).tolist() if value not in range(len(classes))]
        raise DataError(
            f"the label {', '.join(map(str, strange[:3]))}",
            f"{', '.join(f'{n} {name}' for n, name in enumerate(classes))}",
            "number the classes as the model does",
        )


def _from_folders(folder: Path, classes: Sequence[str]) -> Labelled:
    found = [(path, number) for number, name in enumerate(classes) for path in _pictures(folder / name)]
    if not found:
        raise DataError(f"{folder.name} without pictures", f"folders {', '.join(classes)}, or labels.csv")
    return _opened(folder.name, [(path, label, path.stem) for path, label in found])


def _from_table(table: Path, classes: Sequence[str]) -> Labelled:
    files = {p.name: p for folder in (table.parent, table.parent / "images") for p in _pictures(folder)}
    rows: list[tuple[Path, int, str]] = []
    missing: list[tuple[str, str]] = []
    with table.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            name = row.get("file") or row.get("image") or ""
            if row.get("label") not in classes:
                raise DataError(f"label {row.get('label')!r} of {name!r}", f"one of {', '.join(classes)}")
            if name in files:
                rows.append((files[name], classes.index(row["label"]), row.get("patient") or name))
            else:
                missing.append((name, "no such file"))
    if not rows:
        raise DataError(f"{table.name} names no picture that is there", "pictures beside it or in images/")
    read = _opened(table.parent.name, rows)
    return Labelled(
        read.name, read.pictures, read.labels, read.patients, read.rows, (*missing, *read.left_out)
    )


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS)


def _opened(name: str, rows: Sequence[tuple[Path, int, str]]) -> Labelled:
    pictures: list[NDArray[Any]] = []
    kept: list[tuple[Path, int, str]] = []
    refused: list[tuple[str, str]] = []
    for path, label, patient in rows:
        try:
            with Picture.open(path) as picture:
                pictures.append(np.asarray(picture.convert("F"), dtype=np.float32))
        except OSError as error:
            refused.append((path.name, f"no picture: {error}"))
            continue
        kept.append((path, label, patient))
    return Labelled(
        name,
        tuple(pictures),
        np.array([label for _, label, _ in kept], dtype=np.int64),
        tuple(patient for _, _, patient in kept),
        tuple(path.name for path, _, _ in kept),
        tuple(refused),
    )
