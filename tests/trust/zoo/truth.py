"""Are the zoo's right gradients right? Differences of higher order, nothing shared with gradcheck.

In float64, two one-sided differences of fifth order for each entry, between which the gradient must
lie: where the loss is smooth, they are the same to ten digits.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from .layer import Case

FORWARD = {0: -137 / 60, 1: 5, 2: -5, 3: 10 / 3, 4: -5 / 4, 5: 1 / 5}
STEPS = (1e-2, 3e-3, 1e-3, 1e-4, 1e-5)


def entry_bounds(case: Case, name: str, i: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return, for several steps, the least and the largest slope of one entry."""
    x = {k: v.copy() for k, v in case.x0.items()}
    start = x[name][i]

    def loss(t: float) -> float:
        x[name][i] = start + t
        return float(case.fun(x))

    return [_between(loss, h) for h in STEPS]


def _between(loss: Any, h: float) -> tuple[float, float]:
    forth = sum(w * loss(k * h) for k, w in FORWARD.items()) / h
    back = sum(w * loss(-k * h) for k, w in FORWARD.items()) / -h
    return min(back, forth), max(back, forth)


def gap(bounds: list[tuple[float, float]], value: float) -> float:
    """Return how far a value lies outside of what the slopes allow.

    Of the steps, the one counts that changes least from the one before: others meet a kink nearby,
    or rounding.
    """
    pairs = list(pairwise(bounds))
    changes = [abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in pairs]
    low, high = pairs[int(np.argmin(changes))][1]
    return max(low - value, value - high, 0.0)


def misses(case: Case, entries: int = 8, seed: int = 0) -> dict[str, float]:
    """Return, for each array, the worst gap of some entries, relative to the largest entry of all.

    `case` is taken in float64.
    """
    exact = case.exact
    rng = np.random.default_rng(seed)
    gradient = exact.grad(exact.x0)
    largest = max(float(np.abs(g).max()) for g in gradient.values())
    worst = {}
    for name, g in gradient.items():
        chosen = rng.choice(g.size, min(entries, g.size), replace=False)
        gaps = []
        for k in chosen:
            i = tuple(int(j) for j in np.unravel_index(k, g.shape))
            gaps.append(gap(entry_bounds(exact, name, i), float(g[i])))
        worst[name] = max(gaps) / largest
    return worst
