"""Readings and comparisons as the API says them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from fastapi import Response

from coread.core import ImagePlane
from coread.core.reading import Committed, Opened
from coread.server import overlays, pixels, values
from coread.server import schemas as s
from coread.workflow.comparison import Comparison
from coread.workflow.second_reading import ReadingAt, SecondReading
from coread.workflow.visibility import HiddenError, ShownResult

if TYPE_CHECKING:
    from coread.server.site import Site

_COLOURS = ("#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#0072b2", "#d55e00", "#f0e442")


def planes(site: Site, person: SecondReading, study: str) -> Callable[[str], ImagePlane]:
    """Return what gives the plane of an instance of a study, where the caller may see it."""

    def plane(instance: str) -> ImagePlane:
        found = person.library.instances.find(instance)
        if found is None:
            raise HiddenError
        header = person.view.instance(study, found.header.series, instance).header
        for part in pixels.parts(site, person.view, study, header.series):
            grid = part.layout.grid
            if any(source.instance == instance for source in part.layout.frames):
                if isinstance(grid, ImagePlane):
                    return grid
                return ImagePlane(grid.shape[1:], grid.spacing_mm[1:], "patient")
        raise HiddenError

    return plane


def reading(at: ReadingAt, response: Response) -> s.ReadingJson:
    """Return a reading, and say its version as ETag."""
    read, version = at
    response.headers["ETag"] = f'"{version}"'
    opened = next((e.at for e in read.events if isinstance(e, Opened)), None)
    committed = next((e.at for e in read.events if isinstance(e, Committed)), None)
    return s.ReadingJson(
        study=read.study,
        state=read.state.value,
        version=version,
        draft=[values.finding(f, {}) for f in read.draft],
        first_read=[values.finding(f, {}) for f in read.committed_findings],
        decisions={
            identifier: s.DecisionJson(
                choice=decision.choice,
                reason=decision.reason,
                comment=decision.comment,
                modified=None if decision.modified is None else values.finding(decision.modified, {}),
                at=decision.at,
            )
            for identifier, decision in read.decisions.items()
        },
        undecided=list(read.undecided),
        addenda=[s.AddendumJson(at=at, text=text) for at, text in read.addenda],
        more_images=read.more_images,
        opened_at=opened,
        committed_at=committed,
        signed_at=read.signed_at,
    )


def comparison(site: Site, person: SecondReading, study: str, found: Comparison) -> s.ComparisonJson:
    """Return reader against models, with maps, regions and what was left unsaid."""
    cards = person.cards
    difference = found.difference
    findings = {f.id: values.finding(f, cards) for f in (*found.own, *found.models)}
    maps: list[s.MapJson] = []
    segments: list[s.SegmentJson] = []
    for shown in found.results:
        maps.extend(_maps(site, person, study, shown))
        segments.extend(_segments(site, person, study, shown, len(segments)))
    return s.ComparisonJson(
        contradicted=[s.PairJson(reader=r, model=m) for r, m in difference.contradicted],
        model_only=list(difference.model_only),
        reader_only=list(difference.reader_only),
        agreed=[s.PairJson(reader=r, model=m) for r, m in difference.agreed],
        match_version=difference.version,
        findings=findings,
        measurements=[
            values.measurement(measured, identifier, shown.name)
            for identifier, (measured, shown) in found.measurements().items()
        ],
        maps=maps,
        segments=segments,
        silence=[said for shown in found.results if (said := _silence(shown)) is not None],
        notes=[
            s.ModelNoteJson(model=shown.name, kind=note.kind, code=note.code, text=note.text)
            for shown in found.results
            if shown.result is not None
            for note in shown.result.notes
        ],
        models=[
            s.ModelJson(
                name=shown.name,
                version=shown.row.provenance.version,
                evidence_level=None if shown.card is None else shown.card.evidence_level,
                card=f"/api/v1/models/{quote(shown.row.analyzer)}",
            )
            for shown in found.results
        ],
        stale=found.stale,
    )


def _maps(site: Site, person: SecondReading, study: str, shown: ShownResult) -> list[s.MapJson]:
    found = []
    for identifier, one in overlays.maps(shown).items():
        part = overlays.home(site, person, study, one.source_instances, one.frame_of_reference, one.grid)
        if part is not None:
            found.append(
                s.MapJson(
                    id=identifier,
                    meaning=values.concept(one.meaning),
                    says=one.says,
                    unit=one.unit,
                    low=one.low,
                    high=one.high,
                    part_key=part.layout.key,
                    model=shown.name,
                    data=f"/api/v1/studies/{study}/maps/{identifier}/data",
                )
            )
    return found


def _segments(
    site: Site, person: SecondReading, study: str, shown: ShownResult, before: int
) -> list[s.SegmentJson]:
    found: list[s.SegmentJson] = []
    for region in overlays.regions(shown):
        grid = region.mask.grid
        part = overlays.home(site, person, study, region.instances, region.frame_of_reference, grid)
        if part is not None:
            found.append(
                s.SegmentJson(
                    id=region.identifier,
                    concept=values.concept(region.concept),
                    part_key=part.layout.key,
                    colour=_COLOURS[(before + len(found)) % len(_COLOURS)],
                    model=shown.name,
                    finding=region.finding,
                    time=overlays.time_of(part, region.instances),
                    data=f"/api/v1/studies/{study}/segments/{region.identifier}/data",
                )
            )
    return found


def _silence(shown: ShownResult) -> s.SilenceJson | None:
    name, row = shown.name, shown.row
    if row.not_applicable is not None:
        return s.SilenceJson(model=name, code="not_applicable", text=row.not_applicable)
    if row.failure is not None:
        return s.SilenceJson(model=name, code="failed", text=row.failure)
    if shown.result is None:
        return None
    findings, notes = shown.result.findings, shown.result.notes
    nothing = not (findings or shown.result.measurements or shown.result.labels)
    closed = any(note.kind == "gate" for note in notes)
    if any(f.status == "no_opinion" for f in findings) or (nothing and closed):
        said = " ".join(note.text for note in notes if note.kind == "gate")
        return s.SilenceJson(
            model=name, code="no_opinion", text=said or "The model has no opinion on this study."
        )
    if nothing and not any(note.kind == "warning" for note in notes):
        return s.SilenceJson(model=name, code="no_finding", text="The model found nothing.")
    return None
