"""Tables as they come: identifiers as text, other people's column names, known layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coread.errors import DataError, InputError

POSITIVE = {"1", "1.0", "true", "yes", "positive", "diseased", "malignant", "abnormal", "poor"}
NEGATIVE = {"0", "0.0", "false", "no", "negative", "healthy", "benign", "normal", "good"}
STANDARD: Mapping[str, tuple[str, ...]] = {
    "reader": ("readerID", "rater"),
    "modality": ("modalityID", "treatment", "test"),
    "case": ("caseID", "image", "patientid", "row"),
    "truth": ("label", "outcome", "cancer", "y", "diseased"),
    "rating": ("score",),
    "time": ("ttcancer", "time_months", "os_days"),
    "event": ("status", "cancer", "dead"),
    "risk": ("lp", "score"),
}


@dataclass(frozen=True, slots=True)
class Layout:
    """A published table whose columns have names of their own.

    Attributes:
        needs: Columns by which it is known.
        scores: Columns that predict.
    """

    needs: frozenset[str]
    scores: tuple[str, ...] = field(default=())


LAYOUTS = (
    Layout(frozenset({"gos6", "outcome", "wfns", "s100b", "ndka"}), ("s100b", "ndka", "wfns")),
    Layout(frozenset({"famhistory", "cancerpredmarker", "cancer"}), ("famhistory", "cancerpredmarker")),
)


def read_table(path: Path, columns: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return a table with every value as text, so that the cases 1.1 and 1.10 stay two.

    Args:
        path: ``.csv``, ``.csv.gz``, ``.tsv`` or ``.parquet``.
        columns: Standard name to the table's name.

    Raises:
        DataError: The file can't be read as a table or is empty.
        InputError: A column that was named does not exist.
    """
    try:
        if path.suffix == ".parquet":
            frame = pd.read_parquet(path).astype("string").astype(object)
        else:
            separator = "\t" if ".tsv" in path.suffixes else ","
            frame = pd.read_csv(path, dtype=str, sep=separator, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{path.name} can't be read: {error}", "expected a table with a header") from error
    if frame.empty:
        raise DataError(f"{path.name} has no rows", "expected a header and one row or more")
    for standard, theirs in (columns or {}).items():
        if theirs not in frame.columns:
            raise InputError(f"no column {theirs!r}", f"the table has {', '.join(map(str, frame.columns))}")
        frame[standard] = frame[theirs]
    return frame


def with_standard_names(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the table with those standard columns added that it has under a known other name."""
    found = frame.copy()
    for name in names:
        if name not in found.columns:
            theirs = next((other for other in STANDARD.get(name, ()) if other in found.columns), None)
            if theirs is not None:
                found[name] = found[theirs]
    return found


def need(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse a table without these columns.

    Raises:
        InputError: Says which are missing and how to name them.
    """
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise InputError(
            f"the table has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}",
            f"expected {', '.join(names)}",
            "name yours with --column standard=theirs",
        )


def reader_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return reader, modality, case, truth and rating; iMRMC's rows of truth become a column.

    The index keeps the row numbers of the table that came.
    """
    table = with_standard_names(frame, ("reader", "modality", "case", "rating"))
    need(table, ("reader", "modality", "case", "rating"))
    rows_of_truth = table["reader"].astype(str).str.lower() == "truth"
    if rows_of_truth.any():
        truth = table.loc[rows_of_truth].drop_duplicates("case").set_index("case")["rating"]
        table = table.loc[~rows_of_truth].copy()
        table["truth"] = table["case"].map(truth)
    else:
        table = with_standard_names(table, ("truth",))
        need(table, ("truth",))
        table["truth"] = binary(table["truth"], "truth").astype(float)
    return table.loc[:, ["reader", "modality", "case", "truth", "rating"]]


def binary(values: pd.Series[str], name: str, positive: str | None = None) -> NDArray[np.bool_]:
    """Return a column of two values as booleans.

    Args:
        values: Text or numbers.
        name: Of the column, for the message.
        positive: The value that counts as present; else one of the words 1, true, yes, positive, ...

    Raises:
        InputError: A value is missing or neither of the two (rows are named).
    """
    text = values.astype("string").str.strip()
    if positive is not None:
        kinds = sorted(text.dropna().unique())
        if positive not in kinds or len(kinds) != 2:
            raise InputError(f"{name} has the values {kinds[:6]}", f"expected two, one of them {positive!r}")
        unknown = text.isna().to_numpy()
        answer = (text == positive).fillna(False).to_numpy(dtype=bool)
    else:
        lower = text.str.lower()
        answer = lower.isin(POSITIVE).to_numpy(dtype=bool)
        unknown = ~(answer | lower.isin(NEGATIVE).to_numpy(dtype=bool))
    rows = np.flatnonzero(unknown) + 1
    if rows.size:
        raise InputError(
            f"{name} is neither yes nor no in rows {_few(rows)}",
            "expected 0 and 1, or two words",
            "say which one is the disease with --positive WORD",
        )
    return np.asarray(answer, dtype=np.bool_)


def numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a column as numbers.

    Raises:
        InputError: The column is missing, or a value is no finite number (rows are named).
    """
    need(frame, (name,))
    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    rows = np.flatnonzero(~np.isfinite(values)) + 1
    if rows.size:
        raise InputError(f"{name} is no number in rows {_few(rows)}", "expected numbers without gaps")
    return values


def score_columns(frame: pd.DataFrame, *, taken: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that predict: of a known layout, named like a score, or all numeric ones.

    Raises:
        InputError: There is none.
    """
    for layout in LAYOUTS:
        if layout.needs <= set(frame.columns):
            return layout.scores
    rest = [c for c in frame.columns if c not in taken]
    named = [c for c in rest if c.startswith(("prob", "score", "p_", "S_")) or c in ("rating", "probability")]
    if not named:
        covariates = {"age", "sex", "row", "time", "status", "event", "case", "patient", "id"}
        named = [c for c in rest if c.lower() not in covariates and _numeric(frame[c])]
    if not named:
        raise InputError(f"no column of scores among {', '.join(rest)}", "expected one", "give --score NAME")
    return tuple(named)


def missing_cells(frame: pd.DataFrame, limit: int = 20) -> tuple[int, list[str]]:
    """Return how many reader-modality-case cells have no rating, and the first of them by name."""
    table = frame.dropna(subset=["rating"])
    names = [sorted(frame[c].astype(str).unique()) for c in ("reader", "modality", "case")]
    full = pd.MultiIndex.from_product(names)
    have = pd.MultiIndex.from_frame(table[["reader", "modality", "case"]].astype(str))
    gone = full.difference(have)
    return len(gone), [" / ".join(cell) for cell in gone[:limit]]


def _numeric(values: pd.Series[str]) -> bool:
    found = pd.to_numeric(values, errors="coerce")
    return bool(found.notna().all() and found.nunique() > 1)


def _few(rows: NDArray[np.intp]) -> str:
    shown = ", ".join(map(str, rows[:10]))
    return shown if rows.size <= 10 else f"{shown} and {rows.size - 10} more"
