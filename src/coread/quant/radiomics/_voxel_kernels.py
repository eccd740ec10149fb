"""Compiled kernels of feature maps: a small window around every voxel, measured like a region."""

from __future__ import annotations

import numpy as np

from coread.quant.radiomics._formulas import (
    emphasis_features,
    pair_features,
    tone_difference_features,
)
from coread.quant.radiomics._kernels import (
    count_pairs,
    count_runs,
    neighbourhood,
    tabulate,
    zones,
)
from coread.quant.radiomics._typing import Floats, Ints, Levels, kernel

GLCM, GLRLM, GLSZM, NGTDM, NGLDM = 0, 1, 2, 3, 4


@kernel
def _pack(window: Levels, table: Ints) -> Floats:
    """Renumber the levels of a window 1, 2, …; return them ascending, the outside (0) first."""
    table[:] = 0
    for value in window.ravel():
        table[value] = 1
    table[0] = 0
    count = 0
    for level in range(1, table.size):
        if table[level] == 1:
            count += 1
            table[level] = count
    levels = np.zeros(count + 1, np.float64)
    for level in range(1, table.size):
        if table[level] > 0:
            levels[table[level]] = level
    flat = window.ravel()
    for n in range(flat.size):
        flat[n] = table[flat[n]]
    return levels


@kernel
def _directional(
    family: int, window: Levels, spans: Ints, levels: Floats, offsets: Ints, merged: bool, n_levels: int
) -> Floats:
    """Return pair or run features of a window: of merged directions, or their mean."""
    edge = window.shape[0]
    n = levels.size
    voxels = np.count_nonzero(window)
    width = n if family == GLCM else edge - 1
    counts = np.zeros((offsets.shape[0], n, width), np.uint32)
    if family == GLCM:
        count_pairs(window, spans, offsets, 1, edge - 1, counts)
    else:
        count_runs(window, spans, offsets, 1, edge - 1, counts)
    lengths = np.arange(1, width).astype(np.float64)
    total = np.zeros((n - 1, width - 1), np.int64)
    mean = np.zeros(26, np.float64)
    used = 0
    for d in range(offsets.shape[0] + 1):
        if d < offsets.shape[0]:
            table = counts[d, 1:, 1:].astype(np.int64)
            total += table
            if merged:
                continue
            share = voxels
        elif merged:
            table = total
            share = voxels * offsets.shape[0]
        else:
            continue
        if family == GLCM:
            row = pair_features((table + table.T).astype(np.float64), levels[1:], n_levels)
        else:
            row = emphasis_features(table, levels[1:], lengths, float(share))
        if not np.isnan(row[0]):
            mean[: row.size] += row
            used += 1
    if used == 0:
        return np.full(26, np.nan)
    return mean / used


