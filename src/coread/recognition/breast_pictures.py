"""A folder of breast ultrasound: pictures by class, masks of the masses, look-alikes kept together."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from coread.errors import DataError, InputError
from coread.recognition.labelled import ENDINGS

CLASSES = ("normal", "benign", "malignant")


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """A picture with its truth.

    Attributes:
        name: ``class/file``.
        picture: (rows, columns) grey values.
        label: Place in `CLASSES`.
        mask: The mass, empty for none; None where no mask is given.
        group: Pictures that look alike share one; each other picture has its own name.
        shape: Rows and columns before anybody squeezed the picture, where that is known.
    """

    name: str
    picture: NDArray[Any]
    label: int
    mask: NDArray[np.bool_] | None
    group: str
    shape: tuple[int, int] | None


@dataclass(frozen=True, slots=True, eq=False)
class PictureSet:
    """Labelled pictures, and the rows that were not taken with the reason."""

    pictures: tuple[Labelled, ...]
    left_out: tuple[tuple[str, str], ...]


def read_folder(data: Path) -> PictureSet:
    """Return the pictures of a folder with one folder a class, and their masks where there are any.

    Masks are ``NAME_mask.png`` beside the pictures, or in folders by class in ``busi_masks`` or ``masks``,
    inside the folder or where the collection keeps them beside it. ``near_duplicate_groups.json`` (lists of
    names) holds pictures together; a group with more than one class is label noise and left out.
    ``masks.csv`` beside the masks tells sizes before squeezing.

    Raises:
        InputError: There is no such folder.
        DataError: No picture is there, or none can be taken.
    """
    if not data.is_dir():
        what = f"{data.name} is a file" if data.exists() else f"nothing at {data}"
        raise InputError(what, f"a folder with folders {', '.join(CLASSES)}")
    root = next((p for p in (data, data / "busi_ultrasound") if (p / "benign").is_dir()), data)
    masks = next((p for p in _mask_folders(root) if (p / "benign").is_dir()), root)
    alike, sizes = _groups(root), _sizes(masks / "masks.csv")
    taken: list[Labelled] = []
    left_out: list[tuple[str, str]] = []
    for label, kind in enumerate(CLASSES):
        for path in sorted((root / kind).iterdir()) if (root / kind).is_dir() else []:
            if path.suffix.lower() not in ENDINGS or "_mask" in path.stem:
                continue
            name = f"{kind}/{path.stem}"
            try:
                picture = _opened(path)
                mask = _mask(masks / kind, path.stem, picture.shape)
            except (OSError, InputError) as error:
                left_out.append((name, f"can't be read: {error}"))
                continue
            group = alike.get(name)
            if group is not None and len({n.split("/")[0] for n, g in alike.items() if g == group}) > 1:
                left_out.append((name, "looks like pictures of another class: the label is in doubt"))
                continue
            taken.append(Labelled(name, picture, label, mask, group or name, sizes.get(name)))
    if not taken:
        why = f": {left_out[0][0]} {left_out[0][1]}" if left_out else ""
        raise DataError(
            f"no pictures in {data.name} that can be taken{why}",
            f"folders {', '.join(CLASSES)} with pictures",
        )
    return PictureSet(tuple(taken), tuple(left_out))


def _mask_folders(root: Path) -> Iterator[Path]:
    for name in ("busi_masks", "masks", "breast_msk/busi_masks"):
        yield from (root / name, root.parent / name)


def _opened(path: Path) -> NDArray[Any]:
    with Picture.open(path) as picture:
        return np.asarray(picture.convert("L"))


def _mask(folder: Path, stem: str, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Return the masks of a picture joined; None where there is none."""
    found = [p for p in (folder / f"{stem}_mask.png", folder / f"{stem}_mask_1.png") if p.is_file()]
    found += sorted(folder.glob(f"{_plain(stem)}_mask_[2-9].png"))
    if not found:
        return None
    masks = [_opened(path) > 0 for path in found]
    if any(mask.shape != shape for mask in masks):
        raise InputError(f"a mask of another size than the picture {shape}", "one pixel for each pixel")
    return np.asarray(np.logical_or.reduce(masks))


def _plain(stem: str) -> str:
    return stem.replace("[", "[[]")


def _groups(root: Path) -> Mapping[str, str]:
    """Name of the group by ``class/stem``, of pictures that are there."""
    path = root / "near_duplicate_groups.json"
    if not path.is_file():
        return {}
    there = {f"{p.parent.name}/{p.stem}" for kind in CLASSES for p in (root / kind).glob("*.*")}
    groups = {}
    for number, names in enumerate(json.loads(path.read_text(encoding="utf-8"))):
        for name in names:
            stem = str(Path(name).with_suffix(""))
            for spelling in (stem, stem.replace(" ", "_")):
                if spelling in there:
                    groups[spelling] = f"group {number + 1}"
    return groups


def _sizes(table: Path) -> Mapping[str, tuple[int, int]]:
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as lines:
        return {
            str(Path(row["image"]).with_suffix("")): (int(row["orig_height"]), int(row["orig_width"]))
            for row in csv.DictReader(lines)
        }
