"""Models of one's own: learnt from a table, the same when made again, true to their card. Needs `train`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image as Picture
from sklearn.metrics import roc_auc_score

from coread.core import Acquisition, Geometry, Image, ImagePlane, Volume
from coread.errors import DataError, InputError
from coread.interop.nifti import read_volume
from coread.recognition.importing import import_model, load_imported
from coread.recognition.importing.imported import read_card
from coread.recognition.training.evaluation import evaluate_on_table
from coread.recognition.training.own import train_own
from coread.recognition.training.settings import TrainingSettings
from coread.recognition.training.unlabelled import finished, order_unlabelled

try:
    import torch
except ImportError:
    torch = None

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(torch is None, reason="needs the extra `train` (torch)"),
]
PLAN = {"side": 28, "epochs": 5, "batch": 12, "width": 8, "patience": 0, "change": 0.3}


def quiet(*words: Any) -> None:
    pass


def films(folder: Path, *, patients: int = 60, seed: int = 0) -> Path:
    """Pictures with noise, some with a bright disc; every third patient has two."""
    rng = np.random.default_rng(seed)
    grid = np.mgrid[:40, :36]
    rows = []
    for patient in range(patients):
        label = patient % 2
        for number in range(1 + (patient % 3 == 0)):
            picture = rng.normal(90, 20, (40, 36))
            centre = rng.uniform(12, 24, 2)
            away = np.hypot(grid[0] - centre[0], grid[1] - centre[1])
            picture += label * 110 * (away < 7) + (1 - label) * 110 * (np.abs(grid[0] - centre[0]) < 2)
            name = f"{patient:02}_{number}.png"
            Picture.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).save(folder / name)
            rows.append([name, ["bar", "disc"][label], f"patient {patient}"])
    path = folder / "cohort.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["image", "label", "patient"], *rows])
    return path


def settings(data: Path, **more: Any) -> TrainingSettings:
    return TrainingSettings(**{"model": "classify", "name": "discs", "data": data, "plan": PLAN} | more)


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("discs")
    data = films(folder)
    record = train_own(settings(data), folder / "run", progress=quiet, clock=lambda: 1.7e9)
    return folder, record


def predictions(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_it_has_learnt_and_its_figures_are_those_of_its_predictions(
    disc: tuple[Path, dict[str, Any]],
) -> None:
    folder, record = disc
    rows = predictions(folder / "run")
    truth = np.array([row["label"] == "disc" for row in rows])
    chance = np.array([float(row["p_disc"]) for row in rows])
    metrics = record["metrics"]
    assert metrics["auc_test"]["value"] == pytest.approx(roc_auc_score(truth, chance), abs=1e-6)
    assert metrics["auc_test"]["value"] > 0.9
    right = (chance >= record["threshold"]) == truth
    assert metrics["accuracy_test"]["value"] == pytest.approx(right.mean())
    assert metrics["sensitivity_test"]["value"] == pytest.approx(right[truth].mean())
    assert metrics["brier_test"]["value"] == pytest.approx(np.mean((chance - truth) ** 2), abs=1e-5)
    for figure in metrics.values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    sides = record["networks"][0]["patients"]
    assert sides == {"train": 36, "val": 12, "test": 12}


def test_the_card_says_what_was_measured_on_whom(disc: tuple[Path, dict[str, Any]]) -> None:
    folder, record = disc
    card, given, _ = read_card(folder / "run" / "card.toml")
    assert card.weights == record["weights"]
    assert card.threshold == pytest.approx(record["threshold"], abs=1e-6)
    assert {m.name: m.value for m in card.metrics} == pytest.approx(
        {name: figure["value"] for name, figure in record["metrics"].items()}, abs=1e-4
    )
    for word in (
        record["data"]["sha256"],
        str(record["plan"]["seed"]),
        f"torch {torch.__version__}",
        "60 patients",
    ):
        assert word in card.training_data
    assert "patient 3" not in (folder / "run" / "card.toml").read_text()
    assert all(m.date == "2023-11-14" and "kept apart" in m.data for m in card.metrics)
    assert given["outputs"] == ["bar", "disc"]
    assert finished(folder / "run") == record


def test_import_takes_it_and_says_what_torch_says(disc: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    from coread.recognition.training.networks import film_network

    folder, record = disc
    run = folder / "run"
    model = import_model(run / "discs.onnx", name="discs", card=run / "card.toml", out=tmp_path)
    network = film_network(8, 2, side=28)
    network.load_state_dict(torch.load(run / "checkpoint.pt", weights_only=True)["best"])
    network.eval()
    temperature = record["networks"][0]["temperature"]
    for row in predictions(run)[:6]:
        with Picture.open(folder / row["image"]) as picture:
            values = np.asarray(picture, dtype=np.float32)
            small = np.asarray(picture.convert("F").resize((28, 28), Picture.Resampling.BILINEAR))
        shown = (small - small.min()) / np.ptp(small)
        with torch.no_grad():
            logits = network(torch.from_numpy(shown)[None, None])[0] / temperature
        image = Image(values, ImagePlane(values.shape, None, "unknown"), "stored", Acquisition("OT"))
        said = model.classify(image)
        assert said["disc"] == pytest.approx(float(torch.softmax(logits, 0)[1]), abs=1e-4)
        assert said["disc"] == pytest.approx(float(row["p_disc"]), abs=1e-5)
    again = evaluate_on_table(load_imported(tmp_path / "discs"), folder / "cohort.csv")
    assert (again.cases, again.patients) == (80, 60)
    assert again.metrics["auc"].value > 0.9
    with pytest.raises(InputError, match="test part"):
        evaluate_on_table(load_imported(tmp_path / "discs"), folder / "cohort.csv", part="test")


def test_stopped_and_taken_up_it_is_the_same_file(disc: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, record = disc

    def stop(words: str) -> None:
        if "epoch 3" in words:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_own(settings(folder / "cohort.csv"), tmp_path, progress=stop)
    with pytest.raises(InputError, match="no finished training"):
        finished(tmp_path)
    told: list[str] = []
    again = train_own(settings(folder / "cohort.csv"), tmp_path, resume=True, progress=told.append)
    assert "network: goes on after epoch 3" in told
    assert again["weights"] == record["weights"]
    assert (tmp_path / "discs.onnx").read_bytes() == (folder / "run" / "discs.onnx").read_bytes()
    assert again["metrics"] == record["metrics"]
    other = settings(folder / "cohort.csv", plan=PLAN | {"seed": 5})
    with pytest.raises(InputError, match="another plan or other data"):
        train_own(other, tmp_path, resume=True, progress=quiet)


def test_folds_judge_every_patient_once_and_their_disagreement_puts_cases_in_order(tmp_path: Path) -> None:
    data = films(tmp_path, patients=30, seed=1)
    run = tmp_path / "run"
    plan = PLAN | {"epochs": 3}
    record = train_own(settings(data, folds=3, plan=plan), run, progress=quiet)
    rows = predictions(run)
    with data.open(newline="") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    assert sorted(row["image"] for row in rows) == sorted(names)
    of = {row["image"][:2]: row["judged_by"] for row in rows}
    assert all(of[row["image"][:2]] == row["judged_by"] for row in rows)
    assert {name.rsplit("_", 2)[-2:] == ["cross", "validation"] for name in record["metrics"]} == {True}
    for fold in ("fold_1", "fold_2", "fold_3"):
        assert {"log.csv", "checkpoint.pt", "model.onnx"} <= {p.name for p in (run / fold).iterdir()}
    (tmp_path / "flat.png").write_bytes((tmp_path / names[0]).read_bytes())
    pool = tmp_path / "pool.csv"
    pool.write_text("image\n" + "\n".join([*names[:5], "flat.png"]) + "\n")
    order = order_unlabelled(run, pool, progress=quiet)
    assert [row["rank"] for row in order] == [1, 2, 3, 4, 5, 6]
    values = [row["disagreement"] for row in order]
    assert values == sorted(values, reverse=True)
    places = [row["image"] for row in order]
    assert places.index(names[0]) < places.index("flat.png") == places.index(names[0]) + 1  # a tie, by name
    by_entropy = [row["entropy"] for row in order_unlabelled(run, pool, by="entropy", progress=quiet)]
    assert by_entropy == sorted(by_entropy, reverse=True)


def masked(folder: Path, count: int = 24) -> Path:
    rng = np.random.default_rng(2)
    grid = np.mgrid[:40, :48]
    lines = ["image,mask,patient,split"]
    for n in range(count):
        centre, radius = rng.uniform(14, 26, 2), rng.uniform(6, 10)
        mask = np.hypot(grid[0] - centre[0], grid[1] - centre[1]) < radius
        np.savez(folder / f"{n}.npz", picture=60 + 120 * mask + rng.normal(0, 12, mask.shape))
        Picture.fromarray((255 * mask).astype(np.uint8)).save(folder / f"{n}_mask.png")
        lines.append(
            f"{n}.npz,{n}_mask.png,p{n},{('train', 'train', 'train', 'train', 'val', 'test')[n % 6]}"
        )
    path = folder / "cohort.csv"
    path.write_text("\n".join(lines))
    return path


def test_discs_are_outlined_on_the_pictures_own_grid(tmp_path: Path) -> None:
    plan = {"side": 32, "epochs": 16, "batch": 4, "width": 8, "rate": 0.01, "patience": 0}
    told = settings(masked(tmp_path), model="segment", plan=plan, labels={255: "disc"})
    record = train_own(told, tmp_path / "run", progress=quiet)
    assert record["specification"]["outputs"] == ["background", "disc"]
    assert record["metrics"]["dice_test"]["value"] > 0.85
    scores = [float(row["dice_disc"]) for row in predictions(tmp_path / "run")]
    assert record["metrics"]["dice_test"]["value"] == pytest.approx(np.mean(scores), abs=1e-5)
    run = tmp_path / "run"
    model = import_model(run / "discs.onnx", name="discs", card=run / "card.toml", out=tmp_path / "models")
    again = evaluate_on_table(
        load_imported(tmp_path / "models" / "discs"), tmp_path / "cohort.csv", part="test"
    )
    assert again.metrics["dice"].value == pytest.approx(np.mean(scores), abs=1e-5)
    with np.load(tmp_path / "5.npz") as file:
        picture = file["picture"].astype(np.float32)[None]
    volume = Volume(picture, Geometry.axial(picture.shape, spacing_mm=(1, 1, 1)), "stored", Acquisition("OT"))
    (segment,) = model.segment([volume])
    with Picture.open(tmp_path / "5_mask.png") as mask:
        truth = np.asarray(mask) > 0
    assert segment.concept.meaning == "disc"
    overlap = 2 * (segment.mask.voxels[0] & truth).sum() / (segment.mask.voxels.sum() + truth.sum())
    assert overlap == pytest.approx(scores[0], abs=1e-5)


def test_balls_are_outlined_in_volumes_however_they_are_stored(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    lines = ["image,mask,patient,split"]
    for n in range(12):
        shape = (30, 26, 14)  # right, front, up in NIfTI's order
        centre = rng.uniform(0.4, 0.6, 3) * shape
        grid = np.mgrid[: shape[0], : shape[1], : shape[2]]
        spacing = np.array([1.0, 1.0, 2.0])
        away = np.sqrt((((grid - centre[:, None, None, None]) * spacing[:, None, None, None]) ** 2).sum(0))
        ball = (away < 7).astype(np.int16) + (away < 4)
        values = (100 + 150 * (ball > 0) + 150 * (ball > 1) + rng.normal(0, 20, shape)).astype(np.float32)
        affine = np.diag([*spacing, 1.0])
        if n % 2:  # the same patient, stored from left to right
            values, ball, affine = values[::-1], ball[::-1], affine @ np.diag([-1.0, 1, 1, 1])
        tools: Any = nibabel
        tools.save(tools.Nifti1Image(np.ascontiguousarray(values), affine), tmp_path / f"{n}.nii.gz")
        tools.save(tools.Nifti1Image(np.ascontiguousarray(ball), affine), tmp_path / f"{n}_m.nii.gz")
        part = ("train", "train", "train", "train", "val", "test")[n % 6]
        lines.append(f"{n}.nii.gz,{n}_m.nii.gz,p{n},{part}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines))
    plan = {"dimensions": 3, "side": 24, "slices": 16, "spacing_mm": [2, 1.5, 1.5], "epochs": 40, "batch": 4}
    plan |= {"width": 8, "patience": 0, "rate": 0.01}
    told = settings(tmp_path / "cohort.csv", model="segment", plan=plan, labels={1: "shell", 2: "core"})
    record = train_own(told, tmp_path / "run", read=read_volume, progress=quiet)
    assert record["specification"]["outputs"] == ["background", "shell", "core"]
    assert record["metrics"]["dice_core_test"]["value"] > 0.7
    assert record["metrics"]["dice_test"]["value"] > 0.7


def test_what_cannot_be_used_is_told_with_its_row(tmp_path: Path) -> None:
    data = films(tmp_path, patients=30)
    (tmp_path / "04_0.png").write_bytes(b"no picture")
    number = 2 + [line.split(",")[0] for line in data.read_text().splitlines()[1:]].index("04_0.png")
    with pytest.raises(DataError, match=rf"cohort\.csv, row {number}: 04_0\.png is no picture"):
        train_own(settings(data), tmp_path / "run", progress=quiet)
    folder = tmp_path / "masks"
    folder.mkdir()
    data = masked(folder, 6)
    Picture.fromarray(np.zeros((9, 9), np.uint8)).save(folder / "3_mask.png")
    told = settings(data, model="segment", plan={"side": 32})
    with pytest.raises(DataError, match=r"row 5: a mask of \(9, 9\) for an image of \(40, 48\)"):
        train_own(told, tmp_path / "run", progress=quiet)
    told = settings(masked(folder, 6), model="segment", plan={"side": 32}, labels={1: "disc"})
    with pytest.raises(DataError, match="the value 255 in the mask of row 2"):
        train_own(told, tmp_path / "run", progress=quiet)


def test_what_the_settings_cannot_mean_is_refused(tmp_path: Path) -> None:
    data = films(tmp_path, patients=30)
    for more, word in (
        ({"classes": ("disc", "square")}, "those of the table: bar, disc"),
        ({"plan": {"side": 8}}, "28 or more"),
        ({"plan": {"dimensions": 2}}, "no setting 'dimensions'"),
        ({"intensity": {"lowest": 3}}, "intensity"),
        ({"card": {"mode": "oracle"}}, "mode is one of"),
        ({"data": None}, "no data"),
    ):
        with pytest.raises(InputError, match=word):
            train_own(settings(**{"data": data} | more), tmp_path / "run", progress=quiet)
    assert not (tmp_path / "run").exists()
