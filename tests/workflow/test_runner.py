"""Discovery by entry point, selection by the card, errors by kind, provenance."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from coread.core import (
    Acquisition,
    Geometry,
    Image,
    ImagePlane,
    PatientInfo,
    StudyInfo,
    Volume,
    vocabulary,
)
from coread.core.analysis import Need
from coread.errors import CancelledError, DataError, InputError
from coread.workflow import analyzers, runner
from coread.workflow.analyzers import Registered, in_running_order, read_card


def registered(name: str) -> Registered:
    target = f"outside_plugin.{name}:{name.capitalize()}"
    return Registered(name, read_card(target), target, "outside-plugin")


def study(modality: str = "CT", slices: int = 3, *, localizer: bool = False) -> runner.LoadedStudy:
    grid = Geometry.axial((slices, 4, 5))
    made = Acquisition(modality, body_part="CHEST", localizer=localizer)
    volume = Volume(np.full(grid.shape, 7, np.int16), grid, "HU", made, "1.2", (), "1.2.3")
    image = Image(np.zeros((4, 5)), ImagePlane((4, 5)), "stored", Acquisition("DX"))
    info = StudyInfo("1.2.840", modalities=(modality,))
    return runner.LoadedStudy(info, PatientInfo(63.0, "F"), {"1.2.3": volume, "9": image})


def clock() -> datetime:
    clock.now = getattr(clock, "now", datetime(2026, 1, 1, tzinfo=UTC)) + timedelta(seconds=1)
    return clock.now


def test_an_outside_package_is_found_and_a_cardless_one_left_out(plugin: Path) -> None:
    found = {r.name: r for r in analyzers.discover()}
    assert found["t_good"].distribution == "outside-plugin"
    assert found["t_good"].card.version == "1.2.3"
    assert "t_cardless" not in found
    with pytest.raises(DataError, match="no `analyze`"):
        found["t_nothing"].load()


def test_a_result_carries_its_provenance(plugin: Path) -> None:
    (outcome,) = runner.run_study(study(), [registered("good")], clock=clock)
    assert outcome.result is not None
    assert outcome.result.measurements[0].quantity.value == 7
    values = np.full((3, 4, 5), 7, np.int16)
    expected = hashlib.sha256(f"{values.dtype.str}{values.shape}".encode() + values.tobytes()).hexdigest()
    assert outcome.provenance.inputs == {"1.2.3": expected}
    assert (outcome.provenance.analyzer, outcome.provenance.version) == ("good", "1.2.3")
    assert outcome.provenance.start < outcome.provenance.end
    assert outcome.provenance.software.startswith("coread ")


def test_errors_are_told_apart_and_none_stops_the_others(plugin: Path) -> None:
    names = ["unfit", "stuck", "broken", "good"]
    outcomes = {o.name: o for o in runner.run_study(study(), [registered(n) for n in names], clock=clock)}
    assert outcomes["unfit"].not_applicable == "not a chest"
    assert outcomes["stuck"].failure == "no airway found"
    assert "KeyError" in str(outcomes["broken"].failure)
    assert "Mustermann" not in str(outcomes["broken"].failure)
    assert outcomes["good"].result is not None


def test_masks_of_one_analyzer_reach_the_next(plugin: Path) -> None:
    outcomes = runner.run_study(study(), [registered("later"), registered("good")], clock=clock)
    assert [o.name for o in outcomes] == ["good", "later"]
    assert outcomes[1].result is not None
    assert outcomes[1].result.measurements[0].quantity.value == 60


@pytest.mark.parametrize(
    "other", [study("MR"), study("CT", 1), study(localizer=True)], ids=["modality", "slices", "localizer"]
)
def test_a_study_that_does_not_fit_is_not_applicable(plugin: Path, other: runner.LoadedStudy) -> None:
    (outcome,) = runner.run_study(other, [registered("good")], clock=clock)
    assert outcome.result is None
    assert outcome.not_applicable


def test_a_cancelled_run_stops_between_analyzers(plugin: Path) -> None:
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    with pytest.raises(CancelledError):
        runner.run_study(study(), [registered("good"), registered("unfit")], clock=clock, cancelled=cancelled)
    assert len(asked) == 2


def test_two_that_need_each_other_are_refused(plugin: Path) -> None:
    from dataclasses import replace

    good, later = registered("good"), registered("later")
    ring = replace(good, card=replace(good.card, needs=(Need("results", analyzers=("later",)),)))
    with pytest.raises(InputError, match="each other"):
        in_running_order([ring, later])


def test_the_hash_notices_type_shape_and_value() -> None:
    base = np.zeros((2, 3), np.int16)
    one = base.copy()
    one[1, 2] = 1
    hashes = {runner.content_hash(a) for a in (base, one, base.reshape(3, 2), base.astype(np.uint16))}
    assert len(hashes) == 4
    assert runner.content_hash(np.asfortranarray(base)) == runner.content_hash(base)


def test_every_own_card_can_be_read() -> None:
    for found in analyzers.discover():
        assert found.card.name
        assert vocabulary.findings()
