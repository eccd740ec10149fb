"""A small U-Net for pictures, its augmentation and its training: one for every segmentation in this room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.training.checkpoint import Checkpoint, Deal, kept_steps
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.films import gaussian_blur
from coread.recognition.training.loop import Steps

Tensor = Any
Module = Any
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureChange:
    """How far pictures are changed in training; each number is the largest change, both ways.

    Attributes:
        log_scale: Logarithm of the zoom, rows and columns apart.
        angle: Turn in radians.
        shift: In half sides.
        mirror: Whether left and right may be exchanged.
    """

    log_scale: float = 0.2
    angle: float = 0.25
    shift: float = 0.1
    mirror: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationPlan(PictureChange):
    """How a U-Net is trained.

    Attributes:
        folds: Networks; each is trained without the patients of one fold.
        epochs: Passes over the training pictures.
        batch: Pictures a step.
        rate: Highest learning rate of the one-cycle schedule.
        width: Channels of the first level; the others have 1.5, 2 and 3 times as many.
        seed: Of everything.
    """

    folds: int = 3
    epochs: int = 40
    batch: int = 8
    rate: float = 3e-3
    width: int = 24
    seed: int = 20261125


def unet(width: int, outputs: int = 1) -> Module:
    """Return a U-Net of four levels: (n, 1, rows, columns) to logits (n, outputs, rows, columns).

    Blocks of 2 x 2 pixels go in as four channels and come out of four for each output, which makes it
    four times as quick. Rows and columns are multiples of 16.

    References:
        Ronneberger et al., U-Net, MICCAI 2015.
    """
    torch = require("torch", extra="train")
    nn = torch.nn
    widths = [width, width * 3 // 2, width * 2, width * 3]

    def convolutions(channels: int, filters: int) -> Module:
        layers: list[Module] = []
        for source in (channels, filters):
            layers += [
                nn.Conv2d(source, filters, 3, padding=1, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers)

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(
                [convolutions(source, filters) for source, filters in zip([4, *widths], widths, strict=False)]
            )
            self.up = nn.ModuleList(
                [
                    convolutions(low + high, high)
                    for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
                ]
            )
            self.last = nn.Conv2d(width, 4 * outputs, 1)

        def forward(self, pictures: Tensor) -> Tensor:
            kept: list[Tensor] = []
            maps = nn.functional.pixel_unshuffle(pictures, 2)
            for number, level in enumerate(self.down):
                maps = level(nn.functional.max_pool2d(maps, 2) if number else maps)
                kept.append(maps)
            for level, beside in zip(self.up, kept[-2::-1], strict=True):
                maps = nn.functional.interpolate(maps, scale_factor=2, mode="bilinear")
                maps = level(torch.cat([maps, beside], 1))
            return nn.functional.pixel_shuffle(self.last(maps), 2)

    return UNet()


def changed_pair(
    pictures: Tensor, masks: Tensor, generator: Any, plan: PictureChange
) -> tuple[Tensor, Tensor]:
    """Return pictures (n, 1, ...) and masks (n, labels, ...) changed alike, and the pictures' exposure.

    Both are turned, scaled and shifted. Values of pictures are from 0 to 1, of masks 0 or 1.
    """
    torch = require("torch", extra="train")
    functional = torch.nn.functional
    count = len(pictures)

    def drawn(limit: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * limit

    angle, scale, shift = drawn(plan.angle), torch.exp(drawn(plan.log_scale, 2)), drawn(plan.shift, 2)
    flip = torch.where(drawn(1.0) < 0, -1.0, 1.0) if plan.mirror else torch.ones(count)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    first = torch.stack([cosine * scale[:, 0] * flip, -sine * scale[:, 1], shift[:, 0]], 1)
    second = torch.stack([sine * scale[:, 0] * flip, cosine * scale[:, 1], shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), pictures.shape, align_corners=False)
    both = torch.cat([pictures, masks], 1)
    both = functional.grid_sample(both, grid, padding_mode="zeros", align_corners=False)
    pictures, masks = both[:, :1].clamp(0, 1), both[:, 1:]
    pictures = pictures ** torch.exp(drawn(0.5)).view(-1, 1, 1, 1)
    detail = drawn(0.8).view(-1, 1, 1, 1)
    pictures = pictures + detail * (pictures - gaussian_blur(pictures, 1.0, 3))
    pictures = pictures * (1 + drawn(0.2).view(-1, 1, 1, 1)) + drawn(0.1).view(-1, 1, 1, 1)
    noise = torch.randn(pictures.shape, generator=generator) * drawn(0.04).abs().view(-1, 1, 1, 1)
    return (pictures + noise).clamp(-0.2, 1.2), (masks > 0.5).float()


def trained_unet(
    pictures: NDArray[np.float32],
    masks: NDArray[np.bool_],
    plan: SegmentationPlan,
    seed: int,
    *,
    network: Callable[[], Module] | None = None,
    classes: NDArray[np.int64] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Module:
    """Return a U-Net trained on pictures (n, rows, columns) from 0 to 1 and their masks.

    The loss is cross-entropy plus one minus the soft Dice of each picture; the last weights are kept.

    Args:
        pictures: Training pictures.
        masks: Theirs.
        plan: How to train.
        seed: Of weights, order and augmentation.
        network: Makes another network than `unet`.
        classes: Class of each picture, for a network that gives logits of classes second; the smoothed
            cross-entropy of them is added to the loss.
        checkpoint: Where the training is kept, to go on with.
    """
    torch = require("torch", extra="train")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    source = torch.from_numpy(pictures)[:, None]
    truth = torch.from_numpy(masks.astype(np.float32))[:, None]
    kinds = None if classes is None else torch.from_numpy(classes)
    model = unet(plan.width) if network is None else network()
    count = plan.epochs * max(len(source) // plan.batch, 1)
    steps = Steps(model, count, rate=plan.rate, decay=1e-3, rise=0.2)
    model.train()
    deal = Deal(len(source), plan.batch, generator)
    parts = {"network": model, "steps": steps, "deal": deal}
    for _ in kept_steps(count, parts, generator, checkpoint):
        chosen = deal.next()
        shown, wanted = changed_pair(source[chosen], truth[chosen], generator, plan)
        logits, scores = model(shown) if kinds is not None else (model(shown), None)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        said = torch.sigmoid(logits)
        overlap = (said * wanted).sum((1, 2, 3))
        loss = loss + (1 - (2 * overlap + 1) / (said.sum((1, 2, 3)) + wanted.sum((1, 2, 3)) + 1)).mean()
        if kinds is not None:
            loss = loss + torch.nn.functional.cross_entropy(scores, kinds[chosen], label_smoothing=0.05)
        steps.take(loss)
    return model.eval()


def patient_folds(patients: Sequence[str], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each row; a patient's rows share one, patients are dealt out at random."""
    names = sorted(set(patients))
    order = np.random.default_rng(seed).permutation(len(names))
    fold = {names[place]: number % folds for number, place in enumerate(order)}
    return np.array([fold[name] for name in patients], dtype=np.int64)


