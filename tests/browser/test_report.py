"""The reader's own text from the first word to the signed report, and what it asks for afterwards."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import planted as known
import pytest

from conftest import SIZES, drawn, keep
from coread.core import Reader, Report, Section, Sentence, Signature
from coread.core.reading import Committed, Opened, Revealed, Signed
from coread.server.settings import ConfiguredReader
from coread.storage import Asked

pytestmark = pytest.mark.browser
FIELD = "Dictate, write or paste report text"
TEXT = "Findings: 6 mm solid nodule in the right upper lobe.\nImpression: Left upper lobe nodule."


LEAD = ConfiguredReader("lead", "Dr. Lead", "lead")


def sign(library: Any, study: str) -> None:
    """A signed report of a study, as it is kept."""
    at, reader = library.now(), Reader(LEAD.id)
    for n, event in enumerate((Opened(at), Committed(at, ()), Revealed(at, (), "1"), Signed(at))):
        library.readings.append(study, LEAD.id, event, expected=n)
    words = (Section("recommendations", (Sentence("CT chest in 6 months.", reader),)),)
    library.reports.save(study, LEAD.id, Report(study, "en", words, signature=Signature(reader, at)), {})


def panel(page: Any, size: str, name: str) -> None:
    """Bring a tab of the side panel up; on a small screen the panel is a drawer."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if size == "small" and not tab.is_visible():
        page.get_by_role("button", name="Panel", exact=True).click()
    tab.click()


@pytest.mark.parametrize("size", SIZES)
def test_text_is_kept_checked_signed_and_exported(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any], size: str
) -> None:
    served = serve(planted, analyzers=(known.PLANTED,))
    page = open_page(served, f"#/study/{known.CT.uid()}", size=SIZES[size])
    drawn(page)
    panel(page, size, "Text")
    page.get_by_label("Report template").select_option("chest_ct")
    page.get_by_role("button", name="Put it in").click()
    field = page.get_by_label(FIELD)
    assert "No pleural effusion." in field.input_value()
    field.fill(f"{TEXT}\n\n{field.input_value()}")
    page.get_by_text("Text saved at").wait_for()
    page.locator('[data-check="side_differs"]').wait_for()
    keep(page, f"report-text-{size}")

    # it is there again after a reload, before anything is committed
    page.reload()
    drawn(page)
    panel(page, size, "Text")
    page.locator('[data-check="side_differs"]').wait_for()
    assert page.get_by_label(FIELD).input_value().startswith(TEXT)

    # nothing was marked and nothing of the machine's is accepted, so that everything is the text's
    page.keyboard.press("Control+Enter")
    page.get_by_role("alert").wait_for()  # it asks whether nothing was found
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Report and sign: 3 findings").wait_for()
    page.keyboard.press("n")
    for left in (2, 1, 0):
        page.locator(".card.on[data-finding]").wait_for()
        page.keyboard.press("x")
        page.get_by_role("radio", name="Artefact").wait_for()
        page.keyboard.press("Enter")
        if left:
            page.get_by_role("button", name=f"Report and sign: {left} finding").wait_for()
    page.get_by_role("button", name="Go to the report").click()
    page.locator(".report-section").first.wait_for()
    assert page.get_by_text("from your text, template chest ct").count() > 3
    section = page.locator(".report-section", has_text="Findings").first
    assert "6 mm solid nodule in the right upper lobe." in section.inner_text()
    keep(page, f"report-checks-{size}")

    # signing waits for the checks: one is corrected, the others are answered
    assert page.get_by_role("button", name="Sign: ").is_disabled()
    panel(page, size, "Text")
    field = page.get_by_label(FIELD)
    words = field.input_value().replace("Impression: Left", "Impression: Right")
    page.locator('[data-check="present_and_absent"]').wait_for()
    field.fill(words.replace("No pulmonary nodule.", "No other nodule."))
    page.locator('[data-check="side_differs"]').wait_for(state="detached")
    page.locator('[data-check="present_and_absent"]').wait_for(state="detached")
    panel(page, size, "Report")
    check = page.locator('[data-check="follow_up_missing"]')
    check.get_by_role("button", name="Let it stand…").click()
    page.get_by_label("Why does it stand?").select_option("other")
    assert page.get_by_role("button", name="Let it stand", exact=True).is_disabled()
    keep(page, f"report-dismiss-{size}")
    page.get_by_label("In your words (needed)").fill("Known for ten years.")
    page.get_by_role("button", name="Let it stand", exact=True).click()
    page.get_by_text("Known for ten years.").wait_for()
    page.get_by_role("button", name="Sign", exact=False).and_(page.locator(".primary")).click()
    page.get_by_text("Signed. The report").wait_for(timeout=60_000)
    keep(page, f"report-signed-{size}")
    page.locator(".exports a").first.wait_for()
    for name in ("report.html", "report.txt"):
        with page.expect_download() as download:
            page.locator(".exports a", has_text=name).first.click()
        written = Path(download.value.path()).read_text(encoding="utf-8")
        assert "6 mm solid nodule in the right upper lobe." in written
        assert "No pericardial effusion." in written
    panel(page, size, "Text")
    assert page.get_by_label(FIELD).is_editable() is False
    reading, _ = served.library.readings.get(known.CT.uid(), "reader")
    assert [e.comment for e in reading.dismissed.values()] == ["Known for ten years."]


def test_two_windows_choose_between_their_texts(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    served = serve(planted)
    pages = []
    for _ in range(2):
        page = open_page(served, f"#/study/{known.CT.uid()}", allowed=(412,))
        drawn(page)
        page.get_by_role("tab", name="Text", exact=True).click()
        page.get_by_text("Nothing written yet").wait_for()
        pages.append(page)
    first, second = pages
    first.get_by_label(FIELD).fill("First window.")
    first.get_by_text("Text saved at").wait_for()
    second.get_by_label(FIELD).fill("Second window.")
    second.get_by_text("Another window saved this text").wait_for()
    keep(second, "report-text-windows")
    assert served.library.reports.text(known.CT.uid(), "reader").dictation.text == "First window."
    second.get_by_role("button", name="Keep mine").click()
    second.get_by_text("Text saved at").wait_for()
    assert served.library.reports.text(known.CT.uid(), "reader").dictation.text == "Second window."


def test_what_is_overdue_is_listed_and_closed(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    served = serve(planted, readers=(LEAD,))
    library = served.library
    today = library.now().date()
    ago = today - timedelta(days=200)
    sign(library, known.CT.uid())
    library.follow_up.replace(
        known.CT.uid(),
        LEAD.id,
        [
            Asked("CT chest", ago, today - timedelta(days=30), today - timedelta(days=10)),
            Asked("biopsy", ago, None, None),
        ],
    )
    page = open_page(served)
    page.get_by_role("link", name="1 follow-up is overdue").click()
    row = page.locator('[data-follow-up="overdue"]')
    row.wait_for()
    assert "CT chest" in row.inner_text()
    keep(page, "follow-up-usual")
    row.get_by_role("button", name="Close…").click()
    page.get_by_label("Why it is not open any more").fill("Done in another hospital.")
    page.get_by_role("button", name="Close the task").click()
    page.get_by_text("Done in another hospital.").wait_for()
    page.evaluate_handle("() => localStorage.setItem('coread.preferences', '{\"language\": \"tr\"}')")
    page.reload()
    page.get_by_text("Toraks BT").wait_for()
    keep(page, "follow-up-turkish")
