"""Findings of a text as findings of the core."""

from __future__ import annotations

from coread.core import Reader, vocabulary
from coread.language import structure
from coread.language.findings import core_findings

READER = Reader("r1")


def test_concepts_sides_sizes_and_cues() -> None:
    text = "No pneumothorax. 12 mm nodule in the left lower lobe, previously 8 mm. Right adnexal torsion."
    lungs, nodule, torsion = core_findings(structure(text), READER)
    assert (lungs.concept, lungs.status) == (vocabulary.PNEUMOTHORAX, "absent")
    assert (nodule.concept, nodule.place, nodule.change) == (
        vocabulary.LUNG_NODULE,
        vocabulary.LOWER_LOBE,
        "larger",
    )
    assert nodule.laterality == vocabulary.LEFT
    assert [m.quantity.value for m in nodule.measurements] == [12.0]
    assert torsion.concept.scheme in ("OIFM", "99COREAD")
    for finding in (lungs, nodule, torsion):
        assert finding.origin == READER
        assert all(text[c.start : c.end] == c.words for c in finding.cues)


def test_the_indication_states_nothing() -> None:
    assert core_findings(structure("Indication: rule out pneumonia.\n\nFindings: Normal."), READER) == ()


def test_another_person_is_told_apart() -> None:
    (finding,) = core_findings(structure("Mother had breast cancer."), READER)
    assert (finding.subject, finding.status) == ("other", "historical")
