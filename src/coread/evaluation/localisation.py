"""Which mark hits which lesion, by a stated rule; and the area under the LROC curve."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coread.errors import InputError
from coread.evaluation.roc import check_scores, check_truth

Rule = Literal["centre in box", "distance", "overlap"]


def match_marks(marks: ArrayLike, lesions: ArrayLike, *, rule: Rule, limit: float = 0.0) -> NDArray[np.intp]:
    """Return the lesion that each mark of one case hits, or -1: of several lesions the best fit.

    Several marks may hit one lesion; none of them is a false mark, and `froc_study` takes the highest
    rating.

    Args:
        marks: (marks, dimensions) centres for the rule ``distance``; (marks, 2, dimensions) corners else.
        lesions: (lesions, dimensions) centres for ``distance``; (lesions, 2, dimensions) corners else.
        rule: ``distance``: centres at most `limit` apart; ``overlap``: intersection over union of boxes of
            at least `limit`; ``centre in box``: the centre of the mark lies in the lesion's box.
        limit: In the unit of the coordinates, or a part from 0 to 1; overlap must also be above 0.
    """
    a, b = (np.asarray(x, dtype=np.float64) for x in (marks, lesions))
    wanted = 2 if rule == "distance" else 3
    if not a.size or not b.size:
        return np.full(a.shape[0], -1, dtype=np.intp)
    if a.ndim != wanted or b.ndim != wanted or a.shape[1:] != b.shape[1:]:
        raise InputError(
            f"marks of shape {a.shape}, lesions of {b.shape}", f"expected {wanted} axes for {rule}"
        )
    if rule == "distance":
        cost = np.linalg.norm(a[:, None] - b[None], axis=2)
        allowed = cost <= limit
    elif rule == "overlap":
        sides = np.minimum(a[:, None, 1], b[None, :, 1]) - np.maximum(a[:, None, 0], b[None, :, 0])
        both = np.prod(np.clip(sides, 0, None), axis=2)
        union = np.prod(a[:, 1] - a[:, 0], axis=1)[:, None] + np.prod(b[:, 1] - b[:, 0], axis=1) - both
        cost = 1 - both / union
        allowed = (both > 0) & (1 - cost >= limit)
    elif rule == "centre in box":
        centre = a.mean(axis=1)
        allowed = ((centre[:, None] >= b[None, :, 0]) & (centre[:, None] <= b[None, :, 1])).all(axis=2)
        cost = np.linalg.norm(centre[:, None] - b.mean(axis=1)[None], axis=2)
    else:
        raise InputError(f"rule {rule!r}", "expected centre in box, distance or overlap")
    cost = np.where(allowed, cost, np.inf)
    return np.where(allowed.any(axis=1), cost.argmin(axis=1), -1).astype(np.intp)


def lroc_area(truth: ArrayLike, score: ArrayLike, correct: ArrayLike) -> float:
    """Return the area under the LROC curve: a diseased case counts only where its place is right.

    Args:
        truth: (cases,) of 0 and 1.
        score: (cases,).
        correct: (cases,) whether the place is right; of diseased cases only.

    References:
        Swensson, Medical Physics 23:1709 (1996); Wunderlich, Noo, IEEE TMI 31:453 (2012).
    """
    sick = check_truth(truth)
    x = check_scores(score, sick.size)[:, 0]
    right = np.asarray(correct, dtype=np.bool_)
    healthy = np.sort(x[~sick])
    below = np.searchsorted(healthy, x[sick], side="left") + np.searchsorted(healthy, x[sick], side="right")
    return float((below / 2 / healthy.size * right[sick]).mean())
