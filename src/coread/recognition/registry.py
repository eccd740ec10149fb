"""The models of this room: their evidence, their weights, and their figures measured again."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from coread.core import Card
from coread.errors import DataError, InputError, NotApplicableError
from coread.recognition.labelled import Part
from coread.recognition.metrics import Estimate, bootstrap, classifier_figures
from coread.recognition.operating import CalibrationBin, Scored, calibration_curve
from coread.recognition.runtime import load_card, read_weights

MODELS = MappingProxyType(
    {
        "adrenal_shape": "coread.recognition.adrenal_shape",
        "body_part": "coread.recognition.body_part",
        "breast_us": "coread.recognition.breast_us",
        "cxr_pneumonia": "coread.recognition.cxr_pneumonia",
        "hippocampus": "coread.recognition.hippocampus",
        "lung_fields": "coread.recognition.lung_fields",
        "lv_cine": "coread.recognition.lv_cine",
    }
)

SHARE_ALIKE = frozenset({"body_part", "hippocampus"})
"""Models whose weights were trained on CC BY-SA data and are under that licence, in a folder of their own."""


APART = frozenset({"breast_us", "lung_fields", "lv_cine"})
"""Models whose networks were each trained without some of the patients, and judge those when evaluated."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a model reached on labelled data.

    Attributes:
        model: Name.
        version: Of the model.
        weights: SHA-256.
        data: What it was measured on.
        cases: Number of cases.
        patients: Number of patients (or of cases, where patients are unknown).
        metrics: Figures with 95 % intervals, drawn over patients.
        left_out: Rows that were not used, with the reason.
        notes: What a reader of the figures should know.
        curve: Calibration of a model with one probability; empty for others.
        threshold: At which figures of a model with one probability were measured.
    """

    model: str
    version: str
    weights: str
    data: str
    cases: int
    patients: int
    metrics: Mapping[str, Estimate]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    curve: tuple[CalibrationBin, ...] = ()
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class CalibrationCurve:
    """How often cases were positive by the probability said, on which data, when it was measured."""

    data: str
    date: str
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A figure of the card beside the same figure measured now."""

    metric: str
    card: float
    measured: float

    @property
    def equal(self) -> bool:
        """Whether the two agree to the last digit that the card gives, and a rounding."""
        return abs(self.card - self.measured) <= 1e-3


def card(model: str) -> Card:
    """Return a model's card.

    Raises:
        InputError: There is no such model.
    """
    return load_card(known(model))


def known(model: str) -> str:
    """Return the name of a model that is here.

    Raises:
        InputError: There is none of that name.
    """
    if model not in MODELS:
        raise InputError(
            f"no model {model!r}", f"one of {', '.join(MODELS)}", "`coread models list` shows them"
        )
    return model


def weights_file(model: str) -> str:
    """Return where a model's weights lie inside ``coread/recognition/weights``."""
    return f"share_alike/{model}.onnx" if model in SHARE_ALIKE else f"{model}.onnx"


def check_weights(model: str) -> int:
    """Return the size in bytes of a model's weights, checked against the digest on its card.

    Raises:
        DataError: The weights are absent or others.
    """
    return len(read_weights(weights_file(known(model)), card(model).weights or ""))


def evaluate(
    model: str,
    data: Path,
    *,
    part: Part | None = None,
    threads: int = 1,
    threshold: float | None = None,
) -> Evaluation:
    """Return what a model reaches on labelled data.

    Args:
        model: Name.
        data: File or folder in one of the layouts of `coread.recognition.labelled` that fits the model.
        part: Of a file with parts.
        threads: Of ONNX Runtime.
        threshold: Of the site, for a model that has `scored`; the card's where none is given.

    Raises:
        InputError: There is no such model, or nothing at the path.
        DataError: The data are not of a layout that fits.
    """
    module: Any = importlib.import_module(MODELS[known(model)])
    result: Evaluation = module.evaluate(data, part=part, threads=threads)
    if threshold is not None:  # what depends on it is measured anew, the rest stays as it is
        found = replace(scored(model, data, part=part, threads=threads), threshold=threshold)
        at_site = evaluation_of(model, found)
        result = replace(result, metrics={**result.metrics, **at_site.metrics}, threshold=threshold)
    own = f"Trained on: {card(model).training_data.split('. ')[0]}."
    if model not in APART:
        own += (
            " Cases that are also in there were seen: on them these figures are too good; the card tells "
            "those of unseen cases."
        )
    return replace(result, notes=(*result.notes, own))


