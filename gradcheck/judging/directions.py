"""What a gradient misses along a random direction: the errors of all its entries, added up.

For a gradient g, the slope of the loss along d is g . d. Subtract from the loss what the
gradient predicts, and the slope that is left is the error of the gradient along d, for the price
of one entry. Continuous random weights keep errors from cancelling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradcheck.judging.judge import SURE, Claim, examine
from gradcheck.judging.regions import ARRAYS, COLUMNS, PIECE, ROWS, Region
from gradcheck.judging.table import Reason, Verdict
from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.noise import random_weights
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

RAMPS = {ARRAYS: "arrays", ROWS: "rows", COLUMNS: "columns"}


class SearchStep(NamedTuple):
    """One measurement along a random direction, on the way to the wrong entries.

    `residual` is the error of the gradient along the direction, in the region `where` of `size`
    entries, and `allowed` what it may be; `active` is True where something there is wrong. Where
    the direction was multiplied by a ramp along the `ramp` ("arrays", "rows" or "columns") of the
    region, `ratio` is the residual over that without: of one wrong entry, its place on the ramp.
    """

    where: str
    size: int
    residual: float
    allowed: float
    active: bool
    ramp: str = ""
    ratio: float = math.nan


class Residual(NamedTuple):
    """The error of the gradient along a direction, and all that may excuse it."""

    value: float
    error: float  # its error bar
    slack: float  # what tolerances, kinks and the rounding of the gradient itself excuse
    truncation: float
    step: float
    within: float  # what `rtol` excuses in every entry: all of them may be a little off
    loud: bool = False  # more than that: then what is not is left to later directions
    clear: bool = True  # False where the loss bends, jumps or never settles near the point

    @property
    def allowed(self) -> float:
        """How large the value may be if the gradient is right."""
        slack = max(self.slack, self.within) if self.loud else self.slack
        return SURE * self.error + slack

    @property
    def certain(self) -> float:
        """How large an error must be to be seen even if the noise takes its side."""
        return self.allowed + SURE * self.error + self.slack

    @property
    def active(self) -> bool:
        """Whether something is wrong."""
        return abs(self.value) > self.allowed


@dataclass(frozen=True)
class Problem:
    """A gradient that is to be held against a loss, and what was measured of it so far."""

    evaluator: Evaluator
    gradient: Sequence[Array]  # finite: 0 where it was not
    noise: float
    rtol: float
    atol: float
    trace: list[SearchStep] = field(default_factory=list)


class Along:
    """A direction within a region, ramped along one of its axes, piece by piece."""

    def __init__(self, weights: Sequence[Floats], region: Region, axis: int | None = None) -> None:
        self.weights, self.region, self.axis = weights, region, axis

    def __iter__(self) -> Iterator[tuple[int, Any, Floats]]:
        """Yield the arrays, where in them it lies, and the direction there."""
        for k, where, ramp in self.region.pieces(self.axis):
            d = self.weights[k][where]
            yield k, where, d if self.axis is None else d * ramp


class Direction:
    """A random direction through the open entries of a region.

    Weights of either sign, 0.5 to 1.5 times the typical size of each entry: a small one moves as
    far as a typical one, or an error in it could not be seen.
    """

    def __init__(
        self,
        problem: Problem,
        region: Region,
        open_entries: Sequence[Array],
        rng: np.random.Generator,
    ) -> None:
        self.problem, self.region = problem, region
        self.weights = [np.zeros(0)] * len(problem.gradient)
        for k in region.arrays:
            d = self.weights[k] = typical_sizes(problem.evaluator.parameters.x0[k], share=1.0)
            for start in range(0, d.size, PIECE):
                d[start : start + PIECE] *= random_weights(rng, min(PIECE, d.size - start))
            d *= open_entries[k]

    def measure(self, step: float = 0.0) -> Residual | None:
        """Measure the error of the gradient along all of it; None where nobody can tell."""
        problem, along = self.problem, Along(self.weights, self.region)
        blur = rounding(problem.evaluator, along)
        changes = (np.linalg.norm(problem.gradient[k][where] * d) for k, where, d in along)
        change = math.hypot(*map(float, changes))
        own = first_steps(np.array([change]), np.ones(1), problem.noise)
        line = direction_line(problem.evaluator, along, problem.gradient)
        step = max(step, float(own[0]), REALISED * blur)
        ladder = Ladder(line, problem.evaluator, problem.noise, step, blur)
        slack, within = self._excuses(self.region)
        judged = examine(Claim(0.0, 0.0, slack), ladder, 10 * blur, sharper=True)
        if judged is None:
            return None
        # At kinks of either sign the slopes to both sides say little of what lies between.
        if judged.reason is Reason.KINK or judged.verdict is Verdict.UNRESOLVED:
            return None
        e = judged.slope
        slack = judged.allowed + e.kink
        loud = abs(e.value) > SURE * e.error + slack + within
        clear = max(e.kink / 4, e.truncation / 10) <= e.round_off
        residual = Residual(e.value, e.error, slack, e.truncation, e.step, within, loud, clear)
        self._note(self.region, residual, residual.active)
        return residual

    def within(self, region: Region, whole: Residual, axis: int | None = None) -> Residual:
        """Measure a part of it, or its product with a ramp, at the step of the whole: two calls."""
        problem, along = self.problem, Along(self.weights, region, axis)
        line = direction_line(problem.evaluator, along, problem.gradient)
        ladder = Ladder(line, problem.evaluator, problem.noise, whole.step)
        rung = ladder.measure(0.0)
        slack, within = self._excuses(region)
        residual = whole._replace(value=math.nan, slack=slack, within=within)
        if rung is not None:
            residual = residual._replace(value=rung.slope, error=whole.truncation + rung.bar)
        if axis is None:
            self._note(region, residual, residual.active)
        return residual

    def place(self, region: Region, here: Residual, axis: int) -> range | None:
        """Return from where to where, along an axis, one error that is all of `here` can lie.

        None where no place fits, so that there must be several; or where noise leaves too many.
        """
        ramped = self.within(region, here, axis)
        ratio = ramped.value / here.value
        blur = SURE * (ramped.error + abs(ratio) * here.error) / abs(here.value)
        self._note(region, ramped, True, RAMPS[axis], ratio)
        length = len(region.spans[axis])
        sharp = places(ratio, blur, length)
        if len(sharp) or not here.loud:
            return sharp if 0 < len(sharp) <= (length + 1) // 2 else None
        # What is a little off everywhere moves the ratio; one place alone may still be near.
        near = places(ratio, blur + 2 * here.within / abs(here.value), length)
        return near if len(near) == 1 else None

    def halves(self, region: Region, here: Residual, axis: int) -> list[tuple[Region, Residual]]:
        """Return the halves in which something is wrong; one is measured, the other is the rest."""
        left, right = region.halves(axis)
        first = self.within(left, here)
        slack, within = self._excuses(right)
        second = here._replace(
            value=here.value - first.value,
            error=here.error + first.error,
            slack=slack,
            within=within,
        )
        if not abs(second.value) > 3 * second.allowed and (second.active or not first.active):
            second = self.within(right, here)
        else:
            self._note(right, second, second.active)
        return [(half, r) for half, r in ((left, first), (right, second)) if r.active]

    def change(self, k: int) -> float:
        """Return what the gradient of an array predicts along the direction."""
        d = self.weights[k]
        return float(np.dot(self.problem.gradient[k], d)) if d.size else 0.0

    def relative(self, k: int, change: float) -> float:
        """Return which error, in typical entries, makes a change in the entry that moves least."""
        d = self.weights[k]
        typical = float(np.linalg.norm(self.problem.gradient[k] * (d != 0)))
        typical /= math.sqrt(np.count_nonzero(d) or 1)
        least = float(np.min(np.abs(d), where=d != 0, initial=math.inf))
        return abs(change) / (typical * least) if typical else math.inf

    def _excuses(self, region: Region) -> tuple[float, float]:
        """Return what tolerances and rounding excuse along the direction, and in every entry."""
        rtol, atol = self.problem.rtol, self.problem.atol
        slack = within = 0.0
        for k, where, d in Along(self.weights, region):
            g = self.problem.gradient[k][where]
            rounding = 10 * float(np.finfo(g.dtype).eps)
            change, excused = float(np.linalg.norm(g * d)), atol * float(np.linalg.norm(d))
            slack = math.hypot(slack, (1e-3 * rtol + rounding) * change, excused)
            within = math.hypot(within, (rtol + rounding) * change, excused)
        return slack, within

    def _note(
        self, region: Region, r: Residual, active: bool, ramp: str = "", ratio: float = math.nan
    ) -> None:
        where = region.name(self.problem.evaluator.parameters.names)
        step = SearchStep(where, region.size, r.value, r.allowed, active, ramp, ratio)
        self.problem.trace.append(step)


def places(ratio: float, blur: float, length: int) -> range:
    """Return the places on a ramp from 0.5 to 1.5 at which it is a ratio, but for a blur."""
    if not blur < 1:
        return range(length)
    start = max(math.ceil((ratio - 0.5 - blur) * (length - 1)), 0)
    return range(start, min(math.floor((ratio - 0.5 + blur) * (length - 1)), length - 1) + 1)
