"""Figures of a classifier or a segmentation with intervals, in the field's lower-case words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.stats import rankdata

from coread.errors import InputError

Figure = Callable[[NDArray[np.int64], NDArray[np.float64]], float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that a case scores above a control, ties half.

    Raises:
        InputError: One of the two classes is absent.

    References:
        Hanley and McNeil, Radiology 143 (1982) 29-36.

    Examples:
        >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    truth = np.asarray(labels) == 1
    cases, controls = int(truth.sum()), int((~truth).sum())
    if not cases or not controls:
        raise InputError(
            f"{cases} cases and {controls} controls",
            "some of each for an ROC curve",
            "give data in which the finding is there in some and not in others",
        )
    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    return float((ranks[truth].sum() - cases * (cases + 1) / 2) / (cases * controls))


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean squared difference of probability and label (Brier 1950)."""
    difference = np.asarray(probabilities, dtype=np.float64) - np.asarray(labels, dtype=np.float64)
    return float(np.mean(difference**2))


def expected_calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float:
    """Return the mean gap of probability and frequency over equal bins (Guo et al., ICML 2017).

    Examples:
        >>> expected_calibration_error([0, 1], [0.5, 0.5])
        0.0
    """
    truth = np.asarray(labels, dtype=np.float64)
    values = np.asarray(probabilities, dtype=np.float64)
    places = np.minimum((values * bins).astype(int), bins - 1)
    gaps = np.bincount(places, weights=truth - values, minlength=bins)
    return float(np.abs(gaps).sum() / len(values))


def classifier_figures(threshold: float) -> Mapping[str, Figure]:
    """Return the figures of a two-class model at a threshold, by name."""

    def at(labels: NDArray[np.int64], scores: NDArray[np.float64], of: int | None) -> float:
        right = (scores >= threshold) == (labels == 1)
        return float(right.mean() if of is None else right[labels == of].mean())

    return {
        "auc": auc,
        "accuracy": lambda labels, scores: at(labels, scores, None),
        "sensitivity": lambda labels, scores: at(labels, scores, 1),
        "specificity": lambda labels, scores: at(labels, scores, 0),
        "brier": brier,
        "ece": expected_calibration_error,
    }


def bootstrap(
    figures: Mapping[str, Figure],
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    rng: np.random.Generator,
    groups: ArrayLike | None = None,
    draws: int = 1000,
) -> dict[str, Estimate]:
    """Return every figure with its percentile interval, drawing patients with replacement.

    Args:
        figures: Functions of labels and scores.
        labels: (n,) 0 or 1.
        scores: (n,) probabilities.
        rng: Source of randomness.
        groups: (n,) patient of each row; every row its own where none is given. Patients of each class
            (by their first row) are drawn apart, so that both classes are always there.
        draws: Number of samples.
    """
    truth = np.asarray(labels, dtype=np.int64).reshape(-1)
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    names: NDArray[Any] = np.arange(len(truth)) if groups is None else np.asarray(groups)
    patients, first, of = np.unique(names, return_index=True, return_inverse=True)
    rows = [np.flatnonzero(of == number) for number in range(len(patients))] if groups is not None else None
    strata = [np.flatnonzero(truth[first] == label) for label in (0, 1)]
    samples: dict[str, list[float]] = {name: [] for name in figures}
    for _ in range(draws):
        drawn = np.concatenate([rng.choice(s, len(s)) for s in strata if len(s)])
        chosen = first[drawn] if rows is None else np.concatenate([rows[number] for number in drawn])
        for name, figure in figures.items():
            samples[name].append(figure(truth[chosen], values[chosen]))
    return {
        name: Estimate(figure(truth, values), *(float(q) for q in np.quantile(samples[name], (0.025, 0.975))))
        for name, figure in figures.items()
    }


def bootstrap_mean(values: ArrayLike, *, rng: np.random.Generator, draws: int = 2000) -> Estimate:
    """Return the mean of one value a patient and its percentile interval."""
    cases = np.asarray(values, dtype=np.float64)
    means = [float(rng.choice(cases, len(cases)).mean()) for _ in range(draws)]
    return Estimate(float(cases.mean()), *(float(q) for q in np.quantile(means, (0.025, 0.975))))


def dice(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return twice the overlap over the sum of both (Dice 1945); 1 for two empty masks."""
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 1.0 if total == 0 else 2 * int(np.count_nonzero(a & b)) / total


def hausdorff_95(
    a: NDArray[np.bool_], b: NDArray[np.bool_], spacing_mm: Sequence[float] | None = None
) -> float:
    """Return the 95th percentile of the distances between two surfaces, both ways taken together.

    A surface is made of the places of a mask that have a neighbour outside it; distances run between
    their centres.

    Args:
        a: A mask of two or three axes.
        b: The other, of the same shape.
        spacing_mm: Along the axes; steps of 1 where none is given.

    Returns:
        Millimetres; 0 for two empty masks, infinite where one is empty.

    References:
        Huttenlocher et al., Comparing images using the Hausdorff distance, IEEE TPAMI 15 (1993) 850-863;
        Taha and Hanbury, Metrics for evaluating 3D medical image segmentation, BMC Med Imaging 15 (2015) 29.

    Examples:
        >>> a = np.zeros((4, 9), bool)
        >>> a[1:3, 1:3] = True
        >>> hausdorff_95(a, np.roll(a, 4, axis=1), (1.0, 0.5))
        2.0
    """
    if not a.any() or not b.any():
        return 0.0 if not a.any() and not b.any() else float("inf")
    (both,) = ndimage.find_objects((a | b).astype(np.uint8))
    edges = [mask[both] & ~ndimage.binary_erosion(mask[both]) for mask in (a, b)]
    away = [ndimage.distance_transform_edt(~edge, sampling=spacing_mm) for edge in edges]
    return float(np.percentile(np.concatenate([away[1][edges[0]], away[0][edges[1]]]), 95))
