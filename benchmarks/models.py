"""Time of a model for one case, from pixels to an answer, on made-up pictures (the time is that of any).

    python benchmarks/models.py

One thread of ONNX Runtime, two for the left ventricle and the breast as in use. Medians of five runs after
a first one.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from coread.recognition import body_part, breast_us, cxr_pneumonia, hippocampus, lung_fields, lv_cine
from coread.recognition.film import small_film

SEED = 2026
RUNS = 5


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Return the median wall and CPU seconds."""
    run()
    times = []
    for _ in range(RUNS):
        wall, cpu = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = np.median(times, axis=0)
    return float(wall), float(cpu)


def main() -> None:
    rng = np.random.default_rng(SEED)
    film = rng.integers(0, 4096, (2048, 2500)).astype(np.uint16)
    still = rng.integers(0, 256, (480, 640)).astype(np.uint8)
    crop = rng.normal(100, 20, (36, 50, 35))
    frames = rng.integers(0, 256, (20 * 30, 192, 192)).astype(np.uint8)
    cases: tuple[tuple[str, str, Callable[[], object]], ...] = (
        (
            "cxr_pneumonia, a film of 2,048 x 2,500",
            "0.05 s",
            lambda: cxr_pneumonia.read_films(small_film(film, 28)[None], cxr_pneumonia.network()),
        ),
        (
            "body_part, the same film",
            "0.05 s",
            lambda: body_part.read_pictures(body_part.prepared(film)[None], body_part.network()),
        ),
        ("lung_fields, the same film", "", lambda: lung_fields.lung_probability(film, lung_fields.network())),
        (
            "breast_us, a still of 480 x 640",
            "0.05 s",
            lambda: list(breast_us.read_pictures([still], breast_us.network())),
        ),
        (
            "hippocampus, a crop",
            "1 s",
            lambda: hippocampus.label_probability(crop, hippocampus.network()),
        ),
        (
            "lv_cine, 20 slices x 30 phases",
            "20 s",
            lambda: lv_cine.cavity(frames, lv_cine.network(lv_cine.THREADS)),
        ),
    )
    print(f"{'model':42}{'wall s':>10}{'CPU s':>10}   wanted")
    for name, wanted, run in cases:
        wall, cpu = seconds(run)
        print(f"{name:42}{wall:10.3f}{cpu:10.3f}   {wanted}")


if __name__ == "__main__":
    main()
