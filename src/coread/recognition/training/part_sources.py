"""The sets of pictures that the router of body parts is trained on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage

from coread.core import Acquisition, Geometry, Volume
from coread.errors import DataError, InputError
from coread.recognition.body_part_pictures import (
    CLASSES,
    OTHER,
    WINDOW_HU,
    Pictures,
    prepared,
    windowed_slice,
)

MEDNIST = "mednist/mednist_train.npz"
WINDOWS_HU = {
    "soft tissue": (40, 400),
    "lung": (-600, 1500),
    "bone": (400, 1800),
    "contrast": (175, 350),
    "wide": (0, 2000),
    "brain": (40, 90),
}
"""Centre and width of the windows in which training shows CT."""
STEP = 2
LUNG = 0.3  # of the body: from here a slice is of the chest
APEX = 0.05
NO_LUNG = 0.06


@dataclass(frozen=True, slots=True)
class Source:
    """A set of pictures beside MedNIST.

    Attributes:
        folder: Below the folder of the data, with the pattern of its files.
        part: One of `CLASSES` or ``Other`` for pictures; None for CT volumes in HU, whose slices are of the
            chest or of the abdomen by how much lung they show.
        patient: Expression whose first group is the patient in a file's name.
        every: Of the files only each so many.
    """

    folder: str
    part: str | None
    patient: str
    every: int = 1


SOURCES = {
    "lidc": Source("chest/lidc_ct/*_ct.nii.gz", None, r"(.+)_ct"),
    "totalseg": Source("totalseg_tests/example_ct.nii.gz", None, r"(.+)"),
    "spleen": Source("neuro_body/msd_spleen_slices/images/*.jpg", "AbdomenCT", r"_(c\d+)"),
    "ct_ich": Source("neuro_body/ct_ich_haemorrhage/images/*.jpg", "HeadCT", r"_(p\d+)"),
    "cpaisd": Source("neuro_body/cpaisd_nect_stroke/images/*.jpg", "HeadCT", r"_(\d+)\d\d"),
    "montgomery": Source("chest/montgomery_lungs/images/*.jpg", "CXR", r"(.+)"),
    "nih": Source("nih_cxr/images384/*.jpg", "CXR", r"(\d+)_"),
    "soop": Source("neuro_body/soop_stroke/axial/*.jpg", OTHER, r"(.+)", every=3),
    "brisc": Source("neuro_body/brisc_tumour/images/*.jpg", OTHER, r"(.+)"),
    "hvsmr": Source("neuro_body/hvsmr_whole_heart/images/*.jpg", OTHER, r"_(case\d+)"),
    "spider": Source("breast_msk/spider_lumbar/*[0-9].jpg", OTHER, r"(\d+)_"),
}


def mednist_file(data: Path) -> Path:
    """Return where MedNIST lies in the folder of the data.

    Raises:
        InputError: The path is no folder, or something that training needs is not in it.
    """
    wanted = [MEDNIST, *(source.folder for source in SOURCES.values())]
    if not data.is_dir():
        raise InputError(
            f"{data.name} is no folder", f"a folder with {', '.join(wanted)}", "name the folder above mednist"
        )
    absent = [pattern for pattern in wanted if next(data.glob(pattern), None) is None]
    if absent:
        raise InputError(
            f"nothing at {', '.join(absent)} in {data.name}",
            f"all of {', '.join(wanted)}",
            "docs/models.md says where each set comes from",
        )
    return data / MEDNIST


def read_sources(data: Path, *, seed: int, views: int) -> dict[str, Pictures]:
    """Return the pictures of each of `SOURCES`; patients are their groups.

    Args:
        data: Folder of the data, checked by `mednist_file`.
        seed: Of windows and margins of CT.
        views: In how many windows each slice of CT is shown.
    """
    generator = np.random.default_rng(seed)
    found = {}
    for name, source in SOURCES.items():
        if source.part is None:
            found[name] = _slices(data, source, lambda a, s: _views(a, s, views, generator))
        else:
            found[name] = _pictures(data, source)
    return found


def as_analysed(data: Path, name: str) -> Pictures:
    """Return the pictures of a source as the analyzer would see them: CT through its own window."""
    source = SOURCES[name]
    if source.part is not None:
        return _pictures(data, source)
    return _slices(data, source, lambda a, s: windowed_slice(a, s, WINDOW_HU)[None])


def _files(data: Path, source: Source) -> Iterator[tuple[Path, str]]:
    for path in sorted(data.glob(source.folder))[:: source.every]:
        stem = path.name.split(".")[0]
        found = re.search(source.patient, stem)
        if found is None:
            raise DataError(f"file {path.name}", f"a name that tells the patient, as {source.patient}")
        yield path, found[1]


def _pictures(data: Path, source: Source) -> Pictures:
    label = len(CLASSES) if source.part == OTHER else CLASSES.index(source.part or "")
    pictures, names, groups = [], [], []
    for path, patient in _files(data, source):
        with Picture.open(path) as picture:
            pictures.append(prepared(np.asarray(picture.convert("F"))))
        names.append(path.name)
        groups.append(patient)
    return Pictures(np.stack(pictures), np.full(len(names), label), tuple(names), tuple(groups))


def volumes(data: Path, name: str) -> list[Volume]:
    """Return the CT volumes of a source, in HU and with its part for most slices as their tag."""
    found = []
    for path, patient in _files(data, SOURCES[name]):
        values, spacing_mm = _stack(path)
        parts = [part for part in parts_of_slices(values) if part]
        tag = "CHEST" if 2 * parts.count("ChestCT") > len(parts) else "ABDOMEN"
        geometry = Geometry.axial(values.shape, spacing_mm=spacing_mm)
        made = Acquisition("CT", tag)
        found.append(Volume(values.astype(np.float32), geometry, "HU", made, source_instances=(patient,)))
    return found


def _stack(path: Path) -> tuple[NDArray[Any], tuple[float, float, float]]:
    """Return values (slice, row, column) going up, back and left, and their spacing."""
    image = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
    values = np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]
    column_mm, row_mm, slice_mm = (float(size) for size in image.header.get_zooms())
    return np.ascontiguousarray(values), (slice_mm, row_mm, column_mm)


def _slices(data: Path, source: Source, shown: Any) -> Pictures:
    pictures, labels, names, groups = [], [], [], []
    for path, patient in _files(data, source):
        values, (_, row_mm, column_mm) = _stack(path)
        parts = parts_of_slices(values)
        for k in range(0, len(values), STEP):
            part = parts[k]
            if part is None:
                continue
            views = shown(values[k], (row_mm, column_mm))
            pictures.extend(views)
            labels.extend([CLASSES.index(part)] * len(views))
            names.extend([f"{patient}/{k}"] * len(views))
            groups.extend([patient] * len(views))
    return Pictures(np.stack(pictures), np.array(labels), tuple(names), tuple(groups))


def parts_of_slices(values: NDArray[Any]) -> list[str | None]:
    """Return which part each axial slice of a trunk shows, slices going up; None where it is between two.

    A slice is of the chest where three tenths of the body are lung, or a twentieth above the slice with most
    lung; of the abdomen where hardly any is, below.

    Args:
        values: (slice, row, column) in HU.

    Examples:
        >>> body = np.full((3, 20, 20), -1000.0)
        >>> body[:, 2:18, 2:18] = 40
        >>> body[2, 4:14, 4:14] = -850
        >>> parts_of_slices(body)
        ['AbdomenCT', 'AbdomenCT', 'ChestCT']
    """
    bodies = [ndimage.binary_fill_holes(plane > -300) for plane in values]
    shares = [
        int(np.count_nonzero(body & (plane < -500))) / max(1, int(np.count_nonzero(body)))
        for body, plane in zip(bodies, values, strict=True)
    ]
    most = int(np.argmax(shares))
    parts: list[str | None] = []
    for k, share in enumerate(shares):
        if share >= LUNG or (k > most and share >= APEX):
            parts.append("ChestCT")
        else:
            parts.append("AbdomenCT" if k < most and share <= NO_LUNG else None)
    return parts


def drawn_window(name: str, generator: np.random.Generator) -> tuple[float, float]:
    """Return lowest and highest value of a window near one of `WINDOWS_HU`."""
    centre, width = WINDOWS_HU[name]
    wide = width * np.exp(generator.uniform(-0.3, 0.3))
    middle = centre + width * generator.uniform(-0.15, 0.15)
    return float(middle - wide / 2), float(middle + wide / 2)


def _views(
    values: NDArray[Any], spacing_mm: tuple[float, float], count: int, generator: np.random.Generator
) -> Sequence[NDArray[np.float32]]:
    """A slice in windows drawn, with more or less air around it, as other fields of view show it."""
    names = list(WINDOWS_HU)
    views = []
    for n in range(count):
        margin = max(0, int(generator.uniform(-0.1, 0.25) * max(values.shape)))
        seen = np.pad(values.astype(np.float64), margin, constant_values=-1000.0)
        seen = seen + generator.normal(0, generator.uniform(0, 12), seen.shape)
        views.append(windowed_slice(seen, spacing_mm, drawn_window(names[n % len(names)], generator)))
    return views
