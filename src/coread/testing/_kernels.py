"""Compiled loops of the phantoms and of the simulated scanner; plain arrays in and out.

All release the interpreter lock, so that slices can be worked on by threads. Patient coordinates are
LPS millimetres (x to the left, y to the back, z to the head).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]

OUTSIDE, RIGHT_LUNG, LEFT_LUNG, AIRWAYS, NODULE = 0, 1, 2, 3, 4

# places in the vector of anatomical settings (see `coread.testing.thorax`)
SCALE_X, SCALE_Y, SCALE_Z, FAT_MM, BREAST, EMPHYSEMA, EMPHYSEMA_HU = range(7)
CONSOLIDATION, CONSOLIDATION_X, CONSOLIDATION_Y, CONSOLIDATION_Z, CONSOLIDATION_R = range(7, 12)
HEART_SIZE, SETTINGS = 12, 13


@njit(cache=True, nogil=True, fastmath=True)
def _cover(distance: float, width: float) -> float:
    """Return the covered part of a voxel whose centre lies `distance` from a surface (inside < 0)."""
    return min(max(0.5 - distance / width, 0.0), 1.0)


@njit(cache=True, nogil=True, fastmath=True)
def _smooth_max(a: float, b: float, k: float) -> float:
    return 0.5 * (a + b + math.sqrt((a - b) ** 2 + k * k))


@njit(cache=True, nogil=True, fastmath=True)
def _radial(x: float, y: float, a: float, b: float) -> float:
    """Return the distance along the radius from a superellipse of order 2.5, negative inside."""
    r = math.sqrt(x * x + y * y)
    if r < 1e-3:
        return -min(a, b)
    u, v = abs(x) / a, abs(y) / b
    q = u * u * math.sqrt(u) + v * v * math.sqrt(v)
    if q > 1.5:
        return 0.15 * r  # far outside: the sign is enough
    return r * (1.0 - math.pow(q, -0.4))


@njit(cache=True, nogil=True, fastmath=True)
def _ellipsoid(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    q = math.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    return (q - 1.0) * min(a, b, c)


@njit(cache=True, nogil=True, fastmath=True)
def _noise(lattice: Any, x: float, y: float, z: float, scale_mm: float) -> float:
    """Return smooth noise of unit order: a periodic lattice of random values, interpolated."""
    n = lattice.shape[0]
    x, y, z = x / scale_mm + 4096.0, y / scale_mm + 4096.0, z / scale_mm + 4096.0
    i, j, k = int(x), int(y), int(z)
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3 - 2 * u), v * v * (3 - 2 * v), w * w * (3 - 2 * w)
    i0, j0, k0 = i % n, j % n, k % n
    i1, j1, k1 = (i + 1) % n, (j + 1) % n, (k + 1) % n
    lower = (lattice[k0, j0, i0] * (1 - u) + lattice[k0, j0, i1] * u) * (1 - v) + (
        lattice[k0, j1, i0] * (1 - u) + lattice[k0, j1, i1] * u
    ) * v
    upper = (lattice[k1, j0, i0] * (1 - u) + lattice[k1, j0, i1] * u) * (1 - v) + (
        lattice[k1, j1, i0] * (1 - u) + lattice[k1, j1, i1] * u
    ) * v
    return float(lower * (1 - w) + upper * w)


@njit(cache=True, nogil=True, fastmath=True)
def cavity_axes(z: float) -> tuple[float, float]:
    """Return the half axes (left-right, front-back) of the chest cavity at height z, in mm."""
    if z > 0.0:
        t = min(z / 132.0, 0.9999)
        f = math.sqrt(1.0 - t**2.6)
        return max(128.0 * f, 4.0), max(86.0 * f**0.85, 4.0)
    return 128.0 + 5.0 * min(-z / 120.0, 1.0), 86.0 + 5.0 * min(-z / 120.0, 1.0)


@njit(cache=True, nogil=True, fastmath=True)
def _body_axes(z: float) -> tuple[float, float]:
    a, b = 163.0, 114.0
    if z > 30.0:
        t = min((z - 30.0) / 80.0, 1.0)
        a, b = a + 8.0 * t, b - 16.0 * t
    if z > 110.0:
        t = min((z - 110.0) / 55.0, 1.0)
        t = t * t * (3 - 2 * t)
        a, b = a + (66.0 - a) * t, b + (64.0 - b) * t
    return a, b


@njit(cache=True, nogil=True, fastmath=True)
def _spine_y(z: float) -> float:
    """Return how far back the axis of the vertebral bodies lies (kyphosis), in mm."""
    return 66.0 - 16.0 * (z / 130.0) ** 2 if z > 0 else 66.0 - 12.0 * (z / 130.0) ** 2


@njit(cache=True, nogil=True, fastmath=True)
def _dome(x: float, y: float) -> float:
    """Return the height of the diaphragm, in mm."""
    if x < 0.0:
        top, cx, cy = -58.0, -66.0, -8.0
    else:
        top, cx, cy = -67.0, 70.0, -6.0
    rx = 72.0 if abs(x) > abs(cx) else 115.0  # deep at the side and the back, shallow elsewhere
    ry = 90.0 if y > cy else 125.0
    return top - 74.0 * (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2)


@njit(cache=True, nogil=True, fastmath=True)
def _heart(x: float, y: float, z: float, size: float) -> float:
    """Return the distance from the heart: two ellipsoids, the apex to the left and front."""
    dx, dy, dz = x - 26.0, y + 26.0, z + 50.0
    u, v = dx * 0.83 - dz * 0.56, dx * 0.56 + dz * 0.83
    left = _ellipsoid(u, dy, v, 62.0 * size, 47.0 * size, 46.0 * size)
    right = _ellipsoid(x + 12.0, y + 20.0, z + 42.0, 38.0 * size, 40.0 * size, 50.0 * size)
    return min(left, right)


@njit(cache=True, nogil=True, fastmath=True)
def _lung(x: float, y: float, z: float, heart_size: float, wall: float) -> float:
    """Return the distance from the lungs in reference coordinates (inside < 0), given the cavity's."""
    middle = 8.0 + 17.0 / (1.0 + math.exp(-(y + 46.0) / 10.0))  # thin in front
    middle -= 6.0 / (1.0 + math.exp(-(z - 62.0) / 10.0)) - 0.04 * min(z, 0.0)
    if x > 0.0:  # arch of the aorta
        middle += 7.0 * math.exp(-(((z - 42.0) / 15.0) ** 2) - ((y - 18.0) / 34.0) ** 2)
    else:  # superior vena cava
        middle += 6.0 * math.exp(-(((y + 18.0) / 20.0) ** 2))
    spine = y - _spine_y(z)
    middle += max(20.0 - middle, 0.0) * math.exp(-((spine / 25.0) ** 2))  # the vertebral bodies
    s = _smooth_max(wall, middle - abs(x - 2.0), 6.0)
    s = _smooth_max(s, 0.8 * (_dome(x, y) - z), 6.0)
    return _smooth_max(s, 4.0 - _heart(x, y, z, heart_size), 6.0)


