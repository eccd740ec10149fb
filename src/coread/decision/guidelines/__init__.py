"""Guidelines as tables and formulas: the row that fired, what is missing, or why one does not apply.

The words are our own; the names are those of the published systems and imply no endorsement.
"""

from coread.decision.guidelines import formulas, lung, organs  # noqa: F401  (each registers its rules)
from coread.decision.guidelines._base import REGISTER, Guideline, GuidelineAnswer, apply

__all__ = ["Guideline", "GuidelineAnswer", "apply", "systems"]


def systems() -> tuple[Guideline, ...]:
    """Return every guideline with its inputs and outputs, by name."""
    return tuple(REGISTER[name] for name in sorted(REGISTER))
