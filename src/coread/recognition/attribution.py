"""What a classifier looked at, for any network, and how faithful such a map is."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from coread.core import CodedConcept, Grid, Map
from coread.core.vocabulary import GRAD_CAM, INTEGRATED_GRADIENTS, OCCLUSION, RISE
from coread.errors import CancelledError, InputError
from coread.extras import require
from coread.recognition.inference import Cancel, Progress, resample_linear

# (n, channels, *space) float32 to one number for each case: the score of the class that is explained
Score = Callable[[NDArray[np.float32]], NDArray[np.floating[Any]]]


def occlusion(
    image: NDArray[np.float32],
    score: Score,
    grid: Grid,
    *,
    size: int,
    step: int,
    baseline: float | NDArray[np.float32] = 0.0,
    batch: int = 16,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Map:
    """Return how much the score falls where a square (or cube) is hidden.

    Args:
        image: (channels, *space) as the network takes it, on the grid.
        score: Of the class.
        grid: Where the image lies.
        size: Side of what is hidden.
        step: From one place to the next; a place hidden several times gets the mean.
        baseline: What it is hidden by: a number or an image.
        batch: Images that the network gets at once.
        progress: Is told the part done.
        cancel: Asked before each batch.

    Returns:
        A map in units of the score; positive where the place speaks for the class.

    References:
        Zeiler and Fergus, Visualizing and understanding convolutional networks, ECCV 2014.
    """
    space = image.shape[1:]
    if size < 1 or step < 1 or step > size:
        raise InputError(
            f"squares of {size} at steps of {step}", "1 or more, the step no larger than the square"
        )
    plain = np.broadcast_to(np.asarray(baseline, dtype=np.float32), image.shape)
    starts = [sorted({*range(0, max(n - size, 0) + 1, step), max(n - size, 0)}) for n in space]
    corners = np.stack(np.meshgrid(*starts, indexing="ij"), axis=-1).reshape(-1, len(space))
    whole = float(score(image[None])[0])
    total, count = np.zeros(space), np.zeros(space)
    for done in range(0, len(corners), batch):
        _go_on(cancel, progress, done / len(corners))
        places = [tuple(slice(c, c + size) for c in corner) for corner in corners[done : done + batch]]
        cases = np.repeat(image[None], len(places), axis=0)
        for case, place in zip(cases, places, strict=True):
            case[(slice(None), *place)] = plain[(slice(None), *place)]
        for place, value in zip(places, score(cases), strict=True):
            total[place] += whole - float(value)
            count[place] += 1
    if progress is not None:
        progress(1.0)
    says = f"Fall of the score where {size} pixels a side are hidden; not a probability and no outline."
    return _map(total / count, grid, OCCLUSION, says)


def rise(
    image: NDArray[np.float32],
    score: Score,
    grid: Grid,
    *,
    rng: np.random.Generator,
    masks: int = 1000,
    cells: int = 7,
    keep: float = 0.5,
    batch: int = 16,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Map:
    """Return the mean score over random masks that leave a place visible, less the mean over all masks.

    Args:
        image: (channels, *space) as the network takes it, 0 where nothing is seen.
        score: Of the class.
        grid: Where the image lies.
        rng: For the masks.
        masks: Number of them.
        cells: Of a mask along each axis, before it is made smooth.
        keep: Chance of a cell to be visible.
        batch: Images that the network gets at once.
        progress: Is told the part done.
        cancel: Asked before each batch.

    Returns:
        A map in units of the score; 0 where a place changes nothing, whatever the number of masks would
        be without chance.

    References:
        Petsiuk et al., RISE, BMVC 2018; the mean over all masks is taken away here.
    """
    space = image.shape[1:]
    if masks < 2 or cells < 2 or not 0 < keep < 1:
        raise InputError(
            f"{masks} masks of {cells} cells kept at {keep}", "2 or more of each, a share within 0 to 1"
        )
    block = [-(-n // cells) for n in space]
    values = np.zeros(masks)
    weighted, seen = np.zeros(space), np.zeros(space)
    for done in range(0, masks, batch):
        _go_on(cancel, progress, done / masks)
        count = min(batch, masks - done)
        rough = (rng.random((count, *[cells + 1] * len(space))) < keep).astype(np.float32)
        smooth = resample_linear(rough, [(cells + 1) * b for b in block])
        chosen = np.empty((count, *space), dtype=np.float32)
        for n in range(count):
            shift = [int(rng.integers(0, b)) for b in block]
            chosen[n] = smooth[n][tuple(slice(s, s + size) for s, size in zip(shift, space, strict=True))]
        scores = np.asarray(score(image[None] * chosen[:, None]), dtype=np.float64)
        values[done : done + count] = scores
        weighted += np.tensordot(scores, chosen, axes=1)
        seen += chosen.sum(axis=0)
    if progress is not None:
        progress(1.0)
    heat = weighted / np.maximum(seen, 1e-9) - values.mean()
    says = f"Mean score of {masks} random masks that show the place, less that of all; not a probability."
    return _map(heat, grid, RISE, says)


def grad_cam(image: NDArray[np.float32], network: Any, layer: Any, output: int, grid: Grid) -> Map:
    """Return gradient-weighted class activation of a torch network.

    Args:
        image: (channels, *space) as the network takes it.
        network: In torch; gives (n, outputs).
        layer: Module of the network whose feature maps are weighed, usually the last with space.
        output: Number of the class.
        grid: Where the image lies.

    Raises:
        MissingExtraError: torch is not installed.

    References:
        Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    torch = require("torch", extra="train")
    kept: list[Any] = []
    handle = layer.register_forward_hook(lambda module, given, answer: kept.append(answer))
    try:
        with torch.enable_grad():
            case = torch.from_numpy(np.ascontiguousarray(image[None])).requires_grad_()
            value = network.eval()(case)[0, output]
            (gradient,) = torch.autograd.grad(value, kept[0])
    finally:
        handle.remove()
    features = kept[0].detach()[0].cpu().numpy()
    weights = gradient[0].cpu().numpy().reshape(len(features), -1).mean(axis=1)
    heat = np.maximum(np.tensordot(weights, features, axes=1), 0)
    drawn = resample_linear(heat[None], image.shape[1:])[0]
    return _map(
        drawn, grid, GRAD_CAM, "Feature maps weighed by their gradient, negative parts left out; no outline."
    )


