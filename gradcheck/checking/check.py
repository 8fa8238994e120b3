"""The check itself: what is given is looked at, then every entry, then what it means."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.checking.directions import Search
from gradcheck.checking.entries import check_entries
from gradcheck.checking.evaluation import Evaluator, sharing, warnings_once
from gradcheck.checking.finite_difference import estimate_noise, positive_step
from gradcheck.checking.parameters import Array, Parameters
from gradcheck.checking.report import CheckedArray, Entries, GradientReport, Verdict

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
    """Tell whether a gradient is right, which entry is wrong, and why."""
    step = positive_step(step)
    if method not in ("auto", "entries", "directions"):
        raise ValueError(f"`method` is {method!r}: pass 'entries', 'directions' or 'auto'.")
    if step is not None and method == "directions":
        raise ValueError("`step` belongs to single entries: use it with `method='entries'`.")
    with warnings_once():
        parameters = Parameters(x0)
        evaluator = Evaluator(fun, parameters, args)
        analytic = _values(grad, parameters, args)
        coarsest = max(
            evaluator.eps, *(float(np.finfo(a.dtype).eps) for a in [*parameters.x0, *analytic])
        )
        if rtol is None:
            rtol = 1e-6 if coarsest < 1e-10 else 1e-3
        if method == "auto":
            method = "entries" if step or parameters.size <= AUTO else "directions"
            note = f"Method {method!r}: {parameters.size:,} parameters" + (
                "." if step else f", {'at most' if method == 'entries' else 'more than'} {AUTO:,}."
            )
        else:
            note = f"Method {method!r}, as asked for."
        seed = 0 if rng is None else rng
        with sharing(evaluator, workers):
            noise = estimate_noise(evaluator, seed)
            if method == "entries":
                checked = check_entries(evaluator, analytic, noise, rtol=rtol, atol=atol, step=step)
                return _report(evaluator, checked, method, note)
            search = Search(
                evaluator, analytic, noise, rtol=rtol, atol=atol, rng=seed, max_wrong=max_wrong
            )
            search.run()
            return _report(evaluator, search.checked, method, note, search)


def _report(
    evaluator: Evaluator,
    checked: Sequence[CheckedArray],
    method: str,
    note: str,
    search: Search | None = None,
) -> GradientReport:
    """Put together what was found."""
    evaluator.finish()
    names = evaluator.parameters.names
    agree = all(bool(np.all(c.verdict >= Verdict.KINK)) for c in checked)
    if search is None:
        resolution = {names[c.array]: _resolution(c) for c in checked}
    else:
        resolution = dict(zip(names, search.sharpness, strict=True))
    return GradientReport(
        passed=agree and (search is None or search.explained),
        entries=Entries(evaluator.parameters, checked),
        findings=(),
        nfev=evaluator.nfev,
        method=method,
        resolution=resolution,
        complete=search is None or search.complete,
        size=evaluator.parameters.size,
        notes=(*(search.notes if search else ()), note),
        search=tuple(search.trace) if search else (),
    )


def _values(grad: Any, parameters: Parameters, args: Sequence[Any]) -> list[Array]:
    """Return the gradient to be checked, as flat arrays of its own."""
    if not callable(grad):
        return parameters.match(grad, "grad")
    values = parameters.match(grad(parameters.tree, *args), "grad")
    if name := parameters.changed():
        raise ValueError(
            f"`grad` changes its input in place ({name}): let it work on a copy of the parameters."
        )
    again = parameters.match(grad(parameters.tree, *args), "grad")
    for k, (first, second) in enumerate(zip(values, again, strict=True)):
        scale = 1e3 * np.finfo(first.dtype).eps * np.max(np.abs(first), initial=0.0)
        differs = np.abs(first - second) > scale
        if np.any(differs):
            i = int(np.argmax(differs))
            raise ValueError(
                f"`grad` gave two values at the same point, {first[i]!r} and {second[i]!r} for "
                f"{parameters.entry_name(k, i)}: fix the seed of its dropout or shuffling."
            )
    return values


def _resolution(checked: CheckedArray) -> float:
    """Return the smallest error in one entry that would have been seen, in typical entries."""
    if not checked.index.size:
        return 0.0
    with np.errstate(all="ignore"):
        size = np.fmax(np.abs(checked.analytic.astype(float)), np.abs(checked.numerical))
        typical = math.sqrt(float(np.mean(size**2)))
        blind = float(np.max(checked.allowed))
    return blind / typical if typical else math.inf


def assert_gradient(fun: Callable[..., Any], grad: Any, x0: Any, **options: Any) -> GradientReport:
    """Check a gradient and raise an `AssertionError` that holds the table, unless it is right."""
    __tracebackhide__ = True
    report = check_gradient(fun, grad, x0, **options)
    report.raise_if_wrong()
    return report
