"""`coread train`: from data to weights by one command."""

from __future__ import annotations

import json as encoder
from pathlib import Path
from typing import Annotated, Any

import typer

from coread.cli.common import Force, Json, Quiet, check_target, print_json, say
from coread.errors import InputError
from coread.recognition.training import trainers

app = typer.Typer(no_args_is_help=True, help="Train a model.")


@app.command()
def train(
    name: Annotated[str, typer.Argument(help="Name of the model.")],
    data: Annotated[Path, typer.Option("--data", help="Training data, as the model's card names them.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the weights and the record.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the training plan, such as steps=200.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")] = 1,
    json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Train a model and write NAME.onnx and NAME.json (settings, figures, versions) to a folder.

    Example: coread train cxr_pneumonia --data pneumoniamnist.npz --out weights
    """
    check_target(out, force=force)
    record = trainers.train_to(
        name,
        data,
        out,
        changes=_values(changes or []),
        threads=threads,
        progress=lambda words: say(words, quiet=quiet),
    )
    if json:
        print_json(record)
    else:
        say(f"{out / name}.onnx, SHA-256 {record['weights']}", quiet=quiet)


def _values(changes: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"--set {change}", "key=value")
        try:
            values[key] = encoder.loads(value)
        except ValueError:
            values[key] = value
    return values
