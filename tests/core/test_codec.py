"""Documents: what is written comes back, and a changed field is noticed."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime

import numpy as np
import pytest

from coread.core import (
    Acquisition,
    CodedConcept,
    Finding,
    Geometry,
    ImagePlane,
    Interval,
    LabelMap,
    Map,
    Mask,
    MaskRegion,
    Measurement,
    Model,
    Note,
    PatientSpace,
    Probability,
    Provenance,
    Quantity,
    Result,
    Segment,
    Volume,
    vocabulary,
)
from coread.core.codec import decode, encode
from coread.core.reading import Committed, Decided, Decision, Opened, replay
from coread.errors import DataError


def through_json(value: object) -> object:
    document, arrays = encode(value)
    return decode(json.loads(json.dumps(document, allow_nan=False)), arrays)


def result() -> Result:
    grid = Geometry.axial((2, 3, 4), (5.0, 0.7, 0.7))
    space = PatientSpace("1.2")
    region = MaskRegion(Mask(np.eye(3, 4, dtype=bool)[None].repeat(2, 0), grid), space)
    measurement = Measurement(
        vocabulary.LAA_950, Quantity(11.3, "%"), Interval(10.2, 12.4, 0.95, "repeatability"), region
    )
    finding = Finding(
        "f1",
        vocabulary.EMPHYSEMA,
        "present",
        Model("lung_ct", "1.0.0", None, "measurement"),
        probability=Probability(0.8, None, 0.5, False),
        region=region,
        measurements=(measurement,),
    )
    values = np.arange(24, dtype=np.float32).reshape(grid.shape)
    return Result(
        findings=(finding,),
        maps=(Map(values, grid, vocabulary.LOW_ATTENUATION, "1", 0.0, 1.0, "Lung below -950 HU."),),
        masks=(Segment(vocabulary.LUNG, region.mask, "1.2", ("1.3", "1.4")),),
        labels=(LabelMap(values.astype(np.uint16) % 2, grid, {1: vocabulary.RIGHT_LUNG}, "1.2"),),
        notes=(Note("gate", "ood", "not like the training films"),),
    )


def test_a_result_comes_back_with_its_arrays() -> None:
    before, after = result(), through_json(result())
    assert isinstance(after, Result)
    np.testing.assert_array_equal(after.maps[0].values, before.maps[0].values)
    np.testing.assert_array_equal(after.labels[0].values, before.labels[0].values)
    assert after.labels[0].labels == before.labels[0].labels
    assert after.findings[0].region.mask.geometry.almost_equal(before.maps[0].grid, tolerance_mm=0)
    assert after.findings[0].probability == before.findings[0].probability
    assert after.masks[0].source_instances == ("1.3", "1.4")
    assert after.notes == before.notes


def test_an_image_comes_back() -> None:
    grid = Geometry.axial((2, 3, 4))
    volume = Volume(
        np.zeros(grid.shape, np.int16), grid, "HU", Acquisition("CT", kvp=120.0), "1.2", ("1", "2")
    )
    again = through_json(volume)
    assert again.acquisition == volume.acquisition
    assert again.values.dtype == np.int16
    assert through_json(ImagePlane((3, 4), (0.1, 0.2), "detector")) == ImagePlane(
        (3, 4), (0.1, 0.2), "detector"
    )


def test_a_reading_comes_back() -> None:
    now = datetime(2026, 5, 14, tzinfo=UTC)
    events = (Opened(now), Committed(now, result().findings))
    again = through_json(events)
    assert [type(e) for e in again] == [Opened, Committed]
    assert replay("1", "r", again).committed_findings[0].concept == vocabulary.EMPHYSEMA
    decided = Decided(now, Decision("x", "accept", now))
    assert through_json(decided) == decided


def test_odd_values_come_back() -> None:
    provenance = Provenance(
        "a", "1", None, "measurement", {"1.2": "ab"}, {}, None, "coread", datetime.now(UTC), datetime.now(UTC)
    )
    assert through_json(provenance) == provenance
    assert math.isnan(through_json(float("nan")))
    assert through_json(float("-inf")) == float("-inf")
    assert through_json(date(2020, 2, 29)) == date(2020, 2, 29)


def test_a_changed_field_is_noticed() -> None:
    document, arrays = encode(Quantity(1.0, "mm"))
    document["value"]["value"] = 2.0
    assert decode(document, arrays) != Quantity(1.0, "mm")
    document, _ = encode(CodedConcept("1", "SCT", "x"))
    document["value"]["meaning"] = ""
    with pytest.raises(DataError):
        decode(document)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": "coread-value", "version": 2},
        {"schema": "coread-value", "version": 1, "value": {"$": "os"}},
    ],
)
def test_what_is_no_document_is_refused(document: dict) -> None:
    with pytest.raises(DataError):
        decode(document)


def test_only_core_values_are_written() -> None:
    with pytest.raises(TypeError, match="not a core value"):
        encode(object())
