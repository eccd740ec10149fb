"""Lung segmentation of lungmask: the state dict of its U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from coread.errors import DataError
from coread.recognition.importing.checkpoints import load_into
from coread.recognition.importing.source import Source
from coread.recognition.importing.specification import Intensity, Specification
from coread.recognition.importing.unets import lungmask_unet

LABELS = {
    3: ("background", "Right lung", "Left lung"),
    6: (
        "background",
        "Upper lobe of left lung",
        "Lower lobe of left lung",
        "Upper lobe of right lung",
        "Middle lobe of right lung",
        "Lower lobe of right lung",
    ),
}


def read_lungmask(path: Path, weights: Mapping[str, Any], outputs: tuple[str, ...] | None = None) -> Source:
    """Return lungmask's U-Net with its two lungs (R231) or five lobes (LTRCLobes).

    Args:
        path: The file.
        weights: Its state dict.
        outputs: What each output is, where it isn't one of these.

    Raises:
        DataError: The outputs are unknown or the weights are of another network.
    """
    count = int(weights["last.weight"].shape[0])
    names = outputs or LABELS.get(count)
    if names is None:
        raise DataError(
            f"{path.name}: {count} outputs of unknown meaning",
            "3 (lungs) or 6 (lobes)",
            "name the outputs in the table [import] of the card, the background first",
        )
    used = {key: value for key, value in weights.items() if "residual_" not in key}
    specification = Specification(
        task="segment",
        channels=("CT",),
        intensities=(Intensity(low=-1024.0, high=600.0, subtract=-1024.0, divide=1624.0),),
        outputs=names,
        activation="softmax",  # of log-probabilities: the probabilities themselves
        window=(256, 256),
        axes="SPL",
        fit=True,
    )
    specification.check_network(1, count)
    return Source(
        "lungmask",
        specification,
        (path,),
        load_into(lungmask_unet(count), used, path.name),
        notes=("whole slices are resized to 256 x 256; lungmask itself first crops to the body",),
    )
