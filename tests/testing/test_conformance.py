"""The suite must notice each promise that is broken: an analyzer for each."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from coread.core import (
    Finding,
    Inputs,
    Mask,
    Measurement,
    Model,
    Note,
    PatientSpace,
    Point,
    Quantity,
    Reader,
    Result,
    card_from_table,
)
from coread.core import vocabulary as words
from coread.errors import AnalysisError, NotApplicableError
from coread.testing import ConformanceError, check_analyzer
from coread.testing.conformance import STORAGES, stored_otherwise
from coread.testing.phantoms import ellipsoid, water_cylinder

TABLE = {
    "name": "Lesion",
    "version": "1.0.0",
    "kind": "detect",
    "mode": "second-reader",
    "needs": {"masks": "any"},
    "intended_use": "Finds where a region lies, for tests.",
    "not_for": "Everything else there is.",
    "evidence_level": 1,
    "training_data": "none",
    "licence": "Apache-2.0",
    "references": ["none"],
}
CARD = card_from_table(TABLE)
FRAME = PatientSpace("2.25.1")


class Lesion:
    """A right analyzer: a finding at the centre of a region, its volume as a measurement."""

    def analyze(self, inputs: Inputs) -> Result:
        masks = [mask for mask in inputs.masks.values() if isinstance(mask, Mask)]
        if not masks:
            raise NotApplicableError("no region", "one")
        return self.say(masks[0])

    def say(self, mask: Mask, **changes: object) -> Result:
        centre = mask.geometry.to_patient(np.argwhere(mask.voxels)).mean(axis=0)
        volume = mask.voxels.sum() * mask.geometry.voxel_volume_mm3
        finding = Finding(
            "one", words.LUNG_NODULE, "present", Model("Lesion", "1.0.0", None, "second-reader"),
            region=Point(tuple(centre), FRAME),
        )  # fmt: skip
        return Result(
            findings=(replace(finding, **changes),),
            measurements=(Measurement(words.VOLUME, Quantity(float(volume), "mm3")),),
        )


@pytest.fixture
def study() -> Inputs:
    return Inputs(masks={"a": ellipsoid((4.0, 7.0, 9.0), (2.0, 1.0, 1.0), (3.0, -2.0, 1.0))})


def test_a_right_analyzer_passes(study: Inputs) -> None:
    assert len(check_analyzer(Lesion(), study, card=CARD)) == 5


class ChangesInputs(Lesion):
    def analyze(self, inputs: Inputs) -> Result:
        result = super().analyze(inputs)
        voxels = next(iter(inputs.masks.values())).voxels
        owner = voxels.base if voxels.base is not None else voxels
        owner[0, 0, 0] = True
        return result


class NotReproducible(Lesion):
    count = itertools.count()

    def say(self, mask: Mask, **changes: object) -> Result:
        result = super().say(mask)
        extra = Measurement(words.LENGTH, Quantity(1.0 + 1e-12 * next(self.count), "mm"))
        return replace(result, measurements=(*result.measurements, extra))


class InStorageOrder(Lesion):
    def say(self, mask: Mask, **changes: object) -> Result:
        index = np.argwhere(mask.voxels).mean(axis=0)
        return super().say(mask, region=Point(tuple(index), FRAME))  # forgets the geometry


class FirstAxisIsUp(Lesion):
    def say(self, mask: Mask, **changes: object) -> Result:
        result = super().say(mask)
        height = np.ptp(np.flatnonzero(mask.voxels.any(axis=(1, 2))))
        extra = Measurement(words.LENGTH, Quantity(float(height), "mm"))
        return replace(result, measurements=(*result.measurements, extra))


class AnswersEverything(Lesion):
    def analyze(self, inputs: Inputs) -> Result:
        return super().analyze(inputs) if inputs.masks else Result()


class FailsOtherwise(Lesion):
    def analyze(self, inputs: Inputs) -> Result:
        if not inputs.masks:
            raise AnalysisError("nothing here")
        return super().analyze(inputs)


class IsAPerson(Lesion):
    def say(self, mask: Mask, **changes: object) -> Result:
        return super().say(mask, origin=Reader("dr"))


class SilentAbstention(Lesion):
    def say(self, mask: Mask, **changes: object) -> Result:
        return super().say(mask, status="no_opinion")


class OtherVersion(Lesion):
    def say(self, mask: Mask, **changes: object) -> Result:
        return super().say(mask, origin=Model("Lesion", "0.9.0", None, "second-reader"))


class NotANumber(Lesion):
    def say(self, mask: Mask, **changes: object) -> Result:
        bad = Measurement(words.VOLUME, Quantity(float("nan"), "mm3"))
        return replace(super().say(mask), measurements=(bad,))


@pytest.mark.parametrize(
    ("analyzer", "words"),
    [
        (ChangesInputs, "changed its inputs"),
        (NotReproducible, "two runs"),
        (InStorageOrder, "mm away"),
        (FirstAxisIsUp, "Length is"),
        (AnswersEverything, "gave a result for a study it is not for"),
        (FailsOtherwise, "AnalysisError"),
        (IsAPerson, "a person made it"),
        (SilentAbstention, "no note says why"),
        (OtherVersion, "0.9.0"),
        (NotANumber, "not a number"),
    ],
)
def test_a_broken_promise_is_noticed(analyzer: type, words: str, study: Inputs) -> None:
    voxels = next(iter(study.masks.values())).voxels.copy()
    own = Inputs(masks={"a": Mask(voxels, study.masks["a"].geometry)})
    with pytest.raises(ConformanceError, match=words):
        check_analyzer(analyzer(), own, card=CARD)


def test_an_abstention_with_a_note_is_fine(study: Inputs) -> None:
    class Abstains(Lesion):
        def say(self, mask: Mask, **changes: object) -> Result:
            note = Note("gate", "unsure", "It is not sure.")
            return replace(super().say(mask, status="no_opinion"), notes=(note,))

    assert check_analyzer(Abstains(), study, card=CARD)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("version", "one", "version"),
        ("references", [], "no reference"),
        ("not_for", "all", "not_for"),
        ("shown", "always", "never shown before"),
        ("training_data", "1000 films", "no metrics"),
        (
            "metrics",
            {"auc": {"value": 0.9, "low": 0.91, "high": 0.95, "data": "x", "date": "2026-01-01"}},
            "outside its interval",
        ),
    ],
)
def test_a_poor_card_is_noticed(field: str, value: object, words: str, study: Inputs) -> None:
    card = card_from_table({**TABLE, field: value})
    with pytest.raises(ConformanceError, match=words):
        check_analyzer(Lesion(), study, card=card)


def test_an_unfit_study_of_the_author_is_tried_too(study: Inputs) -> None:
    with pytest.raises(ConformanceError, match="not for"):
        check_analyzer(Lesion(), study, card=CARD, unfit=[study])


def test_without_a_study_nothing_is_checked() -> None:
    with pytest.raises(ConformanceError, match="no study"):
        check_analyzer(Lesion(), card=CARD)


@pytest.mark.parametrize(("axes", "flipped"), STORAGES)
def test_storing_otherwise_keeps_every_voxel_in_its_place(axes, flipped) -> None:
    volume = water_cylinder(3.0, shape=(3, 4, 5), spacing_mm=(5.0, 2.0, 1.0), noise_hu=1.0)
    volume = replace(volume, source_instances=("2.25.1", "2.25.2", "2.25.3"))
    other = stored_otherwise(Inputs(volumes={"a": volume}), axes, flipped).volumes["a"]
    index = np.argwhere(np.ones(other.geometry.shape, dtype=bool))
    there = volume.geometry.to_index(other.geometry.to_patient(index))
    before = np.rint(there).astype(int)
    assert np.allclose(there, before)
    assert np.array_equal(other.values[tuple(index.T)], volume.values[tuple(before.T)])
    if axes[0] == 0:
        assert other.source_instances == (
            volume.source_instances[::-1] if flipped[0] else volume.source_instances
        )
