"""Compiled texture formulas: a matrix of counts in, the features in the manual's order out.

Sums run in a fixed order in double precision, so the last digit is the same on every run.
"""

from __future__ import annotations

import numpy as np

from coread.quant.radiomics._typing import Floats, Ints, kernel


@kernel
def pair_features(counts: Floats, levels: Floats, n_levels: int) -> Floats:
    """Return the 25 GLCM features of one matrix (IBSI LFYI), NaN where no pair exists.

    Args:
        counts: Pair counts (n, n), already symmetric.
        levels: Grey level of each row and column, whole numbers.
        n_levels: Number of grey levels N_g, for the normalised inverse differences.
    """
    n = levels.size
    result = np.full(25, np.nan)
    total = 0.0
    for a in range(n):
        for b in range(n):
            total += counts[a, b]
    if total == 0:
        return result
    top = int(levels[n - 1])
    marginal = np.zeros(n)
    difference = np.zeros(top + 1)
    summed = np.zeros(2 * top + 1)
    joint_max = energy = entropy = product = 0.0
    for a in range(n):
        for b in range(n):
            if counts[a, b] == 0:
                continue
            p = counts[a, b] / total
            marginal[a] += p
            difference[int(abs(levels[a] - levels[b]))] += p
            summed[int(levels[a] + levels[b])] += p
            joint_max = max(joint_max, p)
            energy += p * p
            entropy -= p * np.log2(p)
            product += p * levels[a] * levels[b]
    mean = 0.0
    for a in range(n):
        mean += marginal[a] * levels[a]
    variance = entropy_x = 0.0
    for a in range(n):
        variance += marginal[a] * (levels[a] - mean) ** 2
        if marginal[a] > 0:
            entropy_x -= marginal[a] * np.log2(marginal[a])
    cross = 0.0  # HXY1: sum of p log2(px py)
    for a in range(n):
        for b in range(n):
            if counts[a, b] > 0:
                cross -= counts[a, b] / total * np.log2(marginal[a] * marginal[b])
    d_mean = d_entropy = contrast = id_ = idn = idm = idmn = inverse_variance = 0.0
    for k in range(top + 1):
        p = difference[k]
        if p == 0:
            continue
        d_mean += k * p
        d_entropy -= p * np.log2(p)
        contrast += k * k * p
        id_ += p / (1 + k)
        idn += p / (1 + k / n_levels)
        idm += p / (1 + k * k)
        idmn += p / (1 + (k / n_levels) ** 2)
        if k > 0:
            inverse_variance += p / (k * k)
    d_variance = 0.0
    for k in range(top + 1):
        d_variance += difference[k] * (k - d_mean) ** 2
    s_mean = s_entropy = 0.0
    for k in range(2 * top + 1):
        if summed[k] > 0:
            s_mean += k * summed[k]
            s_entropy -= summed[k] * np.log2(summed[k])
    s_variance = shade = prominence = 0.0
    for k in range(2 * top + 1):
        if summed[k] > 0:
            s_variance += summed[k] * (k - s_mean) ** 2
            shade += summed[k] * (k - 2 * mean) ** 3
            prominence += summed[k] * (k - 2 * mean) ** 4
    tendency = s_variance
    result[0] = joint_max
    result[1] = mean
    result[2] = variance
    result[3] = entropy
    result[4] = d_mean
    result[5] = d_variance
    result[6] = d_entropy
    result[7] = s_mean
    result[8] = s_variance
    result[9] = s_entropy
    result[10] = energy
    result[11] = contrast
    result[12] = d_mean
    result[13] = id_
    result[14] = idn
    result[15] = idm
    result[16] = idmn
    result[17] = inverse_variance
    # A flat region: fully correlated by convention, and no information to share.
    result[18] = (product - mean * mean) / variance if variance > 0 else 1.0
    result[19] = product
    result[20] = tendency
    result[21] = shade
    result[22] = prominence
    result[23] = (entropy - cross) / entropy_x if entropy_x > 0 else 0.0
    result[24] = np.sqrt(max(0.0, 1 - np.exp(-2 * (2 * entropy_x - entropy))))
    return result


