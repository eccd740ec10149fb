"""Training of `coread.recognition.body_part`: six parts of the body, and what is none of them.

MedNIST has all six parts; `part_sources` adds chest and abdominal CT in Hounsfield units seen through many
windows, head CT, chest films, and MR of brain, heart and spine as what is none of the parts. A
first stage has MedNIST and simulated trunks alone; its network is measured on all the other sets, which it
was trained without: what the next hospital may expect. A second stage goes on with these sets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import Volume
from coread.extras import require
from coread.recognition.body_part import axial_pictures, believed, grouped, read_pictures
from coread.recognition.body_part_pictures import CLASSES, SIDE, Pictures, read_mednist
from coread.recognition.metrics import Estimate
from coread.recognition.runtime import Network
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.films import Change
from coread.recognition.training.loop import Steps
from coread.recognition.training.part_network import (
    known_features,
    part_network,
    shipped_network,
    temperature,
)
from coread.recognition.training.part_shown import half_coarser, seen_otherwise, shown_batch
from coread.recognition.training.part_sources import (
    SOURCES,
    as_analysed,
    mednist_file,
    read_sources,
    volumes,
)
from coread.recognition.training.part_trunk import simulated_trunks

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Tensor = Any
Module = Any
OUTPUTS = ("logits", "distances")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the network is trained.

    Attributes:
        alike: Correlation from which two pictures of MedNIST stay together, whatever their numbers.
        shares: Of the training, the validation and the test part of MedNIST.
        validation: Share of the patients of other sets that sets temperature and limits, where a set has
            twenty or more.
        none: Share of pictures that are none of the parts in a batch, before wrong ones are made.
        foreign: Share of other sets among the pictures of a part.
        tuning_foreign: The same in the second stage.
        simulated: How many slices of trunks are simulated for each stage.
        noise_hu: Their noise at most in the first and in the second stage.
        domes: Part of the simulated chests that show the liver, in each stage. MedNIST calls such slices
            abdomen and noisy abdomens of a chest examination chest: the second stage doesn't gainsay it.
        views: In how many windows each slice of CT is shown.
        steps: Of the first stage, on MedNIST and simulated trunks alone.
        tuning: Of the second, with the other sets.
        tuning_rate: Highest learning rate of these.
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
    validation: float = 0.2
    none: float = 0.1
    foreign: float = 0.35
    tuning_foreign: float = 0.2
    simulated: int = 2000
    noise_hu: tuple[float, float] = (45.0, 12.0)
    domes: tuple[float, float] = (0.2, 0.0)
    views: int = 6
    steps: int = 1250
    tuning: int = 850
    tuning_rate: float = 3e-3
    batch: int = 80
    rate: float = 4e-3
    width: int = 16
    change: Change = field(
        default_factory=lambda: Change(
            log_scale=0.3, shift=0.2, angle=0.2, log_gamma=0.9, contrast=0.35, noise=0.05, erase=0.2
        )
    )
    draws: int = 4
    refused: float = 0.018
    seed: int = 20261125


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Pictures that a network is made from.

    Attributes:
        pictures: All of them.
        sources: (n,) set of each; ``mednist`` for MedNIST.
        parts: (n,) 0 for training, 1 for validation, 2 for the test part.
    """

    pictures: Pictures
    sources: NDArray[np.str_]
    parts: NDArray[np.int64]

    def known(self, part: int) -> NDArray[np.intp]:
        """Return the places of the pictures of a part of the body that lie in a part of the data."""
        return np.flatnonzero((self.parts == part) & (self.pictures.labels < len(CLASSES)))

    def kinds(self, places: NDArray[np.intp]) -> NDArray[np.int64]:
        """Return a number for each part of the body and whether MedNIST shows it."""
        return np.asarray(2 * self.pictures.labels[places] + (self.sources[places] == "mednist"))


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


def pool(mednist: Pictures, others: Mapping[str, Pictures], plan: Plan) -> Pool:
    """Return the pictures of MedNIST and of other sets, dealt into parts by patient."""
    pictures = Pictures.joined([mednist, *others.values()])
    sources = np.repeat(["mednist", *others], [len(mednist.names), *(len(o.names) for o in others.values())])
    parts = [dealt(mednist.labels, groups(mednist, alike=plan.alike), plan.shares, plan.seed)]
    for name, other in others.items():
        number = np.unique(np.asarray(other.groups), return_inverse=True)[1].astype(np.int64)
        few = number.max() < 19 or name == "simulated"
        shares = (1.0, 0.0) if few else (1 - plan.validation, plan.validation)
        parts.append(dealt(other.labels, number, shares, plan.seed))
    return Pool(pictures, sources, np.concatenate(parts))


