"""Core values as text with their arrays as the bytes of an ``.npz`` file, and back."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import codec
from coread.errors import DataError


def pack(value: Any) -> tuple[str, bytes | None]:
    """Return the JSON text of a core value and its arrays as ``.npz``, or None where it has none.

    Equal values give equal bytes.
    """
    document, arrays = codec.encode(value)
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text, _npz(arrays) if arrays else None


def unpack(text: str, arrays: bytes | None) -> Any:
    """Return the core value of `pack`.

    Raises:
        DataError: The text or the arrays are damaged or of another schema.
    """
    try:
        document = json.loads(text)
        found: list[NDArray[Any]] = []
        if arrays is not None:
            with np.load(io.BytesIO(arrays), allow_pickle=False) as file:
                found = [file[f"a{n}"] for n in range(len(file.files))]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"a stored value is damaged: {error}") from error
    return codec.decode(document, found)


def _npz(arrays: list[NDArray[Any]]) -> bytes:
    # np.savez writes no compression or a slow one, and the time of day into the file
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for n, array in enumerate(arrays):
            entry = zipfile.ZipInfo(f"a{n}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asanyarray(array), allow_pickle=False)
            archive.writestr(entry, buffer.getbuffer(), compresslevel=1)
    return target.getvalue()
