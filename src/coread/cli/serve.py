"""`coread serve`: the reading page over a library."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from coread.cli.common import Models, Quiet, Verbose, say, setup
from coread.cli.settings import Settings, load
from coread.errors import InputError

app = typer.Typer(add_completion=False)
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on.")]


@app.command()
def serve(
    library: Annotated[Path | None, typer.Option("--library", help="Folder of the library.")] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Port = None,
    reader: Annotated[str | None, typer.Option("--reader", help="Identifier of the reader.")] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", min=1, help="Worker processes.")] = None,
    models: Models = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Serve the reading page, the API, DICOMweb and FHIR over a library, and process what comes.

    Example: coread serve --library LIBRARY
    """
    setup(verbose=verbose)
    options = {
        "library": library,
        "host": host,
        "port": port,
        "reader": reader,
        "jobs": jobs,
        "models": models,
    }
    settings = load(config, options=options).settings
    check_port(settings.host, settings.port)
    from coread.storage import Library

    with Library.open(settings.library, url=settings.database or None) as store:
        serve_library(store, settings, quiet=quiet)


def check_port(host: str, port: int) -> None:
    """Refuse a port that another program listens on.

    Raises:
        InputError: It is taken, or the address is not of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"{host}:{port} can't be used: {error.strerror}", "expected a free port", "say --port N"
            ) from error


def serve_library(store: Any, settings: Settings, *, quiet: bool = False) -> None:
    """Serve a library until interrupted; its queue is worked on meanwhile."""
    import uvicorn

    from coread.execution import ProcessPool
    from coread.server.app import create_app
    from coread.server.settings import ConfiguredReader, ServerSettings
    from coread.workflow.jobs import enqueue_all, worker
    from coread.workflow.visibility import SiteRules

    server_settings = ServerSettings(
        host=settings.host,
        readers=(
            ConfiguredReader(settings.reader, settings.reader_name, language=settings.language),
            *(ConfiguredReader(id_, name) for id_, name in settings.readers.items()),
        ),
        rules=SiteRules(show_foreign_objects=settings.foreign_objects == "shown"),
    )
    enqueue_all(store, settings.models)
    with ProcessPool(settings.jobs) as pool:
        work = worker(store, pool, url=settings.database or None, models=settings.models)
        work.start()

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                if self.started:
                    say(
                        f"CoRead is at http://{settings.host}:{settings.port}/  (Ctrl-C ends it)", quiet=quiet
                    )

        application = create_app(store, settings=server_settings, models=settings.models, wake=work.wake)
        options = uvicorn.Config(
            application,
            host=settings.host,
            port=settings.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=2,  # an open event stream would hold it until the client leaves
        )
        try:
            Server(options).run()
        finally:
            work.stop()
