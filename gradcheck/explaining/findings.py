"""Name the bug that explains the wrong entries of a gradient, or say where they lie.

First one bug for all wrong arrays together, then each array by its own, then its wrong part. What
no hypothesis explains is described by where it lies: one row, a block, from one layer down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.explaining.hypotheses import (
    LINES,
    MIXTURES,
    ORDERS,
    STRICT,
    TOLERANCE,
    TWO_WAYS,
    VALUES,
    ArrayCheck,
    Context,
    Finding,
    constant,
    explained,
    fraction,
    name_ratio,
)
from gradcheck.explaining.layers import bias_of, levels, roles, vector
from gradcheck.explaining.places import BLOCK, LINE, ROWS, places, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from gradcheck.explaining.hypotheses import Hypothesis
    from gradcheck.explaining.places import Place

__all__ = ["ArrayCheck", "diagnose"]

FEW = 5  # wrong entries that are named one by one
SMALL = 1e-3  # an error of less of its size may be one of precision
GULF = 10  # and is told apart from others that are so many times larger
EITHER = "; another bug fits as well: check at other weights, or without a penalty, to tell"


def diagnose(
    arrays: Sequence[ArrayCheck],
    batch_sizes: Collection[int] = (),
    integers: Sequence[NDArray[Any]] = (),
) -> tuple[Finding, ...]:
    """Name the bugs that explain the wrong entries, the most telling first.

    Parameters
    ----------
    arrays : sequence of ArrayCheck
        The arrays of the parameters.
    batch_sizes : collection of int
        Lengths that may be N, the number of examples, the most likely first.
    integers : sequence of arrays, optional
        Data that may be indices into a parameter.

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
        checks = [_prepared(check) for check in arrays]
        broken = [check for check in checks if not np.isfinite(check.analytic).all()]
        wrong = [c for c in checks if c.wrong.any() and np.isfinite(c.analytic).all()]
        told = [c for c in wrong if c.settled or np.sum(c.wrong) > 2]
        if not told:
            return *_not_finite(broken), *_describe(checks, wrong)
        findings, unexplained = _explain(checks, told, sizes, integers)
        return (*_not_finite(broken), *findings, *_describe(checks, unexplained))


def _prepared(check: ArrayCheck) -> ArrayCheck:
    x, a, n, error = (np.atleast_1d(np.asarray(field, np.float64)) for field in check[1:5])
    wrong = np.atleast_1d(check.wrong) & (np.isfinite(n) | ~np.isfinite(a))
    return ArrayCheck(
        check.name, x, a, n, error, wrong, check.settled or bool(np.isfinite(n).all())
    )


def _names(checks: Sequence[ArrayCheck]) -> str:
    return ", ".join(check.where for check in checks)


def _not_finite(broken: Sequence[ArrayCheck]) -> list[Finding]:
    if not broken:
        return []
    counts = [f"{np.sum(~np.isfinite(c.analytic))} of {c.analytic.size}" for c in broken]
    evidence = f"a is NaN or infinite in {', '.join(counts)} entries"
    look_at = "log(0), 0 / 0, an exp that overflows, an array from np.empty that was never filled"
    if len(broken) > 1:
        look_at += f"; going backwards, {broken[-1].where} is the first"
    return [Finding(_names(broken), "not finite", evidence, look_at)]


def _explain(
    checks: Sequence[ArrayCheck],
    wrong: Sequence[ArrayCheck],
    sizes: Sequence[int],
    integers: Sequence[NDArray[Any]],
) -> tuple[list[Finding], list[ArrayCheck]]:
    """Explain all wrong arrays by one bug, else each by its own; return those still unexplained."""
    whole = not any(check.right for check in checks)
    lengths = sorted({n for c in checks for n in (*c.x.shape, c.x.size)} - {1, *sizes})
    local = [check for check in wrong if places(check)]
    if len(wrong) > 1 and len(local) <= len(wrong) / 2 and any(c.throughout for c in wrong):
        name = "every array" if whole else _names(wrong)
        context = Context(
            sizes, lengths, whole, norm=float(np.sqrt(sum(np.sum(c.analytic**2) for c in wrong)))
        )
        for spare_biases in (False, True):
            joined = _join(wrong, name, spare_biases)
            if findings := _fitting(joined, context, VALUES, MIXTURES):
                return findings, []
    contexts = [
        Context(sizes, lengths, whole and len(wrong) == 1, norm=float(np.linalg.norm(c.analytic)))
        for c in wrong
    ]
    findings, left = [], []
    for check, context in zip(wrong[::-1], contexts[::-1], strict=True):
        found = _all_of(check, checks, context)
        findings += found
        left += [] if found else [(check, context)]
    if layer := _layer(checks, [check for check, _ in left[::-1]]):
        return [*_merge(findings), layer], []
    unexplained = []
    for check, context in left:
        found, rest = _parts_of(check, checks, context, integers)
        findings += found
        unexplained += rest
    return _merge(findings), unexplained[::-1]


