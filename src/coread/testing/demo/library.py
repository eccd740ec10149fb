"""The demo library: simulated patients with known truth, written as DICOM."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal

import numpy as np

from coread.core import Geometry
from coread.errors import InputError
from coread.testing.demo.ct import Scanner, simulate_ct
from coread.testing.demo.dicom import SimulatedStudy, write_ct, write_film
from coread.testing.demo.radiograph import FilmSettings, simulate_film
from coread.testing.thorax import Consolidation, Nodule, Thorax, VoxelThorax, voxelise

Progress = Callable[[float, str], None]

SCHEMA = "coread-demo-truth/1"
_SCANNER, _FILM = Scanner(), FilmSettings()
_FIELD_MM = 378.88  # 512 pixels of 0.74 mm
_QUICK_SLICES: dict[str, Any] = {"slices": 56, "thickness_mm": 5.0}


@dataclass(frozen=True, slots=True)
class DemoLibrary:
    """Where a demo library lies.

    Attributes:
        dicom: Folder with nothing but DICOM, one folder a patient and study.
        truth: ``truth.json``; the masks lie beside it.
        studies: Study instance UIDs, oldest first.
    """

    dicom: Path
    truth: Path
    studies: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """One study to make; `work` is its part of the whole time."""

    study: SimulatedStudy
    thorax: Thorax
    work: float
    slices: int = 0
    thickness_mm: float = 2.5
    matrix: int = 512
    scanner: Scanner = _SCANNER
    film: FilmSettings = _FILM
    photometric: Literal["MONOCHROME1", "MONOCHROME2"] = "MONOCHROME2"

    @property
    def is_ct(self) -> bool:
        """Whether it is a CT; else it is a film."""
        return self.slices > 0


def make_demo_library(
    folder: Path,
    *,
    seed: int = 1,
    quick: bool = False,
    progress: Progress = lambda fraction, words: None,
    jobs: int = 1,
) -> DemoLibrary:
    """Write simulated chest studies with known truth, and return where they lie.

    Four patients: a man with emphysema and two lung nodules, one of which has grown since the CT half a
    year before; a woman with a normal CT; a man with a normal chest film; a woman with a consolidation
    on the film and an earlier film without. Every header says that it is simulated. A complete library
    of the same seed and size that lies in the folder already is kept as it is.

    Args:
        folder: Made if need be; gets ``dicom`` and ``truth``.
        seed: Of anatomy, noise and UIDs.
        quick: Small pictures (160 x 160 pixels a slice, 512 x 480 a film) in a few seconds, for tests.
        progress: Called with the done part, 0 to 1, and what is being made.
        jobs: Threads.

    Raises:
        InputError: The folder holds DICOM that is not a complete library of this seed.
    """
    folder = Path(folder)
    dicom, truth_path = folder / "dicom", folder / "truth" / "truth.json"
    plans = _plans(seed, quick=quick)
    uids = tuple(plan.study.uid() for plan in sorted(plans, key=lambda plan: plan.study.day))
    if truth_path.exists():
        known = json.loads(truth_path.read_text(encoding="utf-8"))
        if (known.get("schema"), known.get("seed"), known.get("quick")) == (SCHEMA, seed, quick):
            progress(1.0, "")
            return DemoLibrary(dicom, truth_path, uids)
    if dicom.exists() and any(dicom.iterdir()):
        raise InputError(
            f"{dicom} holds something other than a complete demo library of seed {seed}",
            "an empty or new folder",
            "name another folder, or remove this one",
        )
    truth_path.parent.mkdir(parents=True, exist_ok=True)
    total = sum(plan.work for plan in plans)
    done, entries = 0.0, []
    for number, plan in enumerate(plans):

        def step(part: float, done: float = done, plan: _Plan = plan) -> None:
            progress((done + part * plan.work) / total, plan.study.description)

        step(0.0)
        rng = np.random.default_rng([seed, number])
        make = _make_ct if plan.is_ct else _make_film
        entries.append(make(plan, folder, rng, step, jobs))
        done += plan.work
    document = {"schema": SCHEMA, "seed": seed, "quick": quick, "simulated": True, "studies": entries}
    truth_path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    progress(1.0, "")
    return DemoLibrary(dicom, truth_path, uids)


def _plans(seed: int, *, quick: bool) -> list[_Plan]:
    def study(key: str, patient: tuple[Any, ...], day: date, time: str, description: str) -> SimulatedStudy:
        identifier, name, birth, sex, charset = patient
        return SimulatedStudy(
            seed=seed,
            key=f"{key}-quick" if quick else key,
            patient_id=identifier,
            patient_name=name,
            birth=birth,
            sex=sex,
            day=day,
            time=time,
            description=description,
            character_set=charset,
        )

    a = ("SIM-A", "SIMULATED^Adam", date(1959, 3, 14), "M", "ISO_IR 100")
    b = ("SIM-B", "SIMULATED^Ayşegül Işık", date(1984, 9, 2), "F", "ISO_IR 148")
    c = ("SIM-C", "SIMULATED^Carl", date(1971, 6, 30), "M", "ISO_IR 100")
    d = ("SIM-D", "SIMULATED^Çiğdem Şahin", date(1966, 11, 21), "F", "ISO_IR 192")
    grown = (
        Nodule(centre_mm=(-80.0, 12.0, 38.0), diameter_mm=11.0),
        Nodule(centre_mm=(70.0, 50.0, -12.0), diameter_mm=7.0),
    )
    smaller = (replace(grown[0], diameter_mm=8.0), grown[1])
    ill = Thorax(sex="M", size=1.03, fat_mm=10.0, emphysema=0.8, nodules=grown, seed=seed)
    well = Thorax(sex="F", fat_mm=16.0, seed=seed + 1)
    film = Thorax(sex="M", fat_mm=14.0, arms="down", seed=seed + 2)
    clear = Thorax(sex="F", size=1.04, fat_mm=13.0, arms="down", seed=seed + 3)
    opaque = replace(
        clear, consolidation=Consolidation(centre_mm=(-64.0, 18.0, -36.0), radius_mm=36.0, density=0.95)
    )
    plans = [
        _Plan(
            study=study("a-prior", a, date(2026, 4, 20), "091500", "CT chest, half a year before"),
            thorax=replace(ill, nodules=smaller),
            slices=60,
            thickness_mm=5.0,
            work=0.6,
        ),
        _Plan(
            study=study("a", a, date(2026, 10, 19), "101200", "CT chest"),
            thorax=ill,
            slices=112,
            thickness_mm=2.75,
            work=1.1,
        ),
        _Plan(
            study=study("b", b, date(2026, 10, 19), "113000", "CT chest"),
            thorax=well,
            slices=56,
            thickness_mm=5.0,
            work=0.56,
        ),
        _Plan(study=study("c", c, date(2026, 10, 20), "081000", "Chest film"), thorax=film, work=0.2),
        _Plan(
            study=study("d-prior", d, date(2025, 12, 3), "140500", "Chest film"),
            thorax=clear,
            photometric="MONOCHROME1",
            work=0.2,
        ),
        _Plan(study=study("d", d, date(2026, 10, 20), "084500", "Chest film"), thorax=opaque, work=0.2),
    ]
    if not quick:
        return plans
    small_film = FilmSettings(shape=(512, 480), pixel_mm=0.8)
    return [
        replace(plan, matrix=160, scanner=Scanner(views=240), film=small_film, **_QUICK_SLICES)
        if plan.is_ct
        else replace(plan, film=small_film)
        for plan in plans
    ]


def _make_ct(
    plan: _Plan, folder: Path, rng: np.random.Generator, step: Callable[[float], None], jobs: int
) -> dict[str, Any]:
    pixel = _FIELD_MM / plan.matrix
    shape = (plan.slices, plan.matrix, plan.matrix)
    spacing = (plan.thickness_mm, pixel, pixel)
    body = voxelise(plan.thorax, shape=shape, spacing_mm=spacing, jobs=jobs, progress=lambda f: step(0.2 * f))
    hu = simulate_ct(body.hu, pixel_mm=pixel, rng=rng, jobs=jobs, progress=lambda f: step(0.2 + 0.75 * f))
    geometry = Geometry.axial(shape, spacing, body.origin_mm)
    place = _folder(plan)
    write_ct(hu, geometry, plan.study, folder / place, description="chest, standard", kernel="SIM-STANDARD")
    masks = f"{plan.study.key}.npz"
    np.savez_compressed(
        folder / "truth" / masks,
        label=body.label,
        low_attenuation=np.packbits(body.low_attenuation()),
        affine=np.array(geometry.affine),
    )
    step(1.0)
    return {
        **_common(plan, place),
        "modality": "CT",
        "frame_of_reference": plan.study.uid("frame"),
        "spacing_mm": list(spacing),
        "masks": masks,
        "scanner": asdict(plan.scanner),
        **_ct_truth(plan.thorax, body),
    }


def _ct_truth(thorax: Thorax, body: VoxelThorax) -> dict[str, Any]:
    """Return what is true of the body before it is scanned."""
    voxel_ml = float(np.prod(body.spacing_mm)) / 1000.0
    lung = body.lung()
    low = body.low_attenuation()
    place = np.argwhere(low)
    centre = None
    if len(place):
        centre = [
            float(o + s * c)
            for o, s, c in zip(body.origin_mm, body.spacing_mm[::-1], place.mean(axis=0)[::-1], strict=True)
        ]
    return {
        "volume_ml": {
            "right_lung": np.count_nonzero(body.lung("right")) * voxel_ml,
            "left_lung": np.count_nonzero(body.lung("left")) * voxel_ml,
        },
        "laa_950_percent": 100.0 * np.count_nonzero(low) / np.count_nonzero(lung),
        "perc15_hu": float(np.percentile(body.hu[lung], 15.0)),
        "low_attenuation_centre_mm": centre,
        "emphysema": thorax.emphysema > 0.0,
        "nodules": [
            {
                "centre_mm": list(nodule.centre_mm),
                "diameter_mm": nodule.diameter_mm,
                "volume_mm3": np.pi / 6.0 * nodule.diameter_mm**3,
            }
            for nodule in thorax.nodules
        ],
    }


def _make_film(
    plan: _Plan, folder: Path, rng: np.random.Generator, step: Callable[[float], None], jobs: int
) -> dict[str, Any]:
    settings = plan.film
    film = simulate_film(plan.thorax, rng=rng, settings=settings, jobs=jobs)
    step(0.9)
    place = _folder(plan)
    write_film(
        film.values,
        plan.study,
        folder / place,
        pixel_mm=settings.pixel_mm,
        source_to_detector_mm=settings.source_to_detector_mm,
        magnification=film.magnification,
        photometric=plan.photometric,
    )
    opacity = None
    if film.opacity.any():
        rows, columns = np.nonzero(film.opacity)
        opacity = {
            "centre_row_column": [float(rows.mean()), float(columns.mean())],
            "radius_pixels": float(np.sqrt(len(rows) / np.pi)),
        }
    step(1.0)
    return {
        **_common(plan, place),
        "modality": "DX",
        "photometric": plan.photometric,
        "consolidation": opacity,
    }


def _folder(plan: _Plan) -> str:
    kind = "CT" if plan.is_ct else "DX"
    return f"dicom/{plan.study.patient_id}/{plan.study.day:%Y%m%d}_{kind}"


def _common(plan: _Plan, place: str) -> dict[str, Any]:
    study = plan.study
    return {
        "key": study.key,
        "study": study.uid(),
        "series": study.uid("CT" if plan.is_ct else "DX"),
        "patient_id": study.patient_id,
        "folder": place,
    }
