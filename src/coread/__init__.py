"""CoRead: the radiologist's second reader.

The few names here are all that most scripts need; everything else is imported from its room, such as
``from coread.quant import radiomics``. Importing this package loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coread.interop.nifti import read_volume as open_volume
    from coread.workflow.read import Study, StudyResults, open_study, read

_NAMES = {
    "open_study": ("coread.workflow.read", "open_study"),
    "open_volume": ("coread.interop.nifti", "read_volume"),
    "read": ("coread.workflow.read", "read"),
    "Study": ("coread.workflow.read", "Study"),
    "StudyResults": ("coread.workflow.read", "StudyResults"),
}
__all__ = ["Study", "StudyResults", "open_study", "open_volume", "read"]


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'coread' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, attribute = _NAMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return __all__
