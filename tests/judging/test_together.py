"""Tied entries that each pass alone: together their slopes must fit."""

from typing import Any

import numpy as np
import pytest

from gradcheck import check_gradient

METHODS = ["entries", "directions"]


def pooling(seed: int, share: str) -> tuple[Any, Any, Any]:
    """Return the loss of a max-pool of windows of 3 tied entries, a gradient, and the point."""
    rng = np.random.default_rng(seed)
    v, x0 = rng.uniform(0.5, 1.5, 4), np.repeat(rng.normal(size=(4, 1)), 3, axis=1)
    parts = {"all": np.ones(3), "first": np.eye(3)[0], "even": np.full(3, 1 / 3)}[share]
    return (lambda x: np.sum(v * x.max(axis=1))), (lambda x: np.outer(v, parts)), x0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(5))
def test_a_maximum_that_gives_its_whole_slope_to_each_tied_entry_does_not_pass(
    seed: int, method: Any
) -> None:
    report = check_gradient(*pooling(seed, "all"), method=method)
    assert not report.passed
    assert not report.wrong  # alone, each lies between its two slopes
    assert "moved together" in " ".join(report.notes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("share", ["first", "even"])
@pytest.mark.parametrize("seed", range(5))
def test_a_slope_that_is_shared_passes(seed: int, share: str, method: Any) -> None:
    assert check_gradient(*pooling(seed, share), method=method).passed


@pytest.mark.parametrize("seed", range(10))
def test_any_subgradients_of_kinks_that_do_not_meet_pass(seed: int) -> None:
    """Moved together they meet their kinks all the same, and a sum need not lie between."""
    rng = np.random.default_rng(seed)
    v, between = rng.normal(size=8), rng.uniform(size=8)
    report = check_gradient(lambda x: v @ np.maximum(x, 0), v * between, np.zeros(8))
    assert report.passed, str(report)
