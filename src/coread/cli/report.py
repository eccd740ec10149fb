"""`coread report`: structure and labels of report text, objects of it, and what reports ask for."""

from __future__ import annotations

import csv
import json as jsonlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from coread.cli.common import Force, Json, Out, Quiet, check_target, print_json, progress_bar, say
from coread.cli.settings import open_library
from coread.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Report text: structure, labels, follow-up.")
Source = Annotated[
    str, typer.Argument(help="Text, JSONL or CSV file, a folder of text files, or - for standard input.")
]
Lang = Annotated[str, typer.Option("--lang", help="auto, en, tr or another rule pack.")]
Lines = Annotated[bool, typer.Option("--jsonl", help="One JSON object a line for each report.")]
Column = Annotated[str, typer.Option("--column", help="Column or field that holds the text.")]
TEXT_FIELDS = ("text", "report", "sentence", "findings")


@app.callback()
def report() -> None:
    """Report text, by rules; nothing is sent or downloaded."""


@app.command()
def structure(
    source: Source,
    lang: Lang = "auto",
    jsonl: Lines = False,
    column: Column = "",
    out: Out = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    study: Annotated[
        Path | None, typer.Option("--study", help="Images of the study that one text is a report of.")
    ] = None,
    sr: Annotated[
        Path | None, typer.Option("--sr", help="Write its findings and sizes as SR, TID 1500.")
    ] = None,
    narrative: Annotated[
        Path | None, typer.Option("--narrative", help="Write its text as SR, TID 2000.")
    ] = None,
    fhir: Annotated[Path | None, typer.Option("--fhir", help="Write it as a FHIR R4 bundle.")] = None,
) -> None:
    """Find findings, measurements, recommendations and urgency in report text.

    A row of a table with a field `phrase` is also told what its sentence says of that phrase. With `--study`,
    one text is also written as DICOM SR or FHIR: preliminary, since nobody signs it here.

    Example: echo "No pneumothorax." | coread report structure - --json
    """
    from coread.language import structure as structured

    targets = {"report.sr.dcm": sr, "report.text.sr.dcm": narrative, "report.fhir.json": fhir}
    _write_objects(source, study, {n: t for n, t in targets.items() if t is not None}, lang, force=force)

    def one(row: dict[str, Any], text: str) -> dict[str, Any]:
        document = {**_kept(row), "text": text, **structured(text, lang).document()}
        if isinstance(row.get("phrase"), str):
            document["assertion"] = _asserted(text, row["phrase"], document["lang"])
        return document

    _run(source, one, column=column, out=out, force=force, lines=jsonl, json=json, quiet=quiet, show=_show)


@app.command()
def followup(
    library: Annotated[Path | None, typer.Option("--library", help="Folder of the library.")] = None,
    state: Annotated[
        str, typer.Option("--state", help="waiting, due, overdue or done; all unless given.")
    ] = "",
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="Read all signed reports again first, older ones too."),
    ] = False,
    json: Json = False,
) -> None:
    """List what signed reports ask for: the overdue first, each closed by the next examination that fits.

    Example: coread report followup --library LIBRARY --state overdue
    """
    from coread.workflow import follow_up

    states = ("waiting", "due", "overdue", "done")
    if state and state not in states:
        raise typer.BadParameter(f"no state {state}: one of {', '.join(states)}")
    with open_library(library) as store:
        if rebuild:
            say(f"{follow_up.rebuild(store)} signed reports read")
        found = [t for t in follow_up.tracked_by_all(store, store.now().date()) if state in ("", t.state)]
    if json:
        print_json({"schema": "coread-follow-up", "version": 1, "tasks": [_task(t) for t in found]})
        return
    for one in found:
        when = (
            f"{one.row.asked.earliest} to {one.row.asked.latest}" if one.row.asked.latest else "no time said"
        )
        typer.echo(f"{one.state}: {one.row.asked.what}, {when}, study {one.row.study}")
    if not found:
        typer.echo("nothing is asked for")


def _task(one: Any) -> dict[str, Any]:
    asked = one.row.asked
    return {
        "study": one.row.study,
        "reader": one.row.reader,
        "what": asked.what,
        "asked_on": asked.asked_on,
        "earliest": asked.earliest,
        "latest": asked.latest,
        "state": one.state,
        "done_by": one.done_by,
        "done_on": one.done_on,
        "closed_by": one.row.closed_by,
        "closed_why": one.row.closed_why,
    }


