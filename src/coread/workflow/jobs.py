"""The work that waits in a library's queue, and who does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from coread.execution import Executor, Handler, Report, Worker
from coread.storage import Job, Library
from coread.workflow import process, uploads
from coread.workflow.analyzers import site_analyzers


def handlers(folder: Path, url: str | None = None, models: Path | None = None) -> dict[str, Handler]:
    """Return what does each kind of job of a library; every handler can go to another process."""
    return {
        process.JOB_KIND: partial(_process, folder, url, models),
        uploads.JOB_KIND: partial(_take_in, folder, url, models),
    }


def worker(
    library: Library, executor: Executor, *, url: str | None = None, models: Path | None = None
) -> Worker:
    """Return a worker for a library; `start` it, or `run_until_idle`.

    Args:
        library: Whose queue is worked on.
        executor: Where the work runs.
        url: Of its database server.
        models: Folder of the site's models, read anew for each study; None for what is installed.
    """
    return Worker(library.jobs, handlers(library.folder, url, models), executor)


def enqueue_studies(library: Library, studies: Iterable[str], models: Path | None = None) -> tuple[Job, ...]:
    """Ask for studies to be processed, the most urgent first; done work is not done again."""
    analyzers = site_analyzers(models)
    return tuple(process.enqueue(library, study, analyzers) for study in studies)


def enqueue_all(library: Library, models: Path | None = None) -> tuple[Job, ...]:
    """Ask for every study of a library to be processed by the analyzers that the site lets run now."""
    jobs: list[Job] = []
    cursor: str | None = None
    while True:
        page = library.instances.studies(cursor=cursor, limit=200)
        jobs += enqueue_studies(library, (row.uid for row in page.items), models)
        cursor = page.next
        if cursor is None:
            return tuple(jobs)


def progress_of(library: Library, jobs: Iterable[Job]) -> tuple[float, str, bool]:
    """Return how far jobs have come (0 to 1), what is being done now, and whether all have ended."""
    now = [library.jobs.get(job.id) for job in jobs]
    known = [job for job in now if job is not None]
    done = sum(1.0 if job.ended else job.progress for job in known)
    ended = sum(job.ended for job in known)
    words = next((job.words for job in known if job.state == "running" and job.words), "")
    said = f"processing: {ended} of {len(known)} studies" + (f", {words}" if words else "")
    return done / max(len(known), 1), said, ended == len(known)


def _process(
    folder: Path, url: str | None, models: Path | None, payload: Mapping[str, Any], report: Report
) -> None:
    with Library.open(folder, url=url) as library:
        process.process_study(
            library,
            payload["study"],
            site_analyzers(models),
            progress=report.progress,
            cancelled=lambda: report.cancelled,
        )


def _take_in(
    folder: Path, url: str | None, models: Path | None, payload: Mapping[str, Any], report: Report
) -> None:
    with Library.open(folder, url=url) as library:
        summary = uploads.take_in(library, payload, report.progress)
        enqueue_studies(library, summary.studies, models)
