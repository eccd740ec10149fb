"""Images and masks of a cohort, as arrays; every fault is told with its row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from coread.core import Acquisition, Geometry, Image, ImagePlane, Volume
from coread.errors import CoreadError, DataError
from coread.recognition.labelled import ENDINGS, arrays_of
from coread.recognition.training.cohort import Cohort, Place, Row


@dataclass(frozen=True, slots=True, eq=False)
class NamedRegion:
    """One region of a file, by every name that the file gives it, as bool in the image's shape."""

    names: tuple[str, ...]
    pixels: NDArray[np.bool_]


# regions of a file (SEG, RT structure set), once the image is known on which they lie
RegionsOf = Callable[[Volume | Image], tuple[NamedRegion, ...]]
# an image, the channels of one, or regions
Read = Volume | Image | tuple[Volume, ...] | RegionsOf
# of a file that is neither a picture nor a .npz: DICOM, NIfTI
Reader = Callable[[Path], Read]


def no_reader(path: Path) -> Read:
    """Refuse a file that needs a reader; the command line hands in one for DICOM and NIfTI.

    Raises:
        DataError: Always.
    """
    raise DataError(f"{path.name}", f"a picture ({', '.join(sorted(ENDINGS))}) or a .npz", "hand in a reader")


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """An image without what it is of.

    Attributes:
        values: (slices, rows, columns) or (rows, columns), grey.
        geometry: Where a volume lies; None where that isn't known.
        source: What it was read from, where that says more than the values.
    """

    values: NDArray[Any]
    geometry: Geometry | None = None
    source: Volume | Image | None = None

    def picture(self) -> Image:
        """Return it as a picture; a volume of one slice is one.

        Raises:
            DataError: It has several slices.
        """
        values = self.values[0] if self.values.ndim == 3 and len(self.values) == 1 else self.values
        if values.ndim != 2:
            raise DataError(f"an image of shape {self.values.shape}", "one slice", "name single slices")
        return Image(values, ImagePlane(values.shape, None, "unknown"), "stored", Acquisition("OT"))

    def volume(self) -> tuple[NDArray[Any], Geometry]:
        """Return it as a volume; a picture is one of one slice, and what lies nowhere has steps of 1 mm."""
        values = self.values if self.values.ndim == 3 else self.values[None]
        if self.geometry is not None and self.geometry.shape == values.shape:
            return values, self.geometry
        return values, Geometry.axial(values.shape, spacing_mm=(1.0, 1.0, 1.0))


