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

from gradcheck.checking.entries import SURE, EntryJudge
from gradcheck.checking.evaluation import Evaluator
from gradcheck.checking.finite_difference import (
    REALISED,
    Estimate,
    Floats,
    Ladder,
    direction_line,
    first_steps,
    random_numbers,
    random_weights,
    rounding,
    typical_sizes,
)
from gradcheck.checking.parameters import Array
from gradcheck.checking.report import BLIND, CheckedArray, SearchStep, Verdict

CLEAN = 2  # clean directions that a pass needs
SPARE = 2  # further ones where kinks keep a direction short
LEAF = 2  # so few entries are looked at one by one
THROUGHOUT = 64  # smaller regions are searched to the end even where most of them is wrong
SURVEY = 20  # calls after which a search that has stopped looks at no further array
FEW = 5  # entries that stand for an array then
SAMPLE = 20  # entries that stand for a region that is wrong throughout
CLOSER = 64  # entries of an array that are looked at where directions cannot judge
HOPELESS = 10.0  # an array in which so many times a typical entry could hide is not judged
SHARP = 3e-4  # an array that a joint direction sees less sharply gets one of its own


class Region(NamedTuple):
    """Whole arrays, or a run of the entries of one, by rows ("C") or by columns ("F")."""

    first: int
    last: int
    start: int
    stop: int
    order: str = "C"


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

    @property
    def doubtful(self) -> bool:
        """Whether a sharper look could change that."""
        return self.allowed < abs(self.value) < 3 * self.allowed


