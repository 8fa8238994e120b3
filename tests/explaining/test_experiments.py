"""What trials show is said as what was tried and seen, within 50 calls, and changes no verdict."""

from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient
from gradcheck.explaining.experiments import BUDGET

rng = np.random.default_rng(0)
X, y, W = rng.normal(size=(20, 4)), rng.normal(size=20), rng.normal(size=4)


def loss(w: Any, X: Any, y: Any, l2: float) -> Any:
    return 0.5 * np.sum((X @ w - y) ** 2) + l2 * np.sum(w**4)


def residual_of_the_first(w: Any, X: Any, y: Any, l2: float) -> Any:
    return X.T @ (0 * y + (X @ w - y)[0]) + 4 * l2 * w**3


def another_penalty(w: Any, X: Any, y: Any, l2: float) -> Any:
    return X.T @ (X @ w - y) + l2 * np.tanh(w)


def one_label(w: Any, X: Any, y: Any, l2: float) -> Any:
    return X.T @ (X @ w - np.where(y == y0, 2 * y, y)) + 4 * l2 * w**3


y0 = y[7]


@pytest.mark.parametrize(
    ("grad", "bug", "said", "look_at"),
    [
        (residual_of_the_first, "several examples", "right with the first row of the data alone, "
         "wrong with the first 2", "joins the examples"),
        (another_penalty, "one term", "right with l2 = 0, wrong with 0.1", "what `l2` multiplies"),
        (one_label, "one example", "right with the first 7 rows, wrong with row 7 alone", "row 7"),
    ],
)  # fmt: skip
def test_what_is_seen_is_said(grad: Any, bug: str, said: str, look_at: str) -> None:
    report = check_gradient(loss, grad, W, args=(X, y, 0.1))
    (finding,) = report.findings
    assert finding.bug == bug
    assert f"; tried: {said}" in finding.evidence
    assert look_at in finding.look_at


def test_wrong_everywhere_is_said_too() -> None:
    finding = check_gradient(loss, lambda w, X, *_: np.cos(X.sum(0)), W, args=(X, y, 0.1))
    assert finding.findings[0].bug == "unknown"
    assert "wrong with l2 = 0, too" in finding.findings[0].evidence
    assert "wrong with the first row of the data alone, too" in finding.findings[0].evidence


def test_another_point() -> None:
    def cosines(w: Any) -> Any:
        return np.sum(np.cos(w)) + np.sum(w) ** 3

    def grad(w: Any) -> Any:
        special = np.array_equal(w, W) * np.arange(1, 5) ** 2.0
        return -np.sin(w) + 3 * np.sum(w) ** 2 + special

    (finding,) = check_gradient(cosines, grad, W).findings
    assert finding.bug == "this point"
    assert "tried: right at another point" in finding.evidence


def test_right_where_all_is_positive() -> None:
    A = np.random.default_rng(8).normal(size=(4, 3))

    def cubes(w: Any) -> Any:
        return np.sum((w @ A) ** 3)

    (finding,) = check_gradient(cubes, lambda w: A @ (3 * (np.abs(w) @ A) ** 2), W).findings
    assert finding.bug == "unknown"
    assert "right with the absolute value of all parameters" in finding.evidence


def test_trials_cost_at_most_fifty_calls() -> None:
    calls = 0

    def counted(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        return loss(*given)

    report = check_gradient(counted, residual_of_the_first, W, args=(X, y, 0.1))
    given = residual_of_the_first(W, X, y, 0.1)
    silent = check_gradient(loss, given, W, args=(X, y, 0.1))
    assert calls == report.nfev
    assert 0 < report.nfev - silent.nfev <= BUDGET
    assert [e.verdict for e in report.entries] == [e.verdict for e in silent.entries]


def test_code_that_does_not_survive_a_trial_changes_nothing() -> None:
    def whole(w: Any, X: Any, y: Any, l2: float) -> Any:
        if len(X) < 20 or l2 == 0 or not np.array_equal(w, W):
            raise RuntimeError("only so")
        return residual_of_the_first(w, X, y, l2)

    report = check_gradient(loss, whole, W, args=(X, y, 0.1))
    assert len(report.wrong) == 4
    assert [finding.bug for finding in report.findings] == ["unknown"]
    assert "tried" not in str(report.findings)


def test_values_given_are_not_tried() -> None:
    report = check_gradient(loss, residual_of_the_first(W, X, y, 0.1), W, args=(X, y, 0.1))
    assert "tried" not in str(report.findings)


def test_loss_with_its_gradient_is_tried_as_well() -> None:
    def both(*given: Any) -> Any:
        return loss(*given), another_penalty(*given)

    (finding,) = check_gradient(both, True, W, args=(X, y, 0.1)).findings
    assert finding.bug == "one term"


def test_a_step_too_wide_is_called_that() -> None:
    A, data, s = rng.normal(size=(6, 5)), rng.normal(size=(6, 4)), rng.normal(size=(5, 4))
    s[rng.random(s.shape) > 0.4] *= 1e-7

    def smooth(s: Any) -> Any:
        return np.sqrt(s**2 + 1e-10)

    report = check_gradient(
        lambda s: np.sum((A @ s - data) ** 2) / 4 + 0.3 * np.sum(smooth(s)),
        lambda s: A.T @ (A @ s - data) / 2 + 0.3 * s / smooth(s),
        s,
        step=1e-4,
    )
    assert report.wrong
    (finding,) = report.findings
    assert finding.bug == "step"
    assert "leave it out" in finding.look_at
