"""The slope of the loss along a line, with an error bar that is computed and not guessed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.parameters import Array, Nudge

Floats = NDArray[np.float64]
Line = Callable[[Sequence[float]], list[tuple[float, float]]]
"""Takes steps t; returns, for each, the step that floating point realised and the loss there."""

RATIO = 4.0  # between neighbouring steps of the ladder
MAX_RUNGS, MAX_EXPONENT = 18, 24
TINY = 1e-300
PIECE = 1 << 15  # entries that are worked on at a time
MANY = 100_000  # entries that are enough for a median
ROUND_OFF = 4.0  # standard deviations of noise that a bar allows for
REALISED = 64.0  # roundings of x below which a step along a direction would not lead along it


def typical_sizes(x: Array, share: float = 0.01) -> Floats:
    """Return the scale of each entry: what counts as a large change of it.

    The entry's own size; but not below a `share` of its array's median non-zero size, which
    stands in for entries at zero; 1 in an array that is zero throughout.
    """
    size: Floats = np.abs(x).astype(float, copy=False)
    some = size[:: 1 + size.size // MANY]
    nonzero = some[some > 0] if np.any(some) else size[size > 0]
    median = float(np.median(nonzero, overwrite_input=True)) if nonzero.size else 1.0
    size[size == 0] = median
    return np.maximum(size, share * median, out=size)


def in_pieces(array: int, along: Floats) -> list[tuple[int, Any, Floats]]:
    """Return a direction in an array as parts so short that working on one needs no memory."""
    starts = range(0, along.size, PIECE)
    return [(array, slice(i, i + PIECE), along[i : i + PIECE]) for i in starts]


def moved(x: Any, step: Any) -> Any:
    """Return x + step in the precision of x; where that rounds back to x, the number beside it."""
    point = (x + step).astype(x.dtype)
    beside = np.nextafter(x, np.copysign(np.inf, step).astype(x.dtype))
    return np.where(point == x, beside, point)


def entry_line(evaluator: Evaluator, array: int, index: int) -> Line:
    """Return the line along which one entry moves."""
    x = evaluator.parameters.x0[array][index]

    def line(steps: Sequence[float]) -> list[tuple[float, float]]:
        points = moved(x, np.array(steps))
        losses = evaluator([((array, index, point),) for point in points])
        return [(float(point) - float(x), f) for point, f in zip(points, losses, strict=True)]

    return line


def direction_line(
    evaluator: Evaluator,
    parts: Iterable[tuple[int, Any, Floats]],
    gradient: Sequence[Array] | None = None,
) -> Line:
    """Return the line through `x0` along (array, where in it, direction there) parts.

    With a gradient, what it predicts of the change is taken off the loss: the slope that is left
    is the gradient's error, and its bar is far narrower than that of the slope itself.
    """
    x0 = evaluator.parameters.x0
    length = sum(float(np.dot(d, d)) for _, _, d in parts)

    def line(steps: Sequence[float]) -> list[tuple[float, float]]:
        realised, predicted = [], []

        def nudges() -> Iterator[Nudge]:
            for t in steps:
                nudge, moves, changes = [], 0.0, 0.0
                with np.errstate(over="ignore", invalid="ignore"):
                    for k, where, d in parts:
                        x = x0[k][where]
                        point = (x + t * d).astype(x.dtype, copy=False)
                        nudge.append((k, where, point))
                        move = point.astype(float, copy=False) - x
                        moves += float(np.dot(move, d))
                        if gradient is not None:
                            changes += float(np.dot(gradient[k][where], move))
                realised.append(moves / length if length else 0.0)
                predicted.append(changes)
                yield tuple(nudge)

        losses = evaluator(nudges())
        return [(t, f - change) for t, f, change in zip(realised, losses, predicted, strict=True)]

    return line


def rounding(evaluator: Evaluator, parts: Iterable[tuple[int, Any, Floats]]) -> float:
    """Return the step along a direction that is as long as the rounding of the points on it."""
    x0 = evaluator.parameters.x0
    lengths = [float(np.linalg.norm(d)) for _, _, d in parts]
    roundings = [
        float(np.finfo(x0[k].dtype).eps) * float(np.linalg.norm(x0[k][where] * (d != 0)))
        for k, where, d in parts
    ]
    length = math.hypot(*lengths)
    return math.hypot(*roundings) / length if length else 0.0


def central(forward: Any, backward: Any, up: Any, down: Any) -> Any:
    """Return the central slope from the one-sided ones at steps `up` and `down`, both positive.

    ``(f(x + h) - f(x - h)) / (2 h)`` where the steps are equal. Where rounding has made them
    unequal, still exact for a parabola: at a minimum the bend is all there is.
    """
    return (forward * down + backward * up) / (up + down)


class Rung(NamedTuple):
    """The loss at one step to both sides: slope, forward minus backward slope, round-off bar."""

    step: float
    slope: float
    jump: float
    bar: float


class Estimate(NamedTuple):
    """A slope from two neighbouring rungs, and what is known against it."""

    value: float
    truncation: float  # how far the two rungs disagree
    round_off: float  # the noise of the loss over the step
    kink: float  # half of what is left of the jump between one-sided slopes as the step shrinks
    step: float

    @property
    def error(self) -> float:
        """The error bar of the slope, wherever the loss is smooth."""
        return self.truncation + self.round_off

    @property
    def settled(self) -> bool:
        """Whether the rungs agree but for noise, or to a tenth; where the loss jumps, none do."""
        return self.truncation <= max(10 * self.round_off, 0.1 * (abs(self.value) + self.kink))

    @property
    def kinked(self) -> bool:
        """Whether the one-sided slopes differ by more than noise and bends make them differ."""
        return self.kink > max(2 * self.round_off, self.truncation)

    @property
    def dominant(self) -> str:
        """The term that a narrower bar would have to shrink first."""
        terms = {"round-off": self.round_off, "truncation": self.truncation, "kink": self.kink}
        return max(terms, key=lambda term: terms[term])


class Ladder:
    """Slopes at steps of ratio 4, climbed towards the narrowest error bar.

    Larger steps have less round-off, smaller ones less truncation. Two neighbours are
    extrapolated (Richardson), and their disagreement together with the round-off is the error
    bar. An estimate that a smaller step contradicts beyond its round-off is void.

    References
    ----------
    Ridders (1982), "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Software 4.
    """

    def __init__(
        self, line: Line, evaluator: Evaluator, noise: float, step: float, rounding: float = 0.0
    ) -> None:
        self.line, self.evaluator, self.noise, self.step = line, evaluator, noise, step
        self.rounding = rounding  # of the points on the line, in units of its step
        self.rungs: dict[float, Rung] = {}
        self.lowest = 0.0  # the smallest exponent of 4 that was tried
        self.ceiling: float = MAX_EXPONENT  # above it the loss was not finite

    def climb(
        self,
        enough: Callable[[Estimate], bool] = lambda _: False,
        limit: int = MAX_RUNGS,
        second: float = -1.0,
    ) -> Estimate | None:
        """Add rungs until the bar stops shrinking, or `enough` is known.

        `second` is the exponent to go to from the first step.
        """
        exponent: float | None = second if self.rungs else 0.0
        while exponent is not None and len(self.rungs) < limit:
            self.measure(exponent)
            best = self.best()
            if best is not None and enough(best):
                break
            exponent = self._next(best)
        return self.best()

    def fixed(self) -> Estimate | None:
        """Return the central difference at the first step as it is, barred by that at twice it."""
        for exponent in (0.0, 0.5):
            if exponent not in self.rungs:
                self.measure(exponent)
        here = self.rungs.get(0.0)
        if here is None:
            return None
        wider = self.rungs.get(0.5, here)
        return Estimate(here.slope, abs(wider.slope - here.slope), here.bar, 0.0, here.step)

    def nearest(self, bar: float) -> float:
        """Return the smallest exponent at which round-off is still below `bar`."""
        if not 0 < bar < math.inf:
            return self.lowest
        step = max(ROUND_OFF * self.noise / bar, TINY)
        nearest = math.ceil(math.log(step / self.step, RATIO))
        return min(max(nearest, self._floor), self.lowest - 1)

    def closest(self, e: Estimate) -> bool:
        """Whether no smaller step would tell more of the kink of an estimate: noise hides it."""
        exponent = min(self.rungs)
        lowest = self.rungs[exponent]
        at_noise = lowest.bar >= e.kink / 16 or exponent <= self._floor
        return lowest.step <= e.step and at_noise

    def kinked(self, e: Estimate) -> bool:
        """Whether the one-sided slopes differ however small the step, and not by a bend alone."""
        return e.kinked and e.settled and self.closest(e)

    def bend(self, distance: float) -> float:
        """Return by how much the slope changes over a distance: by no more than kinks allow."""
        return min(abs(rung.jump) * (distance / rung.step) for rung in self.rungs.values())

    def closer(self, best: Estimate) -> list[Rung]:
        """Return the rungs below an estimate, the largest first."""
        below = [rung for rung in self.rungs.values() if rung.step < best.step]
        return sorted(below, key=lambda rung: -rung.step)

    @property
    def flat(self) -> bool:
        """Whether the loss has not moved at all, at several steps."""
        return len(self.rungs) > 2 and not any(r.slope or r.jump for r in self.rungs.values())

    def silence(self) -> float:
        """Return what a loss hides that never moves: it may cancel numbers as large as these."""
        if not self.flat:
            return 0.0
        x0 = self.evaluator.parameters.x0
        size = max(abs(self.evaluator.at_x0), *(float(np.max(np.abs(x), initial=0.0)) for x in x0))
        return self.evaluator.eps * size / max(rung.step for rung in self.rungs.values())

    def best(self) -> Estimate | None:
        """Return the estimate with the narrowest bar, if there are two rungs yet."""
        estimates = self.estimates()
        return min(estimates, key=lambda e: e.error + e.kink) if estimates else None

    def estimates(self) -> list[Estimate]:
        """Return one estimate per two neighbouring rungs, without the void ones."""
        rungs = [self.rungs[exponent] for exponent in sorted(self.rungs)]
        kept = []
        for i, (small, big) in enumerate(itertools.pairwise(rungs)):
            ratio = big.step / small.step
            if ratio < 1.1:  # both are the spacing of floating point at x
                continue
            change = small.slope - big.slope
            estimate = Estimate(
                value=small.slope + change / (ratio**2 - 1),
                truncation=abs(change) / 2,
                round_off=small.bar,
                kink=abs(ratio * small.jump - big.jump) / (ratio - 1) / 2,
                step=small.step,
            )
            reach = estimate.error + estimate.kink
            if all(abs(rung.slope - estimate.value) <= rung.bar + reach for rung in rungs[:i]):
                kept.append(estimate)
        return kept

    def _next(self, best: Estimate | None) -> float | None:
        """Return the exponent of the next rung, or None where no rung would help."""
        if best is None:
            wanted = self.lowest - (1 if self.rungs else 2)
            return wanted if wanted >= self._floor else None
        exponents = sorted(self.rungs)
        small, big = next(
            pair for pair in itertools.pairwise(exponents) if self.rungs[pair[0]].step == best.step
        )
        if best.dominant == "round-off":
            silent = self.flat and len(exponents) > 6  # over a factor of a thousand and more
            wanted = math.inf if silent or big + 1 in self.rungs else big + 1
        elif big - small > 1:
            wanted = math.floor((small + big) / 2)  # what they disagree on lies between them
        elif best.dominant == "truncation" and small == exponents[0]:
            # Truncation falls by 16 a rung and round-off rises by 4: go where they should meet.
            far = math.log(best.truncation / (best.round_off + TINY)) / math.log(64)
            wanted = small - min(max(int(far), 1), 4)
        elif best.kinked and not self.closest(best):
            wanted = self.nearest(best.kink / 4)
        else:
            return None
        return wanted if self._floor <= wanted <= self.ceiling else None

    @property
    def _floor(self) -> float:
        """The smallest exponent at which the points still lie on the line."""
        if not self.rounding:
            return -MAX_EXPONENT
        return max(-MAX_EXPONENT, math.log(REALISED * self.rounding / self.step, RATIO))

    def measure(self, exponent: float) -> Rung | None:
        """Take the losses of one rung, and add it."""
        step = self.step * RATIO**exponent
        up, down = self.line([step, -step])
        return self.add(exponent, up, down)

    def at_other_noise(self) -> Ladder | None:
        """Return a ladder for the other noise of the loss, if it has two; see `estimate_noise`."""
        noise = self.evaluator.other_noise
        if not noise or noise == self.noise:
            return None
        step = self.step * float(np.cbrt(noise / self.noise))
        step = max(step, REALISED * self.rounding)
        return Ladder(self.line, self.evaluator, noise, step, self.rounding)

    def repeat(self) -> None:
        """Call the loss once more at the last step: if it moves otherwise now, chance moves it."""
        exponent, before = list(self.rungs.items())[-1]
        again = self.measure(exponent)
        if again is not None:
            at = self.evaluator.at_x0
            first, second = ([at + r.step * v for v in (r.slope, r.jump)] for r in (before, again))
            self.evaluator.refuse_chance(first, second)

    def add(
        self, exponent: float, up: tuple[float, float], down: tuple[float, float]
    ) -> Rung | None:
        """Add a rung from the steps and losses on both sides, if a slope can be had from them."""
        self.lowest = min(self.lowest, exponent)
        rung = self._rung(*up, *down)
        if rung is None:
            self.ceiling = exponent - 1
        else:
            self.rungs[exponent] = rung
        return rung

    def _rung(self, up: float, f_up: float, down: float, f_down: float) -> Rung | None:
        """Return the slope to both sides, or where the loss ends, to the side that is left."""
        at_x0 = self.evaluator.at_x0
        if not up > 0 > down:
            return None
        if math.isfinite(f_up) and math.isfinite(f_down):
            forward, backward = (f_up - at_x0) / up, (f_down - at_x0) / down
            jump, factor = forward - backward, ROUND_OFF
            slope = central(forward, backward, up, -down)
        elif math.isfinite(f_up) or math.isfinite(f_down):
            whole, f_whole = (up, f_up) if math.isfinite(f_up) else (down, f_down)
            ((half, f_half),) = self.line([whole / 2])
            if not math.isfinite(f_half) or not half:
                return None
            slope_whole, slope_half = (f_whole - at_x0) / whole, (f_half - at_x0) / half
            slope = slope_half + (slope_half - slope_whole) * half / (whole - half)
            jump, factor, f_up, f_down = 0.0, 4 * ROUND_OFF, f_whole, f_half
        else:
            return None
        step = (up - down) / 2
        noise = max(self.noise, self.evaluator.eps * max(abs(f_up), abs(f_down)) / 3)
        return Rung(step, slope, jump, (factor * noise + abs(slope) * self.rounding) / step)


def first_steps(slope: Floats, scale: Floats, noise: float) -> Floats:
    """Return the step at which round-off and truncation balance, were `slope` right.

    With a loss that bends over the length `scale`, truncation is about slope (h / scale)^2 and
    round-off noise / h; they are equal at h = scale (noise / (slope scale))^(1/3).

    References
    ----------
    Gill, Murray, Saunders and Wright (1983), "Computing forward-difference intervals for
    numerical optimization", SIAM J. Sci. Stat. Comput. 4.
    """
    with np.errstate(over="ignore"):
        change = np.abs(slope) * scale
    change = np.where(np.isfinite(change), change, 0.0)
    change = np.maximum(change, TINY)
    with np.errstate(over="ignore"):
        steps: Floats = scale * np.clip(np.cbrt(noise / change), 1e-7, 0.03)
    return steps


def ladder_along(
    evaluator: Evaluator,
    parts: Iterable[tuple[int, Any, Floats]],
    gradient: Sequence[Array],
    noise: float,
    step: float = 0.0,
) -> Ladder:
    """Return the ladder of what a gradient misses along a direction, from a step or larger."""
    blur = rounding(evaluator, parts)
    changes = (np.linalg.norm(gradient[k][where] * d) for k, where, d in parts)
    own = first_steps(np.array([math.hypot(*changes)]), np.ones(1), noise)
    first = max(step, float(own[0]), REALISED * blur)
    return Ladder(direction_line(evaluator, parts, gradient), evaluator, noise, first, blur)
