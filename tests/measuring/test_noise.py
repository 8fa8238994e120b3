"""The noise of the loss: rounding, float32 inside a float64 program, waves, and chance."""

from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import estimate_noise, stands_still
from gradcheck.measuring.parameters import Parameters


def noise_of(fun: Any, x0: Any) -> tuple[float, Evaluator]:
    evaluator = Evaluator(fun, Parameters(x0), ())
    return estimate_noise(evaluator), evaluator


@pytest.mark.parametrize("seed", range(5))
def test_a_smooth_loss_has_the_noise_of_rounding_and_costs_nine_calls(seed: int) -> None:
    x0 = np.random.default_rng(seed).normal(size=20)
    noise, evaluator = noise_of(lambda w: np.sum(np.exp(w)), x0)
    assert noise < 10 * 2.0**-52 * evaluator.at_x0
    assert evaluator.nfev == 2 + 7


@pytest.mark.parametrize("penalty", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("kind", ["normal", "whole"])
@pytest.mark.parametrize("seed", range(5))
def test_float32_inside_is_found_beside_a_smooth_term(seed: int, kind: str, penalty: float) -> None:
    rng = np.random.default_rng(seed)
    x0 = rng.normal(size=30) if kind == "normal" else rng.integers(1, 4, 30).astype(float)
    v = rng.normal(size=30)

    def fun(x: Any) -> float:
        return float(v @ np.sin(x.astype(np.float32)).astype(float)) + penalty * float(x @ x)

    noise, evaluator = noise_of(fun, x0)
    assert noise > 1e-9 * abs(evaluator.at_x0)
    right = v * np.cos(x0) + 2 * penalty * x0
    assert not check_gradient(fun, right, x0).wrong
    assert not check_gradient(fun, -right, x0).passed


@pytest.mark.parametrize("period", [1e-2, 1e-4])
def test_a_wave_is_no_noise(period: float) -> None:
    x0 = np.random.default_rng(0).normal(size=5)
    noise, _ = noise_of(lambda w: np.sum(w**2) + 1e-3 * np.sum(np.sin(w / period)), x0)
    assert noise < 1e-12


def test_what_never_moves_stands_still_and_what_stands_at_a_minimum_does_not() -> None:
    x0 = {"dead": np.ones(3), "minimum": np.ones(3), "alive": np.ones(3)}

    def fun(p: Any) -> Any:
        shifted = p["alive"] + p["dead"] - p["dead"]
        return shifted @ shifted + np.sum((p["minimum"] - 1) ** 2)

    noise, evaluator = noise_of(fun, x0)
    assert [stands_still(evaluator, k, noise) for k in range(3)] == [True, False, False]


@pytest.mark.parametrize("keep", [0.5, 0.9])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_loss_of_chance_is_refused_or_left_open(keep: float, sign: int) -> None:
    """Dropout of three units: two calls at the point often agree by chance."""
    w = np.array([0.5, 1.0, 2.0])
    for seed in range(60):
        rng = np.random.default_rng(seed)

        def loss(w: Any, rng: Any = rng) -> Any:
            return np.sum(((rng.random(3) < keep) * w) ** 2)

        try:
            report = check_gradient(loss, lambda w: 2 * sign * w, w)
        except ValueError as error:
            assert "two values at the same point" in str(error)  # noqa: PT017
        else:
            assert not report.passed
            assert not report.wrong
