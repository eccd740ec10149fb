"""U-Nets of nnU-Net, MONAI and lungmask, with the names that their weights have there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from coread.extras import require

Tensor = Any
Module = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPlan:
    """The shape of nnU-Net's plain U-Net.

    Attributes:
        channels: Of the input.
        outputs: Of the network.
        features: Channels of each stage.
        kernels: Kernel size of each stage along each axis.
        strides: Stride of each stage along each axis.
        convolutions: Of each stage on the way down.
        convolutions_up: Of each stage on the way up, the coarsest first.
        bias: Whether convolutions have one.
        epsilon: Of the instance normalisation.
    """

    channels: int
    outputs: int
    features: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    convolutions: tuple[int, ...]
    convolutions_up: tuple[int, ...]
    bias: bool = True
    epsilon: float = 1e-5


def plain_unet(plan: PlainPlan) -> Module:
    """Return nnU-Net's plain U-Net: (n, channels, *space) to (n, outputs, *space) logits.

    References:
        Isensee et al., nnU-Net, Nature Methods 18 (2021) 203-211.
    """
    torch = require("torch", extra="train")
    nn = torch.nn
    flat = len(plan.kernels[0]) == 2
    convolution = nn.Conv2d if flat else nn.Conv3d
    transposed = nn.ConvTranspose2d if flat else nn.ConvTranspose3d
    instance_norm = nn.InstanceNorm2d if flat else nn.InstanceNorm3d

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, have: int, want: int, kernel: Sequence[int], stride: Any) -> None:
            super().__init__()
            padding = [(k - 1) // 2 for k in kernel]
            self.conv = convolution(have, want, kernel, stride, padding, bias=plan.bias)
            self.norm = instance_norm(want, eps=plan.epsilon, affine=True)

        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.leaky_relu(self.norm(self.conv(x)), 0.01)

    class Stack(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, have: int, want: int, kernel: Sequence[int], stride: Any, count: int) -> None:
            super().__init__()
            first = Block(have, want, kernel, stride)
            self.convs = nn.Sequential(first, *(Block(want, want, kernel, 1) for _ in range(count - 1)))

        def forward(self, x: Tensor) -> Tensor:
            return self.convs(x)

    class Encoder(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            have = (plan.channels, *plan.features)
            stages = zip(have, plan.features, plan.kernels, plan.strides, plan.convolutions, strict=False)
            self.stages = nn.Sequential(*(nn.Sequential(Stack(*stage)) for stage in stages))

    class Decoder(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.stages, self.transpconvs, self.seg_layers = (nn.ModuleList() for _ in range(3))
            for count, n in zip(plan.convolutions_up, range(len(plan.features) - 1, 0, -1), strict=True):
                below, here, stride = plan.features[n], plan.features[n - 1], plan.strides[n]
                self.transpconvs.append(transposed(below, here, stride, stride, bias=plan.bias))
                self.stages.append(Stack(2 * here, here, plan.kernels[n - 1], 1, count))
                self.seg_layers.append(convolution(here, plan.outputs, 1))

    class PlainUNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = Encoder(), Decoder()

        def forward(self, x: Tensor) -> Tensor:
            skips = []
            for stage in self.encoder.stages:
                x = stage(x)
                skips.append(x)
            for up, stage, skip in zip(
                self.decoder.transpconvs, self.decoder.stages, reversed(skips[:-1]), strict=True
            ):
                x = stage(torch.cat([up(x), skip], 1))
            return self.decoder.seg_layers[-1](x)

    return PlainUNet()


def plain_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return nnU-Net's weights without those that its files hold twice."""
    prefix = "_orig_mod."  # left by torch.compile
    names = {key.removeprefix(prefix): value for key, value in weights.items()}
    return {
        key: value
        for key, value in names.items()
        if ".all_modules." not in key and not key.startswith("decoder.encoder.")
    }


