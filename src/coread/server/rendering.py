"""Windowed pictures of stored images."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from coread.errors import InputError
from coread.interop.dicom import Window, value_window
from coread.server import pixels
from coread.storage import StoredInstance
from coread.workflow.visibility import HiddenError, View

if TYPE_CHECKING:
    from coread.server.site import Site

THUMBNAIL = 128


def rendered(
    site: Site,
    view: View,
    row: StoredInstance,
    frame: int,
    *,
    window: Window | None = None,
    size: tuple[int, int] | None = None,
) -> bytes:
    """Return a frame (from 0) of an instance as PNG.

    Args:
        site: Where it is kept.
        view: What the caller may see.
        row: The instance.
        frame: Number of the frame, from 0.
        window: In modality values; the image's own, a usual one of the modality, or one from the values.
        size: (width, height) to fit in, enlarged never.
    """
    for part in pixels.parts(site, view, row.header.study, row.header.series):
        for n, source in enumerate(part.layout.frames):
            if (source.instance, source.frame) == (row.header.instance, frame):
                plane = pixels.block(site, view, part, n, 1)[0]
                usual = (*part.layout.windows, *part.layout.presets)
                picture = Picture.fromarray(
                    _grey(plane, window or (usual[0] if usual else value_window(plane)))
                )
                return _png(picture, size)
    raise HiddenError


def thumbnail(site: Site, view: View, study: str, series: str) -> bytes:
    """Return the middle of a series as a small PNG."""
    for part in pixels.parts(site, view, study, series):
        source = part.layout.frames[len(part.layout.frames) // 2]
        row = view.instance(study, series, source.instance)
        return rendered(site, view, row, source.frame, size=(THUMBNAIL, THUMBNAIL))
    raise HiddenError


def read_window(text: str | None) -> Window | None:
    """Return a window out of ``center,width[,function]``.

    Raises:
        InputError: It is no such text.
    """
    if text is None:
        return None
    try:
        center, width = (float(number) for number in text.split(",")[:2])
    except ValueError as error:
        raise InputError(f"window={text!r}", "center,width") from error
    if not (np.isfinite([center, width]).all() and width > 0):
        raise InputError(f"window={text!r}", "a width above 0")
    return Window(center, width)


def read_size(text: str | None) -> tuple[int, int] | None:
    """Return (width, height) out of ``width,height[,...]``.

    Raises:
        InputError: It is no such text.
    """
    if text is None:
        return None
    try:
        width, height = (int(number) for number in text.split(",")[:2])
    except ValueError as error:
        raise InputError(f"viewport={text!r}", "width,height") from error
    if not (0 < width <= 8192 and 0 < height <= 8192):
        raise InputError(f"viewport={text!r}", "sizes from 1 to 8192")
    return width, height


def _grey(plane: NDArray[Any], window: Window) -> NDArray[np.uint8]:
    if plane.ndim == 3:
        return plane.astype(np.uint8) if plane.dtype == np.uint8 else (plane >> 8).astype(np.uint8)
    low = window.center - window.width / 2
    scaled = (plane.astype(np.float32) - low) / window.width
    grey: NDArray[np.uint8] = np.rint(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
    return grey


def _png(picture: Picture.Image, size: tuple[int, int] | None) -> bytes:
    if size is not None:
        picture.thumbnail(size)
    target = io.BytesIO()
    picture.save(target, "PNG")
    return target.getvalue()
