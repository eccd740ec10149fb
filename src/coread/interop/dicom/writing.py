"""What every DICOM object that CoRead writes has in common: identifiers, equipment, patient and study."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import highdicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DT, format_number_as_ds

from coread.core import CodedConcept, Geometry, Grid, Model, Origin
from coread.errors import InputError
from coread.interop.authorship import Author, stable_uid
from coread.interop.dicom.attributes import text

MANUFACTURER = "CoRead"
# the code of the IHE AIR supplement, as other writers use it too
PROCESSING_ALGORITHM = CodedConcept("Newcode1", "99IHE", "Processing Algorithm")
_STUDY_FIELDS = (
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "OtherPatientIDs",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "PositionReferenceIndicator",
    "BodyPartExamined",
    "PatientPosition",
)
# highdicom wants the functional groups of multi-frame sources, which not all of them have; a single-frame
# class (Secondary Capture) stands in while it works, and `finish` writes the true one
_STAND_IN = "1.2.840.10008.5.1.4.1.1.7"
_ANYTHING = re.compile(r".*", re.DOTALL)
_DAY, _NUMBER = re.compile(r"\d{8}"), re.compile(r"\d+(\.\d+)?")
# what does not have its form is left out: nobody can read it, and writing it again would fail
_FORMS = {
    "PatientBirthDate": _DAY,
    "StudyDate": _DAY,
    "StudyTime": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?"),
    "PatientSex": re.compile("[MFO]"),
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    "PatientSize": _NUMBER,
    "PatientWeight": _NUMBER,
}
_NEEDED = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """The image that an object belongs to.

    Attributes:
        dataset: The header of one of its instances; pixels are not needed.
        instances: SOP instance UIDs, one a slice in slice order, or one for a multi-frame or projection.
        simulated: Whether the image is simulated.
        grid: Where the instances lie, for objects on another grid; None where they share it.
    """

    dataset: Dataset
    instances: tuple[str, ...]
    simulated: bool = False
    grid: Geometry | None = None

    def __post_init__(self) -> None:
        if not self.instances:
            raise InputError("a DICOM object needs the instances that it belongs to", "", "name them")

    @property
    def sop_class(self) -> str:
        """SOP class of the instances."""
        return str(self.dataset.SOPClassUID)

    @property
    def frame_of_reference(self) -> str | None:
        """UID of the frame of reference, or None."""
        value = self.dataset.get("FrameOfReferenceUID")
        return str(value) if value else None


def device_uid(model: Model) -> str:
    """Return the device observer UID of a model: one a name and version."""
    return stable_uid("model", model.name, model.version, model.weights_digest or "")


def person_name(identifier: str) -> str:
    """Return a reader's identifier as a DICOM person name: the family name, with the caret that marks it.

    Examples:
        >>> person_name("dr.ay"), person_name("AY^NUR")
        ('dr.ay^', 'AY^NUR')
    """
    return identifier[:62] if "^" in identifier else f"{identifier[:62]}^"


def code(concept: CodedConcept) -> highdicom.sr.CodedConcept:
    """Return a core concept as highdicom wants it."""
    return highdicom.sr.CodedConcept(concept.value, concept.scheme, concept.meaning[:64])


def concept(item: Dataset) -> CodedConcept:
    """Return the concept of an item of a code sequence."""
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    scheme = str(item.get("CodingSchemeDesignator") or "URN")
    return CodedConcept(str(value), scheme, str(item.get("CodeMeaning") or value))


def plain_header(source: Dataset) -> Dataset:
    """Return patient and study of a source in UTF-8, with what a type 2 attribute needs left empty.

    Names of people stay empty until `finish`: highdicom quotes unusual ones in warnings, which reach logs.
    """
    header = Dataset()
    for name in _STUDY_FIELDS:
        value = text(source, name)
        if value and _FORMS.get(name, _ANYTHING).fullmatch(value):
            setattr(header, name, value)
    for name in _NEEDED:
        if name not in header:
            setattr(header, name, "")
    header.SpecificCharacterSet = "ISO_IR 192"
    return header


def reference_images(source: Source, grid: Grid) -> list[Dataset]:
    """Return headers that stand for the source's instances, one a slice of the grid.

    Only what a reference needs is in them, so a whole series costs one read header.

    Raises:
        InputError: The instances are neither one nor as many as the slices.
    """
    grid = source.grid or grid
    slices = grid.shape[0] if isinstance(grid, Geometry) else 1
    count = len(source.instances)
    if isinstance(grid, Geometry) and source.frame_of_reference is None:
        raise InputError(
            "the source has no frame of reference",
            "one in its header",
            "without it nothing says which images the object lies on",
        )
    if count not in (1, slices):
        raise InputError(
            f"{count} source instances for {slices} slices",
            "one a slice in slice order, or one in all",
            "give the instances of the grid's own series",
        )
    return [_reference(source, grid, k) for k in range(count)]


def _reference(source: Source, grid: Grid, k: int) -> Dataset:
    image = plain_header(source.dataset)
    many = "NumberOfFrames" in source.dataset
    image.SOPClassUID = _STAND_IN if many else source.sop_class
    image.SOPInstanceUID = source.instances[k]
    image.SeriesInstanceUID = source.dataset.SeriesInstanceUID
    image.Modality = source.dataset.get("Modality") or "OT"
    image.SeriesNumber = source.dataset.get("SeriesNumber")
    image.Rows, image.Columns = grid.shape[-2:]
    if isinstance(grid, Geometry):
        image.FrameOfReferenceUID = source.frame_of_reference or ""
        image.ImageOrientationPatient = orientation(grid)
        image.ImagePositionPatient = position(grid, k)
        image.PixelSpacing = [decimal(s) for s in grid.spacing_mm[1:]]
        image.SliceThickness = source.dataset.get("SliceThickness") or decimal(grid.slice_spacing_mm)
    return image


def decimal(number: float) -> str:
    """Return a number as a decimal string of at most 16 characters."""
    return str(format_number_as_ds(float(number)))


def orientation(grid: Geometry) -> list[str]:
    """Return ImageOrientationPatient: along a row, then down a column."""
    directions = grid.directions
    return [decimal(x) for x in (*directions[:, 2], *directions[:, 1])]


def position(grid: Geometry, k: int) -> list[str]:
    """Return ImagePositionPatient of a slice."""
    return [decimal(x) for x in grid.to_patient((k, 0, 0))]


def placement(grid: Geometry, thickness: float | None) -> dict[str, Any]:
    """Return the plane arguments of highdicom's multi-frame objects; sheared stacks stay sheared."""
    spacing = grid.spacing_mm
    return {
        "pixel_measures": highdicom.PixelMeasuresSequence(
            pixel_spacing=[float(decimal(s)) for s in spacing[1:]],
            slice_thickness=float(decimal(thickness or grid.slice_spacing_mm)),
            spacing_between_slices=float(decimal(grid.slice_spacing_mm)),
        ),
        "plane_orientation": highdicom.PlaneOrientationSequence(
            "PATIENT", [float(x) for x in orientation(grid)]
        ),
        "plane_positions": [
            highdicom.PlanePositionSequence("PATIENT", [float(x) for x in position(grid, k)])
            for k in range(grid.shape[0])
        ],
    }


