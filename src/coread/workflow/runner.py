"""Runs analyzers on a loaded study: selects inputs by the card, catches errors by kind, stamps provenance."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from coread.core import (
    Card,
    Cine,
    Image,
    Inputs,
    Mask,
    Need,
    PatientInfo,
    PlaneMask,
    Provenance,
    Result,
    Segment,
    StudyInfo,
    TimeSeries,
    Volume,
)
from coread.errors import CancelledError, CoreadError, NotApplicableError
from coread.workflow.analyzers import Registered, in_running_order

Clock = Callable[[], datetime]
Progress = Callable[[float, str], None]
Loaded = Volume | Image | TimeSeries | Cine
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    """A study in memory: its parts by key, and what an analysis may know of patient and study."""

    info: StudyInfo
    patient: PatientInfo
    parts: Mapping[str, Loaded]
    masks: Mapping[str, Mask | PlaneMask] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one analyzer on one study: a result, not applicable, or a failure."""

    name: str
    card: Card
    provenance: Provenance
    result: Result | None = None
    not_applicable: str | None = None
    failure: str | None = None


def run_study(
    study: LoadedStudy,
    analyzers: Sequence[Registered],
    *,
    clock: Clock,
    progress: Progress = lambda fraction, words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Outcome, ...]:
    """Return what every analyzer says of a study; those that need others' results run after them.

    Raises:
        CancelledError: `cancelled` said so between two analyzers.
    """
    outcomes: list[Outcome] = []
    results: dict[str, Result] = {}
    ordered = in_running_order(analyzers)
    for number, registered in enumerate(ordered):
        if cancelled():
            raise CancelledError("the work was cancelled", "", "start it again: what is done is kept")
        progress(number / max(len(ordered), 1), registered.card.name)
        outcome = run(registered, study, results, clock=clock)
        outcomes.append(outcome)
        if outcome.result is not None:
            results[registered.name] = outcome.result
    progress(1.0, "")
    return tuple(outcomes)


def run(
    registered: Registered,
    study: LoadedStudy,
    results: Mapping[str, Result] | None = None,
    *,
    clock: Clock,
) -> Outcome:
    """Return what one analyzer says of a study.

    An error of ours is kept as words; any other error is kept by its kind only, since its words may hold
    data of the patient.
    """
    start = clock()
    inputs = select_inputs(registered.card, study, results or {})

    def outcome(**what: Any) -> Outcome:
        stamp = _provenance(registered, inputs, start, clock())
        return Outcome(registered.name, registered.card, stamp, **what)

    if inputs is None:
        return outcome(not_applicable=f"the study has nothing that {registered.card.name} is for")
    try:
        return outcome(result=registered.load().analyze(inputs))
    except NotApplicableError as error:
        logger.info("%s does not apply to %s", registered.name, study.info.uid)
        return outcome(not_applicable=str(error))
    except CoreadError as error:
        logger.warning("%s gave no answer on %s: %s", registered.name, study.info.uid, type(error).__name__)
        return outcome(failure=str(error))
    except Exception as error:
        logger.exception("%s failed on %s", registered.name, study.info.uid)
        return outcome(failure=f"{registered.name} failed ({type(error).__name__}); the log has the details")


def select_inputs(card: Card, study: LoadedStudy, results: Mapping[str, Result]) -> Inputs | None:
    """Return what the card asks for, or None where the study lacks something that is not optional."""
    chosen: dict[str, Any] = {}
    for need in card.needs:
        found = _select(need, study, results)
        if not found and not need.optional:
            return None
        chosen[need.role] = found
    return Inputs(**chosen, patient=study.patient, study=study.info)


def _select(need: Need, study: LoadedStudy, results: Mapping[str, Result]) -> dict[str, Any]:
    match need.role:
        case "results":
            return {name: r for name, r in results.items() if not need.analyzers or name in need.analyzers}
        case "masks" if need.source == "study":
            return dict(study.masks)
        case "masks":
            made = {
                f"{name}:{segment.concept.value}": segment.mask
                for name, result in results.items()
                if not need.analyzers or name in need.analyzers
                for segment in _segments(result)
            }
            return made if need.analyzers else {**study.masks, **made}
    kinds: dict[str, type | tuple[type, ...]] = {
        "volumes": Volume,
        "images": Image,
        "series": (TimeSeries, Cine),
    }
    return {
        key: part
        for key, part in study.parts.items()
        if isinstance(part, kinds[need.role]) and _fits(need, part)
    }


def _segments(result: Result) -> list[Segment]:
    labelled = [
        Segment(concept, labels.mask(value), labels.frame_of_reference, labels.source_instances)
        for labels in result.labels
        for value, concept in labels.labels.items()
    ]
    return [*result.masks, *labelled]


def _fits(need: Need, part: Loaded) -> bool:
    made = part.acquisition
    if made.localizer:
        return False
    if need.modalities and made.modality not in need.modalities:
        return False
    if need.body_parts and made.body_part and made.body_part not in need.body_parts:
        return False
    return not isinstance(part, Volume) or part.geometry.shape[0] >= need.minimum_slices


def _provenance(registered: Registered, inputs: Inputs | None, start: datetime, end: datetime) -> Provenance:
    return Provenance(
        analyzer=registered.name,
        version=registered.card.version,
        weights_digest=registered.card.weights,
        mode=registered.card.mode,
        inputs={} if inputs is None else _hashes(inputs),
        settings=_operating_points(registered),
        seed=None,
        software=f"coread {version('coread')}",
        start=start,
        end=end,
    )


def _operating_points(registered: Registered) -> dict[str, str]:
    if registered.settings or registered.card.threshold is None:
        return dict(registered.settings)
    return {"threshold": repr(registered.card.threshold), "threshold_source": "card"}


def _hashes(inputs: Inputs) -> dict[str, str]:
    located: dict[str, Any] = {**inputs.volumes, **inputs.images, **inputs.series}
    hashes = {key: content_hash(part.values) for key, part in located.items()}
    for key, mask in inputs.masks.items():
        hashes[key] = content_hash(mask.voxels if isinstance(mask, Mask) else mask.pixels)
    return hashes


def content_hash(values: np.ndarray[Any, Any]) -> str:
    """Return the SHA-256 of an array's type, shape and values."""
    digest = hashlib.sha256(f"{values.dtype.str}{values.shape}".encode())
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()
