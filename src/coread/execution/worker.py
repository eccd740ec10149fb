"""Takes jobs from a queue and has them done."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from coread.errors import AnalysisError, CancelledError, CoreadError, DataError, InputError
from coread.execution.executor import Executor, Report, Task

logger = logging.getLogger(__name__)
Handler = Callable[[Mapping[str, Any], Report], object]
NEWS_S = 0.5  # progress is written no more often
_FINAL = (InputError, DataError, AnalysisError)  # the same input gives the same answer: no second attempt


class ClaimedJob(Protocol):
    """What a worker needs to know of a job."""

    @property
    def id(self) -> str:
        """Identifier."""
        ...

    @property
    def kind(self) -> str:
        """Which handler does it."""
        ...

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the handler gets."""
        ...


class Jobs(Protocol):
    """The side of a job queue that a worker sees; `coread.storage.JobQueue` is one."""

    def claim(self, worker: str, lease_s: float, *, kinds: Sequence[str] = ()) -> ClaimedJob | None:
        """Take the next job, or None."""
        ...

    def heartbeat(self, identifier: str, worker: str, lease_s: float) -> Literal["go_on", "cancel", "lost"]:
        """Prolong a lease."""
        ...

    def progress(self, identifier: str, worker: str, fraction: float, words: str = "") -> None:
        """Say how far a job has come."""
        ...

    def finish(self, identifier: str, worker: str) -> object:
        """Say that a job is done."""
        ...

    def fail(self, identifier: str, worker: str, error: str, *, retry: bool = True) -> object:
        """Say that an attempt failed."""
        ...

    def release(self, identifier: str, worker: str) -> object:
        """Give a job back."""
        ...

    def cancelled(self, identifier: str, worker: str) -> object:
        """Say that a job was stopped because somebody wanted that."""
        ...

    def recover(self, is_alive: Callable[[str], bool] | None = None) -> int:
        """Take back the jobs of workers that are gone."""
        ...


@dataclass(slots=True)
class _Running:
    task: Task[Any] | None
    started: float
    beaten: float
    news: tuple[float, str] | None = None
    ending: Literal["", "cancel", "lost", "late", "stop"] = ""
    ending_since: float = 0.0


