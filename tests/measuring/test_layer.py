"""A layer is checked by its output times a random upstream gradient, in which it must be linear."""

from __future__ import annotations

import re
from collections import OrderedDict
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import assert_backward, check_backward, check_gradient
from gradcheck.measuring.layer import Layer, random_upstream

METHODS = ["entries", "directions"]
RNG = np.random.default_rng(0)
X, W, B = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)


def affine(x: Any, w: Any, b: Any) -> Any:
    return x @ w + b


def affine_vjp(upstream: Any, x: Any, w: Any, b: Any) -> Any:
    return upstream @ w.T, x.T @ upstream, upstream.sum(axis=0)


def affine_forward(x: Any, w: Any, b: Any) -> Any:
    return affine(x, w, b), (x, w, b)


def affine_backward(dout: Any, cache: Any) -> Any:
    return affine_vjp(dout, *cache)


def wrong_arrays(report: Any) -> set[str]:
    return {entry.name.partition("[")[0] for entry in report.wrong}


# ---------------------------------------------------------------- the forms


class State(NamedTuple):
    h: Any
    c: Any


@pytest.mark.parametrize("method", METHODS)
def test_a_cache_or_the_inputs_come_back(method: Any) -> None:
    assert check_backward(affine_forward, affine_backward, (X, W, B), cache=True, method=method)
    assert check_backward(affine, affine_vjp, (X, W, B), method=method)
    assert check_backward(affine, affine_vjp, [X, W, B], method=method)


def test_one_array_comes_alone() -> None:
    report = check_backward(np.tanh, lambda u, x: u * (1 - np.tanh(x)), X)
    assert report.wrong[0].name.startswith("x[")
    assert check_backward(np.tanh, lambda u, x: u * (1 - np.tanh(x) ** 2), X)
    assert check_backward(np.tanh, lambda u, x: (u * (1 - np.tanh(x) ** 2),), X)
    assert check_backward(np.tanh, lambda u, x: u * (1 - np.tanh(x) ** 2), (X,))


def test_a_dict_goes_in_by_name_and_comes_back_as_a_dict() -> None:
    def vjp(upstream: Any, *, b: Any, w: Any, x: Any) -> Any:
        return dict(zip("xwb", affine_vjp(upstream, x, w, b), strict=True))

    inputs = {"w": W, "x": X, "b": B}
    assert check_backward(affine, vjp, inputs)
    report = check_backward(affine, lambda u, **k: vjp(u, **k) | {"b": u[0]}, inputs)
    assert wrong_arrays(report) == {"b"}


def test_names_are_those_of_forward() -> None:
    def forward(x: Any, *params: Any, scale: float = 1.0) -> Any:
        return affine(x, *params)

    report = check_backward(forward, lambda u, *a: (0 * X, 0 * W, 0 * B), (X, W, B))
    assert wrong_arrays(report) == {"x", "[1]".partition("[")[0]}
    assert {entry.name[:3] for entry in report.wrong} == {
        "x[0",
        "x[1",
        "x[2",
        "x[3",
        "x[4",
        "[1]",
        "[2]",
    }


def test_outputs_and_inputs_may_be_nested() -> None:
    def forward(x: Any, state: State, params: Any) -> Any:
        c = np.tanh(x @ params["W"]) + state.c
        return {"h": np.sin(c) + state.h, "rest": [c, (x, "name")]}

    def backward(u: Any, x: Any, state: State, params: Any) -> Any:
        a = np.tanh(x @ params["W"])
        dc = u["h"] * np.cos(a + state.c) + u["rest"][0]
        assert u["rest"][1][1] is None
        dz = dc * (1 - a**2)
        return dz @ params["W"].T + u["rest"][1][0], State(u["h"], dc), {"W": x.T @ dz}

    inputs = X, State(RNG.normal(size=(5, 4)), RNG.normal(size=(5, 4))), OrderedDict(W=W)
    assert check_backward(forward, backward, inputs)

    def wrong(u: Any, *arguments: Any) -> Any:
        dx, state, params = backward(u, *arguments)
        return dx, state._replace(c=2 * state.c), params

    report = check_backward(forward, wrong, inputs)
    assert {entry.name[:7] for entry in report.wrong} == {"state.c"}


