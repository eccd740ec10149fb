"""Changes of small films that a reader would not be fooled by: place, size, exposure, sharpness, noise.

Torch tensors of shape (n, 1, rows, columns) with values from 0 to 1 come and go; every random number comes
from the generator handed in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from coread.extras import require

Tensor = Any
Generator = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How far films are changed; each number is the largest change, both ways.

    Attributes:
        log_scale: Logarithm of the zoom, rows and columns apart.
        shift: Part of half the side.
        angle: Radians.
        shear: Tangent.
        sharpness: Share of detail (below 0.9 pixels) taken away, or 1.5 times as much added.
        log_gamma: Logarithm of the exponent of the exposure curve.
        contrast: Of the window, about 1.
        level: Of the window.
        shade: Brightness across the film.
        noise: Standard deviation at most.
        erase: Part of the films in which a rectangle is wiped out.
        mirror: Whether left and right may be exchanged.
    """

    log_scale: float = 0.22
    shift: float = 0.18
    angle: float = 0.25
    shear: float = 0.1
    sharpness: float = 1.0
    log_gamma: float = 0.6
    contrast: float = 0.3
    level: float = 0.12
    shade: float = 0.12
    noise: float = 0.03
    erase: float = 0.3
    mirror: bool = True


def gaussian_blur(films: Tensor, sigma: float, radius: int) -> Tensor:
    """Return films blurred by a Gaussian of ``sigma`` pixels, cut at ``radius``, mirrored at the border."""
    torch = require("torch", extra="train")
    functional = torch.nn.functional
    offsets = torch.arange(-radius, radius + 1, device=films.device).float()
    kernel = torch.exp(-offsets * offsets / (2 * sigma * sigma))
    kernel = kernel / kernel.sum()
    padded = functional.pad(films, (radius, radius, radius, radius), mode="reflect")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None, :])


def stretched(films: Tensor) -> Tensor:
    """Return films whose values run from 0 to 1."""
    low = films.amin((2, 3), keepdim=True)
    high = films.amax((2, 3), keepdim=True)
    return ((films - low) / (high - low + 1e-4)).clamp(0, 1)


def moved(
    films: Tensor, *, scale: Tensor, angle: Tensor, shift: Tensor, shear: Tensor, flip: Tensor
) -> Tensor:
    """Return films drawn through an affine map, mirrored at the border.

    Args:
        films: (n, 1, rows, columns).
        scale: (n, 2) size of what is seen, columns and rows.
        angle: (n,) radians.
        shift: (n, 2) in half sides, columns and rows.
        shear: (n,) tangent.
        flip: (n,) 1, or -1 for left and right exchanged.
    """
    torch = require("torch", extra="train")
    functional = torch.nn.functional
    cosine, sine = torch.cos(angle), torch.sin(angle)
    first = torch.stack([cosine * scale[:, 0] * flip, -sine * scale[:, 1] + shear, shift[:, 0]], 1)
    second = torch.stack([sine * scale[:, 0] * flip, cosine * scale[:, 1], shift[:, 1]], 1)
    grid = functional.affine_grid(torch.stack([first, second], 1), films.shape, align_corners=False)
    return functional.grid_sample(films, grid, padding_mode="reflection", align_corners=False)


def changed(films: Tensor, generator: Generator, change: Change) -> Tensor:
    """Return films with every change of `Change` drawn anew for each of them."""
    torch = require("torch", extra="train")
    count, _, rows, columns = films.shape

    def drawn(limit: float, *shape: int) -> Tensor:
        return (torch.rand(count, *shape, generator=generator) * 2 - 1) * limit

    def column(values: Tensor) -> Tensor:
        return values.view(-1, 1, 1, 1)

    flip = torch.where(drawn(1.0) < 0, -1.0, 1.0) if change.mirror else torch.ones(count)
    films = moved(
        films,
        scale=torch.exp(drawn(change.log_scale, 2)),
        angle=drawn(change.angle),
        shift=drawn(change.shift, 2),
        shear=drawn(change.shear),
        flip=flip,
    )
    detail = drawn(change.sharpness)
    detail = torch.where(detail > 0, 1.5 * detail, detail)
    films = films + column(detail) * (films - gaussian_blur(films, 0.9, 3))
    films = stretched(films) ** column(torch.exp(drawn(change.log_gamma)))
    window = column(1 + drawn(change.contrast))
    films = ((films - 0.5) * window + 0.5 + column(drawn(change.level))).clamp(0, 1)
    across = torch.linspace(-1, 1, columns).view(1, 1, 1, -1)
    down = torch.linspace(-1, 1, rows).view(1, 1, -1, 1)
    shade = column(drawn(change.shade)) * across + column(drawn(change.shade)) * down
    films = 0.8 * films + shade + column(drawn(change.shade)) * (across**2 + down**2)
    films = films + torch.randn(films.shape, generator=generator) * column(drawn(change.noise).abs())
    return _erased(films, generator, change.erase)


def _erased(films: Tensor, generator: Generator, part: float) -> Tensor:
    torch = require("torch", extra="train")
    count, _, rows, columns = films.shape
    chosen = torch.rand(count, generator=generator) < part
    size = torch.randint(rows // 7, 2 * rows // 5, (count, 2), generator=generator)
    start = torch.randint(-3, rows - 3, (count, 2), generator=generator)
    value = 0.8 * torch.rand(count, generator=generator)
    down, across = torch.arange(rows)[None], torch.arange(columns)[None]
    inside_rows = (down >= start[:, :1]) & (down < start[:, :1] + size[:, :1])
    inside_columns = (across >= start[:, 1:]) & (across < start[:, 1:] + size[:, 1:])
    wiped = inside_rows[:, :, None] & inside_columns[:, None, :] & chosen[:, None, None]
    return torch.where(wiped[:, None], value.view(-1, 1, 1, 1), films)
