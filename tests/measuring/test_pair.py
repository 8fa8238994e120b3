"""`grad=True`: the loss comes with its gradient, and no back-pass is run for the gradient alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient, sweep_steps

X0 = {"w": np.array([0.3, -0.2, 0.5]), "b": np.array([[0.1]])}


def loss(p: Any) -> Any:
    return np.sum(np.exp(p["w"])) * p["b"][0, 0]


def both(p: Any) -> Any:
    return loss(p), {"w": np.exp(p["w"]) * p["b"][0, 0], "b": np.exp(p["w"]).sum().reshape(1, 1)}


@pytest.mark.parametrize("method", ["entries", "directions"])
def test_the_verdict_is_that_of_two_functions_and_the_calls_are_no_more(method: Any) -> None:
    calls = 0

    def counted(p: Any) -> Any:
        nonlocal calls
        calls += 1
        return both(p)

    report = check_gradient(counted, True, X0, method=method)
    apart = check_gradient(loss, lambda p: both(p)[1], X0, method=method)
    assert report.passed
    assert report.nfev == calls == apart.nfev
    assert report.to_dict() == apart.to_dict()


def test_a_list_and_args_and_workers_will_do() -> None:
    def fun(w: Any, X: Any) -> Any:
        return [np.sum((X @ w) ** 2), 2 * X.T @ (X @ w)]

    X = np.random.default_rng(0).normal(size=(5, 3))
    assert check_gradient(fun, True, X0["w"], args=(X,))
    assert check_gradient(fun, True, X0["w"], args=(X,), workers=map)
    sweep = sweep_steps(fun, True, X0["w"], args=(X,))
    assert sweep.errors.min() < 1e-8


def test_arrays_that_are_filled_again_at_each_call_are_seen_as_they_were() -> None:
    filled, left = np.zeros(3), np.zeros(3)

    def fill(w: Any) -> Any:
        filled[:] = 2 * w
        return w @ w, filled

    def add(w: Any) -> Any:
        left[:] += 2 * w
        return w @ w, left

    assert check_gradient(fill, True, X0["w"])
    with pytest.raises(ValueError, match=r"`grad` gave two values.*clear what an earlier"):
        check_gradient(add, True, X0["w"])


@pytest.mark.parametrize(
    ("fun", "error", "words"),
    [
        (loss, TypeError, ["`fun` returned", "`grad=True`", "a pair"]),
        (
            lambda p: both(p)[::-1],
            TypeError,
            ["`fun` returned arrays and then", "loss comes first"],
        ),
        (lambda p: (*both(p), 1), TypeError, ["a pair"]),
        (lambda p: (loss(p), None), TypeError, ["`grad` returned None"]),
        (lambda p: (loss(p), {"w": p["w"]}), ValueError, ["`grad`", "missing b"]),
        (lambda p: (loss(p), {**p, "b": p["w"]}), ValueError, ["at b", "(3,)", "(1, 1)"]),
        (3.0, TypeError, ["`fun` is 3.0", "not callable"]),
    ],
)
def test_what_is_no_pair_is_refused(fun: Any, error: type[Exception], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        check_gradient(fun, True, X0)
    for word in words:
        assert word in str(caught.value)
