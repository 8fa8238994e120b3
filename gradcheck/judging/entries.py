"""Check every partial derivative: two calls where they suffice, a ladder of steps where not."""

from __future__ import annotations

import numpy as np

from gradcheck.judging.judge import CLOSER, SURE, WIDER, Claim, Problem, examine, judge
from gradcheck.judging.table import CheckedArray, Judged, Reason, Verdict
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

AROUND = 200  # roundings of a parameter, for a minimum feels those of larger ones as well
BENT = 0.02  # of a slope: smaller differences of its two sides are no kink
SPARE = 40  # calls beyond two an entry that a right gradient may cost
BLOCK = 1024  # entries that are nudged at a time


def check_entries(problem: Problem) -> Judged:
    """Check every entry of every array; 2 calls of the loss each where the gradient is right."""
    arrays = [EntryJudge(problem, k) for k in range(len(problem.gradient))]
    for array in arrays:
        array.check_all()
    budget = 2 * problem.evaluator.parameters.size + SPARE
    for array in arrays if problem.step is None else ():
        array.look_twice(budget)
    checked = [array.checked for array in arrays]
    resolution = [c.resolution(size) for c, size in zip(checked, problem.typical, strict=True)]
    vouched = [np.full(a.size, True) for a in problem.gradient]
    return Judged(checked, resolution, [c.shows_sign() for c in checked], vouched)


