"""Core values as plain JSON documents with their arrays beside them, and back.

Every value carries the name of its type; arrays are written once and referred to by number, so that a
file format (an ``.npz``, a database row with an object) can keep them its own way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import analysis, archive, codes, finding, geometry, image, match, reading, region, report
from coread.errors import DataError

Document = dict[str, Any]
_MODULES = (analysis, archive, codes, finding, geometry, image, match, reading, region, report)
_TYPES: dict[str, type] = {
    name: value
    for module in _MODULES
    for name, value in vars(module).items()
    if isinstance(value, type)
    and value.__module__ == module.__name__
    and (dataclasses.is_dataclass(value) or issubclass(value, Enum))
}


def encode(value: Any) -> tuple[Document, list[NDArray[Any]]]:
    """Return a core value as a JSON document and the list of its arrays."""
    arrays: list[NDArray[Any]] = []
    return {"schema": "coread-value", "version": 1, "value": _encode(value, arrays)}, arrays


def decode(document: Mapping[str, Any], arrays: Sequence[NDArray[Any]] = ()) -> Any:
    """Return the core value of a document.

    Raises:
        DataError: The document is of another schema or does not describe a core value.
    """
    if document.get("schema") != "coread-value" or document.get("version") != 1:
        raise DataError(
            f"expected a coread-value of version 1, got {document.get('schema')!r} of version "
            f"{document.get('version')!r}"
        )
    try:
        return _decode(document["value"], arrays)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"the document does not describe a core value: {error}") from error


def _encode(value: Any, arrays: list[NDArray[Any]]) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if np.isfinite(value) else {"$": "float", "value": repr(value)}
        case Enum():
            return {"$": type(value).__name__, "value": value.value}
        case datetime():
            return {"$": "datetime", "value": value.isoformat()}
        case date():
            return {"$": "date", "value": value.isoformat()}
        case np.ndarray():
            if value.ndim == 2 and value.shape == (4, 4):
                return {"$": "matrix", "value": value.tolist()}
            arrays.append(value)
            return {"$": "array", "value": len(arrays) - 1}
        case np.generic():
            return _encode(value.item(), arrays)
        case tuple() | list():
            return [_encode(item, arrays) for item in value]
        case Mapping():
            pairs = [[_encode(k, arrays), _encode(v, arrays)] for k, v in value.items()]
            return {"$": "mapping", "value": pairs}
    if type(value).__name__ in _TYPES:
        names = [f.name for f in dataclasses.fields(value)]
        body = {name: _encode(getattr(value, name), arrays) for name in names}
        return {"$": type(value).__name__, **body}
    raise TypeError(f"{type(value).__name__} is not a core value")


def _decode(value: Any, arrays: Sequence[NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return tuple(_decode(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    name = value["$"]
    match name:
        case "float":
            return float(value["value"])
        case "datetime":
            return datetime.fromisoformat(value["value"])
        case "date":
            return date.fromisoformat(value["value"])
        case "matrix":
            return np.array(value["value"], dtype=np.float64)
        case "array":
            return arrays[value["value"]]
        case "mapping":
            return {_decode(k, arrays): _decode(v, arrays) for k, v in value["value"]}
    kind = _TYPES[name]
    if issubclass(kind, Enum):
        return kind(value["value"])
    return kind(**{key: _decode(item, arrays) for key, item in value.items() if key != "$"})
