"""The whole path over HTTP: open, draft, commit, reveal, decide, report, sign, add."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from coread.core import CodedConcept, vocabulary


def concept(code: CodedConcept) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}


def said(identifier: str, code: CodedConcept, status: str = "present", **more: Any) -> dict[str, Any]:
    return {"id": identifier, "concept": concept(code), "status": status, **more}


def point(frame: str, at: tuple[float, float, float]) -> dict[str, Any]:
    return {"type": "point", "frame_of_reference": frame, "points": [list(at)]}


class Reader:
    """A reader at work on one study, who always knows the version."""

    def __init__(self, client: TestClient, study: str) -> None:
        self.client = client
        self.address = f"/api/v1/studies/{study}"
        self.version = 0

    def do(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        headers = {"If-Match": f'"{self.version}"'}
        answer = self.client.request(method, f"{self.address}{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        if "etag" in answer.headers:
            self.version = int(answer.headers["etag"].strip('"'))
        return answer.json() if answer.content else None

    def read(self, *findings: dict[str, Any]) -> Any:
        self.do("POST", "/reading")
        self.do("PUT", "/reading/draft", {"findings": list(findings)})
        return self.do("POST", "/reading/commit", {"findings": list(findings)})

    def sign(self) -> Any:
        """Answer what the report's checks ask, and sign."""
        for check in self.do("GET", "/report/checks")["checks"]:
            self.do("POST", "/report/checks/dismiss", {"key": check["key"], "reason": "right_as_written"})
        return self.do("POST", "/reading/sign", {})


@pytest.fixture
def ada(world: Any, ct: Any) -> Reader:
    return Reader(world.client("ada"), ct.uid())


def test_a_study_is_read_alone_compared_decided_signed_and_amended(
    world: Any, ct: Any, results: Any, ada: Reader
) -> None:
    world.save(results(3))
    frame = ct.uid("frame")
    mine = (
        said("mine-1", vocabulary.LUNG_LESION, region=point(frame, (-6.0, 1.0, 6.0))),
        said("mine-2", vocabulary.PLEURAL_EFFUSION, "absent", laterality=concept(vocabulary.LEFT)),
    )
    opened = ada.do("POST", "/reading")
    assert opened["state"] == "reading"
    draft = ada.do("PUT", "/reading/draft", {"findings": [mine[0]]})
    assert draft["version"] == ada.version == 2
    assert ada.do("GET", "/reading")["draft"][0]["id"] == "mine-1"
    committed = ada.do("POST", "/reading/commit", {"findings": list(mine)})
    assert committed["state"] == "read_alone"
    assert [f["id"] for f in committed["first_read"]] == ["mine-1", "mine-2"]
    assert all(f["origin"] == {**f["origin"], "kind": "reader", "id": "ada"} for f in committed["first_read"])

    ada.do("GET", "/comparison", status=409)
    shown = ada.do("POST", "/reading/reveal")
    # the model's points lie at x = -6, -3 and 0; the reader's is 1 mm from the first, nearer than to the rest
    assert shown["agreed"] == [{"reader": "mine-1", "model": "ct-model-0"}]
    assert shown["model_only"] == ["ct-model-1", "ct-model-2"]
    assert shown["reader_only"] == ["mine-2"]
    assert shown["findings"]["ct-model-0"]["probability"]["value"] == 0.8
    assert shown["findings"]["ct-model-0"]["origin"]["evidence_level"] == 2
    assert shown["maps"][0]["part_key"] == shown["segments"][0]["part_key"]

    ada.do("GET", "/reading")
    ada.do("POST", "/reading/sign", {}, status=409)
    ada.do("POST", "/reading/decisions", {"finding": "ct-model-0", "choice": "accept"})
    refused = ada.do("POST", "/reading/decisions", {"finding": "ct-model-1", "choice": "reject"}, status=409)
    assert "reason" in refused["detail"]
    ada.do("POST", "/reading/decisions", {"finding": "ct-model-1", "choice": "reject", "reason": "artefact"})
    modified = said("any", vocabulary.LUNG_MASS, laterality=concept(vocabulary.RIGHT))
    decided = ada.do(
        "POST", "/reading/decisions", {"finding": "ct-model-2", "choice": "modify", "modified": modified}
    )
    assert decided["state"] == "reconciled"
    assert decided["undecided"] == []

    draft = ada.do("GET", "/report?language=en")
    sentences = {s["name"]: [t["text"] for t in s["sentences"]] for s in draft["sections"]}
    assert "No pleural effusion, left." in sentences["findings"]
    assert "Lung mass, right." in sentences["findings"]
    assert "Measured for lung nodule: diameter 6.5 mm." in sentences["findings"]
    stated = {f for s in draft["sections"] for t in s["sentences"] for f in t["findings"]}
    assert "ct-model-1" not in stated  # rejected
    models = [t for s in draft["sections"] for t in s["sentences"] if t["origin"]["kind"] == "model"]
    assert models
    assert all(t["accepted_by"] == "ada" for t in models)

    signed = ada.sign()
    assert signed["state"] == "signed"
    files = {file["name"]: file for file in ada.do("GET", "/exports")}
    assert {name.rsplit(".", 1)[1] for name in files} >= {"dcm", "json", "html", "pdf"}
    for name, file in files.items():
        content = ada.client.get(f"{ada.address}/exports/{name}")
        assert len(content.content) == file["bytes"]
    added = ada.do("POST", "/reading/addendum", {"text": "Compared with outside images: unchanged."})
    assert added["state"] == "addendum"
    report = ada.do("GET", "/report")
    assert report["signed"]
    assert report["addenda"][0]["text"] == "Compared with outside images: unchanged."
    assert ada.client.get(report["html"]).status_code == 200
    assert world.library.audit.verify().intact


