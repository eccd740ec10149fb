"""Prints how fast the library takes in, lists and queues: `python benchmarks/storage.py [POSTGRESQL_URL]`.

A worklist of 1,200 studies took a peer five minutes (OHIF #1491); a page of ours shall take 50 ms of 10,000.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from coread.core import InstanceHeader
from coread.storage import Arrival, Library, content_digest

STUDIES = 10_000
GROUP = 100


def header(study: int, number: int, *, series: int = 1) -> InstanceHeader:
    uid = f"1.2.826.0.1.{study}"
    return InstanceHeader(
        patient_id=f"P{study:06}",
        patient_name=f"Family{study % 977}^Given{study % 89}",
        birth_date=None,
        sex=None,
        study=uid,
        study_time=datetime(2026, 1, 1) + timedelta(minutes=study),
        accession=f"A{study:08}",
        study_description="CT chest",
        referring="",
        series=f"{uid}.{series}",
        series_number=series,
        series_description="axial",
        modality=("CT", "MR", "DX")[study % 3],
        body_part="CHEST",
        instance=f"{uid}.{series}.{number}",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        instance_number=number,
        rows=512,
        columns=512,
        frames=1,
        transfer_syntax="1.2.840.10008.1.2.1",
        frame_of_reference=None,
        role="image",
        acquired=True,
        simulated=True,
        lossy=False,
    )


def arrival(entry: InstanceHeader) -> Arrival:
    return Arrival(entry, content_digest(entry.instance.encode()), 500_000)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def milliseconds(function: Callable[[], object], times: int = 20) -> str:
    measured = sorted(1000 * seconds(function) for _ in range(times))
    return f"median {statistics.median(measured):.1f} ms, worst of {times} {measured[-1]:.1f} ms"


def in_groups(library: Library, arrivals: list[Arrival]) -> None:
    for start in range(0, len(arrivals), GROUP):
        library.instances.add_many(arrivals[start : start + GROUP])


def main(url: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder), url=url) as library:
        print(f"database: {'PostgreSQL' if url else 'SQLite, WAL, synchronous=FULL'}")
        contents = [os.urandom(500_000) for _ in range(50)]
        single = seconds(lambda: [library.objects.put(content) for content in contents])
        print(f"objects of 0.5 MB, forced to the disk: {1000 * single / 50:.1f} ms each")
        one_study = [arrival(header(STUDIES + 1, n)) for n in range(10_000)]
        taken = seconds(lambda: in_groups(library, one_study))
        print(f"10,000 instances of one series in groups of {GROUP}: {taken:.2f} s, {10_000 / taken:.0f}/s")
        many = [arrival(header(study, 1)) for study in range(STUDIES)]
        taken = seconds(lambda: in_groups(library, many))
        print(
            f"{STUDIES} studies of one instance in groups of {GROUP}: {taken:.2f} s, {STUDIES / taken:.0f}/s"
        )

        studies = library.instances.studies
        total = studies().total
        cursor = None
        for _ in range(STUDIES // 2 // 50):
            cursor = studies(cursor=cursor).next
        print(f"a page of 50 among {total} studies, with its total:")
        print("  first page:", milliseconds(studies))
        print("  in the middle:", milliseconds(lambda: studies(cursor=cursor)))
        print("  newest first:", milliseconds(lambda: studies(order="newest")))
        print("  to read, acquired only:", milliseconds(lambda: studies(state="to_read", scope="acquired")))
        print("  searched for a name:", milliseconds(lambda: studies(query="family12 given")))
        print("  of one modality:", milliseconds(lambda: studies(modality="MR")))
        print("counts of all states:", milliseconds(library.instances.state_counts))
        print(
            "series of 10,000 instances:",
            milliseconds(lambda: library.instances.instances(one_study[0].header.series), 3),
        )

        def job(n: int) -> None:
            library.jobs.enqueue("process", str(n), {"n": n})
            claimed = library.jobs.claim("w", 30)
            assert claimed is not None
            library.jobs.finish(claimed.id, "w")

        taken = seconds(lambda: [job(n) for n in range(500)])
        print(f"500 jobs enqueued, claimed and finished: {500 / taken:.0f}/s")
        taken = seconds(lambda: [library.audit.append("ann", "study.viewed", str(n)) for n in range(500)])
        print(f"500 audit entries: {500 / taken:.0f}/s")
        print(f"their chain verified: {1000 * seconds(library.audit.verify):.0f} ms")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
