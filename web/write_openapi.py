"""Write what the server's API says to `web/openapi.json`, from which `npm run api` makes the page's types."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from coread.server.app import create_app
from coread.storage import Library

TARGET = Path(__file__).parent / "openapi.json"


def description() -> dict[str, Any]:
    """The OpenAPI description of the application, without the version of the package."""
    with tempfile.TemporaryDirectory() as folder, Library.open(Path(folder) / "library") as library:
        found = create_app(library, analyzers=()).openapi()
    found["info"]["version"] = "1"
    return found


if __name__ == "__main__":
    TARGET.write_text(json.dumps(description(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
