"""A reader's own text in the page: understood as it is written, with guideline and differential."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import planted as known
import pytest

from conftest import SIZES, drawn, keep

pytestmark = pytest.mark.browser
TEXT = "6 mm solid nodule in the right upper lobe. No pleural effusion. Tension pneumothorax."


def lines(page: Any, selector: str) -> list[str]:
    return [str(words).strip() for words in page.locator(selector).all_inner_texts()]


def test_text_is_understood_as_it_is_written_before_the_reveal(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(serve(planted, analyzers=(known.PLANTED,)), f"#/study/{known.CT.uid()}")
    drawn(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    # by keys alone: the tab, then the text
    page.get_by_role("tab", name="Text", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_label("Dictate, write or paste report text").focus()
    page.keyboard.type(TEXT)
    page.locator('[data-text-finding="pneumothorax"]').wait_for()
    # it waits until the typing stops: not every letter is asked for
    assert 1 <= sum("report-text" in url for url in asked) < len(TEXT) / 4

    assert "absent" in page.locator('[data-text-finding="pleural effusion"]').inner_text()
    assert "6 mm" in page.locator('[data-text-finding="nodule"]').inner_text()
    assert page.locator(".marked").inner_text() == TEXT
    assert {"6 mm", "No", "pleural effusion", "upper lobe"} <= set(lines(page, ".marked mark"))
    page.get_by_role("button", name="pleural effusion").focus()
    assert set(lines(page, ".marked mark.on")) == {"No", "pleural effusion"}
    page.get_by_text("Urgent, category 1").wait_for()
    page.get_by_text("Urgent, and no communication is documented").wait_for()
    keep(page, "text-usual")

    # the guideline takes what the text gives; the reader adds the rest
    page.get_by_role("button", name="Guideline fleischner").focus()
    page.keyboard.press("Enter")
    page.get_by_label("mean diameter mm").wait_for()
    assert page.get_by_label("mean diameter mm").input_value() == "6"
    assert page.get_by_label("type", exact=True).input_value() == "solid"
    page.get_by_label("count").fill("single")
    page.get_by_label("risk").fill("low")
    page.keyboard.press("Enter")
    answer = page.locator("[data-guideline=fleischner]")
    answer.wait_for()
    assert "6, 12" in answer.inner_text()  # MacMahon 2017: CT in 6 to 12 months
    assert "MacMahon" in answer.inner_text()
    keep(page, "text-guideline-usual")

    # the differential starts from the same text
    page.get_by_role("tab", name="Differential").click()
    page.get_by_label("In an upper lobe").wait_for()
    assert page.get_by_label("In an upper lobe").input_value() == "seen"
    assert page.get_by_label("Spiculated margin").input_value() == ""
    page.get_by_label("Spiculated margin").select_option("seen")
    page.get_by_role("button", name="Rank the diagnoses").click()
    page.locator("[data-diagnosis]").first.wait_for()
    assert page.locator(".ranking", has_text="must not be missed").count() == 1
    keep(page, "differential-usual")

    # the text is still there, and nothing of the machine was asked for
    page.get_by_role("tab", name="Text", exact=True).click()
    assert page.get_by_label("Dictate, write or paste report text").input_value() == TEXT
    assert not [url for url in asked if any(w in url for w in ("comparison", "reveal", "/maps/"))]


def test_the_differential_is_told_in_turkish(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(serve(planted), f"#/study/{known.CT.uid()}")
    page.evaluate_handle("() => localStorage.setItem('coread.preferences', '{\"language\": \"tr\"}')")
    page.reload()
    drawn(page)
    page.get_by_role("tab", name="Ayırıcı tanı").click()
    page.get_by_label("Alan").select_option("lung_nodule")
    page.get_by_label("Spiküle kenar").select_option("seen")
    page.get_by_role("button", name="Tanıları sırala").click()
    page.locator("[data-diagnosis]").first.wait_for()
    keep(page, "differential-turkish")
    english = page.locator("[lang=en]").count()
    assert english == 0


@pytest.mark.parametrize("size", SIZES)
def test_turkish_text_is_understood_and_told_in_turkish(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any], size: str
) -> None:
    page = open_page(serve(planted), f"#/study/{known.CT.uid()}", size=SIZES[size])
    page.evaluate_handle("() => localStorage.setItem('coread.preferences', '{\"language\": \"tr\"}')")
    page.reload()
    drawn(page)
    if size == "small":
        page.get_by_role("button", name="Panel", exact=True).click()
    page.get_by_role("tab", name="Metin", exact=True).click()
    page.get_by_label("Rapor metnini").fill("Plevral efüzyon saptanmadı.")
    effusion = page.locator('[data-text-finding="pleural effusion"]')
    effusion.wait_for()
    assert "Plevral efüzyon" in effusion.inner_text()
    assert "yok" in effusion.inner_text()
    assert "saptanmadı" in " ".join(lines(page, ".marked mark"))
    keep(page, f"text-turkish-{size}")
    page.get_by_label("Hangi kılavuz").select_option("fleischner")
    page.get_by_label("ortalama çap, mm").fill("7")
    page.get_by_label("tip", exact=True).fill("solid")
    page.get_by_label("sayı", exact=True).fill("single")
    page.get_by_label("risk", exact=True).fill("high")
    page.get_by_role("button", name="Kılavuzu uygula").click()
    page.get_by_text("solid, tek, 6-8 mm, yüksek risk").wait_for()
    keep(page, f"guideline-turkish-{size}")
    wide = page.evaluate_handle(
        "() => { const e = document.querySelector('.tab-panel'); return e.scrollWidth - e.clientWidth }"
    )
    assert wide.json_value() <= 0
