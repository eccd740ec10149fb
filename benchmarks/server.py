"""How fast the server gives pictures: a CT of 120 slices of 512 x 512, over loopback.

Run: python benchmarks/server.py
"""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import uvicorn

from coread.core import Geometry
from coread.server.app import create_app
from coread.storage import Library
from coread.testing.demo.dicom import SimulatedStudy, write_ct
from coread.workflow.intake import ingest

GRID = Geometry.axial((120, 512, 512), spacing_mm=(2.5, 0.7, 0.7))
STUDY = SimulatedStudy(key="benchmark")
OCTETS = {"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'}


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        noise = np.random.default_rng(0).integers(-1000, 1000, GRID.shape).astype(np.int16)
        write_ct(noise, GRID, STUDY, folder / "files", description="noise", kernel="none")
        with Library.open(folder / "library") as library:
            timed("take in 120 files", lambda: ingest(library, [folder / "files"]))
            serve(library)


def serve(library: Library) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = create_app(library, analyzers=())
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            client.get("/api/v1/me")
            ask(client)
    finally:
        server.should_exit = True
        thread.join()


def ask(client: httpx.Client) -> None:
    study = f"/api/v1/studies/{STUDY.uid()}"
    timed("study, first time", lambda: client.get(study))
    series = client.get(study).json()["series"][0]
    part = series["parts"][0]
    place = f"/dicom-web/studies/{STUDY.uid()}/series/{series['uid']}"

    def block(first: int, count: int) -> None:
        client.get(f"{part['frames']}&first={first}&count={count}").raise_for_status()

    def single(instance: str) -> None:
        client.get(f"{place}/instances/{instance}/frames/1", headers=OCTETS).raise_for_status()

    timed("first slice", lambda: block(60, 1))
    timed("120 slices in 6 blocks", lambda: [block(n, 20) for n in range(0, 120, 20)])
    timed("120 slices in 6 blocks, again", lambda: [block(n, 20) for n in range(0, 120, 20)])
    timed("metadata of the series", lambda: client.get(f"{place}/metadata"))
    timed("metadata of the series, again", lambda: client.get(f"{place}/metadata"))
    timed("120 single frames", lambda: [single(i["uid"]) for i in part["instances"]])


def timed(what: str, act: Callable[[], object]) -> None:
    start = time.perf_counter()
    act()
    print(f"{what:32} {time.perf_counter() - start:7.3f} s")


if __name__ == "__main__":
    main()
