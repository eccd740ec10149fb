"""Settings: one file, environment above it, options above both; read once and handed down."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import platformdirs

from coread.errors import InputError

if TYPE_CHECKING:
    from coread.storage import Library


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a site can set.

    Attributes:
        library: Folder of the library: database, objects, logs.
        models: Folder of the site's models: imported ones, and ``site.json`` with what runs at which
            threshold.
        database: SQLAlchemy address of a PostgreSQL database; empty for SQLite in the library.
        host: Address to listen on.
        port: Port to listen on.
        reader: Identifier of the local reader.
        reader_name: Name shown on the page.
        language: ``en`` or ``tr``.
        jobs: Local worker processes.
        readers: Further readers of this machine, identifier to name (a table in the file).
        foreign_objects: Whether SR, SEG and other objects that came with a study are ``hidden`` until the
            first read is committed, or ``shown``.
    """

    library: Path = Path(platformdirs.user_data_dir("coread", appauthor=False))
    models: Path = Path(platformdirs.user_data_dir("coread", appauthor=False)) / "models"
    database: str = ""
    host: str = "127.0.0.1"
    port: int = 8765
    reader: str = "local"
    reader_name: str = "Local reader"
    language: Literal["en", "tr"] = "en"
    jobs: int = 1
    readers: Mapping[str, str] = field(default_factory=dict)
    foreign_objects: Literal["hidden", "shown"] = "hidden"


@dataclass(frozen=True, slots=True)
class Sourced:
    """Settings and where each value comes from."""

    settings: Settings
    sources: Mapping[str, str]


def default_file() -> Path:
    """Return where the settings file lies unless another is named."""
    return Path(platformdirs.user_config_dir("coread", appauthor=False)) / "coread.toml"


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Sourced:
    """Return settings from the file, the environment (``COREAD_PORT`` ...) and options, each above the last.

    Raises:
        InputError: A name that is no setting, or a value that is not of its kind.
    """
    path = file or default_file()
    if file is not None and not file.is_file():
        raise InputError(
            f"no settings file at {file}", "expected a TOML file", "leave --config out, or write it"
        )
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    sources = {f.name: "default" for f in fields(Settings)}
    for name, value in _read(path).items():
        _take(values, sources, name, value, f"file {path}")
    for name in sources:
        if f"COREAD_{name.upper()}" in environment:
            variable = f"COREAD_{name.upper()}"
            _take(values, sources, name, environment[variable], f"environment {variable}")
    for name, value in (options or {}).items():
        if value is not None:
            _take(values, sources, name, value, "option")
    return Sourced(Settings(**values), sources)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} can't be read: {error}", "expected TOML", "mend the file") from error


def _take(values: dict[str, Any], sources: dict[str, str], name: str, value: Any, source: str) -> None:
    if name not in sources:
        raise InputError(f"{source}: no setting {name!r}", f"settings are {', '.join(sources)}")
    try:
        values[name] = _convert(name, value)
    except ValueError as error:
        raise InputError(f"{source}: {name} can't be {value!r}", str(error)) from error
    sources[name] = source


def _convert(name: str, value: Any) -> Any:
    match name:
        case "library" | "models":
            return Path(value).expanduser()
        case "port" | "jobs":
            number = int(value)
            if not (0 if name == "port" else 1) <= number <= 65535:
                raise ValueError("expected a whole number in its range")
            return number
        case "readers":
            if not isinstance(value, Mapping) or not all(isinstance(n, str) for n in value.values()):
                raise ValueError("expected a table of identifiers and names in the settings file")
            return dict(value)
        case "language" | "foreign_objects":
            allowed = ("en", "tr") if name == "language" else ("hidden", "shown")
            if value not in allowed:
                raise ValueError(f"expected one of {', '.join(allowed)}")
    return str(value)


def open_library(folder: Path | None) -> Library:
    """Return the library of the settings; looking at one that is not there makes none.

    Raises:
        InputError: There is none.
    """
    from coread.storage import Library

    settings = load(options={"library": folder}).settings
    if not settings.database and not (settings.library / "coread.db").is_file():
        raise InputError(
            f"no library at {settings.library}", "the folder of a library", "name it with --library"
        )
    return Library.open(settings.library, url=settings.database or None)
