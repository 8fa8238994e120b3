"""Name the classical bug that explains the wrong entries of a gradient.

Every hypothesis predicts the gradient that its bug would give. It is named only where it accounts
for nearly all that is wrong, entry by entry: abs(a - predicted) <= 1e-3 abs(a - n) + error bars.
What is wrong and not explained is described by where it lies: a layer, a row, an entry.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from numpy.typing import NDArray

TOLERANCE = 1e-3  # the part of abs(a - n) that a hypothesis may leave unexplained


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


class Finding(NamedTuple):
    """Where the gradient is wrong, the bug's name, the numbers that say so, and where to look."""

    where: str
    bug: str
    evidence: str
    look_at: str


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
    checks = _forward([_as_float64(check) for check in arrays])
    sizes = sorted({int(size) for size in batch_sizes if size > 1})
    with np.errstate(all="ignore"):
        broken = [check for check in checks if not np.isfinite(check.analytic).all()]
        wrong = [c for c in checks if c.wrong.any() and np.isfinite(c.analytic).all()]
        right = [check for check in checks if not check.wrong.any()]
        findings, unexplained = _explain(checks, wrong, sizes)
        pattern = _describe(checks, unexplained, right)
    return (*_not_finite(broken), *findings, *pattern)


# --- the arrays -----------------------------------------------------------------------------------


def _as_float64(check: ArrayCheck) -> ArrayCheck:
    x, analytic, numerical, error = (
        np.atleast_1d(np.asarray(field, np.float64)) for field in check[1:5]
    )
    wrong = np.atleast_1d(np.asarray(check.wrong, np.bool_))
    return ArrayCheck(check.name, x, analytic, numerical, error, wrong)


def _forward(checks: list[ArrayCheck]) -> list[ArrayCheck]:
    """Sort W1, W2, b1, b2 by layer, weights first; keep the order if a name has no number."""
    numbers = [int(number) for c in checks for number in re.findall(r"\d+", c.name)[:1]]
    if len(numbers) < len(checks):
        return checks
    order = sorted(range(len(checks)), key=lambda i: (numbers[i], -checks[i].x.ndim))
    return [checks[i] for i in order]


def _names(checks: Sequence[ArrayCheck]) -> str:
    return ", ".join(check.name or "the gradient" for check in checks)


def _place(check: ArrayCheck) -> tuple[str, str]:
    """Where the wrong entries lie: ("one row", "W1[3, :]"), or ("", "W1") if all over it."""
    index = [str(i[0]) if (i == i[0]).all() else ":" for i in np.nonzero(check.wrong)]
    elsewhere = np.ones(check.wrong.shape, bool)
    elsewhere[tuple(slice(None) if i == ":" else int(i) for i in index)] = False
    if not check.analytic[elsewhere].any():  # 0 = 0 does not prove the others right
        return "", _names([check])
    bug = "one entry" if ":" not in index else "one slice"
    if check.x.ndim == 2 and bug == "one slice":
        bug = "one row" if index[1] == ":" else "one column"
    return bug, f"{check.name}[{', '.join(index)}]"


def _seen(check: ArrayCheck) -> tuple[NDArray[Any], ...]:
    """`analytic`, `numerical`, `error` and `x` of the wrong entries."""
    seen = check.wrong & np.isfinite(check.numerical)
    error = np.nan_to_num(check.error, posinf=np.inf)
    return check.analytic[seen], check.numerical[seen], error[seen], check.x[seen]


def _share(check: ArrayCheck) -> str:
    """How much of the array is wrong: "in 6 of 8 entries"; 0 = 0 does not count."""
    measured = np.isfinite(check.numerical)
    alive = measured & ((check.analytic != 0) | (check.numerical != 0))
    return f"in {np.sum(check.wrong & measured)} of {np.sum(alive)} entries"


