"""`coread demo`: a library to try things on, processed and served."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from coread.cli.common import Quiet, Verbose, progress_bar, say, setup
from coread.cli.serve import check_port, serve_library
from coread.cli.settings import load

app = typer.Typer(add_completion=False)
POLL_S = 0.2


@app.command()
def demo(
    studies: Annotated[
        list[Path] | None, typer.Option("--studies", help="Your own DICOM files instead of simulated ones.")
    ] = None,
    library: Annotated[Path | None, typer.Option("--library", help="Folder of the library.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on.")] = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Local processes.")] = 2,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve it when it is ready.")] = True,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Make a library of simulated studies (or of your own), process it and serve the reading page.

    A second run goes on with what is there.

    Example: coread demo --no-serve --library LIBRARY
    """
    setup(verbose=verbose)
    folder = library or Path("demo-library" if not studies else "studies-library")
    settings = load(options={"library": folder, "port": port, "jobs": jobs}).settings
    if serve:
        check_port(settings.host, settings.port)
    from coread.storage import Library

    with Library.open(folder) as store:
        with progress_bar(quiet=quiet) as progress:
            sources = studies or [_simulate(folder / "simulated", jobs, progress)]
            _take_in(store, sources, progress)
            _process(store, jobs, settings.models, progress)
        if serve:
            serve_library(store, settings, quiet=quiet)
        else:
            say(f"ready: coread serve --library {folder}", quiet=quiet)


def _simulate(folder: Path, jobs: int, progress: Callable[[float, str], None]) -> Path:
    from coread.testing.demo import make_demo_library

    made = make_demo_library(
        folder, progress=lambda f, words: progress(0.5 * f, f"simulating {words}".strip()), jobs=jobs
    )
    return made.dicom


def _take_in(store: Any, sources: list[Path], progress: Callable[[float, str], None]) -> None:
    from coread.workflow.intake import ingest
    from coread.workflow.uploads import mark_late_images

    summary = ingest(store, sources, progress=lambda f, words: progress(0.5 + 0.1 * f, f"taking in {words}"))
    mark_late_images(store, summary)
    for entry in summary.entries:
        if entry.role in ("refused", "quarantined"):
            say(f"{entry.role}: {entry.path}: {entry.reason}")


def _process(store: Any, jobs: int, models: Path, progress: Callable[[float, str], None]) -> None:
    from coread.execution import ProcessPool
    from coread.workflow.jobs import enqueue_all, progress_of, worker

    asked = enqueue_all(store, models)
    with ProcessPool(jobs) as pool:
        work = worker(store, pool, models=models)
        work.start()
        try:
            while True:
                fraction, words, ended = progress_of(store, asked)
                progress(0.6 + 0.4 * fraction, words)
                if ended:
                    break
                time.sleep(POLL_S)
        finally:
            work.stop()
