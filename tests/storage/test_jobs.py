from __future__ import annotations

import threading
from typing import Any

import pytest

from coread.errors import InputError
from coread.storage import ConflictError, Job, Library


def claim_all(library: Library, worker: str = "w") -> list[str]:
    keys = []
    while (job := library.jobs.claim(worker, 30)) is not None:
        keys.append(job.key)
    return keys


def claimed(library: Library, worker: str = "w", lease_s: float = 30) -> Job:
    job = library.jobs.claim(worker, lease_s)
    assert job is not None
    return job


def test_urgent_first_then_in_order_of_asking(library: Library) -> None:
    for key, priority in (("a", 0), ("b", 5), ("c", 0), ("d", 9), ("e", 5)):
        library.jobs.enqueue("process", key, {}, priority=priority)
    assert claim_all(library) == ["d", "b", "e", "a", "c"]


def test_asking_again_gives_the_same_job(library: Library) -> None:
    first = library.jobs.enqueue("process", "k", {"study": "1.2"}, subject="1.2")
    assert library.jobs.enqueue("process", "k", {"study": "1.3"}) == first
    assert library.jobs.enqueue("other", "k", {}).id != first.id
    claimed(library)
    assert library.jobs.enqueue("process", "k", {}).state == "running"
    done = library.jobs.finish(first.id, "w")
    assert (done.state, done.progress) == ("done", 1.0)
    assert library.jobs.enqueue("process", "k", {}) == done


def test_worker_gets_kinds_it_can_do(library: Library) -> None:
    library.jobs.enqueue("train", "t", {})
    assert library.jobs.claim("w", 30, kinds=("process", "export")) is None
    assert claimed(library).kind == "train"


def test_lease_that_runs_out_gives_the_job_to_another(library: Library, clock: Any) -> None:
    library.jobs.enqueue("process", "k", {"n": 1})
    job = claimed(library, "first", 30)
    clock.forward(29)
    assert library.jobs.claim("second", 30) is None
    assert library.jobs.heartbeat(job.id, "first", 30) == "go_on"
    clock.forward(29)
    assert library.jobs.claim("second", 30) is None
    clock.forward(2)
    again = claimed(library, "second", 30)
    assert (again.id, again.attempts, again.worker) == (job.id, 2, "second")
    assert library.jobs.heartbeat(job.id, "first", 30) == "lost"
    for report in (
        lambda: library.jobs.finish(job.id, "first"),
        lambda: library.jobs.fail(job.id, "first", "late"),
        lambda: library.jobs.progress(job.id, "first", 0.5),
        lambda: library.jobs.release(job.id, "first"),
        lambda: library.jobs.cancelled(job.id, "first"),
    ):
        with pytest.raises(ConflictError, match="not this worker's"):
            report()
    assert library.jobs.finish(job.id, "second").state == "done"


def test_retries_wait_longer_each_time_and_end_as_dead_letter(library: Library, clock: Any) -> None:
    library.jobs.enqueue("process", "k", {}, max_attempts=4)
    waits = []
    for _ in range(3):
        job = claimed(library)
        failed = library.jobs.fail(job.id, "w", "disk full")
        assert failed.state == "queued"
        waits.append((failed.not_before - clock.time).total_seconds())
        assert library.jobs.claim("w", 30) is None
        clock.forward(waits[-1])
    for attempt, wait in enumerate(waits):  # 2, 4, 8 s, less up to a half
        assert 2.0**attempt <= wait <= 2.0 ** (attempt + 1)
    dead = library.jobs.fail(claimed(library).id, "w", "disk full")
    assert (dead.state, dead.attempts, dead.error) == ("failed", 4, "disk full")
    assert library.jobs.claim("w", 30) is None
    assert library.jobs.page(states=("failed",)).items == (dead,)
    again = library.jobs.enqueue("process", "k", {"new": True})
    assert (again.id, again.state, again.attempts, again.error) == (dead.id, "queued", 0, "")
    assert claimed(library).payload == {"new": True}


def test_job_that_kills_its_workers_is_not_started_for_ever(library: Library, clock: Any) -> None:
    library.jobs.enqueue("process", "k", {}, max_attempts=3)
    for _ in range(3):
        claimed(library, lease_s=10)
        clock.forward(11)
    assert library.jobs.claim("w", 10) is None
    (dead,) = library.jobs.page(states=("failed",)).items
    assert (dead.attempts, dead.error) == (3, "the lease ran out")


def test_failure_for_good_is_not_retried(library: Library) -> None:
    library.jobs.enqueue("process", "k", {})
    assert library.jobs.fail(claimed(library).id, "w", "no pixels", retry=False).state == "failed"


