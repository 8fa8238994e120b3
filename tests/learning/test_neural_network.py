import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck.learning import linear_model, neural_network
from gradcheck.learning.descent import descent_step
from gradcheck.learning.neural_network import Array

Function = Callable[..., Any]

SIZES = [(4, 3), (5, 4, 3), (4, 4, 4, 4), (2, 6, 1, 5, 3)]


def problem(
    sizes: tuple[int, ...], output: str = "softmax", dtype: Any = np.float64, samples: int = 11
) -> tuple[dict[str, Array], Array, Any]:
    """Parameters none of which is zero, features and targets."""
    rng = np.random.default_rng(7)
    params = neural_network.initial_parameters(sizes, rng, dtype)
    params = {name: array + rng.normal(size=array.shape) / 3 for name, array in params.items()}
    params = {name: array.astype(dtype) for name, array in params.items()}
    X = rng.normal(size=(samples, sizes[0])).astype(dtype)
    if output == "softmax":
        return params, X, rng.integers(0, sizes[-1], samples)
    return params, X, rng.normal(size=(samples, sizes[-1])).astype(dtype)


def central_difference(params: dict[str, Array], *args: Any, h: float = 1e-5) -> dict[str, Array]:
    slopes = {}
    for name, array in params.items():
        slopes[name] = np.zeros_like(array)
        for i in np.ndindex(array.shape):
            above, below = array.copy(), array.copy()
            above[i] += h
            below[i] -= h
            difference = neural_network.loss(params | {name: above}, *args) - neural_network.loss(
                params | {name: below}, *args
            )
            slopes[name][i] = difference / (2 * h)
    return slopes


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(
    ("hidden", "output", "l2"),
    list(itertools.product(["tanh", "relu"], ["softmax", "linear"], [0.0, 0.3])),
)
def test_gradient_is_the_slope_of_the_loss(
    sizes: tuple[int, ...], hidden: str, output: str, l2: float
) -> None:
    params, X, y = problem(sizes, output)
    grad = neural_network.gradient(params, X, y, hidden, output, l2)
    expected = central_difference(params, X, y, hidden, output, l2)
    assert list(grad) == list(params)
    for name in params:
        assert np.abs(grad[name]).max() > 0
        np.testing.assert_allclose(grad[name], expected[name], rtol=1e-6, atol=1e-9)


def test_one_linear_layer_is_the_linear_model() -> None:
    params, X, y = problem((4, 1), "linear")
    y = y[:, 0]
    w = np.concatenate([params["b1"], params["W1"][:, 0]])
    X1 = linear_model.with_bias(X)
    args = (params, X, y, "tanh", "linear")
    assert neural_network.loss(*args) == pytest.approx(linear_model.loss(w, X1, y) / len(y))
    grad = neural_network.gradient(*args)
    expected = linear_model.gradient(w, X1, y) / len(y)
    np.testing.assert_allclose(np.append(grad["b1"], grad["W1"]), expected)


def test_one_softmax_layer_is_logistic_regression() -> None:
    params, X, y = problem((4, 3))
    scores = X @ params["W1"] + params["b1"]
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = -np.mean([np.log(row[label]) for row, label in zip(p, y, strict=True)])
    assert neural_network.loss(params, X, y) == pytest.approx(expected, rel=1e-12)
    expected = X.T @ (p - np.eye(3)[y]) / len(y)
    np.testing.assert_allclose(neural_network.gradient(params, X, y)["W1"], expected, rtol=1e-10)


def test_forward_gives_the_scores_of_two_layers() -> None:
    params, X, _ = problem((5, 4, 3))
    expected = np.tanh(X @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]
    np.testing.assert_allclose(neural_network.forward(params, X), expected)


def test_penalty_is_on_weights_alone() -> None:
    params, X, y = problem((5, 4, 3))
    penalty = neural_network.loss(params, X, y, l2=0.2) - neural_network.loss(params, X, y)
    expected = 0.1 * ((params["W1"] ** 2).sum() + (params["W2"] ** 2).sum())
    assert penalty == pytest.approx(expected, rel=1e-10)


@pytest.mark.filterwarnings("error")
def test_softmax_of_huge_scores_stays_finite() -> None:
    params = {"W1": np.eye(2) * 1e4, "b1": np.zeros(2)}
    X, y = np.array([[1.0, -1.0], [1.0, -1.0]]), np.array([0, 1])
    assert neural_network.loss(params, X, y) == pytest.approx(1e4)
    np.testing.assert_allclose(neural_network.gradient(params, X, y)["b1"], [0.5, -0.5])


@pytest.mark.parametrize("output", ["softmax", "linear"])
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_float32_stays_float32(hidden: str, output: str) -> None:
    args = (*problem((5, 4, 3), output, np.float32), hidden, output, 0.1)
    assert neural_network.loss(*args).dtype == np.float32
    assert {g.dtype for g in neural_network.gradient(*args).values()} == {np.dtype(np.float32)}


