"""The files of a signed read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coread.core import Report
from coread.core.reading import Reading
from coread.storage import Library
from coread.workflow.visibility import ShownResult, View


def make(
    library: Library, view: View, reading: Reading, report: Report, results: Sequence[ShownResult]
) -> Mapping[str, bytes]:
    """Return the files of a signed read by name."""
    raise NotImplementedError
