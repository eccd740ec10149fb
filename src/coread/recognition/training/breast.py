"""Training of `coread.recognition.breast_us` from pictures with masks, look-alikes kept together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from coread.errors import DataError
from coread.extras import require
from coread.recognition.breast_pictures import CLASSES, Labelled, read_folder
from coread.recognition.breast_us import SIDE, known_as, mass_outline, squeezed
from coread.recognition.members import FOLDS_KEY
from coread.recognition.metrics import auc, dice, expected_calibration_error
from coread.recognition.operating import chosen_threshold
from coread.recognition.training.checkpoint import Checkpoint
from coread.recognition.training.encoder import encoded_unet
from coread.recognition.training.export import onnx_bytes
from coread.recognition.training.gate import OUTLIERS, outliers
from coread.recognition.training.unet import (
    SegmentationPlan,
    changed_pair,
    patient_folds,
    trained_unet,
)

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]
Tensor = Any
Module = Any
SENSITIVITY = 0.9  # of the operating point, on pictures not trained on
NEAR = 0.1  # of the pictures lie nearest to the threshold and get no opinion
VALID_KEPT = 0.99  # of pictures not trained on lie inside each of the two limits of the gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(SegmentationPlan):
    """How the networks for the breast are trained; ``width`` plays no part."""

    folds: int = 3
    epochs: int = 50
    rate: float = 1.5e-3
    log_scale: float = 0.3
    angle: float = 0.35
    shift: float = 0.15


def trained_record(
    data: Path,
    plan: Plan,
    *,
    threads: int = 1,
    progress: Progress = logger.info,
    checkpoint: Checkpoint | None = None,
) -> tuple[bytes, dict[str, Any]]:
    """Return the weights and a record with the figures of pictures by the network that never saw them.

    Raises:
        DataError: A picture has no mask.
    """
    torch = require("torch", extra="train")
    torch.set_num_threads(threads)
    pictures = read_folder(data).pictures
    if missing := [p.name for p in pictures if p.mask is None]:
        raise DataError(f"{len(missing)} pictures without a mask, such as {missing[0]}", "a mask for each")
    small = np.stack([squeezed(p.picture) for p in pictures])
    masks = np.stack([_squeezed_mask(p) for p in pictures])
    labels = np.array([p.label for p in pictures], dtype=np.int64)
    folds = patient_folds([p.group for p in pictures], plan.folds, plan.seed)
    networks: list[Module] = []
    scores, overlaps = np.zeros((len(small), len(CLASSES))), np.full(len(small), np.nan)
    for fold in range(plan.folds):
        chosen = folds != fold
        network = trained_unet(
            small[chosen],
            masks[chosen],
            plan,
            plan.seed + fold,
            network=partial(encoded_unet, len(CLASSES)),
            classes=labels[chosen],
            checkpoint=checkpoint and checkpoint.named(f"network_{fold + 1}"),
        )
        networks.append(network)
        for number in np.flatnonzero(~chosen):
            with torch.no_grad():
                mask, score = _both_ways(network, torch.from_numpy(small[number])[None, None])
            scores[number] = score[0].numpy()
            truth = pictures[number].mask
            assert truth is not None
            if truth.any():
                rows, columns = truth.shape
                overlaps[number] = dice(mass_outline(mask[0, 0].numpy(), (rows, columns)), truth)
        told = auc(labels[~chosen] == 2, softmax(scores[~chosen], axis=1)[:, 2])
        overlap = np.nanmean(overlaps[~chosen])
        progress(f"network {fold + 1} of {plan.folds}: AUC {told:.4f}, Dice {overlap:.4f} on unseen pictures")
    known, gate = _gate(networks[0], small[folds != 0], small[folds == 0], plan)
    settings = {
        **operating_point(scores, labels),
        "seed": plan.seed,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pictures": len(small),
        FOLDS_KEY: {known_as(p.name): int(fold) for p, fold in zip(pictures, folds, strict=True)},
    }
    chances = softmax(scores / settings["temperature"], axis=1)
    record: dict[str, Any] = {
        "settings": settings,
        "auc_cross_validation": auc(labels == 2, chances[:, 2]),
        "accuracy_3_classes_cross_validation": float((chances.argmax(1) == labels).mean()),
        "ece_cross_validation": expected_calibration_error(labels == 2, chances[:, 2]),
        "dice_cross_validation": float(np.nanmean(overlaps)),
        "gate": gate,
        "of": {
            p.name: [p.group, int(p.label), *(round(float(c), 5) for c in row), round(float(overlap), 4)]
            for p, row, overlap in zip(pictures, chances, overlaps, strict=True)
        },
    }
    outputs = ("members", "member_scores", "distances")
    content = onnx_bytes(_shipped(networks, known), (1, SIDE, SIDE), "picture", outputs, settings, small=True)
    return content, record


def _both_ways(network: Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the chance of the mask and the scores, averaged over the pictures and their mirror images."""
    torch = require("torch", extra="train")
    (mask, scores), (turned, others) = network(pictures), network(pictures.flip(3))
    return (torch.sigmoid(mask) + torch.sigmoid(turned).flip(3)) / 2, (scores + others) / 2


