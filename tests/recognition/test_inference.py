"""Windows cover the image, agree with the whole, and come back to the grid they came from."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from coread.core import Geometry
from coread.errors import CancelledError, DataError, InputError
from coread.recognition import cxr_pneumonia
from coread.recognition.inference import (
    NetworkGrid,
    Window,
    gaussian_weights,
    mean_over_flips,
    memory_bound,
    network_predictor,
    resample_cubic,
    resample_linear,
    sliding_window,
    window_starts,
)


def pointwise(batch: np.ndarray) -> np.ndarray:
    """An answer that needs no surroundings: windows must change nothing."""
    return np.concatenate([batch[:, :1] * 2 + 1, batch[:, :1] ** 2], axis=1)


def lopsided(batch: np.ndarray) -> np.ndarray:
    """An answer that depends on the side and on the place in the window."""
    ramp = np.linspace(0, 1, batch.shape[-1], dtype=np.float32)
    return np.roll(batch, 1, axis=-1) * ramp


def smoothed(batch: np.ndarray) -> np.ndarray:
    """Mean of a neighbourhood of 3: treats both directions alike, uses 1 place around."""
    return ndimage.uniform_filter(batch, (1, 1, *[3] * (batch.ndim - 2)), mode="constant")


@given(st.integers(1, 300), st.integers(1, 64), st.floats(0, 0.9))
def test_windows_cover_every_place_symmetrically(length: int, size: int, overlap: float) -> None:
    starts = window_starts(length, size, overlap)
    covered = np.zeros(max(length, size), bool)
    for start in starts:
        covered[start : start + size] = True
    assert covered.all()
    assert all(b - a <= max(size * (1 - overlap), 1) for a, b in itertools.pairwise(starts))
    assert [max(length - size, 0) - start for start in reversed(starts)] == list(starts)


@pytest.mark.parametrize(
    ("shape", "size"), [((37, 50), (16, 16)), ((9, 40), (16, 12)), ((11, 23, 30), (8, 12, 12))]
)
@pytest.mark.parametrize("batch", [1, 3])
def test_pointwise_answers_are_those_on_the_whole(shape, size, batch) -> None:
    image = np.random.default_rng(0).random((2, *shape), dtype=np.float32)
    got = sliding_window(image, pointwise, Window(size=size, batch=batch))
    # sums of up to 27 windows in float32
    np.testing.assert_allclose(got, pointwise(image[None])[0], rtol=27 * 6e-8)


def test_gaussian_weights_are_a_gaussian() -> None:
    weights = gaussian_weights((9, 9), 0.25)
    assert weights[4, 4] == 1
    assert weights[4, 6] == pytest.approx(np.exp(-0.5 * (2 / 2.25) ** 2))
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])


def test_overlapping_answers_are_the_weighted_mean() -> None:
    """Two windows that answer 0 and 1: the blend is the share of the second one's weight."""
    calls = iter((0.0, 1.0))
    window = Window(size=(4, 6), overlap=0.5)
    got = sliding_window(np.zeros((1, 4, 9)), lambda b: np.full_like(b, next(calls)), window)
    along = gaussian_weights((4, 6), 0.125)[1]
    second = along[:3] / (along[:3] + along[3:])
    np.testing.assert_allclose(got[0, 1], [0, 0, 0, *second, 1, 1, 1], atol=1e-6)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_flipped_image_gets_the_flipped_answer(axis: int) -> None:
    image = np.random.default_rng(1).random((1, 13, 22, 17), dtype=np.float32)
    window = Window(size=(8, 8, 8), batch=2)
    got = sliding_window(np.flip(image, axis), smoothed, window)
    np.testing.assert_allclose(np.flip(got, axis), sliding_window(image, smoothed, window), atol=1e-5)


def test_rotated_image_gets_the_rotated_answer() -> None:
    image = np.random.default_rng(1).random((1, 21, 34), dtype=np.float32)
    got = sliding_window(np.rot90(image, 1, (1, 2)), smoothed, Window(size=(8, 8)))
    expected = np.rot90(sliding_window(image, smoothed, Window(size=(8, 8))), 1, (1, 2))
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_mean_over_flips_makes_a_lopsided_network_even() -> None:
    image = np.random.default_rng(2).random((1, 20, 26), dtype=np.float32)
    window = Window(size=(8, 8))
    even = mean_over_flips(lopsided, (0, 1))
    got = np.flip(sliding_window(np.flip(image, 2), even, window), 2)
    np.testing.assert_allclose(got, sliding_window(image, even, window), atol=1e-5)
    plain = np.flip(sliding_window(np.flip(image, 2), lopsided, window), 2)
    assert np.abs(plain - sliding_window(image, lopsided, window)).max() > 0.1
    batch = image[None, :, :8, :8]
    mean = (lopsided(batch) + np.flip(lopsided(np.flip(batch, 3)), 3)) / 2
    np.testing.assert_allclose(mean_over_flips(lopsided, (1,))(batch), mean, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4])
