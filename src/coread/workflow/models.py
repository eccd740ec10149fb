"""The models of a site: those of the package and imported ones, which of them run, and at which thresholds.

An operating point belongs to the weights that it was chosen with. A model whose weights are others than those
that the site decided about does not run until the site has decided again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from coread.core import Card, card_from_table
from coread.errors import CoreadError, DataError, InputError
from coread.recognition import registry
from coread.recognition.importing import (
    Draft,
    ImportedModel,
    drafts,
    load_imported,
    preparation_digest,
)
from coread.recognition.importing.draft import description
from coread.recognition.importing.imported import card_thresholds
from coread.recognition.importing.scoring import evaluate_scored, scored_imported
from coread.recognition.labelled import Part
from coread.recognition.metrics import Estimate
from coread.recognition.operating import Scored, chosen_threshold, figures_at
from coread.recognition.runtime import Device
from coread.recognition.training.cases import Reader, no_reader
from coread.recognition.training.evaluation import evaluate_on_table, evaluate_outlines
from coread.storage.site_models import (
    Act,
    CurveBin,
    LocalValidation,
    OperatingPoint,
    SiteFigure,
    SiteModel,
    SiteModels,
)

State = Literal["on", "off", "refused"]
Cause = Literal["", "fault", "card", "site", "new", "threshold", "weights"]
SHORT = 12


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """One model as the site has it.

    Attributes:
        name: By which commands know it.
        card: What it is for; None while the card of an imported model is not complete.
        weights: SHA-256 of the weights that are here.
        preparation: SHA-256 of an imported model's description; empty for one of the package.
        folder: Of an imported model, or None.
        site: What the site has decided.
        missing: Fields that the card of an imported model lacks.
        card_points: Thresholds of the card by finding; they belong to the weights that the card names.
        fault: Why the model can't be used at all, or None.
        table: The card as it was read, complete or not.
    """

    name: str
    card: Card | None
    weights: str
    preparation: str
    folder: Path | None
    site: SiteModel
    missing: tuple[str, ...]
    card_points: Mapping[str, float]
    fault: str | None
    table: Mapping[str, Any]

    @property
    def points(self) -> dict[str, OperatingPoint]:
        """The site's operating points that were chosen with these weights, as they are prepared now."""
        return {name: point for name, point in self.site.thresholds.items() if self._fits(point)}

    @property
    def stale(self) -> dict[str, OperatingPoint]:
        """The site's operating points that belong to other weights."""
        return {name: point for name, point in self.site.thresholds.items() if not self._fits(point)}

    def _fits(self, point: OperatingPoint) -> bool:
        return (point.weights, point.preparation) == (self.weights, self.preparation)

    @property
    def validation(self) -> LocalValidation | None:
        """What these weights reached on data of the site, the newest measurement; None where never."""
        mine = [v for v in self.site.validations if v.weights == self.weights]
        return mine[-1] if mine else None

    @property
    def told(self) -> Mapping[str, Any]:
        """What the card says by field, as far as it is filled."""
        if self.card is None:
            return self.table
        return {item.name: getattr(self.card, item.name) for item in fields(self.card)}

    def standing(self) -> tuple[State, str]:
        """Return whether the model runs, and why not."""
        state, _, words = self._standing()
        return state, words

    @property
    def cause(self) -> Cause:
        """Why it doesn't run, as one word."""
        return self._standing()[1]

    def _standing(self) -> tuple[State, Cause, str]:
        if self.fault is not None:
            return "refused", "fault", self.fault
        if self.missing:
            return "off", "card", f"its card does not say {', '.join(self.missing)}"
        if self.site.enabled is False:
            return "off", "site", "switched off by the site"
        if self.site.enabled is None and self.folder is not None:
            return "off", "new", "imported and not enabled yet"
        if self.stale:
            return "refused", "threshold", self._stale_words()
        if self.site.enabled and self.site.weights != self.weights:
            words = (
                f"it was enabled with weights {_short(self.site.weights)} and now has {_short(self.weights)}"
            )
            todo = f"look at its figures and say `coread models enable {self.name}` again"
            return "refused", "weights", f"{words}; {todo}"
        return "on", "", ""

    def _stale_words(self) -> str:
        finding, point = next(iter(self.stale.items()))
        what = (
            f"weights {_short(point.weights)}, and these are {_short(self.weights)}"
            if point.weights != self.weights
            else "another description in the table [import] of its card"
        )
        said = f"the site's threshold for {finding} was chosen with {what}"
        return f"{said}; a new version inherits none: {self.todo}"

    @property
    def todo(self) -> str:
        """What brings an operating point that belongs to these weights."""
        choose = f"choose one with `coread models threshold {self.name} --data FILE --sensitivity 0.9`"
        return f"{choose}, or take the card's with --card" if self.card_points else choose

    def settings(self) -> dict[str, str]:
        """Return what provenance says of the operating points in use."""
        said: dict[str, str] = {}
        points = self.points
        for finding, value in {**self.card_points, **{n: p.threshold for n, p in points.items()}}.items():
            ending = "" if len({*self.card_points, *points}) == 1 else f":{finding}"
            said[f"threshold{ending}"] = repr(value)
            point = points.get(finding)
            said[f"threshold_source{ending}"] = (
                "card"
                if point is None
                else f"site {point.date}: {point.rule} on {point.data}, {point.cases} cases"
            )
        return said


