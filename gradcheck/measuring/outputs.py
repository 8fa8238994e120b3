"""From which outputs of a layer wrong slopes come."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from gradcheck.measuring.layer import LINEAR, Layer, floats_of
from gradcheck.measuring.parameters import Array
from gradcheck.measuring.slopes import typical_sizes

PARTS = 8  # into which an axis of the output is cut, to see where in it something is wrong
NONE = 1e-3  # of the largest: what the slopes from one part are off by is nothing
THROUGHOUT = "The wrong slopes come from outputs throughout."


def from_where(layer: Layer, wrong: Mapping[int, Array]) -> str:
    """Say from which outputs wrong slopes come, or "" where that cannot be told.

    The wrong entries of each array are moved together. How each output changes is held against
    what the back-pass makes of the upstream gradient of some outputs alone: it is linear.
    """
    if layer.growth:
        return ""
    x0, names, shapes = layer.parameters.x0, layer.parameters.names, layer.parameters.shapes
    upstream = layer.loss.upstream
    h = math.sqrt(max(float(np.finfo(a.dtype).eps) for a in [*x0, *upstream]))
    points = [x.copy() for x in x0]
    for k, index in wrong.items():
        points[k][index] += (h * typical_sizes(x0[k], share=1.0)[index]).astype(x0[k].dtype)
    moved = {n: p.reshape(s) for n, p, s in zip(names, points, shapes, strict=True)}
    after, before = layer.forward(moved), layer.forward()
    change = [np.subtract(a, b, dtype=float) / h for a, b in zip(after, before, strict=True)]
    along = [np.subtract(p, x, dtype=float) / h for p, x in zip(points, x0, strict=True)]

    def gap(output: int, *where: slice) -> tuple[float, float]:
        """Return by how much the slopes from some outputs are off, and how far these move.

        Both are 0 where they are no more than the error of one difference.
        """
        part = [np.zeros_like(u) for u in upstream]
        part[output][where] = upstream[output][where]
        slopes = layer.back(part, anew=False)
        told = sum(float(a @ s) for a, s in zip(along, slopes, strict=True))
        moves = part[output] * change[output]
        rounded = np.where(moves, part[output] * before[output], 0)
        error = 2 * h * (float(np.linalg.norm(moves)) + float(np.linalg.norm(rounded)))
        off, size = told - float(np.sum(moves)), float(np.linalg.norm(moves))
        return (off if abs(off) > error else 0.0), (size if size > error else 0.0)

    gaps = [gap(j) for j in range(len(upstream))]
    largest = max(abs(g) for g, _ in gaps)
    wrong_outputs = [j for j, (g, _) in enumerate(gaps) if abs(g) > NONE * largest]
    if len(wrong_outputs) != 1:
        return THROUGHOUT if wrong_outputs else ""
    (j,) = wrong_outputs
    shape = upstream[j].shape
    runs = [_run(partial(_along, gap, j, axis), n) for axis, n in enumerate(shape)]
    if not np.isclose(gap(j)[0], gaps[j][0], rtol=LINEAR):
        return ""  # the back-pass changes its cache
    others = any(moves for i, (_, moves) in enumerate(gaps) if i != j)
    if all(run == slice(None) for run in runs) and not others:
        return THROUGHOUT
    return _sentence(list(floats_of(layer.output))[j], shape, runs)


def _along(gap: Any, output: int, axis: int, start: int, stop: int) -> tuple[float, float]:
    """Return the gap of a run of indices along an axis of an output."""
    found: tuple[float, float] = gap(output, *[slice(None)] * axis, slice(start, stop))
    return found


def _run(gap: Callable[[int, int], tuple[float, float]], length: int) -> slice:
    """Return the run along an axis outside of which all that moves is right; all if nothing is."""
    edges = np.linspace(0, length, min(length, PARTS) + 1).astype(int).tolist()
    parts = list(itertools.pairwise(edges))
    gaps = [gap(*part) for part in parts]
    enough = NONE * max((abs(g) for g, _ in gaps), default=0.0)
    wrong = [part for part, (g, _) in zip(parts, gaps, strict=True) if abs(g) > enough]
    if not wrong or all(abs(g) > enough or not moves for g, moves in gaps):
        return slice(None)
    (start, stop), (first, last) = wrong[0], wrong[-1]
    while stop - start > 1:
        middle = (start + stop) // 2
        start, stop = (start, middle) if abs(gap(start, middle)[0]) > enough else (middle, stop)
    while last - first > 1:
        middle = (first + last) // 2
        first, last = (middle, last) if abs(gap(middle, last)[0]) > enough else (first, middle)
    return slice(start, last) if last - start < length else slice(None)


def _sentence(name: str, shape: tuple[int, ...], runs: Sequence[slice]) -> str:
    """Say which part of an output wrong slopes come from, and what one would call it."""
    known = [(axis, run) for axis, run in enumerate(runs) if run != slice(None)]
    if not known:
        return f"The wrong slopes come from the output {name} alone."
    index = [":"] * len(shape)
    for axis, run in known:
        alone = run.stop - run.start == 1
        index[axis] = str(run.start) if alone else f"{run.start}:{run.stop}"
    text = f"The wrong slopes come from the outputs {name}[{', '.join(index)}] alone"
    ((axis, run), *more), axes = known, len(shape)
    if not more and run.stop - run.start == 1:
        words = {1: ["entry"], 2: ["row", "column"], 4: ["example", "channel", "row", "column"]}
        word = words.get(axes, [f"index along axis {axis}"] * axes)[axis]
        text += f": {'the last' if run.stop == shape[axis] > 1 else 'one'} {word}"
    return f"{text}."
