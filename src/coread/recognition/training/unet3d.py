"""A small 3D U-Net for volumes and its augmentation."""

from __future__ import annotations

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

    def convolutions(channels: int, filters: int) -> Module:
        layers: list[Module] = []
        for source in (channels, filters):
            layers += [
                nn.Conv3d(source, filters, 3, padding=1, bias=False),
                nn.BatchNorm3d(filters),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers)

    class UNet(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.down = nn.ModuleList(
                [convolutions(source, filters) for source, filters in zip([8, *widths], widths, strict=False)]
            )
            self.up = nn.ModuleList(
                [convolutions(widths[2] + widths[1], widths[1]), convolutions(widths[1] + width, width)]
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
