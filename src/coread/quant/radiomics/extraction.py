"""Radiomics features of the regions of an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import Geometry, Image, LabelMap, Mask, PlaneMask, Volume
from coread.errors import GeometryError, InputError
from coread.quant.radiomics import _kernels as kernels
from coread.quant.radiomics._typing import Bools, Floats, Ints
from coread.quant.radiomics.alignment import aligned
from coread.quant.radiomics.filters import Filter
from coread.quant.radiomics.intensity import peak_margin
from coread.quant.radiomics.measurement import PreparedRegion, measure, unmeasured
from coread.quant.radiomics.preparation import (
    Box,
    ImageSource,
    Region,
    grown,
    mask_box,
    regions_of,
    resegmented,
)
from coread.quant.radiomics.settings import IN_PLANE, Settings
from coread.quant.radiomics.table import Feature, FeatureTable

Masks = Mapping[str, Mask] | Mapping[str, PlaneMask] | LabelMap | Mask | PlaneMask
Progress = Callable[[float], None]


def extract(
    volume: Volume | Image,
    masks: Masks,
    settings: Settings,
    *,
    case: str = "",
    diagnostics: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
) -> FeatureTable:
    """Return the radiomics features of regions.

    Args:
        volume: The image: a volume, or a projection (measured in its plane).
        masks: Regions by name, which may overlap; or a label map; or one mask, named ``region``. A mask on
            another grid than the image's is brought to it, and the notes say how.
        settings: What is computed and how; see `coread.quant.radiomics.preset`.
        case: Name of the case in the table.
        diagnostics: Also describe the whole image after each step, which has to be resampled for it.
        jobs: Threads; the numbers don't depend on it.
        progress: Called with the share that is done.

    Returns:
        One row a feature. A feature without a value has a reason: ``empty_region``,
        ``empty_after_resegmentation``, ``single_voxel``, ``flat_region``, ``flat_shape``, ``no_neighbours``,
        ``zero_denominator``, ``needs_bins``, ``no_third_dimension``, ``not_asked``.

    Raises:
        GeometryError: An image in colour, or a mask that does not touch the image.
        InputError: Settings that do not fit the intensities.

    References:
        IBSI 1: Zwanenburg et al. 2020, doi:10.1148/radiol.2020191145. IBSI 2: doi:10.1148/radiol.231319.
    """
    if isinstance(volume, Image):
        return _extract_plane(volume, masks, settings, case=case, jobs=jobs, progress=progress)
    if volume.values.ndim != 3:
        raise GeometryError(
            f"radiomics measures one value a voxel, got an image of shape {volume.values.shape}; "
            "convert colour to grey first"
        )
    geometry = volume.geometry
    spacing = np.array((geometry.slice_spacing_mm, *geometry.spacing_mm[1:]))
    notes: dict[str, tuple[str, ...]] = {}
    regions: tuple[Region, ...]
    if isinstance(masks, LabelMap):
        names = {value: concept.meaning for value, concept in masks.labels.items()}
        if len(set(names.values())) < len(names):
            names = {value: f"{name} ({value})" for value, name in names.items()}
        if not isinstance(masks.grid, Geometry):
            raise GeometryError("a volume needs regions in space, got a label map of a projection")
        if masks.grid.almost_equal(geometry):
            regions = regions_of(masks.values, names)
        else:
            placed = {name: masks.mask(value) for value, name in names.items()}
            regions, notes = _placed(placed, geometry)
    else:
        if isinstance(masks, Mask | PlaneMask):
            masks = {"region": masks}  # type: ignore[assignment]
        regions, notes = _placed(masks, geometry)  # type: ignore[arg-type]
    table = extract_arrays(
        volume.values,
        regions,
        spacing,
        settings,
        case=case,
        diagnostics=diagnostics,
        jobs=jobs,
        progress=progress,
    )
    tilt = float(np.degrees(np.arccos(min(1.0, geometry.slice_spacing_mm / geometry.spacing_mm[0]))))
    if tilt > 0.1:
        said = f"slices are sheared by {tilt:.1f} degrees; shape is measured as if they were not"
        notes = {label: (*notes.get(label, ()), said) for label in table.labels}
    joined = {name: (*notes.get(name, ()), *table.notes.get(name, ())) for name in {**notes, **table.notes}}
    return replace(table, notes=joined)


def _placed(
    masks: Mapping[str, Mask | PlaneMask], geometry: Geometry
) -> tuple[tuple[Region, ...], dict[str, tuple[str, ...]]]:
    regions: list[Region] = []
    notes: dict[str, tuple[str, ...]] = {}
    for name, mask in masks.items():
        if not isinstance(mask, Mask):
            raise GeometryError(f"a volume needs regions in space, got a plane mask for {name!r}")
        voxels, note = aligned(mask, geometry)
        regions.append(Region(name, voxels, mask_box(voxels)))
        if note:
            notes[name] = (note,)
    return tuple(regions), notes


def _extract_plane(
    image: Image,
    masks: Masks,
    settings: Settings,
    *,
    case: str,
    jobs: int,
    progress: Progress | None,
) -> FeatureTable:
    """Return the features of a projection: one slice, in-plane aggregations, no shape in space."""
    if image.values.ndim != 2:
        raise GeometryError(
            f"radiomics measures one value a pixel, got an image of shape {image.values.shape}"
        )
    if isinstance(masks, LabelMap):
        names = {value: f"{concept.meaning}" for value, concept in masks.labels.items()}
        regions = regions_of(masks.values[None], names)
    else:
        by_name = {"region": masks} if isinstance(masks, Mask | PlaneMask) else masks
        placed = {}
        for name, mask in by_name.items():
            if not isinstance(mask, PlaneMask) or mask.plane.shape != image.plane.shape:
                raise GeometryError(
                    f"{name!r} does not lie on the image's plane of {image.plane.shape} pixels"
                )
            placed[name] = mask.pixels[None]
        regions = regions_of(placed)
    spacing = image.plane.spacing_mm
    wanted = settings.spacing_mm
    flat = replace(
        settings,
        spacing_mm=None if wanted is None or spacing is None else (None, *wanted[1:]),
        aggregations=tuple(c for c in settings.aggregations if c in IN_PLANE) or ("2d_avg", "2d_s_mrg", "2d"),
    )
    table = extract_arrays(
        image.values[None],
        regions,
        np.array((1.0, *(spacing or (1.0, 1.0)))),
        flat,
        case=case,
        jobs=jobs,
        progress=progress,
        third_dimension=False,
    )
    if spacing is None:
        said = ("pixel spacing unknown: lengths are in pixels",)
        table = replace(table, notes=dict.fromkeys(table.labels, said))
    return table


def extract_arrays(
    values: NDArray[Any],
    masks: Mapping[str, NDArray[np.bool_]] | NDArray[Any] | tuple[Region, ...],
    spacing_mm: Floats | tuple[float, float, float],
    settings: Settings,
    *,
    case: str = "",
    diagnostics: bool = False,
    jobs: int = 1,
    progress: Progress | None = None,
    third_dimension: bool = True,
) -> FeatureTable:
    """Return the features of regions given as plain arrays on one grid.

    Args:
        values: (slices, rows, columns) intensities.
        masks: Regions by name (bool), or a label map of whole numbers.
        spacing_mm: Voxel spacing (slice, row, column).
        settings: What is computed and how.
        case: Name of the case in the table.
        diagnostics: Also describe the whole image after each step.
        jobs: Threads; the numbers don't depend on it.
        progress: Called with the share that is done.
        third_dimension: False for a projection, which has no shape in space.

    Raises:
        GeometryError: A mask of another shape than the image.
        InputError: Settings that do not fit the intensities.
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if spacing.shape != (3,) or not (np.isfinite(spacing).all() and spacing.min() > 0):
        raise GeometryError(f"spacing has three positive millimetres, got {spacing_mm}")
    if not isinstance(masks, tuple):
        arrays = masks.values() if isinstance(masks, Mapping) else [masks]
        for array in arrays:
            if array.shape != values.shape:
                raise GeometryError(
                    f"a mask has shape {array.shape}, the image {values.shape}; bring them to one grid"
                )
        masks = regions_of(masks)
    if not masks:
        raise InputError("no region to measure; give a mask")
    source = ImageSource(values, spacing, settings)
    if diagnostics:
        _ = source.whole
    work = _Work(source, settings, third_dimension)
    finite = [item for item in settings.filters if item.margin(source.spacing_mm) is not None]
    spanning = [item for item in settings.filters if item.margin(source.spacing_mm) is None]
    total = len(masks) + len(spanning) * len(masks)
    done = 0
    rows: dict[str, dict[str, tuple[Feature, ...]]] = {region.name: {} for region in masks}
    steps: dict[str, dict[str, float]] = {}

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done / total)

    pool = ThreadPoolExecutor(jobs) if jobs > 1 and len(masks) > 1 else None
    each = map if pool is None else pool.map
    with pool or nullcontext():
        made = each(partial(work.region, filters=finite), masks)
        for region, (features_of_one, said) in zip(masks, made, strict=True):
            rows[region.name].update(features_of_one)
            steps[region.name] = said
            tick()
        for item in spanning:
            response = item.response(source.whole, source.spacing_mm)
            filtered = each(partial(work.spanning, item=item, response=response), masks)
            for region, rows_of_one in zip(masks, filtered, strict=True):
                rows[region.name][item.code] = rows_of_one
                tick()
    order = ["", *(item.code for item in settings.filters)]
    features = tuple(
        feature for region in masks for code in order for feature in rows[region.name].get(code, ())
    )
    if diagnostics:
        whole = _image_diagnostics(source)
        steps = {name: whole | said for name, said in steps.items()}
    return FeatureTable(features, steps, {}, case)


