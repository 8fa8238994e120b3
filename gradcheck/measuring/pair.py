"""A loss that comes with its gradient, as the two functions that a check needs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.measuring.misuse import pair_of, refuse_uncallable


def taken_apart(fun: Callable[..., Any], grad: Any) -> tuple[Callable[..., Any], Any]:
    """Return the loss and its gradient, as given or as the two halves of a pair."""
    if grad is None or grad is False:
        raise TypeError(
            f"`grad` is {grad}: pass a function `grad(x, *args)` or the values it gives; or True, "
            "where `fun` returns the loss and its gradient."
        )
    if grad is not True:
        return fun, grad
    pair = Pair(fun)
    return pair, pair.gradient


class Pair:
    """`fun(x, *args)`, which returns the loss and its gradient, taken apart: itself the loss alone.

    A check calls the loss twice at `x0` before anything else. The gradients of these two calls are
    kept for it, so that no back-pass is run for the sake of a gradient alone.
    """

    def __init__(self, fun: Callable[..., Any]) -> None:
        refuse_uncallable("fun", fun)
        self.fun, self.kept, self.room = fun, list[Any](), 2

    def __call__(self, x: Any, *args: Any) -> Any:
        """Return the loss."""
        pair = self.fun(x, *args)
        loss, gradient = pair_of("fun", pair, "grad=True", "the loss and its gradient")
        arrays = isinstance(loss, Mapping) or np.ndim(loss)
        if arrays and not isinstance(gradient, Mapping) and np.ndim(gradient) == 0:
            raise TypeError(
                "`fun` returned arrays and then a number: `grad=True` means that the loss comes "
                "first, and then its gradient."
            )
        if self.room:
            self.room -= 1
            self.kept.append(copy.deepcopy(gradient))  # the next call may fill the same arrays
        return loss

    def gradient(self, *_: Any) -> Any:
        """Return the gradient at `x0`: of the first call, then of the second."""
        return self.kept.pop(0)
