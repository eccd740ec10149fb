"""The shapes' file says what scikit-learn says. Needs the extra `train` (onnx)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coread.errors import InputError
from coread.recognition import adrenal_shape
from coread.recognition.runtime import Network, load_card
from coread.recognition.training import adrenal
from coread.recognition.training.adrenal import (
    Plan,
    onnx_trees,
    operating_point,
    trained_member,
    trained_members,
    trained_record,
)
from coread.recognition.training.trainers import train_to

pytestmark = pytest.mark.train
FILE = "images/adrenalmnist3d_64/adrenalmnist3d_64_trainval.npz"


def cases(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(count, 8))
    labels = (features[:, 0] + features[:, 1] * features[:, 2] + rng.normal(size=count) > 0.5).astype(
        np.int64
    )
    return features, labels


def test_onnx_equals_scikit_learn_also_at_the_thresholds_of_its_trees() -> None:
    pytest.importorskip("onnx", reason="needs onnx: pip install 'coread[train]'")
    features, labels = cases(300)
    features = np.round(features, 2)  # many values tie with thresholds
    plan = Plan(trees=40)
    members = [trained_member(features[n:], labels[n:], plan, n) for n in range(3)]
    settings = {"features": [f"f{n}" for n in range(8)]}
    network = Network(onnx_trees([member.fitted() for member in members], settings))
    assert network.settings == settings
    got = network.run({"features": features.astype(np.float32)})["logits"]
    expected = np.stack([m.logits(features.astype(np.float32).astype(np.float64)) for m in members], axis=1)
    np.testing.assert_allclose(got, expected, atol=1e-5, rtol=1e-5)


def test_a_case_is_judged_by_the_member_that_never_saw_it() -> None:
    """With labels drawn by lot, only a member that knew a case could be right about it."""
    rng = np.random.default_rng(1)
    features, labels = rng.normal(size=(400, 8)), rng.integers(0, 2, 400)
    members, unseen, of_all = trained_members(features, labels, Plan(trees=150), 0, others=features)
    assert len(members) == 5
    seen = np.mean(of_all, axis=0)
    assert np.mean((seen > 0) == labels) > 0.7
    assert np.mean((unseen > 0) == labels) == pytest.approx(0.5, abs=0.09)


def test_calibration_recovers_a_known_slope() -> None:
    rng = np.random.default_rng(2)
    logits = rng.normal(size=20_000) * 2
    labels = (rng.random(20_000) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(np.int64)
    point = operating_point(labels, logits[:], 0.1)
    assert point["slope"] == pytest.approx(0.5, abs=0.05)
    assert point["offset"] == pytest.approx(-1.0, abs=0.08)
    assert point["abstain_low"] < point["threshold"] < point["abstain_high"]


def test_training_is_seeded_and_ends_where_the_run_time_begins(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adrenal, "read_features", cache(adrenal_shape.read_features))  # measured once
    pytest.importorskip("onnx", reason="needs onnx: pip install 'coread[train]'")
    with np.load(shared / FILE, allow_pickle=False) as file:
        some = {name: file[name][:20] for name in file.files}
    np.savez(tmp_path / "some.npz", **some)
    plan = Plan(members=2, repeats=1, trees=10, leaf=3)
    once, record = trained_record(tmp_path / "some.npz", plan)
    assert once == trained_record(tmp_path / "some.npz", plan)[0]
    assert (
        once != trained_record(tmp_path / "some.npz", Plan(members=2, repeats=1, trees=10, leaf=3, seed=1))[0]
    )
    assert 0 <= record["auc_cross_validation"]["mean_of_repeats"] <= 1
    network = Network(once)
    shapes = adrenal.read_features(tmp_path / "some.npz", "val")
    readings = adrenal_shape.read_shapes(shapes.features, network)
    assert len(readings) == 20
    assert np.mean([reading.distance > 1 for reading in readings]) <= 1 - plan.accepted + 0.05


def drawn(path: Path, part: Any) -> adrenal_shape.Shapes:
    """Shapes as if they had been measured, which takes long."""
    features, labels = cases(24, seed=len(part))
    names = ("volume", *(f"f{n}" for n in range(7)))
    return adrenal_shape.Shapes(path.name, names, features, labels, ("",) * 24, ())


@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_stopped_and_taken_up_it_gives_the_same_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Stopped before the second part is measured, or while some member of some division is trained."""
    pytest.importorskip("onnx", reason="needs onnx: pip install 'coread[train]'")
    pytest.importorskip("torch", reason="needs torch: pip install 'coread[train]'")
    data = tmp_path / "shapes.npz"
    data.write_bytes(b"any")
    monkeypatch.setattr(adrenal, "read_features", drawn)
    changes = {"members": 2, "repeats": 2, "trees": 6, "leaf": 3}
    told = {"changes": changes, "threads": 1, "progress": lambda words: None}
    through = train_to("adrenal_shape", data, tmp_path / "through", **told)
    asked = {"parts": 0, "members": 0}
    real = adrenal.trained_member

    def member(*arguments: Any) -> Any:
        if asked["members"] == stop:
            raise KeyboardInterrupt
        asked["members"] += 1
        return real(*arguments)

    def features(path: Path, part: Any) -> Any:
        if stop == 0 and asked["parts"] == 1:
            raise KeyboardInterrupt
        asked["parts"] += 1
        return drawn(path, part)

    with monkeypatch.context() as patched:
        patched.setattr(adrenal, "trained_member", member)
        patched.setattr(adrenal, "read_features", features)
        with pytest.raises(KeyboardInterrupt):
            train_to("adrenal_shape", data, tmp_path / "stopped", **told)
        assert not (tmp_path / "stopped" / "adrenal_shape.onnx").exists()
        asked |= {"parts": -10, "members": -100}
        resumed = train_to("adrenal_shape", data, tmp_path / "stopped", resume=True, **told)
    assert resumed == through
    files = [folder / "adrenal_shape.onnx" for folder in (tmp_path / "through", tmp_path / "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert asked["members"] == -100 + 6 - stop  # what was kept is not trained again
    with pytest.raises(InputError, match="another plan"):
        train_to(
            "adrenal_shape",
            data,
            tmp_path / "stopped",
            resume=True,
            **{**told, "changes": changes | {"seed": 1}},
        )


def test_the_plan_is_that_of_the_shipped_weights() -> None:
    settings = adrenal_shape.network().settings
    assert settings["seed"] == Plan().seed
    assert settings["threshold"] == pytest.approx(load_card("adrenal_shape").threshold, abs=1e-4)
