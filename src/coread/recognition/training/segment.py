"""Training of a segmentation of pictures or volumes from a cohort of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError, InputError
from coread.extras import require
from coread.recognition.importing import ImportedModel, Intensity, Specification
from coread.recognition.inference import Window, resample_linear, sliding_window
from coread.recognition.metrics import Estimate
from coread.recognition.training import unet, unet3d
from coread.recognition.training.cases import Cases, Scan, named_labels, numbered, told_with_row
from coread.recognition.training.cohort import Cohort, Division
from coread.recognition.training.figures import dice_figures, label_dice
from coread.recognition.training.loop import LoopPlan, Steps
from coread.recognition.training.ordering import Uncertainty, mask_uncertainty

Tensor = Any
Module = Any
Generator = Any
AXES = "SPL"
MULTIPLE = {2: 16, 3: 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentPlan(LoopPlan):
    """How a segmentation is trained.

    Attributes:
        dimensions: 2 for slices or pictures, each seen whole; 3 for volumes, seen in windows.
        side: Pixels of a slice a side, whatever its own size; rows and columns of a window of a volume.
        slices: Of a window of a volume.
        spacing_mm: Of the grid in which volumes are seen, slices, rows, columns; empty for their own.
        overlap: Of windows, when a volume is segmented.
        angle: Largest turn in training, in radians.
        log_scale: Largest logarithm of the zoom.
        shift: Largest shift in half sides.
        mirror: Whether left and right may be exchanged in training.
    """

    dimensions: int = 2
    side: int = 128
    slices: int = 32
    spacing_mm: tuple[float, ...] = ()
    overlap: float = 0.25
    angle: float = 0.2
    log_scale: float = 0.15
    shift: float = 0.1
    mirror: bool = True

    def __post_init__(self) -> None:
        LoopPlan.__post_init__(self)
        if self.dimensions not in MULTIPLE:
            raise InputError(f"dimensions={self.dimensions}", "2 or 3")
        multiple = MULTIPLE[self.dimensions]
        if any(size < multiple or size % multiple for size in self.window):
            raise InputError(f"a window of {self.window}", f"multiples of {multiple}")
        if self.spacing_mm and (len(self.spacing_mm) != 3 or self.dimensions != 3):
            raise InputError(f"spacing_mm={self.spacing_mm}", "three millimetres, for volumes, or none")

    @property
    def window(self) -> tuple[int, ...]:
        """What the network sees at once."""
        return (self.side, self.side) if self.dimensions == 2 else (self.slices, self.side, self.side)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """A case as the network sees it: (slices, rows, columns) values and label numbers."""

    values: NDArray[np.float32]
    labels: NDArray[np.uint8]


def _loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy plus one minus the mean soft Dice of the labels over a batch."""
    functional = require("torch", extra="train").nn.functional
    said = logits.softmax(1)[:, 1:]
    there = functional.one_hot(wanted, logits.shape[1]).movedim(-1, 1)[:, 1:].float()
    along = (0, *range(2, said.ndim))
    overlap = (said * there).sum(along)
    both = said.sum(along) + there.sum(along)
    return functional.cross_entropy(logits, wanted) + (1 - (2 * overlap + 1) / (both + 1)).mean()


class _Task:
    """What slices and volumes have in common."""

    def __init__(
        self, train: Sequence[_Prepared], kept: Sequence[_Prepared], outputs: int, plan: SegmentPlan
    ) -> None:
        self.train, self.kept, self.outputs, self.plan = train, kept, outputs, plan

    def figures(self, network: Module, device: str) -> dict[str, float]:
        scores = [
            label_dice(self.said(network, case.values, device).argmax(axis=0), case.labels, self.outputs)
            for case in self.kept
        ]
        there = np.isfinite(scores)
        dice = float(np.mean(np.array(scores)[there])) if there.any() else 0.0
        return {"loss": 1 - dice, "dice": dice}

    def said(self, network: Module, values: NDArray[np.float32], device: str) -> NDArray[np.float32]:
        """Return (outputs, slices, rows, columns) logits."""
        raise NotImplementedError


