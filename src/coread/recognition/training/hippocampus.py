"""Training of `coread.recognition.hippocampus` from cropped MR volumes with label maps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.errors import InputError
from coread.extras import require
from coread.recognition.hippocampus import (
    FIELD,
    LABELS,
    Case,
    agreements,
    believed_labels,
    fielded,
    read_pairs,
    standardised,
    unfielded,
    with_background,
)
from coread.recognition.metrics import dice
from coread.recognition.training.checkpoint import Checkpoint, Deal, kept_steps
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.loop import Steps
from coread.recognition.training.unet import patient_folds
from coread.recognition.training.unet3d import WindowChange, changed_windows, fine_unet

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Tensor = Any
Module = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(WindowChange):
    """How the networks are trained.

    Attributes:
        parts: The volumes are dealt into this many parts; the first is kept for the figures.
        networks: Each is trained without one of the other parts, from seeds that follow each other; their
            mean is shipped.
        epochs: Passes over the training volumes; the last weights are kept.
        batch: Volumes a step.
        rate: Highest learning rate of the one-cycle schedule.
        decay: Weight decay.
        widths: Channels of each level.
        seed: Of everything.
    """

    parts: int = 5
    networks: int = 2
    epochs: int = 36
    batch: int = 4
    rate: float = 5e-3
    decay: float = 0.01
    widths: tuple[int, ...] = (16, 32, 64, 96)
    seed: int = 20261125

    def __post_init__(self) -> None:
        if not 1 <= self.networks < self.parts:
            raise InputError(
                f"networks={self.networks} for {self.parts} parts", "at least 1, fewer than parts"
            )


def trained_unet(
    volumes: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.integer[Any]]],
    plan: Plan,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> Module:
    """Return a network trained on standardised volumes and label maps of `FIELD`'s shape.

    It learns on windows of them, whose labels are resampled linearly. The loss is cross-entropy plus one
    minus the mean soft Dice of both labels. Convolutions run in bfloat16, which halves the time.
    """
    torch = require("torch", extra="train")
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    source = torch.from_numpy(np.stack(volumes))[:, None]
    drawn = np.stack(labels)
    truth = torch.from_numpy(np.stack([drawn == label for label in LABELS], axis=1).astype(np.float32))
    layout = torch.channels_last_3d
    network = fine_unet(plan.widths, 1 + len(LABELS)).to(memory_format=layout)
    count = plan.epochs * max(len(source) // plan.batch, 1)
    steps = Steps(network, count, rate=plan.rate, decay=plan.decay, rise=0.2)
    network.train()
    deal = Deal(len(source), plan.batch, generator)
    parts = {"network": network, "steps": steps, "deal": deal}
    for step in kept_steps(count, parts, generator, checkpoint):
        chosen = deal.next()
        shown, wanted = changed_windows(source[chosen], truth[chosen], generator, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(shown.contiguous(memory_format=layout))
        logits = logits.float()
        said = torch.softmax(logits, 1)[:, 1:]
        overlap = (said * wanted).sum((0, 2, 3, 4))
        both = said.sum((0, 2, 3, 4)) + wanted.sum((0, 2, 3, 4))
        everything = torch.cat([1 - wanted.sum(1, keepdim=True), wanted], 1)
        loss = torch.nn.functional.cross_entropy(logits, everything)
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
    """Return the weights and a record with the Dice of each volume of the part kept apart.

    The record's ``validation`` has the Dice of each network on the part that it was trained without: what to
    choose a plan by.
    """
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    cases = read_pairs(data)
    parts = patient_folds([case.name for case in cases], plan.parts, plan.seed)
    networks, validation = [], []
    for number in range(1, 1 + plan.networks):
        seen = [case for case, part in zip(cases, parts, strict=True) if part not in (0, number)]
        network = trained_unet(
            [fielded(standardised(case.values)) for case in seen],
            [fielded(case.labels) for case in seen],
            replace(plan, seed=plan.seed + number - 1),
            progress,
            checkpoint and checkpoint.named(f"network_{number}"),
        )
        beside = [case for case, part in zip(cases, parts, strict=True) if part == number]
        reached = np.mean(list(dice_of(mean_probability([network]), beside).values()), axis=0)
        progress(f"network {number}: Dice {reached[0]:.4f}, {reached[1]:.4f} on the part left out")
        validation.append(reached.tolist())
        networks.append(network)
    shipped = mean_probability(networks)
    apart = [case for case, part in zip(cases, parts, strict=True) if not part]
    scores = dice_of(shipped, apart)
    drawn = (
        (believed_labels(said), case.labels)
        for said, case in zip(probabilities_of(shipped, apart), apart, strict=True)
    )
    agreement = agreements((labels, truth) for labels, truth in drawn if labels is not None)
    means = np.mean(list(scores.values()), axis=0)
    progress(f"Dice anterior {means[0]:.4f}, posterior {means[1]:.4f} on {len(scores)} volumes not seen")
    settings = {
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "unseen": sorted(scores),
        "agreement": {name: limits.settings() for name, limits in agreement.items()},
    }
    record = {
        "settings": settings,
        "dice_anterior": float(means[0]),
        "dice_posterior": float(means[1]),
        "dice_of": {name: list(pair) for name, pair in scores.items()},
        "validation": validation,
    }
    return exported(shipped, settings), record


def dice_of(network: Module, cases: Sequence[Case]) -> dict[str, tuple[float, float]]:
    """Return the anterior and the posterior Dice of each case by name; `network` gives probabilities."""
    scores: dict[str, tuple[float, float]] = {}
    for case, said in zip(cases, probabilities_of(network, cases), strict=True):
        drawn = said.argmax(axis=0)
        scores[case.name] = (dice(drawn == 1, case.labels == 1), dice(drawn == 2, case.labels == 2))
    return scores


def probabilities_of(network: Module, cases: Sequence[Case]) -> Iterator[NDArray[np.float32]]:
    """Yield the probabilities (3, slices, rows, columns) of each case."""
    torch = require("torch", extra="train")
    for case in cases:
        with torch.no_grad():
            said = network(torch.from_numpy(fielded(standardised(case.values)))[None, None])[0].numpy()
        yield with_background([unfielded(part, case.labels.shape) for part in said[1:]])


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


def exported(network: Module, settings: dict[str, Any], *, small: bool = True) -> bytes:
    """Return the ONNX file: ``volume`` (n, 1, *FIELD) to ``probability`` (n, 3, *FIELD).

    Args:
        network: As `mean_probability` gives it.
        settings: Kept in the file's metadata.
        small: Keep weights as 8-bit numbers.
    """
    return onnx_bytes(network, (1, *FIELD), "volume", ("probability",), settings, small=small)
