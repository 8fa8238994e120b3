"""A closer look after a search: it names entries here and there, of which little can be read.

Where that explains nothing, a small grid through a wrong entry is looked at: it shows what rows and
columns have to do with it. Only where right and wrong entries meet do more of them tell more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.judging.entries import EntryJudge
from gradcheck.judging.judge import Problem
from gradcheck.judging.table import CheckedArray, Verdict
from gradcheck.measuring.parameters import Array

TASTE = 4  # entries of an array of which nothing is known to be wrong
LOOKS = ((15, 28), (45, 60))  # entries of one array, and of all, at the first look and the second


def look_closer(
    problem: Problem, checked: Sequence[CheckedArray], arrays: Sequence[int], look: int
) -> Iterator[CheckedArray]:
    """Judge more entries of some arrays, those around what is wrong; yield what was told."""
    rng = np.random.default_rng(look)
    size, left = LOOKS[look]
    for k in arrays:
        mine = [c for c in checked if c.array == k]
        seen = np.concatenate([c.index for c in mine] or [np.empty(0, np.intp)])
        wrong = np.concatenate([c.index[c.verdict == Verdict.WRONG] for c in mine] or [seen])
        shape = problem.evaluator.parameters.shapes[k]
        around = _grid(shape, wrong, size, rng) if wrong.size else _some(shape, rng)
        index = np.setdiff1d(around, seen)[:left]
        index = index[np.isfinite(problem.gradient[k][index])]
        if not index.size:
            continue
        left -= index.size
        judge = EntryJudge(problem, k, index)
        judge.check_all()
        c = judge.checked
        told = c.verdict != Verdict.UNRESOLVED
        columns: list[Any] = [v[told] for v in list(vars(c).values())[1:]]
        yield CheckedArray(k, *columns)


def _some(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    size = int(np.prod(shape))
    return rng.choice(size, min(size, TASTE), replace=False)


def _grid(shape: tuple[int, ...], wrong: Array, size: int, rng: np.random.Generator) -> Array:
    """Return a grid of about `size` entries through wrong ones; all of an array that is small."""
    if np.prod(shape) <= size:
        return np.arange(np.prod(shape))
    sides = [1] * len(shape)
    while np.prod(sides) < size:  # the shortest side grows, as far as its axis goes
        axis = min((k for k, n in enumerate(shape) if sides[k] < n), key=lambda k: sides[k])
        sides[axis] += 1
    at = np.unravel_index(rng.permutation(wrong), shape)
    along = [
        list(dict.fromkeys([*i[: side // 3 + 1].tolist(), *rng.permutation(n).tolist()]))[:side]
        for n, i, side in zip(shape, at, sides, strict=True)
    ]
    return np.unique(np.ravel_multi_index(np.ix_(*along), shape))
