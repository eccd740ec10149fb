"""Training of `coread.recognition.hippocampus` from cropped MR volumes with label maps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.hippocampus import BOX, boxed, read_pairs, standardised, unboxed
from coread.recognition.metrics import dice
from coread.recognition.training.checkpoint import Checkpoint, Deal, kept_steps
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.loop import Steps
from coread.recognition.training.unet import patient_folds
from coread.recognition.training.unet3d import VolumeChange, changed_pair, unet

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Tensor = Any
Module = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(VolumeChange):
    """How the networks are trained.

    Attributes:
        parts: The volumes are dealt into this many parts; the first is kept for the figures.
        networks: Trained on the same volumes from seeds that follow each other; their mean is shipped.
        epochs: Passes over the training volumes; the last weights are kept.
        batch: Volumes a step.
        rate: Highest learning rate of the one-cycle schedule.
        width: Channels of the first level; the others have 1.5 and 2 times as many.
        seed: Of everything.
    """

    parts: int = 5
    networks: int = 2
    epochs: int = 28
    batch: int = 4
    rate: float = 6e-3
    width: int = 24
    seed: int = 20261125


def trained_unet(
    volumes: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.integer[Any]]],
    plan: Plan,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> Module:
    """Return a network trained on standardised volumes and label maps of `BOX`'s shape.

    The loss is cross-entropy plus one minus the mean soft Dice of both labels. Convolutions run in
    bfloat16, which halves the time.
    """
    torch = require("torch", extra="train")
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    source = torch.from_numpy(np.stack(volumes))[:, None]
    truth = torch.from_numpy(np.stack(labels).astype(np.uint8))
    layout = torch.channels_last_3d
    network = unet(plan.width, 3).to(memory_format=layout)
    count = plan.epochs * max(len(source) // plan.batch, 1)
    steps = Steps(network, count, rate=plan.rate, decay=1e-3, rise=0.2)
    network.train()
    deal = Deal(len(source), plan.batch, generator)
    parts = {"network": network, "steps": steps, "deal": deal}
    for step in kept_steps(count, parts, generator, checkpoint):
        chosen = deal.next()
        shown, wanted = changed_pair(source[chosen], truth[chosen], generator, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(shown.contiguous(memory_format=layout))
        logits = logits.float()
        said = torch.softmax(logits, 1)[:, 1:]
        there = torch.stack([wanted == 1, wanted == 2], 1).float()
        overlap = (said * there).sum((0, 2, 3, 4))
        both = said.sum((0, 2, 3, 4)) + there.sum((0, 2, 3, 4))
        loss = torch.nn.functional.cross_entropy(logits, wanted)
        loss = loss + (1 - (2 * overlap + 1) / (both + 1)).mean()
        steps.take(loss)
        if step % 40 == 39:
            progress(f"step {step + 1} of {count}: loss {float(loss.detach()):.3f}")
    return network.eval()


def trained_record(
    data: Path,
    plan: Plan,
    *,
    threads: int = 1,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record with the Dice of each volume of the part kept apart."""
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    cases = read_pairs(data)
    parts = patient_folds([case.name for case in cases], plan.parts, plan.seed)
    seen = [case for case, part in zip(cases, parts, strict=True) if part]
    unseen = [case for case, part in zip(cases, parts, strict=True) if not part]
    volumes = [boxed(standardised(case.values)) for case in seen]
    labels = [boxed(case.labels) for case in seen]
    networks = [
        trained_unet(
            volumes,
            labels,
            replace(plan, seed=plan.seed + number),
            progress,
            checkpoint and checkpoint.named(f"network_{number + 1}"),
        )
        for number in range(plan.networks)
    ]
    shipped = mean_probability(networks)
    scores: dict[str, tuple[float, float]] = {}
    for case in unseen:
        with torch.no_grad():
            said = shipped(torch.from_numpy(boxed(standardised(case.values)))[None, None])[0].argmax(0)
        drawn = unboxed(said.numpy(), case.labels.shape)
        scores[case.name] = (dice(drawn == 1, case.labels == 1), dice(drawn == 2, case.labels == 2))
    means = np.mean(list(scores.values()), axis=0)
    progress(f"Dice anterior {means[0]:.4f}, posterior {means[1]:.4f} on {len(unseen)} volumes not seen")
    settings = {
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "unseen": sorted(scores),
    }
    record = {
        "settings": settings,
        "dice_anterior": float(means[0]),
        "dice_posterior": float(means[1]),
        "dice_of": {name: list(pair) for name, pair in scores.items()},
    }
    return exported(shipped, settings), record


def mean_probability(networks: Sequence[Module]) -> Module:
    """Return the mean of the networks' probabilities over a volume and its mirror image, in one network."""
    torch = require("torch", extra="train")

    class Probability(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.networks = torch.nn.ModuleList(
                [network.to(memory_format=torch.contiguous_format) for network in networks]
            )

        def forward(self, volume: Tensor) -> Tensor:
            said = [torch.softmax(network(volume), 1) for network in self.networks]
            said += [torch.softmax(network(volume.flip(4)), 1).flip(4) for network in self.networks]
            return torch.stack(said).mean(0)

    return Probability()


def exported(network: Module, settings: dict[str, Any]) -> bytes:
    """Return the ONNX file: ``volume`` (n, 1, *BOX) to ``probability`` (n, 3, *BOX)."""
    return onnx_bytes(network, (1, *BOX), "volume", ("probability",), settings)
