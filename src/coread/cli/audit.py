"""`coread audit`: look at the audit log of a library and verify its chain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coread.cli.common import Exit, Json, print_json
from coread.cli.settings import open_library

app = typer.Typer(no_args_is_help=True, help="Audit log: show and verify.")
LibraryOption = Annotated[Path | None, typer.Option("--library", help="Folder of the library.")]


@app.callback()
def audit() -> None:
    """Who did what, in a chain that a change breaks."""


@app.command()
def verify(library: LibraryOption = None, json: Json = False) -> None:
    """Verify the chain of the audit log; ends with 1 when it is broken.

    Example: coread audit verify --library LIBRARY
    """
    with open_library(library) as store:
        check = store.audit.verify()
    if json:
        end = {"count": check.anchor.count, "digest": check.anchor.digest}
        print_json({"intact": check.intact, "problems": list(check.problems), "end": end})
    else:
        typer.echo(f"{check.count} entries, {'intact' if check.intact else 'broken'}")
        for problem in check.problems:
            typer.echo(problem)
    if not check.intact:
        raise typer.Exit(Exit.NO)


@app.command()
def show(
    library: LibraryOption = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many, newest first.")] = 50,
    json: Json = False,
) -> None:
    """Show the latest entries of the audit log.

    Example: coread audit show --library LIBRARY --limit 10
    """
    with open_library(library) as store:
        page = store.audit.page(limit=limit)
    if json:
        print_json({"total": page.total, "entries": [_entry(e) for e in page.items]})
        return
    for entry in page.items:
        row = _entry(entry)
        typer.echo(f"{row['at']}  {row['actor']:12} {row['action']:20} {row['subject']}")


def _entry(entry: object) -> dict[str, object]:
    names = ("at", "actor", "action", "subject", "detail")
    values = {name: getattr(entry, name) for name in names}
    values["at"] = values["at"].isoformat()
    values["detail"] = dict(values["detail"])
    return values
