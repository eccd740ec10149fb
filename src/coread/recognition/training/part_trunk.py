"""Simulated slices of a trunk on CT, with or without lungs: bodies of simple shapes in Hounsfield units.

Few patients were there to train on; these say in many sizes, windows and fields of view what tells a chest
from an abdomen: lungs on both sides of heart and mediastinum, or organs, bowel and fat. They look like
neither and are neither.
"""

from __future__ import annotations

import math
from typing import Any

from coread.extras import require
from coread.recognition.training.films import gaussian_blur, stretched
from coread.recognition.training.part_sources import WINDOWS_HU

Tensor = Any
Generator = Any


class _Slices:
    """Slices under the brush: everything drawn is given in coordinates of the body from -1 to 1."""

    def __init__(self, count: int, side: int, generator: Generator) -> None:
        torch = require("torch", extra="train")
        self.torch = torch
        self.count = count
        self.generator = generator
        line = torch.linspace(-1, 1, side)
        wide = self.drawn(0.6, 1.15)
        high = wide * self.drawn(0.6, 1.0)
        self.x = (line.view(1, 1, -1) - self.drawn(-0.1, 0.1)) / wide
        self.y = (line.view(1, -1, 1) - self.drawn(-0.12, 0.12)) / high
        self.hu = torch.full((count, side, side), -1000.0)
        self.noise = torch.randn(count, side, side, generator=generator)

    def drawn(self, low: float, high: float) -> Tensor:
        return self.torch.rand(self.count, 1, 1, generator=self.generator) * (high - low) + low

    def often(self, chance: float) -> Tensor:
        return self.drawn(0, 1) < chance

    def inside(
        self, column: Any, row: Any, wide: Any, high: Any, power: Any = 2.0, turn: Any = 0.0
    ) -> Tensor:
        x, y = self.x - column, self.y - row
        turn = self.torch.as_tensor(turn)
        along = x * self.torch.cos(turn) + y * self.torch.sin(turn)
        aside = y * self.torch.cos(turn) - x * self.torch.sin(turn)
        return (along / wide).abs() ** power + (aside / high).abs() ** power < 1

    def paint(self, where: Tensor, value: Any) -> None:
        self.hu = self.torch.where(where, value, self.hu)


def simulated_trunks(
    lungs: Tensor, side: int, generator: Generator, *, noise_hu: float, domes: float
) -> Tensor:
    """Return slices (n, 1, side, side) from 0 to 1, through windows drawn.

    Args:
        lungs: (n,) whether a slice is of a chest.
        side: Of the pictures.
        generator: Source of randomness.
        noise_hu: Largest standard deviation.
        domes: In which part of the chests the liver is seen below its dome.
    """
    torch = require("torch", extra="train")
    body = _Slices(len(lungs), side, generator)
    chest = lungs.view(-1, 1, 1)
    fat = body.drawn(0.04, 0.22)
    power = body.drawn(1.9, 3.2)
    blood = body.drawn(30, 60) + torch.clamp(body.drawn(-250, 300), min=0)
    for sign in (-1, 1):  # arms beside the body
        arm = body.inside(sign * body.drawn(1.1, 1.3), body.drawn(-0.2, 0.5), 0.17, 0.25)
        body.paint(arm & body.often(0.1), 40.0)
    body.paint(body.inside(0, 0, 1, 1, power), body.drawn(-115, -80))
    body.paint(body.inside(0, 0.03, 1 - fat, 1 - fat, power), body.drawn(35, 70))
    _abdomen(body, ~chest, fat, blood)
    _chest(body, chest, fat, blood, domes)
    _bones(body, fat, chest)
    table = ((body.y - body.drawn(1.05, 1.3) - body.drawn(-0.2, 0.05) * body.x**2).abs() < 0.03) & (
        body.often(0.5)
    )
    body.paint(table & (body.hu < -500), body.drawn(-600, 100))
    hu = gaussian_blur(body.hu[:, None], 0.5, 2)[:, 0] + body.noise * body.drawn(0, noise_hu)
    windows = torch.tensor(list(WINDOWS_HU.values()), dtype=torch.float32)
    kind = torch.randint(len(windows), (len(lungs),), generator=generator)
    centre, width = windows[kind, 0].view(-1, 1, 1), windows[kind, 1].view(-1, 1, 1)
    width, centre = width * torch.exp(body.drawn(-0.3, 0.3)), centre + width * body.drawn(-0.15, 0.15)
    return stretched(((hu - centre) / width + 0.5).clamp(0, 1)[:, None])


