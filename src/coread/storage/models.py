"""The tables. Running numbers serve order and joins only; what is shown outside has a random identifier."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ForeignKey, Index, LargeBinary, MetaData, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

UID = String(64)
DIGEST = String(64)
IDENTIFIER = String(32)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, kept in UTC and given back with its offset."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment as it is kept."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Return the moment with its offset."""
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, str: Text}  # noqa: RUF012


class StudyModel(Base):
    """A study. Attributes come from its first acquired instance, from the first of any kind until then."""

    __tablename__ = "study"
    __table_args__ = (
        Index("ix_study_order", "urgency", "received_at", "uid"),
        Index("ix_study_acquired_order", "urgency", "acquired_at", "uid"),
        Index("ix_study_newest", "sort_time", "uid"),
        Index("ix_study_patient", "patient_id", "birth_date"),
    )

    uid: Mapped[str] = mapped_column(UID, primary_key=True)
    patient_id: Mapped[str]
    patient_name: Mapped[str]
    birth_date: Mapped[date | None]
    sex: Mapped[str | None] = mapped_column(String(1))
    time: Mapped[str | None]
    sort_time: Mapped[datetime]
    accession: Mapped[str]
    description: Mapped[str]
    referring: Mapped[str]
    search: Mapped[str]
    urgency: Mapped[int]
    urgency_reason: Mapped[str]
    received_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    acquired_at: Mapped[datetime | None]
    acquired_updated_at: Mapped[datetime | None]


class SeriesModel(Base):
    """A series and the study it belongs to."""

    __tablename__ = "series"

    uid: Mapped[str] = mapped_column(UID, primary_key=True)
    study: Mapped[str] = mapped_column(UID, ForeignKey("study.uid"), index=True)


class SeriesContentModel(Base):
    """What a series holds: one row for its acquired instances, one for the others.

    Kept apart, so that a view of acquired images alone is not coloured by anything that came beside them.
    """

    __tablename__ = "series_content"

    series: Mapped[str] = mapped_column(UID, ForeignKey("series.uid"), primary_key=True)
    acquired: Mapped[bool] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(UID, index=True)
    number: Mapped[int | None]
    description: Mapped[str]
    modality: Mapped[str] = mapped_column(String(16))
    body_part: Mapped[str | None]
    received_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    instances: Mapped[int]
    images: Mapped[int]
    frames: Mapped[int]
    simulated: Mapped[bool]
    lossy: Mapped[bool]
    derived_uids: Mapped[bool]


class InstanceModel(Base):
    """An instance: its index entry and the digest of its bytes."""

    __tablename__ = "instance"
    __table_args__ = (Index("ix_instance_series", "series", "number", "uid"),)

    uid: Mapped[str] = mapped_column(UID, primary_key=True)
    series: Mapped[str] = mapped_column(UID, ForeignKey("series.uid"))
    number: Mapped[int]
    acquired: Mapped[bool]
    digest: Mapped[str] = mapped_column(DIGEST, index=True)
    size: Mapped[int] = mapped_column(sa.BigInteger)
    received_at: Mapped[datetime]
    header: Mapped[str]


