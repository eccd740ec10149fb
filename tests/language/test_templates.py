"""Templates: both languages say the same, and what is written is read back."""

from __future__ import annotations

from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Literal

import pytest

from coread.errors import InputError
from coread.language import TextFinding, structure
from coread.language.packs import pack
from coread.language.templates import html, load_templates, sentence, template, templates, write


def make(
    name: str,
    status: str = "present",
    side: str | None = None,
    location: str | None = None,
    change: str | None = None,
) -> TextFinding:
    return TextFinding(
        finding=name,
        status=status,  # type: ignore[arg-type]
        laterality=side,
        location=location,
        change=change,  # type: ignore[arg-type]
        start=0,
        end=0,
        sentence=0,
        section="body",
    )


def test_the_templates_are_there() -> None:
    assert len(templates()) >= 14
    with pytest.raises(InputError, match="no template"):
        template("x")


@pytest.mark.parametrize("name", templates())
def test_both_languages_state_the_same(name: str) -> None:
    form = template(name)
    for english, turkish in zip(form.normal["en"], form.normal["tr"], strict=True):
        first, second = structure(english, "en"), structure(turkish, "tr")
        said = [(f.finding, f.status) for f in first.findings]
        assert said, english
        assert said == [(f.finding, f.status) for f in second.findings], turkish
        assert all(f.status == "absent" for f in first.findings)


@pytest.mark.parametrize("language", ["en", "tr"])
def test_every_finding_is_read_back_from_its_sentence(language: Literal["en", "tr"]) -> None:
    wrong = []
    for name in pack(language).terms:
        if name in pack(language).concepts.procedures:
            continue  # always of the past
        for status, side in product(("present", "absent", "uncertain", "historical"), (None, "left")):
            text = sentence(make(name, status, side), language)
            got = [(f.finding, f.status, f.laterality) for f in structure(text, language).findings]
            if got != [(name, status, side)]:
                wrong.append((text, got))
    assert not wrong


@pytest.mark.parametrize("language", ["en", "tr"])
@pytest.mark.parametrize("change", [None, "new", "increased", "decreased", "stable"])
def test_size_place_and_change_come_back(language: Literal["en", "tr"], change: str | None) -> None:
    finding = make("nodule", "present", "right", "upper lobe", change)
    report = structure(sentence(finding, language, size_mm=(12.0, 9.0)), language)
    (read,) = report.findings
    assert (read.finding, read.status, read.laterality, read.location, read.change) == (
        "nodule",
        "present",
        "right",
        "upper lobe",
        change,
    )
    assert report.measurements[0].values_mm == (12.0, 9.0)
    assert report.measurements[0].of == "nodule"


@pytest.mark.parametrize("language", ["en", "tr"])
def test_a_written_report_is_read_back_whole(language: Literal["en", "tr"]) -> None:
    findings = [
        make("pleural effusion", "present", "left"),
        make("nodule", "uncertain", "right", "upper lobe"),
    ]
    text = write("chest_ct", findings, language, sizes_mm=[(), (8.0,)])
    report = structure(text, language)
    body = {(f.finding, f.status, f.laterality) for f in report.findings if f.section == "findings"}
    assert {("pleural effusion", "present", "left"), ("nodule", "uncertain", "right")} <= body
    assert ("consolidation", "absent", None) in body
    assert not any(
        f.finding in ("nodule", "pleural effusion") and f.status == "absent" for f in report.findings
    )
    final = [f.finding for f in report.findings if f.section == "impression"]
    assert final == ["pleural effusion", "nodule"]


def test_a_changed_word_is_noticed() -> None:
    text = write("chest_ct", [make("pleural effusion", "present", "left")])
    changed = structure(text.replace("Left pleural", "Right pleural"), "en")
    assert {f.laterality for f in changed.findings if f.finding == "pleural effusion"} == {"right"}


def test_templates_of_your_own(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(
        'version = "1"\n[wrist_radiograph]\nmodality = "DX"\ntitle = ["Wrist", "El bileği"]\n'
        'technique = ["Two views.", "İki yönlü grafi."]\nnormal = [["No fracture.", "Kırık saptanmadı."]]\n',
        encoding="utf-8",
    )
    try:
        assert load_templates(path) == ("wrist_radiograph",)
        report = structure(write("wrist_radiograph", [], "tr"), "tr")
        assert [(f.finding, f.status) for f in report.findings] == [("fracture", "absent")]
    finally:
        templates().pop("wrist_radiograph", None)
    path.write_text(path.read_text("utf-8").replace("No fracture.", "All is well."), encoding="utf-8")
    with pytest.raises(InputError, match="no finding is read"):
        load_templates(path)
    path.write_text("[x]", encoding="utf-8")
    with pytest.raises(InputError, match="no templates"):
        load_templates(path)


@pytest.mark.parametrize("name", templates())
def test_html_is_well_formed(name: str) -> None:
    class Reader(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []
            self.sections = 0

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag != "meta":
                self.open.append(tag)
            self.sections += tag == "section"

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    for language in ("en", "tr"):
        reader = Reader()
        reader.feed(html(name, language))  # type: ignore[arg-type]
        assert not reader.open
        assert reader.sections == 4
