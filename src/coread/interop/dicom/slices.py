"""Where every slice lies: single frames, enhanced multi-frame, Siemens mosaics, UIH VFRAME.

References:
    DICOM PS3.3, C.7.6.2 (image plane), C.7.6.16 (functional groups), C.8.13.5 (enhanced MR).
    Siemens mosaics: the first voxel of a tile is half the difference of mosaic and tile further in,
    as nibabel and dcm2niix read it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from coread.core import Note
from coread.interop.dicom.attributes import date_of, items, number, numbers, text, time_of, words
from coread.interop.dicom.header import Instance

Window = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One plane of pixels with its place in the patient.

    Attributes:
        instance: Where it comes from.
        frame: Its frame, from 0.
        tile: (row, column) of its first pixel in that frame; not (0, 0) in mosaics.
        shape: (rows, columns).
        position: (3,) LPS of the centre of its first pixel.
        orientation: (2, 3) unit vectors along a row and down a column.
        spacing: (row, column) distances in mm.
        thickness: Nominal thickness in mm, or None.
        frame_of_reference: UID, or None.
        localizer: Whether it is a localizer.
        contrast: What tells it from another slice at the same place, by name; not time.
        order: What orders slices at the same place in time.
        time_s: Seconds of acquisition, on a clock of the series, or None.
        groups: Data sets that say most about it first: its functional groups, then its instance.
    """

    instance: Instance
    frame: int
    tile: tuple[int, int]
    shape: tuple[int, int]
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]
    thickness: float | None
    frame_of_reference: str | None
    localizer: bool
    contrast: dict[str, str]
    order: tuple[float, ...]
    time_s: float | None
    groups: tuple[Dataset, ...]

    @property
    def normal(self) -> NDArray[np.float64]:
        """(3,) unit vector along first x second triple of the orientation."""
        return np.asarray(np.cross(self.orientation[0], self.orientation[1]), dtype=np.float64)

    @property
    def key(self) -> tuple[str, int, tuple[int, int]]:
        """Identity, to sort by."""
        return self.instance.header.instance, self.frame, self.tile


@dataclass(slots=True)
class Placed:
    """Slices with a place, and frames that have none."""

    slices: list[Slice] = field(default_factory=list)
    without: list[tuple[Instance, int | None, tuple[Note, ...]]] = field(default_factory=list)


def place(instance: Instance, placed: Placed) -> None:
    """Add the slices of an instance; frames without a place are listed apart, with the reason."""
    dataset = instance.dataset
    image_type = words(dataset, "ImageType")
    if "MOSAIC" in image_type:
        tiles = _mosaic_slices(instance)
        if tiles:
            placed.slices += tiles
        else:
            note = Note("warning", "mosaic", "A mosaic without its description cannot be taken apart.")
            placed.without.append((instance, None, (note,)))
    elif "VFRAME" in image_type and _uih_frames(dataset):
        placed.slices += _uih_slices(instance)
    elif items(dataset, "PerFrameFunctionalGroupsSequence"):
        _place_enhanced(instance, placed)
    elif instance.header.frames == 1 and (plane := _plane(dataset)):
        placed.slices.append(_single(instance, plane))
    else:
        placed.without.append((instance, None, ()))


@dataclass(frozen=True, slots=True)
class _Plane:
    position: NDArray[np.float64]
    orientation: NDArray[np.float64]
    spacing: tuple[float, float]


def _plane_of(position: tuple[float, ...], orientation: tuple[float, ...], spacing: tuple[float, ...]) -> Any:
    if len(position) != 3 or len(orientation) != 6 or len(spacing) < 2:
        return None
    axes = np.array(orientation).reshape(2, 3)
    lengths = np.linalg.norm(axes, axis=1)
    if (abs(lengths - 1) > 0.02).any() or abs(axes[0] @ axes[1]) > 0.01 or min(spacing[:2]) <= 0:
        return None
    # Vectors are written with few digits: make them orthonormal again, the row direction as it is.
    first = axes[0] / lengths[0]
    second = axes[1] - (axes[1] @ first) * first
    return _Plane(
        np.array(position), np.stack([first, second / np.linalg.norm(second)]), (spacing[0], spacing[1])
    )


def _plane(dataset: Dataset) -> _Plane | None:
    found = _plane_of(
        numbers(dataset, "ImagePositionPatient"),
        numbers(dataset, "ImageOrientationPatient"),
        numbers(dataset, "PixelSpacing"),
    )
    return found if isinstance(found, _Plane) else None


def _clock(dataset: Dataset, *names: str) -> float | None:
    for name in names:
        value = text(dataset, name)
        if not value:
            continue
        if name.endswith("DateTime"):
            day, moment = date_of(value), time_of(value[8:].split("+")[0].split("-")[0])
        else:
            day, moment = date_of(text(dataset, name.replace("Time", "Date"))), time_of(value)
        if moment is None:
            continue
        seconds = moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6
        return seconds + (day.toordinal() * 86400.0 if day else 0.0)
    return None


