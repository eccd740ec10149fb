from __future__ import annotations

import email
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import get_frame
from starlette.testclient import TestClient

OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def parts(answer: Any) -> list[tuple[str, bytes]]:
    """The parts of an answer, by the standard library's reader of MIME."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + answer.content)
    assert message.is_multipart()
    found = []
    for part in message.get_payload():
        content = part.get_payload(decode=True)  # type: ignore[union-attr]
        found.append((part["Content-Type"], content))  # type: ignore[index]
    return found


def raw_parts(answer: Any) -> list[bytes]:
    """Contents only, cut at the boundary and Content-Length (binary parts may hold line ends)."""
    boundary = answer.headers["content-type"].split("boundary=")[1].encode()
    found, rest = [], answer.content
    while rest.startswith(b"--" + boundary + b"\r\n"):
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        found.append(rest[:length])
        rest = rest[length + 2 :]
    assert rest == b"--" + boundary + b"--\r\n"
    return found


@pytest.fixture
def client(world: Any) -> TestClient:
    made: TestClient = world.client(None)
    return made


def uids(path: Path) -> tuple[str, str, str]:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID)


def address(path: Path) -> str:
    study, series, instance = uids(path)
    return f"/dicom-web/studies/{study}/series/{series}/instances/{instance}"


# QIDO


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, 3),
        ({"PatientName": "SIMULATED*"}, 3),
        ({"PatientName": "simulated^a*"}, 2),
        ({"PatientName": "SIMULATED^C?n"}, 1),
        ({"00100020": "P2"}, 1),
        ({"PatientID": "p2"}, 1),
        ({"StudyDate": "20260301"}, 2),
        ({"StudyDate": "20250101-20251231"}, 1),
        ({"StudyDate": "20250302-"}, 2),
        ({"StudyDate": "-20250301"}, 1),
        ({"ModalitiesInStudy": "CT"}, 2),
        ({"ModalitiesInStudy": "MR"}, 0),
        ({"PatientName": ""}, 3),
        ({"limit": "1"}, 1),
        ({"limit": "2", "offset": "2"}, 1),
        ({"offset": "3"}, 0),
        ({"StudyDescription": "[abc]*"}, 0),
    ],
)
def test_studies_match_by_the_rules_of_dicom(
    client: TestClient, query: dict[str, str], expected: int
) -> None:
    answer = client.get("/dicom-web/studies", params=query)
    assert answer.status_code == (200 if expected else 204)
    assert len(answer.json() if expected else ()) == expected


def test_a_list_of_uids_matches_each(client: TestClient, ct: Any, film: Any) -> None:
    wanted = {"StudyInstanceUID": f"{ct.uid()},{film.uid()}"}
    found = client.get("/dicom-web/studies", params=wanted).json()
    assert {s["0020000D"]["Value"][0] for s in found} == {ct.uid(), film.uid()}


def test_pages_have_one_order_and_say_when_there_is_more(client: TestClient) -> None:
    whole = client.get("/dicom-web/studies")
    assert "warning" not in whole.headers
    pages = [client.get("/dicom-web/studies", params={"limit": 1, "offset": n}) for n in range(3)]
    assert [page.json()[0] for page in pages] == whole.json()
    assert pages[0].headers["warning"].startswith("299 ")
    fuzzy = client.get("/dicom-web/studies", params={"fuzzymatching": "true"})
    assert "fuzzy" in fuzzy.headers["warning"]


def test_attributes_of_a_study_are_those_of_its_files(client: TestClient, ct: Any, files: Any) -> None:
    dataset = pydicom.dcmread(files.ct[0])
    found = client.get("/dicom-web/studies", params={"StudyInstanceUID": ct.uid()}).json()[0]
    for keyword in ("StudyDate", "PatientID", "PatientSex", "PatientBirthDate", "StudyDescription"):
        element = dataset[keyword]
        assert found[f"{element.tag:08X}"]["Value"] == [element.value], keyword
    assert found["00100010"]["Value"] == [{"Alphabetic": "SIMULATED^Ayşe"}]
    assert found["00201208"]["Value"] == [6]
    series = client.get(f"/dicom-web/studies/{ct.uid()}/series").json()
    assert series[0]["00201209"]["Value"] == [6]
    instances = client.get(f"/dicom-web/studies/{ct.uid()}/instances").json()
    assert [i["00200013"]["Value"][0] for i in instances] == [1, 2, 3, 4, 5, 6]
    assert len(client.get("/dicom-web/instances", params={"Rows": "16"}).json()) == 12
    assert len(client.get("/dicom-web/series", params={"Modality": "CT"}).json()) == 2


def test_what_is_no_attribute_is_refused(client: TestClient) -> None:
    assert client.get("/dicom-web/studies", params={"Colour": "red"}).status_code == 422
    assert client.get("/dicom-web/studies", params={"limit": "many"}).status_code == 422
    assert client.get("/dicom-web/studies", params={"includefield": "all"}).status_code == 200
    assert client.get("/dicom-web/studies", headers={"Accept": "text/html"}).status_code == 406


def test_capabilities_are_described(client: TestClient) -> None:
    answer = client.options("/dicom-web/")
    assert {"/studies", "/studies/{study}/metadata"} <= {r["path"] for r in answer.json()["resources"]}


# WADO


def test_metadata_is_the_data_set_without_bulk(client: TestClient, files: Any) -> None:
    study, series, _ = uids(files.ct[0])
    answer = client.get(f"/dicom-web/studies/{study}/series/{series}/metadata")
    assert answer.headers["content-encoding"] == "gzip"
    found = answer.json()
    assert len(found) == 6
    expected = json.loads(pydicom.dcmread(files.ct[0], stop_before_pixels=True).to_json())
    given = next(m for m in found if m["00080018"] == expected["00080018"])
    for tag, element in expected.items():
        if element["vr"] not in ("OB", "OW", "UN"):
            assert given[tag] == element, tag
    assert "7FE00010" not in given
    assert given["00083002"]["Value"] == ["1.2.840.10008.1.2.1"]
    plain = client.get(
        f"/dicom-web/studies/{study}/series/{series}/metadata", headers={"Accept-Encoding": "identity"}
    )
    assert "content-encoding" not in plain.headers
    assert plain.json() == found


def test_an_instance_comes_back_byte_for_byte(client: TestClient, files: Any) -> None:
    content = files.ct[0].read_bytes()
    answer = client.get(address(files.ct[0]), headers={"Accept": FILES})
    assert raw_parts(answer) == [content]
    single = client.get(address(files.ct[0]), headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert single.content == content
    whole = client.get(f"/dicom-web/studies/{uids(files.ct[0])[0]}", headers={"Accept": FILES})
    assert sorted(raw_parts(whole)) == sorted(path.read_bytes() for path in files.ct)


def test_frames_are_the_stored_values(client: TestClient, files: Any) -> None:
    answer = client.get(f"{address(files.ct[0])}/frames/1", headers={"Accept": OCTETS})
    assert "transfer-syntax=1.2.840.10008.1.2.1" in parts(answer)[0][0]
    expected = pydicom.dcmread(files.ct[0]).pixel_array
    assert raw_parts(answer) == [expected.astype("<u2").tobytes()]
    assert client.get(f"{address(files.ct[0])}/frames/2").status_code == 404
    assert client.get(f"{address(files.ct[0])}/frames/x").status_code == 422
    other = OCTETS.replace("*", "1.2.840.10008.1.2.4.50")
    assert client.get(f"{address(files.ct[0])}/frames/1", headers={"Accept": other}).status_code == 406


SAME = "ct_same_image_every_syntax"


@pytest.mark.parametrize("ending", ["4.80.dcm", "4.70.dcm", "1.2.5.dcm", "1.2.2.dcm", "1.2.1.99.dcm"])
def test_every_lossless_syntax_gives_the_same_frame(world: Any, shared: Path, ending: str) -> None:
    folder = shared / "dicom" / SAME
    (path,) = (p for p in folder.iterdir() if p.name.endswith(ending))
    (plain,) = folder.glob("*LittleEndianExplicit*_1.2.840.10008.1.2.1.dcm")
    expected = pydicom.dcmread(plain).pixel_array
    world.take_in(path)
    client = world.client(None)
    answer = client.get(f"{address(path)}/frames/1", headers={"Accept": OCTETS})
    assert raw_parts(answer) == [expected.astype(expected.dtype.newbyteorder("<")).tobytes()]
    dataset = pydicom.dcmread(path)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not syntax.is_deflated:
        answer = client.get(f"{address(path)}/frames/1", headers={"Accept": OCTETS.replace("*", syntax)})
        assert raw_parts(answer) == [get_frame(dataset.PixelData, 0, number_of_frames=1)]
    explicit = client.get(
        address(path), headers={"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"}
    )
    again = pydicom.dcmread(io.BytesIO(explicit.content))
    assert str(again.file_meta.TransferSyntaxUID) == "1.2.840.10008.1.2.1"
    np.testing.assert_array_equal(again.pixel_array, expected)


def test_several_frames_come_in_one_answer(world: Any, shared: Path) -> None:
    path = shared / "dicom" / "enhanced_mr" / "6_1.dcm"
    world.take_in(path)
    expected = pydicom.dcmread(path).pixel_array
    answer = world.client(None).get(f"{address(path)}/frames/2,1", headers={"Accept": OCTETS})
    given = [np.frombuffer(part, expected.dtype).reshape(expected[0].shape) for part in raw_parts(answer)]
    np.testing.assert_array_equal(given, expected[[1, 0]])


def test_a_rendered_picture_is_windowed_as_asked(client: TestClient, files: Any) -> None:
    answer = client.get(f"{address(files.ct[0])}/rendered", params={"window": "-700,1000"})
    dataset = pydicom.dcmread(files.ct[0])
    hu = dataset.pixel_array.astype(float) * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    expected = np.clip((hu + 1200) / 1000, 0, 1) * 255
    given = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert np.abs(given - expected).max() <= 0.51
    assert client.get(f"{address(files.ct[0])}/rendered", params={"window": "1,0"}).status_code == 422
    assert client.get(f"{address(files.ct[0])}/frames/1/rendered").headers["content-type"] == "image/png"
    jpeg = client.get(f"{address(files.ct[0])}/rendered", headers={"Accept": "image/jpeg"})
    assert jpeg.status_code == 406


def test_a_film_of_monochrome1_is_rendered_with_dense_white(client: TestClient, files: Any) -> None:
    dataset = pydicom.dcmread(files.film)
    stored = dataset.pixel_array.astype(float)
    turned = 2**dataset.BitsStored - 1 - stored  # MONOCHROME1: the smallest stored value is white
    window = {"window": f"{turned.mean()},{np.ptp(turned)}"}
    answer = client.get(f"{address(files.film)}/rendered", params=window)
    given = np.asarray(Image.open(io.BytesIO(answer.content)))
    expected = (turned - turned.min()) / np.ptp(turned) * 255
    assert np.abs(given - expected).max() <= 0.51


def test_thumbnails_are_small_and_of_the_middle(client: TestClient, files: Any) -> None:
    study, series, _ = uids(files.ct[0])
    answer = client.get(f"/dicom-web/studies/{study}/series/{series}/thumbnail")
    assert max(Image.open(io.BytesIO(answer.content)).size) <= 128
    assert client.get(f"{address(files.film)}/thumbnail").status_code == 200


# STOW


def stow(client: TestClient, *contents: bytes, study: str = "", kind: str = "application/dicom") -> Any:
    boundary = "a-rather-long-boundary-0123456789"
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + content + b"\r\n" for content in contents
    )
    body += f"--{boundary}--\r\n".encode()
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'}
    target = f"/dicom-web/studies/{study}" if study else "/dicom-web/studies"
    return client.post(target, content=body, headers=headers)


def test_stored_instances_are_kept_and_listed(world: Any, ct: Any, late: Path) -> None:
    woken: list[int] = []
    client = world.client(None, world.app(wake=lambda: woken.append(1)))
    answer = stow(client, late.read_bytes())
    assert answer.status_code == 200
    stored = answer.json()["00081199"]["Value"][0]
    assert stored["00081155"]["Value"] == [ct.uid("late")]
    assert "00081198" not in answer.json()
    found = client.get(f"/dicom-web/studies/{ct.uid()}/series").json()[0]
    assert found["00201209"]["Value"] == [7]
    assert woken
    assert world.library.jobs.latest("process", (ct.uid(),))[ct.uid()].state == "queued"
    again = stow(client, late.read_bytes())
    assert again.status_code == 200  # the same once more is no failure


def test_failures_to_store_are_told_by_code(client: TestClient, ct: Any, files: Any, late: Path) -> None:
    dataset = pydicom.dcmread(files.ct[0])
    dataset.RescaleIntercept = "0"  # the same instance with other values
    changed = io.BytesIO()
    dataset.save_as(changed, enforce_file_format=True)
    conflict = stow(client, changed.getvalue())
    assert conflict.status_code == 409
    failed = conflict.json()["00081198"]["Value"][0]
    assert failed["00081197"]["Value"] == [0xA900]
    some = stow(client, late.read_bytes(), b"no DICOM at all")
    assert some.status_code == 202
    assert some.json()["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC000]
    other = stow(client, late.read_bytes(), study="1.2.3")
    assert other.status_code == 409
    assert client.get("/dicom-web/studies", params={"StudyInstanceUID": "1.2.3"}).status_code == 204


def test_bodies_that_can_not_be_read_are_refused(client: TestClient) -> None:
    assert (
        client.post("/dicom-web/studies", content=b"x", headers={"Content-Type": "text/plain"}).status_code
        == 415
    )
    assert stow(client, b"{}", kind="application/dicom+json").status_code == 415
    headers = {"Content-Type": "multipart/related; type=application/dicom; boundary=b"}
    assert client.post("/dicom-web/studies", content=b"--b\r\n", headers=headers).status_code == 400
