"""Which pictures and maps the faithfulness of each model is measured on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from coread.core import ImagePlane
from coread.errors import DataError, InputError, NotApplicableError
from coread.recognition import breast_us, cxr_pneumonia
from coread.recognition.attribution import Score, occlusion
from coread.recognition.breast_pictures import read_folder
from coread.recognition.explain import cells_on_square
from coread.recognition.importing import ImportedModel
from coread.recognition.importing.scoring import labelled_for
from coread.recognition.inference import network_predictor
from coread.recognition.labelled import ENDINGS, Part
from coread.recognition.registry import weights_file
from coread.recognition.runtime import Network, load_card, read_weights
from coread.recognition.training.faithfulness import CELLS, SEEDS, Floats, Mapped, Maps, with_mixed_weights
from coread.recognition.training.pneumonia import read_pneumoniamnist, without_duplicates

PICTURES = 104
"""At most so many pictures of a model of the package, evenly spread over those there are."""
MASSES = 60
"""At most so many pictures of masses."""
IMPORTED = 30
"""The same of an imported one, whose maps take many runs of its network."""


def mapped_pneumonia(data: Path) -> Mapped:
    """Return validation films with pneumonia that the model calls so, each with its class-activation map.

    Args:
        data: ``pneumoniamnist.npz`` or any file with its ``train`` and ``val`` parts.
    """
    train = read_pneumoniamnist(data, "train")
    given = without_duplicates(read_pneumoniamnist(data, "val"), train)
    model = cxr_pneumonia.network()

    def score(batch: Floats) -> NDArray[np.float64]:
        readings = cxr_pneumonia.read_films(batch[:, 0], model)
        return np.array([cxr_pneumonia.probability(r, model.settings).value for r in readings])

    def maps_of(network: Network) -> Maps:
        def maps(films: Floats) -> Floats:
            readings = cxr_pneumonia.read_films(films[:, 0], network)
            return np.stack([cells_on_square(r.activation, cxr_pneumonia.SIZE) for r in readings])

        return maps

    readings = cxr_pneumonia.read_films(given.films, model)
    top = model.settings["abstain_high"]
    taken = [
        label == 1
        and reading.distances.max() <= 1
        and cxr_pneumonia.probability(reading, model.settings).value >= top
        for label, reading in zip(given.labels, readings, strict=True)
    ]
    films: Floats = _some(given.films[np.array(taken)], PICTURES)
    normal: Floats = train.films[train.labels == 0].mean(axis=0)
    alone = float(score(normal[None, None])[0])
    return Mapped(
        films[:, None],
        tuple(str(n) for n in range(len(films))),
        lambda n: score,
        maps_of(model),
        tuple(maps_of(Network(content)) for content in _mixed("cxr_pneumonia")),
        normal[None],
        (None,) * len(films),
        (
            f"maps: {len(films)} films of the val part on which pneumonia is found; places are hidden by the "
            f"mean normal film of the train part, which itself has a probability of {alone:.2f}",
            "no outlines of pneumonia are known here, so no pointing game",
        ),
    )


def mapped_breast(data: Path) -> Mapped:
    """Return pictures with an outlined mass on which the model finds one, each with its map of the mass.

    A picture of the training data is judged and explained by the one network that was trained without it.

    Args:
        data: A folder that `coread.recognition.breast_pictures.read_folder` reads, with masks.
    """
    model, side = breast_us.network(1), breast_us.SIDE
    found = read_folder(data).pictures
    normal = [p for p in found if p.label == 0]
    with_mass = [p for p in found if p.mask is not None and p.mask.any()]
    if not normal or not with_mass:
        raise DataError(
            f"{data.name} with {len(normal)} normal pictures and {len(with_mass)} outlined masses",
            "some of both",
            "put masks beside the pictures as NAME_mask.png, or into busi_masks",
        )

    def read(batch: Floats, names: Sequence[str], by: Network = model) -> list[breast_us.PictureReading]:
        return list(breast_us.read_pictures(list(batch[:, 0]), by, names=names))

    def score_of(name: str) -> Score:
        return lambda batch: np.array([1 - r.chances[0] for r in read(batch, [name] * len(batch))])

    candidates = _some(np.arange(len(with_mass)), MASSES)
    pictures = np.stack([breast_us.squeezed(with_mass[n].picture) for n in candidates])[:, None]
    names = [with_mass[n].name for n in candidates]
    known = [r.distances.max() <= 1 and r.chances[0] < 0.5 for r in read(pictures, names)]
    chosen = np.flatnonzero(known)
    taken = [with_mass[n] for n in candidates[chosen]]

    def maps_of(by: Network) -> Maps:
        return lambda batch: np.stack([r.mask for r in read(batch, [p.name for p in taken], by)])

    # the mean of normal pictures has lost its speckle and passes for a mass, so one of them is taken
    plain = np.stack([breast_us.squeezed(p.picture) for p in normal])[:, None]
    suspicion = [1 - r.chances[0] for r in read(plain, [p.name for p in normal])]
    middle = int(np.argsort(suspicion, kind="stable")[len(normal) // 2])
    return Mapped(
        pictures[chosen],
        tuple(p.group for p in taken),
        lambda n: score_of(taken[n].name),
        maps_of(model),
        tuple(maps_of(Network(content)) for content in _mixed("breast_us")),
        plain[middle],
        tuple(_squeezed_mask(p.mask, side) for p in taken),
        (
            f"maps: {len(taken)} of {len(candidates)} pictures with an outlined mass, evenly spread: those "
            "on which one is found, by the one network trained without them if they took part in training",
            f"maps: explained is the probability of a mass; hidden by the normal picture of the middle "
            f"probability, {suspicion[middle]:.2f}, of {len(normal)}",
        ),
    )


MAPPED: MappingProxyType[str, Callable[[Path], Mapped]] = MappingProxyType(
    {"breast_us": mapped_breast, "cxr_pneumonia": mapped_pneumonia}
)
"""Models of the package that show a heat map."""


def mapped(model: str, data: Path) -> Mapped:
    """Return what the faithfulness of a model of the package is measured on.

    Raises:
        NotApplicableError: It shows no heat map.
        DataError: The data can't be used.
    """
    if model not in MAPPED:
        raise NotApplicableError(
            f"{model} shows no heat map, so there is nothing that could be faithful",
            f"{', '.join(MAPPED)}, or an imported classifier",
            "leave --faithfulness out",
        )
    return MAPPED[model](data)


def mapped_imported(
    model: ImportedModel,
    content: bytes | None,
    data: Path,
    *,
    finding: str | None = None,
    part: Part | None = None,
    threads: int = 1,
) -> Mapped:
    """Return labelled pictures on which an imported classifier finds something, with occlusion maps.

    Args:
        model: That classifies.
        content: Its ONNX file; without, as of TorchScript, nothing is compared with mixed weights.
        data: As `coread.recognition.importing.scoring.scored_imported` takes them; outlines of the finding
            in a folder ``masks`` beside them, under the pictures' names.
        finding: Output that is explained.
        part: Of a file with parts.
        threads: Of ONNX Runtime.
    """
    said = model.specification
    labelled, finding, positive = labelled_for(model, data, finding=finding, part=part)
    at = said.outputs.index(finding)

    def scores_of(predict: Callable[[Floats], Floats]) -> Callable[[Floats], NDArray[np.float64]]:
        return lambda batch: np.array([float(said.probabilities(values)[at]) for values in predict(batch)])

    seen: Floats = np.stack([said.picture(np.asarray(picture)) for picture in labelled.pictures])
    score = scores_of(model.predict)
    threshold = model.thresholds.get(finding, 0.5)
    found = np.concatenate([score(seen[n : n + 1]) for n in range(len(seen))]) >= threshold
    chosen = _some(np.flatnonzero(found & (labelled.labels == positive)), IMPORTED)
    if not len(chosen):
        raise InputError(
            f"no picture with {finding} on which the model finds it at {threshold:g}",
            "some that it finds",
            "give data with such pictures, or choose a threshold",
        )
    negative = seen[labelled.labels != positive]
    normal = negative.mean(axis=0) if len(negative) else seen.mean(axis=0)

    def maps_of(explained: Callable[[Floats], NDArray[np.float64]]) -> Maps:
        def maps(pictures: Floats) -> Floats:
            rows, columns = pictures.shape[2:]
            size = -(-min(rows, columns) // CELLS)
            plane = ImagePlane((rows, columns))
            return np.stack(
                [
                    occlusion(p, explained, plane, size=size, step=size, baseline=normal).values
                    for p in pictures
                ]
            )

        return maps

    contents = [] if content is None else [with_mixed_weights(content, seed) for seed in SEEDS]
    networks = [Network(mixed, threads=threads) for mixed in contents]
    masks = data / "masks" if data.is_dir() else data.parent / "masks"
    truths = tuple(_outline(masks, labelled.rows[n], said.window) for n in chosen)
    of = "negative" if len(negative) else "all"
    return Mapped(
        seen[chosen],
        tuple(labelled.patients[n] for n in chosen),
        lambda n: score,
        maps_of(score),
        tuple(maps_of(scores_of(network_predictor(network))) for network in networks),
        normal,
        truths,
        (
            f"maps: by occlusion with squares of {-(-min(said.window) // CELLS)} pixels, "
            f"{len(chosen)} pictures on which {finding} is found at {threshold:g}; places are hidden by "
            f"the mean of {of} pictures",
            *(() if contents else ("a TorchScript network: not compared with mixed weights",)),
        ),
    )


def _mixed(model: str) -> list[bytes]:
    content = read_weights(weights_file(model), load_card(model).weights or "")
    return [with_mixed_weights(content, seed) for seed in SEEDS]


def _some(values: NDArray[Any], count: int) -> NDArray[Any]:
    """At most so many of the values, evenly spread."""
    return values[:: max(-(-len(values) // count), 1)]


def _squeezed_mask(mask: NDArray[np.bool_] | None, side: int) -> NDArray[np.bool_]:
    assert mask is not None  # of a picture with one
    small = Picture.fromarray(mask.astype(np.uint8)).resize((side, side), Picture.Resampling.NEAREST)
    return np.asarray(small) > 0


def _outline(folder: Path, row: str, window: tuple[int, ...]) -> NDArray[np.bool_] | None:
    stem = Path(row).stem
    path = next((folder / f"{stem}{e}" for e in sorted(ENDINGS) if (folder / f"{stem}{e}").is_file()), None)
    if path is None:
        return None
    with Picture.open(path) as picture:
        small = picture.convert("L").resize((window[1], window[0]), Picture.Resampling.NEAREST)
        return np.asarray(small) > 0
