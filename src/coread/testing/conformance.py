"""The checks that every analyzer passes, ours and those of other packages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import (
    Acquisition,
    Analyzer,
    Card,
    Finding,
    Geometry,
    Inputs,
    Mask,
    MaskRegion,
    Measurement,
    Model,
    Reader,
    Result,
    Volume,
)
from coread.core.codec import encode
from coread.core.region import centre_mm
from coread.errors import CoreadError, NotApplicableError
from coread.workflow.analyzers import read_card

Axes = tuple[int, int, int]
Flips = tuple[bool, bool, bool]

STORAGES: tuple[tuple[Axes, Flips], ...] = (
    ((0, 1, 2), (True, False, False)),
    ((0, 1, 2), (False, True, True)),
    ((0, 2, 1), (False, False, True)),
    ((2, 0, 1), (True, False, False)),
)


class ConformanceError(CoreadError, AssertionError):
    """An analyzer does not keep what the platform promises of it."""


def check_analyzer(
    analyzer: Analyzer,
    *inputs: Inputs,
    unfit: Sequence[Inputs] = (),
    card: Card | None = None,
    tolerance_mm: float = 1.0,
    tolerance: float = 1e-3,
) -> tuple[str, ...]:
    """Check an analyzer against what the platform promises of every one, and return what was checked.

    Its card is complete and agrees with its results; the inputs stay untouched; two runs agree to the
    last bit; a study that does not fit raises `NotApplicableError`; and the same patient stored otherwise
    (axes flipped and exchanged, the geometry with them) gives the same findings at the same place.

    Args:
        analyzer: Made as the catalogue makes it.
        *inputs: Studies that fit, one at least; small ones, each is analyzed six times.
        unfit: Studies that do not fit, besides an empty one and a foreign one.
        card: Read from the TOML file beside the analyzer's module unless given.
        tolerance_mm: How far a finding may move when the storage is changed.
        tolerance: How far a number may change then, relative to its size.

    Raises:
        ConformanceError: With the check that failed and how.

    Examples:
        >>> from coread.quant.volumetry import Volumetry
        >>> from coread.testing.phantoms import sphere
        >>> len(check_analyzer(Volumetry(), Inputs(masks={"ball": sphere(8.0)})))
        5
    """
    if not inputs:
        raise ConformanceError("no study was given to check with", "one that fits the analyzer's card")
    kind = type(analyzer)
    card = card or read_card(f"{kind.__module__}:{kind.__qualname__}")
    _check_card(card)
    for study in inputs:
        before = fingerprint(study)
        result = _analyze(analyzer, study)
        if fingerprint(study) != before:
            raise ConformanceError(f"{card.name} changed its inputs", "inputs that stay as they are")
        again = _analyze(analyzer, study)
        if fingerprint(result) != fingerprint(again):
            raise ConformanceError(f"two runs of {card.name} on one study differ", "equal results")
        _check_result(card, study, result)
        for axes, flipped in STORAGES if _stored(study) else ():
            other = _analyze(analyzer, stored_otherwise(study, axes, flipped))
            words = f"{card.name} on the same study stored with axes {axes}, flipped {flipped}"
            _check_same(words, result, other, tolerance_mm, tolerance)
    for study in (Inputs(), _foreign(), *unfit):
        try:
            analyzer.analyze(study)
        except NotApplicableError:
            continue
        except Exception as error:
            raise ConformanceError(
                f"{card.name} met a study it is not for with {type(error).__name__}: {error}",
                "NotApplicableError",
            ) from error
        raise ConformanceError(f"{card.name} gave a result for a study it is not for", "NotApplicableError")
    return (
        "the card is complete",
        "inputs stay untouched",
        "two runs agree",
        "the same patient stored otherwise gives the same",
        "a study that does not fit is refused",
    )


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a core value with its arrays."""
    if isinstance(value, Inputs):
        parts = [dict(getattr(value, role)) for role in ("volumes", "images", "series", "masks", "results")]
        return "/".join(fingerprint(item) for part in parts for _, item in sorted(part.items()))
    document, arrays = encode(value)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True, default=str).encode())
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def stored_otherwise(inputs: Inputs, axes: Axes, flipped: Flips) -> Inputs:
    """Return the same patient with volumes and masks stored in another order of axes.

    Args:
        inputs: Volumes and masks are stored otherwise, everything else stays.
        axes: Which stored axis becomes slice, row and column.
        flipped: Whether each of these then runs the other way.
    """

    def order(array: NDArray[Any]) -> NDArray[Any]:
        turned = array.transpose((*axes, *range(3, array.ndim)))
        return np.ascontiguousarray(turned[tuple(slice(None, None, -1 if f else 1) for f in flipped)])

    def grid(geometry: Geometry) -> Geometry:
        affine = np.array(geometry.affine)
        new = affine.copy()
        for place, (axis, flip) in enumerate(zip(axes, flipped, strict=True)):
            new[:3, place] = -affine[:3, axis] if flip else affine[:3, axis]
            if flip:
                new[:3, 3] += (geometry.shape[axis] - 1) * affine[:3, axis]
        shape = (geometry.shape[axes[0]], geometry.shape[axes[1]], geometry.shape[axes[2]])
        return Geometry(shape, new)

    def volume(value: Volume) -> Volume:
        sources = value.source_instances
        if axes[0] != 0:
            sources = ()
        elif flipped[0]:
            sources = sources[::-1]
        return replace(
            value,
            values=order(value.values),
            geometry=grid(value.geometry),
            source_instances=sources,
            padding=None if value.padding is None else order(value.padding),
        )

    return replace(
        inputs,
        volumes={key: volume(value) for key, value in inputs.volumes.items()},
        masks={
            key: Mask(order(value.voxels), grid(value.geometry)) if isinstance(value, Mask) else value
            for key, value in inputs.masks.items()
        },
    )


