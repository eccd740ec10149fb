"""From torch to ONNX, and the proof that both say the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError, InputError
from coread.extras import require
from coread.recognition.inference import Predict
from coread.recognition.runtime import Device, Network

TOLERANCE = 1e-4
Module = Any


def load_script(path: Path, device: Device = "cpu") -> Module:
    """Return a TorchScript network. Its program is restricted to tensors, unlike a pickle's.

    Raises:
        DataError: It is no TorchScript file.
        InputError: ``cuda``, and torch sees no GPU.
        MissingExtraError: torch is not installed.
    """
    torch = require("torch", extra="train")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda", "a GPU that torch can use", "leave the device out")
    try:
        return torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(f"{path.name} can't be loaded ({error})", "a TorchScript file") from error


def torch_predictor(network: Module) -> Predict:
    """Return a predictor of windows from a torch network, in the precision and place of its weights."""
    torch = require("torch", extra="train")
    first = next((p for p in network.parameters() if p.is_floating_point()), torch.zeros(0))

    def predict(batch: Any) -> Any:
        with torch.inference_mode():
            answer = network(torch.from_numpy(np.ascontiguousarray(batch)).to(first))
        answer = answer[0] if isinstance(answer, tuple | list) else answer
        return answer.cpu().numpy()

    return predict


def onnx_of(network: Module, shape: Sequence[int], *, script: bool) -> bytes:
    """Return a network as ONNX (opset 18): input ``image``, output ``output``, any number of cases.

    Args:
        network: Module or TorchScript.
        shape: Of one case, channels first.
        script: Whether it is TorchScript.

    Raises:
        DataError: It can't be converted.
        MissingExtraError: torch, onnx or onnxscript is not installed.
    """
    torch = require("torch", extra="train")
    require("onnx", extra="train")
    require("onnxscript", extra="train")
    axes = {"dynamic_axes": {"image": {0: "cases"}, "output": {0: "cases"}}, "dynamo": False}
    if not script:
        axes = {"dynamic_shapes": ({0: "cases"},), "dynamo": True, "external_data": False, "verbose": False}
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.zeros(2, *shape),),
                buffer,
                input_names=["image"],
                output_names=["output"],
                opset_version=18,
                **axes,
            )
    except Exception as error:  # every operator that ONNX lacks has a class of its own
        raise DataError(f"the network can't be converted to ONNX ({str(error)[:200]})") from error
    return _exact_norms(buffer.getvalue(), len(shape) - 1)


def _exact_norms(content: bytes, axes: int) -> bytes:
    """Instance normalisation written out: means axis by axis, first of the values, then of squares.

    ONNX Runtime sums a whole volume in single precision, and is off by 1e-2 on one that is mostly empty.
    """
    onnx = require("onnx", extra="train")
    make, constant = onnx.helper.make_node, onnx.numpy_helper.from_array
    model = onnx.load_from_string(content)
    nodes = []
    for count, node in enumerate(model.graph.node):
        if node.op_type != "InstanceNormalization":
            nodes.append(node)
            continue
        (x, scale, shift), (y,) = node.input, node.output
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        p = f"norm{count}_"
        model.graph.initializer.extend(
            [
                constant(np.float32(epsilon), p + "epsilon"),
                constant(np.array([-1, *[1] * axes]), p + "column"),
                *(constant(np.array([axis]), f"{p}axis{axis}") for axis in range(2, 2 + axes)),
            ]
        )

        def mean(source: str, target: str, p: str = p) -> list[Any]:
            names = [source, *(f"{target}{n}" for n in range(1, axes)), target]
            return [
                make("ReduceMean", [names[n], f"{p}axis{1 + axes - n}"], [names[n + 1]], keepdims=1)
                for n in range(axes)
            ]

        nodes += [
            *mean(x, p + "mean"),
            make("Sub", [x, p + "mean"], [p + "away"]),
            make("Mul", [p + "away", p + "away"], [p + "square"]),
            *mean(p + "square", p + "variance"),
            make("Add", [p + "variance", p + "epsilon"], [p + "positive"]),
            make("Sqrt", [p + "positive"], [p + "deviation"]),
            make("Div", [p + "away", p + "deviation"], [p + "normal"]),
            make("Reshape", [scale, p + "column"], [p + "scale"]),
            make("Reshape", [shift, p + "column"], [p + "shift"]),
            make("Mul", [p + "normal", p + "scale"], [p + "scaled"]),
            make("Add", [p + "scaled", p + "shift"], [y]),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


def check_same(content: bytes, network: Module, shape: Sequence[int]) -> float:
    """Return the largest difference of an ONNX network from the original on three images.

    They are noise, a ramp, and noise in the middle of an empty image, as a head lies in its field of view.

    The original answers in double precision where it can, so that its own rounding is not counted. The
    difference is relative to the largest value of the original where that is above 1. It may be above
    1e-4 only on an image on which the original in single precision is off by as much: no file of single
    precision can be nearer there.

    Args:
        content: The ONNX file.
        network: The original in torch, in single precision.
        shape: Of one case, channels first.

    Raises:
        DataError: It is larger.
    """
    converted = Network(content)
    ((name, _),) = converted.inputs.items()
    ramp = np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(1, *shape)
    noise = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    largest = 0.0
    middle = np.zeros_like(noise)
    inside = (slice(None), slice(None), *(slice(n // 4, n - n // 4) for n in shape[1:]))
    middle[inside] = 1 + 0.2 * noise[inside]
    for image in (noise, ramp, middle):
        expected = _exact(network, image)
        got = converted.run({name: image})[converted.outputs[0]]
        if got.shape != expected.shape:
            raise DataError(f"ONNX answers in shape {got.shape}", f"{expected.shape}, as the original")
        scale = max(1.0, float(np.abs(expected).max()))
        difference = float(np.abs(got - expected).max()) / scale
        own = float(np.abs(torch_predictor(network)(image) - expected).max()) / scale
        if not difference <= max(TOLERANCE, own):
            raise DataError(
                f"the converted network differs from the original by {difference:.2g}",
                f"at most {max(TOLERANCE, own):.2g}",
            )
        largest = max(largest, difference)
    return largest


def _exact(network: Module, image: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    try:
        return torch_predictor(network.double())(image)
    except RuntimeError:  # a script may ask for single precision somewhere
        return torch_predictor(network.float())(image)
    finally:
        network.float()  # from single to double and back nothing is lost
