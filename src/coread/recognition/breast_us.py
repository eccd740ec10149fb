"""Masses on breast ultrasound: outline, shape, and the chance that they are malignant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy import ndimage
from scipy.special import softmax

from coread.core import (
    Finding,
    Image,
    Inputs,
    Interval,
    Map,
    MaskRegion,
    Measurement,
    Model,
    Note,
    OnInstance,
    PlaneMask,
    Probability,
    Quantity,
    Result,
)
from coread.core.vocabulary import (
    AREA,
    AXIS_RATIO,
    BREAST_MASS,
    BREAST_SUSPICION,
    CIRCULARITY,
    ELLIPSE_OVERLAP,
    MASS_HEIGHT,
    MASS_WIDTH,
    PROBABILITY_MAP,
    SOLIDITY,
)
from coread.errors import DataError, NotApplicableError
from coread.imaging.outline import Outline, outline_of
from coread.recognition.breast_pictures import Labelled, PictureSet, read_folder
from coread.recognition.film import grey
from coread.recognition.labelled import Part
from coread.recognition.members import FOLDS_KEY
from coread.recognition.metrics import Estimate, bootstrap_mean, dice
from coread.recognition.operating import Scored, settings_at
from coread.recognition.registry import Evaluation, evaluation_of
from coread.recognition.runtime import Network, load_card, load_network

STEM = "breast_us"
SIDE = 160
FINDING = "malignant"
THREADS = 2  # three networks look at the picture and at its mirror image
SMALLEST = 64
MINIMUM_PART = 0.001  # of the picture: what is smaller is no mass that the network was trained on


@dataclass(frozen=True, slots=True, eq=False)
class PictureReading:
    """What the networks say about one picture.

    Attributes:
        mask: (`SIDE`, `SIDE`) float32, chance that a pixel belongs to a mass.
        members: (networks, 3) calibrated chances of `breast_pictures.CLASSES`; of a picture of the training
            data only what the network says that was trained without it.
        distances: (2,) how unlike the training pictures it is, each over its limit; above 1 it is unlike.
    """

    mask: NDArray[np.float32]
    members: NDArray[np.float64]
    distances: NDArray[np.float32]

    @property
    def chances(self) -> NDArray[np.float64]:
        """(3,) the mean over the networks."""
        return np.asarray(self.members.mean(axis=0))


def network(threads: int = THREADS) -> Network:
    """Return the networks in one, their weights checked against the card."""
    return load_network(f"{STEM}.onnx", load_card(STEM).weights or "", threads)


def squeezed(values: NDArray[np.generic], side: int = SIDE) -> NDArray[np.float32]:
    """Return a picture squeezed to a square from 0 to 1, whatever its proportions, as in training.

    The 99.8th percentile becomes 1; ultrasound is dark outside, so that 0 stays 0.
    """
    picture = grey(values)
    low, high = float(picture.min()), float(np.percentile(picture, 99.8))
    scaled = np.clip((picture - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
    return np.asarray(Picture.fromarray(scaled).resize((side, side), Picture.Resampling.BILINEAR))


def known_as(name: str) -> str:
    """Return the name under which a picture of the training data is known, ``class/file``."""
    return name.replace(" ", "_")


def read_pictures(
    pictures: Sequence[NDArray[np.generic]],
    model: Network,
    *,
    names: Sequence[str] | None = None,
    batch: int = 8,
) -> Iterator[PictureReading]:
    """Yield what the networks say about pictures of any size and proportions.

    Args:
        pictures: Grey or colour.
        model: The networks.
        names: ``class/file`` of each, where they may be of the training data: of those only the network
            speaks that was trained without them.
        batch: Pictures at once.
    """
    heat = 1 / float(model.settings["temperature"])
    folds: Mapping[str, int] = model.settings[FOLDS_KEY]
    for start in range(0, len(pictures), batch):
        small = np.stack([squeezed(p) for p in pictures[start : start + batch]])
        out = model.run({"picture": small[:, None]})
        for n in range(len(small)):
            apart = None if names is None else folds.get(known_as(names[start + n]))
            who = slice(None) if apart is None else slice(apart, apart + 1)
            yield PictureReading(
                out["members"][n, who].mean(axis=0),
                softmax(out["member_scores"][n, who].astype(np.float64) * heat, axis=-1),
                out["distances"][n],
            )


def mask_on(mask: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the square chance map at the size of the picture that was squeezed."""
    back = Picture.fromarray(mask).resize((shape[1], shape[0]), Picture.Resampling.BILINEAR)
    return np.asarray(back, dtype=np.float32)