def test_waiting_job_is_cancelled_at_once(library: Library) -> None:
    job = library.jobs.enqueue("process", "k", {})
    cancelled = library.jobs.cancel(job.id)
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    assert library.jobs.claim("w", 30) is None
    assert library.jobs.cancel("no such job") is None


def test_running_job_is_cancelled_when_its_worker_hears_of_it(library: Library, clock: Any) -> None:
    job = library.jobs.enqueue("process", "k", {})
    claimed(library)
    running = library.jobs.cancel(job.id)
    assert running is not None
    assert (running.state, running.cancel) == ("running", True)
    assert library.jobs.heartbeat(job.id, "w", 30) == "cancel"
    assert library.jobs.cancelled(job.id, "w").state == "cancelled"
    other = library.jobs.enqueue("process", "k2", {})
    claimed(library)
    library.jobs.cancel(other.id)
    clock.forward(60)  # the worker died before it heard
    assert library.jobs.claim("w", 30) is None
    kept = library.jobs.get(other.id)
    assert kept is not None
    assert kept.state == "cancelled"


def test_cancel_does_not_undo_what_is_done(library: Library) -> None:
    job = library.jobs.enqueue("process", "k", {})
    claimed(library)
    done = library.jobs.finish(job.id, "w")
    assert library.jobs.cancel(job.id) == done


def test_released_job_is_as_before(library: Library) -> None:
    job = library.jobs.enqueue("process", "k", {})
    claimed(library)
    library.jobs.progress(job.id, "w", 0.4, "lungs")
    back = library.jobs.release(job.id, "w")
    assert (back.state, back.attempts, back.progress, back.words) == ("queued", 0, 0.0, "")


def test_recovery_takes_back_what_the_dead_had(library: Library, clock: Any) -> None:
    for key in "abc":
        library.jobs.enqueue("process", key, {})
    claimed(library, "dead", 30)
    claimed(library, "alive", 30)
    claimed(library, "slow", 5)
    clock.forward(6)
    assert library.jobs.recover(lambda worker: worker != "dead") == 2
    states = {job.key: job.state for job in library.jobs.page().items}
    assert states == {"a": "queued", "b": "running", "c": "queued"}
    assert library.jobs.recover() == 0


def test_progress_is_seen_and_in_range(library: Library) -> None:
    job = library.jobs.enqueue("process", "k", {}, subject="1.2")
    claimed(library)
    library.jobs.progress(job.id, "w", 0.25, "segmenting")
    seen = library.jobs.latest("process", ["1.2", "1.3"])
    assert (seen["1.2"].progress, seen["1.2"].words) == (0.25, "segmenting")
    assert list(seen) == ["1.2"]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match="0 to 1"):
            library.jobs.progress(job.id, "w", wrong)


def test_latest_is_the_one_asked_for_last(library: Library) -> None:
    library.jobs.enqueue("process", "k1", {}, subject="1.2")
    last = library.jobs.enqueue("process", "k2", {}, subject="1.2")
    library.jobs.enqueue("export", "k3", {}, subject="1.2")
    assert library.jobs.latest("process", ["1.2"]) == {"1.2": last}


def test_changes_can_be_followed(library: Library, clock: Any) -> None:
    first = library.jobs.enqueue("process", "a", {})
    clock.forward(10)
    moment = clock.time
    second = library.jobs.enqueue("process", "b", {})
    assert [job.id for job in library.jobs.changed_since(moment)] == [second.id]
    clock.forward(1)
    claimed(library)
    assert [job.id for job in library.jobs.changed_since(moment)] == [second.id, first.id]


def test_pages_hold_every_job_once(library: Library) -> None:
    for n in range(7):
        library.jobs.enqueue("process" if n % 2 else "export", str(n), {})
    keys: list[str] = []
    cursor = None
    while True:
        page = library.jobs.page(limit=3, cursor=cursor)
        keys += [job.key for job in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert keys == ["6", "5", "4", "3", "2", "1", "0"]
    assert library.jobs.page(kind="process").total == 3


def test_each_job_is_claimed_once_by_many_at_a_time(library: Library) -> None:
    for n in range(40):
        library.jobs.enqueue("process", str(n), {})
    found: dict[str, list[str]] = {}

    def work(worker: str) -> None:
        found[worker] = claim_all(library, worker)

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [key for keys in found.values() for key in keys]
    assert sorted(everything, key=int) == [str(n) for n in range(40)]


@pytest.mark.parametrize(
    ("kind", "key", "payload"),
    [("", "k", {}), ("process", "", {}), ("process", "k", {"at": object()}), ("p", "k", {"x": float("nan")})],
)
def test_job_needs_kind_key_and_plain_payload(
    library: Library, kind: str, key: str, payload: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        library.jobs.enqueue(kind, key, payload)
