"""`coread models`: what models there are, on what evidence, and what they reach on your data."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import typer

from coread.cli.common import Exit, Force, Json, Models, Out, check_target, print_json, say, writing
from coread.cli.settings import load
from coread.errors import CoreadError, InputError
from coread.recognition import registry
from coread.recognition.importing import import_draft, import_model
from coread.recognition.labelled import Part
from coread.recognition.runtime import Device
from coread.workflow import models as site
from coread.workflow.models import SiteEntry

app = typer.Typer(
    no_args_is_help=True, help="Models: list, show, verify, evaluate, import, threshold, enable, disable."
)
Name = Annotated[str, typer.Argument(help="Name of a model, as `coread models list` shows it.")]
Finding = Annotated[
    str | None, typer.Option("--finding", help="Of an imported model with several outputs: which one.")
]
Threads = Annotated[int, typer.Option("--threads", min=1, help="Threads of ONNX Runtime.")]
FEW = 30
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


def site_folder(models: Path | None) -> Path:
    """Return the folder of the site's models: the option, else the settings."""
    return load(options={"models": models}).settings.models


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


@app.command("list")
def list_models(models: Models = None, json: Json = False) -> None:
    """List every model with its evidence, and whether it runs here.

    Example: coread models list --json
    """
    rows = [_row(entry) for entry in site.site_entries(site_folder(models)).values()]
    if json:
        print_json({"schema": "coread-models", "version": 1, "models": rows})
        return
    for row in rows:
        level = row["evidence_level"]
        evidence = f"evidence {level} ({row['evidence']})" if level else "evidence not said"
        typer.echo(f"{row['name']:16} {row['version'] or '':8} {row['state']:8} {evidence}")
        typer.echo(f"{'':16} {row['intended_use'] or row['state_reason']}")


def _row(entry: SiteEntry) -> dict[str, Any]:
    said = entry.told
    state, reason = entry.standing()
    level = said.get("evidence_level")
    return {
        "name": entry.name,
        "title": said.get("name"),
        "version": said.get("version"),
        "kind": said.get("kind"),
        "mode": said.get("mode"),
        "evidence_level": level,
        "evidence": LEVELS.get(level) if isinstance(level, int) else None,
        "intended_use": said.get("intended_use"),
        "not_for": said.get("not_for"),
        "licence": said.get("licence"),
        "weights": entry.weights,
        "origin": "package" if entry.folder is None else "imported",
        "state": state,
        "state_reason": reason,
        "local_validation": validation_words(entry),
    }


def validation_words(entry: SiteEntry) -> str:
    """Return whether a model was validated here, with what, in one line."""
    found = entry.validation
    if found is None:
        older = entry.site.validations
        return "not validated here" + (f" (other weights were, on {older[-1].date})" if older else "")
    figures = ", ".join(
        f"{name} {m.value:.3f} ({m.low:.3f} to {m.high:.3f})" for name, m in found.metrics.items()
    )
    at = "" if found.threshold is None else f" at threshold {found.threshold:.4g}"
    return f"{found.date}: {found.cases} cases of {found.patients} patients, {found.data}{at}; {figures}"


def _points(entry: SiteEntry) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"finding": finding, "threshold": value, "from": "card", "in_use": finding not in entry.points}
        for finding, value in entry.card_points.items()
    ]
    for finding, point in entry.site.thresholds.items():
        rows.append({"finding": finding, "from": "site", "in_use": finding in entry.points, **asdict(point)})
    return rows


@app.command()
def show(name: Name, models: Models = None, json: Json = False) -> None:
    """Show a model's card, what the site has decided about it, and what it reached here.

    Example: coread models show cxr_pneumonia
    """
    entry = site.site_entry(name, site_folder(models))
    card = entry.card
    found = () if card is None else card.metrics
    metrics = {
        m.name: {"value": m.value, "low": m.low, "high": m.high, "data": m.data, "date": m.date}
        for m in found
    }
    document = _row(entry) | {
        "threshold": None if card is None else card.threshold,
        "operating_points": _points(entry),
        "calibration": None if card is None else card.calibration,
        "training_data": entry.told.get("training_data"),
        "metrics": metrics,
        "references": list(entry.told.get("references", ())),
        "local_validations": [asdict(each) for each in entry.site.validations],
        "decisions": [asdict(act) for act in entry.site.acts],
    }
    if json:
        print_json(document)
        return
    for key, value in document.items():
        if key == "metrics":
            for metric, m in metrics.items():
                limits = "" if m["low"] is None else f" ({m['low']:.3f} to {m['high']:.3f})"
                typer.echo(f"{metric}: {m['value']:.3f}{limits}, {m['data']}, {m['date']}")
        elif key == "operating_points":
            for point in document["operating_points"]:
                typer.echo(f"operating point: {point_words(point)}")
        elif key == "decisions":
            for act in entry.site.acts:
                typer.echo(f"decided: {' '.join(filter(None, (act.at, act.what, act.words)))}")
        elif key != "local_validations":
            typer.echo(f"{key}: {'; '.join(value) if isinstance(value, list) else value}")


