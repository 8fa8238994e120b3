"""Slopes with error bars: noise measured, steps realised, void estimates dropped."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient, directional_derivative, numerical_gradient
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import estimate_noise, sample
from gradcheck.measuring.parameters import Parameters
from gradcheck.measuring.slopes import (
    Ladder,
    direction_line,
    entry_line,
    first_steps,
    typical_sizes,
)

EPS = 2.0**-52


def evaluator_of(fun: Callable[..., Any], x0: Any) -> Evaluator:
    return Evaluator(fun, Parameters(x0), ())


def ladder_of(fun: Callable[..., Any], x: float, step: float, noise: float | None = None) -> Ladder:
    """Return a ladder along the only entry of a loss of one parameter."""
    evaluator = evaluator_of(lambda w: fun(float(w[0])), np.array([x]))
    noise = EPS * abs(evaluator.at_x0) / 3 if noise is None else noise
    return Ladder(entry_line(evaluator, 0, 0), evaluator, noise, step)


# ---------------------------------------------------------------- scale


@pytest.mark.parametrize(
    ("x", "sizes"),
    [
        ([1.0, -2.0, 3.0], [1, 2, 3]),
        ([0.0, -2.0, 4.0], [3, 2, 4]),  # at zero, the median of the others
        ([1e-9, 1.0, 1.0], [0.01, 1, 1]),  # not below a hundredth of the median
        ([1e9, 1.0, 1.0], [1e9, 1, 1]),
        ([0.0, 0.0], [1, 1]),
        ([0.0, 1e-8], [1e-8, 1e-8]),
        ([], []),
    ],
)
def test_the_scale_of_an_entry_is_its_size_or_that_of_its_array(x: Any, sizes: Any) -> None:
    np.testing.assert_allclose(typical_sizes(np.array(x)), sizes)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e6])
def test_the_first_step_balances_truncation_and_round_off(scale: float) -> None:
    (step,) = first_steps(np.array([1.0 / scale]), np.array([scale]), 1e-16)
    np.testing.assert_allclose(step / scale, 1e-16 ** (1 / 3))
    assert first_steps(np.array([0.0]), np.array([scale]), 1e-16)[0] <= 0.03 * scale
    assert first_steps(np.array([1e30]), np.array([scale]), 1e-16)[0] >= 0.99e-7 * scale


def test_nan_or_an_overflow_in_the_gradient_leaves_the_others_their_step() -> None:
    steps = first_steps(np.array([1.0, np.nan, np.inf]), np.ones(3), 1e-16)
    assert np.all(np.isfinite(steps))
    assert np.all(steps > 0)
    np.testing.assert_allclose(steps[0], first_steps(np.array([1.0]), np.ones(1), 1e-16), rtol=0.5)


# ---------------------------------------------------------------- the noise of the loss


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("relative", [1e-13, 1e-10, 1e-6])
def test_the_noise_of_a_loss_is_measured(seed: int, relative: float) -> None:
    weights = np.random.default_rng(seed).normal(size=5)

    def fun(w: Any) -> Any:
        smooth = 2 + np.sum(np.tanh(weights * w))
        jitter = np.sin(1e15 * np.sum(w * weights) + seed)  # the same at the same point
        return smooth * (1 + relative * jitter)

    noise = estimate_noise(evaluator_of(fun, np.linspace(0.5, 1.5, 5)), seed)
    size = abs(2 + np.sum(np.tanh(weights * np.linspace(0.5, 1.5, 5))))
    assert 0.1 < noise / (relative * size / math.sqrt(2)) < 10


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e8])
def test_a_clean_loss_has_the_noise_of_rounding_and_no_more(seed: int, scale: float) -> None:
    x0 = np.random.default_rng(seed).normal(size=20)
    evaluator = evaluator_of(lambda w: scale * np.sum(np.exp(w)), x0)
    noise = estimate_noise(evaluator, seed)
    assert EPS / 3 <= noise / abs(evaluator.at_x0) < 100 * EPS


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lattice", [1e-8, 1e-5])
def test_a_loss_rounded_to_a_lattice_is_not_taken_for_clean(seed: int, lattice: float) -> None:
    x0 = np.random.default_rng(seed).normal(size=10)
    fun = lambda w: np.round(np.sum(np.sin(w) + w) / lattice) * lattice  # noqa: E731
    assert estimate_noise(evaluator_of(fun, x0), seed) > 0.1 * lattice


def test_a_loss_computed_in_float32_has_float32_noise() -> None:
    x0 = np.random.default_rng(0).normal(size=50)
    fun = lambda w: float(np.sum(np.exp(w.astype(np.float32))))  # noqa: E731
    evaluator = evaluator_of(fun, x0)
    assert evaluator.eps == EPS  # it does not show in the type
    assert estimate_noise(evaluator) > 1e-9 * evaluator.at_x0


@pytest.mark.parametrize("seed", range(5))
def test_a_kink_at_the_point_is_not_taken_for_noise(seed: int) -> None:
    x0 = np.zeros(8)
    evaluator = evaluator_of(lambda w: 1 + np.sum(np.abs(w)), x0)
    assert estimate_noise(evaluator, seed) < 100 * EPS


@pytest.mark.parametrize("seed", range(40))
def test_roundings_that_repeat_themselves_are_noise(seed: int) -> None:
    """A sum of hundreds, taken off again: at even distances its roundings can all be alike."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(400, 200)), rng.normal(size=400)
    x0 = rng.normal(size=200) / np.sqrt(200)
    at_x0 = 0.5 * np.sum((X @ x0 - y) ** 2)

    def fun(w: Any) -> Any:
        above = 0.5 * np.sum((X @ w - y) ** 2) - at_x0
        return above**2 + above

    assert check_gradient(fun, X.T @ (X @ x0 - y), x0).passed


