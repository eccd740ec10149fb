"""Training of `coread.recognition.lung_fields` from films with lung masks, one film a patient."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.explain import cells_on_square
from coread.recognition.film import shrink
from coread.recognition.lung_fields import SIDE, read_pairs, squared_film
from coread.recognition.members import FOLDS_KEY
from coread.recognition.metrics import dice
from coread.recognition.training.checkpoint import Checkpoint
from coread.recognition.training.unet import (
    SegmentationPlan,
    patient_folds,
    segmenter_bytes,
    trained_unet,
)

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(SegmentationPlan):
    """How the networks for lungs are trained."""

    epochs: int = 40


def squared_mask(mask: NDArray[np.bool_], side: int = SIDE) -> NDArray[np.bool_]:
    """Return a mask padded and shrunk as `squared_film` does it with films; at least half covered is in."""
    size = max(mask.shape)
    padded = np.pad(mask.astype(np.float64), ((0, size - mask.shape[0]), (0, size - mask.shape[1])))
    return np.asarray(shrink(padded, side) >= 0.5)


def trained_record(
    data: Path,
    plan: Plan,
    *,
    threads: int = 1,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record with the Dice of every patient by the network that never saw it."""
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    pairs = read_pairs(data)
    films = np.stack([squared_film(film) for _, film, _ in pairs])
    masks = np.stack([squared_mask(mask) for _, _, mask in pairs])
    folds = patient_folds([name for name, _, _ in pairs], plan.folds, plan.seed)
    networks, scores = [], np.zeros(len(pairs))
    for fold in range(plan.folds):
        chosen = folds != fold
        network = trained_unet(
            films[chosen],
            masks[chosen],
            plan,
            plan.seed + fold,
            checkpoint=checkpoint and checkpoint.named(f"network_{fold + 1}"),
        )
        networks.append(network)
        for number in np.flatnonzero(~chosen):
            with torch.no_grad():
                said = torch.sigmoid(network(torch.from_numpy(films[number])[None, None]))[0, 0].numpy()
            truth = pairs[number][2]
            drawn = cells_on_square(said, max(truth.shape))[: truth.shape[0], : truth.shape[1]]
            scores[number] = dice(drawn >= 0.5, truth)
        progress(
            f"network {fold + 1} of {plan.folds}: Dice {scores[~chosen].mean():.4f} on patients not seen"
        )
    settings = {
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "films": len(pairs),
        FOLDS_KEY: {name: int(fold) for (name, _, _), fold in zip(pairs, folds, strict=True)},
    }
    record = {
        "settings": settings,
        "dice_cross_validation": float(scores.mean()),
        "dice_of": {name: float(score) for (name, _, _), score in zip(pairs, scores, strict=True)},
    }
    return segmenter_bytes(networks, SIDE, settings), record
