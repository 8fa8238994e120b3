"""Structures of any nesting become named flat arrays, copied; what does not fit is said."""

import pickle
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import check_gradient
from gradcheck.measuring.parameters import Parameters


class Layer(NamedTuple):
    W: Any
    b: Any


ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("x0", "names", "entries"),
    [
        (np.ones(3), [""], ["[0]", "[1]", "[2]"]),
        (np.ones((1, 2)), [""], ["[0, 0]", "[0, 1]"]),
        (2.5, [""], ["x"]),
        (np.float32(2.5), [""], ["x"]),
        ({"W": ONES[:1], "b": 1.0}, ["W", "b"], ["W[0, 0]", "W[0, 1]", "W[0, 2]", "b"]),
        ([1.0, np.ones(1)], ["[0]", "[1]"], ["[0]", "[1][0]"]),
        ((np.ones(1), [np.ones(1)]), ["[0]", "[1][0]"], ["[0][0]", "[1][0][0]"]),
        (Layer(np.ones(1), 1.0), ["W", "b"], ["W[0]", "b"]),
        ([np.float64(1.0), np.float32(2.0)], [""], ["[0]", "[1]"]),
        ({"net": [Layer(np.ones(1), {"c": 1.0})]}, ["net[0].W", "net[0].b.c"], None),
        ({1: np.ones(1), "a b": np.ones(1), "é[0]": 1.0}, ["1", "a b", "é[0]"], None),
        ({("a", 1): np.ones(1)}, ["('a', 1)"], ["('a', 1)[0]"]),
        ({"empty": np.zeros((0, 3)), "w": np.ones(1)}, ["empty", "w"], ["w[0]"]),
    ],
)
def test_names_say_where_an_entry_is(x0: Any, names: list[str], entries: Any) -> None:
    p = Parameters(x0)
    assert p.names == names
    if entries is not None:
        found = [p.entry_name(k, i) for k, flat in enumerate(p.flats) for i in range(flat.size)]
        assert found == entries
        assert p.size == len(entries)


def test_the_tree_has_the_structure_and_types_of_x0() -> None:
    x0 = {"net": [Layer(ONES, 1.0), (np.ones(2, np.float32),)], 3: np.float64(2)}
    p = Parameters(x0)
    assert list(p.tree) == ["net", 3]
    assert type(p.tree["net"]) is list
    assert type(p.tree["net"][0]) is Layer
    assert type(p.tree["net"][1]) is tuple
    assert p.tree["net"][0].b.shape == ()
    assert p.tree["net"][1][0].dtype == np.float32
    again = p.rebuild([10 * flat for flat in p.x0])
    assert type(again["net"][0]) is Layer
    np.testing.assert_array_equal(again["net"][0].W, 10 * ONES)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_the_precision_is_kept(dtype: Any) -> None:
    p = Parameters({"w": np.ones(3, dtype)})
    assert p.tree["w"].dtype == p.flats[0].dtype == p.x0[0].dtype == dtype


@pytest.mark.parametrize("seed", range(5))
def test_fortran_order_strides_and_read_only_arrays_are_copied(seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=(4, 6))
    fortran, strided, frozen = np.asfortranarray(x), x[::-2, ::3], x.copy()
    frozen.setflags(write=False)
    for given in (fortran, strided, frozen, x.T):
        before = given.copy()
        p = Parameters([given])
        np.testing.assert_array_equal(p.tree[0], given)
        p.flats[0][1] = 99.0
        assert p.tree[0].reshape(-1)[1] == 99.0  # a view, so that a nudge reaches `fun`
        assert p.tree[0][np.unravel_index(1, given.shape)] == 99.0  # and the name is right
        np.testing.assert_array_equal(given, before)
        assert p.x0[0][1] == given[np.unravel_index(1, given.shape)]


def test_arrays_that_share_memory_are_told_apart() -> None:
    w = np.ones(2)
    p = Parameters({"a": w, "b": w})
    p.flats[0][0] = 5.0
    assert p.tree["b"][0] == 1.0


def test_what_changed_is_named() -> None:
    p = Parameters({"a": np.ones(2), "b": np.ones(2)})
    p.refuse_changed("fun")
    p.tree["b"][1] += 1e-16
    p.refuse_changed("fun")
    p.tree["b"][1] += 1e-15
    with pytest.raises(ValueError, match=r"`fun` .*\(b\)"):
        p.refuse_changed("fun")
    bare = Parameters(np.ones(2))
    bare.tree[0] = np.nan
    with pytest.raises(ValueError, match=r"`grad` .*\(the array\)"):
        bare.refuse_changed("grad")


