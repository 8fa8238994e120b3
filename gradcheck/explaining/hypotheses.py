"""Hypotheses: which bug predicts all that is wrong in an array, and contradicts nothing right.

Each predicts the gradient that its bug would give, and is named only where that accounts for
nearly all that is wrong, entry by entry: abs(a - predicted) <= 1e-3 abs(a - n) + error bars.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Hypothesis = Callable[["ArrayCheck", "Context"], "Finding | None"]

TOLERANCE = 1e-3  # the part of abs(a - n) that a hypothesis may leave unexplained
STRICT = 1e-4  # and where it rests on one or two entries
PROOF = 30  # an entry proves nothing that may be off by more than so many tolerances
ALIKE = 1e-2  # parameters that differ by less of their size show no dependence on them


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

    @property
    def where(self) -> str:
        """The name as a sentence can hold it."""
        return self.name or "the gradient"

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which entries have a slope to compare with."""
        known: NDArray[np.bool_] = np.isfinite(self.numerical)
        return known

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which entries are known and not 0 on both sides."""
        zero = (self.analytic == 0) & (self.numerical == 0)
        alive: NDArray[np.bool_] = self.known & ~zero
        return alive

    @property
    def seen(self) -> tuple[NDArray[Any], ...]:
        """The parameters, a, n and the error bar of the wrong entries."""
        x, a, n, error = (field[self.wrong] for field in self[1:5])
        return x, a, n, error

    @property
    def right(self) -> bool:
        """Whether all of it was seen to be right, and not only 0 = 0 or within wide bars."""
        alive = self.alive
        sharp = np.sum(alive & (self.error <= 0.1 * np.abs(self.analytic)))
        return self.settled and not self.wrong.any() and bool(2 * sharp >= np.sum(alive) > 0)

    @property
    def throughout(self) -> bool:
        """Whether at least half of what is known of the array is wrong."""
        return bool(2 * np.sum(self.wrong) >= np.sum(self.alive))

    @property
    def share(self) -> str:
        """Such as "in 6 of 8 entries"."""
        sampled = "" if self.known.all() else " looked at"
        return f"in {np.sum(self.wrong):,} of {np.sum(self.alive):,} entries{sampled}"

    def part(self, index: Any, name: str) -> ArrayCheck:
        """Return a part of the array under a name of its own."""
        x, a, n, error, wrong = (field[index] for field in self[1:6])
        return ArrayCheck(name, x, a, n, error, wrong, self.settled)


class Context(NamedTuple):
    """What a hypothesis may know besides the array.

    `sizes` may be N, the likeliest first; `lengths` are those of the parameters. `whole`: the array
    stands for the whole gradient, in which nothing is right. `part`: it is a part of an array, and
    the rest is right. `norm` is that of all of a.
    """

    sizes: Sequence[int] = ()
    lengths: Sequence[int] = ()
    whole: bool = False
    part: bool = False
    norm: float = np.nan


def explained(
    check: ArrayCheck,
    predicted: NDArray[Any],
    ratio: Any = 1.0,
    tolerance: float = TOLERANCE,
    together: bool = True,
) -> int:
    """Return how many wrong entries prove `predicted`; 0 if any entry contradicts it.

    A prediction made of `ratio` n carries `ratio` times the error of n. Where that is small, a is
    compared in units of n: else a = 0 would prove any ratio near 0. Where n is 0, nothing can be
    predicted. Bars too wide to prove anything one by one do so together, if at least half of
    three or more entries come as near as a proof must.
    """
    ratio = np.broadcast_to(np.abs(ratio), check.x.shape)
    gap = np.abs(check.analytic - check.numerical)
    left = np.abs(check.analytic - predicted)
    room = 1e-5 * gap[check.wrong].max() + 3 * np.maximum(1.0, ratio) * check.error
    unit = np.where(ratio == 0, 1.0, np.minimum(1.0, ratio))
    larger = np.maximum(np.abs(check.analytic), np.abs(check.numerical))
    others = check.known & ~check.wrong
    if not (left <= 2 * gap + room + 1e-5 * larger)[others].all():
        return 0
    left, gap, room = ((v[check.wrong]) for v in (left / unit, gap, room))
    if not check.numerical[check.wrong].any() or not (left <= tolerance * gap + room).all():
        return 0
    near = left <= PROOF * tolerance * gap
    together = together and near.size > 2 and 2 * near.sum() >= near.size
    proof = room <= (PROOF - 1) * tolerance * gap
    return int(np.sum(near if together else near & proof))


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


def sigmoid(x: Any) -> Any:
    """Return s(x) = 1 / (1 + exp(-x))."""
    return 0.5 * (1 + np.tanh(0.5 * x))


def _gelu(x: Any) -> tuple[Any, Any]:
    """Return the share of x in a GELU, and its slope (in the form with tanh)."""
    c = (2 / np.pi) ** 0.5
    t = np.tanh(c * (x + 0.044715 * x**3))
    first = 0.5 * (1 + t)
    return first, first + 0.5 * x * (1 - t**2) * c * (1 + 3 * 0.044715 * x**2)


def softmax(x: NDArray[Any], axes: Any) -> NDArray[Any]:
    """Return exp(x) over its sum along some axes."""
    powers = np.exp(x - x.max(axis=axes, keepdims=True))
    shares: NDArray[Any] = powers / powers.sum(axis=axes, keepdims=True)
    return shares


def _softmaxes(x: NDArray[Any]) -> NDArray[Any]:
    return softmax(x, 0) - softmax(x, 1) if x.ndim == 2 else 0 * x


def across(check: ArrayCheck, u: NDArray[Any], v: NDArray[Any], axes: tuple[int, ...]) -> Any:
    """Return the c of v = c u that is the same along `axes`, read where u is largest."""
    kept = [axis for axis in range(u.ndim) if axis not in axes]
    size = np.where(check.known & np.isfinite(v), np.abs(u), -1.0).transpose(*kept, *axes)
    shape = size.shape[: len(kept)]
    best = size.reshape(*shape, -1).argmax(axis=-1)[..., None]
    u, v = (
        np.take_along_axis(w.transpose(*kept, *axes).reshape(*shape, -1), best, -1)[..., 0]
        for w in (u, v)
    )
    return np.expand_dims(v / u, axes)


def axes_of(check: ArrayCheck) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the axes along which something may be the same, and how to say so, widest first."""
    long = [axis for axis in range(check.x.ndim) if check.x.shape[axis] > 1]
    yield tuple(long), "all of it"
    for count in range(len(long) - 1, 0, -1):
        for axes in combinations(long, count):
            text = f"axis {axes[0]}" if count == 1 else f"axes {', '.join(map(str, axes))}"
            if check.x.ndim == 2:
                text = ("each column", "each row")[axes[0]] + f" (along {text})"
            yield axes, text if check.x.ndim == 2 else f"all along {text}"


