"""Regions out of DICOM: SEG and RT Structure Set as masks and label maps on a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from coread.core import CodedConcept, Geometry, Grid, ImagePlane, LabelMap, Mask, PlaneMask, Segment, Volume
from coread.core.geometry import SpacingKind
from coread.errors import DataError, GeometryError, InputError
from coread.interop.dicom.pixels import stored_frames
from coread.interop.dicom.writing import concept

LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
# a frame may lie this share of the slice spacing off its slice
_OFF_GRID = 0.1


def read_regions(dataset: Dataset, volume: Volume) -> tuple[Segment, ...]:
    """Return the regions of a SEG or an RT Structure Set on the grid of a volume.

    Args:
        dataset: The object.
        volume: The image it was drawn on.

    Raises:
        DataError: It is neither, lies in another frame of reference, or not on the volume's slices.
    """
    sop_class = dataset.get("SOPClassUID")
    if sop_class == RTStructureSetStorage:
        return read_structures(dataset, volume)
    if sop_class in (SegmentationStorage, LABEL_MAP_SEGMENTATION):
        here = dataset.get("FrameOfReferenceUID")
        if here and volume.frame_of_reference and here != volume.frame_of_reference:
            raise DataError(
                "the segmentation lies in another frame of reference than the volume",
                "one frame of reference",
                "register the two first, or choose the series that it was drawn on",
            )
        return read_segmentation(dataset, grid=volume.geometry)
    raise DataError(
        f"no regions in an object of SOP class {sop_class}",
        "a SEG or an RT Structure Set",
        "give one of them",
    )


def read_segmentation(dataset: Dataset, *, grid: Geometry | None = None) -> tuple[Segment, ...]:
    """Return the segments of a SEG (BINARY or LABELMAP), in the order of their numbers.

    Args:
        dataset: The SEG.
        grid: Where to put them; without it the grid is made from the positions of the frames, and slices
            that were left out because they are empty come back where they lie between others.

    Raises:
        DataError: It is FRACTIONAL, is not a SEG, or its frames lie on no one grid.
    """
    kind = dataset.get("SegmentationType")
    if kind not in ("BINARY", "LABELMAP"):
        raise DataError(
            f"a segmentation of type {kind}",
            "BINARY or LABELMAP",
            "read FRACTIONAL ones as maps (`parametric_map.read_map`) and choose a threshold",
        )
    pixels = _frames(dataset)
    segments = {int(s.SegmentNumber): s for s in dataset.SegmentSequence}
    made, where = _grid_of_frames(dataset, grid)
    instances = _instances_by_slice(dataset, where, made.shape[0] if isinstance(made, Geometry) else 1)
    frame_of_reference = dataset.get("FrameOfReferenceUID")
    found = []
    for number in sorted(n for n in segments if not (n == 0 and kind == "LABELMAP")):
        region = np.zeros(made.shape if isinstance(made, Geometry) else (1, *made.shape), dtype=bool)
        for frame, slice_index in enumerate(where):
            if kind == "LABELMAP":
                region[slice_index] |= pixels[frame] == number
            elif _segment_of_frame(dataset, frame) == number:
                region[slice_index] |= pixels[frame] != 0
        mask = Mask(region, made) if isinstance(made, Geometry) else PlaneMask(region[0], made)
        found.append(
            Segment(
                concept(segments[number].SegmentedPropertyTypeCodeSequence[0]),
                mask,
                str(frame_of_reference) if frame_of_reference else None,
                instances,
            )
        )
    return tuple(found)


def read_label_map(dataset: Dataset, *, grid: Geometry | None = None) -> LabelMap:
    """Return a SEG as a label map; labels are the segment numbers.

    Raises:
        DataError: As `read_segmentation`, or two segments overlap.
    """
    numbers = sorted(int(s.SegmentNumber) for s in dataset.SegmentSequence if int(s.SegmentNumber) > 0)
    segments = read_segmentation(dataset, grid=grid)
    if not segments:
        raise DataError("the segmentation has no segment", "one or more")
    first = segments[0]
    values = np.zeros(first.mask.grid.shape, dtype=np.uint16)
    for number, segment in zip(numbers, segments, strict=True):
        mask = segment.mask
        region = mask.voxels if isinstance(mask, Mask) else mask.pixels
        if values[region].any():
            raise DataError(
                "two segments overlap", "a label map holds one label a voxel", "use `read_segmentation`"
            )
        values[region] = number
    labels = {n: s.concept for n, s in zip(numbers, segments, strict=True)}
    return LabelMap(values, first.mask.grid, labels, first.frame_of_reference, first.source_instances)


def read_structures(dataset: Dataset, volume: Volume) -> tuple[Segment, ...]:
    """Return the closed contours of an RT Structure Set as masks on the grid of a volume.

    A voxel belongs to a region when its centre lies inside; contours inside contours are holes (even-odd
    rule), as DICOM has it. Structures without a closed contour are left out. Slices between contours
    that skip slices stay empty: nothing is made up.

    Raises:
        DataError: A structure lies in another frame of reference or not on the slices of the volume.
    """
    frames = {
        int(roi.ROINumber): str(roi.get("ReferencedFrameOfReferenceUID") or "")
        for roi in dataset.get("StructureSetROISequence", [])
    }
    concepts = _structure_concepts(dataset)
    found = []
    for roi in dataset.get("ROIContourSequence", []):
        number = int(roi.ReferencedROINumber)
        contours = [
            np.asarray(c.ContourData, dtype=np.float64).reshape(-1, 3)
            for c in roi.get("ContourSequence", [])
            if c.get("ContourGeometricType") in ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR")
            and c.get("ContourData")
        ]
        if not contours:
            continue
        frame = frames.get(number, "")
        if volume.frame_of_reference and frame and frame != volume.frame_of_reference:
            raise DataError(
                f"structure {number} lies in another frame of reference than the volume",
                "one frame of reference",
                "choose the series that it was drawn on",
            )
        found.append(
            Segment(
                concepts[number],
                contour_mask(contours, volume.geometry),
                volume.frame_of_reference,
                volume.source_instances,
            )
        )
    return tuple(found)


def contour_mask(contours: Sequence[NDArray[np.float64]], grid: Geometry) -> Mask:
    """Return the voxels inside closed planar contours (even-odd rule).

    Args:
        contours: Each (points, 3) in LPS millimetres, in the plane of a slice.
        grid: Where the mask lies.

    Raises:
        DataError: A contour does not lie in one slice of the grid.

    Examples:
        >>> square = np.array([[0.5, 0.5, 2.0], [3.5, 0.5, 2.0], [3.5, 2.5, 2.0], [0.5, 2.5, 2.0]])
        >>> mask = contour_mask([square], Geometry.axial((2, 5, 5), spacing_mm=(2.0, 1.0, 1.0)))
        >>> mask.voxels[0].any(), int(mask.voxels[1].sum())
        (np.False_, 6)
    """
    voxels = np.zeros(grid.shape, dtype=bool)
    for points in contours:
        index = grid.to_index(points)
        k = int(np.rint(index[:, 0].mean()))
        if np.abs(index[:, 0] - k).max() > _OFF_GRID or not 0 <= k < grid.shape[0]:
            raise DataError(
                f"a contour lies at slice {index[:, 0].min():.2f} to {index[:, 0].max():.2f}",
                f"one of the slices 0 to {grid.shape[0] - 1}",
                "choose the series that it was drawn on",
            )
        voxels[k] ^= _inside(index[:, 1:], grid.shape[1:])
    return Mask(voxels, grid)


def _inside(points: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels whose centre lies inside a polygon of (row, column) points."""
    start, end = points, np.roll(points, -1, axis=0)
    inside = np.zeros(shape, dtype=bool)
    top, bottom = max(int(np.ceil(points[:, 0].min())), 0), min(int(points[:, 0].max()), shape[0] - 1)
    columns = np.arange(shape[1])
    for row in range(top, bottom + 1):
        crossed = (start[:, 0] > row) != (end[:, 0] > row)
        a, b = start[crossed], end[crossed]
        at = np.sort(a[:, 1] + (row - a[:, 0]) / (b[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]))
        inside[row] = np.searchsorted(at, columns, side="right") % 2 == 1
    return inside


