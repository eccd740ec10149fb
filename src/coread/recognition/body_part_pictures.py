"""Pictures as the router of body parts takes them: made square, windowed, read, and made wrong on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from coread.errors import DataError
from coread.recognition.body_part_tags import PARTS
from coread.recognition.film import grey
from coread.recognition.labelled import arrays_of

SIDE = 64
WINDOW_HU = (-160.0, 240.0)
CLASSES = tuple(PARTS)
OTHER = "Other"


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Pictures as the network takes them, with their class.

    Attributes:
        pictures: (n, 64, 64) float32 from 0 to 1.
        labels: (n,) place in `CLASSES`; their number for what is none of them.
        names: Of each picture.
        groups: Pictures of one group may show the same patient.
    """

    pictures: NDArray[np.float32]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    groups: tuple[str, ...]

    def chosen(self, places: NDArray[np.intp]) -> Pictures:
        """Return some of them, by place."""
        return Pictures(
            self.pictures[places],
            self.labels[places],
            tuple(self.names[n] for n in places),
            tuple(self.groups[n] for n in places),
        )

    @classmethod
    def joined(cls, parts: Sequence[Pictures]) -> Pictures:
        """Return those of several, one after the other."""
        return cls(
            np.concatenate([part.pictures for part in parts]),
            np.concatenate([part.labels for part in parts]),
            tuple(name for part in parts for name in part.names),
            tuple(group for part in parts for group in part.groups),
        )


def prepared(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return a picture of any size and depth at 64 x 64, its values from 0 to 1.

    It is squeezed to a square as MedNIST's pictures are; the 0.5th and the 99.5th percentile become 0 and 1.
    White is dense. A picture without contrast becomes all zeros.

    Raises:
        InputError: The values are not finite or not of a picture's shape.

    Examples:
        >>> prepared(np.arange(3000.0).reshape(50, 60)).shape
        (64, 64)
    """
    source = Picture.fromarray(grey(values).astype(np.float32))
    resized = source.resize((SIDE, SIDE), Picture.Resampling.BILINEAR, reducing_gap=3.0)
    small = np.asarray(resized, dtype=np.float64)
    low, high = (float(q) for q in np.percentile(small, (0.5, 99.5)))
    if high - low <= 1e-6 * max(abs(low), abs(high), 1e-6):
        return np.zeros((SIDE, SIDE), dtype=np.float32)
    return np.clip((small - low) / (high - low), 0, 1).astype(np.float32)


def windowed_slice(
    values: NDArray[Any],
    spacing_mm: tuple[float, float],
    window: tuple[float, float] | None,
) -> NDArray[np.float32]:
    """Return a slice (rows, columns) ready for the network: seen through a window, padded to a square.

    Args:
        values: Of the slice.
        spacing_mm: Of rows and columns.
        window: Lowest and highest value shown; None for all.
    """
    shown = values.astype(np.float64)
    if window is not None:
        shown = np.clip(shown, *window)
    row_mm, column_mm = spacing_mm
    height, width = shown.shape[0] * row_mm, shown.shape[1] * column_mm
    more_rows = max(0, round((width - height) / row_mm))
    more_columns = max(0, round((height - width) / column_mm))
    margins = [(n // 2, n - n // 2) for n in (more_rows, more_columns)]
    return prepared(np.pad(shown, margins, constant_values=float(shown.min())))


def read_mednist(path: Path) -> Pictures:
    """Return the pictures of a file with ``images``, ``labels``, ``files`` and ``classes`` as MedNIST has.

    Raises:
        DataError: It has others, or other classes.
    """
    with arrays_of(path) as file:
        missing = {"images", "labels", "files", "classes"} - set(file)
        if missing or tuple(file["classes"].tolist()) != CLASSES:
            raise DataError(
                f"{path.name} with {', '.join(sorted(file)) or 'no array'}",
                f"arrays images, labels, files and classes, the last being {', '.join(CLASSES)}",
            )
        labels = file["labels"].reshape(-1).astype(np.int64)
        pictures = np.stack([prepared(picture) for picture in file["images"]])
        names = tuple(f"{CLASSES[n]}/{name}" for n, name in zip(labels, file["files"], strict=True))
    return Pictures(pictures, labels, names, tuple(neighbours(name) for name in names))


def neighbours(name: str, block: int = 400) -> str:
    """Return the block of file numbers that a MedNIST picture lies in: neighbouring slices have such numbers.

    Examples:
        >>> neighbours("ChestCT/001821.jpeg")
        'ChestCT/4'
    """
    part, _, file = name.rpartition("/")
    return f"{part}/{int(file.split('.')[0]) // block}"


def wrong_pictures(
    pictures: NDArray[np.float32], generator: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Return pictures of no part, made of pictures (n, 64, 64): turned, inverted, a detail of them, noise.

    They are turned by 90, 180 and 270 degrees in turn. A detail is a square of a fifth to two fifths of the
    side at a random place, enlarged.
    """
    sides = generator.integers(SIDE // 5, 2 * SIDE // 5 + 1, size=len(pictures))
    rows, columns = (generator.integers(0, SIDE - sides + 1) for _ in range(2))
    details = [p[r : r + n, c : c + n] for p, n, r, c in zip(pictures, sides, rows, columns, strict=True)]
    return {
        "inverted": np.stack([prepared(1 - picture) for picture in pictures]),
        "detail": np.stack([prepared(detail) for detail in details]),
        "noise": np.stack([prepared(noise) for noise in generator.normal(size=pictures.shape)]),
        "turned": np.stack([np.rot90(picture, 1 + n % 3) for n, picture in enumerate(pictures)]),
    }
