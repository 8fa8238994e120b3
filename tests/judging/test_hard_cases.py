"""Cases that once made the check lie: right gradients it blamed, wrong ones it passed."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient


@pytest.mark.parametrize("error", [2.0, 0.5, 0.2])
def test_an_error_in_a_tiny_float32_weight_is_seen_along_directions(error: float) -> None:
    w = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    smallest = int(np.abs(w).argmin())

    def gradient(w: Any) -> Any:
        g = w.copy()
        g[smallest] += np.float32(error)
        return g

    report = check_gradient(lambda w: np.float32(0.5) * (w * w).sum(), gradient, w)
    assert report.resolution[""] < error
    assert [entry.name for entry in report.wrong] == [f"[{smallest}]"]


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("kind", ["float32", "rounded"])
def test_kinks_under_noise_are_not_blamed_on_the_gradient(seed: int, kind: str) -> None:
    """The mean absolute error in float32, or to seven digits: kinks lie within every step."""
    X = np.random.default_rng(seed).normal(size=200)
    x0 = np.array([0.5])
    if kind == "float32":
        X, x0 = X.astype(np.float32), x0.astype(np.float32)

    def fun(w: Any) -> Any:
        loss = np.abs(X - w[0]).mean()
        return loss if kind == "float32" else round(float(loss), 7)

    slope = -np.sign(X - x0[0]).mean()
    assert check_gradient(fun, np.array([slope]), x0).passed
    if abs(slope) > 0.1:
        assert not check_gradient(fun, np.array([-slope]), x0).passed


@pytest.mark.parametrize("method", ["entries", "directions"])
def test_a_loss_that_is_float32_inside_is_no_loss_that_ignores_its_input(method: Any) -> None:
    def fun(w: Any) -> float:
        return float(np.float32(1000) + np.float32(0.1) * (w.astype(np.float32) ** 2).sum())

    x0 = np.array([1.0, 2.0])
    assert check_gradient(fun, 0.2 * x0, x0, method=method).passed
    assert not check_gradient(fun, -0.2 * x0, x0, method=method).passed


def test_a_saturated_loss_that_does_not_move_proves_nothing() -> None:
    logits = np.array([40.0, 0.0, 1.0])
    e = np.exp(logits - logits.max())
    report = check_gradient(
        lambda z: np.log(np.exp(z - z.max()).sum()) + z.max() - z[0],
        e / e.sum() - [1, 0, 0],
        logits,
    )
    assert report.passed
    assert "blind" in report.headline()


@pytest.mark.parametrize("power", [4, 8])
def test_small_entries_teach_each_other_their_step(power: int) -> None:
    w = np.random.default_rng(1).uniform(0.1, 1, size=200) ** power

    def fun(p: Any) -> Any:
        return np.sqrt(p).sum() if np.all(p > 0) else np.nan

    report = check_gradient(fun, lambda p: 0.5 / np.sqrt(p), w)
    assert report.passed
    assert report.nfev <= 2 * w.size + 40


def test_a_loss_that_jumps_at_the_point_is_unresolved() -> None:
    x0 = np.array([1.0, 2.0])
    report = check_gradient(lambda w: float(w[0] >= 1) + (w**2).sum(), 2 * x0, x0)
    assert [entry.verdict for entry in report.entries] == ["unresolved", "agree"]
    assert not report.passed


def test_ragged_data_does_not_break_the_diagnosis() -> None:
    report = check_gradient(
        lambda w, rows: sum(w.sum() * row.sum() for row in rows),
        lambda w, rows: -2 * w,
        np.ones(3),
        args=([np.ones(3), np.ones(2)],),
    )
    assert not report.passed


def test_ordered_dicts_reach_the_loss_as_they_are() -> None:
    x0 = OrderedDict(b=np.ones(2), a=np.ones(3))

    def fun(p: Any) -> Any:
        p.move_to_end("b")
        return sum((v**2).sum() for v in p.values())

    assert check_gradient(fun, lambda p: {k: 2 * v for k, v in p.items()}, x0).passed


def test_nested_data_that_is_changed_is_named() -> None:
    def fun(w: Any, data: Any) -> Any:
        data["X"] *= 0.5
        return (data["X"] @ w).sum()

    with pytest.raises(ValueError, match=r"changes `args\[0\]\.X` in place"):
        check_gradient(fun, np.ones(2), np.ones(2), args=({"X": np.ones((3, 2))},))


def test_the_rounding_of_all_parameters_excuses_what_is_left_at_an_exact_fit() -> None:
    """As a rule: the residual holds the roundings of parameters that are larger, too."""
    failed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        A, x0 = rng.normal(size=(12, 9)), rng.normal(size=9)
        x0[0] *= 0.02
        y = A @ x0

        def loss(x: Any, A: Any, y: Any) -> Any:
            return 0.5 * np.sum((A @ x - y) ** 2)

        def gradient(x: Any, A: Any, y: Any) -> Any:
            return A.T @ (A @ x - y)

        failed += not check_gradient(loss, gradient, x0, args=(A, y)).passed
    assert failed <= 6


@pytest.mark.parametrize("distance", [1e-10, 1e-11, 1e-12, 1e-13, 1e-14])
def test_a_right_gradient_beside_a_minimum_where_the_loss_is_zero_passes(distance: float) -> None:
    """Rounding makes the steps uneven by half a spacing: there, as much as the gradient itself."""
    x0 = 1 + distance * np.array([1.0, 2.0, 3.0])
    assert check_gradient(lambda w: np.sum((w - 1) ** 2), 2 * (x0 - 1), x0).passed
    assert not check_gradient(lambda w: np.sum((w - 1) ** 2), -2 * (x0 - 1), x0).passed