@app.command()
def labels(
    source: Source,
    lang: Lang = "auto",
    jsonl: Lines = False,
    column: Column = "",
    out: Out = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Give the fourteen labels of chest radiographs.

    Example: echo "Cardiomegaly." | coread report labels - --json
    """
    from coread.language.labels import labels as labelled

    def one(row: dict[str, Any], text: str) -> dict[str, Any]:
        said = labelled(text, lang)
        return {**_kept(row), "labels": {name: int(value) for name, value in said.items()}}

    def show(document: dict[str, Any]) -> str:
        return ", ".join(name for name, value in document["labels"].items() if value) or "none"

    _run(source, one, column=column, out=out, force=force, lines=jsonl, json=json, quiet=quiet, show=show)


def _write_objects(
    source: str, study: Path | None, targets: dict[str, Path], lang: str, *, force: bool
) -> None:
    """Write one text as objects of a study."""
    if not targets:
        return
    if study is None:
        raise typer.BadParameter("DICOM and FHIR need the study: name one of its images with --study")
    if lang not in ("auto", "en", "tr"):
        raise typer.BadParameter(f"reports are written in en and tr, not in {lang}")
    path = Path(source)
    if source == "-" or path.is_dir() or path.suffix.lower() in (".csv", ".jsonl", ".ndjson"):
        raise typer.BadParameter("DICOM and FHIR are written of one text file")
    for target in targets.values():
        check_target(target, force=force)
    from coread.workflow.read import open_study

    language = cast(Literal["auto", "en", "tr"], lang)
    files = open_study(study).report_text(_read(path), source=path.name, language=language)
    for name, target in targets.items():
        if name not in files:
            raise InputError(f"no {name} could be made", "a study whose headers can be used", "see its files")
        target.write_bytes(files[name])
        say(f"written to {target}")


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    return {key: row[key] for key in ("id", "file", "filename", "phrase") if key in row}


def _asserted(text: str, phrase: str, language: str) -> dict[str, Any]:
    """Return what the text says of the first place of a phrase; runs of spaces and capitals do not matter."""
    import re

    from coread.language import assert_phrase

    match = re.search(r"\s+".join(map(re.escape, phrase.split())), text, re.IGNORECASE)
    if match is None or not match.group():
        return {
            "negation": "Affirmed",
            "temporality": "Recent",
            "experiencer": "Patient",
            "found": False,
            "cues": [],
        }
    said = assert_phrase(text, *match.span(), language=language)
    return {
        "negation": "Negated" if said.negated else "Affirmed",
        "temporality": "Historical" if said.historical else "Recent",
        "experiencer": "Family member" if said.other_person else "Patient",
        "status": said.status,
        "found": True,
        "cues": [{"text": c.text, "start": c.start, "end": c.end, "role": c.role} for c in said.cues],
    }


def _rows(source: str, column: str) -> tuple[bool, list[dict[str, Any]]]:
    """Return whether the source is a table of several reports, and its rows."""
    if source == "-":
        content = sys.stdin.read()
        lines = [line for line in content.splitlines() if line.strip()]
        if lines and all(line.lstrip().startswith("{") for line in lines):
            return True, [_object(line, number) for number, line in enumerate(lines, 1)]
        return False, [{"text": content}]
    path = Path(source)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*.txt") if p.is_file())
        if not files:
            raise InputError(
                f"{path} has no text files", "expected files ending in .txt", "name another folder"
            )
        return True, [{"file": str(p.relative_to(path)), "text": _read(p)} for p in files]
    content = _read(path)
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        rows = [_object(line, n) for n, line in enumerate(content.splitlines(), 1) if line.strip()]
        return True, rows
    if path.suffix.lower() == ".csv":
        return True, [dict(row) for row in csv.DictReader(content.splitlines())]
    return False, [{"text": content}]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}", "expected a file, a folder or -", "check the name") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8", "expected text in UTF-8", "convert it first") from error


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        row = jsonlib.loads(line)
    except ValueError as error:
        raise InputError(f"line {number} is no JSON", "expected one object a line", str(error)) from error
    if not isinstance(row, dict):
        raise InputError(f"line {number} is {type(row).__name__}", "expected a JSON object a line")
    return row


def _text(row: dict[str, Any], column: str) -> str:
    for name in (column,) if column else TEXT_FIELDS:
        if isinstance(row.get(name), str):
            return str(row[name])
    raise InputError(
        f"a row has the fields {', '.join(map(str, row)) or 'none'}",
        f"expected the text in {column or ' or '.join(TEXT_FIELDS)}",
        "name the field with --column",
    )


def _run(
    source: str,
    one: Any,
    *,
    column: str,
    out: Path | None,
    force: bool,
    lines: bool,
    json: bool,
    quiet: bool,
    show: Any,
) -> None:
    if out is not None:
        check_target(out, force=force)
    many, rows = _rows(source, column)
    documents = _documents(rows, one, column=column, quiet=quiet or not many)
    if out is not None or lines or (many and not json):
        text = "".join(jsonlib.dumps(document, ensure_ascii=False) + "\n" for document in documents)
        if out is None:
            sys.stdout.write(text)
        else:
            out.write_text(text, encoding="utf-8")
            say(f"{len(rows)} reports written to {out}", quiet=quiet)
        return
    if json:
        print_json(
            {"schema": "coread-reports", "version": 1, "reports": list(documents)}
            if many
            else next(documents)
        )
        return
    for document in documents:
        typer.echo(show(document))


def _documents(rows: list[dict[str, Any]], one: Any, *, column: str, quiet: bool) -> Iterator[dict[str, Any]]:
    with progress_bar(quiet=quiet) as progress:
        for number, row in enumerate(rows):
            yield one(row, _text(row, column))
            if number % 200 == 199:
                progress((number + 1) / len(rows), "reading reports")


def _show(document: dict[str, Any]) -> str:
    lines = []
    for finding in document["findings"]:
        words = [
            finding["status"],
            finding["finding"],
            finding["laterality"],
            finding["location"],
            finding["change"],
        ]
        cues = "; ".join(f"{cue['text']!r} ({cue['role']})" for cue in finding["cues"])
        lines.append(f"{', '.join(word for word in words if word)}    by {cues}")
    for measurement in document["measurements"]:
        prior = measurement["prior_mm"]
        size = " x ".join(map(str, measurement["values_mm"]))
        before = "" if prior is None else f", prior {' x '.join(map(str, prior))} mm"
        lines.append(f"{measurement['of'] or 'size'}: {size} mm{before}")
    for asked in document["recommendations"]:
        when = (
            "" if asked["min_months"] is None else f" in {asked['min_months']}-{asked['max_months']} months"
        )
        lines.append(f"recommended: {asked['what']}{when}")
    if document["critical"] is not None:
        told = "documented" if document["communication_documented"] else "not documented"
        lines.append(f"urgent: category {document['critical']}, communication {told}")
    return "\n".join(lines) or "nothing found"
