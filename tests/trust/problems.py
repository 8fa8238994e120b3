"""Losses with hand-written gradients, and what makes a loss hard: the parts the cases are made of.

Every loss is written so that it computes in the precision of what it is given: float32, float64 or
``np.longdouble``, in which ``truth.py`` checks the gradients.
"""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

EPS = float(np.finfo(np.float64).eps)


class Problem(NamedTuple):
    fun: Callable[..., Any]
    grad: Callable[..., Any]
    x0: Any
    args: tuple[Any, ...] = ()
    exact: Callable[..., Any] | None = None  # the loss without its noise; None: `fun` is exact
    noise: float = EPS  # what the loss is known to, relative to its value
    near: float = 0.1  # no kink of the loss is nearer than this, in units of a parameter


# ---------------------------------------------------------------- nested parameters


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply `function` to every array of `tree` (and its partners in `others`)."""
    if isinstance(tree, Mapping):
        return {k: tree_map(function, v, *(o[k] for o in others)) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(
            tree_map(function, v, *(o[i] for o in others)) for i, v in enumerate(tree)
        )
    return function(tree, *others)


def leaves(tree: Any) -> list[np.ndarray]:
    """Return the arrays of `tree`, in order."""
    found: list[np.ndarray] = []
    tree_map(lambda array: found.append(np.asarray(array)), tree)
    return found


def cast(tree: Any, dtype: Any) -> Any:
    """Return a copy of `tree` with its floating arrays in `dtype`; labels stay integers."""

    def one(value: Any) -> Any:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value.astype(dtype)
        return value

    return tree_map(one, tree)


# ---------------------------------------------------------------- networks


def _sigmoid(z: Any) -> Any:
    return np.exp(-_softplus(-z))


def _softplus(z: Any) -> Any:
    return np.logaddexp(0 * z, z)


# name: (activation, its derivative)
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "softplus": (_softplus, _sigmoid),
    "swish": (lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z))),
    "sine": (np.sin, np.cos),
    "Gaussian": (lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z)),
    "softsign": (lambda z: z / (1 + np.abs(z)), lambda z: 1 / (1 + np.abs(z)) ** 2),
    "ReLU": (lambda z: np.maximum(z, 0), lambda z: np.maximum(np.sign(z), 0)),
    "leaky ReLU": (
        lambda z: np.where(z > 0, z, z / 8),
        lambda z: np.where(z > 0, z * 0 + 1, 0.125),
    ),
    "absolute value": (np.abs, np.sign),
    "hinge": (lambda z: np.maximum(1 - z, 0), lambda z: np.minimum(np.sign(z - 1), 0)),
    "hard tanh": (lambda z: np.clip(z, -1, 1), lambda z: np.abs(z) < 1),
    "squared ReLU": (lambda z: np.maximum(z, 0) ** 2, lambda z: 2 * np.maximum(z, 0)),
    "ELU": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z: np.exp(np.minimum(z, 0)),
    ),
}
SMOOTH = ("tanh", "sigmoid", "softplus", "swish", "sine", "Gaussian")


def network(
    rng: np.random.Generator,
    activation: str = "tanh",
    hidden: tuple[int, ...] | None = None,
    *,
    weight: float = 1.0,
    l2: float = 0.0,
    fault: str = "",
) -> Problem:
    """A dense network under half the mean squared error; `fault` plants a bug in its back-pass."""
    act, slope = ACTIVATIONS[activation]
    hidden = (int(rng.integers(3, 6)),) if hidden is None else hidden
    sizes = (int(rng.integers(2, 5)), *hidden, int(rng.integers(2, 4)))
    depth, rows = len(sizes) - 1, int(rng.integers(7, 15))
    x0 = {}
    for k in range(1, depth + 1):
        x0[f"W{k}"] = weight * rng.normal(size=sizes[k - 1 : k + 1]) / np.sqrt(sizes[k - 1])
        x0[f"b{k}"] = 0.5 * weight * rng.normal(size=sizes[k])
    X, Y = rng.normal(size=(rows, sizes[0])), 2 * rng.normal(size=(rows, sizes[-1]))

    def forward(p: Any, X: Any) -> tuple[list[Any], list[Any]]:
        A, Z = [X], []
        for k in range(1, depth + 1):
            Z.append(A[-1] @ p[f"W{k}"] + p[f"b{k}"])
            A.append(act(Z[-1]) if k < depth else Z[-1])
        return A, Z

    def fun(p: Any, X: Any, Y: Any) -> Any:
        penalty = sum(np.sum(p[f"W{k}"] ** 2) for k in range(1, depth + 1)) if l2 else 0
        return np.sum((forward(p, X)[0][-1] - Y) ** 2) / (2 * len(X)) + 0.5 * l2 * penalty

    def grad(p: Any, X: Any, Y: Any) -> Any:
        A, Z = forward(p, X)
        g: dict[str, Any] = {}
        dZ = (A[-1] - Y) / len(X)
        if fault == "target with the wrong sign":
            dZ = (A[-1] + Y) / len(X)
        for k in range(depth, 0, -1):
            g[f"W{k}"] = A[k - 1].T @ dZ
            if fault == "pre-activation fed forward" and k > 1:
                g[f"W{k}"] = Z[k - 2].T @ dZ
            if l2 and fault != "penalty forgotten":
                factor = {"penalty twice": 2, "penalty subtracted": -1}.get(fault, 1)
                g[f"W{k}"] = g[f"W{k}"] + factor * l2 * p[f"W{k}"]
            g[f"b{k}"] = dZ.mean(axis=0) if fault == "bias averaged again" else dZ.sum(axis=0)
            if l2 and fault == "penalty on the bias":
                g[f"b{k}"] = g[f"b{k}"] + l2 * p[f"b{k}"]
            if fault == "bias from one row":
                g[f"b{k}"] = dZ[0]
            if k > 1:
                back = p[f"W{k}"]
                if fault == "weights already updated":
                    back = back - 0.1 * g[f"W{k}"]
                dA = dZ @ back.T
                dZ = dA * slope(Z[k - 2])
                if fault == "activation derivative forgotten":
                    dZ = dA
                if fault == "derivative at the output":
                    dZ = dA * slope(A[k - 1])
                if fault == "derivative squared":
                    dZ = dA * slope(Z[k - 2]) ** 2
                if fault == "activation instead of its derivative":
                    dZ = dA * A[k - 1]
                if fault == "derivative of a sigmoid":
                    dZ = dA * A[k - 1] * (1 - A[k - 1])
        return {name: g[name].astype(p[name].dtype) for name in p}

    return Problem(fun, grad, x0, (X, Y))


# ---------------------------------------------------------------- linear predictors

# name: (loss of the prediction z and the target y, its derivative in z)
LOSSES: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = {
    "squares": (lambda z, y: 0.5 * (z - y) ** 2, lambda z, y: z - y),
    "logistic": (lambda z, y: _softplus(-y * z), lambda z, y: -y * _sigmoid(-y * z)),
    "Poisson": (lambda z, y: np.exp(z) - y * z, lambda z, y: np.exp(z) - y),
    "exponential": (lambda z, y: np.exp(-y * z), lambda z, y: -y * np.exp(-y * z)),
    "log cosh": (
        lambda z, y: np.logaddexp(z - y, y - z),
        lambda z, y: np.tanh(z - y),
    ),
    "Student t": (
        lambda z, y: 1.5 * np.log1p((z - y) ** 2 / 2),
        lambda z, y: 3 * (z - y) / (2 + (z - y) ** 2),
    ),
    "Huber": (
        lambda z, y: np.where(np.abs(z - y) < 1, 0.5 * (z - y) ** 2, np.abs(z - y) - 0.5),
        lambda z, y: np.clip(z - y, -1, 1),
    ),
    "least absolute": (lambda z, y: np.abs(z - y), lambda z, y: np.sign(z - y)),
    "quantile": (
        lambda z, y: np.maximum(0.75 * (y - z), 0.25 * (z - y)),
        lambda z, y: np.where(z > y, 0.25 + 0 * z, -0.75),
    ),
    "hinge": (lambda z, y: np.maximum(1 - y * z, 0), lambda z, y: -y * (y * z < 1)),
}


def linear(
    rng: np.random.Generator,
    loss: str = "squares",
    *,
    features: int | None = None,
    rows: int | None = None,
    units: Any = 1.0,
    l2: float = 0.0,
) -> Problem:
    """A linear predictor X w + b under the mean of one of the `LOSSES`; `units` scale features."""
    rho, slope = LOSSES[loss]
    features = features or int(rng.integers(3, 9))
    rows = rows or int(rng.integers(12, 30))
    X = rng.normal(size=(rows, features)) * units
    x0 = {"w": rng.normal(size=features) / units / np.sqrt(features), "b": rng.normal(size=1)}
    y = rng.normal(size=rows)
    if loss in ("logistic", "exponential", "hinge"):
        y = np.sign(y)
    if loss == "Poisson":
        y = rng.poisson(2.0, size=rows).astype(float)

    def fun(p: Any, X: Any, y: Any) -> Any:
        return np.mean(rho(X @ p["w"] + p["b"], y)) + 0.5 * l2 * np.sum(p["w"] ** 2)

    def grad(p: Any, X: Any, y: Any) -> Any:
        dz = slope(X @ p["w"] + p["b"], y) / len(y)
        return {"w": X.T @ dz + l2 * p["w"], "b": dz.sum(keepdims=True)}

    return Problem(fun, grad, x0, (X, y))


def softmax(rng: np.random.Generator, weight: float = 1.0, *, square: bool = False) -> Problem:
    """Cross-entropy of a softmax over classes: one bare matrix of weights."""
    rows, features, classes = (int(rng.integers(*r)) for r in ((10, 20), (3, 6), (3, 6)))
    features = classes if square else features
    X, labels = rng.normal(size=(rows, features)), rng.integers(classes, size=rows)

    def log_probabilities(W: Any, X: Any) -> Any:
        Z = X @ W
        Z = Z - Z.max(axis=1, keepdims=True)
        return Z - np.log(np.exp(Z).sum(axis=1, keepdims=True))

    def fun(W: Any, X: Any, labels: Any) -> Any:
        return -np.mean(log_probabilities(W, X)[np.arange(len(X)), labels])

    def grad(W: Any, X: Any, labels: Any) -> Any:
        dZ = np.exp(log_probabilities(W, X))
        dZ[np.arange(len(X)), labels] -= 1
        return X.T @ dZ / len(X)

    return Problem(fun, grad, weight * rng.normal(size=(features, classes)), (X, labels))


# ---------------------------------------------------------------- sums over the parameters


def separable(phi: Callable[[Any], Any], slope: Callable[[Any], Any], x0: Any) -> Problem:
    """The sum of `phi(w)` over the parameters; outside its domain the loss is NaN or infinite."""

    def fun(w: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            return np.sum(phi(w))

    return Problem(fun, slope, x0)


# ---------------------------------------------------------------- what makes a loss hard


def affine(problem: Problem, factor: float = 1.0, constant: float = 0.0) -> Problem:
    """The loss times `factor`, plus `constant`."""
    return problem._replace(
        fun=lambda x, *args: factor * problem.fun(x, *args) + constant,
        grad=lambda x, *args: tree_map(lambda g: factor * g, problem.grad(x, *args)),
        exact=lambda x, *args: factor * problem.fun(x, *args),  # a constant only costs digits
    )


def in_float32(problem: Problem) -> Problem:
    """Everything in float32: parameters, data, loss and gradient."""
    return problem._replace(
        x0=cast(problem.x0, np.float32),
        args=cast(problem.args, np.float32),
        noise=float(np.finfo(np.float32).eps),
    )


def float32_inside(problem: Problem) -> Problem:
    """A loss that computes in float32 what it is given, and returns, in float64."""

    def inside(function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(x: Any, *args: Any) -> Any:
            value = function(cast(x, np.float32), *cast(args, np.float32))
            return tree_map(lambda v: np.asarray(v, dtype=float), value)

        return wrapped

    return Problem(
        lambda x, *args: float(inside(problem.fun)(x, *args)),
        inside(problem.grad),
        problem.x0,
        cast(cast(problem.args, np.float32), float),
        problem.fun,
        float(np.finfo(np.float32).eps),
    )


def noisy(problem: Problem, level: float) -> Problem:
    """The loss with noise that depends on every bit of its input, as an inner solver's would."""

    def fun(x: Any, *args: Any) -> float:
        value = float(problem.fun(x, *args))
        bits = b"".join(np.asarray(a, dtype=float).tobytes() for a in leaves(x))
        return value * (1 + level * (2 * zlib.crc32(bits) / 2**32 - 1))

    return problem._replace(fun=fun, exact=problem.fun, noise=level)


def rounded(problem: Problem, lattice: float) -> Problem:
    """The loss rounded to a multiple of `lattice`, as a printed or stored number is."""
    value = abs(float(problem.fun(problem.x0, *problem.args)))
    return problem._replace(
        fun=lambda x, *args: lattice * round(float(problem.fun(x, *args)) / lattice),
        exact=problem.fun,
        noise=lattice / value,
    )


def restructured(
    problem: Problem, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]
) -> Problem:
    """The same loss with its parameters kept in another structure."""
    return problem._replace(
        fun=lambda x, *args: problem.fun(unpack(x), *args),
        grad=lambda x, *args: pack(problem.grad(unpack(x), *args)),
        x0=pack(problem.x0),
    )