def test_a_step_needs_the_version_that_it_changes(ada: Reader) -> None:
    ada.do("POST", "/reading")
    body = {"findings": []}
    without = ada.client.put(f"{ada.address}/reading/draft", json=body)
    assert without.status_code == 428
    other = ada.client.put(f"{ada.address}/reading/draft", json=body, headers={"If-Match": '"7"'})
    assert other.status_code == 412
    assert other.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "came", "expected", "todo"} == set(other.json())
    ada.do("PUT", "/reading/draft", body)
    stale = ada.client.put(f"{ada.address}/reading/draft", json=body, headers={"If-Match": '"1"'})
    assert stale.status_code == 412  # two windows: the second one does not overwrite the first


def test_a_committed_read_can_not_be_changed(ada: Reader) -> None:
    ada.read(said("a", vocabulary.EMPHYSEMA))
    ada.do("PUT", "/reading/draft", {"findings": []}, status=409)
    ada.do("POST", "/reading/commit", {"findings": []}, status=409)
    assert [f["id"] for f in ada.do("GET", "/reading")["first_read"]] == ["a"]


def test_what_came_as_origin_or_probability_is_not_believed(ada: Reader) -> None:
    forged = said(
        "a",
        vocabulary.EMPHYSEMA,
        origin={"kind": "model", "name": "Nodules", "version": "1.0"},
        probability={"value": 0.9, "threshold": 0.5, "calibrated": True},
    )
    first = ada.read(forged)["first_read"][0]
    assert first["origin"]["kind"] == "reader"
    assert first["origin"]["id"] == "ada"
    assert first["probability"] is None


def test_a_draft_and_a_commit_survive_a_restart(world: Any, ct: Any, ada: Reader) -> None:
    ada.do("POST", "/reading")
    ada.do("PUT", "/reading/draft", {"findings": [said("a", vocabulary.EMPHYSEMA)]})
    world.restart()
    again = Reader(world.client("ada"), ct.uid())
    assert [f["id"] for f in again.do("GET", "/reading")["draft"]] == ["a"]
    again.do("POST", "/reading/commit", {"findings": [said("a", vocabulary.EMPHYSEMA)]})
    world.restart()
    last = Reader(world.client("ada"), ct.uid())
    assert last.do("GET", "/reading")["state"] == "read_alone"


