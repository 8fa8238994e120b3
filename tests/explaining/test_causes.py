"""Whole checks whose cause used to be told wrongly, or not at all."""

import warnings
from typing import Any

import numpy as np
import pytest

from gradcheck import Finding, check_gradient
from gradcheck.explaining.evidence import ArrayCheck
from gradcheck.explaining.experiments import MOVE
from gradcheck.explaining.findings import diagnose

rng = np.random.default_rng(3)
X, Y = rng.normal(size=(12, 4)), rng.normal(size=(12, 3))
NORMED = {
    "W1": rng.normal(size=(4, 5)),
    "b1": rng.normal(size=5),
    "gamma1": 1 + 0.2 * rng.normal(size=5),
    "beta1": 0.3 * rng.normal(size=5),
    "W2": rng.normal(size=(5, 3)),
    "b2": rng.normal(size=3),
}


def forward(p: Any, X: Any = X) -> tuple[Any, ...]:
    """Return what a network with batch norm makes of X, step by step."""
    z = X @ p["W1"] + p["b1"]
    centred = z - z.mean(axis=0)
    spread = np.sqrt(np.mean(centred**2, axis=0) + 1e-5)
    y = p["gamma1"] * centred / spread + p["beta1"]
    h = np.maximum(y, 0)
    return z, centred / spread, spread, y, h, h @ p["W2"] + p["b2"]


def loss(p: Any) -> Any:
    return 0.5 * np.sum((forward(p)[-1] - Y) ** 2) / len(X)


def gradient(p: Any, fault: str) -> dict[str, Any]:
    z, normed, spread, y, h, out = forward(p)
    d = (out - Y) / len(X)
    dy = (d @ p["W2"].T) * (y > 0)
    dx, seen = dy * p["gamma1"], z if fault == "not normed" else normed
    mean = 0 if fault == "mean" else dx.mean(axis=0)
    dz = (dx - mean - normed * (dx * seen).mean(axis=0)) / spread
    dz = dz * np.abs(dz) if fault == "twice" else dz
    db = 0 * p["b1"] if fault == "twice" else dz.sum(axis=0)
    return {
        "W1": X.T @ dz,
        "b1": db,
        "gamma1": (dy * seen).sum(axis=0),
        "beta1": dy.sum(axis=0),
        "W2": h.T @ d,
        "b2": d.sum(axis=0),
    }


def only(*given: Any, **options: Any) -> Finding:
    (finding,) = check_gradient(*given, **options).findings
    return finding


@pytest.mark.parametrize("seed", range(6))
def test_bias_before_a_batch_norm_is_not_ignored(seed: int) -> None:
    noise = np.random.default_rng(seed)
    moved = {name: p + 0.1 * noise.normal(size=p.shape) for name, p in NORMED.items()}
    finding = only(loss, lambda p: gradient(p, "mean"), moved)
    assert finding[:2] == ("W1, b1", "mean term")
    assert "a mean is taken off after this layer" in finding.look_at


@pytest.mark.parametrize(
    ("fault", "where", "between"),
    [("not normed", "W1, gamma1", ("beta1", "gamma1")), ("twice", "W1", ("gamma1", "W1"))],
)
def test_layer_across_a_scale_and_beside_a_bias_of_slope_0(
    fault: str, where: str, between: tuple[str, str]
) -> None:
    finding = only(loss, lambda p: gradient(p, fault), NORMED)
    assert finding[:2] == (where, "layer")
    assert "between {} and {}".format(*between) in finding.look_at


def test_what_drowns_in_noise_is_not_called_right() -> None:
    sizes = np.logspace(0, -4, 8).astype("f4")
    data, y = (rng.normal(size=s).astype("f4") for s in ((30, 8), 30))

    def noisy(w: Any) -> Any:
        return np.float32(np.sum((np.tanh(data @ (sizes * w)) - 100 * y) ** 2))

    def slope_forgotten(w: Any) -> Any:
        return sizes * (data.T @ (2 * (np.tanh(data @ (sizes * w)) - y)))

    finding = only(noisy, slope_forgotten, rng.normal(size=8).astype("f4"))
    assert finding.bug == "unknown"
    assert "more are too noisy to tell)" in finding.evidence


