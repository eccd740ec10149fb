"""`coread radiomics`: features of regions, conformance, stability, maps."""

from __future__ import annotations

import json as documents
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from coread.cli.common import (
    Exit,
    Force,
    Jobs,
    Json,
    Out,
    Quiet,
    Verbose,
    check_target,
    print_json,
    progress_bar,
    say,
    setup,
)
from coread.errors import InputError

app = typer.Typer(no_args_is_help=True, help="Radiomics: extract, verify, stability, map.")
SettingsOption = Annotated[
    str, typer.Option("--settings", help="Preset by name, or a TOML file.", metavar="NAME|FILE")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="A single value on top.", metavar="KEY=VALUE")
]
ImageArgument = Annotated[Path, typer.Argument(help="NIfTI, NRRD or DICOM: file, folder or zip.")]
SeriesOption = Annotated[str | None, typer.Option("--series", help="DICOM series, where there are several.")]


@app.callback()
def radiomics() -> None:
    """IBSI features of regions of an image."""


def _settings(name: str, changes: list[str] | None) -> Any:
    from coread.quant.radiomics import PRESETS, Settings

    path = Path(name)
    if name in PRESETS:
        table: dict[str, Any] = {"preset": name, "name": name}
    elif path.is_file():
        table = {"preset": "ct-default", **Settings.from_toml(path).to_table()}
    else:
        raise InputError(
            f"no settings {name!r}", f"expected a TOML file or one of {', '.join(PRESETS)}", "choose one"
        )
    for change in changes or []:
        key, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"--set {change}", "expected KEY=VALUE", "write the two with an equals sign")
        try:
            table[key] = documents.loads(value)
        except documents.JSONDecodeError:
            table[key] = value
    return Settings.from_table(table)


