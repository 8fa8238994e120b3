"""Where the wrong entries of an array lie: a row, a block, a run, a part of the range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradcheck.explaining.evidence import ArrayCheck
from gradcheck.explaining.words import BLOCK, LOCAL, RANGE, ROWS, RUN, SYMMETRIC

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FULL = 0.9  # the part of a block that is wrong, at least
OTHERS = 2  # rows or columns that are right, at least, beside the one that is wrong in a sample
RUNS = 4  # runs of a flat vector that are told apart
LINE = ("one entry", "one row", "one column", "one slice")
BOXES = (*LINE, "block")


class Place(NamedTuple):
    """A part of an array that holds all that is wrong in it: a name, and the part as an array."""

    kind: str
    part: ArrayCheck
    look_at: str


def places(check: ArrayCheck) -> list[Place]:
    """Return the part in which all that is wrong lies, or the runs; nothing if that is all of it.

    Examples
    --------
    >>> n, wrong = np.ones((3, 2)), np.array([[0, 0], [1, 1], [0, 0]]) > 0
    >>> check = ArrayCheck("W", n, n + wrong, n, 0 * n, wrong)
    >>> [(place.kind, place.part.name) for place in places(check)]
    [('one row', 'W[1, :]')]
    """
    if not check.settled or not check.wrong.any():
        return []
    for kind, index, name, look_at in (*_boxes(check), *_patterns(check)):
        inside = np.zeros(check.wrong.shape, np.bool_)
        inside[index] = True
        if _apart(check, inside, 0.5 if kind in LINE else FULL):
            return [Place(kind, check.part(index, f"{check.name}{name}".strip()), look_at)]
    return _runs(check) if check.x.ndim == 1 and check.known.all() else []


def _apart(check: ArrayCheck, inside: NDArray[np.bool_], full: float) -> bool:
    """Whether `inside` holds all that is wrong and little else, and the rest was seen to be right.

    0 = 0 does not prove the others right, nor do bars in which such an error could hide.
    """
    wrong, alive = int(np.sum(check.wrong)), int(np.sum(inside & check.alive))
    if (check.wrong & ~inside).any() or wrong < min(3, alive) or wrong < full * alive:
        return False
    others = ~inside & check.others
    if not check.known.all() and (1 - wrong / max(alive, wrong + 1)) ** np.sum(others) > 0.01:
        return False  # in a sample so few are right by chance
    return bool(2 * np.sum(others & check.shown) >= np.sum(others) > 0)


def _boxes(check: ArrayCheck) -> Iterator[tuple[str, Any, str, str]]:
    """Yield the least box around what is wrong: single rows first, then blocks of them."""
    touched = [np.unique(i) for i in np.nonzero(check.wrong)]
    # a sample shows one line among several others, and not where a block ends
    met = [np.unique(i).size for i in np.nonzero(check.wrong | check.shown)]
    least = [min(size, 2 if check.known.all() else OTHERS + 1) for size in check.x.shape]
    single = [i.size == 1 and m >= k for i, m, k in zip(touched, met, least, strict=True)]
    everything = [slice(None)] * len(touched)
    if any(single) and check.x.ndim:
        only = [int(i[0]) if one else slice(None) for i, one in zip(touched, single, strict=True)]
        index = [slice(i, i + 1) if isinstance(i, int) else i for i in only]
        kind = "one entry" if all(single) else "one slice"
        if kind == "one slice" and check.x.ndim == 2:
            kind = "one row" if single[0] else "one column"
        yield kind, tuple(index), _name(only), LOCAL
    if not check.known.all():
        return
    forms = [_stretch(check, axis, i) for axis, i in enumerate(touched)]
    for axis, form in enumerate(forms):
        index = [*everything[:axis], form, *everything[axis + 1 :]]
        if form is None or single[axis] or (check.x.ndim == 1 and form.step is None):
            continue
        if check.x.ndim == 1 or check.wrong[tuple(index)].size >= 2 * touched[axis].size:
            yield "block", tuple(index), _name(index), ROWS if axis == 0 else BLOCK
    if check.x.ndim > 1 and all(isinstance(form, slice) for form in forms):
        yield "block", tuple(forms), _name(forms), BLOCK


def _stretch(check: ArrayCheck, axis: int, touched: NDArray[np.intp]) -> Any:
    """Return a slice, or a short list of indices; None where that is no shorter than all."""
    others = tuple(k for k in range(check.x.ndim) if k != axis)
    live = np.flatnonzero(check.alive.any(axis=others))
    first, last = int(touched[0]), int(touched[-1])
    within = live[(live >= first) & (live <= last)]
    if within.size == touched.size:  # but for dead ones, without a gap
        return slice(first, last + 1)
    step = np.unique(np.diff(touched))
    if step.size == 1 and touched.size > 2:
        return slice(first, last + 1, int(step[0]))
    return touched.tolist() if touched.size <= 12 and check.x.ndim > 1 else None


def _name(index: Any) -> str:
    """Return "[2, :, 4:8]"."""
    parts = []
    for i in index:
        if isinstance(i, slice):
            start, stop = ("" if v is None else str(v) for v in (i.start, i.stop))
            parts.append(f"{start}:{stop}" + ("" if i.step is None else f":{i.step}"))
        else:
            parts.append(str(i))
    return f"[{', '.join(parts)}]"


def _patterns(check: ArrayCheck) -> Iterator[tuple[str, Any, str, str]]:
    """Yield parts that are no boxes: off the diagonal, or where the parameter is negative."""
    shape = check.x.shape
    if check.x.ndim >= 2 and shape[-1] == shape[-2] > 2:
        i, j = np.indices(shape)[-2:]
        yield "part of the entries", i != j, " off the diagonal", SYMMETRIC
    right, off = check.others, check.off
    ways = math.comb(int(np.sum(check.wrong) + np.sum(right)), int(np.sum(check.wrong)))
    fades = off.min(initial=1) < 1e-2 * np.median(off)  # a threshold is one of `rtol`, not of x
    by_chance = 4 / ways > 0.01  # of two sizes, and two sides of each
    if np.sum(check.wrong) < 3 or np.sum(right) < 3 or fades or by_chance:
        return
    for what, value in (("x", check.x), ("abs(x)", np.abs(check.x))):
        low, high = value[check.wrong], value[right]
        for sign, beyond in ((1, "<"), (-1, ">")):
            start, stop = (sign * low).max(), (sign * high).min()
            if start < stop:
                edge = 0.0 if start <= 0 <= stop else sign * (start + stop) / 2
                inside = sign * value <= start
                zero = what == "abs(x)" and edge == 0
                name = " where x = 0" if zero else f" where {what} {beyond} {edge:.3g}"
                yield "part of the range", inside, name, RANGE


def _runs(check: ArrayCheck) -> list[Place]:
    """Return the runs of a flat vector that are wrong, cut where the ratio a / n changes.

    Dead entries, 0 on both sides, interrupt no run.
    """
    alive = np.flatnonzero(check.alive)
    wrong = check.wrong[alive]
    if np.sum(wrong) < 3:
        return []
    with np.errstate(all="ignore"):
        ratio = check.analytic[alive] / check.numerical[alive]
        bar = 1e-3 * np.abs(ratio - 1) + 3 * check.error[alive] / np.abs(check.numerical[alive])
    cuts = np.flatnonzero(np.diff(wrong)) + 1
    spans = [span for span in np.split(np.arange(alive.size), cuts) if wrong[span[0]]]
    inside = np.zeros(check.wrong.size, np.bool_)
    for span in spans:
        inside[alive[span[0]] : alive[span[-1]] + 1] = True
    # one right entry between two runs may be right by chance
    sure = check.error + np.abs(check.analytic - check.numerical)
    sharp = sure[alive] <= 1e-4 * np.median(check.off) * np.abs(check.analytic[alive])
    gaps = [gap for gap in np.split(np.arange(alive.size), cuts) if not wrong[gap[0]]]
    if any(gap.size < 3 and not sharp[gap].all() for gap in gaps):
        return []
    others = check.alive & ~inside
    if len(spans) > RUNS or 2 * np.sum(others & check.shown) < np.sum(others):
        return []
    pieces = []
    for span in spans:
        near = np.abs(np.diff(ratio[span])) <= np.maximum(bar[span][1:], bar[span][:-1])
        parts = np.split(span, np.flatnonzero(~near) + 1)
        steady = len(parts) <= RUNS and min(len(part) for part in parts) > 2
        pieces += parts if steady else [span]
    if not (wrong.size > np.sum(wrong) or len(pieces) > 1):
        return []
    found = []
    for span in pieces:
        start, stop = int(alive[span[0]]), int(alive[span[-1]]) + 1
        name = f"[{start}:{stop}]" if stop > start + 1 else f"[{start}]"
        look_at = BLOCK if check.name else RUN
        found.append(Place("block", check.part(slice(start, stop), check.name + name), look_at))
    return found
