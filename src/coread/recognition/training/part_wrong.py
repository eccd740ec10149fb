"""Pictures of no part of the body that is known, made from pictures of parts and from nothing."""

from __future__ import annotations

from typing import Any

from coread.extras import require
from coread.recognition.body_part_pictures import CLASSES
from coread.recognition.training.films import stretched
from coread.recognition.training.gate import outliers

Tensor = Any
Generator = Any

HEAD_CT = CLASSES.index("HeadCT")
WRONG = {
    "inverted": 0.03,
    "detail": 0.08,
    "texture": 0.04,
    "shapes": 0.03,
    "turned": 0.07,
    "tones": 0.04,
    "stripped": 0.04,
    "echo": 0.03,
    "mixed": 0.04,
}
"""What is made that is no part, and which share of a batch becomes it."""


def wrong(pictures: Tensor, labels: Tensor, kind: str, generator: Generator) -> Tensor:
    """Return pictures of no part that is known, of one kind of `WRONG`, made from (n, 1, side, side)."""
    torch = require("torch", extra="train")
    if kind == "turned":
        return torch.rot90(pictures, int(torch.randint(1, 4, (1,), generator=generator)), (2, 3))
    if kind == "tones":
        return _tones(pictures, generator)
    if kind == "stripped":
        return _stripped(pictures, labels, generator)
    if kind == "echo":
        return _echo(pictures, generator)
    if kind == "mixed":
        return _mixed(pictures, labels, generator)
    if kind == "inverted":
        return 1 - pictures
    return outliers(pictures, kind, generator)


def _tones(pictures: Tensor, generator: Generator) -> Tensor:
    """Return pictures whose tones don't rise: what is densest becomes dark, as bone is on MR."""
    torch = require("torch", extra="train")
    count = len(pictures)
    knots = torch.rand(count, 6, generator=generator)
    knots[:, 0] *= 0.1
    knots[:, 5] *= 0.4
    peak = torch.randint(1, 5, (count,), generator=generator)
    knots[torch.arange(count), peak] = 0.7 + 0.3 * torch.rand(count, generator=generator)
    place = _above_ground(pictures).flatten(1) * 5
    low = place.floor().clamp(max=4).long()
    share = place - low
    toned = knots.gather(1, low) * (1 - share) + knots.gather(1, low + 1) * share
    return stretched(toned.view_as(pictures))


def _above_ground(pictures: Tensor) -> Tensor:
    """Return pictures whose ground, a tenth of their range, is black."""
    return ((pictures - 0.1) / 0.9).clamp(0, 1)


def _echo(pictures: Tensor, generator: Generator) -> Tensor:
    """Return pictures like ultrasound: speckle, layers, fading with depth, dark bodies, some sectors."""
    torch = require("torch", extra="train")
    count, _, side, _ = pictures.shape
    resize = torch.nn.functional.interpolate

    def drawn(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)

    def smooth(rows: int, columns: int) -> Tensor:
        noise = torch.rand(count, 1, rows, columns, generator=generator)
        return resize(noise, size=(side, side), mode="bicubic", align_corners=False).clamp(0, 1)

    layers = 0.15 + smooth(int(torch.randint(5, 14, (1,), generator=generator)), 3)
    speckle = -torch.log(torch.rand(count, 1, side, side, generator=generator).clamp(min=1e-4))
    speckle = resize(speckle, size=(side, side // 2), mode="area") if side % 2 == 0 else speckle
    speckle = resize(speckle, size=(side, side), mode="bilinear", align_corners=False)
    line = torch.linspace(-1, 1, side)
    down, across = line.view(1, 1, -1, 1), line.view(1, 1, 1, -1)
    echo = layers * speckle ** drawn(0.3, 1.0) * torch.exp(-drawn(-0.3, 1.2) * (down + 1))
    body = ((across - drawn(-0.5, 0.5)) / drawn(0.15, 0.5)) ** 2
    body = body + ((down - drawn(-0.6, 0.5)) / drawn(0.1, 0.4)) ** 2
    dark = (body < 1) & (drawn(0, 1) < 0.7)
    echo = torch.where(dark, echo * drawn(0.0, 0.5), echo)
    sector = (across.abs() < 0.15 + drawn(0.3, 0.6) * (down + 1)) | (drawn(0, 1) < 0.7)
    return stretched(torch.where(sector, echo, torch.zeros_like(echo)) ** drawn(0.4, 1.0))


def _stripped(pictures: Tensor, labels: Tensor, generator: Generator) -> Tensor:
    """Return heads whose skull is dark, as on MR; other pictures with tones that don't rise."""
    torch = require("torch", extra="train")
    heads = torch.where(labels == HEAD_CT)[0]
    if not len(heads):
        return _tones(pictures, generator)
    count = len(pictures)
    heads = _above_ground(pictures[heads[torch.randint(len(heads), (count,), generator=generator)]])

    def drawn(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)

    skull = torch.nn.functional.max_pool2d((heads > drawn(0.6, 0.85)).float(), 3, stride=1, padding=1)
    inside = torch.where(skull > 0, torch.clamp(drawn(-0.3, 0.3), min=0) * heads, heads)
    return stretched(stretched(inside) ** drawn(0.4, 1.3))


def _mixed(pictures: Tensor, labels: Tensor, generator: Generator) -> Tensor:
    """Return pictures put together of halves of two parts of the body."""
    torch = require("torch", extra="train")
    count, _, side, _ = pictures.shape
    other = torch.randperm(count, generator=generator)
    line = torch.arange(side) < side // 2
    left, top = line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)
    kind = torch.randint(0, 2, (count,), generator=generator).view(-1, 1, 1, 1)
    put = stretched(torch.where(torch.where(kind == 0, left, top), pictures, pictures[other]))
    return torch.where((labels == labels[other]).view(-1, 1, 1, 1), 1 - put, put)
