"""Parameters of any structure, seen as named flat arrays that can be nudged in place."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradcheck.measuring.misuse import a_kind, short
from gradcheck.measuring.structures import converted, leaves, rebuild

Array = NDArray[Any]
Nudge = tuple[tuple[int, Any, Any], ...]
"""Which array, which entry or slice of it when flat, and what to put there."""


class Parameters:
    """A private copy of `x0`: the structure that `fun` takes, and its arrays laid flat.

    Parameters
    ----------
    x0 : array, or a dict, list or tuple of such, nested as deep as you like
        Real floating-point numbers. It is copied and never changed.
    shapes : dict of str to tuple of int, optional
        The arrays that lie one after the other in a flat `x0`.
    dtype : optional
        The floating-point type of the copy; by default that of `x0`.

    Attributes
    ----------
    tree : the copy, with the structure of `x0`; this is what `fun` is called with.
    names : how a reader finds each array, such as ``W2``, ``[0].b`` or ``""`` for a bare array.
    shapes : those of the arrays, in the order of `names`.
    flats : one-dimensional views of them into `tree`.
    x0 : one-dimensional copies, what `flats` held at the start.
    """

    def __init__(
        self, x0: Any, shapes: Mapping[Any, int | Sequence[int]] | None = None, dtype: Any = None
    ) -> None:
        plain = isinstance(x0, list) or type(x0) is tuple
        if plain and all(isinstance(v, (int, float, np.number)) for v in x0):
            x0 = np.array(x0)  # a row of numbers is meant as one array, as in SciPy
        found = list(leaves(x0))
        _refuse_twice("x0", [name for name, _ in found])
        self._leaves = {n: converted(_real_array(leaf, "x0", n), dtype) for n, leaf in found}
        for name, array in self._leaves.items():
            if not np.all(np.isfinite(array)):
                place = _place("x0", name)
                raise ValueError(f"{place} holds NaN or infinity: start from finite parameters.")
        self.size = sum(array.size for array in self._leaves.values())
        if not self.size:
            raise ValueError("`x0` is empty: there is no parameter to check.")
        self.tree = rebuild(x0, iter(self._leaves.values()))
        self.names = list(self._leaves)
        self.shapes = [array.shape for array in self._leaves.values()]
        self._shapes = shapes
        if shapes is not None:
            if self.names != [""]:
                raise ValueError(
                    "`shapes` is for one flat `x0`; the arrays of this one have names."
                )
            self.shapes = _inside(shapes, self.size)
            self.names = [str(name) for name in shapes]
        self.flats = self._cut([array.reshape(-1) for array in self._leaves.values()])
        self.x0 = [flat.copy() for flat in self.flats]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or pickle the structure alone: `flats` of a copy must be views into its own tree."""
        return Parameters, (self.tree, self._shapes)

    def _cut(self, flats: list[Array]) -> list[Array]:
        """Cut a flat vector into views of the arrays that lie in it."""
        if self._shapes is None:
            return flats
        return np.split(flats[0], np.cumsum([math.prod(shape) for shape in self.shapes])[:-1])

    def match(self, values: Any, argument: str) -> list[Array]:
        """Return flat copies of `values`, which must have the structure and shapes of `x0`."""
        # For a bare array, a plain list of numbers will do.
        bare = list(self._leaves) == [""] and not isinstance(values, Mapping)
        found = {"": values} if bare else dict(leaves(values))
        if found.keys() != self._leaves.keys() or (bare and _is_pair(values)):
            raise ValueError(
                f"`{argument}` has another structure than `x0`: {self._difference(found, values)}"
            )
        given = {name: _real_array(found[name], argument, name) for name in self._leaves}
        for name, leaf in self._leaves.items():
            if (shape := given[name].shape) != leaf.shape:
                advice = "give both the same shape, one number for each parameter."
                shapes = [
                    sorted(a.shape for a in arrays.values()) for arrays in (given, self._leaves)
                ]
                if shapes[0] == shapes[1]:
                    advice = f"the shapes fit in another order; here it is {', '.join(given)}."
                raise ValueError(
                    f"{_place(argument, name)} has shape {shape}, but `x0` has shape "
                    f"{leaf.shape} there: {advice}"
                )
        return self._cut([array.reshape(-1) for array in given.values()])

    def _difference(self, found: Mapping[str, Any], values: Any) -> str:
        """Say in what a structure differs from that of `x0`, and what to do."""
        if _is_pair(values):
            return (
                "a pair of a number and slopes, perhaps the loss and its gradient. Return the "
                "gradient alone; or pass `grad=True` and a `fun` that returns both."
            )
        said = []
        for what, one, other in (
            ("missing", self._leaves, found),
            ("not in `x0`:", found, self._leaves),
        ):
            if names := [name or "a bare array" for name in one if name not in other]:
                said.append(f"{what} {', '.join(names)}")
        advice = "Give it the same keys and nesting."
        if isinstance(self.tree, Mapping) and not isinstance(values, Mapping):
            own = a_kind(self.tree)
            advice = f"It is {a_kind(values)}, `x0` {own}: give {own} with the same keys."
        return f"{'; '.join(said)}. {advice}"

    def match_direction(self, values: Any) -> list[Array]:
        """Return flat float64 copies of a direction, which must point somewhere."""
        along = [flat.astype(float) for flat in self.match(values, "direction")]
        if not all(np.all(np.isfinite(d)) for d in along) or not any(map(np.any, along)):
            raise ValueError("`direction` is zero or not finite: it must point somewhere.")
        return along

    def entry_name(self, array: int, index: int) -> str:
        """Name one entry as a reader would index it: ``W2[3, 1]``, ``[4]``, ``[0].b[2]``."""
        shape = self.shapes[array]
        where = ", ".join(str(i) for i in np.unravel_index(index, shape))
        return self.names[array] + (f"[{where}]" if shape else "") or "x"

    def rebuild(self, flats: Sequence[Array]) -> Any:
        """Return flat arrays in the structure and shapes of `x0`."""
        shaped = (flat.reshape(shape) for flat, shape in zip(flats, self.shapes, strict=True))
        return rebuild(self.tree, shaped)

    def refuse_changed(self, who: str) -> None:
        """Make sure that a function has left the parameters alone."""
        now = dict(leaves(self.tree))
        changed = [name for name, array in self._leaves.items() if now.get(name) is not array]
        if not changed:
            arrays = zip(self.names, self.flats, self.x0, strict=True)
            changed = [name for name, flat, x0 in arrays if not np.array_equal(flat, x0)]
        if changed:
            raise changed_in_place(who, changed[0])


