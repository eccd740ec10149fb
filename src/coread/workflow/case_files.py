"""Files of a researcher's cases: volumes, DICOM series in folders, channels in one file, drawn regions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from coread.core import Acquisition, Image, Mask, Segment, Volume
from coread.errors import DataError
from coread.interop.dicom.header import Instance, read_instance
from coread.interop.dicom.loading import load_series
from coread.interop.dicom.regions import read_regions, read_segmentation
from coread.interop.dicom.source import find_files
from coread.interop.nifti import NIFTI, from_nibabel, is_image_file, read_volume
from coread.recognition.training.cases import NamedRegion, Read, RegionsOf

_tools: Any = nibabel


def read_case(path: Path) -> Read:
    """Return what is in a NIfTI, NRRD, MetaImage or DICOM file, or in a folder with one DICOM series.

    A NIfTI of four dimensions gives a volume a channel, as MONAI and the Medical Segmentation Decathlon
    keep them. A SEG or RT structure set gives regions that are put on the image when that is known.

    Raises:
        DataError: It can't be read, or holds something else than one image or volume.
    """
    if path.is_file() and is_image_file(path):
        channels = _channels(path) if path.name.lower().endswith(NIFTI) else ()
        return channels or read_volume(path)
    instances = [read_instance(file.open()) for file in find_files([path])]
    drawn = [each for each in instances if each.header.role == "object"]
    if drawn and len(drawn) == len(instances):
        if len(drawn) > 1:
            raise DataError(f"{path.name} holds {len(drawn)} objects", "one SEG or RT structure set")
        return _regions(drawn[0])
    if not instances:
        raise DataError(f"{path.name} is an empty folder", "the files of a DICOM series")
    parts = load_series(instances)
    value = parts[0].value if len(parts) == 1 else None
    if not isinstance(value, Image | Volume):
        raise DataError(
            f"{path.name} holds a film or {len(parts)} images",
            "one image or volume",
            "put each series into a folder of its own",
        )
    return value


def _channels(path: Path) -> tuple[Volume, ...]:
    """One volume for each place along the fourth axis; none where there is no such axis."""
    try:
        image = _tools.load(path)
        shape = image.shape
    except Exception:  # `read_volume` tells what is wrong with it
        return ()
    if len(shape) != 4 or shape[3] < 2:
        return ()
    values = np.asarray(image.dataobj)
    out = []
    for n in range(shape[3]):
        array, geometry = from_nibabel(_tools.Nifti1Image(values[..., n], image.affine))
        kind = array.dtype if array.dtype.kind in "iu" else np.float32
        out.append(Volume(array.astype(kind), geometry, "stored", Acquisition("OT")))
    return tuple(out)


def _regions(instance: Instance) -> RegionsOf:
    def on(image: Volume | Image) -> tuple[NamedRegion, ...]:
        dataset = instance.dataset
        segments = read_regions(dataset, image) if isinstance(image, Volume) else read_segmentation(dataset)
        named = _labels(dataset, len(segments))
        return tuple(
            NamedRegion((*more, segment.concept.meaning, segment.concept.value), _pixels(segment))
            for segment, more in zip(segments, named, strict=True)
        )

    return on


def _labels(dataset: Any, count: int) -> Sequence[tuple[str, ...]]:
    """The label of each segment of a SEG, which tells apart what has one code."""
    described = sorted(dataset.get("SegmentSequence", []), key=lambda s: int(s.SegmentNumber))
    described = [s for s in described if int(s.SegmentNumber) > 0]
    if len(described) != count:
        return [()] * count
    return [(str(s.get("SegmentLabel") or ""),) for s in described]


def _pixels(segment: Segment) -> NDArray[np.bool_]:
    return segment.mask.voxels if isinstance(segment.mask, Mask) else segment.mask.pixels
