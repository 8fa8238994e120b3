"""The words of a report: a sentence, a table of 80 columns, and what to know besides."""

from __future__ import annotations

import html
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.judging.table import BLIND, Reason, Verdict

if TYPE_CHECKING:
    from gradcheck.explaining.evidence import Finding
    from gradcheck.reporting.report import GradientReport

COLUMNS = ("entry", "analytic", "numerical", "difference", "allowed", "verdict")
WIDTH, NAME = 80, 18  # columns of a line, and of the name of an entry
LISTED = 40  # columns of a list of names in a sentence
LITTLE = 0.1  # of an entry: so small an error might be one of low precision
PRECISIONS = {2.0**-23: "float32", 2.0**-10: "float16"}
EXPLANATIONS = {
    (Verdict.UNRESOLVED, Reason.DOMAIN): "Unresolved: the loss is not finite beside the point.",
    (Verdict.UNRESOLVED, Reason.TRUNCATION): "Unresolved: the slopes never settle as steps shrink.",
    (Verdict.UNRESOLVED, Reason.NOISE): "Unresolved: the noise of the loss hides the slope.",
    (Verdict.KINK, Reason.KINK): "Kink: the loss bends at the point; the gradient lies between "
    "its two slopes.",
    (Verdict.WRONG, Reason.KINK): "Wrong on a kink: the loss bends at the point, and the gradient "
    "lies outside of its two slopes.",
}


def printed(report: GradientReport, max_rows: int | None = None) -> str:
    """Return all of a report: the verdict, the findings, the table and what to know besides."""
    blocks = [
        textwrap.fill(headline(report), WIDTH),
        *map(_finding, report.findings),
        table(report, max_rows),
        "\n".join(textwrap.fill(note, WIDTH) for note in footnotes(report)),
    ]
    return "\n\n".join(block for block in blocks if block)


def in_a_line(report: GradientReport) -> str:
    """Return what a report says first, in one line: pytest and a shell show it."""
    told = "".join(f" {f.where or 'the gradient'}: {f.bug}." for f in report.findings[:1])
    return f"<{headline(report)}{told} Print it for more.>"


def headline(report: GradientReport) -> str:
    """Return the verdict in one sentence."""
    counts = report.counts
    entries = f"{report.size:,} partial derivative" + ("s" if report.size != 1 else "")
    verb = "agrees" if report.size == 1 else "agree"
    if report.passed:
        kinks = counts[Verdict.KINK]
        besides = f", {kinks:,} of them on a kink of the loss" if kinks else ""
        along = " along random directions" if report.method == "directions" else ""
        blind = _listed(", blind in", report.blind, len(report.resolution))
        return f"PASSED{blind}: {entries} {verb} with the loss{along}{besides}."
    wrong, unresolved = counts[Verdict.WRONG], counts[Verdict.UNRESOLVED]
    parts = [] if report.explained else ["entries taken together leave it open (see below)"]
    if wrong:
        at_least = "" if report.complete else "at least "
        parts.append(f"{at_least}{wrong:,} of {entries} disagree" + ("s" * (wrong == 1)))
    if unresolved:
        of_all = "" if wrong else f" of {entries}"
        parts.append(
            f"{unresolved:,}{of_all} could not be resolved (no proof against the gradient)"
        )
    if not parts:  # it is the findings that speak against it
        bent = "`backward` is not linear in the upstream gradient"
        return f"WRONG: {bent}; at this one, {entries} {verb} with the loss."
    verdict = Verdict.WRONG if wrong else Verdict.UNRESOLVED
    names = [name for name in report.arrays_with(verdict) if name]
    return f"{verdict.name}{_listed(' in', names)}: {'; '.join(parts)}."


