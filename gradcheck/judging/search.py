"""Check all partial derivatives at once along random directions; decode which ones are wrong.

Halving asks one bit of each measurement; a residual has as many digits as the noise leaves it.
Along d, and along d * u with u a ramp over the rows of a matrix, the ratio of two residuals *is*
the place of the row that holds one wrong entry; a second ramp gives its column. Where no place
fits there are several, and what is left is halved. Whatever is named was then examined alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.judging.directions import Direction, Problem, Residual, SearchStep
from gradcheck.judging.entries import SPARE, EntryJudge
from gradcheck.judging.regions import Region
from gradcheck.judging.table import BLIND, CheckedArray, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import random_numbers
from gradcheck.measuring.parameters import Array

CLEAN = 2  # clean directions that a pass needs
SHARP = 3e-4  # an array that a joint direction sees less sharply gets one of its own
LEAF = 2  # so few entries are looked at one by one
TASTE, SAMPLE = 4, 20  # entries that show whether a region is wrong throughout, and stand for it
PATIENT = 100_000  # entries of an array that are looked at where directions cannot judge
CLOSER = 64  # so many of a larger one
CHUNK = 512  # of them at a time: enough may be wrong already
PATIENCE = 300  # calls that find nothing, until directions give way


class Searched(NamedTuple):
    """What a search found: for each array its resolution, and whether a sign would have shown."""

    checked: list[CheckedArray]
    resolution: list[float]
    blind: list[bool]
    vouched: list[Array]  # entries that only directions speak for
    complete: bool
    explained: bool
    notes: list[str]
    trace: list[SearchStep]


class Looked:
    """The entries that were looked at one by one, each at most once, and what they settled."""

    def __init__(
        self, problem: Problem, analytic: Sequence[Array], rng: np.random.Generator, limit: int
    ) -> None:
        self.problem, self.analytic, self.rng, self.limit = problem, analytic, rng, limit
        self.shapes = problem.evaluator.parameters.shapes
        self.names = problem.evaluator.parameters.names
        self.open = [np.isfinite(a) for a in analytic]
        self.checked: list[CheckedArray] = []
        self.notes: list[str] = []
        self.excused = [0.0] * len(analytic)  # errors along directions that entries explained
        self.found = 0  # wrong entries; a region that is wrong throughout counts as one
        self.until = problem.evaluator.nfev + PATIENCE
        self.complete = True

    @property
    def room(self) -> bool:
        """Whether to look for more."""
        return self.found < self.limit

    @property
    def patient(self) -> bool:
        """Whether to go on along directions."""
        return self.room and self.problem.evaluator.nfev < self.until

    def look(self, k: int, index: Array, count: int | None = None, share: float = 1.0) -> int:
        """Judge some entries to the end; return how many are wrong, and count at most `count`."""
        p = self.problem
        judge = EntryJudge(
            p.evaluator,
            k,
            self.analytic[k],
            p.noise,
            rtol=p.rtol,
            atol=p.atol,
            index=index,
            share=share,
        )
        judge.check_all()
        if index.size > SAMPLE:
            judge.look_twice(p.evaluator.nfev + SPARE)
        self.open[k][index] = False
        self.checked.append(judge.checked)
        wrong = int(np.count_nonzero(judge.checked.verdict == Verdict.WRONG))
        self.found += wrong if count is None else min(wrong, count)
        if wrong:
            self.until = p.evaluator.nfev + PATIENCE
        return wrong

    def among(self, region: Region) -> Array:
        """Return the open entries of a region of one array."""
        (k,) = region.arrays
        if region.whole:
            return np.flatnonzero(self.open[k])
        within = np.zeros(self.open[k].size, dtype=bool)
        for _, where, _ in region.pieces():
            within[where] = True
        return np.flatnonzero(within & self.open[k])

    def some(self, index: Array, size: int) -> Array:
        """Return some entries by chance, or all if there are no more."""
        if index.size <= size:
            return index
        return np.sort(self.rng.choice(index, size, replace=False))

    def give_way(self, k: int) -> None:
        """Look at single entries of an array where a direction cannot judge."""
        index = np.flatnonzero(self.open[k])
        sample = index if index.size <= PATIENT else self.some(index, CLOSER)
        if sample.size < index.size:
            self.complete = False
            self.excused[k] = math.inf  # of the others nobody knows
        for start in range(0, sample.size, CHUNK):
            if self.room:
                self.look(k, sample[start : start + CHUNK], share=0.01)
        seen = index.size - int(np.count_nonzero(self.open[k]))
        self.notes.append(
            f"Along {self.names[k] or 'the parameters'} the loss has kinks, ends or never settles, "
            f"and a direction cannot judge: {seen:,} of {index.size:,} were looked at one by one."
        )

    def settle(self, region: Region) -> None:
        """Take a region out of all later directions."""
        for k, where, _ in region.pieces():
            self.open[k][where] = False


class Descent(NamedTuple):
    """The way from a residual down to the entries that cause it, along one direction."""

    direction: Direction
    looked: Looked

    def follow(self, region: Region, here: Residual, known: bool = True) -> bool:
        """Look at what may be wrong in a region; return whether that explains the residual.

        Unless it is `known`, all of the residual is only supposed to come from this region.
        """
        if not self.looked.patient:
            return False
        if region.size <= LEAF and len(region.arrays) == 1:
            index = self.looked.among(region)
            return bool(index.size and self.looked.look(region.arrays[0], index))
        for axis in region.axes:
            place = self.direction.place(region, here, axis)
            if place and self.follow(region.cut(axis, place.start, place.stop), here, known=False):
                return True
        if not known:
            here = self.direction.within(region, here)
            if not here.active:
                return False
        return self._split(region, here)

    def _split(self, region: Region, here: Residual) -> bool:
        """Follow several errors into the parts of a region, unless it is wrong throughout."""
        single = len(region.arrays) == 1
        if single and not here.loud and self._throughout(region, here):
            return True
        parts = self._parts(region, here, 0)
        if single and here.loud and len(parts) == 4 and region.size > SAMPLE:
            if self._throughout(region, here):
                return True
            if len(region.axes) > 1:  # whole columns, perhaps
                parts = min(parts, self._parts(region, here, -1), key=len)
        followed = [self.follow(part, found) for part, found in parts]
        return any(followed)

    def _parts(self, region: Region, here: Residual, axis: int) -> list[tuple[Region, Residual]]:
        """Return the quarters of a region, or if it has several arrays the halves, with errors."""
        halves = self.direction.halves(region, here, region.axes[axis])
        if len(region.arrays) > 1:
            return halves
        return [
            quarter
            for half, found in halves
            for quarter in (
                self.direction.halves(half, found, half.axes[axis])
                if half.size > LEAF
                else [(half, found)]
            )
        ]

    def _throughout(self, region: Region, here: Residual) -> bool:
        """Sample a region in which every part has errors; return whether that settles it."""
        looked, (k,) = self.looked, region.arrays
        taste = looked.some(looked.among(region), TASTE)
        wrong, found = looked.look(k, taste, 1), looked.found
        name = region.name(looked.names)
        if 2 * wrong >= taste.size:
            rest = looked.some(looked.among(region), SAMPLE - TASTE)
            wrong += looked.look(k, rest, 0)
            size = taste.size + rest.size
            if 2 * wrong >= size:
                looked.complete = False
                looked.notes.append(
                    f"Wrong throughout {name}: {wrong} of {size} sampled entries are. "
                    "The others were not looked at."
                )
                looked.settle(region)
                return True
        looked.found = found - min(wrong, 1) + wrong
        if wrong == 0 and self._smeared(k, here, region.size):
            looked.notes.append(
                f"Along directions, the gradient of {name} differs from the loss by no more than "
                f"{taste.size} sampled entries do, and each of them agrees within `rtol`."
            )
            looked.excused[k] = max(looked.excused[k], self.direction.relative(k, here.value))
            looked.settle(region)
            return True
        return False

    def _smeared(self, k: int, here: Residual, size: int) -> bool:
        """Whether the small differences of a sample add up to the residual of its region."""
        sample = self.looked.checked[-1]
        weights = self.direction.weights[k][sample.index]
        differences = np.abs(sample.analytic - sample.numerical) - sample.error
        differences = np.maximum(differences, 0) * weights
        typical = float(np.linalg.norm(differences)) / math.sqrt(sample.index.size)
        return abs(here.value) <= 4 * typical * math.sqrt(size)


class Sight:
    """What directions have shown of each array."""

    def __init__(self, problem: Problem) -> None:
        self.sharp = [math.inf] * len(problem.gradient)  # the smallest error in one entry
        self.seen = [False] * len(problem.gradient)  # whether another sign would have shown
        self.step = 0.0  # the last step that was right

    def judge(self, looked: Looked, region: Region) -> bool | None:
        """Try a new direction; True if it led to errors, False if clean, None if nobody knows."""
        direction = Direction(looked.problem, region, looked.open, looked.rng)
        if not any(np.any(d) for d in direction.weights):
            return False
        residual = direction.measure(self.step)
        if residual is None:
            return None
        if residual.active:
            return Descent(direction, looked).follow(region, residual) or None
        self.step = residual.step
        for k in region.arrays:
            sharp = max(direction.relative(k, residual.certain), looked.problem.rtol)
            self.sharp[k] = min(self.sharp[k], sharp)
            self.seen[k] |= abs(2 * direction.change(k)) > residual.certain
        blurred = not residual.clear and any(self.sharp[k] > BLIND for k in region.arrays)
        return None if blurred else False


def check_directions(
    evaluator: Evaluator,
    analytic: Sequence[Array],
    noise: float,
    *,
    rtol: float,
    atol: float,
    rng: Any,
    max_wrong: int,
) -> Searched:
    """Draw directions until two in a row are clean; search wherever one is not.

    Then each array that they saw too blurred gets a direction of its own; and where directions
    cannot judge, at kinks, at edges and where no entry explains them, its entries are looked at.
    """
    finite = [a if np.all(np.isfinite(a)) else np.where(np.isfinite(a), a, 0) for a in analytic]
    problem = Problem(evaluator, finite, noise, rtol, atol)
    looked, sight = Looked(problem, analytic, random_numbers(rng), max_wrong), Sight(problem)
    arrays = range(len(analytic))
    for k in arrays:
        if broken := np.flatnonzero(~looked.open[k])[:max_wrong].tolist():
            looked.look(k, np.array(broken))
    everything = Region.of(looked.shapes, 0, len(arrays))
    clean, outcome = 0, None
    while clean < CLEAN and looked.room:
        outcome = sight.judge(looked, everything)
        if outcome is None:
            break
        clean = 0 if outcome else clean + 1
    known = clean == CLEAN
    for k in sorted(arrays, key=lambda k: -sight.sharp[k]):
        while looked.room and np.any(looked.open[k]) and not (known and sight.sharp[k] <= SHARP):
            outcome = sight.judge(looked, Region.of(looked.shapes, k, k + 1))
            if outcome is None and not (known and sight.sharp[k] <= BLIND):
                looked.give_way(k)
            if not outcome:
                break
    if not looked.room:
        looked.complete = False
        for k in arrays:  # that the search has not come to: the diagnosis asks
            came = any(c.array == k for c in looked.checked) or math.isfinite(sight.sharp[k])
            if not came and sight.judge(looked, Region.of(looked.shapes, k, k + 1)) is None:
                looked.look(k, looked.some(np.flatnonzero(looked.open[k]), TASTE), 0)
        looked.notes.append(
            f"The search stopped at `max_wrong={max_wrong}` wrong entries; "
            "what is right among the rest was not looked at."
        )
    resolution, blind = zip(*(_seen(k, looked, sight) for k in arrays), strict=True)
    return Searched(
        looked.checked,
        list(resolution),
        list(blind),
        looked.open,
        looked.complete,
        True,
        looked.notes,
        problem.trace,
    )


def _seen(k: int, looked: Looked, sight: Sight) -> tuple[float, bool]:
    """Return the smallest error in one entry that would have shown, and if no sign would have."""
    g = looked.problem.gradient[k]
    typical = float(np.linalg.norm(g)) / math.sqrt(g.size or 1)
    # A single entry is allowed `rtol` of its own size.
    largest = float(np.max(np.abs(g), initial=0.0)) / typical if typical else 0.0
    parts = [looked.excused[k], looked.problem.rtol * largest]
    if np.any(looked.open[k]):
        parts.append(sight.sharp[k])
    seen = sight.seen[k] or not g.size
    for c in looked.checked:
        if c.array == k:
            parts.append(c.resolution(g))
            resolved = c.verdict != Verdict.UNRESOLVED
            seen |= bool(np.any(np.abs(2 * c.analytic) > c.allowed + c.error, where=resolved))
    return max(parts), not seen
