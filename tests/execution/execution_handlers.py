"""What the tests have done in other processes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coread.errors import DataError
from coread.execution import Report


def square(number: int) -> int:
    return number * number


def process_number() -> int:
    return os.getpid()


def setting(name: str) -> str | None:
    return os.environ.get(name)


def die(_: object = None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fail(kind: str) -> None:
    if kind == "data":
        raise DataError("no pixels", "an image", "send another")
    if kind == "unpicklable":

        class LocalError(Exception):
            pass

        raise LocalError("Doe^Jane")
    raise ValueError("Doe^Jane has no pixels")


def count_up(steps: int, report: Report) -> int:
    for step in range(steps):
        report.progress((step + 1) / steps, f"step {step + 1}")
    return steps


def until_stopped(started: str, report: Report) -> None:
    Path(started).touch()
    report.progress(0.5, "waiting")
    while True:
        report.check()
        threading.Event().wait(0.01)


def deaf(started: str) -> None:
    Path(started).touch()
    threading.Event().wait()


# handlers of jobs


def note(payload: Mapping[str, Any], report: Report) -> None:
    report.progress(0.5, "writing")
    with Path(payload["file"]).open("a") as file:
        file.write(f"{payload['word']}\n")


def fail_job(payload: Mapping[str, Any], report: Report) -> None:
    fail(payload["kind"])


def die_once(payload: Mapping[str, Any], report: Report) -> None:
    seen = Path(payload["file"])
    if not seen.exists():
        seen.touch()
        die()
    seen.write_text("done")


def wait_for_file(payload: Mapping[str, Any], report: Report) -> None:
    """Say that it runs and in which process; end when the other file is there."""
    with Path(payload["runs"]).open("a") as file:
        file.write(f"{os.getpid()}\n")
    while not Path(payload["go"]).exists():
        report.check()
        threading.Event().wait(0.01)
    Path(payload["done"]).touch()


def deaf_job(payload: Mapping[str, Any], report: Report) -> None:
    deaf(payload["runs"])
