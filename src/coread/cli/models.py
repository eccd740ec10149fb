"""`coread models`: what models there are, on what evidence, and what they reach on your data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from coread.cli.common import Exit, Force, Json, Out, check_target, print_json, say
from coread.core import Card
from coread.errors import CoreadError, InputError
from coread.recognition import registry
from coread.recognition.importing import import_model
from coread.recognition.labelled import Part

app = typer.Typer(no_args_is_help=True, help="Models: list, show, verify, evaluate, import.")
Name = Annotated[str, typer.Argument(help="Name of a model, as `coread models list` shows it.")]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of ONNX Runtime.")]
LEVELS = {
    1: "technical",
    2: "diagnostic accuracy",
    3: "diagnostic thinking",
    4: "therapeutic",
    5: "patient outcome",
    6: "societal",
}


@app.callback()
def models() -> None:
    """Models of this installation; nothing is downloaded."""


@app.command("list")
def list_models(json: Json = False) -> None:
    """List every model with its evidence.

    Example: coread models list --json
    """
    rows = [_row(name, registry.card(name)) for name in registry.MODELS]
    if json:
        print_json({"schema": "coread-models", "version": 1, "models": rows})
        return
    for row in rows:
        typer.echo(
            f"{row['name']:16} {row['version']:8} evidence {row['evidence_level']} ({row['evidence']})"
        )
        typer.echo(f"{'':16} {row['intended_use']}")


def _row(name: str, card: Card) -> dict[str, Any]:
    return {
        "name": name,
        "title": card.name,
        "version": card.version,
        "kind": card.kind,
        "mode": card.mode,
        "evidence_level": card.evidence_level,
        "evidence": LEVELS[card.evidence_level],
        "intended_use": card.intended_use,
        "not_for": card.not_for,
        "licence": card.licence,
        "weights": card.weights,
    }


@app.command()
def show(name: Name, json: Json = False) -> None:
    """Show a model's card.

    Example: coread models show cxr_pneumonia
    """
    card = registry.card(name)
    metrics = {
        m.name: {"value": m.value, "low": m.low, "high": m.high, "data": m.data, "date": m.date}
        for m in card.metrics
    }
    document = _row(name, card) | {
        "threshold": card.threshold,
        "calibration": card.calibration,
        "training_data": card.training_data,
        "metrics": metrics,
        "references": list(card.references),
    }
    if json:
        print_json(document)
        return
    for key, value in document.items():
        if key == "metrics":
            for metric, m in metrics.items():
                limits = "" if m["low"] is None else f" ({m['low']:.3f} to {m['high']:.3f})"
                typer.echo(f"{metric}: {m['value']:.3f}{limits}, {m['data']}, {m['date']}")
        else:
            typer.echo(f"{key}: {'; '.join(value) if isinstance(value, list) else value}")


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="A model; all of them where none is named.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data on which to measure the card's figures again.")
    ] = None,
    threads: Threads = 1,
    json: Json = False,
) -> int:
    """Check weights against their cards, and figures against data where some are given.

    Example: coread models verify --json
    """
    if data is not None and name is None:
        raise InputError("data without a model", "the name of the model that they are for", "name it first")
    names = [registry.known(name)] if name else list(registry.MODELS)
    rows: list[dict[str, Any]] = []
    for each in names:
        try:
            size = registry.check_weights(each)
        except CoreadError as error:
            rows.append({"name": each, "weights": str(error), "equal": False})
            continue
        figures = [] if data is None else list(registry.verify(each, data, threads=threads))
        rows.append(
            {
                "name": each,
                "weights": f"{size} bytes, SHA-256 as on the card",
                "figures": [
                    {"metric": f.metric, "card": f.card, "measured": f.measured, "equal": f.equal}
                    for f in figures
                ],
                "equal": all(f.equal for f in figures),
            }
        )
    equal = all(row["equal"] for row in rows)
    if json:
        print_json({"schema": "coread-models-verify", "version": 1, "equal": equal, "models": rows})
    else:
        for row in rows:
            typer.echo(f"{row['name']}: {row['weights']}")
            for f in row.get("figures", []):
                says = "equal" if f["equal"] else "NOT equal"
                typer.echo(f"  {f['metric']}: card {f['card']:.4f}, measured {f['measured']:.4f}, {says}")
    return Exit.DONE if equal else Exit.NO


@app.command()
def evaluate(
    name: Name,
    data: Annotated[Path, typer.Option("--data", help="A .npz file, or a folder of labelled pictures.")],
    part: Annotated[
        str | None,
        typer.Option("--part", help="train, val or test of a .npz; test first where none is named."),
    ] = None,
    threads: Threads = 1,
    json: Json = False,
    out: Out = None,
    force: Force = False,
) -> None:
    """Measure a model on labelled data, with 95 % intervals over patients.

    Example: coread models evaluate cxr_pneumonia --data pneumoniamnist.npz --json
    """
    if part is not None and part not in get_args(Part):
        raise InputError(f"part {part!r}", f"one of {', '.join(get_args(Part))}")
    if out is not None:
        check_target(out, force=force)
    result = registry.evaluate(name, data, part=cast("Part | None", part), threads=threads)
    document = evaluation_document(result)
    if out is not None:
        import json as encoder

        out.write_text(encoder.dumps(document, indent=2) + "\n", encoding="utf-8")
    if json:
        print_json(document)
        return
    typer.echo(f"{result.model} {result.version} on {result.data}: {result.cases} cases")
    for metric, estimate in result.metrics.items():
        typer.echo(f"  {metric}: {estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})")
    for row, reason in result.left_out:
        say(f"left out: {row}, {reason}")
    for note in result.notes:
        say(note)


@app.command("import")
def import_outside(
    source: Annotated[Path, typer.Argument(help="Folder or file of the model.")],
    name: Annotated[str, typer.Option("--name", help="Of the model here.")],
    card: Annotated[Path, typer.Option("--card", help="Its card, a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder in which the model's folder is made.")] = Path(
        "models"
    ),
    threads: Threads = 1,
    json: Json = False,
    force: Force = False,
) -> None:
    """Import a model from outside: MONAI bundle, nnU-Net, CheXNet, ONNX, TorchScript and others.

    Example: coread models import network.onnx --name brain --card brain.card.toml
    """
    model = import_model(source, name=name, card=card, out=out, force=force, threads=threads)
    document = {
        "schema": "coread-models-import",
        "version": 1,
        "name": model.name,
        "folder": str(out / name),
        "weights": model.digest,
        "difference": model.difference,
        "licence": model.card.licence,
        "channels": list(model.specification.channels),
        "outputs": list(model.specification.outputs),
        "notes": list(model.notes),
    }
    if json:
        print_json(document)
        return
    typer.echo(f"{model.name}: {out / name}, weights {model.digest}, licence {model.card.licence}")
    if model.difference is not None:
        typer.echo(f"ONNX and original differ by {model.difference:.2g}")
    for note in model.notes:
        say(note)


def evaluation_document(result: registry.Evaluation) -> dict[str, Any]:
    """Return an evaluation as the JSON object that the command prints."""
    from importlib.metadata import version

    return {
        "schema": "coread-evaluation",
        "version": 1,
        "model": result.model,
        "model_version": result.version,
        "weights": result.weights,
        "data": result.data,
        "cases": result.cases,
        "patients": result.patients,
        "metrics": {
            name: {"value": e.value, "low": e.low, "high": e.high} for name, e in result.metrics.items()
        },
        "left_out": [{"row": row, "reason": reason} for row, reason in result.left_out],
        "notes": list(result.notes),
        "software": f"coread {version('coread')}",
    }