class EntryJudge:
    """Judges entries of one array, and keeps what was found as columns in `checked`.

    Parameters
    ----------
    problem : what is held against what
    array : which array
    index : which entries; all of them by default
    share : as in `typical_sizes`
    """

    def __init__(
        self, problem: Problem, array: int, index: Array | None = None, share: float = 0.01
    ) -> None:
        x, analytic = problem.evaluator.parameters.x0[array], problem.gradient[array]
        index = np.arange(x.size) if index is None else index
        self.problem, self.array = problem, array
        self.x, self.analytic = x[index], analytic[index].astype(float)
        self.checked = CheckedArray.blank(array, index, analytic[index])
        scale = typical_sizes(x, share)[index]
        first = first_steps(self.analytic, scale, problem.noise)
        self.steps = first if problem.step is None else np.full(index.size, problem.step)
        # Where a parameter cancels out, as a bias before a batch norm, what is left of its
        # gradient is rounding, as large as that of the loss over the size of the parameter.
        self.atol: Floats = problem.atol + 30 * problem.noise / scale
        size = np.where(self.x != 0, np.abs(self.x), scale)
        self.around = AROUND * float(np.finfo(x.dtype).eps) * size
        self.points = np.zeros((index.size, 2), dtype=x.dtype)
        self.losses = np.zeros((index.size, 2))
        self.jumps = np.zeros(index.size)  # half the difference of the two one-sided slopes
        self.ladders: dict[int, Ladder] = {}  # of entries that were examined, and agree
        self.kinks = False  # whether an entry was found on a kink, so that others may be

    def check_all(self) -> None:
        """Judge every entry.

        Blocks double in length, so that the first entries teach the others their step.
        """
        start, length = 0, 1
        while start < self.steps.size:
            rows = slice(start, start + length)
            misfits = np.flatnonzero(~self.two_calls(rows)) + start
            self.problem.evaluator.parameters.refuse_changed("fun")
            for row in misfits.tolist():
                before = self.steps[row]
                self.examine(row)
                self.steps[row + 1 :] *= self.steps[row] / before
            start, length = start + length, min(2 * length, BLOCK)

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
        self._look_again(np.flatnonzero(by_bar), excused, budget, WIDER)

    def _look_again(
        self, rows: Array, doubt: Floats, budget: int, second: float | None = None
    ) -> None:
        """Examine the most doubtful of some entries; where that finds something, all of them."""
        found = False
        for looks, row in enumerate(rows[np.argsort(-doubt[rows], kind="stable")].tolist()):
            spare = budget - self.problem.evaluator.nfev
            if not found and (looks >= 2 or spare < 6):
                break
            verdict = self.examine(row, MAX_RUNGS if found else spare // 2, second)
            found |= verdict is Verdict.WRONG or (verdict is Verdict.KINK and second is None)

    def two_calls(self, rows: slice) -> Array:
        """Take one central difference for each of some entries; return which of them fit."""
        x, steps, c, problem = self.x[rows], self.steps[rows], self.checked, self.problem
        self.points[rows, 0], self.points[rows, 1] = moved(x, steps), moved(x, -steps)
        nudges: list[Nudge] = [
            ((self.array, index, point),)
            for index, pair in zip(c.index[rows].tolist(), self.points[rows], strict=True)
            for point in pair
        ]
        evaluator, a = problem.evaluator, self.analytic[rows]
        self.losses[rows] = np.reshape(evaluator(nudges), (-1, 2))
        up, down = self.points[rows, 0].astype(float) - x, x - self.points[rows, 1].astype(float)
        with np.errstate(invalid="ignore", over="ignore"):
            forward = (self.losses[rows, 0] - evaluator.at_x0) / up
            backward = (evaluator.at_x0 - self.losses[rows, 1]) / down
            numerical = central(forward, backward, up, down)
            self.jumps[rows] = np.abs(forward - backward) / 2
            bar = ROUND_OFF * problem.noise / ((up + down) / 2)
            allowed = self.atol[rows] + problem.rtol * np.maximum(np.abs(a), np.abs(numerical))
            difference = np.abs(a - numerical)
            # An infinite slope would make the allowed difference infinite as well.
            fits: Array = (difference <= allowed + bar) & np.isfinite(a) & np.isfinite(numerical)
        c.numerical[rows], c.error[rows], c.allowed[rows] = numerical, bar, allowed + bar
        c.reason[rows] = np.where(difference <= allowed, Reason.GRADIENT, Reason.ROUND_OFF)
        c.verdict[rows] = np.where(fits, Verdict.AGREE, Verdict.UNRESOLVED)
        return fits

    def examine(self, row: int, limit: int = MAX_RUNGS, second: float | None = None) -> Verdict:
        """Look at one entry, after its two calls, at more steps until its verdict is settled."""
        c, problem = self.checked, self.problem
        ladder = self.ladders.pop(row, None) or self._ladder(row)
        claim = Claim(
            float(self.analytic[row]), problem.rtol, float(self.atol[row]), float(self.around[row])
        )
        if problem.step is not None:
            fixed = ladder.fixed()
            judged = judge(claim, ladder, fixed) if fixed else None
        else:
            second = self._second(claim, ladder) if second is None else second
            judged = examine(claim, ladder, len(ladder.rungs) + limit, second)
        if judged is None:
            c.numerical[row], c.error[row], c.allowed[row] = np.nan, np.inf, np.inf
            c.verdict[row] = Verdict.UNRESOLVED
            c.reason[row] = Reason.NOISE if ladder.rungs else Reason.DOMAIN
            return Verdict.UNRESOLVED
        verdict, reason, slope, allowed = judged
        if verdict in (Verdict.WRONG, Verdict.UNRESOLVED):
            ladder.repeat()
        self.kinks |= verdict is Verdict.KINK
        error = SURE * slope.error + (slope.kink if verdict is not Verdict.AGREE else 0.0)
        c.numerical[row], c.error[row] = slope.value, error
        c.allowed[row] = allowed + error
        c.verdict[row], c.reason[row] = verdict, reason
        if verdict is Verdict.AGREE and problem.step is None:
            self.ladders[row] = ladder
            # The rung that alone would have been right, with room to spare for truncation.
            fit = min(ladder.rungs.values(), key=lambda r: 8 * abs(r.slope - slope.value) + r.bar)
            self.steps[row] = fit.step
        return verdict

    def _second(self, claim: Claim, ladder: Ladder) -> float:
        """Return the exponent of the second step: among kinks, the closest at once."""
        if self.kinks and (first := ladder.rungs.get(0.0)):
            jump = abs(first.jump) / 2
            gap = abs(claim.slope - first.slope) - claim.allowed(first.slope) - first.bar
            if jump > first.bar and gap <= jump:  # a kink would explain it
                return ladder.nearest(jump / 4)
        return CLOSER

    def _ladder(self, row: int) -> Ladder:
        """Return a ladder that begins with the two calls of an entry."""
        x = float(self.x[row])
        up, down = (
            (float(p) - x, float(f))
            for p, f in zip(self.points[row], self.losses[row], strict=True)
        )
        problem = self.problem
        line = entry_line(problem.evaluator, self.array, int(self.checked.index[row]))
        ladder = Ladder(line, problem.evaluator, problem.noise, (up[0] - down[0]) / 2)
        ladder.add(0.0, up, down)
        return ladder
