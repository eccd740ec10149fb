"""Lungs on films: outlines follow truth, sides are told apart, what has no lungs gets none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coread.core import Acquisition, Image, ImagePlane, Inputs
from coread.core.vocabulary import LEFT_LUNG, RIGHT_LUNG
from coread.errors import DataError, NotApplicableError
from coread.recognition import lung_fields
from coread.recognition.lung_fields import LungFields, lung_probability, read_pairs, squared_film, two_lungs
from coread.recognition.metrics import dice
from coread.recognition.runtime import load_card
from coread.testing import check_analyzer


def film(pixels: np.ndarray, modality: str = "DX", **plane) -> Image:
    return Image(
        pixels, ImagePlane(pixels.shape, **plane), "stored", Acquisition(modality), source_instance="2.25.1"
    )


def test_dice_of_halves() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert dice(a, b) == 0.5
    assert dice(~(a | ~a), ~(a | ~a)) == 1.0


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (256, 256)])
def test_padding_keeps_the_film_in_the_upper_left(shape: tuple[int, int]) -> None:
    pixels = np.add.outer(np.arange(shape[0]), np.arange(shape[1])).astype(float) + 50
    small = squared_film(pixels)
    side = max(shape)
    inside = small[: int(128 * shape[0] / side) - 2, : int(128 * shape[1] / side) - 2]
    assert inside.shape[0] >= 80
    assert np.all(np.diff(inside, axis=0) >= -1e-6)
    if shape[0] < side:
        assert not small[int(128 * shape[0] / side) + 2 :].any()


def blobs(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    picture = np.zeros((100, 100), np.float32)
    for top, bottom, left, right in boxes:
        picture[top:bottom, left:right] = 1.0
    return picture


def test_the_lung_on_the_films_left_is_the_patients_right() -> None:
    labels = two_lungs(blobs((20, 80, 10, 40), (25, 80, 60, 85)))
    assert np.all(labels[20:80, 10:40] == 1)
    assert np.all(labels[25:80, 60:85] == 2)
    assert np.count_nonzero(labels) == 60 * 30 + 55 * 25


@pytest.mark.parametrize(
    "probability",
    [
        blobs((20, 80, 10, 40)),
        blobs((20, 22, 10, 12), (30, 32, 60, 62)),
        blobs((5, 95, 5, 60), (40, 45, 70, 75)),
        0.6 * blobs((20, 80, 10, 40), (25, 80, 60, 85)),
        blobs(),
    ],
)
def test_what_is_not_two_lungs_is_refused(probability: np.ndarray) -> None:
    assert two_lungs(probability) is None


def test_films_have_two_lungs_where_the_truth_has_them(shared: Path) -> None:
    """These patients took part in training (the card's figure is of patients not seen); this guards use."""
    pairs = read_pairs(shared / "images/chest/montgomery_lungs")[::8]
    for _, pixels, truth in pairs:
        plane = {"spacing_mm": (0.8, 0.8), "spacing_kind": "detector"}
        result = LungFields().analyze(Inputs(images={"a": film(pixels, **plane)}))
        (labels,) = result.labels
        assert dice(labels.values > 0, truth) > 0.93
        assert set(labels.labels.values()) == {RIGHT_LUNG, LEFT_LUNG}
        right, left = result.measurements
        assert right.site == RIGHT_LUNG
        assert right.quantity.unit == "mm2"
        assert right.region.centre[1] < left.region.centre[1]
        counted = np.count_nonzero(labels.values) * 0.64
        assert right.quantity.value + left.quantity.value == pytest.approx(counted)


def test_the_outline_goes_with_the_film(shared: Path) -> None:
    """The same film, larger and darker, has the same lungs."""
    _, pixels, _ = read_pairs(shared / "images/chest/montgomery_lungs")[5]
    model = lung_fields.network()
    small = lung_probability(pixels, model) >= 0.5
    large = lung_probability(np.kron(pixels.astype(np.uint16) * 7 + 90, np.ones((2, 2))), model) >= 0.5
    assert dice(np.kron(small, np.ones((2, 2))) > 0, large) > 0.995


def test_other_pictures_get_a_note_and_no_outline(shared: Path) -> None:
    rng = np.random.default_rng(0)
    wrong = [rng.random((200, 200)), np.zeros((64, 64))]
    with np.load(shared / "images/mednist/mednist_train.npz", allow_pickle=False) as file:
        names = [str(n) for n in file["classes"]]
        for name in ("Hand", "HeadCT", "BreastMRI"):
            wrong += list(file["images"][file["labels"].ravel() == names.index(name)][:20])
    refused = 0
    for pixels in wrong:
        result = LungFields().analyze(Inputs(images={"a": film(np.asarray(pixels, dtype=np.float32))}))
        refused += not result.labels and [n.code for n in result.notes] == ["no-two-lungs"]
    assert refused >= 0.95 * len(wrong)


def test_without_spacing_areas_are_pixels_and_say_so(shared: Path) -> None:
    _, pixels, _ = read_pairs(shared / "images/chest/montgomery_lungs")[0]
    result = LungFields().analyze(Inputs(images={"a": film(pixels)}))
    assert {m.quantity.unit for m in result.measurements} == {"{pixels}"}
    assert all("pixel spacing unknown" in m.flags for m in result.measurements)


def test_other_studies_are_not_its_business() -> None:
    with pytest.raises(NotApplicableError, match="chest film"):
        LungFields().analyze(Inputs(images={"a": film(np.eye(30), modality="MR")}))


def test_a_folder_without_pairs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="pairs"):
        read_pairs(tmp_path)


def test_the_card_names_these_weights() -> None:
    assert load_card("lung_fields").weights == lung_fields.network().digest


def test_it_keeps_what_the_platform_promises(shared: Path) -> None:
    _, pixels, _ = read_pairs(shared / "images/chest/montgomery_lungs")[3]
    films = Inputs(images={"a": film(pixels), "b": film(np.random.default_rng(0).random((80, 60)))})
    assert check_analyzer(LungFields(), films)