def simulated_pictures(plan: Plan, stage: int) -> Pictures:
    """Return simulated slices of chests and abdomens on CT, in equal parts, for the stage 0 or 1."""
    torch = require("torch", extra="train")
    generator = torch.Generator().manual_seed(plan.seed)
    lungs = torch.arange(plan.simulated) % 2 == 0
    settings = {"noise_hu": plan.noise_hu[stage], "domes": plan.domes[stage]}
    parts = [simulated_trunks(some, SIDE, generator, **settings) for some in lungs.split(100)]
    labels = np.where(lungs.numpy(), CLASSES.index("ChestCT"), CLASSES.index("AbdomenCT"))
    names = tuple(f"simulated/{n}" for n in range(plan.simulated))
    return Pictures(torch.cat(parts)[:, 0].numpy(), labels, names, names)


def chances(known: Pool, places: NDArray[np.intp], *, none: float, foreign: float) -> NDArray[np.float64]:
    """Return how likely each picture is drawn.

    The six parts are drawn equally often, MedNIST and the other sets by `foreign`, these equally often.
    """
    labels, sources = known.pictures.labels[places], known.sources[places]
    weights = np.zeros(len(places))
    for label in np.unique(labels):
        here = labels == label
        names = [str(name) for name in np.unique(sources[here])]
        strange = [name for name in names if name != "mednist"]
        of_label = none if label == len(CLASSES) else (1 - none) / len(CLASSES)
        own = 0.0 if "mednist" not in names else 1 - foreign if strange else 1.0
        for name in names:
            share = own if name == "mednist" else (1 - own) / len(strange)
            chosen = here & (sources == name)
            weights[chosen] = of_label * share / np.count_nonzero(chosen)
    return weights


def trained_network(
    known: Pool, plan: Plan, progress: Progress = logger.info, *, start: Module | None = None
) -> Module:
    """Return a network trained on the training part of a pool and on wrong pictures made from it.

    Convolutions run in bfloat16, which saves a third of the time.

    Args:
        known: What it is trained on.
        plan: How.
        progress: Told in words what is done.
        start: Network to go on from, by `Plan.tuning`; it is left as it is. From nothing without one.
    """
    torch = require("torch", extra="train")
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    places = np.flatnonzero(known.parts == 0)
    foreign = plan.foreign if start is None else plan.tuning_foreign
    weights = torch.from_numpy(chances(known, places, none=plan.none, foreign=foreign))
    source = torch.from_numpy(known.pictures.pictures[places])[:, None]
    truth = torch.from_numpy(known.pictures.labels[places])
    network = part_network(plan.width) if start is None else deepcopy(start)
    network = network.to(memory_format=torch.channels_last)
    count, rate = (plan.steps, plan.rate) if start is None else (plan.tuning, plan.tuning_rate)
    steps = Steps(network, count, rate=rate, decay=5e-3, rise=0.15)
    network.train()
    for step in range(count):
        chosen = torch.multinomial(weights, plan.batch, replacement=True, generator=generator)
        shown, wanted = shown_batch(source[chosen], truth[chosen], generator, plan.change)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(shown)
        loss = torch.nn.functional.cross_entropy(logits.float(), wanted, label_smoothing=0.02)
        steps.take(loss)
        if step % 100 == 99:
            progress(f"step {step + 1} of {count}: loss {float(loss.detach()):.3f}")
    return network.eval()