@kernel
def emphasis_features(counts: Ints, levels: Floats, values: Floats, voxels: float) -> Floats:
    """Return the 16 features that GLRLM, GLSZM, GLDZM and NGLDM share, and the energy as 17th.

    Args:
        counts: How many runs (zones, dependences) per level and length, (n, m).
        levels: Grey level of each row.
        values: Run length (size, distance, dependence) of each column.
        voxels: Number of voxels N_v that the percentage refers to.
    """
    n, m = counts.shape
    result = np.full(17, np.nan)
    by_level = np.zeros(n)
    by_value = np.zeros(m)
    total = 0.0
    for a in range(n):
        for b in range(m):
            by_level[a] += counts[a, b]
            by_value[b] += counts[a, b]
        total += by_level[a]
    if total == 0:
        return result
    result[:] = 0.0
    level_mean = value_mean = 0.0
    for a in range(n):
        share = by_level[a] / total
        square = levels[a] * levels[a]
        result[2] += share / square
        result[3] += share * square
        result[8] += by_level[a] * share
        result[9] += share * share
        level_mean += share * levels[a]
    for b in range(m):
        share = by_value[b] / total
        square = values[b] * values[b]
        result[0] += share / square
        result[1] += share * square
        result[10] += by_value[b] * share
        result[11] += share * share
        value_mean += share * values[b]
    for a in range(n):
        result[13] += by_level[a] / total * (levels[a] - level_mean) ** 2
        i2 = levels[a] * levels[a]
        for b in range(m):
            if counts[a, b] == 0:
                continue
            p = counts[a, b] / total
            v2 = values[b] * values[b]
            result[4] += p / (v2 * i2)
            result[5] += p * i2 / v2
            result[6] += p * v2 / i2
            result[7] += p * v2 * i2
            result[15] -= p * np.log2(p)
            result[16] += p * p
    for b in range(m):
        result[14] += by_value[b] / total * (values[b] - value_mean) ** 2
    result[12] = total / voxels
    return result


@kernel
def tone_difference_features(difference: Floats, voxels: Ints, levels: Floats) -> Floats:
    """Return the 5 NGTDM features (IBSI IPET): coarseness, contrast, busyness, complexity, strength.

    Args:
        difference: Sum s_i of the absolute tone differences of each level.
        voxels: Number n_i of voxels of each level that have a neighbour.
        levels: The grey levels.
    """
    result = np.full(5, np.nan)
    n_voxels = 0.0
    present = 0
    total = 0.0  # sum of s_i
    weighted = 0.0  # sum of p_i s_i
    for a in range(levels.size):
        n_voxels += voxels[a]
        total += difference[a]
        if voxels[a] > 0:
            present += 1
    if n_voxels == 0:
        return result
    for a in range(levels.size):
        weighted += voxels[a] / n_voxels * difference[a]
    result[0] = min(1e6, 1 / weighted) if weighted > 0 else 1e6
    spread = busy = complexity = strength = 0.0
    for a in range(levels.size):
        if voxels[a] == 0:
            continue
        pa = voxels[a] / n_voxels
        for b in range(levels.size):
            if voxels[b] == 0:
                continue
            pb = voxels[b] / n_voxels
            gap = levels[a] - levels[b]
            spread += pa * pb * gap * gap
            busy += abs(levels[a] * pa - levels[b] * pb)
            complexity += abs(gap) * (pa * difference[a] + pb * difference[b]) / (pa + pb)
            strength += (pa + pb) * gap * gap
    result[1] = spread / (present * (present - 1)) * total / n_voxels if present > 1 else 0.0
    result[2] = weighted / busy if present > 1 and busy > 0 else 0.0
    result[3] = complexity / n_voxels
    result[4] = strength / total if total > 0 else 0.0
    return result
