"""A study of a library through the analyzers: what is kept, and that nothing is done twice."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from coread.errors import CancelledError, InputError
from coread.execution import InlineExecutor
from coread.storage import Library
from coread.workflow import analyzers, jobs, process
from coread.workflow.intake import ingest


@pytest.fixture
def library(tmp_path: Path, small_ct: tuple[Path, np.ndarray]) -> Library:
    with Library.open(tmp_path / "library", durable=False) as opened:
        ingest(opened, [small_ct[0]])
        yield opened


def chosen() -> list[analyzers.Registered]:
    return [r for r in analyzers.discover() if r.name in ("t_good", "t_unfit", "t_stuck")]


def only_study(library: Library) -> str:
    return library.instances.studies().items[0].uid


def test_every_outcome_is_kept_with_its_reason(
    plugin: Path, library: Library, small_ct: tuple[Path, np.ndarray]
) -> None:
    study = only_study(library)
    outcomes = process.process_study(library, study, chosen())
    kept = {stored.row.analyzer: stored for stored in library.results.of(study)}
    assert set(kept) == {o.name for o in outcomes} == {"t_good", "t_unfit", "t_stuck"}
    result = kept["t_good"].load()
    assert result is not None
    assert result.measurements[0].quantity.value == pytest.approx(small_ct[1].mean())
    np.testing.assert_array_equal(result.findings[0].region.mask.voxels, small_ct[1] > 0)
    assert kept["t_unfit"].row.not_applicable == "not a chest"
    assert kept["t_stuck"].row.failure == "no airway found"
    assert kept["t_good"].row.provenance.version == "1.2.3"


def test_findings_get_random_identifiers_and_keep_them(plugin: Path, library: Library) -> None:
    study = only_study(library)
    process.process_study(library, study, chosen())
    (first,) = [s for s in library.results.of(study) if s.row.analyzer == "t_good"]
    identifier = first.load().findings[0].id
    assert identifier != "first"
    process.process_study(library, study, chosen())
    (again,) = [s for s in library.results.of(study) if s.row.analyzer == "t_good"]
    assert again.load().findings[0].id == identifier


def test_the_patient_is_as_old_as_on_the_day_of_the_study(library: Library) -> None:
    row = library.instances.study(only_study(library))
    info = process.patient_info(row)
    assert info.sex == "F"
    assert info.age_years == pytest.approx(66.0, abs=0.05)
    assert process.age_at(date(2020, 1, 2), date(2020, 1, 1)) is None


def test_a_cancelled_run_keeps_nothing(plugin: Path, library: Library) -> None:
    with pytest.raises(CancelledError):
        process.process_study(library, only_study(library), chosen(), cancelled=lambda: True)
    assert library.results.of(only_study(library)) == ()


def test_an_unknown_study_is_refused(library: Library) -> None:
    with pytest.raises(InputError, match="not in the library"):
        process.process_study(library, "1.2.3", [])


def test_a_worker_does_the_jobs_of_a_library_once(plugin: Path, library: Library) -> None:
    asked = jobs.enqueue_all(library)
    assert jobs.progress_of(library, asked) == (0.0, "processing: 0 of 1 studies", False)
    done = jobs.worker(library, InlineExecutor()).run_until_idle()
    assert done == 1
    assert jobs.progress_of(library, asked)[2]
    assert library.results.of(only_study(library))
    again = jobs.enqueue_all(library)
    assert [job.id for job in again] == [job.id for job in asked]
    assert jobs.worker(library, InlineExecutor()).run_until_idle() == 0


def test_regions_that_came_with_a_study_reach_the_analyzers(shared: Path, tmp_path: Path) -> None:
    files = [
        *sorted((shared / "dicom/dcmqi_ct3_seg").glob("*.dcm")),
        shared / "dicom/objects/liver_1frame.dcm",
    ]
    (radiomics,) = [r for r in analyzers.discover() if r.name == "radiomics"]
    with Library.open(tmp_path / "library", durable=False) as opened:
        ingest(opened, files)
        row = opened.instances.studies().items[0]
        loaded = process.load_study(opened, row, [radiomics])
        (key,) = loaded.masks
        assert key.endswith(":1 Liver")
        # the segment has one frame; its pixels are counted in the file itself
        import pydicom

        segmentation = pydicom.dcmread(files[-1])
        assert loaded.masks[key].voxels.sum() == segmentation.pixel_array.sum()
        (outcome,) = process.process_study(opened, row.uid, [radiomics])
        assert any(m.concept.value == "YEKZ" for m in outcome.result.measurements), "IBSI volume"
