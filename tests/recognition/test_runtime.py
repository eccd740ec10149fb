"""Networks are found by digest, take what they say they take and answer the same each time."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from coread.errors import DataError, InputError
from coread.recognition import cxr_pneumonia
from coread.recognition.runtime import CUDA, MAXIMUM_BYTES, Network, load_card, read_weights


@pytest.fixture(scope="module")
def network() -> Network:
    return cxr_pneumonia.network()


def test_two_runs_are_equal(network: Network) -> None:
    film = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    first, second = network.run({"film": film}), network.run({"film": film})
    for name in network.outputs:
        np.testing.assert_array_equal(first[name], second[name])


def test_a_film_reads_the_same_alone_and_among_others(network: Network) -> None:
    films = np.random.default_rng(1).random((5, 1, 28, 28), dtype=np.float32)
    together = network.run({"film": films})["logit"]
    alone = np.concatenate([network.run({"film": film[None]})["logit"] for film in films])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_threads_change_nothing_but_rounding() -> None:
    card = load_card("cxr_pneumonia")
    content = read_weights("cxr_pneumonia.onnx", card.weights or "")
    film = np.random.default_rng(2).random((2, 1, 28, 28), dtype=np.float32)
    one, two = (Network(content, threads=n).run({"film": film})["logit"] for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_gpu_answers_as_the_cpu_does_or_is_refused() -> None:
    content = read_weights("cxr_pneumonia.onnx", load_card("cxr_pneumonia").weights or "")
    if CUDA not in onnxruntime.get_available_providers():
        with pytest.raises(InputError, match="no GPU"):
            Network(content, device="cuda")
        pytest.skip("needs a GPU and onnxruntime-gpu to compare the answers")
    film = np.random.default_rng(3).random((4, 1, 28, 28), dtype=np.float32)
    here, there = (Network(content, device=device).run({"film": film}) for device in ("cpu", "cuda"))
    for name, values in here.items():
        np.testing.assert_allclose(there[name], values, atol=1e-3 * max(1.0, np.abs(values).max()))


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"image": np.zeros((1, 1, 28, 28), np.float32)},
        {"film": np.zeros((1, 28, 28), np.float32)},
        {"film": np.zeros((1, 1, 28, 29), np.float32)},
        {"film": np.zeros((1, 1, 28, 28))},
    ],
)
def test_what_does_not_fit_is_refused_with_what_was_expected(network: Network, arrays: dict) -> None:
    with pytest.raises(InputError, match="film"):
        network.run(arrays)


def test_changed_weights_are_refused() -> None:
    with pytest.raises(DataError, match="SHA-256"):
        read_weights("cxr_pneumonia.onnx", "0" * 64)
    with pytest.raises(DataError, match="no weights"):
        read_weights("absent.onnx", "0" * 64)
    with pytest.raises(DataError, match="no card"):
        load_card("absent")


def test_damaged_bytes_are_refused() -> None:
    with pytest.raises(DataError, match="ONNX"):
        Network(b"not a network")


def test_every_weights_file_is_small_enough_for_git() -> None:
    content = read_weights("cxr_pneumonia.onnx", load_card("cxr_pneumonia").weights or "")
    assert len(content) < MAXIMUM_BYTES == 4 * 1024 * 1024
