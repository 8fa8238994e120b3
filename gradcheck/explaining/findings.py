"""Name the bug that explains the wrong entries of a gradient, or say where they lie.

First one bug for all wrong arrays together, then each array by its own, then its wrong part. What
no hypothesis explains is described by where it lies: one row, a block, from one layer down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradcheck.explaining import words
from gradcheck.explaining.evidence import (
    STRICT,
    TOLERANCE,
    ArrayCheck,
    Context,
    Finding,
    constant,
    explained,
    fraction,
)
from gradcheck.explaining.hypotheses import (
    LINES,
    MIXTURES,
    ORDERS,
    TWO_WAYS,
    VALUES,
    WHOLE,
    name_ratio,
    reordered,
    sorted_order,
)
from gradcheck.explaining.layers import bias_of, levels, roles, vector
from gradcheck.explaining.places import BOXES, LINE, Place, places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from gradcheck.explaining.hypotheses import Hypothesis

__all__ = ["ArrayCheck", "diagnose"]

FEW = 5  # wrong entries that are named one by one
SMALL = 1e-3  # an error of less of its size may be one of precision
GULF = 10  # and is told apart from others that are so many times larger
EITHER = "; another bug fits as well: check at other weights, or without a penalty, to tell"
RATIOS = ("sign", "factor", "batch size", "clipped", "mask")  # less telling than "one row"


def diagnose(
    arrays: Sequence[ArrayCheck],
    batch_sizes: Collection[int] = (),
    integers: Sequence[NDArray[Any]] = (),
    data: str = "`args`",
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
    data : str, optional
        Where these were found.

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
        off = np.concatenate([check.off for check in checks] or [np.ones(0)])
        part = min(0.3, float(np.median(off))) if off.size else 0.3
        checks = [check._replace(settled=check.settled and check.clear(part)) for check in checks]
        lengths = sorted({n for c in checks for n in (*c.x.shape, c.x.size)} - {0, 1, *sizes})
        return Diagnosis(checks, Context(sizes, lengths, data=data), integers).findings()


def _prepared(check: ArrayCheck) -> ArrayCheck:
    x, a, n, error = (np.atleast_1d(np.asarray(field, np.float64)) for field in check[1:5])
    wrong = np.atleast_1d(check.wrong) & (np.isfinite(n) | ~np.isfinite(a))
    settled = check.settled or bool(np.isfinite(n).all())
    return ArrayCheck(check.name, x, a, n, error, wrong, settled, moves=check.moves)


class Diagnosis(NamedTuple):
    """All arrays, and what else may be known of the gradient."""

    checks: Sequence[ArrayCheck]
    context: Context
    integers: Sequence[NDArray[Any]]

    def findings(self) -> tuple[Finding, ...]:
        """Name the bugs, one for all wrong arrays or one for each; describe what is left."""
        finite = [bool(np.isfinite(c.analytic).all()) for c in self.checks]
        broken = [c for c, fine in zip(self.checks, finite, strict=True) if not fine]
        wrong = [c for c, fine in zip(self.checks, finite, strict=True) if fine and c.wrong.any()]
        found = _not_finite(broken)
        if not any(c.settled or np.sum(c.wrong) > 2 for c in wrong):
            return *found, *_describe(self.checks, wrong)
        told = [c for c in wrong if c.settled or np.sum(c.wrong) > 2]
        if joined := self._one_for_all(told):
            return *found, *joined
        own, left = [], []
        for check in told[::-1]:
            said = self._all_of(check, self._context_of(check, told))
            own += said
            left += [] if said else [check]
        settled = {c.name for c in told} - {c.name for c in left}
        several = [c for c in wrong if c.name not in settled]
        if together := _centred(wrong, left) or _moved(several) or _layer(self.checks, several):
            names = together.where.split(", ")
            own = [*(f for f in own if f.where not in names), together]
            left = [check for check in left if check.name not in names]
        unexplained = []
        for check in left:
            said, rest = self._parts_of(check, self._context_of(check, told))
            own += said
            unexplained += rest
        return *found, *_merge(own), *_describe(self.checks, unexplained[::-1])

    @property
    def whole(self) -> bool:
        """Whether nothing is right."""
        return not any(check.right for check in self.checks)

    def _context_of(self, check: ArrayCheck, wrong: Sequence[ArrayCheck]) -> Context:
        norm = float(np.linalg.norm(check.analytic))
        return self.context._replace(whole=self.whole and len(wrong) == 1, norm=norm)

    def _one_for_all(self, wrong: Sequence[ArrayCheck]) -> list[Finding]:
        """Explain all wrong arrays by one bug."""
        local = [check for check in wrong if places(check)]
        if len(wrong) < 2 or 2 * len(local) > len(wrong) or not any(c.throughout for c in wrong):
            return []
        norm = float(np.sqrt(sum(np.sum(c.analytic**2) for c in wrong)))
        context = self.context._replace(whole=self.whole, norm=norm)
        for spare_biases in (False, True):
            joined = _join(wrong, "every array" if self.whole else _names(wrong), spare_biases)
            if found := _fitting(joined, context, VALUES, MIXTURES):
                return found
        return []

    def _all_of(self, check: ArrayCheck, context: Context) -> list[Finding]:
        """Explain all that is wrong in one array."""
        found = _fitting(check, context, VALUES + ORDERS, MIXTURES) or self._mixed_up(check)
        if not found and (small := _small(check)) is not None and small[check.wrong].all():
            return [_rounding(check)]
        return found

    def _mixed_up(self, check: ArrayCheck) -> list[Finding]:
        """Whether the array holds what belongs into another one of its shape."""
        for other in self.checks:
            if other.name != check.name and other.x.shape == check.x.shape:
                both = check.wrong & other.known
                common = check._replace(wrong=both, error=np.maximum(check.error, other.error))
                if both.any() and (told := explained(common, other.numerical)) > 1:
                    evidence = f"a = n of {other.name}, shown by {told} entries"
                    if other.right:
                        return [Finding(check.where, "copied", evidence, words.COPIED)]
                    return [Finding(check.where, "mixed up", evidence, words.MIXED_UP)]
        return []

    def _parts_of(
        self, check: ArrayCheck, context: Context
    ) -> tuple[list[Finding], list[ArrayCheck]]:
        """Explain parts of an array: rows, blocks, or what is off by much and by little.

        Return what is left unexplained, too.
        """
        found_in = places(check)
        boxes = any(place.kind in BOXES for place in found_in)
        # what lies in one row says nothing of a mask
        if not (boxes or check.in_line) and (found := _fitting(check, context, LINES, TWO_WAYS)):
            where = found_in[0].part.where if found_in else check.where
            return [finding._replace(where=where) for finding in found], []
        if (small := _small(check)) is not None:
            # the small ones are neither proof nor contradiction of what explains the large
            few = check._replace(wrong=check.wrong & small)
            error = np.where(few.wrong, np.inf, check.error)
            large = check._replace(wrong=check.wrong & ~small, error=error)
            if found := self._all_of(large, context):
                return [*found, _rounding(few)], []
            if any(place.kind in BOXES for place in places(large)):
                found, rest = self._parts_of(large, context)
                return [*found, _rounding(few)], rest
        here = context._replace(whole=False, part=True)
        parts = [f for place in found_in for f in self._part(check, place, here)]
        return parts, [] if parts else [check]

    def _part(self, check: ArrayCheck, place: Place, context: Context) -> list[Finding]:
        """Explain the part of an array in which all that is wrong lies, or say which part it is.

        That it is one row tells more than that the row has a ratio.
        """
        part, kind = place.part, place.kind
        if kind in BOXES:
            found = _fitting(part, context, VALUES + ORDERS, MIXTURES, LINES)
            found = [f for f in found if kind not in LINE or f.bug not in RATIOS]
            shared = f"; {words.BLOCK}" if place.look_at is words.BLOCK else ""
            if found:
                return [f._replace(look_at=f.look_at + shared) for f in found]
        evidence = f"wrong {check.share}{_shared(part)}"
        if place.look_at is words.ROWS and _repeated(check, self.integers):
            evidence += "; these are the rows whose index comes more than once in "
            evidence += self.context.data
            return [Finding(part.name, "repeated index", evidence, words.REPEATED)]
        return [Finding(part.name, kind, evidence, place.look_at)]


def _fitting(check: ArrayCheck, context: Context, *tables: Sequence[Hypothesis]) -> list[Finding]:
    """Return what the first of the tables says in which a hypothesis fits."""
    thin = check.thinned()
    for table in tables:
        found = [
            finding
            for explain in table
            if (finding := explain(check if explain in WHOLE else thin, context))
        ]
        if len(found) > 1:
            return [finding._replace(look_at=finding.look_at + EITHER) for finding in found]
        if found:
            return found
    return []


def _repeated(check: ArrayCheck, integers: Sequence[NDArray[Any]]) -> bool:
    """Whether the wrong rows are those whose index comes more than once in the data."""
    rows = set(np.flatnonzero(check.wrong.reshape(check.x.shape[0], -1).any(axis=1)).tolist())
    for index in integers:
        lines = index.reshape(len(index), -1) if index.ndim > 1 else index[None]
        for group in (index.reshape(1, -1), lines):  # in all of it, or in one line
            counted = [np.unique(line, return_counts=True) for line in group]
            twice = {int(v) for values, counts in counted for v in values[counts > 1]}
            if twice == rows and len(np.unique(index)) > len(rows):
                return True
    return False


def _small(check: ArrayCheck) -> NDArray[np.bool_] | None:
    """Return which entries are off by little, where these are all or stand far from the rest."""
    _, a, n, _ = check.seen
    gap, own = np.abs(a - n), np.maximum(np.abs(a), np.abs(n))
    typical = float(np.sqrt(np.mean(check.numerical[check.alive] ** 2)))
    size = np.maximum(own, typical)
    little = gap <= SMALL * size
    off = (gap / own)[little]
    if not little.any() or np.median(off) > SMALL:
        return None
    if not little.all():
        near = (gap / size)[~little].min() < GULF * (gap / size)[little].max()
        if little.sum() < 3 or near or (gap / own)[~little].min() < GULF * off.max():
            return None
    small = np.zeros(check.wrong.shape, np.bool_)
    small[check.wrong] = little
    return small


def _rounding(check: ArrayCheck) -> Finding:
    evidence = f"wrong {check.share}, {_off([check])}"
    return Finding(check.where, "small error", evidence, words.PRECISION)


def _join(checks: Sequence[ArrayCheck], name: str, spare_biases: bool = False) -> ArrayCheck:
    """Lay arrays end to end; `spare_biases` keeps the L2 term off the biases (x = 0).

    Of the entries that were not looked at, one stands for all: a sample needs little memory.
    """
    role = roles(checks)
    fields: list[list[NDArray[Any]]] = [[] for _ in range(5)]
    wrong = sum(int(np.sum(c.wrong)) for c in checks)
    alive = sum(int(np.sum(c.alive)) for c in checks)
    sampled = "" if all(c.known.all() for c in checks) else " known"
    for check in checks:
        thin = check.thinned()
        if spare_biases and (role[check.name].bias if check.name in role else check.x.ndim == 1):
            thin = thin._replace(x=0 * thin.x)
        kept = thin.known.ravel()
        kept[np.argmin(kept)] = True
        for column, field in zip(fields, thin[1:6], strict=True):
            column.append(field.ravel()[kept])
    x, a, n, error, off = map(np.concatenate, fields)
    of = f"in {wrong:,} of {alive:,} entries{sampled}"
    moves = any(check.moves for check in checks)
    return ArrayCheck(name, x, a, n, error, off, of=of, moves=moves)


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


def _names(checks: Sequence[ArrayCheck]) -> str:
    return ", ".join(check.where for check in checks)


def _not_finite(broken: Sequence[ArrayCheck]) -> list[Finding]:
    if not broken:
        return []
    counts = [f"{np.sum(~np.isfinite(c.analytic))} of {c.analytic.size}" for c in broken]
    evidence = f"a is NaN or infinite in {', '.join(counts)} entries"
    first = f"; going backwards, {broken[-1].where} is the first" if len(broken) > 1 else ""
    return [Finding(_names(broken), "not finite", evidence, words.NOT_FINITE + first)]


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
        scattered = facts._replace(bug="some entries", look_at=words.SCATTERED)
        return [scattered if len(left) == 1 or right else facts]
    known = roles(checks)
    biases = {name: bias for name in known if (bias := bias_of(name, known))}
    weights = {b: [w for w in biases if biases[w] == b] for b in biases.values()}
    if all(biases.get(name) in right for name in wrong):
        return [_half(left, "weights only", (biases[n] for n in wrong), words.WEIGHTS)]
    if all(name in weights and {*weights[name]} <= {*right} for name in wrong):
        others = (w for name in wrong for w in weights[name])
        return [_half(left, "biases only", others, words.BIASES)]
    if right and all(c.settled for c in left):
        return [facts._replace(bug="these arrays only", look_at=words.ARRAYS)]
    return [facts._replace(look_at=words.EVERY if whole and len(left) > 1 else words.NEXT)]


def _layer(checks: Sequence[ArrayCheck], left: Sequence[ArrayCheck]) -> Finding | None:
    """Say between which layers the fault lies, where all is wrong from one of them down."""
    if (told := levels(checks)) is None or not all(c.throughout for c in left):
        return None
    depth, numbered = dict(zip((c.name for c in checks), told[0], strict=True)), told[1]
    wrong = sorted((c.name for c in left), key=lambda name: depth[name])
    later = sorted((c.name for c in checks if c.right), key=lambda name: depth[name])
    others = any(c.wrong.any() for c in checks if c.name not in wrong)
    if not wrong or others or not later or depth[wrong[-1]] > depth[later[0]]:
        return None
    if depth[wrong[-1]] == depth[later[0]] and not depth[later[0]][1]:
        return None
    last = [c for c in left if depth[c.name] == depth[wrong[-1]]]
    dead = [c for c in checks if c.dead and depth[c.name] == depth[wrong[-1]]]
    if len(wrong + dead) < 2 or all(vector(c) and not depth[c.name][1] for c in last):
        return None
    evidence = f"wrong: {', '.join(wrong)}; right: {', '.join(later)}"
    look_at = words.LAYER.format(first=wrong[-1], after=later[0])
    if not numbered:
        look_at = f"{look_at} If layers follow one another as `x0` lists them."
    return Finding(", ".join(wrong), "layer", evidence, look_at)


def _centred(wrong: Sequence[ArrayCheck], left: Sequence[ArrayCheck]) -> Finding | None:
    """Say where the loss feels weights, and not the bias beside them: its mean is taken off."""
    known = roles(wrong)
    pairs = [(name, bias) for name in known if (bias := bias_of(name, known))]
    unexplained = [c.name for c in left if not c.still]
    felt = [c.name for c in wrong if not c.still or c.shown.any()]
    found = [p for p in pairs if p[1] not in felt and p[0] in unexplained]
    if not found:
        return None
    biases = ", ".join(dict.fromkeys(bias for _, bias in found))
    where = ", ".join(c.name for c in wrong if any(c.name in p for p in found))
    evidence = f"n is 0 in {biases}, and not in the weights beside; a is wrong in both"
    return Finding(where, "mean term", evidence, words.CENTRED)


def _moved(left: Sequence[ArrayCheck]) -> Finding | None:
    """Say where several arrays hold the right values of all of them, in other places."""
    if len(left) < 2 or not all(c.whole for c in left):
        return None
    joined = _join(left, _names(left))
    if not (told := reordered(joined, sorted_order(joined))):
        return None
    evidence = f"together they hold the right values in another order; shown by {told} entries"
    return Finding(joined.name, "permuted", evidence, words.PERMUTED)


def _half(wrong: Sequence[ArrayCheck], bug: str, right: Iterable[str], look_at: str) -> Finding:
    evidence = f"wrong: {_names(wrong)}; right: {', '.join(dict.fromkeys(right))}"
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
    return Finding(_names(left), "unknown", evidence, words.NEXT)


def _off(checks: Sequence[ArrayCheck]) -> str:
    """Return "by 3 % (median) to 20 %", or less where that says all."""
    off = 100 * np.concatenate([check.off for check in checks])
    middle, most = f"{np.median(off):.3g} %", f"{off.max():.3g} %"
    return f"by {middle}" if middle == most else f"by {middle} (median) to {most}"


def _strewn(check: ArrayCheck) -> bool:
    """Whether a good part of an array is right, and strewn among what is wrong."""
    right = np.sum(check.sure)
    return bool(check.settled and right and 5 * right >= np.sum(check.alive))


def _few(check: ArrayCheck) -> str:
    """Return ": [2, 0], [3, 1], with a / n = -1", where so few are wrong that each can be named."""
    if not _strewn(check):
        return ""
    named = ", ".join(map(str, np.argwhere(check.wrong)[: FEW + 1].tolist()))
    return (f": {named}" if np.sum(check.wrong) <= FEW else "") + _shared(check)


def _shared(check: ArrayCheck) -> str:
    """Return ", with a / n = -1" where a few entries share a ratio, or it has a meaning."""
    _, a, n, error = check.seen
    ratio = constant(n, a)
    here = check.part(check.wrong)
    told = explained(here, ratio * here.numerical, ratio) > 1
    told = told or bool(name_ratio(ratio, Context(), tolerance=STRICT))
    if not a.any():
        return ", where a is exactly 0"
    told = told and (error <= TOLERANCE * np.abs(a - n)).all()
    return f", with a / n = {fraction(ratio)}" if told else ""
