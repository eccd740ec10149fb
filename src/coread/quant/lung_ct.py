"""Volumes and densities of the lungs on a chest CT, and emphysema by density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from coread.core import (
    CodedConcept,
    Finding,
    Inputs,
    Interval,
    LabelMap,
    Map,
    Mask,
    MaskRegion,
    Measurement,
    Model,
    Note,
    PatientSpace,
    Probability,
    Quantity,
    Result,
    Volume,
)
from coread.core import vocabulary as words
from coread.errors import InputError, NotApplicableError
from coread.imaging.label import erode
from coread.quant.lung_segmentation import AIRWAYS, LEFT, RIGHT, segment_lungs

Bools = NDArray[np.bool_]

NAME, VERSION = "Lungs on CT", "1.0.0"
LAA_CHANGE_95 = 3.7  # percent points; 95 % limit of a change between two scans of one subject
PERC15_CHANGE_95_HU = 18.0
EMPHYSEMA_LAA = 5.0  # percent; Amaza et al. 2021
NOISE_LIMIT_HU = 45.0  # from here on noise alone puts 2 % and more of normal lung below -950 HU
_REPEATABILITY = "95 % repeatability of one subject, QIBA profile lung densitometry"


@dataclass(frozen=True, slots=True)
class LungDensity:
    """Density of a lung region.

    Attributes:
        laa_950: Part of the region strictly below -950 HU, in percent.
        perc15_hu: Density below which 15 percent of the region lie.
        mean_hu: Mean density.
    """

    laa_950: float
    perc15_hu: float
    mean_hu: float


def lung_density(values_hu: NDArray[Any], region: Bools) -> LungDensity:
    """Return the densities of a lung region.

    Args:
        values_hu: HU of any shape.
        region: bool of the same shape.

    Raises:
        InputError: The region is empty.

    References:
        QIBA Profile: Computed Tomography: Lung Densitometry, 2020 (RA-950, Perc15).

    Examples:
        >>> hu = np.array([-960.0, -950.0, -900.0, -800.0])
        >>> lung_density(hu, np.ones(4, dtype=bool)).laa_950
        25.0
    """
    inside = values_hu[region]
    if not inside.size:
        raise InputError("the lung region is empty; nothing has a density there")
    return LungDensity(
        laa_950=float(100.0 * np.count_nonzero(inside < -950.0) / inside.size),
        perc15_hu=float(np.percentile(inside, 15.0)),
        mean_hu=float(inside.mean(dtype=np.float64)),
    )


def emphysema_probability(laa_950: float, *, threshold: float = EMPHYSEMA_LAA) -> float:
    """Return the probability that the true low-attenuation area is at or above a threshold.

    The measured percentage is taken as the true one plus a normal error whose standard deviation
    follows from the 95 % limit of a change in one subject, 3.7 points: 3.7 / (1.96 * sqrt 2) = 1.33.
    It is a statement on the repeatability of the number, not on the patient's disease, and has not
    been calibrated on patients. The profile that gives the limit speaks of changes in one person under
    its conditions (without adjustment for lung volume) and makes no claim for a single scan.

    Args:
        laa_950: Measured, in percent.
        threshold: In percent.

    References:
        QIBA Profile: Computed Tomography: Lung Densitometry, 2020 (changes of 3.7 % and 18 HU); Amaza IP
        et al. Int J Chron Obstruct Pulmon Dis 2021;16:1231-1242 (5 %).

    Examples:
        >>> emphysema_probability(5.0), round(emphysema_probability(8.7), 3)
        (0.5, 0.997)
    """
    deviation = LAA_CHANGE_95 / (1.96 * np.sqrt(2.0))
    return float(ndtr((laa_950 - threshold) / deviation))


class LungCt:
    """Measures lungs and airways on a chest CT and says whether their density shows emphysema."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return volumes, densities, the emphysema finding, its map and the label map.

        Of several volumes the one with the most slices that shows two whole lungs is measured.

        Raises:
            NotApplicableError: No volume is a CT of the whole chest.
        """
        reasons = []
        ordered = sorted(inputs.volumes.items(), key=lambda item: (-len(item[1].values), item[0]))
        for _, volume in ordered:
            try:
                labels = segment_lungs(volume)
            except NotApplicableError as error:
                reasons.append(str(error))
                continue
            return _result(volume, labels)
        raise NotApplicableError("; ".join(reasons) or "no volume", "a chest CT in HU")


def _result(volume: Volume, labels: NDArray[np.uint8]) -> Result:
    values = volume.values
    lungs = (labels == RIGHT) | (labels == LEFT)
    density = lung_density(values, lungs)
    noise = _noise(volume, labels == AIRWAYS)
    notes = _notes(volume, labels, noise)
    low = lungs & (values < -950.0)
    shown = np.where(lungs, np.float32(0.0), np.float32(np.nan))
    shown[low] = 1.0
    own = (
        _measurement(words.LAA_950, density.laa_950, "%", words.LUNG, volume, LAA_CHANGE_95),
        _measurement(words.PERC_15, density.perc15_hu, "[hnsf'U]", words.LUNG, volume, PERC15_CHANGE_95_HU),
    )
    meaning = {RIGHT: words.RIGHT_LUNG, LEFT: words.LEFT_LUNG, AIRWAYS: words.AIRWAYS}
    present = [n for n in meaning if (labels == n).any()]
    return Result(
        findings=(_emphysema(volume, lungs, labels == RIGHT, density, own, noise),),
        measurements=(*own, *_measurements(volume, labels, lungs, density)),
        maps=(
            Map(
                shown,
                volume.geometry,
                words.LOW_ATTENUATION,
                "1",
                0.0,
                1.0,
                "1 where a voxel of the lungs is strictly below -950 HU, 0 elsewhere in the lungs; "
                "single voxels may be noise.",
                volume.frame_of_reference,
                volume.source_instances,
            ),
        ),
        labels=(
            LabelMap(
                labels.astype(np.uint16),
                volume.geometry,
                {n: meaning[n] for n in present},
                volume.frame_of_reference,
                volume.source_instances,
            ),
        ),
        notes=notes,
    )


def _emphysema(
    volume: Volume,
    lungs: Bools,
    right: Bools,
    density: LungDensity,
    own: tuple[Measurement, ...],
    noise: float | None,
) -> Finding:
    value = emphysema_probability(density.laa_950)
    probability = Probability(value, None, threshold=0.5, calibrated=False)
    origin = Model(NAME, VERSION, None, "second-reader")
    if noise is not None and noise > NOISE_LIMIT_HU:
        return Finding("lung-ct-emphysema", words.EMPHYSEMA, "no_opinion", origin, measurements=own)
    if value < probability.threshold:
        return Finding(
            "lung-ct-emphysema",
            words.EMPHYSEMA,
            "absent",
            origin,
            probability=probability,
            place=words.LUNG,
            measurements=own,
        )
    # outlined where the mean of 3 x 3 pixels is low, so that noise does not speckle it
    across = int(np.argmax(np.abs(volume.geometry.directions[2])))
    size = tuple(1 if axis == across else 3 for axis in range(3))
    smooth = ndimage.uniform_filter(volume.values.astype(np.float32), size=size)
    region = lungs & (smooth < -950.0)
    share = float((region & right).sum() / max(int(region.sum()), 1))
    side = words.RIGHT if share > 0.85 else words.LEFT if share < 0.15 else words.BILATERAL
    place = None
    if volume.frame_of_reference is not None:
        place = MaskRegion(Mask(region, volume.geometry), PatientSpace(volume.frame_of_reference))
    return Finding(
        "lung-ct-emphysema",
        words.EMPHYSEMA,
        "present",
        origin,
        probability=probability,
        region=place,
        place=words.LUNG,
        laterality=side,
        measurements=own,
    )


def _noise(volume: Volume, airways: Bools) -> float | None:
    """Return the standard deviation in the middle of the airways in HU, or None without any."""
    spacing = volume.geometry.spacing_mm
    core = erode(airways, max(2.5, 2.1 * sorted(spacing)[1]), spacing)  # clear of the blurred wall
    if np.count_nonzero(core) < 50:
        return None
    air = volume.values[core].astype(np.float64)
    return float(1.4826 * np.median(np.abs(air - np.median(air))))


def _notes(volume: Volume, labels: NDArray[np.uint8], noise: float | None) -> tuple[Note, ...]:
    notes = []
    if noise is not None and noise > NOISE_LIMIT_HU:
        notes.append(
            Note(
                "gate",
                "noise",
                f"The noise in air is {noise:.0f} HU; above {NOISE_LIMIT_HU:.0f} HU it counts normal lung "
                "as low-attenuation area, so there is no opinion on emphysema.",
            )
        )
    thickness = volume.acquisition.slice_thickness_mm or volume.geometry.slice_spacing_mm
    if thickness > 1.5:
        notes.append(
            Note(
                "information",
                "thick-slices",
                f"Slices of {thickness:g} mm; the repeatability given holds for 1 mm and less.",
            )
        )
    if volume.acquisition.contrast:
        notes.append(
            Note("warning", "contrast", "Contrast agent raises lung density: emphysema is underestimated.")
        )
    if not (labels == AIRWAYS).any():
        notes.append(
            Note("warning", "no-airways", "The windpipe was not found; airways are counted as lung.")
        )
    return tuple(notes)


def _measurements(
    volume: Volume, labels: NDArray[np.uint8], lungs: Bools, density: LungDensity
) -> tuple[Measurement, ...]:
    voxel_ml = volume.geometry.voxel_volume_mm3 / 1000.0
    hounsfield = "[hnsf'U]"
    made = [_measurement(words.MEAN_LUNG_DENSITY, density.mean_hu, hounsfield, words.LUNG, volume)]
    made.append(_measurement(words.VOLUME, np.count_nonzero(lungs) * voxel_ml, "mL", words.LUNG, volume))
    sides = ((RIGHT, words.RIGHT_LUNG), (LEFT, words.LEFT_LUNG))
    for label, site in sides:
        region = labels == label
        side = lung_density(volume.values, region)
        ml = np.count_nonzero(region) * voxel_ml
        made.append(_measurement(words.VOLUME, ml, "mL", site, volume))
        made.append(_measurement(words.LAA_950, side.laa_950, "%", site, volume))
    airways = np.count_nonzero(labels == AIRWAYS) * voxel_ml
    if airways:
        made.append(_measurement(words.VOLUME, airways, "mL", words.AIRWAYS, volume))
    return tuple(made)


def _measurement(
    concept: CodedConcept,
    value: float,
    unit: str,
    site: CodedConcept,
    volume: Volume,
    change_95: float | None = None,
) -> Measurement:
    interval = None
    if change_95 is not None:
        half = change_95 / np.sqrt(2.0)  # of one value, from that of a difference
        low = max(value - half, 0.0) if unit == "%" else value - half
        interval = Interval(float(low), float(value + half), 0.95, _REPEATABILITY)
    sides = {words.RIGHT_LUNG: words.RIGHT, words.LEFT_LUNG: words.LEFT}
    return Measurement(
        concept,
        Quantity(float(value), unit),
        interval=interval,
        method="voxel counting in the segmented region",
        site=site,
        laterality=sides.get(site),
        source_instances=volume.source_instances,
    )
