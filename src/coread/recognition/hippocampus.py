"""Anterior and posterior hippocampus on MR volumes that were cropped around it, by a small 3D U-Net."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from coread.core import (
    Inputs,
    LabelMap,
    Mask,
    Measurement,
    Note,
    Quantity,
    Result,
    Volume,
)
from coread.core.vocabulary import ANTERIOR_HIPPOCAMPUS, POSTERIOR_HIPPOCAMPUS, VOLUME
from coread.errors import DataError, NotApplicableError
from coread.imaging.orientation import Orientation
from coread.recognition.agreement import Agreement
from coread.recognition.labelled import Part
from coread.recognition.metrics import bootstrap_mean, dice, hausdorff_95
from coread.recognition.registry import Evaluation, weights_file
from coread.recognition.runtime import Network, load_card, load_network

STEM = "hippocampus"
BOX = (48, 64, 48)
"""Largest crop, in voxels up, back and left."""
FIELD = (40, 56, 40)
"""What the network sees: the middle of the crop. All labels of the data set lie in it."""
SMALLEST = (20, 36, 24)
SPACING_MM = (0.95, 1.05)
LABELS = {1: ANTERIOR_HIPPOCAMPUS, 2: POSTERIOR_HIPPOCAMPUS}
NAMES = {1: "anterior", 2: "posterior"}


@dataclass(frozen=True, slots=True)
class Plausible:
    """What a hippocampus looks like; anything else gets no outline.

    The volumes are those of the 200 hippocampi of the data set (anterior 1,054 to 2,593, posterior 993 to
    2,169 mm3), a third wider.

    Attributes:
        anterior_mm3: Least and largest volume.
        posterior_mm3: Least and largest volume.
        certainty: Least mean probability of the label inside it.
        together: Least part of the voxels that hang together.
    """

    anterior_mm3: tuple[float, float] = (700.0, 3450.0)
    posterior_mm3: tuple[float, float] = (660.0, 2890.0)
    certainty: float = 0.8
    together: float = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A cropped volume with its truth, slices going up, rows back, columns to the left; 1 mm.

    Attributes:
        name: Of the files.
        values: (slices, rows, columns) grey values.
        labels: The same shape: 0 background, 1 anterior, 2 posterior.
    """

    name: str
    values: NDArray[Any]
    labels: NDArray[Any]


