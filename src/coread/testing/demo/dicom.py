"""Simulated studies as DICOM: CT Image Storage and Digital X-Ray Image Storage - For Presentation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
)

from coread.core import Geometry

MAKER = "CoRead simulator"
COMMENT = "SIMULATED: no patient, made by the CoRead simulator"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedStudy:
    """What the header of a simulated study says.

    Attributes:
        seed: Makes the UIDs; the same seed and key give the same ones.
        key: Of the study, unique in the library.
        patient_id: Of the simulated patient.
        patient_name: By DICOM's rule; should begin with ``SIMULATED^``.
        birth: Date.
        sex: ``F`` or ``M``.
        day: Of the study.
        time: ``hhmmss``.
        description: Of the study.
        character_set: DICOM term, such as ``ISO_IR 192``.
    """

    seed: int = 1
    key: str
    patient_id: str = "SIM-1"
    patient_name: str = "SIMULATED^Patient"
    birth: date = date(1970, 1, 1)
    sex: Literal["F", "M"] = "F"
    day: date = date(2026, 1, 15)
    time: str = "080000"
    description: str = "SIMULATED study"
    character_set: str = "ISO_IR 192"

    def uid(self, *parts: object) -> str:
        """Return the UID (under 2.25) of the study, or of a part of it."""
        text = "/".join(str(part) for part in (self.seed, self.key, *parts))
        digest = bytearray(hashlib.sha256(text.encode()).digest()[:16])
        digest[6] = digest[6] & 0x0F | 0x80  # a UUID of version 8, as ITU-T X.667 asks
        digest[8] = digest[8] & 0x3F | 0x80
        return f"2.25.{int.from_bytes(digest, 'big')}"


def write_ct(
    hu: NDArray[np.int16],
    geometry: Geometry,
    study: SimulatedStudy,
    folder: Path,
    *,
    description: str,
    kernel: str,
) -> tuple[Path, ...]:
    """Write an axial CT, one file a slice from the head down, and return the files.

    Args:
        hu: (slices, rows, columns), -1024 to 3071.
        geometry: Of `hu`; axial, slices going up.
        study: Header.
        folder: Made if need be.
        description: Of the series; ``SIMULATED`` is put before it.
        kernel: Name of the reconstruction filter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    slices = len(hu)
    step = geometry.affine[:3, :3]
    spacing = geometry.spacing_mm
    for number, k in enumerate(range(slices - 1, -1, -1), start=1):
        dataset = _header(study, CTImageStorage, "CT", description, number)
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", "SIMULATED"]
        dataset.KVP = None  # one photon energy, no tube
        dataset.SliceThickness = f"{spacing[0]:g}"
        dataset.SpacingBetweenSlices = f"{spacing[0]:g}"
        dataset.DataCollectionDiameter = f"{spacing[1] * hu.shape[1]:.1f}"
        dataset.ReconstructionDiameter = f"{spacing[1] * hu.shape[1]:.1f}"
        dataset.GantryDetectorTilt = "0"
        dataset.ConvolutionKernel = kernel
        dataset.PatientPosition = "HFS"
        dataset.FrameOfReferenceUID = study.uid("frame")
        dataset.PositionReferenceIndicator = None
        place = geometry.to_patient((k, 0, 0))
        dataset.ImagePositionPatient = [f"{x:.4f}" for x in place]
        along = [*(step[:, 2] / spacing[2]), *(step[:, 1] / spacing[1])]
        dataset.ImageOrientationPatient = [f"{x:g}" for x in along]
        dataset.SliceLocation = f"{place[2]:.4f}"
        dataset.PixelSpacing = [f"{spacing[1]:g}", f"{spacing[2]:g}"]
        dataset.RescaleIntercept = "-1024"
        dataset.RescaleSlope = "1"
        dataset.RescaleType = "HU"
        dataset.WindowCenter = ["40", "-600"]
        dataset.WindowWidth = ["400", "1500"]
        dataset.WindowCenterWidthExplanation = ["SOFT TISSUE", "LUNG"]
        _pixels(dataset, (hu[k].astype(np.int32) + 1024).astype(np.uint16), "MONOCHROME2")
        path = folder / f"CT{number:04d}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        files.append(path)
    return tuple(files)


