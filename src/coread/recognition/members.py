"""Networks of one file, each trained without one part of the patients: all speak of a new patient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

FOLDS_KEY = "folds"
"""Of the settings in a weights file: which network was trained without a patient, by name."""


def said_of(
    members: NDArray[np.float32], patient: str | None, folds: Mapping[str, int]
) -> NDArray[np.float32]:
    """Return what is said of a patient: the networks' mean, or what the one says that never saw the patient.

    Args:
        members: (networks, ...), what each says.
        patient: As in the training data, or None for anybody else.
        folds: Network by patient.

    Examples:
        >>> said = np.array([[0.25], [0.75]], dtype=np.float32)
        >>> said_of(said, None, {"A": 1}).tolist(), said_of(said, "A", {"A": 1}).tolist()
        ([0.5], [0.75])
    """
    if patient is not None and patient in folds:
        return np.asarray(members[folds[patient]])
    return np.asarray(members.mean(axis=0), dtype=np.float32)


def apart_note(patients: Iterable[str], folds: Mapping[str, int]) -> tuple[str, ...]:
    """Return a note on patients whom some of the networks were trained with; none where there are none."""
    there = set(patients)
    known = there & set(folds)
    if not known:
        return ()
    return (
        f"{len(known)} of {len(there)} patients took part in training: each was judged by the one network "
        "that was trained without it.",
    )
