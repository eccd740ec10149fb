"""`coread doctor`: is this installation fit for work?"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from coread.cli.common import Exit, Json, print_json
from coread.cli.settings import Settings, load
from coread.errors import CoreadError

app = typer.Typer(add_completion=False)


@app.command()
def doctor(
    library: Annotated[Path | None, typer.Option("--library", help="Folder of the library.")] = None,
    json: Json = False,
) -> None:
    """Check Python, packages, analyzers, the site's models, the page, the library and its audit chain.

    Ends with 1 when something is not as it should be.

    Example: coread doctor
    """
    settings = load(options={"library": library}).settings
    checks: dict[str, Callable[[Settings], str]] = {
        "python": _python,
        "packages": _packages,
        "analyzers": _analyzers,
        "models": _models,
        "reading page": _page,
        "library": _library,
    }
    rows = []
    for name, check in checks.items():
        try:
            rows.append({"check": name, "fine": True, "words": check(settings)})
        except (CoreadError, ImportError, OSError) as error:
            rows.append({"check": name, "fine": False, "words": str(error)})
    if json:
        print_json({"checks": rows})
    else:
        for row in rows:
            typer.echo(f"{'ok  ' if row['fine'] else 'FAIL'}  {row['check']:14} {row['words']}")
    if not all(row["fine"] for row in rows):
        raise typer.Exit(Exit.NO)


def _python(_: Settings) -> str:
    return f"{sys.version.split()[0]} on {platform.system()} {platform.machine()}"


def _packages(_: Settings) -> str:
    import imagecodecs
    import numpy as np
    import onnxruntime
    import pydicom

    versions = {m.__name__: m.__version__ for m in (np, pydicom, imagecodecs, onnxruntime)}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _analyzers(_: Settings) -> str:
    from coread.workflow.analyzers import discover

    found = discover()
    for registered in found:
        registered.load()
    return ", ".join(f"{r.name} {r.card.version}" for r in found) or "none"


def _models(settings: Settings) -> str:
    from coread.errors import DataError
    from coread.workflow.models import site_entries

    found = [(name, *entry.standing()) for name, entry in site_entries(settings.models).items()]
    refused = [f"{name}: {why}" for name, state, why in found if state == "refused"]
    if refused:
        raise DataError(
            "; ".join(refused), "weights that the site has decided about", "see `coread models list`"
        )
    off = [name for name, state, _ in found if state == "off"]
    return f"{len(found) - len(off)} on" + (f", off: {', '.join(off)}" if off else "")


def _page(_: Settings) -> str:
    from importlib import resources

    page = resources.files("coread.server") / "static" / "index.html"
    if not page.is_file():
        raise FileNotFoundError("the reading page is not built; install CoRead again from its wheel")
    return "built"


def _library(settings: Settings) -> str:
    from coread.errors import DataError
    from coread.storage import Library

    if not settings.library.exists() and not settings.database:
        return f"none yet at {settings.library}"
    with Library.open(settings.library, url=settings.database or None) as store:
        objects, audit = store.check(), store.audit.verify()
    if objects.missing or not audit.intact:
        raise DataError(
            f"{len(objects.missing)} objects are missing; {len(audit.problems)} problems in the audit log",
            "a whole library",
            "restore it from a backup; `coread audit verify` tells more",
        )
    return f"whole at {settings.library}, {audit.count} audit entries"
