"""Networks on whole images: sliding windows, mean over flips, and the way back to the original grid."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from coread.core import Geometry
from coread.errors import CancelledError, DataError, InputError
from coread.imaging.orientation import Orientation
from coread.recognition.runtime import Network

# (n, channels, *window) float32 in, (n, outputs, *window) float32 out
Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Progress = Callable[[float], None]
Cancel = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How an image is cut into windows and put together again.

    Attributes:
        size: Pixels or voxels along each axis, as the network takes them.
        overlap: Least share of a window that it has in common with the next one, 0 to below 1.
        sigma: Deviation of the Gaussian that weighs a window, as share of its size.
        batch: Windows that the network gets at once.
        outside: Value beyond the edge, where the image is smaller than a window.
    """

    size: tuple[int, ...]
    overlap: float = 0.5
    sigma: float = 0.125
    batch: int = 1
    outside: float = 0.0

    def __post_init__(self) -> None:
        if not self.size or min(self.size) < 1 or self.batch < 1:
            raise InputError(f"windows of {self.size}, {self.batch} at once", "positive whole numbers")
        if not 0 <= self.overlap < 1 or self.sigma <= 0:
            raise InputError(
                f"overlap {self.overlap}, sigma {self.sigma}", "overlap from 0 to below 1, sigma above 0"
            )


def gaussian_weights(size: Sequence[int], sigma: float) -> NDArray[np.float32]:
    """Return the weight of each place of a window: 1 in the middle, less towards the edge.

    Args:
        size: Of the window.
        sigma: Deviation as share of the size.

    Returns:
        Float32 of the window's size; at least 1e-3, so that no place is left without an answer.
    """
    weights = np.ones((), dtype=np.float64)
    for n in size:
        place = (np.arange(n) - (n - 1) / 2) / (sigma * n)
        weights = np.multiply.outer(weights, np.exp(-0.5 * place**2))
    return np.asarray(np.maximum(weights / weights.max(), 1e-3), dtype=np.float32)