def _stored(inputs: Inputs) -> bool:
    return bool(inputs.volumes) or any(isinstance(mask, Mask) for mask in inputs.masks.values())


def _foreign() -> Inputs:
    """Return a study that no analyzer is for: a small volume of no known kind."""
    geometry = Geometry.axial((4, 5, 6), (3.0, 2.0, 1.0))
    values = np.arange(120, dtype=np.float32).reshape(geometry.shape)
    return Inputs(volumes={"foreign": Volume(values, geometry, "stored", Acquisition("OT"))})


def _analyze(analyzer: Analyzer, inputs: Inputs) -> Result:
    try:
        return analyzer.analyze(inputs)
    except CoreadError as error:
        raise ConformanceError(
            f"{type(analyzer).__name__} refused a study that should fit: {error}", "a result"
        ) from error


def _check_card(card: Card) -> None:
    wrong = [
        f"{name} says next to nothing"
        for name in ("intended_use", "not_for")
        if len(getattr(card, name)) < 15
    ]
    parts = card.version.split(".")
    if len(parts) != 3 or not all(part.isdigit() for part in parts):
        wrong.append(f"version {card.version!r} is not of the form 1.2.3")
    if not card.references:
        wrong.append("it names no reference")
    if card.shown == "always" and card.mode == "second-reader":
        wrong.append("a second reader is never shown before the first read")
    if card.training_data != "none" and not card.metrics:
        wrong.append("a trained model has no metrics")
    wrong.extend(
        f"metric {metric.name} lies outside its interval"
        for metric in card.metrics
        if metric.low is not None
        and metric.high is not None
        and not metric.low <= metric.value <= metric.high
    )
    if wrong:
        raise ConformanceError(f"the card of {card.name}: " + "; ".join(wrong), "a complete card")


