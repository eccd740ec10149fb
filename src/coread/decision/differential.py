"""Ranked diagnoses from findings: posterior with interval, what moved it, what to look for next."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coread.errors import InputError

Grade = Literal["A", "B", "C", "guess"]
LEVEL = 0.90
DRAWS = 400
CHECKED = (
    "figures with a source were checked against its abstract or its model; what they do not give "
    "(how often other diagnoses show the finding) is an expert guess"
)
# how many patients a frequency without a source stands for
_GUESS_COUNTS = 12.0
_PRIOR_COUNTS = 60.0
_NO_SOURCE = "expert guess"
_FROM_MEMORY = "expert guess, from memory of a source not checked against it: "

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Influence:
    """How one finding moved a diagnosis: times its odds, with the source of the frequencies."""

    finding: str
    says: str
    present: bool
    ratio: float
    counted: bool
    source: str
    grade: Grade


@dataclass(frozen=True, slots=True)
class Ranked:
    """A diagnosis in its place.

    Attributes:
        diagnosis: Name in the knowledge file.
        says: Words for it.
        prior: Probability before the findings, for age, sex and setting.
        posterior: After them.
        low: Lower end of the 90 % interval.
        high: Upper end.
        cannot_miss: Whether it is shown whatever its rank.
        influences: What raised and lowered it, the strongest first.
    """

    diagnosis: str
    says: str
    prior: float
    posterior: float
    low: float
    high: float
    cannot_miss: bool
    influences: tuple[Influence, ...]


@dataclass(frozen=True, slots=True)
class NextFinding:
    """A finding not yet looked for, with the uncertainty (bits) that it is expected to remove."""

    finding: str
    says: str
    expected_bits: float


@dataclass(frozen=True, slots=True)
class Differential:
    """The answer of `rank`."""

    area: str
    title: str
    setting: str
    model: str
    rows: tuple[Ranked, ...]
    next_findings: tuple[NextFinding, ...]
    notes: tuple[str, ...]

    @property
    def cannot_miss(self) -> tuple[Ranked, ...]:
        """What must not be missed, whatever its rank."""
        return tuple(row for row in self.rows if row.cannot_miss)

    def document(self) -> dict[str, Any]:
        """Return the answer as a JSON object."""
        return {
            "area": self.area,
            "title": self.title,
            "setting": self.setting,
            "model": self.model,
            "level": LEVEL,
            "rows": [
                {
                    "diagnosis": row.diagnosis,
                    "says": row.says,
                    "prior": round(row.prior, 5),
                    "posterior": round(row.posterior, 5),
                    "low": round(row.low, 5),
                    "high": round(row.high, 5),
                    "cannot_miss": row.cannot_miss,
                    "influences": [
                        {
                            "finding": i.finding,
                            "says": i.says,
                            "present": i.present,
                            "likelihood_ratio": round(i.ratio, 4),
                            "counted": i.counted,
                            "source": i.source,
                            "grade": i.grade,
                        }
                        for i in row.influences
                    ],
                }
                for row in self.rows
            ],
            "cannot_miss": [row.diagnosis for row in self.cannot_miss],
            "next": [
                {"finding": n.finding, "says": n.says, "expected_bits": round(n.expected_bits, 4)}
                for n in self.next_findings
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Knowledge:
    """A knowledge file: priors, and the frequency of each finding in each diagnosis."""

    area: str
    title: str
    model: str
    settings: tuple[str, ...]
    diagnoses: Mapping[str, Mapping[str, Any]]
    findings: Mapping[str, Mapping[str, Any]]
    leak: Mapping[str, float]


def areas() -> tuple[str, ...]:
    """Return the areas that have a knowledge file."""
    folder = resources.files("coread.decision").joinpath("knowledge")
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


@lru_cache(maxsize=32)
def knowledge(area: str) -> Knowledge:
    """Return what is known of an area.

    Raises:
        InputError: There is no such area.
    """
    if area not in areas():
        raise InputError(
            f"no differential for {area!r}", f"expected one of {', '.join(areas())}", "check the name"
        )
    path = resources.files("coread.decision").joinpath("knowledge", f"{area}.toml")
    table = tomllib.loads(path.read_text("utf-8"))
    return Knowledge(
        area=area,
        title=table["title"],
        model=table["model"],
        settings=tuple(table["settings"]),
        diagnoses=table["diagnoses"],
        findings={finding["name"]: finding for finding in table["finding"]},
        leak=table.get("leak", {}),
    )


def rank(
    area: str,
    findings: Mapping[str, bool],
    *,
    age: float | None = None,
    sex: Literal["F", "M"] | None = None,
    setting: str = "general",
    priors: Mapping[str, float] | None = None,
    rng: np.random.Generator | None = None,
) -> Differential:
    """Rank the diagnoses of an area.

    Areas whose diagnoses exclude one another use Bayes' rule with findings independent given the diagnosis;
    where several causes may be true, each finding is a noisy-OR of its causes with a leak for all others.
    Of findings in one dependence group only the strongest counts. Intervals come from Beta distributions of
    the frequencies, by how many patients each stands for.

    Args:
        area: One of `areas()`.
        findings: True where seen, False where looked for and not seen; what was not looked for is left out.
        age: Years, or None.
        sex: ``F``, ``M`` or None.
        setting: One of the area's settings.
        priors: Prior probabilities that replace those of the file.
        rng: Generator for the intervals; a fixed one by default, so that equal input gives equal output.

    Raises:
        InputError: Area, setting, finding or diagnosis is not known, or a value is out of range.

    Examples:
        >>> answer = rank("lung_nodule", {"fat": True})
        >>> answer.rows[0].diagnosis
        'hamartoma'
    """
    known = knowledge(area)
    _check(known, findings, setting, age, priors)
    rng = np.random.default_rng(0) if rng is None else rng
    names = tuple(known.diagnoses)
    prior = _prior(known, names, setting, age, sex, priors)
    seen, dropped = _independent(known, findings, names)
    order = list(known.findings)
    table = _frequencies(known, order, names)
    posterior = _posterior(known, prior, table, order, seen)
    low, high = _intervals(known, prior, table, order, seen, rng)
    rows = []
    for number, name in enumerate(names):
        influences = _influences(known, prior, table, order, findings, dropped, number)
        rows.append(
            Ranked(
                name,
                known.diagnoses[name]["says"],
                float(prior[number]),
                float(posterior[number]),
                float(low[number]),
                float(high[number]),
                bool(known.diagnoses[name].get("cannot_miss", False)),
                influences,
            )
        )
    rows.sort(key=lambda row: (-row.posterior, row.diagnosis))
    notes = []
    guessed = [f for f in seen if grade(known.findings[f]) == "guess"]
    notes.append(
        "the prior probabilities are an expert guess" if priors is None else "prior probabilities as given"
    )
    if guessed:
        notes.append(f"expert guess, no source checked: {', '.join(guessed)}")
    if len(guessed) < len(seen):
        notes.append(CHECKED)
    for name, by in dropped.items():
        notes.append(f"{name} is not counted: {by} of the same group says more")
    following = _next(known, prior, table, order, seen)
    return Differential(area, known.title, setting, known.model, tuple(rows), following, tuple(notes))


def grade(finding: Mapping[str, Any]) -> Grade:
    """Return the grade of the frequencies of a finding; a source that nobody checked makes a guess."""
    given: Grade = finding.get("grade", "guess")
    return given if "checked" in finding else "guess"


def source(finding: Mapping[str, Any]) -> str:
    """Return where the frequencies of a finding come from, and against what that was checked."""
    if "checked" in finding:
        return f"{finding['source']} (checked: {finding['checked']})"
    memory = finding.get("from_memory") or finding.get("source")
    return _NO_SOURCE if memory is None else f"{_FROM_MEMORY}{memory}"


def _check(
    known: Knowledge,
    findings: Mapping[str, bool],
    setting: str,
    age: float | None,
    priors: Mapping[str, float] | None,
) -> None:
    for given, names, what in (
        (findings, known.findings, "finding"),
        (priors or {}, known.diagnoses, "diagnosis"),
        ((setting,), known.settings, "setting"),
    ):
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise InputError(
                f"{known.area} has no {what} {', '.join(unknown)}",
                f"expected some of {', '.join(names)}",
                "check the names",
            )
    wrong = [name for name, value in findings.items() if not isinstance(value, (bool, np.bool_))]
    if wrong:
        raise InputError(
            f"{', '.join(wrong)}: not true or false", "expected true or false", "leave out the unknown"
        )
    if age is not None and not 0 <= age <= 125:
        raise InputError(f"age {age}", "expected years from 0 to 125", "correct it")
    if any(not 0 <= p <= 1 for p in (priors or {}).values()):
        raise InputError("a prior is no probability", "expected 0 to 1", "correct it")


def _prior(
    known: Knowledge,
    names: tuple[str, ...],
    setting: str,
    age: float | None,
    sex: str | None,
    priors: Mapping[str, float] | None,
) -> Floats:
    values = []
    for name in names:
        entry = known.diagnoses[name]
        odds = _odds(float(entry["prior"][setting]))
        if age is not None:
            for start, stop, factor in entry.get("age", ()):
                if start <= age < stop:
                    odds *= factor
        if sex == "F":
            odds *= entry.get("female", 1.0)
        values.append(odds / (1 + odds))
        if priors is not None and name in priors:
            values[-1] = float(priors[name])
    prior = np.asarray(values, dtype=np.float64)
    if known.model == "exclusive":
        if prior.sum() <= 0:
            raise InputError("the priors are all 0", "expected at least one above 0", "correct them")
        prior = prior / prior.sum()
    return prior


def _odds(p: float) -> float:
    return p / (1 - p) if p < 1 else 1e12


def _frequencies(known: Knowledge, order: list[str], names: tuple[str, ...]) -> Floats:
    """Return (finding, diagnosis) frequencies; 0 where a noisy-OR cause does not make the finding."""
    return np.array([[float(known.findings[f]["p"].get(d, 0.0)) for d in names] for f in order])


def _independent(
    known: Knowledge, findings: Mapping[str, bool], names: tuple[str, ...]
) -> tuple[dict[str, bool], dict[str, str]]:
    """Return the findings that count and, for those that don't, which one of their group does."""
    best: dict[str, tuple[float, str]] = {}
    kept: dict[str, bool] = {}
    dropped: dict[str, str] = {}
    for name in sorted(findings):
        group = known.findings[name].get("group")
        if group is None:
            kept[name] = bool(findings[name])
            continue
        p = np.array([known.findings[name]["p"].get(d, known.leak.get(name, 1e-3)) for d in names])
        p = p if findings[name] else 1 - p
        spread = float(np.ptp(np.log(np.clip(p, 1e-6, 1.0))))
        # a finding that is there says more than one of its group that is not
        strength = spread + (1e3 if findings[name] else 0.0)
        if group not in best or strength > best[group][0]:
            best[group] = (strength, name)
    for _, name in best.values():
        kept[name] = bool(findings[name])
    for name in findings:
        group = known.findings[name].get("group")
        if name not in kept and group is not None:
            dropped[name] = best[group][1]
    return {name: kept[name] for name in sorted(kept)}, dropped


