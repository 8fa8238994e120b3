"""Error against step: too large a step bends, too small a step drowns in round-off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.measuring.loss import Evaluator, analytic_values, warnings_once
from gradcheck.measuring.noise import estimate_noise, random_numbers
from gradcheck.measuring.pair import taken_apart
from gradcheck.measuring.parameters import Parameters
from gradcheck.measuring.slopes import Floats, direction_line


class StepSweep(NamedTuple):
    """The error of the central difference at each step.

    Attributes
    ----------
    steps : ndarray
        The steps h, ascending, in multiples of `direction`.
    errors : ndarray
        The relative error of the slope at each step, against the gradient that was given.
    best_step : float
        The step with the smallest error, of it and its neighbours: a single one may be lucky.
    noise : float
        Standard deviation of the noise in the loss. Left of the best step the error of the slope
        is about ``noise / h``.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import sweep_steps
    >>> print(sweep_steps(lambda w: w**3, lambda w: 3 * w**2, 1.0, steps=[1e-3, 1e-2, 1e-1]))
        step    error
       1e-03    1e-06  best
       1e-02    1e-04  truncation
       1e-01    1e-02  truncation
    """

    steps: Floats
    errors: Floats
    best_step: float
    noise: float

    def __str__(self) -> str:
        """Return a table: step, order of magnitude of the error, and which regime it is in."""
        lines = [f"{'step':>8}  {'error':>7}"]
        best = self.errors[self.steps == self.best_step][0]
        flat = (self.errors > 0.5 * best) & (self.errors < 2 * best)
        for step, error, at_floor in zip(self.steps, self.errors, flat, strict=True):
            regime = "round-off" if step < self.best_step else "truncation"
            if at_floor and np.count_nonzero(flat) > 4:
                regime = "floor: the gradient is off by this"
            elif step == self.best_step:
                regime = "best"
            size = f"1e{round(np.log10(error)):+03d}" if error > 0 else f"{error:.0f}"
            lines.append(f"{step:>8.0e}  {size:>7}  {regime}")
        return "\n".join(lines)


def sweep_steps(
    fun: Callable[..., Any],
    grad: Any,
    x0: Any,
    *,
    args: Sequence[Any] = (),
    direction: Any = None,
    steps: Any = None,
    rng: Any = None,
) -> StepSweep:
    """Measure the error of the central difference at many steps, along one direction.

    For each step h, ``(fun(x0 + h d) - fun(x0 - h d)) / (2 h)`` is held against ``grad . d``.
    Truncation grows as h^2 on the right; round-off as 1 / h on the left. With a wrong gradient
    the error flattens out at the size of the mistake instead.

    Parameters
    ----------
    fun : callable
        The loss: ``fun(x, *args)`` returns one real number.
    grad : callable, True, or the values themselves
        As in `check_gradient`.
    x0 : array, or a dict, list or tuple of such
        The point. It is copied.
    args : tuple, optional
        What `fun` and `grad` take besides.
    direction : same structure and shapes as `x0`, optional
        By default a random direction of length 1.
    steps : array_like, optional
        By default 33 steps from 1e-16 to 1, two to a decade.
    rng : optional
        What `numpy.random.default_rng` takes; the default is a fixed seed.

    Returns
    -------
    StepSweep
        `steps`, `errors`, `best_step`, `noise`; prints as a table.

    Raises
    ------
    TypeError, ValueError
        Where an argument cannot be used; the message says which and what to do.

    References
    ----------
    Gill, Murray and Wright (1981), *Practical Optimization*, section 8.6.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import sweep_steps
    >>> sweep = sweep_steps(lambda w: np.exp(w).sum(), np.exp, np.array([0.5, 1.0]))
    >>> bool(1e-7 < sweep.best_step < 1e-3)
    True
    """
    with warnings_once():
        parameters = Parameters(x0)
        fun, grad = taken_apart(fun, grad)
        evaluator = Evaluator(fun, parameters, args)
        gradient = analytic_values(grad, evaluator)
        if not all(np.all(np.isfinite(g)) for g in gradient):
            raise ValueError("`grad` holds NaN or infinity: there is no error to measure.")
        if direction is None:
            generator = random_numbers(rng)
            along = [generator.normal(size=x.size) for x in parameters.x0]
            length = np.sqrt(sum(float(d @ d) for d in along))
            along = [d / length for d in along]
        else:
            along = parameters.match_direction(direction)
        expected = sum(float(g.astype(float) @ d) for g, d in zip(gradient, along, strict=True))
        h = np.logspace(-16, 0, 33) if steps is None else np.sort(np.ravel(steps).astype(float))
        if not (h.size and np.all(np.isfinite(h)) and np.all(h > 0)):
            raise ValueError(
                "`steps` must hold positive finite numbers: pass for example `[1e-4]`."
            )
        noise = estimate_noise(evaluator)
        line = direction_line(evaluator, [(k, slice(None), d) for k, d in enumerate(along)])
        losses = [f for _, f in line([sign * step for step in h for sign in (1.0, -1.0)])]
        slopes = (np.array(losses[0::2]) - np.array(losses[1::2])) / (2 * h)
        evaluator.finish()
    with np.errstate(all="ignore"):
        errors = np.abs(slopes - expected) / (abs(expected) or 1.0)
    if not np.any(np.isfinite(errors)):
        raise ValueError("`fun` is finite at none of the `steps`: try smaller ones.")
    known = np.pad(np.nan_to_num(errors, nan=np.inf), 1, constant_values=np.inf)
    smooth = np.median([known[:-2], known[1:-1], known[2:]], axis=0)
    smooth = smooth if np.any(np.isfinite(smooth)) else known[1:-1]
    return StepSweep(h, errors, float(h[np.argmin(smooth)]), noise)
