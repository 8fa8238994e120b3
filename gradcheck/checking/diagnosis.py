"""Name the classical bug that explains the wrong entries of a gradient.

First one bug for all wrong arrays together, then each array by its own. What no hypothesis explains
is described by where it lies: one entry, one row, from one layer down.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.checking.hypotheses import (
    ORDERS,
    TOLERANCE,
    VALUES,
    ArrayCheck,
    explained,
    fraction,
    name_ratio,
    names,
    place,
    seen,
    share,
    slope,
)
from gradcheck.checking.report import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

__all__ = ["ArrayCheck", "diagnose"]

ONE_LAYER = "one example and one layer at a time"


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
        told = [c for c in wrong if c.settled or np.sum(c.wrong) > 2]
        if wrong and not told:
            return *_not_finite(broken), *(_unknown(check, ONE_LAYER) for check in wrong)
        findings, unexplained = _explain(checks, told, sizes)
        return (*_not_finite(broken), *findings, *_describe(checks, unexplained))


def _prepared(check: ArrayCheck) -> ArrayCheck:
    x, a, n, error = (np.atleast_1d(np.asarray(field, np.float64)) for field in check[1:5])
    wrong = np.atleast_1d(check.wrong) & (np.isfinite(n) | ~np.isfinite(a))
    settled = check.settled or bool(np.isfinite(n).all())
    return ArrayCheck(check.name, x, a, n, error, wrong, settled)


def _forward(checks: list[ArrayCheck]) -> list[ArrayCheck]:
    """Sort W1, W2, b1, b2 by layer, weights first; keep the order if names do not number layers.

    In ``hidden[0], hidden[1], output[0], output[1]`` each number has two weights: no layer.
    """
    numbers = [int(number) for c in checks for number in re.findall(r"\d+", c.name)[:1]]
    if len(numbers) < len(checks):
        return checks
    weights = [number for number, c in zip(numbers, checks, strict=True) if c.x.ndim > 1]
    if len(set(weights)) < len(weights):
        return checks
    order = sorted(range(len(checks)), key=lambda i: (numbers[i], -checks[i].x.ndim))
    return [checks[i] for i in order]


def _not_finite(broken: Sequence[ArrayCheck]) -> list[Finding]:
    if not broken:
        return []
    counts = [f"{np.sum(~np.isfinite(c.analytic))} of {c.analytic.size}" for c in broken]
    evidence = f"a is NaN or infinite in {', '.join(counts)} entries"
    look_at = "log(0), 0 / 0, an exp that overflows, an array from np.empty that was never filled"
    if len(broken) > 1:
        look_at += f"; going backwards, {broken[-1].name} is the first"
    return [Finding(names(broken), "not finite", evidence, look_at)]


def _explain(
    checks: Sequence[ArrayCheck], wrong: Sequence[ArrayCheck], sizes: Sequence[int]
) -> tuple[list[Finding], list[ArrayCheck]]:
    """Explain all wrong arrays by one bug, else each by its own; return those still unexplained."""
    local = [check for check in wrong if place(check)[0]]
    if len(wrong) > 1 and len(local) <= len(wrong) / 2:
        others = [check for check in checks if all(check is not w for w in wrong)]
        name = names(wrong) if any(c.analytic.any() for c in others) else "every array"
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
        for fields in zip(*(c[1:6] for c in spared), strict=True)
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
    unexplained = {check.name for check in left}
    right = {check.name for check in checks if check.settled and not check.wrong.any()}
    alive = [c for c in checks if c.wrong.any() or (c.name in right and c.analytic.any())]
    below = len(left) > 1 and unexplained == {check.name for check in alive[: len(left)]}
    later = alive[len(left) :]
    layers = [(w, b) for w, b in pairwise(checks) if _is_bias(b, w)]
    weights = [w for w, b in layers if w.name in unexplained and b.name in right]
    biases = [b for w, b in layers if b.name in unexplained and w.name in right]
    local = [_local(check) for check in left[::-1] if place(check)[0]]
    if len(local) == len(left) and not below:
        return _merge(local)
    if len(weights) == len(left):
        return [_weights_only(weights)]
    if len(biases) == len(left):
        return [_biases_only(biases)]
    if below and later and right.issuperset(check.name for check in later):
        return [_layer(left, later), *_merge(local)]
    if below and not later:
        everything = _join(left, "every array", spare_biases=False)
        return [_unknown(everything, "where the back-pass starts: the derivative of the output")]
    scattered = [check for check in left[::-1] if not place(check)[0]]
    return _merge(local) + [_unknown(check, ONE_LAYER) for check in scattered]


def _is_bias(b: ArrayCheck, w: ArrayCheck) -> bool:
    """Whether b is added to what w multiplies: by its shape, and by its name unless in a list."""
    named = re.search(r"(^|[^a-z])b[^.]*$", b.name, re.IGNORECASE) or b.name.endswith("]")
    return bool(named) and w.x.ndim > b.x.ndim == 1 and b.x.size == w.x.shape[-1]


def _local(check: ArrayCheck) -> Finding:
    kind, where = place(check)
    _, a, n, error = seen(check)
    ratio = slope(n, a)
    told = explained(check, ratio * n, ratio) > 1 or name_ratio(ratio, (), 0.1 * TOLERANCE)
    told = told and (error <= TOLERANCE * np.abs(a - n)).all()
    evidence = f"wrong {share(check)}" + (f", with a / n = {fraction(ratio)}" if told else "")
    others = "the others are right" if check.settled else "of those looked at, the others are right"
    look_at = f"{others}: an index off by one, or a line that treats this one apart"
    return Finding(where, kind, evidence, look_at)


def _weights_only(weights: Sequence[ArrayCheck]) -> Finding:
    evidence = f"{names(weights)} wrong, the biases of the same layers right"
    if all(_is_outer_product(check.analytic - check.numerical) for check in weights):
        evidence += "; a - n is one outer product, as if one example were left out or came twice"
    look_at = (
        "delta, the slope of the layer's sums, is right, since the biases are: look at what "
        "multiplies it in this line"
    )
    return Finding(names(weights), "weights only", evidence, look_at)


def _is_outer_product(gap: NDArray[Any]) -> bool:
    if gap.ndim != 2 or min(gap.shape) < 3:
        return False
    i, j = np.unravel_index(np.abs(gap).argmax(), gap.shape)
    left = gap - np.outer(gap[:, j], gap[i]) / gap[i, j]
    return bool(np.abs(left).max() <= TOLERANCE * np.abs(gap[i, j]))


def _biases_only(biases: Sequence[ArrayCheck]) -> Finding:
    evidence = f"{names(biases)} wrong, the weights of the same layers right"
    look_at = (
        "delta, the slope of the layer's sums, is right, since the weights are: look at the sum "
        "over examples in this line"
    )
    return Finding(names(biases), "biases only", evidence, look_at)


def _layer(left: Sequence[ArrayCheck], later: Sequence[ArrayCheck]) -> Finding:
    first, after = left[-1].name, later[0].name
    evidence = f"wrong: {names(left)}; right: {names(later)}"
    look_at = (
        f"going backwards, {first} is the first that is wrong: look at the lines that come between "
        f"{after} and {first}, the weights and the derivative by which delta, the slope of a "
        "layer's sums, is multiplied"
    )
    return Finding(names(left), "layer", evidence, look_at)


def _unknown(check: ArrayCheck, look_at: str) -> Finding:
    _, a, n, _ = seen(check)
    off = 100 * np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))
    size = f"by {np.median(off):.3g} % (median) to {off.max():.3g} %"
    evidence = f"no bug that we know fits; wrong {share(check)}, {size}"
    return Finding(names([check]), "unknown", evidence, look_at)