def _short(digest: str | None) -> str:
    return f"{(digest or 'none')[:SHORT]}"


def site_entries(folder: Path) -> dict[str, SiteEntry]:
    """Return every model by name: those of the package, then imported ones.

    Args:
        folder: Of the site's models; it need not be there.

    Raises:
        DataError: The site's file is damaged.
    """
    decided = SiteModels(folder).all()
    entries = {name: _own(name, decided.get(name, SiteModel())) for name in registry.MODELS}
    for name, draft in drafts(folder).items():
        if name in entries:
            continue  # refused at import; a folder put there by hand does not replace a model of the package
        entries[name] = _imported(name, folder / name, draft, decided.get(name, SiteModel()))
    return entries


def site_entry(name: str, folder: Path) -> SiteEntry:
    """Return one model.

    Raises:
        InputError: There is none of that name.
    """
    entries = site_entries(folder)
    if name not in entries:
        raise InputError(
            f"no model {name!r}", f"one of {', '.join(entries)}", "`coread models list` shows them"
        )
    return entries[name]


def _own(name: str, site: SiteModel) -> SiteEntry:
    card = registry.card(name)
    finding = registry.finding(name)
    points = {} if finding is None or card.threshold is None else {finding: card.threshold}
    return SiteEntry(name, card, card.weights or "", "", None, site, (), points, None, {})


def _imported(name: str, folder: Path, draft: Draft | CoreadError, site: SiteModel) -> SiteEntry:
    def entry(card: Card | None = None, fault: str | None = None, **more: Any) -> SiteEntry:
        weights = "" if isinstance(draft, CoreadError) else draft.weights
        values: dict[str, Any] = {"preparation": "", "missing": (), "card_points": {}, "table": {}, **more}
        return SiteEntry(
            name=name, card=card, weights=weights, folder=folder, site=site, fault=fault, **values
        )

    if isinstance(draft, CoreadError):
        return entry(fault=str(draft))
    if draft.missing:
        return entry(missing=draft.missing, table=draft.table)
    try:
        card = card_from_table(draft.table)
        _, said = description(folder)
        preparation = preparation_digest(folder)
    except CoreadError as error:
        return entry(fault=str(error), table=draft.table)
    if card.weights != draft.weights:
        return entry(
            card,
            f"its card is for weights {_short(card.weights)}, and these are {_short(draft.weights)}",
            table=draft.table,
        )
    return entry(card, preparation=preparation, card_points=card_thresholds(card, said), table=draft.table)


def loaded(entry: SiteEntry, *, threads: int = 1, device: Device = "cpu") -> ImportedModel:
    """Return an imported model, its files checked.

    Raises:
        InputError: Its card is not complete.
        DataError: A file is missing or changed, or the card contradicts the network.
    """
    assert entry.folder is not None
    if entry.missing:
        raise InputError(
            f"the card of {entry.name} does not say {', '.join(entry.missing)}",
            "a card without gaps",
            f"fill {entry.folder / 'card.toml'}",
        )
    return load_imported(entry.folder, threads=threads, device=device)


@lru_cache(maxsize=8)
def kept_model(folder: str, weights: str, preparation: str, card: int) -> ImportedModel:
    """Return an imported model, kept for the process as long as its files stay the same."""
    del weights, preparation, card  # what it is kept by
    return load_imported(Path(folder))


