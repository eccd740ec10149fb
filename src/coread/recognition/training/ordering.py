"""Active learning: which unlabelled cases to look at next, by how unsure one or several networks are.

Both measures are shares of the largest entropy possible, from 0 to 1. The entropy of the mean answer is large
where nobody knows; the disagreement is the part of it that is there because networks trained on different
patients contradict each other, which more labels can change.

References:
    Settles, Active learning literature survey, 2009; Houlsby et al., Bayesian active learning for
    classification and preference learning (BALD), 2011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coread.errors import InputError

By = Literal["entropy", "disagreement"]
BACKGROUND = 0.99
DIGITS = 9


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """How unsure networks are about a case.

    Attributes:
        entropy: Of their mean answer, 0 to 1.
        disagreement: Entropy of the mean less mean of the entropies, 0 to 1; 0 for a single network.
    """

    entropy: float
    disagreement: float


def entropy(probabilities: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Return the entropy along an axis as share of the largest possible.

    Examples:
        >>> entropy([[0.5, 0.5], [1.0, 0.0]]).tolist()
        [1.0, 0.0]
    """
    values = np.asarray(probabilities, dtype=np.float64)
    logarithm = np.log(np.where(values > 0, values, 1.0))
    return np.asarray(np.maximum(-(values * logarithm).sum(axis), 0.0) / np.log(values.shape[axis]))


def places(probabilities: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return entropy and disagreement of (networks, classes, ...) probabilities, one each for every place."""
    values = np.asarray(probabilities, dtype=np.float64)
    whole = entropy(values.mean(axis=0), axis=0)
    return whole, np.maximum(whole - entropy(values, axis=1).mean(axis=0), 0.0)


def class_uncertainty(probabilities: ArrayLike) -> Uncertainty:
    """Return how unsure networks are about the class of one image.

    Args:
        probabilities: (networks, classes).
    """
    whole, apart = places(probabilities)
    return Uncertainty(float(whole), float(apart))


def mask_uncertainty(probabilities: ArrayLike) -> Uncertainty:
    """Return how unsure networks are about the labels of one image, on the mean of its places.

    Only places where the mean chance of background is below `BACKGROUND` count, so that the air around a
    patient doesn't; 0 where there are none.

    Args:
        probabilities: (networks, labels, *space), the background first.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    open_places = values[:, 0].mean(axis=0) < BACKGROUND
    if not open_places.any():
        return Uncertainty(0.0, 0.0)
    whole, apart = places(values[:, :, open_places])
    return Uncertainty(float(whole.mean()), float(apart.mean()))


def looking_order(names: Sequence[str], found: Sequence[Uncertainty], by: By) -> list[int]:
    """Return positions of cases in the order in which to look at them: least sure first, ties by name.

    Values that agree to nine digits tie, so that rounding decides nothing.

    Raises:
        InputError: `by` is no measure.
    """
    if by not in ("entropy", "disagreement"):
        raise InputError(f"order by {by!r}", "entropy or disagreement")
    values = [round(float(getattr(one, by)), DIGITS) for one in found]
    return sorted(range(len(names)), key=lambda n: (-values[n], names[n]))
