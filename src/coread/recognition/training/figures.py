"""Figures of a model of one's own on cases that it has not learnt from, with intervals over patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.recognition.metrics import (
    Estimate,
    auc,
    brier,
    dice,
    expected_calibration_error,
    hausdorff_95,
)

DRAWS = 1000


def over_patients(
    figure: Callable[[NDArray[np.int64]], float],
    patients: Sequence[str],
    *,
    rng: np.random.Generator,
    strata: Sequence[Any] | NDArray[Any] | None = None,
    draws: int = DRAWS,
) -> Estimate:
    """Return a figure of rows and its 95 % percentile interval, drawing patients with replacement.

    Args:
        figure: Of positions of rows.
        patients: Of each row.
        rng: Source of randomness.
        strata: Of each row; patients of each stratum (by their first row) are drawn apart.
        draws: Number of samples; those in which the figure is not defined are left out.
    """
    names = np.asarray(patients)
    _, first, of = np.unique(names, return_index=True, return_inverse=True)
    rows = [np.flatnonzero(of == number) for number in range(len(first))]
    kinds = np.zeros(len(first)) if strata is None else np.asarray(strata)[first]
    groups = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    samples = []
    for _ in range(draws):
        drawn = np.concatenate([rng.choice(group, len(group)) for group in groups])
        samples.append(figure(np.concatenate([rows[number] for number in drawn])))
    known = [sample for sample in samples if np.isfinite(sample)] or [float("nan")]
    low, high = np.quantile(known, (0.025, 0.975))
    return Estimate(figure(np.arange(len(names))), float(low), float(high))


def class_figures(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    patients: Sequence[str],
    classes: Sequence[str],
    thresholds: NDArray[np.float64] | None,
    *,
    seed: int,
) -> dict[str, Estimate]:
    """Return figures of a classifier, with intervals over patients; not a number where a class is absent.

    Of two classes: area, accuracy, sensitivity and specificity for the second, Brier score, calibration
    error. Of more: the accuracy of the likeliest class, the area of each class against the rest and their
    mean, the Brier score.

    Args:
        labels: (n,) class numbers.
        probabilities: (n, classes).
        patients: Of each row.
        classes: Names.
        thresholds: (n,) on the second of two classes, None for more classes; rows of different folds may
            have different ones.
        seed: Of the bootstrap.
    """
    rng = np.random.default_rng(seed)

    def area(number: int, rows: NDArray[np.int64]) -> float:
        of = labels[rows] == number
        return auc(of, probabilities[rows, number]) if of.any() and not of.all() else float("nan")

    def summed(figure: Callable[[NDArray[np.int64]], float]) -> Estimate:
        return over_patients(figure, patients, rng=rng, strata=labels)

    if len(classes) == 2:
        assert thresholds is not None
        scores, said = probabilities[:, 1], probabilities[:, 1] >= thresholds

        def share(of: int, rows: NDArray[np.int64]) -> float:
            chosen = rows[labels[rows] == of]
            return float((said[chosen] == of).mean()) if len(chosen) else float("nan")

        return {
            "auc": summed(lambda rows: area(1, rows)),
            "accuracy": summed(lambda rows: float((said[rows] == labels[rows]).mean())),
            "sensitivity": summed(lambda rows: share(1, rows)),
            "specificity": summed(lambda rows: share(0, rows)),
            "brier": summed(lambda rows: brier(labels[rows], scores[rows])),
            "ece": summed(lambda rows: expected_calibration_error(labels[rows], scores[rows])),
        }
    right = probabilities.argmax(axis=1) == labels
    truth = np.eye(len(classes))[labels]
    out = {"accuracy": summed(lambda rows: float(right[rows].mean()))}
    out["auc"] = summed(lambda rows: float(np.mean([area(n, rows) for n in range(len(classes))])))
    for number, name in enumerate(classes):
        out[f"auc_{_word(name)}"] = summed(lambda rows, number=number: area(number, rows))  # type: ignore[misc]
    out["brier"] = summed(lambda rows: len(classes) * brier(truth[rows], probabilities[rows]))
    return out


def best_threshold(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> float:
    """Return the cut that makes the smaller of sensitivity and specificity as large as it can be.

    It lies midway between two cases; 0.5 where only one class or one score is there.

    Examples:
        >>> best_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.6, 0.9]))
        0.5
    """
    ordered = np.unique(scores)
    if len(ordered) < 2 or len(np.unique(labels)) < 2:
        return 0.5
    cuts = (ordered[1:] + ordered[:-1]) / 2
    sensitivity = (scores[labels == 1] >= cuts[:, None]).mean(axis=1)
    specificity = (scores[labels == 0] < cuts[:, None]).mean(axis=1)
    return float(cuts[np.argmax(np.minimum(sensitivity, specificity))])


def label_dice(
    said: NDArray[np.integer[Any]], truth: NDArray[np.integer[Any]], labels: int
) -> NDArray[np.float64]:
    """Return the Dice of each label but the background; not a number where neither has it."""
    numbers = range(1, labels)
    return overlaps([said == label for label in numbers], [truth == label for label in numbers])


def overlaps(said: Sequence[NDArray[np.bool_]], truth: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return the Dice of each region; not a number where neither side has it."""
    return np.array(
        [
            dice(mine, theirs) if mine.any() or theirs.any() else float("nan")
            for mine, theirs in zip(said, truth, strict=True)
        ]
    )


def label_hausdorff(
    said: Sequence[NDArray[np.bool_]],
    truth: Sequence[NDArray[np.bool_]],
    spacing_mm: Sequence[float] | None,
) -> NDArray[np.float64]:
    """Return the 95th percentile of surface distances of each label, mm.

    Not a number where the spacing is not known, or where the label is missing on one side: there is no
    distance to what is not there.
    """
    there = [
        spacing_mm is not None and mine.any() and theirs.any()
        for mine, theirs in zip(said, truth, strict=True)
    ]
    return np.array(
        [
            hausdorff_95(mine, theirs, spacing_mm) if known else float("nan")
            for mine, theirs, known in zip(said, truth, there, strict=True)
        ]
    )


def dice_figures(
    scores: NDArray[np.float64],
    patients: Sequence[str],
    names: Sequence[str],
    *,
    seed: int,
    figure: str = "dice",
) -> dict[str, Estimate]:
    """Return the mean Dice, or another figure, of each label over cases that have it, and of all labels.

    Args:
        scores: (cases, labels) as `label_dice` gives them; what is no number is left out of the means.
        patients: Of each case.
        names: Of the labels, without the background.
        seed: Of the bootstrap.
        figure: What the scores are called.
    """
    rng = np.random.default_rng(seed)

    def mean(rows: NDArray[np.int64], columns: slice | int) -> float:
        values = scores[rows][:, columns]
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    columns: Mapping[str, slice | int] = {figure: slice(None)}
    if len(names) > 1:
        columns = {**columns, **{f"{figure}_{_word(name)}": number for number, name in enumerate(names)}}
    return {
        name: over_patients(lambda rows, column=column: mean(rows, column), patients, rng=rng)  # type: ignore[misc]
        for name, column in columns.items()
    }


def _word(name: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in name.lower()).split())
