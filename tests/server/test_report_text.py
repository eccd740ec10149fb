"""A reader's own text, guidelines and differential over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from coread.server.limits import MOST_BYTES

TEXT = (
    "Findings:\nThere is a 6 mm solid nodule in the right upper lobe. No pleural effusion.\n\n"
    "Impression:\nLeft upper lobe nodule. Tension pneumothorax. CT chest in 6-12 months."
)
TURKISH = "Sağ akciğer üst lobda 6 mm nodül. Plevral efüzyon saptanmadı."


def structured(client: Any, text: str, **more: Any) -> Any:
    answer = client.post("/api/v1/report-text/structure", json={"text": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_statement_of_a_text_names_the_words_that_made_it(world: Any) -> None:
    found = structured(world.client("ada"), TEXT, language="en")
    named = {(f["finding"], f["status"], f["section"]): f for f in found["findings"]}
    nodule = named[("nodule", "present", "findings")]
    assert (nodule["laterality"], nodule["location"]) == ("right", "upper lobe")
    effusion = named[("pleural effusion", "absent", "findings")]
    assert "No" in {cue["text"] for cue in effusion["cues"]}
    cues = [cue for f in found["findings"] + found["recommendations"] for cue in f["cues"]]
    assert cues
    assert all(found["text"][cue["start"] : cue["end"]] == cue["text"] for cue in cues)
    (size,) = found["measurements"]
    assert size["values_mm"] == [6]
    assert found["findings"][size["finding"]] == nodule
    (asked,) = found["recommendations"]
    assert (asked["min_months"], asked["max_months"]) == (6, 12)


def test_urgency_and_contradictions_are_told(world: Any) -> None:
    found = structured(world.client("ada"), TEXT)
    assert found["critical"] == 1
    assert found["findings"][found["critical_findings"][0]["index"]]["finding"] == "pneumothorax"
    assert found["communication"] is None
    codes = {check["code"] for check in found["checks"]}
    assert {"side_differs", "not_in_findings", "communication_missing"} <= codes


def test_sex_of_the_patient_is_checked_where_it_is_given(world: Any) -> None:
    client = world.client("ada")
    text = "Lesion of the prostate."
    assert [c["code"] for c in structured(client, text, sex="F")["checks"]] == ["sex_mismatch"]
    assert structured(client, text, sex="M")["checks"] == []


def test_turkish_is_told_by_its_words(world: Any) -> None:
    found = structured(world.client("ada"), TURKISH)
    assert found["language"] == "tr"
    assert {(f["finding"], f["status"]) for f in found["findings"]} == {
        ("nodule", "present"),
        ("pleural effusion", "absent"),
    }


def test_places_belong_to_the_text_that_comes_back(world: Any) -> None:
    found = structured(world.client("ada"), "🫁 Sag\u0306 plevral efu\u0308zyon.", language="tr")
    (effusion,) = found["findings"]
    assert found["text"][effusion["start"] : effusion["end"]] == "plevral efüzyon"


def test_a_guideline_gets_what_the_text_gives_and_says_what_is_missing(world: Any) -> None:
    client = world.client("ada")
    found = structured(client, "8 x 5 mm solid nodule in the left lower lobe.", age=60, sex="F")
    (fit,) = found["guidelines"]
    assert fit["name"] == "fleischner"
    assert fit["inputs"] == {"type": "solid", "mean_diameter_mm": 6.5, "age": 60}
    assert fit["missing"] == ["count"]
    address = "/api/v1/guidelines/fleischner"
    # MacMahon 2017, table 1: solid, single, 6 to 8 mm, low risk: CT in 6 to 12 months
    inputs = {**fit["inputs"], "count": "single", "risk": "low"}
    answer = client.post(address, json={"inputs": inputs}).json()
    assert answer["result"]["first_months"] == [6, 12]
    assert answer["row"]
    assert "MacMahon" in answer["source"]
    assert answer["missing"] == []
    young = client.post(address, json={"inputs": {**inputs, "age": 20}}).json()
    assert young["result"] == {}
    assert "35" in young["not_applicable"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("6 mm ground-glass nodule in the right upper lobe.", "ground_glass"),
        ("6 mm part-solid nodule in the right upper lobe.", "part_solid"),
        ("6 mm subsolid nodule in the right upper lobe.", None),
        ("6 mm solid and 4 mm ground-glass nodule in the right upper lobe.", None),
        ("6 mm nodule in the right upper lobe.", None),
        ("Sağ üst lobda 6 mm buzlu cam nodülü.", "ground_glass"),
    ],
)
def test_the_type_of_a_nodule_is_not_guessed(world: Any, text: str, kind: str | None) -> None:
    fits = structured(world.client("ada"), text)["guidelines"]
    assert [fit["inputs"].get("type") for fit in fits if fit["name"] == "fleischner"] == [kind]


def test_an_absent_nodule_asks_for_no_guideline(world: Any) -> None:
    found = structured(world.client("ada"), "No pulmonary nodule.")
    assert found["guidelines"] == []
    assert found["areas"] == []


def test_all_guidelines_are_listed_with_inputs_that_they_take(world: Any) -> None:
    client = world.client("ada")
    listed = client.get("/api/v1/guidelines").json()
    assert {"fleischner", "lung_rads", "acr_ti_rads", "bosniak", "pi_rads"} <= {g["name"] for g in listed}
    for one in listed:
        answer = client.post(f"/api/v1/guidelines/{one['name']}", json={"inputs": {}})
        assert answer.status_code == 200, answer.text
        assert set(answer.json()["missing"]) <= set(one["inputs"])


def test_the_differential_ranks_what_was_seen(world: Any) -> None:
    client = world.client("ada")
    areas = {area["area"]: area for area in client.get("/api/v1/differential").json()}
    assert len(areas) >= 7
    (about,) = structured(client, "24 mm nodule in the left upper lobe.")["areas"]
    assert about["name"] == "lung_nodule"
    assert about["findings"] == {"upper_lobe": True, "smaller_than_8_mm": False, "larger_than_20_mm": True}
    assert set(about["findings"]) <= {f["name"] for f in areas["lung_nodule"]["findings"]}

    def ranked(**findings: bool) -> dict[str, Any]:
        asked = {"area": "lung_nodule", "findings": findings, "age": 68, "sex": "F"}
        answer = client.post("/api/v1/differential", json=asked)
        assert answer.status_code == 200, answer.text
        return {row["diagnosis"]: row for row in answer.json()["rows"]}

    rows = ranked(spiculated=True)
    assert sum(row["posterior"] for row in rows.values()) == pytest.approx(1, abs=1e-3)
    assert all(row["low"] <= row["posterior"] <= row["high"] for row in rows.values())
    cancer = next(name for name, row in rows.items() if row["cannot_miss"])
    assert rows[cancer]["posterior"] > ranked()[cancer]["posterior"]  # spiculation raises it


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "report-text/structure", {}, 422),
        ("POST", "report-text/structure", {"text": "x", "language": "xx"}, 422),
        ("POST", "report-text/structure", {"text": "x" * 50_001}, 422),
        ("POST", "report-text/structure", {"text": "x", "study": "1.2.3"}, 422),
        ("POST", "report-text/structure", {"text": "x" * MOST_BYTES}, 413),
        ("POST", "guidelines/none", {"inputs": {}}, 422),
        ("POST", "guidelines/fleischner", {"inputs": {"colour": 1}}, 422),
        ("POST", "guidelines/fleischner", {"inputs": {str(n): n for n in range(51)}}, 422),
        ("POST", "differential", {"area": "moon", "findings": {}}, 422),
        ("POST", "differential", {"area": "lung_nodule", "findings": {"cheese": True}}, 422),
        ("POST", "differential", {"area": "lung_nodule", "findings": {}, "age": 200}, 422),
    ],
)
def test_what_cannot_be_answered_is_refused_in_words(
    world: Any, method: str, path: str, body: Any, status: int
) -> None:
    answer = world.client("ada").request(method, f"/api/v1/{path}", json=body)
    assert answer.status_code == status
    assert answer.json()["detail"]


def test_empty_text_gives_an_empty_structure(world: Any) -> None:
    found = structured(world.client("ada"), "")
    assert found["findings"] == found["checks"] == found["guidelines"] == found["areas"] == []


def test_nobody_in_particular_is_asked_who_they_are(world: Any) -> None:
    assert world.client(None).post("/api/v1/report-text/structure", json={"text": "x"}).status_code == 401


def test_the_text_is_not_logged(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    client = world.client("ada")
    structured(client, "Zebranodule for Ayşe.")
    client.post("/api/v1/report-text/structure", json={"text": "Zebranodule", "language": "Zebranodule"})
    client.post("/api/v1/guidelines/fleischner", json={"inputs": {"type": "Zebranodule", "count": "single"}})
    assert "Zebranodule" not in caplog.text


def test_the_answer_is_the_same_whatever_the_models_found(make_world: Any, ct: Any, results: Any) -> None:
    def asked(count: int) -> Any:
        world = make_world()
        world.save(results(count))
        client = world.client("ada")
        client.post(f"/api/v1/studies/{ct.uid()}/reading")
        return structured(client, TEXT)

    assert asked(0) == asked(5)


def test_guidelines_and_differential_speak_turkish(world: Any) -> None:
    client = world.client("ada")
    turkish = {"language": "tr"}
    listed = {g["name"]: g for g in client.get("/api/v1/guidelines", params=turkish).json()}
    assert listed["fleischner"]["words"]["mean_diameter_mm"] == "ortalama çap, mm"
    inputs = {"type": "solid", "mean_diameter_mm": 7, "count": "single", "risk": "high"}
    address = "/api/v1/guidelines/fleischner"
    answer = client.post(address, json={"inputs": inputs}, params=turkish).json()
    assert answer["row"] == "solid, tek, 6-8 mm, yüksek risk"
    assert answer["result"]["action"] == "ct"  # the value is the same in every language
    assert answer["words"]["ct"] == "BT"
    young = client.post(address, json={"inputs": {**inputs, "age": 20}}, params=turkish).json()
    assert young["not_applicable"] == "öneriler 35 yaş ve üzeri hastalar içindir"
    areas = {a["area"]: a for a in client.get("/api/v1/differential", params=turkish).json()}
    assert areas["lung_nodule"]["title"] == "Akciğer nodülü"
    asked = {"area": "lung_nodule", "findings": {"spiculated": True}}
    english = client.post("/api/v1/differential", json=asked).json()
    answer = client.post("/api/v1/differential", json=asked, params=turkish).json()
    assert [row["posterior"] for row in answer["rows"]] == [row["posterior"] for row in english["rows"]]
    assert "spiküle kenar" in {i["says"] for row in answer["rows"] for i in row["influences"]}


def test_templates_come_as_text_in_both_languages(world: Any) -> None:
    client = world.client("ada")
    english, turkish = (
        {t["name"]: t for t in client.get("/api/v1/report-templates", params={"language": one}).json()}
        for one in ("en", "tr")
    )
    assert len(english) >= 14
    assert english["chest_ct"]["text"].startswith("Technique:\n")
    assert "Plevral efüzyon saptanmadı." in turkish["chest_ct"]["text"]
    assert {t["version"] for t in english.values()} == {t["version"] for t in turkish.values()}
