"""`coread train`: from data to weights by one command; and which unlabelled cases to look at next."""

from __future__ import annotations

import csv
import dataclasses
import json as encoder
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

from coread.cli.common import Force, Json, Quiet, check_target, print_json, progress_bar, say, writing
from coread.errors import CancelledError, InputError
from coread.recognition.training import trainers
from coread.recognition.training.loop import Device
from coread.recognition.training.ordering import By
from coread.recognition.training.settings import TrainingSettings

if TYPE_CHECKING:
    from coread.recognition.training.cases import Read

app = typer.Typer(no_args_is_help=True, help="Train a model.")


@app.command()
def train(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a model, classify or segment, settings as TOML; or, with --order, the folder of a "
            "finished training."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="A table of cases, or what the model's card names.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for weights, card and record; file of the order.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value of the training plan, such as epochs=20.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--column", help="standard=yours, such as image=file.")
    ] = None,
    folds: Annotated[
        int | None, typer.Option("--folds", min=0, help="Of a cross-validation by patient.")
    ] = None,
    order: Annotated[
        Path | None,
        typer.Option("--order", help="Table of unlabelled cases to put in order, least sure first."),
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Order by entropy, or by disagreement of the folds.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it was stopped.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Threads of torch.")] = 1,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print the settings as TOML and stop.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    force: Force = False,
) -> None:
    """Train a model and write its weights and a record (settings, figures, versions) to a folder.

    Example: coread train cxr_pneumonia --data pneumoniamnist.npz --out weights

    With a table of your own cases (columns image, label or mask, patient): coread train classify --data
    cohort.csv --folds 5 --out run. With settings: coread train effusion.toml --out run. What to label next:
    coread train run --order pool.csv --out order.csv
    """
    for value, allowed, word in ((device, get_args(Device), "--device"), (by, get_args(By), "--by")):
        if value is not None and value not in allowed:
            raise InputError(f"{word} {value}", f"one of {', '.join(allowed)}")
    named = _pairs(columns or [], "--column", "standard=yours")
    if order is not None and Path(name).is_dir():
        _order(Path(name), order, out, cast("By | None", by), named, threads, json, quiet, force)
        return
    settings = _settings(name, data, folds, named, changes or [])
    if show_settings:
        plan = trainers.plan_of(settings)
        typer.echo(replace(settings, plan=_plain(plan)).to_toml(), nl=False)
        return
    if settings.data is None or out is None:
        raise InputError(
            "no data" if settings.data is None else "no --out", "--data and --out", "name data and a folder"
        )
    if not resume:
        check_target(out, force=force)
    try:
        with writing(out):
            record = trainers.train_with(
                settings,
                out,
                read=read_file,
                resume=resume,
                device=cast("Device", device),
                threads=threads,
                progress=lambda words: say(words, quiet=quiet),
            )
    except KeyboardInterrupt:
        raise CancelledError(
            "stopped", "the training to run to its end", "the same command with --resume goes on"
        ) from None
    if order is not None:
        own = dict(settings.columns)
        _order(out, order, out / "order.csv", cast("By | None", by), own, threads, False, quiet, True)
    if json:
        print_json(record)
        return
    for metric, figure in record.get("metrics", {}).items():
        typer.echo(f"{metric}: {figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})")
    say(f"{out / settings.name}.onnx, SHA-256 {record['weights']}", quiet=quiet)


def _settings(
    name: str, data: Path | None, folds: int | None, columns: dict[str, str], changes: Sequence[str]
) -> TrainingSettings:
    path = Path(name)
    if path.suffix.lower() == ".toml":
        settings = TrainingSettings.read(path)
    else:
        trainers.check_known(name)
        settings = TrainingSettings(model=name)
    given: dict[str, Any] = {"plan": {**settings.plan, **_values(changes)}}
    if data is not None:
        given["data"] = data
    if folds is not None:
        given["folds"] = folds
    if columns:
        given["columns"] = {**settings.columns, **columns}
    return replace(settings, **given)


def _plain(plan: Any) -> dict[str, Any]:
    values = {item.name: getattr(plan, item.name) for item in dataclasses.fields(plan)}
    return {key: value for key, value in values.items() if isinstance(value, int | float | tuple | str)}


def _order(
    folder: Path,
    table: Path,
    out: Path | None,
    by: By | None,
    columns: dict[str, str],
    threads: int,
    json: bool,
    quiet: bool,
    force: bool,
) -> None:
    from coread.recognition.training.unlabelled import order_unlabelled

    if out is not None:
        check_target(out, force=force)
    with progress_bar(quiet=quiet) as progress:
        rows = order_unlabelled(
            folder, table, by=by, columns=columns, read=read_file, threads=threads, progress=progress
        )
    document = {"schema": "coread-looking-order", "version": 1, "cases": rows}
    if out is not None and out.suffix.lower() == ".json":
        out.write_text(encoder.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    elif out is not None:
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    if json:
        print_json(document)
    elif out is None:
        for row in rows:
            typer.echo(
                f"{row['rank']:4} {row['image']}: entropy {row['entropy']:.3f}, disagreement "
                f"{row['disagreement']:.3f}, {row['says']}"
            )


def read_file(path: Path) -> Read:
    """Return what is in a file of a case, as `coread.workflow.case_files.read_case`.

    Raises:
        DataError: It can't be read, or holds something else than one image or volume.
    """
    from coread.workflow.case_files import read_case

    return read_case(path)


def _pairs(words: Sequence[str], option: str, form: str) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InputError(f"{option} {word}", form)
        pairs[key] = value
    return pairs


def _values(changes: Sequence[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in _pairs(changes, "--set", "key=value").items():
        try:
            values[key] = encoder.loads(value)
        except ValueError:
            values[key] = value
    return values
