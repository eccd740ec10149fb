"""A reader's own text in a report: where each sentence comes from, what it states, how it meets the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from coread.core import (
    Dictation,
    Finding,
    Imported,
    Model,
    Reader,
    Report,
    Section,
    Sentence,
    Signature,
    Template,
    vocabulary,
)
from coread.errors import InputError
from coread.interop import codes
from coread.language import structure, templates
from coread.workflow import report_draft
from coread.workflow.report_checks import report_words
from coread.workflow.report_sentences import Said, known_templates, said, template_text

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
ADA = Reader("ada")
NET = Model("Nodules", "1.0", None, "second-reader")
TEXT = """Clinical history: rule out PE.
Technique: Axial images.
Findings:
There is a 6 x 4 mm nodule in the right upper lobe, previously 5 mm. No pleural effusion.
Impression: Right upper lobe nodule, 6 mm.
Recommendation: CT chest in 6-12 months.
Communication: Discussed with Dr. Ay by phone, read back.
Dose: DLP 300 mGycm."""


def sections(of: Said | Report) -> dict[str, list[str]]:
    return {section.name: [s.text for s in section.sentences] for section in of.sections}


def sentence(of: Said | Report, text: str) -> Sentence:
    (found,) = (s for section in of.sections for s in section.sentences if s.text == text)
    return found


def test_every_sentence_stands_in_its_section_without_its_heading_and_keeps_its_place() -> None:
    found = said(Dictation(TEXT), ADA, AT)
    assert sections(found) == {
        "indication": ["rule out PE."],
        "technique": ["Axial images."],
        "findings": [
            "There is a 6 x 4 mm nodule in the right upper lobe, previously 5 mm.",
            "No pleural effusion.",
        ],
        "impression": ["Right upper lobe nodule, 6 mm."],
        "recommendations": ["CT chest in 6-12 months."],
        "communication": ["Discussed with Dr. Ay by phone, read back."],
        "dose": ["DLP 300 mGycm."],
    }
    for section in found.sections:
        for one in section.sentences:
            assert one.span is not None
            assert TEXT[slice(*one.span)] == one.text
            assert one.origin == ADA


def test_what_is_stated_is_a_finding_once_with_its_words_and_sizes() -> None:
    found = said(Dictation(TEXT), ADA, AT)
    nodule, effusion = found.findings  # the indication states nothing; the impression says one again
    assert (nodule.concept, nodule.status, nodule.laterality, nodule.place) == (
        vocabulary.LUNG_NODULE,
        "present",
        vocabulary.RIGHT,
        vocabulary.UPPER_LOBE,
    )
    assert [(m.concept, m.quantity.value) for m in nodule.measurements] == [
        (codes.LONG_AXIS, 6.0),
        (codes.SHORT_AXIS, 4.0),
        (vocabulary.DIAMETER, 6.0),
    ]
    assert nodule.measurements[0].flags == ("before: 5 mm",)
    assert all(TEXT[cue.start : cue.end] == cue.words for cue in nodule.cues)
    assert (effusion.concept, effusion.status) == (vocabulary.PLEURAL_EFFUSION, "absent")
    assert sentence(found, "Right upper lobe nodule, 6 mm.").findings == (nodule.id,)


def test_a_nodule_without_a_place_is_not_called_one_of_the_lung() -> None:
    (found,) = said(Dictation("There is a 6 mm nodule."), ADA, AT).findings
    assert (found.concept, found.comment) == (vocabulary.OTHER_FINDING, "nodule")


@pytest.mark.parametrize("language", ["en", "tr"])
@pytest.mark.parametrize("name", list(templates.templates()))
def test_a_template_as_it_is_has_the_template_as_origin_of_every_sentence(name: str, language: str) -> None:
    form = templates.template(name)
    text = template_text(name, language)  # type: ignore[arg-type]
    used = Template(name, form.version)
    found = said(Dictation(text, language, (used,)), ADA, AT)  # type: ignore[arg-type]
    all_sentences = [s for section in found.sections for s in section.sentences]
    assert len(all_sentences) >= len(form.normal[language])
    assert {s.origin for s in all_sentences} == {used}
    assert all((s.accepted_by, s.accepted_at, s.edits) == (ADA, AT, ()) for s in all_sentences)
    # and nothing of it is lost between structure and words
    before = {(f.finding, f.status) for f in structure(text, language).findings}
    report = Report("1.2", found.language, found.sections, found.findings)
    assert {(f.finding, f.status) for f in structure(report_words(report), language).findings} == before


def test_changed_and_added_sentences_say_so() -> None:
    used = Template("chest_ct", templates.template("chest_ct").version)
    text = template_text("chest_ct", "en").replace("No pleural effusion.", "Small pleural effusion.")
    found = said(Dictation(f"{text} The patient moved a little.", "en", (used,)), ADA, AT)
    changed = sentence(found, "Small pleural effusion.")
    assert changed.origin == used
    assert [(e.by, e.at, e.before) for e in changed.edits] == [(ADA, AT, "No pleural effusion.")]
    assert sentence(found, "The patient moved a little.").origin == ADA
    assert sentence(found, "No consolidation.").origin == used


def test_words_from_elsewhere_say_where_from_and_nobody_has_accepted_them() -> None:
    found = said(Dictation("No fracture."), ADA, AT, source="old.txt")
    one = sentence(found, "No fracture.")
    assert (one.origin, one.accepted_by) == (Imported("old.txt"), None)
    with pytest.raises(InputError, match="nobody accepted this sentence of old"):
        Report("1.2", "en", found.sections, signature=Signature(ADA, AT))


def test_a_template_that_there_is_not_is_refused() -> None:
    with pytest.raises(InputError, match="no template"):
        known_templates([Template("moon", "1")])
    with pytest.raises(InputError, match="version"):
        known_templates([Template("chest_ct", "0")])


def draft(*findings: Finding, words: tuple[Section, ...] = ()) -> Report:
    made = tuple(Sentence(report_draft.finding_text(f, "en"), f.origin, (f.id,)) for f in findings)
    return Report("1.2", "en", (Section("findings", made), *words), findings)


def with_text(report: Report, text: str) -> Report:
    dictation = Dictation(text)
    return report_draft.with_text(report, said(dictation, ADA, AT), dictation)


def test_the_readers_sentence_stands_instead_of_the_made_one_of_the_same_finding() -> None:
    marked = Finding("m", vocabulary.LUNG_NODULE, "present", ADA, laterality=vocabulary.RIGHT)
    report = with_text(draft(marked), "6 mm nodule in the right upper lobe.")
    assert sections(report)["findings"] == ["6 mm nodule in the right upper lobe."]
    assert sentence(report, "6 mm nodule in the right upper lobe.").findings == ("m",)
    (kept,) = report.findings
    assert kept.id == "m"
    assert [m.quantity.value for m in kept.measurements] == [6.0]


def test_two_marked_findings_that_one_sentence_may_mean_are_left_alone() -> None:
    one = Finding("m", vocabulary.LUNG_NODULE, "present", ADA, laterality=vocabulary.RIGHT)
    report = with_text(draft(one, replace(one, id="n")), "6 mm nodule in the right upper lobe.")
    assert {f.id for f in report.findings} == {"m", "n", "text-1"}
    assert len(sections(report)["findings"]) == 3


def test_a_models_accepted_sentence_is_never_replaced() -> None:
    theirs = Finding("t", vocabulary.LUNG_NODULE, "present", NET, laterality=vocabulary.RIGHT)
    accepted = Sentence("Lung nodule, right.", NET, ("t",), accepted_by=ADA, accepted_at=AT)
    before = Report("1.2", "en", (Section("findings", (accepted,)),), (theirs,))
    report = with_text(before, "6 mm nodule in the right upper lobe.")
    assert sentence(report, "Lung nodule, right.") == accepted
    assert [f.id for f in report.findings] == ["t", "text-1"]


def test_own_words_on_technique_take_the_place_of_the_made_ones() -> None:
    made = (Section("technique", (Sentence("CT.", ADA),)), Section("comparison", (Sentence("None.", ADA),)))
    report = with_text(draft(words=made), "Technique: Axial images.")
    assert sections(report)["technique"] == ["Axial images."]
    assert sections(report)["comparison"] == ["None."]


def test_nothing_was_recorded_is_not_said_beside_words() -> None:
    nothing = Report("1.2", "en", (Section("findings", (Sentence("No finding was recorded.", ADA),)),))
    assert sections(with_text(nothing, "Clear lungs."))["findings"] == ["Clear lungs."]
