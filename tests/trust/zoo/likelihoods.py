"""Negative log-likelihoods: a chain of tags, a Gaussian process, a mixture, counts."""

from typing import Any

import numpy as np

from .layer import Bug, Rng, data, register
from .words import BATCH, FACTOR, HALF, LOG, SIGN, START, TRANSPOSED


def tagged(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    t, k = {60: (8, 5), 2_400: (60, 25)}.get(size, (40, 130))
    return {
        "emissions": data(rng, (t, k), kind),
        "transitions": rng.normal(size=(k, k)) / 2,
        "tags": rng.integers(k, size=t),
    }


def log_sum(z: Any, axis: int) -> Any:
    top = z.max(axis=axis, keepdims=True)
    return np.squeeze(top + np.log(np.sum(np.exp(z - top), axis=axis, keepdims=True)), axis)


def chain_forward(emissions: Any, transitions: Any, tags: Any) -> tuple[Any, Any]:
    """Return log Z - score of a linear chain, as in a conditional random field."""
    alphas = [emissions[0]]
    for row in emissions[1:]:
        alphas.append(log_sum(alphas[-1][:, None] + transitions, 0) + row)
    score = emissions[np.arange(len(tags)), tags].sum() + transitions[tags[:-1], tags[1:]].sum()
    log_z = log_sum(alphas[-1], 0)
    return log_z - score, (emissions, transitions, tags, alphas, log_z)


def chain_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    emissions, transitions, tags, alphas, log_z = cache
    beta = np.zeros_like(emissions[0])
    de, dt = np.zeros_like(emissions), np.zeros_like(transitions)
    for t in reversed(range(len(emissions))):
        de[t] = np.exp(alphas[t] + beta - log_z)
        if t:
            following = emissions[t] + beta
            pairs = alphas[t - 1][:, None] + transitions + following - log_z
            dt += np.exp(pairs)
            beta = log_sum(transitions + following, 1)
    de[np.arange(len(tags)), tags] -= 1
    if bug == "pairs from the wrong side":
        np.add.at(dt, (tags[1:], tags[:-1]), -1)
    elif bug != "score of the pairs forgotten":
        np.add.at(dt, (tags[:-1], tags[1:]), -1)
    if bug == "first step forgotten":
        de[0] = 0
    return upstream * de, upstream * dt, None


register(
    "chain",
    tagged,
    chain_forward,
    chain_backward,
    bugs=(
        Bug("pairs from the wrong side", "transitions", (*TRANSPOSED, "pairs")),
        Bug("score of the pairs forgotten", "transitions", ("score", "label", "term")),
        Bug("first step forgotten", "emissions", ("never written",)),
    ),
)


def points(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d = {60: (8, 6), 2_400: (24, 99)}.get(size, (30, 699))
    return {
        "x": data(rng, (n, d), kind) / d**0.5,
        "y": rng.normal(size=n),
        "log_length": rng.uniform(-0.5, 0.5, size=1),
        "log_noise": rng.uniform(-1.5, -0.5, size=1),
    }


def process_forward(x: Any, y: Any, log_length: Any, log_noise: Any) -> tuple[Any, Any]:
    """Return the negative log-likelihood of a Gaussian process, up to a constant."""
    squares = np.sum(x * x, axis=1)
    distances = squares[:, None] + squares - 2 * x @ x.T
    kernel = np.exp(-0.5 * distances * np.exp(-2 * log_length))
    covariance = kernel + np.exp(2 * log_noise) * np.eye(len(x), dtype=x.dtype)
    lower = np.linalg.cholesky(covariance)
    alpha = np.linalg.solve(covariance, y)
    value = 0.5 * np.sum(y * alpha) + np.sum(np.log(np.diag(lower)))
    return value, (x, log_length, log_noise, distances, kernel, covariance, alpha)


def process_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, log_length, log_noise, distances, kernel, covariance, alpha = cache
    inverse = np.linalg.inv(covariance)
    outer = alpha[:, None] * alpha
    if bug == "data term of the wrong sign":
        outer = -outer
    s = 0.5 * (inverse - outer)
    scale = np.exp(-2 * log_length)
    weights = s * kernel * scale
    pull = 2 * (x * weights.sum(axis=1)[:, None] - weights @ x)
    dx = -pull if bug == "half of the pairs" else -2 * pull
    dlength = np.sum(weights * distances, keepdims=True)[0]
    dnoise = 2 * np.exp(2 * log_noise) * np.trace(s)
    if bug == "log of the noise forgotten":
        dnoise = dnoise / np.exp(log_noise)
    dx = dx / 2
    return upstream * dx, upstream * alpha, upstream * dlength, upstream * dnoise


register(
    "gaussian_process",
    points,
    process_forward,
    process_backward,
    bugs=(
        Bug("data term of the wrong sign", "x log_length log_noise", ("term", "sign of"), START),
        Bug("half of the pairs", "x", (*FACTOR, "pairs", "symmetric"), HALF),
        Bug("log of the noise forgotten", "log_noise", (*LOG, *FACTOR)),
    ),
)


def clusters(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, k, d = {60: (6, 3, 4), 2_400: (40, 12, 36)}.get(size, (100, 40, 116))
    return {
        "x": data(rng, (n, d), kind),
        "mean": rng.normal(size=(k, d)),
        "log_sigma": rng.uniform(0, 0.5, size=(k, d)),
        "logit": rng.normal(size=k),
    }


def mixture_forward(x: Any, mean: Any, log_sigma: Any, logit: Any) -> tuple[Any, Any]:
    u = (x[:, None] - mean) * np.exp(-log_sigma)
    joint = logit - log_sum(logit, 0) - np.sum(log_sigma + 0.5 * u * u, axis=2)
    evidence = log_sum(joint, 1)
    r = np.exp(joint - evidence[:, None])
    return -np.mean(evidence), (u, log_sigma, logit, r)


def mixture_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    u, log_sigma, logit, r = cache
    share = r[:, :, None] / len(r)
    pull = share * u * np.exp(-log_sigma)
    dx, dmean = pull.sum(axis=1), -pull.sum(axis=0)
    dsigma = np.sum(share * (1 - u * u), axis=0)
    if bug == "normaliser of sigma forgotten":
        dsigma = np.sum(-share * u * u, axis=0)
    if bug == "sign of the mean":
        dmean = -dmean
    prior = np.exp(logit - log_sum(logit, 0))
    dlogit = prior - r.mean(axis=0)
    if bug == "prior forgotten":
        dlogit = -r.mean(axis=0)
    return upstream * dx, upstream * dmean, upstream * dsigma, upstream * dlogit


register(
    "mixture",
    clusters,
    mixture_forward,
    mixture_backward,
    bugs=(
        Bug("normaliser of sigma forgotten", "log_sigma", ("constant along", "term")),
        Bug("sign of the mean", "mean", SIGN),
        Bug("prior forgotten", "logit", ("sum", "term", "softmax", "normalis")),
    ),
)


def counted(rng: Rng, size: int, kind: str) -> dict[str, Any]:
    n, d = (8, 6) if size < 100 else (40, size // 42)
    return {
        "x": data(rng, (n, d), kind) / d**0.5,
        "w": rng.normal(size=d) / 2,
        "log_scale": rng.normal(size=d) / 5,
        "events": rng.poisson(2.0, size=n),
    }


def poisson_forward(x: Any, w: Any, log_scale: Any, events: Any) -> tuple[Any, Any]:
    scale = np.exp(log_scale)
    z = x * scale @ w
    y = events.astype(x.dtype)
    return np.mean(np.exp(z) - y * z), (x, w, scale, z, y)


def poisson_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, w, scale, z, y = cache
    d = (np.exp(z) - y) / len(y)
    dw = x.T @ d * scale
    if bug == "weights summed":
        dw = dw * len(y)
    dlog = x.T @ d * w * scale
    if bug == "log of the scale forgotten":
        dlog = dlog / scale
    dx = d[:, None] * (w * scale)
    if bug == "scale of the features forgotten":
        dx = d[:, None] * w
    return upstream * dx, upstream * dw, upstream * dlog, None


register(
    "poisson",
    counted,
    poisson_forward,
    poisson_backward,
    bugs=(
        Bug("weights summed", "w", BATCH),
        Bug("log of the scale forgotten", "log_scale", LOG),
        Bug("scale of the features forgotten", "x", ("along axis",)),
    ),
)
