"""How quick the reading page is: first slice, whole series, change of slice, memory.

A CT of 512 x 512 x 120 is served from here and opened in headless Chromium, by the CPU backend (what a
machine without a GPU gets) and by a software GPU. Times of slices run from the key to the frame after the
picture was drawn. Run: ``python benchmarks/reading_page.py [--slices N] [--backend cpu|gpu]``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from playwright.sync_api import sync_playwright

from coread.core import Geometry
from coread.server.app import create_app
from coread.storage import Library
from coread.testing.demo.dicom import SimulatedStudy, write_ct
from coread.workflow.intake import ingest

STUDY = SimulatedStudy(key="benchmark")
STEPS = 60
# one change of slice: from the key to the first frame after it was drawn
SWITCH = """async (keys) => {
  const view = document.querySelector('[data-view="0"]');
  const times = [];
  for (const key of keys) {
    const before = view.dataset.drawn, start = performance.now();
    view.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    while (view.dataset.drawn === before) await new Promise(requestAnimationFrame);
    times.push(performance.now() - start);
    await new Promise((done) => setTimeout(done, 20));
  }
  return times;
}"""
FLAGS = {
    "cpu": ["--no-sandbox", "--disable-gpu"],
    "gpu": ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
}


def volume(slices: int) -> np.ndarray[Any, Any]:
    """Noise on a body: what neither compression nor caches make easier than a patient."""
    rng = np.random.default_rng(1)
    rows, columns = np.indices((512, 512)) - 256
    body = np.where((rows / 180) ** 2 + (columns / 230) ** 2 < 1, 40, -1000)
    return (body + rng.normal(0, 20, (slices, 512, 512))).clip(-1024, 3071).astype(np.int16)


def serve(library: Library) -> tuple[str, uvicorn.Server]:
    server = uvicorn.Server(uvicorn.Config(create_app(library, analyzers=()), port=0, log_level="error"))
    threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/", server


def measure(browser: Any, address: str, backend: str, sweep: int) -> dict[str, float]:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(f"{address}?backend={backend}")
    page.get_by_role("searchbox").wait_for()
    start = time.perf_counter()
    page.goto(f"{address}?backend={backend}#/study/{STUDY.uid()}")
    page.locator('[data-view="0"]:not([data-drawn="0"])').wait_for()
    first = time.perf_counter() - start
    page.locator('[data-view="2"]:not([data-drawn="0"])').wait_for()
    loaded = time.perf_counter() - start
    page.locator('[data-view="0"]').focus()
    page.keyboard.press("Home")
    page.wait_for_timeout(1000)
    new = page.evaluate_handle(SWITCH, ["ArrowDown"] * sweep).json_value()
    again = page.evaluate_handle(SWITCH, ["ArrowUp", "ArrowDown"] * (STEPS // 2)).json_value()
    heap = page.evaluate_handle("() => performance.memory.usedJSHeapSize").json_value()
    page.close()
    return {
        "first_slice_s": round(first, 2),
        "three_planes_s": round(loaded, 2),
        "new_slice_median_ms": round(statistics.median(new), 1),
        "new_slice_p95_ms": round(float(np.percentile(new, 95)), 1),
        "seen_slice_median_ms": round(statistics.median(again), 1),
        "js_heap_mb": round(heap / 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=120)
    parser.add_argument("--backend", choices=("cpu", "gpu"), action="append")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("needs the package `chromium`")
    with tempfile.TemporaryDirectory() as folder:
        grid = Geometry.axial((arguments.slices, 512, 512), (2.5, 0.7, 0.7))
        write_ct(
            volume(arguments.slices), grid, STUDY, Path(folder) / "dicom", description="CT", kernel="none"
        )
        with Library.open(Path(folder) / "library") as library:
            ingest(library, [Path(folder) / "dicom"])
            address, server = serve(library)
            with sync_playwright() as api:
                for backend in arguments.backend or ("cpu", "gpu"):
                    browser = api.chromium.launch(
                        executable_path=chromium, args=[*FLAGS[backend], "--enable-precise-memory-info"]
                    )
                    found = measure(browser, address, backend, min(STEPS, arguments.slices - 1))
                    print(json.dumps({"backend": backend, **found}))
                    browser.close()
            server.should_exit = True


if __name__ == "__main__":
    main()
