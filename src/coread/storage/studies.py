"""Lists of studies: conditions, order, counts."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, select

from coread.core import InstanceHeader
from coread.errors import InputError
from coread.storage.database import Database
from coread.storage.models import ReadingModel, SeriesContentModel, StudyModel
from coread.storage.paging import Page, Scope, after, checked_limit, to_cursor
from coread.storage.rows import PRIORITIES, SeriesRow, StudyRow

WorkState = Literal["to_read", "being_read", "signed"]
WORK_STATES: tuple[WorkState, ...] = ("to_read", "being_read", "signed")
Order = Literal["urgency", "newest"]
SIGNED_STATES = ("signed", "addendum")


def folded(text: str) -> str:
    """Return text for searching: without case, accents and name separators; Turkish i's are one letter.

    Examples:
        >>> folded("YILDIZ^Gökçe") == folded("yıldız gokce")
        True
    """
    decomposed = unicodedata.normalize("NFKD", text.replace("^", " ").casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).replace("ı", "i")


def attributes(header: InstanceHeader, now: datetime) -> dict[str, Any]:
    """Return the columns of a study that describe it, from one of its instances."""
    time = header.study_time
    words = (header.patient_name, header.patient_id, header.accession, header.study_description)
    return {
        "patient_name": header.patient_name,
        "sex": header.sex,
        "time": None if time is None else time.isoformat(),
        "sort_time": now if time is None else time.replace(tzinfo=now.tzinfo),
        "accession": header.accession,
        "description": header.study_description,
        "referring": header.referring,
        "search": folded(" ".join(words)),
    }


def add_content(
    database: Database, connection: Connection, headers: Sequence[InstanceHeader], now: datetime
) -> None:
    """Add new instances of one series, all acquired or all not, to its counts."""
    first = headers[0]
    table = SeriesContentModel
    counts: dict[str, int] = {
        "instances": len(headers),
        "images": sum(header.role == "image" for header in headers),
        "frames": sum(header.frames for header in headers),
    }
    marks: dict[str, bool] = {
        "simulated": any(header.simulated for header in headers),
        "lossy": any(header.lossy for header in headers),
        "derived_uids": any(header.derived_uids for header in headers),
    }
    changes: dict[str, Any] = {name: getattr(table, name) + count for name, count in counts.items()}
    changes |= {name: True for name, mark in marks.items() if mark}
    statement = database.insert(table).values(
        series=first.series,
        acquired=first.acquired,
        study=first.study,
        number=first.series_number,
        description=first.series_description,
        modality=first.modality,
        body_part=first.body_part,
        received_at=now,
        updated_at=now,
        **counts,
        **marks,
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["series", "acquired"], set_={**changes, "updated_at": now}
        )
    )


def conditions(
    query: str, state: WorkState | None, reader: str | None, modality: str | None, scope: Scope
) -> list[ColumnElement[bool]]:
    """Return the conditions of a list of studies.

    Raises:
        InputError: There is no such state.
    """
    table = StudyModel
    found: list[ColumnElement[bool]] = []
    if scope == "acquired":
        found.append(table.acquired_at.is_not(None))
    found.extend(table.search.contains(word, autoescape=True) for word in folded(query).split())
    if modality is not None:
        content = SeriesContentModel
        of_kind = sa.exists().where(content.study == table.uid, content.modality == modality)
        found.append(of_kind.where(content.acquired) if scope == "acquired" else of_kind)
    if state is not None:
        found.extend(_in_state(state, reader))
    return found


def _in_state(state: WorkState, reader: str | None) -> list[ColumnElement[bool]]:
    reading = ReadingModel
    opened = sa.exists().where(reading.study == StudyModel.uid, reading.state != "unread")
    if reader is not None:
        opened = opened.where(reading.reader == reader)
    signed = opened.where(reading.state.in_(SIGNED_STATES))
    match state:
        case "to_read":
            return [~opened]
        case "being_read":
            return [opened, ~signed]
        case "signed":
            return [signed]
    raise InputError(f"state {state!r}", f"one of {', '.join(WORK_STATES)}")


def count(connection: Connection, where: Iterable[ColumnElement[bool]]) -> int:
    """Return how many studies fit the conditions."""
    return connection.scalar(select(sa.func.count()).select_from(StudyModel).where(*where)) or 0


def page(
    connection: Connection,
    where: Sequence[ColumnElement[bool]],
    *,
    order: Order,
    cursor: str | None,
    limit: int,
    scope: Scope,
) -> Page[StudyRow]:
    """Return one page of the studies that fit the conditions."""
    limit = checked_limit(limit)
    table = StudyModel
    columns: tuple[Any, ...]
    match order:
        case "urgency":
            received = table.received_at if scope == "all" else table.acquired_at
            columns = (table.urgency, received, table.uid)
        case "newest":
            columns = (table.sort_time, table.uid)
        case _:
            raise InputError(f"order {order!r}", "urgency or newest")
    newest = order == "newest"
    query = select(table).where(*where)
    if cursor is not None:
        query = query.where(after(columns, cursor, descending=newest))
    query = query.order_by(*(c.desc() if newest else c for c in columns)).limit(limit + 1)
    found = connection.execute(query).all()
    kept = found[:limit]
    following = None
    if len(found) > limit:
        following = to_cursor([getattr(kept[-1], column.key) for column in columns])
    return Page(_study_rows(connection, kept, scope), count(connection, where), following)


def rows(connection: Connection, where: Iterable[ColumnElement[bool]], scope: Scope) -> tuple[StudyRow, ...]:
    """Return the studies that fit the conditions and hold something in the scope."""
    found = connection.execute(select(StudyModel).where(*where)).all()
    return _study_rows(connection, found, scope)


def series_of(
    connection: Connection, study_uids: Sequence[str], scope: Scope
) -> dict[str, tuple[SeriesRow, ...]]:
    """Return the series of each study, by number."""
    table = SeriesContentModel
    query = select(table).where(table.study.in_(study_uids))
    if scope == "acquired":
        query = query.where(table.acquired)
    parts: dict[str, list[Any]] = defaultdict(list)
    for row in connection.execute(query.order_by(table.acquired.desc())):
        parts[row.series].append(row)
    by_study: dict[str, list[SeriesRow]] = defaultdict(list)
    for uid, contents in parts.items():
        by_study[contents[0].study].append(_series_row(uid, contents))
    return {
        study: tuple(sorted(found, key=lambda s: (s.number is None, s.number or 0, s.uid)))
        for study, found in by_study.items()
    }


def _series_row(uid: str, contents: Sequence[Any]) -> SeriesRow:
    first = contents[0]  # the acquired part where there is one
    return SeriesRow(
        uid=uid,
        study=first.study,
        number=first.number,
        description=first.description,
        modality=first.modality,
        body_part=first.body_part,
        instances=sum(c.instances for c in contents),
        images=sum(c.images for c in contents),
        frames=sum(c.frames for c in contents),
        simulated=any(c.simulated for c in contents),
        lossy=any(c.lossy for c in contents),
        derived_uids=any(c.derived_uids for c in contents),
        received_at=min(c.received_at for c in contents),
        updated_at=max(c.updated_at for c in contents),
    )


def _study_rows(connection: Connection, found: Sequence[Any], scope: Scope) -> tuple[StudyRow, ...]:
    series: dict[str, tuple[SeriesRow, ...]] = {}
    for start in range(0, len(found), 500):
        series |= series_of(connection, [row.uid for row in found[start : start + 500]], scope)
    return tuple(_study_row(row, series[row.uid], scope) for row in found if row.uid in series)


def _study_row(row: Any, series: Sequence[SeriesRow], scope: Scope) -> StudyRow:
    return StudyRow(
        uid=row.uid,
        patient_id=row.patient_id,
        patient_name=row.patient_name,
        birth_date=row.birth_date,
        sex=row.sex,
        time=None if row.time is None else datetime.fromisoformat(row.time),
        accession=row.accession,
        description=row.description,
        referring=row.referring,
        modalities=tuple(sorted({s.modality for s in series})),
        body_parts=tuple(sorted({s.body_part for s in series if s.body_part})),
        series=len(series),
        instances=sum(s.instances for s in series),
        images=sum(s.images for s in series),
        frames=sum(s.frames for s in series),
        simulated=any(s.simulated for s in series),
        lossy=any(s.lossy for s in series),
        derived_uids=any(s.derived_uids for s in series),
        priority=PRIORITIES[row.urgency],
        priority_reason=row.urgency_reason,
        received_at=row.received_at if scope == "all" else row.acquired_at,
        updated_at=row.updated_at if scope == "all" else row.acquired_updated_at,
    )