def _all_of(check: ArrayCheck, checks: Sequence[ArrayCheck], context: Context) -> list[Finding]:
    """Explain all that is wrong in one array."""
    found = _fitting(check, context, VALUES + ORDERS, MIXTURES) or _mixed_up(check, checks)
    if not found and (small := _small(check)) is not None and small[check.wrong].all():
        return [_rounding(check)]
    return found


def _parts_of(
    check: ArrayCheck,
    checks: Sequence[ArrayCheck],
    context: Context,
    integers: Sequence[NDArray[Any]],
) -> tuple[list[Finding], list[ArrayCheck]]:
    """Explain parts of an array: rows, columns, blocks, or what is off by much and by little."""
    if found := _fitting(check, context, LINES, TWO_WAYS) if not places(check) else []:
        return found, []
    if (small := _small(check)) is not None:
        # the small ones are neither proof nor contradiction of what explains the large
        few = check._replace(wrong=check.wrong & small)
        error = np.where(few.wrong, np.inf, check.error)
        large = check._replace(wrong=check.wrong & ~small, error=error)
        if found := _all_of(large, checks, context):
            return [*found, _rounding(few)], []
        found, rest = _parts_of(large, checks, context, integers)
        return [*found, _rounding(few)], rest
    here = context._replace(whole=False, part=True)
    parts = [f for place in places(check) for f in _part(check, place, here, integers)]
    return parts, [] if parts else [check]


def _fitting(check: ArrayCheck, context: Context, *tables: Sequence[Hypothesis]) -> list[Finding]:
    """Return what the first of the tables says in which a hypothesis fits."""
    for table in tables:
        if found := [finding for explain in table if (finding := explain(check, context))]:
            if len(found) < 2:
                return found
            return [finding._replace(look_at=finding.look_at + EITHER) for finding in found]
    return []


def _part(
    check: ArrayCheck, place: Place, context: Context, integers: Sequence[NDArray[Any]]
) -> list[Finding]:
    """Explain the part of an array in which all that is wrong lies, or say which part it is.

    That it is one row tells more than that the row has a ratio.
    """
    part, kind = place.part, place.kind
    if kind in (*LINE, "block"):
        found = _fitting(part, context, VALUES + ORDERS, MIXTURES, LINES)
        if kind in LINE:
            ratios = ("sign", "factor", "batch size", "clipped", "mask")
            found = [finding for finding in found if finding.bug not in ratios]
        if found:
            shared = f"; {BLOCK}" if place.look_at is BLOCK else ""
            return [finding._replace(look_at=finding.look_at + shared) for finding in found]
    repeated = _repeated(check, integers) if place.look_at is ROWS else ""
    evidence = f"wrong {check.share}{_shared(part)}"
    if repeated:
        return [Finding(part.name, "repeated index", f"{evidence}; {repeated}", REPEATED)]
    return [Finding(part.name, kind, evidence, place.look_at)]


def _repeated(check: ArrayCheck, integers: Sequence[NDArray[Any]]) -> str:
    """Say whether the wrong rows are those whose index comes more than once in the data."""
    rows = set(np.flatnonzero(check.wrong.reshape(check.x.shape[0], -1).any(axis=1)).tolist())
    for index in integers:
        lines = index.reshape(len(index), -1) if index.ndim > 1 else index[None]
        several = [np.unique(line, return_counts=True) for line in (index.ravel()[None], lines)
                   for line in line]  # fmt: skip
        for found in (several[:1], several[1:]):
            twice = {int(v) for values, counts in found for v in values[counts > 1]}
            if twice == rows and len(np.unique(index)) > len(rows):
                return "these are the rows whose index comes more than once in `args`"
    return ""


def _small(check: ArrayCheck) -> NDArray[np.bool_] | None:
    """Return which entries are off by little, where these are all or stand far from the rest."""
    _, a, n, _ = check.seen
    gap, own = np.abs(a - n), np.maximum(np.abs(a), np.abs(n))
    values = check.numerical[check.alive]
    typical = float(np.sqrt(np.mean(values**2)))
    size = np.maximum(own, typical)
    little = gap <= SMALL * size
    off = (gap / own)[little]
    if not little.any() or np.median(off) > SMALL:
        return None
    if not little.all():
        rest = gap[~little] / size[~little]
        near = rest.min() < GULF * (gap / size)[little].max()
        if little.sum() < 3 or near or (gap / own)[~little].min() < GULF * off.max():
            return None
    small = np.zeros(check.wrong.shape, np.bool_)
    small[check.wrong] = little
    return small


def _rounding(check: ArrayCheck) -> Finding:
    return Finding(check.where, "small error", f"wrong {check.share}, {_off([check])}", PRECISION)