@pytest.mark.parametrize("left_out", [True, False])
def test_labels_and_settings_are_passed_on(left_out: bool) -> None:
    y, settings = np.arange(5), {"keep": 0.5, "rows": [0, 1]}

    def forward(x: Any, y: Any, settings: Any) -> Any:
        assert settings["keep"] == 0.5
        settings["mean"] = x.mean(axis=0)  # of this call alone
        return x[y] * settings["keep"]

    def backward(u: Any, x: Any, y: Any, settings: Any) -> Any:
        dx = np.zeros_like(x)
        dx[y] = u * 0.5
        return dx if left_out else (dx, None, None)

    report = check_backward(forward, backward, (X, y, settings))
    assert report.passed
    assert report.size == X.size
    assert set(settings) == {"keep", "rows"}


def test_none_leaves_an_array_of_floats_out_and_says_so() -> None:
    def backward(u: Any, *inputs: Any) -> Any:
        dx, _, db = affine_vjp(u, *inputs)
        return dx, None, db

    report = check_backward(affine, backward, (X, W, B))
    assert report.passed
    assert report.size == X.size + B.size
    assert "Not checked, for `backward` gives None: w." in str(report)


@pytest.mark.parametrize("bug", [0.0, 1.0])
def test_a_number_is_checked_where_it_gets_a_slope_and_is_a_setting_where_not(bug: float) -> None:
    def forward(x: Any, scale: Any, power: float) -> Any:
        return scale * x**power

    def backward(u: Any, x: Any, scale: Any, power: float) -> Any:
        return u * scale * power * x ** (power - 1), np.sum(u * x**power) + bug, None

    report = check_backward(forward, backward, (np.abs(X), 0.5, 2.0))
    assert report.size == X.size + 1
    assert [entry.name for entry in report.wrong] == ["scale"] * int(bug)
    alone = check_backward(forward, lambda *a: backward(*a)[0], (np.abs(X), 0.5, 2.0))
    assert alone.size == X.size


@pytest.mark.parametrize("dtype", [None, float, np.float32])
def test_inputs_are_converted_and_never_changed(dtype: Any) -> None:
    seen = set()

    def forward(x: Any, table: Any) -> Any:
        seen.add((str(x.dtype), str(table[0].dtype)))
        return np.sin(x) * table[0]

    given = X.astype(np.float32)
    given.setflags(write=False)
    inputs = given, (np.arange(3),)
    report = check_backward(
        forward, lambda u, x, t: (u * np.cos(x) * t[0], None), inputs, dtype=dtype
    )
    assert report.passed
    assert seen == {(str(np.dtype(dtype or np.float32)), "int64")}


@pytest.mark.parametrize("method", METHODS)
def test_a_million_slopes_of_a_layer(method: str) -> None:
    x, w = RNG.normal(size=(4, 1000)), RNG.normal(size=(1000, 1000))
    report = check_backward(lambda x, w: x @ w, lambda u, x, w: (u @ w.T, x.T @ u), (x, w))
    assert report.passed
    assert report.method == "directions"
    assert report.nfev < 40


# ---------------------------------------------------------------- what it costs


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("factor", [1.0, 2.0])
@pytest.mark.parametrize("cache", [True, False])
def test_it_calls_forward_three_times_more_than_a_loss_made_by_hand(
    method: Any, factor: float, cache: bool
) -> None:
    calls = 0

    def forward(x: Any, w: Any, b: Any) -> Any:
        nonlocal calls
        calls += 1
        return affine_forward(x, w, b) if cache else affine(x, w, b)

    def backward(u: Any, *given: Any) -> Any:
        slopes = affine_backward(u, *given) if cache else affine_vjp(u, *given)
        return slopes[0], factor * slopes[1], slopes[2]

    report = check_backward(forward, backward, (X, W, B), cache=cache, method=method)
    assert report.passed is (factor == 1)
    assert report.nfev == calls
    assert re.search(rf"{calls} calls of `forward`", str(report))
    (upstream,) = Layer(
        forward, backward, (X, W, B), cache=cache, dtype=None, rng=None
    ).loss.upstream
    calls = 0

    def loss(p: Any) -> Any:
        output = forward(*p)
        return np.sum(upstream * (output[0] if cache else output))

    def grad(p: Any) -> Any:
        return backward(upstream, forward(*p)[1]) if cache else backward(upstream, *p)

    check_gradient(loss, grad, (X, W, B), method=method)
    assert report.nfev <= calls + 3


