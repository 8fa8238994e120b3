"""Pooling and resampling: which of those that tie gets the slope differs, their sum does not."""

from typing import Any

import numpy as np

from .layer import Bug, Rng, data, register
from .words import BATCH, FACTOR, HALF, MASK, SHIFT, ZERO


def maps(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, side = {60: (1, 2, 6), 2_400: (2, 12, 10)}.get(size, (4, 36, 12))
    return {"x": data(rng, (n, c, side, side), kind)}


def windows(x: Any) -> Any:
    """Return the 2 x 2 windows of images, each as one row of four."""
    n, c, h, v = x.shape
    parts = x.reshape(n, c, h // 2, 2, v // 2, 2).transpose(0, 1, 2, 4, 3, 5)
    return parts.reshape(n, c, h // 2, v // 2, 4)


def from_windows(parts: Any) -> Any:
    n, c, h, v, _ = parts.shape
    return parts.reshape(n, c, h, v, 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, 2 * h, 2 * v)


def max_pool_forward(x: Any) -> tuple[Any, Any]:
    parts = windows(x)
    winner = parts.argmax(axis=-1)[..., None]  # the first of those that tie
    return np.take_along_axis(parts, winner, -1)[..., 0], (parts, winner)


def max_pool_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    parts, winner = cache
    d = np.zeros_like(parts)
    if bug == "first place always":
        winner = 0 * winner
    np.put_along_axis(d, winner, upstream[..., None].astype(d.dtype), -1)
    if bug == "returns after the first row":
        d[:, :, 1:] = 0
    if bug == "shared by all four":
        d = np.repeat(upstream[..., None] / 4, 4, -1)
    return (from_windows(d),)


register(
    "max_pool",
    maps,
    max_pool_forward,
    max_pool_backward,
    bugs=(
        Bug("first place always", "x", MASK),
        Bug("returns after the first row", "x", ("never written", "loop")),
        Bug("shared by all four", "x", (*MASK, *BATCH)),
    ),
    smooth=False,
)


def average_pool_forward(x: Any) -> tuple[Any, Any]:
    y = windows(x).mean(axis=-1)
    return y * y, y


def average_pool_backward(upstream: Any, y: Any, bug: str = "") -> tuple[Any, ...]:
    d = np.repeat((2 * upstream * y)[..., None] / 4, 4, -1)
    if bug == "divided by two":
        d = 2 * d
    if bug == "first place only":
        d[..., 1:] = 0
    if bug == "returns after the first row":
        d[:, :, 1:] = 0
    return (from_windows(d),)


register(
    "average_pool",
    maps,
    average_pool_forward,
    average_pool_backward,
    bugs=(
        Bug("divided by two", "x", FACTOR, HALF),
        Bug("first place only", "x", ZERO),
        Bug("returns after the first row", "x", (*ZERO, "loop")),
    ),
)


def sequences(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, t, c = {60: (2, 6, 5), 2_400: (4, 15, 40)}.get(size, (10, 35, 60))
    return {"x": data(rng, (n, t, c), kind)}


def max_over_time_forward(x: Any) -> tuple[Any, Any]:
    y = x.max(axis=1)
    return y, x == y[:, None]


def max_over_time_backward(upstream: Any, top: Any, bug: str = "") -> tuple[Any, ...]:
    share = top / top.sum(axis=1, keepdims=True)  # those that tie share the slope
    if bug == "winner one step late":
        share = np.roll(share, 1, axis=1)
    if bug == "mean for the maximum":
        share = 0 * share + 1 / top.shape[1]
    if bug == "last step always":
        share = 0 * share
        share[:, -1] = 1
    return ((upstream[:, None] * share).astype(upstream.dtype),)


register(
    "max_over_time",
    sequences,
    max_over_time_forward,
    max_over_time_backward,
    bugs=(
        Bug("winner one step late", "x", SHIFT),
        Bug("mean for the maximum", "x", (*MASK, *BATCH)),
        Bug("last step always", "x", MASK),
    ),
    smooth=False,
)


def small_maps(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, c, side = {60: (1, 3, 4), 2_400: (2, 33, 6)}.get(size, (4, 90, 8))
    return {"x": data(rng, (n, c, side, side), kind)}


def upsample_forward(x: Any) -> tuple[Any, Any]:
    return np.tanh(x).repeat(2, axis=2).repeat(2, axis=3), x


def upsample_backward(upstream: Any, x: Any, bug: str = "") -> tuple[Any, ...]:
    parts = windows(upstream)
    d = parts.sum(axis=-1)
    if bug == "mean for the sum":
        d = parts.mean(axis=-1)
    if bug == "one of four":
        d = parts[..., 0]
    slope = 1 - np.tanh(x) ** 2
    if bug == "slope of tanh of tanh":
        slope = 1 - np.tanh(np.tanh(x)) ** 2
    return (d * slope,)


register(
    "upsample",
    small_maps,
    upsample_forward,
    upsample_backward,
    bugs=(
        Bug("mean for the sum", "x", BATCH, HALF),
        Bug("one of four", "x", ("one of", "sum")),
        Bug("slope of tanh of tanh", "x", ("activation", "tanh")),
    ),
)
