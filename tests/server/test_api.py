"""People, worklist, intake, jobs, events, vocabulary, FHIR, and who may talk to the server."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.imagingstudy import ImagingStudy
from starlette.testclient import TestClient

from coread.core import vocabulary
from coread.errors import InputError
from coread.server.settings import ConfiguredReader, ServerSettings
from coread.workflow import uploads


def events(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.strip().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


# people and who may talk to the server


def test_the_only_reader_needs_no_choice_and_gets_a_session(make_world: Any) -> None:
    world = make_world(readers=(ConfiguredReader("ada", "Dr. Ada", language="tr"),))
    client = world.client(None)
    answer = client.get("/api/v1/me")
    assert answer.json() == {
        "id": "ada",
        "name": "Dr. Ada",
        "role": "reader",
        "language": "tr",
        "mode": "second-reader",
    }
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_several_readers_choose_who_they_are(world: Any) -> None:
    client = world.client(None)
    assert client.get("/api/v1/me").status_code == 401
    assert {r["id"] for r in client.get("/api/v1/session").json()} == {"ada", "ben", "cleo", "lea"}
    assert client.post("/api/v1/session", json={"reader": "eve"}).status_code == 422
    assert client.post("/api/v1/session", json={"reader": "ben"}).json()["id"] == "ben"
    assert client.get("/api/v1/me").json()["id"] == "ben"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org"])
def test_an_address_that_others_reach_is_refused_without_accounts(host: str) -> None:
    with pytest.raises(InputError, match="no accounts"):
        ServerSettings(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_addresses_are_fine(host: str) -> None:
    assert ServerSettings(host=host).host == host


def test_foreign_hosts_and_origins_are_refused(world: Any) -> None:
    client = world.client("ada")
    rebound = client.get("/api/v1/worklist", headers={"Host": "evil.example"})
    assert rebound.status_code == 421
    forged = client.post("/api/v1/session", json={"reader": "ada"}, headers={"Origin": "http://evil.example"})
    assert forged.status_code == 400
    own = client.post("/api/v1/session", json={"reader": "ada"}, headers={"Origin": "http://127.0.0.1"})
    assert own.status_code == 200


def test_answers_say_what_a_browser_may_do_with_them(world: Any) -> None:
    headers = world.client("ada").get("/api/v1/worklist").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "unsafe-eval" not in headers["content-security-policy"].replace("wasm-unsafe-eval", "")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_a_clinician_does_not_read(world: Any, ct: Any) -> None:
    client = world.client("cleo")
    study = client.get(f"/api/v1/studies/{ct.uid()}").json()
    assert study["reading"]["can_read"] is False
    assert client.post(f"/api/v1/studies/{ct.uid()}/reading").status_code == 403


def test_the_page_is_served_with_the_caching_that_each_file_may_have(world: Any, tmp_path: Path) -> None:
    page = tmp_path / "static"
    (page / "assets").mkdir(parents=True)
    (page / "index.html").write_text("<!doctype html><title>CoRead</title>")
    (page / "assets" / "index-D4f9aB2c.js").write_text("1")
    (page / "assets" / "codec-D4f9aB2c.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.txt").write_text("secret")
    from coread.server.app import create_app

    client = TestClient(create_app(world.library, analyzers=(), page=page), base_url="http://127.0.0.1")
    assert client.get("/").headers["cache-control"] == "no-cache"
    assert "coread_session" in client.cookies
    assert "immutable" in client.get("/assets/index-D4f9aB2c.js").headers["cache-control"]
    assert client.get("/assets/codec-D4f9aB2c.wasm").headers["content-type"] == "application/wasm"
    assert client.get("/study/1.2.3").text.startswith("<!doctype html>")
    for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/assets/none.js", "/api/v1/none", "/fhir/none"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert "secret" not in answer.text


def test_health_and_readiness(world: Any) -> None:
    client = world.client(None)
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
    assert "coread_info" in client.get("/metrics").text


# the worklist


def test_the_worklist_is_ordered_counted_searched_and_paged(world: Any, ct: Any, film: Any) -> None:
    client = world.client("ada")
    world.library.instances.set_priority(film.uid(), "urgent", "Emergency department")
    world.clock.time += timedelta(minutes=10)
    page = client.get("/api/v1/worklist").json()
    assert page["counts"] == {"to_read": 3, "being_read": 0, "signed": 0}
    first = page["items"][0]
    assert (first["study"], first["priority"], first["waiting_s"], first["limit_s"]) == (
        film.uid(),
        "urgent",
        600.0,
        3600.0,
    )
    assert first["reason"] == "Ordered as urgent: Emergency department"
    assert first["processing"] == "ready"
    item = next(i for i in page["items"] if i["study"] == ct.uid())
    assert item["priors"] == 1
    assert item["patient"] == {"name": "SIMULATED^Ayşe", "id": "P1", "age": 66.2, "sex": "F"}
    client.post(f"/api/v1/studies/{ct.uid()}/reading")
    assert client.get("/api/v1/worklist").json()["counts"] == {"to_read": 2, "being_read": 1, "signed": 0}
    being = client.get("/api/v1/worklist", params={"filter": "being_read"}).json()["items"]
    assert [(i["study"], i["reader"], i["state"]) for i in being] == [(ct.uid(), "ada", "reading")]
    assert client.get("/api/v1/worklist", params={"q": "AYSE"}).json()["total"] == 1
    pages, cursor = [], None
    while True:
        found = client.get("/api/v1/worklist", params={"limit": 1, **({"cursor": cursor} if cursor else {})})
        pages += [i["study"] for i in found.json()["items"]]
        cursor = found.json()["next"]
        if cursor is None:
            break
    assert pages == [i["study"] for i in client.get("/api/v1/worklist").json()["items"]]
    assert client.get("/api/v1/worklist", params={"cursor": "x"}).status_code == 422


# intake, jobs, events


def archive(*files: Path) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for file in files:
            made.write(file, file.name)
        made.writestr("README.txt", "words")
    return target.getvalue()


def test_an_upload_becomes_a_job_that_takes_the_files_in(world: Any, ct: Any, late: Path, files: Any) -> None:
    woken: list[int] = []
    client = world.client("ada", world.app(wake=lambda: woken.append(1)))
    answer = client.post(
        "/api/v1/intake",
        files=[
            ("files", ("late.dcm", late.read_bytes())),
            ("files", ("more.zip", archive(files.ct[0]))),
        ],
    )
    assert answer.status_code == 202
    job = answer.json()["job"]
    assert woken
    state = client.get(f"/api/v1/jobs/{job}").json()
    assert (state["kind"], state["state"], state["progress"]) == ("intake", "queued", 0.0)
    assert world.client("ben").get(f"/api/v1/jobs/{job}").status_code == 403
    claimed = world.library.jobs.claim("tests", 60.0, kinds=(uploads.JOB_KIND,))
    told: list[float] = []
    uploads.take_in(world.library, claimed.payload, lambda fraction, words: told.append(fraction))
    world.library.jobs.finish(claimed.id, "tests")
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert client.get(f"/api/v1/jobs/{job}").json()["state"] == "done"
    entries = client.get("/api/v1/intake").json()["items"][:3]
    assert {(e["path"].rsplit("/", 1)[-1].rsplit("!", 1)[-1], e["role"]) for e in entries} == {
        ("late.dcm", "image"),
        ("CT0001.dcm", "duplicate"),
        ("README.txt", "refused"),
    }
    assert client.get("/api/v1/intake", params={"role": "refused"}).json()["total"] == 1
    assert client.get("/api/v1/worklist").json()["refused_today"] == 1
    assert client.get(f"/dicom-web/studies/{ct.uid()}/series").json()[0]["00201209"]["Value"] == [7]


def test_an_upload_can_be_cancelled_by_who_sent_it(world: Any, late: Path) -> None:
    client = world.client("ada")
    job = client.post("/api/v1/intake", files={"files": ("x", late.read_bytes())}).json()["job"]
    assert world.client("ben").delete(f"/api/v1/jobs/{job}").status_code == 403
    assert client.delete(f"/api/v1/jobs/{job}").status_code == 204
    assert client.get(f"/api/v1/jobs/{job}").json()["state"] == "cancelled"


def test_an_empty_or_too_large_upload_is_refused(world: Any) -> None:
    client = world.client("ada")
    assert client.post("/api/v1/intake", files={"files": ("x", b"")}).status_code == 422
    app = world.app()
    site = app.state.site
    object.__setattr__(site, "settings", ServerSettings(readers=world.readers, upload_limit=10))
    large = world.client("ada", app).post("/api/v1/intake", files={"files": ("x", b"0" * 11)})
    assert large.status_code == 422
    assert world.client("cleo").post("/api/v1/intake", files={"files": ("x", b"0")}).status_code == 403


def test_events_tell_of_jobs_and_studies_but_not_what_a_model_does(world: Any, ct: Any) -> None:
    jobs = world.library.jobs
    jobs.enqueue("process", "again", {"study": ct.uid()}, subject=ct.uid())
    job = jobs.claim("tests", 60.0)
    jobs.progress(job.id, "tests", 0.5, "Nodules")
    client = world.client("ada")
    found = events(client.get("/api/v1/events", params={"wait": 0}).text)
    study = next(body for name, body in found if name == "study" and body["study"] == ct.uid())
    assert (study["processing"], study["progress"]) == ("processing", 0.5)
    assert "Nodules" not in str(found)


# vocabulary, models


def test_the_vocabulary_speaks_both_languages(world: Any) -> None:
    client = world.client("ada")
    english = client.get("/api/v1/vocabulary").json()
    turkish = client.get("/api/v1/vocabulary", params={"language": "tr"}).json()
    assert [t["concept"] for t in english] == [t["concept"] for t in turkish]
    assert {t["concept"]["value"] for t in english} == {c.value for c in vocabulary.findings()}
    words = {t["concept"]["value"]: t["words"] for t in turkish}
    assert words["60046008"] == "Plevral efüzyon"
    assert words["1386000"] == "İntrakraniyal kanama"  # a dotted capital
    assert not {t["words"] for t in english} & set(words.values()) - {"Atelectasis"}
    assert any(t["quick_no"] for t in english)


def test_cards_are_there_for_all(world: Any) -> None:
    client = world.client("cleo")
    assert {c["id"] for c in client.get("/api/v1/models").json()} >= {"nodules", "quality"}
    assert client.get("/api/v1/models/nodules").json()["evidence_level"] == 2
    assert client.get("/api/v1/models/none").status_code == 403


# FHIR


def test_fhir_resources_are_valid_and_reports_come_with_the_signature(
    world: Any, ct: Any, results: Any
) -> None:
    world.save(results(1))
    program, client = world.client(None), world.client("ada")
    CapabilityStatement.model_validate(program.get("/fhir/R4/metadata").json())
    study = program.get(f"/fhir/R4/ImagingStudy/{ct.uid()}").json()
    ImagingStudy.model_validate(study)
    assert study["numberOfInstances"] == 6
    found = program.get("/fhir/R4/ImagingStudy", params={"identifier": f"urn:dicom:uid|urn:oid:{ct.uid()}"})
    assert found.json()["total"] == 1
    assert program.get("/fhir/R4/DiagnosticReport").json()["total"] == 0
    address, version = f"/api/v1/studies/{ct.uid()}/reading", 0
    client.post(address)
    # the nodule that is accepted below asks for a follow-up
    text = {"text": "Recommendation: CT chest in 6 months."}
    answer = client.put(f"/api/v1/studies/{ct.uid()}/report/text", json=text, headers={"If-Match": '"0"'})
    assert answer.status_code == 200
    for path, body in (
        ("/commit", {"findings": []}),
        ("/reveal", None),
        ("/decisions", {"finding": "ct-model-0", "choice": "accept"}),
        ("/sign", {}),
    ):
        version = client.get(address).json()["version"]
        done = client.post(f"{address}{path}", json=body, headers={"If-Match": f'"{version}"'})
        assert done.status_code == 200, done.text
    reports = program.get("/fhir/R4/DiagnosticReport").json()
    Bundle.model_validate(reports)
    assert reports["total"] == 1
    report = reports["entry"][0]["resource"]
    assert report["status"] == "final"
    assert program.get(f"/fhir/R4/DiagnosticReport/{report['id']}").json() == report
    assert program.get("/fhir/R4/Observation", params={"imaging-study": f"ImagingStudy/{ct.uid()}"}).json()[
        "total"
    ]
    # a second reader opens it: programs are locked again, and so is that reader
    ben = world.client("ben")
    ben.post(address)
    assert program.get("/fhir/R4/DiagnosticReport").json()["total"] == 0
    assert ben.get("/fhir/R4/DiagnosticReport").json()["total"] == 0
    assert client.get("/fhir/R4/DiagnosticReport").json()["total"] == 1