def score(
    entry: SiteEntry, data: Path, *, finding: str | None = None, part: Part | None = None, threads: int = 1
) -> Scored:
    """Return labelled cases with a model's probabilities.

    Raises:
        InputError: No such finding, or no data.
        NotApplicableError: The model has no operating point.
        DataError: The data or the model can't be used.
    """
    if entry.folder is not None:
        model = loaded(entry, threads=threads)
        return scored_imported(model, data, finding=finding, part=part)
    found = registry.scored(entry.name, data, part=part, threads=threads)
    if finding not in (None, found.finding):
        raise InputError(f"the finding {finding!r}", found.finding, "leave --finding out")
    return found


def evaluate(
    entry: SiteEntry,
    data: Path,
    *,
    finding: str | None = None,
    part: Part | None = None,
    threads: int = 1,
    read: Reader = no_reader,
    device: Device = "cpu",
) -> registry.Evaluation:
    """Return what a model reaches on labelled data.

    Args:
        entry: The model.
        data: A layout that fits it; for an imported model also a table of cases as for training.
        finding: Output of an imported classifier that is judged alone.
        part: Of data with parts.
        threads: Of ONNX Runtime.
        read: Of DICOM and NIfTI files.
        device: ``cuda`` runs an imported network on a GPU.

    Raises:
        InputError: No data, no such finding or part, or no GPU.
        DataError: The data or the model can't be used.
    """
    if entry.folder is None:
        if device != "cpu":
            raise InputError(
                f"device {device} for {entry.name}", "a CPU: it takes milliseconds", "leave it out"
            )
        mine = [point.threshold for point in entry.points.values()]
        at = mine[0] if mine else None
        return registry.evaluate(entry.name, data, part=part, threads=threads, threshold=at)
    model = loaded(entry, threads=threads, device=device)
    if not model.outputs:
        return evaluate_outlines(model, data, part=part, read=read)
    model = model.with_thresholds({name: point.threshold for name, point in entry.points.items()})
    if data.suffix.lower() not in (".csv", ".tsv"):
        return evaluate_scored(model, scored_imported(model, data, finding=finding, part=part))
    return evaluate_on_table(model, data, part=part, read=read)


def map_figures(
    entry: SiteEntry,
    data: Path,
    *,
    finding: str | None = None,
    part: Part | None = None,
    threads: int = 1,
) -> tuple[Mapping[str, Estimate], tuple[str, ...]]:
    """Return how faithful a model's heat maps are, and what a reader of the figures should know.

    An imported classifier is explained by occlusion, see `coread.recognition.training.mapped`.

    Raises:
        NotApplicableError: The model shows no heat map and doesn't classify.
        DataError: The data or the model can't be used.
        MissingExtraError: onnx is not installed.
    """
    from coread.recognition.training.faithfulness import measured_faithfulness
    from coread.recognition.training.mapped import mapped, mapped_imported

    if entry.folder is None:
        given = mapped(entry.name, data)
    else:
        model = loaded(entry, threads=threads)
        model = model.with_thresholds({name: point.threshold for name, point in entry.points.items()})
        file = entry.folder / "model.onnx"
        content = file.read_bytes() if file.is_file() else None
        given = mapped_imported(model, content, data, finding=finding, part=part, threads=threads)
    return measured_faithfulness(given), given.notes


def check_weights(entry: SiteEntry) -> int:
    """Return the size in bytes of a model's weights, checked against the digest on its card.

    Raises:
        DataError: They are absent or others.
    """
    if entry.folder is None:
        return registry.check_weights(entry.name)
    loaded(entry)
    return sum(
        (entry.folder / name).stat().st_size
        for name in ("model.onnx", "model.ts")
        if (entry.folder / name).is_file()
    )


