"""Free-response reader studies: marks with ratings at places, and the figures of merit made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from coread.errors import InputError
from coread.evaluation.mrmc.obuchowski_rockette import Analysis, Fixed, analyse_figures
from coread.evaluation.table_files import MISSING
from coread.evaluation.tables import binary, numbers, refuse_twice, row_numbers

Floats = NDArray[np.float64]
Figure = Literal[
    "wAFROC",
    "AFROC",
    "wAFROC1",
    "AFROC1",
    "HrAuc",
    "HrSe",
    "HrSp",
    "MaxLLF",
    "MaxNLF",
    "MaxNLFAllCases",
]
FIGURES: tuple[Figure, ...] = get_args(Figure)
NONE = -np.inf  # the rating of what is not marked: it ties with itself and is below every mark


@dataclass(frozen=True, slots=True, eq=False)
class FrocStudy:
    """Marks of a free-response study; every reader reads every case in every modality.

    Attributes:
        modalities: Names.
        readers: Names.
        cases: Names.
        diseased: (cases,) bool.
        lesion_case: (lesions,) index of the case of each lesion.
        weight: (lesions,) weights, summing to 1 over the lesions of a case.
        lesion_rating: (modalities, readers, lesions) rating of each lesion, -inf where not marked.
        highest_false: (modalities, readers, cases) highest rating of a mark that hits no lesion, or -inf.
        false_marks: (modalities, readers, cases) number of such marks.
    """

    modalities: tuple[str, ...]
    readers: tuple[str, ...]
    cases: tuple[str, ...]
    diseased: NDArray[np.bool_]
    lesion_case: NDArray[np.intp]
    weight: Floats
    lesion_rating: Floats
    highest_false: Floats
    false_marks: NDArray[np.int64]

    def without(self, case: int) -> FrocStudy:
        """Return the study without one case."""
        keep = np.arange(len(self.cases)) != case
        lesions = self.lesion_case != case
        shifted = self.lesion_case[lesions]
        return FrocStudy(
            self.modalities,
            self.readers,
            tuple(name for name, kept in zip(self.cases, keep, strict=True) if kept),
            self.diseased[keep],
            shifted - (shifted > case),
            self.weight[lesions],
            self.lesion_rating[:, :, lesions],
            self.highest_false[:, :, keep],
            self.false_marks[:, :, keep],
        )


def froc_study(marks: pd.DataFrame, truth: pd.DataFrame, *, positive: str | None = None) -> FrocStudy:
    """Return a study from its two tables.

    Args:
        marks: One row a mark: ``reader``, ``modality``, ``case``, ``kind`` (``LL`` on a lesion, ``NL``
            elsewhere), ``lesion`` (for LL), ``rating``. A lesion without a mark has no row; of several marks
            on one lesion the highest counts.
        truth: One row a lesion, or a row without lesion for a case that has none: ``case``, ``diseased``
            (0 or 1, or words for it), ``lesion``, ``weight`` (optional; equal weights otherwise).
        positive: The value of ``diseased`` that counts as such, or None for the usual words.

    Raises:
        InputError: A column is missing, a mark names a case or lesion that truth does not know (row numbers
            are named), or the weights of a case don't sum to 1.
    """
    _need(marks, ("reader", "modality", "case", "kind", "lesion", "rating"), "marks")
    _need(truth, ("case", "diseased", "lesion"), "truth")
    cases = tuple(dict.fromkeys(truth["case"].astype(str)))
    case_index = {name: k for k, name in enumerate(cases)}
    diseased = np.zeros(len(cases), dtype=bool)
    of_case = truth["case"].astype(str).map(case_index).to_numpy()
    told = binary(truth["diseased"], "diseased", positive)
    diseased[of_case[told]] = True
    named = truth["lesion"].fillna("").astype(str).str.strip().str.lower()
    with_lesion = ~named.isin(("", *MISSING)).to_numpy()
    wrong = (told != with_lesion) | (diseased[of_case] != told)
    if wrong.any():
        rows = ", ".join(map(str, row_numbers(truth[wrong])[:10]))
        raise InputError(f"truth in rows {rows}", "a diseased case has a lesion and a healthy one has none")
    refuse_twice(truth.assign(lesion=truth["lesion"].where(with_lesion, "none")), ("case", "lesion"))
    lesion_case = of_case[with_lesion].astype(np.intp)
    names = [
        (c, _plain(n))
        for c, n in zip(lesion_case.tolist(), truth["lesion"][with_lesion].tolist(), strict=True)
    ]
    lesion_index = {name: k for k, name in enumerate(names)}
    per_case = np.bincount(lesion_case, minlength=len(cases))
    weight = 1.0 / per_case[lesion_case]
    if "weight" in truth.columns and truth["weight"][with_lesion].notna().all():
        weight = numbers(truth[with_lesion], "weight")
    sums = np.bincount(lesion_case, weights=weight, minlength=len(cases))
    if not np.allclose(sums[diseased], 1.0, atol=1e-6):
        bad = cases[int(np.flatnonzero(diseased & ~np.isclose(sums, 1.0, atol=1e-6))[0])]
        raise InputError(f"the lesion weights of case {bad} don't sum to 1", "expected weights summing to 1")
    modalities = tuple(dict.fromkeys(marks["modality"].astype(str)))
    readers = tuple(dict.fromkeys(marks["reader"].astype(str)))
    shape = (len(modalities), len(readers))
    lesion_rating = np.full((*shape, len(names)), NONE)
    highest = np.full((*shape, len(cases)), NONE)
    count = np.zeros((*shape, len(cases)), dtype=np.int64)
    m_index = {n: k for k, n in enumerate(modalities)}
    r_index = {n: k for k, n in enumerate(readers)}
    columns = ("modality", "reader", "case", "kind", "lesion")
    for name in ("modality", "reader"):
        if marks[name].isna().any():
            rows = ", ".join(map(str, row_numbers(marks[marks[name].isna()])[:10]))
            raise InputError(f"the {name} of marks is missing in rows {rows}", "expected a name")
    ratings = numbers(marks, "rating")
    cells = zip(*(marks[c].tolist() for c in columns), ratings.tolist(), row_numbers(marks), strict=True)
    for m, r, c, kind, lesion, rating, number in cells:
        cell, case = (m_index[str(m)], r_index[str(r)]), case_index.get(str(c))
        key = -1 if case is None else lesion_index.get((case, _plain(lesion)), -1)
        if case is None:
            raise InputError(f"mark in row {number}", f"expected a case of the table of truth, got {c!r}")
        if str(kind).strip().upper() == "NL":
            highest[cell][case] = max(highest[cell][case], rating)
            count[cell][case] += 1
        elif str(kind).strip().upper() == "LL" and key >= 0:
            lesion_rating[cell][key] = max(lesion_rating[cell][key], rating)
        else:
            raise InputError(
                f"mark in row {number}", f"expected NL, or LL on a known lesion; got {kind}, {lesion}"
            )
    return FrocStudy(modalities, readers, cases, diseased, lesion_case, weight, lesion_rating, highest, count)


def _plain(name: object) -> str:
    text = str(name)
    return text[:-2] if text.endswith(".0") else text


def _need(frame: pd.DataFrame, columns: tuple[str, ...], what: str) -> None:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise InputError(
            f"the table of {what} has no column {', '.join(missing)}", f"expected {', '.join(columns)}"
        )


def figures(study: FrocStudy, figure: Figure) -> Floats:
    """Return a figure of merit for every modality and reader.

    Raises:
        InputError: The figure needs diseased or healthy cases and there are none.

    References:
        Chakraborty, Observer Performance Methods for Diagnostic Imaging, 2017; as in RJafroc.
    """
    if figure not in FIGURES:
        raise InputError(f"figure of merit {figure!r}", f"expected one of {', '.join(FIGURES)}")
    if not study.diseased.any() and figure not in ("HrSp", "MaxNLF", "MaxNLFAllCases"):
        raise InputError("no case is diseased", f"{figure} needs lesions")
    if study.diseased.all() and figure in ("wAFROC", "AFROC", "HrAuc", "HrSp", "MaxNLF"):
        raise InputError("every case is diseased", f"{figure} needs healthy cases", "use wAFROC1 or AFROC1")
    return _FIGURES[figure](study)


def analyse_froc(
    study: FrocStudy, figure: Figure = "wAFROC", *, fixed: Fixed = "none", level: float = 0.95
) -> Analysis:
    """Return the Obuchowski-Rockette analysis of a figure of merit, covariance by the jackknife over cases.

    With the degrees of freedom of Hillis this equals the DBM analysis of the pseudovalues.
    """
    found, cov = jackknife(study, figure)
    return analyse_figures(
        found, cov, study.modalities, study.readers, method="jackknife", fixed=fixed, level=level
    )


def jackknife(study: FrocStudy, figure: Figure) -> tuple[Floats, Floats]:
    """Return a figure of merit (modalities, readers) and its jackknife covariance (cells, cells)."""
    found = figures(study, figure)
    left_out = np.stack([figures(study.without(k), figure).ravel() for k in range(len(study.cases))])
    count = len(study.cases)
    cov = np.atleast_2d(np.cov(left_out, rowvar=False, ddof=1)) * (count - 1) ** 2 / count
    return found, cov


def froc_curve(false: ArrayLike, lesions: ArrayLike, cases: int) -> tuple[Floats, Floats]:
    """Return false marks a case and the share of lesions found, at each rating, highest first.

    Args:
        false: (marks,) ratings of all false marks of one reader in one modality.
        lesions: (lesions,) rating of each lesion, -inf where not marked.
        cases: Number of cases.

    Examples:
        >>> froc_curve([2.0, 1.0], [3.0, 1.0, NONE], 4)
        (array([0.  , 0.  , 0.25, 0.5 ]), array([0.        , 0.33333333, 0.33333333, 0.66666667]))
    """
    x, y = np.asarray(false, dtype=np.float64), np.asarray(lesions, dtype=np.float64)
    marks = np.r_[x, y]
    thresholds = np.r_[np.inf, np.unique(marks[marks > NONE])[::-1]]
    found = [(values[None, :] >= thresholds[:, None]).sum(axis=1) for values in (x, y)]
    return found[0] / cases, found[1] / y.size


def afroc_curve(study: FrocStudy, modality: int, reader: int) -> tuple[Floats, Floats]:
    """Return the share of healthy cases with a false mark and of lesions found, from (0, 0) to (1, 1)."""
    false = study.highest_false[modality, reader][~study.diseased]
    x, y = froc_curve(false[false > NONE], study.lesion_rating[modality, reader], false.size)
    return np.r_[x, 1.0], np.r_[y, 1.0]


def _psi(lower: Floats, upper: Floats, weight: Floats) -> float:
    """Return the weighted mean over `upper` of the part of `lower` below it, ties half."""
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, upper, side="left")
    upto = np.searchsorted(ordered, upper, side="right")
    return float(((below + upto) / 2 / lower.size) @ weight)


def _over_cells(study: FrocStudy, one: Callable[[Floats, Floats], float]) -> Floats:
    shape = study.lesion_rating.shape[:2]
    found = np.empty(shape)
    for cell in np.ndindex(*shape):
        found[cell] = one(study.lesion_rating[cell], study.highest_false[cell])
    return found


def _afroc(*, weighted: bool, all_cases: bool) -> Callable[[FrocStudy], Floats]:
    def figure(study: FrocStudy) -> Floats:
        lesions = len(study.weight)
        weight = study.weight / study.diseased.sum() if weighted else np.full(lesions, 1.0 / lesions)
        chosen = np.ones(len(study.cases), dtype=bool) if all_cases else ~study.diseased
        return _over_cells(study, lambda rating, false: _psi(false[chosen], rating, weight))

    return figure


def _highest(study: FrocStudy) -> Floats:
    """Return the highest rating of each case, on a lesion or elsewhere."""
    highest = study.highest_false.copy()
    for k, case in enumerate(study.lesion_case):
        np.maximum(highest[:, :, case], study.lesion_rating[:, :, k], out=highest[:, :, case])
    return highest


def _hr_auc(study: FrocStudy) -> Floats:
    highest = _highest(study)
    sick = highest[:, :, study.diseased]
    weight = np.full(sick.shape[2], 1.0 / sick.shape[2])
    found = np.empty(sick.shape[:2])
    for cell in np.ndindex(*found.shape):
        found[cell] = _psi(highest[cell][~study.diseased], sick[cell], weight)
    return found


def _marked(study: FrocStudy, *, diseased: bool) -> Floats:
    chosen = study.diseased if diseased else ~study.diseased
    share = (_highest(study)[:, :, chosen] > NONE).mean(axis=2)
    return np.asarray(share if diseased else 1.0 - share, dtype=np.float64)


_FIGURES: dict[str, Callable[[FrocStudy], Floats]] = {
    "wAFROC": _afroc(weighted=True, all_cases=False),
    "AFROC": _afroc(weighted=False, all_cases=False),
    "wAFROC1": _afroc(weighted=True, all_cases=True),
    "AFROC1": _afroc(weighted=False, all_cases=True),
    "HrAuc": _hr_auc,
    "HrSe": lambda study: _marked(study, diseased=True),
    "HrSp": lambda study: _marked(study, diseased=False),
    "MaxLLF": lambda study: np.asarray((study.lesion_rating > NONE).mean(axis=2), dtype=np.float64),
    "MaxNLF": lambda study: np.asarray(
        study.false_marks[:, :, ~study.diseased].mean(axis=2), dtype=np.float64
    ),
    "MaxNLFAllCases": lambda study: np.asarray(study.false_marks.mean(axis=2), dtype=np.float64),
}
