"""Training of `coread.recognition.cxr_pneumonia` from PneumoniaMNIST, from films to one ONNX file.

Five networks are trained on four fifths of the training part each; threshold, calibration, abstention and
the gate's limits come from the validation part, as it is and changed as other hospitals would change it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError
from coread.extras import require
from coread.recognition.labelled import arrays_of
from coread.recognition.metrics import auc
from coread.recognition.training.checkpoint import Checkpoint, NumpyState, kept_steps
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.films import Change, changed, stretched
from coread.recognition.training.gate import known_films, trained_gate
from coread.recognition.training.loop import Steps
from coread.recognition.training.networks import OUTPUTS, film_network, mirrored_features, shipped_network
from coread.recognition.training.shift import misleading

logger = logging.getLogger(__name__)

Module = Any
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the networks are trained.

    Attributes:
        folds: Number of networks.
        steps: Of the optimiser, a network.
        batch: Films a step, half of each class.
        rate: Highest learning rate of the one-cycle schedule.
        width: Of the networks.
        smoothing: Of the labels.
        mixing: Parameter of the beta distribution by which two films are mixed; 0 for none.
        change: Of the films.
        gate_steps: Of the gate's optimiser.
        draws: How often each validation film is changed for calibration.
        refused: Part of validation films beyond each limit of the gate.
        seed: Of everything.
    """

    folds: int = 5
    steps: int = 700
    batch: int = 64
    rate: float = 3e-3
    width: int = 16
    smoothing: float = 0.05
    mixing: float = 0.2
    change: Change = field(default_factory=Change)
    gate_steps: int = 1000
    draws: int = 8
    refused: float = 0.02
    seed: int = 20261125


@dataclass(frozen=True, slots=True, eq=False)
class Films:
    """Films with labels: (n, 28, 28) float32 from 0 to 1, and (n,) int64, 1 for pneumonia."""

    films: NDArray[np.float32]
    labels: NDArray[np.int64]

    def part(self, chosen: NDArray[Any]) -> Films:
        """Return some of the films."""
        return Films(self.films[chosen], self.labels[chosen])


def read_pneumoniamnist(path: Path, part: str) -> Films:
    """Return one part (``train``, ``val``, ``test``) of a MedMNIST file, in the file's order.

    Raises:
        DataError: The file has no such part.
    """
    with arrays_of(path) as file:
        if f"{part}_images" not in file:
            raise DataError(f"{path.name} with {', '.join(file) or 'no array'}", f"an array {part}_images")
        films = file[f"{part}_images"].astype(np.float32)
        labels = file[f"{part}_labels"].reshape(-1).astype(np.int64)
    low, high = films.min((1, 2), keepdims=True), films.max((1, 2), keepdims=True)
    return Films((films - low) / np.maximum(high - low, 1), labels)


def without_duplicates(films: Films, *others: Films) -> Films:
    """Return films that equal no earlier one and none of the others."""
    seen = {film.tobytes() for other in others for film in other.films}
    chosen = []
    for number, film in enumerate(films.films):
        content = film.tobytes()
        if content not in seen:
            seen.add(content)
            chosen.append(number)
    return films.part(np.array(chosen, dtype=np.int64))