def mean_of(networks: Sequence[Module]) -> Module:
    """Return a network that gives the mean output of several."""
    torch = require("torch", extra="train")

    class Mean(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.members = torch.nn.ModuleList(networks)

        def forward(self, x: Tensor) -> Tensor:
            return sum(member(x) for member in self.members) / len(self.members)

    return Mean()


def monai_unet(
    dimensions: int,
    channels: int,
    outputs: int,
    features: Sequence[int],
    strides: Sequence[int],
    units: int,
    norm: str,
) -> Module:
    """Return MONAI's ``UNet``: (n, channels, *space) to (n, outputs, *space).

    Args:
        dimensions: 2 or 3.
        channels: Of the input.
        outputs: Of the network.
        features: Channels of each level.
        strides: Between the levels.
        units: Convolutions of a residual unit; 0 for plain convolutions.
        norm: ``instance`` or ``batch``.

    References:
        Kerfoot et al., Left-ventricle quantification using residual U-Net, STACOM 2018.
    """
    torch = require("torch", extra="train")
    nn = torch.nn
    flat = dimensions == 2
    convolution = nn.Conv2d if flat else nn.Conv3d
    transposed = nn.ConvTranspose2d if flat else nn.ConvTranspose3d
    kinds = {"batch": (nn.BatchNorm2d, nn.BatchNorm3d), "instance": (nn.InstanceNorm2d, nn.InstanceNorm3d)}
    normalisation = kinds[norm][0 if flat else 1]

    class Convolution(nn.Sequential):  # type: ignore[misc, name-defined]
        def __init__(
            self, have: int, want: int, stride: int, *, up: bool = False, bare: bool = False
        ) -> None:
            super().__init__()
            more = {"output_padding": stride - 1} if up else {}
            kind = transposed if up else convolution
            self.add_module("conv", kind(have, want, 3, stride, padding=1, **more))
            if not bare:
                adn = nn.Sequential()
                adn.add_module("N", normalisation(want))
                adn.add_module("A", nn.PReLU())
                self.add_module("adn", adn)

    class Residual(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, have: int, want: int, stride: int, count: int, *, bare: bool = False) -> None:
            super().__init__()
            self.conv = nn.Sequential()
            for n in range(count):
                last = bare and n == count - 1
                unit = Convolution(want if n else have, want, 1 if n else stride, bare=last)
                self.conv.add_module(f"unit{n}", unit)
            self.residual = nn.Identity()
            if stride != 1 or have != want:
                size = 3 if stride != 1 else 1
                self.residual = convolution(have, want, size, stride, padding=size // 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.residual(x) + self.conv(x)

    class Skip(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, below: Module) -> None:
            super().__init__()
            self.submodule = below

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, self.submodule(x)], 1)

    def down(have: int, want: int, stride: int) -> Module:
        return Residual(have, want, stride, units) if units else Convolution(have, want, stride)

    def up(have: int, want: int, stride: int, top: bool) -> Module:
        first = Convolution(have, want, stride, up=True, bare=top and not units)
        return nn.Sequential(first, Residual(want, want, 1, 1, bare=top)) if units else first

    def level(have: int, want: int, n: int) -> Module:
        here, stride = features[n], strides[n]
        if n + 2 < len(features):
            below, above = level(here, here, n + 1), 2 * here
        else:
            below, above = down(here, features[n + 1], 1), here + features[n + 1]
        return nn.Sequential(down(have, here, stride), Skip(below), up(above, want, stride, n == 0))

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.model = level(channels, outputs, 0)

        def forward(self, x: Tensor) -> Tensor:
            return self.model(x)

    return UNet()


def lungmask_unet(outputs: int) -> Module:
    """Return lungmask's U-Net: (n, 1, rows, columns), multiples of 16, to log-probabilities.

    References:
        Hofmanninger et al., European Radiology Experimental 4 (2020) 50.
    """
    torch = require("torch", extra="train")
    nn = torch.nn
    features = (64, 128, 256, 512, 1024)

    class Block(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, have: int, want: int) -> None:
            super().__init__()
            self.block = nn.Sequential(
                nn.Conv2d(have, want, 3, padding=1),
                nn.ReLU(),
                nn.BatchNorm2d(want),
                nn.Conv2d(want, want, 3, padding=1),
                nn.ReLU(),
                nn.BatchNorm2d(want),
            )

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x)

    class Up(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, have: int, want: int) -> None:
            super().__init__()
            self.up = nn.Sequential(nn.Upsample(mode="bilinear", scale_factor=2), nn.Conv2d(have, want, 1))
            self.conv_block = Block(have, want)

        def forward(self, x: Tensor, skip: Tensor) -> Tensor:
            return self.conv_block(torch.cat([self.up(x), skip], 1))

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down_path = nn.ModuleList(
                Block(have, want) for have, want in zip((1, *features), features, strict=False)
            )
            self.up_path = nn.ModuleList(
                Up(have, want) for have, want in zip(features[:0:-1], features[-2::-1], strict=True)
            )
            self.last = nn.Conv2d(features[0], outputs, 1)

        def forward(self, x: Tensor) -> Tensor:
            skips: list[Tensor] = []
            for block in self.down_path:
                x = block(nn.functional.avg_pool2d(x, 2) if skips else x)
                skips.append(x)
            for up, skip in zip(self.up_path, reversed(skips[:-1]), strict=True):
                x = up(x, skip)
            return torch.log_softmax(self.last(x), 1)

    return UNet()