class _SliceTask(_Task):
    def __init__(
        self, train: Sequence[_Prepared], kept: Sequence[_Prepared], outputs: int, plan: SegmentPlan
    ) -> None:
        super().__init__(train, kept, outputs, plan)
        torch = require("torch", extra="train")
        self.pictures = torch.from_numpy(np.concatenate([case.values for case in train]))[:, None]
        self.masks = torch.from_numpy(np.concatenate([case.labels for case in train]))
        self.cases = len(self.masks)

    def network(self) -> Module:
        return unet.unet(self.plan.width, self.outputs)

    def loss(self, network: Module, chosen: Tensor, generator: Generator, steps: Steps) -> Tensor:
        torch = require("torch", extra="train")
        wanted = torch.nn.functional.one_hot(self.masks[chosen].long(), self.outputs).movedim(-1, 1)
        change = unet.PictureChange(
            log_scale=self.plan.log_scale,
            angle=self.plan.angle,
            shift=self.plan.shift,
            mirror=self.plan.mirror,
        )
        shown, masks = unet.changed_pair(self.pictures[chosen], wanted[:, 1:].float(), generator, change)
        numbers = torch.cat([0.5 * torch.ones_like(masks[:, :1]), masks], 1).argmax(1)
        with steps.precision():
            logits = network(shown.to(steps.device))
        return _loss(logits.float(), numbers.to(steps.device))

    def said(self, network: Module, values: NDArray[np.float32], device: str) -> NDArray[np.float32]:
        torch = require("torch", extra="train")
        parts = torch.from_numpy(values)[:, None].split(self.plan.batch)
        return np.concatenate([network(p.to(device)).float().cpu().numpy() for p in parts]).swapaxes(0, 1)


