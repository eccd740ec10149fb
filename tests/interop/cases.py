"""A study with every kind of finding, decision and text, that the tests of the exports share."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np

from coread.core import (
    Acquisition,
    Box,
    Card,
    Contour,
    Finding,
    Geometry,
    Image,
    ImagePlane,
    InstanceHeader,
    Interval,
    Mask,
    MaskRegion,
    Measurement,
    Model,
    Need,
    OnInstance,
    PatientSpace,
    PlaneMask,
    Point,
    Probability,
    Provenance,
    Quantity,
    Reader,
    Report,
    Section,
    Sentence,
    Signature,
    Volume,
    vocabulary,
)
from coread.core.reading import Decision
from coread.interop.report_content import ReportContent

STUDY, CT_SERIES, DX_SERIES, FRAME = "1.2.3.4", "1.2.3.4.5", "1.2.3.4.9", "1.2.3.4.6"
GRID = Geometry.axial((8, 64, 64), (2.5, 0.7, 0.7), (-20.0, -30.0, 100.0))
PLANE = ImagePlane((80, 90), (0.2, 0.2), "detector")
CT_INSTANCES = tuple(f"{CT_SERIES}.{k + 1}" for k in range(8))
DX_INSTANCE = f"{DX_SERIES}.1"
PATIENT, ON_DX = PatientSpace(FRAME), OnInstance(DX_INSTANCE, PLANE)
DOCTOR = Reader("dr.şahin")
LUNG_CT = Model("lung_ct", "1.0.0", "ab" * 32, "second-reader")
CXR = Model("cxr_pneumonia", "2.1.0", "cd" * 32, "second-reader")
SIGNED_AT = datetime(2026, 3, 4, 9, 30, 15, tzinfo=UTC)
AT = datetime(2026, 3, 4, 9, 31, tzinfo=UTC)


PROVENANCE = Provenance(
    "lung_ct",
    "1.0.0",
    "ab" * 32,
    "second-reader",
    {uid: f"{n:064x}" for n, uid in enumerate(CT_INSTANCES)},
    {"threshold": "-950 HU"},
    None,
    "coread 0.1.0",
    datetime(2026, 3, 4, 8, 0, tzinfo=UTC),
    datetime(2026, 3, 4, 8, 0, 9, tzinfo=UTC),
)


def header(instance: str, series: str, modality: str, **changes: object) -> InstanceHeader:
    values: dict[str, object] = {
        "patient_id": "P1",
        "patient_name": "YILMAZ^İSMAİL ÇAĞRI",
        "birth_date": date(1960, 1, 2),
        "sex": "M",
        "study": STUDY,
        "study_time": datetime(2026, 3, 4, 4, 0),
        "accession": "A1",
        "study_description": "Thorax",
        "referring": "",
        "series": series,
        "series_number": 2,
        "series_description": "Thorax 2.5",
        "modality": modality,
        "body_part": "CHEST",
        "instance": instance,
        "sop_class": "1.2.840.10008.5.1.4.1.1.2" if modality == "CT" else "1.2.840.10008.5.1.4.1.1.1.1",
        "instance_number": 1,
        "rows": 64,
        "columns": 64,
        "frames": 1,
        "transfer_syntax": "1.2.840.10008.1.2.1",
        "frame_of_reference": FRAME if modality == "CT" else None,
        "role": "image",
        "acquired": True,
        "simulated": True,
        "lossy": False,
    }
    return InstanceHeader(**{**values, **changes})  # type: ignore[arg-type]


HEADERS = (*(header(uid, CT_SERIES, "CT") for uid in CT_INSTANCES), header(DX_INSTANCE, DX_SERIES, "DX"))


def volume() -> Volume:
    values = np.full(GRID.shape, -800.0, dtype=np.float32)
    values[3:6, 20:30, 35:45] = 40.0
    return Volume(values, GRID, "HU", Acquisition("CT", simulated=True), FRAME, CT_INSTANCES, CT_SERIES)


def radiograph() -> Image:
    values = np.linspace(0, 4000, 80 * 90, dtype=np.float32).reshape(80, 90)
    return Image(values, PLANE, "stored", Acquisition("DX", simulated=True), DX_INSTANCE, DX_SERIES)


def nodule_mask() -> Mask:
    voxels = np.zeros(GRID.shape, dtype=bool)
    voxels[3:6, 20:30, 35:45] = True
    voxels[5, 28:30, 35:45] = False
    return Mask(voxels, GRID)


def opacity_mask() -> PlaneMask:
    pixels = np.zeros(PLANE.shape, dtype=bool)
    pixels[10:20, 30:50] = True
    return PlaneMask(pixels, PLANE)


PROBABILITY = Probability(0.87, Interval(0.81, 0.92, 0.95, "bootstrap over patients"), 0.29, calibrated=True)
EMPHYSEMA = Finding(
    "lung_ct-1",
    vocabulary.EMPHYSEMA,
    "present",
    LUNG_CT,
    probability=PROBABILITY,
    place=vocabulary.LUNG,
    laterality=vocabulary.BILATERAL,
    measurements=(
        Measurement(
            vocabulary.LAA_950,
            Quantity(12.345678901234567, "%"),
            Interval(11.25, 13.5, 0.95, "repeatability"),
            method="threshold -950 HU",
            source_instances=CT_INSTANCES[:2],
            flags=("lungs touch the edge of the image",),
        ),
        Measurement(vocabulary.MEAN_LUNG_DENSITY, Quantity(-861.5, "HU")),
    ),
)
NODULE = Finding(
    "lung_ct-2",
    vocabulary.LUNG_NODULE,
    "present",
    LUNG_CT,
    probability=Probability(0.6, None, 0.5, calibrated=False),
    region=MaskRegion(nodule_mask(), PATIENT),
    place=vocabulary.UPPER_LOBE,
    laterality=vocabulary.RIGHT,
    measurements=(Measurement(vocabulary.DIAMETER, Quantity(7.25, "mm")),),
)
OPACITY = Finding("cxr-1", vocabulary.LUNG_OPACITY, "present", CXR, region=MaskRegion(opacity_mask(), ON_DX))
REJECTED = Finding(
    "cxr-2",
    vocabulary.PNEUMOTHORAX,
    "present",
    CXR,
    probability=Probability(0.31, None, 0.3, calibrated=True),
    region=Box((40.0, 50.0), (60.0, 70.0), ON_DX),
)
ABSTAINS = Finding("cxr-3", vocabulary.PNEUMONIA, "no_opinion", CXR, comment="not like its training films")
OWN_POINT = Finding(
    "own-1", vocabulary.LYMPHADENOPATHY, "uncertain", DOCTOR, region=Point((-10.25, -5.5, 110.0), PATIENT)
)
OWN_BOX = Finding(
    "own-2",
    vocabulary.ATELECTASIS,
    "present",
    DOCTOR,
    change="larger",
    region=Box((-15.0, -20.0, 102.5), (5.0, 4.0, 112.5), PATIENT),
    laterality=vocabulary.LEFT,
)
OWN_CONTOUR = Finding(
    "own-3",
    vocabulary.PLEURAL_EFFUSION,
    "historical",
    DOCTOR,
    region=Contour(((-10.0, -10.0, 105.0), (0.0, -10.0, 105.0), (0.0, 2.0, 105.0)), PATIENT),
    comment="Eski sıvı, değişmemiş",
)
OWN_ON_FILM = Finding("own-4", vocabulary.FRACTURE, "present", DOCTOR, region=Point((12.0, 33.0), ON_DX))
OWN_ABSENT = Finding("own-5", vocabulary.PNEUMOTHORAX, "absent", DOCTOR)
MODIFIED = Finding(
    "cxr-1",
    vocabulary.CONSOLIDATION,
    "present",
    DOCTOR,
    region=Box((10.0, 30.0), (19.0, 49.0), ON_DX),
    comment="Konsolidasyon",
)
FINDINGS = (EMPHYSEMA, NODULE, MODIFIED, OWN_POINT, OWN_BOX, OWN_CONTOUR, OWN_ON_FILM, OWN_ABSENT)
DECISIONS = (
    (EMPHYSEMA, Decision("lung_ct-1", "accept", SIGNED_AT)),
    (NODULE, Decision("lung_ct-2", "accept", SIGNED_AT, comment="seen")),
    (OPACITY, Decision("cxr-1", "modify", SIGNED_AT, modified=MODIFIED)),
    (REJECTED, Decision("cxr-2", "reject", SIGNED_AT, reason="artefact", comment="skin fold")),
)
LUNG_VOLUME = Measurement(
    vocabulary.VOLUME,
    Quantity(2750.125, "mL"),
    site=vocabulary.RIGHT_LUNG,
    laterality=vocabulary.RIGHT,
)
SECTIONS = (
    Section("technique", (Sentence("BT, ince kesit.", DOCTOR),)),
    Section(
        "findings",
        (
            Sentence("Sağ üst lobda nodül.", DOCTOR, ("lung_ct-2",)),
            Sentence("Emphysema: LAA-950 12.3 %.", LUNG_CT, ("lung_ct-1",), DOCTOR),
        ),
    ),
    Section("impression", (Sentence("Amfizem, <i>değil</i> & nodül.", DOCTOR),)),
)
REPORT = Report(STUDY, "tr", SECTIONS, FINDINGS, (LUNG_VOLUME,), signature=Signature(DOCTOR, SIGNED_AT))


def card(model: Model) -> Card:
    return Card(
        name=model.name,
        version=model.version,
        kind="detect",
        mode="second-reader",
        needs=(Need("volumes"),),
        shown="locked",
        intended_use="Test.",
        not_for="Patients.",
        evidence_level=2,
        training_data="none",
        metrics=(),
        licence="Apache-2.0",
        references=(),
        weights=model.weights_digest,
        threshold=0.5,
    )


def content(**changes: object) -> ReportContent:
    """The whole case as a signed report."""
    values: dict[str, object] = {
        "headers": HEADERS,
        "findings": FINDINGS,
        "measurements": ((LUNG_VOLUME, LUNG_CT),),
        "decisions": DECISIONS,
        "sections": SECTIONS,
        "language": "tr",
        "signature": REPORT.signature,
        "organization": "Şehir Hastanesi",
        "cards": {LUNG_CT.name: card(LUNG_CT), CXR.name: card(CXR)},
        "provenance": (PROVENANCE,),
        "silence": (("cxr_pneumonia", "not like its training films"),),
    }
    return ReportContent(**{**values, **changes})  # type: ignore[arg-type]
