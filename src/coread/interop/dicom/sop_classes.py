"""What a SOP class is: an image, an object that came for a study, a dose report.

References:
    DICOM PS3.4, B.5 (standard SOP classes); PS3.3, C.8.6.1.1.1 (conversion type).
"""

from __future__ import annotations

_STORAGE = "1.2.840.10008.5.1.4.1.1."
SECONDARY_CAPTURE = (
    _STORAGE + "7",
    _STORAGE + "7.1",
    _STORAGE + "7.2",
    _STORAGE + "7.3",
    _STORAGE + "7.4",
)
_OBJECTS_WITH_PIXELS = (
    _STORAGE + "30",  # parametric map
    _STORAGE + "66.4",  # segmentation
    _STORAGE + "66.7",  # label map segmentation
    _STORAGE + "481.2",  # RT dose
)
DOSE_REPORTS = (
    _STORAGE + "88.67",  # X-ray radiation dose SR
    _STORAGE + "88.68",  # radiopharmaceutical radiation dose SR
    _STORAGE + "88.73",  # patient radiation dose SR
    _STORAGE + "88.76",  # enhanced X-ray radiation dose SR
)
_FROM_OUTSIDE = ("DV", "DI", "DF", "SD", "SI")  # digitised video, interface, film, document, scan


def is_object(sop_class: str) -> bool:
    """Return whether instances of a class are objects although they have pixels."""
    return sop_class in _OBJECTS_WITH_PIXELS


def is_acquired(
    sop_class: str,
    *,
    role: str,
    image_type: tuple[str, ...],
    conversion: str,
    made_by_algorithm: bool,
) -> bool:
    """Return whether an instance may be shown before the first read.

    Acquired images and dose reports may; objects, captures made on a workstation and images that name a
    processing algorithm as their maker may not.
    """
    if sop_class in DOSE_REPORTS:
        return True
    if role != "image" or made_by_algorithm:
        return False
    if sop_class not in SECONDARY_CAPTURE:
        return True
    if "DOSE_INFO" in image_type:
        return True
    first = image_type[0] if image_type else ""
    return first == "ORIGINAL" or (first != "DERIVED" and conversion in _FROM_OUTSIDE)