class Cases:
    """Opens what a cohort names.

    Args:
        read: Of files that are neither pictures nor ``.npz``.
    """

    def __init__(self, read: Reader = no_reader) -> None:
        self._read = read
        self._last: tuple[Path, str | None, NDArray[Any]] | None = None

    def scan(self, place: Place) -> Scan:
        """Return an image.

        Raises:
            DataError: It can't be read, or is no picture or volume.
        """
        found = self.channels(place)
        if len(found) > 1:
            raise DataError(f"{place.path.name} with {len(found)} channels", "one", "give each its own file")
        return found[0]

    def channels(self, place: Place) -> tuple[Scan, ...]:
        """Return the channels of an image; most files hold one.

        Raises:
            DataError: It can't be read, or is no picture or volume.
        """
        ending = place.path.suffix.lower()
        if ending == ".npz":
            return (_scan(place, self._array(place)),)
        if ending in ENDINGS:
            with _opened(place.path) as picture:
                return (_scan(place, np.asarray(picture.convert("F"), dtype=np.float32)),)
        read = self._read(place.path)
        if not isinstance(read, tuple | Volume | Image):
            raise DataError(f"{place.path.name} holds regions", "an image")
        parts = read if isinstance(read, tuple) else (read,)
        return tuple(_scan(place, part.values, part) for part in parts)

    def regions(self, place: Place, image: Volume | Image | None) -> tuple[NamedRegion, ...] | None:
        """Return the named regions of a file that holds such, on an image; None of any other file.

        Raises:
            DataError: It can't be read, or lies elsewhere than the image.
        """
        if place.path.suffix.lower() in ENDINGS | {".npz"}:
            return None
        read = self._read(place.path)
        if isinstance(read, tuple | Volume | Image):
            return None
        if image is None:
            raise DataError(
                f"{place.path.name}, which holds regions of a DICOM image",
                "a DICOM image that they lie on",
                "give the image as DICOM too, or the mask in the image's format",
            )
        return read(image)

    def labels(self, place: Place, scan: Scan) -> NDArray[np.int64]:
        """Return the label numbers of an image's mask, in the image's shape; the background is 0.

        Raises:
            DataError: It can't be read, its values are no labels (whole numbers from 0), or it lies on
                another grid than the image.
        """
        geometry: Geometry | None = None
        ending = place.path.suffix.lower()
        if ending == ".npz":
            values = self._array(place)
        elif ending in ENDINGS:
            with _opened(place.path) as picture:
                if picture.mode not in ("1", "L", "P", "I", "I;16"):
                    raise DataError(f"{place.path.name} in colour ({picture.mode})", "one number a pixel")
                values = np.asarray(picture)  # numbers of a palette, not its colours
        else:
            read = self._read(place.path)
            if not isinstance(read, Volume | Image):
                raise DataError(
                    f"{place.path.name} holds channels or regions", "one image with a number a place"
                )
            values, geometry = read.values, read.geometry if isinstance(read, Volume) else None
        values = np.asarray(values)
        if values.size == scan.values.size and values.ndim != scan.values.ndim:
            values = values.reshape(scan.values.shape)  # a single slice, named as volume or as picture
        if values.shape != scan.values.shape:
            raise DataError(f"a mask of {values.shape} for an image of {scan.values.shape}", "one shape")
        if geometry is not None and scan.geometry is not None and not geometry.almost_equal(scan.geometry):
            raise DataError(
                f"the mask {place.path.name} on another grid than its image",
                "the same place, direction and spacing",
                "resample it onto the image",
            )
        whole = values.dtype.kind in "biu" or (
            values.dtype.kind == "f" and np.isfinite(values).all() and np.array_equal(values, np.rint(values))
        )
        if not whole or not values.size or values.min() < 0:
            raise DataError(f"{place.path.name} holds no labels", "whole numbers from 0, the background")
        return values.astype(np.int64)

    def _array(self, place: Place) -> NDArray[Any]:
        if self._last is None or self._last[:2] != (place.path, place.name):
            with arrays_of(place.path) as file:
                names = sorted(file)
                name = place.name if place.name is not None else names[0] if len(names) == 1 else None
                if name not in names:
                    wanted = f"array {place.name!r}" if place.name else "the array"
                    raise DataError(
                        f"{wanted} of {place.path.name}, which has {', '.join(names) or 'none'}",
                        "the name of one of its arrays",
                        f"write {place.path.name}#NAME or {place.path.name}#NAME[NUMBER]",
                    )
                self._last = (place.path, place.name, file[name])
        array = self._last[2]
        if place.index is None:
            return array
        if place.index >= len(array):
            raise DataError(f"case {place.index} of {place.path.name}", f"one of 0 to {len(array) - 1}")
        return np.asarray(array[place.index])


def _scan(place: Place, given: NDArray[Any], source: Volume | Image | None = None) -> Scan:
    values, geometry = np.asarray(given), source.geometry if isinstance(source, Volume) else None
    if values.ndim in (3, 4) and values.shape[-1] in (3, 4) and geometry is None:
        values = values[..., :3].mean(axis=-1)  # colours
    if values.ndim not in (2, 3) or not values.size or values.dtype.kind not in "biuf":
        raise DataError(
            f"{place.path.name} of shape {values.shape} and type {values.dtype}", "a picture or a volume"
        )
    values = np.asarray(values, dtype=np.float32)
    if not np.isfinite(values).all():
        raise DataError(f"{place.path.name} holds values that are no numbers", "finite values")
    return Scan(values, geometry, source)


@contextmanager
def _opened(path: Path) -> Iterator[Picture.Image]:
    try:
        with Picture.open(path) as picture:
            yield picture
    except OSError as error:
        raise DataError(f"{path.name} is no picture ({error})", "a picture") from error


@contextmanager
def told_with_row(cohort: Cohort, row: Row) -> Iterator[None]:
    """Tell every error of ours with the row of the table that it comes from."""
    try:
        yield
    except CoreadError as error:
        raise DataError(
            f"{cohort.name}, row {row.number}: {error.came}", error.expected, error.todo
        ) from error


def named_labels(
    found: set[int], given: Mapping[int, str], rows: Mapping[int, int]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return values of masks and what they are called, the background first.

    Args:
        found: Values in the masks.
        given: Names by value; where there are any, each value but 0 needs one.
        rows: In which row each value was seen first.

    Raises:
        DataError: A value has no name, or there is nothing but background.
    """
    values = tuple(sorted((found | set(given)) - {0}))
    if not values:
        raise DataError("masks with nothing but 0", "the number of a label in some of them")
    for value in values:
        if given and value not in given:
            raise DataError(
                f"the value {value} in the mask of row {rows[value]}",
                f"0 or one of {', '.join(str(known) for known in sorted(given))}",
                "name it in the table [labels], or correct the mask",
            )
    return (0, *values), ("background", *(given.get(value, f"label_{value}") for value in values))


def numbered(labels: NDArray[np.int64], values: Sequence[int]) -> NDArray[np.int64]:
    """Return label numbers 0, 1, 2, ... for the values of a mask, in their order."""
    return np.asarray(np.searchsorted(np.asarray(values), labels), dtype=np.int64)
