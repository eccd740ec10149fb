"""Subgroups, drift, conformal sets, label noise and double reading."""

import numpy as np
import pytest

from coread.errors import InputError
from coread.evaluation.conformal import coverage, fit_conformal, selective_risk, suspect_labels
from coread.evaluation.double_reading import paired_non_inferiority, simulate
from coread.evaluation.drift import control_chart, shift_of_embeddings, shift_of_labels, shift_of_numbers
from coread.evaluation.roc import areas
from coread.evaluation.subgroups import subgroup_report


def test_subgroups_are_the_parts_and_the_worse_one_is_seen():
    rng = np.random.default_rng(1)
    truth, group = rng.random(2000) < 0.4, rng.choice(["a", "b"], 2000)
    score = rng.normal(size=2000) + np.where(group == "a", 2.0, 0.5) * truth
    found = subgroup_report(truth, score, group, 0.8)
    for g in found.groups:
        inside = group == g.name
        assert g.area.value == areas(truth[inside], score[inside]).area[0]
        assert g.sensitivity.value == (score[inside & truth] >= 0.8).mean()
    assert found.groups[0].p < 1e-6
    assert found.sensitivity_gap == pytest.approx(
        found.groups[0].sensitivity.value - found.groups[1].sensitivity.value
    )


def test_small_subgroups_have_no_area_but_are_listed():
    found = subgroup_report([0, 1, 0, 1, 1], [1, 2, 2, 3, 2], ["a", "a", "a", "a", "b"], 2)
    assert found.groups[1].area is None
    assert found.groups[1].specificity is None


def test_shift_tests_hold_their_level_and_see_a_shift():
    rng = np.random.default_rng(2)
    p = [shift_of_numbers(rng.normal(size=200), rng.normal(size=100), "x").p for _ in range(300)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.04)
    moved = shift_of_numbers(rng.normal(size=500), rng.normal(1, 1, 500), "x")
    assert moved.p < 1e-10
    assert moved.psi > 0.25
    assert shift_of_labels(["a"] * 50 + ["b"] * 50, ["a"] * 80 + ["b"] * 20, "sex").p < 1e-4
    a = rng.normal(size=(60, 8))
    assert shift_of_embeddings(a, rng.normal(0.8, 1, (60, 8)), "e", rng=rng).p < 0.01
    assert shift_of_embeddings(a, rng.normal(size=(60, 8)), "e", rng=rng).p > 0.01


def test_chart_alarms_after_a_shift_and_rarely_before():
    rng = np.random.default_rng(3)
    base = rng.normal(size=5000)
    windows = np.r_[
        [rng.normal(size=50).mean() for _ in range(30)], [rng.normal(0.5, 1, 50).mean() for _ in range(10)]
    ]
    found = control_chart(base, windows, np.full(40, 50))
    assert found.alarms[:30].sum() <= 1
    assert found.alarms[-5:].all()
    # limits settle at the textbook's width sd * sqrt(w / (2 - w) / n)
    want = 3 * base.std(ddof=1) * np.sqrt(0.2 / 1.8 / 50)
    assert found.upper[-1] - found.centre == pytest.approx(want, rel=1e-4)


@pytest.mark.parametrize("per", ["all", "class", "group"])
def test_conformal_sets_hold_the_truth_as_promised(per):
    rng = np.random.default_rng(4)
    held = []
    for _ in range(60):
        group = rng.choice(["x", "y"], 1000)
        truth = (rng.random(1000) < 0.3).astype(int)
        signal = np.where(group == "x", 2.0, 0.7)
        p = 1 / (1 + np.exp(-(rng.normal(size=1000) + signal * (2 * truth - 1))))
        fit, test = slice(0, 500), slice(500, None)
        found = fit_conformal(truth[fit], p[fit], alpha=0.1, per=per, groups=group[fit])
        sets = found.sets(p[test], group[test])
        inside = sets[np.arange(500), truth[test]]
        keys = {"all": np.zeros(500), "class": truth[test], "group": group[test]}[per]
        held.append([inside[keys == k].mean() for k in np.unique(keys)])
        assert coverage(truth[test], sets)[0] == inside.mean()
    assert np.mean(held, axis=0) == pytest.approx(0.9, abs=0.02)


def test_too_few_cases_promise_nothing():
    found = fit_conformal([0, 1], [0.2, 0.8], alpha=0.1)
    assert found.sets([0.01]).all()
    with pytest.raises(InputError, match="groups"):
        fit_conformal([0, 1], [0.2, 0.8], per="group", groups=["a", "a"]).sets([0.5], ["b"])


def test_abstaining_from_the_unsure():
    part, risk = selective_risk([0, 0, 1, 1], [0.9, 0.8, 0.6, 0.6])
    assert part == pytest.approx([0.25, 0.5, 1.0])
    assert risk == pytest.approx([0, 0, 0.5])


def test_flipped_labels_are_suspected_first():
    rng = np.random.default_rng(5)
    truth = (rng.random(1000) < 0.5).astype(int)
    p = 1 / (1 + np.exp(-(rng.normal(size=1000) + 3 * (2 * truth - 1))))
    noisy, flipped = truth.copy(), rng.choice(1000, 50, replace=False)
    noisy[flipped] = 1 - noisy[flipped]
    found = suspect_labels(noisy, p)
    assert np.isin(found[:40], flipped).mean() > 0.9


def test_double_reading_of_a_table_by_hand():
    truth = [1, 1, 1, 0, 0, 0, 0, 0]
    first = [1, 1, 0, 0, 0, 1, 0, 0]
    second = [1, 0, 0, 0, 0, 1, 1, 0]
    judge = [1, 1, 1, 0, 0, 0, 0, 0]
    model = [1, 1, 1, 0, 0, 0, 0, 1]
    out = [0, 0, 0, 1, 1, 0, 0, 0]
    plain, second_reader, net, triage = simulate(truth, first, second, judge, model, rule_out=out)
    # plain: readers disagree on cases 2 and 7; case 3 is missed, case 6 is a false call
    assert (plain.sensitivity.value, plain.specificity.value, plain.reads) == (2 / 3, 4 / 5, 18)
    # the model disagrees with the first reader on cases 3, 6 and 8
    assert (second_reader.sensitivity.value, second_reader.specificity.value, second_reader.reads) == (
        1.0,
        1.0,
        11,
    )
    assert second_reader.saved == pytest.approx(1 - 11 / 18)
    assert (net.sensitivity.value, net.specificity.value, net.reads) == (1.0, 4 / 5, 20)
    assert (triage.sensitivity.value, triage.reads) == (2 / 3, 14)


def test_non_inferiority_holds_its_level_at_the_margin():
    rng = np.random.default_rng(6)
    rejected = []
    for _ in range(1500):
        new, old = rng.random(400) < 0.80, rng.random(400) < 0.85
        rejected.append(paired_non_inferiority(new, old, 0.05) < 0.025)
    assert np.mean(rejected) == pytest.approx(0.025, abs=0.013)
