"""What is no upright frontal chest film, made from films and from nothing; and the gate that learns it.

The gate sees changed training films as class 0 and made-up outliers as the others. No foreign image is
used, so that real wrong images (other body parts, other modalities) remain a test.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.training.checkpoint import Checkpoint, kept_steps
from coread.recognition.training.films import Change, changed, gaussian_blur, moved, stretched
from coread.recognition.training.loop import Steps
from coread.recognition.training.networks import film_network, mirrored_features

Tensor = Any
Generator = Any
Module = Any

OUTLIERS = ("sideways", "upside down", "inverted", "detail", "texture", "shapes", "oblique")
FILM_SHARE = 3  # films are shown three times as often as each kind of outlier
MILD = Change(log_scale=0.13, shift=0.11, angle=0.15, shear=0.06, erase=0.0)


def with_outliers(films: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Return changed films, most of them turned into outliers, and their class (0 for a film)."""
    torch = require("torch", extra="train")
    films = stretched(changed(films, generator, MILD))
    drawn = torch.randint(0, len(OUTLIERS) + FILM_SHARE, (len(films),), generator=generator)
    kinds = torch.where(drawn > len(OUTLIERS), 0, drawn)
    out = films.clone()
    for number, name in enumerate(OUTLIERS, start=1):
        places = torch.where(kinds == number)[0]
        if len(places):
            out[places] = outliers(films[places], name, generator)
    return out, kinds


def outliers(films: Tensor, kind: str, generator: Generator) -> Tensor:
    """Return outliers of one kind of `OUTLIERS`, as many as there are films (n, 1, side, side)."""
    torch = require("torch", extra="train")
    quarter = int(torch.randint(0, 2, (1,), generator=generator)) * 2 + 1
    match kind:
        case "sideways":
            return torch.rot90(films, quarter, (2, 3))
        case "upside down":
            return films.flip(2)
        case "inverted":
            turns = int(torch.randint(-5, 4, (1,), generator=generator))
            return torch.rot90(1 - films, max(turns, 0), (2, 3))
        case "detail":
            return _turned(films, generator, (0.2, 0.5), 0.5, (0.0, 0.2))
        case "texture":
            return _textures(films, generator)
        case "shapes":
            return _shapes(films, generator)
        case _:
            return _turned(films, generator, (0.8, 1.3), 0.1, (0.7, 1.2))


