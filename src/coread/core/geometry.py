"""Where a picture lies: grids in the patient and planes of a projection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coread.core.codes import CodedConcept
from coread.errors import GeometryError

SpacingKind = Literal["patient", "detector", "calibrated", "unknown"]


def _read_only(array: NDArray[np.float64]) -> NDArray[np.float64]:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """A grid of voxels in the patient.

    Attributes:
        shape: (slices, rows, columns).
        affine: (4, 4) float64, read-only; maps (k, j, i, 1), the centre of voxel (slice k, row j,
            column i), to LPS millimetres. Columns: step from slice to slice, step down a column of
            pixels, step along a row, position of voxel (0, 0, 0). Sheared stacks are legal.

    Raises:
        GeometryError: A shape without voxels, an affine that is not finite, not affine or flat.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise GeometryError(f"a grid needs three positive sizes, got {self.shape}")
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(f"the affine must be 4 x 4 and finite, got {self.affine!r}")
        if not np.array_equal(affine[3], (0.0, 0.0, 0.0, 1.0)):
            raise GeometryError(f"the last row of an affine is 0 0 0 1, got {affine[3]}")
        steps = affine[:3, :3]
        volume = abs(float(steps[:, 0] @ np.cross(steps[:, 1], steps[:, 2])))
        lengths = np.linalg.norm(steps, axis=0)
        if lengths.min() <= 0 or volume <= 1e-9 * float(lengths.prod()):
            raise GeometryError(f"the steps of the grid span no volume: {steps.T.tolist()}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", _read_only(affine))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.shape, np.array(self.affine))

    @classmethod
    def axial(
        cls,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
        origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    ) -> Self:
        """Return a plain axial grid: slices go up, rows go back, columns go to the patient's left.

        Examples:
            >>> Geometry.axial((2, 3, 4), spacing_mm=(5.0, 0.7, 0.7)).to_patient((1, 0, 2)).tolist()
            [1.4, 0.0, 5.0]
        """
        affine = np.eye(4)
        affine[:3, :3] = np.array(
            [[0.0, 0.0, spacing_mm[2]], [0.0, spacing_mm[1], 0.0], [spacing_mm[0], 0.0, 0.0]]
        )
        affine[:3, 3] = origin_mm
        return cls(shape, affine)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Lengths of the steps (slice, row, column); the first one runs along a sheared stack."""
        a, b, c = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(a), float(b), float(c)

    @property
    def directions(self) -> NDArray[np.float64]:
        """(3, 3) unit vectors of the steps in LPS, one a column: slice, row, column."""
        steps: NDArray[np.float64] = self.affine[:3, :3]
        return np.asarray(steps / np.linalg.norm(steps, axis=0), dtype=np.float64)

    @property
    def normal(self) -> NDArray[np.float64]:
        """(3,) unit vector across the slices, along the step from slice to slice."""
        across = np.cross(self.affine[:3, 2], self.affine[:3, 1])
        across = np.asarray(across / np.linalg.norm(across), dtype=np.float64)
        return across if float(across @ self.affine[:3, 0]) > 0 else -across

    @property
    def slice_spacing_mm(self) -> float:
        """Distance between slices along their normal."""
        return float(self.normal @ self.affine[:3, 0])

    @property
    def origin_mm(self) -> tuple[float, float, float]:
        """LPS position of the centre of voxel (0, 0, 0)."""
        x, y, z = self.affine[:3, 3]
        return float(x), float(y), float(z)

    @property
    def voxel_volume_mm3(self) -> float:
        """Volume of one voxel."""
        steps = self.affine[:3, :3]
        return abs(float(steps[:, 0] @ np.cross(steps[:, 1], steps[:, 2])))

    def to_patient(self, kji: ArrayLike) -> NDArray[np.float64]:
        """Return LPS millimetres of (..., 3) indices (slice, row, column), fractions allowed."""
        indices = np.asarray(kji, dtype=np.float64)
        return np.asarray(indices @ self.affine[:3, :3].T + self.affine[:3, 3], dtype=np.float64)

    def to_index(self, lps: ArrayLike) -> NDArray[np.float64]:
        """Return (..., 3) fractional indices (slice, row, column) of LPS millimetres."""
        points = np.asarray(lps, dtype=np.float64) - self.affine[:3, 3]
        solved = np.linalg.solve(self.affine[:3, :3], points.reshape(-1, 3).T)
        return np.asarray(solved.T.reshape(points.shape), dtype=np.float64)

    def almost_equal(self, other: Geometry, *, tolerance_mm: float = 1e-3) -> bool:
        """Return whether both grids have one shape and every corner agrees within a tolerance."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"))
        corners = corners.reshape(3, -1).T
        distance = np.linalg.norm(self.to_patient(corners) - other.to_patient(corners), axis=1)
        return float(distance.max()) <= tolerance_mm


@dataclass(frozen=True, slots=True)
class ImagePlane:
    """The plane of a projection that has no frame in the patient.

    Attributes:
        shape: (rows, columns).
        spacing_mm: (row, column) distances of pixel centres, or None.
        spacing_kind: What the spacing means: in the patient, at the detector, calibrated, unknown.
        view: Projection, such as PA, as a code.
        laterality: Side of a paired body part, as a code.
    """

    shape: tuple[int, int]
    spacing_mm: tuple[float, float] | None = None
    spacing_kind: SpacingKind = "unknown"
    view: CodedConcept | None = None
    laterality: CodedConcept | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise GeometryError(f"a plane needs two positive sizes, got {self.shape}")
        if self.spacing_mm is not None and not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise GeometryError(f"spacing must be positive millimetres, got {self.spacing_mm}")
        if (self.spacing_mm is None) != (self.spacing_kind == "unknown"):
            raise GeometryError(
                f"spacing {self.spacing_mm} and its kind {self.spacing_kind!r} contradict each other"
            )


Grid = Geometry | ImagePlane
