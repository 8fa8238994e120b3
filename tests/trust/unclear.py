"""Losses of which no check can know the slope: it must vouch for nothing."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from .problems import Problem


def unclear_cases(seed: int) -> Iterator[tuple[str, Problem, bool]]:
    """Yield name, problem, and whether "wrong" is true as well: the slope is 0, and is not given.

    The gradient is what people write there.
    """
    rng = np.random.default_rng([seed, 3])
    x0 = rng.normal(size=int(rng.integers(2, 8)))
    a = rng.normal(size=x0.size)

    def jump(w: Any) -> float:
        return float(w[0] >= x0[0]) + float(np.sum(w**2))

    yield "jump at the point", Problem(jump, lambda w: 2 * w, x0), False

    def alone(w: Any) -> float:
        return float(np.sum(w**2)) if np.array_equal(w, x0) else np.nan

    yield "finite at the point alone", Problem(alone, lambda w: 2 * w, x0), False

    def steps(w: Any) -> float:
        return float(a @ np.round(4 * w) / 4)

    yield "rounded, slope passed straight through", Problem(steps, lambda w: a, x0), True

    def sign(w: Any) -> float:
        return float(a @ np.sign(w))

    at = x0 / 5  # within the slope that is passed through
    yield (
        "sign, slope passed straight through",
        Problem(sign, lambda w: a * (abs(w) <= 1), at),
        True,
    )
