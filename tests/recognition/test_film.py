"""Films become small squares as the published 28-pixel films did."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Picture

from coread.errors import InputError
from coread.recognition.film import Square, centre_square, grey, shrink, small_film


@pytest.mark.parametrize("size", [28, 31, 56, 97, 200])
def test_shrinking_equals_pillows_bilinear_filter(size: int) -> None:
    pixels = np.random.default_rng(size).integers(0, 4000, (size, size)).astype(np.float32)
    expected = np.asarray(Picture.fromarray(pixels).resize((28, 28), Picture.Resampling.BILINEAR))
    np.testing.assert_allclose(shrink(pixels, 28), expected, rtol=2e-5, atol=1e-2)


def test_shrinking_keeps_the_mean_of_whole_blocks_far_from_the_border() -> None:
    ramp = np.add.outer(np.arange(280.0), np.zeros(280))
    np.testing.assert_allclose(shrink(ramp, 28)[3:-3, 0], np.arange(3, 25) * 10 + 4.5)


@given(st.floats(0.01, 5000), st.floats(-4000, 4000))
def test_any_rising_line_of_grey_values_gives_the_same_small_film(gain: float, shift: float) -> None:
    film = np.random.default_rng(0).random((40, 52))
    np.testing.assert_allclose(small_film(film * gain + shift, 28), small_film(film, 28), atol=1e-4)


def test_only_the_centred_square_matters() -> None:
    film = np.random.default_rng(1).random((60, 100))
    other = film.copy()
    other[:, :20] = 7.0
    other[:, 80:] = -7.0
    np.testing.assert_array_equal(small_film(film, 28), small_film(other, 28))
    assert centre_square((60, 100)) == Square(0, 20, 60)
    assert centre_square((101, 60)) == Square(20, 0, 60)


def test_a_mirrored_film_gives_the_mirrored_small_film() -> None:
    film = np.random.default_rng(2).random((64, 64))
    np.testing.assert_allclose(small_film(film[:, ::-1], 28), small_film(film, 28)[:, ::-1], atol=1e-6)


def test_a_film_without_contrast_becomes_zero() -> None:
    assert not small_film(np.full((50, 50), 1234.0), 28).any()


def test_grey_is_the_mean_of_equal_channels_and_drops_alpha() -> None:
    film = np.random.default_rng(3).integers(0, 255, (5, 6))
    colour = np.stack([film, film, film, np.zeros_like(film)], axis=-1)
    np.testing.assert_array_equal(grey(colour), film)


@pytest.mark.parametrize("bad", [np.zeros((2, 3, 4, 5)), np.full((4, 4), np.nan), np.zeros((0, 4))])
def test_what_is_no_film_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="film"):
        grey(bad)


def test_published_small_films_are_found_again(shared) -> None:
    """The 224-pixel copies are squeezed; stretched back and shrunk they equal PneumoniaMNIST's films."""
    folder = shared / "images"
    published = np.load(folder / "pneumoniamnist" / "pneumoniamnist_trainval.npz")
    films = np.concatenate([published["train_images"], published["val_images"]]).astype(np.float64)
    films = films.reshape(len(films), -1)
    films -= films.mean(axis=1, keepdims=True)
    films /= np.linalg.norm(films, axis=1, keepdims=True)
    copies = sorted((folder / "chest" / "kermany_cxr224" / "images").glob("*.jpeg"))[:40:2]
    found = 0
    for path in copies:
        picture = Picture.open(path).convert("L")
        best = 0.0
        for aspect in np.arange(1.0, 2.0, 0.05):
            stretched = picture.resize((round(224 * aspect), 224), Picture.Resampling.BICUBIC)
            small = small_film(np.asarray(stretched), 28).astype(np.float64).ravel()
            small -= small.mean()
            best = max(best, float((films @ (small / np.linalg.norm(small))).max()))
        found += best > 0.98
    assert found >= 0.8 * len(copies)  # 516 of 560 were found by the one who gave the data
