from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest

from coread.core import Geometry, ImagePlane
from coread.server.overlays import on_grid
from coread.server.pixels import PixelCache


def test_a_block_holds_modality_values_in_slice_order(world: Any, ct: Any, files: Any) -> None:
    client = world.client("ada")
    part = client.get(f"/api/v1/studies/{ct.uid()}").json()["series"][0]["parts"][0]
    assert (part["kind"], part["shape"], part["unit"], part["dtype"]) == (
        "volume",
        [6, 16, 16],
        "HU",
        "int16",
    )
    assert part["spacing_mm"] == [3.0, 1.0, 1.0]
    answer = client.get(part["frames"], params={"first": 1, "count": 3})
    assert answer.headers["x-shape"] == "3,16,16"
    given = np.frombuffer(answer.content, "<i2").reshape(3, 16, 16)
    k, j, i = np.indices((6, 16, 16))
    np.testing.assert_array_equal(given, (-1000 + 100 * k + 10 * j + i)[1:4])
    # by the files themselves: the slices in the order of their place
    slices = sorted((pydicom.dcmread(p) for p in files.ct), key=lambda d: float(d.ImagePositionPatient[2]))
    assert [ref["uid"] for ref in part["instances"]] == [d.SOPInstanceUID for d in slices]
    assert part["affine"][2][0] == 3.0
    assert client.get(part["frames"], params={"first": 6}).status_code == 422
    tail = client.get(part["frames"], params={"first": 4, "count": 100})
    assert tail.headers["x-shape"] == "2,16,16"


def test_a_late_slice_makes_the_address_of_a_block_another_one(world: Any, ct: Any, late: Any) -> None:
    client = world.client("ada")
    address = f"/api/v1/studies/{ct.uid()}"
    before = client.get(address).json()["series"][0]["parts"][0]
    world.take_in(late)
    after = client.get(address).json()["series"][0]["parts"][0]
    assert after["shape"] == [7, 16, 16]
    assert client.get(before["frames"].partition("?")[0]).status_code == 200  # no version asked for
    assert client.get(f"{before['frames']}&first=0").status_code == 412
    assert client.get(f"{after['frames']}&first=0").status_code == 200


def test_a_film_is_one_image(world: Any, film: Any) -> None:
    part = world.client("ada").get(f"/api/v1/studies/{film.uid()}").json()["series"][0]["parts"][0]
    assert (part["kind"], part["shape"], part["affine"]) == ("image", [24, 20], None)


def test_maps_and_segments_come_in_eight_bits_on_the_grid_of_the_part(
    world: Any, ct: Any, results: Any
) -> None:
    world.save(results(1))
    client = world.client("ada")
    address = f"/api/v1/studies/{ct.uid()}"
    client.post(f"{address}/reading")
    client.post(f"{address}/reading/commit", json={"findings": []}, headers={"If-Match": '"1"'})
    shown = client.post(f"{address}/reading/reveal").json()
    answer = client.get(shown["maps"][0]["data"])
    assert (answer.headers["x-shape"], answer.headers["x-low"], answer.headers["x-high"]) == (
        "6,16,16",
        "0.0",
        "1.0",
    )
    heat = np.frombuffer(answer.content, np.uint8).reshape(6, 16, 16)
    assert np.argwhere(heat).tolist() == [[2, 3, 4]]
    assert heat[2, 3, 4] == 255
    answer = client.get(shown["segments"][0]["data"])
    lung = np.frombuffer(answer.content, np.uint8).reshape(6, 16, 16)
    assert lung.sum() == 2 * 4 * 4
    assert lung[1:3, 4:8, 4:8].all()
    assert client.get(f"{address}/maps/other/data").status_code == 403


def test_resampling_puts_a_voxel_where_it_lies_in_the_patient() -> None:
    source = Geometry.axial((4, 6, 6), (4.0, 2.0, 2.0), (10.0, 20.0, 30.0))
    values = np.zeros(source.shape, np.uint8)
    values[2, 3, 4] = 7
    # the same space stored the other way round and finer: each coarse voxel is 2 x 2 x 2 fine ones
    turned = np.array(Geometry.axial((8, 12, 12), (2.0, 1.0, 1.0)).affine)
    turned[:3, 0] *= -1
    turned[:3, 3] = (9.5, 19.5, 29.0 + 2.0 * 7)
    target = Geometry((8, 12, 12), turned)
    found = on_grid(values, source, target)
    places = target.to_patient(np.argwhere(found))
    assert len(places) == 8
    centre = source.to_patient((2, 3, 4))
    np.testing.assert_allclose(places.mean(axis=0), centre, atol=1e-9)
    assert np.abs(places - centre).max() <= 1.0


@pytest.mark.parametrize("shape", [(2, 2), (8, 4)])
def test_a_coarse_map_of_a_film_is_spread_over_its_pixels(shape: tuple[int, int]) -> None:
    values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    found = on_grid(values, ImagePlane(shape), ImagePlane((16, 8)))
    expected = np.kron(values, np.ones((16 // shape[0], 8 // shape[1]), np.uint8))
    np.testing.assert_array_equal(found, expected)


def test_outside_of_the_source_there_is_nothing() -> None:
    source = Geometry.axial((2, 2, 2), (1.0, 1.0, 1.0))
    target = Geometry.axial((2, 2, 2), (1.0, 1.0, 1.0), (100.0, 0.0, 0.0))
    assert not on_grid(np.ones((2, 2, 2), np.uint8), source, target).any()


def test_the_cache_keeps_within_its_limit_and_forgets_the_longest_unused() -> None:
    cache, made = PixelCache(100), []

    def get(key: str, size: int = 40) -> None:
        cache.get(key, lambda: made.append(key), lambda _: size)

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert made == ["a", "b", "c", "b"]
    get("huge", 1000)
    get("huge", 1000)
    assert made[-2:] == ["huge", "huge"]  # too large to keep, and pushes nothing out
