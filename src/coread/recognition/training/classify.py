"""Training of a classifier of pictures from a cohort of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from coread.errors import DataError, InputError
from coread.extras import require
from coread.recognition.importing import ImportedModel, Intensity, Specification
from coread.recognition.metrics import Estimate, auc
from coread.recognition.training.cases import Cases, Scan, told_with_row
from coread.recognition.training.cohort import Cohort, Division
from coread.recognition.training.figures import best_threshold, class_figures
from coread.recognition.training.films import Change, changed, stretched
from coread.recognition.training.loop import LoopPlan, Steps
from coread.recognition.training.networks import film_network
from coread.recognition.training.ordering import Uncertainty, class_uncertainty

Tensor = Any
Module = Any
Generator = Any
BATCH = 64
LEAST_SIDE = 28
LOG_TEMPERATURE = (-1.0, 3.0)
_PURPOSE = {"train": "learn from", "val": "choose with", "test": "judge by"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyPlan(LoopPlan):
    """How a classifier is trained.

    Attributes:
        side: Pixels a side at which the network sees a picture, whatever its own size.
        change: How far pictures are changed in training, as part of `films.Change`.
        mirror: Whether left and right may be exchanged in training: not where the side is what is asked.
        smoothing: Of the labels.
    """

    side: int = 64
    change: float = 1.0
    mirror: bool = True
    smoothing: float = 0.05

    def __post_init__(self) -> None:
        LoopPlan.__post_init__(self)
        if self.side < LEAST_SIDE or self.change < 0 or not 0 <= self.smoothing < 1:
            raise InputError(
                f"side={self.side}, change={self.change}, smoothing={self.smoothing}",
                f"a side of {LEAST_SIDE} or more, change from 0, smoothing from 0 to below 1",
            )


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """Pictures (n, 1, side, side) with class numbers, to learn from and to choose with."""

    pictures: Tensor
    labels: Tensor
    kept: Tensor
    kept_labels: Tensor
    classes: int
    plan: ClassifyPlan

    @property
    def cases(self) -> int:
        return len(self.labels)

    def network(self) -> Module:
        return film_network(self.plan.width, self.classes, side=self.plan.side)

    def loss(self, network: Module, chosen: Tensor, generator: Generator, steps: Steps) -> Tensor:
        torch = require("torch", extra="train")
        pictures = self.pictures[chosen]
        if self.plan.change:
            by = self.plan.change
            amounts = {f.name: by * getattr(Change(), f.name) for f in fields(Change) if f.name != "mirror"}
            change = Change(**amounts, mirror=self.plan.mirror)
            pictures = stretched(changed(pictures, generator, change))
        with steps.precision():
            logits = network(pictures.to(steps.device))
        return torch.nn.functional.cross_entropy(
            logits.float(), self.labels[chosen].to(steps.device), label_smoothing=self.plan.smoothing
        )

    def figures(self, network: Module, device: str) -> dict[str, float]:
        torch = require("torch", extra="train")
        logits = torch.cat([network(part.to(device)).float().cpu() for part in self.kept.split(BATCH)])
        out = {
            "loss": float(torch.nn.functional.cross_entropy(logits, self.kept_labels)),
            "accuracy": float((logits.argmax(1) == self.kept_labels).float().mean()),
        }
        if self.classes == 2 and 0 < int(self.kept_labels.sum()) < len(self.kept_labels):
            out["auc"] = auc(self.kept_labels.numpy(), (logits[:, 1] - logits[:, 0]).numpy())
        return out


class Classification:
    """All pictures of a cohort in the size in which the network sees them, and what is done with them.

    Args:
        cohort: With labels.
        cases: Opens what it names.
        plan: How to train.
        classes: Their order, the one that is looked for last; that of their names where none is given.
        intensity: How values become what the network sees: from 0 to 1 by the image itself if not said.

    Raises:
        DataError: A picture can't be used, or there are no two classes.
        InputError: The classes given are not those of the cohort.
    """

    def __init__(
        self,
        cohort: Cohort,
        cases: Cases,
        plan: ClassifyPlan,
        *,
        classes: Sequence[str] = (),
        intensity: Intensity | None = None,
    ) -> None:
        found = cohort.classes
        if classes and set(classes) != set(found):
            raise InputError(f"classes {', '.join(classes)}", f"those of the table: {', '.join(found)}")
        if len(found) < 2:
            raise DataError(f"{cohort.name} with the class {', '.join(found)} alone", "two classes or more")
        self.cohort, self.plan = cohort, plan
        self.specification = Specification(
            task="classify",
            channels=("image",),
            intensities=(intensity or Intensity(scale="min-max"),),
            outputs=tuple(classes) or found,
            activation="softmax",
            window=(plan.side, plan.side),
        )
        self._cases = cases
        pictures = []
        for row in cohort.rows:
            with told_with_row(cohort, row):
                pictures.append(self.specification.picture(cases.scan(row.image).picture().values))
        self._pictures = np.stack(pictures)
        names = {name: number for number, name in enumerate(self.specification.outputs)}
        self.labels = np.array([names[row.label or ""] for row in cohort.rows], dtype=np.int64)

    def check(self, division: Division) -> None:
        """Check that a division has what is needed.

        Raises:
            DataError: A class is not in its train part; one of two classes is not in a part.
        """
        outputs = self.specification.outputs
        for part in ("train", "val", "test") if len(outputs) == 2 else ("train",):
            rows = getattr(division, part)
            absent = [name for n, name in enumerate(outputs) if not (self.labels[rows] == n).any()]
            if absent and (len(rows) or part == "train"):
                raise DataError(f"no case of {absent[0]!r} to {_PURPOSE[part]}", "some of each class")

    def task(self, division: Division) -> _Task:
        """Return what is learnt in a division."""
        torch = require("torch", extra="train")
        train, val = (torch.from_numpy(self._pictures[side]) for side in (division.train, division.val))
        labels = torch.from_numpy(self.labels)
        classes = len(self.specification.outputs)
        return _Task(train, labels[division.train], val, labels[division.val], classes, self.plan)

    def temperature(self, network: Module, rows: NDArray[np.int64]) -> float:
        """Return what logits are divided by so that probabilities are those of these rows.

        References:
            Guo et al., On calibration of modern neural networks, ICML 2017.
        """
        torch = require("torch", extra="train")
        with torch.no_grad():
            parts = torch.from_numpy(self._pictures[rows]).split(BATCH)
            logits = np.concatenate([network(part).double().numpy() for part in parts])
        return fitted_temperature(logits, self.labels[rows])

    def judged(self, model: ImportedModel, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (n, classes) probabilities of the finished model on some rows."""
        scans = (self._cases.scan(self.cohort.rows[n].image) for n in rows)
        out = [list(model.classify(scan.picture()).values()) for scan in scans]
        return np.array(out).reshape(-1, len(self.specification.outputs))

    def threshold(self, judged: NDArray[np.float64], rows: NDArray[np.int64]) -> float | None:
        """Return the operating point of two classes on some rows, None for more classes."""
        if len(self.specification.outputs) > 2:
            return None
        return best_threshold(self.labels[rows], judged[:, 1])

    def figures(
        self, judged: NDArray[np.float64], rows: NDArray[np.int64], thresholds: Sequence[float | None]
    ) -> dict[str, Estimate]:
        """Return figures of some rows, each with its threshold."""
        patients = [self.cohort.rows[n].patient for n in rows]
        cuts = None if None in thresholds else np.array(thresholds, dtype=np.float64)
        outputs, seed = self.specification.outputs, self.plan.seed
        return class_figures(self.labels[rows], judged, patients, outputs, cuts, seed=seed)


def uncertainty(models: Sequence[ImportedModel], scan: Scan) -> tuple[Uncertainty, str]:
    """Return how unsure models are about a picture, and the class that they find likeliest."""
    said = np.array([list(model.classify(scan.picture()).values()) for model in models])
    return class_uncertainty(said), models[0].specification.outputs[int(said.mean(axis=0).argmax())]


def fitted_temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature with the least cross-entropy on (n, classes) logits."""

    def cost(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        away = scaled - scaled.max(axis=1, keepdims=True)
        chosen = away[np.arange(len(labels)), labels] - np.log(np.exp(away).sum(axis=1))
        return float(-chosen.mean())

    return float(np.exp(minimize_scalar(cost, bounds=LOG_TEMPERATURE, method="bounded").x))
