"""What several tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def shared_data() -> Path:
    """Return the folder with test data: COREAD_TEST_DATA, or `shared/data` beside the project."""
    return Path(os.environ.get("COREAD_TEST_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with test data; the test is skipped where it is absent."""
    folder = shared_data()
    if not folder.is_dir():
        pytest.skip("needs the folder of test data: set COREAD_TEST_DATA")
    return folder


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SKIPPED] = []
    os.environ["COREAD_MODELS"] = str(ROOT / "tests" / "no models")  # not those of this machine's site


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and _config is not None and isinstance(report.longrepr, tuple):
        _config.stash[_SKIPPED].append((report.nodeid, report.longrepr[2]))


def pytest_sessionstart(session: pytest.Session) -> None:
    global _config  # noqa: PLW0603
    _config = session.config


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where COREAD_NO_SKIP is set (in the landing check), only a missing GPU or torch may skip a test."""
    if not os.environ.get("COREAD_NO_SKIP"):
        return
    wrong = [
        f"{node}: {why}"
        for node, why in session.config.stash[_SKIPPED]
        if not any(word in why.lower() for word in ("gpu", "torch", "coread[train]"))
    ]
    if wrong:
        print("\nskipped, although everything is installed here:", *wrong, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


_SKIPPED = pytest.StashKey[list[tuple[str, str]]]()
_config: pytest.Config | None = None
