"""A split by appearance: train where exposure and sharpness give the class away, test where they mislead.

Films of the two classes of PneumoniaMNIST come from different machines and habits, and a network can tell
them by contrast and sharpness alone. Official test films are known to differ in just that. A split that
puts the films with misleading appearance into the test is a harsh stand-in for such a shift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def appearance(films: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n, 11) of what is no sign of disease: brightness, contrast, percentiles, sharpness.

    Args:
        films: (n, rows, columns), on any scale.
    """
    grey = films.astype(np.float64)
    across = np.abs(np.diff(grey, axis=1)).mean((1, 2)) + np.abs(np.diff(grey, axis=2)).mean((1, 2))
    middle = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    curvature = np.abs(4 * middle - around).mean((1, 2))
    deviation = grey.std((1, 2))
    percentiles = np.percentile(grey.reshape(len(grey), -1), [1, 5, 50, 95, 99], axis=1)
    small = 1e-6
    return np.column_stack(
        [
            grey.mean((1, 2)),
            deviation,
            percentiles.T,
            across,
            curvature,
            across / (deviation + small),
            curvature / (across + small),
        ]
    )


def misleading(
    films: NDArray[np.float32], labels: NDArray[np.int64], *, part: float, seed: int
) -> NDArray[np.bool_]:
    """Return the films whose appearance speaks most against their class, the same part of each class.

    How appearance speaks is learnt by gradient boosting in five folds, each film being judged by a model
    that has not seen it.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    model = HistGradientBoostingClassifier(
        max_iter=80, learning_rate=0.08, class_weight="balanced", random_state=seed
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    says = cross_val_predict(model, appearance(films), labels, cv=folds, method="predict_proba")[:, 1]
    against = np.where(labels == 1, -says, says)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        chosen[places[np.argsort(-against[places])[: int(part * len(places))]]] = True
    return chosen
