"""The check itself: what is given is looked at, then every entry, then what it means."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import numpy as np

from gradcheck.explaining.columns import Seen, explain
from gradcheck.explaining.upstream import upstream_findings
from gradcheck.judging.entries import check_entries
from gradcheck.judging.judge import Problem
from gradcheck.judging.search import check_directions
from gradcheck.judging.sight import typical_entries, zero_note
from gradcheck.judging.table import CheckedArray, Entries, Verdict
from gradcheck.judging.together import kinks_together
from gradcheck.measuring.layer import Layer, in_the_words_of_a_layer
from gradcheck.measuring.loss import Evaluator, analytic_values, warnings_once
from gradcheck.measuring.misuse import positive
from gradcheck.measuring.noise import estimate_noise
from gradcheck.measuring.outputs import from_where
from gradcheck.measuring.pair import taken_apart
from gradcheck.measuring.parameters import Array, Parameters
from gradcheck.measuring.structures import converted, floating_type
from gradcheck.measuring.workers import sharing, showing
from gradcheck.reporting.report import GradientReport

Method = Literal["auto", "entries", "directions"]
LONG = 20  # entries of a vector of which one wants to know what lies in it
UNNAMED = "`shapes` would tell more: which arrays lie in this vector, as in {'W1': (25, 64), ...}."
AUTO = 2_000  # parameters up to which every entry is checked


class Options(TypedDict, total=False):
    """What every check takes besides; each has a default."""

    dtype: Any
    method: Method
    rtol: float | None
    atol: float
    rng: Any
    max_wrong: int
    workers: Any
    progress: Any


class BackwardOptions(Options, total=False):
    """What `check_backward` takes besides."""

    cache: bool


class GradientOptions(Options, total=False):
    """What `check_gradient` takes besides."""

    args: Sequence[Any]
    shapes: Mapping[Any, int | Sequence[int]] | None
    step: float | None


class Plan(NamedTuple):
    """How to check: the options that a gradient and a back-pass share."""

    method: str
    rtol: float | None
    atol: float
    step: float | None
    rng: Any
    max_wrong: int
    workers: Any
    progress: Any

    def refuse_misuse(self) -> None:
        """Say what an option may be, before anything is called."""
        positive("step", self.step)
        positive("rtol", self.rtol)
        if self.method not in ("auto", "entries", "directions"):
            raise ValueError(
                f"`method` is {self.method!r}: pass 'entries', 'directions' or 'auto'."
            )
        if self.step is not None and self.method == "directions":
            raise ValueError("`step` belongs to single entries: use it with `method='entries'`.")
        if not (isinstance(self.atol, (int, float, np.number)) and 0 <= self.atol < math.inf):
            raise ValueError(f"`atol` is {self.atol!r}: pass a finite number from 0 up.")
        if not (isinstance(self.max_wrong, (int, np.integer)) and self.max_wrong >= 1):
            raise ValueError(f"`max_wrong` is {self.max_wrong!r}: pass a whole number from 1 up.")

    def method_for(self, size: int) -> tuple[str, str]:
        """Return the method for so many parameters, and why it is that."""
        if self.method != "auto":
            return self.method, "as asked for"
        if self.step is not None:
            return "entries", "to which `step` belongs"
        few = size <= AUTO
        return (
            ("entries", f"up to {AUTO:,} parameters")
            if few
            else ("directions", f"above {AUTO:,} parameters")
        )


def check_gradient(
    fun: Callable[..., Any],
    grad: Any,
    x0: Any,
    *,
    args: Sequence[Any] = (),
    shapes: Mapping[Any, int | Sequence[int]] | None = None,
    dtype: Any = None,
    method: Method = "auto",
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
    grad : callable, True, or the values themselves
        ``grad(x, *args)`` returns the gradient, with the structure and shapes of `x0`. True: `fun`
        returns the pair ``(loss, gradient)``.
    x0 : array, or a dict, list or tuple of such, nested as deep as you like
        The parameters at which to check. They are copied, and never changed.
    args : tuple, optional
        What `fun` and `grad` take besides, such as ``(X, y)``.
    shapes : dict, optional
        For a flat `x0`: the arrays that lie in it one after the other, such as
        ``{"W1": (25, 64), "b1": (25,)}``. The report then names entries of these.
    dtype : optional
        Convert `x0` and the floating-point arrays in `args` first: ``dtype=float`` checks a
        float32 program in float64, where its code follows its inputs.
    method : {"auto", "entries", "directions"}, optional
        ``"entries"`` checks every partial derivative: 2 calls of `fun` each, and about 40 more
        where the gradient is right and the loss smooth. ``"directions"`` checks all together along
        random directions, with about 25 calls, and decodes which are wrong. ``"auto"``
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
    >>> check_gradient(loss, lambda w: w, np.array([1.0, 2.0])).passed
    True
    >>> report = check_gradient(loss, lambda w: [1.0, -2.0], np.array([1.0, 2.0]))
    >>> [entry.name for entry in report.wrong]
    ['[1]']
    """
    plan = Plan(method, rtol, atol, step, rng, max_wrong, workers, progress)
    plan.refuse_misuse()
    kind, (fun, grad) = floating_type(dtype), taken_apart(fun, grad)
    with warnings_once():
        parameters = Parameters(x0, shapes, kind)
        evaluator = Evaluator(fun, parameters, converted(args, kind))
        report = _check(evaluator, grad, analytic_values(grad, evaluator), plan)
    long = len(parameters.shapes[0]) == 1 and parameters.size > LONG
    if report.wrong and parameters.names == [""] and long:
        return replace(report, notes=(UNNAMED, *report.notes))
    return report


