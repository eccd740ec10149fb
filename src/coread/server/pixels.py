"""Pixels for the page and for DICOMweb: parts by the headers, frames decoded once and kept for a while."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from coread.errors import InputError
from coread.interop.dicom import (
    FrameSource,
    Instance,
    PartLayout,
    arrange_series,
    decode_frame,
    load_part,
    read_instance,
)
from coread.interop.dicom.attributes import integer, number
from coread.storage import StoredInstance
from coread.workflow.visibility import HiddenError, View

if TYPE_CHECKING:
    from coread.server.site import Site

T = TypeVar("T")
_NOTHING = object()


class PixelCache:
    """What was decoded last, up to a number of bytes; keys are content digests, so nothing grows stale."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: OrderedDict[object, tuple[Any, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """Return what is kept under a key, made now where it isn't; the longest unused makes room."""
        with self._lock:
            found, _ = self._kept.get(key, (_NOTHING, 0))
            if found is not _NOTHING:
                self._kept.move_to_end(key)
                kept: T = found
                return kept
        made = make()
        weight = size(made)
        with self._lock:
            if key not in self._kept and weight <= self._limit:
                self._kept[key] = (made, weight)
                self._size += weight
            while self._size > self._limit:
                _, (_, gone) = self._kept.popitem(last=False)
                self._size -= gone
        return made


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a series as the caller may see it.

    Attributes:
        layout: Its arrangement, by the headers.
        dtype: In which its values are given: ``int16`` where that holds them exactly, else ``float32``,
            or the type of colour.
        channels: 1, or 3 for colour.
        study: Study instance UID.
    """

    layout: PartLayout
    dtype: np.dtype[Any]
    channels: int
    study: str

    @property
    def version(self) -> str:
        """Changes when planes come or go: an address of a block holds it, so that none is mistaken."""
        planes = "".join(f"{source.instance}/{source.frame} " for source in self.layout.frames)
        return hashlib.sha256(planes.encode()).hexdigest()[:16]


def parts(site: Site, view: View, study: str, series: str) -> tuple[Part, ...]:
    """Return the parts of a visible series; its headers are read once."""
    images = tuple(row for row in view.instances(study, series) if row.header.role == "image")
    if not images:
        return ()
    digest = hashlib.sha256("".join(row.digest for row in images).encode()).hexdigest()

    def arrange() -> tuple[Part, ...]:
        instances = [read_instance(site.library.objects.get(row.digest), pixels=False) for row in images]
        by_uid = {instance.header.instance: instance for instance in instances}
        found = []
        for layout in arrange_series(instances):
            used = [by_uid[uid] for uid in dict.fromkeys(source.instance for source in layout.frames)]
            channels = 3 if _is_colour(used[0]) else 1
            found.append(Part(layout, _dtype(used, colour=channels == 3), channels, study))
        return tuple(found)

    return site.pixels.get(("parts", digest), arrange, lambda found: 20_000 * len(images))


def part(site: Site, view: View, study: str, key: str) -> Part:
    """Return a visible part by its key.

    Raises:
        HiddenError: There is none to see.
    """
    for row in view.series(study):
        if key == row.uid or key.startswith(f"{row.uid}."):
            for found in parts(site, view, study, row.uid):
                if found.layout.key == key:
                    return found
    raise HiddenError


def block(site: Site, view: View, part: Part, first: int, count: int) -> NDArray[Any]:
    """Return modality values of consecutive planes: (count, rows, columns[, channels]), little endian.

    Raises:
        InputError: There is no such plane.
    """
    sources = part.layout.frames[first : first + count]
    if not sources:
        raise InputError(
            f"planes from {first} of a part with {len(part.layout.frames)}", "a plane that is there"
        )
    rows = {row.header.instance: row for row in view.instances(part.study, part.layout.series)}
    planes = [_plane(site, rows[source.instance], source) for source in sources]
    return np.stack(planes).astype(part.dtype.newbyteorder("<"), copy=False)


def stored_frame(site: Site, row: StoredInstance, frame: int) -> NDArray[Any]:
    """Return a decoded frame of an instance, by its number from 0, as `decode_frame` gives it."""

    def decode() -> NDArray[Any]:
        return decode_frame(instance(site, row).dataset, frame)

    return site.pixels.get(("frame", row.digest, frame), decode, lambda array: array.nbytes)


def instance(site: Site, row: StoredInstance) -> Instance:
    """Return an instance with its undecoded pixels; one of many frames is kept for the next one."""
    if row.header.frames <= 1:
        return read_instance(site.library.objects.get(row.digest))
    key = ("instance", row.digest)
    return site.pixels.get(
        key, lambda: read_instance(site.library.objects.get(row.digest)), lambda _: row.size
    )


def _plane(site: Site, row: StoredInstance, source: FrameSource) -> NDArray[Any]:
    planes = site.pixels.get(
        ("values", row.digest),
        lambda: _planes(site, row),
        lambda found: sum(plane.nbytes for plane in found.values()),
    )
    return planes[source]


def _planes(site: Site, row: StoredInstance) -> dict[FrameSource, NDArray[Any]]:
    """Return the modality values of all planes of one instance."""
    found: dict[FrameSource, NDArray[Any]] = {}
    for layout in arrange_series([read_instance(site.library.objects.get(row.digest))]):
        values = np.asarray(load_part(layout).value.values)
        leading = len(layout.shape) - 2
        flat = values.reshape(-1, *values.shape[leading:])
        dtype = np.int16 if values.dtype.kind == "f" and _fits_int16(values) else values.dtype
        found.update(zip(layout.frames, flat.astype(dtype, copy=False), strict=True))
    return found


def _fits_int16(values: NDArray[Any]) -> bool:
    return bool(values.min() >= -32768 and values.max() <= 32767 and np.array_equal(values, np.rint(values)))


def _is_colour(instance: Instance) -> bool:
    photometric = str(instance.dataset.get("PhotometricInterpretation", ""))
    return (integer(instance.dataset, "SamplesPerPixel") or 1) > 1 or photometric == "PALETTE COLOR"


def _dtype(instances: Sequence[Instance], *, colour: bool) -> np.dtype[Any]:
    if colour:
        wide = any((integer(i.dataset, "BitsAllocated") or 8) > 8 for i in instances)
        return np.dtype(np.uint16 if wide else np.uint8)
    return np.dtype(np.int16 if all(_in_int16(i) for i in instances) else np.float32)


def _in_int16(instance: Instance) -> bool:
    dataset = instance.dataset
    if "PerFrameFunctionalGroupsSequence" in dataset or "ModalityLUTSequence" in dataset:
        return False
    bits, signed = integer(dataset, "BitsStored") or 16, integer(dataset, "PixelRepresentation") == 1
    if (integer(dataset, "BitsAllocated") or 16) > 16:
        return False
    slope, intercept = number(dataset, "RescaleSlope") or 1.0, number(dataset, "RescaleIntercept") or 0.0
    if not (slope.is_integer() and intercept.is_integer()):
        return False
    ends = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    scaled = [slope * end + intercept for end in ends]
    return min(scaled) >= -32768 and max(scaled) <= 32767
