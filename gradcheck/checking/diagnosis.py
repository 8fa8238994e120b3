"""Name the classical bug that explains the wrong entries of a gradient.

A hypothesis predicts the gradient that its bug would give. It is named only where it accounts for
nearly all that is wrong, entry by entry: abs(a - predicted) <= 1e-3 abs(a - n) + error bars. What
no hypothesis explains is described by where it lies: one entry, one row, from one layer down.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradcheck.checking.report import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

TOLERANCE = 1e-3  # the part of abs(a - n) that a hypothesis may leave unexplained
PROOF = 0.03  # an entry whose tolerance is a larger part of abs(a - n) proves nothing


class ArrayCheck(NamedTuple):
    """One array of the parameters as the check saw it; all fields have the same shape.

    Where nothing was measured, `numerical` is NaN and `wrong` is False. `error` is the error bar
    of `numerical`. The name of a bare array is "".
    """

    name: str
    x: NDArray[Any]
    analytic: NDArray[Any]
    numerical: NDArray[Any]
    error: NDArray[Any]
    wrong: NDArray[np.bool_]


def diagnose(
    arrays: Sequence[ArrayCheck], batch_sizes: Collection[int] = ()
) -> tuple[Finding, ...]:
    """Name the bugs that explain the wrong entries, the most telling first.

    Parameters
    ----------
    arrays : sequence of ArrayCheck
        The arrays of the parameters in forward order: W1, b1, W2, b2, ...
    batch_sizes : collection of int
        Lengths that may be N, the number of examples.

    Returns
    -------
    tuple of Finding
        Empty where nothing is wrong. Where two bugs give the same numbers, both are named.

    Examples
    --------
    >>> n = np.array([1.0, -2.0, 4.0])
    >>> check = ArrayCheck("w", np.ones(3), -n, n, np.zeros(3), np.full(3, True))
    >>> [finding[:3] for finding in diagnose([check])]
    [('w', 'sign', 'a / n = -1 in 3 of 3 entries')]
    """
    sizes = sorted({int(size) for size in batch_sizes if size > 1})
    with np.errstate(all="ignore"):
        checks = _forward([_prepared(check) for check in arrays])
        broken = [check for check in checks if not np.isfinite(check.analytic).all()]
        wrong = [c for c in checks if c.wrong.any() and np.isfinite(c.analytic).all()]
        findings, unexplained = _explain(checks, wrong, sizes)
        return (*_not_finite(broken), *findings, *_describe(checks, unexplained))


# --- the arrays ---------------------------------------------------------------------------------


def _prepared(check: ArrayCheck) -> ArrayCheck:
    x, a, n, error = (np.atleast_1d(np.asarray(field, np.float64)) for field in check[1:5])
    wrong = np.atleast_1d(check.wrong) & (np.isfinite(n) | ~np.isfinite(a))
    return ArrayCheck(check.name, x, a, n, np.nan_to_num(error, posinf=np.inf), wrong)


def _forward(checks: list[ArrayCheck]) -> list[ArrayCheck]:
    """Sort W1, W2, b1, b2 by layer, weights first; keep the order if a name has no number."""
    numbers = [int(number) for c in checks for number in re.findall(r"\d+", c.name)[:1]]
    if len(numbers) < len(checks):
        return checks
    order = sorted(range(len(checks)), key=lambda i: (numbers[i], -checks[i].x.ndim))
    return [checks[i] for i in order]


def _names(checks: Sequence[ArrayCheck]) -> str:
    return ", ".join(check.name or "the gradient" for check in checks)


def _seen(check: ArrayCheck) -> tuple[NDArray[Any], ...]:
    """Return x, a, n and the error bar of the wrong entries."""
    x, a, n, error = (field[check.wrong] for field in check[1:5])
    return x, a, n, error


def _place(check: ArrayCheck) -> tuple[str, str]:
    """Return where the wrong entries lie: ("one row", "W1[3, :]"), or ("", "W1")."""
    index = [str(i[0]) if (i == i[0]).all() else ":" for i in np.nonzero(check.wrong)]
    elsewhere = np.ones(check.wrong.shape, np.bool_)
    elsewhere[tuple(slice(None) if i == ":" else int(i) for i in index)] = False
    if not check.analytic[elsewhere].any():  # 0 = 0 does not prove the others right
        return "", _names([check])
    kind = "one entry" if ":" not in index else "one slice"
    if kind == "one slice" and check.x.ndim == 2:
        kind = "one row" if index[1] == ":" else "one column"
    return kind, f"{check.name}[{', '.join(index)}]"


def _share(check: ArrayCheck) -> str:
    """Return how much of the array is wrong; where both values are 0 does not count."""
    measured = np.isfinite(check.numerical)
    alive = measured & ((check.analytic != 0) | (check.numerical != 0))
    sampled = "" if measured.all() else " measured"
    return f"in {np.sum(check.wrong)} of {np.sum(alive)} entries{sampled}"


def _explained(check: ArrayCheck, predicted: NDArray[Any], amplify: float = 1.0) -> int:
    """Return how many wrong entries prove `predicted`; 0 if one contradicts it."""
    _, a, n, error = _seen(check)
    gap = np.abs(a - n)
    room = TOLERANCE * gap + 1e-5 * gap.max() + 3 * max(1.0, amplify) * error
    fits = (np.abs(a - predicted) <= room).all()
    return int(np.sum(room <= PROOF * gap)) if fits else 0


def _slope(u: NDArray[Any], v: NDArray[Any]) -> Any:
    """Return the constant c that brings c u nearest to v; NaN where u is 0."""
    unit = u / np.abs(u).max()
    return unit @ v / (unit @ u)


# --- hypotheses: each explains all that is wrong in an array, or returns None ---------------------


def _never_written(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if _seen(check)[1].any():
        return None
    evidence = f"a is exactly 0 {_share(check)}, n is not"
    return Finding(_place(check)[1], "never written", evidence, NEVER_WRITTEN)


def _loss_ignores_it(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    numerical = check.numerical[np.isfinite(check.numerical)]
    if numerical.any() or _place(check)[0]:
        return None
    evidence = f"n is exactly 0 in {numerical.size} of {numerical.size} entries, a is not"
    look_at = "`fun`: does it use this array, or a global or a copy of it? Are its units all dead?"
    return Finding(_names([check]), "loss ignores it", evidence, look_at)


def _constant_ratio(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    _, a, n, _ = _seen(check)
    ratio = _slope(n, a)
    told = _explained(check, ratio * n, abs(ratio))
    if not told or abs(ratio) <= TOLERANCE or _place(check)[0]:
        return None  # that it is one row tells more than its ratio
    named = _name_ratio(ratio, sizes, TOLERANCE if told > 2 else 0.1 * TOLERANCE)
    if named is None and told < 3:
        return None  # two entries may share a ratio by chance
    bug, value, look_at = named or ("factor", _fraction(ratio), CONSTANT)
    return Finding(_names([check]), bug, f"a / n = {value} {_share(check)}", look_at)


def _l2_term(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    x, a, n, _ = _seen(check)
    missing = _slope(x, n - a)
    if _explained(check, n - missing * x) < 3:
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
    evidence = f"n - a = {missing:.4g} times the parameter {_share(check)}"
    return Finding(_place(check)[1], "L2 term", evidence, look_at)


def _ratio_beside_l2(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    """Explain a = ratio g + l2 x where n = g + l2 x: the L2 term is right and the rest is not."""
    if _constant_ratio(check, sizes) or _l2_term(check, sizes):
        return None
    x, a, n, _ = _seen(check)
    apart = x - _slope(n, x) * n
    rest = _slope(apart, a)
    ratio = _slope(n, a - rest * x)
    l2 = rest / (1 - ratio)
    told = _explained(check, ratio * n + rest * x, abs(ratio))
    if told > 2 and l2 > 0 and abs(ratio) <= TOLERANCE and not _explained(check, 0 * a):
        evidence = f"a is {l2:.4g} times the parameter {_share(check)}: an L2 term and nothing else"
        return Finding(_place(check)[1], "never written", evidence, NEVER_WRITTEN)
    named = _name_ratio(ratio, sizes, TOLERANCE)
    if told < 5 or not l2 > 0 or named is None or _place(check)[0]:
        return None
    bug, value, look_at = named
    evidence = f"without a right L2 term, {l2:.4g} times the parameter, a / n = {value}"
    return Finding(_names([check]), bug, f"{evidence} {_share(check)}", look_at)


def _transposed(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if check.x.ndim != 2 or min(check.x.shape) < 2:
        return None
    rows, columns = check.x.shape
    told = _reordered(check, np.arange(check.x.size).reshape(rows, columns).T)
    if not told:
        return None
    form = "a[i, j] = n[j, i]" if rows == columns else "a = n.T.reshape(n.shape)"
    look_at = "the product: A.T @ delta turned into delta.T @ A, or a `reshape` that stands for .T"
    return Finding(_names([check]), "transposed", f"{form}, shown by {told} entries", look_at)


def _permuted(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
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
                return Finding(_names([check]), "permuted", evidence, look_at)
    return None


VALUES = (_never_written, _loss_ignores_it, _constant_ratio, _l2_term, _ratio_beside_l2)
ORDERS = (_transposed, _permuted)

NEVER_WRITTEN = "the line that fills it in: missing, overwritten, or a loop that ends too early"
SIGN = "a difference turned round, y - y_hat for y_hat - y, or a minus lost"
HALF = "the half in the loss: 1/2 r^2 has the derivative r, but r^2 has 2 r"
MEAN = "the loss and the gradient disagree on mean or sum: divide by N in both or in neither"
CONSTANT = "a constant that stands in one of the two only: a learning rate, a number of outputs"


def _name_ratio(
    ratio: float, sizes: Sequence[int], tolerance: float
) -> tuple[str, str, str] | None:
    """Return bug, value and look_at for a ratio that has a meaning of its own."""
    also = "; 2 is the length of an array in `args`, too," if 2 in sizes else ""
    known = [(-1.0, "sign", "", SIGN), (2.0, "factor", also, HALF), (0.5, "factor", also, HALF)]
    for size in sizes:
        note = f"; {size} is the length of an array in `args`;"
        values = (size, 1 / size, size / (size - 1), (size - 1) / size, 2 * size, 0.5 / size)
        known += [(value, "batch size", note, MEAN) for value in values]
    for value, bug, note, look_at in known:
        if abs(ratio - value) <= tolerance * abs(value - 1):
            return bug, _fraction(value) + note, look_at
        if abs(ratio + value) <= tolerance * abs(value + 1):
            return bug, _fraction(-value) + note, f"{look_at}; and {SIGN}"
    return None


def _fraction(value: float) -> str:
    """Return 0.25 as "0.25 (1/4)"."""
    inverse = 1 / value
    simple = abs(inverse) > 1.5 and abs(inverse - round(inverse)) <= TOLERANCE
    return f"{value:.4g}" + (f" (1/{round(inverse)})" if simple else "")


def _reordered(check: ArrayCheck, source: NDArray[np.intp]) -> int:
    """Return how many wrong entries prove a = n[source]; 0 if an entry contradicts it.

    An L2 term may have been added after the mix-up: a - n[source] = l2 (x - x[source]).
    """
    x, a, n, error = (field.ravel() for field in check[1:5])
    known = np.flatnonzero(np.isfinite(n[source.ravel()]))
    origin = source.ravel()[known]
    gap = np.abs(a - n)[origin]
    room = TOLERANCE * np.sqrt(np.mean(gap**2)) + 3 * error[origin]
    left, shift = a[known] - n[origin], x[known] - x[origin]
    told = int(np.sum(check.wrong.ravel()[origin] & (room <= PROOF * gap)))
    if told >= 2 and (np.abs(left) <= room).all():
        return told
    l2 = _slope(shift, left)
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


# --- all arrays together --------------------------------------------------------------------------


def _not_finite(broken: Sequence[ArrayCheck]) -> list[Finding]:
    if not broken:
        return []
    counts = [f"{np.sum(~np.isfinite(c.analytic))} of {c.analytic.size}" for c in broken]
    evidence = f"a is NaN or infinite in {', '.join(counts)} entries"
    look_at = "log(0), 0 / 0, an exp that overflows, an array from np.empty that was never filled"
    if len(broken) > 1:
        look_at += f"; going backwards, {broken[-1].name} is the first"
    return [Finding(_names(broken), "not finite", evidence, look_at)]


def _explain(
    checks: Sequence[ArrayCheck], wrong: Sequence[ArrayCheck], sizes: Sequence[int]
) -> tuple[list[Finding], list[ArrayCheck]]:
    """Explain all wrong arrays by one bug, else each by its own; return those still unexplained."""
    if len(wrong) > 1 and not all(_place(check)[0] for check in wrong):
        others = sum(bool(check.analytic.any()) for check in checks) > len(wrong)
        name = _names(wrong) if others else "every array"
        for spare_biases in (False, True):
            joined = _join(wrong, name, spare_biases)
            if findings := [f for explain in VALUES if (f := explain(joined, sizes))]:
                return findings, []
    findings, unexplained = [], []
    for check in wrong[::-1]:
        found = [f for explain in VALUES + ORDERS if (f := explain(check, sizes))]
        findings += found
        unexplained += [] if found else [check]
    return _merge(findings), unexplained[::-1]


def _join(checks: Sequence[ArrayCheck], name: str, spare_biases: bool) -> ArrayCheck:
    """Lay arrays end to end; `spare_biases` keeps the L2 term off the biases (x = 0)."""
    spared = [c._replace(x=0 * c.x) if spare_biases and c.x.ndim == 1 else c for c in checks]
    x, a, n, error, wrong = (
        np.concatenate([field.ravel() for field in fields])
        for fields in zip(*(c[1:] for c in spared), strict=True)
    )
    return ArrayCheck(name, x, a, n, error, wrong)


def _merge(findings: Sequence[Finding]) -> list[Finding]:
    """Make one finding of those that name the same bug and the same place to look."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.bug, finding.look_at), []).append(finding)
    merged = []
    for first, *more in groups.values():
        where = ", ".join(finding.where for finding in (first, *more))
        evidence = f"{first.where}: {first.evidence}; the others alike" if more else first.evidence
        merged.append(first._replace(where=where, evidence=evidence))
    return merged