def trained_record(
    data: Path, plan: Plan, *, threads: int = 1, progress: Progress = logger.info
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record with the figures of sets that networks were trained without.

    Args:
        data: Folder with MedNIST and the other sets, as `part_sources` names them.
        plan: How to train.
        threads: Of torch.
        progress: Told in words what is done.

    Raises:
        InputError: The path is no such folder.
    """
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    mednist = read_mednist(mednist_file(data))
    others = read_sources(data, seed=plan.seed, views=plan.views)
    progress("MedNIST and simulated trunks alone")
    known = pool(mednist, {"simulated": simulated_pictures(plan, 0)}, plan)
    start = trained_network(known, plan, progress)
    content, _ = assembled(deepcopy(start), known, plan)
    figures = figures_of_others(data, Network(content, threads=threads))
    progress("with all sets")
    known = pool(mednist, {**others, "simulated": simulated_pictures(plan, 1)}, plan)
    content, record = assembled(trained_network(known, plan, progress, start=start), known, plan)
    record["metrics"] = {name: asdict(figure) for name, figure in figures.items()}
    return content, record


def figures_of_others(data: Path, network: Network) -> dict[str, Estimate]:
    """Return what a network says of the sets beside MedNIST, drawn over patients.

    Args:
        data: Folder of the data.
        network: Trained without these sets.
    """
    figures: dict[str, Estimate] = {}
    for name in SOURCES:
        shown = as_analysed(data, name)
        for label in np.unique(shown.labels):
            some = shown.chosen(np.flatnonzero(shown.labels == label))
            readings = read_pictures(some.pictures, network)
            unknown = np.array([not reading.known for reading in readings])
            if label == len(CLASSES):
                figures[f"caught_{name}_left_out"] = grouped(partial(_mean, unknown), some.groups)
                continue
            right = np.array([reading.part == CLASSES[label] for reading in readings])
            stem = f"{name}_{CLASSES[label].lower()}_left_out"
            figures[f"accuracy_{stem}"] = grouped(partial(_mean, right), some.groups)
            figures[f"wrong_{stem}"] = grouped(partial(_mean, ~right & ~unknown), some.groups)
            figures[f"refused_{stem}"] = grouped(partial(_mean, unknown), some.groups)
        if SOURCES[name].part is None:
            figures[f"volumes_wrong_{name}_left_out"] = _volumes_wrong(volumes(data, name), network)
    return figures


def _volumes_wrong(scans: Sequence[Volume], network: Network) -> Estimate:
    """How many volumes, by the vote of their slices, are taken for the neighbouring part."""
    wrong = []
    for scan in scans:
        shown = axial_pictures(scan)
        part = believed(read_pictures(shown, network)) if shown is not None else ()
        wanted = "ChestCT" if scan.acquisition.body_part == "CHEST" else "AbdomenCT"
        wrong.append(bool(part) and part[0].part != wanted)
    return grouped(partial(_mean, np.array(wrong)), [str(n) for n in range(len(wrong))])


def _mean(values: NDArray[np.bool_], rows: NDArray[np.intp]) -> float:
    return float(values[rows].mean())


def assembled(trained: Module, known: Pool, plan: Plan) -> tuple[bytes, dict[str, Any]]:
    """Return a network as a file; its temperature and limits come from the validation part."""
    torch = require("torch", extra="train")
    generator = torch.Generator().manual_seed(plan.seed)

    def of(part: int, draws: int) -> tuple[Tensor, NDArray[np.intp]]:
        """As many pictures as they are as changed ones, and their places."""
        places = known.known(part)
        source = torch.from_numpy(known.pictures.pictures[places])[:, None]
        other = [
            half_coarser(seen_otherwise(source, generator, plan.change), generator) for _ in range(draws)
        ]
        return torch.cat([source] * draws + other), np.tile(places, 2 * draws)

    shown, places = of(0, 1)
    kinds = torch.from_numpy(known.kinds(places))
    network = shipped_network(trained, *known_features(trained, shown, kinds))
    shown, places = of(1, plan.draws)
    with torch.no_grad():
        logits, distances = (torch.cat(p) for p in zip(*(network(p) for p in shown.split(256)), strict=True))
        network.limits.copy_(torch.quantile(distances, 1 - plan.refused, dim=0))
    parts_only = logits[:, : len(CLASSES)].double().numpy()
    mednist = known.sources == "mednist"
    unseen = np.flatnonzero(mednist & (known.parts == 2))
    settings = {
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "temperature": temperature(parts_only, known.pictures.labels[places]),
        "pictures": {
            str(name): [int(np.count_nonzero((known.sources == name) & (known.parts == p))) for p in range(3)]
            for name in dict.fromkeys(known.sources)
        },
        "unseen": sorted(known.pictures.names[n] for n in unseen),
    }
    with torch.no_grad():
        said = network(torch.from_numpy(known.pictures.pictures[unseen])[:, None])
    right = said[0][:, : len(CLASSES)].argmax(1).numpy() == known.pictures.labels[unseen]
    record = {
        "settings": settings,
        "limits": network.limits.tolist(),
        "accuracy": float(right.mean()),
        "refused": float((said[1].amax(1) > 1).float().mean()),
    }
    return onnx_bytes(network, (1, SIDE, SIDE), "picture", OUTPUTS, settings, small=True), record