@app.command()
def extract(
    image: Annotated[Path | None, typer.Argument(help="NIfTI, NRRD or DICOM: file, folder or zip.")] = None,
    masks: Annotated[
        list[Path] | None,
        typer.Argument(help="Label maps, SEG or RTSTRUCT; those beside the DICOM images unless given."),
    ] = None,
    settings: SettingsOption = "ct-default",
    change: SetOption = None,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print what would be used, as TOML.")
    ] = False,
    out: Out = None,
    wide: Annotated[bool, typer.Option("--wide", help="One row a region, one column a feature.")] = False,
    cases: Annotated[
        Path | None, typer.Option("--cases", help="CSV with columns case, image, mask instead of IMAGE.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a batch was stopped.")] = False,
    sr: Annotated[
        Path | None, typer.Option("--sr", help="Folder for SR (TID 1500) and SEG of DICOM images.")
    ] = None,
    series: SeriesOption = None,
    jobs: Jobs = 1,
    json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Measure regions: IMAGE and MASK, or a CSV of --cases.

    Example: coread radiomics extract ct.nii.gz tumour.nii.gz --settings ct-default --out features.csv
    """
    setup(verbose=verbose)
    wanted = _settings(settings, change)
    if show_settings:
        typer.echo(wanted.to_toml(), nl=False)
        return
    if (image is None) == (cases is None):
        raise typer.BadParameter("give IMAGE (and MASK), or --cases with a CSV")
    if out is None and not json:
        raise typer.BadParameter("say where to write: --out features.csv, .parquet or .json, or --json")
    if out is not None and out.suffix.lower() not in (".csv", ".parquet", ".json"):
        raise InputError(f"{out.name}", "expected .csv, .parquet or .json", "choose such a name")
    if out is not None:
        check_target(out, force=force)
    if cases is not None:
        _batch(cases, wanted, out, as_wide=wide, jobs=jobs, resume=resume, as_json=json, quiet=quiet)
        return
    from coread.workflow import radiomics as work

    assert image is not None  # one of the two is given
    with progress_bar(quiet=quiet) as progress:
        result, loaded = work.extract_case(
            image, masks or [], wanted, series=series, jobs=jobs, progress=progress
        )
    at = datetime.now(UTC)
    document = {
        "time": at.isoformat(),
        "documents": list(result.provenance),
    }
    frame = result.table.wide() if wide else result.table.frame()
    if out is not None:
        work.write_table(frame, out)
        beside = out.with_name(f"{out.name}.provenance.json")
        beside.write_text(documents.dumps(document, indent=1), encoding="utf-8")
    if sr is not None:
        check_target(sr, force=force)
        made = work.feature_report(
            result,
            loaded,
            version=version("coread"),
            at=at,
            new_uid=_new_uid(),
        )
        sr.mkdir(parents=True, exist_ok=True)
        for name, dataset in made.items():
            dataset.save_as(sr / f"radiomics.{name}.dcm", enforce_file_format=True)
    if json:
        print_json({"features": documents.loads(frame.to_json(orient="records")), "provenance": document})
    for label, notes in result.table.notes.items():
        for note in notes:
            say(f"{label}: {note}", quiet=quiet)
    missing = sum(item.value is None for item in result.table)
    say(
        f"{len(result.table)} features of {len(result.table.labels)} regions, {missing} without a value",
        quiet=quiet,
    )


def _batch(
    cases: Path,
    settings: Any,
    out: Path | None,
    *,
    as_wide: bool,
    jobs: int,
    resume: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    from coread.workflow import radiomics as work
    from coread.workflow import radiomics_batch as batch

    listed = batch.read_cases(cases)
    parts = (out or cases).with_name(f"{(out or cases).name}.parts")
    with progress_bar(quiet=quiet) as progress:
        try:
            result = batch.extract_batch(listed, settings, parts, jobs=jobs, resume=resume, progress=progress)
        except KeyboardInterrupt:
            say(f"stopped; the finished cases are kept in {parts}; go on with --resume")
            raise typer.Exit(Exit.CANCELLED) from None
    frame = work.wide(result.frame) if as_wide and len(result.frame) else result.frame
    if out is not None:
        work.write_table(frame, out)
    if as_json:
        print_json(
            {
                "features": documents.loads(frame.to_json(orient="records")),
                "refused": [{"case": name, "reason": reason} for name, reason in result.refused],
            }
        )
    measured = len(listed) - len(result.refused)
    say(f"{measured} of {len(listed)} cases measured, {result.resumed} taken up", quiet=quiet)
    for name, reason in result.refused:
        say(f"{name}: {reason}")
    if result.refused:
        raise typer.Exit(Exit.NO)


@app.command()
def verify(
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of IBSI data: ibsi1, ibsi2, nc_ct_phantom.")
    ] = None,
    out: Out = None,
    json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Run the IBSI phantoms on this machine and print how many reference values are reached.

    Example: coread radiomics verify
    """
    from coread.workflow import radiomics_checks as work

    if out is not None:
        if out.suffix.lower() not in (".md", ".csv", ".json"):
            raise InputError(f"{out.name}", "expected .md, .csv or .json", "choose such a name")
        check_target(out, force=force)
    with progress_bar(quiet=quiet) as progress:
        checks = work.run_checks(data, progress=progress)
    rows = [
        {
            "suite": c.suite,
            "value": c.tag,
            "aggregation": c.aggregation,
            "computed": c.computed,
            "reference": c.reference,
            "tolerance": c.tolerance,
            "reached": c.passed,
        }
        for c in checks
    ]
    if out is not None and out.suffix.lower() == ".md":
        out.write_text(work.as_markdown(checks, _machine()), encoding="utf-8")
    elif out is not None:
        import pandas as pd

        from coread.workflow.radiomics import write_table

        write_table(pd.DataFrame(rows), out)
    found = work.summary(checks)
    missed = [c for c in checks if not c.passed]
    if json:
        print_json({"suites": {n: {"reached": g, "of": t} for n, (g, t) in found.items()}, "checks": rows})
    else:
        for name, (good, total) in found.items():
            typer.echo(f"{name:28} {good:5} of {total:5}")
        for check in missed:
            typer.echo(
                f"not reached: {check.suite} {check.tag} {check.aggregation} "
                f"computed {check.computed}, reference {check.reference:g} ± {check.tolerance:g}"
            )
    if missed:
        raise typer.Exit(Exit.NO)