def _describe(checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck]) -> list[Finding]:
    """Say where the arrays lie that no hypothesis explains, and what that tells of the fault."""
    names, right = {c.name for c in left}, {c.name for c in checks if not c.wrong.any()}
    layers = [(w, b) for w, b in pairwise(checks) if w.x.ndim > b.x.ndim == 1]
    inputs = [w for w, b in layers if w.name in names and b.name in right]
    sums = [b for w, b in layers if b.name in names and w.name in right]
    alive = [c for c in checks if c.wrong.any() or c.analytic.any()]
    below = len(left) > 1 and names == {c.name for c in alive[: len(left)]}
    local = [_local(check) for check in left[::-1] if _place(check)[0]]
    if len(local) == len(left) and not below:
        return _merge(local)
    if len(inputs) == len(left):
        return [_layer_input(inputs)]
    if len(sums) == len(left):
        evidence = f"{_names(sums)} wrong, the weights of the same layers right"
        look_at = (
            "delta is right, or the weights were wrong, too: look at its sum over the examples"
        )
        return [Finding(_names(sums), "bias sum", evidence, look_at)]
    if below:
        return [_layer(left, alive[len(left) :]), *_merge(local)]
    return _merge(local) + [_unknown(check) for check in left[::-1] if not _place(check)[0]]


