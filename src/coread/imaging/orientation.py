"""Grids turned so that their axes run along the patient's: up, back and left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coread.core import Geometry


@dataclass(frozen=True, slots=True)
class Orientation:
    """How to turn a stored array so that slices go up, rows go back and columns go to the left.

    Only whole axes are exchanged and turned over: an oblique grid stays oblique, within 45 degrees of
    the patient's axes.

    Attributes:
        axes: Which stored axis becomes slice, row and column.
        flipped: Whether each of these then runs the other way.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]

    @classmethod
    def of(cls, geometry: Geometry) -> Orientation:
        """Return how the grid has to be turned.

        Examples:
            >>> Orientation.of(Geometry.axial((2, 3, 4)))
            Orientation(axes=(0, 1, 2), flipped=(False, False, False))
        """
        directions = geometry.directions  # rows: x, y, z; columns: stored axes
        free = [0, 1, 2]
        chosen: dict[int, int] = {}
        cosines = np.abs(directions)
        for _ in range(3):  # the best fitting pair first
            patient, stored = max(
                ((p, s) for p in range(3) if p not in chosen for s in free),
                key=lambda pair: cosines[pair],
            )
            chosen[patient] = stored
            free.remove(stored)
        axes = (chosen[2], chosen[1], chosen[0])
        flipped = tuple(
            bool(directions[patient, stored] < 0.0) for patient, stored in zip((2, 1, 0), axes, strict=True)
        )
        return cls(axes, (flipped[0], flipped[1], flipped[2]))

    def turn(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of a stored array in the patient's order (slices up, rows back, columns left)."""
        turned = array.transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def back(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return a view of a turned array in the stored order."""
        straight = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]
        return straight.transpose(tuple(int(n) for n in np.argsort(self.axes)))

    def spacing_mm(self, geometry: Geometry) -> tuple[float, float, float]:
        """Return the lengths of the steps in the patient's order."""
        spacing = geometry.spacing_mm
        a, b, c = (spacing[axis] for axis in self.axes)
        return a, b, c
