"""Radiomics: all features of IBSI 1 and filters of IBSI 2, from arrays to a table.

`extract` measures regions of an image by `Settings`; `preset` has those of the IBSI configurations,
of common modalities and of PyRadiomics.
"""

from coread.quant.radiomics.analyzer import Radiomics
from coread.quant.radiomics.extraction import extract, extract_arrays
from coread.quant.radiomics.settings import PRESETS, Discretisation, Settings, preset
from coread.quant.radiomics.table import Feature, FeatureTable, catalogue

__all__ = [
    "PRESETS",
    "Discretisation",
    "Feature",
    "FeatureTable",
    "Radiomics",
    "Settings",
    "catalogue",
    "extract",
    "extract_arrays",
    "preset",
]
