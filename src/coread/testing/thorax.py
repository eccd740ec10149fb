"""A simulated chest with known truth, from which CT and radiographs are made.

The anatomy is drawn from closed shapes (superellipses, ellipsoids, tapered rods) in LPS millimetres,
z = 0 at the middle of the chest; vessels and bronchi grow towards random points of each lung with radii
by Murray's law. Everything follows from the settings and the seed. It looks like a chest and is none:
sizes are typical, not measured on anyone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coread.errors import InputError
from coread.testing import _kernels

Progress = Callable[[float], None]
Floats = NDArray[np.float64]

RIGHT_LUNG = _kernels.RIGHT_LUNG
LEFT_LUNG = _kernels.LEFT_LUNG
AIRWAYS = _kernels.AIRWAYS
NODULE = _kernels.NODULE


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodule:
    """A round, solid nodule.

    Attributes:
        centre_mm: LPS millimetres.
        diameter_mm: Of the sphere.
        hu: Its density.
    """

    centre_mm: tuple[float, float, float]
    diameter_mm: float
    hu: float = 35.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidation:
    """An ill-defined opacity, about round.

    Attributes:
        centre_mm: LPS millimetres.
        radius_mm: Of the half-way density.
        density: 1 fills the air spaces, 0.3 is a faint veil.
    """

    centre_mm: tuple[float, float, float]
    radius_mm: float
    density: float = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class Thorax:
    """What the simulated patient is like.

    Attributes:
        sex: Breasts, size and the layer of fat.
        size: Of the whole chest, 1 for the average of the sex; 0.85 to 1.12.
        fat_mm: Thickness of the fat under the skin.
        emphysema: 0 (none) to 1 (most of the upper lobes).
        emphysema_hu: Density of destroyed lung.
        heart_size: 1 is normal; 1.25 an enlarged heart.
        nodules: Round nodules.
        consolidation: One opacity, or None.
        arms: ``raised`` as for CT, or ``down`` as for a chest film.
        seed: Of the vessels, bronchi and textures.
    """

    sex: Literal["F", "M"] = "M"
    size: float = 1.0
    fat_mm: float = 12.0
    emphysema: float = 0.0
    emphysema_hu: float = -992.0
    heart_size: float = 1.0
    nodules: tuple[Nodule, ...] = ()
    consolidation: Consolidation | None = None
    arms: Literal["raised", "down"] = "raised"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.85 <= self.size <= 1.12:
            raise InputError(f"size is {self.size}; give a factor of 0.85 to 1.12")
        if not 0.0 <= self.emphysema <= 1.0:
            raise InputError(f"emphysema is {self.emphysema}; give 0 (none) to 1")

    @property
    def scale(self) -> tuple[float, float, float]:
        """Factors of x, y and z from the reference anatomy to this patient."""
        body = 0.92 if self.sex == "F" else 1.0
        return body * self.size, body * self.size, (0.94 if self.sex == "F" else 1.0) * self.size


@dataclass(frozen=True, slots=True, eq=False)
class VoxelThorax:
    """The simulated chest on a grid.

    Attributes:
        hu: (slices, rows, columns) float32, slices from the feet to the head, rows to the back,
            columns to the patient's left.
        label: uint8 of the same shape: 0 else, 1 right lung, 2 left lung, 3 airways outside and inside
            the lungs, 4 nodules (which belong to the lungs).
        spacing_mm: Of slices, rows and columns.
        origin_mm: LPS centre of voxel (0, 0, 0).
    """

    hu: NDArray[np.float32]
    label: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    def lung(self, side: Literal["right", "left", "both"] = "both") -> NDArray[np.bool_]:
        """Return the voxels of one or both lungs, nodules and vessels included."""
        x = self.origin_mm[0] + self.spacing_mm[2] * np.arange(self.hu.shape[2])
        nodule = self.label == NODULE
        right: NDArray[np.bool_] = (self.label == RIGHT_LUNG) | (nodule & (x < 0.0))
        left: NDArray[np.bool_] = (self.label == LEFT_LUNG) | (nodule & (x >= 0.0))
        return {"right": right, "left": left, "both": right | left}[side]

    def low_attenuation(self, threshold_hu: float = -950.0) -> NDArray[np.bool_]:
        """Return the lung voxels strictly below a density, without noise."""
        below: NDArray[np.bool_] = self.lung() & (self.hu < threshold_hu)
        return below


@dataclass(slots=True)
class _Rods:
    """Tapered rods in the order in which they are painted."""

    start: list[Floats] = field(default_factory=list)
    end: list[Floats] = field(default_factory=list)
    radius: list[tuple[float, float]] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    name: list[int] = field(default_factory=list)
    where: list[int] = field(default_factory=list)

    def add(
        self,
        start: Floats,
        end: Floats,
        radius: tuple[float, float],
        value: float,
        *,
        name: int = -1,
        where: int = 0,
    ) -> None:
        self.start.append(np.asarray(start, dtype=float))
        self.end.append(np.asarray(end, dtype=float))
        self.radius.append(radius)
        self.value.append(value)
        self.name.append(name)
        self.where.append(where)

    def chain(self, points: Floats, radius: float, value: float, *, name: int = -1) -> None:
        for a, b in itertools.pairwise(points):
            self.add(a, b, (radius, radius), value, name=name)


def voxelise(
    thorax: Thorax,
    *,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    origin_mm: tuple[float, float, float] | None = None,
    oversampling: int = 2,
    jobs: int = 1,
    progress: Progress | None = None,
) -> VoxelThorax:
    """Return the chest on an axial grid.

    Args:
        thorax: What the patient is like.
        shape: (slices, rows, columns).
        spacing_mm: Of slices, rows and columns.
        origin_mm: LPS centre of voxel (0, 0, 0); by default the grid is centred on the chest.
        oversampling: Thin planes averaged into one slice (partial volume along z).
        jobs: Threads.
        progress: Called with the done part, 0 to 1.

    Raises:
        InputError: A shape or spacing is not positive.
    """
    if min(shape) < 2 or min(spacing_mm) <= 0.0 or oversampling < 1:
        raise InputError(f"cannot make a grid of shape {shape} and spacing {spacing_mm} mm")
    if origin_mm is None:
        z0, y0, x0 = (-0.5 * (n - 1) * step for n, step in zip(shape, spacing_mm, strict=True))
        origin_mm = (x0, y0, z0)
    xs = origin_mm[0] + spacing_mm[2] * np.arange(shape[2])
    ys = origin_mm[1] + spacing_mm[1] * np.arange(shape[1])
    centres = origin_mm[2] + spacing_mm[0] * np.arange(shape[0])
    within = (np.arange(oversampling) - (oversampling - 1) / 2.0) * spacing_mm[0] / oversampling
    rng = np.random.default_rng(thorax.seed)
    lattice = rng.uniform(-1.0, 1.0, (32, 32, 32)).astype(np.float32)
    settings = _settings(thorax)
    rods = _anatomy(thorax, rng)
    painted = (
        np.array(rods.start),
        np.array(rods.end),
        np.array(rods.radius),
        np.array(rods.value),
        np.array(rods.name, dtype=np.int64),
        np.array(rods.where),
    )
    width = min(spacing_mm[1], spacing_mm[2])
    hu = np.empty(shape, dtype=np.float32)
    label = np.empty(shape, dtype=np.uint8)
    block = 4
    starts = range(0, shape[0], block)

    def fill(k0: int) -> None:
        k1 = min(k0 + block, shape[0])
        zs = (centres[k0:k1, None] + within).ravel()
        part = np.empty((zs.size, shape[1], shape[2]), dtype=np.float32)
        names = np.empty(part.shape, dtype=np.uint8)
        _kernels.fill_organs(part, names, xs, ys, zs, settings, lattice, width)
        _kernels.paint_capsules(part, names, xs, ys, zs, *painted, width)
        stacked = part.reshape(k1 - k0, oversampling, *part.shape[1:])
        hu[k0:k1] = stacked.mean(axis=1)
        label[k0:k1] = names[oversampling // 2 :: oversampling]

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for done, _ in enumerate(pool.map(fill, starts), start=1):
            if progress is not None:
                progress(done / len(starts))
    return VoxelThorax(hu, label, spacing_mm, origin_mm)


def _settings(thorax: Thorax) -> Floats:
    settings = np.zeros(_kernels.SETTINGS)
    settings[_kernels.SCALE_X : _kernels.SCALE_Z + 1] = thorax.scale
    settings[_kernels.FAT_MM] = thorax.fat_mm
    if thorax.sex == "F":  # pressed flat against the detector when the arms are down
        settings[_kernels.BREAST] = 0.45 if thorax.arms == "down" else 1.0
    settings[_kernels.EMPHYSEMA] = thorax.emphysema
    settings[_kernels.EMPHYSEMA_HU] = thorax.emphysema_hu
    settings[_kernels.HEART_SIZE] = thorax.heart_size
    if thorax.consolidation is not None:
        opacity = thorax.consolidation
        settings[_kernels.CONSOLIDATION] = opacity.density
        settings[_kernels.CONSOLIDATION_X : _kernels.CONSOLIDATION_Z + 1] = np.divide(
            opacity.centre_mm, thorax.scale
        )
        settings[_kernels.CONSOLIDATION_R] = opacity.radius_mm / np.mean(thorax.scale)
    return settings


def _anatomy(thorax: Thorax, rng: np.random.Generator) -> _Rods:
    """Return bones, great vessels, trees and nodules in patient millimetres."""
    rods = _Rods()
    _add_great_vessels(rods)
    _add_bones(rods)
    _add_shoulders(rods, arms_down=thorax.arms == "down")
    for side in (-1.0, 1.0):
        hilum = np.array([side * 30.0, 4.0, 6.0 if side < 0 else 12.0])
        for k in range(2):  # arteries and veins
            root = hilum + np.array([-side * 8.0, -6.0 + 12.0 * k, -14.0 * k])
            _grow(rods, rng, side, root, thorax.heart_size, leaves=420, tip_mm=0.52)
    _add_airways(rods, rng, thorax.heart_size)
    scale = np.array(thorax.scale)
    mean = float(np.mean(scale))
    rods.start = [point * scale for point in rods.start]
    rods.end = [point * scale for point in rods.end]
    rods.radius = [(a * mean, b * mean) for a, b in rods.radius]
    for nodule in thorax.nodules:
        centre = np.array(nodule.centre_mm)
        r = nodule.diameter_mm / 2.0
        rods.add(centre, centre, (r, r), nodule.hu, name=NODULE, where=1)
    return rods


def _add_great_vessels(rods: _Rods) -> None:
    blood, wall = 42.0, 45.0
    ascending = np.array([[2, -8, -22], [-12, -22, 5], [-14, -22, 28], [-6, -12, 46], [8, 6, 54]])
    arch = np.array([[8, 6, 54], [18, 24, 52], [24, 38, 40], [25, 42, 20]])
    descending = np.array([[25, 42, 20], [24, 42, -40], [18, 42, -90], [8, 42, -140]])
    rods.chain(ascending.astype(float), 15.0, blood)
    rods.chain(arch.astype(float), 13.5, blood)
    rods.chain(descending.astype(float), 12.0, blood)
    trunk = np.array([[14, -38, -18], [16, -30, 6], [10, -8, 18]], dtype=float)
    rods.chain(trunk, 13.5, blood)
    rods.chain(np.array([[10, -8, 18], [-30, 4, 8]], dtype=float), 10.5, blood)
    rods.chain(np.array([[12, -8, 20], [32, 6, 14]], dtype=float), 11.0, blood)
    rods.chain(np.array([[-22, -14, -30], [-22, -16, 40], [-20, -20, 80]], dtype=float), 9.0, blood)
    rods.chain(np.array([[-20, -20, 78], [24, -32, 96]], dtype=float), 6.5, blood)
    for x, y in ((-14.0, -8.0), (2.0, -10.0), (16.0, 2.0)):  # branches of the arch
        rods.chain(np.array([[x * 0.6, y * 0.6 + 2, 52], [x, y, 88], [x * 2, y, 140]]), 4.8, blood)
    gullet = np.array([[4, 28, 140], [6, 30, 40], [8, 30, -30], [22, 10, -100]], dtype=float)
    rods.chain(gullet, 6.5, wall)
    rods.chain(np.array([[-16, 8, -60], [-16, 4, -140]], dtype=float), 11.0, blood)  # vena cava


def _spine_y(z: float) -> float:
    return 66.0 - (16.0 if z > 0 else 12.0) * (z / 130.0) ** 2


def _add_bones(rods: _Rods) -> None:
    compact, spongy, disc, gristle = 820.0, 210.0, 85.0, 110.0
    pitch = 23.0
    for n in range(-9, 10):  # vertebrae
        z = n * pitch
        y = _spine_y(z)
        for x in (-7.0, 0.0, 7.0):
            low, high = np.array([x, y, z - 5.0]), np.array([x, y, z + 5.0])
            rods.add(low, high, (11.5, 11.5), compact)
        for x in (-7.0, 0.0, 7.0):
            low, high = np.array([x, y, z - 5.0]), np.array([x, y, z + 5.0])
            rods.add(low, high, (9.9, 9.9), spongy)
        gap = z + pitch / 2.0
        for x in (-7.0, 0.0, 7.0):
            place = np.array([x, _spine_y(gap), gap])
            rods.add(place - [0, 0, 0.5], place + [0, 0, 0.5], (10.0, 10.0), disc)
        for side in (-1.0, 1.0):  # arch: pedicle, lamina, transverse process
            pedicle = np.array([side * 11.0, y + 10.0, z + 2.0])
            joint = np.array([side * 13.0, y + 24.0, z])
            rods.add(pedicle, joint, (4.0, 4.0), 450.0)
            rods.add(joint, np.array([0.0, y + 30.0, z - 6.0]), (3.6, 3.6), 480.0)
            rods.add(joint, np.array([side * 31.0, y + 28.0, z + 2.0]), (4.2, 3.2), 400.0)
        tip = np.array([0.0, y + 43.0, z - 20.0])
        rods.add(np.array([0.0, y + 31.0, z - 6.0]), tip, (3.6, 3.0), 420.0)
    canal = np.array([[0.0, _spine_y(z) + 21.0, z] for z in range(-210, 220, 10)])
    rods.chain(canal, 7.5, 20.0)
    bone_points = (24, 24, 24, 24, 24, 24, 24, 21, 21, 21, 16, 16)  # the rest is cartilage
    ribs = [(_rib(side, n), bony) for side in (-1.0, 1.0) for n, bony in enumerate(bone_points)]
    for points, bony in ribs:
        thick = 3.8
        for part, (a, b) in enumerate(itertools.pairwise(points)):
            up = np.array([0.0, 0.0, 2.2])  # ribs are higher than thick
            if part < bony:
                rods.add(a + up, b + up, (thick, thick), compact)
                rods.add(a - up, b - up, (thick, thick), compact)
            else:
                rods.add(a, b, (4.4, 4.4), gristle)
    for points, bony in ribs:
        for a, b in itertools.pairwise(points[: bony + 1]):
            rods.add(a, b, (2.6, 2.6), 330.0)
    for x in (-9.0, 0.0, 9.0):  # breastbone
        body = np.array([[x, -101.0, -42.0], [x, -101.0, 0.0], [x, -94.0, 48.0]])
        rods.chain(body, 5.6, 330.0)
        rods.chain(body, 4.2, 120.0)
    for x in (-18.0, -6.0, 6.0, 18.0):
        top = np.array([[x, -92.0, 54.0], [x * 1.2, -76.0, 88.0]])
        rods.chain(top, 6.0, 330.0)
        rods.chain(top, 4.4, 120.0)


def _rib(side: float, n: int) -> Floats:
    """Return the axis of rib n (0 to 11) from the spine to the front, 31 points."""
    head = 124.0 - 21.5 * n
    drop = (26.0, 40.0, 52.0, 62.0, 70.0, 76.0, 80.0, 76.0, 66.0, 54.0, 34.0, 22.0)[n]
    reach = 1.0 if n < 10 else (0.62 if n == 10 else 0.42)
    points = []
    for t in np.linspace(0.0, 1.0, 31):
        angle = np.deg2rad(74.0 - 148.0 * t * reach)  # from the back over the side to the front
        z = head - drop * (t**1.15) + (24.0 * max(t - 0.75, 0.0) * 4.0 if n in range(5, 10) else 0.0)
        a, b = _kernels.cavity_axes(float(z))
        flat = 2.0 / 2.5
        c, s = np.cos(angle), np.sin(angle)
        x = side * (a + 8.0) * abs(c) ** flat
        y = (b + 8.0) * np.sign(s) * abs(s) ** flat
        if t < 0.1:  # neck of the rib, to the vertebra
            f = t / 0.1
            x = f * x + (1 - f) * side * 19.0
            y = f * y + (1 - f) * (_spine_y(float(z)) + 16.0)
        points.append((x, y, z))
    return np.array(points)


def _add_shoulders(rods: _Rods, *, arms_down: bool) -> None:
    for side in (-1.0, 1.0):
        if arms_down:
            collar = [[20, -76, 92], [60, -72, 100], [105, -38, 108], [150, -16, 112]]
            blade = [[148, 26, 112], [112, 74, 60], [96, 90, -28]]
            edge = [[96, 90, -28], [146, 42, 60], [150, 26, 106]]
            inner = [[112, 74, 60], [100, 72, 104], [104, 84, 20]]
        else:
            collar = [[20, -76, 92], [60, -66, 108], [100, -34, 122], [132, -10, 136]]
            blade = [[132, 30, 126], [126, 60, 80], [124, 68, 15]]
            edge = [[124, 68, 15], [142, 44, 80], [134, 28, 122]]
            inner = [[126, 60, 80], [110, 62, 112], [122, 66, 40]]
        mirror = np.array([side, 1.0, 1.0])
        rods.chain(np.array(collar) * mirror, 6.0, 560.0)
        rods.chain(np.array(collar) * mirror, 3.8, 220.0)
        for line in (blade, edge, inner):
            rods.chain(np.array(line) * mirror, 4.0, 480.0)
        corners = np.array([blade[0], blade[2], inner[1]]) * mirror
        for t in np.linspace(0.05, 0.95, 14):  # the thin plate between the borders
            a = corners[0] + t * (corners[1] - corners[0])
            b = corners[2] + t * (corners[1] - corners[2])
            rods.add(a, b, (1.4, 1.4), 350.0)
        if arms_down:
            head = np.array([170.0, 18.0, 100.0]) * mirror
            rods.add(head, head, (24.0, 24.0), 480.0)
            rods.add(head, head, (22.0, 22.0), 200.0)
            shaft = head + np.array([side * 14.0, 0.0, -150.0])
            rods.add(head, shaft, (14.0, 12.0), 700.0)
            rods.add(head, shaft, (10.0, 7.0), 60.0)


def _lung_points(
    rng: np.random.Generator, side: float, count: int, heart_size: float, *, inset_mm: float
) -> Floats:
    """Return random reference points inside one lung."""
    kept: list[Floats] = []
    total = 0
    while total < count:
        points = rng.uniform((-132.0, -92.0, -132.0), (132.0, 96.0, 130.0), (4 * count, 3))
        points[:, 0] = side * np.abs(points[:, 0])
        distance = _lung_distance(points, heart_size)
        inside = points[distance < -inset_mm]
        kept.append(inside)
        total += len(inside)
    return np.concatenate(kept)[:count]


def _lung_distance(points: Floats, heart_size: float) -> Floats:
    out = np.empty(len(points))
    _kernels.lung_distance(np.ascontiguousarray(points), heart_size, out)
    return out


def _grow(
    rods: _Rods,
    rng: np.random.Generator,
    side: float,
    root: Floats,
    heart_size: float,
    *,
    leaves: int,
    tip_mm: float,
) -> None:
    """Grow a tree of vessels from the hilum towards random points of one lung.

    Each point joins the branch nearest to it, the near points first; a radius follows from the number
    of tips behind it (Murray 1926, exponent 2.7 as measured in pulmonary arteries).
    """
    targets = _lung_points(rng, side, leaves, heart_size, inset_mm=5.0)
    order = np.argsort(np.linalg.norm(targets - root, axis=1))
    nodes, parents = [root], [-1]
    for target in targets[order]:
        known = np.array(nodes)
        towards = np.linalg.norm(known - target, axis=1) + 0.25 * np.linalg.norm(known - root, axis=1)
        parent = int(np.argmin(towards))
        middle = 0.5 * (known[parent] + target) + rng.normal(0.0, 2.0, 3)
        nodes.append(middle)
        parents.append(parent)
        nodes.append(target)
        parents.append(len(nodes) - 2)
    behind = np.ones(len(nodes))
    for n in range(len(nodes) - 1, 0, -1):
        behind[parents[n]] += behind[n]
    radius = np.minimum(tip_mm * (behind / 2.0 + 0.5) ** (1.0 / 2.7), 6.0)
    for n in range(len(nodes) - 1, 0, -1):
        thin, thick = float(radius[n]), float(min(radius[parents[n]], 1.25 * radius[n]))
        rods.add(nodes[parents[n]], nodes[n], (thick, thin), 40.0, name=0, where=1 if thin > 1.3 else 2)


def _add_airways(rods: _Rods, rng: np.random.Generator, heart_size: float) -> None:
    """Add the trachea, main and lobar bronchi and a few generations in the lungs."""
    carina = np.array([0.0, 12.0, 34.0])
    branches: list[tuple[Floats, Floats, float]] = []
    branches.append((np.array([0.0, -4.0, 170.0]), np.array([0.0, 2.0, 120.0]), 8.5))
    branches.append((np.array([0.0, 2.0, 120.0]), carina, 8.5))
    right, left = np.array([-26.0, 16.0, 10.0]), np.array([32.0, 20.0, 8.0])
    branches.append((carina, right, 6.6))
    branches.append((carina, left, 6.0))
    for side, hilum in ((-1.0, right), (1.0, left)):
        ends = [
            hilum + np.array([side * 20.0, -8.0, 26.0]),
            hilum + np.array([side * 18.0, -26.0, -24.0]),
            hilum + np.array([side * 20.0, 18.0, -34.0]),
        ]
        for end in ends:
            branches.append((hilum, end, 3.9))
            near = _lung_points(rng, side, 60, heart_size, inset_mm=12.0)
            near = near[np.argsort(np.linalg.norm(near - end, axis=1))]
            branches.extend((end, target, 2.2) for target in near[4:8])
    for start, stop, r in branches:
        wall = max(0.22 * r, 0.7)
        rods.add(start, stop, (r + wall, 0.85 * r + wall), 42.0, name=0)
    for start, stop, r in branches:
        rods.add(start, stop, (r, 0.85 * r), -990.0, name=AIRWAYS)
