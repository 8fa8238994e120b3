"""Parameters of any structure, seen as named flat arrays that can be nudged in place."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
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

    Attributes
    ----------
    tree : the copy, with the structure of `x0`; this is what `fun` is called with.
    names : how a reader finds each array, such as ``W2``, ``[0].b`` or ``""`` for a bare array.
    arrays : those of `tree`, in the order of `names`.
    flats : one-dimensional views into them.
    x0 : one-dimensional copies, what `flats` held at the start.
    """

    def __init__(self, x0: Any) -> None:
        plain = isinstance(x0, list) or type(x0) is tuple
        if plain and all(isinstance(v, (int, float, np.number)) for v in x0):
            x0 = np.array(x0)  # a row of numbers is meant as one array, as in SciPy
        self.names: list[str] = []
        arrays: list[Array] = []
        for name, leaf in leaves(x0):
            if name in self.names:
                raise ValueError(f"Two arrays of `x0` are called {name}: rename one of their keys.")
            self.names.append(name)
            arrays.append(_real_array(leaf, "x0", name))
            if not np.all(np.isfinite(arrays[-1])):
                place = "`x0`" + (f" at {name}" if name else "")
                raise ValueError(f"{place} holds NaN or infinity: start from finite parameters.")
        if not sum(array.size for array in arrays):
            raise ValueError("`x0` is empty: there is no parameter to check.")
        self.arrays = arrays
        self.tree = _rebuild(x0, iter(arrays))
        self.shapes = [array.shape for array in arrays]
        self.flats = [array.reshape(-1) for array in arrays]
        self.x0 = [flat.copy() for flat in self.flats]
        self.size = sum(flat.size for flat in self.flats)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the structure alone: `flats` of an unpickled copy must be views into its tree."""
        return Parameters, (self.tree,)

    def match(self, values: Any, argument: str) -> list[Array]:
        """Return flat copies of `values`, which must have the structure and shapes of `x0`."""
        # For a bare array, a plain list of numbers will do.
        bare = self.names == [""] and not isinstance(values, Mapping)
        found = {"": values} if bare else dict(leaves(values))
        missing = [name for name in self.names if name not in found]
        extra = [name for name in found if name not in self.names]
        if missing or extra:
            raise ValueError(
                f"`{argument}` has another structure than `x0`: "
                + "; ".join(
                    f"{what} {', '.join(name or 'a bare array' for name in names)}"
                    for what, names in (("missing", missing), ("not in `x0`:", extra))
                    if names
                )
                + ". Give it the same keys and nesting."
            )
        flats = []
        for name, shape in zip(self.names, self.shapes, strict=True):
            array = _real_array(found[name], argument, name)
            if array.shape != shape:
                place = f"`{argument}`" + (f" at {name}" if name else "")
                raise ValueError(
                    f"{place} has shape {array.shape}, but `x0` has shape {shape} there: "
                    "give both the same shape, one number for each parameter."
                )
            flats.append(array.reshape(-1))
        return flats

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
        return _rebuild(self.tree, iter(list(shaped)))

    def changed(self) -> str | None:
        """Return the name of the first array that is no longer what `x0` was, if any."""
        now = dict(leaves(self.tree))
        for name, array, flat, x0 in zip(self.names, self.arrays, self.flats, self.x0, strict=True):
            if now.get(name) is not array or not np.array_equal(flat, x0, equal_nan=True):
                return name or "the array"
        return None


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


def _rebuild(tree: Any, arrays: Iterator[Array]) -> Any:
    """Return the structure of `tree` with its leaves replaced by `arrays`, in order."""
    if isinstance(tree, Mapping):
        branches = {key: _rebuild(branch, arrays) for key, branch in tree.items()}
        if type(tree) is dict or not isinstance(tree, dict):
            return branches
        same = copy.copy(tree)  # an OrderedDict or defaultdict stays one
        same.update(branches)
        return same
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(_rebuild(branch, arrays) for branch in tree))
    if isinstance(tree, tuple):
        return tuple(_rebuild(branch, arrays) for branch in tree)
    if isinstance(tree, list):
        return [_rebuild(branch, arrays) for branch in tree]
    return next(arrays)


def _real_array(leaf: Any, argument: str, name: str) -> Array:
    """Copy one leaf into a contiguous array of floating-point numbers, or say what it is."""
    place = f"`{argument}`" + (f" at {name}" if name else "")
    try:
        array = np.array(leaf, order="C", copy=True, subok=False)
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
    else:
        advice = "pass an array of floats, or a dict, list or tuple of such."
    raise TypeError(f"{place} has dtype {array.dtype} ({type(leaf).__name__}): {advice}")
