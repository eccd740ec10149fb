"""Hyperplasia or mass of an adrenal gland from its shape alone; needs the gland's mask."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from coread.core import (
    CodedConcept,
    Finding,
    Geometry,
    Inputs,
    Interval,
    Mask,
    MaskRegion,
    Measurement,
    Model,
    Note,
    PatientSpace,
    Probability,
    Quantity,
    Result,
)
from coread.core.vocabulary import ADRENAL_LESION, LEFT, RIGHT, VOLUME
from coread.errors import DataError, InputError, NotApplicableError
from coread.recognition.labelled import Part, read_labelled
from coread.recognition.operating import Scored, settings_at
from coread.recognition.registry import Evaluation, evaluation_of
from coread.recognition.runtime import Network, load_card, load_network
from coread.recognition.solid import isotropic, shape_features

STEM = "adrenal_shape"
CLASSES = ("normal", "abnormal")
FINDING = "abnormal"
ADRENAL = CodedConcept("23451007", "SCT", "Adrenal gland")
WORDS = ("adrenal", ADRENAL.value, "29392005", "12003004")
"""A mask is taken whose key has one of these: a name, or SNOMED CT's codes (either, right, left gland)."""


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """Measured shapes: features (n, features), their names, labels, and which rows were left out."""

    name: str
    names: tuple[str, ...]
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    rows: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class ShapeReading:
    """What the model says about one shape.

    Attributes:
        logits: (members,) before calibration.
        distance: Of the shape from those trained with, over the gate's limit; above 1 it is unlike them.
    """

    logits: NDArray[np.float64]
    distance: float


def network(threads: int = 1) -> Network:
    """Return the network, its weights checked against the card."""
    return load_network(f"{STEM}.onnx", load_card(STEM).weights or "", threads)