class _Work:
    """What is done for every region of an image."""

    def __init__(self, source: ImageSource, settings: Settings, third_dimension: bool) -> None:
        self.source = source
        self.settings = settings
        self.third_dimension = third_dimension

    def _masks(self, region: Region) -> tuple[Box, Bools, Bools] | None:
        placed = self.source.region_mask(region)
        if placed is None or not placed[1].any():
            return None
        box, mask = placed
        return box, mask, resegmented(self.source.box(box), mask, self.settings)

    def region(
        self, region: Region, filters: list[Filter]
    ) -> tuple[dict[str, tuple[Feature, ...]], dict[str, float]]:
        settings = self.settings
        spacing = self.source.spacing_mm
        rows: dict[str, tuple[Feature, ...]] = {}
        placed = self.source.region_mask(region)
        if placed is None or not placed[1].any():
            if settings.unfiltered:
                rows[""] = unmeasured(
                    region.name,
                    settings,
                    families=settings.families,
                    discretisation=settings.discretisation,
                )
            for item in filters:
                rows[item.code] = self._nothing(region, item)
            return rows, {}
        box, mask = placed
        margins = [item.margin(spacing) for item in filters]
        reach: Ints = np.max([peak_margin(spacing), *(m for m in margins if m is not None)], axis=0)
        outer, inner = grown(box, reach, self.source.shape)
        crop = self.source.box(outer)
        image = np.ascontiguousarray(crop[inner])
        intensity = resegmented(image, mask, settings)
        said = self._diagnostics(region, box, image, mask, intensity)
        if settings.unfiltered:
            prepared = PreparedRegion(
                region.name,
                image,
                mask,
                intensity,
                spacing,
                _surroundings(crop, inner, peak_margin(spacing)),
                self.third_dimension,
            )
            rows[""] = measure(
                prepared,
                settings,
                families=settings.families,
                discretisation=settings.discretisation,
                intensity_range=settings.intensity_range,
            )
        for item, margin in zip(filters, margins, strict=True):
            assert margin is not None  # only filters of finite reach come here
            around, middle = grown(inner, margin, crop.shape)
            response = item.response(np.ascontiguousarray(crop[around]), spacing)
            part = np.ascontiguousarray(response[middle])
            rows[item.code] = self._response(region, item, part, mask, intensity)
        return rows, said

    def spanning(self, region: Region, item: Filter, response: Floats) -> tuple[Feature, ...]:
        placed = self._masks(region)
        if placed is None:
            return self._nothing(region, item)
        box, mask, intensity = placed
        return self._response(region, item, np.ascontiguousarray(response[box]), mask, intensity)

    def _response(
        self, region: Region, item: Filter, response: Floats, mask: Bools, intensity: Bools
    ) -> tuple[Feature, ...]:
        prepared = PreparedRegion(
            region.name,
            response,
            mask,
            intensity,
            self.source.spacing_mm,
            None,
            self.third_dimension,
        )
        return measure(
            prepared,
            replace(self.settings, volume_histogram=self.settings.response_discretisation),
            families=self.settings.response_families,
            discretisation=self.settings.response_discretisation,
            filter_code=item.code,
            standardised=item.standardised,
        )

    def _nothing(self, region: Region, item: Filter) -> tuple[Feature, ...]:
        return unmeasured(
            region.name,
            self.settings,
            families=self.settings.response_families,
            discretisation=self.settings.response_discretisation,
            filter_code=item.code,
        )

    def _diagnostics(
        self, region: Region, box: Box, image: Floats, mask: Bools, intensity: Bools
    ) -> dict[str, float]:
        assert region.box is not None  # an empty region does not come here
        old = _box_of(region.box)
        start = region.crop(old).copy(order="C")
        values = self.source.values[old]
        if self.settings.round_intensities:
            values = np.rint(values)
        said: dict[str, float] = {}
        for stage, shape, picture, whole, kept in (
            ("init", self.source.values.shape, values, start, start),
            ("interp", self.source.shape, image, mask, mask),
            ("reseg", self.source.shape, image, mask, intensity),
        ):
            for name, size in zip("zyx", shape, strict=True):
                said[f"int_mask_dim_{name}_{stage}_roi"] = float(size)
            for kind, array in (("int", kept), ("morph", whole)):
                count, *ends = (int(n) for n in kernels.extent(array))
                said[f"{kind}_mask_vox_count_{stage}_roi"] = float(count)
                for axis, name in enumerate("zyx"):
                    first, last = ends[2 * axis : 2 * axis + 2]
                    said[f"{kind}_mask_bb_dim_{name}_{stage}_roi"] = float(max(0, last - first + 1))
            inside = picture[kept].astype(np.float64)
            for name, number in (("mean", np.mean), ("min", np.min), ("max", np.max)):
                value = float(number(inside)) if inside.size else np.nan
                said[f"int_mask_{name}_int_{stage}_roi"] = value
        return said