def _check_result(card: Card, inputs: Inputs, result: Result) -> None:
    wrong = []
    ids = [finding.id for finding in result.findings]
    if len(set(ids)) != len(ids):
        wrong.append("two findings have one identifier")
    if any(isinstance(finding.origin, Reader) for finding in result.findings):
        wrong.append("a finding says that a person made it")
    models = {finding.origin for finding in result.findings if isinstance(finding.origin, Model)}
    wrong.extend(
        f"a finding comes from {model.name} {model.version} ({model.mode}), the card is of "
        f"{card.name} {card.version} ({card.mode})"
        for model in models
        if (model.version, model.mode) != (card.version, card.mode)
    )
    if card.shown == "always" and result.findings:
        wrong.append("findings are interpretation and can't be shown always")
    grids: list[Any] = [volume.grid for volume in inputs.volumes.values()]
    grids += [image.grid for image in inputs.images.values()]
    grids += [mask.grid for mask in inputs.masks.values()]
    grids += [series.geometry for series in inputs.series.values() if hasattr(series, "geometry")]
    located: list[Any] = [*result.maps, *result.labels, *(segment.mask for segment in result.masks)]
    if grids and any(item.grid.shape not in {grid.shape for grid in grids} for item in located):
        wrong.append("a map or region lies on a grid that is not of the inputs")
    numbers = [*result.measurements, *(m for f in result.findings for m in f.measurements)]
    if any(not np.isfinite(number.quantity.value) for number in numbers):
        wrong.append("a measurement is not a number")
    if any(f.status == "no_opinion" for f in result.findings) and not result.notes:
        wrong.append("it has no opinion and no note says why")
    if wrong:
        raise ConformanceError(f"the result of {card.name}: " + "; ".join(wrong), "a result that fits")


def _check_same(words: str, one: Result, other: Result, tolerance_mm: float, tolerance: float) -> None:
    if len(one.findings) != len(other.findings):
        raise ConformanceError(f"{words}: {len(other.findings)} findings", f"{len(one.findings)}, as before")
    for a, b in zip(one.findings, other.findings, strict=True):
        _check_same_finding(words, a, b, tolerance_mm, tolerance)
        _check_same_numbers(words, a.measurements, b.measurements, tolerance)
    _check_same_numbers(words, one.measurements, other.measurements, tolerance)
    volumes = [
        [
            np.count_nonzero(labels.values == n) * labels.grid.voxel_volume_mm3
            for labels in result.labels
            if isinstance(labels.grid, Geometry)
            for n in sorted(labels.labels)
        ]
        for result in (one, other)
    ]
    if len(volumes[0]) != len(volumes[1]) or not np.allclose(volumes[0], volumes[1], rtol=tolerance):
        raise ConformanceError(f"{words}: regions of {volumes[1]} mm3", f"{volumes[0]} mm3, as before")


def _check_same_finding(words: str, a: Finding, b: Finding, tolerance_mm: float, tolerance: float) -> None:
    said = [(f.concept, f.status, f.laterality, f.place, f.region is None) for f in (a, b)]
    if said[0] != said[1]:
        raise ConformanceError(f"{words}: {said[1]}", f"{said[0]}, as before")
    p, q = ((f.probability.value if f.probability else 0.0) for f in (a, b))
    if abs(p - q) > 10.0 * tolerance:
        raise ConformanceError(f"{words}: probability {q}", f"{p}, as before")
    if a.region is None or b.region is None:
        return
    here, there = centre_mm(a.region), centre_mm(b.region)
    if here is None or there is None:
        return
    moved = float(np.linalg.norm(np.subtract(here, there)))
    if moved > tolerance_mm:
        raise ConformanceError(
            f"{words}: {a.concept} lies {moved:.2f} mm away", f"the same place within {tolerance_mm} mm"
        )
    if isinstance(a.region, MaskRegion) and isinstance(b.region, MaskRegion):
        sizes = [region.diameter for region in (a.region, b.region)]
        if abs(sizes[0] - sizes[1]) > max(tolerance, 1e-2) * max(sizes):
            raise ConformanceError(f"{words}: diameter {sizes[1]:.2f} mm", f"{sizes[0]:.2f} mm")


def _check_same_numbers(
    words: str, one: Sequence[Measurement], other: Sequence[Measurement], tolerance: float
) -> None:
    if [m.concept for m in one] != [m.concept for m in other]:
        raise ConformanceError(f"{words}: other measurements", "the same ones in the same order")
    for a, b in zip(one, other, strict=True):
        x, y = a.quantity.value, b.quantity.value
        if a.quantity.unit != b.quantity.unit or abs(x - y) > tolerance * max(abs(x), abs(y), 1e-12):
            raise ConformanceError(f"{words}: {b.concept} is {b.quantity}", f"{a.quantity}, as before")
