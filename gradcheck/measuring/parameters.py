"""Parameters of any structure, seen as named flat arrays that can be nudged in place."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        self._leaves: dict[str, Array] = {}
        for name, leaf in leaves(x0):
            if name in self._leaves:
                raise ValueError(f"Two arrays of `x0` are called {name}: rename one of their keys.")
            array = _real_array(leaf, "x0", name)
            self._leaves[name] = converted(array, dtype)
            if not np.all(np.isfinite(array)):
                place = "`x0`" + (f" at {name}" if name else "")
                raise ValueError(f"{place} holds NaN or infinity: start from finite parameters.")
        self.size = sum(array.size for array in self._leaves.values())
        if not self.size:
            raise ValueError("`x0` is empty: there is no parameter to check.")
        self.tree = rebuild(x0, iter(self._leaves.values()))
        self.names = list(self._leaves)
        self.shapes = [array.shape for array in self._leaves.values()]
        self._shapes = shapes
        if shapes is not None:
            self.names, self.shapes = self._inside(shapes)
        self.flats = self._cut([array.reshape(-1) for array in self._leaves.values()])
        self.x0 = [flat.copy() for flat in self.flats]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the structure alone: `flats` of an unpickled copy must be views into its tree."""
        return Parameters, (self.tree, self._shapes)

    def copy(self) -> Parameters:
        """Return a copy that can be nudged by itself."""
        return Parameters(self.tree, self._shapes)

    def _inside(self, shapes: Any) -> tuple[list[str], list[tuple[int, ...]]]:
        """Return the names and shapes of the arrays that lie in a flat vector."""
        if list(self._leaves) != [""]:
            raise ValueError("`shapes` is for one flat `x0`; the arrays of this one have names.")
        names, found = [str(name) for name in shapes], []
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"Two arrays of `shapes` are called {twice[0]}: rename one of them.")
        for name, shape in shapes.items():
            sides = shape if isinstance(shape, (tuple, list)) else (shape,)
            if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sides):
                raise ValueError(
                    f"`shapes` at {name} is {shape!r}: pass whole numbers, as in (25, 64)."
                )
            found.append(tuple(int(n) for n in sides))
        total = sum(map(math.prod, found))
        if total != self.size:
            raise ValueError(f"`shapes` add up to {total:,} numbers, but `x0` has {self.size:,}.")
        return names, found

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
        flats = []
        for name, leaf in self._leaves.items():
            array = _real_array(found[name], argument, name)
            if array.shape != leaf.shape:
                place = f"`{argument}`" + (f" at {name}" if name else "")
                raise ValueError(
                    f"{place} has shape {array.shape}, but `x0` has shape {leaf.shape} there: "
                    "give both the same shape, one number for each parameter."
                )
            flats.append(array.reshape(-1))
        return self._cut(flats)

    def _difference(self, found: Mapping[str, Any], values: Any) -> str:
        """Say in what a structure differs from that of `x0`, and what to do."""
        if _is_pair(values):
            return (
                "a pair of a number and slopes, perhaps the loss and its gradient. Return the "
                "gradient alone; or pass `grad=True` and a `fun` that returns both."
            )
        both = (self._leaves, found), (found, self._leaves)
        missing, extra = ([name for name in one if name not in other] for one, other in both)
        lists = [
            f"{what} {', '.join(name or 'a bare array' for name in names)}"
            for what, names in (("missing", missing), ("not in `x0`:", extra))
            if names
        ]
        kinds = type(values).__name__, type(self.tree).__name__
        advice = "Give it the same keys and nesting."
        if isinstance(self.tree, Mapping) and not isinstance(values, Mapping):
            advice = f"It is a {kinds[0]}, `x0` a {kinds[1]}: give a {kinds[1]} with the same keys."
        return f"{'; '.join(lists)}. {advice}"

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

    def rebuild(self, flats: list[Array]) -> Any:
        """Return flat arrays in the structure and shapes of `x0`."""
        shaped = (flat.reshape(shape) for flat, shape in zip(flats, self.shapes, strict=True))
        return rebuild(self.tree, iter(list(shaped)))

    def changed(self) -> str | None:
        """Return the name of the first array that is no longer what `x0` was, if any."""
        now = dict(leaves(self.tree))
        replaced = [name for name, array in self._leaves.items() if now.get(name) is not array]
        changed = (
            name
            for name, flat, x0 in zip(self.names, self.flats, self.x0, strict=True)
            if not np.array_equal(flat, x0)
        )
        name = next(iter(replaced), None) if replaced else next(changed, None)
        return name if name is None else name or "the array"


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each array of a structure with its name, in order."""
    if isinstance(tree, Mapping):
        for key, branch in tree.items():
            yield from leaves(branch, f"{name}.{key}" if name else str(key) or "''")
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        yield from leaves(dict(zip(tree._fields, tree, strict=True)), name)
    elif isinstance(tree, (list, tuple)):
        for number, branch in enumerate(tree):
            yield from leaves(branch, f"{name}[{number}]")
    else:
        yield name, tree


def rebuild(tree: Any, arrays: Iterator[Any]) -> Any:
    """Return the structure of `tree` with its leaves replaced by `arrays`, in order."""
    if isinstance(tree, Mapping):
        branches = {key: rebuild(branch, arrays) for key, branch in tree.items()}
        if type(tree) is dict or not isinstance(tree, dict):
            return branches
        same = copy.copy(tree)  # an OrderedDict or defaultdict stays one
        same.update(branches)
        return same
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(rebuild(branch, arrays) for branch in tree))
    if isinstance(tree, tuple):
        return tuple(rebuild(branch, arrays) for branch in tree)
    if isinstance(tree, list):
        return [rebuild(branch, arrays) for branch in tree]
    return next(arrays)


def converted(tree: Any, dtype: Any) -> Any:
    """Return a structure with its floating-point arrays in `dtype`; the rest is left as it is."""
    if dtype is None:
        return tree
    found = (leaf for _, leaf in leaves(tree))
    return rebuild(tree, (x.astype(dtype) if is_floating(x) else x for x in found))


def is_floating(leaf: Any) -> bool:
    """Whether something is an array, or a number of NumPy's, of floating-point type."""
    return isinstance(leaf, (np.ndarray, np.floating)) and np.issubdtype(leaf.dtype, np.floating)