def _turned(
    films: Tensor,
    generator: Generator,
    scale: tuple[float, float],
    shift: float,
    angle: tuple[float, float],
) -> Tensor:
    torch = require("torch", extra="train")
    count = len(films)

    def drawn(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    side = torch.where(drawn(-1, 1) < 0, -1.0, 1.0)
    zoom = torch.exp(drawn(math.log(scale[0]), math.log(scale[1])))
    return moved(
        films,
        scale=torch.stack([zoom, zoom], 1),
        angle=drawn(*angle) * side,
        shift=drawn(-shift, shift, 2),
        shear=torch.zeros(count),
        flip=torch.ones(count),
    )


def _textures(films: Tensor, generator: Generator) -> Tensor:
    """White and coloured noise, films with random phase, films cut into tiles and shuffled."""
    torch = require("torch", extra="train")
    count, _, side, _ = films.shape
    noise = torch.randn(films.shape, generator=generator)
    one = torch.arange(side)
    frequency = torch.minimum(one, side - one).float()
    radius = torch.sqrt(frequency[:, None] ** 2 + frequency[None] ** 2).clamp(min=1)
    slope = 2 * torch.rand(count, 1, 1, 1, generator=generator)
    coloured = torch.fft.ifft2(torch.fft.fft2(noise) / radius**slope).real
    phase = torch.fft.fft2(noise).angle()
    scrambled = torch.fft.ifft2(torch.polar(torch.fft.fft2(films).abs(), phase)).real
    choices = torch.stack(
        [
            stretched(noise),
            stretched(coloured),
            stretched(scrambled),
            _tiles(films, 4, torch.randperm(16, generator=generator).tolist()),
            _tiles(films, 2, [3, 2, 1, 0]),
        ]
    )
    kind = torch.randint(0, len(choices), (count,), generator=generator)
    return choices[kind, torch.arange(count)]


def _tiles(films: Tensor, count: int, order: list[int]) -> Tensor:
    torch = require("torch", extra="train")
    rows = [part.chunk(count, 3) for part in films.chunk(count, 2)]
    tiles = [tile for row in rows for tile in row]
    moved_tiles = [tiles[n] for n in order]
    return torch.cat([torch.cat(moved_tiles[n : n + count], 3) for n in range(0, count * count, count)], 2)


def _shapes(films: Tensor, generator: Generator) -> Tensor:
    """Bright smooth bodies, some hollow, with smaller ones inside, on a dark ground."""
    torch = require("torch", extra="train")
    count, _, side, _ = films.shape
    line = torch.linspace(-1, 1, side)
    down, across = torch.meshgrid(line, line, indexing="ij")

    def drawn(low: float, high: float) -> Tensor:
        return torch.rand(count, 1, 1, generator=generator) * (high - low) + low

    picture = 0.15 * torch.rand(count, 1, 1, generator=generator) * torch.ones(count, side, side)
    for body in range(6):
        size, place = ((0.4, 1.1), 0.2) if body == 0 else ((0.05, 0.5), 0.7)
        turn = drawn(0.0, math.pi)
        x, y = across - drawn(-place, place), down - drawn(-place, place)
        along = (x * torch.cos(turn) + y * torch.sin(turn)) / drawn(*size)
        aside = (y * torch.cos(turn) - x * torch.sin(turn)) / drawn(*size)
        power = drawn(1.5, 5.0)
        distance = along.abs() ** power + aside.abs() ** power
        hollow = (drawn(0.0, 1.0) < 0.4) & (distance < 0.6)
        shown = (drawn(0.0, 1.0) < (1.0 if body == 0 else 0.6)) & (distance < 1)
        value = drawn(0.2, 1.0) * torch.where(hollow, 0.3, 1.0)
        picture = torch.where(shown, value, picture)
    return gaussian_blur(picture[:, None], 0.6, 2)


def trained_gate(
    films: NDArray[np.float32],
    *,
    seed: int,
    steps: int = 1200,
    width: int = 12,
    checkpoint: Checkpoint | None = None,
) -> Module:
    """Return a gate network trained on films (n, 28, 28) and outliers made from them."""
    torch = require("torch", extra="train")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    source = torch.from_numpy(films)[:, None]
    network = film_network(width, 1 + len(OUTLIERS))
    cycle = Steps(network, steps, rate=3e-3, decay=5e-3, rise=0.15)
    network.train()
    for _ in kept_steps(steps, {"network": network, "cycle": cycle}, generator, checkpoint):
        batch = source[torch.randint(len(source), (96,), generator=generator)]
        shown, kinds = with_outliers(batch, generator)
        loss = torch.nn.functional.cross_entropy(network(shown), kinds, label_smoothing=0.02)
        cycle.take(loss)
    return network.eval()


def known_films(gate: Module, films: NDArray[np.float32], *, seed: int) -> dict[str, Tensor]:
    """Return mean and whitening of the gate's features on films, with limits still 1.

    The films are taken as they are and mildly changed, in equal parts.
    """
    torch = require("torch", extra="train")
    source = torch.from_numpy(films)[:, None]
    generator = torch.Generator().manual_seed(seed)
    both = torch.cat([source, stretched(changed(source, generator, MILD))])
    with torch.no_grad():
        pooled = torch.cat([mirrored_features(gate, part).mean((2, 3)) for part in both.split(256)])
    pooled = pooled.double()
    mean = pooled.mean(0)
    covariance = torch.cov(pooled.T) + 1e-4 * torch.eye(pooled.shape[1], dtype=torch.float64)
    whitening = torch.linalg.cholesky(torch.linalg.inv(covariance))
    return {"mean": mean.float(), "whitening": whitening.float(), "limits": torch.ones(2)}
