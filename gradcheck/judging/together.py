"""Entries on kinks, moved together: where the loss is smooth along a line, their sum must fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.judging.judge import Claim, Problem, examine
from gradcheck.judging.table import CheckedArray, Reason, Verdict
from gradcheck.measuring.slopes import ladder_along, typical_sizes


def kinks_together(problem: Problem, checked: Sequence[CheckedArray]) -> list[str]:
    """Move the entries of each array that sit on kinks all by the same amount; say what misfits.

    Each of two tied entries of a maximum may have any part of its slope, and alone each passes with
    the whole of it. Moved together they stay tied, the loss is smooth, and its slope is their sum.
    """
    notes = []
    for k, a in enumerate(problem.gradient):
        found = [c.index[c.verdict == Verdict.KINK] for c in checked if c.array == k]
        index = np.concatenate([np.zeros(0, dtype=int), *found])
        if index.size < 2:
            continue
        parameters, slopes = problem.evaluator.parameters, a[index].astype(float)
        size = float(np.median(typical_sizes(parameters.x0[k])))
        parts = [(k, index, np.full(index.size, size))]
        ladder = ladder_along(problem.evaluator, parts, problem.gradient, problem.noise)
        rtol = problem.rtol * float(np.linalg.norm(slopes)) * size
        allowed = problem.atol * size * np.sqrt(index.size) + rtol + 30 * problem.noise
        judged = examine(Claim(0.0, 0.0, float(allowed), 10 * ladder.rounding), ladder)
        if judged and judged.verdict is Verdict.WRONG and judged.reason is not Reason.KINK:
            ladder.repeat()
            name, total = parameters.names[k] or "the gradient", float(np.sum(slopes))
            notes.append(
                f"{name}: moved together, its {index.size:,} entries on kinks meet no kink, and "
                f"the sum of their slopes is {total:.4g}, not "
                f"{total + judged.slope.value / size:.4g}: "
                "tied entries share the slope of a maximum, and none has all of it beside another."
            )
    return notes
