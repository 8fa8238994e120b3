"""What the diagnosis knows of an array, and whether that proves what a bug would predict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TOLERANCE = 1e-3  # the part of abs(a - n) that a hypothesis may leave unexplained
STRICT = 1e-4  # and where it rests on one or two entries
PROOF = 30  # an entry proves nothing that may be off by more than so many tolerances
ALIKE = 1e-2  # parameters that differ by less of their size show no dependence on them
LARGE = 50_000  # of a larger array not all that is right is held against a hypothesis
THINNED = 64  # but what lies in so many of its rows, columns, ...


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
    other entries may be wrong, too. `of` is the share of a larger array for which this one stands.
    `moves`: the loss moves with wrong entries in which its slope is exactly 0, as where it is even.
    """

    name: str
    x: NDArray[Any]
    analytic: NDArray[Any]
    numerical: NDArray[Any]
    error: NDArray[Any]
    wrong: NDArray[np.bool_]
    settled: bool = True
    of: str = ""
    moves: bool = False

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
    def whole(self) -> bool:
        """Whether every entry is known, and none was left out."""
        return not self.of and bool(self.known.all())

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which entries are known and not 0 on both sides."""
        alive: NDArray[np.bool_] = self.known & ((self.analytic != 0) | (self.numerical != 0))
        return alive

    @property
    def others(self) -> NDArray[np.bool_]:
        """Which entries were seen to be right, are not 0 on both sides, and on no kink."""
        others: NDArray[np.bool_] = self.alive & ~self.wrong & np.isfinite(self.error)
        return others

    @property
    def seen(self) -> tuple[NDArray[Any], ...]:
        """The parameters, a, n and the error bar of the wrong entries."""
        x, a, n, error = (field[self.wrong] for field in self[1:5])
        return x, a, n, error

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Which entries are right, where an error of such a part of them would have shown."""
        part = np.median(self.off) if self.wrong.any() else 1.0
        shown: NDArray[np.bool_] = self.others & (self.error <= np.abs(self.analytic) * part / 3)
        return shown

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Which of them would have shown an error of such a size, too."""
        _, a, n, _ = self.seen
        size = np.median(np.abs(a - n)) if a.size else np.inf
        sure: NDArray[np.bool_] = self.shown & (self.error <= size / 3)
        return sure

    @property
    def off(self) -> NDArray[Any]:
        """By which part of the larger of the two each wrong entry is off."""
        _, a, n, _ = self.seen
        off: NDArray[Any] = np.abs(a - n) / np.maximum(np.abs(a), np.abs(n))
        return off

    @property
    def still(self) -> bool:
        """Whether the loss does not move with any wrong entry, so far as can be told."""
        _, a, n, error = self.seen
        return bool((np.abs(n) <= np.minimum(3 * error, 0.1 * np.abs(a))).all()) and not self.moves

    @property
    def dead(self) -> bool:
        """Whether both sides are 0 throughout, so far as can be told."""
        return bool((self.known & (np.abs(self.analytic) <= 3 * self.error)).all())

    @property
    def right(self) -> bool:
        """Whether all of it was seen to be right, and not only 0 = 0."""
        return bool(self.settled and self.alive.any() and not self.wrong.any())

    def clear(self, part: float) -> bool:
        """Whether an error of such a part of it would have shown in most of it.

        In what a clean direction vouched for, where n = a, errors of all entries add up.
        """
        vouched = (self.analytic == self.numerical) & (self.error > 0)
        error = self.error / np.sqrt(np.where(vouched, np.sum(vouched), 1))
        sharp = self.alive & (error <= part / 3 * np.abs(self.analytic))
        return bool(self.wrong.any() or 2 * np.sum(sharp) >= np.sum(self.alive))

    @property
    def in_line(self) -> bool:
        """Whether all that is wrong lies in one row, column or slice."""
        touched = zip(self.x.shape, np.nonzero(self.wrong), strict=True)
        return any(n > 1 and np.ptp(i) == 0 for n, i in touched if i.size)

    @property
    def throughout(self) -> bool:
        """Whether at least half of what is known of the array is wrong."""
        return bool(2 * np.sum(self.wrong) >= np.sum(self.alive))

    @property
    def share(self) -> str:
        """Such as "in 6 of 8 entries"."""
        if self.of:
            return self.of
        alive, wrong = int(np.sum(self.alive)), int(np.sum(self.wrong))
        lost = int(np.sum(self.others & ~self.sure))
        lost *= 10 * lost > alive  # a few say nothing
        sampled = "" if self.known.all() else " known"
        noisy = f" ({lost:,} more {'is' if lost == 1 else 'are'} too noisy to tell)" if lost else ""
        return f"in {wrong:,} of {alive - lost:,} entries{sampled}{noisy}"

    def part(self, index: Any, name: str | None = None) -> ArrayCheck:
        """Return a part of the array, under a name of its own."""
        x, a, n, error, wrong = (field[index] for field in self[1:6])
        name = self.name if name is None else name
        return ArrayCheck(name, x, a, n, error, wrong, self.settled, moves=self.moves)

    def thinned(self) -> ArrayCheck:
        """Return all rows and columns of a large array in which something is wrong, and some."""
        if self.x.size <= LARGE:
            return self
        known = self.known
        telling = self.wrong if np.sum(known) > LARGE else known
        kept = [
            np.union1d(touched, np.linspace(0, size - 1, min(size, THINNED)).astype(np.intp))
            for size, touched in zip(self.x.shape, np.nonzero(telling), strict=True)
        ]
        return self.part(np.ix_(*kept))._replace(of=self.share)


class Context(NamedTuple):
    """What a hypothesis may know besides the array.

    `sizes` may be N, the likeliest first; `lengths` are those of the parameters. `whole`: the array
    stands for the whole gradient, in which nothing is right. `part`: it is a part of an array, and
    the rest is right. `norm` is that of all of a. `data`: where the lengths were found.
    """

    sizes: Sequence[int] = ()
    lengths: Sequence[int] = ()
    whole: bool = False
    part: bool = False
    norm: float = np.nan
    data: str = "`args`"

    @property
    def length(self) -> str:
        """Say what N is."""
        return f"the length of an axis in {self.data}"


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


def across(u: NDArray[Any], v: NDArray[Any], axes: tuple[int, ...]) -> Any:
    """Return the c of v = c u that is the same along `axes`, read where u is largest."""
    kept = [axis for axis in range(u.ndim) if axis not in axes]
    size = np.where(np.isfinite(u * v), np.abs(u), -1.0).transpose(*kept, *axes)
    shape = size.shape[: len(kept)]
    best = size.reshape(*shape, -1).argmax(axis=-1)[..., None]
    u, v = (
        np.take_along_axis(w.transpose(*kept, *axes).reshape(*shape, -1), best, -1)[..., 0]
        for w in (u, v)
    )
    return np.expand_dims(np.where(u == 0, 0.0, v / u), axes)  # 0 where nothing tells


def alike(values: NDArray[Any]) -> bool:
    """Whether all values are nearly the same."""
    return bool(np.ptp(values) <= ALIKE * np.abs(values).max(initial=0.0))


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