def point_words(point: dict[str, Any]) -> str:
    """Return an operating point in one line."""
    words = f"{point['finding']} at {point['threshold']:.4g} ({point['from']})"
    if point["from"] == "site":
        rates = ", ".join(
            f"{name} {point[name]['value']:.3f} ({point[name]['low']:.3f} to {point[name]['high']:.3f})"
            for name in ("sensitivity", "specificity")
        )
        on = f"{point['data']}, {point['cases']} cases ({point['positives']} positive)"
        words += f", {point['rule']}, {on}: {rates}, {point['date']}"
    return words if point["in_use"] else f"{words}; not in use"


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="A model; all of them where none is named.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Data on which to measure the card's figures again.")
    ] = None,
    threads: Threads = 1,
    models: Models = None,
    json: Json = False,
) -> int:
    """Check weights against their cards, and figures against data where some are given.

    Example: coread models verify --json
    """
    if data is not None and name is None:
        raise InputError("data without a model", "the name of the model that they are for", "name it first")
    folder = site_folder(models)
    entries = site.site_entries(folder)
    names = [site.site_entry(name, folder).name] if name else list(entries)
    if data is not None and entries[names[0]].folder is not None:
        raise InputError(
            f"{name}, which was imported",
            "a model of the package, whose card names data that can be measured again",
            f"`coread models evaluate {name} --data {data}` measures it",
        )
    rows: list[dict[str, Any]] = []
    for each in names:
        if entries[each].missing:
            rows.append({"name": each, "weights": entries[each].standing()[1], "equal": True})
            continue
        try:
            size = site.check_weights(entries[each])
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
    data: Annotated[Path, typer.Option("--data", help="Labelled cases: a .npz file, a folder or a table.")],
    part: Annotated[
        str | None,
        typer.Option("--part", help="train, val or test of a .npz; test first where none is named."),
    ] = None,
    finding: Finding = None,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the figures as the model's validation here.")
    ] = False,
    faithfulness: Annotated[
        bool, typer.Option("--faithfulness", help="Also how faithful the model's heat maps are; takes long.")
    ] = False,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; an imported network.")] = "cpu",
    threads: Threads = 1,
    models: Models = None,
    json: Json = False,
    out: Out = None,
    force: Force = False,
) -> None:
    """Measure a model on labelled data, with 95 % intervals over patients.

    Example: coread models evaluate cxr_pneumonia --data pneumoniamnist.npz --json
    """
    if device not in get_args(Device):
        raise InputError(f"--device {device}", f"one of {', '.join(get_args(Device))}")
    folder = site_folder(models)
    entry = site.site_entry(name, folder)
    with contextlib.ExitStack() as kept:
        if out is not None:
            check_target(out, force=force)
            kept.enter_context(writing(out))  # before minutes of measuring
        result = site.evaluate(
            entry,
            data,
            finding=finding,
            part=_part(part),
            threads=threads,
            read=_read_file,
            device=cast("Device", device),
        )
        if faithfulness:
            figures, notes = site.map_figures(entry, data, finding=finding, part=_part(part), threads=threads)
            result = replace(result, metrics={**result.metrics, **figures}, notes=(*result.notes, *notes))
        document = evaluation_document(result)
        if out is not None:
            import json as encoder

            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(encoder.dumps(document, indent=2) + "\n", encoding="utf-8")
    if record:
        site.record_evaluation(name, folder, result, at=now())
        say(f"kept as the validation of {name} in {folder}")
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


def _part(part: str | None) -> Part | None:
    if part is not None and part not in get_args(Part):
        raise InputError(f"part {part!r}", f"one of {', '.join(get_args(Part))}")
    return cast("Part | None", part)


def _read_file(path: Path) -> Any:
    from coread.cli.train import read_file

    return read_file(path)


