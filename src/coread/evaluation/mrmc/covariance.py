"""Figures of merit of every reader in every modality, with their covariance over cases."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coread.errors import InputError
from coread.evaluation.mrmc.study import ReaderStudy
from coread.evaluation.roc import _midranks

Method = Literal["delong", "jackknife", "unbiased"]
Floats = NDArray[np.float64]


def cell_areas(study: ReaderStudy) -> tuple[Floats, Floats]:
    """Return areas (modalities, readers) and structural components (modalities x readers, cases).

    A component is NaN where the case was not read, an area where the reader did not read the modality at all.

    Raises:
        InputError: A reader read some cases in a modality, but not two diseased and two healthy ones.
    """
    cells = study.ratings.reshape(-1, len(study.cases))
    areas = np.full(len(cells), np.nan)
    parts = np.full(cells.shape, np.nan)
    few = []
    for c, rating in enumerate(cells):
        read = ~np.isnan(rating)
        if not read.any():
            continue
        sick, well = read & study.truth, read & ~study.truth
        m, n = int(sick.sum()), int(well.sum())
        if min(m, n) < 2:
            i, j = divmod(c, len(study.readers))
            few.append(
                f"reader {study.readers[j]} read {m} diseased and {n} healthy cases in {study.modalities[i]}"
            )
            continue
        x, y = rating[sick], rating[well]
        pooled = _midranks(np.concatenate([x, y]))
        parts[c, sick] = (pooled[:m] - _midranks(x)) / n
        parts[c, well] = 1.0 - (pooled[m:] - _midranks(y)) / m
        areas[c] = parts[c, sick].mean()
    if few:
        raise InputError(
            "; ".join(few[:5]) + (f"; and {len(few) - 5} more" if len(few) > 5 else ""),
            "an area with its variance needs two diseased and two healthy cases of every reader",
            "leave these readings out, or use U-statistics",
        )
    return areas.reshape(study.ratings.shape[:2]), parts


def covariance(study: ReaderStudy, method: Method) -> tuple[Floats, Floats]:
    """Return areas (modalities, readers) and their covariance (cells, cells) over cases.

    A pair of readings without a common case has covariance 0. Where a reader did not read a modality, its
    area and covariances are NaN. With missing readings DeLong's covariance sums the products of components
    over the common cases c of two readings with m and m' cases of a class and divides by
    m m' - m - m' + c, which makes it unbiased for components that are given, and m (m - 1) where none is
    missing.

    References:
        DeLong et al., Biometrics 44:837 (1988); jackknife and unbiased: Hillis, Statistics in Medicine
        33:330 (2014); unbiased moments: Gallas, Academic Radiology 13:353 (2006).
    """
    areas, parts = cell_areas(study)
    there = np.flatnonzero(~np.isnan(areas.ravel()))
    found = np.full((areas.size, areas.size), np.nan)
    found[np.ix_(there, there)] = _of_read_cells(study, method, areas.ravel()[there], parts[there], there)
    return areas, found


def _of_read_cells(
    study: ReaderStudy, method: Method, areas: Floats, parts: Floats, there: NDArray[np.intp]
) -> Floats:
    read = ~np.isnan(parts)
    if method == "unbiased":
        return _unbiased(study, areas, read, there)
    deviations = np.nan_to_num(parts - areas[:, None])
    total = np.zeros((len(parts), len(parts)))
    for group in (study.truth, ~study.truth):
        own = read[:, group].sum(axis=1).astype(np.float64)
        products = deviations[:, group] @ deviations[:, group].T
        if method == "delong":
            common = read[:, group].astype(np.float64) @ read[:, group].T.astype(np.float64)
            pairs = np.outer(own, own) - own[:, None] - own[None, :] + common
            total += np.divide(products, pairs, out=np.zeros_like(total), where=common > 0)
        else:
            count = read.any(axis=0).sum()
            total += products * (count - 1) / count / np.outer(own - 1, own - 1)
    return total


def _unbiased(study: ReaderStudy, areas: Floats, read: NDArray[np.bool_], there: NDArray[np.intp]) -> Floats:
    """Return the unbiased covariance: the square of the expectation from pairs of different cases only."""
    cells = study.ratings.reshape(-1, len(study.cases))[there]
    sick, well = np.flatnonzero(study.truth), np.flatnonzero(~study.truth)
    size = len(areas)
    both = np.zeros((size, size))
    sums_sick = np.zeros((size, sick.size))
    sums_well = np.zeros((size, well.size))
    block = max(1, 2_000_000 // max(well.size * size, 1))
    y = cells[:, well]
    for start in range(0, sick.size, block):
        x = cells[:, sick[start : start + block]]
        psi = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
        sums_sick[:, start : start + block] = psi.sum(axis=2)
        sums_well += psi.sum(axis=1)
        flat = psi.reshape(size, -1)
        both += flat @ flat.T
    mine = read[:, sick].astype(np.float64), read[:, well].astype(np.float64)
    m, n = mine[0].sum(axis=1), mine[1].sum(axis=1)
    common_m, common_n = mine[0] @ mine[0].T, mine[1] @ mine[1].T
    total = sums_sick.sum(axis=1)
    apart = np.outer(total, total) - sums_sick @ sums_sick.T - sums_well @ sums_well.T + both
    pairs = (np.outer(m, m) - common_m) * (np.outer(n, n) - common_n)
    found = np.outer(areas, areas) - apart / pairs
    return np.where((common_m == 0) & (common_n == 0), 0.0, found)