def fold_numbers(labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each film; every class is spread evenly."""
    generator = np.random.default_rng(seed)
    numbers = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        places = generator.permutation(np.flatnonzero(labels == label))
        numbers[places] = np.arange(len(places)) % folds
    return numbers


def trained_network(train: Films, plan: Plan, seed: int, checkpoint: Checkpoint | None = None) -> Module:
    """Return one network; its weights are averaged over the second half of the training."""
    torch = require("torch", extra="train")
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    mixer = np.random.default_rng(seed)
    films = torch.from_numpy(train.films)[:, None]
    labels = torch.from_numpy(train.labels)
    classes = [torch.where(labels == label)[0] for label in (0, 1)]
    network = film_network(plan.width, 1)
    steps = Steps(network, plan.steps, rate=plan.rate, decay=5e-3, rise=0.15)
    average = torch.optim.swa_utils.AveragedModel(network, use_buffers=True, multi_avg_fn=_moving_average)
    network.train()
    parts = {"network": network, "average": average, "steps": steps, "mixer": NumpyState(mixer)}
    for _ in kept_steps(plan.steps, parts, generator, checkpoint):
        half = plan.batch // 2
        chosen = torch.cat([of[torch.randint(len(of), (half,), generator=generator)] for of in classes])
        shown = stretched(changed(films[chosen], generator, plan.change))
        wanted = labels[chosen].float() * (1 - plan.smoothing) + plan.smoothing / 2
        if plan.mixing:
            share = float(mixer.beta(plan.mixing, plan.mixing))
            order = torch.randperm(len(chosen), generator=generator)
            shown = share * shown + (1 - share) * shown[order]
            wanted = share * wanted + (1 - share) * wanted[order]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(shown)[:, 0], wanted)
        steps.take(loss)
        average.update_parameters(network)
    return average.module.eval()


def _moving_average(averaged: list[Any], current: list[Any], steps: Any) -> None:
    """Exponential average over about a hundred steps, over fewer at the start."""
    share = max(0.01, 1 / (float(steps) / 4 + 1))
    for old, new in zip(averaged, current, strict=True):
        if old.is_floating_point():
            old.lerp_(new, share)
        else:
            old.copy_(new)


def logits(network: Module, films: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n,) logits of a network on films, averaged with their mirror images in the features."""
    torch = require("torch", extra="train")
    parts = []
    with torch.no_grad():
        for part in torch.from_numpy(films)[:, None].split(256):
            pooled = mirrored_features(network, part).mean((2, 3))
            parts.append(network.head(pooled)[:, 0])
    return np.asarray(torch.cat(parts).double().numpy(), dtype=np.float64)


def changed_films(films: NDArray[np.float32], change: Change, seed: int) -> NDArray[np.float32]:
    """Return each film changed once: the simulated shift."""
    torch = require("torch", extra="train")
    generator = torch.Generator().manual_seed(seed)
    out = stretched(changed(torch.from_numpy(films)[:, None], generator, change))
    return np.asarray(out[:, 0].numpy(), dtype=np.float32)


def calibration(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and offset of the logit (Platt scaling), both classes weighing the same.

    References:
        Platt, Probabilistic outputs for support vector machines, 1999.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6, class_weight="balanced").fit(scores[:, None], labels)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def operating_point(labels: NDArray[np.int64], scores: NDArray[np.float64]) -> dict[str, float]:
    """Return calibration, threshold and the zone of abstention from validation logits.

    The threshold makes the smaller of sensitivity and specificity as large as it can be; in the zone lies
    the twentieth of the films whose logits are nearest to it.
    """
    slope, offset = calibration(labels, scores)
    ordered = np.unique(scores)
    cuts = (ordered[1:] + ordered[:-1]) / 2  # between films, so that no rounding decides on one
    sensitivity = 1 - np.searchsorted(np.sort(scores[labels == 1]), cuts) / np.count_nonzero(labels == 1)
    specificity = np.searchsorted(np.sort(scores[labels == 0]), cuts) / np.count_nonzero(labels == 0)
    cut = float(cuts[np.argmax(np.minimum(sensitivity, specificity))])
    reach = float(np.quantile(np.abs(scores - cut), 0.05))
    low, middle, high = (float(_sigmoid(slope * s + offset)) for s in (cut - reach, cut, cut + reach))
    return {
        "slope": slope,
        "offset": offset,
        "threshold": middle,
        "abstain_low": low,
        "abstain_high": high,
    }


def _sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-values))


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a training gives.

    Attributes:
        content: The ONNX file.
        settings: Operating point, calibration and where they come from.
        figures: ROC areas: of training films by the network that never saw them, as they are and changed;
            of validation films by all networks.
    """

    content: bytes
    settings: dict[str, Any]
    figures: dict[str, float]


def train(
    data: Path,
    plan: Plan,
    *,
    threads: int = 1,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Return the trained model.

    Args:
        data: ``pneumoniamnist.npz`` or any file with its ``train`` and ``val`` parts.
        plan: How to train.
        threads: Of torch.
        progress: Told in words what is done.
        checkpoint: Beside which every network is kept, and gone on with.
    """
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    train_part = without_duplicates(read_pneumoniamnist(data, "train"))
    validation = without_duplicates(read_pneumoniamnist(data, "val"), train_part)
    members = trained_members(train_part, plan, progress=progress, checkpoint=checkpoint)
    kept = checkpoint and checkpoint.named("gate")
    gate = trained_gate(train_part.films, seed=plan.seed, steps=plan.gate_steps, checkpoint=kept)
    progress("gate")
    return assembled(members, gate, train_part, validation, plan)


