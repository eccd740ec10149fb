"""Write a page for every analyzer's card, from the cards themselves."""

from __future__ import annotations

import os
from pathlib import Path

from coread.core import Card
from coread.workflow.analyzers import discover

OUT = Path(os.environ["COREAD_DOCS"])


def page(name: str, card: Card) -> str:
    """Return the page of one card in Markdown."""
    rows = [
        ("Version", card.version),
        ("Kind", card.kind),
        ("Mode", card.mode),
        ("Shown", "after the first read" if card.shown == "locked" else "always"),
        ("Intended use", card.intended_use),
        ("Not for", card.not_for),
        ("Evidence level", f"{card.evidence_level} of 6 (van Leeuwen 2021)"),
        ("Training data", card.training_data),
        ("Acts at or above", "" if card.threshold is None else f"{card.threshold:g}"),
        ("Calibration", card.calibration or ""),
        ("Weights (SHA-256)", f"`{card.weights}`" if card.weights else ""),
        ("Licence", card.licence),
    ]
    lines = [f"## {card.name} (`{name}`)", "", "| | |", "|---|---|"]
    lines += [f"| {what} | {value} |" for what, value in rows if value]
    if card.metrics:
        lines += ["", "| measured | value | interval | on | date |", "|---|---|---|---|---|"]
        for m in card.metrics:
            span = "" if m.low is None or m.high is None else f"{m.low:g} to {m.high:g}"
            lines.append(f"| {m.name} | {m.value:g} | {span} | {m.data} | {m.date} |")
    if card.references:
        lines += ["", "References: " + "; ".join(card.references)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write `cards.md`."""
    found = discover()
    text = "# Models and measurements\n\nWhat each analyzer is for, and on what evidence it stands.\n\n"
    text += "\n".join(page(r.name, r.card) for r in found)
    (OUT / "cards.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
