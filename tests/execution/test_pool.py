from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import execution_handlers as handlers
import pytest

from coread.errors import CancelledError, DataError, InputError
from coread.execution import ProcessPool, WorkerDiedError

PATIENCE_S = 60


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPool]:
    with ProcessPool(1) as opened:
        yield opened


def wait_for(path: Path) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE_S * 100):
        if path.exists():
            return
        pause.wait(0.01)
    raise AssertionError(f"{path.name} did not appear")


def test_work_is_done_in_another_process_that_is_kept(pool: ProcessPool) -> None:
    numbers = {pool.submit(handlers.process_number).result(PATIENCE_S) for _ in range(3)}
    assert len(numbers) == 1
    assert os.getpid() not in numbers
    assert [pool.submit(handlers.square, n).result(PATIENCE_S) for n in range(5)] == [0, 1, 4, 9, 16]


def test_numeric_libraries_there_use_one_thread(pool: ProcessPool) -> None:
    assert pool.submit(handlers.setting, "OMP_NUM_THREADS").result(PATIENCE_S) == "1"


def test_errors_come_back_as_they_are(pool: ProcessPool) -> None:
    with pytest.raises(DataError) as caught:
        pool.submit(handlers.fail, "data").result(PATIENCE_S)
    error = caught.value
    assert (error.came, error.expected, error.todo) == ("no pixels", "an image", "send another")
    with pytest.raises(ValueError, match="has no pixels"):
        pool.submit(handlers.fail, "other").result(PATIENCE_S)
    with pytest.raises(RuntimeError, match="LocalError"):
        pool.submit(handlers.fail, "unpicklable").result(PATIENCE_S)
    assert pool.submit(handlers.square, 3).result(PATIENCE_S) == 9


def test_progress_comes_in_order(pool: ProcessPool) -> None:
    heard: list[tuple[float, str]] = []
    task = pool.submit_reporting(
        handlers.count_up, 4, on_progress=lambda fraction, words: heard.append((fraction, words))
    )
    assert task.result(PATIENCE_S) == 4
    assert heard == [(0.25, "step 1"), (0.5, "step 2"), (0.75, "step 3"), (1.0, "step 4")]


def test_listener_that_fails_does_not_stop_the_work(pool: ProcessPool) -> None:
    def hear(fraction: float, words: str) -> None:
        raise RuntimeError("full")

    assert pool.submit_reporting(handlers.count_up, 4, on_progress=hear).result(PATIENCE_S) == 4
    assert pool.submit(handlers.square, 2).result(PATIENCE_S) == 4


def test_process_that_dies_is_replaced(pool: ProcessPool) -> None:
    before = pool.submit(handlers.process_number).result(PATIENCE_S)
    with pytest.raises(WorkerDiedError, match="signal 9"):
        pool.submit(handlers.die).result(PATIENCE_S)
    assert pool.submit(handlers.process_number).result(PATIENCE_S) != before


def test_death_takes_only_its_own_work(tmp_path: Path) -> None:
    with ProcessPool(2) as pool:
        started = tmp_path / "started"
        other = pool.submit_reporting(handlers.until_stopped, str(started))
        wait_for(started)
        with pytest.raises(WorkerDiedError):
            pool.submit(handlers.die).result(PATIENCE_S)
        assert not other.done
        other.cancel()
        with pytest.raises(CancelledError):
            other.result(PATIENCE_S)


def test_waiting_work_is_dropped_and_running_work_asked_to_stop(pool: ProcessPool, tmp_path: Path) -> None:
    started = tmp_path / "started"
    running = pool.submit_reporting(handlers.until_stopped, str(started))
    waiting = pool.submit(handlers.square, 2)
    wait_for(started)
    waiting.cancel()
    assert waiting.done
    with pytest.raises(CancelledError, match="before it began"):
        waiting.result()
    running.cancel()
    with pytest.raises(CancelledError, match="asked to stop"):
        running.result(PATIENCE_S)
    task = pool.submit_reporting(handlers.count_up, 2)  # the wish does not stick to the process
    assert task.result(PATIENCE_S) == 2


def test_deaf_work_can_be_ended(pool: ProcessPool, tmp_path: Path) -> None:
    started = tmp_path / "started"
    task = pool.submit(handlers.deaf, str(started))
    wait_for(started)
    task.kill()
    with pytest.raises(WorkerDiedError):
        task.result(PATIENCE_S)


def test_shutdown_without_waiting_ends_everything(tmp_path: Path) -> None:
    pool = ProcessPool(1)
    started = tmp_path / "started"
    running = pool.submit(handlers.deaf, str(started))
    waiting = pool.submit(handlers.square, 2)
    wait_for(started)
    pool.shutdown(wait=False)
    assert running.done
    assert waiting.done
    with pytest.raises(InputError, match="shut down"):
        pool.submit(handlers.square, 2)


def test_function_that_cannot_travel_is_refused(pool: ProcessPool) -> None:
    with pytest.raises(InputError, match="can't go to another process"):
        pool.submit(lambda: 1)


@pytest.mark.parametrize(("processes", "threads"), [(0, 1), (1, 0)])
def test_pool_has_a_process_and_a_thread(processes: int, threads: int) -> None:
    with pytest.raises(InputError, match="one or more"):
        ProcessPool(processes, threads=threads)
