"""The second reading over a library: read alone, commit, reveal, decide, sign.

What may be seen is decided by `coread.workflow.visibility`, which steps are allowed by `coread.core.reading`;
here both meet the library.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal, NamedTuple

from coread.core import (
    Addendum,
    Card,
    Dictation,
    Finding,
    Measurement,
    Reader,
    Report,
    Section,
    Signature,
)
from coread.core.reading import (
    AddendumAdded,
    CheckDismissed,
    Committed,
    Decided,
    Decision,
    DraftSaved,
    Event,
    ImagesArrived,
    Opened,
    Reading,
    Revealed,
    Signed,
    State,
    advance,
)
from coread.errors import NotReadyError, ReadingError
from coread.storage import ConflictError, Library, StoredReport, StoredText
from coread.workflow import follow_up, report_draft, report_sentences
from coread.workflow.comparison import Comparison, compare
from coread.workflow.export import SignedBundle, export_signed, new_uids, study_context
from coread.workflow.export_objects import ResultOf
from coread.workflow.process import age_at
from coread.workflow.report_checks import CheckedReport, check_report
from coread.workflow.visibility import (
    READERS,
    Caller,
    HiddenError,
    ShownResult,
    SiteRules,
    View,
    revealed_at,
)

Language = Literal["en", "tr"]
_COMPARABLE = (State.AI_SHOWN, State.RECONCILED, State.SIGNED, State.ADDENDUM)


class ReadingAt(NamedTuple):
    """A reading and the version that a change of it has to name."""

    reading: Reading
    version: int


class SecondReading:
    """What one caller can do; each method raises `HiddenError` for what the caller may not see.

    Args:
        library: Where everything is kept.
        caller: Who acts.
        clock: Gives the present time in UTC.
        rules: What the site has chosen.
        cards: Cards of the installed analyzers by name.
    """

    def __init__(
        self,
        library: Library,
        caller: Caller,
        *,
        clock: Callable[[], datetime],
        rules: SiteRules | None = None,
        cards: Mapping[str, Card] | None = None,
    ) -> None:
        self.library = library
        self.caller = caller
        self.clock = clock
        self.rules = rules or SiteRules()
        self.cards = dict(cards or {})
        self.view = View(library, caller, self.rules, self.cards)

    @property
    def person(self) -> Reader:
        """The caller as an origin of findings and signatures.

        Raises:
            HiddenError: The caller does not read studies.
        """
        if self.caller.reader is None or self.caller.role not in READERS:
            raise HiddenError
        return Reader(self.caller.reader)

    # read alone

    def reading(self, study: str) -> ReadingAt:
        """Return the caller's own reading of a study; unread and version 0 where there is none."""
        person = self.person
        self.view.study(study)
        return ReadingAt(*self.library.readings.get(study, person.id))

    def open(self, study: str) -> ReadingAt:
        """Open a study to read it: from now on the caller is assigned to it.

        Raises:
            ReadingError: The caller has seen its results in another role and can't make a first read.
        """
        reading, version = self.reading(study)
        if any(isinstance(event, Opened) for event in reading.events):
            return ReadingAt(reading, version)
        if self.view.has_seen(study):
            raise ReadingError(
                "you have seen what was found on this study without reading it",
                "a first read by somebody who has not",
                "leave it to another reader",
            )
        return self._append(study, Opened(self.clock()), version)

    def save_draft(self, study: str, findings: Sequence[Finding], *, expected: int) -> ReadingAt:
        """Keep the draft of the read in progress; it survives a crash from here on."""
        return self._append(study, DraftSaved(self.clock(), self._own(findings)), expected)

    def commit(self, study: str, findings: Sequence[Finding], *, expected: int) -> ReadingAt:
        """Commit the first read, or the read of images that came later: it can't be changed any more."""
        text = self.text(study).dictation.text
        return self._append(study, Committed(self.clock(), self._own(findings), text), expected)

    # see and decide

    def reveal(self, study: str) -> Comparison:
        """Show what the models found; doing it again with the same results changes nothing.

        Raises:
            HiddenError: The first read is not committed.
            NotReadyError: The models are still at work.
        """
        reading, version = self.reading(study)
        if not self.view.unlocked(study):
            raise HiddenError
        state, _ = self.view.processing(study)
        if state in ("received", "processing"):
            raise NotReadyError(
                "the models are still at work on this study",
                "a study that is ready",
                "try again when it is ready",
            )
        at = self.clock()
        results = self.view.results(study, until=at)  # what comes later waits for the next reveal
        comparison = self._compare(reading, results)
        event = Revealed(at, comparison.to_decide, comparison.difference.version)
        last = next((e for e in reversed(reading.events) if isinstance(e, Revealed)), None)
        unchanged = (
            last is not None
            and reading.state is not State.READ_ALONE
            and (last.findings, last.match_version) == (event.findings, event.match_version)
            and all(shown.row.saved_at <= last.at for shown in results)
        )
        if reading.more_images or not unchanged:
            self._append(study, event, version)
        return comparison

    def comparison(self, study: str) -> Comparison:
        """Return reader against models as it was revealed last.

        Raises:
            ReadingError: The first read is committed, but nothing is revealed yet.
        """
        reading, _ = self.reading(study)
        if not self.view.unlocked(study):
            raise HiddenError
        if reading.state not in _COMPARABLE:
            raise ReadingError("nothing is revealed yet", "a reveal after the first read", "reveal first")
        shown = self.view.results(study, until=revealed_at(reading))
        newest = self.view.results(study)
        stale = {s.row.id for s in shown} != {s.row.id for s in newest}
        return replace(self._compare(reading, shown), stale=stale)

    def decide(self, study: str, decision: Decision, *, expected: int) -> ReadingAt:
        """Keep what the reader made of one finding of a model."""
        if not self.view.unlocked(study):
            raise HiddenError
        modified = decision.modified
        if modified is not None:
            decision = replace(decision, modified=replace(modified, id=decision.finding, origin=self.person))
        return self._append(study, Decided(self.clock(), decision), expected)

    # report

    def report(self, study: str, language: Language) -> Report:
        """Return the latest signed report that the caller may see, or the draft of their own."""
        signed = self.view.signed_reports(study)
        own = [stored for stored in signed if stored.reader == self.caller.reader]
        if own or (signed and self.view.own_head(study) is None):
            return (own or list(signed))[-1].load()
        return self._draft(self.reading(study).reading, language)

    def save_report(
        self, study: str, sections: Sequence[Section], measurements: Sequence[str], language: Language
    ) -> Report:
        """Keep the reader's own words for the report, and the numbers of models that it shall state.

        Raises:
            ReadingError: The report is signed, or a number was asked for that is not shown.
        """
        reading, _ = self.reading(study)
        if reading.signed_at is not None:
            raise ReadingError("the report is signed", "words before signing", "add an addendum")
        stated: list[Measurement] = []
        if measurements:
            shown = self.comparison(study).measurements()
            unknown = [identifier for identifier in measurements if identifier not in shown]
            if unknown:
                raise ReadingError(f"{len(unknown)} numbers are not shown here", "numbers of the comparison")
            stated = [shown[identifier][0] for identifier in measurements]
        draft = Report(study, language, tuple(sections), measurements=tuple(stated))
        with self.library.transaction():
            self.library.reports.save(study, self.person.id, draft, {})
            self.library.audit.append(self.person.id, "report.drafted", study)
        return self._draft(reading, language)

    def text(self, study: str) -> StoredText:
        """Return the caller's own text for the report; empty and version 0 where there is none."""
        person = self.person
        self.view.study(study)
        return self.library.reports.text(study, person.id)

    def save_text(self, study: str, dictation: Dictation, *, expected: int) -> StoredText:
        """Keep the caller's own text for the report; its sentences are part of the draft from here on.

        Raises:
            ReadingError: The report is signed, or nobody has opened the study to read it.
            ConflictError: Another window has saved it meanwhile.
            InputError: It names a template that there is not.
        """
        reading, _ = self.reading(study)
        if reading.state is State.UNREAD:
            raise ReadingError("the study is not open", "text of a reader who has opened it", "open it first")
        if reading.signed_at is not None:
            raise ReadingError("the report is signed", "words before signing", "add an addendum")
        known = replace(
            dictation,
            text=unicodedata.normalize("NFC", dictation.text),
            templates=report_sentences.known_templates(dictation.templates),
        )
        return self.library.reports.save_text(study, self.person.id, known, expected=expected)

    def checks(self, study: str, language: Language = "en") -> CheckedReport:
        """Return what does not fit in the caller's draft, or in their signed report, and their answers."""
        reading = self.reading(study).reading
        report = self.report(study, language) if reading.signed_at else self._draft(reading, language)
        return self._checked(reading, report)

    def dismiss(
        self, study: str, key: str, reason: str, comment: str, *, language: Language, expected: int
    ) -> ReadingAt:
        """Let the words stand that a check asks about, with a reason that is kept.

        Raises:
            ReadingError: There is no such check by now, or the reason is not one.
        """
        reading = self._at(study, expected)
        checks = self._checked(reading, self._draft(reading, language)).checks
        found = next((check for check in checks if check.key == key), None)
        if found is None:
            raise ReadingError("the report has no such check by now", "one that is shown", "look again")
        event = CheckDismissed(self.clock(), found.code, key, reason, comment.strip())
        return self._append(study, event, expected)

    def sign(self, study: str, *, expected: int, language: Language | None = None) -> ReadingAt:
        """Sign: the report and its files are made and final, together with the last step of the reading.

        Args:
            study: Study instance UID.
            expected: The version of the reading that the caller has seen.
            language: In which the report was shown; that of its draft unless given. The reader's own text
                and kept words stay in theirs.

        Raises:
            ReadingError: Findings wait for a decision, images for a read, newer results for a reveal, or a
                check for a correction or an answer.
        """
        reading = self._at(study, expected)
        at = self.clock()
        after = advance(reading, Signed(at))
        if self.comparison(study).stale:
            raise ReadingError("newer results came", "a reveal of all results", "reveal again and decide")
        draft = self._draft(reading, language or self._draft_language(study))
        waiting = self._checked(reading, draft).open
        if waiting:
            raise ReadingError(
                f"{len(waiting)} to look at again: {'; '.join(c.said(draft.language) for c in waiting)}",
                "words without them, or an answer to each",
                "correct the words, or dismiss the check with a reason",
            )
        report = replace(report_draft.accepted_at(draft, at), signature=Signature(self.person, at))
        files = self._files(after, report, self.comparison(study))
        with self.library.transaction():
            done = self._append(study, Signed(at), expected)
            self.library.reports.save(study, self.person.id, report, files)
            follow_up.keep(self.library, report)
        return done

    def addendum(self, study: str, text: str, *, expected: int) -> ReadingAt:
        """Add words after signing; the report and its files are made again with them."""
        event = AddendumAdded(self.clock(), text)
        after = advance(self._at(study, expected), event)
        signed = [s for s in self.view.signed_reports(study) if s.reader == self.person.id]
        before = signed[-1].load()
        addendum = Addendum(text, Signature(self.person, event.at))
        report = replace(before, addenda=(*before.addenda, addendum))
        files = self._files(after, report, self.comparison(study))
        with self.library.transaction():
            done = self._append(study, event, expected)
            self.library.reports.save(study, self.person.id, report, files)
            follow_up.keep(self.library, report)
        return done

    def exports(self, study: str) -> Mapping[str, int]:
        """Return names and sizes of the files of the signed read; empty before it."""
        signed = self._shown_report(study)
        return {} if signed is None else {file.name: file.size for file in signed.files}

    def export(self, study: str, name: str) -> bytes:
        """Return one file of the signed read.

        Raises:
            HiddenError: There is none of that name to see.
        """
        signed = self._shown_report(study)
        content = None if signed is None else self.library.reports.file(signed.id, name)
        if content is None:
            raise HiddenError
        self.library.audit.append(self.caller.reader or "client", "report.exported", study, {"file": name})
        return content

    def cancel_job(self, identifier: str) -> None:
        """Cancel one of the caller's own jobs."""
        job = self.view.job(identifier)
        if job.kind == "process":
            raise HiddenError
        self.library.jobs.cancel(job.id)

    # inside

    def _own(self, findings: Sequence[Finding]) -> tuple[Finding, ...]:
        return tuple(replace(finding, origin=self.person, probability=None) for finding in findings)

    def _append(self, study: str, event: Event, expected: int) -> ReadingAt:
        person = self.person
        self.view.study(study)
        version = self.library.readings.append(study, person.id, event, expected=expected)
        self.view = self.view.renewed()
        return ReadingAt(self.library.readings.get(study, person.id)[0], version)

    def _at(self, study: str, expected: int) -> Reading:
        reading, version = self.reading(study)
        if version != expected:
            raise ConflictError(
                f"the reading has version {version} by now",
                f"version {expected}",
                "load it again and repeat the step",
            )
        return reading

    def _compare(self, reading: Reading, results: Sequence[ShownResult]) -> Comparison:
        return compare(reading.committed_findings, results, self.rules.match)

    def _draft(self, reading: Reading, language: Language) -> Report:
        study = self.view.study(reading.study)
        priors = self.view.priors(reading.study)
        kept, own = self._kept_words(reading.study), self.text(reading.study)
        told = None
        if own.dictation.text.strip() and own.saved_at is not None:
            told = report_sentences.said(own.dictation, self.person, own.saved_at)
            language = told.language  # a report is in one language: that of the reader's own words
        comparison = None
        if reading.state in _COMPARABLE and self.view.unlocked(reading.study):
            comparison = self.comparison(reading.study)
        written = report_draft.generate(
            reading,
            self.person,
            study,
            priors,
            models=comparison.models if comparison else (),
            agreed=comparison.difference.agreed if comparison else (),
            contradicted=comparison.difference.contradicted if comparison else (),
            language=language,
        )
        draft = written if kept is None else report_draft.merge(written, kept, self.person)
        return draft if told is None else report_draft.with_text(draft, told, own.dictation)

    def _checked(self, reading: Reading, report: Report) -> CheckedReport:
        row = self.view.study(reading.study)
        signed = [self.view.prior_report(row.uid, prior.uid) for prior in self.view.priors(row.uid)]
        text, checks = check_report(
            report,
            modalities=row.modalities,
            age=age_at(row.birth_date, row.time.date() if row.time else None),
            sex=row.sex if row.sex in ("F", "M") else None,
            priors=[stored.load() for stored in signed if stored is not None],
        )
        return CheckedReport(text, checks, reading.dismissed)

    def _files(self, reading: Reading, report: Report, comparison: Comparison) -> Mapping[str, bytes]:
        shown = comparison.results
        bundle = SignedBundle(
            study=study_context(self.library, reading.study),
            report=report,
            results=tuple(
                ResultOf(provenance=run.row.provenance, result=run.result, card=run.card)
                for run in shown
                if run.result is not None
            ),
            decisions=tuple(reading.decisions.values()),
            new_uid=new_uids(self.library),
            at=self.clock(),
            silence=tuple(
                (run.name, run.row.not_applicable or run.row.failure or "")
                for run in shown
                if run.result is None
            ),
        )
        return export_signed(bundle)

    def _kept_words(self, study: str) -> Report | None:
        for stored in reversed(self.library.reports.of(study)):
            if stored.reader == self.person.id:
                report = stored.load()
                return report if report.signature is None else None
        return None

    def _draft_language(self, study: str) -> Language:
        kept = self._kept_words(study)
        return "en" if kept is None else kept.language

    def _shown_report(self, study: str) -> StoredReport | None:
        signed = self.view.report_files(study)
        own = [stored for stored in signed if stored.reader == self.caller.reader]
        found = own or list(signed)
        return found[-1] if found else None


def images_arrived(library: Library, study: str, instances: Sequence[str], at: datetime) -> int:
    """Mark every committed reading of a study: more images came, to be read alone before anything new.

    Args:
        library: Where the readings are.
        study: Study instance UID.
        instances: SOP instance UIDs of the new acquired images.
        at: When they came.

    Returns:
        How many readings were marked.
    """
    marked = 0
    for head in library.readings.heads(study) if instances else ():
        if head.committed_at is not None:
            event = ImagesArrived(at, tuple(instances))
            library.readings.append(study, head.reader, event, expected=head.version, actor="system")
            marked += 1
    return marked
