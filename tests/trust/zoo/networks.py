"""Small networks: a residual block, dense ones with tanh and ReLU, a convolutional one."""

from typing import Any

import numpy as np

from .convolutions import convolution_backward, convolution_forward
from .layer import Bug, Rng, data, register
from .linear import softmax
from .pooling import from_windows, windows
from .words import BATCH, FLIP, L2, MASK, START, TRANSPOSED, ZERO


def block_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d, h = (4, 4, 4) if size < 100 else (10, int((size / 2) ** 0.5), int((size / 2) ** 0.5) - 8)
    return {
        "x": data(rng, (n, d), kind),
        "w1": rng.normal(size=(d, h)) / d**0.5,
        "b1": 0.5 * rng.normal(size=h),
        "w2": rng.normal(size=(h, d)) / h**0.5,
        "b2": 0.5 * rng.normal(size=d),
    }


def block_forward(x: Any, w1: Any, b1: Any, w2: Any, b2: Any) -> tuple[Any, Any]:
    a = np.maximum(x @ w1 + b1, 0)
    return x + a @ w2 + b2, (x, w1, w2, a)


def block_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w1, w2, a = cache
    d = upstream @ w2.T
    if bug != "mask forgotten":
        d = d * (a > 0)
    dx = d @ w1.T
    if bug != "skip forgotten":
        dx = dx + upstream
    db1 = d.mean(axis=0) if bug == "bias averaged" else d.sum(axis=0)
    return dx, x.T @ d, db1, a.T @ upstream, upstream.sum(axis=0)


register(
    "residual_block",
    block_inputs,
    block_forward,
    block_backward,
    bugs=(
        Bug("mask forgotten", "x w1 b1", (*MASK, "activation"), START),
        Bug("skip forgotten", "x", ("skip", "residual", "term", "upstream"), START),
        Bug("bias averaged", "b1", BATCH),
    ),
    smooth=False,
)


def dense_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    d, h, k, n = {60: (4, 5, 3, 8), 2_400: (20, 34, 5, 16)}.get(size, (20, 133, 5, 16))
    given: dict[str, Any] = {"x": data(rng, (n, d), kind)}
    for layer, (rows, columns) in enumerate(((d, h), (h, h), (h, k)), 1):
        given[f"w{layer}"] = rng.normal(size=(rows, columns)) * (1.5 / rows) ** 0.5
        given[f"b{layer}"] = 0.3 * rng.normal(size=columns)
    return given | {"labels": rng.integers(k, size=n)}


def dense(slope: Any, activation: Any) -> tuple[Any, Any]:
    """Return forward and back-pass of three layers under a cross-entropy with an L2 term."""

    def forward(x: Any, *rest: Any) -> tuple[Any, Any]:
        weights, biases, labels = rest[:-1:2], rest[1:-1:2], rest[-1]
        values = [x]
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            z = values[-1] @ w + b
            values.append(activation(z) if k < 2 else softmax(z))
        loss = -np.mean(np.log(values[-1][np.arange(len(labels)), labels]))
        penalty = sum(np.sum(w * w) for w in weights)
        return loss + 0.005 * penalty, (values, weights, labels)

    def backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
        values, weights, labels = cache
        d = values[-1].copy()
        d[np.arange(len(labels)), labels] -= 1
        if bug != "sum for the mean":
            d = d / len(labels)
        slopes: list[Any] = []
        for k in (2, 1, 0):
            dw = values[k].T @ d
            if bug != "penalty forgotten":
                dw = dw + 0.01 * weights[k]
            slopes = [dw, d.sum(axis=0), *slopes]
            d = d @ weights[k].T
            if k and not (bug == "slope forgotten" and k == 1):
                d = d * slope(values[k])
        return *(upstream * s for s in (d, *slopes)), None

    return forward, backward


ALL = "x w1 b1 w2 b2 w3 b3"
DENSE_BUGS = (
    Bug("sum for the mean", ALL, BATCH),
    Bug("penalty forgotten", "w1 w2 w3", L2),
    Bug("slope forgotten", "x w1 b1", ("activation", *MASK), START),
)
register(
    "tanh_network",
    dense_inputs,
    *dense(lambda a: 1 - a * a, np.tanh),
    bugs=DENSE_BUGS,
)
register(
    "relu_network",
    dense_inputs,
    *dense(lambda a: a > 0, lambda z: np.maximum(z, 0)),
    bugs=DENSE_BUGS,
    smooth=False,
)


def pictures(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, f, classes = {60: (2, 1, 2, 4), 2_400: (4, 8, 22, 9)}.get(size, (6, 24, 80, 10))
    side = 6
    pixels = rng.integers(-3, 4, size=(n, side, side, c))
    if kind == "normal":
        pixels = np.round(100 * rng.normal(size=pixels.shape)).astype(int)
    if kind == "zeros":
        pixels = np.maximum(pixels, 0)
    return {
        "w1": rng.normal(size=(3, 3, c, f)) * (2 / (9 * c)) ** 0.5,
        "b1": 0.3 * rng.normal(size=f),
        "w2": rng.normal(size=(4 * f, classes)) * (1 / (4 * f)) ** 0.5,
        "b2": 0.3 * rng.normal(size=classes),
        "pixels": pixels,
        "labels": rng.integers(classes, size=n),
    }


def pictures_forward(
    w1: Any, b1: Any, w2: Any, b2: Any, pixels: Any, labels: Any
) -> tuple[Any, Any]:
    x = pixels.astype(w1.dtype) / np.abs(pixels).max().astype(w1.dtype)
    z, cache = convolution_forward(x, w1, b1)
    parts = windows(np.maximum(z, 0).transpose(0, 3, 1, 2))
    winner = parts.argmax(axis=-1)[..., None]
    top = np.take_along_axis(parts, winner, -1)[..., 0].reshape(len(x), -1)
    p = softmax(top @ w2 + b2)
    loss = -np.mean(np.log(p[np.arange(len(labels)), labels]))
    return loss, (cache, z, parts, winner, top, p, w2, labels)


def pictures_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    layer, z, parts, winner, top, p, w2, labels = cache
    d = p.copy()
    d[np.arange(len(labels)), labels] -= 1
    d = upstream * d / len(labels)
    dtop = (d @ w2.T).reshape(winner.shape)
    dparts = np.zeros(parts.shape, d.dtype)
    np.put_along_axis(dparts, winner, dtop.astype(d.dtype), -1)
    if bug == "returns after the first row":
        dparts[:, :, 1:] = 0
    dz = from_windows(dparts).transpose(0, 2, 3, 1) * (z > 0)
    _, dw1, db1 = convolution_backward(dz, layer)
    if bug == "kernel's slope turned":
        dw1 = dw1[::-1, ::-1]
    dw2 = top.T @ d
    if bug == "reshape for a transpose":
        dw2 = (d.T @ top).reshape(dw2.shape)
    return dw1, db1, dw2, d.sum(axis=0), None, None


register(
    "convolutional_network",
    pictures,
    pictures_forward,
    pictures_backward,
    bugs=(
        Bug("returns after the first row", "w1 b1", ("pool", "loop", *ZERO), START),
        Bug("kernel's slope turned", "w1", FLIP),
        Bug("reshape for a transpose", "w2", TRANSPOSED),
    ),
    smooth=False,
)