def _chest(body: _Slices, chest: Tensor, fat: Tensor, blood: Tensor, domes: float) -> None:
    torch = body.torch
    room = 1 - fat - body.drawn(0.04, 0.12)
    upper = body.drawn(0.55, 1.0)  # towards the apex lungs are small and apart
    middle = body.drawn(0.08, 0.2)
    air = body.drawn(-920, -720)
    row = body.drawn(-0.1, 0.1)
    for sign in (-1, 1):
        wide = (room - middle) / 2 * upper
        lung = body.inside(
            sign * (middle + wide * body.drawn(0.9, 1.15)),
            row + body.drawn(-0.06, 0.06),
            wide,
            room * upper * body.drawn(0.75, 0.98),
            body.drawn(1.7, 2.6),
            sign * body.drawn(-0.25, 0.25),
        )
        vessels = torch.where(body.noise > body.drawn(1.6, 2.6), blood - air, 0.0)
        body.paint(lung & chest, air + vessels * 0.6)
    heart = body.inside(
        body.drawn(-0.1, 0.25),
        body.drawn(-0.45, 0.05),
        body.drawn(0.12, 0.45),
        body.drawn(0.12, 0.4),
        body.drawn(1.8, 2.4),
        body.drawn(-0.5, 0.8),
    )
    body.paint(heart & chest, blood * body.drawn(0.7, 1.0))
    dome = body.inside(body.drawn(-0.6, -0.25), body.drawn(-0.3, 0.1), body.drawn(0.1, 0.33), 0.3)
    body.paint(dome & chest & body.often(domes), body.drawn(45, 110))  # the liver below the dome
    trachea = body.inside(0.0, body.drawn(-0.2, 0.15), 0.06, 0.07)
    body.paint(trachea & chest & body.often(0.4), -950.0)
    aorta = body.inside(body.drawn(0.05, 0.2), body.drawn(0.15, 0.4), body.drawn(0.06, 0.11), 0.1)
    body.paint(aorta & chest, blood)


def _abdomen(body: _Slices, belly: Tensor, fat: Tensor, blood: Tensor) -> None:
    room = 1 - fat - body.drawn(0.08, 0.16)
    inner = body.inside(0, -0.08, room, room * body.drawn(0.75, 0.95), 2.3) & belly
    body.paint(inner, body.drawn(-110, 40))
    level = body.drawn(30, 60)
    for _ in range(9):  # bowel, some of it with gas, and whatever lies between
        column, row = body.drawn(-0.65, 0.65), body.drawn(-0.7, 0.3)
        size, turn = body.drawn(0.08, 0.26), body.drawn(0, math.pi)
        loop = body.inside(column, row, size, size * body.drawn(0.4, 1.0), 2.0, turn) & inner
        body.paint(loop & body.often(0.8), level * body.drawn(0.6, 1.4))
        gas = body.inside(column, row - 0.03, size * 0.6, size * body.drawn(0.15, 0.5)) & inner
        body.paint(gas & body.often(0.2), -950.0)
    liver = body.inside(
        body.drawn(-0.65, -0.3),
        body.drawn(-0.35, 0.1),
        body.drawn(0.25, 0.6),
        body.drawn(0.25, 0.6),
        body.drawn(1.8, 2.6),
        body.drawn(-0.4, 0.4),
    )
    body.paint(liver & inner & body.often(0.55), body.drawn(45, 120))
    spleen = body.inside(body.drawn(0.45, 0.65), body.drawn(-0.1, 0.25), 0.17, body.drawn(0.15, 0.35))
    body.paint(spleen & inner & body.often(0.45), body.drawn(45, 130))
    kidneys = body.often(0.5)
    for sign in (-1, 1):
        kidney = body.inside(sign * body.drawn(0.3, 0.5), body.drawn(0.15, 0.4), body.drawn(0.09, 0.15), 0.16)
        body.paint(kidney & inner & kidneys, body.drawn(30, 220))
    aorta = body.inside(body.drawn(-0.05, 0.12), body.drawn(0.1, 0.3), body.drawn(0.05, 0.09), 0.08)
    body.paint(aorta & belly & body.often(0.8), blood)
    pelvis = body.often(0.3) & belly
    for sign in (-1, 1):
        wing = body.inside(
            sign * body.drawn(0.4, 0.6),
            body.drawn(0.0, 0.4),
            body.drawn(0.04, 0.1),
            body.drawn(0.2, 0.4),
            2.0,
            -sign * body.drawn(0.2, 0.9),
        )
        body.paint(wing & pelvis, body.drawn(200, 600))


def _bones(body: _Slices, fat: Tensor, chest: Tensor) -> None:
    dense = body.drawn(180, 550)
    row = body.drawn(0.4, 0.6)
    body.paint(body.inside(0, row, body.drawn(0.12, 0.2), body.drawn(0.12, 0.18)), dense)
    body.paint(body.inside(0, row + 0.17, 0.05, 0.05), 30.0)
    for sign in (-1, 1):
        body.paint(body.inside(sign * 0.09, row + 0.2, 0.1, 0.035, 2.0, sign * 0.5), dense)
    body.paint(body.inside(0, row + 0.28, 0.03, 0.09), dense)
    body.paint(chest & body.inside(0, -(1 - fat) * 0.9, body.drawn(0.08, 0.2), 0.05), dense * 0.6)
    ring = 1 - fat - body.drawn(0.03, 0.09)
    shown = chest | body.often(0.3)
    for n in range(7):
        for sign in (-1, 1):
            angle = (n + 0.5) * math.pi / 7 + body.drawn(-0.15, 0.15)
            along = body.drawn(0.06, 0.14)
            rib = body.inside(
                sign * ring * body.torch.sin(angle),
                -ring * body.torch.cos(angle),
                along,
                body.drawn(0.025, 0.05),
                2.0,
                sign * angle,
            )
            body.paint(rib & shown & body.often(0.75), dense * body.drawn(0.7, 1.5))
