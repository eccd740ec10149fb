"""From image and mask to a region ready to be measured: interpolation, rounding, re-segmentation.

The order is that of the IBSI 1 reference manual, chapter 2; grids are aligned at their centres (3WE3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coread.errors import InputError
from coread.quant.radiomics import _kernels as kernels
from coread.quant.radiomics._typing import Bools, Floats, Ints
from coread.quant.radiomics.settings import Settings

Box = tuple[slice, slice, slice]
_SPLINE_MARGIN = 32  # the spline's pole is -0.268: what lies further weighs less than 1e-18
_EDGE = 12  # voxels of edge repeated before the spline


@dataclass(frozen=True, slots=True)
class Axis:
    """How one axis of a grid is resampled.

    Attributes:
        size: Voxels before.
        new_size: Voxels after.
        step: New spacing in old voxels; 1 keeps the axis.
        first: Place of the first new voxel in old voxels.
    """

    size: int
    new_size: int
    step: float = 1.0
    first: float = 0.0

    @property
    def kept(self) -> bool:
        """Whether nothing changes."""
        return self.step == 1.0 and self.size == self.new_size

    def positions(self, start: int, stop: int) -> Floats:
        """Return places of new voxels ``start`` to ``stop`` in old voxels."""
        return np.asarray(self.first + self.step * np.arange(start, stop, dtype=np.float64))

    def covering(self, first: int, last: int) -> tuple[int, int]:
        """Return the new voxels (start, stop) that old voxels ``first`` to ``last`` can touch."""
        if self.kept:
            return first, last + 1
        places = self.positions(0, self.new_size)
        touched = (places > first - 1) | (first == 0)
        touched &= (places < last + 1) | (last == self.size - 1)
        found = np.flatnonzero(touched)
        return (int(found[0]), int(found[-1]) + 1) if found.size else (0, 0)


def resampling_axes(
    shape: tuple[int, ...],
    spacing_mm: Floats,
    wanted_mm: tuple[float | None, float | None, float | None] | None,
    *,
    share_corner: bool = False,
) -> tuple[Axis, Axis, Axis]:
    """Return how each axis is resampled to a wanted spacing (IBSI UMPJ).

    Grids share their centre (3WE3), or the corner of their first voxel, as PyRadiomics has it.
    """
    axes = []
    for size, old, new in zip(shape, spacing_mm, wanted_mm or (None,) * 3, strict=True):
        if new is None or abs(new - old) <= 1e-6 * old:
            axes.append(Axis(size, size))
        else:
            step = float(new / old)
            if share_corner:
                new_size = max(1, int(np.ceil(np.round(size / step - 0.5, 6))))
                axes.append(Axis(size, new_size, step, (step - 1) / 2))
            else:
                new_size = max(1, int(np.ceil(np.round(size / step, 6))))
                first = (size - 1) / 2 - step * (new_size - 1) / 2
                axes.append(Axis(size, new_size, step, first))
    return axes[0], axes[1], axes[2]


def _along(box: Floats, axis: int, first: Ints, weights: Floats) -> Floats:
    inner = int(np.prod(box.shape[axis + 1 :], dtype=np.int64))
    outer = int(np.prod(box.shape[:axis], dtype=np.int64))
    shaped = np.ascontiguousarray(box).reshape(outer, box.shape[axis], inner)
    result = kernels.resample_middle(shaped, first, weights)
    return result.reshape(box.shape[:axis] + (first.size,) + box.shape[axis + 1 :])


def _linear(places: Floats, size: int) -> tuple[Ints, Floats]:
    places = np.clip(places, 0, size - 1)
    first = np.floor(places).astype(np.int64)
    part = places - first
    return first, np.stack([1 - part, part], axis=1)


def _cubic(places: Floats) -> tuple[Ints, Floats]:
    first = np.floor(places).astype(np.int64)
    t = places - first
    weights = [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]
    return first - 1, np.stack(weights, axis=1) / 6


def resample(
    values: NDArray[Any],
    axes: tuple[Axis, Axis, Axis],
    target: Box,
    interpolation: Literal["linear", "cubic"],
    *,
    edge: Literal["edge", "reflect"] = "edge",
) -> Floats:
    """Return a box of the resampled image in double precision.

    Args:
        values: The whole image; only what the box needs is read.
        axes: How each axis is resampled.
        target: The box on the new grid.
        interpolation: Trilinear, or tricubic spline with its prefilter.
        edge: How the image goes on beyond its edge before the spline.
    """
    reach = 0 if interpolation == "linear" else _SPLINE_MARGIN
    crop = []
    starts = []
    for axis, part in zip(axes, target, strict=True):
        if axis.kept:
            crop.append(part)
            starts.append(part.start)
            continue
        places = axis.positions(part.start, part.stop)
        low = max(0, int(np.floor(places[0])) - reach)
        high = min(axis.size, int(np.floor(places[-1])) + 2 + reach)
        crop.append(slice(min(low, axis.size - 1), max(high, 1)))
        starts.append(crop[-1].start)
    box: Floats = values[tuple(crop)].astype(np.float64)
    for n, (axis, part) in enumerate(zip(axes, target, strict=True)):
        if axis.kept:
            continue
        places = axis.positions(part.start, part.stop) - starts[n]
        if interpolation == "linear":
            first, weights = _linear(places, box.shape[n])
        else:
            from scipy import ndimage  # slow to import, and only splines need it

            pad = [(0, 0)] * 3
            pad[n] = (_EDGE, _EDGE)
            box = ndimage.spline_filter1d(np.pad(box, pad, mode=edge), 3, n, mode="mirror")
            first, weights = _cubic(places + _EDGE)
        box = _along(box, n, first, weights)
    return np.ascontiguousarray(box)


@dataclass(frozen=True, slots=True)
class Region:
    """A region to be measured: a mask on the image's grid, or one label of a label map.

    Attributes:
        name: Label of the region in the results.
        array: (slices, rows, columns) bool, or whole numbers with ``value``.
        box: First and last index of each axis, (3, 2); None for an empty region.
        value: The label, or None for a mask.
    """

    name: str
    array: NDArray[Any]
    box: tuple[tuple[int, int], ...] | None
    value: int | None = None

    def crop(self, box: Box) -> Bools:
        """Return the region in a box of the image's grid."""
        part = self.array[box]
        return part.astype(bool) if self.value is None else part == self.value