class Search:
    """One check along directions: what was drawn, what was found, what is still to look at."""

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
        broken = [~np.isfinite(a) for a in analytic]
        self.finite = [
            np.where(b, 0, a) if b.any() else a for a, b in zip(analytic, broken, strict=True)
        ]
        self.rng = random_numbers(rng)
        self.parameters = evaluator.parameters
        self.x0 = evaluator.parameters.x0
        self.sharpness = [math.inf] * len(self.x0)
        self.excused = [0.0] * len(self.x0)
        self.blurred: set[int] = set()
        self.unjudged: list[str] = []
        self.excluded: list[tuple[int, Any]] = []
        self.checked: list[CheckedArray] = []
        self.trace: list[SearchStep] = []
        self.direction: list[Floats] = []
        self.notes: list[str] = []
        self.step: float | None = None
        self.complete = True
        self.kinked = self.stuck = self.unexplained = self.cramped = False
        self.wrong = self.puzzles = 0

    def run(self) -> None:
        """Draw directions until two in a row are clean; search wherever one is not."""
        arrays = range(len(self.x0))
        for k in arrays:
            if self.finite[k] is not self.analytic[k]:
                broken = np.flatnonzero(~np.isfinite(self.analytic[k]))
                self._look(k, broken[: self.max_wrong])
                self.excluded.append((k, broken))
        clean, spare = 0, SPARE
        while clean < CLEAN and self._room():
            if self._try(0, len(self.x0)):
                clean = 0
            elif self.cramped and spare:
                spare -= 1  # a kink was near: along another direction the check may see sharper
            else:
                clean += 1
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

    def _survey(self) -> None:
        """Look once at what the search has not come to: the diagnosis asks.

        Arrays, and the rest of a matrix where all that is wrong so far is in one row or column.
        """
        start, seen = self.evaluator.nfev, {checked.array for checked in self.checked}
        for k in sorted(range(len(self.x0)), key=lambda k: (k not in seen, -k)):
            region = Region(k, k + 1, 0, self.x0[k].size)
            line = self._line(k)
            came_to = (k in seen and not line.size) or not region.stop
            if came_to or math.isfinite(self.sharpness[k]) or self.evaluator.nfev > start + SURVEY:
                continue
            self.excluded.append((k, line))
            self.direction = self._draw(k, k + 1)
            if (residual := self._measure(region)) is None:
                continue
            self._trace(region, residual)
            if not residual.active:
                self._sharpen(region, residual)
            elif not line.size:
                self._look(k, self._sample(region, FEW), thorough=1)

    def _line(self, k: int) -> Array:
        """Return the row or column of a matrix that holds all its wrong entries, if one does."""
        found = [c.index[c.verdict == Verdict.WRONG] for c in self.checked if c.array == k]
        wrong = np.concatenate([np.zeros(0, dtype=int), *found])
        shape, line = self.parameters.shapes[k], wrong[:0]
        if wrong.size > 2 and len(shape) == 2 and min(shape) > 1:
            entries = np.arange(self.x0[k].size).reshape(shape)
            for axis, index in enumerate(np.unravel_index(wrong, shape)):
                if np.all(index == index[0]):
                    line = entries.take(index[0], axis)
        return line

    def _room(self) -> bool:
        """Whether to go on along directions; a region wrong throughout counts as one entry."""
        return self.wrong < self.max_wrong and not self.stuck

    def _try(self, first: int, last: int) -> bool:
        """Check some arrays along a new direction; return whether it led to single entries."""
        self.direction = self._draw(first, last)
        if not any(np.any(d) for d in self.direction):
            return False
        region = Region(first, last, 0, sum(x.size for x in self.x0[first:last]))
        residual = self._measure(region)
        if residual is not None and not residual.active:
            self._trace(region, residual)
            self._sharpen(region, residual)
            return False
        if residual is None:
            self.notes.append("The loss is not finite at any step along a random direction.")
        else:
            before = len(self.excluded)
            self._trace(region, residual)
            self._search(region, residual)
            self.puzzles += len(self.excluded) == before
            if self.puzzles < 2:  # once may be bad luck with the noise: draw again
                return True
            if abs(residual.value) <= residual.within_rtol:
                self._sharpen(region, residual._replace(slack=abs(residual.value)))
                return False
            self.unexplained = True
            self.notes.append(
                f"The gradient is off along a random direction by {abs(residual.value):.1e} "
                f"(allowed: {residual.allowed:.0e}), but no entry of it could be named."
            )
        self.stuck = True
        self.blurred.update(range(first, last))
        self.complete = False
        return False

    def _look_closer(self, k: int) -> None:
        """Judge single entries of an array along which a direction cannot: at kinks, at edges.

        Kinks like to sit where a parameter is exactly 0: without those, a direction may do.
        """
        name = self.parameters.names[k] or "the parameters"
        self.stuck = False
        self.direction = self._draw(k, k + 1)
        left = self.direction[k] != 0
        at_zero = np.flatnonzero(left & (self.x0[k] == 0))
        if 0 < at_zero.size < np.count_nonzero(left):
            self._look_at_some(k, at_zero, f"the entries of {name} that are 0")
            self.excluded.append((k, at_zero))
            while self._room() and self._try(k, k + 1):
                pass
            if self.sharpness[k] <= BLIND or not self._room():
                return
            left = self._draw(k, k + 1)[k] != 0
        all_of_them = self._look_at_some(k, np.flatnonzero(left), name)
        if self.sharpness[k] > HOPELESS and not all_of_them:
            self.unjudged.append(name)

    def _look_at_some(self, k: int, indices: Array, what: str) -> bool:
        """Look at entries one by one, and say so; return whether that was all of them."""
        sample = indices
        if indices.size > CLOSER:
            sample = np.sort(self.rng.choice(indices, CLOSER, replace=False))
            self.complete = False
            self.excused[k] = math.inf  # of the others nobody knows
        if sample.size:
            looked = self._look(k, sample)
            self.kinked |= bool(np.any(looked.verdict == Verdict.KINK))
            self.excused[k] = max(self.excused[k], looked.resolution(self.finite[k]))
            self.notes.append(
                f"Along {what} the loss has kinks, ends or never settles, and a direction cannot "
                f"judge: {sample.size:,} of {indices.size:,} were looked at one by one."
            )
        return sample.size == indices.size

    @property
    def resolution(self) -> list[float]:
        """For each array, the smallest error in one entry that would have been seen."""
        return [max(pair) for pair in zip(self.sharpness, self.excused, strict=True)]

    @property
    def explained(self) -> bool:
        """Whether single entries account for all that directions showed, or could not judge.

        Kinks do, for they add up to what no single one shows.
        """
        return not self.unjudged and (self.kinked or not self.unexplained)

    def _draw(self, first: int, last: int) -> list[Floats]:
        """Draw weights of either sign, 0.5 to 1.5 times the typical size of each entry."""
        direction = [np.zeros(0)] * len(self.x0)
        for k in range(first, last):
            weights = random_weights(self.rng, self.x0[k].size)
            # A small entry moves as far as a typical one, or an error in it could not be seen.
            weights *= typical_sizes(self.x0[k], share=1.0)
            direction[k] = weights
        for k, where in self.excluded:
            if first <= k < last:
                direction[k][where] = 0.0
        return direction

    def _parts(self, region: Region) -> list[tuple[int, Any, Floats]]:
        """Return the arrays of a region, where in them it lies, and the direction there."""
        if region.last - region.first > 1:
            return [(k, slice(None), self.direction[k]) for k in range(region.first, region.last)]
        where = self._where(region)
        return [(region.first, where, self.direction[region.first][where])]

    def _where(self, region: Region) -> Any:
        if region.order == "C":
            return slice(region.start, region.stop)
        shape = self.parameters.shapes[region.first]
        by_columns = np.arange(math.prod(shape)).reshape(shape).ravel(order="F")
        return by_columns[region.start : region.stop].copy()  # not a view that keeps the whole

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
        line = direction_line(self.evaluator, parts, self.finite)
        if parent is not None:
            step = parent.step
        else:
            own = first_steps(np.array([math.sqrt(predicted)]), np.ones(1), self.noise)
            step = max(self.step or 0.0, float(own[0]))
        blur = rounding(self.evaluator, parts)
        ladder = Ladder(line, self.evaluator, self.noise, max(step, REALISED * blur), blur)
        if parent is not None and (rung := ladder.measure(0.0)) is not None:
            bar = parent.truncation + rung.bar
            quick = Residual(rung.slope, bar, parent.truncation, 0.0, slack, rung.step, within_rtol)
            if not quick.doubtful:
                return quick

        def enough(e: Estimate) -> bool:
            bar = e.error + e.kink
            if abs(e.value) <= bar + slack:
                return bar <= slack
            return ladder.confirmed(e) and abs(e.value) > 3 * (bar + slack)

        best = ladder.climb(enough)
        if best is None:
            return None
        # At a minimum, no slope is known nearer than it changes over a few roundings.
        slack = math.hypot(slack, ladder.bend(10 * blur))
        terms = best.value, best.error, best.truncation, best.kink
        closer = ladder.closer(best)
        fine = all(abs(r.slope) <= SURE * r.bar + abs(r.jump) / 2 + slack for r in closer)
        if closer and fine and best.kinked:
            # With kinks within the step, a smaller one must object to the gradient as well.
            terms = closer[0].slope, closer[0].bar, 0.0, abs(closer[0].jump) / 2
        self.cramped = best.step < ladder.step / 8
        # Kinks, or slopes that never settle: well above what noise alone does to these terms.
        if max(best.kink / 4, best.truncation / 10) > best.round_off:
            self.blurred.update(range(region.first, region.last))
        return Residual(*terms, slack, best.step, within_rtol)

    def _sharpen(self, region: Region, residual: Residual) -> None:
        """Note what error in one entry of each array a clean direction would have shown."""
        self.step = residual.step if region.last - region.first > 1 else self.step
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

    def _search(self, region: Region, residual: Residual) -> None:
        """Follow what is wrong from a region into its halves, down to single entries."""
        if region.last - region.first > 1:
            for half, found in self._active_halves(region, residual):
                self._search(half, found)
            return
        level = [(region, residual)]
        for _ in range(3):
            level = [
                active
                for part, found in level
                for active in (
                    self._active_halves(part, found) if _size(part) > LEAF else [(part, found)]
                )
            ]
        # Three parts with less than `rtol` allows in all: perhaps each entry is a little off.
        most = len(level) >= (3 if abs(residual.value) <= residual.within_rtol else 6)
        if most and _size(region) >= THROUGHOUT and self._throughout(region, residual):
            return
        for part, found in level:
            if not self._room():
                return
            if not np.any(self._parts(part)[0][2]):
                continue  # meanwhile excluded
            if _size(part) <= LEAF:
                k, _, d = self._parts(part)[0]
                excused = self._relative(k, d, abs(found.value))
                if np.all(self._look(k, self._indices(part)).verdict == Verdict.AGREE):
                    # The bars of single entries are wider, and could not tell.
                    self.excused[k] = max(self.excused[k], excused)
            else:
                self._search(part, found)

    def _active_halves(
        self, region: Region, residual: Residual
    ) -> Iterator[tuple[Region, Residual]]:
        """Yield the halves in which something is wrong; one measured, the other what is left."""
        left, right = self._halves(region)
        here = self._measure(left, residual)
        if here is None:
            return
        there: Residual | None = residual._replace(
            value=residual.value - here.value, error=residual.error + here.error
        )
        if there is not None and (there.doubtful or here.active == there.active):
            there = self._measure(right, residual)
        for half, found in ((left, here), (right, there)):
            if found is not None:
                self._trace(half, found)
                if found.active:
                    yield half, found
                elif _size(half) == sum(x.size for x in self.x0[half.first : half.last]):
                    self._sharpen(half, found)  # whole arrays, and clean

    def _halves(self, region: Region) -> tuple[Region, Region]:
        if region.last - region.first > 1:
            middle = (region.first + region.last) // 2
            sizes = [x.size for x in self.x0]
            return (
                Region(region.first, middle, 0, sum(sizes[region.first : middle])),
                Region(middle, region.last, 0, sum(sizes[middle : region.last])),
            )
        middle = (region.start + region.stop) // 2
        return region._replace(stop=middle), region._replace(start=middle)

    def _throughout(self, region: Region, residual: Residual) -> bool:
        """Sample a region that is active in most of its parts; return whether that settles it."""
        k, sample = region.first, self._sample(region, SAMPLE)
        if not sample.size:
            return True
        looked = self._look(k, sample, thorough=2)
        wrong = int(np.count_nonzero(looked.verdict == Verdict.WRONG))
        name = self._name(region)
        if wrong >= sample.size / 2:
            self.notes.append(
                f"Wrong throughout {name}: {wrong} of {sample.size} sampled entries are. "
                "The others were not looked at."
            )
            self.complete = False
        elif wrong == 0 and region.order == "C" and len(self.parameters.shapes[k]) > 1:
            by_columns = region._replace(order="F")
            if _size(region) == self.x0[k].size and (found := self._measure(by_columns)):
                self._search(by_columns, found)
                return True
            return False
        elif wrong == 0 and self._smeared(looked, residual, _size(region)):
            self.notes.append(
                f"Along directions, the gradient of {name} differs from the loss by no more than "
                f"{sample.size} sampled entries do, and each of them agrees within `rtol`."
            )
            if _size(region) == self.x0[k].size:
                self._sharpen(region, residual._replace(slack=abs(residual.value)))
            else:
                d = self._parts(region)[0][2]
                hidden = self._relative(k, d, abs(residual.value))
                self.excused[k] = max(self.excused[k], hidden)
        else:
            return False
        whole = self._whole_lines(region)
        self.excluded.append((k, self._where(whole)))
        self.direction[k][self._where(whole)] = 0.0
        return True

    def _smeared(self, looked: CheckedArray, residual: Residual, size: int) -> bool:
        """Whether the small differences of a sample add up to the residual of its region."""
        weights = self.direction[looked.array][looked.index]
        differences = (looked.analytic - looked.numerical) * weights
        typical = float(np.linalg.norm(differences)) / math.sqrt(looked.index.size)
        return abs(residual.value) <= 4 * typical * math.sqrt(size)

    def _whole_lines(self, region: Region) -> Region:
        """Widen a part of a single row or column to all of it."""
        shape = self.parameters.shapes[region.first]
        if len(shape) != 2:
            return region
        line = shape[0] if region.order == "F" else shape[1]
        first, last = region.start // line, (region.stop - 1) // line
        if first < last:
            return region
        return region._replace(start=first * line, stop=(first + 1) * line)

    def _sample(self, region: Region, size: int) -> Array:
        indices = self._indices(region)
        if indices.size <= size:
            return indices
        return np.sort(self.rng.choice(indices, size, replace=False))

    def _indices(self, region: Region) -> Array:
        where = self._where(region)
        indices = np.arange(where.start, where.stop) if isinstance(where, slice) else where
        return np.sort(indices[self.direction[region.first][indices] != 0])

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
        self.excluded.append((k, indices))
        self.checked.append(judge.checked)
        return judge.checked

    def _name(self, region: Region) -> str:
        names = self.parameters.names
        if region.last - region.first > 1:
            return ", ".join(names[region.first : region.last])
        name = names[region.first] or "the parameters"
        if _size(region) == self.x0[region.first].size:
            return name
        shape = self.parameters.shapes[region.first]
        line, lines = (shape[0], "columns") if region.order == "F" else (shape[-1], "rows")
        if len(shape) != 2:
            return f"{name}, flat [{region.start}:{region.stop}]"
        first, last = region.start // line, (region.stop - 1) // line
        if first == last and _size(region) < line:
            run = f"{region.start % line}:{(region.stop - 1) % line + 1}"
            return f"{name}[{run}, {first}]" if region.order == "F" else f"{name}[{first}, {run}]"
        if first == last:
            return f"{name}, {lines[:-1]} {first}"
        if region.start % line == 0 == region.stop % line:
            return f"{name}, {lines} {first} to {last}"
        turn = -1 if region.order == "F" else 1
        start, end = ([*divmod(i, line)][::turn] for i in (region.start, region.stop - 1))
        return f"{name}, from {start} to {end}"

    def _trace(self, region: Region, residual: Residual) -> None:
        self.trace.append(
            SearchStep(
                self._name(region), _size(region), residual.value, residual.allowed, residual.active
            )
        )


def _size(region: Region) -> int:
    return region.stop - region.start
