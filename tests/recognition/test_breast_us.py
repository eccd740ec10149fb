"""Masses on breast ultrasound: what is read, drawn, refused, and the figures of the card."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage

from coread.core import Acquisition, Image, ImagePlane, Inputs, MaskRegion
from coread.core.vocabulary import BREAST_MASS, BREAST_SUSPICION
from coread.errors import DataError, InputError, NotApplicableError
from coread.imaging.outline import outline_of
from coread.recognition import breast_us
from coread.recognition.breast_pictures import CLASSES, Labelled, read_folder
from coread.recognition.breast_us import (
    BreastUltrasound,
    descriptors,
    evaluate,
    mask_on,
    mass_outline,
    read_pictures,
    squeezed,
)
from coread.recognition.members import FOLDS_KEY
from coread.recognition.metrics import auc, dice
from coread.recognition.registry import verify
from coread.recognition.runtime import load_card
from coread.testing import check_analyzer

BUSI = "images/busi_ultrasound"
ROWS, COLUMNS = np.mgrid[:200, :240].astype(float)


def still(pixels: NDArray[np.generic], *, modality: str = "US", body_part: str | None = "BREAST") -> Image:
    plane = ImagePlane((pixels.shape[0], pixels.shape[1]), spacing_mm=(0.1, 0.1), spacing_kind="calibrated")
    return Image(
        pixels, plane, "stored", Acquisition(modality, body_part=body_part), source_instance="2.25.1"
    )


def simulated(radius: float = 30.0, *, seed: int = 0) -> NDArray[np.uint8]:
    """Speckle with bright skin, a dark smooth body and the bright band behind it; simulated."""
    rng = np.random.default_rng(seed)
    speckle = ndimage.gaussian_filter(rng.rayleigh(1.0, ROWS.shape), (0.8, 1.6))
    echo = 70 + 40 * np.exp(-ROWS / 15) - 0.12 * ROWS
    body = ((ROWS - 90) / (0.6 * radius)) ** 2 + ((COLUMNS - 120) / radius) ** 2
    echo = np.where(body < 1, 8, echo)
    echo = np.where((body >= 1) & (np.abs(COLUMNS - 120) < 0.8 * radius) & (ROWS > 90), echo * 1.4, echo)
    return np.clip(echo * speckle, 0, 255).astype(np.uint8)


def pictures(shared: Path) -> tuple[Labelled, ...]:
    return read_folder(shared / BUSI).pictures


def unlike(images: NDArray[np.generic] | list[NDArray[np.generic]]) -> NDArray[np.bool_]:
    return np.array([r.distances.max() > 1 for r in read_pictures(list(images), breast_us.network())])


def test_the_card_tells_what_the_weights_tell() -> None:
    card, settings = load_card("breast_us"), breast_us.network().settings
    assert card.weights == breast_us.network().digest
    assert card.threshold == pytest.approx(settings["threshold"], abs=5e-5)
    assert settings["abstain_low"] < settings["threshold"] < settings["abstain_high"]
    assert (card.mode, card.shown) == ("second-reader", "locked")


def test_an_analyzer_like_any_other() -> None:
    inputs = Inputs(images={"a": still(simulated())})
    check_analyzer(BreastUltrasound(), inputs)
    for image in (still(simulated(), modality="CR"), still(simulated(), body_part="ABDOMEN")):
        with pytest.raises(NotApplicableError, match="ultrasound of a breast"):
            BreastUltrasound().analyze(Inputs(images={"a": image}))


def test_two_findings_a_picture_and_nothing_said_of_what_is_no_ultrasound() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (200, 240)).astype(np.uint8)
    result = BreastUltrasound().analyze(Inputs(images={"a": still(noise)}))
    assert [f.concept for f in result.findings] == [BREAST_MASS, BREAST_SUSPICION]
    assert {f.status for f in result.findings} == {"no_opinion"}
    assert all(f.region is None for f in result.findings)
    assert not result.maps
    assert {n.code for n in result.notes} == {"unlike-training"}
    small = BreastUltrasound().analyze(Inputs(images={"a": still(noise[:40])}))
    assert {n.code for n in small.notes} == {"picture-too-small"}


def test_a_picture_of_any_proportions_is_squeezed_and_back() -> None:
    wide = np.zeros((100, 400), np.uint16)
    wide[40:60, 300:380] = 4000
    small = squeezed(wide)
    assert small.shape == (breast_us.SIDE, breast_us.SIDE)
    assert (small.min(), small.max()) == (0.0, 1.0)
    back = mask_on(small, wide.shape) >= 0.5
    assert np.count_nonzero(back ^ (wide > 0)) < 0.1 * np.count_nonzero(wide)
    colour = np.repeat(wide[..., None], 3, axis=2)
    np.testing.assert_allclose(squeezed(colour), small, atol=1e-6)
    assert squeezed(np.full((80, 80), 7)).max() == 0


def test_the_outline_has_the_largest_expected_dice() -> None:
    """Against outlines at fixed thresholds, on masks drawn from the chances themselves."""
    rng = np.random.default_rng(0)
    for peak in (0.95, 0.5, 0.2):
        body = np.hypot(ROWS - 90, COLUMNS - 120)
        chance = (peak / (1 + np.exp((body - 30) / 8))).astype(np.float32)
        drawn = [rng.random(chance.shape) < chance for _ in range(20)]

        def expected(outline: NDArray[np.bool_], truths: list[NDArray[np.bool_]] = drawn) -> float:
            return float(np.mean([dice(outline, truth) for truth in truths]))

        fixed = [expected(chance >= peak * share) for share in np.arange(0.05, 1, 0.05)]
        assert expected(mass_outline(chance, chance.shape)) >= max(fixed) - 0.002


def test_one_mass_is_outlined_and_crumbs_only_where_nothing_else_is() -> None:
    chance = np.zeros((200, 240), np.float32)
    chance[20:60, 20:60], chance[120:180, 120:200], chance[3:5, 3:5] = 0.9, 0.6, 1.0
    outline = mass_outline(chance, (200, 240))
    assert outline[20:60, 20:60].all()
    assert np.count_nonzero(outline) == 1600
    chance[5:] = 0
    assert np.count_nonzero(mass_outline(chance, (200, 240))) == 4
    assert mass_outline(np.zeros_like(chance), (50, 60)).any()


def test_words_follow_the_shape() -> None:
    angle, radius = np.arctan2(ROWS - 100, COLUMNS - 120), np.hypot(ROWS - 100, COLUMNS - 120)
    ball = descriptors(outline_of(radius < 40))
    assert ball["shape"] == "round"
    tall = descriptors(outline_of(((ROWS - 100) / 60) ** 2 + ((COLUMNS - 120) / 25) ** 2 < 1))
    assert tall == {"shape": "oval", "orientation": "not parallel", "outline": "smooth"}
    star = descriptors(outline_of(radius < 45 * (1 + 0.35 * np.cos(9 * angle))))
    assert (star["shape"], star["outline"]) == ("irregular", "not smooth")
    squeezed_ball = outline_of(((ROWS - 100) / 60) ** 2 + ((COLUMNS - 120) / 30) ** 2 < 1, (0.5, 1.0))
    assert descriptors(squeezed_ball)["shape"] == "round"


def test_a_folder_with_masks_beside_the_pictures(tmp_path: Path) -> None:
    """The layout in which the collection was published, with a second mask of one picture."""
    for kind in CLASSES:
        (tmp_path / kind).mkdir()
        for number in (1, 2):
            Picture.fromarray(simulated(seed=number)).save(tmp_path / kind / f"{kind} ({number}).png")
            mask = np.zeros((200, 240), np.uint8)
            mask[20 : 20 + 30 * (kind != "normal"), 40:80] = 255
            Picture.fromarray(mask).save(tmp_path / kind / f"{kind} ({number})_mask.png")
    second = np.zeros((200, 240), np.uint8)
    second[150:160, 150:160] = 255
    Picture.fromarray(second).save(tmp_path / "benign" / "benign (2)_mask_1.png")
    (tmp_path / "malignant" / "malignant (2).png").write_bytes(b"no picture")
    names = [["benign/benign (1).png", "benign/benign (2).png", "benign/benign (77).png"]]
    names += [["normal/normal (1).png", "malignant/malignant (1).png"]]
    (tmp_path / "near_duplicate_groups.json").write_text(json.dumps(names))
    found = read_folder(tmp_path)
    assert [p.name for p in found.pictures] == [
        "normal/normal (2)",
        "benign/benign (1)",
        "benign/benign (2)",
    ]
    assert [np.count_nonzero(p.mask) for p in found.pictures if p.mask is not None] == [0, 1200, 1300]
    assert found.pictures[1].group == found.pictures[2].group
    reasons = dict(found.left_out)
    assert set(reasons) == {"normal/normal (1)", "malignant/malignant (1)", "malignant/malignant (2)"}
    assert "label is in doubt" in reasons["normal/normal (1)"]
    result = evaluate(tmp_path)
    assert (result.cases, result.patients) == (3, 2)
    assert set(result.metrics) == {"accuracy_3_classes", "dice"}
    with pytest.raises(DataError, match="no pictures"):
        read_folder(tmp_path / "benign")
    with pytest.raises(InputError, match="nothing at"):
        read_folder(tmp_path / "absent")
    with pytest.raises(InputError, match="is a file"):
        read_folder(tmp_path / "near_duplicate_groups.json")
    (tmp_path / "broken" / "benign").mkdir(parents=True)
    (tmp_path / "broken" / "benign" / "a.png").write_bytes(b"junk")
    with pytest.raises(DataError, match="benign/a can't be read"):
        read_folder(tmp_path / "broken")


def test_the_published_copy_is_read_whole(shared: Path) -> None:
    found = read_folder(shared / BUSI)
    assert len(found.pictures) + len(found.left_out) == 624
    assert all("label is in doubt" in reason for _, reason in found.left_out)
    assert all((p.mask is not None and p.mask.any()) == (p.label > 0) for p in found.pictures)
    groups: dict[str, set[int]] = {}
    for picture in found.pictures:
        groups.setdefault(picture.group, set()).add(picture.label)
    assert all(len(labels) == 1 for labels in groups.values())
    assert all(p.shape is not None and min(p.shape) > 150 for p in found.pictures)


def test_valid_pictures_pass_and_wrong_ones_are_refused(shared: Path) -> None:
    """Most of the valid ones were trained on; the part refused of unseen ones is on the card."""
    ours = [p.picture for p in pictures(shared)[::10]]
    assert unlike(ours).mean() <= 0.05
    with np.load(shared / "images/mednist/mednist_train.npz", allow_pickle=False) as file:
        body_parts = file["images"][::120]
    with np.load(shared / "images/sunnybrook_cine/sunnybrook_train.npz", allow_pickle=False) as file:
        hearts = file["images"][::40]
    chests = [
        np.asarray(Picture.open(p)) for p in sorted((shared / "images/nih_cxr/images384").iterdir())[:20]
    ]
    rng = np.random.default_rng(3)
    noise = [rng.integers(0, 255, (256, 256)).astype(np.uint8) for _ in range(20)]
    wrong = {
        "body parts": list(body_parts),
        "cine": list(hearts),
        "chest films": chests,
        "noise": noise,
        "upside down": [p[::-1] for p in ours],
        "sideways": [np.rot90(p) for p in ours],
        "inverted": [255 - p for p in ours],
        "cropped": [_corner(p) for p in ours],
    }
    caught = {name: float(unlike(images).mean()) for name, images in wrong.items()}
    total = np.mean(list(caught.values()))
    assert min(caught[n] for n in ("body parts", "cine", "chest films", "noise", "inverted")) >= 0.95, caught
    assert total >= 0.95, caught


def _corner(picture: NDArray[np.generic]) -> NDArray[np.generic]:
    rows, columns = picture.shape
    return picture[rows * 2 // 3 :, columns * 2 // 3 :]


def test_outlines_and_order_on_published_pictures(shared: Path) -> None:
    """Two of three networks have seen each of them: a check that all is wired, no figure of merit."""
    chosen = pictures(shared)[::8]
    readings = list(read_pictures([p.picture for p in chosen], breast_us.network()))
    malignant = [p.label == 2 for p in chosen]
    assert auc(malignant, [r.chances[2] for r in readings]) > 0.95
    with_mass = [n for n, p in enumerate(chosen) if p.label]
    scores = breast_us.mass_dice([readings[n] for n in with_mass], [chosen[n] for n in with_mass])
    assert scores.mean() > 0.8
    names = [p.name.replace("_(", " (") for p in chosen]  # as the collection spells them
    apart = list(read_pictures([p.picture for p in chosen], breast_us.network(), names=names))
    assert {len(r.members) for r in apart} == {1}
    unseen = breast_us.mass_dice([apart[n] for n in with_mass], [chosen[n] for n in with_mass])
    assert unseen.mean() < scores.mean() - 0.02
    for one, three in zip(apart[:5], readings, strict=False):
        assert one.members[0] in three.members


def test_look_alikes_were_kept_together(shared: Path) -> None:
    folds, fold_of = breast_us.network().settings[FOLDS_KEY], {}
    for picture in pictures(shared):
        assert fold_of.setdefault(picture.group, folds[picture.name]) == folds[picture.name]
    assert set(fold_of.values()) == {0, 1, 2}
    with pytest.raises(DataError, match="val, or no part"):
        evaluate(shared / BUSI, part="train")


@pytest.mark.slow
def test_the_figures_of_the_card(shared: Path) -> None:
    compared = verify("breast_us", shared / BUSI)
    assert {c.metric for c in compared} >= {"auc_cross_validation", "dice_cross_validation"}
    assert all(c.equal for c in compared), compared


def test_a_mass_has_a_region_and_measures_in_millimetres(shared: Path) -> None:
    clear = next(
        p for p in pictures(shared) if p.label == 1 and p.mask is not None and 0.03 < p.mask.mean() < 0.15
    )
    result = BreastUltrasound().analyze(Inputs(images={"a": still(clear.picture)}))
    mass = result.findings[0]
    assert mass.status == "present"
    assert isinstance(mass.region, MaskRegion)
    assert mass.probability is not None
    assert mass.probability.value >= 0.5
    amounts = {m.concept.value: m.quantity for m in mass.measurements}
    assert amounts["mass-width"].unit == "mm"
    assert clear.mask is not None
    truth = outline_of(clear.mask, (0.1, 0.1))
    assert amounts["mass-width"].value == pytest.approx(truth.width, rel=0.25)
    assert "mass-shape" in {n.code for n in result.notes}


def test_quick_enough(shared: Path) -> None:
    from time import process_time

    model, picture = breast_us.network(), pictures(shared)[0].picture
    list(read_pictures([picture], model))
    start = process_time()
    for _ in range(5):
        list(read_pictures([picture], model))
    assert (process_time() - start) / 5 < 0.25  # of one core; the benchmarks tell the time itself