def _order(values: tuple[float | None, ...]) -> tuple[float, ...]:
    return tuple(float("inf") if value is None else value for value in values)


def _diffusion(dataset: Dataset) -> dict[str, str]:
    """Return b-value and direction of a classic MR, standard or as Siemens and UIH write them."""
    found = {
        "b-value": text(dataset, "DiffusionBValue"),
        "diffusion direction": text(dataset, "DiffusionGradientOrientation"),
    }
    if found["b-value"]:
        return found
    for group, creator, b_value, direction in (
        (0x0019, "SIEMENS MR HEADER", 0x0C, 0x0E),
        (0x0065, "Image Private Header", 0x09, 0x37),
    ):
        try:
            block = dataset.private_block(group, creator)
            found["b-value"] = str(block[b_value].value) if b_value in block else ""
            found["diffusion direction"] = str(block[direction].value) if direction in block else ""
        except Exception:  # no such block, or broken
            continue
    return found


def _classic_contrast(dataset: Dataset) -> dict[str, str]:
    image_type = [word for word in words(dataset, "ImageType")[2:] if word]
    return {
        "image type": "\\".join(image_type),
        "echo": text(dataset, "EchoNumbers") or text(dataset, "EchoTime"),
        "inversion time": text(dataset, "InversionTime"),
        **_diffusion(dataset),
        "kernel": text(dataset, "ConvolutionKernel"),
    }


def _classic_time(dataset: Dataset) -> tuple[tuple[float, ...], float | None]:
    trigger = number(dataset, "TriggerTime")
    clock = _clock(dataset, "AcquisitionDateTime", "AcquisitionTime", "ContentTime")
    order = _order(
        (
            number(dataset, "TemporalPositionIdentifier"),
            number(dataset, "AcquisitionNumber"),
            trigger,
            clock,
            number(dataset, "InstanceNumber"),
        )
    )
    return order, trigger / 1000.0 if trigger is not None else clock


def _single(instance: Instance, plane: _Plane) -> Slice:
    dataset, header = instance.dataset, instance.header
    order, time_s = _classic_time(dataset)
    return Slice(
        instance=instance,
        frame=0,
        tile=(0, 0),
        shape=(header.rows or 0, header.columns or 0),
        position=plane.position,
        orientation=plane.orientation,
        spacing=plane.spacing,
        thickness=number(dataset, "SliceThickness"),
        frame_of_reference=header.frame_of_reference,
        localizer="LOCALIZER" in words(dataset, "ImageType"),
        contrast=_classic_contrast(dataset),
        order=order,
        time_s=time_s,
        groups=(dataset,),
    )


