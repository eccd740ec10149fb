"""How faithful the class-activation maps of `coread.recognition.cxr_pneumonia` are, for its card."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.extras import require
from coread.recognition.attribution import faithfulness, randomised_agreement
from coread.recognition.cxr_pneumonia import SIZE, STEM, network, probability, read_films
from coread.recognition.explain import cells_on_square
from coread.recognition.metrics import Estimate, bootstrap_mean
from coread.recognition.runtime import Network, load_card, read_weights
from coread.recognition.training.pneumonia import read_pneumoniamnist, without_duplicates

Films = NDArray[np.float32]
STEPS = 14
logger = logging.getLogger(__name__)


def with_mixed_weights(content: bytes, seed: int) -> bytes:
    """Return an ONNX file whose weights lie in random order within each layer: same values, nothing learnt.

    Raises:
        MissingExtraError: onnx is not installed.

    References:
        Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
    """
    onnx = require("onnx", extra="train")
    model = onnx.load_from_string(content)
    rng = np.random.default_rng(seed)
    for initialiser in model.graph.initializer:
        values = onnx.numpy_helper.to_array(initialiser)
        if values.dtype != np.float32 or values.ndim < 2:
            continue  # sizes of shapes, biases and limits
        mixed = rng.permutation(values.ravel()).reshape(values.shape)
        initialiser.CopyFrom(onnx.numpy_helper.from_array(mixed, initialiser.name))
    return bytes(model.SerializeToString())


def maps_of(films: Films, model: Network) -> Films:
    """Return the class-activation map (n, 28, 28) of films (n, 28, 28), as the reading page shows it."""
    return np.stack([cells_on_square(r.activation, SIZE) for r in read_films(films, model)])


def measured_faithfulness(
    films: Films, normal: Films, *, seeds: Sequence[int] = (0, 1, 2)
) -> dict[str, Estimate]:
    """Return deletion and insertion areas and the agreement with random weights, means over films.

    Places are hidden by what lies there on a normal film. ``deletion_auc_random`` and
    ``insertion_auc_random`` rank the 7 x 7 cells by chance: what a map that says nothing reaches.
    ``deletion_auc_grey`` hides by the film's mean grey, which the network takes for pneumonia itself.

    Args:
        films: (n, 28, 28) on which the model finds pneumonia.
        normal: (28, 28), a film without it.
        seeds: Of the networks whose weights are mixed.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    model = network()

    def score(batch: Films) -> NDArray[np.float64]:
        return np.array([probability(r, model.settings).value for r in read_films(batch[:, 0], model)])

    content = read_weights(f"{STEM}.onnx", load_card(STEM).weights or "")
    others = [Network(with_mixed_weights(content, seed)) for seed in seeds]
    found = maps_of(films, model)
    random_maps = [maps_of(films, other) for other in others]
    rng = np.random.default_rng(0)
    rows: dict[str, list[float]] = {}
    for n, film in enumerate(films):
        by_chance = cells_on_square(rng.random((7, 7)).astype(np.float32), SIZE)
        grey = np.full_like(normal, film.mean())
        ways = (("", found[n], normal), ("_random", by_chance, normal), ("_grey", found[n], grey))
        for ending, heat, hidden in ways:
            areas = faithfulness(heat, film[None], score, baseline=hidden[None], steps=STEPS, batch=STEPS + 1)
            rows.setdefault(f"deletion_auc{ending}", []).append(areas.deletion)
            rows.setdefault(f"insertion_auc{ending}", []).append(areas.insertion)
        agreement = [abs(randomised_agreement(found[n], maps[n])) for maps in random_maps]
        rows.setdefault("random_weights_agreement", []).append(float(np.mean(agreement)))
    return {name: bootstrap_mean(values, rng=np.random.default_rng(0)) for name, values in rows.items()}


def films_found(data: Path) -> tuple[Films, Films]:
    """Return validation films with pneumonia that the model calls so, and the mean normal training film.

    Args:
        data: ``pneumoniamnist.npz`` or any file with its ``train`` and ``val`` parts.
    """
    train = read_pneumoniamnist(data, "train")
    given = without_duplicates(read_pneumoniamnist(data, "val"), train)
    model = network()
    readings = read_films(given.films, model)
    top = model.settings["abstain_high"]
    taken = [
        label == 1 and reading.distances.max() <= 1 and probability(reading, model.settings).value >= top
        for label, reading in zip(given.labels, readings, strict=True)
    ]
    chosen: Films = given.films[np.array(taken)]
    normal: Films = train.films[train.labels == 0].mean(axis=0)
    return chosen, normal


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """Measure and print what the card says: ``python -m coread.recognition.training.faithfulness FILE``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=3, help="of the films, such as every third")
    given = parser.parse_args(arguments)
    films, normal = films_found(given.data)
    films = films[:: given.every]
    figures = measured_faithfulness(films, normal)
    (alone,) = read_films(normal[None], network())
    document: dict[str, Any] = {"films": len(films)}
    document["normal_film"] = probability(alone, network().settings).value
    document |= {name: {"value": e.value, "low": e.low, "high": e.high} for name, e in figures.items()}
    logger.info("%s", json.dumps(document, indent=2))
    return document


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