def test_copy_of_another_array_that_is_right_is_not_mixed_up() -> None:
    def product(p: Any) -> Any:
        return np.sum(np.tanh(X @ p["q"]) * np.cos(X @ p["k"]))

    def twice(p: Any) -> Any:
        dq = X.T @ ((1 - np.tanh(X @ p["q"]) ** 2) * np.cos(X @ p["k"]))
        return {"q": dq, "k": dq}

    finding = only(product, twice, {"q": rng.normal(size=(4, 3)), "k": rng.normal(size=(4, 3))})
    assert finding[:2] == ("k", "copied")


def test_n_of_a_penalty_is_the_length_that_data_and_labels_share() -> None:
    columns, y = rng.normal(size=(4, 30)), rng.normal(size=(1, 30))
    finding = only(
        lambda w, X, y: (np.sum((w @ X - y) ** 2) + 0.15 * np.sum(w**2)) / 30,
        lambda w, X, y: 2 * (w @ X - y) @ X.T / 30 + 0.3 * w,
        rng.normal(size=(1, 4)),
        args=(columns, y),
    )
    assert "not divided by 30 if 0.01" in finding.look_at


@pytest.mark.parametrize("shapes", [None, {"W": (4, 3), "b": (3,), "V": (3, 2), "c": (2,)}])
def test_arrays_joined_in_another_order(shapes: Any) -> None:
    def parts(t: Any) -> tuple[Any, ...]:
        return t[:12].reshape(4, 3), t[12:15], t[15:21].reshape(3, 2), t[21:]

    def flat(t: Any) -> Any:
        W, b, V, c = parts(t)
        return np.sum((np.tanh(X @ W + b) @ V + c - Y[:, :2]) ** 2)

    def joined(t: Any) -> Any:
        W, b, V, c = parts(t)
        h = np.tanh(X @ W + b)
        d = 2 * (h @ V + c - Y[:, :2])
        e = (d @ V.T) * (1 - h**2)
        return np.concatenate([(X.T @ e).ravel(), (h.T @ d).ravel(), e.sum(0), d.sum(0)])

    finding = only(flat, joined, rng.normal(size=23), shapes=shapes)
    assert finding[:2] == ("b, V" if shapes else "the gradient", "permuted")
    assert "arrays joined in another order" in finding.look_at


@pytest.mark.parametrize("order", ["read", "filled in"])
def test_order_f_is_transposed(order: str) -> None:
    W = rng.normal(size=(4, 3))

    def turned(W: Any) -> Any:
        right = X.T @ (2 * (np.tanh(X @ W) - Y) * (1 - np.tanh(X @ W) ** 2))
        if order == "read":
            return right.ravel(order="F").reshape(W.shape)
        return right.ravel().reshape(W.shape, order="F")

    finding = only(lambda W: np.sum((np.tanh(X @ W) - Y) ** 2), turned, W)
    assert finding.bug == "transposed"
    assert f"a holds n, {order} column by column" in finding.evidence


def test_sign_of_four_entries_of_five() -> None:
    w = rng.normal(size=(5, 1))
    finding = only(lambda w: np.sum(w**3), lambda w: 3 * w**2 * [[1], [-1], [-1], [-1], [-1]], w)
    assert "-1" in finding.evidence
    assert "4 of" in finding.evidence


def test_reading_that_is_the_same_in_all_entries_is_said_once() -> None:
    gamma = 1 + 0.2 * rng.random(size=4)
    finding = only(
        lambda p: np.sum(np.tanh(X * p["gamma"])),
        lambda p: {"gamma": np.sum((1 - np.tanh(X * p["gamma"]) ** 2) * X, 0) * p["gamma"]},
        {"gamma": gamma},
    )
    assert finding.evidence.startswith("a = n x in 4 of 4 entries")


