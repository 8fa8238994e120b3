"""Convolutions, written as loops over the kernel; sizes grow with the channels."""

from typing import Any

import numpy as np

from .layer import Bug, Rng, data, register
from .words import BATCH, FLIP, HALF, SHIFT, TRANSPOSED


def images(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, f, side = {60: (1, 1, 2, 6), 2_400: (2, 10, 16, 7)}.get(size, (2, 45, 40, 7))
    return {
        "x": data(rng, (n, side, side, c), kind),
        "w": rng.normal(size=(3, 3, c, f)) / (3 * c**0.5),
        "b": rng.normal(size=f),
    }


KERNEL = [(i, j) for i in range(3) for j in range(3)]


def convolution_forward(x: Any, w: Any, b: Any) -> tuple[Any, Any]:
    h, v = x.shape[1] - 2, x.shape[2] - 2
    return b + sum(x[:, i : i + h, j : j + v] @ w[i, j] for i, j in KERNEL), (x, w)


def convolution_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w = cache
    h, v = upstream.shape[1:3]
    dx, dw = np.zeros(x.shape, upstream.dtype), np.zeros(w.shape, upstream.dtype)
    for i, j in KERNEL:
        window = np.s_[:, i : i + h, j : j + v]
        dw[i, j] = np.tensordot(x[window], upstream, ((0, 1, 2), (0, 1, 2)))
        k = (2 - i, 2 - j) if bug == "kernel not turned back" else (i, j)
        dx[window] += upstream @ w[k].T
    if bug == "kernel's slope turned":
        dw = dw[::-1, ::-1]
    db = upstream.sum(axis=(0, 1, 2))
    if bug == "bias averaged":
        db = upstream.mean(axis=(0, 1, 2))
    return dx, dw, db


register(
    "convolution",
    images,
    convolution_forward,
    convolution_backward,
    bugs=(
        Bug("kernel not turned back", "x", ("kernel", *FLIP)),
        Bug("kernel's slope turned", "w", FLIP),
        Bug("bias averaged", "b", BATCH),
    ),
)


def upsampled(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, f, side = {60: (1, 2, 2, 4), 2_400: (2, 12, 16, 4)}.get(size, (2, 45, 48, 5))
    return {
        "x": data(rng, (n, side, side, c), kind),
        "w": rng.normal(size=(3, 3, c, f)) / (3 * c**0.5),
    }


def transposed_convolution_forward(x: Any, w: Any) -> tuple[Any, Any]:
    side = x.shape[1]
    out = np.zeros((len(x), 2 * side + 1, 2 * side + 1, w.shape[3]), np.result_type(x, w))
    for i, j in KERNEL:
        out[:, i : i + 2 * side : 2, j : j + 2 * side : 2] += x @ w[i, j]
    return out, (x, w)


def transposed_convolution_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w = cache
    side = x.shape[1]
    dx, dw = np.zeros(x.shape, upstream.dtype), np.zeros(w.shape, upstream.dtype)
    for i, j in KERNEL:
        seen = upstream[:, i : i + 2 * side : 2, j : j + 2 * side : 2]
        if bug == "first tap forgotten" and i == j == 0:
            continue
        dx += seen @ (w[j, i] if bug == "kernel transposed" else w[i, j]).T
        dw[i, j] = np.tensordot(x, seen, ((0, 1, 2), (0, 1, 2)))
    if bug == "taps shifted":
        dw = np.roll(dw, 1, axis=1)
    return dx, dw


register(
    "transposed_convolution",
    upsampled,
    transposed_convolution_forward,
    transposed_convolution_backward,
    bugs=(
        Bug("first tap forgotten", "x w", ("tap", "never written", "[0, 0, :, :]")),
        Bug("kernel transposed", "x", ("kernel", *TRANSPOSED)),
        Bug("taps shifted", "w", SHIFT),
    ),
)


def depthwise_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, side = {60: (1, 2, 5), 2_400: (2, 30, 6)}.get(size, (3, 140, 7))
    return {"x": data(rng, (n, c, side, side), kind), "w": rng.normal(size=(c, 3, 3)) / 3}


def pad(x: Any) -> Any:
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))


def depthwise_forward(x: Any, w: Any) -> tuple[Any, Any]:
    padded, side = pad(x), x.shape[2]
    out = 0
    for i, j in KERNEL:
        out = out + padded[:, :, i : i + side, j : j + side] * w[:, i, j, None, None]
    return np.tanh(out), (x, w, np.tanh(out))


def depthwise_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w, y = cache
    padded, side = pad(x), x.shape[2]
    d = upstream if bug == "tanh's slope forgotten" else upstream * (1 - y * y)
    dpadded, dw = np.zeros(padded.shape, d.dtype), np.zeros(w.shape, d.dtype)
    for i, j in KERNEL:
        window = np.s_[:, :, i : i + side, j : j + side]
        dw[:, i, j] = np.sum(padded[window] * d, axis=(0, 2, 3))
        dpadded[window] += d * w[:, i, j, None, None]
    if bug == "averaged over the positions":
        dw = dw / side**2
    crop = np.s_[:, :, :-2, :-2] if bug == "cropped at the wrong end" else np.s_[:, :, 1:-1, 1:-1]
    return dpadded[crop], dw


register(
    "depthwise_convolution",
    depthwise_inputs,
    depthwise_forward,
    depthwise_backward,
    bugs=(
        Bug("tanh's slope forgotten", "x w", ("activation", "every array", "tanh")),
        Bug("averaged over the positions", "w", BATCH, HALF),
        Bug("cropped at the wrong end", "x", SHIFT),
    ),
)


def signals(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, f, length = {60: (1, 3, 2, 12), 2_400: (4, 12, 16, 30)}.get(size, (8, 40, 40, 50))
    return {
        "x": data(rng, (n, length, c), kind),
        "w": rng.normal(size=(3, c, f)) / (3 * c) ** 0.5,
    }


DILATION = 2


def causal_forward(x: Any, w: Any) -> tuple[Any, Any]:
    length = x.shape[1]
    padded = np.pad(x, ((0, 0), (2 * DILATION, 0), (0, 0)))
    out = sum(padded[:, k * DILATION : k * DILATION + length] @ w[k] for k in range(3))
    return out, (padded, w, length)


def causal_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    padded, w, length = cache
    dpadded, dw = np.zeros(padded.shape, upstream.dtype), np.zeros(w.shape, upstream.dtype)
    for k in range(3):
        part = np.s_[:, k * DILATION : k * DILATION + length]
        if bug == "dilation forgotten":
            part = np.s_[:, k : k + length]
        dw[k] = np.tensordot(padded[part], upstream, ((0, 1), (0, 1)))
        slope = upstream @ w[k].T
        if bug == "written, not added":
            dpadded[part] = slope
        else:
            dpadded[part] += slope
    dx = dpadded[:, 2 * DILATION :]
    if bug == "taps reversed":
        dw = dw[::-1]
    return dx, dw


register(
    "causal_convolution",
    signals,
    causal_forward,
    causal_backward,
    bugs=(
        Bug("dilation forgotten", "x w", (*SHIFT, "dilation")),
        Bug("written, not added", "x", ("written", "added", "overwritten", "repeat")),
        Bug("taps reversed", "w", FLIP),
    ),
)
