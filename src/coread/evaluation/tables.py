"""Tables as they come: other people's column names, words for yes and no, known layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coread.errors import InputError

POSITIVE = frozenset(
    (
        "1",
        "1.0",
        "true",
        "t",
        "yes",
        "y",
        "positive",
        "pos",
        "+",
        "present",
        "diseased",
        "disease",
        "malignant",
    )
    + ("abnormal", "poor", "case", "event", "dead", "cancer", "actually positive")
)
NEGATIVE = frozenset(
    (
        "0",
        "0.0",
        "false",
        "f",
        "no",
        "n",
        "negative",
        "neg",
        "absent",
        "healthy",
        "non-diseased",
        "nondiseased",
    )
    + ("benign", "normal", "good", "control", "censored", "alive", "no cancer", "actually negative")
)
STANDARD: Mapping[str, tuple[str, ...]] = {
    "reader": ("readerID", "rater", "radiologist", "observer"),
    "modality": ("modalityID", "treatment", "test"),
    "case": ("caseID", "image", "imageID", "patientid", "row"),
    "truth": ("label", "outcome", "cancer", "y", "diseased", "ground truth"),
    "rating": ("score", "confidence"),
    "time": ("ttcancer", "time_months", "os_days"),
    "event": ("status", "cancer", "dead"),
    "risk": ("lp", "score"),
}

NOT_SCORES = (
    *("age", "sex", "gender", "patient", "patient id", "id", "site", "scanner", "view", "study", "fold"),
    *(n for s in ("reader", "case", "truth", "time", "event") for n in (s, *STANDARD[s])),
)


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


def with_standard_names(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Return the table with those standard columns added that it has under a known other name.

    Capitals, spaces and underscores in a name don't matter.
    """
    found = frame.copy()
    theirs = {_bare(column): column for column in reversed(list(frame.columns))}
    for name in names:
        known = (theirs[_bare(other)] for other in (name, *STANDARD.get(name, ())) if _bare(other) in theirs)
        other = next(known, None)
        if name not in found.columns and other is not None:
            found[name] = found[other]
    return found


def _bare(name: object) -> str:
    return "".join(c for c in str(name).lower() if c.isalnum())


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


def reader_table(frame: pd.DataFrame, positive: str | None = None) -> pd.DataFrame:
    """Return reader, modality, case, truth and rating; iMRMC's rows of truth become a column.

    Rows of truth have the reader ``truth``, or -1 with the modality 0 or ``truth`` as in iMRMC's own files.
    The index keeps the row numbers of the table that came.

    Args:
        frame: One row a reading.
        positive: The value of truth that counts as diseased, or None for the usual words.

    Raises:
        InputError: A column is missing, or truth is missing, contradicts itself or is no known word.
    """
    table = with_standard_names(frame, ("reader", "modality", "case", "rating"))
    need(table, ("reader", "modality", "case", "rating"))
    reader, modality = (table[c].astype(str).str.lower() for c in ("reader", "modality"))
    rows_of_truth = (reader == "truth") | ((reader == "-1") & modality.isin(("0", "truth")))
    if rows_of_truth.any():
        told = table.loc[rows_of_truth]
        said = pd.Series(binary(told["rating"], "truth", positive), told["case"].astype(str)).astype(float)
        unsure = said.groupby(level=0).nunique() > 1
        if unsure.any():
            wrong = told["case"].astype(str).isin(unsure.index[unsure])
            raise InputError(
                f"truth of one case differs between rows {_few(row_numbers(told[wrong]))}",
                "expected one truth a case",
            )
        table = table.loc[~rows_of_truth].copy()
        table["truth"] = table["case"].astype(str).map(said[~said.index.duplicated()])
        if table["truth"].isna().any():
            raise InputError(
                f"no row of truth for the cases in rows {_few(row_numbers(table[table['truth'].isna()]))}",
                "expected a row with the reader 'truth' for every case",
            )
    else:
        table = with_standard_names(table, ("truth",))
        need(table, ("truth",))
        table["truth"] = binary(table["truth"], "truth", positive).astype(float)
    return table.loc[:, ["reader", "modality", "case", "truth", "rating"]]


def row_numbers(frame: pd.DataFrame | pd.Series[str]) -> NDArray[np.intp]:
    """Return the number of each row in the file, from 1, the header not counted."""
    if pd.api.types.is_integer_dtype(frame.index.dtype):
        return np.asarray(frame.index.to_numpy(), dtype=np.intp) + 1
    return np.arange(1, len(frame) + 1)


def refuse_twice(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Refuse a table in which two rows have the same values of these columns.

    Raises:
        InputError: The rows are named.
    """
    twice = frame.duplicated(list(names), keep=False) & frame[list(names)].notna().all(axis=1)
    if twice.any():
        raise InputError(
            f"the same {' and '.join(names)} in rows {_few(row_numbers(frame[twice]))}",
            "expected one row for each",
            "several images of one patient: name them by a column case and the patient by a column patient",
        )


def binary(values: pd.Series[str], name: str, positive: str | None = None) -> NDArray[np.bool_]:
    """Return a column of two values as booleans.

    Args:
        values: Text or numbers.
        name: Of the column, for the message.
        positive: The value that counts as present; else one of the words 1, true, yes, positive, ... Where
            the only values are -1 and 1, -1 is the absent one.

    Raises:
        InputError: A value is missing or neither of the two (rows are named).
    """
    text = values.astype("string").str.strip()
    lower = text.str.lower()
    if positive is not None:
        kinds = sorted(lower.dropna().unique())
        answer = (lower == positive.strip().lower()).fillna(False).to_numpy(dtype=bool)
        if not answer.any() or len(kinds) != 2:
            raise InputError(f"{name} has the values {kinds[:6]}", f"expected two, one of them {positive!r}")
        unknown = text.isna().to_numpy()
    else:
        signed = set(pd.to_numeric(lower.dropna(), errors="coerce")) == {-1.0, 1.0}
        answer = lower.isin(POSITIVE).to_numpy(dtype=bool)
        absent = pd.to_numeric(lower, errors="coerce").eq(-1) if signed else lower.isin(NEGATIVE)
        unknown = ~(answer | absent.fillna(False).to_numpy(dtype=bool))
    if unknown.any():
        found = sorted({str(v) for v in text[unknown].fillna("(empty)")})[:6]
        raise InputError(
            f"{name} is neither yes nor no in rows {_few(row_numbers(values[unknown]))}: {', '.join(found)}",
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
    rows = row_numbers(frame)[~np.isfinite(values)]
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
        covariates = {_bare(c) for c in NOT_SCORES}
        named = [c for c in rest if _bare(c) not in covariates and _numeric(frame[c])]
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
