"""What an imported classifier says about labelled pictures, and what that comes to."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coread.core import Acquisition, Image, ImagePlane
from coread.errors import InputError, NotApplicableError
from coread.recognition.importing.imported import ImportedModel
from coread.recognition.labelled import Labelled, Part, read_labelled
from coread.recognition.metrics import bootstrap, classifier_figures
from coread.recognition.operating import Scored, calibration_curve
from coread.recognition.registry import Evaluation


def scored_imported(
    model: ImportedModel, data: Path, *, finding: str | None = None, part: Part | None = None
) -> Scored:
    """Return labelled pictures with the probability that a model gives one of its outputs.

    Args:
        model: That classifies.
        data: A layout of `coread.recognition.labelled.read_labelled`. Its classes are the model's outputs
            where these exclude each other, else ``negative`` and the finding.
        finding: Output that is judged; may be left out where there is one, or the second of two.
        part: Of a file with parts.

    Raises:
        NotApplicableError: The model segments.
        InputError: No such output, or several and none named.
    """
    labelled, finding, positive = labelled_for(model, data, finding=finding, part=part)
    scores = [model.classify(_image(np.asarray(picture)))[finding] for picture in labelled.pictures]
    return Scored(
        finding,
        labelled.name,
        (labelled.labels == positive).astype(np.int64),
        np.array(scores),
        labelled.patients,
        model.thresholds.get(finding),
        labelled.left_out,
    )


def labelled_for(
    model: ImportedModel, data: Path, *, finding: str | None = None, part: Part | None = None
) -> tuple[Labelled, str, int]:
    """Return labelled pictures, the output that is judged, and the label that is positive.

    The arguments and errors are those of `scored_imported`.
    """
    said = model.specification
    if not model.outputs:
        raise NotApplicableError(
            f"{model.name} outlines and has no operating point", "a model that classifies"
        )
    exclusive = len(said.outputs) > 1 and said.activation != "sigmoid"
    if finding is None and (len(said.outputs) == 1 or (exclusive and len(said.outputs) == 2)):
        finding = said.outputs[-1]
    if finding not in said.outputs:
        raise InputError(
            f"the finding {finding!r}" if finding else "no finding",
            f"one of {', '.join(said.outputs)}",
            "name it with --finding",
        )
    labelled = read_labelled(data, said.outputs if exclusive else ("negative", finding), part=part)
    return labelled, finding, said.outputs.index(finding) if exclusive else 1


def evaluate_scored(model: ImportedModel, found: Scored) -> Evaluation:
    """Return figures of one output of an imported classifier, with intervals over patients."""
    told = () if found.threshold is not None else ("no operating point: figures at 0.5",)
    figures = classifier_figures(0.5 if found.threshold is None else found.threshold)
    rng = np.random.default_rng(0)  # the same limits at each call
    return Evaluation(
        model.name,
        model.card.version,
        model.digest,
        found.data,
        len(found.labels),
        len(set(found.patients)),
        bootstrap(figures, found.labels, found.scores, rng=rng, groups=found.patients),
        found.left_out,
        (*found.notes, *told, f"Trained on: {model.card.training_data}"),
        calibration_curve(found.labels, found.scores),
        found.threshold,
    )


def _image(picture: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Image:
    shape = (picture.shape[0], picture.shape[1])
    return Image(picture, ImagePlane(shape), "stored", Acquisition("OT"))
