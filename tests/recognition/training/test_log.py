"""Event files are what TensorBoard reads: checksums of the standard, messages of its own definition."""

from __future__ import annotations

import csv
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coread.recognition.training.log import CSV_NAME, EVENTS_NAME, TrainingLog, crc32c, event, record

ROWS = [
    {"epoch": 1.0, "loss/train": 0.75, "dice/validation": 0.5},
    {"epoch": 2.0, "loss/train": 0.5, "dice/validation": 0.625},
    {"epoch": 3.0, "loss/train": 0.25, "dice/validation": 0.75},
]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_checksums_are_those_of_rfc_3720(content: bytes, expected: int) -> None:
    """RFC 3720, appendix B.4; the one of nine digits is the check value of the CRC catalogue."""
    assert crc32c(content) == expected


def records(content: bytes) -> list[bytes]:
    """Read TFRecords; the mask is undone as TensorFlow's documentation of the format says."""

    def unmasked(word: int) -> int:
        turned = (word - 0xA282EAD8) & 0xFFFFFFFF
        return ((turned >> 17) | (turned << 15)) & 0xFFFFFFFF

    out, at = [], 0
    while at < len(content):
        length, check = struct.unpack_from("<QI", content, at)
        assert unmasked(check) == crc32c(content[at : at + 8])
        body = content[at + 12 : at + 12 + length]
        (check,) = struct.unpack_from("<I", content, at + 12 + length)
        assert unmasked(check) == crc32c(body)
        out.append(body)
        at += 16 + length
    return out


def message(content: bytes) -> list[tuple[int, object]]:
    """Read one protocol-buffer message: (field, number or bytes)."""

    def varint(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value |= (content[at] & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if content[at - 1] < 0x80:
                return value, at

    out, at = [], 0
    while at < len(content):
        key, at = varint(at)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(at)
        elif kind == 2:
            size, at = varint(at)
            value, at = content[at : at + size], at + size
        else:
            form, size = {1: ("<d", 8), 5: ("<f", 4)}[kind]
            (value,), at = struct.unpack_from(form, content, at), at + size
        out.append((field, value))
    return out


def scalars(body: bytes) -> tuple[float, int, dict[str, float]]:
    fields = dict(message(body))
    values = [dict(message(value)) for field, value in message(fields[5]) if field == 1]
    return fields[1], fields[2], {v[1].decode(): v[2] for v in values}


@given(
    st.floats(0, 4e9),
    st.integers(0, 2**40),
    st.dictionaries(st.text(min_size=1, max_size=200), st.floats(width=32, allow_nan=False), max_size=4),
)
def test_an_event_says_time_step_and_values(when: float, step: int, values: dict[str, float]) -> None:
    (body,) = records(record(event(when, step, values)))
    assert scalars(body) == (when, step, values)


def test_table_and_events_hold_the_same_rows(tmp_path: Path) -> None:
    ticks = iter([100.0, 200.0, 300.0])
    log = TrainingLog(tmp_path / "run", lambda: next(ticks))
    log.restart([])
    for row in ROWS:
        log.add(row)
    with (tmp_path / "run" / CSV_NAME).open(newline="") as lines:
        table = list(csv.DictReader(lines))
    assert [float(line["time"]) for line in table] == [100.0, 200.0, 300.0]
    assert [float(line["loss/train"]) for line in table] == [0.75, 0.5, 0.25]
    first, *events = records((tmp_path / "run" / EVENTS_NAME).read_bytes())
    assert dict(message(first))[3] == b"brain.Event:2"
    assert [scalars(body) for body in events] == [
        (100.0 * n, n, {k: v for k, v in row.items() if k != "epoch"}) for n, row in enumerate(ROWS, start=1)
    ]


def test_a_log_taken_up_again_has_each_epoch_once_at_its_own_time(tmp_path: Path) -> None:
    ticks = iter([100.0, 200.0, 300.0, 400.0])
    log = TrainingLog(tmp_path, lambda: next(ticks))
    for row in ROWS:
        log.add(row)
    again = TrainingLog(tmp_path, lambda: 900.0)
    again.restart(ROWS[:2])
    again.add(ROWS[2])
    events = records((tmp_path / EVENTS_NAME).read_bytes())[1:]
    assert [scalars(body)[:2] for body in events] == [(100.0, 1), (200.0, 2), (900.0, 3)]
    with (tmp_path / CSV_NAME).open(newline="") as lines:
        assert [line["epoch"] for line in csv.DictReader(lines)] == ["1", "2", "3"]
