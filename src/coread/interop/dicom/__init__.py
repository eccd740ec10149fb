"""DICOM in: files to instances, pixels and located values."""

from coread.interop.dicom.elements import Limits
from coread.interop.dicom.equality import pixels_equal, same_instance
from coread.interop.dicom.header import Instance, read_instance
from coread.interop.dicom.loading import SeriesPart, load_part, load_series
from coread.interop.dicom.pixels import decode_frame, frame_attributes, stored_frames
from coread.interop.dicom.series import FrameSource, PartLayout, arrange_series
from coread.interop.dicom.source import ArchiveLimits, SourceFile, find_files
from coread.interop.dicom.values import CT_PRESETS, Window, presets, value_window

__all__ = [
    "CT_PRESETS",
    "ArchiveLimits",
    "FrameSource",
    "Instance",
    "Limits",
    "PartLayout",
    "SeriesPart",
    "SourceFile",
    "Window",
    "arrange_series",
    "decode_frame",
    "find_files",
    "frame_attributes",
    "load_part",
    "load_series",
    "pixels_equal",
    "presets",
    "read_instance",
    "same_instance",
    "stored_frames",
    "value_window",
]
