"""The left ventricle on cine MR: places are kept, fractions follow known ones, wrong series are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.core import Acquisition, Geometry, Inputs, TimeSeries
from coread.errors import DataError, NotApplicableError
from coread.recognition import lv_cine
from coread.recognition.lv_cine import (
    CAVITY,
    EJECTION_FRACTION,
    END_DIASTOLIC_VOLUME,
    END_SYSTOLIC_VOLUME,
    Frames,
    LvCine,
    agreements,
    back_from_middle,
    cavity,
    ejection_fraction,
    figures,
    fractions_by_patient,
    largest_region,
    middle,
    read_frames,
    stretched,
    sums_by_patient,
)
from coread.recognition.metrics import dice
from coread.recognition.runtime import load_card
from coread.testing import check_analyzer


@pytest.fixture(scope="module")
def frames(shared: Path) -> Frames:
    return read_frames(shared / "images/sunnybrook_cine/sunnybrook_train.npz")


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))
def test_the_middle_goes_back_to_its_place(rows: int, columns: int, side: int) -> None:
    mask = np.random.default_rng(rows * 41 + columns).random((2, rows, columns)) > 0.5
    small = middle(mask, side)
    assert small.shape == (2, side, side)
    back = back_from_middle(small, (rows, columns))
    seen = back_from_middle(np.ones_like(small), (rows, columns))
    np.testing.assert_array_equal(back, mask & seen)
    assert seen.sum() == 2 * min(rows, side) * min(columns, side)


def test_the_largest_region_is_kept_and_filled() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:12, 2:12] = True
    mask[5:8, 5:8] = False
    mask[15:18, 15:18] = True
    expected = np.zeros((20, 20), bool)
    expected[2:12, 2:12] = True
    np.testing.assert_array_equal(largest_region(mask), expected)
    assert not largest_region(np.zeros((3, 3), bool)).any()


@given(st.floats(0.1, 50), st.floats(-100, 100))
def test_frames_are_read_alike_at_any_gain(gain: float, shift: float) -> None:
    frame = np.random.default_rng(0).random((2, 20, 20)) * 100
    np.testing.assert_allclose(stretched(frame * gain + shift), stretched(frame), atol=1e-4)


def test_fractions_of_the_given_patients_are_the_known_ones(frames: Frames) -> None:
    """Mean and deviation by group as the data's description gives them, from the experts' contours."""
    fractions = fractions_by_patient(frames.masks.sum(axis=(1, 2)).astype(float), frames)
    assert len(fractions) == 30
    known = {"SC-HF-I-": (27, 6), "SC-HF-NI-": (26, 14), "SC-HYP-": (61, 9), "SC-N-": (53, 7)}
    for group, (mean, deviation) in known.items():
        values = [f for patient, f in fractions.items() if patient.startswith(group)]
        assert np.mean(values) == pytest.approx(mean, abs=0.6), group
        assert np.std(values) == pytest.approx(deviation, abs=0.6), group


def test_figures_of_halved_masks_have_a_closed_form() -> None:
    """Half of each mask found: Dice 2/3 everywhere, the fraction as it was."""
    masks = np.zeros((4, 8, 8), bool)
    for number, size in enumerate((8, 4, 8, 2)):
        masks[number, :size, :4] = True
    frames = Frames(np.zeros((4, 8, 8), np.uint8), masks, ("a", "a", "a", "a"), np.array([0, 0, 1, 1]))
    halves = masks & (np.arange(8) % 4 < 2)
    got = figures(halves, frames)
    assert got["dice"] == pytest.approx([2 / 3])
    assert got["ef_error"] == pytest.approx([0.0])
    assert fractions_by_patient(masks.sum(axis=(1, 2)).astype(float), frames)["a"] == pytest.approx(62.5)


def test_agreement_of_shrunken_masks_has_a_closed_form() -> None:
    """One of two columns found in each mask: half of every volume, the fraction as it was, no spread."""
    masks = np.zeros((12, 8, 8), bool)
    for number in range(12):
        masks[number, : 8 if number % 2 else 2 + number // 4, :2] = True
    names = tuple(f"patient {number // 4}" for number in range(12))
    frames = Frames(np.zeros((12, 8, 8), np.uint8), masks, names, np.arange(12) // 2)
    found = masks & (np.arange(8) == 0)
    assert sums_by_patient(found.sum(axis=(1, 2)).astype(float), frames)["patient 1"] == (16.0, 6.0)
    for name, limits in agreements(found, frames).items():
        expected = 1e-9 if name == "ejection_fraction" else 0.5
        assert (limits.low, limits.high) == pytest.approx((expected, expected), abs=1e-8), name
        assert limits.patients == 3


def test_outlines_follow_the_experts(frames: Frames) -> None:
    """These patients took part in training (the card's figures are of patients not seen); guards use."""
    some = frames.part(np.arange(0, len(frames.images), 12))
    found = cavity(some.images, lv_cine.network())
    assert np.mean([dice(a, b) for a, b in zip(found, some.masks, strict=True)]) > 0.88


def beating(frames: Frames, slices: int = 3) -> tuple[TimeSeries, np.ndarray]:
    """A patient's pairs of frames as a cine: diastole to systole and back in whole frames."""
    patient = np.asarray(frames.patients) == "SC-HYP-01"
    sizes = frames.masks.sum(axis=(1, 2))
    pairs = []
    for number in np.unique(frames.slices[patient]):
        pair = np.flatnonzero(patient & (frames.slices == number))
        if len(pair) == 2:
            pairs.append(pair[np.argsort(-sizes[pair])])
    pairs = sorted(pairs, key=lambda pair: -sizes[pair[0]])[:slices]
    order = [0, 0, 0, 1, 1, 1, 0, 0]
    values = np.stack([[frames.images[pair[phase]] for pair in pairs] for phase in order])
    truth = np.array([sum(int(sizes[pair[phase]]) for pair in pairs) for phase in (0, 1)])
    geometry = Geometry.axial((slices, 256, 256), spacing_mm=(10.0, 1.3, 1.3))
    series = TimeSeries(
        values,
        tuple(0.1 * t for t in range(8)),
        geometry,
        "stored",
        Acquisition("MR"),
        "1.2.3",
        tuple(f"t{t}s{s}" for t in range(8) for s in range(slices)),
    )
    return series, truth


def test_volumes_and_fraction_of_a_cine_follow_the_contours(frames: Frames) -> None:
    series, truth = beating(frames)
    result = LvCine().analyze(Inputs(series={"a": series}))
    amounts = {m.concept: m.quantity for m in result.measurements}
    millilitres = truth * 10 * 1.3 * 1.3 / 1000
    assert amounts[END_DIASTOLIC_VOLUME].unit == "mL"
    assert amounts[END_DIASTOLIC_VOLUME].value == pytest.approx(millilitres[0], rel=0.1)
    fraction = amounts[EJECTION_FRACTION].value
    expected = ejection_fraction(
        np.array([amounts[END_DIASTOLIC_VOLUME].value, amounts[END_SYSTOLIC_VOLUME].value])
    )
    assert fraction == pytest.approx(expected)
    assert fraction == pytest.approx(ejection_fraction(millilitres), abs=8)
    known = lv_cine.network().settings["agreement"]
    for measured, name in zip(result.measurements, lv_cine.AGREED, strict=True):
        interval, limits = measured.interval, known[name]
        assert interval is not None
        assert (interval.level, limits["patients"]) == (0.95, 29)
        value = measured.quantity.value
        low, high = interval.low, interval.high
        ends = (value / high, value / low) if limits["quotient"] else (value - high, value - low)
        assert ends == pytest.approx((limits["low"], limits["high"]))
    diastole, systole = result.labels
    assert diastole.source_instances == ("t0s0", "t0s1", "t0s2")
    assert systole.source_instances in {tuple(f"t{t}s{s}" for s in range(3)) for t in (3, 4, 5)}
    assert diastole.labels == {1: CAVITY}
    step = series.geometry.voxel_volume_mm3 / 1000
    assert np.count_nonzero(diastole.values) * step == pytest.approx(amounts[END_DIASTOLIC_VOLUME].value)
    assert np.count_nonzero(systole.values) * step == pytest.approx(amounts[END_SYSTOLIC_VOLUME].value)


def test_it_keeps_what_the_platform_promises(frames: Frames) -> None:
    series, _ = beating(frames, slices=1)
    assert check_analyzer(LvCine(), Inputs(series={"a": series}))


def test_a_picture_without_a_heart_gets_a_note_and_no_number() -> None:
    geometry = Geometry.axial((1, 64, 64), spacing_mm=(10.0, 1.5, 1.5))
    values = np.zeros((8, 1, 64, 64), np.float32)
    series = TimeSeries(values, tuple(range(8)), geometry, "stored", Acquisition("MR"))
    result = LvCine().analyze(Inputs(series={"a": series}))
    assert not result.measurements
    assert [n.code for n in result.notes] == ["no-cavity"]


def test_other_studies_are_not_its_business() -> None:
    geometry = Geometry.axial((1, 8, 8))
    few = TimeSeries(np.zeros((2, 1, 8, 8), np.float32), (0.0, 1.0), geometry, "stored", Acquisition("MR"))
    other = TimeSeries(np.zeros((9, 1, 8, 8), np.float32), tuple(range(9)), geometry, "HU", Acquisition("CT"))
    for series in (few, other):
        with pytest.raises(NotApplicableError, match="cine"):
            LvCine().analyze(Inputs(series={"a": series}))


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", images=np.zeros((1, 4, 4)))
    with pytest.raises(DataError, match="lv_mask"):
        read_frames(tmp_path / "other.npz")


def test_the_card_names_these_weights() -> None:
    assert load_card("lv_cine").weights == lv_cine.network().digest
