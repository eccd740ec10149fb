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
from coread.recognition.training.settings import changed_plan

TRAINERS = MappingProxyType(
    {
        "adrenal_shape": "coread.recognition.training.adrenal",
        "cxr_pneumonia": "coread.recognition.training.pneumonia",
        "hippocampus": "coread.recognition.training.hippocampus",
        "lung_fields": "coread.recognition.training.lungs",
        "lv_cine": "coread.recognition.training.ventricle",
    }
)
Progress = Callable[[str], None]


def train_to(
    model: str,
    data: Path,
    folder: Path,
    *,
    changes: Mapping[str, Any],
    threads: int,
    progress: Progress,
) -> dict[str, Any]:
    """Train a model; write ``<model>.onnx`` and ``<model>.json`` to a folder and return the latter.

    Args:
        model: Name.
        data: Where the training data lie.
        folder: Made where it is absent.
        changes: Fields of the training's plan by name.
        threads: Of torch.
        progress: Told in words what is done.

    Raises:
        InputError: There is no such model, no such field of its plan, or nothing at `data`.
        MissingExtraError: torch is not installed.
    """
    if model not in TRAINERS:
        raise InputError(f"no training for {model!r}", f"one of {', '.join(TRAINERS)}")
    if not data.exists():
        raise InputError(f"nothing at {data}", f"the training data of {model}")
    module: Any = importlib.import_module(TRAINERS[model])
    plan = changed_plan(module.Plan(), changes)
    content, record = module.trained_record(data, plan, threads=threads, progress=progress)
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
