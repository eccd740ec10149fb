"""Faithfulness of maps: closed forms of a known network, mixed weights, the cards' figures."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from coread.core import card_from_table
from coread.errors import DataError, InputError, NotApplicableError
from coread.recognition.importing import ImportedModel, Intensity, Specification
from coread.recognition.runtime import Network, load_card, read_weights
from coread.recognition.training import mapped
from coread.recognition.training.faithfulness import Mapped, measured_faithfulness, with_mixed_weights

needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("onnx") is None, reason="needs onnx: pip install 'coread[train]'"
)
SIDE = 28
REGION = (slice(4, 11), slice(8, 16))  # 7 x 8 of 28 x 28 places: a fourteenth


def region() -> np.ndarray:
    out = np.zeros((SIDE, SIDE), bool)
    out[REGION] = True
    return out


def subject(heat: np.ndarray, *, groups: tuple[str, ...] = ("a", "b", "c"), **more) -> Mapped:
    """A network whose score is the mean grey of `REGION`, on white pictures."""
    pictures = np.ones((3, 1, SIDE, SIDE), np.float32)
    given = {
        "pictures": pictures,
        "groups": groups,
        "score_of": lambda n: lambda batch: batch[:, 0][(slice(None), *REGION)].mean(axis=(1, 2)),
        "maps": lambda batch: np.stack([heat.astype(np.float32)] * len(batch)),
        "of_mixed": (),
        "normal": np.zeros((1, SIDE, SIDE), np.float32),
        "truths": (region(), region(), None),
    }
    return Mapped(**(given | more))


def test_a_map_of_what_is_used_has_the_areas_of_a_line() -> None:
    """Hiding a part t first takes the region, a share r of all: the score is 1 - t / r, its area r / 2."""
    found = measured_faithfulness(subject(region()), steps=14)
    share = 1 / 14
    assert found["map_deletion_auc"].value == pytest.approx(share / 2, abs=1e-3)
    assert found["map_insertion_auc"].value == pytest.approx(1 - share / 2, abs=1e-3)
    assert found["map_deletion_auc"].low == found["map_deletion_auc"].high  # all pictures are the same
    worst = measured_faithfulness(subject(~region()), steps=14)
    assert worst["map_deletion_auc"].value == pytest.approx(1 - share / 2, abs=1e-3)
    assert found["map_deletion_auc"].value < found["map_deletion_auc_random"].value < 1
    assert found["map_insertion_auc"].value > found["map_insertion_auc_random"].value
    # an even white picture hidden by its own grey changes nothing
    assert found["map_deletion_auc_grey"].value == found["map_insertion_auc_grey"].value == pytest.approx(1)


def test_pointing_is_judged_where_outlines_are_known() -> None:
    found = measured_faithfulness(subject(region()), steps=7)
    assert found["map_pointing_game"].value == 1
    assert found["map_pointing_game_random"].value == pytest.approx(1 / 14)
    assert measured_faithfulness(subject(~region()), steps=7)["map_pointing_game"].value == 0
    blind = measured_faithfulness(subject(region(), truths=(None,) * 3), steps=7)
    assert "map_pointing_game" not in blind


def test_a_map_that_shows_the_picture_whatever_was_learnt_agrees_with_mixed_weights() -> None:
    rng = np.random.default_rng(0)
    heat, other = rng.random((SIDE, SIDE)), rng.random((SIDE, SIDE))

    def same(batch: np.ndarray) -> np.ndarray:
        return np.stack([heat.astype(np.float32)] * len(batch))

    def others(batch: np.ndarray) -> np.ndarray:
        return np.stack([other.astype(np.float32)] * len(batch))

    found = measured_faithfulness(subject(heat, of_mixed=(same,)), steps=7)
    assert found["map_random_weights_agreement"].value == pytest.approx(1)
    found = measured_faithfulness(subject(heat, of_mixed=(others,)), steps=7)
    assert found["map_random_weights_agreement"].value < 0.1


def test_pictures_of_one_patient_are_one_piece_of_evidence() -> None:
    greys = np.array([1.0, 1.0, 0.5], np.float32)
    pictures = greys[:, None, None, None] * np.ones((3, 1, SIDE, SIDE), np.float32)
    spread = subject(region(), pictures=pictures, normal=np.full((1, SIDE, SIDE), 0.2, np.float32))
    apart = measured_faithfulness(spread, steps=7)["map_deletion_auc"]
    assert apart.low < apart.value < apart.high
    one = subject(region(), pictures=pictures, groups=("a", "a", "a"), normal=spread.normal)
    alone = measured_faithfulness(one, steps=7)["map_deletion_auc"]
    assert alone.low == alone.high == pytest.approx(apart.value)
    with pytest.raises(DataError, match="no picture"):
        measured_faithfulness(subject(region(), pictures=pictures[:0]))


@needs_onnx
@pytest.mark.parametrize("model", ["cxr_pneumonia", "breast_us"])
def test_mixed_weights_hold_the_same_values_in_another_order(model: str) -> None:
    import onnx

    def weights_of(content: bytes) -> dict[str, np.ndarray]:
        graph = onnx.load_from_string(content).graph
        return {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}

    content = read_weights(f"{model}.onnx", load_card(model).weights or "")
    before, after = weights_of(content), weights_of(with_mixed_weights(content, 0))
    moved = 0
    for name, values in before.items():
        assert np.array_equal(np.sort(values.ravel()), np.sort(after[name].ravel()))
        moved += not np.array_equal(values, after[name])
    assert moved >= 10
    Network(with_mixed_weights(content, 1))


@needs_onnx
def test_maps_of_pneumonia_name_what_the_network_uses_better_than_chance(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped, "PICTURES", 6)
    monkeypatch.setattr(mapped, "SEEDS", (0,))
    given = mapped.mapped("cxr_pneumonia", shared / "images/pneumoniamnist/pneumoniamnist_trainval.npz")
    figures = measured_faithfulness(given)
    assert figures["map_insertion_auc"].value > figures["map_insertion_auc_random"].value
    assert figures["map_deletion_auc"].value < figures["map_deletion_auc_random"].value
    assert figures["map_random_weights_agreement"].value < 0.5
    on_card = {m.name: m.value for m in load_card("cxr_pneumonia").metrics}
    for name in ("map_deletion_auc", "map_insertion_auc"):  # a few of the card's pictures
        assert figures[name].value == pytest.approx(on_card[name], abs=0.1)


def test_a_model_without_a_heat_map_owes_no_figures(tmp_path: Path) -> None:
    for name in ("hippocampus", "body_part", "lung_fields", "lv_cine", "adrenal_shape"):
        with pytest.raises(NotApplicableError, match="no heat map"):
            mapped.mapped(name, tmp_path)


CARD = {
    "name": "Corner",
    "version": "1",
    "kind": "classify",
    "mode": "second-reader",
    "needs": {"images": "any"},
    "intended_use": "Tests.",
    "not_for": "Anything else.",
    "evidence_level": 1,
    "training_data": "none",
    "licence": "Apache-2.0",
    "weights": "a" * 64,
}


def corner() -> ImportedModel:
    """Finds what is bright in `REGION`."""
    said = Specification(
        task="classify",
        channels=("film",),
        intensities=(Intensity(divide=255.0),),
        outputs=("dark", "bright"),
        activation="softmax",
        window=(SIDE, SIDE),
    )

    def predict(batch: np.ndarray) -> np.ndarray:
        logit = 20 * (batch[:, 0][(slice(None), *REGION)].mean(axis=(1, 2)) - 0.5)
        return np.stack([-logit, logit], axis=1).astype(np.float32)

    return ImportedModel("corner", card_from_table(CARD), "a" * 64, said, predict)


def test_an_imported_classifier_is_explained_by_what_it_misses_when_hidden(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("dark", "bright", "masks"):
        (tmp_path / label).mkdir()
    for n in range(6):
        picture = rng.integers(20, 60, (SIDE, SIDE)).astype(np.uint8)
        Picture.fromarray(picture).save(tmp_path / f"dark/d{n}.png")
        picture[REGION] = 230
        Picture.fromarray(picture).save(tmp_path / f"bright/b{n}.png")
        Picture.fromarray((255 * region()).astype(np.uint8)).save(tmp_path / f"masks/b{n}.png")
    given = mapped.mapped_imported(corner(), None, tmp_path)
    assert len(given.pictures) == 6
    figures = measured_faithfulness(given)
    assert figures["map_pointing_game"].value == 1
    assert figures["map_deletion_auc"].value < 0.15 < figures["map_deletion_auc_random"].value
    assert "map_random_weights_agreement" not in figures
    assert any("TorchScript" in note for note in given.notes)
    for label, source in (("dark", "bright"), ("bright", "dark")):
        (tmp_path / "turned" / label).mkdir(parents=True)
        for path in (tmp_path / source).iterdir():
            (tmp_path / "turned" / label / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="no picture with dark"):
        mapped.mapped_imported(corner(), None, tmp_path / "turned", finding="dark")
