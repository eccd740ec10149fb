"""Every state of the pages says what is the case; nothing serious is found by axe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import planted as known
import pytest

from conftest import SIZES, drawn, keep
from coread.storage import Library

pytestmark = pytest.mark.browser
AXE = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


def accessible(page: Any) -> None:
    """Assert that axe finds nothing serious on the page as it is now."""
    if not AXE.is_file():
        pytest.skip("needs the npm package `axe-core`: `npm ci` in web/")
    page.evaluate_handle(AXE.read_text(encoding="utf-8") + "; null")
    found = page.evaluate_handle(
        "async () => (await axe.run()).violations.filter(v => ['serious', 'critical'].includes(v.impact))"
        ".map(v => v.id + ': ' + v.nodes.map(n => `${n.target.join(' ')} ${n.any[0]?.message}`).join(' | '))"
    ).json_value()
    assert found == []


@pytest.fixture
def without_policy(browser: Any) -> Any:
    """Opens pages whose content policy is set aside, so that axe can be put into them."""
    contexts: list[Any] = []

    def begin(
        served: Any, at: str = "", *, size: str = "usual", theme: str = "dark", language: str = "en"
    ) -> Any:
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height}, bypass_csp=True, reduced_motion="reduce"
        )
        contexts.append(context)
        stored = f'{{"language": "{language}", "theme": "{theme}"}}'
        context.add_init_script(f"localStorage.setItem('coread.preferences', '{stored}')")
        page = context.new_page()
        page.goto(f"{served.address}{at}")
        return page

    yield begin
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_pages_are_accessible_in_both_themes(
    serve: Callable[..., Any], planted: Path, without_policy: Callable[..., Any], theme: str
) -> None:
    served = serve(planted, analyzers=(known.PLANTED,))
    page = without_policy(served, theme=theme)
    page.locator("tbody tr").first.wait_for()
    accessible(page)
    keep(page, f"worklist-{theme}")
    page.keyboard.press("?")
    page.locator("dialog[open]").wait_for()
    accessible(page)
    page.keyboard.press("Escape")
    page.goto(f"{served.address}#/intake")
    page.get_by_text("readme.txt").wait_for()
    keep(page, f"intake-{theme}")
    accessible(page)
    page.goto(f"{served.address}#/models")
    page.get_by_text("Known answers").wait_for()
    keep(page, f"models-{theme}")
    accessible(page)
    page.goto(f"{served.address}#/study/{known.CT.uid()}")
    drawn(page)
    drawn(page, 2)
    page.get_by_role("button", name="No pleural effusion").click()
    page.get_by_text("Draft saved").wait_for()
    keep(page, f"alone-{theme}")
    accessible(page)
    page.keyboard.press("Control+Enter")
    page.get_by_role("tab", name="Report", exact=True).wait_for()
    page.keyboard.press("n")
    page.locator(".card.on").wait_for()
    keep(page, f"compare-{theme}")
    accessible(page)
    page.keyboard.press("x")
    accessible(page)
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Measures").click()
    keep(page, f"measures-{theme}")
    accessible(page)
    page.get_by_role("tab", name="Text", exact=True).click()
    page.get_by_label("Dictate, write or paste report text").fill("No effusion. 6 mm nodule. Pneumothorax.")
    page.get_by_role("button", name="Guideline fleischner").click()
    page.get_by_label("mean diameter mm").wait_for()
    keep(page, f"text-{theme}")
    accessible(page)
    page.get_by_role("tab", name="Differential").click()
    page.get_by_role("button", name="Rank the diagnoses").click()
    page.locator("[data-diagnosis]").first.wait_for()
    keep(page, f"differential-{theme}")
    accessible(page)


@pytest.mark.parametrize("size", SIZES)
def test_turkish_fits_into_the_same_places(
    serve: Callable[..., Any], planted: Path, without_policy: Callable[..., Any], size: str
) -> None:
    served = serve(planted, analyzers=(known.PLANTED,))
    page = without_policy(served, f"#/study/{known.CT.uid()}", size=size, language="tr")
    drawn(page)
    if size == "small":
        page.get_by_role("button", name="Panel", exact=True).click()
    page.get_by_role("button", name="İlk okumayı sakla").wait_for()
    keep(page, f"turkish-{size}")
    cut = page.evaluate_handle(
        "() => [...document.querySelectorAll('button, .button, .steps li')].filter(e => e.offsetParent"
        " && e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    ).json_value()
    assert cut == []


def test_an_empty_library_says_what_to_do(
    serve: Callable[..., Any], open_page: Callable[..., Any], tmp_path: Path
) -> None:
    Library.open(tmp_path / "empty").close()
    page = open_page(serve(tmp_path / "empty"))
    page.get_by_text("No study here. Drop DICOM files").wait_for()
    keep(page, "state-empty")
    page.keyboard.press("/")
    page.keyboard.type("nobody")
    page.get_by_text("No study matches").wait_for()


def test_files_are_dropped_in_and_each_is_accounted_for(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any], tmp_path: Path
) -> None:
    Library.open(tmp_path / "empty").close()
    served = serve(tmp_path / "empty")
    page = open_page(served, "#/intake")
    files = sorted((planted.parent / "dicom" / "ct").glob("*.dcm"))[:2]
    page.locator("[data-testid=upload]").set_input_files([*files, planted.parent / "dicom" / "readme.txt"])
    page.locator(".sending").wait_for()
    keep(page, "state-upload")
    # nobody works on the queue here: the page says that it is being checked, and goes on saying it
    page.get_by_text("Checking:").wait_for()


def test_a_study_that_may_not_be_seen_says_so(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(serve(planted), "#/study/1.2.3", allowed=(403,))
    page.get_by_text("This is not available to you").wait_for()
    keep(page, "state-refused")


def test_images_that_do_not_come_say_so_and_can_be_asked_for_again(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    served = serve(planted)
    page = open_page(served)
    page.locator("tbody tr").first.wait_for()
    page.route("**/frames?*", lambda route: route.abort())
    page.goto(f"{served.address}#/study/{known.CT.uid()}")
    page.get_by_text("The images could not be loaded").first.wait_for()
    keep(page, "state-failed")
    page.unroute("**/frames?*")
    page.get_by_role("button", name="Try again").first.click()
    drawn(page)
    drawn(page, 2)


def test_the_rest_is_usable_while_images_load(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    served = serve(planted)
    page = open_page(served)
    page.locator("tbody tr").first.wait_for()
    held: list[Any] = []
    # one slice comes, the rest of the series waits
    page.route(
        "**/frames?*", lambda r: r.continue_() if "count=1" in r.request.url.split("&") else held.append(r)
    )
    page.goto(f"{served.address}#/study/{known.CT.uid()}")
    drawn(page)
    page.get_by_text("Loading, 1 of 24 slices").first.wait_for()
    page.get_by_role("button", name="No pneumothorax").click()
    page.get_by_text("Draft saved").wait_for()
    keep(page, "state-partial")
    for route in held:
        route.continue_()
    page.unroute("**/frames?*")
    drawn(page, 2)


def test_late_images_are_read_alone_before_anything_new(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    from coread.workflow.second_reading import images_arrived

    served = serve(planted, analyzers=(known.PLANTED,))
    page = open_page(served, f"#/study/{known.CT.uid()}")
    drawn(page)
    page.get_by_role("button", name="No pneumothorax").click()
    page.get_by_text("Draft saved").wait_for()
    page.keyboard.press("Control+Enter")
    page.get_by_role("tab", name="Report", exact=True).wait_for()
    images_arrived(served.library, known.CT.uid(), ["1.2.3"], served.library.now())
    page.reload()
    drawn(page)
    page.get_by_text("More images came after your first read").wait_for()
    assert "Planted" not in page.locator("body").inner_text()
    page.get_by_role("button", name="Commit read of the new images").wait_for()
    keep(page, "state-late")


def test_a_signed_or_foreign_read_can_only_be_looked_at(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    from coread.server.settings import ConfiguredReader

    served = serve(planted, readers=(ConfiguredReader("look", "Dr. Look", "clinician"),))
    page = open_page(served, allowed=(403,))
    page.locator("tbody tr").first.wait_for()
    page.goto(f"{served.address}#/study/{known.CT.uid()}")
    drawn(page)
    page.get_by_text("You can look but not read").wait_for()
    assert page.get_by_role("button", name="Commit first read").count() == 0
    keep(page, "state-read-only")