@kernel
def texture_map(
    family: int,
    levels: Levels,
    centres: Ints,
    radius: int,
    offsets: Ints,
    merged: bool,
    n_levels: int,
    alpha: int,
) -> Floats:
    """Return the features of the window around each centre, (centres, 26).

    Args:
        family: `GLCM` to `NGLDM`.
        levels: Box with a border of ``radius`` + 1 zero voxels.
        centres: (n, 3) indices into it.
        radius: Chebyshev radius of the window.
        offsets: Directions of pairs and runs.
        merged: Merge directions rather than average them.
        n_levels: Number of grey levels of the region.
        alpha: Coarseness of NGLDM.
    """
    edge = 2 * radius + 3
    result = np.full((centres.shape[0], 26), np.nan)
    window = np.zeros((edge, edge, edge), np.uint16)
    spans = np.zeros((edge, edge, 2), np.int64)
    spans[1:-1, 1:-1, 0] = 1
    spans[1:-1, 1:-1, 1] = edge - 1
    table = np.zeros(n_levels + 1, np.int64)
    for m in range(centres.shape[0]):
        k, j, i = centres[m, 0] - radius, centres[m, 1] - radius, centres[m, 2] - radius
        inner = edge - 2
        window[1:-1, 1:-1, 1:-1] = levels[k : k + inner, j : j + inner, i : i + inner]
        if family in (NGTDM, NGLDM):
            dependence, difference, voxels = neighbourhood(window, spans, 1, edge - 1, False, alpha, n_levels)
            values = np.arange(1, n_levels + 1).astype(np.float64)
            if family == NGLDM:
                size = np.arange(1, 28).astype(np.float64)
                row = emphasis_features(dependence[1:, 1:], values, size, float(np.count_nonzero(window)))
            else:
                tone = np.zeros(n_levels, np.float64)
                number = np.zeros(n_levels, np.int64)
                for level in range(n_levels):
                    for n in range(1, 27):
                        tone[level] += difference[level + 1, n] / n
                        number[level] += voxels[level + 1, n]
                row = tone_difference_features(tone, number, values)
        else:
            named = _pack(window, table)
            if family == GLSZM:
                found = zones(window, spans, window, False)
                counts = tabulate(found[:, 0] - 1, found[:, 1] - 1, named.size - 1, inner**3)
                size = np.arange(1, inner**3 + 1).astype(np.float64)
                row = emphasis_features(counts, named[1:], size, float(np.count_nonzero(window)))
            else:
                row = _directional(family, window, spans, named, offsets, merged, n_levels)
        result[m, : row.size] = row
    return result


@kernel
def statistics_map(image: Floats, centres: Ints, radius: int) -> Floats:
    """Return the 18 statistics of the window around each centre in the manual's order, (n, 18).

    ``image`` has a border of ``radius`` voxels and NaN outside the region.
    """
    result = np.full((centres.shape[0], 18), np.nan)
    edge = 2 * radius + 1
    buffer = np.empty(edge**3, np.float64)
    for m in range(centres.shape[0]):
        n = 0
        for k in range(centres[m, 0] - radius, centres[m, 0] + radius + 1):
            for j in range(centres[m, 1] - radius, centres[m, 1] + radius + 1):
                for i in range(centres[m, 2] - radius, centres[m, 2] + radius + 1):
                    if not np.isnan(image[k, j, i]):
                        buffer[n] = image[k, j, i]
                        n += 1
        values = np.sort(buffer[:n])
        marks = np.empty(5, np.float64)
        for q, quantile in enumerate((0.1, 0.25, 0.5, 0.75, 0.9)):
            place = quantile * (n - 1)
            below = int(np.floor(place))
            above = min(below + 1, n - 1)
            marks[q] = values[below] + (values[above] - values[below]) * (place - below)
        p10, p25, median, p75, p90 = marks
        mean = values.mean()
        m2 = m3 = m4 = absolute = around = square = middle = 0.0
        kept = 0
        for v in values:
            d = v - mean
            m2 += d * d
            m3 += d * d * d
            m4 += d * d * d * d
            absolute += abs(d)
            around += abs(v - median)
            square += v * v
            if p10 <= v <= p90:
                middle += v
                kept += 1
        robust = np.nan  # of two voxels none lies between the percentiles
        if kept:
            robust = 0.0
            for v in values:
                if p10 <= v <= p90:
                    robust += abs(v - middle / kept) / kept
        m2, m3, m4 = m2 / n, m3 / n, m4 / n
        flat = values[0] == values[n - 1]
        row = result[m]
        row[0] = mean
        row[1] = 0.0 if flat else m2
        row[2] = 0.0 if flat else m3 / m2**1.5
        row[3] = 0.0 if flat else m4 / m2**2 - 3
        row[4], row[5], row[6], row[7], row[8] = median, values[0], p10, p90, values[n - 1]
        row[9] = p75 - p25
        row[10] = values[n - 1] - values[0]
        row[11] = absolute / n
        row[12] = 0.0 if flat else robust
        row[13] = around / n
        if mean != 0:
            row[14] = np.sqrt(row[1]) / mean
        if p75 + p25 != 0:
            row[15] = (p75 - p25) / (p75 + p25)
        row[16] = square
        row[17] = np.sqrt(square / n)
    return result
