"""Maps name the places that a network of known make uses, and their measures tell good maps from bad."""

from __future__ import annotations

import numpy as np
import pytest

from coread.core import Geometry, ImagePlane
from coread.errors import CancelledError, InputError
from coread.recognition import attribution

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="needs torch: pip install 'coread[train]'")
PLANE = ImagePlane((24, 28))
WEIGHTS = np.zeros((24, 28), np.float32)
WEIGHTS[4:10, 16:22] = 1.0
IMAGE = (0.5 + np.random.default_rng(0).random((1, 24, 28))).astype(np.float32)


def linear(batch: np.ndarray) -> np.ndarray:
    """A network whose truth is known: the sum over one square."""
    return (batch[:, 0] * WEIGHTS).sum(axis=(1, 2))


def test_occlusion_of_a_sum_is_what_was_hidden() -> None:
    got = attribution.occlusion(IMAGE, linear, PLANE, size=1, step=1)
    np.testing.assert_allclose(got.values, IMAGE[0] * WEIGHTS, atol=2e-5)
    blocks = attribution.occlusion(IMAGE, linear, PLANE, size=4, step=4, baseline=IMAGE * 0 + 1)
    expected = ((IMAGE[0] - 1) * WEIGHTS).reshape(6, 4, 7, 4).sum(axis=(1, 3))
    np.testing.assert_allclose(blocks.values[::4, ::4], expected, atol=2e-5)
    assert blocks.grid == PLANE
    assert blocks.low == 0
    assert blocks.says


def test_occlusion_works_in_three_axes_and_covers_the_edges() -> None:
    grid = Geometry.axial((5, 6, 7))
    cube = np.ones((1, *grid.shape), np.float32)
    got = attribution.occlusion(cube, lambda b: b.sum(axis=(1, 2, 3, 4)), grid, size=3, step=2)
    np.testing.assert_allclose(got.values, 27.0)


def test_rise_of_a_sum_points_into_the_square() -> None:
    got = attribution.rise(IMAGE, linear, PLANE, rng=np.random.default_rng(0), masks=600, cells=6)
    assert attribution.pointing_game(got.values, WEIGHTS > 0, tolerance=1)
    inside, far = got.values[5:9, 17:21].mean(), got.values[14:, :12].mean()
    assert inside > 0
    assert abs(far) < 0.2 * inside
    again = attribution.rise(IMAGE, linear, PLANE, rng=np.random.default_rng(0), masks=600, cells=6)
    np.testing.assert_array_equal(got.values, again.values)


def test_rise_of_a_constant_is_flat() -> None:
    got = attribution.rise(
        IMAGE, lambda b: np.full(len(b), 3.0), PLANE, rng=np.random.default_rng(1), masks=64
    )
    np.testing.assert_allclose(got.values, 0, atol=1e-6)


def test_faithfulness_of_a_sum_has_its_closed_form() -> None:
    """Equal shares in a square of a part p: hidden first, the score falls to 0 at p, the area is p/2."""
    ones = np.ones_like(IMAGE)
    part = WEIGHTS.mean()
    good = attribution.faithfulness(WEIGHTS, ones, linear, steps=WEIGHTS.size)
    assert good.deletion == pytest.approx(part / 2, abs=1e-3)
    assert good.insertion == pytest.approx(1 - part / 2, abs=1e-3)
    bad = attribution.faithfulness(-WEIGHTS, ones, linear, steps=WEIGHTS.size)
    assert bad.deletion == pytest.approx(1 - part / 2, abs=1e-3)
    with pytest.raises(InputError, match="above 0"):
        attribution.faithfulness(WEIGHTS, -ones, linear)


def test_pointing_game_takes_the_highest_place() -> None:
    heat = np.full((5, 5), np.nan, np.float32)
    heat[2, 2], heat[0, 0] = 1.0, 0.5
    truth = np.zeros((5, 5), bool)
    truth[2, 3] = True
    assert not attribution.pointing_game(heat, truth)
    assert attribution.pointing_game(heat, truth, tolerance=1)
    with pytest.raises(InputError):
        attribution.pointing_game(heat, np.zeros((5, 5), bool))


def test_a_map_that_ignores_the_weights_fails_the_sanity_check() -> None:
    heat = np.random.default_rng(2).random((20, 20)).astype(np.float32)
    assert attribution.randomised_agreement(heat, heat**3) == pytest.approx(1)
    other = np.random.default_rng(3).random((20, 20)).astype(np.float32)
    assert abs(attribution.randomised_agreement(heat, other)) < 0.2
    assert attribution.randomised_agreement(heat, np.zeros_like(heat)) == 0


def test_progress_and_cancel() -> None:
    told: list[float] = []
    attribution.occlusion(IMAGE, linear, PLANE, size=8, step=8, batch=2, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
    with pytest.raises(CancelledError):
        attribution.occlusion(IMAGE, linear, PLANE, size=8, step=8, cancel=lambda: True)
    with pytest.raises(InputError, match="no larger"):
        attribution.occlusion(IMAGE, linear, PLANE, size=2, step=3)
    with pytest.raises(InputError, match="masks"):
        attribution.rise(IMAGE, linear, PLANE, rng=np.random.default_rng(0), masks=1)


def film_network():
    torch.manual_seed(0)
    features = torch.nn.Sequential(torch.nn.Conv2d(1, 6, 3, stride=2, padding=1), torch.nn.ReLU())
    mean = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(6, 2))
    return torch.nn.Sequential(features, mean).eval()


@pytest.mark.train
@needs_torch
def test_integrated_gradients_add_up_to_the_rise() -> None:
    network = torch.nn.Sequential(film_network(), torch.nn.Sigmoid())
    got = attribution.integrated_gradients(IMAGE, network, 1, PLANE, steps=128)
    with torch.no_grad():
        rise = network(torch.from_numpy(np.stack([IMAGE, IMAGE * 0])))[:, 1]
    assert float(got.values.sum()) == pytest.approx(float(rise[0] - rise[1]), abs=1e-3)


@pytest.mark.train
@needs_torch
def test_grad_cam_is_class_activation_where_the_network_ends_in_a_mean() -> None:
    """Selvaraju et al., section 3: for such networks both are the same up to the number of cells."""
    from coread.recognition.explain import class_activation

    network = film_network()
    got = attribution.grad_cam(IMAGE, network, network[0], 1, ImagePlane((24, 28)))
    with torch.no_grad():
        features = network[0](torch.from_numpy(IMAGE[None]))[0].numpy()
        weights = network[1][2].weight[1].numpy()
    cells = np.maximum(class_activation(features, weights) / features[0].size, 0)
    drawn = attribution.resample_linear(cells[None], (24, 28))[0]
    np.testing.assert_allclose(got.values, drawn, atol=1e-6)


@pytest.mark.train
@needs_torch
def test_weights_by_chance_change_the_map() -> None:
    network = film_network()
    image = np.zeros_like(IMAGE)
    image[0, 5:9, 5:9] = 1
    ours = attribution.integrated_gradients(image + IMAGE, network, 1, PLANE).values
    found = [
        attribution.randomised_agreement(
            ours,
            attribution.integrated_gradients(
                image + IMAGE, attribution.with_random_weights(network, seed), 1, PLANE
            ).values,
        )
        for seed in range(5)
    ]
    assert np.median(np.abs(found)) < 0.9
    other = attribution.with_random_weights(network, 0)
    assert not torch.equal(other[0][0].weight, network[0][0].weight)
