"""Volumes of segmented regions."""

from __future__ import annotations

import numpy as np

from coread.core import Inputs, Mask, Measurement, Note, Quantity, Result
from coread.core.vocabulary import VOLUME
from coread.errors import NotApplicableError


def region_volume(mask: Mask) -> Quantity:
    """Return the volume of a region by counting voxels.

    Args:
        mask: The region, on any grid, oblique or anisotropic.

    Returns:
        The volume in mL; 0 for an empty mask.

    References:
        IBSI 1 reference manual, volume (voxel counting), code YEKZ.

    Examples:
        >>> from coread.core import Geometry, Mask
        >>> grid = Geometry.axial(shape=(10, 10, 10), spacing_mm=(5.0, 1.0, 1.0))
        >>> region_volume(Mask(np.ones(grid.shape, dtype=bool), grid))
        Quantity(value=5.0, unit='mL')
    """
    voxels = int(np.count_nonzero(mask.voxels))
    return Quantity(voxels * mask.geometry.voxel_volume_mm3 / 1000.0, "mL")


class Volumetry:
    """Measures the volume of every region of a segmentation."""

    def analyze(self, inputs: Inputs) -> Result:
        """Return one volume for each mask in the patient, in the order of their keys.

        Raises:
            NotApplicableError: There is no region, or none that lies in the patient.
        """
        masks = {key: mask for key, mask in sorted(inputs.masks.items()) if isinstance(mask, Mask)}
        if not masks:
            raise NotApplicableError(
                f"{len(inputs.masks)} regions on projections, none in the patient",
                "volumetry needs a segmented region",
            )
        notes = tuple(
            Note("warning", "empty-region", f"The region {key} has no voxels; its volume is 0.")
            for key, mask in masks.items()
            if not mask.voxels.any()
        )
        return Result(
            measurements=tuple(
                Measurement(VOLUME, region_volume(mask), method="IBSI YEKZ", flags=(f"region {key}",))
                for key, mask in masks.items()
            ),
            notes=notes,
        )
