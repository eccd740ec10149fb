"""The words that everything shares: values, protocols and the reading state machine; no input or output.

`coread.core.codec` writes values as documents, `coread.core.match` pairs findings,
`coread.core.reading` is the second reading, `coread.core.vocabulary` has the codes.
"""

from coread.core.analysis import (
    Analyzer,
    Card,
    Inputs,
    Metric,
    Need,
    PatientInfo,
    Provenance,
    Result,
    StudyInfo,
    card_from_table,
)
from coread.core.archive import FileEntry, FileRole, InstanceHeader
from coread.core.codes import CodedConcept, Interval, Probability, Quantity
from coread.core.finding import Cue, Finding, Measurement, Model, Note, Origin, Reader
from coread.core.geometry import Geometry, Grid, ImagePlane
from coread.core.image import (
    Acquisition,
    Cine,
    Image,
    LabelMap,
    Map,
    Mask,
    PlaneMask,
    Segment,
    TimeSeries,
    Volume,
)
from coread.core.region import Box, Contour, MaskRegion, OnInstance, PatientSpace, Point, Region
from coread.core.report import Addendum, Dictation, Imported, Report, Section, Sentence, Signature, Template

__all__ = [
    "Acquisition",
    "Addendum",
    "Analyzer",
    "Box",
    "Card",
    "Cine",
    "CodedConcept",
    "Contour",
    "Cue",
    "Dictation",
    "FileEntry",
    "FileRole",
    "Finding",
    "Geometry",
    "Grid",
    "Image",
    "ImagePlane",
    "Imported",
    "Inputs",
    "InstanceHeader",
    "Interval",
    "LabelMap",
    "Map",
    "Mask",
    "MaskRegion",
    "Measurement",
    "Metric",
    "Model",
    "Need",
    "Note",
    "OnInstance",
    "Origin",
    "PatientInfo",
    "PatientSpace",
    "PlaneMask",
    "Point",
    "Probability",
    "Provenance",
    "Quantity",
    "Reader",
    "Region",
    "Report",
    "Result",
    "Section",
    "Segment",
    "Sentence",
    "Signature",
    "StudyInfo",
    "Template",
    "TimeSeries",
    "Volume",
    "card_from_table",
]
