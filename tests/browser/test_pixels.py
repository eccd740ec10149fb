"""What is drawn lies where it is: maps on their voxels, whatever is turned, on both backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import planted as known
import pytest

from conftest import drawn, keep, picture
from coread.storage import Library

pytestmark = pytest.mark.browser
BACKENDS = ("cpu", "gpu")
# keys, and what they make of an array
TURNS: dict[str, Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]] = {
    "": lambda a: a,
    "r": lambda a: np.rot90(a, -1),
    "l": np.rot90,
    "rr": lambda a: np.rot90(a, 2),
    "h": np.fliplr,
    "v": np.flipud,
    "hr": lambda a: np.rot90(np.fliplr(a), -1),
    "rh": lambda a: np.fliplr(np.rot90(a, -1)),
    "vl": lambda a: np.rot90(np.flipud(a)),
}


def reveal(page: Any, *, empty: bool = True) -> None:
    """Commit an empty read by keys and wait for the comparison."""
    page.keyboard.press("Control+Enter")
    if empty:
        page.get_by_text("You have noted nothing").wait_for()
        page.keyboard.press("Control+Enter")
    page.get_by_role("tab", name="Report", exact=True).wait_for()


def fitted(shape: tuple[int, int], rows: int, columns: int) -> tuple[float, float, float]:
    """Scale and the screen pixel (counted by centres) of pixel (0, 0) of a picture fitted into a view."""
    scale = min(shape[0] / rows, shape[1] / columns)
    return scale, (shape[0] - 1) / 2 - (rows - 1) / 2 * scale, (shape[1] - 1) / 2 - (columns - 1) / 2 * scale


def expected_place(shape: tuple[int, int], turned: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Where the one marked pixel of a turned array lies in a view."""
    scale, row0, column0 = fitted(shape, *turned.shape)
    row, column = np.argwhere(turned)[0]
    return row0 + row * scale, column0 + column * scale


def centre(mask: np.ndarray[Any, Any]) -> tuple[float, float]:
    assert mask.any()
    rows, columns = np.nonzero(mask)
    return float(rows.mean()), float(columns.mean())


def hide_text(page: Any) -> None:
    """No words, letters or frames on the picture: only it and what is drawn over it."""
    hidden = ".corner, .ori, .labels, .colour-bar, .vp.on::after { display: none !important }"
    page.add_style_tag(content=f"{hidden} .vp {{ outline: none !important }}")
    page.keyboard.press("t")


def settle(page: Any) -> np.ndarray[Any, Any]:
    """The large view once it looks the same twice."""
    before = picture(page)
    for _ in range(20):
        now = picture(page)
        if now.shape == before.shape and np.array_equal(now, before):
            return now
        before = now
    raise AssertionError("the view does not come to rest")


