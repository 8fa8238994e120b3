"""Recurrent layers, unrolled: the same weights at every step."""

from typing import Any

import numpy as np

from .activations import sigmoid
from .layer import Bug, Rng, data, register
from .words import BLOCK, CARRIED, START, ZERO


def recurrent_inputs(gates: int) -> Any:
    def inputs(rng: Rng, size: int, kind: str) -> dict[str, Any]:
        h = {60: 3, 2_400: 32, 21_000: 98}[size] if gates == 1 else 2
        if gates > 1 and size > 100:
            h = int((size / gates / 2.1) ** 0.5)
        n, t, d = (2, 4, 3) if size < 100 else (3, 6, h)
        return {
            "x": data(rng, (n, t, d), kind),
            "wx": rng.normal(size=(d, gates * h)) / d**0.5,
            "wh": rng.normal(size=(h, gates * h)) / h**0.5,
            "b": rng.normal(size=gates * h),
        }

    return inputs


def rnn_forward(x: Any, wx: Any, wh: Any, b: Any) -> tuple[Any, Any]:
    states = [np.zeros((len(x), len(wh)), np.result_type(x, wh))]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ wx + states[-1] @ wh + b))
    return np.stack(states[1:], axis=1), (x, wx, wh, states)


def rnn_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, wx, wh, states = cache
    dx = np.zeros(x.shape, upstream.dtype)
    dwx, dwh, db = (np.zeros(s, upstream.dtype) for s in (wx.shape, wh.shape, len(wh)))
    carried = 0
    for t in reversed(range(x.shape[1])):
        h = states[t + 1]
        d = (upstream[:, t] + carried) * (1 - h * h)
        dx[:, t] = d @ wx.T
        dwx += x[:, t].T @ d
        dwh += (h if bug == "state of the step itself" else states[t]).T @ d
        if bug == "bias of the last step":
            db = d.sum(axis=0)
        else:
            db += d.sum(axis=0)
        carried = 0 if bug == "carried slope dropped" else d @ wh.T
    return dx, dwx, dwh, db


register(
    "rnn",
    recurrent_inputs(1),
    rnn_forward,
    rnn_backward,
    bugs=(
        Bug("state of the step itself", "wh", (*CARRIED, "state"), START),
        Bug("bias of the last step", "b", (*CARRIED, "sum over examples", "biases only"), START),
        Bug("carried slope dropped", "x wx wh b", CARRIED, START),
    ),
)


def lstm_forward(x: Any, wx: Any, wh: Any, b: Any) -> tuple[Any, Any]:
    kind = np.result_type(x, wh)
    h = c = np.zeros((len(x), len(wh)), kind)
    outputs, steps = [], []
    for t in range(x.shape[1]):
        z = x[:, t] @ wx + h @ wh + b
        i, f, o, g = np.split(z, 4, axis=1)
        i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
        new = f * c + i * g
        steps.append((h, c, i, f, o, g, np.tanh(new)))
        h, c = o * np.tanh(new), new
        outputs.append(h)
    return (np.stack(outputs, axis=1), c), (x, wx, wh, steps)


def lstm_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, wx, wh, steps = cache
    dhs, dc = upstream
    dx = np.zeros(x.shape, dhs.dtype)
    dwx, dwh, db = (np.zeros(s, dhs.dtype) for s in (wx.shape, wh.shape, wx.shape[1]))
    dh = np.zeros_like(dc)
    for t in reversed(range(x.shape[1])):
        h, c, i, f, o, g, tc = steps[t]
        dh = dhs[:, t] + dh
        dc = dc + dh * o * (1 - tc * tc)
        df = dc * c * f * (1 - f)
        if bug == "forget gate never written":
            df = 0 * df
        do = dh * tc * o * (1 - o)
        dg = dc * i * (1 - g * g)
        if bug == "sigmoid's slope for tanh's":
            dg = dc * i * g * (1 - g)
        d = np.concatenate([dc * g * i * (1 - i), df, do, dg], axis=1)
        dx[:, t] = d @ wx.T
        dwx += x[:, t].T @ d
        dwh += h.T @ d
        db += d.sum(axis=0)
        dh = d @ wh.T
        dc = 0 * dc if bug == "cell's carried slope dropped" else dc * f
    return dx, dwx, dwh, db


register(
    "lstm",
    recurrent_inputs(4),
    lstm_forward,
    lstm_backward,
    bugs=(
        Bug("forget gate never written", "x wx wh b", (*BLOCK, *ZERO), START),
        Bug("sigmoid's slope for tanh's", "x wx wh b", (*BLOCK, "activation"), START),
        Bug("cell's carried slope dropped", "x wx wh b", CARRIED, START),
    ),
)


def gru_forward(x: Any, wx: Any, wh: Any, b: Any) -> tuple[Any, Any]:
    size = len(wh)
    h = np.zeros((len(x), size), np.result_type(x, wh))
    outputs, steps = [], []
    for t in range(x.shape[1]):
        a = x[:, t] @ wx + b
        u = h @ wh
        r = sigmoid(a[:, :size] + u[:, :size])
        z = sigmoid(a[:, size : 2 * size] + u[:, size : 2 * size])
        n = np.tanh(a[:, 2 * size :] + r * u[:, 2 * size :])
        steps.append((h, u, r, z, n))
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.stack(outputs, axis=1), (x, wx, wh, steps)


def gru_backward(upstream: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    x, wx, wh, steps = cache
    size = len(wh)
    dx = np.zeros(x.shape, upstream.dtype)
    dwx, dwh, db = (np.zeros(s, upstream.dtype) for s in (wx.shape, wh.shape, wx.shape[1]))
    dh: Any = 0
    for t in reversed(range(x.shape[1])):
        h, u, r, z, n = steps[t]
        dh = upstream[:, t] + dh
        dn = dh * (1 - z) * (1 - n * n)
        dz = dh * (h - n) * z * (1 - z)
        if bug == "gate turned round":
            dz = -dz
        dr = dn * u[:, 2 * size :] * r * (1 - r)
        da = np.concatenate([dr, dz, dn], axis=1)
        inner = dn if bug == "reset gate forgotten" else dn * r
        du = np.concatenate([dr, dz, inner], axis=1)
        dx[:, t] = da @ wx.T
        dwx += x[:, t].T @ da
        dwh += h.T @ du
        db += da.sum(axis=0)
        through = du @ wh.T
        dh = through if bug == "direct path forgotten" else through + dh * z
    return dx, dwx, dwh, db


register(
    "gru",
    recurrent_inputs(3),
    gru_forward,
    gru_backward,
    bugs=(
        Bug("gate turned round", "x wx wh b", (*BLOCK, "gate"), START),
        Bug("reset gate forgotten", "x wx wh b", (*BLOCK, *CARRIED), START),
        Bug("direct path forgotten", "x wx wh b", CARRIED, START),
    ),
)
