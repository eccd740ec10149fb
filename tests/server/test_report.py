"""The reader's own text in the report over HTTP: kept, checked, signed, exported, followed up."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pydicom
import pytest
from starlette.testclient import TestClient

from coread.core import Reader as Person
from coread.core import Report, Section, Sentence, Signature
from coread.core.reading import CheckDismissed, Committed
from coread.errors import InputError, ReadingError
from coread.testing.demo.dicom import write_ct
from coread.workflow.follow_up import rebuild
from coread.workflow.visibility import Caller

TEXT = (
    "Clinical history: cough.\n"
    "Findings:\n6 mm solid nodule in the right upper lobe. No pleural effusion.\n"
    "Impression: Right upper lobe nodule.\n"
    "Recommendation: CT chest in 6-12 months."
)


class Reader:
    """A reader at work on one study, who knows the versions of reading and text."""

    def __init__(self, client: TestClient, study: str) -> None:
        self.client = client
        self.address = f"/api/v1/studies/{study}"
        self.version = 0
        self.text_version = 0

    def do(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer = self.client.request(
            method, f"{self.address}{path}", json=body, headers={"If-Match": f'"{self.version}"'}
        )
        assert answer.status_code == status, answer.text
        if "etag" in answer.headers and "/report/text" not in path:
            self.version = int(answer.headers["etag"].strip('"'))
        return answer.json() if answer.content else None

    def write(self, text: str, status: int = 200, **more: Any) -> Any:
        answer = self.client.put(
            f"{self.address}/report/text",
            json={"text": text, **more},
            headers={"If-Match": f'"{self.text_version}"'},
        )
        assert answer.status_code == status, answer.text
        if status == 200:
            self.text_version = answer.json()["version"]
            assert answer.headers["etag"] == f'"{self.text_version}"'
        return answer.json()

    def open(self) -> Any:
        return self.do("POST", "/reading")

    def reveal(self) -> Any:
        self.do("POST", "/reading/commit", {"findings": []})
        shown = self.do("POST", "/reading/reveal")
        self.do("GET", "/reading")
        return shown

    def decide(self, finding: str, choice: str = "reject") -> Any:
        reason = "artefact" if choice == "reject" else None
        return self.do("POST", "/reading/decisions", {"finding": finding, "choice": choice, "reason": reason})

    def sections(self) -> dict[str, list[dict[str, Any]]]:
        return {s["name"]: s["sentences"] for s in self.do("GET", "/report")["sections"]}

    def checks(self) -> dict[str, dict[str, Any]]:
        return {check["code"]: check for check in self.do("GET", "/report/checks")["checks"]}

    def dismiss(self, check: dict[str, Any], reason: str = "told_elsewhere", **more: Any) -> Any:
        status = more.pop("status", 200)
        body = {"key": check["key"], "reason": reason, **more}
        return self.do("POST", "/report/checks/dismiss", body, status)

    def sign(self, status: int = 200) -> Any:
        return self.do("POST", "/reading/sign", {}, status)


@pytest.fixture
def ada(world: Any, ct: Any) -> Reader:
    return Reader(world.client("ada"), ct.uid())


def test_text_is_kept_and_stands_in_every_form_of_the_signed_report(
    world: Any, ct: Any, results: Any, ada: Reader
) -> None:
    world.save(results(1))
    ada.open()
    form = next(f for f in ada.client.get("/api/v1/report-templates").json() if f["name"] == "chest_ct")
    used = [{"name": form["name"], "version": form["version"]}]
    ada.write(f"{TEXT}\nNo aortic aneurysm.", templates=used)

    # it survives the end of the process, before anything is committed
    world.restart()
    ada.client = world.client("ada")
    kept = ada.do("GET", "/report/text")
    assert kept["text"].startswith(TEXT)
    assert kept["templates"] == used
    assert kept["version"] == 1
    stated = ada.sections()
    assert [s["text"] for s in stated["indication"]] == ["cough."]
    assert stated["findings"][0]["origin"]["kind"] == "reader"
    assert stated["findings"][0]["span"] == [TEXT.index("6 mm"), TEXT.index(" No pleural")]

    ada.reveal()
    reading, _ = world.library.readings.get(ct.uid(), "ada")
    assert next(e for e in reading.events if isinstance(e, Committed)).text == kept["text"]
    ada.decide("ct-model-0", "accept")
    ada.sign()
    report = ada.do("GET", "/report")
    assert report["signed"]
    said = {s["text"]: s for section in report["sections"] for s in section["sentences"]}
    assert said["No aortic aneurysm."]["origin"] == {
        **said["No aortic aneurysm."]["origin"],
        "kind": "template",
        "name": "chest_ct",
        "version": form["version"],
    }
    assert said["No aortic aneurysm."]["accepted_by"] == "ada"
    models = [s for s in said.values() if s["origin"]["kind"] == "model"]
    assert models
    assert all(s["accepted_by"] == "ada" and s["accepted_at"] for s in models)

    files = {f["name"]: f for f in ada.do("GET", "/exports")}
    words = "6 mm solid nodule in the right upper lobe."

    def file(name: str) -> bytes:
        return ada.client.get(f"{ada.address}/exports/{name}").content

    assert words in file("report.txt").decode()
    assert words in file("report.html").decode()
    assert "template chest_ct" in file("report.html").decode()
    assert file("report.pdf").startswith(b"%PDF")
    for name in ("report.text.sr.dcm", "report.sr.dcm"):
        dataset = pydicom.dcmread(io.BytesIO(file(name)))
        assert words in [str(e.value) for e in dataset.iterall() if e.keyword == "TextValue"], name
    document = json.loads(file("report.fhir.json"))
    resources = [e["resource"] for e in document["entry"]]
    (diagnostic,) = (r for r in resources if r["resourceType"] == "DiagnosticReport")
    assert "Right upper lobe nodule." in diagnostic["conclusion"]
    assert {f["title"] for f in diagnostic["presentedForm"]} == {"report.pdf", "report.txt"}
    mine = [r for r in resources if r["resourceType"] == "Observation" and "performer" in r]
    (size,) = (r for r in mine if "valueQuantity" in r)
    assert (size["valueQuantity"]["value"], size["valueQuantity"]["unit"]) == (6, "mm")
    assert size["method"]["text"] == "report text"
    assert files["report.txt"]["kind"].startswith("text/plain")


def test_a_change_of_the_text_changes_the_report_and_nothing_is_said_twice(
    world: Any, results: Any, ada: Reader
) -> None:
    world.save(results(0))
    ada.open()
    ada.write("No pleural effusion.")
    ada.reveal()
    # the page sends back what it shows, with a sentence of its own
    sections = ada.do("GET", "/report")["sections"]
    next(s for s in sections if s["name"] == "findings")["sentences"].append({"text": "Clear airways."})
    ada.do("PUT", "/report/draft", {"sections": sections})
    ada.write("Small pleural effusion.")
    texts = [s["text"] for s in ada.sections()["findings"]]
    assert texts == ["Clear airways.", "Small pleural effusion."]
    ada.write("")
    assert [s["text"] for s in ada.sections()["findings"]] == ["Clear airways."]


def test_two_windows_do_not_overwrite_each_other(world: Any, ada: Reader) -> None:
    ada.write("x", status=409)  # nobody has opened the study
    ada.open()
    ada.write("One.")
    ada.text_version = 0
    ada.write("Two.", status=412)
    assert ada.do("GET", "/report/text")["text"] == "One."
    bare = ada.client.put(f"{ada.address}/report/text", json={"text": "Three."})
    assert bare.status_code == 428


def test_what_is_no_text_of_a_reader_is_refused(world: Any, ct: Any, ada: Reader) -> None:
    ada.open()
    ada.write("x" * 50_001, status=422)
    ada.write("x", status=422, templates=[{"name": "moon", "version": "1"}])
    ada.write("x", status=422, language="xx")
    clinician = world.client("cleo")
    assert clinician.get(f"{ada.address}/report/text").status_code == 403
    assert clinician.get(f"{ada.address}/report/checks").status_code == 403


def test_a_readers_text_is_nobody_elses(world: Any, ct: Any, ada: Reader) -> None:
    ada.open()
    ada.write("Zebranodule.")
    ben = Reader(world.client("ben"), ct.uid())
    ben.open()
    assert ben.do("GET", "/report/text")["text"] == ""
    assert "Zebranodule" not in json.dumps(ben.do("GET", "/report"))


def test_text_is_not_logged(world: Any, ada: Reader, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ada.open()
    ada.write("Zebranodule, left.")
    ada.do("GET", "/report/checks")
    assert "Zebranodule" not in caplog.text


def test_no_words_of_a_model_come_into_a_signed_report_without_an_accept(
    world: Any, ct: Any, results: Any, ada: Reader
) -> None:
    world.save(results(2))
    ada.open()
    ada.reveal()
    ada.decide("ct-model-0", "accept")
    ada.sign(status=409)  # the other waits
    # words that claim to be a model's, accepted by nobody or by somebody else, are the reader's own
    forged = {"kind": "model", "name": "Nodules", "version": "1.0", "mode": "second-reader"}
    sentence = {"text": "Lung mass of the model.", "origin": forged, "accepted_by": "ben"}
    ada.do("PUT", "/report/draft", {"sections": [{"name": "findings", "sentences": [sentence]}]})
    said = next(s for s in ada.sections()["findings"] if s["text"] == "Lung mass of the model.")
    assert said["origin"]["kind"] == "reader"
    ada.decide("ct-model-1", "reject")
    ada.write("CT chest in 6 months is recommended.")
    for check in ada.checks().values():
        ada.dismiss(check)
    ada.sign()
    for section in ada.do("GET", "/report")["sections"]:
        for s in section["sentences"]:
            assert s["origin"]["kind"] != "model" or s["accepted_by"] == "ada"
            assert "ct-model-1" not in s["findings"]
    # and Python refuses it wherever a signature comes in
    report = world.library.reports.of(ct.uid())[-1].load()
    model = next(
        s.origin for section in report.sections for s in section.sentences if hasattr(s.origin, "mode")
    )
    words = (Section("findings", (Sentence("Mass.", model),)),)
    with pytest.raises(InputError, match="nobody accepted"):
        replace(report, sections=words)
    with pytest.raises(InputError, match="nobody accepted"):
        Report(ct.uid(), "en", words, signature=Signature(Person("ada"), world.clock()))


def test_a_check_waits_for_other_words_or_for_an_answer_that_is_kept(
    world: Any, ct: Any, results: Any, ada: Reader
) -> None:
    world.save(results(0))
    ada.open()
    wrong = TEXT.replace("Impression: Right", "Impression: Left")
    ada.write(wrong)
    ada.reveal()
    side = ada.checks()["side_differs"]
    assert "left in the impression" in side["text"]
    assert side["dismissed"] is None
    refused = ada.sign(status=409)
    assert "left in the impression" in refused["detail"]
    # other words settle it
    ada.write(TEXT)
    assert ada.checks() == {}
    # and so does an answer, which has to have a reason
    ada.write(wrong)
    ada.dismiss(side, "other", status=409)
    ada.dismiss(side, "because", status=422)
    ada.dismiss({"key": "unknown"}, status=409)
    ada.dismiss(side, "other", comment="Situs inversus.")
    dismissed = ada.checks()["side_differs"]["dismissed"]
    assert (dismissed["reason"], dismissed["comment"]) == ("other", "Situs inversus.")
    # the answer is to these words alone
    ada.write(wrong.replace("right upper lobe", "right lower lobe").replace("nodule", "mass"))
    assert ada.checks()["side_differs"]["dismissed"] is None
    ada.write(wrong)
    ada.sign()

    reading, _ = world.library.readings.get(ct.uid(), "ada")
    (event,) = (e for e in reading.events if isinstance(e, CheckDismissed))
    assert (event.check, event.reason, event.comment) == ("side_differs", "other", "Situs inversus.")
    entries = world.client("lea").get("/api/v1/audit").json()["items"]
    (entry,) = (e for e in entries if e["action"] == "reading.check_dismissed")
    assert (entry["actor"], entry["detail"]["check"], entry["detail"]["reason"]) == (
        "ada",
        "side_differs",
        "other",
    )
    assert "Situs" not in json.dumps(entry)  # free words stay with the reading, vouched for by the log
    assert world.library.audit.verify().intact
    person = world.app().state.site.second_reading(Caller("ada", "reader"))
    with pytest.raises(ReadingError, match="the reading is signed"):
        person.dismiss(ct.uid(), side["key"], "misread", "", language="en", expected=ada.version)


def test_a_report_is_signed_in_the_language_in_which_it_was_shown_and_checked(
    world: Any, results: Any, ada: Reader
) -> None:
    world.save(results(1))
    ada.open()
    ada.reveal()
    ada.decide("ct-model-0", "accept")
    turkish = {"language": "tr"}
    shown = ada.client.get(f"{ada.address}/report", params=turkish).json()
    checks = ada.client.get(f"{ada.address}/report/checks", params=turkish).json()["checks"]
    assert checks
    for check in checks:
        ada.dismiss(check, **turkish)
    ada.do("POST", "/reading/sign", turkish)
    signed = ada.do("GET", "/report")
    assert signed["language"] == "tr"
    words = [[s["text"] for s in section["sentences"]] for section in signed["sections"]]
    assert words == [[s["text"] for s in section["sentences"]] for section in shown["sections"]]


def test_the_prior_size_is_the_one_of_the_signed_prior(
    world: Any, ct: Any, prior: Any, results: Any, ada: Reader
) -> None:
    world.save(results(0))
    world.save(results(0, prior), study=prior)
    before = Reader(world.client("ben"), prior.uid())
    before.open()
    before.write("8 mm solid nodule in the right upper lobe. CT chest in 3 months is recommended.")
    before.reveal()
    ada.open()
    ada.write("10 mm nodule in the right upper lobe, previously 4 mm. CT chest in 3 months is recommended.")
    assert ada.checks() == {}  # the prior is not signed: nobody knows it
    before.sign()
    check = ada.checks()["prior_size_differs"]
    assert "4 mm" in check["text"]
    assert "8 mm" in check["text"]
    turkish = ada.client.get(f"{ada.address}/report/checks", params={"language": "tr"}).json()
    assert "kayıttaki" in turkish["checks"][0]["text"]


def test_what_reports_ask_for_is_due_overdue_and_done_by_the_next_examination(
    world: Any, ct: Any, results: Any, ada: Reader, tmp_path: Any
) -> None:
    from tests.server.conftest import GRID, values

    world.save(results(0))
    ada.open()
    ada.write(TEXT)
    ada.reveal()

    def tasks(client: TestClient = ada.client, **params: Any) -> Any:
        answer = client.get("/api/v1/follow-up", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert tasks()["total"] == 0  # nothing is asked before the signature
    ada.sign()
    (task,) = tasks()["items"]
    assert (task["what"], task["state"]) == ("CT chest", "waiting")
    assert (task["asked_on"], task["earliest"], task["latest"]) == ("2026-03-01", "2026-09-01", "2027-03-01")
    world.clock.time += timedelta(days=200)
    assert tasks()["items"][0]["state"] == "due"
    world.clock.time += timedelta(days=300)
    assert tasks()["counts"] == {"overdue": 1, "due": 0, "waiting": 0, "done": 0}
    assert tasks(state="due")["total"] == 0
    # who has not read the study and does not see signed reports sees no task of it
    assert tasks(world.client("ben"))["total"] == 0
    assert tasks(world.client("cleo"))["total"] == 1
    # whoever sees what a report asks for has seen a part of it: a first read is somebody else's
    lead = Reader(world.client("lea"), ct.uid())
    assert tasks(lead.client)["total"] == 1
    lead.do("POST", "/reading", status=409)
    later = replace(ct, key="later", day=date(2027, 4, 1))
    world.take_in(*write_ct(values(), GRID, later, tmp_path / "later", description="lung", kernel="sharp"))
    (task,) = tasks()["items"]
    assert (task["state"], task["done_by"], task["done_on"]) == ("done", later.uid(), "2027-04-01")


def test_a_task_is_closed_by_hand_with_a_reason_and_stays_so_after_an_addendum(
    world: Any, ct: Any, results: Any, ada: Reader
) -> None:
    world.save(results(0))
    ada.open()
    ada.write("Mass in the right upper lobe. Biopsy is recommended.")
    ada.reveal()
    ada.sign()
    (task,) = ada.client.get("/api/v1/follow-up").json()["items"]
    address = f"/api/v1/follow-up/{task['id']}/close"
    assert ada.client.post(address, json={"why": " "}).status_code == 422
    assert world.client("ben").post(address, json={"why": "x"}).status_code == 403
    assert ada.client.post("/api/v1/follow-up/none/close", json={"why": "x"}).status_code == 403
    assert ada.client.post(address, json={"why": "Done elsewhere."}).status_code == 204
    assert ada.client.post(address, json={"why": "Again."}).status_code == 412
    ada.do("POST", "/reading/addendum", {"text": "MRI of the brain in 1 month is recommended."})
    items = {t["what"]: t for t in ada.client.get("/api/v1/follow-up").json()["items"]}
    # reading all signed reports again gives the same, and brings what is missing
    before = world.library.follow_up.rows()
    assert rebuild(world.library) == 1
    assert world.library.follow_up.rows() == before
    world.library.follow_up.replace(ct.uid(), "ada", [before[0].asked])
    rebuild(world.library)
    assert {row.asked.what for row in world.library.follow_up.rows()} == {"biopsy", "MRI brain"}
    assert items["biopsy"]["state"] == "done"
    assert (items["biopsy"]["closed_by"], items["biopsy"]["closed_why"]) == ("ada", "Done elsewhere.")
    assert items["MRI brain"]["state"] == "waiting"
    assert any(
        e.action == "follow_up.closed" for e in world.library.audit.page(subject=ct.uid(), limit=100).items
    )