def _states(count: int) -> NDArray[np.bool_]:
    """Return all combinations of causes, (2**count, count)."""
    return ((np.arange(2**count)[:, None] >> np.arange(count)) & 1).astype(bool)


def _likelihood(known: Knowledge, row: Floats, leak: float, states: NDArray[np.bool_]) -> Floats:
    """Return the probability of a finding in each state: each diagnosis, or each combination of causes."""
    if known.model == "exclusive":
        return row
    absent: Floats = np.where(states, 1 - row, 1.0).prod(axis=1)
    made: Floats = 1 - (1 - leak) * absent
    return made


def _weights(
    known: Knowledge, prior: Floats, table: Floats, leaks: Floats, order: list[str], seen: Mapping[str, bool]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return normalised weights of the states after the findings."""
    states = _states(len(prior)) if known.model != "exclusive" else np.eye(len(prior), dtype=bool)
    if known.model == "exclusive":
        logs = np.log(np.clip(prior, 1e-12, 1.0))
    else:
        clipped = np.clip(prior, 1e-9, 1 - 1e-9)
        logs = np.where(states, np.log(clipped), np.log(1 - clipped)).sum(axis=1)
    for name, present in seen.items():
        at = order.index(name)
        p = _likelihood(known, table[at], float(leaks[at]), states)
        logs = logs + np.log(np.clip(p if present else 1 - p, 1e-9, 1.0))
    weights = np.exp(logs - logs.max())
    return weights / weights.sum(), states


def _leaks(known: Knowledge, order: list[str]) -> Floats:
    return np.array([float(known.leak.get(name, 0.01)) for name in order])


def _posterior(
    known: Knowledge, prior: Floats, table: Floats, order: list[str], seen: Mapping[str, bool]
) -> Floats:
    weights, states = _weights(known, prior, table, _leaks(known, order), order, seen)
    result: Floats = weights @ states
    return result


def _intervals(
    known: Knowledge,
    prior: Floats,
    table: Floats,
    order: list[str],
    seen: Mapping[str, bool],
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    counts = np.array([float(known.findings[f].get("counts", _GUESS_COUNTS)) for f in order])[:, None]
    leaks = _leaks(known, order)
    drawn = np.empty((DRAWS, len(prior)))
    for draw in range(DRAWS):
        first = _beta(rng, prior, _PRIOR_COUNTS)
        if known.model == "exclusive":
            first = first / first.sum()
        frequencies = np.where(table > 0, _beta(rng, table, counts), 0.0)
        weights, states = _weights(
            known, first, frequencies, _beta(rng, leaks, _GUESS_COUNTS * 4), order, seen
        )
        drawn[draw] = weights @ states
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    centre = _posterior(known, prior, table, order, seen)
    return np.minimum(low, centre), np.maximum(high, centre)


def _beta(rng: np.random.Generator, p: Floats, counts: Floats | float) -> Floats:
    inner = np.clip(p, 1e-6, 1 - 1e-6)
    return np.clip(rng.beta(inner * counts, (1 - inner) * counts), 1e-9, 1 - 1e-9)


def _influences(
    known: Knowledge,
    prior: Floats,
    table: Floats,
    order: list[str],
    findings: Mapping[str, bool],
    dropped: Mapping[str, str],
    number: int,
) -> tuple[Influence, ...]:
    """Return the ratio P(finding | diagnosis) to P(finding | not this diagnosis), by the priors."""
    influences = []
    leaks = _leaks(known, order)
    weights, states = _weights(known, prior, table, leaks, order, {})
    has = states[:, number]
    for name, present in findings.items():
        at = order.index(name)
        p = _likelihood(known, table[at], float(leaks[at]), states)
        p = p if present else 1 - p
        inside, outside = weights[has], weights[~has]
        with_it = float(p[has] @ inside / max(inside.sum(), 1e-12))
        without = float(p[~has] @ outside / max(outside.sum(), 1e-12))
        entry = known.findings[name]
        influences.append(
            Influence(
                name,
                entry["says"],
                bool(present),
                with_it / max(without, 1e-12),
                name not in dropped,
                source(entry),
                grade(entry),
            )
        )
    influences.sort(key=lambda i: (-abs(math.log(max(i.ratio, 1e-9))), i.finding))
    return tuple(influences)


def _entropy(known: Knowledge, marginals: Floats) -> float:
    p = np.clip(marginals, 1e-12, 1 - 1e-12)
    if known.model == "exclusive":
        return float(-(p * np.log2(p)).sum())
    return float(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)).sum())


def _next(
    known: Knowledge, prior: Floats, table: Floats, order: list[str], seen: Mapping[str, bool]
) -> tuple[NextFinding, ...]:
    """Return the findings not looked for whose answer is expected to remove most uncertainty."""
    leaks = _leaks(known, order)
    weights, states = _weights(known, prior, table, leaks, order, seen)
    now = _entropy(known, weights @ states)
    groups = {known.findings[name].get("group") for name in seen} - {None}
    found = []
    for at, name in enumerate(order):
        if name in seen or known.findings[name].get("group") in groups:
            continue
        p = _likelihood(known, table[at], float(leaks[at]), states)
        chance = float(weights @ p)
        later = 0.0
        for share, q in ((chance, p), (1 - chance, 1 - p)):
            if share > 1e-9:
                later += share * _entropy(known, (weights * q / share) @ states)
        found.append(NextFinding(name, known.findings[name]["says"], max(now - later, 0.0)))
    found.sort(key=lambda n: (-n.expected_bits, n.finding))
    return tuple(found)
