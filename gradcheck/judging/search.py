"""Check all partial derivatives at once along random directions; decode which ones are wrong.

Halving asks one bit of each measurement; a residual has as many digits as the noise leaves it.
Along d, and along d * u with u a ramp over the rows of a matrix, the ratio of two residuals *is*
the place of the row that holds one wrong entry; a second ramp gives its column. Where no place
fits there are several, and what is left is halved. Whatever is named was then examined alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from gradcheck.judging.directions import Direction, Residual
from gradcheck.judging.entries import SPARE, EntryJudge
from gradcheck.judging.judge import Problem
from gradcheck.judging.regions import Region
from gradcheck.judging.table import BLIND, CheckedArray, Judged, SearchStep, Verdict
from gradcheck.measuring.noise import random_numbers
from gradcheck.measuring.parameters import Array

CLEAN = 2  # clean directions that a pass needs
SHARP = 3e-4  # an array that a joint direction sees less sharply gets one of its own
DIGIT = 4  # error bars in a residual of which ratios are taken
LEAF = 2  # so few entries are looked at one by one
TASTE, SAMPLE = 4, 20  # entries that show whether a region is wrong throughout, and stand for it
PATIENT = 100_000  # entries of an array that are looked at where directions cannot judge
CLOSER = 64  # so many of a larger one
CHUNK = 512  # of them at a time: enough may be wrong already
PATIENCE = 300  # calls that find nothing, until directions give way


class Remark(NamedTuple):
    """What was decided of an array without a look at each of its entries."""

    array: int
    text: str
    missed: float = 0.0  # an error in one entry that may have been missed, in typical entries
    complete: bool = False
    explained: bool = True  # False where the gradient is off along a direction, in no known entry


class Sight(NamedTuple):
    """What one direction saw: True if errors, False if none, None if nobody can tell."""

    found: bool | None
    step: float = 0.0
    off: float = 0.0  # an error along the direction that no entry explains
    sharp: Mapping[int, float] = MappingProxyType({})  # the smallest error in one entry of each
    signs: frozenset[int] = frozenset()  # arrays in which another sign would have shown


class Looked:
    """The entries that were looked at one by one, each at most once, and what else was decided."""

    def __init__(self, problem: Problem, rng: np.random.Generator, limit: int) -> None:
        self.problem, self.rng, self.limit = problem, rng, limit
        self.shapes = problem.evaluator.parameters.shapes
        self.names = problem.evaluator.parameters.names
        self.open = [np.isfinite(a) for a in problem.gradient]
        finite = [
            a if np.all(known) else np.where(known, a, 0)
            for a, known in zip(problem.gradient, self.open, strict=True)
        ]
        self.along = problem._replace(gradient=finite)  # what directions are held against
        self.trace: list[SearchStep] = []
        self.checked: list[CheckedArray] = []
        self.remarks: list[Remark] = []
        self.found = 0  # wrong entries; a region that is wrong throughout counts as one
        self.progress = problem.evaluator.nfev

    @property
    def room(self) -> bool:
        """Whether to look for more."""
        return self.found < self.limit

    def patient(self, loud: bool) -> bool:
        """Whether to go on along directions: not so long after what `rtol` may well excuse."""
        patience = PATIENCE if loud else PATIENCE // 3
        return self.room and self.problem.evaluator.nfev < self.progress + patience

    def look(self, k: int, index: Array, count: int = 1 << 30, share: float = 1.0) -> int:
        """Judge some entries to the end; return how many are wrong, of which `count` count."""
        evaluator, judge = self.problem.evaluator, EntryJudge(self.problem, k, index, share)
        judge.check_all()
        if LEAF * count > index.size and index.size < CHUNK:  # no sample
            judge.look_twice(evaluator.nfev + SPARE)
        self.open[k][index] = False
        self.checked.append(judge.checked)
        wrong = int(np.count_nonzero(judge.checked.verdict == Verdict.WRONG))
        self.found += min(wrong, count)
        self.progress = evaluator.nfev if wrong else self.progress
        return wrong

    def some(self, region: Region, size: int) -> Array:
        """Return some open entries of a region of one array by chance, or all if they are few."""
        (k,) = region.arrays
        within = np.zeros(self.open[k].size, dtype=bool)
        for _, where in region.pieces():
            within[where] = True
        index = np.flatnonzero(within & self.open[k])
        return index if index.size <= size else np.sort(self.rng.choice(index, size, replace=False))

    def settle(self, region: Region, remark: Remark) -> None:
        """Take a region out of all later directions, and say why."""
        self.remarks.append(remark)
        for k, where in region.pieces():
            self.open[k][where] = False

    def give_way(self, k: int, off: float) -> None:
        """Look at the entries of an array along which directions cannot judge."""
        count = int(np.count_nonzero(self.open[k]))
        size, seen = (count if count <= PATIENT else CLOSER), 0
        index = self.some(Region.of(self.shapes, k, k + 1), size)
        while seen < size and self.room:
            self.look(k, index[seen : seen + CHUNK], share=0.01)
            seen = min(seen + CHUNK, size)
        self.progress = self.problem.evaluator.nfev
        all_seen, name = seen == count, self.names[k] or "the parameters"
        why = f"the gradient is off by {off:.1e}, in no entry that could be named"
        if not off:
            why = "the loss has kinks, ends or never settles, and a direction cannot judge"
        text = f"Along {name} {why}: {seen:,} of {count:,} were looked at one by one."
        missed = 0.0 if all_seen else math.inf
        self.remarks.append(Remark(k, text, missed, all_seen, all_seen or not off))


class Descent(NamedTuple):
    """The way from a residual down to the entries that cause it, along one direction."""

    direction: Direction
    looked: Looked

    def follow(self, region: Region, here: Residual, known: bool = True) -> bool:
        """Look at what may be wrong in a region; return whether that explains the residual.

        Unless it is `known`, all of the residual is only supposed to come from this region.
        """
        if not self.looked.patient(here.loud):
            return False
        if region.size <= LEAF and len(region.arrays) == 1:
            index = self.looked.some(region, LEAF)
            return bool(index.size and self.looked.look(region.arrays[0], index))
        sharp = abs(here.value) > DIGIT * here.error  # or a ratio tells less than a half would
        for axis in region.axes if sharp else ():
            ramped = self.direction.part(region, here, axis)
            if not (known or ramped.active):
                return False  # nothing is here
            place = self.direction.place(region, here, ramped, axis)
            if 0 < 2 * len(place) <= len(region.spans[axis]) + 1:
                part = region.cut(axis, place.start, place.stop)
                if self.follow(part, here, known=False):
                    return True
        if not known:
            here = self.direction.part(region, here)
        return here.active and self._split(region, here)

    def _split(self, region: Region, here: Residual) -> bool:
        """Follow several errors into the parts of a region, unless all of it is settled at once."""
        if len(region.arrays) > 1:
            parts = self.direction.halves(region, here, region.axes[0])
        elif not here.loud and region.whole and self._settled(region, here):
            return True
        else:
            parts = [
                quarter
                for half, found in self.direction.halves(region, here, region.axes[0])
                for quarter in (
                    self.direction.halves(half, found, half.axes[0])
                    if half.size > LEAF
                    else [(half, found)]
                )
            ]
            throughout = here.loud and len(parts) == 4 and region.size > SAMPLE
            if throughout and self._settled(region, here):
                return True
        followed = [self.follow(part, found) for part, found in parts]
        return any(followed)

    def _settled(self, region: Region, here: Residual) -> bool:
        """Look at a sample, in case all of a region is wrong, or all of it a little off."""
        looked, (k,) = self.looked, region.arrays
        sample = looked.some(region, TASTE)
        wrong, size = looked.look(k, sample, 1), sample.size
        name = region.name(looked.names)
        if 2 * wrong >= size:
            rest = looked.some(region, SAMPLE - TASTE)
            wrong, size = wrong + looked.look(k, rest, 0), size + rest.size
        if 2 * wrong >= size:
            text = (
                f"Of {size} entries sampled in {name}, {wrong} are wrong. "
                "The search did not look at the others."
            )
            looked.settle(region, Remark(k, text))
            return True
        looked.found += max(wrong - 1, 0)
        if wrong or here.loud:
            return False
        seen = looked.checked[-1]
        excess = np.maximum(np.abs(seen.analytic - seen.numerical) - seen.error, 0)
        typical = float(np.linalg.norm(excess * self.direction.weights[k][sample]))
        if abs(here.value) > 4 * typical * math.sqrt(region.size / size):
            return False
        text = (
            f"Along directions, the gradient of {name} differs from the loss by no more than "
            f"{size} sampled entries do, and each of them agrees within `rtol`."
        )
        missed = self.direction.relative(k, abs(here.value) + here.certain)
        looked.settle(region, Remark(k, text, missed, complete=True))
        return True


def look_along(looked: Looked, region: Region, step: float) -> Sight:
    """Draw a new direction through a region, and follow what is wrong along it."""
    direction = Direction(looked.along, region, looked.open, looked.rng, looked.trace)
    if not any(np.any(d) for d in direction.weights):
        return Sight(False)
    residual = direction.measure(step)
    if residual is None:
        return Sight(None)
    if residual.active:
        if Descent(direction, looked).follow(region, residual):
            return Sight(True, residual.step)
        if residual.loud:
            direction.ladder.repeat()
            return Sight(None, residual.step, abs(residual.value))
    seen = residual.certain + abs(residual.value)
    sharp = {k: direction.relative(k, seen) for k in region.arrays}
    signs = [k for k in region.arrays if abs(2 * direction.change(k)) > residual.certain]
    blurred = residual.blurred and max(sharp.values()) > BLIND
    return Sight(None if blurred else False, residual.step, 0.0, sharp, frozenset(signs))


def check_directions(problem: Problem, rng: Any, max_wrong: int) -> Judged:
    """Draw directions until two in a row are clean; search wherever one is not.

    Then each array that they saw too blurred gets a direction of its own; and where directions
    cannot judge, at kinks, at edges and where no entry explains them, its entries are looked at.
    """
    looked = Looked(problem, random_numbers(rng), max_wrong)
    arrays, sights = range(len(problem.gradient)), [Sight(None)]

    def look(first: int, last: int) -> bool | None:
        region = Region.of(looked.shapes, first, last)
        sights.append(look_along(looked, region, sights[-1].step))
        return sights[-1].found

    def sharp(k: int) -> float:
        return _sharp(sights, k)

    for k in arrays:
        if broken := np.flatnonzero(~looked.open[k])[:max_wrong].tolist():
            looked.look(k, np.array(broken))
    clean: list[bool | None] = []
    while looked.room and clean[-CLEAN:] != [False] * CLEAN and None not in clean:
        clean.append(look(0, len(arrays)))
    known = None not in clean
    for k in sorted(arrays, key=sharp, reverse=True):
        while looked.room and np.any(looked.open[k]) and not (known and sharp(k) <= SHARP):
            found = look(k, k + 1)
            if found is None and not (known and sharp(k) <= BLIND):
                looked.give_way(k, sights[-1].off)
            if not found:
                break
    notes = [remark.text for remark in looked.remarks]
    if not looked.room:
        notes.append(
            f"The search stopped at `max_wrong={max_wrong}` wrong entries; "
            "what is right among the rest was not looked at."
        )
        for k in arrays:  # the diagnosis asks for those that the search has not come to
            came = any(c.array == k for c in looked.checked) or math.isfinite(sharp(k))
            if not came and look(k, k + 1) is None:
                looked.look(k, looked.some(Region.of(looked.shapes, k, k + 1), TASTE), 0)
    return _judged(looked, sights, notes)


def _sharp(sights: Sequence[Sight], k: int) -> float:
    """Return the smallest error in one entry of an array that some direction would have shown."""
    return min(sight.sharp.get(k, math.inf) for sight in sights)


def _judged(looked: Looked, sights: Sequence[Sight], notes: list[str]) -> Judged:
    """Sum up what entries and directions have shown of each array."""
    resolution, signs = [], []
    for k, typical in enumerate(looked.problem.typical):
        mine = [c for c in looked.checked if c.array == k]
        missed = [remark.missed for remark in looked.remarks if remark.array == k]
        along = [_sharp(sights, k)] if np.any(looked.open[k]) else []
        resolution.append(max([0.0, *along, *missed, *(c.resolution(typical) for c in mine)]))
        signs.append(any(k in sight.signs for sight in sights) or any(c.shows_sign() for c in mine))
    return Judged(
        looked.checked,
        resolution,
        signs,
        looked.open,
        looked.room and all(remark.complete for remark in looked.remarks),
        all(remark.explained for remark in looked.remarks),
        notes,
        looked.trace,
    )
