"""Hypotheses: which classical bug explains all that is wrong in one array.

Each predicts the gradient that its bug would give, and is named only where that accounts for
nearly all that is wrong, entry by entry: abs(a - predicted) <= 1e-3 abs(a - n) + error bars.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Hypothesis = Callable[["ArrayCheck", Sequence[int]], "Finding | None"]

TOLERANCE = 1e-3  # the part of abs(a - n) that a hypothesis may leave unexplained
STRICT = 1e-4  # and where it rests on one or two entries
PROOF = 30  # an entry proves nothing that may be off by more than so many tolerances


class Finding(NamedTuple):
    """A bug that explains wrong entries.

    Attributes
    ----------
    where : str
        The array, the part of it or the layers in which it shows.
    bug : str
        A short name, such as ``"sign"`` or ``"transposed"``.
    evidence : str
        The numbers that say so.
    look_at : str
        The line of the back-pass to look at.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import check_gradient
    >>> report = check_gradient(lambda w: w @ w, lambda w: -2 * w, np.array([1.0, 2.0]))
    >>> report.findings[0].bug
    'sign'
    """

    where: str
    bug: str
    evidence: str
    look_at: str


class ArrayCheck(NamedTuple):
    """One array of the parameters as the check saw it; all fields have the same shape.

    Where nothing was looked at, `numerical` is NaN and `wrong` is False; where a clean direction
    settled all at once, `numerical` is `analytic`. `error` is the error bar of `numerical`. The
    name of a bare array is "". `settled` is False where a search stopped early, or could not see:
    other entries may be wrong, too.
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
    few = int(np.sum(check.wrong)) < min(3, int(np.sum(inside & alive(check))))  # chance
    # 0 = 0 does not prove the others right, nor do bars in which such an error could hide
    _, a, n, _ = seen(check)
    off = np.median(np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))) if a.size else 0.0
    others = ~inside & alive(check)
    needed = np.abs(check.analytic)
    needed *= off / 3
    shown = others & (check.error <= needed)
    if few or not check.settled or not 2 * int(np.sum(shown)) >= int(np.sum(others)) > 0:
        return "", names([check])
    kind = "one entry" if ":" not in index else "one slice"
    if kind == "one slice" and check.x.ndim == 2:
        kind = "one row" if index[1] == ":" else "one column"
    return kind, f"{check.name}[{', '.join(index)}]"


def alive(check: ArrayCheck) -> NDArray[np.bool_]:
    """Return which entries are known and not 0 on both sides."""
    zero = (check.analytic == 0) & (check.numerical == 0)
    known: NDArray[np.bool_] = np.isfinite(check.numerical) & ~zero
    return known


def throughout(check: ArrayCheck) -> bool:
    """Whether at least half of what is known of the array is wrong."""
    return bool(2 * np.sum(check.wrong) >= np.sum(alive(check)))


def share(check: ArrayCheck) -> str:
    """Return "in 6 of 8 entries"."""
    sampled = "" if np.isfinite(check.numerical).all() else " looked at"
    return f"in {np.sum(check.wrong):,} of {np.sum(alive(check)):,} entries{sampled}"


def explained(
    check: ArrayCheck, predicted: NDArray[Any], ratio: Any = 1.0, tolerance: float = TOLERANCE
) -> int:
    """Return how many wrong entries prove `predicted`; 0 if one contradicts it.

    A prediction made of `ratio` n carries `ratio` times the error of n. Where that is small, a is
    compared in units of n: else a = 0 would prove any ratio near 0. Where n is 0, nothing can be
    predicted. Bars too wide to prove anything one by one do so together, if at least half of
    three or more entries come as near as a proof must.
    """
    _, a, n, error = seen(check)
    gap, left = np.abs(a - n), np.abs(a - predicted) / np.minimum(1.0, np.abs(ratio))
    room = tolerance * gap + 1e-5 * gap.max() + 3 * np.maximum(1.0, np.abs(ratio)) * error
    if not n.any() or not (left <= room).all():
        return 0
    proof = PROOF * tolerance * gap
    near = left <= proof
    together = near.size > 2 and 2 * near.sum() >= near.size
    return int(np.sum(near if together else near & (room <= proof)))


def constant(u: NDArray[Any], v: NDArray[Any]) -> Any:
    """Return the c with the least sum of abs(v - c u): an outlier does not move it."""
    ratios = v / u
    order = np.argsort(ratios)
    weight = np.cumsum(np.abs(u / np.abs(u).max())[order])
    return ratios[order[min(int(np.searchsorted(weight, weight[-1] / 2)), order.size - 1)]]


