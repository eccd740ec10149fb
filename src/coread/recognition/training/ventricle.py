"""Training of `coread.recognition.lv_cine` from frames with contours, patients kept apart."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coread.extras import require
from coread.recognition.lv_cine import (
    FAULTY,
    SIDE,
    agreements,
    back_from_middle,
    figures,
    largest_region,
    middle,
    read_frames,
    stretched,
)
from coread.recognition.members import FOLDS_KEY
from coread.recognition.training.checkpoint import Checkpoint
from coread.recognition.training.encoder import encoded_unet
from coread.recognition.training.unet import (
    SegmentationPlan,
    mirrored_probability,
    patient_folds,
    segmenter_bytes,
    trained_unet,
)

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(SegmentationPlan):
    """How the networks for the ventricle are trained; ``width`` plays no part."""

    epochs: int = 28
    rate: float = 1e-3
    angle: float = 0.6


def trained_record(
    data: Path,
    plan: Plan,
    *,
    threads: int = 1,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record with the figures of patients by the network that never saw them."""
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    everything = read_frames(data)
    frames = everything.part(np.array([name not in FAULTY for name in everything.patients]))
    small, masks = stretched(middle(frames.images)), middle(frames.masks)
    folds = patient_folds(frames.patients, plan.folds, plan.seed)
    networks, found = [], np.zeros_like(frames.masks)
    for fold in range(plan.folds):
        chosen = folds != fold
        network = trained_unet(
            small[chosen],
            masks[chosen],
            plan,
            plan.seed + fold,
            network=encoded_unet,
            checkpoint=checkpoint and checkpoint.named(f"network_{fold + 1}"),
        )
        networks.append(network)
        for number in np.flatnonzero(~chosen):
            picture = torch.from_numpy(small[number])[None, None]
            with torch.no_grad():
                said = mirrored_probability(network, picture)[0, 0].numpy()
            found[number] = back_from_middle(largest_region(said >= 0.5), frames.images.shape[1:])
        unseen = figures(found[~chosen], frames.part(~chosen))
        told = ", ".join(f"{name} {values.mean():.4f}" for name, values in unseen.items())
        progress(f"network {fold + 1} of {plan.folds}: {told} on patients not seen")
    settings: dict[str, Any] = {
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "frames": len(small),
        FOLDS_KEY: {name: int(fold) for name, fold in sorted(zip(frames.patients, folds, strict=True))},
        "agreement": {name: limits.settings() for name, limits in agreements(found, frames).items()},
    }
    record: dict[str, Any] = {"settings": settings}
    for name, values in figures(found, frames).items():
        record[f"{name}_cross_validation"] = float(values.mean())
        record[f"{name}_of"] = dict(zip(sorted(set(frames.patients)), values.tolist(), strict=True))
    return segmenter_bytes(networks, SIDE, settings, mirrored=True, small=True), record
