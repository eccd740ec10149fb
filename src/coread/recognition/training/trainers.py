"""Which training makes which model, and what it leaves in a folder."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coread.errors import InputError
from coread.recognition.training.cases import Reader, no_reader
from coread.recognition.training.checkpoint import Checkpoint
from coread.recognition.training.loop import Device
from coread.recognition.training.settings import KINDS, TrainingSettings, changed_plan

TRAINERS = MappingProxyType(
    {
        "adrenal_shape": "coread.recognition.training.adrenal",
        "body_part": "coread.recognition.training.body_part",
        "breast_us": "coread.recognition.training.breast",
        "cxr_pneumonia": "coread.recognition.training.pneumonia",
        "hippocampus": "coread.recognition.training.hippocampus",
        "lung_fields": "coread.recognition.training.lungs",
        "lv_cine": "coread.recognition.training.ventricle",
    }
)
RESUMABLE = frozenset(
    {"adrenal_shape", "breast_us", "cxr_pneumonia", "hippocampus", "lung_fields", "lv_cine"}
)
"""Trainings of the package that keep checkpoints; the others take a few minutes."""

Progress = Callable[[str], None]


def check_known(model: str) -> None:
    """Check that there is a training of this name.

    Raises:
        InputError: There is none.
    """
    if model not in TRAINERS and model not in KINDS:
        raise InputError(
            f"no training for {model!r}",
            f"{', '.join(KINDS)}, settings as TOML, or one of {', '.join(TRAINERS)}",
        )


def plan_of(settings: TrainingSettings) -> Any:
    """Return the plan of a training.

    Raises:
        InputError: There is no such training, no such field of its plan, or a value can't be.
    """
    check_known(settings.model)
    if settings.model in KINDS:
        from coread.recognition.training import own

        return own.plan_of(settings)
    module: Any = importlib.import_module(TRAINERS[settings.model])
    return changed_plan(module.Plan(), settings.plan)


def train_with(
    settings: TrainingSettings,
    folder: Path,
    *,
    read: Reader = no_reader,
    resume: bool = False,
    device: Device = "auto",
    threads: int = 1,
    progress: Progress,
) -> dict[str, Any]:
    """Train what settings say; write weights and record to a folder and return the record.

    Args:
        settings: What to train on what.
        folder: Made where it is absent.
        read: Of DICOM and NIfTI files of a cohort.
        resume: Whether to go on where it was stopped, see `RESUMABLE`; a model of one's own always can.
        device: For a model of one's own; CoRead's models are made on a CPU, so that they can be made again.
        threads: Of torch.
        progress: Told in words what is done.

    Raises:
        InputError: Settings that can't be followed.
        DataError: The data can't be used.
        MissingExtraError: torch is not installed.
    """
    check_known(settings.model)
    if settings.data is None:
        raise InputError("no data", "the training data", "name them with --data, or as data in the settings")
    if settings.model in KINDS:
        from coread.recognition.training import own

        return own.train_own(
            settings, folder, read=read, resume=resume, device=device, threads=threads, progress=progress
        )
    if device == "cuda":
        raise InputError(f"device cuda for {settings.model}", "a CPU", "leave it out")
    return train_to(
        settings.model,
        settings.data,
        folder,
        changes=settings.plan,
        threads=threads,
        progress=progress,
        resume=resume,
    )


def train_to(
    model: str,
    data: Path,
    folder: Path,
    *,
    changes: Mapping[str, Any],
    threads: int,
    progress: Progress,
    resume: bool = False,
) -> dict[str, Any]:
    """Train a model; write ``<model>.onnx`` and ``<model>.json`` to a folder and return the latter.

    Args:
        model: Name.
        data: Where the training data lie.
        folder: Made where it is absent.
        changes: Fields of the training's plan by name.
        threads: Of torch.
        progress: Told in words what is done.
        resume: Whether to go on from the checkpoints in the folder.

    Raises:
        InputError: There is no such model, no such field of its plan, nothing at `data`, or it keeps no
            checkpoints.
        MissingExtraError: torch is not installed.
    """
    if model not in TRAINERS:
        raise InputError(f"no training for {model!r}", f"one of {', '.join(TRAINERS)}")
    if not data.exists():
        raise InputError(f"nothing at {data}", f"the training data of {model}")
    module: Any = importlib.import_module(TRAINERS[model])
    plan = changed_plan(module.Plan(), changes)
    kept: dict[str, Any] = {}
    if model in RESUMABLE:
        identity = f"{model} {plan} {_digest(data)}"
        kept["checkpoint"] = Checkpoint(folder / "checkpoints" / f"{model}.pt", identity, resume)
    elif resume:
        raise InputError(
            f"resume for {model}",
            f"classify, segment, {', '.join(sorted(RESUMABLE))}, which keep checkpoints",
            "train it from its beginning",
        )
    content, record = module.trained_record(data, plan, threads=threads, progress=progress, **kept)
    record |= {
        "schema": "coread-training",
        "version": 1,
        "model": model,
        "weights": hashlib.sha256(content).hexdigest(),
        "plan": {field.name: str(getattr(plan, field.name)) for field in fields(plan)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{model}.onnx").write_bytes(content)
    (folder / f"{model}.json").write_text(
        json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    return dict(record)


def _digest(data: Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names."""
    total = hashlib.sha256()
    for path in sorted(p for p in data.rglob("*") if p.is_file()) if data.is_dir() else [data]:
        with path.open("rb") as file:
            total.update(
                f"{path.relative_to(data)} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
            )
    return total.hexdigest()
