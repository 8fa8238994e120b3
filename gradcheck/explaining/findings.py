"""Name the classical bug that explains the wrong entries of a gradient.

First one bug for all wrong arrays together, then each array by its own. What no hypothesis explains
is described by where it lies: one entry, one row, from one layer down; or by the bare facts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.explaining.hypotheses import (
    MIXTURES,
    ORDERS,
    STRICT,
    TOLERANCE,
    VALUES,
    ArrayCheck,
    Finding,
    constant,
    explained,
    fraction,
    name_ratio,
    names,
    place,
    seen,
    share,
    throughout,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from gradcheck.explaining.hypotheses import Hypothesis

__all__ = ["ArrayCheck", "diagnose"]

FEW = 5  # wrong entries that are named one by one
ONE_LAYER = "one example and one layer at a time"
OUTPUT = "where the back-pass starts: the derivative of the output"
ORDER = (
    "the first of these that the back-pass fills in; a fault between two layers shows only if "
    "`x0` lists its arrays in forward order"
)
EITHER = "; another bug fits as well: check at other weights, or without a penalty, to tell"


def diagnose(
    arrays: Sequence[ArrayCheck], batch_sizes: Collection[int] = ()
) -> tuple[Finding, ...]:
    """Name the bugs that explain the wrong entries, the most telling first.

    Parameters
    ----------
    arrays : sequence of ArrayCheck
        The arrays of the parameters in forward order: W1, b1, W2, b2, ...
    batch_sizes : collection of int
        Lengths that may be N, the number of examples, the most likely first.

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
    sizes = list(dict.fromkeys(int(size) for size in batch_sizes if size > 1))
    with np.errstate(all="ignore"):
        checks = _forward([_prepared(check) for check in arrays])
        broken = [check for check in checks if not np.isfinite(check.analytic).all()]
        wrong = [c for c in checks if c.wrong.any() and np.isfinite(c.analytic).all()]
        told = [c for c in wrong if c.settled or np.sum(c.wrong) > 2]
        if wrong and not told:
            return *_not_finite(broken), *_describe(checks, wrong)
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
    if len(wrong) > 1 and len(local) <= len(wrong) / 2 and any(map(throughout, wrong)):
        others = [check for check in checks if all(check is not w for w in wrong)]
        name = names(wrong) if any(c.analytic.any() for c in others) else "every array"
        for spare_biases in (False, True):
            joined = _join(wrong, name, spare_biases)
            if findings := _fitting(joined, sizes, VALUES) or _fitting(joined, sizes, MIXTURES):
                return findings, []
    findings, unexplained = [], []
    for check in wrong[::-1]:
        found = _fitting(check, sizes, VALUES + ORDERS) or _fitting(check, sizes, MIXTURES)
        found = found or _mixed_up(check, checks)
        findings += found
        unexplained += [] if found else [check]
    return _merge(findings), unexplained[::-1]


def _fitting(
    check: ArrayCheck, sizes: Sequence[int], hypotheses: Sequence[Hypothesis]
) -> list[Finding]:
    found = [finding for explain in hypotheses if (finding := explain(check, sizes))]
    if len(found) < 2:
        return found
    return [finding._replace(look_at=finding.look_at + EITHER) for finding in found]


def _mixed_up(check: ArrayCheck, checks: Sequence[ArrayCheck]) -> list[Finding]:
    """Whether the array holds what belongs into another one of its shape."""
    for other in checks:
        if other is not check and other.x.shape == check.x.shape:
            both = check.wrong & np.isfinite(other.numerical)
            common = check._replace(wrong=both, error=np.maximum(check.error, other.error))
            if both.any() and (told := explained(common, other.numerical[both])) > 1:
                evidence = f"a = n of {other.name}, shown by {told} entries"
                look_at = "two arrays that took each other's place: the order or names of a return"
                return [Finding(names([check]), "mixed up", evidence, look_at)]
    return []


def _join(checks: Sequence[ArrayCheck], name: str, spare_biases: bool = False) -> ArrayCheck:
    """Lay arrays end to end; `spare_biases` keeps the L2 term off the biases (x = 0).

    Of the entries that were not looked at, one stands for all: a sample needs little memory.
    """
    kept = [np.isfinite(c.numerical).ravel() for c in checks]
    for known in kept:
        known[np.argmin(known)] = True
    spared = [c._replace(x=0 * c.x) if spare_biases and c.x.ndim == 1 else c for c in checks]
    x, a, n, error, wrong = (
        np.concatenate([field.ravel()[known] for field, known in zip(fields, kept, strict=True)])
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
        told = {f.where: f.evidence for f in (first, *more)}
        alike = {re.sub(r"[\d,]+ (of|entries)\b", "", evidence) for evidence in told.values()}
        evidence = "; ".join(f"{where}: {evidence}" for where, evidence in told.items())
        if len(alike) == 1:
            evidence = f"{first.where}: {first.evidence}; the others alike"
        evidence = evidence if more else first.evidence
        merged.append(first._replace(where=", ".join(told), evidence=evidence))
    return merged


def _describe(checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck]) -> list[Finding]:
    """Say where the entries lie that no hypothesis explains, and what that tells of the fault."""
    local = [_local(check) for check in left[::-1] if place(check)[0]]
    rest = [check for check in left if not place(check)[0]]
    return _merge(local) + ([_pattern(checks, rest)] if rest else [])


