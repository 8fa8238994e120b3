"""Check all partial derivatives at once along random directions; halve down to the wrong ones.

For a gradient g, the slope of the loss along d is g . d. Subtract from the loss what the
gradient predicts, and the slope that is left is the error of the gradient along d: of all its
entries together, for the price of one. Continuous random weights keep errors from cancelling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.judging.entries import EntryJudge
from gradcheck.judging.judge import SURE, Claim, examine
from gradcheck.judging.regions import Region
from gradcheck.judging.table import BLIND, CheckedArray, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import random_numbers, random_weights
from gradcheck.measuring.parameters import Array
from gradcheck.measuring.slopes import (
    REALISED,
    Floats,
    Ladder,
    direction_line,
    first_steps,
    rounding,
    typical_sizes,
)

CLEAN = 2  # clean directions that a pass needs
LEAF = 2  # so few entries are looked at one by one
THROUGHOUT = 64  # smaller regions are searched to the end even where most of them is wrong
SURVEY = 20  # calls after which a search that has stopped looks at no further array
FEW = 5  # entries that stand for an array then
SAMPLE = 20  # entries that stand for a region that is wrong throughout
CLOSER = 64  # entries of an array that are looked at where directions cannot judge
SHARP = 3e-4  # an array that a joint direction sees less sharply gets one of its own


class SearchStep(NamedTuple):
    """One region that was measured along a random direction, on the way to the wrong entries.

    `residual` is the error of the gradient along the direction there, `allowed` what it may be;
    `active` is True where something in the region is wrong.
    """

    where: str
    size: int
    residual: float
    allowed: float
    active: bool


class Residual(NamedTuple):
    """The error of the gradient along a direction, and all that may excuse it."""

    value: float
    error: float
    truncation: float
    kink: float
    slack: float
    step: float
    within_rtol: float

    @property
    def allowed(self) -> float:
        """How large the value may be if the gradient is right."""
        return SURE * self.error + self.kink + self.slack

    @property
    def certain(self) -> float:
        """How large an error must be to be seen even if the noise takes its side."""
        return self.allowed + SURE * self.error + self.kink

    @property
    def active(self) -> bool:
        """Whether something in the region is wrong."""
        return abs(self.value) > self.allowed


class Search:
    """One check along directions: what is still open, what was found, how sharply."""

    def __init__(
        self,
        evaluator: Evaluator,
        analytic: Sequence[Array],
        noise: float,
        *,
        rtol: float,
        atol: float,
        rng: Any,
        max_wrong: int,
    ) -> None:
        self.evaluator, self.analytic, self.noise = evaluator, analytic, noise
        self.rtol, self.atol, self.max_wrong = rtol, atol, max_wrong
        self.rng = random_numbers(rng)
        self.x0, self.shapes = evaluator.parameters.x0, evaluator.parameters.shapes
        self.names = evaluator.parameters.names
        # Entries that directions still speak for: not those that were looked at one by one.
        self.open = [np.isfinite(a) for a in analytic]
        self.finite = [
            a if np.all(o) else np.where(o, a, 0) for a, o in zip(analytic, self.open, strict=True)
        ]
        self.direction: list[Floats] = []
        self.step = 0.0  # what a joint direction needed
        self.blurred: set[int] = set()  # arrays along which directions meet kinks
        self.sharpness = [math.inf] * len(self.x0)  # what directions would have seen
        self.excused = [0.0] * len(self.x0)  # what they saw and could not name
        self.wrong = 0
        self.stuck = False
        self.explained = self.complete = True
        self.checked: list[CheckedArray] = []
        self.trace: list[SearchStep] = []
        self.notes: list[str] = []

    @property
    def resolution(self) -> list[float]:
        """For each array, the smallest error in one entry that would have been seen."""
        return [max(pair) for pair in zip(self.sharpness, self.excused, strict=True)]

    # ---------------------------------------------------------------- the plan

    def run(self) -> None:
        """Draw directions until two in a row are clean; search wherever one is not."""
        arrays = range(len(self.x0))
        for k in arrays:
            if broken := np.flatnonzero(~self.open[k])[: self.max_wrong].tolist():
                self._look(k, np.array(broken))
        clean = 0
        while clean < CLEAN and self._room():
            clean = 0 if self._try(0, len(self.x0)) else clean + 1
        for k in sorted(arrays, key=lambda k: -self.sharpness[k]):
            while self.sharpness[k] > SHARP and self._room() and self._try(k, k + 1):
                pass
            if self.sharpness[k] > BLIND and k in self.blurred and self.wrong < self.max_wrong:
                self._look_closer(k)
        if self.wrong >= self.max_wrong:
            self._survey()
            self.complete = False
            self.notes.append(
                f"The search stopped at `max_wrong={self.max_wrong}` wrong entries; "
                "what is right among the rest was not looked at."
            )
        self.direction.clear()  # as large as the parameters, and the diagnosis needs room

    def _room(self) -> bool:
        """Whether to go on along directions; a region wrong throughout counts as one entry."""
        return self.wrong < self.max_wrong and not self.stuck

    def _try(self, first: int, last: int) -> bool:
        """Check some arrays along a new direction; return whether it led to single entries."""
        self._draw(first, last)
        region = Region.of(self.shapes, first, last)
        if not any(np.any(d) for d in self.direction):
            return False
        residual = self._measure(region)
        if residual is None:
            self.notes.append("The loss is not finite at any step along a random direction.")
        elif not self._seen(region, residual):
            return False
        else:
            before = self._count_open()
            self._search(region, residual)
            if self._count_open() < before:
                return True
            if abs(residual.value) <= residual.within_rtol:
                self._sharpen(region, residual._replace(slack=abs(residual.value)))
                return False
            self.explained = False
            self.notes.append(
                f"The gradient is off along a random direction by {abs(residual.value):.1e} "
                f"(allowed: {residual.allowed:.0e}), but no entry of it could be named."
            )
        self.stuck, self.complete = True, False
        self.blurred.update(range(first, last))
        return False

    def _look_closer(self, k: int) -> None:
        """Judge single entries of an array along which a direction cannot: at kinks, at edges."""
        self.stuck = False
        name = self.names[k] or "the parameters"
        self._look_at_some(k, self.open[k], name)

    def _look_at_some(self, k: int, which: Array, what: str) -> None:
        """Look at entries one by one, and say so."""
        indices = np.flatnonzero(which)
        sample = self._sample(indices, CLOSER)
        if sample.size < indices.size:
            self.complete = False
            self.excused[k] = math.inf  # of the others nobody knows
        if sample.size:
            looked = self._look(k, sample)
            self._excuse(k, looked.resolution(self.finite[k]))
            self.notes.append(
                f"Along {what} the loss has kinks, ends or never settles, and a direction cannot "
                f"judge: {sample.size:,} of {indices.size:,} were looked at one by one."
            )

    def _survey(self) -> None:
        """Look once at what the search has not come to: the diagnosis asks.

        Arrays, and the rest of a matrix where all that is wrong so far is in one row or column.
        """
        start, came_to = self.evaluator.nfev, {checked.array for checked in self.checked}
        for k in sorted(range(len(self.x0)), key=lambda k: (k not in came_to, -k)):
            region, line = Region.of(self.shapes, k, k + 1), self._line(k)
            if (
                (k in came_to and not line.size)
                or not region.size
                or math.isfinite(self.sharpness[k])
                or self.evaluator.nfev > start + SURVEY
            ):
                continue
            self._settle(k, line)
            self._draw(k, k + 1)
            residual = self._measure(region)
            if residual and self._seen(region, residual) and not line.size:
                self._look(k, self._sample(np.flatnonzero(self.open[k]), FEW), thorough=1)

    def _line(self, k: int) -> Array:
        """Return the row or column of a matrix that holds all its wrong entries, if one does."""
        found = [c.index[c.verdict == Verdict.WRONG] for c in self.checked if c.array == k]
        wrong = np.concatenate([np.zeros(0, dtype=int), *found])
        shape, line = self.shapes[k], wrong[:0]
        if wrong.size > 2 and len(shape) == 2 and min(shape) > 1:
            entries = np.arange(self.x0[k].size).reshape(shape)
            for axis, index in enumerate(np.unravel_index(wrong, shape)):
                if np.all(index == index[0]):
                    line = entries.take(index[0], axis)
        return line

    # ---------------------------------------------------------------- one direction

    def _draw(self, first: int, last: int) -> None:
        """Draw weights of either sign, 0.5 to 1.5 times the typical size of each open entry."""
        self.direction = [np.zeros(0)] * len(self.x0)
        for k in range(first, last):
            weights = random_weights(self.rng, self.x0[k].size)
            # A small entry moves as far as a typical one, or an error in it could not be seen.
            weights *= typical_sizes(self.x0[k], share=1.0)
            weights *= self.open[k]
            self.direction[k] = weights

    def _parts(self, region: Region) -> list[tuple[int, Any, Floats]]:
        """Return the arrays of a region, where in them it lies, and the direction there."""
        if not region.single:
            return [(k, slice(None), self.direction[k]) for k in range(region.first, region.last)]
        return [(region.first, region.where, self.direction[region.first][region.where])]

    def _measure(self, region: Region, parent: Residual | None = None) -> Residual | None:
        """Measure what the gradient misses along the direction, within a region."""
        parts = self._parts(region)
        slack, predicted = 0.0, 0.0
        for k, where, d in parts:
            change = float(np.linalg.norm(self.finite[k][where] * d))
            eps = float(np.finfo(self.analytic[k].dtype).eps)
            slack += ((1e-3 * self.rtol + 10 * eps) * change) ** 2
            slack += (self.atol * float(np.linalg.norm(d))) ** 2
            predicted += change**2
        slack, within_rtol = math.sqrt(slack), self.rtol * math.sqrt(predicted)
        line, blur = (
            direction_line(self.evaluator, parts, self.finite),
            rounding(self.evaluator, parts),
        )
        if parent is not None:
            step = parent.step
        else:
            own = first_steps(np.array([math.sqrt(predicted)]), np.ones(1), self.noise)
            step = max(self.step, float(own[0]))
        ladder = Ladder(line, self.evaluator, self.noise, max(step, REALISED * blur), blur)
        if parent is not None and (rung := ladder.measure(0.0)) is not None:
            bar = parent.truncation + rung.bar
            return Residual(rung.slope, bar, parent.truncation, 0.0, slack, rung.step, within_rtol)
        judged = examine(Claim(0.0, 0.0, slack), ladder, 10 * blur, sharper=parent is None)
        if judged is None:
            return None
        e = judged.slope
        # Kinks, or slopes that never settle: well above what noise alone does to these terms.
        if max(e.kink / 4, e.truncation / 10) > e.round_off:
            self.blurred.update(range(region.first, region.last))
        return Residual(e.value, e.error, e.truncation, e.kink, judged.allowed, e.step, within_rtol)

    def _seen(self, region: Region, residual: Residual) -> bool:
        """Note what was measured, and how sharply where all is clean; say if it is not."""
        self.trace.append(
            SearchStep(
                region.name(self.names),
                region.size,
                residual.value,
                residual.allowed,
                residual.active,
            )
        )
        if not residual.active and region.whole:
            self._sharpen(region, residual)
        return residual.active

    def _sharpen(self, region: Region, residual: Residual) -> None:
        """Note what error in one entry of each array a clean direction would have shown."""
        self.step = self.step if region.single else residual.step
        for k, _, d in self._parts(region):
            if d.size:
                sharpness = self._relative(k, d, residual.certain)
                self.sharpness[k] = min(self.sharpness[k], max(sharpness, self.rtol))

    def _relative(self, k: int, d: Floats, change: float) -> float:
        """Return which error, in typical entries, makes a change in the entry that moves least."""
        among = self.direction[k] != 0  # typical of the array, however small the region
        typical = float(np.linalg.norm(self.finite[k] * among))
        typical /= math.sqrt(np.count_nonzero(among) or 1)
        least = float(np.min(np.abs(d), where=d != 0, initial=math.inf))
        return change / (typical * least) if typical else math.inf

    def _excuse(self, k: int, error: float) -> None:
        self.excused[k] = max(self.excused[k], error)

    # ---------------------------------------------------------------- from a region to its entries

    def _search(self, region: Region, residual: Residual) -> None:
        """Follow what is wrong from a region into its halves, down to single entries."""
        if not region.single:
            for half, found in self._active_halves(region, residual):
                self._search(half, found)
            return
        level = [(region, residual)]
        for _ in range(3):
            level = [
                active
                for part, found in level
                for active in (
                    self._active_halves(part, found) if part.size > LEAF else [(part, found)]
                )
            ]
        # Three parts with less than `rtol` allows in all: perhaps each entry is a little off.
        most = len(level) >= (3 if abs(residual.value) <= residual.within_rtol else 6)
        if most and region.size >= THROUGHOUT and self._throughout(region, residual):
            return
        for part, found in level:
            if not self._room():
                return
            ((k, _, d),), entries = self._parts(part), self._indices(part)
            if not entries.size:
                continue  # meanwhile looked at
            if part.size > LEAF:
                self._search(part, found)
            elif (
                np.all(self._look(k, entries).verdict == Verdict.AGREE)
                # None of it was looked at before: the bars of entries are wider, and cannot tell.
                and entries.size == np.count_nonzero(d)
            ):
                self._excuse(k, self._relative(k, d, abs(found.value)))

    def _active_halves(
        self, region: Region, residual: Residual
    ) -> Iterator[tuple[Region, Residual]]:
        """Yield the halves in which something is wrong; one measured, the other what is left."""
        left, right = region.halves()
        here = self._measure(left, residual)
        if here is None:
            return
        there: Residual | None = residual._replace(
            value=residual.value - here.value, error=residual.error + here.error
        )
        if there is not None and here.active == there.active:
            there = self._measure(right, residual)
        for half, found in ((left, here), (right, there)):
            if found is not None and self._seen(half, found):
                yield half, found

    def _throughout(self, region: Region, residual: Residual) -> bool:
        """Sample a region that is active in most of its parts; return whether that settles it."""
        k, sample = region.first, self._sample(self._indices(region), SAMPLE)
        if not sample.size:
            return True
        looked = self._look(k, sample, thorough=2)
        wrong = int(np.count_nonzero(looked.verdict == Verdict.WRONG))
        name = region.name(self.names)
        if wrong >= sample.size / 2:
            self.notes.append(
                f"Wrong throughout {name}: {wrong} of {sample.size} sampled entries are. "
                "The others were not looked at."
            )
            self.complete = False
        elif wrong == 0 and region.order == "C" and len(self.shapes[k]) > 1:
            by_columns = region._replace(order="F")
            if region.whole and (found := self._measure(by_columns)):
                self._search(by_columns, found)
                return True
            return False
        elif wrong == 0 and self._smeared(looked, residual, region.size):
            self.notes.append(
                f"Along directions, the gradient of {name} differs from the loss by no more than "
                f"{sample.size} sampled entries do, and each of them agrees within `rtol`."
            )
            if region.whole:
                self._sharpen(region, residual._replace(slack=abs(residual.value)))
            else:
                self._excuse(k, self._relative(k, self._parts(region)[0][2], abs(residual.value)))
        else:
            return False
        self._settle(k, region.where)
        return True

    def _smeared(self, looked: CheckedArray, residual: Residual, size: int) -> bool:
        """Whether the small differences of a sample add up to the residual of its region."""
        weights = self.direction[looked.array][looked.index]
        differences = (looked.analytic - looked.numerical) * weights
        typical = float(np.linalg.norm(differences)) / math.sqrt(looked.index.size)
        return abs(residual.value) <= 4 * typical * math.sqrt(size)

    # ---------------------------------------------------------------- single entries

    def _settle(self, k: int, where: Any) -> None:
        """Take entries out of this direction and all later ones."""
        self.open[k][where] = False
        if self.direction and self.direction[k].size:
            self.direction[k][where] = 0.0

    def _count_open(self) -> int:
        return sum(int(np.count_nonzero(o)) for o in self.open)

    def _indices(self, region: Region) -> Array:
        """Return the open entries of a region."""
        within = np.zeros(self.x0[region.first].size, dtype=bool)
        within[region.where] = True
        return np.flatnonzero(within & self.open[region.first])

    def _sample(self, indices: Array, size: int) -> Array:
        if indices.size <= size:
            return indices
        return np.sort(self.rng.choice(indices, size, replace=False))

    def _look(self, k: int, indices: Array, thorough: int | None = None) -> CheckedArray:
        """Check some entries of an array one by one, and take them out of later directions.

        Those that do not fit at once are examined; `thorough` limits how many, for a region in
        which the directions have already shown most entries to be wrong.
        """
        judge = EntryJudge(
            self.evaluator,
            k,
            self.analytic[k],
            self.noise,
            rtol=self.rtol,
            atol=self.atol,
            index=indices,
            share=1.0,  # as along the direction that led here
        )
        misfits = np.flatnonzero(~judge.two_calls(slice(None)))
        judge.checked.verdict[misfits] = Verdict.WRONG
        for row in misfits[:thorough].tolist():
            judge.examine(row)
        wrong = int(np.count_nonzero(judge.checked.verdict == Verdict.WRONG))
        self.wrong += wrong if thorough is None else min(wrong, 1)
        self.open[k][indices] = False
        self.checked.append(judge.checked)
        return judge.checked
