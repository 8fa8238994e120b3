"""The loss as the check calls it: nudged in place, restored exactly, counted, in parallel."""

from __future__ import annotations

import copy
import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.measuring.misuse import a_kind, refuse_chance, refuse_none, refuse_uncallable, short
from gradcheck.measuring.parameters import Array, Nudge, Parameters, changed_in_place
from gradcheck.measuring.structures import leaves


class Loss:
    """`fun(x, *args)` at nudged copies of the parameters.

    An instance can be pickled, so that a worker process gets parameters of its own to nudge.
    """

    def __init__(
        self, fun: Callable[..., Any], parameters: Parameters, args: Sequence[Any]
    ) -> None:
        self.fun, self.parameters, self.args = fun, parameters, args

    def __call__(self, nudge: Nudge = ()) -> float:
        """Apply the nudge, call `fun`, and restore by assignment, whatever happens."""
        flats, x0 = self.parameters.flats, self.parameters.x0
        try:
            for array, where, values in nudge:
                flats[array][where] = values
            loss = float(self.fun(self.parameters.tree, *self.args))
            for array, where, values in nudge:
                if type(where) is not int and not np.array_equal(flats[array][where], values):
                    raise changed_in_place("fun", self.parameters.names[array])
            return loss
        except Exception as error:
            error.add_note(f"gradcheck: raised by `fun` {self._place(nudge)}")
            raise
        finally:
            for array, where, _ in nudge:
                flats[array][where] = x0[array][where]

    def on_a_copy(self, nudge: Nudge) -> float:
        """Do the same to a copy of the parameters: threads must not see each other's nudges."""
        return Loss(self.fun, copy.copy(self.parameters), self.args)(nudge)

    def _place(self, nudge: Nudge) -> str:
        if not nudge:
            return "at `x0`"
        names, x0 = self.parameters.names, self.parameters.x0
        array, where, value = nudge[0]
        if type(where) is int:
            before, name = x0[array][where], self.parameters.entry_name(array, where)
            return f"with {name} = {value:.17g}, a step of {value - before:.2g}"
        size = max(np.max(np.abs(v - x0[k][at]), initial=0.0) for k, at, v in nudge)
        moved = dict.fromkeys(names[k] or "the parameters" for k, _, _ in nudge)
        return f"at a step of up to {size:.2g} along a direction in {', '.join(moved)}"


class Evaluator:
    """Call a loss at many nudges: counts, keeps the order, and shares the work out.

    Attributes
    ----------
    at_x0 : the loss at `x0`.
    eps : the machine epsilon of the number that `fun` returns.
    nfev : how many times `fun` was called.
    other_noise : where the loss is a staircase or a wave, its noise at another distance; or 0.
    """

    def __init__(
        self, fun: Callable[..., Any], parameters: Parameters, args: Sequence[Any]
    ) -> None:
        refuse_uncallable("fun", fun)
        if not isinstance(args, (tuple, list)):
            raise TypeError(f"`args` is {short(args)}: pass a tuple, such as `args=(X, y)`.")
        self.parameters, self.args = parameters, args
        self.nfev, self.other_noise = 0, 0.0
        self.on_call: Callable[[int], None] = lambda _: None
        self.share: Callable[[Loss, Iterable[Nudge]], Iterable[float]] = map
        self._fingerprints = _fingerprints(args)
        try:
            first = fun(parameters.tree, *args)
        except Exception as error:
            error.add_note("gradcheck: raised by `fun` at `x0`")
            raise
        kind = _one_real_number(first, parameters)
        # A longer float than Python's is rounded to one.
        eps = float(np.finfo(kind).eps) if np.issubdtype(kind, np.floating) else 0.0
        self.eps = max(eps, 2.0**-52)
        parameters.refuse_changed("fun")
        self.loss = Loss(fun, parameters, args)
        self.at_x0 = float(first)
        if not np.isfinite(self.at_x0):
            raise ValueError(
                f"`fun` is {self.at_x0} at `x0`: a slope needs a finite loss. Check the data, "
                "or start from another point."
            )
        second = self.loss()
        self.nfev = 2
        self.refuse_changed_args("fun")
        self.refuse_chance([self.at_x0], [second])

    def refuse_chance(self, first: Sequence[float], second: Sequence[float]) -> None:
        """Make sure that two calls at the same points gave the same; chance may show late."""
        at = [self.at_x0]
        refuse_chance("fun", [*at, *first], [*at, *second], self.eps)

    def __call__(self, nudges: Iterable[Nudge]) -> list[float]:
        """Return the loss at each nudge, in order; one worker takes them as they are made."""
        if self.share is not map:
            nudges = list(nudges)
        losses = []
        for loss in self.share(self.loss, nudges):
            losses.append(loss)
            self.nfev += 1
            self.on_call(self.nfev)
        if isinstance(nudges, list) and len(losses) != len(nudges):
            raise RuntimeError(
                f"`workers` returned {len(losses)} results for {len(nudges)} calls: a map returns "
                "one for each, in order."
            )
        return losses

    def finish(self) -> None:
        """Make sure that `fun` has left all of its input alone."""
        self.parameters.refuse_changed("fun")
        self.refuse_changed_args("fun` or `grad")

    def refuse_changed_args(self, who: str) -> None:
        """Make sure that the data are what they were."""
        for name, found in _fingerprints(self.args).items():
            if found != self._fingerprints.get(name):
                raise ValueError(
                    f"`{who}` changes `args{name}` in place: let it work on a copy, for the loss "
                    "must be the same function at every call."
                )