@app.command()
def threshold(
    name: Name,
    data: Annotated[
        Path | None, typer.Option("--data", help="Labelled cases of the site, as `evaluate` takes them.")
    ] = None,
    part: Annotated[str | None, typer.Option("--part", help="train, val or test of a .npz.")] = None,
    finding: Finding = None,
    sensitivity: Annotated[
        float | None, typer.Option("--sensitivity", help="At least this, at the best specificity.")
    ] = None,
    specificity: Annotated[
        float | None, typer.Option("--specificity", help="At least this, at the best sensitivity.")
    ] = None,
    value: Annotated[
        float | None, typer.Option("--value", help="This threshold; what it reaches is measured.")
    ] = None,
    card: Annotated[
        bool, typer.Option("--card", help="That of the card, which was chosen with these weights.")
    ] = False,
    threads: Threads = 1,
    models: Models = None,
    json: Json = False,
) -> None:
    """Choose a model's operating point on cases of the site; it belongs to the weights that are here now.

    Example: coread models threshold cxr_pneumonia --data films.npz --sensitivity 0.95
    """
    folder = site_folder(models)
    entry = site.site_entry(name, folder)
    if card == (data is not None):
        raise InputError(
            "data and --card" if card else "no data",
            "--data with cases of the site, or --card",
            "an operating point is not chosen without cases",
        )
    document: dict[str, Any] = {"schema": "coread-operating-point", "version": 1, "model": name}
    if data is None:
        points = site.take_card_threshold(name, folder, at=now())
        rows = [{"finding": f, "threshold": v, "from": "card", "in_use": True} for f, v in points.items()]
    else:
        found = site.score(entry, data, finding=finding, part=_part(part), threads=threads)
        rule = {"sensitivity": sensitivity, "specificity": specificity, "value": value}
        point = site.choose_threshold(name, folder, found, at=now(), **rule)
        rows = [{"finding": found.finding, "from": "site", "in_use": True, **asdict(point)}]
        for row, reason in found.left_out:
            say(f"left out: {row}, {reason}")
        if min(point.positives, point.cases - point.positives) < FEW:
            say(
                f"only {point.positives} positive and {point.cases - point.positives} negative cases: "
                "the intervals say how little is known"
            )
    document["operating_points"] = rows
    if json:
        print_json(document)
        return
    for told in rows:
        typer.echo(f"{name}: {point_words(told)}")
    say(f"{name}: {' '.join(site.site_entry(name, folder).standing())}")


@app.command()
def enable(name: Name, models: Models = None, json: Json = False) -> None:
    """Let a model run at this site with the weights that are here now.

    Refused for an imported model whose card has gaps, and where no operating point belongs to these weights.

    Example: coread models enable cxr_pneumonia
    """
    entry = site.enable(name, site_folder(models), at=now())
    _say_state(entry, json=json)


@app.command()
def disable(name: Name, models: Models = None, json: Json = False) -> None:
    """Let a model not run at this site; what it has found stays.

    Example: coread models disable lv_cine
    """
    entry = site.disable(name, site_folder(models), at=now())
    _say_state(entry, json=json)


def _say_state(entry: SiteEntry, *, json: bool) -> None:
    state, reason = entry.standing()
    if json:
        print_json(_row(entry) | {"operating_points": _points(entry)})
        return
    typer.echo(f"{entry.name}: {state}{f', {reason}' if reason else ''}; {validation_words(entry)}")


@app.command("import")
def import_outside(
    source: Annotated[Path, typer.Argument(help="Folder or file of the model.")],
    name: Annotated[str, typer.Option("--name", help="Of the model here.")],
    card: Annotated[
        Path | None, typer.Option("--card", help="Its card, a TOML file; one to fill is written without.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder in which the model's folder is made; the site's unless given."),
    ] = None,
    threads: Threads = 1,
    json: Json = False,
    force: Force = False,
) -> None:
    """Import a model from outside: MONAI bundle, nnU-Net, CheXNet, ONNX, TorchScript and others.

    It does not run before its card is complete and `coread models enable NAME` was said.

    Example: coread models import network.onnx --name brain --card brain.card.toml
    """
    folder = out or site_folder(None)
    if name in registry.MODELS:
        raise InputError(f"the name {name!r}", "one that no model of the package has", "choose another")
    with writing(folder / name):
        _import(source, name, card, folder, threads=threads, json=json, force=force)


def _import(
    source: Path, name: str, card: Path | None, folder: Path, *, threads: int, json: bool, force: bool
) -> None:
    if card is None:
        draft = import_draft(source, name=name, out=folder, force=force)
        said = {"name": name, "folder": str(draft.folder), "weights": draft.weights}
        if json:
            missing = {"missing": list(draft.missing)}
            print_json({"schema": "coread-models-import", "version": 1, **said, **missing})
            return
        typer.echo(f"{name}: {draft.folder}, weights {draft.weights}")
        say(f"fill {draft.folder / 'card.toml'}: it does not say {', '.join(draft.missing)}")
        return
    model = import_model(source, name=name, card=card, out=folder, force=force, threads=threads)
    document = {
        "schema": "coread-models-import",
        "version": 1,
        "name": model.name,
        "folder": str(folder / name),
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
    typer.echo(f"{model.name}: {folder / name}, weights {model.digest}, licence {model.card.licence}")
    if model.difference is not None:
        typer.echo(f"ONNX and original differ by {model.difference:.2g}")
    for note in model.notes:
        say(note)
    say(f"it does not run before `coread models enable {name}`")


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
        "threshold": result.threshold,
        "metrics": {
            name: {"value": e.value, "low": e.low, "high": e.high} for name, e in result.metrics.items()
        },
        "calibration_curve": [
            {"said": b.said, "seen": b.seen.value, "low": b.seen.low, "high": b.seen.high, "cases": b.cases}
            for b in result.curve
        ],
        "left_out": [{"row": row, "reason": reason} for row, reason in result.left_out],
        "notes": list(result.notes),
        "software": f"coread {version('coread')}",
    }
