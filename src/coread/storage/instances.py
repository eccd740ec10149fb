"""The index of patients' studies, series and instances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, select

from coread.core import InstanceHeader
from coread.errors import InputError
from coread.storage import studies
from coread.storage.database import ConflictError, Database
from coread.storage.documents import pack, unpack
from coread.storage.models import InstanceModel, SeriesModel, StudyModel
from coread.storage.paging import Page, Scope, batched
from coread.storage.rows import Arrival, Priority, SeriesRow, StoredInstance, StudyRow, urgency
from coread.storage.studies import Order, WorkState

_CHUNK = 500
_LAST = 2**31 - 1  # instances without a number come last in their series


class InstanceIndex:
    """Studies, series and instances by their UIDs.

    Every list takes a ``scope``: ``all``, or ``acquired`` for acquired images and dose reports alone. Counts,
    totals, order, words and times of a scope come from that scope only. (Words of a study come from its first
    acquired instance, and from another one only while none has come.)
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, header: InstanceHeader, digest: str, *, size: int) -> bool:
        """Index one instance whose bytes are in the object store.

        Returns:
            Whether it is new; False where exactly this was indexed before.

        Raises:
            ConflictError: Its UID is indexed with other bytes, one of its UIDs lies under another parent, or
                the study belongs to another patient (identifier or birth date). Nothing is changed.
        """
        return self.add_many((Arrival(header, digest, size),))[0]

    def add_many(self, arrivals: Sequence[Arrival]) -> tuple[bool, ...]:
        """Index a group of instances in one transaction: all of them, or on a conflict none.

        Returns:
            For each whether it is new.

        Raises:
            ConflictError: As for `add`.
        """
        new: list[bool] = []
        with self._db.transaction() as connection, connection.begin_nested():
            for start in range(0, len(arrivals), _CHUNK):
                new.extend(self._add_chunk(connection, arrivals[start : start + _CHUNK]))
        return tuple(new)

    def _add_chunk(self, connection: Connection, arrivals: Sequence[Arrival]) -> list[bool]:
        now = self._db.now()
        headers = [arrival.header for arrival in arrivals]
        opened = self._add_studies(connection, headers, now)
        self._add_series(connection, headers)
        fresh = self._add_instances(connection, arrivals, now)
        self._count(connection, list(fresh.values()), opened, now)
        seen: set[str] = set()
        new = []
        for header in headers:
            new.append(header.instance in fresh and header.instance not in seen)
            seen.add(header.instance)
        return new

    def _add_studies(
        self, connection: Connection, headers: Sequence[InstanceHeader], now: datetime
    ) -> Mapping[str, datetime | None]:
        first: dict[str, InstanceHeader] = {}
        for header in headers:
            first.setdefault(header.study, header)
        rows = [
            {
                **studies.attributes(header, now),
                "uid": uid,
                "patient_id": header.patient_id,
                "birth_date": header.birth_date,
                "urgency": urgency("routine"),
                "urgency_reason": "",
                "received_at": now,
                "updated_at": now,
            }
            for uid, header in sorted(first.items())
        ]
        connection.execute(self._db.insert(StudyModel).on_conflict_do_nothing(), rows)
        table = StudyModel
        kept = connection.execute(
            select(table.uid, table.patient_id, table.birth_date, table.acquired_at)
            .where(table.uid.in_(first))
            .order_by(table.uid)
            .with_for_update()  # two processes that bring one study take turns (SQLite has one writer)
        ).all()
        patients = {row.uid: (row.patient_id, row.birth_date) for row in kept}
        for header in headers:
            if patients[header.study] != (header.patient_id, header.birth_date):
                raise ConflictError(
                    f"study {header.study} came with another patient identifier or birth date",
                    "the patient that the study is indexed under",
                    "keep it aside until a person has decided",
                )
        return {row.uid: row.acquired_at for row in kept}

    def _add_series(self, connection: Connection, headers: Sequence[InstanceHeader]) -> None:
        parents = {header.series: header.study for header in reversed(headers)}
        rows = [{"uid": uid, "study": study} for uid, study in sorted(parents.items())]
        connection.execute(self._db.insert(SeriesModel).on_conflict_do_nothing(), rows)
        query = select(SeriesModel.uid, SeriesModel.study).where(SeriesModel.uid.in_(parents))
        kept = {row.uid: row.study for row in connection.execute(query)}
        for header in headers:
            if kept[header.series] != header.study:
                raise ConflictError(
                    f"series {header.series} came under study {header.study}",
                    f"study {kept[header.series]}, under which it is indexed",
                    "keep it aside until a person has decided",
                )

    def _add_instances(
        self, connection: Connection, arrivals: Sequence[Arrival], now: datetime
    ) -> Mapping[str, InstanceHeader]:
        first: dict[str, Arrival] = {}
        for arrival in arrivals:
            first.setdefault(arrival.header.instance, arrival)
        known = self._digests(connection, first)
        fresh = {uid: arrival for uid, arrival in first.items() if uid not in known}
        if fresh:
            rows = [
                {
                    "uid": uid,
                    "series": a.header.series,
                    "number": _LAST if a.header.instance_number is None else a.header.instance_number,
                    "acquired": a.header.acquired,
                    "digest": a.digest,
                    "size": a.size,
                    "received_at": now,
                    "header": pack(a.header)[0],
                }
                for uid, a in sorted(fresh.items())
            ]
            try:
                connection.execute(sa.insert(InstanceModel), rows)
            except sa.exc.IntegrityError as error:  # another process was faster under another study
                raise ConflictError(
                    f"one of {len(fresh)} instances was indexed under another parent at the same time",
                    "one parent for each UID",
                    "look it up again",
                ) from error
            known = {**known, **{uid: (a.digest, a.header.series) for uid, a in fresh.items()}}
        for arrival in arrivals:
            uid = arrival.header.instance
            if known[uid] != (arrival.digest, arrival.header.series):
                raise ConflictError(
                    f"instance {uid} came with other bytes or under another series",
                    "what is indexed under this UID",
                    "keep it aside until a person has decided",
                )
        return {uid: arrival.header for uid, arrival in fresh.items()}

    @staticmethod
    def _digests(connection: Connection, uids: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
        table = InstanceModel
        query = select(table.uid, table.digest, table.series).where(table.uid.in_(uids))
        return {row.uid: (row.digest, row.series) for row in connection.execute(query)}

    def _count(
        self,
        connection: Connection,
        headers: Sequence[InstanceHeader],
        opened: Mapping[str, datetime | None],
        now: datetime,
    ) -> None:
        groups: dict[tuple[str, bool], list[InstanceHeader]] = defaultdict(list)
        by_study: dict[str, list[InstanceHeader]] = defaultdict(list)
        for header in headers:
            groups[header.series, header.acquired].append(header)
            by_study[header.study].append(header)
        for _, group in sorted(groups.items()):
            studies.add_content(self._db, connection, group, now)
        for uid, group in sorted(by_study.items()):
            changes: dict[str, Any] = {"updated_at": now}
            acquired = [header for header in group if header.acquired]
            if acquired:
                changes["acquired_updated_at"] = now
                if opened[uid] is None:
                    changes |= {"acquired_at": now, **studies.attributes(acquired[0], now)}
            connection.execute(sa.update(StudyModel).where(StudyModel.uid == uid).values(**changes))

    def find(self, instance: str) -> StoredInstance | None:
        """Return an instance by its SOP instance UID, or None."""
        with self._db.snapshot() as connection:
            row = connection.execute(select(InstanceModel).where(InstanceModel.uid == instance)).first()
        return None if row is None else _stored(row)

    def series_parent(self, series: str) -> str | None:
        """Return the study that a series is indexed under, or None."""
        with self._db.snapshot() as connection:
            return connection.scalar(select(SeriesModel.study).where(SeriesModel.uid == series))

    def study_patient(self, study: str) -> tuple[str, date | None] | None:
        """Return the patient identifier and birth date that a study is indexed under, or None."""
        table = StudyModel
        with self._db.snapshot() as connection:
            row = connection.execute(
                select(table.patient_id, table.birth_date).where(table.uid == study)
            ).first()
        return None if row is None else (row.patient_id, row.birth_date)

    def instances(self, series: str, *, scope: Scope = "all") -> tuple[StoredInstance, ...]:
        """Return the instances of a series by number, those without one last."""
        table = InstanceModel
        query = select(table).where(table.series == series).order_by(table.number, table.uid)
        if scope == "acquired":
            query = query.where(table.acquired)
        with self._db.snapshot() as connection:
            return tuple(_stored(row) for row in connection.execute(query))

    def series(self, study: str, *, scope: Scope = "all") -> tuple[SeriesRow, ...]:
        """Return the series of a study by number, those without one last."""
        with self._db.snapshot() as connection:
            return studies.series_of(connection, (study,), scope).get(study, ())

    def study(self, uid: str, *, scope: Scope = "all") -> StudyRow | None:
        """Return a study, or None where there is nothing of it in the scope."""
        with self._db.snapshot() as connection:
            rows = studies.rows(connection, (StudyModel.uid == uid,), scope)
        return rows[0] if rows else None

    def studies(
        self,
        *,
        query: str = "",
        state: WorkState | None = None,
        reader: str | None = None,
        modality: str | None = None,
        order: Order = "urgency",
        cursor: str | None = None,
        limit: int = 50,
        scope: Scope = "all",
    ) -> Page[StudyRow]:
        """Return one page of the studies.

        Args:
            query: Words that must all occur in patient name or identifier, accession number or description;
                case and accents don't matter.
            state: ``to_read`` (nobody has opened it), ``being_read`` or ``signed``; None for all.
            reader: Ask for the state of this reader's own reading, whatever others did; None for anybody's.
            modality: Only studies with a series of this modality.
            order: ``urgency`` (most urgent first, then the one that waits longest) or ``newest`` (by the time
                of the study).
            cursor: The ``next`` of the page before.
            limit: Rows of the page, up to 1000.
            scope: What to count and to show.
        """
        with self._db.snapshot() as connection:
            return studies.page(
                connection,
                studies.conditions(query, state, reader, modality, scope),
                order=order,
                cursor=cursor,
                limit=limit,
                scope=scope,
            )

    def state_counts(
        self, *, query: str = "", reader: str | None = None, scope: Scope = "all"
    ) -> Mapping[WorkState, int]:
        """Return how many studies are in each state, as `studies` would list them."""
        with self._db.snapshot() as connection:
            return {
                state: studies.count(connection, studies.conditions(query, state, reader, None, scope))
                for state in studies.WORK_STATES
            }

    def priors(self, study: str, *, scope: Scope = "all") -> tuple[StudyRow, ...]:
        """Return earlier studies of the same patient, the latest first.

        The same patient is the same non-empty identifier and the same birth date; where no birth date is
        known, the name must be the same as well. A study without time has no priors and is none.
        """
        table = StudyModel
        with self._db.snapshot() as connection:
            this = connection.execute(select(table).where(table.uid == study)).first()
            if this is None or not this.patient_id or this.time is None:
                return ()
            same = [
                table.patient_id == this.patient_id,
                table.birth_date == this.birth_date,
                table.uid != study,
                table.time.is_not(None),
                table.sort_time < this.sort_time,
            ]
            if this.birth_date is None:
                if not this.patient_name:
                    return ()
                same.append(table.patient_name == this.patient_name)
            found = studies.rows(connection, same, scope)
        return tuple(sorted(found, key=lambda row: str(row.time), reverse=True))

    def of_patients(
        self, study_uids: Sequence[str], *, scope: Scope = "all"
    ) -> Mapping[str, tuple[StudyRow, ...]]:
        """Return for each of some studies all studies of its patient, itself too, the earliest first.

        The same patient is who it is for `priors`; who is not known well enough has that study alone.
        """
        by_patient: dict[tuple[object, ...], list[StudyRow]] = defaultdict(list)
        asked: dict[str, tuple[object, ...]] = {}
        with self._db.snapshot() as connection:
            for chunk in batched(study_uids):
                asking = StudyModel.uid.in_(chunk)
                known = select(StudyModel.patient_id).where(asking, StudyModel.patient_id != "")
                same = asking | StudyModel.patient_id.in_(known)
                for row in studies.rows(connection, [same], scope):
                    by_patient[_patient_of(row)].append(row)
                    if row.uid in chunk:
                        asked[row.uid] = _patient_of(row)
        times = {
            patient: tuple(sorted({r.uid: r for r in found}.values(), key=lambda r: str(r.time)))
            for patient, found in by_patient.items()
        }
        return {study: times[patient] for study, patient in asked.items()}

    def set_priority(self, study: str, priority: Priority, reason: str = "") -> None:
        """Set how urgent a study is and why.

        Raises:
            InputError: There is no such study or priority.
        """
        table = StudyModel
        change = {"urgency": urgency(priority), "urgency_reason": reason}
        with self._db.transaction() as connection:
            done = connection.execute(sa.update(table).where(table.uid == study).values(**change))
            if done.rowcount != 1:
                raise InputError(f"study {study} is not indexed")

    def digests(self) -> set[str]:
        """Return the digests of all instances."""
        with self._db.snapshot() as connection:
            return set(connection.scalars(select(InstanceModel.digest)))


def _patient_of(row: StudyRow) -> tuple[object, ...]:
    """Return what tells one patient from another."""
    if not row.patient_id or (row.birth_date is None and not row.patient_name):
        return (row.uid,)
    return (row.patient_id, row.birth_date, row.patient_name if row.birth_date is None else None)


def _stored(row: Any) -> StoredInstance:
    return StoredInstance(unpack(row.header, None), row.digest, row.size, row.received_at)
