"""Takes in studies, reads and signs them, asks for work, and says each as soon as it is kept."""

from __future__ import annotations

import itertools
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from coread.core import InstanceHeader
from coread.core.reading import Committed, DraftSaved, Event, Opened, Revealed, Signed
from coread.storage import Arrival, Library


def header(study: str, number: int) -> InstanceHeader:
    return InstanceHeader(
        patient_id=study,
        patient_name="Doe^Jane",
        birth_date=None,
        sex=None,
        study=study,
        study_time=None,
        accession="",
        study_description="",
        referring="",
        series=f"{study}.1",
        series_number=1,
        series_description="",
        modality="CT",
        body_part=None,
        instance=f"{study}.1.{number}",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        instance_number=number,
        rows=8,
        columns=8,
        frames=1,
        transfer_syntax="1.2.840.10008.1.2.1",
        frame_of_reference=None,
        role="image",
        acquired=True,
        simulated=True,
        lossy=False,
    )


def say(*words: object) -> None:
    print(*words, flush=True)


def main(folder: Path, life: int) -> None:
    with Library.open(folder) as library:
        for n in itertools.count():
            study = f"1.{life}.{n}"
            arrivals = []
            for number in range(3):
                content = os.urandom(4096)
                arrivals.append(Arrival(header(study, number), library.objects.put(content), len(content)))
            with library.transaction():
                library.instances.add_many(arrivals)
                library.audit.append("system", "intake.added", study)
            for arrival in arrivals:
                say("study", arrival.header.instance)
            at = datetime.now(UTC)
            version = 0
            events: tuple[Event, ...] = (
                Opened(at),
                DraftSaved(at, ()),
                Committed(at, ()),
                Revealed(at, (), "1.0"),
                Signed(at),
            )
            for event in events:
                version = library.readings.append(study, "ann", event, expected=version)
                say("read", study, version)
            say("job", library.jobs.enqueue("process", study, {"study": study}, subject=study).id)


def nursery(folder: Path) -> None:
    """Start a writer for each line that comes in, with everything imported already, and wait for its end."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            say("alive", os.getpid())
            main(folder, int(line))
        _, status = os.waitpid(pid, 0)
        say("dead", os.WTERMSIG(status))


if __name__ == "__main__":
    nursery(Path(sys.argv[1]))
