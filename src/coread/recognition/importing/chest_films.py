"""Classifiers of chest films: CheXNet-type DenseNet-121 checkpoints and TorchXRayVision state dicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coread.errors import DataError
from coread.recognition.importing.checkpoints import load_into
from coread.recognition.importing.densenet import current_names, densenet121
from coread.recognition.importing.source import Source
from coread.recognition.importing.specification import Intensity, Specification

CHEXNET_FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural thickening",
    "Hernia",
)
XRAYVISION_FINDINGS = (
    "Atelectasis",
    "Consolidation",
    "Infiltration",
    "Pneumothorax",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Effusion",
    "Pneumonia",
    "Pleural thickening",
    "Cardiomegaly",
    "Nodule",
    "Mass",
    "Hernia",
    "Lung lesion",
    "Fracture",
    "Lung opacity",
    "Enlarged cardiomediastinum",
)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision has them


def read_densenet(path: Path, weights: Mapping[str, Any], outputs: tuple[str, ...] | None = None) -> Source:
    """Return a DenseNet-121: three channels as CheXNet, one as TorchXRayVision.

    Args:
        path: The file.
        weights: Its state dict, without ``module.``.
        outputs: What each output is, where it isn't the usual 14 or 18.

    Raises:
        DataError: The weights are not of a DenseNet-121, or its outputs are unknown.
    """
    named = current_names(weights)
    thresholds = named.pop("op_threshs", None)
    try:
        channels = int(named["features.conv0.weight"].shape[1])
        count = int(named["classifier.weight"].shape[0])
    except KeyError as error:
        raise DataError(
            f"{path.name} has no {error}", "a DenseNet-121 with features.conv0 and classifier"
        ) from error
    usual = {(3, 14): CHEXNET_FINDINGS, (1, 18): XRAYVISION_FINDINGS}.get((channels, count))
    names = outputs or usual
    if names is None or channels not in (1, 3):
        raise DataError(
            f"{path.name}: a DenseNet-121 of {channels} channels and {count} outputs of unknown meaning",
            "3 channels and the 14 findings of CheXNet, or 1 and the 18 of TorchXRayVision",
            "name the outputs in the table [import] of the card, in their order",
        )
    if channels == 3:
        intensities = tuple(
            Intensity(scale="min-max", subtract=m, divide=d) for m, d in zip(_MEAN, _DEVIATION, strict=True)
        )
    else:
        intensities = (Intensity(scale="min-max", subtract=0.5, divide=1 / 2048),)
    specification = Specification(
        task="classify",
        channels=("film",) * channels,
        intensities=intensities,
        outputs=names,
        activation="sigmoid",
        window=(224, 224),
        fit=True,
    )
    specification.check_network(channels, count)
    notes = ["the film is scaled from its lowest to its highest value; the whole film is resized"]
    if thresholds is not None:
        notes.append(
            "operating points in the file (op_threshs) are not taken over: choose them on your own data"
        )
    return Source(
        "chexnet" if channels == 3 else "torchxrayvision",
        specification,
        (path,),
        load_into(densenet121(channels, count), named, path.name),
        notes=tuple(notes),
    )
