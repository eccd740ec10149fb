"""A process with a worker and its pool, to be killed."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from execution_handlers import wait_for_file

from coread.execution import ProcessPool, Worker
from coread.storage import Library

if __name__ == "__main__":
    with Library.open(Path(sys.argv[1])) as library, ProcessPool(1) as pool:
        Worker(library.jobs, {"wait": wait_for_file}, pool, poll_s=0.05).start()
        threading.Event().wait()
