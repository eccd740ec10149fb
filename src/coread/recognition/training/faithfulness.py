"""How faithful the heat maps of a classifier are: hidden and shown places, random weights, known places.

Measured by `coread models evaluate NAME --data DATA --faithfulness`, for every model that shows a heat map
and for imported classifiers; the figures of the package's own are on their cards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coread.errors import DataError
from coread.extras import require
from coread.recognition.attribution import Score, faithfulness, pointing_game, randomised_agreement
from coread.recognition.explain import cells_on_square
from coread.recognition.inference import resample_linear
from coread.recognition.metrics import Estimate, bootstrap_mean

Floats = NDArray[np.float32]
Maps = Callable[[Floats], Floats]
STEPS = 14
CELLS = 7
SEEDS = (0, 1, 2)
WEIGHTS = ("float32", "float16", "int8", "uint8")


@dataclass(frozen=True, slots=True, eq=False)
class Mapped:
    """Pictures on which a model finds something, and how it explains itself on them.

    Attributes:
        pictures: (n, channels, rows, columns) as scores and `maps` take them.
        groups: Patient of each; pictures of one patient are no independent evidence.
        score_of: Given the number of a picture: the score of the finding for a batch of versions of it,
            by the networks that judge this picture.
        maps: (n, rows, columns) of these pictures.
        of_mixed: The same of networks whose weights lie in random order.
        normal: (channels, rows, columns), a picture without the finding, by which places are hidden.
        truths: (rows, columns) of bool where the finding is, or None where that is not known.
        notes: What a reader of the figures should know.
    """

    pictures: Floats
    groups: tuple[str, ...]
    score_of: Callable[[int], Score]
    maps: Maps
    of_mixed: tuple[Maps, ...]
    normal: Floats
    truths: tuple[NDArray[np.bool_] | None, ...]
    notes: tuple[str, ...] = ()


def with_mixed_weights(content: bytes, seed: int) -> bytes:
    """Return an ONNX file whose weights lie in random order within each layer: same values, nothing learnt.

    Raises:
        MissingExtraError: onnx is not installed.
        DataError: It has no weights that could be mixed.

    References:
        Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
    """
    onnx = require("onnx", extra="train")
    model = onnx.load_from_string(content)
    rng = np.random.default_rng(seed)
    mixed = 0
    for initialiser in model.graph.initializer:
        values = onnx.numpy_helper.to_array(initialiser)
        if values.dtype.name not in WEIGHTS or values.ndim < 2:
            continue  # sizes of shapes, biases, scales and limits
        order = rng.permutation(values.ravel()).reshape(values.shape)
        initialiser.CopyFrom(onnx.numpy_helper.from_array(order, initialiser.name))
        mixed += 1
    if not mixed:
        raise DataError("a network without weights of two axes and more", "layers whose weights can be mixed")
    return bytes(model.SerializeToString())


def measured_faithfulness(given: Mapped, *, steps: int = STEPS) -> dict[str, Estimate]:
    """Return the figures of a model's maps, means over pictures with intervals over patients.

    - ``map_deletion_auc``, ``map_insertion_auc``: areas under the score, as share of the picture's own, while
      places are hidden by (put into) what lies there on a normal picture, most important first.
    - the same with ``_random``: cells of a 7 x 7 grid in random order, what a map that says nothing reaches;
      with ``_grey``: hidden by the picture's mean grey, which a network may take for anything.
    - ``map_random_weights_agreement``: absolute rank correlation with the maps of networks of mixed weights;
      near 1 a map shows the picture and not what was learnt.
    - ``map_pointing_game``: share of pictures whose highest place lies in the outline of the finding, and
      ``map_pointing_game_random``, the share of the picture that the outline takes; where outlines are known.

    Args:
        given: Pictures and maps.
        steps: Equal parts in which places are hidden.

    Raises:
        DataError: There is no picture on which the finding is found.
    """
    if not len(given.pictures):
        raise DataError("no picture on which the model finds what it is asked for", "some that it finds")
    found = given.maps(given.pictures)
    mixed = [maps(given.pictures) for maps in given.of_mixed]
    rng = np.random.default_rng(0)
    rows: dict[str, list[tuple[str, float]]] = {}

    def add(name: str, group: str, value: float) -> None:
        rows.setdefault(name, []).append((group, value))

    for n, (picture, group, truth) in enumerate(zip(given.pictures, given.groups, given.truths, strict=True)):
        score = given.score_of(n)
        by_chance = _on(rng.random((CELLS, CELLS)).astype(np.float32), picture.shape[1:])
        grey = np.broadcast_to(picture.mean(axis=(1, 2), keepdims=True), picture.shape)
        ways = (("", found[n], given.normal), ("_random", by_chance, given.normal), ("_grey", found[n], grey))
        for ending, heat, hidden in ways:
            areas = faithfulness(heat, picture, score, baseline=hidden, steps=steps, batch=steps + 1)
            add(f"map_deletion_auc{ending}", group, areas.deletion)
            add(f"map_insertion_auc{ending}", group, areas.insertion)
        if mixed:
            agreement = [abs(randomised_agreement(found[n], maps[n])) for maps in mixed]
            add("map_random_weights_agreement", group, float(np.mean(agreement)))
        if truth is not None and truth.any():
            add("map_pointing_game", group, float(pointing_game(found[n], truth)))
            add("map_pointing_game_random", group, float(truth.mean()))
    return {name: _over_groups(values) for name, values in rows.items()}


def _on(cells: Floats, shape: Sequence[int]) -> Floats:
    if shape[0] == shape[1]:
        return cells_on_square(cells, shape[0])
    drawn: Floats = resample_linear(cells[None], shape)[0]
    return drawn


def _over_groups(values: Sequence[tuple[str, float]]) -> Estimate:
    """The mean over pictures, its interval by drawing patients."""
    of: dict[str, list[float]] = {}
    for group, value in values:
        of.setdefault(group, []).append(value)
    means = [float(np.mean(some)) for some in of.values()]
    interval = bootstrap_mean(means, rng=np.random.default_rng(0))
    return Estimate(float(np.mean([value for _, value in values])), interval.low, interval.high)