def test_two_readers_have_locks_of_their_own(world: Any, ct: Any, results: Any, ada: Reader) -> None:
    world.save(results(1))
    ben = Reader(world.client("ben"), ct.uid())
    ada.read(said("a", vocabulary.EMPHYSEMA))
    ada.do("POST", "/reading/reveal")
    ben.do("POST", "/reading")
    ben.do("GET", "/comparison", status=403)
    ben.do("POST", "/reading/reveal", status=403)
    assert ben.do("GET", "/reading")["first_read"] == []
    program = world.client(None)
    assert program.get(f"/dicom-web/studies/{ct.uid()}/metadata").status_code == 200
    ben.do("POST", "/reading/commit", {"findings": []})
    assert ben.do("POST", "/reading/reveal")["model_only"] == ["ct-model-0"]


def test_a_reveal_waits_for_the_models(world: Any, ct: Any, ada: Reader) -> None:
    ada.read()
    world.library.jobs.enqueue("process", "again", {"study": ct.uid()}, subject=ct.uid())
    problem = ada.do("POST", "/reading/reveal", status=503)
    assert "still at work" in problem["detail"]


def test_an_unneeded_second_reveal_changes_nothing(world: Any, results: Any, ada: Reader) -> None:
    world.save(results(1))
    ada.read()
    ada.do("POST", "/reading/reveal")
    version = ada.do("GET", "/reading")["version"]
    ada.do("POST", "/reading/reveal")
    assert ada.do("GET", "/reading")["version"] == version


def test_newer_results_are_announced_and_have_to_be_revealed_before_signing(
    world: Any, results: Any, ada: Reader
) -> None:
    world.clock.step = timedelta(seconds=1)
    world.save(results(0))
    ada.read()
    ada.do("POST", "/reading/reveal")
    assert ada.do("GET", "/comparison")["stale"] is False
    world.save(results(2))
    shown = ada.do("GET", "/comparison")
    assert shown["stale"] is True
    assert shown["model_only"] == []  # still as it was revealed
    ada.do("GET", "/reading")
    ada.do("POST", "/reading/sign", {}, status=409)
    assert ada.do("POST", "/reading/reveal")["model_only"] == ["ct-model-0", "ct-model-1"]


def test_late_images_are_read_alone_before_any_new_result(
    world: Any, ct: Any, results: Any, ada: Reader, late: Any
) -> None:
    world.clock.step = timedelta(seconds=1)
    world.save(results(1))
    ada.read(said("a", vocabulary.EMPHYSEMA))
    ada.do("POST", "/reading/reveal")
    world.take_in(late)
    world.save(results(5))
    reading = ada.do("GET", "/reading")
    assert reading["more_images"]
    assert [f["id"] for f in reading["first_read"]] == ["a"]
    assert ada.do("GET", "/comparison")["model_only"] == ["ct-model-0"]
    assert ada.do("GET", "/comparison")["stale"] is False
    ada.do("POST", "/reading/reveal", status=409)
    ada.do("PUT", "/reading/draft", {"findings": []})
    ada.do("POST", "/reading/commit", {"findings": [said("b", vocabulary.FRACTURE)]})
    world.processed()
    shown = ada.do("POST", "/reading/reveal")
    assert len(shown["model_only"]) == 5


def test_who_has_seen_a_signed_report_does_not_make_a_first_read(
    world: Any, ct: Any, results: Any, ada: Reader
) -> None:
    world.save(results(0))
    ada.read(said("a", vocabulary.EMPHYSEMA))
    ada.do("POST", "/reading/reveal")
    ada.do("GET", "/reading")
    ada.sign()
    lea = Reader(world.client("lea"), ct.uid())
    assert lea.do("GET", "/report")["signed"]
    assert lea.do("GET", "")["reading"]["can_read"] is False
    lea.do("POST", "/reading", status=409)


def test_the_reader_of_a_later_study_sees_what_a_signed_report_of_the_prior_states(
    world: Any, ct: Any, prior: Any, results: Any
) -> None:
    world.save(results(0, prior), study=prior)
    ben = Reader(world.client("ben"), prior.uid())
    ben.read(said("a", vocabulary.EMPHYSEMA))
    ben.do("POST", "/reading/reveal")
    ben.do("GET", "/reading")
    ben.sign()
    ada = Reader(world.client("ada"), ct.uid())
    assert ada.do("GET", "")["priors"][0]["report"] is None  # only looking around
    ada.do("POST", "/reading")
    stated = ada.do("GET", "")["priors"][0]["report"]
    assert any("emphysema" in t["text"].lower() for s in stated["sections"] for t in s["sentences"])
    Reader(ada.client, prior.uid()).do("POST", "/reading", status=409)