def _tiles(
    instance: Instance,
    first: list[NDArray[np.float64]],
    plane: _Plane,
    tile_shape: tuple[int, int],
    across: int,
) -> list[Slice]:
    """Return one slice a tile, given the position of the first pixel of each."""
    whole = _single(instance, plane)
    order, time_s = _classic_time(instance.dataset)
    return [
        Slice(
            instance=instance,
            frame=0,
            tile=(k // across * tile_shape[0], k % across * tile_shape[1]),
            shape=tile_shape,
            position=position,
            orientation=plane.orientation,
            spacing=plane.spacing,
            thickness=whole.thickness,
            frame_of_reference=whole.frame_of_reference,
            localizer=whole.localizer,
            contrast=whole.contrast,
            order=order,
            time_s=time_s,
            groups=whole.groups,
        )
        for k, position in enumerate(first)
    ]


def _csa(dataset: Dataset) -> tuple[int | None, NDArray[np.float64] | None]:
    """Return the number of tiles and the slice normal from the Siemens CSA image header."""
    from nibabel.nicom import csareader

    try:
        header: Any = csareader.get_csa_header(dataset, "image")  # type: ignore[no-untyped-call]
        if not header:
            return None, None
        count: Any = csareader.get_n_mosaic(header)  # type: ignore[no-untyped-call]
        normal: Any = csareader.get_slice_normal(header)  # type: ignore[no-untyped-call]
    except Exception:  # the private header is free-form; a broken one is as good as none
        return None, None
    return (int(count) if count else None), (np.asarray(normal) if normal is not None else None)


def _mosaic_slices(instance: Instance) -> list[Slice]:
    dataset, header = instance.dataset, instance.header
    plane = _plane(dataset)
    count, normal = _csa(dataset)
    try:
        said = int(dataset.private_block(0x0019, "SIEMENS MR HEADER")[0x0A].value)
    except Exception:  # no such block, or broken
        said = None
    count = said or count
    step = number(dataset, "SpacingBetweenSlices") or number(dataset, "SliceThickness")
    if plane is None or count is None or not 1 <= count <= 10_000 or not step or header.frames != 1:
        return []
    across = int(np.ceil(np.sqrt(count)))
    rows, columns = (header.rows or 0) // across, (header.columns or 0) // across
    if min(rows, columns) < 1:
        return []
    if normal is None or normal.shape != (3,) or not 0.99 < np.linalg.norm(normal) < 1.01:
        normal = np.cross(plane.orientation[0], plane.orientation[1])
    along_row = plane.orientation[0] * plane.spacing[1] * ((header.columns or 0) - columns) / 2
    down = plane.orientation[1] * plane.spacing[0] * ((header.rows or 0) - rows) / 2
    start = plane.position + along_row + down
    return _tiles(instance, [start + k * step * normal for k in range(count)], plane, (rows, columns), across)


def _uih_frames(dataset: Dataset) -> tuple[Dataset, ...]:
    try:
        block = dataset.private_block(0x0065, "Image Private Header")
        return tuple(block[0x51].value) if 0x51 in block else ()
    except Exception:  # no such block, or broken
        return ()


def _uih_slices(instance: Instance) -> list[Slice]:
    dataset, header = instance.dataset, instance.header
    frames = _uih_frames(dataset)
    orientation, spacing = numbers(dataset, "ImageOrientationPatient"), numbers(dataset, "PixelSpacing")
    planes = [_plane_of(numbers(f, "ImagePositionPatient"), orientation, spacing) for f in frames]
    across = int(np.ceil(np.sqrt(len(frames))))
    down = -(-len(frames) // across)
    rows, columns = (header.rows or 0) // down, (header.columns or 0) // across
    if any(plane is None for plane in planes) or min(rows, columns) < 1:
        return []
    return _tiles(instance, [plane.position for plane in planes], planes[0], (rows, columns), across)


def _place_enhanced(instance: Instance, placed: Placed) -> None:
    dataset, header = instance.dataset, instance.header
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    frames = items(dataset, "PerFrameFunctionalGroupsSequence")
    if len(frames) != header.frames:
        text_ = f"{len(frames)} functional groups for {header.frames} frames: their places are not known."
        placed.without.append((instance, None, (Note("warning", "functional_groups", text_),)))
        return
    found = [_enhanced_slice(instance, index, (frame, *shared)) for index, frame in enumerate(frames)]
    if not any(found):
        placed.without.append((instance, None, ()))
        return
    placed.slices += [one for one in found if one is not None]
    placed.without += [(instance, index, ()) for index, one in enumerate(found) if one is None]


def functional_group(groups: tuple[Dataset, ...], name: str) -> Dataset:
    """Return the item of a functional group, of the frame or shared; empty where there is none."""
    for group in groups:
        found = items(group, name)
        if found:
            return found[0]
    return Dataset()


def _enhanced_slice(instance: Instance, index: int, groups: tuple[Dataset, ...]) -> Slice | None:
    dataset, header = instance.dataset, instance.header
    measures = functional_group(groups, "PixelMeasuresSequence")
    plane = _plane_of(
        numbers(functional_group(groups, "PlanePositionSequence"), "ImagePositionPatient"),
        numbers(functional_group(groups, "PlaneOrientationSequence"), "ImageOrientationPatient"),
        numbers(measures, "PixelSpacing"),
    )
    if plane is None:
        return None
    content = functional_group(groups, "FrameContentSequence")
    frame_type: tuple[str, ...] = ()
    for name in ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence"):
        frame_type = frame_type or words(functional_group(groups, name), "FrameType")
    diffusion = functional_group(groups, "MRDiffusionSequence")
    direction = functional_group((diffusion,), "DiffusionGradientDirectionSequence")
    trigger = number(
        functional_group(groups, "CardiacSynchronizationSequence"), "NominalCardiacTriggerDelayTime"
    )
    clock = _clock(content, "FrameAcquisitionDateTime", "FrameReferenceDateTime")
    order = _order(
        (
            number(content, "TemporalPositionIndex"),
            number(content, "FrameAcquisitionNumber"),
            trigger,
            clock,
            float(header.instance_number or 0),
            float(index),
        )
    )
    return Slice(
        instance=instance,
        frame=index,
        tile=(0, 0),
        shape=(header.rows or 0, header.columns or 0),
        position=plane.position,
        orientation=plane.orientation,
        spacing=plane.spacing,
        thickness=number(measures, "SliceThickness"),
        frame_of_reference=header.frame_of_reference,
        localizer="LOCALIZER" in (frame_type or words(dataset, "ImageType")),
        contrast={
            "stack": text(content, "StackID"),
            "image type": "\\".join(word for word in frame_type[2:] if word),
            "echo": text(functional_group(groups, "MREchoSequence"), "EffectiveEchoTime"),
            "b-value": text(diffusion, "DiffusionBValue"),
            "diffusion direction": text(direction, "DiffusionGradientOrientation"),
        },
        order=order,
        time_s=trigger / 1000.0 if trigger is not None else clock,
        groups=(*groups, dataset),
    )
