"""What an analyzer is, what it gets and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol, runtime_checkable

from coread.core.finding import Finding, Measurement, Mode, Note
from coread.core.image import (
    Cine,
    Image,
    LabelMap,
    Map,
    Mask,
    PlaneMask,
    Segment,
    TimeSeries,
    Volume,
)
from coread.errors import InputError

Kind = Literal["detect", "segment", "classify", "measure"]
ROLES = ("volumes", "images", "series", "masks", "results")


@dataclass(frozen=True, slots=True)
class PatientInfo:
    """What an analysis may know of the patient; None where it is not known."""

    age_years: float | None = None
    sex: Literal["F", "M", "O"] | None = None


@dataclass(frozen=True, slots=True)
class StudyInfo:
    """What an analysis may know of the study."""

    uid: str
    date: date | None = None
    modalities: tuple[str, ...] = ()
    description: str | None = None


def _frozen(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(mapping))


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What the card asked for, by role; each mapping runs from a stable key to the value."""

    volumes: Mapping[str, Volume] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    series: Mapping[str, TimeSeries | Cine] = field(default_factory=dict)
    masks: Mapping[str, Mask | PlaneMask] = field(default_factory=dict)
    results: Mapping[str, Result] = field(default_factory=dict)
    patient: PatientInfo = PatientInfo()
    study: StudyInfo = StudyInfo("2.25.0")

    def __post_init__(self) -> None:
        for role in ROLES:
            object.__setattr__(self, role, _frozen(getattr(self, role)))

    def __reduce__(self) -> tuple[object, ...]:
        parts = [dict(getattr(self, role)) for role in ROLES]
        return type(self), (*parts, self.patient, self.study)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What an analyzer found.

    Attributes:
        findings: Statements.
        measurements: Numbers that belong to no finding.
        maps: Probability, heat, parameters.
        masks: Named regions, which may overlap.
        labels: Label maps.
        notes: What the reader should know about the result.
    """

    findings: tuple[Finding, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    maps: tuple[Map, ...] = ()
    masks: tuple[Segment, ...] = ()
    labels: tuple[LabelMap, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a result comes from; stamped by the runner.

    Attributes:
        analyzer: Name on the card.
        version: Version on the card.
        weights_digest: SHA-256 of the weights, or None.
        mode: Mode on the card.
        inputs: Input UIDs (series or instances) to content hashes (SHA-256).
        settings: What was set, as text.
        seed: Of the random generator, or None.
        software: Such as ``coread 0.1.0``.
        start: With offset.
        end: With offset.
    """

    analyzer: str
    version: str
    weights_digest: str | None
    mode: Mode
    inputs: Mapping[str, str]
    settings: Mapping[str, str]
    seed: int | None
    software: str
    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))

    def __reduce__(self) -> tuple[object, ...]:
        values = {name: getattr(self, name) for name in self.__slots__}
        values["inputs"], values["settings"] = dict(self.inputs), dict(self.settings)
        return type(self), tuple(values.values())


@runtime_checkable
class Analyzer(Protocol):
    """An analysis fitted to the platform: pure, without state between calls."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return what was found.

        Raises:
            NotApplicableError: The study is not of the kind on the card.
        """
        ...


@dataclass(frozen=True, slots=True)
class Need:
    """What an analyzer asks for in one role; an empty selection takes anything.

    Attributes:
        role: ``volumes``, ``images``, ``series``, ``masks`` or ``results``.
        modalities: Any of these.
        body_parts: Any of these; an image that names no body part is let through.
        minimum_slices: Of a volume.
        analyzers: For ``masks`` and ``results``: made by any of these.
        source: For ``masks``: ``study`` takes only those that came with the study (SEG, RTSTRUCT), ``any``
            also those that other analyzers made.
        optional: Whether the analyzer also runs without.
    """

    role: str
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    minimum_slices: int = 1
    analyzers: tuple[str, ...] = ()
    source: Literal["any", "study"] = "any"
    optional: bool = False

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(f"a card needs one of {', '.join(ROLES)}; got {self.role!r}")
        if self.source not in ("any", "study") or (self.source == "study" and self.analyzers):
            raise InputError(f"masks come from any or the study; got {self.source!r} with {self.analyzers}")


