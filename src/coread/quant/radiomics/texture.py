"""Texture of a region in grey levels: six matrices, all ways to aggregate them (IBSI LFYI to REK0)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coread.errors import InputError
from coread.quant.radiomics import _formulas as formulas
from coread.quant.radiomics import _kernels as kernels
from coread.quant.radiomics._typing import Bools, Floats, Ints, Levels

Features = dict[tuple[str, str], float]  # (tag, aggregation) -> value

OFFSETS = np.array(
    [(k, j, i) for k in (0, 1) for j in (-1, 0, 1) for i in (-1, 0, 1) if (k, j, i) > (0, 0, 0)],
    dtype=np.int64,
)
MOST_PAIR_LEVELS = 6000  # a matrix of so many squared takes about 300 MB
IN_PLANE = 4  # the first four of the thirteen directions lie in the slice

PAIR_TAGS = tuple(
    f"cm_{tag}"
    for tag in (
        "joint_max", "joint_avg", "joint_var", "joint_entr", "diff_avg", "diff_var", "diff_entr",
        "sum_avg", "sum_var", "sum_entr", "energy", "contrast", "dissimilarity", "inv_diff",
        "inv_diff_norm", "inv_diff_mom", "inv_diff_mom_norm", "inv_var", "corr", "auto_corr",
        "clust_tend", "clust_shade", "clust_prom", "info_corr_1", "info_corr_2",
    )
)  # fmt: skip


def _emphasis_tags(prefix: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{name}" for name in names)


RUN_TAGS = _emphasis_tags(
    "rlm", "sre", "lre", "lgre", "hgre", "srlge", "srhge", "lrlge", "lrhge", "glnu", "glnu_norm",
    "rlnu", "rlnu_norm", "r_perc", "gl_var", "rl_var", "rl_entr",
)  # fmt: skip
SIZE_TAGS = _emphasis_tags(
    "szm", "sze", "lze", "lgze", "hgze", "szlge", "szhge", "lzlge", "lzhge", "glnu", "glnu_norm",
    "zsnu", "zsnu_norm", "z_perc", "gl_var", "zs_var", "zs_entr",
)  # fmt: skip
DISTANCE_TAGS = _emphasis_tags(
    "dzm", "sde", "lde", "lgze", "hgze", "sdlge", "sdhge", "ldlge", "ldhge", "glnu", "glnu_norm",
    "zdnu", "zdnu_norm", "z_perc", "gl_var", "zd_var", "zd_entr",
)  # fmt: skip
TONE_TAGS = _emphasis_tags("ngt", "coarseness", "contrast", "busyness", "complexity", "strength")
DEPENDENCE_TAGS = _emphasis_tags(
    "ngl", "lde", "hde", "lgce", "hgce", "ldlge", "ldhge", "hdlge", "hdhge", "glnu", "glnu_norm",
    "dcnu", "dcnu_norm", "dc_perc", "gl_var", "dc_var", "dc_entr", "dc_energy",
)  # fmt: skip


@dataclass(frozen=True)
class LevelBox:
    """A region in grey levels, cut out with a border of zeros.

    Attributes:
        levels: (slices + 2, rows + 2, columns + 2) uint16; 0 is outside, 1 the lowest level.
        distance_mask: The morphological mask on the same padded box, for zone distances.
    """

    levels: Levels
    distance_mask: Bools

    @cached_property
    def spans(self) -> Ints:
        """First and last column of the region in each row."""
        return kernels.row_spans(self.levels)

    @cached_property
    def histogram(self) -> Ints:
        """Voxels of each level from 1 to the highest (N_g,)."""
        return kernels.count_levels(self.levels, self.spans)[1:]

    @cached_property
    def present(self) -> Ints:
        """The levels that occur, ascending."""
        return np.flatnonzero(self.histogram) + 1

    @cached_property
    def packed(self) -> Levels:
        """The box with levels renumbered 1, 2, … over those present: matrices stay small."""
        if self.present.size == self.histogram.size:
            return self.levels
        table = np.zeros(self.histogram.size + 1, np.uint16)
        table[self.present] = np.arange(1, self.present.size + 1)
        return table[self.levels]

    @cached_property
    def slices(self) -> tuple[int, ...]:
        """Padded index of each slice that holds region voxels."""
        return tuple(np.flatnonzero(self.spans[:, :, 1].any(axis=1)).tolist())

    @cached_property
    def slice_voxels(self) -> dict[int, int]:
        """Voxels of each slice of `slices`."""
        return {k: int(np.count_nonzero(self.levels[k])) for k in self.slices}

    @property
    def voxels(self) -> int:
        """Voxels of the region."""
        return int(self.histogram.sum())

    def distance(self, *, planar: bool) -> Levels:
        """City-block distance of each voxel to the outside of the morphological mask."""
        return kernels.border_distance(self.distance_mask.view(np.uint8), planar)


def _average(rows: list[Floats]) -> Floats:
    """Return the mean over those rows that are defined."""
    table = np.array(rows)
    defined = table[~np.isnan(table).any(axis=1)]
    return defined.mean(axis=0) if len(defined) else np.full(table.shape[1], np.nan)


def _direction_blocks(first: int, last: int, cells: int) -> Iterator[slice]:
    """Yield blocks of directions whose counts stay within 64 MiB."""
    block = max(1, min(last - first, 2**24 // cells))
    for start in range(first, last, block):
        yield slice(start, min(start + block, last))


def _aggregate(
    box: LevelBox,
    wanted: frozenset[str],
    *,
    count: Callable[[slice, int, int], NDArray[np.uint32]],
    features: Callable[[NDArray[np.uint32], float], Floats],
    tags: tuple[str, ...],
    cells: int,
) -> Features:
    """Return the features of directional matrices for the aggregations wanted.

    Args:
        box: The region.
        wanted: Aggregation codes.
        count: Counts of directions (a slice) between two padded slice indices.
        features: Features of one matrix of counts over so many voxels.
        tags: Names of the features.
        cells: Size of one matrix.
    """
    result: dict[str, Floats] = {}
    flat = wanted & {"2d_avg", "2d_s_mrg", "2.5d_d_mrg", "2.5d_v_mrg"}
    cube = wanted & {"3d_avg", "3d_v_mrg"}
    planes: NDArray[np.uint32] | None = None
    if flat:
        single: list[Floats] = []
        merged: list[Floats] = []
        for k in box.slices:
            matrices = count(slice(0, IN_PLANE), k, k + 1)
            planes = matrices.copy() if planes is None else planes + matrices
            n = box.slice_voxels[k]
            if "2d_avg" in flat:
                single.append(_average([features(matrix, n) for matrix in matrices]))
            if "2d_s_mrg" in flat:
                merged.append(features(matrices.sum(axis=0, dtype=np.uint32), IN_PLANE * n))
        assert planes is not None  # a region has a slice
        if "2d_avg" in flat:
            result["2d_avg"] = _average(single)
        if "2d_s_mrg" in flat:
            result["2d_s_mrg"] = _average(merged)
        if "2.5d_d_mrg" in flat:
            result["2.5d_d_mrg"] = _average([features(matrix, box.voxels) for matrix in planes])
        if "2.5d_v_mrg" in flat:
            total = planes.sum(axis=0, dtype=np.uint32)
            result["2.5d_v_mrg"] = features(total, IN_PLANE * box.voxels)
    if cube:
        depth = box.levels.shape[0]
        single = []
        total = np.zeros((), np.uint32)
        for block in _direction_blocks(0, len(OFFSETS), cells):
            matrices = count(block, 1, depth - 1)
            total = total + matrices.sum(axis=0, dtype=np.uint32)
            if "3d_avg" in cube:
                single += [features(matrix, box.voxels) for matrix in matrices]
        if "3d_avg" in cube:
            result["3d_avg"] = _average(single)
        if "3d_v_mrg" in cube:
            result["3d_v_mrg"] = features(total, len(OFFSETS) * box.voxels)
    return {
        (tag, code): float(value)
        for code, row in result.items()
        for tag, value in zip(tags, row, strict=True)
    }


def pair_texture(box: LevelBox, wanted: frozenset[str], *, maximal_correlation: bool = False) -> Features:
    """Return the 25 GLCM features (IBSI LFYI) for each aggregation wanted; distance 1.

    ``maximal_correlation`` adds ``cm_mcc``, which PyRadiomics has and IBSI has not.
    """
    n = box.present.size
    if n > MOST_PAIR_LEVELS:
        raise InputError(
            f"{n} grey levels occur in the region",
            f"expected {MOST_PAIR_LEVELS} or fewer for co-occurrence",
            "take a larger bin_width, or a bin_count",
        )
    levels = box.present.astype(np.float64)

    def count(directions: slice, start: int, stop: int) -> NDArray[np.uint32]:
        offsets = OFFSETS[directions]
        counts = np.zeros((len(offsets), n + 1, n + 1), np.uint32)
        kernels.count_pairs(box.packed, box.spans, offsets, start, stop, counts)
        return counts

    def features(counts: NDArray[np.uint32], _: float) -> Floats:
        inner = counts[1:, 1:].astype(np.float64)
        both = inner + inner.T
        row = formulas.pair_features(both, levels, box.histogram.size)
        return np.append(row, _maximal_correlation(both)) if maximal_correlation else row

    tags = (*PAIR_TAGS, "cm_mcc") if maximal_correlation else PAIR_TAGS

    return _aggregate(box, wanted, count=count, features=features, tags=tags, cells=(n + 1) ** 2)


def _maximal_correlation(counts: Floats) -> float:
    """Return the maximal correlation coefficient of a symmetric matrix; 1 for one level."""
    marginal = counts.sum(axis=0)
    kept = marginal > 0
    if np.count_nonzero(kept) < 2:
        return 1.0 if kept.any() else np.nan
    root = np.sqrt(marginal[kept])
    values = np.linalg.eigvalsh(counts[np.ix_(kept, kept)] / np.outer(root, root))
    return float(np.sort(np.abs(values))[-2])


def run_texture(box: LevelBox, wanted: frozenset[str]) -> Features:
    """Return the 16 GLRLM features (IBSI TP0I) for each aggregation wanted."""
    n = box.present.size
    levels = box.present.astype(np.float64)
    longest = max(box.levels.shape) - 2
    lengths = np.arange(1, longest + 1, dtype=np.float64)

    def count(directions: slice, start: int, stop: int) -> NDArray[np.uint32]:
        offsets = OFFSETS[directions]
        counts = np.zeros((len(offsets), n + 1, longest + 1), np.uint32)
        kernels.count_runs(box.packed, box.spans, offsets, start, stop, counts)
        return counts

    def features(counts: NDArray[np.uint32], voxels: float) -> Floats:
        inner = counts[1:, 1:].astype(np.int64)
        return formulas.emphasis_features(inner, levels, lengths, voxels)[:16]

    return _aggregate(
        box,
        wanted,
        count=count,
        features=features,
        tags=RUN_TAGS,
        cells=(n + 1) * (longest + 1),
    )


def _zone_features(column: Ints, level: Ints, levels: Ints, voxels: int) -> Floats:
    """Return the shared features of zones given by a whole number (size or distance) and a level."""
    occurring = np.bincount(column)
    values = np.flatnonzero(occurring)
    place = np.zeros(occurring.size, np.int64)
    place[values] = np.arange(values.size)
    row = np.zeros(int(levels[-1]) + 1, np.int64)
    row[levels] = np.arange(levels.size)
    table = kernels.tabulate(row[level], place[column], levels.size, values.size)
    return formulas.emphasis_features(
        table, levels.astype(np.float64), values.astype(np.float64), float(voxels)
    )[:16]


def zone_texture(box: LevelBox, wanted: frozenset[str], *, distances: bool = True) -> Features:
    """Return the 16 GLSZM and, with ``distances``, the 16 GLDZM features (IBSI 9SAK, VMDZ)."""
    columns = {1: SIZE_TAGS, 2: DISTANCE_TAGS} if distances else {1: SIZE_TAGS}
    result: Features = {}

    def put(code: str, tags: tuple[str, ...], row: Floats) -> None:
        result.update({(tag, code): float(v) for tag, v in zip(tags, row, strict=True)})

    if "3d" in wanted:
        distance = box.distance(planar=False) if distances else box.levels
        found = kernels.zones(box.levels, box.spans, distance, False)
        for column, tags in columns.items():
            row = _zone_features(found[:, column], found[:, 0], box.present, box.voxels)
            put("3d", tags, row)
    if wanted & {"2d", "2.5d"}:
        distance = box.distance(planar=True) if distances else box.levels
        found = kernels.zones(box.levels, box.spans, distance, True)
        bounds = np.searchsorted(found[:, 3], [*box.slices, box.levels.shape[0]])
        for column, tags in columns.items():
            if "2.5d" in wanted:
                row = _zone_features(found[:, column], found[:, 0], box.present, box.voxels)
                put("2.5d", tags, row)
            if "2d" in wanted:
                rows = [
                    _zone_features(
                        found[start:stop, column],
                        found[start:stop, 0],
                        box.present,
                        box.slice_voxels[k],
                    )
                    for k, start, stop in zip(box.slices, bounds[:-1], bounds[1:], strict=True)
                ]
                put("2d", tags, _average(rows))
    return result


def _tone_features(difference: Ints, voxels: Ints) -> Floats:
    number = np.arange(1, 27)
    tone = (difference[1:, 1:] / number).sum(axis=1)
    levels = np.arange(1, difference.shape[0], dtype=np.float64)
    return formulas.tone_difference_features(tone, voxels[1:, 1:].sum(axis=1), levels)


def _dependence_features(dependence: Ints) -> Floats:
    levels = np.arange(1, dependence.shape[0], dtype=np.float64)
    counts = dependence[1:, 1:]
    values = np.arange(1, 28, dtype=np.float64)
    return formulas.emphasis_features(counts, levels, values, float(counts.sum()))


def neighbour_texture(box: LevelBox, wanted: frozenset[str], *, alpha: int = 0) -> Features:
    """Return the 5 NGTDM and the 17 NGLDM features (IBSI IPET, REK0); distance 1.

    Args:
        box: The region.
        wanted: Aggregation codes ``2d``, ``2.5d``, ``3d``.
        alpha: Coarseness of NGLDM: largest difference of level that counts as dependent.
    """
    result: Features = {}
    depth = box.levels.shape[0]
    top = box.histogram.size

    def put(code: str, tone: Floats, dependence: Floats) -> None:
        result.update({(t, code): float(v) for t, v in zip(TONE_TAGS, tone, strict=True)})
        result.update({(t, code): float(v) for t, v in zip(DEPENDENCE_TAGS, dependence, strict=True)})

    if "3d" in wanted:
        counts, difference, voxels = kernels.neighbourhood(
            box.levels, box.spans, 1, depth - 1, False, alpha, top
        )
        put("3d", _tone_features(difference, voxels), _dependence_features(counts))
    if wanted & {"2d", "2.5d"}:
        tables = [
            kernels.neighbourhood(box.levels, box.spans, k, k + 1, True, alpha, top) for k in box.slices
        ]
        if "2d" in wanted:
            put(
                "2d",
                _average([_tone_features(d, v) for _, d, v in tables]),
                _average([_dependence_features(c) for c, _, _ in tables]),
            )
        if "2.5d" in wanted:
            counts, difference, voxels = (np.sum(part, axis=0) for part in zip(*tables, strict=True))
            put("2.5d", _tone_features(difference, voxels), _dependence_features(counts))
    return result
