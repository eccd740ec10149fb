"""The reading page in Chromium: a built page, a served library with known results, a browser."""

from __future__ import annotations

import asyncio
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from coread.core import Result
from coread.server.app import STATIC, create_app
from coread.server.settings import ConfiguredReader, ServerSettings
from coread.storage import Library
from coread.testing.demo import make_demo_library
from coread.workflow.analyzers import Registered, discover
from coread.workflow.intake import ingest
from coread.workflow.process import process_study

sys.path.insert(0, str(Path(__file__).parent))  # pytest imports tests by path; `planted` is no test
import planted as known

playwright = pytest.importorskip("playwright.sync_api", reason="needs the Python package `playwright`")

PICTURES = Path(__file__).resolve().parents[2] / "test-results" / "browser"
SIZES = {"small": (1024, 768), "usual": (1440, 900), "large": (2560, 1440)}
READER = ConfiguredReader("reader", "Dr. Reader")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs Chromium: install the package `chromium`")
    if not (STATIC / "index.html").is_file():
        pytest.skip("needs the built page: `npm ci && npm run build` in web/, or an installed wheel")
    arguments = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with playwright.sync_playwright() as api:
        running = api.chromium.launch(executable_path=path, args=arguments)
        yield running
        running.close()


@dataclass
class Served:
    """A library and the server over it, on a free port of loopback."""

    library: Library
    analyzers: tuple[Registered, ...] = ()
    readers: tuple[ConfiguredReader, ...] = (READER,)
    address: str = ""
    _server: uvicorn.Server = field(init=False)
    _thread: threading.Thread = field(init=False)

    def start(self) -> Served:
        settings = ServerSettings(readers=self.readers)
        application = create_app(self.library, settings=settings, analyzers=self.analyzers)
        self._server = uvicorn.Server(uvicorn.Config(application, port=0, log_level="warning"))
        started = threading.Event()
        startup = self._server.startup

        async def tell(sockets: Any = None) -> None:
            await startup(sockets)
            started.set()

        self._server.startup = tell  # type: ignore[method-assign]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)
        self._thread.start()
        assert started.wait(60)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{port}/"
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        self.library.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Serves a copy of a library, so that what a test changes is its own."""
    running: list[Served] = []

    def begin(folder: Path, **options: Any) -> Served:
        copy = tmp_path / f"library-{len(running)}"
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*.lock"))
        running.append(Served(Library.open(copy, durable=False), **options).start())
        return running[-1]

    yield begin
    for served in running:
        served.stop()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page; an error of a script, or an answer that was not asked for, fails the test."""
    contexts: list[Any] = []
    faults: list[str] = []

    def begin(
        served: Served,
        at: str = "",
        *,
        size: tuple[int, int] = SIZES["usual"],
        allowed: tuple[int, ...] = (),
        query: str = "",
    ) -> Any:
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on(
            "response",
            lambda r: (
                faults.append(f"{r.status} {r.url}") if r.status >= 400 and r.status not in allowed else None
            ),
        )
        page.goto(f"{served.address}{query}{at}")
        return page

    yield begin
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `library`, the small demo library processed by what is installed, and `truth`."""
    folder = tmp_path_factory.mktemp("demo")
    made = make_demo_library(folder, quick=True)
    with Library.open(folder / "library", durable=False) as library:
        ingest(library, [made.dicom])
        for study in made.studies:
            process(library, study, discover())
    return folder


def process(library: Library, study: str, analyzers: tuple[Registered, ...]) -> None:
    """Process a study as the queue would, and mark it as ready."""
    process_study(library, study, analyzers)
    mark_ready(library, study)


def mark_ready(library: Library, study: str) -> None:
    library.jobs.enqueue("process", f"{study} tests", {"study": study}, subject=study)
    job = library.jobs.claim("tests", 60.0, kinds=("process",))
    assert job is not None
    library.jobs.finish(job.id, "tests")


def picture(page: Any, selector: str = '[data-view="0"]') -> np.ndarray[Any, Any]:
    """What an element looks like: (rows, columns, 3) of uint8."""
    from io import BytesIO

    from PIL import Image

    # the last frame is on the screen when the next one is asked for
    page.locator(selector).wait_for()
    page.evaluate_handle("() => new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
    return np.asarray(Image.open(BytesIO(page.locator(selector).screenshot())).convert("RGB"))


def keep(page: Any, name: str) -> None:
    """Keep a picture of the page to look at."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png")


def drawn(page: Any, view: int = 0, *, timeout_s: float = 30.0) -> None:
    """Wait until a view has drawn its first picture."""
    page.locator(f'[data-view="{view}"]:not([data-drawn="0"])').wait_for(timeout=1000 * timeout_s)


def result_stamp(library: Library, study: str, registered: Registered, result: Result) -> None:
    """Keep a result as if an analyzer had just made it."""
    from coread.core import Provenance

    now = library.now()
    stamp = Provenance(
        analyzer=registered.card.name,
        version=registered.card.version,
        weights_digest=None,
        mode=registered.card.mode,
        inputs={},
        settings={},
        seed=None,
        software="tests",
        start=now,
        end=now,
    )
    library.results.save(study, stamp, result, analyzer=registered.name)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library of known pictures and results."""
    return known.make_library(tmp_path_factory.mktemp("planted"), result_stamp, mark_ready)
