import numpy as np
import pytest

from coread.errors import InputError
from coread.testing import _kernels
from coread.testing.demo.ct import Scanner, simulate_ct

QUIET = Scanner(views=300, photons=1e10)


def _disc(n: int, radius: float, centre: tuple[float, float] = (0.0, 0.0), inner: float = 0.0) -> np.ndarray:
    """Air with a disc of `inner` HU, its edge anti-aliased."""
    place = np.arange(n) - (n - 1) / 2
    r = np.hypot(place[:, None] - centre[0], place - centre[1])
    cover = np.clip(radius - r + 0.5, 0, 1)
    return (-1000.0 + (inner + 1000.0) * cover).astype(np.float32)


def test_line_integrals_of_a_disc_match_the_chord() -> None:
    n, radius, (cy, cx) = 128, 40.0, (5.0, -8.0)
    image = ((_disc(n, radius, (cy, cx)) + 1000) / 1000)[:, :, None].astype(np.float32)
    angles = np.linspace(0.0, np.pi, 37, endpoint=False)
    sinogram = np.empty((37, n + 8, 1), dtype=np.float32)
    transposed = np.ascontiguousarray(image.transpose(1, 0, 2))
    _kernels.project_slices(image, transposed, np.cos(angles), np.sin(angles), sinogram)
    offset = np.arange(n + 8) - (n + 7) / 2
    middle = cx * np.cos(angles) + cy * np.sin(angles)
    chord = 2 * np.sqrt(np.maximum(radius**2 - (offset - middle[:, None]) ** 2, 0))
    inside = np.abs(offset - middle[:, None]) < radius - 5  # near the rim the chord changes too fast
    assert np.abs(sinogram[..., 0] - chord)[inside].max() < 0.4
    # every view sees the whole disc
    assert sinogram.sum(axis=(1, 2)) == pytest.approx(np.full(37, np.pi * radius**2), rel=2e-3)


@pytest.mark.parametrize("hu", [0.0, 60.0, -850.0])
def test_the_scanner_is_calibrated(hu: float) -> None:
    body = _disc(192, 70.0, inner=hu)[None]
    ct = simulate_ct(body, pixel_mm=1.5, rng=np.random.default_rng(0), scanner=QUIET)[0]
    inner = _disc(192, 62.0) > -1
    air = (_disc(192, 78.0) < -999) & (_disc(192, 92.0) > -1)
    assert ct[inner].mean() == pytest.approx(hu, abs=3.0)
    assert ct[air].mean() == pytest.approx(-1000.0, abs=5.0)


def test_a_part_keeps_its_place() -> None:
    body = np.maximum(_disc(128, 50.0), _disc(128, 6.0, (20.0, -11.0), inner=500.0))[None]
    ct = simulate_ct(body, pixel_mm=2.0, rng=np.random.default_rng(0), scanner=QUIET)[0]
    rows, columns = np.nonzero(ct > 250)
    assert rows.mean() - 63.5 == pytest.approx(20.0, abs=0.2)
    assert columns.mean() - 63.5 == pytest.approx(-11.0, abs=0.2)


def test_noise_falls_with_the_root_of_the_dose() -> None:
    body = _disc(128, 50.0)[None]
    inner = _disc(128, 30.0) > -1
    spread = []
    for photons in (1e4, 4e4):
        scanner = Scanner(views=200, photons=photons)
        ct = simulate_ct(body, pixel_mm=2.0, rng=np.random.default_rng(3), scanner=scanner)[0]
        spread.append(ct[inner].std())
    assert spread[0] / spread[1] == pytest.approx(2.0, rel=0.1)


def test_threads_and_batches_do_not_change_the_picture() -> None:
    body = np.stack([_disc(64, 20.0 + k) for k in range(5)])
    one, two = (
        simulate_ct(body, pixel_mm=3.0, rng=np.random.default_rng(1), scanner=Scanner(views=60), jobs=jobs)
        for jobs in (1, 2)
    )
    assert np.abs(one.astype(int) - two).max() <= 1


def test_a_body_out_of_the_field_is_refused() -> None:
    with pytest.raises(InputError, match="field of view"):
        simulate_ct(np.zeros((1, 64, 64), dtype=np.float32), pixel_mm=1.0, rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="square"):
        simulate_ct(np.zeros((1, 64, 32), dtype=np.float32), pixel_mm=1.0, rng=np.random.default_rng(0))
