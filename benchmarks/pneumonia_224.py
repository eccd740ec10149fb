"""Pneumonia at 224 pixels against 28: is a network on larger films worth shipping beside `cxr_pneumonia`?

    python benchmarks/pneumonia_224.py chest/kermany_cxr224 pneumoniamnist_trainval.npz --out scores.csv

Every film of 224 pixels is also in PneumoniaMNIST, as a centred square at 28 pixels, so the same children can
be judged at both sizes. Each film is found again there by correlation over aspect ratios (the films of 224
pixels were squeezed to a square); then, all scores being of films not trained on:

- ``small_rest``: the recipe of `cxr_pneumonia`, one network, on all other films of PneumoniaMNIST;
- ``small_folds``: the same with the films of the two other folds added, one network a fold;
- ``large``: EfficientNet-Lite0 to 1/16 of the side, started from ImageNet, on the two other folds at 224
  pixels (normal, bacterial, viral), one network a fold.

Needs the extra ``train``; about a quarter of an hour of one CPU core. Scores are written after each fold, and
a second run goes on from them. Areas are DeLong's, paired.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from coread.errors import AnalysisError
from coread.evaluation.roc import Areas, areas, auc, compare_paired
from coread.recognition.training.encoder import CHANNELS, pretrained_encoder
from coread.recognition.training.films import Change, changed, stretched
from coread.recognition.training.loop import Steps
from coread.recognition.training.pneumonia import (
    Films,
    Plan,
    fold_numbers,
    logits,
    read_pneumoniamnist,
    trained_network,
    without_duplicates,
)

SUBTYPES = ("normal", "bacteria", "virus")
SCORES = ("small_rest", "small_folds", "large", "viral")
ASPECTS = np.exp(np.arange(np.log(0.7), np.log(3.3), 0.015))  # width by height
FOUND = 0.96  # least correlation of a film with itself at the other size
ALIKE = 0.93  # films of PneumoniaMNIST that come so near to any of the larger ones are left out with them
SIDE = 224
FOLDS = 3
EPOCHS = 8
BATCH = 16
FROZEN = 6  # blocks of the encoder, with its stem, that stay as they were on photographs
CHANGE = Change(log_scale=0.15, shift=0.1, angle=0.17, shear=0.05, noise=0.02)


@dataclass(frozen=True, slots=True, eq=False)
class Large:
    """Films of 224 pixels: names, (n, 224, 224) float32 from 0 to 1, and (n,) numbers of `SUBTYPES`."""

    names: list[str]
    films: NDArray[np.float32]
    subtypes: NDArray[np.int64]


def read_large(folder: Path) -> Large:
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    films = []
    for row in rows:
        with Image.open(folder / "images" / row["file"]) as picture:
            films.append(np.asarray(picture.convert("L"), dtype=np.float32) / 255)
    subtypes = np.array([SUBTYPES.index(row["subtype"]) for row in rows], dtype=np.int64)
    return Large([row["file"] for row in rows], np.stack(films), subtypes)


def weights_of(part: float, old: int, new: int) -> NDArray[np.float32]:
    """(new, old) triangle weights that shrink the middle ``part`` of a side."""
    scale = old * part / new
    centres = (old - old * part) / 2 + (np.arange(new) + 0.5) * scale
    weights = np.maximum(1 - np.abs(np.arange(old) + 0.5 - centres[:, None]) / max(scale, 1), 0)
    return np.asarray(weights / weights.sum(1, keepdims=True), dtype=np.float32)


def standard(films: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = films.reshape(len(films), -1)
    flat = flat - flat.mean(1, keepdims=True)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def correlations(large: NDArray[np.float32], small: NDArray[np.float32]) -> NDArray[np.float32]:
    """(large, small) highest correlation over the aspect ratios that a film may have had."""
    others = standard(small).T
    best = np.full((len(large), len(small)), -1, dtype=np.float32)
    for aspect in ASPECTS:
        rows = weights_of(min(1, aspect), large.shape[1], small.shape[1])
        columns = weights_of(min(1, 1 / aspect), large.shape[2], small.shape[2])
        np.maximum(best, standard(rows @ large @ columns.T) @ others, out=best)
    return best


def large_network() -> Any:
    class LargeNetwork(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = pretrained_encoder()
            self.dropout = torch.nn.Dropout(0.3)
            self.head = torch.nn.Linear(2 * CHANNELS[-1], len(SUBTYPES))

        def train(self, mode: bool = True) -> LargeNetwork:
            super().train(mode)
            for part in self.frozen():
                part.eval()
            return self

        def frozen(self) -> list[Any]:
            return [self.encoder.stem, *self.encoder.blocks[:FROZEN]]

        def forward(self, films: Any) -> Any:
            maps = self.encoder((films * 2 - 1).repeat(1, 3, 1, 1))[-1]
            return self.head(self.dropout(torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)))

    network = LargeNetwork().to(memory_format=torch.channels_last)
    for part in network.frozen():
        part.requires_grad_(False)
    return network


def trained_large(films: NDArray[np.float32], subtypes: NDArray[np.int64], seed: int) -> Any:
    """One network; its weights are averaged over about the last fifty steps."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    network = large_network()
    count = EPOCHS * (len(films) // BATCH)
    steps = Steps(network, count, rate=1e-3, decay=0.02, rise=0.2)
    average = torch.optim.swa_utils.AveragedModel(
        network, use_buffers=True, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.98)
    )
    network.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(films), generator=generator)
        for chosen in order.split(BATCH)[: len(films) // BATCH]:
            shown = stretched(changed(torch.from_numpy(films[chosen])[:, None], generator, CHANGE))
            wanted = torch.from_numpy(subtypes[chosen])
            loss = torch.nn.functional.cross_entropy(network(shown), wanted, label_smoothing=0.05)
            steps.take(loss)
            average.update_parameters(network)
    return average.module.eval()


def large_logits(network: Any, films: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 3) logits, averaged over each film and its mirror image."""
    with torch.no_grad():
        split = stretched(torch.from_numpy(films)[:, None]).split(BATCH)
        parts = [(network(part) + network(part.flip(3))) / 2 for part in split]
    return np.asarray(torch.cat(parts).double().numpy())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("large", type=Path, help="folder with images/ and labels.csv")
    parser.add_argument("small", type=Path, help="PneumoniaMNIST with its train and val parts")
    parser.add_argument("--out", type=Path, required=True, help="CSV of the scores of every film")
    given = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    start = time.process_time()

    def tell(what: str) -> None:
        print(f"{(time.process_time() - start) / 60:6.1f} CPU min  {what}", flush=True)

    large = read_large(given.large)
    train = without_duplicates(read_pneumoniamnist(given.small, "train"))
    val = without_duplicates(read_pneumoniamnist(given.small, "val"), train)
    small = Films(np.concatenate([train.films, val.films]), np.concatenate([train.labels, val.labels]))
    near = correlations(large.films, small.films)
    twins, found = near.argmax(1), near.max(1)
    second = np.sort(near, axis=1)[:, -2]
    labels = (large.subtypes > 0).astype(np.int64)
    agree = small.labels[twins] == labels
    if found.min() < FOUND or len(np.unique(twins)) < len(twins) or not agree.all():
        raise AnalysisError(f"{(found < FOUND).sum()} films not found again", "each of them once, same class")
    alike = near.max(0) > ALIKE
    tell(f"{len(twins)} films found again, r {found.min():.3f} to {found.max():.3f}, next best film at most")
    tell(f"{second.max():.3f} (median {np.median(second):.3f}), all labels agree; {alike.sum()} left out")

    plan = Plan()
    rest, twin_films = small.part(~alike), small.part(twins)
    folds = fold_numbers(large.subtypes, FOLDS, plan.seed)
    scores = {name: np.full(len(twins), np.nan) for name in SCORES}
    if given.out.exists():
        kept = np.genfromtxt(given.out, delimiter=",", names=True)
        scores = {name: np.array(kept[name]) for name in SCORES}
    if np.isnan(scores["small_rest"]).any():
        scores["small_rest"] = logits(trained_network(rest, plan, plan.seed), twin_films.films)
        write(given.out, large, folds, scores)
    tell(f"small_rest {auc(labels, scores['small_rest']):.4f} on all")
    for fold in range(FOLDS):
        inside, outside = folds == fold, folds != fold
        if np.isnan(scores["large"][inside]).any():
            network = trained_large(large.films[outside], large.subtypes[outside], plan.seed + fold)
            said = large_logits(network, large.films[inside])
            scores["large"][inside] = np.logaddexp(said[:, 1], said[:, 2]) - said[:, 0]
            scores["viral"][inside] = said[:, 2] - said[:, 1]
            write(given.out, large, folds, scores)
        tell(f"fold {fold + 1}: large {auc(labels[inside], scores['large'][inside]):.4f}")
    for fold in range(FOLDS):
        inside, outside = folds == fold, folds != fold
        if np.isnan(scores["small_folds"][inside]).any():
            more = twin_films.part(outside)
            joined = Films(
                np.concatenate([rest.films, more.films]), np.concatenate([rest.labels, more.labels])
            )
            network = trained_network(joined, plan, plan.seed + fold)
            scores["small_folds"][inside] = logits(network, twin_films.films[inside])
            write(given.out, large, folds, scores)
        tell(f"fold {fold + 1}: small_folds {auc(labels[inside], scores['small_folds'][inside]):.4f}")
    report(large.subtypes, folds, scores)


def write(path: Path, large: Large, folds: NDArray[np.int64], scores: dict[str, NDArray[np.float64]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "subtype", "fold", *SCORES])
        for n, name in enumerate(large.names):
            table.writerow([name, large.subtypes[n], folds[n], *(float(scores[of][n]) for of in SCORES)])


def report(
    subtypes: NDArray[np.int64], folds: NDArray[np.int64], scores: dict[str, NDArray[np.float64]]
) -> None:
    labels = (subtypes > 0).astype(np.int64)
    names = ("large", "small_folds", "small_rest")
    table = np.column_stack([scores[name] for name in names])
    # scores of different networks are pooled, or compared within each fold alone and the areas averaged
    apart = [areas(labels[folds == fold], table[folds == fold]) for fold in range(FOLDS)]
    averaged = Areas(
        np.mean([of.area for of in apart], axis=0),
        np.sum([of.covariance for of in apart], axis=0) / FOLDS**2,
        "DeLong, mean of folds",
    )
    for how, result in (("pooled", areas(labels, table)), ("in folds", averaged)):
        for number, name in enumerate(names):
            limits = result.interval(number)
            print(f"{how:9} {name:12} AUC {result.area[number]:.4f} ({limits.low:.4f} to {limits.high:.4f})")
        for number in (1, 2):
            test = compare_paired(result, 0, number)
            print(
                f"{how:9} large - {names[number]:12} {test.difference:+.4f} "
                f"({test.interval.low:+.4f} to {test.interval.high:+.4f}), p {test.p:.4f}"
            )
    sick = subtypes > 0
    kinds = areas(subtypes[sick] == 2, scores["viral"][sick])
    limits = kinds.interval()
    print(f"viral against bacterial, large: AUC {kinds.area[0]:.4f} ({limits.low:.4f} to {limits.high:.4f})")


if __name__ == "__main__":
    main()