@pytest.mark.parametrize("where", [1.5e-10, 3.5e-10, 5.5e-10])
def test_a_kink_among_the_points_is_not_taken_for_noise(where: float) -> None:
    evaluator = evaluator_of(lambda w: 1 + w[0] + 100 * abs(w[0] - where), np.zeros(1))
    noise = sample(evaluator, entry_line(evaluator, 0, 0), 1e-10).noise
    assert noise < 1e-11  # the kink itself moves the loss by 1e-8 from point to point


def test_a_loss_that_ends_to_one_side_is_measured_to_the_other() -> None:
    def fun(w: Any) -> Any:
        return np.sum(w + 1e-6 * np.sin(1e15 * w)) if w[0] <= 1 else np.nan

    noise = estimate_noise(evaluator_of(fun, np.array([1.0])))
    assert 1e-7 < noise < 1e-5


def test_a_constant_loss_costs_few_calls_and_has_the_noise_of_rounding() -> None:
    evaluator = evaluator_of(lambda w: 3.0, np.ones(4))
    assert estimate_noise(evaluator) == pytest.approx(EPS)
    assert evaluator.nfev < 25


# ---------------------------------------------------------------- lines


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("x", [1 / 3, -7e7, 1e-9, 0.0])
@pytest.mark.parametrize("t", [1e-3, -1e-5, 1e-30])
def test_the_step_of_an_entry_is_the_one_that_floating_point_took(
    dtype: Any, x: float, t: float
) -> None:
    seen = []

    def fun(w: Any) -> float:
        seen.append(w[0])
        return 1.0

    evaluator = evaluator_of(fun, np.array([x], dtype))
    ((realised, _),) = entry_line(evaluator, 0, 0)([t])
    assert realised == float(seen[-1]) - float(dtype(x))
    assert realised * t > 0  # never lost to rounding, and to the side that was asked for


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(5))
def test_the_slope_along_a_direction_uses_the_steps_that_were_taken(dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x0, c, d = rng.normal(size=(3, 40))
    x0 = x0.astype(dtype)
    evaluator = evaluator_of(lambda w: float(c @ w.astype(float)), x0)
    gradient = [c]
    line = direction_line(evaluator, [(0, slice(None), d)], gradient)
    for t in (1e-2, 1e-5, -1e-7):
        ((_, loss),) = line([t])
        # What is left after the right gradient's prediction is the rounding of the loss alone.
        assert abs(loss - evaluator.at_x0) < 100 * EPS * np.sum(np.abs(c * x0))


def test_the_residual_along_a_direction_is_the_error_of_the_gradient() -> None:
    rng = np.random.default_rng(0)
    x0, d = rng.normal(size=(2, 30))
    wrong = np.cos(x0)
    wrong[4] += 1e-5
    evaluator = evaluator_of(lambda w: np.sum(np.sin(w)), x0)
    line = direction_line(evaluator, [(0, slice(None), d)], [wrong])
    (up, f_up), (down, f_down) = line([1e-5, -1e-5])
    assert (f_up - f_down) / (up - down) == pytest.approx(-1e-5 * d[4], rel=1e-3)


# ---------------------------------------------------------------- the ladder


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("step", [1e-7, 1e-4, 0.3])
def test_the_ladder_finds_its_way_from_any_first_step(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    a, b, x = rng.uniform(0.5, 2, size=3)
    best = ladder_of(lambda w: math.exp(a * w) + math.sin(b * w), x, step).climb()
    assert best is not None
    truth = a * math.exp(a * x) + b * math.cos(b * x)
    assert abs(best.value - truth) <= 4 / 3 * (best.error + best.kink)
    assert best.error < 1e-7 * abs(truth)


def test_steps_that_are_far_too_small_are_left_behind() -> None:
    """Parameters of 1e-6 in a loss that bends over 1: noise must not pass for a kink there."""
    x0 = 1e-6 * np.random.default_rng(0).normal(size=50)
    slope = numerical_gradient(lambda w: 1 + np.sum(np.exp(w) + np.sin(2 * w)), x0)
    truth = np.exp(x0) + 2 * np.cos(2 * x0)
    assert np.all(np.abs(slope.value - truth) <= slope.error)
    assert np.quantile(slope.error, 0.9) < 1e-6


def test_extrapolation_cancels_the_leading_truncation() -> None:
    ladder = ladder_of(math.exp, 0.0, 0.01)
    small, big = ladder.measure(-1.0), ladder.measure(0.0)
    assert small is not None
    assert big is not None
    (estimate,) = ladder.estimates()
    assert abs(estimate.value - 1) < 1e-3 * abs(small.slope - 1) < 1e-3 * abs(big.slope - 1)


def test_the_error_bar_keeps_round_off_where_the_rungs_agree_by_rounding() -> None:
    """Neighbours that agree to the last bit say nothing of the digits that both lost."""
    ladder = ladder_of(lambda w: 1e6 + w, 0.0, 1e-10)
    ladder.measure(0.0), ladder.measure(-1.0)
    for estimate in ladder.estimates():
        assert estimate.error >= abs(estimate.value - 1)
        assert estimate.round_off > 0


def test_an_estimate_that_a_smaller_step_contradicts_is_void() -> None:
    """Far out a saturated loss looks settled: slope 0, no round-off. Near the point it is not."""
    ladder = ladder_of(lambda w: math.tanh(1e6 * w), 0.0, 1.0)
    for exponent in (0.0, 1.0, 2.0, -10.0, -11.0, -12.0):
        ladder.measure(exponent)
    assert all(abs(e.value - 1e6) <= 2 * (e.error + e.kink) for e in ladder.estimates())
    best = ladder.best()
    assert best is not None
    assert best.value == pytest.approx(1e6, rel=1e-4)


@pytest.mark.parametrize("slopes", [(-1.0, 1.0), (0.0, 1.0), (2.0, 2.5)])
def test_half_the_jump_between_the_two_slopes_is_kept_as_the_kink(
    slopes: tuple[float, float],
) -> None:
    left, right = slopes
    best = ladder_of(lambda w: (right if w > 0 else left) * w + w**2, 0.0, 1e-3).climb()
    assert best is not None
    assert best.kink == pytest.approx((right - left) / 2, rel=1e-3)
    assert best.value == pytest.approx((right + left) / 2, rel=1e-3)
    assert best.error < 1e-2


def test_a_smooth_loss_has_no_kink_however_much_it_bends() -> None:
    best = ladder_of(lambda w: 3 * w + 50 * w**2, 0.0, 1e-2).climb()
    assert best is not None
    assert best.kink < 1e-8


@pytest.mark.parametrize("side", [1, -1])
def test_where_the_loss_ends_the_slope_is_taken_to_the_side_that_is_left(side: int) -> None:
    fun = lambda w: 3 * w + w**2 if side * w >= 0 else math.nan  # noqa: E731
    best = ladder_of(fun, 0.0, 1e-3).climb()
    assert best is not None
    assert abs(best.value - 3) <= best.error < 1e-4


def test_a_smaller_step_is_tried_where_the_loss_ends_near_by() -> None:
    fun = lambda w: math.log(w) if w > 0 else math.nan  # noqa: E731
    best = ladder_of(fun, 1e-6, 1.0).climb()
    assert best is not None
    assert best.value == pytest.approx(1e6, rel=1e-5)


def test_no_slope_where_the_loss_is_finite_nowhere_near_by() -> None:
    ladder = ladder_of(lambda w: 1.0 if w == 0 else math.nan, 0.0, 1e-3)
    assert ladder.climb() is None
    assert not ladder.rungs


def test_the_number_of_rungs_is_bounded() -> None:
    for fun in (math.floor, lambda w: w * math.sin(math.log(abs(w) + 1e-300)), abs):
        ladder = ladder_of(fun, 0.0, 1e-3, noise=1e-17)
        ladder.climb()
        assert ladder.evaluator.nfev < 60


# ---------------------------------------------------------------- numerical_gradient


def test_the_gradient_has_the_structure_of_x0_and_bars_that_cover() -> None:
    x0: Any = {"W": np.array([[0.1, -0.2], [0.3, 0.4]]), "more": [np.array(0.5), np.zeros(0)]}
    slope = numerical_gradient(lambda p: np.sum(np.sin(p["W"])) + p["more"][0] ** 3, x0)
    for tree in slope:
        assert tree["W"].shape == (2, 2)
        assert tree["more"][0].shape == ()
        assert tree["more"][1].shape == (0,)
    assert np.all(np.abs(slope.value["W"] - np.cos(x0["W"])) <= slope.error["W"])
    assert abs(slope.value["more"][0] - 0.75) <= slope.error["more"][0] < 1e-8


@pytest.mark.parametrize("seed", range(40))
def test_bars_cover_over_scales_of_the_point_and_of_the_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale, factor = 10.0 ** rng.integers(-8, 9), 10.0 ** rng.integers(-6, 9)
    x0, c = scale * rng.normal(size=10), rng.normal(size=10)
    slope = numerical_gradient(lambda w: factor * np.sum(c * np.sin(w / scale + c)), x0)
    truth = factor * c / scale * np.cos(x0 / scale + c)
    size = np.sqrt(np.mean(truth**2))
    assert np.all(np.abs(slope.value - truth) <= slope.error + 4 * EPS * size)
    assert np.median(slope.error) < 1e-6 * size  # an infinite bar covers everything


@pytest.mark.parametrize("seed", range(5))
def test_float32_bars_cover_too(seed: int) -> None:
    x0 = np.random.default_rng(seed).normal(size=10).astype(np.float32)
    slope = numerical_gradient(lambda w: np.sum(np.sin(w)), x0)
    truth = np.cos(x0.astype(float))
    assert np.all(np.abs(slope.value - truth) <= slope.error)
    assert np.median(slope.error) < 0.05


@pytest.mark.parametrize("step", [1e-4, 0.125])
def test_a_fixed_step_is_exactly_the_textbook_formula(step: float) -> None:
    x0 = np.array([0.3, -1.2, 2.0])
    slope = numerical_gradient(lambda w: np.sum(np.exp(w)), x0, step=step)
    for i in range(3):
        up, down = x0.copy(), x0.copy()
        up[i] += step
        down[i] -= step
        width = up[i] - down[i]
        assert slope.value[i] == (np.sum(np.exp(up)) - np.sum(np.exp(down))) / width
    assert np.all(np.abs(slope.value - np.exp(x0)) <= slope.error)


def test_a_fixed_step_costs_four_calls_an_entry() -> None:
    calls = 0

    def fun(w: Any) -> Any:
        nonlocal calls
        calls += 1
        return np.sum(np.exp(w))

    numerical_gradient(fun, np.ones(50), step=1e-4)
    assert 4 * 50 <= calls <= 4 * 50 + 25


def test_where_there_is_no_slope_the_bar_is_infinite() -> None:
    x0 = np.array([1.0, 2.0])
    slope = numerical_gradient(lambda w: w[1] if w[0] == 1.0 else np.nan, x0)
    assert math.isnan(slope.value[0])
    assert slope.error[0] == math.inf
    assert slope.value[1] == pytest.approx(1.0)


@pytest.mark.parametrize("step", [0, -1e-4, np.nan, np.inf, "1e-4", 1e-4j, [1e-4]])
def test_a_step_must_be_positive_and_finite(step: Any) -> None:
    runs: list[Callable[[], Any]] = [
        lambda: numerical_gradient(np.sum, np.ones(2), step=step),
        lambda: directional_derivative(np.sum, np.ones(2), np.ones(2), step=step),
    ]
    for run in runs:
        with pytest.raises(ValueError, match=r"`step` is .*positive finite number"):
            run()


# ---------------------------------------------------------------- directional_derivative


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("length", [1e-8, 1.0, 1e6])
def test_the_slope_along_a_direction_is_gradient_times_direction(seed: int, length: float) -> None:
    rng = np.random.default_rng(seed)
    x0 = {"a": rng.normal(size=(3, 4)), "b": rng.normal(size=5)}
    d = {key: length * rng.normal(size=x.shape) for key, x in x0.items()}
    slope = directional_derivative(lambda p: sum(np.sum(np.sin(v)) for v in p.values()), x0, d)
    truth = sum(float(np.sum(np.cos(x0[key]) * d[key])) for key in x0)
    assert isinstance(slope.value, float)
    assert isinstance(slope.error, float)
    assert abs(slope.value - truth) <= slope.error
    assert slope.error < 1e-7 * length * math.sqrt(17)


def test_args_reach_the_loss() -> None:
    fun = lambda w, X, c: c * np.sum(X @ w)  # noqa: E731
    X = np.arange(6.0).reshape(2, 3)
    slope = numerical_gradient(fun, np.ones(3), args=(X, 2.0))
    np.testing.assert_allclose(slope.value, 2 * X.sum(axis=0), rtol=1e-9)
    along = directional_derivative(fun, np.ones(3), np.ones(3), args=[X, 2.0])
    assert along.value == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("direction", "error", "words"),
    [
        (np.zeros(2), ValueError, "zero or not finite"),
        (np.array([1.0, np.nan]), ValueError, "zero or not finite"),
        (np.ones(3), ValueError, r"\(3,\).*\(2,\)"),
        ({"a": np.ones(2)}, ValueError, "not in `x0`: a"),
        (np.ones(2) * 1j, TypeError, "complex"),
        (None, TypeError, "NoneType"),
    ],
)
def test_a_direction_must_point_somewhere(
    direction: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=f"`direction`.*{words}"):
        directional_derivative(np.sum, np.ones(2), direction)


def test_one_non_zero_component_is_a_partial_derivative() -> None:
    x0 = np.array([0.3, -1.2, 2.0])
    slope = directional_derivative(lambda w: np.sum(np.exp(w)), x0, [0, 1, 0])
    assert abs(slope.value - math.exp(-1.2)) <= slope.error < 1e-8


@pytest.mark.parametrize("seed", range(5))
def test_the_bar_covers_the_rounding_of_the_points_on_a_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, direction = rng.uniform(0.5, 1.5, 8), rng.normal(size=8)
    w[3] = 0
    slope = directional_derivative(np.prod, w, direction)
    assert abs(slope.value - np.prod(np.delete(w, 3)) * direction[3]) <= slope.error < 1e-6


def test_a_loss_in_long_double_is_known_to_a_float() -> None:
    x0 = np.random.default_rng(0).normal(size=5).astype(np.longdouble)
    evaluator = Evaluator(lambda w: np.sum(np.sin(w)), Parameters(x0), ())
    assert evaluator.eps == 2.0**-52
