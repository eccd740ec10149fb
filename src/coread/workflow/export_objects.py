"""The DICOM objects of an export: which regions and maps go where, on which images they lie."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from importlib.metadata import version

from pydicom.dataset import Dataset

from coread.core import (
    Card,
    Cine,
    Finding,
    Geometry,
    Grid,
    Image,
    InstanceHeader,
    LabelMap,
    Map,
    Mask,
    MaskRegion,
    Model,
    OnInstance,
    Origin,
    Provenance,
    Reader,
    Result,
    Segment,
    TimeSeries,
    Volume,
)
from coread.errors import CoreadError, InputError
from coread.interop.authorship import Author, Equipment, NewUid
from coread.interop.dicom import read_instance
from coread.interop.dicom.parametric_map import write_map
from coread.interop.dicom.seg import TrackedRegion, write_label_map, write_regions
from coread.interop.dicom.sr import write_report
from coread.interop.dicom.sr_narrative import write_narrative
from coread.interop.dicom.structure_set import write_structures
from coread.interop.dicom.writing import Source, to_bytes
from coread.interop.report_content import ObjectReference, ReportContent, SegmentReference
from coread.interop.surfaces import Surface, glb_bytes, mask_surface, stl_bytes

logger = logging.getLogger(__name__)
Part = Volume | Image | TimeSeries | Cine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StudyContext:
    """A study as the exports need it.

    Attributes:
        headers: Every acquired image.
        parts: What was read from them, for key images and for what lies where.
        read: Gives the bytes of an instance by its UID.
    """

    headers: tuple[InstanceHeader, ...]
    parts: tuple[Part, ...]
    read: Callable[[str], bytes]

    def __post_init__(self) -> None:
        if not self.headers:
            raise InputError("a study without images has nothing to export", "one image or more")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResultOf:
    """What one analyzer found, with its provenance and its card, where that is installed."""

    provenance: Provenance
    result: Result
    card: Card | None = None

    @property
    def origin(self) -> Model:
        """The analyzer as an origin."""
        stamp = self.provenance
        return Model(stamp.analyzer, stamp.version, stamp.weights_digest, stamp.mode)


class Objects:
    """Collects the DICOM objects of one export.

    An object that can't be made, for what the source's header says, is left out and named in `problems`.

    Attributes:
        study: The study.
        at: When it is exported.
        equipment: What writes.
        files: Objects as files by name.
        listed: Name, kind and UID of each file.
        problems: Name, kind and words of what could not be made.
        references: The objects, for the report.
        segments: Segment of each finding with a mask, for the report.
    """

    def __init__(self, study: StudyContext, at: datetime, new_uid: NewUid) -> None:
        self.study, self.at, self.new_uid = study, at, new_uid
        self.equipment = Equipment(version=version("coread"))
        self.files: dict[str, bytes] = {}
        self.listed: list[dict[str, str]] = []
        self.problems: list[dict[str, str]] = []
        self.references: list[ObjectReference] = []
        self.segments: dict[str, SegmentReference] = {}

    def author(self, origin: Origin | None) -> Author:
        """Return who makes an object; CoRead itself where no one is named."""
        origin = origin or Model(self.equipment.model, self.equipment.version, None, "second-reader")
        return Author(origin=origin, at=self.at, equipment=self.equipment, new_uid=self.new_uid)

    def segmentations(self, findings: Sequence[Finding], results: Sequence[ResultOf]) -> None:
        """Make a SEG of the masks of findings, of masks and of each label map, one an origin and grid."""
        for number, group in enumerate(_groups(findings), 1):
            self._findings(group, f"seg-{_word(group[0].origin)}-findings-{number}.dcm")
        for result in results:
            stem = f"seg-{_word(result.origin)}"
            for number, segments in enumerate(_same_grid(result.result.masks), 1):
                self._add("seg", f"{stem}-masks-{number}.dcm", partial(self._masks, segments, result.origin))
            for number, label_map in enumerate(result.result.labels, 1):
                name = f"{stem}-labels-{number}.dcm"
                self._add("seg", name, partial(self._labels, label_map, result.origin))

    def maps(self, results: Sequence[ResultOf]) -> None:
        """Make a Parametric Map, or on a projection a FRACTIONAL SEG, of each map."""
        for result in results:
            for number, values in enumerate(result.result.maps, 1):
                name = f"map-{_word(result.origin)}-{number}.dcm"
                self._add("map", name, partial(self._map, values, result.origin))

    def structures(self, findings: Sequence[Finding], results: Sequence[ResultOf]) -> None:
        """Make an RT Structure Set of the regions of each origin and grid in the patient."""
        for regions in _solid(findings, results):
            self._add("rtstruct", f"rtstruct-{regions.stem}.dcm", partial(self._structures, regions))

    def surfaces(
        self, findings: Sequence[Finding], results: Sequence[ResultOf], formats: Sequence[str]
    ) -> None:
        """Make an STL file of each region, and a GLB file of the regions of each origin and grid."""
        for regions in _solid(findings, results):
            made: dict[str, Surface] = {}
            for number, region in enumerate(regions.regions, 1):
                name = f"surface-{regions.stem}-{number}-{_safe(region.concept.meaning)}"
                assert isinstance(region.mask, Mask)
                try:
                    surface = mask_surface(region.mask, smooth_mm=min(region.mask.geometry.spacing_mm))
                except CoreadError as error:
                    self._fail("surface", name, str(error))
                    continue
                made[f"{number} {region.concept.meaning}"] = surface
                if "stl" in formats:
                    self._keep("stl", f"{name}.stl", stl_bytes(surface))
            if "glb" in formats and made:
                self._keep("glb", f"surface-{regions.stem}.glb", glb_bytes(made))

    def report(self, content: ReportContent, author: Author) -> None:
        """Make the structured reports: of the text where there is any, and of the measurements."""
        first = content.headers[0].instance
        if any(section.sentences for section in content.sections):
            self._add(
                "sr", "report.text.sr.dcm", lambda: write_narrative(content, self._source((first,)), author)
            )
        content = replace(content, objects=tuple(self.references))
        self._add("sr", "report.sr.dcm", lambda: write_report(content, self._source((first,)), author))

    def _findings(self, group: Sequence[Finding], name: str) -> None:
        regions = [
            TrackedRegion(f.concept, f.region.mask, f.id) for f in group if isinstance(f.region, MaskRegion)
        ]
        region = group[0].region
        assert isinstance(region, MaskRegion)
        instances = (region.space.instance,) if isinstance(region.space, OnInstance) else ()
        frame = None if isinstance(region.space, OnInstance) else region.space.frame_of_reference
        sources: list[Source] = []

        def make() -> Dataset:
            sources.append(self._source_of(region.mask.grid, frame, instances))
            return write_regions(regions, sources[0], self.author(group[0].origin), description="Findings")

        dataset = self._add("seg", name, make)
        if dataset is not None:
            for number, finding in enumerate(group, 1):
                self.segments[finding.id] = _reference(dataset, number, sources[0])

    def _masks(self, segments: Sequence[Segment], origin: Model) -> Dataset:
        first = segments[0]
        source = self._source_of(first.mask.grid, first.frame_of_reference, first.source_instances)
        regions = [
            TrackedRegion(s.concept, s.mask, f"{origin.name}/{s.concept.value}/{number}")
            for number, s in enumerate(segments, 1)
        ]
        return write_regions(regions, source, self.author(origin), description="Regions")

    def _labels(self, label_map: LabelMap, origin: Model) -> Dataset:
        source = self._source_of(label_map.grid, label_map.frame_of_reference, label_map.source_instances)
        return write_label_map(label_map, source, self.author(origin), description="Labels")[0]

    def _map(self, values: Map, origin: Model) -> Dataset:
        source = self._source_of(values.grid, values.frame_of_reference, values.source_instances)
        return write_map(values, source, self.author(origin))

    def _structures(self, regions: Regions) -> Dataset:
        mask = regions.regions[0].mask
        source = self._source_of(mask.grid, regions.frame, regions.instances)
        return write_structures(regions.regions, source, self.author(regions.origin))

    def _keep(self, kind: str, name: str, content: bytes) -> None:
        self.files[name] = content
        self.listed.append({"name": name, "kind": kind})

    def _add(self, kind: str, name: str, make: Callable[[], Dataset]) -> Dataset | None:
        try:
            dataset = make()
            content = to_bytes(dataset)
        except CoreadError as error:
            self._fail(kind, name, str(error))
            return None
        except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
            # words of other libraries may quote the patient, so only the kind of error is kept
            self._fail(kind, name, f"the header of the source can't be used ({type(error).__name__})")
            return None
        self.files[name] = content
        self.listed.append({"name": name, "kind": kind, "sop_instance": str(dataset.SOPInstanceUID)})
        self.references.append(
            ObjectReference(
                str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), str(dataset.SeriesInstanceUID)
            )
        )
        return dataset

    def _fail(self, kind: str, name: str, words: str) -> None:
        logger.warning("no %s for study %s", kind, self.study.headers[0].study)
        self.problems.append({"name": name, "kind": kind, "words": words})

    def _source(self, instances: tuple[str, ...], grid: Geometry | None = None) -> Source:
        dataset = read_instance(self.study.read(instances[0]), pixels=False).dataset
        simulated = any(header.simulated for header in self.study.headers)
        return Source(dataset=dataset, instances=instances, simulated=simulated, grid=grid)

    def _source_of(self, grid: Grid, frame: str | None, instances: tuple[str, ...]) -> Source:
        """Return the images that something on a grid belongs to."""
        near: Source | None = None
        for part in self.study.parts:
            own = _instances(part, instances)
            if not own or not set(instances) <= set(own):
                continue
            if isinstance(grid, Geometry) and isinstance(part, Volume | TimeSeries):
                if part.geometry.almost_equal(grid) and (instances or part.frame_of_reference == frame):
                    return self._source(own)
                if near is None and part.frame_of_reference == frame:
                    near = self._source(own, part.geometry)
            elif isinstance(part, Image | Cine) and part.plane.shape == grid.shape and instances:
                return self._source(own)
        if near is not None:
            return near
        if not instances:
            raise InputError("a region or a map lies on no image of the study", "the images it was made from")
        return self._source(instances)


def _instances(part: Part, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the instances of a part, one a slice, or one.

    Of a series in time they are those of one volume: of the first one with an instance that is wanted.
    """
    if isinstance(part, Cine):
        return () if part.source_instance is None else (part.source_instance,)
    if isinstance(part, TimeSeries):
        slices, there = part.geometry.shape[0], part.source_instances
        if len(there) < slices:
            return there[:1]
        first = next((n for n, one in enumerate(there) if one in wanted), 0) // slices * slices
        return there[first : first + slices]
    return part.source_instances


