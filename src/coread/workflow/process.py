"""Processing a study of a library: load what the cards ask for, run, keep what came of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date

from coread.core import Mask, PatientInfo, PlaneMask, Result, StudyInfo, Volume
from coread.errors import CancelledError, DataError, InputError
from coread.interop.dicom import Instance, SeriesPart, load_series
from coread.interop.dicom.regions import read_regions
from coread.storage import Job, Library, StudyRow
from coread.workflow.analyzers import Registered
from coread.workflow.intake import series_instances
from coread.workflow.runner import LoadedStudy, Outcome, Progress, run_study

JOB_KIND = "process"
REGION_MODALITIES = ("SEG", "RTSTRUCT")


def enqueue(library: Library, study: str, analyzers: Sequence[Registered], *, priority: int = 0) -> Job:
    """Ask for a study to be processed; the same acquired content and the same analyzers give the same job."""
    parts = [_identity(registered) for registered in analyzers]
    for series in library.instances.series(study, scope="acquired"):
        stored = library.instances.instances(series.uid, scope="acquired")
        parts += sorted(instance.digest for instance in stored)
    key = f"{study} {hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:32]}"
    return library.jobs.enqueue(JOB_KIND, key, {"study": study}, priority=priority, subject=study)


def _identity(registered: Registered) -> str:
    """What must be the same for work to be the same: version, weights, the site's thresholds."""
    card = registered.card
    site = [f"{name}={value!r}" for name, value in sorted(registered.thresholds.items())]
    refused = ["refused"] if registered.refusal else []
    return " ".join([registered.name, card.version, str(card.weights), *site, *refused])


def process_study(
    library: Library,
    study: str,
    analyzers: Sequence[Registered],
    *,
    progress: Progress = lambda fraction, words: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Outcome, ...]:
    """Run analyzers on a study of the library and keep what came of each.

    Findings get random identifiers here, so that none tells how many there are.

    Raises:
        InputError: The library has no such study.
        CancelledError: `cancelled` said so; nothing of the run is kept.
    """
    row = library.instances.study(study, scope="acquired")
    if row is None:
        if library.instances.study(study) is None:
            raise InputError(f"study {study} is not in the library")
        return ()
    progress(0.0, "loading")
    loaded = load_study(library, row, analyzers)
    if cancelled():
        raise CancelledError("the work was cancelled", "", "start it again")
    outcomes = run_study(
        loaded,
        analyzers,
        clock=library.now,
        progress=lambda fraction, words: progress(0.2 + 0.8 * fraction, words),
        cancelled=cancelled,
    )
    with library.transaction():
        for outcome in outcomes:
            library.results.save(
                study,
                outcome.provenance,
                None if outcome.result is None else _with_random_ids(outcome.result, library.identifier),
                analyzer=outcome.name,
                not_applicable=outcome.not_applicable,
                failure=outcome.failure,
            )
    return outcomes


def load_study(library: Library, row: StudyRow, analyzers: Iterable[Registered] | None = None) -> LoadedStudy:
    """Return what any of the analyzers may ask for, or everything acquired where none are named."""
    needs = [need for r in analyzers or () for need in r.card.needs]
    wanted = {modality for need in needs for modality in need.modalities}
    with_regions = any(need.role == "masks" for need in needs) and not set(REGION_MODALITIES).isdisjoint(
        series.modality for series in library.instances.series(row.uid)
    )
    anything = analyzers is None or any(
        need.role in ("volumes", "images", "series") and not need.modalities for need in needs
    )
    parts: list[SeriesPart] = []
    for series in library.instances.series(row.uid, scope="acquired"):
        if not (anything or with_regions or series.modality in wanted):
            continue
        parts += _parts(series_instances(library, series.uid, scope="acquired"))
    info = StudyInfo(row.uid, row.time.date() if row.time else None, row.modalities, row.description or None)
    values = {part.key: part.value for part in parts}
    masks = _masks(library, row.uid, values.values()) if with_regions else {}
    return LoadedStudy(info, patient_info(row), values, masks)


def _parts(instances: Sequence[Instance]) -> tuple[SeriesPart, ...]:
    with suppress(DataError):  # pixels that can't be decoded are told at intake
        return load_series(instances)
    return ()


def _masks(library: Library, study: str, values: Iterable[object]) -> dict[str, Mask | PlaneMask]:
    """Return the regions of the SEG and RT structure sets of a study, on the volume each was drawn on."""
    volumes = [value for value in values if isinstance(value, Volume)]
    found: dict[str, Mask | PlaneMask] = {}
    for series in library.instances.series(study):
        if series.modality not in REGION_MODALITIES:
            continue
        for instance in series_instances(library, series.uid):
            for volume in volumes:
                with suppress(DataError, InputError):  # drawn on another volume, or fractional
                    for n, segment in enumerate(read_regions(instance.dataset, volume), start=1):
                        found[f"{instance.header.instance}:{n} {segment.concept.meaning}"] = segment.mask
                    break
    return found


def patient_info(row: StudyRow) -> PatientInfo:
    """Return the age at the study and the sex, where they are known."""
    return PatientInfo(age_at(row.birth_date, row.time.date() if row.time else None), row.sex)


def age_at(birth: date | None, day: date | None) -> float | None:
    """Return the age in years on a day, None where either is unknown or the day is before birth.

    Examples:
        >>> age_at(date(1960, 1, 1), date(2020, 1, 1))
        60.0
    """
    if birth is None or day is None or day < birth:
        return None
    return round((day - birth).days / 365.25, 1)


def _with_random_ids(result: Result, identifier: Callable[[], str]) -> Result:
    return replace(result, findings=tuple(f.with_id(identifier()) for f in result.findings))
