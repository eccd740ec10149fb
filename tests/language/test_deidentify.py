"""Identifiers leave the text, medicine stays."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest

from coread.language.deidentify import deidentify, identifiers

LINES = tomllib.loads((Path(__file__).parent / "identifiers.toml").read_text("utf-8"))


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("Patient name: John A. Smith, MRN: 00123456.", ["John", "Smith", "00123456"]),
        (
            "Discussed with Dr. Mary O'Neil at 10:30 on 14 March 2021.",
            ["Mary", "Neil", "10:30", "14 March 2021"],
        ),
        ("Compared with 2021-03-14 and 03/14/2021.", ["2021-03-14", "03/14/2021"]),
        ("Hasta Adı: Ayşe Yılmaz, TC Kimlik No: 12345678901", ["Ayşe", "Yılmaz", "12345678901"]),
        (
            "Uzm. Dr. Mehmet Öztürk ile görüşüldü. 12.05.2023 tarihli tetkik.",
            ["Mehmet", "Öztürk", "12.05.2023"],
        ),
        ("Lives at 12 Oak Hill Road, phone 555 123 45 67, a.b@c.org", ["Oak Hill", "555", "a.b@c.org"]),
        ("Atatürk Mah. No: 12, Ankara Hastanesi", ["Atatürk", "Ankara Hastanesi"]),
        ("SMITH^JOHN 1.2.840.113619.2.55.3.1", ["SMITH", "1.2.840.113619"]),
        ("Dr. Jones called. Jones agreed.", ["Jones"]),
    ],
)
def test_identifiers_are_taken_out(text: str, gone: list[str]) -> None:
    cleaned = deidentify(text)
    assert all(word not in cleaned for word in gone), cleaned


@pytest.mark.parametrize(
    "text",
    [
        "No pneumothorax. 6 mm nodule in the right upper lobe (series 3, image 85).",
        "BI-RADS 4B, biopsy in 6 weeks. T2 hyperintense lesion at L4-L5.",
        "Sağ böbrekte 4,5 mm taş izlendi.",
    ],
)
def test_medicine_stays(text: str) -> None:
    assert deidentify(text) == text


def test_twice_is_once() -> None:
    text = "Dr. Jane Smith, 03/14/2021, MRN: 1234567."
    assert deidentify(deidentify(text)) == deidentify(text)


@pytest.mark.parametrize("language", ["en", "tr"])
def test_recall_on_lines_of_many_kinds(language: str) -> None:
    lines = LINES[language]["lines"]
    left = [(word, deidentify(line)) for line, *gone in lines for word in gone if word in deidentify(line)]
    total = sum(len(gone) for _, *gone in lines)
    assert len(left) <= 0.01 * total, left


@pytest.mark.parametrize("text", LINES["kept"]["lines"])
def test_eponyms_numbers_and_scores_stay(text: str) -> None:
    assert deidentify(text) == text


@pytest.mark.parametrize("unit", ["MRN ", "Name: ", "12 ", "Abc ", "Dr. A. ", "discussed with "])
def test_repetition_takes_no_more_than_its_length(unit: str) -> None:
    """Ten times the text takes about ten times the time (a square would take a hundred times)."""

    def seconds(length: int) -> float:
        start = time.process_time()
        identifiers(unit * (length // len(unit)))
        return time.process_time() - start

    seconds(1_000)
    assert seconds(20_000) < 30 * max(seconds(2_000), 0.005)