def slope(u: NDArray[Any], v: NDArray[Any]) -> Any:
    """Return the c with the least sum of squares of v - c u; NaN where u is 0."""
    unit = u / np.abs(u).max()
    return unit @ v / (unit @ u)


def _never_written(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if seen(check)[1].any():
        return None
    evidence = f"a is exactly 0 {share(check)}, n is not"
    return Finding(place(check)[1], "never written", evidence, NEVER_WRITTEN)


def _loss_ignores_it(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    _, a, n, error = seen(check)
    if n.any() or (error > 0.03 * np.abs(a)).any():  # on a kink, 0 stands between two slopes
        return None
    evidence = f"n is exactly 0 {share(check)}, a is not"
    others = check.numerical[alive(check) & ~check.wrong].any()
    return Finding(place(check)[1], "loss ignores it", evidence, MASK if others else IGNORED)


def _constant_ratio(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    _, a, n, _ = seen(check)
    ratio = constant(n, a)
    told = explained(check, ratio * n, ratio)
    if not told or not ratio or place(check)[0] or not throughout(check):
        return None  # that it is one row, or a few entries, tells more than its ratio
    bar = float(np.median(np.abs(a / n - ratio)))
    named = name_ratio(ratio, sizes, bar) if told > 2 else name_ratio(ratio, sizes, 0.0, STRICT)
    if named is None and (told < 3 or bar > TOLERANCE * min(abs(ratio), abs(ratio - 1))):
        return None  # two entries may share a ratio by chance, many nearly
    bug, value, note, look_at = named or ("factor", fraction(ratio), "", CONSTANT)
    return Finding(names([check]), bug, f"a / n = {value} {share(check)}{note}", look_at)


def _l2_term(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    x, a, n, _ = seen(check)
    missing = constant(x, n - a)
    if explained(check, n - missing * x) < 3:
        return None
    should = f"if it should be {abs(missing):.4g} times the parameter"
    if missing > 0:
        look_at = f"forgotten {should}, of the wrong sign if {missing / 2:.4g}, "
        look_at += f"half of it if {2 * missing:.4g}"
        for size in sizes[:1]:
            look_at += f", divided by {size} if {missing * size / (size - 1):.4g}"
    else:
        look_at = f"doubled {should}; too much if the loss leaves this array out, as a rule biases"
    evidence = f"n - a = {missing:.4g} times the parameter {share(check)}"
    return Finding(place(check)[1], "L2 term", evidence, f"the L2 term of the gradient: {look_at}")


def _ratio_beside_l2(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    """Explain a = ratio g + l2 x where n = g + l2 x: the L2 term is right and the rest is not."""
    x, a, n, _ = seen(check)
    apart = x - slope(n, x) * n
    rest = slope(apart, a)
    ratio = slope(n, a - rest * x)
    l2 = rest / (1 - ratio)
    only_l2 = explained(check, rest * x) > 2 and not explained(check, 0 * a)
    named = name_ratio(ratio, sizes)
    if l2 > 0 and only_l2 and not named:
        evidence = f"a is {l2:.4g} times the parameter {share(check)}: an L2 term and nothing else"
        return Finding(place(check)[1], "never written", evidence, NEVER_WRITTEN)
    told = explained(check, ratio * n + rest * x, ratio)
    if told < 5 or not l2 > 0 or named is None or place(check)[0]:
        return None
    bug, value, note, look_at = named
    evidence = f"a / n = {value} {share(check)}, once a right L2 term is taken off both: {l2:.4g} "
    return Finding(names([check]), bug, f"{evidence}times the parameter{note}", look_at)


def _constant_term(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    _, a, n, _ = seen(check)
    missing = constant(np.ones_like(n), n - a)
    if explained(check, n - missing) < 3 or not np.isfinite(check.numerical).all():
        return None  # a few of many entries may differ by the same, such as 1 / N
    note = "".join(f"; {size} is {LENGTH}" for size in sizes if np.isclose(abs(missing), size))
    evidence = f"n - a = {missing:.4g} {share(check)}{note}"
    look_at = "a term with the same slope in every entry: forgotten, or with a wrong sign or factor"
    return Finding(place(check)[1], "constant term", evidence, look_at)


def _chain_rule(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    x, _, n, _ = seen(check)
    for power, form, what in ((-1, "a exp(x) = n", "missing"), (1, "a = n exp(x)", "too much")):
        ratio = np.exp(power * x)
        tolerance = TOLERANCE if x.size > 2 else STRICT
        if explained(check, ratio * n, ratio, tolerance) >= min(3, x.size):
            evidence = f"{form} {share(check)}, where x is the parameter"
            look_at = f"the chain rule of a parameter that is a log: its factor exp(x) is {what}"
            return Finding(place(check)[1], "chain rule", evidence, look_at)
    return None


def _too_few_to_reorder(check: ArrayCheck) -> bool:
    """Whether all is known, and far less than a row is wrong: orders of a large array cost much."""
    row = check.x.size // max(check.x.shape)
    return 10 * int(np.sum(check.wrong)) < row and bool(np.isfinite(check.numerical).all())


def _transposed(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if check.x.ndim != 2 or min(check.x.shape) < 2 or _too_few_to_reorder(check):
        return None
    rows, columns = check.x.shape
    told = _reordered(check, np.arange(check.x.size).reshape(rows, columns).T)
    if not told:
        return None
    form = "a[i, j] = n[j, i]" if rows == columns else "a = n.T.reshape(n.shape)"
    look_at = "the product: A.T @ delta turned into delta.T @ A, or a `reshape` that stands for .T"
    return Finding(names([check]), "transposed", f"{form}, shown by {told} entries", look_at)


def _permuted(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if np.count_nonzero(check.wrong) < 2 or _too_few_to_reorder(check):
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


VALUES = (_never_written, _loss_ignores_it, _constant_ratio, _l2_term)
MIXTURES = (_ratio_beside_l2, _constant_term, _chain_rule)  # where none of the above fits
ORDERS = (_transposed, _permuted)

NEVER_WRITTEN = "the line that fills it in: missing, overwritten, or a loop that ends too early"
IGNORED = (
    "`fun`: does it use this array, or a global or a copy of it? Does it round, to an int perhaps? "
    "Are its units all dead?"
)
MASK = (
    "the loss does not move with these entries: a mask (dropout, padding, np.tril, a dead ReLU) is "
    "missing in the gradient, or `fun` leaves them out"
)
SIGN = "a difference turned round, y - y_hat for y_hat - y, or a minus lost"
HALF = "the half in the loss: 1/2 r^2 has the derivative r, but r^2 has 2 r"
MEAN = "the loss and the gradient disagree on mean or sum: divide by N in both or in neither"
N_MINUS_1 = "one of the loss and the gradient divides by N, the other by N - 1"
CONSTANT = "a constant in one of the two only: a learning rate, a number of outputs, a sqrt"
LENGTH = "the length of an axis in `args`"


def name_ratio(
    ratio: float, sizes: Sequence[int], bar: float = 0.0, tolerance: float = TOLERANCE
) -> tuple[str, str, str, str] | None:
    """Return bug, value, note and look_at for a ratio, known to `bar`, with a meaning of its own.

    What needs one assumption goes before what needs two.
    """
    also = f"; 2 is {LENGTH}, so mean against sum would fit, too" if 2 in sizes else ""
    known = [(-1.0, "sign", "", SIGN), (2.0, "factor", also, HALF), (0.5, "factor", also, HALF)]
    for size in sizes:
        known += [(v, "batch size", f"; {size} is {LENGTH}", MEAN) for v in (size, 1 / size)]
    for size in sizes:
        for over, under in ((size, size - 1), (size - 1, size)) if size > 4 else ():
            note = f"; that is {over}/{under}, and {size} is {LENGTH}"
            known.append((over / under, "batch size", note, N_MINUS_1))
    for size in sizes:  # 2 N and N / 2: the half before the squares is missing or doubled, too
        note = f"; half or twice what mean against sum gives, where {size} is {LENGTH}"
        both = (size / 2, 2 / size, 2 * size, 0.5 / size)
        known += [(v, "batch size", note, f"{MEAN}; and {HALF}") for v in both if size > 4]
    for value, bug, note, look_at in known:
        scale = min(abs(value), abs(value - 1))
        room = max(tolerance * scale, min(bar, PROOF * TOLERANCE * scale))
        if abs(ratio - value) <= room:
            return bug, fraction(value), note, look_at
        if value > 0 and abs(ratio + value) <= room:
            return bug, fraction(-value), note, f"{look_at}; and {SIGN}"
    return None


def fraction(value: float) -> str:
    """Return 0.25 as "0.25 (1/4)" and 2.449490 as "2.449 (sqrt 6)"."""
    text = f"{value:.{4 if abs(value - 1) > TOLERANCE else 8}g}"
    for power, form in ((-1, "1/{}"), (2, "sqrt {}"), (-2, "1/sqrt {}")):
        whole = abs(value) ** power
        simple = 1.5 < whole < 1e6 ** (1 / abs(power)) and abs(whole - round(whole)) <= TOLERANCE
        if simple and abs(value) != round(abs(value)):
            return f"{text} ({'-' if value < 0 else ''}{form.format(round(whole))})"
    return text


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
    told = int(np.sum(check.wrong.ravel()[origin] & (room <= PROOF * TOLERANCE * gap)))
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
