"""Double reading with a model: what would change if it were second reader, triage or safety net."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from coread.core import Interval
from coread.errors import InputError
from coread.evaluation.operating import Rate, wilson
from coread.evaluation.roc import check_truth

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Pathway:
    """What a way of reading does.

    Attributes:
        name: Of the pathway.
        sensitivity: With Wilson's interval.
        specificity: With Wilson's interval.
        recall_rate: Part of all cases called back.
        reads: Human readings, arbitration included.
        saved: Part of the human readings of plain double reading that are not needed.
        sensitivity_difference: From plain double reading, with the paired Wald interval of the test.
        specificity_difference: The same of specificity.
        sensitivity_p: One-sided, that sensitivity is not lower than plain double reading by the margin.
        specificity_p: The same of specificity.
    """

    name: str
    sensitivity: Rate
    specificity: Rate
    recall_rate: float
    reads: int
    saved: float
    sensitivity_difference: Rate | None = None
    specificity_difference: Rate | None = None
    sensitivity_p: float | None = None
    specificity_p: float | None = None


def simulate(
    truth: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    arbitration: ArrayLike,
    model: ArrayLike,
    *,
    rule_out: ArrayLike | None = None,
    margin: float = 0.05,
    level: float = 0.95,
) -> tuple[Pathway, ...]:
    """Return plain double reading and the pathways with the model.

    AI as second reader: where the first reader and the model agree, that holds; else the arbitration.
    Triage: cases that are ruled out are read by nobody, the others as before. Safety net: double reading,
    and what the model calls although both readers did not goes to arbitration.

    Args:
        truth: (cases,) of 0 and 1.
        first: (cases,) calls of the first reader.
        second: (cases,) calls of the second.
        arbitration: (cases,) what the arbiter says, or would say, of every case.
        model: (cases,) calls of the model.
        rule_out: (cases,) cases the model rules out; the pathway is left out unless given.
        margin: Of non-inferiority.
        level: Of the intervals.

    References:
        McKinney et al., Nature 577:89 (2020); paired test: Liu et al., Statistics in Medicine 21:231 (2002).
    """
    sick = check_truth(truth)
    calls = {
        name: _calls(values, sick, name)
        for name, values in {
            "first": first,
            "second": second,
            "arbitration": arbitration,
            "model": model,
        }.items()
    }
    one, two, judge, ai = calls.values()
    plain = np.where(one == two, one, judge)
    plain_reads = 2 * sick.size + int((one != two).sum())
    ways: list[tuple[str, Bools, int]] = [
        ("double reading", plain, plain_reads),
        ("AI as second reader", np.where(one == ai, one, judge), sick.size + int((one != ai).sum())),
        (
            "AI as safety net",
            np.where(~plain & ai & ~one & ~two, judge, plain),
            plain_reads + int((ai & ~one & ~two).sum()),
        ),
    ]
    if rule_out is not None:
        out = _calls(rule_out, sick, "rule_out")
        ways.append(("AI as triage", plain & ~out, int(2 * (~out).sum() + (one != two)[~out].sum())))
    found = []
    for name, decision, reads in ways:
        m, n = int(sick.sum()), int((~sick).sum())
        pathway = Pathway(
            name,
            wilson(int((decision & sick).sum()), m, level=level),
            wilson(int((~decision & ~sick).sum()), n, level=level),
            float(decision.mean()),
            reads,
            1 - reads / plain_reads,
        )
        if name != "double reading":
            pathway = replace(
                pathway,
                sensitivity_difference=paired_difference(decision[sick], plain[sick], level=level),
                specificity_difference=paired_difference(~decision[~sick], ~plain[~sick], level=level),
                sensitivity_p=paired_non_inferiority(decision[sick], plain[sick], margin),
                specificity_p=paired_non_inferiority(~decision[~sick], ~plain[~sick], margin),
            )
        found.append(pathway)
    return tuple(found)


def paired_non_inferiority(new: Bools, old: Bools, margin: float) -> float:
    """Return the one-sided p that the new rate is not lower than the old one by the margin (paired, Wald).

    Args:
        new: (cases,) whether the new way is right.
        old: (cases,) whether the old way is right, the same cases.
        margin: Above 0.
    """
    if margin <= 0:
        raise InputError(f"margin {margin:g}", "expected above 0")
    difference, se = _paired(new, old)
    return float(stats.norm.sf((difference + margin) / se))


def paired_difference(new: Bools, old: Bools, *, level: float = 0.95) -> Rate:
    """Return the difference of two rates over the same cases, new less old, with its Wald interval.

    References:
        Agresti, Min, Statistics in Medicine 24:729 (2005).
    """
    difference, se = _paired(new, old)
    half = float(stats.norm.ppf(0.5 + level / 2)) * se
    return Rate(difference, Interval(difference - half, difference + half, level, "paired, Wald"))


def _paired(new: Bools, old: Bools) -> tuple[float, float]:
    """Return the difference and its error; a half on each discordant cell keeps it above 0."""
    n = new.size
    b, c = int((new & ~old).sum()), int((~new & old).sum())
    difference = (b - c) / n
    return difference, float(np.sqrt(((b + c + 1) / n - difference**2) / n))


def _calls(values: ArrayLike, sick: Bools, name: str) -> Bools:
    array = np.asarray(values)
    numbers = array.astype(np.float64)
    wrong = np.flatnonzero(~np.isin(numbers, (0.0, 1.0))) + 1
    if array.shape != sick.shape or wrong.size:
        raise InputError(
            f"{name}: {array.size} calls, not 0 or 1 in rows {wrong[:10].tolist()}",
            f"expected {sick.size} of 0 and 1",
        )
    return np.asarray(numbers == 1, dtype=np.bool_)