# ---------------------------------------------------------------- linear


def test_no_two_entries_of_an_upstream_gradient_are_alike() -> None:
    for shape in [(), (1,), (200, 300), (0, 3)]:
        weights = random_upstream(np.random.default_rng(1), np.zeros(shape))
        assert weights.shape == shape
        assert len(np.unique(np.abs(weights))) == weights.size
        assert np.all((np.abs(weights) >= 0.5) & (np.abs(weights) <= 1.5))
    assert random_upstream(np.random.default_rng(1), np.zeros(3, np.float32)).dtype == np.float32


BENT: dict[str, tuple[Any, str, str]] = {
    "ignores": (lambda u: np.ones_like(u), "ignores the upstream gradient", "the same"),
    "twice": (lambda u: u * u, "not linear", "1,000,000 times as large"),
    "sign": (np.abs, "not linear", "slopes 1,000 times as large"),
    "clip": (lambda u: np.clip(u, -5, 5), "not linear", "not -1,000 times"),
    "threshold": (lambda u: np.where(u > 0, u, 0), "not linear", "not -1,000 times"),
    "small": (lambda u: np.where(np.abs(u) < 0.6, 0, u), "not linear", "of a sum of two"),
    "norm": (lambda u: u / np.linalg.norm(u), "not linear", "slopes -1 times as large"),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bug", BENT)
def test_what_is_not_linear_in_the_upstream_gradient_is_a_finding(bug: str, method: Any) -> None:
    bend, name, evidence = BENT[bug]

    def backward(u: Any, x: Any, w: Any, b: Any) -> Any:
        dx, dw, _ = affine_vjp(u, x, w, b)
        return dx, dw, bend(u).sum(axis=0)

    report = check_backward(affine, backward, (X, W, B), method=method)
    assert not report.passed
    assert wrong_arrays(report) <= {"b"}
    (finding,) = report.findings
    assert finding.where == "b"
    assert name in finding.bug
    assert evidence in finding.evidence
    assert str(report).startswith("WRONG")


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_slopes_that_are_rounding_are_not_called_bent(offset: float) -> None:
    """A shift before a mean is taken off has no slope: what is left of it is round-off."""

    def forward(x: Any, b: Any) -> Any:
        z = x + b + offset
        return (z - z.mean(axis=0)).astype(np.float32).astype(float)

    def backward(u: Any, x: Any, b: Any) -> Any:
        dz = (u - u.mean(axis=0)).astype(np.float32).astype(float)
        return dz, dz.sum(axis=0)

    report = check_backward(forward, backward, (X, B[:3]), rtol=1e-3, atol=1e-2)
    assert not any("upstream" in finding.bug for finding in report.findings)


# ---------------------------------------------------------------- for which outputs?

TALL, WIDE = RNG.normal(size=(25, 3)), RNG.normal(size=(3, 14))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("part", "told"),
    [
        (np.s_[24, :], "the outputs [24, :] alone: the last row."),
        (np.s_[:, 5], "the outputs [:, 5] alone: one column."),
        (np.s_[3:7], "the outputs [3:7, :] alone."),
        (np.s_[3, 4], "the outputs [3, 4] alone."),
        (np.s_[:], "outputs throughout."),
    ],
)
def test_the_report_says_from_which_outputs_wrong_slopes_come(
    part: Any, told: str, method: Any, dtype: Any
) -> None:
    def backward(u: Any, *inputs: Any) -> Any:
        u = u.copy()
        u[part] *= 2
        return affine_vjp(u, *inputs)

    inputs = TALL, WIDE, WIDE[0]
    report = check_backward(affine, backward, inputs, method=method, dtype=dtype)
    assert f"The wrong slopes come from {told}" in report.notes