def coloured(now: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Pixels in the colours of inferno's upper end: much more red and green than blue."""
    value = now.astype(int)
    return np.asarray((value[..., 0] - value[..., 2] > 30) & (value[..., 0] > 60))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_marked_voxel_and_its_map_stay_together_through_all_turns_and_flips(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any], backend: str
) -> None:
    served = serve(planted, analyzers=(known.PLANTED,))
    page = open_page(served, f"#/study/{known.CT.uid()}", query=f"?backend={backend}")
    drawn(page)
    drawn(page, 2)
    reveal(page)
    page.keyboard.press("Shift+1")
    view = page.locator('[data-view="0"]')
    view.focus()
    page.keyboard.press("Home")
    for _ in range(known.MARK[0]):
        page.keyboard.press("ArrowDown")
    page.locator(f'[data-view="0"][data-slice="{known.MARK[0] + 1}"]').wait_for()
    # a window in which only the marked voxel is bright
    hide_text(page)
    page.get_by_text("One voxel, planted").wait_for()
    marked = np.zeros(known.SHAPE[1:], dtype=bool)
    marked[known.MARK[1:]] = True
    for keys, turn in TURNS.items():
        page.keyboard.press(" ")
        for key in keys:
            page.keyboard.press(key)
        now = settle(page)
        place = expected_place(now.shape[:2], turn(marked))
        scale = fitted(now.shape[:2], *turn(marked).shape)[0]
        found = coloured(now)
        assert centre(found) == pytest.approx(place, abs=0.6), f"map after {keys!r}"
        assert np.sqrt(found.sum()) == pytest.approx(scale, rel=0.35)
        # the picture beneath: without the map the bright voxel is the brightest spot
        page.keyboard.press("a")
        bare = settle(page)
        bright = bare.astype(int).sum(axis=2) > 700
        assert centre(bright) == pytest.approx(place, abs=0.6), f"picture after {keys!r}"
        page.keyboard.press("a")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_one_hot_map_lies_on_the_marked_pixel_of_a_film_at_any_zoom(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any], backend: str
) -> None:
    served = serve(planted, analyzers=(known.PLANTED,))
    page = open_page(served, f"#/study/{known.FILM.uid()}", query=f"?backend={backend}")
    drawn(page)
    reveal(page)
    hide_text(page)
    page.get_by_text("One pixel, planted").wait_for()
    marked = np.zeros(known.FILM_SHAPE, dtype=bool)
    marked[known.FILM_MARK] = True
    now = settle(page)
    keep(page, f"film-{backend}")
    assert centre(coloured(now)) == pytest.approx(expected_place(now.shape[:2], marked), abs=0.6)
    # zoomed and moved, the map stays on the bright pixel
    page.keyboard.press("+")
    page.keyboard.press("+")
    box = page.locator('[data-view="0"]').bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 300)
    page.mouse.down(button="middle")
    page.mouse.move(box["x"] + 360, box["y"] + 390, steps=3)
    page.mouse.up(button="middle")
    page.mouse.move(1, 1)
    moved = settle(page)
    at_map = centre(coloured(moved))
    page.keyboard.press("a")
    bare = settle(page).astype(int).sum(axis=2)
    assert centre(bare > 700) == pytest.approx(at_map, abs=0.8)
    assert at_map != pytest.approx(centre(coloured(now)), abs=10)