def mirrored_probability(network: Module, pictures: Tensor) -> Tensor:
    """Return the probability of the mask, averaged over the pictures and their mirror images."""
    torch = require("torch", extra="train")
    straight = torch.sigmoid(network(pictures))
    return (straight + torch.sigmoid(network(pictures.flip(3))).flip(3)) / 2


def segmenter_bytes(
    networks: Sequence[Module],
    side: int,
    settings: dict[str, Any],
    *,
    mirrored: bool = False,
    small: bool = False,
) -> bytes:
    """Return one ONNX file: ``picture`` (n, 1, side, side) to ``members`` (n, networks, side, side).

    Args:
        networks: Each gives logits of the mask; its probability is a member.
        side: Of the pictures.
        settings: Kept in the file.
        mirrored: Average over the picture and its mirror image too, at twice the time.
        small: Keep weights as 8-bit numbers.

    Raises:
        DataError: The file is larger than weights in the package may be.
    """
    torch = require("torch", extra="train")

    class Members(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.networks = torch.nn.ModuleList(networks)

        def forward(self, picture: Tensor) -> Tensor:
            said = [
                mirrored_probability(network, picture) if mirrored else torch.sigmoid(network(picture))
                for network in self.networks
            ]
            return torch.cat(said, 1)

    return onnx_bytes(Members(), (1, side, side), "picture", ("members",), settings, small=small)
