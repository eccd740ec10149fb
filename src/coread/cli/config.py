"""`coread config show`: the settings and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from coread.cli.common import Json, print_json, say
from coread.cli.settings import default_file, load

app = typer.Typer(no_args_is_help=True, help="Settings: show where each value comes from.")


@app.callback()
def config() -> None:
    """Settings of this machine."""


@app.command()
def show(
    config: Annotated[Path | None, typer.Option("--config", help="Settings file.")] = None,
    json: Json = False,
) -> None:
    """Show every setting with its source.

    Example: coread config show --json
    """
    sourced = load(config)
    rows = {
        name: {"value": str(getattr(sourced.settings, name)), "source": source}
        for name, source in sourced.sources.items()
    }
    if json:
        print_json({"file": str(config or default_file()), "settings": rows})
        return
    for name, row in rows.items():
        typer.echo(f"{name:16} {row['value']:40} {row['source']}")
    say(f"settings file: {config or default_file()}")
