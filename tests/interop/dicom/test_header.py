"""Files are read or refused for a reason; names and UIDs come out as the standard says."""

from __future__ import annotations

import gzip
import os
import random
import struct
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SecondaryCaptureImageStorage
from tests.interop.dicom.files import ROOT, as_bytes, element, instance, plain

from coread.errors import CoreadError, DataError
from coread.interop.dicom import Limits, load_series, read_instance, same_instance

SOP_CLASS = element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.2\0")
START = element(0x00080005, "CS", b"ISO_IR 100") + SOP_CLASS

# (0010,0010) of the examples in PS3.5: H.3.1, H.3.2, I.2, J.3 (GB18030), and single-byte sets
NAMES = {
    "chrH32": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "chrI2": "Hong^Gildong=洪^吉洞=홍^길동",
    "chrX2": "Wang^XiaoDong=王^小东",
    "chrArab": "قباني^لنزار",
    "chrFrenMulti": "Buc^Jérôme",
    "chrGreek": "Διονυσιος",
    "chrRuss": "Люкceмбypг",
    "chrJapMultiExplicitIR6": "やまだ^たろう",
}


def reason(content: bytes, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read_instance(content, **options)  # type: ignore[arg-type]
    assert caught.value.todo
    return caught.value.came


@pytest.mark.parametrize("name", NAMES)
def test_names_come_out_as_the_standard_prints_them(shared: Path, name: str) -> None:
    header = read_instance((shared / "dicom" / "charset" / f"{name}.dcm").read_bytes()).header
    assert header.patient_name.rstrip("=") == NAMES[name]


@pytest.mark.parametrize(("term", "codec"), [("ISO_IR 148", "iso8859_9"), ("ISO_IR 192", "utf-8")])
def test_turkish_names_come_out_whole(term: str, codec: str) -> None:
    name = "IŞIK^İbrahim Ağaoğlu Çiğdem"
    dataset = plain(SpecificCharacterSet=term, PatientName=name, InstitutionName="Göğüs Hastalıkları")
    content = as_bytes(dataset)
    assert name.encode(codec) in content
    assert read_instance(content).header.patient_name == name


def test_an_unknown_character_set_does_not_stop_the_file() -> None:
    content = as_bytes(plain()).replace(b"Test^Case", b"T\xfcst^C\xe4se")
    with_term = content.replace(SOP_CLASS, element(0x00080005, "CS", b"ISO_IR 999") + SOP_CLASS)
    assert read_instance(with_term).header.patient_name.startswith("T")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("broken/MR_truncated", "truncated"),
        ("broken/rtplan_truncated", "truncated"),
        ("transfer_syntax/RG1_J2KI", "truncated"),
        ("broken/badVR", "the number of frames is not a number"),
        ("broken/UN_sequence", "no SOP class"),
        ("broken/priv_SQ", "no SOP class"),
        ("broken/nested_priv_SQ", "no SOP class"),
        ("broken/meta_missing_tsyntax", "no SOP class"),
        ("broken/no_meta", "not DICOM"),
    ],
)
def test_broken_files_are_refused_for_their_reason(shared: Path, name: str, expected: str) -> None:
    assert expected in reason((shared / "dicom" / f"{name}.dcm").read_bytes())


def test_compressed_files_and_other_formats_are_named(shared: Path) -> None:
    assert "gzip" in reason((shared / "dicom" / "broken" / "zipMR.gz").read_bytes())
    assert "gzip" in reason(gzip.compress(as_bytes(plain())))
    assert "empty" in reason(b"")
    assert "PDF" in reason(b"%PDF-1.7 and so on")
    assert "JPEG" in reason(b"\xff\xd8\xff\xe0" + bytes(200))
    for other in (b'{"resourceType": "ImagingStudy"}', b"# Title\n\nText", b"a\tb\n1\t2\n", bytes(500)):
        assert "not DICOM" in reason(other)


def test_a_folder_index_is_told_from_an_instance() -> None:
    dataset = Dataset()
    dataset.file_meta = plain().file_meta
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.5"
    dataset.FileSetID = "A"
    assert "DICOMDIR" in reason(as_bytes(dataset))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"])
def test_without_preamble_and_meta_the_same_is_read(syntax: str) -> None:
    whole = as_bytes(plain(np.arange(24, dtype=np.int16).reshape(4, 6)), syntax)
    length = struct.unpack_from("<L", whole, 140)[0]
    bare = whole[144 + length :]
    a, b = read_instance(whole), read_instance(bare)
    assert same_instance(a, b)
    assert a.header == b.header
    assert a.marks == ()
    assert any("no preamble" in mark for mark in b.marks)
    assert any("transfer syntax missing" in mark for mark in b.marks)


def test_a_meta_header_without_preamble_is_read() -> None:
    whole = as_bytes(plain())
    assert read_instance(whole[132:]).header == read_instance(whole).header


