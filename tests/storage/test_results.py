from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from coread.core import (
    Finding,
    InstanceHeader,
    Mask,
    Measurement,
    Model,
    Note,
    Probability,
    Provenance,
    Quantity,
    Result,
    Segment,
)
from coread.core.codes import CodedConcept
from coread.core.geometry import Geometry
from coread.errors import DataError, InputError
from coread.storage import ConflictError, Library, result_key

Header = Callable[..., InstanceHeader]
STUDY = "1.2.3"
LUNG = CodedConcept("39607008", "SCT", "Lung")
EMPHYSEMA = CodedConcept("87433001", "SCT", "Pulmonary emphysema")


@pytest.fixture(autouse=True)
def indexed(library: Library, header: Header) -> None:
    library.instances.add(header(study=STUDY), "a" * 64, size=1)


def provenance(**changes: Any) -> Provenance:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    base = Provenance(
        analyzer="lung_ct",
        version="1.0.0",
        weights_digest=None,
        mode="second-reader",
        inputs={"1.2.3.1": "b" * 64},
        settings={"threshold": "-950"},
        seed=None,
        software="coread 0.1.0",
        start=at,
        end=at,
    )
    return replace(base, **changes)


def result() -> Result:
    grid = Geometry.axial(shape=(2, 3, 4), spacing_mm=(5.0, 0.7, 0.7))
    voxels = np.arange(24).reshape(grid.shape) % 5 == 0
    model = Model("lung_ct", "1.0.0", None, "second-reader")
    return Result(
        findings=(
            Finding(
                "f1", EMPHYSEMA, "present", model, probability=Probability(0.83, None, 0.5, calibrated=True)
            ),
        ),
        measurements=(Measurement(LUNG, Quantity(4321.5, "mL")),),
        masks=(Segment(LUNG, Mask(voxels, grid), "1.2.3.99"),),
        notes=(Note("warning", "thick_slices", "slices are 5 mm thick"),),
    )


def test_result_comes_back_whole(library: Library) -> None:
    row = library.results.save(STUDY, provenance(), result())
    (stored,) = library.results.of(STUDY)
    assert stored.row == row
    assert stored.row.provenance == provenance()
    found, kept = stored.load(), result()
    assert found is not None
    assert found.findings[0].probability == kept.findings[0].probability
    assert found.measurements[0].quantity == Quantity(4321.5, "mL")
    assert found.notes == kept.notes
    segment, expected = found.masks[0].mask, kept.masks[0].mask
    np.testing.assert_array_equal(segment.voxels, expected.voxels)
    assert isinstance(segment, Mask)
    assert segment.geometry.almost_equal(expected.geometry, tolerance_mm=0)


def test_newer_work_of_an_analyzer_supersedes_the_older(library: Library) -> None:
    first = library.results.save(STUDY, provenance(), result())
    other = library.results.save(STUDY, provenance(analyzer="quality"), Result())
    second = library.results.save(STUDY, provenance(version="1.1.0"), Result())
    assert [s.row.id for s in library.results.of(STUDY)] == [other.id, second.id]
    assert [s.row.id for s in library.results.history(STUDY)] == [first.id, other.id, second.id]
    superseded = library.results.get(first.id)
    assert superseded is not None
    assert superseded.load() is not None


def test_same_work_saved_again_keeps_the_first_answer(library: Library) -> None:
    first = library.results.save(STUDY, provenance(), result())
    later = datetime(2026, 3, 2, tzinfo=UTC)
    assert library.results.save(STUDY, provenance(start=later, end=later), Result()) == first
    assert len(library.results.history(STUDY)) == 1


def test_failure_is_kept_and_work_is_done_again(library: Library) -> None:
    failed = library.results.save(STUDY, provenance(), None, failure="out of memory")
    assert library.results.of(STUDY)[0].load() is None
    done = library.results.save(STUDY, provenance(), result())
    assert done.id != failed.id
    assert [s.row.failure for s in library.results.of(STUDY)] == [None]


def test_not_applicable_is_kept_with_its_reason(library: Library) -> None:
    library.results.save(STUDY, provenance(), None, not_applicable="no chest CT")
    (stored,) = library.results.of(STUDY)
    assert (stored.row.not_applicable, stored.row.failure, stored.load()) == ("no chest CT", None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"analyzer": "other"},
        {"version": "1.0.1"},
        {"weights_digest": "c" * 64},
        {"inputs": {"1.2.3.1": "c" * 64}},
        {"inputs": {"1.2.3.2": "b" * 64}},
        {"settings": {"threshold": "-910"}},
        {"seed": 1},
    ],
)
def test_key_changes_with_whatever_decides_the_answer(change: dict[str, Any]) -> None:
    assert result_key(STUDY, provenance(**change)) != result_key(STUDY, provenance())


def test_key_does_not_change_with_time_and_order() -> None:
    later = datetime(2027, 1, 1, tzinfo=UTC)
    one, two = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    first = result_key(STUDY, provenance(settings=one))
    assert result_key(STUDY, provenance(settings=two, start=later, end=later)) == first
    assert result_key("1.2.4", provenance(settings=one)) != first


def test_work_can_be_looked_up_by_its_key(library: Library) -> None:
    key = result_key(STUDY, provenance())
    assert library.results.find(STUDY, key) is None
    row = library.results.save(STUDY, provenance(), result())
    found = library.results.find(STUDY, key)
    assert found is not None
    assert found.row == row
    assert library.results.get("no such result") is None


@pytest.mark.parametrize(
    "parts",
    [
        {"result": None},
        {"result": Result(), "failure": "x"},
        {"result": None, "failure": "x", "not_applicable": "y"},
    ],
)
def test_run_has_one_outcome(library: Library, parts: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="one of the three"):
        library.results.save(STUDY, provenance(), **parts)


def test_result_of_an_unknown_study_is_refused(library: Library) -> None:
    with pytest.raises(ConflictError, match="not indexed"):
        library.results.save("1.9", provenance(), Result())


def test_damaged_arrays_are_not_given_out(library: Library) -> None:
    library.results.save(STUDY, provenance(), result())
    (digest,) = library.objects.digests()
    path = library.objects.path(digest)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="changed on the disk"):
        library.results.of(STUDY)[0].load()
