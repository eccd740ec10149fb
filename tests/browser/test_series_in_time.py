"""A series in time is read slice by slice and time by time; outlines stay at their time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import planted as known
import pydicom
import pytest
from pydicom.uid import MRImageStorage, generate_uid

from conftest import drawn, keep, mark_ready, picture, result_stamp
from coread.core import Geometry, LabelMap, Result, vocabulary
from coread.storage import Library
from coread.testing.demo.dicom import write_ct
from coread.workflow.intake import ingest

pytestmark = pytest.mark.browser
SLICES, TIMES, SIDE = 3, 4, 32
BLUE = (
    "document.querySelector('[data-view=\"0\"] canvas.overlay').getContext('2d').getImageData(0, 0, 1e3, 1e3)"
    ".data.filter((value, place, all) => place % 4 === 2 && value > all[place - 2] + 60)"
)
GRID = Geometry.axial((SLICES, SIDE, SIDE), (8.0, 2.0, 2.0))


def series(folder: Path) -> tuple[str, list[list[str]]]:
    """Write a beating square, brighter with every slice and time; return study and instances by time."""
    files = write_ct(
        np.zeros(GRID.shape, np.int16), GRID, known.CT, folder / "one", description="cine", kernel="none"
    )
    bottom_up = [pydicom.dcmread(file) for file in reversed(files)]
    (folder / "all").mkdir()
    instances = []
    for time in range(TIMES):
        instances.append([generate_uid() for _ in bottom_up])
        for k, (dataset, uid) in enumerate(zip(bottom_up, instances[-1], strict=True)):
            values = np.full((SIDE, SIDE), 1024, np.uint16)
            values[8:24, 8:24] += 100 + 40 * (time * SLICES + k)
            dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.Modality, dataset.TriggerTime = "MR", 100.0 * time
            dataset.InstanceNumber = time * SLICES + k + 1
            dataset.WindowCenter, dataset.WindowWidth = 400, 800
            dataset.WindowCenterWidthExplanation = None
            dataset.PixelData = values.tobytes()
            dataset.save_as(folder / "all" / f"{time}-{k}.dcm", enforce_file_format=True)
    return str(bottom_up[0].StudyInstanceUID), instances


def outlines(page: Any) -> int:
    """How many points of the layer over the large view are in the blue of the machine."""
    return int(page.evaluate(f"() => {BLUE}.length"))


def test_slices_times_and_outlines_of_a_time(
    serve: Callable[..., Any], open_page: Callable[..., Any], tmp_path: Path
) -> None:
    study, instances = series(tmp_path / "dicom")
    square = np.zeros(GRID.shape, np.uint16)
    square[:, 8:24, 8:24] = 1
    with Library.open(tmp_path / "library", durable=False) as library:
        ingest(library, [tmp_path / "dicom" / "all"])
        (image,) = library.instances.series(study, scope="acquired")
        frame = str(pydicom.dcmread(tmp_path / "dicom/all/0-0.dcm").FrameOfReferenceUID)
        labels = LabelMap(square, GRID, {1: vocabulary.LUNG_NODULE}, frame, tuple(instances[2]))
        result_stamp(library, study, known.PLANTED, Result(labels=(labels,)))
        mark_ready(library, study)
    assert image.modality == "MR"
    served = serve(tmp_path / "library", analyzers=(known.PLANTED,))
    page = open_page(served, f"#/study/{study}")
    drawn(page)
    large = page.locator('[data-view="0"]')

    def at(k: int, time: int) -> float:
        """Wait for a picture, and return how bright its middle is."""
        page.locator(f'[data-view="0"][data-slice="{time * SLICES + k + 1}"]').wait_for()
        page.wait_for_function(
            "([slice, time]) => { const words = document.querySelector('[data-view=\"0\"]').innerText;"
            " return words.includes(slice) && words.includes(time) }",
            arg=[f"Slice {k + 1} / {SLICES}", f"Time {time + 1} / {TIMES}"],
        )
        page.wait_for_timeout(150)
        shown = picture(page)
        rows, columns = shown.shape[:2]
        return float(shown[rows // 2 - 5 : rows // 2 + 5, columns // 2 - 5 : columns // 2 + 5].mean())

    seen = {(1, 0): at(1, 0)}
    large.focus()
    for time in (1, 2, 3):
        page.keyboard.press(".")
        seen[1, time] = at(1, time)
    page.keyboard.press(".")  # after the last time comes the first
    assert at(1, 0) == pytest.approx(seen[1, 0], abs=1)
    page.keyboard.press("ArrowDown")
    seen[2, 0] = at(2, 0)
    page.keyboard.press("ArrowDown")  # the last slice stays
    page.keyboard.press(",")
    seen[2, 3] = at(2, 3)
    order = sorted(seen, key=lambda place: place[1] * SLICES + place[0])
    assert [seen[place] for place in order] == sorted(seen.values())
    assert len({round(value) for value in seen.values()}) == len(seen)

    page.keyboard.press("Control+Enter")
    page.get_by_text("You have noted nothing").wait_for()
    page.keyboard.press("Control+Enter")
    page.get_by_role("tab", name="Report", exact=True).wait_for()
    large.focus()
    page.keyboard.press(",")
    at(2, 2)
    page.wait_for_function(f"() => {BLUE}.length > 0")
    page.keyboard.press("ArrowUp")
    at(1, 2)
    assert outlines(page) > 0
    keep(page, "series-in-time")
    page.keyboard.press(".")
    at(1, 3)
    assert outlines(page) == 0
