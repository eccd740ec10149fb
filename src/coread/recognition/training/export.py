"""From a torch network to the ONNX file that is shipped."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from coread.errors import DataError
from coread.extras import require
from coread.recognition.runtime import MAXIMUM_BYTES, SETTINGS_KEY

Module = Any


def onnx_bytes(
    network: Module,
    shape: Sequence[int],
    name: str,
    outputs: Sequence[str],
    settings: dict[str, Any],
    *,
    small: bool = False,
    limit: int | None = MAXIMUM_BYTES,
) -> bytes:
    """Return the ONNX file (opset 18) of a network with one input, its first axis of any length.

    Args:
        network: In torch; it is set to evaluation.
        shape: Of one case, without the batch.
        name: Of the input.
        outputs: Names of the outputs in the order in which the network gives them.
        settings: Kept as JSON in the file's metadata.
        small: Keep weights as 8-bit numbers, see `with_small_weights`.
        limit: Most bytes; that of weights in the package where nothing is said, None for any size.

    Raises:
        MissingExtraError: torch, onnx or onnxscript is not installed.
        DataError: The file is larger than the limit.
    """
    torch = require("torch", extra="train")
    onnx = require("onnx", extra="train")
    require("onnxscript", extra="train")
    buffer = io.BytesIO()
    torch.onnx.export(
        network.eval(),
        (torch.zeros(2, *shape),),
        buffer,
        input_names=[name],
        output_names=list(outputs),
        dynamic_shapes={name: {0: "cases"}},
        opset_version=18,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load_from_string(buffer.getvalue())
    entry = model.metadata_props.add()
    entry.key, entry.value = SETTINGS_KEY, json.dumps(settings, sort_keys=True)
    for node in model.graph.node:  # where in the source a node came from says nothing at run time
        del node.metadata_props[:]
        node.doc_string = ""
    content = bytes(model.SerializeToString())
    content = with_small_weights(content) if small else content
    if limit is not None and len(content) > limit:
        raise DataError(f"weights of {len(content)} bytes", f"at most {limit}", "use fewer networks")
    return content


def with_small_weights(content: bytes, *, least: int = 1024) -> bytes:
    """Return an ONNX file whose larger convolution weights are kept as 8-bit numbers.

    Each output channel has a scale of its own (its largest weight over 127); the weights are brought back
    to float32 when the network is run, and everything else stays as it was.

    Args:
        content: ONNX file.
        least: Weights with fewer numbers are left alone.
    """
    onnx = require("onnx", extra="train")
    model = onnx.load_from_string(content)
    graph = model.graph
    kernels = {node.input[1] for node in graph.node if node.op_type == "Conv"}
    back: list[Any] = []
    for number in range(len(graph.initializer) - 1, -1, -1):
        kept = graph.initializer[number]
        values = onnx.numpy_helper.to_array(kept)
        if kept.name not in kernels or values.size < least:
            continue
        scale = np.abs(values).reshape(len(values), -1).max(axis=1) / 127
        scale = np.where(scale > 0, scale, 1.0).astype(np.float32)
        whole = np.rint(values / scale.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
        names = [f"{kept.name}_whole", f"{kept.name}_scale"]
        back.append(onnx.helper.make_node("DequantizeLinear", names, [kept.name], axis=0))
        del graph.initializer[number]
        for array, name in zip((whole, scale), names, strict=True):
            graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    nodes = [*back, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return bytes(model.SerializeToString())