def mask_box(mask: NDArray[Any]) -> tuple[tuple[int, int], ...] | None:
    """Return the first and last index of each axis that a mask covers, None if it is empty."""
    rows: Bools = np.any(mask, axis=2)
    slices = np.flatnonzero(rows.any(axis=1))
    if slices.size == 0:
        return None
    start = int(slices[0])
    part = np.array(mask[start : slices[-1] + 1], dtype=bool, order="C")
    _, k0, k1, j0, j1, i0, i1 = (int(n) for n in kernels.extent(part))
    return (start + k0, start + k1), (j0, j1), (i0, i1)


def regions_of(
    masks: Mapping[str, NDArray[np.bool_]] | NDArray[Any],
    names: Mapping[int, str] | None = None,
) -> tuple[Region, ...]:
    """Return the regions of masks by name, which may overlap, or of a label map by label."""
    if isinstance(masks, Mapping):
        return tuple(Region(name, mask, mask_box(mask)) for name, mask in masks.items())
    labels = np.ascontiguousarray(masks, dtype=np.uint16)
    boxes = kernels.label_boxes(labels, int(labels.max(initial=0)))
    names = names or {n: str(n) for n, box in enumerate(boxes) if n and box[1] >= 0}
    regions = []
    for value, name in names.items():
        box = boxes[value] if value < len(boxes) else None
        place = None
        if box is not None and box[1] >= 0:
            place = tuple((int(box[2 * a]), int(box[2 * a + 1])) for a in range(3))
        regions.append(Region(name, labels, place, value))
    return tuple(regions)