def distance(features: NDArray[np.float64], settings: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the Mahalanobis distance of shapes (n, features) from the training shapes, over the limit.

    References:
        Lee et al., A simple unified framework for detecting out-of-distribution samples, NeurIPS 2018.
    """
    away = (features - np.asarray(settings["mean"])) / np.asarray(settings["deviation"])
    whitened = away @ np.asarray(settings["whitening"])
    return np.asarray(np.linalg.norm(whitened, axis=1) / settings["limit"])


def read_shapes(features: NDArray[np.float64], model: Network) -> tuple[ShapeReading, ...]:
    """Return what the model says about shapes.

    Args:
        features: (n, features) in the order of the network's setting ``features``.
        model: As `network` gives it.
    """
    settings = model.settings
    known = (features - np.asarray(settings["mean"])) / np.asarray(settings["deviation"])
    logits = model.run({"features": known.astype(np.float32)})["logits"].astype(np.float64)
    far = distance(features, settings)
    return tuple(ShapeReading(logits[n], float(far[n])) for n in range(len(features)))


def probability(reading: ShapeReading, settings: Mapping[str, Any]) -> Probability:
    """Return the calibrated probability with the range of the members."""
    each = 1 / (1 + np.exp(-(settings["slope"] * np.sort(reading.logits) + settings["offset"])))
    value = float(1 / (1 + np.exp(-(settings["slope"] * reading.logits.mean() + settings["offset"]))))
    count = len(each)
    return Probability(
        value,
        Interval(
            min(value, float(each[0])),
            max(value, float(each[-1])),
            (count - 1) / (count + 1),
            f"range of {count} members trained on different parts",
        ),
        float(settings["threshold"]),
        calibrated=True,
    )


def abstention(reading: ShapeReading, value: float, settings: Mapping[str, Any]) -> Note | None:
    """Return why the model has no opinion on a shape, or None where it has one."""
    if reading.distance > 1:
        return Note(
            "gate",
            "unlike-training",
            "The outlined shape is not like the adrenal glands that the model was trained on.",
        )
    if settings["abstain_low"] < value < settings["abstain_high"]:
        return Note(
            "gate",
            "near-threshold",
            f"The probability {value:.2f} is too near the threshold {settings['threshold']:.2f}.",
        )
    return None


class AdrenalShape:
    """Says whether an outlined adrenal gland is shaped like one with hyperplasia or a mass, or abstains.

    Args:
        threshold: Chosen by the site with these weights; the card's where none is given.
    """

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = threshold

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Self:
        """Return the same at the site's threshold for ``abnormal``."""
        return type(self)(thresholds[FINDING])

    def analyze(self, inputs: Inputs) -> Result:
        """Return one finding with the gland's volume for each mask of an adrenal gland.

        Raises:
            NotApplicableError: No mask is of an adrenal gland.
        """
        masks = {
            key: mask
            for key, mask in inputs.masks.items()
            if isinstance(mask, Mask) and any(word in key.lower() for word in WORDS)
        }
        if not masks:
            raise NotApplicableError(
                f"masks {', '.join(sorted(inputs.masks))}" if inputs.masks else "no mask",
                "a mask of an adrenal gland, named so",
            )
        findings: list[Finding] = []
        notes: list[Note] = []
        for key, mask in masks.items():
            finding, note = _read(key, mask, _frame(mask, inputs), self.threshold)
            findings.extend([finding] if finding else [])
            notes.extend([note] if note else [])
        return Result(findings=tuple(findings), notes=tuple(notes))


def _frame(mask: Mask, inputs: Inputs) -> str | None:
    """Return the frame of reference of the volume that a mask was drawn on, or None."""
    for volume in inputs.volumes.values():
        same = volume.geometry.shape == mask.geometry.shape
        if same and np.allclose(volume.geometry.affine, mask.geometry.affine, atol=1e-3):
            return volume.frame_of_reference
    return None


def _side(key: str) -> CodedConcept | None:
    sides = {"right": RIGHT, "left": LEFT}
    named = sides.keys() & set(re.findall("[a-z]+", key.lower()))
    return sides[named.pop()] if len(named) == 1 else None


def _read(
    key: str, mask: Mask, frame: str | None, threshold: float | None
) -> tuple[Finding | None, Note | None]:
    card, model = load_card(STEM), network()
    settings = settings_at(model.settings, threshold)
    try:
        values = shape_features(isotropic(mask))
    except InputError as error:
        return None, Note("gate", "no-solid", f"The mask {key} can't be measured: {error.came}.")
    features = np.array([[values[name] for name in model.settings["features"]]])
    reading = read_shapes(features, model)[0]
    chance = probability(reading, settings)
    note = abstention(reading, chance.value, settings)
    volume = float(np.count_nonzero(mask.voxels)) * mask.geometry.voxel_volume_mm3 / 1000
    present = chance.value >= chance.threshold
    side = _side(key)
    return (
        Finding(
            id=f"{STEM}:{key}",
            concept=ADRENAL_LESION,
            status="no_opinion" if note else "present" if present else "absent",
            origin=Model(STEM, card.version, model.digest, card.mode),
            probability=chance,
            region=MaskRegion(mask, PatientSpace(frame)) if frame else None,
            place=ADRENAL,
            laterality=side,
            measurements=(
                Measurement(
                    VOLUME, Quantity(volume, "mL"), method="counted voxels", site=ADRENAL, laterality=side
                ),
            ),
        ),
        note,
    )


def read_features(data: Path, part: Part | None = None) -> Shapes:
    """Return the measured shapes of a file with ``<part>_images`` (n, 64, 64, 64) of 1 mm.

    Raises:
        DataError: The shapes are not solid arrays.
    """
    labelled = read_labelled(data, CLASSES, part=part, volumes=True)
    measured: list[dict[str, float]] = []
    left_out: dict[int, str] = {}
    for number, picture in enumerate(labelled.pictures):
        if picture.ndim != 3:
            raise DataError(f"arrays of shape {picture.shape}", "binary volumes (slices, rows, columns)")
        try:
            measured.append(shape_features(isotropic(Mask(picture > 0, Geometry.axial(picture.shape)))))
        except InputError as error:
            left_out[number] = str(error)
    if not measured:
        raise DataError(f"{data.name} without a shape that can be measured", "binary volumes")
    kept = labelled.without(left_out)
    names = tuple(measured[0])
    features = np.array([[values[name] for name in names] for values in measured])
    return Shapes(labelled.name, names, features, kept.labels, kept.rows, kept.left_out)


def scored(data: Path, *, part: Part | None = None, threads: int = 1) -> Scored:
    """Return the probability of an abnormal shape for labelled shapes, also for those it would not judge.

    Args:
        data: A file that `read_features` reads.
        part: Of the file; the first there of test, val, train.
        threads: Of ONNX Runtime.
    """
    model = network(threads)
    shapes = read_features(data, part)
    readings = read_shapes(shapes.features, model)
    chances = np.array([probability(reading, model.settings).value for reading in readings])
    silent = sum(
        abstention(reading, chance, model.settings) is not None
        for reading, chance in zip(readings, chances, strict=True)
    )
    return Scored(
        FINDING,
        shapes.name,
        shapes.labels,
        chances,
        shapes.rows,
        float(model.settings["threshold"]),
        shapes.left_out,
        (f"the model has no opinion on {silent} of the shapes; here they count",),
    )


def evaluate(data: Path, *, part: Part | None = None, threads: int = 1) -> Evaluation:
    """Return what the model reaches on labelled shapes at its card's threshold; arguments of `scored`."""
    return evaluation_of(STEM, scored(data, part=part, threads=threads))
