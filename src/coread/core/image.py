"""Arrays with a place: images, series in time, masks, label maps and maps of a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from coread.core.codes import CodedConcept
from coread.core.geometry import Geometry, Grid, ImagePlane
from coread.errors import GeometryError, InputError


def _frozen_array(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _check_shape(what: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    colour = len(shape) == len(expected) + 1 and shape[-1] in (3, 4)
    if shape != expected and not (colour and shape[:-1] == expected):
        raise GeometryError(f"{what} has shape {shape}, the grid says {expected}")


class _Travels:
    """Is made again, and so checked and read-only again, when it arrives in a worker."""

    __slots__ = ()

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), tuple(getattr(self, f.name) for f in fields(self))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Acquisition:
    """What is known of how an image was made; None where the source does not say.

    Attributes:
        modality: DICOM modality, such as ``CT`` or ``DX``.
        body_part: DICOM body part examined, upper case.
        description: Words of the series, as they came.
        manufacturer: Maker of the device.
        device: Model of the device.
        kernel: Reconstruction kernel.
        slice_thickness_mm: Nominal thickness.
        kvp: Tube voltage.
        contrast: Whether a contrast agent is recorded.
        simulated: Whether the image is simulated and says so.
        lossy: Whether it was ever compressed with loss.
        derived: Whether it is derived from other images.
        localizer: Whether it is a localizer (scout).
    """

    modality: str
    body_part: str | None = None
    description: str | None = None
    manufacturer: str | None = None
    device: str | None = None
    kernel: str | None = None
    slice_thickness_mm: float | None = None
    kvp: float | None = None
    contrast: bool | None = None
    simulated: bool = False
    lossy: bool = False
    derived: bool = False
    localizer: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Volume(_Travels):
    """A stack of slices with modality values.

    Attributes:
        values: (slices, rows, columns), or with a colour channel last; float32 or the stored integer
            type; read-only. Modality values: rescale is done, inversion of MONOCHROME1 is too.
        geometry: Where the grid lies.
        unit: ``HU``, ``SUVbw``, ``ADC`` (1e-6 mm2/s), ``stored``, ...
        acquisition: How it was made.
        frame_of_reference: UID, or None.
        source_instances: SOP instance UIDs, one a slice in slice order, or one for a multi-frame.
        series: Series instance UID, or None.
        padding: (slices, rows, columns) bool, true where the source marks no data, or None.
    """

    values: NDArray[Any]
    geometry: Geometry
    unit: str
    acquisition: Acquisition
    frame_of_reference: str | None = None
    source_instances: tuple[str, ...] = ()
    series: str | None = None
    padding: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _check_shape("the volume", self.values.shape, self.geometry.shape)
        object.__setattr__(self, "values", _frozen_array(self.values))
        if self.padding is not None:
            _check_shape("the padding", self.padding.shape, self.geometry.shape)
            object.__setattr__(self, "padding", _frozen_array(self.padding))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    @property
    def grid(self) -> Geometry:
        """The grid, by the name that every located array has."""
        return self.geometry

    def with_values(self, values: NDArray[Any], *, unit: str | None = None) -> Self:
        """Return the same grid with other values, and another unit where one is given."""
        return replace(self, values=values, unit=unit or self.unit)


@dataclass(frozen=True, slots=True, eq=False)
class Image(_Travels):
    """A projection or a single picture without a place in the patient.

    Attributes:
        values: (rows, columns), or with a colour channel last; read-only; white is dense (MONOCHROME1
            is turned over on reading).
        plane: Its pixels' size, view and side.
        unit: ``stored`` unless the source says more.
        acquisition: How it was made.
        source_instance: SOP instance UID, or None.
        series: Series instance UID, or None.
    """

    values: NDArray[Any]
    plane: ImagePlane
    unit: str
    acquisition: Acquisition
    source_instance: str | None = None
    series: str | None = None

    def __post_init__(self) -> None:
        _check_shape("the image", self.values.shape, self.plane.shape)
        object.__setattr__(self, "values", _frozen_array(self.values))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    @property
    def grid(self) -> ImagePlane:
        """The plane, by the name that every located array has."""
        return self.plane

    @property
    def source_instances(self) -> tuple[str, ...]:
        """The source instance as a tuple, as volumes have it."""
        return () if self.source_instance is None else (self.source_instance,)


@dataclass(frozen=True, slots=True, eq=False)
class TimeSeries(_Travels):
    """Volumes of one grid in time: values (t, slice, row, column) at ``times_s``."""

    values: NDArray[Any]
    times_s: tuple[float, ...]
    geometry: Geometry
    unit: str
    acquisition: Acquisition
    frame_of_reference: str | None = None
    source_instances: tuple[str, ...] = ()
    series: str | None = None

    def __post_init__(self) -> None:
        _check_shape("the series", self.values.shape, (len(self.times_s), *self.geometry.shape))
        object.__setattr__(self, "values", _frozen_array(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class Cine(_Travels):
    """Pictures of one plane in time: values (t, row, column[, channel]) at ``times_s``."""

    values: NDArray[Any]
    times_s: tuple[float, ...]
    plane: ImagePlane
    unit: str
    acquisition: Acquisition
    source_instance: str | None = None
    series: str | None = None

    def __post_init__(self) -> None:
        _check_shape("the cine", self.values.shape, (len(self.times_s), *self.plane.shape))
        object.__setattr__(self, "values", _frozen_array(self.values))


@dataclass(frozen=True, slots=True, eq=False)
class Mask(_Travels):
    """A binary region on a grid.

    Attributes:
        voxels: (slices, rows, columns) array of bool, read-only.
        geometry: Where the grid lies in the patient.
    """

    voxels: NDArray[np.bool_]
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape or self.voxels.dtype != np.bool_:
            raise GeometryError(
                f"voxels are {self.voxels.dtype} of shape {self.voxels.shape}, the geometry says "
                f"bool of {self.geometry.shape}"
            )
        object.__setattr__(self, "voxels", _frozen_array(self.voxels))

    @property
    def grid(self) -> Geometry:
        """The grid, by the name that every located array has."""
        return self.geometry

    def with_voxels(self, voxels: NDArray[np.bool_]) -> Self:
        """Return the same grid with other voxels."""
        return replace(self, voxels=voxels)


@dataclass(frozen=True, slots=True, eq=False)
class PlaneMask(_Travels):
    """A binary region on an image plane: ``pixels`` is (rows, columns) of bool, read-only."""

    pixels: NDArray[np.bool_]
    plane: ImagePlane

    def __post_init__(self) -> None:
        if self.pixels.shape != self.plane.shape or self.pixels.dtype != np.bool_:
            raise GeometryError(
                f"pixels are {self.pixels.dtype} of shape {self.pixels.shape}, the plane says "
                f"bool of {self.plane.shape}"
            )
        object.__setattr__(self, "pixels", _frozen_array(self.pixels))

    @property
    def grid(self) -> ImagePlane:
        """The plane, by the name that every located array has."""
        return self.plane


@dataclass(frozen=True, slots=True, eq=False)
class LabelMap:
    """Regions that do not overlap.

    Attributes:
        values: Array of uint16 on the grid, read-only; 0 is background.
        grid: Where it lies.
        labels: What each value means.
        frame_of_reference: UID, or None.
        source_instances: SOP instance UIDs of the image it was drawn on, in slice order.
    """

    values: NDArray[np.uint16]
    grid: Grid
    labels: Mapping[int, CodedConcept]
    frame_of_reference: str | None = None
    source_instances: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_shape("the label map", self.values.shape, self.grid.shape)
        if self.values.dtype != np.uint16:
            raise InputError(f"a label map holds uint16, got {self.values.dtype}")
        unknown = set(np.unique(self.values).tolist()) - {0, *self.labels}
        if unknown or 0 in self.labels:
            raise InputError(f"labels {sorted(unknown) or [0]} have no meaning of their own; name them")
        object.__setattr__(self, "values", _frozen_array(self.values))
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (
            self.values,
            self.grid,
            dict(self.labels),
            self.frame_of_reference,
            self.source_instances,
        )

    def mask(self, label: int) -> Mask | PlaneMask:
        """Return the region of one label."""
        if label not in self.labels:
            raise InputError(f"no label {label} here, only {sorted(self.labels)}")
        region = self.values == label
        if isinstance(self.grid, Geometry):
            return Mask(region, self.grid)
        return PlaneMask(region, self.grid)


@dataclass(frozen=True, slots=True, eq=False)
class Segment(_Travels):
    """One named region: what it is, its mask and the images it was drawn on."""

    concept: CodedConcept
    mask: Mask | PlaneMask
    frame_of_reference: str | None = None
    source_instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Map(_Travels):
    """A number at each place: probability, heat, distance, a parameter.

    Attributes:
        values: float32 array on the grid, read-only; NaN where nothing is said.
        grid: Where it lies.
        meaning: What the number is.
        unit: UCUM unit; ``1`` for a pure number.
        low: Value shown at the bottom of the colour bar.
        high: Value shown at its top.
        says: One sentence on what the map is, and what it is not.
        frame_of_reference: UID, or None.
        source_instances: SOP instance UIDs of the image it belongs to, in slice order.
    """

    values: NDArray[np.float32]
    grid: Grid
    meaning: CodedConcept
    unit: str
    low: float
    high: float
    says: str
    frame_of_reference: str | None = None
    source_instances: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.values.shape != self.grid.shape or self.values.dtype != np.float32:
            raise GeometryError(
                f"the map is {self.values.dtype} of shape {self.values.shape}, the grid says "
                f"float32 of {self.grid.shape}"
            )
        if not self.low < self.high:
            raise InputError(f"the range of a map rises, got {self.low} to {self.high}")
        object.__setattr__(self, "values", _frozen_array(self.values))
