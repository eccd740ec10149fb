"""What the API says of analyzers: card, whether it runs here, operating points, what it reached here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from coread.recognition import registry
from coread.recognition.operating import CalibrationBin
from coread.server.schemas import Schema
from coread.storage.site_models import LocalValidation
from coread.workflow.analyzers import Registered
from coread.workflow.models import Cause, SiteEntry, State


class FigureJson(Schema):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class MetricJson(Schema):
    """A measured figure of a card."""

    name: str
    value: float
    low: float | None
    high: float | None
    data: str
    date: str


class OperatingPointJson(Schema):
    """A threshold, where it comes from, and what it reaches there; a card's says only its value."""

    finding: str
    threshold: float
    source: Literal["card", "site"]
    in_use: bool
    rule: str | None = None
    data: str | None = None
    cases: int | None = None
    positives: int | None = None
    sensitivity: FigureJson | None = None
    specificity: FigureJson | None = None
    date: str | None = None


class CurveBinJson(Schema):
    """Cases of like probability: what was said, what was seen, with its 95 % interval."""

    said: float
    seen: float
    low: float
    high: float
    cases: int


class CurveJson(Schema):
    """A calibration curve and the cases that it was measured on."""

    source: Literal["card", "site"]
    data: str
    date: str
    cases: int
    bins: list[CurveBinJson]


class ValidationJson(Schema):
    """What these weights reached on data of the site, the newest measurement."""

    data: str
    date: str
    cases: int
    patients: int
    threshold: float | None
    metrics: dict[str, FigureJson]


class CardJson(Schema):
    """The card of an analyzer, and what the site has decided about it."""

    id: str
    name: str
    version: str
    kind: str
    mode: str
    shown: str
    intended_use: str
    not_for: str
    evidence_level: int | None
    training_data: str
    metrics: list[MetricJson]
    licence: str
    references: list[str]
    weights: str | None
    threshold: float | None
    calibration: str | None
    needs: list[dict[str, Any]]
    origin: Literal["package", "imported"]
    state: State
    state_cause: Cause
    state_reason: str
    operating_points: list[OperatingPointJson]
    validation: ValidationJson | None
    curves: list[CurveJson]


def cards(analyzers: tuple[Registered, ...], entries: Mapping[str, SiteEntry]) -> list[CardJson]:
    """Return the card of every analyzer and of every imported model, also of one whose card has gaps."""
    known = {registered.name for registered in analyzers}
    shown = [_card(r.name, entries.get(r.name), r) for r in analyzers]
    late = [_card(name, e, None) for name, e in entries.items() if e.folder is not None and name not in known]
    return [*shown, *late]


def _card(name: str, entry: SiteEntry | None, registered: Registered | None) -> CardJson:
    card = registered.card if registered is not None else entry.card if entry is not None else None
    told = entry.told if entry is not None and entry.folder is not None else {}
    words = {field: str(told.get(field) or "") for field in _WORDS}
    if card is not None:
        words = {field: str(getattr(card, field)) for field in _WORDS}
    level = told.get("evidence_level")
    state: State
    state, reason = ("on", "") if entry is None else entry.standing()
    return CardJson(
        id=name,
        **{**words, "name": words["name"] or name},
        evidence_level=card.evidence_level if card else level if isinstance(level, int) else None,
        metrics=[] if card is None else [MetricJson(**asdict(metric)) for metric in card.metrics],
        references=[] if card is None else list(card.references),
        weights=card.weights if card else entry.weights if entry else None,
        threshold=None if card is None else card.threshold,
        calibration=None if card is None else card.calibration,
        needs=[] if card is None else [asdict(need) for need in card.needs],
        origin="package" if entry is None or entry.folder is None else "imported",
        state=state,
        state_cause="" if entry is None else entry.cause,
        state_reason=reason,
        operating_points=[] if entry is None else _points(entry),
        validation=None if entry is None or entry.validation is None else _validation(entry.validation),
        curves=[] if entry is None else _curves(entry),
    )


_WORDS = (
    "name",
    "version",
    "kind",
    "mode",
    "shown",
    "intended_use",
    "not_for",
    "training_data",
    "licence",
)


def _points(entry: SiteEntry) -> list[OperatingPointJson]:
    of_card = [
        OperatingPointJson(finding=f, threshold=value, source="card", in_use=f not in entry.points)
        for f, value in entry.card_points.items()
    ]
    of_site = [
        OperatingPointJson(
            finding=finding,
            threshold=point.threshold,
            source="site",
            in_use=finding in entry.points,
            rule=point.rule,
            data=point.data,
            cases=point.cases,
            positives=point.positives,
            sensitivity=FigureJson(**asdict(point.sensitivity)),
            specificity=FigureJson(**asdict(point.specificity)),
            date=point.date,
        )
        for finding, point in entry.site.thresholds.items()
    ]
    return [*of_card, *of_site]


def _validation(found: LocalValidation) -> ValidationJson:
    return ValidationJson(
        data=found.data,
        date=found.date,
        cases=found.cases,
        patients=found.patients,
        threshold=found.threshold,
        metrics={name: FigureJson(**asdict(figure)) for name, figure in found.metrics.items()},
    )


def _bin(of: CalibrationBin) -> CurveBinJson:
    return CurveBinJson(said=of.said, seen=of.seen.value, low=of.seen.low, high=of.seen.high, cases=of.cases)


def _curves(entry: SiteEntry) -> list[CurveJson]:
    curves = []
    if entry.folder is None:
        curves += [
            CurveJson(
                source="card",
                data=curve.data,
                date=curve.date,
                cases=sum(b.cases for b in curve.bins),
                bins=[_bin(each) for each in curve.bins],
            )
            for curve in registry.calibration_curves(entry.name)
        ]
    found = entry.validation
    if found is not None and found.curve:
        bins = [CurveBinJson(**asdict(b)) for b in found.curve]
        curves.append(
            CurveJson(source="site", data=found.data, date=found.date, cases=found.cases, bins=bins)
        )
    return curves