def choose_threshold(
    name: str,
    folder: Path,
    found: Scored,
    *,
    at: datetime,
    sensitivity: float | None = None,
    specificity: float | None = None,
    value: float | None = None,
) -> OperatingPoint:
    """Choose an operating point on cases of the site, keep it and return it.

    It belongs to the weights that are here now; operating points of other weights are dropped.

    Args:
        name: Of the model.
        folder: Of the site's models.
        found: The cases, as `score` gives them.
        at: Now.
        sensitivity: To be reached at the best specificity.
        specificity: To be reached at the best sensitivity.
        value: A threshold, whatever it reaches; its figures are measured all the same.

    Raises:
        InputError: Not one of the three, a class is absent, or a rate can't be reached.
    """
    given = {"sensitivity": sensitivity, "specificity": specificity, "value": value}
    named = [word for word, number in given.items() if number is not None]
    if len(named) != 1:
        raise InputError(
            f"{' and '.join(named) or 'no rule'} for a threshold",
            "one of --sensitivity, --specificity, --value",
        )
    if value is not None:
        if not 0 < value < 1:
            raise InputError(f"a threshold of {value:g}", "a probability between 0 and 1")
        threshold, rule = value, "given by hand"
    else:
        threshold = chosen_threshold(
            found.labels, found.scores, sensitivity=sensitivity, specificity=specificity
        )
        rule = f"{named[0]} at least {given[named[0]]:g}"
    figures = figures_at(threshold, found.labels, found.scores, found.patients)
    entry = site_entry(name, folder)
    day = at.date().isoformat()
    point = OperatingPoint(
        threshold,
        entry.weights,
        entry.preparation,
        rule,
        found.data,
        figures.cases,
        figures.positives,
        figures.patients,
        SiteFigure(figures.sensitivity.value, figures.sensitivity.low, figures.sensitivity.high),
        SiteFigure(figures.specificity.value, figures.specificity.low, figures.specificity.high),
        day,
    )
    act = Act(
        at.isoformat(timespec="seconds"),
        "threshold",
        f"{found.finding} {threshold!r}, {rule}, {found.data}, weights {_short(entry.weights)}",
    )
    SiteModels(folder).change(
        name, lambda site: site.having(act, thresholds={**entry.points, found.finding: point})
    )
    return point


def take_card_threshold(name: str, folder: Path, *, at: datetime) -> Mapping[str, float]:
    """Drop the site's operating points, keep that of the card, and return it by finding.

    Raises:
        InputError: The card has none for these weights.
    """
    entry = site_entry(name, folder)
    if not entry.card_points:
        raise InputError(
            f"the card of {name} has no threshold for these weights",
            "one that was chosen with them",
            "choose it on data of your own: --data FILE --sensitivity 0.9",
        )
    act = Act(at.isoformat(timespec="seconds"), "threshold", "the card's")
    SiteModels(folder).change(name, lambda site: site.having(act, thresholds={}))
    return entry.card_points


def enable(name: str, folder: Path, *, at: datetime) -> SiteEntry:
    """Let a model run with the weights that are here now.

    Raises:
        InputError: Its card has gaps, or there is no operating point for these weights.
        DataError: Its files or its card can't be used.
    """
    entry = site_entry(name, folder)
    if entry.folder is not None:
        loaded(entry)
    else:
        registry.check_weights(name)
    if entry.fault is not None:
        raise DataError(entry.fault, "a model that can be used", f"mend {entry.folder}")
    assert entry.card is not None
    if entry.stale:
        raise InputError(
            f"{name}: {entry._stale_words().partition(';')[0]}",
            "an operating point of these weights",
            entry.todo,
        )
    choosable = entry.folder is not None or registry.finding(name) is not None
    if choosable and entry.card.kind == "classify" and not (entry.points or entry.card_points):
        raise InputError(
            f"{name} has no operating point", "one that was chosen with these weights", entry.todo
        )
    act = Act(at.isoformat(timespec="seconds"), "enabled", f"weights {_short(entry.weights)}")
    site = SiteModels(folder).change(name, lambda site: site.having(act, enabled=True, weights=entry.weights))
    return replace(entry, site=site)


def disable(name: str, folder: Path, *, at: datetime) -> SiteEntry:
    """Let a model not run any more; what it has found stays.

    Raises:
        InputError: There is no such model.
    """
    entry = site_entry(name, folder)
    act = Act(at.isoformat(timespec="seconds"), "disabled")
    site = SiteModels(folder).change(name, lambda site: site.having(act, enabled=False))
    return replace(entry, site=site)


def record_evaluation(
    name: str, folder: Path, result: registry.Evaluation, *, at: datetime
) -> LocalValidation:
    """Keep what a model reached on data of the site as its local validation, and return it."""
    validation = LocalValidation(
        result.weights,
        result.data,
        result.cases,
        result.patients,
        {metric: SiteFigure(e.value, e.low, e.high) for metric, e in result.metrics.items()},
        tuple(CurveBin(b.said, b.seen.value, b.seen.low, b.seen.high, b.cases) for b in result.curve),
        result.threshold,
        at.date().isoformat(),
        f"coread {version('coread')}",
    )
    act = Act(at.isoformat(timespec="seconds"), "validated", f"{result.data}, {result.cases} cases")
    SiteModels(folder).change(
        name, lambda site: site.having(act, validations=(*site.validations, validation))
    )
    return validation
