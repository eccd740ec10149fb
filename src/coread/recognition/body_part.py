"""Which part of the body the pixels show, and whether the tags say the same: a 64-pixel router."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from coread.core import (
    Image,
    Inputs,
    Measurement,
    Note,
    Quantity,
    Result,
    Volume,
)
from coread.core.vocabulary import SHOWN_PART
from coread.errors import DataError, NotApplicableError
from coread.imaging.orientation import Orientation
from coread.recognition.body_part_pictures import (
    CLASSES,
    OTHER,
    WINDOW_HU,
    Pictures,
    prepared,
    read_mednist,
    windowed_slice,
    wrong_pictures,
)
from coread.recognition.body_part_tags import PARTS, disagreement
from coread.recognition.film import MODALITIES as FILMS
from coread.recognition.labelled import Part, arrays_of, read_labelled
from coread.recognition.metrics import Estimate, expected_calibration_error
from coread.recognition.registry import Evaluation, weights_file
from coread.recognition.runtime import Network, load_card, load_network

STEM = "body_part"
SMALLEST = 20
OUTPUTS = ("logits", "distances")


@dataclass(frozen=True, slots=True)
class PartReading:
    """What the network says about one picture.

    Attributes:
        part: The likeliest of `CLASSES`.
        probability: Of that part among the six, calibrated.
        distance: Largest of: the distance of the features from those of the parts known, the odds of none
            of them, and the doubt among the six, each over its limit; above 1 it is no part that is known.
    """

    part: str
    probability: float
    distance: float

    @property
    def known(self) -> bool:
        """Whether the picture is like those of a part that the model knows."""
        return self.distance <= 1


def network(threads: int = 1) -> Network:
    """Return the network, its weights checked against the card."""
    return load_network(weights_file(STEM), load_card(STEM).weights or "", threads)


def axial_pictures(volume: Volume) -> NDArray[np.float32] | None:
    """Return the middle slice and those at a quarter and three quarters of a volume, ready for the network.

    CT in HU is seen through a soft-tissue window, and what is not square is padded to a square.

    Args:
        volume: On any grid.

    Returns:
        (3, 64, 64), (1, 64, 64) for fewer than three slices, or None where its slices are not axial.
    """
    turn = Orientation.of(volume.geometry)
    values = turn.turn(volume.values) if volume.values.ndim == 3 else None
    up, back, left = turn.spacing_mm(volume.geometry)
    if values is None or up < 0.99 * max(back, left):
        return None
    window = WINDOW_HU if volume.unit == "HU" else None
    count = len(values)
    places = [count // 4, count // 2, (3 * count) // 4] if count > 2 else [count // 2]
    return np.stack([windowed_slice(values[k], (back, left), window) for k in places])


def read_pictures(pictures: NDArray[np.float32], model: Network) -> tuple[PartReading, ...]:
    """Return what the network says about pictures (n, 64, 64) as `prepared` makes them."""
    out = model.run({"picture": pictures[:, None]})
    temperature = float(model.settings["temperature"])
    chances = softmax(out["logits"][:, : len(CLASSES)].astype(np.float64) / temperature, axis=-1)
    readings = []
    for n, likeliest in enumerate(chances.argmax(axis=1)):
        value = float(chances[n, likeliest])
        empty = not pictures[n].any()
        distance = np.inf if empty else float(out["distances"][n].max())
        readings.append(PartReading(CLASSES[likeliest], value, distance))
    return tuple(readings)


class BodyPart:
    """Compares the part of the body that the pixels show with what the tags say."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return a measurement for each series or film whose part is known, and notes on what is to be said.

        Raises:
            NotApplicableError: There is neither an axial CT or MR nor a radiograph.
        """
        shown: list[tuple[Image | Volume, NDArray[np.float32]]] = []
        for _, volume in sorted(inputs.volumes.items()):
            axial = axial_pictures(volume) if volume.acquisition.modality in ("CT", "MR") else None
            shown.extend([(volume, axial)] if axial is not None else [])
        for _, image in sorted(inputs.images.items()):
            if image.acquisition.modality in FILMS and min(image.plane.shape) >= SMALLEST:
                shown.append((image, prepared(image.values)[None]))
        if not shown:
            raise NotApplicableError("neither an axial CT or MR nor a radiograph", "CT, MR, CR or DX")
        measurements: list[Measurement] = []
        notes: list[Note] = []
        for source, pictures in shown:
            readings = read_pictures(pictures, network())
            part = believed(readings)
            note = _note(source, readings, part)
            notes.extend([note] if note else [])
            measurements.extend([_measurement(source, part)] if part else [])
        return Result(measurements=tuple(measurements), notes=tuple(dict.fromkeys(notes)))


def believed(readings: Sequence[PartReading]) -> tuple[PartReading, ...]:
    """Return the readings that say the same known part, most of all; empty where too few do.

    Of several slices the half at least must agree.

    Examples:
        >>> hand = PartReading("Hand", 0.99, 0.4)
        >>> believed([hand, PartReading("CXR", 0.6, 3.0)]) == (hand,)
        True
        >>> believed([PartReading("CXR", 0.6, 3.0)])
        ()
    """
    known = [reading for reading in readings if reading.known]
    votes = {part: [r for r in known if r.part == part] for part in dict.fromkeys(r.part for r in known)}
    most = max(votes.values(), key=len, default=[])
    return tuple(most) if most and 2 * len(most) >= len(readings) else ()


def _note(
    source: Image | Volume, readings: Sequence[PartReading], part: Sequence[PartReading]
) -> Note | None:
    made = source.acquisition
    named = f"{made.modality}, {made.body_part}" if made.body_part else made.modality
    if not part:
        return Note(
            "gate",
            "unknown-part",
            f"Pixels and tags ({named}) were not compared: the pixels are like none of the parts that the "
            f"model knows ({', '.join(shown.words for shown in PARTS.values())}).",
        )
    view = source.plane.view if isinstance(source, Image) else None

    def against(shown: str) -> str | None:
        return disagreement(shown, modality=made.modality, body_part=made.body_part, view=view)

    contradicted = against(part[0].part)
    if contradicted is None or any(reading.known and against(reading.part) is None for reading in readings):
        return None
    return Note(
        "warning",
        "tags-against-pixels",
        f"The pixels look like {PARTS[part[0].part].words}, but the tags say {contradicted}. Please check "
        "that these images belong to this patient and study.",
    )


def _measurement(source: Image | Volume, part: Sequence[PartReading]) -> Measurement:
    shown, card = PARTS[part[0].part], load_card(STEM)
    return Measurement(
        SHOWN_PART,
        Quantity(float(np.mean([reading.probability for reading in part])), "1"),
        method=f"{STEM} {card.version}, the likeliest of {len(PARTS)}: {shown.words}",
        site=shown.site,
        source_instances=source.source_instances,
    )


def evaluate(data: Path, *, part: Part | None = None, threads: int = 1) -> Evaluation:
    """Return how often the part is right, how many pictures are refused, and how many wrong ones are caught.

    Args:
        data: A file as `read_mednist` reads it, or another layout of
            `coread.recognition.labelled.read_labelled` with the classes of `CLASSES` and, for pictures that
            are none of them, ``Other``. Of MedNIST's pictures only those kept apart in training count.
        part: ``train`` is refused of MedNIST's own file: the network knows it.
        threads: Of ONNX Runtime.
    """
    model, card = network(threads), load_card(STEM)
    pictures, name, left_out = _labelled(data, part)
    apart = set(model.settings["unseen"])
    if apart & set(pictures.names):
        if part == "train":
            raise DataError("the train part", "pictures that the network doesn't know")
        seen = [n for n in range(len(pictures.names)) if pictures.names[n] not in apart]
        left_out += tuple((pictures.names[n], "the network was trained or set with it") for n in seen)
        pictures = pictures.chosen(np.setdiff1d(np.arange(len(pictures.names)), seen))
    valid = pictures.chosen(np.flatnonzero(pictures.labels < len(CLASSES)))
    other = pictures.chosen(np.flatnonzero(pictures.labels == len(CLASSES)))
    metrics: dict[str, Estimate] = {}
    if len(valid.names):
        metrics |= _figures(valid, model)
    if len(other.names):
        caught = np.array([not reading.known for reading in _read_all(other.pictures, model)])
        metrics["caught"] = grouped(partial(_mean, caught), other.groups)
    return Evaluation(
        STEM,
        card.version,
        model.digest,
        name,
        len(pictures.names),
        len(set(pictures.groups)),
        metrics,
        left_out,
        ("accuracy counts every picture of the six parts, also refused ones",),
    )


def _labelled(data: Path, part: Part | None) -> tuple[Pictures, str, tuple[tuple[str, str], ...]]:
    if data.is_file():
        with arrays_of(data) as file:
            own = "classes" in file and "files" in file
        if own:
            return read_mednist(data), data.name, ()
    read = read_labelled(data, (*CLASSES, OTHER), part=part)
    pictures = np.stack([prepared(picture) for picture in read.pictures])
    return Pictures(pictures, read.labels, read.rows, read.patients), read.name, read.left_out


def _read_all(pictures: NDArray[np.float32], model: Network) -> list[PartReading]:
    return [r for n in range(0, len(pictures), 128) for r in read_pictures(pictures[n : n + 128], model)]


def _figures(valid: Pictures, model: Network) -> dict[str, Estimate]:
    """Figures on pictures of the six parts and on wrong pictures made of them."""
    readings = _read_all(valid.pictures, model)
    right = np.array([CLASSES[n] == r.part for n, r in zip(valid.labels, readings, strict=True)])
    known = np.array([reading.known for reading in readings])
    chances = np.array([reading.probability for reading in readings])
    figures: dict[str, Callable[[NDArray[np.intp]], float]] = {
        "accuracy": lambda rows: float(right[rows].mean()),
        "accuracy_answered": lambda rows: float(right[rows][known[rows]].mean() if known[rows].any() else 0),
        "refused": lambda rows: float(1 - known[rows].mean()),
        "ece": lambda rows: expected_calibration_error(right[rows], chances[rows]),
    }
    for kind, made in wrong_pictures(valid.pictures, np.random.default_rng(0)).items():
        caught = np.array([not reading.known for reading in _read_all(made, model)])
        figures[f"caught_{kind}"] = partial(_mean, caught)
    return {name: grouped(figure, valid.groups) for name, figure in figures.items()}


def _mean(values: NDArray[np.bool_], rows: NDArray[np.intp]) -> float:
    return float(values[rows].mean())


def grouped(
    figure: Callable[[NDArray[np.intp]], float], groups: Sequence[str], draws: int = 1000
) -> Estimate:
    """Return a figure of rows and its percentile interval, drawing whole groups with replacement.

    Examples:
        >>> grouped(lambda rows: float(rows.mean()), ["a", "a", "b", "b"])
        Estimate(value=1.5, low=0.5, high=2.5)
    """
    generator = np.random.default_rng(0)  # the same limits at each call
    names, of = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(of == number) for number in range(len(names))]
    drawn = generator.integers(len(names), size=(draws, len(names)))
    samples = [figure(np.concatenate([rows[number] for number in numbers])) for numbers in drawn]
    low, high = (float(q) for q in np.quantile(samples, (0.025, 0.975)))
    return Estimate(figure(np.arange(len(of))), low, high)