def test_memory_stays_within_the_stated_bound(batch: int) -> None:
    image = np.random.default_rng(3).random((2, 48, 64, 64), dtype=np.float32)
    window = Window(size=(24, 32, 32), batch=batch)
    bound = memory_bound(image.shape[1:], 2, 2, window)
    tracemalloc.start()
    try:
        sliding_window(image, pointwise, window)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert bound / 4 < peak <= bound


def test_progress_rises_to_one_and_cancel_stops() -> None:
    told: list[float] = []
    image = np.zeros((1, 30, 30))
    sliding_window(image, pointwise, Window(size=(8, 8), batch=4), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(CancelledError, match="cancelled after 0"):
        sliding_window(image, pointwise, Window(size=(8, 8)), cancel=lambda: True)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="2 axes"):
        sliding_window(np.zeros((1, 8, 8, 8)), pointwise, Window(size=(4, 4)))
    with pytest.raises(DataError, match="keeps the size"):
        sliding_window(np.zeros((1, 8, 8)), lambda b: b[..., 1:], Window(size=(4, 4)))
    with pytest.raises(InputError, match="overlap"):
        Window(size=(4,), overlap=1.0)
    with pytest.raises(InputError, match="RAS"):
        NetworkGrid(Geometry.axial((2, 2, 2)), "RAR")


def test_an_onnx_network_answers_through_the_predictor() -> None:
    network = cxr_pneumonia.network()
    films = np.random.default_rng(4).random((3, 1, 28, 28), dtype=np.float32)
    got = network_predictor(network, "features")(films)
    np.testing.assert_array_equal(got, network.run({"film": films})["features"])
    with pytest.raises(InputError, match="absent"):
        network_predictor(network, "absent")


def test_resampling_keeps_a_ramp_and_the_same_grid() -> None:
    """Linear in the place stays linear between the outermost centres; an equal length is left alone."""
    ramp = ((np.arange(10) + 0.5) * 2.0)[None, :, None] + np.zeros((1, 10, 3))
    finer = resample_linear(ramp, (20, 3))
    np.testing.assert_allclose(finer[0, 1:-1, 0], ((np.arange(20) + 0.5) * 1.0)[1:-1], rtol=1e-6)
    values = np.random.default_rng(5).random((2, 5, 6, 7), dtype=np.float32)
    np.testing.assert_array_equal(resample_linear(values, (5, 6, 7)), values)


def _turned(volume: np.ndarray, geometry: Geometry, axes, flips) -> tuple[np.ndarray, Geometry]:
    """The same patient in another storage."""
    affine = geometry.affine.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (geometry.shape[axis] - 1)
        affine[:3, axis] *= -1
    affine[:3, :3] = affine[:3, list(axes)]
    stored = np.flip(volume, flips).transpose(axes)
    return stored, Geometry(stored.shape, affine)


@pytest.mark.parametrize("codes", ["RAS", "SPL", "LPS"])
@pytest.mark.parametrize("spacing_mm", [None, (2.0, 1.5, 2.0)])
@pytest.mark.parametrize(
    ("axes", "flips"), [((0, 1, 2), (0,)), ((0, 1, 2), (1, 2)), ((2, 0, 1), (1,)), ((1, 2, 0), ())]
)
def test_stored_another_way_the_answer_is_the_same_in_the_patient(codes, spacing_mm, axes, flips) -> None:
    geometry = Geometry.axial((9, 14, 17), spacing_mm=(3.0, 0.8, 1.1))
    values = np.random.default_rng(6).random(geometry.shape, dtype=np.float32)
    turned, other = _turned(values, geometry, axes, flips)

    def answer(array: np.ndarray, grid: Geometry) -> np.ndarray:
        seen = NetworkGrid(grid, codes, spacing_mm)
        image = seen.to_network(array[None])
        assert image.shape[1:] == seen.shape
        out = sliding_window(image, lopsided, Window(size=(6, 6, 6)))
        return seen.from_network(out)[0]

    got, expected = answer(turned, other), answer(values, geometry)
    np.testing.assert_array_equal(got, _turned(expected, geometry, axes, flips)[0])


