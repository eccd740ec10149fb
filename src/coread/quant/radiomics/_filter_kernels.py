"""Compiled convolution along one axis."""

from __future__ import annotations

import numpy as np

from coread.quant.radiomics._typing import Floats, kernel


@kernel
def correlate_middle(padded: Floats, taps: Floats) -> Floats:
    """Return sums of ``taps[t] * padded[:, n + t, :]`` over t, (outer, n, inner).

    ``padded`` has ``taps.size - 1`` planes more than the result along its middle axis.
    """
    outer, length, inner = padded.shape
    size = length - taps.size + 1
    result = np.zeros((outer, size, inner), np.float64)
    block = 512  # doubles of a strip: all rows that a result needs stay in the cache
    for o in range(outer):
        for start in range(0, inner, block):
            stop = min(start + block, inner)
            for n in range(size):
                line = result[o, n, start:stop]
                for t in range(taps.size):
                    tap = taps[t]
                    if tap == 0.0:
                        continue
                    source = padded[o, n + t, start:stop]
                    for i in range(line.size):
                        line[i] += tap * source[i]
    return result


@kernel
def correlate_last(padded: Floats, taps: Floats) -> Floats:
    """Return sums of ``taps[t] * padded[:, n + t]`` over t, (lines, n)."""
    lines, length = padded.shape
    size = length - taps.size + 1
    result = np.zeros((lines, size), np.float64)
    for o in range(lines):
        line = result[o]
        for t in range(taps.size):
            tap = taps[t]
            if tap == 0.0:
                continue
            source = padded[o, t : t + size]
            for n in range(line.size):
                line[n] += tap * source[n]
    return result
