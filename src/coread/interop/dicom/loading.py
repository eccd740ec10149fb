"""The parts of a series with their modality values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import Cine, Geometry, Image, ImagePlane, Note, TimeSeries, Volume
from coread.errors import DataError
from coread.interop.dicom.attributes import quiet
from coread.interop.dicom.header import Instance
from coread.interop.dicom.pixels import decode_frame
from coread.interop.dicom.projection import acquisition
from coread.interop.dicom.series import PartLayout, arrange_series
from coread.interop.dicom.values import (
    Window,
    is_inverted,
    modality_values,
    padding_mask,
    scale_of,
    turned_over,
)

Value = Volume | TimeSeries | Image | Cine


@dataclass(frozen=True, slots=True, eq=False)
class SeriesPart:
    """One part of a series: its value, its stable key, notes and windows."""

    value: Value
    key: str
    notes: tuple[Note, ...]
    windows: tuple[Window, ...] = ()
    layout: PartLayout | None = field(default=None, repr=False)


def load_series(instances: Sequence[Instance]) -> tuple[SeriesPart, ...]:
    """Return the parts of one or more series with their modality values.

    Instances whose pixels are damaged are left out, with a note; the rest is arranged without them.

    Args:
        instances: Images with their pixels; objects among them are left out.

    Raises:
        DataError: No instance has pixels that can be decoded.
    """
    usable, lost = list(instances), list[tuple[str, DataError]]()
    while True:
        layouts = arrange_series(usable)
        try:
            parts = tuple(load_part(layout) for layout in layouts)
        except _UndecodableError as error:
            lost.append((error.instance, error.cause))
            usable = [i for i in usable if i.header.instance != error.instance]
            if not any(i.header.role == "image" for i in usable):
                raise error.cause from None
            continue
        if not lost:
            return parts
        number_ = len(lost)
        words_ = f"{number_} image{'s' if number_ > 1 else ''} left out: {lost[0][1].came}."
        note = Note("warning", "undecodable", words_)
        return tuple(replace(part, notes=(*part.notes, note)) for part in parts)


class _UndecodableError(Exception):
    def __init__(self, instance: str, cause: DataError) -> None:
        super().__init__(instance, cause)
        self.instance = instance
        self.cause = cause


def load_part(layout: PartLayout) -> SeriesPart:
    """Return a part with its modality values.

    Args:
        layout: As `arrange_series` gives it, of instances with their pixels.
    """
    with quiet():
        value: Value = _load_stack(layout) if layout.slices else _load_flat(layout)
    return SeriesPart(value, layout.key, layout.notes, layout.windows, layout)


class _Decoder:
    """Decodes frames, each once in a row: the tiles of a mosaic share one."""

    def __init__(self) -> None:
        self._last: tuple[str, int] | None = None
        self._frame: NDArray[Any] = np.empty(0)

    def __call__(self, instance: Instance, frame: int) -> NDArray[Any]:
        key = (instance.header.instance, frame)
        if key != self._last:
            try:
                self._frame = decode_frame(instance.dataset, frame)
            except DataError as error:
                raise _UndecodableError(instance.header.instance, error) from None
            self._last = key
        return self._frame


def _load_stack(layout: PartLayout) -> Volume | TimeSeries:
    decoder = _Decoder()
    slices = layout.slices
    values: NDArray[Any] | None = None
    padding: NDArray[np.bool_] | None = None
    for n, one in enumerate(slices):
        dataset = one.instance.dataset
        top, left = one.tile
        stored = decoder(one.instance, one.frame)[top : top + one.shape[0], left : left + one.shape[1]]
        scale = scale_of(one.groups)
        mask = padding_mask(stored, dataset) if stored.ndim == 2 else None
        plain = turned_over(stored, dataset) if is_inverted(dataset, scale.unit) else stored
        plane = modality_values(plain, scale) if stored.ndim == 2 else plain
        if values is None:
            values = np.empty((len(slices), *plane.shape), plane.dtype)
        if plane.dtype != values.dtype:
            values = values.astype(np.float32)
        values[n] = plane
        if mask is not None:
            if padding is None:
                padding = np.zeros((len(slices), *one.shape), np.bool_)
            padding[n] = mask
    assert values is not None
    geometry = layout.grid
    assert isinstance(geometry, Geometry)
    first = slices[0]
    made = replace(acquisition(first.instance), localizer=first.localizer)
    uids = tuple(dict.fromkeys(one.instance.header.instance for one in slices))
    if layout.kind == "series":
        in_time = values.reshape(layout.shape[:1] + geometry.shape + values.shape[3:])
        return TimeSeries(
            in_time,
            layout.times_s,
            geometry,
            layout.unit,
            made,
            layout.frame_of_reference,
            uids,
            layout.series,
        )
    return Volume(
        values, geometry, layout.unit, made, layout.frame_of_reference, uids, layout.series, padding
    )


def _load_flat(layout: PartLayout) -> Image | Cine:
    decoder = _Decoder()
    (instance,) = layout.instances
    dataset = instance.dataset
    scale = scale_of((dataset,))
    frames = []
    for source in layout.frames:
        stored = decoder(instance, source.frame)
        if stored.ndim == 3:
            frames.append(stored)
            continue
        plain = turned_over(stored, dataset) if is_inverted(dataset, scale.unit) else stored
        frames.append(modality_values(plain, scale))
    plane = layout.grid
    assert isinstance(plane, ImagePlane)
    made, uid = acquisition(instance), instance.header.instance
    if layout.kind == "cine":
        return Cine(np.stack(frames), layout.times_s, plane, layout.unit, made, uid, layout.series)
    return Image(frames[0], plane, layout.unit, made, uid, layout.series)