def _box_of(spans: tuple[tuple[int, int], ...]) -> Box:
    (k0, k1), (j0, j1), (i0, i1) = spans
    return slice(k0, k1 + 1), slice(j0, j1 + 1), slice(i0, i1 + 1)


def _surroundings(crop: Floats, inner: Box, margin: Ints) -> Floats:
    """Return the region's box with a margin, NaN beyond the image."""
    outer, place = grown(inner, margin, crop.shape)
    part = crop[outer]
    pad = [
        (int(m) - p.start, int(m) - (size - p.stop))
        for m, p, size in zip(margin, place, part.shape, strict=True)
    ]
    return np.ascontiguousarray(np.pad(part, pad, constant_values=np.nan))


def _image_diagnostics(source: ImageSource) -> dict[str, float]:
    start = source.values
    if source.settings.round_intensities:
        start = np.rint(start)
    said: dict[str, float] = {}
    for stage, picture, spacing in (
        ("init", start, source.old_spacing_mm),
        ("interp", source.whole, source.spacing_mm),
    ):
        for axis, name in enumerate("zyx"):
            said[f"img_dim_{name}_{stage}_img"] = float(picture.shape[axis])
            said[f"vox_dim_{name}_{stage}_img"] = float(spacing[axis])
        said[f"mean_int_{stage}_img"] = float(picture.mean(dtype=np.float64))
        said[f"min_int_{stage}_img"] = float(picture.min())
        said[f"max_int_{stage}_img"] = float(picture.max())
    return said
