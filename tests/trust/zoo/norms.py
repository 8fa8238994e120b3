"""Normalisations: batch, layer, group and root mean square; smooth, and easily half forgotten."""

from typing import Any

import numpy as np

from .layer import Bug, Rng, data, register
from .words import BATCH, COLUMN, MEAN_TERM, NORM, ROW

EPSILON = 1e-3


def normalise(x: Any, axes: Any) -> tuple[Any, Any]:
    centred = x - x.mean(axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + EPSILON)
    return centred * inverse, inverse


def normalise_back(d: Any, y: Any, inverse: Any, axes: Any, bug: str = "") -> Any:
    mean = d.mean(axis=axes, keepdims=True)
    along = y * np.mean(d * y, axis=axes, keepdims=True)
    if bug == "mean term forgotten":
        mean = 0
    if bug == "variance term forgotten":
        along = 0
    if bug == "sign of the variance term":
        along = -along
    if bug == "deviation forgotten":
        inverse = 1
    return inverse * (d - mean - along)


def scaled(shape: tuple[int, ...], count: int, rng: Rng, kind: str) -> dict[str, Any]:
    return {
        "x": data(rng, shape, kind),
        "gamma": rng.uniform(0.5, 2, size=count),
        "beta": rng.normal(size=count),
    }


def batch_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d = (8, 6) if size < 100 else (30, size // 32)
    return scaled((n, d), d, rng, kind)


def batch_norm_forward(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
    y, inverse = normalise(x, 0)
    return gamma * y + beta, (y, inverse, gamma)


def batch_norm_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    y, inverse, gamma = cache
    dbeta = upstream.sum(axis=0)
    if bug == "beta averaged":
        dbeta = dbeta / len(upstream)
    return (
        normalise_back(upstream * gamma, y, inverse, 0, bug),
        np.sum(upstream * y, axis=0),
        dbeta,
    )


register(
    "batch_norm",
    batch_inputs,
    batch_norm_forward,
    batch_norm_backward,
    bugs=(
        Bug("mean term forgotten", "x", (*MEAN_TERM, *COLUMN)),
        Bug("variance term forgotten", "x", (*NORM, *COLUMN)),
        Bug("beta averaged", "beta", BATCH),
    ),
)


def layer_norm_forward(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
    y, inverse = normalise(x, 1)
    return gamma * y + beta, (y, inverse, gamma)


def layer_norm_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    y, inverse, gamma = cache
    d = upstream * gamma
    dx = normalise_back(d, y, inverse, 1, bug)
    if bug == "gamma outside of the sums":
        dx = gamma * normalise_back(upstream, y, inverse, 1)
    dgamma = np.sum(upstream * y, axis=0)
    if bug == "gamma of the input":
        dgamma = np.sum(upstream * y / inverse, axis=0)
    return dx, dgamma, upstream.sum(axis=0)


register(
    "layer_norm",
    batch_inputs,
    layer_norm_forward,
    layer_norm_backward,
    bugs=(
        Bug("mean term forgotten", "x", (*MEAN_TERM, *ROW)),
        Bug("gamma outside of the sums", "x", ("gamma", "sum", *COLUMN)),
        Bug("gamma of the input", "gamma", (*NORM, "x")),
    ),
)


def group_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, side = {60: (1, 4, 4), 2_400: (2, 32, 6)}.get(size, (3, 110, 8))
    return scaled((n, c, side, side), c, rng, kind)


def group_norm_forward(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
    groups = x.reshape(len(x), 2, -1)
    y, inverse = normalise(groups, 2)
    y = y.reshape(x.shape)
    wide = (slice(None), None, None)
    return gamma[wide] * y + beta[wide], (y, inverse, gamma)


def group_norm_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    y, inverse, gamma = cache
    d = upstream if bug == "gamma forgotten" else upstream * gamma[:, None, None]
    groups = (len(y), 2, -1)
    dx = normalise_back(d.reshape(groups), y.reshape(groups), inverse, 2, bug).reshape(y.shape)
    dgamma = np.sum(upstream * y, axis=(0, 2, 3))
    return dx, dgamma, upstream.sum(axis=(0, 2, 3))


register(
    "group_norm",
    group_inputs,
    group_norm_forward,
    group_norm_backward,
    bugs=(
        Bug("mean term forgotten", "x", (*MEAN_TERM, "group")),
        Bug("sign of the variance term", "x", (*NORM, "group")),
        Bug("gamma forgotten", "x", ("channel", "gamma", *COLUMN)),
    ),
)


def rms_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d = (8, 6) if size < 100 else (30, size // 31)
    return {"x": data(rng, (n, d), kind), "gamma": rng.uniform(0.5, 2, size=d)}


def rms_norm_forward(x: Any, gamma: Any) -> tuple[Any, Any]:
    inverse = 1 / np.sqrt(np.mean(x * x, axis=1, keepdims=True) + EPSILON)
    return gamma * x * inverse, (x * inverse, inverse, gamma)


def rms_norm_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    y, inverse, gamma = cache
    d = upstream * gamma
    along = y * np.mean(d * y, axis=1, keepdims=True)
    if bug == "norm kept fixed":
        along = 0
    if bug == "sum for the mean":
        along = along * y.shape[1]
    dx = inverse * (d - along)
    if bug == "deviation forgotten":
        dx = d - along
    return dx, np.sum(upstream * y, axis=0)


register(
    "rms_norm",
    rms_inputs,
    rms_norm_forward,
    rms_norm_backward,
    bugs=(
        Bug("norm kept fixed", "x", (*NORM, *ROW)),
        Bug("sum for the mean", "x", (*NORM, *ROW, *BATCH)),
        Bug("deviation forgotten", "x", ROW),
    ),
)
