"""The table of a reader study: modalities, readers, cases, truth and ratings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coread.errors import InputError

COLUMNS = ("reader", "modality", "case", "truth", "rating")


@dataclass(frozen=True, slots=True, eq=False)
class ReaderStudy:
    """Ratings of a reader study; any reading may be missing.

    Attributes:
        modalities: Names, in the order of the first axis.
        readers: Names, in the order of the second axis.
        cases: Names, in the order of the third axis.
        truth: (cases,) bool, true for diseased.
        ratings: (modalities, readers, cases) float64, NaN where a reader did not read a case.
    """

    modalities: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[str, ...]
    truth: NDArray[np.bool_]
    ratings: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = (len(self.modalities), len(self.readers), len(self.cases))
        if self.ratings.shape != shape or self.truth.shape != shape[2:]:
            raise InputError(
                f"ratings of shape {self.ratings.shape} and truth of {self.truth.shape}",
                f"expected {shape} and {shape[2:]}",
            )
        if not self.truth.any() or self.truth.all():
            raise InputError("cases of one class only", "a reader study needs diseased and healthy cases")

    @property
    def complete(self) -> bool:
        """Whether every reader read every case in every modality."""
        return not bool(np.isnan(self.ratings).any())

    @property
    def read(self) -> NDArray[np.bool_]:
        """(modalities, readers) whether a reader read anything in a modality."""
        return np.asarray(~np.isnan(self.ratings).all(axis=2), dtype=np.bool_)


def study_from_frame(frame: pd.DataFrame) -> ReaderStudy:
    """Return a study from a table with one row a reading.

    Args:
        frame: Columns ``reader``, ``modality``, ``case``, ``truth`` (0 or 1) and ``rating``. A missing
            rating counts as a reading that was not made.

    Raises:
        InputError: A column is missing, truth contradicts itself or is not 0 or 1, or a reading occurs
            twice; row numbers (from 1, without the header) are named. A table whose index is of integers
            keeps its numbering when rows were taken out.
    """
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise InputError(
            f"the table has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}",
            f"expected {', '.join(COLUMNS)}",
            "name yours with --column standard=theirs",
        )
    table = frame.loc[:, list(COLUMNS)]
    if not pd.api.types.is_integer_dtype(table.index.dtype):
        table = table.reset_index(drop=True)
    truth = pd.to_numeric(table["truth"], errors="coerce")
    _refuse_rows(~truth.isin([0, 1]), "truth is neither 0 nor 1")
    rating = pd.to_numeric(table["rating"], errors="coerce")
    _refuse_rows(rating.isna() & table["rating"].notna(), "the rating is no number")
    _refuse_rows(~np.isfinite(rating.fillna(0.0)), "the rating is infinite")
    for name in ("reader", "modality", "case"):
        _refuse_rows(table[name].isna(), f"the {name} is missing")
    keys = table[["modality", "reader", "case"]].astype(str)
    _refuse_rows(keys.duplicated(keep=False), "the same reader, modality and case occur twice")
    spread = truth.groupby(keys["case"]).transform("nunique")
    _refuse_rows(spread > 1, "truth of one case differs between rows")
    codes = {name: _ordered(keys[name]) for name in keys.columns}
    shape = tuple(len(names) for _, names in codes.values())
    ratings = np.full(shape, np.nan)
    ratings[tuple(index for index, _ in codes.values())] = rating.to_numpy(dtype=np.float64)
    truths = np.zeros(shape[2], dtype=bool)
    truths[codes["case"][0]] = truth.to_numpy() == 1
    return ReaderStudy(codes["modality"][1], codes["reader"][1], codes["case"][1], truths, ratings)


def _ordered(values: pd.Series[str]) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """Return the code of each value, names in natural order (2 before 10)."""

    def natural(name: str) -> tuple[int, float, str]:
        try:
            return (0, float(name), name)
        except ValueError:
            return (1, 0.0, name)

    names = sorted(values.unique(), key=natural)
    codes = pd.Categorical(values, categories=names).codes
    return np.asarray(codes, dtype=np.intp), tuple(names)


def _refuse_rows(wrong: pd.Series[bool], why: str) -> None:
    rows = wrong.index.to_numpy()[wrong.to_numpy()] + 1
    if rows.size:
        shown = ", ".join(map(str, rows[:10])) + (f" and {rows.size - 10} more" if rows.size > 10 else "")
        raise InputError(f"{why} in rows {shown}", "expected one clean row a reading", "mend these rows")
