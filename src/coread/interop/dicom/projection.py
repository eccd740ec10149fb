"""Pictures without a place in the patient: their plane, what their spacing means, how they were made.

References:
    DICOM PS3.3, 10.7.1.3 (pixel spacing and calibration), C.8.5.5 (ultrasound regions); PS3.16, CID 4010,
    CID 4014 (views), CID 244 (laterality).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from coread.core import Acquisition, CodedConcept, ImagePlane, Note, vocabulary
from coread.core.geometry import SpacingKind
from coread.interop.dicom.attributes import integer, items, number, numbers, text, words
from coread.interop.dicom.header import Instance, is_lossy, is_simulated

_VIEWS = {
    "AP": ("399348003", "antero-posterior"),
    "PA": ("272479007", "postero-anterior"),
    "LL": ("399173006", "left lateral"),
    "RL": ("399198007", "right lateral"),
    "RLO": ("399236003", "right oblique"),
    "LLO": ("399184004", "left oblique"),
    "CC": ("399162004", "cranio-caudal"),
    "MLO": ("399368009", "medio-lateral oblique"),
    "ML": ("399260004", "medio-lateral"),
    "LM": ("399352003", "latero-medial"),
}
_SIDES = {"L": vocabulary.LEFT, "R": vocabulary.RIGHT, "B": vocabulary.BILATERAL}
_PROJECTIONS = ("CR", "DX", "MG", "XA", "RF", "PX", "IO", "RG")


@dataclass(frozen=True, slots=True)
class _Spacing:
    values: tuple[float, float] | None
    kind: SpacingKind
    note: Note | None = None


def image_plane(dataset: Dataset) -> tuple[ImagePlane, tuple[Note, ...]]:
    """Return the plane of a picture, and what a reader should know about its spacing."""
    spacing = _spacing(dataset)
    shape = (integer(dataset, "Rows") or 0, integer(dataset, "Columns") or 0)
    plane = ImagePlane(shape, spacing.values, spacing.kind, _view(dataset), _side(dataset))
    return plane, (spacing.note,) if spacing.note else ()


def _pair(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    found = numbers(dataset, keyword)
    return (found[0], found[1]) if len(found) == 2 and min(found) > 0 else None


def _spacing(dataset: Dataset) -> _Spacing:
    modality = text(dataset, "Modality").upper()
    pixel, imager = _pair(dataset, "PixelSpacing"), _pair(dataset, "ImagerPixelSpacing")
    if items(dataset, "SequenceOfUltrasoundRegions"):
        return _ultrasound_spacing(dataset)
    calibrated = text(dataset, "PixelSpacingCalibrationType").upper() in ("GEOMETRY", "FIDUCIAL")
    if modality in _PROJECTIONS or imager:
        if pixel and (calibrated or (imager and not np.allclose(pixel, imager, rtol=1e-4))):
            return _Spacing(pixel, "calibrated")
        if imager or pixel:
            note = Note(
                "information",
                "spacing_at_detector",
                "Distances are at the detector; in the patient they are smaller by the magnification.",
            )
            return _Spacing(imager or pixel, "detector", note)
    if pixel and calibrated:
        return _Spacing(pixel, "calibrated")
    if pixel and modality in ("CT", "MR", "PT", "NM"):
        return _Spacing(pixel, "patient")
    scanned = _pair(dataset, "NominalScannedPixelSpacing")
    if scanned:
        return _Spacing(scanned, "detector")
    if pixel:
        note = Note(
            "warning",
            "spacing_unexplained",
            "The file names a pixel spacing but not what it means; not used.",
        )
        return _Spacing(None, "unknown", note)
    return _Spacing(None, "unknown")


def _ultrasound_spacing(dataset: Dataset) -> _Spacing:
    """Return the spacing of the two-dimensional regions, where all of them agree."""
    found: set[tuple[float, float]] = set()
    for region in items(dataset, "SequenceOfUltrasoundRegions"):
        two_dimensional = integer(region, "RegionSpatialFormat") == 1
        in_cm = integer(region, "PhysicalUnitsXDirection") == integer(region, "PhysicalUnitsYDirection") == 3
        x, y = number(region, "PhysicalDeltaX"), number(region, "PhysicalDeltaY")
        if two_dimensional and in_cm and x and y:
            found.add((round(abs(y) * 10.0, 9), round(abs(x) * 10.0, 9)))
    if len(found) == 1:
        return _Spacing(found.pop(), "calibrated")
    if found:
        note = Note(
            "warning", "regions_differ", "The regions of the picture have different scales; not used."
        )
        return _Spacing(None, "unknown", note)
    return _Spacing(None, "unknown")


def _concept(dataset: Dataset) -> CodedConcept | None:
    value, scheme = text(dataset, "CodeValue"), text(dataset, "CodingSchemeDesignator")
    meaning = text(dataset, "CodeMeaning")
    return CodedConcept(value, scheme, meaning) if value and scheme and meaning else None


def _view(dataset: Dataset) -> CodedConcept | None:
    for item in items(dataset, "ViewCodeSequence"):
        coded = _concept(item)
        if coded:
            known = {meaning: value for value, meaning in _VIEWS.values()}
            # Old SNOMED identifiers (SRT) and today's (SCT) name the same view.
            value = known.get(coded.meaning.lower())
            return CodedConcept(value, "SCT", coded.meaning.lower()) if value else coded
    known_view = _VIEWS.get(text(dataset, "ViewPosition").upper())
    return CodedConcept(known_view[0], "SCT", known_view[1]) if known_view else None


def _side(dataset: Dataset) -> CodedConcept | None:
    letter = (text(dataset, "ImageLaterality") or text(dataset, "Laterality")).upper()
    return _SIDES.get(letter)


def acquisition(instance: Instance) -> Acquisition:
    """Return how an image was made, by its header."""
    dataset, header = instance.dataset, instance.header
    image_type = words(dataset, "ImageType")
    agent = text(dataset, "ContrastBolusAgent") or items(dataset, "ContrastBolusAgentSequence")
    return Acquisition(
        modality=header.modality,
        body_part=header.body_part,
        description=header.series_description or None,
        manufacturer=text(dataset, "Manufacturer") or None,
        device=text(dataset, "ManufacturerModelName") or None,
        kernel=text(dataset, "ConvolutionKernel") or None,
        slice_thickness_mm=number(dataset, "SliceThickness"),
        kvp=number(dataset, "KVP"),
        contrast=True if agent else None,
        simulated=is_simulated(dataset),
        lossy=is_lossy(dataset, header.transfer_syntax),
        derived=bool(image_type) and image_type[0] == "DERIVED",
        localizer="LOCALIZER" in image_type,
    )
