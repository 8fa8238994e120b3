"""From what was judged to what is explained: each array spread over its shape, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gradcheck.explaining.evidence import ArrayCheck, Finding
from gradcheck.explaining.experiments import own_steps, tried
from gradcheck.explaining.findings import diagnose
from gradcheck.judging.table import CheckedArray, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Array, Parameters, leaves

UNEXPLAINED = ("unknown", "these arrays only", "some entries")


def explain(
    evaluator: Evaluator,
    grad: Any,
    analytic: Sequence[Array],
    checked: Sequence[CheckedArray],
    blind: Sequence[float],
    vouched: Sequence[Array],
    *,
    output: Any = None,
    step: float | None = None,
) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Ask what explains the wrong entries; if that fails, the verdict stands, and it is said.

    Where no bug fits, trials may tell more. Along a clean direction n = a but for an error of
    `blind` typical entries of an array, in all that it `vouched` for.
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
        if step is not None and (found := _by_own_steps(evaluator, arrays, step)):
            return (found,), ()
        return _tried(diagnose(arrays, lengths, integers), evaluator, grad, arrays), ()
    except Exception as error:
        return (), (f"No diagnosis: it failed with {type(error).__name__}: {error}.",)


def _by_own_steps(
    evaluator: Evaluator, arrays: Sequence[ArrayCheck], step: float
) -> Finding | None:
    wrong = [
        (k, int(i), float(c.analytic.flat[i]))
        for k, c in enumerate(arrays)
        for i in np.flatnonzero(c.wrong)
    ]
    return own_steps(evaluator, wrong, step)


def _tried(
    findings: tuple[Finding, ...], evaluator: Evaluator, grad: Any, arrays: Sequence[ArrayCheck]
) -> tuple[Finding, ...]:
    """Add what trials show to the first finding that names no bug."""
    for i, finding in enumerate(findings):
        if finding.bug in UNEXPLAINED:
            names = finding.where.split(", ")
            told = [k for k, c in enumerate(arrays) if c.wrong.any() and c.where in names]
            told = told or [k for k, c in enumerate(arrays) if c.wrong.any()]
            if not (seen := tried(evaluator, grad, told)):
                return findings
            evidence = f"{finding.evidence}; tried: {'; '.join(s.said for s in seen)}"
            finding = finding._replace(evidence=evidence)
            if seen[0].bug:
                finding = finding._replace(bug=seen[0].bug, look_at=seen[0].look_at)
            return *findings[:i], finding, *findings[i + 1 :]
    return findings


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