def floating_type(dtype: Any) -> np.dtype[Any] | None:
    """Return what `dtype` stands for, which must be a floating-point type."""
    try:
        kind = None if dtype is None else np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind is None or np.issubdtype(kind, np.floating):
        return kind
    raise TypeError(f"`dtype` is {dtype!r}: pass a floating-point type, such as `float`.")


def _is_pair(values: Any) -> bool:
    """Whether this is one number and something with an array in it, as a loss and its gradient."""
    if not (isinstance(values, (tuple, list)) and len(values) == 2):
        return False
    number = not isinstance(values[0], (Mapping, tuple, list)) and np.ndim(values[0]) == 0
    return number and any(np.ndim(leaf) for _, leaf in leaves(values[1]))


def _real_array(leaf: Any, argument: str, name: str) -> Array:
    """Copy one leaf into a contiguous array of floating-point numbers, or say what it is."""
    place = f"`{argument}`" + (f" at {name}" if name else "")
    if isinstance(leaf, np.ma.MaskedArray):
        raise TypeError(f"{place} is a masked array: fill it, or pass its mask in `args`.")
    try:
        array = np.array(np.asarray(leaf), order="C", copy=True)
    except ValueError as error:
        raise ValueError(f"{place} is no array: its rows differ in length.") from error
    if np.issubdtype(array.dtype, np.floating):
        return array
    if np.issubdtype(array.dtype, np.integer) or array.dtype == bool:
        if argument != "x0":
            return array.astype(float)
        advice = (
            "an integer cannot be nudged: convert it with `.astype(float)`, or pass it in `args`."
        )
    elif np.issubdtype(array.dtype, np.complexfloating):
        advice = "split it into its real and imaginary parts."
    elif array.ndim == 0 and array.dtype == object and leaf is not None:
        advice = (
            'pass the arrays in it, such as `{"W": layer.W, "b": layer.b}`; `fun` can put those '
            "that it gets back in their place."
        )
    else:
        advice = "pass an array of floats, or a dict, list or tuple of such."
    raise TypeError(f"{place} has dtype {array.dtype} ({type(leaf).__name__}): {advice}")
