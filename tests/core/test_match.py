"""The matching rule: examples from its definition, and the assignment against exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from coread.core import Finding, ImagePlane, Model, OnInstance, PatientSpace, Point, Reader, vocabulary
from coread.core.geometry import Geometry
from coread.core.image import Mask
from coread.core.match import MatchSettings, _assign, compare
from coread.core.region import MaskRegion
from coread.errors import InputError

SPACE = PatientSpace("1.2.3")
ME = Reader("r1")
IT = Model("m", "1", None, "second-reader")


def mine(identifier: str, concept=vocabulary.LUNG_NODULE, status="present", **rest) -> Finding:
    return Finding(identifier, concept, status, ME, **rest)


def its(identifier: str, concept=vocabulary.LUNG_NODULE, status="present", **rest) -> Finding:
    return Finding(identifier, concept, status, IT, **rest)


def at(x: float, y: float = 0.0, z: float = 0.0) -> Point:
    return Point((x, y, z), SPACE)


def test_one_concept_at_one_place_agrees() -> None:
    difference = compare([mine("a", region=at(0))], [its("b", region=at(9.9))])
    assert difference.agreed == (("a", "b"),)
    assert not difference.model_only
    assert not difference.reader_only


def test_beyond_ten_millimetres_both_stand_alone() -> None:
    difference = compare([mine("a", region=at(0))], [its("b", region=at(10.1))])
    assert difference.model_only == ("b",)
    assert difference.reader_only == ("a",)


def test_half_the_larger_diameter_counts_for_large_regions() -> None:
    grid = Geometry.axial((41, 41, 41))
    places = np.moveaxis(np.indices(grid.shape), 0, -1)
    region = MaskRegion(Mask(np.linalg.norm(places - 20, axis=-1) <= 18, grid), SPACE)
    assert compare([mine("a", region=at(34, 20, 20))], [its("b", region=region)]).agreed
    # 22 mm from the centre is beyond half the diameter, but within 5 mm of the edge
    assert compare([mine("a", region=at(42, 20, 20))], [its("b", region=region)]).agreed
    assert not compare([mine("a", region=at(44, 20, 20))], [its("b", region=region)]).agreed


def test_ancestor_and_descendant_pair_siblings_do_not() -> None:
    assert compare([mine("a", vocabulary.LUNG_OPACITY)], [its("b", vocabulary.PNEUMONIA)]).agreed
    assert compare([mine("a", vocabulary.PNEUMONIA)], [its("b", vocabulary.LUNG_OPACITY)]).agreed
    assert not compare([mine("a", vocabulary.ATELECTASIS)], [its("b", vocabulary.PNEUMONIA)]).agreed


def test_sides_contradict_unless_one_is_both() -> None:
    right, left, both = vocabulary.RIGHT, vocabulary.LEFT, vocabulary.BILATERAL
    assert not compare([mine("a", laterality=right)], [its("b", laterality=left)]).agreed
    assert compare([mine("a", laterality=right)], [its("b", laterality=both)]).agreed
    assert compare([mine("a", laterality=right)], [its("b")]).agreed


def test_without_a_region_place_decides_where_both_give_it() -> None:
    upper, lower = vocabulary.UPPER_LOBE, vocabulary.LOWER_LOBE
    assert compare([mine("a", place=upper, region=at(0))], [its("b", place=upper)]).agreed
    assert not compare([mine("a", place=upper)], [its("b", place=lower)]).agreed
    assert compare([mine("a", place=upper)], [its("b")]).agreed


def test_other_frames_of_reference_never_pair() -> None:
    elsewhere = Point((0.0, 0.0, 0.0), PatientSpace("9"))
    assert not compare([mine("a", region=at(0))], [its("b", region=elsewhere)]).agreed


def test_on_planes_without_spacing_five_percent_of_the_longer_side_count() -> None:
    space = OnInstance("1.2", ImagePlane((1000, 2000)))
    point = Point((500, 500), space)
    assert compare([mine("a", region=point)], [its("b", region=Point((500, 600), space))]).agreed
    assert not compare([mine("a", region=point)], [its("b", region=Point((500, 601), space))]).agreed


def test_an_explicit_no_contradicts_every_descendant() -> None:
    difference = compare(
        [mine("no", vocabulary.LUNG_OPACITY, "absent")],
        [its("p", vocabulary.PNEUMONIA), its("n", vocabulary.LUNG_NODULE)],
    )
    assert difference.contradicted == (("no", "p"),)
    assert difference.model_only == ("n",)
    assert not difference.reader_only


def test_no_opinion_and_absent_of_the_model_never_pair() -> None:
    model = [its("x", status="no_opinion"), its("y", status="absent")]
    difference = compare([mine("a")], model)
    assert difference.reader_only == ("a",)
    assert not difference.model_only
    assert not difference.agreed


def test_most_pairs_win_over_the_nearest_pair() -> None:
    # a is 1 mm from x, but then b (only near x) stays alone: a pairs with y at 9 mm
    reader = [mine("a", region=at(0)), mine("b", region=at(10))]
    model = [its("x", region=at(1)), its("y", region=at(-9))]
    assert set(compare(reader, model).agreed) == {("a", "y"), ("b", "x")}


def test_the_version_tells_the_distances() -> None:
    assert MatchSettings().version != MatchSettings(centre_mm=11).version
    with pytest.raises(InputError):
        MatchSettings(grow_mm=-1)


def best(costs: np.ndarray) -> tuple[int, float]:
    rows, columns = costs.shape
    found = (0, 0.0)
    for choice in itertools.product(range(-1, columns), repeat=rows):
        used = [c for c in choice if c >= 0]
        total = sum(costs[r, c] for r, c in enumerate(choice) if c >= 0)
        if len(set(used)) == len(used) and np.isfinite(total):
            found = max(found, (len(used), -total))
    return found[0], -found[1]


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
        lambda shape: arrays(
            np.float64, shape, elements=st.sampled_from([np.inf, 0.0, 1.0, 2.5, 4.0, 7.0, 9.0])
        )
    )
)
def test_the_assignment_is_the_best_of_all(costs: np.ndarray) -> None:
    pairs = _assign(costs)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert (len(pairs), sum(costs[r, c] for r, c in pairs)) == pytest.approx(best(costs))
