"""Pneumonia on frontal chest films of small children: a 28-pixel research model that often abstains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from coread.core import (
    Finding,
    Image,
    Inputs,
    Interval,
    Map,
    MaskRegion,
    Model,
    Note,
    OnInstance,
    PlaneMask,
    Probability,
    Result,
)
from coread.core.vocabulary import CLASS_ACTIVATION, PNEUMONIA
from coread.errors import NotApplicableError
from coread.recognition.explain import cells_on_square, class_activation
from coread.recognition.film import centre_square, is_frontal_chest_film, small_film
from coread.recognition.labelled import Part, read_labelled
from coread.recognition.operating import Scored, settings_at
from coread.recognition.registry import Evaluation, evaluation_of
from coread.recognition.runtime import Network, load_card, load_network

STEM = "cxr_pneumonia"
FINDING = "pneumonia"
CLASSES = ("normal", FINDING)
SIZE = 28
ADULT_YEARS = 18.0


@dataclass(frozen=True, slots=True, eq=False)
class FilmReading:
    """What the network says about one film.

    Attributes:
        logit: Of pneumonia, before calibration.
        member_logits: (networks,) logits of the ensemble; their mean is `logit`.
        activation: (7, 7) float32 contributions; their mean plus the bias is `logit`.
        distances: (2,) Mahalanobis distance of the gate's features from those of the training films, and
            its odds against a film, each over its limit; above 1 the film is unlike them.
    """

    logit: float
    member_logits: NDArray[np.float32]
    activation: NDArray[np.float32]
    distances: NDArray[np.float32]


def network() -> Network:
    """Return the network, one thread, its weights checked against the card."""
    return load_network(f"{STEM}.onnx", load_card(STEM).weights or "")


def read_films(films: NDArray[np.float32], model: Network) -> tuple[FilmReading, ...]:
    """Return what the network says about films.

    Args:
        films: (n, 28, 28) float32 from 0 to 1, as `coread.recognition.film.small_film` makes them.
        model: As `network` gives it.
    """
    out = model.run({"film": films[:, None]})
    return tuple(
        FilmReading(
            float(out["logit"][n, 0]),
            out["member_logits"][n],
            class_activation(out["features"][n], out["weights"]),
            out["distances"][n],
        )
        for n in range(len(films))
    )


def probability(reading: FilmReading, settings: Mapping[str, Any]) -> Probability:
    """Return the calibrated probability with the spread of the ensemble.

    Args:
        reading: Of one film.
        settings: Of the network: ``slope``, ``offset``, ``threshold``.
    """
    members = np.sort(reading.member_logits.astype(np.float64))
    value = _calibrated(reading.logit, settings)
    return Probability(
        value,
        Interval(
            min(value, _calibrated(float(members[0]), settings)),
            max(value, _calibrated(float(members[-1]), settings)),
            (len(members) - 1) / (len(members) + 1),
            f"range of {len(members)} networks trained from different seeds and parts",
        ),
        float(settings["threshold"]),
        calibrated=True,
    )


def _calibrated(logit: float, settings: Mapping[str, Any]) -> float:
    return float(1 / (1 + np.exp(-(settings["slope"] * logit + settings["offset"]))))


def abstention(
    image: Image,
    age_years: float | None,
    reading: FilmReading,
    value: float,
    settings: Mapping[str, Any],
) -> Note | None:
    """Return why the model has no opinion on a film, or None where it has one.

    Args:
        image: The film.
        age_years: Of the patient, None where unknown.
        reading: What the network says.
        value: Calibrated probability.
        settings: Of the network: ``abstain_low`` and ``abstain_high``.
    """
    if min(image.plane.shape) < SIZE:
        return Note("gate", "film-too-small", f"The film has fewer than {SIZE} pixels on a side.")
    if float(np.ptp(np.asarray(image.values))) == 0:
        return Note("gate", "no-contrast", "The film has no contrast.")
    if age_years is not None and age_years >= ADULT_YEARS:
        return Note(
            "gate",
            "age",
            f"The patient is {age_years:g} years old; the model knows films of small children only.",
        )
    if float(reading.distances.max()) > 1:
        return Note(
            "gate",
            "unlike-training",
            "The picture is not like the films that the model was trained on: frontal chest films of "
            "upright small children, white dense, the whole chest on them.",
        )
    if settings["abstain_low"] < value < settings["abstain_high"]:
        return Note(
            "gate",
            "near-threshold",
            f"The probability {value:.2f} is too near the threshold {settings['threshold']:.2f}.",
        )
    return None


class CxrPneumonia:
    """Finds pneumonia on frontal chest films of small children, or abstains and says why.

    Args:
        threshold: Chosen by the site with these weights; the card's where none is given.
    """

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = threshold

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Self:
        """Return the same at the site's threshold for ``pneumonia``."""
        return type(self)(thresholds[FINDING])

    def analyze(self, inputs: Inputs) -> Result:
        """Return one finding for each chest film, and a map where the model has an opinion.

        Raises:
            NotApplicableError: No image is a frontal chest film.
        """
        films = {key: image for key, image in inputs.images.items() if is_frontal_chest_film(image)}
        if not films:
            kinds = sorted({image.acquisition.modality for image in inputs.images.values()})
            raise NotApplicableError(
                f"images of kind {', '.join(kinds)}" if kinds else "no image",
                "a frontal chest film (CR, DX)",
            )
        findings: list[Finding] = []
        maps: list[Map] = []
        notes: list[Note] = []
        for key, image in films.items():
            finding, heat, note = _read(key, image, inputs.patient.age_years, self.threshold)
            findings.append(finding)
            maps.extend([heat] if note is None else [])  # a map would speak where the model does not
            notes.extend([note] if note else [])
        return Result(findings=tuple(findings), maps=tuple(maps), notes=tuple(notes))


