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
    result = np.empty((outer, size, inner), np.float64)
    block = 1024  # doubles of a strip that stays in the first cache
    for o in range(outer):
        for start in range(0, inner, block):
            stop = min(start + block, inner)
            for n in range(size):
                line = result[o, n]
                for i in range(start, stop):
                    line[i] = 0.0
                for t in range(taps.size):
                    tap = taps[t]
                    if tap == 0.0:
                        continue
                    source = padded[o, n + t]
                    for i in range(start, stop):
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
        source = padded[o]
        for t in range(taps.size):
            tap = taps[t]
            if tap == 0.0:
                continue
            for n in range(size):
                line[n] += tap * source[n + t]
    return result
