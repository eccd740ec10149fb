import numpy as np
import pytest

from coread.errors import InputError
from coread.evaluation.froc import FIGURES, analyse_froc, figures, froc_study


@pytest.fixture(scope="module")
def thompson(reference):
    marks, truth = (reference(f"froc/rjafroc_05_THOMPSON_{part}.csv") for part in ("marks", "truth"))
    return froc_study(marks, truth), reference("froc/rjafroc_05_THOMPSON.json")


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_of_merit_equal_rjafroc(thompson, figure):
    study, want = thompson
    rows = [[row[f"rdr{k}"] for k in range(1, 10)] for row in want["foms"][figure]]
    order = np.argsort([int(r) for r in study.readers])
    found = figures(study, figure)[np.argsort(study.modalities)][:, order]
    assert found == pytest.approx(np.array(rows), rel=1e-10)


@pytest.mark.parametrize("figure", ["wAFROC", "AFROC", "HrAuc"])
def test_analysis_equals_rjafroc(thompson, figure):
    study, want = thompson
    for method in ("OR", "DBM"):
        theirs = want["sig"][f"{figure}_{method}"]["RRRC"]
        found = analyse_froc(study, figure)
        assert found.test.statistic == pytest.approx(theirs["FTests"][0]["FStat"], rel=1e-8)
        assert found.test.df2 == pytest.approx(theirs["FTests"][1]["DF"], rel=1e-8)
        assert found.test.p == pytest.approx(theirs["FTests"][0]["p"], rel=1e-8)
        limits = theirs["ciDiffTrt"][0]
        (mine,) = found.differences
        assert (mine.estimate, mine.interval.low, mine.interval.high) == pytest.approx(
            (limits["Estimate"], limits["CILower"], limits["CIUpper"]), rel=1e-8
        )


def test_marks_on_unknown_lesions_are_refused_by_row(reference):
    marks, truth = (reference(f"froc/rjafroc_05_THOMPSON_{part}.csv") for part in ("marks", "truth"))
    marks.loc[3, ["kind", "lesion"]] = ["LL", "99"]
    with pytest.raises(InputError, match="row 4"):
        froc_study(marks, truth)