def _explained(check: ArrayCheck, predicted: NDArray[Any], amplify: float = 1.0) -> int:
    """Count the wrong entries that prove `predicted`; 0 if one of them contradicts it."""
    a, n, error, _ = _seen(check)
    gap = np.abs(a - n)
    if not gap.size:
        return 0
    room = TOLERANCE * gap + 1e-5 * gap.max() + 3 * max(1.0, amplify) * error
    proves = room <= 0.1 * gap  # where the error bar is as large as the gap, anything fits
    return int(proves.sum()) if (np.abs(a - predicted) <= room).all() else 0


# --- the hypotheses: each explains all that is wrong in an array, or says nothing -------------------


def _never_written(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if _seen(check)[0].any() or not _explained(check, np.zeros(_seen(check)[0].shape)):
        return None
    evidence = f"a is exactly 0 {_share(check)}, n is not"
    look_at = "the line that fills it in: missing, overwritten, or it stops one short"
    return Finding(_place(check)[1], "never written", evidence, look_at)


def _loss_ignores_it(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    numerical = check.numerical[np.isfinite(check.numerical)]
    if numerical.any():
        return None
    evidence = f"n is exactly 0 in {numerical.size} of {numerical.size} entries, a is not"
    look_at = (
        "`fun`: does it use this array, or a global or older copy of it? Are all its units dead?"
    )
    return Finding(_names([check]), "loss ignores it", evidence, look_at)


def _constant_ratio(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    a, n, _, _ = _seen(check)
    ratio = _slope(n, a)
    told = _explained(check, ratio * n, abs(ratio))
    if not told or abs(ratio) <= TOLERANCE or _place(check)[0]:
        return None  # one row, one column, one entry: that tells more
    named = _name_ratio(ratio, sizes, TOLERANCE if told > 2 else 0.1 * TOLERANCE)
    if named is None and told < 3:
        return None  # two numbers always have some ratio
    bug, meaning, look_at = named or (
        "factor",
        _plain(ratio),
        "a constant multiplied in or left out: a learning rate, a count of outputs, a sum twice",
    )
    evidence = f"a / n = {meaning} {_share(check)}"
    return Finding(_place(check)[1], bug, evidence, look_at)


def _l2_term(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    a, n, _, x = _seen(check)
    missing = _slope(x, n - a)
    if _explained(check, n - missing * x) < 3:
        return None
    evidence = f"n - a = {missing:.4g} times the parameter {_share(check)}"
    if missing > 0:
        look_at = (
            f"the L2 term: forgotten if it adds {missing:.4g} times the parameter to the gradient, "
            f"of the wrong sign if it adds {missing / 2:.4g}, half of it if {2 * missing:.4g}"
        )
    else:
        look_at = (
            f"the L2 term: doubled if it adds {-missing:.4g} times the parameter to the gradient; "
            "or the loss leaves this array out (biases, as a rule) and the gradient does not"
        )
    return Finding(_place(check)[1], "L2 term", evidence, look_at)


def _ratio_beside_l2(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    """a = ratio g + decay x where n = g + decay x: the data term is wrong, the L2 term right."""
    if _place(check)[0] or _constant_ratio(check, sizes) or _l2_term(check, sizes):
        return None
    a, n, _, x = _seen(check)
    columns = np.column_stack([n, x])
    ratio, rest = np.linalg.lstsq(columns, a)[0]
    decay = rest / (1 - ratio)
    named = _name_ratio(ratio, sizes, TOLERANCE)
    if named is None or decay <= 0 or _explained(check, columns @ (ratio, rest), abs(ratio)) < 5:
        return None
    bug, meaning, look_at = named
    evidence = (
        f"a / n = {meaning} {_share(check)}, once an L2 term of {decay:.4g} times the parameter, "
        "which is right, is taken off both"
    )
    return Finding(_place(check)[1], bug, evidence, look_at)


def _transposed(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    if check.x.ndim != 2 or min(check.x.shape) < 2:
        return None
    order = np.arange(check.x.size).reshape(check.x.shape).T.reshape(check.x.shape)
    told = _reordered(check, order)
    if not told:
        return None
    evidence = f"a[i, j] = n[j, i] in {told} entries that the transpose moves"
    if check.x.shape[0] != check.x.shape[1]:
        evidence = f"a is the transpose of n, reshaped, in {told} entries that this moves"
    look_at = "the product that makes it: X.T @ delta, not delta.T @ X (or a `reshape` for a `.T`)"
    return Finding(_names([check]), "transposed", evidence, look_at)


def _permuted(check: ArrayCheck, sizes: Sequence[int]) -> Finding | None:
    index = np.arange(check.x.size).reshape(check.x.shape)
    for axis in {0, check.x.ndim - 1}:
        what = "entries" if check.x.ndim == 1 else "columns" if axis else "rows"
        for order in _orders(check, axis):
            told = _reordered(check, np.take(index, order, axis))
            if told:
                moved = np.nonzero(order != np.arange(order.size))[0]
                start = ", ".join(f"{order[i]} to {i}" for i in moved[:4])
                more = ", ..." if moved.size > 4 else ""
                evidence = f"a holds the {what} of n in another order ({start}{more}): {told} fit"
                look_at = "an index off by one, a sort or shuffle, arrays joined in another order"
                return Finding(_names([check]), "permuted", evidence, look_at)
    return None


VALUES = (_never_written, _loss_ignores_it, _constant_ratio, _l2_term, _ratio_beside_l2)
ORDERS = (_transposed, _permuted)


def _slope(u: NDArray[Any], v: NDArray[Any]) -> float:
    """The constant c that brings c u nearest to v."""
    unit = u / np.abs(u).max(initial=0.0)
    return float(unit @ v / (unit @ u))


def _plain(value: float) -> str:
    """0.25 as "0.25 (1/4)"."""
    inverse = 1 / value
    simple = abs(inverse) > 1.5 and abs(inverse - round(inverse)) <= TOLERANCE
    return f"{value:.4g}" + (f" (1/{round(inverse)})" if simple else "")


def _name_ratio(
    ratio: float, sizes: Sequence[int], tolerance: float
) -> tuple[str, str, str] | None:
    """The bug, the value and the place to look of a ratio that has a meaning of its own."""
    sign = "a difference turned round, y - y_hat for y_hat - y, or a minus lost"
    half = "the half in the loss: 1/2 r^2 has the derivative r, and r^2 has 2 r"
    mean = "the loss and the gradient disagree on mean or sum: divide by N in both or in neither"
    also = "; 2 is the length of an array in `args`, too" if 2 in sizes else ""
    known = [(-1.0, "sign", "", sign), (2.0, "factor", also, half), (0.5, "factor", also, half)]
    for size in sizes:
        note = f"; {size} is the length of an array in `args`"
        values = (size, 1 / size, size / (size - 1), (size - 1) / size, 2 * size, 0.5 / size)
        known += [(value, "batch size", note, mean) for value in values]
    for value, bug, note, look_at in known:
        if abs(ratio - value) <= tolerance * abs(value - 1):
            return bug, _plain(value) + note, look_at
        if abs(ratio + value) <= tolerance * abs(value + 1):
            return bug, _plain(-value) + note, f"{look_at}; and {sign}"
    return None


def _reordered(check: ArrayCheck, source: NDArray[np.intp]) -> int:
    """Count the wrong entries that prove a = n[source]; 0 if an entry contradicts it.

    An L2 term added after the mix-up is allowed for: a - n[source] = decay (x - x[source]).
    """
    x, a, n, error = (field.ravel() for field in check[1:5])
    known = np.nonzero(np.isfinite(n[source.ravel()]))[0]
    origin = source.ravel()[known]
    gap = np.abs(a - n)[origin]
    room = TOLERANCE * np.sqrt(np.mean(gap**2)) + 3 * error[origin]
    target, basis = a[known] - n[origin], x[known] - x[origin]
    told = int(np.sum(check.wrong.ravel()[origin] & (room <= 0.1 * gap)))
    if told >= 2 and (np.abs(target) <= room).all():
        return told
    decay = _slope(basis, target)
    fits = told >= 5 and decay > 0 and (np.abs(target - decay * basis) <= room).all()
    return told if fits else 0


def _orders(check: ArrayCheck, axis: int) -> Iterator[NDArray[np.intp]]:
    """Orders of the rows (axis 0) or columns that are worth a look."""
    size = check.x.shape[axis]
    wrong, a, n = (
        np.moveaxis(field, axis, 0).reshape(size, -1)
        for field in (check.wrong, check.analytic, check.numerical)
    )
    rows = np.nonzero(wrong.any(axis=1))[0]
    same = np.arange(size)
    if rows.size == 2:
        swapped = same.copy()
        swapped[rows] = rows[::-1]
        yield swapped
    yield from (np.roll(same, 1), np.roll(same, -1), same[::-1])
    if rows.size <= 1000 and np.isfinite(n).all():  # each row of a beside the nearest row of n
        telling = np.argsort(np.ptp(n, axis=0))[-8:]
        a, n = a[np.ix_(rows, telling)], n[np.ix_(rows, telling)]
        nearest = rows[[int(np.argmin(np.abs(n - row).max(axis=1))) for row in a]]
        if np.unique(nearest).size == rows.size:
            matched = same.copy()
            matched[rows] = nearest
            yield matched


# --- all arrays together ----------------------------------------------------------------------------


def _not_finite(broken: Sequence[ArrayCheck]) -> list[Finding]:
    if not broken:
        return []
    counts = [f"{np.sum(~np.isfinite(c.analytic))} of {c.analytic.size}" for c in broken]
    evidence = f"NaN or infinite: {', '.join(counts)} entries"
    look_at = "log(0), 0 / 0, exp that overflows, or an array from np.empty that was never filled"
    if len(broken) > 1:
        look_at += f"; going backwards, {_names(broken[-1:])} is the first"
    return [Finding(_names(broken), "not finite", evidence, look_at)]


def _explain(
    checks: Sequence[ArrayCheck], wrong: Sequence[ArrayCheck], sizes: Sequence[int]
) -> tuple[list[Finding], list[ArrayCheck]]:
    """Explain all wrong arrays by one bug, else each by its own; return those still unexplained."""
    if len(wrong) > 1 and not all(_place(check)[0] for check in wrong):
        others = any(c.analytic.any() for c in checks if all(c is not w for w in wrong))
        name = _names(wrong) if others else "every array"
        for spare_biases in (False, True):
            joined = _join(wrong, name, spare_biases)
            findings = [f for values in VALUES if (f := values(joined, sizes))]
            if findings:
                return findings, []
    groups: dict[tuple[str, str], list[Finding]] = {}
    unexplained: list[ArrayCheck] = []
    for check in wrong:
        findings = [f for explains in VALUES + ORDERS if (f := explains(check, sizes))]
        for finding in findings:
            groups.setdefault((finding.bug, finding.look_at), []).append(finding)
        if not findings:
            unexplained.append(check)
    return [_merge(group) for group in reversed(groups.values())], unexplained


def _join(checks: Sequence[ArrayCheck], name: str, spare_biases: bool) -> ArrayCheck:
    """Lay arrays end to end; `spare_biases` hides the biases from the L2 term (x = 0)."""
    spared = [c._replace(x=0 * c.x) if spare_biases and c.x.ndim == 1 else c for c in checks]
    fields = zip(*(c[1:] for c in spared), strict=True)
    return ArrayCheck(name, *(np.concatenate([f.ravel() for f in field]) for field in fields))


def _merge(group: list[Finding]) -> Finding:
    """One finding for the same bug in several arrays."""
    first = group[0]
    if len(group) == 1:
        return first
    where = ", ".join(finding.where for finding in group)
    return first._replace(where=where, evidence=f"{first.where}: {first.evidence}; the rest alike")


def _describe(
    checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck], right: Sequence[ArrayCheck]
) -> list[Finding]:
    """Say where the arrays lie that no hypothesis explains, and what that tells of the fault."""
    names, fine = [c.name for c in left], [c.name for c in right]
    pairs = [(w, b) for w, b in pairwise(checks) if w.x.ndim > b.x.ndim == 1]
    inputs = [w for w, b in pairs if w.name in names and b.name in fine]
    sums = [b for w, b in pairs if b.name in names and w.name in fine]
    local = [_local(check) for check in reversed(left) if _place(check)[0]]
    from_the_start = len(left) > 1 and names == [c.name for c in checks[: len(left)]]
    if len(local) == len(left) and not from_the_start:
        return local
    if left and len(inputs) == len(left):
        return [_layer_input(inputs)]
    if left and len(sums) == len(left):
        return [_bias_sum(sums)]
    if from_the_start:
        return [_layer(checks, left, right), *local]
    return local + [_unknown(check) for check in reversed(left) if not _place(check)[0]]


def _local(check: ArrayCheck) -> Finding:
    bug, where = _place(check)
    a, n, _, _ = _seen(check)
    ratio = _slope(n, a)
    told = _explained(check, ratio * n, abs(ratio)) > (0 if a.size == 1 else 1)
    evidence = f"wrong {_share(check)}" + (f"; a / n = {_plain(ratio)} there" if told else "")
    look_at = (
        f"the other entries are right: what is different about {where.removeprefix(check.name)}?"
    )
    return Finding(where, bug, evidence, look_at)


def _layer_input(weights: Sequence[ArrayCheck]) -> Finding:
    evidence = f"{_names(weights)} wrong, the biases of the same layers right"
    spectra = [
        np.linalg.svd(c.analytic - c.numerical, compute_uv=False)
        for c in weights
        if c.x.ndim == 2 and np.isfinite(c.numerical).all()
    ]
    if spectra and all(s.size > 2 and s[1] <= TOLERANCE * s[0] for s in spectra):
        evidence += "; a - n is an outer product, as if one example were left out or came twice"
    look_at = "the biases show that delta is right: look at what it is multiplied with, A.T @ delta"
    return Finding(_names(weights), "layer input", evidence, look_at)


def _bias_sum(biases: Sequence[ArrayCheck]) -> Finding:
    evidence = f"{_names(biases)} wrong, the weights of the same layers right"
    look_at = "the weights show that delta is right: look at its sum over the examples"
    return Finding(_names(biases), "bias sum", evidence, look_at)


def _layer(
    checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck], right: Sequence[ArrayCheck]
) -> Finding:
    last, later = left[-1], checks[len(left) :]
    if not later:
        look_at = "the start of the back-pass: the derivative of the loss by the output"
        evidence = (
            f"every array is wrong, going backwards from {last.name} on, and nothing simpler fits"
        )
        return Finding(_names(left), "layer", evidence, look_at)
    after = later[0]
    evidence = f"wrong: {_names(left)}; right: {_names([c for c in later if c.name in {r.name for r in right}])}"
    look_at = (
        f"between {last.name} and {after.name}: the lines that carry delta back, "
        f"the product with the weights and the derivative of the activation"
    )
    return Finding(_names(left), "layer", evidence, look_at)


def _unknown(check: ArrayCheck) -> Finding:
    a, n, _, _ = _seen(check)
    off = np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))
    evidence = f"wrong {_share(check)}, by {np.median(off):.2g} in the middle and {off.max():.2g} at most (relative)"
    look_at = "no known bug fits: check one example, or one layer, and compare line by line"
    return Finding(_names([check]), "unknown", evidence, look_at)