@pytest.mark.parametrize(
    ("x0", "error", "words"),
    [
        (np.array([1, 2]), TypeError, ["`x0`", "int64", ".astype(float)"]),
        ({"W": np.array([True])}, TypeError, ["`x0` at W", "bool", ".astype(float)"]),
        ([ONES, 2], TypeError, ["`x0` at [1]", "int64", ".astype(float)"]),
        ([1, 2], TypeError, ["`x0`", "int64", ".astype(float)"]),
        (np.ones(2) + 1j, TypeError, ["`x0`", "complex128", "real and imaginary"]),
        ({"a": {"b": 1j}}, TypeError, ["`x0` at a.b", "complex128", "real and imaginary"]),
        (None, TypeError, ["`x0`", "NoneType", "pass an array"]),
        ({"W": ONES, "b": None}, TypeError, ["`x0` at b", "NoneType", "pass an array"]),
        ("weights", TypeError, ["`x0`", "str", "pass an array"]),
        (np.array([1.0, None]), TypeError, ["`x0`", "object", "pass an array"]),
        (np.array([]), ValueError, ["`x0` is empty", "no parameter"]),
        (np.zeros((3, 0)), ValueError, ["`x0` is empty"]),
        ({}, ValueError, ["`x0` is empty"]),
        ([], ValueError, ["`x0` is empty"]),
        ({"a": np.array([]), "b": [[], ()]}, ValueError, ["`x0` is empty"]),
        (np.array([1.0, np.nan]), ValueError, ["`x0` holds NaN or infinity", "finite"]),
        ({"b": -np.inf}, ValueError, ["`x0` at b holds NaN or infinity", "finite"]),
    ],
)
def test_a_point_that_cannot_be_used_is_refused(
    x0: Any, error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        Parameters(x0)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "x0",
    [
        {"a.b": np.ones(1), "a": {"b": np.ones(1)}},
        {0: np.ones(1), "0": np.ones(1)},
        {"a[0]": np.ones(1), "a": [np.ones(1)]},
    ],
)
def test_two_arrays_of_one_name_are_refused(x0: Any) -> None:
    with pytest.raises(ValueError, match=r"`x0`.*(a\.b|0|a\[0\])"):
        Parameters(x0)


@pytest.mark.parametrize("key", ["", " ", ".", "[0]", "0", 0, -1, None, 1.5, ("W", 1), b"W"])
def test_any_key_will_do(key: Any) -> None:
    p = Parameters({key: np.ones(2)})
    (flat,) = p.match({key: np.array([3.0, 4.0])}, "grad")
    np.testing.assert_array_equal(flat, [3, 4])
    np.testing.assert_array_equal(p.tree[key], [1, 1])


def test_values_are_matched_by_name_and_copied() -> None:
    p = Parameters({"a": np.ones((2, 2)), "b": np.ones(1)})
    values = {"b": np.array([7]), "a": np.asfortranarray([[1.0, 2.0], [3.0, 4.0]])}
    a, b = p.match(values, "grad")
    np.testing.assert_array_equal(a, [1, 2, 3, 4])
    np.testing.assert_array_equal(b, [7.0])
    assert b.dtype == float
    a[:] = 0
    assert values["a"][0, 0] == 1


def test_a_tuple_may_stand_for_a_list_and_a_list_of_numbers_for_an_array() -> None:
    assert len(Parameters([ONES, ONES]).match((ONES, ONES), "grad")) == 2
    np.testing.assert_array_equal(Parameters([1.0, 2.0]).match((3.0, 4.0), "grad")[0], [3, 4])
    np.testing.assert_array_equal(Parameters(np.ones(2)).match([3, 4.5], "grad")[0], [3, 4.5])
    np.testing.assert_array_equal(Parameters(1.0).match(3.0, "grad")[0], [3.0])


def test_nan_in_a_gradient_is_for_the_verdict_not_for_an_error() -> None:
    assert np.isnan(Parameters(np.ones(2)).match([np.nan, np.inf], "grad")[0][0])


TREE = {"W1": ONES, "b1": np.ones(3)}


