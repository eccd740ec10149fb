"""What a site has decided about its models: which run, at which thresholds, and what they reached here."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from coread.errors import DataError, TransportError

SCHEMA, VERSION = "coread-site-models", 1
FILE = "site.json"


@dataclass(frozen=True, slots=True)
class SiteFigure:
    """A measured figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CurveBin:
    """Cases whose probability lies in a range: how likely they were said to be, and how many were so.

    Attributes:
        said: Mean probability.
        seen: Part of the cases that were positive.
        low: Lower end of its 95 % interval.
        high: Upper end.
        cases: How many.
    """

    said: float
    seen: float
    low: float
    high: float
    cases: int


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold that was chosen here, and on what.

    Attributes:
        threshold: Probability at and above which a finding is called present.
        weights: SHA-256 of the weights that it was chosen with.
        preparation: SHA-256 of what is done to an image before these weights see it; empty where the
            version of the package settles that.
        rule: How it was chosen.
        data: Name of the data.
        cases: How many.
        positives: How many of them.
        patients: How many.
        sensitivity: At the threshold, on these data.
        specificity: The same.
        date: Of the choice.
    """

    threshold: float
    weights: str
    preparation: str
    rule: str
    data: str
    cases: int
    positives: int
    patients: int
    sensitivity: SiteFigure
    specificity: SiteFigure
    date: str


@dataclass(frozen=True, slots=True)
class LocalValidation:
    """What a model reached on data of the site.

    Attributes:
        weights: SHA-256 of the weights that were measured.
        data: Name of the data.
        cases: How many.
        patients: How many.
        metrics: Figures by name.
        curve: Calibration; empty where there is none.
        threshold: At which figures of one probability were measured, or None.
        date: Of the measurement.
        software: That measured.
    """

    weights: str
    data: str
    cases: int
    patients: int
    metrics: Mapping[str, SiteFigure]
    curve: tuple[CurveBin, ...]
    threshold: float | None
    date: str
    software: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was decided about a model: when, what, in words."""

    at: str
    what: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class SiteModel:
    """What a site has decided about one model.

    Attributes:
        enabled: Whether it runs; None where nothing was decided.
        weights: SHA-256 of the weights that the decision was made for.
        thresholds: Operating points by the finding they are for.
        validations: What it reached here, the newest last.
        acts: All that was decided, the newest last.
    """

    enabled: bool | None = None
    weights: str | None = None
    thresholds: Mapping[str, OperatingPoint] = field(default_factory=dict)
    validations: tuple[LocalValidation, ...] = ()
    acts: tuple[Act, ...] = ()

    def having(self, act: Act, **changes: Any) -> Self:
        """Return the same with changes, and the act by which they came."""
        return replace(self, **changes, acts=(*self.acts, act))


class SiteModels:
    """The file ``site.json`` in the folder of a site's models; it is read anew at each question.

    Args:
        folder: Of the site's models; it need not be there.

    Examples:
        >>> SiteModels(Path("nowhere")).of("cxr_pneumonia").enabled is None
        True
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / FILE

    def all(self) -> dict[str, SiteModel]:
        """Return every model that something was decided about.

        Raises:
            DataError: The file is damaged. Nothing is assumed then: an older threshold may be in it.
        """
        try:
            text = self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{self.file} can't be read ({error})", "the file of the site's models"
            ) from error
        try:
            document = json.loads(text)
            if (document["schema"], document["version"]) != (SCHEMA, VERSION):
                raise DataError(f"{self.file} of another schema", f"{SCHEMA} of version {VERSION}")
            return {name: _site_model(table) for name, table in document["models"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"{self.file} is damaged ({error})",
                "what `coread models` wrote",
                "put back a copy, or remove it and choose thresholds again",
            ) from error

    def of(self, name: str) -> SiteModel:
        """Return what was decided about a model; an empty decision where nothing was."""
        return self.all().get(name, SiteModel())

    def change(self, name: str, change: Callable[[SiteModel], SiteModel]) -> SiteModel:
        """Return what is decided about a model after a change; the whole file is replaced at once.

        Raises:
            TransportError: The folder can't be written.
        """
        models = self.all()
        models[name] = change(models.get(name, SiteModel()))
        document = {
            "schema": SCHEMA,
            "version": VERSION,
            "models": {key: asdict(model) for key, model in sorted(models.items())},
        }
        text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, made = tempfile.mkstemp(dir=self.folder, prefix=".site-", suffix=".json")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(made, self.file)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(made)
                raise
        except OSError as error:
            raise TransportError(
                f"{self.folder} can't be written: {error.strerror}", "a folder for the site's models"
            ) from error
        return models[name]


def _site_model(table: Mapping[str, Any]) -> SiteModel:
    enabled = table["enabled"]
    if enabled not in (True, False, None):
        raise ValueError(f"enabled is {enabled!r}")
    return SiteModel(
        enabled,
        table["weights"],
        {name: _operating_point(point) for name, point in table["thresholds"].items()},
        tuple(_validation(each) for each in table["validations"]),
        tuple(Act(**act) for act in table["acts"]),
    )


def _operating_point(table: Mapping[str, Any]) -> OperatingPoint:
    values = {f.name: table[f.name] for f in fields(OperatingPoint)}
    values["threshold"] = float(values["threshold"])
    if not 0 <= values["threshold"] <= 1:
        raise ValueError(f"threshold {values['threshold']}")
    for name in ("sensitivity", "specificity"):
        values[name] = SiteFigure(**values[name])
    return OperatingPoint(**values)


def _validation(table: Mapping[str, Any]) -> LocalValidation:
    values = {f.name: table[f.name] for f in fields(LocalValidation)}
    values["metrics"] = {name: SiteFigure(**figure) for name, figure in values["metrics"].items()}
    values["curve"] = tuple(CurveBin(**each) for each in values["curve"])
    return LocalValidation(**values)