@njit(cache=True, nogil=True, fastmath=True)
def lung_distance(points: Any, heart_size: float, out: Any) -> None:
    """Write the distance of reference points (n, 3 as x, y, z) from the lung surface, inside < 0."""
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        a, b = cavity_axes(z)
        out[n] = _lung(x, y, z, heart_size, _radial(x, y, a, b))


@njit(cache=True, nogil=True, fastmath=True)
def _organs(
    x: float, y: float, z: float, w: float, p: Any, lattice: Any, body: Any, cage: Any
) -> tuple[float, int]:
    """Return HU and label at a point in reference coordinates, vessels and bones left out.

    `body` and `cage`: half axes of the skin and of the chest cavity at this height.
    """
    skin = _radial(x, y - 2.0, body[0], body[1])
    if p[BREAST] > 0.0:
        breast = _ellipsoid(abs(x) - 78.0, y + 98.0, z + 30.0, 56.0, 34.0 * p[BREAST], 56.0)
        skin = min(skin, breast)
    if skin > w:
        return -1000.0, OUTSIDE
    cavity = _radial(x, y, cage[0], cage[1])
    coarse = _noise(lattice, x, y, z, 14.0)
    depth = -skin
    # from the skin to the ribs
    fat = -102.0 + 6.0 * coarse
    muscle = 52.0 + 4.0 * coarse
    fat_mm = p[FAT_MM] * (1.0 + 0.25 * coarse) + 2.5
    hu = fat + (muscle - fat) * _cover(fat_mm - depth, 1.5)
    if p[BREAST] > 0.0 and y < -70.0 and depth > 8.0:
        gland = _cover(0.15 - coarse - depth / 120.0, 0.4)
        if cavity > 22.0:
            hu = hu + (38.0 - hu) * gland
    if cavity > 26.0 and depth > fat_mm + 12.0:  # fat planes between the muscles of the shoulder
        hu = hu + (fat - hu) * _cover(0.12 - abs(_noise(lattice, x + 50, y, z * 0.6, 24.0)), 0.1)
    hu = 25.0 + (hu - 25.0) * _cover(2.0 - depth, 1.0)
    hu = -1000.0 + (hu + 1000.0) * _cover(skin, w)
    if cavity > 3.0:
        return hu, OUTSIDE
    # inside the ribs: mediastinum above the diaphragm, liver, spleen and stomach below
    dome = _dome(x, y)
    inner = -85.0 + 12.0 * coarse
    thymus = _noise(lattice, x, y + 30.0, z, 22.0)
    inner = inner + (30.0 - inner) * _cover(0.25 - thymus, 0.2) * 0.6
    heart = _heart(x, y, z, p[HEART_SIZE])
    inner = inner + (42.0 + 3.0 * coarse - inner) * _cover(heart, 1.2)
    below = dome - z
    if below > 0.0:
        organ = fat
        liver = _ellipsoid(x + 62.0, y + 4.0, z + 140.0, 118.0, 84.0, 90.0)
        organ = organ + (58.0 + 3.0 * coarse - organ) * _cover(liver, w)
        spleen = _ellipsoid(x - 98.0, y - 38.0, z + 118.0, 26.0, 40.0, 48.0)
        organ = organ + (50.0 - organ) * _cover(spleen, w)
        stomach = _ellipsoid(x - 62.0, y + 18.0, z + 112.0, 40.0, 44.0, 40.0)
        organ = organ + (18.0 - organ) * _cover(stomach, w)
        gas = max(stomach + 5.0, y + 38.0)  # rises to the front in the patient who lies
        organ = organ + (-990.0 - organ) * _cover(gas, w)
        organ = 50.0 + (organ - 50.0) * _cover(3.0 - below * 0.8, w)  # the diaphragm itself
        inner = inner + (organ - inner) * _cover(-below, w)
    hu = inner + (hu - inner) * _cover(-cavity, 1.5)
    lung = _lung(x, y, z, p[HEART_SIZE], cavity)
    if lung > w:
        return hu, OUTSIDE
    fine = _noise(lattice, x + 300.0, y, z, 2.6)
    air = -862.0 + 0.28 * y + 14.0 * fine + 10.0 * coarse
    if p[EMPHYSEMA] > 0.0:
        upper = 1.0 / (1.0 + math.exp(-(z - 15.0) / 28.0))
        patch = 0.75 * _noise(lattice, x, y + 700.0, z, 17.0) + 0.2 * _noise(lattice, x, y, z + 900.0, 8.0)
        limit = 1.0 - 1.5 * p[EMPHYSEMA] * upper
        limit += 1.5 * _cover(-lung - 4.0, 3.0)  # the centre of the lobules, not under the pleura
        air = air + (p[EMPHYSEMA_HU] - air) * _cover(limit - patch, 0.7)
    if p[CONSOLIDATION] > 0.0:
        dx, dy, dz = x - p[CONSOLIDATION_X], y - p[CONSOLIDATION_Y], z - p[CONSOLIDATION_Z]
        far = math.sqrt(dx * dx + dy * dy + dz * dz) / p[CONSOLIDATION_R]
        far += 0.25 * _noise(lattice, x, y, z, 18.0) + 0.12 * fine
        solid = 15.0 + 30.0 * fine
        air = air + (solid - air) * p[CONSOLIDATION] * _cover(far - 0.9, 0.45)
    hu = hu + (air - hu) * _cover(lung, w)
    if lung > 0.0:
        return hu, OUTSIDE
    return hu, RIGHT_LUNG if x < 0.0 else LEFT_LUNG