def _read(
    key: str, image: Image, age_years: float | None, threshold: float | None
) -> tuple[Finding, Map, Note | None]:
    card, model = load_card(STEM), network()
    settings = settings_at(model.settings, threshold)
    reading = read_films(small_film(image.values, SIZE)[None], model)[0]
    chance = probability(reading, settings)
    note = abstention(image, age_years, reading, chance.value, settings)
    present = chance.value >= chance.threshold
    heat = activation_map(image, reading.activation)
    finding = Finding(
        id=f"{STEM}:{key}",
        concept=PNEUMONIA,
        status="no_opinion" if note else "present" if present else "absent",
        origin=Model(STEM, card.version, model.digest, card.mode),
        probability=chance,
        region=hot_region(image, heat) if present and note is None else None,
    )
    return finding, heat, note


def activation_map(image: Image, activation: NDArray[np.float32]) -> Map:
    """Return class activation on a film's pixels; NaN outside the square that the network saw."""
    square = centre_square(image.plane.shape)
    values = np.full(image.plane.shape, np.nan, dtype=np.float32)
    rows = slice(square.row, square.row + square.side)
    columns = slice(square.column, square.column + square.side)
    values[rows, columns] = cells_on_square(activation, square.side)
    return Map(
        values,
        image.plane,
        CLASS_ACTIVATION,
        "1",
        low=0.0,
        high=max(float(activation.max()), 1.0),
        says="Contribution of each place to the logit of pneumonia; not a probability and no outline.",
        source_instances=image.source_instances,
    )


def hot_region(image: Image, heat: Map) -> MaskRegion | None:
    """Return where activation is at least half its maximum; None without a place or an instance."""
    top = float(np.nanmax(heat.values))
    if image.source_instance is None or top <= 0:
        return None
    hot = np.nan_to_num(heat.values, nan=-np.inf) >= top / 2
    return MaskRegion(PlaneMask(hot, image.plane), OnInstance(image.source_instance, image.plane))


def scored(data: Path, *, part: Part | None = None, threads: int = 1) -> Scored:
    """Return the probability of pneumonia on labelled films, also on those that it would not judge.

    Args:
        data: A layout of `coread.recognition.labelled.read_labelled` with the classes normal, pneumonia.
        part: Of a file with parts.
        threads: Of ONNX Runtime.
    """
    labelled = read_labelled(data, CLASSES, part=part)
    model = load_network(f"{STEM}.onnx", load_card(STEM).weights or "", threads)
    films = np.stack([small_film(picture, SIZE) for picture in labelled.pictures])
    readings = [
        r for start in range(0, len(films), 256) for r in read_films(films[start : start + 256], model)
    ]
    chances = np.array([probability(reading, model.settings).value for reading in readings])
    unlike = sum(float(reading.distances.max()) > 1 for reading in readings)
    near = int(
        np.count_nonzero(
            (chances > model.settings["abstain_low"]) & (chances < model.settings["abstain_high"])
        )
    )
    return Scored(
        FINDING,
        labelled.name,
        labelled.labels,
        chances,
        labelled.patients,
        float(model.settings["threshold"]),
        labelled.left_out,
        (
            f"{unlike} films are unlike the training films and {near} lie near the threshold; in use the "
            "model has no opinion on them, here they count",
        ),
    )


def evaluate(data: Path, *, part: Part | None = None, threads: int = 1) -> Evaluation:
    """Return what the model reaches on labelled films at its card's threshold; the arguments of `scored`."""
    return evaluation_of(STEM, scored(data, part=part, threads=threads))