@pytest.mark.parametrize("method", METHODS)
def test_of_several_outputs_the_one_is_named_or_the_last_step(method: Any) -> None:
    def forward(x: Any, w: Any) -> Any:
        h = [np.tanh(x[0])]
        for t in range(1, len(x)):
            h.append(np.tanh(x[t] + h[-1] @ w))
        return {"all": np.stack(h), "last": h[-1]}

    def backward(u: Any, x: Any, w: Any, bug: str = "") -> Any:
        h, dx, dw, dh = forward(x, w)["all"], np.zeros_like(x), np.zeros_like(w), 0 * x[0]
        dh += 0 if bug == "last" else u["last"]
        for t in reversed(range(len(x))):
            dh = dh + (0 if bug == "step" and t == len(x) - 1 else u["all"][t])
            dx[t] = dh * (1 - h[t] ** 2)
            dw += h[t - 1].T @ dx[t] if t else 0
            dh = dx[t] @ w.T
        return dx, dw

    inputs = RNG.normal(size=(6, 5, 4)), RNG.normal(size=(4, 4))
    assert check_backward(forward, backward, inputs, method=method)
    for bug, told in (
        ("last", "the output last alone."),
        ("step", "the outputs all[5, :, :] alone: the last index along axis 0."),
    ):
        report = check_backward(forward, partial(backward, bug=bug), inputs, method=method)
        assert f"The wrong slopes come from {told}" in report.notes


@pytest.mark.parametrize("spent", ["changed", "freed"])
def test_a_cache_may_serve_once_only(spent: str) -> None:
    def backward(dout: Any, cache: Any) -> Any:
        x, w, b = cache
        if np.isnan(x[0, 0]):
            raise RuntimeError("a second time")
        slopes = affine_vjp(dout, x, w, b)
        x[:] = np.nan if spent == "freed" else 3 * x
        return slopes[0], slopes[1], dout[:-1].sum(axis=0)

    def forward(x: Any, w: Any, b: Any) -> Any:
        return affine(x, w, b), (x.copy(), w, b)

    assert check_backward(
        forward, lambda d, c: (*backward(d, c)[:2], d.sum(0)), (X, W, B), cache=True
    )
    report = check_backward(forward, backward, (X, W, B), cache=True)
    assert wrong_arrays(report) == {"b"}
    told = "The wrong slopes come from the outputs [4, :] alone: the last row."
    assert told in report.notes


# ---------------------------------------------------------------- misuse

FITS = lambda x: 2 * x  # noqa: E731


def in_place(u: Any, x: Any) -> Any:
    u *= 2
    return u


def input_in_place(u: Any, x: Any) -> Any:
    x *= 2
    return u