def check_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Any,
    *,
    cache: bool = False,
    dtype: Any = None,
    method: Method = "auto",
    rtol: float | None = None,
    atol: float = 0.0,
    rng: Any = None,
    max_wrong: int = 20,
    workers: Any = 1,
    progress: Any = None,
) -> GradientReport:
    """Tell whether the back-pass of a layer is right: of a function from arrays to arrays.

    For a random upstream gradient ``u``, shaped like the output ``y``, the slopes that `backward`
    gives must be those of the number ``sum(u * y)``. They are held against it as by
    `check_gradient`. Moreover, they must be linear in ``u``.

    Parameters
    ----------
    forward : callable
        ``forward(*inputs)`` returns the output: an array, or a tuple, list or dict of arrays.
    backward : callable
        ``backward(upstream, *inputs)`` returns the slopes by the inputs, in their order;
        `upstream` has the structure of the output.
    inputs : tuple, dict or array
        What `forward` takes: a tuple by place, a dict by name (then `backward` returns a dict,
        too), one array alone. Arrays of floats are checked. Others, such as labels and settings,
        are passed on; `backward` may leave them out, or give None. None for an array of floats
        leaves that out of the check as well, and the report says so.
    cache : bool, optional
        True: `forward` returns ``(output, cache)``, and ``backward(upstream, cache)`` is called.
    dtype, method, rtol, atol, rng, max_wrong, workers, progress : optional
        As in `check_gradient`.

    Returns
    -------
    GradientReport
        Print it. It is true where the back-pass passed.

    Raises
    ------
    TypeError, ValueError
        Where an argument cannot be used; the message says which and what to do.

    References
    ----------
    The slopes by the inputs are a vector-Jacobian product: Griewank and Walther (2008),
    *Evaluating Derivatives*, section 3.2. The check is that of `check_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import check_backward
    >>> def forward(x, w):
    ...     return x @ w, (x, w)
    >>> def backward(upstream, cache):
    ...     x, w = cache
    ...     return upstream @ w.T, x.T @ upstream
    >>> x, w = np.arange(6.0).reshape(2, 3), np.ones((3, 2))
    >>> check_backward(forward, backward, (x, w), cache=True).passed
    True
    """
    plan = Plan(method, rtol, atol, None, rng, max_wrong, workers, progress)
    plan.refuse_misuse()
    with warnings_once(), in_the_words_of_a_layer():
        layer = Layer(forward, backward, inputs, cache=cache, dtype=floating_type(dtype), rng=rng)
        evaluator = Evaluator(layer.loss, layer.parameters, (layer.passed_on,))
        report = _check(evaluator, None, layer.slopes, plan, layer.output)
        where = [from_where(layer, _wrong(report.entries.checked))] if report.wrong else []
    nfev, bent = layer.nfev + report.nfev, upstream_findings(layer.growth)
    if layer.left_out:
        where.append(f"Not checked, for `backward` gives None: {', '.join(layer.left_out)}.")
    others = set(report.arrays_with(Verdict.WRONG)) - set(layer.growth)
    return replace(
        report,
        passed=report.passed and not bent,
        nfev=nfev,
        findings=(*bent, *(report.findings if others or not bent else ())),
        notes=(
            *report.notes[:-1],
            *filter(None, where),
            f"{nfev:,} calls of `forward`;{report.notes[-1].partition(';')[2]}",
        ),
    )


def _wrong(checked: Sequence[CheckedArray]) -> dict[int, Array]:
    """Return which entries of each array are wrong."""
    wrong: dict[int, Array] = {}
    for c in checked:
        index = c.index[c.verdict == Verdict.WRONG]
        wrong[c.array] = np.concatenate([wrong.get(c.array, index[:0]), index])
    return wrong


