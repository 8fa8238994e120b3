from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.learning import linear_model
from gradcheck.learning.linear_model import Array

Function = Callable[..., Any]
Problem = tuple[Array, Array, Array]


@pytest.fixture
def problem() -> Problem:
    rng = np.random.default_rng(1)
    X = linear_model.with_bias(rng.normal(size=(20, 5)))
    return rng.normal(size=6), X, rng.normal(size=20)


def central_difference(w: Array, X: Array, y: Array, h: float = 1e-5) -> list[float]:
    steps = h * np.eye(len(w))
    return [
        (linear_model.loss(w + d, X, y) - linear_model.loss(w - d, X, y)) / (2 * h) for d in steps
    ]


def test_with_bias_puts_ones_in_front() -> None:
    X = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(linear_model.with_bias(X), [[1, 0, 1], [1, 2, 3], [1, 4, 5]])


def test_loss_is_half_the_sum_of_squares(problem: Problem) -> None:
    w, X, y = problem
    expected = sum((float(np.dot(row, w)) - t) ** 2 for row, t in zip(X, y, strict=True)) / 2
    assert linear_model.loss(w, X, y) == pytest.approx(expected, rel=1e-12)


def test_gradient_is_the_slope_of_the_loss(problem: Problem) -> None:
    w, X, y = problem
    expected = central_difference(w, X, y)
    np.testing.assert_allclose(linear_model.gradient(w, X, y), expected, rtol=1e-7, atol=1e-7)


def test_gradient_vanishes_at_the_least_squares_solution(problem: Problem) -> None:
    _, X, y = problem
    best, *_ = np.linalg.lstsq(X, y)
    np.testing.assert_allclose(linear_model.gradient(best, X, y), 0, atol=1e-12)


def test_several_outputs_are_several_neurons(problem: Problem) -> None:
    w, X, y = problem
    grad = linear_model.gradient(np.stack([w, 2 * w], axis=1), X, np.stack([y, y], axis=1))
    np.testing.assert_allclose(grad[:, 0], linear_model.gradient(w, X, y))
    np.testing.assert_allclose(grad[:, 1], linear_model.gradient(2 * w, X, y))


def test_float32_stays_float32(problem: Problem) -> None:
    w, X, y = (array.astype(np.float32) for array in problem)
    assert linear_model.with_bias(X).dtype == np.float32
    assert linear_model.loss(w, X, y).dtype == np.float32
    assert linear_model.gradient(w, X, y).dtype == np.float32


def test_input_is_left_alone(problem: Problem) -> None:
    before = [array.copy() for array in problem]
    linear_model.loss(*problem)
    linear_model.gradient(*problem)
    for array, copy in zip(problem, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("function", [linear_model.loss, linear_model.gradient])
class TestMisuse:
    def test_lengths_that_differ(self, function: Function, problem: Problem) -> None:
        w, X, y = problem
        with pytest.raises(ValueError, match=r"`y` has shape \(19,\), but .* predict \(20,\)"):
            function(w, X, y[:-1])

    def test_a_column_of_targets_does_not_broadcast(
        self, function: Function, problem: Problem
    ) -> None:
        w, X, y = problem
        with pytest.raises(ValueError, match=r"`y` has shape \(20, 1\)"):
            function(w, X, y[:, np.newaxis])

    def test_features_that_are_not_a_matrix(self, function: Function, problem: Problem) -> None:
        w, X, y = problem
        with pytest.raises(ValueError, match=r"`X` has 1 dimension\(s\), but needs 2"):
            function(w, X[0], y)

    def test_features_that_are_a_list(self, function: Function, problem: Problem) -> None:
        w, X, y = problem
        with pytest.raises(TypeError, match="`X` is a list: make it an array"):
            function(w, X.tolist(), y)

    def test_forgotten_bias_column(self, function: Function, problem: Problem) -> None:
        w, X, y = problem
        with pytest.raises(ValueError, match=r"`w` has shape \(6,\), but `X` has 5 columns"):
            function(w, X[:, 1:], y)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("name", ["X", "y"])
    def test_data_that_are_not_finite(
        self, function: Function, problem: Problem, name: str, bad: float
    ) -> None:
        w, X, y = problem
        (X if name == "X" else y)[3] = bad
        with (
            np.errstate(invalid="ignore"),
            pytest.raises(ValueError, match=f"`{name}` holds NaN or infinity"),
        ):
            function(w, X, y)

    def test_weights_that_are_not_finite_are_no_fault_of_the_data(
        self, function: Function, problem: Problem
    ) -> None:
        w, X, y = problem
        assert np.isnan(function(w * np.nan, X, y)).all()


def test_with_bias_refuses_a_vector() -> None:
    with pytest.raises(ValueError, match="`X` has 1 dimension"):
        linear_model.with_bias(np.ones(3))
    with pytest.raises(TypeError, match="`X` is a list"):
        linear_model.with_bias([[1.0], [2.0]])  # type: ignore[arg-type]
