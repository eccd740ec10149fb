"""Trainings are seeded, their networks are what the run time says they are. Needs the extra `train`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from coread.errors import DataError
from coread.recognition.runtime import Network
from coread.recognition.training import films, gate, hippocampus, loop, networks, pneumonia, unet, unet3d
from coread.recognition.training.checkpoint import Checkpoint, Deal
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.shift import appearance, misleading
from coread.recognition.training.trainers import train_to

try:
    import torch
except ImportError:
    torch = None

needs_torch = pytest.mark.skipif(torch is None, reason="needs torch: pip install 'coread[train]'")
pytestmark = pytest.mark.train


def some_films(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((count, 28, 28), dtype=np.float32)


def tensor(pictures: np.ndarray):
    return torch.from_numpy(pictures)[:, None]


@pytest.fixture(scope="module")
def shipped():
    torch.manual_seed(0)
    members = [networks.film_network(8, 1).eval() for _ in range(2)]
    for member in members:  # statistics of a trained network are not 0 and 1
        member.train()(tensor(some_films(64)))
        member.eval()
    watch = networks_gate()
    known = gate.known_films(watch, some_films(64), seed=0)
    return networks.shipped_network(members, watch, known).eval()


def networks_gate():
    return networks.film_network(6, 1 + len(gate.OUTLIERS)).eval()


@needs_torch
def test_onnx_equals_torch_on_films(shipped, shared: Path) -> None:
    with np.load(shared / "images/pneumoniamnist/pneumoniamnist_trainval.npz", allow_pickle=False) as file:
        real = file["val_images"][:32].astype(np.float32) / 255
    network = Network(onnx_bytes(shipped, (1, 28, 28), "film", networks.OUTPUTS, {"threshold": 0.5}))
    assert network.settings == {"threshold": 0.5}
    got = network.run({"film": real[:, None]})
    with torch.no_grad():
        expected = shipped(tensor(real))
    for name, value in zip(networks.OUTPUTS, expected, strict=True):
        np.testing.assert_allclose(got[name], value.numpy(), atol=1e-5, rtol=1e-5)


@needs_torch
def test_a_cell_of_the_last_map_stands_for_its_block(shipped) -> None:
    """Two networks without mixing of places see a bright block in exactly its cell."""
    network = networks.film_network(8, 1).eval()
    picture = torch.zeros(1, 8, 28, 28)
    picture[..., 8:12, 20:24] = 1.0
    maps = picture
    for layer in network.features:
        if hasattr(layer, "shrink"):
            maps = layer.shrink(maps)
    assert maps.shape[-2:] == (7, 7)
    assert np.argwhere(maps[0, 0].numpy()).tolist() == [[2, 5]]
    assert float(maps[0, 0, 2, 5]) == 1.0


@needs_torch
def test_channels_do_not_depend_on_exposure() -> None:
    pictures = tensor(some_films(4))
    darker = 0.3 * pictures + 0.2
    whole, local = networks.film_channels(pictures).split(1, 1)
    whole_dark, local_dark = networks.film_channels(darker).split(1, 1)
    assert torch.allclose(whole, whole_dark, atol=0.05)
    assert float((local - local_dark).abs().mean()) < 0.2 * float(local.abs().mean())


@needs_torch
def test_no_change_changes_nothing_but_the_range() -> None:
    still = films.Change(**{field.name: 0 for field in dataclasses.fields(films.Change)} | {"mirror": True})
    pictures = tensor(some_films(6))
    out = films.stretched(films.changed(pictures, torch.Generator().manual_seed(0), still))
    same = (out - films.stretched(pictures)).abs().amax((1, 2, 3)) < 2e-3
    mirrored = (out - films.stretched(pictures).flip(3)).abs().amax((1, 2, 3)) < 2e-3
    assert bool((same | mirrored).all())
    assert bool(mirrored.any())
    straight = films.changed(
        pictures, torch.Generator().manual_seed(0), dataclasses.replace(still, mirror=False)
    )
    assert torch.allclose(films.stretched(straight), films.stretched(pictures), atol=2e-3)


@needs_torch
@pytest.mark.parametrize("kind", gate.OUTLIERS)
def test_outliers_differ_from_films_and_stay_in_range(kind: str) -> None:
    pictures = tensor(some_films(8))
    out = gate.outliers(pictures, kind, torch.Generator().manual_seed(1))
    assert out.shape == pictures.shape
    assert torch.isfinite(out).all()
    assert float((out - pictures).abs().mean()) > 0.05


@needs_torch
def test_mahalanobis_distance_has_the_mean_of_its_dimension() -> None:
    """Over the films it was made from, the mean squared distance is the number of features."""
    watch = networks_gate()
    source = some_films(300)
    known = gate.known_films(watch, source, seed=0)
    with torch.no_grad():
        pooled = networks.mirrored_features(watch, tensor(source)).mean((2, 3))
        changed = films.stretched(films.changed(tensor(source), torch.Generator().manual_seed(0), gate.MILD))
        both = torch.cat([pooled, networks.mirrored_features(watch, changed).mean((2, 3))])
    away = (both - known["mean"]) @ known["whitening"]
    rank = np.linalg.matrix_rank(np.cov(both.T.numpy()), tol=1e-3)
    squared = float((away**2).sum(1).mean())
    assert squared <= both.shape[1] * 1.001
    assert squared > 0
    assert rank <= both.shape[1]


@needs_torch
def test_two_trainings_from_one_seed_are_equal(tmp_path: Path) -> None:
    labels = np.arange(40) % 2
    images = (255 * (0.3 * some_films(40) + 0.5 * labels[:, None, None])).astype(np.uint8)
    data = tmp_path / "films.npz"
    np.savez(
        data,
        train_images=images[:30],
        train_labels=labels[:30, None],
        val_images=images[30:],
        val_labels=labels[30:, None],
    )
    changes = {"folds": 2, "steps": 4, "batch": 8, "width": 8, "gate_steps": 2, "draws": 2}
    records = [
        train_to(
            "cxr_pneumonia",
            data,
            tmp_path / str(run),
            changes=changes,
            threads=1,
            progress=lambda words: None,
        )
        for run in range(2)
    ]
    assert records[0]["weights"] == records[1]["weights"]

    def stop(words: str) -> None:
        if words == "network 1 of 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_to("cxr_pneumonia", data, tmp_path / "cut", changes=changes, threads=1, progress=stop)
    assert [p.name for p in (tmp_path / "cut" / "checkpoints").iterdir()] == ["network_1.pt"]
    resumed = train_to(
        "cxr_pneumonia",
        data,
        tmp_path / "cut",
        changes=changes,
        threads=1,
        progress=lambda words: None,
        resume=True,
    )
    assert resumed["weights"] == records[0]["weights"]
    assert json.loads((tmp_path / "0" / "cxr_pneumonia.json").read_text()) == records[0]
    network = Network((tmp_path / "0" / "cxr_pneumonia.onnx").read_bytes())
    assert set(network.settings) >= {"slope", "offset", "threshold", "abstain_low", "abstain_high"}


@needs_torch
@pytest.mark.parametrize("stops", [1, 30, 55])
def test_a_network_of_the_package_stopped_in_the_middle_goes_on_to_the_same_weights(
    stops: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state is kept every 25 steps; average, mixing, schedule and every generator go on from it."""
    part = pneumonia.Films(some_films(40), np.arange(40) % 2)
    plan = pneumonia.Plan(steps=60, batch=8, width=4)
    whole = pneumonia.trained_network(part, plan, 3).state_dict()
    real, taken = loop.Steps.take, 0

    def take(self: loop.Steps, loss: object) -> None:
        nonlocal taken
        taken += 1
        if taken == stops:
            raise KeyboardInterrupt
        real(self, loss)

    keep = Checkpoint(tmp_path / "network.pt", "some")
    monkeypatch.setattr(loop.Steps, "take", take)
    with pytest.raises(KeyboardInterrupt):
        pneumonia.trained_network(part, plan, 3, keep)
    monkeypatch.undo()
    again = pneumonia.trained_network(part, plan, 3, dataclasses.replace(keep, resume=True)).state_dict()
    assert all(torch.equal(again[name], value) for name, value in whole.items())


