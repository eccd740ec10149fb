"""Where a finding is, in a structured report: coordinates in the patient or on an image, segments.

References:
    DICOM PS3.3, C.18.6 (SCOORD: the corner of the first pixel is 0, its centre 0.5) and C.18.9 (SCOORD3D).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from highdicom import sr
from numpy.typing import NDArray
from skimage.measure import find_contours

from coread.core import (
    Box,
    Contour,
    Finding,
    InstanceHeader,
    Mask,
    MaskRegion,
    OnInstance,
    PatientSpace,
    Point,
    Region,
)
from coread.errors import InputError
from coread.interop.report_content import SegmentReference

GroupKind = Literal["none", "planar", "volumetric"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Context:
    """What content items refer to: the study, its images, the segments."""

    study: str
    headers: tuple[InstanceHeader, ...]
    segments: Mapping[str, SegmentReference] = field(default_factory=dict)

    def header(self, instance: str) -> InstanceHeader:
        """Return the header of an instance of the study."""
        for header in self.headers:
            if header.instance == instance:
                return header
        raise InputError(
            f"a place lies on instance {instance}", "an image of the study", "give the headers of all images"
        )

    def series_of(self, frame_of_reference: str) -> str | None:
        """Return a series in a frame of reference, or None."""
        for header in self.headers:
            if header.frame_of_reference == frame_of_reference:
                return header.series
        return None

    def knows(self, instance: str) -> bool:
        """Return whether an instance is of the study."""
        return any(header.instance == instance for header in self.headers)


def place_of(region: Region | None, context: Context, identifier: str) -> tuple[GroupKind, dict[str, Any]]:
    """Return the kind of group a region needs and the arguments that say where it is.

    Points, contours and flat boxes are planar; a box with depth is a volume surface of its two faces; a
    mask refers to its segment, or without one to the outline of its largest slice.
    """
    match region:
        case None:
            return "none", {}
        case MaskRegion():
            reference = context.segments.get(identifier)
            if reference is None:
                outline = _mask_outline(region, (), context)
                return ("none", {}) if outline is None else ("planar", {"referenced_region": outline})
            return _segment_place(region, reference, context)
        case Box() if isinstance(region.space, PatientSpace) and all(
            a < b for a, b in zip(region.low, region.high, strict=True)
        ):
            return _deep_box(region, region.space, context)
    points, closed = _line(region)
    if isinstance(region.space, PatientSpace):
        return "planar", {"referenced_region": _region_3d(points, closed, region.space.frame_of_reference)}
    return "planar", {"referenced_region": _region_2d(points, region.space, context)}


def outline_of(finding: Finding, context: Context) -> Any | None:
    """Return the outline of the largest slice of a finding's segment, or None where it has no segment."""
    reference = context.segments.get(finding.id)
    if not isinstance(finding.region, MaskRegion) or reference is None:
        return None
    return _mask_outline(finding.region, reference.instances, context)


def _segment_place(
    region: MaskRegion, reference: SegmentReference, context: Context
) -> tuple[GroupKind, dict[str, Any]]:
    if isinstance(region.space, OnInstance):
        header = context.header(region.space.instance)
        place = sr.ReferencedSegmentationFrame(
            reference.sop_class,
            reference.sop_instance,
            frame_number=reference.frame,
            segment_number=reference.segment,
            source_image=sr.SourceImageForSegmentation(header.sop_class, header.instance),
        )
        # PS3.3 10.1.2.1: a segment number shall not be there beside a frame number, which says enough
        del place[0].ReferencedSOPSequence[0].ReferencedSegmentNumber
        return "planar", {"referenced_segment": place}
    series = context.series_of(region.space.frame_of_reference)
    if series is None:
        raise InputError(
            "a mask lies in a frame of reference that no image of the study has",
            "the frame of an image",
            "give the headers of all images",
        )
    return "volumetric", {
        "referenced_segment": sr.ReferencedSegment(
            # highdicom's `from_segmentation` fails on a SEG of one segment
            sop_class_uid=reference.sop_class,
            sop_instance_uid=reference.sop_instance,
            segment_number=reference.segment,
            source_series=sr.SourceSeriesForSegmentation(series),
        )
    }


