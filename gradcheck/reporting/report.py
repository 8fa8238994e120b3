"""What a check found, and how it prints."""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.explaining.hypotheses import Finding
from gradcheck.judging.directions import SearchStep
from gradcheck.judging.table import BLIND, Entries, Entry, Reason, Verdict


@dataclass(frozen=True, repr=False, eq=False)
class GradientReport:
    """What `check_gradient` found.

    Attributes
    ----------
    passed : bool
        True where every entry agrees with the loss or sits on a kink. The report itself is true or
        false in the same way.
    entries : sequence of Entry
        Every entry that was looked at, made on demand: all of them with ``"entries"``.
    wrong, unresolved : tuple of Entry
        Those that disagree, and those whose slope cannot be had; worst first.
    findings : tuple of Finding
        Which classical bug explains the wrong entries; empty if none is wrong.
    nfev : int
        Calls of `fun`.
    method : str
        ``"entries"`` or ``"directions"``.
    resolution : dict of str to float
        For each array, the smallest error in a single entry that this check would have seen,
        relative to the typical (root-mean-square) entry of that array. Infinite where the array
        shows nothing to compare with.
    complete : bool
        False where the search for wrong entries stopped early; the text says at what.
    explained : bool
        False where the gradient is off along a direction, but no entry of it could be named.
    size : int
        How many partial derivatives there are.
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

    def __bool__(self) -> bool:
        """Return `passed`."""
        return self.passed

    @cached_property
    def blind(self) -> tuple[str, ...]:
        """The arrays of which a pass says nothing: any gradient of that size would have passed."""
        return tuple(name for name, r in self.resolution.items() if r >= 1)

    def raise_if_wrong(self, max_rows: int | None = None) -> None:
        """Raise an `AssertionError` that holds the printed report, unless it passed."""
        __tracebackhide__ = True  # pytest shows the reader's line, not this one
        if not self.passed:
            raise AssertionError(self.text(max_rows))

    def text(self, max_rows: int | None = None) -> str:
        """Return the verdict in a sentence, the findings, the table and what to know besides."""
        footnotes = "\n".join(textwrap.fill(note, WIDTH) for note in self.footnotes())
        blocks = [
            textwrap.fill(self.headline(), WIDTH),
            *map(_finding_text, self.findings),
            self.table(max_rows),
            footnotes,
        ]
        return "\n\n".join(block for block in blocks if block)

    def __str__(self) -> str:
        """Return `text()`."""
        return self.text()

    __repr__ = __str__

    def headline(self) -> str:
        """Return the verdict in one sentence."""
        counts = self._counts()
        entries = f"{self.size:,} partial derivative" + ("s" if self.size != 1 else "")
        if self.passed:
            kinks = counts[Verdict.KINK]
            besides = f", {kinks:,} of them on a kink of the loss" if kinks else ""
            along = " along random directions" if self.method == "directions" else ""
            verb = "agrees" if self.size == 1 else "agree"
            return f"PASSED{self._blind()}: {entries} {verb} with the loss{along}{besides}."
        wrong, unresolved = counts[Verdict.WRONG], counts[Verdict.UNRESOLVED]
        parts = [] if self.explained else ["random directions leave it open (see below)"]
        if wrong:
            at_least = "" if self.complete else "at least "
            parts.append(f"{at_least}{wrong:,} of {entries} disagree" + ("s" * (wrong == 1)))
        if unresolved:
            of_all = "" if wrong else f" of {entries}"
            parts.append(
                f"{unresolved:,}{of_all} could not be resolved (no proof against the gradient)"
            )
        return f"{'WRONG' if wrong else 'UNRESOLVED'}: {'; '.join(parts)}."

    def _blind(self) -> str:
        """Say for which arrays a pass means nothing: any gradient of that size would have."""
        names = [_short(name) or "the gradient" for name, r in self.resolution.items() if r >= 1]
        if len(", ".join(names)) > NAME:
            return f", blind in {len(names)} of {len(self.resolution)} arrays"
        return f", blind in {', '.join(names)}" if names else ""

    def _counts(self) -> dict[Verdict, int]:
        return {
            v: sum(int(np.count_nonzero(c.verdict == v)) for c in self.entries.checked)
            for v in Verdict
        }

    def rows(self, limit: int | None = None) -> Iterator[tuple[str, ...]]:
        """Yield the cells of the table, worst entry first."""
        for i in self.entries.worst(limit=limit):
            entry, (c, row) = self.entries[i], self.entries.row(i)
            difference = abs(entry.analytic - entry.numerical)
            numerical = _number(entry.numerical, entry.error)
            larger = max(abs(entry.analytic), abs(entry.numerical))
            wide = 1e-3 * larger < entry.error < math.inf
            if entry.verdict == "kink" or (entry.verdict == "wrong" and wide):
                ends = [entry.numerical - entry.error, entry.numerical + entry.error]
                ends = [0.0 if abs(end) < 1e-3 * entry.error else end for end in ends]
                numerical = "{:.2g} to {:.2g}".format(*ends)
            agrees = entry.verdict == "agree" and math.isfinite(difference)
            yield (
                entry.name,
                _number(entry.analytic),
                numerical,
                _order(difference, c.allowed[row]) if agrees else f"{difference:.1e}",
                f"{c.allowed[row]:.0e}",
                entry.verdict,
            )

    def table(self, max_rows: int | None = None) -> str:
        """Return the entries as a table, worst first; of 80 columns, if names can be cut to fit.

        By default the first 20 that failed, or 8 with those that agree.
        """
        rows = list(self.rows(self._few() if max_rows is None else max_rows))
        if not rows:
            return ""
        names, *columns = zip(COLUMNS, *rows, strict=True)
        widths = [max(map(len, column)) for column in columns]
        room = min(NAME, WIDTH - sum(widths) - 2 * len(widths))
        short = [_short(name, room) for name in names]
        if len(set(short)) == len(names):  # otherwise no one could tell the entries apart
            names = tuple(short)
        first = max(map(len, names))
        lines = [
            "  ".join([name.ljust(first), *map(str.rjust, numbers, widths), verdict])
            for name, *numbers, verdict in zip(names, *columns, strict=True)
        ]
        if (more := len(self.entries) - len(rows)) > 0:
            lines.append(f"... and {more:,} more, none of them worse")
        return "\n".join(lines)

    def _few(self) -> int:
        counts = self._counts()
        return min(20, max(8, counts[Verdict.WRONG] + counts[Verdict.UNRESOLVED]))

    def footnotes(self) -> Iterator[str]:
        """Yield what a reader should know besides the verdict, a sentence a line."""
        reasons = {
            (Verdict(v), Reason(r))
            for c in self.entries.checked
            for v, r in set(zip(c.verdict.tolist(), c.reason.tolist(), strict=True))
        }
        for pair in sorted(reasons & EXPLANATIONS.keys()):
            yield EXPLANATIONS[pair]
        told = self.resolution if self.complete else {}
        blind = {name: r for name, r in told.items() if r > BLIND}
        names, checked = self.entries.names, self.entries.checked
        wrong = {names[c.array] for c in checked if np.any(c.verdict == Verdict.WRONG)}
        dead = [name for name, r in blind.items() if math.isinf(r) and name not in wrong]
        if dead:
            where = ", ".join(name or "the gradient" for name in dead)
            yield f"Nothing to tell right from wrong in {where}: no slope rises above noise."
        for name, r in blind.items():
            if math.isfinite(r):
                size = f"{100 * r:.0f} % of" if r < 2 else f"{r:,.0f} times"
                yield (
                    f"An error in one entry{' of ' + name if name else ''} below {size} the "
                    "typical entry would not have been seen."
                )
        if self.method == "directions" and told and not blind:
            worst = max(told, key=lambda name: told[name])
            place = f" (in {worst})" if worst else ""
            yield (
                "The smallest error in one entry that would have been seen: "
                f"{_order(told[worst])} of a typical entry{place}."
            )
        yield from self.notes

    def _repr_html_(self) -> str:
        """Return the report as HTML, for a notebook."""

        def row(cells: Iterable[str], tag: str) -> str:
            style = ' style="white-space: nowrap"'
            return "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for cell in cells)

        def text(words: str) -> str:
            return re.sub("`(.*?)`", r"<code>\1</code>", html.escape(words))

        findings = "".join(
            f"<p><b>{text(f.where or 'the gradient')}: {text(f.bug)}.</b> "
            f"{text(f.evidence)}<br>Look at: {text(f.look_at)}</p>"
            for f in self.findings
        )
        body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in self.rows(self._few()))
        notes = "".join(f"<li>{text(note)}</li>" for note in self.footnotes())
        return (
            f"<p><b>{text(self.headline())}</b></p>{findings}<table><thead><tr>"
            f"{row(COLUMNS, 'th')}</tr></thead><tbody>{body}</tbody></table><ul>{notes}</ul>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values that JSON can hold; None for NaN and infinity."""
        return {
            "passed": self.passed,
            "size": self.size,
            "nfev": self.nfev,
            "method": self.method,
            "complete": self.complete,
            "resolution": _plain(self.resolution),
            "wrong": [_plain(entry._asdict()) for entry in self.wrong],
            "unresolved": [_plain(entry._asdict()) for entry in self.unresolved],
            "findings": [finding._asdict() for finding in self.findings],
            "notes": list(self.notes),
        }


