"""Hypotheses: which classical bug explains all that is wrong in one array.

Each predicts the gradient that its bug would give, and is named only where that accounts for
nearly all that is wrong, entry by entry: abs(a - predicted) <= 1e-3 abs(a - n) + error bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradcheck.checking.report import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

TOLERANCE = 1e-3  # the part of abs(a - n) that a hypothesis may leave unexplained
PROOF = 0.03  # an entry whose tolerance is a larger part of abs(a - n) proves nothing


class ArrayCheck(NamedTuple):
    """One array of the parameters as the check saw it; all fields have the same shape.

    Where nothing was measured, `numerical` is NaN and `wrong` is False. `error` is the error bar
    of `numerical`. The name of a bare array is "". `settled` is False where a search stopped early,
    and the entries that it did not measure may be wrong, too.
    """

    name: str
    x: NDArray[Any]
    analytic: NDArray[Any]
    numerical: NDArray[Any]
    error: NDArray[Any]
    wrong: NDArray[np.bool_]
    settled: bool = True


def names(checks: Sequence[ArrayCheck]) -> str:
    """Return "W1, b1"."""
    return ", ".join(check.name or "the gradient" for check in checks)


def seen(check: ArrayCheck) -> tuple[NDArray[Any], ...]:
    """Return x, a, n and the error bar of the wrong entries."""
    x, a, n, error = (field[check.wrong] for field in check[1:5])
    return x, a, n, error


def place(check: ArrayCheck) -> tuple[str, str]:
    """Return where the wrong entries lie: ("one row", "W1[3, :]"), or ("", "W1")."""
    index = [str(i[0]) if (i == i[0]).all() else ":" for i in np.nonzero(check.wrong)]
    inside = np.zeros(check.wrong.shape, np.bool_)
    inside[tuple(slice(None) if i == ":" else int(i) for i in index)] = True
    elsewhere = check.analytic[~inside].any()  # 0 = 0 does not prove the others right
    enough = min(3, int(np.sum(inside & _alive(check)))) if check.settled else 3
    few = int(np.sum(check.wrong)) < enough  # they may be in line by chance
    if few or not elsewhere:
        return "", names([check])
    kind = "one entry" if ":" not in index else "one slice"
    if kind == "one slice" and check.x.ndim == 2:
        kind = "one row" if index[1] == ":" else "one column"
    return kind, f"{check.name}[{', '.join(index)}]"


def _alive(check: ArrayCheck) -> NDArray[np.bool_]:
    """Return which entries were measured and are not 0 on both sides."""
    zero = (check.analytic == 0) & (check.numerical == 0)
    alive: NDArray[np.bool_] = np.isfinite(check.numerical) & ~zero
    return alive


def share(check: ArrayCheck) -> str:
    """Return "in 6 of 8 entries"."""
    sampled = "" if np.isfinite(check.numerical).all() else " measured"
    return f"in {np.sum(check.wrong)} of {np.sum(_alive(check))} entries{sampled}"


def explained(check: ArrayCheck, predicted: NDArray[Any], ratio: float = 1.0) -> int:
    """Return how many wrong entries prove `predicted`; 0 if one contradicts it.

    A prediction made of `ratio` n carries `ratio` times the error of n. Where that is small, a is
    compared in units of n: else a = 0 would prove any ratio near 0.
    """
    _, a, n, error = seen(check)
    gap = np.abs(a - n)
    room = TOLERANCE * gap + 1e-5 * gap.max() + 3 * max(1.0, abs(ratio)) * error
    fits = (np.abs(a - predicted) <= room * min(1.0, abs(ratio))).all()
    return int(np.sum(room <= PROOF * gap)) if fits else 0


def slope(u: NDArray[Any], v: NDArray[Any]) -> Any:
    """Return the constant c that brings c u nearest to v; NaN where u is 0."""
    unit = u / np.abs(u).max()
    return unit @ v / (unit @ u)


def _never_written(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if seen(check)[1].any():
        return None
    evidence = f"a is exactly 0 {share(check)}, n is not"
    return Finding(place(check)[1], "never written", evidence, NEVER_WRITTEN)


def _loss_ignores_it(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    numerical = check.numerical[np.isfinite(check.numerical)]
    if numerical.any() or place(check)[0]:
        return None
    evidence = f"n is exactly 0 in {numerical.size} of {numerical.size} entries, a is not"
    look_at = "`fun`: does it use this array, or a global or a copy of it? Are its units all dead?"
    return Finding(names([check]), "loss ignores it", evidence, look_at)


def _constant_ratio(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    _, a, n, _ = seen(check)
    ratio = slope(n, a)
    told = explained(check, ratio * n, ratio)
    if not told or not ratio or place(check)[0]:
        return None  # that it is one row tells more than its ratio
    named = name_ratio(ratio, sizes, TOLERANCE if told > 2 else 0.1 * TOLERANCE)
    if named is None and told < 3:
        return None  # two entries may share a ratio by chance
    bug, value, note, look_at = named or ("factor", fraction(ratio), "", CONSTANT)
    return Finding(names([check]), bug, f"a / n = {value} {share(check)}{note}", look_at)


def _l2_term(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    x, a, n, _ = seen(check)
    missing = slope(x, n - a)
    if explained(check, n - missing * x) < 3:
        return None
    if missing > 0:
        look_at = (
            f"the L2 term of the gradient: forgotten if it should be {missing:.4g} times the "
            f"parameter, of the wrong sign if {missing / 2:.4g}, half of it if {2 * missing:.4g}"
        )
    else:
        look_at = (
            f"the L2 term of the gradient: doubled if it should be {-missing:.4g} times the "
            "parameter; too much if the loss leaves this array out (as a rule, the biases)"
        )
    evidence = f"n - a = {missing:.4g} times the parameter {share(check)}"
    return Finding(place(check)[1], "L2 term", evidence, look_at)


def _ratio_beside_l2(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    """Explain a = ratio g + l2 x where n = g + l2 x: the L2 term is right and the rest is not."""
    if _constant_ratio(check, sizes) or _l2_term(check, sizes):
        return None
    x, a, n, _ = seen(check)
    apart = x - slope(n, x) * n
    rest = slope(apart, a)
    ratio = slope(n, a - rest * x)
    l2 = rest / (1 - ratio)
    only_l2 = explained(check, rest * x) > 2 and not explained(check, 0 * a)
    named = name_ratio(ratio, sizes, TOLERANCE)
    if l2 > 0 and only_l2 and not named:
        evidence = f"a is {l2:.4g} times the parameter {share(check)}: an L2 term and nothing else"
        return Finding(place(check)[1], "never written", evidence, NEVER_WRITTEN)
    told = explained(check, ratio * n + rest * x, ratio)
    if told < 5 or not l2 > 0 or named is None or place(check)[0]:
        return None
    bug, value, note, look_at = named
    evidence = f"a / n = {value} {share(check)}, once a right L2 term is taken off both: {l2:.4g} "
    return Finding(names([check]), bug, f"{evidence}times the parameter{note}", look_at)


def _transposed(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if check.x.ndim != 2 or min(check.x.shape) < 2:
        return None
    rows, columns = check.x.shape
    told = _reordered(check, np.arange(check.x.size).reshape(rows, columns).T)
    if not told:
        return None
    form = "a[i, j] = n[j, i]" if rows == columns else "a = n.T.reshape(n.shape)"
    look_at = "the product: A.T @ delta turned into delta.T @ A, or a `reshape` that stands for .T"
    return Finding(names([check]), "transposed", f"{form}, shown by {told} entries", look_at)


def _permuted(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if np.count_nonzero(check.wrong) < 2:
        return None
    index = np.arange(check.x.size).reshape(check.x.shape)
    for axis in {0, check.x.ndim - 1}:
        what = "entries" if check.x.ndim == 1 else "columns" if axis else "rows"
        for order in _orders(check, axis):
            if told := _reordered(check, np.take(index, order, axis)):
                moved = np.flatnonzero(order != np.arange(order.size))
                moves = [f"{order[i]} stands at {i}" for i in moved[:3]]
                evidence = f"the {what} of n in another order: {', '.join(moves)}"
                evidence += f"{', ...' if moved.size > 3 else ''}; shown by {told} entries"
                look_at = "an index off by one, a slice [::-1], arrays joined in another order"
                return Finding(names([check]), "permuted", evidence, look_at)
    return None


VALUES = (_never_written, _loss_ignores_it, _constant_ratio, _l2_term, _ratio_beside_l2)
ORDERS = (_transposed, _permuted)

NEVER_WRITTEN = "the line that fills it in: missing, overwritten, or a loop that ends too early"
SIGN = "a difference turned round, y - y_hat for y_hat - y, or a minus lost"
HALF = "the half in the loss: 1/2 r^2 has the derivative r, but r^2 has 2 r"
MEAN = "the loss and the gradient disagree on mean or sum: divide by N in both or in neither"
CONSTANT = "a constant that stands in one of the two only: a learning rate, a number of outputs"


def name_ratio(
    ratio: float, sizes: Sequence[int], tolerance: float
) -> tuple[str, str, str, str] | None:
    """Return bug, value, note and look_at for a ratio that has a meaning of its own."""
    also = "; 2 is the length of an array in `args`, so mean against sum would fit, too"
    also = also if 2 in sizes else ""
    known = [(-1.0, "sign", "", SIGN), (2.0, "factor", also, HALF), (0.5, "factor", also, HALF)]
    for size in sizes:
        note = f"; {size} is the length of an array in `args`"
        values = (size, 1 / size, size / (size - 1), (size - 1) / size)
        known += [(value, "batch size", note, MEAN) for value in values]
        # 2 N and N / 2: the half in front of the squares is missing or doubled as well.
        note = f"; half or twice what mean against sum gives, where {note[2:]}"
        both = (size / 2, 2 / size, 2 * size, 0.5 / size)
        known += [(value, "batch size", note, f"{MEAN}; and {HALF}") for value in both if size > 4]
    for value, bug, note, look_at in known:
        room = tolerance * min(abs(value), abs(value - 1))
        if abs(ratio - value) <= room:
            return bug, fraction(value), note, look_at
        if value > 0 and abs(ratio + value) <= room:
            return bug, fraction(-value), note, f"{look_at}; and {SIGN}"
    return None


def fraction(value: float) -> str:
    """Return 0.25 as "0.25 (1/4)"."""
    inverse = 1 / value
    simple = 1.5 < abs(inverse) < 1e6 and abs(inverse - round(inverse)) <= TOLERANCE
    digits = 4 if abs(value - 1) > TOLERANCE else 8
    return f"{value:.{digits}g}" + (f" (1/{round(inverse)})" if simple else "")


def _reordered(check: ArrayCheck, source: NDArray[np.intp]) -> int:
    """Return how many wrong entries prove a = n[source]; 0 if an entry contradicts it.

    An L2 term may have been added after the mix-up: a - n[source] = l2 (x - x[source]).
    """
    x, a, n, error = (field.ravel() for field in check[1:5])
    known = np.flatnonzero(np.isfinite(n[source.ravel()]))
    origin = source.ravel()[known]
    gap = np.abs(a[origin] - n[origin])
    room = TOLERANCE * np.sqrt(np.mean(gap**2)) + 3 * error[origin]
    left, shift = a[known] - n[origin], x[known] - x[origin]
    told = int(np.sum(check.wrong.ravel()[origin] & (room <= PROOF * gap)))
    if told >= 2 and (np.abs(left) <= room).all():
        return told
    l2 = slope(shift, left)
    fits = told >= 5 and l2 > 0 and (np.abs(left - l2 * shift) <= room).all()
    return told if fits else 0


def _orders(check: ArrayCheck, axis: int) -> Iterator[NDArray[np.intp]]:
    """Yield the orders of the rows (axis 0) or columns that are worth a look."""
    size = check.x.shape[axis]
    wrong, a, n = (
        np.moveaxis(field, axis, 0).reshape(size, -1)
        for field in (check.wrong, check.analytic, check.numerical)
    )
    same = np.arange(size)
    yield from (np.roll(same, 1), np.roll(same, -1), same[::-1])
    rows = np.flatnonzero(wrong.any(axis=1))
    if rows.size == 2:
        yield np.where(same == rows[0], rows[1], np.where(same == rows[1], rows[0], same))
    elif rows.size <= 1000 and np.isfinite(n).all():  # each row of a from the row of n nearest it
        telling = np.argsort(np.ptp(n, axis=0))[-8:]
        a, n = a[np.ix_(rows, telling)], n[np.ix_(rows, telling)]
        nearest = [rows[np.abs(n - row).max(axis=1).argmin()] for row in a]
        if len(set(nearest)) == len(nearest):
            same[rows] = nearest
            yield same
