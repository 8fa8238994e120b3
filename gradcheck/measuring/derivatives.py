"""The slope of a function, entry by entry or along one direction, with its error bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.measuring.loss import Evaluator, warnings_once
from gradcheck.measuring.misuse import positive
from gradcheck.measuring.noise import estimate_noise
from gradcheck.measuring.parameters import Parameters
from gradcheck.measuring.slopes import (
    REALISED,
    Ladder,
    Line,
    direction_line,
    entry_line,
    rounding,
    typical_sizes,
)


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
