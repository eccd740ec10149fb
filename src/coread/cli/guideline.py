"""`coread guideline`: what a guideline says of given inputs."""

from __future__ import annotations

import json as jsonlib
from typing import Annotated, Any

import typer

from coread.cli.common import Exit, Json, print_json, say
from coread.errors import InputError

app = typer.Typer(add_completion=False)


def values(words: list[str]) -> dict[str, Any]:
    """Return inputs from words ``key=value``; a value is JSON where it can be, else text.

    Raises:
        InputError: A word has no ``=``.
    """
    given: dict[str, Any] = {}
    for word in words:
        key, found, text = word.partition("=")
        if not found or not key:
            raise InputError(f"{word!r} is no input", "expected key=value", "such as mean_diameter_mm=7")
        try:
            given[key] = jsonlib.loads(text)
        except ValueError:
            given[key] = text
    return given


@app.command()
def guideline(
    name: Annotated[str, typer.Argument(help="Name of a guideline; `list` shows all.")],
    inputs: Annotated[list[str] | None, typer.Argument(help="key=value, as many as needed.")] = None,
    json: Json = False,
) -> None:
    """Say what a guideline makes of its inputs: result, row, what is missing.

    Example: coread guideline fleischner type=solid mean_diameter_mm=7 count=single risk=low --json
    """
    from coread.decision import guidelines

    if name == "list":
        rows = [
            {
                "name": g.name,
                "version": g.version,
                "source": g.source,
                "inputs": g.inputs,
                "outputs": g.outputs,
            }
            for g in guidelines.systems()
        ]
        if json:
            print_json({"schema": "coread-guidelines", "version": 1, "guidelines": rows})
            return
        for row in rows:
            typer.echo(f"{row['name']:26} {row['version']:9} {' '.join(row['inputs'])}")
        return
    answer = guidelines.apply(name, values(inputs or []))
    if json:
        print_json(answer.document())
    else:
        for key, value in answer.result.items():
            typer.echo(f"{key}: {value}")
        if answer.row:
            typer.echo(f"by: {answer.row}")
        for note in answer.notes:
            typer.echo(f"note: {note}")
        typer.echo(f"{answer.system} {answer.version}, {answer.source}")
    if answer.not_applicable is not None:
        say(f"not applicable: {answer.not_applicable}")
        raise typer.Exit(Exit.NOT_APPLICABLE)
    if answer.missing:
        say(f"missing: {', '.join(answer.missing)}")
        raise typer.Exit(Exit.NO)
