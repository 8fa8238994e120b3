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
        findings, unexplained = _explain(wrong, right, sizes)
        pattern = _describe(checks, unexplained, right, sizes)
    return (*_not_finite(broken), *findings, *pattern)


# --- the arrays -----------------------------------------------------------------------------------


def _as_float64(check: ArrayCheck) -> ArrayCheck:
    x, analytic, numerical, error = (np.asarray(field, np.float64) for field in check[1:5])
    return ArrayCheck(check.name, x, analytic, numerical, error, np.asarray(check.wrong, bool))


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
    if not told or _place(check)[0] == "one entry":
        return None
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
    if _constant_ratio(check, sizes) or _l2_term(check, sizes):
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
    for axis in {0, check.x.ndim - 1} if check.x.ndim else ():
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


EXPLANATIONS = (
    _never_written,
    _loss_ignores_it,
    _constant_ratio,
    _l2_term,
    _ratio_beside_l2,
    _transposed,
    _permuted,
)


def _slope(u: NDArray[Any], v: NDArray[Any]) -> float:
    """The constant c that brings c u nearest to v."""
    unit = u / np.abs(u).max(initial=0.0)
    return float(unit @ v / (unit @ u))


def _plain(value: float) -> str:
    """0.25 as "0.25 (1/4)"."""
    inverse = 1 / value
    simple = abs(inverse - round(inverse)) <= TOLERANCE and abs(inverse) > 1.5
    return f"{value:.4g}" + (f" (1/{round(inverse)})" if simple else "")


def _name_ratio(
    ratio: float, sizes: Sequence[int], tolerance: float
) -> tuple[str, str, str] | None:
    """The bug, the value and the place to look of a ratio that has a meaning of its own."""
    half = "the half in the loss: 1/2 r^2 has the derivative r, r^2 has 2 r; or a term counted "
    mean = "the loss and the gradient disagree on mean or sum: divide by N in both or in neither"
    known = {
        -1.0: ("sign", "", "a difference turned round, y - y_hat for y_hat - y, or a minus lost"),
        2.0: ("factor", "", half + "twice"),
        0.5: ("factor", "", half + "once for twice"),
    }
    for size in sizes:
        note = f", N = {size} being the length of an array in `args`"
        for value in (size, 1 / size, size / (size - 1), (size - 1) / size, size * 2, 0.5 / size):
            known.setdefault(value, ("batch size", note, mean))
    for value, (bug, note, look_at) in known.items():
        for sign in (1, -1):
            if abs(ratio - sign * value) <= tolerance * abs(sign * value - 1):
                also = "; 2 is also the length of an array in `args`: then it is the mean or sum"
                note = note + (also if value in (2.0, 0.5) and 2 in sizes else "")
                return bug, f"{_plain(sign * value)}{note}", look_at
    return None
