"""Quick checks of how an image came out: noise, calibration, gaps; clipping and contrast of films."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from coread.core import Image, Inputs, Measurement, Note, Quantity, Result, Volume
from coread.core.vocabulary import EXPOSURE_CLIPPING, IMAGE_NOISE
from coread.errors import NotApplicableError
from coread.imaging.orientation import Orientation

FILMS = ("CR", "DX", "RG")
NOISY_HU = 40.0
_SAMPLED_SLICES = 24
_WINDOW_MM = 9.0


def global_noise(volume: Volume) -> float | None:
    """Return the noise of a CT in HU: the most frequent local standard deviation in soft tissue.

    Args:
        volume: HU.

    Returns:
        The mode, over soft-tissue places of at most 24 slices, of the standard deviation in a square of
        9 mm; None where there is too little soft tissue.

    References:
        Christianson O et al. AJR 2015;205:W23-W31; AAPM Task Group 233, 2019.
    """
    orientation = Orientation.of(volume.geometry)
    values = orientation.turn(volume.values)
    spacing = orientation.spacing_mm(volume.geometry)
    size = tuple(max(5, round(_WINDOW_MM / s) | 1) for s in spacing[1:])
    chosen = np.unique(np.linspace(0, len(values) - 1, min(len(values), _SAMPLED_SLICES)).astype(int))
    spread = []
    for k in chosen:
        plane = values[k].astype(np.float64)
        mean = ndimage.uniform_filter(plane, size)
        square = ndimage.uniform_filter(plane**2, size)
        soft = ndimage.binary_erosion((mean > -50.0) & (mean < 150.0), iterations=2)
        count = size[0] * size[1]
        spread.append(np.sqrt(np.maximum(square - mean**2, 0.0)[soft] * count / (count - 1)))
    local = np.concatenate(spread)
    if local.size < 500:
        return None
    return _mode(local)


def _mode(values: NDArray[np.float64]) -> float:
    """Return the mode of positive values: the top of a smoothed histogram."""
    high = float(np.percentile(values, 90.0))
    if high <= 0.0:
        return 0.0
    counts, edges = np.histogram(values, bins=200, range=(0.0, 2.0 * high))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 3.0)
    top = int(np.argmax(smooth))
    # the middle of the upper part of the peak is steadier than its highest bin
    low, up = top, top
    while low > 0 and smooth[low - 1] > 0.7 * smooth[top]:
        low -= 1
    while up < len(smooth) - 1 and smooth[up + 1] > 0.7 * smooth[top]:
        up += 1
    centres = 0.5 * (edges[:-1] + edges[1:])
    return float(np.average(centres[low : up + 1], weights=smooth[low : up + 1]))


def clipped_part(image: Image) -> tuple[float, float]:
    """Return the parts (0 to 1) of a film's pixels at the lowest and at the highest value it has.

    Examples:
        >>> from coread.core import Acquisition, ImagePlane
        >>> film = Image(np.array([[0, 0, 5, 9]]), ImagePlane((1, 4)), "stored", Acquisition("DX"))
        >>> clipped_part(film)
        (0.5, 0.25)
    """
    values = np.asarray(image.values)
    lowest = np.count_nonzero(values == values.min()) / values.size
    highest = np.count_nonzero(values == values.max()) / values.size
    return float(lowest), float(highest)


class ImageQuality:
    """Measures noise and clipping and notes what a reader should know before reading."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return noise of each CT, clipping of each film, and notes on what is out of the ordinary.

        Raises:
            NotApplicableError: There is neither a CT in HU nor a radiograph.
        """
        scans = {
            key: volume
            for key, volume in sorted(inputs.volumes.items())
            if volume.unit == "HU" and volume.acquisition.modality == "CT" and volume.values.ndim == 3
        }
        films = {
            key: image
            for key, image in sorted(inputs.images.items())
            if image.acquisition.modality in FILMS and image.values.ndim == 2
        }
        if not scans and not films:
            raise NotApplicableError("neither a CT in HU nor a radiograph", "one of the two")
        measurements: list[Measurement] = []
        notes: list[Note] = []
        for volume in scans.values():
            _judge_scan(volume, measurements, notes)
        notes.extend(_missing_slices(scans))
        for image in films.values():
            _judge_film(image, measurements, notes)
        return Result(measurements=tuple(measurements), notes=tuple(notes))


def _judge_scan(volume: Volume, measurements: list[Measurement], notes: list[Note]) -> None:
    noise = global_noise(volume)
    if noise is not None:
        measurements.append(
            Measurement(
                IMAGE_NOISE,
                Quantity(noise, "[hnsf'U]"),
                method="mode of local standard deviation in soft tissue (TG-233)",
                source_instances=volume.source_instances,
            )
        )
        if noise > NOISY_HU:
            notes.append(Note("warning", "noisy", f"Noisy CT: {noise:.0f} HU in soft tissue."))
    turned = Orientation.of(volume.geometry).turn(volume.values)
    flat = [k for k in range(len(turned)) if turned[k].min() == turned[k].max()]
    if flat:
        notes.append(Note("warning", "empty-slices", f"{len(flat)} of {len(turned)} slices are empty."))
    twice = sum(
        k not in flat and bool(np.array_equal(turned[k], turned[k + 1])) for k in range(len(turned) - 1)
    )
    if twice:
        notes.append(Note("warning", "repeated-slices", f"{twice} slices repeat the one before."))
    thickness = volume.acquisition.slice_thickness_mm
    step = volume.geometry.slice_spacing_mm
    if thickness is not None and len(turned) > 1 and step > 1.1 * thickness:
        notes.append(
            Note(
                "warning",
                "gaps",
                f"Slices of {thickness:g} mm every {step:g} mm: {step - thickness:g} mm between them were "
                "not imaged.",
            )
        )
    air = _air(turned)
    if air is not None and abs(air + 1000.0) > 30.0:
        notes.append(
            Note("warning", "air-calibration", f"Air around the patient reads {air:.0f} HU, not -1000 HU.")
        )


def _air(turned: NDArray[Any]) -> float | None:
    """Return the median of the air around the body in HU; padding, which is constant, is left out."""
    middle = turned[len(turned) // 2]
    rim = np.concatenate([middle[:8].ravel(), middle[:, :8].ravel(), middle[:, -8:].ravel()])
    values, counts = np.unique(rim, return_counts=True)
    padding = values[(counts > 0.2 * rim.size) & (values != -1000)]
    rim = rim[(rim > -1200) & (rim < -800) & ~np.isin(rim, padding)]
    return float(np.median(rim)) if rim.size > 200 else None


def _missing_slices(scans: Mapping[str, Volume]) -> list[Note]:
    """Return notes on parts of one series that continue each other after a gap."""
    notes = []
    parts = list(scans.values())
    for n, a in enumerate(parts):
        for b in parts[n + 1 :]:
            if a.series is None or a.series != b.series or a.geometry.shape[1:] != b.geometry.shape[1:]:
                continue
            step = a.geometry.affine[:3, 0]
            if not np.allclose(a.geometry.affine[:3, :3], b.geometry.affine[:3, :3], atol=1e-3):
                continue
            for first, second in ((a, b), (b, a)):
                end = first.geometry.to_patient((first.geometry.shape[0] - 1, 0, 0))
                gap = second.geometry.affine[:3, 3] - end
                steps = float(gap @ step / (step @ step))
                missing = round(steps) - 1
                aligned = np.linalg.norm(gap - round(steps) * step) < 0.1 * np.linalg.norm(step)
                if aligned and 0 < missing <= 50:
                    verb = "slice is" if missing == 1 else "slices are"
                    notes.append(
                        Note("warning", "missing-slices", f"{missing} {verb} missing inside a series.")
                    )
    return notes


def _judge_film(image: Image, measurements: list[Measurement], notes: list[Note]) -> None:
    values = np.asarray(image.values)
    if values.min() == values.max():
        notes.append(Note("warning", "empty-image", "The radiograph has no contrast at all."))
        return
    lowest, highest = clipped_part(image)
    measurements.append(
        Measurement(
            EXPOSURE_CLIPPING,
            Quantity(100.0 * (lowest + highest), "%"),
            method="pixels at the lowest and the highest value",
            source_instances=image.source_instances,
        )
    )
    if highest > 0.05:
        notes.append(
            Note(
                "warning",
                "clipped-bright",
                f"{100 * highest:.0f} % of the pixels are at the bright end: dense parts may be lost.",
            )
        )
    if lowest > 0.4:
        notes.append(
            Note(
                "warning",
                "clipped-dark",
                f"{100 * lowest:.0f} % of the pixels are at the dark end: collimated, or overexposed.",
            )
        )
    inner = np.percentile(values, (2.0, 98.0))
    if (inner[1] - inner[0]) < 0.15 * (float(values.max()) - float(values.min())):
        notes.append(Note("warning", "low-contrast", "Most of the radiograph lies in a narrow range."))