@dataclass(frozen=True, slots=True)
class Metric:
    """A measured figure: value and its interval, on which data, when."""

    name: str
    value: float
    low: float | None
    high: float | None
    data: str
    date: str


@dataclass(frozen=True, slots=True)
class Card:
    """What an analyzer is for and on what evidence.

    Attributes:
        name: For people.
        version: Of the analyzer.
        kind: detect, segment, classify or measure.
        mode: second-reader, concurrent, triage or measurement.
        needs: What the runner loads before `analyze` is called.
        shown: ``locked`` until the first read is committed, or ``always`` for what is no interpretation.
        intended_use: One sentence.
        not_for: One sentence.
        evidence_level: 1 (technical) to 6 (societal), after van Leeuwen 2021.
        training_data: What it was trained on, or ``none``.
        metrics: Measured figures.
        licence: SPDX expression, and of the data where that binds the weights.
        references: Papers and standards.
        weights: SHA-256 of the weights, or None.
        threshold: Operating point, or None.
        calibration: How and on what it was calibrated, or None.
    """

    name: str
    version: str
    kind: Kind
    mode: Mode
    needs: tuple[Need, ...]
    shown: Literal["locked", "always"]
    intended_use: str
    not_for: str
    evidence_level: int
    training_data: str
    metrics: tuple[Metric, ...]
    licence: str
    references: tuple[str, ...]
    weights: str | None = None
    threshold: float | None = None
    calibration: str | None = None

    def __post_init__(self) -> None:
        for name in ("name", "version", "intended_use", "not_for", "training_data", "licence"):
            if not getattr(self, name):
                raise InputError(f"the card of {self.name or 'an analyzer'} does not say {name}")
        if not 1 <= self.evidence_level <= 6:
            raise InputError(f"evidence levels run from 1 to 6, got {self.evidence_level}")
        if not self.needs:
            raise InputError(f"the card of {self.name} asks for nothing; say what it needs")


def card_from_table(table: Mapping[str, Any]) -> Card:
    """Return a card from the table of its TOML file.

    ``needs`` maps a role to ``"any"`` or to a table with any of ``modality``, ``body_part``,
    ``minimum_slices``, ``analyzer``, ``source``, ``optional``; ``metrics`` maps a name to a table with
    ``value``, ``low``, ``high``, ``data``, ``date``.

    Raises:
        InputError: A field is missing, unknown or not of its kind.
    """
    values = dict(table)
    try:
        needs = tuple(_need(role, wish) for role, wish in values.pop("needs", {}).items())
        metrics = tuple(_metric(name, m) for name, m in values.pop("metrics", {}).items())
        references = tuple(values.pop("references", ()))
        values.setdefault("shown", "locked")
        known = Card.__slots__
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise InputError(f"a card has no field {', '.join(unknown)}; it has {', '.join(known)}")
        given = {"needs", "metrics", "references", *values}
        missing = [f.name for f in fields(Card) if f.name not in given and f.default is MISSING]
        if missing:
            raise InputError(f"the card does not say {', '.join(missing)}")
        card = Card(needs=needs, metrics=metrics, references=references, **values)
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"the card is not complete: {error}") from error
    for name, allowed in (
        ("kind", ("detect", "segment", "classify", "measure")),
        ("mode", ("second-reader", "concurrent", "triage", "measurement")),
        ("shown", ("locked", "always")),
    ):
        if getattr(card, name) not in allowed:
            raise InputError(f"{name} is one of {', '.join(allowed)}; got {getattr(card, name)!r}")
    return card


def _need(role: str, wish: Any) -> Need:
    if wish == "any":
        return Need(role)
    names = {"modality": "modalities", "body_part": "body_parts", "analyzer": "analyzers"}
    values: dict[str, Any] = {}
    for key, value in wish.items():
        if key in names:
            values[names[key]] = (value,) if isinstance(value, str) else tuple(value)
        elif key in ("minimum_slices", "source", "optional"):
            values[key] = value
        else:
            raise InputError(f"a need has no field {key!r}")
    return Need(role, **values)


def _metric(name: str, table: Mapping[str, Any]) -> Metric:
    return Metric(
        name=name,
        value=float(table["value"]),
        low=None if table.get("low") is None else float(table["low"]),
        high=None if table.get("high") is None else float(table["high"]),
        data=str(table["data"]),
        date=str(table["date"]),
    )