def _local(check: ArrayCheck) -> Finding:
    kind, where = _place(check)
    _, a, n, _ = _seen(check)
    ratio = _slope(n, a)
    told = _explained(check, ratio * n, abs(ratio)) > 1 or _name_ratio(ratio, (), 1e-4)
    evidence = f"wrong {_share(check)}" + (f", with a / n = {_fraction(ratio)}" if told else "")
    look_at = "the others are right: an index off by one, or a line that treats this one apart"
    return Finding(where, kind, evidence, look_at)


def _layer_input(weights: Sequence[ArrayCheck]) -> Finding:
    evidence = f"{_names(weights)} wrong, the biases of the same layers right"
    if all(_is_outer_product(check.analytic - check.numerical) for check in weights):
        evidence += "; a - n is one outer product, as if one example were left out or came twice"
    look_at = "delta is right, or the biases were wrong, too: look at what it is multiplied with"
    return Finding(_names(weights), "layer input", evidence, look_at)


def _is_outer_product(gap: NDArray[Any]) -> bool:
    i, j = np.unravel_index(np.abs(gap).argmax(), gap.shape)[:2] if gap.ndim == 2 else (0, 0)
    if gap.ndim != 2 or min(gap.shape) < 3:
        return False
    left = gap - np.outer(gap[:, j], gap[i]) / gap[i, j]
    return bool(np.abs(left).max() <= TOLERANCE * np.abs(gap[i, j]))


def _layer(left: Sequence[ArrayCheck], later: Sequence[ArrayCheck]) -> Finding:
    if later:
        right = _names([check for check in later if not check.wrong.any()])
        evidence = f"wrong: {_names(left)}; right: {right or 'none'}"
        look_at = (
            f"going backwards, {left[-1].name} is the first that is wrong: look at the lines that "
            f"bring delta from {later[0].name} to it, the weights and the activation's derivative"
        )
    else:
        evidence = "every array is wrong, and nothing simpler fits them all"
        look_at = (
            "where the back-pass starts: the derivative of the loss with respect to the output"
        )
    return Finding(_names(left), "layer", evidence, look_at)


def _unknown(check: ArrayCheck) -> Finding:
    _, a, n, _ = _seen(check)
    off = np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))
    evidence = f"wrong {_share(check)}, by {np.median(off):.1%} (median) to {off.max():.1%}"
    look_at = "no bug that we know fits: try one example and one layer, and compare line by line"
    return Finding(_names([check]), "unknown", evidence, look_at)
