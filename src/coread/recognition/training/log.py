"""What a training reached, epoch by epoch: a CSV table and an event file that TensorBoard reads.

An event file is a row of TFRecords, each an ``Event`` message of protocol buffers; both are short enough
to be written here, so that nothing has to be installed to keep them.
"""

from __future__ import annotations

import csv
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Row = Mapping[str, float]

CSV_NAME = "log.csv"
EVENTS_NAME = "events.out.tfevents.0.coread"
_REFLECTED = 0x82F63B78  # the polynomial of Castagnoli, bits reversed


def _table_entry(number: int) -> int:
    for _ in range(8):
        number = (number >> 1) ^ (_REFLECTED if number & 1 else 0)
    return number


_TABLE = tuple(_table_entry(number) for number in range(256))


def crc32c(content: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of bytes.

    References:
        RFC 3720, appendix B.4.

    Examples:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    value = 0xFFFFFFFF
    for byte in content:
        value = (value >> 8) ^ _TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def _masked(content: bytes) -> bytes:
    value = crc32c(content)
    return struct.pack("<I", (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def record(content: bytes) -> bytes:
    """Return a TFRecord: length, its masked CRC, content, its masked CRC."""
    length = struct.pack("<Q", len(content))
    return length + _masked(length) + content + _masked(content)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, content: bytes) -> bytes:
    """A field that has a length: text, bytes, a message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def event(when: float, step: int, values: Row) -> bytes:
    """Return an ``Event`` with scalars: time (field 1), step (2), summary (5) of tags and values.

    Args:
        when: Seconds since 1970.
        step: The epoch.
        values: By tag.

    References:
        tensorflow/core/util/event.proto and framework/summary.proto.
    """
    scalars = b"".join(
        _field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value))
        for tag, value in values.items()
    )
    return b"\x09" + struct.pack("<d", when) + b"\x10" + _varint(step) + _field(5, scalars)


class TrainingLog:
    """Keeps rows of figures as a CSV table and as events for TensorBoard, in one folder.

    Args:
        folder: Made when the first row comes.
        clock: Gives seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._table, self._events = folder / CSV_NAME, folder / EVENTS_NAME
        self._clock = clock

    def restart(self, rows: list[Row]) -> None:
        """Begin with these rows; those of epochs that will be run again are dropped."""
        times = self._times()
        for path in (self._table, self._events):
            path.unlink(missing_ok=True)
        for row in rows:
            self._write(row, times.get(int(row["epoch"]), self._clock()))

    def add(self, row: Row) -> None:
        """Add a row; its ``epoch`` is the step of the events."""
        self._write(row, self._clock())

    def _times(self) -> dict[int, float]:
        if not self._table.is_file():
            return {}
        with self._table.open(newline="", encoding="utf-8") as lines:
            return {int(line["epoch"]): float(line["time"]) for line in csv.DictReader(lines)}

    def _write(self, row: Row, when: float) -> None:
        new = not self._table.exists()
        self._table.parent.mkdir(parents=True, exist_ok=True)
        epoch = int(row["epoch"])
        values = {name: value for name, value in row.items() if name != "epoch"}
        with self._table.open("a", newline="", encoding="utf-8") as lines:
            table = csv.DictWriter(lines, ["epoch", "time", *values], lineterminator="\n")
            if new:
                table.writeheader()
            table.writerow({"epoch": epoch, "time": when} | values)
        with self._events.open("ab") as file:
            if new:
                file.write(record(b"\x09" + struct.pack("<d", when) + _field(3, b"brain.Event:2")))
            file.write(record(event(when, epoch, values)))
