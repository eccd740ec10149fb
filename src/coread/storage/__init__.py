"""What is kept: the database, objects by content, the audit log."""

from coread.storage.audit import AuditAnchor, AuditCheck, AuditEntry, AuditLog
from coread.storage.database import Clock, ConflictError, utc_now
from coread.storage.follow_up import Asked, FollowUpRow, FollowUpStore
from coread.storage.instances import InstanceIndex
from coread.storage.intake import IntakeLog, IntakeRow
from coread.storage.jobs import Job, JobQueue, JobState, Signal
from coread.storage.library import Library, StoreCheck
from coread.storage.objects import ObjectStore, content_digest
from coread.storage.paging import Page, Scope
from coread.storage.readings import ReadingHead, ReadingStore
from coread.storage.reports import ReportFile, ReportStore, StoredReport, StoredText
from coread.storage.results import ResultRow, ResultStore, StoredResult, result_key
from coread.storage.rows import Arrival, Priority, SeriesRow, StoredInstance, StudyRow
from coread.storage.studies import Order, WorkState

__all__ = [
    "Arrival",
    "Asked",
    "AuditAnchor",
    "AuditCheck",
    "AuditEntry",
    "AuditLog",
    "Clock",
    "ConflictError",
    "FollowUpRow",
    "FollowUpStore",
    "InstanceIndex",
    "IntakeLog",
    "IntakeRow",
    "Job",
    "JobQueue",
    "JobState",
    "Library",
    "ObjectStore",
    "Order",
    "Page",
    "Priority",
    "ReadingHead",
    "ReadingStore",
    "ReportFile",
    "ReportStore",
    "ResultRow",
    "ResultStore",
    "Scope",
    "SeriesRow",
    "Signal",
    "StoreCheck",
    "StoredInstance",
    "StoredReport",
    "StoredResult",
    "StoredText",
    "StudyRow",
    "WorkState",
    "content_digest",
    "result_key",
    "utc_now",
]
