import numpy as np
import pytest

from coread.errors import InputError
from coread.testing import _kernels
from coread.testing.thorax import AIRWAYS, NODULE, Consolidation, Nodule, Thorax, voxelise

GRID = {"shape": (56, 160, 160), "spacing_mm": (5.0, 2.4, 2.4), "oversampling": 1}


def test_the_seed_decides_and_another_seed_differs() -> None:
    first = voxelise(Thorax(emphysema=0.5, seed=4), **GRID)
    again = voxelise(Thorax(emphysema=0.5, seed=4), jobs=2, **GRID)
    other = voxelise(Thorax(emphysema=0.5, seed=5), **GRID)
    assert np.array_equal(first.hu, again.hu)
    assert np.array_equal(first.label, again.label)
    assert not np.array_equal(first.hu, other.hu)


def test_lungs_have_adult_volumes_and_densities() -> None:
    body = voxelise(Thorax(), **GRID)
    millilitres = np.prod(body.spacing_mm) / 1000
    right, left = (body.lung(side).sum() * millilitres for side in ("right", "left"))
    assert 1800 < left < right < 3500  # the heart takes from the left
    assert -870 < body.hu[body.lung()].mean() < -800
    assert body.low_attenuation().sum() == 0
    assert 20 < (body.label == AIRWAYS).sum() * millilitres < 120


def test_a_smaller_person_has_smaller_lungs_by_the_cube() -> None:
    volumes = [voxelise(Thorax(size=size), **GRID).lung().sum() for size in (0.9, 1.0)]
    assert volumes[0] / volumes[1] == pytest.approx(0.9**3, rel=0.02)


def test_emphysema_is_worse_in_the_upper_half() -> None:
    body = voxelise(Thorax(emphysema=0.8), **GRID)
    low, lung = body.low_attenuation(), body.lung()
    half = 28
    upper, lower = (low[part].sum() / lung[part].sum() for part in (slice(half, None), slice(0, half)))
    assert upper > 4 * lower
    assert 0.05 < low.sum() / lung.sum() < 0.4


def test_a_nodule_has_its_volume_and_place() -> None:
    nodule = Nodule(centre_mm=(-80.0, 12.0, 38.0), diameter_mm=20.0)
    body = voxelise(
        Thorax(nodules=(nodule,)),
        shape=(40, 80, 80),
        spacing_mm=(1.0, 0.8, 0.8),
        origin_mm=(-112.0, -20.0, 18.0),
        oversampling=1,
    )
    inside = body.label == NODULE
    assert inside.sum() * np.prod(body.spacing_mm) == pytest.approx(np.pi / 6 * 20**3, rel=0.02)
    centre = np.argwhere(inside).mean(axis=0)[::-1] * body.spacing_mm[::-1] + body.origin_mm
    assert centre == pytest.approx(nodule.centre_mm, abs=0.1)
    assert body.hu[inside].mean() > 0


def test_a_consolidation_replaces_air_where_it_was_put() -> None:
    centre = (-64.0, 18.0, -36.0)
    opacity = Consolidation(centre_mm=centre, radius_mm=30.0)
    clear, opaque = (voxelise(Thorax(consolidation=c), **GRID) for c in (None, opacity))
    change = opaque.hu - clear.hu > 200
    places = np.argwhere(change)[:, ::-1] * clear.spacing_mm[::-1] + clear.origin_mm
    assert np.linalg.norm(places.mean(axis=0) - centre) < 12.0
    assert (opaque.lung() == clear.lung()).all()


def test_nothing_but_lungs_is_between_water_and_air() -> None:
    body = voxelise(Thorax(), **GRID)
    outside = ~body.lung() & (body.label != AIRWAYS)
    part = ((body.hu > -800) & (body.hu < -200) & outside).sum() / outside.sum()
    assert part < 0.03  # partial volume at surfaces


def test_impossible_patients_are_refused() -> None:
    with pytest.raises(InputError, match="emphysema"):
        Thorax(emphysema=1.5)
    with pytest.raises(InputError, match="size"):
        Thorax(size=2.0)
    with pytest.raises(InputError, match="grid"):
        voxelise(Thorax(), shape=(1, 0, 3), spacing_mm=(1.0, 1.0, 1.0))


def test_compiled_rods_agree_with_plain_numpy() -> None:
    xs, ys, zs = (np.linspace(-10.0, 10.0, n) for n in (21, 23, 11))
    hu = np.zeros((11, 23, 21), dtype=np.float32)
    label = np.ones(hu.shape, dtype=np.uint8)
    start, end = np.array([[-5.0, 0.0, -4.0]]), np.array([[6.0, 3.0, 4.0]])
    _kernels.paint_capsules(
        hu, label, xs, ys, zs, start, end, np.array([[3.0, 2.0]]), np.array([100.0]),
        np.array([4]), np.array([True]), 1.0,
    )  # fmt: skip
    points = np.stack(np.meshgrid(zs, ys, xs, indexing="ij"), axis=-1)[..., ::-1]
    axis = (end - start)[0]
    t = np.clip(((points - start[0]) @ axis) / (axis @ axis), 0, 1)
    distance = np.linalg.norm(points - start[0] - t[..., None] * axis, axis=-1) - (3.0 - t)
    covered = np.clip(0.5 - distance, 0, 1)
    assert np.allclose(hu, 100.0 * covered, atol=1e-3)
    assert np.array_equal(label == 4, covered >= 0.5)