class _VolumeTask(_Task):
    @property
    def cases(self) -> int:
        return len(self.train)

    def network(self) -> Module:
        return unet3d.unet(self.plan.width, self.outputs)

    def loss(self, network: Module, chosen: Tensor, generator: Generator, steps: Steps) -> Tensor:
        torch = require("torch", extra="train")
        cut = [self._window(self.train[int(n)], generator) for n in chosen]
        values = torch.from_numpy(np.stack([case.values for case in cut]))[:, None]
        labels = torch.from_numpy(np.stack([case.labels for case in cut]))
        change = unet3d.VolumeChange(
            angle=self.plan.angle,
            log_scale=self.plan.log_scale,
            shift=self.plan.shift * min(self.plan.window) / 2,
            mirror=self.plan.mirror,
        )
        shown, wanted = unet3d.changed_pair(values, labels, generator, change)
        with steps.precision():
            logits = network(shown.to(steps.device))
        return _loss(logits.float(), wanted.to(steps.device))

    def _window(self, case: _Prepared, generator: Generator) -> _Prepared:
        """Cut a window: about a labelled voxel every other time, else anywhere."""
        torch = require("torch", extra="train")
        size, shape = self.plan.window, case.values.shape
        inside = np.argwhere(case.labels)
        share = torch.rand(4, generator=generator).tolist()
        if len(inside) and share[3] < 0.5:
            middle = inside[int(torch.randint(len(inside), (1,), generator=generator))]
        else:
            middle = [part * n for part, n in zip(share, shape, strict=False)]
        start = [
            min(max(int(m) - s // 2, 0), max(n - s, 0)) for m, s, n in zip(middle, size, shape, strict=True)
        ]
        part = tuple(slice(a, a + s) for a, s in zip(start, size, strict=True))
        values, labels = case.values[part], case.labels[part]
        room = [
            (max(s - n, 0) // 2, max(s - n, 0) - max(s - n, 0) // 2)
            for s, n in zip(size, values.shape, strict=True)
        ]
        return _Prepared(np.pad(values, room), np.pad(labels, room))

    def said(self, network: Module, values: NDArray[np.float32], device: str) -> NDArray[np.float32]:
        torch = require("torch", extra="train")

        def predict(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            answer: NDArray[np.float32] = network(torch.from_numpy(batch).to(device)).float().cpu().numpy()
            return answer

        return sliding_window(values[None], predict, Window(size=self.plan.window, overlap=self.plan.overlap))


class Segmentation:
    """All images of a cohort as the network sees them, their masks, and what is done with them.

    Args:
        cohort: With masks.
        cases: Opens what it names.
        plan: How to train.
        labels: Names of the masks' values; ``label_3`` where nothing is said.
        intensity: How values become what the network sees. If not said, by the image itself: slices from
            0 to 1, volumes to mean 0 and deviation 1.

    Raises:
        DataError: An image or a mask can't be used, or they have different shapes.
    """

    def __init__(
        self,
        cohort: Cohort,
        cases: Cases,
        plan: SegmentPlan,
        *,
        labels: Mapping[int, str] | None = None,
        intensity: Intensity | None = None,
    ) -> None:
        self.cohort, self.plan, self._cases = cohort, plan, cases
        scans: list[Scan] = []
        truths: list[NDArray[np.int64]] = []
        first_row: dict[int, int] = {}
        for row in cohort.rows:
            with told_with_row(cohort, row):
                assert row.mask is not None  # of a cohort with masks
                scan = cases.scan(row.image)
                truth = cases.labels(row.mask, scan)
                for value in np.unique(truth):
                    first_row.setdefault(int(value), row.number)
            scans.append(scan)
            truths.append(truth)
        self._values, names = named_labels(set(first_row), labels or {}, first_row)
        scale = "min-max" if plan.dimensions == 2 else "z-score"
        self.specification = Specification(
            task="segment",
            channels=("image",),
            intensities=(intensity or Intensity(scale=scale),),  # type: ignore[arg-type]
            outputs=names,
            activation="softmax",
            window=plan.window,
            spacing_mm=plan.spacing_mm or None,
            axes=AXES if plan.dimensions == 3 else None,
            overlap=plan.overlap,
            fit=plan.dimensions == 2,
        )
        self._truths = truths
        self._prepared = []
        for row, scan, truth in zip(cohort.rows, scans, truths, strict=True):
            with told_with_row(cohort, row):
                self._prepared.append(self._seen(scan, numbered(truth, self._values)))

    def _seen(self, scan: Scan, numbers: NDArray[np.int64]) -> _Prepared:
        said = self.specification
        values, geometry = scan.volume()
        seen = said.volume([values], geometry)
        one_hot = np.stack([numbers.reshape(values.shape) == n for n in range(len(said.outputs))])
        truth = said.grid(geometry).to_network(one_hot.astype(np.float32))
        if said.fit:
            seen, truth = (
                np.stack([resample_linear(part[:, n], said.window) for n in range(part.shape[1])], axis=1)
                for part in (seen, truth)
            )
            if seen.min() < -0.5 or seen.max() > 1.5:
                raise DataError(
                    f"values from {seen.min():g} to {seen.max():g} after scaling",
                    "about 0 to 1, in which slices are changed in training",
                    "scale them by min-max, or by low, high, subtract and divide",
                )
        return _Prepared(seen[0], truth.argmax(axis=0).astype(np.uint8))

    def check(self, division: Division) -> None:
        """Check that a division has what is needed.

        Raises:
            DataError: A label is not in its train part.
        """
        found = {int(n) for row in division.train for n in np.unique(self._truths[row])}
        for value, name in zip(self._values, self.specification.outputs, strict=True):
            if value and value not in found:
                raise DataError(f"no mask with {name!r} to learn from", "some with each label")

    def task(self, division: Division) -> _SliceTask | _VolumeTask:
        """Return what is learnt in a division."""
        train, val = ([self._prepared[n] for n in side] for side in (division.train, division.val))
        kind = _SliceTask if self.plan.dimensions == 2 else _VolumeTask
        return kind(train, val, len(self.specification.outputs), self.plan)

    def temperature(self, network: Module, rows: NDArray[np.int64]) -> float:
        """Return 1: outlines are not calibrated."""
        return 1.0

    def judged(self, model: ImportedModel, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (n, labels) Dice of the finished model on some rows, on the images' own grids."""
        out = []
        for n in rows:
            values, geometry = self._cases.scan(self.cohort.rows[n].image).volume()
            said = model.probabilities([values], geometry).argmax(axis=0)
            truth = numbered(self._truths[n], self._values).reshape(values.shape)
            out.append(label_dice(said, truth, len(self.specification.outputs)))
        return np.array(out).reshape(-1, len(self.specification.outputs) - 1)

    def threshold(self, judged: NDArray[np.float64], rows: NDArray[np.int64]) -> float | None:
        """Return None: the likeliest label is taken."""
        return None

    def figures(
        self, judged: NDArray[np.float64], rows: NDArray[np.int64], thresholds: Sequence[float | None]
    ) -> dict[str, Estimate]:
        """Return figures of some rows."""
        patients = [self.cohort.rows[n].patient for n in rows]
        return dice_figures(judged, patients, self.specification.outputs[1:], seed=self.plan.seed)


def uncertainty(models: Sequence[ImportedModel], scan: Scan) -> tuple[Uncertainty, str]:
    """Return how unsure models are about an image, and which labels they find in it."""
    values, geometry = scan.volume()
    said = np.stack([model.probabilities([values], geometry) for model in models])
    found = np.unique(said.mean(axis=0).argmax(axis=0))
    return mask_uncertainty(said), ", ".join(models[0].specification.outputs[int(n)] for n in found if n)
