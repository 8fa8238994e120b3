"""Hypotheses: which bug predicts all that is wrong in an array, and contradicts nothing right.

Each predicts the gradient that its bug would give, and is named only where that accounts for
nearly all that is wrong, entry by entry: abs(a - predicted) <= 1e-3 abs(a - n) + error bars.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradcheck.explaining import words
from gradcheck.explaining.evidence import (
    LARGE,
    PROOF,
    STRICT,
    TOLERANCE,
    ArrayCheck,
    Context,
    Finding,
    across,
    alike,
    constant,
    explained,
    fraction,
    slope,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Function = Callable[[NDArray[Any]], NDArray[Any]]
    Hypothesis = Callable[[ArrayCheck, Context], Finding | None]
    Order = NDArray[np.intp]  # where each one goes

__all__ = ["LINES", "MIXTURES", "ORDERS", "TWO_WAYS", "VALUES", "WHOLE", "Hypothesis", "name_ratio"]


def sigmoid(x: Any) -> Any:
    """Return s(x) = 1 / (1 + exp(-x))."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def _gelu(x: Any, slope: bool) -> Any:
    """Return the share of x in a GELU, or its slope (in the form with tanh)."""
    c = (2 / np.pi) ** 0.5
    t = np.tanh(c * (x + 0.044715 * x**3))
    more = 0.5 * x * (1 - t**2) * c * (1 + 3 * 0.044715 * x**2)
    return 0.5 * (1 + t) + (more if slope else 0)


def softmax(x: NDArray[Any], axes: Any) -> NDArray[Any]:
    """Return exp(x) over its sum along some axes."""
    powers = np.exp(x - x.max(axis=axes, keepdims=True))
    shares: NDArray[Any] = powers / powers.sum(axis=axes, keepdims=True)
    return shares


class Term(NamedTuple):
    """What a term of the loss gives to the slope: c times a function of the parameter."""

    function: Function
    bug: str
    form: str  # what is said of n - a, after the c
    look_at: str


TERMS = (
    Term(lambda x: x, "L2 term", " times the parameter", ""),
    Term(np.ones_like, "constant term", "", words.SAME),
    Term(np.sign, "L1 term", " sign(x)", words.L1),
    Term(np.exp, "term", " exp(x)", words.HOLDS_EXP),
    Term(
        lambda x: softmax(x, 0) - softmax(x, 1) if x.ndim == 2 else 0 * x,
        "softmax",
        " (softmax(x) along axis 0 - along axis 1)",
        words.OTHER_SOFTMAX,
    ),
)
# the slopes of functions of a parameter, and of which
SLOPES: dict[str, tuple[Function, str]] = {
    "1": (np.ones_like, "no slope"),
    "x": (lambda x: x, "the slope of x^2 / 2"),
    "exp(x)": (np.exp, "the slope of exp(x)"),
    "(x > 0)": (lambda x: 1.0 * (x > 0), "the slope of a ReLU"),
    "abs(x)": (np.abs, "x for its sign (the slope of a square for that of abs(x))"),
    "tanh(x)": (np.tanh, "tanh itself"),
    "s(x)": (sigmoid, "the sigmoid s (the slope of a softplus)"),
    "s(x) s(-x)": (lambda x: sigmoid(x) * sigmoid(-x), "the slope of the sigmoid s"),
    "G(x)": (partial(_gelu, slope=False), "the first term of a GELU's slope (a product)"),
    "gelu'(x)": (partial(_gelu, slope=True), "the slope of a GELU (a product)"),
    "swish'(x)": (lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), "the slope of the product x s(x)"),
}


# --- one number for all: a ratio, a term, or both ----------------------------------------------


