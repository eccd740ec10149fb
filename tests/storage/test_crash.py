"""A process that keeps things and says so is killed: what it said is true afterwards."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from coread.core.reading import State
from coread.storage import Library, content_digest

KILLS = 40
WRITER = Path(__file__).with_name("crash_writer.py")


def lives(folder: Path, rng: random.Random) -> list[list[str]]:
    """Let one writer after the other live for a while, and return what they acknowledged."""
    acknowledged: list[list[str]] = []
    command = [sys.executable, str(WRITER), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for life in range(KILLS):
            nursery.stdin.write(f"{life}\n")
            what, pid = nursery.stdout.readline().split()
            assert what == "alive"
            count = rng.randint(0, 25)
            acknowledged += [nursery.stdout.readline().split() for _ in range(count)]
            # at any step of the write path between two acknowledgements
            threading.Event().wait(rng.uniform(0, 0.03))
            os.kill(int(pid), signal.SIGKILL)
            while (words := nursery.stdout.readline().split())[0] != "dead":
                acknowledged.append(words)
            assert words[1] == str(signal.SIGKILL.value), "the writer ended by itself"
        nursery.stdin.close()
    return acknowledged


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_kill_at_any_time_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged = lives(tmp_path, random.Random(20260301))
    with Library.open(tmp_path) as library:
        assert library.start_check is not None
        assert library.start_check.missing == ()
        last = {}
        for what, *words in acknowledged:
            match what:
                case "study":
                    stored = library.instances.find(words[0])
                    assert stored is not None, words
                    assert content_digest(library.objects.get(stored.digest)) == stored.digest
                    assert library.instances.study(stored.header.study) is not None
                case "read":
                    last[words[0]] = int(words[1])
                case "job":
                    assert library.jobs.get(words[0]) is not None
        states = set()
        for study, version in last.items():
            reading, stored_version = library.readings.get(study, "ann")
            assert stored_version >= version
            states.add(reading.state)
            (head,) = library.readings.heads(study)
            assert (head.version, head.state) == (stored_version, reading.state)
        assert State.SIGNED in states
        check = library.audit.verify()
        assert check.problems == ()
        assert check.count >= sum(1 for what, *_ in acknowledged if what == "read")
        # what was put but never indexed was removed, and nothing else
        assert library.check().orphans == ()
        for row in library.instances.studies(limit=1000).items:
            (series,) = library.instances.series(row.uid)
            assert series.instances == len(library.instances.instances(series.uid))
    assert len({words[0] for what, *words in acknowledged if what == "study"}) >= KILLS