class ImageSource:
    """An image on its new grid, made box by box."""

    def __init__(self, values: NDArray[Any], spacing_mm: Floats, settings: Settings) -> None:
        if values.ndim != 3:
            raise InputError(f"an image has slices, rows and columns, got shape {values.shape}")
        if settings.normalise is not None:
            spread = float(np.std(values, dtype=np.float64, ddof=1))
            centred = values - float(np.mean(values, dtype=np.float64))
            values = centred * (settings.normalise / spread if spread > 0 else 0.0)
        self.values = values
        self.old_spacing_mm = np.asarray(spacing_mm, dtype=np.float64)
        self.settings = settings
        self.as_pyradiomics = settings.compatibility == "pyradiomics"
        self.axes = resampling_axes(
            values.shape, self.old_spacing_mm, settings.spacing_mm, share_corner=self.as_pyradiomics
        )
        self.shape = tuple(axis.new_size for axis in self.axes)
        self.spacing_mm = np.array(
            [
                old if axis.kept else new
                for axis, old, new in zip(
                    self.axes, self.old_spacing_mm, settings.spacing_mm or self.old_spacing_mm, strict=True
                )
            ],
            dtype=np.float64,
        )

    @cached_property
    def whole(self) -> Floats:
        """The whole resampled image."""
        return self._made((slice(0, self.shape[0]), slice(0, self.shape[1]), slice(0, self.shape[2])))

    def box(self, box: Box) -> Floats:
        """Return a box of the new grid, rounded where the settings say so."""
        if "whole" in self.__dict__:
            return self.whole[box]
        return self._made(box)

    def _made(self, box: Box) -> Floats:
        values = self.values
        rounded = self.settings.round_intensities
        if all(axis.kept for axis in self.axes):
            part: Floats = values[box].astype(np.float64)
            return np.rint(part) if rounded else part
        if rounded and not np.issubdtype(values.dtype, np.integer):
            values = _Rounded(values)  # type: ignore[assignment]
        edge: Literal["edge", "reflect"] = "reflect" if self.as_pyradiomics else "edge"
        part = resample(values, self.axes, box, self.settings.interpolation, edge=edge)
        if self.as_pyradiomics and np.issubdtype(self.values.dtype, np.integer):
            return np.trunc(part)
        # Halves must go the same way whichever side the weights were summed from.
        return np.rint(np.round(part, 6)) if rounded else part

    def region_mask(self, region: Region) -> tuple[Box, Bools] | None:
        """Return a region on the new grid, cut to its box; None where nothing is left of it."""
        if region.box is None:
            return None
        spans = [
            axis.covering(first, last) for axis, (first, last) in zip(self.axes, region.box, strict=True)
        ]
        target = _box(spans)
        if all(axis.kept for axis in self.axes):
            return target, np.ascontiguousarray(region.crop(target))
        if min(stop - start for start, stop in spans) < 1:
            return None
        if self.settings.mask_interpolation == "nearest":
            nearest = [
                np.clip(np.floor(axis.positions(*span) + 0.5).astype(np.int64), 0, axis.size - 1)
                for axis, span in zip(self.axes, spans, strict=True)
            ]
            around = _box([(int(n.min()), int(n.max()) + 1) for n in nearest])
            part = region.crop(around)
            mask = part[np.ix_(*(n - b.start for n, b in zip(nearest, around, strict=True)))]
        else:
            share = resample(_Cropped(region), self.axes, target, "linear")  # type: ignore[arg-type]
            mask = np.round(share, 6) >= self.settings.mask_threshold
        tight = mask_box(mask)
        if tight is None:
            return None
        inner = _box([(first, last + 1) for first, last in tight])
        place = _box(
            [(span[0] + part.start, span[0] + part.stop) for span, part in zip(spans, inner, strict=True)]
        )
        return place, np.ascontiguousarray(mask[inner])


class _Rounded:
    """An image that is rounded where it is read."""

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values

    def __getitem__(self, box: Box) -> NDArray[Any]:
        return np.asarray(np.rint(self._values[box]))


class _Cropped:
    """A region that is made where it is read."""

    def __init__(self, region: Region) -> None:
        self._region = region

    def __getitem__(self, box: Box) -> Bools:
        return self._region.crop(box)


def _box(spans: list[tuple[int, int]]) -> Box:
    return slice(*spans[0]), slice(*spans[1]), slice(*spans[2])


def grown(box: Box, margin: Ints, shape: tuple[int, ...]) -> tuple[Box, Box]:
    """Return a box grown by a margin within the image, and where the old box lies in it."""
    outer = [
        (max(0, part.start - int(m)), min(size, part.stop + int(m)))
        for part, m, size in zip(box, margin, shape, strict=True)
    ]
    inner = [(part.start - low, part.stop - low) for part, (low, _) in zip(box, outer, strict=True)]
    return _box(outer), _box(inner)


def resegmented(image: Floats, mask: Bools, settings: Settings) -> Bools:
    """Return the intensity mask: voxels in range and no outliers, both judged before either acts."""
    low, high = -np.inf, np.inf
    if settings.intensity_range is not None:
        given_low, given_high = settings.intensity_range
        low = -np.inf if given_low is None else given_low
        high = np.inf if given_high is None else given_high
    if settings.outlier_sigma is not None and np.isfinite(image[mask]).any():
        values = image[mask]
        values = values[np.isfinite(values)]
        mean, spread = float(values.mean()), float(values.std()) * settings.outlier_sigma
        low, high = max(low, mean - spread), min(high, mean + spread)
    if np.isinf(low) and np.isinf(high):
        return mask & ~np.isnan(image)
    return mask & (image >= low) & (image <= high)