def mass_outline(chance: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the outline of one mass, at the size of the picture that was squeezed.

    Taken are the likeliest pixels, so many of them that the Dice to be expected under the chances is
    largest; of several parts that this gives the likeliest one, by its mean chance. A part under
    `MINIMUM_PART` of the picture is taken only where all are so small. Never empty.

    Args:
        chance: Square map of chances.
        shape: Rows and columns of the outline.

    References:
        Lipton et al., Optimal thresholding of classifiers to maximize F1 measure, ECML PKDD 2014.

    Examples:
        >>> chance = np.zeros((40, 40), dtype=np.float32)
        >>> chance[5:15, 5:15], chance[25:35, 25:35] = 0.4, 0.3
        >>> outline = mass_outline(chance, (40, 40))
        >>> int(outline.sum()), bool(outline[5:15, 5:15].all())
        (100, True)
    """
    falling = np.sort(chance, axis=None)[::-1].astype(np.float64)
    inside = np.cumsum(falling)
    expected = 2 * inside / (np.arange(1, falling.size + 1) + inside[-1])
    whole = mask_on(chance, shape)
    parts, _ = ndimage.label(whole >= min(falling[expected.argmax()], whole.max()))
    drawn = parts > 0
    area = np.bincount(parts[drawn])[1:]
    mean = np.bincount(parts[drawn], whole[drawn])[1:] / area
    large = area >= MINIMUM_PART * whole.size
    likeliest = np.argmax(np.where(large, mean, -1.0) if large.any() else mean) + 1
    return np.asarray(parts == likeliest)


def descriptors(outline: Outline) -> dict[str, str]:
    """Return words for the shape and the lie of a mass, in the order of the BI-RADS lexicon.

    The cut-offs are CoRead's own: an outline is irregular with a solidity under 0.9 or an overlap with an
    ellipse under 0.9, else round up to an axis ratio of 1.2, else oval. A mass wider than high lies
    parallel to the skin, which is taken to be the upper edge. Margins need the grey values around; only
    the smoothness of the outline is told.

    Examples:
        >>> rows, columns = np.mgrid[:99, :99]
        >>> descriptors(outline_of(np.hypot((rows - 49) * 2, columns - 49) < 40))
        {'shape': 'oval', 'orientation': 'parallel', 'outline': 'smooth'}
    """
    irregular = outline.solidity < 0.9 or outline.ellipse_overlap < 0.9
    return {
        "shape": "irregular" if irregular else "round" if outline.axis_ratio <= 1.2 else "oval",
        "orientation": "parallel" if outline.width > outline.height else "not parallel",
        "outline": "smooth" if outline.solidity >= 0.93 and outline.circularity >= 0.6 else "not smooth",
    }


def is_breast_ultrasound(image: Image) -> bool:
    """Return whether tags let an image be an ultrasound of a breast; a body part left out may be one."""
    part = image.acquisition.body_part
    return image.acquisition.modality == "US" and (part is None or part.upper() == "BREAST")


def gate(image: Image, reading: PictureReading) -> Note | None:
    """Return why the model says nothing of a picture, or None."""
    if min(image.plane.shape) < SMALLEST:
        return Note("gate", "picture-too-small", f"The picture has fewer than {SMALLEST} pixels on a side.")
    if float(reading.distances.max()) > 1:
        return Note(
            "gate",
            "unlike-training",
            "The picture is not like those that the model was trained on: B-mode ultrasound of the breast, "
            "the skin at the top, cut to the picture itself.",
        )
    return None


class BreastUltrasound:
    """Outlines a mass on breast ultrasound, measures its shape and says how suspicious it is, or abstains.

    Args:
        threshold: Of suspicion, chosen by the site with these weights; the card's where none is given.
    """

    def __init__(self, threshold: float | None = None) -> None:
        self.threshold = threshold

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Self:
        """Return the same at the site's threshold for ``malignant``."""
        return type(self)(thresholds[FINDING])

    def analyze(self, inputs: Inputs) -> Result:
        """Return for each picture whether there is a mass and whether it is suspicious, and a map.

        Raises:
            NotApplicableError: No image is an ultrasound of a breast.
        """
        pictures = {key: image for key, image in inputs.images.items() if is_breast_ultrasound(image)}
        if not pictures:
            raise NotApplicableError("no ultrasound of a breast", "a still image of modality US")
        settings = settings_at(network().settings, self.threshold)
        findings: list[Finding] = []
        maps: list[Map] = []
        notes: list[Note] = []
        for key, image in pictures.items():
            (reading,) = read_pictures([image.values], network())
            note = gate(image, reading)
            notes += [note] if note else []
            chance = mask_on(reading.mask, image.plane.shape)
            believed = note is None and bool(reading.chances[0] <= 0.5)
            drawn = np.zeros(chance.shape, dtype=np.bool_)
            if believed:
                drawn = mass_outline(reading.mask, image.plane.shape)
            findings += _findings(key, image, reading, drawn, settings, gated=note is not None)
            if note is None:
                maps.append(_map(image, chance))
                notes += [*_near(reading, settings), *_words(drawn, image)]
        return Result(findings=tuple(findings), maps=tuple(maps), notes=tuple(notes))


def _near(reading: PictureReading, settings: Mapping[str, Any]) -> list[Note]:
    value = float(reading.chances[2])
    if not settings["abstain_low"] < value < settings["abstain_high"]:
        return []
    words = f"The probability {value:.2f} is too near the threshold {settings['threshold']:.2f}."
    return [Note("gate", "near-threshold", words)]


def _words(drawn: NDArray[np.bool_], image: Image) -> list[Note]:
    if not drawn.any():
        return []
    told = descriptors(outline_of(drawn, image.plane.spacing_mm or (1.0, 1.0)))
    words = ", ".join(f"{name} {value}" for name, value in told.items())
    return [Note("information", "mass-shape", f"The outlined mass: {words} (by cut-offs of CoRead's own).")]


def _findings(
    key: str,
    image: Image,
    reading: PictureReading,
    drawn: NDArray[np.bool_],
    settings: Mapping[str, Any],
    *,
    gated: bool,
) -> list[Finding]:
    card = load_card(STEM)
    origin = Model(STEM, card.version, network().digest, card.mode)
    mass = _probability(1 - reading.members[:, 0], 0.5)
    suspicion = _probability(reading.members[:, 2], float(settings["threshold"]))
    region = None
    if drawn.any() and image.source_instance is not None:
        region = MaskRegion(PlaneMask(drawn, image.plane), OnInstance(image.source_instance, image.plane))
    near = settings["abstain_low"] < suspicion.value < settings["abstain_high"]
    return [
        Finding(
            id=f"{STEM}:mass:{key}",
            concept=BREAST_MASS,
            status="no_opinion" if gated else "present" if _above(mass) else "absent",
            origin=origin,
            probability=mass,
            region=region,
            measurements=_shape(image, drawn) if drawn.any() else (),
        ),
        Finding(
            id=f"{STEM}:suspicion:{key}",
            concept=BREAST_SUSPICION,
            status="no_opinion" if gated or near else "present" if _above(suspicion) else "absent",
            origin=origin,
            probability=suspicion,
            region=region if _above(suspicion) else None,
        ),
    ]


def _probability(members: NDArray[np.float64], threshold: float) -> Probability:
    count = len(members)
    spread = Interval(
        float(members.min()),
        float(members.max()),
        (count - 1) / (count + 1),
        f"range of {count} networks trained on different parts",
    )
    return Probability(float(members.mean()), spread, threshold, calibrated=True)


def _above(probability: Probability) -> bool:
    return probability.value >= probability.threshold


def _shape(image: Image, drawn: NDArray[np.bool_]) -> tuple[Measurement, ...]:
    spacing = image.plane.spacing_mm
    found = outline_of(drawn, spacing or (1.0, 1.0))
    length, area = ("{pixels}", "{pixels}") if spacing is None else ("mm", "mm2")
    flags = ("pixel spacing unknown",) if spacing is None else ()
    return tuple(
        Measurement(
            concept,
            Quantity(value, unit),
            method=f"{STEM} {load_card(STEM).version}, outline of the largest expected overlap",
            source_instances=image.source_instances,
            flags=flags,
        )
        for concept, value, unit in (
            (MASS_WIDTH, found.width, length),
            (MASS_HEIGHT, found.height, length),
            (AREA, found.area, area),
            (CIRCULARITY, found.circularity, "1"),
            (SOLIDITY, found.solidity, "1"),
            (AXIS_RATIO, found.axis_ratio, "1"),
            (ELLIPSE_OVERLAP, found.ellipse_overlap, "1"),
        )
    )


def _map(image: Image, chance: NDArray[np.float32]) -> Map:
    return Map(
        np.clip(chance, 0, 1),
        image.plane,
        PROBABILITY_MAP,
        "1",
        low=0.0,
        high=1.0,
        says="Chance that a pixel belongs to a mass, benign or not.",
        source_instances=image.source_instances,
    )


def scored(data: Path, *, part: Part | None = None, threads: int = 1) -> Scored:
    """Return the probability that a mass is malignant on labelled pictures, also on those not judged.

    Args:
        data: A folder that `read_folder` reads.
        part: ``val`` for pictures of the training data alone; every picture where none is given.
        threads: Of ONNX Runtime.
    """
    return _scored(data, part, threads)[0]


def _scored(
    data: Path, part: Part | None, threads: int
) -> tuple[Scored, tuple[Labelled, ...], list[PictureReading]]:
    if part == "train":
        raise DataError("the part train of a folder of pictures", "val, or no part")
    model, found = network(threads), read_folder(data)
    folds = model.settings[FOLDS_KEY]
    known = [p for p in found.pictures if known_as(p.name) in folds]
    if part == "val":
        strange = [p.name for p in found.pictures if known_as(p.name) not in folds]
        reasons = tuple((name, "took no part in the cross-validation") for name in strange)
        found = PictureSet(tuple(known), (*found.left_out, *reasons))
        if not known:
            raise DataError("no picture of the training data", "the data that the card names")
    apart = (
        f"{len(known)} of {len(found.pictures)} pictures took part in training: each was judged by the one "
        "network that was trained without it and its look-alikes",
    )
    names = [p.name for p in found.pictures]
    readings = list(read_pictures([p.picture for p in found.pictures], model, names=names))
    scores = np.array([r.chances[2] for r in readings])
    unlike = sum(float(reading.distances.max()) > 1 for reading in readings)
    near = (scores > model.settings["abstain_low"]) & (scores < model.settings["abstain_high"])
    return (
        Scored(
            FINDING,
            data.name,
            np.array([p.label == 2 for p in found.pictures], dtype=np.int64),
            scores,
            tuple(p.group for p in found.pictures),
            float(model.settings["threshold"]),
            found.left_out,
            (
                f"{unlike} pictures are unlike the training pictures and {np.count_nonzero(near)} lie near "
                "the threshold; in use the model has no opinion on them, here they count",
                "positive is malignant, negative benign or normal; patients are groups of look-alikes",
                *(apart if known else ()),
            ),
        ),
        found.pictures,
        readings,
    )


def evaluate(data: Path, *, part: Part | None = None, threads: int = 1) -> Evaluation:
    """Return how well malignant pictures are told from the rest, and how well masses are outlined.

    Figures of the two classes are left out where one of them is missing, and the Dice where no masks are.
    The arguments are those of `scored`.
    """
    found, pictures, readings = _scored(data, part, threads)
    said = load_card(STEM)
    one_class = len(set(found.labels.tolist())) == 1
    base = (
        Evaluation(
            STEM,
            said.version,
            said.weights or "",
            found.data,
            len(pictures),
            len(set(found.patients)),
            {},
            found.left_out,
            (*found.notes, "all pictures are of one class, so no figures of telling them apart"),
        )
        if one_class
        else evaluation_of(STEM, found)
    )
    metrics = dict(base.metrics)
    right = [float(r.chances.argmax() == p.label) for r, p in zip(readings, pictures, strict=True)]
    metrics["accuracy_3_classes"] = _mean(np.array(right), found.patients)
    with_mass = [n for n, p in enumerate(pictures) if p.mask is not None and p.mask.any()]
    notes = base.notes
    if with_mass:
        scores = mass_dice([readings[n] for n in with_mass], [pictures[n] for n in with_mass])
        metrics["dice"] = _mean(scores, [found.patients[n] for n in with_mass])
    else:
        notes = (*notes, "no masks were found, so no Dice")
    return replace(base, metrics=metrics, notes=notes)


def _mean(values: NDArray[np.float64], groups: Sequence[str]) -> Estimate:
    """The mean over pictures, its interval by drawing groups of look-alikes."""
    interval = bootstrap_mean(by_group(values, groups), rng=np.random.default_rng(0))
    return replace(interval, value=float(values.mean()))


def mass_dice(readings: Sequence[PictureReading], pictures: Sequence[Labelled]) -> NDArray[np.float64]:
    """Return the Dice of every outline with the mask of its picture."""
    scores = []
    for reading, picture in zip(readings, pictures, strict=True):
        assert picture.mask is not None
        rows, columns = picture.mask.shape
        scores.append(dice(mass_outline(reading.mask, (rows, columns)), picture.mask))
    return np.array(scores)


def by_group(values: NDArray[np.float64], groups: Sequence[str]) -> NDArray[np.float64]:
    """Return the mean of each group, in the order of their names."""
    names = np.asarray(groups)
    return np.array([values[names == name].mean() for name in sorted(set(groups))])
