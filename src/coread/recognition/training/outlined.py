"""Outlined cases as people keep them: folders of images and labels, tables, arrays; several channels too."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import Geometry, Image
from coread.errors import DataError, InputError
from coread.recognition.labelled import PARTS, Part, array_file, arrays_of
from coread.recognition.training.cases import Cases, NamedRegion, Scan
from coread.recognition.training.cohort import Place, read_cohort

LABEL_FOLDERS = {
    "labels": "images",
    "masks": "images",
    "labelsTr": "imagesTr",
    "labelsTs": "imagesTs",
}
NPZ_MASKS = ("labels", "masks")
Values = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Outlined:
    """One case as a network takes it, with its truth.

    Attributes:
        channels: One (slices, rows, columns) array for each channel, all on one grid.
        geometry: Of that grid; steps of 1 mm where it isn't known.
        spacing_mm: Of slices, rows and columns; None where it isn't known, and so no distance either.
        truth: (slices, rows, columns) of bool for each label that is looked for.
    """

    channels: tuple[NDArray[np.float32], ...]
    geometry: Geometry
    spacing_mm: tuple[float, ...] | None
    truth: Mapping[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedCase:
    """A case that is opened when it is asked for.

    Attributes:
        name: Of the case, or its row.
        patient: Whose it is.
        open: Returns it; raises `DataError` with the reason where it can't be used.
    """

    name: str
    patient: str
    open: Callable[[], Outlined]


@dataclass(frozen=True, slots=True, eq=False)
class OutlinedSet:
    """Cases, what they come from, rows that were not taken with the reason, and what a reader should know."""

    name: str
    cases: tuple[OutlinedCase, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a model takes and looks for.

    Attributes:
        channels: Names of its channels, in order.
        labels: What it outlines, the background left out, in order: the values 1, 2, ... of a mask unless
            `values` says others.
        values: By label, the values of a mask that belong to it, as a ``dataset.json`` tells them.
    """

    channels: tuple[str, ...]
    labels: tuple[str, ...]
    values: Values | None = None

    def truth(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """Return the region of each label from the numbers of a mask; any number is the only label.

        Raises:
            DataError: A number belongs to no label.
        """
        if len(self.labels) == 1 and self.values is None:
            return {self.labels[0]: numbers > 0}
        known = self.values or {name: (n,) for n, name in enumerate(self.labels, start=1)}
        every = {0, *(value for values in known.values() for value in values)}
        unknown = sorted(set(np.unique(numbers).tolist()) - every)
        if unknown:
            told = ", ".join(f"{'/'.join(map(str, known[name]))} {name}" for name in self.labels)
            raise DataError(
                f"the label {', '.join(map(str, unknown))} in a mask",
                f"0 for the background, {told}",
                "write a dataset.json with the names of the labels beside the images, or correct the mask",
            )
        return {name: np.isin(numbers, known[name]) for name in self.labels}

    def named(self, regions: Sequence[NamedRegion], shape: tuple[int, ...]) -> dict[str, NDArray[np.bool_]]:
        """Return the region of each label by its name; empty where the file doesn't have it.

        Raises:
            DataError: No region bears the name of a label, or one has another shape than the image.
        """
        found = {name: np.zeros(shape, dtype=bool) for name in self.labels}
        alone = len(self.labels) == 1 and len(regions) == 1
        taken = 0
        for region in regions:
            names = {_word(name) for name in region.names}
            for label in self.labels:
                if alone or _word(label) in names:
                    if region.pixels.size != found[label].size:
                        raise DataError(
                            f"regions of {region.pixels.shape} for an image of {shape}", "one shape"
                        )
                    found[label] |= region.pixels.reshape(shape)
                    taken += 1
        if not taken:
            told = ", ".join(repr(next(filter(None, region.names), "")) for region in regions) or "none"
            raise DataError(
                f"regions {told}",
                f"one of {', '.join(self.labels)}",
                "name the segments as the model's card names its outputs",
            )
        return found


def read_outlined(data: Path, wanted: Wanted, cases: Cases, *, part: Part | None = None) -> OutlinedSet:
    """Return outlined cases.

    Args:
        data: A table with columns ``image`` (channels joined by a vertical bar), ``mask`` and ``patient``;
            a folder with ``images`` and ``labels`` (or ``masks``; or ``imagesTr``/``labelsTr``,
            ``imagesTs``/``labelsTs``) whose files, or folders of DICOM files, have the same names; channels
            as ``CASE_0000``, ``CASE_0001`` or in one file; or a ``.npz`` with ``<part>_images`` and
            ``<part>_labels`` (or ``_masks``) of one shape. In a folder ``patients.csv`` (columns ``case``,
            ``patient``) tells whose the cases are and ``dataset.json`` what the labels are called.
        wanted: By the model.
        cases: Opens files.
        part: Of data with parts.

    Raises:
        InputError: There is nothing at the path, or no such part.
        DataError: It is of none of these layouts.
    """
    file = array_file(data)
    if file.is_dir():
        if (file / "labels.csv").is_file() and not _pairs_of(file):
            return _from_table(file / "labels.csv", wanted, cases, part)
        return _from_folder(file, wanted, cases, part)
    if not file.is_file():
        raise InputError(f"nothing at {data}", "a table, a folder with images and labels, or a .npz file")
    if file.suffix.lower() in (".csv", ".tsv"):
        return _from_table(file, wanted, cases, part)
    if file.suffix.lower() == ".npz":
        return _from_arrays(file, wanted, part)
    raise DataError(f"{file.name}", "a table (.csv, .tsv), a folder with images and labels, or a .npz file")


def _from_table(table: Path, wanted: Wanted, cases: Cases, part: Part | None) -> OutlinedSet:
    cohort = read_cohort(table, "segment", channels=True)
    rows = [row for row in cohort.rows if part is None or row.part == part]
    if not rows:
        raise InputError(f"{cohort.name} without a {part} part", "rows with it in the column split")
    found = []
    for row in rows:
        assert row.mask is not None  # of a table with masks
        places = (row.image, *row.more)
        found.append(
            OutlinedCase(
                f"row {row.number}: {row.name}", row.patient, _opening(places, row.mask, wanted, cases)
            )
        )
    return OutlinedSet(cohort.name if part is None else f"{cohort.name}, {part} part", tuple(found))


def _pairs_of(folder: Path) -> list[tuple[Path, Path]]:
    return [
        (folder / images, folder / labels)
        for labels, images in LABEL_FOLDERS.items()
        if (folder / labels).is_dir() and (folder / images).is_dir()
    ]


def _from_folder(folder: Path, wanted: Wanted, cases: Cases, part: Part | None) -> OutlinedSet:
    pairs = _pairs_of(folder)
    if part is not None:
        ending = {"train": "Tr", "test": "Ts"}.get(part, "none")
        pairs = [pair for pair in pairs if pair[0].name.endswith(ending)]
    if not pairs:
        raise DataError(
            f"{folder.name} with {_inside(folder)}{'' if part is None else f' has no {part} part'}",
            "folders images and labels (or masks), or imagesTr and labelsTr",
            "put each mask into labels under the name of its image",
        )
    wanted = _named_values(folder / "dataset.json", wanted)
    patients = _patients(folder / "patients.csv")
    found: list[OutlinedCase] = []
    left_out: list[tuple[str, str]] = []
    for images, labels in pairs:
        there, masks = _by_stem(images), _by_stem(labels)
        used = set()
        for case, mask in masks.items():
            names = [case] if case in there else sorted(n for n in there if _case_of(n) == case)
            if not names:
                left_out.append((case, f"no image {case} in {images.name}"))
                continue
            used |= set(names)
            places = tuple(Place(there[name]) for name in names)
            open_ = _opening(places, Place(mask), wanted, cases)
            found.append(OutlinedCase(case, patients.get(case, case), open_))
        left_out += [(name, f"no mask in {labels.name}") for name in there if name not in used]
    if not found:
        raise DataError(
            f"{folder.name}: {left_out[0][1] if left_out else 'no case'}",
            "images and masks of the same names",
            "channels end in _0000, _0001; a mask has the name without that",
        )
    notes = () if patients else ("patients are not named: each case counts as one (patients.csv names them)",)
    return OutlinedSet(folder.name, tuple(found), tuple(left_out), notes)


def _from_arrays(path: Path, wanted: Wanted, part: Part | None) -> OutlinedSet:
    with arrays_of(path) as file:
        prefixes = [f"{p}_" for p in ((part,) if part else PARTS)] + ([] if part else [""])
        pair = next(
            ((p, m) for p in prefixes for m in NPZ_MASKS if f"{p}images" in file and f"{p}{m}" in file), None
        )
        if pair is None:
            raise DataError(
                f"{path.name} with {', '.join(sorted(file)) or 'no array'}",
                f"arrays {part or 'test'}_images and {part or 'test'}_labels of one shape",
            )
        prefix, word = pair
        images, labels = file[f"{prefix}images"], file[f"{prefix}{word}"]
        named = next((n for n in (f"{prefix}patient", f"{prefix}patients", "patient") if n in file), None)
        patients = None if named is None else [str(value) for value in file[named].reshape(-1)]
        steps = np.asarray(file["spacing_mm"], dtype=np.float64) if "spacing_mm" in file else None
    several = len(wanted.channels) > 1
    shape = images.shape[:1] + images.shape[2:] if several else images.shape
    if labels.shape != shape or labels.ndim not in (3, 4):
        raise DataError(
            f"images of shape {images.shape} and {word} of shape {labels.shape}",
            f"(cases, {f'{len(wanted.channels)} channels, ' if several else ''}[slices,] rows, columns)",
        )
    if not len(images):
        raise DataError(f"{path.name} with no case", "one or more")
    if patients is not None and len(patients) != len(images):
        raise DataError(f"{len(images)} images and {len(patients)} patients", "one patient for each image")
    if steps is not None and steps.shape not in ((labels.ndim - 1,), (len(images), labels.ndim - 1)):
        raise DataError(
            f"spacing_mm of shape {steps.shape}", f"{labels.ndim - 1} millimetres, once or a case"
        )

    def opening(n: int) -> Callable[[], Outlined]:
        def open_() -> Outlined:
            parts = tuple(_array(part) for part in (images[n] if several else images[n : n + 1]))
            numbers = _numbers(labels[n])
            space = None if steps is None else np.broadcast_to(steps, (len(images), steps.shape[-1]))[n]
            return _outlined(
                parts, None, None if space is None else tuple(map(float, space)), wanted.truth(numbers)
            )

        return open_

    names = patients or [str(n) for n in range(len(images))]
    found = tuple(OutlinedCase(str(n), names[n], opening(n)) for n in range(len(images)))
    notes = (
        () if patients else ("patients are not named: each case counts as one (an array patient names them)",)
    )
    return OutlinedSet(path.name if not prefix else f"{path.name}, {prefix[:-1]} part", found, (), notes)


def _opening(places: Sequence[Place], mask: Place, wanted: Wanted, cases: Cases) -> Callable[[], Outlined]:
    def open_() -> Outlined:
        scans = [scan for place in _sisters(places, len(wanted.channels)) for scan in cases.channels(place)]
        if len(scans) != len(wanted.channels):
            raise DataError(
                f"{len(scans)} channels",
                f"{len(wanted.channels)}: {', '.join(wanted.channels)}",
                "join their files by a vertical bar, or call them CASE_0000, CASE_0001",
            )
        first = scans[0]
        for scan, name in zip(scans, wanted.channels, strict=True):
            _check_grid(scan, first, name, wanted.channels[0])
        named = cases.regions(mask, first.source)
        truth = (
            wanted.truth(cases.labels(mask, first))
            if named is None
            else wanted.named(named, first.values.shape)
        )
        plane = first.source.plane if isinstance(first.source, Image) else None
        spacing = first.geometry.spacing_mm if first.geometry else plane.spacing_mm if plane else None
        return _outlined([scan.values for scan in scans], first.geometry, spacing, truth)

    return open_


def _sisters(places: Sequence[Place], count: int) -> Sequence[Place]:
    """The files of all channels, where only that of the first is named (``CASE_0000.nii.gz``)."""
    path = places[0].path
    if len(places) != 1 or count == 1 or "_0000" not in path.name:
        return places
    head, _, tail = path.name.rpartition("_0000")
    all_ = [path.with_name(f"{head}_{n:04}{tail}") for n in range(count)]
    return [Place(each) for each in all_ if each.exists()]


def _check_grid(scan: Scan, first: Scan, name: str, other: str) -> None:
    same = scan.values.shape == first.values.shape
    if same and scan.geometry is not None and first.geometry is not None:
        same = scan.geometry.almost_equal(first.geometry)
    if not same:
        grids = [
            f"{each.values.shape}{f' at {_told(each.geometry.spacing_mm)} mm' if each.geometry else ''}"
            for each in (scan, first)
        ]
        raise DataError(
            f"the channel {name} on a grid of {grids[0]}, and {other} on {grids[1]}",
            "one grid: the same shape, place, direction and spacing",
            "resample them onto one of them",
        )


def _outlined(
    channels: Sequence[NDArray[np.float32]],
    geometry: Geometry | None,
    spacing: Sequence[float] | None,
    truth: Mapping[str, NDArray[np.bool_]],
) -> Outlined:
    flat = channels[0].ndim == 2
    solid = [channel[None] if flat else channel for channel in channels]
    steps = None if spacing is None else (1.0, *spacing) if len(spacing) == 2 else tuple(spacing)
    shape: Any = solid[0].shape
    if geometry is None or geometry.shape != shape:
        geometry = Geometry.axial(shape, spacing_mm=steps or (1.0, 1.0, 1.0))  # type: ignore[arg-type]
    masks = {name: region.reshape(shape) for name, region in truth.items()}
    return Outlined(tuple(solid), geometry, steps, masks)


def _array(values: NDArray[Any]) -> NDArray[np.float32]:
    out = np.asarray(values, dtype=np.float32)
    if not np.isfinite(out).all():
        raise DataError("an image with values that are no numbers", "finite values")
    return out


def _numbers(values: NDArray[Any]) -> NDArray[np.int64]:
    whole = values.dtype.kind in "biu" or (
        np.isfinite(values).all() and np.array_equal(values, np.rint(values))
    )
    if not whole or values.min() < 0:
        raise DataError("a mask that holds no labels", "whole numbers from 0, the background")
    return values.astype(np.int64)


def _by_stem(folder: Path) -> dict[str, Path]:
    """Files and folders by name without ending, those that begin with a dot left out."""
    return {_stem(path): path for path in sorted(folder.iterdir()) if path.name[:1] != "."}


def _stem(path: Path) -> str:
    if path.is_dir():
        return path.name
    name = path.name.removesuffix(".gz")
    return name[: -len(Path(name).suffix)] if Path(name).suffix else name


def _case_of(stem: str) -> str:
    """Name of the case of a channel, ``CASE`` of ``CASE_0001``; the name itself of anything else."""
    head, mark, number = stem.rpartition("_")
    return head if mark and len(number) == 4 and number.isdecimal() else stem


def _named_values(path: Path, wanted: Wanted) -> Wanted:
    """Take the names of mask values from a ``dataset.json``, of nnU-Net or of the decathlon."""
    if not path.is_file():
        return wanted
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["labels"]
        values = dict(_told_values(told))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path.name} can't be used ({error})", "an object with labels, name to number"
        ) from error
    by_word = {_word(name): number for name, number in values.items()}
    missing = [name for name in wanted.labels if _word(name) not in by_word]
    if missing:
        raise DataError(
            f"{path.name} with the labels {', '.join(values)}",
            f"all of {', '.join(wanted.labels)}, which the model outlines",
            "name the outputs in the table [import] of the model's card as the data do, or correct the file",
        )
    every = {name: by_word[_word(name)] for name in wanted.labels}
    return Wanted(wanted.channels, wanted.labels, every)


def _told_values(labels: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, ...]]]:
    for key, value in labels.items():
        if key.isdecimal():  # the decathlon: number to name
            yield str(value), (int(key),)
        else:
            yield key, tuple(map(int, value)) if isinstance(value, list) else (int(value),)


def _patients(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} can't be read ({error})", "a table as CSV in UTF-8") from error
    if not rows or not {"case", "patient"} <= set(rows[0]):
        raise DataError(f"{path.name} without the columns case and patient", "case,patient")
    return {_stem(Path(row["case"])): row["patient"] for row in rows}


def _word(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _told(spacing: Sequence[float]) -> str:
    return " x ".join(f"{step:g}" for step in spacing)


def _inside(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if path.name[:1] != ".")
    return f"{', '.join(names[:4])}{' ...' if len(names) > 4 else ''}" if names else "nothing in it"
