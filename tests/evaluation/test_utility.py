import numpy as np
import pytest

from coread.errors import InputError
from coread.evaluation.utility import decision_curve, survival_decision_curve


def columns(rows):
    names = ("tp_rate", "fp_rate", "net_benefit")
    return [np.array([r[n] for r in rows]) for n in names]


def check(found, rows):
    mine = (found.true_rate, found.false_rate, found.net_benefit)
    for ours, theirs in zip(mine, columns(rows), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-10, abs=1e-12)
    assert found.positive_rate == pytest.approx(found.true_rate + found.false_rate, abs=1e-12)


@pytest.mark.parametrize("variable", ["all", "none", "famhistory", "cancerpredmarker"])
def test_decision_curve_equals_dcurves(reference, variable):
    table = reference("decision/dcurves_df_binary.csv")
    rows = [
        r for r in reference("decision/dcurves_reference.json")["binary_dca"] if r["variable"] == variable
    ]
    p = {"all": np.ones(len(table)), "none": np.zeros(len(table))}.get(variable)
    p = table[variable].astype(float).to_numpy() if p is None else p
    check(decision_curve(table["cancer"] == "TRUE", p, [r["threshold"] for r in rows]), rows)


@pytest.mark.parametrize("variable", ["all", "none", "cancerpredmarker"])
def test_survival_curve_equals_dcurves(reference, variable):
    table = reference("decision/dcurves_df_surv.csv")
    every = reference("decision/dcurves_reference.json")["survival_dca_t1.5"]
    rows = [r for r in every if r["variable"] == variable]
    p = {"all": np.ones(len(table)), "none": np.zeros(len(table))}.get(variable)
    p = table[variable].astype(float).to_numpy() if p is None else p
    found = survival_decision_curve(
        table["ttcancer"].astype(float), table["cancer"] == "TRUE", p, [r["threshold"] for r in rows], 1.5
    )
    check(found, rows)


# dcurves 0.5 (MIT) on its own example df_binary: treat all, prevalence 0.14
def test_treating_all_has_the_closed_form():
    truth = np.arange(750) < 105
    found = decision_curve(truth, np.ones(750), [0.05, 0.10])
    assert found.net_benefit == pytest.approx([0.0947368421052632, 0.14 - 0.86 / 9], rel=1e-12)
    assert found.avoided(found) == pytest.approx([0, 0])


def test_thresholds_are_probabilities():
    with pytest.raises(InputError, match="between 0 and 1"):
        decision_curve([0, 1], [0.2, 0.7], [1.0])