def integrated_gradients(
    image: NDArray[np.float32],
    network: Any,
    output: int,
    grid: Grid,
    *,
    baseline: NDArray[np.float32] | None = None,
    steps: int = 64,
) -> Map:
    """Return the part of each place in the score's rise from a baseline, of a torch network.

    Args:
        image: (channels, *space) as the network takes it.
        network: In torch; gives (n, outputs).
        output: Number of the class.
        grid: Where the image lies.
        baseline: Of the image's shape; zeros where none is given.
        steps: Of the path from the baseline to the image, each at its middle.

    Returns:
        A map whose sum is score(image) - score(baseline), as near as the steps allow.

    Raises:
        MissingExtraError: torch is not installed.

    References:
        Sundararajan et al., Axiomatic attribution for deep networks, ICML 2017.
    """
    torch = require("torch", extra="train")
    start = np.zeros_like(image) if baseline is None else baseline
    away = image - start
    total = np.zeros(image.shape)
    network.eval()
    for n in range(steps):
        with torch.enable_grad():
            at = torch.from_numpy(
                np.ascontiguousarray((start + (n + 0.5) / steps * away)[None])
            ).requires_grad_()
            (gradient,) = torch.autograd.grad(network(at)[0, output], at)
        total += gradient[0].cpu().numpy()
    heat = (away * total / steps).sum(axis=0)
    return _map(
        heat,
        grid,
        INTEGRATED_GRADIENTS,
        "Part of each place in the score's rise from an empty image; the parts add up to the rise.",
    )


def _go_on(cancel: Cancel | None, progress: Progress | None, done: float) -> None:
    if cancel is not None and cancel():
        raise CancelledError(f"cancelled after {done:.0%}")
    if progress is not None and done:
        progress(done)


