"""Entries on kinks, moved together: where the loss is smooth along a line, their sum must fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.judging.judge import Claim, examine
from gradcheck.judging.table import CheckedArray, Reason, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Array
from gradcheck.measuring.slopes import (
    REALISED,
    Ladder,
    direction_line,
    first_steps,
    rounding,
    typical_sizes,
)


def kinks_together(
    evaluator: Evaluator,
    analytic: Sequence[Array],
    noise: float,
    checked: Sequence[CheckedArray],
    *,
    rtol: float,
    atol: float,
) -> list[str]:
    """Move the entries of each array that sit on kinks all by the same amount; say what misfits.

    Each of two tied entries of a maximum may have any part of its slope, and alone each passes with
    the whole of it. Moved together they stay tied, the loss is smooth, and its slope is their sum.
    """
    notes = []
    for k, a in enumerate(analytic):
        found = [c.index[c.verdict == Verdict.KINK] for c in checked if c.array == k]
        index = np.concatenate([np.zeros(0, dtype=int), *found])
        if index.size < 2:
            continue
        size = float(np.median(typical_sizes(evaluator.parameters.x0[k])))
        parts = [(k, index, np.full(index.size, size))]
        change = float(np.linalg.norm(a[index].astype(float))) * size
        blur = rounding(evaluator, parts)
        step = max(float(first_steps(np.array([change]), np.ones(1), noise)[0]), REALISED * blur)
        line = direction_line(evaluator, parts, analytic)
        allowed = atol * size * np.sqrt(index.size) + rtol * change + 30 * noise
        ladder = Ladder(line, evaluator, noise, step, blur)
        judged = examine(Claim(0.0, 0.0, float(allowed)), ladder, 10 * blur)
        if judged and judged.verdict is Verdict.WRONG and judged.reason is not Reason.KINK:
            name = evaluator.parameters.names[k] or "the gradient"
            total = float(np.sum(a[index].astype(float)))
            slope = total + judged.slope.value / size
            notes.append(
                f"{name}: moved together, its {index.size:,} entries on kinks meet no kink, and "
                f"the sum of their slopes is {total:.4g}, not {slope:.4g}: "
                "tied entries share the slope of a maximum, and none has all of it beside another."
            )
    return notes
