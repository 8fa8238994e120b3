"""What a check found, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from gradcheck.explaining.evidence import Finding
from gradcheck.judging.table import Entries, Entry, SearchStep, Verdict
from gradcheck.reporting import text


@dataclass(frozen=True, repr=False, eq=False)
class GradientReport:
    """What a check found. It is true where the gradient passed; print it.

    Attributes
    ----------
    passed : bool
        True where every entry agrees with the loss or sits on a kink.
    entries : sequence of Entry
        Every entry that was looked at, made on demand: all of them with ``"entries"``.
    wrong, unresolved : tuple of Entry
        Those that disagree, and those whose slope cannot be had; worst first.
    findings : tuple of Finding
        Which classical bug explains the wrong entries; empty if none is wrong.
    nfev : int
        Calls of `fun`, or of `forward`.
    method : str
        ``"entries"`` or ``"directions"``.
    resolution : dict of str to float
        For each array, the smallest error in a single entry that this check would have seen,
        relative to the typical (root-mean-square) entry of that array. Infinite where the array
        shows nothing to compare with.
    blind : tuple of str
        The arrays of which nothing could be told: a gradient of another sign would have passed.
    complete : bool
        False where the search for wrong entries stopped early; the text says at what.
    explained : bool
        False where the gradient is off along a direction, but no entry of it could be named.
    size : int
        How many partial derivatives there are.
    rtol, eps : float
        The relative tolerance, and the machine epsilon of the lowest precision that takes part.
    notes : tuple of str
        Sentences of the printed report that are neither verdict nor finding.
    search : tuple of SearchStep
        After ``"directions"``: every region that was measured on the way to the wrong entries.

    Examples
    --------
    >>> import numpy as np
    >>> from gradcheck import check_gradient
    >>> report = check_gradient(lambda w: w @ w, lambda w: 2 * w, np.array([1.0, 2.0]))
    >>> print(report.headline())
    PASSED: 2 partial derivatives agree with the loss.
    >>> report.entries[0].verdict
    'agree'
    """

    passed: bool
    entries: Entries
    findings: tuple[Finding, ...]
    nfev: int
    method: str
    resolution: Mapping[str, float]
    complete: bool
    size: int
    rtol: float
    eps: float
    blind: tuple[str, ...] = ()
    explained: bool = True
    notes: tuple[str, ...] = ()
    search: tuple[SearchStep, ...] = ()

    @cached_property
    def wrong(self) -> tuple[Entry, ...]:
        """The entries that disagree with the loss, worst first."""
        return tuple(self.entries[i] for i in self.entries.worst(Verdict.WRONG))

    @cached_property
    def unresolved(self) -> tuple[Entry, ...]:
        """The entries whose slope cannot be had; no proof against the gradient."""
        return tuple(self.entries[i] for i in self.entries.worst(Verdict.UNRESOLVED))

    @cached_property
    def counts(self) -> dict[Verdict, int]:
        """How many entries there are of each verdict."""
        columns = [c.verdict for c in self.entries.checked]
        return {v: sum(int(np.count_nonzero(c == v)) for c in columns) for v in Verdict}

    def arrays_with(self, verdict: Verdict) -> list[str]:
        """Return the names of the arrays that hold an entry of a verdict, in their order."""
        found = {c.array for c in self.entries.checked if np.any(c.verdict == verdict)}
        return [self.entries.names[k] for k in sorted(found)]

    def __bool__(self) -> bool:
        """Return `passed`."""
        return self.passed

    def __str__(self) -> str:
        """Return the verdict in a sentence, the findings, the table and what to know besides."""
        return text.printed(self)

    def __repr__(self) -> str:
        """Return the verdict in one line."""
        return text.in_a_line(self)

    def _repr_html_(self) -> str:
        """Return the report as HTML, for a notebook."""
        return text.as_html(self)

    def headline(self) -> str:
        """Return the verdict in one sentence."""
        return text.headline(self)

    def table(self, max_rows: int | None = None) -> str:
        """Return the entries as a table, worst first, of 80 columns.

        By default the first 20 that failed, or 8 with those that agree.
        """
        return text.table(self, max_rows)

    def raise_if_wrong(self, max_rows: int | None = None) -> None:
        """Raise an `AssertionError` that holds the printed report, unless it passed."""
        __tracebackhide__ = True  # pytest shows the reader's line, not this one
        if not self.passed:
            raise AssertionError(text.printed(self, max_rows))

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values that JSON can hold; None for NaN and infinity."""
        return {
            "version": _version(),
            "passed": self.passed,
            "headline": self.headline(),
            "size": self.size,
            "nfev": self.nfev,
            "method": self.method,
            "rtol": self.rtol,
            "complete": self.complete,
            "resolution": _plain(self.resolution),
            "blind": list(self.blind),
            "wrong": [_plain(entry._asdict()) for entry in self.wrong],
            "unresolved": [_plain(entry._asdict()) for entry in self.unresolved],
            "findings": [finding._asdict() for finding in self.findings],
            "notes": list(self.notes),
        }


def _version() -> str | None:
    """Return the version that is installed, if one is."""
    try:
        return version("gradcheck")
    except PackageNotFoundError:
        return None


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put None for NaN and infinity, which JSON does not have."""
    lost = {k for k, v in values.items() if isinstance(v, float) and not math.isfinite(v)}
    return {key: None if key in lost else value for key, value in values.items()}
