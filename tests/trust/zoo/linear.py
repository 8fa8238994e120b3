"""Products, look-ups, softmax and what is kept normalised: smooth, or with fixed masks."""

from typing import Any

import numpy as np

from .layer import Bug, Rng, data, register
from .words import (
    BATCH,
    COLUMN,
    FACTOR,
    HALF,
    L2,
    MASK,
    MEAN_TERM,
    NORM,
    REPEAT,
    ROW,
    SHIFT,
    START,
    TRANSPOSED,
)


def affine_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d, k = (6, 4, 6) if size < 100 else (12, int(size**0.5), int(size**0.5) - 14)
    return {
        "x": data(rng, (n, d), kind),
        "w": rng.normal(size=(d, k)),
        "b": rng.normal(size=k),
    }


def affine_forward(x: Any, w: Any, b: Any) -> tuple[Any, Any]:
    return x @ w + b, (x, w)


def affine_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w = cache
    dx, dw, db = upstream @ w.T, x.T @ upstream, upstream.sum(axis=0)
    if bug == "bias averaged":
        db = db / len(x)
    if bug == "bias of the first example":
        db = upstream[0]
    if bug == "reshape for a transpose":
        dw = (upstream.T @ x).reshape(w.shape)
    return dx, dw, db


register(
    "affine",
    affine_inputs,
    affine_forward,
    affine_backward,
    bugs=(
        Bug("bias averaged", "b", BATCH),
        Bug("bias of the first example", "b", ("sum over examples", "biases only", "example")),
        Bug("reshape for a transpose", "w", TRANSPOSED),
    ),
)


def bilinear_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d, k = (3, 5, 4) if size < 100 else (10, int(size**0.5), int(size**0.5) - 20)
    return {
        "x": data(rng, (n, d), kind),
        "w": rng.normal(size=(d, k)),
        "y": rng.normal(size=(n, k)),
    }


def bilinear_forward(x: Any, w: Any, y: Any) -> tuple[Any, Any]:
    return np.sum(x @ w * y, axis=1), (x, w, y)


def bilinear_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w, y = cache
    u = upstream[:, None]
    dx, dw, dy = u * (y @ w.T), (u * x).T @ y, u * (x @ w)
    if bug == "upstream forgotten":
        dx = y @ w.T
    if bug == "upstream twice":
        dy = u * dy
    if bug == "weights averaged":
        dw = dw / len(x)
    return dx, dw, dy


register(
    "bilinear",
    bilinear_inputs,
    bilinear_forward,
    bilinear_backward,
    bugs=(
        Bug("upstream forgotten", "x", ("upstream", *ROW)),
        Bug("upstream twice", "y", ("upstream", *ROW)),
        Bug("weights averaged", "w", BATCH),
    ),
)


def embedding_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    d = 4 if size < 100 else 20
    words = size // d
    ids = rng.integers(words, size=2 * words)
    ids[:2] = ids[2]  # one comes three times, whatever is drawn
    return {"table": data(rng, (words, d), kind), "ids": ids}


def embedding_forward(table: Any, ids: Any) -> tuple[Any, Any]:
    return table[ids] ** 2, (table, ids)


def embedding_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    table, ids = cache
    d = np.zeros_like(table)
    slopes = (2 * upstream * table[ids]).astype(table.dtype)
    if bug == "written, not added":
        d[ids] = slopes
    else:
        np.add.at(d, (ids - 1) % len(d) if bug == "ids off by one" else ids, slopes)
    if bug == "divided by the count":
        d = d / np.maximum(np.bincount(ids, minlength=len(d)), 1)[:, None].astype(d.dtype)
    return d, None


register(
    "embedding",
    embedding_inputs,
    embedding_forward,
    embedding_backward,
    bugs=(
        Bug("written, not added", "table", REPEAT),
        Bug("ids off by one", "table", SHIFT),
        Bug("divided by the count", "table", ROW),
    ),
)


