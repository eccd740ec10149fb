"""Reading table files as people export them: any usual separator, encoding and decimal sign."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from coread.errors import DataError, InputError

SEPARATORS = "\t;,|"
MISSING = frozenset(
    ("na", "n/a", "#n/a", "nan", "<na>", "null", "none", "missing", ".", "-", "#div/0!", "#value!")
)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,?\d+(?:[eE][+-]?\d+)?")


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return a table with every value as text, so that the cases 1.1 and 1.10 stay two.

    The separator (comma, semicolon, tab, bar) is the commonest of the header line or the one that a first
    line ``sep=`` names. The text is UTF-8 or UTF-16 with or without a mark of byte order, or else Windows
    1252. Where another separator than the comma is used, a column of numbers with decimal commas gets
    points. Empty cells are missing, and so are words such as NA in a column of numbers. Empty lines keep
    their number.

    Args:
        path: ``.csv``, ``.tsv``, ``.txt``, each also ``.gz``, or ``.parquet``.
        columns: Standard name to the table's name.

    Raises:
        DataError: The file can't be read as a table, is empty, or a row has more cells than the header.
        InputError: A column that was named does not exist.
    """
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path).astype("string").astype(object)
            frame = frame.reset_index(drop=True)
        elif path.suffix.lower() in (".xlsx", ".xls", ".ods"):
            raise DataError(f"{path.name} is a workbook", "expected a text table", "save the sheet as CSV")
        else:
            frame = _read_text(path)
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path.name} can't be read: {error}", "expected a table with a header") from error
    if frame.empty:
        raise DataError(f"{path.name} has no rows", "expected a header and one row or more")
    return _renamed(frame, columns or {})


def _renamed(frame: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """Return the table with the columns that were named under their standard names only."""
    missing = [theirs for theirs in columns.values() if theirs not in frame.columns]
    if missing:
        raise InputError(f"no column {missing[0]!r}", f"the table has {', '.join(map(str, frame.columns))}")
    named = {standard: frame[theirs] for standard, theirs in columns.items()}
    gone = [c for c in set(columns.values()) | set(named) if c in frame.columns]
    return frame.drop(columns=gone).assign(**named)


def _read_text(path: Path) -> pd.DataFrame:
    data = path.read_bytes()
    lines = _decode(gzip.decompress(data) if path.suffix == ".gz" else data).lstrip("\r\n")
    separator = ""
    if lines[:4].lower() == "sep=":
        separator, lines = lines[4], lines.partition("\n")[2]
    separator = separator or _separator(lines.partition("\n")[0])
    rows = list(csv.reader(io.StringIO(lines, newline=""), delimiter=separator, skipinitialspace=True))
    if len(rows) < 2:
        raise DataError(f"{path.name} has no rows", "expected a header and one row or more")
    header, body = [name.strip() for name in rows[0]], rows[1:]
    body = _fit(path, header, body)
    twice = [name for name, count in Counter(filter(None, header)).items() if count > 1]
    if twice:
        raise DataError(f"{path.name} has two columns named {', '.join(twice)}", "expected names that differ")
    table = {}
    for k, (name, values) in enumerate(zip(header, zip(*body, strict=True), strict=True)):
        column = pd.Series([v.strip() or None for v in values], dtype=object)
        if name or column.notna().any():
            table[name or f"column {k + 1}"] = _tidy(column, decimal_comma=separator != ",")
    return pd.DataFrame(table).dropna(how="all")


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _separator(header: str) -> str:
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=bare.count) if any(s in bare for s in SEPARATORS) else ","


def _fit(path: Path, header: list[str], body: list[list[str]]) -> list[list[str]]:
    """Return rows as long as the header: no row names of R, no empty cells at the end, short ones filled."""
    n = len(header)
    filled = [row for row in body if any(cell.strip() for cell in row)]
    if filled and all(len(row) == n + 1 and row[-1].strip() for row in filled):
        body = [row[1:] for row in body]  # a name for each row, without a header: write.table of R
    for number, row in enumerate(body, start=1):
        if any(cell.strip() for cell in row[n:]):
            raise DataError(
                f"{path.name}: row {number} has {len(row)} cells",
                f"expected {n}, as the header has",
                "put text with separators into quotes",
            )
    return [(row + [""] * n)[:n] for row in body]


def _tidy(column: pd.Series[str], *, decimal_comma: bool) -> pd.Series[str]:
    """Return a column of numbers with points and without words for missing; other columns as they are."""
    gone = column.isna() | column.str.lower().isin(MISSING)
    rest = column[~gone]
    if rest.empty:
        return column.where(~gone, None)
    commas = decimal_comma and bool(rest.str.contains(",", regex=False).any())
    if commas and rest.map(_DECIMAL_COMMA.fullmatch).notna().all():
        return column.where(~gone, None).str.replace(",", ".", regex=False)
    return column.where(~gone, None) if pd.to_numeric(rest, errors="coerce").notna().all() else column
