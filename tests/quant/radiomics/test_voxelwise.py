"""Feature maps: every voxel's value is that of its window extracted as a region."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from coread.core import Acquisition, Geometry, Mask, Volume
from coread.errors import InputError
from coread.quant.radiomics import Discretisation, extract_arrays, preset
from coread.quant.radiomics.texture import (
    DEPENDENCE_TAGS,
    PAIR_TAGS,
    RUN_TAGS,
    SIZE_TAGS,
    TONE_TAGS,
)
from coread.quant.radiomics.voxelwise import feature_maps, map_arrays

_STATISTICS = tuple(
    f"stat_{name}" for name in ("mean", "var", "skew", "kurt", "median", "p10", "p90", "rmad")
)
_LEVELS = replace(
    preset("ibsi-phantom"),
    aggregations=("3d_avg", "3d_v_mrg", "3d"),
    volume_histogram=Discretisation(bin_count=9),
)


def _scene() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    # Whole levels with the highest everywhere within reach, so that a window alone has the same N_g.
    image = rng.integers(1, 5, (5, 6, 7)).astype(float)
    mask = rng.random(image.shape) < 0.85
    return image, mask


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("radius", [1, 2])
def test_a_map_holds_the_features_of_each_window(merged: bool, radius: int) -> None:
    image, mask = _scene()
    tags = (*_STATISTICS, *PAIR_TAGS, *RUN_TAGS, *SIZE_TAGS, *TONE_TAGS, *DEPENDENCE_TAGS)
    code = "3d_v_mrg" if merged else "3d_avg"
    wanted = replace(_LEVELS, aggregations=(code, "3d"))
    maps = map_arrays(image, mask, wanted, tags, radius=radius)
    checked = 0
    for place in np.argwhere(mask)[::23]:
        box = tuple(slice(max(0, p - radius), p + radius + 1) for p in place)
        if not (mask[box] & (image[box] == 4)).any():
            continue  # the window's own highest level differs from the region's
        table = extract_arrays(image[box], {"w": mask[box]}, (1, 1, 1), wanted)
        for item in table:
            if item.feature in tags:
                found = maps[item.feature][tuple(place)]
                expected = np.nan if item.value is None else item.value
                assert found == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True), item
        checked += 1
    assert checked > 3
    assert np.isnan(maps["stat_mean"][~mask]).all()


def test_maps_lie_on_the_volume() -> None:
    image, mask = _scene()
    geometry = Geometry.axial(image.shape, (3.0, 1.0, 1.0))
    volume = Volume(image.astype(np.float32), geometry, "HU", Acquisition("CT"), "1.2")
    (made,) = feature_maps(volume, Mask(mask, geometry), _LEVELS, ["cm_contrast"])
    assert made.grid is geometry
    assert made.meaning.value == "ACUI"
    assert made.low == np.nanmin(made.values)


def test_features_without_a_map_are_refused() -> None:
    image, mask = _scene()
    with pytest.raises(InputError, match="no map"):
        map_arrays(image, mask, _LEVELS, ["morph_vol"])
    with pytest.raises(InputError, match="empty"):
        map_arrays(image, np.zeros_like(mask), _LEVELS, ["stat_mean"])
    with pytest.raises(InputError, match="radius"):
        map_arrays(image, mask, _LEVELS, ["stat_mean"], radius=0)
