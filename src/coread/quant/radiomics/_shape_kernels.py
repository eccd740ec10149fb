"""Compiled kernels of shape and place: cube configurations, hull candidates, moments, peaks."""

from __future__ import annotations

import numpy as np

from coread.quant.radiomics._typing import Bools, Bytes, Floats, Ints, kernel


@kernel
def cube_configurations(mask: Bytes) -> Ints:
    """Return how often each cube of 2 x 2 x 2 voxels occurs in each layer, (layers, 256).

    Bit 4 dk + 2 dj + di of the configuration is the voxel at (k + dk, j + dj, i + di) of the mask,
    which has a border of zeros.
    """
    depth, height, width = mask.shape
    counts = np.zeros((depth - 1, 256), np.int64)
    for k in range(depth - 1):
        layer = counts[k]
        for j in range(height - 1):
            a, b = mask[k, j], mask[k, j + 1]
            c, d = mask[k + 1, j], mask[k + 1, j + 1]
            code = 0
            for i in range(1, width):
                code = (code >> 1) & 0b01010101
                code |= a[i] * 2 | b[i] * 8 | c[i] * 32 | d[i] * 128
                layer[code] += 1
    return counts


@kernel
def extreme_vertices(mask: Bytes) -> Floats:
    """Return the outermost mesh vertices of every row, column and stack, (n, 3) in voxels.

    The mesh of a mask at 0.5 has its vertices half-way between neighbours inside and outside; the
    convex hull of those returned is that of all. ``mask`` has a border of zeros; positions are
    given in the unpadded box.
    """
    depth, height, width = mask.shape
    points = np.empty((2 * (depth * height + depth * width + height * width), 3), np.float64)
    n = 0
    low = np.full((height, width), -1, np.int64)
    high = np.full((height, width), -1, np.int64)
    for k in range(1, depth - 1):
        top = np.full(width, -1, np.int64)
        bottom = np.full(width, -1, np.int64)
        for j in range(1, height - 1):
            first = last = -1
            for i in range(1, width - 1):
                if mask[k, j, i] != 0:
                    if first < 0:
                        first = i
                    last = i
                    if top[i] < 0:
                        top[i] = j
                    bottom[i] = j
                    if low[j, i] < 0:
                        low[j, i] = k
                    high[j, i] = k
            if first > 0:
                points[n, 0], points[n, 1], points[n, 2] = k, j, first - 0.5
                points[n + 1, 0], points[n + 1, 1], points[n + 1, 2] = k, j, last + 0.5
                n += 2
        for i in range(1, width - 1):
            if top[i] > 0:
                points[n, 0], points[n, 1], points[n, 2] = k, top[i] - 0.5, i
                points[n + 1, 0], points[n + 1, 1], points[n + 1, 2] = k, bottom[i] + 0.5, i
                n += 2
    for j in range(1, height - 1):
        for i in range(1, width - 1):
            if low[j, i] > 0:
                points[n, 0], points[n, 1], points[n, 2] = low[j, i] - 0.5, j, i
                points[n + 1, 0], points[n + 1, 1], points[n + 1, 2] = high[j, i] + 0.5, j, i
                n += 2
    return points[:n] - 1.0


@kernel
def planar_hulls(points: Floats) -> Floats:
    """Return the points on the convex hulls of each plane; ``points`` sorted by plane, row, column.

    Andrew's monotone chain in every plane: a superset of the vertices of the hull in space.
    """
    kept = np.empty((points.shape[0] * 2, 3), np.float64)
    stack = np.empty(points.shape[0], np.int64)
    n = 0
    start = 0
    total = points.shape[0]
    while start < total:
        stop = start
        while stop < total and points[stop, 0] == points[start, 0]:
            stop += 1
        for side in range(2):
            size = 0
            for m in range(start, stop):
                p = m if side == 0 else stop - 1 - (m - start)
                while size >= 2:
                    a, b = stack[size - 2], stack[size - 1]
                    turn = (points[b, 1] - points[a, 1]) * (points[p, 2] - points[a, 2]) - (
                        points[b, 2] - points[a, 2]
                    ) * (points[p, 1] - points[a, 1])
                    if turn > 0:
                        break
                    size -= 1
                stack[size] = p
                size += 1
            for m in range(size):
                kept[n] = points[stack[m]]
                n += 1
        start = stop
    return kept[:n]


@kernel
def index_moments(mask: Bytes) -> Ints:
    """Return count, sums of k, j, i and of kk, jj, ii, kj, ki, ji over a zero-padded mask (10,).

    Indices are those of the unpadded box; whole numbers, hence exact.
    """
    depth, height, width = mask.shape
    sums = np.zeros(10, np.int64)
    for k in range(depth - 2):
        for j in range(height - 2):
            n = si = sii = 0
            row = mask[k + 1, j + 1]
            for i in range(width - 2):
                if row[i + 1] != 0:
                    n += 1
                    si += i
                    sii += i * i
            sums[0] += n
            sums[1] += n * k
            sums[2] += n * j
            sums[3] += si
            sums[4] += n * k * k
            sums[5] += n * j * j
            sums[6] += sii
            sums[7] += n * k * j
            sums[8] += si * k
            sums[9] += si * j
    return sums