@njit(cache=True, nogil=True, fastmath=True)
def fill_organs(
    hu: Any, label: Any, xs: Any, ys: Any, zs: Any, settings: Any, lattice: Any, width_mm: float
) -> None:
    """Fill (slices, rows, columns) arrays of HU and label from the coordinates of their axes."""
    sx, sy, sz = settings[SCALE_X], settings[SCALE_Y], settings[SCALE_Z]
    for k in range(zs.shape[0]):
        z = zs[k] / sz
        body, cage = _body_axes(z), cavity_axes(z)
        for j in range(ys.shape[0]):
            for i in range(xs.shape[0]):
                value, name = _organs(xs[i] / sx, ys[j] / sy, z, width_mm, settings, lattice, body, cage)
                hu[k, j, i] = value
                label[k, j, i] = name


@njit(cache=True, nogil=True, fastmath=True)
def paint_capsules(
    hu: Any,
    label: Any,
    xs: Any,
    ys: Any,
    zs: Any,
    start: Any,
    end: Any,
    radius: Any,
    value: Any,
    name: Any,
    where: Any,
    width_mm: float,
) -> None:
    """Paint rods with round ends, in their order, over (slices, rows, columns) arrays.

    `start`, `end` (n, 3) in mm and `radius` (n, 2) at both ends; a sphere starts where it ends.
    `name` becomes the label where a voxel is at least half covered: 0 leaves it, -1 makes it 0. `where`:
    0 paints everywhere, 1 in the lungs only, 2 there but not in lung that emphysema has destroyed.
    """
    dx, dy, dz = xs[1] - xs[0], ys[1] - ys[0], 1.0
    if zs.shape[0] > 1:
        dz = zs[1] - zs[0]
    nz, ny, nx = hu.shape
    for n in range(start.shape[0]):
        x0, y0, z0 = start[n, 0], start[n, 1], start[n, 2]
        ax, ay, az = end[n, 0] - x0, end[n, 1] - y0, end[n, 2] - z0
        r0, r1 = radius[n, 0], radius[n, 1]
        reach = max(r0, r1) + width_mm
        k0 = max(math.floor((min(z0, z0 + az) - reach - zs[0]) / dz), 0)
        k1 = min(math.ceil((max(z0, z0 + az) + reach - zs[0]) / dz) + 1, nz)
        if k0 >= k1:
            continue
        j0 = max(math.floor((min(y0, y0 + ay) - reach - ys[0]) / dy), 0)
        j1 = min(math.ceil((max(y0, y0 + ay) + reach - ys[0]) / dy) + 1, ny)
        i0 = max(math.floor((min(x0, x0 + ax) - reach - xs[0]) / dx), 0)
        i1 = min(math.ceil((max(x0, x0 + ax) + reach - xs[0]) / dx) + 1, nx)
        length2 = ax * ax + ay * ay + az * az
        for k in range(k0, k1):
            for j in range(j0, j1):
                for i in range(i0, i1):
                    px, py, pz = xs[i] - x0, ys[j] - y0, zs[k] - z0
                    t = 0.0
                    if length2 > 1e-9:
                        t = min(max((px * ax + py * ay + pz * az) / length2, 0.0), 1.0)
                    qx, qy, qz = px - t * ax, py - t * ay, pz - t * az
                    d = math.sqrt(qx * qx + qy * qy + qz * qz) - (r0 + t * (r1 - r0))
                    c = _cover(d, width_mm)
                    if c <= 0.0:
                        continue
                    old = label[k, j, i]
                    if where[n] > 0 and old not in (RIGHT_LUNG, LEFT_LUNG, NODULE):
                        continue
                    if where[n] == 2 and hu[k, j, i] < -940.0:
                        continue
                    hu[k, j, i] += (value[n] - hu[k, j, i]) * c
                    if name[n] != 0 and c >= 0.5:
                        label[k, j, i] = max(name[n], 0)