def analytic_values(grad: Any, evaluator: Evaluator) -> list[Array]:
    """Return the gradient to be checked, as flat arrays of its own."""
    parameters = evaluator.parameters
    if not callable(grad):
        return parameters.match(grad, "grad")
    calls = []
    for _ in range(2):
        values = grad(parameters.tree, *evaluator.args)
        refuse_none("grad", values)
        calls.append(parameters.match(values, "grad"))
        parameters.refuse_changed("grad")
    evaluator.refuse_changed_args("grad")
    for k, (first, second) in enumerate(zip(*calls, strict=True)):
        eps = float(np.finfo(first.dtype).eps)
        refuse_chance("grad", first, second, eps, lambda i, k=k: parameters.entry_name(k, i))
    return calls[0]


@contextmanager
def warnings_once() -> Iterator[None]:
    """Pass on each distinct warning of the user's functions once, not once a call."""
    seen: dict[tuple[Any, ...], tuple[Any, type[Warning], str, int]] = {}

    def collect(
        message: Any, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
    ) -> None:
        without_numbers = re.sub(r"[-+]?[\d.]+(e[-+]?\d+)?", "", str(message))
        warning = message, category, filename, lineno
        seen.setdefault((without_numbers, *warning[1:]), warning)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = collect
            yield
    finally:
        for warning in seen.values():
            warnings.warn_explicit(*warning)


def _fingerprints(args: Sequence[Any]) -> dict[str, int]:
    """Return a checksum of each array: cheap, and no copy of the data is kept."""
    return {
        name: zlib.crc32(np.ascontiguousarray(array).data.cast("B"))
        for name, array in leaves(list(args))
        if isinstance(array, np.ndarray) and array.size and array.dtype.kind in "biufc"
    }


def _one_real_number(value: Any, parameters: Parameters) -> np.dtype[Any]:
    """Return the type of what `fun` returned; say what to do where that is no real number."""
    refuse_none("fun", value)
    what, advice = short(value), "return a float"
    kind = np.dtype(object) if isinstance(value, (tuple, list, dict)) else np.asarray(value).dtype
    if isinstance(value, (tuple, list, dict)):
        what = a_kind(value)
        advice = "return the loss alone; if it comes with its gradient, pass `grad=True`"
    elif np.ndim(value):
        what = f"an array of shape {np.shape(value)}"
        advice = "a function that returns arrays is checked by `check_backward`"
        if [np.shape(value)] == parameters.shapes:
            advice += "; a gradient comes second: `check_gradient(fun, grad, x0)`"
        if np.size(value) == 1:
            advice = f"return its only entry, with `.item()`; {advice}"
    elif kind.kind == "c":
        advice = "return its real part, if the rest is 0"
    elif kind.kind == "b":
        advice = "a truth value has no slope"
    elif np.issubdtype(kind, np.number):
        return kind
    raise TypeError(f"`fun` returned {what}, not one real number: {advice}.")
