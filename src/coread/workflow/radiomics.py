"""Radiomics of files: images with masks from NIfTI, NRRD, DICOM SEG and RTSTRUCT to tables and SR.

What reads and writes DICOM is imported where DICOM comes in: a command on NIfTI starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coread.core import CodedConcept, Finding, Image, LabelMap, Mask, MaskRegion, Model, PatientSpace, Volume
from coread.errors import DataError, InputError
from coread.interop import nifti
from coread.quant.radiomics import FeatureTable, Settings, extract
from coread.quant.radiomics.analyzer import feature_measurements
from coread.quant.radiomics.provenance import provenance

if TYPE_CHECKING:
    import pandas as pd
    from pydicom.dataset import Dataset

    from coread.interop.authorship import NewUid
    from coread.interop.dicom import Instance
    from coread.interop.dicom.writing import Source

Progress = Callable[[float, str], None]
REGION_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.66.7",
    "1.2.840.10008.5.1.4.1.1.481.3",
)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """An image to measure.

    Attributes:
        volume: Its values on a grid.
        instances: The DICOM instances it was read from; empty for other files.
        objects: SEG and RT Structure Sets that came with it.
    """

    volume: Volume | Image
    instances: tuple[Instance, ...] = ()
    objects: tuple[Dataset, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class CaseResult:
    """The features of one case.

    Attributes:
        table: All of them.
        provenance: Where they come from, one document for each file of masks.
        regions: Concept and mask of each region of a DICOM image, by label.
    """

    table: FeatureTable
    provenance: tuple[dict[str, Any], ...]
    regions: dict[str, tuple[CodedConcept, Mask]] = field(default_factory=dict)


def load_image(path: Path, *, series: str | None = None) -> LoadedImage:
    """Return the image in a NIfTI, NRRD or MetaImage file, or in DICOM files, a folder or a zip.

    Args:
        path: Where it is.
        series: The key of the DICOM series to take where there are several.

    Raises:
        DataError: There is no image.
        InputError: There are several; the keys are named.
    """
    if nifti.is_image_file(path):
        return LoadedImage(nifti.read_volume(path))
    from coread.interop.dicom import load_series

    instances = _instances(path)
    objects = tuple(i.dataset for i in instances if i.dataset.get("SOPClassUID") in REGION_CLASSES)
    images = [i for i in instances if i.header.role == "image"]
    if not images:
        raise DataError(f"no image in {path.name}", "expected DICOM images, NIfTI, NRRD or MetaImage")
    parts = {part.key: part.value for part in load_series(images) if isinstance(part.value, Volume | Image)}
    if series is not None:
        parts = {key: value for key, value in parts.items() if key == series}
    if len(parts) != 1:
        known = ", ".join(parts) or "none"
        raise InputError(
            f"{len(parts)} images in {path.name}", "expected one", f"name one with --series: {known}"
        )
    (value,) = parts.values()
    used = set(value.source_instances)
    return LoadedImage(value, tuple(i for i in images if i.header.instance in used), objects)


def _instances(path: Path) -> list[Instance]:
    from coread.interop.dicom import find_files, read_instance

    found = []
    for source in find_files([path]):
        try:
            found.append(read_instance(source.open()))
        except DataError:
            continue  # what is no DICOM lies beside: a README, a table
    return found


def load_masks(path: Path, image: LoadedImage) -> LabelMap | dict[str, tuple[CodedConcept, Mask]]:
    """Return the regions in a NIfTI, NRRD or MetaImage label map, a SEG or an RT Structure Set.

    A label map with a single label is named after its file.

    Raises:
        DataError: There are none, or they don't belong to the image.
    """
    if nifti.is_image_file(path):
        labels = nifti.read_label_map(path)
        if not labels.labels:
            raise DataError(f"{path.name} has no label", "expected a voxel above 0", "give the mask")
        stem = path.name.split(".")[0]
        one = len(labels.labels) == 1
        concepts = {
            value: CodedConcept(f"label-{value}", "99COREAD", stem if one else f"{stem} {value}")
            for value in labels.labels
        }
        return replace(labels, labels=concepts)
    objects = [i.dataset for i in _instances(path) if i.dataset.get("SOPClassUID") in REGION_CLASSES]
    return _segments(objects, image, path.name)


def _segments(
    objects: Sequence[Dataset], image: LoadedImage, name: str
) -> dict[str, tuple[CodedConcept, Mask]]:
    from coread.interop.dicom.regions import read_regions

    if not isinstance(image.volume, Volume):
        raise DataError("regions in space on a projection", "expected a volume", "give the volume")
    found: dict[str, tuple[CodedConcept, Mask]] = {}
    for dataset in objects:
        for segment in read_regions(dataset, image.volume):
            if isinstance(segment.mask, Mask):
                label, n = segment.concept.meaning, 1
                while label in found:
                    n += 1
                    label = f"{segment.concept.meaning} {n}"
                found[label] = (segment.concept, segment.mask)
    if not found:
        raise DataError(
            f"no region in {name}", "expected a label map, a SEG or an RT Structure Set", "give one of them"
        )
    return found


def extract_case(
    image: Path,
    masks: Sequence[Path],
    settings: Settings,
    *,
    case: str = "",
    series: str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> tuple[CaseResult, LoadedImage]:
    """Return the features of the regions of an image, with where they come from.

    Args:
        image: Image file or DICOM folder.
        masks: Mask files; without any, the SEG and RT Structure Sets beside the DICOM images are taken.
        settings: What is computed and how.
        case: Name of the case; the image's name unless given.
        series: Key of the DICOM series, where there are several.
        jobs: Threads.
        progress: Called with the share done and words.

    Raises:
        DataError: A file can't be used.
        InputError: Image and settings don't fit.
    """
    loaded = load_image(image, series=series)
    case = case or image.name.split(".")[0]
    if masks:
        groups = [load_masks(path, loaded) for path in masks]
    else:
        groups = [_segments(loaded.objects, loaded, image.name)]
    tables, documents = [], []
    regions: dict[str, tuple[CodedConcept, Mask]] = {}
    for n, group in enumerate(groups):

        def tell(share: float, n: int = n) -> None:
            if progress is not None:
                progress((n + share) / len(groups), case)

        named = group if isinstance(group, LabelMap) else {label: mask for label, (_, mask) in group.items()}
        table = extract(loaded.volume, named, settings, case=case, jobs=jobs, progress=tell)
        tables.append(table)
        documents.append(provenance(loaded.volume, named, settings, table))
        if not isinstance(group, LabelMap):
            regions.update(group)
        elif loaded.instances:
            for value, concept in group.labels.items():
                mask = group.mask(value)
                if isinstance(mask, Mask):
                    regions[concept.meaning] = (concept, mask)
    labels = [label for table in tables for label in table.labels]
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise InputError(
            f"two masks are called {', '.join(repeated)}", "expected one name a region", "rename one file"
        )
    joined = FeatureTable(
        tuple(item for table in tables for item in table),
        {name: said for table in tables for name, said in table.diagnostics.items()},
        {name: said for table in tables for name, said in table.notes.items()},
        case,
    )
    return CaseResult(joined, tuple(documents), regions), loaded


def feature_report(
    result: CaseResult, image: LoadedImage, *, version: str, at: datetime, new_uid: NewUid
) -> dict[str, Dataset]:
    """Return the SEG of the regions and the SR (TID 1500) with a group of IBSI measurements for each.

    The report is preliminary: nobody has read it.

    Args:
        result: Features with their regions.
        image: The DICOM image they were measured on.
        version: Of the software.
        at: When, with offset.
        new_uid: Gives the objects their UIDs.

    Raises:
        InputError: The image did not come from DICOM, or has no frame of reference.
    """
    from coread.interop.authorship import Author, Equipment
    from coread.interop.dicom.seg import TrackedRegion, write_regions
    from coread.interop.dicom.sr import write_report
    from coread.interop.report_content import ObjectReference, ReportContent, SegmentReference

    volume = image.volume
    if not image.instances or not isinstance(volume, Volume) or volume.frame_of_reference is None:
        raise InputError(
            "a structured report on an image without DICOM instances in a frame of reference",
            "expected DICOM images",
            "write .csv, .parquet or .json instead",
        )
    masks = {name: mask for name, (_, mask) in result.regions.items() if mask.voxels.any()}
    kept = replace(result.table, features=tuple(item for item in result.table if item.label in masks))
    measured = feature_measurements(kept, volume)
    origin = Model("Radiomics", version, None, "measurement")
    author = Author(origin=origin, at=at, equipment=Equipment(version=version), new_uid=new_uid)
    source = _source_of(image)
    tracked = [
        TrackedRegion(concept, masks[name], name)
        for name, (concept, _) in result.regions.items()
        if name in masks
    ]
    segmentation = write_regions(tracked, source, author, description="Regions measured")
    frame = PatientSpace(volume.frame_of_reference)
    findings = tuple(
        Finding(
            region.tracking,
            region.concept,
            "present",
            origin,
            region=MaskRegion(masks[region.tracking], frame),
            measurements=tuple(
                replace(m, flags=m.flags[1:]) for m in measured if m.flags[0] == f"region {region.tracking}"
            ),
        )
        for region in tracked
    )
    segments = {
        region.tracking: SegmentReference(
            str(segmentation.SOPClassUID),
            str(segmentation.SOPInstanceUID),
            number,
            instances=volume.source_instances,
        )
        for number, region in enumerate(tracked, 1)
    }
    content = ReportContent(
        headers=tuple(i.header for i in image.instances),
        findings=findings,
        segments=segments,
        objects=(
            ObjectReference(
                str(segmentation.SOPClassUID),
                str(segmentation.SOPInstanceUID),
                str(segmentation.SeriesInstanceUID),
            ),
        ),
    )
    return {"seg": segmentation, "sr": write_report(content, source, author)}


def write_maps(
    image: Path,
    masks: Sequence[Path],
    settings: Settings,
    features: Sequence[str],
    folder: Path,
    *,
    version: str,
    at: datetime,
    new_uid: NewUid,
    radius: int = 1,
    series: str | None = None,
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Write maps of features as NIfTI, for DICOM images as Parametric Maps too; return the files.

    Args:
        image: Image file or DICOM folder.
        masks: Files of regions.
        settings: Grey levels and range.
        features: Tags.
        folder: Where to write.
        version: Of the software.
        at: When, with offset.
        new_uid: Gives DICOM objects their UIDs.
        radius: Of the window, in voxels.
        series: Key of the DICOM series, where there are several.
        progress: Called with the share done and words.

    Raises:
        DataError: A file can't be used.
        InputError: A feature has no map.
    """
    from coread.quant.radiomics.voxelwise import feature_maps

    loaded = load_image(image, series=series)
    volume = loaded.volume
    if not isinstance(volume, Volume):
        raise DataError("a projection", "expected a volume", "maps are made of volumes")
    regions: dict[str, Mask] = {}
    for path in masks:
        group = load_masks(path, loaded)
        if isinstance(group, LabelMap):
            named = {concept.meaning: group.mask(value) for value, concept in group.labels.items()}
            regions.update({name: mask for name, mask in named.items() if isinstance(mask, Mask)})
        else:
            regions.update({name: mask for name, (_, mask) in group.items()})
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, (name, mask) in enumerate(regions.items(), 1):
        stem = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)
        maps = feature_maps(volume, mask, settings, features, radius=radius)
        for tag, made in zip(features, maps, strict=True):
            written.append(folder / f"{stem}.{tag}.nii.gz")
            nifti.write_volume(made, written[-1])
            if loaded.instances and volume.frame_of_reference is not None:
                from coread.interop.authorship import Author, Equipment
                from coread.interop.dicom.parametric_map import write_map

                author = Author(
                    origin=Model("Radiomics", version, None, "measurement"),
                    at=at,
                    equipment=Equipment(version=version),
                    new_uid=new_uid,
                )
                dataset = write_map(made, _source_of(loaded), author)
                written.append(folder / f"{stem}.{tag}.dcm")
                dataset.save_as(written[-1], enforce_file_format=True)
        if progress is not None:
            progress(number / len(regions), name)
    return tuple(written)


