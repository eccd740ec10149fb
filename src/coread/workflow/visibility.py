"""Who may see what of a study: the one place that decides.

Hidden means that it cannot be told whether there is anything. Every answer of the server is made from what
a `View` gives, and whatever is hidden, unknown or not for the caller raises one and the same `HiddenError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from coread.core import Card, FileRole, Result
from coread.core.match import MatchSettings
from coread.core.reading import Committed, ImagesArrived, Reading, Revealed
from coread.errors import CoreadError
from coread.storage import (
    AuditEntry,
    IntakeRow,
    Job,
    Library,
    Page,
    ReadingHead,
    ResultRow,
    Scope,
    SeriesRow,
    StoredInstance,
    StoredReport,
    StoredResult,
    StudyRow,
)

Role = Literal["reader", "lead", "clinician", "auditor", "admin", "client"]
Processing = Literal["received", "processing", "ready", "failed"]
READERS: tuple[Role, ...] = ("reader", "lead", "admin")
_SEE_SIGNED: tuple[Role, ...] = ("lead", "clinician", "auditor", "admin")
_WATCH: tuple[Role, ...] = ("lead", "auditor", "admin")
SAW_REPORT = "report.seen"
_AUDIT_WORDS = ("reader", "version", "check", "reason")


class HiddenError(CoreadError):
    """What was asked for is hidden, unknown or not for the caller: which of these, the answer never tells."""

    def __init__(self) -> None:
        super().__init__(
            "this is not shown here",
            "something that you may see now",
            "commit your first read, or check the address",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a person in a role, or a program without a person (reader None, role ``client``)."""

    reader: str | None
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRules:
    """What a site has chosen explicitly.

    Attributes:
        concurrent: Analyzers in mode ``concurrent`` whose results show from the start.
        triage: Analyzers in mode ``triage`` that may raise a study on the worklist and say so in a line.
        show_foreign_objects: Whether SR, SEG and the like that came with a study show before the first read.
        match: Distances of the matching rule.
    """

    concurrent: frozenset[str] = frozenset()
    triage: frozenset[str] = frozenset()
    show_foreign_objects: bool = False
    match: MatchSettings = field(default_factory=MatchSettings)


@dataclass(frozen=True, slots=True, eq=False)
class ShownResult:
    """A run that the caller may see, with the card of its analyzer where that is installed."""

    row: ResultRow
    card: Card | None
    result: Result | None

    @property
    def name(self) -> str:
        """Name of the analyzer for people."""
        return self.row.analyzer if self.card is None else self.card.name