def write_film(
    values: NDArray[np.uint16],
    study: SimulatedStudy,
    folder: Path,
    *,
    pixel_mm: float,
    source_to_detector_mm: float,
    magnification: float,
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = "MONOCHROME2",
) -> Path:
    """Write a PA chest film and return the file.

    Args:
        values: (rows, columns) of 12 bits, dense is white; MONOCHROME1 is written turned over.
        study: Header.
        folder: Made if need be.
        pixel_mm: At the detector.
        source_to_detector_mm: Distance.
        magnification: Estimated, of the middle of the chest.
        photometric: Which end of the range is white.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dataset = _header(study, DigitalXRayImageStorageForPresentation, "DX", "Chest PA", 1)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "", "SIMULATED"]
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.KVP = "125"
    dataset.DetectorType = None
    dataset.ImagerPixelSpacing = [f"{pixel_mm:g}"] * 2
    dataset.DistanceSourceToDetector = f"{source_to_detector_mm:g}"
    dataset.EstimatedRadiographicMagnificationFactor = f"{magnification:.3f}"
    dataset.ViewPosition = "PA"
    dataset.PositionerType = "NONE"
    dataset.PatientOrientation = ["L", "F"]
    dataset.ImageLaterality = "U"
    dataset.AnatomicRegionSequence = Sequence([_code("51185008", "SCT", "Chest")])
    dataset.ViewCodeSequence = Sequence([_code("272479007", "SCT", "postero-anterior")])
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([])
    dataset.PixelIntensityRelationship = "LOG"
    inverse = photometric == "MONOCHROME1"
    dataset.PixelIntensityRelationshipSign = 1 if inverse else -1
    dataset.RescaleIntercept = "0"
    dataset.RescaleSlope = "1"
    dataset.RescaleType = "US"
    dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    dataset.WindowCenter = "2048"
    dataset.WindowWidth = "4096"
    dataset.LossyImageCompression = "00"
    dataset.AcquisitionContextSequence = Sequence([])
    _pixels(dataset, 4095 - values if inverse else values, photometric)
    path = folder / "DX0001.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def _header(study: SimulatedStudy, sop_class: str, modality: str, series: str, number: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = UID("2.25.258632447318736214702913164541302137401")
    dataset.file_meta.ImplementationVersionName = "COREAD"
    day = f"{study.day:%Y%m%d}"
    dataset.SpecificCharacterSet = study.character_set
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = study.uid(modality, number)
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = study.time
    dataset.AccessionNumber = f"SIM{int(hashlib.sha256(study.key.encode()).hexdigest()[:6], 16):08d}"
    dataset.Modality = modality
    dataset.Manufacturer = MAKER
    dataset.ManufacturerModelName = MAKER
    dataset.InstitutionName = "SIMULATED"
    dataset.ReferringPhysicianName = ""
    dataset.StationName = "SIMULATED"
    dataset.StudyDescription = f"SIMULATED {study.description}"
    dataset.SeriesDescription = f"SIMULATED {series}"
    dataset.PatientName = study.patient_name
    dataset.PatientID = study.patient_id
    dataset.PatientBirthDate = f"{study.birth:%Y%m%d}"
    dataset.PatientSex = study.sex
    before = (study.day.month, study.day.day) < (study.birth.month, study.birth.day)
    dataset.PatientAge = f"{study.day.year - study.birth.year - before:03d}Y"
    dataset.PatientComments = COMMENT
    dataset.BodyPartExamined = "CHEST"
    dataset.DeviceSerialNumber = "SIMULATED"
    dataset.SoftwareVersions = MAKER
    dataset.StudyInstanceUID = study.uid()
    dataset.SeriesInstanceUID = study.uid(modality)
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.InstanceNumber = number
    dataset.ImageComments = COMMENT
    dataset.BurnedInAnnotation = "NO"
    return dataset


def _pixels(dataset: Dataset, stored: NDArray[np.uint16], photometric: str) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = scheme
    item.CodeMeaning = meaning
    return item
