"""Settings: presets, TOML there and back, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coread.errors import InputError
from coread.quant.radiomics import PRESETS, Discretisation, Settings, preset
from coread.quant.radiomics.filters import Gabor, LaplacianOfGaussian, Laws, SeparableWavelet
from coread.quant.radiomics.spectral import Riesz


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_from_toml(name: str, tmp_path: Path) -> None:
    wanted = replace(
        preset(name),
        filters=(
            LaplacianOfGaussian(sigma_mm=2.0),
            Laws(kernels=("E5", "L5", "S5"), pooling=None, energy_delta=None),
            Gabor(theta_step=None),
            SeparableWavelet(wavelet="db3", bands="HHL", pooling="average"),
            Riesz(order=(1, 1, 0)),
        ),
    )
    path = tmp_path / "s.toml"
    path.write_text(wanted.to_toml(), encoding="utf-8")
    assert Settings.from_toml(path) == wanted


def test_a_file_can_start_from_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "ibsi-c"\n[discretisation]\nbin_width = 10.0\n', encoding="utf-8")
    assert Settings.from_toml(path) == replace(
        preset("ibsi-c"), name="mine", discretisation=Discretisation(bin_width=10.0)
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bin_size = 3", "no bin_size"),
        ('preset = "ibsi-z"', "no preset"),
        ("spacing_mm = [1.0, 0.0, 1.0]", "positive"),
        ("families = ['glcm', 'glxm']", "glxm"),
        ("intensity_range = [3, 1]", "rises"),
        ("[discretisation]\nbin_width = 1.0\nbin_count = 3", "not both"),
        ("[discretisation]\nbins = 3", "can't be read"),
        ("[[filters]]\nkind = 'sobel'", "sobel"),
        ("[[filters]]\nkind = 'separable_wavelet'\nwavelet = 'sym9'", "sym9"),
        ("spacing_mm", "not TOML"),
    ],
)
def test_bad_settings_are_refused_with_words(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        Settings.from_toml(path)


@pytest.mark.parametrize(
    "name", ["haar", *(f"db{n}" for n in range(2, 13)), *(f"coif{n}" for n in range(1, 6))]
)
def test_wavelets_are_orthonormal(name: str) -> None:
    from coread.quant.radiomics.filters import _low_pass

    taps = np.array(_low_pass(name))
    assert taps.sum() == pytest.approx(np.sqrt(2), abs=1e-7)
    for shift in range(0, taps.size, 2):
        product = taps[shift:] @ taps[: taps.size - shift]
        assert product == pytest.approx(float(shift == 0), abs=1e-7)
    # A Daubechies filter of 2 N taps has N vanishing moments.
    if name.startswith("db"):
        high = taps[::-1] * (-1.0) ** np.arange(taps.size)
        for power in range(min(4, taps.size // 2)):
            assert high @ np.arange(taps.size) ** power == pytest.approx(0, abs=1e-6)


def test_riesz_of_a_wave_turns_its_phase() -> None:
    # cos(w x) lies within the band and becomes sin(w x) times the band's gain.
    x = np.arange(32)
    wave = np.cos(2 * np.pi * 8 * x / 32) * np.ones((4, 4, 1))
    response = Riesz(order=(1, 0, 0)).response(wave, np.ones(3))
    expected = np.sin(2 * np.pi * 8 * x / 32) * np.ones((4, 4, 1))
    assert response == pytest.approx(expected, abs=1e-9)


def test_a_scaled_laplacian_of_gaussian_is_that_of_itk_and_marked() -> None:
    # ITK's filter, normalised across scale, is what PyRadiomics uses; it approximates by recursion.
    import SimpleITK as sitk

    rng = np.random.default_rng(0)
    image = rng.normal(size=(24, 26, 28))
    item = LaplacianOfGaussian(sigma_mm=3.0, scaled=True)
    ours = item.response(image, np.array([1.5, 1.0, 1.0]))[8:-8, 8:-8, 8:-8]
    picture = sitk.GetImageFromArray(image)
    picture.SetSpacing((1.0, 1.0, 1.5))
    itk = sitk.LaplacianRecursiveGaussian(picture, 3.0, True)
    theirs = sitk.GetArrayFromImage(itk)[8:-8, 8:-8, 8:-8]
    assert np.abs(ours - theirs).max() < 0.03 * np.abs(theirs).max()
    assert not item.standardised
    assert LaplacianOfGaussian(sigma_mm=3.0).standardised