def window_starts(length: int, size: int, overlap: float) -> tuple[int, ...]:
    """Return where windows begin along an axis; the same places counted from either end.

    Examples:
        >>> window_starts(10, 4, 0.5)
        (0, 2, 4, 6)
        >>> window_starts(3, 4, 0.5)
        (0,)
    """
    span = length - size
    if span <= 0:
        return (0,)
    step = max(int(size * (1 - overlap)), 1)
    count = -(-span // step) + 1
    if count % 2 and span % 2:
        count += 1  # a window in the middle would lie half a place off it
    first = [-(-i * span // (count - 1)) for i in range(count // 2)]
    middle = [span // 2] if count % 2 else []
    return tuple(first + middle + [span - start for start in reversed(first)])


def memory_bound(shape: Sequence[int], channels: int, outputs: int, window: Window) -> int:
    """Return the most bytes that `sliding_window` takes beside the image and the network's own memory.

    The sums of outputs and of weights on the image, six windows' worth of working space for each window
    of a batch, and 1 MiB.
    """
    places = int(np.prod(np.maximum(shape, window.size)))
    inside = int(np.prod(window.size))
    work = 6 * window.batch * inside * max(channels, outputs)
    return 4 * (places * (outputs + 1) + work + 8 * inside) + 2**20


def sliding_window(
    image: NDArray[Any],
    predict: Predict,
    window: Window,
    *,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> NDArray[np.float32]:
    """Return what a network says about every place of an image of any size.

    Windows are symmetric about the middle of the image, so a network that treats both directions alike
    gives a flipped image the flipped answer.

    Args:
        image: (channels, *space), two or three axes of space.
        predict: Of windows, (n, channels, *size) to (n, outputs, *size); linear outputs (logits), which
            can be averaged.
        window: How to cut; as many sizes as axes of space.
        progress: Is told the part done, 0 to 1, after each batch.
        cancel: Asked before each batch.

    Returns:
        (outputs, *space) float32: Gaussian-weighted mean over the windows.

    Raises:
        InputError: The image has other axes than the window.
        DataError: The network answers in another shape.
        CancelledError: ``cancel`` said so.
    """
    space = image.shape[1:]
    if len(space) != len(window.size):
        raise InputError(
            f"an image of shape {image.shape}",
            f"channels and {len(window.size)} axes, as the window {window.size} has",
        )
    weights = gaussian_weights(window.size, window.sigma)
    starts = list(
        itertools.product(
            *(window_starts(n, s, window.overlap) for n, s in zip(space, window.size, strict=True))
        )
    )
    before = [max(s - n, 0) // 2 for n, s in zip(space, window.size, strict=True)]
    total: NDArray[np.float32] | None = None
    weight_sum = np.zeros(space, dtype=np.float32)
    for done in range(0, len(starts), window.batch):
        if cancel is not None and cancel():
            raise CancelledError(f"cancelled after {done} of {len(starts)} windows")
        chosen = starts[done : done + window.batch]
        batch = np.full((len(chosen), image.shape[0], *window.size), window.outside, dtype=np.float32)
        places = [_places(start, before, window.size, space) for start in chosen]
        for part, (there, here) in zip(batch, places, strict=True):
            part[(slice(None), *here)] = image[(slice(None), *there)]
        answers = predict(batch)
        if answers.shape[0] != len(chosen) or answers.shape[2:] != window.size:
            raise DataError(
                f"an answer of shape {answers.shape} to windows of shape {batch.shape}",
                "one answer a window, of the window's size",
                "use a network that keeps the size",
            )
        if total is None:
            total = np.zeros((answers.shape[1], *space), dtype=np.float32)
        for answer, (there, here) in zip(answers, places, strict=True):
            total[(slice(None), *there)] += answer[(slice(None), *here)] * weights[here]
            weight_sum[there] += weights[here]
        if progress is not None:
            progress(min((done + window.batch) / len(starts), 1.0))
    assert total is not None  # there is at least one window
    total /= weight_sum
    return total


def _places(
    start: Sequence[int], before: Sequence[int], size: Sequence[int], space: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a window lies in the image, and that part in the window (an image may be the smaller one)."""
    there = tuple(slice(a, min(a + s, n)) for a, s, n in zip(start, size, space, strict=True))
    here = tuple(slice(b, b + t.stop - t.start) for b, t in zip(before, there, strict=True))
    return there, here


def mean_over_flips(predict: Predict, axes: Sequence[int]) -> Predict:
    """Return a predictor that averages over all flips of some axes of space (test-time augmentation).

    Args:
        predict: Of windows.
        axes: Axes of space that may be flipped, 0 the first after the channels; none changes nothing.

    Returns:
        A predictor of 2 to the power of the number of axes times the cost, whose answer to a flipped
        window is the flipped answer.
    """
    combinations = [
        chosen
        for count in range(len(axes) + 1)
        for chosen in itertools.combinations(sorted(set(axes)), count)
    ]

    def mean(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        total: NDArray[np.float32] | None = None
        for chosen in combinations:
            turned = tuple(axis + 2 for axis in chosen)
            answer = np.flip(predict(np.ascontiguousarray(np.flip(batch, turned))), turned)
            total = answer.astype(np.float32) if total is None else np.add(total, answer, out=total)
        assert total is not None  # not to flip is one of the combinations
        total /= len(combinations)
        return total

    return mean


def network_predictor(network: Network, output: str | None = None) -> Predict:
    """Return a predictor from an ONNX network with one input.

    Args:
        network: Any with one float32 input; a fixed first axis is obeyed.
        output: Name of its output; the first where none is given.

    Raises:
        InputError: The network has several inputs, or no such output.
    """
    name = output or network.outputs[0]
    if len(network.inputs) != 1 or name not in network.outputs:
        raise InputError(
            f"a network with inputs {sorted(network.inputs)} and outputs {list(network.outputs)}",
            f"one input and the output {name!r}",
        )
    ((source, shape),) = network.inputs.items()
    at_once = shape[0] if isinstance(shape[0], int) else None

    def predict(batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if at_once is None or at_once == len(batch):
            return network.run({source: batch})[name]
        missing = -len(batch) % at_once
        filled = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.float32)])
        parts = [network.run({source: filled[n : n + at_once]})[name] for n in range(0, len(filled), at_once)]
        return np.concatenate(parts)[: len(batch)]

    return predict


def resample_linear(values: NDArray[Any], shape: Sequence[int]) -> NDArray[np.float32]:
    """Return values on a grid of the same extent with another number of places.

    Every place stands for an equal block of the extent; between the centres of the blocks values are
    linear, outside the outermost centres constant. An axis whose length stays is left exactly as it is.

    Args:
        values: (channels, *space).
        shape: New space.
    """
    out = values.astype(np.float32)
    for axis, size in enumerate(shape, start=1):
        old = out.shape[axis]
        if old == size:
            continue
        place = np.clip((np.arange(size) + 0.5) * old / size - 0.5, 0, old - 1)
        low = np.minimum(place.astype(np.intp), max(old - 2, 0))
        share = (place - low).astype(np.float32).reshape(-1, *[1] * (out.ndim - axis - 1))
        high = np.minimum(low + 1, old - 1)
        out = np.take(out, low, axis) * (1 - share) + np.take(out, high, axis) * share
    return out


def resample_cubic(
    values: NDArray[Any], shape: Sequence[int], before: Sequence[float], after: Sequence[float]
) -> NDArray[np.float32]:
    """Return values on a grid of the same extent as nnU-Net resamples its input: by cubic splines.

    Values stay within the range of those that came in. Where the longest spacing, before or after, is more
    than three times the shortest, slices across it are resampled one by one, and along it the nearest slice
    is taken.

    Args:
        values: (channels, *space), three axes of space.
        shape: New space.
        before: Spacing along the axes.
        after: The same of the new grid.

    References:
        Isensee et al., nnU-Net, Nature Methods 18 (2021) 203-211, supplement (resampling).
    """
    shape = tuple(shape)
    if values.shape[1:] == shape:
        return values.astype(np.float32)
    coarse = next((axis for spacing in (before, after) if (axis := _coarse_axis(spacing)) is not None), None)
    if coarse is None:
        return np.stack([_by_splines(channel, shape) for channel in values])
    flat = tuple(size for axis, size in enumerate(shape) if axis != coarse)
    slices = np.moveaxis(values, coarse + 1, 1)
    resized = np.stack([np.stack([_by_splines(part, flat) for part in channel]) for channel in slices])
    place = (np.arange(shape[coarse]) + 0.5) * values.shape[coarse + 1] / shape[coarse] - 0.5
    nearest = np.clip(np.floor(place + 0.5).astype(np.intp), 0, values.shape[coarse + 1] - 1)
    return np.ascontiguousarray(np.moveaxis(resized[:, nearest], 1, coarse + 1))


def _coarse_axis(spacing: Sequence[float]) -> int | None:
    """The one axis that is more than three times as coarse as the finest; None where there is no one axis."""
    longest = max(spacing)
    axes = [axis for axis, step in enumerate(spacing) if step == longest]
    return axes[0] if longest > 3 * min(spacing) and len(axes) == 1 else None


def _by_splines(values: NDArray[Any], shape: Sequence[int]) -> NDArray[np.float32]:
    found = resize(values.astype(np.float64), tuple(shape), 3, mode="edge", anti_aliasing=False, clip=True)  # type: ignore[no-untyped-call]
    return np.asarray(found, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class NetworkGrid:
    """The grid in which a network sees a volume, and the way to it and back.

    Attributes:
        geometry: Of the volume.
        codes: Where the network's three axes run to, such as ``RAS`` (first to the right, second to
            the front, third up) or ``SPL`` (up, back, left); None keeps the stored axes.
        spacing_mm: Of the network along its axes; None keeps the volume's.
        cubic: Whether the volume goes in by cubic splines, see `resample_cubic`; else linearly, as what
            comes back always does.
    """

    geometry: Geometry
    codes: str | None = None
    spacing_mm: tuple[float, float, float] | None = None
    cubic: bool = False

    def __post_init__(self) -> None:
        pairs = ("SI", "PA", "LR")
        if self.codes is not None and (
            len(self.codes) != 3 or any(sum(code in pair for code in self.codes) != 1 for pair in pairs)
        ):
            raise InputError(f"axes {self.codes!r}", "one of S or I, P or A, L or R each, such as RAS")

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the network's axes."""
        turned = self._turn(np.broadcast_to(np.zeros(1, np.uint8), self.geometry.shape)).shape
        if self.spacing_mm is None:
            return turned
        return tuple(
            max(round(n * have / want), 1)
            for n, have, want in zip(turned, self._turned_spacing(), self.spacing_mm, strict=True)
        )

    def to_network(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return (channels, *space) of the network from (channels, slices, rows, columns)."""
        turned = np.stack([self._turn(channel) for channel in values])
        if self.cubic and self.spacing_mm is not None:
            return resample_cubic(turned, self.shape, self._turned_spacing(), self.spacing_mm)
        return np.ascontiguousarray(resample_linear(turned, self.shape))

    def from_network(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return (channels, slices, rows, columns) on the volume's own grid."""
        turned = self._turn(np.broadcast_to(np.zeros(1, np.uint8), self.geometry.shape)).shape
        resampled = resample_linear(values, turned)
        return np.ascontiguousarray(np.stack([self._back(channel) for channel in resampled]))

    def _axes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        assert self.codes is not None
        order = tuple(next(n for n, pair in enumerate(("SI", "PA", "LR")) if c in pair) for c in self.codes)
        flipped = tuple(axis for axis, c in enumerate(self.codes) if c not in "SPL")
        return order, flipped

    def _turn(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.codes is None:
            return array
        order, flipped = self._axes()
        return np.flip(Orientation.of(self.geometry).turn(array).transpose(order), flipped)

    def _back(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.codes is None:
            return array
        order, flipped = self._axes()
        straight = np.flip(array, flipped).transpose(np.argsort(order).tolist())
        return Orientation.of(self.geometry).back(straight)

    def _turned_spacing(self) -> tuple[float, ...]:
        if self.codes is None:
            return self.geometry.spacing_mm
        spacing = Orientation.of(self.geometry).spacing_mm(self.geometry)
        return tuple(spacing[axis] for axis in self._axes()[0])
