"""Optional packages, imported late and named when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from coread.errors import MissingExtraError


def require(package: str, *, extra: str) -> ModuleType:
    """Return an optional package, imported now.

    Args:
        package: The name to import, such as ``torch``.
        extra: The extra of CoRead that installs it, such as ``train``.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingExtraError(package.split(".")[0], extra) from error
