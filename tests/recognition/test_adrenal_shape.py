"""Shapes of adrenal glands: better than by volume, the same however stored, silent on other shapes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from coread.core import Acquisition, Geometry, Inputs, Mask, Volume
from coread.core.vocabulary import ADRENAL_LESION, LEFT, RIGHT
from coread.errors import DataError, NotApplicableError
from coread.recognition import adrenal_shape, registry
from coread.recognition.adrenal_shape import AdrenalShape, evaluate, network, probability, read_shapes
from coread.recognition.metrics import auc
from coread.recognition.runtime import load_card
from coread.recognition.solid import isotropic, shape_features
from coread.testing import check_analyzer
from coread.testing.phantoms import ellipsoid, sphere

FILE = "images/adrenalmnist3d_64/adrenalmnist3d_64_trainval.npz"


@cache
def glands(path: Path) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return file["val_images"] > 0, file["val_labels"].ravel()


def mask(voxels: np.ndarray) -> Mask:
    return Mask(np.ascontiguousarray(voxels), Geometry.axial(voxels.shape))


def chance(shape: Mask) -> float:
    model = network()
    values = shape_features(isotropic(shape))
    row = np.array([[values[name] for name in model.settings["features"]]])
    return probability(read_shapes(row, model)[0], model.settings).value


def test_the_card_tells_what_the_validation_part_gives(shared: Path) -> None:
    result = evaluate(shared / FILE, part="val")
    assert (result.cases, result.left_out) == (98, ())
    card = {m.name: m.value for m in load_card("adrenal_shape").metrics}
    for name in ("auc", "accuracy", "sensitivity", "specificity", "brier", "ece"):
        assert result.metrics[name].value == pytest.approx(card[f"{name}_validation"], abs=1e-3)


def test_shape_says_more_than_volume(shared: Path) -> None:
    """Volume alone has an ROC area of 0.72 on this part."""
    voxels, labels = glands(shared / FILE)
    by_volume = auc(labels, voxels.sum(axis=(1, 2, 3)))
    by_shape = evaluate(shared / FILE, part="val").metrics["auc"].value
    assert by_shape > by_volume + 0.08


def test_probability_does_not_depend_on_storage_or_on_a_small_turn(shared: Path) -> None:
    from scipy import ndimage

    voxels, _ = glands(shared / FILE)
    before = np.array([chance(mask(v)) for v in voxels[:12]])
    stored = np.array([chance(mask(v.transpose(2, 0, 1)[:, ::-1])) for v in voxels[:12]])
    assert stored == pytest.approx(before, abs=1e-6)
    turned = [
        ndimage.rotate(v.astype(float), 30, axes=(0, 2), reshape=False, order=1) > 0.5 for v in voxels[:12]
    ]
    after = np.array([chance(mask(v)) for v in turned])
    assert float(np.abs(after - before).mean()) < 0.1
    assert np.corrcoef(before, after)[0, 1] > 0.8


def test_a_glands_finding_has_its_place_and_volume(shared: Path) -> None:
    voxels, _ = glands(shared / FILE)
    geometry = Geometry.axial((64, 64, 64), spacing_mm=(1.0, 1.0, 1.0))
    result = AdrenalShape().analyze(Inputs(masks={"totalseg:29392005": Mask(voxels[3], geometry)}))
    (finding,) = result.findings
    assert finding.concept == ADRENAL_LESION
    assert finding.place == adrenal_shape.ADRENAL
    (volume,) = finding.measurements
    assert volume.quantity.unit == "mL"
    assert volume.quantity.value == pytest.approx(voxels[3].sum() / 1000)
    said = finding.probability
    assert said.interval.low <= said.value <= said.interval.high
    assert said.threshold == pytest.approx(load_card("adrenal_shape").threshold, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "side"),
    [("1.2:1 Right adrenal gland", RIGHT), ("adrenal_gland_left", LEFT), ("adrenals, left and right", None)],
)
def test_a_finding_lies_where_its_mask_was_drawn(name: str, side: object, shared: Path) -> None:
    voxels, _ = glands(shared / FILE)
    on = mask(voxels[3])
    ct = Volume(np.zeros(on.geometry.shape, np.int16), on.geometry, "HU", Acquisition("CT"), "1.2.3")
    (finding,) = AdrenalShape().analyze(Inputs(masks={name: on}, volumes={"ct": ct})).findings
    assert finding.laterality == side
    assert finding.measurements[0].laterality == side
    assert finding.region is not None
    assert finding.region.mask is on
    assert finding.region.space.frame_of_reference == "1.2.3"
    shifted = on.geometry.affine.copy()
    shifted[0, 3] += 5.0
    other = replace(ct, geometry=Geometry(on.geometry.shape, shifted))
    (finding,) = AdrenalShape().analyze(Inputs(masks={name: on}, volumes={"ct": other})).findings
    assert finding.region is None


def test_it_abstains_on_shapes_that_are_no_glands() -> None:
    other = {
        "adrenal ball": sphere(20.0),
        "adrenal egg": ellipsoid((40.0, 20.0, 20.0)),
        "adrenal box": mask(np.pad(np.ones((60, 60, 60), bool), 2)),
        "adrenal rod": mask(np.pad(np.ones((4, 4, 90), bool), 2)),
        "adrenal plate": mask(np.pad(np.ones((3, 60, 60), bool), 2)),
        "adrenal noise": mask(np.random.default_rng(0).random((40, 40, 40)) > 0.4),
    }
    result = AdrenalShape().analyze(Inputs(masks=other))
    assert {f.status for f in result.findings} == {"no_opinion"}
    assert [note.code for note in result.notes] == ["unlike-training"] * len(other)


def test_most_glands_are_let_through(shared: Path) -> None:
    with np.load(shared / FILE, allow_pickle=False) as file:
        some = file["train_images"][::40] > 0
    result = AdrenalShape().analyze(Inputs(masks={f"adrenal {n}": mask(v) for n, v in enumerate(some)}))
    unlike = sum(note.code == "unlike-training" for note in result.notes)
    assert unlike <= 0.1 * len(some)


def test_an_empty_or_flat_mask_gets_a_note_and_no_finding() -> None:
    flat = np.zeros((20, 20, 20), bool)
    flat[4] = True
    for voxels in (flat, np.zeros((20, 20, 20), bool)):
        result = AdrenalShape().analyze(Inputs(masks={"adrenal": mask(voxels)}))
        assert not result.findings
        assert [note.code for note in result.notes] == ["no-solid"]


def test_other_masks_are_not_its_business() -> None:
    with pytest.raises(NotApplicableError, match="adrenal"):
        AdrenalShape().analyze(Inputs(masks={"liver": sphere(20.0)}))


def test_pictures_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", val_images=np.ones((3, 28, 28), np.uint8), val_labels=np.zeros((3, 1)))
    with pytest.raises(DataError, match="volumes"):
        evaluate(tmp_path / "a.npz")


def test_the_weights_are_those_of_the_card() -> None:
    assert registry.check_weights("adrenal_shape") < 4 * 1024 * 1024
    assert load_card("adrenal_shape").weights == network().digest


def test_it_keeps_what_the_platform_promises(shared: Path) -> None:
    voxels, _ = glands(shared / FILE)
    study = Inputs(masks={"adrenal 1": mask(voxels[0]), "adrenal 2": mask(voxels[90])})
    assert check_analyzer(AdrenalShape(), study, unfit=[Inputs(masks={"liver": sphere(20.0)})])