def _listed(words: str, names: Sequence[str], of_all: int = 0) -> str:
    """Return words and the names of arrays, as many as fit; nothing where there is none."""
    short = [shortened(name) or "the gradient" for name in names]
    if of_all and len(", ".join(short)) > NAME:
        return f"{words} {len(names)} of {of_all} arrays"
    shown = len(short)
    while shown > 1 and len(", ".join(short[:shown])) > LISTED:
        shown -= 1
    more = f" and {len(short) - shown} more" if shown < len(short) else ""
    return f"{words} {', '.join(short[:shown])}{more}" if short else ""


def rows(report: GradientReport, limit: int | None = None) -> Iterator[tuple[str, ...]]:
    """Yield the cells of the table, worst entry first."""
    entries = report.entries
    for i in entries.worst(limit=limit):
        entry, (c, row) = entries[i], entries.row(i)
        difference = abs(entry.analytic - entry.numerical)
        larger = max(abs(entry.analytic), abs(entry.numerical))
        wide = 1e-3 * larger < entry.error < math.inf
        numerical = _number(entry.numerical, entry.error)
        if entry.reason == "kink":
            numerical = _interval(entry.numerical, entry.error)
        elif entry.verdict == "wrong" and wide:
            numerical = f"{numerical} ± {entry.error:.0e}"
        agrees = entry.verdict == "agree" and math.isfinite(difference)
        yield (
            entry.name,
            _number(entry.analytic),
            numerical,
            order(difference, c.allowed[row]) if agrees else f"{difference:.1e}",
            f"{c.allowed[row]:.0e}",
            entry.verdict,
        )


def few(report: GradientReport) -> int:
    """Return how many rows a table has by default: the first 20 that failed, or 8 in all."""
    return min(20, max(8, report.counts[Verdict.WRONG] + report.counts[Verdict.UNRESOLVED]))


def table(report: GradientReport, max_rows: int | None = None) -> str:
    """Return the entries as a table, worst first; of 80 columns, if names can be cut to fit."""
    cells = list(rows(report, few(report) if max_rows is None else max_rows))
    if not cells:
        return ""
    names, *columns = zip(COLUMNS, *cells, strict=True)
    widths = [max(map(len, column)) for column in columns]
    room = min(NAME, WIDTH - sum(widths) - 2 * len(widths))
    for tail in (0, room // 2):  # the start says which array it is, or else its end does
        short = [shortened(name, room, tail) for name in names]
        if len(set(short)) == len(names):  # otherwise no one could tell the entries apart
            names = tuple(short)
            break
    first = max(map(len, names))
    lines = [
        "  ".join([name.ljust(first), *map(str.rjust, numbers, widths), verdict])
        for name, *numbers, verdict in zip(names, *columns, strict=True)
    ]
    if (more := len(report.entries) - len(cells)) > 0:
        lines.append(f"... and {more:,} more, none of them worse")
    return "\n".join(lines)


def footnotes(report: GradientReport) -> Iterator[str]:
    """Yield what a reader should know besides the verdict, a sentence a line."""
    reasons = {
        (Verdict(v), Reason(r))
        for c in report.entries.checked
        for v, r in set(zip(c.verdict.tolist(), c.reason.tolist(), strict=True))
    }
    for pair in sorted(reasons & EXPLANATIONS.keys()):
        yield EXPLANATIONS[pair]
    told = report.resolution if report.complete else {}
    blind = {name: r for name, r in told.items() if r > BLIND}
    wrong = report.arrays_with(Verdict.WRONG)
    if dead := [name for name in report.blind if name not in wrong]:
        where = ", ".join(name or "the gradient" for name in dead)
        yield f"Nothing to tell right from wrong in {where}: no slope rises above noise."
    for name, r in blind.items():
        if math.isfinite(r) and name not in dead:
            size = f"{100 * r:.0f} % of" if r < 2 else f"{r:,.0f} times"
            yield (
                f"An error in one entry{' of ' + name if name else ''} may go unseen below "
                f"{size} the typical entry."
            )
    if report.method == "directions" and told and not blind:
        worst = max(told, key=lambda name: told[name])
        place = f" (in {worst})" if worst else ""
        yield (
            f"In any one entry, an error above {order(told[worst])} of a typical entry{place} "
            "would have been seen."
        )
    if report.eps > 1e-10 and (report.blind or report.unresolved or _by_little(report)):
        precision = PRECISIONS.get(report.eps, "low precision")
        yield f"{precision} takes part: a check in float64 (`dtype=float`) would tell."
    yield from report.notes


def _by_little(report: GradientReport) -> bool:
    """Whether something is wrong, and nothing by much."""
    wrong = [(c, c.verdict == Verdict.WRONG) for c in report.entries.checked]
    off = [
        np.abs(a - n) < LITTLE * np.maximum(np.abs(a), np.abs(n))
        for a, n in ((c.analytic[w], c.numerical[w]) for c, w in wrong)
    ]
    return any(part.size for part in off) and all(map(np.all, off))


def as_html(report: GradientReport) -> str:
    """Return the report as HTML, for a notebook."""

    def row(cells: Iterable[str], tag: str) -> str:
        style = ' style="white-space: nowrap"'
        return "".join(f"<{tag}{style}>{html.escape(cell)}</{tag}>" for cell in cells)

    def text(words: str) -> str:
        return re.sub("`(.*?)`", r"<code>\1</code>", html.escape(words))

    findings = "".join(
        f"<p><b>{text(f.where or 'the gradient')}: {text(f.bug)}.</b> "
        f"{text(f.evidence)}<br>Look at: {text(f.look_at)}</p>"
        for f in report.findings
    )
    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows(report, few(report)))
    notes = "".join(f"<li>{text(note)}</li>" for note in footnotes(report))
    return (
        f"<p><b>{text(headline(report))}</b></p>{findings}<table><thead><tr>"
        f"{row(COLUMNS, 'th')}</tr></thead><tbody>{body}</tbody></table><ul>{notes}</ul>"
    )