def _deep_box(region: Box, space: PatientSpace, context: Context) -> tuple[GroupKind, dict[str, Any]]:
    (x0, y0, z0), (x1, y1, z1) = region.low, region.high
    faces = [np.array([[x0, y0, z], [x1, y0, z], [x1, y1, z], [x0, y1, z], [x0, y0, z]]) for z in (z0, z1)]
    series = context.series_of(space.frame_of_reference)
    if series is None:
        raise InputError(
            "a box lies in a frame of reference that no image of the study has",
            "the frame of an image",
            "give the headers of all images",
        )
    surface = sr.VolumeSurface(
        graphic_type="POLYGON",
        graphic_data=faces,
        frame_of_reference_uid=space.frame_of_reference,
        source_series=sr.SourceSeriesForSegmentation(series),
    )
    return "volumetric", {"referenced_volume_surface": surface}


def _line(region: Point | Box | Contour) -> tuple[NDArray[np.float64], bool]:
    """Return the points of a region in its own coordinates, and whether they close."""
    match region:
        case Point():
            return np.array([region.at]), False
        case Box():
            return _flat_box(np.array(region.low), np.array(region.high)), True
        case Contour():
            points = np.asarray(region.points)
            if len(points) == 2:
                return points, False
            return np.concatenate([points, points[:1]]), True


def _flat_box(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    wide = [axis for axis in range(len(low)) if high[axis] > low[axis]]
    if len(wide) < 2:
        return np.stack([low, high, low]) if wide else low[None]
    a, b = wide[:2]
    corners = np.tile(low, (5, 1))
    corners[1, a] = corners[2, a] = high[a]
    corners[2, b] = corners[3, b] = high[b]
    return corners


def _region_3d(points: NDArray[np.float64], closed: bool, frame_of_reference: str) -> sr.ImageRegion3D:
    if len(points) == 1:
        kind = "POINT"
    else:
        # DICOM wants polygons flat; a contour that is not is a closed polyline
        kind = "POLYGON" if closed and len(points) > 3 and _flat(points) else "POLYLINE"
    return sr.ImageRegion3D(kind, points, frame_of_reference)


def _flat(points: NDArray[np.float64]) -> bool:
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred)[2][-1]
    return bool(np.abs(centred @ normal).max() < 1e-6)


def _region_2d(points: NDArray[np.float64], space: OnInstance, context: Context) -> sr.ImageRegion:
    header = context.header(space.instance)
    frames = [space.frame] if header.frames > 1 else None
    # from (row, column) with pixel centres at whole numbers to (column, row) with the corner at 0
    graphic = points[:, ::-1] + 0.5
    return sr.ImageRegion(
        "POINT" if len(points) == 1 else "POLYLINE",
        graphic,
        sr.SourceImageForRegion(header.sop_class, header.instance, frames),
    )


def _mask_outline(region: MaskRegion, instances: tuple[str, ...], context: Context) -> Any | None:
    mask = region.mask
    if isinstance(mask, Mask):
        areas = np.count_nonzero(mask.voxels, axis=(1, 2))
        k = int(np.argmax(areas))
        outline = largest_outline(mask.voxels[k])
        if outline is None or not isinstance(region.space, PatientSpace):
            return None
        if len(instances) == mask.geometry.shape[0] and context.knows(instances[k]):
            header = context.header(instances[k])
            return sr.ImageRegion(
                "POLYLINE", outline[:, ::-1] + 0.5, sr.SourceImageForRegion(header.sop_class, header.instance)
            )
        points = mask.geometry.to_patient(np.insert(outline, 0, k, axis=1))
        return _region_3d(points, True, region.space.frame_of_reference)
    outline = largest_outline(mask.pixels)
    if outline is None or not isinstance(region.space, OnInstance):
        return None
    return _region_2d(outline, region.space, context)


def largest_outline(region: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Return the longest closed outline of a region as (row, column) points, or None for an empty one.

    The line runs halfway between pixels inside and outside; the first point is the last one, too.

    Examples:
        >>> outline = largest_outline(np.pad(np.ones((2, 3), dtype=bool), 2))
        >>> outline.min(axis=0).tolist(), outline.max(axis=0).tolist()
        ([1.5, 1.5], [3.5, 4.5])
    """
    if not region.any():
        return None
    lines: list[NDArray[np.float64]] = find_contours(np.pad(region, 1).astype(np.float64), 0.5)  # type: ignore[no-untyped-call]
    longest = max(lines, key=len)
    return np.asarray(longest - 1.0, dtype=np.float64)
