"""Reading studies from Python: open, read, look at the findings, export."""

from __future__ import annotations

import html
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from coread.core import Dictation, Finding, Map, Measurement, Note, Volume
from coread.errors import DataError, InputError
from coread.storage import Library, StudyRow
from coread.workflow.analyzers import Registered, discover
from coread.workflow.export import FORMATS, export_results
from coread.workflow.intake import IntakeSummary, ingest
from coread.workflow.process import load_study, process_study
from coread.workflow.report_export import export_text
from coread.workflow.runner import LoadedStudy, Outcome, Progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """One study that was opened from files.

    Attributes:
        row: Patient, time, description and counts.
        intake: What became of the files it was opened from.
    """

    row: StudyRow
    intake: IntakeSummary
    _library: Library = field(repr=False)
    _keep: object = field(repr=False, default=None)

    @property
    def uid(self) -> str:
        """Study instance UID."""
        return self.row.uid

    def load(self) -> LoadedStudy:
        """Return every part with its modality values."""
        return load_study(self._library, self.row, None)

    def report_text(
        self, text: str, *, source: str, language: Literal["auto", "en", "tr"] = "auto"
    ) -> Mapping[str, bytes]:
        """Return report text from elsewhere as files by name: SR, FHIR, HTML, PDF, plain text.

        Args:
            text: The report.
            source: Where it comes from; every sentence says so.
            language: Of the text.
        """
        return export_text(self._library, self.uid, Dictation(text, language), source=source)

    def volumes(self) -> dict[str, Volume]:
        """Return the volumes by key."""
        return {key: part for key, part in self.load().parts.items() if isinstance(part, Volume)}


def open_studies(*paths: Path | str, progress: Progress | None = None) -> tuple[Study, ...]:
    """Return every study in files, folders and zip archives.

    The bytes are kept in a temporary folder for as long as one of the studies is in use.

    Raises:
        InputError: A path does not exist.
        DataError: Nothing there is a DICOM image or object.
    """
    folder = tempfile.TemporaryDirectory(prefix="coread-")
    library = Library.open(Path(folder.name), durable=False)
    keep = _Keep()
    weakref.finalize(keep, _discard, library, folder)
    intake = ingest(library, [Path(p) for p in paths], progress=progress)
    if not intake.studies:
        first = next((e.reason for e in intake.entries if e.reason), "there are no files")
        raise DataError(
            f"no study in {', '.join(map(str, paths))}: {first}", "expected DICOM files, a folder or a zip"
        )
    rows = [library.instances.study(uid) for uid in intake.studies]
    return tuple(Study(row, intake, library, keep) for row in rows if row is not None)


def open_study(*paths: Path | str, progress: Progress | None = None) -> Study:
    """Return the study in files, folders or a zip archive.

    Raises:
        InputError: A path does not exist, or there are several studies; `open_studies` gives them all.
        DataError: Nothing there is a DICOM image or object.
    """
    studies = open_studies(*paths, progress=progress)
    if len(studies) > 1:
        raise InputError(
            f"{len(studies)} studies in {', '.join(map(str, paths))}",
            "expected one",
            "name one folder, or use coread.workflow.read.open_studies",
        )
    return studies[0]


class _Keep:
    """Lives as long as a study of the temporary library is in use."""


def _discard(library: Library, folder: tempfile.TemporaryDirectory[str]) -> None:
    library.close()
    folder.cleanup()


@dataclass(frozen=True, slots=True, eq=False)
class StudyResults:
    """What every analyzer said of a study.

    Attributes:
        study: UID.
        outcomes: One an analyzer, those that were not applicable or failed included.
    """

    study: str
    outcomes: tuple[Outcome, ...]
    _library: Library = field(repr=False)
    _keep: object = field(repr=False, default=None)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings."""
        return tuple(f for o in self.outcomes if o.result for f in o.result.findings)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """All measurements, those of findings included."""
        return tuple(m for _, m in self._measured())

    @property
    def maps(self) -> tuple[Map, ...]:
        """All maps."""
        return tuple(m for o in self.outcomes if o.result for m in o.result.maps)

    @property
    def notes(self) -> tuple[Note, ...]:
        """All notes."""
        return tuple(n for o in self.outcomes if o.result for n in o.result.notes)

    def _measured(self) -> Iterator[tuple[Outcome, Measurement]]:
        for outcome in self.outcomes:
            if outcome.result is not None:
                of_findings = [m for f in outcome.result.findings for m in f.measurements]
                yield from ((outcome, m) for m in (*outcome.result.measurements, *of_findings))

    def measurements_frame(self) -> pd.DataFrame:
        """Return a table with one row a measurement: analyzer, name, code, value, unit, interval, flags."""
        import pandas as pd

        columns = ["study", "analyzer", "version", "measurement", "code", "scheme", "value", "unit"]
        columns += ["low", "high", "site", "laterality", "flags"]
        rows = [
            (
                self.study,
                outcome.name,
                outcome.card.version,
                m.concept.meaning,
                m.concept.value,
                m.concept.scheme,
                m.quantity.value,
                m.quantity.unit,
                m.interval.low if m.interval else None,
                m.interval.high if m.interval else None,
                m.site.meaning if m.site else "",
                m.laterality.meaning if m.laterality else "",
                "; ".join(m.flags),
            )
            for outcome, m in self._measured()
        ]
        return pd.DataFrame(rows, columns=columns)

    def export(self, out: Path | str, formats: Sequence[str] = FORMATS) -> tuple[Path, ...]:
        """Write the results to a folder; they are marked as not read by a person.

        Args:
            out: Made where it is not there.
            formats: Any of ``sr``, ``seg``, ``map``, ``fhir``, ``html``, ``pdf``; on demand
                ``rtstruct`` (RT Structure Set), ``stl`` and ``glb`` (surfaces).

        Returns:
            The files written.
        """
        folder = Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        files = export_results(self._library, self.study, self.outcomes, formats=tuple(formats))
        for name, content in files.items():
            (folder / name).write_bytes(content)
        return tuple(folder / name for name in files)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(f.concept.meaning)}</td><td>{f.status}</td>"
            f"<td>{'' if f.probability is None else f'{f.probability.value:.2f}'}</td>"
            f"<td>{html.escape(getattr(f.origin, 'name', ''))}</td></tr>"
            for f in self.findings
        )
        head = "<tr><th>finding</th><th>status</th><th>probability</th><th>model</th></tr>"
        return f"<table>{head}{rows}</table><p>Not read by a person; research use.</p>"


def read(
    study: Study,
    *,
    analyzers: Sequence[Registered] | None = None,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> StudyResults:
    """Return what every analyzer that applies says of a study.

    Args:
        study: As `open_study` gives it.
        analyzers: Which to run; all that are installed unless given.
        progress: Called with the fraction done and words.
        cancelled: Asked between analyzers.
    """
    outcomes = process_study(
        study._library,
        study.uid,
        discover() if analyzers is None else analyzers,
        progress=progress or (lambda fraction, words: None),
        cancelled=cancelled,
    )
    return StudyResults(study.uid, outcomes, study._library, study._keep)