@njit(cache=True, nogil=True, fastmath=True)
def project_slices(image: Any, transposed: Any, cosines: Any, sines: Any, sinogram: Any) -> None:
    """Write the parallel-beam line integrals of square images, in pixels (Joseph's method).

    `image` (n, n, slices): slices side by side in memory, because all of them take the same way through
    the grid; `transposed` its contiguous transpose of rows and columns; `sinogram` (views, detectors,
    slices), detector pitch one pixel, centred like the image; all float32.
    Joseph PM. IEEE Trans Med Imaging 1982;1:192-196.
    """
    n = image.shape[0]
    views, detectors = sinogram.shape[:2]
    middle = (n - 1) / 2.0
    centre = (detectors - 1) / 2.0
    for v in range(views):
        c, s = cosines[v], sines[v]
        line = sinogram[v]
        line[:] = 0.0
        # detector u sees the line x * c + y * s = u - centre; step along its steeper axis
        if abs(c) >= abs(s):
            picture, main, other = image, c, s
        else:
            picture, main, other = transposed, s, c
        slope = 1.0 / main
        for j in range(n):
            row = picture[j]
            first = (-centre - (j - middle) * other) * slope + middle
            at_zero, at_end = -first / slope, (n - 1 - first) / slope
            u0 = max(math.ceil(min(at_zero, at_end) + 1e-6), 0)
            u1 = min(math.floor(max(at_zero, at_end) - 1e-6) + 1, detectors)
            for u in range(u0, u1):
                x = first + u * slope
                i = int(x)
                f = np.float32(x - i)
                g = np.float32(1.0) - f
                to, one, two = line[u], row[i], row[i + 1]
                for b in range(to.shape[0]):
                    to[b] += g * one[b] + f * two[b]
        length = np.float32(abs(slope))
        for u in range(detectors):
            for b in range(line.shape[1]):
                line[u, b] *= length