@pytest.mark.parametrize(
    ("forward", "backward", "inputs", "options", "error", "words"),
    [
        (None, FITS, X, {}, TypeError, ["`forward` is None", "not callable"]),
        (FITS, X, X, {}, TypeError, ["`backward` is", "not callable"]),
        (np.sum, FITS, X, {}, TypeError, ["`forward` returned", "one number", "`check_gradient("]),
        (lambda x: None, FITS, X, {}, TypeError, ["`forward` returned None", "`return` missing"]),
        (FITS, FITS, X, {"cache": True}, TypeError, ["`forward` returned", "a pair"]),
        (affine_forward, lambda u: u, (X, W, B), {"cache": True}, TypeError,
         ["`backward` cannot be called as backward(upstream, cache)"]),
        (FITS, lambda u, c: u, X, {"cache": True}, TypeError, ["`forward` returned", "a pair"]),
        (affine_forward, affine_backward, (X, W, B), {}, TypeError,
         ["backward(upstream, x, w, b)", "`cache=True`"]),
        (affine, affine_vjp, (X, W), {}, TypeError, ["`forward` cannot be called", "'b'"]),
        (affine, lambda u, *a: (u @ W.T, X.T @ u), (X, W, B), {}, ValueError,
         ["returned 2 slopes", "3 inputs", "x, w, b", "None"]),
        (affine, lambda u, *a: (*affine_vjp(u, *a), u), (X, W, B), {}, ValueError,
         ["returned 4 slopes", "3 inputs"]),
        (affine, lambda u, *a: affine_vjp(u, *a)[0], (X, W, B), {}, ValueError,
         ["returned an ndarray", "3 inputs"]),
        (affine, lambda u, *a: (u @ W.T, u.T @ X, u.sum(0)), (X, W, B), {}, ValueError,
         ["`backward` at w", "(4, 3)", "(3, 4)", "`inputs`"]),
        (affine, lambda u, **k: {"x": u @ W.T, "w": X.T @ u}, {"x": X, "w": W, "b": B}, {},
         ValueError, ["`backward`", "missing b", "None for one that is not to be checked"]),
        (affine, lambda u, **k: (u @ W.T, X.T @ u, u.sum(0)), {"x": X, "w": W, "b": B}, {},
         ValueError, ["returned a tuple", "a dict with these keys"]),
        (affine, lambda u, **k: {"x": u @ W.T, "dw": X.T @ u}, {"x": X, "w": W, "b": B}, {},
         ValueError, ["missing w, b", "not in `inputs`: dw"]),
        (FITS, lambda u, x: None, X, {}, TypeError, ["`backward` returned None", "`return`"]),
        (FITS, in_place, X, {}, ValueError, ["upstream gradient in place", "copy"]),
        (FITS, input_in_place, X, {}, ValueError, ["`backward` changes its input in place (x)"]),
        (lambda x: x.__imul__(2), lambda u, x: u, X, {}, ValueError,
         ["`forward` changes its input in place (x)"]),
        (FITS, lambda u, x: u, np.arange(3), {}, TypeError, ["`inputs`", "nothing to check"]),
        (FITS, lambda u, x: u, [[1.0, 2.0]], {}, TypeError, ["`inputs`", "nothing to check"]),
        (FITS, lambda u, x: u, np.array([1.0, np.nan]), {}, ValueError, ["`inputs` at x", "NaN"]),
        (np.log, lambda u, x: u / x, np.array([1.0, 0.0]), {}, ValueError,
         ["`forward` returned NaN or infinity", "finite"]),
        (lambda x: x > 0, lambda u, x: u, X, {}, TypeError, ["`forward` returned bool", "slope"]),
        (lambda x: x + 1j, lambda u, x: u, X, {}, TypeError, ["`forward` returned complex128"]),
        (FITS, lambda u, x: u, X, {"dtype": int}, TypeError, ["`dtype` is", "floating"]),
        (FITS, lambda u, x: u, X, {"dtype": "half a float"}, TypeError, ["`dtype`", "floating"]),
        (FITS, lambda u, x: u, X, {"method": "entry"}, ValueError, ["`method`"]),
        (FITS, lambda u, x: u, X, {"rtol": -1}, ValueError, ["`rtol`"]),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_cannot_be_checked_is_refused_in_the_words_of_a_layer(
    forward: Any, backward: Any, inputs: Any, options: Any, error: Any, words: list[str]
) -> None:
    with pytest.raises(error) as caught:
        check_backward(forward, backward, inputs, **options)
    for word in words:
        assert word in str(caught.value)
    for word in ("`fun`", "`grad`", "`x0`", ".sum()"):
        assert word not in str(caught.value)


def test_chance_is_refused_in_forward_and_in_backward() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="`forward` gave two values at the same point"):
        check_backward(lambda x: x * rng.random(), lambda u, x: u, X)
    with pytest.raises(ValueError, match=r"`backward` gave two values .* for x:"):
        check_backward(lambda x: x + 1, lambda u, x: u * rng.random(), X)


def test_an_exception_says_where_in_the_words_of_a_layer() -> None:
    def forward(x: Any) -> Any:
        if x[0] != 1.0:
            raise FloatingPointError("oh")
        return 2 * x

    with pytest.raises(FloatingPointError) as caught:
        check_backward(forward, lambda u, x: 2 * u, np.ones(3))
    assert any("raised by `forward`" in note for note in caught.value.__notes__)


def test_data_changed_in_place_are_named() -> None:
    def forward(x: Any, seen: Any) -> Any:
        seen += 1
        return 2 * x

    with pytest.raises(ValueError, match="`forward` changes `seen` in place"):
        check_backward(forward, lambda u, x, seen: 2 * u, (X, np.arange(3)))


def test_workers_and_progress_are_those_of_a_check() -> None:
    told: list[int] = []
    report = check_backward(
        affine, lambda u, *a: affine_vjp(u, *a), (X, W, B), workers=2,
        progress=lambda done, total: told.append(done),
    )  # fmt: skip
    assert report.passed
    assert told


def test_assert_backward_raises_with_a_short_table() -> None:
    assert assert_backward(affine, affine_vjp, (X, W, B)).passed
    with pytest.raises(AssertionError) as caught:
        assert_backward(affine, lambda u, *a: (u @ W.T, -X.T @ u, u.sum(0)), (X, W, B), max_rows=2)
    assert "w[" in str(caught.value)
    assert "... and" in str(caught.value)
    assert str(caught.value).count(" wrong") <= 4