def test_axes_run_where_the_codes_say() -> None:
    geometry = Geometry.axial((4, 5, 6), spacing_mm=(1.0, 1.0, 1.0))  # columns run to the left
    left = np.broadcast_to(np.arange(6.0), geometry.shape)
    seen = NetworkGrid(geometry, "RAS").to_network(left[None])
    assert seen.shape == (1, 6, 5, 4)
    np.testing.assert_array_equal(seen[0, :, 0, 0], np.arange(6)[::-1])
    up = np.broadcast_to(np.arange(4.0)[:, None, None], geometry.shape)
    np.testing.assert_array_equal(NetworkGrid(geometry, "RAS").to_network(up[None])[0, 0, 0], np.arange(4))


def test_same_patient_on_a_finer_grid_gets_the_same_answer_in_millimetres() -> None:
    """A smooth object sampled at 1 mm and at 2 mm, seen by the network at 2 mm."""

    def bump(shape, spacing_mm: float) -> tuple[np.ndarray, Geometry]:
        steps = np.diag([spacing_mm] * 3)[::-1].T
        affine = np.eye(4)
        affine[:3, :3] = steps
        affine[:3, 3] = spacing_mm / 2  # one corner of the extent at 0
        grid = Geometry(shape, affine)
        place = grid.to_patient(np.moveaxis(np.indices(shape), 0, -1))
        return np.exp(-((place - 20.0) ** 2).sum(-1) / (2 * 6.0**2)).astype(np.float32), grid

    fine, fine_grid = bump((40, 40, 40), 1.0)
    coarse, coarse_grid = bump((20, 20, 20), 2.0)
    window = Window(size=(12, 12, 12))
    seen = NetworkGrid(fine_grid, "RAS", (2.0, 2.0, 2.0))
    got = seen.from_network(sliding_window(seen.to_network(fine[None]), smoothed, window))[0]
    other = NetworkGrid(coarse_grid, "RAS", (2.0, 2.0, 2.0))
    expected = other.from_network(sliding_window(other.to_network(coarse[None]), smoothed, window))[0]
    at = fine_grid.to_patient([[19, 19, 19], [14, 22, 25], [10, 20, 30]])
    sampled = ndimage.map_coordinates(expected, coarse_grid.to_index(at).T, order=1)
    np.testing.assert_allclose([got[19, 19, 19], got[14, 22, 25], got[10, 20, 30]], sampled, atol=0.01)


@pytest.mark.parametrize(
    ("before", "after", "shape", "expected", "mean"),
    [
        ((5.0, 0.7, 0.7), (3.0, 1.0, 1.0), (6, 20, 22), (0.109343, 0.523522, 1.840417, 0.411022), 0.105508),
        ((1.0, 1.0, 1.0), (1.5, 1.2, 0.8), (10, 15, 12), (0.098519, 0.703606, -1.432008, 1.238772), 0.170776),
    ],
)
def test_cubic_resampling_is_that_of_nnunet(
    before: tuple[float, ...],
    after: tuple[float, ...],
    shape: tuple[int, ...],
    expected: tuple[float, ...],
    mean: float,
) -> None:
    """Values of `resample_data_or_seg_to_shape` of nnunetv2 2.8.1, thick slices and even spacing."""
    k, j, i = np.mgrid[: shape[0], : shape[1], : shape[2]]
    values = (np.sin(0.9 * k) + np.cos(0.5 * j + 0.3 * k) * np.sin(0.7 * i))[None]
    new = [round(n * b / a) for n, b, a in zip(shape, before, after, strict=True)]
    (found,) = resample_cubic(values, new, before, after)
    places = ((0, 0, 0), (1, 3, 5), (3, 8, 7), (5, 2, 9))
    assert [float(found[place]) for place in places] == pytest.approx(expected, abs=2e-6)
    assert found.mean() == pytest.approx(mean, abs=2e-6)
    assert values.min() <= found.min() <= found.max() <= values.max()


def test_a_grid_takes_splines_in_and_lines_back() -> None:
    grid = NetworkGrid(Geometry.axial((6, 20, 22), (5.0, 0.7, 0.7)), "SPL", (3.0, 1.0, 1.0), cubic=True)
    ramp = np.broadcast_to(np.arange(22, dtype=np.float32), (1, 6, 20, 22)) + 3
    inside = grid.to_network(ramp)
    linear = NetworkGrid(grid.geometry, "SPL", grid.spacing_mm).to_network(ramp)
    np.testing.assert_allclose(inside[..., 2:-2], linear[..., 2:-2], atol=0.01)  # a straight line is no curve
    assert not np.array_equal(inside, linear)
    back = grid.from_network(inside)
    assert back.shape == ramp.shape
    np.testing.assert_allclose(back[..., 3:-3], ramp[..., 3:-3], atol=0.01)
