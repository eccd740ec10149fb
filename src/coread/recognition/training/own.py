"""Training of a model of one's own from a cohort: divisions, networks, figures, card, and its files.

What is left in the folder, for a model called NAME: ``NAME.onnx`` and ``card.toml`` (both taken by
`coread models import`), ``NAME.json`` (what was done and reached), ``predictions.csv`` (each case as judged
by networks that had not seen it), ``settings.toml``; and in it, or in a folder a fold, ``log.csv``, an event
file for TensorBoard, ``checkpoint.pt`` and, of a fold, ``model.onnx``.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from coread.core import card_from_table
from coread.errors import InputError
from coread.extras import require
from coread.recognition.importing import ImportedModel, Intensity, Specification
from coread.recognition.training.card import card_table, card_text, finished_model
from coread.recognition.training.cases import Cases, Reader, no_reader
from coread.recognition.training.checkpoint import Checkpoint
from coread.recognition.training.classify import Classification, ClassifyPlan
from coread.recognition.training.cohort import Cohort, Division, Kind, divisions, read_cohort
from coread.recognition.training.evidence import (
    Evidence,
    Member,
    Recipe,
    calibration,
    measured,
    training_data,
    write_predictions,
)
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.log import TrainingLog
from coread.recognition.training.loop import Device, LoopPlan, Progress, chosen_device, fit
from coread.recognition.training.segment import Segmentation, SegmentPlan
from coread.recognition.training.settings import TrainingSettings, changed_plan
from coread.recognition.training.unlabelled import SCHEMA, VERSION

Module = Any


def plan_of(settings: TrainingSettings) -> LoopPlan:
    """Return the plan of a model of one's own.

    Raises:
        InputError: The plan has no such field, or a value can't be.
    """
    plan: LoopPlan = ClassifyPlan() if settings.model == "classify" else SegmentPlan()
    return changed_plan(plan, settings.plan)


def train_own(
    settings: TrainingSettings,
    out: Path,
    *,
    read: Reader = no_reader,
    resume: bool = False,
    device: Device = "auto",
    threads: int = 1,
    progress: Progress,
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Train a model of one's own, write it with its card to a folder, and return the record of it.

    Args:
        settings: What to train on what.
        out: Folder, made where it is absent.
        read: Of DICOM and NIfTI files.
        resume: Whether to go on from the checkpoints in the folder.
        device: ``auto`` takes a GPU where there is one.
        threads: Of torch and of ONNX Runtime.
        progress: Told in words what is done.
        clock: Seconds since 1970.

    Raises:
        InputError: Settings that can't be followed, or no data.
        DataError: The cohort can't be used; its rows are told.
        MissingExtraError: torch, onnx or onnxscript is not installed.
    """
    if settings.data is None:
        raise InputError("no data", "a table of cases", "name it with --data, or as data in the settings")
    plan = plan_of(settings)
    torch = require("torch", extra="train")
    for package in ("onnx", "onnxscript"):  # before hours of training
        require(package, extra="train")
    place = chosen_device(device)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=place == "cuda")
    kind: Kind = "classify" if settings.model == "classify" else "segment"
    cohort = read_cohort(settings.data, kind, columns=settings.columns)
    parts = divisions(cohort, settings.folds, plan.seed)
    recipe = _recipe(cohort, Cases(read), plan, settings)
    draft = card_table(settings.name, recipe.specification, settings.card, training_data=cohort.name)
    card_from_table(draft)  # what is said about the model must fit before it is trained
    for division in parts:  # before the first of them is trained
        recipe.check(division)
    data = cohort.digest()
    told = [dataclasses.asdict(plan), dataclasses.asdict(recipe.specification), settings.folds, data]
    identity = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    progress(f"{len(cohort.rows)} images of {len(set(cohort.patients))} patients")

    def model_of(content: bytes) -> ImportedModel:
        return finished_model(settings.name, recipe.specification, draft, content, threads=threads)

    def trained(number: int, division: Division) -> Member:
        folder = out / division.name
        name = division.name.replace("_", " ") or "network"
        fitted = fit(
            recipe.task(division),
            plan,
            seed=plan.seed + number,
            device=place,
            checkpoint=Checkpoint(folder / "checkpoint.pt", f"{identity} {division.name}", resume),
            log=TrainingLog(folder, clock),
            progress=lambda words: progress(f"{name}: {words}"),
        )
        temperature = recipe.temperature(fitted.network, division.val)
        content = _exported([fitted.network], [temperature], recipe.specification, plan)
        if division.name:
            (folder / "model.onnx").write_bytes(content)
        chosen_with = recipe.judged(model_of(content), division.val)
        return Member(
            division,
            fitted.network,
            content,
            temperature,
            recipe.threshold(chosen_with, division.val),
            chosen_with,
            recipe.judged(model_of(content), division.test),
            fitted.epoch,
            len(fitted.rows),
        )

    members = tuple(trained(number, division) for number, division in enumerate(parts))
    networks, temperatures = ([getattr(m, name) for m in members] for name in ("network", "temperature"))
    content = (
        members[0].content
        if len(members) == 1
        else _exported(networks, temperatures, recipe.specification, plan)
    )
    threshold = recipe.threshold(
        np.concatenate([member.chosen_with for member in members]),
        np.concatenate([member.division.val for member in members]),
    )
    kept = [n for n, row in enumerate(cohort.rows) if row.part == "test" and settings.folds]
    apart = np.array(kept, dtype=np.int64)
    of_all = recipe.judged(model_of(content), apart)
    found = Evidence(cohort, recipe, members, apart, of_all, threshold)
    figures = measured(found)
    when = datetime.fromtimestamp(clock(), UTC)
    software = {
        "coread": version("coread"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "torch", "onnx", "onnxruntime")},
    }
    digest = hashlib.sha256(content).hexdigest()
    table = card_table(
        settings.name,
        recipe.specification,
        settings.card,
        training_data=training_data(found, seed=plan.seed, digest=data, software=software),
        weights=digest,
        threshold=None if threshold is None else round(threshold, 6),
        calibration=calibration(found),
        figures=figures,
        date=when.date().isoformat(),
    )
    record = {
        "schema": SCHEMA,
        "version": VERSION,
        "model": settings.name,
        "kind": settings.model,
        "weights": digest,
        "plan": dataclasses.asdict(plan),
        "specification": dataclasses.asdict(recipe.specification),
        "data": {
            "table": cohort.name,
            "sha256": data,
            "images": len(cohort.rows),
            "patients": len(set(cohort.patients)),
        },
        "networks": [_of_member(member, cohort) for member in members],
        "threshold": threshold,
        "metrics": {
            name: {"value": e.value, "low": e.low, "high": e.high, "data": on}
            for name, (e, on) in figures.items()
        },
        "software": software,
        "made": when.isoformat(timespec="seconds"),
        "device": place,
        "threads": threads,
    }
    (out / f"{settings.name}.onnx").write_bytes(content)
    (out / "card.toml").write_text(card_text(table, recipe.specification), encoding="utf-8")
    (out / "settings.toml").write_text(settings.to_toml(), encoding="utf-8")
    write_predictions(out / "predictions.csv", found)
    text = json.dumps(record, indent=2, sort_keys=True) + "\n"
    (out / f"{settings.name}.json").write_text(text, encoding="utf-8")
    return dict(json.loads(text))


