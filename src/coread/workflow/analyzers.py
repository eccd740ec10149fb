"""The catalogue of analyzers: found by entry point, each with its card."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.metadata import EntryPoint, entry_points

from coread.core import Analyzer, Card, card_from_table
from coread.errors import CoreadError, DataError, InputError

GROUP = "coread.analyzers"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Registered:
    """An analyzer that can be run.

    Attributes:
        name: Of its entry point; unique.
        card: What it is for.
        target: ``module:Class``.
        distribution: The package that brings it.
    """

    name: str
    card: Card
    target: str
    distribution: str

    def load(self) -> Analyzer:
        """Return the analyzer, its module imported now.

        Raises:
            DataError: The entry point does not lead to an analyzer.
        """
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
