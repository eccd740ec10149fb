"""HTML and PDF of a report: complete, self-contained, in two languages; key images show the right place."""

from __future__ import annotations

import html.parser
import io
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from tests.interop import cases
from tests.interop.dicom.objects import author

from coread.core import (
    Acquisition,
    Addendum,
    Box,
    Contour,
    Geometry,
    Imported,
    MaskRegion,
    OnInstance,
    PatientSpace,
    Point,
    Section,
    Sentence,
    Signature,
    Template,
    Volume,
)
from coread.core.report import Edit
from coread.interop.dicom.values import Window
from coread.interop.report_documents import describe, key_image, write_html, write_pdf, write_text
from coread.interop.report_documents.words import _WORDS

IN_CT = PatientSpace(cases.FRAME)
OUTLINE = np.array([255, 196, 0])


def pictures() -> list:  # type: ignore[type-arg]
    made = [key_image(cases.volume(), f) for f in cases.FINDINGS]
    made += [key_image(cases.radiograph(), f) for f in cases.FINDINGS]
    return [picture for picture in made if picture is not None]


def page(**changes: object) -> str:
    view = describe(cases.content(**changes), author(), pictures=pictures())
    return write_html(view).decode()


class Parser(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def parsed(text: str) -> Parser:
    parser = Parser()
    parser.feed(text)
    assert parser.open == []
    return parser


def words(text: str) -> str:
    return re.sub(r"\s+", " ", " ".join(parsed(text).text))


def test_html_needs_nothing_from_outside() -> None:
    parser = parsed(page())
    assert not [tag for tag, _ in parser.tags if tag in ("script", "link", "iframe", "form")]
    sources = [attrs["src"] or "" for tag, attrs in parser.tags if tag == "img"]
    assert len(sources) == len(pictures()) == 6
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http://" not in page()
    assert "https://" not in page()
    assert all(attrs.get("alt") for tag, attrs in parser.tags if tag == "img")


def test_html_escapes_what_people_write() -> None:
    text = page()
    assert "<i>değil</i>" not in text
    assert "&lt;i&gt;değil&lt;/i&gt; &amp; nodül" in text
    nasty = (Section("findings", (Sentence("<script>alert(1)</script>", cases.DOCTOR),)),)
    assert "<script" not in page(sections=nasty)


def test_page_states_everything() -> None:
    shown = words(page())
    for text in (
        "YILMAZ İSMAİL ÇAĞRI",
        "dr.şahin",
        "Sağ üst lobda nodül.",
        "lung_ct 1.0.0, dr.şahin kabul etti",
        "0,87 (kalibre)",
        "0,81 – 0,92 (95 %, bootstrap over patients)",
        "0,29",
        "2 / 6",
        "12,35 %",
        "lungs touch the edge of the image",
        "skin fold",
        "artefakt",
        "reddedildi",
        "değiştirildi",
        "not like its training films",
        "abababab",
        "Yalnızca araştırma amaçlıdır",
        "SİMÜLASYON",
        "dr.şahin imzaladı, 4 Mart 2026 09:30",
        "-861,5 HU",
    ):
        assert text in shown, text
    assert "Ön sonuç" not in shown


def test_rejected_findings_are_only_among_the_decisions() -> None:
    text = page(findings=tuple(f for f in cases.FINDINGS if f.id != "own-5"))
    parts = text.split("<h2>")
    holding = [part.split("</h2>")[0] for part in parts if "Pneumothorax" in part]
    assert holding == ["Model bulguları hakkında kararlar"]


def test_unread_and_real_reports_say_so() -> None:
    unread = words(page(signature=None, language="en", sections=(), decisions=()))
    assert "Preliminary: not read by a person." in unread
    assert "Signed by" not in unread
    real = tuple(cases.header(h.instance, h.series, h.modality, simulated=False) for h in cases.HEADERS)
    assert "SİMÜLASYON" not in words(page(headers=real))
    addendum = Addendum("Ek açıklama", Signature(cases.DOCTOR, cases.SIGNED_AT))
    assert "Ek açıklama" in words(page(addenda=(addendum,)))


def test_catalogue_has_the_same_gaps_in_both_languages() -> None:
    for english, turkish in _WORDS.values():
        gaps = [set(re.findall(r"{(\w+)}", text)) for text in (english, turkish)]
        assert gaps[0] == gaps[1]
        assert english.strip()
        assert turkish.strip()


def test_concepts_are_said_in_the_words_handed_in() -> None:
    view = describe(cases.content(), author(), words=lambda concept: f"«{concept.value}»")
    assert "«87433001»" in words(write_html(view).decode())


def _pdf(tmp_path: Path, **changes: object) -> tuple[str, str]:
    for name in ("pdftotext", "pdffonts"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name} of the Debian package poppler-utils")
    path = tmp_path / "report.pdf"
    path.write_bytes(write_pdf(describe(cases.content(**changes), author(), pictures=pictures())))
    text = subprocess.run(
        ["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True
    ).stdout
    fonts = subprocess.run(["pdffonts", str(path)], capture_output=True, text=True, check=True).stdout
    return text, fonts


def test_pdf_has_turkish_letters_in_an_embedded_font(tmp_path: Path) -> None:
    text, fonts = _pdf(tmp_path)
    for expected in (
        "YILMAZ İSMAİL ÇAĞRI",
        "Sağ üst lobda nodül.",
        "dr.şahin imzaladı",
        "0,29",
        "<i>değil</i> &",
    ):
        assert expected in text
    assert "SİMÜLASYON" in text
    used = [line for line in fonts.splitlines()[2:] if line.strip()]
    assert used
    for line in used:
        assert "DejaVuSans" in line
        assert line.split()[-5] == "yes"  # column emb


def test_pdf_is_the_same_for_the_same_report() -> None:
    view = describe(cases.content(), author(), pictures=pictures())
    assert write_pdf(view) == write_pdf(view)


def test_pdf_takes_long_texts(tmp_path: Path) -> None:
    long = tuple(Sentence(f"Cümle {n}: " + "uzun metin " * 40, cases.DOCTOR) for n in range(40))
    text, _ = _pdf(tmp_path, sections=(Section("findings", long),))
    assert "Cümle 39" in text
    assert "Sayfa 2" in text


def pixels(picture) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.asarray(Picture.open(io.BytesIO(picture.png)).convert("RGB")).astype(int)


def drawn(picture) -> np.ndarray:  # type: ignore[no-untyped-def]
    return np.argwhere((pixels(picture) == OUTLINE).all(axis=-1))


def test_outline_of_a_mask_lies_on_its_largest_slice() -> None:
    picture = key_image(cases.volume(), cases.NODULE)
    assert picture is not None
    assert picture.slice_number == 4  # slices 3 and 4 (from 0) are equally large, the first is shown
    edge = drawn(picture)
    scale = picture.height / 64
    assert edge.min(axis=0) / scale == pytest.approx([20, 35], abs=0.3)
    assert (edge.max(axis=0) + 1) / scale == pytest.approx([30, 45], abs=0.3)
    centre = pixels(picture)[round(25 * scale), round(40 * scale)]
    far = pixels(picture)[round(5 * scale), round(5 * scale)]
    assert centre.min() > far.max()


@pytest.mark.parametrize(
    ("region", "low", "high", "number"),
    [
        # LPS to (row, column): x = -20 + 0.7 column, y = -30 + 0.7 row, z = 100 + 2.5 slice
        (Box((-13.0, -16.0, 104.0), (-6.0, -9.0, 106.0), IN_CT), (20, 10), (30, 20), 3),
        (
            Contour(
                ((-13.0, -16.0, 105.0), (-6.0, -16.0, 105.0), (-6.0, -9.0, 105.0)), PatientSpace(cases.FRAME)
            ),
            (20, 10),
            (30, 20),
            3,
        ),
        (
            Box((20.0, 10.0), (30.0, 20.0), OnInstance(cases.DX_INSTANCE, cases.PLANE)),
            (20, 10),
            (30, 20),
            None,
        ),
    ],
)
def test_lines_lie_where_the_region_is(region, low, high, number) -> None:  # type: ignore[no-untyped-def]
    finding = replace(cases.OWN_BOX, region=region)
    part = cases.volume() if number else cases.radiograph()
    picture = key_image(part, finding)
    assert picture is not None
    assert picture.slice_number == number
    scale = picture.height / part.values.shape[-2]
    edge = (drawn(picture) + 0.5) / scale - 0.5
    assert edge.min(axis=0) == pytest.approx(low, abs=0.3)
    assert edge.max(axis=0) == pytest.approx(high, abs=0.3)


def test_point_is_circled_and_pixels_are_square() -> None:
    geometry = Geometry.axial((3, 40, 80), (2.0, 2.0, 0.5))
    volume = Volume(np.zeros(geometry.shape, np.float32), geometry, "HU", Acquisition("CT"), "1.2.9")
    finding = replace(cases.OWN_POINT, region=Point((20.0, 30.0, 2.0), PatientSpace("1.2.9")))
    picture = key_image(volume, finding, window=Window(0.0, 100.0))
    assert picture is not None
    assert (picture.width, picture.height) == (240, 480)  # 40 mm x 80 mm
    middle = drawn(picture).mean(axis=0)
    assert middle == pytest.approx([(15 + 0.5) * 12, (40 + 0.5) * 3], abs=1)
    assert picture.slice_number == 2


def test_regions_elsewhere_have_no_picture() -> None:
    elsewhere = replace(cases.OWN_POINT, region=Point((0.0, 0.0, 0.0), PatientSpace("9.9")))
    assert key_image(cases.volume(), elsewhere) is None
    above = replace(cases.OWN_POINT, region=Point((0.0, 0.0, 900.0), PatientSpace(cases.FRAME)))
    assert key_image(cases.volume(), above) is None
    assert key_image(cases.volume(), cases.EMPHYSEMA) is None
    assert key_image(cases.radiograph(), cases.NODULE) is None


def test_mask_on_another_grid_is_drawn_where_it_lies() -> None:
    fine = Geometry.axial((16, 128, 128), (1.25, 0.35, 0.35), (-20.0, -30.0, 100.0))
    voxels = np.zeros(fine.shape, dtype=bool)
    voxels[6:11, 40:60, 70:90] = True
    from coread.core import Mask

    finding = replace(cases.NODULE, region=MaskRegion(Mask(voxels, fine), PatientSpace(cases.FRAME)))
    picture = key_image(cases.volume(), finding)
    assert picture is not None
    scale = picture.height / 64
    edge = drawn(picture)
    assert edge.min(axis=0) / scale == pytest.approx([20, 35], abs=0.3)
    assert (edge.max(axis=0) + 1) / scale == pytest.approx([30, 45], abs=0.3)


def test_plain_text_holds_every_sentence_and_says_which_are_a_models() -> None:
    view = describe(
        cases.content(addenda=(Addendum("Ek söz.", Signature(cases.DOCTOR, cases.AT)),)), author()
    )
    text = write_text(view).decode()
    assert (
        "Bulgular:\nSağ üst lobda nodül.\nEmphysema: LAA-950 12.3 %. [lung_ct 1.0.0, dr.şahin kabul etti]"
        in text
    )
    assert "Ek söz." in text
    assert "dr.şahin imzaladı" in text
    assert "SİMÜLASYON" in text


def test_a_sentence_of_a_template_and_a_changed_one_say_so() -> None:
    changed = Sentence(
        "Small effusion.",
        Template("chest_ct", "1"),
        accepted_by=cases.DOCTOR,
        edits=(Edit(cases.DOCTOR, cases.AT, "No effusion."),),
    )
    taken = Sentence("CT.", Imported("DICOM"), accepted_by=cases.DOCTOR)
    html = page(sections=(Section("findings", (changed, taken)),), language="en")
    assert "(template chest_ct 1, changed by dr.şahin, accepted by dr.şahin)" in html
    assert "(from DICOM, accepted by dr.şahin)" in html
