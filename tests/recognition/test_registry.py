"""Calibration curves that lie beside cards belong to the card's weights and can be measured again."""

from __future__ import annotations

from pathlib import Path

import pytest

from coread.core import Card
from coread.errors import DataError, NotApplicableError
from coread.recognition import registry


@pytest.mark.parametrize("model", list(registry.MODELS))
def test_every_curve_belongs_to_the_weights_of_its_card(model: str) -> None:
    for curve in registry.calibration_curves(model):
        assert curve.bins
        assert all(b.seen.low <= b.seen.value <= b.seen.high for b in curve.bins)
        said = [b.said for b in curve.bins]
        assert said == sorted(said)


def test_the_curve_of_the_pneumonia_model_is_measured_again(shared: Path) -> None:
    data = shared / "images/pneumoniamnist/pneumoniamnist_trainval.npz"
    now = registry.evaluate("cxr_pneumonia", data, part="val").curve
    (curve,) = registry.calibration_curves("cxr_pneumonia")
    assert [b.cases for b in curve.bins] == [b.cases for b in now]
    assert [b.said for b in curve.bins] == pytest.approx([b.said for b in now], abs=1e-3)
    assert [b.seen.value for b in curve.bins] == pytest.approx([b.seen.value for b in now], abs=1e-3)


def test_a_curve_of_other_weights_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    card = registry.card("cxr_pneumonia")

    def other(model: str) -> Card:
        from dataclasses import replace

        return replace(card, weights="0" * 64)

    monkeypatch.setattr(registry, "card", other)
    with pytest.raises(DataError, match="with weights"):
        registry.calibration_curves("cxr_pneumonia")


def test_a_model_that_outlines_has_no_operating_point_of_the_site(tmp_path: Path) -> None:
    assert registry.finding("lv_cine") is None
    assert registry.finding("cxr_pneumonia") == "pneumonia"
    with pytest.raises(NotApplicableError, match="no operating point"):
        registry.scored("lv_cine", tmp_path)