def _mixed_up(check: ArrayCheck, checks: Sequence[ArrayCheck]) -> list[Finding]:
    """Whether the array holds what belongs into another one of its shape."""
    for other in checks:
        if other is not check and other.x.shape == check.x.shape:
            both = check.wrong & other.known
            common = check._replace(wrong=both, error=np.maximum(check.error, other.error))
            if both.any() and (told := explained(common, other.numerical)) > 1:
                evidence = f"a = n of {other.name}, shown by {told} entries"
                look_at = "two arrays that took each other's place: the order or names of a return"
                return [Finding(check.where, "mixed up", evidence, look_at)]
    return []


def _join(checks: Sequence[ArrayCheck], name: str, spare_biases: bool = False) -> ArrayCheck:
    """Lay arrays end to end; `spare_biases` keeps the L2 term off the biases (x = 0).

    Of the entries that were not looked at, one stands for all: a sample needs little memory.
    """
    kept = [c.known.ravel() for c in checks]
    for known in kept:
        known[np.argmin(known)] = True
    role = roles(checks)
    spared = [c._replace(x=0 * c.x) if spare_biases and
              (role[c.name].bias if c.name in role else c.x.ndim == 1) else c
              for c in checks]  # fmt: skip
    x, a, n, error, wrong = (
        np.concatenate([field.ravel()[known] for field, known in zip(fields, kept, strict=True)])
        for fields in zip(*(c[1:6] for c in spared), strict=True)
    )
    return ArrayCheck(name, x, a, n, error, wrong)


