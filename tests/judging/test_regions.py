"""Regions: what they hold, how they are cut, what they are called."""

import numpy as np
import pytest

from gradcheck.judging.regions import ARRAYS, COLUMNS, ROWS, Region

SHAPES = [(3, 5), (), (4,), (2, 3, 4), (0, 3), (300, 400)]
NAMES = ["W", "c", "b", "K", "e", "L"]


def array(name: str) -> Region:
    k = NAMES.index(name)
    return Region.of(SHAPES, k, k + 1)


def held(region: Region) -> dict[int, list[int]]:
    """Return the flat indices that a region holds of each array."""
    found: dict[int, list[int]] = {}
    for k, where in region.pieces():
        inside = np.arange(int(np.prod(SHAPES[k])))[where]
        found.setdefault(k, []).extend(inside.tolist())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_array_holds_each_of_its_entries_once(name: str) -> None:
    region, k = array(name), NAMES.index(name)
    assert held(region).get(k, []) == list(range(int(np.prod(SHAPES[k]))))


def test_several_arrays_hold_all_of_theirs() -> None:
    region = Region.of(SHAPES, 0, len(SHAPES))
    assert region.size == 15 + 1 + 4 + 24 + 0 + 120_000
    assert {k: len(i) for k, i in held(region).items()} == {0: 15, 1: 1, 2: 4, 3: 24, 5: 120_000}


@pytest.mark.parametrize("name", ["W", "b", "K", "L"])
def test_halves_share_nothing_and_miss_nothing(name: str) -> None:
    region = array(name)
    for axis in region.axes:
        parts = [index for half in region.halves(axis) for index in held(half).popitem()[1]]
        assert sorted(parts) == held(region).popitem()[1]


def test_several_arrays_are_cut_between_arrays() -> None:
    region = Region.of(SHAPES, 0, 3)
    assert region.axes == (ARRAYS,)
    assert [half.name(NAMES) for half in region.halves(ARRAYS)] == ["W", "c, b"]
    assert region.cut(ARRAYS, 1, 2) == array("c")


@pytest.mark.parametrize("axis", [ROWS, COLUMNS])
def test_the_ramp_rises_along_its_axis_alone(axis: int) -> None:
    ramp = np.zeros(120_000)
    for k, where in array("L").pieces():
        ramp[where] = array("L").ramp(axis, k, where)
    length = SHAPES[-1][axis - ROWS]
    expected = np.linspace(0.5, 1.5, length)
    expected = expected[:, None] if axis == ROWS else expected[None, :]
    np.testing.assert_allclose(ramp.reshape(300, 400), np.broadcast_to(expected, (300, 400)))


def test_names_say_where_a_region_lies() -> None:
    W, K, b = array("W"), array("K"), array("b")
    assert W.name(NAMES) == "W"
    assert W.cut(ROWS, 1, 2).name(NAMES) == "W[1, :]"
    assert W.cut(ROWS, 1, 3).name(NAMES) == "W[1:3, :]"
    assert W.cut(COLUMNS, 4, 5).name(NAMES) == "W[:, 4]"
    assert W.cut(COLUMNS, 0, 2).name(NAMES) == "W[:, 0:2]"
    assert W.cut(ROWS, 1, 2).cut(COLUMNS, 0, 2).name(NAMES) == "W[1, 0:2]"
    assert b.cut(COLUMNS, 1, 3).name(NAMES) == "b[1:3]"
    assert K.cut(ROWS, 1, 2).name(NAMES) == "K[1, :]"
    assert K.cut(COLUMNS, 3, 7).name(NAMES) == "K[:, flat 3:7]"
    assert Region.of(SHAPES, 0, 2).name(NAMES) == "W, c"
    assert Region.of([(4,)], 0, 1).name([""]) == "the parameters"
