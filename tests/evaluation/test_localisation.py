import numpy as np
import pytest

from coread.errors import InputError
from coread.evaluation.localisation import lroc_area, match_marks
from coread.evaluation.roc import auc


def test_rules_differ_as_stated():
    lesions = [[[0, 0], [10, 10]], [[20, 20], [30, 30]]]
    marks = [[[0, 0], [10, 10]], [[8, 8], [18, 18]], [[22, 22], [28, 28]], [[50, 50], [60, 60]]]
    assert match_marks(marks, lesions, rule="overlap").tolist() == [0, 0, 1, -1]
    assert match_marks(marks, lesions, rule="overlap", limit=0.3).tolist() == [0, -1, 1, -1]
    assert match_marks(marks, lesions, rule="centre in box").tolist() == [0, -1, 1, -1]
    centres = np.array(marks).mean(axis=1)
    found = match_marks(centres, [[5, 5], [25, 25]], rule="distance", limit=12)
    assert found.tolist() == [0, 0, 1, -1]
    assert match_marks(centres, np.zeros((0, 2)), rule="distance", limit=5).tolist() == [-1] * 4
    with pytest.raises(InputError, match="axes"):
        match_marks(centres, lesions, rule="distance", limit=5)


def test_lroc_lies_between_nothing_and_the_roc():
    rng = np.random.default_rng(1)
    truth = rng.random(200) < 0.4
    score = rng.integers(0, 9, 200) + 2 * truth
    assert lroc_area(truth, score, np.ones(200)) == pytest.approx(auc(truth, score), abs=1e-12)
    assert lroc_area(truth, score, np.zeros(200)) == 0.0
    half = rng.random(200) < 0.5
    assert 0 < lroc_area(truth, score, half) < auc(truth, score)