def _check(
    evaluator: Evaluator, grad: Any, analytic: Sequence[Array], plan: Plan, output: Any = None
) -> GradientReport:
    """Hold a gradient against a loss, and explain what is wrong."""
    parameters = evaluator.parameters
    eps = max(evaluator.eps, *(float(np.finfo(a.dtype).eps) for a in [*parameters.x0, *analytic]))
    rtol = plan.rtol or (1e-6 if eps < 1e-10 else 1e-3)
    method, why = plan.method_for(parameters.size)
    expected = 2 * parameters.size + 20 if method == "entries" else 30
    with sharing(evaluator, plan.workers), showing(evaluator, plan.progress, expected):
        noise = estimate_noise(evaluator, plan.rng)
        sizes = typical_entries(evaluator, analytic, noise)
        typical = [size for size, _ in sizes]
        problem = Problem(evaluator, analytic, noise, rtol, plan.atol, typical, plan.step)
        if method == "entries":
            judged = check_entries(problem)
        else:
            judged = check_directions(problem, plan.rng, plan.max_wrong)
        misfits = kinks_together(problem, judged.checked)
        evaluator.finish()
        blurred = judged.resolution if method == "directions" else [0.0] * len(analytic)
        looked = Seen(problem, judged.checked, blurred, judged.vouched)
        explained = explain(looked, grad, output=output)
    checked = [*judged.checked, *explained.checked]
    # What is zero by nature has no sign: it is enough that a wrong slope would have shown.
    signs = zip(parameters.names, judged.resolution, judged.signs, sizes, strict=True)
    unsigned = {name: zero and error < 1 for name, error, sign, (_, zero) in signs if not sign}
    seen = {parameters.names[k] for k, index in _wrong(checked).items() if index.size}
    blind = tuple(name for name, zero in unsigned.items() if not zero and name not in seen)
    agree = all(bool(np.all(c.verdict >= Verdict.KINK)) for c in checked)
    return GradientReport(
        passed=agree and judged.explained and not misfits,
        explained=judged.explained and not misfits,
        entries=Entries(parameters, checked),
        findings=explained.findings,
        nfev=evaluator.nfev,
        method=method,
        resolution=dict(zip(parameters.names, judged.resolution, strict=True)),
        blind=blind,
        complete=judged.complete,
        size=parameters.size,
        rtol=rtol,
        eps=eps,
        notes=(
            *judged.notes,
            *misfits,
            *explained.notes,
            *zero_note([name for name, zero in unsigned.items() if zero], eps),
            f"{evaluator.nfev:,} calls of `fun`; method {method!r}, {why}.",
        ),
        search=tuple(judged.trace),
    )


def assert_gradient(
    fun: Callable[..., Any],
    grad: Any,
    x0: Any,
    *,
    max_rows: int | None = None,
    **options: Unpack[GradientOptions],
) -> GradientReport:
    """Check a gradient, and raise an `AssertionError` that holds the report unless it is right.

    For tests: pytest then shows the verdict and the table, not the arrays. What passed only
    because nothing could be told of it, as at a minimum, is said in a warning.

    Parameters
    ----------
    fun, grad, x0
        As in `check_gradient`.
    max_rows : int, optional
        At most so many entries in the table.
    **options : optional
        The options of `check_gradient`.

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
    As in `check_gradient`.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import assert_gradient
    >>> report = assert_gradient(lambda w: w @ w, lambda w: 2 * w, np.array([1.0, 2.0]))
    >>> report.nfev < 20
    True
    """
    __tracebackhide__ = True
    return _asserted(check_gradient(fun, grad, x0, **options), max_rows)


def assert_backward(
    forward: Callable[..., Any],
    backward: Callable[..., Any],
    inputs: Any,
    *,
    max_rows: int | None = None,
    **options: Unpack[BackwardOptions],
) -> GradientReport:
    """Check the back-pass of a layer, and raise an `AssertionError` unless it is right.

    Parameters
    ----------
    forward, backward, inputs
        As in `check_backward`.
    max_rows : int, optional
        At most so many entries in the table.
    **options : optional
        The options of `check_backward`.

    Returns
    -------
    GradientReport
        The report of a back-pass that passed.

    Raises
    ------
    AssertionError
        Where the back-pass is wrong or could not be resolved.
    TypeError, ValueError
        As in `check_backward`.

    References
    ----------
    As in `check_backward`.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import assert_backward
    >>> def backward(upstream, x):
    ...     return upstream * np.cos(x)
    >>> assert_backward(np.sin, backward, np.array([0.5, 1.0])).passed
    True
    """
    __tracebackhide__ = True
    return _asserted(check_backward(forward, backward, inputs, **options), max_rows)


def _asserted(report: GradientReport, max_rows: int | None) -> GradientReport:
    """Return a report that passed; warn of what it could not see."""
    __tracebackhide__ = True  # pytest shows the reader's line, not this one
    report.raise_if_wrong(max_rows)
    if report.blind:
        warnings.warn(f"{report.headline()} Check at another point.", stacklevel=3)
    return report