def calibration_curves(model: str) -> tuple[CalibrationCurve, ...]:
    """Return the curves that lie beside a model's card; none where there are none.

    Raises:
        InputError: There is no such model.
        DataError: They were measured with other weights than the card's.
    """
    path = resources.files("coread.recognition") / f"{known(model)}.calibration.json"
    if not path.is_file():
        return ()
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["weights"] != card(model).weights:
        raise DataError(
            f"calibration of {model} with weights {document['weights']}",
            "that of the card's",
            "measure it again with `coread models evaluate`",
        )
    return tuple(
        CalibrationCurve(
            curve["data"],
            curve["date"],
            tuple(
                CalibrationBin(b["said"], Estimate(b["seen"], b["low"], b["high"]), b["cases"])
                for b in curve["bins"]
            ),
        )
        for curve in document["curves"]
    )


def finding(model: str) -> str | None:
    """Return what a model's operating point is for, or None where a site can't choose one."""
    module = importlib.import_module(MODELS[known(model)])
    return module.FINDING if hasattr(module, "scored") else None


def scored(model: str, data: Path, *, part: Part | None = None, threads: int = 1) -> Scored:
    """Return labelled cases with a model's probabilities, to choose an operating point on.

    Raises:
        InputError: There is no such model, or nothing at the path.
        NotApplicableError: The model has no operating point that a site can choose.
        DataError: The data are not of a layout that fits.
    """
    module: Any = importlib.import_module(MODELS[known(model)])
    if not hasattr(module, "scored"):
        raise NotApplicableError(
            f"{model} has no operating point that a site can choose",
            "a model that says how likely a finding is",
            "`coread models enable` and `disable` work for it all the same",
        )
    found: Scored = module.scored(data, part=part, threads=threads)
    return found


def evaluation_of(model: str, found: Scored) -> Evaluation:
    """Return the figures of a model with one probability, at the threshold of its weights."""
    said = card(model)
    figures = classifier_figures(0.5 if found.threshold is None else found.threshold)
    rng = np.random.default_rng(0)  # the same limits at each call
    return Evaluation(
        model,
        said.version,
        said.weights or "",
        found.data,
        len(found.labels),
        len(set(found.patients)),
        bootstrap(figures, found.labels, found.scores, rng=rng, groups=found.patients),
        found.left_out,
        found.notes,
        calibration_curve(found.labels, found.scores),
        found.threshold,
    )


def verify(model: str, data: Path, *, threads: int = 1) -> tuple[Comparison, ...]:
    """Return the figures of the card that can be measured again on the validation part of the data.

    A figure of the card whose name ends in ``_validation`` is compared with the one measured now; one of
    cross-validation where the shipped networks are those of it (`APART`).

    Raises:
        DataError: The card has no such figure: its figures are of a cross-validation with other networks.
    """
    crossed, ending = "_cross_validation", "_validation"
    if model in APART:
        ending = crossed
    told = {
        metric.name.removesuffix(ending): metric
        for metric in card(model).metrics
        if metric.name.endswith(ending) and (model in APART or not metric.name.endswith(crossed))
    }
    if not told:
        raise DataError(
            f"the card of {model} has no figure that its shipped weights can be measured for again",
            "figures of a validation part that the weights have not seen",
            f"`coread train {model}` measures its figures of cross-validation again",
        )
    measured = evaluate(model, data, part="val", threads=threads).metrics
    return tuple(
        Comparison(metric.name, metric.value, measured[name].value)
        for name, metric in told.items()
        if name in measured
    )
