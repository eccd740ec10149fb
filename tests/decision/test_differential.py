"""Differential diagnosis: Bayes' rule, noisy-OR, groups, intervals, next finding, sources."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from coread.decision import differential, guidelines
from coread.decision.differential import areas, knowledge, rank
from coread.errors import InputError


def test_the_seven_areas_are_there() -> None:
    assert set(areas()) >= {
        "lung_nodule",
        "chest_opacity",
        "breast_lesion",
        "acute_brain_mr",
        "white_matter",
        "knee_bone",
        "myocardium",
    }


@pytest.mark.parametrize("area", areas())
def test_knowledge_is_whole(area: str) -> None:
    known = knowledge(area)
    for finding in known.findings.values():
        frequencies = [finding["p"].get(d) for d in known.diagnoses]
        assert all(0 < p < 1 for p in frequencies if p is not None)
        assert known.model == "several" or None not in frequencies
        assert set(finding["p"]) <= set(known.diagnoses)
        assert (finding.get("grade", "guess") == "guess") == ("source" not in finding)
        assert ("source" in finding) == (
            "checked" in finding
        )  # what nobody checked is from memory, and a guess
        assert "counts" not in finding or "checked" in finding
    for entry in known.diagnoses.values():
        assert set(entry["prior"]) == set(known.settings)
    if known.model == "exclusive":
        for setting in known.settings:
            assert sum(e["prior"][setting] for e in known.diagnoses.values()) == pytest.approx(1, abs=0.02)
    assert any(entry.get("cannot_miss") for entry in known.diagnoses.values())
    assert set(known.leak) <= set(known.findings)


@pytest.mark.parametrize("area", areas())
def test_probabilities_and_intervals_are_in_order(area: str) -> None:
    finding = next(iter(knowledge(area).findings))
    answer = rank(area, {finding: True}, age=60, sex="F")
    assert all(0 <= row.low <= row.posterior <= row.high <= 1 for row in answer.rows)
    if knowledge(area).model == "exclusive":
        assert sum(row.posterior for row in answer.rows) == pytest.approx(1)
    missed = {name for name, e in knowledge(area).diagnoses.items() if e.get("cannot_miss")}
    assert {row.diagnosis for row in answer.cannot_miss} == missed


def test_one_finding_agrees_with_bayes_rule() -> None:
    answer = rank("lung_nodule", {"growing": True})
    for row in answer.rows:
        expected = guidelines.apply(
            "bayes_update", {"prior": row.prior, "likelihood_ratios": [row.influences[0].ratio]}
        )
        assert row.posterior == pytest.approx(expected.result["posterior"], rel=1e-9)


def test_two_independent_findings_agree_with_the_rule_by_hand() -> None:
    known = knowledge("lung_nodule")
    answer = rank("lung_nodule", {"growing": True, "upper_lobe": False})
    weight = {d: e["prior"]["general"] / (1 - e["prior"]["general"]) for d, e in known.diagnoses.items()}
    weight = {d: odds / (1 + odds) for d, odds in weight.items()}
    for d in weight:
        weight[d] *= known.findings["growing"]["p"][d] * (1 - known.findings["upper_lobe"]["p"][d])
    total = sum(weight.values())
    for row in answer.rows:
        assert row.posterior == pytest.approx(weight[row.diagnosis] / total, rel=1e-9)


def test_noisy_or_by_hand() -> None:
    """One finding, all causes but two switched off: P(f) = 1 - (1 - leak)(1 - q1 x1)(1 - q2 x2)."""
    known = knowledge("chest_opacity")
    off = dict.fromkeys(known.diagnoses, 0.0)
    answer = rank("chest_opacity", {"cavity": True}, priors={**off, "tuberculosis": 0.2, "lung_cancer": 0.1})
    q1, q2 = known.findings["cavity"]["p"]["tuberculosis"], known.findings["cavity"]["p"]["lung_cancer"]
    leak = known.leak["cavity"]
    weights = {
        (a, b): (0.2 if a else 0.8) * (0.1 if b else 0.9) * (1 - (1 - leak) * (1 - q1 * a) * (1 - q2 * b))
        for a in (0, 1)
        for b in (0, 1)
    }
    expected = (weights[1, 0] + weights[1, 1]) / sum(weights.values())
    found = next(row for row in answer.rows if row.diagnosis == "tuberculosis")
    assert found.posterior == pytest.approx(expected, rel=1e-6)


def test_one_finding_of_a_group_counts() -> None:
    both = rank("lung_nodule", {"fat": True, "benign_calcification": True})
    one = rank("lung_nodule", {"fat": True})
    other = rank("lung_nodule", {"benign_calcification": True})
    got = {row.diagnosis: row.posterior for row in both.rows}
    choices = [{row.diagnosis: row.posterior for row in answer.rows} for answer in (one, other)]
    assert any(got == pytest.approx(choice) for choice in choices)
    assert any("not counted" in note for note in both.notes)


def test_order_of_findings_does_not_matter() -> None:
    first = rank("breast_lesion", {"spiculated": True, "irregular_shape": True, "anechoic": False})
    second = rank("breast_lesion", {"anechoic": False, "irregular_shape": True, "spiculated": True})
    assert [(r.diagnosis, r.posterior, r.low) for r in first.rows] == [
        (r.diagnosis, r.posterior, r.low) for r in second.rows
    ]


def test_more_evidence_narrows_and_the_next_finding_is_informative() -> None:
    answer = rank("acute_brain_mr", {})
    assert answer.next_findings[0].expected_bits > answer.next_findings[-1].expected_bits >= 0
    bits = [-sum(r.posterior * math.log2(r.posterior) for r in answer.rows)]
    assert answer.next_findings[0].expected_bits <= bits[0]


def test_expected_entropy_loss_is_the_mutual_information() -> None:
    """Against the sum over both answers of P(f) KL(posterior, prior)."""
    start = rank("myocardium", {})
    prior = {r.diagnosis: r.posterior for r in start.rows}
    known = knowledge("myocardium")
    name = "apical_ballooning"
    information = 0.0
    for present in (True, False):
        p = {d: known.findings[name]["p"][d] if present else 1 - known.findings[name]["p"][d] for d in prior}
        chance = sum(prior[d] * p[d] for d in prior)
        information += sum(prior[d] * p[d] * math.log2(p[d] / chance) for d in prior)
    said = next(n for n in start.next_findings if n.finding == name)
    assert said.expected_bits == pytest.approx(information, rel=1e-9)


@pytest.mark.parametrize(
    ("area", "findings", "first"),
    [
        ("lung_nodule", {"spiculated": True, "larger_than_20_mm": True, "upper_lobe": True}, "lung_cancer"),
        ("breast_lesion", {"anechoic": True, "circumscribed": True}, "cyst"),
        ("acute_brain_mr", {"restricted_diffusion": True, "vascular_territory": True}, "infarct"),
        ("white_matter", {"callosal": True, "spinal_cord_lesion": True}, "multiple_sclerosis"),
        (
            "knee_bone",
            {"aggressive_periosteum": True, "soft_tissue_mass": True, "fever": False},
            "osteosarcoma",
        ),
        ("myocardium", {"diffuse_subendocardial": True, "thick_wall": True}, "amyloidosis"),
        (
            "chest_opacity",
            {"cardiomegaly": True, "interstitial_edema": True, "fever": False},
            "heart_failure",
        ),
    ],
)
def test_textbook_cases(area: str, findings: dict[str, bool], first: str) -> None:
    assert rank(area, findings, age=20 if first == "osteosarcoma" else None).rows[0].diagnosis == first


@pytest.mark.parametrize("area", areas())
def test_each_answer_tells_guesses_from_checked_sources(area: str) -> None:
    known = knowledge(area)
    for name, finding in known.findings.items():
        answer = rank(area, {name: True})
        (influence,) = answer.rows[0].influences
        if "checked" in finding:
            assert influence.grade in ("A", "B", "C")
            assert finding["source"] in influence.source
            assert "(checked: " in influence.source
        else:
            assert influence.grade == "guess"
            assert influence.source.startswith("expert guess")
            assert any(note.startswith("expert guess") and name in note for note in answer.notes)


def test_a_source_without_a_check_counts_as_a_guess() -> None:
    row = {"p": {}, "source": "someone 1999", "grade": "A"}
    assert differential.grade(row) == "guess"
    assert differential.source(row).startswith("expert guess, from memory")


def test_intervals_widen_with_fewer_patients(monkeypatch: pytest.MonkeyPatch) -> None:
    def width() -> float:
        answer = rank("knee_bone", {"fracture_line": True}, rng=np.random.default_rng(1))
        return max(row.high - row.low for row in answer.rows)

    usual = width()
    monkeypatch.setattr(differential, "_GUESS_COUNTS", 500.0)
    monkeypatch.setattr(differential, "_PRIOR_COUNTS", 5000.0)
    assert width() < usual


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="no finding colour"):
        rank("lung_nodule", {"colour": True})
    with pytest.raises(InputError, match="setting"):
        rank("lung_nodule", {}, setting="moon")
    with pytest.raises(InputError, match="age"):
        rank("lung_nodule", {}, age=-1)
    with pytest.raises(InputError, match="no differential"):
        rank("x", {})


def test_the_command_answers_as_json() -> None:
    code = "from coread.cli.app import main; main()"
    command = [sys.executable, "-c", code, "differential", "lung_nodule", "fat=true", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["rows"][0]["diagnosis"] == "hamartoma"
    assert answer["rows"][0]["influences"][0]["grade"] == "guess"
