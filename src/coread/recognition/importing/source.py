"""What an importer finds: a network, what it takes and gives, and what a reader should know of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from coread.errors import DataError
from coread.recognition.importing.specification import Specification


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A model as an importer read it.

    Attributes:
        format: Name of the format.
        specification: What the network takes and gives; a file that doesn't say leaves it None.
        files: What was read, for the digest.
        network: The torch network, or None.
        script: A TorchScript file, or None.
        onnx: The ONNX file, or None.
        notes: What was assumed or left out.
    """

    format: str
    specification: Specification | None
    files: tuple[Path, ...]
    network: Any = None
    script: Path | None = None
    onnx: bytes | None = None
    notes: tuple[str, ...] = field(default=())


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        DataError: It is absent or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} can't be read ({error})", "a JSON file") from error
    if not isinstance(content, dict):
        raise DataError(f"{path.name} holds a {type(content).__name__}", "a JSON object")
    return content
