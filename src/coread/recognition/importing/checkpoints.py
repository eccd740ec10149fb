"""State dicts out of torch files, read without running anything that is in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coread.errors import DataError
from coread.extras import require

Tensor = Any
Module = Any

RECIPE = "where the model was made, run torch.save(model.state_dict(), 'weights.pt') and import weights.pt"


def read_checkpoint(path: Path, *, numpy_scalars: bool = False) -> Any:
    """Return the content of a torch file: tensors, numbers, text and containers of them.

    Args:
        path: The file.
        numpy_scalars: Whether numpy scalars may be in it, as in nnU-Net's files.

    Raises:
        DataError: It is no torch file, or holds objects that would run code.
        MissingExtraError: torch is not installed.
    """
    torch = require("torch", extra="train")
    allowed = _numpy_scalar_classes() if numpy_scalars else []
    try:
        with torch.serialization.safe_globals(allowed):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = next((line.strip() for line in str(error).splitlines() if "GLOBAL" in line), "")
        raise DataError(
            f"{path.name} holds a whole pickled object, which would run code when it is read"
            f"{f' ({reason})' if reason else ''}",
            "a state dict: tensors and numbers only",
            RECIPE,
        ) from error
    except Exception as error:  # bytes of another kind end the unpickler in every way
        raise DataError(f"{path.name} can't be read as a torch file ({error})", "a torch file") from error


def _numpy_scalar_classes() -> list[Any]:
    import numpy as np
    from numpy._core.multiarray import scalar

    kinds = (np.float64, np.float32, np.int64, np.int32, np.bool_)
    return [
        (scalar, "numpy.core.multiarray.scalar"),  # as files written with numpy 1 name it
        scalar,
        np.dtype,
        *(type(np.dtype(kind)) for kind in kinds),
    ]


def state_dict(content: Any, name: str) -> dict[str, Tensor]:
    """Return the state dict in a checkpoint, without the prefix that parallel training leaves.

    Args:
        content: A state dict, or a mapping with one under ``state_dict``, ``model_state_dict``,
            ``network_weights`` or ``model``.
        name: Of the file, for the error.

    Raises:
        DataError: There is none.
    """
    for key in ("state_dict", "model_state_dict", "network_weights", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    torch = require("torch", extra="train")
    if not isinstance(content, Mapping) or not content:
        raise DataError(f"{name} holds a {type(content).__name__}", "a state dict", RECIPE)
    if not all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in content.items()):
        raise DataError(
            f"{name} holds entries {sorted(map(str, content))[:5]}", "a state dict of tensors", RECIPE
        )
    return {key.removeprefix("module."): value for key, value in content.items()}


def load_into(network: Module, weights: Mapping[str, Tensor], name: str) -> Module:
    """Return the network with the weights, every one used and every one there.

    Raises:
        DataError: Weights are missing, left over or of another shape.
    """
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    counters = {key for key in wanted if key.endswith("num_batches_tracked")}
    have = {key: tuple(value.shape) for key, value in weights.items()}
    missing = sorted(set(wanted) - set(have) - counters)
    extra = sorted(set(have) - set(wanted))
    other = sorted(key for key in set(wanted) & set(have) if wanted[key] != have[key])
    if missing or extra or other:
        said = [
            f"{len(keys)} {what} ({keys[0]} ...)"
            for what, keys in (("missing", missing), ("left over", extra))
            if keys
        ]
        said += (
            [f"{len(other)} of another shape ({other[0]}: {have[other[0]]}, not {wanted[other[0]]})"]
            if other
            else []
        )
        raise DataError(
            f"{name}: weights that don't fit the network: {', '.join(said)}",
            "the weights of exactly this architecture",
            "check the format, or export to ONNX where the model was made and import that",
        )
    network.load_state_dict(dict(weights), strict=False)  # what may be absent was looked at above
    return network.eval()
