"""How the router's pictures are dealt, drawn and simulated. What needs torch says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from coread.errors import InputError
from coread.recognition.body_part import network
from coread.recognition.body_part_pictures import CLASSES, OTHER, Pictures
from coread.recognition.training import part_sources
from coread.recognition.training.body_part import Plan, Pool, chances, dealt, groups, pool
from coread.recognition.training.part_sources import (
    SOURCES,
    as_analysed,
    drawn_window,
    mednist_file,
    parts_of_slices,
    read_sources,
)
from coread.recognition.training.trainers import train_to

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="needs torch: pip install 'coread[train]'")
pytestmark = pytest.mark.train
CHEST, ABDOMEN = CLASSES.index("ChestCT"), CLASSES.index("AbdomenCT")


def made(count: int, labels: list[int], patients: int) -> Pictures:
    rng = np.random.default_rng(count)
    return Pictures(
        rng.random((count, 64, 64), dtype=np.float32),
        np.resize(np.array(labels), count),
        tuple(f"{n}" for n in range(count)),
        tuple(f"p{n % patients}" for n in range(count)),
    )


@pytest.fixture(scope="module")
def images(shared: Path) -> Path:
    return shared / "images"


@pytest.fixture(scope="module")
def sources(images: Path) -> dict[str, Pictures]:
    return read_sources(images, seed=1, views=2)


def test_groups_run_on_over_neighbours_and_likeness() -> None:
    pictures = made(5, [0], 5)
    alike = pictures.pictures.copy()
    alike[3] = 0.5 * alike[0] + 0.1  # the same at another exposure
    found = groups(Pictures(alike, pictures.labels, pictures.names, ("a", "b", "b", "c", "d")), alike=0.95)
    assert found[0] == found[3]
    assert found[1] == found[2]
    assert len(set(found.tolist())) == 3


def test_groups_stay_whole_and_every_class_has_its_share() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 200)
    group = labels * 1000 + rng.integers(0, 40, 800)
    parts = dealt(labels, group, (0.6, 0.2, 0.2), seed=3)
    for number in np.unique(group):
        assert len(set(parts[group == number].tolist())) == 1
    for label in range(4):
        shares = np.bincount(parts[labels == label], minlength=3) / 200
        assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.05)


def test_no_patient_of_any_set_is_both_in_training_and_in_validation() -> None:
    others = {"few": made(30, [CHEST], 3), "many": made(90, [CHEST, 6], 30)}
    known = pool(made(60, list(range(6)), 60), others, Plan())
    here = {name: known.sources == name for name in others}
    assert set(known.parts[here["few"]].tolist()) == {0}  # three patients set no limits
    for part, other in ((0, 1), (1, 0)):
        several = here["many"]
        patients = np.array(known.pictures.groups)
        assert not set(patients[several & (known.parts == part)]) & set(
            patients[several & (known.parts == other)]
        )
    assert (known.pictures.labels[known.known(1)] < len(CLASSES)).all()


def test_parts_are_drawn_equally_often_and_sets_by_their_shares() -> None:
    others = {"lidc": made(500, [CHEST], 3), "brain": made(7, [6], 7), "simulated": made(40, [CHEST], 40)}
    mednist = made(60, list(range(6)), 60)
    pictures = Pictures.joined([mednist, *others.values()])
    sources = np.repeat(["mednist", *others], [60, 500, 7, 40])
    known = Pool(pictures, sources, np.zeros(len(sources), dtype=np.int64))
    weights = chances(known, np.arange(len(sources)), none=0.1, foreign=0.4)
    assert weights.sum() == pytest.approx(1)
    assert weights[pictures.labels == 6].sum() == pytest.approx(0.1)
    for label in range(6):
        assert weights[pictures.labels == label].sum() == pytest.approx(0.9 / 6)
    chest = pictures.labels == CHEST
    assert weights[chest & (sources == "mednist")].sum() == pytest.approx(0.6 * 0.9 / 6)
    assert weights[sources == "lidc"].sum() == pytest.approx(0.2 * 0.9 / 6)
    assert weights[sources == "simulated"].sum() == pytest.approx(0.2 * 0.9 / 6)


def test_slices_are_of_chest_or_abdomen_by_their_lung_and_of_neither_between() -> None:
    def slice_with(share: float) -> np.ndarray:
        plane = np.full((52, 52), -1000.0)
        plane[6:46, 6:46] = 40.0
        plane[8:44, 15 : 15 + round(share * 40 * 40 / 36)] = -850.0
        return plane

    shares = [0.0, 0.03, 0.12, 0.35, 0.45, 0.35, 0.12, 0.0]
    assert parts_of_slices(np.stack([slice_with(share) for share in shares])) == [
        *("AbdomenCT", "AbdomenCT", None),
        *("ChestCT", "ChestCT", "ChestCT", "ChestCT"),
        None,  # above the lungs: neck and shoulders
    ]


def test_a_window_drawn_is_near_the_one_named() -> None:
    rng = np.random.default_rng(0)
    for name, (centre, width) in part_sources.WINDOWS_HU.items():
        drawn = np.array([drawn_window(name, rng) for _ in range(200)])
        assert np.abs(drawn.mean(axis=1) - centre).max() <= 0.15 * width + 1e-9
        wide = drawn[:, 1] - drawn[:, 0]
        assert width * np.exp(-0.3) - 1e-9 <= wide.min() < wide.max() <= width * np.exp(0.3) + 1e-9


def test_no_set_is_one_for_tests_only() -> None:
    for source in SOURCES.values():
        assert not any(word in source.folder for word in ("nc_", "gpl", "lung_pet", "dicom", "hippocampus"))


def test_sets_have_their_parts_and_patients(sources: dict[str, Pictures]) -> None:
    assert len(set(sources["lidc"].groups)) == 3
    assert set(sources["lidc"].labels.tolist()) == {CHEST, ABDOMEN}
    assert set(sources["totalseg"].labels.tolist()) == {ABDOMEN}
    assert set(sources["ct_ich"].groups) == {"p077", "p080", "p081"}
    assert len(set(sources["spleen"].groups)) == 7
    for name, source in SOURCES.items():
        if source.part == OTHER:
            assert set(sources[name].labels.tolist()) == {len(CLASSES)}
    for pictures in sources.values():
        assert pictures.pictures.shape[1:] == (64, 64)
        assert 0 <= pictures.pictures.min() < pictures.pictures.max() <= 1


def test_ct_is_measured_as_the_analyzer_sees_it(images: Path) -> None:
    shown = as_analysed(images, "lidc")
    assert len(set(shown.names)) == len(shown.names)  # one picture a slice
    with pytest.raises(InputError, match="no folder"):
        mednist_file(images / "mednist" / "mednist_train.npz")
    with pytest.raises(InputError, match="lidc_ct"):
        mednist_file(images / "mednist")


@needs_torch
def test_simulated_chests_have_two_lungs_and_abdomens_none() -> None:
    """In a window of air alone, what is dark inside the body is lung; bowel gas is little."""
    from scipy import ndimage

    from coread.recognition.training import part_trunk

    lungs = torch.arange(200) % 2 == 0
    pictures = part_trunk.simulated_trunks(
        lungs, 64, torch.Generator().manual_seed(0), noise_hu=20, domes=0.1
    )
    assert pictures.shape == (200, 1, 64, 64)
    assert 0 <= float(pictures.min()) < float(pictures.max()) <= 1
    again = part_trunk.simulated_trunks(lungs, 64, torch.Generator().manual_seed(0), noise_hu=20, domes=0.1)
    assert torch.equal(pictures, again)

    def dark(picture: np.ndarray) -> float:
        body = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(picture > 0.25, 3), iterations=3))
        return float((body[3:-3, 3:-3] & (picture < 0.25)).mean())

    shares = np.array([dark(p) for p in pictures[:, 0].numpy()])
    assert np.median(shares[lungs.numpy()]) > 2 * np.median(shares[~lungs.numpy()])


@needs_torch
@pytest.mark.parametrize("kind", ["turned", "tones", "stripped", "echo", "mixed", "inverted", "detail"])
def test_wrong_pictures_are_as_many_and_other(kind: str) -> None:
    from coread.recognition.training.part_wrong import wrong

    pictures = torch.from_numpy(made(24, list(range(7)), 24).pictures)[:, None]
    labels = torch.arange(24) % 7
    out = wrong(pictures, labels, kind, torch.Generator().manual_seed(1))
    assert out.shape == pictures.shape
    assert torch.isfinite(out).all()
    assert (out - pictures).abs().amax((1, 2, 3)).min() > 0.05


@needs_torch
@pytest.mark.slow
def test_a_short_training_leaves_weights_and_figures_of_sets_left_out(tmp_path: Path, images: Path) -> None:
    changes = {"steps": 2, "tuning": 2, "batch": 16, "draws": 1, "views": 1, "simulated": 40}
    record = train_to("body_part", images, tmp_path, changes=changes, threads=1, progress=lambda _: None)
    assert json.loads((tmp_path / "body_part.json").read_text())["weights"] == record["weights"]
    wanted = {"accuracy_lidc_chestct_left_out", "refused_totalseg_abdomenct_left_out", "caught_soop_left_out"}
    assert wanted <= set(record["metrics"])
    for figure in record["metrics"].values():
        assert 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1
    assert record["settings"]["unseen"] == network().settings["unseen"]  # the deal doesn't hang on the steps