# --- one number for all: a ratio, a term, or both ----------------------------------------------


def _constant_ratio(check: ArrayCheck, context: Context) -> Finding | None:
    _, a, n, _ = check.seen
    ratio = constant(n, a)
    told = explained(check, ratio * check.numerical, ratio)
    if not told or not ratio:
        return None
    bar = float(np.median(np.abs(a / n - ratio)))
    named = name_ratio(ratio, context, bar if told > 2 else 0.0, TOLERANCE if told > 2 else STRICT)
    norms = context.norm / np.array([1, 2, 2.5, 5])
    norm = np.any(np.abs(np.log10(norms) - np.round(np.log10(norms))) < 1e-6)
    if norm and told > 2 and ratio > 0:
        named = "clipped", fraction(ratio), f", and the norm of a is {context.norm:.4g}", NORM
    if named is None and (told < 3 or bar > TOLERANCE * min(abs(ratio), abs(ratio - 1))):
        return None  # two entries may share a ratio by chance, many nearly
    other = "factor", fraction(ratio), "", CONSTANT if context.whole else FACTOR_HERE
    bug, value, note, look_at = named or other
    return Finding(check.where, bug, f"a / n = {value} {check.share}{note}", look_at)


def _term(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain n - a = c f(x), for one of the terms that losses have."""
    _, a, n, _ = check.seen
    for form, (function, bug, look_at) in TERMS.items():
        basis = function(check.x)
        if form != "1" and _alike(basis[check.wrong]):
            continue
        missing = constant(basis[check.wrong], n - a)
        if explained(check, check.numerical - missing * basis) < 3:
            continue
        if form == "1" and not check.known.all():
            return None  # a few of many entries may differ by the same, such as 1 / N
        evidence = f"n - a = {missing:.4g}{form.replace('1', '')} {check.share}"
        if bug == "L2 term":
            radial = _radial(check)
            if radial or radial is None:
                bug = "normalisation" if radial else "multiple of x"
                look_at = NORMALISE if radial else EITHER_NORM
            else:
                look_at = f"the L2 term of the gradient: {_l2(missing, context.sizes)}"
        note = [f"; {s} is {LENGTH}" for s in context.sizes if np.isclose(abs(missing), s)]
        evidence += "".join(note if form == "1" else [])
        return Finding(check.where, bug, evidence, look_at)
    return None


def _alike(values: NDArray[Any]) -> bool:
    return bool(np.ptp(values) <= ALIKE * np.abs(values).max(initial=0.0))


def _radial(check: ArrayCheck) -> bool | None:
    """Whether the loss ignores the length of the parameter: n . x = 0; None if that is open."""
    x, n, error = check.x, np.where(check.known, check.numerical, 0), check.error
    along = abs(float(np.sum(n * x)))
    size = float(np.linalg.norm(n) * np.linalg.norm(x))
    bar = 3 * float(np.linalg.norm(np.where(check.known, error, 0) * x))
    if not check.known.all() or along > 1e-2 * size + bar or check.x.size < 3:
        return False
    return True if along <= 1e-6 * size + bar < 1e-3 * size else None


def _l2(missing: float, sizes: Sequence[int]) -> str:
    if missing > 0:
        text = f"forgotten if it should be {missing:.4g} times the parameter, of the wrong sign if "
        text += f"{missing / 2:.4g}, half of it if {2 * missing:.4g}"
    else:
        text = f"doubled if it should be {-missing:.4g} times the parameter; too much if the loss "
        text += "leaves this array out, as a rule biases"
    for size in sizes[:1]:
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
        return Finding(check.where, "normalisation", evidence, NORMALISE)
    if _alike(x) or not l2 > 0:
        return None
    if explained(check, rest * check.x) > 2 and not explained(check, 0 * check.x) and not named:
        evidence = f"a is {l2:.4g} times the parameter {check.share}: an L2 term and nothing else"
        return Finding(check.where, "never written", evidence, NEVER_WRITTEN)
    if told < 5 or named is None:
        return None
    bug, value, note, look_at = named
    evidence = f"a / n = {value} {check.share}, once a right L2 term is taken off both: {l2:.4g} "
    return Finding(check.where, bug, f"{evidence}times the parameter{note}", look_at)


def _slope_of_x(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a = c n f(x) / g(x): the slope of a function of the parameter, missing or too much.

    With the same c for all, as a rule 1.
    """
    few = check.x.size < 3
    known = {"1": np.ones_like(check.x)} | {k: f(check.x) for k, (f, _) in SLOPES.items()}
    fits = []
    for much, f in known.items():
        for missing, g in known.items():
            log = {much, missing} <= {"1", "x", "exp(x)"}
            ratio = f / g
            odd = not log if few else _alike(ratio[check.wrong])
            if f is g or odd or not np.isfinite(ratio[check.wrong]).all():
                continue
            predicted = ratio * check.numerical
            c = constant(predicted[check.wrong], check.analytic[check.wrong])
            c = 1.0 if few or log or abs(c - 1) < TOLERANCE else c
            told = explained(check, c * predicted, c * ratio, 1e-5 if few else TOLERANCE)
            told *= 1e-3 < abs(c) < 1e3  # and not a that is 0 but for rounding
            if told >= (min(3, check.x.size) if c == 1 else 5):
                left, right = (" ".join(filter("1".__ne__, pair)) for pair in
                               (("a", missing), ("n", much)))  # fmt: skip
                times = "" if c == 1 else f"{fraction(c)} times "
                fits.append((f"{left} = {times}{right}", much, missing, log))
    if not fits:
        return None
    evidence = (
        f"{' or '.join(form for form, *_ in fits[:2])} {check.share}, where x is the parameter"
    )
    reasons = []
    for _, much, missing, log in fits[:2]:
        extra, what = (much, "too much") if missing == "1" else (missing, "missing")
        reason = f"a factor {extra} is {what}, as in the chain rule of a parameter that is a log"
        reason += ", or in a power" if extra == "x" else ""
        if not log:
            given, wanted = (SLOPES[k][1] if k in SLOPES else "no slope" for k in (much, missing))
            reason = f"the derivative of the activation: {given} for {wanted}"
            if missing == "1" or much == "1":
                reason = f"the derivative of the activation: {SLOPES[extra][1]} is {what}"
        reasons.append(reason)
    return Finding(check.where, "chain rule", evidence, "; or ".join(dict.fromkeys(reasons)))


# --- zeros and bounds ---------------------------------------------------------------------------


def _zeros(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a = 0 where n is not, n = 0 where a is not, or the one here and the other there."""
    _, a, n, error = check.seen
    if (np.minimum(np.abs(a), np.abs(n)) > 0).any():
        return None
    right = check.alive & ~check.wrong  # a = 0 within a wide bar contradicts no zeros
    if not a.any() and not check.analytic[right].any():
        evidence = f"a is exactly 0 {check.share}, n is not"
        return Finding(check.where, "never written", evidence, NEVER_WRITTEN)
    if (
        not (n.any() or check.numerical[right].any()) and (error <= 0.03 * np.abs(a)).all()
    ):  # on a kink, 0 stands between two slopes
        evidence = f"n is exactly 0 {check.share}, a is not"
        return Finding(check.where, "loss ignores it", evidence, MASK if context.part else IGNORED)
    return None


def _masked(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain zeros that are strewn among entries that are right."""
    _, a, n, error = check.seen
    others = bool((check.alive & ~check.wrong).any())
    wrong = check.part(check.wrong, check.name)
    if found := _zeros(wrong, context._replace(part=others)):
        if found.bug == "never written" and others:
            found = found._replace(bug="mask", look_at=MASK_IN_GRADIENT)
        return found._replace(evidence=found.evidence.replace(wrong.share, check.share))
    none = (a == 0) | (n == 0)
    wide = (error > 0.03 * np.maximum(np.abs(a), np.abs(n))).any()
    if none.all() and not wide:
        evidence = f"either a or n is exactly 0 {check.share}: a in {np.sum(a == 0):,} of them"
        return Finding(check.where, "mask", evidence, MASK_TURNED)
    rest = check.part(check.wrong & (check.analytic != 0) & (check.numerical != 0), check.name)
    if a.all() and none.any() and not wide and not others and rest.wrong.sum() > 2:
        ratio = constant(rest.numerical, rest.analytic)
        if explained(rest, ratio * rest.numerical, ratio) > 2:
            evidence = f"n is exactly 0 in {np.sum(none):,} of {a.size:,} entries, a is not; "
            evidence += f"in the others a / n = {fraction(ratio)}"
            return Finding(check.where, "mask", evidence, SHARED_OUT)
    return None


def _clipped(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a that stops at a bound where n goes beyond, or n where a goes beyond."""
    wrong, right = check.wrong, check.known & ~check.wrong
    for stops, bounded, beyond, free, look_at in (
        ("a", check.analytic, "n", check.numerical, CLIP),
        ("n", check.numerical, "a", check.analytic, CLIP_IN_LOSS),
    ):
        low, high = np.min(bounded[check.known]), np.max(bounded[check.known])
        bar = 3 * check.error if stops == "n" else 0 * check.error
        at = np.where(free > bounded, high, low)
        stopped = np.abs(bounded - at) <= bar + 1e-6 * np.abs(at)
        inside = (free >= low - 2 * check.error) & (free <= high + 2 * check.error)
        bounds = {float(f"{bound:.4g}") for bound in at[wrong]}
        chance = len(bounds) == wrong.sum() and not bounds <= ROUND
        # values that are few, as in counts, stop anywhere
        chance |= any(np.unique(v).size <= v.size / 2 for v in (bounded[right], free[wrong]))
        sure = (bar < 0.03 * np.abs(free - at))[wrong]
        if (
            chance
            or right.sum() < 2
            or not stopped[wrong].all()
            or not inside[right].all()
            or not sure.all()
        ):
            continue
        text = " or ".join(f"{bound:g}" for bound in sorted(bounds))
        evidence = f"{stops} = {text} {check.share}, where {beyond} lies beyond"
        return Finding(check.where, "clipped", evidence, look_at)
    return None


def _one_size(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain slopes of one size, as of an absolute value, against others of the same signs."""
    _, a, n, error = check.seen
    if a.size < 5 or not (a * n > 0).all() or (check.alive & ~check.wrong).any():
        return None
    for one, other, v, w in (("n", "a", n, a), ("a", "n", a, n)):
        size = float(np.median(np.abs(v)))
        bar = 3 * error if one == "n" else 0
        same = (np.abs(np.abs(v) - size) <= 1e-6 * size + bar).all()
        if same and np.unique(w).size > a.size / 2 and not _alike(np.abs(w)):
            evidence = f"{one} is {size:.4g} or -{size:.4g} {check.share}, {other} is not"
            return Finding(check.where, "one size", evidence, ABSOLUTE if one == "n" else SIGN_ONLY)
    return None


# --- one number for each row, column or channel --------------------------------------------------


def _multiple(check: ArrayCheck, axes: tuple[int, ...]) -> tuple[str, str, str]:
    """Say what a multiple of the parameter in each row is: of a norm, where n . x = 0 in each."""
    x, n = check.x, np.where(check.known, check.numerical, 0)
    size = np.sqrt(np.sum(n**2, axis=axes) * np.sum(x**2, axis=axes))
    form = "is a multiple of the parameter in"
    if (np.abs(np.sum(n * x, axis=axes)) <= 1e-2 * size).all():
        return "normalisation", form, NORMALISE
    return (
        "multiple of x",
        form,
        f"a penalty (L2, a divergence) with a weight of its own; {NORM_TOO}",
    )


def _along_axes(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a / n or a - n by one number for each row, column or channel."""
    gap = check.analytic - check.numerical
    for axes, text in axes_of(check) if check.seen[1].any() else ():
        alone = tuple(axis for axis in range(check.x.ndim) if axis not in axes)
        groups = int(np.sum(check.wrong.any(axis=axes)))
        whole = not np.prod([check.x.shape[axis] for axis in alone]) > 1
        if not np.sum(check.wrong, axis=axes).max() > 2 or (groups < 2 and not whole):
            continue
        need = groups + 3
        ones = np.ones_like(gap)
        shares = softmax(check.x, axes)
        ratio = across(check, check.numerical, check.analytic, axes)
        told = explained(check, ratio * check.numerical, ratio, together=False)
        if told >= need and not whole:
            spread = f"{np.nanmin(ratio):.3g} to {np.nanmax(ratio):.3g}"
            evidence = f"a / n is one number in {text}: {spread}; shown by {check.share[3:]}"
            return Finding(check.where, "ratio per row or column", evidence, PER_LINE)
        for basis, bug, form, look_at in (
            (ones, "mean term", "is the same in", MEAN_TERM),
            (check.x, *_multiple(check, axes)),
            (shares, "softmax", "is a multiple of softmax(x) in", SOFTMAX),
            (shares - 1, "softmax", "is a multiple of softmax(x) - 1 in", SOFTMAX),
        ):
            if whole and bug != "softmax":
                continue  # one number for all was looked for
            if bug == "softmax" and _alike(basis[check.wrong]):
                continue
            c = across(check, basis, gap, axes)
            if explained(check, check.numerical + c * basis, together=False) >= need:
                return Finding(check.where, bug, f"a - n {form} {text} {check.share}", look_at)
        mean, middle = (v.mean(axis=axes, keepdims=True) for v in (gap, check.x))
        c = across(check, check.x - middle, gap - mean, axes)
        line = check.numerical + mean + c * (check.x - middle)
        # a normalisation ignores what is added to all: n sums to 0
        n = np.where(check.known, check.numerical, 0)
        balanced = np.abs(n.sum(axis=axes)) <= 1e-2 * np.abs(n).sum(axis=axes)
        if balanced.all() and explained(check, line, together=False) >= 2 * groups + 3:
            evidence = f"a - n is a straight line in the parameter, in {text}: {check.share[3:]}"
            return Finding(check.where, "normalisation", evidence, STANDARDISE)
    return None


def _by_sign(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a / n by one number where x is negative and another where it is not."""
    told, ratios = [], []
    if not check.seen[1].all():
        return None
    for inside in (check.x < 0, check.x >= 0):
        part = check.part(inside, check.name)
        if part.wrong.sum() < 3:
            return None
        ratios.append(constant(part.numerical[part.wrong], part.analytic[part.wrong]))
        told.append(explained(part, ratios[-1] * part.numerical, ratios[-1], together=False))
    if min(told) < 3:
        return None
    below, above = map(fraction, ratios)
    evidence = f"a / n = {below} where x is negative, {above} elsewhere, {check.share}"
    return Finding(check.where, "slope by sign", evidence, TWO_SIDED)


def _two_means(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a - n by one number for each row plus one for each column."""
    gap = check.analytic - check.numerical
    if check.x.ndim != 2 or not check.known.all():
        return None
    lines = gap.mean(axis=0) + gap.mean(axis=1, keepdims=True) - gap.mean()
    if explained(check, check.numerical + lines, together=False) < sum(gap.shape) + 3:
        return None
    evidence = f"a - n is one number for each row plus one for each column {check.share}"
    return Finding(check.where, "mean term", evidence, OTHER_AXIS)


# --- right values in wrong places -----------------------------------------------------------------


def _reorders(check: ArrayCheck, context: Context) -> Finding | None:
    """Explain a = n in another order: transposed, turned round, rows or entries moved."""
    size, shape = check.x.size, check.x.shape
    few = 10 * int(np.sum(check.wrong)) < size // max(shape)
    if np.sum(check.wrong) < 2 or (few and check.known.all()):
        return None  # orders of a large array cost much
    index = np.arange(size).reshape(shape)
    for what, source, look_at in _orders(check, index):
        if told := _reordered(check, source):
            bug = "transposed" if look_at is TRANSPOSED else "permuted"
            return Finding(check.where, bug, f"{what}; shown by {told} entries", look_at)
    return None


def _orders(
    check: ArrayCheck, index: NDArray[np.intp]
) -> Iterator[tuple[str, NDArray[np.intp], str]]:
    shape = index.shape
    long = [axis for axis in range(index.ndim) if shape[axis] > 1]
    for i, j in combinations(long, 2):
        turned = np.swapaxes(index, i, j)
        form = "a = n.T.reshape(n.shape)" if index.ndim == 2 else f"a = n.swapaxes({i}, {j})"
        if shape[i] == shape[j] and index.ndim == 2:
            form = "a[i, j] = n[j, i]"
        yield form, turned.reshape(shape), TRANSPOSED
    for axis in {0, index.ndim - 1} & set(long):
        what = "entries" if index.ndim == 1 else "columns" if axis else "rows"
        for order in _lines(check, axis):
            moved = np.flatnonzero(order != np.arange(order.size))
            moves = ", ".join(f"{order[i]} stands at {i}" for i in moved[:3])
            more = ", ..." if moved.size > 3 else ""
            text = f"the {what} of n in another order: {moves}{more}"
            yield text, np.take(index, order, axis), PERMUTED
    for count in range(1, len(long) + 1):
        for axes in combinations(long, count):
            text = f"a is n reversed along axes {', '.join(map(str, axes))}: [::-1]"
            yield text, np.flip(index, axes), FLIPPED
            shifts = [axis for axis in axes if count == 1 and 0 < axis < index.ndim - 1]
            for step in (1, -1) if shifts else ():
                text = f"a is n shifted by {step} along axis {axes[0]}"
                yield text, np.roll(index, step, axes), PERMUTED
    strewn = (np.minimum(np.abs(check.analytic), np.abs(check.numerical)) == 0)[check.wrong].all()
    if check.known.all() and index.size <= 20_000 and not strewn:  # the same values, elsewhere
        source = np.empty(index.size, np.intp)
        source[np.argsort(check.analytic.ravel())] = np.argsort(check.numerical.ravel())
        moved = np.flatnonzero(check.wrong.ravel())[:3]
        name = [[int(v) for v in np.unravel_index(k, shape)] for k in (*moved, *source[moved])]
        pairs = zip(name[len(moved) :], name[: len(moved)], strict=True)
        moves = ", ".join(f"{there} stands at {here}" for there, here in pairs)
        yield f"the entries of n in another order: {moves}, ...", source.reshape(shape), PERMUTED


def _lines(check: ArrayCheck, axis: int) -> Iterator[NDArray[np.intp]]:
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


def _reordered(check: ArrayCheck, source: NDArray[np.intp]) -> int:
    """Return how many wrong entries prove a = n[source]; 0 if an entry contradicts it.

    An L2 term may have been added after the mix-up: a - n[source] = l2 (x - x[source]).
    """
    x, a, n, error = (field.ravel() for field in check[1:5])
    known = np.flatnonzero(np.isfinite(n[source.ravel()]))
    origin = source.ravel()[known]
    gap = np.abs(a[known] - n[known])
    gap[np.isnan(gap)] = 0  # a sample: measured where it came from, and not where it stands
    far = np.abs(a[origin] - n[origin])
    room = TOLERANCE * np.sqrt(np.mean(far**2)) + 3 * error[origin]
    left, shift = a[known] - n[origin], x[known] - x[origin]
    gap = np.where(check.wrong.ravel()[known], gap, far * check.wrong.ravel()[origin])
    told = int(np.sum(room <= PROOF * TOLERANCE * gap))
    if told >= 2 and (np.abs(left) <= room).all():
        return told
    l2 = slope(shift, left)
    fits = told >= 5 and l2 > 0 and (np.abs(left - l2 * shift) <= room).all()
    return told if fits else 0


# --- the table, and what it says ------------------------------------------------------------------

# what a term of the loss gives to the slope: its function of the parameter, and how it is called
L1 = "the L1 term of the gradient: forgotten, doubled or of the wrong sign"
SAME = (
    "a term with the same slope in every entry: forgotten, or with a wrong sign or factor; the "
    "slope of a mean that is subtracted; a log of exp(x)"
)
HOLDS_EXP = "a term that holds exp of the parameter, such as a log of a sum of exp (a normaliser)"
TERMS: dict[str, tuple[Any, str, str]] = {
    " times the parameter": (lambda x: x, "L2 term", ""),
    " sign(x)": (np.sign, "L1 term", L1),
    "1": (np.ones_like, "constant term", SAME),
    " exp(x)": (np.exp, "term", HOLDS_EXP),
    " / x": (lambda x: 1 / x, "term", "a term of the loss that holds log of the parameter"),
    " (softmax(x) along axis 0 - along axis 1)": (_softmaxes, "softmax", "the axis of the softmax"),
}
# the slopes of functions of a parameter, and of which
SLOPES: dict[str, tuple[Any, str]] = {
    "x": (lambda x: x, "the slope of x^2 / 2"),
    "exp(x)": (np.exp, "the slope of exp(x)"),
    "(x > 0)": (lambda x: 1.0 * (x > 0), "the slope of a ReLU"),
    "abs(x)": (np.abs, "x for its sign (the slope of a square for that of abs(x))"),
    "tanh(x)": (np.tanh, "tanh itself"),
    "(1 - tanh(x)^2)": (lambda x: 1 - np.tanh(x) ** 2, "the slope of tanh"),
    "(1 - tanh(x))": (lambda x: 1 - np.tanh(x), "1 - tanh"),
    "(1 - x^2)": (lambda x: 1 - x**2, "1 - x^2"),
    "s(x)": (sigmoid, "the sigmoid s (the slope of a softplus)"),
    "s(-x)": (lambda x: sigmoid(-x), "the sigmoid s of -x"),
    "s(x) s(-x)": (lambda x: sigmoid(x) * sigmoid(-x), "the slope of the sigmoid s"),
    "x (1 - x)": (lambda x: x * (1 - x), "x (1 - x)"),
    "G(x)": (lambda x: _gelu(x)[0], "the first term of a GELU's slope (a product)"),
    "gelu'(x)": (lambda x: _gelu(x)[1], "the slope of a GELU (a product)"),
    "swish'(x)": (lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), "the slope of the product x s(x)"),
}
VALUES: tuple[Hypothesis, ...] = (_zeros, _constant_ratio, _term)
ORDERS: tuple[Hypothesis, ...] = (_reorders,)
MIXTURES: tuple[Hypothesis, ...] = (_ratio_beside_l2, _slope_of_x, _clipped, _one_size)
LINES: tuple[Hypothesis, ...] = (_masked, _by_sign, _along_axes)
TWO_WAYS: tuple[Hypothesis, ...] = (_two_means,)

NEVER_WRITTEN = "the line that fills it in: missing, overwritten, or a loop that ends too early"
IGNORED = (
    "`fun`: does it use this array, or a global or a copy of it? Does it round, to an int perhaps? "
    "Are its units all dead?"
)
MASK = (
    "the loss does not move with these entries: a mask (dropout, padding, np.tril, a dead ReLU) is "
    "missing in the gradient, or `fun` leaves them out"
)
MASK_IN_GRADIENT = (
    "the loss moves with these entries: a mask in the gradient that the loss has not, or has "
    "otherwise; entries that are never written; a slope forgotten for negative inputs"
)
MASK_TURNED = "a mask turned round (< for >), or made of another array than in the loss"
SIGN = "a difference turned round, y - y_hat for y_hat - y, or a minus lost"
HALF = (
    "a 2 that stands in one of the loss and the gradient only, as where r^2 is taken for 1/2 r^2, "
    "or two that are averaged and not summed"
)
MEAN = "the loss and the gradient disagree on mean or sum: divide by N in both or in neither"
N_MINUS_1 = "one of the loss and the gradient divides by N, the other by N - 1"
CONSTANT = (
    "a constant in one of the two only: mean against sum (a number of examples or outputs), a "
    "learning rate, a scale"
)
HERE = "where these slopes alone are made, for the factor is not shared by all"
FACTOR_HERE = f"{HERE}: an average for a sum, something counted twice or scaled"
SHARED_OUT = (
    "a mask is missing, and what belongs to one entry (the winner of a maximum) is shared out"
)
TWO_SIDED = "the slopes of an activation on its two sides, such as those of a leaky ReLU: swapped"
OTHER_AXIS = "a mean or sum that is taken over the other axis"
LENGTH = "the length of an axis in `args`"
NORM = "the gradient is clipped or normalised; the gradient of the loss is not"
CLIP = "the gradient is clipped, np.clip(g, -c, c), and the loss is not: leave it out of the check"
CLIP_IN_LOSS = "the loss grows no steeper there (Huber, a clip, saturation), and the gradient does"
ABSOLUTE = "the loss is an absolute value here, and the gradient that of another, such as a square"
SIGN_ONLY = "the gradient keeps only the sign, as of an absolute value, or is clipped everywhere"
PER_LINE = (
    "a scale of each row or column that one of the loss and the gradient has, such as gamma, a "
    "spread, a length, a count, a class weight, or an upstream gradient"
)
MEAN_TERM = (
    "a sum or mean over that axis: forgotten or of the wrong sign, as where a normalisation "
    "subtracts a mean (batch norm, layer norm) and the mean's own slope is left out"
)
NORMALISE = (
    "where the parameter or a row of it is divided by its length: the slope of that norm (the "
    "projection, the radial part) is forgotten or wrong"
)
NORM_TOO = f"or, {NORMALISE}"
EITHER_NORM = f"an L2 term (forgotten, doubled, of the wrong sign); or {NORMALISE}"
STANDARDISE = (
    "where a mean and a variance are taken over these (batch norm, layer norm): the term of "
    "the normalisation that holds the variance is forgotten or wrong"
)
SOFTMAX = "the slope of the softmax, p * (g - sum(g * p)): its sum over that axis is missing or off"
TRANSPOSED = "the product: A.T @ delta turned into delta.T @ A, or a `reshape` that stands for .T"
PERMUTED = (
    "right values in wrong places: an index off by one or of another maximum, a slice [::-1], "
    "arrays joined in another order"
)
FLIPPED = "a slice [::-1], or a kernel rotated by 180 degrees: convolution against correlation"
ROUND = {sign * c * 10.0**k for sign in (-1, 1) for c in (1, 2, 5) for k in range(-3, 4)} | {0.0}


def name_ratio(
    ratio: float, context: Context, bar: float = 0.0, tolerance: float = TOLERANCE
) -> tuple[str, str, str, str] | None:
    """Return bug, value, note and look_at for a ratio, known to `bar`, with a meaning of its own.

    What needs one assumption goes before what needs two.
    """
    sizes = context.sizes
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
    here = "; {} is a length or the size of a parameter"
    known += [(v, "factor", here.format(size), CONSTANT)
              for size in context.lengths for v in (size, 1 / size)]  # fmt: skip
    for value, bug, note, look_at in known:
        scale = min(abs(value), abs(value - 1))
        room = max(tolerance * scale, min(bar, PROOF * TOLERANCE * scale))
        for sign in (1, -1) if value > 0 else (1,):
            if abs(ratio - sign * value) <= room:
                if not context.whole:
                    look_at = f"{HERE}: a minus lost" if bug == "sign" else FACTOR_HERE
                look_at += "" if sign > 0 else f"; and {SIGN if context.whole else 'a minus lost'}"
                return bug, fraction(sign * value), note, look_at
    return None


def fraction(value: float) -> str:
    """Return 0.25 as "0.25 (1/4)" and 2.449490 as "2.449 (sqrt 6)"."""
    text = f"{value:.{4 if abs(value - 1) > TOLERANCE else 8}g}"
    for power, form in ((1, "{}"), (-1, "1/{}"), (2, "sqrt {}"), (-2, "1/sqrt {}")):
        whole = abs(value) ** power
        simple = 0.5 < whole < 1e6 ** (1 / abs(power)) and abs(whole - round(whole)) <= TOLERANCE
        if simple and round(whole) > (power != 1):
            sign = "-" if value < 0 else ""
            return text if power == 1 else f"{text} ({sign}{form.format(round(whole))})"
    return text
