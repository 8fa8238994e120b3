"""What a check could have seen: no sign is called seen that is not, and none blind that is."""

from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient

METHODS = ["entries", "directions"]


def batch_norm(seed: int) -> tuple[Any, Any, Any]:
    """Return a linear layer with a bias before a batch norm: the bias cancels."""
    rng = np.random.default_rng(seed)
    X, v = rng.normal(size=(8, 3)), rng.normal(size=(8, 4))

    def parts(p: Any) -> tuple[Any, Any]:
        c = X @ p["W"] + p["b"]
        c = c - c.mean(axis=0)
        s = np.sqrt((c**2).mean(axis=0) + 1e-5)
        return c / s, s

    def gradient(p: Any) -> Any:
        h, s = parts(p)
        d = (v - v.mean(axis=0) - h * (v * h).mean(axis=0)) / s
        return {"W": X.T @ d, "b": d.sum(axis=0)}

    x0 = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    return (lambda p: np.sum(v * parts(p)[0])), gradient, x0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(5))
def test_what_cancels_was_seen_to_be_zero(seed: int, method: Any) -> None:
    fun, gradient, x0 = batch_norm(seed)
    report = check_gradient(fun, gradient, x0, method=method)
    assert report.passed
    assert not report.blind
    assert "stands still" in " ".join(report.notes)

    def wrong(p: Any) -> Any:
        g = gradient(p)
        return g | {"b": g["b"] + 0.1 * np.abs(g["W"]).max()}

    found = check_gradient(fun, wrong, x0, method=method)
    assert {entry.name[0] for entry in found.wrong} == {"b"}


@pytest.mark.parametrize("method", METHODS)
def test_one_array_at_its_minimum_is_blind_and_no_other(method: Any) -> None:
    x0 = {"w": np.ones(5), "v": np.full(5, 2.0)}

    def fun(p: Any) -> Any:
        return np.sum((p["w"] - 1) ** 2) + p["v"] @ p["v"]

    for sign in (1, -1):  # a gradient of another sign passes as well, and that is said
        gradient = {"w": sign * 2 * (x0["w"] - 1), "v": 2 * x0["v"]}
        report = check_gradient(fun, gradient, x0, method=method)
        assert report.passed
        assert report.blind == ("w",)


@pytest.mark.parametrize("seed", range(3))
def test_one_entry_with_a_wide_bar_does_not_make_its_array_blind(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x0 = np.append(rng.normal(size=20), 0.0)

    def fun(x: Any) -> Any:
        return np.sum(x[:-1] ** 2) + 50 * abs(x[-1])

    report = check_gradient(fun, np.append(2 * x0[:-1], 0.0), x0)
    assert report.passed
    assert not report.blind
    assert report.resolution[""] > 1  # in the entry on the kink anything from -50 to 50 passes


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0])
def test_where_all_entries_sit_on_kinks_nothing_can_be_told(scale: float) -> None:
    report = check_gradient(lambda x: 3 * np.abs(x).sum(), np.full(6, 3 * scale), np.zeros(6))
    assert report.passed
    assert report.blind == ("",)
    assert report.counts  # each is said to sit on a kink, whatever the gradient says
    assert all(entry.verdict == "kink" for entry in report.entries)
