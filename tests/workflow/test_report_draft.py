from __future__ import annotations

from datetime import UTC, datetime

import pytest

from coread.core import (
    Finding,
    Interval,
    Measurement,
    Model,
    Quantity,
    Reader,
    Report,
    Section,
    Sentence,
    Signature,
    vocabulary,
)
from coread.core.reading import Committed, Decided, Decision, Opened, Reading, Revealed, replay
from coread.errors import InputError
from coread.storage import StudyRow
from coread.workflow import report_draft, wording

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
ADA = Reader("ada")
NET = Model("Nodules", "1.0", None, "second-reader")
STUDY = StudyRow(
    uid="1.1",
    patient_id="P",
    patient_name="A",
    birth_date=None,
    sex=None,
    time=datetime(2026, 3, 1),
    accession="",
    description="Chest",
    referring="",
    modalities=("CT",),
    body_parts=(),
    series=1,
    instances=1,
    images=1,
    frames=1,
    simulated=True,
    lossy=False,
    derived_uids=False,
    priority="routine",
    priority_reason="",
    received_at=AT,
    updated_at=AT,
)
DIAMETER = Measurement(vocabulary.DIAMETER, Quantity(6.54321, "mm"), Interval(6.0, 7.0, 0.95, "t"))
MINE = Finding("m", vocabulary.LUNG_NODULE, "present", ADA, laterality=vocabulary.RIGHT)
THEIRS = Finding("t", vocabulary.LUNG_NODULE, "present", NET, measurements=(DIAMETER,))


def reading(*decisions: Decision, own: tuple[Finding, ...] = ()) -> Reading:
    start = (Opened(AT), Committed(AT, own), Revealed(AT, ("t",), "1"))
    return replay("1.1", "ada", (*start, *(Decided(AT, d) for d in decisions)))


def draft(
    of: Reading,
    *,
    agreed: tuple[tuple[str, str], ...] = (),
    contradicted: tuple[tuple[str, str], ...] = (),
    language: wording.Language = "en",
) -> Report:
    return report_draft.generate(
        of,
        ADA,
        STUDY,
        (),
        models=(THEIRS,),
        agreed=agreed,
        contradicted=contradicted,
        language=language,
    )


def sentences(report: Report, name: str = "findings") -> list[Sentence]:
    return [s for section in report.sections if section.name == name for s in section.sentences]


@pytest.mark.parametrize("choice", [None, "reject"])
def test_what_is_rejected_or_undecided_is_not_stated(choice: str | None) -> None:
    decisions = () if choice is None else (Decision("t", "reject", AT, "artefact"),)
    report = draft(reading(*decisions))
    assert report.findings == ()
    assert [s.text for s in sentences(report)] == ["No finding was recorded."]
    assert "impression" not in [section.name for section in report.sections]


def test_an_accepted_finding_is_stated_in_the_models_name_and_accepted() -> None:
    report = draft(reading(Decision("t", "accept", AT)))
    texts = sentences(report)
    assert [s.text for s in texts] == [
        "Lung nodule.",
        "Measured for lung nodule: diameter 6.543 mm (6 to 7).",
    ]
    assert all(s.origin == NET and s.accepted_by == ADA and s.findings == ("t",) for s in texts)
    signed = Report("1.1", "en", report.sections, report.findings, signature=Signature(ADA, AT))
    assert signed.signature is not None  # every sentence of a model is accepted


def test_a_modified_finding_is_the_readers() -> None:
    mass = Finding("t", vocabulary.LUNG_MASS, "uncertain", ADA, comment="Needs PET.")
    report = draft(reading(Decision("t", "modify", AT, modified=mass)))
    assert [(s.text, s.origin) for s in sentences(report)] == [("Possible lung mass. Needs PET.", ADA)]
    assert report.findings == (mass,)