@pytest.mark.parametrize(
    ("x0", "values", "error", "words"),
    [
        (TREE, {"W1": ONES}, ValueError, ["`grad`", "missing b1", "same keys"]),
        (TREE, {**TREE, "W2": ONES}, ValueError, ["`grad`", "not in `x0`: W2"]),
        (TREE, {"W1": ONES, "b2": np.ones(3)}, ValueError, ["missing b1", "not in `x0`: b2"]),
        (TREE, ONES, ValueError, ["`grad`", "missing W1, b1", "bare array"]),
        (TREE, [ONES, np.ones(3)], ValueError, ["missing W1, b1", "not in `x0`: [0], [1]"]),
        (TREE, None, ValueError, ["`grad`", "missing W1, b1"]),
        (TREE, {**TREE, "W1": ONES.T}, ValueError, ["`grad` at W1", "(3, 2)", "(2, 3)"]),
        (TREE, {**TREE, "b1": np.ones((1, 3))}, ValueError, ["at b1", "(1, 3)", "(3,)"]),
        (TREE, {**TREE, "b1": 1.0}, ValueError, ["at b1", "()", "(3,)"]),
        (TREE, {**TREE, "b1": None}, TypeError, ["`grad` at b1", "NoneType"]),
        (TREE, {**TREE, "b1": np.ones(3) * 1j}, TypeError, ["`grad` at b1", "complex"]),
        ([ONES], [ONES, ONES], ValueError, ["`grad`", "not in `x0`: [1]"]),
        (np.ones(3), np.ones(2), ValueError, ["`grad`", "(2,)", "(3,)", "same shape"]),
        (np.ones(3), np.ones((3, 1)), ValueError, ["`grad`", "(3, 1)", "(3,)"]),
        (np.ones(3), 1.0, ValueError, ["`grad`", "()", "(3,)"]),
        (np.ones(3), {"w": np.ones(3)}, ValueError, ["`grad`", "not in `x0`: w"]),
        (np.ones(3), None, TypeError, ["`grad`", "NoneType"]),
        (np.ones((2, 2)), [[1.0, 2.0], [3.0]], ValueError, ["`grad` is no array", "rows"]),
        (np.ones(3), np.ones(3) * 1j, TypeError, ["`grad`", "complex"]),
        (np.ones(3), "abc", TypeError, ["`grad`", "str"]),
    ],
)
def test_values_of_another_structure_are_refused(
    x0: Any, values: Any, error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        Parameters(x0).match(values, "grad")
    for word in words:
        assert word in str(caught.value)


# ---------------------------------------------------------------- a flat vector, and types

SHAPES: dict[Any, Any] = {"W1": (2, 3), "b1": (3,), "c": (), "none": (0, 2), "v": 2}


def flat_loss(theta: Any) -> Any:
    assert theta.shape == (12,)
    return np.sum(np.exp(theta))


@pytest.mark.parametrize("method", ["entries", "directions"])
def test_entries_of_a_flat_vector_get_the_names_of_its_arrays(method: Any) -> None:
    theta = np.random.default_rng(0).normal(size=12)
    factor = np.ones(12)
    factor[[4, 9]] = 3
    report = check_gradient(
        flat_loss, lambda t: factor * np.exp(t), theta, shapes=SHAPES, method=method
    )
    assert {entry.name for entry in report.wrong} == {"W1[1, 1]", "c"}
    assert list(report.resolution) == ["W1", "b1", "c", "none", "v"]
    assert check_gradient(flat_loss, np.exp, theta, shapes=SHAPES, method=method)
    assert check_gradient(flat_loss, np.exp, theta, shapes=SHAPES, method=method, workers=map)


def test_arrays_of_a_flat_vector_are_views_into_it() -> None:
    p = Parameters(np.arange(12.0), SHAPES)
    assert p.names == list(SHAPES)
    assert p.shapes == [(2, 3), (3,), (), (0, 2), (2,)]
    for flat in p.flats:
        assert flat.base is not None
        flat += 100
    np.testing.assert_array_equal(p.tree, np.arange(12.0) + 100)
    with pytest.raises(ValueError, match=r"\(W1\)"):
        p.refuse_changed("fun")
    again = pickle.loads(pickle.dumps(p))
    assert again.shapes == p.shapes
    again.flats[0][0] = 7.0
    assert again.tree[0] == 7.0
    assert p.tree[0] == 100.0


@pytest.mark.parametrize(
    ("x0", "shapes", "words"),
    [
        (np.ones(7), {"W": (2, 3), "b": 2}, ["`shapes` add up to 8", "`x0` has 7"]),
        ({"W": np.ones(6)}, {"W": (2, 3)}, ["`shapes` is for one flat `x0`"]),
        ([np.ones(3), np.ones(3)], {"W": (2, 3)}, ["`shapes` is for one flat `x0`"]),
        (np.ones(4), {1: 2, "1": 2}, ["Two arrays of `shapes` are called 1"]),
        (np.ones(4), {"W": (2.0, 2)}, ["`shapes` at W is (2.0, 2)", "whole numbers"]),
        (np.ones(4), {"W": (-2, -2)}, ["`shapes` at W", "whole numbers"]),
        (np.ones(4), {"W": "22"}, ["`shapes` at W is '22'", "whole numbers"]),
    ],
)
def test_shapes_that_do_not_fit_are_refused(x0: Any, shapes: Any, words: list[str]) -> None:
    with pytest.raises(ValueError, match="`shapes`") as caught:
        check_gradient(lambda t: 0.0, x0, x0, shapes=shapes)
    for word in words:
        assert word in str(caught.value)


def test_shapes_without_names_are_refused() -> None:
    with pytest.raises(TypeError, match=r"`shapes` is \[\(3,\)\]: pass a dict"):
        check_gradient(lambda t: 0.0, np.ones(3), np.ones(3), shapes=[(3,)])  # type: ignore[arg-type]


def test_arguments_in_another_order_are_told_theirs() -> None:
    x = np.ones(3)
    with pytest.raises(TypeError, match=r"`x0` has dtype object.*check_gradient\(fun, grad, x0\)"):
        check_gradient(lambda t: t @ t, x, lambda t: 2 * t)
    with pytest.raises(
        TypeError, match=r"a gradient comes second.*check_gradient\(fun, grad, x0\)"
    ):
        check_gradient(lambda t: 2 * t, lambda t: t @ t, x)


def test_arrays_in_another_order_are_told_theirs() -> None:
    x0 = [np.ones(2), np.ones((2, 3))]
    with pytest.raises(
        ValueError, match=r"`grad` at \[0\] .*another order; here it is \[0\], \[1\]"
    ):
        check_gradient(lambda t: 0.0, x0[::-1], x0)


def test_a_column_vector_is_flat_too() -> None:
    theta = np.ones((6, 1))
    report = check_gradient(
        lambda t: np.sum(t**2), lambda t: 2 * t * (np.arange(6) != 5)[:, None], theta,
        shapes={"W": (2, 2), "b": 2},
    )  # fmt: skip
    assert [entry.name for entry in report.wrong] == ["b[1]"]


@pytest.mark.parametrize("dtype", [float, np.float64, "float64", np.float32, np.longdouble])
def test_x0_and_floats_in_args_are_converted(dtype: Any) -> None:
    labels, seen = np.array([0, 1]), set()

    def fun(p: Any, data: Any, labels: Any, name: Any) -> Any:
        assert labels.dtype == int
        assert name == ("name", 1.5)
        seen.add((p["w"].dtype, data["X"][0].dtype))
        return np.sum((data["X"][0] * p["w"])[labels])

    single = np.ones(2, np.float32)
    args = {"X": [single]}, labels, ("name", 1.5)
    grad = lambda p, data, *_: {"w": data["X"][0]}  # noqa: E731
    assert check_gradient(fun, grad, {"w": single}, args=args, dtype=dtype)
    assert seen == {(np.dtype(dtype), np.dtype(dtype))}
    assert single.dtype == np.float32


@pytest.mark.parametrize("dtype", [int, bool, complex, "no type", object])
def test_a_dtype_is_a_floating_type(dtype: Any) -> None:
    with pytest.raises(TypeError, match=r"`dtype` is .*floating-point type, such as `float`"):
        check_gradient(np.sum, np.ones(2), np.ones(2), dtype=dtype)


def test_float64_finds_what_float32_cannot_see() -> None:
    x0 = np.random.default_rng(0).normal(size=20).astype(np.float32)
    options: dict[str, Any] = {"grad": lambda w: np.exp(w) * w.dtype.type(1.0001), "x0": x0}
    assert check_gradient(lambda w: np.exp(w).sum(), **options)
    assert len(check_gradient(lambda w: np.exp(w).sum(), **options, dtype=float).wrong) == 20


# ---------------------------------------------------------------- what is nearly right


class Network:
    def __init__(self) -> None:
        self.W = np.ones(2)


@pytest.mark.parametrize(
    ("x0", "values", "words"),
    [
        (np.ones(2), (0.5, np.ones(2)), ["`grad`", "the loss and its gradient", "`grad=True`"]),
        (TREE, (0.5, TREE), ["`grad`", "the loss and its gradient", "`grad=True`"]),
        (TREE, (ONES, np.ones(3)), ["missing W1, b1", "It is a tuple, `x0` a dict", "same keys"]),
    ],
)
def test_a_gradient_in_another_form_is_recognised(x0: Any, values: Any, words: list[str]) -> None:
    with pytest.raises(ValueError, match="`grad` has another structure") as caught:
        Parameters(x0).match(values, "grad")
    for word in words:
        assert word in str(caught.value)


def test_an_object_is_asked_for_its_arrays() -> None:
    with pytest.raises(TypeError, match=r"`x0` has dtype object \(Network\).*the arrays in it"):
        Parameters(Network())


def test_a_mask_is_not_dropped_in_silence() -> None:
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    for x0, values in ((masked, np.ones(2)), (np.ones(2), masked)):
        with pytest.raises(TypeError, match="is a masked array"):
            check_gradient(lambda w: 0.0, values, x0)
