"""Coded values, regions, measurements and findings as the API says them, and findings as they come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from coread.core import (
    Box,
    Card,
    CodedConcept,
    Contour,
    Finding,
    ImagePlane,
    Imported,
    Interval,
    MaskRegion,
    Measurement,
    OnInstance,
    PatientSpace,
    Point,
    Probability,
    Quantity,
    Reader,
    Region,
    Template,
)
from coread.core import vocabulary as codes
from coread.core.region import diameter_mm
from coread.core.report import SentenceOrigin
from coread.errors import InputError
from coread.server import schemas as s

Cards = Mapping[str, Card]
_OWN = Reader("reader")  # stands in until the reading says who it is


def concept(code: CodedConcept) -> s.ConceptJson:
    """Return a code as the API says it."""
    return s.ConceptJson(value=code.value, scheme=code.scheme, meaning=code.meaning)


def origin(of: SentenceOrigin, cards: Cards) -> s.OriginJson:
    """Return an origin as the API says it; a model with the evidence level of its card."""
    match of:
        case Reader():
            return s.OriginJson(kind="reader", id=of.id, role=of.role)
        case Template():
            return s.OriginJson(kind="template", name=of.name, version=of.version)
        case Imported():
            return s.OriginJson(kind="imported", name=of.source)
    card = next((c for key, c in cards.items() if of.name in (key, c.name)), None)
    return s.OriginJson(
        kind="model",
        name=of.name,
        version=of.version,
        mode=of.mode,
        evidence_level=None if card is None else card.evidence_level,
    )


def probability(of: Probability) -> s.ProbabilityJson:
    """Return a probability with its interval and operating point."""
    within = of.interval
    return s.ProbabilityJson(
        value=of.value,
        low=None if within is None else within.low,
        high=None if within is None else within.high,
        level=None if within is None else within.level,
        threshold=of.threshold,
        calibrated=of.calibrated,
    )


def region(of: Region, finding: str) -> s.RegionJson:
    """Return a region; a mask by the identifier under which its pixels can be had."""
    space = of.space
    points: list[list[float]] = []
    kind: Literal["point", "box", "contour", "mask"]
    match of:
        case Point():
            kind, points = "point", [list(of.at)]
        case Box():
            kind, points = "box", [list(of.low), list(of.high)]
        case Contour():
            kind, points = "contour", [list(p) for p in of.points]
        case MaskRegion():
            kind = "mask"
    centre = list(of.centre)
    return s.RegionJson(
        type=kind,
        frame_of_reference=space.frame_of_reference if isinstance(space, PatientSpace) else None,
        instance=space.instance if isinstance(space, OnInstance) else None,
        frame=space.frame if isinstance(space, OnInstance) else None,
        points=points,
        centre=centre if np.isfinite(centre).all() else None,
        diameter_mm=diameter_mm(of),
        segment_id=f"{finding}-r" if kind == "mask" else None,
    )


def measurement(
    of: Measurement, identifier: str | None = None, model: str | None = None
) -> s.MeasurementJson:
    """Return a number with its unit and uncertainty."""
    within = of.interval
    return s.MeasurementJson(
        id=identifier,
        concept=concept(of.concept),
        value=of.quantity.value,
        unit=of.quantity.unit,
        low=None if within is None else within.low,
        high=None if within is None else within.high,
        level=None if within is None else within.level,
        method=of.method,
        site=None if of.site is None else concept(of.site),
        laterality=None if of.laterality is None else concept(of.laterality),
        flags=list(of.flags),
        model=model,
    )


def finding(of: Finding, cards: Cards) -> s.FindingJson:
    """Return a finding as the API says it."""
    return s.FindingJson(
        id=of.id,
        concept=concept(of.concept),
        status=of.status,
        origin=origin(of.origin, cards),
        probability=None if of.probability is None else probability(of.probability),
        region=None if of.region is None else region(of.region, of.id),
        place=None if of.place is None else concept(of.place),
        laterality=None if of.laterality is None else concept(of.laterality),
        change=of.change,
        measurements=[measurement(m) for m in of.measurements],
        comment=of.comment,
    )


Planes = Callable[[str], ImagePlane]


def to_findings(found: Sequence[s.FindingJson], planes: Planes) -> tuple[Finding, ...]:
    """Return findings of the caller; who says so is the caller, whatever came.

    Args:
        found: As they came.
        planes: Gives the plane of an instance that the caller may see.

    Raises:
        InputError: A concept is not in the finding vocabulary, or a region can't be used.
        HiddenError: A region lies on an instance that the caller may not see.
    """
    return tuple(_to_finding(one, planes) for one in found)


def _to_finding(came: s.FindingJson, planes: Planes) -> Finding:
    return Finding(
        id=came.id,
        concept=codes.finding(came.concept.value, came.concept.scheme),
        status=came.status,
        origin=_OWN,
        change=came.change,
        region=None if came.region is None else _to_region(came.region, planes),
        place=_to_concept(came.place),
        laterality=_to_concept(came.laterality),
        measurements=tuple(_to_measurement(m) for m in came.measurements),
        comment=came.comment,
    )


def _to_concept(came: s.ConceptJson | None) -> CodedConcept | None:
    return None if came is None else CodedConcept(came.value, came.scheme, came.meaning)


def _to_measurement(came: s.MeasurementJson) -> Measurement:
    within = None
    if came.low is not None and came.high is not None:
        within = Interval(came.low, came.high, came.level or 0.95, came.method or "reader")
    return Measurement(
        concept=CodedConcept(came.concept.value, came.concept.scheme, came.concept.meaning),
        quantity=Quantity(came.value, came.unit),
        interval=within,
        method=came.method,
        site=_to_concept(came.site),
        laterality=_to_concept(came.laterality),
        flags=tuple(came.flags),
    )


def _to_region(came: s.RegionJson, planes: Planes) -> Region:
    space = _to_space(came, planes)
    points = [tuple(p) for p in came.points]
    match came.type, len(points):
        case "point", 1:
            return Point(points[0], space)
        case "box", 2:
            return Box(points[0], points[1], space)
        case "contour", _:
            return Contour(tuple(points), space)
    raise InputError(
        f"a {came.type} with {len(points)} points", "a point with one, a box with two, a contour with more"
    )


def _to_space(came: s.RegionJson, planes: Planes) -> PatientSpace | OnInstance:
    if came.instance is not None:
        return OnInstance(came.instance, planes(came.instance), came.frame or 1)
    if came.frame_of_reference is not None:
        return PatientSpace(came.frame_of_reference)
    raise InputError("a region without a place", "a frame of reference, or an instance and a frame")
