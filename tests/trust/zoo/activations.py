"""Functions of single entries, and of a few that compete: kinks at zero, at bounds and at ties.

Public code differs in what it gives at a kink: 0, 1, one half, the first of those that tie. All lie
between the two slopes, and both here and there each layer keeps its own.
"""

from typing import Any

import numpy as np

from .layer import Bug, Rng, data, register
from .words import BATCH, CLIP, FACTOR, HALF, MASK, SHIFT, SIGN, SWAP, ZERO


def matrix(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 6 if size < 100 else 40
    return {"x": data(rng, (size // columns, columns), kind)}


def sigmoid(z: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * z))


def relu_forward(x: Any) -> tuple[Any, Any]:
    return np.maximum(x, 0), x


def relu_backward(upstream: Any, x: Any, bug: str = "") -> tuple[Any, ...]:
    mask = x > 0  # 0 at 0
    if bug == "mask forgotten":
        mask = x == x
    if bug == "mask of the upstream":
        mask = upstream > 0
    if bug == "mask turned round":
        mask = x < 0
    return (upstream * mask,)


register(
    "relu",
    matrix,
    relu_forward,
    relu_backward,
    bugs=(
        Bug("mask forgotten", "x", MASK),
        Bug("mask of the upstream", "x", MASK),
        Bug("mask turned round", "x", MASK),
    ),
    smooth=False,
)


def leaky_relu_forward(x: Any) -> tuple[Any, Any]:
    return np.where(x > 0, x, 0.1 * x), x


def leaky_relu_backward(upstream: Any, x: Any, bug: str = "") -> tuple[Any, ...]:
    above, below = 1.0, 0.1
    if bug == "negative side dropped":
        below = 0.0
    if bug == "sides swapped":
        above, below = below, above
    if bug == "slope on both sides":
        above = 0.1
    return (np.where(x > 0, above * upstream, below * upstream),)  # the small slope at 0


register(
    "leaky_relu",
    matrix,
    leaky_relu_forward,
    leaky_relu_backward,
    bugs=(
        Bug("negative side dropped", "x", ("negative", "input is", *ZERO)),
        Bug("sides swapped", "x", ("negative", "positive", "input is")),
        Bug("slope on both sides", "x", ("positive", "negative", "input is", *FACTOR)),
    ),
    smooth=False,
)


def clip_forward(x: Any) -> tuple[Any, Any]:
    return np.clip(x, -1, 1), x


def clip_backward(upstream: Any, x: Any, bug: str = "") -> tuple[Any, ...]:
    mask = np.abs(x) <= 1  # 1 at the bounds
    if bug == "mask forgotten":
        mask = x == x
    if bug == "lower bound forgotten":
        mask = x <= 1
    if bug == "slope clipped":
        return (np.clip(upstream, -0.5, 0.5) * mask,)
    return (upstream * mask,)


register(
    "clip",
    matrix,
    clip_forward,
    clip_backward,
    bugs=(
        Bug("mask forgotten", "x", (*MASK, *CLIP)),
        Bug("lower bound forgotten", "x", (*MASK, *CLIP)),
        Bug("slope clipped", "x", CLIP),
    ),
    smooth=False,
)


def absolute_forward(x: Any) -> tuple[Any, Any]:
    return np.abs(x), x


def absolute_backward(upstream: Any, x: Any, bug: str = "") -> tuple[Any, ...]:
    slope = np.sign(x)  # 0 at 0
    if bug == "sign forgotten":
        slope = slope**2
    if bug == "slope of the square":
        slope = 2 * x
    if bug == "sign turned round":
        slope = -slope
    return (upstream * slope,)


register(
    "absolute",
    matrix,
    absolute_forward,
    absolute_backward,
    bugs=(
        Bug("sign forgotten", "x", (*SIGN, "negative", "input is")),
        Bug("slope of the square", "x", ("times the parameter", "square", "l2", "l1")),
        Bug("sign turned round", "x", SIGN),
    ),
    smooth=False,
)


def elu_forward(x: Any) -> tuple[Any, Any]:
    y = np.where(x >= 0, x, 0.7 * np.expm1(np.minimum(x, 0)))
    return y, (x, y)


def elu_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, y = cache
    below = y + 0.7
    if bug == "constant forgotten":
        below = y
    if bug == "exponential forgotten":
        below = 0.7 + 0 * y
    if bug == "negative side dropped":
        below = 0 * y
    return (upstream * np.where(x >= 0, 1, below).astype(x.dtype),)  # 1 at 0


register(
    "elu",
    matrix,
    elu_forward,
    elu_backward,
    bugs=(
        Bug("constant forgotten", "x", ("negative", "input is")),
        Bug("exponential forgotten", "x", ("negative", "input is", "exp")),
        Bug("negative side dropped", "x", ("negative", "input is", *ZERO)),
    ),
    smooth=False,
)

C = float((2 / np.pi) ** 0.5)


def gelu_forward(x: Any) -> tuple[Any, Any]:
    t = np.tanh(C * (x + 0.044715 * x * x * x))
    return 0.5 * x * (1 + t), (x, t)


def gelu_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, t = cache
    inner = C * (1 + 3 * 0.044715 * x**2)
    if bug == "three forgotten":
        inner = C * (1 + 0.044715 * x**2)
    if bug == "half forgotten":
        return (upstream * ((1 + t) + x * (1 - t**2) * inner),)
    product = 0 if bug == "product rule forgotten" else 0.5 * x * (1 - t**2) * inner
    return (upstream * (0.5 * (1 + t) + product),)


register(
    "gelu",
    matrix,
    gelu_forward,
    gelu_backward,
    bugs=(
        Bug("three forgotten", "x", ("factor of a term", "power", "product")),
        Bug("half forgotten", "x", (*FACTOR, "twice")),
        Bug("product rule forgotten", "x", ("product", "term")),
    ),
)


def swish_forward(x: Any) -> tuple[Any, Any]:
    s = sigmoid(x)
    return x * s, (x, s)


def swish_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, s = cache
    slope = s * (1 - s)
    if bug == "sigmoid of the sigmoid":
        slope = sigmoid(s) * (1 - sigmoid(s))
    if bug == "product rule forgotten":
        return (upstream * s,)
    if bug == "sign of a term":
        return (upstream * (s - x * slope),)
    return (upstream * (s + x * slope),)


register(
    "swish",
    matrix,
    swish_forward,
    swish_backward,
    bugs=(
        Bug("sigmoid of the sigmoid", "x", ("sigmoid", "derivative of the activation")),
        Bug("product rule forgotten", "x", ("product", "term")),
        Bug("sign of a term", "x", ("term", "sign of a")),
    ),
)


def softplus_forward(x: Any) -> tuple[Any, Any]:
    return np.logaddexp(x, 0 * x), x


def softplus_backward(upstream: Any, x: Any, bug: str = "") -> tuple[Any, ...]:
    if bug == "sigmoid of minus x":
        x = -x
    slope = sigmoid(x)
    if bug == "tanh for the sigmoid":
        slope = np.tanh(x)
    if bug == "ReLU's slope":
        slope = (x > 0).astype(x.dtype)
    return (upstream * slope,)


register(
    "softplus",
    matrix,
    softplus_forward,
    softplus_backward,
    bugs=(
        Bug("sigmoid of minus x", "x", ("activation", "1 - ", "exp(x)")),
        Bug("tanh for the sigmoid", "x", ("activation",)),
        Bug("ReLU's slope", "x", ("negative", "input is", "relu", "activation")),
    ),
)


def prelu_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 6 if size < 100 else 40
    x = data(rng, (size // columns, columns), kind)
    return {"x": x, "alpha": rng.uniform(0.1, 0.4, size=columns)}


def prelu_forward(x: Any, alpha: Any) -> tuple[Any, Any]:
    return np.where(x > 0, x, alpha * x), (x, alpha)


def prelu_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, alpha = cache
    dx = upstream * np.where(x > 0, 1, alpha).astype(x.dtype)
    dalpha = np.sum(upstream * x * (x < 0), axis=0)
    if bug == "negative side as the positive":
        dx = upstream
    if bug == "alpha from all inputs":
        dalpha = np.sum(upstream * x, axis=0)
    if bug == "alpha averaged":
        dalpha = dalpha / len(x)
    return dx, dalpha


register(
    "prelu",
    prelu_inputs,
    prelu_forward,
    prelu_backward,
    bugs=(
        Bug("negative side as the positive", "x", ("negative", "input is", *MASK)),
        Bug("alpha from all inputs", "alpha", MASK, HALF),
        Bug("alpha averaged", "alpha", BATCH),
    ),
    smooth=False,
)


def pieces(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    return {"x": data(rng, (size // 12, 4, 3), kind)}


def maxout_forward(x: Any) -> tuple[Any, Any]:
    winner = x.argmax(axis=-1)  # the first of those that tie
    return np.take_along_axis(x, winner[..., None], -1)[..., 0], (x, winner)


def maxout_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, winner = cache
    if bug == "first piece always":
        winner = 0 * winner
    if bug == "index off by one":
        winner = (winner + 1) % x.shape[-1]
    dx = np.zeros_like(x)
    np.put_along_axis(dx, winner[..., None], upstream[..., None].astype(x.dtype), -1)
    if bug == "shared by all pieces":
        dx = np.repeat(upstream[..., None] / x.shape[-1], x.shape[-1], -1)
    return (dx,)


register(
    "maxout",
    pieces,
    maxout_forward,
    maxout_backward,
    bugs=(
        Bug("first piece always", "x", MASK),
        Bug("index off by one", "x", (*SHIFT, *MASK)),
        Bug("shared by all pieces", "x", (*MASK, *BATCH)),
    ),
    smooth=False,
)


def two_matrices(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 6 if size < 100 else 40
    shape = (size // columns // 2, columns)
    return {"x": data(rng, shape, kind), "y": data(rng, shape, kind)}


def larger_forward(x: Any, y: Any) -> tuple[Any, Any]:
    return np.maximum(x, y), (x, y)


def larger_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, y = cache
    share = ((x > y) + 0.5 * (x == y)).astype(x.dtype)  # one half each where they tie
    if bug == "the smaller one":
        share = 1 - share
    dx, dy = upstream * share, upstream * (1 - share)
    if bug == "y always":
        dy = upstream
    if bug == "sign of y":
        dy = -dy
    return dx, dy


register(
    "larger",
    two_matrices,
    larger_forward,
    larger_backward,
    bugs=(
        Bug("the smaller one", "x y", (*SWAP, *MASK)),
        Bug("y always", "y", MASK),
        Bug("sign of y", "y", SIGN),
    ),
    smooth=False,
)


def gated_forward(x: Any) -> tuple[Any, Any]:
    value, gate = np.split(x, 2, axis=1)
    s = sigmoid(gate)
    return value * s, (value, s)


def gated_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    value, s = cache
    dvalue, dgate = upstream * s, upstream * value * s * (1 - s)
    if bug == "slope of the gate forgotten":
        dgate = upstream * value
    if bug == "halves swapped":
        dvalue, dgate = dgate, dvalue
    if bug == "value forgotten":
        dgate = upstream * s * (1 - s)
    return (np.concatenate([dvalue, dgate], axis=1),)


register(
    "gated",
    matrix,
    gated_forward,
    gated_backward,
    bugs=(
        Bug("slope of the gate forgotten", "x", ("gate",)),
        Bug("halves swapped", "x", (*SWAP, "shift")),
        Bug("value forgotten", "x", ("gate",)),
    ),
)