def test_coronal_and_sagittal_cuts_show_the_marked_voxel_where_the_planes_meet(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    page = open_page(serve(planted), f"#/study/{known.CT.uid()}")
    drawn(page)
    drawn(page, 2)
    hide_text(page)
    k, j, i = known.MARK
    page.locator('[data-view="0"]').focus()
    page.keyboard.press("Home")
    for _ in range(k):
        page.keyboard.press("ArrowDown")
    page.locator(f'[data-view="0"][data-slice="{k + 1}"]').wait_for()
    shape = picture(page).shape[:2]
    scale, row0, column0 = fitted(shape, *known.SHAPE[1:])
    box = page.locator('[data-view="0"]').bounding_box()
    page.mouse.click(box["x"] + column0 + i * scale, box["y"] + row0 + j * scale)
    # the other planes came along; in both the voxel is 4 mm high and 2 mm wide, head up
    page.locator(f'[data-view="1"][data-slice="{j + 1}"]').wait_for()
    for view, column in ((1, i), (2, j)):
        page.locator(f'[data-view="{view}"]').focus()
        now = picture(page, f'[data-view="{view}"]')
        height = (known.SHAPE[0] - 1) * 2 + 1  # square pixels of 2 mm from the first to the last slice
        scale, row0, column0 = fitted(now.shape[:2], height, 96)
        bright = now.astype(int).sum(axis=2) > 700
        place = (row0 + (height - 1 - 2 * k) * scale, column0 + column * scale)
        assert centre(bright) == pytest.approx(place, abs=1.2), f"view {view}"


def test_the_emphysema_map_of_the_simulated_ct_lies_where_the_truth_lies(
    serve: Callable[..., Any], demo: Path, open_page: Callable[..., Any]
) -> None:
    from coread.workflow.analyzers import discover

    truth = json.loads((demo / "truth" / "truth.json").read_text(encoding="utf-8"))
    ill = next(s for s in truth["studies"] if s.get("emphysema") and "prior" not in s["key"])
    masks = np.load(demo / "truth" / ill["masks"])
    shape = masks["label"].shape
    low = np.unpackbits(masks["low_attenuation"])[: int(np.prod(shape))].reshape(shape).astype(bool)
    k = int(low.sum(axis=(1, 2)).argmax())
    served = serve(demo / "library", analyzers=discover())
    page = open_page(served, f"#/study/{ill['study']}")
    drawn(page)
    drawn(page, 2)
    page.keyboard.press("2")  # lung window
    reveal(page)
    page.get_by_text("strictly below").wait_for(timeout=60_000)
    page.keyboard.press("Shift+1")
    page.locator('[data-view="0"]').focus()
    page.keyboard.press("Home")
    for _ in range(k):
        page.keyboard.press("ArrowDown")
    page.locator(f'[data-view="0"][data-slice="{k + 1}"]').wait_for()
    keep(page, "emphysema")
    hide_text(page)
    found = coloured(settle(page))
    scale, row0, column0 = fitted(found.shape, *shape[1:])
    rows = np.rint(row0 + np.arange(shape[1]) * scale).astype(int)
    columns = np.rint(column0 + np.arange(shape[2]) * scale).astype(int)
    inside = (rows >= 0) & (rows < found.shape[0])
    across = (columns >= 0) & (columns < found.shape[1])
    seen = np.zeros(shape[1:], dtype=bool)
    seen[np.ix_(inside, across)] = found[np.ix_(rows[inside], columns[across])]

    def dice(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
        return float(2 * (a & b).sum() / (a.sum() + b.sum()))

    right = dice(seen, low[k])
    wrong = [
        dice(seen, turn(low[k])) for turn in (np.fliplr, np.flipud, lambda a: np.rot90(a, 2), np.transpose)
    ]
    shifted = [dice(seen, np.roll(low[k], by, axis)) for by in (-4, 4) for axis in (0, 1)]
    print(f"dice with the truth {right:.3f}, mirrored {max(wrong):.3f}, moved by 4 pixels {max(shifted):.3f}")
    assert right > 0.6
    assert right > max(wrong) + 0.1
    assert right > max(shifted)
    rows_seen, rows_true = centre(seen), centre(low[k])
    assert rows_seen == pytest.approx(rows_true, abs=3.0)


def test_scrolling_back_and_forth_ends_on_the_slice_that_is_named(
    serve: Callable[..., Any], planted: Path, open_page: Callable[..., Any]
) -> None:
    """A fast wheel outruns the drawing: what is drawn last has to be what the corner says."""
    page = open_page(serve(planted), f"#/study/{known.CT.uid()}")
    drawn(page)
    drawn(page, 2)
    box = page.locator('[data-view="0"]').bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 400)
    for step in (1, 1, 1, -1, 1, -1, -1, 1, 1, -1, -1, -1):
        page.mouse.wheel(0, 100 * step)
    start = known.SHAPE[0] // 2
    page.locator(f'[data-view="0"][data-slice="{start + 1}"]').wait_for()
    page.mouse.move(1, 1)
    first = settle(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert np.array_equal(settle(page), first)


def test_the_demo_library_is_labelled_simulated_in_every_view(
    serve: Callable[..., Any], demo: Path, open_page: Callable[..., Any]
) -> None:
    served = serve(demo / "library")
    with Library.open(demo / "library", durable=False) as library:
        study = library.instances.studies(limit=1).items[0].uid
    page = open_page(served, f"#/study/{study}")
    drawn(page)
    assert page.locator('[data-view="0"] .labels').inner_text() == "SIMULATED"
