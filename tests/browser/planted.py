"""A library whose pictures and results are known pixel by pixel."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from coread.core import (
    Box,
    Card,
    Finding,
    Geometry,
    ImagePlane,
    Interval,
    LabelMap,
    Map,
    Mask,
    MaskRegion,
    Measurement,
    Metric,
    Model,
    Need,
    Note,
    OnInstance,
    PatientSpace,
    Point,
    Probability,
    Quantity,
    Result,
    vocabulary,
)
from coread.storage import Library
from coread.testing.demo.dicom import SimulatedStudy, write_ct, write_film
from coread.workflow.analyzers import Registered
from coread.workflow.intake import ingest

SHAPE = (24, 96, 96)
SPACING_MM = (4.0, 2.0, 2.0)
GRID = Geometry.axial(SHAPE, SPACING_MM, origin_mm=(-96.0, -96.0, -48.0))
MARK = (10, 30, 20)  # slice, row, column: far from every line of symmetry
NODULE = (12, 60, 66)
DOUBTFUL = (15, 40, 70)
FILM_SHAPE = (120, 100)
FILM_MARK = (30, 20)


def _study(key: str, patient: str, name: str, day: date, description: str) -> SimulatedStudy:
    return SimulatedStudy(
        seed=7,
        key=key,
        patient_id=patient,
        patient_name=name,
        birth=date(1963, 5, 2),
        sex="F",
        day=day,
        time="091200",
        description=description,
    )


CT = _study("ct", "P-1", "SIMULATED^Lung", date(2026, 5, 14), "CT chest")
PRIOR = _study("prior", "P-1", "SIMULATED^Lung", date(2025, 11, 2), "CT chest, before")
FILM = _study("film", "P-2", "SIMULATED^Film", date(2026, 5, 13), "Chest PA")
CARD = Card(
    name="Planted",
    version="1.2.0",
    kind="detect",
    mode="second-reader",
    needs=(Need("volumes", modalities=("CT",)),),
    shown="locked",
    intended_use="Known answers for the test of the reading page.",
    not_for="Patients.",
    evidence_level=2,
    training_data="none",
    metrics=(Metric("sensitivity", 0.81, 0.72, 0.88, "planted", "2026-05-14"),),
    licence="Apache-2.0",
    references=("none",),
    threshold=0.35,
    calibration="isotonic on planted data",
)
PLANTED = Registered("planted", CARD, "tests:Planted", "tests")
SILENT = Registered("silent", CARD, "tests:Silent", "tests")


def body() -> np.ndarray[Any, Any]:
    """A chest in HU: an ellipse with two lungs, a nodule, and one very bright voxel."""
    k, j, i = np.indices(SHAPE).astype(float)
    hu = np.full(SHAPE, -1000.0)
    hu[((j - 48) / 34) ** 2 + ((i - 48) / 44) ** 2 <= 1] = 40.0
    for side in (-1, 1):
        hu[((j - 48) / 24) ** 2 + ((i - 48 - side * 20) / 15) ** 2 <= 1] = -850.0
    ball = ((k - NODULE[0]) * 4) ** 2 + ((j - NODULE[1]) * 2) ** 2 + ((i - NODULE[2]) * 2) ** 2 <= 6.0**2
    hu[ball] = 20.0
    hu[MARK] = 3000.0
    return hu.astype(np.int16)


def _finding(identifier: str, concept: Any, **more: Any) -> Finding:
    more.setdefault("status", "present")
    return Finding(
        id=identifier, concept=concept, origin=Model(CARD.name, CARD.version, None, "second-reader"), **more
    )


def _probability(value: float) -> Probability:
    return Probability(value, Interval(value - 0.09, value + 0.07, 0.95, "bootstrap"), 0.35, True)


def ct_result() -> Result:
    """Agrees on the nodule, contradicts "no effusion", is alone with another nodule, abstains on one."""
    frame = CT.uid("frame")
    space = PatientSpace(frame)
    k, j, i = np.indices(SHAPE).astype(float)
    doubtful = (
        ((k - DOUBTFUL[0]) * 4) ** 2 + ((j - DOUBTFUL[1]) * 2) ** 2 + ((i - DOUBTFUL[2]) * 2) ** 2
    ) <= 10.0**2
    heat = np.full(SHAPE, np.nan, dtype=np.float32)
    heat[MARK] = 1.0
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[body() < -800] = 1
    labels[:, :, 48:][labels[:, :, 48:] == 1] = 2
    labels[body() < -900] = 0
    labels[MARK] = 1  # no outline around the marked voxel: only the map lies there
    at = tuple(float(x) for x in GRID.to_patient(NODULE))
    return Result(
        findings=(
            _finding(
                "agreed",
                vocabulary.LUNG_NODULE,
                probability=_probability(0.91),
                region=Point(at, space),
                measurements=(Measurement(vocabulary.DIAMETER, Quantity(12.0, "mm")),),
                laterality=vocabulary.LEFT,
            ),
            _finding(
                "alone",
                vocabulary.LUNG_NODULE,
                probability=_probability(0.81),
                region=MaskRegion(Mask(doubtful, GRID), space),
                laterality=vocabulary.LEFT,
            ),
            _finding("effusion", vocabulary.PLEURAL_EFFUSION, probability=_probability(0.52)),
            _finding("silent", vocabulary.EMPHYSEMA, status="no_opinion"),
        ),
        measurements=(
            Measurement(
                vocabulary.LAA_950,
                Quantity(11.3, "%"),
                Interval(10.2, 12.4, 0.95, "repeatability"),
                site=vocabulary.LUNG,
            ),
        ),
        maps=(
            Map(
                heat,
                GRID,
                vocabulary.CLASS_ACTIVATION,
                "1",
                0.0,
                1.0,
                "One voxel, planted. Not an outline.",
                frame,
            ),
        ),
        labels=(LabelMap(labels, GRID, {1: vocabulary.RIGHT_LUNG, 2: vocabulary.LEFT_LUNG}, frame),),
        notes=(
            Note("gate", "emphysema", "Slices of 4 mm are too thick to judge emphysema."),
            Note("information", "planted", "These answers were planted."),
        ),
    )


def film_values() -> np.ndarray[Any, Any]:
    rows, columns = np.indices(FILM_SHAPE)
    film = (600 + 4 * columns + 3 * rows).astype(np.uint16)
    film[FILM_MARK] = 4095
    return film


def film_result(instance: str) -> Result:
    """A one-hot map on the marked pixel, and a box around it."""
    plane = ImagePlane(FILM_SHAPE, (0.4, 0.4), "detector")
    heat = np.full(FILM_SHAPE, np.nan, dtype=np.float32)
    heat[FILM_MARK] = 1.0
    row, column = FILM_MARK
    return Result(
        findings=(
            _finding(
                "pneumonia",
                vocabulary.PNEUMONIA,
                probability=_probability(0.7),
                region=Box(
                    (row - 12.0, column - 10.0), (row + 12.0, column + 10.0), OnInstance(instance, plane)
                ),
            ),
        ),
        maps=(
            Map(
                heat,
                plane,
                vocabulary.CLASS_ACTIVATION,
                "1",
                0.0,
                1.0,
                "One pixel, planted.",
                None,
                (instance,),
            ),
        ),
    )


def make_library(folder: Path, keep: Any, mark_ready: Any) -> Path:
    """Write, take in and answer the studies; return the library's folder."""
    import pydicom

    write_ct(body(), GRID, CT, folder / "dicom" / "ct", description="lung", kernel="sharp")
    write_ct(body(), GRID, PRIOR, folder / "dicom" / "prior", description="lung", kernel="sharp")
    film = write_film(
        film_values(),
        FILM,
        folder / "dicom" / "film",
        pixel_mm=0.4,
        source_to_detector_mm=1800.0,
        magnification=1.1,
        photometric="MONOCHROME1",
    )
    (folder / "dicom" / "readme.txt").write_text("no picture")
    with Library.open(folder / "library", durable=False) as library:
        ingest(library, [folder / "dicom"])
        keep(library, CT.uid(), PLANTED, ct_result())
        keep(library, PRIOR.uid(), PLANTED, Result())
        keep(library, FILM.uid(), PLANTED, film_result(str(pydicom.dcmread(film).SOPInstanceUID)))
        for study in (CT, PRIOR, FILM):
            mark_ready(library, study.uid())
    return folder / "library"
