"""Networks at run time: ONNX files found by digest, a given number of threads, equal output every time."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from coread.core import Card, card_from_table
from coread.errors import DataError, InputError

SETTINGS_KEY = "coread"
Device = Literal["cpu", "cuda"]
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
MAXIMUM_BYTES = 4 * 1024 * 1024


class Network:
    """An ONNX network with float32 inputs and outputs.

    Args:
        content: The ONNX file.
        threads: Threads of ONNX Runtime.
        device: ``cuda`` needs onnxruntime-gpu and answers as the CPU does to about 1e-3.

    Attributes:
        digest: SHA-256 of the file, hexadecimal.
        inputs: Input names to shapes; a text stands for an axis of any length.
        outputs: Output names.
        settings: The numbers that belong to these weights (operating point, calibration, gate), from the
            JSON in the file's metadata; empty where it has none.

    Raises:
        DataError: The bytes are no ONNX network.
        InputError: ``cuda``, and ONNX Runtime can't use a GPU here.
    """

    def __init__(self, content: bytes, *, threads: int = 1, device: Device = "cpu") -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        # weights kept as 8-bit numbers are brought back to float32 once, when the file is loaded
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        if device == "cuda" and CUDA not in onnxruntime.get_available_providers():
            raise _no_gpu()
        providers: list[Any] = [(CUDA, {"use_tf32": "0"})] if device == "cuda" else []
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=[*providers, CPU])
        except Exception as error:  # ONNX Runtime raises classes of its own for every kind of damage
            raise DataError(
                f"bytes that ONNX Runtime can't load ({error})", "an ONNX network", "export it again"
            ) from error
        if device == "cuda" and CUDA not in self._session.get_providers():  # it falls back without a word
            raise _no_gpu()
        self.digest = hashlib.sha256(content).hexdigest()
        self.inputs: dict[str, tuple[int | str, ...]] = {
            i.name: tuple(i.shape) for i in self._session.get_inputs()
        }
        self.outputs: tuple[str, ...] = tuple(o.name for o in self._session.get_outputs())
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.settings: dict[str, Any] = json.loads(metadata.get(SETTINGS_KEY, "{}"))

    def run(self, arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """Return every output by name.

        Args:
            arrays: One float32 array for each input, batch first.

        Raises:
            InputError: An input is missing, unknown, or of another shape than the network's.
        """
        if set(arrays) != set(self.inputs):
            raise InputError(
                f"inputs {sorted(arrays)}", f"the network takes {sorted(self.inputs)}", "name each input once"
            )
        for name, array in arrays.items():
            expected = self.inputs[name]
            fits = array.ndim == len(expected) and all(
                isinstance(want, str) or want == have
                for want, have in zip(expected, array.shape, strict=True)
            )
            if not fits or array.dtype != np.float32:
                raise InputError(
                    f"input {name!r} as {array.dtype} of shape {array.shape}",
                    f"float32 of shape {expected}",
                )
        values = self._session.run(list(self.outputs), dict(arrays))
        return dict(zip(self.outputs, values, strict=True))


def _no_gpu() -> InputError:
    return InputError(
        "device cuda, and ONNX Runtime finds no GPU that it can use",
        "onnxruntime-gpu and a CUDA GPU",
        "leave the device out: the CPU gives the same answers",
    )


def read_weights(file: str, sha256: str) -> bytes:
    """Return a weights file of the package, checked against its digest.

    Args:
        file: Name in ``coread/recognition/weights``.
        sha256: Expected digest, hexadecimal.

    Raises:
        DataError: The file is absent or its digest is another one.
    """
    path = resources.files("coread.recognition") / "weights" / file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"no weights {file} in this installation", "a file of the package", "reinstall coread"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise DataError(
            f"weights {file} with SHA-256 {digest}", f"{sha256}, as the card says", "reinstall coread"
        )
    return content


@cache
def load_network(file: str, sha256: str, threads: int = 1) -> Network:
    """Return a network of the package, checked by `read_weights` and kept for the process."""
    return Network(read_weights(file, sha256), threads=threads)


@cache
def load_card(stem: str) -> Card:
    """Return the card ``<stem>.card.toml`` of this room.

    Raises:
        DataError: There is no such card.
    """
    path = resources.files("coread.recognition") / f"{stem}.card.toml"
    try:
        return card_from_table(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(f"no card named {stem} in recognition") from error
