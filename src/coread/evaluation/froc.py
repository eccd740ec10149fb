"""Free-response reader studies: marks with ratings at places, and the figures of merit made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from coread.errors import InputError
from coread.evaluation.mrmc.obuchowski_rockette import Analysis, Fixed, analyse_figures

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


def froc_study(marks: pd.DataFrame, truth: pd.DataFrame) -> FrocStudy:
    """Return a study from its two tables.

    Args:
        marks: One row a mark: ``reader``, ``modality``, ``case``, ``kind`` (``LL`` on a lesion, ``NL``
            elsewhere), ``lesion`` (for LL), ``rating``. A lesion without a mark has no row; of several marks
            on one lesion the highest counts.
        truth: One row a lesion, or a row without lesion for a case that has none: ``case``, ``diseased``
            (0 or 1), ``lesion``, ``weight`` (optional; equal weights otherwise).

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
    diseased[of_case] = pd.to_numeric(truth["diseased"]).to_numpy() == 1
    with_lesion = truth["lesion"].notna().to_numpy()
    if (diseased[of_case] != with_lesion).any():
        row = int(np.flatnonzero(diseased[of_case] != with_lesion)[0]) + 1
        raise InputError(f"truth row {row}", "a diseased case has a lesion and a healthy one has none")
    lesion_case = of_case[with_lesion].astype(np.intp)
    names = [
        (c, _plain(n))
        for c, n in zip(lesion_case.tolist(), truth["lesion"][with_lesion].tolist(), strict=True)
    ]
    lesion_index = {name: k for k, name in enumerate(names)}
    per_case = np.bincount(lesion_case, minlength=len(cases))
    weight = 1.0 / per_case[lesion_case]
    if "weight" in truth.columns and truth["weight"][with_lesion].notna().all():
        weight = truth["weight"][with_lesion].to_numpy(dtype=np.float64)
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
    columns = ("modality", "reader", "case", "kind", "lesion", "rating")
    rows = zip(*(marks[c].tolist() for c in columns), strict=True)
    for number, (m, r, c, kind, lesion, rating) in enumerate(rows, start=1):
        cell = m_index[str(m)], r_index[str(r)]
        case = case_index.get(str(c))
        if case is None or not np.isfinite(float(rating)):
            raise InputError(
                f"mark in row {number}", f"expected a known case and a rating, got {c!r}, {rating!r}"
            )
        if kind == "NL":
            highest[cell][case] = max(highest[cell][case], float(rating))
            count[cell][case] += 1
        elif kind == "LL" and (case, _plain(lesion)) in lesion_index:
            k = lesion_index[case, _plain(lesion)]
            lesion_rating[cell][k] = max(lesion_rating[cell][k], float(rating))
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

    References:
        Chakraborty, Observer Performance Methods for Diagnostic Imaging, 2017; as in RJafroc.
    """
    if figure not in FIGURES:
        raise InputError(f"figure of merit {figure!r}", f"expected one of {', '.join(FIGURES)}")
    return _FIGURES[figure](study)


def analyse_froc(
    study: FrocStudy, figure: Figure = "wAFROC", *, fixed: Fixed = "none", level: float = 0.95
) -> Analysis:
    """Return the Obuchowski-Rockette analysis of a figure of merit, covariance by the jackknife over cases.

    With the degrees of freedom of Hillis this equals the DBM analysis of the pseudovalues.
    """
    found = figures(study, figure)
    left_out = np.stack([figures(study.without(k), figure).ravel() for k in range(len(study.cases))])
    count = len(study.cases)
    cov = np.cov(left_out, rowvar=False, ddof=1) * (count - 1) ** 2 / count
    return analyse_figures(
        found, cov, study.modalities, study.readers, method="jackknife", fixed=fixed, level=level
    )


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
