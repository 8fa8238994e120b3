"""The loss as the check calls it: nudged in place, restored exactly, counted, in parallel."""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.measuring.parameters import Array, Nudge, Parameters, leaves

CHANCE = "of its dropout or shuffling, or clear what an earlier call has left behind"


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
                    raise _in_place(self.parameters.names[array])
            return loss
        except Exception as error:
            error.add_note(f"gradcheck: raised by `fun` {self._place(nudge)}")
            raise
        finally:
            for array, where, _ in nudge:
                flats[array][where] = x0[array][where]

    def on_a_copy(self, nudge: Nudge) -> float:
        """Do the same to a copy of the parameters: threads must not see each other's nudges."""
        return Loss(self.fun, self.parameters.copy(), self.args)(nudge)

    def _place(self, nudge: Nudge) -> str:
        if not nudge:
            return "at `x0`"
        array, where, value = nudge[0]
        if np.ndim(value):
            moved = [self.parameters.names[k] or "the parameters" for k, _, _ in nudge]
            x0 = self.parameters.x0
            size = max(np.max(np.abs(v - x0[k][at]), initial=0.0) for k, at, v in nudge)
            return f"at a step of up to {size:.2g} along a direction in {', '.join(moved)}"
        before = self.parameters.x0[array][where]
        name = self.parameters.entry_name(array, where)
        return f"with {name} = {value:.17g}, a step of {value - before:.2g}"


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
        if not callable(fun):
            raise TypeError(f"`fun` is {short(fun)}, not callable: pass the function itself.")
        if not isinstance(args, (tuple, list)):
            raise TypeError(f"`args` is {short(args)}: pass a tuple, such as `args=(X, y)`.")
        self.parameters, self.args = parameters, args
        self.nfev = 0
        self.other_noise = 0.0
        self.on_call: Callable[[int], None] = lambda _: None
        self.share: Callable[[Loss, Iterable[Nudge]], Iterable[float]] = map
        self._fingerprints = _fingerprints(args)
        try:
            first = fun(parameters.tree, *args)
        except Exception as error:
            error.add_note("gradcheck: raised by `fun` at `x0`")
            raise
        kind = _one_real_number(first)
        # A longer float than Python's is rounded to one.
        eps = float(np.finfo(kind).eps) if np.issubdtype(kind, np.floating) else 0.0
        self.eps = max(eps, 2.0**-52)
        self.refuse_changed_input()
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
        self.refuse_chance(self.at_x0, second)

    def refuse_chance(self, first: Any, second: Any) -> None:
        """Make sure that two calls at the same points gave the same; not all chance shows at once.

        Sums that threads add up in another order differ in the last digits: that is round-off.
        """
        first, second = np.atleast_1d(first), np.atleast_1d(second)
        room = 100 * self.eps * np.maximum(np.abs(first), abs(self.at_x0))
        with np.errstate(invalid="ignore"):
            differ = ~((np.abs(first - second) <= room) | (first == second))
        differ &= ~(np.isnan(first) & np.isnan(second))
        if np.any(differ):
            i = int(np.argmax(differ))
            raise ValueError(
                f"`fun` gave two values at the same point, {float(first[i])!r} and "
                f"{float(second[i])!r}: fix the seed {CHANCE}."
            )

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

    def refuse_changed_input(self) -> None:
        """Make sure that `fun` has left the parameters alone."""
        if name := self.parameters.changed():
            raise _in_place(name)

    def finish(self) -> None:
        """Make sure that `fun` has left all of its input alone."""
        self.refuse_changed_input()
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
    values, again = (_call_gradient(grad, evaluator) for _ in range(2))
    evaluator.refuse_changed_args("grad")
    for k, (first, second) in enumerate(zip(values, again, strict=True)):
        # Sums that threads add up in another order differ in the last digits: that is round-off.
        with np.errstate(invalid="ignore"):
            largest = np.max(np.abs(first), initial=0.0)
            differs = np.abs(first - second) > 1e3 * np.finfo(first.dtype).eps * largest
        if np.any(differs):
            i = int(np.argmax(differs))
            both = f"{short(first[i])} and {short(second[i])}"
            raise ValueError(
                f"`grad` gave two values at the same point, {both} for "
                f"{parameters.entry_name(k, i)}: fix the seed {CHANCE}."
            )
    return values


def _call_gradient(grad: Callable[..., Any], evaluator: Evaluator) -> list[Array]:
    parameters = evaluator.parameters
    values = grad(parameters.tree, *evaluator.args)
    if values is None:
        raise TypeError("`grad` returned None: is its `return` missing?")
    flats = parameters.match(values, "grad")
    if name := parameters.changed():
        raise ValueError(
            f"`grad` changes its input in place ({name}): let it work on a copy of the parameters."
        )
    return flats


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


def _in_place(name: str) -> ValueError:
    return ValueError(
        f"`fun` changes its input in place ({name or 'the array'}): let it work on a copy, for "
        "nudging one entry must not move the others."
    )


def _fingerprints(args: Sequence[Any]) -> dict[str, int]:
    """Return a checksum of each array: cheap, and no copy of the data is kept."""
    return {
        name: zlib.crc32(np.ascontiguousarray(array).data.cast("B"))
        for name, array in leaves(list(args))
        if isinstance(array, np.ndarray) and array.size and array.dtype.kind in "biufc"
    }


def _one_real_number(value: Any) -> np.dtype[Any]:
    """Return the type of what `fun` returned; say what to do where that is no real number."""
    if value is None:
        raise TypeError("`fun` returned None: is its `return` missing?")
    if isinstance(value, (tuple, list, dict)):
        advice = "return the loss alone; if it comes with its gradient, pass `grad=True`"
        raise TypeError(f"`fun` returned a {type(value).__name__}, not one real number: {advice}.")
    kind = np.asarray(value).dtype
    if np.ndim(value):
        what = f"{short(value)} of shape {np.shape(value)}"
        advice = "a function that returns arrays is checked by `check_backward`"
        if np.size(value) == 1:
            advice = f"return its only entry, with `.item()`; {advice}"
    elif np.issubdtype(kind, np.complexfloating):
        what, advice = short(value), "return its real part, if the rest is 0"
    elif kind.kind == "b":
        what, advice = short(value), "a truth value has no slope"
    elif not np.issubdtype(kind, np.number):
        what, advice = short(value), "return a float"
    else:
        return kind
    raise TypeError(f"`fun` returned {what}, not one real number: {advice}.")


def short(value: Any) -> str:
    """Return a value as a sentence can hold it."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"
