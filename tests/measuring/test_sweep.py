"""Error against step: the V, its best step, its two slopes, and the floor of a wrong gradient."""

from typing import Any

import numpy as np
import pytest

from gradcheck import sweep_steps


def loss(w: Any) -> Any:
    return np.sum(np.exp(w))


X0 = np.array([0.5, -0.3, 1.0])


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("factor", [1.0, 1e-6, 1e8])
def test_the_error_falls_and_rises_again(seed: int, factor: float) -> None:
    x0 = np.random.default_rng(seed).normal(size=6)
    sweep = sweep_steps(lambda w: factor * loss(w), lambda w: factor * np.exp(w), x0, rng=seed)
    assert np.all(np.diff(sweep.steps) > 0)
    assert 1e-8 < sweep.best_step < 1e-3
    best = sweep.errors.min()
    assert best < 1e-8
    assert sweep.errors[-1] > 1e4 * best
    assert sweep.errors[0] > 1e4 * best
    assert sweep.errors[sweep.steps == sweep.best_step][0] < 300 * best


def test_to_the_right_the_error_is_truncation_and_grows_with_the_square() -> None:
    steps = np.array([1e-3, 1e-2, 1e-1])
    errors = sweep_steps(loss, np.exp, X0, steps=steps).errors
    np.testing.assert_allclose(errors[1:] / errors[:-1], 100, rtol=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_to_the_left_the_error_is_the_noise_over_the_step(seed: int) -> None:
    x0 = np.random.default_rng(seed).normal(size=6)
    direction = np.ones(6)
    steps = np.logspace(-11, -8, 60)
    sweep = sweep_steps(loss, np.exp, x0, direction=direction, steps=steps)
    absolute = sweep.errors * np.sum(np.exp(x0))
    typical = np.median(absolute * steps)
    assert 0.02 < typical / sweep.noise < 10


def test_a_square_loss_has_no_truncation() -> None:
    sweep = sweep_steps(lambda w: 0.5 * np.sum(w**2), lambda w: w, X0, steps=[0.25, 0.5, 1.0])
    assert np.all(sweep.errors < 1e-13)


@pytest.mark.parametrize("mistake", [1e-4, 0.1, -2.0])
def test_a_wrong_gradient_gives_a_floor_as_high_as_the_mistake(mistake: float) -> None:
    right = sweep_steps(loss, np.exp, X0, direction=np.ones(3))
    wrong = sweep_steps(loss, lambda w: np.exp(w) * (1 + mistake), X0, direction=np.ones(3))
    floor = abs(mistake / (1 + mistake))
    middle = (wrong.steps > 1e-7) & (wrong.steps < 1e-3)
    np.testing.assert_allclose(wrong.errors[middle], floor, rtol=0.1)
    assert right.errors[middle].max() < 1e-5


def test_by_default_there_are_33_steps_from_1e_minus_16_to_1() -> None:
    steps = sweep_steps(loss, np.exp, X0).steps
    np.testing.assert_allclose(steps, 10.0 ** np.arange(-16, 0.25, 0.5))


def test_steps_are_sorted_and_may_be_one_number() -> None:
    assert sweep_steps(loss, np.exp, X0, steps=[1e-2, 1e-6, 1e-4]).steps.tolist() == [
        1e-6,
        1e-4,
        1e-2,
    ]
    sweep = sweep_steps(loss, np.exp, X0, steps=1e-4)
    assert sweep.steps.tolist() == [1e-4] == [sweep.best_step]


@pytest.mark.parametrize("steps", [[], [0.0], -1e-4, [1e-4, np.nan], [np.inf], [None]])
def test_steps_must_be_positive_and_finite(steps: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="`steps`"):
        sweep_steps(loss, np.exp, X0, steps=steps)


@pytest.mark.parametrize("direction", [np.zeros(3), [1, np.nan, 1], [np.inf, 0, 0]])
def test_a_direction_must_point_somewhere(direction: Any) -> None:
    with pytest.raises(ValueError, match="`direction` is zero or not finite"):
        sweep_steps(loss, np.exp, X0, direction=direction)


def test_misuse_is_refused_as_in_a_check() -> None:
    with pytest.raises(ValueError, match=r"`direction` has shape \(2,\)"):
        sweep_steps(loss, np.exp, X0, direction=np.ones(2))
    with pytest.raises(TypeError, match="`fun` is None"):
        sweep_steps(None, np.exp, X0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="`grad` is None"):
        sweep_steps(loss, None, X0)
    with pytest.raises(ValueError, match=r"`grad` has shape \(2,\)"):
        sweep_steps(loss, np.ones(2), X0)
    with pytest.raises(TypeError, match="`x0` has dtype int64"):
        sweep_steps(loss, np.exp, np.array([1, 2]))


def test_a_gradient_that_is_not_finite_is_said_to_be_the_reason() -> None:
    with pytest.raises(ValueError, match="`grad`"):
        sweep_steps(loss, np.full(3, np.nan), X0)


def test_a_loss_that_is_finite_at_no_step_is_said() -> None:
    with pytest.raises(ValueError, match="`fun` is finite at none of the `steps`"):
        sweep_steps(lambda w: 1.0 if np.all(w == X0) else np.nan, np.ones(3), X0, steps=[0.1])


def test_steps_that_leave_the_domain_are_nan_and_the_best_is_among_the_others() -> None:
    x0 = np.array([0.01])
    sweep = sweep_steps(
        lambda w: float(np.log(w[0])) if w[0] > 0 else np.nan, lambda w: 1 / w, x0, direction=[1.0]
    )
    assert np.isnan(sweep.errors[-1])
    assert sweep.best_step <= 0.01
    assert "nan" in str(sweep)


def test_structures_seeds_and_args() -> None:
    x0 = {"a": np.ones((2, 2)), "b": [np.zeros(3)]}

    def fun(p: Any, c: float) -> Any:
        return c * (loss(p["a"]) + loss(p["b"][0]))

    def grad(p: Any, c: float) -> Any:
        return {"a": c * np.exp(p["a"]), "b": [c * np.exp(p["b"][0])]}

    first = sweep_steps(fun, grad, x0, args=(2.0,))
    again = sweep_steps(fun, grad, x0, args=(2.0,))
    other = sweep_steps(fun, grad, x0, args=(2.0,), rng=5)
    np.testing.assert_array_equal(first.errors, again.errors)
    assert np.any(first.errors != other.errors)
    assert first.errors.min() < 1e-8


def test_it_prints_a_table_that_names_the_two_regimes() -> None:
    lines = str(sweep_steps(loss, np.exp, X0)).splitlines()
    assert len(lines) == 34
    assert lines[0].split() == ["step", "error"]
    regimes = [line.split()[-1] for line in lines[1:]]
    assert regimes.count("best") == 1
    best = regimes.index("best")
    assert set(regimes[:best]) == {"round-off"}
    assert set(regimes[best + 1 :]) == {"truncation"}
    assert max(map(len, lines)) <= 80


def test_a_lucky_step_is_not_the_best() -> None:
    """One error that cancels by luck, far from the bottom of the V, does not win."""
    lucky = 1e-9

    def cubed(w: Any) -> Any:
        h = abs(w[0] - 1)
        return 1 + 3 * (w[0] - 1) if abs(h / lucky - 1) < 0.1 else w[0] ** 3

    sweep = sweep_steps(cubed, [3.0], np.ones(1), direction=[1.0], steps=10.0 ** -np.arange(1, 13))
    assert 5e-9 < sweep.best_step < 1e-3


def test_a_wrong_gradient_is_said_to_have_a_floor() -> None:
    right = sweep_steps(loss, np.exp, np.ones(3))
    wrong = sweep_steps(loss, lambda w: 1.01 * np.exp(w), np.ones(3))
    assert "floor" not in str(right)
    assert "floor" in str(wrong)
