"""`coread evaluate`: a table in, a report out."""

from __future__ import annotations

import hashlib
import json as jsonlib
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from coread.cli.common import Force, Json, Quiet, check_target, print_json, say
from coread.errors import InputError

Kind = Literal[
    "roc",
    "mrmc",
    "froc",
    "calibration",
    "utility",
    "survival",
    "agreement",
    "segmentation",
    "subgroup",
    "drift",
    "double-reading",
]
HELP: dict[Kind, tuple[str, str]] = {
    "roc": (
        "ROC curves of scores over the same cases",
        "roc scores.csv --out roc",
    ),
    "mrmc": (
        "Reader study: reader, modality, case, truth, rating",
        "mrmc readings.csv --out study",
    ),
    "froc": (
        "Free response: a table of marks, then one of truth",
        "froc marks.csv truth.csv --out froc",
    ),
    "calibration": (
        "Calibration of probabilities",
        "calibration risks.csv --out calibration",
    ),
    "utility": (
        "Decision curves",
        "utility risks.csv --out utility",
    ),
    "survival": (
        "Survival predictions: time, event, risk, S_<t>",
        "survival cox.csv --out cox",
    ),
    "agreement": (
        "Agreement: reader, case, rating",
        "agreement ratings.csv --out agreement",
    ),
    "segmentation": (
        "Masks: case, truth, mask (files)",
        "segmentation masks.csv --out masks",
    ),
    "subgroup": (
        "A score by subgroup",
        "subgroup scores.csv --group sex --score p --out sex",
    ),
    "drift": (
        "Windows against a reference",
        "drift log.csv --group month --reference 1 --out drift",
    ),
    "double-reading": (
        "AI in double reading",
        "double-reading calls.csv --out double",
    ),
}

app = typer.Typer(
    no_args_is_help=True, help="Evaluate: reader studies, calibration, subgroups, drift and more."
)


@app.callback()
def evaluate() -> None:
    """Answers against truth, with intervals, from a table."""


def _pairs(values: list[str]) -> dict[str, str]:
    found = {}
    for value in values:
        standard, sign, theirs = value.partition("=")
        if not sign or not standard or not theirs:
            raise typer.BadParameter(f"--column {value}: expected standard=theirs")
        found[standard] = theirs
    return found


def _study(kind: Kind, tables: list[Path], columns: dict[str, str], options: Any) -> Any:
    from coread.evaluation import studies
    from coread.evaluation.table_files import read_table

    expected = 2 if kind == "froc" else 1
    if len(tables) != expected:
        raise InputError(f"{len(tables)} tables", f"evaluate {kind} takes {expected}")
    frames = [read_table(path, columns if k == 0 else None) for k, path in enumerate(tables)]
    if kind == "segmentation":
        return studies.segmentation_study(frames[0], options, lambda name: _mask(tables[0].parent / name))
    run: dict[Kind, Callable[..., Any]] = {
        "roc": studies.roc_study,
        "mrmc": studies.mrmc_study,
        "froc": studies.froc_study_report,
        "calibration": studies.calibration_study,
        "utility": studies.utility_study,
        "survival": studies.survival_study,
        "agreement": studies.agreement_study,
        "subgroup": studies.subgroup_study,
        "drift": studies.drift_study,
        "double-reading": studies.double_reading_study,
    }
    return run[kind](*frames, options)


def _mask(path: Path) -> Any:
    from coread.core import Geometry, Mask
    from coread.interop.nifti import read_label_map

    found = read_label_map(path)
    if not isinstance(found.grid, Geometry):
        raise InputError(f"{path.name} has no geometry", "expected a mask on a grid in the patient")
    return Mask(found.values > 0, found.grid)


def _command(kind: Kind) -> None:
    @app.command(kind, help=f"{HELP[kind][0]}. Example: coread evaluate {HELP[kind][1]}")
    def run(
        tables: Annotated[
            list[Path], typer.Argument(exists=True, dir_okay=False, help="CSV, TSV or Parquet.")
        ],
        out: Annotated[Path | None, typer.Option("--out", help="Folder of the report.")] = None,
        column: Annotated[list[str] | None, typer.Option("--column", help="standard=theirs")] = None,
        score: Annotated[list[str] | None, typer.Option("--score", help="A column that predicts.")] = None,
        lower: Annotated[
            list[str] | None, typer.Option("--lower", help="A score that is low in disease.")
        ] = None,
        positive: Annotated[str | None, typer.Option("--positive", help="The word for diseased.")] = None,
        threshold: Annotated[
            float | None, typer.Option("--threshold", help="Scores at or above are called.")
        ] = None,
        prevalence: Annotated[float | None, typer.Option("--prevalence", help="For PPV and NPV.")] = None,
        horizon: Annotated[list[float] | None, typer.Option("--horizon", help="A time.")] = None,
        group: Annotated[str | None, typer.Option("--group", help="Column of subgroups or windows.")] = None,
        reference: Annotated[str | None, typer.Option("--reference", help="The reference window.")] = None,
        method: Annotated[str, typer.Option("--method", help="delong, jackknife or unbiased.")] = "delong",
        fixed: Annotated[str, typer.Option("--fixed", help="none, readers or cases.")] = "none",
        margin: Annotated[float, typer.Option("--margin", help="Of non-inferiority.")] = 0.05,
        tolerance_mm: Annotated[float, typer.Option("--tolerance-mm", help="Of the surface Dice.")] = 2.0,
        level: Annotated[float, typer.Option("--level", help="Of the intervals.")] = 0.95,
        force: Force = False,
        json: Json = False,
        quiet: Quiet = False,
    ) -> None:
        from coread.evaluation.studies import Options, html, metrics_block

        if method not in ("delong", "jackknife", "unbiased"):
            raise typer.BadParameter(f"--method {method}: expected delong, jackknife or unbiased")
        if fixed not in ("none", "readers", "cases"):
            raise typer.BadParameter(f"--fixed {fixed}: expected none, readers or cases")
        if out is None and not json:
            raise typer.BadParameter("expected --out FOLDER, or --json")
        if out is not None:
            check_target(out, force=force)
        options = Options(
            level=level,
            positive=positive,
            scores=tuple(score or ()),
            lower=tuple(lower or ()),
            threshold=threshold,
            prevalence=prevalence,
            horizon=tuple(horizon or ()),
            group=group,
            reference=reference,
            method=method,
            fixed=fixed,
            margin=margin,
            tolerance_mm=tolerance_mm,
        )
        columns = _pairs(column or [])
        report = _study(kind, tables, columns, options)
        now = datetime.now(UTC)
        provenance = {"software": f"coread {version('coread')}", "date": now.isoformat(timespec="seconds")}
        provenance |= {f"sha256 of {p.name}": hashlib.sha256(p.read_bytes()).hexdigest() for p in tables}
        provenance |= {name: repr(getattr(options, name)) for name in options.__slots__}
        provenance |= {f"column {k}": v for k, v in columns.items()}
        document = {
            "schema": "coread.evaluation",
            "version": 1,
            **report.document(),
            "provenance": provenance,
        }
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            text = jsonlib.dumps(document, ensure_ascii=False, indent=2, allow_nan=False)
            (out / "results.json").write_text(text + "\n", encoding="utf-8")
            (out / "report.html").write_text(html(report, provenance, level=level), encoding="utf-8")
            block = metrics_block(report, ", ".join(p.name for p in tables), now.date().isoformat())
            (out / "card.toml").write_text(block, encoding="utf-8")
            say(f"{report.title}: {out / 'report.html'}", quiet=quiet)
        if json:
            print_json(document)


for _kind in HELP:
    _command(_kind)