@needs_torch
def test_networks_run_wherever_their_input_is() -> None:
    """On torch's device without numbers, in place of a GPU: no operation may mix it with the CPU."""
    from torch.utils import _pytree
    from torch.utils._python_dispatch import TorchDispatchMode

    class OneDevice(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            flat = _pytree.tree_leaves((args, kwargs or {}))
            places = {t.device.type for t in flat if isinstance(t, torch.Tensor) and t.ndim}
            assert len(places) <= 1, f"{func} on {places}"
            return func(*args, **(kwargs or {}))

    with pytest.raises(AssertionError, match="convolution"), OneDevice():
        torch.nn.functional.conv2d(torch.zeros(1, 1, 3, 3, device="meta"), torch.ones(1, 1, 2, 2))
    for network, shape in (
        (networks.film_network(4, 3, side=64), (2, 1, 64, 64)),
        (unet.unet(4, 3), (2, 1, 32, 32)),
        (unet3d.unet(4, 3), (2, 1, 8, 16, 16)),
        (unet3d.fine_unet((4, 6, 8), 3), (2, 1, 8, 12, 16)),
    ):
        with OneDevice():
            out = network.to("meta")(torch.zeros(shape, device="meta"))
        assert out.device.type == "meta"
        assert out.shape[:2] == (2, 3)


@needs_torch
def test_cases_are_dealt_out_once_before_any_comes_again() -> None:
    generator = torch.Generator().manual_seed(0)
    deal = Deal(11, 3, generator)
    for _ in range(4):
        hands = torch.cat([deal.next() for _ in range(3)]).tolist()
        assert len(set(hands)) == 9
    state, kept = deal.state_dict(), generator.get_state()
    expected = [deal.next().tolist() for _ in range(5)]
    other = Deal(11, 3, torch.Generator())
    other.load_state_dict(state)
    other._generator.set_state(kept)
    assert [other.next().tolist() for _ in range(5)] == expected


@needs_torch
def test_a_unet_learns_a_bright_disc() -> None:
    grid = np.mgrid[:32, :32] - 15.5
    rng = np.random.default_rng(0)
    pictures, masks = [], []
    for _ in range(24):
        centre, radius = rng.uniform(-5, 5, 2), rng.uniform(4, 8)
        mask = np.hypot(grid[0] - centre[0], grid[1] - centre[1]) < radius
        pictures.append(np.clip(0.6 * mask + 0.2 + rng.normal(0, 0.05, mask.shape), 0, 1))
        masks.append(mask)
    plan = unet.SegmentationPlan(epochs=40, batch=4, width=8)
    network = unet.trained_unet(np.array(pictures, np.float32)[:20], np.array(masks)[:20], plan, 0)
    with torch.no_grad():
        said = torch.sigmoid(network(tensor(np.array(pictures, np.float32)[20:])))[:, 0].numpy() >= 0.5
    overlap = 2 * (said & np.array(masks)[20:]).sum() / (said.sum() + np.array(masks)[20:].sum())
    assert overlap > 0.9


@needs_torch
def test_a_network_of_pictures_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    pictures = rng.random((12, 32, 32), dtype=np.float32)
    masks = pictures > 0.6
    plan = unet.SegmentationPlan(epochs=14, batch=4, width=8)
    whole = unet.trained_unet(pictures, masks, plan, 5).state_dict()
    keep, real, taken = Checkpoint(tmp_path / "network.pt", "this training"), loop.Steps.take, 0

    def take(self: loop.Steps, loss: object) -> None:
        nonlocal taken
        taken += 1
        if taken == 36:
            raise KeyboardInterrupt
        real(self, loss)

    monkeypatch.setattr(loop.Steps, "take", take)
    with pytest.raises(KeyboardInterrupt):
        unet.trained_unet(pictures, masks, plan, 5, checkpoint=keep)
    monkeypatch.undo()
    again = unet.trained_unet(pictures, masks, plan, 5, checkpoint=dataclasses.replace(keep, resume=True))
    for name, values in again.state_dict().items():
        assert torch.equal(values, whole[name]), name


@needs_torch
def test_onnx_equals_torch_on_a_simulated_hippocampus() -> None:
    """Two steps on simulated crops, then the file beside the network on other simulated crops."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.mgrid[: hippocampus.FIELD[0], : hippocampus.FIELD[1], : hippocampus.FIELD[2]])
    volumes, labels = [], []
    for _ in range(6):
        centre = np.array(hippocampus.FIELD) / 2 + rng.uniform(-3, 3, 3)
        away = np.sqrt(
            (((grid - centre[:, None, None, None]) / np.array([6, 14, 7])[:, None, None, None]) ** 2).sum(0)
        )
        label = np.where(away < 1, np.where(grid[1] < centre[1], 1, 2), 0)
        volumes.append((0.8 * (label > 0) + rng.normal(0, 0.5, away.shape)).astype(np.float32))
        labels.append(label)
    plan = hippocampus.Plan(epochs=1, batch=2, widths=(8, 12, 16), window=(16, 24, 16))
    networks = [
        hippocampus.trained_unet(
            volumes[:4], labels[:4], dataclasses.replace(plan, seed=seed), lambda words: None
        )
        for seed in (1, 2)
    ]
    shown = torch.from_numpy(np.stack(volumes[4:]))[:, None]
    with torch.no_grad():
        plain = [torch.softmax(network(shown), 1).numpy() for network in networks]
        turned = [torch.softmax(network(shown.flip(4)), 1).numpy()[..., ::-1] for network in networks]
    expected = (plain[0] + plain[1] + turned[0] + turned[1]) / 4
    shipped = hippocampus.mean_probability(networks)
    whole, small = (hippocampus.exported(shipped, {"seed": 1}, small=small) for small in (False, True))
    got = Network(whole).run({"volume": shown.numpy()})["probability"]
    np.testing.assert_allclose(got, expected, atol=1e-4)
    assert expected.std() > 1e-2  # not the same everywhere
    assert len(small) < len(whole)
    got = Network(small).run({"volume": shown.numpy()})["probability"]
    np.testing.assert_allclose(got, expected, atol=0.02)  # weights of 8 bits


def _ball(radius: float, size: tuple[int, int, int] = (40, 40, 40)):
    axes = [torch.arange(n) - (n - 1) / 2 for n in size]
    away = sum(axis**2 for axis in torch.meshgrid(*axes, indexing="ij")) ** 0.5
    return (away < radius).float()[None, None]


@needs_torch
def test_untouched_windows_keep_every_voxel() -> None:
    """Shifted by whole voxels: the window is found again in the volume, as it was or mirrored."""
    rng = torch.Generator().manual_seed(0)
    masks = (torch.rand(6, 2, 16, 20, 16, generator=rng) < 0.3).float()
    plan = unet3d.WindowChange(window=(8, 10, 8), shift=3.0, untouched=1.0)
    _, wanted = unet3d.changed_windows(masks[:, :1], masks, rng, plan)
    places = set()
    for mask, window in zip(masks, wanted, strict=True):
        cut = mask.unfold(1, 8, 1).unfold(2, 10, 1).unfold(3, 8, 1).movedim(0, 3)
        found = [
            (*place, turned)
            for turned, sought in enumerate((window, window.flip(3)))
            for place in torch.isclose(cut, sought, atol=1e-4).flatten(3).all(3).nonzero().tolist()
        ]
        assert len(found) == 1
        assert all(abs(n - middle) <= 3 for n, middle in zip(found[0], (4, 5, 4), strict=False))
        places.add(tuple(found[0]))
    assert len(places) == 6


@needs_torch
def test_changed_windows_move_values_and_masks_alike_and_keep_volumes() -> None:
    """A ball turned is the same ball; zoomed and bent it has another volume, and its values go with it."""
    ball = _ball(10.0).repeat(8, 1, 1, 1, 1)
    values = 4 * ball - 1
    turned = unet3d.WindowChange(window=(32, 32, 32), shift=4.0, log_scale=0.0, bend=0.0, untouched=0.0)
    _, wanted = unet3d.changed_windows(values, ball, torch.Generator().manual_seed(1), turned)
    volumes = wanted.sum((1, 2, 3, 4)) / ball[0].sum()
    assert volumes.tolist() == pytest.approx([1.0] * 8, rel=0.02)
    assert ((wanted > 0.01) & (wanted < 0.99)).any()  # soft at its surface
    moved = dataclasses.replace(turned, log_scale=0.15, bend=1.0)
    shown, wanted = unet3d.changed_windows(values, ball, torch.Generator().manual_seed(1), moved)
    volumes = wanted.sum((1, 2, 3, 4)) / ball[0].sum()
    assert float(volumes.std()) > 0.05
    for seen, truth in zip(shown, wanted, strict=True):
        assert float(torch.corrcoef(torch.stack([seen.ravel(), truth.ravel()]))[0, 1]) > 0.9
    again, _ = unet3d.changed_windows(values, ball, torch.Generator().manual_seed(1), moved)
    assert torch.equal(again, shown)


def test_patients_are_on_one_side() -> None:
    patients = [f"p{n // 3}" for n in range(60)]
    folds = unet.patient_folds(patients, 3, seed=1)
    for patient in set(patients):
        assert len({int(f) for f, p in zip(folds, patients, strict=True) if p == patient}) == 1
    assert sorted(np.bincount(folds).tolist()) == [18, 21, 21]


def test_folds_hold_the_same_share_of_each_class() -> None:
    labels = np.array([0] * 100 + [1] * 300)
    folds = pneumonia.fold_numbers(labels, 5, seed=0)
    for fold in range(5):
        assert np.bincount(labels[folds == fold]).tolist() == [20, 60]


def test_duplicates_are_dropped_within_and_across_parts() -> None:
    pictures = some_films(6)
    pictures[3] = pictures[1]
    part = pneumonia.Films(pictures, np.zeros(6, np.int64))
    first = pneumonia.without_duplicates(part)
    assert len(first.labels) == 5
    other = pneumonia.Films(np.concatenate([pictures[:2], some_films(2, seed=9)]), np.zeros(4, np.int64))
    assert len(pneumonia.without_duplicates(other, first).labels) == 2


def test_given_data_hold_the_duplicates_that_are_known(shared: Path) -> None:
    data = shared / "images/pneumoniamnist/pneumoniamnist_trainval.npz"
    train = pneumonia.read_pneumoniamnist(data, "train")
    unique = pneumonia.without_duplicates(train)
    validation = pneumonia.without_duplicates(pneumonia.read_pneumoniamnist(data, "val"), unique)
    assert (len(train.labels), len(unique.labels), len(validation.labels)) == (4708, 4690, 516)
    with pytest.raises(DataError, match="test_images"):
        pneumonia.read_pneumoniamnist(data, "test")


def test_the_operating_point_of_two_normal_distributions() -> None:
    """Means -1 and 1, deviation 1: the best cut is 0, both rates are 0.841, the posterior's logit is 2 x."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [5000, 15000])
    scores = rng.normal(2.0 * labels - 1, 1.0)
    point = pneumonia.operating_point(labels, scores)
    said = 1 / (1 + np.exp(-(point["slope"] * scores + point["offset"])))
    for label in (0, 1):
        right = (said >= point["threshold"]) == (label == 1)
        assert right[labels == label].mean() == pytest.approx(0.841, abs=0.01)
    assert point["threshold"] == pytest.approx(0.5, abs=0.02)
    assert point["slope"] == pytest.approx(2.0, abs=0.1)
    assert point["offset"] == pytest.approx(0.0, abs=0.1)
    zone = (said > point["abstain_low"]) & (said < point["abstain_high"])
    assert zone.mean() == pytest.approx(0.05, abs=2e-3)


def test_appearance_knows_brightness_and_sharpness() -> None:
    flat = np.full((1, 28, 28), 0.4, np.float32)
    board = np.indices((28, 28)).sum(axis=0)[None] % 2
    still, sharp = appearance(flat)[0], appearance(board.astype(np.float32))[0]
    assert still[0] == pytest.approx(0.4)
    assert still[7:9].tolist() == [0, 0]
    assert sharp[7] == pytest.approx(2.0)
    assert sharp[8] == pytest.approx(4.0)


def test_misleading_films_are_those_that_look_like_the_other_class() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 200)
    contrast = np.where(labels == 1, 0.1, 0.3)
    odd = rng.choice(400, 40, replace=False)
    contrast[odd] = 0.4 - contrast[odd]
    pictures = (0.5 + contrast[:, None, None] * rng.normal(size=(400, 28, 28))).astype(np.float32)
    chosen = misleading(pictures, labels, part=0.1, seed=0)
    assert chosen.sum() == 40
    assert np.isin(np.flatnonzero(chosen), odd).mean() > 0.8