def _structure_concepts(dataset: Dataset) -> dict[int, CodedConcept]:
    concepts = {}
    for roi in dataset.get("StructureSetROISequence", []):
        name = str(roi.get("ROIName") or f"ROI {roi.ROINumber}")
        concepts[int(roi.ROINumber)] = CodedConcept(name, "99ROINAME", name)
    for observation in dataset.get("RTROIObservationsSequence", []):
        for item in observation.get("RTROIIdentificationCodeSequence", []):
            concepts[int(observation.ReferencedROINumber)] = concept(item)
    return concepts


def frames_grid(dataset: Dataset) -> tuple[Grid, NDArray[np.intp], str | None]:
    """Return the grid of a multi-frame object, the frame of each slice, and its frame of reference.

    Raises:
        DataError: The frames are not one a slice of a full grid.
    """
    grid, where = _grid_of_frames(dataset, None)
    slices = grid.shape[0] if isinstance(grid, Geometry) else 1
    order = np.argsort(where)
    if not np.array_equal(where[order], np.arange(slices)):
        raise DataError("the frames of the object leave out slices or repeat them", "one frame a slice")
    frame_of_reference = dataset.get("FrameOfReferenceUID")
    return grid, order, str(frame_of_reference) if frame_of_reference else None


def referenced_instances(dataset: Dataset, order: NDArray[np.intp]) -> tuple[str, ...]:
    """Return the source instance of each frame, in an order of frames; empty where one is missing."""
    found = [_source_of(dataset, int(frame)) for frame in order]
    return tuple(uid for uid in found if uid) if all(found) else ()


