"""A library with a small CT, its prior and a film, its server, and what can come to it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from fastapi import FastAPI
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from coread.core import (
    Card,
    Finding,
    Geometry,
    LabelMap,
    Map,
    Measurement,
    Model,
    Need,
    Note,
    PatientSpace,
    Point,
    Probability,
    Provenance,
    Quantity,
    Result,
    vocabulary,
)
from coread.server.app import create_app
from coread.server.settings import ConfiguredReader, ServerSettings
from coread.storage import Library
from coread.testing.demo.dicom import SimulatedStudy, write_ct, write_film
from coread.workflow.analyzers import Registered
from coread.workflow.intake import ingest
from coread.workflow.uploads import mark_late_images
from coread.workflow.visibility import SiteRules

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
GRID = Geometry.axial((6, 16, 16), spacing_mm=(3.0, 1.0, 1.0), origin_mm=(-8.0, -8.0, 0.0))
CT = SimulatedStudy(
    seed=1,
    key="ct",
    patient_id="P1",
    patient_name="SIMULATED^Ayşe",
    birth=date(1960, 1, 1),
    sex="F",
    day=date(2026, 3, 1),
    time="070000",
    description="CT chest",
)
PRIOR = replace(CT, key="prior", day=date(2025, 3, 1))
FILM = SimulatedStudy(
    seed=1,
    key="film",
    patient_id="P2",
    patient_name="SIMULATED^Can",
    birth=date(1980, 1, 1),
    sex="M",
    day=date(2026, 3, 1),
    time="073000",
    description="Chest PA",
)


class Clock:
    def __init__(self) -> None:
        self.time = START
        self.step = timedelta()

    def __call__(self) -> datetime:
        self.time += self.step
        return self.time


def card(name: str, mode: str = "second-reader", shown: str = "locked", needs: tuple[Need, ...] = ()) -> Card:
    return Card(
        name=name,
        version="1.0",
        kind="detect",
        mode=mode,  # type: ignore[arg-type]
        needs=needs or (Need("volumes"),),
        shown=shown,  # type: ignore[arg-type]
        intended_use="A test.",
        not_for="Anything else.",
        evidence_level=2,
        training_data="none",
        metrics=(),
        licence="Apache-2.0",
        references=("none",),
    )


ANALYZERS = (
    Registered("nodules", card("Nodules"), "tests:Nodules", "tests"),
    Registered("quality", card("Quality", "measurement", "always"), "tests:Quality", "tests"),
    Registered("fast", card("Fast", "concurrent"), "tests:Fast", "tests"),
    Registered("alarm", card("Alarm", "triage"), "tests:Alarm", "tests"),
    Registered(
        "derived",
        card("Derived", "measurement", "always", (Need("results", analyzers=("nodules",)),)),
        "tests:Derived",
        "tests",
    ),
)


def values(grid: Geometry = GRID) -> np.ndarray[Any, Any]:
    k, j, i = np.indices(grid.shape)
    return np.asarray(-1000 + 100 * k + 10 * j + i, dtype=np.int16)


def nodule(number: int, at: tuple[float, float, float], study: SimulatedStudy = CT, **more: Any) -> Finding:
    return Finding(
        id=f"{study.key}-model-{number}",
        concept=vocabulary.LUNG_NODULE,
        status=more.pop("status", "present"),
        origin=Model("Nodules", "1.0", None, "second-reader"),
        probability=Probability(0.8, None, 0.5, True),
        region=Point(at, PatientSpace(study.uid("frame"))),
        measurements=(Measurement(vocabulary.DIAMETER, Quantity(6.5, "mm")),),
        **more,
    )


def result_of(count: int, study: SimulatedStudy = CT) -> Result:
    """A result with so many findings, and with a map and labels when it has any."""
    if not count:
        return Result(notes=(Note("information", "looked", "Looked at 6 slices."),))
    heat = np.full(GRID.shape, np.nan, dtype=np.float32)
    heat[2, 3, 4] = 1.0
    labels = np.zeros(GRID.shape, dtype=np.uint16)
    labels[1:3, 4:8, 4:8] = 1
    frame = study.uid("frame")
    return Result(
        findings=tuple(nodule(n, (-6.0 + 3 * n, 0.0, 6.0), study) for n in range(count)),
        measurements=(Measurement(vocabulary.VOLUME, Quantity(4000.0, "mL")),),
        maps=(Map(heat, GRID, vocabulary.PROBABILITY_MAP, "1", 0.0, 1.0, "A test.", frame),),
        labels=(LabelMap(labels, GRID, {1: vocabulary.LUNG}, frame),),
    )


@dataclass
class World:
    """A library and its server."""

    folder: Path
    number: int = 10
    clock: Clock = field(default_factory=Clock)
    rules: SiteRules = field(default_factory=SiteRules)
    readers: tuple[ConfiguredReader, ...] = (
        ConfiguredReader("ada", "Dr. Ada"),
        ConfiguredReader("ben", "Dr. Ben"),
        ConfiguredReader("cleo", "Dr. Cleo", "clinician"),
        ConfiguredReader("lea", "Dr. Lea", "lead"),
    )

    def __post_init__(self) -> None:
        self.library = Library.open(
            self.folder / "library", clock=self.clock, rng=random.Random(self.number), durable=False
        )
        self.number += 1

    def seed(self, number: int) -> None:
        """Draw identifiers anew from here on, whatever was drawn before."""
        self.library._db.rng.seed(number)

    def app(self, **options: Any) -> FastAPI:
        settings = ServerSettings(readers=self.readers, rules=self.rules)
        return create_app(
            self.library,
            settings=settings,
            clock=self.clock,
            rng=random.Random(2),
            analyzers=ANALYZERS,
            page=self.folder / "no page",
            **options,
        )

    def client(self, reader: str | None, app: FastAPI | None = None) -> TestClient:
        client = TestClient(app or self.app(), base_url="http://127.0.0.1")
        if reader is not None:
            answer = client.post("/api/v1/session", json={"reader": reader})
            assert answer.status_code == 200
        return client

    def take_in(self, *paths: Path) -> None:
        mark_late_images(self.library, ingest(self.library, list(paths)))

    def save(self, result: Result, analyzer: str = "nodules", study: SimulatedStudy = CT) -> None:
        now = self.clock()
        known = next(a for a in ANALYZERS if a.name == analyzer)
        stamp = Provenance(
            analyzer=analyzer,
            version="1.0",
            weights_digest=None,
            mode=known.card.mode,
            inputs={"1.2": str(len(self.library.results.history(study.uid())))},
            settings={},
            seed=None,
            software="tests",
            start=now,
            end=now,
        )
        self.library.results.save(study.uid(), stamp, result)

    def processed(self, study: SimulatedStudy = CT) -> None:
        jobs = self.library.jobs
        number = len(jobs.page(limit=1000).items)
        jobs.enqueue("process", f"{study.uid()} {number}", {"study": study.uid()}, subject=study.uid())
        job = jobs.claim("tests", 60.0, kinds=("process",))
        assert job is not None
        jobs.finish(job.id, "tests")

    def restart(self) -> None:
        """End the process and begin anew: nothing but what is on the disk is left."""
        self.close()
        self.__post_init__()

    def close(self) -> None:
        self.library.close()


def capture(like: Path, study: SimulatedStudy, name: str, series: str | None = None) -> Dataset:
    """A derived secondary capture as a foreign AI writes it, beside an image or in its series."""
    dataset = pydicom.dcmread(like)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.SOPInstanceUID = study.uid("foreign", name)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesInstanceUID = series or study.uid("foreign", name, "series")
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ConversionType = "WSD"
    dataset.SeriesDescription = "AI says: 3 nodules"
    dataset.Modality = "CT" if series else "OT"
    return dataset


def document(like: Path, study: SimulatedStudy, name: str) -> Dataset:
    """An encapsulated PDF as a foreign AI writes it."""
    dataset = capture(like, study, name)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.Modality = "DOC"
    del dataset.PixelData
    dataset.EncapsulatedDocument = b"%PDF-1.4 nodules"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    return dataset


@dataclass(frozen=True)
class Files:
    """Files on the disk, by what they are."""

    ct: tuple[Path, ...]
    prior: tuple[Path, ...]
    film: Path
    foreign: tuple[Path, ...]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("dicom")
    ct = write_ct(values(), GRID, CT, folder / "ct", description="lung", kernel="sharp")
    prior = write_ct(values(), GRID, PRIOR, folder / "prior", description="lung", kernel="sharp")
    film = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20)
    path = write_film(
        film,
        FILM,
        folder / "film",
        pixel_mm=0.2,
        source_to_detector_mm=1800.0,
        magnification=1.1,
        photometric="MONOCHROME1",
    )
    foreign = []
    series = str(pydicom.dcmread(ct[0]).SeriesInstanceUID)
    for name, dataset in (
        ("own", capture(ct[0], CT, "own")),
        ("inside", capture(ct[0], CT, "inside", series)),
        ("pdf", document(ct[0], CT, "pdf")),
    ):
        target = folder / f"{name}.dcm"
        dataset.save_as(target, enforce_file_format=True)
        foreign.append(target)
    return Files(ct, prior, Path(path), tuple(foreign))


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory, files: Files) -> Path:
    """A folder with a library in which all but late and foreign files are processed, without any result."""
    folder = tmp_path_factory.mktemp("base")
    made = World(folder, number=1)
    made.take_in(*files.ct, *files.prior, files.film)
    for study in (CT, PRIOR, FILM):
        made.processed(study)
    made.close()
    return folder


@pytest.fixture
def make_world(base: Path, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes worlds of their own out of the base."""
    made: list[World] = []

    def make(**options: Any) -> World:
        folder = tmp_path / str(len(made))
        shutil.copytree(base, folder)
        made.append(World(folder, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def ct() -> SimulatedStudy:
    return CT


@pytest.fixture
def prior() -> SimulatedStudy:
    return PRIOR


@pytest.fixture
def film() -> SimulatedStudy:
    return FILM


@pytest.fixture
def results() -> Callable[..., Result]:
    return result_of


@pytest.fixture
def late(files: Files, tmp_path: Path) -> Path:
    """A slice of the CT below the others, which comes later."""
    dataset = pydicom.dcmread(files.ct[-1])
    dataset.SOPInstanceUID = CT.uid("late")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, y, f"{float(z) - 3:.4f}"]
    dataset.InstanceNumber = 99
    target = tmp_path / "late.dcm"
    dataset.save_as(target, enforce_file_format=True)
    return target
