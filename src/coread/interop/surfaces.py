"""Surfaces of regions for display and printing: triangles in the patient, as STL and as GLB."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import marching_cubes

from coread.core import Mask
from coread.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A closed surface of triangles.

    Attributes:
        points: (n, 3) float64 LPS millimetres.
        triangles: (m, 3) int32 indices of points, counter-clockwise seen from outside.
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int32]

    @property
    def volume_mm3(self) -> float:
        """The volume inside, by the divergence theorem."""
        a, b, c = (self.points[self.triangles[:, n]] for n in range(3))
        return float((a * np.cross(b, c)).sum() / 6)

    @property
    def area_mm2(self) -> float:
        """The area of all triangles."""
        a, b, c = (self.points[self.triangles[:, n]] for n in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def mask_surface(mask: Mask, *, smooth_mm: float = 0.0) -> Surface:
    """Return the surface of a region, half-way between voxels inside and outside.

    Args:
        mask: The region, on any grid; at the edge of the grid the surface is closed.
        smooth_mm: Deviation of a Gaussian that takes the steps away. The surface is then drawn where as
            many voxels lie inside as before, so that round things don't shrink; details finer than it do.

    Raises:
        InputError: The region is empty.

    References:
        Lewiner et al., Efficient implementation of marching cubes' cases, J. Graphics Tools 8 (2003).
    """
    if not mask.voxels.any():
        raise InputError("an empty region has no surface", "a region with voxels")
    if smooth_mm < 0:
        raise InputError(f"smoothing by {smooth_mm} mm", "0 or more")
    sigma = [smooth_mm / spacing for spacing in mask.geometry.spacing_mm]
    pad = [int(np.ceil(3 * s)) + 1 for s in sigma]
    inside = np.argwhere(mask.voxels)
    low, high = inside.min(axis=0), inside.max(axis=0) + 1
    part = mask.voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    field = np.pad(part, [(p, p) for p in pad]).astype(np.float32)
    level = 0.5
    if smooth_mm:
        field = ndimage.gaussian_filter(field, sigma, mode="constant")
        first_outside = field.size - int(np.count_nonzero(part)) - 1
        level = float(
            np.partition(field.ravel(), [first_outside, first_outside + 1])[first_outside:][:2].mean()
        )
    points, triangles, _, _ = marching_cubes(field, level)  # type: ignore[no-untyped-call]
    placed = mask.geometry.to_patient(points + (low - pad))
    surface = Surface(placed, triangles.astype(np.int32))
    if surface.volume_mm3 < 0:  # depends on the handedness of the grid
        surface = Surface(placed, np.ascontiguousarray(surface.triangles[:, ::-1]))
    return surface


def stl_bytes(surface: Surface) -> bytes:
    """Return a binary STL file in LPS millimetres."""
    corners = surface.points[surface.triangles].astype(np.float32)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    records = np.zeros(
        len(corners), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")]
    )
    records["normal"] = normals / np.maximum(lengths, 1e-30)
    records["corners"] = corners
    head = b"CoRead surface, LPS, unit mm".ljust(80)
    return head + struct.pack("<I", len(records)) + records.tobytes()


def glb_bytes(
    surfaces: dict[str, Surface], *, colours: dict[str, tuple[float, float, float]] | None = None
) -> bytes:
    """Return a binary glTF 2.0 file with one named mesh for each surface.

    glTF is in metres with y up and z to the front, so a patient stands and faces the viewer: x to the
    patient's left, y up, z to the front.

    Args:
        surfaces: By name.
        colours: Red, green, blue from 0 to 1 by name; light grey where none is given.

    References:
        Khronos, glTF 2.0 specification, 3.4 (coordinates) and 4.4 (binary glTF).
    """
    if not surfaces:
        raise InputError("a scene needs a surface, got none")
    content = bytearray()
    views: list[dict[str, int]] = []
    accessors: list[dict[str, object]] = []
    meshes, materials = [], []
    for n, (name, surface) in enumerate(surfaces.items()):
        placed = surface.points[:, [0, 2, 1]] * (0.001, 0.001, -0.001)
        points = placed.astype("<f4")
        indices = surface.triangles.astype("<u4")
        for array, target in ((points, 34962), (indices, 34963)):
            views.append(
                {"buffer": 0, "byteOffset": len(content), "byteLength": array.nbytes, "target": target}
            )
            content += array.tobytes()  # both are of 4-byte numbers, so the next one is aligned
        accessors += [
            {
                "bufferView": 2 * n,
                "componentType": 5126,
                "count": len(points),
                "type": "VEC3",
                "min": points.min(axis=0).tolist(),
                "max": points.max(axis=0).tolist(),
            },
            {"bufferView": 2 * n + 1, "componentType": 5125, "count": indices.size, "type": "SCALAR"},
        ]
        primitive = {"attributes": {"POSITION": 2 * n}, "indices": 2 * n + 1, "material": n}
        meshes.append({"name": name, "primitives": [primitive]})
        colour = (colours or {}).get(name, (0.8, 0.8, 0.8))
        surface_look = {"baseColorFactor": [*colour, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
        materials.append({"name": name, "pbrMetallicRoughness": surface_look})
    document = {
        "asset": {"version": "2.0", "generator": "CoRead"},
        "scene": 0,
        "scenes": [{"nodes": list(range(len(meshes)))}],
        "nodes": [{"name": name, "mesh": n} for n, name in enumerate(surfaces)],
        "meshes": meshes,
        "materials": materials,
        "buffers": [{"byteLength": len(content)}],
        "bufferViews": views,
        "accessors": accessors,
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(content), b"BIN\0") + bytes(content)
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