@pytest.mark.parametrize(
    ("decision", "kept"),
    [
        (Decision("t", "accept", AT), False),
        (Decision("t", "modify", AT, modified=Finding("t", vocabulary.LUNG_NODULE, "uncertain", ADA)), False),
        (Decision("t", "modify", AT, modified=Finding("t", vocabulary.LUNG_NODULE, "absent", ADA)), True),
        (Decision("t", "reject", AT, "artefact"), True),
    ],
)
def test_a_denial_that_the_reader_gave_up_is_not_stated_beside_its_opposite(
    decision: Decision, kept: bool
) -> None:
    denial = Finding("m", vocabulary.LUNG_NODULE, "absent", ADA)
    report = draft(reading(decision, own=(denial,)), contradicted=(("m", "t"),))
    assert ("m" in [f.id for f in report.findings]) is kept
    assert any(s.findings == ("m",) for s in sentences(report)) is kept


def test_an_agreed_pair_makes_one_sentence_and_one_line_of_the_impression() -> None:
    report = draft(reading(Decision("t", "accept", AT), own=(MINE,)), agreed=(("m", "t"),))
    texts = sentences(report)
    assert [s.text for s in texts] == [
        "Lung nodule, right.",
        "Measured for lung nodule: diameter 6.543 mm (6 to 7).",
    ]
    assert texts[0].findings == ("m", "t")
    assert len(sentences(report, "impression")) == 1


def test_turkish_numbers_have_a_comma_and_sentences_a_turkish_order() -> None:
    report = draft(reading(Decision("t", "accept", AT)), language="tr")
    assert [s.text for s in sentences(report)] == [
        "Akciğer nodülü izlendi.",
        "Akciğer nodülü için ölçüldü: çap 6,543 mm (6 ile 7 arası).",
    ]


@pytest.mark.parametrize(
    ("status", "english", "turkish"),
    [
        ("present", "Lung nodule, right.", "Akciğer nodülü, sağ izlendi."),
        ("absent", "No lung nodule, right.", "Akciğer nodülü, sağ saptanmadı."),
        ("uncertain", "Possible lung nodule, right.", "Olası akciğer nodülü, sağ."),
        ("historical", "Known from before: lung nodule, right.", "Önceden bilinen akciğer nodülü, sağ."),
    ],
)
def test_every_status_has_its_sentence(status: str, english: str, turkish: str) -> None:
    finding = Finding("m", vocabulary.LUNG_NODULE, status, ADA, laterality=vocabulary.RIGHT)  # type: ignore[arg-type]
    assert report_draft.finding_text(finding, "en") == english
    assert report_draft.finding_text(finding, "tr") == turkish


def test_simulated_images_are_called_so() -> None:
    assert "simulated" in sentences(draft(reading()), "technique")[0].text


def test_kept_words_do_not_keep_what_is_no_longer_accepted() -> None:
    accepted = draft(reading(Decision("t", "accept", AT)))
    kept = Report(
        "1.1",
        "en",
        (
            Section(
                "findings", (Sentence("A small nodule.", ADA, ("t",)), Sentence("Lungs else clear.", ADA))
            ),
        ),
    )
    now = report_draft.merge(accepted, kept, ADA)
    assert [s.text for s in sentences(now)][:2] == ["A small nodule.", "Lungs else clear."]
    rejected = report_draft.merge(draft(reading(Decision("t", "reject", AT, "artefact"))), kept, ADA)
    assert "A small nodule." not in [s.text for s in sentences(rejected)]
    assert "Lungs else clear." in [s.text for s in sentences(rejected)]


def test_changed_words_of_a_model_become_the_readers() -> None:
    accepted = draft(reading(Decision("t", "accept", AT)))
    same, changed = sentences(accepted)
    kept = Report(
        "1.1",
        "en",
        (Section("findings", (Sentence(same.text, ADA, ("t",)), Sentence(changed.text + "!", ADA, ("t",)))),),
    )
    merged = sentences(report_draft.merge(accepted, kept, ADA))
    assert [(s.origin, s.accepted_by) for s in merged] == [(NET, ADA), (ADA, None)]


def test_a_report_with_a_models_unaccepted_words_can_not_be_signed() -> None:
    words = (Section("findings", (Sentence("Lung nodule.", NET, ("t",)),)),)
    with pytest.raises(InputError, match="nobody accepted"):
        Report("1.1", "en", words, signature=Signature(ADA, AT))


def test_every_code_of_the_vocabulary_has_words_in_both_languages() -> None:
    for concept in vocabulary.findings():
        assert concept.value in wording._WORDS, concept
