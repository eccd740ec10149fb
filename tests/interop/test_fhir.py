"""The FHIR bundle: accepted by fhir.resources, complete, and refused when a part is broken."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from tests.interop import cases
from tests.interop.dicom.objects import author

from coread.core import Addendum, Signature
from coread.errors import DataError
from coread.interop.fhir import check_bundle, write_bundle


def bundle(**changes: object) -> dict[str, Any]:
    forms = {"report.pdf": ("application/pdf", b"%PDF-1.4 test")}
    document: dict[str, Any] = json.loads(write_bundle(cases.content(**changes), author(), forms=forms))
    return document


def of(document: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in document["entry"] if e["resource"]["resourceType"] == kind]


def value_of(observation: dict[str, Any], code: str) -> Any:
    for component in observation.get("component", []):
        if component["code"]["coding"][0]["code"] == code:
            return next(v for k, v in component.items() if k.startswith("value"))
    return None


def finding(document: dict[str, Any], identifier: str) -> dict[str, Any]:
    wanted = {"system": "urn:coread:finding", "value": identifier}
    return next(o for o in of(document, "Observation") if wanted in o.get("identifier", []))


def test_fhir_resources_reads_back_every_value() -> None:
    parsed = Bundle.model_validate_json(json.dumps(bundle()))
    observations = {
        r.resource.id: r.resource for r in parsed.entry if r.resource.get_resource_type() == "Observation"
    }
    numbers = {
        (o.code.coding[0].code, float(o.valueQuantity.value), o.valueQuantity.code)
        for o in observations.values()
        if o.valueQuantity is not None
    }
    assert ("laa-950", 12.345678901234567, "%") in numbers
    assert ("lung-density", -861.5, "[hnsf'U]") in numbers
    assert ("118565006", 2750.125, "mL") in numbers
    emphysema = next(o for o in observations.values() if o.code.coding[0].code == "87433001")
    (share,) = (c.valueQuantity for c in emphysema.component if c.code.coding[0].code == "111012")
    assert float(share.value) == 0.87
    assert len(emphysema.hasMember) == 2


def test_every_reference_is_in_the_bundle() -> None:
    document = bundle()
    urls = {entry["fullUrl"] for entry in document["entry"]}
    assert len(urls) == len(document["entry"])
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.extend(v for k, v in value.items() if k == "reference")
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)

    walk(document)
    assert found
    assert set(found) <= urls


def test_report_has_both_categories_and_the_signature() -> None:
    (report,) = of(bundle(), "DiagnosticReport")
    codes = [c["coding"][0] for c in report["category"]]
    assert [(c["system"], c["code"]) for c in codes] == [
        ("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD"),
        ("http://loinc.org", "LP29684-5"),
    ]
    assert report["status"] == "final"
    assert report["issued"] == "2026-03-04T09:30:15+00:00"
    assert report["conclusion"] == "Amfizem, <i>değil</i> & nodül."
    assert report["presentedForm"][0]["contentType"] == "application/pdf"


@pytest.mark.parametrize(
    ("changes", "report_status", "status"),
    [
        ({}, "final", "final"),
        ({"signature": None, "decisions": ()}, "preliminary", "preliminary"),
        (
            {"addenda": (Addendum("Ek", Signature(cases.DOCTOR, cases.SIGNED_AT)),)},
            "appended",
            "final",
        ),
    ],
)
def test_status_follows_the_reading(changes: dict[str, object], report_status: str, status: str) -> None:
    document = bundle(**changes)
    (report,) = of(document, "DiagnosticReport")
    assert report["status"] == report_status
    shown = {o["status"] for o in of(document, "Observation")}
    assert shown - {"entered-in-error"} == {status}
    assert ("performer" in report) == (status == "final")


def test_decisions_are_recorded_and_rejected_findings_are_no_results() -> None:
    document = bundle()
    (report,) = of(document, "DiagnosticReport")
    rejected = finding(document, "cxr-2")
    assert rejected["status"] == "entered-in-error"
    assert value_of(rejected, "reader-decision")["coding"][0]["code"] == "rejected"
    assert value_of(rejected, "reject-reason")["coding"][0]["code"] == "rej-artefact"
    assert value_of(rejected, "121106") == "skin fold"
    results = {r["reference"] for r in report["result"]}
    assert f"urn:uuid:{rejected['id']}" not in results
    modified = finding(document, "cxr-1")
    assert modified["code"]["coding"][0]["code"] == "consolidation"
    assert value_of(modified, "reader-decision")["coding"][0]["code"] == "modified"
    assert value_of(modified, "modified-from")["coding"][0]["code"] == "lung-opacity"
    assert value_of(finding(document, "lung_ct-1"), "reader-decision")["coding"][0]["code"] == "accepted"
    assert value_of(finding(document, "own-1"), "reader-decision") is None


def test_people_and_models_are_told_apart() -> None:
    document = bundle()
    by_model, by_person = finding(document, "lung_ct-1"), finding(document, "own-1")
    assert "device" in by_model
    assert "performer" not in by_model
    assert "performer" in by_person
    assert "device" not in by_person
    devices = {d["deviceName"][0]["name"]: d for d in of(document, "Device")}
    assert {"lung_ct", "cxr_pneumonia", "CoRead"} == set(devices)
    assert devices["lung_ct"]["version"][0]["value"] == "1.0.0"
    notes = " ".join(n["text"] for n in devices["lung_ct"]["note"])
    assert "Research use" in notes
    assert "evidence level 2" in notes


def test_provenance_names_inputs_with_their_hashes() -> None:
    document = bundle()
    stamps = of(document, "Provenance")
    (of_model,) = (p for p in stamps if "occurredPeriod" in p)
    inputs = {e["what"]["identifier"]["value"]: e["what"]["display"] for e in of_model["entity"][1:]}
    assert inputs[f"urn:oid:{cases.CT_INSTANCES[3]}"] == f"sha256:{3:064x}"
    assert of_model["occurredPeriod"]["start"] == "2026-03-04T08:00:00+00:00"


def test_simulated_data_are_marked_everywhere_and_real_ones_are_not() -> None:
    for entry in bundle()["entry"]:
        assert {"HTEST", "simulated"} == {tag["code"] for tag in entry["resource"]["meta"]["tag"]}
    real = tuple(cases.header(h.instance, h.series, h.modality, simulated=False) for h in cases.HEADERS)
    assert "simulated" not in json.dumps(bundle(headers=real)).lower()


def test_study_lists_its_instances() -> None:
    (study,) = of(bundle(), "ImagingStudy")
    assert study["numberOfInstances"] == 9
    assert {"system": "urn:dicom:uid", "value": "urn:oid:1.2.3.4"} in study["identifier"]
    assert [s["numberOfInstances"] for s in study["series"]] == [8, 1]
    assert study["started"] == "2026-03-04"  # a time without its zone is no FHIR dateTime


def test_identifiers_stay_when_it_is_exported_again() -> None:
    assert write_bundle(cases.content(), author(seed=1)) == write_bundle(cases.content(), author(seed=2))


def test_broken_bundles_are_refused_without_quoting_the_patient() -> None:
    good = bundle()
    for break_it in (
        lambda r: r.pop("code"),
        lambda r: r.__setitem__("category", r["category"][0]),
        lambda r: r.__setitem__("performer", {"display": "one"}),
        lambda r: r.__setitem__("status", "YILMAZ"),
    ):
        broken = copy.deepcopy(good)
        break_it(of(broken, "DiagnosticReport")[0])
        if of(broken, "DiagnosticReport")[0]["status"] == "YILMAZ":
            of(broken, "DiagnosticReport")[0]["issued"] = "yesterday"
        with pytest.raises(DataError, match="not FHIR R4B") as caught:
            check_bundle(broken)
        assert "YILMAZ" not in str(caught.value)


def test_a_dstu2_report_is_refused_and_an_r4_study_is_accepted(shared: Any) -> None:
    folder = shared / "dicom" / "fhir"
    old = json.loads((folder / "diagnosticreport_siim_dstu2_style.json").read_text())
    study = json.loads((folder / "imagingstudy_siim_andy.json").read_text())
    wrap = {"resourceType": "Bundle", "type": "collection"}
    check_bundle({**wrap, "entry": [{"resource": study}]})
    with pytest.raises(DataError):
        check_bundle({**wrap, "entry": [{"resource": old}]})


def test_headers_that_say_nothing_leave_nothing_empty() -> None:
    nothing = {
        "patient_id": "",
        "patient_name": "^",
        "birth_date": None,
        "sex": None,
        "study_time": None,
        "accession": " ",
        "study_description": "",
        "series_number": None,
        "series_description": "",
        "instance_number": None,
    }
    bare = tuple(cases.header(h.instance, h.series, h.modality, **nothing) for h in cases.HEADERS)
    text = json.dumps(bundle(headers=bare))
    for empty in ('""', "[]", "{}", "null"):
        assert empty not in text
