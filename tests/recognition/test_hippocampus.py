"""Hippocampus on cropped MR: outlines follow truth on volumes kept apart, and go with the patient."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from coread.core import Acquisition, Geometry, Inputs, Volume
from coread.core.vocabulary import ANTERIOR_HIPPOCAMPUS, POSTERIOR_HIPPOCAMPUS, VOLUME
from coread.errors import DataError, NotApplicableError
from coread.recognition import hippocampus, registry
from coread.recognition.hippocampus import (
    BOX,
    FIELD,
    NAMES,
    Case,
    Hippocampus,
    agreements,
    believed_labels,
    evaluate,
    fielded,
    label_probability,
    network,
    read_pairs,
    standardised,
    unfielded,
)
from coread.recognition.metrics import dice
from coread.recognition.runtime import load_card
from coread.testing import check_analyzer

FOLDER = "images/hippocampus"


@cache
def cases(folder: Path) -> tuple[Case, ...]:
    return tuple(read_pairs(folder))


def apart(shared: Path) -> list[Case]:
    names = set(network().settings["unseen"])
    return [case for case in cases(shared / FOLDER) if case.name in names]


def crop(values: np.ndarray, modality: str = "MR", spacing_mm: float = 1.0) -> Volume:
    geometry = Geometry.axial(values.shape, spacing_mm=(spacing_mm,) * 3)
    return Volume(np.ascontiguousarray(values, dtype=np.float32), geometry, "stored", Acquisition(modality))


@pytest.mark.parametrize("shape", [(24, 40, 31), (39, 55, 40), FIELD])
def test_what_is_put_into_the_field_comes_out_again(shape: tuple[int, int, int]) -> None:
    values = np.random.default_rng(0).random(shape)
    assert fielded(values).shape == FIELD
    assert np.array_equal(unfielded(fielded(values), shape), values)


@pytest.mark.parametrize("shape", [(47, 59, 43), (41, 40, 31), BOX])
def test_of_a_crop_beyond_the_field_the_middle_is_seen(shape: tuple[int, int, int]) -> None:
    values = 1 + np.random.default_rng(0).random(shape)
    back = unfielded(fielded(values), shape)
    seen = back > 0
    assert np.array_equal(back[seen], values[seen])
    kept = [min(size, side) for size, side in zip(shape, FIELD, strict=True)]
    assert np.count_nonzero(seen) == np.prod(kept)
    for axis, (size, side) in enumerate(zip(shape, kept, strict=True)):
        line = np.flatnonzero(seen.any(axis=tuple({0, 1, 2} - {axis})))
        assert abs(line[0] - (size - 1 - line[-1])) <= 1  # as much is left out at both ends
        assert len(line) == side


def test_all_labels_lie_in_the_field(shared: Path) -> None:
    for case in cases(shared / FOLDER):
        assert np.array_equal(unfielded(fielded(case.labels), case.labels.shape), case.labels), case.name


def test_standardised_values_do_not_depend_on_scale() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=(30, 40, 30))
    one = standardised(values)
    assert float(one.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(one.std()) == pytest.approx(1.0, abs=1e-5)
    assert standardised(values * 170 + 33) == pytest.approx(one, abs=1e-5)
    assert not standardised(np.full((4, 4, 4), 7.0)).any()


def test_the_data_have_the_known_mean_volumes(shared: Path) -> None:
    """Anterior 1,730 and posterior 1,584 mm3 on the mean; the anterior part lies in front of the other."""
    volumes = np.array([[np.count_nonzero(c.labels == n) for n in (1, 2)] for c in cases(shared / FOLDER)])
    assert volumes.mean(axis=0) == pytest.approx([1730, 1584], abs=1)
    for case in cases(shared / FOLDER)[:5]:
        front, back = (np.argwhere(case.labels == n)[:, 1].mean() for n in (1, 2))
        assert front < back  # rows run from the front to the back


def test_dice_on_volumes_kept_apart_is_that_of_the_card(shared: Path) -> None:
    result = evaluate(shared / FOLDER)
    assert result.cases == len(network().settings["unseen"]) == 40
    assert len(result.left_out) == 160
    card = {m.name: m.value for m in load_card("hippocampus").metrics}
    for name, figure in result.metrics.items():
        assert figure.value == pytest.approx(card[f"{name}_validation"], abs=1e-3), name
    assert result.metrics["dice_anterior"].value >= 0.88
    assert result.metrics["dice_posterior"].value >= 0.87


def test_outlines_follow_the_truth_on_the_volumes_own_grid(shared: Path) -> None:
    case = apart(shared)[0]
    result = Hippocampus().analyze(Inputs(volumes={"a": crop(case.values)}))
    (labels,) = result.labels
    assert labels.grid.shape == case.values.shape
    assert dice(labels.values == 1, case.labels == 1) > 0.8
    assert dice(labels.values == 2, case.labels == 2) > 0.8
    assert labels.labels == {1: ANTERIOR_HIPPOCAMPUS, 2: POSTERIOR_HIPPOCAMPUS}
    for measured, label in zip(result.measurements, (1, 2), strict=True):
        assert measured.concept == VOLUME
        assert measured.quantity.unit == "mL"
        assert measured.quantity.value == pytest.approx(np.count_nonzero(labels.values == label) / 1000)
        truth = np.count_nonzero(case.labels == label) / 1000
        assert measured.quantity.value == pytest.approx(truth, rel=0.2)


def test_a_mirrored_head_has_mirrored_outlines(shared: Path) -> None:
    """Left and right are told to be alike in training; a right hippocampus is a mirrored left one."""
    case = apart(shared)[1]
    said = believed_labels(label_probability(case.values, network()))
    mirrored = believed_labels(label_probability(case.values[:, :, ::-1], network()))
    assert dice(said > 0, mirrored[:, :, ::-1] > 0) > 0.9


def test_what_is_no_hippocampus_gets_a_note_and_no_outline(shared: Path) -> None:
    rng = np.random.default_rng(0)
    values = np.asarray(apart(shared)[2].values, dtype=np.float32)
    wrong = [
        rng.random((36, 50, 36)),
        np.zeros((36, 50, 36)),
        np.linspace(0, 1, 36 * 50 * 36).reshape(36, 50, 36),
        rng.permutation(values.ravel()).reshape(values.shape),
        values.max() - values,
        np.pad(values[:, :20], ((0, 0), (0, values.shape[1] - 20), (0, 0))),
    ]
    for picture in wrong:
        result = Hippocampus().analyze(Inputs(volumes={"a": crop(picture)}))
        assert not result.labels
        assert not result.measurements
        assert [note.code for note in result.notes] == ["no-hippocampus"]


@pytest.mark.parametrize(
    "volume",
    [
        crop(np.zeros((182, 218, 182))),
        crop(np.zeros((36, 50, 36)), modality="CT"),
        crop(np.zeros((36, 50, 36)), spacing_mm=2.0),
        crop(np.zeros((10, 50, 36))),
    ],
)
def test_only_crops_of_one_millimetre_are_its_business(volume: Volume) -> None:
    with pytest.raises(NotApplicableError, match="cropped"):
        Hippocampus().analyze(Inputs(volumes={"a": volume}))


def test_the_train_part_and_a_folder_without_pairs_are_refused(tmp_path: Path, shared: Path) -> None:
    with pytest.raises(DataError, match="pairs"):
        read_pairs(tmp_path)
    with pytest.raises(DataError, match="know"):
        evaluate(shared / FOLDER, part="train")


def test_the_weights_are_those_of_the_card_and_lie_with_their_licence() -> None:
    assert registry.check_weights("hippocampus") < 4 * 1024 * 1024
    assert load_card("hippocampus").weights == network().digest
    folder = Path(hippocampus.__file__).parent / "weights" / "share_alike"
    assert "hippocampus.onnx" in (folder / "LICENSE.txt").read_text(encoding="utf-8")
    assert "CC-BY-SA-4.0" in load_card("hippocampus").licence


def test_it_keeps_what_the_platform_promises(shared: Path) -> None:
    study = Inputs(volumes={"a": crop(apart(shared)[3].values)})
    assert check_analyzer(Hippocampus(), study)


def test_agreement_of_volumes_has_a_closed_form() -> None:
    """The model a fifth larger everywhere: a quotient of 1.2 for both parts, without spread."""
    pairs = []
    for size in (10, 20, 40):
        mine, truth = np.zeros((2, 2, 60), np.uint16)
        truth[0, :size], truth[1, :size] = 1, 2
        mine[0, : size * 6 // 5], mine[1, : size * 6 // 5] = 1, 2
        pairs.append((mine, truth))
    for limits in agreements(pairs).values():
        assert (limits.low, limits.high, limits.patients) == pytest.approx((1.2, 1.2, 3))


def test_volumes_are_told_with_the_limits_of_agreement(shared: Path) -> None:
    case = apart(shared)[0]
    result = Hippocampus().analyze(Inputs(volumes={"a": crop(case.values)}))
    known = network().settings["agreement"]
    for measured, name in zip(result.measurements, NAMES.values(), strict=True):
        assert measured.interval is not None
        value, limits = measured.quantity.value, known[name]
        assert limits["patients"] == 40
        assert measured.interval.low == pytest.approx(value / limits["high"])
        assert measured.interval.high == pytest.approx(value / limits["low"])
        assert measured.interval.low < value < measured.interval.high