class Worker:
    """Claims jobs, has them done by an executor, prolongs their leases, reports how far they are.

    What was under way when a process ended is taken up again: at the start the jobs of workers that no longer
    run are taken back, and later those whose lease runs out.

    Args:
        jobs: The queue.
        handlers: By kind of job, the function that does it: ``handler(payload, report)``. With a process pool
            it must be one of a module (or a `functools.partial` of one). It may be called again with the same
            payload after it was interrupted, so it must lead to the same end.
        executor: Where they run.
        name: Of this worker; unique unless given.
        lease_s: How long a job is ours without a heartbeat, in seconds.
        poll_s: How often to look for work that others have queued, in seconds.
        limit_s: How long a job may take, in seconds.
        grace_s: How long a job that was asked to stop may take to do so, in seconds.
    """

    def __init__(
        self,
        jobs: Jobs,
        handlers: Mapping[str, Handler],
        executor: Executor,
        *,
        name: str | None = None,
        lease_s: float = 30.0,
        poll_s: float = 1.0,
        limit_s: float = 3600.0,
        grace_s: float = 10.0,
    ) -> None:
        self.name = name or worker_name()
        self._jobs = jobs
        self._handlers = dict(handlers)
        self._executor = executor
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._limit_s = limit_s
        self._grace_s = grace_s
        self._running: dict[str, _Running] = {}
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Work in a thread of its own until `stop`."""
        if self._thread is not None:
            raise InputError("the worker is started already")
        self._thread = threading.Thread(target=self._run, name="coread-worker", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look for work now: some was just queued."""
        self._news.set()

    def stop(self) -> None:
        """Claim nothing more, ask what runs to stop, and give it back to the queue."""
        self._stopping.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def run_until_idle(self) -> int:
        """Work here until nothing is left that may be started now; return how many jobs were claimed."""
        self._jobs.recover(worker_is_alive)
        claimed = 0
        while True:
            self._news.clear()
            self._tend()
            claimed += self._claim()
            if not self._running:
                return claimed
            self._news.wait(self._pause_s())  # not at all where a task has ended since

    def _run(self) -> None:
        recovered = False
        while not (self._stopping.is_set() and not self._running):
            self._news.clear()
            try:
                if not recovered:
                    self._jobs.recover(worker_is_alive)
                    recovered = True
                if not self._stopping.is_set():
                    self._claim()
                self._tend()
            except Exception as error:  # the database may be away for a while; the jobs are not lost
                logger.warning("the worker can't reach its queue: %s", _words(error))
                if self._stopping.is_set():
                    return  # the leases run out
            self._news.wait(self._pause_s())

    def _pause_s(self) -> float:
        ending = self._stopping.is_set() or any(run.ending for run in self._running.values())
        if ending:
            return 0.05
        return min(self._poll_s, self._lease_s / 3, NEWS_S if self._running else self._poll_s)

    def _claim(self) -> int:
        claimed = 0
        while len(self._running) < self._executor.slots:
            job = self._jobs.claim(self.name, self._lease_s, kinds=tuple(self._handlers))
            if job is None:
                break
            claimed += 1
            self._begin(job)
        return claimed

    def _begin(self, job: ClaimedJob) -> None:
        now = time.monotonic()
        run = _Running(None, now, now)
        here = threading.get_ident()

        def hear(fraction: float, words: str) -> None:
            run.news = (fraction, words)
            if threading.get_ident() == here:  # done in this very thread, which therefore can't tend it
                self._beat_if_due(job.id, run)
                if run.ending:
                    raise CancelledError("the work was asked to stop")

        try:
            run.task = self._executor.submit_reporting(
                self._handlers[job.kind], dict(job.payload), on_progress=hear
            )
        except InputError as error:
            self._jobs.fail(job.id, self.name, _words(error), retry=False)
            return
        self._running[job.id] = run
        run.task.future.add_done_callback(lambda _: self._news.set())

    def _tend(self) -> None:
        for identifier, run in list(self._running.items()):
            task = run.task
            if task is None:
                continue
            if task.done:
                del self._running[identifier]
                self._conclude(identifier, run, task)
                continue
            now = time.monotonic()
            self._beat_if_due(identifier, run)
            if not run.ending and now - run.started > self._limit_s:
                run.ending = "late"
            if not run.ending and self._stopping.is_set():
                run.ending = "stop"
            if run.ending and not run.ending_since:
                run.ending_since = now
                task.cancel()
            elif run.ending and now - run.ending_since > self._grace_s:
                task.kill()

    def _beat_if_due(self, identifier: str, run: _Running) -> None:
        longest = self._lease_s / 3 if run.news is None else min(NEWS_S, self._lease_s / 3)
        if time.monotonic() - run.beaten < longest:
            return
        news, run.news = run.news, None
        signal = self._jobs.heartbeat(identifier, self.name, self._lease_s)
        run.beaten = time.monotonic()
        if signal == "go_on" and news is not None:
            self._jobs.progress(identifier, self.name, *news)
        if signal != "go_on" and not run.ending:
            run.ending = signal

    def _conclude(self, identifier: str, run: _Running, task: Task[Any]) -> None:
        error = _error_of(task)
        try:
            if run.ending == "lost":
                logger.warning("job %s was taken over by another worker", identifier)
            elif error is None:
                self._jobs.finish(identifier, self.name)
            elif run.ending == "cancel":
                self._jobs.cancelled(identifier, self.name)
            elif run.ending == "stop":
                self._jobs.release(identifier, self.name)
            elif run.ending == "late":
                late = f"it took longer than {self._limit_s:g} s"
                self._jobs.fail(identifier, self.name, late, retry=False)
            else:
                words = _words(error)
                logger.warning("job %s failed: %s", identifier, words)
                self._jobs.fail(identifier, self.name, words, retry=not isinstance(error, _FINAL))
        except InputError as lost:
            logger.warning("job %s: %s", identifier, lost)


def worker_name() -> str:
    """Return a unique name of this process's worker: host, process, when it started, a random word."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{_start_of(pid)}/{secrets.token_hex(4)}"


def worker_is_alive(name: str) -> bool:
    """Return whether the process of a worker still runs; True for one of another machine, as nobody knows."""
    parts = name.split("/")
    if len(parts) != 4 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return True
    pid = int(parts[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it runs, for another user
    return _start_of(pid) == parts[2]


def _start_of(pid: int) -> str:
    # the number of a process is given away again, after a restart of a container to the very next one
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"


def _error_of(task: Task[Any]) -> BaseException | None:
    if task.future.cancelled():
        return CancelledError("it was cancelled before it began")
    return task.future.exception()


def _words(error: BaseException) -> str:
    if isinstance(error, CoreadError):
        return str(error)
    # words of an unknown error may carry anything of a patient; its kind and place do not
    return " ".join([type(error).__name__, *getattr(error, "__notes__", ())])
