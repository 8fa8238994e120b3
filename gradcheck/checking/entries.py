"""Check every partial derivative: two calls where they suffice, a ladder of steps where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradcheck.checking.evaluation import Evaluator
from gradcheck.checking.finite_difference import (
    ROUND_OFF,
    Estimate,
    Floats,
    Ladder,
    entry_line,
    first_steps,
    typical_sizes,
)
from gradcheck.checking.parameters import Array, Nudge
from gradcheck.checking.report import CheckedArray, Reason, Verdict

SURE = 3  # error bars a doubted entry must be off by: of thousands of entries, some are unlucky
SPARE, LOOK = 40, 14  # calls beyond two an entry that a right gradient may cost; those of a look


class Tolerance(NamedTuple):
    """What an entry may differ by, besides the error bar of its numerical slope."""

    rtol: float
    atol: float
    grain: float  # how finely the numbers of this array of the gradient are resolved

    @classmethod
    def of(cls, analytic: Array, rtol: float, atol: float) -> Tolerance:
        """Take the grain from the precision of the gradient and the size of its entries.

        An entry that is a sum of terms as large as its neighbours carries their rounding.
        """
        finite = analytic[np.isfinite(analytic)]
        largest = float(np.max(np.abs(finite), initial=0.0))
        return cls(rtol, atol, 10 * float(np.finfo(analytic.dtype).eps) * largest)

    def __call__(self, analytic: Floats | float, numerical: Floats | float) -> Floats:
        """Return the allowed difference, error bar not included."""
        larger: Floats = np.maximum(np.abs(analytic), np.abs(numerical))
        return self.atol + self.rtol * larger + self.grain


class Outcome(NamedTuple):
    """What is known of one entry."""

    numerical: float
    error: float
    verdict: Verdict
    reason: Reason
    best_step: float


def check_entries(
    evaluator: Evaluator,
    analytic: Sequence[Array],
    noise: float,
    *,
    rtol: float,
    atol: float,
    step: float | None,
) -> list[CheckedArray]:
    """Check every entry of every array; 2 calls of the loss each where the gradient is right."""
    checked = []
    done = 0
    for k, a in enumerate(analytic):
        tolerance = Tolerance.of(a, rtol, atol)
        done += a.size
        checked.append(_check_array(evaluator, k, a, noise, tolerance, step, done))
    return checked


def _check_array(
    evaluator: Evaluator,
    array: int,
    analytic: Array,
    noise: float,
    tolerance: Tolerance,
    step: float | None,
    done: int,
) -> CheckedArray:
    """Check one array in blocks, so that the first entries teach the others their step.

    With this array, `done` entries of the check are done.
    """
    x = evaluator.parameters.x0[array]
    checked = CheckedArray.blank(array, np.arange(x.size), analytic)
    if step is None:
        steps = first_steps(analytic.astype(float), typical_sizes(x), noise)
    else:
        steps = np.full(x.size, step)

    def look(i: int, first: float) -> Outcome:
        outcome = examine(evaluator, array, i, float(analytic[i]), noise, tolerance, first, step)
        note(checked, i, outcome, tolerance)
        return outcome

    at_once = np.zeros(x.size, dtype=bool)
    start, length = 0, 1
    while start < x.size:
        rows = slice(start, min(start + length, x.size))
        at_once[rows] = two_calls(evaluator, checked, rows, steps[rows], noise, tolerance)
        for i in (np.flatnonzero(~at_once[rows]) + start).tolist():
            outcome = look(i, float(steps[i]))
            if step is None and outcome.verdict is Verdict.AGREE:
                steps[i + 1 :] *= outcome.best_step / steps[i]
        start, length = rows.stop, min(2 * length, 1024)
    if step is not None:
        return checked

    # Of the entries that only their error bar excused, look again at those it excused most.
    excused = np.flatnonzero(at_once & (checked.error > checked.allowed / 2))
    difference = np.abs(checked.analytic - checked.numerical) / checked.allowed
    suspicious = False
    for looks, i in enumerate(excused[np.argsort(-difference[excused], kind="stable")].tolist()):
        spare = 2 * done + SPARE - evaluator.nfev
        if not suspicious and (looks >= 2 or spare < LOOK):
            break
        suspicious |= look(i, 4 * float(steps[i])).verdict is Verdict.WRONG
    return checked


def two_calls(
    evaluator: Evaluator,
    checked: CheckedArray,
    rows: slice,
    steps: Floats,
    noise: float,
    tolerance: Tolerance,
) -> Array:
    """Take one central difference for each of some entries; return which of them fit."""
    index = checked.index[rows]
    x = evaluator.parameters.x0[checked.array][index]
    up, down = (x + steps).astype(x.dtype), (x - steps).astype(x.dtype)
    up = np.where(up == x, np.nextafter(x, x.dtype.type(np.inf)), up)
    down = np.where(down == x, np.nextafter(x, x.dtype.type(-np.inf)), down)
    nudges: list[Nudge] = [
        ((checked.array, i, value),)
        for i, *pair in zip(index.tolist(), up, down, strict=True)
        for value in pair
    ]
    losses = np.array(evaluator(nudges))
    width = up.astype(float) - down.astype(float)
    with np.errstate(invalid="ignore", over="ignore"):
        numerical = (losses[0::2] - losses[1::2]) / width
        noises = np.maximum(noise, evaluator.eps * np.abs(losses).reshape(-1, 2).max(axis=1) / 3)
        bar = ROUND_OFF * noises / (width / 2)
        analytic = checked.analytic[rows].astype(float)
        difference = np.abs(analytic - numerical)
        allowed = tolerance(analytic, numerical)
        fits: Array = (difference <= allowed + bar) & np.isfinite(analytic)
        checked.numerical[rows], checked.error[rows] = numerical, bar
        checked.allowed[rows] = allowed + bar
        checked.reason[rows] = np.where(difference <= allowed, Reason.GRADIENT, Reason.ROUND_OFF)
    checked.verdict[rows] = Verdict.AGREE
    return fits


def note(checked: CheckedArray, row: int, outcome: Outcome, tolerance: Tolerance) -> None:
    """Write one outcome into the columns."""
    checked.numerical[row], checked.error[row] = outcome.numerical, outcome.error
    checked.allowed[row] = tolerance(float(checked.analytic[row]), outcome.numerical) + outcome.error
    checked.verdict[row], checked.reason[row] = outcome.verdict, outcome.reason


def examine(
    evaluator: Evaluator,
    array: int,
    index: int,
    analytic: float,
    noise: float,
    tolerance: Tolerance,
    first: float,
    step: float | None = None,
) -> Outcome:
    """Look at one entry at several steps, until its verdict is settled."""
    a = float(analytic)
    ladder = Ladder(entry_line(evaluator, array, index), evaluator, noise, first)
    if step is not None:
        value, error = ladder.fixed()
        if not np.isfinite(error):
            return Outcome(value, error, Verdict.UNRESOLVED, Reason.DOMAIN, step)
        fits = abs(a - value) <= tolerance(a, value) + error
        verdict = Verdict.AGREE if fits else Verdict.WRONG
        return Outcome(value, error, verdict, Reason.TRUNCATION if fits else Reason.GRADIENT, step)

    def enough(e: Estimate) -> bool:
        allowed, difference = float(tolerance(a, e.value)), abs(a - e.value)
        return (difference <= allowed and e.error + e.kink <= allowed) or (
            ladder.confirmed(e) and difference > allowed + SURE * (e.error + e.kink)
        )

    best = ladder.climb(enough)
    if best is None:
        reason = Reason.DOMAIN if not ladder.rungs else Reason.NOISE
        return Outcome(np.nan, np.inf, Verdict.UNRESOLVED, reason, first)
    best_step = min(
        ladder.rungs.values(), key=lambda rung: abs(rung.slope - best.value) + rung.bar
    ).step
    verdict, reason, chosen = _judge(a, best, ladder.estimates(), tolerance)
    error = SURE * chosen.error + (chosen.kink if verdict is not Verdict.AGREE else 0.0)
    return Outcome(chosen.value, error, verdict, reason, best_step)


def _judge(
    a: float, best: Estimate, estimates: Sequence[Estimate], tolerance: Tolerance
) -> tuple[Verdict, Reason, Estimate]:
    """Hold the analytic value against the estimates that are about as sharp as the best."""
    sharp = [e for e in estimates if e.error + e.kink <= 3 * (best.error + best.kink)]
    sharp.sort(key=lambda e: e.error + e.kink)
    for e in sharp if np.isfinite(a) else ():
        allowed, difference = float(tolerance(a, e.value)), abs(a - e.value)
        if difference <= allowed + SURE * e.error:
            if difference <= allowed:
                return Verdict.AGREE, Reason.GRADIENT, e
            # Rungs that disagree by far more than noise can, and by as much as the slope itself.
            if e.truncation > max(10 * e.round_off, allowed, 0.1 * max(abs(a), abs(e.value))):
                return Verdict.UNRESOLVED, Reason.TRUNCATION, e
            return Verdict.AGREE, Reason.ROUND_OFF, e
        if difference <= allowed + SURE * e.error + e.kink:
            # Below four bars a jump between the one-sided slopes is noise.
            if e.kink > 2 * e.round_off:
                return Verdict.KINK, Reason.KINK, e
            return Verdict.AGREE, Reason.NOISE, e
    return Verdict.WRONG, Reason.GRADIENT, best
