"""Which findings of reader and model are the same: one rule, versioned, stored with the read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coread.core import region as places
from coread.core import vocabulary
from coread.core.codes import CodedConcept
from coread.core.finding import Finding
from coread.core.region import OnInstance, Point
from coread.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSettings:
    """Distances of the rule; changing one changes the version.

    Attributes:
        grow_mm: A point pairs with a region grown by this much.
        centre_mm: Centres nearer than this pair, or nearer than half the larger diameter.
        centre_fraction: On planes without spacing, the limit as a part of the longer side.
    """

    grow_mm: float = 5.0
    centre_mm: float = 10.0
    centre_fraction: float = 0.05

    def __post_init__(self) -> None:
        if min(self.grow_mm, self.centre_mm, self.centre_fraction) < 0:
            raise InputError("the distances of the rule are not negative")

    @property
    def version(self) -> str:
        """Version of the rule with these distances."""
        return f"1/{self.grow_mm:g}mm/{self.centre_mm:g}mm/{self.centre_fraction:g}"


@dataclass(frozen=True, slots=True)
class Difference:
    """Reader against model.

    Attributes:
        contradicted: (reader's ``absent``, model's ``present``) identifiers; shown first.
        model_only: Identifiers of the model's findings without a pair.
        reader_only: Identifiers of the reader's findings without a pair.
        agreed: (reader, model) identifiers.
        version: Of the rule.
    """

    contradicted: tuple[tuple[str, str], ...]
    model_only: tuple[str, ...]
    reader_only: tuple[str, ...]
    agreed: tuple[tuple[str, str], ...]
    version: str


def compare(
    reader: Sequence[Finding], model: Sequence[Finding], settings: MatchSettings | None = None
) -> Difference:
    """Return how the findings of reader and model pair.

    Concepts pair when equal or ancestor and descendant, sides when they don't contradict, regions by
    distance. Pairing is one to one: most pairs first, then the least summed distance. ``no_opinion``
    and ``absent`` of a model never pair.
    """
    settings = settings or MatchSettings()
    absent = [f for f in reader if f.status == "absent"]
    positive = [f for f in reader if f.status in ("present", "uncertain")]
    shown = [f for f in model if f.status in ("present", "uncertain")]
    contradicted = [
        (no.id, yes.id)
        for no in absent
        for yes in shown
        if vocabulary.is_a(yes.concept, no.concept) and _sides_agree(no.laterality, yes.laterality)
    ]
    denied = {yes for _, yes in contradicted}
    costs = np.full((len(positive), len(shown)), np.inf)
    for r, mine in enumerate(positive):
        for m, theirs in enumerate(shown):
            cost = pair_distance(mine, theirs, settings)
            if cost is not None:
                costs[r, m] = cost
    pairs = _assign(costs)
    agreed = tuple((positive[r].id, shown[m].id) for r, m in pairs)
    paired = {f for pair in agreed for f in pair}
    contradicting = {no for no, _ in contradicted}
    return Difference(
        contradicted=tuple(contradicted),
        model_only=tuple(f.id for f in shown if f.id not in paired and f.id not in denied),
        reader_only=tuple(
            f.id for f in (*positive, *absent) if f.id not in paired and f.id not in contradicting
        ),
        agreed=agreed,
        version=settings.version,
    )


def pair_distance(a: Finding, b: Finding, settings: MatchSettings) -> float | None:
    """Return the distance at which two findings pair (mm, or pixels), or None where they can't.

    Where a side has no region, place is compared instead and the distance is the limit.
    """
    if not (vocabulary.is_a(a.concept, b.concept) or vocabulary.is_a(b.concept, a.concept)):
        return None
    if not _sides_agree(a.laterality, b.laterality):
        return None
    if a.region is None or b.region is None:
        if a.place is not None and b.place is not None and a.place != b.place:
            return None
        return settings.centre_mm
    if not places.same_space(a.region.space, b.region.space):
        return None
    distance = places.distance(a.region, b.region)
    if distance is None or np.isnan(distance):
        return None
    limit, grow = _limits(a, b, settings)
    if distance <= limit:
        return distance
    for point, other in ((a.region, b.region), (b.region, a.region)):
        if isinstance(point, Point) and places.distance_to(other, point.at) <= grow:
            return distance
    return None


def _limits(a: Finding, b: Finding, settings: MatchSettings) -> tuple[float, float]:
    assert a.region is not None
    assert b.region is not None
    space = a.region.space
    if isinstance(space, OnInstance) and space.plane.spacing_mm is None:
        base = settings.centre_fraction * max(space.plane.shape)
        diameters = a.region.diameter, b.region.diameter
        grow = base
    else:
        base = settings.centre_mm
        diameters = places.diameter_mm(a.region) or 0.0, places.diameter_mm(b.region) or 0.0
        grow = settings.grow_mm
    return max(base, max(diameters) / 2), grow


def _sides_agree(a: CodedConcept | None, b: CodedConcept | None) -> bool:
    return a is None or b is None or a == b or vocabulary.BILATERAL in (a, b)


def _assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the pairing of most pairs and, among those, least cost; infinite cost can't pair.

    Successive shortest augmenting paths (Bellman-Ford): after n paths the pairing is the cheapest of
    n pairs.
    """
    rows, columns = costs.shape
    row_of = [-1] * columns
    column_of = [-1] * rows
    while True:
        reach = np.full(columns, np.inf)
        parent = [-1] * columns
        for r in range(rows):
            if column_of[r] < 0:
                for c in np.flatnonzero(costs[r] < reach).tolist():
                    reach[c], parent[c] = costs[r, c], r
        changed = True
        while changed:
            changed = False
            for c in range(columns):
                r = row_of[c]
                if r < 0 or not np.isfinite(reach[c]):
                    continue
                through = reach[c] - costs[r, c] + costs[r]
                for d in np.flatnonzero(through < reach - 1e-12).tolist():
                    if d != c:
                        reach[d], parent[d], changed = through[d], r, True
        free = [c for c in range(columns) if row_of[c] < 0 and np.isfinite(reach[c])]
        if not free:
            return [(r, c) for r, c in enumerate(column_of) if c >= 0]
        end = min(free, key=lambda c: reach[c])
        while end >= 0:
            r = parent[end]
            row_of[end], column_of[r], end = r, end, column_of[r]
