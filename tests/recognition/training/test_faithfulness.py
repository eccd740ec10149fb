"""Faithfulness of maps: weights are mixed and not changed, and what is measured is as the card says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coread.recognition.runtime import Network, load_card, read_weights
from coread.recognition.training.faithfulness import (
    films_found,
    measured_faithfulness,
    with_mixed_weights,
)

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'coread[train]'")
pytestmark = pytest.mark.train


def weights_of(content: bytes) -> dict[str, np.ndarray]:
    model = onnx.load_from_string(content)
    return {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}


def test_mixed_weights_hold_the_same_values_in_another_order() -> None:
    content = read_weights("cxr_pneumonia.onnx", load_card("cxr_pneumonia").weights or "")
    before, after = weights_of(content), weights_of(with_mixed_weights(content, 0))
    moved = 0
    for name, values in before.items():
        assert np.array_equal(np.sort(values.ravel()), np.sort(after[name].ravel()))
        moved += not np.array_equal(values, after[name])
    assert moved >= 10
    Network(with_mixed_weights(content, 1))


def test_maps_name_what_the_network_uses_better_than_chance(shared: Path) -> None:
    films, normal = films_found(shared / "images/pneumoniamnist/pneumoniamnist_trainval.npz")
    figures = measured_faithfulness(films[::20], normal, seeds=(0,))
    assert figures["insertion_auc"].value > figures["insertion_auc_random"].value
    assert figures["deletion_auc"].value < figures["deletion_auc_random"].value
    assert figures["random_weights_agreement"].value < 0.5
