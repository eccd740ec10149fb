"""The text of a report as TID 2000: read back by DCMTK, no error of dciodvfy; whose each sentence is."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from tests.interop import cases
from tests.interop.dicom.objects import author, plain_source, program, verify

from coread.core import Addendum, Imported, Section, Sentence, Signature, Template
from coread.core.report import SECTION_NAMES, Edit
from coread.errors import InputError
from coread.interop.dicom.sr_narrative import write_narrative
from coread.interop.dicom.writing import to_bytes

TEMPLATE = Sentence(
    "Küçük plevral efüzyon.",
    Template("chest_ct", "1"),
    accepted_by=cases.DOCTOR,
    accepted_at=cases.SIGNED_AT,
    edits=(Edit(cases.DOCTOR, cases.SIGNED_AT, "Plevral efüzyon saptanmadı."),),
)
IMPORTED = Sentence("BT, 4 Mart 2026.", Imported("DICOM"), accepted_by=cases.DOCTOR)
SECTIONS = tuple(
    Section(name, (Sentence(f"Bölüm {name}.", cases.DOCTOR), TEMPLATE, IMPORTED)) for name in SECTION_NAMES
)


def write(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "text.dcm"
    content = cases.content(**{"sections": (*SECTIONS, *cases.SECTIONS), **changes})
    path.write_bytes(to_bytes(write_narrative(content, plain_source(cases.GRID), author(cases.DOCTOR))))
    return path


def containers(path: Path) -> dict[str, list[Dataset]]:
    """Texts of each heading by its code."""
    found: dict[str, list[Dataset]] = {}
    for item in pydicom.dcmread(path).ContentSequence:
        if item.ValueType == "CONTAINER":
            name = item.ConceptNameCodeSequence[0]
            texts = [
                i for i in item.ContentSequence if i.ValueType == "TEXT" and i.RelationshipType == "CONTAINS"
            ]
            found.setdefault(f"{name.CodingSchemeDesignator}/{name.CodeValue}", []).extend(texts)
    return found


def test_the_document_is_a_basic_diagnostic_imaging_report(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert verify(path) == []
    dataset = pydicom.dcmread(path)
    assert dataset.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert dataset.ContentTemplateSequence[0].TemplateIdentifier == "2000"
    assert dataset.ConceptNameCodeSequence[0].CodeValue == "11528-7"
    assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("COMPLETE", "VERIFIED")
    # PS3.16 CID 7001, in the order of our sections: request, indications, procedure, previous findings,
    # findings, impressions, recommendations, communication, radiation exposure
    headings = ["55115-0", "18785-6", "55111-9", "18834-2", "59776-5", "19005-8", "18783-1", "73568-8"]
    expected = [f"LN/{code}" for code in (*headings, "73569-6")]
    assert list(containers(path))[: len(expected)] == expected


def test_dcmtk_reads_every_sentence(tmp_path: Path) -> None:
    path = write(tmp_path)
    done = subprocess.run(
        [program("dsrdump"), "+Pl", str(path)], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    assert "Comprehensive SR Document" in done.stdout
    assert not [line for line in done.stderr.splitlines() if line.startswith("E:")]
    for section in SECTIONS:
        assert section.sentences[0].text in done.stdout


def test_a_sentence_says_whose_it_is_and_what_was_changed(tmp_path: Path) -> None:
    texts = {str(t.TextValue): t for t in containers(write(tmp_path))["LN/59776-5"]}

    def notes(text: Dataset) -> dict[str, str]:
        found = {}
        for item in text.ContentSequence:
            code = item.ConceptNameCodeSequence[0].CodeValue
            found[str(code)] = str(item.get("TextValue") or item.get("PersonName") or item.ValueType)
        return found

    edited = notes(texts["Küçük plevral efüzyon."])
    assert edited["template"] == "chest_ct 1"
    assert edited["edited-from"] == "Plevral efüzyon saptanmadı."
    assert edited["accepted-by"] == "dr.şahin^"
    assert notes(texts["BT, 4 Mart 2026."])["imported"] == "DICOM"
    assert "accepted-by" not in notes(texts["Bölüm findings."])
    model = notes(texts["Emphysema: LAA-950 12.3 %."])
    assert model["121013"] == "lung_ct"  # device observer name
    assert model["accepted-by"] == "dr.şahin^"


def test_addenda_follow_and_another_text_makes_another_document(tmp_path: Path) -> None:
    later = Addendum("Klinisyen arandı.", Signature(cases.DOCTOR, cases.AT))
    path = write(tmp_path, addenda=(later,))
    assert [str(t.TextValue) for t in containers(path)["LN/55107-7"]] == ["Klinisyen arandı."]
    assert verify(path) == []


def test_what_nobody_accepted_is_not_signed_and_without_words_there_is_none() -> None:
    bare = (Section("findings", (replace(TEMPLATE, accepted_by=None),)),)
    with pytest.raises(InputError, match="nobody accepted"):
        cases.content(sections=bare)
    unsigned = cases.content(sections=bare, signature=None)
    dataset = write_narrative(unsigned, plain_source(cases.GRID), author(cases.DOCTOR))
    assert (dataset.CompletionFlag, dataset.VerificationFlag) == ("PARTIAL", "UNVERIFIED")
    with pytest.raises(InputError, match="without text"):
        write_narrative(cases.content(sections=()), plain_source(cases.GRID), author(cases.DOCTOR))
