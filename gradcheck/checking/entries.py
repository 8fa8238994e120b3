"""Check every partial derivative: two calls where they suffice, a ladder of steps where not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradcheck.checking.evaluation import Evaluator
from gradcheck.checking.finite_difference import (
    MAX_RUNGS,
    ROUND_OFF,
    Estimate,
    Floats,
    Ladder,
    central,
    entry_line,
    first_steps,
    moved,
    typical_sizes,
)
from gradcheck.checking.parameters import Array, Nudge
from gradcheck.checking.report import CheckedArray, Reason, Verdict

SURE = 2  # error bars a doubted entry must be off by: of thousands of entries, some are unlucky
SPARE = 40  # calls beyond two an entry that a right gradient may cost


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
    checked, done = [], 0
    for k, a in enumerate(analytic):
        done += a.size
        judge = EntryJudge(evaluator, k, a, noise, rtol=rtol, atol=atol, step=step)
        judge.check_all(2 * done + SPARE)
        checked.append(judge.checked)
    return checked


class EntryJudge:
    """Judges entries of one array, and keeps what was found as columns in `checked`.

    Parameters
    ----------
    evaluator : the loss
    array : which array
    analytic : the whole gradient of that array, flat
    noise : standard deviation of the noise in the loss
    rtol, atol, step : as in `check_gradient`
    index : which entries; all of them by default
    share : as in `typical_sizes`
    """

    def __init__(
        self,
        evaluator: Evaluator,
        array: int,
        analytic: Array,
        noise: float,
        *,
        rtol: float,
        atol: float,
        step: float | None = None,
        index: Array | None = None,
        share: float = 0.01,
    ) -> None:
        self.evaluator, self.array, self.noise = evaluator, array, noise
        self.rtol, self.atol, self.step = rtol, atol, step
        x = evaluator.parameters.x0[array]
        index = np.arange(x.size) if index is None else index
        self.x, self.analytic = x[index], analytic[index].astype(float)
        self.checked = CheckedArray.blank(array, index, analytic[index])
        scale = typical_sizes(x, share)[index]
        # What an entry far smaller than its array needs says nothing about the others.
        self.small = (self.x != 0) & (np.abs(self.x) < scale)
        if step is None:
            self.steps = first_steps(self.analytic, scale, noise)
        else:
            self.steps = np.full(index.size, step)
        # An entry is a sum of terms as large as its neighbours, and carries their rounding. In
        # float64 that is far below any error bar, unless the units of the entries differ.
        eps = float(np.finfo(analytic.dtype).eps)
        largest = float(np.max(np.abs(analytic[np.isfinite(analytic)]), initial=0.0))
        coarse = 10 * eps * largest if eps > 1e-10 else 0.0
        # Where a parameter cancels out, as a bias before a batch norm, what is left of its
        # gradient is rounding, as large as that of the loss over the size of the parameter.
        self.grain: Floats = np.maximum(coarse, 30 * noise / scale)
        # A few roundings of each parameter; at a minimum, no slope is known nearer than that.
        self.rounding = (
            10 * float(np.finfo(x.dtype).eps) * np.where(self.x != 0, np.abs(self.x), scale)
        )
        self.points = np.zeros((index.size, 2), dtype=x.dtype)
        self.losses = np.zeros((index.size, 2))

    def allowed(self, rows: Any, numerical: Floats | float) -> Floats:
        """Return the allowed difference of some entries, the error bar not included."""
        larger: Floats = np.maximum(np.abs(self.analytic[rows]), np.abs(numerical))
        tolerance: Floats = self.atol + self.rtol * larger + self.grain[rows]
        return tolerance

    def check_all(self, budget: int) -> None:
        """Judge every entry; look twice at some while fewer than `budget` calls are spent.

        Blocks double in length, so that the first entries teach the others their step.
        """
        size = self.steps.size
        at_once = np.zeros(size, dtype=bool)
        start, length = 0, 1
        while start < size:
            rows = slice(start, min(start + length, size))
            at_once[rows] = self.two_calls(rows)
            self.evaluator.refuse_changed_input()
            for row in (np.flatnonzero(~at_once[rows]) + start).tolist():
                before = self.steps[row]
                self.examine(row)
                later = slice(row + 1, None)
                if self.small[row]:  # then small entries need small steps
                    ratio = self.steps[row] / abs(float(self.x[row]))
                    small = np.flatnonzero(self.small[later]) + row + 1
                    self.steps[small] = ratio * np.abs(self.x[small].astype(float))
                else:
                    self.steps[later] *= self.steps[row] / before
            start, length = rows.stop, min(2 * length, 1024)
        if self.step is not None:
            return
        # Of the entries that only their error bar excused, look again at those it excused most.
        c = self.checked
        excused = np.flatnonzero((c.verdict == Verdict.AGREE) & (c.error > c.allowed / 2))
        needed = np.abs(self.analytic - c.numerical)[excused] / c.allowed[excused]
        suspicious = False
        for looks, row in enumerate(excused[np.argsort(-needed, kind="stable")].tolist()):
            spare = budget - self.evaluator.nfev
            if not suspicious and (looks >= 2 or spare < 6):
                break
            limit = MAX_RUNGS if suspicious else spare // 2
            suspicious |= self.examine(row, limit, sharper=True) is Verdict.WRONG

    def two_calls(self, rows: slice) -> Array:
        """Take one central difference for each of some entries; return which of them fit."""
        x, steps, c = self.x[rows], self.steps[rows], self.checked
        self.points[rows, 0], self.points[rows, 1] = moved(x, steps), moved(x, -steps)
        nudges: list[Nudge] = [
            ((self.array, index, point),)
            for index, pair in zip(c.index[rows].tolist(), self.points[rows], strict=True)
            for point in pair
        ]
        self.losses[rows] = np.reshape(self.evaluator(nudges), (-1, 2))
        up, down = self.points[rows, 0].astype(float) - x, x - self.points[rows, 1].astype(float)
        with np.errstate(invalid="ignore", over="ignore"):
            forward = (self.losses[rows, 0] - self.evaluator.at_x0) / up
            backward = (self.evaluator.at_x0 - self.losses[rows, 1]) / down
            numerical = central(forward, backward, up, down)
            rounding = self.evaluator.eps * np.abs(self.losses[rows]).max(axis=1) / 3
            bar = ROUND_OFF * np.maximum(self.noise, rounding) / ((up + down) / 2)
            difference = np.abs(self.analytic[rows] - numerical)
            allowed = self.allowed(rows, numerical)
            # An infinite slope would make the allowed difference infinite as well.
            known = np.isfinite(self.analytic[rows]) & np.isfinite(numerical)
            fits: Array = (difference <= allowed + bar) & known
        c.numerical[rows], c.error[rows], c.allowed[rows] = numerical, bar, allowed + bar
        c.reason[rows] = np.where(difference <= allowed, Reason.GRADIENT, Reason.ROUND_OFF)
        c.verdict[rows] = Verdict.AGREE
        return fits

    def examine(self, row: int, limit: int = MAX_RUNGS, *, sharper: bool = False) -> Verdict:
        """Look at one entry, after its two calls, at more steps until its verdict is settled.

        Smaller steps first, for an entry that did not fit; larger ones for a `sharper` look at
        one that its error bar excused.
        """
        c, x = self.checked, float(self.x[row])
        line = entry_line(self.evaluator, self.array, int(c.index[row]))
        width = float(self.points[row, 0]) - float(self.points[row, 1])
        ladder = Ladder(line, self.evaluator, self.noise, width / 2)
        up, down = (
            (float(p) - x, float(f))
            for p, f in zip(self.points[row], self.losses[row], strict=True)
        )
        ladder.add(0.0, up, down)

        def enough(e: Estimate) -> bool:
            return self._settled(row, e, ladder.confirmed(e), sharper)

        if self.step is None:
            best = ladder.climb(enough, limit, second=1.0 if sharper else -1.0)
        else:
            best = ladder.fixed()
        if best is None:
            self._note(
                row,
                np.nan,
                np.inf,
                Verdict.UNRESOLVED,
                Reason.NOISE if ladder.rungs else Reason.DOMAIN,
            )
            return Verdict.UNRESOLVED
        if best.kinked and not ladder.closer(best):
            ladder.measure(ladder.lowest - 1)
        self.grain[row] = max(self.grain[row], ladder.bend(self.rounding[row]))
        verdict, reason, chosen = self._judge(row, best, ladder)
        vague = best.error + best.kink > 1e-3 * abs(best.value)
        if verdict is Verdict.WRONG and vague and self.step is None:
            # A loss that waves many times within the steps has slopes that all miss it: before
            # that is held against the gradient, look as close as the noise permits.
            nearest = ladder.nearest(0.1 * abs(self.analytic[row] - best.value))
            if nearest < ladder.lowest - 1:
                best = ladder.climb(enough, second=nearest) or best
                verdict, reason, chosen = self._judge(row, best, ladder)
        if verdict is Verdict.UNRESOLVED and limit < MAX_RUNGS:
            return verdict  # the ladder was cut short: what the two calls said stands
        error = SURE * chosen.error + (chosen.kink if verdict is not Verdict.AGREE else 0.0)
        self._note(row, chosen.value, error, verdict, reason)
        if verdict is Verdict.AGREE and self.step is None:
            # The rung that alone would have been right, with room to spare for truncation.
            fit = min(ladder.rungs.values(), key=lambda r: 8 * abs(r.slope - best.value) + r.bar)
            self.steps[row] = fit.step
        return verdict

    def _settled(self, row: int, e: Estimate, confirmed: bool, sharper: bool) -> bool:
        """Whether more rungs would tell nothing new of an entry."""
        allowed = float(self.allowed(row, e.value))
        difference, bar = abs(self.analytic[row] - e.value), e.error + e.kink
        if difference <= allowed + e.error and not sharper:
            return bar <= max(allowed, 3 * e.round_off)
        if difference <= allowed:
            return bar <= allowed
        return confirmed and difference > allowed + SURE * bar

    def _judge(self, row: int, best: Estimate, ladder: Ladder) -> tuple[Verdict, Reason, Estimate]:
        """Hold the analytic value against the estimates that are about as sharp as the best."""
        a = float(self.analytic[row])
        if not np.isfinite(a):
            return Verdict.WRONG, Reason.GRADIENT, best
        if ladder.flat:
            # A loss that does not move may cancel numbers as large as the parameters.
            size = max(abs(self.evaluator.at_x0), float(np.max(np.abs(self.x))))
            widest = max(rung.step for rung in ladder.rungs.values())
            best = best._replace(round_off=best.round_off + self.evaluator.eps * size / widest)
        sharp = [best]
        if best.kink <= 10 * best.error:
            reach = 3 * (best.error + best.kink)
            sharp += [e for e in ladder.estimates() if e.error + e.kink <= reach]
        for e in sharp:
            allowed, difference = float(self.allowed(row, e.value)), abs(a - e.value)
            if difference <= allowed:
                return Verdict.AGREE, Reason.GRADIENT, e
            if difference <= allowed + SURE * e.error:
                # Rungs that disagree by far more than noise, and by as much as the slope itself.
                if e.truncation > max(10 * e.round_off, allowed, 0.1 * max(abs(a), abs(e.value))):
                    return Verdict.UNRESOLVED, Reason.TRUNCATION, e
                return Verdict.AGREE, Reason.ROUND_OFF, e
            if best.settled and e.settled and difference <= allowed + SURE * e.error + e.kink:
                if e.kinked:
                    return Verdict.KINK, Reason.KINK, e
                return Verdict.AGREE, Reason.NOISE, e
        closer = ladder.closer(best)
        # Slopes that still run away at the smallest steps, as where the loss jumps, settle nothing.
        if not best.settled and all(abs(rung.jump) > 10 * rung.bar for rung in closer):
            return Verdict.UNRESOLVED, Reason.TRUNCATION, best
        # With kinks within the step, a smaller one must object to the gradient as well.
        if closer and best.kinked:
            views = [Estimate(r.slope, 0.0, r.bar, abs(r.jump) / 2, r.step) for r in closer]
            if not any(self._objects(row, view) for view in views):
                return Verdict.AGREE, Reason.NOISE, views[0]
        return Verdict.WRONG, Reason.GRADIENT, best

    def _objects(self, row: int, e: Estimate) -> bool:
        difference = abs(float(self.analytic[row]) - e.value)
        return difference > float(self.allowed(row, e.value)) + SURE * e.error + e.kink

    def _note(
        self, row: int, numerical: float, error: float, verdict: Verdict, reason: Reason
    ) -> None:
        c = self.checked
        c.numerical[row], c.error[row] = numerical, error
        c.allowed[row] = float(self.allowed(row, numerical)) + error
        c.verdict[row], c.reason[row] = verdict, reason
