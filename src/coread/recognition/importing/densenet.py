"""DenseNet-121 and its names in the checkpoints of several libraries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from coread.extras import require

Tensor = Any
Module = Any
BLOCKS = (6, 12, 24, 16)
GROWTH = 32


def densenet121(channels: int, outputs: int) -> Module:
    """Return DenseNet-121: (n, channels, rows, columns) to (n, outputs) logits; rows and columns from 32.

    Names of the weights are those of current torchvision: ``features.denseblock1.denselayer1.norm1`` ...,
    ``classifier``.

    References:
        Huang et al., Densely connected convolutional networks, CVPR 2017.
    """
    torch = require("torch", extra="train")
    nn = torch.nn

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, have: int) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.BatchNorm2d(have), nn.BatchNorm2d(4 * GROWTH)
            self.conv1 = nn.Conv2d(have, 4 * GROWTH, 1, bias=False)
            self.conv2 = nn.Conv2d(4 * GROWTH, GROWTH, 3, padding=1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            narrow = self.conv1(torch.relu(self.norm1(x)))
            return torch.cat([x, self.conv2(torch.relu(self.norm2(narrow)))], 1)

    class Transition(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, have: int) -> None:
            super().__init__()
            self.norm, self.conv = nn.BatchNorm2d(have), nn.Conv2d(have, have // 2, 1, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.avg_pool2d(self.conv(torch.relu(self.norm(x))), 2)

    features = nn.Sequential()
    features.add_module("conv0", nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False))
    features.add_module("norm0", nn.BatchNorm2d(64))
    features.add_module("relu0", nn.ReLU())
    features.add_module("pool0", nn.MaxPool2d(3, stride=2, padding=1))
    have = 64
    for number, layers in enumerate(BLOCKS, start=1):
        block = nn.Sequential()
        for layer in range(1, layers + 1):
            block.add_module(f"denselayer{layer}", Layer(have))
            have += GROWTH
        features.add_module(f"denseblock{number}", block)
        if number < len(BLOCKS):
            features.add_module(f"transition{number}", Transition(have))
            have //= 2
    features.add_module("norm5", nn.BatchNorm2d(have))

    class DenseNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.features, self.classifier = features, nn.Linear(have, outputs)

        def forward(self, x: Tensor) -> Tensor:
            return self.classifier(torch.relu(self.features(x)).mean((2, 3)))

    return DenseNet()


def current_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of a DenseNet under the names of current torchvision.

    Known are a prefix ``densenet121.``, dotted names of old torchvision (``norm.1``), a classifier in a
    sequence (``classifier.0``), and MONAI's names (``layers.norm1``, ``class_layers.out``).
    """
    found = {}
    for key, value in weights.items():
        name = re.sub(r"^(?:model\.)?densenet121\.", "", key)
        name = re.sub(r"(denselayer\d+)\.layers\.", r"\1.", name)
        name = re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", name)
        name = re.sub(r"^(?:classifier\.0|class_layers\.out)\.", "classifier.", name)
        found[name] = value
    return found
