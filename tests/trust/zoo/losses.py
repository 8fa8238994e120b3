"""Losses of scores, residuals and pairs: the output is one number, but for two of them."""

from typing import Any

import numpy as np

from .activations import sigmoid
from .layer import Bug, Rng, data, register
from .words import BATCH, CLIP, COLUMN, L2, LOG, MASK, NORM, SIGN, TRANSPOSED, ZERO


def scores(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    classes = 5 if size < 100 else 30
    n = size // classes
    return {"scores": data(rng, (n, classes), kind), "labels": rng.integers(classes, size=n)}


def hinge_forward(scores: Any, labels: Any) -> tuple[Any, Any]:
    rows = np.arange(len(labels))
    margins = scores - scores[rows, labels][:, None] + 1
    margins[rows, labels] = 0
    return np.maximum(margins, 0).sum() / len(labels), (margins, labels)


def hinge_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    margins, labels = cache
    rows = np.arange(len(labels))
    d = (margins > 0).astype(margins.dtype)
    violated = d.sum(axis=1)
    if bug == "correct class counted once":
        violated = (violated > 0).astype(margins.dtype)
    if bug != "correct class forgotten":
        d[rows, labels] = -violated
    if bug != "sum for the mean":
        d = d / len(labels)
    return upstream * d, None


register(
    "hinge",
    scores,
    hinge_forward,
    hinge_backward,
    bugs=(
        Bug("correct class counted once", "scores", ("class", "label", "target", "counted")),
        Bug("correct class forgotten", "scores", ("class", "label", "target", *ZERO)),
        Bug("sum for the mean", "scores", BATCH),
    ),
    smooth=False,
)


def residuals(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 6 if size < 100 else 40
    shape = (size // columns, columns)
    return {"predicted": data(rng, shape, kind), "target": rng.integers(-1, 2, size=shape)}


def huber_forward(predicted: Any, target: Any) -> tuple[Any, Any]:
    r = predicted - target.astype(predicted.dtype)
    size = np.abs(r)
    return np.mean(np.where(size <= 1, 0.5 * r * r, size - 0.5)), r


def huber_backward(upstream: Any, r: Any, bug: str = "") -> tuple[Any, ...]:
    d = r if bug == "clip forgotten" else np.clip(r, -1, 1)
    if bug == "difference turned round":
        d = -d
    if bug != "sum for the mean":
        d = d / r.size
    return upstream * d, None


register(
    "huber",
    residuals,
    huber_forward,
    huber_backward,
    bugs=(
        Bug("clip forgotten", "predicted", (*CLIP, "few", "large")),
        Bug("difference turned round", "predicted", SIGN),
        Bug("sum for the mean", "predicted", BATCH),
    ),
    smooth=False,
)


def least_absolute_forward(predicted: Any, target: Any) -> tuple[Any, Any]:
    r = predicted - target.astype(predicted.dtype)
    return np.sum(np.abs(r)) / len(r), r


def least_absolute_backward(upstream: Any, r: Any, bug: str = "") -> tuple[Any, ...]:
    d = np.sign(r)  # 0 at 0
    if bug == "slope of the square":
        d = r
    if bug == "sign forgotten":
        d = np.abs(d)
    count = r.size if bug == "mean over all" else len(r)
    return upstream * d / count, None


register(
    "least_absolute",
    residuals,
    least_absolute_forward,
    least_absolute_backward,
    bugs=(
        Bug("slope of the square", "predicted", ("square", "times the parameter", "l1", "l2")),
        Bug("sign forgotten", "predicted", (*SIGN, "negative", "input is")),
        Bug("mean over all", "predicted", BATCH),
    ),
    smooth=False,
)


def cross_entropy_forward(scores: Any, labels: Any) -> tuple[Any, Any]:
    z = scores - scores.max(axis=1, keepdims=True)
    p = np.exp(z)
    p = p / p.sum(axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(len(labels)), labels])), (scores, p, labels)


def cross_entropy_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    scores, p, labels = cache
    d = p.copy()
    if bug == "softmax over the wrong axis":
        d = np.exp(scores - scores.max())
        d = d / d.sum(axis=0)
    if bug != "one-hot forgotten":
        d[np.arange(len(labels)), labels] -= 1
    if bug != "sum for the mean":
        d = d / len(labels)
    return upstream * d, None


register(
    "cross_entropy",
    scores,
    cross_entropy_forward,
    cross_entropy_backward,
    bugs=(
        Bug("softmax over the wrong axis", "scores", ("axis", *COLUMN)),
        Bug("one-hot forgotten", "scores", ("one-hot", "label", "class", "constant term")),
        Bug("sum for the mean", "scores", BATCH),
    ),
)


def logits(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    return {"z": 2 * data(rng, (size,), kind), "y": rng.integers(2, size=size)}


def logistic_forward(z: Any, y: Any) -> tuple[Any, Any]:
    y = y.astype(z.dtype)
    return np.mean(np.logaddexp(z, 0 * z) - y * z), (sigmoid(z), y)


def logistic_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    p, y = cache
    d = y - p if bug == "difference turned round" else p - y
    if bug == "slope of the sigmoid once more":
        d = d * p * (1 - p)
    if bug != "sum for the mean":
        d = d / len(y)
    return upstream * d, None


register(
    "logistic",
    logits,
    logistic_forward,
    logistic_backward,
    bugs=(
        Bug("difference turned round", "z", SIGN),
        Bug("slope of the sigmoid once more", "z", ("activation", "sigmoid", "derivative")),
        Bug("sum for the mean", "z", BATCH),
    ),
)


def ridge_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d, k = (8, 3, 4) if size < 100 else (16, int(size**0.5), int(size**0.5) - 15)
    return {
        "x": data(rng, (n, d), kind),
        "w": rng.normal(size=(d, k)) / d**0.5,
        "b": rng.normal(size=k),
        "y": rng.integers(-2, 3, size=(n, k)),
    }


def ridge_forward(x: Any, w: Any, b: Any, y: Any) -> tuple[Any, Any]:
    r = x @ w + b - y.astype(x.dtype)
    return 0.5 * np.sum(r * r) / len(x) + 0.05 * np.sum(w * w), (x, w, b, r)


def ridge_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w, b, r = cache
    d = r / len(x)
    dw, db = x.T @ d + 0.1 * w, d.sum(axis=0)
    if bug == "penalty forgotten":
        dw = x.T @ d
    if bug == "penalty on the bias":
        db = db + 0.1 * b
    if bug == "penalty not halved":
        dw = dw + 0.1 * w
    return upstream * (d @ w.T), upstream * dw, upstream * db, None


register(
    "ridge",
    ridge_inputs,
    ridge_forward,
    ridge_backward,
    bugs=(
        Bug("penalty forgotten", "w", L2),
        Bug("penalty on the bias", "b", L2),
        Bug("penalty not halved", "w", L2),
    ),
)


def variational_inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 5 if size < 100 else 30
    shape = (size // columns // 2, columns)
    return {
        "mean": data(rng, shape, kind),
        "log_variance": rng.normal(size=shape),
        "noise": rng.integers(1, 4, size=shape) * rng.choice([-1, 1], size=shape),
    }


def variational_forward(mean: Any, log_variance: Any, noise: Any) -> tuple[Any, Any]:
    noise = noise.astype(mean.dtype)
    sample = mean + np.exp(0.5 * log_variance) * noise
    divergence = 0.5 * np.sum(mean**2 + np.exp(log_variance) - log_variance - 1, axis=1)
    return (sample, divergence), (mean, log_variance, noise)


def variational_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    mean, log_variance, noise = cache
    dsample, ddivergence = upstream[0], upstream[1][:, None]
    half = 1.0 if bug == "half of the log-variance forgotten" else 0.5
    one = 0.0 if bug == "minus one forgotten" else 1.0
    dlog = dsample * half * np.exp(0.5 * log_variance) * noise
    dlog = dlog + 0.5 * ddivergence * (np.exp(log_variance) - one)
    dmean = dsample if bug == "divergence forgotten" else dsample + ddivergence * mean
    return dmean, dlog, None


register(
    "variational",
    variational_inputs,
    variational_forward,
    variational_backward,
    bugs=(
        Bug("half of the log-variance forgotten", "log_variance", (*LOG, "term", "half of a")),
        Bug("minus one forgotten", "log_variance", ("constant along", "term")),
        Bug("divergence forgotten", "mean", L2),
    ),
)


def triplets(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 4 if size < 100 else 20
    shape = (size // columns // 3, columns)
    return {name: data(rng, shape, kind) for name in ("anchor", "positive", "negative")}


def triplet_forward(anchor: Any, positive: Any, negative: Any) -> tuple[Any, Any]:
    near = np.sum((anchor - positive) ** 2, axis=1)
    far = np.sum((anchor - negative) ** 2, axis=1)
    margin = near - far + 3
    return np.sum(np.maximum(margin, 0)), (anchor, positive, negative, margin)


def triplet_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    anchor, positive, negative, margin = cache
    live = (margin > 0).astype(anchor.dtype)[:, None]
    if bug == "margin forgotten":
        live = 1 + 0 * live
    danchor = 2 * live * (negative - positive)
    if bug == "anchor misses the negative":
        danchor = 2 * live * (anchor - positive)
    dnegative = 2 * live * (anchor - negative)
    if bug == "sign of the negative":
        dnegative = -dnegative
    dpositive = 2 * live * (positive - anchor)
    return upstream * danchor, upstream * dpositive, upstream * dnegative


register(
    "triplet",
    triplets,
    triplet_forward,
    triplet_backward,
    bugs=(
        Bug("margin forgotten", "anchor positive negative", MASK),
        Bug("anchor misses the negative", "anchor", ("term", "negative")),
        Bug("sign of the negative", "negative", SIGN),
    ),
    smooth=False,
)


def pairs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    columns = 6 if size < 100 else 20
    shape = (size // columns // 2, columns)
    return {"a": data(rng, shape, kind), "b": rng.normal(size=shape)}


def cosine_forward(a: Any, b: Any) -> tuple[Any, Any]:
    na = np.sqrt(np.sum(a * a, axis=1, keepdims=True) + 1e-3)
    nb = np.sqrt(np.sum(b * b, axis=1, keepdims=True) + 1e-3)
    c = np.sum(a * b, axis=1, keepdims=True) / (na * nb)
    return c[:, 0], (a, b, na, nb, c)


def cosine_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    a, b, na, nb, c = cache
    u = upstream[:, None]
    da = u * (b / (na * nb) - c * a / na**2)
    db = u * (a / (na * nb) - c * b / nb**2)
    if bug == "norm kept fixed":
        da = u * b / (na * nb)
    if bug == "norms swapped":
        da = u * (b / (na * nb) - c * a / nb**2)
    if bug == "sign of a term":
        db = u * (a / (na * nb) + c * b / nb**2)
    return da, db


register(
    "cosine",
    pairs,
    cosine_forward,
    cosine_backward,
    bugs=(
        Bug("norm kept fixed", "a", (*NORM, *L2)),
        Bug("norms swapped", "a", NORM),
        Bug("sign of a term", "b", (*NORM, *TRANSPOSED)),
    ),
)