def test_input_is_left_alone() -> None:
    params, X, y = problem((5, 4, 3))
    before = [array.copy() for array in (*params.values(), X, y)]
    neural_network.loss(params, X, y, l2=0.1)
    neural_network.gradient(params, X, y, l2=0.1)
    for array, copy in zip((*params.values(), X, y), before, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_order_of_the_keys_does_not_matter() -> None:
    params, X, y = problem((5, 4, 3))
    turned = dict(reversed(params.items()))
    assert neural_network.loss(turned, X, y) == neural_network.loss(params, X, y)
    grad = neural_network.gradient(turned, X, y)
    np.testing.assert_array_equal(grad["W1"], neural_network.gradient(params, X, y)["W1"])


def test_initial_parameters() -> None:
    params = neural_network.initial_parameters((400, 300, 2), rng=3, dtype=np.float32)
    assert {array.dtype for array in params.values()} == {np.dtype(np.float32)}
    assert params["W1"].std() == pytest.approx(1 / 20, rel=0.02)
    assert not params["b1"].any()
    again = neural_network.initial_parameters((400, 300, 2), rng=3, dtype=np.float32)
    np.testing.assert_array_equal(params["W2"], again["W2"])


def test_descent_learns_exclusive_or() -> None:
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = np.array([0, 1, 1, 0])
    params = neural_network.initial_parameters((2, 8, 2), rng=0)
    for _ in range(500):
        params = descent_step(params, neural_network.gradient(params, X, y), 1.0)
    np.testing.assert_array_equal(neural_network.forward(params, X).argmax(axis=1), y)


@pytest.mark.parametrize("sizes", [(), (5,), (5, 0), (5, -1, 2), (5, 2.5), 5, None])
def test_refuses_sizes_that_make_no_network(sizes: Any) -> None:
    with pytest.raises(ValueError, match=r"`layer_sizes` is .* give positive integers"):
        neural_network.initial_parameters(sizes)


@pytest.mark.parametrize("function", [neural_network.loss, neural_network.gradient])
class TestMisuse:
    def test_unknown_names(self, function: Function) -> None:
        args = problem((5, 4, 3))
        with pytest.raises(ValueError, match="`hidden` is 'sigmoid': choose 'tanh' or 'relu'"):
            function(*args, hidden="sigmoid")
        with pytest.raises(ValueError, match="`output` is 'tanh': choose 'softmax' or 'linear'"):
            function(*args, output="tanh")

    def test_no_layer(self, function: Function) -> None:
        _, X, y = problem((5, 4, 3))
        with pytest.raises(ValueError, match=r"`params` has .* lacks every layer"):
            function({}, X, y)

    @pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
    def test_missing_array(self, function: Function, name: str) -> None:
        params, X, y = problem((5, 4, 3))
        del params[name]
        with pytest.raises(ValueError, match=rf"`params` has .* lacks \['{name}'\]"):
            function(params, X, y)

    def test_array_of_another_name(self, function: Function) -> None:
        params, X, y = problem((5, 4, 3))
        with pytest.raises(ValueError, match=r"`params` has .*'gamma'.* lacks"):
            function(params | {"gamma": np.ones(3)}, X, y)

    @pytest.mark.parametrize("shape", [(3, 3), (4,), (4, 2)])
    def test_weights_that_do_not_fit(self, function: Function, shape: tuple[int, ...]) -> None:
        params, X, y = problem((5, 4, 3))
        with pytest.raises(ValueError, match=f"W2 of shape {re.escape(str(shape))}"):
            function(params | {"W2": np.ones(shape)}, X, y)

    def test_weights_that_are_not_a_matrix(self, function: Function) -> None:
        params, X, y = problem((5, 4, 3))
        with pytest.raises(ValueError, match=r"W2 of shape \(4,\) and b2 of shape \(\)"):
            function(params | {"W2": np.ones(4), "b2": np.array(0.0)}, X, y)

    def test_features_that_do_not_fit(self, function: Function) -> None:
        params, X, y = problem((5, 4, 3))
        with pytest.raises(ValueError, match="layer 1 receives 4 values"):
            function(params, X[:, 1:], y)
        with pytest.raises(ValueError, match=r"`X` has shape \(5,\)"):
            function(params, X[0], y)
        with pytest.raises(ValueError, match=r"`X` has shape \(0, 5\)"):
            function(params, X[:0], y[:0])

    def test_lists(self, function: Function) -> None:
        params, X, y = problem((5, 4, 3))
        with pytest.raises(TypeError, match="`X` is a list: make it an array"):
            function(params, X.tolist(), y)
        with pytest.raises(TypeError, match="`W2` is a list"):
            function(params | {"W2": params["W2"].tolist()}, X, y)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_data_that_are_not_finite(self, function: Function, bad: float) -> None:
        params, X, y = problem((5, 4, 3), "linear")
        for name, data in {"X": X, "y": y}.items():
            before, data[2, 1] = data[2, 1], bad
            with pytest.raises(ValueError, match=f"`{name}` holds NaN or infinity"):
                function(params, X, y, output="linear")
            data[2, 1] = before

    @pytest.mark.parametrize("output", ["softmax", "linear"])
    def test_lengths_that_differ(self, function: Function, output: str) -> None:
        params, X, y = problem((5, 4, 3), output)
        with pytest.raises(ValueError, match=r"`y` has shape \(10.* one value for each of 11"):
            function(params, X, y[:-1], output=output)

    def test_targets_of_another_width(self, function: Function) -> None:
        params, X, y = problem((5, 4, 3), "linear")
        with pytest.raises(ValueError, match=r"`y` has shape \(11, 2\), but .* \(11, 3\)"):
            function(params, X, y[:, :2], output="linear")

    @pytest.mark.parametrize(("label", "seen"), [(-1, "from -1 to"), (3, "to 3")])
    def test_labels_out_of_range(self, function: Function, label: int, seen: str) -> None:
        params, X, y = problem((5, 4, 3))
        y[2] = label
        with pytest.raises(ValueError, match=f"`y` has labels .*{seen}.*from 0 to 2"):
            function(params, X, y)

    def test_labels_that_are_not_integers(self, function: Function) -> None:
        params, X, y = problem((5, 4, 3))
        with pytest.raises(ValueError, match=r"`y` .* dtype float64: give one integer label"):
            function(params, X, y + 0.5)
        with pytest.raises(ValueError, match=r"`y` has shape \(11, 3\)"):
            function(params, X, np.eye(3, dtype=int)[y])
