"""Key images: the slice or the film with the outline of a finding, as PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw

from coread.core import (
    Box,
    Contour,
    Finding,
    Image,
    Mask,
    MaskRegion,
    OnInstance,
    PatientSpace,
    Point,
    Region,
    Volume,
)
from coread.interop.dicom.values import Window, value_window

_COLOUR = (255, 196, 0)
_SIDE = 480
_MARK = 9
_LUNG, _SOFT_TISSUE = Window(-600.0, 1500.0, "lung"), Window(50.0, 400.0, "soft tissue")


@dataclass(frozen=True, slots=True)
class KeyImage:
    """A picture of a finding.

    Attributes:
        finding: Identifier of the finding.
        png: The picture.
        width: In pixels.
        height: In pixels.
        slice_number: Of the volume, from 1; None on a projection.
    """

    finding: str
    png: bytes
    width: int
    height: int
    slice_number: int | None


def key_image(part: Volume | Image, finding: Finding, *, window: Window | None = None) -> KeyImage | None:
    """Return the slice in which a finding is largest, with its outline, or None where it lies elsewhere.

    Pixels are square in the picture, whatever their spacing; white is dense. CT of the chest is shown in
    the lung window, other CT in the soft tissue window, the rest from the 1st to the 99th percentile.

    Args:
        part: The image.
        finding: With a region.
        window: Of modality values, in place of the usual one.
    """
    region = finding.region
    if region is None:
        return None
    if isinstance(part, Volume):
        if not isinstance(region.space, PatientSpace):
            return None
        if region.space.frame_of_reference != part.frame_of_reference:
            return None
        placed = _in_slice(region, part)
        if placed is None:
            return None
        k, inside, line = placed
        values, spacing = part.values[k], part.geometry.spacing_mm[1:]
        number: int | None = k + 1
    else:
        if not isinstance(region.space, OnInstance) or region.space.instance != part.source_instance:
            return None
        inside, line = _on_plane(region)
        values, spacing, number = part.values, part.plane.spacing_mm or (1.0, 1.0), None
    shown = window or _usual_window(part)
    picture, scale = _picture(values, (float(spacing[0]), float(spacing[1])), shown)
    _draw(picture, inside, line, scale)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return KeyImage(finding.id, buffer.getvalue(), picture.width, picture.height, number)


def _usual_window(part: Volume | Image) -> Window:
    if part.unit == "HU":
        chest = (part.acquisition.body_part or "").upper()
        return _LUNG if any(word in chest for word in ("CHEST", "THORAX", "LUNG")) else _SOFT_TISSUE
    return value_window(np.asarray(part.values, dtype=np.float32))


def _in_slice(
    region: Region, volume: Volume
) -> tuple[int, NDArray[np.bool_] | None, NDArray[np.float64]] | None:
    """Return the slice, the region's pixels or None, and its line as (row, column) points."""
    geometry = volume.geometry
    match region:
        case MaskRegion():
            assert isinstance(region.mask, Mask)
            mask = region.mask
            if not mask.geometry.almost_equal(geometry):
                mask = _on_grid(mask, volume)
            areas = np.count_nonzero(mask.voxels, axis=(1, 2))
            k = int(np.argmax(areas))
            return (k, mask.voxels[k], np.empty((0, 2))) if areas[k] else None
        case Point():
            points = np.array([region.at])
        case Contour():
            points = np.array([*region.points, region.points[0]])
        case Box():
            points = _box_corners(np.array(region.low), np.array(region.high))
    index = geometry.to_index(points)
    k = int(np.rint(index[:, 0].mean()))
    if not 0 <= k < geometry.shape[0]:
        return None
    line = index[:, 1:]
    if isinstance(region, Box):
        low, high = line.min(axis=0), line.max(axis=0)
        line = _rectangle(low, high)
    return k, None, line


def _on_grid(mask: Mask, volume: Volume) -> Mask:
    """Return a mask on the grid of a volume, each voxel as the nearest one of the mask."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in volume.geometry.shape], indexing="ij"), axis=-1)
    other = np.rint(mask.geometry.to_index(volume.geometry.to_patient(index))).astype(np.intp)
    within = np.all((other >= 0) & (other < mask.geometry.shape), axis=-1)
    voxels = np.zeros(volume.geometry.shape, dtype=bool)
    voxels[within] = mask.voxels[tuple(other[within].T)]
    return Mask(voxels, volume.geometry)


def _on_plane(region: Region) -> tuple[NDArray[np.bool_] | None, NDArray[np.float64]]:
    match region:
        case MaskRegion():
            assert not isinstance(region.mask, Mask)
            return region.mask.pixels, np.empty((0, 2))
        case Point():
            return None, np.array([region.at])
        case Contour():
            return None, np.array([*region.points, region.points[0]])
        case Box():
            return None, _rectangle(np.array(region.low), np.array(region.high))


def _rectangle(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    (r0, c0), (r1, c1) = low, high
    return np.array([[r0, c0], [r0, c1], [r1, c1], [r1, c0], [r0, c0]])


def _box_corners(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    choose = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
    return np.where(choose == 1, high, low)


def _picture(
    values: NDArray[np.generic], spacing: tuple[float, float], window: Window
) -> tuple[Picture.Image, tuple[float, float]]:
    """Return the picture and how many of its pixels one (row, column) is."""
    if values.ndim == 3:
        grey = np.asarray(values[..., :3], dtype=np.uint8)
    else:
        share = (np.asarray(values, dtype=np.float32) - (window.center - window.width / 2)) / window.width
        grey = np.rint(np.clip(np.nan_to_num(share), 0, 1) * 255).astype(np.uint8)
    picture = Picture.fromarray(grey).convert("RGB")
    rows_mm, columns_mm = grey.shape[0] * spacing[0], grey.shape[1] * spacing[1]
    factor = _SIDE / max(rows_mm, columns_mm)
    size = (max(1, round(columns_mm * factor)), max(1, round(rows_mm * factor)))
    scale = (size[1] / grey.shape[0], size[0] / grey.shape[1])
    return picture.resize(size, Picture.Resampling.BILINEAR), scale


def _draw(
    picture: Picture.Image,
    inside: NDArray[np.bool_] | None,
    line: NDArray[np.float64],
    scale: tuple[float, float],
) -> None:
    if inside is not None:
        _draw_edge(picture, inside)
        return
    pen = ImageDraw.Draw(picture)
    # pixel centres lie at whole numbers, so the picture's corner is at -0.5
    points = [(float((c + 0.5) * scale[1]), float((r + 0.5) * scale[0])) for r, c in line]
    if len(points) == 1:
        x, y = points[0]
        pen.ellipse((x - _MARK, y - _MARK, x + _MARK, y + _MARK), outline=_COLOUR, width=2)
    else:
        pen.line(points, fill=_COLOUR, width=2, joint="curve")


def _draw_edge(picture: Picture.Image, inside: NDArray[np.bool_]) -> None:
    large = Picture.fromarray(inside.astype(np.uint8) * 255).resize(picture.size, Picture.Resampling.NEAREST)
    region = np.asarray(large) > 0
    padded = np.pad(region, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    pixels = np.array(picture)
    pixels[region & ~inner] = _COLOUR
    picture.paste(Picture.fromarray(pixels))
