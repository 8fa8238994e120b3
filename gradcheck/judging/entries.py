"""Check every partial derivative: two calls where they suffice, a ladder of steps where not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcheck.judging.judge import SURE, Claim, examine
from gradcheck.judging.table import CheckedArray, Judged, Reason, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Array, Nudge
from gradcheck.measuring.slopes import (
    MAX_RUNGS,
    ROUND_OFF,
    Floats,
    Ladder,
    central,
    entry_line,
    first_steps,
    moved,
    typical_sizes,
)

BENT = 0.02  # of a slope: smaller differences of its two sides are no kink
SPARE = 40  # calls beyond two an entry that a right gradient may cost


def check_entries(
    evaluator: Evaluator,
    analytic: Sequence[Array],
    noise: float,
    *,
    rtol: float,
    atol: float,
    step: float | None,
    typical: Sequence[float],
) -> Judged:
    """Check every entry of every array; 2 calls of the loss each where the gradient is right."""
    judges = [
        EntryJudge(evaluator, k, a, noise, rtol=rtol, atol=atol, step=step)
        for k, a in enumerate(analytic)
    ]
    for judge in judges:
        judge.check_all()
    if step is None:
        budget = 2 * evaluator.parameters.size + SPARE
        for judge in judges:
            judge.look_twice(budget)
    checked = [judge.checked for judge in judges]
    resolution = [c.resolution(size) for c, size in zip(checked, typical, strict=True)]
    vouched = [np.full(a.size, True) for a in analytic]
    return Judged(checked, resolution, [c.shows_sign() for c in checked], vouched)


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
        self.rtol, self.step = rtol, step
        x = evaluator.parameters.x0[array]
        index = np.arange(x.size) if index is None else index
        self.x, self.analytic = x[index], analytic[index].astype(float)
        self.checked = CheckedArray.blank(array, index, analytic[index])
        scale = typical_sizes(x, share)[index]
        first = first_steps(self.analytic, scale, noise)
        self.steps = first if step is None else np.full(index.size, step)
        # Where a parameter cancels out, as a bias before a batch norm, what is left of its
        # gradient is rounding, as large as that of the loss over the size of the parameter.
        self.atol: Floats = atol + 30 * noise / scale
        # A few roundings of each parameter.
        size = np.where(self.x != 0, np.abs(self.x), scale)
        self.around = 10 * float(np.finfo(x.dtype).eps) * size
        self.points = np.zeros((index.size, 2), dtype=x.dtype)
        self.losses = np.zeros((index.size, 2))
        self.ladders: dict[int, Ladder] = {}  # of entries that were examined, and agree
        self.kinks = False  # whether an entry was found on a kink, so that others may be
        self.jumps = np.zeros(index.size)  # half the difference of the two one-sided slopes

    def check_all(self) -> None:
        """Judge every entry.

        Blocks double in length, so that the first entries teach the others their step.
        """
        start, length = 0, 1
        while start < self.steps.size:
            rows = slice(start, start + length)
            misfits = np.flatnonzero(~self.two_calls(rows)) + start
            self.evaluator.refuse_changed_input()
            for row in misfits.tolist():
                before = self.steps[row]
                self.examine(row)
                self.steps[row + 1 :] *= self.steps[row] / before
            start, length = start + length, min(2 * length, 1024)

    def look_twice(self, budget: int) -> None:
        """Look again at entries that passed in doubt, while fewer than `budget` calls are spent."""
        c = self.checked
        agree = c.verdict == Verdict.AGREE
        with np.errstate(all="ignore"):
            larger = np.maximum(np.abs(self.analytic), np.abs(c.numerical))
            bent, excused = self.jumps / larger, np.abs(self.analytic - c.numerical) / c.allowed
        # A kink whose middle the gradient hits, and a difference that only the error bar excused.
        kinked = agree & (self.jumps > c.allowed) & (bent > BENT)
        self._look_again(np.flatnonzero(kinked), bent, budget)
        by_bar = agree & (c.error > c.allowed / 2)
        self._look_again(np.flatnonzero(by_bar), excused, budget, sharper=True)

    def _look_again(
        self, rows: Array, doubt: Floats, budget: int, *, sharper: bool = False
    ) -> None:
        """Examine the most doubtful of some entries; where that finds something, all of them."""
        found = False
        for looks, row in enumerate(rows[np.argsort(-doubt[rows], kind="stable")].tolist()):
            spare = budget - self.evaluator.nfev
            if not found and (looks >= 2 or spare < 6):
                break
            limit = MAX_RUNGS if found else spare // 2
            verdict = self.examine(row, limit, sharper=sharper)
            found |= verdict is Verdict.WRONG or (verdict is Verdict.KINK and not sharper)

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
            self.jumps[rows] = np.abs(forward - backward) / 2
            rounding = self.evaluator.eps * np.abs(self.losses[rows]).max(axis=1) / 3
            bar = ROUND_OFF * np.maximum(self.noise, rounding) / ((up + down) / 2)
            a = self.analytic[rows]
            allowed = self.atol[rows] + self.rtol * np.maximum(np.abs(a), np.abs(numerical))
            difference = np.abs(a - numerical)
            # An infinite slope would make the allowed difference infinite as well.
            fits: Array = (difference <= allowed + bar) & np.isfinite(a) & np.isfinite(numerical)
        c.numerical[rows], c.error[rows], c.allowed[rows] = numerical, bar, allowed + bar
        c.reason[rows] = np.where(difference <= allowed, Reason.GRADIENT, Reason.ROUND_OFF)
        c.verdict[rows] = np.where(fits, Verdict.AGREE, Verdict.UNRESOLVED)
        return fits

    def examine(self, row: int, limit: int = MAX_RUNGS, *, sharper: bool = False) -> Verdict:
        """Look at one entry, after its two calls, at more steps until its verdict is settled."""
        c = self.checked
        ladder = self.ladders.pop(row, None) or self._ladder(row)
        claim = Claim(float(self.analytic[row]), self.rtol, float(self.atol[row]))
        fixed = self.step is not None
        judged = examine(
            claim,
            ladder,
            float(self.around[row]),
            len(ladder.rungs) + limit,
            sharper=sharper,
            kinks=self.kinks and not fixed,
            fixed=fixed,
        )
        if judged is None:
            c.numerical[row], c.error[row], c.allowed[row] = np.nan, np.inf, np.inf
            c.verdict[row] = Verdict.UNRESOLVED
            c.reason[row] = Reason.NOISE if ladder.rungs else Reason.DOMAIN
            return Verdict.UNRESOLVED
        verdict, reason, slope, allowed = judged
        self.kinks |= verdict is Verdict.KINK
        if verdict is Verdict.UNRESOLVED and limit < MAX_RUNGS:
            return verdict  # the ladder was cut short: what the two calls said stands
        error = SURE * slope.error + (slope.kink if verdict is not Verdict.AGREE else 0.0)
        if verdict is Verdict.AGREE == c.verdict[row] and error > c.error[row]:
            return verdict
        c.numerical[row], c.error[row] = slope.value, error
        c.allowed[row] = allowed + error
        c.verdict[row], c.reason[row] = verdict, reason
        if verdict is Verdict.AGREE and not fixed:
            self.ladders[row] = ladder
            # The rung that alone would have been right, with room to spare for truncation.
            fit = min(ladder.rungs.values(), key=lambda r: 8 * abs(r.slope - slope.value) + r.bar)
            self.steps[row] = fit.step
        return verdict

    def _ladder(self, row: int) -> Ladder:
        """Return a ladder that begins with the two calls of an entry."""
        x = float(self.x[row])
        up, down = (
            (float(p) - x, float(f))
            for p, f in zip(self.points[row], self.losses[row], strict=True)
        )
        line = entry_line(self.evaluator, self.array, int(self.checked.index[row]))
        ladder = Ladder(line, self.evaluator, self.noise, (up[0] - down[0]) / 2)
        ladder.add(0.0, up, down)
        return ladder
