"""The check itself: what is given is looked at, then every entry, then what it means."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.explaining.columns import explain
from gradcheck.judging.entries import check_entries
from gradcheck.judging.search import Search
from gradcheck.judging.table import Entries, Verdict
from gradcheck.measuring.loss import Evaluator, analytic_values, warnings_once
from gradcheck.measuring.noise import estimate_noise
from gradcheck.measuring.parameters import Parameters
from gradcheck.measuring.slopes import positive
from gradcheck.measuring.workers import sharing, showing
from gradcheck.reporting.report import GradientReport

AUTO = 2_000  # parameters up to which every entry is checked


def check_gradient(
    fun: Callable[..., Any],
    grad: Any,
    x0: Any,
    *,
    args: Sequence[Any] = (),
    method: str = "auto",
    rtol: float | None = None,
    atol: float = 0.0,
    step: float | None = None,
    rng: Any = None,
    max_wrong: int = 20,
    workers: Any = 1,
    progress: Any = None,
) -> GradientReport:
    """Tell whether a gradient is right, which entry is wrong, and why.

    Each partial derivative ``a`` is held against the slope ``n`` of the loss, measured by central
    differences with an error bar ``e`` (the `error` of its `Entry`). They agree where
    ``abs(a - n) <= atol + rtol * max(abs(a), abs(n)) + e``. On a kink of the loss, anything
    between the two one-sided slopes passes too, and is said. What cannot be measured is
    unresolved. Everything else is wrong.

    Parameters
    ----------
    fun : callable
        The loss: ``fun(x, *args)`` returns one real number.
    grad : callable, or the values themselves
        ``grad(x, *args)`` returns the gradient, with the structure and shapes of `x0`.
    x0 : array, or a dict, list or tuple of such, nested as deep as you like
        The parameters at which to check. They are copied, and never changed.
    args : tuple, optional
        What `fun` and `grad` take besides, such as ``(X, y)``.
    method : {"auto", "entries", "directions"}, optional
        ``"entries"`` checks every partial derivative: 2 calls of `fun` each, and up to 40 more
        where the gradient is right and the loss smooth. ``"directions"`` checks all together along
        random directions, with about 25 calls, and halves its way to the wrong ones. ``"auto"``
        takes entries up to 2,000 parameters.
    rtol : float, optional
        Relative tolerance; by default 1e-6 where all is float64, 1e-3 where float32 takes part.
    atol : float, optional
        Absolute tolerance, in the units of the gradient. It can excuse, so it is 0 by default.
    step : float, optional
        Use this step for every entry, in the units of `x0`, instead of one chosen for each.
    rng : optional
        What `numpy.random.default_rng` takes. The default is a fixed seed: a check says the same
        twice.
    max_wrong : int, optional
        How many wrong entries ``"directions"`` looks for before it stops.
    workers : int or map-like callable, optional
        That many processes call `fun` at a time; or anything like ``executor.map``.
    progress : bool or callable, optional
        True shows a bar (needs tqdm); a callable gets ``(done, total)`` in calls of `fun`.

    Returns
    -------
    GradientReport
        Print it. It is true where the gradient passed.

    Raises
    ------
    TypeError, ValueError
        Where an argument cannot be used: not callable, not a scalar, not finite, not
        deterministic, changed in place, other shapes. The message says which and what to do.

    References
    ----------
    Steps after Gill, Murray, Saunders and Wright (1983), SIAM J. Sci. Stat. Comput. 4; noise
    after Moré and Wild (2011), SIAM J. Sci. Comput. 33, section 3; error bars after Ridders
    (1982), Adv. Eng. Software 4.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import check_gradient
    >>> def loss(w):
    ...     return 0.5 * np.sum(w**2)
    >>> report = check_gradient(loss, lambda w: w, np.array([1.0, 2.0]))
    >>> report.passed
    True
    >>> report = check_gradient(loss, lambda w: [1.0, -2.0], np.array([1.0, 2.0]))
    >>> [entry.name for entry in report.wrong]
    ['[1]']
    """
    step = positive("step", step)
    rtol = positive("rtol", rtol)
    _refuse_misuse(grad, method, atol, step, max_wrong)
    with warnings_once():
        parameters = Parameters(x0)
        evaluator = Evaluator(fun, parameters, args)
        analytic = analytic_values(grad, evaluator)
        if rtol is None:
            precisions = [np.finfo(a.dtype).eps for a in [*parameters.x0, *analytic]]
            rtol = 1e-6 if max(evaluator.eps, *map(float, precisions)) < 1e-10 else 1e-3
        why = "as asked for"
        if method == "auto" and step is not None:
            method, why = "entries", "to which `step` belongs"
        elif method == "auto":
            few = parameters.size <= AUTO
            method = "entries" if few else "directions"
            why = f"{'up to' if few else 'above'} {AUTO:,} parameters"
        expected = 2 * parameters.size + 20 if method == "entries" else 30
        with sharing(evaluator, workers), showing(evaluator, progress, expected):
            noise = estimate_noise(evaluator, rng)
            if method == "entries":
                checked = check_entries(evaluator, analytic, noise, rtol=rtol, atol=atol, step=step)
                search = None
            else:
                search = Search(
                    evaluator, analytic, noise, rtol=rtol, atol=atol, rng=rng, max_wrong=max_wrong
                )
                search.run()
                checked = search.checked
        evaluator.finish()
    names = parameters.names
    if search is None:
        resolution = {names[c.array]: c.resolution() for c in checked}
    else:
        resolution = dict(zip(names, search.resolution, strict=True))
    explained = search is None or search.explained
    agree = all(bool(np.all(c.verdict >= Verdict.KINK)) for c in checked)
    blind = list(resolution.values()) if search else [0.0] * len(analytic)
    vouched = search.open if search else [np.full(a.size, True) for a in analytic]
    findings, notes = explain(evaluator, grad, analytic, checked, blind, vouched)
    return GradientReport(
        passed=agree and explained,
        explained=explained,
        entries=Entries(parameters, checked),
        findings=findings,
        nfev=evaluator.nfev,
        method=method,
        resolution=resolution,
        complete=search is None or search.complete,
        size=parameters.size,
        notes=(
            *(search.notes if search else ()),
            *notes,
            f"{evaluator.nfev:,} calls of `fun`; method {method!r}, {why}.",
        ),
        search=tuple(search.trace) if search else (),
    )


def assert_gradient(fun: Callable[..., Any], grad: Any, x0: Any, **options: Any) -> GradientReport:
    """Check a gradient, and raise an `AssertionError` that holds the table unless it is right.

    For tests: pytest then shows the verdict and the table, not the arrays. A gradient that passed
    only because nothing could be told of it, as at a minimum, is said in a warning.

    Parameters
    ----------
    fun : callable
        The loss: ``fun(x, *args)`` returns one real number.
    grad : callable, or the values themselves
        ``grad(x, *args)`` returns the gradient, with the structure and shapes of `x0`.
    x0 : array, or a dict, list or tuple of such
        The parameters at which to check.
    **options : optional
        `args`, `method`, `rtol` and the other options of `check_gradient`.

    Returns
    -------
    GradientReport
        The report of a gradient that passed.

    Raises
    ------
    AssertionError
        Where the gradient is wrong or could not be resolved.
    TypeError, ValueError
        As in `check_gradient`.

    References
    ----------
    Gill, Murray, Saunders and Wright (1983), SIAM J. Sci. Stat. Comput. 4; more at
    `check_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import assert_gradient
    >>> report = assert_gradient(lambda w: w @ w, lambda w: 2 * w, np.array([1.0, 2.0]))
    >>> report.nfev < 20
    True
    """
    __tracebackhide__ = True
    report = check_gradient(fun, grad, x0, **options)
    report.raise_if_wrong()
    if min(report.resolution.values()) >= 1:
        warnings.warn(f"{report.headline()} Check at another point.", stacklevel=2)
    return report


def _refuse_misuse(grad: Any, method: Any, atol: Any, step: float | None, max_wrong: Any) -> None:
    if grad is None:
        raise TypeError("`grad` is None: pass a function `grad(x, *args)` or the values it gives.")
    if method not in ("auto", "entries", "directions"):
        raise ValueError(f"`method` is {method!r}: pass 'entries', 'directions' or 'auto'.")
    if step is not None and method == "directions":
        raise ValueError("`step` belongs to single entries: use it with `method='entries'`.")
    if not (isinstance(atol, (int, float, np.number)) and 0 <= atol < math.inf):
        raise ValueError(f"`atol` is {atol!r}: pass a finite number from 0 up.")
    if not (isinstance(max_wrong, (int, np.integer)) and max_wrong >= 1):
        raise ValueError(f"`max_wrong` is {max_wrong!r}: pass a whole number from 1 up.")
