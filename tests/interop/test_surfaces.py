"""Surfaces enclose what the closed form says, lie where the region lies, and their files say so."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from coread.core import Geometry, Mask
from coread.errors import InputError
from coread.interop.surfaces import glb_bytes, mask_surface, stl_bytes
from coread.testing.phantoms import sphere

VOLUME_MM3 = 4 / 3 * np.pi * 20.0**3
AREA_MM2 = 4 * np.pi * 20.0**2


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.0, 0.8, 0.8)])
def test_a_sphere_has_its_volume_and_area(spacing_mm) -> None:
    surface = mask_surface(sphere(20.0, spacing_mm, (3.0, -7.0, 11.0)), smooth_mm=1.0)
    assert surface.volume_mm3 == pytest.approx(VOLUME_MM3, rel=0.01)
    assert surface.area_mm2 == pytest.approx(AREA_MM2, rel=0.02)
    distance = np.linalg.norm(surface.points - (3.0, -7.0, 11.0), axis=1)
    assert np.abs(distance - 20.0).max() < max(spacing_mm) / 2


def test_without_smoothing_no_point_is_half_a_voxel_off() -> None:
    surface = mask_surface(sphere(20.0))
    assert surface.volume_mm3 == pytest.approx(VOLUME_MM3, rel=0.02)
    edges = np.sort(surface.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed


def test_a_box_at_the_edge_of_an_oblique_grid_is_closed() -> None:
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([2.0, 1.0, 0.5])
    affine[:3, 3] = (5, 6, 7)
    mask = Mask(np.ones((10, 20, 40), dtype=bool), Geometry((10, 20, 40), affine))
    surface = mask_surface(mask)
    # all but the bevelled edges: half a voxel is cut off along each
    assert surface.volume_mm3 == pytest.approx(20 * 20 * 20, rel=0.02)
    centre = mask.geometry.to_patient((4.5, 9.5, 19.5))
    np.testing.assert_allclose((surface.points.min(0) + surface.points.max(0)) / 2, centre, atol=1e-6)


def test_stl_holds_the_triangles_and_outward_normals() -> None:
    surface = mask_surface(sphere(6.0))
    content = stl_bytes(surface)
    (count,) = struct.unpack_from("<I", content, 80)
    assert len(content) == 84 + 50 * count
    kind = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
    records = np.frombuffer(content, kind, offset=84)
    corners = records["corners"].astype(float)
    volume = (corners[:, 0] * np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert volume == pytest.approx(surface.volume_mm3, rel=1e-4)
    assert ((records["normal"] * corners.mean(axis=1)).sum(axis=1) > 0).all()  # a sphere about the origin


def test_glb_is_in_metres_and_stands_upright() -> None:
    grid = Geometry.axial((30, 10, 20))  # 30 mm tall, 10 from front to back, 20 wide
    surface = mask_surface(Mask(np.ones(grid.shape, dtype=bool), grid))
    content = glb_bytes({"block": surface}, colours={"block": (1.0, 0.0, 0.0)})
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    size, kind = struct.unpack_from("<I4s", content, 12)
    assert kind == b"JSON"
    document = json.loads(content[20 : 20 + size])
    places = document["accessors"][0]
    np.testing.assert_allclose(np.subtract(places["max"], places["min"]), [0.020, 0.030, 0.010], rtol=1e-5)
    rest = content[20 + size :]
    size, kind = struct.unpack_from("<I4s", rest)
    assert (kind, size) == (b"BIN\0", document["buffers"][0]["byteLength"])
    view = document["bufferViews"][0]
    points = np.frombuffer(rest, "<f4", view["byteLength"] // 4, 8 + view["byteOffset"]).reshape(-1, 3)
    view = document["bufferViews"][1]
    indices = np.frombuffer(rest, "<u4", view["byteLength"] // 4, 8 + view["byteOffset"]).reshape(-1, 3)
    a, b, c = (points[indices[:, n]].astype(float) for n in range(3))
    volume = (a * np.cross(b, c)).sum() / 6
    assert volume == pytest.approx(surface.volume_mm3 * 1e-9, rel=1e-3)  # positive: not mirrored


def test_what_has_no_surface_is_refused() -> None:
    grid = Geometry.axial((3, 3, 3))
    with pytest.raises(InputError, match="empty"):
        mask_surface(Mask(np.zeros(grid.shape, dtype=bool), grid))
    with pytest.raises(InputError, match="0 or more"):
        mask_surface(sphere(3.0), smooth_mm=-1.0)
    with pytest.raises(InputError):
        glb_bytes({})
