"""Which arrays make a layer, and in which order the layers stand: read from names and nesting."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.explaining.evidence import ArrayCheck

NAME = re.compile(
    r"(?P<of>|.*[._\]/ ])(?P<role>(?i:weights?|kernel|bias(?:es)?|intercept|theta)|[WwUVbB])"
    r"_?(?P<to>(?!n\d*$)[a-z]{0,2}\d*)"
)


class Role(NamedTuple):
    """What an array is by its name: the weights or the bias of which layer."""

    layer: tuple[str, str]
    bias: bool


def vector(check: ArrayCheck) -> bool:
    """Whether an array has the shape of a bias: one number, a row or a column of them."""
    return np.squeeze(check.x).ndim < 2


def roles(checks: Sequence[ArrayCheck]) -> dict[str, Role]:
    """Return what each array is, as far as its name or its place in a pair tells.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck.explaining.evidence import ArrayCheck
    >>> one = np.ones((2, 2))
    >>> named = [ArrayCheck(n, one, one, one, one, one > 2) for n in ("fc1.weight", "gamma")]
    >>> roles(named)
    {'fc1.weight': Role(layer=('fc1.', ''), bias=False)}
    """
    found = {}
    parents = [c.name.rpartition("[")[0] if c.name.endswith("]") else None for c in checks]
    sizes = Counter(parents)
    pairs = parents[0] == "" and sizes[""] == len(checks) and len(checks) % 2 == 0
    pairs = pairs and all(vector(c) == bool(k % 2) for k, c in enumerate(checks))
    for k, (c, parent) in enumerate(zip(checks, parents, strict=True)):
        if parent is not None and (pairs or sizes[parent] == 2):
            first = k - k % 2 if pairs else parents.index(parent)
            w, b = checks[first], checks[first + 1]
            if not vector(w) and vector(b) and b.x.size in (w.x.shape[0], w.x.shape[-1]):
                found[c.name] = Role((parent, str(first) if pairs else ""), k > first)
        elif match := NAME.fullmatch(c.name):
            bias = match["role"][0] in "bBiI"
            if not bias or vector(c):
                found[c.name] = Role((match["of"], match["to"]), bias)
    return found


def bias_of(weights: str, known: dict[str, Role]) -> str | None:
    """Return the name of the bias that belongs to some weights, if there is one."""
    role = known.get(weights)
    if role is None or role.bias:
        return None
    of, to = role.layer
    for name, other in known.items():
        if other.bias and other.layer[0] == of:
            end = other.layer[1]
            if end == to or (not re.search(r"\d", to + end) and to.endswith(end)):
                return name
    return None


def levels(checks: Sequence[ArrayCheck]) -> tuple[list[tuple[int, int]], bool] | None:
    """Return how deep each array lies, from the input on, and whether numbers say so.

    Without numbers the layers are taken as they are listed. What is neither weights nor bias, such
    as a scale, has the depth that its number gives, or that of what is listed before it, and lies
    before or behind the weights as it is listed. None where names tell no layers.
    """
    known = roles(checks)
    # weights lie where their bias does
    biases = {name: bias_of(name, known) for name, role in known.items() if not role.bias}
    layers = {name: known[biases.get(name) or name].layer for name in known}
    order = {layer: depth for depth, layer in enumerate(dict.fromkeys(layers.values()))}
    digits = {layer: re.findall(r"\d+", "".join(layer)) for layer in order}
    numbers = {layer: int(found[0]) for layer, found in digits.items() if len(found) == 1}
    numbered = len(set(numbers.values())) == len(order)
    if len(order) < 2 or not (numbered or (all(biases.values()) and len(known) == len(checks))):
        return None
    depths = numbers if numbered else order
    depth, before, met = [], -1, set()
    for c in checks:
        own = re.findall(r"\d+", c.name)
        if c.name in layers:
            before = depths[layers[c.name]]
            met.add(before)
            depth.append((before, 0))
        elif numbered and len(own) == 1 and int(own[0]) in depths.values():
            depth.append((int(own[0]), 1 if int(own[0]) in met else -1))
        else:
            depth.append((before, 1))
    return depth, numbered
