"""The true slopes of a loss, in extended precision: nothing here is shared with the package."""

from typing import Any

import numpy as np

from .problems import EPS, cast, leaves
from .right import Case

EXTENDED = bool(np.finfo(np.longdouble).eps < EPS / 100)  # not on every machine
STEPS = np.longdouble(10) ** -np.arange(0, 8, 0.5)


def one_sided_slopes(case: Case) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return (backward slope, forward slope, error bar) of every entry, array by array.

    Each is (-3 f(x) + 4 f(x + h) - f(x + 2h)) / 2h in ``np.longdouble``, extrapolated once, at the
    step where two neighbouring steps agree best. Where one side is outside the domain, the other
    stands for both.
    """
    x = cast(case.x0, np.longdouble)
    args = cast(case.args, np.longdouble)
    f0 = case.exact(x, *args)
    result = []
    for array in leaves(x):
        known = np.zeros((3, *array.shape), dtype=np.longdouble)
        typical = np.median(np.abs(array[array != 0])) if np.any(array) else 1
        for i in np.ndindex(array.shape):
            unit = case.near * (abs(array[i]) or typical)
            sides = [_slope(case, x, args, f0, array, i, side * unit) for side in (-1, 1)]
            back, forth = (s if np.isfinite(s[0]) else sides[1 - k] for k, s in enumerate(sides))
            known[(slice(None), *i)] = back[0], forth[0], max(back[1], forth[1])
        result.append((known[0], known[1], known[2]))
    return result


def _slope(
    case: Case, x: Any, args: Any, f0: Any, array: Any, i: Any, unit: Any
) -> tuple[Any, Any]:
    value = array[i]

    def f(t: Any) -> Any:
        array[i] = value + t
        return case.exact(x, *args)

    slopes, noise = [], []
    with np.errstate(invalid="ignore", divide="ignore"):
        for step in STEPS * unit:
            h = (value + step) - value
            f1, f2, f4 = f(h), f(2 * h), f(4 * h)
            fine, coarse = (-3 * f0 + 4 * f1 - f2) / (2 * h), (-3 * f0 + 4 * f2 - f4) / (4 * h)
            slopes.append(fine + (fine - coarse) / 3)
            noise.append(8 * np.finfo(np.longdouble).eps * max(abs(f1), abs(f0)) / abs(h))
        array[i] = value
        bar = np.abs(np.diff(slopes)) + noise[1:]
    if not np.any(np.isfinite(bar)):
        return np.nan, np.nan
    best = int(np.argmin(np.where(np.isfinite(bar), bar, np.inf)))
    return slopes[best + 1], bar[best]
