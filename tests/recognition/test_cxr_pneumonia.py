"""The pneumonia model: exact maps, honest refusals, the figures of its card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from coread.core import Acquisition, CodedConcept, Image, ImagePlane, Inputs, MaskRegion, PatientInfo
from coread.core.vocabulary import PNEUMONIA
from coread.errors import NotApplicableError
from coread.recognition import cxr_pneumonia
from coread.recognition.cxr_pneumonia import CxrPneumonia, activation_map, probability, read_films
from coread.recognition.explain import class_activation
from coread.recognition.film import small_film
from coread.recognition.metrics import auc
from coread.recognition.runtime import load_card
from coread.testing import check_analyzer


def film(pixels: np.ndarray, *, modality: str = "DX", body_part: str | None = "CHEST", **plane) -> Image:
    return Image(
        pixels,
        ImagePlane(pixels.shape[:2], **plane),
        "stored",
        Acquisition(modality, body_part=body_part),
        source_instance="2.25.1",
    )


def smalls(pixels: np.ndarray) -> np.ndarray:
    return np.stack([small_film(p, 28) for p in pixels])


def distances(films: np.ndarray) -> np.ndarray:
    return np.stack([r.distances for r in read_films(films, cxr_pneumonia.network())]).max(axis=1)


@pytest.fixture(scope="module")
def published(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "images/pneumoniamnist/pneumoniamnist_trainval.npz", allow_pickle=False) as file:
        data = {name: file[name] for name in file.files}
    seen = {f.tobytes() for f in data["train_images"]}
    fresh = np.array([f.tobytes() not in seen for f in data["val_images"]])
    return {"images": data["val_images"][fresh], "labels": data["val_labels"].ravel()[fresh]}


def test_the_card_tells_what_the_weights_tell() -> None:
    card, settings = load_card("cxr_pneumonia"), cxr_pneumonia.network().settings
    assert card.weights == cxr_pneumonia.network().digest
    assert card.threshold == pytest.approx(settings["threshold"], abs=5e-5)
    assert settings["abstain_low"] < settings["threshold"] < settings["abstain_high"]
    assert card.mode == "second-reader"
    assert card.shown == "locked"


def test_the_map_and_the_ensemble_sum_to_the_logit() -> None:
    model = cxr_pneumonia.network()
    films = np.random.default_rng(0).random((4, 28, 28), dtype=np.float32)
    out = model.run({"film": films[:, None]})
    readings = read_films(films, model)
    logits = np.array([r.logit for r in readings])
    bias = logits - [r.activation.mean(dtype=np.float64) for r in readings]
    np.testing.assert_allclose(bias, bias[0], atol=2e-5)  # what the map leaves over is one constant
    np.testing.assert_allclose(logits, out["member_logits"].mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("shape", [(448, 448), (400, 600), (601, 350)])
@pytest.mark.parametrize("cell", [(0, 0), (1, 5), (3, 3), (6, 2)])
def test_a_planted_feature_lies_on_its_block_of_the_film(
    shape: tuple[int, int], cell: tuple[int, int]
) -> None:
    weights = cxr_pneumonia.network().run({"film": np.zeros((1, 1, 28, 28), np.float32)})["weights"]
    channel = int(np.argmax(weights))
    features = np.zeros((len(weights), 7, 7), np.float32)
    features[channel, cell[0], cell[1]] = 1.0
    heat = activation_map(film(np.zeros(shape, np.uint16)), class_activation(features, weights))
    side = min(shape)
    corner = [(n - side) // 2 for n in shape]
    hot = np.argwhere(np.nan_to_num(heat.values) >= 0.5 * np.nanmax(heat.values))
    for axis in (0, 1):
        start = corner[axis] + cell[axis] * side / 7
        assert start - 1 <= hot[:, axis].min() <= start + side / 14
        assert start + side / 14 - 1 <= hot[:, axis].max() <= start + side / 7 + 1
    outside = np.ones(shape, bool)
    outside[corner[0] : corner[0] + side, corner[1] : corner[1] + side] = False
    np.testing.assert_array_equal(np.isnan(heat.values), outside)


def test_a_mirrored_film_has_the_mirrored_map_and_the_same_answer(published) -> None:
    model = cxr_pneumonia.network()
    films = smalls(published["images"][:6])
    for straight, mirrored in zip(
        read_films(films, model), read_films(films[:, :, ::-1].copy(), model), strict=True
    ):
        assert straight.logit == pytest.approx(mirrored.logit, abs=1e-4)
        np.testing.assert_allclose(straight.activation, mirrored.activation[:, ::-1], atol=1e-3)


@pytest.mark.parametrize("gain", [0.2, 3.0, 16.0])
def test_the_answer_does_not_depend_on_the_scale_of_grey_values(published, gain: float) -> None:
    model = cxr_pneumonia.network()
    films = published["images"][:4].astype(np.float64)
    for one, other in zip(
        read_films(smalls(films), model), read_films(smalls(films * gain + 100), model), strict=True
    ):
        assert one.logit == pytest.approx(other.logit, abs=1e-2)


def test_validation_films_are_told_apart(published) -> None:
    """The validation part is known to be easy (0.99 and more by any network); this guards the file."""
    readings = read_films(smalls(published["images"]), cxr_pneumonia.network())
    assert auc(published["labels"], [r.logit for r in readings]) > 0.985


def enlarged(films: np.ndarray, row: int, column: int) -> np.ndarray:
    """A window of 14 x 14 of the films, twice as large."""
    return np.kron(films[:, row : row + 14, column : column + 14], np.ones((1, 2, 2))).astype(np.float32)


def test_few_films_and_nearly_all_wrong_pictures_are_refused(published, shared: Path) -> None:
    films = smalls(published["images"])
    assert (distances(films) > 1).mean() <= 0.05
    corners = [enlarged(films, row, column) for row in (0, 14) for column in (0, 14)]
    wrong = {
        "rotated 90": np.rot90(films, 1, (1, 2)),
        "rotated 180": np.rot90(films, 2, (1, 2)),
        "rotated 270": np.rot90(films, 3, (1, 2)),
        "inverted": 1 - films,
        "noise": np.random.default_rng(0).random(films.shape, dtype=np.float32),
        # an enlarged middle alone is the weakest: the card says how weak
        "cropped": np.concatenate([enlarged(films, 7, 7), *corners]),
    }
    with np.load(shared / "images/mednist/mednist_train.npz", allow_pickle=False) as file:
        for number, name in enumerate(file["classes"]):
            if name != "CXR":  # an adult's chest film is the right part of the wrong patient
                wrong[str(name)] = smalls(file["images"][file["labels"].ravel() == number])
    caught = {name: float((distances(np.ascontiguousarray(p)) > 1).mean()) for name, p in wrong.items()}
    assert min(caught.values()) >= 0.95, caught


def test_the_card_says_how_many_films_and_crops_are_refused(published) -> None:
    films = smalls(published["images"])
    figures = {m.name: m.value for m in load_card("cxr_pneumonia").metrics}
    refused = (distances(films) > 1).mean()
    assert refused == pytest.approx(figures["refused_films"], abs=1e-3)
    assert (distances(enlarged(films, 7, 7)) > 1).mean() == pytest.approx(
        figures["refused_enlarged_middle"], abs=1e-2
    )


def analyzed(image: Image, age_years: float | None = 4.0):
    return CxrPneumonia().analyze(Inputs(images={"a": image}, patient=PatientInfo(age_years=age_years)))


def test_a_childs_film_gets_a_finding_with_its_place(shared: Path) -> None:
    folder = shared / "images/chest/kermany_cxr224/images"
    present = 0
    for path in sorted(folder.glob("person1*_bacteria_*.jpeg"))[:12]:
        pixels = np.asarray(Picture.open(path).convert("L").resize((336, 224)))
        result = analyzed(film(pixels, spacing_mm=(0.8, 0.8), spacing_kind="detector"))
        (finding,) = result.findings
        assert finding.concept == PNEUMONIA
        assert finding.origin.weights_digest == load_card("cxr_pneumonia").weights
        chance = finding.probability
        assert chance.interval.low <= chance.value <= chance.interval.high
        if finding.status == "present":
            present += 1
            assert isinstance(finding.region, MaskRegion)
            assert finding.region.mask.pixels.any()
            assert chance.value >= chance.threshold
        else:
            assert finding.region is None
        assert [m.source_instances for m in result.maps] == [("2.25.1",)] * (finding.status != "no_opinion")
    assert present >= 8


@pytest.mark.parametrize(
    ("image", "age_years", "code"),
    [
        (film(np.zeros((100, 100), np.uint16)), 4.0, "no-contrast"),
        (film(np.eye(20)), 4.0, "film-too-small"),
        (film(np.random.default_rng(0).random((90, 90))), None, "unlike-training"),
        (film(np.random.default_rng(0).random((90, 90))), 44.0, "age"),
    ],
)
def test_what_it_does_not_know_gets_no_opinion_and_a_reason(
    image: Image, age_years: float | None, code: str
) -> None:
    result = analyzed(image, age_years)
    assert [f.status for f in result.findings] == ["no_opinion"]
    assert [(n.kind, n.code) for n in result.notes] == [("gate", code)]
    assert result.findings[0].region is None
    assert not result.maps


@pytest.mark.parametrize(
    "image",
    [
        film(np.eye(50), modality="MR"),
        film(np.eye(50), body_part="HAND"),
        film(np.eye(50), view=CodedConcept("399198007", "SCT", "Right lateral projection")),
    ],
)
def test_other_studies_are_not_its_business(image: Image) -> None:
    with pytest.raises(NotApplicableError, match="frontal chest film"):
        analyzed(image)


def test_no_image_is_not_its_business_either() -> None:
    with pytest.raises(NotApplicableError, match="no image"):
        CxrPneumonia().analyze(Inputs())


def test_the_probability_rises_with_the_logit_and_crosses_the_threshold_once() -> None:
    model = cxr_pneumonia.network()
    reading = read_films(np.zeros((1, 28, 28), np.float32), model)[0]
    members = np.zeros_like(reading.member_logits)
    values = [
        probability(
            type(reading)(x, members + x, reading.activation, reading.distances), model.settings
        ).value
        for x in np.linspace(-9, 9, 50)
    ]
    assert np.all(np.diff(values) > 0)
    assert values[0] < model.settings["threshold"] < values[-1]


def test_it_keeps_what_the_platform_promises() -> None:
    rng = np.random.default_rng(4)
    films = Inputs(images={"a": film(rng.random((90, 120))), "b": film(rng.random((300, 250, 3)))})
    assert check_analyzer(
        CxrPneumonia(), films, unfit=[Inputs(images={"a": film(np.eye(50), modality="US")})]
    )
