"""Training of `coread.recognition.body_part` from MedNIST: six parts of the body, and what is none of them.

What is no such part is made from the training pictures and from nothing; no foreign picture is used, so that
real ones (ultrasound, cardiac and brain MR, mammograms) remain a test.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.body_part import CLASSES, OUTPUTS, SIDE, Pictures, read_mednist
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.films import Change, changed, gaussian_blur, stretched
from coread.recognition.training.gate import outliers
from coread.recognition.training.loop import Steps
from coread.recognition.training.networks import film_channels, residual_block

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Tensor = Any
Module = Any
Generator = Any

CHEST_CT, HAND, HEAD_CT = (CLASSES.index(name) for name in ("ChestCT", "Hand", "HeadCT"))
WRONG = {
    "inverted": 0.03,
    "detail": 0.08,
    "texture": 0.04,
    "shapes": 0.03,
    "turned": 0.03,
    "tones": 0.06,
    "stripped": 0.06,
    "echo": 0.03,
    "mixed": 0.04,
}
"""What is made that is no part, and which share of a batch becomes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the network is trained.

    Attributes:
        alike: Correlation from which two pictures stay together, whatever their numbers.
        shares: Of the training, the validation and the test part.
        steps: Of the optimiser.
        batch: Pictures a step; two fifths of them are made wrong.
        rate: Highest learning rate of the one-cycle schedule.
        width: Of the network.
        change: Of the pictures.
        draws: How often each validation picture is changed for calibration and gate.
        refused: Part of the changed validation pictures beyond each limit of the gate.
        seed: Of everything.
    """

    alike: float = 0.95
    shares: tuple[float, float, float] = (0.6, 0.2, 0.2)
    steps: int = 1100
    batch: int = 96
    rate: float = 4e-3
    width: int = 16
    change: Change = field(
        default_factory=lambda: Change(
            log_scale=0.3, shift=0.2, angle=0.2, log_gamma=0.9, contrast=0.35, noise=0.05, erase=0.2
        )
    )
    draws: int = 6
    refused: float = 0.025
    seed: int = 20261125


def groups(pictures: Pictures, *, alike: float) -> NDArray[np.int64]:
    """Return the group of each picture: those that may show the same patient are in one.

    Pictures are together when their numbers in the set are neighbours (`Pictures.groups`), or when they
    correlate; both run on from picture to picture.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    blocks = np.unique(np.asarray(pictures.groups), return_inverse=True)[1]
    flat = pictures.pictures.reshape(len(blocks), -1).astype(np.float64)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9)
    together = (flat @ flat.T >= alike) | (blocks[:, None] == blocks)
    return np.asarray(connected_components(coo_matrix(together), directed=False)[1], dtype=np.int64)


def dealt(
    labels: NDArray[np.int64], group: NDArray[np.int64], shares: tuple[float, ...], seed: int
) -> NDArray[np.int64]:
    """Return the part of each picture: groups stay whole, and each class has about its share in each part.

    Groups are dealt in an order drawn by chance, the larger before the smaller, each to the part that lacks
    most of its class.
    """
    generator = np.random.default_rng(seed)
    parts = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        here = labels == label
        names, sizes = np.unique(group[here], return_counts=True)
        order = generator.permutation(len(names))
        wanted = np.asarray(shares) * here.sum()
        for n in order[np.argsort(-sizes[order], kind="stable")]:
            part = int(np.argmax(wanted))
            parts[group == names[n]] = part
            wanted[part] -= sizes[n]
    return parts


def coarser(pictures: Tensor, side: int) -> Tensor:
    """Return pictures that went through a smaller size."""
    torch = require("torch", extra="train")
    resize = torch.nn.functional.interpolate
    small = resize(pictures, size=(side, side), mode="bilinear", antialias=True)
    return resize(small, size=pictures.shape[2:], mode="bilinear", align_corners=False)