def _groups(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Return findings with a mask by origin and grid."""
    groups: list[list[Finding]] = []
    for finding in findings:
        if not isinstance(finding.region, MaskRegion):
            continue
        for group in groups:
            other = group[0].region
            assert isinstance(other, MaskRegion)
            if (
                finding.origin == group[0].origin
                and finding.region.space == other.space
                and _same(finding.region.mask.grid, other.mask.grid)
            ):
                group.append(finding)
                break
        else:
            groups.append([finding])
    return groups


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Regions in the patient of one origin on one grid.

    Attributes:
        stem: Of the files.
        origin: Who drew them.
        regions: With masks on a grid in the patient.
        frame: Frame of reference.
        instances: Images that they were drawn on.
    """

    stem: str
    origin: Origin
    regions: tuple[TrackedRegion, ...]
    frame: str | None
    instances: tuple[str, ...]


def _solid(findings: Sequence[Finding], results: Sequence[ResultOf]) -> Iterable[Regions]:
    """Yield the regions of findings, masks and label maps that lie in the patient, none of them empty."""

    def regions(
        stem: str, origin: Origin, found: list[TrackedRegion], frame: str | None, of: tuple[str, ...]
    ) -> Iterable[Regions]:
        kept = tuple(r for r in found if isinstance(r.mask, Mask) and r.mask.voxels.any())
        if kept:
            yield Regions(f"{_word(origin)}-{stem}", origin, kept, frame, of)

    for number, group in enumerate(_groups(findings), 1):
        region = group[0].region
        assert isinstance(region, MaskRegion)
        if not isinstance(region.space, OnInstance):
            masks = [
                TrackedRegion(f.concept, f.region.mask, f.id)
                for f in group
                if isinstance(f.region, MaskRegion)
            ]
            frame = region.space.frame_of_reference
            yield from regions(f"findings-{number}", group[0].origin, masks, frame, ())
    for result in results:
        for number, segments in enumerate(_same_grid(result.result.masks), 1):
            masks = [
                TrackedRegion(s.concept, s.mask, f"{s.concept.value}/{n}") for n, s in enumerate(segments, 1)
            ]
            first = segments[0]
            yield from regions(
                f"masks-{number}", result.origin, masks, first.frame_of_reference, first.source_instances
            )
        for number, labels in enumerate(result.result.labels, 1):
            masks = [TrackedRegion(c, labels.mask(n), f"{c.value}/{n}") for n, c in labels.labels.items()]
            yield from regions(
                f"labels-{number}", result.origin, masks, labels.frame_of_reference, labels.source_instances
            )


def _same_grid(segments: Iterable[Segment]) -> list[list[Segment]]:
    """Return segments by grid."""
    groups: list[list[Segment]] = []
    for segment in segments:
        for group in groups:
            if _same(segment.mask.grid, group[0].mask.grid) and (
                segment.source_instances == group[0].source_instances
            ):
                group.append(segment)
                break
        else:
            groups.append([segment])
    return groups


def _same(a: Grid, b: Grid) -> bool:
    if isinstance(a, Geometry) and isinstance(b, Geometry):
        return a.almost_equal(b)
    return a == b


def _reference(dataset: Dataset, segment: int, source: Source) -> SegmentReference:
    frame = 1
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for number, groups in enumerate(dataset.PerFrameFunctionalGroupsSequence, 1):
        owner = groups if "SegmentIdentificationSequence" in groups else shared
        if owner.SegmentIdentificationSequence[0].ReferencedSegmentNumber == segment:
            frame = number
            break
    instances = source.instances if source.grid is None else ()
    return SegmentReference(str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), segment, frame, instances)


def _word(origin: Origin) -> str:
    """Return a name that is safe in a file name."""
    return _safe("reader" if isinstance(origin, Reader) else origin.name)


def _safe(words: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "-", words).strip("-")
