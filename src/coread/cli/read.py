"""`coread read`: studies from files or folders, results into a folder."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from coread.cli.common import (
    Exit,
    Force,
    Json,
    Models,
    Quiet,
    Verbose,
    check_target,
    print_json,
    progress_bar,
    say,
    setup,
)
from coread.cli.settings import load
from coread.errors import InputError

app = typer.Typer(add_completion=False)


@app.command()
def read(
    inputs: Annotated[list[Path], typer.Argument(help="Files, folders or zip archives.")],
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write to.")] = None,
    library: Annotated[
        Path | None, typer.Option("--library", help="Keep the library here, for `coread serve --library`.")
    ] = None,
    formats: Annotated[
        str,
        typer.Option("--formats", help="Of sr,seg,map,fhir,html,pdf,rtstruct,stl,glb; comma between."),
    ] = "sr,seg,map,fhir,html",
    models: Models = None,
    force: Force = False,
    json_: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Read studies and write what was found, with what became of every file.

    OUT gets summary.json and one folder a study with DICOM SR, SEG and maps, a FHIR bundle and a report.
    Runs what the site has enabled, at the site's thresholds (`coread models`). Ends with 1 when files were
    refused or kept aside; each is listed with its reason.

    Example: coread read STUDIES --out results
    """
    setup(verbose=verbose)
    if out is None and library is None and not json_:
        raise InputError("nothing to write to", "expected --out, --library or --json", "add one of them")
    if out is not None:
        check_target(out, force=force)
    site = load(options={"models": models}).settings.models
    with _library(library) as store, progress_bar(quiet=quiet) as progress:
        wanted = tuple(f.strip() for f in formats.split(",") if f.strip())
        summary = _read(store, inputs, out, wanted, site, progress)
    if out is not None:
        text = json.dumps(summary, ensure_ascii=False, indent=2)
        (out / "summary.json").write_text(text + "\n", encoding="utf-8")
    if json_:
        print_json(summary)
    else:
        _say_summary(summary, quiet=quiet)
    counts = summary["counts"]
    if counts["refused"] or counts["quarantined"]:
        raise typer.Exit(Exit.NO)


@contextlib.contextmanager
def _library(folder: Path | None) -> Iterator[Any]:
    from coread.storage import Library
    from coread.workflow.intake import temporary_library

    if folder is None:
        with temporary_library() as library:
            yield library
        return
    with Library.open(folder) as library:
        yield library


def _read(
    store: Any,
    inputs: list[Path],
    out: Path | None,
    formats: tuple[str, ...],
    models: Path,
    progress: Any,
) -> Any:
    from coread.workflow.analyzers import site_analyzers
    from coread.workflow.export import check_formats, export_results
    from coread.workflow.intake import ingest
    from coread.workflow.process import process_study
    from coread.workflow.uploads import mark_late_images

    check_formats(formats)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    intake = ingest(store, inputs, progress=lambda f, words: progress(0.3 * f, f"taking in: {words}"))
    mark_late_images(store, intake)
    studies = []
    analyzers = site_analyzers(models)
    for number, study in enumerate(intake.studies):
        share = 0.7 / len(intake.studies)
        base = 0.3 + share * number

        def step(fraction: float, words: str, base: float = base, share: float = share) -> None:
            progress(base + share * fraction, words)

        outcomes = process_study(store, study, analyzers, progress=step)
        entry = _study_entry(store, study, outcomes)
        if out is not None and any(o.result is not None for o in outcomes):
            folder = out / _folder_name(study)
            folder.mkdir(exist_ok=True)
            files = export_results(store, study, outcomes, formats=formats)
            for name, content in files.items():
                (folder / name).write_bytes(content)
            entry["folder"], entry["exports"] = folder.name, sorted(files)
        studies.append(entry)
    progress(1.0, "done")
    return {"schema": "coread-summary", "version": 1, **intake.document(), "studies": studies}


def _folder_name(study: str) -> str:
    return re.sub(r"[^0-9.]", "_", study)


def _study_entry(store: Any, study: str, outcomes: Any) -> dict[str, Any]:
    row = store.instances.study(study)
    return {
        "study": study,
        "modalities": list(row.modalities),
        "description": row.description,
        "images": row.images,
        "analyzers": [
            {
                "name": o.name,
                "version": o.card.version,
                "operating_points": dict(o.provenance.settings),
                "state": "done" if o.result else "not applicable" if o.not_applicable else "failed",
                "words": o.not_applicable or o.failure or "",
                "findings": [_finding(f) for f in o.result.findings] if o.result else [],
                "measurements": [_measurement(m) for m in o.result.measurements] if o.result else [],
                "notes": [{"kind": n.kind, "code": n.code, "text": n.text} for n in o.result.notes]
                if o.result
                else [],
            }
            for o in outcomes
        ],
    }


def _finding(finding: Any) -> dict[str, Any]:
    probability = finding.probability
    return {
        "id": finding.id,
        "finding": finding.concept.meaning,
        "code": f"{finding.concept.scheme}:{finding.concept.value}",
        "status": finding.status,
        "probability": None if probability is None else probability.value,
        "threshold": None if probability is None else probability.threshold,
        "calibrated": None if probability is None else probability.calibrated,
        "measurements": [_measurement(m) for m in finding.measurements],
    }


def _measurement(m: Any) -> dict[str, Any]:
    return {
        "name": m.concept.meaning,
        "code": f"{m.concept.scheme}:{m.concept.value}",
        "value": m.quantity.value,
        "unit": m.quantity.unit,
        "low": m.interval.low if m.interval else None,
        "high": m.interval.high if m.interval else None,
        "site": m.site.meaning if m.site else None,
        "laterality": m.laterality.meaning if m.laterality else None,
        "flags": list(m.flags),
    }


def _say_summary(summary: dict[str, Any], *, quiet: bool) -> None:
    counts = summary["counts"]
    say(", ".join(f"{n} {role}" for role, n in counts.items()), quiet=quiet)
    for entry in summary["files"]:
        if entry["role"] in ("refused", "quarantined"):
            say(f"{entry['role']}: {entry['path']}: {entry['reason']}", quiet=quiet)
    for study in summary["studies"]:
        done = [a["name"] for a in study["analyzers"] if a["state"] == "done"]
        failed = [a["name"] for a in study["analyzers"] if a["state"] == "failed"]
        words = ", ".join(done) if done else "no analyzer applies"
        words += f"; failed: {', '.join(failed)}" if failed else ""
        say(f"study {study['study']} ({'/'.join(study['modalities'])}): {words}", quiet=quiet)
