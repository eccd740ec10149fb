"""Right and left lung on frontal chest films of adults, by a small U-Net."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage

from coread.core import Image, Inputs, LabelMap, Measurement, Note, PlaneMask, Quantity, Result
from coread.core.region import MaskRegion, OnInstance
from coread.core.vocabulary import AREA, LEFT_LUNG, RIGHT_LUNG
from coread.errors import DataError, NotApplicableError
from coread.recognition.explain import cells_on_square
from coread.recognition.film import grey, is_frontal_chest_film, shrink
from coread.recognition.labelled import Part
from coread.recognition.members import FOLDS_KEY, apart_note, said_of
from coread.recognition.metrics import bootstrap_mean, dice
from coread.recognition.registry import Evaluation
from coread.recognition.runtime import Network, load_card, load_network

STEM = "lung_fields"
SIDE = 128
LABELS = {1: RIGHT_LUNG, 2: LEFT_LUNG}


@dataclass(frozen=True, slots=True)
class Plausible:
    """What two lungs on a film look like; anything else gets no answer.

    Attributes:
        area: Least and largest part of the film that both cover.
        ratio: Largest ratio of the larger to the smaller.
        certainty: Least mean probability inside.
    """

    area: tuple[float, float] = (0.08, 0.6)
    ratio: float = 3.0
    certainty: float = 0.9


def network(threads: int = 1) -> Network:
    """Return the network, its weights checked against the card."""
    return load_network(f"{STEM}.onnx", load_card(STEM).weights or "", threads)


def squared_film(values: NDArray[np.generic], side: int = SIDE) -> NDArray[np.float32]:
    """Return a film padded to a square at the bottom or the right, at ``side`` x ``side``.

    Its 1st and 99th percentile run from 0 to 1, what lies outside is clipped; the padding is 0.
    """
    film = grey(values)
    low, high = np.percentile(film, [1, 99])
    film = np.clip((film - low) / max(float(high - low), 1e-9), 0, 1)
    size = max(film.shape)
    padded = np.pad(film, ((0, size - film.shape[0]), (0, size - film.shape[1])))
    return shrink(padded, side).astype(np.float32)


def lung_probability(
    values: NDArray[np.generic], model: Network, patient: str | None = None
) -> NDArray[np.float32]:
    """Return (rows, columns) float32 from 0 to 1: that a pixel of the film belongs to a lung.

    Args:
        values: (rows, columns).
        model: As `network` gives it.
        patient: Where the film may be one of the training data.
    """
    small = squared_film(values)
    members = model.run({"picture": small[None, None]})["members"][0]
    out = said_of(members, patient, model.settings[FOLDS_KEY])
    rows, columns = np.shape(values)[:2]
    return np.ascontiguousarray(cells_on_square(out, max(rows, columns))[:rows, :columns])


def two_lungs(
    probability: NDArray[np.float32], plausible: Plausible | None = None
) -> NDArray[np.uint16] | None:
    """Return 1 for the right and 2 for the left lung of the patient, 0 elsewhere; None where that fails.

    The film lies as usual: the patient's right on the film's left.

    Args:
        probability: (rows, columns) from 0 to 1.
        plausible: What is believed.
    """
    limits = plausible or Plausible()
    parts, count = ndimage.label(probability >= 0.5)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if count < 2:
        return None
    larger, smaller = (int(n) for n in np.argsort(sizes)[::-1][:2])
    area = float(sizes[larger] + sizes[smaller]) / probability.size
    believed = (
        limits.area[0] <= area <= limits.area[1]
        and sizes[larger] <= limits.ratio * sizes[smaller]
        and float(probability[np.isin(parts, (larger + 1, smaller + 1))].mean()) >= limits.certainty
    )
    if not believed:
        return None
    filled = [ndimage.binary_fill_holes(parts == n + 1) for n in (larger, smaller)]
    filled.sort(key=lambda lung: float(np.argwhere(lung)[:, 1].mean()))
    labels = np.zeros(probability.shape, dtype=np.uint16)
    labels[filled[1]] = 2
    labels[filled[0]] = 1
    return labels


class LungFields:
    """Outlines the lungs on frontal chest films and measures their area."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return a label map and two areas for each chest film, or a note where no two lungs are seen.

        Raises:
            NotApplicableError: No image is a frontal chest film.
        """
        films = [image for image in inputs.images.values() if is_frontal_chest_film(image)]
        if not films:
            raise NotApplicableError("no frontal chest film", "one of modality CR or DX")
        labels: list[LabelMap] = []
        measurements: list[Measurement] = []
        notes: list[Note] = []
        for image in films:
            values = two_lungs(lung_probability(image.values, network()))
            if values is None:
                notes.append(Note("gate", "no-two-lungs", "No two lungs of believable size were found."))
                continue
            lungs = LabelMap(values, image.plane, LABELS, source_instances=image.source_instances)
            labels.append(lungs)
            measurements.extend(_area(image, lungs, label) for label in LABELS)
        return Result(labels=tuple(labels), measurements=tuple(measurements), notes=tuple(notes))


def _area(image: Image, lungs: LabelMap, label: int) -> Measurement:
    mask = lungs.mask(label)
    assert isinstance(mask, PlaneMask)
    pixels = float(np.count_nonzero(mask.pixels))
    spacing = image.plane.spacing_mm
    flags = {"unknown": ("pixel spacing unknown",), "detector": ("at the detector, magnified",)}
    region = None
    if image.source_instance is not None:
        region = MaskRegion(mask, OnInstance(image.source_instance, image.plane))
    return Measurement(
        AREA,
        Quantity(pixels, "{pixels}")
        if spacing is None
        else Quantity(pixels * spacing[0] * spacing[1], "mm2"),
        region=region,
        method=f"{STEM} {load_card(STEM).version}, counted pixels",
        site=LABELS[label],
        source_instances=image.source_instances,
        flags=flags.get(image.plane.spacing_kind, ()),
    )


def read_pairs(data: Path) -> list[tuple[str, NDArray[Any], NDArray[np.bool_]]]:
    """Return name, film and lung mask of every pair in ``images/`` and ``masks/`` of a folder.

    Raises:
        DataError: There are no pairs.
    """
    pairs = []
    for path in sorted((data / "images").glob("*")) if data.is_dir() else []:
        mask = data / "masks" / f"{path.stem}.png"
        if mask.is_file():
            with Picture.open(path) as film, Picture.open(mask) as truth:
                pairs.append((path.stem, np.asarray(film.convert("L")), np.asarray(truth.convert("L")) > 0))
    if not pairs:
        raise DataError(f"no pairs in {data.name}", "images/NAME.jpg with masks/NAME.png")
    return pairs


def evaluate(data: Path, *, part: Part | None = None, threads: int = 1) -> Evaluation:
    """Return the mean Dice of both lungs together on films with lung masks, one a patient.

    A patient of the training data is judged by the network that was trained without it.

    Args:
        data: A folder that `read_pairs` reads.
        part: ``val`` for patients of the training data alone; everybody where none is given.
        threads: Of ONNX Runtime.
    """
    if part not in (None, "val"):
        raise DataError(f"the part {part} of a folder of films", "val, or no part")
    card = load_card(STEM)
    model = network(threads)
    folds = model.settings[FOLDS_KEY]
    pairs = read_pairs(data)
    left_out: tuple[tuple[str, str], ...] = ()
    if part == "val":
        left_out = tuple((n, "took no part in the cross-validation") for n, _, _ in pairs if n not in folds)
        pairs = [pair for pair in pairs if pair[0] in folds]
        if not pairs:
            raise DataError("no patient of the training data", "the data that the card names")
    scores = np.array([dice(lung_probability(film, model, n) >= 0.5, truth) for n, film, truth in pairs])
    return Evaluation(
        STEM,
        card.version,
        model.digest,
        data.name,
        len(pairs),
        len(pairs),
        {"dice": bootstrap_mean(scores, rng=np.random.default_rng(0))},
        left_out,
        apart_note((name for name, _, _ in pairs), folds),
    )