def _merge(findings: Sequence[Finding]) -> list[Finding]:
    """Make one finding of those that name the same bug and place to look; most arrays first."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.bug, finding.look_at), []).append(finding)
    merged = []
    for first, *more in sorted(groups.values(), key=len, reverse=True):
        told = {f.where: f.evidence for f in (first, *more)}
        alike = {re.sub(r"[\d,]+ (of|entries)\b", "", evidence) for evidence in told.values()}
        evidence = "; ".join(f"{where}: {evidence}" for where, evidence in told.items())
        if len(alike) == 1:
            evidence = f"{first.where}: {first.evidence}; the others alike"
        evidence = evidence if more else first.evidence
        merged.append(first._replace(where=", ".join(told), evidence=evidence))
    return merged


# --- where no hypothesis fits ---------------------------------------------------------------------


def _describe(checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck]) -> list[Finding]:
    """Read from which arrays are wrong, and which right, where the fault lies; else say only that.

    A few wrong entries in an array tell nothing of its layer.
    """
    if not left:
        return []
    wrong = [check.name for check in left]
    right = [c.name for c in checks if c.right]
    whole = not right and len(left) == len([c for c in checks if c.alive.any() or not c.settled])
    facts = _facts([_join(left, "every array")] if whole and len(left) > 1 else left, right)
    if any(_strewn(c) for c in left):
        scattered = facts._replace(bug="some entries", look_at=SCATTERED)
        return [scattered if len(left) == 1 or right else facts]
    known = roles(checks)
    biases = {name: bias for name in known if (bias := bias_of(name, known))}
    weights = {b: [w for w in biases if biases[w] == b] for b in biases.values()}
    if all(biases.get(name) in right for name in wrong):
        return [_half(left, "weights only", dict.fromkeys(biases[n] for n in wrong), DELTA_RIGHT)]
    if all(name in weights and {*weights[name]} <= {*right} for name in wrong):
        others = dict.fromkeys(w for name in wrong for w in weights[name])
        return [_half(left, "biases only", others, SUM_WRONG)]
    if right and all(c.settled for c in left):
        return [facts._replace(bug="these arrays only", look_at=ARRAYS)]
    return [facts._replace(look_at=EVERY if whole and len(left) > 1 else NEXT)]


def _layer(checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck]) -> Finding | None:
    """Say between which layers the fault lies, where all is wrong from one of them down."""
    if (told := levels(checks)) is None or not all(c.throughout for c in left):
        return None
    depth, numbered = dict(zip((c.name for c in checks), told[0], strict=True)), told[1]
    wrong = sorted((c.name for c in left), key=lambda name: depth[name])
    later = sorted((c.name for c in checks if c.right), key=lambda name: depth[name])
    others = any(c.wrong.any() for c in checks if c.name not in wrong)
    if len(wrong) < 2 or others or not later or depth[wrong[-1]] >= depth[later[0]]:
        return None
    first, after = wrong[-1], later[0]
    if all(vector(c) for c in left if depth[c.name] == depth[first]):
        return None
    evidence = f"wrong: {', '.join(wrong)}; right: {', '.join(later)}"
    look_at = (
        f"going backwards, {first} is the first that is wrong: look at the lines that come between "
        f"{after} and {first}: the weights and the derivative by which delta, the slope of a "
        "layer's sums, is multiplied, or a term of the loss (or a step in time) that joins here"
    )
    if not numbered:
        look_at = f"if the layers follow one another as `x0` lists them: {look_at}"
    return Finding(", ".join(wrong), "layer", evidence, look_at)


def _half(wrong: Sequence[ArrayCheck], bug: str, right: Iterable[str], look_at: str) -> Finding:
    evidence = f"wrong: {_names(wrong)}; right: {', '.join(right)}"
    if all(_is_outer_product(check.analytic - check.numerical) for check in wrong):
        evidence += "; a - n is one outer product, as if one example were left out or came twice"
    return Finding(_names(wrong), bug, evidence, look_at)


def _is_outer_product(gap: NDArray[Any]) -> bool:
    if gap.ndim != 2 or min(gap.shape) < 3:
        return False
    i, j = np.unravel_index(np.abs(gap).argmax(), gap.shape)
    left = gap - np.outer(gap[:, j], gap[i]) / gap[i, j]
    return bool(np.abs(left).max() <= TOLERANCE * np.abs(gap[i, j]))


def _facts(left: Sequence[ArrayCheck], right: Sequence[str]) -> Finding:
    """Say what is wrong, entry by entry where it is a few, by how much, and what is right."""
    wrong = ", ".join(f"{c.name} {c.share}{_few(c)}" for c in left)
    if len(left) == 1:
        wrong = f"{left[0].share}{_few(left[0])}"
    evidence = f"no bug that we know fits; wrong {wrong}, {_off(left)}"
    evidence += f"; right: {', '.join(right)}" if right else ""
    return Finding(_names(left), "unknown", evidence, NEXT)


def _off(checks: Sequence[ArrayCheck]) -> str:
    """Return "by 3 % (median) to 20 %", or less where that says all."""
    a, n = (np.concatenate(fields) for fields in zip(*(c.seen[1:3] for c in checks), strict=True))
    off = 100 * np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))
    middle, most = f"{np.median(off):.3g} %", f"{off.max():.3g} %"
    return f"by {middle}" if middle == most else f"by {middle} (median) to {most}"


def _strewn(check: ArrayCheck) -> bool:
    """Whether a good part of an array is right, and strewn among what is wrong."""
    alive, right = np.sum(check.alive), np.sum(check.alive & ~check.wrong & shown(check))
    return bool(check.settled and right > 1 and 5 * right >= alive)


def _few(check: ArrayCheck) -> str:
    """Return ": [2, 0], [3, 1], with a / n = -1", where so few are wrong that each can be named."""
    places = np.argwhere(check.wrong).tolist()
    if not _strewn(check):
        return ""
    named = len(places) <= FEW
    return f": {', '.join(map(str, places))}{_shared(check)}" if named else _shared(check)


def _shared(check: ArrayCheck) -> str:
    """Return ", with a / n = -1" where a few entries share a ratio, or it has a meaning."""
    _, a, n, error = check.seen
    ratio = constant(n, a)
    here = check.part(check.wrong, check.name)
    told = explained(here, ratio * here.numerical, ratio) > 1
    told = told or bool(name_ratio(ratio, Context(), tolerance=STRICT))
    if not a.any():
        return ", where a is exactly 0"
    told = told and (error <= TOLERANCE * np.abs(a - n)).all()
    return f", with a / n = {fraction(ratio)}" if told else ""


SCATTERED = (
    "the others are right: what decides which are wrong? A mask, a branch, a label, an index, a "
    "tie; print them beside the parameters and the data"
)
ARRAYS = (
    "what these arrays share and the others do not: the lines that fill them in, and a slope that "
    "reaches them alone"
)
EVERY = (
    "what all of them take: the slope of the loss by the output, or the slope carried from step to "
    "step; check each function alone (`check_backward`)"
)
NEXT = (
    "one example, one term of the loss and one function at a time (`check_backward`): the part "
    "that passes is not it"
)
DELTA_RIGHT = (
    "if the bias is added straight to what the weights give, delta, the slope of the layer's sums, "
    "is right: look at what multiplies it in this line, or at a penalty on these weights; if "
    "something comes in between (a batch norm), look there"
)
SUM_WRONG = (
    "if the bias is added straight to what the weights give, delta, the slope of the layer's sums, "
    "is right: look at the sum over examples in this line; if something comes in between (a batch "
    "norm), look there"
)
REPEATED = (
    "an index that repeats: written, not added (`G[i] += d` adds once, np.add.at each time)? Or "
    "averaged, divided by the count?"
)
PRECISION = (
    "so small an error is often one of precision: a safety epsilon in one of the two only, a "
    "rounded constant, the tolerance of a solver, float32; else a term that is small at this point"
)
