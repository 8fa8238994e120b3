from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck.learning import linear_model
from gradcheck.learning.data import swiss
from gradcheck.learning.descent import descent_step


def test_array() -> None:
    params = np.array([1.0, 2.0])
    new = descent_step(params, np.array([10.0, -10.0]), 0.1)
    np.testing.assert_array_equal(new, [0.0, 3.0])
    np.testing.assert_array_equal(params, [1.0, 2.0])


def test_nested() -> None:
    params = {"a": [np.ones(2), (np.array(3.0),)], "b": np.zeros((2, 2))}
    grad = {"b": np.ones((2, 2)), "a": [np.full(2, 2.0), (np.array(4.0),)]}
    new = descent_step(params, grad, 0.5)
    assert list(new) == ["a", "b"]
    assert isinstance(new["a"], list)
    assert isinstance(new["a"][1], tuple)
    np.testing.assert_array_equal(new["a"][0], [0.0, 0.0])
    assert new["a"][1][0] == 1.0
    np.testing.assert_array_equal(new["b"], np.full((2, 2), -0.5))


def test_float32_stays_float32() -> None:
    ones = np.ones(3, np.float32)
    assert descent_step(ones, ones, np.float64(0.1)).dtype == np.float32


@pytest.mark.parametrize(
    "learning_rate", [1, np.int64(1), np.array(1), np.float32(1), np.array(1.0)]
)
def test_any_single_number_is_a_learning_rate(learning_rate: Any) -> None:
    np.testing.assert_array_equal(descent_step(np.ones(2), np.ones(2), learning_rate), [0, 0])


@pytest.mark.parametrize(
    "learning_rate",
    [0, -0.1, np.inf, np.nan, "0.1", None, 1j, np.array([0.1]), True, np.True_, np.array(True)],
)
def test_refuses_a_learning_rate_that_is_not_a_positive_finite_number(learning_rate: Any) -> None:
    with pytest.raises(ValueError, match=r"`learning_rate` is .* positive finite number"):
        descent_step(np.ones(2), np.ones(2), learning_rate)


@pytest.mark.parametrize(
    ("params", "grad", "message"),
    [
        (np.ones(3), np.ones(2), r"`grad` has shape \(2,\), but `params` has shape \(3,\)"),
        (np.ones(3), np.ones((3, 1)), r"`grad` has shape \(3, 1\)"),
        ({"w": np.ones(3)}, {"w": np.ones(2)}, r"`grad\['w'\]` has shape \(2,\)"),
        ({"w": np.ones(3)}, {"v": np.ones(3)}, r"`grad` has \['v'\], but needs the keys \['w'\]"),
        ({"w": np.ones(3)}, np.ones(3), "`grad` has ndarray, but needs the keys"),
        ([np.ones(3)], [], "`grad` needs 1 parts"),
        ([np.ones(3)], np.ones((1, 3)), "`grad` needs 1 parts"),
    ],
)
def test_refuses_a_gradient_of_another_structure(params: Any, grad: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        descent_step(params, grad, 0.1)


def test_named_tuple_stays_one() -> None:
    class Layer(NamedTuple):
        W: np.ndarray
        b: np.ndarray

    new = descent_step(Layer(np.ones(2), np.ones(1)), Layer(np.ones(2), np.ones(1)), 0.5)
    assert isinstance(new, Layer)
    np.testing.assert_array_equal(new.W, [0.5, 0.5])


def test_descent_reaches_the_weights_of_least_squares() -> None:
    X, y, *_ = swiss()
    X = linear_model.with_bias((X - X.mean(axis=0)) / X.std(axis=0))
    w = np.zeros(6)
    for _ in range(2000):
        w = descent_step(w, linear_model.gradient(w, X, y), 0.4 / len(y))
    best, *_ = np.linalg.lstsq(X, y)
    np.testing.assert_allclose(w, best, rtol=1e-10)
