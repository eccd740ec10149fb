"""The network of the router, and what is exported: its logits and how far a picture is from what it knows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.body_part_pictures import CLASSES
from coread.recognition.training.networks import film_channels, residual_block

Tensor = Any
Module = Any


def part_network(width: int) -> Module:
    """Return a residual network for 64 x 64 pictures with the six parts and what is none as outputs."""
    torch = require("torch", extra="train")
    nn = torch.nn

    class PartNetwork(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(2, width, 3, padding=1, stride=2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                residual_block(width, width, shrink=False),
                residual_block(width, 2 * width, shrink=True),
                residual_block(2 * width, 4 * width, shrink=True),
                residual_block(4 * width, 4 * width, shrink=False),
            )
            self.dropout = nn.Dropout(0.2)
            self.head = nn.Linear(4 * width, len(CLASSES) + 1)

        def pooled(self, pictures: Tensor) -> Tensor:
            return self.features(film_channels(pictures)).mean((2, 3))

        def forward(self, pictures: Tensor) -> Tensor:
            return self.head(self.dropout(self.pooled(pictures)))

    return PartNetwork()


def shipped_network(network: Module, means: Tensor, whitening: Tensor) -> Module:
    """Return what is exported: logits, and distances over their limits (all 1 yet).

    Args:
        network: As `trained_network` gives it.
        means: (kinds, features) of the pooled features of each kind of picture.
        whitening: (features, features): lower factor of the inverse covariance around these means.
    """
    torch = require("torch", extra="train")

    class Shipped(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network.to(memory_format=torch.contiguous_format)
            self.register_buffer("means", means.float())
            self.register_buffer("whitening", whitening.float())
            self.register_buffer("limits", torch.ones(3))

        def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
            pooled = self.network.pooled(picture)
            logits = self.network.head(pooled)
            away = (pooled[:, None] - self.means) @ self.whitening
            distance = torch.sqrt((away * away).sum(2)).amin(1)
            parts = logits[:, : len(CLASSES)]
            # a softplus keeps the odds of none of the parts positive and in their order
            odds = torch.nn.functional.softplus(logits[:, len(CLASSES)] - torch.logsumexp(parts, 1))
            doubt = 1 - torch.softmax(parts, 1).amax(1)
            return logits, torch.stack([distance, odds, doubt], 1) / self.limits

    return Shipped().eval()


def known_features(network: Module, pictures: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
    """Return means of each kind and whitening of the network's features on pictures (n, 1, side, side).

    Args:
        network: As trained.
        pictures: Of the parts.
        kinds: (n,) numbers: one part may look like several kinds, each with a mean of its own.
    """
    torch = require("torch", extra="train")
    with torch.no_grad():
        features = torch.cat([network.pooled(part) for part in pictures.split(256)]).double()
    places = torch.unique(kinds, return_inverse=True)[1]
    means = torch.stack([features[places == place].mean(0) for place in range(int(places.max()) + 1)])
    around = torch.cov((features - means[places]).T)
    ridge = 1e-3 * around.diagonal().mean() * torch.eye(len(around), dtype=torch.float64)
    return means, torch.linalg.cholesky(torch.linalg.inv(around + ridge))


def temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return what logits are to be divided by so that their likelihood is largest.

    References:
        Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log: float) -> float:
        return -float(log_softmax(logits / math.exp(log), axis=1)[np.arange(len(labels)), labels].mean())

    return math.exp(float(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))