@kernel
def central_sums(values: Floats, mean: float, median: float) -> Floats:
    """Return sums of (v - mean)^2, ^3, ^4, |v - mean|, |v - median| and v^2, (6,)."""
    sums = np.zeros(6, np.float64)
    m2 = m3 = m4 = absolute = around_median = square = 0.0
    for n in range(values.size):
        v = values[n]
        d = v - mean
        d2 = d * d
        m2 += d2
        m3 += d2 * d
        m4 += d2 * d2
        absolute += abs(d)
        around_median += abs(v - median)
        square += v * v
    sums[0], sums[1], sums[2] = m2, m3, m4
    sums[3], sums[4], sums[5] = absolute, around_median, square
    return sums


@kernel
def sphere_sums(image: Floats, centres: Bools, rows: Ints, margin: Ints) -> Floats:
    """Return the sum over a sphere around the centres, (slices, rows, columns); 0 in other rows.

    Args:
        image: Box of intensities that reaches ``margin`` voxels beyond the centres.
        centres: (slices, rows, columns), the box without the margin.
        rows: (n, 3): row offsets dk, dj and the half width of the sphere in that row.
        margin: Voxels of margin per axis.
    """
    depth, height, width = centres.shape
    mk, mj, mi = margin[0], margin[1], margin[2]
    full = image.shape[2]
    sums = np.zeros(image.shape[:2] + (full + 1,), np.float64)
    for k in range(image.shape[0]):
        for j in range(image.shape[1]):
            s = 0.0
            for i in range(full):
                s += image[k, j, i]
                sums[k, j, i + 1] = s
    result = np.zeros(centres.shape, np.float64)
    for k in range(depth):
        for j in range(height):
            first = 0
            while first < width and not centres[k, j, first]:
                first += 1
            if first == width:
                continue
            last = width
            while not centres[k, j, last - 1]:
                last -= 1
            total = result[k, j, first:last]
            for r in range(rows.shape[0]):
                row = sums[k + mk + rows[r, 0], j + mj + rows[r, 1]]
                start = first + mi - rows[r, 2]
                left = row[start : start + total.size]
                start = first + mi + rows[r, 2] + 1
                right = row[start : start + total.size]
                for i in range(total.size):
                    total[i] += right[i] - left[i]
    return result


@kernel
def largest_distance(points: Floats) -> float:
    """Return the largest distance between two of (n, 3) points."""
    x, y, z = points[:, 0].copy(), points[:, 1].copy(), points[:, 2].copy()
    n = x.size
    square = np.empty(n, np.float64)
    largest = 0.0
    for a in range(n):
        for b in range(n):
            dx, dy, dz = x[b] - x[a], y[b] - y[a], z[b] - z[a]
            square[b] = dx * dx + dy * dy + dz * dz
        largest = max(largest, square.max())
    return float(np.sqrt(largest))


@kernel
def weighted_moments(image: Floats, mask: Bools) -> Floats:
    """Return the sums of v, k v, j v and i v over a mask, (4,)."""
    depth, height, width = mask.shape
    sums = np.zeros(4, np.float64)
    for k in range(depth):
        for j in range(height):
            s = si = 0.0
            for i in range(width):
                if mask[k, j, i]:
                    s += image[k, j, i]
                    si += image[k, j, i] * i
            sums[0] += s
            sums[1] += s * k
            sums[2] += s * j
            sums[3] += si
    return sums


@kernel
def mesh_vertices(mask: Bytes) -> Floats:
    """Return all vertices of the mesh at 0.5, (n, 3) in voxels of the unpadded box."""
    depth, height, width = mask.shape
    n = 0
    for k in range(depth - 1):
        for j in range(height - 1):
            for i in range(width - 1):
                here = mask[k, j, i]
                n += (here != mask[k + 1, j, i]) + (here != mask[k, j + 1, i])
                n += here != mask[k, j, i + 1]
    points = np.empty((n, 3), np.float64)
    n = 0
    for k in range(depth - 1):
        for j in range(height - 1):
            for i in range(width - 1):
                here = mask[k, j, i]
                if here != mask[k + 1, j, i]:
                    points[n, 0], points[n, 1], points[n, 2] = k - 0.5, j - 1, i - 1
                    n += 1
                if here != mask[k, j + 1, i]:
                    points[n, 0], points[n, 1], points[n, 2] = k - 1, j - 0.5, i - 1
                    n += 1
                if here != mask[k, j, i + 1]:
                    points[n, 0], points[n, 1], points[n, 2] = k - 1, j - 1, i - 0.5
                    n += 1
    return points
