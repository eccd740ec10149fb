"""Cavity of the left ventricle on short-axis cine MR, by a small U-Net; ejection fraction from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from coread.core import (
    CodedConcept,
    Inputs,
    LabelMap,
    Measurement,
    Note,
    Quantity,
    Result,
    TimeSeries,
)
from coread.errors import DataError, NotApplicableError
from coread.recognition.agreement import Agreement
from coread.recognition.labelled import Part, arrays_of
from coread.recognition.members import FOLDS_KEY, apart_note, said_of
from coread.recognition.metrics import bootstrap_mean, dice
from coread.recognition.registry import Evaluation
from coread.recognition.runtime import Network, load_card, load_network

STEM = "lv_cine"
SIDE = 128
PIXEL_MM = 1.3  # about the pixel of the training frames, which carry none; they were 320 to 350 mm wide
MINIMUM_PHASES = 8
THREADS = 2  # a study has hundreds of frames
CAVITY = CodedConcept("87878005", "SCT", "Left ventricle")
EJECTION_FRACTION = CodedConcept("8811-2", "LN", "Left ventricular ejection fraction by MR")
END_DIASTOLIC_VOLUME = CodedConcept("18026-5", "LN", "Left Ventricular End Diastolic Volume")
END_SYSTOLIC_VOLUME = CodedConcept("18148-7", "LN", "Left Ventricular End Systolic Volume")
FAULTY = {"SC-N-06": "its contours lie beside the heart on every slice"}
"""Patients of the training data that are neither trained on nor counted, and why."""
AGREED = ("end_diastolic_volume", "end_systolic_volume", "ejection_fraction")


def network(threads: int = 1) -> Network:
    """Return the network, its weights checked against the card."""
    return load_network(f"{STEM}.onnx", load_card(STEM).weights or "", threads)


def middle(frames: NDArray[Any], side: int = SIDE) -> NDArray[Any]:
    """Return the central ``side`` x ``side`` of (..., rows, columns), padded with 0 where it is smaller."""
    rows, columns = frames.shape[-2:]
    pads = [(max((side - n) // 2, 0), max(side - n - (side - n) // 2, 0)) for n in (rows, columns)]
    frames = np.pad(frames, [(0, 0)] * (frames.ndim - 2) + pads)
    row, column = ((n - side) // 2 for n in frames.shape[-2:])
    return frames[..., row : row + side, column : column + side]


def back_from_middle(masks: NDArray[np.bool_], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return masks (..., side, side) in frames of (rows, columns): the inverse of `middle`."""
    side = masks.shape[-1]
    full = [max(n, side) for n in shape]
    out = np.zeros((*masks.shape[:-2], *full), dtype=np.bool_)
    row, column = ((n - side) // 2 for n in full)
    out[..., row : row + side, column : column + side] = masks
    row, column = ((n - m) // 2 for n, m in zip(full, shape, strict=True))
    return out[..., row : row + shape[0], column : column + shape[1]]


def stretched(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Return frames (n, rows, columns), each with its 1st and 99th percentile at 0 and 1, clipped."""
    flat = frames.reshape(len(frames), -1).astype(np.float64)
    low, high = np.percentile(flat, [1, 99], axis=1)
    scaled = (flat - low[:, None]) / np.maximum(high - low, 1e-9)[:, None]
    return np.asarray(np.clip(scaled, 0, 1).reshape(frames.shape), dtype=np.float32)


def cavity(
    frames: NDArray[Any], model: Network, patients: Sequence[str | None] | None = None
) -> NDArray[np.bool_]:
    """Return the cavity on every frame: the largest connected region, holes filled, or nothing.

    Args:
        frames: (n, rows, columns), pixels of about `PIXEL_MM`.
        model: As `network` gives it.
        patients: Of each frame, where it may be one of the training data.
    """
    small = stretched(middle(frames))
    said = np.concatenate(
        [
            model.run({"picture": small[start : start + 16, None]})["members"]
            for start in range(0, len(small), 16)
        ]
    )
    folds = model.settings[FOLDS_KEY]
    whose = patients or [None] * len(small)
    masks = np.stack(
        [largest_region(said_of(p, who, folds) >= 0.5) for p, who in zip(said, whose, strict=True)]
    )
    return back_from_middle(masks, (frames.shape[-2], frames.shape[-1]))


def largest_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected region of a picture, its holes filled; an empty one stays empty."""
    parts, count = ndimage.label(mask)
    if count == 0:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(ndimage.binary_fill_holes(parts == sizes.argmax()), dtype=np.bool_)


def ejection_fraction(volumes: NDArray[np.float64]) -> float:
    """Return (largest - smallest) / largest of volumes in time, in percent; any unit.

    Examples:
        >>> ejection_fraction(np.array([120.0, 50.0, 48.0, 100.0]))
        60.0
    """
    return float(100 * (volumes.max() - volumes.min()) / volumes.max())


class LvCine:
    """Outlines the left ventricle on short-axis cine MR and measures volumes and ejection fraction."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return label maps at end diastole and end systole, both volumes and the ejection fraction.

        Raises:
            NotApplicableError: There is no cine MR of a stack of slices.
        """
        series = [s for s in inputs.series.values() if isinstance(s, TimeSeries) and _is_cine_mr(s)]
        if not series:
            raise NotApplicableError("no cine", f"short-axis cine MR of {MINIMUM_PHASES} phases or more")
        results = [_measured(s) for s in series]
        return Result(
            measurements=tuple(m for r in results for m in r.measurements),
            labels=tuple(m for r in results for m in r.labels),
            notes=tuple(n for r in results for n in r.notes),
        )


def _is_cine_mr(series: TimeSeries) -> bool:
    return series.acquisition.modality == "MR" and len(series.times_s) >= MINIMUM_PHASES


def _measured(series: TimeSeries) -> Result:
    spacing = series.geometry.spacing_mm
    values = np.asarray(series.values, dtype=np.float64)
    rows, columns = values.shape[2:]
    factor = (spacing[1] / PIXEL_MM, spacing[2] / PIXEL_MM)
    frames = ndimage.zoom(
        values.reshape(-1, rows, columns), (1, *factor), order=1, grid_mode=True, mode="nearest"
    )
    model = network(THREADS)
    found = cavity(frames, model).astype(np.float32)
    back = (1, rows / found.shape[1], columns / found.shape[2])
    masks = ndimage.zoom(found, back, order=1, grid_mode=True, mode="nearest") >= 0.5
    masks = masks.reshape(values.shape)
    step = series.geometry.voxel_volume_mm3 / 1000
    volumes = masks.sum(axis=(1, 2, 3)) * step
    if volumes.min() <= 0:
        return Result(notes=(Note("gate", "no-cavity", "No cavity was found in at least one phase."),))
    end_diastole, end_systole = int(volumes.argmax()), int(volumes.argmin())
    labels = tuple(
        LabelMap(
            masks[phase].astype(np.uint16),
            series.geometry,
            {1: CAVITY},
            series.frame_of_reference,
            _instances_at(series, phase),
        )
        for phase in (end_diastole, end_systole)
    )
    flags = ("slices beyond the base or the apex are not told apart",)
    amounts = (
        (END_DIASTOLIC_VOLUME, Quantity(float(volumes.max()), "mL")),
        (END_SYSTOLIC_VOLUME, Quantity(float(volumes.min()), "mL")),
        (EJECTION_FRACTION, Quantity(ejection_fraction(volumes), "%")),
    )
    known = model.settings["agreement"]
    limits = [Agreement.from_settings(known[name]) for name in AGREED]
    method = f"{STEM} {load_card(STEM).version}, sum of slices, phases of largest and smallest volume"
    return Result(
        labels=labels,
        measurements=tuple(
            Measurement(
                concept,
                amount,
                interval=limit.around(amount.value, at_most=100.0 if amount.unit == "%" else np.inf),
                method=method,
                source_instances=series.source_instances,
                flags=flags,
            )
            for (concept, amount), limit in zip(amounts, limits, strict=True)
        ),
    )


def _instances_at(series: TimeSeries, phase: int) -> tuple[str, ...]:
    """Return the instances of one phase, or all where frames have none of their own."""
    slices = series.geometry.shape[0]
    if len(series.source_instances) != slices * len(series.times_s):
        return series.source_instances
    return series.source_instances[phase * slices : (phase + 1) * slices]


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frames with contours: images and masks (n, rows, columns), patient and slice of each."""

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    patients: tuple[str, ...]
    slices: NDArray[np.int64]

    def part(self, chosen: NDArray[Any]) -> Frames:
        """Return some of the frames."""
        patients = tuple(np.asarray(self.patients)[chosen].tolist())
        return Frames(self.images[chosen], self.masks[chosen], patients, self.slices[chosen])


def read_frames(path: Path) -> Frames:
    """Return the frames of a file with ``images``, ``lv_mask`` (packed bits), ``patient``, ``image_number``.

    Raises:
        DataError: The file has other arrays.
    """
    names = ("images", "lv_mask", "patient", "image_number")
    with arrays_of(path) as file:
        if not all(name in file for name in names):
            raise DataError(f"{path.name} with {', '.join(file) or 'no array'}", f"arrays {', '.join(names)}")
        images = file["images"]
        masks = np.unpackbits(file["lv_mask"], axis=-1)[..., : images.shape[-1]].astype(np.bool_)
        patients = tuple(str(name) for name in file["patient"])
        slices = (file["image_number"].astype(np.int64) - 1) // 20
    return Frames(images, masks, patients, slices)


def fractions_by_patient(areas: NDArray[np.float64], frames: Frames) -> dict[str, float]:
    """Return the ejection fraction in percent of each patient over slices that have both frames.

    Of a slice's two frames the one with the larger **true** area is end diastole, for any areas given, so
    that the same slices and frames are compared.
    """
    return {
        patient: 100 * (1 - systole / diastole)
        for patient, (diastole, systole) in sums_by_patient(areas, frames).items()
        if diastole > 0
    }


def sums_by_patient(areas: NDArray[np.float64], frames: Frames) -> dict[str, tuple[float, float]]:
    """Return the areas at end diastole and at end systole, summed over slices that have both frames.

    Which frame is which is told by the true areas, as in `fractions_by_patient`.
    """
    truth = frames.masks.sum(axis=(1, 2))
    sums = {}
    for patient in sorted(set(frames.patients)):
        mine = np.asarray(frames.patients) == patient
        diastole = systole = 0.0
        for number in np.unique(frames.slices[mine]):
            pair = np.flatnonzero(mine & (frames.slices == number))
            if len(pair) == 2:
                small, large = pair[np.argsort(truth[pair])]
                diastole += float(areas[large])
                systole += float(areas[small])
        sums[patient] = (diastole, systole)
    return sums


def agreements(found: NDArray[np.bool_], frames: Frames) -> dict[str, Agreement]:
    """Return how far both volumes and the fraction lie from the expert's, by the names in `AGREED`.

    Patients in whom one of the two finds no cavity at end systole are left out of the volumes.
    """
    said, true = (
        sums_by_patient(masks.sum(axis=(1, 2)).astype(np.float64), frames) for masks in (found, frames.masks)
    )
    both = [(said[name], true[name]) for name in true if min(*said[name], *true[name]) > 0]
    mine, expert = (np.array(part) for part in zip(*both, strict=True))
    limits = {
        name: Agreement.of(mine[:, phase], expert[:, phase], quotient=True)
        for phase, name in enumerate(AGREED[:2])
    }
    return limits | {
        AGREED[2]: Agreement.of(
            *(100 * (1 - part[:, 1] / part[:, 0]) for part in (mine, expert)),
        )
    }


def figures(found: NDArray[np.bool_], frames: Frames) -> dict[str, NDArray[np.float64]]:
    """Return by patient: ``dice`` (mean over frames), ``ef_error`` and ``ef_difference`` in points.

    The difference is taken from the expert's fraction; the error is its absolute value.
    """
    scores = np.array([dice(a, b) for a, b in zip(found, frames.masks, strict=True)])
    names = np.asarray(frames.patients)
    said = fractions_by_patient(found.sum(axis=(1, 2)).astype(np.float64), frames)
    true = fractions_by_patient(frames.masks.sum(axis=(1, 2)).astype(np.float64), frames)
    away = np.array([said.get(name, 0.0) - ef for name, ef in true.items()])
    return {
        "dice": np.array([scores[names == name].mean() for name in sorted(set(frames.patients))]),
        "ef_error": np.abs(away),
        "ef_difference": away,
    }


def evaluate(data: Path, *, part: Part | None = None, threads: int = 1) -> Evaluation:
    """Return Dice, difference and error of the ejection fraction, means over patients.

    A patient of the training data is judged by the network that was trained without it.

    Args:
        data: A file that `read_frames` reads.
        part: ``val`` for patients of the training data alone; everybody where none is given.
        threads: Of ONNX Runtime.
    """
    if part not in (None, "val"):
        raise DataError(f"the part {part} of a file of frames", "val, or no part")
    frames = read_frames(data)
    model = network(threads)
    folds = model.settings[FOLDS_KEY]
    reasons = {name: why for name, why in FAULTY.items() if name in frames.patients}
    if part == "val":
        strangers = sorted(set(frames.patients) - set(folds) - set(reasons))
        reasons |= dict.fromkeys(strangers, "took no part in the cross-validation")
    frames = frames.part(np.array([name not in reasons for name in frames.patients]))
    if not frames.patients:
        raise DataError("no patient to judge", "frames of patients, of the training data for part val")
    rng = np.random.default_rng(0)
    by_patient = figures(cavity(frames.images, model, frames.patients), frames)
    return Evaluation(
        STEM,
        load_card(STEM).version,
        model.digest,
        data.name,
        len(frames.images),
        len(set(frames.patients)),
        {name: bootstrap_mean(values, rng=rng) for name, values in by_patient.items()},
        tuple(reasons.items()),
        apart_note(frames.patients, folds),
    )
