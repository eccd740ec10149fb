"""Report text to structure: grammar, sides, sizes, recommendations, urgency, in two languages."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coread.errors import InputError
from coread.language import StructuredReport, structure


def said(text: str, language: str = "auto") -> list[tuple[str, str]]:
    return [(f.finding, f.status) for f in structure(text, language).findings]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "No evidence of pneumothorax or pleural effusion.",
            [("pneumothorax", "absent"), ("pleural effusion", "absent")],
        ),
        ("Fracture: none. Ascites is not seen.", [("fracture", "absent"), ("ascites", "absent")]),
        ("1.No evidence of pneumonia\n2.Atelectasis", [("pneumonia", "absent"), ("atelectasis", "present")]),
        (
            "NO PNEUMOTHORAX BUT SMALL EFFUSION.",
            [("pneumothorax", "absent"), ("pleural effusion", "present")],
        ),
        ("No finding suspicious for appendicitis.", [("appendicitis", "absent")]),
        ("Pneumonia cannot be excluded.", [("pneumonia", "uncertain")]),
        (
            "Consolidation consistent with pneumonia.",
            [("consolidation", "present"), ("pneumonia", "present")],
        ),
        ("Father had lung cancer.", [("lung cancer", "historical")]),
        ("No change in the hepatic cyst.", [("cyst", "present")]),
        (
            "The spleen is enlarged. The liver is normal in size.",
            [("splenomegaly", "present"), ("hepatomegaly", "absent")],
        ),
        ("Kolesistit bulgusu saptanmadı.", [("cholecystitis", "absent")]),
        (
            "Solda plevral efüzyon izlenirken sağda efüzyon izlenmedi.",
            [("pleural effusion", "present"), ("pleural effusion", "absent")],
        ),
        ("Efüzyon saptanmdı.", [("pleural effusion", "uncertain")]),  # saptandı or saptanmadı?
        ("Efüzyon saptanmadi.", [("pleural effusion", "absent")]),
        ("PNÖMOTORAKS İZLENMEDİ.", [("pneumothorax", "absent")]),
        ("Apandisit ekarte edilemez.", [("appendicitis", "uncertain")]),
        ("Nodüller ve kitlesi mevcuttur.", [("nodule", "present"), ("mass", "present")]),
    ],
)
def test_status_follows_the_grammar(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


def test_every_assertion_names_its_words() -> None:
    text = "There is no evidence of a large left pleural effusion."
    (finding,) = structure(text).findings
    assert {cue.role for cue in finding.cues} >= {"finding", "negated", "laterality", "severity"}
    assert all(text[cue.start : cue.end] == cue.text for cue in finding.cues)


@pytest.mark.parametrize(
    ("text", "values", "prior", "of"),
    [
        ("A 2.2 x 1.4 cm nodule.", (22, 14), None, "nodule"),
        ("The mass measures 23 mm (previously 18 mm).", (23,), (18,), "mass"),
        ("Nodule increased from 8 to 12 mm.", (12,), (8,), "nodule"),
        ("Böbrekte 4,5 mm taş izlendi.", (4.5,), None, "calculus"),
        ("Önceki tetkikte 12 mm ölçülen nodül bugün 15 mm ölçülmüştür.", (15,), (12,), "nodule"),
    ],
)
def test_sizes(text: str, values: tuple[float, ...], prior: tuple[float, ...] | None, of: str) -> None:
    (size,) = structure(text).measurements
    assert (size.values_mm, size.prior_mm, size.of) == (values, prior, of)


@pytest.mark.parametrize(
    "text",
    [
        "Attenuation of 45 HU in series 3.",
        "5 mm axial sections were obtained.",
        "Retract the tube by 2-3 cm.",
        "BI-RADS 4B.",
    ],
)
def test_numbers_that_are_no_sizes(text: str) -> None:
    assert structure(text).measurements == ()


def test_size_with_series_and_image_of_the_sentence_before() -> None:
    report = structure(
        "Mass in the left upper lobe (series 3, image 85). This currently measures 2.8 x 2.1 cm."
    )
    (size,) = report.measurements
    assert (size.of, size.series, size.image) == ("mass", 3, 85)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Recommend follow-up CT in 6-12 months.", ("CT", 6, 12)),
        ("Annual mammography is recommended.", ("mammogram", 12, 12)),
        ("No further follow-up is needed.", ("none", None, None)),
        ("3 ay sonra kontrol ultrason önerilir.", ("ultrasound", 3, 3)),
        ("Takip gerekmez.", ("none", None, None)),
    ],
)
def test_recommendations(text: str, expected: tuple[str, float | None, float | None]) -> None:
    asked = structure(text).recommendation
    assert asked is not None
    assert (asked.what, asked.min_months, asked.max_months) == expected


@pytest.mark.parametrize(
    "text",
    ["Clinical correlation recommended.", "CT of the chest in 2012 showed a nodule.", "45 year old male."],
)
def test_no_recommendation(text: str) -> None:
    assert structure(text).recommendation is None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Acute subarachnoid hemorrhage.", 1),
        ("Large tension pneumothorax on the right.", 1),
        ("No subarachnoid hemorrhage.", None),
        ("Rule out pulmonary embolism.", None),
        ("Old healed rib fracture.", None),
        ("Subaraknoid kanama izlendi.", 1),
        ("Family history of aortic dissection.", None),
    ],
)
def test_urgency(text: str, category: int | None) -> None:
    assert structure(text).critical == category


def test_communication_is_seen() -> None:
    report = structure("Pulmonary embolism. Findings were discussed with Dr. Smith at 10:30.")
    assert report.critical == 1
    assert report.communication is not None


def test_sections_with_typing_errors() -> None:
    report = structure("ndication: cough\n\nFidnings: No pneumonia.\n\nIMPRESSION: Normal.")
    assert [section.name for section in report.sections] == ["indication", "findings", "impression"]


@pytest.mark.parametrize("text", ["", " ", "\n\n", ".", "(", "12", "🙂 mm", "No", "a" * 5000])
def test_any_text_has_a_structure(text: str) -> None:
    assert isinstance(structure(text), StructuredReport)


def test_unknown_language_is_refused() -> None:
    with pytest.raises(InputError, match="rule pack"):
        structure("x", "xx")


def test_findings_keep_their_meaning_when_the_order_of_sentences_changes() -> None:
    first, second = "No pneumothorax.", "8 mm nodule in the right upper lobe."
    assert sorted(said(f"{first} {second}")) == sorted(said(f"{second} {first}"))


@pytest.fixture(scope="module")
def challenge(shared: Path) -> list[dict[str, object]]:
    lines = (shared / "reports" / "challenge.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_challenge_sentences(challenge: list[dict[str, object]]) -> None:
    total = right = values = values_right = linked = 0
    for row in challenge:
        document = structure(str(row["text"])).document()
        got = [(f["finding"], f["status"]) for f in document["findings"]]
        for finding in row["findings"]:  # type: ignore[attr-defined]
            total += 1
            right += (finding["finding"], finding["status"]) in got
        for size in row["measurements"]:  # type: ignore[attr-defined]
            values += 1
            for said_size in document["measurements"]:
                if sorted(said_size["values_mm"]) == sorted(size["values_mm"]):
                    values_right += 1
                    linked += (said_size["of"], said_size["prior_mm"]) == (size["of"], size["prior_mm"])
                    break
        if row["critical"] == 1:
            assert document["critical"] == 1, row["text"]
    assert right / total >= 0.95
    assert values_right == values
    assert linked / values >= 0.95


def test_speed(shared: Path) -> None:
    """Whole structure of reports of about 40 words, in time of this process; a low floor: it may be busy."""
    lines = (shared / "reports" / "negex.jsonl").read_text("utf-8").splitlines()
    text = " ".join(json.loads(line)["sentence"] for line in lines[:600]).split()
    reports = ["FINDINGS: " + " ".join(text[i : i + 40]) for i in range(0, len(text) - 40, 40)]
    structure(reports[0], "en")
    start = time.process_time()
    for report in reports:
        structure(report, "en")
    assert len(reports) / (time.process_time() - start) > 1_000


@pytest.mark.parametrize(
    "unit",
    [
        "No focal consolidation, pleural effusion or pneumothorax. 8 mm nodule in the left lower lobe. ",
        "no consolidation or nodule 8 mm in the left lower lobe, ",  # dictated without a full stop
        "Findings: no mass. ",
    ],
)
def test_the_work_grows_with_the_length(unit: str) -> None:
    """Eight times the text takes about eight times the time (a square would take 64 times)."""

    def seconds(length: int) -> float:
        text = (unit * (length // len(unit) + 1))[:length]
        times = []
        for _ in range(3):
            start = time.process_time()
            structure(text, "en")
            times.append(time.process_time() - start)
        return min(times)

    seconds(1_000)
    assert seconds(120_000) / seconds(15_000) < 20


WORDS = [
    "no",
    "evidence",
    "of",
    "nodule",
    "mass",
    "effusion",
    ",",
    ".",
    ";",
    ":",
    "(",
    ")",
    "\n",
    "but",
    "which",
    "versus",
    "possible",
    "12",
    "mm",
    "2.2",
    "x",
    "1.4",
    "cm",
    "previously",
    "from",
    "to",
    "left",
    "right",
    "upper",
    "lobe",
    "recommend",
    "CT",
    "in",
    "3",
    "months",
    "yok",
    "izlendi",
    "saptanmadı",
    "sağ",
    "böbrekte",
    "taş",
    "İZLENMEDİ",
    "önceki",
    "8'den",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40), st.sampled_from(["auto", "en", "tr"]))
def test_words_in_any_order_keep_their_places(words: list[str], language: str) -> None:
    text = " ".join(words)
    report = structure(text, language)
    cued = [*report.findings, *report.measurements, *report.recommendations]
    assert all(report.text[c.start : c.end] == c.text for item in cued for c in item.cues)
    assert report.document() == structure(text, language).document()
    assert all(size.finding is None or size.finding < len(report.findings) for size in report.measurements)
