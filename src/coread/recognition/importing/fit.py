"""Whether a network takes and gives what its description says."""

from __future__ import annotations

from typing import Any

import numpy as np

from coread.errors import DataError, InputError
from coread.recognition.importing.specification import Specification
from coread.recognition.inference import Predict
from coread.recognition.runtime import Network


def check_input(network: Network, said: Specification) -> None:
    """Check that an ONNX network has one input, of the described channels and window.

    Raises:
        DataError: It has another.
    """
    if len(network.inputs) != 1:
        raise DataError(f"a network with inputs {', '.join(network.inputs)}", "one input")
    ((_, wanted),) = network.inputs.items()
    have = (len(said.channels), *said.window)
    fits = len(wanted) == len(have) + 1 and all(
        isinstance(w, str) or w is None or w == h for w, h in zip(wanted[1:], have, strict=True)
    )
    if not fits:
        raise DataError(
            f"a network whose input is {wanted}",
            f"cases, {len(said.channels)} channels and a window of {said.window}",
            "correct channels or window in the table [import] of the card",
        )


def check_answer(predict: Predict, said: Specification) -> None:
    """Check that a network answers an empty image with the described outputs.

    Raises:
        DataError: It refuses the image, or has other outputs.
    """
    shape = (len(said.channels), *said.window)
    said.check_network(shape[0], _outputs(predict, shape))


def _outputs(predict: Any, shape: tuple[int, ...]) -> int:
    try:
        return int(predict(np.zeros((1, *shape), np.float32)).shape[1])
    except (RuntimeError, IndexError, InputError) as error:
        raise DataError(
            f"the network refuses an input of {shape[0]} channels and {shape[1:]} ({str(error)[:200]})",
            "channels and window as the network takes them",
            "correct them in the table [import] of the card",
        ) from error
