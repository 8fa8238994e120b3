"""Run the trust suite with one seed and write its figures and tables as Markdown."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gradcheck.learning.faults import CATALOGUE
from tests.trust import other_checks, run, table
from tests.trust.confusion import plants, tally

if TYPE_CHECKING:
    from tests.trust.confusion import Answer
    from tests.trust.suite import Results, Row

EVERY = 7  # of the networks in which a fault can be planted, one in this many
LAYERS = {"layer"}  # names a place, not a bug
LIMITS = """
*Everyday ones* are the kinds network and model. The hard ones are here because fixed steps have trouble with
them, so large numbers in that column are no surprise. All get flat float64 arrays. A result of NaN, or an
error, is not a pass.

The limits are those of their authors.
[CS231n](https://cs231n.github.io/neural-networks-3/#gradcheck) says that an entry above 1e-2 is probably wrong, and that
1e-4 is usually fine where there are kinks. It also says to try other steps where a check fails, which nobody did
here. The exercise of [deeplearning.ai](https://www.coursera.org/learn/deep-neural-network) draws the line at 2e-7, and the
lecture looks closely from 1e-5 on.
[SciPy](https://docs.scipy.org/doc/scipy/reference/generated/scipy.optimize.check_grad.html) leaves the limit to you: these
two are ours. The last column takes for each check the one limit that is best for all of these gradients, chosen by
somebody who knows the answers.

**On everyday networks the best recipe does as well.** The difference is in scales, noise, kinks and minima, and
in saying which entry is wrong.
"""


def main() -> None:
    """Print the figures, the tables that compare, and the whole tables folded away."""
    results = run(1)
    print("| Figure | Reached | Goal |\n|---|---|---|")
    for figure, reached, goal, held in results.figures():
        print(f"| {figure} | {reached} | {goal}{'' if held else ', **missed**'} |")
    for reason, count in results.untold.items():
        print(f"\nPlants left out: {count} {reason}.")
    print("\n### Right gradients, by kind\n")
    print("| Kind | Accepted | Plants caught | Verdicts, entry by entry |\n|---|---|---|---|")
    for kind in dict.fromkeys(row.kind for row in results.right):
        print(line(kind, [row for row in results.right if row.kind == kind]))
    print(f"\n### Other checks, on the same gradients\n\n{others(results)}\n{LIMITS}")
    print(f"### The bug that is named\n\n{named()}\n")
    cases = "| Case | Plants caught | Decided by | Verdicts |\n|---|---|---|---|\n" + "\n".join(
        f"| {row.name} | {row.caught} of {row.planted} | {row.said} | {row.verdicts} |"
        for row in results.right
    )
    for title, body in {
        "Each right gradient, and what the check said": cases,
        "Each kind of wrong gradient": table(results, "wrong"),
        "Calls of the loss, by size": table(results, "calls"),
    }.items():
        print("<details markdown data-search-exclude>")
        print(f"<summary>{title}</summary>\n\n{body}\n\n</details>\n")


def line(kind: str, rows: list[Row]) -> str:
    """Sum the rows of one kind."""
    verdicts: Counter[str] = Counter()
    for part in ", ".join(row.verdicts for row in rows).split(", "):
        count, verdict = part.split()
        verdicts[verdict] += int(count)
    said = ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.most_common())
    accepted, total = sum(row.accepted for row in rows), sum(row.total for row in rows)
    caught, planted = sum(row.caught for row in rows), sum(row.planted for row in rows)
    return f"| {kind} | {accepted} of {total} | {caught} of {planted} | {said} |"


def others(results: Results) -> str:
    """Count how often each check is at fault; this one's counts are those of the suite."""
    totals, counts = other_checks.count()
    rows = [row for row in results.right if row.kind != "float32"]
    everyday = [row for row in rows if row.kind in other_checks.EVERYDAY]
    blamed, blamed_everyday = (sum(r.total - r.accepted for r in rs) for rs in (rows, everyday))
    passed = sum(r.planted - r.caught for r in rows)
    passed += sum(r.total - r.caught for r in results.wrong)
    lines = [
        f"| Check, and its limit | Everyday ones blamed, of {totals.everyday} | Hard ones blamed, "
        f"of {totals.hard} | Wrong ones passed, of {totals.wrong} | Sum, with the best limit |",
        "|---|---|---|---|---|",
        f"| `check_gradient` | {blamed_everyday} | {blamed - blamed_everyday} | {passed} "
        f"| {blamed + passed} |",
    ]
    lines += [
        f"| {c.check}, {c.limit:.0e} | {c.blamed_everyday} | {c.blamed_hard} | {c.passed} "
        f"| {c.at_best} |"
        for c in counts
    ]
    return "\n".join(lines)


def named() -> str:
    """Plant each bug of the catalogue in a few models, and count which one the check names."""
    answers = [
        plant.check() for fault in CATALOGUE for plant in list(plants(fault, 0, "entries"))[::EVERY]
    ]
    groups: dict[str | None, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.plant.fault.signature, []).append(answer)
    untold = groups.pop(None)
    placed = [a for name in LAYERS & groups.keys() for a in groups[name]]
    told = [a for name in groups.keys() - LAYERS for a in groups[name]]
    findings = sum(len(answer.findings) for answer in answers)
    false = sum(len(answer.false) for answer in answers)
    rows = [
        ("the bug is named first", told, sum(a.named for a in told)),
        ("the layer is named where it begins, not the bug", placed, sum(a.named for a in placed)),
        ("no bug is named: the numbers fit several", untold, sum(not a.false for a in untold)),
    ]
    lines = ["| What the report can do | Bugs | Reached |", "|---|---|---|"]
    lines += [f"| {what} | {bugs(own)} | {good} of {len(own)} |" for what, own, good in rows]
    lines.append(f"| findings that are false | {bugs(answers)} | {false} of {findings} |")
    lines += ["", "| Planted | Bugs | Times | The report says first |", "|---|---|---|---|"]
    groups["(others)"] = untold
    lines += [
        f"| {name} | {bugs(own)} | {len(own)} | {tally(own)} |" for name, own in groups.items()
    ]
    return "\n".join(lines)


def bugs(answers: list[Answer]) -> int:
    """Count the bugs that were planted."""
    return len({answer.plant.fault.name for answer in answers})


if __name__ == "__main__":
    main()
