"""RT Structure Set: regions as closed contours on the slices of their source.

Reading is in `coread.interop.dicom.regions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage
from skimage.measure import find_contours

from coread.core import Mask, Model, Reader
from coread.errors import GeometryError, InputError
from coread.interop.authorship import Author
from coread.interop.dicom.seg import TrackedRegion
from coread.interop.dicom.writing import (
    MANUFACTURER,
    Source,
    code,
    decimal,
    finish,
    person_name,
    plain_header,
)

_COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0))


def mask_contours(mask: Mask) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """Return the closed contours of a mask: the slice and (points, 3) in LPS millimetres of each.

    A contour runs half-way between the centres of pixels inside and outside, so it lies within half a
    pixel of the pixels' edges, and the centres it encloses (even-odd rule, contours in contours are
    holes) are exactly those of the mask.

    Examples:
        >>> from coread.core import Geometry
        >>> voxels = np.zeros((1, 4, 4), dtype=bool)
        >>> voxels[0, 1:3, 1:3] = True
        >>> ((slice_index, points),) = mask_contours(Mask(voxels, Geometry.axial((1, 4, 4))))
        >>> slice_index, len(points), points[:, :2].min().item(), points[:, :2].max().item()
        (0, 8, 0.5, 2.5)
    """
    found = []
    for k in np.flatnonzero(mask.voxels.any(axis=(1, 2))):
        padded = np.pad(mask.voxels[k], 1).astype(np.float64)
        lines = find_contours(padded, 0.5, fully_connected="low")  # type: ignore[no-untyped-call]
        for line in lines:
            points = _corners(line[:-1] - 1)
            index = np.column_stack([np.full(len(points), k, dtype=np.float64), points])
            found.append((int(k), mask.geometry.to_patient(index)))
    return tuple(found)


def _corners(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points of a closed line at which it turns."""
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    return points[turns]


def write_structures(
    regions: Sequence[TrackedRegion],
    source: Source,
    author: Author,
    *,
    series_number: int = 9003,
    label: str = "CoRead",
    description: str = "Structures",
) -> Dataset:
    """Return an RT Structure Set of regions on the slices of their source.

    Args:
        regions: Structures 1, 2, ... in this order; they may overlap.
        source: The image they were drawn on, one instance a slice (or one in all).
        author: The model or the reader who drew them, when, with what.
        series_number: Of the new series.
        label: Of the structure set, at most 16 characters.
        description: Of the new series.

    Raises:
        GeometryError: The regions lie on different grids, or on no grid in the patient.
        InputError: There are none, the source has no frame of reference, or its instances are neither
            one nor as many as the slices.
    """
    if not regions:
        raise InputError("a structure set needs a region, got none")
    masks = [region.mask for region in regions if isinstance(region.mask, Mask)]
    if len(masks) != len(regions):
        raise GeometryError("a region on a projection", "regions in the patient", "write a SEG of it")
    grid = masks[0].geometry
    if not all(mask.geometry.almost_equal(grid) for mask in masks):
        raise GeometryError("the regions lie on different grids", "one grid", "resample them onto one")
    if source.frame_of_reference is None:
        raise InputError("the source has no frame of reference", "one in its header")
    if len(source.instances) not in (1, grid.shape[0]):
        raise InputError(
            f"{len(source.instances)} source instances for {grid.shape[0]} slices",
            "one a slice, or one in all",
        )
    dataset = _head(source, author, series_number)
    dataset.StructureSetLabel, dataset.StructureSetName = label[:16], description[:64]
    dataset.StructureSetDate = author.at.strftime("%Y%m%d")
    dataset.StructureSetTime = author.at.strftime("%H%M%S")
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = [_frame(source)]
    dataset.StructureSetROISequence = [_structure(n, r, source, author) for n, r in enumerate(regions, 1)]
    dataset.ROIContourSequence = [_contours(n, mask, source) for n, mask in enumerate(masks, 1)]
    dataset.RTROIObservationsSequence = [_observation(n, r, author) for n, r in enumerate(regions, 1)]
    finish(dataset, source, author, description)
    return dataset


def _head(source: Source, author: Author, series_number: int) -> Dataset:
    dataset = plain_header(source.dataset)
    dataset.SOPClassUID, dataset.SOPInstanceUID = RTStructureSetStorage, author.new_uid()
    dataset.SeriesInstanceUID, dataset.SeriesNumber = author.new_uid(), series_number
    dataset.Modality, dataset.InstanceNumber = "RTSTRUCT", 1
    dataset.OperatorsName = ""
    dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, author.equipment.model
    dataset.SoftwareVersions = author.equipment.version
    dataset.DeviceSerialNumber = author.equipment.serial
    dataset.FrameOfReferenceUID = source.frame_of_reference
    dataset.PositionReferenceIndicator = ""
    dataset.SeriesDate = dataset.SeriesTime = ""  # `finish` writes them
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta = meta
    return dataset


def _image(source: Source, instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.sop_class, instance
    return item


def _frame(source: Source) -> Dataset:
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = source.dataset.SeriesInstanceUID
    series.ContourImageSequence = [_image(source, instance) for instance in source.instances]
    study.ReferencedSOPClassUID = (
        "1.2.840.10008.3.1.2.3.1"  # Detached Study Management, as PS3.3 C.8.8.5 asks
    )
    study.ReferencedSOPInstanceUID = source.dataset.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = source.frame_of_reference
    frame.RTReferencedStudySequence = [study]
    return frame


def _structure(number: int, region: TrackedRegion, source: Source, author: Author) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = number, region.concept.meaning[:64]
    item.ReferencedFrameOfReferenceUID = source.frame_of_reference
    automatic = isinstance(author.origin, Model)
    item.ROIGenerationAlgorithm = "AUTOMATIC" if automatic else "MANUAL"
    if isinstance(author.origin, Model):
        item.ROIGenerationDescription = f"{author.origin.name} {author.origin.version}"[:64]
    return item


def _contours(number: int, mask: Mask, source: Source) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = number
    item.ROIDisplayColor = list(_COLOURS[(number - 1) % len(_COLOURS)])
    lines = []
    for count, (k, points) in enumerate(mask_contours(mask), 1):
        line = Dataset()
        line.ContourNumber = count
        line.ContourGeometricType = "CLOSED_PLANAR"
        line.NumberOfContourPoints = len(points)
        line.ContourData = [decimal(x) for x in points.ravel()]
        image = _image(source, source.instances[k] if len(source.instances) > 1 else source.instances[0])
        if len(source.instances) == 1 and mask.geometry.shape[0] > 1:
            image.ReferencedFrameNumber = k + 1
        line.ContourImageSequence = [image]
        lines.append(line)
    if lines:
        item.ContourSequence = lines
    return item


def _observation(number: int, region: TrackedRegion, author: Author) -> Dataset:
    item = Dataset()
    item.ObservationNumber, item.ReferencedROINumber = number, number
    item.RTROIInterpretedType = ""
    item.ROIInterpreter = person_name(author.origin.id) if isinstance(author.origin, Reader) else ""
    item.RTROIIdentificationCodeSequence = [code(region.concept)]
    return item
