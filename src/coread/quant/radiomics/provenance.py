"""Where a table of features comes from: hashes of pixels and masks, grid, settings, versions."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import Geometry, Image, LabelMap, Mask, PlaneMask, Volume
from coread.quant.radiomics.extraction import Masks
from coread.quant.radiomics.settings import Settings
from coread.quant.radiomics.table import FeatureTable

SCHEMA = "coread-radiomics-provenance"


def array_digest(array: NDArray[Any]) -> str:
    """Return the SHA-256 of an array's type, shape and values."""
    plain = np.ascontiguousarray(array)
    if plain.dtype == np.bool_:
        plain = np.packbits(plain)
    digest = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    digest.update(plain.data)
    return digest.hexdigest()


def _grid(value: Volume | Image | Mask | PlaneMask | LabelMap) -> dict[str, Any]:
    grid = value.grid
    if isinstance(grid, Geometry):
        return {"shape": list(grid.shape), "affine_lps_mm": np.round(grid.affine, 9).tolist()}
    return {"shape": list(grid.shape), "spacing_mm": grid.spacing_mm, "spacing_kind": grid.spacing_kind}


def provenance(
    volume: Volume | Image, masks: Masks, settings: Settings, table: FeatureTable
) -> dict[str, Any]:
    """Return a document, ready for JSON, that says where the numbers of a table come from.

    It holds no name and no date of a patient: hashes, grids, settings, versions, what was done.
    """
    named: dict[str, Mask | PlaneMask | LabelMap]
    if isinstance(masks, LabelMap):
        named = {"label map": masks}
    elif isinstance(masks, Mask | PlaneMask):
        named = {"region": masks}
    else:
        named = dict(masks)
    packages = ("coread", "numpy", "scipy", "numba")
    return {
        "schema": SCHEMA,
        "version": 1,
        "case": table.case,
        "software": {name: version(name) for name in packages},
        "image": {
            "sha256": array_digest(volume.values),
            "unit": volume.unit,
            "modality": volume.acquisition.modality,
            "simulated": volume.acquisition.simulated,
            "source_instances": list(volume.source_instances),
            **_grid(volume),
        },
        "masks": {
            name: {"sha256": array_digest(_values(mask)), **_grid(mask)} for name, mask in named.items()
        },
        "settings": settings.to_table(),
        "diagnostics": {name: dict(said) for name, said in table.diagnostics.items()},
        "notes": {name: list(said) for name, said in table.notes.items()},
        "features": len(table),
        "without_value": sum(item.value is None for item in table),
    }


def _values(mask: Mask | PlaneMask | LabelMap) -> NDArray[Any]:
    if isinstance(mask, Mask):
        return mask.voxels
    return mask.pixels if isinstance(mask, PlaneMask) else mask.values