def contributing_equipment(models: Sequence[Model]) -> list[highdicom.ContributingEquipment]:
    """Return one item of Contributing Equipment Sequence a model (IHE AIR), with its device UID."""
    items = []
    for model in models:
        item = highdicom.ContributingEquipment(
            MANUFACTURER,
            codes.DCM.ProcessingEquipment,
            manufacturer_model_name=model.name[:64],
            software_versions=model.version[:64],
            contribution_description="Processing algorithm",
        )
        # IHE AIR asks for the purpose "Processing Algorithm"
        item.PurposeOfReferenceCodeSequence = [code(PROCESSING_ALGORITHM)]
        item.DeviceUID = device_uid(model)
        items.append(item)
    return items


def algorithm(origin: Origin) -> highdicom.AlgorithmIdentificationSequence | None:
    """Return the algorithm identification of a model; None for a person."""
    if not isinstance(origin, Model):
        return None
    return highdicom.AlgorithmIdentificationSequence(
        name=origin.name[:64], family=codes.cid7162.ArtificialIntelligence, version=origin.version[:64]
    )


def complete_frames(dataset: Dataset, grid: Geometry) -> None:
    """Write what highdicom leaves out of the frames of a volume.

    The distance of slices along their normal where the source has none, and the source of every frame
    where one instance holds them all.
    """
    measures = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = decimal(grid.slice_spacing_mm)
    frames = dataset.PerFrameFunctionalGroupsSequence
    known = [f.DerivationImageSequence for f in frames if f.get("DerivationImageSequence")]
    sources = {str(k[0].SourceImageSequence[0].ReferencedSOPInstanceUID) for k in known}
    if len(sources) == 1:
        for frame in frames:
            if not frame.get("DerivationImageSequence"):
                frame.DerivationImageSequence = deepcopy(known[0])


def finish(dataset: Dataset, source: Source, author: Author, description: str) -> None:
    """Write what all objects share: names, times, UIDs, description, and that a source is simulated.

    highdicom takes its own clock and UIDs for some of it; the author's come in their place.
    """
    for name in ("PatientName", "ReferringPhysicianName"):
        setattr(dataset, name, text(source.dataset, name))
    at = author.at
    dimension = author.new_uid()
    for element in dataset.iterall():
        if element.keyword == "ReferencedSOPClassUID" and element.value == _STAND_IN:
            element.value = source.sop_class
        if element.keyword == "DimensionOrganizationUID":
            element.value = dimension
    for name in ("ContentDate", "SeriesDate", "InstanceCreationDate"):
        if name in dataset or name == "ContentDate":
            setattr(dataset, name, at.strftime("%Y%m%d"))
    for name in ("ContentTime", "SeriesTime", "InstanceCreationTime"):
        if name in dataset or name == "ContentTime":
            setattr(dataset, name, at.strftime("%H%M%S"))
    for item in dataset.get("ContributingEquipmentSequence", []):
        item.ContributionDateTime = DT(at.strftime("%Y%m%d%H%M%S%z"))
    if at.utcoffset() is not None:
        dataset.TimezoneOffsetFromUTC = at.strftime("%z")
    dataset.SeriesDescription = f"{'SIMULATED: ' if source.simulated else ''}{description}"[:64]
    if source.simulated and "ImageType" in dataset:
        # verifiers of 2022 know no Synthetic Data (0008,001C), and Image Type has a fixed length here
        dataset.ImageComments = "SIMULATED"


def to_bytes(dataset: Dataset) -> bytes:
    """Return the DICOM file of a dataset, with preamble and meta header."""
    buffer = io.BytesIO()
    if not hasattr(dataset, "file_meta"):
        raise InputError("the dataset has no meta header", "one made by a writer of this package")
    dataset.file_meta.TransferSyntaxUID = dataset.file_meta.get("TransferSyntaxUID", ExplicitVRLittleEndian)
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
