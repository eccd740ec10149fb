"""Small 3D U-Nets for volumes, a quick one and a fine one, and their augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from coread.extras import require

Tensor = Any
Module = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeChange:
    """How far volumes are changed in training; each number is the largest change, both ways.

    Attributes:
        angle: Turn about each axis in radians.
        log_scale: Logarithm of the zoom.
        shift: In voxels.
        mirror: Whether left and right may be exchanged.
    """

    angle: float = 0.2
    log_scale: float = 0.12
    shift: float = 3.0
    mirror: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChange(VolumeChange):
    """How far windows of volumes are changed in training.

    Attributes:
        window: Slices, rows and columns that are cut out.
        shift: Of the window's middle from the volume's, in voxels.
        bend: Deviation of the displacement of a coarse lattice of voxels that bends the rest, in voxels.
        untouched: Part of the windows that are only mirrored and shifted by whole voxels, so that the network
            sees values that no resampling has smoothed, as in use.
        log_gamma: Logarithm of the exponent of the values, brought to 0 to 1 for it.
        shading: Logarithm of the factor at each corner of a coarse lattice, as of a receiving coil.
        detail: Part of the difference to a blurred volume that is added.
    """

    window: tuple[int, int, int] = (32, 48, 32)
    angle: float = 0.25
    log_scale: float = 0.15
    shift: float = 6.0
    bend: float = 1.0
    untouched: float = 0.4
    log_gamma: float = 0.3
    shading: float = 0.2
    detail: float = 0.5


def unet(width: int, outputs: int) -> Module:
    """Return a 3D U-Net of three levels: (n, 1, slices, rows, columns) to logits (n, outputs, ...).

    Blocks of 2 x 2 x 2 voxels go in as eight channels, which makes it eight times as quick; one last
    convolution sees single voxels again. Each axis is a multiple of 8.

    References:
        Çiçek et al., 3D U-Net, MICCAI 2016.
    """
    torch = require("torch", extra="train")
    nn = torch.nn
    widths = [width, width * 3 // 2, width * 2]

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(
                [
                    _convolutions(source, filters)
                    for source, filters in zip([8, *widths], widths, strict=False)
                ]
            )
            self.up = nn.ModuleList(
                [_convolutions(widths[2] + widths[1], widths[1]), _convolutions(widths[1] + width, width)]
            )
            self.last = nn.Conv3d(width, 8 * outputs, 1)
            self.fine = nn.Conv3d(outputs + 1, outputs, 3, padding=1)

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


def fine_unet(widths: Sequence[int], outputs: int) -> Module:
    """Return a 3D U-Net whose first level sees single voxels: (n, 1, slices, rows, columns) to logits.

    Each axis is a multiple of 2 to the number of levels less one. Multiples of 16 as widths are the quickest.

    Args:
        widths: Channels of each level.
        outputs: Channels that come out.

    References:
        Çiçek et al., 3D U-Net, MICCAI 2016.
    """
    torch = require("torch", extra="train")
    nn = torch.nn

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
            self.down = nn.ModuleList(
                [
                    _convolutions(source, filters)
                    for source, filters in zip([1, *widths], widths, strict=False)
                ]
            )
            self.widen = nn.ModuleList([nn.ConvTranspose3d(low, high, 2, stride=2) for low, high in pairs])
            self.up = nn.ModuleList([_convolutions(2 * high, high) for _, high in pairs])
            self.last = nn.Conv3d(widths[0], outputs, 1)

        def forward(self, volumes: Tensor) -> Tensor:
            kept: list[Tensor] = []
            maps = volumes
            for number, level in enumerate(self.down):
                maps = level(nn.functional.max_pool3d(maps, 2) if number else maps)
                kept.append(maps)
            for widen, level, beside in zip(self.widen, self.up, kept[-2::-1], strict=True):
                maps = level(torch.cat([widen(maps), beside], 1))
            return self.last(maps)

    return UNet()


def _convolutions(channels: int, filters: int) -> Module:
    """Two convolutions, each normalised over the batch and cut at 0."""
    nn = require("torch", extra="train").nn
    layers: list[Module] = []
    for source in (channels, filters):
        layers += [
            nn.Conv3d(source, filters, 3, padding=1, bias=False),
            nn.BatchNorm3d(filters),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


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


def changed_pair(
    volumes: Tensor, labels: Tensor, generator: Any, plan: VolumeChange
) -> tuple[Tensor, Tensor]:
    """Return volumes (n, 1, ...) and label numbers (n, ...) turned, scaled, shifted and mirrored alike.

    The mirror exchanges the two ends of the last axis: left and right, which makes a left hippocampus a
    right one. Contrast, brightness and noise change in the volumes alone, whose values are standardised.
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
    flip = torch.where(drawn(1.0) < 0, -1.0, 1.0) if plan.mirror else torch.ones(count)
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


