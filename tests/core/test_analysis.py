"""Cards and what the words of the core refuse."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from coread.core import (
    CodedConcept,
    Finding,
    Geometry,
    Inputs,
    Interval,
    LabelMap,
    Map,
    Mask,
    Model,
    Need,
    Probability,
    Quantity,
    Reader,
    Report,
    Section,
    Sentence,
    Signature,
    card_from_table,
    vocabulary,
)
from coread.errors import GeometryError, InputError, MissingExtraError
from coread.extras import require

TABLE = {
    "name": "Region volume",
    "version": "1.0.0",
    "kind": "measure",
    "mode": "measurement",
    "needs": {"volumes": {"modality": "CT", "body_part": ["CHEST"], "minimum_slices": 10}, "masks": "any"},
    "intended_use": "Volume of a segmented structure.",
    "not_for": "Thin structures.",
    "evidence_level": 2,
    "training_data": "none",
    "metrics": {"auc": {"value": 0.9, "low": 0.8, "high": 0.95, "data": "d", "date": "2026-01-01"}},
    "licence": "Apache-2.0",
    "references": ["IBSI 1"],
}


def test_a_card_reads_its_needs_and_metrics() -> None:
    card = card_from_table(TABLE)
    assert card.needs == (
        Need("volumes", ("CT",), ("CHEST",), 10),
        Need("masks"),
    )
    assert card.shown == "locked"
    assert card.metrics[0].low == 0.8


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "guess"},
        {"mode": "autonomous"},
        {"evidence_level": 0},
        {"needs": {}},
        {"needs": {"smells": "any"}},
        {"needs": {"volumes": {"colour": "red"}}},
        {"needs": {"masks": {"source": "elsewhere"}}},
        {"needs": {"masks": {"source": "study", "analyzer": "lung_ct"}}},
        {"intended_use": ""},
        {"shown": "sometimes"},
        {"extra": 1},
        {"metrics": {"auc": {"value": 0.9}}},
    ],
)
def test_a_card_that_says_too_little_or_too_much_is_refused(change: dict) -> None:
    with pytest.raises(InputError):
        card_from_table({**TABLE, **change})


def test_a_card_says_which_of_its_fields_are_missing() -> None:
    with pytest.raises(InputError, match="does not say kind, intended_use"):
        card_from_table({k: v for k, v in TABLE.items() if k not in ("kind", "intended_use")})


def test_codes_of_the_vocabulary_are_those_of_the_dictionary() -> None:
    for name, concept in {
        "PleuralEffusion": vocabulary.PLEURAL_EFFUSION,
        "Pneumothorax": vocabulary.PNEUMOTHORAX,
        "PulmonaryEdema": vocabulary.PULMONARY_EDEMA,
        "Lung": vocabulary.LUNG,
        "Thorax": vocabulary.THORAX,
        "Heart": vocabulary.HEART,
        "UpperLobeOfLung": vocabulary.UPPER_LOBE,
        "MiddleLobeOfRightLung": vocabulary.MIDDLE_LOBE,
        "LowerLobeOfLung": vocabulary.LOWER_LOBE,
        "Right": vocabulary.RIGHT,
        "Left": vocabulary.LEFT,
        "Volume": vocabulary.VOLUME,
        "Diameter": vocabulary.DIAMETER,
        "Length": vocabulary.LENGTH,
        "Area": vocabulary.AREA,
    }.items():
        assert getattr(codes.SCT, name).value == concept.value, name


def test_every_finding_leads_to_the_root_and_codes_are_unique() -> None:
    concepts = vocabulary.findings()
    assert len(set(concepts)) == len(concepts)
    for concept in concepts[1:]:
        assert list(vocabulary.ancestors(concept))[-1] == vocabulary.ABNORMALITY
    own = [c for c in vars(vocabulary).values() if isinstance(c, CodedConcept) and c.scheme == "99COREAD"]
    assert max(len(c.value) for c in own) <= 16, "DICOM's Code Value holds 16 characters"
    assert vocabulary.finding("60046008") == vocabulary.PLEURAL_EFFUSION
    with pytest.raises(InputError, match="no code"):
        vocabulary.finding("nonsense")


def test_values_refuse_what_they_cannot_mean() -> None:
    grid = Geometry.axial((1, 2, 3))
    ones = np.ones(grid.shape)
    for make in (
        lambda: Quantity(1.0, ""),
        lambda: CodedConcept("", "SCT", "x"),
        lambda: Interval(2, 1, 0.95, "x"),
        lambda: Interval(1, 2, 95, "x"),
        lambda: Probability(1.2, None, 0.5, True),
        lambda: Finding("", vocabulary.LUNG_NODULE, "present", Reader("r")),
        lambda: Finding("a", vocabulary.LUNG_NODULE, "no_opinion", Reader("r")),
        lambda: Mask(ones, grid),
        lambda: Mask(np.ones((2, 2, 2), bool), grid),
        lambda: LabelMap(ones.astype(np.uint16), grid, {}),
        lambda: LabelMap(ones.astype(np.uint8), grid, {1: vocabulary.LUNG}),
        lambda: Map(ones.astype(np.float32), grid, vocabulary.LUNG, "1", 1.0, 1.0, "x"),
    ):
        with pytest.raises((InputError, GeometryError)):
            make()


def test_masks_are_read_only_and_travel() -> None:
    grid = Geometry.axial((1, 2, 3))
    mask = Mask(np.ones(grid.shape, bool), grid)
    with pytest.raises(ValueError, match="read-only"):
        mask.voxels[0] = False
    again = pickle.loads(pickle.dumps(Inputs(masks={"a": mask}))).masks["a"]
    assert not again.voxels.flags.writeable
    with pytest.raises(TypeError):
        Inputs(masks={"a": mask}).masks["b"] = mask


def test_a_sentence_of_a_model_that_nobody_accepted_cannot_be_signed() -> None:
    model = Model("m", "1", None, "second-reader")
    reader = Reader("r")
    from datetime import UTC, datetime

    signature = Signature(reader, datetime(2026, 1, 1, tzinfo=UTC))
    said = Section("findings", (Sentence("A nodule.", model),))
    Report("1.2", "en", (said,))
    with pytest.raises(InputError, match="nobody accepted"):
        Report("1.2", "en", (said,), signature=signature)
    accepted = Section("findings", (Sentence("A nodule.", model, accepted_by=reader),))
    assert Report("1.2", "en", (accepted,), signature=signature).signature == signature


def test_a_missing_extra_names_itself_and_travels() -> None:
    with pytest.raises(MissingExtraError, match=r"coread\[train\]") as caught:
        require("a_package_that_is_not_there", extra="train")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
