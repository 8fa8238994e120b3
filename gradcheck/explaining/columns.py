"""From what was judged to what is explained: each array spread over its shape, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.explaining.closer import LOOKS, TASTE, look_closer
from gradcheck.explaining.evidence import ArrayCheck, Finding
from gradcheck.explaining.experiments import moves, own_steps, tried
from gradcheck.explaining.findings import diagnose
from gradcheck.judging.judge import Problem
from gradcheck.judging.table import CheckedArray, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Array
from gradcheck.measuring.structures import leaves

UNEXPLAINED = ("unknown", "these arrays only", "some entries")


class Explained(NamedTuple):
    """What the wrong entries mean, what is to be noted, and the entries looked at for that."""

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    checked: tuple[CheckedArray, ...] = ()


class Seen(NamedTuple):
    """What was judged, and what it takes to judge more.

    Along a clean direction n = a but for an error of `blind` typical entries of an array, in all
    that is `vouched` for.
    """

    problem: Problem
    checked: Sequence[CheckedArray]
    blind: Sequence[float]
    vouched: Sequence[Array]

    def arrays(self, closer: Sequence[CheckedArray] = ()) -> list[ArrayCheck]:
        """Spread all that is known over the arrays; one that was looked at closer is settled."""
        return [self._spread(k, closer) for k in range(len(self.problem.gradient))]

    def _spread(self, k: int, closer: Sequence[CheckedArray]) -> ArrayCheck:
        """Spread what was looked at over the shape of the array; NaN where nothing was."""
        parameters, analytic = self.problem.evaluator.parameters, self.problem.gradient[k]
        blind = self.blind[k]
        numerical, error = np.full(analytic.size, np.nan), np.zeros(analytic.size)
        wrong = np.zeros(analytic.size, dtype=bool)
        settled = blind <= 1  # an array wrong throughout would have shown
        if settled:
            numerical[:] = analytic
            known = analytic[np.isfinite(analytic)]
            error[:] = blind * np.linalg.norm(known) / math.sqrt(known.size or 1)
        numerical[~self.vouched[k]] = np.nan
        for c in (*self.checked, *closer):
            if c.array == k:
                numerical[c.index], error[c.index] = c.numerical, c.error
                wrong[c.index] = c.verdict == Verdict.WRONG
                # on a kink, or unresolved: neither proof nor contradiction
                error[c.index[np.isin(c.verdict, (Verdict.KINK, Verdict.UNRESOLVED))]] = math.inf
        # a taste that finds something does not show where that ends
        mine = [c.index.size > TASTE for c in closer if c.array == k]
        settled |= any(mine) or (bool(mine) and not wrong.any())
        fields = (parameters.x0[k], analytic, numerical, error)
        x, a, n, e = (field.reshape(parameters.shapes[k]) for field in fields)
        return ArrayCheck(parameters.names[k], x, a, n, e, wrong.reshape(x.shape), settled)


def explain(seen: Seen, grad: Any, *, output: Any = None) -> Explained:
    """Ask what explains the wrong entries; if that fails, the verdict stands, and it is said.

    Where no bug fits, a closer look and trials may tell more. `output` is that of a layer.
    """
    if not any(np.any(c.verdict == Verdict.WRONG) for c in seen.checked):
        return Explained()
    evaluator, step = seen.problem.evaluator, seen.problem.step
    closer: tuple[CheckedArray, ...] = ()
    try:
        arrays = _moving(seen, seen.arrays())
        data = "`args`" if output is None else "`inputs`"
        shapes = list(_shapes((evaluator.args, output)))
        lengths = [s[0] for s in shapes if s] + [n for s in shapes for n in s[1:]]
        # N is none of the lengths of the parameters, and most arrays share it
        own = {n for shape in evaluator.parameters.shapes for n in shape}
        lengths.sort(key=lambda n: (n in own, -sum(n in s for s in shapes)))
        given = [array for _, array in leaves(list(evaluator.args))]
        integers = [
            d for d in given if isinstance(d, np.ndarray) and d.size and d.dtype.kind in "iu"
        ]
        if step is not None and (found := _by_own_steps(evaluator, arrays, step)):
            return Explained((found,))
        findings = diagnose(arrays, lengths, integers, data)
        for look in range(len(LOOKS)):
            if not (more := _closer(seen, closer, arrays, findings, look)):
                break
            closer += more
            arrays = _moving(seen, seen.arrays(closer), arrays)
            findings = diagnose(arrays, lengths, integers, data)
        findings = _tried(findings, evaluator, grad, arrays)
        return Explained(findings, tuple(_looked(closer, arrays)), closer)
    except Exception as error:
        said = f"No diagnosis: it failed with {type(error).__name__}: {error}."
        return Explained((), (said,), closer)


def _moving(
    seen: Seen, arrays: Sequence[ArrayCheck], before: Sequence[ArrayCheck] = ()
) -> list[ArrayCheck]:
    """Note of each array, once, whether the loss moves with a wrong entry whose slope is 0."""
    noted = []
    for k, c in enumerate(arrays):
        flat = np.flatnonzero(c.wrong & (c.numerical == 0))
        known = bool(before) and (before[k].wrong & (before[k].numerical == 0)).any()
        if known:
            c = c._replace(moves=before[k].moves)
        elif flat.size:
            c = c._replace(moves=moves(seen.problem, k, int(flat[0])))
        noted.append(c)
    return noted


def _closer(
    seen: Seen,
    closer: tuple[CheckedArray, ...],
    arrays: Sequence[ArrayCheck],
    findings: Sequence[Finding],
    look: int,
) -> tuple[CheckedArray, ...]:
    """Look closer at arrays of which a search told little, if they are not explained.

    And at those in which all that it saw wrong lies in one line: are the others right?
    """
    open_ = {n for f in findings if f.bug in UNEXPLAINED for n in f.where.split(", ")}
    named = open_ & {c.where for c in arrays}
    some, others = [], []
    for k, c in enumerate(arrays):
        wrong = int(np.sum(c.wrong))
        if not wrong and not c.settled and open_ and not look:
            others.append(k)
        # a few single entries that a search found need no more
        if wrong > 2 and 2 * np.sum(c.known) < c.x.size:
            unexplained = c.where in named or (open_ and not named)
            mixed = not look or c.shown.any()  # right and wrong entries meet
            if (unexplained and mixed) or (c.in_line and not c.settled):
                some.append(k)
    return tuple(look_closer(seen.problem, (*seen.checked, *closer), others + some, look))


def _looked(closer: Sequence[CheckedArray], arrays: Sequence[ArrayCheck]) -> Iterator[str]:
    """Say what a closer look took."""
    if closer:
        names = ", ".join(dict.fromkeys(arrays[c.array].where for c in closer))
        count = sum(c.index.size for c in closer)
        yield f"To explain what is wrong, {count:,} more entries were looked at, in {names}."


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
