from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import execution_handlers as handlers
import pytest

from coread.execution import InlineExecutor, ProcessPool, Worker, worker_is_alive, worker_name
from coread.storage import Job, Library

PATIENCE_S = 60


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library.open(tmp_path / "library", durable=False) as opened:
        yield opened


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(2) as opened:
        yield opened


def wait_until(true: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE_S * 50):
        if true():
            return
        pause.wait(0.02)
    raise AssertionError("it did not come about")


def state(library: Library, job: Job) -> str:
    found = library.jobs.get(job.id)
    assert found is not None
    return found.state


def test_jobs_are_done_here_in_their_order(library: Library, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    for word, priority in (("b", 0), ("a", 1), ("c", 0)):
        library.jobs.enqueue("note", word, {"file": str(file), "word": word}, priority=priority)
    assert Worker(library.jobs, {"note": handlers.note}, InlineExecutor()).run_until_idle() == 3
    assert file.read_text().split() == ["a", "b", "c"]
    assert {job.state for job in library.jobs.page().items} == {"done"}


def test_jobs_are_done_in_processes(library: Library, pool: ProcessPool, tmp_path: Path) -> None:
    for n in range(5):
        library.jobs.enqueue("note", str(n), {"file": str(tmp_path / str(n)), "word": "x"})
    worker = Worker(library.jobs, {"note": handlers.note}, pool)
    assert worker.run_until_idle() == 5
    assert [(tmp_path / str(n)).read_text() for n in range(5)] == ["x\n"] * 5


def test_kind_without_handler_is_left_for_others(library: Library) -> None:
    job = library.jobs.enqueue("train", "t", {})
    assert Worker(library.jobs, {"note": handlers.note}, InlineExecutor()).run_until_idle() == 0
    assert state(library, job) == "queued"


@pytest.mark.parametrize(
    ("kind", "expected", "words"),
    [("data", "failed", "no pixels"), ("other", "queued", "ValueError in fail, execution_handlers.py")],
)
def test_what_can_not_succeed_is_not_tried_again(
    library: Library, pool: ProcessPool, kind: str, expected: str, words: str
) -> None:
    job = library.jobs.enqueue("fail", "k", {"kind": kind})
    Worker(library.jobs, {"fail": handlers.fail_job}, pool).run_until_idle()
    found = library.jobs.get(job.id)
    assert found is not None
    assert found.state == expected
    assert words in found.error
    assert "Doe" not in found.error  # an unknown error may carry anything of a patient


def test_job_whose_process_dies_is_tried_again(library: Library, pool: ProcessPool, tmp_path: Path) -> None:
    file = tmp_path / "seen"
    job = library.jobs.enqueue("die", "k", {"file": str(file)})
    worker = Worker(library.jobs, {"die": handlers.die_once}, pool, poll_s=0.05)
    worker.start()
    try:
        wait_until(lambda: state(library, job) == "done")
    finally:
        worker.stop()
    found = library.jobs.get(job.id)
    assert found is not None
    assert found.attempts == 2
    assert file.read_text() == "done"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    return {name: str(tmp_path / name) for name in ("runs", "go", "done")}


def test_running_job_is_cancelled(library: Library, pool: ProcessPool, files: dict[str, Any]) -> None:
    job = library.jobs.enqueue("wait", "k", files)
    worker = Worker(library.jobs, {"wait": handlers.wait_for_file}, pool, lease_s=0.6, poll_s=0.05)
    worker.start()
    try:
        wait_until(Path(files["runs"]).exists)
        library.jobs.cancel(job.id)
        wait_until(lambda: state(library, job) == "cancelled")
    finally:
        worker.stop()
    assert not Path(files["done"]).exists()


@pytest.mark.parametrize("ending", ["cancel", "late"])
def test_job_that_does_not_listen_is_ended(
    library: Library, pool: ProcessPool, files: dict[str, Any], ending: str
) -> None:
    job = library.jobs.enqueue("deaf", "k", files)
    limit_s = 3600.0 if ending == "cancel" else 0.5
    worker = Worker(
        library.jobs,
        {"deaf": handlers.deaf_job},
        pool,
        lease_s=30 if ending == "late" else 0.6,
        poll_s=0.05,
        limit_s=limit_s,
        grace_s=0.1,
    )
    worker.start()
    try:
        if ending == "cancel":
            wait_until(Path(files["runs"]).exists)
            library.jobs.cancel(job.id)
        expected = "cancelled" if ending == "cancel" else "failed"
        wait_until(lambda: state(library, job) == expected)
    finally:
        worker.stop()


def test_stopped_worker_gives_its_job_back(
    library: Library, pool: ProcessPool, files: dict[str, Any]
) -> None:
    job = library.jobs.enqueue("wait", "k", files)
    worker = Worker(library.jobs, {"wait": handlers.wait_for_file}, pool)
    worker.start()
    wait_until(Path(files["runs"]).exists)
    worker.stop()
    found = library.jobs.get(job.id)
    assert found is not None
    assert (found.state, found.attempts) == ("queued", 0)


def test_long_job_is_not_taken_over_while_its_worker_lives(
    library: Library, pool: ProcessPool, files: dict[str, Any]
) -> None:
    job = library.jobs.enqueue("wait", "k", files)
    worker = Worker(library.jobs, {"wait": handlers.wait_for_file}, pool, lease_s=1.5, poll_s=0.05)
    worker.start()
    try:
        wait_until(Path(files["runs"]).exists)
        first = library.jobs.get(job.id)
        assert first is not None
        assert first.lease_until is not None
        until = first.lease_until
        wait_until(lambda: library.now() > until)
        assert library.jobs.claim("another", 30) is None
        Path(files["go"]).touch()
        wait_until(lambda: state(library, job) == "done")
    finally:
        worker.stop()


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_killed_server_takes_its_work_up_again(library: Library, files: dict[str, Any]) -> None:
    job = library.jobs.enqueue("wait", "k", files)
    runs = Path(files["runs"])
    script = Path(__file__).with_name("execution_server.py")
    command = [sys.executable, str(script), str(library.folder)]
    with subprocess.Popen(command) as server:
        wait_until(lambda: runs.exists() and runs.read_text().endswith("\n"))
        server.send_signal(signal.SIGKILL)
    child = int(runs.read_text())
    wait_until(lambda: not _runs(child))  # its processes end with it
    assert state(library, job) == "running"
    with subprocess.Popen(command) as server:
        wait_until(lambda: len(runs.read_text().splitlines()) == 2)  # at once: the lease has 30 s to run
        Path(files["go"]).touch()
        wait_until(lambda: state(library, job) == "done")
        server.send_signal(signal.SIGKILL)
    found = library.jobs.get(job.id)
    assert found is not None
    assert found.attempts == 2
    assert Path(files["done"]).exists()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_names_tell_who_lives() -> None:
    mine = worker_name()
    assert worker_is_alive(mine)
    assert mine != worker_name()
    host, pid, start, word = mine.split("/")
    assert not worker_is_alive(f"{host}/{pid}/{int(start) + 1}/{word}")  # the number was given away again
    assert worker_is_alive(f"elsewhere/{pid}/1/{word}")  # nobody here can know
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not worker_is_alive(f"{host}/{process.pid}/{start}/{word}")