COLUMNS = ("entry", "analytic", "numerical", "difference", "allowed", "verdict")
WIDTH, NAME = 80, 18  # columns of a line, and of the name of an entry
EXPLANATIONS = {
    (Verdict.UNRESOLVED, Reason.DOMAIN): "Unresolved: the loss is not finite beside the point.",
    (Verdict.UNRESOLVED, Reason.TRUNCATION): "Unresolved: the slopes never settle as steps shrink.",
    (Verdict.UNRESOLVED, Reason.NOISE): "Unresolved: the noise of the loss hides the slope.",
    (Verdict.KINK, Reason.KINK): "Kink: the loss bends at the point; the gradient lies between "
    "its two slopes.",
}


def _finding_text(finding: Finding) -> str:
    where = finding.where or "the gradient"
    lines = f"{where}: {finding.bug}. {finding.evidence}", f"  Look at: {finding.look_at}"
    return "\n".join(textwrap.fill(line, WIDTH - 1, subsequent_indent="    ") for line in lines)


def _short(name: str, room: int = NAME) -> str:
    """Cut a long name before its index: the start says which array it is, the end which entry."""
    if len(name) <= room:
        return name
    end = min(max(len(name) - name.rfind("["), room // 2), room - 4)
    return f"{name[: room - 1 - end]}…{name[len(name) - end :]}"


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Put None for NaN and infinity, which JSON does not have."""
    lost = {k for k, v in values.items() if isinstance(v, float) and not math.isfinite(v)}
    return {key: None if key in lost else value for key, value in values.items()}


def _number(value: float, error: float = 0.0) -> str:
    """Print the digits that are known of a number: round-off differs between processors."""
    if not value or not math.isfinite(value) or not 0 < error < math.inf:
        return f"{value:.6e}"
    if abs(value) <= error:
        return _order(abs(value))
    known = math.floor(math.log10(abs(value))) - math.floor(math.log10(error))
    return f"{value:.{min(max(known, 0), 6)}e}"


def _order(size: float, limit: float = math.inf) -> str:
    """Print an upper bound, a power of ten but no more than `limit`, for what is round-off."""
    if not 0 < size < math.inf:
        return f"{size:.0f}"
    exponent = math.floor(math.log10(size)) + 1
    return f"<1e{exponent:+03d}" if 10.0**exponent <= limit else f"<{limit:.0e}"
