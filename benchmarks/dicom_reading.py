"""How fast files are taken in and series are loaded.

    python benchmarks/dicom_reading.py [FOLDER]

Without a folder a CT of 120 slices of 512 x 512 is made up. The library lies in the folder for temporary
files; "durable" forces everything to the disk, as a served library does.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEG2000Lossless

from coread.interop.dicom import arrange_series, load_series, read_instance
from coread.storage import Library
from coread.workflow.intake import ingest

UID = "1.2.826.0.1.3680043.10.9998"


def made_up_ct(folder: Path, slices: int = 120) -> None:
    """Write a CT of noise around a disc, the second half as JPEG 2000."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[-256:256, -256:256]
    disc = np.where(x**2 + y**2 < 200**2, 1064, 24)
    for n in range(slices):
        pixels = (disc + rng.normal(0, 12, disc.shape)).clip(0, 4095).astype(np.uint16)
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        compressed = n >= slices // 2
        dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless if compressed else ExplicitVRLittleEndian
        for keyword, value in {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": f"{UID}.1.{int(compressed)}.{n}",
            "StudyInstanceUID": f"{UID}.1",
            "SeriesInstanceUID": f"{UID}.1.{int(compressed)}",
            "FrameOfReferenceUID": f"{UID}.2",
            "PatientID": "BENCH",
            "PatientName": "Bench^Mark",
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "InstanceNumber": n + 1,
            "ImagePositionPatient": [-180, -180, n * 1.25],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [0.7, 0.7],
            "SliceThickness": 1.25,
            "Rows": 512,
            "Columns": 512,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
        }.items():
            setattr(dataset, keyword, value)
        if compressed:
            dataset.PixelData = encapsulate([imagecodecs.jpeg2k_encode(pixels, level=0, reversible=True)])
        else:
            dataset.PixelData = pixels.tobytes()
        dataset["PixelData"].VR = "OB" if compressed else "OW"
        stream = BytesIO()
        dataset.save_as(stream, enforce_file_format=True)
        (folder / f"{n:04d}.dcm").write_bytes(stream.getvalue())


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return wall and processor seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = arguments.folder or Path(made)
        if arguments.folder is None:
            made_up_ct(folder)
        report(folder)


def report(folder: Path) -> None:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    contents = [path.read_bytes() for path in files]
    megabytes = sum(map(len, contents)) / 1e6
    print(f"{len(files)} files, {megabytes:.0f} MB")
    for durable in (False, True):
        with tempfile.TemporaryDirectory() as place, Library.open(Path(place), durable=durable) as library:
            wall, cpu = timed(lambda library=library: ingest(library, [folder]))
        print(
            f"take in{', durable' if durable else ''}: {len(files) / wall:.0f} files/s, "
            f"{1000 * cpu / len(files):.1f} ms of processor a file"
        )
    instances = []
    wall, _ = timed(lambda: instances.extend(read_instance(content) for content in contents))
    print(f"read headers: {len(files) / wall:.0f} files/s")
    by_series: dict[str, list] = {}
    for instance in instances:
        by_series.setdefault(instance.header.series, []).append(instance)
    for members in by_series.values():
        syntax = members[0].header.transfer_syntax
        arrange, _ = timed(lambda members=members: arrange_series(members))
        load, _ = timed(lambda members=members: load_series(members))
        print(
            f"series of {len(members)} x {members[0].header.rows} x {members[0].header.columns} ({syntax}): "
            f"arranged in {1000 * arrange:.0f} ms, loaded in {load:.2f} s"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 if sys.platform == "darwin" else 1024)
    print(f"peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
