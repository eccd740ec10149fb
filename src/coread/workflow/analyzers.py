"""The catalogue of analyzers: found by entry point, each with its card."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol, runtime_checkable

from coread.core import Analyzer, Card, card_from_table
from coread.errors import CoreadError, DataError, InputError
from coread.workflow.models import SiteEntry, kept_model, site_entries

GROUP = "coread.analyzers"
logger = logging.getLogger(__name__)


@runtime_checkable
class Adjustable(Protocol):
    """An analyzer whose operating points a site can choose."""

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Analyzer:
        """Return the same at other thresholds, by finding."""
        ...


@dataclass(frozen=True, slots=True)
class Registered:
    """An analyzer that can be run.

    Attributes:
        name: Of its entry point; unique.
        card: What it is for.
        target: ``module:Class``.
        distribution: The package that brings it; ``imported`` for a model from outside.
        settings: What provenance says of its operating points.
        thresholds: Chosen by the site, by finding; empty for those of the card.
        refusal: Why it must not run although the site wants it, or None.
        entry: Of an imported model, or None.
    """

    name: str
    card: Card
    target: str
    distribution: str
    settings: Mapping[str, str] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    refusal: str | None = None
    entry: SiteEntry | None = None

    def load(self) -> Analyzer:
        """Return the analyzer at its operating points, its module imported now.

        Raises:
            DataError: The entry point does not lead to an analyzer, or the files of an imported model can't
                be used; or the site may not run it, with the reason.
        """
        if self.refusal is not None:
            raise DataError(
                f"{self.name} was not run: {self.refusal}",
                "thresholds and weights that belong together",
                f"`coread models show {self.name}` tells more",
            )
        made = self._made()
        if not self.thresholds:
            return made
        if not isinstance(made, Adjustable):
            raise DataError(f"{self.name} takes no threshold of the site", "an analyzer that does")
        return made.with_thresholds(self.thresholds)

    def _made(self) -> Analyzer:
        if self.entry is not None and self.entry.folder is not None:
            changed = (self.entry.folder / "card.toml").stat().st_mtime_ns
            return kept_model(str(self.entry.folder), self.entry.weights, self.entry.preparation, changed)
        made = EntryPoint(self.name, self.target, GROUP).load()()
        if not isinstance(made, Analyzer):
            raise DataError(f"{self.target} has no `analyze`", "an analyzer is a class with that method")
        return made


def read_card(target: str) -> Card:
    """Return the card that lies beside a module: ``package.module:Class`` has ``module.card.toml``.

    Raises:
        DataError: There is no such file, it is no TOML, or the card is not complete.
    """
    module = target.partition(":")[0]
    package, _, stem = module.rpartition(".")
    try:
        text = resources.files(package).joinpath(f"{stem}.card.toml").read_text(encoding="utf-8")
        return card_from_table(tomllib.loads(text))
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise DataError(f"{target} has no card", f"expected {stem}.card.toml beside the module") from error
    except (tomllib.TOMLDecodeError, InputError) as error:
        raise DataError(f"the card of {target} can't be used: {error}") from error


@cache
def discover() -> tuple[Registered, ...]:
    """Return every analyzer that an installed package registers, in the order of their names.

    One whose card can't be read is left out with a line in the log; the others stay usable.
    """
    return tuple(_registered(entry_points(group=GROUP)))


def _registered(found: Iterable[EntryPoint]) -> Iterable[Registered]:
    seen: set[str] = set()
    for point in sorted(found, key=lambda p: (p.name, p.value)):
        if point.name in seen:
            logger.error("analyzer %s is registered twice; %s is left out", point.name, point.value)
            continue
        try:
            card = read_card(point.value)
        except CoreadError as error:
            logger.error("analyzer %s is left out: %s", point.name, error)
            continue
        seen.add(point.name)
        distribution = point.dist.name if point.dist else "unknown"
        yield Registered(point.name, card, point.value, distribution)


def site_analyzers(folder: Path | None) -> tuple[Registered, ...]:
    """Return every analyzer that a site lets run, each at the site's operating points.

    A model that the site has switched off, or has imported and not enabled, is left out. One whose weights
    are others than those that the site decided about stays in and says so instead of running.

    Args:
        folder: Of the site's models; None for what is installed, as its cards say.

    Raises:
        DataError: The site's file is damaged.
    """
    if folder is None:
        return discover()
    entries = site_entries(folder)
    found = [_of_site(each, entries.get(each.name)) for each in known_analyzers(folder)]
    return tuple(registered for registered in found if registered is not None)


def known_analyzers(folder: Path | None) -> tuple[Registered, ...]:
    """Return every analyzer that is installed or imported, whether the site lets it run or not.

    Raises:
        DataError: The site's file is damaged.
    """
    installed = discover()
    names = {registered.name for registered in installed}
    imported = (
        Registered(name, entry.card, "", "imported", entry=entry)
        for name, entry in ({} if folder is None else site_entries(folder)).items()
        if entry.folder is not None and entry.card is not None and name not in names
    )
    return (*installed, *imported)


def _of_site(registered: Registered, entry: SiteEntry | None) -> Registered | None:
    if entry is None:
        return registered
    state, why = entry.standing()
    if state == "off":
        return None
    thresholds = {name: point.threshold for name, point in entry.points.items()}
    refusal = why if state == "refused" else None
    return replace(registered, settings=entry.settings(), thresholds=thresholds, refusal=refusal)


def in_running_order(registered: Iterable[Registered]) -> tuple[Registered, ...]:
    """Return analyzers so that each comes after those whose results or masks it needs.

    Raises:
        InputError: Two need each other.
    """
    waiting = {r.name: r for r in registered}
    ordered: list[Registered] = []
    while waiting:
        ready = [
            r
            for r in waiting.values()
            if not any(name in waiting for need in r.card.needs for name in need.analyzers)
        ]
        if not ready:
            raise InputError(f"these analyzers need each other: {', '.join(sorted(waiting))}")
        ordered += [waiting.pop(r.name) for r in ready]
    return tuple(ordered)
