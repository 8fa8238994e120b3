"""A closer look after a search: it names entries here and there, of which little can be read.

Where that explains nothing, whole lines and a small grid through a wrong entry are looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradcheck.judging.entries import EntryJudge
from gradcheck.judging.judge import Problem
from gradcheck.judging.table import CheckedArray, Verdict
from gradcheck.measuring.parameters import Array

MOST = 400  # entries of all arrays together
LINE = 64  # entries along each axis
GRID = 30  # entries of the grid
TASTE = 24  # entries of an array of which nothing is known to be wrong


def look_closer(
    problem: Problem, checked: Sequence[CheckedArray], arrays: Sequence[int]
) -> Iterator[CheckedArray]:
    """Judge more entries of some arrays, those around what is wrong; yield what was told."""
    rng = np.random.default_rng(0)
    left = MOST
    for k in arrays:
        mine = [c for c in checked if c.array == k]
        seen = np.concatenate([c.index for c in mine] or [np.empty(0, np.intp)])
        wrong = np.concatenate([c.index[c.verdict == Verdict.WRONG] for c in mine] or [seen])
        shape = problem.evaluator.parameters.shapes[k]
        around = _around(shape, int(wrong[0]), rng) if wrong.size else _some(shape, rng)
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


def _around(shape: tuple[int, ...], place: int, rng: np.random.Generator) -> Array:
    """Return the lines through an entry, and a grid that holds it; all of an array that is small.

    Lines show what is the same along an axis, the grid what rows and columns have to do with it.
    """
    size = int(np.prod(shape))
    if size <= LINE:
        return np.arange(size)
    at = [int(i) for i in np.unravel_index(place, shape)]
    long = [axis for axis, n in enumerate(shape) if n > 1]
    side = max(2, round(GRID ** (1 / len(long))))
    found = []
    for axis in long:
        start = min(max(at[axis] - LINE // 2, 0), max(shape[axis] - LINE, 0))
        stretch = np.arange(start, min(start + LINE, shape[axis]))
        found.append(_flat(shape, [stretch if k == axis else [i] for k, i in enumerate(at)]))
    others = [rng.choice(n, min(n, side), replace=False) for n in shape]
    found.append(_flat(shape, [np.union1d(o, [i]) for o, i in zip(others, at, strict=True)]))
    return np.unique(np.concatenate(found))


def _flat(shape: tuple[int, ...], along: Sequence[Any]) -> Array:
    grid = np.ix_(*(np.asarray(i, np.intp) for i in along))
    flat: Array = np.ravel_multi_index(grid, shape).ravel()
    return flat