def _squeezed_mask(picture: Labelled) -> NDArray[np.bool_]:
    assert picture.mask is not None
    grey = Picture.fromarray(picture.mask.astype(np.float32))
    return np.asarray(grey.resize((SIDE, SIDE), Picture.Resampling.BILINEAR)) >= 0.5


def operating_point(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    """Return temperature, threshold and the zone without opinion, from pictures that were not trained on.

    The temperature makes the log-likelihood largest (Guo et al., ICML 2017); the threshold is the highest
    with a sensitivity of at least `SENSITIVITY`; the zone holds the `NEAR` of the pictures whose
    probability is nearest to it.
    """

    def unlikely(heat: float) -> float:
        return -float(np.log(softmax(scores / heat, axis=1)[np.arange(len(labels)), labels]).mean())

    temperature = float(minimize_scalar(unlikely, bounds=(0.2, 5.0), method="bounded").x)
    chance = softmax(scores / temperature, axis=1)[:, 2]
    threshold = chosen_threshold(labels == 2, chance, sensitivity=SENSITIVITY)
    near = float(np.quantile(np.abs(chance - threshold), NEAR))
    return {
        "temperature": temperature,
        "threshold": threshold,
        "abstain_low": max(threshold - near, 0.0),
        "abstain_high": min(threshold + near, 1.0),
    }


def _features(network: Module, pictures: Tensor) -> Tensor:
    """Mean and deviation of every feature map, by level."""
    torch = require("torch", extra="train")
    kept = network.encoder((pictures * 2 - 1).repeat(1, 3, 1, 1))
    return torch.cat([part for maps in kept for part in (maps.mean((2, 3)), maps.std((2, 3)))], 1)


def _gate(
    network: Module, trained: NDArray[np.float32], unseen: NDArray[np.float32], plan: Plan
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """What the gate knows, and which part of unseen pictures and of made-up outliers it refuses.

    Outliers are made from training pictures, as in `coread.recognition.training.gate`, so that real wrong
    images remain a test. Limits come from one half of the unseen pictures when the parts refused are
    counted on the other, and from all of them in what is shipped.
    """
    torch = require("torch", extra="train")
    generator = torch.Generator().manual_seed(plan.seed)

    def features(pictures: Tensor) -> NDArray[np.float64]:
        with torch.no_grad():
            parts = [_features(network, part) for part in pictures.split(16)]
        return np.asarray(torch.cat(parts).double().numpy())

    def wrong(pictures: Tensor) -> NDArray[np.float64]:
        return np.concatenate([features(outliers(pictures, kind, generator)) for kind in OUTLIERS])

    source, apart = torch.from_numpy(trained)[:, None], torch.from_numpy(unseen)[:, None]
    moved, _ = changed_pair(source, torch.zeros_like(source), generator, plan)
    valid = np.concatenate([features(source), features(moved.clamp(0, 1))])
    foreign = wrong(source)
    mean, spread = valid.mean(0), valid.std(0) + 1e-6
    values = (np.concatenate([valid, foreign]) - mean) / spread
    kinds = np.repeat([0, 1], [len(valid), len(foreign)])
    said = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced").fit(values, kinds)
    shown = values[: len(valid)]
    covariance = np.cov(shown.T) + 0.1 * np.eye(shown.shape[1])
    known = {
        "mean": mean,
        "spread": spread,
        "whitening": np.linalg.cholesky(np.linalg.inv(covariance)),
        "weights": said.coef_[0],
        "offset": said.intercept_,
    }

    def distances(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        standard = (rows - mean) / spread
        far = np.linalg.norm(standard @ known["whitening"], axis=1)
        return np.stack([far, np.logaddexp(0, standard @ known["weights"] + known["offset"])], 1)

    ours, others = distances(features(apart)), distances(wrong(apart))
    half = np.quantile(ours[::2], VALID_KEPT, axis=0)
    refused = {
        "valid_refused": float((ours[1::2] > half).any(1).mean()),
        "made_up_refused": float((others > half).any(1).mean()),
    }
    known["limits"] = np.quantile(ours, VALID_KEPT, axis=0)
    return {name: torch.from_numpy(value).float() for name, value in known.items()}, refused


def _shipped(networks: Sequence[Module], known: dict[str, Tensor]) -> Module:
    torch = require("torch", extra="train")

    class Shipped(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.networks = torch.nn.ModuleList(networks)
            for name, value in known.items():
                self.register_buffer(name, value)

        def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
            said = [_both_ways(network, picture) for network in self.networks]
            standard = (_features(self.networks[0], picture) - self.mean) / self.spread
            far = torch.sqrt(((standard @ self.whitening) ** 2).sum(1))
            odds = torch.nn.functional.softplus(standard @ self.weights + self.offset)
            away = torch.stack([far, odds], 1) / self.limits
            return torch.cat([m for m, _ in said], 1), torch.stack([score for _, score in said], 1), away

    return Shipped()
