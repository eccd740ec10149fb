"""What a network from outside takes and gives, in numbers; written as JSON, read from the card's table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from coread.core import Geometry
from coread.errors import DataError
from coread.recognition.inference import NetworkGrid

Scale = Literal["none", "min-max", "z-score", "z-score-nonzero"]
Activation = Literal["softmax", "sigmoid", "none"]
Task = Literal["segment", "classify"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """How values become what a channel expects: clip, scale by the image, then subtract and divide.

    Attributes:
        low: Values below become this; None leaves them.
        high: Values above become this; None leaves them.
        scale: By the image itself: to 0 to 1, to mean 0 and deviation 1, or that over values that are
            not 0 only (which stay 0).
        subtract: Then taken away.
        divide: Then divided by.
    """

    low: float | None = None
    high: float | None = None
    scale: Scale = "none"
    subtract: float = 0.0
    divide: float = 1.0

    def __post_init__(self) -> None:
        if self.scale not in get_args(Scale) or self.divide == 0:
            raise DataError(f"scale {self.scale!r}, divide {self.divide}", f"one of {get_args(Scale)}, not 0")

    def of(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return the channel.

        Examples:
            >>> lung = Intensity(low=-1024, high=600, subtract=-1024, divide=1624)
            >>> lung.of(np.array([-2000, 600])).tolist()
            [0.0, 1.0]
        """
        out = values.astype(np.float32)
        if self.low is not None or self.high is not None:
            out = np.clip(out, self.low, self.high)
        if self.scale == "min-max":
            out = (out - out.min()) / max(float(np.ptp(out)), 1e-8)
        elif self.scale == "z-score":
            out = (out - out.mean()) / max(float(out.std()), 1e-8)
        elif self.scale == "z-score-nonzero":
            inside = out != 0
            if inside.any():
                chosen = out[inside]
                out[inside] = (chosen - chosen.mean()) / max(float(chosen.std()), 1e-8)
        return np.asarray((out - np.float32(self.subtract)) / np.float32(self.divide), dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """What a network takes and gives.

    Attributes:
        task: segment or classify.
        channels: What each input channel shows, in order.
        intensities: One for each channel.
        outputs: What each output is, in order; with softmax the first is the background.
        activation: What turns outputs into probabilities; ``none`` where the network did it.
        window: Size along the network's axes (two or three).
        spacing_mm: Along the network's axes, or None to keep the image's.
        axes: Where the network's axes run to, such as ``RAS``; None keeps the stored order.
        transpose: Order of the stored axes where they are kept.
        overlap: Of windows.
        fit: Whether the whole image is resized to the window instead of cut into windows.
        flips: Axes over whose flips the network may be averaged.
        cubic: Whether an image goes in by cubic splines, as with nnU-Net; else linearly.
    """

    task: Task
    channels: tuple[str, ...]
    intensities: tuple[Intensity, ...]
    outputs: tuple[str, ...]
    activation: Activation
    window: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None = None
    axes: str | None = None
    transpose: tuple[int, int, int] = (0, 1, 2)
    overlap: float = 0.5
    fit: bool = False
    flips: tuple[int, ...] = ()
    cubic: bool = False

    def __post_init__(self) -> None:
        if self.task not in get_args(Task) or self.activation not in get_args(Activation):
            raise DataError(
                f"task {self.task!r}, activation {self.activation!r}",
                f"one of {get_args(Task)} and one of {get_args(Activation)}",
            )
        if not self.channels or len(self.channels) != len(self.intensities):
            raise DataError(
                f"{len(self.channels)} channels and {len(self.intensities)} intensities",
                "one for each channel",
            )
        if not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise DataError(f"outputs {list(self.outputs)}", "one or more, each named once")
        if len(self.window) not in (2, 3) or min(self.window) < 1:
            raise DataError(f"a window of {self.window}", "two or three positive sizes")
        if self.spacing_mm is not None and (
            len(self.spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm)
        ):
            raise DataError(
                f"spacing {self.spacing_mm} for a window of {self.window}", "three positive millimetres"
            )
        if sorted(self.transpose) != [0, 1, 2] or not set(self.flips) <= set(range(len(self.window))):
            raise DataError(f"transpose {self.transpose}, flips {self.flips}", "axes of the image")

    def picture(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return (channels, rows, columns) of the window from a picture (rows, columns[, colours])."""
        film = np.asarray(values, dtype=np.float32)
        film = film.mean(axis=-1) if film.ndim == 3 else film
        rows, columns = self.window
        small = np.asarray(Picture.fromarray(film).resize((columns, rows), Picture.Resampling.BILINEAR))
        return np.stack([intensity.of(small) for intensity in self.intensities])

    @property
    def order(self) -> tuple[int, int, int]:
        """Order of the stored axes before anything else; as stored where `axes` says where they run to."""
        return self.transpose if self.axes is None else (0, 1, 2)

    def grid(self, geometry: Geometry) -> NetworkGrid:
        """Return the grid in which the network sees a volume whose axes are in `order`."""
        affine = np.array(geometry.affine)
        affine[:3, :3] = affine[:3, list(self.order)]
        slices, rows, columns = (geometry.shape[axis] for axis in self.order)
        spacing = self.spacing_mm
        return NetworkGrid(
            Geometry((slices, rows, columns), affine),
            self.axes,
            None if spacing is None else (spacing[0], spacing[1], spacing[2]),
            self.cubic,
        )

    def volume(self, channels: Sequence[NDArray[Any]], geometry: Geometry) -> NDArray[np.float32]:
        """Return (channels, *space) on `grid` from one (slices, rows, columns) array for each channel."""
        scaled = np.stack([i.of(c) for i, c in zip(self.intensities, channels, strict=True)])
        return self.grid(geometry).to_network(scaled.transpose(0, *(axis + 1 for axis in self.order)))

    def probabilities(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return probabilities of (outputs, ...) values of the network."""
        if self.activation == "softmax":
            exponents = np.exp(values - values.max(axis=0))
            return np.asarray(exponents / exponents.sum(axis=0), dtype=np.float32)
        if self.activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-values.astype(np.float64))), dtype=np.float32)
        return values

    @property
    def labels(self) -> tuple[str, ...]:
        """What a segmentation outlines: its outputs without the background."""
        apart = self.activation == "sigmoid" or len(self.outputs) == 1
        return self.outputs if apart else self.outputs[1:]

    def regions(self, probabilities: NDArray[np.float32]) -> dict[str, NDArray[np.bool_]]:
        """Return the region of each of `labels` from probabilities (outputs, ...).

        Outputs that exclude each other give the likeliest one, others each what reaches one half.
        """
        if self.labels == self.outputs:
            return {name: probabilities[n] >= 0.5 for n, name in enumerate(self.outputs)}
        best = probabilities.argmax(axis=0)
        return {name: best == n for n, name in enumerate(self.labels, start=1)}

    def check_network(self, channels: int, outputs: int) -> None:
        """Check that a network has these channels and outputs.

        Raises:
            DataError: It has others.
        """
        if channels != len(self.channels):
            raise DataError(
                f"a network of {channels} input channels",
                f"{len(self.channels)}: {', '.join(self.channels)}",
                "correct the channels in the model's description or in the table [import] of the card",
            )
        if outputs != len(self.outputs):
            raise DataError(
                f"a network of {outputs} outputs",
                f"{len(self.outputs)} labels: {', '.join(self.outputs)}",
                "correct the labels in the model's description or the outputs in [import] of the card",
            )

    def with_table(self, table: Mapping[str, Any]) -> Specification:
        """Return this with the fields that a table names."""
        return specification_from_table({**dataclasses.asdict(self), **table})


def specification_from_table(table: Mapping[str, Any]) -> Specification:
    """Return a specification from plain values, as JSON and TOML have them.

    Raises:
        DataError: A field is unknown, missing or not of its kind.
    """
    values = dict(table)
    known = [field.name for field in dataclasses.fields(Specification)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise DataError(f"fields {', '.join(unknown)} of a network", f"some of {', '.join(known)}")
    try:
        for name in ("channels", "outputs", "window", "spacing_mm", "transpose", "flips"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        values["intensities"] = tuple(
            each if isinstance(each, Intensity) else Intensity(**each) for each in values["intensities"]
        )
        return Specification(**values)
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(
            f"an incomplete description of the network ({error})",
            "task, channels, intensities, outputs, activation and window",
            "fill the table [import] of the card",
        ) from error