class View:
    """What one caller may see now; made for one request, since it remembers what it looked up.

    The lock is per reader and study. A reader who is assigned (has opened the study) sees nothing of the
    models and of objects that came with the study until their own first read is committed, and meanwhile
    nothing of the models on the patient's other studies. Whoever is not assigned sees none of it either;
    roles that don't read see signed reports. A program without a person waits until every assigned reader
    has committed.

    Args:
        library: Where everything is kept.
        caller: Who asks.
        rules: What the site has chosen.
        cards: Cards of the installed analyzers by name; results of others stay hidden like any.
    """

    def __init__(
        self,
        library: Library,
        caller: Caller,
        rules: SiteRules | None = None,
        cards: Mapping[str, Card] | None = None,
    ) -> None:
        self.library = library
        self.caller = caller
        self.rules = rules or SiteRules()
        self.cards = MappingProxyType(dict(cards or {}))
        self._heads: dict[str, tuple[ReadingHead, ...]] = {}
        self._open: dict[str, bool] = {}

    def renewed(self) -> View:
        """Return a view of the same caller that has looked nothing up yet."""
        return View(self.library, self.caller, self.rules, self.cards)

    # the lock

    def _assigned(self, study: str) -> tuple[ReadingHead, ...]:
        if study not in self._heads:
            heads = self.library.readings.heads(study)
            self._heads[study] = tuple(head for head in heads if head.opened_at is not None)
        return self._heads[study]

    def own_head(self, study: str) -> ReadingHead | None:
        """Return where the caller's own reading of a study stands, None when not assigned to it."""
        return next((h for h in self._assigned(study) if h.reader == self.caller.reader), None)

    def unlocked(self, study: str) -> bool:
        """Return whether the caller may see what the models found on a study."""
        if study not in self._open:
            self._open[study] = self._may_see_results(study)
        return self._open[study]

    def _may_see_results(self, study: str) -> bool:
        if self.caller.reader is None:
            assigned = self._assigned(study)
            return bool(assigned) and not any(head.locked or head.more_images for head in assigned)
        own = self.own_head(study)
        return own is not None and not own.locked and not self._reads_patient_elsewhere(study)

    def _reads_patient_elsewhere(self, study: str) -> bool:
        patient = self.library.instances.study_patient(study)
        return (
            patient is not None
            and bool(patient[0])
            and bool(self._open_patients.get(patient, set()) - {study})
        )

    @cached_property
    def _open_patients(self) -> Mapping[tuple[str, date | None], set[str]]:
        """Studies whose first read by the caller is open, by patient."""
        found: dict[tuple[str, date | None], set[str]] = {}
        cursor = None
        while True:
            page = self.library.instances.studies(
                state="being_read", reader=self.caller.reader, cursor=cursor, limit=1000
            )
            heads = self.library.readings.heads_of(self.caller.reader or "", [row.uid for row in page.items])
            for row in page.items:
                if row.uid in heads and heads[row.uid].locked:
                    found.setdefault((row.patient_id, row.birth_date), set()).add(row.uid)
            cursor = page.next
            if cursor is None:
                return found

    def scope(self, study: str) -> Scope:
        """Return whether the caller sees everything that is stored of a study or only what was acquired."""
        if self.rules.show_foreign_objects:
            return "all"
        own = self.own_head(study)
        late = own is not None and own.more_images
        return "all" if self.unlocked(study) and not late else "acquired"

    # studies, series, instances

    @property
    def list_scope(self) -> Scope:
        """What lists of studies choose and order by: the same for every state of a lock."""
        return "all" if self.rules.show_foreign_objects else "acquired"

    def study(self, study: str) -> StudyRow:
        """Return a study, counted over what the caller may see.

        Raises:
            HiddenError: It is unknown, or nothing of it may be seen.
        """
        row = self.library.instances.study(study, scope=self.scope(study))
        if row is None:
            raise HiddenError
        return row

    def series(self, study: str) -> tuple[SeriesRow, ...]:
        """Return the visible series of a study."""
        self.study(study)
        return self.library.instances.series(study, scope=self.scope(study))

    def one_series(self, study: str, series: str) -> SeriesRow:
        """Return a visible series.

        Raises:
            HiddenError: It is unknown, of another study, or hidden.
        """
        for row in self.series(study):
            if row.uid == series:
                return row
        raise HiddenError

    def instances(self, study: str, series: str) -> tuple[StoredInstance, ...]:
        """Return the visible instances of a series, by number."""
        self.one_series(study, series)
        return self.library.instances.instances(series, scope=self.scope(study))

    def instance(self, study: str, series: str, instance: str) -> StoredInstance:
        """Return a visible instance.

        Raises:
            HiddenError: It is unknown, under another parent, or hidden.
        """
        found = self.library.instances.find(instance)
        if found is None or (found.header.study, found.header.series) != (study, series):
            raise HiddenError
        if not found.header.acquired and self.scope(study) == "acquired":
            raise HiddenError
        return found

    def priors(self, study: str) -> tuple[StudyRow, ...]:
        """Return the patient's earlier studies, the latest first, each as the caller may see it."""
        self.study(study)
        return tuple(
            self.study(row.uid) for row in self.library.instances.priors(study, scope=self.list_scope)
        )

    # results

    def results(self, study: str, *, until: datetime | None = None) -> tuple[ShownResult, ...]:
        """Return the runs on a study that the caller may see, in the order in which they were saved.

        Args:
            study: Study instance UID.
            until: Leave out what was saved after this moment, such as the reveal.
        """
        self.study(study)
        unlocked = self.unlocked(study)
        late = self._late_since(study) if unlocked else None
        latest: dict[str, StoredResult] = {}
        for stored in self.library.results.history(study):
            row = stored.row
            if until is not None and row.saved_at > until:
                continue
            shown = unlocked and (late is None or row.saved_at < late)
            if shown or self.always_shown(row.analyzer):
                latest[row.analyzer] = stored
        ordered = sorted(latest.values(), key=lambda s: (s.row.saved_at, s.row.analyzer))
        return tuple(ShownResult(s.row, self.cards.get(s.row.analyzer), s.load()) for s in ordered)

    def always_shown(self, analyzer: str) -> bool:
        """Return whether results of an analyzer show before the first read.

        A card may say so for what is no interpretation; the site may choose so for concurrent analyzers.
        What uses a hidden result is hidden too.
        """
        card = self.cards.get(analyzer)
        if card is None:
            return False
        if card.mode == "concurrent" and analyzer in self.rules.concurrent:
            return True
        uses = [need for need in card.needs if need.role in ("results", "masks")]
        built_on = [name for need in uses for name in need.analyzers]
        if card.shown != "always" or any(not need.analyzers for need in uses) or analyzer in built_on:
            return False
        return all(self.always_shown(name) for name in built_on)

    def quality(self, study: str) -> tuple[ShownResult, ...]:
        """Return the runs that show before any read because they are no interpretation."""
        self.study(study)
        return tuple(
            ShownResult(stored.row, self.cards[stored.row.analyzer], stored.load())
            for stored in self.library.results.of(study)
            if self.always_shown(stored.row.analyzer) and self.cards[stored.row.analyzer].shown == "always"
        )

    def raised_by(self, study: str) -> tuple[str, ...]:
        """Return the triage analyzers, of those that the site has enabled, that call for attention."""
        names = []
        for stored in self.library.results.of(study) if self.rules.triage else ():
            card = self.cards.get(stored.row.analyzer)
            if card is None or card.mode != "triage" or stored.row.analyzer not in self.rules.triage:
                continue
            result = stored.load()
            if result is not None and any(f.status == "present" for f in result.findings):
                names.append(card.name)
        return tuple(names)

    def _late_since(self, study: str) -> datetime | None:
        """Return when images came that the caller has not read alone yet, or None."""
        own = self.own_head(study)
        if own is None or not own.more_images:
            return None
        reading, _ = self.library.readings.get(study, own.reader)
        return late_since(reading)

    # reports

    def signed_reports(self, study: str) -> tuple[StoredReport, ...]:
        """Return the signed reports of a study that the caller may see, latest last.

        Raises:
            HiddenError: The study is not visible.
        """
        self.study(study)
        found = self._signed(study) if self.sees_signed((study,)) else ()
        if found and self.own_head(study) is None:
            self._remember_seeing(study)
        return found

    def sees_signed(self, studies: Sequence[str]) -> frozenset[str]:
        """Return those of some studies whose signed reports the caller may see.

        What is shown of one of them goes through `signed_reports`, which remembers who has seen it.
        """
        reader = self.caller.reader
        if reader is None:
            return frozenset(study for study in studies if self.unlocked(study))
        heads = self.library.readings.heads_of(reader, studies)
        locked = {study: head.locked for study, head in heads.items() if head.opened_at is not None}
        others = self.caller.role in _SEE_SIGNED
        return frozenset(s for s in studies if (not locked[s] if s in locked else others))

    def report_files(self, study: str) -> tuple[StoredReport, ...]:
        """Return the signed reports whose files the caller may see.

        The files hold regions, maps and decisions beyond what a report states: while a first read of the
        patient is open, they wait like any result.
        """
        found = self.signed_reports(study)
        return () if self.caller.reader is not None and self._reads_patient_elsewhere(study) else found

    def prior_report(self, study: str, prior: str) -> StoredReport | None:
        """Return the latest signed report of an earlier study, for the reader of a later one.

        It shows once the later study is open, and not while the earlier one waits for the caller's own first
        read.
        """
        reading, own = self.own_head(study), self.own_head(prior)
        if reading is None or (own is not None and own.locked):
            return None
        found = self._signed(prior)
        if found and own is None:
            self._remember_seeing(prior)
        return found[-1] if found else None

    def _signed(self, study: str) -> tuple[StoredReport, ...]:
        signed = {head.reader for head in self._assigned(study) if head.signed_at is not None}
        return tuple(
            stored
            for stored in self.library.reports.of(study)
            if stored.reader in signed and stored.load().signature is not None
        )

    def _remember_seeing(self, study: str) -> None:
        if self.caller.reader is not None and not self.has_seen(study):
            self.library.audit.append(self.caller.reader, SAW_REPORT, study, {"role": self.caller.role})

    def has_seen(self, study: str) -> bool:
        """Return whether the caller has seen results of a study without reading it."""
        seen = self.library.audit.page(subject=study, actor=self.caller.reader, action=SAW_REPORT, limit=1)
        return bool(seen.items)

    # intake, jobs, audit

    def intake(
        self,
        *,
        roles: Sequence[FileRole] = (),
        study: str | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[IntakeRow]:
        """Return one page of the files that were handed in, newest first.

        The list over all studies holds acquired images and what claims no study; of one study that is
        unlocked, it holds everything.
        """
        scope = self.list_scope
        if study is not None:
            self.study(study)
            scope = self.scope(study)
        return self.library.intake.page(cursor=cursor, limit=limit, roles=roles, study=study, scope=scope)

    def processing(self, study: str) -> tuple[Processing, float | None]:
        """Return how far the work on a study is, as it may be said at any time, and the part that is done."""
        job = self.library.jobs.latest("process", (study,)).get(study)
        if job is None:
            return ("ready" if self.library.results.of(study) else "received"), None
        match job.state:
            case "queued":
                return "received", None
            case "running":
                return "processing", job.progress
            case "done":
                return "ready", None
        return "failed", None

    def job(self, identifier: str) -> Job:
        """Return a job: the caller's own, or the processing of a visible study without its words.

        Raises:
            HiddenError: It is unknown or somebody else's.
        """
        job = self.library.jobs.get(identifier)
        if job is None:
            raise HiddenError
        if job.kind == "process" and job.subject is not None:
            self.study(job.subject)
            return replace(job, words="", error="")
        if job.payload.get("actor") != self.caller.reader or self.caller.reader is None:
            raise HiddenError
        return job

    def audit(self, *, cursor: str | None, limit: int, check: bool) -> tuple[Page[AuditEntry], bool | None]:
        """Return one page of the audit log, and whether the whole is intact where a check was asked for.

        Raises:
            HiddenError: The caller's role does not watch over the log, or the caller has an open first read:
                the log tells what others did with the study.
        """
        if self.caller.role not in _WATCH or self._open_patients:
            raise HiddenError
        page = self.library.audit.page(cursor=cursor, limit=limit)
        items = tuple(
            replace(entry, detail={k: v for k, v in entry.detail.items() if k in _AUDIT_WORDS})
            for entry in page.items
        )
        return replace(page, items=items), self.library.audit.verify().intact if check else None


def late_since(reading: Reading) -> datetime | None:
    """Return when the first images came that were not read alone, or None."""
    since = None
    for event in reading.events:
        if isinstance(event, Committed):
            since = None
        elif isinstance(event, ImagesArrived) and reading.first_read and since is None:
            since = event.at
    return since if reading.more_images else None


def revealed_at(reading: Reading) -> datetime | None:
    """Return when the models' findings were shown last, or None."""
    return next((event.at for event in reversed(reading.events) if isinstance(event, Revealed)), None)
