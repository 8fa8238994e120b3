"""What a gradient misses along a random direction: the errors of all its entries, added up.

For a gradient g, the slope of the loss along d is g . d. Subtract from the loss what the
gradient predicts, and the slope that is left is the error of the gradient along d, for the price
of one entry. Continuous random weights keep errors from cancelling.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.judging.judge import SURE, WIDER, Claim, Problem, examine
from gradcheck.judging.regions import Region
from gradcheck.judging.table import Reason, SearchStep, Verdict
from gradcheck.measuring.noise import random_direction
from gradcheck.measuring.parameters import Array
from gradcheck.measuring.slopes import (
    Floats,
    Ladder,
    direction_line,
    ladder_along,
    typical_sizes,
)

ROUNDINGS = 10  # of each entry of the gradient that are no error of it


class Residual(NamedTuple):
    """The error of the gradient along a direction, and all that may excuse it."""

    value: float
    error: float  # its error bar
    slack: float  # what kinks, tolerances and the rounding of the gradient excuse
    within: float  # what `rtol` excuses if every entry is a little off
    truncation: float  # how far two neighbouring steps disagree: one alone is off by 2/15 of it
    step: float
    loud: bool  # more than that: then what is not is left to later directions
    blurred: bool  # by kinks, or by slopes that never settle, and not by noise

    @property
    def allowed(self) -> float:
        """How large the value may be if the gradient is right."""
        return SURE * self.error + (max(self.slack, self.within) if self.loud else self.slack)

    @property
    def certain(self) -> float:
        """How large an error must be to be seen even if the noise takes its side."""
        return 2 * self.allowed

    @property
    def active(self) -> bool:
        """Whether something is wrong."""
        return abs(self.value) > self.allowed


class Along:
    """A direction within a region, ramped along one of its axes, piece by piece."""

    def __init__(self, weights: Sequence[Floats], region: Region, axis: int | None = None) -> None:
        self.weights, self.region, self.axis = weights, region, axis

    def __iter__(self) -> Iterator[tuple[int, Any, Floats]]:
        """Yield the arrays, where in them it lies, and the direction there."""
        for k, where in self.region.pieces():
            d = self.weights[k][where]
            if self.axis is not None:
                d = d * self.region.ramp(self.axis, k, where)
            yield k, where, d


class Direction:
    """A random direction through the open entries of a region.

    Weights of either sign, 0.5 to 1.5 times the typical size of each entry: a small one moves as
    far as a typical one, or an error in it could not be seen.
    """

    def __init__(
        self,
        problem: Problem,
        region: Region,
        entries: Sequence[Array],
        rng: np.random.Generator,
        trace: list[SearchStep],
    ) -> None:
        self.problem, self.region, self.trace = problem, region, trace
        self.weights = [np.zeros(0)] * len(entries)
        for k in region.arrays:
            sizes = typical_sizes(problem.evaluator.parameters.x0[k], share=1.0)
            self.weights[k] = random_direction(rng, sizes)
            self.weights[k] *= entries[k]

    def measure(self, step: float) -> Residual | None:
        """Measure the error of the gradient along all of it; None where that cannot be judged."""
        problem, along = self.problem, Along(self.weights, self.region)
        self.ladder = ladder_along(problem.evaluator, along, problem.gradient, problem.noise, step)
        slack, within = self._excuses(self.region)
        claim = Claim(0.0, 0.0, slack, 10 * self.ladder.rounding)
        judged = examine(claim, self.ladder, second=WIDER)
        if judged is None or judged.verdict is Verdict.UNRESOLVED:
            return None
        e, closest = judged.slope, self.ladder.rungs[min(self.ladder.rungs)]
        if judged.reason is Reason.KINK and 4 * e.kink > abs(closest.jump):
            return None  # kinks at the point, of either sign: no slope need lie between two others
        slack = judged.allowed + e.kink
        loud = abs(e.value) > SURE * e.error + slack + within
        blurred = max(e.kink / 4, e.truncation / 10) > e.round_off
        residual = Residual(e.value, e.error, slack, within, e.truncation, e.step, loud, blurred)
        return self._noted(self.region, residual)

    def part(self, region: Region, whole: Residual, axis: int | None = None) -> Residual:
        """Measure a part of it, or its product with a ramp, at the step of the whole: two calls."""
        evaluator, along = self.problem.evaluator, Along(self.weights, region, axis)
        line = direction_line(evaluator, along, self.problem.gradient)
        rung = Ladder(line, evaluator, self.problem.noise, whole.step).measure(0.0)
        value, bar = (rung.slope, rung.bar) if rung else (math.nan, math.inf)
        return self._share(region, whole, value, whole.truncation / 4 + bar)

    def halves(self, region: Region, here: Residual, axis: int) -> list[tuple[Region, Residual]]:
        """Return the halves in which something is wrong; one is measured, the other is the rest."""
        left, right = region.halves(axis)
        one = self._noted(left, self.part(left, here))
        other = self._share(right, here, here.value - one.value, here.error + one.error)
        if abs(other.value) > 3 * other.allowed or (one.active and not other.active):
            self._noted(right, other)
        else:
            other = self._noted(right, self.part(right, here))
        return [(half, r) for half, r in ((left, one), (right, other)) if r.active]

    def place(self, region: Region, here: Residual, ramped: Residual, axis: int) -> range:
        """Return the places along an axis at which one error that is all of `here` can lie.

        Empty where no place fits, so that there must be several errors.
        """
        ratio, length = ramped.value / here.value, len(region.spans[axis])
        self._noted(region, ramped, ("arrays", "rows", "columns")[axis], ratio)
        blur = (ramped.error + abs(ratio) * here.error) / abs(here.value)
        sharp = _places(ratio, blur, length)
        if sharp or not here.loud:
            return sharp
        # What is a little off everywhere moves the ratio; one place alone may still be near.
        near = _places(ratio, blur + 2 * here.within / abs(here.value), length)
        return near if len(near) == 1 else sharp

    def change(self, k: int) -> float:
        """Return what the gradient of an array predicts of the change along the direction."""
        return float(np.dot(self.problem.gradient[k], self.weights[k]))

    def relative(self, k: int, change: float) -> float:
        """Return which error in one entry makes such a change for certain, in typical entries."""
        d, g, p = self.weights[k], self.problem.gradient[k], self.problem
        typical = p.typical[k]
        least = float(np.min(np.abs(d), where=d != 0, initial=math.inf))
        # Looked at alone, an entry is allowed `rtol` of its size and the rounding of the loss, and
        # need not be seen sharper than that.
        allowed = p.rtol * float(np.max(np.abs(g), initial=0.0)) + 30 * p.noise / least
        return (abs(change) / least + (1 + SURE) * allowed) / typical if typical else math.inf

    def _share(self, region: Region, whole: Residual, value: float, error: float) -> Residual:
        slack, within = self._excuses(region)
        return whole._replace(value=value, error=error, slack=slack, within=within)

    def _excuses(self, region: Region) -> tuple[float, float]:
        """Return what tolerances and rounding excuse along the direction, and in every entry."""
        rtol, atol = self.problem.rtol, self.problem.atol
        slack = within = 0.0
        for k, where, d in Along(self.weights, region):
            g = self.problem.gradient[k][where]
            rounding = ROUNDINGS * float(np.finfo(g.dtype).eps)
            change, excused = float(np.linalg.norm(g * d)), atol * float(np.linalg.norm(d))
            slack = math.hypot(slack, (1e-3 * rtol + rounding) * change, excused)
            within = math.hypot(within, (rtol + rounding) * change, excused)
        return slack, within

    def _noted(
        self, region: Region, r: Residual, ramp: str = "", ratio: float = math.nan
    ) -> Residual:
        where = region.name(self.problem.evaluator.parameters.names)
        step = SearchStep(where, region.size, r.value, r.allowed, r.active, ramp, ratio)
        self.trace.append(step)
        return r


def _places(ratio: float, blur: float, length: int) -> range:
    """Return the places on a ramp from 0.5 to 1.5 at which it is a ratio, but for a blur."""
    if not blur < 1:
        return range(length)
    start = max(math.ceil((ratio - 0.5 - blur) * (length - 1)), 0)
    return range(start, min(math.floor((ratio - 0.5 + blur) * (length - 1)), length - 1) + 1)