def standardised(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values with mean 0 and deviation 1; all zeros where they don't differ.

    Values beyond the 99.5th percentile are cut before.
    """
    cut = np.minimum(np.asarray(values, dtype=np.float64), np.percentile(values, 99.5))
    return np.asarray((cut - cut.mean()) / max(float(cut.std()), 1e-9), dtype=np.float32)


def fielded(values: NDArray[Any]) -> NDArray[Any]:
    """Return the middle of an array with `FIELD`'s shape, zeros where it has nothing."""
    return _middle(values, FIELD)


def unfielded(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return an array of a shape that has one of `FIELD`'s where `fielded` took it from, zeros elsewhere."""
    return _middle(values, shape)


def _middle(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Cut and pad so that the voxel at half of each side, rounded down, stays there."""
    offsets = [side // 2 - size // 2 for side, size in zip(shape, values.shape, strict=True)]
    whole = np.zeros(shape, dtype=values.dtype)
    into, out = [], []
    for offset, side, size in zip(offsets, shape, values.shape, strict=True):
        first, last = max(offset, 0), min(offset + size, side)
        into.append(slice(first, last))
        out.append(slice(first - offset, last - offset))
    whole[tuple(into)] = values[tuple(out)]
    return whole


def is_crop(volume: Volume) -> bool:
    """Return whether a volume may be an MR crop around one hippocampus: 1 mm, and about as large as `BOX`."""
    if volume.acquisition.modality != "MR" or volume.values.ndim != 3:
        return False
    low, high = SPACING_MM
    shape = Orientation.of(volume.geometry).turn(volume.values).shape
    fits = all(a <= n <= b for a, n, b in zip(SMALLEST, shape, BOX, strict=True))
    return fits and all(low <= step <= high for step in volume.geometry.spacing_mm)


def network(threads: int = 1) -> Network:
    """Return the network, its weights checked against the card."""
    return load_network(weights_file(STEM), load_card(STEM).weights or "", threads)


def label_probability(values: NDArray[Any], model: Network) -> NDArray[np.float32]:
    """Return (3, slices, rows, columns) from 0 to 1: background, anterior, posterior.

    Args:
        values: (slices, rows, columns) no larger than `BOX`, slices going up, rows back, columns to the left.
            What lies outside `FIELD` is background.
        model: As `network` gives it.
    """
    said = model.run({"volume": fielded(standardised(values))[None, None]})["probability"][0]
    return with_background([unfielded(part, values.shape) for part in said[1:]])


def with_background(parts: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the probabilities of the labels with that of none of them before."""
    labels = np.stack(parts)
    return np.concatenate([1 - labels.sum(axis=0, keepdims=True), labels])


def believed_labels(
    probability: NDArray[np.float32], plausible: Plausible | None = None
) -> NDArray[np.uint16] | None:
    """Return 1 for the anterior and 2 for the posterior part, 0 elsewhere; None where that isn't believed.

    Voxels apart from the largest connected region are left out. A voxel is taken as 1 mm3.
    """
    limits = plausible or Plausible()
    labels = probability.argmax(axis=0).astype(np.uint16)
    parts, count = ndimage.label(labels > 0)
    if not count:
        return None
    sizes = np.bincount(parts.ravel())[1:]
    largest = parts == 1 + int(sizes.argmax())
    together = float(sizes.max() / sizes.sum())
    labels[~largest] = 0
    volumes = [int(np.count_nonzero(labels == n)) for n in (1, 2)]
    ranges = (limits.anterior_mm3, limits.posterior_mm3)
    if together < limits.together or not all(
        low <= volume <= high for volume, (low, high) in zip(volumes, ranges, strict=True)
    ):
        return None
    sure = min(float(probability[n][labels == n].mean()) for n in (1, 2))
    return labels if sure >= limits.certainty else None


class Hippocampus:
    """Outlines the anterior and posterior hippocampus on cropped MR volumes and measures their volumes."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return a label map and two volumes for each crop, or a note where no hippocampus is believed.

        Raises:
            NotApplicableError: No volume is an MR crop of 1 mm around a hippocampus.
        """
        crops = [volume for volume in inputs.volumes.values() if is_crop(volume)]
        if not crops:
            raise NotApplicableError(
                "no cropped MR volume",
                f"MR of 1 mm, cropped around one hippocampus to {SMALLEST} to {BOX} voxels (up, back, left)",
            )
        maps: list[LabelMap] = []
        measurements: list[Measurement] = []
        notes: list[Note] = []
        for volume in crops:
            turn = Orientation.of(volume.geometry)
            labels = believed_labels(label_probability(turn.turn(volume.values), network()))
            if labels is None:
                notes.append(Note("gate", "no-hippocampus", "No hippocampus of believable size was found."))
                continue
            found = LabelMap(
                np.ascontiguousarray(turn.back(labels)),
                volume.geometry,
                LABELS,
                volume.frame_of_reference,
                volume.source_instances,
            )
            maps.append(found)
            measurements.extend(_volume(found, label) for label in LABELS)
        return Result(labels=tuple(maps), measurements=tuple(measurements), notes=tuple(notes))


def _volume(labels: LabelMap, label: int) -> Measurement:
    mask = labels.mask(label)
    assert isinstance(mask, Mask)
    millilitres = float(np.count_nonzero(mask.voxels)) * mask.geometry.voxel_volume_mm3 / 1000
    limits = Agreement.from_settings(network().settings["agreement"][NAMES[label]])
    return Measurement(
        VOLUME,
        Quantity(millilitres, "mL"),
        interval=limits.around(millilitres),
        method=f"{STEM} {load_card(STEM).version}, counted voxels",
        site=LABELS[label],
        source_instances=labels.source_instances,
    )


def read_pairs(data: Path) -> list[Case]:
    """Return every volume of ``images/`` with its label map in ``labels/``, by name.

    Raises:
        DataError: There are no pairs.
    """
    cases = []
    for path in sorted((data / "images").glob("*.nii.gz")) if data.is_dir() else []:
        truth = data / "labels" / path.name
        if truth.is_file():
            cases.append(Case(path.name.removesuffix(".nii.gz"), _turned(path), _turned(truth)))
    if not cases:
        raise DataError(f"no pairs in {data.name}", "images/NAME.nii.gz with labels/NAME.nii.gz")
    return cases


def _turned(path: Path) -> NDArray[Any]:
    tools: Any = nibabel  # has no types here
    image = tools.as_closest_canonical(tools.load(path))  # to the right, to the front, up
    return np.asarray(image.dataobj).transpose(2, 1, 0)[:, ::-1, ::-1]


def agreements(
    pairs: Iterable[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]],
) -> dict[str, Agreement]:
    """Return how far volumes lie from the expert's, as quotients, by the names in `NAMES`.

    Args:
        pairs: Label maps, the model's and the expert's, in both of which both labels are.
    """
    counts = np.array(
        [[[np.count_nonzero(labels == label) for label in NAMES] for labels in pair] for pair in pairs]
    )
    return {
        name: Agreement.of(counts[:, 0, n], counts[:, 1, n], quotient=True)
        for n, name in enumerate(NAMES.values())
    }


def evaluate(data: Path, *, part: Part | None = None, threads: int = 1) -> Evaluation:
    """Return mean Dice and surface distance of both labels, and the error of their volumes.

    Args:
        data: A folder that `read_pairs` reads. Where it has volumes that were kept apart in training, only
            they count.
        part: ``train`` is refused: the network knows these volumes.
        threads: Of ONNX Runtime.
    """
    if part == "train":
        raise DataError("the train part", "volumes that the network doesn't know")
    model, card = network(threads), load_card(STEM)
    apart = set(model.settings["unseen"])
    cases = read_pairs(data)
    known = any(case.name in apart for case in cases)
    chosen = [case for case in cases if not known or case.name in apart]
    figures: dict[str, list[float]] = {}
    for case in chosen:
        said = believed_labels(label_probability(case.values, model))
        drawn = np.zeros(case.labels.shape, dtype=np.uint16) if said is None else said
        for label, name in NAMES.items():
            mine, truth = drawn == label, case.labels == label
            error = abs(np.count_nonzero(mine) - np.count_nonzero(truth)) / np.count_nonzero(truth)
            figures.setdefault(f"dice_{name}", []).append(dice(mine, truth))
            figures.setdefault(f"hd95_mm_{name}", []).append(hausdorff_95(mine, truth))
            figures.setdefault(f"volume_error_{name}", []).append(error)
    left_out = tuple((case.name, "the network was trained with it") for case in cases if case not in chosen)
    return Evaluation(
        STEM,
        card.version,
        model.digest,
        data.name,
        len(chosen),
        len(chosen),
        {name: bootstrap_mean(values, rng=np.random.default_rng(0)) for name, values in figures.items()},
        left_out,
        ("a volume without a believable hippocampus counts with Dice 0",),
    )
