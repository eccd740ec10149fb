"""The main job by keyboard and mouse: from the worklist to a signed second read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import planted as known
import pytest

from conftest import SIZES, drawn, keep
from coread.core.reading import Committed, Decided, DraftSaved, Signed

pytestmark = pytest.mark.browser
# the own text and its checks are the reader's: `/report/text`, `/report/checks`
OF_THE_MACHINE = ("comparison", "/maps/", "/segments/", "reveal", "/report?", "exports")


def spot(page: Any, row: float, column: float, size: int = 96) -> tuple[float, float]:
    """Where a pixel of the large, fitted, square picture lies on the page."""
    box = page.locator('[data-view="0"]').bounding_box()
    side = min(box["width"], box["height"])
    scale = side / size
    centre = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return centre[0] + (column - (size - 1) / 2) * scale, centre[1] + (row - (size - 1) / 2) * scale


def to_slice(page: Any, number: int) -> None:
    """Bring the large view to a slice, counted from 0, by keys."""
    view = page.locator('[data-view="0"]')
    view.focus()
    page.keyboard.press("Home")
    for _ in range(number):
        page.keyboard.press("ArrowDown")
    page.locator(f'[data-view="0"][data-slice="{number + 1}"]').wait_for()


@pytest.mark.parametrize("size", SIZES)
def test_a_study_is_read_alone_compared_decided_reported_and_signed(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any], size: str
) -> None:
    served = serve(planted, analyzers=(known.PLANTED,))
    asked: list[str] = []
    page = open_page(served, size=SIZES[size])
    page.on("request", lambda request: asked.append(request.url))

    # worklist, by keys: the CT is found by its patient and opened
    page.locator("tbody tr").first.wait_for()
    keep(page, f"worklist-{size}")
    page.keyboard.press("/")
    page.keyboard.type("Lung")
    page.locator("tbody tr", has_text="Film").wait_for(state="detached")
    page.keyboard.press("ArrowDown")
    while "before" in page.locator("tbody tr.on").inner_text():
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    drawn(page)
    drawn(page, 1)
    drawn(page, 2)

    # read alone: nothing of the machine is asked for, nothing is shown
    keep(page, f"alone-empty-{size}")
    if size == "small":  # the panel is a drawer there
        page.get_by_role("button", name="Panel").click()
    text = page.locator("body").inner_text()
    assert "Planted" not in text
    assert "0.81" not in text
    assert page.get_by_role("tab").count() == 5

    # a finding by click and F, words from the vocabulary, no effusion by one button
    to_slice(page, known.NODULE[0])
    page.mouse.click(*spot(page, known.NODULE[1], known.NODULE[2]))
    page.keyboard.press("f")
    page.keyboard.type("nodul")
    page.get_by_role("option", name="Lung nodule").wait_for()
    keep(page, f"typing-{size}")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Lung nodule").wait_for()
    page.get_by_role("button", name="No pleural effusion").click()
    page.get_by_text("Draft saved").wait_for()
    keep(page, f"alone-{size}")
    before = [url for url in asked if any(word in url for word in OF_THE_MACHINE)]
    assert before == []

    # the draft survives a reload
    page.reload()
    drawn(page)
    if size == "small":
        page.get_by_role("button", name="Panel").click()
    page.get_by_role("button", name="Lung nodule").wait_for()
    assert "cannot be changed" in page.locator(".foot").inner_text()

    # commit by key; what is stored is what was written
    page.keyboard.press("Control+Enter")
    page.get_by_role("heading", name="You said no, CoRead says yes").wait_for()
    reading, _ = served.library.readings.get(known.CT.uid(), "reader")
    committed = next(e for e in reading.events if isinstance(e, Committed))
    assert any(isinstance(e, DraftSaved) for e in reading.events)
    nodule = next(f for f in committed.findings if f.concept.value == "lung-nodule")
    expected = known.GRID.to_patient(known.NODULE)
    assert nodule.region is not None
    assert nodule.region.at == pytest.approx(tuple(expected), abs=1.1)  # half a pixel of the page's
    assert {f.status for f in committed.findings} == {"present", "absent"}

    # difference first: contradicted, only CoRead, both; silence is explained
    headings = page.locator(".list h2 span:first-child").all_inner_texts()
    assert headings[:3] == ["You said no, CoRead says yes", "Only CoRead", "Both"]
    assert "no opinion" in page.locator(".silence").first.inner_text()
    assert "too thick" in page.locator(".silence").first.inner_text()
    page.keyboard.press("n")
    page.keyboard.press("n")
    page.locator(".card.on[data-finding]").wait_for()
    page.locator(f'[data-view="0"][data-slice="{known.DOUBTFUL[0] + 1}"]').wait_for()
    card = page.locator(".card.on").inner_text()
    for words in ("0.81", "0.72 to 0.88", "acts above 0.35", "Of 100", "1.2.0", "evidence level 2"):
        assert words in card
    page.get_by_text("One voxel, planted").wait_for()
    keep(page, f"compare-{size}")

    # decisions: reject with a coded reason, modify, accept; the last step says why it waits
    assert page.get_by_role("button", name="Report and sign: 3 findings").is_disabled()
    page.keyboard.press("x")
    page.get_by_role("radio", name="Artefact").wait_for()
    keep(page, f"reject-{size}")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_text("Rejected: Anatomical variant").wait_for()
    page.locator(".card.on", has_text="Pleural effusion").wait_for()
    page.keyboard.press("m")
    page.get_by_label("Certainty").select_option("uncertain")
    keep(page, f"modify-{size}")
    page.locator(".finding-form").get_by_role("button", name="Save").click()
    page.get_by_text("Modified:").wait_for()
    page.locator(".card.agreed.on").wait_for()
    page.keyboard.press("y")
    page.get_by_role("button", name="Go to the report").wait_for()

    # report with the reader's own sentence, then sign
    page.keyboard.press("Control+Enter")
    page.locator(".report-section").first.wait_for()
    page.get_by_text("You said “No pleural effusion” first").wait_for()
    impression = page.locator(".report-section", has_text="Impression")
    impression.get_by_role("button", name="Add a sentence").click()
    page.keyboard.type("Follow-up in three months.")
    page.locator(".list h2").first.click()
    page.get_by_text("Report draft saved").wait_for()
    keep(page, f"report-{size}")
    page.get_by_role("button", name="Preview").click()
    page.locator("dialog[open]").wait_for()
    keep(page, f"preview-{size}")
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")
    page.get_by_role("button", name="Sign").wait_for()
    page.keyboard.press("Control+Enter")
    page.get_by_text("Signed. The report").wait_for(timeout=60_000)
    page.locator(".exports a").first.wait_for()
    names = page.locator(".exports a").all_inner_texts()
    assert any(name.endswith(".html") for name in names)
    assert any("fhir" in name.lower() or name.endswith(".json") for name in names)
    keep(page, f"signed-{size}")
    with page.expect_download() as download:
        page.locator(".exports a", has_text=".html").first.click()
    assert "Follow-up in three months." in Path(download.value.path()).read_text(encoding="utf-8")

    # an addendum, and what is stored in the end
    page.get_by_label("Words to add").fill("Seen with the surgeon.")
    page.get_by_role("button", name="Sign the addendum").click()
    page.locator(".card", has_text="Seen with the surgeon.").wait_for()
    reading, _ = served.library.readings.get(known.CT.uid(), "reader")
    decided = {e.decision.choice: e.decision for e in reading.events if isinstance(e, Decided)}
    assert set(decided) == {"accept", "reject", "modify"}
    assert decided["reject"].reason == "anatomical_variant"
    assert decided["modify"].modified is not None
    assert decided["modify"].modified.status == "uncertain"
    assert any(isinstance(e, Signed) for e in reading.events)
    assert [text for _, text in reading.addenda] == ["Seen with the surgeon."]

    # back to the worklist: it is among the signed
    page.keyboard.press("Escape")
    if size == "small":  # the first one closed the drawer
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Signed 1").click()
    page.locator("tbody tr", has_text="Lung").wait_for()


def test_what_is_not_saved_yet_is_kept_and_saved_when_the_server_answers_again(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    served = serve(planted)
    page = open_page(served, f"#/study/{known.CT.uid()}")
    drawn(page)
    page.route("**/reading/draft", lambda route: route.abort())
    page.get_by_role("button", name="No pneumothorax").click()
    page.get_by_text("Draft not saved yet").wait_for()
    keep(page, "unsaved")
    page.unroute("**/reading/draft")
    page.get_by_text("Draft saved").wait_for(timeout=10_000)
    reading, _ = served.library.readings.get(known.CT.uid(), "reader")
    assert [finding.status for finding in reading.draft] == ["absent"]


def test_two_windows_on_one_read_lose_nothing(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    served = serve(planted)
    first = open_page(served, f"#/study/{known.CT.uid()}", allowed=(412, 409))
    drawn(first)
    second = open_page(served, f"#/study/{known.CT.uid()}", allowed=(412, 409))
    drawn(second)
    first.get_by_role("button", name="No pneumothorax").click()
    first.get_by_text("Draft saved").wait_for()
    second.get_by_role("button", name="No pleural effusion").click()
    second.get_by_text("Draft saved").wait_for()
    reading, _ = served.library.readings.get(known.CT.uid(), "reader")
    assert len(reading.draft) >= 1


def test_the_types_of_the_page_are_those_of_the_server() -> None:
    import importlib.util

    web = Path(__file__).resolve().parents[2] / "web"
    spec = importlib.util.spec_from_file_location("write_openapi", web / "write_openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    kept = json.loads((web / "openapi.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(module.description())) == kept, (
        "the API changed: run `python web/write_openapi.py`, then `npm run api` and `npm run build` in web/"
    )