def _ratio(check: ArrayCheck, context: Context) -> Finding | None:
    _, a, n, _ = check.seen
    ratio = constant(n, a)
    told = explained(check, ratio * check.numerical, ratio)
    if not told or not ratio:
        return None
    bar = float(np.median(np.abs(a / n - ratio)))
    named = name_ratio(ratio, context, bar if told > 2 else 0.0, TOLERANCE if told > 2 else STRICT)
    norms = np.log10(context.norm / np.array([1, 2, 2.5, 5]))
    if np.any(np.abs(norms - np.round(norms)) < 1e-6) and told > 2 and ratio > 0:
        note = f", and the norm of a is {context.norm:.4g}"
        named = "clipped", fraction(ratio), note, words.NORM
    if named is None and (told < 3 or bar > TOLERANCE * min(abs(ratio), abs(ratio - 1))):
        return None  # two entries may share a ratio by chance, many nearly
    look_at = words.CONSTANT if context.whole else words.FACTOR_HERE
    bug, value, note, look_at = named or ("factor", fraction(ratio), "", look_at)
    return Finding(check.where, bug, f"a / n = {value} {check.share}{note}", look_at)


def _term(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain n - a = c f(x), for one of the terms that losses have."""
    _, a, n, _ = check.seen
    for function, bug, form, look_at in TERMS:
        basis = function(check.x)
        if form and alike(basis[check.wrong]):
            continue
        missing = constant(basis[check.wrong], n - a)
        if explained(check, check.numerical - missing * basis) < 3:
            continue
        if not form and (context.part or not check.whole):
            return None  # a few of many entries may differ by the same, such as 1 / N
        evidence = f"n - a = {missing:.4g}{form} {check.share}"
        if bug == "L2 term":
            look_at = f"the L2 term of the gradient: {_l2(missing, context)}"
            radial, chosen = _radial(check), _chosen(missing, check, context)
            if radial:
                bug, look_at = "normalisation", words.NORMALISE
            elif radial is None or not chosen:
                bug, look_at = "multiple of x", words.EITHER_NORM if chosen else words.GROWS
        if not form and any(np.isclose(abs(missing), size) for size in context.sizes):
            evidence += f"; {abs(missing):.0f} is {context.length}"
        return Finding(check.where, bug, evidence, look_at)
    return None


def _chosen(missing: float, check: ArrayCheck, context: Context) -> bool:
    """Whether a number may be a weight that somebody chose, of three digits: as it is, or times N.

    So is that of a penalty, and not the slope of another function of all parameters.
    """
    x, _, _, error = check.seen
    bar = 1e-6 + 3 * float(np.median(error / np.abs(x))) / abs(missing)
    sizes = [1.0, *(v for n in context.sizes for v in (n, 1 / n, n / (n - 1), 1 / (n - 1)))]
    shown = (abs(missing) * size * k for size in sizes for k in (1, 3))
    return bar > 1e-4 or any(abs(float(f"{c:.2e}") / c - 1) <= bar for c in shown)


def _radial(check: ArrayCheck) -> bool | None:
    """Whether the loss ignores the length of the parameter: n . x = 0; None if that is open."""
    x, n, error = check.x, check.numerical, check.error
    if not check.whole or x.size < 3:
        return False
    along, size = abs(float(np.sum(n * x))), float(np.linalg.norm(n) * np.linalg.norm(x))
    bar = 3 * float(np.linalg.norm(error * x))
    if along > 1e-2 * size + bar:
        return False
    return True if along <= 1e-6 * size + bar < 1e-3 * size else None


def _l2(missing: float, context: Context) -> str:
    if missing > 0:
        text = f"forgotten if it should be {missing:.4g} times the parameter, of the wrong sign if "
        text += f"{missing / 2:.4g}, half of it if {2 * missing:.4g}"
    else:
        text = f"doubled if it should be {-missing:.4g} times the parameter; too much if the loss "
        text += "leaves this array out, as a rule biases"
    for size in context.sizes[:1]:
        should = missing * size / (size - 1) if missing > 0 else -missing / (size - 1)
        text += f"; {'' if missing > 0 else 'not '}divided by {size} if {should:.4g}"
    return text


def _ratio_beside_l2(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a = ratio g + l2 x where n = g + l2 x: the L2 term is right and the rest is not."""
    x, a, n, _ = check.seen
    apart = x - slope(n, x) * n
    rest = slope(apart, a)
    ratio = slope(n, a - rest * x)
    l2 = rest / (1 - ratio)
    named = name_ratio(ratio, context)
    told = explained(check, ratio * check.numerical + rest * check.x, ratio)
    if told > 3 and _radial(check) and not named:
        evidence = f"a = {ratio:.4g} n + {rest:.4g} times the parameter {check.share}"
        return Finding(check.where, "normalisation", evidence, words.NORMALISE)
    if alike(x) or not l2 > 0:
        return None
    if explained(check, rest * check.x) > 2 and not explained(check, 0 * check.x) and not named:
        evidence = f"a is {l2:.4g} times the parameter {check.share}: an L2 term and nothing else"
        return Finding(check.where, "never written", evidence, words.NEVER_WRITTEN)
    if told < 5 or named is None:
        return None
    bug, value, note, look_at = named
    evidence = f"a / n = {value} {check.share}, once a right L2 term is taken off both: {l2:.4g} "
    return Finding(check.where, bug, f"{evidence}times the parameter{note}", look_at)


def _chain_rule(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a = c n f(x) / g(x): the slope of a function of the parameter, missing or too much.

    With the same c for all, as a rule 1.
    """
    few = check.x.size < 3
    _, a, n, _ = check.seen
    steady = constant(n, a)
    if explained(check, steady * check.numerical, steady) and not few:
        return None  # within the bars it is one factor
    slopes = {name: function(check.x) for name, (function, _) in SLOPES.items()}
    forms: list[str] = []
    reasons: list[str] = []
    telling: list[str] = []  # of those that are alike in these entries, such as x and abs(x), one
    for name, values in slopes.items():
        ratios = [(values / slopes[other])[check.wrong] for other in telling]
        if few or not any(np.isfinite(r).all() and alike(r) for r in ratios):
            telling.append(name)
    for much, missing in permutations(telling, 2):
        log = {much, missing} <= {"1", "x", "exp(x)"}
        ratio = slopes[much] / slopes[missing]
        odd = not log if few else alike(ratio[check.wrong])
        if odd or len(forms) == 2 or not np.isfinite(ratio[check.wrong]).all():
            continue
        predicted = ratio * check.numerical
        c = constant(predicted[check.wrong], check.analytic[check.wrong])
        c = 1.0 if few or log or abs(c - 1) < TOLERANCE else c
        told = explained(check, c * predicted, c * ratio, 1e-5 if few else TOLERANCE)
        # and not a that is 0 but for rounding
        if told >= (min(3, check.x.size) if c == 1 else 5) and 1e-3 < abs(c) < 1e3:
            left, right = f"a {missing}".replace(" 1", ""), f"n {much}".replace(" 1", "")
            forms.append(f"{left} = {'' if c == 1 else f'{fraction(c)} times '}{right}")
            reasons.append(_reason(much, missing, log))
    if not forms:
        return None
    evidence = f"{' or '.join(forms)} {check.share}, where x is the parameter"
    return Finding(check.where, "chain rule", evidence, "; or ".join(dict.fromkeys(reasons)))


def _reason(much: str, missing: str, log: bool) -> str:
    extra, what = (much, "too much") if missing == "1" else (missing, "missing")
    if log:
        reason = f"a factor {extra} is {what}, as in the chain rule of a parameter that is a log"
        return reason + (", or in a power" if extra == "x" else "")
    said = f"{SLOPES[extra][1]} is {what}"
    if "1" not in (much, missing):
        said = f"{SLOPES[much][1]} for {SLOPES[missing][1]}"
    return f"the derivative of the activation: {said}"


# --- zeros and bounds ---------------------------------------------------------------------------


def _zeros(check: ArrayCheck, context: Context, strewn: bool = False) -> Finding | None:
    """Explain a = 0 where n is not, n = 0 where a is not, or the one here and the other there.

    Zeros that are strewn among entries that are right are those of a mask.
    """
    _, a, n, error = check.seen
    right = check.others
    masked = strewn and bool(right.any())
    wide = (error > 0.03 * np.maximum(np.abs(a), np.abs(n))).any()  # on a kink, 0 is between two
    if not a.any() and (strewn or not check.analytic[right].any()):
        bug = ("mask", words.MASK_IN_GRADIENT) if masked else ("never written", words.NEVER_WRITTEN)
        return Finding(check.where, bug[0], f"a is exactly 0 {check.share}, n is not", bug[1])
    still = not n.any() and not wide and not check.moves
    if still and (strewn or not check.numerical[right].any()):
        look_at = words.MASK if context.part or masked else words.IGNORED
        evidence = f"n is exactly 0 {check.share}, a is not"
        return Finding(check.where, "loss ignores it", evidence, look_at)
    none = (a == 0) | (n == 0)
    if wide or check.moves or not strewn or not none.any():
        return None
    if none.all():
        evidence = f"either a or n is exactly 0 {check.share}: a in {np.sum(a == 0):,} of them"
        return Finding(check.where, "mask", evidence, words.MASK_TURNED)
    rest = check._replace(wrong=check.wrong & (check.analytic != 0) & (check.numerical != 0))
    if not a.all() or masked or rest.wrong.sum() < 3:
        return None
    rest = rest.part(rest.wrong)
    ratio = constant(rest.numerical, rest.analytic)
    if explained(rest, ratio * rest.numerical, ratio) < 3:
        return None
    evidence = f"n is exactly 0 in {np.sum(none):,} of {a.size:,} entries, a is not; "
    evidence += f"in the others a / n = {fraction(ratio)}"
    return Finding(check.where, "mask", evidence, words.SHARED_OUT)


def _clipped(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a that stops at a bound where n goes beyond, or n where a goes beyond."""
    wrong, right = check.wrong, check.known & ~check.wrong
    a, n = check.analytic, check.numerical
    for stops, beyond, look_at in (("a", "n", words.CLIP), ("n", "a", words.CLIP_IN_LOSS)):
        bounded, free = (a, n) if stops == "a" else (n, a)
        low, high = np.min(bounded[check.known]), np.max(bounded[check.known])
        bar = 3 * check.error * (stops == "n")
        at = np.where(free > bounded, high, low)
        stopped = np.abs(bounded - at) <= bar + 1e-6 * np.abs(at)
        inside = (free >= low - 2 * check.error) & (free <= high + 2 * check.error)
        sure = bar < 0.03 * np.abs(free - at)
        bounds = {float(f"{bound:.4g}") for bound in at[wrong]}
        chance = len(bounds) == wrong.sum() and not all(map(_round, bounds))
        counts = stops == "n" or not (bounded[right] % 1).any()  # one of them stops anywhere
        chance |= wrong.sum() == 1 and bool(counts)
        chance |= bounds == {0.0} and check.in_line  # a row that was never written
        # values that are few, as in counts, stop anywhere
        chance |= any(np.unique(v).size <= v.size / 2 for v in (bounded[right], free[wrong]))
        if (stopped & sure)[wrong].all() and inside[right].all() and right.sum() > 1 and not chance:
            text = " or ".join(f"{bound:g}" for bound in sorted(bounds))
            evidence = f"{stops} = {text} {check.share}, where {beyond} lies beyond"
            return Finding(check.where, "clipped", evidence, look_at)
    return None


def _round(value: float) -> bool:
    """Whether a number is 1, 2 or 5 times a power of ten."""
    return f"{abs(value):.3e}"[:5] in ("1.000", "2.000", "5.000")


def _one_size(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain slopes of one size, as of an absolute value, against others of the same signs."""
    _, a, n, error = check.seen
    vague = (error > 0.03 * np.abs(n)).any()
    if a.size < 5 or not (a * n > 0).all() or check.others.any() or vague:
        return None
    for one, other, v, w in (("n", "a", n, a), ("a", "n", a, n)):
        size = float(np.median(np.abs(v)))
        same = np.abs(np.abs(v) - size) <= 1e-6 * size + 3 * error * (one == "n")
        if same.all() and np.unique(w).size > a.size / 2 and not alike(np.abs(w)):
            evidence = f"{one} is {size:.4g} or -{size:.4g} {check.share}, {other} is not"
            look_at = words.ABSOLUTE if one == "n" else words.SIGN_ONLY
            return Finding(check.where, "one size", evidence, look_at)
    return None


# --- one number for each row, column or channel --------------------------------------------------


def _axes_of(check: ArrayCheck) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the axes along which something may be the same, and how to say so, widest first."""
    long = [axis for axis in range(check.x.ndim) if check.x.shape[axis] > 1]
    yield tuple(long), "all of it"
    for count in range(len(long) - 1, 0, -1):
        for axes in combinations(long, count):
            text = f"axis {axes[0]}" if count == 1 else f"axes {', '.join(map(str, axes))}"
            each = ("each column", "each row")[axes[0]] if check.x.ndim == 2 else ""
            yield axes, f"{each} (along {text})" if each else f"all along {text}"


def _along_axes(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a / n or a - n by one number for each row, column or channel."""
    a, n, x = check.analytic, check.numerical, check.x
    for axes, text in _axes_of(check) if check.seen[1].any() else ():
        groups = int(np.sum(check.wrong.any(axis=axes)))
        all_of_it = text == "all of it"  # one number for all was looked for
        if not np.sum(check.wrong, axis=axes).max() > 2 or (groups < 2 and not all_of_it):
            continue
        size = np.sqrt(np.nansum(n**2, axis=axes) * np.sum(x**2, axis=axes))
        radial = (np.abs(np.nansum(n * x, axis=axes)) <= 1e-2 * size).all()
        times = (
            ("normalisation", words.NORMALISE) if radial else ("multiple of x", words.OWN_WEIGHT)
        )
        shares = softmax(x, axes)
        for basis, base, bug, form, look_at in (
            (n, 0.0, "ratio per row or column", "a / n is one number in", words.PER_LINE),
            (np.ones_like(x), n, "mean term", "a - n is the same in", words.MEAN_TERM),
            (x, n, times[0], "a - n is a multiple of the parameter in", times[1]),
            (shares, n, "softmax", "a - n is a multiple of softmax(x) in", words.SOFTMAX),
            (shares - 1, n, "softmax", "a - n is a multiple of softmax(x) - 1 in", words.SOFTMAX),
        ):
            if (all_of_it or alike(basis[check.wrong])) if bug == "softmax" else all_of_it:
                continue
            c = across(basis, a - base, axes)
            ratio = c if basis is n else 1.0
            if explained(check, base + c * basis, ratio, together=False) >= groups + 3:
                c = np.broadcast_to(c, a.shape)[check.wrong]
                spread = f": {c.min():.3g} to {c.max():.3g}," if basis is n else ""
                return Finding(check.where, bug, f"{form} {text}{spread} {check.share}", look_at)
        if check.whole and _straight(check, axes) >= 2 * groups + 3:
            evidence = f"a - n is a straight line in the parameter, in {text} {check.share}"
            return Finding(check.where, "normalisation", evidence, words.STANDARDISE)
    return None


def _straight(check: ArrayCheck, axes: tuple[int, ...]) -> int:
    """Return how many entries prove that a - n is a straight line in x along some axes.

    A normalisation ignores what is added to all: n sums to 0.
    """
    x, n = check.x, check.numerical
    if (np.abs(n.sum(axis=axes)) > 1e-2 * np.abs(n).sum(axis=axes)).any():
        return 0
    gap = check.analytic - n
    mean, middle = (v.mean(axis=axes, keepdims=True) for v in (gap, x))
    c = across(x - middle, gap - mean, axes)
    return explained(check, n + mean + c * (x - middle), together=False)


def _by_sign(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a / n by one number where x is negative and another where it is not."""
    ratios = []
    for inside in (check.x < 0, check.x >= 0):
        part = check.part(inside)
        _, a, n, _ = part.seen
        if a.size < 3 or not a.all():
            return None
        ratios.append(constant(n, a))
        if explained(part, ratios[-1] * part.numerical, ratios[-1], together=False) < 3:
            return None
    below, above = map(fraction, ratios)
    evidence = f"a / n = {below} where x is negative, {above} elsewhere, {check.share}"
    return Finding(check.where, "slope by sign", evidence, words.TWO_SIDED)


def _two_means(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a - n by one number for each row plus one for each column."""
    gap = check.analytic - check.numerical
    if gap.ndim != 2 or not check.whole:
        return None
    lines = gap.mean(axis=0) + gap.mean(axis=1, keepdims=True) - gap.mean()
    if explained(check, check.numerical + lines, together=False) < sum(gap.shape) + 3:
        return None
    evidence = f"a - n is one number for each row plus one for each column {check.share}"
    return Finding(check.where, "mean term", evidence, words.OTHER_AXIS)


# --- right values in wrong places -----------------------------------------------------------------


def _reorders(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a = n transposed, turned round or shifted."""
    return _first(check, _orders(check.x.shape))


def _rearranged(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a = n with rows, columns or entries in any other order."""
    return _first(check, _found_again(check))


def _first(check: ArrayCheck, orders: Iterator[tuple[str, Order, str]]) -> Finding | None:
    for what, place, look_at in orders if np.sum(check.wrong) > 1 else ():
        if told := reordered(check, place):
            bug = "transposed" if look_at is words.TRANSPOSED else "permuted"
            return Finding(check.where, bug, f"{what}; shown by {told} entries", look_at)
    return None


def _orders(shape: tuple[int, ...]) -> Iterator[tuple[str, Order, str]]:
    """Yield orders, and for each where an entry of n stands in a."""
    index = np.arange(np.prod(shape)).reshape(shape)
    long = [axis for axis in range(len(shape)) if shape[axis] > 1]
    for i, j in combinations(long, 2):
        turned = index.swapaxes(i, j)
        if len(shape) > 2:
            yield f"a holds n.swapaxes({i}, {j})", _place(turned), words.TRANSPOSED
        elif shape[i] == shape[j]:
            yield "a[i, j] = n[j, i]", _place(turned), words.TRANSPOSED
        else:
            yield "a holds n, read column by column", _place(turned), words.TRANSPOSED
            columns = index.ravel().reshape(shape, order="F")
            yield "a holds n, filled in column by column", _place(columns), words.TRANSPOSED
    for count in range(1, len(long) + 1):
        for axes in combinations(long, count):
            along = f"along {'axis' if count == 1 else 'axes'} {', '.join(map(str, axes))}"
            for step in (1, -1) if count == 1 else ():
                moved = np.roll(index, step, axes)
                yield f"a is n shifted by {step} {along}", _place(moved), words.PERMUTED
            turned = np.flip(index, axes)
            yield f"a is n reversed {along}: [::-1]", _place(turned), words.FLIPPED


def _place(was: Order) -> Order:
    """Return where each entry stands, from which entry stands where."""
    place = np.empty(was.size, np.intp)
    place[was.ravel()] = np.arange(was.size)
    return place


def _found_again(check: ArrayCheck) -> Iterator[tuple[str, Order, str]]:
    """Yield in which order rows, columns or entries of n are found again in a."""
    a, n = check.analytic, check.numerical
    _, wrong_a, wrong_n, _ = check.seen
    strewn = np.minimum(np.abs(wrong_a), np.abs(wrong_n)).max() == 0
    if not check.whole or a.size > LARGE or strewn:
        return
    index = np.arange(a.size)
    for axis in sorted({0, a.ndim - 1}) if a.ndim > 1 else ():
        size = a.shape[axis]
        lines = np.flatnonzero(np.moveaxis(check.wrong, axis, 0).reshape(size, -1).any(axis=1))
        u, v = (np.moveaxis(field, axis, 0).reshape(size, -1)[lines] for field in (a, n))
        telling = np.argsort(np.ptp(v, axis=0))[-8:]
        nearest = [np.abs(u[:, telling] - row).max(axis=1).argmin() for row in v[:, telling]]
        if len(set(nearest)) == len(nearest):
            order = np.arange(size)
            order[lines] = lines[nearest]
            place = np.take(index.reshape(a.shape), order, axis).ravel()
            yield _said("columns" if axis else "rows", order, str), place, words.PERMUTED
    place = sorted_order(check)

    def name(k: int) -> Any:
        at = list(map(int, np.unravel_index(k, a.shape)))
        return at if a.ndim > 1 else at[0]

    yield _said("entries", place, name), place, words.PERMUTED


def _said(what: str, order: Order, name: Callable[[int], Any]) -> str:
    was = np.argsort(order)
    here = np.flatnonzero(was != np.arange(was.size))
    moves = ", ".join(f"{name(was[k])} stands at {name(k)}" for k in here[:3])
    return f"the {what} of n in another order: {moves}{', ...' if here.size > 3 else ''}"


def sorted_order(check: ArrayCheck) -> Order:
    """Return where each entry of n stands in a, if the wrong ones hold the same values."""
    place, wrong = np.arange(check.x.size), np.flatnonzero(check.wrong)
    _, a, n, _ = check.seen
    place[wrong[np.argsort(n)]] = wrong[np.argsort(a)]
    return place


def reordered(check: ArrayCheck, place: Order) -> int:
    """Return how many wrong entries prove that n went elsewhere; 0 if an entry contradicts it.

    An L2 term may have been added after the mix-up: then a - n, moved, is l2 (x - x, moved).
    """
    x, a, n, error, wrong = (field.ravel() for field in check[1:6])
    known = np.flatnonzero(np.isfinite(n))
    if known.size > LARGE:
        known = np.union1d(np.flatnonzero(wrong), known[:: known.size // LARGE + 1])
    there = place[known]
    gap, far = np.abs(a[there] - n[there]), np.abs(a[known] - n[known])
    gap[np.isnan(gap)] = 0  # a sample: measured where it came from, and not where it stands
    room = TOLERANCE * np.sqrt(np.mean(far**2)) + 3 * error[known]
    left, shift = a[there] - n[known], x[there] - x[known]
    gap = np.where(wrong[there], gap, far * wrong[known])
    told = int(np.sum(room <= PROOF * TOLERANCE * gap))
    if told >= 2 and (np.abs(left) <= room).all():
        return told
    l2 = slope(shift, left)
    fits = told >= 5 and l2 > 0 and (np.abs(left - l2 * shift) <= room).all()
    return told if fits else 0


# --- the table: what is said first goes before what needs more assumptions -----------------------

VALUES: tuple[Hypothesis, ...] = (_zeros, _ratio, _term)
ORDERS: tuple[Hypothesis, ...] = (_reorders,)
MIXTURES: tuple[Hypothesis, ...] = (_rearranged, _ratio_beside_l2, _chain_rule, _clipped, _one_size)
WHOLE = (_reorders, _rearranged)  # of a large array, too
LINES: tuple[Hypothesis, ...] = (partial(_zeros, strewn=True), _by_sign, _along_axes)
TWO_WAYS: tuple[Hypothesis, ...] = (_two_means,)


def name_ratio(
    ratio: float, context: Context, bar: float = 0.0, tolerance: float = TOLERANCE
) -> tuple[str, str, str, str] | None:
    """Return bug, value, note and look_at for a ratio, known to `bar`, with a meaning of its own.

    What needs one assumption goes before what needs two.
    """
    sizes, is_length = context.sizes, f"is {context.length}"
    also = f"; 2 {is_length}, so mean against sum would fit, too" if 2 in sizes else ""
    known = [
        (-1.0, "sign", "", words.SIGN),
        (2.0, "factor", also, words.HALF),
        (0.5, "factor", also, words.HALF),
    ]
    for size in sizes:
        note = f"; {size} {is_length}"
        known += [(v, "batch size", note, words.MEAN) for v in (size, 1 / size)]
    for size in sizes:
        for over, under in ((size, size - 1), (size - 1, size)) if size > 4 else ():
            note = f"; that is {over}/{under}, and {size} {is_length}"
            known.append((over / under, "batch size", note, words.N_MINUS_1))
    for size in sizes:  # 2 N and N / 2: the half before the squares is missing or doubled, too
        note = f"; half or twice what mean against sum gives, where {size} {is_length}"
        both = (size / 2, 2 / size, 2 * size, 0.5 / size) if size > 4 else ()
        known += [(v, "batch size", note, f"{words.MEAN}; and {words.HALF}") for v in both]
    for size in context.lengths:
        note = f"; {size} is a length or the size of a parameter"
        known += [(v, "factor", note, words.CONSTANT) for v in (size, 1 / size)]
    for value, bug, note, look_at in known:
        scale = min(abs(value), abs(value - 1))
        room = max(tolerance * scale, min(bar, PROOF * TOLERANCE * scale))
        for sign in (1, -1) if value > 0 else (1,):
            if abs(ratio - sign * value) <= room:
                minus = words.SIGN if context.whole else "a minus lost"
                if not context.whole:
                    look_at = f"{minus} {words.HERE}" if bug == "sign" else words.FACTOR_HERE
                look_at += "" if sign > 0 else f"; and {minus}"
                return bug, fraction(sign * value), note, look_at
    return None