def _map(values: NDArray[np.floating[Any]], grid: Grid, meaning: CodedConcept, says: str) -> Map:
    heat = values.astype(np.float32)
    if heat.shape != grid.shape:
        heat = heat.reshape(grid.shape)  # one slice
    return Map(heat, grid, meaning, "1", low=0.0, high=max(float(heat.max()), 1e-6), says=says)


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """How well a map names what a network uses.

    Attributes:
        deletion: Area under the score while places are hidden, most important first, as share of the
            score of the whole image; low is good.
        insertion: The same while they are shown, most important first; high is good.
    """

    deletion: float
    insertion: float


def faithfulness(
    heat: NDArray[np.float32],
    image: NDArray[np.float32],
    score: Score,
    *,
    baseline: float | NDArray[np.float32] = 0.0,
    steps: int = 20,
    batch: int = 8,
) -> Faithfulness:
    """Return deletion and insertion areas of a map.

    Args:
        heat: (*space) values of a map; NaN counts as least important.
        image: (channels, *space) as the network takes it.
        score: Of the class; a probability, or anything above 0 for the image.
        baseline: What a hidden place holds.
        steps: Equal parts in which places are hidden.
        batch: Steps that the network gets at once, two images each.

    References:
        Petsiuk et al., RISE, BMVC 2018.
    """
    plain = np.broadcast_to(np.asarray(baseline, dtype=np.float32), image.shape)
    order = np.argsort(-np.nan_to_num(heat, nan=-np.inf).ravel(), kind="stable")
    whole = float(score(image[None])[0])
    if whole <= 0:
        raise InputError(
            f"a score of {whole:g} for the whole image", "above 0", "explain a class that is found"
        )
    deleted, inserted = [], []
    for done in range(0, steps + 1, batch):
        pairs = []
        for n in range(done, min(done + batch, steps + 1)):
            chosen = np.zeros(order.size, dtype=bool)
            chosen[order[: round(n * order.size / steps)]] = True
            shape = chosen.reshape(image.shape[1:])
            pairs += [np.where(shape, plain, image), np.where(shape, image, plain)]
        values = score(np.stack(pairs).astype(np.float32))
        deleted += [float(value) / whole for value in values[::2]]
        inserted += [float(value) / whole for value in values[1::2]]
    return Faithfulness(float(np.trapezoid(deleted) / steps), float(np.trapezoid(inserted) / steps))


def randomised_agreement(heat: NDArray[np.float32], randomised: NDArray[np.float32]) -> float:
    """Return the rank correlation of a map with that of the same network with weights by chance.

    A map that stays the same shows the image, not what was learnt: near 1 fails the sanity check.

    References:
        Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
    """
    both = np.isfinite(heat) & np.isfinite(randomised)
    if np.ptp(heat[both]) == 0 or np.ptp(randomised[both]) == 0:
        return 0.0
    return float(spearmanr(heat[both], randomised[both]).statistic)


def with_random_weights(network: Any, seed: int) -> Any:
    """Return a copy of a torch network whose weights were drawn anew, layer by layer.

    Weights of each layer keep their mean and deviation and lose their order.

    Raises:
        MissingExtraError: torch is not installed.
    """
    torch = require("torch", extra="train")
    drawn = copy.deepcopy(network).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in drawn.parameters():
            spread = float(weights.std()) if weights.numel() > 1 else 0.0
            noise = torch.randn(weights.shape, generator=generator)
            weights.copy_(weights.mean() + spread * noise)
    return drawn


def pointing_game(heat: NDArray[np.float32], truth: NDArray[np.bool_], *, tolerance: int = 0) -> bool:
    """Return whether the highest place of a map lies in the truth, or within some pixels of it.

    Args:
        heat: (*space) values; NaN is never the highest.
        truth: (*space) where the finding is.
        tolerance: Pixels (largest coordinate difference) beside the truth that still count.

    References:
        Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016.
    """
    if not truth.any():
        raise InputError("a truth without a place", "the outline of a finding")
    at = np.array(np.unravel_index(int(np.nanargmax(heat)), heat.shape))
    return bool(np.abs(np.argwhere(truth) - at).max(axis=1).min() <= tolerance)
