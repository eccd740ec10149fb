"""What every command shares: exit codes, output, progress, errors."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from coread.errors import (
    CancelledError,
    CoreadError,
    DataError,
    InputError,
    MissingExtraError,
    NotApplicableError,
    TransportError,
)

LINE_S = 1.0


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    NO = 1
    USAGE = 2
    INPUT = 3
    NOT_APPLICABLE = 4
    EXTRA = 5
    OTHER_SIDE = 6
    CANCELLED = 130


Out = Annotated[Path | None, typer.Option("--out", help="Where to write; the ending chooses the format.")]
Force = Annotated[bool, typer.Option("--force", help="Write over what is there.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else there.")]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Local processes.")]
Models = Annotated[
    Path | None,
    typer.Option("--models", help="Folder of the site's models; that of the settings unless given."),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress and no summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Log more; an error brings its trace.")]

_CODES: tuple[tuple[type[CoreadError], Exit], ...] = (
    (MissingExtraError, Exit.EXTRA),
    (CancelledError, Exit.CANCELLED),
    (NotApplicableError, Exit.NOT_APPLICABLE),
    (TransportError, Exit.OTHER_SIDE),
    (DataError, Exit.INPUT),
    (InputError, Exit.INPUT),
)
_EXPECTED = {
    Exit.EXTRA: "expected: the optional package",
    Exit.CANCELLED: "expected: the work to run to its end",
    Exit.NOT_APPLICABLE: "expected: a study of the kind that the analysis is for",
    Exit.OTHER_SIDE: "expected: the other side to answer",
    Exit.INPUT: "expected: input as the command's help describes",
}
_state = {"verbose": False}


def setup(*, verbose: bool = False) -> None:
    """Set up logging to standard error, once, by the options of the command."""
    _state["verbose"] = verbose
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )


def report_error(error: CoreadError) -> int:
    """Print an error in three lines (what came, what was expected, what to do); return its code."""
    code = next((code for kind, code in _CODES if isinstance(error, kind)), Exit.NO)
    if _state["verbose"]:
        traceback.print_exception(error)
    sys.stderr.write(f"{error.came}\n")
    sys.stderr.write(f"{error.expected or _EXPECTED.get(code, 'expected: an answer')}\n")
    sys.stderr.write(f"{error.todo or 'run the command with --help; --verbose adds the details'}\n")
    return code


def print_json(value: Any) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def say(words: str, *, quiet: bool = False) -> None:
    """Print words for people on standard error."""
    if not quiet:
        sys.stderr.write(words + "\n")


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a target that is there (a folder with something in it, a file) unless it may be replaced.

    Raises:
        InputError: It is there and `force` is not given.
    """
    taken = path.is_file() or (path.is_dir() and any(path.iterdir()))
    if taken and not force:
        raise InputError(
            f"{path} is there already", "expected a new place to write to", "choose another, or add --force"
        )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell what the disk refuses as an error of ours; where nothing can be made it is told at once.

    Raises:
        TransportError: The place can't be written to.
    """
    there = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    if (there != path and not there.is_dir()) or not os.access(there, os.W_OK):
        raise _unwritable(path, f"{there} is {'a file' if there.is_file() else 'not writable'}")
    try:
        yield
    except OSError as error:
        place = path if error.filename is None else Path(str(error.filename)).absolute()
        whole = path.absolute()
        if place not in (path, whole, *whole.parents) and whole.parent not in place.parents:
            raise  # of a file that was read
        raise _unwritable(path, str(error)) from error


def _unwritable(path: Path, why: str) -> TransportError:
    return TransportError(
        f"{path} can't be written ({why})",
        "a place that can be written to, with room",
        "choose another with --out, or free it",
    )


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Callable[[float, str], None]]:
    """Give a callback (fraction from 0 to 1, words) that moves a bar on a terminal.

    Where standard error is no terminal, a new line of words is printed when they change, once a second
    at most.
    """
    if quiet:
        yield lambda fraction, words: None
        return
    if not sys.stderr.isatty():
        last, when = "", 0.0

        def line(fraction: float, words: str) -> None:
            nonlocal last, when
            now = time.monotonic()
            if words and words != last and now - when >= LINE_S:
                last, when = words, now
                sys.stderr.write(f"{fraction:4.0%}  {words}\n")
                sys.stderr.flush()

        yield line
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("", total=1.0)
        yield lambda fraction, words: bar.update(task, completed=fraction, description=words)
