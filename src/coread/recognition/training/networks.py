"""Small residual networks for films, and the ensemble that is shipped as one file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from coread.extras import require
from coread.recognition.training.films import gaussian_blur

Tensor = Any
Module = Any


def film_channels(films: Tensor) -> Tensor:
    """Return (n, 2, rows, columns): the film standardised as a whole, and standardised locally.

    The second channel takes away the mean and divides by the deviation of the surroundings (Gaussian,
    3 pixels), so that exposure and contrast of the film cannot tell the classes apart.
    """
    torch = require("torch", extra="train")
    centred = films - films.mean((2, 3), keepdim=True)
    deviation = torch.sqrt((centred * centred).mean((2, 3), keepdim=True))
    away = films - gaussian_blur(films, 3.0, 9)
    local = torch.sqrt(gaussian_blur(away * away, 3.0, 9))
    return torch.cat([centred / (deviation + 1e-3), away / (local + 0.02)], 1)


def residual_block(channels: int, filters: int, *, shrink: bool) -> Module:
    """Return two convolutions beside a straight way; maps are first halved by averaging where it shrinks."""
    nn = require("torch", extra="train").nn

    def convolution(channels: int, filters: int, size: int) -> list[Module]:
        return [
            nn.Conv2d(channels, filters, size, padding=size // 2, bias=False),
            nn.BatchNorm2d(filters),
        ]

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.shrink = nn.AvgPool2d(2) if shrink else nn.Identity()
            self.way = nn.Sequential(
                *convolution(channels, filters, 3), nn.ReLU(), *convolution(filters, filters, 3)
            )
            straight = convolution(channels, filters, 1) if filters != channels else []
            self.straight = nn.Sequential(*straight)

        def forward(self, maps: Tensor) -> Tensor:
            maps = self.shrink(maps)
            return nn.functional.relu(self.way(maps) + self.straight(maps))

    return Block()


def film_network(width: int, outputs: int, *, side: int = 28) -> Module:
    """Return a residual network of five blocks with 7 x 7 last feature maps for 28 x 28 films.

    Maps are halved by averaging 2 x 2 pixels, so that a cell of the last map stands for exactly one block
    of 4 x 4 pixels. `features` gives (n, 4 width, 7, 7), `head` is one linear layer on their mean. Larger
    films are halved more often, by a further block each time, until the maps have less than 14 cells a
    side.
    """
    torch = require("torch", extra="train")
    nn = torch.nn
    more = max(0, int(math.log2(side / 4 / 7)))

    class FilmNetwork(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(2, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                residual_block(width, width, shrink=False),
                residual_block(width, 2 * width, shrink=True),
                residual_block(2 * width, 2 * width, shrink=False),
                residual_block(2 * width, 4 * width, shrink=True),
                residual_block(4 * width, 4 * width, shrink=False),
                *(residual_block(4 * width, 4 * width, shrink=True) for _ in range(more)),
            )
            self.dropout = nn.Dropout(0.2)
            self.head = nn.Linear(4 * width, outputs)

        def forward(self, films: Tensor) -> Tensor:
            pooled = self.features(film_channels(films)).mean((2, 3))
            return self.head(self.dropout(pooled))

    return FilmNetwork()


def mirrored_features(network: Module, films: Tensor) -> Tensor:
    """Return the last feature maps, averaged over the film and its mirror image."""
    torch = require("torch", extra="train")
    channels = film_channels(films)
    both = network.features(torch.stack([channels, channels.flip(3)]).flatten(0, 1)).unflatten(0, (2, -1))
    return 0.5 * (both[0] + both[1].flip(3))


def shipped_network(members: Sequence[Module], gate: Module, known: dict[str, Tensor]) -> Module:
    """Return the network that is exported: an ensemble with one linear head, and the gate's distances.

    Args:
        members: Networks of one output.
        gate: Network that tells films from what is none; class 0 is a film.
        known: What `coread.recognition.training.gate.fitted` knows of films: ``mean``, ``whitening``
            (features times features) and ``limits`` (two numbers).
    """
    torch = require("torch", extra="train")

    class Shipped(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(members)
            self.gate = gate
            for name, value in known.items():
                self.register_buffer(name, value)

        def forward(self, film: Tensor) -> tuple[Tensor, ...]:
            maps = [mirrored_features(member, film) for member in self.members]
            heads = [member.head for member in self.members]
            member_logits = torch.cat(
                [head(part.mean((2, 3))) for head, part in zip(heads, maps, strict=True)], 1
            )
            logit = member_logits.mean(1, keepdim=True)
            weights = torch.cat([head.weight[0] for head in heads]) / len(heads)
            pooled = mirrored_features(self.gate, film).mean((2, 3))
            return logit, member_logits, torch.cat(maps, 1), weights, self.distances(pooled)

        def distances(self, pooled: Tensor) -> Tensor:
            away = (pooled - self.mean) @ self.whitening
            mahalanobis = torch.sqrt((away * away).sum(1))
            scores = self.gate.head(pooled)
            against = torch.logsumexp(scores[:, 1:], 1) - scores[:, 0]
            # a softplus keeps the second distance positive and in the order of the odds against a film
            odds = torch.nn.functional.softplus(against)
            return torch.stack([mahalanobis, odds], 1) / self.limits

    return Shipped()


OUTPUTS = ("logit", "member_logits", "features", "weights", "distances")
