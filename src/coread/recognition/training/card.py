"""The card of a model of one's own: what was told about it, what was measured, and on whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from coread.core import card_from_table
from coread.recognition.importing import ImportedModel, Specification
from coread.recognition.inference import network_predictor
from coread.recognition.metrics import Estimate
from coread.recognition.runtime import Network
from coread.recognition.training.settings import toml_text

DIGITS = 4
_DEFAULTS = {
    "version": "1.0.0",
    "intended_use": "Research on images like those that it was trained on; not reviewed for patients.",
    "not_for": "Diagnosis or any decision about a patient.",
    "licence": "not stated: the terms of the training data bind these weights",
}


def card_table(
    name: str,
    specification: Specification,
    said: Mapping[str, Any],
    *,
    training_data: str,
    weights: str | None = None,
    threshold: float | None = None,
    calibration: str | None = None,
    figures: Mapping[str, tuple[Estimate, str]] | None = None,
    date: str = "",
) -> dict[str, Any]:
    """Return the table of a card.

    Args:
        name: Of the model.
        specification: What the network takes and gives.
        said: What no data tells, as in the settings' table ``[card]``.
        training_data: One paragraph: on whom, how many, with what.
        weights: SHA-256.
        threshold: Operating point, chosen with these weights.
        calibration: How, and on whom.
        figures: Measured figures with the cases that they were measured on.
        date: Of measuring.
    """
    classifies = specification.task == "classify"
    table: dict[str, Any] = {
        "name": said.get("title", name),
        **{key: said.get(key, value) for key, value in _DEFAULTS.items()},
        "kind": specification.task,
        "mode": said.get("mode", "second-reader" if classifies else "measurement"),
        "needs": dict(said.get("needs", {"images" if classifies else "volumes": "any"})),
        "evidence_level": 1,
        "training_data": " ".join(part for part in (said.get("training_data", ""), training_data) if part),
        "references": list(said.get("references", ())),
        "metrics": {
            metric: {
                "value": round(estimate.value, DIGITS),
                "low": round(estimate.low, DIGITS),
                "high": round(estimate.high, DIGITS),
                "data": on,
                "date": date,
            }
            for metric, (estimate, on) in (figures or {}).items()
        },
    }
    told = {"weights": weights, "threshold": threshold, "calibration": calibration}
    return table | {key: value for key, value in told.items() if value is not None}


def card_text(table: Mapping[str, Any], specification: Specification) -> str:
    """Return a card as TOML, with the table ``[import]`` that `coread models import` takes."""
    plain = {key: value for key, value in table.items() if key not in ("needs", "metrics")}
    wanted = {
        key: value
        for key, value in dataclasses.asdict(specification).items()
        if value is not None and value != ()
    }
    return toml_text(plain, {"needs": table["needs"], "metrics": table["metrics"], "import": wanted})


def finished_model(
    name: str, specification: Specification, card: Mapping[str, Any], content: bytes, *, threads: int
) -> ImportedModel:
    """Return a trained network as the model that it is once imported.

    Args:
        name: Of the model.
        specification: What the network takes and gives.
        card: Table of its card.
        content: ONNX file.
        threads: Of ONNX Runtime.

    Raises:
        InputError: What was said about the model is not of a card's kind.
    """
    network = Network(content, threads=threads)
    predict = network_predictor(network)
    return ImportedModel(name, card_from_table(card), network.digest, specification, predict)