def _source_of(image: LoadedImage) -> Source:
    """Return the DICOM image that objects refer to."""
    from coread.interop.dicom.writing import Source

    volume = image.volume
    by_uid = {i.header.instance: i for i in image.instances}
    return Source(
        dataset=by_uid[volume.source_instances[0]].dataset,
        instances=volume.source_instances,
        simulated=volume.acquisition.simulated,
    )


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, Parquet or JSON, by the ending of the name.

    Raises:
        InputError: Another ending.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        frame.to_csv(path, index=False)
    elif kind == ".parquet":
        frame.to_parquet(path, index=False)
    elif kind == ".json":
        frame.to_json(path, orient="records", indent=1, double_precision=15)
    else:
        raise InputError(f"{path.name} ends in {kind or 'nothing'}", "expected .csv, .parquet or .json")


def wide(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a long table as one row a region."""
    names = frame[["filter", "feature", "aggregation", "discretisation"]].itertuples(index=False, name=None)
    column = [".".join(part.replace(":", "") for part in row if part) for row in names]
    order = dict.fromkeys(column)
    keyed = frame.assign(column=column)
    keys = keyed[["case", "label"]].drop_duplicates()
    table = keyed.pivot(index=["case", "label"], columns="column", values="value")
    return (
        table.reindex(columns=list(order))
        .reindex(list(keys.itertuples(index=False, name=None)))
        .reset_index()
    )