def _frames(dataset: Dataset) -> NDArray[np.generic]:
    return stored_frames(dataset).reshape(-1, int(dataset.Rows), int(dataset.Columns))


def _functional(dataset: Dataset, frame: int, name: str) -> Dataset | None:
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for owner in (*groups[frame : frame + 1], *(dataset.get("SharedFunctionalGroupsSequence") or [])):
        if owner.get(name):
            item: Dataset = owner[name].value[0]
            return item
    return None


def _segment_of_frame(dataset: Dataset, frame: int) -> int:
    item = _functional(dataset, frame, "SegmentIdentificationSequence")
    return 1 if item is None else int(item.ReferencedSegmentNumber)


def _source_of(dataset: Dataset, frame: int) -> str | None:
    item = _functional(dataset, frame, "DerivationImageSequence")
    images = item.get("SourceImageSequence") if item is not None else None
    return str(images[0].ReferencedSOPInstanceUID) if images else None


def _instances_by_slice(dataset: Dataset, where: NDArray[np.intp], slices: int) -> tuple[str, ...]:
    found: dict[int, str] = {}
    for frame, slice_index in enumerate(where):
        uid = _source_of(dataset, frame)
        if uid:
            found[int(slice_index)] = uid
    if len(found) == slices:
        return tuple(found[k] for k in range(slices))
    # slices left out as empty have no reference; a partial list would say a wrong slice
    return tuple(set(found.values())) if len(set(found.values())) == 1 else ()


def _grid_of_frames(dataset: Dataset, grid: Geometry | None) -> tuple[Grid, NDArray[np.intp]]:
    count = int(dataset.get("NumberOfFrames") or 1)
    measures = _functional(dataset, 0, "PixelMeasuresSequence")
    spacing = None
    if measures is not None and "PixelSpacing" in measures:
        spacing = (float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1]))
    if _functional(dataset, 0, "PlanePositionSequence") is None:
        if grid is not None:
            raise DataError("the frames have no position in the patient", "a position each")
        kind: SpacingKind = "unknown" if spacing is None else "detector"
        plane = ImagePlane((int(dataset.Rows), int(dataset.Columns)), spacing, kind)
        return plane, np.zeros(count, dtype=np.intp)
    positions = np.array([_position(dataset, frame) for frame in range(count)])
    axes = _functional(dataset, 0, "PlaneOrientationSequence")
    if axes is None or spacing is None or measures is None:
        raise DataError("the frames have no orientation or no pixel spacing", "both, per frame or shared")
    along = np.asarray(axes.ImageOrientationPatient, dtype=np.float64)
    row, column = along[:3] * spacing[1], along[3:] * spacing[0]
    if grid is None:
        thickness = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness")
        grid = _grid_from_positions(positions, row, column, dataset, float(thickness or 0))
    index = grid.to_index(positions)
    where = np.rint(index[:, 0]).astype(np.intp)
    steps = grid.affine[:3, :3]
    aligned = np.allclose(steps[:, 2], row, atol=1e-3) and np.allclose(steps[:, 1], column, atol=1e-3)
    off = np.abs(index - np.stack([where, np.zeros(count), np.zeros(count)], axis=1)).max()
    inside = where.min() >= 0 and where.max() < grid.shape[0]
    if grid.shape[1:] != (dataset.Rows, dataset.Columns) or not aligned or off > _OFF_GRID or not inside:
        raise DataError(
            "the frames of the segmentation do not lie on the grid",
            "frames on the slices of the series it was drawn on",
            "choose that series, or resample",
        )
    return grid, where


def _position(dataset: Dataset, frame: int) -> list[float]:
    item = _functional(dataset, frame, "PlanePositionSequence")
    if item is None:
        raise DataError(f"frame {frame + 1} has no position", "a position each")
    return [float(x) for x in item.ImagePositionPatient]


def _grid_from_positions(
    positions: NDArray[np.float64],
    row: NDArray[np.float64],
    column: NDArray[np.float64],
    dataset: Dataset,
    spacing: float,
) -> Geometry:
    normal = np.cross(row, column)
    normal = normal / np.linalg.norm(normal)
    distinct = np.unique(np.round(positions, 4), axis=0)
    distinct = distinct[np.argsort(distinct @ normal)]
    if len(distinct) == 1:
        step = normal * (spacing or 1.0)
    else:
        gaps = np.diff(distinct, axis=0)
        heights = gaps @ normal
        if heights.min() <= 1e-3:
            raise DataError("two frames lie in one plane at different places", "one grid")
        step = gaps[int(np.argmin(heights))]
    slices = int(np.rint((distinct[-1] - distinct[0]) @ normal / (step @ normal))) + 1
    affine = np.eye(4)
    affine[:3, :4] = np.stack([step, column, row, distinct[0]], axis=1)
    try:
        return Geometry((slices, int(dataset.Rows), int(dataset.Columns)), affine)
    except (GeometryError, InputError) as error:
        raise DataError(f"the frames span no grid: {error}") from error
