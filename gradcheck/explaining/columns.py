"""From what was judged to what is explained: each array spread over its shape, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.explaining.findings import diagnose
from gradcheck.explaining.hypotheses import ArrayCheck, Finding
from gradcheck.judging.table import CheckedArray, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Array, Parameters, leaves


def explain(
    evaluator: Evaluator,
    grad: Any,
    analytic: Sequence[Array],
    checked: Sequence[CheckedArray],
    blind: Sequence[float],
    vouched: Sequence[Array],
    *,
    output: Any = None,
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Ask what explains the wrong entries; if that fails, the verdict stands, and it is said.

    Along a clean direction n = a but for an error of `blind` typical entries of an array, in all
    that it `vouched` for.
    """
    if not any(np.any(c.verdict == Verdict.WRONG) for c in checked):
        return (), ()
    try:
        arrays = [
            _spread(
                evaluator.parameters,
                k,
                analytic[k],
                [c for c in checked if c.array == k],
                blind[k],
                vouched[k],
            )
            for k in range(len(analytic))
        ]
        shapes = list(_shapes((evaluator.args, output)))
        lengths = [s[0] for s in shapes] + [n for s in shapes for n in s[1:]]
        data = [array for _, array in leaves(list(evaluator.args))]
        integers = [
            d for d in data if isinstance(d, np.ndarray) and d.size and d.dtype.kind in "iu"
        ]
        return diagnose(arrays, lengths, integers), ()
    except Exception as error:
        return (), (f"No diagnosis: it failed with {type(error).__name__}: {error}.",)


def _shapes(value: Any) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of all arrays in `args`, and the lengths of lists, whatever holds them."""
    if isinstance(value, Mapping):
        value = tuple(value.values())
    numbers = isinstance(value, list) and all(isinstance(v, (int, float)) for v in value)
    if isinstance(value, (list, tuple)) and not numbers:
        if isinstance(value, list):
            yield (len(value),)
        for part in value:
            yield from _shapes(part)
    elif shape := (len(value),) if numbers else tuple(getattr(value, "shape", ())):
        yield shape


def _spread(
    parameters: Parameters,
    k: int,
    analytic: Array,
    checked: Sequence[CheckedArray],
    blind: float,
    vouched: Array,
) -> ArrayCheck:
    """Spread what was looked at over the shape of the array; NaN where nothing was."""
    numerical, error = np.full(analytic.size, np.nan), np.zeros(analytic.size)
    wrong = np.zeros(analytic.size, dtype=bool)
    settled = blind <= 1  # an array wrong throughout would have shown
    if settled:
        numerical[:] = analytic
        known = analytic[np.isfinite(analytic)]
        error[:] = blind * np.linalg.norm(known) / math.sqrt(known.size or 1)
    numerical[~vouched] = np.nan
    for c in checked:
        numerical[c.index], error[c.index] = c.numerical, c.error
        wrong[c.index] = c.verdict == Verdict.WRONG
        # on a kink, or unresolved: neither proof nor contradiction
        error[c.index[np.isin(c.verdict, (Verdict.KINK, Verdict.UNRESOLVED))]] = math.inf
    name, shape = parameters.names[k], parameters.shapes[k]
    columns = (parameters.x0[k], analytic, numerical, error)
    x, a, n, e = (column.reshape(shape) for column in columns)
    return ArrayCheck(name, x, a, n, e, wrong.reshape(shape), settled)
