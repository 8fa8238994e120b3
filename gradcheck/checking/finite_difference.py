"""The slope of the loss along a line, with an error bar that is computed and not guessed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gradcheck.checking.evaluation import Evaluator, warnings_once
from gradcheck.checking.parameters import Array, Nudge, Parameters

Floats = NDArray[np.float64]
Line = Callable[[Sequence[float]], list[tuple[float, float]]]
"""Takes steps t; returns, for each, the step that floating point realised and the loss there."""

RATIO = 4.0  # between neighbouring steps of the ladder
MAX_RUNGS, MAX_EXPONENT = 18, 24
TINY = 1e-300
UNEVEN = (1.0, 1.81, 3.05, 4.27, 4.93, 6.12, 7.0)  # where noise is looked for, in spacings
ROUND_OFF = 4.0  # standard deviations of noise that a bar allows for
REALISED = 64.0  # roundings of x below which a step along a direction would not lead along it


def typical_sizes(x: Array, share: float = 0.01) -> Floats:
    """Return the scale of each entry: what counts as a large change of it.

    The entry's own size; but not below a `share` of its array's median non-zero size, which
    stands in for entries at zero; 1 in an array that is zero throughout.
    """
    size: Floats = np.abs(x).astype(float, copy=False)
    nonzero = size[size > 0]
    median = float(np.median(nonzero, overwrite_input=True)) if nonzero.size else 1.0
    size[size == 0] = median
    return np.maximum(size, share * median, out=size)


def noise_level(evaluator: Evaluator, line: Line, spacing: float) -> float:
    """Estimate the standard deviation of the noise in the loss, from about 7 calls.

    The k-th divided differences of a smooth function, with weights of length 1, vanish with the
    spacing; those of noise keep its standard deviation. The points lie on one side of `x0`, so
    that a kink at `x0` is not taken for noise, and at uneven distances: at even ones the roundings
    of a loss may repeat themselves and look smooth.

    A loss that is rounded to a lattice stands still over so short a distance; then the spacing
    widens until it moves, and that first move bounds the noise.

    References
    ----------
    Moré and Wild (2011), "Estimating computational noise", SIAM J. Sci. Comput. 33, section 3.
    """
    floor = evaluator.eps * abs(evaluator.at_x0) / 3
    for side in (spacing, -spacing):
        points = [(0.0, evaluator.at_x0), *line([side * distance for distance in UNEVEN])]
        t, values = np.array(points).T
        if np.all(np.isfinite(values)):
            break
    else:
        return floor
    t = t / spacing if np.all(np.diff(np.abs(t)) > 0) else np.array([0.0, *UNEVEN])
    mean, median = [], []
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(1, 7):
            differences = np.abs(_divided_differences(t, values - values[0], k))
            mean.append(float(np.linalg.norm(differences)) / math.sqrt(differences.size))
            median.append(float(np.median(differences)))
    if np.count_nonzero(np.diff(values)) > 3:
        # A kink among the points makes few of the second differences large. On a lattice most may
        # be 0: that is no proof of silence.
        typical = 4 * median[1] or math.inf
        return max(floor, min(float(np.median(mean[2:])), typical))
    # A plateau: a constant loss never moves, and then there is no noise to speak of.
    for step in spacing * 8 * 4.0 ** np.arange(14):
        ((_, value),) = line([step])
        if not math.isfinite(value):
            break
        if abs(value - evaluator.at_x0) > 3 * floor:
            # Smooth losses that are merely flat move little by little, a lattice all at once.
            return max(floor, 0.3 * abs(value - evaluator.at_x0))
    return floor


def _divided_differences(t: Floats, values: Floats, order: int) -> Floats:
    """Return the divided differences of an order, with weights scaled to length 1."""
    runs = np.lib.stride_tricks.sliding_window_view(np.arange(t.size), order + 1)
    apart = t[runs][:, :, None] - t[runs][:, None, :] + np.eye(order + 1)
    weights = 1 / np.prod(apart, axis=2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    differences: Floats = np.sum(weights * values[runs], axis=1)
    return differences


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
    parts: Sequence[tuple[int, Any, Floats]],
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


def rounding(evaluator: Evaluator, parts: Sequence[tuple[int, Any, Floats]]) -> float:
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
        """Whether the one-sided slopes differ by more than noise makes them differ."""
        return self.kink > 2 * self.round_off

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

    def confirmed(self, estimate: Estimate) -> bool:
        """Whether a step below those of the estimate was measured and left it standing."""
        return bool(self.closer(estimate))

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
        noise = max(self.noise, self.evaluator.eps * abs(self.evaluator.at_x0) / 3)
        step = max(ROUND_OFF * noise / bar, TINY)
        return max(-MAX_EXPONENT, math.ceil(math.log(step / self.step, RATIO)))

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
        elif best.dominant == "truncation" and small == exponents[0]:
            # Truncation falls by 16 a rung and round-off rises by 4: go where they should meet.
            far = math.log(best.truncation / (best.round_off + TINY)) / math.log(64)
            wanted = small - (1 if big - small > 1 else min(max(int(far), 1), 4))
        elif best.dominant == "kink" and self.rungs[exponents[0]].bar < best.kink / 8:
            wanted = self.lowest - 2
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
    # An entry that hardly matters shares the bends of its array: hence a hundredth of its size.
    typical = float(np.linalg.norm(change)) / math.sqrt(max(change.size, 1))
    change = np.maximum(change, 0.01 * typical + TINY)
    with np.errstate(over="ignore"):
        steps: Floats = scale * np.clip(np.cbrt(noise / change), 1e-7, 0.03)
    return steps


class Derivative(NamedTuple):
    """A numerical derivative and its error bar, each shaped like what was asked for.

    Attributes
    ----------
    value : float, array, or the structure of `x0`
        The slope.
    error : float, array, or the structure of `x0`
        How far off it may be; infinite where no slope can be had.

    Examples
    --------
    >>> from gradcheck import numerical_gradient
    >>> slope = numerical_gradient(lambda x: x**2, 3.0)
    >>> round(float(slope.value), 6), bool(slope.error < 1e-6)
    (6.0, True)
    """

    value: Any
    error: Any


def numerical_gradient(
    fun: Callable[..., Any], x0: Any, *, args: Sequence[Any] = (), step: float | None = None
) -> Derivative:
    """Compute the gradient of `fun` at `x0` by central differences, with error bars.

    Entry by entry, ``(fun(x + h e_i) - fun(x - h e_i)) / (2 h)``; without `step`, the slopes at a
    ladder of steps are extrapolated until their error bar stops shrinking.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns one real number.
    x0 : array, or a dict, list or tuple of such
        The point. It is copied.
    args : tuple, optional
        What `fun` takes besides.
    step : float, optional
        Use exactly this step h, in the units of `x0`. The error bar then comes from comparison
        with 2 h. About 4 calls of `fun` an entry; without `step`, about 10.

    Returns
    -------
    Derivative
        `value` and `error`, both with the structure of `x0`. The bar is infinite where no slope
        can be had, because `fun` is not finite nearby.

    Raises
    ------
    TypeError, ValueError
        Where an argument cannot be used; the message says which and what to do.

    References
    ----------
    Ridders (1982), "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Software 4.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import numerical_gradient
    >>> slope = numerical_gradient(lambda w: np.sin(w).sum(), np.array([0.0, 1.0]))
    >>> print(slope.value.round(6))
    [1.       0.540302]
    >>> bool((np.abs(slope.value - np.cos([0.0, 1.0])) <= slope.error).all())
    True
    """
    step = positive("step", step)
    with warnings_once():
        parameters = Parameters(x0)
        evaluator = Evaluator(fun, parameters, args)
        noise = estimate_noise(evaluator)
        values, errors = [], []
        for k, x in enumerate(parameters.x0):
            scale = typical_sizes(x)
            found = [
                _slope(evaluator, entry_line(evaluator, k, i), noise, scale[i], step)
                for i in range(x.size)
            ]
            values.append(np.array([d.value for d in found]))
            errors.append(np.array([d.error for d in found]))
        evaluator.finish()
    return Derivative(parameters.rebuild(values), parameters.rebuild(errors))


def directional_derivative(
    fun: Callable[..., Any],
    x0: Any,
    direction: Any,
    *,
    args: Sequence[Any] = (),
    step: float | None = None,
) -> Derivative:
    """Compute the slope of `fun` at `x0` along `direction`, with its error bar.

    The derivative of ``t -> fun(x0 + t direction)`` at ``t = 0``. For a gradient g it equals the
    sum of g times `direction`, and costs as much as one partial derivative.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args)`` returns one real number.
    x0 : array, or a dict, list or tuple of such
        The point. It is copied.
    direction : same structure and shapes as `x0`
        Need not have length 1.
    args : tuple, optional
        What `fun` takes besides.
    step : float, optional
        Use exactly this t.

    Returns
    -------
    Derivative
        Two floats, `value` and `error`.

    Raises
    ------
    TypeError, ValueError
        Where an argument cannot be used; the message says which and what to do.

    References
    ----------
    Ridders (1982), "Accurate computation of F'(x) and F'(x)F''(x)", Adv. Eng. Software 4.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import directional_derivative
    >>> slope = directional_derivative(lambda w: w @ w, np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    >>> round(slope.value, 6)
    6.0
    """
    step = positive("step", step)
    with warnings_once():
        parameters = Parameters(x0)
        along = parameters.match_direction(direction)
        evaluator = Evaluator(fun, parameters, args)
        noise = estimate_noise(evaluator)
        # The length over which the parameters change by as much as they are.
        relative = [np.abs(d) / typical_sizes(x) for d, x in zip(along, parameters.x0, strict=True)]
        scale = 1.0 / max(float(np.max(r, initial=0.0)) for r in relative)
        parts = [(k, slice(None), d) for k, d in enumerate(along)]
        found = _slope(
            evaluator,
            direction_line(evaluator, parts),
            noise,
            scale,
            step,
            rounding(evaluator, parts),
        )
        evaluator.finish()
    return found


def _slope(
    evaluator: Evaluator,
    line: Line,
    noise: float,
    scale: float,
    step: float | None,
    rounding: float = 0.0,
) -> Derivative:
    """Return the best slope along a line, or the one that belongs to a given step."""
    first = max(1e-3 * scale, REALISED * rounding) if step is None else step
    ladder = Ladder(line, evaluator, noise, first, rounding)
    best = ladder.climb() if step is None else ladder.fixed()
    if best is None:
        return Derivative(math.nan, math.inf)
    # Neighbouring rungs agree by luck now and then: with a third more, the bar covers 99.9 %.
    return Derivative(best.value, 4 / 3 * (best.error + best.kink))


def random_numbers(rng: Any) -> np.random.Generator:
    """Return a generator, or say what `rng` may be; None is a fixed seed."""
    try:
        return np.random.default_rng(0 if rng is None else rng)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`rng` is {rng!r}: pass a whole number from 0 up, or a `numpy.random.Generator`."
        ) from error


def random_weights(generator: np.random.Generator, size: int) -> Floats:
    """Draw weights of either sign and of size 0.5 to 1.5: none vanishes, and no two are alike."""
    weights = generator.uniform(-1.0, 1.0, size)
    weights += np.copysign(0.5, weights)
    return weights


def estimate_noise(evaluator: Evaluator, rng: Any = None) -> float:
    """Estimate the noise of the loss once, along one random direction of typical sizes."""
    generator = random_numbers(rng)
    x0 = evaluator.parameters.x0
    direction: list[tuple[int, Any, Floats]] = []
    for k, x in enumerate(x0):
        weights = random_weights(generator, x.size)
        # By the size of each entry alone: beside an edge of the loss a small one must move little.
        weights *= np.where(x != 0, np.abs(x), typical_sizes(x))
        direction.append((k, slice(None), weights))
    coarsest = max(float(np.finfo(x.dtype).eps) for x in x0)
    return noise_level(evaluator, direction_line(evaluator, direction), max(1e-10, 100 * coarsest))


def positive(name: str, value: Any) -> float | None:
    """Refuse an option that is neither None nor a positive finite number."""
    if value is None:
        return None
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (number and 0 < value < math.inf):
        raise ValueError(f"`{name}` is {value!r}: pass a positive finite number, or None.")
    return float(value)