def rows(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 6 if size < 100 else 30
    return {"x": data(rng, (size // columns, columns), kind)}


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_forward(x: Any) -> tuple[Any, Any]:
    p = softmax(x)
    return p, p


def softmax_backward(upstream: Any, p: Any, bug: str = "") -> tuple[Any, ...]:
    if bug == "diagonal only":
        return (upstream * p * (1 - p),)
    axis = 0 if bug == "sum over the wrong axis" else 1
    inner = np.sum(upstream * p, axis=axis, keepdims=True)
    if bug == "inner product forgotten":
        inner = 0
    return (p * (upstream - inner),)


register(
    "softmax",
    rows,
    softmax_forward,
    softmax_backward,
    bugs=(
        Bug("diagonal only", "x", ("diagonal", "sum"), START),
        Bug("sum over the wrong axis", "x", ("axis", "sum"), START),
        Bug("inner product forgotten", "x", ("sum", "normalis"), START),
    ),
)


def log_softmax_forward(x: Any) -> tuple[Any, Any]:
    z = x - x.max(axis=1, keepdims=True)
    y = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return y, np.exp(y)


def log_softmax_backward(upstream: Any, p: Any, bug: str = "") -> tuple[Any, ...]:
    summed = upstream.sum(axis=1, keepdims=True)
    if bug == "sum forgotten":
        summed = 1
    if bug == "mean for the sum":
        summed = summed / p.shape[1]
    if bug == "softmax forgotten":
        p = 1
    return (upstream - summed * p,)


register(
    "log_softmax",
    rows,
    log_softmax_forward,
    log_softmax_backward,
    bugs=(
        Bug("sum forgotten", "x", ("sum",)),
        Bug("mean for the sum", "x", ("sum", *BATCH)),
        Bug("softmax forgotten", "x", ("softmax", "sum")),
    ),
)


def unit_rows_forward(x: Any) -> tuple[Any, Any]:
    length = np.sqrt(np.sum(x * x, axis=1, keepdims=True) + 1e-3)
    return x / length, (x, length)


def unit_rows_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, length = cache
    along = x * np.sum(x * upstream, axis=1, keepdims=True)
    power = 2 if bug == "power of the length" else 3
    if bug == "length kept fixed":
        along = 0
    if bug == "sign of the projection":
        along = -along
    return (upstream / length - along / length**power,)


register(
    "unit_rows",
    rows,
    unit_rows_forward,
    unit_rows_backward,
    bugs=(
        Bug("length kept fixed", "x", (*NORM, *ROW)),
        Bug("sign of the projection", "x", (*NORM, *ROW)),
        Bug("power of the length", "x", (*NORM, *ROW)),
    ),
)


def weight_norm_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d, k = (5, 5, 4) if size < 100 else (10, int(size**0.5), int(size**0.5) - 14)
    return {
        "x": data(rng, (n, d), kind),
        "v": rng.normal(size=(k, d)),
        "g": rng.uniform(0.5, 2, size=k),
    }


def weight_norm_forward(x: Any, v: Any, g: Any) -> tuple[Any, Any]:
    length = np.sqrt(np.sum(v * v, axis=1, keepdims=True))
    w = g[:, None] * v / length
    return x @ w.T, (x, v, g, length, w)


def weight_norm_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, v, g, length, w = cache
    dw = upstream.T @ x
    unit = v / length
    dg = np.sum(dw * unit, axis=1)
    dv = g[:, None] / length * (dw - unit * dg[:, None])
    if bug == "length kept fixed":
        dv = g[:, None] / length * dw
    if bug == "length forgotten":
        dg = np.sum(dw * v, axis=1)
    if bug == "scale forgotten":
        dv = (dw - unit * dg[:, None]) / length
    return upstream @ w, dv, dg


register(
    "weight_norm",
    weight_norm_inputs,
    weight_norm_forward,
    weight_norm_backward,
    bugs=(
        Bug("length kept fixed", "v", (*NORM, *ROW), ("l2 term",)),
        Bug("length forgotten", "g", NORM),
        Bug("scale forgotten", "v", ROW),
    ),
)


def dropout_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 6 if size < 100 else 40
    shape = (size // columns, columns)
    return {"x": data(rng, shape, kind), "kept": rng.integers(2, size=shape)}


def dropout_forward(x: Any, kept: Any) -> tuple[Any, Any]:
    mask = kept.astype(x.dtype) / 0.8
    return x * mask, mask


def dropout_backward(upstream: Any, mask: Any, bug: str = "") -> tuple[Any, ...]:
    if bug == "mask forgotten":
        return upstream / 0.8, None
    if bug == "scale forgotten":
        return upstream * (mask > 0), None
    if bug == "mask turned round":
        return upstream * (1 / 0.8 - mask), None
    return upstream * mask, None


register(
    "dropout",
    dropout_inputs,
    dropout_forward,
    dropout_backward,
    bugs=(
        Bug("mask forgotten", "x", MASK),
        Bug("scale forgotten", "x", FACTOR, HALF),
        Bug("mask turned round", "x", MASK),
    ),
)


def ratings(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    k = {60: 3, 2_400: 20}.get(size, 60)
    users = int(size / k * 0.45)
    items = size // k - users
    return {
        "users": data(rng, (users, k), kind) / k**0.5,
        "items": rng.normal(size=(items, k)) / k**0.5,
        "stars": rng.integers(1, 6, size=(users, items)),
        "rated": rng.integers(2, size=(users, items)),
    }


def collaborative_forward(users: Any, items: Any, stars: Any, rated: Any) -> tuple[Any, Any]:
    raw = users @ items.T - stars.astype(users.dtype)
    error = raw * rated.astype(users.dtype)
    penalty = np.sum(users * users) + np.sum(items * items)
    return 0.5 * np.sum(error * error) + 0.25 * penalty, (users, items, error, raw)


def collaborative_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    users, items, error, raw = cache
    if bug == "unrated counted":
        error = raw
    penalty = {"penalty forgotten": 0.0, "penalty subtracted": -0.5}.get(bug, 0.5)
    ditems = error.T @ users + penalty * items
    dusers = error @ items + 0.5 * users
    return upstream * dusers, upstream * ditems, None, None


register(
    "collaborative",
    ratings,
    collaborative_forward,
    collaborative_backward,
    bugs=(
        Bug("unrated counted", "users items", ("rated", "mask", "data")),
        Bug("penalty forgotten", "items", L2),
        Bug("penalty subtracted", "items", L2),
    ),
)


def sparse_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    d, h, n = (6, 4, 10) if size < 100 else (int((size / 2) ** 0.5) + 10, 0, 20)
    h = h or (size // (2 * d)) - 1
    pixels = rng.integers(2, size=(n, d)) if kind == "zeros" else rng.integers(-3, 4, size=(n, d))
    return {
        "w1": rng.normal(size=(h, d)) / d**0.5,
        "b1": rng.normal(size=h),
        "w2": rng.normal(size=(d, h)) / h**0.5,
        "b2": rng.normal(size=d),
        "pixels": pixels,
    }


RHO = 0.1


def sparse_forward(w1: Any, b1: Any, w2: Any, b2: Any, pixels: Any) -> tuple[Any, Any]:
    x = pixels.astype(w1.dtype)
    a = 0.5 * (1 + np.tanh(0.5 * (x @ w1.T + b1)))
    r = a @ w2.T + b2 - x
    mean = a.mean(axis=0)
    sparsity = np.sum(RHO * np.log(RHO / mean) + (1 - RHO) * np.log((1 - RHO) / (1 - mean)))
    decay = 0.05 * (np.sum(w1 * w1) + np.sum(w2 * w2))
    return 0.5 * np.sum(r * r) / len(x) + decay + 3 * sparsity, (w1, b1, w2, x, a, r, mean)


def sparse_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    w1, b1, w2, x, a, r, mean = cache
    d2 = r / len(x)
    sparse = 3 * ((1 - RHO) / (1 - mean) - RHO / mean) / len(x)
    if bug == "sparsity forgotten":
        sparse = 0
    if bug == "sparsity not averaged":
        sparse = sparse * len(x)
    d1 = (d2 @ w2 + sparse) * a * (1 - a)
    dw1, db1 = d1.T @ x + 0.1 * w1, d1.sum(axis=0)
    dw2, db2 = d2.T @ a + 0.1 * w2, d2.sum(axis=0)
    if bug == "decay on the bias":
        db1 = db1 + 0.1 * b1
    return *(upstream * d for d in (dw1, db1, dw2, db2)), None


register(
    "sparse_autoencoder",
    sparse_inputs,
    sparse_forward,
    sparse_backward,
    bugs=(
        Bug("sparsity forgotten", "w1 b1", ("term", "penalty"), ("weights only",)),
        Bug("sparsity not averaged", "w1 b1", ("term", "penalty"), ("weights only",)),
        Bug("decay on the bias", "b1", L2),
    ),
)


def centred_forward(x: Any) -> tuple[Any, Any]:
    return (x - x.mean(axis=0)) ** 2, x - x.mean(axis=0)


def centred_backward(upstream: Any, c: Any, bug: str = "") -> tuple[Any, ...]:
    d = 2 * upstream * c
    mean = d.mean(axis=1 if bug == "mean over the wrong axis" else 0, keepdims=True)
    if bug == "mean term forgotten":
        mean = 0
    if bug == "mean term added":
        mean = -mean
    return (d - mean,)


register(
    "centred",
    rows,
    centred_forward,
    centred_backward,
    bugs=(
        Bug("mean over the wrong axis", "x", (*MEAN_TERM, "axis")),
        Bug("mean term forgotten", "x", (*MEAN_TERM, *COLUMN)),
        Bug("mean term added", "x", (*MEAN_TERM, *COLUMN)),
    ),
)
