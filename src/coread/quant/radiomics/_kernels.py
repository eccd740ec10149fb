"""Compiled counting kernels for texture: integers in, integers out.

Every array of grey levels is a C-contiguous ``uint16`` box ``(slice, row, column)`` with a border of
one zero voxel on all sides; 0 is outside the region, 1 and above are levels. Counts are integers, so
no order of work can change them. ``spans`` holds for each (slice, row) the first column inside the
region and one past the last.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from coread.quant.radiomics._typing import Bools, Bytes, Floats, Ints, Levels, Words, kernel


@kernel
def row_spans(levels: Levels) -> Ints:
    """Return for each row the first column of the region and one past the last, (slices, rows, 2)."""
    depth, height, width = levels.shape
    spans = np.zeros((depth, height, 2), np.int64)
    for k in range(depth):
        for j in range(height):
            first = 0
            while first < width and levels[k, j, first] == 0:
                first += 1
            if first == width:
                continue
            last = width
            while levels[k, j, last - 1] == 0:
                last -= 1
            spans[k, j, 0] = first
            spans[k, j, 1] = last
    return spans


@kernel
def count_levels(levels: Levels, spans: Ints) -> Ints:
    """Return the voxels of each level, level 0 (outside, within the spans) first."""
    top = 0
    depth, height, _ = levels.shape
    for k in range(depth):
        for j in range(height):
            for i in range(spans[k, j, 0], spans[k, j, 1]):
                top = max(top, levels[k, j, i])
    counts = np.zeros(top + 1, np.int64)
    for k in range(depth):
        for j in range(height):
            for i in range(spans[k, j, 0], spans[k, j, 1]):
                counts[levels[k, j, i]] += 1
    return counts


@kernel
def count_pairs(levels: Levels, spans: Ints, offsets: Ints, start: int, stop: int, counts: Words) -> None:
    """Add the neighbour pairs of slices ``start`` to ``stop`` to ``counts`` (offsets, n + 1, n + 1).

    Row and column 0 collect pairs that leave the region.
    """
    height = levels.shape[1]
    for k in range(start, stop):
        for d in range(offsets.shape[0]):
            table = counts[d]
            dk, dj, di = offsets[d, 0], offsets[d, 1], offsets[d, 2]
            for j in range(1, height - 1):
                here = levels[k, j]
                there = levels[k + dk, j + dj]
                for i in range(spans[k, j, 0], spans[k, j, 1]):
                    table[here[i], there[i + di]] += np.uint32(1)


@kernel
def count_runs(levels: Levels, spans: Ints, offsets: Ints, start: int, stop: int, counts: Words) -> None:
    """Add the runs of slices ``start`` to ``stop`` to ``counts`` (offsets, n + 1, longest + 1).

    A run across slices must lie between ``start`` and ``stop`` as a whole.
    """
    _, height, width = levels.shape
    length = np.zeros((2, height, width), np.uint16)
    for d in range(offsets.shape[0]):
        table = counts[d]
        dk, dj, di = offsets[d, 0], offsets[d, 1], offsets[d, 2]
        for k in range(start, stop):
            for j in range(1, height - 1):
                here = levels[k, j]
                before = levels[k - dk, j - dj]
                after = levels[k + dk, j + dj]
                length_here = length[k & 1, j]
                length_before = length[(k - dk) & 1, j - dj]
                for i in range(spans[k, j, 0], spans[k, j, 1]):
                    level = here[i]
                    if level == 0:
                        continue
                    # No branches: whether a neighbour has the same level is close to a coin toss.
                    goes_on = np.uint16(before[i - di] == level)
                    run = np.uint16(goes_on * length_before[i - di] + np.uint16(1))
                    length_here[i] = run
                    table[level, run] += np.uint32(after[i + di] != level)


@kernel
def neighbourhood(
    levels: Levels, spans: Ints, start: int, stop: int, planar: bool, alpha: int, top: int
) -> tuple[Ints, Ints, Ints]:
    """Return dependence counts, tone differences and valid voxels of slices ``start`` to ``stop``.

    Returns:
        Dependence counts (top + 1, 28), NGLDM. For NGTDM the sum of abs(n level - sum of the n
        neighbours), by level and n (top + 1, 27): an integer; dividing by n gives the tone
        difference. The number of voxels by level and n (top + 1, 27).
    """
    height = levels.shape[1]
    dependence = np.zeros((top + 1, 28), np.int64)
    difference = np.zeros((top + 1, 27), np.int64)
    voxels = np.zeros((top + 1, 27), np.int64)
    reach = 0 if planar else 1
    for k in range(start, stop):
        for j in range(1, height - 1):
            first, last = spans[k, j, 0], spans[k, j, 1]
            if first == last:
                continue
            here = levels[k, j, first:last]
            same = np.zeros(here.size, np.int32)
            total = np.zeros(here.size, np.int32)
            number = np.zeros(here.size, np.int32)
            for dk in range(-reach, reach + 1):
                for dj in range(-1, 2):
                    for di in range(-1, 2):
                        # A view from 0 on lets the compiler work on many voxels at once.
                        there = levels[k + dk, j + dj, first + di : last + di]
                        for i in range(here.size):
                            value = np.int32(there[i])
                            inside = np.int32(value != 0)
                            gap = abs(np.int32(here[i]) - value)
                            total[i] += value
                            number[i] += inside
                            same[i] += inside * np.int32(gap <= alpha)
            for i in range(here.size):
                level = np.int64(here[i])
                if level == 0:
                    continue
                dependence[level, same[i]] += 1
                n = number[i] - 1
                voxels[level, n] += 1
                difference[level, n] += abs(n * level - (total[i] - level))
    return dependence, difference, voxels


@kernel
def _root(parent: NDArray[np.int32], voxel: int) -> int:
    while parent[voxel] != voxel:
        parent[voxel] = parent[parent[voxel]]
        voxel = parent[voxel]
    return voxel


@kernel
def _join(parent: NDArray[np.int32], one: int, other: int) -> None:
    a = _root(parent, one)
    b = _root(parent, other)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@kernel
def zones(levels: Levels, spans: Ints, distance: Levels, planar: bool) -> Ints:
    """Return the zones of equal level, (zones, 4): level, size, least distance, slice.

    Zones are 26-connected, in a plane 8-connected, and come in the order of their first voxel.
    """
    depth, height, width = levels.shape
    plane = height * width
    flat = levels.ravel()
    parent = np.empty(flat.size, np.int32)
    for k in range(1, depth - 1):
        for j in range(1, height - 1):
            base = k * plane + j * width
            for i in range(spans[k, j, 0], spans[k, j, 1]):
                v = base + i
                level = flat[v]
                if level == 0:
                    continue
                parent[v] = v
                if not planar:
                    b = v - plane
                    # A neighbour that touches the others has joined them already.
                    if flat[b] == level:
                        _join(parent, v, b)
                        continue
                    behind = flat[b - width] == level
                    if behind:
                        _join(parent, v, b - width)
                    else:
                        if flat[b - width - 1] == level:
                            _join(parent, v, b - width - 1)
                        if flat[b - width + 1] == level:
                            _join(parent, v, b - width + 1)
                    if flat[b + width] == level:
                        _join(parent, v, b + width)
                    else:
                        if flat[b + width - 1] == level:
                            _join(parent, v, b + width - 1)
                        if flat[b + width + 1] == level:
                            _join(parent, v, b + width + 1)
                    if behind:
                        continue
                    if flat[b - 1] == level:
                        _join(parent, v, b - 1)
                    if flat[b + 1] == level:
                        _join(parent, v, b + 1)
                if flat[v - width] == level:
                    _join(parent, v, v - width)
                    continue
                if flat[v - 1] == level:
                    _join(parent, v, v - 1)
                elif flat[v - width - 1] == level:
                    _join(parent, v, v - width - 1)
                if flat[v - width + 1] == level:
                    _join(parent, v, v - width + 1)
    count = 0
    for k in range(1, depth - 1):
        for j in range(1, height - 1):
            base = k * plane + j * width
            for i in range(spans[k, j, 0], spans[k, j, 1]):
                v = base + i
                if flat[v] != 0 and parent[v] == v:
                    count += 1
    found = np.empty((count, 4), np.int64)
    near = distance.ravel()
    n = 0
    for k in range(1, depth - 1):
        for j in range(1, height - 1):
            base = k * plane + j * width
            for i in range(spans[k, j, 0], spans[k, j, 1]):
                v = base + i
                if flat[v] == 0:
                    continue
                # Parents lie before their children: they already point at a zone (as -1 - n).
                if parent[v] == v:
                    found[n, 0] = flat[v]
                    found[n, 1] = 1
                    found[n, 2] = near[v]
                    found[n, 3] = k
                    parent[v] = -1 - n
                    n += 1
                else:
                    label = parent[parent[v]]
                    parent[v] = label
                    zone = -1 - label
                    found[zone, 1] += 1
                    found[zone, 2] = min(found[zone, 2], near[v])
    return found


@kernel
def border_distance(mask: Bytes, planar: bool) -> Levels:
    """Return the city-block distance to the outside, 1 at the border (6 or 4 neighbours).

    ``mask`` is a ``uint8`` box with a border of zeros.
    """
    depth, height, width = mask.shape
    far = np.uint16(65535)
    distance = np.zeros(mask.shape, np.uint16)
    for k in range(1, depth - 1):
        for j in range(1, height - 1):
            for i in range(1, width - 1):
                if mask[k, j, i] == 0:
                    continue
                least = min(distance[k, j, i - 1], distance[k, j - 1, i])
                if not planar:
                    least = min(least, distance[k - 1, j, i])
                distance[k, j, i] = min(far, least + 1)
    for k in range(depth - 2, 0, -1):
        for j in range(height - 2, 0, -1):
            for i in range(width - 2, 0, -1):
                if mask[k, j, i] == 0:
                    continue
                least = min(distance[k, j, i + 1], distance[k, j + 1, i])
                if not planar:
                    least = min(least, distance[k + 1, j, i])
                distance[k, j, i] = min(np.int64(distance[k, j, i]), least + 1)
    return distance


@kernel
def tabulate(rows: Ints, columns: Ints, n_rows: int, n_columns: int) -> Ints:
    """Return how often each (row, column) occurs, (n_rows, n_columns)."""
    table = np.zeros((n_rows, n_columns), np.int64)
    for n in range(rows.size):
        table[rows[n], columns[n]] += 1
    return table


@kernel
def discretise(
    image: Floats, mask: Bools, low: float, factor: float, divisor: float, top: int, levels: Levels
) -> None:
    """Write ``floor((value - low) factor / divisor) + 1``, at most ``top``, into a padded box.

    Voxels outside the mask keep their 0. A divisor of 0 (a flat region) gives level 1.
    """
    depth, height, width = mask.shape
    for k in range(depth):
        for j in range(height):
            for i in range(width):
                if mask[k, j, i]:
                    level = 1
                    if divisor > 0:
                        level = int(np.floor((image[k, j, i] - low) * factor / divisor)) + 1
                    levels[k + 1, j + 1, i + 1] = max(1, min(level, top))


@kernel
def extent(mask: Bools) -> Ints:
    """Return the number of voxels and the first and last index an axis, (7,); -1 last if empty."""
    depth, height, width = mask.shape
    found = np.array([0, depth, -1, height, -1, width, -1])
    for k in range(depth):
        for j in range(height):
            first = last = -1
            for i in range(width):
                if mask[k, j, i]:
                    if first < 0:
                        first = i
                    last = i
                    found[0] += 1
            if first >= 0:
                found[1] = min(found[1], k)
                found[2] = k
                found[3] = min(found[3], j)
                found[4] = max(found[4], j)
                found[5] = min(found[5], first)
                found[6] = max(found[6], last)
    return found


@kernel
def label_boxes(labels: Levels, top: int) -> Ints:
    """Return for every label from 0 to ``top`` its box: first and last index an axis, (top + 1, 6).

    A label that does not occur has a last index of -1.
    """
    depth, height, width = labels.shape
    boxes = np.zeros((top + 1, 6), np.int64)
    boxes[:, 1] = -1
    for k in range(depth):
        for j in range(height):
            for i in range(width):
                label = labels[k, j, i]
                if label == 0:
                    continue
                box = boxes[label]
                if box[1] < 0:
                    box[0] = box[1] = k
                    box[2] = box[3] = j
                    box[4] = box[5] = i
                else:
                    box[1] = k
                    box[2] = min(box[2], j)
                    box[3] = max(box[3], j)
                    box[4] = min(box[4], i)
                    box[5] = max(box[5], i)
    return boxes


@kernel
def resample_middle(box: Floats, first: Ints, weights: Floats) -> Floats:
    """Return weighted sums along the middle axis of (outer, n, inner): (outer, outputs, inner).

    Output p takes ``weights[p, t]`` of the plane ``first[p] + t``; planes beyond the ends repeat them.
    """
    outer, length, inner = box.shape
    result = np.zeros((outer, first.size, inner), np.float64)
    for o in range(outer):
        for p in range(first.size):
            line = result[o, p]
            for t in range(weights.shape[1]):
                source = box[o, min(max(first[p] + t, 0), length - 1)]
                weight = weights[p, t]
                for i in range(line.size):
                    line[i] += weight * source[i]
    return result
