"""The fourteen labels of chest radiographs, in the convention of the OpenI and NegBio sets."""

from __future__ import annotations

from collections.abc import Mapping

from coread.language.engine import structure
from coread.language.values import StructuredReport, TextFinding

LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
# plain name of a finding: its label
_LABEL_OF: Mapping[str, str] = {
    "atelectasis": "Atelectasis",
    "cardiomegaly": "Cardiomegaly",
    "pleural effusion": "Effusion",
    "infiltrate": "Infiltration",
    "mass": "Mass",
    "nodule": "Nodule",
    "pneumonia": "Pneumonia",
    "pneumothorax": "Pneumothorax",
    "consolidation": "Consolidation",
    "pulmonary edema": "Edema",
    "emphysema": "Emphysema",
    "fibrosis": "Fibrosis",
    "pleural thickening": "Pleural_Thickening",
    "fissural thickening": "Pleural_Thickening",
    "bronchial wall thickening": "Pleural_Thickening",
    "interstitial thickening": "Pleural_Thickening",
    "paratracheal thickening": "Pleural_Thickening",
    "hiatal hernia": "Hernia",
}
_ALTERNATIVES = frozenset({"versus", "vs", "vs."})
# "X versus Y", "probable", "borderline" and "most ..." count as the finding; other doubts do not
_DOUBTS_THAT_COUNT = frozenset(
    {
        "versus",
        "vs",
        "vs.",
        "vs .",
        "probable",
        "probably",
        "borderline",
        "upper",
        "uncertain",
        "apparent",
        "questionable",
        "most",
    }
)
# a mass of these organs is none of the chest
_ELSEWHERE = frozenset({"thyroid", "neck", "breast", "liver", "kidney", "adrenal", "pancreas", "spleen"})


def labels(report: str | StructuredReport, language: str = "auto") -> dict[str, bool]:
    """Return the labels of a chest radiograph's report.

    Args:
        report: The text, or its structure.
        language: Of the text.

    References:
        Peng Y et al. NegBio. AMIA Jt Summits Transl Sci Proc 2018:188-196.

    Examples:
        >>> said = labels("Small left pleural effusion. No pneumothorax.")
        >>> said["Effusion"], said["Pneumothorax"]
        (True, False)
    """
    structured = structure(report, language) if isinstance(report, str) else report
    said = dict.fromkeys(LABELS, False)
    for finding in structured.findings:
        label = _LABEL_OF.get(finding.finding)
        if label is not None and _counts(finding, label, structured.findings):
            said[label] = True
    return said


def _counts(finding: TextFinding, label: str, others: tuple[TextFinding, ...]) -> bool:
    if finding.subject != "patient" or finding.section in ("indication", "technique", "comparison"):
        return False
    if label in ("Mass", "Nodule") and (finding.location or "").split(" ")[0] in _ELSEWHERE:
        return False
    if finding.status == "present":
        return True
    if finding.status != "uncertain" or finding.certainty is None:
        return False
    doubt = finding.certainty.split()[0]
    if doubt in _ALTERNATIVES and any(
        other.sentence == finding.sentence
        and other.certainty
        and other.certainty.split()[0] not in _ALTERNATIVES
        for other in others
    ):
        return False  # "may represent X versus Y" doubts both
    return doubt in _DOUBTS_THAT_COUNT