@njit(cache=True, nogil=True, fastmath=True)
def backproject_slices(filtered: Any, cosines: Any, sines: Any, image: Any) -> None:
    """Write the mean over views of filtered projections (views, detectors, slices) times pi.

    `image` (n, n, slices); pixels outside the inscribed circle become 0; all float32.
    """
    n = image.shape[0]
    views, detectors = filtered.shape[:2]
    middle = (n - 1) / 2.0
    centre = (detectors - 1) / 2.0
    radius = min(n / 2.0, detectors / 2.0 - 2.0)
    scale = np.float32(math.pi / views)
    for j in range(n):
        y = j - middle
        half = math.sqrt(max(radius * radius - y * y, 0.0))
        i0, i1 = max(math.ceil(middle - half), 0), min(int(middle + half) + 1, n)
        row = image[j]
        row[:] = 0.0
        for v in range(views):
            step = cosines[v]
            line = filtered[v]
            first = y * sines[v] - middle * step + centre
            for i in range(i0, i1):
                t = first + i * step
                u = int(t)
                f = np.float32(t - u)
                g = np.float32(1.0) - f
                to, one, two = row[i], line[u], line[u + 1]
                for b in range(to.shape[0]):
                    to[b] += g * one[b] + f * two[b]
        for i in range(i0, i1):
            for b in range(row.shape[1]):
                row[i, b] *= scale


@njit(cache=True, nogil=True, fastmath=True)
def cone_beam(
    planes: Any,
    x0: float,
    z0: float,
    step_mm: float,
    depths_mm: Any,
    source_to_detector_mm: float,
    us: Any,
    vs: Any,
    out: Any,
) -> None:
    """Add up coronal planes along the rays from a point source to a flat detector.

    `planes` (depths, heights, widths) with square pixels `step_mm` and the first pixel at x0, z0;
    `depths_mm` distance of each plane from the source; `us` (evenly spaced) and `vs` detector coordinates
    in mm; `out` (len(vs), len(us)). The obliquity of the rays is left out (below 1 % for chest films).
    """
    depths, heights, widths = planes.shape
    for r in range(vs.shape[0]):
        line = out[r]
        for d in range(depths):
            scale = depths_mm[d] / source_to_detector_mm
            fz = (vs[r] * scale - z0) / step_mm
            k = math.floor(fz)
            if k < 0 or k >= heights - 1:
                continue
            g = np.float32(fz - k)
            slope = np.float32(us[1] - us[0]) * np.float32(scale / step_mm)
            start = np.float32((us[0] * scale - x0) / step_mm)
            c0 = max(math.ceil(-start / slope), 0)
            c1 = min(math.floor((widths - 1.001 - start) / slope) + 1, us.shape[0])
            upper, lower = planes[d, k], planes[d, k + 1]
            for c in range(c0, c1):
                fx = start + np.float32(c) * slope
                i = np.int32(fx)
                f = fx - np.float32(i)
                a = upper[i] + f * (upper[i + 1] - upper[i])
                b = lower[i] + f * (lower[i + 1] - lower[i])
                line[c] += a + g * (b - a)