def test_files_of_a_signed_prior_wait_while_a_first_read_of_the_patient_is_open(
    world: Any, ct: Any, prior: Any, results: Any
) -> None:
    world.save(results(1, prior), study=prior)
    ada = Reader(world.client("ada"), prior.uid())
    ada.read()
    ada.do("POST", "/reading/reveal")
    ada.do("GET", "/reading")
    ada.do(
        "POST", "/reading/decisions", {"finding": "prior-model-0", "choice": "reject", "reason": "artefact"}
    )
    ada.sign()
    assert ada.do("GET", "/exports")
    later = Reader(ada.client, ct.uid())
    later.do("POST", "/reading")
    assert ada.do("GET", "/exports") == []
    ada.do("GET", "/exports/report.html", status=403)
    assert ada.client.get("/fhir/R4/DiagnosticReport").json()["total"] == 0
    assert ada.do("GET", "/report")["signed"]  # what it states may be read
    later.do("POST", "/reading/commit", {"findings": []})
    assert ada.do("GET", "/exports")


def test_results_on_a_prior_are_hidden_while_a_first_read_of_the_patient_is_open(
    world: Any, ct: Any, prior: Any, results: Any
) -> None:
    world.save(results(2, prior), study=prior)
    ada = Reader(world.client("ada"), prior.uid())
    ada.read()
    assert len(ada.do("POST", "/reading/reveal")["model_only"]) == 2
    later = Reader(ada.client, ct.uid())
    later.do("POST", "/reading")
    ada.do("GET", "/comparison", status=403)
    later.do("POST", "/reading/commit", {"findings": []})
    assert len(ada.do("GET", "/comparison")["model_only"]) == 2


def test_the_readers_own_words_go_into_the_report_and_stay_the_readers(
    world: Any, results: Any, ada: Reader
) -> None:
    world.save(results(1))
    ada.read()
    shown = ada.do("POST", "/reading/reveal")
    ada.do("GET", "/reading")
    ada.do("POST", "/reading/decisions", {"finding": "ct-model-0", "choice": "accept"})
    draft = ada.do("GET", "/report")
    for section in draft["sections"]:
        section["sentences"] = [
            {"text": t["text"].replace("Lung nodule.", "Small nodule."), "findings": t["findings"]}
            for t in section["sentences"]
        ]
    draft["sections"].append({"name": "indication", "sentences": [{"text": "Cough."}]})
    number = shown["measurements"][0]["id"]
    body = {"sections": draft["sections"], "measurements": [number], "language": "en"}
    saved = ada.do("PUT", "/report/draft", body)
    texts = {t["text"]: t for s in saved["sections"] for t in s["sentences"]}
    assert texts["Cough."]["origin"]["kind"] == "reader"
    assert texts["Small nodule."]["origin"]["kind"] == "reader"
    assert texts["Measured for lung nodule: diameter 6.5 mm."]["origin"]["kind"] == "model"
    assert "Volume: 4000 mL." in texts
    ada.do("POST", "/reading/decisions", {"finding": "ct-model-0", "choice": "reject", "reason": "artefact"})
    later = {t["text"] for s in ada.do("GET", "/report")["sections"] for t in s["sentences"]}
    assert "Small nodule." not in later  # its finding is no longer accepted
    assert "Cough." in later
    ada.do("PUT", "/report/draft", {"sections": [], "measurements": ["unknown"]}, status=409)


def test_a_turkish_report_is_turkish(world: Any, results: Any, ada: Reader) -> None:
    world.save(results(0))
    ada.read(said("a", vocabulary.PLEURAL_EFFUSION, "absent", laterality=concept(vocabulary.RIGHT)))
    texts = [t["text"] for s in ada.do("GET", "/report?language=tr")["sections"] for t in s["sentences"]]
    assert "Plevral efüzyon, sağ saptanmadı." in texts
    assert [s["title"] for s in ada.do("GET", "/report?language=tr")["sections"]][-1] == "Bulgular"
