"""The entries that were looked at, and what is said of each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, overload

import numpy as np

from gradcheck.measuring.parameters import Array, Parameters
from gradcheck.measuring.slopes import Floats

BLIND = 0.1  # a resolution worse than this is said in the text


class Verdict(IntEnum):
    """What is said of an entry, worst first."""

    WRONG = 0
    UNRESOLVED = 1
    KINK = 2
    AGREE = 3


class Reason(IntEnum):
    """What decided the verdict, or set the width of the error bar."""

    GRADIENT = 0
    KINK = 1
    ROUND_OFF = 2
    TRUNCATION = 3
    DOMAIN = 4
    NOISE = 5
    STAIRCASE = 6

    def __str__(self) -> str:
        """Return the word a reader sees."""
        return self.name.lower().replace("_", "-")


class Entry(NamedTuple):
    """One partial derivative: both values, the error bar of the second, and the verdict.

    Attributes
    ----------
    name : str
        As a reader would index it: ``"W2[3, 1]"``, ``"[4]"``, ``"[0].b[2]"``.
    analytic, numerical : float
        What the gradient says, and the slope of the loss.
    error : float
        The error bar of the slope.
    verdict : str
        ``"agree"``, ``"kink"``, ``"wrong"`` or ``"unresolved"``.
    reason : str
        What decided: ``"gradient"``, ``"kink"``, ``"round-off"``, ``"truncation"``, ``"domain"``,
        ``"noise"`` or ``"staircase"``.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import check_gradient
    >>> entry = check_gradient(lambda w: w @ w, [2.0, 5.0], np.array([1.0, 2.0])).wrong[0]
    >>> entry.name, entry.analytic, round(entry.numerical, 6), entry.verdict
    ('[1]', 5.0, 4.0, 'wrong')
    """

    name: str
    analytic: float
    numerical: float
    error: float
    verdict: str
    reason: str


class SearchStep(NamedTuple):
    """One measurement along a random direction, on the way to the wrong entries.

    `residual` is the error of the gradient along the direction, in the region `where` of `size`
    entries, and `allowed` what it may be; `active` is True where something there is wrong. Where
    the direction was multiplied by a ramp along the `ramp` ("arrays", "rows" or "columns") of the
    region, `ratio` is the residual over that without: of one wrong entry, its place on the ramp.
    """

    where: str
    size: int
    residual: float
    allowed: float
    active: bool
    ramp: str = ""
    ratio: float = math.nan


@dataclass
class CheckedArray:
    """The entries of one array that were looked at, as columns."""

    array: int
    index: Array
    analytic: Array
    numerical: Floats
    error: Floats
    allowed: Floats
    verdict: Array
    reason: Array

    @classmethod
    def blank(cls, array: int, index: Array, analytic: Array) -> CheckedArray:
        """Make room for the entries `index` of an array whose values there are `analytic`."""
        n = index.size
        numerical, error, allowed = np.full((3, n), np.nan)
        verdict = np.full(n, Verdict.UNRESOLVED, dtype=np.uint8)
        reason = np.full(n, Reason.GRADIENT, dtype=np.uint8)
        return cls(array, index, analytic, numerical, error, allowed, verdict, reason)

    def resolution(self, typical: float) -> float:
        """Return the smallest error in one entry that would have been seen, in typical entries.

        On a kink, an error as large as the gap between its two slopes may not be seen.
        """
        resolved = (self.verdict != Verdict.UNRESOLVED) & np.isfinite(self.analytic)
        if not np.any(resolved):
            return math.inf if self.index.size else 0.0
        # The slope may be off by its bar, and take the side of the error; and bars are estimates.
        seen = float(np.max(self.allowed[resolved] + 3 * self.error[resolved]))
        return seen / typical if typical else math.inf

    def shows_sign(self) -> bool:
        """Whether the negative of these entries would have been called wrong."""
        with np.errstate(invalid="ignore"):
            apart = np.abs(self.analytic + self.numerical) > self.allowed + self.error
        apart |= self.verdict == Verdict.WRONG
        return bool(np.any(apart & (self.verdict != Verdict.UNRESOLVED)))

    def badness(self) -> Floats:
        """Return a number to sort by: the verdict, and in what failed, the relative error.

        Entries that agree keep their order: how far round-off moved each says nothing.
        """
        with np.errstate(all="ignore"):
            larger = np.fmax(np.abs(self.analytic), np.abs(self.numerical))
            relative_error = np.round(np.abs(self.analytic / larger - self.numerical / larger), 3)
        relative_error = np.where(np.isnan(relative_error), 2.0, relative_error)
        failed = self.verdict != Verdict.AGREE
        return self.verdict - np.where(failed, relative_error / 3, 0.0)


class Judged(NamedTuple):
    """All that was looked at, and what could have been seen: per array where it is a list."""

    checked: list[CheckedArray]
    resolution: list[float]  # the smallest error in one entry that would have shown
    signs: list[bool]  # whether another sign would have shown
    vouched: list[Array]  # entries that only directions speak for
    complete: bool = True
    explained: bool = True  # False where the gradient is off, but in no entry that is known
    notes: Sequence[str] = ()
    trace: Sequence[SearchStep] = ()


class Entries(Sequence[Entry]):
    """The entries of a report, made when somebody looks at one."""

    def __init__(self, parameters: Parameters, checked: Sequence[CheckedArray]) -> None:
        self._parameters, self.names, self.checked = parameters, parameters.names, checked
        self._starts = np.cumsum([0] + [c.index.size for c in checked])

    def __len__(self) -> int:
        """Return how many entries were looked at."""
        return int(self._starts[-1])

    @overload
    def __getitem__(self, i: int) -> Entry: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[Entry]: ...
    def __getitem__(self, i: int | slice) -> Entry | Sequence[Entry]:
        """Return one entry, or a list of them."""
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        c, row = self.row(range(len(self))[i])
        verdict, reason = Verdict(c.verdict[row]), Reason(c.reason[row])
        return Entry(
            self._parameters.entry_name(c.array, int(c.index[row])),
            float(c.analytic[row]),
            float(c.numerical[row]),
            float(c.error[row]),
            verdict.name.lower(),
            str(reason),
        )

    def row(self, i: int) -> tuple[CheckedArray, int]:
        """Return the columns and the row in them that hold entry i."""
        k = int(np.searchsorted(self._starts, i, side="right")) - 1
        return self.checked[k], i - int(self._starts[k])

    def worst(self, verdict: Verdict | None = None, limit: int | None = None) -> list[int]:
        """Return the numbers of the entries, worst first, of one verdict or of all."""
        badness = np.concatenate([c.badness() for c in self.checked] or [np.empty(0)])
        chosen = np.arange(len(self))
        if verdict is not None:
            chosen = np.flatnonzero(np.ceil(badness) == verdict)
        return [int(i) for i in chosen[np.argsort(badness[chosen], kind="stable")][:limit]]
