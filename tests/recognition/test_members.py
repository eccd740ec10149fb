"""Who speaks of a patient: all networks of a stranger, the one that never saw it of a known one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from coread.errors import DataError
from coread.recognition import lung_fields, lv_cine
from coread.recognition.members import FOLDS_KEY, apart_note, said_of
from coread.recognition.metrics import dice


def test_a_stranger_gets_the_mean_and_a_known_patient_the_one_apart() -> None:
    members = np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]], dtype=np.float32)
    folds = {"A": 0, "B": 2}
    np.testing.assert_array_equal(said_of(members, "stranger", folds), [0.5, 0.5])
    np.testing.assert_array_equal(said_of(members, None, folds), [0.5, 0.5])
    np.testing.assert_array_equal(said_of(members, "A", folds), members[0])
    np.testing.assert_array_equal(said_of(members, "B", folds), members[2])


def test_the_note_counts_patients_once() -> None:
    assert apart_note(["A", "A", "C"], {"A": 0, "B": 1})[0].startswith("1 of 2 patients")
    assert apart_note(["C"], {"A": 0}) == ()


@pytest.mark.parametrize("module", [lung_fields, lv_cine])
def test_every_part_has_a_network(module: object) -> None:
    folds = module.network().settings[FOLDS_KEY]  # type: ignore[attr-defined]
    counts = np.bincount(list(folds.values()))
    assert len(counts) == 3
    assert counts.min() >= len(folds) // 3 - 1


def test_networks_know_the_films_that_they_were_trained_with(shared: Path) -> None:
    """Two of the three saw a film: their outlines lie nearer to the truth than that of the third."""
    model = lung_fields.network()
    folds, better = model.settings[FOLDS_KEY], []
    for name, film, truth in lung_fields.read_pairs(shared / "images/chest/montgomery_lungs")[::4]:
        apart = dice(lung_fields.lung_probability(film, model, name) >= 0.5, truth)
        better.append(dice(lung_fields.lung_probability(film, model) >= 0.5, truth) - apart)
        assert name in folds
    assert np.mean(better) > 0.002


def test_a_part_that_nobody_took_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    picture = np.zeros((64, 64), np.uint8)
    Picture.fromarray(picture).save(tmp_path / "images/mine.png")
    Picture.fromarray(picture).save(tmp_path / "masks/mine.png")
    with pytest.raises(DataError, match="training data"):
        lung_fields.evaluate(tmp_path, part="val")
    assert lung_fields.evaluate(tmp_path).cases == 1
