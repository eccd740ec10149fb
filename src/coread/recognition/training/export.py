"""From a torch network to the ONNX file that is shipped."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

from coread.errors import DataError
from coread.extras import require
from coread.recognition.runtime import MAXIMUM_BYTES, SETTINGS_KEY

Module = Any


def onnx_bytes(
    network: Module, shape: Sequence[int], name: str, outputs: Sequence[str], settings: dict[str, Any]
) -> bytes:
    """Return the ONNX file (opset 18) of a network with one input, its first axis of any length.

    Args:
        network: In torch; it is set to evaluation.
        shape: Of one case, without the batch.
        name: Of the input.
        outputs: Names of the outputs in the order in which the network gives them.
        settings: Kept as JSON in the file's metadata.

    Raises:
        MissingExtraError: torch, onnx or onnxscript is not installed.
        DataError: The file is larger than weights in the package may be.
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
    if len(content) > MAXIMUM_BYTES:
        raise DataError(f"weights of {len(content)} bytes", f"at most {MAXIMUM_BYTES}", "use fewer networks")
    return content
