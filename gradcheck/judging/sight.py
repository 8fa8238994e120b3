"""What a check could have seen: the size of an error against that of a typical entry; a sign."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import stands_still
from gradcheck.measuring.parameters import Array

ZERO = 1e3  # roundings of the other slopes: what is less is zero


def typical_entries(
    evaluator: Evaluator, gradient: Sequence[Array], noise: float
) -> list[tuple[float, bool]]:
    """Return the size of a typical entry of each array, and whether the array is zero by nature.

    The root mean square of its entries. A parameter that cancels, as a bias before a batch norm,
    has a gradient that is zero but for rounding: it is measured against what a wrong one would
    be, a tenth of the other slopes over steps as large as the parameters.
    """
    slopes, sizes = [], []
    for g, x in zip(gradient, evaluator.parameters.x0, strict=True):
        slope = float(np.linalg.norm(g))
        if not math.isfinite(slope):
            slope = float(np.linalg.norm(np.where(np.isfinite(g), g, 0)))
        slopes.append(slope / math.sqrt(g.size or 1))
        sizes.append(float(np.linalg.norm(x)) / math.sqrt(x.size or 1) or 1.0)
    whole = max(slope * size for slope, size in zip(slopes, sizes, strict=True))
    typical = []
    for k, (slope, size) in enumerate(zip(slopes, sizes, strict=True)):
        rounding = ZERO * float(np.finfo(gradient[k].dtype).eps) * whole
        zero = slope * size < rounding and stands_still(evaluator, k, noise)
        typical.append((0.1 * whole / size if zero else slope, zero))
    return typical


def zero_note(names: Sequence[str], eps: float) -> list[str]:
    """Say of which arrays only that much is known, that they are zero."""
    if not names:
        return []
    where = ", ".join(name or "the gradient" for name in names)
    text = (
        f"{where}: zero beside the other slopes on both sides, and the loss stands still. A wrong "
        "slope would have shown; the sign of what is below rounding would not."
    )
    float64 = " A check in float64 (`dtype=float`) would tell more." if eps > 1e-10 else ""
    return [text + float64]
