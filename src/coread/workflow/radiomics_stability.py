"""Radiomics again and again: of perturbed images, of test and retest, and a plot of what is stable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from coread.core import LabelMap, Mask, Volume
from coread.errors import DataError
from coread.quant.radiomics import Settings, extract
from coread.quant.radiomics.perturbation import Perturbation, perturbed
from coread.workflow.radiomics import Progress, extract_case, load_image, load_masks
from coread.workflow.radiomics_batch import Case


def perturbed_features(
    cases: Sequence[Case],
    settings: Settings,
    *,
    changes: Sequence[Perturbation],
    seed: int = 0,
    jobs: int = 1,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Return the features of cases under perturbations: a long table with ``repeat`` and ``column``.

    Args:
        cases: What to measure.
        settings: What is computed and how.
        changes: Perturbations, the first of which usually changes nothing.
        seed: Of noise and contours.
        jobs: Threads for the regions of an image.
        progress: Called with the share done and words.

    Raises:
        DataError: A file can't be used.
    """
    frames = []
    for number, case in enumerate(cases):
        loaded = load_image(case.image)
        volume = loaded.volume
        if not isinstance(volume, Volume):
            raise DataError(f"{case.name} is a projection", "expected a volume")
        spacing = np.array(volume.geometry.spacing_mm)
        for path in case.masks:
            group = load_masks(path, loaded)
            if isinstance(group, LabelMap):
                named = {c.meaning: group.mask(value) for value, c in group.labels.items()}
            else:
                named = {name: mask for name, (_, mask) in group.items()}
            for label, mask in named.items():
                if not isinstance(mask, Mask) or not mask.geometry.almost_equal(volume.geometry):
                    raise DataError(
                        f"{label} of {case.name} is on another grid", "expected the grid of the image"
                    )
                for repeat, change in enumerate(changes):
                    rng = np.random.default_rng([seed, number, repeat])
                    values, region = perturbed(volume.values, mask.voxels, spacing, change, rng)
                    table = extract(
                        volume.with_values(values.astype(np.float32)),
                        {label: Mask(region, volume.geometry)},
                        settings,
                        case=case.name,
                        jobs=jobs,
                    )
                    frames.append(table.frame().assign(repeat=repeat, column=[f.column for f in table]))
                    if progress is not None:
                        progress((number + (repeat + 1) / len(changes)) / len(cases), case.name)
    return pd.concat(frames, ignore_index=True)


def retest_features(cases: Path, settings: Settings, *, progress: Progress | None = None) -> pd.DataFrame:
    """Return the features of a test-retest study: a CSV with ``case``, ``repeat``, ``image`` and ``mask``.

    Raises:
        DataError: The file or a column is missing, or an image can't be used.
    """
    try:
        listed = pd.read_csv(cases, dtype=str)
    except (OSError, ValueError) as error:
        raise DataError(f"{cases.name} can't be read: {error}", "expected a CSV of cases") from error
    missing = {"case", "repeat", "image", "mask"} - set(listed.columns)
    if missing:
        raise DataError(
            f"{cases.name} has no column {', '.join(sorted(missing))}", "expected case, repeat, image, mask"
        )
    frames = []
    for number, row in enumerate(listed.to_dict("records"), 1):
        image, mask = cases.parent / str(row["image"]), cases.parent / str(row["mask"])
        result, _ = extract_case(image, [mask], settings, case=str(row["case"]))
        frame = result.table.frame().assign(
            repeat=str(row["repeat"]), column=[f.column for f in result.table], label="region"
        )
        frames.append(frame)
        if progress is not None:
            progress(number / len(listed), str(row["case"]))
    return pd.concat(frames, ignore_index=True)


def stability_plot(table: pd.DataFrame, path: Path) -> None:
    """Write a plot of every feature's ICC(1,1) with its limits, ordered, stable ones apart (PNG or SVG)."""
    from matplotlib.figure import Figure  # slow to import

    ordered = table.dropna(subset=["icc_1_1"]).sort_values("icc_1_1", ignore_index=True)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for stable, colour, words in ((False, "#b3541e", "not stable"), (True, "#1f6f8b", "stable")):
        part = ordered[ordered["stable"] == stable]
        low = part["icc_1_1"] - part["icc_1_1_low"]
        high = part["icc_1_1_high"] - part["icc_1_1"]
        axes.errorbar(
            part.index,
            part["icc_1_1"],
            yerr=[low.clip(lower=0), high.clip(lower=0)],
            fmt=".",
            markersize=3,
            linewidth=0.6,
            color=colour,
            label=f"{words}: {len(part)}",
        )
    axes.set_xlabel("features, ordered")
    axes.set_ylabel("ICC(1,1) with 95 % limits")
    axes.set_ylim(-0.2, 1.02)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=150)