def _of_member(member: Member, cohort: Cohort) -> dict[str, Any]:
    division = member.division
    sides = {"train": division.train, "val": division.val, "test": division.test}
    return {
        "name": division.name,
        "best_epoch": member.epoch,
        "epochs": member.epochs,
        "temperature": member.temperature,
        "threshold": member.threshold,
        "patients": {side: len({cohort.rows[n].patient for n in rows}) for side, rows in sides.items()},
    }


def _recipe(cohort: Cohort, cases: Cases, plan: LoopPlan, settings: TrainingSettings) -> Recipe:
    try:
        intensity = Intensity(**settings.intensity) if settings.intensity else None
    except TypeError as error:
        raise InputError(f"[intensity] {error}", "low, high, scale, subtract, divide") from error
    if isinstance(plan, ClassifyPlan):
        return Classification(cohort, cases, plan, classes=settings.classes, intensity=intensity)
    assert isinstance(plan, SegmentPlan)
    return Segmentation(cohort, cases, plan, labels=settings.labels, intensity=intensity)


def _exported(
    networks: Sequence[Module], temperatures: Sequence[float], specification: Specification, plan: LoopPlan
) -> bytes:
    """One ONNX file: ``image`` (n, 1, *window) to ``logits``, the mean of the networks' calibrated ones."""
    torch = require("torch", extra="train")

    class Mean(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.networks = torch.nn.ModuleList(networks)

        def forward(self, image: Any) -> Any:
            pairs = zip(self.networks, temperatures, strict=True)
            return torch.stack([network(image) / value for network, value in pairs]).mean(0)

    settings = {"seed": plan.seed, "torch": torch.__version__, "temperatures": list(temperatures)}
    return onnx_bytes(Mean(), (1, *specification.window), "image", ("logits",), settings, limit=None)
