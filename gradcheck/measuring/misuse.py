"""What is misuse, said in one form: the argument in backticks, what was seen, what to do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

FIX = "fix the seed of its dropout or shuffling, or clear what an earlier call has left behind"
THREADS = 1e3  # roundings in which sums may differ that threads add up in another order


def short(value: Any) -> str:
    """Return a value as a sentence can hold it."""
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else a_kind(value)


def a_kind(value: Any) -> str:
    """Return the type of a value with its article, such as "an ndarray"."""
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' or name == 'ndarray' else 'a'} {name}"


def refuse_uncallable(name: str, function: Any) -> None:
    """Make sure that something can be called."""
    if not callable(function):
        raise TypeError(f"`{name}` is {short(function)}, not callable: pass the function itself.")


def refuse_none(name: str, value: Any) -> None:
    """Make sure that a function has returned something."""
    if value is None:
        raise TypeError(f"`{name}` returned None: is its `return` missing?")


def pair_of(name: str, value: Any, option: str, parts: str) -> tuple[Any, Any]:
    """Return the two parts of what a function returned, which an option says is a pair."""
    if not (isinstance(value, (tuple, list)) and len(value) == 2):
        raise TypeError(
            f"`{name}` returned {short(value)}, but `{option}` means that it returns a pair: "
            f"{parts}."
        )
    return value[0], value[1]


def refuse_chance(name: str, first: Any, second: Any, eps: float, place: Any = None) -> None:
    """Make sure that two calls at the same points gave the same values but for round-off.

    `place` names the value of a number.
    """
    first, second = np.atleast_1d(first), np.atleast_1d(second)
    with np.errstate(invalid="ignore"):
        room = THREADS * eps * np.fmax.reduce(np.abs(first), initial=0.0)
        same = (np.abs(first - second) <= room) | (first == second)
    same |= np.isnan(first) & np.isnan(second)
    if not np.all(same):
        i = int(np.argmin(same))
        values = f"{short(first[i])} and {short(second[i])}" + (f" for {place(i)}" if place else "")
        raise ValueError(f"`{name}` gave two values at the same point, {values}: {FIX}.")


def positive(name: str, value: Any) -> float | None:
    """Refuse an option that is neither None nor a positive finite number."""
    if value is None:
        return None
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not (number and 0 < value < math.inf):
        raise ValueError(f"`{name}` is {value!r}: pass a positive finite number, or None.")
    return float(value)
