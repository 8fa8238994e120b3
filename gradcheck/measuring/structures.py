"""Structures of arrays: dicts, lists and tuples, nested as deep as you like."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def leaves(tree: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each array of a structure with its name, in order."""
    if hasattr(tree, "_asdict"):  # a named tuple
        tree = tree._asdict()
    if isinstance(tree, Mapping):
        for key, branch in tree.items():
            yield from leaves(branch, f"{name}.{key}" if name else str(key) or "''")
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
    if isinstance(tree, (list, tuple)):
        kind = list if isinstance(tree, list) else getattr(tree, "_make", tuple)
        return kind([rebuild(branch, arrays) for branch in tree])
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
