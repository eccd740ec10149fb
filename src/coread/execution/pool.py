"""Functions in other processes: one thread here for each process there.

A process that dies takes its own work with it and nothing else; a new one takes its place. When this process
dies, however it dies, the others end as well.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from coread.errors import CancelledError, InputError
from coread.execution.executor import OnProgress, Task, WorkerDiedError

logger = logging.getLogger(__name__)
T = TypeVar("T")
_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(slots=True)
class _Work:
    content: bytes
    future: Future[Any]
    on_progress: OnProgress | None
    slot: _Slot | None = field(default=None)


class ProcessPool:
    """A fixed number of processes, each started when it is first needed and kept.

    Args:
        processes: How many.
        threads: How many threads numeric libraries may use in each of them.
    """

    def __init__(self, processes: int, *, threads: int = 1) -> None:
        if processes < 1 or threads < 1:
            raise InputError(f"{processes} processes with {threads} threads", "one or more of each")
        self._waiting: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._closed = False
        context = multiprocessing.get_context("spawn")  # a forked child would share our connections
        self._slots = [_Slot(context, self._waiting, threads) for _ in range(processes)]

    @property
    def slots(self) -> int:
        """How many functions run at a time."""
        return len(self._slots)

    def submit(self, function: Callable[..., T], *args: Any) -> Task[T]:
        """Run ``function(*args)`` in a process; both can be pickled.

        Raises:
            InputError: They can't be pickled, or the pool is shut down.
        """
        return self._submit(function, args, None, reporting=False)

    def submit_reporting(
        self, function: Callable[..., T], *args: Any, on_progress: OnProgress | None = None
    ) -> Task[T]:
        """Run ``function(*args, report)`` in a process; `on_progress` is called in a thread of the pool.

        Raises:
            InputError: Function or arguments can't be pickled, or the pool is shut down.
        """
        return self._submit(function, args, on_progress, reporting=True)

    def _submit(
        self,
        function: Callable[..., T],
        args: tuple[Any, ...],
        on_progress: OnProgress | None,
        *,
        reporting: bool,
    ) -> Task[T]:
        if self._closed:
            raise InputError("the pool is shut down")
        try:
            content = pickle.dumps((function, args, reporting))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InputError(
                f"{function!r} can't go to another process: {error}",
                "a function of a module and plain values",
            ) from error
        work = _Work(content, Future(), on_progress)
        self._waiting.put(work)

        def stop() -> None:
            if work.slot is not None:
                work.slot.stop(work)

        def kill() -> None:
            if work.slot is not None:
                work.slot.kill(work)

        return Task(work.future, stop=stop, kill=kill)

    def shutdown(self, *, wait: bool = True) -> None:
        """Take no more work; finish what was handed over, or without `wait` end it."""
        self._closed = True
        if not wait:
            with contextlib.suppress(queue.Empty):
                while (work := self._waiting.get_nowait()) is not None:
                    work.future.cancel()
        for _ in self._slots:
            self._waiting.put(None)
        for slot in self._slots:
            slot.join(at_once=not wait)

    def __enter__(self) -> ProcessPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


class _Slot:
    """One process and the thread that serves it."""

    def __init__(self, context: SpawnContext, waiting: queue.SimpleQueue[_Work | None], threads: int) -> None:
        self._context = context
        self._waiting = waiting
        self._threads = threads
        self._stop: Event = context.Event()
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._current: _Work | None = None
        self._thread = threading.Thread(target=self._serve, name="coread-pool", daemon=True)
        self._thread.start()

    def stop(self, work: _Work) -> None:
        with self._lock:
            if self._current is work:
                self._stop.set()

    def kill(self, work: _Work) -> None:
        with self._lock:
            if self._current is work and self._process is not None:
                self._process.kill()

    def join(self, *, at_once: bool) -> None:
        if at_once:
            with self._lock:
                if self._process is not None:
                    self._process.kill()
        self._thread.join()

    def _serve(self) -> None:
        while (work := self._waiting.get()) is not None:
            if not work.future.set_running_or_notify_cancel():
                continue
            with self._lock:
                self._stop.clear()
                self._current, work.slot = work, self
            try:
                connection = self._started()
                connection.send_bytes(work.content)
                self._receive(connection, work)
            except (EOFError, OSError):
                work.future.set_exception(self._death())
            finally:
                with self._lock:
                    self._current = None
        self._end()

    def _receive(self, connection: Connection, work: _Work) -> None:
        while True:
            kind, *content = pickle.loads(connection.recv_bytes())
            match kind:
                case "progress":
                    if work.on_progress is not None:
                        try:
                            work.on_progress(*content)
                        except Exception as error:  # the listener's fault is no reason to drop the work
                            logger.warning("progress was not taken: %s", type(error).__name__)
                case "done":
                    work.future.set_result(content[0])
                    return
                case "error":
                    work.future.set_exception(content[0])
                    return

    def _started(self) -> Connection:
        with self._lock:
            if self._connection is not None and self._process is not None and self._process.is_alive():
                return self._connection
            here, there = self._context.Pipe()
            self._process = self._context.Process(
                target=_child, args=(there, self._stop, self._threads), name="coread-worker", daemon=True
            )
            self._process.start()
            there.close()
            self._connection = here
            return here

    def _death(self) -> WorkerDiedError:
        code = None
        with self._lock:
            if self._process is not None:
                self._process.join()
                code = self._process.exitcode
            self._forget()
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return WorkerDiedError(
            f"the process that did the work ended {how}",
            "",
            "look for what ended it: lack of memory, most often",
        )

    def _end(self) -> None:
        with self._lock:
            process = self._process
            self._forget()
        if process is not None:
            process.join()

    def _forget(self) -> None:
        if self._connection is not None:
            self._connection.close()  # the process ends when it reads the end of its work
        self._connection = self._process = None


class _ChildReport:
    def __init__(self, connection: Connection, stop: Event) -> None:
        self._connection = connection
        self._stop = stop

    def progress(self, fraction: float, words: str = "") -> None:
        self._connection.send_bytes(pickle.dumps(("progress", fraction, words)))

    @property
    def cancelled(self) -> bool:
        return self._stop.is_set()

    def check(self) -> None:
        if self.cancelled:
            raise CancelledError("the work was asked to stop")


def _child(connection: Connection, stop: Event, threads: int) -> None:
    for name in _THREAD_SETTINGS:  # before any numeric library is loaded
        os.environ[name] = str(threads)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which stops us
    threading.Thread(target=_end_with_parent, daemon=True).start()
    report = _ChildReport(connection, stop)
    while True:
        try:
            content = connection.recv_bytes()
        except (EOFError, OSError):
            return
        connection.send_bytes(_answer(content, report))


def _answer(content: bytes, report: _ChildReport) -> bytes:
    try:
        function, args, reporting = pickle.loads(content)
        value = function(*args, report) if reporting else function(*args)
        return pickle.dumps(("done", value))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        error.add_note(f"in {last.name}, {os.path.basename(last.filename)} line {last.lineno}")
        return _error_answer(error)


def _error_answer(error: Exception) -> bytes:
    try:
        content = pickle.dumps(("error", error))
        pickle.loads(content)
    except Exception:  # anything may go wrong with an exception class that we don't know
        plain = RuntimeError(f"{type(error).__name__}, which can't be sent between processes")
        plain.add_note(error.__notes__[-1])
        return pickle.dumps(("error", plain))
    return content


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
