"""Training of `coread.recognition.hippocampus` from cropped MR volumes with label maps."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.hippocampus import BOX, boxed, read_pairs, standardised, unboxed
from coread.recognition.metrics import dice
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.unet import patient_folds

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Tensor = Any
Module = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the network is trained.

    Attributes:
        parts: The volumes are dealt into this many parts; the first is kept for the figures.
        epochs: Passes over the training volumes; the last weights are kept.
        batch: Volumes a step.
        rate: Highest learning rate of the one-cycle schedule.
        width: Channels of the first level; the others have 1.5 and 2 times as many.
        angle: Largest turn about each axis in radians.
        log_scale: Largest logarithm of the zoom.
        shift: Largest shift in voxels.
        seed: Of everything.
    """

    parts: int = 5
    epochs: int = 28
    batch: int = 4
    rate: float = 6e-3
    width: int = 24
    angle: float = 0.2
    log_scale: float = 0.12
    shift: float = 3.0
    seed: int = 20261125


def unet(width: int) -> Module:
    """Return a 3D U-Net of three levels: (n, 1, slices, rows, columns) to three logits a voxel.

    Blocks of 2 x 2 x 2 voxels go in as eight channels, which makes it eight times as quick; one last
    convolution sees single voxels again. Each axis is a multiple of 8.

    References:
        Çiçek et al., 3D U-Net, MICCAI 2016.
    """
    torch = require("torch", extra="train")
    nn = torch.nn
    widths = [width, width * 3 // 2, width * 2]

    def convolutions(channels: int, filters: int) -> Module:
        layers: list[Module] = []
        for source in (channels, filters):
            layers += [
                nn.Conv3d(source, filters, 3, padding=1, bias=False),
                nn.BatchNorm3d(filters),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers)

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(
                [convolutions(source, filters) for source, filters in zip([8, *widths], widths, strict=False)]
            )
            self.up = nn.ModuleList(
                [convolutions(widths[2] + widths[1], widths[1]), convolutions(widths[1] + width, width)]
            )
            self.last = nn.Conv3d(width, 24, 1)
            self.fine = nn.Conv3d(4, 3, 3, padding=1)

        def forward(self, volumes: Tensor) -> Tensor:
            kept: list[Tensor] = []
            maps = _blocks(volumes)
            for number, level in enumerate(self.down):
                maps = level(nn.functional.max_pool3d(maps, 2) if number else maps)
                kept.append(maps)
            for level, beside in zip(self.up, kept[-2::-1], strict=True):
                maps = nn.functional.interpolate(maps, scale_factor=2.0, mode="trilinear")
                maps = level(torch.cat([maps, beside], 1))
            coarse = _voxels(self.last(maps))
            return coarse + self.fine(torch.cat([coarse, volumes], 1))

    return UNet()


def _blocks(maps: Tensor) -> Tensor:
    """Put blocks of 2 x 2 x 2 voxels into channels."""
    _, channels, slices, rows, columns = maps.shape
    cut = maps.reshape(-1, channels, slices // 2, 2, rows // 2, 2, columns // 2, 2)
    return cut.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(-1, channels * 8, slices // 2, rows // 2, columns // 2)


def _voxels(maps: Tensor) -> Tensor:
    """Undo `_blocks`."""
    _, channels, slices, rows, columns = maps.shape
    cut = maps.reshape(-1, channels // 8, 2, 2, 2, slices, rows, columns)
    return cut.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(-1, channels // 8, slices * 2, rows * 2, columns * 2)


def changed_pair(volumes: Tensor, labels: Tensor, generator: Any, plan: Plan) -> tuple[Tensor, Tensor]:
    """Return volumes (n, 1, ...) and label numbers (n, ...) turned, scaled, shifted and mirrored alike.

    The mirror exchanges left and right, which makes a left hippocampus a right one. Contrast, brightness
    and noise change in the volumes alone.
    """
    torch = require("torch", extra="train")
    functional = torch.nn.functional
    count = len(volumes)

    def drawn(limit: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * limit

    sizes = torch.tensor([float(n) for n in volumes.shape[:1:-1]])  # columns, rows, slices
    skew = torch.zeros(count, 3, 3)
    for (one, two), angle in zip(((0, 1), (0, 2), (1, 2)), drawn(plan.angle, 3).T, strict=True):
        skew[:, one, two], skew[:, two, one] = angle, -angle
    turn = torch.linalg.matrix_exp(skew) * torch.exp(drawn(plan.log_scale, 1, 3))
    flip = torch.where(drawn(1.0) < 0, -1.0, 1.0)
    turn = turn * torch.stack([flip, torch.ones(count), torch.ones(count)], 1)[:, None]
    matrix = turn * sizes[None, None, :] / sizes[None, :, None]  # the grid runs from -1 to 1 on every axis
    shift = 2 * drawn(plan.shift, 3) / sizes
    grid = functional.affine_grid(
        torch.cat([matrix, shift[..., None]], 2), volumes.shape, align_corners=False
    )
    shown = functional.grid_sample(volumes, grid, align_corners=False, padding_mode="zeros")
    wanted = functional.grid_sample(
        labels[:, None].float(), grid, mode="nearest", align_corners=False, padding_mode="zeros"
    )
    shown = shown * torch.exp(drawn(0.2, 1, 1, 1, 1)) + drawn(0.2, 1, 1, 1, 1)
    shown = shown + drawn(0.1, 1, 1, 1, 1) * torch.randn(shown.shape, generator=generator)
    return shown, wanted[:, 0].long()


def trained_unet(
    volumes: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.integer[Any]]],
    plan: Plan,
    progress: Progress = logger.info,
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
    network = unet(plan.width).to(memory_format=layout)
    steps = plan.epochs * max(len(source) // plan.batch, 1)
    optimiser = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=steps, pct_start=0.2)
    network.train()
    order = torch.zeros(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < plan.batch:
            order = torch.randperm(len(source), generator=generator)
        chosen, order = order[: plan.batch], order[plan.batch :]
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
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 40 == 39:
            progress(f"step {step + 1} of {steps}: loss {float(loss.detach()):.3f}")
    return network.eval()


def trained_record(
    data: Path, plan: Plan, *, threads: int = 1, progress: Progress = logger.info
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record with the Dice of each volume of the part kept apart."""
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    cases = read_pairs(data)
    parts = patient_folds([case.name for case in cases], plan.parts, plan.seed)
    seen = [case for case, part in zip(cases, parts, strict=True) if part]
    unseen = [case for case, part in zip(cases, parts, strict=True) if not part]
    network = trained_unet(
        [boxed(standardised(case.values)) for case in seen],
        [boxed(case.labels) for case in seen],
        plan,
        progress,
    )
    scores: dict[str, tuple[float, float]] = {}
    for case in unseen:
        with torch.no_grad():
            said = network(torch.from_numpy(boxed(standardised(case.values)))[None, None])[0].argmax(0)
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

    class Probability(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network.to(memory_format=torch.contiguous_format)

        def forward(self, volume: Tensor) -> Tensor:
            return torch.softmax(self.network(volume), 1)

    return onnx_bytes(Probability(), (1, *BOX), "volume", ("probability",), settings), record
