"""Maps and regions of models as 8-bit arrays on the grid of the part they belong to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coread.core import CodedConcept, Geometry, ImagePlane, LabelMap, Map, Mask, PlaneMask, Segment
from coread.core.region import MaskRegion, OnInstance, PatientSpace
from coread.server.pixels import Part, parts
from coread.workflow.second_reading import SecondReading
from coread.workflow.visibility import HiddenError, ShownResult

if TYPE_CHECKING:
    from coread.server.site import Site


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """An 8-bit array on a part's grid, with the numbers of its ends."""

    values: NDArray[np.uint8]
    part_key: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A region of a result: what it is, where, and the finding it belongs to."""

    identifier: str
    concept: CodedConcept
    mask: Mask | PlaneMask
    frame_of_reference: str | None
    instances: tuple[str, ...]
    finding: str | None
    shown: ShownResult


def maps(shown: ShownResult) -> dict[str, Map]:
    """Return the maps of a run by identifier."""
    found = () if shown.result is None else shown.result.maps
    return {f"{shown.row.id}-h{n}": found_map for n, found_map in enumerate(found)}


def regions(shown: ShownResult) -> Iterator[Region]:
    """Yield the regions of a run: those of its findings, its masks, and its label maps label by label."""
    if shown.result is None:
        return
    for finding in shown.result.findings:
        if isinstance(finding.region, MaskRegion):
            space = finding.region.space
            frame = space.frame_of_reference if isinstance(space, PatientSpace) else None
            instances = (space.instance,) if isinstance(space, OnInstance) else ()
            identifier = f"{finding.id}-r"
            yield Region(
                identifier, finding.concept, finding.region.mask, frame, instances, finding.id, shown
            )
    segments: list[Segment] = list(shown.result.masks)
    for labels in shown.result.labels:
        segments.extend(_labelled(labels))
    for n, segment in enumerate(segments):
        yield Region(
            f"{shown.row.id}-s{n}",
            segment.concept,
            segment.mask,
            segment.frame_of_reference,
            segment.source_instances,
            None,
            shown,
        )


def home(
    site: Site,
    person: SecondReading,
    study: str,
    instances: tuple[str, ...],
    frame_of_reference: str | None,
    grid: Geometry | ImagePlane,
) -> Part | None:
    """Return the visible part that an array belongs to: its source images, else its frame of reference."""
    fallback = None
    for series in person.view.series(study):
        if not series.images:
            continue
        for part in parts(site, person.view, study, series.uid):
            flat = isinstance(grid, ImagePlane)
            if isinstance(part.layout.grid, ImagePlane) != flat:
                continue
            if instances and any(source.instance in instances for source in part.layout.frames):
                return part
            same_frame = (
                frame_of_reference is not None and part.layout.frame_of_reference == frame_of_reference
            )
            if fallback is None and same_frame:
                fallback = part
    return fallback


def time_of(part: Part, instances: tuple[str, ...]) -> int | None:
    """Return at which of a series' times, from 0, all source images of a region were taken, or None."""
    if part.layout.kind != "series" or not instances:
        return None
    slices = part.layout.shape[1]
    times = {n // slices for n, one in enumerate(part.layout.frames) if one.instance in instances}
    return times.pop() if len(times) == 1 else None


def map_volume(site: Site, person: SecondReading, study: str, identifier: str) -> Overlay:
    """Return a map in 8 bits: 0 says nothing, 1 to 255 run from its low to its high end."""
    for shown in _shown(person, study):
        found = maps(shown).get(identifier)
        if found is not None:
            part = home(site, person, study, found.source_instances, found.frame_of_reference, found.grid)
            if part is not None:
                values = _to_bytes(found)
                return Overlay(
                    on_grid(values, found.grid, part.layout.grid), part.layout.key, found.low, found.high
                )
    raise HiddenError


def segment_volume(site: Site, person: SecondReading, study: str, identifier: str) -> Overlay:
    """Return a region in 8 bits: 1 inside, 0 outside."""
    for shown in _shown(person, study):
        for region in regions(shown):
            if region.identifier != identifier:
                continue
            part = home(site, person, study, region.instances, region.frame_of_reference, region.mask.grid)
            if part is not None:
                mask = region.mask.voxels if isinstance(region.mask, Mask) else region.mask.pixels
                values = on_grid(mask.astype(np.uint8), region.mask.grid, part.layout.grid)
                return Overlay(values, part.layout.key, 0.0, 1.0)
    raise HiddenError


def on_grid(
    values: NDArray[np.uint8], source: Geometry | ImagePlane, target: Geometry | ImagePlane
) -> NDArray[np.uint8]:
    """Return values on another grid of the same space: nearest neighbour, 0 outside."""
    if isinstance(source, ImagePlane) or isinstance(target, ImagePlane):
        if source.shape == target.shape:
            return values
        picks = [_nearest(n, size) for n, size in zip(target.shape, source.shape, strict=True)]
        return values[np.ix_(*picks)]
    if source.almost_equal(target, tolerance_mm=0.01):
        return values
    to_source = np.linalg.inv(source.affine) @ target.affine
    slices, rows, columns = target.shape
    j, i = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    plane = to_source[:3, 1:2] * j.ravel() + to_source[:3, 2:3] * i.ravel() + to_source[:3, 3:4]
    found = np.zeros(target.shape, dtype=np.uint8)
    limits = np.array(source.shape)[:, None]
    for k in range(slices):
        index = np.rint(plane + to_source[:3, 0:1] * k).astype(np.intp)
        inside = ((index >= 0) & (index < limits)).all(axis=0)
        flat = found[k].reshape(-1)
        flat[inside] = values[tuple(index[:, inside])]
    return found


def _nearest(target: int, source: int) -> NDArray[np.intp]:
    return np.minimum(((np.arange(target) + 0.5) * source / target).astype(np.intp), source - 1)


def _to_bytes(found: Map) -> NDArray[np.uint8]:
    scaled = (np.clip(found.values, found.low, found.high) - found.low) / (found.high - found.low)
    said = np.isfinite(found.values)
    values: NDArray[Any] = np.where(said, 1 + np.rint(np.where(said, scaled, 0) * 254), 0)
    return values.astype(np.uint8)


def _labelled(labels: LabelMap) -> Iterator[Segment]:
    for value, concept in labels.labels.items():
        yield Segment(concept, labels.mask(value), labels.frame_of_reference, labels.source_instances)


def _shown(person: SecondReading, study: str) -> tuple[ShownResult, ...]:
    # what the reader compares with: after a reveal as it was revealed, for others what they may see
    person.view.study(study)
    if not person.view.unlocked(study):
        raise HiddenError
    return person.comparison(study).results