def _pattern(checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck]) -> Finding:
    """Read from which arrays are wrong, and which right, where the fault lies; else say only that.

    A few wrong entries in an array tell nothing of its layer.
    """
    wrong = [check.name for check in left]
    right = [c.name for c in checks if c.settled and not c.wrong.any() and c.analytic.any()]
    known = [c.name for c in checks if c.wrong.any() or c.name in right]
    later = known[len(wrong) :]
    if not any(_few(check) for check in left):
        layers = _layers(checks)
        biases = {w: b for weights, b in layers for w in weights}
        weights = {b: weights for weights, b in layers}
        if all(biases.get(name) in right for name in wrong):
            others = dict.fromkeys(biases[name] for name in wrong)
            return _half(left, "weights only", others, "what multiplies it in this line")
        if all(name in weights and {*weights[name]} <= {*right} for name in wrong):
            others = dict.fromkeys(w for name in wrong for w in weights[name])
            return _half(left, "biases only", others, "the sum over examples in this line")
        below = len(wrong) > 1 and wrong == known[: len(wrong)] and {*later} <= {*right}
        if below and all(throughout(check) for check in left):
            if all(c.settled or c.wrong.any() for c in checks) and not later:
                return _facts([_join(left, "every array")], right, OUTPUT)
            border = wrong[-1] in weights or later[:1] in [w[:1] for w in weights.values()]
            if later and border and any(check.x.ndim > 1 for check in left):
                return _layer(wrong, later)
    return _facts(left, right, ORDER if len(left) > 1 else ONE_LAYER)


def _layers(checks: Sequence[ArrayCheck]) -> list[tuple[list[str], str]]:
    """Return the weights of each layer and the bias that follows them.

    A bias is as long as an outer axis of its weights, is called so or has no name, and is not
    followed by its like: that would be the scale and the shift of a normalisation.
    """
    layers = []
    for i, b in enumerate(checks):
        named = re.search(r"(^|[^a-z])b(?!eta|n)[^.]*$", b.name, re.IGNORECASE)
        like = i + 1 < len(checks) and checks[i + 1].x.shape == b.x.shape
        if b.x.ndim == 1 and not like and (named or b.name.endswith("]")):
            first = i
            while first and b.x.size in _outer(checks[first - 1]):
                first -= 1
            layers += [([w.name for w in checks[first:i]], b.name)] if first < i else []
    return layers


def _outer(w: ArrayCheck) -> tuple[int, ...]:
    return (w.x.shape[0], w.x.shape[-1]) if w.x.ndim > 1 else ()


def _local(check: ArrayCheck) -> Finding:
    kind, where = place(check)
    look_at = "the others are right: an index off by one, or a line that treats this one apart"
    return Finding(where, kind, f"wrong {share(check)}{_shared_ratio(check)}", look_at)


def _shared_ratio(check: ArrayCheck) -> str:
    """Return ", with a / n = -1" where a few entries share a ratio, or it has a meaning."""
    _, a, n, error = seen(check)
    ratio = constant(n, a)
    told = explained(check, ratio * n, ratio) > 1 or name_ratio(ratio, (), tolerance=STRICT)
    told = told and (error <= TOLERANCE * np.abs(a - n)).all()
    return f", with a / n = {fraction(ratio)}" if told else ""


def _half(wrong: Sequence[ArrayCheck], bug: str, right: Iterable[str], line: str) -> Finding:
    evidence = f"wrong: {names(wrong)}; right: {', '.join(right)}"
    if all(_is_outer_product(check.analytic - check.numerical) for check in wrong):
        evidence += "; a - n is one outer product, as if one example were left out or came twice"
    look_at = (
        "if the bias is added straight to what the weights give, delta, the slope of the layer's "
        f"sums, is right: look at {line}; if something comes in between (a batch norm), look there"
    )
    return Finding(names(wrong), bug, evidence, look_at)


def _is_outer_product(gap: NDArray[Any]) -> bool:
    if gap.ndim != 2 or min(gap.shape) < 3:
        return False
    i, j = np.unravel_index(np.abs(gap).argmax(), gap.shape)
    left = gap - np.outer(gap[:, j], gap[i]) / gap[i, j]
    return bool(np.abs(left).max() <= TOLERANCE * np.abs(gap[i, j]))


def _layer(wrong: Sequence[str], later: Sequence[str]) -> Finding:
    first, after = wrong[-1], later[0]
    evidence = f"wrong: {', '.join(wrong)}; right: {', '.join(later)}"
    look_at = (
        f"going backwards, {first} is the first that is wrong: look at the lines that come between "
        f"{after} and {first}, the weights and the derivative by which delta, the slope of a "
        "layer's sums, is multiplied"
    )
    return Finding(", ".join(wrong), "layer", evidence, look_at)


def _facts(left: Sequence[ArrayCheck], right: Sequence[str], look_at: str) -> Finding:
    """Say what is wrong, entry by entry where it is a few, by how much, and what is right."""
    wrong = ", ".join(f"{c.name} {share(c)}{_few(c)}" for c in left)
    if len(left) == 1:
        wrong = f"{share(left[0])}{_few(left[0])}"
    a, n = (np.concatenate(fields) for fields in zip(*(seen(c)[1:3] for c in left), strict=True))
    off = 100 * np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))
    evidence = f"no bug that we know fits; wrong {wrong}, "
    evidence += f"by {np.median(off):.3g} % (median) to {off.max():.3g} %"
    evidence += f"; right: {', '.join(right)}" if right else ""
    return Finding(names(left), "unknown", evidence, look_at)


def _few(check: ArrayCheck) -> str:
    """Return ": [2, 0], [3, 1], with a / n = -1", where so few are wrong that each can be named."""
    places = np.argwhere(check.wrong).tolist()
    if throughout(check) or len(places) > FEW:
        return ""
    return f": {', '.join(map(str, places))}{_shared_ratio(check)}"
