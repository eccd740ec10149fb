"""Reference tables and results; each is skipped where the folder of test data is absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def reference(shared: Path) -> Callable[[str], Any]:
    """Read a JSON of reference results, or a CSV with every value as text."""

    def read(name: str) -> Any:
        path = shared / "predict" / name
        return json.loads(path.read_text()) if path.suffix == ".json" else pd.read_csv(path, dtype=str)

    return read


@pytest.fixture(scope="session")
def simulated() -> Callable[..., tuple[NDArray[np.bool_], NDArray[np.float64]]]:
    """Truth and ratings of a made-up reader study."""

    def make(
        modalities: int, readers: int, cases: int, *, levels: int = 0, seed: int = 1
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        rng = np.random.default_rng(seed)
        truth = np.arange(cases) < cases // 2
        ratings = 0.6 * rng.normal(size=(modalities, readers, cases)) + 0.7 * rng.normal(size=cases)
        ratings += truth * (1.0 + 0.1 * np.arange(modalities)[:, None, None])
        ratings += truth * 0.2 * rng.normal(size=(1, readers, 1))
        if levels:
            ratings = np.searchsorted(np.quantile(ratings, np.arange(1, levels) / levels), ratings).astype(
                np.float64
            )
        return truth, ratings

    return make
