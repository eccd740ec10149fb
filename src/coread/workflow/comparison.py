"""Reader against models, as a reveal shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from coread.core import Finding, Measurement, match
from coread.core.match import Difference, MatchSettings
from coread.workflow.visibility import ShownResult


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Reader against models as it was revealed.

    Attributes:
        difference: How the findings pair.
        own: Findings of the committed reads.
        models: Findings of the models, those that say nothing or ``absent`` too.
        results: The runs that were shown.
        stale: Whether newer results wait to be revealed.
    """

    difference: Difference
    own: tuple[Finding, ...]
    models: tuple[Finding, ...]
    results: tuple[ShownResult, ...]
    stale: bool

    def measurements(self) -> Mapping[str, tuple[Measurement, ShownResult]]:
        """Return the numbers that belong to no finding by identifier, with the run that measured them."""
        return {
            f"{shown.row.id}-m{n}": (measurement, shown)
            for shown in self.results
            if shown.result is not None
            for n, measurement in enumerate(shown.result.measurements)
        }

    @property
    def to_decide(self) -> tuple[str, ...]:
        """The models' findings that need a decision: contradictions first, then what only they say."""
        return (
            *dict.fromkeys(model for _, model in self.difference.contradicted),
            *self.difference.model_only,
            *(model for _, model in self.difference.agreed),
        )


def compare(own: tuple[Finding, ...], results: Sequence[ShownResult], settings: MatchSettings) -> Comparison:
    """Return the reader's committed findings against those of the runs that are shown."""
    models = tuple(
        finding
        for shown in results
        if shown.result is not None and _is_interpretation(shown)
        for finding in shown.result.findings
    )
    return Comparison(match.compare(own, models, settings), own, models, tuple(results), stale=False)


def _is_interpretation(shown: ShownResult) -> bool:
    return shown.card is None or shown.card.shown != "always"
