"""A fully connected network of any depth, with a back-pass written by hand.

Layer k computes Z_k = A_(k-1) W_k + b_k from A_0 = X, and a hidden layer then A_k = f(Z_k).
Each forward function stands above its backward function. A name dV means dL/dV, shaped like V.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]


def affine(A: Array, W: Array, b: Array) -> Array:
    """Return Z = A W + b: one row for each sample, one column for each unit."""
    return A @ W + b


def affine_backward(A: Array, W: Array, dZ: Array) -> tuple[Array, Array, Array]:
    """Return dA = dZ W^T, dW = A^T dZ and db, the sum of dZ over the samples."""
    dW = A.T @ dZ
    db = dZ.sum(axis=0)
    dA = dZ @ W.T
    return dA, dW, db


def tanh(Z: Array) -> Array:
    """Return A = tanh(Z)."""
    A: Array = np.tanh(Z)
    return A


def tanh_backward(Z: Array, dA: Array) -> Array:
    """Return dZ = dA (1 - tanh(Z)^2), entry by entry."""
    return dA * (1 - tanh(Z) ** 2)


def relu(Z: Array) -> Array:
    """Return A = max(Z, 0)."""
    return np.maximum(Z, 0)


def relu_backward(Z: Array, dA: Array) -> Array:
    """Return dZ = dA where Z > 0, and 0 elsewhere."""
    return dA * (Z > 0)


def log_softmax(Z: Array) -> Array:
    """Return the logarithm of softmax(Z); the shift by the maximum keeps exp from overflow."""
    Z = Z - Z.max(axis=1, keepdims=True)
    Z -= np.log(np.exp(Z).sum(axis=1, keepdims=True))
    return Z


def cross_entropy(Z: Array, y: Array) -> Any:
    """Return the mean over the samples of -log softmax(Z)[y]."""
    return -log_softmax(Z)[np.arange(len(y)), y].mean()


def cross_entropy_backward(Z: Array, y: Array) -> Array:
    """Return dZ = (softmax(Z) - one_hot(y)) / N."""
    dZ = np.exp(log_softmax(Z))
    dZ[np.arange(len(y)), y] -= 1
    return dZ / len(y)


def squared_error(Z: Array, y: Array) -> Any:
    """Return the mean over the samples of 1/2 |Z - y|^2."""
    return 0.5 * np.sum((Z - y) ** 2) / len(y)


def squared_error_backward(Z: Array, y: Array) -> Array:
    """Return dZ = (Z - y) / N."""
    return (Z - y) / len(y)


HIDDEN = {"tanh": (tanh, tanh_backward), "relu": (relu, relu_backward)}
OUTPUT = {
    "softmax": (cross_entropy, cross_entropy_backward),
    "linear": (squared_error, squared_error_backward),
}


def initial_parameters(
    layer_sizes: Sequence[int], rng: Any = None, dtype: Any = np.float64
) -> dict[str, Array]:
    """Return W1, b1, W2, ...: weights normal with variance 1 / inputs, biases zero.

    Parameters
    ----------
    layer_sizes : the number of inputs, the widths of the hidden layers, the number of outputs
    rng : seed or generator, as `numpy.random.default_rng` takes
    dtype : float64 or float32; every later computation keeps it

    Raises
    ------
    ValueError
        If there are fewer than two sizes, or one is not a positive integer.

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr and K.-R. Müller (1998), *Efficient BackProp*, section 4.6.

    Examples
    --------
    >>> params = initial_parameters((5, 8, 3), rng=0)
    >>> {name: array.shape for name, array in params.items()}
    {'W1': (5, 8), 'b1': (8,), 'W2': (8, 3), 'b2': (3,)}
    """
    sizes = list(layer_sizes) if np.iterable(layer_sizes) else []
    if len(sizes) < 2 or not all(isinstance(n, int | np.integer) and n > 0 for n in sizes):
        raise ValueError(
            f"`layer_sizes` is {layer_sizes!r}: give positive integers, the number of inputs "
            "first and the number of outputs last."
        )
    rng = np.random.default_rng(rng)
    params = {}
    for k, (inputs, outputs) in enumerate(pairwise(sizes), start=1):
        params[f"W{k}"] = (rng.normal(size=(inputs, outputs)) / np.sqrt(inputs)).astype(dtype)
        params[f"b{k}"] = np.zeros(outputs, dtype)
    return params


def forward(params: Mapping[str, Array], X: Array, hidden: str = "tanh") -> Array:
    """Return the outputs Z of the last layer, of shape (samples, outputs), before any softmax.

    Examples
    --------
    >>> forward(initial_parameters((5, 8, 3), rng=0), np.ones((10, 5))).shape
    (10, 3)
    """
    _, Z = _layers(params, X, hidden)
    return Z[len(Z)]


def _layers(
    params: Mapping[str, Array], X: Array, hidden: str
) -> tuple[dict[int, Array], dict[int, Array]]:
    """Return A[0], A[1], ... and Z[1], Z[2], ..., which the back-pass needs again."""
    activate, _ = _choose("hidden", hidden, HIDDEN)
    depth = _check_layers(params, X)
    A, Z = {0: X}, {}
    for k in range(1, depth + 1):
        Z[k] = affine(A[k - 1], params[f"W{k}"], params[f"b{k}"])
        if k < depth:
            A[k] = activate(Z[k])
    return A, Z


def loss(
    params: Mapping[str, Array],
    X: Array,
    y: Array,
    hidden: str = "tanh",
    output: str = "softmax",
    l2: float = 0.0,
) -> Any:
    """Return the loss of the network, the mean over the samples + l2/2 * sum of squared weights.

    Parameters
    ----------
    params : dict with W1 of shape (inputs, outputs), b1 of shape (outputs,), W2, ...
    X : array of shape (samples, features)
    y : with "softmax" the integer label of each sample, from 0; with "linear" the targets, of
        shape (samples, outputs), or (samples,) where there is one output
    hidden : "tanh" or "relu"
    output : "softmax" for cross-entropy, "linear" for half the squared error
    l2 : strength of the penalty on the weights; biases are free

    Raises
    ------
    ValueError
        If an array is missing or does not fit, the data hold NaN or infinity, a label is out of
        range, or a name is unknown.
    TypeError
        If `X` or a parameter is not an array.

    Examples
    --------
    >>> X, y = np.ones((4, 5)), np.array([0, 1, 2, 0])
    >>> params = {"W1": np.zeros((5, 3)), "b1": np.zeros(3)}
    >>> print(f"{loss(params, X, y):.4f} = log 3")
    1.0986 = log 3
    """
    Z = forward(params, X, hidden)
    output_loss, _ = _choose("output", output, OUTPUT)
    penalty = sum(np.vdot(params[f"W{k}"], params[f"W{k}"]) for k in range(1, len(params) // 2 + 1))
    return output_loss(Z, _targets(Z, y, output)) + 0.5 * l2 * penalty


def gradient(
    params: Mapping[str, Array],
    X: Array,
    y: Array,
    hidden: str = "tanh",
    output: str = "softmax",
    l2: float = 0.0,
) -> dict[str, Array]:
    """Return the gradient of `loss`: a dict with the keys and shapes of `params`.

    Back-propagation (Rumelhart, Hinton and Williams 1986, *Nature* 323): from dZ of the last
    layer, each layer gives dW and db, and hands dA to the layer below. Takes and raises what
    `loss` does.

    Examples
    --------
    >>> X, y = np.ones((4, 5)), np.array([0, 1, 2, 0])
    >>> params = {"W1": np.zeros((5, 3)), "b1": np.zeros(3)}
    >>> gradient(params, X, y)["b1"].round(4)
    array([-0.1667,  0.0833,  0.0833])
    """
    A, Z = _layers(params, X, hidden)
    _, activate_backward = _choose("hidden", hidden, HIDDEN)
    _, output_backward = _choose("output", output, OUTPUT)
    depth = len(Z)
    grad = {name: np.zeros_like(array) for name, array in params.items()}
    dZ = output_backward(Z[depth], _targets(Z[depth], y, output))
    for k in range(depth, 0, -1):
        W = params[f"W{k}"]
        dA, dW, db = affine_backward(A[k - 1], W, dZ)
        grad[f"W{k}"] = dW + l2 * W
        grad[f"b{k}"] = db
        if k > 1:
            dZ = activate_backward(Z[k - 1], dA)
    return grad


def _choose(argument: str, name: str, table: Mapping[str, Any]) -> Any:
    if name not in table:
        raise ValueError(f"`{argument}` is {name!r}: choose {' or '.join(map(repr, table))}.")
    return table[name]


def _check_layers(params: Mapping[str, Array], X: Array) -> int:
    """Return the depth of a network whose layers fit each other and `X`."""
    depth = (len(params) + 1) // 2
    missing = [name for k in range(1, depth + 1) for name in (f"W{k}", f"b{k}")]
    missing = [name for name in missing if name not in params]
    if depth == 0 or missing:
        raise ValueError(
            f"`params` has {list(params)} and lacks {missing or 'every layer'}: give W1, b1, W2, "
            "b2 and so on, two arrays for each layer."
        )
    for name, array in {"X": X, **params}.items():
        if not hasattr(array, "shape"):
            seen = type(array).__name__
            raise TypeError(f"`{name}` is a {seen}: make it an array, with `np.array`.")
    if np.ndim(X) != 2 or len(X) == 0:
        raise ValueError(f"`X` has shape {np.shape(X)}: give one row for each sample.")
    _check_finite("X", X)  # tanh hides an infinity
    width = X.shape[1]
    for k in range(1, depth + 1):
        W, b = np.shape(params[f"W{k}"]), np.shape(params[f"b{k}"])
        if len(W) != 2 or W[0] != width or b != W[1:]:
            raise ValueError(
                f"`params` has W{k} of shape {W} and b{k} of shape {b}, but layer {k} receives "
                f"{width} values: give W{k} the shape ({width}, outputs) and b{k} (outputs,)."
            )
        width = W[1]
    return depth


def _check_finite(name: str, values: Array) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"`{name}` holds NaN or infinity: remove or fill in those samples.")


def _targets(Z: Array, y: Array, output: str) -> Array:
    """Return `y` as the output layer needs it."""
    y = np.asarray(y)
    samples, outputs = Z.shape
    if y.ndim == 0 or len(y) != samples:
        raise ValueError(f"`y` has shape {y.shape}: give one value for each of {samples} samples.")
    if output == "linear":
        if y.size != Z.size:
            raise ValueError(f"`y` has shape {y.shape}, but the network gives {Z.shape}.")
        _check_finite("y", y)
        return y.reshape(Z.shape)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"`y` has shape {y.shape} and dtype {y.dtype}: give one integer label each."
        )
    if y.min() < 0 or y.max() >= outputs:
        raise ValueError(
            f"`y` has labels from {y.min()} to {y.max()}, but the network has {outputs} outputs: "
            f"give labels from 0 to {outputs - 1}."
        )
    return y
