"""The documentation's page with the benchmark's output. usage: page.py NAME=FILE … > PAGE

Each FILE holds the JSON lines of `speed.py` for one region, NAME is what the region is called.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path

WORDS = {
    "pyradiomics-set": "features of PyRadiomics (3D, averaged directions)",
    "all": "all features, 3D, without Moran and Geary",
    "all-moran": "all features, 3D, exact Moran and Geary",
    "filters": "LoG at 1, 2, 3 mm and 8 wavelet bands, no shape",
    "labels-1": "one label, all features without Moran",
    "labels-100": "100 labels of the same volume together",
    "all (Moran sampled)": "all features, 3D, Moran and Geary sampled",
}


def main() -> None:
    """Write the page to standard output."""
    write = sys.stdout.write
    write(
        "# Radiomics: speed\n\n"
        "Made by `benchmarks/radiomics/speed.py` and `page.py`. CPU seconds of one thread after\n"
        "compilation, files already read (MIRP reads them within its time); peak memory of a process that\n"
        "does only that, its interpreter and the image included. Each row is a process of its own.\n\n"
        f"Machine: {_processor()}, {platform.system()}, Python {platform.python_version()}; shared with\n"
        "other work, so wall time is not shown. A label costs about 4 ms besides its voxels: 100 labels of\n"
        "a small region take several times as long as one, of a large region no longer.\n"
    )
    for argument in sys.argv[1:]:
        name, _, path = argument.partition("=")
        rows = [json.loads(line) for line in Path(path).read_text().splitlines() if line.startswith("{")]
        write(f"\n## {name}\n\n| work | tool | CPU s | peak MB | features |\n|---|---|---:|---:|---:|\n")
        order = list(WORDS)
        for row in sorted((r for r in rows if "tool" in r), key=lambda r: order.index(r["workload"])):
            write(
                f"| {WORDS[row['workload']]} | {row['tool']} | {row['cpu_s']:.3g} | {row['peak_mb']} "
                f"| {row['features']} |\n"
            )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
