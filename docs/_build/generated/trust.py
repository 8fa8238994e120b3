"""Run the trust suite with one seed and write its figures and tables as Markdown."""

from __future__ import annotations

from collections import Counter
from textwrap import indent
from typing import TYPE_CHECKING

from gradcheck.learning.faults import CATALOGUE
from tests.trust import run, table
from tests.trust.confusion import plants

if TYPE_CHECKING:
    from tests.trust.suite import Row


def main() -> None:
    """Print the figures, the right gradients by kind, and the whole tables folded away."""
    results = run(1)
    print("| Figure | Reached | Goal | Held |\n|---|---|---|---|")
    for figure, reached, goal, held in results.figures():
        print(f"| {figure} | {reached} | {goal} | {'yes' if held else '**no**'} |")
    print("\n### Right gradients, by kind\n")
    print("| Kind | Accepted | Verdicts, entry by entry | Plants caught |\n|---|---|---|---|")
    for kind in dict.fromkeys(row.kind for row in results.right):
        print(line(kind, [row for row in results.right if row.kind == kind]))
    print(f"\n### The bug that is named\n\n{named()}")
    cases = "| Case | Verdicts | Decided by | Plants caught |\n|---|---|---|---|\n" + "\n".join(
        f"| {row.name} | {row.verdicts} | {row.said} | {row.caught} of {row.planted} |"
        for row in results.right
    )
    for title, body in {
        "Each right gradient, and what the check said": cases,
        "Each kind of wrong gradient": table(results, "wrong"),
        "Calls of the loss, by size": table(results, "calls"),
    }.items():
        print(f'\n??? note "{title}"\n\n{indent(body, "    ")}')


def line(kind: str, rows: list[Row]) -> str:
    """Sum the rows of one kind."""
    verdicts: Counter[str] = Counter()
    for part in ", ".join(row.verdicts for row in rows).split(", "):
        count, verdict = part.split()
        verdicts[verdict] += int(count)
    said = ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.most_common())
    accepted, total = sum(row.accepted for row in rows), sum(row.total for row in rows)
    caught, planted = sum(row.caught for row in rows), sum(row.planted for row in rows)
    return f"| {kind} | {accepted} of {total} | {said} | {caught} of {planted} |"


def named() -> str:
    """Plant each bug of the catalogue in a few models, and count which one the check names."""
    answers = [
        plant.check() for fault in CATALOGUE for plant in list(plants(fault, 0, "entries"))[::32]
    ]
    told = [answer for answer in answers if answer.plant.fault.signature]
    right = sum(answer.named for answer in told)
    false = sum(len(answer.false) for answer in answers)
    findings = sum(len(answer.findings) for answer in answers)
    return (
        "| Figure | Reached |\n|---|---|\n"
        f"| the bug that was planted is named first | {right} of {len(told)} |\n"
        f"| bugs named that are not there | {false} of {findings} |"
    )


if __name__ == "__main__":
    main()
