"""Compiled kernels against plain NumPy and other implementations, on small arrays."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist, pdist
from skimage.measure import marching_cubes, mesh_surface_area

from coread.quant.radiomics import _filter_kernels, _kernels, _shape_kernels, morphology
from coread.quant.radiomics.texture import OFFSETS


def _levels(seed: int = 0, top: int = 4) -> NDArray[np.uint16]:
    rng = np.random.default_rng(seed)
    box = np.zeros((6, 7, 8), np.uint16)
    inner = rng.integers(1, top + 1, (4, 5, 6))
    box[1:-1, 1:-1, 1:-1] = np.where(rng.random(inner.shape) < 0.8, inner, 0)
    return box


def _blob(seed: int, smooth: float) -> NDArray[np.bool_]:
    noise = np.random.default_rng(seed).standard_normal((9, 11, 10))
    return np.asarray(ndimage.gaussian_filter(noise, smooth) > 0 if smooth else noise > 0)


def test_pairs_are_those_counted_one_by_one() -> None:
    box = _levels()
    counts = np.zeros((13, 5, 5), np.uint32)
    _kernels.count_pairs(box, _kernels.row_spans(box), OFFSETS, 1, 5, counts)
    for d, offset in enumerate(OFFSETS):
        expected = np.zeros((5, 5), int)
        for place in product(range(1, 5), range(1, 6), range(1, 7)):
            expected[box[place], box[tuple(np.add(place, offset))]] += 1
        assert np.array_equal(counts[d, 1:, 1:], expected[1:, 1:])


def test_runs_are_those_walked_one_by_one() -> None:
    box = _levels(1, top=2)
    counts = np.zeros((13, 3, 7), np.uint32)
    _kernels.count_runs(box, _kernels.row_spans(box), OFFSETS, 1, 5, counts)
    for d, offset in enumerate(OFFSETS):
        expected = np.zeros((3, 7), int)
        for place in product(range(1, 5), range(1, 6), range(1, 7)):
            level = box[place]
            if level == 0 or box[tuple(np.subtract(place, offset))] == level:
                continue
            length, at = 1, np.add(place, offset)
            while box[tuple(at)] == level:
                length, at = length + 1, at + offset
            expected[level, length] += 1
        assert np.array_equal(counts[d], expected)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("alpha", [0, 1])
def test_neighbourhoods_are_those_looked_up_one_by_one(planar: bool, alpha: int) -> None:
    box = _levels(2)
    dependence, difference, voxels = _kernels.neighbourhood(
        box, _kernels.row_spans(box), 1, 5, planar, alpha, 4
    )
    tone = np.zeros(5)
    expected = np.zeros((5, 28), int)
    number = np.zeros(5, int)
    for k, j, i in product(range(1, 5), range(1, 6), range(1, 7)):
        level = int(box[k, j, i])
        if level == 0:
            continue
        layers = slice(k, k + 1) if planar else slice(k - 1, k + 2)
        cube = box[layers, j - 1 : j + 2, i - 1 : i + 2].astype(int)
        expected[level, np.count_nonzero((cube > 0) & (abs(cube - level) <= alpha))] += 1
        n = np.count_nonzero(cube) - 1
        if n:
            tone[level] += abs(level - (cube.sum() - level) / n)
            number[level] += 1
    assert np.array_equal(dependence, expected)
    assert np.array_equal(voxels[:, 1:].sum(axis=1), number)
    assert (difference[:, 1:] / np.arange(1, 27)).sum(axis=1) == pytest.approx(tone)


@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_zones_are_connected_components(planar: bool, seed: int) -> None:
    box = _levels(seed, top=2)
    mask = np.pad(np.ones((4, 5, 6), np.uint8), 1)
    distance = _kernels.border_distance(mask, planar)
    found = _kernels.zones(box, _kernels.row_spans(box), distance, planar)
    structure = np.ones((3, 3, 3), int)
    if planar:
        structure[[0, 2]] = 0
    expected = []
    for level in (1, 2):
        labels, n = ndimage.label(box == level, structure)
        for zone in range(1, n + 1):
            place = labels == zone
            expected.append((level, place.sum(), distance[place].min(), np.argwhere(place)[0, 0]))
    assert sorted(map(tuple, found.tolist())) == sorted(tuple(map(int, row)) for row in expected)


@pytest.mark.parametrize("planar", [False, True])
def test_border_distance_is_the_number_of_erosions(planar: bool) -> None:
    mask = np.pad(_blob(0, 2.0), 1)
    structure = ndimage.generate_binary_structure(3, 1)
    if planar:
        structure[[0, 2]] = False
    expected = np.zeros(mask.shape, int)
    left = mask
    while left.any():
        expected += left
        left = ndimage.binary_erosion(left, structure)
    assert np.array_equal(_kernels.border_distance(mask.view(np.uint8), planar), expected)


@pytest.mark.parametrize("smooth", [0.0, 1.0, 2.0])
def test_mesh_is_that_of_marching_cubes(smooth: float) -> None:
    spacing = np.array([2.5, 0.8, 0.7])
    padded = np.pad(_blob(1, smooth).view(np.uint8), 1)
    vertices, faces, *_ = marching_cubes(padded.astype(float), 0.5, spacing=tuple(spacing))
    corners = vertices[faces].astype(float)
    volume = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    hull = ConvexHull(vertices)
    mesh = morphology.region_mesh(padded, spacing)
    assert mesh.volume_mm3 == pytest.approx(abs(volume), rel=1e-6)
    assert mesh.area_mm2 == pytest.approx(mesh_surface_area(vertices, faces), rel=1e-6)
    assert mesh.hull_volume_mm3 == pytest.approx(hull.volume, rel=1e-6)
    assert mesh.hull_area_mm2 == pytest.approx(hull.area, rel=1e-6)
    assert mesh.diameter_mm == pytest.approx(pdist(vertices[hull.vertices]).max(), rel=1e-6)


def test_autocorrelation_is_the_sum_over_all_pairs() -> None:
    spacing = np.array([2.5, 0.8, 0.7])
    mask = _blob(2, 1.0)
    image = np.random.default_rng(2).standard_normal(mask.shape)
    places, values = np.argwhere(mask) * spacing, image[mask]
    with np.errstate(divide="ignore"):
        weights = 1 / cdist(places, places)
    np.fill_diagonal(weights, 0)
    centred = values - values.mean()
    n, total, variance = values.size, weights.sum(), (centred**2).sum()
    moran = n / total * (centred @ weights @ centred) / variance
    squares = (values[:, None] - values[None]) ** 2
    geary = (n - 1) / (2 * total) * (weights * squares).sum() / variance
    found = morphology.spatial_autocorrelation(image, mask, spacing)
    assert found == pytest.approx((moran, geary), rel=1e-9)


def test_moments_are_those_of_the_voxels() -> None:
    mask = _blob(3, 1.0)
    k, j, i = np.argwhere(mask).T
    padded = np.pad(mask.view(np.uint8), 1)
    expected = [k.size, *(v.sum() for v in (k, j, i, k * k, j * j, i * i, k * j, k * i, j * i))]
    assert _shape_kernels.index_moments(padded).tolist() == expected
    image = np.random.default_rng(3).standard_normal(mask.shape)
    v = image[mask]
    weighted = [v.sum(), (v * k).sum(), (v * j).sum(), (v * i).sum()]
    assert _shape_kernels.weighted_moments(image, mask) == pytest.approx(weighted)


def test_extent_and_label_boxes_are_those_of_the_voxels() -> None:
    mask = np.zeros((5, 6, 7), bool)
    mask[1:3, 2:5, 3] = True
    assert _kernels.extent(mask).tolist() == [6, 1, 2, 2, 4, 3, 3]
    labels = np.where(mask, np.uint16(2), np.uint16(0))
    assert _kernels.label_boxes(labels, 2)[2].tolist() == [1, 2, 2, 4, 3, 3]
    assert _kernels.label_boxes(labels, 2)[1, 1] == -1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_convolution_is_that_of_scipy(axis: int) -> None:
    rng = np.random.default_rng(4)
    image, taps = rng.standard_normal((6, 7, 8)), rng.standard_normal(5)
    padded = np.pad(image, [(2, 2) if a == axis else (0, 0) for a in range(3)], mode="symmetric")
    expected = ndimage.correlate1d(image, taps, axis=axis, mode="reflect")
    if axis == 2:
        found = _filter_kernels.correlate_last(padded.reshape(-1, padded.shape[2]), taps)
    else:
        inner = int(np.prod(image.shape[axis + 1 :]))
        shaped = padded.reshape(-1, padded.shape[axis], inner)
        found = _filter_kernels.correlate_middle(shaped, taps)
    assert found.reshape(image.shape) == pytest.approx(expected)


def test_sphere_sums_are_those_of_a_mask() -> None:
    rng = np.random.default_rng(5)
    image, centres = rng.standard_normal((9, 9, 9)), rng.random((5, 5, 5)) < 0.5
    offsets = np.array([
        (k, j, int(np.sqrt(4 - k * k - j * j))) for k in (-2, -1, 0, 1, 2) for j in (-2, -1, 0, 1, 2)
        if k * k + j * j <= 4
    ])  # fmt: skip
    ball = np.sum(np.square(np.indices((5, 5, 5)) - 2), axis=0) <= 4
    expected = ndimage.correlate(image, ball.astype(float))[2:-2, 2:-2, 2:-2]
    found = _shape_kernels.sphere_sums(image, centres, offsets, np.array([2, 2, 2]))
    assert found[centres] == pytest.approx(expected[centres])