def _finding(finding: Finding) -> str:
    where = finding.where or "the gradient"
    lines = f"{where}: {finding.bug}. {finding.evidence}", f"  Look at: {finding.look_at}"
    return "\n".join(textwrap.fill(line, WIDTH - 1, subsequent_indent="    ") for line in lines)


def shortened(name: str, room: int = NAME, tail: int = 0) -> str:
    """Cut a long name before its last index; at least `tail` of its end are left."""
    if len(name) <= room:
        return name
    index = len(name) - name.rfind("[") if "[" in name else 0
    end = min(max(index, tail), room - 4)
    return f"{name[: room - 1 - end]}…{name[len(name) - end :]}"


def _interval(middle: float, error: float) -> str:
    """Return the two slopes of a kink, with as many digits as tell them apart."""
    ends = [0.0 if abs(end) < 1e-3 * error else end for end in (middle - error, middle + error)]
    texts = (f"{ends[0]:.{digits}g} to {ends[1]:.{digits}g}" for digits in (2, 3, 4))
    told = (text for text in texts if len(set(text.split(" to "))) == 2)
    return next(told, f"{_number(middle, error)} ± {error:.0e}")


def _number(value: float, error: float = 0.0) -> str:
    """Print the digits that are known of a number: round-off differs between processors."""
    if not value or not math.isfinite(value) or not 0 < error < math.inf:
        return f"{value:.6e}"
    if abs(value) <= error:
        return order(abs(value))
    known = math.floor(math.log10(abs(value))) - math.floor(math.log10(error))
    return f"{value:.{min(max(known, 0), 6)}e}"


def order(size: float, limit: float = math.inf) -> str:
    """Print an upper bound, a power of ten but no more than `limit`, for what is round-off."""
    if not 0 < size < math.inf:
        return f"{size:.0f}"
    exponent = math.floor(math.log10(size)) + 1
    return f"<1e{exponent:+03d}" if 10.0**exponent <= limit else f"<{limit:.0e}"