def changed_in_place(who: str, name: str) -> ValueError:
    """Return what to raise where a function has changed an array that is given to it."""
    what = name or "the array"
    return ValueError(f"`{who}` changes its input in place ({what}): let it work on a copy.")


def _inside(shapes: Mapping[Any, Any], size: int) -> list[tuple[int, ...]]:
    """Return the shapes of the arrays that lie in a flat vector."""
    if not isinstance(shapes, Mapping):
        raise TypeError(
            f"`shapes` is {short(shapes)}: pass a dict of names and shapes, such as "
            "{'W1': (25, 64), 'b1': (25,)}."
        )
    _refuse_twice("shapes", [str(name) for name in shapes])
    found = []
    for name, shape in shapes.items():
        sides = shape if isinstance(shape, (tuple, list)) else (shape,)
        if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sides):
            advice = "pass whole numbers, as in (25, 64)."
            raise ValueError(f"`shapes` at {name} is {shape!r}: {advice}")
        found.append(tuple(int(n) for n in sides))
    if (total := sum(map(math.prod, found))) != size:
        raise ValueError(f"`shapes` add up to {total:,} numbers, but `x0` has {size:,}.")
    return found


def _refuse_twice(argument: str, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        name = max(names, key=names.count)
        raise ValueError(f"Two arrays of `{argument}` are called {name}: rename one of them.")


def _is_pair(values: Any) -> bool:
    """Whether this is one number and something with an array in it, as a loss and its gradient."""
    if not (isinstance(values, (tuple, list)) and len(values) == 2):
        return False
    number = not isinstance(values[0], (Mapping, tuple, list)) and np.ndim(values[0]) == 0
    return number and any(np.ndim(leaf) for _, leaf in leaves(values[1]))


def _place(argument: str, name: str) -> str:
    return f"`{argument}`" + (f" at {name}" if name else "")


def _real_array(leaf: Any, argument: str, name: str) -> Array:
    """Copy one leaf into a contiguous array of floating-point numbers, or say what it is."""
    place = _place(argument, name)
    if isinstance(leaf, np.ma.MaskedArray):
        raise TypeError(f"{place} is a masked array: fill it, or pass its mask in `args`.")
    try:
        array = np.array(np.asarray(leaf), order="C", copy=True)
    except ValueError as error:
        raise ValueError(f"{place} is no array: its rows differ in length.") from error
    if np.issubdtype(array.dtype, np.floating):
        return array
    advice = "pass an array of floats, or a dict, list or tuple of such."
    if array.dtype.kind in "iub":
        if argument != "x0":
            return array.astype(float)
        advice = "convert it with `.astype(float)`, or pass it in `args`; no integer can be nudged."
    elif array.dtype.kind == "c":
        advice = "split it into its real and imaginary parts."
    elif inspect.isroutine(leaf):
        advice = "the order is `check_gradient(fun, grad, x0)`."
    elif array.ndim == 0 and array.dtype == object and leaf is not None:
        advice = (
            'pass the arrays in it, such as `{"W": layer.W, "b": layer.b}`; `fun` can put those '
            "that it gets back in their place."
        )
    raise TypeError(f"{place} has dtype {array.dtype} ({type(leaf).__name__}): {advice}")
