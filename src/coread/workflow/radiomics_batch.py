"""Radiomics of many cases: a CSV in, one table out, taken up again where it stopped."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from coread.errors import CoreadError, DataError
from coread.quant.radiomics import Settings
from coread.workflow.radiomics import Progress, extract_case

if TYPE_CHECKING:
    import pandas as pd

_IMAGE_COLUMNS = ("case", "image", "mask")


@dataclass(frozen=True, slots=True)
class Case:
    """One case of a batch: its name, its image, its masks."""

    name: str
    image: Path
    masks: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What came of a batch: the long table, and the cases that could not be measured with the reason."""

    frame: pd.DataFrame
    refused: tuple[tuple[str, str], ...]
    resumed: int


def read_cases(path: Path) -> tuple[Case, ...]:
    """Return the cases of a CSV with columns ``case``, ``image`` and ``mask``; several masks, several rows.

    Paths are taken from the folder of the CSV.

    Raises:
        DataError: The file or a column is missing, or a case has two images.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in _IMAGE_COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path.name} has no column {', '.join(missing)}", "expected case, image and mask"
                )
            rows = [{name: (row[name] or "").strip() for name in _IMAGE_COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path.name} can't be read: {error}", "expected a CSV of cases") from error
    grouped: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        grouped.setdefault(row["case"], []).append(row)
    cases = []
    for name, members in grouped.items():
        images = {row["image"] for row in members}
        if not name or len(images) != 1 or not images.pop():
            raise DataError(
                f"case {name!r} in {path.name} has no name or not one image",
                "expected a name and one image a case",
            )
        masks = tuple(path.parent / row["mask"] for row in members if row["mask"])
        cases.append(Case(name, path.parent / members[0]["image"], masks))
    if not cases:
        raise DataError(f"{path.name} lists no case", "expected a row a mask")
    return tuple(cases)


def extract_batch(
    cases: Sequence[Case],
    settings: Settings,
    folder: Path,
    *,
    jobs: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
) -> BatchResult:
    """Return the features of many cases; what is done is kept in a folder until all are.

    Args:
        cases: What to measure.
        settings: What is computed and how.
        folder: Where finished cases are kept, one Parquet file and one document of provenance each.
        jobs: Processes.
        resume: Take up finished cases of the same files and settings.
        progress: Called with the share done and the name of the last case.
    """
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    places = {case.name: folder / _digest(case, settings) for case in cases}
    open_cases = [c for c in cases if not (resume and _finished(places[c.name]))]
    resumed = len(cases) - len(open_cases)
    refused: list[tuple[str, str]] = []

    def done(case: Case, reason: str | None, number: int) -> None:
        if reason is not None:
            refused.append((case.name, reason))
        if progress is not None:
            progress((resumed + number) / len(cases), case.name)

    if jobs > 1 and len(open_cases) > 1:
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            running = {pool.submit(_measure, c, settings, places[c.name]): c for c in open_cases}
            try:
                for number, future in enumerate(as_completed(running), 1):
                    done(running[future], future.result(), number)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    else:
        for number, case in enumerate(open_cases, 1):
            done(case, _measure(case, settings, places[case.name]), number)
    made = [places[case.name] for case in cases if _finished(places[case.name])]
    frames = [pd.read_parquet(place.with_suffix(".parquet")) for place in made]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    order = {case.name: n for n, case in enumerate(cases)}
    return BatchResult(frame, tuple(sorted(refused, key=lambda r: order[r[0]])), resumed)


def _digest(case: Case, settings: Settings) -> str:
    stamps = [
        (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) if path.exists() else str(path)
        for path in (case.image, *case.masks)
    ]
    text = json.dumps([case.name, stamps, settings.to_table()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _finished(place: Path) -> bool:
    return place.with_suffix(".parquet").is_file() and place.with_suffix(".json").is_file()


def _measure(case: Case, settings: Settings, place: Path) -> str | None:
    """Measure a case and keep it; return why it could not be, or None."""
    try:
        result, _ = extract_case(case.image, case.masks, settings, case=case.name)
    except CoreadError as error:
        return str(error)
    partial = place.with_suffix(".partial")
    result.table.frame().to_parquet(partial)
    place.with_suffix(".json").write_text(json.dumps(result.provenance), encoding="utf-8")
    partial.replace(place.with_suffix(".parquet"))  # a name appears when its content is whole
    return None
