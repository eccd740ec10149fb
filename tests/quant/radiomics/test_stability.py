"""Stability: published intraclass correlations, perturbations with known effect, clusters."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from coread.errors import InputError
from coread.quant.radiomics.perturbation import STANDARD, Perturbation, noise_level, perturbed
from coread.quant.radiomics.stability import (
    intraclass_correlation,
    redundancy_clusters,
    stability_table,
)

# Shrout and Fleiss 1979, table 2: six targets, four judges.
_SHROUT = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float
)


def test_icc_is_that_of_shrout_and_fleiss() -> None:
    one = intraclass_correlation(_SHROUT)
    three = intraclass_correlation(_SHROUT, consistency=True)
    assert one.value == pytest.approx(0.17, abs=0.005)
    assert three.value == pytest.approx(0.71, abs=0.005)
    # Limits as the R package psych prints them for the same table.
    assert (one.interval.low, one.interval.high) == pytest.approx((-0.13, 0.72), abs=0.005)
    assert (three.interval.low, three.interval.high) == pytest.approx((0.34, 0.95), abs=0.005)


def test_limits_cover_the_true_correlation() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        ratings = rng.normal(0, 2, (15, 1)) + rng.normal(0, 1, (15, 3))
        found = intraclass_correlation(ratings).interval
        covered += found.low <= 0.8 <= found.high
    assert covered / 400 == pytest.approx(0.95, abs=0.035)


def test_equal_repeats_agree_fully_and_an_offset_only_counts_in_one_kind() -> None:
    ratings = np.outer(np.arange(5.0), np.ones(3))
    assert intraclass_correlation(ratings).value == 1
    assert np.isnan(intraclass_correlation(np.ones((5, 3))).value)
    shifted = ratings + np.array([0.0, 5.0, -3.0])
    assert intraclass_correlation(shifted, consistency=True).value == pytest.approx(1)
    assert intraclass_correlation(shifted).value < 0.5
    with pytest.raises(InputError):
        intraclass_correlation(np.ones((1, 3)))


def _ball() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    spacing = np.array([2.0, 1.0, 1.0])
    place = (np.indices((24, 48, 48)).T - [12, 24, 24]).T * spacing[:, None, None, None]
    mask = np.sqrt((place**2).sum(axis=0)) <= 14
    return np.where(mask, 100.0, 0.0), mask, spacing


def test_no_change_changes_nothing() -> None:
    image, mask, spacing = _ball()
    values, region = perturbed(image, mask, spacing, Perturbation(), np.random.default_rng(0))
    assert np.array_equal(values, image)
    assert np.array_equal(region, mask)
    assert STANDARD[0] == Perturbation()


@pytest.mark.parametrize("share", [-0.2, 0.15, 0.5])
def test_volume_changes_by_the_share(share: float) -> None:
    image, mask, spacing = _ball()
    _, region = perturbed(image, mask, spacing, Perturbation(volume_change=share), np.random.default_rng(0))
    assert np.count_nonzero(region) == pytest.approx((1 + share) * np.count_nonzero(mask), rel=0.05)
    assert (region & mask).sum() == min(region.sum(), mask.sum())  # one lies in the other


def test_a_turned_ball_stays_and_a_shifted_one_moves() -> None:
    image, mask, spacing = _ball()
    rng = np.random.default_rng(0)
    _, turned = perturbed(image, mask, spacing, Perturbation(rotation_deg=30.0), rng)
    assert np.count_nonzero(turned) == pytest.approx(np.count_nonzero(mask), rel=0.01)
    assert np.argwhere(turned).mean(axis=0) == pytest.approx(np.argwhere(mask).mean(axis=0), abs=0.05)
    _, moved = perturbed(image, mask, spacing, Perturbation(translation=(0.0, 1.0, 0.0)), rng)
    assert np.array_equal(np.roll(moved, 1, axis=1), mask)


def test_noise_is_measured_and_added() -> None:
    rng = np.random.default_rng(1)
    image = rng.normal(0, 7, (8, 64, 64))
    assert noise_level(image) == pytest.approx(7, rel=0.05)
    _, mask, spacing = _ball()
    mask = mask[:8, :48, :48]
    noisy, _ = perturbed(image[:, :48, :48], mask, spacing, Perturbation(noise=1.0), rng)
    assert noisy.std() == pytest.approx(7 * np.sqrt(2), rel=0.05)


def test_contours_move_by_about_the_given_distance() -> None:
    image, mask, spacing = _ball()
    shifts = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        _, region = perturbed(image, mask, spacing, Perturbation(contour_mm=1.0), rng)
        surface = 4 * np.pi * 14**2
        shifts.append(np.count_nonzero(region ^ mask) * 2.0 / surface)
    # The mean absolute value of a Gaussian of 1 mm is 0.8 mm.
    assert np.mean(shifts) == pytest.approx(0.8, abs=0.2)


def test_redundant_features_share_a_cluster() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=40), rng.normal(size=40)
    clusters = redundancy_clusters(np.stack([a, np.exp(a), -a, b], axis=1))
    assert clusters[0] == clusters[1] == clusters[2] != clusters[3]


def test_the_table_keeps_the_most_stable_of_each_cluster() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=30)
    rows = []
    for repeat in range(4):
        for case, value in enumerate(truth):
            for name, noise in (("steady", 0.01), ("double", 0.1), ("noise", 10.0)):
                seen = {"steady": value, "double": 2 * value, "noise": 0}[name] + rng.normal(0, noise)
                rows.append((f"c{case}", "r", name, seen, repeat))
    frame = pd.DataFrame(rows, columns=["case", "label", "column", "value", "repeat"])
    table = stability_table(frame).set_index("feature")
    assert table["stable"].to_dict() == {"steady": True, "double": True, "noise": False}
    assert table["kept"].to_dict() == {"steady": True, "double": False, "noise": False}
    with pytest.raises(InputError, match="repeat"):
        stability_table(frame.drop(columns="repeat"))