def trained_members(
    train_part: Films,
    plan: Plan,
    *,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> list[Module]:
    """Return one network a fold, trained without the films of that fold."""
    folds = fold_numbers(train_part.labels, plan.folds, plan.seed)
    members = []
    for fold in range(plan.folds):
        kept = checkpoint and checkpoint.named(f"network_{fold + 1}")
        members.append(trained_network(train_part.part(folds != fold), plan, plan.seed + fold, kept))
        progress(f"network {fold + 1} of {plan.folds}")
    return members


def held_out_logits(
    members: list[Module], labels: NDArray[np.int64], films: NDArray[np.float32], plan: Plan
) -> NDArray[np.float64]:
    """Return for each training film, as it is or changed, the logit of the network that never saw it."""
    folds = fold_numbers(labels, plan.folds, plan.seed)
    scores = np.zeros(len(folds))
    for fold, member in enumerate(members):
        scores[folds == fold] = logits(member, films[folds == fold])
    return scores


def assembled(
    members: list[Module],
    gate: Module,
    train_part: Films,
    validation: Films,
    plan: Plan,
) -> Trained:
    """Return networks and gate as one file, its operating point and limits from the validation part."""
    torch = require("torch", extra="train")
    as_is = mean_logits(members, validation.films)
    shifted = [
        mean_logits(members, changed_films(validation.films, plan.change, plan.seed + draw))
        for draw in range(plan.draws)
    ]
    # half of the evidence is the films as they are, half the films changed
    labels = np.tile(validation.labels, 2 * plan.draws)
    settings: dict[str, Any] = operating_point(labels, np.concatenate([as_is] * plan.draws + shifted))
    known = known_films(gate, train_part.films, seed=plan.seed)
    network = shipped_network(members, gate, known).eval()
    with torch.no_grad():
        distances = network(torch.from_numpy(validation.films)[:, None])[-1].numpy()
        network.limits.copy_(torch.from_numpy(np.quantile(distances, 1 - plan.refused, axis=0)))
    settings |= {
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "films": [len(train_part.labels), len(validation.labels)],
    }
    labels = train_part.labels
    shifted_films = changed_films(train_part.films, plan.change, plan.seed)
    return Trained(
        onnx_bytes(network, (1, 28, 28), "film", OUTPUTS, settings),
        settings,
        {
            "auc_cross_validation": auc(labels, held_out_logits(members, labels, train_part.films, plan)),
            "auc_changed_films": auc(labels, held_out_logits(members, labels, shifted_films, plan)),
            "auc_validation": auc(validation.labels, as_is),
        },
    )


def mean_logits(members: list[Module], films: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (n,) logits of the ensemble."""
    # the mean of logits is what the exported head gives; its map stays exact
    return np.asarray(np.mean([logits(member, films) for member in members], axis=0))


def trained_record(
    data: Path,
    plan: Plan,
    *,
    threads: int = 1,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record of the training with its held-out figures."""
    trained = train(data, plan, threads=threads, progress=progress, checkpoint=checkpoint)
    return trained.content, {"settings": trained.settings} | trained.figures


def estimate_under_shift(
    data: Path, plan: Plan, *, networks: int = 2, part: float = 0.25, progress: Progress = logger.info
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and logits of films whose appearance misleads, by networks trained on the others.

    The harsh stand-in for a shift of `coread.recognition.training.shift`; for the card, not for choice.
    """
    films = without_duplicates(read_pneumoniamnist(data, "train"))
    hard = misleading(films.films, films.labels, part=part, seed=plan.seed)
    members = []
    for number in range(networks):
        members.append(trained_network(films.part(~hard), plan, plan.seed + 100 + number))
        progress(f"network {number + 1} of {networks}")
    return films.labels[hard], mean_logits(members, films.films[hard])