def test_deflated_is_read_and_bounded() -> None:
    dataset = plain(np.zeros((64, 64), np.int16))
    content = as_bytes(dataset, "1.2.840.10008.1.2.1.99")
    assert read_instance(content).header.rows == 64
    assert "larger than" in reason(content, limits=Limits(inflated_bytes=1000))
    assert "truncated" in reason(content[:-30])


def test_a_deflated_bomb_takes_no_more_memory_than_its_limit() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(START + element(0x7FE00010, "OW", bytes(80_000_000))) + packer.flush()
    content = as_bytes(plain(), "1.2.840.10008.1.2.1.99")
    length = struct.unpack_from("<L", content, 140)[0]
    tracemalloc.start()
    assert "larger than" in reason(content[: 144 + length] + bomb, limits=Limits(inflated_bytes=1_000_000))
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def nested(depth: int, *, explicit_length: bool) -> bytes:
    inner = element(0x00080100, "SH", b"CODE")
    for _ in range(depth):
        if explicit_length:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
            inner = element(0x00081115, "SQ", item)
        else:
            item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner
            item += struct.pack("<HHL", 0xFFFE, 0xE00D, 0) + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
            inner = element(0x00081115, "SQ", item, length=0xFFFFFFFF)
    return START + inner


@pytest.mark.parametrize("explicit_length", [True, False])
def test_nesting_is_bounded_without_recursion(explicit_length: bool) -> None:
    assert "nested deeper" in reason(nested(65, explicit_length=explicit_length))
    assert "nested deeper" in reason(nested(20_000, explicit_length=explicit_length))
    assert read_instance(nested(60, explicit_length=explicit_length)).header.role == "object"


@pytest.mark.parametrize("length", [10, 60_000, 2**31, 2**32 - 2])
def test_a_length_beyond_the_file_is_never_believed(length: int) -> None:
    lying = START + element(0x00420011, "OB", b"1234", length=length)
    assert "truncated" in reason(lying)


def test_a_length_beyond_its_sequence_is_refused() -> None:
    inner = element(0x00080104, "LO", b"CODE", length=400)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
    padding = element(0x00204000, "LT", b" " * 1000)
    assert "truncated" in reason(START + element(0x00081115, "SQ", item) + padding)


def test_the_number_of_elements_is_bounded() -> None:
    many = START + b"".join(element(0x00100000 + i, "SH", b"") for i in range(1, 2000))
    assert "more than 1000 elements" in reason(many, limits=Limits(elements=1000))


def test_what_is_cut_off_behind_the_pixels_is_kept_with_a_mark() -> None:
    content = as_bytes(plain()) + element(0xFFFAFFFA, "SQ", b"", length=500)
    read = read_instance(content)
    assert any("cut off after the pixels" in mark for mark in read.marks)
    assert len(load_series([read])) == 1


def test_native_pixels_that_are_too_few_are_refused() -> None:
    assert "truncated: 40 bytes" in reason(as_bytes(plain(PixelData=bytes(40))))


@pytest.mark.parametrize(
    "bad",
    ["../../etc/passwd", "1.2.3/4", "1.2." + "3" * 70, "1..2", "abc", "1.2.3\\1.2.4"],
)
@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_uids_that_are_no_uids_are_refused(name: str, bad: str) -> None:
    tags = {"SOPInstanceUID": 0x00080018, "StudyInstanceUID": 0x0020000D, "SeriesInstanceUID": 0x0020000E}
    uids = {key: bad if key == name else "1.2.3" for key in tags}
    content = START + b"".join(
        element(tag, "UI", (uid + "\0" * (len(uid) % 2)).encode())
        for tag, uid in ((tags[key], uids[key]) for key in tags)
    )
    assert "not valid" in reason(content)
    good = content.replace(bad.encode(), b"1.2".ljust(len(bad), b"\0"))
    header = read_instance(good).header
    assert "1.2" in (header.study, header.series, header.instance)


def test_missing_uids_are_derived_offline_and_refused_from_the_network() -> None:
    content = as_bytes(plain(StudyInstanceUID=None, SeriesInstanceUID=None))
    first, again = read_instance(content), read_instance(content)
    assert first.header.derived_uids
    assert "UIDs derived from the content" in first.marks
    assert first.header == again.header
    assert first.header.instance == f"{ROOT}.1.1.1"  # what is there stays
    assert "missing" in reason(content, offline=False)
    other = read_instance(as_bytes(plain(StudyInstanceUID=None, SeriesInstanceUID=None, PatientID="P2")))
    assert other.header.study != first.header.study


def test_slices_of_a_series_without_study_stay_together() -> None:
    a = read_instance(as_bytes(plain(StudyInstanceUID=None)))
    b = read_instance(as_bytes(plain(StudyInstanceUID=None, SOPInstanceUID=f"{ROOT}.9", InstanceNumber=2)))
    assert a.header.study == b.header.study
    assert a.header.series == b.header.series


