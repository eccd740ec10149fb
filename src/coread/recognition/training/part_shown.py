"""Batches for the router: pictures as other machines and windows show them, and what is no part."""

from __future__ import annotations

from typing import Any

from coread.extras import require
from coread.recognition.body_part_pictures import CLASSES, SIDE
from coread.recognition.training.films import Change, changed, stretched
from coread.recognition.training.part_wrong import WRONG, wrong

Tensor = Any
Generator = Any


def coarser(pictures: Tensor, side: int) -> Tensor:
    """Return pictures that went through a smaller size."""
    torch = require("torch", extra="train")
    resize = torch.nn.functional.interpolate
    small = resize(pictures, size=(side, side), mode="bilinear", antialias=True)
    return resize(small, size=pictures.shape[2:], mode="bilinear", align_corners=False)


def seen_otherwise(pictures: Tensor, generator: Generator, change: Change) -> Tensor:
    """Return pictures as other machines, windows and sizes would show them."""
    torch = require("torch", extra="train")
    count = len(pictures)

    def drawn(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)

    pictures = stretched(changed(pictures, generator, change))
    floor = torch.clamp(drawn(-0.25, 0.25), min=0)  # a window that begins higher
    pictures = torch.clamp(pictures - floor, min=0)
    roof = 1 - torch.clamp(drawn(-0.3, 0.3), min=0)  # or ends lower
    return stretched(torch.minimum(pictures, roof * pictures.amax((2, 3), keepdim=True)))


def half_coarser(pictures: Tensor, generator: Generator) -> Tensor:
    """Return pictures, about half of them gone through a smaller size; right and wrong ones alike.

    Were only the right ones coarser, sharpness alone would tell them apart.
    """
    torch = require("torch", extra="train")
    side = int(torch.randint(22, SIDE + 1, (1,), generator=generator))
    chosen = torch.rand(len(pictures), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, coarser(pictures, side), pictures)


def shown_batch(
    pictures: Tensor, labels: Tensor, generator: Generator, change: Change
) -> tuple[Tensor, Tensor]:
    """Return changed pictures, two fifths of them turned into wrong ones, and their class."""
    torch = require("torch", extra="train")
    shown = seen_otherwise(pictures, generator, change)
    wanted = labels.clone()
    drawn, edge = torch.rand(len(shown), generator=generator), 0.0
    for kind, share in WRONG.items():
        places = torch.where((drawn >= edge) & (drawn < edge + share))[0]
        edge += share
        if len(places):
            shown[places] = wrong(shown[places], labels[places], kind, generator)
            wanted[places] = len(CLASSES)
    return half_coarser(shown, generator), wanted