def test_factor_made_of_all_parameters_is_no_penalty() -> None:
    w = rng.normal(size=8)
    finding = only(lambda w: np.sum(np.cos(w)) + np.sum(w**2) ** 1.5, lambda w: -np.sin(w), w)
    assert finding.bug == "multiple of x"


def test_slopes_that_are_0_where_the_loss_is_even_are_not_ignored() -> None:
    report = check_gradient(lambda w: np.sum(np.cosh(w)), lambda w: np.sinh(w) + 0.1, np.zeros(5))
    assert not {"loss ignores it", "mask"} & {finding.bug for finding in report.findings}


def test_a_loss_that_fails_or_warns_elsewhere_is_still_diagnosed() -> None:
    """Whether it moves is tried a little away, where the user's code may not go."""

    def loss(w: Any) -> Any:
        if np.max(np.abs(w)) == MOVE:
            warnings.warn("far away", stacklevel=1)
            raise ArithmeticError("far away")
        return np.sum(np.cosh(w))

    report = check_gradient(loss, lambda w: np.sinh(w) + 0.1, np.zeros(5))
    assert report.findings
    assert not any("No diagnosis" in note for note in report.notes)


def test_slopes_lost_in_noise_are_not_of_one_size() -> None:
    n = 1 + 0.1 * np.random.default_rng(0).normal(size=8)
    a, error = 40 * np.linspace(0.5, 1.5, 8), np.full(8, 0.1)
    (sharp,) = diagnose([ArrayCheck("w", n, a, np.ones(8), 0 * error, error > 0)])
    assert sharp.bug == "one size"
    (vague,) = diagnose([ArrayCheck("w", n, a, n, error, error > 0)])
    assert vague.bug != "one size"


def test_a_few_entries_that_happen_to_be_the_largest_are_no_part_of_the_range() -> None:
    for size, told in ((6, False), (12, True)):
        x = np.random.default_rng(0).permutation(np.arange(size) - size / 2 + 0.5)
        n, wrong = 1 + x**2, x > 0
        a = np.where(wrong, n * np.random.default_rng(1).uniform(2, 3, size), n)
        found = diagnose([ArrayCheck("w", x, a, n, np.full(size, 1e-9), wrong)])
        assert any("where x > 0" in finding.where for finding in found) is told, size


@pytest.mark.parametrize("written", [0.0, 5.0, 11.0])
def test_one_entry_of_whole_numbers_is_not_clipped(written: float) -> None:
    slopes = np.array([10.0, 4, 5, 3])
    wrong = np.array([written, 4, 5, 3])
    report = check_gradient(lambda w: slopes @ w, lambda w: wrong, np.ones(4))
    assert {finding.bug for finding in report.findings} <= {"one entry", "never written"}


def test_a_column_that_was_never_written_is_not_clipped() -> None:
    slopes = np.random.default_rng(0).uniform(0.1, 1, (5, 4)) * np.array([1, 1, 1, -1])
    report = check_gradient(
        lambda w: np.sum(slopes * np.sinh(w)),
        lambda w: slopes * np.cosh(w) * (np.arange(4) < 3),
        np.full((5, 4), 0.3),
    )
    assert [finding.bug for finding in report.findings] == ["never written"]


def test_an_empty_array_is_no_obstacle() -> None:
    x0 = {"W": np.arange(1.0, 7).reshape(2, 3), "b": np.zeros(0)}
    report = check_gradient(
        lambda p: np.sum(p["W"] ** 2), lambda p: {"W": 3 * p["W"], "b": p["b"]}, x0
    )
    assert report.findings[0].bug == "factor"
    assert "batch norm" not in str(report)


def test_slopes_that_are_0_where_the_loss_rounds_are_said_to_be() -> None:
    a, x0 = np.array([1.0, -2, 3, 4]), np.array([0.3, 1.1, -0.7, 0.4])
    report = check_gradient(lambda w: a @ np.round(4 * w) / 4, lambda w: a, x0)
    assert "n is exactly 0" in " ".join(finding.evidence for finding in report.findings)