class IntakeModel(Base):
    """What became of one file that was handed in."""

    __tablename__ = "intake"
    __table_args__ = (Index("ix_intake_role", "role", "seq"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    at: Mapped[datetime]
    path: Mapped[str]
    role: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]
    study: Mapped[str | None] = mapped_column(index=True)
    series: Mapped[str | None]
    instance: Mapped[str | None]
    marks: Mapped[str]
    digest: Mapped[str | None] = mapped_column(DIGEST)
    acquired: Mapped[bool | None]


class ResultModel(Base):
    """What an analyzer found on a study; superseded rows stay."""

    __tablename__ = "result"
    __table_args__ = (Index("ix_result_study", "study", "superseded_by"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    study: Mapped[str] = mapped_column(UID, ForeignKey("study.uid"))
    analyzer: Mapped[str]
    key: Mapped[str] = mapped_column(DIGEST, index=True)
    saved_at: Mapped[datetime]
    superseded_by: Mapped[str | None] = mapped_column(IDENTIFIER)
    provenance: Mapped[str]
    not_applicable: Mapped[str | None]
    failure: Mapped[str | None]
    document: Mapped[str | None]
    arrays: Mapped[str | None] = mapped_column(DIGEST)


class ReadingModel(Base):
    """Where one reader's reading of one study stands: follows from its events."""

    __tablename__ = "reading"

    study: Mapped[str] = mapped_column(UID, ForeignKey("study.uid"), primary_key=True)
    reader: Mapped[str] = mapped_column(String(255), primary_key=True)
    version: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), index=True)
    more_images: Mapped[bool]
    opened_at: Mapped[datetime | None]
    committed_at: Mapped[datetime | None]
    signed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class ReadingEventModel(Base):
    """One step of a reading; never changed, never removed."""

    __tablename__ = "reading_event"

    study: Mapped[str] = mapped_column(UID, ForeignKey("study.uid"), primary_key=True)
    reader: Mapped[str] = mapped_column(String(255), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[str]
    arrays: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[str] = mapped_column(DIGEST)


class ReportModel(Base):
    """A report as it was saved; a later one does not replace it."""

    __tablename__ = "report"

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    study: Mapped[str] = mapped_column(UID, ForeignKey("study.uid"), index=True)
    reader: Mapped[str] = mapped_column(String(255))
    saved_at: Mapped[datetime]
    document: Mapped[str]
    arrays: Mapped[str | None] = mapped_column(DIGEST)


class ReportFileModel(Base):
    """A file that was made of a report."""

    __tablename__ = "report_file"

    report: Mapped[str] = mapped_column(IDENTIFIER, ForeignKey("report.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(DIGEST)
    size: Mapped[int] = mapped_column(sa.BigInteger)


class ReportTextModel(Base):
    """A reader's own text for a report, as it stands; the version counts how often it was saved."""

    __tablename__ = "report_text"

    study: Mapped[str] = mapped_column(UID, ForeignKey("study.uid"), primary_key=True)
    reader: Mapped[str] = mapped_column(String(255), primary_key=True)
    version: Mapped[int]
    saved_at: Mapped[datetime]
    document: Mapped[str]


class FollowUpModel(Base):
    """An examination that a signed report asks for."""

    __tablename__ = "follow_up"
    __table_args__ = (Index("ix_follow_up_study", "study", "reader"),)

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    study: Mapped[str] = mapped_column(UID, ForeignKey("study.uid"))
    reader: Mapped[str] = mapped_column(String(255))
    what: Mapped[str]
    asked_on: Mapped[date]
    earliest: Mapped[date | None]
    latest: Mapped[date | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(255))
    closed_why: Mapped[str]


class JobModel(Base):
    """Work to do, under way and done."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        Index("ix_job_order", "state", "priority", "seq"),
        Index("ix_job_subject", "kind", "subject", "seq"),
    )

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    kind: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str | None] = mapped_column(UID)
    payload: Mapped[str]
    priority: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    attempts: Mapped[int]
    max_attempts: Mapped[int]
    not_before: Mapped[datetime]
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    cancel: Mapped[bool]
    progress: Mapped[float]
    words: Mapped[str]
    error: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AuditModel(Base):
    """An act, chained to the one before by its digest; never changed, never removed."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_subject", "subject", "seq"), Index("ix_audit_actor", "actor", "seq"))

    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(IDENTIFIER, unique=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(255))
    detail: Mapped[str]
    digest: Mapped[str] = mapped_column(DIGEST)


class AuditHeadModel(Base):
    """One row: how long the audit log is and where it ends."""

    __tablename__ = "audit_head"

    one: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    length: Mapped[int]
    digest: Mapped[str] = mapped_column(DIGEST)
