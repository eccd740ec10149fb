"""Running a function somewhere: what every place offers, and the plainest of them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Generic, Protocol, TypeVar

from coread.errors import CancelledError, CoreadError

T = TypeVar("T")
OnProgress = Callable[[float, str], None]


class WorkerDiedError(CoreadError):
    """The process that did the work ended in the middle of it."""


class Report(Protocol):
    """What a function that runs long says to the outside, and hears from it."""

    def progress(self, fraction: float, words: str = "") -> None:
        """Say how far the work has come: from 0 to 1, and what is being done."""
        ...

    @property
    def cancelled(self) -> bool:
        """Whether the work shall stop."""
        ...

    def check(self) -> None:
        """Return, or stop the work.

        Raises:
            CancelledError: The work shall stop.
        """
        ...


class Task(Generic[T]):
    """Work that was handed over.

    Args:
        future: Gets the result.
        stop: Asks the work to stop, if it is under way.
        kill: Ends it without asking.
    """

    def __init__(
        self,
        future: Future[T],
        *,
        stop: Callable[[], None] = lambda: None,
        kill: Callable[[], None] = lambda: None,
    ) -> None:
        self.future = future
        self._stop = stop
        self._kill = kill

    @property
    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self.future.done()

    def result(self, timeout_s: float | None = None) -> T:
        """Return the result, waiting for it.

        Raises:
            CancelledError: It was cancelled before it began, or stopped when it was asked to.
            WorkerDiedError: Its process ended in the middle of it.
            TimeoutError: There is none within the time.
        """
        if self.future.cancelled():
            raise CancelledError("the work was cancelled before it began")
        return self.future.result(timeout_s)

    def cancel(self) -> None:
        """Drop the work if it has not begun, else ask it to stop."""
        if not self.future.cancel():
            self._stop()

    def kill(self) -> None:
        """End the work without asking; its result is a `WorkerDiedError`."""
        if not self.future.cancel():
            self._kill()


class Executor(Protocol):
    """A place where functions run."""

    @property
    def slots(self) -> int:
        """How many run at a time."""
        ...

    def submit(self, function: Callable[..., T], *args: Any) -> Task[T]:
        """Run ``function(*args)``; both can be pickled."""
        ...

    def submit_reporting(
        self, function: Callable[..., T], *args: Any, on_progress: OnProgress | None = None
    ) -> Task[T]:
        """Run ``function(*args, report)`` with a `Report`; what it says comes to `on_progress`."""
        ...

    def shutdown(self, *, wait: bool = True) -> None:
        """Take no more work; finish what was handed over, or without `wait` end it."""
        ...


class InlineExecutor:
    """Runs each function at once, in the caller's thread; an error raised by `on_progress` stops it."""

    slots = 1

    def submit(self, function: Callable[..., T], *args: Any) -> Task[T]:
        """Run ``function(*args)`` now."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return Task(future)

    def submit_reporting(
        self, function: Callable[..., T], *args: Any, on_progress: OnProgress | None = None
    ) -> Task[T]:
        """Run ``function(*args, report)`` now."""
        return self.submit(function, *args, _DirectReport(on_progress))

    def shutdown(self, *, wait: bool = True) -> None:
        """Do nothing: nothing is under way."""


class _DirectReport:
    cancelled = False

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress

    def progress(self, fraction: float, words: str = "") -> None:
        if self._on_progress is not None:
            self._on_progress(fraction, words)

    def check(self) -> None:
        pass