@app.command()
def stability(
    cases: Annotated[
        Path, typer.Argument(help="CSV: case, image, mask; with repeat for a test-retest study.")
    ],
    settings: SettingsOption = "ct-default",
    change: SetOption = None,
    out: Out = None,
    threshold: Annotated[
        float, typer.Option("--threshold", help="Stable from this lower limit of ICC(1,1) on.")
    ] = 0.75,
    redundant: Annotated[
        float, typer.Option("--redundant", help="Correlation from which features are redundant.")
    ] = 0.9,
    seed: Annotated[int, typer.Option("--seed", help="Of noise and contours.")] = 0,
    jobs: Jobs = 1,
    json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Perturb images and regions (or take repeats) and tell which features are stable.

    Writes to the folder --out: stability.csv, features.parquet, stable_features.txt, stability.png.

    Example: coread radiomics stability cases.csv --settings ct-default --out stability
    """
    import csv

    from coread.quant.radiomics.perturbation import STANDARD
    from coread.quant.radiomics.stability import stability_table
    from coread.workflow import radiomics_stability as work
    from coread.workflow.radiomics_batch import read_cases

    setup(verbose=verbose)
    wanted = _settings(settings, change)
    if out is None and not json:
        raise typer.BadParameter("say where to write: --out FOLDER, or --json")
    if out is not None:
        check_target(out, force=force)
    try:
        with cases.open(newline="", encoding="utf-8-sig") as stream:
            retest = "repeat" in next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{cases.name} can't be read: {error}", "expected a CSV of cases") from error
    with progress_bar(quiet=quiet) as progress:
        if retest:
            frame = work.retest_features(cases, wanted, progress=progress)
        else:
            frame = work.perturbed_features(
                read_cases(cases), wanted, changes=STANDARD, seed=seed, jobs=jobs, progress=progress
            )
    table = stability_table(frame, threshold=threshold, limit=redundant)
    kept = list(table.loc[table["kept"], "feature"])
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / "stability.csv", index=False)
        frame.to_parquet(out / "features.parquet", index=False)
        (out / "stable_features.txt").write_text("".join(f"{n}\n" for n in kept), encoding="utf-8")
        work.stability_plot(table, out / "stability.png")
    if json:
        print_json({"features": documents.loads(table.to_json(orient="records")), "stable_features": kept})
    say(
        f"{int(table['stable'].sum())} of {len(table)} features stable, {len(kept)} after redundancy",
        quiet=quiet,
    )


@app.command("map")
def feature_map(
    image: ImageArgument,
    masks: Annotated[list[Path], typer.Argument(help="Label map, SEG or RTSTRUCT.")],
    feature: Annotated[
        list[str], typer.Option("--feature", help="Tag, such as cm_contrast or stat_mean; several times.")
    ],
    settings: SettingsOption = "ct-default",
    change: SetOption = None,
    radius: Annotated[int, typer.Option("--radius", min=1, help="Radius of the window in voxels.")] = 1,
    out: Out = None,
    series: SeriesOption = None,
    force: Force = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Map features over a region: every voxel measured in the window around it.

    Writes to the folder --out one NIfTI for each feature and region, for DICOM a Parametric Map as well.

    Example: coread radiomics map ct.nii.gz tumour.nii.gz --feature cm_contrast --out maps
    """
    from coread.workflow import radiomics as work

    setup(verbose=verbose)
    wanted = _settings(settings, change)
    if out is None:
        raise typer.BadParameter("say where to write: --out FOLDER")
    check_target(out, force=force)
    with progress_bar(quiet=quiet) as progress:
        written = work.write_maps(
            image,
            masks,
            wanted,
            feature,
            out,
            radius=radius,
            series=series,
            version=version("coread"),
            at=datetime.now(UTC),
            new_uid=_new_uid(),
            progress=progress,
        )
    say(f"{len(written)} files in {out}", quiet=quiet)


def _new_uid() -> Callable[[], str]:
    import numpy as np

    from coread.interop.authorship import uid_generator

    return uid_generator(np.random.default_rng())


def _machine() -> str:
    import platform

    import numba
    import numpy as np

    return (
        f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}, "
        f"NumPy {np.__version__}, Numba {numba.__version__}"
    )
