"""A series into volumes, series in time, images and cines, by the headers of every slice.

What cannot lie in one stack is split, never refused in silence and never re-ordered by instance number:
each split says why in a `Note`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coread.core import Geometry, ImagePlane, Note
from coread.interop.dicom.attributes import number, numbers, quiet
from coread.interop.dicom.geometry import (
    by_place,
    differences,
    equal_steps,
    grouped,
    stack_geometry,
    tilt_degrees,
)
from coread.interop.dicom.header import Instance
from coread.interop.dicom.projection import image_plane
from coread.interop.dicom.slices import Placed, Slice, place
from coread.interop.dicom.values import (
    Window,
    presets,
    scale_of,
    unit_notes,
    windows,
)

PartKind = Literal["volume", "series", "image", "cine"]


@dataclass(frozen=True, slots=True)
class FrameSource:
    """Where a plane of a part comes from: instance, frame from 0, first pixel (mosaics)."""

    instance: str
    frame: int
    tile: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, eq=False)
class PartLayout:
    """One part of a series before its pixels are decoded.

    Attributes:
        key: Stable name: the series UID, with ``.1``, ``.2`` ... behind it where there are several parts.
        kind: What loading it gives.
        shape: (slices, rows, columns), (times, slices, rows, columns), (rows, columns) or
            (times, rows, columns).
        grid: Where it lies.
        frames: Sources in the order of the leading axes, times before slices.
        times_s: Times, for a series and a cine.
        unit: Of the values.
        windows: That it comes with, in that unit.
        presets: Usual windows of its modality.
        notes: What a reader should know: why it was split, what is missing, what was assumed.
        series: UID.
        frame_of_reference: UID, or None.
        slices: What a volume or a series in time is made of, in the order of ``frames``.
        instances: What an image or a cine is made of.
    """

    key: str
    kind: PartKind
    shape: tuple[int, ...]
    grid: Geometry | ImagePlane
    frames: tuple[FrameSource, ...]
    times_s: tuple[float, ...]
    unit: str
    windows: tuple[Window, ...]
    presets: tuple[Window, ...]
    notes: tuple[Note, ...]
    series: str
    frame_of_reference: str | None
    slices: tuple[Slice, ...] = ()
    instances: tuple[Instance, ...] = ()


@dataclass(slots=True)
class _Stack:
    """Slices that belong together, sorted along the normal, with notes on how they came to."""

    slices: list[Slice]
    notes: list[Note]
    places_in_time: int = 1
    times_s: tuple[float, ...] = ()


def arrange_series(instances: Sequence[Instance]) -> tuple[PartLayout, ...]:
    """Return the parts of one or more series, from headers alone.

    The order of the instances does not matter.

    Args:
        instances: Images; objects among them are left out.
    """
    by_series: dict[str, list[Instance]] = {}
    for instance in sorted(instances, key=lambda i: i.header.instance):
        if instance.header.role == "image":
            by_series.setdefault(instance.header.series, []).append(instance)
    with quiet():
        ordered = sorted(by_series.items(), key=lambda s: (_first_number(s[1]), s[0]))
        return tuple(layout for uid, members in ordered for layout in _arrange(uid, members))


def _first_number(members: list[Instance]) -> tuple[int, int]:
    first = members[0].header
    return first.series_number or 0, min(m.header.instance_number or 0 for m in members)


def _arrange(series: str, members: list[Instance]) -> list[PartLayout]:
    placed = Placed()
    for instance in members:
        place(instance, placed)
    stacks = _stacks(placed.slices)
    layouts = [_stack_layout(stack) for stack in stacks]
    for instance, frame, notes in placed.without:
        layouts += _flat_layouts(instance, frame, notes)
    if len(layouts) == 1:
        return [replace(layouts[0], key=series)]
    return [replace(layout, key=f"{series}.{n}") for n, layout in enumerate(layouts, start=1)]


# Stacks


def _stacks(slices: list[Slice]) -> list[_Stack]:
    if not slices:
        return []
    groups = grouped(slices)
    notes: list[Note] = []
    if len(groups) > 1:
        text_ = f"The series mixes {' and '.join(differences(groups))}; it is split by them."
        notes.append(Note("information", "mixed_series", text_))
    stacks = [stack for group in groups for stack in _apart(group, notes)]
    return sorted((part for stack in stacks for part in _evenly_spaced(stack)), key=_stack_order)


def _stack_order(stack: _Stack) -> tuple[Any, ...]:
    first = min(stack.slices, key=lambda s: (s.order[-1], s.key))
    return min(s.instance.header.instance_number or 0 for s in stack.slices), first.order, first.key


def _most_at_one_place(slices: list[Slice]) -> int:
    return max(len(there) for there in by_place(slices))


def _apart(slices: list[Slice], notes: list[Note]) -> list[_Stack]:
    """Return slices at the same place apart: by contrast, then by time, then by number."""
    most = _most_at_one_place(slices)
    if most == 1:
        return [_Stack([there[0] for there in by_place(slices)], notes)]
    for name in dict.fromkeys(key for one in slices for key in one.contrast):
        parts: dict[str, list[Slice]] = {}
        for one in slices:
            parts.setdefault(one.contrast.get(name, ""), []).append(one)
        if len(parts) > 1 and max(_most_at_one_place(part) for part in parts.values()) < most:
            found: list[_Stack] = []
            for value, part in sorted(parts.items(), key=lambda p: _natural(p[0])):
                text_ = f"Split by {name}: {_short(value)}."
                found += _apart(part, [*notes, Note("information", "split_by_contrast", text_)])
            return found
    return _layers(slices, notes)


def _natural(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return float("inf"), value


def _short(value: str) -> str:
    """Return a value for people: numbers with few digits."""
    return re.sub(r"-?\d+\.\d+", lambda digits: f"{float(digits[0]):.3g}", value) or "none"


def _layers(slices: list[Slice], notes: list[Note]) -> list[_Stack]:
    places = [sorted(there, key=lambda s: (s.order, s.key)) for there in by_place(slices)]
    counts = {len(there) for there in places}
    if len(counts) == 1:
        count = counts.pop()
        layers = [[there[t] for there in places] for t in range(count)]
        times = _times(layers)
        even = all(equal_steps(_positions(layer)) == [(0, len(layer))] for layer in layers)
        same = all(_same_place(layer, layers[0]) for layer in layers)
        if times is not None and even and same:
            flat = [one for layer in layers for one in layer]
            return [_Stack(flat, notes, places_in_time=count, times_s=times)]
        note = Note("warning", "same_place", f"{count} slices lie at each place; kept apart by their number.")
        return [_Stack(layer, [*notes, note]) for layer in layers]
    note = Note(
        "warning", "duplicate_slices", "Several slices lie at the same place; the later ones are kept apart."
    )
    layers = [[there[t] for there in places if len(there) > t] for t in range(max(counts))]
    return [_Stack(layer, [*notes, note]) for layer in layers]


def _positions(slices: Sequence[Slice]) -> NDArray[np.float64]:
    return np.stack([one.position for one in slices])


def _same_place(a: list[Slice], b: list[Slice]) -> bool:
    return bool(np.linalg.norm(_positions(a) - _positions(b), axis=1).max() <= 0.1)


def _times(layers: list[list[Slice]]) -> tuple[float, ...] | None:
    """Return seconds of each layer after the first, or None where they are not known or do not rise."""
    if any(one.time_s is None for layer in layers for one in layer):
        return None
    clock = np.array([np.median([one.time_s or 0.0 for one in layer]) for layer in layers])
    if (np.diff(clock) <= 0).any():
        return None
    return tuple(round(float(t), 6) for t in clock - clock[0])


def _evenly_spaced(stack: _Stack) -> list[_Stack]:
    if stack.places_in_time > 1:
        return [stack]
    positions = _positions(stack.slices)
    runs = equal_steps(positions)
    if len(runs) == 1:
        return [stack]
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    note = _steps_note(steps)
    return [_Stack(stack.slices[first:behind], [*stack.notes, note]) for first, behind in runs]


def _steps_note(steps: NDArray[np.float64]) -> Note:
    usual = float(np.median(steps))
    multiples = np.round(steps / usual)
    whole = np.abs(steps - multiples * usual) <= 0.1 * usual
    if whole.all() and (multiples >= 1).all():
        missing = int((multiples - 1).sum())
        text_ = f"{missing} slice{'s are' if missing > 1 else ' is'} missing; the series is split there."
        return Note("warning", "missing_slices", text_)
    distinct = sorted({round(float(s), 2) for s in steps})
    listed = ", ".join(f"{s:.2f}" for s in distinct[:6]) + (" ..." if len(distinct) > 6 else "")
    return Note(
        "warning",
        "uneven_steps",
        f"The distances between slices differ ({listed} mm); split where they change.",
    )


def _stack_layout(stack: _Stack) -> PartLayout:
    count = len(stack.slices) // stack.places_in_time
    first = stack.slices[0]
    header, groups = first.instance.header, first.groups
    geometry = stack_geometry(stack.slices[:count])
    scale = scale_of(groups)
    notes = [*stack.notes, *unit_notes(groups[-1])]
    tilt = tilt_degrees(geometry)
    if count > 1 and tilt > 0.1:
        text_ = f"The stack is sheared by {tilt:.1f} degrees (gantry tilt); its geometry is kept as it is."
        notes.append(Note("information", "gantry_tilt", text_))
    if count == 1:
        known = first.thickness is not None and first.thickness > 0
        text_ = "A single slice" + ("." if known else "; its thickness is not known and taken as 1 mm.")
        notes.append(Note("information" if known else "warning", "single_slice", text_))
    if first.frame_of_reference is None:
        notes.append(
            Note(
                "warning", "no_frame_of_reference", "No frame of reference: it fits no other series for sure."
            )
        )
    in_time = stack.places_in_time > 1
    shape = (stack.places_in_time, *geometry.shape) if in_time else geometry.shape
    return PartLayout(
        key="",
        kind="series" if in_time else "volume",
        shape=shape,
        grid=geometry,
        frames=tuple(FrameSource(s.instance.header.instance, s.frame, s.tile) for s in stack.slices),
        times_s=stack.times_s,
        unit=scale.unit,
        windows=windows(groups, unit=scale.unit),
        presets=presets(header.modality),
        notes=tuple(notes),
        series=header.series,
        frame_of_reference=first.frame_of_reference,
        slices=tuple(stack.slices),
    )


# Pictures without a place


def _flat_layouts(instance: Instance, frame: int | None, notes: tuple[Note, ...]) -> list[PartLayout]:
    dataset, header = instance.dataset, instance.header
    plane, spacing_notes = image_plane(dataset)
    unit = scale_of((dataset,)).unit
    notes = (*notes, *spacing_notes, *unit_notes(dataset))
    base = PartLayout(
        key="",
        kind="image",
        shape=plane.shape,
        grid=plane,
        frames=(),
        times_s=(),
        unit=unit,
        windows=windows((dataset,), unit=unit),
        presets=(),
        notes=notes,
        series=header.series,
        frame_of_reference=header.frame_of_reference,
        instances=(instance,),
    )
    if frame is not None:
        return [replace(base, frames=(FrameSource(header.instance, frame),))]
    sources = tuple(FrameSource(header.instance, n) for n in range(header.frames))
    times = _cine_times(instance)
    if header.frames > 1 and times is not None:
        return [
            replace(base, kind="cine", shape=(header.frames, *plane.shape), frames=sources, times_s=times)
        ]
    if header.frames > 1:
        note = Note(
            "information", "frames_without_time", "Frames without place and time are shown one by one."
        )
        base = replace(base, notes=(*notes, note))
    return [replace(base, frames=(source,)) for source in sources]


def _cine_times(instance: Instance) -> tuple[float, ...] | None:
    """Return seconds of each frame after the first, or None where the file does not say."""
    dataset, frames = instance.dataset, instance.header.frames
    vector = numbers(dataset, "FrameTimeVector")
    if len(vector) == frames and min(vector) >= 0:
        return tuple(float(t) for t in np.cumsum((0.0, *vector[1:])) / 1000.0)
    step_ms = number(dataset, "FrameTime")
    rate = number(dataset, "CineRate") or number(dataset, "RecommendedDisplayFrameRate")
    if not step_ms and rate and rate > 0:
        step_ms = 1000.0 / rate
    if not step_ms or step_ms <= 0:
        return None
    return tuple(round(n * step_ms / 1000.0, 9) for n in range(frames))
