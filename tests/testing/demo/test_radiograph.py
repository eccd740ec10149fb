import numpy as np
import pytest

from coread.testing import _kernels
from coread.testing.demo.radiograph import FilmSettings, simulate_film
from coread.testing.thorax import Consolidation, Thorax

SMALL = FilmSettings(shape=(256, 240), pixel_mm=1.6)


def test_a_ball_is_magnified_by_its_distance() -> None:
    step, r = 1.0, 20.0
    y, z, x = np.meshgrid(np.arange(-30, 31, 2.0), np.arange(-60, 61), np.arange(-60, 61), indexing="ij")
    planes = ((x - 10) ** 2 + y**2 + (z - 5) ** 2 <= r**2).astype(np.float32)
    out = np.zeros((200, 200), dtype=np.float32)
    us = vs = np.arange(200) - 99.5
    depths = 800.0 + np.arange(-30, 31, 2.0)
    _kernels.cone_beam(planes, -60.0, -60.0, step, depths, 1000.0, us, vs, out)
    rows, columns = np.nonzero(out > 2.0)
    magnification = 1000.0 / 800.0
    assert us[columns].mean() == pytest.approx(10 * magnification, abs=0.7)
    assert vs[rows].mean() == pytest.approx(5 * magnification, abs=0.7)
    # the area of the shadow's integral grows with the square of the magnification
    assert out.sum() * 2.0 == pytest.approx(4 / 3 * np.pi * r**3 * magnification**2, rel=0.02)


def test_the_consolidation_is_seen_where_the_truth_says() -> None:
    clear = Thorax(arms="down", seed=2)
    opacity = Consolidation(centre_mm=(-64.0, 18.0, -36.0), radius_mm=34.0, density=0.95)
    opaque = Thorax(arms="down", seed=2, consolidation=opacity)
    without, with_it = (
        simulate_film(t, rng=np.random.default_rng(0), settings=SMALL) for t in (clear, opaque)
    )
    brighter = with_it.values.astype(float) - without.values
    assert not without.opacity.any()
    assert brighter[with_it.opacity].mean() > 150
    assert abs(brighter[~with_it.opacity].mean()) < 60
    # the patient's right is on the left of the film
    assert np.nonzero(with_it.opacity)[1].mean() < 120


def test_lungs_are_darker_than_the_heart_and_air_is_darkest() -> None:
    film = simulate_film(Thorax(arms="down"), rng=np.random.default_rng(0), settings=SMALL).values
    lung = film[110:130, 60:80].mean()
    middle = film[150:170, 118:126].mean()
    air = film[2:10, 2:10].mean()
    assert air < lung < middle
    assert film.max() <= 4095
