"""Attention: one head alone, and several with weights of their own behind a causal mask."""

from typing import Any

import numpy as np

from .layer import Bug, Rng, data, register
from .linear import softmax
from .words import BATCH, CARRIED, COLUMN, FACTOR, ROW, START, SWAP, TRANSPOSED, ZERO


def softmax_back(d: Any, p: Any) -> Any:
    return p * (d - np.sum(d * p, axis=-1, keepdims=True))


def heads(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d = {60: (5, 4), 2_400: (32, 25)}.get(size, (100, 70))
    return {
        "q": rng.normal(size=(n, d)),
        "k": rng.normal(size=(n, d)),
        "v": data(rng, (n, d), kind),
    }


def attention_forward(q: Any, k: Any, v: Any) -> tuple[Any, Any]:
    p = softmax(q @ k.T / q.shape[1] ** 0.5)
    return p @ v, (q, k, v, p)


def attention_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    q, k, v, p = cache
    ds = softmax_back(upstream @ v.T, p)
    if bug == "diagonal of the softmax only":
        ds = (upstream @ v.T) * p * (1 - p)
    if bug != "scale forgotten":
        ds = ds / q.shape[1] ** 0.5
    dk = (ds if bug == "scores not transposed" else ds.T) @ q
    return ds @ k, dk, p.T @ upstream


register(
    "attention",
    heads,
    attention_forward,
    attention_backward,
    bugs=(
        Bug("diagonal of the softmax only", "q k", ("softmax", "sum", "diagonal"), START),
        Bug("scale forgotten", "q k", FACTOR, ("the half in the loss",)),
        Bug("scores not transposed", "k", TRANSPOSED),
    ),
)


def causal_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    t, d = {60: (4, 3), 2_400: (24, 20)}.get(size, (48, 66))
    return {
        "x": data(rng, (t, d), kind),
        **{name: rng.normal(size=(d, d)) / d**0.5 for name in ("wq", "wk", "wv", "wo")},
        "bq": rng.normal(size=d),
        "bk": rng.normal(size=d),  # a shift of all keys cancels in the softmax: its slope is 0
        "bv": rng.normal(size=d),
    }


def causal_attention_forward(x: Any, *weights: Any) -> tuple[Any, Any]:
    wq, wk, wv, wo, bq, bk, bv = weights
    q, k, v = x @ wq + bq, x @ wk + bk, x @ wv + bv
    s = q @ k.T / q.shape[1] ** 0.5
    hidden = np.triu(np.ones(s.shape, bool), 1)
    p = softmax(np.where(hidden, np.asarray(-1e9, s.dtype), s))
    a = p @ v
    return x + a @ wo, (x, weights, q, k, v, p, a)


def causal_attention_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, (wq, wk, wv, wo, *_), q, k, v, p, a = cache
    da = upstream @ wo.T
    ds = softmax_back(da @ v.T, p) / q.shape[1] ** 0.5
    dq, dk, dv = ds @ k, ds.T @ q, p.T @ da
    if bug == "values from untransposed weights":
        dv = p @ da
    dx = dq @ wq.T + dk @ wk.T + dv @ wv.T
    if bug != "skip forgotten":
        dx = dx + upstream
    dwq = x.T @ dq
    if bug == "query's weights averaged":
        dwq = dwq / len(x)
    sums = (dq.sum(axis=0), dk.sum(axis=0), dv.sum(axis=0))
    return dx, dwq, x.T @ dk, x.T @ dv, a.T @ upstream, *sums


register(
    "causal_attention",
    causal_inputs,
    causal_attention_forward,
    causal_attention_backward,
    bugs=(
        Bug("values from untransposed weights", "x wv bv", (*TRANSPOSED, *CARRIED), START),
        Bug("skip forgotten", "x", ("skip", "residual", "term", "upstream"), START),
        Bug("query's weights averaged", "wq", BATCH),
    ),
)


def fast_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    t, d = {60: (5, 4), 2_400: (32, 25)}.get(size, (100, 70))
    return {
        "q": data(rng, (t, d), kind) / 2,
        "k": rng.normal(size=(t, d)) / 2,
        "v": rng.normal(size=(t, d)),
    }


def linear_attention_forward(q: Any, k: Any, v: Any) -> tuple[Any, Any]:
    fq, fk = np.exp(q), np.exp(k)
    memory, norm = fk.T @ v, fk.sum(axis=0)
    down = (fq @ norm)[:, None]
    out = fq @ memory / down
    return out, (fq, fk, v, memory, norm, down, out)


def linear_attention_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    fq, fk, v, memory, norm, down, out = cache
    du = upstream / down
    ddown = -np.sum(du * out, axis=1)
    if bug == "denominator kept fixed":
        ddown = 0 * ddown
    dfq = du @ memory.T + np.outer(ddown, norm)
    dmemory = fq.T @ du
    dfk = v @ dmemory.T + ddown @ fq
    dv = fk @ dmemory
    dq, dk = dfq * fq, dfk * fk
    if bug == "feature's slope forgotten":
        dk = dfk
    if bug == "keys and queries swapped":
        dq, dk = dk, dq
    return dq, dk, dv


register(
    "linear_attention",
    fast_inputs,
    linear_attention_forward,
    linear_attention_backward,
    bugs=(
        Bug("denominator kept fixed", "q k", ("normalis", "denominator", *ROW, *COLUMN)),
        Bug("feature's slope forgotten", "k", ("exp", "log", "chain", "activation", *ZERO)),
        Bug("keys and queries swapped", "q k", SWAP),
    ),
)
