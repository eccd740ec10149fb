from __future__ import annotations

import execution_handlers as handlers
import pytest

from coread.errors import CancelledError, DataError
from coread.execution import InlineExecutor


def test_inline_runs_at_once_and_here() -> None:
    import os

    executor = InlineExecutor()
    task = executor.submit(handlers.square, 7)
    assert task.done
    assert task.result() == 49
    assert executor.submit(handlers.process_number).result() == os.getpid()


def test_inline_keeps_the_error_for_who_asks() -> None:
    task = InlineExecutor().submit(handlers.fail, "data")
    with pytest.raises(DataError, match="no pixels"):
        task.result()


def test_inline_reports_and_is_stopped_by_its_listener() -> None:
    heard: list[tuple[float, str]] = []

    def hear(fraction: float, words: str) -> None:
        heard.append((fraction, words))
        if len(heard) == 3:
            raise CancelledError("enough")

    task = InlineExecutor().submit_reporting(handlers.count_up, 10, on_progress=hear)
    with pytest.raises(CancelledError, match="enough"):
        task.result()
    assert heard == [(0.1, "step 1"), (0.2, "step 2"), (0.3, "step 3")]
    assert InlineExecutor().submit_reporting(handlers.count_up, 3).result() == 3
