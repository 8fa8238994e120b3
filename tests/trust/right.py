"""Gradients that are right and hard to check: `right_cases(seed)` makes one of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .problems import (
    ACTIVATIONS,
    LOSSES,
    SMOOTH,
    Problem,
    affine,
    float32_inside,
    in_float32,
    linear,
    network,
    noisy,
    restructured,
    rounded,
    separable,
    softmax,
    tree_map,
)

Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """One loss with a right gradient, and what is known about it."""

    name: str
    kind: str
    fun: Callable[..., Any]
    grad: Callable[..., Any]
    x0: Any
    args: tuple[Any, ...]
    smooth: bool  # infinitely often differentiable around x0, and known to the precision of `dtype`
    at_minimum: bool  # the gradient is 0: nothing can tell it from its negative
    at_kink: bool  # x0 lies exactly on a kink: the gradient lies between the one-sided slopes
    dtype: str  # the precision the loss is computed in
    exact: Callable[..., Any]  # the loss without its noise
    noise: float  # what the loss is known to, relative to its value
    near: float  # no kink is nearer than this, in units of a parameter (but for one at x0)


Maker = Callable[..., Problem]  # of an Rng, and of what a loop binds by a default
_MAKERS: dict[str, tuple[str, Maker, dict[str, bool]]] = {}


def register(name: str, kind: str, make: Maker, **flags: bool) -> None:
    assert name not in _MAKERS, name
    _MAKERS[name] = (kind, make, flags)


def case(name: str, kind: str, **flags: bool) -> Callable[[Maker], Maker]:
    """Register the function below as the maker of a case."""

    def keep(make: Maker) -> Maker:
        register(name, kind, make, **flags)
        return make

    return keep


def right_cases(seed: int) -> list[Case]:
    """Return every case, with sizes, scales and points drawn from `seed`."""
    cases = []
    for number, (name, (kind, make, flags)) in enumerate(_MAKERS.items()):
        p = make(np.random.default_rng([seed, number]))
        given = {"smooth": True, "at_minimum": False, "at_kink": False} | flags
        float32 = p.noise == np.finfo(np.float32).eps
        cases.append(
            Case(
                name,
                kind,
                p.fun,
                p.grad,
                p.x0,
                p.args,
                dtype="float32" if float32 else "float64",
                exact=p.exact or p.fun,
                noise=p.noise,
                near=p.near,
                **given,
            )
        )
    return cases


# ---------------------------------------------------------------- networks

for _name in ACTIVATIONS:
    register(
        f"{_name} network", "network", partial(network, activation=_name), smooth=_name in SMOOTH
    )

register("deep network", "network", partial(network, hidden=(4, 4, 4, 4, 4)))
register("network with L2", "network", partial(network, l2=0.1))


@case("recurrent network", "network")
def _recurrent(rng: Rng) -> Problem:
    size, inputs, steps = int(rng.integers(3, 5)), 2, int(rng.integers(10, 20))
    X, target = rng.normal(size=(steps, inputs)), rng.normal(size=size)
    x0 = {"W": 0.9 * np.linalg.qr(rng.normal(size=(size, size)))[0]}
    x0 |= {"U": rng.normal(size=(size, inputs)), "b": rng.normal(size=size) / 5}

    def states(p: Any, X: Any) -> list[Any]:
        H = [0 * p["b"]]
        for row in X:
            H.append(np.tanh(p["W"] @ H[-1] + p["U"] @ row + p["b"]))
        return H

    def fun(p: Any, X: Any) -> Any:
        return 0.5 * np.sum((states(p, X)[-1] - target) ** 2)

    def grad(p: Any, X: Any) -> Any:
        H = states(p, X)
        g = tree_map(np.zeros_like, p)
        dh = H[-1] - target
        for t in range(len(X), 0, -1):
            dz = dh * (1 - H[t] ** 2)
            g["W"] += np.outer(dz, H[t - 1])
            g["U"] += np.outer(dz, X[t - 1])
            g["b"] += dz
            dh = p["W"].T @ dz
        return g

    return Problem(fun, grad, x0, (X,))


@case("attention", "network")
def _attention(rng: Rng) -> Problem:
    n, d = int(rng.integers(4, 8)), int(rng.integers(2, 4))
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(n, d))

    def parts(p: Any, X: Any) -> tuple[Any, ...]:
        Q, K, V = X @ p["query"], X @ p["key"], X @ p["value"]
        S = np.exp(Q @ K.T / d**0.5)
        return Q, K, V, S / S.sum(axis=1, keepdims=True)

    def fun(p: Any, X: Any, Y: Any) -> Any:
        _, _, V, P = parts(p, X)
        return np.sum((P @ V - Y) ** 2) / (2 * len(X))

    def grad(p: Any, X: Any, Y: Any) -> Any:
        Q, K, V, P = parts(p, X)
        dO = (P @ V - Y) / len(X)
        dP = dO @ V.T
        dS = P * (dP - np.sum(dP * P, axis=1, keepdims=True)) / d**0.5
        return {"query": X.T @ dS @ K, "key": X.T @ dS.T @ Q, "value": X.T @ P.T @ dO}

    return Problem(
        fun, grad, {name: rng.normal(size=(d, d)) for name in ("query", "key", "value")}, (X, Y)
    )


@case("layer norm", "network")
def _layer_norm(rng: Rng) -> Problem:
    n, d, m = int(rng.integers(6, 12)), 3, int(rng.integers(4, 6))
    X, Y = rng.normal(size=(n, d)), rng.normal(size=(n, m))

    def normalised(p: Any, X: Any) -> tuple[Any, Any]:
        Z = X @ p["W"]
        Z = Z - Z.mean(axis=1, keepdims=True)
        deviation = np.sqrt(np.mean(Z**2, axis=1, keepdims=True) + 1e-5)
        return Z / deviation, deviation

    def fun(p: Any, X: Any, Y: Any) -> Any:
        return np.mean((normalised(p, X)[0] * p["gamma"] + p["beta"] - Y) ** 2)

    def grad(p: Any, X: Any, Y: Any) -> Any:
        N, deviation = normalised(p, X)
        dO = 2 * (N * p["gamma"] + p["beta"] - Y) / Y.size
        dN = dO * p["gamma"]
        dZ = dN - dN.mean(axis=1, keepdims=True) - N * np.mean(dN * N, axis=1, keepdims=True)
        return {"W": X.T @ (dZ / deviation), "gamma": (dO * N).sum(0), "beta": dO.sum(0)}

    x0 = {"W": rng.normal(size=(d, m)), "gamma": 1 + 0.1 * rng.normal(size=m), "beta": np.zeros(m)}
    return Problem(fun, grad, x0, (X, Y))


@case("convolution", "network")
def _convolution(rng: Rng) -> Problem:
    width = int(rng.integers(3, 8))
    signal = rng.normal(size=40)
    windows = np.lib.stride_tricks.sliding_window_view(signal, width)
    y = rng.normal(size=len(windows))
    return Problem(
        lambda w, A, y: 0.5 * np.mean((np.tanh(A @ w) - y) ** 2),
        lambda w, A, y: A.T @ ((np.tanh(A @ w) - y) * (1 - np.tanh(A @ w) ** 2)) / len(y),
        rng.normal(size=width),
        (windows, y),
    )


# ---------------------------------------------------------------- models

for _name in LOSSES:
    _smooth = _name not in ("Huber", "least absolute", "quantile", "hinge")
    register(f"{_name} loss", "model", partial(linear, loss=_name), smooth=_smooth)

register("ridge regression", "model", partial(linear, l2=0.3))
register("softmax", "model", softmax)


@case("Gaussian with log sigma", "model")
def _gaussian(rng: Rng) -> Problem:
    n, d = 25, int(rng.integers(2, 6))
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)

    def fun(p: Any) -> Any:
        r = (X @ p["mean"] - y) * np.exp(-p["log_sigma"])
        return n * p["log_sigma"] + 0.5 * np.sum(r**2)

    def grad(p: Any) -> Any:
        r = (X @ p["mean"] - y) * np.exp(-p["log_sigma"])
        scale = np.exp(-p["log_sigma"])
        return {"mean": X.T @ r * scale, "log_sigma": np.array(n - np.sum(r**2))}

    x0 = {"mean": rng.normal(size=d), "log_sigma": np.array(rng.uniform(-3, 1))}
    return Problem(fun, grad, x0)


@case("mixture of Gaussians", "model")
def _mixture(rng: Rng) -> Problem:
    k, y = int(rng.integers(2, 5)), 3 * rng.normal(size=(30, 1))

    def joint(p: Any) -> tuple[Any, Any]:
        log_weight = p["logit"] - np.log(np.sum(np.exp(p["logit"])))
        u = (y - p["mean"]) * np.exp(-p["log_sigma"])
        return log_weight - p["log_sigma"] - 0.5 * u**2, u

    def fun(p: Any) -> Any:
        return -np.sum(np.log(np.sum(np.exp(joint(p)[0]), axis=1)))

    def grad(p: Any) -> Any:
        log_joint, u = joint(p)
        R = np.exp(log_joint)
        R = R / R.sum(axis=1, keepdims=True)
        weight = np.exp(p["logit"]) / np.sum(np.exp(p["logit"]))
        return {
            "logit": len(y) * weight - R.sum(axis=0),
            "mean": -np.sum(R * u * np.exp(-p["log_sigma"]), axis=0),
            "log_sigma": -np.sum(R * (u**2 - 1), axis=0),
        }

    x0 = {"logit": rng.normal(size=k), "mean": 2 * rng.normal(size=k), "log_sigma": np.zeros(k)}
    return Problem(fun, grad, x0)


@case("matrix factorisation", "model")
def _factorisation(rng: Rng) -> Problem:
    n, m, k = int(rng.integers(4, 7)), int(rng.integers(4, 7)), 2
    Y, seen = rng.normal(size=(n, m)), rng.random((n, m)) < 0.6
    return Problem(
        lambda p: 0.5 * np.sum(seen * (p["U"] @ p["V"].T - Y) ** 2),
        lambda p: {
            "U": (seen * (p["U"] @ p["V"].T - Y)) @ p["V"],
            "V": (seen * (p["U"] @ p["V"].T - Y)).T @ p["U"],
        },
        {"U": rng.normal(size=(n, k)), "V": rng.normal(size=(m, k))},
    )


@case("Gaussian process", "model")
def _gaussian_process(rng: Rng) -> Problem:
    n = 6
    t = np.sort(rng.uniform(0, 4, n))
    y = np.sin(t) + 0.1 * rng.normal(size=n)
    D = (t[:, None] - t) ** 2

    def covariance(p: Any) -> tuple[Any, Any]:
        E = np.exp(2 * p[1] - 0.5 * D * np.exp(-2 * p[0]))
        return E, E + np.exp(2 * p[2]) * np.eye(n)

    def fun(p: Any) -> Any:  # elimination written out, so that it runs in any precision
        A = np.hstack([covariance(p)[1], y[:, None]])
        log_determinant = 0
        for k in range(n):
            log_determinant = log_determinant + np.log(A[k, k])
            A[k + 1 :] -= A[k + 1 :, k : k + 1] / A[k, k] * A[k]
        return 0.5 * np.sum(A[:, -1] ** 2 / np.diag(A)) + 0.5 * log_determinant

    def grad(p: Any) -> Any:
        E, K = covariance(p)
        inverse = np.linalg.inv(K)
        alpha = inverse @ y
        S = 0.5 * (inverse - np.outer(alpha, alpha))
        noise = 2 * np.exp(2 * p[2]) * np.trace(S)
        return np.array([np.sum(S * E * D) * np.exp(-2 * p[0]), 2 * np.sum(S * E), noise])

    return Problem(fun, grad, np.array([0.0, 0.0, -1.0]) + 0.3 * rng.normal(size=3))


@case("differential equation", "model")
def _growth(rng: Rng) -> Problem:
    """Logistic growth by 60 Euler steps; parameters: rate, capacity, start."""
    data, h = rng.uniform(0.5, 3, 60), 0.05

    def fun(p: Any) -> Any:
        y, total = p[2], 0 * p[0]
        for target in data:
            y = y + h * p[0] * y * (1 - y / p[1])
            total = total + (y - target) ** 2
        return total

    def grad(p: Any) -> Any:
        y, dy, total = p[2], np.array([0.0, 0.0, 1.0]), np.zeros(3)
        for target in data:
            step = np.array([y * (1 - y / p[1]), p[0] * y**2 / p[1] ** 2, 0.0])
            dy = dy * (1 + h * p[0] * (1 - 2 * y / p[1])) + h * step
            y = y + h * p[0] * y * (1 - y / p[1])
            total += 2 * (y - target) * dy
        return total

    return Problem(fun, grad, rng.uniform([0.5, 2, 0.2], [2, 4, 0.6]))


# ---------------------------------------------------------------- scale


@case("parameters of 1e-8", "scale")
def _tiny_parameters(rng: Rng) -> Problem:
    return separable(
        lambda w: np.sin(w * 1e8), lambda w: 1e8 * np.cos(w * 1e8), 1e-8 * rng.normal(size=9)
    )


@case("parameters of 1e8", "scale")
def _huge_parameters(rng: Rng) -> Problem:
    return separable(
        lambda w: np.sin(w / 1e8), lambda w: np.cos(w / 1e8) / 1e8, 1e8 * rng.normal(size=9)
    )


@case("parameters from 1e-8 to 1e8, one array", "scale")
def _spread_parameters(rng: Rng) -> Problem:
    x0 = 10.0 ** rng.permutation(np.linspace(-8, 8, int(rng.integers(5, 12))))
    return separable(lambda w: np.log(w) ** 2, lambda w: 2 * np.log(w) / w, 1.3 * x0)


@case("parameters from 1e-8 to 1e8, arrays", "scale")
def _spread_arrays(rng: Rng) -> Problem:
    units = {"small": 1e-8, "one": 1.0, "large": 1e8}
    x0 = {name: unit * rng.normal(size=int(rng.integers(2, 6))) for name, unit in units.items()}
    return Problem(
        lambda p: sum(np.sum(np.tanh(p[name] / unit)) for name, unit in units.items()),
        lambda p: {n: (1 - np.tanh(p[n] / unit) ** 2) / unit for n, unit in units.items()},
        x0,
    )


def _units(rng: Rng) -> Any:
    return 10.0 ** rng.permutation(np.linspace(-6, 6, 7))


for _name in ("squares", "logistic", "Student t"):
    register(
        f"features from 1e-6 to 1e6, {_name}",
        "scale",
        lambda rng, _name=_name: linear(rng, _name, features=7, units=_units(rng)),
    )


@case("features of 1e6 in a network", "scale")
def _network_of_large_features(rng: Rng) -> Problem:
    p = network(rng, l2=0)
    scale = 1e6
    x0 = p.x0 | {"W1": p.x0["W1"] / scale}
    return p._replace(x0=x0, args=(p.args[0] * scale, p.args[1]))


for _factor in (1e-12, 1e-6, 1e8):
    register(
        f"loss times {_factor:.0e}, network",
        "scale",
        lambda rng, f=_factor: affine(network(rng, "sigmoid"), f),
    )
    register(
        f"loss times {_factor:.0e}, logistic",
        "scale",
        lambda rng, f=_factor: affine(linear(rng, "logistic"), f),
    )
register("loss plus 1e8, network", "scale", lambda rng: affine(network(rng), 1, 1e8))
register("loss plus 1e8, softmax", "scale", lambda rng: affine(softmax(rng), 1, 1e8))
register("loss minus itself", "scale", lambda rng: _zero_loss(rng))


def _zero_loss(rng: Rng) -> Problem:
    p = network(rng)
    return affine(p, 1, -float(p.fun(p.x0, *p.args)))


@case("long sum", "scale")
def _long_sum(rng: Rng) -> Problem:
    return linear(rng, "log cosh", rows=20_000, features=4)


# ---------------------------------------------------------------- precision

register("float32 least squares", "float32", lambda rng: in_float32(linear(rng)))
register("float32 logistic", "float32", lambda rng: in_float32(linear(rng, "logistic")))
register("float32 softmax", "float32", lambda rng: in_float32(softmax(rng)))
register("float32 network", "float32", lambda rng: in_float32(network(rng)))
register(
    "float32 ReLU network", "float32", lambda rng: in_float32(network(rng, "ReLU")), smooth=False
)
register(
    "float32 network, loss times 1e-6",
    "float32",
    lambda rng: in_float32(affine(network(rng), 1e-6)),
)
register("float32 inside, network", "float32", lambda rng: float32_inside(network(rng)))
register("float32 inside, softmax", "float32", lambda rng: float32_inside(softmax(rng)))

# ---------------------------------------------------------------- noise

for _name, _make in {"network": network, "softmax": softmax}.items():
    register(
        f"noise of 1e-9, {_name}", "noise", lambda rng, m=_make: noisy(m(rng), 1e-9), smooth=False
    )
    register(
        f"rounded to 1e-8, {_name}",
        "noise",
        lambda rng, m=_make: rounded(m(rng), 1e-8),
        smooth=False,
    )
register("noise of 1e-5", "noise", lambda rng: noisy(linear(rng), 1e-5), smooth=False)


@case("bisection to 1e-9", "noise", smooth=False)
def _bisection(rng: Rng) -> Problem:
    """The root u of u^3 + u = c . p, found by bisection, under (u - 3)^2."""
    c = rng.normal(size=int(rng.integers(2, 6)))

    def root(p: Any, tolerance: float) -> Any:
        goal = p @ c
        low, high = goal * 0 - 8, goal * 0 + 8
        while high - low > tolerance:
            u = (low + high) / 2
            low, high = (low, u) if u**3 + u > goal else (u, high)
        return (low + high) / 2

    def grad(p: Any) -> Any:
        u = root(p, 1e-15)
        return 2 * (u - 3) / (3 * u**2 + 1) * c

    return Problem(
        lambda p: (root(p, 1e-9) - 3) ** 2,
        grad,
        rng.normal(size=len(c)),
        exact=lambda p: (root(p, 2e-18) - 3) ** 2,
        noise=1e-9,
    )


@case("fixed point to 1e-9", "noise", smooth=False)
def _fixed_point(rng: Rng) -> Problem:
    """u = tanh(A u + p), iterated until it moves by less than 1e-9."""
    n = int(rng.integers(3, 7))
    A, target = 0.6 * np.linalg.qr(rng.normal(size=(n, n)))[0], rng.normal(size=n)

    def solve(p: Any, tolerance: float) -> Any:
        u, old = 0 * p, p + 1
        while np.max(np.abs(u - old)) > tolerance:
            u, old = np.tanh(A @ u + p), u
        return u

    def grad(p: Any) -> Any:
        u = solve(p, 1e-15)
        slope = np.diag(1 - u**2)
        return slope @ np.linalg.solve(np.eye(n) - A.T @ slope, u - target)

    return Problem(
        lambda p: 0.5 * np.sum((solve(p, 1e-9) - target) ** 2),
        grad,
        rng.normal(size=n) / 2,
        exact=lambda p: 0.5 * np.sum((solve(p, 1e-18) - target) ** 2),
        noise=1e-9,
    )


@case("inner gradient descent to 1e-9", "noise", smooth=False)
def _inner_descent(rng: Rng) -> Problem:
    """Ridge penalties exp(p) judged on new data; the inner fit is by gradient descent."""
    n, d = 40, int(rng.integers(2, 5))
    X, V = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    w = rng.choice([-1, 1], d) * rng.uniform(1, 2, d)
    y, v = X @ w, -V @ w  # far apart, so that no derivative is as small as what the fit leaves
    H, c = X.T @ X / n, X.T @ y / n
    rate = 0.5 / np.linalg.norm(H, 2)

    def fit(p: Any, tolerance: float) -> Any:
        w, slope = 0 * p, c + 0 * p
        while np.max(np.abs(slope)) > tolerance:
            w = w + rate * slope
            slope = c - H @ w - np.exp(p) * w
        return w

    def grad(p: Any) -> Any:
        w = fit(p, 1e-15)
        outer = V.T @ (V @ w - v) / n
        return -np.exp(p) * w * np.linalg.solve(H + np.diag(np.exp(p)), outer)

    return Problem(
        lambda p: 0.5 * np.mean((V @ fit(p, 1e-9) - v) ** 2),
        grad,
        rng.uniform(-2, 0, size=d),
        exact=lambda p: 0.5 * np.mean((V @ fit(p, 3e-18) - v) ** 2),
        noise=1e-9,
    )


# ---------------------------------------------------------------- minimum


def _minimised(p: Problem, steps: int = 30) -> Problem:
    """Move the weights and bias of a linear model to the minimum, by Newton steps."""
    w = np.append(p.x0["w"] * 0, 0.0)
    n, eye = len(w), np.eye(len(w))

    def g(v: Any) -> Any:
        return np.append(*p.grad({"w": v[:-1], "b": v[-1:]}, *p.args).values())

    for _ in range(steps):
        H = np.array([(g(w + 1e-5 * eye[i]) - g(w - 1e-5 * eye[i])) / 2e-5 for i in range(n)])
        w = w - np.linalg.solve(H, g(w))
    return p._replace(x0={"w": w[:-1], "b": w[-1:]})


for _name in ("squares", "logistic", "Poisson"):
    register(
        f"minimum of {_name}",
        "minimum",
        lambda rng, n=_name: _minimised(linear(rng, n, l2=0.1)),
        at_minimum=True,
    )
register(
    "minimum of least squares plus 1e8",
    "minimum",
    lambda rng: affine(_minimised(linear(rng, l2=0.1)), 1, 1e8),
    at_minimum=True,
)


@case("minimum of Rosenbrock", "minimum", at_minimum=True)
def _rosenbrock_minimum(rng: Rng) -> Problem:
    return rosenbrock(rng)._replace(x0=np.ones(int(rng.integers(2, 9))))


@case("minimum of fourth order", "minimum", at_minimum=True)
def _flat_minimum(rng: Rng) -> Problem:
    return separable(lambda w: w**4, lambda w: 4 * w**3, np.zeros(int(rng.integers(1, 9))))


@case("saddle point", "minimum", at_minimum=True)
def _saddle(rng: Rng) -> Problem:
    signs = np.resize([1.0, -1.0], int(rng.integers(2, 9)))
    return Problem(lambda w: np.sum(signs * w**2), lambda w: 2 * signs * w, 0 * signs)


# ---------------------------------------------------------------- saturated, zero, sparse

register("saturated tanh units", "saturated", partial(network, weight=6.0))
register("saturated sigmoid units", "saturated", partial(network, activation="sigmoid", weight=9.0))
register("saturated softmax", "saturated", partial(softmax, weight=6.0))


@case("dead ReLU units", "saturated", smooth=False)
def _dead_units(rng: Rng) -> Problem:
    p = network(rng, "ReLU", (5,))
    p.x0["b1"][[1, 3]] = -50
    return p


@case("all parameters zero", "zeros")
def _all_zero(rng: Rng) -> Problem:
    p = network(rng)
    return p._replace(x0=tree_map(np.zeros_like, p.x0))


@case("logistic from zero", "zeros")
def _logistic_from_zero(rng: Rng) -> Problem:
    p = linear(rng, "logistic")
    return p._replace(x0=tree_map(np.zeros_like, p.x0))


@case("features of 1e6, weights zero", "zeros")
def _large_features_from_zero(rng: Rng) -> Problem:
    p = linear(rng, "logistic", units=1e6)
    return p._replace(x0=tree_map(np.zeros_like, p.x0))


@case("biases zero", "zeros")
def _zero_biases(rng: Rng) -> Problem:
    p = network(rng, hidden=(4, 3))
    return p._replace(x0={k: 0 * v if k[0] == "b" else v for k, v in p.x0.items()})


@case("one zero among large", "zeros")
def _zero_among_large(rng: Rng) -> Problem:
    x0 = 1e5 * rng.normal(size=8)
    x0[3] = 0
    return separable(lambda w: np.sqrt(1 + (w - 7) ** 2), _slope_of_root, x0)


def _slope_of_root(w: Any) -> Any:
    return (w - 7) / np.sqrt(1 + (w - 7) ** 2)


@case("embedding", "sparse")
def _embedding(rng: Rng) -> Problem:
    words, width = int(rng.integers(10, 20)), 3
    ids = rng.integers(words, size=4)
    v, y = rng.normal(size=width), 1.0

    def fun(E: Any) -> Any:
        return np.logaddexp(0 * E[0, 0], -y * (E[ids].mean(axis=0) @ v))

    def grad(E: Any) -> Any:
        g = np.zeros_like(E)
        slope = -y / (1 + np.exp(y * (E[ids].mean(axis=0) @ v)))
        np.add.at(g, ids, slope * v / len(ids))
        return g

    return Problem(fun, grad, rng.normal(size=(words, width)))


@case("maximum of many", "sparse", smooth=False)
def _maximum(rng: Rng) -> Problem:
    return Problem(
        lambda w: np.max(w) ** 2,
        lambda w: np.where(w == np.max(w), 2 * w, 0),
        rng.normal(size=int(rng.integers(10, 40))) + 2,
    )


@case("sparse features", "sparse")
def _sparse_features(rng: Rng) -> Problem:
    p = linear(rng, "logistic", features=30, rows=12)
    X, y = p.args
    return p._replace(args=(X * (rng.random(X.shape) < 0.04), y))


# ---------------------------------------------------------------- domain

register(
    "log barrier near its edge",
    "domain",
    lambda rng: separable(
        lambda w: w - 1e-3 * np.log(w), lambda w: 1 - 1e-3 / w, 10 ** rng.uniform(-7, -1, 8)
    ),
)
register(
    "log barrier between two walls",
    "domain",
    lambda rng: separable(
        lambda w: -np.log(1 - w) - np.log(1 + w),
        lambda w: 1 / (1 - w) - 1 / (1 + w),
        np.sign(rng.normal(size=8)) * (1 - 10 ** rng.uniform(-6, -1, 8)),
    ),
)
register(
    "square root near 0",
    "domain",
    lambda rng: separable(np.sqrt, lambda w: 0.5 / np.sqrt(w), 10 ** rng.uniform(-9, 0, 8)),
)
register(
    "entropy",
    "domain",
    lambda rng: separable(
        lambda w: w * np.log(w), lambda w: 1 + np.log(w), rng.dirichlet(np.full(9, 0.3)) + 1e-9
    ),
)
register(
    "arcsine near 1",
    "domain",
    lambda rng: separable(
        np.arcsin, lambda w: 1 / np.sqrt((1 - w) * (1 + w)), 1 - 10 ** rng.uniform(-6, -1, 6)
    ),
)
register(
    "atoms close together",
    "domain",
    lambda rng: separable(
        lambda w: w**-12 - w**-6, lambda w: 6 * w**-7 - 12 * w**-13, rng.uniform(0.3, 2, 6)
    ),
)
register(
    "on the edge of the domain",
    "domain",
    lambda rng: separable(
        lambda w: np.where(w >= 0, np.exp(w * 0.7) + w, np.nan),
        lambda w: 0.7 * np.exp(w * 0.7) + 1,
        np.maximum(rng.normal(size=8), 0),
    ),
    smooth=False,
)

# ---------------------------------------------------------------- oscillation

register(
    "sin(1e4 w)",
    "oscillation",
    lambda rng: separable(
        lambda w: np.sin(1e4 * w), lambda w: 1e4 * np.cos(1e4 * w), rng.normal(size=8)
    ),
)
register(
    "ripple on a bowl",
    "oscillation",
    lambda rng: separable(
        lambda w: w**2 + 1e-4 * np.sin(1e4 * w),
        lambda w: 2 * w + np.cos(1e4 * w),
        rng.normal(size=8),
    ),
)
register(
    "chirp",
    "oscillation",
    lambda rng: separable(
        lambda w: np.sin(1e3 * w**2), lambda w: 2e3 * w * np.cos(1e3 * w**2), rng.normal(size=8)
    ),
)


@case("waves of many lengths", "oscillation")
def _waves(rng: Rng) -> Problem:
    k = np.logspace(0, 4, int(rng.integers(4, 9)))
    phase = rng.uniform(0, 0.5, len(k))
    return Problem(
        lambda w: np.sum(np.sin(k * w + phase)), lambda w: k * np.cos(k * w + phase), k * 0 + 0.0
    )


# ---------------------------------------------------------------- kinks

for _distance in (1e-3, 1e-5, 1e-7, 1e-9):
    register(
        f"kink {_distance:.0e} beside the point",
        "kink",
        lambda rng, d=_distance: _kink_beside(rng, d),
        smooth=False,
    )


def _kink_beside(rng: Rng, distance: float) -> Problem:
    where = rng.normal(size=int(rng.integers(3, 9)))
    shift = distance * rng.uniform(0.5, 2, len(where)) * rng.choice([-1, 1], len(where))
    p = separable(
        lambda w: np.abs(w - where) + 2 * w, lambda w: np.sign(w - where) + 2, where * (1 + shift)
    )
    return p._replace(near=distance / 10)


@case("kinks of a ReLU network 1e-6 away", "kink", smooth=False)
def _relu_beside(rng: Rng) -> Problem:
    p = network(rng, "ReLU", (4,))
    Z = p.args[0] @ p.x0["W1"]
    p.x0["b1"] = 1e-6 * rng.choice([-1, 1], 4) - Z[rng.integers(len(Z)), :]
    return p._replace(near=1e-8)


@case("absolute value at 0", "kink", smooth=False, at_kink=True)
def _absolute_at_zero(rng: Rng) -> Problem:
    x0 = rng.normal(size=9)
    x0[rng.permutation(9)[:4]] = 0
    return separable(lambda w: np.abs(w) + w**2, lambda w: np.sign(w) + 2 * w, x0)


@case("L1 penalty on zero weights", "kink", smooth=False, at_kink=True)
def _lasso(rng: Rng) -> Problem:
    p = linear(rng, features=8)
    p.x0["w"][::2] = 0
    strength = 0.5
    return p._replace(
        fun=lambda x, *args: p.fun(x, *args) + strength * np.sum(np.abs(x["w"])),
        grad=lambda x, *args: {
            "w": p.grad(x, *args)["w"] + strength * np.sign(x["w"]),
            "b": p.grad(x, *args)["b"],
        },
    )


@case("ReLU exactly at its kink", "kink", smooth=False, at_kink=True)
def _relu_at_kink(rng: Rng) -> Problem:
    """Weights and one row of data are multiples of 1/8: its pre-activation is exactly 0."""
    p = network(rng, "ReLU", (4,))
    X = p.args[0]
    X[0], p.x0["W1"] = np.round(8 * X[0]) / 8, np.round(8 * p.x0["W1"]) / 8
    p.x0["b1"] = -(X[0] @ p.x0["W1"])
    return p


@case("hinge exactly at the margin", "kink", smooth=False, at_kink=True)
def _hinge_at_margin(rng: Rng) -> Problem:
    p = linear(rng, "hinge", features=4)
    X, y = p.args
    X[0], p.x0["w"] = np.round(8 * X[0]) / 8, np.round(8 * p.x0["w"]) / 8
    p.x0["b"] = np.array([y[0] - X[0] @ p.x0["w"]])
    return p


@case("tie of a maximum", "kink", smooth=False, at_kink=True)
def _tie(rng: Rng) -> Problem:
    x0 = rng.normal(size=7)
    x0[[1, 4]] = 3

    def grad(w: Any) -> Any:
        g = np.zeros_like(w)
        g[np.argmax(w)] = 2 * np.max(w)
        return g

    return Problem(lambda w: np.max(w) ** 2, grad, x0)


@case("norm at 0", "kink", smooth=False, at_kink=True)
def _norm_at_zero(rng: Rng) -> Problem:
    a = rng.uniform(-0.9, 0.9, int(rng.integers(2, 7)))
    return Problem(lambda w: np.sqrt(np.sum(w**2)) + a @ w, lambda w: a + 0 * w, 0 * a)


@case("steps far away", "kink", smooth=False)
def _steps(rng: Rng) -> Problem:
    x0 = rng.integers(-5, 5, size=8) + rng.uniform(0.2, 0.8, size=8)
    return separable(lambda w: np.floor(w) + np.sin(w), np.cos, x0)


# ---------------------------------------------------------------- hard numbers


@case("Rosenbrock", "numbers")
def rosenbrock(rng: Rng) -> Problem:
    def grad(w: Any) -> Any:
        g = np.zeros_like(w)
        g[:-1] = -400 * w[:-1] * (w[1:] - w[:-1] ** 2) - 2 * (1 - w[:-1])
        g[1:] += 200 * (w[1:] - w[:-1] ** 2)
        return g

    return Problem(
        lambda w: np.sum(100 * (w[1:] - w[:-1] ** 2) ** 2 + (1 - w[:-1]) ** 2),
        grad,
        rng.normal(size=int(rng.integers(2, 12))),
    )


@case("quadratic of condition 1e10", "numbers")
def _ill_conditioned(rng: Rng) -> Problem:
    n = int(rng.integers(4, 9))
    basis = np.linalg.qr(rng.normal(size=(n, n)))[0]
    A = basis * np.logspace(0, -10, n) @ basis.T
    A = (A + A.T) / 2
    return Problem(lambda w: 0.5 * w @ A @ w, lambda w: A @ w, rng.normal(size=n))


register(
    "exponential of large numbers",
    "numbers",
    lambda rng: separable(np.exp, np.exp, rng.uniform(5, 60, 1) + rng.normal(size=6)),
)
register(
    "exponential steeper than its point",
    "numbers",
    lambda rng: separable(
        lambda w: np.exp(50 * w), lambda w: 50 * np.exp(50 * w), 1 + rng.normal(size=6) / 50
    ),
)


@case("product of many", "numbers")
def _product(rng: Rng) -> Problem:
    w = rng.uniform(0.5, 1.5, int(rng.integers(10, 40))) * rng.choice([-1, 1])
    return Problem(np.prod, lambda w: np.prod(w) / w, w)


@case("difference of large numbers", "numbers")
def _cancellation(rng: Rng) -> Problem:
    return separable(
        lambda w: (1e6 + w) ** 2 - 1e12 - w**2, lambda w: 2e6 + 0 * w, rng.normal(size=5)
    )


@case("one parameter, 0-d", "numbers")
def _scalar(rng: Rng) -> Problem:
    return Problem(
        lambda w: np.sin(w) * np.exp(w),
        lambda w: np.asarray((np.sin(w) + np.cos(w)) * np.exp(w)),
        np.array(rng.normal()),
    )


@case("loss exactly 0", "numbers")
def _exactly_zero(rng: Rng) -> Problem:
    a = rng.normal(size=int(rng.integers(2, 9)))
    return Problem(lambda w: np.sinh(a @ w), lambda w: a * np.cosh(a @ w), 0 * a)


@case("linear loss", "numbers")
def _linear_loss(rng: Rng) -> Problem:
    a = 10.0 ** rng.uniform(-3, 3, 10)
    return Problem(lambda w: a @ w, lambda w: a + 0 * w, rng.normal(size=10))


@case("nested parameters", "numbers")
def _nested(rng: Rng) -> Problem:
    return restructured(
        network(rng, hidden=(3, 3)),
        lambda p: (
            {"body": [(p["W1"], p["b1"]), {"W": p["W2"], "b": p["b2"]}], "W3": p["W3"]}
            | {"head": (p["b3"],)}
        ),
        lambda q: {
            "W1": q["body"][0][0],
            "b1": q["body"][0][1],
            "W2": q["body"][1]["W"],
            "b2": q["body"][1]["b"],
            "W3": q["W3"],
            "b3": q["head"][0],
        },
    )


@case("Fortran order and strided views", "numbers")
def _fortran(rng: Rng) -> Problem:
    p = network(rng)
    x0 = {k: np.asfortranarray(v) if v.ndim == 2 else np.repeat(v, 2)[::2] for k, v in p.x0.items()}
    return p._replace(x0=x0)


# ---------------------------------------------------------------- fits, waves, neighbours


@case("data fitted exactly", "minimum", at_minimum=True)
def _exact_fit(rng: Rng) -> Problem:
    A, w = rng.normal(size=(30, 6)), rng.normal(size=6)
    y = A @ w
    return Problem(lambda w: np.mean((A @ w - y) ** 2), lambda w: A.T @ (A @ w - y) / 15, w)


@case("beside a minimum where the loss is 0", "minimum", smooth=False)
def _beside_a_zero(rng: Rng) -> Problem:
    """Rounding makes the steps uneven by half a spacing: there, as much as the gradient itself."""
    p = separable(lambda w: (w - 1) ** 2, lambda w: 2 * (w - 1), np.ones(3))
    x0 = 1 + 10 ** rng.uniform(-13, -10) * np.array([1.0, 2.0, 3.0])
    return p._replace(x0=x0, near=1e-9)


@case("saturated: the loss does not move", "saturated", at_minimum=True)
def _does_not_move(rng: Rng) -> Problem:
    def softmax(z: Any) -> Any:
        return np.exp(z - z.max()) / np.exp(z - z.max()).sum()

    first = np.array([1.0, 0, 0])
    return Problem(
        lambda z: np.log(np.exp(z - z.max()).sum()) + z.max() - z[0],
        lambda z: softmax(z) - first,
        np.array([40.0, 0.0, 1.0]) + rng.uniform(-1, 1, size=3),
    )


@case("bias before a batch norm", "saturated")
def _cancelling_bias(rng: Rng) -> Problem:
    X, v, y = rng.normal(size=(32, 5)), rng.normal(size=6), rng.normal(size=32)

    def forward(p: Any) -> tuple[Any, Any, Any]:
        Z = X @ p["W"] + p["b"]
        deviation = Z.std(axis=0)
        N = (Z - Z.mean(axis=0)) / deviation
        return N, deviation, np.tanh(N)

    def grad(p: Any) -> Any:
        N, deviation, A = forward(p)
        dN = np.outer(2 * (A @ v - y) / len(y), v) * (1 - A**2)
        dZ = (dN - dN.mean(axis=0) - N * (dN * N).mean(axis=0)) / deviation
        return {"W": X.T @ dZ, "b": dZ.sum(axis=0)}

    return Problem(
        lambda p: np.mean((forward(p)[2] @ v - y) ** 2),
        grad,
        {"W": rng.normal(size=(5, 6)), "b": rng.normal(size=6)},
    )


@case("square roots of many sizes", "domain")
def _many_roots(rng: Rng) -> Problem:
    w = rng.uniform(0.1, 1, size=100) ** int(rng.choice([4, 8]))

    def root(w: Any) -> Any:
        return np.sqrt(w)

    return separable(root, lambda w: 0.5 / np.sqrt(w), w)


@case("float32 mean absolute error", "float32", smooth=False)
def _absolute_error(rng: Rng) -> Problem:
    """Kinks lie within every step."""
    X = rng.normal(size=200)
    return in_float32(
        Problem(
            lambda w: np.mean(np.abs(X.astype(w.dtype) - w)),
            lambda w: -np.mean(np.sign(X.astype(w.dtype) - w), keepdims=True).astype(w.dtype),
            np.array([0.5]),
        )
    )._replace(near=1e-4)


@case("float32 inside, beside a large constant", "float32")
def _staircase(rng: Rng) -> Problem:
    size = int(rng.integers(2, 9))
    return float32_inside(
        Problem(lambda w: 1000 + 0.1 * np.sum(w**2), lambda w: 0.2 * w, 1 + rng.random(size))
    )


@case("waves far shorter than the parameters", "oscillation")
def _far_out(rng: Rng) -> Problem:
    far = 1e5
    return Problem(
        lambda w: np.sum(np.sin(w - far)), lambda w: np.cos(w - far), far + rng.normal(size=5)
    )


@case("float32 entry beside far larger ones", "float32")
def _small_beside_large(rng: Rng) -> Problem:
    """The entry is the difference of sums that float32 rounds to more than is left of it."""
    A = rng.normal(size=(30, 30))
    x = rng.normal(size=30)
    x -= np.linalg.solve(A.T @ A, (A.T @ (A @ x)) * (np.arange(30) == 0))
    p = Problem(lambda w, A: 0.5 * np.sum((A @ w) ** 2), lambda w, A: A.T @ (A @ w), x, (A,))
    return in_float32(p)
