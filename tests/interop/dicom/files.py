"""DICOM files made for the reading tests, and the programs that check them."""

from __future__ import annotations

import shutil
import struct
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from coread.interop.dicom import Instance, read_instance

ROOT = "1.2.826.0.1.3680043.10.9999"


def tool(name: str) -> str:
    """The path of a DCMTK program; the test is skipped where it is absent."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs {name} of the Debian package dcmtk")
    return found


def dcmtk(name: str, source: Path, target: Path, *options: str) -> pydicom.FileDataset:
    """What a DCMTK program makes of a file."""
    subprocess.run([tool(name), "-q", *options, str(source), str(target)], check=True, capture_output=True)
    return pydicom.dcmread(target)


def plain(stored: NDArray[Any] | None = None, **attributes: Any) -> Dataset:
    """A CT slice; attributes replace or (None) remove what it would say."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": f"{ROOT}.1.1.1",
        "StudyInstanceUID": f"{ROOT}.1",
        "SeriesInstanceUID": f"{ROOT}.1.1",
        "FrameOfReferenceUID": f"{ROOT}.2",
        "Modality": "CT",
        "PatientID": "P1",
        "PatientName": "Test^Case",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImagePositionPatient": [0, 0, 0],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "PixelSpacing": [0.5, 0.5],
        "SliceThickness": 2,
    }
    stored = np.zeros((4, 6), np.int16) if stored is None else stored
    samples = 3 if stored.ndim > 2 and stored.shape[-1] == 3 else 1
    shape = stored.shape[:-1] if samples == 3 else stored.shape
    bits = stored.dtype.itemsize * 8
    values |= {
        "Rows": shape[-2],
        "Columns": shape[-1],
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "MONOCHROME2" if samples == 1 else "RGB",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "PixelData": stored.tobytes() + b"\0" * (stored.nbytes % 2),
    }
    if samples == 3:
        values["PlanarConfiguration"] = 0
    if len(shape) == 3:
        values["NumberOfFrames"] = shape[0]
    for keyword, value in (values | attributes).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    return dataset


def as_bytes(dataset: Dataset, transfer_syntax: str | None = None) -> bytes:
    """A data set as a DICOM file."""
    if transfer_syntax:
        dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def instance(dataset: Dataset) -> Instance:
    """A data set written and read again by what is tested."""
    return read_instance(as_bytes(dataset))


def slice_at(position: Any, number: int = 1, **attributes: Any) -> Instance:
    """A CT slice at a place; its pixels hold its number."""
    stored = np.full((4, 6), number, np.int16)
    return instance(
        plain(
            stored,
            ImagePositionPatient=[round(float(x), 6) for x in position],
            SOPInstanceUID=f"{ROOT}.1.1.{number}",
            InstanceNumber=number,
            **attributes,
        )
    )


def element(tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian; its length may lie."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in ("OB", "OW", "SQ", "UN", "UT"):
        return head + b"\0\0" + struct.pack("<L", size) + value
    return head + struct.pack("<H", size) + value