def test_the_index_entry_holds_what_the_header_says() -> None:
    header = instance(
        plain(
            PatientBirthDate="19700203",
            PatientSex="F",
            StudyDate="20240131",
            StudyTime="083015.25",
            AccessionNumber="A7",
            SeriesNumber=3,
            InstanceNumber=12,
            BodyPartExamined="CHEST",
            SyntheticData="YES",
        )
    ).header
    assert header.birth_date == date(1970, 2, 3)
    assert header.sex == "F"
    assert header.study_time == datetime(2024, 1, 31, 8, 30, 15, 250_000)
    assert (header.accession, header.series_number, header.instance_number) == ("A7", 3, 12)
    assert (header.body_part, header.rows, header.columns, header.frames) == ("CHEST", 4, 6, 1)
    assert header.simulated
    assert header.role == "image"
    assert header.acquired


def test_what_may_be_shown_before_the_first_read(shared: Path) -> None:
    capture = {"SOPClassUID": SecondaryCaptureImageStorage}
    assert not instance(plain(**capture, ImageType=["DERIVED", "SECONDARY"])).header.acquired
    assert not instance(plain(**capture, ConversionType="WSD", ImageType=None)).header.acquired
    assert not instance(plain(**capture, ConversionType="DF", ImageType=["DERIVED"])).header.acquired
    assert instance(plain(**capture, ConversionType="DF", ImageType=None)).header.acquired
    purpose, equipment = Dataset(), Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "1", "X", "Processing Algorithm"
    equipment.PurposeOfReferenceCodeSequence = Sequence([purpose])
    assert not instance(plain(ContributingEquipmentSequence=Sequence([equipment]))).header.acquired
    dose = shared / "dicom" / "dose_gpl3" / "CT-RDSR-GEPixelMed.dcm"
    assert read_instance(dose.read_bytes()).header.acquired
    for name in ("seg_image_ct_binary", "rtdose", "test-SR", "rtstruct"):
        header = read_instance((shared / "dicom" / "objects" / f"{name}.dcm").read_bytes()).header
        assert header.role == "object"
        assert not header.acquired


def test_no_patient_data_reach_warnings_and_logs(
    recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    secret = b"1.2.SECRET.5"
    content = START + element(0x00080018, "UI", b"1.2.3\0") + element(0x00080020, "DA", b"SECRET12")
    content += element(0x00100010, "PN", b"SECRET^^^^^^^^=x") + element(0x0020000D, "UI", secret)
    with pytest.raises(DataError):
        read_instance(content)
    broken = content.replace(secret, b"1.2.3.4.5.67")
    dataset = read_instance(broken).dataset
    assert not recwarn.list
    assert not caplog.records
    with pytest.warns(UserWarning, match="DA"):
        dataset.StudyDate = "SECRET12"  # outside of reading pydicom still warns, and logs without words
    assert caplog.records
    assert "SECRET" not in caplog.text


def test_reading_in_threads_leaves_the_warning_filters_as_they_were() -> None:
    content = as_bytes(plain())
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: read_instance(content), range(200)))
    assert list(warnings.filters) == before


def _damaged(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content[: rng.randrange(len(content))] if rng.random() < 0.3 else content)
    head = min(len(changed), 3000)
    for _ in range(rng.choice((1, 3, 30))):
        if changed:
            at = rng.randrange(head if rng.random() < 0.8 else len(changed))
            changed[at] = rng.choice((rng.randrange(256), 0, 255, changed[at] ^ 1 << rng.randrange(8)))
    return bytes(changed)


@pytest.mark.slow
def test_damaged_files_raise_nothing_but_our_errors(shared: Path) -> None:
    paths = [p for p in sorted((shared / "dicom").rglob("*")) if p.is_file() and p.stat().st_size < 200_000]
    rng = random.Random(20240131)
    rounds = int(os.environ.get("COREAD_FUZZ_ROUNDS", "6"))
    for path in paths * rounds:
        try:
            read = read_instance(_damaged(path.read_bytes(), rng))
            load_series([read])
            same_instance(read, read)
        except CoreadError:
            continue


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_raise_nothing_but_our_errors(tail: bytes, preamble: bool) -> None:
    content = (bytes(128) + b"DICM" if preamble else b"") + START + tail
    try:
        read_instance(content)
    except CoreadError:
        return


def test_pixels_can_be_left_out() -> None:
    read = read_instance(as_bytes(plain()), pixels=False)
    assert read.header.frames == 1
    assert "PixelData" not in read.dataset


def test_pydicom_reads_what_we_hand_out(shared: Path) -> None:
    path = shared / "dicom" / "transfer_syntax" / "CT_small.dcm"
    expected, dataset = pydicom.dcmread(path), read_instance(path.read_bytes()).dataset
    assert all(dataset[e.tag].value == e.value for e in expected if e.VR != "SQ")