def seen_otherwise(pictures: Tensor, generator: Generator, change: Change) -> Tensor:
    """Return pictures as other machines, windows and sizes would show them."""
    torch = require("torch", extra="train")
    count = len(pictures)

    def drawn(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)

    pictures = stretched(changed(pictures, generator, change))
    floor = torch.clamp(drawn(-0.25, 0.25), min=0)  # a window that begins higher
    pictures = torch.clamp(pictures - floor, min=0)
    roof = 1 - torch.clamp(drawn(-0.3, 0.3), min=0)  # or ends lower
    return stretched(torch.minimum(pictures, roof * pictures.amax((2, 3), keepdim=True)))


def half_coarser(pictures: Tensor, generator: Generator) -> Tensor:
    """Return pictures, about half of them gone through a smaller size; right and wrong ones alike.

    Were only the right ones coarser, sharpness alone would tell them apart.
    """
    torch = require("torch", extra="train")
    side = int(torch.randint(22, SIDE + 1, (1,), generator=generator))
    chosen = torch.rand(len(pictures), 1, 1, 1, generator=generator) < 0.5
    return torch.where(chosen, coarser(pictures, side), pictures)


def wrong(pictures: Tensor, labels: Tensor, kind: str, generator: Generator) -> Tensor:
    """Return pictures of no part that is known, of one kind of `WRONG`, made from (n, 1, side, side)."""
    torch = require("torch", extra="train")
    count = len(pictures)
    if kind == "turned":
        fits = torch.where((labels != HAND) & (labels != CHEST_CT))[0]
        chosen = fits[torch.randint(len(fits), (count,), generator=generator)] if len(fits) else None
        quarter = int(torch.randint(1, 4, (1,), generator=generator))
        return pictures if chosen is None else torch.rot90(pictures[chosen], quarter, (2, 3))
    if kind == "tones":
        return _tones(pictures, generator)
    if kind == "stripped":
        return _stripped(pictures, labels, generator)
    if kind == "echo":
        return _echo(pictures, generator)
    if kind == "mixed":
        return _mixed(pictures, labels, generator)
    if kind == "inverted":
        return 1 - pictures
    return outliers(pictures, kind, generator)


def _tones(pictures: Tensor, generator: Generator) -> Tensor:
    """Return pictures whose tones don't rise: what is densest becomes dark, as bone is on MR."""
    torch = require("torch", extra="train")
    count = len(pictures)
    knots = torch.rand(count, 6, generator=generator)
    knots[:, 0] *= 0.1
    knots[:, 5] *= 0.4
    peak = torch.randint(1, 5, (count,), generator=generator)
    knots[torch.arange(count), peak] = 0.7 + 0.3 * torch.rand(count, generator=generator)
    place = _above_ground(pictures).flatten(1) * 5
    low = place.floor().clamp(max=4).long()
    share = place - low
    toned = knots.gather(1, low) * (1 - share) + knots.gather(1, low + 1) * share
    return stretched(toned.view_as(pictures))


def _above_ground(pictures: Tensor) -> Tensor:
    """Return pictures whose ground, a tenth of their range, is black."""
    return ((pictures - 0.1) / 0.9).clamp(0, 1)


