"""What a check could have seen: the size of an error against that of a typical entry; a sign."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import LOUD, stands_still
from gradcheck.measuring.parameters import Array

SMALLEST = 0.1  # of the largest slope, over steps as large as the parameters: what a wrong one is


def typical_entries(
    evaluator: Evaluator, gradient: Sequence[Array], noise: float
) -> list[tuple[float, bool]]:
    """Return the size of a typical entry of each array, and whether the array is zero by nature.

    The root mean square of its entries. A parameter that cancels, as a bias before a batch norm,
    has a gradient that is zero but for rounding: it is measured against what a wrong one would be.
    """
    slopes, sizes = [], []
    for g, x in zip(gradient, evaluator.parameters.x0, strict=True):
        slope = float(np.linalg.norm(g))
        if not math.isfinite(slope):
            slope = float(np.linalg.norm(np.where(np.isfinite(g), g, 0)))
        slopes.append(slope / math.sqrt(g.size or 1))
        sizes.append(float(np.linalg.norm(x)) / math.sqrt(x.size or 1) or 1.0)
    changes = [slope * size for slope, size in zip(slopes, sizes, strict=True)]
    wrong = SMALLEST * max(changes)
    zero = [
        change < min(wrong, LOUD * noise) and g.size > 0 and stands_still(evaluator, k, noise)
        for k, (change, g) in enumerate(zip(changes, gradient, strict=True))
    ]
    found = zip(slopes, sizes, zero, strict=True)
    return [(wrong / size if cancels else slope, cancels) for slope, size, cancels in found]


def zero_note(names: Sequence[str], eps: float) -> list[str]:
    """Say of which arrays only that much is known, that they are zero."""
    if not names:
        return []
    where = ", ".join(name or "the gradient" for name in names)
    text = (
        f"{where}: both slopes are 0 but for rounding, and the loss stands still, as with a bias "
        "before a batch norm. A wrong slope would have shown; a sign below rounding would not."
    )
    float64 = " A check in float64 (`dtype=float`) would tell more." if eps > 1e-10 else ""
    return [text + float64]
