"""The noise of the loss, measured along one random line."""

from __future__ import annotations

import math
import statistics
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from gradcheck.measuring.loss import Evaluator
from gradcheck.measuring.slopes import PIECE, Floats, Line, direction_line, in_pieces, typical_sizes

UNEVEN = (1.0, 1.81, 3.05, 4.27, 4.93, 6.12, 7.0)  # where noise is looked for, in spacings
ORDERS = 6  # of divided differences
APART = 1e-6  # the spacing, of the size of a parameter: numbers in float32 move on over it
NEAR = 1e-10  # the spacing where the loss bends over such a distance
QUIET = 10.0  # roundings of the loss: less noise than that is nothing but rounding
LOUD = 300.0  # times the noise of rounding: then it is worth another look
ODD = 3  # losses of a sample, those that stand out most: chance would not give them again
FAR = (1.0, 30.0)  # in sizes of the parameters: steps at which a loss moves if it ever does
PLATEAU = 0.01  # of the size of a parameter; a loss that stands still for longer is not rounded


def estimate_noise(evaluator: Evaluator, rng: Any = None) -> float:
    """Estimate the standard deviation of the noise in the loss, along one random direction.

    So far apart that a number of float32 inside the program moves on: nearer it stands still, and
    so does its noise. What is found there and is more than rounding may be a bend, a kink or a
    wave as well: it is noise only where it stays at an eighth of that distance. Where that and
    the noise nearby differ, the other of the two is kept in ``evaluator.other_noise``.
    """
    generator = random_numbers(rng)
    x0 = evaluator.parameters.x0
    direction: list[tuple[int, Any, Floats]] = []
    for k, x in enumerate(x0):
        # By the size of each entry alone: beside an edge of the loss a small one must move little.
        direction += in_pieces(k, random_direction(generator, typical_sizes(x, share=0.0)))
    line = direction_line(evaluator, direction)
    near = max(NEAR, 100 * max(float(np.finfo(x.dtype).eps) for x in x0))
    quiet = evaluator.eps * abs(evaluator.at_x0)
    apart_too = near < APART and quiet > 0
    found = sample(evaluator, line, APART if apart_too else near)
    if apart_too and found.noise > QUIET * quiet:
        apart, found = found, sample(evaluator, line, near)
        if apart.noise > LOUD * quiet:
            apart.call_again(evaluator, line)
        if apart.noise > 4 * found.noise:
            nearer = sample(evaluator, line, APART / 8)
            loud = max(apart, nearer)
            if nearer.noise > apart.noise / 30:  # bends fall by 8^3 and more
                # Stairs, or a wave: it bends near the point already, and moves as far as it will.
                ((_, moved),) = line([8 * near])
                bends = found.noise > LOUD * quiet
                wave = bends and abs(moved - evaluator.at_x0) > 0.1 * loud.noise
                found, other = (found, loud) if wave else (loud, found)
                evaluator.other_noise = other.noise
    if found.noise > LOUD * quiet:
        found.call_again(evaluator, line)
    return found.noise


def stands_still(evaluator: Evaluator, array: int, noise: float) -> bool:
    """Whether the loss never moves with an array, as with a bias before a batch norm: it cancels.

    Where it only seems so, since units are saturated or dead, at a minimum, or beside larger terms,
    the loss moves at steps as large as the parameters or larger.
    """
    x = evaluator.parameters.x0[array]
    weights = random_weights(random_numbers(None), x.size) * typical_sizes(x)
    line = direction_line(evaluator, [(array, slice(None), weights)])
    moved = line([sign * far for far in FAR for sign in (1, -1)])
    # Larger numbers cancel with larger roundings.
    return all(abs(f - evaluator.at_x0) <= LOUD * (1 + abs(t)) * noise for t, f in moved)


class Sample(NamedTuple):
    """The noise along a line, and the losses at some steps that show it."""

    noise: float
    steps: list[float]
    losses: list[float]

    def call_again(self, evaluator: Evaluator, line: Line) -> None:
        """Call the loss again where it was the oddest: noise is the same again, chance is not."""
        odd = np.argsort(np.abs(np.array(self.losses) - np.median(self.losses)))[-ODD:]
        again = [loss for _, loss in line([self.steps[i] for i in odd])]
        evaluator.refuse_chance([self.losses[i] for i in odd], again)


def sample(evaluator: Evaluator, line: Line, spacing: float) -> Sample:
    """Estimate the noise along a line from about 7 calls, `spacing` and more apart.

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
        steps = [side * distance for distance in UNEVEN]
        t, values = np.array([(0.0, evaluator.at_x0), *line(steps)]).T
        if np.all(np.isfinite(values)):
            break
    else:
        return Sample(floor, [], [])
    if np.count_nonzero(np.diff(values)) > 3:
        noise = _noise_in(np.abs(t) / spacing, values)
    else:
        noise = _first_move(evaluator, line, 8 * spacing, 3 * floor)
    return Sample(max(floor, noise), steps, values[1:].tolist())


def _noise_in(t: Floats, values: Floats) -> float:
    """Return the standard deviation of the noise in values at some distances."""
    sizes = []  # of the differences of each order
    with np.errstate(over="ignore", invalid="ignore"):
        differences = values - values[0]
        for k, lengths in enumerate(_lengths(), start=1):
            differences = np.diff(differences) / (t[k:] - t[:-k])
            sizes.append(np.abs(differences / lengths))
    # A kink among the points makes few of the second differences large. On a lattice most may
    # be 0: that is no proof of silence.
    typical = 4 * float(np.median(sizes[1])) or math.inf
    mean = [math.sqrt(np.dot(size, size) / size.size) for size in sizes[2:]]
    return min(statistics.median(mean), typical)


def _first_move(evaluator: Evaluator, line: Line, step: float, least: float) -> float:
    """Return the noise of a loss that stands still: by how much it moves when at last it does."""
    while step < PLATEAU:
        ((_, value),) = line([step])
        if not math.isfinite(value):
            break
        if (moved := abs(value - evaluator.at_x0)) > least:
            return 0.3 * moved  # a lattice moves all at once, smooth but flat losses by and by
        step *= 4
    return 0.0  # a constant loss never moves, and then there is no noise to speak of


@cache
def _lengths() -> list[Floats]:
    """Return the lengths of the weights of divided differences at `UNEVEN` points, by order."""
    t = np.array([0.0, *UNEVEN])
    weights, lengths = np.eye(t.size), []
    for k in range(1, ORDERS + 1):
        weights = np.diff(weights, axis=0) / (t[k:] - t[:-k])[:, None]
        lengths.append(np.linalg.norm(weights, axis=1))
    return lengths


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


def random_direction(generator: np.random.Generator, sizes: Floats) -> Floats:
    """Turn the sizes of entries, in place, into a random direction of steps about as large."""
    for start in range(0, sizes.size, PIECE):
        piece = sizes[start : start + PIECE]
        piece *= random_weights(generator, piece.size)
    return sizes
