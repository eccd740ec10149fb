"""Report text: structure from words, each statement with the words that made it.

>>> from coread.language import structure
>>> structure("No pneumothorax.").findings[0].status
'absent'
"""

from coread.language.assert_phrases import assert_phrase
from coread.language.engine import structure
from coread.language.sections import detect
from coread.language.values import (
    Assertion,
    Recommendation,
    StructuredReport,
    TextFinding,
    TextMeasurement,
    TextSection,
    Words,
)

__all__ = [
    "Assertion",
    "Recommendation",
    "StructuredReport",
    "TextFinding",
    "TextMeasurement",
    "TextSection",
    "Words",
    "assert_phrase",
    "detect",
    "structure",
]