def _echo(pictures: Tensor, generator: Generator) -> Tensor:
    """Return pictures like ultrasound: speckle, layers, fading with depth, dark bodies, some sectors."""
    torch = require("torch", extra="train")
    count, _, side, _ = pictures.shape
    resize = torch.nn.functional.interpolate

    def drawn(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)

    def smooth(rows: int, columns: int) -> Tensor:
        noise = torch.rand(count, 1, rows, columns, generator=generator)
        return resize(noise, size=(side, side), mode="bicubic", align_corners=False).clamp(0, 1)

    layers = 0.15 + smooth(int(torch.randint(5, 14, (1,), generator=generator)), 3)
    speckle = -torch.log(torch.rand(count, 1, side, side, generator=generator).clamp(min=1e-4))
    speckle = resize(speckle, size=(side, side // 2), mode="area") if side % 2 == 0 else speckle
    speckle = resize(speckle, size=(side, side), mode="bilinear", align_corners=False)
    line = torch.linspace(-1, 1, side)
    down, across = line.view(1, 1, -1, 1), line.view(1, 1, 1, -1)
    echo = layers * speckle ** drawn(0.3, 1.0) * torch.exp(-drawn(-0.3, 1.2) * (down + 1))
    body = ((across - drawn(-0.5, 0.5)) / drawn(0.15, 0.5)) ** 2
    body = body + ((down - drawn(-0.6, 0.5)) / drawn(0.1, 0.4)) ** 2
    dark = (body < 1) & (drawn(0, 1) < 0.7)
    echo = torch.where(dark, echo * drawn(0.0, 0.5), echo)
    sector = (across.abs() < 0.15 + drawn(0.3, 0.6) * (down + 1)) | (drawn(0, 1) < 0.7)
    return stretched(torch.where(sector, echo, torch.zeros_like(echo)) ** drawn(0.4, 1.0))


def _stripped(pictures: Tensor, labels: Tensor, generator: Generator) -> Tensor:
    """Return heads whose skull is dark, as on MR; other pictures with tones that don't rise."""
    torch = require("torch", extra="train")
    heads = torch.where(labels == HEAD_CT)[0]
    if not len(heads):
        return _tones(pictures, generator)
    count = len(pictures)
    heads = _above_ground(pictures[heads[torch.randint(len(heads), (count,), generator=generator)]])

    def drawn(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)

    skull = torch.nn.functional.max_pool2d((heads > drawn(0.6, 0.85)).float(), 3, stride=1, padding=1)
    inside = torch.where(skull > 0, torch.clamp(drawn(-0.3, 0.3), min=0) * heads, heads)
    return stretched(stretched(inside) ** drawn(0.4, 1.3))


def _mixed(pictures: Tensor, labels: Tensor, generator: Generator) -> Tensor:
    """Return pictures put together of halves of two parts of the body."""
    torch = require("torch", extra="train")
    count, _, side, _ = pictures.shape
    other = torch.randperm(count, generator=generator)
    line = torch.arange(side) < side // 2
    left, top = line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)
    kind = torch.randint(0, 2, (count,), generator=generator).view(-1, 1, 1, 1)
    put = stretched(torch.where(torch.where(kind == 0, left, top), pictures, pictures[other]))
    return torch.where((labels == labels[other]).view(-1, 1, 1, 1), 1 - put, put)


def with_soft_tissue(pictures: Tensor, generator: Generator) -> Tensor:
    """Return chests on CT with simulated soft tissue between their bones.

    MedNIST shows chests through a window in which hardly more than bone and contrast agent is seen. Wall,
    heart and mediastinum are drawn around two dark lungs, in the box that the bright pixels fill.

    Args:
        pictures: (n, 1, side, side) of the class ChestCT.
        generator: Source of randomness.
    """
    torch = require("torch", extra="train")
    count, _, side, _ = pictures.shape
    line = torch.arange(side).float()

    def drawn(low: float, high: float) -> Tensor:
        return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1)

    def along(axis: int) -> Tensor:
        """Coordinates from -1 to 1 between the first and the last hundredth of what is bright."""
        share = torch.clamp(pictures[:, 0] - 0.2, min=0).sum(axis).cumsum(1)
        share = share / share[:, -1:].clamp(min=1e-6)
        first, last = (share < 0.01).sum(1, keepdim=True), (share < 0.99).sum(1, keepdim=True)
        half = (last - first).clamp(min=side // 4) / 2
        return (line - (first + last) / 2) / half

    x, y = along(1)[:, None, :], along(2)[:, :, None]

    def ellipse(column: Tensor, row: Tensor, width: Tensor, height: Tensor, power: Tensor) -> Tensor:
        return ((x - column) / width).abs() ** power + ((y - row) / height).abs() ** power < 1

    body = ellipse(
        drawn(-0.05, 0.05), drawn(-0.05, 0.05), drawn(0.95, 1.15), drawn(0.95, 1.15), drawn(2, 3.5)
    )
    level = drawn(0.15, 0.6)
    soft = torch.where(body, level, 0.0)
    row, high = drawn(-0.15, 0.1), drawn(0.45, 0.72)
    for sign in (-1, 1):
        wide = drawn(0.28, 0.42)
        lung = ellipse(sign * (0.1 + wide + drawn(-0.06, 0.06)), row, wide, high, drawn(1.6, 2.4))
        soft = torch.where(lung, 0.0, soft)
    heart = ellipse(
        drawn(-0.1, 0.25), drawn(-0.4, 0.1), drawn(0.15, 0.42), drawn(0.15, 0.45), drawn(1.8, 2.4)
    )
    soft = torch.where(heart, level * drawn(0.9, 1.6), soft)
    noise = 1 + 0.1 * torch.randn(soft.shape, generator=generator)
    return torch.maximum(pictures, gaussian_blur((soft * noise)[:, None], 0.6, 2)).clamp(0, 1)


def part_network(width: int) -> Module:
    """Return a residual network for 64 x 64 pictures with the six parts and what is none as outputs."""
    torch = require("torch", extra="train")
    nn = torch.nn

    class PartNetwork(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(2, width, 3, padding=1, stride=2, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                residual_block(width, width, shrink=False),
                residual_block(width, 2 * width, shrink=True),
                residual_block(2 * width, 4 * width, shrink=True),
                residual_block(4 * width, 4 * width, shrink=False),
            )
            self.dropout = nn.Dropout(0.2)
            self.head = nn.Linear(4 * width, len(CLASSES) + 1)

        def pooled(self, pictures: Tensor) -> Tensor:
            return self.features(film_channels(pictures)).mean((2, 3))

        def forward(self, pictures: Tensor) -> Tensor:
            return self.head(self.dropout(self.pooled(pictures)))

    return PartNetwork()


def trained_network(
    pictures: NDArray[np.float32],
    labels: NDArray[np.int64],
    plan: Plan,
    progress: Progress = logger.info,
) -> Module:
    """Return a network trained on pictures (n, side, side) and on wrong ones made from them.

    Convolutions run in bfloat16, which saves a third of the time.
    """
    torch = require("torch", extra="train")
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    source, truth = torch.from_numpy(pictures)[:, None], torch.from_numpy(labels)
    network = part_network(plan.width).to(memory_format=torch.channels_last)
    steps = Steps(network, plan.steps, rate=plan.rate, decay=5e-3, rise=0.15)
    network.train()
    for step in range(plan.steps):
        chosen = torch.randint(len(source), (plan.batch,), generator=generator)
        shown, wanted = shown_batch(source[chosen], truth[chosen], generator, plan.change)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(shown)
        loss = torch.nn.functional.cross_entropy(logits.float(), wanted, label_smoothing=0.02)
        steps.take(loss)
        if step % 100 == 99:
            progress(f"step {step + 1} of {plan.steps}: loss {float(loss.detach()):.3f}")
    return network.eval()


def shown_batch(
    pictures: Tensor, labels: Tensor, generator: Generator, change: Change
) -> tuple[Tensor, Tensor]:
    """Return changed pictures, a third of them turned into wrong ones, and their class."""
    torch = require("torch", extra="train")
    pictures = with_chests(pictures, labels, generator)
    shown = seen_otherwise(pictures, generator, change)
    wanted = labels.clone()
    drawn, edge = torch.rand(len(shown), generator=generator), 0.0
    for kind, share in WRONG.items():
        places = torch.where((drawn >= edge) & (drawn < edge + share))[0]
        edge += share
        if len(places):
            shown[places] = wrong(shown[places], labels[places], kind, generator)
            wanted[places] = len(CLASSES)
    return half_coarser(shown, generator), wanted


def with_chests(pictures: Tensor, labels: Tensor, generator: Generator) -> Tensor:
    """Return pictures, half of the chests on CT with simulated soft tissue."""
    torch = require("torch", extra="train")
    chosen = torch.where((labels == CHEST_CT) & (torch.rand(len(labels), generator=generator) < 0.5))[0]
    out = pictures.clone()
    if len(chosen):
        out[chosen] = with_soft_tissue(pictures[chosen], generator)
    return out


def shipped_network(network: Module, means: Tensor, whitening: Tensor) -> Module:
    """Return what is exported: logits, and distances over their limits (all 1 yet).

    Args:
        network: As `trained_network` gives it.
        means: (6, features) of the pooled features of each part.
        whitening: (features, features): lower factor of the inverse covariance around these means.
    """
    torch = require("torch", extra="train")

    class Shipped(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network.to(memory_format=torch.contiguous_format)
            self.register_buffer("means", means.float())
            self.register_buffer("whitening", whitening.float())
            self.register_buffer("limits", torch.ones(3))

        def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
            pooled = self.network.pooled(picture)
            logits = self.network.head(pooled)
            away = (pooled[:, None] - self.means) @ self.whitening
            distance = torch.sqrt((away * away).sum(2)).amin(1)
            parts = logits[:, : len(CLASSES)]
            # a softplus keeps the odds of none of the parts positive and in their order
            odds = torch.nn.functional.softplus(logits[:, len(CLASSES)] - torch.logsumexp(parts, 1))
            doubt = 1 - torch.softmax(parts, 1).amax(1)
            return logits, torch.stack([distance, odds, doubt], 1) / self.limits

    return Shipped().eval()


def known_features(network: Module, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return means of each part and whitening of the network's features on pictures (n, 1, side, side)."""
    torch = require("torch", extra="train")
    with torch.no_grad():
        features = torch.cat([network.pooled(part) for part in pictures.split(256)]).double()
    means = torch.stack([features[labels == label].mean(0) for label in range(len(CLASSES))])
    around = torch.cov((features - means[labels]).T)
    ridge = 1e-3 * around.diagonal().mean() * torch.eye(len(around), dtype=torch.float64)
    return means, torch.linalg.cholesky(torch.linalg.inv(around + ridge))


def temperature(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return what logits are to be divided by so that their likelihood is largest.

    References:
        Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    def loss(log: float) -> float:
        return -float(log_softmax(logits / math.exp(log), axis=1)[np.arange(len(labels)), labels].mean())

    return math.exp(float(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))


def trained_record(
    data: Path, plan: Plan, *, threads: int = 1, progress: Progress = logger.info
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record with the accuracy on the part kept apart."""
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    pictures = read_mednist(data)
    parts = dealt(pictures.labels, groups(pictures, alike=plan.alike), plan.shares, plan.seed)
    seen = parts == 0
    network = trained_network(pictures.pictures[seen], pictures.labels[seen], plan, progress)
    return assembled(network, pictures, parts, plan)


def assembled(
    trained: Module, pictures: Pictures, parts: NDArray[np.int64], plan: Plan
) -> tuple[bytes, dict[str, Any]]:
    """Return a network as a file; its temperature and limits come from the validation part."""
    torch = require("torch", extra="train")
    generator = torch.Generator().manual_seed(plan.seed)

    def of(part: int, draws: int) -> tuple[Tensor, Tensor]:
        """As many pictures as they are as changed ones."""
        source = torch.from_numpy(pictures.pictures[parts == part])[:, None]
        truth = torch.from_numpy(pictures.labels[parts == part])
        other = [
            half_coarser(
                seen_otherwise(with_chests(source, truth, generator), generator, plan.change), generator
            )
            for _ in range(draws)
        ]
        return torch.cat([source] * draws + other), truth.repeat(2 * draws)

    network = shipped_network(trained, *known_features(trained, *of(0, 2)))
    shown, labels = of(1, plan.draws)
    with torch.no_grad():
        logits, distances = (torch.cat(p) for p in zip(*(network(p) for p in shown.split(256)), strict=True))
        network.limits.copy_(torch.quantile(distances, 1 - plan.refused, dim=0))
    parts_only = logits[:, : len(CLASSES)].double().numpy()
    settings = {
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "temperature": temperature(parts_only, labels.numpy()),
        "pictures": [int(np.count_nonzero(parts == part)) for part in range(3)],
        "unseen": sorted(pictures.names[n] for n in np.flatnonzero(parts == 2)),
    }
    with torch.no_grad():
        said = network(torch.from_numpy(pictures.pictures[parts == 2])[:, None])
    right = said[0][:, : len(CLASSES)].argmax(1).numpy() == pictures.labels[parts == 2]
    record = {
        "settings": settings,
        "limits": network.limits.tolist(),
        "accuracy": float(right.mean()),
        "refused": float((said[1].amax(1) > 1).float().mean()),
    }
    return onnx_bytes(network, (1, SIDE, SIDE), "picture", OUTPUTS, settings, small=True), record
