"""How soon a finding has to be told: the actionable categories of the American College of Radiology."""

from __future__ import annotations

from coread.language.packs import Pack
from coread.language.values import TextFinding


def urgency(finding: TextFinding, rules: Pack) -> int | None:
    """Return the actionable category of a finding, or None: 1 within minutes, 2 hours, 3 days."""
    if finding.status not in ("present", "uncertain") or finding.subject != "patient":
        return None
    if finding.section == "indication" or finding.change in ("stable", "decreased"):
        return None
    known = rules.concepts
    if finding.certainty is not None and " ".join(finding.certainty.split()) in known.asking:
        return None
    if any(word in known.critical_never.get(finding.finding, ()) for word in finding.qualifiers):
        return None
    category = known.critical.get(finding.finding)
    for word in finding.qualifiers:
        raised = known.critical_if.get(finding.finding, {}).get(word)
        if raised is not None and (category is None or raised < category):
            category = raised
    return category