def changed_windows(
    volumes: Tensor, masks: Tensor, generator: Any, plan: WindowChange
) -> tuple[Tensor, Tensor]:
    """Return windows of volumes (n, 1, ...) and of their masks (n, labels, ...), changed alike.

    Masks are resampled linearly: a voxel that a label fills by half has 0.5. The mirror exchanges left and
    right. Gamma, shading, detail, contrast, brightness and noise change in the volumes alone, whose values
    are standardised.
    """
    torch = require("torch", extra="train")
    functional = torch.nn.functional
    count, size = len(volumes), tuple(plan.window)

    def drawn(limit: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * limit

    def smooth(channels: int) -> Tensor:
        coarse = torch.randn(count, channels, 4, 5, 4, generator=generator)
        return functional.interpolate(coarse, size, mode="trilinear", align_corners=True)

    def factor(logarithm: Tensor) -> Tensor:
        return torch.exp(logarithm).view(-1, 1, 1, 1, 1)

    untouched = torch.rand(count, generator=generator) < plan.untouched
    skew = torch.zeros(count, 3, 3)
    for (one, two), angle in zip(((0, 1), (0, 2), (1, 2)), drawn(plan.angle, 3).T, strict=True):
        skew[:, one, two], skew[:, two, one] = angle, -angle
    turn = torch.linalg.matrix_exp(skew) * torch.exp(drawn(plan.log_scale, 1, 3))
    turn[untouched] = torch.eye(3)
    if plan.mirror:
        turn[:, 0] *= torch.where(drawn(1.0) < 0, -1.0, 1.0)[:, None]
    shift = drawn(plan.shift, 3)
    shift[untouched] = shift[untouched].round()
    bend = smooth(3) * plan.bend
    bend[untouched] = 0.0
    # places in voxels from the middle, columns first
    axes = [torch.arange(n) - (n - 1) / 2 for n in size]
    place = torch.stack(torch.meshgrid(*axes, indexing="ij")[::-1], -1)
    place = torch.einsum("ncd,zyxd->nzyxc", turn, place) + shift[:, None, None, None]
    place = place + bend.permute(0, 2, 3, 4, 1)
    sides = torch.tensor([float(n) for n in volumes.shape[:1:-1]])
    both = functional.grid_sample(
        torch.cat([volumes, masks], 1), 2 * place / sides, align_corners=False, padding_mode="zeros"
    )
    shown, wanted = both[:, :1], both[:, 1:]
    low, high = shown.amin((1, 2, 3, 4), keepdim=True), shown.amax((1, 2, 3, 4), keepdim=True)
    stretch = (high - low).clamp(min=1e-6)
    shown = ((shown - low) / stretch) ** factor(drawn(plan.log_gamma)) * stretch + low
    shown = shown * torch.exp(smooth(1).clamp(-2, 2) / 2 * plan.shading)
    blurred = functional.avg_pool3d(shown, 3, 1, 1)
    shown = shown + drawn(plan.detail, 1, 1, 1, 1) * (shown - blurred)
    shown = shown * factor(drawn(0.2)) + drawn(0.2, 1, 1, 1, 1)
    shown = shown + drawn(0.15, 1, 1, 1, 1) * torch.randn(shown.shape, generator=generator)
    return shown, wanted
