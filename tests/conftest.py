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
